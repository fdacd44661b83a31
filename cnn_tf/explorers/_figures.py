"""The explorers: a function for each turns its settings into a state, a static figure and data."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

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
from cnn_tf.explorers._network import POOLING, Settings, network, pack
from cnn_tf.explorers._settings import (
    LIMITS,
    check_array,
    check_limits,
    check_number,
    check_pair,
    check_picture,
)
from cnn_tf.explorers._training import training
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
    image_grid,
    line_plot,
    signed_colors,
)
from cnn_tf.receptive_field import receptive_field_plot

# Those of the explorer's choices that the static figure shows.
NAMED_KERNELS = {
    "mean (blur)": np.full((3, 3), 1 / 9),
    "sharpen": np.array([[0, -1, 0], [-1, 5, -1], [0, -1, 0]]),
    "upright edges (Sobel)": np.outer([1, 2, 1], [1, 0, -1]),
    "level edges (Sobel)": np.outer([1, 0, -1], [1, 2, 1]),
    "Laplacian": np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]]),
}

_Made = (
    tuple[Settings, Figure]
    | tuple[Settings, Figure, Settings]
    | tuple[Settings, Figure, Settings, bytes]
)


def _sliding_window(
    X: Any = ((0, 1, 2), (3, 4, 5), (6, 7, 8)),
    K: Any = ((0, 1), (2, 3)),
    place: tuple[int, int] = (0, 0),
) -> _Made:
    X, K = (check_array("sliding-window", *each, rank=2) for each in (("X", X), ("K", K)))
    place = check_pair(place, "place")
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
    for name, pair in sizes.items():
        check_limits("padding", name, *pair)
    full = standardize_padding(padding)
    if not isinstance(full, str):
        for before, after in full:
            if before != after:
                raise ValueError(
                    'explore("padding") draws as many cells before as after. Received: '
                    f"padding={padding}."
                )
            check_limits("padding", "padding", before)
    place = check_pair(place, "place")
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
        raise ValueError(
            f"`place` must lie within the output, which has the size {out}. Received: "
            f"place={place}."
        )

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
    X, K = check_array("channels", "X", X, rank=3), check_array("channels", "K", K, rank=4)
    Y = np.asarray(corr2d_multi_in_out(X, K))
    check_int(channel, "channel", minimum=0)
    place = check_pair(place, "place")
    if channel >= len(Y) or place[0] >= Y.shape[1] or place[1] >= Y.shape[2]:
        raise ValueError(
            f"`channel` and `place` must lie within the output, which has the shape {Y.shape}. "
            f"Received: channel={channel}, place={place}."
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
    picture = check_picture(picture)
    kernel = check_array("kernels", "kernel", kernel, rank=2)
    if kernel.shape not in ((3, 3), (5, 5)):
        raise ValueError(
            f"explore expected a kernel of 3x3 or 5x5 numbers. Received: shape {kernel.shape}."
        )
    kernels: dict[str, Any] = dict(NAMED_KERNELS)
    if not any(np.array_equal(kernel, each) for each in kernels.values()):
        kernels["own kernel"] = kernel
    shown = {"picture": _gray(picture)}
    for name, each in kernels.items():
        response = correlate(
            picture[None, ..., None],
            np.array(each, float)[..., None, None],
            padding="same",
            padding_mode="replicate",  # zeros would make an edge along the border
        )
        answer = np.asarray(response)[0, ..., 0]
        is_picture = np.isclose(np.sum(each), 1)  # an answer is a brightness, not a difference
        limit = abs(answer).max() or 1
        shown[name] = (
            _gray(answer.clip(0, 1)) if is_picture else signed_colors(_steps(answer / limit))
        )
    figure = image_grid(
        list(shown.values()),
        list(shown),
        columns=3,
        alt=f"A picture, and what kernels make of it: {', '.join(kernels)}. Answers of kernels "
        "that look for edges are blue where they are positive, orange where they are negative.",
    )
    return {"kernel": kernel.tolist()}, figure, {"picture": pack(_bytes(picture))}


def _pooling(
    picture: Any = None, pool_size: int = 2, strides: int = 2, shift: tuple[int, int] = (0, 0)
) -> _Made:
    picture = _edge() if picture is None else check_picture(picture)
    _, most = LIMITS["pooling"]["picture"]
    if max(picture.shape) > most:
        raise ValueError(
            f'explore("pooling") draws up to {most} x {most} cells. Received: shape '
            f"{picture.shape}."
        )
    check_limits("pooling", "pool_size", pool_size)
    check_limits("pooling", "strides", strides)
    if min(picture.shape) < pool_size:
        raise ValueError(
            f"A window of {pool_size} x {pool_size} does not fit into a picture of shape "
            f"{picture.shape}."
        )
    shift = check_pair(shift, "shift", least=LIMITS["pooling"]["shift"][0])
    check_limits("pooling", "shift", *shift)
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
    X, K = check_array("learning", "X", X, rank=2), check_array("learning", "K", K, rank=2)
    start = np.full(K.shape, 0.2) if start is None else start
    start = check_array("learning", "start", start, rank=2)
    if start.shape != K.shape:
        raise ValueError(
            f"start must have K's shape, {K.shape}. Received: start of shape {start.shape}."
        )
    learning_rate = check_number(
        "learning_rate", learning_rate, *LIMITS["learning"]["learning_rate"]
    )
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
    return settings | {"learning_rate": learning_rate}, figure


def _receptive_field(
    picture: Any = None,
    layers: Sequence[tuple[int, int, int]] = ((5, 1, 1), (2, 2, 1), (5, 1, 1), (2, 2, 1)),
) -> _Made:
    picture = check_picture(picture)
    limits = dict(LIMITS["receptive-field"])
    _, most = limits.pop("layers")
    if not isinstance(layers, (list, tuple)) or not 1 <= len(layers) <= most:
        raise ValueError(f"explore stacks a list of 1 to {most} layers. Received: {layers!r}.")
    stack = []
    for number, layer in enumerate(layers, 1):
        if not isinstance(layer, (list, tuple)) or len(layer) != 3:
            raise ValueError(
                f"Each of layers must be (kernel size, stride, dilation). Received: {layer!r}."
            )
        for value, name in zip(layer, limits, strict=True):
            check_limits("receptive-field", name, value)
        k, s, d = layer
        if s > 1 and d > 1:
            raise ValueError(f"Keras has no layer with stride {s} and dilation {d}. Set one to 1.")
        stack.append(Conv2D(1, k, strides=s, dilation_rate=d, padding="same", name=f"{number}"))
    side = output_size(16, 1, 0, math.prod(s for _, s, _ in layers))  # of the last map
    figure = receptive_field_plot(stack, side // 2, side // 2, input_shape=(16, 16, 1))
    settings = {"layers": [[int(number) for number in layer] for layer in layers]}
    return settings, figure, {"picture": pack(_bytes(picture))}


def _lenet(model: keras.Model, data: FashionMNIST | None = None, each: int = 3) -> _Made:
    layers = network(model)
    data = data or FashionMNIST()
    check_int(each, "each", minimum=1)
    images, labels = data.test
    chosen = np.concatenate([np.flatnonzero(labels == k)[:each] for k in range(10)])
    pools = [layer.output for layer in model.layers if isinstance(layer, POOLING)]
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
        "network": layers,
        "pictures": pack(_bytes(images[chosen, ..., 0])),
        "labels": labels[chosen].tolist(),
        "class_names": list(data.class_names),
    }
    return {}, figure, pictures


EXPLORERS: dict[str, Callable[..., _Made]] = {
    "sliding-window": _sliding_window,
    "padding": _padding,
    "channels": _channels,
    "kernels": _kernels,
    "pooling": _pooling,
    "learning": _learning,
    "receptive-field": _receptive_field,
    "lenet": _lenet,
    "training": training,
}


def _edge() -> np.ndarray:
    """A small picture with an upright edge and a bright dot."""
    picture = np.zeros((12, 12))
    picture[:, 6:] = 1
    picture[3, 2] = 1
    return picture


def _gray(picture: np.ndarray) -> np.ndarray:
    """Red, green, blue and opacity of brightnesses from 0 to 1."""
    return np.stack([_steps(picture)] * 3 + [np.ones_like(picture)], axis=-1)


def _steps(values: np.ndarray) -> np.ndarray:
    """Rounded as far as the eye allows in a small picture, whose file is then half as large."""
    return np.round(values * 40) / 40


def _bytes(pictures: np.ndarray) -> np.ndarray:
    return np.round(255 * pictures).astype("uint8")


def _short(values: np.ndarray) -> np.ndarray:
    """Numbers from 0 to 1 for small cells."""
    return np.vectorize(lambda value: f"{value:.2g}".removeprefix("0") or "0")(values)
