"""The back of the book: API page, glossary and bibliography are complete, and fit the pages."""

import ast
import importlib.util
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).parent.parent
BOOK = ROOT / "book"
PAGES = sorted([*BOOK.glob("*.md"), *BOOK.glob("api/*.md")])
# What is nobody's to import: the command line, what is private, and the helpers of arguments.
INNER_MODULES = {"__main__", "arguments"}
PUBLIC = [*(ROOT / "cnn_tf").glob("[!_]*.py"), *(ROOT / "cnn_tf").glob("[!_]*/__init__.py")]
SOURCES = {(path.parent if path.parent.name != "cnn_tf" else path).stem: path for path in PUBLIC}
MODULES = sorted(set(SOURCES) - INNER_MODULES)


# --- API ------------------------------------------------------------------------------------------


def statements(module):
    return ast.parse(SOURCES[module].read_text("utf-8")).body


def exported():
    stub = ast.parse((ROOT / "cnn_tf" / "__init__.pyi").read_text("utf-8"))
    (names,) = (
        ast.literal_eval(statement.value)
        for statement in stub.body
        if isinstance(statement, ast.Assign) and statement.targets[0].id == "__all__"
    )
    return set(names)


def defined(module):
    """The public functions and classes of a module."""
    definitions = (ast.FunctionDef, ast.ClassDef)
    names = {it.name for it in statements(module) if isinstance(it, definitions)}
    return {name for name in names if not name.startswith("_")}


def constants(module):
    assigned = (it for it in statements(module) if isinstance(it, ast.Assign))
    names = {name.id for it in assigned for name in ast.walk(it.targets[0]) if hasattr(name, "id")}
    return {name for name in names if name.isupper() and not name.startswith("_")}


def described():
    """The full names of the entries of the API pages, in their order."""
    names = []
    for page in sorted((BOOK / "api").glob("*.md")):
        text = page.read_text("utf-8")
        for block in re.findall(r"^```\{api\}\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
            names += [f"cnn_tf.{line.partition(':')[0]}" for line in block.splitlines()]
        data = r"currentmodule:: (\S+)\n\.\. data:: ((?:[A-Z_]+\s+)+)"
        for module, given in re.findall(data, text):
            names += [f"{module}.{name}" for name in given.split()]
    return names


def test_every_exported_name_has_an_entry():
    assert {f"cnn_tf.{name}" for name in exported()} <= set(described())


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_of_a_module_has_an_entry(module):
    names = defined(module) | (constants(module) if module == "plots" else set())
    assert names, module
    missing = {f"cnn_tf.{module}.{name}" for name in names - exported()} - set(described())
    assert not missing


def test_every_entry_is_of_something_public_and_none_comes_twice():
    public = {f"cnn_tf.{name}" for name in exported()}
    for module in MODULES:
        public |= {f"cnn_tf.{module}.{name}" for name in defined(module) | constants(module)}
    assert set(described()) <= public
    assert len(described()) == len(set(described()))


# --- The extension that writes the page and links the code to it ----------------------------------


@pytest.fixture
def api():
    pytest.importorskip("sphinx")
    spec = importlib.util.spec_from_file_location("api", BOOK / "_extensions" / "api.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_mathematics_of_a_docstring_becomes_rst(api):
    lines = ["A $k$-th of $a_{i,\\,j}$.", "", "$$x", "  + \\frac{1}{2}$$", "", "    $$y$$", "End."]
    api._mathematics(None, "function", "f", None, None, lines)
    assert lines == [
        *("A :math:`k`-th of :math:`a_{i,\\,j}`.", ""),
        *(".. math::", "", "   x", "   + \\frac{1}{2}", "", ""),
        *("    .. math::", "", "       y", "", "End."),
    ]


def test_a_layer_has_the_signature_of_its_own_init(api):
    class Layer:
        def __init__(self, size: int, *, strides=(1, 1), **kwargs):
            pass

    hidden = "(*args, **kwargs)"
    found = api._signature(None, "class", "Layer", Layer, None, hidden, "")
    assert found == ("(size, *, strides=(1, 1), **kwargs)", "")
    assert api._signature(None, "class", "Layer", Layer, None, "(size)", "") is None
    assert api._signature(None, "function", "f", lambda *args: 0, None, hidden, "") is None


CODE = """
import cnn_tf
import keras
from cnn_tf import corr2d as correlate, fit
from cnn_tf.functional import conv2d, pad
correlate(X); cnn_tf.fit(model).pad; model.fit(data); g().pad
np.pad(x, pad=1, fit = 2); conv2d(X); keras.fit; "fit"  # fit
"""


def test_in_code_what_was_imported_from_the_package_is_a_link(api):
    nodes = pytest.importorskip("docutils.nodes")
    pygments = pytest.importorskip("pygments")
    formatter = pygments.formatters.get_formatter_by_name("html")
    lexer = pygments.lexers.get_lexer_by_name("ipython3")
    names = ("cnn_tf.corr2d", "cnn_tf.conv2d", "cnn_tf.fit", "cnn_tf.functional.pad")
    objects = {
        name: SimpleNamespace(docname="api", node_id=name, objtype="function") for name in names
    }
    app = SimpleNamespace(
        env=SimpleNamespace(
            domains=SimpleNamespace(python_domain=SimpleNamespace(objects=objects))
        ),
        builder=SimpleNamespace(get_relative_uri=lambda page, target: f"{target}.html"),
    )
    doctree = nodes.container("", nodes.literal_block(CODE, CODE), nodes.literal_block("", "a b"))
    before = pygments.highlight(CODE, lexer, formatter)
    context = {"body": f"{before}<p>fit</p>"}
    api._link_code(app, "page", "page.html", context, doctree)

    links = re.findall(r'<a class="api" href="(.*?)" title="(.*?)">(.*?)</a>', context["body"])
    found = [(href, name, re.sub("<.*?>", "", text)) for href, name, text in links]
    assert all(href == f"api.html#{name}" for href, name, _ in found)
    assert [(name.removeprefix("cnn_tf."), text) for _, name, text in found] == [
        *(("corr2d", "correlate"), ("fit", "fit")),  # the import
        *(("conv2d", "conv2d"), ("functional.pad", "pad")),
        *(("corr2d", "correlate"), ("fit", "cnn_tf.fit"), ("conv2d", "conv2d")),  # the use
    ]
    assert re.sub("</?a.*?>", "", context["body"]) == f"{before}<p>fit</p>"


# --- Glossary -------------------------------------------------------------------------------------


def glossary():
    """Each term with the lines of its definition."""
    text = (BOOK / "glossary.md").read_text("utf-8")
    block = re.search(r"^```\{glossary\}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)[1]
    entries, terms = [], []
    for line in block.splitlines():
        if line.startswith("  "):
            entries[-1][1].append(line.strip())
        elif line:
            entries.append((line, []))
            terms.append(line)
    assert len(terms) == len(set(terms))
    return dict(entries)


def test_the_glossary_is_in_alphabetical_order():
    terms = list(glossary())
    assert len(terms) > 50
    assert terms == sorted(terms, key=str.casefold)


@pytest.mark.parametrize(("term", "definition"), glossary().items())
def test_a_definition_is_one_to_three_sentences_of_a_line_each(term, definition):
    assert 1 <= len(definition) <= 3
    assert all(re.fullmatch(r"\S.*\.", sentence) for sentence in definition)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_every_term_that_a_page_links_is_in_the_glossary(page):
    used = re.findall(r"\{term\}`(?:[^`<]*<)?([^`<>]+)>?`", page.read_text("utf-8"))
    # As in Sphinx, a term may stand at the beginning of a sentence.
    known = set(map(str.casefold, glossary()))
    assert {" ".join(term.split()).casefold() for term in used} <= known


# --- Bibliography ---------------------------------------------------------------------------------


def references():
    """Each work's key with its fields."""
    text = (BOOK / "references.bib").read_text("utf-8")
    entries = re.findall(r"^@\w+\{(\S+),\n(.*?)^\}$", text, re.DOTALL | re.MULTILINE)
    assert len(entries) == text.count("@")
    keys = [key for key, _ in entries]
    assert len(keys) == len(set(keys))
    field = re.compile(r"(?:^| )(\w+) = \{(.*?)\}(?=,\s|\n)", re.MULTILINE)
    return {key: dict(field.findall(body)) for key, body in entries}


@pytest.mark.parametrize(("key", "fields"), references().items())
def test_a_work_has_an_author_a_title_a_year_and_where_to_find_it(key, fields):
    assert {"author", "title", "year"} <= set(fields)
    assert {"doi", "eprint", "isbn", "url", "publisher"} & set(fields)
    assert all(value.strip() for value in fields.values())
    assert re.fullmatch(r"[a-z]+\d{4}[a-z]?", key)
    assert fields["year"] == key.rstrip("abc")[-4:]
    assert re.fullmatch(r"10\.\d{4,}/\S+", fields.get("doi", "10.1000/none"))
    assert re.fullmatch(r"\d{4}\.\d{4,5}", fields.get("eprint", "0000.0000"))


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_every_work_that_a_page_cites_is_in_the_bibliography(page):
    cited = re.findall(r"\{cite[:\w]*\}`([^`]+)`", page.read_text("utf-8"))
    keys = {key.strip() for keys in cited for key in keys.split(",")}
    assert keys <= set(references())
