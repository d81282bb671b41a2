"""The order service's HTTP API: orders are placed, shown and cancelled."""
