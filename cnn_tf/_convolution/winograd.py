"""3x3 kernels of many channels: Winograd's F(4x4, 3x3), with fewer multiplications.

A row of `m` outputs of a kernel of `r` taps takes `m * r` multiplications. So does a product of two
polynomials with `m` and `r` coefficients. But evaluate both at `n = m + r - 1` points, multiply
point by point, interpolate: that takes `n` multiplications, besides those of the evaluations and
the interpolation, which are products with small constant matrices and are shared by the channels.
The correlation, from `n` pixels to `m` outputs, is that product transposed, and takes as many. In
two dimensions, for a tile `d` of 6x6 pixels, a kernel `g` and 4x4 outputs,

    Y = A' [(G g G') * (B' d B)] A

with ' for the transposed matrix and * for the product of each number with its counterpart: 36
multiplications in place of 144. Over channels, these are 36 products of matrices: the tiles,
`batch * tiles` rows of `c_i` numbers, by the kernels, `c_i` by `c_o`.

Bytes: the evaluated tiles, 36/16 times the image's, are kept for the gradient.

All pixels of a tile take part in all its outputs, so an infinity or a NaN spoils all of them; and
the small matrices add and subtract numbers larger than the outputs, which costs some accuracy.

Source: Lavin and Gray (2016), *Fast algorithms for convolutional neural networks*.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from keras import ops

from cnn_tf._backend import (
    Tensor,
    constant,
    custom_gradient,
    cut_axes,
    has_accelerator,
    materialize,
    matmul,
    pad,
    split,
)
from cnn_tf._convolution.cost import calls, copy, memory, once, product
from cnn_tf._convolution.geometry import Geometry
from cnn_tf._convolution.windows import region

_OUTPUTS = 4  # along each side of a tile
_FEWEST_CHANNELS = 16
# Near one, so that their powers are too, and symmetric; the last point is infinity. With the usual
# 0, 1, -1, 2 and -2 the largest error is more than twice as large.
_POINTS = (2 / 3, -2 / 3, 4 / 3, -4 / 3, 0)


def applies(geometry: Geometry) -> bool:
    """To one group of images of known size, 2x2 or 3x3 kernels, undilated, strides of 1, floats."""
    return (
        geometry.known
        and geometry.groups == 1
        and geometry.strides == geometry.dilation == (1, 1)
        and geometry.kernel in ((2, 2), (3, 3))
        and geometry.dtype in ("float32", "float64")
    )


def cost(geometry: Geometry) -> float:
    """Evaluation of tiles and kernel, products, interpolation, and what is moved between them.

    Infinite for few channels, whose numbers are often whole and should stay so, and zeros zeros;
    and on an accelerator, where products may be rounded to fewer bits, and the errors multiplied.
    """
    m, (r, _), tiles = _OUTPUTS, geometry.kernel, math.prod(_tiles(geometry))
    channels, filters, points = geometry.channels, geometry.filters, (m + r - 1) ** 2
    few = min(channels, filters) < _FEWEST_CHANNELS
    if few or geometry.kernel != (3, 3) or has_accelerator():
        return math.inf
    evaluated = copy(2 * geometry.pixels * channels + 3 * points * tiles * channels)
    evaluated += product(points, points, tiles * channels)
    kernel = copy(2 * points * channels * filters) + product(points, r * r, channels * filters)
    multiplied = product(points * tiles, channels, filters) + copy(points * tiles * filters)
    outputs = copy(3 * m * m * tiles * filters) + product(m * m, points, tiles * filters)
    total = evaluated + once(kernel, geometry.batch) + multiplied + outputs
    return total + memory(points * tiles * channels, geometry) + calls(40, geometry.batch)


def _tiles(geometry: Geometry) -> tuple[int, int]:
    """Rows and columns of tiles."""
    return -(-geometry.rows.outputs // _OUTPUTS), -(-geometry.columns.outputs // _OUTPUTS)


def run(x: Tensor, kernel: Tensor, bias: Tensor | None, geometry: Geometry) -> Tensor:
    """Cross-correlate images with a kernel."""
    m, r = _OUTPUTS, geometry.kernel[0]
    n, channels, filters = m + r - 1, geometry.channels, geometry.filters
    tiles_h, tiles_w = _tiles(geometry)

    def gather(x: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        return _gather(x, geometry), lambda upstream: _add_up(upstream, geometry)

    seen = materialize(custom_gradient(gather, x))
    outputs_of, tile_of, kernel_of = (constant(each, kernel) for each in _OF_TILES[r])
    x = ops.reshape(matmul(tile_of, seen), (n * n, -1, channels))
    kernel = matmul(kernel_of, ops.reshape(kernel, (r * r, channels * filters)))
    y = matmul(x, ops.reshape(kernel, (n * n, channels, filters)))
    y = matmul(outputs_of, ops.reshape(y, (n * n, -1)))
    y = ops.reshape(y, (m, m, -1, tiles_h, tiles_w, filters))
    y = ops.reshape(ops.transpose(y, (2, 3, 0, 4, 1, 5)), (-1, tiles_h * m, tiles_w * m, filters))
    y = cut_axes(y, {1: (0, geometry.rows.outputs), 2: (0, geometry.columns.outputs)})
    return y if bias is None else ops.add(y, bias)


class _Part(NamedTuple):
    """What a tile sees of a block of `m` by `m` pixels: its own, or one below or to the right.

    Args:
        block: Rows and columns from the tile's own block to this one, each 0 or 1.
        rows: Rows that are seen, from the first one on.
        columns: Columns that are seen.
    """

    block: tuple[int, int]
    rows: int
    columns: int


def _parts(r: int) -> list[_Part]:
    """The parts of a tile: all of its own block, and `r - 1` rows and columns of the next ones."""
    seen = _OUTPUTS, r - 1
    return [_Part((i, j), seen[i], seen[j]) for i in (0, 1) for j in (0, 1)]


def _order(r: int) -> list[int]:
    """The numbers of a tile's pixels in the order of its parts."""
    m, n = _OUTPUTS, _OUTPUTS + r - 1
    return [
        (u + i * m) * n + v + j * m
        for (i, j), rows, columns in _parts(r)
        for u in range(rows)
        for v in range(columns)
    ]


def _gather(x: Tensor, geometry: Geometry) -> Tensor:
    """The tiles: (pixels of a tile, batch * tiles * c_i)."""
    m, (tiles_h, tiles_w), channels = _OUTPUTS, _tiles(geometry), geometry.channels
    (top, _), (left, _) = geometry.pads
    # Axes: row and column of a pixel within its block, image, row and column of the block.
    x = region(x, (-top, m * (tiles_h + 1) - top), (-left, m * (tiles_w + 1) - left))
    x = ops.reshape(x, (-1, tiles_h + 1, m, tiles_w + 1, m, channels))
    x = ops.transpose(x, (2, 4, 0, 1, 3, 5))
    seen = []
    for (i, j), rows, columns in _parts(geometry.kernel[0]):
        blocks = {3: (i, i + tiles_h), 4: (j, j + tiles_w)}
        pixels = cut_axes(x, {0: (0, rows), 1: (0, columns), **blocks})
        seen.append(ops.reshape(pixels, (rows * columns, -1)))
    return ops.concatenate(seen)


def _add_up(tiles: Tensor, geometry: Geometry) -> Tensor:
    """Add up, for each pixel, what the tiles that saw it hold: the adjoint of `_gather`."""
    m, (tiles_h, tiles_w), channels = _OUTPUTS, _tiles(geometry), geometry.channels
    parts, total = _parts(geometry.kernel[0]), None
    seen = split(tiles, [rows * columns for _, rows, columns in parts], axis=0)
    for ((i, j), rows, columns), pixels in zip(parts, seen, strict=True):
        pixels = ops.reshape(pixels, (rows, columns, -1, tiles_h, tiles_w, channels))
        blocks = (i, 1 - i), (j, 1 - j)
        pixels = pad(pixels, ((0, m - rows), (0, m - columns), (0, 0), *blocks, (0, 0)))
        total = pixels if total is None else total + pixels
    x = ops.transpose(total, (2, 3, 0, 4, 1, 5))
    x = ops.reshape(x, (-1, (tiles_h + 1) * m, (tiles_w + 1) * m, channels))
    (top, _), (left, _) = geometry.pads
    return region(x, (top, top + geometry.rows.cells), (left, left + geometry.columns.cells))


def matrices(m: int, r: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Winograd's A `(n, m)`, B `(n, n)` and G `(n, r)`, for m outputs and r taps."""
    points = np.array(_POINTS[: m + r - 2])
    n = len(points) + 1
    a, b, g = np.zeros((n, m)), np.zeros((n, n)), np.zeros((n, r))
    for j, point in enumerate(points):
        others = np.delete(points, j)
        a[j] = point ** np.arange(m)
        b[:-1, j] = np.poly(others)[::-1]
        g[j] = point ** np.arange(r) / np.prod(point - others)
    a[-1, -1] = g[-1, -1] = 1
    b[:, -1] = np.poly(points)[::-1]
    return a, b, g


def _of_tiles(r: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Both dimensions at once, by one matrix each: kron(B', B') times the pixels of a tile."""
    a, b, g = matrices(_OUTPUTS, r)
    return np.kron(a.T, a.T), np.kron(b.T, b.T)[:, _order(r)], np.kron(g, g)


_OF_TILES = {r: _of_tiles(r) for r in (2, 3)}
