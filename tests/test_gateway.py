"""Payment providers, in a file and over HTTP: one contract; and what HTTP adds of trouble."""

import asyncio
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from outer import outer

from ecom.events import CARD_DECLINED
from ecom.gateway import DECLINED_CARD, ERROR_CARD, GOOD_CARD, GatewayError, SandboxGateway
from ecom.http_gateway import HttpGateway
from ecom.outer.faults import Faults, Luck
from ecom.reading import connect
from ecom.service import Impossible
from ecom.services.payment import Captured, Declined, Refunded
from ecom.standins import ShopError

KEY = "capture/1001"


class InFile:
    """The sandbox in this very process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def opened(self):
        return SandboxGateway(self.folder, lambda: 5.0)

    def restart(self):
        """Nothing is left running between two uses."""


class OverHttp:
    """The sandbox behind its HTTP server."""

    def __init__(self, outside) -> None:
        self.folder, self._outside = outside.folder, outside
        outside.start("gateway")

    def opened(self):
        return HttpGateway(self._outside.gateway_url)

    def restart(self):
        self._outside.kill("gateway")
        self._outside.start("gateway")


@pytest.fixture
def outside(tmp_path):
    with outer(tmp_path) as outside:
        yield outside


@pytest.fixture(params=[InFile, OverHttp])
def provider(request, tmp_path):
    """A provider of either kind."""
    if request.param is InFile:
        return InFile(tmp_path)
    return OverHttp(request.getfixturevalue("outside"))


@pytest.fixture
def http(outside):
    """The HTTP one, and what to set its faults with."""
    return OverHttp(outside)


def use(provider, *calls):
    """Make the calls one after another on one gateway: what each returned or raised."""

    async def run():
        gateway = provider.opened()
        try:
            return [await outcome(call(gateway)) for call in calls]
        finally:
            await gateway.close()

    return asyncio.run(run())


async def outcome(call):
    try:
        return await call
    except (GatewayError, Impossible, TimeoutError) as error:
        return type(error)


def capture(card=GOOD_CARD, key=KEY, order="1001", amount=1200):
    return lambda gateway: gateway.capture(key, order, amount, card)


def refund(key="refund/1001", order="1001", amount=1200):
    return lambda gateway: gateway.refund(key, order, amount)


def ledger(provider):
    with closing(connect(provider.folder, "gateway")) as db:
        return db.execute("SELECT key, kind, outcome FROM ledger ORDER BY rowid").fetchall()


# ── The contract ──────────────────────────────────────────────────────────────────────────────
def test_one_key_has_one_effect_and_one_answer(provider):
    """Asked three times, the money is taken once."""
    assert use(provider, capture(), capture(), capture()) == [Captured("1001")] * 3
    assert ledger(provider) == [(KEY, "capture", "captured")]


def test_a_key_is_remembered_over_restarts(provider):
    """The provider may crash between two calls: its ledger is durable."""
    first = use(provider, capture(DECLINED_CARD))
    provider.restart()
    assert use(provider, capture(DECLINED_CARD)) == first
    assert ledger(provider) == [(KEY, "capture", "declined")]


def test_calls_under_one_key_at_the_same_time_have_one_effect(provider):
    """Fifty at once: one row, one answer."""

    async def run():
        gateway = provider.opened()
        answers = await asyncio.gather(*(capture()(gateway) for _ in range(50)))
        await gateway.close()
        return answers

    assert asyncio.run(run()) == [Captured("1001")] * 50
    assert len(ledger(provider)) == 1


def test_a_declined_card_stays_declined_under_its_key(provider):
    """The first answer stands, even if the card is a good one the next time."""
    answers = use(provider, capture(DECLINED_CARD), capture(GOOD_CARD))
    assert answers == [Declined("1001", CARD_DECLINED)] * 2


def test_a_processing_error_leaves_no_trace(provider):
    """It may be asked again, and nothing was taken."""
    assert use(provider, capture(ERROR_CARD)) == [GatewayError]
    assert ledger(provider) == []


def test_a_refund_without_its_capture_is_impossible(provider):
    """Nothing captured, only declined, another amount, another order: no money goes back."""
    answers = use(
        provider, refund(), capture(DECLINED_CARD), refund(),
        capture(key="capture/1002", order="1002"), refund("refund/1002", "1002", 1199),
        refund("refund/1003", "1003"),
    )  # fmt: skip
    assert [answer for answer in answers if answer is Impossible] == [Impossible] * 4
    assert "refunded" not in {outcome for _, _, outcome in ledger(provider)}


def test_a_refund_is_made_once(provider):
    """Asked twice under its key, over a restart: one row."""
    assert use(provider, capture(), refund()) == [Captured("1001"), Refunded("1001")]
    provider.restart()
    assert use(provider, refund()) == [Refunded("1001")]
    assert [outcome for _, _, outcome in ledger(provider)] == ["captured", "refunded"]


def test_a_key_that_belongs_to_something_else_is_refused(provider):
    """Another order or amount under a known key is a mistake, not a repetition."""
    answers = use(provider, capture(), capture(amount=1), capture(order="1002"), refund(KEY))
    assert answers == [Captured("1001"), Impossible, Impossible, Impossible]
    assert len(ledger(provider)) == 1


# ── What can go wrong on the way ──────────────────────────────────────────────────────────────
def test_a_call_given_up_after_the_money_was_taken_may_be_repeated(http, outside):
    """The answer is late, the caller gives up, asks again under the same key: captured once."""
    outside.set_faults(delay=60.0)

    def impatient(gateway):
        return asyncio.wait_for(capture()(gateway), 0.3)

    def in_time(gateway):
        outside.set_faults()
        return capture()(gateway)

    assert use(http, impatient, in_time) == [TimeoutError, Captured("1001")]
    assert ledger(http) == [(KEY, "capture", "captured")]


def test_a_connection_cut_after_the_money_was_taken_is_an_error_to_repeat(http, outside):
    """No answer is no outcome; the next call under the key tells it."""
    outside.set_faults(fail_after=1.0)
    assert use(http, capture()) == [GatewayError]
    assert ledger(http) == [(KEY, "capture", "captured")]
    outside.set_faults()
    assert use(http, capture()) == [Captured("1001")]
    assert len(ledger(http)) == 1


@pytest.mark.parametrize("faults", [{"fail_before": 1.0}, {"down": True}])
def test_an_error_before_the_deed_leaves_no_trace(http, outside, faults):
    """The provider is out of order: ask again, nothing was taken."""
    outside.set_faults(**faults)
    assert use(http, capture()) == [GatewayError]
    assert ledger(http) == []


def test_a_provider_that_is_gone_is_an_error_and_found_again_where_it_was(http, outside):
    """Killed under open connections, started again: the same address, the same ledger."""

    def gone(gateway):
        outside.kill("gateway")
        return capture()(gateway)

    def back(gateway):
        outside.start("gateway")
        return capture()(gateway)

    answers = use(http, capture(), gone, back)
    assert answers == [Captured("1001"), GatewayError, Captured("1001")]
    assert len(ledger(http)) == 1


def test_an_answer_that_comes_twice_is_never_taken_for_another_call_s(http, outside):
    """Good and bad cards in turn over few connections: none is told the other's outcome."""
    outside.set_faults(duplicate=1.0)

    async def pay(gateway, n):
        card = GOOD_CARD if n % 2 else DECLINED_CARD
        while True:
            try:
                return await gateway.capture(f"capture/{n}", str(n), 100, card)
            except GatewayError:
                continue  # as the runtime does, at its own pace

    async def run():
        gateway = http.opened()
        answers = [await pay(gateway, n) for n in range(50)]
        answers += await asyncio.gather(*(pay(gateway, n) for n in range(50, 150)))
        await gateway.close()
        return answers

    expected = [Captured(str(n)) if n % 2 else Declined(str(n), CARD_DECLINED) for n in range(150)]
    assert asyncio.run(run()) == expected
    assert len(ledger(http)) == 150


@pytest.mark.parametrize("status", [200, 409, 302, 401, 503])
def test_what_is_no_answer_is_an_error_to_repeat(status):
    """A proxy's page, another key's answer or refusal, half an answer: the outcome is unknown."""
    other = b'{"key": "other", "outcome": "captured"}'
    refunded = b'{"key": "capture/1001", "outcome": "refunded"}'
    answers = [b"<html>Hello</html>", b"", b"\xff", other, b"[" * 100_000, b"{}"]
    answers += [refunded] if status == 200 else []

    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        body = answers[served.pop(0)]
        writer.write(b"HTTP/1.1 %d OK\r\nContent-Length: %d\r\n\r\n" % (status, len(body)) + body)
        writer.close()

    async def run():
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            gateway = HttpGateway(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
            try:
                return [await outcome(capture()(gateway)) for _ in answers]
            finally:
                await gateway.close()

    served = list(range(len(answers)))
    assert asyncio.run(run()) == [GatewayError] * len(answers)


# ── The provider's own door ───────────────────────────────────────────────────────────────────
def test_malformed_calls_move_no_money(http, outside):
    """Every one is refused with a 4xx that says why, and the ledger stays empty."""
    good = {"order_id": "1001", "amount": 1200, "card": GOOD_CARD}
    bad = [
        b"", b"{", b"[" * 100_000, b'"\xff"', b"null",
        *({**good, **wrong} for wrong in ({"amount": -1}, {"amount": 1.5}, {"amount": True},
          {"amount": 2**63}, {"amount": None}, {"order_id": ""}, {"order_id": 7}, {"card": ""})),
    ]  # fmt: skip
    with httpx.Client(base_url=outside.gateway_url) as client:
        for body in bad:
            sent = {"content": body} if isinstance(body, bytes) else {"json": body}
            answer = client.post("/captures", headers={"Idempotency-Key": "k"}, **sent)
            assert (answer.status_code, answer.text != "") == (422, True), body
        assert client.post("/captures", json=good).status_code == 422  # without a key
        assert client.get("/ledger").json() == []


def test_the_ledger_can_be_read_from_outside(http, outside):
    """Another program sees what was moved, by HTTP."""
    use(http, capture())
    (row,) = httpx.get(f"{outside.gateway_url}/ledger").json()
    assert (row["key"], row["amount"], row["outcome"]) == (KEY, 1200, "captured")


def test_a_fault_nobody_knows_is_refused(http, outside):
    """One sentence that names it; the faults stay as they were."""
    outside.set_faults(delay=0.25)
    for wrong in ({"fail_befor": 0.1}, {"fail_before": 1.5}, {"delay": -1}, {"down": "yes"}):
        with pytest.raises(ShopError, match=next(iter(wrong))):
            outside.set_faults(**wrong)
    assert httpx.get(f"{outside.gateway_url}/faults").json()["delay"] == 0.25


def test_faults_come_as_often_as_asked_and_again_as_before():
    """Drawn by key and seed, not by order of arrival: two runs of the same calls fare alike."""
    keys = [f"capture/{n}" for n in range(10_000)]
    faults = Faults(fail_before=0.15, fail_after=0.15, duplicate=0.1, seed=7)
    first, luck = Luck(faults), Luck(faults)
    fates = {key: first.of(key) for key in keys}
    assert {key: luck.of(key) for key in reversed(keys)} == fates
    assert {key: Luck(Faults(fail_before=0.15, seed=8)).of(key) for key in keys} != fates
    for fate, share in {"before": 0.15, "after": 0.15, "twice": 0.1, "well": 0.6}.items():
        assert list(fates.values()).count(fate) / len(keys) == pytest.approx(share, abs=0.02)
