"""An e-mail as the bytes that go over the wire, from values that need not be trusted.

No value can add a header: what holds a control character, or what a reader would decode into one,
is refused before the letter is made, and the headers of the finished letter are counted.
"""

import re
from email.errors import MessageError
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import formatdate
from typing import Any

from msgspec import Struct

from ecom.events import is_mailable
from ecom.runtime.service import Impossible

# Unicode's line ends are in, because Python's header folding would break lines there; encoded words
# ("=?utf-8?q?=0D=0A?="), because it would decode them; lone surrogates are no text.
_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]|=\\?")
_MIME = [b"Content-Type", b"Content-Transfer-Encoding", b"MIME-Version"]
_SHORT = 60  # characters of a value that fits its line
SENDER = "orders@ecom.example"


class _Policy(EmailPolicy):
    """Takes what fits on one line as it is: parsing it would take longer than all the rest.

    Not so the MIME headers, which are asked for again and again while a letter is made.
    """

    def header_store_parse(self, name: str, value: Any) -> tuple[str, Any]:
        if len(value) <= _SHORT and value.isascii() and not name.startswith("Content-"):
            return name, value
        return super().header_store_parse(name, value)


# 7bit: so the body passes where 8BITMIME is not spoken.
_ASCII = _Policy(linesep="\r\n", cte_type="7bit")
_UTF8 = _Policy(linesep="\r\n", cte_type="7bit", utf8=True)


class Letter(Struct, frozen=True):
    """What one e-mail says; `message_id` with its angle brackets, `date` in epoch seconds."""

    message_id: str
    order_id: str
    sender: str
    to: str
    subject: str
    body: str
    date: float
    traceparent: str = ""  # W3C trace context; without one, no such header

    @property
    def is_ascii(self) -> bool:
        """Whether its addresses can go where SMTPUTF8 is not spoken."""
        return (self.sender + self.to).isascii()

    def check(self) -> None:
        """Raise `Impossible` for a value that cannot stand in a header."""
        for value in self._headers().values():
            if _UNFIT.search(value):
                raise Impossible(f"{value!r} cannot stand in a header")
        for address in (self.sender, self.to):
            if not is_mailable(address):
                raise Impossible(f"{address!r} is no plain address")

    def as_bytes(self) -> bytes:
        """The letter by RFC 5322, with CRLF. Raises `Impossible` if that cannot be made."""
        self.check()
        headers = self._headers()
        try:
            letter = EmailMessage(_ASCII if self.is_ascii else _UTF8)
            for name, value in headers.items():
                letter[name] = value
            letter.set_content(self.body)
            written = letter.as_bytes()
        except (ValueError, MessageError) as error:
            raise Impossible(f"this is no letter: {error}") from error
        ours = [name.encode() for name in headers]
        if _names(written) != ours + _MIME:
            raise Impossible(f"the letter {self.message_id!r} has other headers than it should")
        return written

    def _headers(self) -> dict[str, str]:
        headers = {
            "From": self.sender,
            "To": self.to,
            "Subject": self.subject,
            "Date": formatdate(self.date),
            "Message-ID": self.message_id,
            "Order-ID": self.order_id,
        }
        return headers | {"traceparent": self.traceparent} if self.traceparent else headers


def message_id(key: str, shop: str) -> str:
    """The Message-ID under this idempotency key: always the same, and no two shops' meet."""
    return f"<{key}@{shop}.ecom.example>"


def _names(written: bytes) -> list[bytes]:
    """The names of the headers, in order; whatever else stands in the head is one, too."""
    head = written.partition(b"\r\n\r\n")[0]
    lines = re.split(b"\r\n|\r|\n", head)
    return [line.partition(b":")[0] for line in lines if line[:1] not in (b" ", b"\t")]
