"""Exactly-once effects around a service, without any I/O."""
