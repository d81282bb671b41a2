"""How long a process waits for company after a step: replicas that share a server, in time that is
made up. And which inputs wait for it."""

import asyncio
import heapq
from contextlib import suppress

import pytest

from ecom.process import driver
from ecom.process.driver import BUSY, COMPANY_SECONDS, CROWDED, LONGEST_WAIT, Process, pause
from ecom.process.performers import Performers
from ecom.runtime.messages import Perform, TallyDue
from ecom.runtime.tables import Effect
from ecom.services.notification import SendMail
from ecom.settings import Settings
from ecom_lab.shop import SAGA

COMMIT, EACH = 0.008, 0.0003  # seconds that a step takes, and that each of its inputs adds


def sizes(replicas, rate):
    """How many inputs each step had in ten seconds in which so many come a second, to each replica
    its share."""
    due = [(n / 1000, n, 0) for n in range(1, replicas + 1)]  # when, who, how many it has had
    found = []
    while due[0][0] < 10.0:
        now, who, had = heapq.heappop(due)
        come = int(now * rate / replicas)
        if come > had:
            found.append(come - had)
            took = COMMIT + EACH * (come - had)
            now += took + pause(come - had, took, replicas)
        heapq.heappush(due, (now + 0.0001, who, come))
    return found


@pytest.mark.parametrize("rate", [100, 400, 800, 2_000])
def test_four_replicas_make_about_as_many_commits_as_one(rate):
    """However much there is to do: else what a commit costs is paid for a quarter of a batch."""
    one, four = sizes(1, rate), sizes(4, rate)
    assert sum(four) > 0.95 * sum(one)
    assert len(four) < 2 * len(one)


def test_who_is_behind_or_alone_with_little_to_do_does_not_wait():
    """And nobody waits for long."""
    assert pause(CROWDED, 1.0, 4) == pause(BUSY - 1, 1.0, 1) == 0.0
    assert pause(BUSY, 1.0, 1) == pytest.approx(COMPANY_SECONDS)
    assert pause(1, 60.0, 4) == LONGEST_WAIT


def test_replicas_are_busy_together():
    """Each of four has a quarter of what comes: it waits as if it had all."""
    assert pause(BUSY // 4, 0.0, 4) == pytest.approx(4 * COMPANY_SECONDS)
    assert pause(BUSY // 4 - 1, 0.0, 4) == 0.0


def test_an_answer_waits_while_many_others_are_awaited(tmp_path, monkeypatch):
    """Each would cost a commit of its own; where few are awaited, it is handled at once."""
    monkeypatch.setattr(driver, "PATIENCE", 1_000)
    monkeypatch.setattr(driver, "BUSY", 2)

    async def scene():
        loop = asyncio.get_running_loop()
        asked = {name: loop.create_future() for name in "abc"}

        async def answer(key, _):
            return await asked[key]

        settings = Settings("amqp://127.0.0.1", tmp_path)
        process = Process(SAGA, "notification", settings, Performers({SendMail: answer}))
        process._wake.clear()
        for seq, key in enumerate(asked):
            row = Effect(seq, key, "mail", "1001", key, b"", "", "", 0.0, "1")
            process._carry_out(Perform(row, SendMail("1001", "lotte@example.com", "", "")))
        tasks = {*process._tasks}
        woken = []
        for name, one in asked.items():
            one.set_result(name)
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            tasks = {it for it in tasks if not it.done()}
            woken.append(process._wake.is_set())
        process.store.close()
        return woken

    assert asyncio.run(scene()) == [False, True, True]


def test_in_each_round_one_of_several_replicas_makes_a_tally_or_so(tmp_path, monkeypatch):
    """By chance: one of four in a quarter of its rounds, and one that is alone always."""

    async def tallies(replicas):
        process = Process(SAGA, "audit", Settings("amqp://127.0.0.1", tmp_path, tally_seconds=0.01))
        process._aside, process._runtime.replicas = object(), replicas
        chances = [0.2, 0.3, 0.9, 0.24, 0.25, 0.5, 0.0, 0.99]
        # Its rounds end when chance has nothing left to say.
        monkeypatch.setattr(driver.random, "random", lambda: chances.pop(0))
        with suppress(IndexError):
            await process._tally()
        process.store.close()
        return sum(type(it) is TallyDue for it in process._inputs)

    assert [asyncio.run(tallies(replicas)) for replicas in (1, 4)] == [8, 3]
