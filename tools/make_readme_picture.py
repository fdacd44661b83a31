"""Draw the picture of the README: `python tools/make_readme_picture.py`.

A README shows a picture as a file of its own, which knows nothing of the page's colours: so the
drawing's ink gets a colour here, one for light and one for dark.
"""

from pathlib import Path

import numpy as np

from cnn_tf.plots import corr2d_plot

PICTURE = Path(__file__).parent.parent / "book" / "figures" / "sliding-window.svg"
INK = (
    "<style>svg { color: #1f2328; font-family: sans-serif } "
    "@media (prefers-color-scheme: dark) { svg { color: #e6edf3 } }</style>"
)


def drawing() -> str:
    """Return the picture as the text of an SVG file."""
    figure = corr2d_plot(np.arange(9).reshape(3, 3), np.arange(4).reshape(2, 2), column=1)
    head, body = figure.svg.split(">", maxsplit=1)
    return f"{head}>{INK}{body}"


if __name__ == "__main__":
    PICTURE.write_text(drawing(), encoding="utf-8")
    print(PICTURE)
