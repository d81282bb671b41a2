"""The line to the broker under TLS: for whom it opens, and for whom not."""

import pytest
import trustme
from helpers import free_port, process

from ecom import Shop
from ecom.broker.lease import BrokerUnavailable
from ecom.broker.node import Node
from ecom.bus import parameters
from ecom.errors import ShopError
from ecom.shop.provision import provision
from ecom_lab.shop import SAGA

LISTENING = """\
listeners.ssl.1 = 127.0.0.1:{port}
ssl_options.cacertfile = {folder}/ca.pem
ssl_options.certfile = {folder}/127.0.0.1.pem
ssl_options.keyfile = {folder}/127.0.0.1.key
ssl_options.verify = verify_peer
ssl_options.fail_if_no_peer_cert = true
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An authority, and certificates that it has signed: the broker's, and ours."""
    folder, authority = tmp_path_factory.mktemp("certificates"), trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    trustme.CA().cert_pem.write_to_path(str(folder / "stranger.pem"))
    for name in ("127.0.0.1", "ours"):
        signed = authority.issue_cert(name)
        signed.cert_chain_pems[0].write_to_path(str(folder / f"{name}.pem"))
        signed.private_key_pem.write_to_path(str(folder / f"{name}.key"))
    return folder


@pytest.fixture(scope="module")
def url(folder):
    """The `amqps://` address of a node of our own."""
    port = free_port()
    node = Node(folder / "node", config=LISTENING.format(port=port, folder=folder))
    try:
        node.start()
        password = parameters(node.url)[0].credentials.password
        yield f"amqps://ecom:{password}@127.0.0.1:{port}/%2F"
    finally:
        node.kill()
        node.stop()


@pytest.fixture(autouse=True)
def trusting(folder, monkeypatch):
    """What the environment says: whom we trust, and who we are."""
    monkeypatch.setenv("ECOM_AMQP_CA", str(folder / "ca.pem"))
    monkeypatch.setenv("ECOM_AMQP_CERT", str(folder / "ours.pem"))
    monkeypatch.setenv("ECOM_AMQP_KEY", str(folder / "ours.key"))


def test_an_order_settles_over_tls(url):
    """The shop, its services and its provisioner: each shows its certificate and asks for one."""
    with Shop(amqp_url=url, outside="files") as shop:
        shop.place("ada@example.com", {"TEAPOT": 1})
        shop.settle()
        assert shop.books().balanced
        assert shop.dead.list().empty


@pytest.mark.parametrize(("authority", "host"), [("stranger", "127.0.0.1"), ("ca", "localhost")])
def test_a_broker_that_cannot_prove_who_it_is_is_refused_in_a_sentence(
    url, folder, tmp_path, monkeypatch, wait_for, authority, host
):
    """An unknown authority, or a certificate for another host: by the shop, and by a service in
    its log; both say what to do, and neither says the password."""
    monkeypatch.setenv("ECOM_AMQP_CA", str(folder / f"{authority}.pem"))
    wrong = url.replace("127.0.0.1", host)
    with pytest.raises(BrokerUnavailable, match="certificate is not trusted") as caught:
        Shop(amqp_url=wrong, folder=tmp_path).open()
    provision(SAGA, tmp_path)
    log = tmp_path / "audit-1.log"
    service = process("audit", wrong, tmp_path, "nowhere")
    try:
        wait_for(lambda: "certificate is not trusted" in log.read_text())
    finally:
        service.terminate()
        service.wait(10)
    for said in (str(caught.value), log.read_text()):
        assert "ECOM_AMQP_CA" in said
        assert parameters(url)[0].credentials.password not in said


def test_files_that_are_not_there_are_named(url, tmp_path, monkeypatch):
    """One sentence with the variables that say where they are, also of a service."""
    monkeypatch.setenv("ECOM_AMQP_CA", str(tmp_path / "none.pem"))
    with pytest.raises(ShopError, match=r"ECOM_AMQP_CA.*must name PEM files.*No such file"):
        parameters(url)
    service = process("audit", url, tmp_path, "nowhere")
    assert service.wait(30) == 1
    assert (tmp_path / "audit-1.log").read_text().startswith("ECOM_AMQP_CA, and ")
