"""A saga whose code is partly a notebook's, carried to the processes of its services."""

import copyreg
import io
from functools import lru_cache, partial
from typing import Any

import cloudpickle
from msgspec import Meta, Struct, defstruct, field, structs

# The bounds of a field.
copyreg.pickle(Meta, lambda it: (partial(Meta, **dict(it.__rich_repr__())), ()))

CACHE = type(lru_cache(id))  # what `lru_cache` and `cache` make of a function


def carried(what: Any) -> bytes:
    """A saga, alone or with what goes with it, pickled with all code that is in no module."""
    buffer = io.BytesIO()
    Pickler(buffer).dump(what)
    return buffer.getvalue()


class Pickler(cloudpickle.Pickler):
    """It takes a notebook's events and rows along, too: a struct is made of its fields at once,
    and cannot be given them afterwards, as other classes are. A cache arrives empty."""

    def reducer_override(self, thing: Any) -> Any:
        of_notebook = getattr(thing, "__module__", "") == "__main__"
        if of_notebook and isinstance(thing, CACHE):
            return _cached, (thing.cache_parameters(), thing.__wrapped__)
        is_struct = of_notebook and isinstance(thing, type(Struct))
        return _reduced(thing) if is_struct else super().reducer_override(thing)


def _cached(parameters: dict[str, Any], function: Any) -> Any:
    return lru_cache(**parameters)(function)


def _reduced(kind: Any) -> Any:
    types = kind.__annotations__
    own = {it.name: it for it in structs.fields(kind) if it.name in types}
    fields = [(name, types[name], it.default, it.default_factory) for name, it in own.items()]
    rest = {name: it for name, it in vars(kind).items() if name[:2] != "__" and name not in own}
    rest["__doc__"] = kind.__doc__
    return _created, (kind.__name__, fields, kind.__bases__, rest, kind.__struct_config__.frozen)


def _created(name: str, fields: Any, bases: Any, rest: dict[str, Any], frozen: bool) -> Any:
    own = [(name, kind, field(default=it, default_factory=f)) for name, kind, it, f in fields]
    return defstruct(name, own, bases=bases, namespace=rest, module="__main__", frozen=frozen)
