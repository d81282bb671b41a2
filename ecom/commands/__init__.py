"""What is behind the larger commands of `ecom`: replaying real orders, status, the demonstration."""
