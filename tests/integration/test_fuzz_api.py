"""The API is asked whatever its OpenAPI document allows and forbids, and answers as it says."""

from fuzzing import TOKEN, fuzz
from serving import api

CASES = 300  # `python tests/support/fuzzing.py 2000` asks for more


def test_every_answer_is_one_that_the_document_knows(tmp_path):
    """Its status, its content type, its headers and its schema; and never a 5xx."""
    with api(tmp_path, TOKEN) as client:
        answers = fuzz(client, CASES)
    assert answers.total() >= CASES
    statuses = {status for _, status in answers}
    assert {200, 202, 401, 404, 422} <= statuses  # or it was not much of a fuzz
