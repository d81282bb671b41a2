"""Mail, into a file and over SMTP: one contract; and letters that hold."""

import asyncio
import re
import time
from email import message_from_bytes
from email.policy import default
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from posting import ID, InFile, OverSmtp, kept, mail, use
from pydantic import ValidationError

from ecom.api.schemas import LineIn, OrderIn
from ecom.effects.mime import headers_of, letter
from ecom.effects.smtp import SmtpMailer
from ecom.events import MAILABLE
from ecom.process.performers import NotDone, Performers
from ecom.runtime.messages import Failed, Perform, Performed
from ecom.runtime.service import Impossible
from ecom.runtime.tables import Effect
from ecom.sandbox.mailbox import Mailbox
from ecom.services.notification import MailSent, SendMail

INJECTIONS = [
    "Hello\r\nBcc: eve@example.com",
    "Hello\nBcc: eve@example.com",
    "Hello\rBcc: x",
    "Hello\x0bBcc: x",
    "Hello\x85Bcc: x",
    "Hello\u2028Bcc: x",
    "Hello\x00",
    "=?utf-8?q?Hello=0D=0ABcc:_eve@example.com?=",
    "Hello\r\n\r\nAnother body",
    "lone \ud800",
]


@pytest.fixture(params=[InFile, OverSmtp])
def post(request, tmp_path):
    """A mail service of either kind."""
    if request.param is InFile:
        return InFile(tmp_path)
    return OverSmtp(request.getfixturevalue("outside"))


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
        await asyncio.gather(*(mailer.send(*mail(f"confirmed/{n}")) for n in range(60)))
        await mailer.close()
        return [f"<confirmed/{n}@tea.ecom.example>" for n in range(60)]

    assert sorted(asyncio.run(run())) == sorted(row[0] for row in kept(post))


@pytest.mark.parametrize(
    "text",
    [
        "£12.00 für Käse ☕, 3 × 🫖",
        ".",
        ".\r\n.\n..dots",
        "x" * 5_000,
        "word " * 500,
        "",
        "From the start\nFrom here",
        "=?utf-8?q?not_decoded?= in a body",
        "two\n\nparagraphs",
    ],
)
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


@pytest.mark.parametrize("field", ["subject", "to", "key", "order_id"])
@pytest.mark.parametrize("text", INJECTIONS)
def test_no_value_can_add_a_header(tmp_path, field, text):
    """Line ends of every kind, raw or encoded: refused for good, and nothing is sent."""
    post = InFile(tmp_path)
    assert use(post, mail(**{field: text})) == [Impossible]
    assert kept(post) == []


@pytest.mark.parametrize(
    "to",
    [
        "a@b@c",
        "ada@example.com, eve@example.com",
        "@",
        "ada",
        "",
        "<a@b>",
        "ada@example.com (Ada)",
        "Ada <ada@example.com>",
        "a b@example.com",
        "a..b@example.com",
        "é@b, c@d",
        "é <c@d>",
        "ada@example.com>\r\nRCPT TO:<eve@example.com",
    ],
)
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

    async def run(mailer, to="ada@example.com"):
        row = Effect(1, "id", "SendMail", "1001", "confirmed/1001", b"", "", "", 0.0, "1", None)
        performers = Performers({SendMail: mailer.send}, mailer.close)
        result = await performers.perform(Perform(row, SendMail("1001", to, "Hello", "")))
        await performers.close()
        return result

    def mailbox(shop):
        return Mailbox(tmp_path, shop)

    nobody = SmtpMailer("smtp://127.0.0.1:1", "tea")
    assert asyncio.run(run(mailbox("tea"))) == Performed(1, MailSent("1001", "confirmed/1001"))
    assert asyncio.run(run(mailbox("toys"))) == Performed(1, MailSent("1001", "confirmed/1001"))
    refused = asyncio.run(run(mailbox("tea"), to="gone@bounce.example"))
    assert (type(refused), refused.final) == (Failed, True)
    unsent = asyncio.run(run(nobody))
    assert (type(unsent), unsent.final) == (Failed, False)
    assert sorted(row[0] for row in kept(InFile(tmp_path))) == [
        "<confirmed/1001@tea.ecom.example>",
        "<confirmed/1001@toys.ecom.example>",
    ]


# ── Letters ───────────────────────────────────────────────────────────────────────────────────
TEXT = st.text(st.characters() | st.sampled_from("\r\n:=?. "), max_size=200)


def written_to(to, subject="Hello", body=""):
    """The letter of this mail."""
    return letter(headers_of("mail/1", SendMail("1001", to, subject, body), "tea"), body)


@settings(deadline=None)
@given(subject=TEXT, to=TEXT | st.just("ada@example.com"), body=TEXT)
@example(subject="", to="ada@exämple.com", body="")
@example(subject="x" * 3_000, to="ada@example.com", body="")
def test_a_letter_has_its_nine_headers_or_is_none(subject, to, body):
    """Whatever the values are: exactly our headers, on lines a server takes, or `Impossible`."""
    try:
        written = written_to(to, subject, body)
    except Impossible:
        return
    read = message_from_bytes(written, policy=default)
    assert " ".join(sorted(read.keys())) == (
        "Content-Transfer-Encoding Content-Type Date From MIME-Version Message-ID Order-ID "
        "Subject To"
    )
    # Python reads raw UTF-8 in a domain as the bytes that it is.
    assert read["To"].addresses[0].addr_spec.encode(errors="surrogateescape") == to.encode()
    assert len(read["To"].addresses) == 1
    assert max(len(line) for line in written.split(b"\r\n")) <= 998
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", written)


def test_a_letter_says_when_it_was_written():
    """The Date is the clock's, in the form of the standard."""
    before = time.time()
    read = message_from_bytes(written_to("ada@example.com"), policy=default)
    assert int(before) <= read["Date"].datetime.timestamp() <= time.time()
    assert read["Date"].endswith(" -0000")


# ── Addresses ─────────────────────────────────────────────────────────────────────────────────
ODD = st.text(st.characters() | st.sampled_from("@@..-=?_'\"([a "), max_size=80)


def accepted(address):
    """Whether the API takes an order of this customer."""
    try:
        OrderIn(customer=address, card="4242", lines=[LineIn(sku="TEA", quantity=1)])
    except ValidationError:
        return False
    return True


@settings(deadline=None, max_examples=300)
@given(st.from_regex(MAILABLE, fullmatch=True) | ODD | st.builds("{}@{}".format, ODD, ODD))
@example("ada..lovelace@docomo.ne.jp")
@example(".ada@example.com")
@example("ada=?utf-8?q?=40?=@example.com")
@example("ada@example.com\n")
@example("ada@example..com")
@example("ada@b_cher.example")
@example("é" * 100 + "@example.com")
@example("a" * 65 + "@example.com")
@example("ada@" + "é" * 200 + ".com")
@example("józef@bücher.example")
@example("o'neil+tea=x@example.com")
def test_an_address_that_is_accepted_can_be_mailed(address):
    """And no other is: one definition for whoever takes an order and whoever sends its mails. What
    is accepted arrives as it was given."""
    if not accepted(address):
        with pytest.raises(Impossible):
            written_to(address)
        return
    read = message_from_bytes(written_to(address), policy=default)
    assert read["To"].addresses[0].addr_spec.encode(errors="surrogateescape") == address.encode()


def test_usual_and_unusual_addresses_are_accepted():
    """The refusals above are not of everything."""
    good = ["ada@example.com", "o'neil+tea=x@example.co.uk", "józef@bücher.example", "a@b"]
    assert [address for address in good if not accepted(address)] == []


@pytest.mark.parametrize("user", ["", "shop:guessed@"])
def test_a_stranger_leaves_no_mail(outside, user):
    """Any user of the machine reaches the port; the password is the shop's own."""
    outside.start("mail")
    parts = urlsplit(outside.smtp_url)
    mailer = SmtpMailer(f"smtp://{user}{parts.hostname}:{parts.port}", "tea")

    async def scene():
        with pytest.raises((NotDone, Impossible)):
            await mailer.send("mail/1", SendMail("1001", "ada@example.com", "Hello", "Good news."))
        await mailer.close()

    asyncio.run(scene())
