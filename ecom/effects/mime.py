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


def headers_of(key: str, effect: SendMail, shop: str, sender: str = SENDER) -> dict[str, str]:
    """The headers of the letter that is asked for, written now: its Message-ID is always the same
    under this idempotency key, and no two shops' meet. Raises `Impossible` for a value that cannot
    stand in a header."""
    headers = {
        "From": sender,
        "To": effect.to,
        "Subject": effect.subject,
        "Date": formatdate(time()),
        "Message-ID": f"<{key}@{shop}.ecom.example>",
        "Order-ID": effect.order_id,
    }
    if context := traceparent.get():  # W3C trace context
        headers["traceparent"] = context
    if unfit := [value for value in headers.values() if _UNFIT.search(value)]:
        raise Impossible(f"{unfit[0]!r} cannot stand in a header")
    for address in (sender, effect.to):
        if not is_mailable(address):
            raise Impossible(f"{address!r} is no plain address")
    return headers


def letter(headers: dict[str, str], body: str) -> bytes:
    """The letter with these `headers_of` it, by RFC 5322, with CRLF. Raises `Impossible` if that
    cannot be made."""
    try:
        body.encode()  # raises for what is no text
        made = MIMEText(f"{body}\n", _charset=_UTF8, policy=_POLICY)
        for name, value in headers.items():
            # Addresses go as they are, in UTF-8; other text that is not ASCII, or may have a word
            # longer than a line, as encoded words.
            raw = value.encode().decode("ascii", "surrogateescape")
            text = value if len(value) <= _LONG else Header(value, "utf-8")
            made[name] = raw if name in ("From", "To") else text
        written = made.as_bytes()
    except (ValueError, MessageError) as error:
        raise Impossible(f"this is no letter: {error}") from error
    if BytesHeaderParser().parsebytes(written).keys() != [*_MIME, *headers]:
        raise Impossible(f"the letter {headers['Message-ID']!r} has other headers than it should")
    return written
