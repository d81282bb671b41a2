"""Fuzzes a running API with what its own OpenAPI document allows and forbids.

`python tests/support/fuzzing.py 2000` starts an order service of its own for that many cases.
"""

import sys
import tempfile
import time
from collections import Counter
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
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]


def fuzz(client, cases):
    """Send about so many cases to this client's API; how many answers of which status, by what.

    Raises `schemathesis.core.failures.FailureGroup` at the first answer that is not as documented.
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
    answers = Counter()
    with requests.Session() as session:
        session.trust_env = False
        for operation, mode in modes:
            share = 1 + cases // (len(modes) - len(PUBLIC))
            _fuzz(operation, mode, share, answers, session)
    return answers


def _fuzz(operation, mode, cases, answers, session):
    # The same cases on every run; nothing is kept, shrunk or explained: a case is small as it is.
    @settings(
        max_examples=cases,
        phases=[Phase.generate],
        database=None,
        derandomize=True,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(generation_mode=mode))
    def ask(case):
        number = case.path_parameters.get("order_id", "")
        if mode is GenerationMode.POSITIVE and number and int(number) % 2:
            case.path_parameters["order_id"] = str(1001 + int(number) % KNOWN)
        answer = case.call(session=session, headers=SHOWN)
        case.validate_response(answer, checks=CHECKS)
        answers[operation.label, answer.status_code] += 1

    ask()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, api(Path(folder), TOKEN) as client:
        begun = time.monotonic()
        answers = fuzz(client, int(sys.argv[1]))
        print(*(f"{n:5} × {status} {label}" for (label, status), n in answers.items()), sep="\n")
        print(f"{answers.total()} cases, all as documented, in {time.monotonic() - begun:.1f} s")
