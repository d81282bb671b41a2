"""The API is asked whatever its OpenAPI document allows and forbids, and answers as it says."""

from fuzzing import KNOWN, TOKEN, fuzz, locked
from serving import api

CASES = 300  # `python tests/support/fuzzing.py 2000` asks for more


def test_every_answer_is_one_that_the_document_knows(tmp_path):
    """Its status, its content type, its headers and its schema; and never a 5xx: no broker is
    there, which is nobody's business who orders."""
    with api(tmp_path, TOKEN) as client:
        answers = fuzz(client, CASES)
    assert answers.total() >= CASES
    statuses = {status for _, status in answers}
    assert {200, 202, 401, 404, 422} <= statuses  # or it was not much of a fuzz


def test_while_the_database_is_locked_what_would_be_written_is_unavailable_in_time(tmp_path):
    """503 as documented, and no other 5xx; what only reads is answered as ever. And nothing of it
    is done afterwards."""
    with api(tmp_path, TOKEN) as client:
        answers = fuzz(client, CASES, locked(tmp_path))
        placed = client.get("/orders", params={"limit": 1_000}).json()
    assert [order["state"] for order in placed] == ["PENDING"] * KNOWN
    assert {label for label, status in answers if status == 503} == {
        "GET /health",
        "POST /orders",
        "POST /orders/{order_id}/cancel",
    }
    assert {status for _, status in answers} >= {200, 401, 404, 422, 503}
