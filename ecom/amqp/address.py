"""Where brokers are, and how they and we prove who we are: AMQP URLs and certificates."""

import os
import ssl
from typing import Any
from urllib.parse import urlsplit

from pika import SSLOptions, URLParameters

from ecom.errors import ShopError

HEARTBEAT = 30  # seconds; a peer that is silent for two of these is gone
CONNECT_SECONDS = 10  # how long each step on the way to a connection may take
BLOCKED_SECONDS = 300  # how long an alarm may block us before we connect anew


def parameters(url: str, patience: float | None = None) -> list[URLParameters]:
    """Connection parameters for each of the `brokers`, with the settings that pika leaves unset.

    Each step on the way to a connection may take `patience` seconds, without it `CONNECT_SECONDS`.
    For `amqps://…` the broker's certificate must be valid for this host: signed by the
    authority in the PEM file `ECOM_AMQP_CA`, if set, or else by one that the system trusts. Where
    the broker asks for a certificate, too, `ECOM_AMQP_CERT` and `ECOM_AMQP_KEY` name ours. Raises
    `ShopError` for files that cannot be read.
    """
    results = brokers("ECOM_AMQP_URL", url)
    for it in results:
        if it.heartbeat is None:  # the URL may say `?heartbeat=…`
            it.heartbeat = HEARTBEAT
        it.blocked_connection_timeout = BLOCKED_SECONDS
        it.socket_timeout = it.stack_timeout = patience or CONNECT_SECONDS
        if it.ssl_options is not None:
            it.ssl_options = SSLOptions(_certificates(), server_hostname=it.host)
    return results


def check_url(what: str, url: Any) -> str:
    """The URL itself, if it is one of a broker. Raises `ShopError`, which quotes none of it."""
    brokers(what, url)
    return url


def brokers(what: str, url: Any) -> list[URLParameters]:
    """The brokers that a URL names (`amqp://user:password@one:5672,other:5672/vhost`), which are
    nodes of one cluster. Raises `ShopError`, which names `what` it should have been."""
    try:
        parts = urlsplit(url)
        who, at, hosts = parts.netloc.rpartition("@")
        names = hosts.split(",")
        if parts.scheme in ("amqp", "amqps") and (all(names) or len(names) == 1):
            each = (parts._replace(netloc=who + at + name).geturl() for name in names)
            found = [*map(URLParameters, each)]
            for it in found:
                it.host.encode("idna")  # which is asked for its address
            return found
    except Exception:  # whose text may quote a part of the password
        pass
    raise ShopError(
        f"{what} must be like amqp://user:password@host:5672/vhost, with all that is not a letter "
        "or a digit written as %40 and so on; hosts of one cluster with commas between them."
    )


def _certificates() -> ssl.SSLContext:
    """The authorities that we trust, and our own certificate."""
    try:
        context = ssl.create_default_context(cafile=os.environ.get("ECOM_AMQP_CA") or None)
        if ours := os.environ.get("ECOM_AMQP_CERT"):
            context.load_cert_chain(ours, os.environ.get("ECOM_AMQP_KEY") or None)
    except OSError as error:
        raise ShopError(
            f"ECOM_AMQP_CA, and ECOM_AMQP_CERT with ECOM_AMQP_KEY, must name PEM files: {error}."
        ) from error
    return context
