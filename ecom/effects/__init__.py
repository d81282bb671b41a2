"""The outside world, and the way there.

What performs effects, what the shop asks of a payment provider (`gateway`) and of a mail
server (`mailer`), and processes that stand in for what a real shop would buy, over HTTP and SMTP.
"""

# Seconds that a call over a network may take; its outcome is then unknown, and it is asked again.
TIMEOUT = 30.0
