"""The order service's HTTP API: orders in, orders shown, and who may ask."""
