"""The last touch on each page, when the theme has written it.

Barriers are removed, the eight style sheets become one, for which a phone asks once, the pixels of
drawings become files, for which no text has to wait, and a content security policy is put in.

A content security policy makes the browser load from the site itself, and nowhere else. It stands
in the page, since a site of files cannot send headers.
"""

import base64
import hashlib
import os
import re
from collections.abc import Callable
from html import unescape
from pathlib import Path

from sphinx.application import Sphinx

_LONGEST = 36  # letters of code that fit on the narrowest phone

# --- Barriers -------------------------------------------------------------------------------------

# What Sphinx and Furo write, and what keeps readers out who listen or use the keyboard alone.
_BARRIERS: list[tuple[str, str | Callable[[re.Match[str]], str]]] = [
    # A heading has a level, and landmarks of one kind have names.
    (r'<p class="caption" role="heading">', '<p class="caption" role="heading" aria-level="2">'),
    (r'<aside class="sidebar-drawer">', '<aside class="sidebar-drawer" aria-label="Pages">'),
    (r'<aside class="toc-drawer', r'<aside aria-label="This page" class="toc-drawer'),
    (
        r'<a href="#" class="back-to-top muted-link">.*?</a>',
        lambda link: f'<nav aria-label="Back to top">{link[0]}</nav>',
    ),
    # What unfolds is itself a control: no link within it.
    (
        r"<summary[^>]*>.*?</summary>",
        lambda summary: re.sub(r"</?a\b[^>]*>", "", summary[0]),
    ),
    # Roles that are no longer in use, or that need other children.
    (r' role="doc-biblioentry"', ""),
    (r'<div role="list" class="citation-list">', '<div class="citation-list">'),
    (r'<th class="head"><p></p></th>', "<td></td>"),
    # The arguments of a long signature are no list of definitions.
    (
        r"<dl>\s*(?:<dd>.*?</dd>\s*)+</dl>",
        lambda lines: re.sub(
            "(?<=</)d[ld]|(?<=<)dd", "span", lines[0].replace("<dl>", '<span class="lines">')
        ),
    ),
    # What scrolls can be reached without a mouse.
    (r'<div class="table-wrapper', '<div tabindex="0" class="table-wrapper'),
    (r'<div (class="output text_html">\s*<table)', r'<div tabindex="0" \1'),
    (
        r"<pre([^>]*)>(.*?)</pre>",
        lambda code: f"<pre{code[1]}{_focusable(code[2])}>{code[2]}</pre>",
    ),
]


def _focusable(code: str) -> str:
    lines = unescape(re.sub(r"<[^>]+>", "", code)).splitlines()
    return ' tabindex="0"' if max(map(len, lines), default=0) > _LONGEST else ""


def _without_barriers(html: str) -> str:
    for pattern, replacement in _BARRIERS:
        html = re.sub(pattern, replacement, html, flags=re.DOTALL)
    return html


# --- Policy ---------------------------------------------------------------------------------------

_INLINE = re.compile(r"<script(?![^>]*\b(?:src|type)=)[^>]*>(.*?)</script>", re.DOTALL)
_CHARSET = '<meta charset="utf-8">'


def _policy(html: str) -> str:
    """Allow what comes from the site, and by their digests the scripts that stand in the page."""
    digests = {hashlib.sha256(code.encode()).digest() for code in _INLINE.findall(html)}
    scripts = " ".join(f"'sha256-{base64.b64encode(it).decode()}'" for it in sorted(digests))
    return "; ".join(
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


# --- Style sheets ---------------------------------------------------------------------------------

_SHEET = re.compile(r'\s*<link rel="stylesheet" type="text/css" href="([^"?]+)[^"]*" />')


def _with_one_sheet(html: str, page: Path, outdir: Path) -> str:
    """Join the style sheets of a page, which are those of all pages, in their order."""
    first, *others = _SHEET.finditer(html)
    paths = [page.parent / link[1] for link in (first, *others)]
    folder = outdir / "_static"
    css = "".join(_relative(path.read_text("utf-8"), path.parent, folder) for path in paths)
    (folder / "site.css").write_text(css, encoding="utf-8")
    address = _address(folder / "site.css", page.parent)
    digest = hashlib.sha256(css.encode()).hexdigest()[:8]  # so that no cache holds an old one
    link = f'<link rel="stylesheet" href="{address}?v={digest}">'
    return _SHEET.sub("", html).replace("</title>", f"</title>\n    {link}", 1)


def _relative(css: str, old: Path, new: Path) -> str:
    """Let the addresses in a style sheet hold for its new folder."""

    def moved(address: re.Match[str]) -> str:
        return f'url("{_address(old / address[1], new)}")'

    return re.sub(r"""url\(["']?(?!data:|#|https?:)([^"')]+)["']?\)""", moved, css)


def _address(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path, folder)).as_posix()


# --- Pictures -------------------------------------------------------------------------------------

_PIXELS = re.compile(r'(?<=href=")data:image/png;base64,\s*([A-Za-z0-9+/=\s]{2000,})(?=")')


def _with_files_of_pixels(html: str, page: Path, outdir: Path) -> str:
    """Let a drawing refer to its larger pictures, in place of holding them."""
    folder = outdir / "_images"
    folder.mkdir(exist_ok=True)

    def written(picture: re.Match[str]) -> str:
        content = base64.b64decode(picture[1])
        path = folder / f"{hashlib.sha256(content).hexdigest()[:16]}.png"
        path.write_bytes(content)
        return _address(path, page.parent)

    return _PIXELS.sub(written, html)


def _finish(app: Sphinx, error: Exception | None) -> None:
    """Finish the pages that this build has written."""
    if error or app.builder.format != "html":
        return
    for path in Path(app.outdir).rglob("*.html"):
        html = path.read_text("utf-8")
        if "Content-Security-Policy" not in html.partition("</head>")[0]:
            html = _without_barriers(html)
            for changed in (_with_one_sheet, _with_files_of_pixels):
                html = changed(html, path, Path(app.outdir))
            policy = f'<meta http-equiv="Content-Security-Policy" content="{_policy(html)}">'
            path.write_text(html.replace(_CHARSET, f"{_CHARSET}\n    {policy}", 1), "utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to the end of the build."""
    # After Furo, which writes the colours of code anew at the end of a build.
    app.connect("build-finished", _finish, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
