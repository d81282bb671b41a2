"""Ways to build it wrong, whatever the saga is: each takes one safeguard away."""
