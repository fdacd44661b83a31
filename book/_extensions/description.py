"""The description of a page, for search engines: its first paragraph."""

from html import escape
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

_LONGEST = 160  # what search engines show


def _describe(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Put the first paragraph into the head of the page."""
    first = next(doctree.findall(nodes.paragraph), None) if doctree else None
    if first:
        text = " ".join(first.astext().split())
        if len(text) > _LONGEST:
            text = text[:_LONGEST].rpartition(" ")[0] + " …"
        context["metatags"] += f'\n    <meta name="description" content="{escape(text)}">'


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to what the HTML builder writes."""
    app.connect("html-page-context", _describe)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
