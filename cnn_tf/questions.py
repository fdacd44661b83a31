"""The questions of the book's self-tests: answers that are checked, with hints.

A notebook of the book brings the questions of its page along. Elsewhere the environment variable
`CNN_TF_QUESTIONS` names their file: in a clone, `_build/notebooks/questions.json` once `make book`
has built it.
"""

import json
import math
import os
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

_EXPECTED = {
    "number": "a number, such as 12 or 1 / 3",
    "shape": "whole numbers, such as (3, 4)",
    "matrix": "rows of numbers, such as [[1, 0, 2], [3, 4, 5]]",
}


@dataclass(frozen=True)
class Verdict:
    """What is said of an answer.

    Attributes:
        right: Whether the answer is right; `None` where there is no answer yet.
        words: What is said, in Markdown; a notebook shows it as such.

    Example:
        >>> from cnn_tf.questions import Verdict
        >>> Verdict(True, "Right.")
        Right.
    """

    right: bool | None
    words: str

    def __repr__(self) -> str:
        return self.words

    def _repr_markdown_(self) -> str:
        return self.words


def check(name: str, answer: Any) -> Verdict:
    """Check an answer to a question of the book.

    For a wrong answer that is typical there is a hint, which does not give the right one away.

    Args:
        name: The page and the number of the question, such as `"images-2"`.
        answer: A number; whole numbers, such as a shape; a matrix; or the letter of a choice. The
            question says which. `...` stands for no answer yet.

    Returns:
        A `Verdict`.

    Raises:
        KeyError: There is no such question; the message lists those that there are.
        TypeError: The answer is not of the kind that the question asks for.
        FileNotFoundError: The questions' file was not found.
        ValueError: The file holds something else.

    Example:
        >>> import json, os, tempfile
        >>> from cnn_tf.questions import check
        >>> question = {
        ...     "kind": "shape", "right": [26, 38], "within": 0, "choices": [],
        ...     "wrong": [{"answer": [25, 37], "within": 0, "hint": "Count the first place, too."}],
        ... }
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     os.environ["CNN_TF_QUESTIONS"] = os.path.join(folder, "questions.json")
        ...     with open(os.environ["CNN_TF_QUESTIONS"], "w") as file:
        ...         json.dump({"mine-1": question}, file)
        ...     check("mine-1", (25, 37)), check("mine-1", (26, 38)).right
        (Not yet. Count the first place, too., True)
        >>> del os.environ["CNN_TF_QUESTIONS"]
    """
    questions = _read()
    if name not in questions:
        there = ", ".join(questions)
        raise KeyError(f"There is no question {name!r}. There: {there}.")
    question = questions[name]
    letters = [chr(ord("a") + number) for number in range(len(question["choices"]))]
    one_of = "one of the letters " + ", ".join(map(repr, letters))
    expected = _EXPECTED.get(question["kind"], one_of)
    if answer is ...:
        return Verdict(None, f"Put your answer in the place of the three dots: {expected}.")
    try:
        given = _convert(question["kind"], answer, letters)
    except (TypeError, ValueError):
        raise TypeError(
            f"check expected {expected}, as the answer to {name!r}. Received: {answer!r}."
        ) from None
    if _agree(given, question["right"], question["within"]):
        return Verdict(True, "Right.")
    for wrong in question["wrong"]:
        if _agree(given, wrong["answer"], wrong["within"]):
            return Verdict(False, f"Not yet. {wrong['hint']}")
    return Verdict(False, "Not yet. Try another way to get there.")


def _read() -> dict[str, Any]:
    place = os.environ.get("CNN_TF_QUESTIONS") or "_build/notebooks/questions.json"
    try:
        questions = json.loads(Path(place).read_text("utf-8"))
        for question in questions.values():
            question["kind"], question["right"], question["wrong"]
    except FileNotFoundError:
        raise FileNotFoundError(
            f"There is no file {place} with the questions of the book. A notebook of the book "
            "brings its own; in a clone, `make book` makes it. CNN_TF_QUESTIONS can name another."
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{place} does not hold the questions of the book ({error!r}). `make book` makes it."
        ) from None
    return dict(questions)


def _convert(kind: str, answer: Any, letters: list[str]) -> Any:
    """An answer as JSON would hold it; a TypeError or ValueError if it is of another kind."""
    if kind == "choice":
        return letters.index(answer.strip().lower() if isinstance(answer, str) else answer)
    found = np.asarray(float(answer) if isinstance(answer, Fraction) else answer)
    if found.dtype.kind not in "iuf":
        raise TypeError(kind)
    if kind == "number" and found.size == 1:
        return float(found.item())
    if kind == "shape" and found.ndim <= 1 and np.all(found == np.round(found)):
        return [int(number) for number in found.reshape(-1)]
    if kind == "matrix" and 1 <= found.ndim <= 2:
        return np.atleast_2d(found).tolist()
    raise TypeError(kind)


def _agree(a: Any, b: Any, within: float) -> bool:
    """Whether two answers are the same, their numbers up to so much."""
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(_agree(x, y, within) for x, y in zip(a, b, strict=True))
    if isinstance(a, list) or isinstance(b, list):
        return False
    return math.isclose(a, b, rel_tol=1e-9, abs_tol=within)
