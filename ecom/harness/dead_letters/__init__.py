"""Dead letters: what was set aside is shown, tried in a dry run, edited, replayed or dropped."""
