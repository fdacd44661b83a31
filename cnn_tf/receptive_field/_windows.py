"""Layers as windows: what each of them looks through, along each axis."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras

from cnn_tf.arguments import FullPadding, axis_padding, by_axis

# Layers whose output at a place depends on their input at that place only, and that can be left out
# without a change in what is seen.
POINTWISE = (
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


class Window(NamedTuple):
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


class WindowedLayer(NamedTuple):
    name: str
    axes: tuple[Window, Window]
    output_size: tuple[Any, Any]


def find_windows(
    layers: Sequence[keras.layers.Layer], size: tuple[int | None, int | None]
) -> list[WindowedLayer]:
    """The windows of the layers that have one, for an input of this size, if it is known."""
    windows: list[WindowedLayer] = []
    for layer in layers:
        if isinstance(layer, (*POINTWISE, keras.layers.InputLayer)):
            continue
        if isinstance(layer, (keras.layers.BatchNormalization, keras.layers.Rescaling)):
            continue
        rows, columns = _axes(layer, size)
        size = rows.output_size(size[0]), columns.output_size(size[1])
        if any(n is not None and n < 1 for n in size):
            raise ValueError(
                f"The window of layer {layer.name!r} does not fit into its input. Received: an "
                f"input that would give an output of size {size}. Use a larger one or fewer layers."
            )
        windows.append(WindowedLayer(layer.name, (rows, columns), size))
    return windows


def _axes(layer: keras.layers.Layer, size: tuple[int | None, int | None]) -> list[Window]:
    one = (1, 1)
    if isinstance(layer, keras.layers.ZeroPadding2D):
        return [Window(1, 1, 1, *sides) for sides in layer.padding]
    if isinstance(layer, keras.layers.Cropping2D):
        return [Window(1, 1, 1, -before, -after) for before, after in layer.cropping]
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
        windows.append(Window(k, s, d, *axis_padding(n, k, sides, s, d)))
    return windows


def _pair(value: Any) -> tuple[int, int]:
    # Keras's depthwise and separable layers keep an int as it came.
    return tuple(value) if isinstance(value, (tuple, list)) else (value, value)
