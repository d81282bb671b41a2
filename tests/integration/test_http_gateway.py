"""What HTTP adds of trouble to paying, and the HTTP API of the sandbox provider."""

import asyncio
import json
import os
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import urlsplit

import httpx
import pytest
import trustme
from paying import KEY, OverHttp, capture, ledger, outcome, refund, use

from ecom.effects.http_gateway import HttpGateway
from ecom.errors import ShopError
from ecom.events import CARD_DECLINED
from ecom.process import child
from ecom.process.performers import OutcomeUnknown, requested_at
from ecom.runtime.service import Impossible
from ecom.sandbox.cards import DECLINED_CARD, GOOD_CARD
from ecom.sandbox.faults import Faults, Luck
from ecom.services.payment import Capture, Captured, Declined


@pytest.fixture
def http(outside):
    """The HTTP one, and what to set its faults with."""
    return OverHttp(outside)


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


def test_a_provider_that_never_answers_is_given_up_in_time(http, outside, monkeypatch):
    """The outcome is unknown, and nobody waits for ever."""
    monkeypatch.setattr("ecom.effects.http_gateway.TIMEOUT", 0.3)
    outside.set_faults(delay=60.0)
    assert use(http, capture()) == [OutcomeUnknown]


def test_a_connection_cut_after_the_money_was_taken_is_an_error_to_repeat(http, outside):
    """No answer is no outcome; the next call under the key tells it."""
    outside.set_faults(fail_after=1.0)
    assert use(http, capture()) == [OutcomeUnknown]
    assert ledger(http) == [(KEY, "capture", "captured")]
    outside.set_faults()
    assert use(http, capture()) == [Captured("1001")]
    assert len(ledger(http)) == 1


@pytest.mark.parametrize("faults", [{"fail_before": 1.0}, {"down": True}])
def test_an_error_before_the_deed_leaves_no_trace(http, outside, faults):
    """The provider is out of order: ask again, nothing was taken."""
    outside.set_faults(**faults)
    assert use(http, capture()) == [OutcomeUnknown]
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
    assert answers == [Captured("1001"), OutcomeUnknown, Captured("1001")]
    assert len(ledger(http)) == 1


def test_an_answer_that_comes_twice_is_never_taken_for_another_call_s(http, outside):
    """Good and bad cards in turn over few connections: none is told the other's outcome."""
    outside.set_faults(duplicate=1.0)

    async def pay(gateway, n):
        card = GOOD_CARD if n % 2 else DECLINED_CARD
        while True:
            try:
                return await gateway.capture(f"capture/{n}", Capture(str(n), 100, card))
            except OutcomeUnknown:
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
    assert asyncio.run(run()) == [OutcomeUnknown] * len(answers)


# ── The provider's own API ────────────────────────────────────────────────────────────────────
def test_malformed_calls_move_no_money(http, outside):
    """Every one is refused with a 4xx that says why, and the ledger stays empty."""
    good = {"order_id": "1001", "amount": 1200, "card": GOOD_CARD}
    bad = [
        b"",
        b"{",
        b"[" * 100_000,
        b'"\xff"',
        b"null",
        *(
            {**good, **wrong}
            for wrong in (
                {"amount": -1},
                {"amount": 1.5},
                {"amount": True},
                {"amount": 2**63},
                {"amount": None},
                {"order_id": ""},
                {"order_id": 7},
                {"card": ""},
            )
        ),
    ]
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


# ── Over TLS ──────────────────────────────────────────────────────────────────────────────────
class Captures(BaseHTTPRequestHandler):
    """A provider that takes all money."""

    def do_POST(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"key": KEY, "outcome": "captured"}).encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def secure(tmp_path):
    """Its address, and the file with the certificate of who vouches for it."""
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with HTTPServer(("127.0.0.1", 0), Captures) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"https://127.0.0.1:{server.server_port}", str(tmp_path / "ca.pem")
        server.shutdown()
        thread.join()


def test_a_provider_must_prove_who_it_is_also_to_a_process_that_was_forked(secure):
    """Whom that trusts is what its own environment says."""
    url, authority = secure
    ahead = {"imports": ("ecom.effects.http_gateway",), "seconds": 30}
    trusting = {**os.environ, "SSL_CERT_FILE": authority}
    paid = child.call("children:pay", url, environment=trusting, **ahead)
    assert paid == Captured("1001")
    with pytest.raises(child.Died, match="CERTIFICATE_VERIFY_FAILED"):
        child.call("children:pay", url, **ahead)


@pytest.mark.parametrize("password", ["", "guessed", "é"])
def test_a_stranger_moves_no_money_and_sees_none(http, outside, password):
    """Any user of the machine reaches the port; the password is the shop's own."""
    parts = urlsplit(outside.gateway_url)
    stranger = httpx.Client(
        base_url=f"http://{parts.hostname}:{parts.port}",
        auth=("shop", password.encode()) if password else None,
    )
    body, key = {"order_id": "1001", "amount": 0, "card": GOOD_CARD}, "capture/1001"
    with stranger as client:
        assert client.post("/captures", json=body, headers={"Idempotency-Key": key}).is_error
        assert client.put("/faults", json={"down": True}).status_code == 401
        assert client.get("/ledger").status_code == 401
        assert client.get("/faults").status_code == 401
    assert httpx.get(f"{outside.gateway_url}/ledger").json() == []


# ── keys that the provider may have forgotten ─────────────────────────────────────────────────
def days_later(call, days=1.0):
    """The call as it is repeated so long after it was requested: see `Performers.perform`."""

    async def repeat(gateway):
        before = requested_at.set(time.time() - days * 24 * 3600)
        try:
            return await call(gateway)
        finally:
            requested_at.reset(before)

    return repeat


def test_what_is_too_old_to_be_repeated_is_asked_for_and_moves_no_money(http):
    """The answer is the one that there was, whatever would be answered by now."""
    calls = capture(), capture(DECLINED_CARD, "capture/1002", "1002"), refund()
    first = use(http, *calls)
    booked = ledger(http)
    assert use(http, *map(days_later, calls)) == first
    assert ledger(http) == booked


def test_what_is_too_old_and_not_known_is_left_to_a_person(http):
    """No money moves: the provider may have done it and forgotten. A younger call is repeated."""
    assert use(http, days_later(capture()), days_later(refund())) == [Impossible] * 2
    assert ledger(http) == []
    assert use(http, days_later(capture(), 0.5)) == [Captured("1001")]


def test_a_provider_that_does_not_answer_an_old_question_is_asked_again(http, outside):
    outside.kill("gateway")
    assert use(http, days_later(capture())) == [OutcomeUnknown]
