"""The clients: they come or they do not, and ask again, or not, if they are not answered."""

from typing import Any, NamedTuple

from ecom_lab.simulator.scenario import Client


class Progress(NamedTuple):
    """How far one client has come."""

    done: int = 0  # requests that were answered
    attempt: int = 0  # how often they have asked for the next in vain
    answer: str = ""  # the last one: the subject of a saga


Crowd = tuple[Progress, ...]


def request(client: Client, progress: Progress, number: int) -> Any:
    """What this client asks for next, as an input; None if nothing."""
    done, attempt, answer = progress
    if done == len(client.requests):
        return None
    wanted = client.requests[done]
    message = wanted(answer) if isinstance(wanted, type) else wanted
    return "command", message, f"{client.name}/{done}/{attempt}", number


def answered(crowd: Crowd, asked: tuple[int, ...], replies: tuple[tuple[int, str], ...]) -> Crowd:
    """The clients after these have asked, and were given these replies, or none."""
    after, answers = list(crowd), dict(replies)
    for i in asked:
        done, attempt, answer = crowd[i]
        if i in answers:
            after[i] = Progress(done + 1, 0, answers[i])
        else:
            after[i] = Progress(done, attempt + 1, answer)
    return tuple(after)
