"""The browser that prints the book, and in which the tests operate the site."""

import shutil

# The first one opens no windows: the tests take 40 % less processor time in it.
_NAMES = (
    *("chromium-headless-shell", "chromium", "chromium-browser"),
    *("google-chrome", "google-chrome-stable"),
)


def find() -> str | None:
    """The path of a Chromium on PATH, or `None` if there is none."""
    return next(filter(None, map(shutil.which, _NAMES)), None)


def path() -> str:
    """The path of a Chromium.

    Raises:
        SystemExit: There is none.
    """
    found = find()
    if found is None:
        raise SystemExit(
            "No Chromium on PATH, which prints the book (Debian: "
            "apt-get install chromium-headless-shell)."
        )
    return found
