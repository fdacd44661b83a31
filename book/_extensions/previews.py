"""What a reference points at, shown where it stands: a term, a work, a figure or an equation.

A page brings along what it refers to on other pages, above all entries of the glossary and of the
bibliography, in a `template`, which is not drawn. `previews.js` shows them when a reader points at
a reference, taps it or reaches it by the keyboard, and copies figures and equations of the same
page from the page itself.
"""

import copy
import functools
from pathlib import Path

from bs4 import BeautifulSoup, Tag
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

_SOURCES = ("glossary", "bibliography")


def add_previews(soup: BeautifulSoup, page: Path) -> None:
    """Put what a page refers to on other pages at its end."""
    entries = soup.new_tag("template", id="previews")
    for address in dict.fromkeys(link["href"] for link in soup.select("article a.internal")):
        path, _, name = str(address).partition("#")
        known = Path(path).stem in _SOURCES or name.startswith(("equation-", "fig-"))
        if path and name and known:
            source = (page.parent / path).resolve()
            entry = soup.new_tag("div", attrs={"data-for": address})
            entry.extend(_entry(_read(source, source.stat().st_mtime_ns), name))
            entries.append(entry)
    if entries.contents:
        soup.body.append(entries)


@functools.cache
def _read(source: Path, changed: int) -> BeautifulSoup:
    return BeautifulSoup(source.read_text("utf-8"), "html.parser")


def _entry(soup: BeautifulSoup, name: str) -> list[Tag]:
    """What is shown of a target, with a term in front of its own, and no link or anchor in it."""
    target = soup.find(id=name)
    body = copy.copy(target.find_next_sibling("dd") if target.name == "dt" else target)
    for link in body.select("a"):
        link.unwrap()
    parts = body.select("p, svg[role=img], figcaption, math")
    parts = [part for part in parts if not part.find_parent(["p", "figcaption"])]
    if target.name == "dt":
        term = soup.new_tag("strong")
        term.string = next(target.stripped_strings)
        parts[0].insert(0, term, ". ")
    return [part.extract() for part in parts]


def _outdated(
    app: Sphinx, env: BuildEnvironment, added: set[str], changed: set[str], removed: set[str]
) -> set[str]:
    """With a new glossary or bibliography, all pages have old previews."""
    return env.found_docs if (added | changed) & set(_SOURCES) else set()


def setup(app: Sphinx) -> dict[str, bool]:
    """Add the script, and find the pages to write again. `finish` puts the entries in."""
    app.add_js_file("previews.js", loading_method="defer")
    app.connect("env-get-outdated", _outdated)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
