"""One service as an operating-system process."""
