"""A shop while orders flow through it: what is on its way, where it waits, what has ended."""
