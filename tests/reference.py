"""The definitions, in NumPy and in loops: slow, plain, and independent of the package.

Batches of images with channels last, `(batch, h, w, c)`; pairs are (rows, columns) and paddings
((top, bottom), (left, right)).
"""

import itertools

import numpy as np

NUMPY_MODES = {
    "zeros": "constant",
    "reflect": "reflect",
    "symmetric": "symmetric",
    "circular": "wrap",
    "replicate": "edge",
}


def pad(x, padding, mode="zeros"):
    return np.pad(x, ((0, 0), *padding, (0, 0)), mode=NUMPY_MODES[mode])


def same_padding(size, window, strides, dilation=(1, 1)):
    """The padding that gives ceil(n / stride) outputs, the odd cell last."""
    padding = []
    for n, k, s, d in zip(size, window, strides, dilation, strict=True):
        outputs = -(-n // s)
        total = max((outputs - 1) * s + d * (k - 1) + 1 - n, 0)
        padding.append((total // 2, total - total // 2))
    return tuple(padding)


def correlate(x, kernel, strides=(1, 1), dilation=(1, 1), groups=1):
    """Cross-correlate x, padded already, with a kernel `(k_h, k_w, c_i // groups, c_o)`."""
    k_h, k_w, depth, filters = kernel.shape
    batch, h, w, _ = x.shape
    out_h = (h - dilation[0] * (k_h - 1) - 1) // strides[0] + 1
    out_w = (w - dilation[1] * (k_w - 1) - 1) // strides[1] + 1
    y = np.zeros((batch, out_h, out_w, filters))
    for n, i, j, d in np.ndindex(y.shape):
        first = d // (filters // groups) * depth  # the first channel that this filter sees
        for a, b, c in np.ndindex(k_h, k_w, depth):
            row, column = i * strides[0] + a * dilation[0], j * strides[1] + b * dilation[1]
            y[n, i, j, d] += kernel[a, b, c, d] * x[n, row, column, first + c]
    return y


def pool(x, window, strides, padding, reduce):
    """Reduce the cells of the image under each window; padded cells are not among them."""
    batch, h, w, channels = x.shape
    (top, bottom), (left, right) = padding
    out_h = (top + h + bottom - window[0]) // strides[0] + 1
    out_w = (left + w + right - window[1]) // strides[1] + 1
    y = np.zeros((batch, out_h, out_w, channels))
    for n, i, j, c in np.ndindex(y.shape):
        rows = range(i * strides[0] - top, i * strides[0] - top + window[0])
        columns = range(j * strides[1] - left, j * strides[1] - left + window[1])
        cells = itertools.product(rows, columns)
        y[n, i, j, c] = reduce([x[n, r, q, c] for r, q in cells if 0 <= r < h and 0 <= q < w])
    return y
