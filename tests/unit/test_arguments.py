"""What comes from outside is taken as what it is, or refused in one sentence."""

import datetime
import math
from contextlib import suppress
from dataclasses import fields
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from helpers import steady
from hypothesis import given
from hypothesis import strategies as st
from shuffled import Shuffled

from ecom import Shop, attach
from ecom.amqp.address import check_url
from ecom.api.schemas import OrderIn
from ecom.effects.http_gateway import HttpGateway
from ecom.effects.smtp import SmtpMailer
from ecom.errors import ShopError
from ecom.harness.dead_letters.dead_letter import read_letter
from ecom.harness.dead_letters.dead_letters import DeadLetters, as_bytes
from ecom.process.databases import Files
from ecom.process.lifecycle import write_note
from ecom.sandbox.faults import Faults
from ecom.settings import Settings, folder_named, home, number, shown
from ecom.shop import arguments
from ecom.shop.arguments import order_for, orders_for
from ecom.shop.records import Records
from ecom_lab.shop import SAGA

SIXES = [
    6,
    6.0,
    Decimal("6"),
    Decimal("6.00"),
    Fraction(12, 2),
    np.int8(6),
    np.uint64(6),
    np.int64(6),
    np.float32(6),
    np.float64(6),
    np.array(6),
    pd.Series([6], dtype="Int64")[0],
    pd.DataFrame({"n": [6, 7]}).n[0],
    pd.Series([6, None])[0],
]
NO_SIXES = [
    True,
    np.True_,
    "6",
    b"6",
    None,
    6.5,
    math.nan,
    math.inf,
    -math.inf,
    Decimal("nan"),
    Decimal("snan"),
    Decimal("inf"),
    Decimal("1e999999999"),
    Decimal("-1e-999999"),
    Fraction(13, 2),
    complex(6),
    10**5_000,
    np.float64("nan"),
    np.array([6]),
    np.array([6, 6]),
    np.timedelta64(6),
    np.datetime64("2026-01-01"),
    pd.NA,
    pd.NaT,
    pd.Series([6]),
    datetime.timedelta(6),
    [6],
    {6: 6},
    object(),
    type,
]


class Hostile:
    """Whatever is asked of it, it raises something else."""

    def __repr__(self):
        raise RecursionError

    __index__ = __float__ = __iter__ = __fspath__ = keys = __repr__
    __hash__ = object.__hash__


texts = st.text() | st.sampled_from(["", "\0", "\ud800", "~", "~nobody-here/x", "a@b", "TEAPOT"])
values = [*SIXES, *NO_SIXES, Hostile()]
scalars = (
    texts | st.integers(0, len(values) - 1).map(lambda n: values[n]) | st.floats() | st.integers()
)
hostile = st.recursive(
    scalars | st.binary(),
    lambda some: (
        st.lists(some, max_size=3)
        | st.dictionaries(st.sampled_from(["sku", "quantity", "unit_price", "x"]), some)
        | st.dictionaries(texts, some, max_size=3)
    ),
    max_leaves=6,
)


@pytest.mark.parametrize("six", SIXES, ids=lambda it: f"{type(it).__name__} {it!r}")
def test_a_number_of_any_kind_is_the_number_that_it_is(six):
    """A plain int: a row of a frame is an order, and its event is the very same bytes."""
    order = order_for("a@b", {"TEAPOT": six})
    assert order["lines"][0]["quantity"] == 6
    assert type(order["lines"][0]["quantity"]) is int
    assert order_for("a@b", [{"sku": "TEAPOT", "quantity": six, "unit_price": six}])["lines"] == [
        {"sku": "TEAPOT", "quantity": 6, "unit_price": 6}
    ]
    shop = Shop({"TEAPOT": six}, hold_seconds=six)
    assert (shop._stock, shop._environment) == ({"TEAPOT": 6}, {"ECOM_HOLD_SECONDS": "6.0"})


@pytest.mark.parametrize("value", NO_SIXES, ids=lambda it: type(it).__name__)
def test_what_is_no_number_is_refused_in_one_sentence(value):
    """Truth values, texts, NaN and infinity are none; the sentence names what and the value."""
    for make in (
        lambda: order_for("a@b", {"TEAPOT": value}),
        lambda: order_for("a@b", [{"sku": "TEAPOT", "quantity": 1, "unit_price": value}]),
        lambda: Shop({"TEAPOT": value}),
        lambda: number("order", value, 1, 10**18, whole=True),
        lambda: arguments.faults({"seed": value}),
    ):
        with pytest.raises(ShopError) as refused:
            make()
        assert_a_sentence(refused.value)


def test_a_fault_is_on_or_off_by_a_truth_value():
    """One of Python or numpy; what else there is, and looks like one, is refused in a sentence."""
    assert arguments.faults({"down": np.True_}) == arguments.faults({"down": True})
    for value in (1, "True", None, Hostile()):
        with pytest.raises(ShopError, match="down must be True or False") as refused:
            arguments.faults({"down": value})
        assert_a_sentence(refused.value)


WRONG = {
    "units below nothing": {"stock": {"KITE": -1}},
    "units that are text": {"stock": {"MOON": "x"}},
    "stock that is a list": {"stock": ["KITE"]},
    "a sku without letters": {"stock": {"": 1}},
    "a sku that is a number": {"stock": {7: 1}},
    "a hold below nothing": {"hold_seconds": -5},
    "a hold without end": {"hold_seconds": math.inf},
    "a hold that is no number": {"hold_seconds": math.nan},
    "a hold that is text": {"hold_seconds": "15m"},
    "an outside that there is not": {"outside": "cloud"},
    "a place that is no address": {"amqp_url": "localhost"},
    "an address of something else": {"amqp_url": "http://localhost"},
    "a port that is none": {"amqp_url": "amqp://h:99999/"},
    "no text": {"amqp_url": 7},
    "a folder with a NUL": {"folder": "a\0b"},
    "a folder of nobody": {"folder": "~nobody-here/x"},
    "a folder that is a number": {"folder": 7},
    "a name that is a number": {"name": 7},
    "a host that is none": {"amqp_url": "amqp://a..b/"},
    "a host too few": {"amqp_url": "amqp://a,/"},
    "a port that is none, of the second host": {"amqp_url": "amqp://a:5672,b:x/"},
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_a_shop_is_not_made_of_what_would_not_work(wrong):
    """At once, before anything is started: an order would wait for ever."""
    with pytest.raises(ShopError) as refused:
        Shop(**wrong)
    assert_a_sentence(refused.value)
    assert next(iter(wrong)) in str(refused.value)


def test_a_folder_may_be_named_as_in_a_shell(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Shop(folder="~/shop")._folder == tmp_path / "shop"


@steady
@given(
    st.dictionaries(
        st.sampled_from(
            [
                *[
                    "stock",
                    "hold_seconds",
                    "outside",
                    "amqp_url",
                    "folder",
                    "name",
                    "database",
                    "saga",
                    "services",
                ]
            ]
        ),
        hostile,
    )
)
def test_whatever_a_shop_is_made_of_it_is_made_or_refused(values):
    _refused_or(lambda: Shop(**values))


@pytest.mark.parametrize("name", ["\n", "x" * 5_000, "\x1b[2J"])
def test_a_name_that_is_not_known_is_shown_on_one_short_line(name):
    for door in (
        lambda: order_for("a@b", {"T": 1}, **{name: 1}),
        lambda: arguments.faults({name: 1}),
        lambda: Shop({name: -1}),
    ):
        with pytest.raises(ShopError) as refused:
            door()
        assert_a_sentence(refused.value)


@steady
@given(hostile, hostile, hostile | st.none())
def test_whatever_an_order_is_made_of_it_is_one_or_refused(customer, lines, card):
    """What is not refused here can be sent: it is JSON, and whole numbers are within bounds."""
    order = _refused_or(lambda: order_for(customer, lines, card))
    if order:
        order["customer"], order["card"] = "a@b", "4242"  # the API judges these
        with suppress(ValueError):  # of no lines, or too many
            OrderIn.model_validate(order)


@steady
@given(hostile)
def test_whatever_else_is_handed_over_is_taken_or_refused(value):
    for door in (
        orders_for,
        lambda it: orders_for([it]),
        arguments.order_id,
        lambda it: folder_named("folder", it),
        lambda it: number("timeout", it, 0, math.inf),
        lambda it: check_url("amqp_url", it),
        lambda it: [arguments.faults({name: it}) for name in Faults.__struct_fields__],
    ):
        _refused_or(lambda door=door: door(value))


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """Those of a shop with one order, which is closed."""
    world = Shuffled(tmp_path_factory.mktemp("records"), seed=1)
    world.place(0, card="4242")
    world.finish()
    return Records(world.folder)


@steady
@given(hostile | st.none())
def test_whatever_records_are_asked_for_they_answer_or_refuse(records, value):
    for door in (
        records.orders,
        records.events,
        records.emails,
        records.history,
        records.at,
        lambda it: records.table(it, "orders"),
        lambda it: records.table("order", it),
    ):
        _refused_or(lambda door=door: door(value))


def test_an_order_is_found_by_its_number_too(records):
    """As it comes out of a frame; no frame is empty for that, nor for a state that there is not."""
    for number_ in (1001, np.int64(1001)):
        assert records.events(number_).equals(records.events("1001"))
        assert repr(records.history(number_)) == repr(records.history("1001"))
    with pytest.raises(ShopError, match="no state 'confirmed': choose of PENDING, CONFIRMED"):
        records.orders("confirmed")


@steady
@given(hostile | st.none())
def test_whatever_is_done_to_dead_letters_it_is_done_or_refused(records, value):
    """No broker is there: what is not refused before is refused for that."""
    letters = DeadLetters(SAGA, "amqp://nobody:no@127.0.0.1:1/", "shop", records.folder)
    letter = read_letter("audit", {"ce-id": "1"}, b"{}")
    for door in (
        letters.replay,
        lambda it: letters.replay("1", override=it),
        lambda it: letters.drop(it, "a reason"),
        lambda it: letters.drop("1", it),
        lambda it: letter.edited(as_bytes(it)),
    ):
        _refused_or(lambda door=door: door(value))


@steady
@given(st.text(alphabet=st.characters(blacklist_characters="\0", blacklist_categories=["Cs"])))
def test_whatever_the_environment_says_is_taken_or_refused(value):
    for name in ("HOME", *(field.name.upper() for field in fields(Settings))):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("ECOM_AMQP_URL", "amqp://h/v")
            patch.setenv("ECOM_FOLDER", "x")
            patch.setenv(f"ECOM_{name}", value)
            _refused_or(Settings.from_environment)
            _refused_or(home)


def test_a_folder_that_cannot_be_is_refused_by_name(tmp_path):
    """Of a service's database, and of what any process says when it is ready."""
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "x", tmp_path / ("x" * 300)):
        for make in (Files(folder).provide, lambda it, at=folder: write_note(at, it.name)):
            with pytest.raises(ShopError, match="cannot be a folder of ours") as refused:
                make(SAGA.services["audit"])
            assert str(folder) in str(refused.value)
    write_note(tmp_path / "new", "provisioner")
    assert (tmp_path / "new" / "provisioner-1.json").exists()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ECOM_HOLD_SECONDS", "15m"),
        ("ECOM_HOLD_SECONDS", "inf"),
        ("ECOM_HOLD_SECONDS", "-1"),
        ("ECOM_TALLY_SECONDS", "nan"),
        ("ECOM_HTTP_PORT", "80.5"),
        ("ECOM_HTTP_PORT", "65536"),
        ("ECOM_REPLICA", "../x"),
        ("ECOM_AMQP_URL", ""),
        ("ECOM_FOLDER", ""),
        ("ECOM_FOLDER", "~nobody-here/x"),
    ],
)
def test_a_setting_is_refused_by_its_name_and_value(monkeypatch, variable, value):
    monkeypatch.setenv("ECOM_AMQP_URL", "amqp://h/v")
    monkeypatch.setenv("ECOM_FOLDER", "x")
    monkeypatch.setenv(variable, value)
    with pytest.raises(ShopError) as refused:
        Settings.from_environment()
    assert_a_sentence(refused.value)
    assert variable in str(refused.value)
    assert value in str(refused.value)


URLS = ["{}://me:pa/geheim@h/v", "{}://me:geheim#@h", "{}://me:geheim@h:x", "{}://me:geheim@[::1/v",
        "{}x://me:geheim@h/v", "me:geheim@h"]  # fmt: skip


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize(
    ("scheme", "make"),
    [
        ("amqp", lambda url: check_url("ECOM_AMQP_URL", url)),
        ("amqp", lambda url: Shop(amqp_url=url)),
        ("smtp", lambda url: SmtpMailer(url, "shop")),
        ("https", HttpGateway),
    ],
)
def test_no_refusal_of_an_address_quotes_a_part_of_its_password(scheme, make, url):
    """Nor does what it was raised from, which a traceback shows."""
    with pytest.raises(ShopError) as refused:
        make(url.format(scheme))
    assert_a_sentence(refused.value)
    error = refused.value
    while error is not None:
        assert "geheim" not in str(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


DATABASES = [None, 7, "x", "\ud800", "postgresql://", "http://me:geheim@h/x",
             "postgresql://me:geheim@[::1/x", "postgresql://me:geheim@a..b/x",
             "postgresql://me:geheim@h:x/y", "postgresql://h/x?bogus=1"]  # fmt: skip


@pytest.mark.parametrize("url", DATABASES)
def test_a_deployment_is_at_an_address_or_refused_in_a_sentence(url):
    """Which says no password."""
    with pytest.raises(ShopError) as refused:
        attach(url, "amqp://h/v", "http://127.0.0.1:1")
    assert_a_sentence(refused.value)
    assert "geheim" not in str(refused.value)


def test_the_rows_of_a_frame_are_orders():
    """As they come: numpy's numbers, and whole ones that a gap has made floats."""
    frame = pd.DataFrame({"sku": ["TEAPOT", "KITE"], "quantity": [2.0, 1], "unit_price": [5, 7]})
    lines = order_for("a@b", frame.to_dict("records"))["lines"]
    assert [type(line["quantity"]) for line in lines] == [int, int]
    assert order_for("a@b", frame.set_index("sku").quantity)["lines"][0]["quantity"] == 2


@given(st.text(max_size=300))
def test_a_value_is_shown_on_one_short_line(value):
    assert len(shown(value)) <= 80
    assert shown(value).isprintable() or "\n" not in shown(value)


def test_bounds_are_within(monkeypatch):
    assert [number("n", n, 1, 2, whole=True) for n in (1, 2)] == [1, 2]
    for n in (0, 3):
        with pytest.raises(ShopError, match="from 1 to 2, not"):
            number("n", n, 1, 2, whole=True)


def _refused_or(make):
    try:
        return make()
    except ShopError as error:
        assert_a_sentence(error)


def assert_a_sentence(error):
    said = str(error)
    assert said.endswith((".", "…"))
    assert "\n" not in said
    assert len(said) < 400
