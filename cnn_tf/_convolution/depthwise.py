"""As many groups as channels, a depthwise convolution: weigh what each tap sees, and add it up.

There is nothing to multiply as matrices: each output is a sum of `k_h * k_w` pixels of one channel.
So the taps are taken one after the other. What one of them sees is the image, shifted; it is
multiplied by one weight a channel, and added to the sum.

Multiplications: the definition's.
Bytes: for each tap, what it sees is read, multiplied and added; nothing of it is kept.

The gradient of the images takes the same way back, that of a weight is a sum over all places.

Source: Chollet (2017), *Xception: deep learning with depthwise separable convolutions*.
"""

import functools
import operator
from collections.abc import Callable, Iterator
from typing import Any

from keras import ops

from cnn_tf._backend import Tensor, custom_gradient, is_tensorflow
from cnn_tf._convolution.cost import copy
from cnn_tf._convolution.geometry import Geometry
from cnn_tf._convolution.windows import pad_zeros, taps, untaps


def applies(geometry: Geometry) -> bool:
    """To images of known size with as many groups as channels, and more than one."""
    return geometry.known and geometry.groups == geometry.channels > 1


def cost(geometry: Geometry) -> float:
    """Padding, and for each tap what it sees, times its weights, added up."""
    (k_h, k_w), channels, filters = geometry.kernel, geometry.channels, geometry.filters
    rows = k_h * geometry.rows.outputs * geometry.columns.padded * channels
    seen = k_h * k_w * geometry.places
    return copy(geometry.padding_copies + rows + seen * (channels + 2 * filters), channels)


def run(x: Tensor, kernel: Tensor, bias: Tensor | None, geometry: Geometry) -> Tensor:
    """Cross-correlate images `(batch, h, w, c)` with `(k_h, k_w, 1, c * m)`, m for each channel."""
    x, geometry = pad_zeros(x, geometry.pads), geometry.without_pads()
    (k_h, k_w), channels, filters = geometry.kernel, geometry.channels, geometry.filters
    out_h, out_w = geometry.rows.outputs, geometry.columns.outputs
    multiplier = filters // channels

    def seen(x: Tensor) -> Iterator[Tensor]:
        """What each tap sees, row by row: `(batch, out_h, out_w, c, 1)`."""
        for row in taps(x, 1, geometry.rows):
            for tap in taps(row, 2, geometry.columns):
                yield ops.expand_dims(tap, -1)

    def correlate(x: Tensor, kernel: Tensor) -> tuple[Tensor, Callable[[Tensor], Any]]:
        weights = ops.unstack(ops.reshape(kernel, (k_h * k_w, channels, multiplier)))
        y = functools.reduce(operator.add, map(operator.mul, seen(x), weights))
        y = ops.reshape(y, (-1, out_h, out_w, filters))

        def gradients(upstream: Tensor) -> tuple[Tensor, Tensor]:
            d = ops.reshape(upstream, (-1, out_h, out_w, channels, multiplier))
            to_taps = [ops.sum(d * weight, axis=-1) for weight in weights]
            rows = [to_taps[u * k_w : (u + 1) * k_w] for u in range(k_h)]
            to_x = untaps([untaps(row, 2, geometry.columns) for row in rows], 1, geometry.rows)
            to_kernel = [ops.sum(tap * d, axis=(0, 1, 2)) for tap in seen(x)]
            return to_x, ops.reshape(ops.stack(to_kernel), kernel.shape)

        return y, gradients

    y = custom_gradient(correlate, x, kernel) if is_tensorflow(x) else correlate(x, kernel)[0]
    return y if bias is None else ops.add(y, bias)
