"""Lecture decks, one for each section, made of the finished site.

    python -m tools.slides SITE

The page marks what a slide shows (see CONTRIBUTING.md): a span of the class `slide` begins one,
`point` adds a line, and `predict` a question, after which all else waits for a key. The first
figure and the first formula of its stretch go along, an interactive figure alive; the prose becomes
the speaker's notes. reveal.js shows the deck, and without scripts it is a handout, which Chromium
prints.
"""

import argparse
import copy
import html
import shutil
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from bs4 import BeautifulSoup, Tag
from playwright.sync_api import sync_playwright

from tools import chromium
from tools.paper import offer, words

SECTIONS = ("from-dense-layers", "images", "padding-and-stride", "channels", "pooling", "lenet")
MARKS = ("slide", "point", "predict")

_REVEAL = Path(find_spec("sphinx_revealjs").origin).parent / "_static" / "revealjs"
_FILES = ("dist/reveal.js", "dist/reveal.css", "plugin/notes/notes.js")


@dataclass
class Slide:
    """A slide.

    Attributes:
        title: The heading under which it stands.
        parts: What it shows, in its order: lines, a figure, a formula.
        notes: What the page says meanwhile, a text a paragraph.
    """

    title: str
    parts: list[Tag] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def lines(self) -> list[str]:
        """The words that it shows."""
        return [words(part) for part in self.parts if part.name == "p"]


def read_slides(site: Path, name: str) -> list[Slide]:
    """Read the slides of a section from its page.

    Args:
        site: The folder of the site.
        name: The section.

    Raises:
        FileNotFoundError: The site has not been built.
        ValueError: A line belongs to no slide.
    """
    path = site / f"{name}.html"
    if not path.is_file():
        raise FileNotFoundError(f"There is no {name}.html in {site}: run `make book` first.")
    soup = BeautifulSoup(path.read_text("utf-8"), "html.parser")
    for element in soup.select(".headerlink"):
        element.decompose()
    slides: list[Slide] = []
    heading = said = ""
    for element in soup.select_one("article section").find_all(True):
        classes = element.get("class") or []
        if element.find_parent(class_="admonition"):
            continue
        if element.name in ("h1", "h2", "h3", "p", "li") or "tip" in classes:
            if slides and said:  # of the paragraph before, whose marks have been read by now
                slides[-1].notes.append(said)
            said = ""
        if "tip" in classes:  # "To take away": the lecture is over
            break
        if element.name in ("h1", "h2", "h3"):
            heading = words(element)
        elif element.name in ("p", "li"):
            said = "" if element.find("p") or element.find_parent("table") else words(element)
        elif element.name == "span" and (mark := next((it for it in MARKS if it in classes), "")):
            if mark == "slide":
                slides.append(Slide(heading))
            if not slides:
                raise ValueError(f"{path}: no slide has begun before {words(element)!r}.")
            slides[-1].parts.append(_line(soup, element, mark))
        elif slides and element.name == "figure":
            _show(slides[-1], _figure(soup, element))
        elif slides and "equation" in classes:
            _show(slides[-1], _formula(soup, element))
    return slides


def _line(soup: BeautifulSoup, element: Tag, mark: str) -> Tag:
    line = soup.new_tag("p", attrs={"class": [mark]})
    line.extend(copy.copy(child) for child in element.contents)
    for link in line.select("a"):
        link.unwrap()
    return line


def _figure(soup: BeautifulSoup, element: Tag) -> Tag:
    """A drawing, or a live explorer with its still; what they need lies a folder higher."""
    found = element.find(lambda it: it.name.startswith("cnn-")) or element.select_one("div.figure")
    shown = soup.new_tag("div", attrs={"class": ["shown"]})
    if found is None:
        return shown
    part = copy.copy(found)
    for note in part.select(".explorer-note, noscript"):
        note.decompose()
    for name in ("id", "linked"):  # the address is the deck's
        part.attrs.pop(name, None)
    if part.name.startswith("cnn-"):
        part["data-prevent-swipe"] = ""
    for picture in [part, *part.select("image, img")]:
        for name in ("src", "archive", "href", "xlink:href"):
            if str(picture.get(name, "")).startswith("_"):
                picture[name] = f"../{picture[name]}"
    shown.append(part)
    return shown


def _formula(soup: BeautifulSoup, element: Tag) -> Tag:
    shown = soup.new_tag("div", attrs={"class": ["formula"]})
    shown.append(copy.copy(element.find("math")))
    return shown


def _show(slide: Slide, part: Tag) -> None:
    """Put a figure or a formula on a slide that has none yet."""
    if part.contents and not any(it["class"][0] == part["class"][0] for it in slide.parts):
        slide.parts.append(part)


def document(name: str, slides: list[Slide]) -> str:
    """A deck as a page of the site."""
    names = {it.name for slide in slides for part in slide.parts for it in part.find_all(True)}
    modules = sorted(name.removeprefix("cnn-") for name in names if name.startswith("cnn-"))
    scripts = "".join(
        f'<script type="module" src="../_static/javascript/{module}.js"></script>'
        for module in modules
    )
    sections = "".join(_section(number, slide) for number, slide in enumerate(slides))
    title = html.escape(slides[0].title)
    return (
        # The class keeps reveal.js's own rules for paper away: those of deck.css make the handout.
        '<!doctype html><html lang="en" class="print-pdf"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'self\'; '
        # The presenter's window is made by a script that stands in it.
        "script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:\">"
        f"<title>{title} · slides</title>"
        '<link rel="icon" href="../_static/favicon.svg">'
        '<link rel="stylesheet" href="reveal/reveal.css">'
        '<link rel="stylesheet" href="../_static/deck.css"></head>'
        f'<body><main><div class="reveal"><div class="slides">{sections}</div></div></main>'
        '<script src="reveal/reveal.js"></script><script src="reveal/notes.js"></script>'
        f'<script src="../_static/deck.js"></script>{scripts}'
        f'<noscript><p><a href="../{name}.html">The page</a></p></noscript></body></html>'
    )


def _section(number: int, slide: Slide) -> str:
    shown, waits = "", False
    for part in map(copy.copy, slide.parts):
        if waits:
            part["class"] = [*part["class"], "fragment"]
        waits = waits or "predict" in part["class"]
        shown += str(part)
    rank = 1 if number == 0 else 2
    notes = "".join(f"<p>{html.escape(note)}</p>" for note in slide.notes if note)
    return (
        f'<section aria-labelledby="title-{number}">'
        f'<h{rank} id="title-{number}">{html.escape(slide.title)}</h{rank}>'
        f'<div class="parts">{shown}</div><aside class="notes">{notes}</aside></section>'
    )


def write_decks(site: Path) -> None:
    """Write all decks, and print each of them."""
    folder = site / "slides"
    (folder / "reveal").mkdir(parents=True, exist_ok=True)
    for file in _FILES:
        shutil.copy(_REVEAL / file, folder / "reveal")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium.path(), args=["--no-sandbox"])
        # Without scripts it is a handout.
        page = browser.new_context(java_script_enabled=False).new_page()
        for name in SECTIONS:
            path = folder / f"{name}.html"
            path.write_text(document(name, read_slides(site, name)), encoding="utf-8")
            page.goto(path.resolve().as_uri())
            page.pdf(
                path=path.with_suffix(".pdf"),
                prefer_css_page_size=True,
                print_background=True,
                tagged=True,
                outline=True,
            )
        browser.close()


def main() -> None:
    """Write the decks."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("site", type=Path)
    site = parser.parse_args().site
    write_decks(site)
    offer(site)
    print(f"The decks are in {site / 'slides'}")


if __name__ == "__main__":
    main()
