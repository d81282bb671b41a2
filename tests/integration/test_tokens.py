"""Who may do what by HTTP: the checkout all, a customer what is theirs, a stranger nothing."""

import base64
import re
import stat
import time

import httpx
import jwt
import pytest
import serving
from helpers import process, steady
from hypothesis import given
from hypothesis import strategies as st
from serving import ORDER, connect, nowhere

from ecom import Shop
from ecom.api.auth import check_token, customer_token, signing_key, verified_customer
from ecom.errors import ShopError
from ecom.settings import Settings
from ecom.shop.folder import token_file

TOKEN = "a token that is none, as it has spaces".replace(" ", "-") * 2
LOTTE, MAX = "lotte@example.com", "max@example.com"


def base64url(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A client with the checkout's token."""
    with serving.api(tmp_path_factory.mktemp("api"), TOKEN) as client:
        yield client


@pytest.fixture(scope="module")
def customer(checkout):
    """Make a client with a customer's token, as the checkout was given it."""

    def made(address):
        token = checkout.post(f"/customers/{address}/token").json()["token"]
        return httpx.Client(base_url=checkout.base_url, headers=bearer(token))

    clients = {address: made(address) for address in (LOTTE, MAX)}
    yield clients.__getitem__
    for client in clients.values():
        client.close()


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def place(client, address, key=None, several=0):
    order = {**ORDER, "customer": address}
    body = [order] * several if several else order
    return client.post("/orders", json=body, headers={"Idempotency-Key": key} if key else {})


def numbers(client, **params):
    return [order["order_id"] for order in client.get("/orders", params=params).json()]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/orders"),
        ("GET", "/orders"),
        ("GET", "/orders/1001"),
        ("GET", "/openapi.json"),
        ("POST", "/orders/1001/cancel"),
        ("GET", "/orders/1001/history"),
        ("GET", "/elsewhere"),
        ("POST", f"/customers/{LOTTE}/token"),
        ("GET", "/health/"),
        ("GET", "//health"),
    ],
)
def test_a_stranger_is_told_nothing_but_to_bring_a_token(checkout, method, path):
    """Whatever they ask for, whether there is such a thing or not."""
    answer = httpx.request(method, f"{checkout.base_url}{path}")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    "headers",
    [
        [f"Bearer {TOKEN}x"],
        [f"Bearer {TOKEN[:-1]}"],
        [f"Basic {TOKEN}"],
        [TOKEN],
        ["Bearer"],
        [f"Bearer {TOKEN}"] * 2,
        ["Bearer .."],
        ["Bearer a.b.c"],
        ["Bearer é.1.é"],
    ],
)
def test_what_is_not_the_token_is_refused(checkout, headers):
    shown = [(b"Authorization", each.encode()) for each in headers]
    assert httpx.get(f"{checkout.base_url}/orders", headers=shown).status_code == 401


def test_whoever_asks_whether_it_is_well_needs_no_token(checkout):
    assert httpx.get(f"{checkout.base_url}/health").status_code == 200


def test_a_stranger_is_refused_before_their_body_is_read(checkout):
    """It is announced and never comes: the answer does."""
    with connect(checkout) as socket:
        socket.sendall(b"POST /orders HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
        assert socket.recv(1_000).startswith(b"HTTP/1.1 401 ")


def test_customers_meet_their_own_orders_only(checkout, customer):
    """Another's order is not there, in the very words used of one that never was."""
    mine, theirs = (place(checkout, each).json()["order_id"] for each in (LOTTE, MAX))
    lotte = customer(LOTTE)
    assert lotte.get(f"/orders/{mine}").json()["customer"] == LOTTE
    assert lotte.get(f"/orders/{mine}/history").json()[0]["type"] == "order.created"
    assert lotte.post(f"/orders/{mine}/cancel").json()["state"] == "CANCELLED"
    for method, path in (("GET", ""), ("GET", "/history"), ("POST", "/cancel")):
        other, unknown = (lotte.request(method, f"/orders/{n}{path}") for n in (theirs, "999999"))
        assert other.status_code == unknown.status_code == 404
        assert other.text.replace(theirs, "999999") == unknown.text
    assert checkout.get(f"/orders/{theirs}").json()["state"] == "PENDING"


def test_customers_list_their_own_orders_only(checkout, customer):
    both = [place(checkout, each).json()["order_id"] for each in (LOTTE, MAX, LOTTE)]
    checkout.post(f"/orders/{both[2]}/cancel")
    after = str(int(both[0]) - 1)
    assert numbers(checkout, after=after) == both
    assert numbers(customer(LOTTE), after=after) == [both[0], both[2]]
    assert numbers(customer(LOTTE), after=both[0]) == [both[2]]
    assert numbers(customer(LOTTE), after=after, state="CANCELLED") == [both[2]]
    assert numbers(customer(MAX), after=after) == [both[1]]


def test_customers_place_orders_for_themselves_only(checkout, customer):
    """Among others for others, too, nothing is placed."""
    before = numbers(checkout, limit=1000)
    orders = [{**ORDER, "customer": each} for each in (LOTTE, MAX)]
    assert place(customer(LOTTE), MAX).status_code == 403
    assert customer(LOTTE).post("/orders", json=orders).status_code == 403
    assert numbers(checkout, limit=1000) == before
    assert place(customer(LOTTE), LOTTE).json()["customer"] == LOTTE


def test_the_keys_of_two_customers_never_meet(checkout, customer):
    """Nor does a customer's meet the checkout's: else they could be guessed, or used up."""
    clients = (checkout, customer(LOTTE), customer(MAX))
    placed = [
        place(client, address, "key", several=2)
        for client, address in zip(clients, (LOTTE, LOTTE, MAX), strict=True)
    ]
    assert [answer.status_code for answer in placed] == [202] * 3
    assert len({order["order_id"] for answer in placed for order in answer.json()}) == 6
    again = place(customer(LOTTE), LOTTE, "key", several=2)
    ids = [[order["order_id"] for order in answer.json()] for answer in (again, placed[1])]
    assert ids[0] == ids[1]


def test_only_the_checkout_is_given_tokens(checkout, customer):
    assert customer(LOTTE).post(f"/customers/{LOTTE}/token").status_code == 403
    assert checkout.post("/customers/nobody/token").status_code == 422
    given = checkout.post("/customers/o%2Fbrien+%C3%A9@example.com/token").json()
    assert given["customer"] == "o/brien+é@example.com"


def test_a_token_ends_with_its_time_and_with_the_secret_it_was_made_from(checkout):
    now = int(time.time())
    for token, status in (
        (customer_token(TOKEN, LOTTE, now + 600, "shop"), 200),
        (customer_token(TOKEN, LOTTE, now - 1, "shop"), 401),
        (customer_token(TOKEN + "x", LOTTE, now + 600, "shop"), 401),
    ):
        answer = httpx.get(f"{checkout.base_url}/orders", headers=bearer(token))
        assert answer.status_code == status


@steady
@given(st.text(min_size=1), st.integers(60, 2**40))
def test_a_token_names_its_customer_until_it_expires(name, seconds):
    """And not one character of it can be changed."""
    now = int(time.time())
    made = customer_token(TOKEN, name, now + seconds, "shop")
    assert re.fullmatch(r"[!-~]+", made)
    assert verified_customer(TOKEN, made, "shop") == name
    assert verified_customer(TOKEN, customer_token(TOKEN, name, now, "shop"), "shop") is None
    for place in range(len(made)):
        forged = made[:place] + ("0" if made[place] != "0" else "1") + made[place + 1 :]
        assert verified_customer(TOKEN, forged, "shop") is None


@steady
@given(st.text() | st.lists(st.binary()).map(lambda parts: ".".join(map(base64url, parts))))
def test_what_we_did_not_make_is_nobodys_token(text):
    assert verified_customer(TOKEN, text, "shop") is None


KEY = signing_key(TOKEN)
CLAIMS = {"sub": LOTTE, "aud": "ecom api shop", "exp": 2**40}
DEEP = b"[" * 100_000


NEARLY = {
    "another secret": jwt.encode(CLAIMS, signing_key(TOKEN + "x"), "HS256"),
    "another method": jwt.encode(CLAIMS, KEY, "HS512"),
    "unsigned": jwt.encode(CLAIMS, None, "none"),
    "another audience": jwt.encode({**CLAIMS, "aud": "another"}, KEY, "HS256"),
    "any audience": jwt.encode({"sub": LOTTE, "exp": 2**40}, KEY, "HS256"),
    "nobody": jwt.encode({"aud": "ecom api shop", "exp": 2**40}, KEY, "HS256"),
    "an empty name": jwt.encode({**CLAIMS, "sub": ""}, KEY, "HS256"),
    "another shop": customer_token(TOKEN, LOTTE, 2**40, "another"),
    "no shop": jwt.encode({**CLAIMS, "aud": "ecom api"}, KEY, "HS256"),
    "a number": jwt.encode({**CLAIMS, "sub": 7}, KEY, "HS256"),
    "without end": jwt.encode({"aud": "ecom api shop", "sub": LOTTE}, KEY, "HS256"),
    "soon": jwt.encode({**CLAIMS, "exp": "soon"}, KEY, "HS256"),
    "never": jwt.encode({**CLAIMS, "exp": float("inf")}, KEY, "HS256"),
    "no claims": jwt.api_jws.encode(b"none", KEY, "HS256"),
    "deep claims": jwt.api_jws.encode(DEEP, KEY, "HS256"),
    "a deep header": f"{base64url(DEEP)}..",
}


@pytest.mark.parametrize("token", NEARLY.values(), ids=NEARLY)
def test_what_is_not_quite_a_token_is_none(token):
    """Signed with another secret or none, or in another way; for another audience; ill-formed."""
    assert verified_customer(TOKEN, jwt.encode(CLAIMS, KEY, "HS256"), "shop") == LOTTE
    assert verified_customer(TOKEN, token, "shop") is None


@pytest.mark.parametrize("token", ["ssh-rsa-" + "x" * 32, "-----BEGIN-PUBLIC-KEY-----" * 2])
def test_a_secret_that_looks_like_a_key_of_another_kind_signs_tokens_too(token):
    check_token("0.0.0.0", token)
    assert verified_customer(token, customer_token(token, LOTTE, 2**40, "shop"), "shop") == LOTTE


@pytest.mark.parametrize(
    ("host", "token", "says"),
    [
        ("0.0.0.0", None, "set ECOM_HTTP_TOKEN to 32 or more"),
        ("", None, "set ECOM_HTTP_TOKEN to 32 or more"),
        ("127.0.0.1.example.com", None, "set ECOM_HTTP_TOKEN to 32 or more"),
        ("127.0.0.1", "x" * 31, "needs 32 or more"),
        ("127.0.0.1", "x" * 31 + " x", "without spaces"),
    ],
)
def test_the_api_may_be_open_to_other_machines_with_a_good_token_only(host, token, says):
    with pytest.raises(ShopError, match=says) as refused:
        check_token(host, token)
    assert (token or "no token") not in str(refused.value)


@pytest.mark.parametrize(
    ("host", "token"), [("127.0.0.1", None), ("localhost", None), ("0.0.0.0", "x" * 32)]
)
def test_the_api_may_listen_on_loopback_or_with_a_token(host, token):
    check_token(host, token)


@pytest.mark.parametrize(
    ("host", "token", "says"),
    [("0.0.0.0", "", "is open to other machines"), ("192.0.2.1", TOKEN, "cannot listen")],
)
def test_an_api_that_cannot_listen_says_why_in_one_sentence(tmp_path, host, token, says):
    """And the process ends, with the exit status of a mistake."""
    settings = {"ECOM_HTTP_HOST": host, "ECOM_HTTP_TOKEN": token}
    service = process("order", nowhere(), tmp_path, "shop", **settings)
    assert service.wait(30) == 1
    (sentence,) = (tmp_path / "order-1.log").read_text().splitlines()
    assert says in sentence


def test_with_a_token_it_is_open_to_other_machines(tmp_path):
    with serving.api(tmp_path, TOKEN, ECOM_HTTP_HOST="0.0.0.0") as client:
        assert client.get("/orders").json() == []


def test_no_secret_is_shown_with_the_settings(tmp_path):
    settings = Settings(
        "amqp://u:geheim@h/v", tmp_path, http_token="geheim" * 6, smtp_url="smtp://u:geheim@h"
    )
    assert "geheim" not in repr(settings)


def test_a_shop_keeps_its_token_to_itself(broker, tmp_path):
    """In a file for its owner only; the same when it opens again; in no log and no note."""
    with Shop({"BUN": 9}, folder=tmp_path, amqp_url=broker, outside="files") as shop:
        order = shop.place(LOTTE, {"BUN": 1})
        assert httpx.get(f"{shop.url}/orders").status_code == 401
        mine = httpx.get(f"{shop.url}/orders", headers=bearer(shop.token(LOTTE))).json()
        assert [each["order_id"] for each in mine] == [order]
        assert httpx.get(f"{shop.url}/orders", headers=bearer(shop.token(MAX))).json() == []
        shop.settle()
        token = token_file(tmp_path).read_text()
        assert token not in repr(shop)
    assert stat.S_IMODE(token_file(tmp_path).stat().st_mode) == 0o600
    kept = [
        path
        for path in tmp_path.rglob("*")
        if path.is_file() and token.encode() in path.read_bytes()
    ]
    assert kept == [token_file(tmp_path)]
    with Shop({"BUN": 9}, folder=tmp_path, amqp_url=broker, outside="files") as shop:
        assert token_file(tmp_path).read_text() == token
        shop.place(LOTTE, {"BUN": 1})
