"""The clinic: symptoms that do not give away their reason, diagnoses that are marked, two holes."""

import re
from pathlib import Path

import nbformat
import pytest

from ecom_lab import grade

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
CLINIC = sorted((NOTEBOOKS / "clinic").glob("*.ipynb"))
of_each = pytest.mark.parametrize("path", CLINIC, ids=lambda path: path.stem)


def code_of(path):
    return [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]


def shown(path, part):
    """What the cells that have this in them have shown, in order."""
    cells = [cell for cell in code_of(path) if part in cell.source]
    return [
        "".join(out.get("text", "") or out.data["text/plain"] for out in cell.outputs)
        for cell in cells
    ]


def test_there_are_ten_patients_and_books_are_not_all_that_tells():
    """One has a dead letter; in one a message waits for ever, and its books balance."""
    symptoms = [each for path in CLINIC for each in shown(path, "found.symptoms")]
    assert len(symptoms) == 10
    for part in ("dead letters  none", "waiting       none"):
        assert sum(part not in each for each in symptoms) == 1


@of_each
def test_what_gives_a_patient_away_is_folded(path):
    """Its code, and the mark of the diagnosis; what struck it from outside is told nowhere."""
    for cell in code_of(path):
        folded = cell.metadata.get("jupyter", {}).get("source_hidden", False)
        admits = "patient" in cell.source and "grade(" not in cell.source
        assert folded == (".mark(\n" in cell.source or (admits and "# TODO" not in cell.source))
    for each in shown(path, "found.symptoms"):
        assert not each.startswith("books         balanced") or "waiting       none" not in each
        assert not re.search("dies|crash|duplicate|before|fails", each)


def defined(folder, name):
    """What the cells of a notebook define, without being graded."""
    names = {"__name__": "__main__"}
    for cell in code_of(NOTEBOOKS / folder / name):
        if "grade(" not in cell.source:
            exec(cell.source, names)
    return names


FIRST_ONLY = """
def give_back(row, work):
    work[Payment].put(replace(row, state=REFUNDING))
    work.request(Refund(row.order_id, row.amount, key(row)), key=key(row))
"""


def test_a_refund_that_is_not_requested_hides_that_its_key_is_known():
    """Both keep the customer's money; the second with the provider's word that it did not."""
    names = defined("clinic", "c2_find_the_second_hole.ipynb")
    exec(FIRST_ONLY, names)
    kinds = {"InventoryProcessed": "capture", "Captured": "captured", "OrderCancelled": "undo"}
    handlers = {names[kind]: names[handler] for kind, handler in kinds.items()}
    found = grade("cancelled", payment=handlers)
    assert found.story.violation.promise == "cancelled-gives-back"
    assert "provider      captured 1250 pence of order 1001\n" in repr(found.symptoms)
    assert "order 1001 is REFUNDED" in repr(found.symptoms)


def test_a_cancellation_that_is_not_told_hides_what_is_not_released():
    """To mend the hidden hole alone changes nothing, not even the story; to mend the other shows
    it."""
    sick, healthy = (defined(it, "c2_find_the_second_hole.ipynb") for it in ("clinic", "solutions"))

    def stories(cancel, release):
        handlers = (
            {sick["CancelOrder"]: cancel["cancel"]},
            {sick["OrderCancelled"]: release["release"]},
        )
        return repr(grade("cancelled", order=handlers[0], inventory=handlers[1]).story)

    first, heard = stories(sick, sick), "inventory handles order.cancelled of order 1001"
    assert stories(sick, healthy) == first
    assert heard not in first
    second = stories(healthy, sick)
    assert heard in second
    assert "order 1001 is CANCELLED, its stock is COMMITTED" in second


ONE_OF_TWO = """
def sick(message, tx):
    yield ACK
    tx.handle(message)
    yield COMMIT

def early(message, tx):
    yield ACK
    if not tx.seen(message.id):
        tx.remember(message.id)
        tx.handle(message)
        yield COMMIT

def late(message, tx):
    tx.handle(message)
    yield COMMIT
    yield ACK
"""


def test_an_early_acknowledgement_hides_that_there_is_no_inbox():
    """What is acknowledged at once is never delivered again; an inbox alone has nothing to do."""
    names = defined("clinic", "c3_heal_the_machinery.ipynb")
    exec(ONE_OF_TWO, names)

    def story(name):
        return repr(grade("redelivery", inbox={"on_message": names[name]}).story)

    assert "dies before commit" in (first := story("sick"))
    assert story("early") == first
    assert "dies before ack" in story("late")
