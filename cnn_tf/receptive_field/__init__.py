"""The receptive field: which pixels of the input one cell of an output depends on.

`receptive_field` computes it from the layers' windows, `receptive_field_by_gradient` measures it,
and `receptive_field_plot` draws it.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from cnn_tf import _backend
from cnn_tf.arguments import check_int
from cnn_tf.functional import Tensor
from cnn_tf.plots import Figure, seen_plot
from cnn_tf.receptive_field._models import (
    Layers,
    draw_positive,
    find_data_format,
    find_input_shape,
    find_size,
    list_members,
    make_linear_copy,
    open_chain,
)
from cnn_tf.receptive_field._windows import find_windows


class ReceptiveField(NamedTuple):
    """The receptive field of one cell of an output: a rectangle of pixels, and how it moves.

    Attributes:
        size: Its height and width.
        strides: How far it moves, down and to the right, from one cell of the output to the next.
        offset: Row and column of its first pixel for the cell (0, 0). Negative where it begins in
            the padding.

    Source:
        Araujo, Norris and Sim (2019), *Computing receptive fields of convolutional neural
        networks*.

    Example:
        >>> from cnn_tf.receptive_field import ReceptiveField
        >>> ReceptiveField(size=(3, 3), strides=(2, 2), offset=(-1, -1)).window(1, 2)
        (range(1, 4), range(3, 6))
    """

    size: tuple[int, int]
    strides: tuple[int, int]
    offset: tuple[int, int]

    def window(self, row: int, column: int) -> tuple[range, range]:
        """Rows and columns of the input that the cell (row, column) sees.

        Args:
            row: Row of the cell in the output.
            column: Column of the cell.

        Returns:
            Two ranges. Numbers below 0, or beyond the image, are cells of padding.

        Raises:
            ValueError: A negative place.
            TypeError: A place that is not an integer.
        """
        for name, place in (("row", row), ("column", column)):
            check_int(place, name, minimum=0)
        places = zip(self.offset, self.strides, (row, column), strict=True)
        first = [offset + stride * place for offset, stride, place in places]
        rows, columns = (range(f, f + n) for f, n in zip(first, self.size, strict=True))
        return rows, columns


def receptive_field(
    model_or_layers: Layers, input_shape: tuple[int, ...] | None = None
) -> ReceptiveField:
    r"""Compute the receptive field of one cell of the output, by formula.

    Layers $1, \dots, L$ in a row, with windows of $k_l$ cells at distance $d_l$, strides $s_l$ and
    $p_l$ cells of padding before the first, have along each axis

    $$\text{size} = 1 + \sum_{l=1}^{L} d_l (k_l - 1)\, S_{l-1}, \qquad
      \text{strides} = S_L, \qquad
      \text{offset} = -\sum_{l=1}^{L} p_l\, S_{l-1}, \qquad
      S_l = \prod_{m=1}^{l} s_m.$$

    Args:
        model_or_layers: A Sequential or functional model that is a chain, one layer, or a list of
            layers, which need not be built. It is not changed.
        input_shape: Shape of one input, without the batch. Needed only if a layer with
            `padding="same"` has strides, whose padding depends on the size, and the model has no
            input shape of its own.

    Shapes:
        `input_shape` such as `(28, 28, 1)`. Each of the field's three pairs is (rows, columns).

    Returns:
        A `ReceptiveField`. It is the smallest rectangle that holds what is seen: with dilation, or
        with strides larger than a window, there may be pixels within it that are not. Cells of
        padding count as pixels outside of the image, whatever they hold. Activations are taken to
        act on each cell by itself.

    Raises:
        ValueError: A branch, a layer that does not keep an image (Flatten, Dense, ...) or is not
            known, or an `input_shape` that is needed and missing.
        TypeError: Something else than a model or layers, or a subclass of `keras.Model`.

    Source:
        Araujo, Norris and Sim (2019), *Computing receptive fields of convolutional neural
        networks*.

    Example:
        >>> from cnn_tf import Conv2D, LeNet
        >>> from cnn_tf.receptive_field import receptive_field
        >>> receptive_field([Conv2D(1, 2), Conv2D(1, 2)])
        ReceptiveField(size=(3, 3), strides=(1, 1), offset=(0, 0))
        >>> receptive_field(LeNet().layers[:4])
        ReceptiveField(size=(16, 16), strides=(4, 4), offset=(-2, -2))
    """
    layers = open_chain(model_or_layers, "receptive_field")
    size, strides, offset = [1, 1], [1, 1], [0, 0]
    for layer in find_windows(layers, find_size(input_shape, model_or_layers, layers)):
        for axis, window in enumerate(layer.axes):
            size[axis] += window.dilation_rate * (window.kernel_size - 1) * strides[axis]
            offset[axis] -= window.before * strides[axis]
            strides[axis] *= window.strides
    return ReceptiveField(
        size=(size[0], size[1]), strides=(strides[0], strides[1]), offset=(offset[0], offset[1])
    )


def receptive_field_by_gradient(
    model_or_layers: Layers,
    row: int,
    column: int,
    input_shape: tuple[int, ...] | None = None,
) -> np.ndarray:
    r"""Measure which pixels of the input one cell of the output depends on.

    A pixel is seen where the derivative of the output with respect to it is not zero:

    $$\sum_c \left| \frac{\partial}{\partial X_{k,l,c}} \sum_d Y_{i,j,d} \right| > 0$$

    A unit that happens to be off, or a maximum that another pixel wins, would hide what could be
    seen. So the derivative is taken in a copy of the model: with random positive weights, without
    activations, and with means in place of maxima. Nothing cancels in it, and the windows are the
    same. Branches, transposed convolutions and whatever else Keras can differentiate are allowed.

    Args:
        model_or_layers: A Sequential or functional model, one layer, or a list of layers. It is not
            changed, and need not be built. Layers of your own classes are copied as they are.
        row: Row of the cell in the output.
        column: Column of the cell.
        input_shape: Shape of one input, without the batch; by default the model's own.

    Shapes:
        `input_shape` such as `(28, 28, 1)` -> `(28, 28)`.

    Returns:
        A NumPy array of bools, true at the pixels that are seen.

    Raises:
        ValueError: No input shape, more than one input or output, an output that is not an image,
            no such cell in it, or gradients too large for 32 bits.
        TypeError: Something else than a model or layers, or a subclass of `keras.Model`.
        NotImplementedError: A back end of Keras that has no gradients, such as NumPy.

    Source:
        Araujo, Norris and Sim (2019), *Computing receptive fields of convolutional neural
        networks*.

    Example:
        >>> from cnn_tf import Conv2D
        >>> from cnn_tf.receptive_field import receptive_field_by_gradient
        >>> layers = [Conv2D(1, 2), Conv2D(1, 2)]
        >>> print(receptive_field_by_gradient(layers, 0, 1, input_shape=(4, 5, 1)).astype(int))
        [[0 1 1 1 0]
         [0 1 1 1 0]
         [0 1 1 1 0]
         [0 0 0 0 0]]
    """
    caller = "receptive_field_by_gradient"
    shape: Any = find_input_shape(input_shape, model_or_layers)
    if shape is None or None in shape:
        raise ValueError(
            f"{caller} needs the size of the input. Received: a model whose input shape is "
            f"{shape}. Give it, for example input_shape=(28, 28, 1)."
        )
    rng = np.random.default_rng(0)
    model = make_linear_copy(model_or_layers, shape, caller)
    for weight in model.weights:
        weight.assign(draw_positive(rng, weight))

    last = find_data_format(list_members(model_or_layers)) == "channels_last"
    output_shape = tuple(model.output_shape)
    if len(output_shape) != 4:
        raise ValueError(
            f"{caller} expected an output of shape (batch, h, w, channels), whose cells have a "
            f"place. Received: {output_shape}. End before Flatten, for example by "
            "model.layers[:4]."
        )
    size = output_shape[1:3] if last else output_shape[2:4]
    _check_place(row, column, size, caller)

    def cell(x: Tensor) -> Tensor:
        y = model(x, training=False)
        return ops.sum(y[0, row, column, :] if last else y[0, :, row, column])

    image = rng.uniform(0.5, 1.5, shape).astype("float32")
    gradient = _backend.gradient(cell, image[None])[0]
    if not np.isfinite(gradient).all():
        raise ValueError(
            f"{caller} met gradients too large for 32 bits: the model is too deep. Measure a part "
            "of its layers."
        )
    seen: np.ndarray = (gradient != 0).any(axis=-1 if last else 0)
    return seen


def receptive_field_plot(
    model_or_layers: Layers,
    row: int,
    column: int,
    input_shape: tuple[int, ...] | None = None,
    *,
    alt: str = "",
) -> Figure:
    """Draw what one cell of the output sees, in the input and in each map between.

    Args:
        model_or_layers: A chain of layers, as for `receptive_field`. It is not changed.
        row: Row of the cell in the output.
        column: Column of the cell.
        input_shape: Shape of one input, without the batch; by default the model's own.
        alt: What is to be seen; by default the number of cells seen in each map.

    Shapes:
        `input_shape` such as `(28, 28, 1)`.

    Returns:
        A figure, with a grid for the input and for the output of each layer that has a window, the
        cells seen filled. Padding is not drawn.

    Raises:
        ValueError: No size of the input, no such cell, or whatever `receptive_field` refuses.
        TypeError: Something else than a model or layers, or a subclass of `keras.Model`.

    Source:
        Araujo, Norris and Sim (2019), *Computing receptive fields of convolutional neural
        networks*.

    Example:
        >>> from cnn_tf import Conv2D
        >>> from cnn_tf.receptive_field import receptive_field_plot
        >>> layers = [Conv2D(1, 2, name="first"), Conv2D(1, 2, name="second")]
        >>> receptive_field_plot(layers, 1, 1, input_shape=(5, 5, 1))
        <Figure: Cell (1, 1) of second (3 × 3) sees 2 × 2 of first (4 × 4), 3 × 3 of input (5 × 5).>
    """
    caller = "receptive_field_plot"
    layers = open_chain(model_or_layers, caller)
    size = find_size(input_shape, model_or_layers, layers)
    if None in size:
        raise ValueError(
            f"{caller} needs the size of the input. Received: a chain whose input has size {size}. "
            "Give it, for example input_shape=(28, 28, 1)."
        )
    windows = find_windows(layers, size)
    names = ["input", *(layer.name for layer in windows)]
    sizes = [size, *(layer.output_size for layer in windows)]
    height, width = sizes[-1]
    _check_place(row, column, sizes[-1], caller)
    seen = [({row}, {column})]  # from the last map to the first
    for layer, map_size in zip(reversed(windows), reversed(sizes[:-1]), strict=True):
        rows, columns = (
            window.cells_below(cells) & set(range(n))
            for window, cells, n in zip(layer.axes, seen[-1], map_size, strict=True)
        )
        seen.append((rows, columns))

    maps = list(zip(names, sizes, reversed(seen), strict=True))
    counts = [
        f"{len(rows)} × {len(columns)} of {name} ({h} × {w})"
        for name, (h, w), (rows, columns) in maps
    ]
    said = f"Cell ({row}, {column}) of {names[-1]} ({height} × {width}) sees "
    return seen_plot(maps, alt=alt or said + ", ".join(reversed(counts[:-1])) + ".")


def _check_place(row: int, column: int, size: Sequence[int], caller: str) -> None:
    for name, place in (("row", row), ("column", column)):
        check_int(place, name, minimum=0)
    if row >= size[0] or column >= size[1]:
        raise ValueError(
            f"{caller} expected a place in the output of {size[0]} × {size[1]} cells. Received: "
            f"row={row}, column={column}."
        )
