"""Where a service keeps its rows, one file a technology."""
