"""The drawings of the book: one look, for light and dark pages, with a text for those who listen.

A figure is inline SVG. What a reader should see in the colour of the page's text is drawn in
`currentColor`, so that one drawing serves both modes. Matplotlib is imported when a figure is
drawn: those who only import layers do not need it.
"""

import hashlib
import io
import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from html import escape
from typing import Any

import numpy as np

from cnn_tf.functional import corr2d

# The colour of the input X, of the kernel K and of the output Y in all drawings. They can be told
# apart by the colour-blind, and stand out from a white and from a black page.
X_COLOR, K_COLOR, Y_COLOR = "#2b83ba", "#d9730d", "#2a9d6f"

# Matplotlib knows no currentColor: this colour, used nowhere else, takes its place while drawing.
_INK = "#010203"


class Figure:
    """A finished drawing that a notebook and a page show as inline SVG.

    Args:
        figure: A Matplotlib figure. It is closed.
        alt: What is to be seen, in words, for a reader who does not see it.

    Source:
        W3C, *SVG accessibility API mappings*: `role="img"` with a label.

    Example:
        >>> import matplotlib.figure
        >>> from cnn_tf.plots import Figure
        >>> drawing = Figure(matplotlib.figure.Figure(), alt="An empty sheet.")
        >>> 'aria-label="An empty sheet."' in drawing.svg
        True
    """

    def __init__(self, figure: Any, alt: str) -> None:
        self.alt = alt
        buffer = io.StringIO()
        with style():
            figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
        self.svg = _inline(buffer.getvalue(), alt)

    def _repr_html_(self) -> str:
        return f"<div class='figure'>{self.svg}</div>"

    def __repr__(self) -> str:
        return f"<Figure: {self.alt}>"


def style() -> AbstractContextManager[None]:
    """The look of all drawings, as a context for Matplotlib code.

    Returns:
        A context manager. Figures made within it have the house's fonts, lines and colours.

    Example:
        >>> import matplotlib.figure
        >>> from cnn_tf.plots import Figure, style
        >>> with style():
        ...     figure = matplotlib.figure.Figure(figsize=(4, 2))
        ...     _ = figure.subplots().plot([1, 3, 2])
        >>> Figure(figure, alt="A line that rises and falls.")
        <Figure: A line that rises and falls.>
    """
    return _matplotlib().rc_context(
        {
            "svg.fonttype": "none",  # text stays text, which can be found and read aloud
            "svg.hashsalt": "cnn_tf",  # the same drawing gives the same bytes
            "font.size": 10,
            "axes.titlesize": 10,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.linewidth": 0.8,
            "lines.linewidth": 1.8,
            "figure.constrained_layout.use": True,
            "legend.frameon": False,
            **dict.fromkeys(
                ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"),
                _INK,
            ),
        }
    )


def image_grid(
    images: Any,
    titles: Sequence[str] = (),
    *,
    columns: int = 6,
    alt: str = "",
) -> Figure:
    """Draw pictures side by side, each with a title.

    Args:
        images: The pictures, in [0, 1].
        titles: A title for each picture, or none.
        columns: Pictures in a row.
        alt: What is to be seen; by default the number of pictures and their titles.

    Shapes:
        images `(n, h, w)`, `(n, h, w, 1)` or `(n, h, w, 3)`.

    Returns:
        A figure.

    Raises:
        ValueError: No pictures, another rank, or another number of titles than of pictures.

    Source:
        Tufte (1990), *Envisioning Information*, on small multiples.

    Example:
        >>> import numpy as np
        >>> from cnn_tf.plots import image_grid
        >>> image_grid(np.zeros((2, 28, 28)), ["left", "right"])
        <Figure: 2 pictures: left, right.>
    """
    images = np.asarray(images)
    if images.ndim not in (3, 4) or len(images) == 0:
        raise ValueError(
            "image_grid expected pictures of shape (n, h, w) or (n, h, w, channels). Received: "
            f"shape {images.shape}."
        )
    if len(titles) not in (0, len(images)):
        raise ValueError(
            f"image_grid expected a title for each of {len(images)} pictures. "
            f"Received: {len(titles)}."
        )
    Canvas = _matplotlib().figure.Figure

    names = titles if len(titles) else [""] * len(images)
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    with style():
        canvas = Canvas(figsize=(0.75 * columns, (0.95 if len(titles) else 0.75) * rows))
        axes = canvas.subplots(rows, columns, squeeze=False).ravel()
        for axis in axes:
            axis.set_axis_off()
        for axis, image, title in zip(axes, images, names, strict=False):
            axis.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="none")
            axis.set_title(title, fontsize=7, pad=2)
    listed = f": {', '.join(titles)}" if len(titles) else ""
    return Figure(canvas, alt or f"{len(images)} pictures{listed}.")


def corr2d_plot(X: Any, K: Any, row: int = 0, column: int = 0) -> Figure:
    """Draw a cross-correlation: the image, the kernel and the output, one window marked.

    Args:
        X: The image.
        K: The kernel.
        row: Row of the output whose window is marked.
        column: Column of the output whose window is marked.

    Shapes:
        X `(n_h, n_w)`, K `(k_h, k_w)`.

    Returns:
        A figure with the sum that makes the marked output written out below it.

    Raises:
        ValueError: Wrong ranks, a kernel larger than the image, or no such output.

    Source:
        Dumoulin and Visin (2016), *A guide to convolution arithmetic for deep learning*.

    Example:
        >>> import numpy as np
        >>> from cnn_tf.plots import corr2d_plot
        >>> corr2d_plot(np.arange(9).reshape(3, 3), np.arange(4).reshape(2, 2), row=1)
        <Figure: A 2×2 kernel on a 3×3 image: 3·0 + 4·1 + 6·2 + 7·3 = 37.>
    """
    Canvas = _matplotlib().figure.Figure
    Rectangle = _matplotlib().patches.Rectangle
    X, K = np.asarray(X), np.asarray(K)
    Y = np.asarray(corr2d(X, K))
    if not (0 <= row < Y.shape[0] and 0 <= column < Y.shape[1]):
        raise ValueError(
            f"corr2d_plot expected a place in the output of shape {Y.shape}. Received: "
            f"row={row}, column={column}."
        )
    k_h, k_w = K.shape
    window = X[row : row + k_h, column : column + k_w]
    terms = " + ".join(f"{x:g}·{k:g}" for x, k in zip(window.flat, K.flat, strict=True))
    total = f"{terms} = {Y[row, column]:g}"

    marked = {"X": (row, column, k_h, k_w), "K": (0, 0, k_h, k_w), "Y": (row, column, 1, 1)}
    gap = 1.0
    with style():
        height = max(X.shape[0], 2) + 1.3
        canvas = Canvas(figsize=(4.8, 4.8 * height / (X.shape[1] + k_w + Y.shape[1] + 2 * gap)))
        axis = canvas.subplots()
        left = 0.0
        for name, numbers, color, sign in (
            ("X", X, X_COLOR, "⋆"),
            ("K", K, K_COLOR, "="),
            ("Y", Y, Y_COLOR, ""),
        ):
            rows, columns = numbers.shape
            top = (X.shape[0] - rows) / 2
            for (i, j), number in np.ndenumerate(numbers):
                first_row, first_column, tall, wide = marked[name]
                inside = (
                    first_row <= i < first_row + tall and first_column <= j < first_column + wide
                )
                corner = (left + j, top + i)
                axis.add_patch(
                    Rectangle(corner, 1, 1, facecolor=color if inside else "none", alpha=0.3)
                )
                axis.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor=color))
                axis.text(corner[0] + 0.5, corner[1] + 0.5, f"{number:g}", ha="center", va="center")
            axis.text(left + columns / 2, top - 0.35, name, color=color, ha="center", va="center")
            left += columns
            axis.text(left + gap / 2, X.shape[0] / 2, sign, ha="center", va="center", fontsize=14)
            left += gap
        axis.text((left - gap) / 2, X.shape[0] + 0.5, total, ha="center", va="center")
        axis.set(xlim=(-0.1, left - gap + 0.1), ylim=(X.shape[0] + 0.8, -0.6), aspect="equal")
        axis.set_axis_off()
    size = f"A {k_h}×{k_w} kernel on a {X.shape[0]}×{X.shape[1]} image"
    return Figure(canvas, f"{size}: {total}.")


def line_plot(
    panels: Mapping[str, Mapping[str, Sequence[float]]],
    *,
    x: Sequence[float],
    x_label: str,
    alt: str,
) -> Figure:
    """Draw up to three curves in each of several panels, side by side.

    Args:
        panels: For each panel's title, its curves by name. A name has one colour and one kind of
            line in all panels.
        x: Where the values of all curves lie.
        x_label: What x is, with its unit.
        alt: What is to be seen.

    Shapes:
        Each curve holds as many numbers as `x`.

    Returns:
        A figure.

    Raises:
        ValueError: A curve of another length than `x`, or a fourth curve.

    Source:
        Tufte (1983), *The Visual Display of Quantitative Information*.

    Example:
        >>> from cnn_tf.plots import line_plot
        >>> line_plot({"loss": {"training": [2, 1]}}, x=[1, 2], x_label="epoch", alt="It falls.")
        <Figure: It falls.>
    """
    Canvas = _matplotlib().figure.Figure

    looks = ((X_COLOR, "-", "o"), (K_COLOR, "--", "s"), (Y_COLOR, ":", "^"))
    with style():
        canvas = Canvas(figsize=(2.9 * len(panels), 2.4))
        for axis, (title, curves) in zip(
            canvas.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True
        ):
            if len(curves) > len(looks):
                raise ValueError(
                    f"line_plot can tell {len(looks)} curves apart. Received: {len(curves)} in "
                    f"{title!r}. Draw them in several panels."
                )
            for (name, values), (color, line, marker) in zip(curves.items(), looks, strict=False):
                if len(values) != len(x):
                    raise ValueError(
                        f"line_plot expected {len(x)} values in {name!r} of {title!r}. "
                        f"Received: {len(values)}."
                    )
                axis.plot(x, values, line, color=color, marker=marker, markersize=3.5, label=name)
            axis.set_title(title)
            axis.set_xlabel(x_label)
            axis.xaxis.get_major_locator().set_params(integer=True)
            axis.legend(fontsize=9)
    return Figure(canvas, alt)


def confusion_plot(
    labels: Any, predictions: Any, class_names: Sequence[str], *, alt: str = ""
) -> Figure:
    """Draw how often each class is taken for each other.

    Args:
        labels: The true classes, as integers.
        predictions: The classes that a model chose.
        class_names: Names of the classes, in their order.
        alt: What is to be seen; by default the share of right answers and the worst confusion.

    Shapes:
        labels and predictions `(n,)`.

    Returns:
        A figure: a row for each true class, a column for each chosen one, in per cent of the row.

    Raises:
        ValueError: labels and predictions of different length.

    Source:
        Stehman (1997), *Selecting and interpreting measures of thematic classification accuracy*.

    Example:
        >>> from cnn_tf.plots import confusion_plot
        >>> confusion_plot([0, 1, 1, 1], [0, 1, 1, 0], ["Bag", "Coat"])
        <Figure: 75 % of 4 pictures are right. Most often, Coat is taken for Bag: 33 %.>
    """
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    if labels.shape != predictions.shape or labels.ndim != 1:
        raise ValueError(
            "confusion_plot expected as many predictions as labels, in vectors. Received: shapes "
            f"{labels.shape} and {predictions.shape}."
        )
    Canvas = _matplotlib().figure.Figure

    n = len(class_names)
    counts = np.zeros((n, n), int)
    np.add.at(counts, (labels, predictions), 1)
    share = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    wrong = np.where(np.eye(n, dtype=bool), -1, share)
    true, chosen = divmod(int(wrong.argmax()), n)
    with style():
        canvas = Canvas(figsize=(4.6, 4.4))
        axis = canvas.subplots()
        # One colour, more or less transparent, never so much that the ink of a white page or of a
        # black one is lost on it.
        cells = np.empty((n, n, 4))
        cells[..., :3] = _matplotlib().colors.to_rgb(X_COLOR)
        cells[..., 3] = 0.75 * share / 100
        axis.imshow(cells, interpolation="none")
        for (row, column), value in np.ndenumerate(share):
            if round(value) > 0:
                axis.text(column, row, f"{value:.0f}", ha="center", va="center", fontsize=8)
        axis.set_xticks(range(n), class_names, rotation=60, ha="right", rotation_mode="anchor")
        axis.set_yticks(range(n), class_names)
        axis.set_xlabel("taken for")
        axis.set_ylabel("truly")
        axis.tick_params(length=0)
        axis.spines[:].set_visible(False)
    worst = (
        f" Most often, {class_names[true]} is taken for {class_names[chosen]}: {wrong.max():.0f} %."
    )
    right = f"{100 * np.mean(labels == predictions):.0f} % of {len(labels)} pictures are right."
    alt = alt or right + (worst if wrong.max() > 0 else "")
    return Figure(canvas, alt)


def _matplotlib() -> Any:
    try:
        import matplotlib.colors
        import matplotlib.figure
        import matplotlib.patches
    except ModuleNotFoundError as error:
        raise ImportError(
            f"The drawings of cnn_tf need Matplotlib ({error}): pip install matplotlib"
        ) from error
    return matplotlib


def _inline(svg: str, alt: str) -> str:
    """Make a file's SVG fit for the middle of a page."""
    svg = svg[svg.index("<svg") :].replace(_INK, "currentColor")
    # The style sheet in <defs> would rule the whole page; its two rules go to the root element.
    svg = re.sub(r"<metadata>.*?</metadata>|<defs>\s*<style.*?</defs>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'font-family: [^;"]*', "font-family: inherit", svg)
    # Ids must not meet those of the page's other drawings.
    prefix = "f" + hashlib.sha256(svg.encode()).hexdigest()[:8] + "-"
    svg = re.sub(r'\bid="|url\(#|href="#', lambda mark: mark[0] + prefix, svg)

    def fit_the_page(size: re.Match[str]) -> str:
        pixels = float(size[1]) * 4 / 3  # a point is 4/3 of a CSS pixel
        return (
            f'role="img" aria-label="{escape(alt)}" '
            f'style="width: {pixels:.0f}px; max-width: 100%; height: auto; '
            'stroke-linejoin: round; stroke-linecap: butt"'
        )

    return re.sub(r'width="([\d.]+)pt" height="[\d.]+pt"', fit_the_page, svg, count=1)
