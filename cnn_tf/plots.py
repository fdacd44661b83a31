"""The drawings of the book: one look, for light and dark pages, with a text for those who listen.

A figure is inline SVG. What a reader should see in the colour of the page's text is drawn in
`currentColor`, so that one drawing serves both modes. Matplotlib is imported when a figure is
drawn: those who only import layers do not need it.
"""

import hashlib
import io
import re
from collections.abc import Collection, Mapping, Sequence
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
        figure: A Matplotlib figure. One made by `pyplot` stays open: close it yourself.
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
        images `(n, h, w)` or `(n, h, w, channels)`: 1, 3 or, with the opacity, 4 channels.

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
    with style():
        canvas, axes = _grid(images, titles, columns, "image_grid")
        for axis, image in zip(axes, images, strict=True):
            axis.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="none")
    listed = f": {', '.join(titles)}" if len(titles) else ""
    return Figure(canvas, alt or f"{len(images)} pictures{listed}.")


def signed_grid(
    images: Any,
    titles: Sequence[str] = (),
    *,
    columns: int = 6,
    limit: float | None = None,
    alt: str,
) -> Figure:
    """Draw pictures of signed numbers, such as kernels, side by side, with one scale.

    Positive is blue, negative is orange; zero is the page itself, light or dark.

    Args:
        images: The pictures.
        titles: A title for each picture, or none.
        columns: Pictures in a row.
        limit: The size of the number that is drawn in full colour; by default the largest.
        alt: What is to be seen.

    Shapes:
        images `(n, h, w)`.

    Returns:
        A figure.

    Raises:
        ValueError: No pictures, another rank, or another number of titles than of pictures.

    Source:
        Brewer (1994), *Color use guidelines for mapping and visualization*, on diverging scales.

    Example:
        >>> import numpy as np
        >>> from cnn_tf.plots import signed_grid
        >>> signed_grid(np.array([[[1.0, -1.0]]]), alt="A kernel: plus at the left, minus right.")
        <Figure: A kernel: plus at the left, minus right.>
    """
    images = np.asarray(images, float)
    if images.ndim != 3 or len(images) == 0:
        raise ValueError(
            f"signed_grid expected pictures of shape (n, h, w). Received: shape {images.shape}."
        )
    limit = limit or float(abs(images).max()) or 1.0
    with style():
        canvas, axes = _grid(images, titles, columns, "signed_grid")
        for axis, image in zip(axes, images, strict=True):
            axis.imshow(signed_colors(image / limit), interpolation="none")
            axis.set_axis_on()
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set(visible=True, alpha=0.4)
        foot = 0.25 / (canvas.get_figheight() + 0.25)
        canvas.set_figheight(canvas.get_figheight() + 0.25)
        canvas.get_layout_engine().set(rect=(0, foot, 1, 1 - foot))
        scale = canvas.add_axes((0.35, 0.2 * foot, 0.3, 0.5 * foot))
        scale.imshow(signed_colors(np.linspace(-1, 1, 41)[None]), aspect="auto")
        scale.set_axis_off()
        for place, sign, side in ((-0.04, "−", "right"), (1.04, "", "left")):
            scale.text(
                place,
                0.5,
                f"{sign}{limit:.3g}",
                transform=scale.transAxes,
                ha=side,
                va="center",
                fontsize=9,
            )
    return Figure(canvas, alt)


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
    X, K = np.asarray(X), np.asarray(K)
    Y = np.asarray(corr2d(X, K))
    if not (0 <= row < Y.shape[0] and 0 <= column < Y.shape[1]):
        raise ValueError(
            f"corr2d_plot expected a place in the output of shape {Y.shape}. Received: "
            f"row={row}, column={column}."
        )
    k_h, k_w = K.shape
    under = np.s_[row : row + k_h, column : column + k_w]
    terms = " + ".join(f"{x:g}·{k:g}" for x, k in zip(X[under].flat, K.flat, strict=True))
    total = f"{terms} = {Y[row, column]:g}"
    size = f"A {k_h}×{k_w} kernel on a {X.shape[0]}×{X.shape[1]} image"
    return cells_plot(
        Cells(X, "X", X_COLOR, lit=under),
        "⋆",
        Cells(K, "K", K_COLOR, lit=...),
        "=",
        Cells(Y, "Y", Y_COLOR, lit=np.s_[row, column]),
        note=total,
        alt=f"{size}: {total}.",
    )


class Cells:
    """A grid of numbered squares, a part of `cells_plot`.

    Args:
        values: What stands in the cells: numbers, or strings.
        name: What stands above the grid.
        color: The colour of the grid.
        lit: The cells that are filled: an index expression such as `np.s_[0:2, 1:3]` (`...` for
            all), a boolean mask, or how strongly each cell is filled, from 0 to 1.
        dashed: The cells with a dashed edge, such as padding: an index expression or a mask.

    Shapes:
        values, and masks, `(h, w)`.

    Raises:
        ValueError: `values` are no matrix, or a mask has another shape.

    Source:
        Dumoulin and Visin (2016), *A guide to convolution arithmetic for deep learning*.

    Example:
        >>> import numpy as np
        >>> from cnn_tf.plots import Cells
        >>> Cells(np.eye(2), "K", lit=np.s_[0]).lit
        array([[1., 1.],
               [0., 0.]])
    """

    def __init__(
        self,
        values: Any,
        name: str = "",
        color: str = X_COLOR,
        *,
        lit: Any = None,
        dashed: Any = None,
    ) -> None:
        self.values = np.asarray(values)
        if self.values.ndim != 2:
            raise ValueError(
                f"Cells expected a matrix of values. Received: shape {self.values.shape}."
            )
        self.name, self.color = name, color
        self.lit = self._strengths(lit, "lit")
        self.dashed = self._strengths(dashed, "dashed") > 0

    def _strengths(self, cells: Any, name: str) -> np.ndarray:
        """How strongly each cell is marked, from whatever form the caller gave."""
        strengths = np.zeros(self.values.shape)
        if isinstance(cells, (list, np.ndarray)):
            mask = np.asarray(cells, float)
            if mask.shape != strengths.shape:
                raise ValueError(
                    f"Cells expected {name} of the shape of values, {strengths.shape}. "
                    f"Received: shape {mask.shape}."
                )
            return mask
        if cells is not None:
            strengths[cells] = 1
        return strengths

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in cells, without the name."""
        return self.values.shape

    def _draw(self, axis: Any, left: float, top: float) -> None:
        Rectangle = _matplotlib().patches.Rectangle

        for (i, j), value in np.ndenumerate(self.values):
            corner = (left + j, top + i)
            strength = 0.3 * float(self.lit[i, j])
            axis.add_patch(Rectangle(corner, 1, 1, facecolor=self.color, alpha=strength, lw=0))
            line = (0, (2, 2)) if self.dashed[i, j] else "-"
            axis.add_patch(
                Rectangle(corner, 1, 1, fill=False, edgecolor=self.color, linestyle=line)
            )
            text = value if isinstance(value, str) else f"{value:.4g}"
            axis.text(corner[0] + 0.5, corner[1] + 0.5, text, ha="center", va="center")
        if self.name:
            axis.text(
                left + self.size[1] / 2,
                top - 0.35,
                self.name,
                color=self.color,
                ha="center",
                va="center",
            )


def cells_plot(*parts: Cells | str | Sequence[Cells], alt: str, note: str = "") -> Figure:
    """Draw grids of numbered cells in a row, with operators between them.

    One cell has the same size in all drawings.

    Args:
        parts: From left to right: a grid; a sign such as `"="`; or several grids, one below
            another.
        alt: What is to be seen.
        note: A line below the drawing.

    Returns:
        A figure.

    Raises:
        ValueError: There is nothing to draw.

    Source:
        Dumoulin and Visin (2016), *A guide to convolution arithmetic for deep learning*.

    Example:
        >>> from cnn_tf.plots import Cells, Y_COLOR, cells_plot
        >>> cells_plot(Cells([[1, 2]]), "→", Cells([[3]], color=Y_COLOR), alt="1 + 2 gives 3.")
        <Figure: 1 + 2 gives 3.>
    """
    Canvas = _matplotlib().figure.Figure

    if not parts:
        raise ValueError("cells_plot expected something to draw. Received: no parts.")
    inch, gap, head = 0.42, 0.5, 0.7  # a cell; the rest in cells: between parts, for a name
    columns: list[str | list[Cells]] = [
        part if isinstance(part, str) else [part] if isinstance(part, Cells) else list(part)
        for part in parts
    ]

    def tall(column: str | list[Cells]) -> float:
        if isinstance(column, str):
            return 1.0
        return sum(grid.size[0] + (head if grid.name else gap) for grid in column)

    def wide(column: str | list[Cells]) -> float:
        if isinstance(column, str):
            return max(0.35 * len(column), 0.3)
        return max(grid.size[1] for grid in column)

    height = max(tall(column) for column in columns)
    width = sum(wide(column) + gap for column in columns) - gap
    foot = 1.0 if note else 0.1
    # The note may be wider than the grids: a letter takes about a sixth of a cell.
    drawn = max(width, 0.19 * len(note)) + 0.2
    with style():
        canvas = Canvas(figsize=(inch * drawn, inch * (height + foot)))
        canvas.set_layout_engine("none")
        axis = canvas.add_axes((0, 0, 1, 1))
        left = 0.0
        for column in columns:
            if isinstance(column, str):
                axis.text(
                    left + wide(column) / 2,
                    height / 2 + head / 2,
                    column,
                    ha="center",
                    va="center",
                    fontsize=14,
                )
            else:
                top = (height - tall(column)) / 2
                for grid in column:
                    top += head if grid.name else gap
                    grid._draw(axis, left + (wide(column) - grid.size[1]) / 2, top)
                    top += grid.size[0]
            left += wide(column) + gap
        axis.text(width / 2, height + 0.55, note, ha="center", va="center")
        middle = width / 2
        axis.set(xlim=(middle - drawn / 2, middle + drawn / 2), ylim=(height + foot, 0))
        axis.set_axis_off()
    return Figure(canvas, alt)


def line_plot(
    panels: Mapping[str, Mapping[str, Any]],
    *,
    x: Sequence[float],
    x_label: str,
    alt: str,
    log: str = "",
) -> Figure:
    """Draw up to three curves in each of several panels, side by side.

    Args:
        panels: For each panel's title, its curves by name. A name has one colour and one kind of
            line in all panels. A curve that was measured several times is drawn as its mean,
            within a band from the least to the greatest.
        x: Where the values of all curves lie.
        x_label: What x is, with its unit.
        alt: What is to be seen.
        log: The axes with a logarithmic scale: `""`, `"x"`, `"y"` or `"xy"`.

    Shapes:
        x `(n,)`; each curve `(n,)` or `(repeats, n)`.

    Returns:
        A figure.

    Raises:
        ValueError: A curve of another length than `x`, a fourth curve, or other axes.

    Source:
        Tufte (1983), *The Visual Display of Quantitative Information*.

    Example:
        >>> from cnn_tf.plots import line_plot
        >>> line_plot({"loss": {"training": [2, 1]}}, x=[1, 2], x_label="epoch", alt="It falls.")
        <Figure: It falls.>
    """
    Canvas = _matplotlib().figure.Figure

    if log not in ("", "x", "y", "xy"):
        raise ValueError(f'line_plot expected log to be "", "x", "y" or "xy". Received: {log!r}.')
    looks = ((X_COLOR, "-", "o"), (K_COLOR, "--", "s"), (Y_COLOR, ":", "^"))
    with style():
        canvas = Canvas(figsize=(2.9 * len(panels), 2.4) if len(panels) > 1 else (4.2, 2.6))
        for axis, (title, curves) in zip(
            canvas.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True
        ):
            if len(curves) > len(looks):
                raise ValueError(
                    f"line_plot can tell {len(looks)} curves apart. Received: {len(curves)} in "
                    f"{title!r}. Draw them in several panels."
                )
            for (name, values), (color, line, marker) in zip(curves.items(), looks, strict=False):
                values = np.asarray(values, float)
                if values.ndim not in (1, 2) or values.shape[-1] != len(x):
                    raise ValueError(
                        f"line_plot expected {len(x)} values in {name!r} of {title!r}. "
                        f"Received: shape {values.shape}."
                    )
                repeats = np.atleast_2d(values)
                if len(repeats) > 1:
                    axis.fill_between(
                        x, repeats.min(axis=0), repeats.max(axis=0), color=color, alpha=0.2, lw=0
                    )
                mark = marker if len(x) <= 40 else ""
                axis.plot(
                    x,
                    repeats.mean(axis=0),
                    line,
                    color=color,
                    marker=mark,
                    markersize=3.5,
                    label=name,
                )
            axis.set_title(title)
            axis.set_xlabel(x_label)
            if "x" in log:
                axis.set_xscale("log")
                if len(x) <= 8:  # few enough to be read: the values themselves
                    axis.set_xticks(x, [f"{place:g}" for place in x])
                    axis.set_xticks([], minor=True)
            elif all(float(place).is_integer() for place in x):
                axis.xaxis.get_major_locator().set_params(integer=True)
            if "y" in log:
                axis.set_yscale("log")
            axis.legend(fontsize=9)
    return Figure(canvas, alt)


def dot_plot(rows: Mapping[str, Sequence[float]], *, x_label: str, alt: str) -> Figure:
    """Draw repeated measurements: a row for each thing measured, a dot for each time.

    Args:
        rows: The measurements by name, from top to bottom.
        x_label: What was measured, with its unit.
        alt: What is to be seen.

    Returns:
        A figure: the dots, and an upright bar at each row's mean.

    Raises:
        ValueError: A row without a measurement, or no rows.

    Source:
        Cleveland (1985), *The Elements of Graphing Data*, on dot plots.

    Example:
        >>> from cnn_tf.plots import dot_plot
        >>> dot_plot({"old": [0.7], "new": [0.8, 0.9]}, x_label="accuracy", alt="New wins.")
        <Figure: New wins.>
    """
    Canvas = _matplotlib().figure.Figure

    if not rows or not all(len(values) for values in rows.values()):
        raise ValueError(
            "dot_plot expected measurements in each row. Received: "
            f"{ {name: len(values) for name, values in rows.items()} }."
        )
    with style():
        canvas = Canvas(figsize=(5.2, 0.7 + 0.3 * len(rows)))
        axis = canvas.subplots()
        for place, values in enumerate(rows.values()):
            axis.axhline(place, color=_INK, alpha=0.15, linewidth=0.8)
            axis.plot(values, [place] * len(values), "o", color=X_COLOR, alpha=0.8, markersize=5)
            axis.plot(np.mean(values), place, "|", color=K_COLOR, markersize=14, markeredgewidth=2)
        axis.set_yticks(range(len(rows)), list(rows))
        axis.set_ylim(len(rows) - 0.5, -0.5)
        axis.set_xlabel(x_label)
        axis.tick_params(axis="y", length=0)
        axis.spines["left"].set_visible(False)
    return Figure(canvas, alt)


def confusion_plot(
    labels: Any, predictions: Any, class_names: Sequence[str], *, alt: str = ""
) -> Figure:
    """Draw how often each class is taken for each of the others.

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
        # One colour, more or less opaque, but never so opaque that the numbers cannot be read on
        # it: they are black on a white page and white on a black one.
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


def feature_maps_plot(
    stages: Sequence[Any], probabilities: Any, class_names: Sequence[str], *, alt: str
) -> Figure:
    """Draw a picture on its way through a network: its feature maps, then the classes' bars.

    Args:
        stages: The picture and what the layers make of it, from left to right.
        probabilities: The probability of each class.
        class_names: Names of the classes, in their order.
        alt: What is to be seen.

    Shapes:
        Each stage `(h, w, channels)`, probabilities `(n,)`.

    Returns:
        A figure.

    Raises:
        ValueError: A stage of another rank, or another number of names than of probabilities.

    Source:
        LeCun et al. (1998), *Gradient-based learning applied to document recognition*, figure 2.

    Example:
        >>> import numpy as np
        >>> from cnn_tf.plots import feature_maps_plot
        >>> stages = [np.zeros((4, 4, 1)), np.zeros((2, 2, 6))]
        >>> feature_maps_plot(stages, [0.9, 0.1], ["Bag", "Coat"], alt="Probably a bag.")
        <Figure: Probably a bag.>
    """
    stages = [np.asarray(stage) for stage in stages]
    if any(stage.ndim != 3 for stage in stages) or len(class_names) != len(probabilities):
        raise ValueError(
            "feature_maps_plot expected stages of shape (h, w, channels) and as many names as "
            f"probabilities. Received: stages of shapes {[stage.shape for stage in stages]}, "
            f"{len(class_names)} names and {len(probabilities)} probabilities."
        )
    # About two maps high for each map wide: 1 column for a picture, 2 for 6 maps, 4 for 16.
    columns = [max(1, round((stage.shape[-1] / 1.5) ** 0.5 + 0.3)) for stage in stages]
    widths = [2.1, *(0.5 + 0.45 * count for count in columns[1:]), 2.2]
    with style():
        canvas = _matplotlib().figure.Figure(figsize=(0.8 * sum(widths), 2.3))
        parts = canvas.subfigures(1, len(widths), width_ratios=widths)
        for part, stage, count in zip(parts, stages, columns, strict=False):
            grid = part.subplots(-(-stage.shape[-1] // count), count, squeeze=False).ravel()
            for axis in grid:
                axis.set_axis_off()
            for axis, picture in zip(grid, np.moveaxis(stage, -1, 0), strict=False):
                axis.imshow(picture, cmap="gray", interpolation="none")
        bars = parts[-1].subplots()
        bars.barh(class_names, probabilities, color=Y_COLOR)
        bars.invert_yaxis()
        bars.set_xticks([])
        bars.tick_params(length=0, labelsize=8)
        bars.spines[:].set_visible(False)
    return Figure(canvas, alt)


def seen_plot(
    maps: Sequence[tuple[str, tuple[int, int], tuple[Collection[int], Collection[int]]]],
    *,
    alt: str,
) -> Figure:
    """Draw maps side by side as grids, with the cells filled that are seen.

    Args:
        maps: For each map its name, its size, and the rows and the columns that are seen; the
            cells where both meet are filled. The last map has the output's colour.
        alt: What is to be seen.

    Shapes:
        Sizes are pairs (rows, columns) of cells.

    Returns:
        A figure.

    Raises:
        ValueError: No maps.

    Source:
        Dumoulin and Visin (2016), *A guide to convolution arithmetic for deep learning*.

    Example:
        >>> from cnn_tf.plots import seen_plot
        >>> maps = [("input", (5, 5), ({1, 2, 3}, {0, 1})), ("output", (3, 3), ({1}, {0}))]
        >>> seen_plot(maps, alt="An output at the left edge sees six cells.")
        <Figure: An output at the left edge sees six cells.>
    """
    if not maps:
        raise ValueError("seen_plot expected at least one map. Received: none.")
    matplotlib = _matplotlib()

    def slots(cell: float) -> list[float]:
        return [max(w * cell, 0.7) for _, (_, w), _ in maps]  # inches: room for a name at least

    gap = 0.2
    room = 6.4 - gap * (len(maps) - 1)
    cell = next((c for c in np.arange(0.28, 0.02, -0.005) if sum(slots(c)) <= room), 0.02)
    width = sum(slots(cell)) + gap * (len(maps) - 1) + 0.1
    height = max(h for _, (h, _), _ in maps) * cell
    with style():
        figure = matplotlib.figure.Figure(figsize=(width, height + 0.5))
        figure.set_layout_engine("none")
        axis = figure.add_axes((0, 0, 1, 1))
        left = 0.05
        for place, ((name, (h, w), (rows, columns)), slot) in enumerate(
            zip(maps, slots(cell), strict=True)
        ):
            color = Y_COLOR if place == len(maps) - 1 else X_COLOR
            x, top = left + (slot - w * cell) / 2, 0.43 + (height - h * cell) / 2
            for first_row, tall in _runs(rows):
                for first_column, wide in _runs(columns):
                    corner = (x + first_column * cell, top + first_row * cell)
                    axis.add_patch(
                        matplotlib.patches.Rectangle(
                            corner, wide * cell, tall * cell, facecolor=color, alpha=0.45, lw=0
                        )
                    )
            # Lines between cells too small to be seen would be a grey sheet.
            steps_h, steps_w = (range(n + 1) if cell > 0.05 else (0, n) for n in (h, w))
            lines = [
                *([(x, top + i * cell), (x + w * cell, top + i * cell)] for i in steps_h),
                *([(x + j * cell, top), (x + j * cell, top + h * cell)] for j in steps_w),
            ]
            axis.add_collection(
                matplotlib.collections.LineCollection(
                    lines, colors=color, linewidths=0.8 if cell > 0.1 else 0.3
                )
            )
            label = f"{name}\n{h} × {w}"
            axis.text(left + slot / 2, top - 0.06, label, ha="center", va="bottom", fontsize=8)
            left += slot + gap
        axis.set(xlim=(0, width), ylim=(height + 0.5, 0))
        axis.set_axis_off()
    return Figure(figure, alt)


def signed_colors(values: Any) -> np.ndarray:
    """Turn numbers from -1 to 1 into colours that leave the page free at zero.

    Positive is blue, negative is orange; the size is the opacity.

    Args:
        values: The numbers. What lies outside of [-1, 1] has full colour.

    Shapes:
        values of any shape -> `(*shape, 4)`: red, green, blue and opacity, in [0, 1].

    Returns:
        A NumPy array.

    Source:
        Brewer (1994), *Color use guidelines for mapping and visualization*, on diverging scales.

    Example:
        >>> from cnn_tf.plots import signed_colors
        >>> print(signed_colors([-1, 0.5])[:, 3])
        [1.  0.5]
    """
    values = np.asarray(values, float)
    colors = _matplotlib().colors
    cells = np.empty((*values.shape, 4))
    cells[..., :3] = np.where(
        (values >= 0)[..., None], colors.to_rgb(X_COLOR), colors.to_rgb(K_COLOR)
    )
    cells[..., 3] = np.minimum(abs(values), 1)
    return cells


def _grid(
    images: Any, titles: Sequence[str], columns: int, caller: str
) -> tuple[Any, Sequence[Any]]:
    """A canvas with bare, titled axes for each picture."""
    if len(titles) not in (0, len(images)):
        raise ValueError(
            f"{caller} expected a title for each of {len(images)} pictures. "
            f"Received: {len(titles)}."
        )
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    wide = min(max(1.0, 6.5 / columns), 2.4)  # as wide as the page, in inches, if they are many
    high = wide * images.shape[1] / images.shape[2]
    lines = max((title.count("\n") + 1 for title in titles), default=0)
    canvas = _matplotlib().figure.Figure(figsize=(wide * columns, (high + 0.17 * lines) * rows))
    axes = canvas.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes:
        axis.set_axis_off()
    for axis, title in zip(axes, titles, strict=False):
        axis.set_title(title, fontsize=9, pad=3)
    return canvas, axes[: len(images)]


def _runs(cells: Collection[int]) -> list[tuple[int, int]]:
    """Neighbouring numbers as (first, how many): one patch for all shows no seams."""
    firsts = [i for i in sorted(cells) if i - 1 not in cells]
    lasts = [i for i in sorted(cells) if i + 1 not in cells]
    return [(first, last - first + 1) for first, last in zip(firsts, lasts, strict=True)]


def _matplotlib() -> Any:
    try:
        import matplotlib.collections
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
