"""The API, over real HTTP: what is accepted stays accepted, what is wrong is named."""

import json
import re
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress

import httpx
import pytest
import serving
from helpers import Hand
from serving import LINE, ORDER

from ecom.events import Line
from ecom.runtime.messages import Command
from ecom.runtime.tables import Counter
from ecom.services.order import Order, PlaceOrder
from ecom.shop.api_client import AT_ONCE, Client
from ecom.stores.base import Transaction
from ecom.stores.query import MoreThan
from ecom_lab.shop import SAGA


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    """A client that needs no token."""
    with serving.api(tmp_path_factory.mktemp("api")) as client:
        yield client


def place(api, order=ORDER, key=None):
    return api.post("/orders", json=order, headers={"Idempotency-Key": key} if key else {})


def count(api, after=0):
    """How many orders there are, read page by page."""
    page = api.get("/orders", params={"limit": 1000, "after": after}).json()
    return len(page) + count(api, page[-1]["order_id"]) if page else 0


def test_an_order_is_accepted_as_pending_and_can_be_read(api):
    """With its total, without its card."""
    answer = place(api)
    assert answer.status_code == 202
    order = answer.json()
    assert (order["state"], order["total"], order["lines"]) == ("PENDING", 2500, [LINE])
    assert api.get(f"/orders/{order['order_id']}").json() == order
    assert "4242" not in answer.text


def test_orders_are_listed_by_number_and_read_on_after_one(api):
    placed = [each["order_id"] for each in place(api, [ORDER] * 5).json()]
    listed = api.get("/orders", params={"after": placed[1], "limit": 2}).json()
    assert [each["order_id"] for each in listed] == placed[2:4]
    assert not any("lines" in each for each in (*listed, *place(api, [ORDER]).json()))
    assert api.get("/orders", params={"state": "CONFIRMED"}).json() == []


def test_the_ten_thousandth_order_comes_after_those_before_it():
    """As a number, not as a text: who reads on after 9999 must find 10000."""
    hand = Hand(SAGA.services["order"])
    transaction = Transaction(hand.store)
    transaction[Counter].put(Counter("orders", 8_998))
    transaction.commit()
    hand.give(*[Command(str(n), PlaceOrder("a@b", "c", (Line("T", 1),))) for n in range(3)])
    after = hand.rows(Order, number=MoreThan(9_998))
    assert [order.order_id for order in after] == ["9999", "10000", "10001"]


BAD = {  # what is wrong: the order, and the field that the answer must name
    "no customer": ({**ORDER, "customer": None}, "customer"),
    "no address": ({**ORDER, "customer": "lotte"}, "customer"),
    "two lines of a header": ({**ORDER, "customer": "a@b\nBcc: c@d"}, "customer"),
    "a newline at the end": ({**ORDER, "customer": "a@b\n"}, "customer"),
    "a long address": ({**ORDER, "customer": "a@" + "b" * 254}, "customer"),
    "no card": ({key: ORDER[key] for key in ("customer", "lines")}, "card"),
    "a card of a wrong kind": ({**ORDER, "card": 4242}, "card"),
    "a card with spaces": ({**ORDER, "card": "4242 4242"}, "card"),
    "no lines": ({**ORDER, "lines": []}, "lines"),
    "1,001 lines": ({**ORDER, "lines": [LINE] * 1_001}, "lines"),
    "lines that are none": ({**ORDER, "lines": {"TEA": 1}}, "lines"),
    "an unknown field": ({**ORDER, "discount": 1}, "discount"),
    "no sku": ({**ORDER, "lines": [{"quantity": 1}]}, "sku"),
    "an empty sku": ({**ORDER, "lines": [{**LINE, "sku": ""}]}, "sku"),
    "a sku with a NUL": ({**ORDER, "lines": [{**LINE, "sku": "a\0"}]}, "sku"),
    "a long sku": ({**ORDER, "lines": [{**LINE, "sku": "x" * 65}]}, "sku"),
    "nothing of it": ({**ORDER, "lines": [{**LINE, "quantity": 0}]}, "quantity"),
    "less than nothing": ({**ORDER, "lines": [{**LINE, "quantity": -1}]}, "quantity"),
    "half of it": ({**ORDER, "lines": [{**LINE, "quantity": 0.5}]}, "quantity"),
    "true": ({**ORDER, "lines": [{**LINE, "quantity": True}]}, "quantity"),
    "a number as text": ({**ORDER, "lines": [{**LINE, "quantity": "2"}]}, "quantity"),
    "2^63": ({**ORDER, "lines": [{**LINE, "quantity": 2**63}]}, "quantity"),
    "a negative price": ({**ORDER, "lines": [{**LINE, "unit_price": -1}]}, "unit_price"),
    "more than all the money": (
        {**ORDER, "lines": [{**LINE, "quantity": 10**6, "unit_price": 10**8}] * 20},
        "lines",
    ),
    "names too long for an event": (
        {**ORDER, "lines": [{**LINE, "sku": "𝄞" * 64}] * 900},
        "lines",
    ),
    "an unknown field no text can hold": ({**ORDER, "\ud800": 1}, "order"),
    "a lone surrogate": ({**ORDER, "lines": [{**LINE, "sku": "\ud800"}]}, "sku"),
    "not a number": ({**ORDER, "lines": [{**LINE, "quantity": float("nan")}]}, "quantity"),
    "infinitely many": ({**ORDER, "lines": [{**LINE, "quantity": float("inf")}]}, "quantity"),
    "the second of two": ([ORDER, {**ORDER, "card": ""}], "1, card"),
    "an empty list": ([], "orders"),
    "lists in lists": ([[ORDER]], "orders"),
    "a number": (7, "order"),
    "nothing": (None, "order"),
}


@pytest.mark.parametrize(("order", "field"), BAD.values(), ids=BAD)
def test_a_mistake_is_answered_with_its_field(api, order, field):
    """Nothing is placed, the field is named once, and what was sent is not sent back."""
    before = count(api)
    answer = api.post(
        "/orders", content=json.dumps(order), headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 422
    (detail,) = answer.json()["detail"]
    assert field in ", ".join(detail["loc"])
    assert not re.search(r"\^|Input|Value error|String|List|valid|permitted|parse", detail["msg"])
    assert ORDER["card"] not in answer.text
    assert count(api) == before


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000 + b"]" * 100_000,
        b"9" * 5_000,
        b'{"a":' * 100_000,
        b'"' + b"x" * 1_000_000 + b'"',
        b"\x00" * 100,
        json.dumps(ORDER).encode("utf-16")[:-1],
    ],
    ids=[
        "empty",
        "half",
        "a mark",
        "deep",
        "5,000 digits",
        "deep and half",
        "a long text",
        "zeros",
        "odd UTF-16",
    ],
)
def test_what_is_not_json_is_a_mistake_of_the_caller_and_not_ours(api, body):
    answer = api.post("/orders", content=body, headers={"Content-Type": "application/json"})
    assert 400 <= answer.status_code < 500
    assert len(answer.content) < 1_000


TEXT = json.dumps(ORDER)
JSON = {"Content-Type": "application/json"}
TWICE = {  # what is given twice: how it is asked for, and in which words it is refused
    "a key": ("POST", "/orders", TEXT, [*JSON.items(), *[("idempotency-key", "a")] * 2]),
    "a kind": ("POST", "/orders", TEXT, [*JSON.items(), ("content-type", "text/plain")]),
    "a parameter": ("GET", "/orders?limit=1&l%69mit=2", "", []),
    "one that nobody asked for": ("GET", "/health?x&x", "", []),
    "a member": ("POST", "/orders", TEXT[:-1] + ', "c\\u0061rd": "4242"}', JSON),
    "one of a line": ("POST", "/orders", TEXT.replace("{", '{"sku": "KITE", '), JSON),
    "one in a list": ("POST", "/orders", f'[{TEXT}, {{"card": 1, "card": 1}}]', JSON),
    "one that no text can hold": ("POST", "/orders", r'{"\ud800": 1, "\ud800": 1}', JSON),
}


@pytest.mark.parametrize("asked", TWICE.values(), ids=TWICE)
def test_what_is_given_twice_is_refused_by_name(api, asked):
    """Whichever of the two were taken, another reader might take the other; nothing is placed."""
    before, (method, path, content, headers) = count(api), asked
    answer = api.request(method, path, content=content, headers=headers)
    assert answer.status_code == 400
    assert re.fullmatch(r"'.+' is given twice: give it once", answer.json()["detail"])
    assert count(api) == before


def test_a_parameter_that_is_not_known_is_refused_by_name(api):
    """Whoever misspells a condition is not told of orders that do not meet it, and what was not
    understood places nothing; whoever asks for health may add what he likes."""
    before = count(api)
    answer = api.get("/orders?sate=PENDING&limit=1")
    assert (answer.status_code, answer.json()["detail"]) == (
        422,
        [{"loc": ["query", "sate"], "msg": "is not known here", "type": "extra_forbidden"}],
    )
    assert api.post("/orders?rehearse=1", json=ORDER).status_code == 422
    assert count(api) == before
    assert api.get("/health?t=1").status_code == 200


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"\xef\xbb\xbf" + TEXT.encode(), 202),
        (TEXT.encode("utf-16"), 202),
        (TEXT.encode() + b"\r\n\t ", 202),
        (TEXT.encode() + b"{}", 422),
        (TEXT.encode() + b"\0", 422),
        (TEXT.replace(": 2,", ": Infinity,").encode(), 422),
        (TEXT.replace(": 2,", ": 2.0,").encode(), 422),
        (TEXT.replace(": 2,", ": 2e0,").encode(), 422),
        (TEXT.replace(": 2,", ": -NaN,").encode(), 422),
        (TEXT.replace('"', "'").encode(), 422),
        (TEXT.replace("lotte", "l\xf6tte").encode("latin-1"), 400),
    ],
)
def test_a_body_is_read_rightly_or_refused(api, body, status):
    """Whatever its encoding, if JSON's own rules tell it; nothing but JSON is read."""
    before = count(api)
    answer = api.post("/orders", content=body, headers=JSON)
    assert answer.status_code == status, answer.text
    if status == 202:
        assert (answer.json()["customer"], answer.json()["lines"]) == (ORDER["customer"], [LINE])
    else:
        assert answer.json()["detail"]
    assert count(api) == before + (status == 202)


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "chunked"])
def test_a_body_over_16_mib_is_refused(api, declared):
    """Whether its length is announced or it just comes."""
    chunk = b" " * 2**20
    content = chunk * 17 if declared else (chunk for _ in range(17))
    assert api.post("/orders", content=content).status_code == 413
    assert api.get("/health").status_code == 200


def test_one_idempotency_key_is_one_request(api):
    """The same again gives the same orders; anything else under the key is refused, whole."""
    first = place(api, [ORDER, ORDER], "one-key").json()
    assert place(api, [ORDER, ORDER], "one-key").json()[0]["order_id"] == first[0]["order_id"]
    before = count(api)
    longer, shorter = [ORDER, ORDER, ORDER], [ORDER]
    other = [ORDER, {**ORDER, "customer": "max@example.com"}]
    for body in (longer, shorter, other, ORDER):
        answer = place(api, body, "one-key")
        assert answer.status_code == 422
        assert "Idempotency-Key" in answer.json()["detail"]
    assert count(api) == before


def test_a_single_orders_key_is_not_that_of_a_list(api):
    one = place(api, ORDER, "single").json()
    assert place(api, ORDER, "single").json() == one
    assert place(api, [ORDER], "single").status_code == 422
    place(api, [ORDER, ORDER], "list")
    other = {**ORDER, "customer": "max@example.com"}
    assert [place(api, other, key).status_code for key in ("list1", "list/1")] == [202, 202]


@pytest.mark.parametrize("key", ["", "x" * 201, "a b", "é".encode()])
def test_a_malformed_key_is_refused_by_name(api, key):
    answer = api.post("/orders", json=ORDER, headers={"Idempotency-Key": key})
    assert answer.status_code == 422
    assert "Idempotency-Key" in answer.text


def test_an_order_can_be_cancelled_and_cancelled_again(api):
    order_id = place(api).json()["order_id"]
    first = api.post(f"/orders/{order_id}/cancel")
    assert (first.status_code, first.json()["state"]) == (202, "CANCELLED")
    assert first.json()["reason"] == "cancelled by customer"
    assert api.post(f"/orders/{order_id}/cancel").json() == first.json()
    said = [entry["type"] for entry in api.get(f"/orders/{order_id}/history").json()]
    assert said == ["order.created", "order.cancelled"]


@pytest.mark.parametrize(
    ("method", "path"), [("GET", ""), ("POST", "/cancel"), ("GET", "/history")]
)
def test_an_unknown_order_is_not_found(api, method, path):
    answer = api.request(method, f"/orders/999999{path}")
    assert (answer.status_code, answer.json()["detail"]) == (404, "there is no order 999999")


@pytest.mark.parametrize(
    "path",
    [
        "/orders/x",
        "/orders/1%0A",
        "/orders/-1",
        "/orders/" + "9" * 19,
        "/orders?limit=0",
        "/orders?limit=1001",
        "/orders?state=LOST",
        "/orders?after=x",
    ],
)
def test_a_malformed_question_is_refused(api, path):
    assert api.get(path).status_code == 422


def test_where_no_token_is_needed_none_is_given(api):
    """Nothing could be told from them: whoever reaches it may do all."""
    answer = api.post("/customers/lotte@example.com/token")
    assert (answer.status_code, "ECOM_HTTP_TOKEN" in answer.json()["detail"]) == (409, True)


def test_a_thousand_orders_fit_one_request_and_one_more_does_not(api):
    before = count(api)
    numbers = [int(each["order_id"]) for each in place(api, [ORDER] * 1_000).json()]
    assert numbers == list(range(numbers[0], numbers[0] + 1_000))
    assert place(api, [ORDER] * 1_001).status_code == 422
    assert count(api) == before + 1_000


def test_our_own_client_places_more_in_as_many_requests_as_it_takes(api):
    """Two full ones and one for the rest: a number for each order, in order. For none, none."""
    before, wanted = count(api), 2 * AT_ONCE + 1
    with closing(Client(lambda: str(api.base_url), None)) as client:
        numbers = [int(each) for each in client.place([ORDER] * wanted)]
        assert client.place([]) == []
    assert numbers == list(range(numbers[0], numbers[0] + wanted))
    assert count(api) == before + wanted


@pytest.fixture
def locked(tmp_path):
    """A client, and a transaction of somebody else's, in a shell, say."""
    with (
        serving.api(tmp_path) as api,
        closing(sqlite3.connect(tmp_path / "order.db", isolation_level=None)) as foreign,
    ):
        foreign.execute("BEGIN IMMEDIATE")
        yield api, foreign


def test_whoever_locks_the_database_keeps_nobody_else_waiting(locked):
    """An order waits for it, and nothing else does."""
    api, foreign = locked
    with ThreadPoolExecutor(1) as pool:
        placing = pool.submit(api.post, "/orders", json=ORDER, timeout=60)
        for _ in range(5):
            assert api.get("/orders", timeout=4).json() == []
        assert not placing.done()
        foreign.execute("ROLLBACK")
        assert placing.result().status_code == 202


def test_what_comes_while_the_database_is_locked_makes_one_transaction(locked):
    """What waits for a sibling's transaction grows meanwhile: so the two make few."""
    api, foreign = locked
    body = json.dumps(ORDER)
    head = "POST /orders HTTP/1.1\r\nHost: x\r\nContent-Type: application/json"
    asked = f"{head}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
    with serving.connect(api) as one, serving.connect(api) as other:
        for caller in (one, other):
            caller.sendall(asked)
            for _ in range(2):
                assert api.get("/orders").json() == []  # so what was sent before has been read
        foreign.execute("ROLLBACK")
        for caller in (one, other):
            assert caller.recv(1_000).startswith(b"HTTP/1.1 202 ")
    assert foreign.execute("SELECT count(*) FROM handled").fetchall() == [(1,)]


def test_a_command_has_a_deadline_and_is_never_done_after_it(locked, tmp_path):
    """It is answered 503, as documented; so does a look at its health, which tries to write. The
    log says nothing of it that an operator could not read."""
    api, foreign = locked
    with ThreadPoolExecutor(2) as pool:
        placing = pool.submit(api.post, "/orders", json=ORDER, timeout=60)
        cancelling = pool.submit(api.post, "/orders", json=[ORDER] * 3, timeout=60)
        assert api.get("/health").status_code == 503
        for answer in (placing.result(), cancelling.result()):
            assert (answer.status_code, "try again" in answer.json()["detail"]) == (503, True)
    foreign.execute("ROLLBACK")
    assert place(api).status_code == 202
    assert api.get("/health").status_code == 200
    assert count(api) == 1
    assert "never retrieved" not in (tmp_path / "order-1.log").read_text()


def test_who_locks_the_database_for_reading_too_keeps_nobody_waiting(tmp_path):
    """As a program does that wants it for itself: every answer is a 503, and soon."""
    with (
        serving.api(tmp_path) as api,
        closing(sqlite3.connect(tmp_path / "order.db", isolation_level=None)) as foreign,
    ):
        foreign.execute("PRAGMA locking_mode = EXCLUSIVE")
        with suppress(sqlite3.OperationalError):  # others are reading it
            foreign.execute("BEGIN EXCLUSIVE")
        for path in ("/orders", "/orders/1001", "/orders/1001/history", "/health"):
            assert api.get(path, timeout=4).status_code in (200, 404, 503)
        assert api.post("/orders/1001/cancel", timeout=20).status_code in (404, 503)


def test_an_order_whose_customer_went_away_is_not_placed(locked):
    """They had no answer, and may have ordered elsewhere."""
    api, foreign = locked
    with pytest.raises(httpx.ReadTimeout):
        api.post("/orders", json=ORDER, timeout=0.5)
    assert api.get("/orders").json() == []  # it is known by now that they are gone
    foreign.execute("ROLLBACK")
    assert place(api).status_code == 202
    assert count(api) == 1


@pytest.mark.parametrize("path", ["/orders/", "/health/", "//orders", "/orders/1/history/"])
def test_what_is_not_there_is_not_elsewhere(api, path):
    """A redirect would lead to whatever host the caller names."""
    answer = api.get(path, headers={"Host": "evil.example"})
    assert (answer.status_code, "location" in answer.headers) == (404, False)
