"""Ways to build it wrong, and the worlds that show it."""
