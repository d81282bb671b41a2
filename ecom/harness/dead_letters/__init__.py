"""The dead-letter workbench: show, try, edit, replay and drop the messages that were set aside."""
