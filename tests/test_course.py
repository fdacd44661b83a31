"""What lecturers get: the questions for course platforms, and the pages with plans for lessons."""

import json
import re
import xml.etree.ElementTree as ElementTree
import zipfile
from urllib.parse import unquote

import pytest
import qti2latex
from moodle_xml_parser.parser import parse_string

from tests.chapter import BOOK, CHAPTER, SECTIONS, exercises, source
from tools.course import html, moodle, pages, qti, spellings

TEACHING = BOOK / "teaching"


@pytest.fixture(scope="module")
def questions(site):
    text = (site.parent / "notebooks" / "questions.json").read_text("utf-8")
    return pages(json.loads(text))


@pytest.fixture(scope="module")
def files(site):
    return site / "teaching"


# --- The questions --------------------------------------------------------------------------------


def test_how_answers_are_spelled():
    shape, matrix, number = {"kind": "shape"}, {"kind": "matrix"}, {"kind": "number"}
    assert spellings(shape, [3, 4]) == ["3, 4", "3,4", "3 4", "3 x 4", "3 × 4", "(3, 4)", "[3, 4]"]
    assert spellings(number, 3025) == ["3025"]
    assert spellings(number, 0.4444) == ["0.4444"]
    assert spellings(matrix, [[1, 0.5], [-2, 3]])[0] == "1 0.5; -2 3"
    assert "[[1, 0.5], [-2, 3]]" in spellings(matrix, [[1, 0.5], [-2, 3]])
    assert spellings({"kind": "choice", "choices": ["a", "b"]}, 1) == ["b"]


def test_formulas_are_those_that_a_platform_draws():
    assert html("If $a < b$, *so*.") == (
        r'<p>If <span class="math inline">\(a &lt; b\)</span>, <em>so</em>.</p>'
    )
    assert r"\[x_{1} * y_{2}\]" in html("$$\nx_{1} * y_{2}\n$$")


@pytest.mark.slow
@pytest.mark.parametrize("page", CHAPTER)
def test_moodle_reads_each_question(page, questions, files):
    text = (files / f"{page}.moodle.xml").read_text("utf-8")
    assert text == moodle(f"Convolutional networks: {page.replace('-', ' ')}", questions[page])
    quiz = ElementTree.fromstring(text)
    category, *found = quiz.findall("question")
    assert category.findtext("category/text").endswith(page.replace("-", " "))
    assert [one.findtext("name/text") for one in found] == list(questions[page])
    kinds = {"number": "numerical", "choice": "multichoice"}
    for one, question in zip(found, questions[page].values(), strict=True):
        assert one.get("type") == kinds.get(question["kind"], "shortanswer")
        given = {}
        for answer in one.findall("answer"):
            hint = answer.findtext("feedback/text") or ""
            given[answer.findtext("text")] = (int(answer.get("fraction")), hint)
        made = html if question["kind"] == "choice" else str
        for spelling in spellings(question, question["right"]):
            assert given.pop(made(spelling)) == (100, "")
        for wrong in question["wrong"]:
            for spelling in spellings(question, wrong["answer"]):
                assert given.pop(made(spelling)) == (0, html(wrong["hint"]))
        assert given == {}
        assert one.findtext("generalfeedback/text") == html(question["explanation"])
    choices = parse_string(text)["multichoice"]
    expected = [it for it in questions[page].values() if it["kind"] == "choice"]
    assert len(choices) == len(expected) >= 2
    for one, question in zip(choices, expected, strict=True):
        (right,) = (option for option in one.options if option.score_fraction == 100)
        assert right.answer
        assert len(one.options) == len(question["choices"])


@pytest.mark.slow
@pytest.mark.parametrize("page", CHAPTER)
def test_a_qti_reader_finds_each_question(page, questions, files, tmp_path):
    path = files / f"{page}.qti.zip"
    title = f"Convolutional networks: {page.replace('-', ' ')}"
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path)
        assert qti(title, questions[page])[:4] == b"PK\x03\x04"
    items = [
        item
        for file in qti2latex.read_qti_dir(tmp_path)
        for item in qti2latex.findall_anyns(ElementTree.parse(file).getroot(), "item")
    ]
    assert [item.get("title") for item in items] == list(questions[page])
    for item, question in zip(items, questions[page].values(), strict=True):
        choices = dict(qti2latex.get_choices(item))
        assert len(choices) == len(question["wrong"]) + 1
        (right,) = (
            qti2latex.text_of(qti2latex.findall_anyns(condition, "varequal")[0])
            for condition in qti2latex.findall_anyns(item, "respcondition")
            if qti2latex.findall_anyns(condition, "setvar")
        )
        if question["kind"] != "choice":
            assert spellings(question, question["right"])[0] in choices[right]
        said = {
            feedback.get("ident"): qti2latex.text_of(
                qti2latex.findall_anyns(feedback, "mattext")[0]
            )
            for feedback in qti2latex.findall_anyns(item, "itemfeedback")
        }
        assert set(said) == {f"{ident}_fb" for ident in choices}
        for formula in re.findall(r'src="/equation_images/([^"?]+)', "".join(said.values())):
            assert "$" not in unquote(formula)


# --- The pages ------------------------------------------------------------------------------------


def part(text, title):
    return text.split(f"\n## {title}\n")[1].split("\n## ")[0]


def rows(text):
    """The rows of a table, below its head."""
    return [
        [cell.strip() for cell in line.strip("|").split(" | ")]
        for line in re.findall(r"^\|.*\|$", text, re.MULTILINE)[2:]
    ]


def test_each_section_has_a_page_for_lecturers():
    assert {path.stem for path in TEACHING.glob("*.md")} == {*SECTIONS, "index"}


@pytest.mark.parametrize("page", SECTIONS)
def test_a_page_for_lecturers_holds_what_a_lesson_needs(page):
    text = (TEACHING / f"{page}.md").read_text("utf-8")
    goals = re.findall(r"^- ", part(text, "Goals"), re.MULTILINE)
    assert 4 <= len(goals) <= 6
    plan = rows(part(text, "Plan"))
    assert sum(int(minutes) for minutes, *_ in plan) == 90
    assert "45 minutes" in part(text, "Plan")
    mistakes = rows(part(text, "Misconceptions"))
    assert len(mistakes) >= 4
    number = source(page).count("{question}")
    for _, reveals, helps in mistakes:
        asked = re.findall(rf"question-{page}-(\d+)", reveals)
        assert all(1 <= int(it) <= number for it in asked)
        assert asked or "ex-" in reveals
        assert helps
    listed = re.findall(r"\{numref\}`(ex-[\w-]+)`", part(text, "Exercises"))
    first = [re.search(r"ex-[\w-]+", row[0])[0] for row in rows(part(text, "Exercises"))]
    assert first == [label for _, label in exercises(page)]
    assert set(first) <= set(listed)


def test_paths_take_the_time_that_they_say():
    text = (TEACHING / "index.md").read_text("utf-8")
    assert len(rows(part(text, "A two-week unit"))) == 4
    afternoon = rows(part(text, "An afternoon"))
    assert sum(int(minutes) for *_, minutes in afternoon) == 180
    hours, minutes = divmod(
        sum(int(row[-1]) for row in rows(part(text, "For electron microscopists"))[:-1]), 60
    )
    assert 4 <= hours + minutes / 60 <= 5


@pytest.mark.slow
def test_the_site_offers_the_files(files):
    html = (files / "index.html").read_text("utf-8")
    offered = re.findall(r'href="([\w-]+\.(?:moodle\.xml|qti\.zip))"', html)
    assert len(offered) == 2 * len(CHAPTER)
    assert all((files / name).is_file() for name in offered)
