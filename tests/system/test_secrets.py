"""Secrets stay secret: in files, logs, and whatever is shown."""

import os
from contextlib import suppress
from pathlib import Path

import pytest
from helpers import broker_url
from seeing import linux

from ecom import Shop
from ecom.broker.lease import private_node
from ecom.broker.management import ask
from ecom.bus import parameters
from ecom.contract.topology import user, users
from ecom.harness.processes import log_file, read_note
from ecom.settings import Settings
from ecom_lab.shop import CONTRACT


def test_no_secret_can_be_read_by_others_or_in_a_log(broker, tmp_path, wait_for):
    """Files with a secret are their owner's alone, in folders of the same kind; neither logs nor
    what is shown has one, also after a lost connection."""
    with Shop(amqp_url=broker, outside="files", folder=tmp_path / "own") as shop:
        node = private_node(broker)
        secrets = {
            parameters(broker_url(shop, name))[0].credentials.password for name in users(CONTRACT)
        }
        secrets |= {node._identity()[word] for word in ("password", "cookie")}
        secrets |= {(shop.folder / "http-token").read_text()}
        logs = [log_file(shop.folder, (name, "1")) for name in users(CONTRACT)]
        for name in users(CONTRACT):
            ask(node.http, "DELETE", f"/connections/username/{user(shop.name, name)}")
        wait_for(lambda: all("No connection" in log.read_text() for log in logs[:-1]))
        for folder in (shop.folder, node.folder):
            for place, _, names in os.walk(folder):  # from which others may be deleting queues
                for path in (each for name in names if (each := Path(place, name)).is_file()):
                    _check(path, secrets)
        for path in (shop.folder, *shop.folder.iterdir()):  # addresses are in databases and logs
            assert path.stat().st_mode & 0o077 == 0, path
        settings = Settings(broker_url(shop, "order"), shop.folder, http_token=shop._token)
        shown = [repr(shop), repr(settings), repr(shop.dead), repr(shop.processes)]
        with pytest.raises(Exception, match="cannot be used") as caught:
            Shop(amqp_url=broker.replace("@127.0.0.1", "@127.0.0.2"), folder=tmp_path).open()
        shown.append(str(caught.value))
        assert not [text for text in shown for secret in secrets if secret in text]


@linux
def test_a_process_is_told_no_secrets_but_its_own(broker, monkeypatch):
    """The API's token is the order's alone, each password its service's, and what is known of mail
    server and payment provider, theirs who ask them; the sandbox has none. Nor does anybody
    inherit the operator's from the process that opened the shop."""
    token = "the-token-of-the-door-of-this-shop"
    monkeypatch.setenv("ECOM_HTTP_TOKEN", token)
    monkeypatch.setenv("ECOM_AMQP_URL", broker)
    monkeypatch.setenv("ECOM_SMTP_URL", "smtp://me:the-password-for-mails@127.0.0.1:1")
    with Shop() as shop:
        secrets = {
            f"{name}'s": parameters(broker_url(shop, name))[0].credentials.password
            for name in users(CONTRACT)
        }
        secrets["operator's"] = parameters(shop.amqp_url)[0].credentials.password
        secrets |= {"token": token, "mail": "the-password-for-mails"}
        assert len(set(secrets.values())) == len(users(CONTRACT)) + 3
        own = {name: {f"{name}'s"} for name in users(CONTRACT)} | {"gateway": set()}
        own["order"].add("token")
        own["notification"].add("mail")
        for name, its in own.items():
            shop.processes.start((name, "2"), target="children:show")
            told = str(read_note(shop.folder, (name, "2"))["environment"])
            assert {which for which, secret in secrets.items() if secret in told} == its, name
            for replica in "1", "2":
                pid = read_note(shop.folder, (name, replica))["pid"]
                shown = [Path(f"/proc/{pid}/{what}").read_text() for what in ("environ", "cmdline")]
                assert not [which for which, secret in secrets.items() if secret in str(shown)]


def _check(path, secrets):
    with suppress(FileNotFoundError):
        if any(secret.encode() in path.read_bytes() for secret in secrets):
            assert path.suffix != ".log", path
            assert path.stat().st_mode & 0o077 == 0, path
            assert path.parent.stat().st_mode & 0o077 == 0, path.parent
