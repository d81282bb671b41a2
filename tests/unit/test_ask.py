"""`ask` keeps what a reader answers, and marks it; with no answer a notebook runs all the same."""

import pytest

from ecom_lab import ask

ASKED = ("Who has to know the others?", "order alone", "none of them")


@pytest.mark.parametrize(
    ("answer", "model", "right"),
    [
        (3, 3, True),
        ("3", 3.5, False),
        ("payment, inventory", "inventory and payment", True),
        ({"inventory", "payment"}, "inventory and payment", True),
        ("Inventory, after `order.cancelled`", "inventory after order.cancelled", True),
        ("order cancelled", "order.cancelled", False),
        ("inventory", "inventory and payment", False),
    ],
)
def test_an_answer_is_right_if_it_has_the_words_of_the_model(answer, model, right):
    """In any order, and however they are written."""
    mark = ask("Who?", answer).mark(model)
    assert bool(mark) == right
    assert repr(mark).startswith("Right: " if right else 'Not so: you have answered "')
    assert right or f'; right is "{model}".' in repr(mark)


@pytest.mark.parametrize("answer", ["b", "B", "none of them", " None of them ", "none"])
def test_a_choice_is_made_by_its_letter_or_by_its_words(answer):
    question = ask(ASKED[0], answer, *ASKED[1:])
    assert repr(question).splitlines() == [
        ASKED[0],
        "  a) order alone",
        "  b) none of them",
        "Your answer: none of them",
    ]
    assert question.mark("none of them", "No service calls another.")
    assert not ask(ASKED[0], "a", *ASKED[1:]).mark("none of them")


@pytest.mark.parametrize("answer", ["", "e", "nobody", "order alone, none of them"])
def test_what_is_no_choice_is_no_answer(answer):
    """And what is not answered is marked neither right nor wrong; nothing is given away. Whoever
    has written something is not told to write something."""
    question = ask(ASKED[0], answer, *ASKED[1:])
    said = f"{answer!r} is none of these." if answer else "write your answer as the second argument"
    assert repr(question).splitlines()[-1].startswith(f"Not answered yet: {said}")
    assert repr(question.mark("none of them", "No service calls another.")) == (
        "Not answered yet: answer the question above, then run this cell again."
    )


def test_a_wrong_answer_is_given_the_hint_in_place_of_the_model():
    """So that it can be mended; a right one is given the reason."""
    told = {"why": "It was handled twice.", "hint": "What came twice?"}
    said = repr(ask("What is missing?", "an outbox").mark("an inbox", **told))
    assert said == 'Not so: you have answered "an outbox". What came twice?'
    said = repr(ask("What is missing?", "the inbox").mark("an inbox", **told))
    assert said == "Right: the inbox. It was handled twice."


def test_a_question_and_a_mark_are_shown_in_the_colours_of_the_paper():
    """No colour of words, no background and no width is fixed, for dark paper and telephones."""
    question = ask("Is £1 < £2?", "<b>", "<b>", "<i>")
    for html in (question._repr_html_(), question.mark("<i>")._repr_html_()):
        assert "&lt;b&gt;" in html
        assert html.startswith('<div style="border-left: 4px solid #')
        assert not [
            each for each in (" color:", "background", " width:", "px;") if each in html[45:]
        ]
    assert "<li>&lt;i&gt;</li>" in question._repr_html_()
