"""A pointwise convolution: a 1x1 kernel, with strides of 1, is a dense layer at every pixel.

One product: the pixels, `batch * h * w` rows of `c_i` numbers, by the kernel, `c_i` by `c_o`.
Nothing is copied, and the multiplications are those of the definition.

Source: Lin, Chen and Yan (2013), *Network in network*.
"""

from keras import ops

from cnn_tf._backend import Tensor, matmul, sizes
from cnn_tf._convolution.cost import calls, copy, product
from cnn_tf._convolution.geometry import Geometry
from cnn_tf._convolution.windows import pad_zeros


def applies(geometry: Geometry) -> bool:
    """To one group, a single tap and strides of 1."""
    return geometry.groups == 1 and geometry.kernel == geometry.strides == (1, 1)


def cost(geometry: Geometry) -> float:
    """One product."""
    result = product(geometry.pixels, geometry.channels, geometry.filters)
    return result + copy(geometry.padding_copies) + calls(3, geometry.batch)


def run(x: Tensor, kernel: Tensor, bias: Tensor | None, geometry: Geometry) -> Tensor:
    """Multiply each pixel by the kernel."""
    x = pad_zeros(x, geometry.pads)
    y = matmul(ops.reshape(x, (-1, geometry.channels)), kernel[0, 0])
    if bias is not None:  # TensorFlow adds it within the product, but not behind a change of shape
        y = ops.add(y, bias)
    return ops.reshape(y, (-1, *sizes(x)[:2], geometry.filters))
