"""Studies the shop: the simulator, chaos, experiments, and the documents made from the code."""
