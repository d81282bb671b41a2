"""The sandbox's journal: nothing is acknowledged that it does not keep, to the end."""

import asyncio
import socket
import sqlite3
from contextlib import closing

import pytest
from posting import InFile, kept

from ecom.harness.journal import Journal
from ecom.process.performers import OutcomeUnknown
from ecom.sandbox.smtp_server import serve
from ecom.stores.base import Row


class Paid(Row, frozen=True):
    """What is kept here."""

    table = "rows"

    key: str
    amount: int


ROW = Paid("capture/1001", 2500)
PATIENCE = 20.0  # seconds for an answer, which comes at once or never


def opened(folder):
    return Journal(folder / "journal.db", Paid)


def ended(folder, *calls):
    """What becomes of `write_once` with each row, or `close` for None, asked for in one breath."""

    async def run():
        journal, asked = opened(folder), []
        loop = asyncio.get_running_loop()
        for row in calls:
            if row is None:
                loop.call_soon(journal.close)
            else:
                asked.append(asyncio.create_task(journal.write_once(row)))
        async with asyncio.timeout(PATIENCE):
            return await asyncio.gather(*asked, return_exceptions=True)

    return asyncio.run(run())


def rows(folder):
    with closing(opened(folder)) as journal:
        return journal.rows()


def test_what_is_asked_for_before_the_end_is_written(tmp_path, caplog):
    """And answered, though the file is closed before its turn comes."""
    assert ended(tmp_path, ROW, None) == [ROW]
    assert rows(tmp_path) == [ROW]
    assert not caplog.records


def test_what_is_asked_for_after_the_end_is_refused(tmp_path, caplog):
    """In a way that the callers know how to tell: they ask again, later."""
    (refused,) = ended(tmp_path, None, ROW)
    assert isinstance(refused, OutcomeUnknown)
    assert rows(tmp_path) == []
    assert not caplog.records


@pytest.mark.parametrize("end", [(), (None,)], ids=["open", "closing"])
def test_whoever_waits_for_what_cannot_be_written_is_told(tmp_path, caplog, end):
    """All whose rows would have been in the same commit; none of them is kept."""
    opened(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "journal.db")) as db:
        refusing = "WHEN new.amount = 0 BEGIN SELECT RAISE(ABORT, 'not this one'); END"
        db.execute(f"CREATE TRIGGER refuse BEFORE INSERT ON rows {refusing}")
    told = ended(tmp_path, ROW, Paid("capture/1002", 0), *end)
    assert [type(each) for each in told] == [OutcomeUnknown] * 2
    assert rows(tmp_path) == []
    assert not caplog.records


def test_a_mail_that_comes_while_the_mail_server_ends_is_not_taken(tmp_path, caplog):
    """Its connection is older than the end: it is told to try again, and no traceback is logged."""

    async def said(stream, words):
        stream[1].write(words.encode() + b"\r\n")
        return (await stream[0].readline())[:3].decode()

    async def run():
        listening = socket.create_server(("127.0.0.1", 0))
        async with asyncio.timeout(PATIENCE):
            async with serve(tmp_path, listening):
                stream = await asyncio.open_connection(*listening.getsockname())
                assert (await stream[0].readline()).startswith(b"220")
                for words in ("HELO me", "MAIL FROM:<me@example.com>", "RCPT TO:<ada@example.com>"):
                    assert await said(stream, words) == "250"
                assert await said(stream, "DATA") == "354"
            answer = await said(stream, "Message-ID: <1@tea>\r\n\r\nHello\r\n.")
            assert await said(stream, "QUIT") == "221"
            stream[1].close()
            await stream[1].wait_closed()
            return answer

    assert asyncio.run(run()) == "451"
    assert kept(InFile(tmp_path)) == []
    assert not caplog.records


def test_who_waits_no_more_takes_no_answer_from_others(tmp_path):
    """Though all of them are answered by one commit, and each by the first row under its key."""

    async def run():
        with closing(opened(tmp_path)) as journal:
            asked = [asyncio.create_task(journal.write_once(ROW)) for _ in range(3)]
            await asyncio.sleep(0)
            asked[0].cancel()
            async with asyncio.timeout(PATIENCE):
                return await asyncio.gather(*asked, return_exceptions=True)

    gone, *answered = asyncio.run(run())
    assert isinstance(gone, asyncio.CancelledError)
    assert answered == [ROW, ROW]
