"""Few filters: multiply first, then shift and add (kn2row).

All kernels meet all pixels in one product: the kernels, `k_h * k_w * c_o` rows of `c_i` numbers, by
the pixels, `c_i` by `batch * h * w`. Each row of the result is a picture: what one tap of one
filter makes of the images. The outputs are the sum of these pictures, each shifted by the place of
its tap: first along the columns, then along the rows.

Multiplications: the definition's, and those of places that no window reaches.
Bytes: the pictures, `k_h * k_w * c_o / c_i` times the image's; nothing of the image is copied.

The gradient of a picture is that of the outputs, shifted the other way. Two more products lead from
there to those of the images and of the kernels.

Source: Vasudevan, Anderson and Gregg (2017), *Parallel multi channel convolution using general
matrix multiplication*.
"""

from collections.abc import Callable
from typing import Any

from keras import ops

from cnn_tf._backend import Tensor, custom_gradient, matmul
from cnn_tf._convolution.cost import calls, copy, memory, product
from cnn_tf._convolution.geometry import Axis, Geometry
from cnn_tf._convolution.windows import segment


def applies(geometry: Geometry) -> bool:
    """To one group of images of known size, with strides of 1."""
    return geometry.known and geometry.groups == 1 and geometry.strides == (1, 1)


def cost(geometry: Geometry) -> float:
    """One product, and for each picture a shift and a sum."""
    (k_h, k_w), rows, columns = geometry.kernel, geometry.rows, geometry.columns
    pixels, filters = rows.cells * columns.cells, geometry.filters
    pictures = k_h * k_w * filters * pixels
    copies = 3 * pictures + 3 * k_h * filters * rows.cells * columns.outputs
    multiplied = product(pixels, geometry.channels, k_h * k_w * filters)
    copied = copy(copies + 2 * filters * geometry.places) + memory(pictures, geometry)
    return multiplied + copied + calls(8 + 3 * (k_h + k_w), geometry.batch)


def run(x: Tensor, kernel: Tensor, bias: Tensor | None, geometry: Geometry) -> Tensor:
    """Cross-correlate images with a kernel."""
    (k_h, k_w), rows, columns = geometry.kernel, geometry.rows, geometry.columns
    channels, filters = geometry.channels, geometry.filters
    h, w, out_h, out_w = rows.cells, columns.cells, rows.outputs, columns.outputs

    def correlate(x: Tensor, kernel: Tensor) -> tuple[Tensor, Callable[[Tensor], Any]]:
        pixels = ops.reshape(x, (-1, channels))
        taps = ops.reshape(ops.transpose(kernel, (1, 0, 3, 2)), (-1, channels))
        pictures = matmul(taps, pixels, transpose="b")  # (k_w * k_h * c_o, batch * h * w)
        y = _add_shifted(ops.reshape(pictures, (k_w, -1, w)), columns)
        y = _add_shifted(ops.reshape(y, (k_h, -1, h, out_w)), rows)
        y = ops.transpose(ops.reshape(y, (filters, -1, out_h, out_w)), (1, 2, 3, 0))

        def gradients(upstream: Tensor) -> tuple[Tensor, Tensor]:
            d = ops.reshape(ops.transpose(upstream, (3, 0, 1, 2)), (-1, out_h, out_w))
            d = _shift_back(d, rows)  # (k_h, c_o * batch, h, out_w)
            d = _shift_back(ops.reshape(d, (-1, out_w)), columns)
            d = ops.reshape(d, (k_h * k_w * filters, -1))
            to_kernel = ops.reshape(matmul(d, pixels), (k_w, k_h, filters, channels))
            to_x = ops.reshape(matmul(d, taps, transpose="a"), (-1, h, w, channels))
            return to_x, ops.transpose(to_kernel, (1, 0, 3, 2))

        return y, gradients

    y = custom_gradient(correlate, x, kernel)
    return y if bias is None else ops.add(y, bias)


def _first(tap: int, axis: Axis) -> int:
    """The cell that a tap of the first window meets, negative where that is padding."""
    first: int = tap * axis.dilation - axis.before
    return first


def _add_shifted(pictures: Tensor, axis: Axis) -> Tensor:
    """Add the pictures of all taps along an axis: (taps, n, cells, ...) -> (n, outputs, ...)."""
    total = None
    for tap, picture in enumerate(ops.unstack(pictures)):
        first = _first(tap, axis)
        seen = segment(picture, 1, first, first + axis.outputs)
        total = seen if total is None else total + seen
    return total


def _shift_back(d: Tensor, axis: Axis) -> Tensor:
    """The adjoint of `_add_shifted`: (n, outputs, ...) -> (taps, n, cells, ...)."""
    firsts = (_first(tap, axis) for tap in range(axis.window))
    return ops.stack([segment(d, 1, -first, axis.cells - first) for first in firsts])
