"""What callers hand over, made ours: numbers of any kind, texts, or a sentence.

Each function raises `ShopError`, which names the argument and its value, and nothing else.
"""

from collections.abc import Mapping, Sequence
from inspect import iscoroutinefunction, isgeneratorfunction
from typing import Any, get_args

import msgspec

from ecom.errors import OrderRefused, ShopError
from ecom.events import Quantity, Sku, UnitPrice
from ecom.runtime.saga import Saga
from ecom.runtime.service import Service
from ecom.sandbox.cards import GOOD_CARD
from ecom.sandbox.faults import Faults
from ecom.settings import number, one_of, shown, text
from ecom.shop.catalogue import cards, price_of

Lines = Mapping[str, int] | Sequence[Mapping[str, Any]]  # units by sku, or lines as the API's
MOST_UNITS = 10**12  # on a shelf


def units_of_stock(stock: Any) -> dict[str, int]:
    """Units by sku."""
    return {
        _sku("stock", sku): number(f"stock of {shown(sku)}", units, 0, MOST_UNITS, whole=True)
        for sku, units in _pairs("stock", stock)
    }


def orders_for(given: Any) -> list[dict[str, Any]]:
    """Orders from arguments of `order_for`. Raises `OrderRefused`, which says of which one."""
    try:
        found = [*given]
    except Exception as error:
        raise ShopError(f"orders must be a list of dictionaries, not {shown(given)}.") from error
    orders = []
    for n, each in enumerate(found, 1):
        try:
            named = {text("the name of an argument", it): of for it, of in _pairs("it", each)}
            orders.append(order_for(**named))
        except ShopError as error:
            raise OrderRefused(f"order {n}, {error}") from error
    return orders


def order_for(
    customer: Any = None, lines: Any = None, card: Any = None, **unknown: Any
) -> dict[str, Any]:
    """An order as the API wants it, at the catalogue's prices, with the customer's own card."""
    if unknown:
        raise ShopError(f"an order has customer, lines and card, but no {shown([*unknown])}.")
    customer = text("customer", customer)
    card = text("card", cards().get(customer, GOOD_CARD) if card is None else card)
    return {"customer": customer, "card": card, "lines": _lines(lines)}


def _lines(given: Any) -> list[dict[str, Any]]:
    if isinstance(given, list | tuple):
        found = [dict(_pairs("line", each)) for each in given]
    else:
        found = [{"sku": sku, "quantity": units} for sku, units in _pairs("lines", given)]
        for line in found:
            line["unit_price"] = price_of(_sku("lines", line["sku"]))
    return [_line(f"line {n}", line) for n, line in enumerate(found, 1)]


def _line(what: str, line: dict[str, Any]) -> dict[str, Any]:
    if not {"sku", "quantity"} <= line.keys() <= {"sku", "quantity", "unit_price"}:
        raise ShopError(f"{what} must have sku, quantity and perhaps unit_price: {shown(line)}.")
    bounds = {"quantity": Quantity, "unit_price": UnitPrice}
    return {"sku": _sku(what, line["sku"])} | {
        name: number(f"{what}: {name}", line[name], *_bounds(kind), whole=True)
        for name, kind in bounds.items()
        if name in line
    }


def _bounds(kind: Any) -> tuple[int, int]:
    meta = get_args(kind)[1]
    return meta.ge, meta.le


def order_id(value: Any) -> str:
    """An order's id, which may be given as its number."""
    if isinstance(value, str) and text("order", value):
        return value
    return str(number("order", value, 1, 10**18, whole=True))


def faults(given: Mapping[str, Any]) -> dict[str, Any]:
    """Faults of the payment provider; see `ecom.sandbox.faults.Faults`."""
    known = {field.name: field for field in msgspec.structs.fields(Faults)}
    return {name: _fault(name, value, known) for name, value in given.items()}


def _fault(name: str, value: Any, known: Mapping[str, Any]) -> Any:
    if name not in known:
        raise ShopError(f"The gateway knows no fault {shown(name)}: choose of {', '.join(known)}.")
    if isinstance(known[name].default, bool):
        if type(value).__name__ not in ("bool", "bool_"):  # numpy has its own
            raise ShopError(f"{name} must be True or False, not {shown(value)}.")
        return bool(value)
    return number(name, value, *_bounds(known[name].type), whole=name == "seed")


def services(given: Any, of: Saga) -> Saga:
    """The saga with these services, or with handlers of its own laid over theirs."""
    if not isinstance(of, Saga):
        raise ShopError(f"saga must be one, such as orchestration(), not {shown(of)}.")
    for name, its in _pairs("services", given):
        one_of("service", name, of.services)
        if not isinstance(its, Service):
            its = of.services[name].answering(dict(_pairs(f"services: {name}", its)))
        if its.name != name:
            raise ShopError(f"services: what is given as {name} is named {shown(its.name)}.")
        if not isinstance(its.rows, tuple) or not isinstance(its.effects, tuple):
            raise ShopError(f"services: rows and effects of {name} must be tuples, as `(Row,)` is.")
        _check_handlers(its, of)
        of = of.answering(name, its.handlers).replacing(its)
    return of


def _check_handlers(service: Service, of: Saga) -> None:
    sent = {it for it in of.contract.events if it.producer == service.name} | {*service.effects}
    for kind, handler in service.handlers.items():
        if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
            raise ShopError(f"services: {service.name}: {shown(kind)} is no type of messages.")
        what = f"services: {service.name}'s handler of {kind.__name__}"
        if kind in sent:
            raise ShopError(f"{what} would never be called: {service.name} is who sends it.")
        if not callable(handler) or iscoroutinefunction(handler) or isgeneratorfunction(handler):
            raise ShopError(f"{what} must be a function without await or yield.")


def _pairs(what: str, given: Any) -> list[tuple[Any, Any]]:
    try:
        return list(dict(given).items())
    except Exception as error:
        raise ShopError(f"{what} must be a dictionary, not {shown(given)}.") from error


def _sku(what: str, value: Any) -> str:
    try:
        return msgspec.convert(text(f"{what}: sku", value), Sku)
    except msgspec.ValidationError as error:
        raise ShopError(
            f"{what}: a sku is 1 to 64 characters that can be printed, not {shown(value)}."
        ) from error
