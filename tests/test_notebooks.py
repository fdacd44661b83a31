"""The notebooks of the sections: what is in them, and that they run anywhere as they are."""

import os
import re
import subprocess
from copy import deepcopy
from html import unescape
from pathlib import Path

import nbformat
import pytest

from cnn_tf.data import locate
from tests.chapter import CHAPTER, NUMBERS, exercises, said, says, source

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


# --- What is in them ------------------------------------------------------------------------------


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


# --- They run -------------------------------------------------------------------------------------


def freeze(python):
    command = [python, "-m", "pip", "list", "--format", "freeze", "--exclude", "cnn_tf"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def colab(wheel):
    """Run in an environment with Colab's versions, in which the package is missing at first."""
    subprocess.run(["make", "colab"], cwd=ROOT, check=True, capture_output=True)
    python = ROOT / ".venv" / "colab" / "bin" / "python"
    uninstall = [python, "-m", "pip", "uninstall", "--quiet", "--yes", "cnn_tf"]
    subprocess.run(uninstall, check=True, capture_output=True)
    before = freeze(python)
    # Nothing but the wheel can be installed: no other package may be missing, or too old.
    yield python, {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheel.parent)}
    assert freeze(python) == before


@pytest.mark.parametrize("page", CHAPTER)
def test_runs_as_it_is(page, notebooks, colab, tmp_path):
    # With Colab's versions; with the locked ones, the site has run the very same cells.
    python, settings = colab
    work = tmp_path / "work"
    work.mkdir()
    home = tmp_path / "home"
    ours = (
        "PYTHON",
        "CNN_TF_",
        "TF_CPP",
        "TF_ENABLE",
        "JUPYTER",
        "IPYTHON",
        "KERAS_",
        "VIRTUAL_ENV",
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
    environment |= {"HOME": str(home), "CNN_TF_DATA": str(locate().folder), **settings}
    notebook = deepcopy(notebooks[page][0])
    if page == "lenet" and os.environ.get("CNN_TF_REPEAT") != "long":  # as the weekly run has it
        for epochs in ("data, epochs=10)", "[-1]], epochs=2)"):
            (training,) = (cell for cell in notebook.cells if epochs in cell.source)
            training.source = re.sub(r"epochs=\d+", "epochs=1", training.source)
    file = work / "notebook.ipynb"
    nbformat.write(notebook, file)
    execute = Path(python).parent / "jupyter-execute"
    done = subprocess.run(
        [execute, "--inplace", "--timeout=600", file],
        cwd=work,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    executed = nbformat.read(file, nbformat.NO_CONVERT)
    outputs = [output for cell in executed.cells for output in cell.get("outputs", ())]
    assert [output.text for output in outputs if output.get("name") == "stderr"] == []
    text = said(executed)
    for number in NUMBERS.get(page, ()):
        assert says(number, text), number
    assert list(work.iterdir()) == [file]
    assert not (home / ".keras" / "models").exists()
