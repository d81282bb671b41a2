"""The shop in the simulator: its customers, the world outside, its promises, and its ablations."""
