"""Im2col by gathering, and col2im for the gradient.

For each row of the kernel, the pixels that its `k_w` taps see are gathered by their numbers, all
channels of a pixel at once: a matrix of `batch * out_h * out_w` rows and `k_w * c_i` columns
(im2col). One product with that row of the kernel, `k_w * c_i` by `c_o`, for each of the `k_h` rows,
and a sum.

Multiplications: the definition's. Bytes: the windows, `k_h * k_w / (s_h * s_w)` times the image's.

For the gradient of the images (col2im), these are taken apart into blocks of `s_h` by `s_w` pixels.
A window begins with a block, and may reach into the next ones. Rows are added within a product:
side by side stand the gradients of the windows that began in this block of rows, in the one above,
and so on. What comes from windows that began in other columns is added afterwards.

Source: Chellapilla, Puri and Simard (2006), *High performance convolutional neural networks for
document processing*.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops

from cnn_tf._backend import Tensor, custom_gradient, is_tensorflow, matmul, split, take
from cnn_tf._convolution.cost import copy, memory, product
from cnn_tf._convolution.geometry import Geometry
from cnn_tf._convolution.windows import interleaved, pad_zeros, region, segment


def applies(geometry: Geometry) -> bool:
    """To one group of images of known size, without dilation, of floats, on TensorFlow."""
    return (
        is_tensorflow()
        and geometry.known
        and geometry.groups == 1
        and geometry.dilation == (1, 1)
        and "float" in geometry.dtype
    )


def cost(geometry: Geometry) -> float:
    """Padding, the windows, pixel by pixel, and `k_h` products."""
    (k_h, k_w), channels, filters = geometry.kernel, geometry.channels, geometry.filters
    windows = copy(k_h * k_w * geometry.places * channels, channels)
    rest = copy(geometry.padding_copies + k_h * geometry.places * filters)
    multiplied = product(k_h * geometry.places, k_w * channels, filters)
    return windows + rest + multiplied + memory(k_h * k_w * geometry.places * channels, geometry)


def run(x: Tensor, kernel: Tensor, bias: Tensor | None, geometry: Geometry) -> Tensor:
    """Cross-correlate images with a kernel."""
    (k_h, k_w), (s_h, s_w) = geometry.kernel, geometry.strides
    channels, filters = geometry.channels, geometry.filters
    out_h, out_w, w = geometry.rows.outputs, geometry.columns.outputs, geometry.columns.padded
    corners = np.arange(out_h)[:, None, None] * s_h * w + np.arange(out_w)[:, None] * s_w
    places = [np.ravel(corners + u * w + np.arange(k_w)) for u in range(k_h)]

    def correlate(x: Tensor, kernel: Tensor) -> tuple[Tensor, Callable[[Tensor], Any]]:
        pixels = ops.reshape(pad_zeros(x, geometry.pads), (-1, geometry.rows.padded * w, channels))
        seen = [ops.reshape(take(pixels, place, axis=1), (-1, k_w * channels)) for place in places]
        matrices = ops.unstack(ops.reshape(kernel, (k_h, k_w * channels, filters)))
        products = [matmul(row, matrix) for row, matrix in zip(seen, matrices, strict=True)]
        y = ops.reshape(sum(products[1:], start=products[0]), (-1, out_h, out_w, filters))

        def gradients(upstream: Tensor) -> tuple[Tensor, Tensor]:
            d = ops.reshape(upstream, (-1, filters))
            to_kernel = ops.stack([ops.transpose(matmul(d, row, transpose="a")) for row in seen])
            to_kernel = ops.reshape(to_kernel, (k_h, k_w, channels, filters))
            return _image_gradient(upstream, matrices, geometry), to_kernel

        return y, gradients

    y = custom_gradient(correlate, x, kernel)
    return y if bias is None else ops.add(y, bias)


def _image_gradient(upstream: Tensor, matrices: list[Tensor], geometry: Geometry) -> Tensor:
    """What each pixel gets from all windows that saw it (col2im), by the rows of the kernel."""
    (k_h, k_w), (s_h, s_w) = geometry.kernel, geometry.strides
    channels, filters, out_w = geometry.channels, geometry.filters, geometry.columns.outputs
    (top, _), (left, _) = geometry.pads
    h, w = geometry.rows.cells, geometry.columns.cells
    # From the first block that holds a pixel of the image, and not only padding, to the last.
    first_h, last_h = top // s_h, -(-(top + h) // s_h)
    first_w, last_w = left // s_w, -(-(left + w) // s_w)

    def of_row(row: int) -> Tensor | None:
        """This row of all blocks, or `None` if no tap sees it."""
        taps = range(row, k_h, s_h)
        if not taps:
            return None
        began = [
            region(upstream, (first_h - u // s_h, last_h - u // s_h), (0, out_w)) for u in taps
        ]
        began = ops.reshape(ops.concatenate(began, axis=-1), (-1, len(taps) * filters))
        matrix = ops.concatenate([matrices[u] for u in taps], axis=1)
        columns = [min(s_w, k_w - v) * channels for v in range(0, k_w, s_w)]
        total = None
        # The columns that lie in the window's own block, those in the next one, ...
        for step, part in enumerate(split(matrix, columns, axis=0)):
            pixels = matmul(began, part, transpose="b")
            pixels = ops.reshape(pixels, (-1, last_h - first_h, out_w, pixels.shape[1]))
            pixels = region(pixels, (0, last_h - first_h), (first_w - step, last_w - step))
            pixels = segment(pixels, 3, 0, s_w * channels)
            total = pixels if total is None else total + pixels
        return total

    x = interleaved([of_row(row) for row in range(s_h)], 1)
    x = ops.reshape(x, (-1, (last_h - first_h) * s_h, (last_w - first_w) * s_w, channels))
    top, left = top - first_h * s_h, left - first_w * s_w
    return region(x, (top, top + h), (left, left + w))
