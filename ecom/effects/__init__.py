"""Effects outside the shop, at a payment provider and a mail server, under idempotency keys."""

# Seconds that a call over a network may take; its outcome is then unknown, and it is asked again.
TIMEOUT = 30.0
