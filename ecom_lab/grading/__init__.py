"""A reader's own handlers, judged by the explorer: start at `ecom_lab.grading.grade`.

The names here are what stages of a saga of your own are made of: see `docs/YOUR_OWN.md`.
"""

from ecom_lab.grading.stages import Patient, Prompt, Stage

__all__ = ["Patient", "Prompt", "Stage"]
