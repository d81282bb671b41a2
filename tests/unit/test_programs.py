"""What a shop's processes run."""

from importlib import import_module
from pkgutil import resolve_name

from ecom.sandbox.sandbox import Sandbox
from ecom.shop.shop import Shop
from ecom_lab.shop import SERVICES


def test_what_processes_call_is_there_and_so_is_what_is_loaded_for_them():
    """A module that is not found would be no error, only slow: each process would load its own."""
    shop = Shop()
    shop._sandbox, shop._token = Sandbox(as_processes=True), ""
    its = shop._programs({it: {"ECOM_AMQP_URL": "amqp://"} for it in SERVICES})
    shop._sandbox.close()
    assert set(its) == {*SERVICES, "gateway", "mail"}
    for program in its.values():
        assert callable(resolve_name(program.target))
        for module in program.imports:
            import_module(module)
