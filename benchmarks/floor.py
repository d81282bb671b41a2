"""The floor: the saga's messages and nothing else, with pika as well as we know how.

The same five processes, queues and bindings, messages of the same properties and sizes, persistent
and confirmed; what comes in is answered with the message that the saga would send next. No
database, no decoding of bodies. The asyncio adapter on the services' event loop, as many messages
in hand as they have, one acknowledgement for all that came together, pipelined confirms, frames
sent together.

`BARE` is the same by `ecom.amqp.connection`, the services' own short way past pika's codec: what is
left between it and them is what the guarantees cost.
"""

import asyncio
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pika

from benchmarks.contender import Contender
from ecom.amqp.codec import PERSISTENT
from ecom.amqp.connection import Connection
from ecom.amqp.session import PREFETCH
from ecom.bus import parameters
from ecom.contract import topology
from ecom.process.lifecycle import collect_rarely, run, write_note
from ecom.runtime.runtime import WINDOW
from ecom.settings import Settings, write_private
from ecom_lab.docs.examples import examples

COUNT_SECONDS = 0.02  # how often a process says how far it is

# The messages of one order that succeeds, in their order, as they are on the wire.
_EVENTS = (
    "order.created",
    "inventory.processed",
    "payment.processed",
    "inventory.committed",
    "order.confirmed",
)
_SEEN = examples()
WIRE = {key: (_SEEN[key][0], msgspec.json.encode(_SEEN[key][1])) for key in _EVENTS}
FOLLOWING = dict(pairwise((*_EVENTS, None)))


class Player:
    """One service's part: it is delivered messages, and publishes what follows each."""

    def __init__(self, service: str, settings: Settings) -> None:
        self.service, self.settings = service, settings
        self.exchange = topology.exchange(settings.shop)
        self.delivered = 0
        self.placing = 0  # orders to be placed yet
        self._tag = 0
        self._published = 0
        self._unconfirmed: set[int] = set()
        self._oldest = 1
        user = parameters(settings.amqp_url)[0].credentials.username
        about = {"delivery_mode": PERSISTENT, "content_type": "application/json", "user_id": user}
        self._properties = {
            key: pika.BasicProperties(headers=headers, message_id=headers["ce-id"], **about)
            for key, (headers, _) in WIRE.items()
        }

    async def open(self) -> None:
        """Connect twice, as the services do, and listen."""
        self._out, self._in = await _channel(self.settings), await _channel(self.settings)
        self._out.confirm_delivery(self._on_confirm)
        self._in.basic_qos(prefetch_count=PREFETCH)
        self._consume(topology.queue(self.settings.shop, self.service))

    def _consume(self, queue: str) -> None:
        self._in.basic_consume(
            queue, lambda _, method, *more: self._handle(method.routing_key, method.delivery_tag)
        )

    def place(self, n: int) -> None:
        """Begin n more sagas."""
        self.placing += n
        self._fill()

    def _fill(self) -> None:
        while self.placing and len(self._unconfirmed) < WINDOW:
            self.placing -= 1
            self._follow_up("order.created")

    def _follow_up(self, key: str) -> None:
        self._publish(key)
        self._published += 1
        self._unconfirmed.add(self._published)

    def _publish(self, key: str) -> None:
        properties, body = self._properties[key], WIRE[key][1]
        self._out.basic_publish(self.exchange, key, body, properties, mandatory=True)

    def _handle(self, key: str, tag: int) -> None:
        self.delivered += 1
        if self.service != "audit" and (next_ := FOLLOWING[key]):
            self._follow_up(next_)
        if not self._tag:
            asyncio.get_running_loop().call_soon(self._ack)
        self._tag = tag

    def _ack(self) -> None:
        self._in.basic_ack(self._tag, multiple=True)
        self._tag = 0

    def _on_confirm(self, frame: Any) -> None:
        tag = frame.method.delivery_tag
        if frame.method.multiple:
            self._unconfirmed.difference_update(range(self._oldest, tag + 1))
            self._oldest = tag + 1
        else:
            self._unconfirmed.discard(tag)
        if self.placing:
            self._fill()


class BarePlayer(Player):
    """The same, by the short way."""

    def _consume(self, queue: str) -> None:
        self._in.connection.consume(self._in, queue, lambda it: self._handle(it.key, it.tag))

    def _publish(self, key: str) -> None:
        headers, body = WIRE[key]
        self._out.connection.publish(self._out, self.exchange, key, headers, body, headers["ce-id"])


async def _channel(settings: Settings) -> Any:
    opened = asyncio.get_running_loop().create_future()
    Connection(
        *parameters(settings.amqp_url),
        on_open_callback=lambda connection: connection.channel(on_open_callback=opened.set_result),
        on_open_error_callback=lambda _, error: opened.set_exception(error),
    )
    return await opened


async def _main(kind: type[Player], service: str, settings: Settings) -> None:
    player = kind(service, settings)
    collect_rarely()
    await player.open()
    counting = asyncio.create_task(_count(player, settings.folder / f"{service}.done"))
    write_note(settings.folder, service)
    while line := await asyncio.to_thread(sys.stdin.readline):
        player.place(int(line))
    counting.cancel()


async def _count(player: Player, path: Path) -> None:
    said = -1
    while True:
        if player.delivered != said:
            said = player.delivered
            write_private(path, str(said))
        await asyncio.sleep(COUNT_SECONDS)


def _contender(name: str) -> Contender:
    return Contender(
        name=name,
        command=lambda service: [sys.executable, "-m", "benchmarks.floor", name, service],
        declares=True,
        place=lambda run, n: run.tell("order", str(n)),
        settle=lambda run: run.wait(
            lambda: min(run.done("notification"), run.done("audit") // len(WIRE)), run.placed
        ),
    )


PLAYERS = {"floor": Player, "bare": BarePlayer}
FLOOR, BARE = map(_contender, PLAYERS)

if __name__ == "__main__":
    run(_main(PLAYERS[sys.argv[1]], sys.argv[2], Settings.from_environment()))
