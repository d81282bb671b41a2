"""Behind the larger commands of `ecom`: replaying real orders, status, the demonstration."""
