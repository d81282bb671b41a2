"""Finds an installed RabbitMQ, and gives it an environment in which it touches one folder only."""

import os
import re
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from ecom.errors import ShopError

MISSING = (
    "No RabbitMQ found: install one (Debian, Ubuntu: `apt-get install rabbitmq-server`; conda: "
    "`conda install -c conda-forge rabbitmq-server`; macOS: `brew install rabbitmq`), or run one "
    "(`docker run -p 5672:5672 rabbitmq`) and set "
    "ECOM_AMQP_URL=amqp://guest:guest@127.0.0.1:5672/%2F."
)


class BrokerUnavailable(ShopError, RuntimeError):
    """No broker can be had; the message says why and what to do."""


def usual_places() -> list[Path]:
    """Folders that may hold RabbitMQ's own scripts, the likeliest first. Never the wrappers on the
    `PATH` of Debian and conda: they change user or `HOME`."""
    prefixes = filter(None, (os.environ.get("CONDA_PREFIX"), sys.prefix))
    places = [Path(prefix, "lib/rabbitmq/sbin") for prefix in prefixes]
    places += sorted(Path("/usr/lib/rabbitmq/lib").glob("rabbitmq_server-*/sbin"), reverse=True)
    if on_path := shutil.which("rabbitmq-server"):
        places.append(Path(on_path).resolve().parent)
    return [*places, Path("/opt/homebrew/opt/rabbitmq/sbin"), Path("/usr/local/opt/rabbitmq/sbin")]


def find_rabbitmq(places: Iterable[Path] | None = None) -> Path:
    """The folder of RabbitMQ's own scripts. Raises `BrokerUnavailable` when there is none."""
    needed = ("rabbitmq-server", "rabbitmqctl", "rabbitmq-env", "rabbitmq-defaults")
    for place in usual_places() if places is None else places:
        if all((place / script).is_file() for script in needed):
            return place
    raise BrokerUnavailable(MISSING)


def version(scripts: Path) -> str:
    """RabbitMQ's version, such as `3.10.8`, read from its folder of plugins."""
    found = sorted((scripts.parent / "plugins").glob("rabbit-[0-9]*"))
    return found[-1].name.removeprefix("rabbit-").removesuffix(".ez") if found else "unknown"


def data_folder(folder: Path, release: str) -> Path:
    """Where a node of this release keeps its data: one folder for all of its series, as 3.10 is of
    3.10.8, since a series cannot always read another's files."""
    ours = [each for each in folder.glob("data-*") if _series(each.name) == _series(release)]
    return max(ours, key=_number, default=folder / f"data-{_series(release)}")


def check_data(folder: Path, release: str) -> None:
    """Raises `BrokerUnavailable` if there are data of other series only: a node of this release
    would begin without them."""
    found = sorted(folder.glob("data-*"), key=_number)
    others = list(dict.fromkeys(_series(each.name) for each in found))
    if others and not data_folder(folder, release).exists():
        raise BrokerUnavailable(
            f"The queues in {folder} are of RabbitMQ {', '.join(others)}, and {release} is "
            f"installed, which may not read them. Nothing is lost: install RabbitMQ {others[-1]} "
            "again, or set ECOM_HOME to a new folder to begin there without them."
        )


def _series(name: str) -> str:
    return ".".join(name.removeprefix("data-").split(".")[:2])


def _number(folder: Path) -> list[int]:
    """The release in a folder's name; earlier releases of ecom made one for each patch."""
    return [int(part) for part in re.findall(r"\d+", folder.name)]


def environment(
    scripts: Path, folder: Path, name: str, ports: dict[str, int], mark: str
) -> dict[str, str]:
    """The environment of a node and of its `rabbitmqctl`; nothing of the machine's own shows.

    `ports` has `amqp`, `dist` and `epmd`; `mark` shows in the node's command line, so that it can
    be told from a stranger with the same process id.
    """
    foreign = ("RABBITMQ_", "ERL_", "NOTIFY_SOCKET")
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(foreign)}
    # conda keeps Erlang beside RabbitMQ, perhaps without being activated
    beside = scripts.parents[2] / "bin"
    loopback = "-kernel inet_dist_use_interface {127,0,0,1}"
    return inherited | {
        "PATH": f"{beside}{os.pathsep}{inherited.get('PATH', os.defpath)}",
        "HOME": str(folder),  # of the Erlang cookie
        "ERL_INETRC": str(folder / "inetrc"),
        "ERL_CRASH_DUMP_SECONDS": "0",
        "ERL_EPMD_PORT": str(ports["epmd"]),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODENAME": f"{name}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(ports["amqp"]),
        "RABBITMQ_DIST_PORT": str(ports["dist"]),
        "RABBITMQ_MNESIA_BASE": str(data_folder(folder, version(scripts))),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_PID_FILE": str(folder / "pid"),
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
        "RABBITMQ_CONFIG_FILES": str(folder / "none"),
        "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "advanced.config"),
        "RABBITMQ_CONF_ENV_FILE": str(folder / "rabbitmq-env.conf"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
        "RABBITMQ_CTL_ERL_ARGS": loopback,
        # Two schedulers that neither spin nor sit on a core: the clients are on the same machine.
        "RABBITMQ_SCHEDULER_BIND_TYPE": "u",
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"{loopback} +S 2:2 +sbwt none +fnu -ecom {mark}",
        # The script then becomes the node: one process id, signals without a shell between.
        "RUNNING_UNDER_SYSTEMD": "true",
    }
