"""Fuzzes a running API with what its own OpenAPI document allows and forbids.

`python tests/support/fuzzing.py 2000` starts an order service of its own for that many cases, and
with `locked` after the number, while somebody keeps its database locked. No broker is there.
"""

import sqlite3
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, nullcontext
from functools import partial
from pathlib import Path

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import load_all_checks, not_a_server_error
from schemathesis.specs.openapi import checks
from serving import ORDER, api

from ecom.api.app import application
from ecom.api.auth import PUBLIC

TOKEN = "the-checkout's-token-of-the-fuzzed-api"
SHOWN = {"Authorization": f"Bearer {TOKEN}"}
KNOWN = 20  # orders that there are to begin with, from 1001
# Not among them: that whatever the document allows is accepted. It cannot say that the lines of
# an order may not cost more than all the money, or that a key is used once.
CHECKS = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]

IN_TIME = 30.0  # seconds in which each must be answered
AT_ONCE = 64


@contextmanager
def locked(folder):
    """Somebody has begun to write, and does not end."""
    with closing(sqlite3.connect(folder / "order.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


def fuzz(client, cases, trouble=None):
    """Send about so many cases to this client's API; how many answers of which status, by what.

    While there is `trouble`, a context, 503 is an answer, too. Raises
    `schemathesis.core.failures.FailureGroup` at the first answer that is not as documented.
    """
    load_all_checks()
    schema = schemathesis.openapi.from_dict(application().openapi())
    schema.config.update(base_url=str(client.base_url).rstrip("/"))
    operations = [result.ok() for result in schema.get_all_operations()]
    # What is open to all takes no arguments, and can be asked for in one way only.
    modes = [
        (operation, mode)
        for operation in operations
        for mode in GenerationMode
        if operation.path not in PUBLIC or mode is GenerationMode.POSITIVE
    ]
    client.post("/orders", json=[ORDER] * KNOWN).raise_for_status()
    share = 1 + cases // (len(modes) - len(PUBLIC))
    made = [case for operation, mode in modes for case in _cases(operation, mode, share)]
    with (
        requests.Session() as session,
        ThreadPoolExecutor(AT_ONCE) as pool,
        trouble or nullcontext(),
    ):
        session.trust_env = False
        return Counter(pool.map(partial(_ask, session, trouble is not None), made))


def _cases(operation, mode, cases):
    # The same cases on every run; nothing is kept, shrunk or explained: a case is small as it is.
    made = []

    @settings(
        max_examples=cases,
        phases=[Phase.generate],
        database=None,
        derandomize=True,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(generation_mode=mode))
    def make(case):
        number = case.path_parameters.get("order_id", "")
        if mode is GenerationMode.POSITIVE and number and int(number) % 2:
            case.path_parameters["order_id"] = str(1001 + int(number) % KNOWN)
        made.append(case)

    make()
    return made


def _ask(session, may_be_unavailable, case):
    answer = case.call(session=session, headers=SHOWN, timeout=IN_TIME)
    is_unavailable = may_be_unavailable and answer.status_code == 503
    checks_ = CHECKS if is_unavailable else [not_a_server_error, *CHECKS]
    case.validate_response(answer, checks=checks_)
    return case.operation.label, answer.status_code


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, api(Path(folder), TOKEN) as client:
        begun = time.monotonic()
        trouble = locked(Path(folder)) if "locked" in sys.argv else None
        answers = fuzz(client, int(sys.argv[1]), trouble)
        print(*(f"{n:5} × {status} {label}" for (label, status), n in answers.items()), sep="\n")
        print(f"{answers.total()} cases, all as documented, in {time.monotonic() - begun:.1f} s")
