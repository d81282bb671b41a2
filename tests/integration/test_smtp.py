"""What SMTP adds of trouble to mail: servers that are gone, and servers that say anything."""

import asyncio
from contextlib import closing

import pytest
from posting import ID, OverSmtp, kept, mail, tried, use

from ecom.effects.smtp import SmtpMailer
from ecom.errors import ShopError
from ecom.harness.processes import log_file
from ecom.process.performers import NotDone
from ecom.runtime.service import Impossible


@pytest.fixture
def smtp(outside):
    """The one over SMTP."""
    return OverSmtp(outside)


def test_a_server_that_is_gone_is_an_error_and_found_again_where_it_was(smtp, outside):
    """Killed under open connections and started again: the mail is handed over then."""
    sent = use(
        smtp,
        mail(),
        lambda: outside.kill("mail"),
        mail("two"),
        lambda: outside.start("mail"),
        mail("two"),
    )
    assert [sent[0], sent[2], sent[4]] == [None, NotDone, None]
    assert [row[0] for row in kept(smtp)] == [ID, "<two@tea.ecom.example>"]


def test_a_mail_that_is_taken_is_nothing_to_warn_of(smtp, tmp_path):
    """In its log there is what somebody should know."""
    assert use(smtp, mail()) == [None]
    assert " WARNING " not in log_file(tmp_path, ("mail", "1")).read_text()


class Script:
    """A mail server that answers commands as told, and keeps what it was sent."""

    def __init__(self, **answers: bytes) -> None:
        self.answers = {
            "EHLO": b"250 hello",
            "MAIL": b"250 ok",
            "RCPT": b"250 ok",
            "DATA": b"354 go on",
            ".": b"250 kept",
            "RSET": b"250 ok",
            "QUIT": b"221 bye",
        } | answers
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

    def send(self, *mails, url="smtp://127.0.0.1:{}", together=False):
        async def run():
            async with await asyncio.start_server(self.talk, "127.0.0.1", 0) as server:
                port = server.sockets[0].getsockname()[1]
                mailer = SmtpMailer(url.format(port), "tea")
                sending = [tried(mailer.send(*each)) for each in mails]
                if together:
                    outcomes = await asyncio.gather(*sending)
                else:
                    outcomes = [await each for each in sending]
                await mailer.close()
                await asyncio.gather(*self.talking)
                return outcomes

        return asyncio.run(run())


@pytest.mark.parametrize(
    "answers",
    [
        {"RCPT": b"450 try later"},
        {"RCPT": b"421 closing"},
        {"MAIL": b"550 not you"},
        {"DATA": b"554 no"},
        {".": b"451 disk full"},
        {".": b"552 too much"},
        {".": b""},
        {"RCPT": b""},
        {"EHLO": b"nonsense"},
        {"MAIL": b"250" + b"x" * 100_000},
    ],
)
def test_whatever_else_the_server_says_is_to_be_tried_again(answers):
    """Only a refused address is final: the rest may be mended, here or there."""
    script = Script(**{"HELO": b"502 no"} | answers)
    assert script.send(mail(), mail()) == [NotDone, NotDone]


def test_a_server_that_never_answers_is_given_up_in_time(monkeypatch):
    """And its connection with it: what it says later is no answer to the next mail."""
    monkeypatch.setattr("ecom.effects.smtp.TIMEOUT", 0.3)
    script = Script(MAIL=b"250-ok, and")
    assert script.send(mail()) == [NotDone]


def test_a_mail_that_waits_for_a_connection_loses_no_time_for_its_own_dialogue(monkeypatch):
    """Many more mails than connections, to a server that is slow and good: all are handed over."""
    monkeypatch.setattr("ecom.effects.smtp.TIMEOUT", 0.5)
    monkeypatch.setattr("ecom.effects.smtp.CONNECTIONS", 1)
    script = Script()
    answer = script.answer

    async def slowly(reader, writer):
        await asyncio.sleep(0.2)
        await answer(reader, writer)

    script.answer = slowly
    assert script.send(*(mail(str(n)) for n in range(8)), together=True) == [None] * 8


def test_one_connection_carries_many_mails():
    """Mails one after another do not dial again."""
    script = Script()
    assert script.send(*(mail(str(n)) for n in range(20))) == [None] * 20
    assert script.connections == 1


def test_a_password_is_not_sent_in_the_clear():
    """Where the server offers no TLS there is no login, and no mail."""
    script = Script(EHLO=b"250-hello\r\n250 AUTH PLAIN LOGIN")
    assert script.send(mail(), url="smtp://ada:secret@127.0.0.1:{}") == [NotDone]
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
    with pytest.raises(ShopError, match="smtp://user:password@host"):
        SmtpMailer(url, "tea")
