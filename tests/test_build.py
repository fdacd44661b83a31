"""How the site is built: what is executed when, what stops a build.

The builds run on a copy of the project with one page of one cell.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
PAGE = """---
file_format: mystnb
kernelspec:
  name: python3
  display_name: Python 3
---

# A page

```{code-cell}
first = 1
```

```{code-cell}
CELL
```
"""


class Project:
    """A small copy of the project, and its builds."""

    def __init__(self, folder):
        self.folder = folder
        self.page = folder / "book" / "index.md"
        self.environment = {**os.environ, "PYTHONPATH": str(folder / "site-packages")}
        shutil.copytree(ROOT / "cnn_tf", folder / "cnn_tf")
        for name in ("_extensions", "_static"):
            shutil.copytree(ROOT / "book" / name, folder / "book" / name)
        for name in ("conf.py", "pyproject.toml", "book/references.bib"):
            shutil.copy(ROOT / name, folder / name)
        (folder / "site-packages").mkdir()
        self.write_cell("print(first + 1)")

    def write_cell(self, code):
        self.page.write_text(PAGE.replace("CELL", code), encoding="utf-8")

    def build(self, kind="html"):
        command = f"-m sphinx -T -W --keep-going -n -c . -d _build/doctrees -b {kind} book"
        done = subprocess.run(
            [sys.executable, *command.split(), f"_build/{kind}"],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return done.returncode, done.stdout

    def executed(self):
        code, output = self.build()
        assert code == 0, output
        return len(re.findall(r"Executed notebook", output))

    def hide_the_data(self):
        """Leave no way to the full data set: no folder, no download, no package."""
        data = self.folder / "cnn_tf" / "data.py"
        text = data.read_text("utf-8")
        for real in ("https://storage.googleapis.com/", '"/usr/share/', "apt-get"):
            assert real in text
        text = text.replace("https://storage.googleapis.com/", "http://127.0.0.1:9/")
        text = text.replace('"/usr/share/', '"/nowhere/').replace("apt-get", "no-such-command")
        data.write_text(text, encoding="utf-8")
        self.environment["KERAS_HOME"] = str(self.folder / "keras")
        self.environment.pop("CNN_TF_DATA", None)


@pytest.fixture
def project(tmp_path):
    project = Project(tmp_path)
    # Any source will do here, and the sample is always there.
    project.environment["CNN_TF_SAMPLE"] = str(ROOT / "book" / "sample")
    return project


@pytest.mark.slow
def test_executes_again_only_what_changed(project):
    assert project.executed() == 1
    assert project.executed() == 0

    # The package
    models = project.folder / "cnn_tf" / "models.py"
    models.write_text(models.read_text("utf-8") + "\n# changed\n", encoding="utf-8")
    assert project.executed() == 1
    assert project.executed() == 0

    # A version
    info = project.folder / "site-packages" / "some_library-2.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: some_library\nVersion: 2.0\n")
    assert project.executed() == 1

    # The page itself
    project.write_cell("print(first + 2)")
    assert project.executed() == 1
    assert "3" in (project.folder / "_build" / "html" / "index.html").read_text("utf-8")


def test_failing_cell_fails_the_build_and_is_named(project):
    project.write_cell("first / 0  # the culprit")
    for _ in range(2):  # the second time too: a failure is not cached
        code, output = project.build()
        assert code != 0
        assert str(project.page) in output
        assert "first / 0  # the culprit" in output
        assert "ZeroDivisionError" in output


def test_output_on_stderr_fails_the_build(project):
    project.write_cell("import warnings; warnings.warn('something is wrong')")
    code, output = project.build()
    assert code != 0
    assert "stderr" in output


def test_bad_formula_fails_the_build_and_is_named(project):
    project.page.write_text("# A page\n\nA formula $\\nosuchcommand$.\n", encoding="utf-8")
    code, output = project.build()
    assert code != 0
    assert "index.md:3: cannot convert LaTeX" in output


def test_words_that_set_an_explorer_are_checked(project):
    # An explorer is known by the cell that makes it.
    project.write_cell('explore = str\nexplore("padding")')
    cells = project.page.read_text("utf-8")
    project.page.write_text(
        f"{cells}\n{{explore}}`Two <padding: strides=2,2 size=9,9>`.\n", "utf-8"
    )
    code, output = project.build()
    assert code == 0, output
    html = (project.folder / "_build" / "html" / "index.html").read_text("utf-8")
    address = "?padding.strides=2,2&amp;padding.size=9,9#explore-padding"
    assert f'<a class="explore-link" href="{address}">Two</a>.' in html

    wrong = {
        "padding: strides=2,2": "expected `words <explorer: setting=value>`",
        "two <padding>": "expected `words <explorer: setting=value>`",
        "two <nothing: strides=2,2>": "there is no explorer 'nothing'",
        "two <pooling: strides=2>": "this page has no explorer 'pooling'",
        "two <padding: stride=2,2>": "'padding' has no setting 'stride', only size, kernel_size",
        "two <padding: strides=2>": "'2' is no value for the setting 'strides' of 'padding'",
        "two <padding: strides=2,two>": "'2,two' is no value for the setting 'strides'",
        "two <padding: strides>": "'' is no value for the setting 'strides'",
    }
    roles = "".join(f"\n{{explore}}`{role}`\n" for role in wrong)
    project.page.write_text(cells + roles, encoding="utf-8")
    code, output = project.build()
    assert code != 0
    for message in wrong.values():
        assert re.search(rf"index\.md:\d+: WARNING: explore: {re.escape(message)}", output), output


QUESTION = """
:::::{question} KIND
TEXT

::::{right} RIGHT
So.
::::

WRONG
:::::
"""
WRONG = "::::{wrong} [4, 3]\nSwapped.\n::::"


def test_a_question_that_nobody_could_answer_stops_the_build(project):
    incomplete = "needs a text, one right answer and a wrong one"
    questions = [
        ("shape", "What?", "[3, 4]", "", incomplete),
        ("shape", "", "[3, 4]", WRONG, incomplete),
        ("shape", "What?", "3, 4", WRONG, "'3, 4' is no answer of the kind 'shape' in JSON"),
        ("shape", "What?", "[3.5, 4]", WRONG, "'[3.5, 4]' is no answer of the kind 'shape'"),
        ("number", "What?", "true", WRONG, "'true' is no answer of the kind 'number'"),
        ("matrix", "What?", "[[1], [2, 3]]", WRONG, "is no answer of the kind 'matrix'"),
        ("colour", "What?", "[3, 4]", WRONG, '"colour" unknown; choose from "number"'),
    ]
    page, expected = "# A page\n", []
    for *words, message in questions:
        given = dict(zip(("KIND", "TEXT", "RIGHT", "WRONG"), words, strict=True))
        expected.append((page.count("\n") + 2, message))
        page += re.sub("|".join(given), lambda found, given=given: given[found[0]], QUESTION)
    project.page.write_text(page, encoding="utf-8")
    code, output = project.build()
    assert code != 0
    for line, message in expected:
        assert re.search(rf"index\.md:{line}: .*{re.escape(message)}", output), output


def test_sample_is_announced_on_the_page(project):
    project.hide_the_data()
    project.page.write_text("# A page\n\nNo cell.\n", encoding="utf-8")
    code, output = project.build()
    assert code == 0, output
    assert "sample in the repository" in output
    html = (project.folder / "_build" / "html" / "index.html").read_text("utf-8")
    assert "made from a sample of Fashion-MNIST" in html


def test_sample_is_refused_when_it_is_not_named(project):
    project.hide_the_data()
    project.environment["CNN_TF_SAMPLE"] = ""
    code, output = project.build()
    assert code != 0
    assert "Fashion-MNIST was not found. Tried, in this order:" in output
    assert "sample in the repository: not allowed (CNN_TF_SAMPLE is not set)" in output


FORK = {
    "GITHUB_SERVER_URL": "https://github.example",
    "GITHUB_REPOSITORY": "Someone/fork",
    "GITHUB_REF_NAME": "main",
    "GITHUB_SHA": "0123abc",
}


def test_repository_comes_from_the_environment(project):
    project.page.write_text("# A page\n\nNo cell.\n", encoding="utf-8")
    project.environment |= FORK
    assert project.executed() == 0
    html = (project.folder / "_build" / "html" / "index.html").read_text("utf-8")
    assert "https://github.example/Someone/fork/blob/main/book/index.md" in html


@pytest.mark.slow
def test_a_section_offers_its_notebooks_where_they_are(project):
    project.page.with_name("section.md").write_text(project.page.read_text("utf-8"), "utf-8")
    project.page.write_text("# Book\n\n```{toctree}\n:numbered:\n\nsection\n```\n", "utf-8")

    def offered():
        for kind in ("html", "notebooks"):
            code, output = project.build(kind)
            assert code == 0, output
        html = (project.folder / "_build" / "html" / "section.html").read_text("utf-8")
        notebook = (project.folder / "_build" / "notebooks" / "section.ipynb").read_text("utf-8")
        # Whether the page was executed in this build, or read from the cache.
        assert json.loads(notebook)["cells"][-1]["outputs"][0]["text"] == ["2\n"]
        return set(re.findall(r'href="([^"]*\.ipynb)"', html)), notebook

    # Where no repository is known, nothing leads to Colab.
    downloads = {"notebooks/section.ipynb", "notebooks/section-exercises.ipynb"}
    links, notebook = offered()
    assert links == downloads
    assert f'cnn_tf[notebooks,tensorflow]=={VERSION}\\"' in notebook
    assert "://" not in notebook

    project.environment |= FORK
    links, notebook = offered()
    branch = "https://colab.research.google.com/github/Someone/fork/blob/gh-pages/"
    assert links == downloads | {branch + link for link in downloads}
    assert "cnn_tf[notebooks,tensorflow] @ git+https://github.example/Someone/fork@0123abc" in (
        notebook
    )
    assert "https://someone.github.io/fork/section.html" in notebook
