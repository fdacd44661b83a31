"""Maxima and means of windows: along one axis, then along the other.

The maximum of a window is the maximum of its rows' maxima, and its sum the sum of its rows' sums.
So a window of `k_h` by `k_w` cells takes `k_h + k_w - 2` steps in place of `k_h * k_w - 1`, and
each step compares or adds two whole tensors.

On TensorFlow the gradients are written out: automatic differentiation would pad the gradient of
each tap, and select twice for each comparison.
"""

from collections.abc import Callable, Sequence

import keras
import numpy as np
from keras import ops

from cnn_tf._backend import Tensor, custom_gradient, gate, is_tensorflow
from cnn_tf._convolution.geometry import Axis
from cnn_tf._convolution.windows import taps, untaps

Taps = list[Tensor]


def largest(x: Tensor, rows: Axis, columns: Axis) -> Tensor:
    """The largest number of each window of images `(batch, h, w, c)`, or a NaN if it holds one.

    Where several are the largest, the gradient goes to the first one, row by row.
    """
    for number, axis in ((2, columns), (1, rows)):  # in this order, for the sake of the first one
        x = _along(x, number, axis, _maxima, _to_largest)
    return x


def mean(x: Tensor, rows: Axis, columns: Axis) -> Tensor:
    """The mean of each window of images `(batch, h, w, c)`."""
    for number, axis in ((1, rows), (2, columns)):  # whole rows of images are copied faster
        x = _along(x, number, axis, _sums, _to_all)
    return x / (rows.window * columns.window)


def lowest(dtype: str) -> float:
    """What never wins, to pad with."""
    return -np.inf if keras.backend.is_float_dtype(dtype) else np.iinfo(dtype).min


def _along(
    x: Tensor,
    number: int,
    axis: Axis,
    combine: Callable[[Taps], Taps],
    share: Callable[[Tensor, Taps, Taps], Taps],
) -> Tensor:
    """Combine the taps of a window along one axis.

    Args:
        x: Images, padded.
        number: The number of the axis.
        axis: The axis, without pads.
        combine: From the taps to what the first one, the first two, ... come to.
        share: From the gradient of the last of these, the taps and these to the taps' gradients.
    """
    if not is_tensorflow(x) or x.shape[number] is None:
        return combine(taps(x, number, axis))[-1]

    def reduce(x: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        seen = taps(x, number, axis)
        combined = combine(seen)

        def gradient(upstream: Tensor) -> Tensor:
            return untaps(share(upstream, seen, combined), number, axis)

        return combined[-1], gradient

    return custom_gradient(reduce, x)


def _maxima(seen: Taps) -> Taps:
    combined = seen[:1]
    for tap in seen[1:]:
        before = combined[-1]
        if is_tensorflow(tap):
            combined.append(ops.maximum(before, tap))
        else:  # not all back ends' own maximum gives the gradient of a tie to one of the two
            wins = ops.logical_or(tap > before, tap != tap)
            combined.append(ops.where(wins, tap, before))
    return combined


def _to_largest(upstream: Tensor, seen: Taps, combined: Taps) -> Taps:
    parts = []
    for tap, before in zip(seen[:0:-1], combined[-2::-1], strict=True):
        part = gate(upstream, by=tap - before)
        parts.append(part)
        upstream = upstream - part  # faster than to select a second time
    return [upstream, *parts[::-1]]


def _sums(seen: Taps) -> Taps:
    total = seen[0]
    for tap in seen[1:]:
        total = total + tap
    return [total]


def _to_all(upstream: Tensor, seen: Sequence[Tensor], combined: Taps) -> Taps:
    return [upstream] * len(seen)
