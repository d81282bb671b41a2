"""A payment provider and a mail server to practise on."""

from typing import NamedTuple


class Server(NamedTuple):
    """One of the two: the setting that says where it listens, in this form, and its module."""

    variable: str
    url: str  # of user and password, if any, host and port
    module: str  # its `serve(folder, listening, secret)` is a context manager: it serves within


SERVERS = {
    "gateway": Server("ECOM_GATEWAY_URL", "http://{}{}:{}", "ecom.sandbox.http_server"),
    "mail": Server("ECOM_SMTP_URL", "smtp://{}{}:{}?tls=no", "ecom.sandbox.smtp_server"),
}
