"""The line to the database under TLS: for whom services open it, and for whom not."""

import os
from urllib.parse import urlsplit

import psycopg
import pytest
import trustme
from helpers import free_port, process

from ecom import Shop
from ecom.errors import ShopError
from ecom.harness import postgres
from ecom.process.databases import Server
from ecom_lab.shop import SAGA

OF_CLIENTS = "hostssl all all 127.0.0.1/32 scram-sha-256\n"  # nobody comes in without TLS


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """Where the certificates of an authority and of a stranger are; what it gave the server."""
    folder, authority = tmp_path_factory.mktemp("certificates"), trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    trustme.CA().cert_pem.write_to_path(str(folder / "stranger.pem"))
    return folder, authority.issue_cert("127.0.0.1")


@pytest.fixture(scope="module")
def url(certificates, cluster):
    """The address of a server that proves who it is, and takes nothing in clear text."""
    (_, its), data, port = certificates, cluster.folder / "data", free_port()
    its.cert_chain_pems[0].write_to_path(str(data / "server.crt"))
    its.private_key_pem.write_to_path(str(data / "server.key"))
    (data / "server.key").chmod(0o600)
    if os.geteuid() == 0:
        who = postgres.other_user()
        os.chown(data / "server.key", who["user"], who["group"])
    (data / "pg_hba.conf").write_text(OF_CLIENTS)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"listen_addresses": "127.0.0.1", "port": port, "ssl": "on"}.items():
            patch.setitem(postgres.OPTIONS, name, value)
        cluster.stop()
        cluster.start()
    user = cluster.url.partition("@")[0]
    return f"{user}@127.0.0.1:{port}/postgres?sslmode=verify-full&sslrootcert="


def test_an_order_settles_over_tls(url, certificates, broker):
    """The shop and its services: all that is connected is so under TLS."""
    trusted = f"{url}{certificates[0] / 'ca.pem'}"
    with Shop(database=trusted, amqp_url=broker, outside="files") as shop:
        shop.place("ada@example.com", {"TEAPOT": 1})
        shop.settle()
        assert shop.books().balanced
        with psycopg.connect(trusted) as db:
            lines = "SELECT usename, ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)"
            found = db.execute(f"{lines} WHERE client_port IS NOT NULL").fetchall()
    assert {name.rpartition("_")[2] for name, _ in found} >= {*SAGA.services}
    assert all(is_encrypted for _, is_encrypted in found)


@pytest.mark.parametrize(("authority", "host"), [("stranger", "127.0.0.1"), ("ca", "localhost")])
def test_a_server_that_cannot_prove_who_it_is_is_told_nothing(
    url, certificates, broker, bare, tmp_path, authority, host
):
    """An unknown authority, or a certificate for another host: the shop says so, and a service in
    its log, with which it ends; neither says the password."""
    trusted = f"{url}{certificates[0] / 'ca.pem'}"
    Server(trusted, bare).provision(SAGA.services["audit"])
    wrong = f"{url.replace('127.0.0.1', host)}{certificates[0] / authority}.pem"
    with pytest.raises(ShopError, match="certificate") as caught:
        Shop(database=wrong, amqp_url=broker, folder=tmp_path).open()
    service = process("audit", broker, tmp_path, bare, ECOM_DATABASE_URL=wrong)
    assert service.wait(60) == 1
    log = (tmp_path / "audit-1.log").read_text()
    assert "certificate" in log
    for said in (str(caught.value), log):
        assert urlsplit(url).password not in said


def test_without_tls_nobody_comes_in(url, broker, tmp_path):
    """Which a server that asks for it says itself."""
    plain = url.partition("?")[0] + "?sslmode=disable"
    with pytest.raises(ShopError, match="no encryption"):
        Shop(database=plain, amqp_url=broker, folder=tmp_path).open()
