"""Watching a shop: seen while orders flow, nothing stored of how long it took, words at the end."""

import base64
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import uuid
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest
from displaying import displayed

from ecom import Shop
from ecom.errors import NotSettled, ServiceDown
from ecom.harness.diagrams.live import SHOWN, WAITING, Glance, glance, line, watched
from ecom.harness.quiescence import counted
from ecom.harness.workspace import Workspace
from ecom.shop.folder import monitor
from ecom.shop.provision import provision
from ecom_lab.shop import SAGA, SERVICES

ORDERS = [{"customer": f"buyer{n}@example.com", "lines": {"MOON": 1}} for n in range(5)]
SVG = "{http://www.w3.org/2000/svg}"
ENDED = "5 orders: 3 CONFIRMED, 2 CANCELLED. All is settled."

CELL = """
import time
from pathlib import Path
from ecom.harness.diagrams.live import watched
from ecom.shop.folder import monitor
def settle(view):
    until = time.monotonic() + {seconds}
    while time.monotonic() < until:
        view.update()
watched(monitor(Path({folder!r})), settle)
"""


@pytest.fixture(scope="module")
def shop(broker):
    """An open shop where three of five orders have been confirmed."""
    with Shop({"MOON": 3}, amqp_url=broker, outside="files") as shop:
        shop.place_many(ORDERS)
        shop.watch()
        yield shop


@pytest.fixture
def busy():
    """A glance at a shop that has much to do."""
    nothing = dict.fromkeys(WAITING, 0)
    services = {service: dict(nothing) for service in SERVICES}
    services["payment"] = dict(zip(WAITING, (1_200, 34, 5, 2, 1), strict=True))
    states = {"PENDING": 700, "CONFIRMED": 200, "CANCELLED": 100}
    return Glance(counted(SAGA), states, services, 4_000, ("payment has not handled 1200 x",))


# ── what is seen ──────────────────────────────────────────────────────────────────────────────
def test_watching_ends_when_all_is_settled(shop):
    """As `settle` does; and says how the shop stands, the same however the orders raced."""
    seen = shop.watch()
    assert repr(seen) == seen.text == ENDED
    assert seen.is_settled
    assert seen.states == {"PENDING": 0, "CONFIRMED": 3, "CANCELLED": 2}
    assert not any(seen.waiting(kind) for kind in WAITING)
    assert seen.published == len(shop.events())
    with monitor(shop.folder) as looking:
        assert glance(looking) == seen


def test_watching_says_what_is_awaited_when_its_time_is_over(shop):
    """A service that is down: watching neither waits for ever nor raises."""
    with Shop({"MOON": 1}, amqp_url=shop.amqp_url, outside="files") as other:
        other.kill("inventory")
        other.place("ada@example.com", {"MOON": 1})
        seen = other.watch(seconds=0.3)
        assert not seen.is_settled
        assert "  - inventory has not handled 1 order.created" in seen.text.splitlines()
        assert seen.services["inventory"]["unhandled"] == 1
        awaited = (
            "order 1001 is PENDING but still under way: inventory has not handled 1 order.created"
        )
        assert awaited in other.books().problems
        other.start("inventory")
        assert other.watch().states["CONFIRMED"] == 1


class Bar:
    """A progress bar that keeps what it is told."""

    n = 0

    def __init__(self):
        self.said = []

    def update(self, n):
        self.n += n

    def set_postfix_str(self, words):
        self.said.append(words)


def test_settling_says_what_it_waits_for_and_why(shop):
    """While it waits, beside the bar; and when its time is over, in the error."""
    with Shop({"MOON": 1}, amqp_url=shop.amqp_url) as other:
        other.gateway(down=True)
        other.place("ada@example.com", {"MOON": 1})
        bar = Bar()
        with pytest.raises(NotSettled, match=r"payment: 1 effects to be performed \(.+\)"):
            other.settle(timeout=2.0, bar=bar)
        assert bar.said[-1].startswith("waits for: payment: 1 effects to be performed (")


def test_an_interrupt_ends_the_watching_only(shop):
    """The stop button of a notebook: no traceback, and the shop goes on."""

    def interrupted(view):
        view.update()
        raise KeyboardInterrupt

    assert watched(monitor(shop.folder), interrupted).text == ENDED


def test_a_closed_shop_cannot_be_watched():
    """One sentence, as with everything a closed shop is asked for."""
    shop = Shop()
    with pytest.raises(Exception, match="This shop is closed"):
        shop.watch()


def test_trouble_is_not_hidden(shop):
    """What is neither time nor an interrupt is raised."""

    def died(view):
        raise ServiceDown("gone")

    with pytest.raises(ServiceDown):
        watched(monitor(shop.folder), died)


# ── in a notebook ─────────────────────────────────────────────────────────────────────────────
def test_a_notebook_stores_the_same_however_long_it_watched(shop):
    """It draws while it lasts, four times a second; then an empty display and the last glance."""
    folder = str(shop.folder)
    quick, slow = displayed(*(CELL.format(seconds=each, folder=folder) for each in (0, 0.6)))
    assert quick.stored == slow.stored
    empty, last = slow.stored
    assert empty == {"text/html": "", "text/plain": ""}
    assert last["text/plain"] == ENDED
    assert any("Events a second" in html for html in slow.drawn)


def test_the_last_glance_needs_no_trust(busy):
    """An image with its words: a notebook that runs no foreign HTML shows it, too."""
    data = busy._repr_mimebundle_()
    assert set(data) == {"text/html", "text/plain"}
    found = re.fullmatch('<img [^>]*src="data:image/svg[+]xml;base64,([^"]+)"/>', data["text/html"])
    svg = base64.b64decode(found[1]).decode()
    assert svg == busy.svg()
    assert data["text/plain"] == busy.text


def test_the_picture_says_it_all(busy):
    """Orders by state; all that waits, by service; events a second; in words as well."""
    svg = busy.svg([4_000.0])
    root = ET.fromstring(svg)
    words = [text.text for text in root.iter(f"{SVG}text")]
    for each in ("PENDING", "700", "1,200", "34", "5", "2", "1", "dead letters", "4,000"):
        assert each in words
    assert "Waits for: payment has not handled 1200 x" in words
    assert "All is settled" in replace(busy, awaited=()).svg()
    assert root.find(f"{SVG}desc").text == busy.text
    assert "<script" not in svg


def test_the_picture_stays_in_its_frame(busy):
    """However long it is watched, and however much waits: no number leaves the paper."""
    busy.services["audit"]["unhandled"] = 10**7
    root = ET.fromstring(busy.svg([n**3 for n in range(3 * SHOWN)]))
    line = root.find(f"{SVG}polyline").get("points")
    places = [tuple(map(float, point.split(","))) for point in line.split()]
    assert len(places) == SHOWN
    boxes = [
        [float(rect.get(name)) for name in ("x", "y", "width", "height")]
        for rect in root.iter(f"{SVG}rect")
        if rect.get("x")
    ]
    places += [(x, y) for x, y, _, _ in boxes] + [(x + w, y + h) for x, y, w, h in boxes]
    right, bottom = float(root.get("width")), float(root.get("height"))
    assert all(0 <= x <= right and 0 <= y <= bottom for x, y in places)


# ── in a terminal ─────────────────────────────────────────────────────────────────────────────
def test_a_terminal_gets_one_line(busy):
    """Orders, what waits, and the pace."""
    assert line([replace(busy, published=3_900), busy]) == (
        "700 pending, 200 confirmed, 100 cancelled | "
        "1,200 unhandled, 34 unsent, 5 effects, 2 retries, 1 dead | 400 events/s | "
        "waits for: payment has not handled 1200 x"
    )


@pytest.fixture
def workspace():
    """A shop that somebody has open, of which there are only the databases."""
    workspace = Workspace(f"watched-{uuid.uuid4().hex[:8]}", None)
    provision(SAGA, workspace.folder)
    yield workspace
    shutil.rmtree(workspace.folder)


@pytest.fixture
def command():
    """Start `ecom watch` in a process of its own, which does not outlive the test."""
    started = []

    def start(name, **streams):
        args = [sys.executable, "-m", "ecom.cli", "watch", "--name", name]
        started.append(subprocess.Popen(args, stdout=subprocess.PIPE, text=True, **streams))
        return started[-1]

    yield start
    for process in started:
        with process:
            process.kill()


def read_until(terminal, words):
    """What the terminal shows, up to these words."""
    shown = ""
    while words not in shown:
        assert select.select([terminal], [], [], 60)[0], f"only this was shown: {shown!r}"
        shown += os.read(terminal, 1_000).decode()
    return shown


@pytest.mark.parametrize("end", ["closed", "interrupted"])
def test_the_command_watches_until_the_shop_closes_or_ctrl_c(workspace, command, end):
    """Written over and over in one line of the terminal; at the end, how the shop stands."""
    terminal, stderr = pty.openpty()
    process = command(workspace.name, stderr=stderr)
    os.close(stderr)
    shown = read_until(terminal, "0 pending")
    if end == "interrupted":
        process.send_signal(signal.SIGINT)
    else:
        workspace.leave(remove=False)  # nobody is in; the databases stay
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert out == "No orders. All is settled.\n"
    assert "\r" in shown
    assert "\n" not in shown
    os.close(terminal)
    if end == "interrupted":
        workspace.leave(remove=False)


def test_the_command_needs_a_shop_that_is_open(command):
    """One sentence that says how to open one."""
    process = command("nobody-home", stderr=subprocess.PIPE)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert err == "Error: Shop 'nobody-home' is not open: `ecom up` opens it.\n"


def test_where_nobody_looks_nothing_is_shown(shop, capfd):
    """Neither notebook nor terminal, as in a script's log: it only waits."""
    assert watched(monitor(shop.folder), lambda view: view.update()).is_settled
    assert capfd.readouterr() == ("", "")
