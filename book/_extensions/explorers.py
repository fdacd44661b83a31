"""The explorers of the package on the pages of the site.

What a cell puts out is complete, as a notebook needs it: the element, its data, and its modules. On
the site the modules are files that all pages share, and so are the data of an explorer, which are
fetched when it comes into sight. Its state stands in the address of the page.
"""

import hashlib
import re
import shutil
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

_MODULES = Path(__file__).parents[2] / "cnn_tf" / "explorers" / "javascript"
_FOLDER = "javascript"  # within _static

_EXPLORER = re.compile(
    r'<cnn-(?P<name>[\w-]+) (?P<settings>settings="[^"]*")>(?P<figure>.*?)'
    r'(?:<script type="application/json">(?P<data>.*?)</script>)?'
    r'</cnn-(?P=name)><script type="module">.*?</script>',
    re.DOTALL,
)


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
        return f"<cnn-{name} {attributes}>{explorer['figure']}</cnn-{name}>"

    context["body"] = _EXPLORER.sub(linked, context.get("body", ""))
    for name in sorted(names):
        app.add_js_file(f"{_FOLDER}/{name}.js", type="module")


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to what the HTML builder writes."""
    app.connect("builder-inited", _copy_modules)
    app.connect("html-page-context", _serve)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
