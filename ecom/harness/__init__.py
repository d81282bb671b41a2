"""Any saga, held in a notebook or a test: its processes, its folder, and what can be seen of it."""
