"""Any saga in a notebook or a test: its processes, its folder, its history and diagrams."""
