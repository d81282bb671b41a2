"""An outside world with one safeguard missing: calls without keys, and a disk that is lazy."""

from ecom.runtime.messages import Performed
from ecom.services.notification import MailSent, SendMail
from ecom.services.payment import Capture, Refund
from ecom_lab.simulator.durability import Disk
from ecom_lab.simulator.fake_effects import Booking, Ledger, Mailer, Provider


class _Keyless(Provider):
    """Calls of one kind carry no idempotency key: each is a new one."""

    kind: type

    def book(
        self, ledger: Ledger, seq: int, key: str, effect: Capture | Refund, outcome: str
    ) -> tuple[Ledger, object]:
        if type(effect) is self.kind:
            key = f"{key}#{len(ledger)}"
        return super().book(ledger, seq, key, effect, outcome)


class KeylessCapture(_Keyless):
    kind = Capture


class KeylessRefund(_Keyless):
    kind = Refund


class NewMessageId(Mailer):
    """Every attempt at a mail is a mail of its own."""

    def call(self, ledger: Ledger, seq: int, key: str, mail: SendMail) -> tuple[Ledger, object]:
        booking = Booking(mail.order_id, f"{key}#{len(ledger)}", mail.subject, mail.to)
        return (*ledger, booking), Performed(seq, MailSent(mail.order_id))


class LazyDisk(Disk):
    """`synchronous=NORMAL`: a commit is safe from a power cut only when the next one is made."""

    def commit(self) -> None:
        before = self._before
        super().commit()
        self.synced = before
