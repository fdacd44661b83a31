"""The explorers of the package on the pages of the site.

What a cell puts out is complete, as a notebook needs it: the element, its data, and its modules. On
the site the modules are files that all pages share, and so are the data of an explorer, which are
fetched when it comes into sight, and its archive, which is fetched when the reader asks for it. Its
state stands in the address of the page.

So words of the text can set a state, by a link to that address:

    {explore}`set the stride to 2 <padding: strides=2,2>`

The explorer must be on the same page; of several settings, each follows a space. In a notebook the
words are plain.
"""

import base64
import hashlib
import re
import shutil
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import ReferenceRole
from sphinx.writers.html5 import HTML5Translator

_MODULES = Path(__file__).parents[2] / "cnn_tf" / "explorers" / "javascript"
_FOLDER = "javascript"  # within _static

_EXPLORER = re.compile(
    r'<cnn-(?P<name>[\w-]+) (?P<settings>settings="[^"]*")>(?P<figure>.*?)'
    r'(?:<script type="application/json">(?P<data>.*?)</script>)?'
    r'(?:<script type="application/gzip;base64">(?P<archive>.*?)</script>)?'
    r'</cnn-(?P=name)><script type="module">.*?</script>',
    re.DOTALL,
)

# Seen where no module is loaded: browsers load none from a file. `from-file.js` shows the first.
_FROM_FILE = (
    "The interactive figure needs this page to come from a web server: run <code>make serve</code> "
    "in the project, or <code>python3 -m http.server</code> in the folder of this page{online}."
)
_WITHOUT_SCRIPTS = "The interactive figure needs JavaScript, which is off here."
_NOTES = (
    f'<p class="explorer-note" hidden>{_FROM_FILE}</p>'
    f'<noscript><p class="explorer-note">{_WITHOUT_SCRIPTS}</p></noscript>'
)

# --- The elements ---------------------------------------------------------------------------------


def _copy_modules(app: Sphinx) -> None:
    """Put the modules where the pages look for them."""
    if app.builder.format == "html":
        folder = Path(app.outdir, "_static", _FOLDER)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(_MODULES, folder)


def _serve(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Let the explorers of a page use the site's files."""
    names = set()
    address = f"{app.config.html_baseurl}{app.builder.get_target_uri(page)}"
    online = f', or <a href="{address}">open it online</a>' if app.config.html_baseurl else ""
    notes = _NOTES.format(online=online)

    def linked(explorer: re.Match[str]) -> str:
        name = explorer["name"]
        attributes = f'id="explore-{name}" linked {explorer["settings"]}'
        if name in names:
            raise ValueError(f"{page}: two explorers {name!r} would share one place in the address")
        names.add(name)
        if data := explorer["data"]:
            file = f"_static/explorer-{page}-{name}.json"
            Path(app.outdir, file).write_text(data, encoding="utf-8")
            digest = hashlib.sha256(data.encode()).hexdigest()[:8]  # so that no cache holds it
            attributes += f' src="{context["pathto"](file, 1)}?v={digest}"'
        if packed := explorer["archive"]:
            # Not named .gz: some servers would tell the browser to unpack it on its way.
            file = f"_static/explorer-{page}-{name}.bin"
            content = base64.b64decode(packed)
            Path(app.outdir, file).write_bytes(content)
            check = hashlib.sha256(content)
            attributes += f' archive="{context["pathto"](file, 1)}?v={check.hexdigest()[:8]}"'
            attributes += f' integrity="sha256-{base64.b64encode(check.digest()).decode()}"'
        return f"<cnn-{name} {attributes}>{explorer['figure']}{notes}</cnn-{name}>"

    context["body"] = _EXPLORER.sub(linked, context.get("body", ""))
    for name in sorted(names):
        app.add_js_file(f"{_FOLDER}/{name}.js", type="module")
    if names:
        app.add_js_file("from-file.js", loading_method="defer")


# --- Words that set a state -----------------------------------------------------------------------

_logger = logging.getLogger(__name__)

_INTEGER, _NUMBER = r"-?\d+", r"-?\d+(\.\d+)?"
_PAIR, _ROW = f"{_INTEGER},{_INTEGER}", f"{_NUMBER}(,{_NUMBER})*"
# How a value is written, by the kind of its setting; the explorer itself knows the least and the
# most. What a module reads in a way of its own is only looked at for what an address can hold.
_FORMS = {
    "integer": _INTEGER,
    "number": _NUMBER,
    "pairOf": _PAIR,
    "matrixOf": f"{_ROW}(;{_ROW})*",
    "paddingKind": f"valid|same|{_PAIR}",
}
_ANY_FORM = r"[\w.,;~-]+"


class explore_link(nodes.inline):  # noqa: N801, as docutils calls its nodes
    """Words that set the state of an explorer of their page."""


class Explore(ReferenceRole):
    """The role of these words; it checks what they ask for against the explorer's module."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Make the link, or warn."""
        name, _, asked = self.target.partition(":")
        settings = [setting.partition("=")[::2] for setting in asked.split()]
        if problem := self._problem(name, settings):
            _logger.warning("explore: %s", problem, location=self.get_location())
        query = "&".join(f"{name}.{key}={value}" for key, value in settings)
        node = explore_link(self.rawtext, self.title, explorer=name)
        node["address"] = f"?{query}#explore-{name}"
        self.set_source_info(node)
        return [node], []

    def _problem(self, name: str, settings: list[tuple[str, str]]) -> str:
        if not (self.has_explicit_title and settings):
            return f"expected `words <explorer: setting=value>`, received {self.text!r}"
        module = _MODULES / f"{name}.js"
        if not module.is_file():
            return f"there is no explorer {name!r}"
        self.env.note_dependency(str(module))
        kinds = read_kinds(module)
        for key, value in settings:
            if key not in kinds:
                return f"{name!r} has no setting {key!r}, only {', '.join(kinds)}"
            if not re.fullmatch(_FORMS.get(kinds[key], _ANY_FORM), value):
                return f"{value!r} is no value for the setting {key!r} of {name!r}"
        return ""


def read_kinds(module: Path) -> dict[str, str]:
    """The settings that an explorer reads from an address, each with the word for its kind."""
    kinds = re.search(r"static kinds = \{(.*?)(?:\n  | )\};", module.read_text("utf-8"), re.DOTALL)
    return dict(re.findall(r"^(?: {4}| )(\w+): ([\w{]+)", kinds[1], re.MULTILINE)) if kinds else {}


def _check_page(app: Sphinx, doctree: nodes.document) -> None:
    """Warn of words for an explorer that is not on their page."""
    code = "\n".join(block.astext() for block in doctree.findall(nodes.literal_block))
    present = set(re.findall(r"\bexplore\(\"([\w-]+)\"", code))
    for node in doctree.findall(explore_link):
        if node["explorer"] not in present:
            message = "explore: this page has no explorer %r"
            _logger.warning(message, node["explorer"], location=node)


def _visit_html(self: HTML5Translator, node: explore_link) -> None:
    self.body.append(self.starttag(node, "a", "", CLASS="explore-link", href=node["address"]))


def _depart_html(self: HTML5Translator, node: explore_link) -> None:
    self.body.append("</a>")


def _only_words(self: nodes.NodeVisitor, node: explore_link) -> None:
    """Add nothing to the words."""


def setup(app: Sphinx) -> dict[str, bool]:
    """Add the role, and connect to what the HTML builder writes."""
    app.add_role("explore", Explore())
    words = (_only_words, _only_words)
    app.add_node(explore_link, html=(_visit_html, _depart_html), notebooks=words)
    app.connect("doctree-read", _check_page)
    app.connect("builder-inited", _copy_modules)
    app.connect("html-page-context", _serve)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
