"""The last touch on each page, when the theme has written it.

Barriers are removed, no line ends within a "3 × 3", the eight style sheets become one, for which a
phone asks once, the pixels of drawings become files, for which no text has to wait, and a content
security policy is put in.

A content security policy makes the browser load from the site itself, and nowhere else. It stands
in the page, since a site of files cannot send headers.
"""

import base64
import hashlib
import io
import os
import re
from pathlib import Path

from bs4 import BeautifulSoup
from PIL import Image
from previews import add_previews
from sphinx.application import Sphinx

_LONGEST = 36  # letters of code that fit on the narrowest phone


def _remove_barriers(soup: BeautifulSoup) -> None:
    """Mend what Sphinx and Furo write that keeps out who listen, or use the keyboard alone."""
    # A heading has a level, and landmarks of one kind have names.
    for heading in soup.select('p.caption[role="heading"]'):
        heading["aria-level"] = "2"
    for selector, name in (("aside.sidebar-drawer", "Pages"), ("aside.toc-drawer", "This page")):
        for landmark in soup.select(selector):
            landmark["aria-label"] = name
    for link in soup.select("a.back-to-top"):
        link.wrap(soup.new_tag("nav", attrs={"aria-label": "Back to top"}))
    # What unfolds is itself a control: no link within it.
    for link in soup.select("summary a"):
        link.unwrap()
    # Roles that are no longer in use, or that need other children.
    for element in soup.select('[role="doc-biblioentry"], .citation-list[role="list"]'):
        del element["role"]
    for head in soup.select("th.head"):
        if not head.get_text(strip=True):
            head.replace_with(soup.new_tag("td"))
    # The arguments of a long signature are no list of definitions.
    for lines in soup.select("dt.sig dl"):
        lines.name, lines["class"] = "span", "lines"
        for argument in lines("dd"):
            argument.name = "span"
    # What scrolls can be reached without a mouse.
    for table in soup.select(".table-wrapper, .output.text_html:has(> table:first-child)"):
        table["tabindex"] = "0"
    for code in soup("pre"):
        if max(map(len, code.get_text().splitlines()), default=0) > _LONGEST:
            code["tabindex"] = "0"


def _bind_products(soup: BeautifulSoup) -> None:
    """Keep "3 × 3" in one line."""
    for text in soup.find_all(string=re.compile(r"\w × \w")):
        if not text.find_parent(["pre", "code", "script", "svg", "title"]):
            text.replace_with(re.sub(r"(?<=\w) × (?=\w)", "\u00a0×\u00a0", text))


def _join_sheets(soup: BeautifulSoup, page: Path, outdir: Path) -> None:
    """Join the style sheets of a page, which are those of all pages, in their order."""
    links = soup.select('link[rel="stylesheet"][type="text/css"]')
    paths = [page.parent / str(link["href"]).partition("?")[0] for link in links]
    folder = outdir / "_static"
    css = "".join(_moved(path.read_text("utf-8"), path.parent, folder) for path in paths)
    (folder / "site.css").write_text(css, encoding="utf-8")
    digest = hashlib.sha256(css.encode()).hexdigest()[:8]  # so that no cache holds an old one
    address = f"{_address(folder / 'site.css', page.parent)}?v={digest}"
    links[0].replace_with(soup.new_tag("link", rel="stylesheet", href=address))
    for link in links[1:]:
        link.decompose()


def _moved(css: str, old: Path, new: Path) -> str:
    """Let the addresses in a style sheet hold for its new folder."""

    def moved(address: re.Match[str]) -> str:
        return f'url("{_address(old / address[1], new)}")'

    return re.sub(r"""url\(["']?(?!data:|#|https?:)([^"')]+)["']?\)""", moved, css)


def _address(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path, folder)).as_posix()


def _move_pixels(soup: BeautifulSoup, page: Path, outdir: Path) -> None:
    """Let a drawing refer to its larger pictures, in place of holding them."""
    folder, start = outdir / "_images", "data:image/png;base64,"
    folder.mkdir(exist_ok=True)
    for picture in soup("image"):
        for name, value in picture.attrs.items():
            if name.endswith("href") and value.startswith(start) and len(value) > 2000:
                content = _squeezed(base64.b64decode(value.removeprefix(start)))
                path = folder / f"{hashlib.sha256(content).hexdigest()[:16]}.png"
                path.write_bytes(content)
                picture[name] = _address(path, page.parent)


def _squeezed(content: bytes) -> bytes:
    """The same pixels in fewer bytes, if that can be."""
    picture, smaller = Image.open(io.BytesIO(content)), io.BytesIO()
    grey = picture.convert("L")
    if grey.convert("RGBA").tobytes() == picture.convert("RGBA").tobytes():
        picture = grey  # Matplotlib writes four numbers for each pixel
    picture.save(smaller, "png", optimize=True)
    return min(content, smaller.getvalue(), key=len)


def _add_policy(soup: BeautifulSoup) -> None:
    """Allow what comes from the site, and by their digests the scripts that stand in the page."""
    inline = soup.find_all("script", src=None, type=None)
    digests = {hashlib.sha256(script.get_text().encode()).digest() for script in inline}
    scripts = " ".join(f"'sha256-{base64.b64encode(it).decode()}'" for it in sorted(digests))
    policy = "; ".join(
        (
            "default-src 'self'",
            f"script-src 'self' {scripts}",
            "style-src 'self' 'unsafe-inline'",  # the drawings carry style attributes
            "img-src 'self' data: blob:",
            "object-src 'none'",
            "base-uri 'self'",
            "form-action 'self'",
        )
    )
    attributes = {"http-equiv": "Content-Security-Policy", "content": policy}
    soup.select_one("meta[charset]").insert_after(soup.new_tag("meta", attrs=attributes))


def _finish(app: Sphinx, error: Exception | None) -> None:
    """Finish the pages that this build has written."""
    if error or app.builder.format != "html":
        return
    for path in Path(app.outdir).rglob("*.html"):
        html = path.read_text("utf-8")
        if "Content-Security-Policy" not in html.partition("</head>")[0]:
            soup = BeautifulSoup(html, "html.parser")
            _remove_barriers(soup)
            _bind_products(soup)
            add_previews(soup, path)
            _join_sheets(soup, path, Path(app.outdir))
            _move_pixels(soup, path, Path(app.outdir))
            _add_policy(soup)
            path.write_text(str(soup), "utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to the end of the build."""
    # After Furo, which writes the colours of code anew at the end of a build.
    app.connect("build-finished", _finish, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
