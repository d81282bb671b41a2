"""What is seen of a service at work, from outside: its log, its numbers, its traces."""
