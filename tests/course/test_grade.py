"""`grade` judges a service as it deserves, and says so in words that a learner understands."""

import re
from threading import Lock

import pytest
import wrong_parts
from wrong_answers import ANSWERS, cell

from ecom.errors import ShopError
from ecom.events import PaymentFailed
from ecom.runtime.service import Service
from ecom.sandbox.cards import DECLINED_CARD
from ecom.services import payment
from ecom.services.payment import Capture, Captured, Payment
from ecom_lab import grade
from ecom_lab.grading.stages import ALL, STAGES, Stage
from ecom_lab.shop import SAGA
from ecom_lab.simulator.shop.ablations import HANDLERS, one
from ecom_lab.simulator.shop.scenario import Wish, shop
from examples.trip import ablations, stages
from examples.trip.events import TripCancelled

LONGEST = 20  # steps of a counterexample
# Where a service without this safeguard is found out: "cancelled", unless it is said here.
STAGE_OF = {
    "stock-check": "race",
    "all-or-nothing": "race",
    "tombstone-inventory": "crash",
    "refund-late-capture": "late",
    "told-once": "declined",
}


@pytest.mark.parametrize("name", ALL)
def test_the_shops_own_services_pass_all_their_stages(name):
    """A mapping that changes nothing is the shipped service; every stage that makes sense is
    played."""
    found = grade(**{name: {}})
    assert found, found
    assert [it.stage for it in found.passed] == [it.name for it in STAGES if name in it.services]
    assert all(it.states > 5 for it in found.passed)


def test_a_whole_saga_and_a_whole_service_can_be_graded():
    assert grade("cancelled", saga=SAGA)
    assert grade("cancelled", payment=SAGA.services["payment"], inventory={})
    assert grade("calm", payment=payment.service()).words == (
        "Payment listens to inventory.processed and does not handle it."
    )


def test_a_service_of_another_saga_is_graded_in_stages_of_its_own():
    """By the same machine: the trip's own car service, and one that leaves no tombstone."""
    found = grade(stages=stages.STAGES, car={})
    assert [it.stage for it in found.passed] == [
        it.name for it in stages.STAGES if "car" in it.services
    ]
    found = grade(stages=stages.STAGES, car={TripCancelled: ablations.no_tombstone})
    assert found.failed == "expired"
    assert "car handles hotel.held of trip trip-0" in repr(found)


@pytest.mark.parametrize("name", HANDLERS)
def test_a_service_without_a_safeguard_fails_its_stage(name):
    """With a short story; and the stages before, which are kinder, let it pass."""
    service, handlers, _ = HANDLERS[name]
    found = grade(**{service: handlers})
    assert found.failed == STAGE_OF.get(name, "cancelled")
    assert 2 <= len(found.story.violation.steps) <= LONGEST
    assert f"What must hold: {_sentence(found)}" in repr(found)
    assert found.story.diagram.text.startswith(found.story.violation.problem)
    drawn = {(it.kind, it.label) for it in found.story.diagram.steps}
    assert any(kind == "state" and "PENDING" in label for kind, label in drawn)
    assert service != "payment" or drawn & {("effect", "capture"), ("effect", "refund")}


def _sentence(found):
    (worlds,) = (it.worlds for it in STAGES if it.name == found.failed)
    (sentence,) = {
        it.sentence
        for world in worlds
        for it in world.properties
        if it.name == found.story.violation.promise
    }
    return sentence.replace("\n", " ")


@pytest.mark.parametrize("name", ANSWERS)
def test_a_wrong_answer_is_judged_right(name):
    """It fails in the stage where it is wrong, by the promise that it violates or with a sentence
    about the code, and the line."""
    source, stage, said, line = ANSWERS[name]
    _judged(grade(payment=cell(source)["mine"]), source, stage, said, line)


@pytest.mark.parametrize("name", wrong_parts.ANSWERS)
def test_a_wrong_part_of_the_machinery_is_judged_right(name):
    """Likewise, an outbox, an inbox, retries; and the order's own rule."""
    what, source, stage, said, line = wrong_parts.ANSWERS[name]
    mine = cell(source, wrong_parts.BEGIN)["mine"]
    found = grade(stage if what == "order" else "", **{what: mine})  # its stages are long
    _judged(found, source, stage, said, line)


def _judged(found, source, stage, said, line):
    assert found.failed == stage, found
    assert found.story is None or len(found.story.violation.steps) <= LONGEST
    assert said in repr(found)
    shown = re.search(r"\n  line (\d+): (.*)$", repr(found))
    assert (shown[2] if shown else "") == line
    if shown:
        assert source.strip().splitlines()[int(shown[1]) - 1].strip() == line
    assert "Traceback" not in repr(found)


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("DECLINED", "order 1001 is CANCELLED but its payment is REFUNDING"),
        ("REFUNDING", "order 1001 was refunded 2 times"),
        ("REFUNDED", "order 1001 was refunded 2 times"),
    ],
)
def test_a_refund_in_a_second_state_fails_where_messages_come_twice(state, said):
    """Under its own key, which the provider has forgotten; or of money that was never captured."""
    source = f"""
    def undo(cancelled, work):
        row = work[Payment].get(cancelled.order_id)
        if row is None or row.state != {state}:
            payment.undo_payment(cancelled, work)
        else:
            payment._refund(row, work)

    mine = {{OrderCancelled: undo}}
    """
    found = grade("duplicates", payment=cell(source)["mine"])
    _judged(found, source, "duplicates", said, "")


def test_a_right_answer_of_another_shape_passes():
    """Reasons to try again are no mistakes: a missing row, an exception of the reader's own."""
    source = """
    class NotYet(ValueError):
        pass

    def done(refunded, work):
        if work[Payment].get(refunded.order_id) is None:
            raise NotYet
        return payment.money_refunded(refunded, work)

    mine = {Refunded: done, Captured: lambda captured, work: payment.money_captured(captured, work)}
    """
    assert grade("cancelled", payment=cell(source)["mine"])


def test_a_cache_of_what_depends_on_nothing_else_passes():
    """It makes no difference whether it is empty, as after a crash; an impure one does: see
    `wrong_answers`."""
    source = """
    from functools import cache

    @cache
    def key(name, order_id):
        return f"{name}/{order_id}/{len(key.__wrapped__.__name__)}"

    def capture(held, work):
        if work[Payment].get(held.order_id) is None:
            row = Payment(held.order_id, PENDING, held.customer, held.total, work.now, work.saga)
            work[Payment].put(row)
            it = Capture(held.order_id, held.total, held.card)
            work.request(it, key=key("capture", key_for("capture", row)))

    mine = {InventoryProcessed: capture}
    """
    assert grade("calm", payment=cell(source)["mine"])


def test_a_commit_of_nothing_loses_nothing():
    """Whatever fails at it: what the commit before it has requested is done all the same."""
    source = """
    def on_message(message, tx):
        for event in tx.handle(message):
            tx.put(event)
        yield COMMIT
        yield ACK
        yield from relay(tx)

    def relay(tx):
        for event in tx.unsent():
            yield Publish(event)
        yield COMMIT

    mine = {"on_message": on_message, "relay": relay}
    """
    assert grade("unconfirmed", outbox=cell(source, wrong_parts.BEGIN)["mine"])


def test_a_state_that_nobody_asks_for_is_missed_by_no_stage():
    """DECLINED is for people. Nor need two handlers look at the state: each answer comes once, and
    nothing is to be done afterwards; not even where the customer cancels with a bad card."""
    source = """
    def declined(answer, work):
        row = work[Payment][answer.order_id]
        work.emit(PaymentFailed(row.order_id, row.customer, answer.reason))

    def refunded(answer, work):
        row = work[Payment][answer.order_id]
        work[Payment].put(replace(row, state=REFUNDED))
        work.emit(PaymentRefunded(row.order_id, row.customer, row.amount))

    mine = {Declined: declined, Refunded: refunded}
    """
    mine = cell(source)["mine"]
    assert grade(payment=mine)
    world = shop((Wish(card=DECLINED_CARD, may_cancel=True),), faults=1)
    kinds = ("late", "crash", "duplicate", "disorder")
    both = Stage("both", "", ("payment",), tuple(one(kind, world=world) for kind in kinds))
    assert grade(stages=(both,), payment=mine)


async def later(message, work):
    """A handler that nobody awaits: it would do nothing."""


def bit_by_bit(message, work):
    """Likewise, with nobody to ask for the next bit."""
    yield


@pytest.mark.parametrize(
    ("stage", "services", "words"),
    [
        ("storm", {"payment": {}}, "there is no stage 'storm', but: calm, declined"),
        ("calm", {"paiment": {}}, "There is no service 'paiment': choose of"),
        ("calm", {"payment": {Captured: Lock().acquire}}, "cannot be carried to another process"),
        ("calm", {"payment": {"captured": id}}, "payment: 'captured' is no type of messages"),
        ("calm", {"payment": {Capture: id}}, "handler of Capture would never be called"),
        ("calm", {"payment": {PaymentFailed: id}}, "handler of PaymentFailed would never be"),
        ("calm", {"payment": {Captured: None}}, "must be a function without await or yield"),
        ("calm", {"payment": {Captured: later}}, "must be a function without await or yield"),
        ("calm", {"payment": {Captured: bit_by_bit}}, "must be a function without await or yield"),
        ("calm", {"payment": Service("Payment", (), {})}, "given as payment is named 'Payment'"),
        (
            "calm",
            {"payment": Service("payment", (Payment), {})},
            "rows and effects of payment must",
        ),
        ("calm", {"outbox": {"on_message": id}}, "for outbox there is no stage 'calm', but: kil"),
        ("", {"outbox": {"on_mesage": id}}, "alone, .* on_message and .* not \\['on_mesage'\\]"),
        ("twice", {"inbox": {"on_message": id}, "payment": {}}, "inbox is graded alone"),
    ],
    ids=[
        *("no stage", "no service", "not carried", "no type", "an effect", "its own event", "none"),
        *(
            "a coroutine",
            "a generator",
            "its name",
            "no tuple",
            "not its stage",
            "no function",
            "not alone",
        ),
    ],
)
def test_what_cannot_be_graded_is_refused_in_a_sentence(stage, services, words):
    with pytest.raises(ShopError, match=words):
        grade(stage, **services)


def test_code_that_takes_too_much_ends(monkeypatch):
    """Also if it catches whatever is raised to end it."""
    bare = """
    def forever(captured, work):
        while True:
            try:
                work[Payment].get("1001")
            except:
                pass

    mine = {Captured: forever}
    """
    monkeypatch.setattr("ecom_lab.grading.grade.SECONDS", 5)
    found = grade("calm", payment=cell(bare)["mine"])
    assert "has not come to its end after" in found.words  # whichever of the two limits is first


def test_code_that_is_never_acknowledged_is_told_so():
    """Each delivery makes another dead letter, so there is no end of steps: it is seen by that, as
    the more dead letters there are, the longer each step takes."""
    forgets = """
    def on_message(message, tx):
        error = tx.handle(message)
        if error:
            tx.set_aside(message, error)
        yield COMMIT

    mine = {"on_message": on_message}
    """
    found = grade("unreadable", retries=cell(forgets, wrong_parts.BEGIN)["mine"])
    assert found.words.startswith("It has not come to its end after 300 steps or 40,000 states: ")
    assert "a message comes again until it is acknowledged" in found.words


def test_code_that_waits_ends(monkeypatch):
    """It does not compute meanwhile, and computing is what is counted on a busy machine."""
    waits = """
    from threading import Event

    def captured(answer, work):
        Event().wait()

    mine = {Captured: captured}
    """
    monkeypatch.setattr("ecom_lab.grading.grade.SECONDS", 4)
    monkeypatch.setattr("ecom_lab.grading.grade.BUSY", 1)
    found = grade("calm", payment=cell(waits)["mine"])
    assert found.words.startswith("It has not come to its end after 4 s: ")
