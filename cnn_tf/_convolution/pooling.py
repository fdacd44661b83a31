"""Maxima and means of windows: along one axis, then along the other.

The maximum of a window is the maximum of its rows' maxima, and its sum the sum of its rows' sums.
So a window of `k_h` by `k_w` cells takes `k_h + k_w - 2` steps in place of `k_h * k_w - 1`, and
each step compares or adds two whole tensors.

On TensorFlow the gradients are written out: automatic differentiation would pad the gradient of
each tap, and select twice for each comparison.
"""

from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from cnn_tf._backend import Tensor, custom_gradient, gate, is_tensorflow
from cnn_tf._convolution.geometry import Axis
from cnn_tf._convolution.windows import taps, untaps

Taps = list[Tensor]


class _Step(NamedTuple):
    """What is done along one axis.

    Args:
        number: The number of the axis.
        axis: The axis, without pads.
        combine: From the taps of a window to what the first one, the first two, ... come to.
        share: From the gradient of the last of these, the taps and these to the taps' gradients.
    """

    number: int
    axis: Axis
    combine: Callable[[Taps], Taps]
    share: Callable[[Tensor, Taps, Taps], Taps]


def largest(x: Tensor, rows: Axis, columns: Axis) -> Tensor:
    """The largest number of each window of images `(batch, h, w, c)`, or a NaN if it holds one.

    Where several are the largest, the gradient goes to the first one, row by row.
    """
    along_columns = _Step(2, columns, _maxima, _to_largest)  # first: then ties go row by row
    return _reduce(x, along_columns, _Step(1, rows, _maxima, _to_largest))


def mean(x: Tensor, rows: Axis, columns: Axis) -> Tensor:
    """The mean of each window of images `(batch, h, w, c)`."""
    cells = rows.window * columns.window

    def means(seen: Taps) -> Taps:
        return [_sums(seen)[-1] / cells]

    def to_all(upstream: Tensor, seen: Taps, combined: Taps) -> Taps:
        return _to_all(upstream / cells, seen, combined)

    along_rows = _Step(1, rows, _sums, _to_all)  # first, for whole rows are copied faster
    return _reduce(x, along_rows, _Step(2, columns, means, to_all))


def lowest(dtype: str) -> float:
    """What never wins, to pad with."""
    return -np.inf if keras.backend.is_float_dtype(dtype) else np.iinfo(dtype).min


def _reduce(x: Tensor, *steps: _Step) -> Tensor:
    """Do one step after the other; on TensorFlow, with the gradients that they bring."""

    def forward(x: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        met = []
        for step in steps:
            seen = taps(x, step.number, step.axis)
            combined = step.combine(seen)
            met.append((step, seen, combined))
            x = combined[-1]

        def gradient(upstream: Tensor) -> Tensor:
            for step, seen, combined in reversed(met):
                upstream = untaps(step.share(upstream, seen, combined), step.number, step.axis)
            return upstream

        return x, gradient

    known = all(x.shape[step.number] is not None for step in steps)
    return custom_gradient(forward, x) if is_tensorflow(x) and known else forward(x)[0]


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


def _to_all(upstream: Tensor, seen: Taps, combined: Taps) -> Taps:
    return [upstream] * len(seen)
