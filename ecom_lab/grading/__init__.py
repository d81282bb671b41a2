"""A reader's own handlers, judged by the explorer: start at `ecom_lab.grading.grade`."""
