"""The outside world as processes of its own: a payment provider and a mail server, both local.

Nothing in here is part of the shop. They stand in for what a real shop would buy: `ecom.outside.gateway`
and `ecom.outside.mailer` say what the shop asks of them, over HTTP and SMTP.
"""
