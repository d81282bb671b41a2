"""Secrets stay secret: in files, logs, and whatever is shown."""

from contextlib import suppress
from pathlib import Path

import pytest

from ecom import Shop
from ecom.broker.lease import private_node
from ecom.bus import parameters
from ecom.contract.permissions import user, users
from ecom.harness.processes import log_file, read_note
from ecom.sandbox.standins import STANDINS
from ecom.settings import Settings
from ecom_lab.shop import CONTRACT


def test_no_secret_can_be_read_by_others_or_in_a_log(broker, tmp_path, wait_for):
    """Files with a secret are their owner's alone, in folders of the same kind; neither logs nor
    what is shown has one, also after a lost connection."""
    with Shop(amqp_url=broker, outside="files") as shop:
        node = private_node(broker)
        secrets = {
            parameters(shop.crew.broker_url(name)).credentials.password for name in users(CONTRACT)
        }
        secrets |= {node._identity()[word] for word in ("password", "cookie")}
        secrets |= {(shop.folder / "http-token").read_text()}
        logs = [log_file(shop.folder, (name, "1")) for name in users(CONTRACT)]
        for name in users(CONTRACT):
            node.management._ask("DELETE", f"/connections/username/{user(shop.name, name)}")
        wait_for(lambda: all("No connection" in log.read_text() for log in logs[:-1]))
        for folder in (shop.folder, node.folder):
            for path in (each for each in folder.rglob("*") if each.is_file()):
                _check(path, secrets)
        settings = Settings(shop.crew.broker_url("order"), shop.folder, http_token=shop._token)
        shown = [repr(shop), repr(settings), repr(shop.dead), repr(shop.crew)]
        with pytest.raises(Exception, match="cannot be used") as caught:
            Shop(amqp_url=broker.replace("@127.0.0.1", "@127.0.0.2"), folder=tmp_path).open()
        shown.append(str(caught.value))
        assert not [text for text in shown for secret in secrets if secret in text]


def test_a_process_is_told_no_secrets_but_its_own(broker, monkeypatch):
    """The door's token is the order's alone, each password its service's; the stand-ins have none.
    Nor does anybody inherit the operator's from the process that opened the shop."""
    token = "the-token-of-the-door-of-this-shop"
    monkeypatch.setenv("ECOM_HTTP_TOKEN", token)
    monkeypatch.setenv("ECOM_AMQP_URL", broker)
    with Shop() as shop:
        shop.start("order", "2")
        members = [("order", "2"), *((name, "1") for name in (*users(CONTRACT), *STANDINS))]
        secrets = {
            f"{name}'s": parameters(shop.crew.broker_url(name)).credentials.password
            for name in users(CONTRACT)
        }
        secrets |= {"operator's": parameters(shop.amqp_url).credentials.password, "token": token}
        assert len(set(secrets.values())) == len(users(CONTRACT)) + 2
        for member in members:
            environment = _environment(read_note(shop.folder, member)["pid"])
            found = {name for name, secret in secrets.items() if secret in environment}
            own = {f"{member[0]}'s"} if member[0] in users(CONTRACT) else set()
            assert found == own | ({"token"} if member[0] == "order" else set()), member


def _environment(pid):
    """What a running process was told when it was started."""
    return Path(f"/proc/{pid}/environ").read_text()


def _check(path, secrets):
    with suppress(FileNotFoundError):
        if any(secret.encode() in path.read_bytes() for secret in secrets):
            assert path.suffix != ".log", path
            assert path.stat().st_mode & 0o077 == 0, path
            assert path.parent.stat().st_mode & 0o077 == 0, path.parent
