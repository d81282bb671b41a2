"""A running deployment, held in a notebook: its services run elsewhere; we stop none of them."""

import os
import re
from contextlib import AbstractContextManager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote, urlsplit

import httpx
import msgspec
import pandas as pd

from ecom.amqp.address import check_url
from ecom.broker.management import client
from ecom.contract.envelope import rfc3339
from ecom.errors import ServiceDown, ShopError
from ecom.harness.dead_letters.dead_letters import DeadLetters
from ecom.harness.processes import Processes
from ecom.runtime.tables import Letter
from ecom.sandbox.gateway import Movement
from ecom.services.notification import Told
from ecom.services.order import CANCELLED, CONFIRMED, Order
from ecom.settings import Settings, shown, text, write_private
from ecom.shop.api_client import Client
from ecom.shop.records import LEDGER, MAILS, Records, frame
from ecom.shop.shop import Shop
from ecom.stores.reader import SERVER, Reader


class Attached(Records, AbstractContextManager):
    """The shop whose services have their rows at `database_url`; to be closed, or used by `with`.

    Its records are those of a `Shop`, read as a role that may read every service's schema; the
    server refuses every change over these connections. What cannot be seen from here is named.
    To place and to cancel takes the checkout's `token` (None: `ECOM_HTTP_TOKEN`) at `http_url`; to
    replay and to drop dead letters, an operator's `amqp_url`. A provider at `gateway_url` shows its
    ledger (`GET /ledger`, as the sandbox's does). `shop` is the deployment's `ECOM_SHOP`. Raises
    `ShopError` for what is wrong, or cannot be read.
    """

    def __init__(
        self,
        database_url: str,
        amqp_url: str,
        http_url: str,
        gateway_url: str | None = None,
        *,
        shop: str = Settings.shop,
        token: str | None = None,
    ) -> None:
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", text("shop", shop)):
            raise ShopError(f"shop must be the deployment's ECOM_SHOP, not {shown(shop)}.")
        server, where = _only_reading(database_url), check_url("amqp_url", amqp_url)
        self._notes = TemporaryDirectory(prefix="ecom-attached-")  # only we may look into it
        super().__init__(self._notes.name)
        write_private(self.folder / SERVER, f"{server}\n{shop}")
        try:
            with Reader(self.folder) as read:
                read["order"].count(Order)
        except ShopError:
            self._notes.cleanup()
            raise
        self.name, self._gateway_url = shop, gateway_url
        self.unseen = (MAILS,) if gateway_url else (LEDGER, MAILS)
        # What is dropped is written down where whoever drops it is: there is no shop's folder.
        self.dead = self._dead = DeadLetters(self.saga, where, shop, self.folder, Path.cwd())
        token = token or os.environ.get("ECOM_HTTP_TOKEN")
        self._client = Client(lambda: http_url.rstrip("/"), token, is_here=False)

    def close(self) -> None:
        """Close the connections. The deployment is left as it is."""
        self._client.close()
        self._notes.cleanup()

    def __exit__(self, *_: object) -> None:
        self.close()

    # As of a shop of our own, but for its processes: whether these run, only their work tells.
    settle, watch, wait_until = Shop.settle, Shop.watch, Shop.wait_until
    place, place_many, cancel, token = Shop.place, Shop.place_many, Shop.cancel, Shop.token

    def _staffed(self) -> Processes:
        return Processes(self.folder, {}, {}, -1)

    def dead_letters(self) -> pd.DataFrame:
        """service, order_id, type, reason, error, attempts, since: a row for each dead letter that
        lies there, as services have noted them; those that the broker has set aside by itself, as
        they killed their service, are in `dead.list()` only."""
        found = [
            (service, it.subject, it.type, it.reason, it.error, it.attempts, rfc3339(it.at))
            for service in self.saga.services
            for it in self._rows(service, Letter, ended_at=None)
        ]
        return frame(found, "service order_id type reason error attempts since", {"attempts"})

    def emails(self, order: str | None = None) -> pd.DataFrame:
        """Raises `ShopError`: what was sent is no longer the shop's."""
        raise ShopError(f"Nobody sees {MAILS} from here; `history` says what customers were told.")

    def _told(self) -> list[tuple[str, str]]:
        """What notification says it has told them."""
        rows = self._rows("notification", Told)
        told = [(it.order_id, CONFIRMED) for it in rows if it.confirmed]
        return told + [(it.order_id, CANCELLED) for it in rows if it.cancelled is not None]

    def _movements(self) -> list[Movement]:
        if not self._gateway_url:
            raise ShopError(f"Nobody sees {LEDGER} from here: give `attach` a gateway_url.")
        try:
            with client(is_here=False) as http:
                answer = http.get(f"{self._gateway_url.rstrip('/')}/ledger")
            return msgspec.json.decode(answer.raise_for_status().content, type=list[Movement])
        except (httpx.HTTPError, httpx.InvalidURL, msgspec.MsgspecError) as error:
            what = type(error).__name__  # whose text may quote a password
            raise ServiceDown(f"The payment provider does not show its ledger ({what}).") from None


attach = Attached


def _only_reading(url: str) -> str:
    """The URL of connections in which the server refuses each change, whatever the role may do."""
    try:
        parts = urlsplit(text("database_url", url))
    except ValueError:  # whose text may quote a part of the password
        parts = urlsplit("")
    if parts.scheme not in ("postgresql", "postgres") or url.split() != [url]:
        raise ShopError("database_url must be like postgresql://user:password@host/database.")
    # The server that takes writes is found by its role: a session of ours would take none there.
    query = parts.query.replace("target_session_attrs=read-write", "target_session_attrs=primary")
    told = f"options={quote('-c default_transaction_read_only=on')}"
    return parts._replace(query="&".join(filter(None, (query, told)))).geturl()
