"""A payment provider over HTTP: `POST /captures`, `POST /refunds`, under an `Idempotency-Key`.

Providers forget keys, most of them after a day: a call repeated under one that was forgotten moves
money again. So what is that old is asked for instead: `GET /captures?key=…`.
"""

import ssl
import time

import aiohttp
import msgspec
from msgspec import Struct

from ecom.effects import TIMEOUT, parts_of
from ecom.process.performers import NotDone, OutcomeUnknown, requested_at
from ecom.runtime.service import Impossible, traceparent
from ecom.services.payment import Capture, Captured, Declined, Refund, Refunded

KEY_LIFE = 20 * 3600.0  # seconds that a key can be relied on: a day, less what clocks may be off
FORM = "https://user:password@host:8443/path"
UNKNOWN = 404  # no call under this key is known
TOO_OLD = (
    f"was requested over {KEY_LIFE / 3600:g} hours ago, and the provider does not know it: look at "
    "its books, and replay this if no money has moved"
)
PROCESSING_ERROR = 402  # it failed, and no money moved
REFUSED = (409, 422)  # not with this key or order, or malformed: repeating is in vain


class Answer(Struct, frozen=True):
    """The provider's answer to the call under `key`.

    It names the key because a connection may be out of step: a proxy that repeats an answer gives
    one call the answer of another.
    """

    key: str
    outcome: str  # captured, declined, refunded, refused
    reason: str = ""


class HttpGateway:
    """The provider at `url`, one merchant's account, which shops may share.

    It is made in the event loop that it is used in. Connections are kept and reused, as many as
    there are calls at a time. A call that takes more than `TIMEOUT`, or that the caller cancels,
    takes its connection with it.
    """

    def __init__(self, url: str) -> None:
        parts_of("ECOM_GATEWAY_URL", url, ("http", "https"), FORM)
        self._url = url.rstrip("/")
        # aiohttp itself reads certificates when it is imported; where children are forked from,
        # there are none (see `ecom.process.child`).
        proof = ssl.create_default_context() if url.startswith("https:") else True
        self._session = aiohttp.ClientSession(
            # No limit: the runtime bounds how many there are.
            connector=aiohttp.TCPConnector(limit=0, ssl=proof),
            timeout=aiohttp.ClientTimeout(total=TIMEOUT),
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def capture(self, key: str, effect: Capture) -> Captured | Declined:
        """Take money from the card."""
        answer = await self._ask("captures", key, effect, ("captured", "declined"))
        if answer.outcome == "captured":
            return Captured(effect.order_id)
        return Declined(effect.order_id, answer.reason)

    async def refund(self, key: str, effect: Refund) -> Refunded:
        """Give money back."""
        await self._ask("refunds", key, effect, ("refunded",))
        return Refunded(effect.order_id)

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def _ask(
        self, what: str, key: str, effect: Capture | Refund, outcomes: tuple[str, ...]
    ) -> Answer:
        """The provider's answer to this very call, which is one of `outcomes`.

        Raises `Impossible` for one that was requested too long ago to be repeated, and that the
        provider does not know: a person decides. What is replayed is requested anew.
        """
        headers = {"Idempotency-Key": key, "Content-Type": "application/json"}
        if context := traceparent.get():
            headers["traceparent"] = context
        is_late = time.time() - requested_at.get() > KEY_LIFE
        ask = self._session.get if is_late else self._session.post
        asked = {"params": {"key": key}} if is_late else {"data": msgspec.json.encode(effect)}
        call = ask(f"{self._url}/{what}", **asked, headers=headers, allow_redirects=False)
        try:
            async with call as response:
                if is_late and response.status == UNKNOWN:
                    raise Impossible(f"{key} {TOO_OLD}")
                answer = _answer(response.status, await response.read())
                if answer.key != key:
                    response.close()  # whatever comes next over this connection is wrong, too
                    raise OutcomeUnknown(f"asked for {key}, was answered for {answer.key}")
                if response.status in REFUSED:
                    raise Impossible(answer.reason)
                if answer.outcome not in outcomes:
                    raise OutcomeUnknown(f"{key}: {answer.outcome!r} is none of {outcomes}")
                return answer
        except (aiohttp.ClientError, TimeoutError) as error:
            raise OutcomeUnknown(f"{type(error).__name__}: {error}") from error


def _answer(status: int, text: bytes) -> Answer:
    if status == PROCESSING_ERROR:
        raise NotDone("processing error")
    if status not in (200, *REFUSED):
        raise OutcomeUnknown(f"{status}: {text.decode(errors='replace')[:300]}")
    try:
        return msgspec.json.decode(text, type=Answer)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise OutcomeUnknown(f"this is no answer: {error}") from error
