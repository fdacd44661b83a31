"""The receptive field: which pixels of the input one cell of an output depends on.

`receptive_field` computes it from the layers' windows, `receptive_field_by_gradient` measures it,
and `receptive_field_plot` draws it.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from cnn_tf import _backend
from cnn_tf.arguments import FullPadding, axis_padding, by_axis, check_int
from cnn_tf.functional import Tensor
from cnn_tf.layers import AveragePooling2D
from cnn_tf.plots import X_COLOR, Y_COLOR, Figure, style

Layers = Any  # a model, a layer, or a list of layers in a row
Shape = tuple[int | None, ...]

# Layers whose output at a place depends on their input at that place only, and that can be left out
# without a change in what is seen.
_POINTWISE = (
    keras.layers.Activation,
    keras.layers.ActivityRegularization,
    keras.layers.Dropout,
    keras.layers.ELU,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.Identity,
    keras.layers.LeakyReLU,
    keras.layers.PReLU,
    keras.layers.ReLU,
    keras.layers.SpatialDropout2D,
)
_WINDOWED = (
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
    keras.layers.MaxPooling2D,
    keras.layers.AveragePooling2D,
)


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
        A `ReceptiveField`. It is the smallest rectangle: with dilation there may be pixels within
        it that are not seen. Cells of padding count as pixels outside of the image, whatever
        they hold. Activations are taken to act on each cell by itself.

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
    layers = _chain(model_or_layers, "receptive_field")
    size, strides, offset = [1, 1], [1, 1], [0, 0]
    for layer in _windows(layers, _spatial(input_shape, model_or_layers, layers)):
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
    shape: Any = _input_shape(input_shape, model_or_layers)
    if shape is None or None in shape:
        raise ValueError(
            f"{caller} needs the size of the input. Received: a model whose input shape is "
            f"{shape}. Give it, for example input_shape=(28, 28, 1)."
        )
    rng = np.random.default_rng(0)
    model = _linear_model(model_or_layers, shape, caller)
    for weight in model.weights:
        weight.assign(_positive(rng, weight))

    last = _data_format(_members(model_or_layers)) == "channels_last"
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
    layers = _chain(model_or_layers, caller)
    size = _spatial(input_shape, model_or_layers, layers)
    if None in size:
        raise ValueError(
            f"{caller} needs the size of the input. Received: a chain whose input has size {size}. "
            "Give it, for example input_shape=(28, 28, 1)."
        )
    windows = _windows(layers, size)
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
    return Figure(_draw_maps(maps), alt or said + ", ".join(reversed(counts[:-1])) + ".")


def _check_place(row: int, column: int, size: Sequence[int], caller: str) -> None:
    for name, place in (("row", row), ("column", column)):
        check_int(place, name, minimum=0)
    if row >= size[0] or column >= size[1]:
        raise ValueError(
            f"{caller} expected a place in the output of {size[0]} × {size[1]} cells. Received: "
            f"row={row}, column={column}."
        )


# --- Layers as windows ----------------------------------------------------------------------------


class _Window(NamedTuple):
    """The window of one layer along one axis."""

    kernel_size: int
    strides: int
    dilation_rate: int
    before: int  # cells of padding; negative for cropping
    after: int

    def output_size(self, n: Any) -> Any:
        span = self.dilation_rate * (self.kernel_size - 1) + 1
        return None if n is None else (n + self.before + self.after - span) // self.strides + 1

    def cells_below(self, cells: set[int]) -> set[int]:
        """The cells of the input under the windows of some cells of the output."""
        return {
            i * self.strides + a * self.dilation_rate - self.before
            for i in cells
            for a in range(self.kernel_size)
        }


class _WindowedLayer(NamedTuple):
    name: str
    axes: tuple[_Window, _Window]
    output_size: tuple[Any, Any]


def _windows(
    layers: Sequence[keras.layers.Layer], size: tuple[int | None, int | None]
) -> list[_WindowedLayer]:
    """The windows of the layers that have one, for an input of this size, if it is known."""
    windows: list[_WindowedLayer] = []
    for layer in layers:
        if isinstance(layer, (*_POINTWISE, keras.layers.InputLayer)):
            continue
        if isinstance(layer, (keras.layers.BatchNormalization, keras.layers.Rescaling)):
            continue
        rows, columns = _axes(layer, size)
        size = rows.output_size(size[0]), columns.output_size(size[1])
        if any(n is not None and n < 1 for n in size):
            raise ValueError(
                f"The window of layer {layer.name!r} does not fit into its input. Use a larger "
                "input or fewer layers."
            )
        windows.append(_WindowedLayer(layer.name, (rows, columns), size))
    return windows


def _axes(layer: keras.layers.Layer, size: tuple[int | None, int | None]) -> list[_Window]:
    one = (1, 1)
    if isinstance(layer, keras.layers.ZeroPadding2D):
        return [_Window(1, 1, 1, *sides) for sides in layer.padding]
    if isinstance(layer, keras.layers.Cropping2D):
        return [_Window(1, 1, 1, -before, -after) for before, after in layer.cropping]
    if not isinstance(layer, _WINDOWED):
        raise ValueError(
            f"receptive_field cannot follow layer {layer.name!r} of class "
            f"{type(layer).__name__}: it is not known to keep an image and look through a window. "
            "End the chain before it, for example by model.layers[:4], or measure by "
            "receptive_field_by_gradient."
        )
    kernel_size = layer.pool_size if hasattr(layer, "pool_size") else layer.kernel_size
    dilation_rate = _pair(getattr(layer, "dilation_rate", one))
    padding: FullPadding = layer.padding
    windows = []
    for n, k, s, d, sides in zip(
        size, _pair(kernel_size), _pair(layer.strides), dilation_rate, by_axis(padding), strict=True
    ):
        if sides == "same" and s > 1 and n is None:
            raise ValueError(
                f"The padding of layer {layer.name!r}, padding='same' with strides, depends on the "
                "size of the input. Give it, for example input_shape=(28, 28, 1)."
            )
        windows.append(_Window(k, s, d, *axis_padding(n, k, sides, s, d)))
    return windows


def _pair(value: Any) -> tuple[int, int]:
    # Keras's depthwise and separable layers keep an int as it came.
    return tuple(value) if isinstance(value, (tuple, list)) else (value, value)


# --- Models as chains -----------------------------------------------------------------------------


def _chain(model_or_layers: Layers, caller: str) -> list[keras.layers.Layer]:
    """The layers of a model without branches, in their order; models within it are opened."""
    if isinstance(model_or_layers, keras.Sequential) or not _is_model(model_or_layers):
        members = _members(model_or_layers)
        if len(members) == 1 and members[0] is model_or_layers:
            return members
        return [layer for member in members for layer in _chain(member, caller)]

    _check_functional(model_or_layers, caller)
    calls: list[tuple[Any, Any, Any]] = []

    def call_and_record(layer: Any, *args: Any, **kwargs: Any) -> Any:
        outputs = layer(*args, **kwargs)
        calls.append((layer, [*args, *kwargs.values()], outputs))
        return outputs

    # In a copy, because a layer's own record holds only the first of its calls, which may have been
    # in another model.
    copy = keras.models.clone_model(
        model_or_layers, clone_function=_linear, call_function=call_and_record
    )
    tensor, layers = copy.inputs[0], []
    for layer, inputs, outputs in calls:
        tensors = [x for x in inputs if isinstance(x, (keras.KerasTensor, list, tuple))]
        if len(tensors) != 1 or tensors[0] is not tensor:
            raise ValueError(
                f"{caller} can follow one chain of layers. Received: a model that branches at "
                f"{layer.name!r}. Measure it by receptive_field_by_gradient."
            )
        if not isinstance(layer, keras.layers.Layer):
            raise ValueError(
                f"{caller} can follow layers only. Received: a model with the operation "
                f"{layer.name!r}. Use a layer in its place, such as keras.layers.ReLU, or measure "
                "by receptive_field_by_gradient."
            )
        tensor = outputs
        layers += _chain(layer, caller)
    return layers


def _members(model_or_layers: Layers) -> list[keras.layers.Layer]:
    if isinstance(model_or_layers, keras.Sequential):
        return list(model_or_layers.layers)
    members = (
        list(model_or_layers) if isinstance(model_or_layers, (tuple, list)) else [model_or_layers]
    )
    for member in members:
        if not isinstance(member, keras.layers.Layer):
            raise TypeError(
                "Expected a Keras model, a layer or a list of layers. Received: "
                f"{type(member).__name__}. Write for example [Conv2D(1, 2), Conv2D(1, 2)]."
            )
    return members


def _is_model(member: Any) -> bool:
    return isinstance(member, keras.Model) and not isinstance(member, keras.Sequential)


def _check_functional(model: Any, caller: str) -> None:
    if getattr(model, "inputs", None) is None:
        raise TypeError(
            f"{caller} expected a Sequential or functional keras.Model. Received: "
            f"{type(model).__name__}, whose layers have no fixed order. Give its layers as a list."
        )
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ValueError(
            f"{caller} expected a model of one input and one output. Received: "
            f"{len(model.inputs)} and {len(model.outputs)}. Make one for the two of interest: "
            "keras.Model(model.inputs[0], model.outputs[0])."
        )


def _input_shape(input_shape: tuple[int, ...] | None, model_or_layers: Layers) -> Shape | None:
    """The shape without the batch: as given, or the model's own."""
    if input_shape is None:
        inputs = getattr(model_or_layers, "inputs", None)
        return tuple(inputs[0].shape[1:]) if inputs else None
    if not isinstance(input_shape, (tuple, list)) or len(input_shape) != 3:
        raise ValueError(
            "`input_shape` must be (height, width, channels), without the batch. Received: "
            f"input_shape={input_shape}."
        )
    return tuple(input_shape)


def _spatial(
    input_shape: tuple[int, ...] | None,
    model_or_layers: Layers,
    layers: Sequence[keras.layers.Layer],
) -> tuple[int | None, int | None]:
    """Height and width of the input, as far as they are known."""
    shape = _input_shape(input_shape, model_or_layers)
    if shape is None or len(shape) != 3:
        return None, None
    return (shape[0], shape[1]) if _data_format(layers) == "channels_last" else (shape[1], shape[2])


def _data_format(layers: Sequence[keras.layers.Layer]) -> str:
    for layer in layers:
        if getattr(layer, "layers", None):
            return _data_format(layer.layers)
        if hasattr(layer, "data_format"):
            return str(layer.data_format)
    return str(keras.config.image_data_format())


# --- The copy whose gradient is taken -------------------------------------------------------------


def _linear_model(model_or_layers: Layers, shape: Shape, caller: str) -> keras.Model:
    inputs = keras.Input(tuple(shape), name="image")
    outputs = inputs
    for place, member in enumerate(_members(model_or_layers)):
        if _is_model(member):
            _check_functional(member, caller)
        # Layers of several models may have the same name, or be the same.
        outputs = keras.Sequential([_linear(member)], name=f"copy_{place}")(outputs)
    return keras.Model(inputs, outputs, name="copy")


def _linear(layer: keras.layers.Layer) -> keras.layers.Layer:
    """A copy with the same windows, without activations, and with means in place of maxima."""
    if isinstance(layer, keras.Sequential):
        return keras.Sequential([_linear(member) for member in layer.layers], name=layer.name)
    if _is_model(layer) and getattr(layer, "inputs", None) is not None:
        return keras.models.clone_model(layer, clone_function=_linear)
    if isinstance(layer, _POINTWISE):
        return keras.layers.Identity(name=layer.name)
    if not isinstance(layer, keras.layers.Layer):  # an operation between layers, such as x + y
        return type(layer).from_config(layer.get_config())
    # Weights come later. Initializers that draw would move Python's random numbers on.
    zeros = {key: "zeros" for key in layer.get_config() if key.endswith("_initializer")}
    config = {**layer.get_config(), **zeros, "dtype": "float32"}
    if "activation" in config:
        config["activation"] = "linear"
    kind = type(layer)
    if isinstance(layer, keras.layers.MaxPooling2D):
        kind = AveragePooling2D
    elif isinstance(layer, keras.layers.GlobalMaxPooling2D):
        kind = keras.layers.GlobalAveragePooling2D
    return kind.from_config(config)


def _positive(rng: np.random.Generator, weight: Any) -> np.ndarray:
    """Values for a weight of the copy: random, so that branches do not cancel each other."""
    values = rng.uniform(0.5, 1.5, weight.shape).astype("float32")
    if weight.name == "moving_mean":
        return 0 * values
    if values.ndim < 2:
        return values
    # Not too small at the rim of a deep stack, nor too large in its middle.
    channels = 1 if "depthwise" in weight.path else values.shape[-2]
    return values / (channels * np.sqrt(np.prod(values.shape[:-2])))


# --- The drawing ----------------------------------------------------------------------------------


def _draw_maps(maps: list[tuple[str, Any, tuple[set[int], set[int]]]]) -> Any:
    import matplotlib.collections
    import matplotlib.figure
    import matplotlib.patches

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
    return figure


def _runs(cells: set[int]) -> list[tuple[int, int]]:
    """Neighbouring numbers as (first, how many): one patch for all shows no seams."""
    firsts = [i for i in sorted(cells) if i - 1 not in cells]
    lasts = [i for i in sorted(cells) if i + 1 not in cells]
    return [(first, last - first + 1) for first, last in zip(firsts, lasts, strict=True)]
