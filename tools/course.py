"""The questions of the book as files for course platforms: one of each kind for each page.

    python -m tools.course QUESTIONS FOLDER

QUESTIONS is the file that `make book` leaves beside the notebooks. Moodle XML asks for numbers and
shapes to be typed, and has a hint for each wrong answer that is foreseen. In QTI 1.2, which Canvas
and others import, only a choice can have such hints: so there each question becomes one, of the
right answer and the wrong ones.
"""

import argparse
import itertools
import json
import re
from pathlib import Path
from typing import Any

import jinja2
from loguru import logger
from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin
from moodle_tools.questions.multiple_choice import MultipleChoiceQuestion
from moodle_tools.questions.numerical import NumericalQuestion
from moodle_tools.questions.question import Question
from moodle_tools.questions.shortanswer import ShortAnswerQuestion
from text2qti.config import Config
from text2qti.qti import QTI
from text2qti.quiz import Quiz

Questions = dict[str, dict[str, Any]]

_AS_IT_IS = {"markdown": False, "table_styling": False}  # moodle-tools is to change no text
_TYPED = {
    "number": "Type a number.",
    "shape": "Type whole numbers with commas between them, such as 3, 4.",
    "matrix": "Type the rows with semicolons between them, such as 1 0 2; 3 4 5.",
}


def pages(questions: Questions) -> dict[str, Questions]:
    """Sort questions by their pages."""
    named = itertools.groupby(questions, key=lambda name: name.rpartition("-")[0])
    return {page: {name: questions[name] for name in names} for page, names in named}


def spellings(question: dict[str, Any], answer: Any) -> list[str]:
    """How a student may type an answer, the plainest way first; of a choice, its words."""
    if question["kind"] == "choice":
        return [question["choices"][answer]]
    if question["kind"] == "number":
        return [f"{answer:.10g}"]
    if question["kind"] == "shape":
        lists = [sign.join(map(str, answer)) for sign in (", ", ",", " ", " x ", " × ")]
        return [*dict.fromkeys(lists), f"({lists[0]})", f"[{lists[0]}]"]
    rows = [[f"{number:g}" for number in row] for row in answer]
    in_python = ", ".join(f"[{', '.join(row)}]" for row in rows)
    spelled = [
        between_rows.join(between.join(row) for row in rows)
        for between_rows in ("; ", ";")
        for between in (" ", ", ", ",")
    ]
    return [*dict.fromkeys(spelled), f"[{in_python}]"]


# --- Moodle ---------------------------------------------------------------------------------------


def moodle(title: str, questions: Questions) -> str:
    """The questions of a page as Moodle XML, in a category with this title."""
    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("moodle_tools.questions", "templates"),
        lstrip_blocks=True,
        trim_blocks=True,
    )
    made = [_for_moodle(name, question) for name, question in questions.items()]
    made[0].category = title  # of this one and all that follow
    return templates.get_template("quiz.xml.j2").render(
        questions=[question.to_xml(templates) for question in made]
    )


def _for_moodle(name: str, question: dict[str, Any]) -> Question:
    kind = question["kind"]
    right = {"answer": question["right"], "within": question["within"], "hint": ""}
    answers: list[dict[str, Any]] = [
        {
            "answer": spelling,
            "tolerance": one["within"],
            "points": 100 if one is right else 0,
            "feedback": html(one["hint"]),
        }
        for one in (right, *question["wrong"])
        for spelling in spellings(question, one["answer"])
    ]
    common = {
        "title": name,
        "category": None,
        "question": html("\n\n".join([question["text"], _TYPED.get(kind, "")])),
        "general_feedback": html(question["explanation"]),
        "answers": answers,
        **_AS_IT_IS,
    }
    if kind == "number":
        return NumericalQuestion(**common)
    if kind != "choice":
        return ShortAnswerQuestion(**common)
    for answer in answers:
        answer["answer"] = html(answer["answer"])
    return MultipleChoiceQuestion(**common)


def html(text: str) -> str:
    """Markdown as HTML, its formulas as Moodle's filter for MathJax finds them."""

    def formula(content: str, options: dict[str, bool]) -> str:
        plain = content.replace("&", "&amp;").replace("<", "&lt;").strip()
        return rf"\[{plain}\]" if options["display_mode"] else rf"\({plain}\)"

    return str(MarkdownIt().use(dollarmath_plugin, renderer=formula).render(text)).strip()


# --- QTI ------------------------------------------------------------------------------------------


def qti(title: str, questions: Questions) -> bytes:
    """The questions of a page as a QTI package, all of them choices."""
    lines = [f"Quiz title: {title}", "shuffle answers: true", ""]
    for number, (name, question) in enumerate(questions.items(), 1):
        lines += [f"Title: {name}", _item(f"{number}.", question["text"])]
        right = {"answer": question["right"], "hint": question["explanation"]}
        choices = sorted([right, *question["wrong"]], key=lambda one: _rank(question, one))
        for letter, one in zip("abcdefgh", choices, strict=False):
            sign = "*" if one is right else ""
            lines.append(_item(f"{sign}{letter})", spellings(question, one["answer"])[0]))
            lines.append(_item("...", one["hint"]))
        lines.append("")
    return QTI(Quiz("\n".join(lines), config=Config())).zip_bytes()


def _rank(question: dict[str, Any], one: dict[str, Any]) -> Any:
    """A place among the choices that does not show which is right."""
    return one["answer"] if question["kind"] == "choice" else spellings(question, one["answer"])[0]


def _item(sign: str, text: str) -> str:
    """A part of a quiz as text2qti reads it: what follows its first line is indented."""
    text = re.sub(r"\$\$\s*(.*?)\s*\$\$", r"$\\displaystyle \1$", text, flags=re.DOTALL)
    indent = " " * (len(sign) + 1)
    lines = [line if line.strip() else "" for line in text.splitlines()]
    return f"{sign} " + "\n".join(
        [lines[0], *(indent + line if line else "" for line in lines[1:])]
    )


def main() -> None:
    """Write the files."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("questions", type=Path)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    logger.disable("moodle_tools")
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for page, questions in pages(json.loads(arguments.questions.read_text("utf-8"))).items():
        title = f"Convolutional networks: {page.replace('-', ' ')}"
        path = arguments.folder / page
        path.with_suffix(".moodle.xml").write_text(moodle(title, questions), encoding="utf-8")
        path.with_suffix(".qti.zip").write_bytes(qti(title, questions))
    print(f"The questions for courses are in {arguments.folder}")


if __name__ == "__main__":
    main()
