"""An e-mail as the bytes that go over the wire, from values that need not be trusted.

No value can add a header: what holds a control character, or what a reader would decode into one,
is refused before the letter is made, and the headers of the finished letter are counted.
"""

import re
from email.charset import QP, Charset
from email.errors import MessageError
from email.header import Header
from email.mime.text import MIMEText
from email.parser import BytesHeaderParser
from email.policy import compat32
from email.utils import formatdate
from time import time

from msgspec import Struct

from ecom.events import is_mailable
from ecom.runtime.service import Impossible, traceparent
from ecom.services.notification import SendMail

# Unicode's line ends are in, because Python's header folding would break lines there; encoded words
# ("=?utf-8?q?=0D=0A?="), because it would decode them; lone surrogates are no text.
_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]|=\\?")
_MIME = ["Content-Type", "MIME-Version", "Content-Transfer-Encoding"]
_LONG = 900  # characters; a line has 998 bytes at most
SENDER = "orders@ecom.example"


# The old policy: a letter takes a quarter of the time. 7 bits: so it passes where 8BITMIME is not
# spoken.
_POLICY = compat32.clone(linesep="\r\n")
_UTF8 = Charset("utf-8")
_UTF8.body_encoding = QP


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

    @classmethod
    def of(cls, key: str, effect: SendMail, shop: str, sender: str = SENDER) -> "Letter":
        """The letter that is asked for, written now: its Message-ID is always the same under this
        idempotency key, and no two shops' meet."""
        text, id_ = (effect.to, effect.subject, effect.body), f"<{key}@{shop}.ecom.example>"
        return cls(id_, effect.order_id, sender, *text, time(), traceparent.get())

    @property
    def is_ascii(self) -> bool:
        """Whether its addresses can go where SMTPUTF8 is not spoken."""
        return (self.sender + self.to).isascii()

    def check(self) -> None:
        """Raise `Impossible` for a value that cannot stand in a header."""
        said = self.message_id, self.order_id, self.sender, self.to, self.subject, self.traceparent
        for value in said if _UNFIT.search("".join(said)) else ():
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
            self.body.encode()  # raises for what is no text
            letter = MIMEText(f"{self.body}\n", _charset=_UTF8, policy=_POLICY)
            for name, value in headers.items():
                # Addresses go as they are, in UTF-8; other text that is not ASCII, or may have a
                # word longer than a line, as encoded words.
                raw = value.encode().decode("ascii", "surrogateescape")
                text = value if len(value) <= _LONG else Header(value, "utf-8")
                letter[name] = raw if name in ("From", "To") else text
            written = letter.as_bytes()
        except (ValueError, MessageError) as error:
            raise Impossible(f"this is no letter: {error}") from error
        if BytesHeaderParser().parsebytes(written).keys() != [*_MIME, *headers]:
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
