"""One look for all pictures: few colours, which mean the same everywhere.

The colours are those of Okabe and Ito, "Color Universal Design" (2008): told apart by colour-blind
eyes, too. A colour never says alone what a picture means: line style, mark or word says it as well.
"""

INK = "#222222"
GREY = "#767676"  # still readable on white
LINE = "#BBBBBB"
PALE = "#F4F4F4"
CREAM = "#FFF8DC"
PAPER = "#FFFFFF"  # under every picture, so that it can be read in a dark JupyterLab
BLUE = "#0072B2"
SKY = "#56B4E9"
GREEN = "#009E73"
ORANGE = "#E69F00"
PURPLE = "#CC79A7"

SUCCESS = BLUE  # and what leads to it
FAILURE = "#BF4D00"  # and what undoes it: their vermilion, dark enough for words
FAILURES = (FAILURE, "#D78B59", "#EEC9B3")  # several kinds of it, with hatches besides
RETRY = ORANGE
SERIES = (BLUE, ORANGE, GREEN, PURPLE, SKY, GREY)  # of which none is better than another

FONT = "DejaVu Sans"  # comes with matplotlib: the same everywhere
