"""Each executed page as two Jupyter notebooks that stand alone, in Jupyter as well as in Colab.

`sphinx -b notebooks` writes `page.ipynb`, with the worked solutions and with what the cells put out
when the site was built, and `page-exercises.ipynb`, for students, without both. The prose becomes
Markdown by sphinx-markdown-builder; what that does not know is here: where a cell ends, exercises,
folded answers, the numbers of figures and equations. Links lead to the site.
"""

from __future__ import annotations

import base64
import json
import os
import re
import zlib
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from pprint import pformat
from typing import Any

import nbformat
from docutils import nodes
from docutils.utils import new_document
from jupyter_cache import get_cache
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from questions import (
    LETTERS,
    describe,
    question,
    question_choice,
    question_field,
    question_hint,
)
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.math import get_node_equation_number
from sphinx_exercise.nodes import is_exercise_node, is_solution_node
from sphinx_markdown_builder.builder import MarkdownBuilder
from sphinx_markdown_builder.contexts import (
    IndentContext,
    SubContext,
    SubContextParams,
    TitleContext,
    WrappedContext,
)
from sphinx_markdown_builder.translator import MarkdownTranslator

_FOLDER = "notebooks"  # beside the pages of the site
_QUESTIONS = "questions.json"  # of all pages, in that folder; and of a page, within a notebook
_SUFFIXES = {"": True, "-exercises": False}  # of the two notebooks, and whether they have solutions

# How the translator says where cells begin: a code cell by its number on the page, a Markdown cell,
# and one whose heading folds all that follows. No text has these characters.
_MARK = "\x02{}\x03"
_PARTS = re.compile(r"\x02(.*?)\x03")
_PARAGRAPH = SubContextParams(prefix_eol=2, suffix_eol=2)
# Of an explorer, what is seen before its cell has run: the static figure.
_EXPLORER = re.compile(r"<cnn-[^>]*>(<div class='figure'>.*?</div>).*</script>", re.DOTALL)
_DRAWING = re.compile(r'(<svg [^>]*aria-label="([^"]*)" style="width: (\d+)px.*?</svg>)', re.DOTALL)

_INSTALL = """\
# Where the package is missing, as in Colab, install it. TensorFlow and Keras stay as they are.
import importlib.util
import os

if importlib.util.find_spec("cnn_tf") is None:
    %pip install --quiet "{requirement}"

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # without TensorFlow's log"""

# Newer GPUs round what they multiply to 10 bits, TF32, if they are let; `make shake` shows how many
# checks that would break.
DEVICE = """\
# What computes: a GPU where there is one (in Colab: Runtime, Change runtime type).
import tensorflow as tf
from cnn_tf.training import device_name, explain_device

tf.config.experimental.enable_tensor_float_32_execution(False)  # products in full precision
print(f"{device_name()}: {explain_device()}")"""

_FILES = """\
# The questions of this page, and the records of trainings that it reads, packed.
import base64
import os
import tempfile
import zlib
from pathlib import Path

from cnn_tf.questions import check

packed = {packed}
files = tempfile.TemporaryDirectory()  # until the kernel stops
for name, text in packed.items():
    content = zlib.decompress(base64.b64decode(text))
    Path(files.name, name).write_bytes(content)
os.environ["CNN_TF_RECORDS"] = files.name
os.environ["CNN_TF_QUESTIONS"] = str(Path(files.name, "{questions}"))"""
_READS_RECORD = re.compile(r"read_record\(\"([\w-]+)\"\)")


class NotebookTranslator(MarkdownTranslator):
    """Markdown for notebooks, with marks where the cells are."""

    builder: NotebookBuilder

    def _mark(self, what: object) -> None:
        self.add(_MARK.format(what), prefix_eol=2, suffix_eol=2)

    # Cells

    def visit_container(self, node: nodes.container) -> None:
        """Leave a code cell to the executed page; keep the captions of its figures."""
        if node.get("nb_element") == "cell_code":
            self._mark(node["cell_index"])
            for figure in node.findall(nodes.figure):
                figure.next_node(nodes.caption).walkabout(self)
            raise nodes.SkipNode

    def depart_container(self, node: nodes.container) -> None:
        """Nothing is left to do."""

    # Titles and numbers

    def visit_title(self, node: nodes.title) -> None:
        """Begin a cell with a heading, of a section, an exercise or a solution; name a box."""
        box = node.parent
        if isinstance(box, nodes.section):
            self._mark("text")
            self._push_context(TitleContext(self.status.section_level))
            anchor = f"#{box['ids'][0]}" if self.status.section_level > 1 else ""
            numbers = self.builder.env.toc_secnumbers[self.builder.current_doc_name]
            if number := numbers.get(anchor):
                self.add(f"{'.'.join(map(str, number))} ")
        elif is_exercise_node(box):
            self._mark("text")
            self._push_context(TitleContext(3))
            self.add(self._numbered("exercise", box))
        elif is_solution_node(box):
            self._mark("solution")
            self._push_context(TitleContext(4))
        elif box.get("collapsible"):
            self._push_context(WrappedContext("<summary>", "</summary>", params=_PARAGRAPH))
        else:
            self._push_context(WrappedContext("**", params=_PARAGRAPH))

    def depart_title(self, node: nodes.title) -> None:
        """Close what `visit_title` has opened; a heading that folds is alone in its cell."""
        self._pop_context()
        if is_solution_node(node.parent):
            self._mark("text")

    def _numbered(self, kind: str, node: nodes.Element) -> str:
        number = ".".join(map(str, self.builder.fignumbers[kind][node["ids"][0]]))
        return str(self.config.numfig_format[kind] % number)

    def visit_caption(self, node: nodes.caption) -> None:
        """Write the number of the figure before its caption."""
        self._push_context(SubContext())
        self.add(f"**{self._numbered('figure', node.parent)}** ")

    def depart_caption(self, node: nodes.caption) -> None:
        """Close what `visit_caption` has opened."""
        self._pop_context()

    def visit_math_block(self, node: nodes.math_block) -> None:
        """Write a displayed formula, with its number."""
        tag = rf" \tag{{{get_node_equation_number(self, node)}}}" if node["number"] else ""
        self.add(f"$$\n{node.astext().strip()}{tag}\n$$", prefix_eol=2, suffix_eol=2)
        raise nodes.SkipNode

    # Boxes

    def visit_admonition(self, node: nodes.admonition) -> None:
        """Fold a box that folds on the site; indent the others."""
        if node.get("collapsible"):
            self.add("<details>", prefix_eol=2, suffix_eol=1)
        else:
            self._push_context(IndentContext("> ", empty=True))

    def depart_admonition(self, node: nodes.admonition) -> None:
        """Close what `visit_admonition` has opened."""
        if node.get("collapsible"):
            self.add("</details>", prefix_eol=2, suffix_eol=2)
        else:
            self._pop_context()
            self.ensure_eol(2)

    def visit_exercise_node(self, node: nodes.Element) -> None:
        """Leave the rest to the title."""

    def depart_exercise_node(self, node: nodes.Element) -> None:
        """Mark where the student's own answer goes."""
        self._mark("answer")

    visit_exercise_enumerable_node = visit_exercise_node
    depart_exercise_enumerable_node = depart_exercise_node

    def visit_solution_node(self, node: nodes.Element) -> None:
        """Leave the rest to the title."""

    def depart_solution_node(self, node: nodes.Element) -> None:
        """End what the title's heading folds."""
        self._mark("end")

    # Questions

    def visit_question(self, node: question) -> None:
        """Begin a cell with the number of the question."""
        self._mark("text")
        self.add(f"**Question {node['number']}.**", prefix_eol=2, suffix_eol=2)

    def depart_question(self, node: question) -> None:
        """Nothing is left to do."""

    def visit_question_field(self, node: question_field) -> None:
        """List what there is to choose from."""

    def depart_question_field(self, node: question_field) -> None:
        """Mark where the answer is checked; what comes then is its explanation."""
        self._mark(f"check {node['name']}")

    def visit_question_choice(self, node: question_choice) -> None:
        """Write its letter before a choice."""
        self._push_context(SubContext(_PARAGRAPH))
        self.add(f"**{LETTERS[node['value']]}** ")

    def depart_question_choice(self, node: question_choice) -> None:
        """Close what `visit_question_choice` has opened."""
        self._pop_context()

    def visit_question_hint(self, node: question_hint) -> None:
        """Leave hints to the check."""
        raise nodes.SkipNode

    # Links

    def visit_reference(self, node: nodes.reference) -> None:
        """Link to the site; where it has no address, keep only the words."""
        uri = node.get("refuri", "")
        if "refid" in node:
            page = self.builder.get_target_uri(self.builder.current_doc_name)
            uri = f"{page}#{node['refid']}"
        if uri.startswith(("http:", "https:")):
            self._push_context(WrappedContext("[", f"]({uri})"))
        else:
            self._push_context(SubContext())

    def depart_reference(self, node: nodes.reference) -> None:
        """Close what `visit_reference` has opened."""
        self._pop_context()

    def visit_target(self, node: nodes.target) -> None:
        """Leave anchors away: links lead to the site."""


class NotebookBuilder(MarkdownBuilder):
    """Write the notebooks of the sections."""

    name = "notebooks"
    format = "notebooks"
    epilog = "The notebooks are in %(outdir)s."
    default_translator_class = NotebookTranslator
    allow_parallel = False  # the questions of all pages go into one file

    def init(self) -> None:
        """Begin without a question."""
        super().init()
        self.questions: dict[str, Any] = {}

    def get_target_uri(self, docname: str, typ: str | None = None) -> str:
        """Give the address of a page of the site."""
        return f"{self.config.html_baseurl}{docname}.html"

    def get_relative_uri(self, from_: str, to: str, typ: str | None = None) -> str:
        """Give the same: a notebook lies anywhere."""
        return self.get_target_uri(to)

    def get_outdated_docs(self) -> Iterator[str]:
        """Give all of them if anything that they are made of is newer than one of them.

        One may depend on all the pages: they hold the figures and sections that it refers to.
        """
        pages = _sections(self.env)
        sources = [
            Path(__file__),
            Path(self.confdir, "conf.py"),
            *Path(self.doctreedir).glob("**/*.doctree"),
            *Path(os.environ["CNN_TF_RECORDS"]).glob("*.json"),
        ]
        changed = max(path.stat().st_mtime for path in sources)
        made = [
            Path(self.outdir, f"{page}{suffix}.ipynb") for page in pages for suffix in _SUFFIXES
        ]
        made.append(Path(self.outdir, _QUESTIONS))
        if any(not path.exists() or path.stat().st_mtime < changed for path in made):
            yield from pages

    def write_doc(self, docname: str, doctree: nodes.document) -> None:
        """Write the two notebooks of a page, if it is a section."""
        if docname not in _sections(self.env):
            return
        executed = Path(self.doctreedir).parent / "jupyter_execute" / f"{docname}.ipynb"
        self.current_doc_name = docname
        self.fignumbers = self.env.toc_fignumbers.get(docname, {})  # where Sphinx looks for them
        self.current_doctree = doctree
        questions = describe(doctree, self._render)
        self.questions |= questions
        translator = self.create_translator(doctree, self)
        doctree.walkabout(translator)
        pieces = _PARTS.split(translator.astext())
        parts = list(zip(["text", *pieces[1::2]], map(str.strip, pieces[::2]), strict=True))
        # Of a page that was not executed in this build, only the cache has the outputs.
        cache = get_cache(self.config.nb_execution_cache_path)
        _, page = cache.merge_match_into_notebook(nbformat.read(executed, nbformat.NO_CONVERT))
        for suffix, solved in _SUFFIXES.items():
            cells = list(_cells(parts, page, solved))
            title = 1 + next(i for i, cell in enumerate(cells) if cell.source.startswith("# "))
            cells[title:title] = [*self._first_cells(docname), self._files(page, questions)]
            _write(Path(self.outdir, f"{docname}{suffix}.ipynb"), cells)

    def finish(self) -> None:
        """Write the questions of all pages, for courses; a notebook needs no other file."""
        if self.questions:
            text = json.dumps(self.questions, indent=1, ensure_ascii=False)
            Path(self.outdir, _QUESTIONS).write_text(text + "\n", encoding="utf-8")

    def _first_cells(self, docname: str) -> list[NotebookNode]:
        """Say where this comes from; install the package; name the device."""
        project, version = self.config.project, self.config.version
        extras = f"{project}[notebooks,tensorflow]"
        requirement = self.config.notebooks_requirement
        source = f"{extras} @ {requirement}" if requirement else f"{extras}=={version}"
        words = f"A page of *{self.config.html_title}*, version {version}, as a notebook."
        if self.config.html_baseurl:
            words += f" The page itself: {self.get_target_uri(docname)}"
        return [
            new_markdown_cell(words),
            new_code_cell(_INSTALL.format(requirement=source)),
            new_code_cell(DEVICE),
        ]

    def _files(self, page: NotebookNode, questions: dict[str, Any]) -> NotebookNode:
        """Bring along the records and questions of a page, for a notebook stands alone."""
        names = sorted({name for cell in page.cells for name in _READS_RECORD.findall(cell.source)})
        records = Path(os.environ["CNN_TF_RECORDS"])
        files = {f"{name}.json": (records / f"{name}.json").read_bytes() for name in names}
        files[_QUESTIONS] = json.dumps(questions).encode()
        packed = {
            name: base64.b64encode(zlib.compress(content, 9)).decode()
            for name, content in files.items()
        }
        source = _FILES.format(packed=pformat(packed, width=100), questions=_QUESTIONS)
        hidden = {"jupyter": {"source_hidden": True}, "cellView": "form"}
        return new_code_cell(source, metadata=hidden)

    def _render(self, parts: list[nodes.Node]) -> str:
        """Give parts of a page as Markdown by themselves."""
        document = new_document("", self.current_doctree.settings)
        document += [part.deepcopy() for part in parts]
        translator = self.create_translator(document, self)
        document.walkabout(translator)
        return str(translator.astext()).strip()


def _sections(env: BuildEnvironment) -> list[str]:
    """Name the pages that are numbered: the sections of the book."""
    return [page for page, numbers in env.toc_secnumbers.items() if numbers.get("")]


def _cells(
    parts: list[tuple[str, str]], page: NotebookNode, solved: bool
) -> Iterator[NotebookNode]:
    """Make cells of the translator's parts: what a mark announces, and the text after it."""
    in_solution = False
    for mark, text in parts:
        in_solution = mark == "solution" or (in_solution and mark != "end")
        if in_solution and not solved:
            continue
        if mark.isdigit():
            yield _code_cell(page.cells[int(mark)], solved)
        elif mark == "answer" and not solved:
            yield new_code_cell("# Your answer\n")
        elif mark.startswith("check "):
            yield new_code_cell(f'check("{mark.removeprefix("check ")}", ...)')
        if text:
            folds = {"jp-MarkdownHeadingCollapsed": True} if mark == "solution" else {}
            yield new_markdown_cell(text, metadata=folds)


def _code_cell(cell: NotebookNode, with_outputs: bool) -> NotebookNode:
    """Copy a cell; hide in Jupyter and in Colab the code that the page hides."""
    hidden = "hide-input" in cell.metadata.get("tags", ())
    metadata: dict[str, Any] = (
        {"jupyter": {"source_hidden": True}, "cellView": "form"} if hidden else {}
    )
    copy = new_code_cell(cell.source, metadata=metadata)
    if with_outputs:
        copy["execution_count"], copy["outputs"] = cell.execution_count, deepcopy(cell.outputs)
        for output in copy.outputs:
            if "text/html" in output.get("data", ()):
                html = _EXPLORER.sub(r"\1", output.data["text/html"])
                output.data["text/html"] = _DRAWING.sub(_embed, html)
    return copy


def _embed(drawing: re.Match[str]) -> str:
    """Make a picture of an inline drawing, which Jupyter removes from what it has not run itself.

    The picture does not know whether the page around it is dark: it brings white paper along.
    """
    svg, alt, width = drawing.groups()
    paper = 'style="background: white; font-family: sans-serif; '
    data = base64.b64encode(svg.replace('style="', paper, 1).encode()).decode()
    return f'<img alt="{alt}" width="{width}" src="data:image/svg+xml;base64,{data}">'


def _write(path: Path, cells: list[NotebookNode]) -> None:
    for number, cell in enumerate(cells):
        cell["id"] = cell.metadata["id"] = f"cell-{number}"  # Colab reads the second
    folded = [cell.id for cell in cells if "jp-MarkdownHeadingCollapsed" in cell.metadata]
    colab = {"name": path.name, "collapsed_sections": folded}
    python = {
        "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
        "language_info": {"name": "python"},
    }
    notebook = new_notebook(cells=cells, metadata={**python, "colab": colab})
    nbformat.validate(notebook)
    nbformat.write(notebook, path)


def _offer(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Put links to its notebooks under the title of a section."""
    if page not in _sections(app.env):
        return
    colab = f"https://colab.research.google.com/github/{app.config.notebooks_repository}/blob"
    items = []
    for suffix, title, words in (
        ("", "As a notebook", ""),
        ("-exercises", "Without solutions and outputs", ", without solutions and outputs"),
    ):
        path = f"{_FOLDER}/{page}{suffix}.ipynb"
        links = [(context["pathto"](path, 1), "download", " download")]
        if app.config.notebooks_repository:
            links.insert(0, (f"{colab}/{app.config.notebooks_branch}/{path}", "open in Colab", ""))
        described = (
            f'<a href="{address}" aria-label="{does}{words}"{mark}>{does}</a>'
            for address, does, mark in links
        )
        items.append(f"<li>{title}: {', '.join(described)}</li>")
    offer = f'<ul class="notebooks no-search" aria-label="Notebooks">{"".join(items)}</ul>'
    context["body"] = context["body"].replace("</h1>", f"</h1>\n{offer}", 1)


def setup(app: Sphinx) -> dict[str, bool]:
    """Add the builder, and what it must know of the repository."""
    app.setup_extension("sphinx_markdown_builder")
    app.add_config_value("notebooks_repository", "", "html", str)
    app.add_config_value("notebooks_branch", "gh-pages", "html", str)
    app.add_config_value("notebooks_requirement", "", "env", str)
    app.add_builder(NotebookBuilder)
    app.connect("html-page-context", _offer)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
