"""`ask`: a question to the reader of a notebook, answered before the run and marked after it.

The answer stands in the notebook, so it is kept with it. Nothing waits for it: a notebook that is
run without answers runs to its bottom, and papermill gives them as parameters.
"""

import re
from dataclasses import dataclass
from html import escape
from typing import Any

from ecom.harness.diagrams import palette

OPEN, RIGHT, WRONG = "Not answered yet", "Right", "Not so"
HOW = "write your answer as the second argument of ask, and run this cell again."
COLOURS = {OPEN: palette.GREY, RIGHT: palette.SUCCESS, WRONG: palette.FAILURE}
FILLERS = frozenset(("a", "an", "and", "both", "it", "its", "of", "the", "them", "then"))
# No colours but that of the edge, so that it can be read on dark paper; as wide as there is room.
BOX = '<div style="border-left: 4px solid {}; padding-left: 0.8em; max-width: 44em">{}</div>'
LETTERED = '<ol style="list-style-type: lower-alpha">{}</ol>'  # by `type` JupyterLab counts 1, 2


@dataclass(frozen=True, repr=False)
class Mark:
    """What an answer is worth; true if it is right."""

    verdict: str
    text: str

    def __bool__(self) -> bool:
        return self.verdict == RIGHT

    def __repr__(self) -> str:
        return f"{self.verdict}: {self.text}"

    def _repr_html_(self) -> str:
        text = f"<b>{self.verdict}:</b> {escape(self.text)}"
        return BOX.format(COLOURS[self.verdict], text)


@dataclass(frozen=True, repr=False)
class Question:
    """A question, and what the reader has answered: words, a number, or one of the choices."""

    text: str
    answer: str
    choices: tuple[str, ...]
    how: str = HOW  # to answer, if this is not answered

    def mark(self, model: Any, why: str = "", hint: str = "") -> Mark:
        """Compare the answer with the model: the same words, in any order. `why` explains; a wrong
        answer is given the `hint` instead, if there is one, and may be mended."""
        if not self.answer:
            return Mark(OPEN, "answer the question above, then run this cell again.")
        if _words(self.answer) == _words(model):
            return Mark(RIGHT, f"{self.answer}. {why}".rstrip())
        said = f'you have answered "{self.answer}"'
        right = f'{said}; right is "{model}". {why}'.rstrip()
        return Mark(WRONG, f"{said}. {hint}" if hint else right)

    @property
    def _foot(self) -> str:
        return f"Your answer: {self.answer}" if self.answer else f"{OPEN}: {self.how}"

    def __repr__(self) -> str:
        lines = (f"  {chr(97 + i)}) {choice}" for i, choice in enumerate(self.choices))
        return "\n".join([self.text, *lines, self._foot])

    def _repr_html_(self) -> str:
        lines = "".join(f"<li>{escape(choice)}</li>" for choice in self.choices)
        listed = LETTERED.format(lines) if lines else "<br>"
        text = f"<b>{escape(self.text)}</b>{listed}<i>{escape(self._foot)}</i>"
        return BOX.format(palette.ORANGE, text)


def ask(text: str, answer: Any = "", *choices: str) -> Question:
    """Ask the reader; `mark` marks the answer. Of choices, it is one, or its letter, else none."""
    said = str(answer).strip()
    if choices and said:
        known = dict(zip("abcdefghij", choices, strict=False))
        same = (it for it in choices if _words(it) == _words(said))
        chosen = known.get(said.casefold()) or next(same, "")
        return Question(text, chosen, choices, f"{said!r} is none of these.")
    return Question(text, said, choices)


def _words(answer: Any) -> frozenset[str]:
    """The words of an answer, and its numbers; `order.created` is one word."""
    return frozenset(re.findall(r"\w+(?:\.\w+)*", str(answer).casefold())) - FILLERS
