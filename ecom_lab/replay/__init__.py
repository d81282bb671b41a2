"""Real orders, from a file, in a shop of its own."""
