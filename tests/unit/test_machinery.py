"""The machinery knows no shop: none of its names, and none of its texts, is the shop's."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import ecom

ROOT = Path(ecom.__file__).parent
ROOMS = ("contract", "stores", "runtime", "amqp", "process", "harness", "telemetry", "broker")
FILES = [ROOT / "bus.py", *(path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py")))]
SHOP = re.compile(r"(?<![a-z])(order_?id|stock|skus?|payments?|cards?|customers?)(?![a-z])", re.I)
KNOWN = {
    "ecom/stores/migrations.py": {"order_id"},  # a column of the first release, which is renamed
    "ecom/telemetry/logs.py": {"card"},  # what looks like one is masked, in anybody's log
}


def names_and_texts(tree: ast.AST) -> Iterator[str]:
    """Every identifier of a module, and every text in it but docstrings."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docs = {id(node.body[0].value) for node in ast.walk(tree) if _has_docstring(node, documented)}
    for node in ast.walk(tree):
        for field in ("name", "id", "attr", "arg", "asname", "module"):
            if isinstance(found := getattr(node, field, None), str):
                yield found
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.value


def _has_docstring(node, documented):
    return isinstance(node, documented) and ast.get_docstring(node) is not None


def words_of_the_shop(text: str) -> set[str]:
    """Also within `order_id`, `stockLevel` and `PaymentProcessed`."""
    split = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", text)
    return {found[0].lower() for found in SHOP.finditer(split)}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_word_of_the_shop_is_in_the_machinery(path):
    """What a saga is of, its contract says; its columns, titles and sentences follow from that."""
    texts = (str(path.relative_to(ROOT.parent)), *names_and_texts(ast.parse(path.read_text())))
    found = set().union(*map(words_of_the_shop, texts))
    assert found <= KNOWN.get(texts[0], set())


def test_words_are_found_where_they_hide():
    """In names of either style; and not within other words."""
    assert words_of_the_shop("self.by_order_id") == {"order_id"}
    assert words_of_the_shop("PaymentProcessed") == {"payment"}
    assert words_of_the_shop("no stock for this customer's card") == {"stock", "customer", "card"}
    assert words_of_the_shop("discard in_order order_ids wildcard") == set()
