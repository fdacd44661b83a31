"""The API pages from the docstrings, and links to them from the code of all pages.

Docstrings hold Markdown's mathematics, which autodoc takes for RST, and Keras hides a layer's
signature behind its own `__new__`. Where the code of a page uses a name that it has imported from
the package, the name becomes a link; this is done on the finished HTML, because only Pygments knows
what is a name.
"""

import ast
import importlib
import inspect
import re
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.inspect import stringify_signature
from sphinx.util.nodes import make_refnode

# --- Pages ---------------------------------------------------------------------------------------


class Api(SphinxDirective):
    """A table of names, one a line as `layers.Conv2D`, then the docstring of each.

    Behind a class and a colon come the methods that are shown, or `*` for all.
    """

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Write what autosummary and autodoc understand, and let them do it."""
        entries = [(f"cnn_tf.{name}", methods.strip()) for name, _, methods in self._lines()]
        lines = ["```{eval-rst}", ".. autosummary::", "   :nosignatures:", ""]
        details = []
        for name, methods in entries:
            module, _, last = name.rpartition(".")
            found = getattr(importlib.import_module(module), last)
            if found.__name__ == last:  # of another name of the same, autosummary says nothing
                lines.append(f"   {name}")
            kind = "autoclass" if inspect.isclass(found) else "autofunction"
            details += ["", f".. {kind}:: {name}"]
            if methods:
                details.append(f"   :members: {methods.removesuffix('*')}".rstrip())
        text = StringList([*lines, *details, "```"], source=self.get_source_info()[0])
        holder = nodes.container()
        self.state.nested_parse(text, self.content_offset, holder)
        return holder.children

    def _lines(self) -> list[tuple[str, str, str]]:
        return [line.partition(":") for line in self.content if line]


# --- Docstrings -----------------------------------------------------------------------------------


def _mathematics(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]
) -> None:
    """Turn $$...$$ and $...$ into RST."""

    def block(match: re.Match[str]) -> str:
        indent, formula = match.groups()
        body = "".join(f"{indent}   {line.strip()}\n" for line in formula.strip().splitlines())
        return f"{indent}.. math::\n\n{body}"

    text = re.sub(r"^( *)\$\$(.+?)\$\$$", block, "\n".join(lines), flags=re.M | re.S)
    lines[:] = re.sub(r"\$([^$`]+)\$", r":math:`\1`", text).splitlines()


def _signature(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, signature: str, returns: str
) -> tuple[str, str] | None:
    """Take the signature of a layer from its own `__init__`."""
    if signature != "(*args, **kwargs)" or not inspect.isclass(obj):
        return None
    found = inspect.signature(obj.__init__)
    found = found.replace(parameters=list(found.parameters.values())[1:])  # without self
    return stringify_signature(found, show_annotation=False, show_return_annotation=False), ""


def _link_words(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Link the words in a docstring that are names of the package, apart from its own."""
    entries = {name.rpartition(".")[2]: name for name in _entries(app)}
    for description in doctree.findall(addnodes.desc):
        own = description[0].get("fullname")
        for word in list(description.findall(nodes.literal)):
            name = entries.get(word.astext().removesuffix("()").rpartition(".")[2], "")
            if name.endswith(word.astext()) and not name.endswith(f".{own}"):
                target, anchor = _entries(app)[name]
                link = make_refnode(app.builder, page, target, anchor, word.deepcopy(), name)
                word.replace_self(link)


# --- Code -----------------------------------------------------------------------------------------

# A chain of names with dots between them, as Pygments writes it: not an attribute of something
# else, and not a name that is given a value, such as the argument `pad` in `f(x, pad=1)`.
_NAME, _DOT = r'<span class="n">(\w+)</span>', r'<span class="o">\.</span>'
_VALUE = r'(?:\s|<span class="w">\s+</span>)*<span class="o">=</span>'
_CHAIN = re.compile(f"(?<!{_DOT}){_NAME}(?:{_DOT}{_NAME})*(?!{_VALUE})")
_CODE = re.compile(r"(?<=<pre>).*?(?=</pre>)", re.S)


def _entries(app: Sphinx) -> dict[str, tuple[str, str]]:
    """Page and anchor of what the API pages describe, by its full name."""
    return {
        name: (entry.docname, entry.node_id)
        for name, entry in app.env.domains.python_domain.objects.items()
        if entry.objtype in ("function", "class", "data")
    }


def _imported(doctree: nodes.document) -> dict[str, str]:
    """The full names of what the code of a page has imported, by the names it has there."""
    names = {}
    for code in doctree.findall(nodes.literal_block):
        try:
            statements = list(ast.walk(ast.parse(code.astext())))
        except SyntaxError:  # an output, or another language
            continue
        for statement in statements:
            if isinstance(statement, ast.ImportFrom):
                for it in statement.names:
                    names[it.asname or it.name] = f"{statement.module}.{it.name}"
            elif isinstance(statement, ast.Import):
                for it in statement.names:
                    full = it.name if it.asname else it.name.partition(".")[0]
                    names[it.asname or full] = full
    return names


def _link_code(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Make links of the names that a page has imported from the package."""
    names = _imported(doctree) if doctree else {}
    if not any(full.startswith("cnn_tf") for full in names.values()):
        return
    entries = _entries(app)

    def link(match: re.Match[str]) -> str:
        words = list(re.finditer(_NAME, match[0]))
        full = names.get(words[0][1], "")
        for i, word in enumerate(words):
            full += f".{word[1]}" if i else ""
            # The public names are described where one imports them from, not where they are made.
            name = next((n for n in (full, f"cnn_tf.{word[1]}") if n in entries), None)
            if name and full.startswith("cnn_tf"):
                target, anchor = entries[name]
                href = f"{app.builder.get_relative_uri(page, target)}#{anchor}"
                chain, rest = match[0][: word.end()], match[0][word.end() :]
                return f'<a class="api" href="{href}" title="{name}">{chain}</a>{rest}'
        return match[0]

    context["body"] = _CODE.sub(lambda code: _CHAIN.sub(link, code[0]), context["body"])


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to what autodoc reads and to what the HTML builder writes."""
    app.setup_extension("sphinx.ext.autodoc")
    app.setup_extension("sphinx.ext.autosummary")
    app.add_directive("api", Api)
    app.connect("autodoc-process-docstring", _mathematics)
    app.connect("autodoc-process-signature", _signature)
    app.connect("doctree-resolved", _link_words)
    app.connect("html-page-context", _link_code)
    app.add_css_file("reference.css")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
