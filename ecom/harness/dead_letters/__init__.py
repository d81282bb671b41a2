"""The dead-letter workbench: look at what was set aside, try it, mend it, send it again."""
