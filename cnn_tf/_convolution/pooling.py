"""Maxima and means of windows: along one axis, then along the other.

The maximum of a window is the maximum of its rows' maxima, and its sum the sum of its rows' sums.
So a window of `k_h` by `k_w` cells takes `k_h + k_w - 2` steps in place of `k_h * k_w - 1`.

With a stride of `s`, the axis falls into blocks of `s` cells, and a window into whole blocks and
single cells. A block is reduced once, in one pass over the image, whatever windows share it.

With strides of 1, sums are those of parts of one matrix of all pixels: see layout.py.

On TensorFlow the gradients are written out: automatic differentiation would pad the gradient of
each part, select twice for each comparison, and divide the gradient among cells that tie.
"""

import functools
import math
import operator
from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from cnn_tf._backend import Tensor, custom_gradient, cut, gate, is_tensorflow, reduce_max, take
from cnn_tf._convolution.geometry import Axis
from cnn_tf._convolution.layout import images_of, in_one_matrix, lay_out, part_of
from cnn_tf._convolution.windows import pad_zeros, segment, shifted, stacked, taps

Tensors = list[Tensor]


class _Kind(NamedTuple):
    """A way to make one number of several.

    Args:
        neutral: The number that changes nothing.
        idempotent: Whether a number may be met twice.
        combine: From some tensors to what the first one, the first two, ... come to.
        share: From the gradient of the last of these, and these, to the gradients of the tensors.
        reduce: What all entries of an axis come to, a function of a tensor and the axis.
    """

    neutral: float
    idempotent: bool
    combine: Callable[[Tensors], Tensors]
    share: Callable[[Tensor, Tensors], Tensors]
    reduce: Callable[..., Tensor]


def largest(x: Tensor, rows: Axis, columns: Axis) -> Tensor:
    """The largest number of each window of images `(batch, h, w, c)`, or a NaN if it holds one.

    Where several are the largest, the gradient goes to the first one, row by row.
    """
    dtype = keras.backend.standardize_dtype(x.dtype)
    lowest = -np.inf if keras.backend.is_float_dtype(dtype) else np.iinfo(dtype).min
    kind = _Kind(lowest, True, _maxima, _to_largest, reduce_max)
    return _reduce(x, kind, (2, columns), (1, rows))  # columns first: then ties go row by row


def mean(x: Tensor, rows: Axis, columns: Axis) -> Tensor:
    """The mean of each window of images `(batch, h, w, c)`; padded cells count as zeros."""
    divisor = rows.window * columns.window
    flat = is_tensorflow(x) and x.shape[3] is not None
    if flat and all(map(_moves_far, (rows, columns))):

        def forward(x: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
            def gradient(upstream: Tensor) -> Tensor:
                return _sums_of_parts(upstream / divisor, rows.adjoint(), columns.adjoint())

            return _sums_of_parts(x, rows, columns) / divisor, gradient

        return custom_gradient(forward, x)
    kind = _Kind(0, False, _sums, _to_all, ops.sum)
    # Rows first, for whole rows are copied faster.
    return _reduce(x, kind, (1, rows), (2, columns), divisor=divisor)


def _moves_far(axis: Axis) -> bool:
    """Whether a window moves with a stride of 1, and along most of an axis of known size."""
    if not axis.known or axis.stride > 1 or max(axis.pads) >= axis.span:
        return False
    return 2 * axis.outputs > axis.cells


def _sums_of_parts(x: Tensor, rows: Axis, columns: Axis) -> Tensor:
    """The sum of each window, with strides of 1: of parts of one matrix of all pixels.

    Its adjoint is a sum of windows itself, so the gradient takes no other way.
    """
    pitch = columns.cells + max(columns.pads)
    layout = lay_out(rows, columns, x.shape[0], pitch, columns.span - 1)
    over = layout.beyond - (rows.span - 1) * pitch - (columns.span - 1)
    matrix = part_of(in_one_matrix(x, x.shape[3], layout), 0, over)
    for step, axis in ((pitch, rows), (1, columns)):
        last = (axis.window - 1) * step
        parts = [part_of(matrix, start, last - start) for start in range(0, last + 1, step)]
        matrix = functools.reduce(operator.add, parts)
    return images_of(matrix, layout, rows.outputs, columns.outputs)


def _reduce(x: Tensor, kind: _Kind, *steps: tuple[int, Axis], divisor: int | None = None) -> Tensor:
    """Reduce the windows along one axis after the other, and divide by a number."""
    known = x.shape[3] is not None and all(axis.known for _, axis in steps)
    if not is_tensorflow(x) or not known:
        pads = {number: axis.pads for number, axis in steps}
        x = pad_zeros(x, (pads[1], pads[2]), kind.neutral)
        for number, axis in steps:
            x = kind.combine(taps(x, number, axis.without_pads()))[-1]
        return x if divisor is None else x / divisor

    def forward(x: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        shape, done = list(x.shape), []
        images = (-1, *shape[1:])
        for number, axis in steps:
            along = _Along(axis, math.prod(shape[number + 1 :]), kind)
            cells, blocks = along.blocks(x)
            combined = kind.combine(along.parts(x, blocks))
            done.append((along, cells, blocks, combined))
            x, shape[number] = combined[-1], axis.outputs
        x = ops.reshape(x, (-1, *shape[1:]))

        def gradient(upstream: Tensor) -> Tensor:
            upstream = upstream if divisor is None else upstream / divisor
            for along, cells, blocks, combined in reversed(done):
                parts = kind.share(along.flat(upstream, along.axis.outputs), combined)
                upstream = along.to_cells(parts, cells, blocks)
            return ops.reshape(upstream, images)

        return x if divisor is None else x / divisor, gradient

    return custom_gradient(forward, x)


class _Along:
    """The windows along one axis, its size known, in parts: blocks of `stride` cells, and cells.

    Images are taken as (before, cells, behind), the other axes flat.

    Args:
        axis: The axis, with its pads.
        behind: Numbers of a cell.
        kind: What is done.
    """

    def __init__(self, axis: Axis, behind: int, kind: _Kind) -> None:
        if axis.outputs == 1 and axis.cells < 2 * axis.window and not any(axis.pads):
            axis = axis._replace(stride=axis.window)  # a single block
        self.axis, self._behind, self._kind = axis, behind, kind
        self._whole = axis.cells // axis.stride  # blocks
        first = axis.before % axis.stride  # the tap that meets the beginning of a block
        count = (axis.window - first) // axis.stride if axis.stride > 1 else 0
        rest = first + count * axis.stride
        last = (axis.outputs - 1) * axis.stride - axis.before + rest
        if count <= 0 or axis.before >= axis.stride or last > axis.cells:
            count, rest = 0, first  # blocks would reach beyond the image
        # First tap and number of taps of each part.
        self._parts = [(tap, 1) for tap in range(first)]
        self._parts += [(first + i * axis.stride, axis.stride) for i in range(count)]
        self._parts += [(tap, 1) for tap in range(rest, axis.window)]
        self._has_blocks = count > 0

    def flat(self, x: Tensor, size: int) -> Tensor:
        """Images of so many cells along the axis, as (before, size, behind)."""
        return ops.reshape(x, (-1, size, self._behind))

    def blocks(self, x: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """The cells of each block, and what they come to, if any part of a window is a block."""
        if not self._has_blocks:
            return None, None
        axis, whole = self.axis, self._whole
        if axis.cells % axis.stride:
            x = cut(self.flat(x, axis.cells), 1, 0, whole * axis.stride)
        cells = ops.reshape(x, (-1, whole, axis.stride, self._behind))
        return cells, self._kind.reduce(cells, 2)

    def parts(self, x: Tensor, blocks: Tensor | None) -> Tensors:
        """What each part of a window comes to, as the window moves along the axis."""
        axis, result = self.axis, []
        if any(size == 1 for _, size in self._parts):
            x = self.flat(x, axis.cells)
        for tap, size in self._parts:
            first = tap - axis.before
            if size > 1:
                block = first // axis.stride
                result.append(cut(blocks, 1, block, block + axis.outputs))
                continue
            cells = first + axis.stride * np.arange(axis.outputs)
            if self._kind.idempotent:  # beyond the image: its last cell, which the window meets too
                cells = np.minimum(cells, axis.cells - 1)
            inside = cells[(cells >= 0) & (cells < axis.cells)]
            ahead = int(np.sum(cells < 0))
            beyond = len(cells) - ahead - len(inside)
            if len(inside) and np.all(np.diff(inside) == 1):  # they lie side by side
                seen = cut(x, 1, int(inside[0]), int(inside[-1]) + 1)
            else:
                seen = take(x, inside, 1)
            result.append(shifted(seen, 1, ahead, beyond, self._kind.neutral))
        return result

    def to_cells(self, parts: Tensors, cells: Tensor | None, blocks: Tensor | None) -> Tensor:
        """Add up, for each cell, the gradients of the parts that hold it: one cell after another.

        They come in that order, but perhaps with an axis of blocks and one of cells in a block.
        """
        axis, whole = self.axis, self._whole
        count = -(-axis.cells // axis.stride)  # blocks, with one that is not whole
        phases: list[Tensor | None] = [None] * axis.stride  # first cells of all blocks, second, ...
        of_blocks = None
        for (tap, size), part in zip(self._parts, parts, strict=True):
            block, phase = divmod(tap - axis.before, axis.stride)
            if size > 1:
                of_blocks = _plus(of_blocks, segment(part, 1, -block, whole - block))
            else:
                phases[phase] = _plus(phases[phase], segment(part, 1, -block, count - block))
        if blocks is not None:
            combined: Tensors = [None] * axis.stride
            if self._kind.idempotent:  # who of a block has won; the last cell is not needed
                combined = [*self._kind.combine(ops.unstack(cells, axis=2)[:-1]), blocks]
            for phase, part in enumerate(self._kind.share(of_blocks, combined)):
                phases[phase] = _plus(phases[phase], segment(part, 1, 0, count))
        x = stacked(phases, 1)
        over = count * axis.stride - axis.cells
        return cut(self.flat(x, axis.cells + over), 1, 0, axis.cells) if over else x


def _plus(total: Tensor | None, part: Tensor) -> Tensor:
    return part if total is None else total + part


def _maxima(seen: Tensors) -> Tensors:
    combined = seen[:1]
    for tap in seen[1:]:
        before = combined[-1]
        if is_tensorflow(tap):
            combined.append(ops.maximum(before, tap))
        else:  # not all back ends' own maximum gives the gradient of a tie to one of the two
            wins = ops.logical_or(tap > before, tap != tap)
            combined.append(ops.where(wins, tap, before))
    return combined


def _to_largest(upstream: Tensor, combined: Tensors) -> Tensors:
    parts = []
    for maximum, before in zip(combined[:0:-1], combined[-2::-1], strict=True):
        part = gate(upstream, by=maximum - before)
        parts.append(part)
        upstream = upstream - part  # faster than to select a second time
    return [upstream, *parts[::-1]]


def _sums(seen: Tensors) -> Tensors:
    total = seen[0]
    for tap in seen[1:]:
        total = total + tap
    return [*seen[:-1], total]


def _to_all(upstream: Tensor, combined: Tensors) -> Tensors:
    return [upstream] * len(combined)
