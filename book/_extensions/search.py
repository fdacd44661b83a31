"""The search of the site finds prose, and shows prose.

Code and what it prints are left out of the index by Sphinx's class `no-search`, and so is LaTeX.
`search.js` leaves the same out of the excerpts on the page of results, which are made in the
browser.
"""

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

# Drawings are HTML: of them, the words on the axes would be found. Captions are prose.
_LEFT_OUT = (nodes.literal_block, nodes.doctest_block, nodes.raw, nodes.math, nodes.math_block)


def _mark(app: Sphinx, doctree: nodes.document) -> None:
    """Mark what is no prose."""
    for node in doctree.findall(lambda node: isinstance(node, _LEFT_OUT)):
        node["classes"].append("no-search")


def _add_script(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Add the script to the page of results, after Sphinx's own, which stands at the page's end."""
    if page == "search":
        app.add_js_file("search.js", loading_method="defer")


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to what has been read, and to what the HTML builder writes."""
    app.connect("doctree-read", _mark)
    app.connect("html-page-context", _add_script)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
