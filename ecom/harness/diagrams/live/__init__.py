"""Sagas while they run: what is on its way, where it waits, what has ended."""
