"""Sharing one private RabbitMQ: who starts it, who uses it, and that nothing is left of it."""

import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pika
import pytest

from ecom.broker.installation import BrokerUnavailable, find_rabbitmq, version
from ecom.broker.lease import lease
from ecom.broker.node import Node, free, usable

pytestmark = pytest.mark.skipif(
    not Path("/proc/net/tcp").exists(),
    reason="looks at Linux's tables of processes and sockets",
)

HOLDER = """
import ecom.broker.lease as b
with b.lease() as url:
    print(url, flush=True)
    input()
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A private home whose path is long and has a space; afterwards, no node may be left there."""
    home = tmp_path / "my shop" / ("long" * 20)
    monkeypatch.setenv("ECOM_HOME", str(home))
    monkeypatch.delenv("ECOM_AMQP_URL", raising=False)
    yield home
    Node(home / "broker" / "node").stop()


def until(condition: Callable[[], bool], seconds: float = 40.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


def holder() -> subprocess.Popen[str]:
    """A process that takes a lease, says its URL, and keeps it until its input ends."""
    command = [sys.executable, "-c", HOLDER]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def url_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def traces(home: Path) -> list[str]:
    """Command lines of living processes that mention this home, its node's mark or its epmd."""
    node = Node(home / "broker" / "node")
    words = [str(home)]
    with suppress(FileNotFoundError):
        identity = node._identity()
        words += [identity["mark"], f"ERL_EPMD_PORT={identity['ports']['epmd']}"]
    return [
        said for said in map(_said, Path("/proc").glob("[0-9]*")) if any(w in said for w in words)
    ]


def _said(process: Path) -> str:
    """A process's command line and environment, but nothing of this test and its children here."""
    with suppress(OSError):
        command = (process / "cmdline").read_bytes()
        if HOLDER.encode() in command or process.name == str(os.getpid()):
            return ""
        return (command + (process / "environ").read_bytes()).decode(errors="replace")
    return ""


def serves(url: str) -> bool:
    with suppress(pika.exceptions.AMQPError, OSError):
        pika.BlockingConnection(pika.URLParameters(url)).close()
        return True
    return False


def test_processes_share_one_node_and_nothing_is_left_after_the_last(home: Path) -> None:
    """Two who ask at once get one node, on the loopback only; it ends with the last lease, even
    though both holders are killed without a chance to give their leases back."""
    first, second = holder(), holder()
    try:
        url = url_of(first)
        assert url_of(second) == url
        assert serves(url)
        Node(home / "broker" / "node").start()  # it runs, and is left as it is
        assert len([said for said in traces(home) if "beam" in said.split("\0")[0]]) == 1
        assert listening_elsewhere(home) == []
        end(first)
        assert not until(lambda: not serves(url), seconds=1.0), "the second lease still holds"
    finally:
        end(first)
        end(second)
    assert until(lambda: traces(home) == []), traces(home)


def listening_elsewhere(home: Path) -> list[str]:
    """Addresses other than the loopback's where a process of this node listens."""
    sockets = set()
    for process in Path("/proc").glob("[0-9]*"):
        if str(home) in _said(process):
            with suppress(OSError):
                sockets |= {os.readlink(fd) for fd in (process / "fd").iterdir()}
    rows = [
        line.split()
        for table in ("tcp", "tcp6")
        if (Path("/proc/net") / table).exists()
        for line in (Path("/proc/net") / table).read_text().splitlines()[1:]
    ]
    ours = [row[1] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in sockets]
    assert len(ours) >= 3, "AMQP, distribution and epmd listen somewhere"
    loopback = ("0100007F:", "00000000000000000000000001000000:")
    return [address for address in ours if not address.startswith(loopback)]


def test_a_node_whose_keeper_was_killed_goes_on_under_its_users(home: Path) -> None:
    """The next lease finds it another keeper: the same node, and nobody's connection ends, but with
    the last lease."""
    first, node = holder(), Node(home / "broker" / "node")
    url = url_of(first)
    publish(url, "kept", b"a message")
    orphan = killed_keeper(node)
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        with lease() as again:
            assert (again, node._pid()) == (url, orphan)
            assert connection.channel().basic_get("kept", auto_ack=True)[2] == b"a message"
        end(first)
        assert until(lambda: traces(home) == []), traces(home)
        with suppress(pika.exceptions.AMQPError):
            connection.close()


def test_a_node_that_died_after_its_keeper_is_started_anew_and_keeps_its_messages(
    home: Path,
) -> None:
    """What its keeper left says that it is ready, and it is not: the next lease waits for it. When
    it dies again, its keeper clears up and goes."""
    first, node = holder(), Node(home / "broker" / "node")
    url = url_of(first)
    publish(url, "kept", b"a message")
    orphan = killed_keeper(node)
    node.stop()
    try:
        with lease() as again:
            assert again == url
            assert node._pid() != orphan
            with pika.BlockingConnection(pika.URLParameters(again)) as connection:
                assert connection.channel().basic_get("kept", auto_ack=True)[2] == b"a message"
            node.kill()
            assert until(lambda: traces(home) == []), traces(home)
    finally:
        end(first)


def killed_keeper(node: Node) -> int | None:
    """The node's pid, once its keeper has been killed."""
    orphan = node._pid()
    keeper = parent_of(orphan)
    os.kill(keeper, signal.SIGKILL)
    assert until(lambda: parent_of(orphan) != keeper)
    return orphan


def publish(url: str, queue: str, body: bytes) -> None:
    """Return once a new quorum queue has the message safe."""
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.queue_declare(queue, durable=True, arguments={"x-queue-type": "quorum"})
        channel.basic_publish("", queue, body)


def parent_of(pid: int | None) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_a_node_that_cannot_start_says_why_and_leaves_nothing(home: Path) -> None:
    """One sentence with what to do, then the last lines of the logs; no process stays."""
    node = Node(home / "broker" / "node", config="no_such_setting = 1")
    with pytest.raises(BrokerUnavailable, match="no_such_setting") as caught:
        node.start()
    assert "ended while starting" in str(caught.value)
    assert str(home) in str(caught.value)
    assert until(lambda: traces(home) == []), traces(home)


def test_a_given_broker_wins(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With `ECOM_AMQP_URL`, that is the lease's URL, and no private node is even looked for."""
    monkeypatch.setenv("ECOM_AMQP_URL", "amqp://elsewhere/%2F")
    with lease() as url:
        assert url == "amqp://elsewhere/%2F"
    assert not home.exists()


def test_without_rabbitmq_one_sentence_says_what_to_do(tmp_path: Path) -> None:
    """Every way to get a broker is named."""
    with pytest.raises(BrokerUnavailable) as caught:
        find_rabbitmq([tmp_path])
    ways = ("apt-get", "conda", "brew", "docker", "ECOM_AMQP_URL")
    assert [way for way in ways if way not in str(caught.value)] == []
    assert "\n" not in str(caught.value)


def test_a_forked_child_neither_ends_nor_prolongs_its_parents_lease(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock is the parent's alone: the child has no descriptor of it, and does not unlock it."""
    monkeypatch.setattr("ecom.broker.lease._running", lambda _: "amqp://here")
    lock = home / "broker" / "lease.lock"
    with lease():
        child = os.fork()
        if not child:
            files = map(os.path.realpath, Path("/proc/self/fd").iterdir())
            os._exit(1 if str(lock) in files else 0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        other = os.open(lock, os.O_RDWR)
        with pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(other)


def test_a_command_that_is_run_ends_as_it_would_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """`python -m ecom.broker run` is as if its command ran alone."""
    monkeypatch.setenv("ECOM_AMQP_URL", "amqp://elsewhere/%2F")
    run = [sys.executable, "-m", "ecom.broker", "run"]
    assert subprocess.run([*run, sys.executable, "-c", "raise SystemExit(3)"]).returncode == 3
    sleeper = "import time; print('up', flush=True); time.sleep(60)"
    command = [*run, sys.executable, "-c", sleeper]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as process:
        assert process.stdout
        assert process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == -signal.SIGTERM


def test_a_command_that_is_run_holds_a_lease_to_its_end(home: Path) -> None:
    """The node serves while the command lives, and no longer."""
    waits = "print('up', flush=True); input()"
    command = [sys.executable, "-m", "ecom.broker", "run", sys.executable, "-c", waits]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert url_of(process) == "up"
        url = Node(home / "broker" / "node").url
        assert not until(lambda: not serves(url), seconds=1.0), "the command holds a lease"
        end(process)
    assert until(lambda: traces(home) == []), traces(home)


def test_ports_are_kept_unless_taken() -> None:
    """A node comes back where its clients look for it, if nobody else listens there by now."""
    ports = usable(None)
    assert usable(ports) == ports
    with socket.create_server(("127.0.0.1", ports["amqp"])):
        assert not free(ports["amqp"])
        assert usable(ports)["amqp"] != ports["amqp"]


def test_an_upgrade_of_rabbitmq_loses_no_message(home: Path, monkeypatch) -> None:
    """The next patch release goes on where the last one was; the next series says that it cannot,
    and the way back is open."""
    node = Node(home / "broker" / "node")

    def letters() -> int:
        with closing(pika.BlockingConnection(pika.URLParameters(node.url))) as connection:
            channel = connection.channel()
            quorum = {"x-queue-type": "quorum"}
            found = channel.queue_declare("letters", durable=True, arguments=quorum)
            channel.confirm_delivery()
            if not found.method.message_count:
                channel.basic_publish("", "letters", b"x", pika.BasicProperties(delivery_mode=2))
            return found.method.message_count

    release = version(find_rabbitmq())
    series, _, patch = release.rpartition(".")
    node.start()
    assert letters() == 0
    node.stop()

    def upgrade(to: str) -> None:
        monkeypatch.setattr("ecom.broker.installation.version", lambda _: to)

    upgrade("99.0.0")
    with pytest.raises(BrokerUnavailable, match=rf"{series}, and 99\.0\.0 is installed"):
        node.start()
    upgrade(f"{series}.{int(patch) + 1}")
    node.start()
    assert letters() == 1
    node.stop()
