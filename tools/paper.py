"""The book on paper and on a reader: one PDF and one EPUB, made of the finished site.

    python -m tools.paper pdf|epub SITE FILE

Numbers, formulas and figures are those of the site, and nothing is executed again. What can only be
clicked is left out: an interactive figure shows its still, with the address of the live one, and
answers and solutions stand at the end of their section.
"""

import argparse
import html
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin, urlsplit

from bs4 import BeautifulSoup, Tag
from ebooklib import epub
from playwright.sync_api import sync_playwright
from pypdf import PdfReader

from tools import chromium

TITLE = "Convolutional networks"
ROOT = Path(__file__).parents[1]
STYLE = Path(__file__).with_name("paper.css")
CHAPTER = (
    *("from-dense-layers", "images", "padding-and-stride", "channels", "pooling", "lenet", "atoms"),
    *("notation", "glossary", "bibliography"),
)

# What only a printed page has.
_SHEET = """
@page { size: A4; margin: 22mm 24mm 24mm; }
@page { @bottom-center { content: counter(page); font: 9pt "DejaVu Sans", sans-serif; } }
@page :first { @bottom-center { content: none; } }
body { font: 10.5pt/1.5 "DejaVu Sans", "Liberation Sans", sans-serif; color: #000; }
"""

_LEFT_OUT = (
    ".headerlink, .copybtn, script, template, noscript, ul.notebooks, .explorer-note, "
    "details.hide, .hint, .verdict, form.answer > :not(fieldset)"
)
_LIVE = re.compile(r"cnn-")


@dataclass
class Page:
    """A page of the site as it is printed.

    Attributes:
        name: Its name, and the beginning of all its anchors.
        title: Its title, with its number.
        body: Its contents.
    """

    name: str
    title: str
    body: Tag


@dataclass
class Heading:
    """A line of the contents: its level from 1, its anchor, and its words."""

    level: int
    anchor: str
    words: str


def read_pages(site: Path, parser: str = "html.parser") -> list[Page]:
    """Read the pages of the chapter, and make them fit to be printed.

    Args:
        site: The folder of the site.
        parser: Beautiful Soup's name of the parser; `"html5lib"` keeps the case of SVG.

    Raises:
        FileNotFoundError: The site has not been built.
    """
    missing = [name for name in CHAPTER if not (site / f"{name}.html").is_file()]
    if missing:
        raise FileNotFoundError(f"There is no {missing[0]}.html in {site}: run `make book` first.")
    pages = []
    for name in CHAPTER:
        soup = BeautifulSoup((site / f"{name}.html").read_text("utf-8"), parser)
        canonical = soup.select_one("link[rel=canonical]")
        body = soup.select_one("article section")
        for element in body.select(_LEFT_OUT):
            element.decompose()
        address = str(canonical["href"]) if canonical else ""
        _still(soup, body, address or f"{name}.html")
        _answers_last(soup, body)
        _name_anchors(body, name)
        _lead_links(body, name, address)
        pages.append(Page(name, words(body.h1), body))
    return pages


def words(element: Tag) -> str:
    """What an element says, in one line."""
    return " ".join(element.get_text().split())


def _still(soup: BeautifulSoup, body: Tag, address: str) -> None:
    """Put the still of an interactive figure in its place, and say where the live one is."""
    for explorer in body.find_all(_LIVE):
        line = soup.new_tag("p", attrs={"class": "live"})
        line.append("This figure is interactive on the site: ")
        place = f"{address}#{explorer['id']}"
        line.append(soup.new_tag("a", href=place, string=place))
        explorer.insert_after(line)
        explorer.replace_with(explorer.select_one("div.figure"))
    for control in body.select("fieldset legend"):
        control.decompose()
    for label in body.select("form.answer label"):
        label.name = "li"
        label.input.decompose()
        label.strong.decompose()  # the list has letters
    for choices in body.select("form.answer fieldset"):
        choices.name, choices["class"] = "ol", "choices"
    for form in body.select("form.answer"):
        form.unwrap()


def _answers_last(soup: BeautifulSoup, body: Tag) -> None:
    """Move what unfolds on the site to the end of the section."""
    last = soup.new_tag("section", attrs={"class": "answers", "id": "answers"})
    for answer in body.select(".question > details, details.solution"):
        question = answer.find_parent(class_="question")
        title = answer.summary
        title.name, title["class"] = "h3", "answer-title"
        if question:
            title.string = words(question.select_one(".question-number"))
        answer.name = "div"
        del answer["open"]
        last.append(answer.extract())
    if last.contents:
        heading = soup.new_tag("h2", string="Answers and solutions")
        last.insert(0, heading)
        body.append(last)
    for other in body.select("details"):  # which unfold in the text itself
        other.name = "div"
        if other.summary:
            other.summary.name = "p"


def _name_anchors(body: Tag, name: str) -> None:
    """Give anchors names that no other page has. Those within drawings have such names."""
    for element in [body, *body.select("[id]")]:
        if not element.find_parent("svg"):
            element["id"] = f"{name}--{element['id']}"
    body["id"] = name


def _lead_links(body: Tag, name: str, address: str) -> None:
    """Let links lead within the book, or to the site, if that has an address."""
    for link in body.select("a[href]"):
        parts = urlsplit(link["href"])
        page = Path(parts.path).stem if parts.path else name
        if parts.scheme:
            continue
        if parts.query or page not in CHAPTER or parts.fragment.startswith("explore-"):
            link["href"] = urljoin(address, link["href"])
            if not address:
                link.unwrap()
        elif parts.fragment:
            link["href"] = f"#{page}--{parts.fragment}"
        else:
            link["href"] = f"#{page}"


def contents(pages: list[Page]) -> Iterator[Heading]:
    """The headings of the first two levels, in their order."""
    for page in pages:
        yield Heading(1, page.name, page.title)
        for heading in page.body.select("h2"):
            yield Heading(2, heading.find_parent("section")["id"], words(heading))


def _imprint() -> tuple[str, str]:
    """The authors, and the version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return ", ".join(person["name"] for person in project["authors"]), project["version"]


# --- PDF ------------------------------------------------------------------------------------------


def document(pages: list[Page], numbers: dict[str, int]) -> str:
    """The whole book as one HTML page to be printed, in the folder of the site.

    Args:
        pages: What it consists of.
        numbers: For each anchor of the contents, the number of its page, where known.
    """
    authors, version = _imprint()
    lines = "".join(
        f'<li class="level-{it.level}"><a href="#{it.anchor}"><span>{html.escape(it.words)}</span>'
        f"<span>{numbers.get(it.anchor, '')}</span></a></li>"
        for it in contents(pages)
    )
    sheets = "".join(
        f'<link rel="stylesheet" href="_static/{name}.css">' for name in ("pygments", "book")
    )
    body = "".join(str(page.body) for page in pages)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{TITLE}</title>{sheets}<style>{STYLE.read_text('utf-8')}{_SHEET}</style></head><body>"
        f'<header class="cover"><p class="cover-title">{TITLE}</p>'
        f"<p>{html.escape(authors)}</p><p>Version {version}</p>"
        "<p>Text CC BY 4.0, code MIT</p></header>"
        f'<nav aria-label="Contents"><p class="contents-title">Contents</p><ul>{lines}</ul></nav>'
        f"<main>{body}</main></body></html>"
    )


def write_pdf(site: Path, path: Path) -> None:
    """Print the book by Chromium: tagged, with an outline, and contents with page numbers."""
    pages, printed = read_pages(site), site / "printed.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium.path(), args=["--no-sandbox"])
        page, numbers = browser.new_page(), {}
        try:
            for _ in range(2):  # the page numbers of the contents are known once it is printed
                printed.write_text(document(pages, numbers), encoding="utf-8")
                page.goto(printed.resolve().as_uri())
                page.evaluate("document.fonts.ready")
                page.pdf(
                    path=path,
                    prefer_css_page_size=True,
                    print_background=True,
                    tagged=True,
                    outline=True,
                )
                reader = PdfReader(path)
                numbers = {
                    name.removeprefix("/"): reader.get_destination_page_number(place) + 1
                    for name, place in reader.named_destinations.items()
                }
        finally:
            printed.unlink(missing_ok=True)
            browser.close()


# --- EPUB -----------------------------------------------------------------------------------------


def write_epub(site: Path, path: Path) -> None:
    """Make a book for readers of EPUB 3: a file a page, formulas as MathML, figures as SVG."""
    book, (authors, version) = epub.EpubBook(), _imprint()
    book.set_identifier(f"cnn_tf {version}")
    book.set_title(TITLE)
    book.set_language("en")
    book.add_author(authors)
    book.add_metadata("DC", "rights", "Text CC BY 4.0, code MIT")
    for name, value in _ACCESSIBILITY:
        book.add_metadata(None, "meta", value, {"property": f"schema:{name}"})
    style = "".join(
        sheet.read_text("utf-8") for sheet in (site / "_static" / "pygments.css", STYLE)
    )
    css = epub.EpubItem("style", "style.css", "text/css", style)
    book.add_item(css)
    pages = read_pages(site, "html5lib")
    files = [_chapter(page, site, book) for page in pages]
    for page, file in zip(pages, files, strict=True):
        book.add_item(file)
        first, *others = contents([page])
        parts = [epub.Link(f"{file.file_name}#{it.anchor}", it.words, it.anchor) for it in others]
        link = epub.Link(file.file_name, first.words, first.anchor)
        book.toc.append((epub.Section(first.words, file.file_name), parts) if parts else link)
    book.add_item(epub.EpubNcx())
    book.add_item(epub.EpubNav())
    book.spine = ["nav", *files]
    path.parent.mkdir(parents=True, exist_ok=True)
    epub.write_epub(path, book)


_ACCESSIBILITY = [
    ("accessMode", "textual"),
    ("accessMode", "visual"),
    ("accessModeSufficient", "textual"),
    ("accessibilityFeature", "alternativeText"),
    ("accessibilityFeature", "MathML"),
    ("accessibilityFeature", "tableOfContents"),
    ("accessibilityHazard", "none"),
    ("accessibilitySummary", "Figures have alternative texts, and formulas are MathML."),
]


class _File(epub.EpubHtml):
    """A file that goes into the book as it is: the library's own parser knows no SVG."""

    def get_content(self, default: object = None) -> bytes:
        return str(self.content).encode()

    def get_body_content(self) -> bytes:  # in which it looks for marks of printed pages
        return b"<p>None</p>"


def _chapter(page: Page, site: Path, book: epub.EpubBook) -> epub.EpubHtml:
    """A page as a file of the book, and the pictures that it shows."""
    for link in page.body.select('a[href^="#"]'):
        target = str(link["href"])[1:]
        link["href"] = f"{target.partition('--')[0]}.xhtml" + (
            f"#{target}" if "--" in target else ""
        )
    for formula in page.body.select("math"):
        formula["xmlns"] = "http://www.w3.org/1998/Math/MathML"
    for picture in page.body.select("image, img"):
        attribute = next(name for name in ("src", "href", "xlink:href") if picture.get(name))
        if not (address := str(picture[attribute])).startswith("data:"):
            name = Path(address).name
            if book.get_item_with_href(f"images/{name}") is None:
                content = (site / address).read_bytes()
                book.add_item(epub.EpubItem(None, f"images/{name}", "image/png", content))
            picture[attribute] = f"images/{name}"
    for picture in page.body.select("svg image[id]"):
        del picture["id"]  # one that is shown twice has it twice
    for part in page.body.select("math [displaystyle], math [scriptlevel]"):
        if part.name != "mstyle":  # in MathML 3 no other element has them
            names = [name for name in ("displaystyle", "scriptlevel") if name in part.attrs]
            part.wrap(Tag(name="mstyle", attrs={name: part.attrs.pop(name) for name in names}))
    file = _File(title=page.title, file_name=f"{page.name}.xhtml", lang="en")
    file.content = (
        '<?xml version="1.0" encoding="utf-8"?><!DOCTYPE html>'
        '<html xmlns="http://www.w3.org/1999/xhtml" lang="en" xml:lang="en"><head>'
        f'<title>{html.escape(page.title)}</title><link rel="stylesheet" href="style.css"/></head>'
        f"<body>{page.body}</body></html>"
    )
    file.properties = [
        kind for kind, tag in (("mathml", "math"), ("svg", "svg")) if page.body.find(tag)
    ]
    return file


_KINDS = {"pdf": write_pdf, "epub": write_epub}


def offer(site: Path) -> None:
    """Link from the first page of the site, and of that for lecturers, to what lies beside them."""
    whole = sorted(path for kind in _KINDS for path in site.glob(f"*.{kind}"))
    decks = [path for name in CHAPTER for path in site.glob(f"slides/{name}.html")]
    for index, up in ((site / "index.html", ""), (site / "teaching" / "index.html", "../")):
        soup = BeautifulSoup(index.read_text("utf-8"), "html.parser")
        place = soup.select_one(".editions")
        place.clear()
        if whole:
            line = soup.new_tag("p", string="The whole chapter as one file: ")
            for number, path in enumerate(whole):
                says = f"{path.suffix[1:].upper()} ({path.stat().st_size / 1e6:.1f} MB)"
                link = soup.new_tag("a", href=f"{up}{path.name}", string=says)
                line.extend([", " if number else "", link])
            line.append(".")
            place.append(line)
        if decks:
            line = soup.new_tag("p", string="As slides: ")
            for number, path in enumerate(decks):
                title = BeautifulSoup(path.read_text("utf-8"), "html.parser").h1.get_text()
                live = soup.new_tag("a", href=f"{up}slides/{path.name}", string=title)
                printed = f"{up}slides/{path.with_suffix('.pdf').name}"
                handout = soup.new_tag("a", href=printed, string="PDF")
                handout["aria-label"] = f"{title}, slides as PDF"
                line.extend(["; " if number else "", live, " (", handout, ")"])
            line.append(".")
            place.append(line)
        index.write_text(str(soup), "utf-8")


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("kind", choices=_KINDS)
    parser.add_argument("site", type=Path)
    parser.add_argument("file", type=Path)
    arguments = parser.parse_args()
    _KINDS[arguments.kind](arguments.site, arguments.file)
    offer(arguments.site)
    print(f"The book is in {arguments.file}")


if __name__ == "__main__":
    main()
