"""The interactive figures of the book, on its site and in notebooks.

An explorer is a custom element of the browser: an ES module in the folder `javascript`. Python
gives it its settings, and a static figure of the same thing for where no script runs. In a notebook
the modules travel within the output, since it can load nothing else; a site serves the same files.
"""

import base64
import inspect
import json
import math
import os
import re
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras.ops import convert_to_numpy

from cnn_tf.arguments import (
    Padding,
    Size,
    axis_padding,
    by_axis,
    check_int,
    standardize_padding,
    standardize_pair,
)
from cnn_tf.data import FashionMNIST
from cnn_tf.functional import corr2d, corr2d_multi_in_out, correlate, output_size
from cnn_tf.layers import AveragePooling2D, Conv2D, MaxPooling2D
from cnn_tf.plots import (
    K_COLOR,
    X_COLOR,
    Y_COLOR,
    Cells,
    Figure,
    cells_plot,
    corr2d_plot,
    feature_maps_plot,
    line_plot,
    signed_grid,
)
from cnn_tf.receptive_field import receptive_field_plot

_MODULES = Path(__file__).parent / "javascript"

# In a notebook: each module becomes an address of its own, after those that it imports.
_LOADER = """
const sources = {sources};
const addresses = {{}};
for (const [name, source] of Object.entries(sources)) {{
  const linked = source.replace(/from "\\.\\/(.+?)"/g, (_, it) => `from "${{addresses[it]}}"`);
  addresses[name] = URL.createObjectURL(new Blob([linked], {{ type: "text/javascript" }}));
}}
await import(addresses["{last}"]);
Object.values(addresses).forEach((address) => URL.revokeObjectURL(address));
"""

Settings = dict[str, Any]


class Explorer:
    """An interactive figure, shown by a notebook and by the pages of the book.

    Args:
        name: The explorer's name, one of those of `explore`.
        settings: Its state at the start.
        figure: A static figure of the same thing.
        data: What is too large for a setting: pictures, weights.

    Source:
        WHATWG, *HTML*, on custom elements.

    Example:
        >>> from cnn_tf import explore
        >>> explore("padding", size=8, kernel_size=3, padding=1).settings["padding"]
        [1, 1]
    """

    def __init__(
        self, name: str, settings: Settings, figure: Figure, data: Settings | None = None
    ) -> None:
        self.name, self.settings, self.figure, self.data = name, settings, figure, data or {}

    def _repr_html_(self) -> str:
        modules = {path.name: path.read_text("utf-8") for path in _in_order(f"{self.name}.js")}
        loader = _LOADER.format(sources=_script(modules), last=f"{self.name}.js")
        settings = escape(json.dumps(self.settings))
        data = ""
        if self.data:
            data = f'<script type="application/json">{_script(self.data)}</script>'
        return (
            f'<cnn-{self.name} settings="{settings}">{self.figure._repr_html_()}{data}'
            f'</cnn-{self.name}><script type="module">{loader}</script>'
        )

    def __repr__(self) -> str:
        return f"<Explorer {self.name}: {self.figure.alt}>"


def explore(name: str, **settings: Any) -> Explorer:
    r"""Show an interactive figure: in a notebook, the last line of a cell.

    What the reader moves is computed in the browser, by the formulas of this package: of
    `corr2d`, of `output_size`, $\lfloor (n - k + p + s) / s \rfloor$, and so on.

    Args:
        name: Which one.
        **settings: Its settings; all have a default, apart from `model`.
            `"sliding-window"`: the image `X` and the kernel `K`, matrices; `place`, the output
            whose sum is shown.
            `"padding"`: `size`, `kernel_size`, `strides` and `dilation_rate`, ints or pairs (rows,
            columns); `padding`, `"valid"`, `"same"`, an int or a pair, up to 3.
            `"channels"`: `X` of shape `(c_i, h, w)`, `K` of shape `(c_o, c_i, k_h, k_w)`; the
            output `channel` and the `place` whose sum is shown.
            `"kernels"`: a `picture` of shape `(h, w)` in [0, 1] and a `kernel` of 3x3 or 5x5.
            `"pooling"`: a `picture` of at most 32x32; `pool_size` and `strides`, ints up to 4;
            `shift`, a pair from -8 to 8: what comes in repeats the border.
            `"learning"`: the image `X`, the kernel `K` to be found, the first kernel `start` and
            the `learning_rate`, from 0.001 to 0.3.
            `"receptive-field"`: a `picture`; `layers`, a list of triples (kernel size, stride,
            dilation).
            `"lenet"`: a trained Keras `model`, a chain of convolutions, pooling and dense layers;
            `data`, a `FashionMNIST`; `each`, how many test pictures of each class go along.

    Shapes:
        As above. Pictures have at most 256 rows and columns.

    Returns:
        An `Explorer`.

    Raises:
        ValueError: An unknown name, or a setting out of its range.
        TypeError: An unknown setting, or a number that is not an integer.

    Source:
        Dumoulin and Visin (2016), *A guide to convolution arithmetic for deep learning*.

    Example:
        >>> from cnn_tf import explore
        >>> explore("sliding-window", X=[[1, 2, 3]], K=[[1, -1]])
        <Explorer sliding-window: A 1×2 kernel on a 1×3 image: 1·1 + 2·-1 = -1.>
    """
    if name not in _EXPLORERS:
        raise ValueError(
            f"explore expected one of {', '.join(map(repr, _EXPLORERS))}. Received: {name!r}."
        )
    make = _EXPLORERS[name]
    known = inspect.signature(make)
    try:
        known.bind(**settings)
    except TypeError as error:
        raise TypeError(
            f"explore({name!r}) takes {', '.join(known.parameters)}; {error}."
        ) from None
    return Explorer(name, *make(**settings))


def save_network(model: keras.Model, path: str | os.PathLike[str]) -> None:
    """Write a trained network to a file that the explorer `"lenet"` opens.

    Args:
        model: A chain of convolutions, pooling, activations, batch normalisation and dense layers,
            trained.
        path: The file, such as `my-lenet.json`. It is written whole, or not at all.

    Shapes:
        The model's input `(batch, 28, 28, 1)` and output `(batch, 10)`, for the site's explorer.

    Raises:
        ValueError: A layer that the explorer does not know.

    Source:
        The weights are little-endian 32-bit floats in base64 (RFC 4648).

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from cnn_tf import LeNet, save_network
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_network(LeNet(), Path(folder, "mine.json"))
        ...     Path(folder, "mine.json").stat().st_size // 1000
        330
    """
    text = json.dumps(_network(model))
    path = Path(path)
    draft = path.with_name(f".{path.name}.part")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)


# --- The explorers: settings, figure and data -----------------------------------------------------

_Made = tuple[Settings, Figure] | tuple[Settings, Figure, Settings]


def _sliding_window(
    X: Any = ((0, 1, 2), (3, 4, 5), (6, 7, 8)),
    K: Any = ((0, 1), (2, 3)),
    place: tuple[int, int] = (0, 0),
) -> _Made:
    X, K = _array(X, "X", 2, most=8), _array(K, "K", 2, most=5)
    place = _pair(place, "place")
    figure = corr2d_plot(X, K, *place)
    return {"X": X.tolist(), "K": K.tolist(), "place": list(place)}, figure


def _padding(
    size: Size = 8,
    kernel_size: Size = 3,
    padding: Padding = 1,
    strides: Size = 1,
    dilation_rate: Size = 1,
    place: tuple[int, int] = (0, 0),
) -> _Made:
    named = {"size": size, "kernel_size": kernel_size}
    named |= {"strides": strides, "dilation_rate": dilation_rate}
    sizes = {name: standardize_pair(value, name) for name, value in named.items()}
    for name, most in (("size", 10), ("kernel_size", 7), ("strides", 5), ("dilation_rate", 4)):
        if max(sizes[name]) > most:
            raise ValueError(
                f'explore("padding") draws up to {name}={most}. Received: {sizes[name]}.'
            )
    full = standardize_padding(padding)
    if not isinstance(full, str) and any(a != b or a > 3 for a, b in full):
        raise ValueError(
            'explore("padding") draws up to 3 cells, as many before as after. Received: '
            f"padding={padding}."
        )
    place = _pair(place, "place")
    axes = list(zip(*sizes.values(), strict=True))  # (n, k, s, d), of rows and of columns
    sides = [
        axis_padding(n, k, side, s, d)
        for (n, k, s, d), side in zip(axes, by_axis(full), strict=True)
    ]
    out: Any = output_size(
        sizes["size"],
        sizes["kernel_size"],
        (sides[0], sides[1]),
        sizes["strides"],
        sizes["dilation_rate"],
    )
    if not (place[0] < out[0] and place[1] < out[1]):
        raise ValueError(f"The output has the size {out}. Received: place={place}.")

    used, sees, under = [], [], []
    for (n, k, s, d), (before, after), m, i in zip(axes, sides, out, place, strict=True):
        cells = np.arange(m)[:, None] * s + np.arange(k) * d - before  # (output, cell of window)
        inside = (cells >= 0) & (cells < n)
        used.append(np.bincount(cells[inside], minlength=n))
        sees.append(inside.sum(axis=1))
        under.append(np.isin(np.arange(-before, n + after), cells[i]))
    counts = np.full([n + sum(side) for n, side in zip(sizes["size"], sides, strict=True)], "", "O")
    (top, _), (left, _) = sides
    n_h, n_w = sizes["size"]
    counts[top : top + n_h, left : left + n_w] = np.outer(*used)
    words = (
        f"An image of {n_h}×{n_w}, padding {sides[0]} and {sides[1]}, windows of "
        f"{sizes['kernel_size'][0]}×{sizes['kernel_size'][1]}: the output has {out[0]}×{out[1]}."
    )
    figure = cells_plot(
        Cells(counts.astype(str), "X", lit=np.outer(*under) * 1.0, dashed=counts == ""),
        "→",
        Cells(np.outer(*sees), "Y", Y_COLOR, lit=np.s_[place[0], place[1]]),
        note="X: how often each pixel is used. Y: how many pixels each output sees.",
        alt=words,
    )
    settings: Settings = {name: list(pair) for name, pair in sizes.items()}
    settings["padding"] = full if isinstance(full, str) else [side[0] for side in full]
    return settings | {"place": list(place)}, figure


def _channels(
    X: Any = None, K: Any = None, channel: int = 0, place: tuple[int, int] = (0, 0)
) -> _Made:
    plane = np.arange(9).reshape(3, 3)
    X = np.stack([plane, plane + 1]) if X is None else X
    if K is None:
        kernel = np.array([[[0, 1], [2, 3]], [[1, 2], [3, 4]]])
        K = np.stack([kernel, kernel + 1, kernel + 2])
    X, K = _array(X, "X", 3, most=6), _array(K, "K", 4, most=6)
    Y = np.asarray(corr2d_multi_in_out(X, K))
    check_int(channel, "channel", minimum=0)
    place = _pair(place, "place")
    if channel >= len(Y) or place[0] >= Y.shape[1] or place[1] >= Y.shape[2]:
        raise ValueError(
            f"The output has the shape {Y.shape}. Received: channel={channel}, place={place}."
        )
    i, j = place
    under = np.s_[i : i + K.shape[2], j : j + K.shape[3]]
    value = Y[channel, i, j]
    names = [f"channel {c}" for c in range(len(X))]
    figure = cells_plot(
        [Cells(x, f"X, {name}", X_COLOR, lit=under) for x, name in zip(X, names, strict=True)],
        "⋆",
        [
            Cells(k, f"K, {name}", K_COLOR, lit=...)
            for k, name in zip(K[channel], names, strict=True)
        ],
        "=",
        Cells(Y[channel], f"Y, channel {channel}", Y_COLOR, lit=np.s_[i, j]),
        alt=f"{len(X)} channels of an image, and a kernel for each. The sum of all products is "
        f"{value:g}.",
    )
    settings = {"X": X.tolist(), "K": K.tolist(), "channel": int(channel), "place": list(place)}
    return settings, figure


def _kernels(picture: Any = None, kernel: Any = ((1, 0, -1), (2, 0, -2), (1, 0, -1))) -> _Made:
    picture = _picture(picture)
    kernel = _array(kernel, "kernel", 2, most=5)
    if kernel.shape not in ((3, 3), (5, 5)):
        raise ValueError(
            f"explore expected a kernel of 3x3 or 5x5 numbers. Received: shape {kernel.shape}."
        )
    response = correlate(picture[None, ..., None], kernel[..., None, None], padding="same")
    figure = signed_grid(
        np.asarray(response)[..., 0],
        columns=1,
        alt=f"What the kernel {kernel.tolist()} answers on a picture: blue where it is positive, "
        "orange where it is negative.",
    )
    return {"kernel": kernel.tolist()}, figure, {"picture": _pack(_bytes(picture))}


def _pooling(
    picture: Any = None, pool_size: int = 2, strides: int = 2, shift: tuple[int, int] = (0, 0)
) -> _Made:
    picture = _edge() if picture is None else _picture(picture)
    if max(picture.shape) > 32:
        raise ValueError(
            f'explore("pooling") draws up to 32 x 32 cells. Received: shape {picture.shape}.'
        )
    for name, value in (("pool_size", pool_size), ("strides", strides)):
        check_int(value, name, minimum=1)
        if value > 4:
            raise ValueError(f'explore("pooling") draws up to {name}=4. Received: {value}.')
    if min(picture.shape) < pool_size:
        raise ValueError(
            f"A window of {pool_size} x {pool_size} does not fit into a picture of shape "
            f"{picture.shape}."
        )
    shift = _pair(shift, "shift", least=-8)
    if max(shift) > 8:
        raise ValueError(f'explore("pooling") shifts by up to 8 cells. Received: shift={shift}.')
    rows, columns = (
        np.clip(np.arange(n) - by, 0, n - 1) for n, by in zip(picture.shape, shift, strict=True)
    )
    moved = picture[np.ix_(rows, columns)]  # what comes in repeats the border
    batch = moved[None, ..., None]
    pooled = [
        np.asarray(layer(pool_size, strides)(batch))[0, ..., 0]
        for layer in (MaxPooling2D, AveragePooling2D)
    ]
    figure = cells_plot(
        Cells(_short(moved), "X"),
        "→",
        [
            Cells(_short(Y), name, Y_COLOR, lit=Y)
            for Y, name in zip(pooled, ("maximum", "mean"), strict=True)
        ],
        alt=f"A picture of {picture.shape[0]}×{picture.shape[1]} cells, and the maxima and the "
        f"means of its {pool_size}×{pool_size} windows.",
    )
    settings = {
        "picture": np.round(picture, 3).tolist(),
        "pool_size": int(pool_size),
        "strides": int(strides),
        "shift": list(shift),
    }
    return settings, figure


def _learning(
    X: Any = None,
    K: Any = ((1, -1),),
    start: Any = None,
    learning_rate: Any = 0.03,
) -> _Made:
    if X is None:
        X = np.ones((6, 8))
        X[:, 2:6] = 0
    X, K = _array(X, "X", 2, most=12), _array(K, "K", 2, most=3)
    start = np.full(K.shape, 0.2) if start is None else _array(start, "start", 2, most=3)
    if start.shape != K.shape:
        raise ValueError(
            f"start must have K's shape, {K.shape}. Received: start of shape {start.shape}."
        )
    if not (isinstance(learning_rate, (int, float, np.floating)) and 0.001 <= learning_rate <= 0.3):
        raise ValueError(f"learning_rate must be from 0.001 to 0.3. Received: {learning_rate!r}.")
    Y, kernel, losses = np.asarray(corr2d(X, K)), start, []
    for _ in range(21):
        errors = np.asarray(corr2d(X, kernel)) - Y
        losses.append(float(np.square(errors).sum()))
        kernel = kernel - learning_rate * 2 * np.asarray(corr2d(X, errors))
    figure = line_plot(
        {"loss": {"sum of squares": losses}},
        x=range(21),
        x_label="step",
        alt=f"The loss goes from {losses[0]:.3g} to {losses[-1]:.3g} in 20 steps.",
    )
    settings = {"X": X.tolist(), "K": K.tolist(), "start": start.tolist()}
    return settings | {"learning_rate": float(learning_rate)}, figure


def _receptive_field(
    picture: Any = None,
    layers: Sequence[tuple[int, int, int]] = ((5, 1, 1), (2, 2, 1), (5, 1, 1), (2, 2, 1)),
) -> _Made:
    picture = _picture(picture)
    if not isinstance(layers, (list, tuple)) or not 1 <= len(layers) <= 8:
        raise ValueError(f"explore stacks a list of one to eight layers. Received: {layers!r}.")
    stack = []
    for number, layer in enumerate(layers, 1):
        if not isinstance(layer, (list, tuple)) or len(layer) != 3:
            raise ValueError(
                f"Each of layers must be (kernel size, stride, dilation). Received: {layer!r}."
            )
        limits = {"kernel size": 11, "stride": 4, "dilation": 4}
        for value, (name, most) in zip(layer, limits.items(), strict=True):
            check_int(value, name, minimum=1)
            if value > most:
                raise ValueError(f"explore stacks layers up to {name}={most}. Received: {value}.")
        k, s, d = layer
        if s > 1 and d > 1:
            raise ValueError(f"Keras has no layer with stride {s} and dilation {d}. Set one to 1.")
        stack.append(Conv2D(1, k, strides=s, dilation_rate=d, padding="same", name=f"{number}"))
    side = output_size(16, 1, 0, math.prod(s for _, s, _ in layers))  # of the last map
    figure = receptive_field_plot(stack, side // 2, side // 2, input_shape=(16, 16, 1))
    settings = {"layers": [[int(number) for number in layer] for layer in layers]}
    return settings, figure, {"picture": _pack(_bytes(picture))}


def _lenet(model: keras.Model, data: FashionMNIST | None = None, each: int = 3) -> _Made:
    network = _network(model)
    data = data or FashionMNIST()
    check_int(each, "each", minimum=1)
    images, labels = data.test
    chosen = np.concatenate([np.flatnonzero(labels == k)[:each] for k in range(10)])
    pools = [layer.output for layer in model.layers if isinstance(layer, _POOLING)]
    look = keras.Model(model.inputs[0], [*pools, model.outputs[0]])
    *stages, logits = look.predict(images[chosen[:1]], verbose=0)
    probabilities = np.asarray(keras.ops.softmax(logits))[0]
    best = int(probabilities.argmax())
    figure = feature_maps_plot(
        [images[chosen[0]], *(stage[0] for stage in stages)],
        probabilities,
        data.class_names,
        alt=f"A picture, what two blocks of a network make of it, and the probabilities of ten "
        f"classes: {data.class_names[best]} {probabilities[best]:.0%}.",
    )
    pictures = {
        "network": network,
        "pictures": _pack(_bytes(images[chosen, ..., 0])),
        "labels": labels[chosen].tolist(),
        "class_names": list(data.class_names),
    }
    return {}, figure, pictures


_EXPLORERS: dict[str, Callable[..., _Made]] = {
    "sliding-window": _sliding_window,
    "padding": _padding,
    "channels": _channels,
    "kernels": _kernels,
    "pooling": _pooling,
    "learning": _learning,
    "receptive-field": _receptive_field,
    "lenet": _lenet,
}


# --- Settings and data ----------------------------------------------------------------------------


def _array(values: Any, name: str, rank: int, most: int) -> np.ndarray:
    """Check numbers that stand in an address: few enough to be drawn, and finite."""
    wanted = f"explore expected {name} to be an array of rank {rank}, with finite numbers."
    try:
        array = np.asarray(values)
        array = array.astype("int64" if array.dtype.kind in "biu" else "float64")
    except (TypeError, ValueError) as error:
        raise ValueError(f"{wanted} Received: {values!r}.") from error
    if array.ndim != rank or not array.size or not np.isfinite(array).all():
        raise ValueError(f"{wanted} Received: shape {array.shape}.")
    if max(array.shape) > most:
        raise ValueError(
            f"explore draws up to {most} along each axis of {name}. Received: shape {array.shape}."
        )
    return array


def _pair(value: Any, name: str, least: int = 0) -> tuple[int, int]:
    """Check a place or a shift; NumPy's integers become Python's, for JSON."""
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise ValueError(f"`{name}` must be a pair (row, column). Received: {name}={value!r}.")
    for number in value:
        check_int(number, name, minimum=least)
    return int(value[0]), int(value[1])


def _picture(picture: Any) -> np.ndarray:
    """Check a grey picture; by default, draw one with edges, corners and a soft shade."""
    if picture is None:
        rows, columns = np.mgrid[:64, :64] / 63
        picture = 0.6 * columns
        picture[(rows - 0.4) ** 2 + (columns - 0.35) ** 2 < 0.06] = 1
        picture[(abs(rows - 0.7) < 0.15) & (abs(columns - 0.7) < 0.2)] = 0
    picture = np.asarray(picture, float)
    if picture.ndim != 2 or not picture.size or max(picture.shape) > 256:
        raise ValueError(
            "explore expected a grey picture of shape (h, w), at most 256 x 256. Received: shape "
            f"{picture.shape}."
        )
    if not (picture.min() >= 0 and picture.max() <= 1):
        raise ValueError(
            "explore expected a picture with numbers from 0 to 1. Received: from "
            f"{picture.min():g} to {picture.max():g}. Divide 8-bit pixels by 255."
        )
    return picture


def _edge() -> np.ndarray:
    """A small picture with an upright edge and a bright dot."""
    picture = np.zeros((12, 12))
    picture[:, 6:] = 1
    picture[3, 2] = 1
    return picture


def _bytes(pictures: np.ndarray) -> np.ndarray:
    return np.round(255 * pictures).astype("uint8")


def _short(values: np.ndarray) -> np.ndarray:
    """Numbers from 0 to 1 for small cells."""
    return np.vectorize(lambda value: f"{value:.2g}".removeprefix("0") or "0")(values)


def _pack(array: Any) -> Settings:
    """An array for JSON, where the browser finds its bytes."""
    array = np.asarray(array)
    array = array.astype(array.dtype.newbyteorder("<"))
    data = base64.b64encode(array.tobytes()).decode()
    return {"dtype": array.dtype.name, "shape": list(array.shape), "base64": data}


# --- A network as the browser computes it ---------------------------------------------------------

_POOLING = (
    keras.layers.MaxPooling2D,
    keras.layers.AveragePooling2D,
    MaxPooling2D,
    AveragePooling2D,
)


def _network(model: keras.Model) -> Settings:
    """List the layers of a chain, with their weights; batch normalisation goes into the weights."""
    if not getattr(model, "built", False) or tuple(model.input_shape[1:]) != (28, 28, 1):
        raise ValueError(
            "save_network expected a Keras model for inputs of shape (28, 28, 1), built and "
            f"trained. Received: {model!r}."
        )
    steps: list[Settings] = []
    for layer in model.layers:
        name = type(layer).__name__
        step: Settings = {"name": layer.name}
        if isinstance(layer, (keras.layers.InputLayer, keras.layers.Dropout)):
            continue
        if isinstance(layer, keras.layers.BatchNormalization):
            if not steps or "kernel" not in steps[-1]:
                raise ValueError(
                    "save_network expected batch normalisation to follow a convolution or a dense "
                    f"layer, before the activation. Received: {layer.name!r}."
                )
            _fold(layer, steps[-1])
            continue
        if isinstance(layer, (keras.layers.Conv2D, keras.layers.Dense)):
            _check_simple(layer)
            kernel = convert_to_numpy(layer.kernel)
            bias = convert_to_numpy(layer.bias) if layer.use_bias else np.zeros(kernel.shape[-1])
            step |= {"kernel": kernel, "bias": bias, "kind": "dense"}
            if kernel.ndim == 2 and len(layer.input.shape) != 2:
                raise ValueError(
                    "save_network expected dense layers behind Flatten. Received: "
                    f"{layer.name!r} on an input of shape {tuple(layer.input.shape)}."
                )
            if kernel.ndim == 4:
                step |= {"kind": "conv", "strides": list(layer.strides), "padding": layer.padding}
        elif isinstance(layer, _POOLING):
            mode = "max" if "Max" in name else "avg"
            step |= {"kind": "pool", "mode": mode, "pool_size": list(layer.pool_size)}
            step |= {"strides": list(layer.strides), "padding": layer.padding}
        elif isinstance(layer, keras.layers.Flatten):
            step["kind"] = "flatten"
        elif not isinstance(layer, keras.layers.Activation):
            raise ValueError(
                "save_network expected Conv2D, pooling, Flatten, Dense, Activation and "
                f"BatchNormalization. Received: {layer.name!r}, a {name}."
            )
        if "kind" in step:
            steps.append(step)
        activation = getattr(layer, "activation", None)
        if activation is keras.activations.softmax and layer is model.layers[-1]:
            continue  # the browser turns the last numbers into probabilities anyway
        if activation not in (None, keras.activations.linear):
            if activation.__name__ not in ("sigmoid", "relu", "tanh"):
                raise ValueError(
                    "save_network expected sigmoid, relu or tanh. Received: "
                    f"{activation.__name__} in {layer.name!r}."
                )
            steps.append({"kind": activation.__name__, "name": layer.name})
    for step in steps:
        for key in {"kernel", "bias"} & set(step):
            step[key] = _pack(step[key].astype("float32"))
    return {"layers": steps}


def _check_simple(layer: Any) -> None:
    """Refuse what the browser does not compute."""
    plain = getattr(layer, "groups", 1) == 1 and max(getattr(layer, "dilation_rate", (1,))) == 1
    zeros = getattr(layer, "padding_mode", "zeros") == "zeros"
    last = getattr(layer, "data_format", "channels_last") == "channels_last"
    if not (plain and zeros and last):
        raise ValueError(
            "save_network expected convolutions with channels last, without groups or dilation, "
            f"padded with zeros. Received: {layer.name!r}."
        )


def _fold(normalise: keras.layers.BatchNormalization, step: Settings) -> None:
    """Multiply and shift the weights before it as batch normalisation does after training."""
    mean = convert_to_numpy(normalise.moving_mean)
    variance = convert_to_numpy(normalise.moving_variance)
    scale = 1 / np.sqrt(variance.astype("float64") + normalise.epsilon)
    if normalise.scale:
        scale = scale * convert_to_numpy(normalise.gamma)
    shift = convert_to_numpy(normalise.beta) if normalise.center else 0
    step["kernel"] = step["kernel"] * scale
    step["bias"] = (step["bias"] - mean) * scale + shift


# --- Modules --------------------------------------------------------------------------------------


def _in_order(name: str) -> list[Path]:
    """The module of this name, after all that it imports."""
    found: list[Path] = []

    def add(path: Path) -> None:
        for imported in re.findall(r'from "\./([\w-]+\.js)"', path.read_text("utf-8")):
            add(_MODULES / imported)
        if path not in found:
            found.append(path)

    add(_MODULES / name)
    return found


def _script(value: Any) -> str:
    """JSON that may stand in a script element: nothing in it ends the element."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")
