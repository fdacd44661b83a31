"""Questions of the self-tests, with answers that are checked.

    :::::{question} shape
    An image of 30 × 40 pixels meets a kernel of 5 × 3. What is the shape of the output?

    ::::{right} [26, 38]
    The explanation, folded until it is asked for or the answer was right.
    ::::

    ::::{wrong} [25, 37]
    The hint for those who answer this.
    ::::
    :::::

The kinds are `number`, `shape` and `matrix`, whose answers are JSON, and `choice`, whose answers
are the words to choose from, in their order. `:within: 0.05` allows a number to be so far off.

On the site `questions.js` checks what is typed. In a notebook `cnn_tf.questions.check` does, for
which `describe` gives the questions of a page as data.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from html import escape
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective
from sphinx.writers.html5 import HTML5Translator

_logger = logging.getLogger(__name__)

# What each kind asks to be typed, and an example of it.
LETTERS = "abcdefgh"  # of the choices
KINDS = {
    "number": "a number, such as 12 or 1/3",
    "shape": "whole numbers, such as 3, 4",
    "matrix": "the rows, such as 1 0 2; 3 4 5",
    "choice": "a letter",
}


class question(nodes.General, nodes.Element):  # noqa: N801, as docutils calls its nodes
    """A question: its text, a field, hints, and a folded explanation."""


class question_field(nodes.General, nodes.Element):  # noqa: N801, as docutils calls its nodes
    """Where the answer goes; for a choice, it holds the choices."""


class question_choice(nodes.General, nodes.TextElement):  # noqa: N801, as docutils calls its nodes
    """Words to choose."""


class question_hint(nodes.General, nodes.Element):  # noqa: N801, as docutils calls its nodes
    """What those see who gave a wrong answer that is foreseen."""


class given_answer(nodes.General, nodes.Element):  # noqa: N801, as docutils calls its nodes
    """What `right` and `wrong` hold, until their question takes it."""


class Answer(SphinxDirective):
    """An answer, right or wrong, and what is said of it."""

    has_content = True
    required_arguments = 1
    final_argument_whitespace = True
    option_spec: ClassVar[dict[str, Callable[[str], float]]] = {"within": float}

    def run(self) -> list[nodes.Node]:
        """Parse what is said; what it says it of is read by the question."""
        self.assert_has_content()
        words = self.arguments[0]
        node = given_answer(
            "", *self.parse_content_to_nodes(), right=self.name == "right", given=words
        )
        node["within"] = self.options.get("within", 0)
        node["words"], _ = self.parse_inline(words)
        self.set_source_info(node)
        return [node]


class Question(SphinxDirective):
    """A question of one of four kinds."""

    has_content = True
    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Put its parts in order, and refuse what nobody could answer."""
        try:
            kind = directives.choice(self.arguments[0], tuple(KINDS))
        except ValueError as error:
            raise self.error(str(error)) from error
        parts = self.parse_content_to_nodes()
        answers = [part for part in parts if isinstance(part, given_answer)]
        text = [part for part in parts if not isinstance(part, given_answer)]
        number = self.env.temp_data["question"] = self.env.temp_data.get("question", 0) + 1
        node = question("", *text, kind=kind, number=number, name=f"{self.env.docname}-{number}")
        node["ids"] = [f"question-{number}"]
        self.set_source_info(node)
        label, title = f"question-{node['name']}", f"question {number}"  # for the role `ref`
        domain = self.env.domains.standard_domain
        domain.labels[label] = (self.env.docname, node["ids"][0], title)
        domain.anonlabels[label] = (self.env.docname, node["ids"][0])
        rights = [one for one in answers if one["right"]]
        if len(rights) != 1 or len(answers) < 2 or not text:
            raise self.error("A question needs a text, one right answer and a wrong one.")
        for one in answers:
            one["value"] = answers.index(one) if kind == "choice" else self._value(kind, one)
        (right,) = rights
        entry = {"value": right["value"], "within": right["within"]}
        node += question_field("", *_choices(kind, answers), kind=kind, name=node["name"], **entry)
        for one in answers:
            if one is not right:
                said = {"value": one["value"], "within": one["within"], "classes": ["no-search"]}
                node += question_hint("", *one.children, **said)
        plain = _plainly(kind, right)
        title = nodes.title("", "Answer")
        node += nodes.admonition("", title, plain, *right.children, collapsible="closed")
        return [node]

    def _value(self, kind: str, one: given_answer) -> Any:
        try:
            value = json.loads(one["given"])
        except ValueError:
            value = None
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if kind == "number" and number:
            return value
        if kind == "shape" and isinstance(value, list) and all(type(n) is int for n in value):
            return value
        if kind == "matrix" and isinstance(value, list) and _is_matrix(value):
            return value
        raise self.error(f"{one['given']!r} is no answer of the kind {kind!r} in JSON.")


def _is_matrix(rows: list[Any]) -> bool:
    lists = [row for row in rows if isinstance(row, list)]
    numbers = [n for row in lists for n in row if isinstance(n, int | float)]
    return len({len(row) for row in lists}) == 1 and len(numbers) == len(rows) * len(rows[0])


def _choices(kind: str, answers: list[given_answer]) -> Iterator[question_choice]:
    if kind == "choice":
        for number, one in enumerate(answers):
            yield question_choice("", "", *one["words"], value=number)


def _plainly(kind: str, right: given_answer) -> nodes.paragraph:
    """The right answer by itself, which an explanation may never write out."""
    value = right["value"]
    if kind == "choice":
        words = [part.deepcopy() for part in right["words"]]
        return nodes.paragraph("", "", nodes.strong("", LETTERS[value]), nodes.Text(" "), *words)
    if kind == "matrix":
        rows = r" \\ ".join(" & ".join(f"{number:g}" for number in row) for row in value)
        formula = rf"\begin{{bmatrix}} {rows} \end{{bmatrix}}"
    elif kind == "shape":
        formula = f"({', '.join(map(str, value))})"
    else:
        sign = r"\approx " if right["within"] else ""
        formula = sign + f"{value:.3g}" if right["within"] else f"{value:,}".replace(",", "{,}")
    return nodes.paragraph("", "", nodes.math("", formula))


def describe(
    doctree: nodes.document, render: Callable[[list[nodes.Node]], str]
) -> dict[str, dict[str, Any]]:
    """Give the questions of a page as data, by their names.

    Args:
        doctree: The page.
        render: From parts of it to their text, in Markdown.
    """
    found = {}
    for node in doctree.findall(question):
        place = node.index(next(node.findall(question_field)))
        entry, *hints, explanation = node.children[place:]
        found[node["name"]] = {
            "kind": node["kind"],
            "text": render(node.children[:place]),
            "choices": [render([nodes.paragraph("", "", *one.children)]) for one in entry],
            "right": entry["value"],
            "within": entry["within"],
            "explanation": render(explanation.children[1:]),
            "wrong": [
                {"answer": one["value"], "within": one["within"], "hint": render(one.children)}
                for one in hints
            ],
        }
    return found


# --- On the site ----------------------------------------------------------------------------------


def _visit_question(self: HTML5Translator, node: question) -> None:
    self.body.append(
        self.starttag(node, "div", "", CLASS="question", **{"data-name": node["name"]})
    )
    self.body.append(f'<p class="question-number">Question {node["number"]}</p>')


def _depart_question(self: HTML5Translator, node: question) -> None:
    self.body.append("</div>\n")


def _data(node: nodes.Element) -> str:
    value = escape(json.dumps(node["value"]))
    return f'data-answer="{value}" data-within="{node["within"]}"'


def _visit_field(self: HTML5Translator, node: question_field) -> None:
    name, kind = node["name"], node["kind"]
    self.body.append(f'<form class="answer" data-kind="{kind}" {_data(node)} novalidate>')
    if kind == "choice":
        self.body.append("<fieldset><legend>Choose one</legend>")
        return
    described = f'<small id="{name}-form">{KINDS[kind]}</small>'
    common = f'name="answer" autocomplete="off" spellcheck="false" aria-describedby="{name}-form"'
    control = (
        f'<textarea {common} rows="3" cols="20"></textarea>'
        if kind == "matrix"
        else f'<input {common} type="text" size="16" autocapitalize="off">'
    )
    self.body.append(f"<label>Your answer {control}</label> {described}")


def _depart_field(self: HTML5Translator, node: question_field) -> None:
    if node["kind"] == "choice":
        self.body.append("</fieldset>")
    self.body.append(
        '<button hidden>Check</button><div class="verdict" role="status"></div></form>'
    )


def _visit_choice(self: HTML5Translator, node: question_choice) -> None:
    value = node["value"]
    self.body.append(
        f'<label><input type="radio" name="answer" value="{value}">'
        f"<strong>{LETTERS[value]}</strong> <span>"
    )


def _depart_choice(self: HTML5Translator, node: question_choice) -> None:
    self.body.append("</span></label>\n")


def _visit_hint(self: HTML5Translator, node: question_hint) -> None:
    self.body.append(f'<div class="hint no-search" hidden {_data(node)}>')


def _depart_hint(self: HTML5Translator, node: question_hint) -> None:
    self.body.append("</div>\n")


def _add_script(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Add the script where there are questions, and where their pages are listed."""
    if page == app.config.root_doc or (doctree and any(doctree.findall(question))):
        app.add_js_file("questions.js", type="module")


def setup(app: Sphinx) -> dict[str, bool]:
    """Add the directives; a builder for another format brings its own visitors of the nodes."""
    app.add_directive("question", Question)
    app.add_directive("right", Answer)
    app.add_directive("wrong", Answer)
    app.add_node(question, html=(_visit_question, _depart_question))
    app.add_node(question_field, html=(_visit_field, _depart_field))
    app.add_node(question_choice, html=(_visit_choice, _depart_choice))
    app.add_node(question_hint, html=(_visit_hint, _depart_hint))
    app.connect("html-page-context", _add_script)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
