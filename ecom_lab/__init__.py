"""Studies the shop: the simulator, chaos, experiments, and the documents made from the code."""


def __getattr__(name: str) -> object:
    """Import `grade` (and the simulator with it) only when it is used, and `ask` likewise."""
    if name == "ask":
        from ecom_lab.grading.ask import ask

        return ask
    if name == "grade":
        from ecom_lab.grading.grade import grade

        return grade
    raise AttributeError(f"module 'ecom_lab' has no attribute {name!r}")
