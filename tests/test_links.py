"""Links within the project lead somewhere: read from the sources, in a moment (`make check`).

The build finds them too, with what autodoc and the glossary define; links to other sites are
opened by `make links`.
"""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BOOK = ROOT / "book"
PAGES = sorted([*BOOK.glob("*.md"), *BOOK.glob("api/*.md")])
TEXTS = [*sorted(ROOT.glob("*.md")), *PAGES]

FENCED = re.compile(r"^(```+|:::+)\{code-cell\}.*?^\1$|^```\w*\n.*?^```$", re.DOTALL | re.MULTILINE)
LABEL = re.compile(r"^:label: (\S+)$|^    name: (fig-\S+)$|^\(([\w-]+)\)=$", re.MULTILINE)
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def prose(path):
    return FENCED.sub("", path.read_text("utf-8"))


def labels(path):
    return {next(filter(None, found)) for found in LABEL.findall(path.read_text("utf-8"))}


def anchors(path):
    """What Markdown on GitHub, and MyST, call the headings."""
    titles = HEADING.findall(prose(path))
    plain = [re.sub(r"[^\w\s-]", "", title.lower()) for title in titles]
    return {re.sub(r"\s", "-", title.strip()) for title in plain} | labels(path)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_pages_that_are_spoken_of_exist(path):
    for text in re.findall(r"\{doc\}`([^`]+)`", prose(path)):
        name = re.sub(r".*<(.+)>$", r"\1", text)
        assert (path.parent / f"{name}.md").is_file(), text


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_labels_that_are_spoken_of_exist(path):
    known = set().union(*map(labels, PAGES))
    for text in re.findall(r"\{(?:numref|eq|ref)\}`([^`]+)`", path.read_text("utf-8")):
        assert re.sub(r".*<(.+)>$", r"\1", text) in known, text


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.stem)
def test_links_in_markdown_lead_somewhere(path):
    for address in re.findall(r"\]\(([^)\s]+)\)", prose(path)):
        if re.match(r"https?:|mailto:", address):
            continue
        name, _, anchor = address.partition("#")
        target = path.parent / name if name else path
        assert target.exists(), address
        if anchor:
            assert anchor in anchors(target), address


def test_no_label_is_given_twice():
    given = [label for path in PAGES for label in labels(path)]
    assert len(given) == len(set(given))
