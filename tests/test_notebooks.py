"""What is in the notebooks of the sections. That they run is in test_colab.py."""

import re
from html import unescape
from pathlib import Path

import nbformat
import pytest

from tests.chapter import CHAPTER, exercises, source

ROOT = Path(__file__).parent.parent

# The cell where a student answers a question.
CHECK = re.compile(r'check\("([\w-]+)", \.\.\.\)')

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def notebooks(site):
    """For each section the notebook with the solutions and the one without."""

    def read(name):
        return nbformat.read(site / "notebooks" / f"{name}.ipynb", nbformat.NO_CONVERT)

    return {page: (read(page), read(f"{page}-exercises")) for page in CHAPTER}


def prose(notebook):
    return [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]


def code(notebook):
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


@pytest.mark.parametrize("page", CHAPTER)
def test_is_a_notebook_that_jupyter_takes(notebooks, page):
    for notebook in notebooks[page]:
        nbformat.validate(notebook)
        assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)
        assert all(cell.source.strip() for cell in notebook.cells)


@pytest.mark.parametrize("page", CHAPTER)
def test_nothing_is_left_that_only_sphinx_understands(notebooks, page):
    for notebook in notebooks[page]:
        text = "\n\n".join(prose(notebook))
        assert not re.search(r"\{[a-z:]+\}`|^:::|^```\{|<!--|\x02|\x03", text, re.MULTILINE)
        links = re.findall(r"\]\(([^)]*)\)", text)
        assert all(link.startswith(("https://", "http://")) for link in links)
        assert text.count("<details>") == text.count("</details>") == text.count("<summary>")
        assert text.count("\n$$\n") % 2 == 0


@pytest.mark.parametrize("page", CHAPTER)
def test_holds_the_cells_of_the_page(notebooks, page, site):
    executed = nbformat.read(
        ROOT / "_build" / "jupyter_execute" / f"{page}.ipynb", nbformat.NO_CONVERT
    )
    shown = [
        cell
        for cell in executed.cells
        if cell.cell_type == "code" and "remove-cell" not in cell.metadata.get("tags", ())
    ]
    solved = notebooks[page][0]
    install, device, *cells = [cell for cell in solved.cells if cell.cell_type == "code"]
    assert "%pip install" in install.source
    assert "device_name" in device.source
    assert "enable_tensor_float_32_execution(False)" in device.source
    assert "CNN_TF_RECORDS" in cells[0].source
    assert "CNN_TF_QUESTIONS" in cells.pop(0).source
    checks = [cell for cell in cells if CHECK.fullmatch(cell.source)]
    cells = [cell for cell in cells if cell not in checks]
    assert [CHECK.fullmatch(cell.source)[1] for cell in checks] == [
        f"{page}-{number + 1}" for number in range(source(page).count("{question}"))
    ]
    assert [cell.source for cell in cells] == [cell.source for cell in shown]
    # What is printed on the page is printed here.
    html = (site / f"{page}.html").read_text("utf-8")
    text = unescape(re.sub(r"<[^>]+>", "", html))
    outputs = [output for cell in cells for output in cell.outputs]
    printed = [output.text.strip() for output in outputs if output.output_type == "stream"]
    assert len(printed) >= 4
    assert [it for it in printed if it not in text] == []
    hidden = [cell.source for cell in shown if "hide-input" in cell.metadata.get("tags", ())]
    for fold in (
        lambda cell: cell.metadata.get("jupyter", {}).get("source_hidden"),
        lambda cell: cell.metadata.get("cellView") == "form",
    ):
        assert [cell.source for cell in cells if fold(cell)] == hidden


@pytest.mark.parametrize("page", CHAPTER)
def test_drawings_are_pictures_with_alternative_texts(notebooks, page, site):
    outputs = [output for cell in notebooks[page][0].cells for output in cell.get("outputs", ())]
    html = "".join(output.get("data", {}).get("text/html", "") for output in outputs)
    drawn = re.findall(
        r'<svg [^>]*aria-label="([^"]*)"', (site / f"{page}.html").read_text("utf-8")
    )
    assert len(drawn) >= 5
    pictures = re.findall(r'<img alt="([^"]+)" width="\d+" src="data:image/svg\+xml;base64,', html)
    assert [unescape(alt) for alt in pictures] == [unescape(alt) for alt in drawn]
    assert "<svg" not in html


@pytest.mark.parametrize("page", CHAPTER)
def test_a_solution_is_folded_in_one_and_absent_in_the_other(notebooks, page):
    (solved, unsolved), number = notebooks[page], len(exercises(page))
    headings = [
        cell
        for cell in solved.cells
        if cell.cell_type == "markdown" and cell.source.startswith("#### Solution to Exercise ")
    ]
    assert len(headings) == number
    for cell in headings:
        assert "\n" not in cell.source
        assert cell.metadata["jp-MarkdownHeadingCollapsed"]
        assert cell.metadata.id in solved.metadata.colab.collapsed_sections
    for notebook in (solved, unsolved):
        found = [text for text in prose(notebook) if re.match(r"### Exercise \d\.\d ", text)]
        assert len(found) == number
    assert "Solution to" not in "\n".join(prose(unsolved))
    assert code(unsolved).count("# Your answer\n") == number
    assert not any(cell.get("outputs") for cell in unsolved.cells)


@pytest.mark.parametrize("page", CHAPTER)
def test_the_cells_for_students_are_the_first_of_all_cells(notebooks, page):
    # So they run when all of them run, and need no other execution.
    solved, exercises = (code(notebook) for notebook in notebooks[page])
    given = [source for source in exercises if source != "# Your answer\n"]
    assert given == solved[: len(given)]


@pytest.mark.parametrize("page", CHAPTER)
def test_figures_equations_and_headings_have_the_numbers_of_the_page(notebooks, page, site):
    html = (site / f"{page}.html").read_text("utf-8")
    text = "\n".join(prose(notebooks[page][0]))
    figures = re.findall(r'<span class="caption-number">(Fig\. [\d.]+) ', html)
    assert re.findall(r"^\*\*(Fig\. [\d.]+)\*\*", text, re.MULTILINE) == figures
    equations = re.findall(r'<span class="eqno">\(([\d.]+)\)', html)
    assert re.findall(r"\\tag\{([\d.]+)\}", text) == equations
    sections = re.findall(r'<h[12]><span class="section-number">([\d.]+)\. </span>', html)
    assert re.findall(r"^##? ([\d.]+) ", text, re.MULTILINE) == sections


@pytest.mark.parametrize("page", CHAPTER)
def test_words_that_set_an_explorer_on_the_site_are_plain(notebooks, page):
    text = "\n".join(prose(notebooks[page][0]))
    assert "explore-" not in text
    for words in re.findall(r"\{explore\}`(.+?) <", source(page)):
        assert words in text
