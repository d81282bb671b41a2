"""What `pip wheel .` makes: a package that works anywhere, and needs no more than it uses."""

import json
import subprocess
from zipfile import ZipFile

import pytest
from elsewhere import Elsewhere, make_wheel

SHOP = """
from ecom import Shop
with Shop() as shop:
    order = shop.place("ada@example.com", {"TEAPOT": 2})
    shop.settle()
    print(*shop.emails(order).subject, shop.books())
"""
PLAIN = ["pandas", "matplotlib", "PIL", "IPython", "jupyter_client", "papermill", "nbformat"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return make_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def plain(wheel, tmp_path_factory):
    """Where only what every service needs is installed."""
    return Elsewhere(wheel, tmp_path_factory.mktemp("plain"))


def test_the_wheel_holds_two_packages_and_the_catalogue(wheel):
    """The benchmarks live in the checkout only, as do notebooks, documents and tests."""
    names = ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {
        "ecom",
        "ecom_lab",
    }
    assert "ecom/shop/data/catalogue.csv" in names


def test_a_shop_opens_where_there_is_no_checkout(wheel, broker, tmp_path):
    """With the extra `notebook`; what it keeps lies in the user's home."""
    place = Elsewhere(wheel, tmp_path, extra="notebook")
    done = place.run("python", "-c", SHOP, ECOM_AMQP_URL=broker)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Order #1001 Confirmed")
    assert "balanced: 1 orders, 1 confirmed" in done.stdout
    assert (tmp_path / ".ecom" / "shops").is_dir()


def test_without_the_extra_a_shop_says_what_to_install(plain):
    """In a notebook and in a terminal: one sentence, and how to go on."""
    wanted = "This needs pandas, which is not installed. Install ecom's wheel with extras"
    asked = plain.run("python", "-c", "from ecom import Shop")
    assert asked.stderr.splitlines()[-1].startswith(f"ecom.errors.NotInstalled: {wanted}")
    up = plain.run("ecom", "up")
    assert (up.returncode, up.stdout) == (1, "")
    assert up.stderr.startswith(f"Error: {wanted}")


def test_the_command_works_without_the_extras(plain):
    """Its study commands are found, but for the benchmark, which is not in the wheel."""
    done = plain.run("ecom", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert {"up", "replay", "explore"} <= set(done.stdout.split())
    assert "bench" not in done.stdout.split()


def test_a_new_project_depends_on_the_wheel_that_it_came_from(plain, wheel):
    """By its address; its templates are in the wheel."""
    done = plain.run("ecom", "new", "gifts")
    assert (done.returncode, done.stderr) == (0, "")
    wanted = (plain.folder / "gifts" / "requirements.txt").read_text()
    assert wanted.splitlines()[0] == f"ecom[lab,notebook] @ {wheel.as_uri()}"
    assert (plain.folder / "gifts" / "gifts" / "saga.py").exists()


@pytest.mark.parametrize("service", ["order", "audit"])
def test_a_service_needs_neither_pandas_nor_jupyter_nor_matplotlib(
    plain, service, broker, bare, tmp_path, wait_for
):
    """It starts where none of them is, says so, and ends well when asked."""
    missing = f"import importlib.util as u; print(*map(u.find_spec, {PLAIN}))"
    assert set(plain.run("python", "-c", missing).stdout.split()) == {"None"}
    told = {"ECOM_AMQP_URL": broker, "ECOM_FOLDER": str(tmp_path), "ECOM_SHOP": bare}
    it = subprocess.Popen(
        [plain.bin / "python", "-m", "ecom.serve", service],
        cwd=plain.folder,
        env=plain.environment | told,
        stderr=subprocess.DEVNULL,
    )
    with it:
        wait_for((tmp_path / f"{service}-1.json").exists)
        assert json.loads((tmp_path / f"{service}-1.json").read_text())["pid"] == it.pid
        it.terminate()
        assert it.wait(10) == 0
