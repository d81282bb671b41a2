"""A world outside of a service that does each thing once, whatever it is that it does."""

from dataclasses import dataclass

from msgspec import Struct

from ecom.contract.contract import subject_of
from ecom.harness.outside import Answers, Booking
from ecom.runtime.messages import Failed, Performed
from ecom.runtime.service import Impossible
from ecom_lab.simulator.scenario import Ledger


@dataclass(frozen=True)
class Sandbox:
    """Whoever carries out a service's effects: under one key one answer, and always the same."""

    name: str
    answers: Answers
    call: str = "call"
    is_open: bool = True

    def perform(
        self, ledger: Ledger, seq: int, key: str, effect: Struct
    ) -> tuple[Ledger, Performed | Failed]:
        """The answer that is booked under this key, or a new one."""
        booking = next((it for it in ledger if it.key == key), None)
        if booking is None:
            try:
                booking = Booking(subject_of(effect), key, effect, self.answers(effect))
            except Impossible as error:
                return ledger, Failed(seq, str(error), final=True)
            ledger = (*ledger, booking)
        return ledger, Performed(seq, booking.answer)
