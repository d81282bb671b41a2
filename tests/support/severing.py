"""Between a client and PostgreSQL: a proxy that cuts the connection at a commit."""

import socket
import threading
from contextlib import suppress
from pathlib import Path

SOCKET = ".s.PGSQL.5432"


class Severed:
    """Listens in `folder` for the server whose socket is in `there`. The next COMMIT ends the
    connection: before the server gets it, or ("answer") once the server has answered. Nobody new
    is let in unless it `is_open`."""

    is_open = True

    def __init__(self, folder: Path, there: Path) -> None:
        self.at: str | None = None
        self._there = str(there / SOCKET)
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(folder / SOCKET))
        self._server.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._server.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                ours, _ = self._server.accept()
                if not self.is_open:
                    ours.close()
                    continue
                theirs = socket.socket(socket.AF_UNIX)
                theirs.connect(self._there)
                threading.Thread(target=self._serve, args=[ours, theirs], daemon=True).start()

    def _serve(self, ours: socket.socket, theirs: socket.socket) -> None:
        back = threading.Thread(target=_copy, args=[theirs, ours], daemon=True)
        back.start()
        with ours, theirs, suppress(OSError):
            while data := ours.recv(65_536):
                if self.at and b"COMMIT" in data:
                    self._sever(data, ours, theirs)
                    return
                theirs.sendall(data)

    def _sever(self, data: bytes, ours: socket.socket, theirs: socket.socket) -> None:
        at, self.at = self.at, None
        ours.shutdown(socket.SHUT_RDWR)  # the answer goes nowhere
        if at == "answer":
            theirs.sendall(data)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
