"""As many groups as channels, a depthwise convolution: weigh what each tap sees, and add it up.

There is nothing to multiply as matrices: each output is a sum of `k_h * k_w` pixels of one channel.
So the taps are taken one after the other. What one of them sees is the image, shifted; it is
multiplied by one weight a channel, and added to the sum.

Multiplications: the definition's.
Bytes: for each tap, what it sees is read, multiplied and added; nothing of it is kept.

The gradient of the images takes the same way back, that of a weight is a sum over all places.
PyTorch can add to a part of a tensor. There, on a CPU, the gradient of the images is added up in
place. For that of the weights the images are taken in pieces of a few rows: the products of all
pieces are added up, place by place, and the sum over the places of a piece is taken once, at the
end.

Source: Chollet (2017), *Xception: deep learning with depthwise separable convolutions*.
"""

from collections.abc import Callable, Iterator
from typing import Any

from keras import ops

from cnn_tf._backend import NAME, Tensor, add_products, custom_gradient, has_accelerator
from cnn_tf._convolution.cost import calls, copy
from cnn_tf._convolution.geometry import Geometry
from cnn_tf._convolution.windows import pad_zeros, taps, untaps

# The products of a piece, for each row of the kernel, are about so many numbers: as many as stay
# near the processor.
_NUMBERS_AT_A_TIME = 400_000


def applies(geometry: Geometry) -> bool:
    """To images of known size with as many groups as channels, and more than one."""
    return geometry.known and geometry.groups == geometry.channels > 1


def cost(geometry: Geometry) -> float:
    """Padding, and for each tap what it sees, times its weights, added up."""
    (k_h, k_w), channels, filters = geometry.kernel, geometry.channels, geometry.filters
    rows = k_h * geometry.rows.outputs * geometry.columns.padded * channels
    seen = k_h * k_w * geometry.places
    copied = copy(geometry.padding_copies + rows + seen * (channels + 2 * filters), channels)
    return copied + calls(8 + k_h * k_w // 2, geometry.batch)


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
        y = add_products(zip(seen(x), weights, strict=True))
        y = ops.reshape(y, (-1, out_h, out_w, filters))

        def gradients(upstream: Tensor) -> tuple[Tensor, Tensor]:
            d = ops.reshape(upstream, (-1, out_h, out_w, channels, multiplier))
            if NAME == "torch":
                to_x, to_kernel = _gradients_in_place(x, weights, d, geometry)
                return to_x, ops.reshape(to_kernel, kernel.shape)
            to_taps = [ops.sum(d * weight, axis=-1) for weight in weights]
            rows = [to_taps[u * k_w : (u + 1) * k_w] for u in range(k_h)]
            to_x = untaps([untaps(row, 2, geometry.columns) for row in rows], 1, geometry.rows)
            to_kernel = [ops.sum(tap * d, axis=(0, 1, 2)) for tap in seen(x)]
            return to_x, ops.reshape(ops.stack(to_kernel), kernel.shape)

        return y, gradients

    # Numbers of 16 bits should not be added up one by one, and a GPU would wait for many pieces.
    in_place = geometry.bytes_of_a_number > 2 and not has_accelerator()
    backends = ("tensorflow", "torch") if in_place else ("tensorflow",)
    y = custom_gradient(correlate, x, kernel, backends=backends)
    return y if bias is None else ops.add(y, bias)


def _gradients_in_place(
    x: Tensor, weights: list[Tensor], d: Tensor, geometry: Geometry
) -> tuple[Tensor, Tensor]:
    """Those of the padded images, and of the weights `(k_h, k_w, c, m)`, on PyTorch."""
    rows, columns = geometry.rows, geometry.columns
    batch, out_h, out_w, channels, multiplier = d.shape
    to_x = ops.zeros_like(x)
    for tap, weight in enumerate(weights):
        u, v = divmod(tap, columns.window)
        seen = to_x[:, rows.places(u), columns.places(v)]
        for i in range(multiplier):
            seen.addcmul_(d[..., i], weight[:, i])

    together = max(1, _NUMBERS_AT_A_TIME // (columns.window * out_w * channels * multiplier))
    together = min(together, out_h)
    total = ops.zeros(
        (rows.window, columns.window, together, out_w, channels, multiplier), dtype=d.dtype
    )
    # All taps of a row at once, without a copy: (batch, k_w, h, out_w, c, 1).
    windows = x.unfold(2, columns.span, columns.stride)[..., :: columns.dilation]
    windows = ops.expand_dims(ops.transpose(windows, (0, 4, 1, 2, 3)), -1)
    for image in range(batch):
        for first in range(0, out_h, together):
            last = min(first + together, out_h)
            for u in range(rows.window):
                seen = windows[image, :, rows.places(u, first, last)]
                total[u, :, : last - first].addcmul_(seen, d[image, first:last])
    return to_x, ops.sum(total, axis=(2, 3))
