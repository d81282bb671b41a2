"""Test values that choose an outcome here, as those of real providers do."""

GOOD_CARD = "4242424242424242"
DECLINED_CARD = "4000000000000002"
ERROR_CARD = "4000000000000119"  # a processing error, each time
BOUNCES = "@bounce.example"  # the end of addresses that are refused for good
