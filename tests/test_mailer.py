"""Mail, into a file and over SMTP: one contract; letters that hold; and SMTP's own troubles."""

import asyncio
import re
from contextlib import closing
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from outer import outer

from ecom.letter import Letter
from ecom.mailer import Mailbox, MailError
from ecom.outside import mails
from ecom.ports import Failed, Perform, Performed
from ecom.reading import connect
from ecom.rows import Effect
from ecom.service import Impossible
from ecom.services.notification import MailSent, SendMail
from ecom.smtp import SmtpMailer

ID = "<confirmed/1001@tea.ecom.example>"
INJECTIONS = ["Hello\r\nBcc: eve@example.com", "Hello\nBcc: eve@example.com", "Hello\rBcc: x",
              "Hello\x0bBcc: x", "Hello\x85Bcc: x", "Hello\u2028Bcc: x", "Hello\x00",
              "=?utf-8?q?Hello=0D=0ABcc:_eve@example.com?=", "Hello\r\n\r\nAnother body",
              "lone \ud800"]  # fmt: skip


class InFile:
    """The mailbox without a server."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def opened(self):
        return Mailbox(self.folder, lambda: 5.0)

    def restart(self):
        """Nothing is left running between two uses."""


class OverSmtp:
    """The same mailbox behind a mail server."""

    def __init__(self, outside) -> None:
        self.folder, self._outside = outside.folder, outside
        outside.start("mail")

    def opened(self):
        return SmtpMailer(self._outside.smtp_url, lambda: 5.0)

    def restart(self):
        self._outside.kill("mail")
        self._outside.start("mail")


@pytest.fixture
def outside(tmp_path):
    with outer(tmp_path) as outside:
        yield outside


@pytest.fixture(params=[InFile, OverSmtp])
def post(request, tmp_path):
    """A mail service of either kind."""
    if request.param is InFile:
        return InFile(tmp_path)
    return OverSmtp(request.getfixturevalue("outside"))


@pytest.fixture
def smtp(outside):
    """The one over SMTP."""
    return OverSmtp(outside)


def use(post, *mails):
    """Send the mails one after another: what each raised, or None. A callable is called instead."""

    async def run():
        mailer = post.opened()
        try:
            return [it() if callable(it) else await tried(mailer.send(**it)) for it in mails]
        finally:
            await mailer.close()

    return asyncio.run(run())


async def tried(sending):
    try:
        return await sending
    except (MailError, Impossible) as error:
        return type(error)


def mail(**changes):
    return {"message_id": ID, "order_id": "1001", "to": "ada@example.com",
            "subject": "Order #1001 Confirmed", "body": "Good news."} | changes  # fmt: skip


def kept(post):
    with closing(connect(post.folder, "mailbox")) as db:
        return db.execute("SELECT * FROM mails ORDER BY rowid").fetchall()


# ── The contract ──────────────────────────────────────────────────────────────────────────────
def test_a_mail_arrives_as_it_was_sent(post):
    """Every field, as it was given."""
    assert use(post, mail()) == [None]
    ((*fields, at),) = kept(post)
    assert fields == [ID, "1001", "ada@example.com", "Order #1001 Confirmed", "Good news."]
    assert at > 0


def test_a_mail_sent_again_is_kept_once(post):
    """The same Message-ID, twice, and once more after a crash: one mail."""
    assert use(post, mail(), mail()) == [None, None]
    post.restart()
    assert use(post, mail()) == [None]
    assert len(kept(post)) == 1


def test_many_mails_at_once_all_arrive(post):
    """More than there are connections: each mail once."""

    async def run():
        mailer = post.opened()
        ids = [f"<confirmed/{n}@tea>" for n in range(60)]
        await asyncio.gather(*(mailer.send(**mail(message_id=id_)) for id_ in ids))
        await mailer.close()
        return ids

    assert sorted(asyncio.run(run())) == sorted(row[0] for row in kept(post))


@pytest.mark.parametrize("text", [
    "£12.00 für Käse ☕, 3 × 🫖", "." , ".\r\n.\n..dots", "x" * 5_000, "word " * 500, "",
    "From the start\nFrom here", "=?utf-8?q?not_decoded?= in a body", "two\n\nparagraphs",
])  # fmt: skip
def test_any_body_survives_the_way(post, text):
    """Dots, long lines, other scripts: what is read is what was written, but for line ends."""
    assert use(post, mail(body=text)) == [None]
    expected = text.replace("\r\n", "\n") if isinstance(post, OverSmtp) else text
    assert kept(post)[0][4] == expected


@pytest.mark.parametrize("subject", ["£12 für Käse ☕", "x" * 3_000, "word " * 400 + "end", "a: b"])
def test_any_subject_of_one_line_survives_the_way(post, subject):
    """However long, in any script."""
    assert use(post, mail(subject=subject)) == [None]
    assert kept(post)[0][3] == subject


@pytest.mark.parametrize("to", ["józef@example.com", "ada@bücher.example", "Ada@EXAMPLE.com"])
def test_customers_are_reached_under_their_own_names(post, to):
    """Addresses in any script, as they were given."""
    assert use(post, mail(to=to)) == [None]
    assert kept(post)[0][2] == to


@pytest.mark.parametrize("field", ["subject", "to", "message_id", "order_id"])
@pytest.mark.parametrize("text", INJECTIONS)
def test_no_value_can_add_a_header(tmp_path, field, text):
    """Line ends of every kind, raw or encoded: refused for good, and nothing is sent."""
    post = InFile(tmp_path)
    assert use(post, mail(**{field: text})) == [Impossible]
    assert kept(post) == []


@pytest.mark.parametrize("to", [
    "a@b@c", "ada@example.com, eve@example.com", "@", "ada", "", "<a@b>", "ada@example.com (Ada)",
    "Ada <ada@example.com>", "a b@example.com", "a..b@example.com", "é@b, c@d", "é <c@d>",
    "ada@example.com>\r\nRCPT TO:<eve@example.com",
])  # fmt: skip
def test_what_is_no_address_is_refused_for_good(post, to):
    """And nobody else gets the mail."""
    assert use(post, mail(to=to)) == [Impossible]
    assert kept(post) == []


def test_an_address_where_nobody_lives_is_refused_for_good_and_harms_no_other_mail(post):
    """The server's 550 is final; the next mail over the same connection arrives."""
    sent = use(post, mail(to="gone@bounce.example"), mail())
    assert sent == [Impossible, None]
    assert [row[2] for row in kept(post)] == ["ada@example.com"]


def test_what_became_of_a_mail_is_told_to_the_service(tmp_path):
    """Sent; refused for good; or to be tried again. Two shops never share a Message-ID."""

    async def run(mailer, shop, **changes):
        row = Effect(1, "id", "SendMail", "1001", "confirmed/1001", b"", "", "", 0.0, "1", None)
        request = SendMail("1001", changes.get("to", "ada@example.com"), "Hello", "")
        outside = mails(mailer, shop)
        result = await outside.perform(Perform(row, request))
        await outside.close()
        return result

    def mailbox():
        return Mailbox(tmp_path, lambda: 5.0)

    nobody = SmtpMailer("smtp://127.0.0.1:1", lambda: 5.0)
    assert asyncio.run(run(mailbox(), "tea")) == Performed(1, MailSent("1001"))
    assert asyncio.run(run(mailbox(), "toys")) == Performed(1, MailSent("1001"))
    refused = asyncio.run(run(mailbox(), "tea", to="gone@bounce.example"))
    assert (type(refused), refused.final) == (Failed, True)
    unsent = asyncio.run(run(nobody, "tea"))
    assert (type(unsent), unsent.final) == (Failed, False)
    assert sorted(row[0] for row in kept(InFile(tmp_path))) == [
        "<confirmed/1001@tea.ecom.example>", "<confirmed/1001@toys.ecom.example>"
    ]  # fmt: skip


# ── Letters ───────────────────────────────────────────────────────────────────────────────────
TEXT = st.text(st.characters() | st.sampled_from("\r\n:=?. "), max_size=200)


@settings(deadline=None)
@given(subject=TEXT, to=TEXT | st.just("ada@example.com"), body=TEXT)
def test_a_letter_has_its_nine_headers_or_is_none(subject, to, body):
    """Whatever the values are: exactly our headers, on lines a server takes, or `Impossible`."""
    letter = Letter(ID, "1001", "orders@ecom.example", to, subject, body, 5.0)
    try:
        written = letter.as_bytes()
    except Impossible:
        return
    read = message_from_bytes(written, policy=default)
    assert " ".join(sorted(read.keys())) == (
        "Content-Transfer-Encoding Content-Type Date From MIME-Version Message-ID Order-ID "
        "Subject To"
    )
    assert read["To"].addresses[0].addr_spec == to
    assert len(read["To"].addresses) == 1
    assert max(len(line) for line in written.split(b"\r\n")) <= 998
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", written)


def test_a_letter_says_when_it_was_written():
    """The Date is the clock's, in the form of the standard."""
    letter = Letter(ID, "1001", "orders@ecom.example", "ada@example.com", "Hello", "", 0.0)
    read = message_from_bytes(letter.as_bytes(), policy=default)
    assert read["Date"] == "Thu, 01 Jan 1970 00:00:00 -0000"


# ── What can go wrong on the way ──────────────────────────────────────────────────────────────
def test_a_server_that_is_gone_is_an_error_and_found_again_where_it_was(smtp, outside):
    """Killed under open connections and started again: the mail is handed over then."""
    sent = use(smtp, mail(), lambda: outside.kill("mail"), mail(message_id="<two@tea>"),
               lambda: outside.start("mail"), mail(message_id="<two@tea>"))  # fmt: skip
    assert [sent[0], sent[2], sent[4]] == [None, MailError, None]
    assert [row[0] for row in kept(smtp)] == [ID, "<two@tea>"]


class Script:
    """A mail server that answers commands as told, and keeps what it was sent."""

    def __init__(self, **answers: bytes) -> None:
        self.answers = {"EHLO": b"250 hello", "MAIL": b"250 ok", "RCPT": b"250 ok",
                        "DATA": b"354 go on", ".": b"250 kept", "RSET": b"250 ok",
                        "QUIT": b"221 bye"} | answers  # fmt: skip
        self.connections = 0
        self.heard: list[str] = []
        self.talking: list[asyncio.Task] = []

    async def talk(self, reader, writer):
        self.connections += 1
        self.talking.append(asyncio.current_task())
        with closing(writer):
            await self.answer(reader, writer)

    async def answer(self, reader, writer):
        writer.write(b"220 hello\r\n")
        while line := (await reader.readline()).decode().strip():
            verb = line.split()[0].upper()
            self.heard.append(line)
            if not self.answers[verb]:
                break
            writer.write(self.answers[verb] + b"\r\n")
            if verb == "DATA" and self.answers["DATA"].startswith(b"354"):
                await reader.readuntil(b"\r\n.\r\n")
                writer.write(self.answers["."] + b"\r\n")

    def send(self, *mails, url="smtp://127.0.0.1:{}"):
        async def run():
            async with await asyncio.start_server(self.talk, "127.0.0.1", 0) as server:
                mailer = SmtpMailer(url.format(server.sockets[0].getsockname()[1]), lambda: 5.0)
                outcomes = [await tried(mailer.send(**each)) for each in mails]
                await mailer.close()
                await asyncio.gather(*self.talking)
                return outcomes

        return asyncio.run(run())


@pytest.mark.parametrize("answers", [
    {"RCPT": b"450 try later"}, {"RCPT": b"421 closing"}, {"MAIL": b"550 not you"},
    {"DATA": b"554 no"}, {".": b"451 disk full"}, {".": b"552 too much"}, {".": b""}, {"RCPT": b""},
    {"EHLO": b"nonsense"}, {"MAIL": b"250" + b"x" * 100_000},
])  # fmt: skip
def test_whatever_else_the_server_says_is_to_be_tried_again(answers):
    """Only a refused address is final: the rest may be mended, here or there."""
    script = Script(**{"HELO": b"502 no"} | answers)
    assert script.send(mail(), mail()) == [MailError, MailError]


def test_one_connection_carries_many_mails():
    """Mails one after another do not dial again."""
    script = Script()
    assert script.send(*(mail(message_id=f"<{n}@tea>") for n in range(20))) == [None] * 20
    assert script.connections == 1


def test_a_password_is_not_sent_in_the_clear():
    """Where the server offers no TLS there is no login, and no mail."""
    script = Script(EHLO=b"250-hello\r\n250 AUTH PLAIN LOGIN")
    assert script.send(mail(), url="smtp://ada:secret@127.0.0.1:{}") == [MailError]
    assert not [line for line in script.heard if line.startswith(("AUTH", "MAIL"))]


def test_the_sender_is_as_configured():
    """In the envelope, where bounces go."""
    script = Script()
    script.send(mail(), url="smtp://127.0.0.1:{}?from=tea@shop.example")
    assert "MAIL FROM:<tea@shop.example>" in script.heard


def test_a_server_that_cannot_reach_an_address_in_its_script_is_told_so():
    """No SMTPUTF8, so no way to say the name: final, for a repetition would not help."""
    assert Script().send(mail(to="józef@example.com")) == [Impossible]


@pytest.mark.parametrize("url", ["http://mail.example", "mail.example:25", "smtp://", ""])
def test_what_is_no_mail_server_is_said_at_once(url):
    """With the form that is wanted."""
    with pytest.raises(ValueError, match="smtp://host:port"):
        SmtpMailer(url, lambda: 5.0)
