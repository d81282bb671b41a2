"""A TCP proxy between the services and the broker, which can be a bad line in many ways."""

import socket
import time
from contextlib import suppress
from random import Random
from socketserver import ThreadingTCPServer
from threading import Event, Thread
from urllib.parse import urlsplit

CHUNK = 16 * 1024
MOST = 128  # connections that may wait to be accepted


class Valve:
    """One direction of one line: open, held (nothing passes), or leaking (all is swallowed)."""

    def __init__(self, source: socket.socket, target: socket.socket, *, is_back: bool) -> None:
        self._source, self._target = source, target
        self.is_back = is_back  # from the broker
        self.open = Event()
        self.open.set()
        self.leaking = False
        self.delay = 0.0  # seconds before each chunk is passed on

    def pass_on(self) -> None:
        """Until the line ends on one side; then it is cut on the other, too."""
        with suppress(OSError):
            while data := self._source.recv(CHUNK):
                time.sleep(self.delay)
                self.open.wait()
                if not self.leaking:
                    self._target.sendall(data)
        self.cut()

    def cut(self) -> None:
        """End both sides, whatever is on its way."""
        for side in (self._source, self._target):
            with suppress(OSError):  # it has ended
                side.shutdown(socket.SHUT_RDWR)


class Proxy:
    """Listens at `url`, on the loopback; every connection goes to one of `brokers`, that answers.

    Its faults strike all lines there are at that moment; new ones are sound.
    """

    def __init__(self, *brokers: str) -> None:
        self._brokers = [urlsplit(url) for url in brokers]
        self._valves: list[Valve] = []  # two for each line
        self._random = Random(0)
        self._server = ThreadingTCPServer(("127.0.0.1", 0), lambda ours, *_: self._serve(ours))
        self._server.daemon_threads = True
        self._server.socket.listen(MOST)
        Thread(target=self._server.serve_forever, daemon=True).start()
        credentials = self._brokers[0].netloc.rpartition("@")[0]
        netloc = f"{credentials}@127.0.0.1:{self._server.server_address[1]}"
        self.url = self._brokers[0]._replace(netloc=netloc).geturl()

    @property
    def valves(self) -> list[Valve]:
        """Those of all lines there are now, for a fault to turn."""
        return [*self._valves]

    def cut(self) -> None:
        """End every line."""
        for valve in self.valves:
            valve.cut()

    def close(self) -> None:
        """Stop listening and cut all lines."""
        self._server.shutdown()
        self._server.server_close()
        self.cut()

    def _serve(self, ours: socket.socket) -> None:
        """Pass on what comes from either side until one ends."""
        if (theirs := self._reach_broker()) is None:
            return
        with theirs:
            line = Valve(ours, theirs, is_back=False), Valve(theirs, ours, is_back=True)
            ways = [Thread(target=valve.pass_on, daemon=True) for valve in line]
            self._valves += line
            for way in ways:
                way.start()
            for way, valve in zip(ways, line, strict=True):
                way.join()
                self._valves.remove(valve)

    def _reach_broker(self) -> socket.socket | None:
        """Any of those that answer, so that a new attempt tries another one."""
        for url in self._random.sample(self._brokers, len(self._brokers)):
            with suppress(OSError):
                return socket.create_connection((url.hostname, url.port))
        return None
