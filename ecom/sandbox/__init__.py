"""A payment provider and a mail server to practise on."""

from typing import NamedTuple


class Server(NamedTuple):
    """One of the two: the setting that says where it listens, in this form, and its module."""

    variable: str
    url: str
    module: str  # its `serve(folder, listening)` is a context manager: it serves within


SERVERS = {
    "gateway": Server("ECOM_GATEWAY_URL", "http://{}:{}", "ecom.sandbox.http_server"),
    "mail": Server("ECOM_SMTP_URL", "smtp://{}:{}", "ecom.sandbox.smtp_server"),
}
