"""Secrets stay secret: in files, logs, and whatever is shown."""

from contextlib import suppress

import pytest

from ecom import Shop
from ecom.backroom.crew import log_file
from ecom.broker import private_node
from ecom.bus import parameters
from ecom.grants import USERS, user
from ecom.settings import Settings


def test_no_secret_can_be_read_by_others_or_in_a_log(broker, tmp_path, wait_for):
    """Files with a secret are their owner's alone, in folders of the same kind; neither logs nor
    what is shown has one, also after a lost connection."""
    with Shop(amqp_url=broker, outside="files") as shop:
        node = private_node(broker)
        secrets = {parameters(shop.crew._urls[name]).credentials.password for name in USERS}
        secrets |= {node._identity()[word] for word in ("password", "cookie")}
        secrets |= {(shop.folder / "http-token").read_text()}
        logs = [log_file(shop.folder, (name, "1")) for name in USERS]
        for name in USERS:
            node.management._ask("DELETE", f"/connections/username/{user(shop.name, name)}")
        wait_for(lambda: all("No connection" in log.read_text() for log in logs[:-1]))
        for folder in (shop.folder, node.folder):
            for path in (each for each in folder.rglob("*") if each.is_file()):
                _check(path, secrets)
        settings = Settings(shop.crew._urls["order"], shop.folder, http_token=shop._token)
        shown = [repr(shop), repr(settings), repr(shop.dead), repr(shop.crew)]
        with pytest.raises(Exception, match="cannot be used") as caught:
            Shop(amqp_url=broker.replace("@127.0.0.1", "@127.0.0.2"), folder=tmp_path).open()
        shown.append(str(caught.value))
        assert not [text for text in shown for secret in secrets if secret in text]


def _check(path, secrets):
    with suppress(FileNotFoundError):
        if any(secret.encode() in path.read_bytes() for secret in secrets):
            assert path.suffix != ".log", path
            assert path.stat().st_mode & 0o077 == 0, path
            assert path.parent.stat().st_mode & 0o077 == 0, path.parent
