"""The `ecom` command."""
