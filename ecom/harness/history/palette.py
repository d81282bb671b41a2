"""One look for all pictures: few colours, told apart by colour-blind eyes too.

The colours are those of Okabe and Ito, "Color Universal Design" (2008). A colour never says alone
what a picture means: line style, mark or word says it as well.
"""

INK = "#222222"
GREY = "#767676"  # still readable on white
PALE = "#F4F4F4"
CREAM = "#FFF8DC"
PAPER = "#FFFFFF"
BLUE = "#0072B2"
SKY = "#56B4E9"
GREEN = "#009E73"
ORANGE = "#E69F00"
RED = "#D55E00"
PURPLE = "#CC79A7"

FONT = "DejaVu Sans"  # comes with matplotlib: the same everywhere
