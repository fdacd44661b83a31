"""The book: what each page must hold, read from its source and from what its cells put out."""

import json
import re
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from tests.chapter import CHAPTER, NUMBERS, SECTIONS, exercises, said, says, source

ROOT = Path(__file__).parent.parent
CELL = re.compile(r"^```\{code-cell\}\n(.*?)^```$", re.DOTALL | re.MULTILINE)
SOLUTION = re.compile(
    r"^```\{solution-start\} (\S+)\n:label: (\S+)\n```$(.*?)^```\{solution-end\}\n```$",
    re.DOTALL | re.MULTILINE,
)


def cells(text):
    return [found[1] for found in CELL.finditer(text)]


def is_bookkeeping(cell):
    return "remove-cell" in cell


# --- The form of a page ---------------------------------------------------------------------------


@pytest.mark.parametrize("page", CHAPTER)
def test_a_page_says_what_it_is_and_what_remains(page):
    text = source(page)
    assert ":::{admonition} What this page is\n" in text
    for promise in ("**You will** ", "**You will learn** ", "**You need** "):
        assert promise in text
    assert ":::{admonition} To take away\n:class: tip\n" in text
    assert "\n## Further reading\n" in text
    assert text.count("{cite") >= 3


@pytest.mark.parametrize("page", CHAPTER)
def test_a_page_is_not_longer_than_a_sitting(page):
    main = [cell for cell in cells(SOLUTION.sub("", source(page))) if not is_bookkeeping(cell)]
    assert 8 <= len(main) <= 30


@pytest.mark.parametrize("page", CHAPTER)
def test_a_page_checks_what_it_says(page):
    checks = [cell for cell in cells(SOLUTION.sub("", source(page))) if "assert " in cell]
    assert len(checks) >= 5


@pytest.mark.parametrize("page", CHAPTER)
def test_each_figure_has_a_name_a_caption_and_is_spoken_of(page):
    text = source(page)
    names = re.findall(r"^    name: (fig-\S+)$", text, re.M)
    assert len(names) == len(set(names)) >= 3
    assert (
        text.count("\n  figure:\n") == len(names) == len(re.findall(r"^    caption: ", text, re.M))
    )
    for name in names:
        assert f"{{numref}}`{name}`" in text, name


@pytest.mark.parametrize("page", CHAPTER)
def test_each_equation_with_a_number_is_spoken_of(page):
    text = source(page)
    for label in re.findall(r"^:label: (eq-\S+)$", text, re.M):
        assert f"{{eq}}`{label}`" in text, label


# --- Exercises ------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", CHAPTER)
def test_a_section_has_exercises_each_with_one_solution(page):
    solutions = [(found[1], found[2]) for found in SOLUTION.finditer(source(page))]
    labels = [label for _, label in exercises(page)]
    assert len(labels) >= 4
    assert [solved for solved, _ in solutions] == labels  # one for each, in their order
    assert [label for _, label in solutions] == [f"{label}-solution" for label in labels]


def test_the_exercises_are_counted_where_they_are_promised():
    number = sum(len(exercises(page)) for page in SECTIONS)
    assert f"with {number} exercises" in (ROOT / "README.md").read_text("utf-8")
    assert f"exercises too, {number} in all" in source("index")
    assert len(exercises("atoms")) == 4
    assert "the page on atoms has four more" in source("index")


@pytest.mark.parametrize("page", CHAPTER)
def test_each_exercise_says_how_hard_it_is(page):
    for title, label in exercises(page):
        assert re.fullmatch(r".+ · (easy|medium|hard)", title), label


@pytest.mark.parametrize("page", CHAPTER)
def test_each_solution_runs_and_checks_itself(page):
    for solution in SOLUTION.finditer(source(page)):
        assert any("assert " in cell for cell in cells(solution[3])), solution[1]


# --- What the cells put out -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def outputs(site):
    return {
        page: said(json.loads((site / "notebooks" / f"{page}.ipynb").read_text("utf-8")))
        for page in CHAPTER
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("page", "number"), [(page, number) for page in NUMBERS for number in NUMBERS[page]]
)
def test_the_cells_put_out_the_numbers_of_the_chapter(page, number, outputs):
    assert says(number, outputs[page])


@pytest.mark.slow
@pytest.mark.parametrize("page", CHAPTER)
def test_each_figure_has_an_alternative_text(page, site):
    soup = BeautifulSoup((site / f"{page}.html").read_text("utf-8"), "html.parser")
    figures = soup.select('figure[id^="fig-"]')
    assert len(figures) == source(page).count("\n  figure:\n")
    for figure in figures:
        assert len(figure.select_one('[role="img"]')["aria-label"]) > 20, figure["id"]
        assert figure.select_one(".caption-number"), figure["id"]
