"""Convolution and pooling as plain functions of tensors, written from first principles.

The upper half of the file speaks the language of the book: one image without a batch axis,
channels first, `X` of shape `(h, w)` or `(c_i, h, w)`. The lower half speaks the language of Keras
layers: a batch, channels last, `x` of shape `(batch, h, w, c)`. How a cross-correlation is computed
is found in `_convolution`: the definition, which the book's functions use, and faster algorithms,
which the tests compare with it.

It all runs on TensorFlow, JAX and PyTorch, in eager mode and compiled, and automatic
differentiation passes through it. No built-in convolution or pooling is called. What does not fit
is a `ValueError`; where a TensorFlow graph learns a size only as it runs, it is told then, by a
`tf.errors.InvalidArgumentError`.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, overload

import keras
import numpy as np
from keras import ops

from cnn_tf._backend import check_later, matmul, shape_of, shape_of_batch, sizes
from cnn_tf._convolution import choose, costs, definition, pooling
from cnn_tf._convolution.geometry import Axis, Geometry, find_axes, find_axis
from cnn_tf._convolution.windows import pad_zeros
from cnn_tf.arguments import (
    Padding,
    Size,
    by_axis,
    check_available,
    check_int,
    check_pooling_padding,
    is_symbolic,
    standardize_padding,
    standardize_padding_mode,
    standardize_pair,
    standardize_sides,
)

Tensor = Any  # what goes in: a NumPy array, nested lists, or a tensor; what comes out: a tensor

# --- The book's functions: one image, channels first ---------------------------------------------


def corr2d(X: Tensor, K: Tensor) -> Tensor:
    r"""Cross-correlate one image with one kernel.

    The kernel slides over the image; each output is the sum of the products under it:

    $$Y_{i,j} = \sum_{a=0}^{k_h-1} \sum_{b=0}^{k_w-1} K_{a,b}\, X_{i+a,\,j+b}$$

    Args:
        X: The image, an array or tensor. Integers are computed as integers, of 32 bits at least.
        K: The kernel.

    Shapes:
        X `(n_h, n_w)`, K `(k_h, k_w)` -> `(n_h - k_h + 1, n_w - k_w + 1)`.

    Returns:
        A tensor of the back end, differentiable in both arguments.

    Raises:
        ValueError: X or K is not of rank 2, or K is larger than X.

    Source:
        Dumoulin and Visin (2016), *A guide to convolution arithmetic for deep learning*.

    Example:
        >>> import numpy as np
        >>> from cnn_tf import corr2d
        >>> X = np.arange(9).reshape(3, 3)
        >>> K = np.array([[0, 1], [2, 3]])
        >>> print(np.asarray(corr2d(X, K)))
        [[19 25]
         [37 43]]
    """
    X, K = _image_and_kernel(X, K, "corr2d", x_axes="(h, w)", k_axes="(k_h, k_w)")
    return _correlate_valid(X[None, :, :, None], K[:, :, None, None])[0, :, :, 0]


def conv2d(X: Tensor, K: Tensor) -> Tensor:
    r"""Convolve one image with one kernel, in the strict sense of mathematics.

    The kernel is flipped along both axes and then cross-correlated:

    $$Y_{i,j} = \sum_{a=0}^{k_h-1} \sum_{b=0}^{k_w-1} K_{k_h-1-a,\,k_w-1-b}\, X_{i+a,\,j+b}$$

    Deep learning calls `corr2d` a convolution. The convolution of mathematics commutes, and is what
    the convolution theorem is about; this function gives the part of it where K lies within X.

    Args:
        X: The image, an array or tensor.
        K: The kernel.

    Shapes:
        X `(n_h, n_w)`, K `(k_h, k_w)` -> `(n_h - k_h + 1, n_w - k_w + 1)`.

    Returns:
        A tensor of the back end.

    Raises:
        ValueError: X or K is not of rank 2, or K is larger than X.

    Source:
        Dumoulin and Visin (2016), *A guide to convolution arithmetic for deep learning*.

    Example:
        >>> import numpy as np
        >>> from cnn_tf import conv2d
        >>> X = np.arange(9).reshape(3, 3)
        >>> K = np.array([[0, 1], [2, 3]])
        >>> print(np.asarray(conv2d(X, K)))
        [[ 5 11]
         [23 29]]
    """
    X, K = _image_and_kernel(X, K, "conv2d", x_axes="(h, w)", k_axes="(k_h, k_w)")
    # Along one axis at a time: Keras 3.13 takes no pair of axes.
    return corr2d(X, ops.flip(ops.flip(K, axis=0), axis=1))


def corr2d_multi_in(X: Tensor, K: Tensor) -> Tensor:
    r"""Cross-correlate an image of several channels with a kernel of as many, and add up.

    $$Y = \sum_{c=0}^{c_i-1} \mathrm{corr2d}(X_c, K_c)$$

    Args:
        X: The image, an array or tensor.
        K: One kernel for each channel of the image.

    Shapes:
        X `(c_i, n_h, n_w)`, K `(c_i, k_h, k_w)` -> `(n_h - k_h + 1, n_w - k_w + 1)`.

    Returns:
        A tensor of the back end.

    Raises:
        ValueError: Wrong rank, a different number of channels, or K is larger than X.

    Source:
        LeCun et al. (1998), *Gradient-based learning applied to document recognition*.

    Example:
        >>> import numpy as np
        >>> from cnn_tf import corr2d_multi_in
        >>> X = np.stack([np.arange(9).reshape(3, 3), np.arange(1, 10).reshape(3, 3)])
        >>> K = np.array([[[0, 1], [2, 3]], [[1, 2], [3, 4]]])
        >>> print(np.asarray(corr2d_multi_in(X, K)))
        [[ 56  72]
         [104 120]]
    """
    X, K = _image_and_kernel(
        X, K, "corr2d_multi_in", x_axes="(c_i, h, w)", k_axes="(c_i, k_h, k_w)"
    )
    return corr2d_multi_in_out(X, K[None])[0]


def corr2d_multi_in_out(X: Tensor, K: Tensor) -> Tensor:
    r"""Cross-correlate an image of several channels with a stack of kernels.

    Each output channel has a kernel of its own, of the full depth of the image:
    $Y_d = \mathrm{corr2d\_multi\_in}(X, K_d)$.

    Args:
        X: The image, an array or tensor.
        K: One multi-channel kernel for each output channel.

    Shapes:
        X `(c_i, n_h, n_w)`, K `(c_o, c_i, k_h, k_w)` -> `(c_o, n_h - k_h + 1, n_w - k_w + 1)`.

    Returns:
        A tensor of the back end.

    Raises:
        ValueError: Wrong rank, a different number of channels, or K is larger than X.

    Source:
        LeCun et al. (1998), *Gradient-based learning applied to document recognition*.

    Example:
        >>> import numpy as np
        >>> from cnn_tf import corr2d_multi_in_out
        >>> X = np.stack([np.arange(9).reshape(3, 3), np.arange(1, 10).reshape(3, 3)])
        >>> K = np.array([[[0, 1], [2, 3]], [[1, 2], [3, 4]]])
        >>> print(np.asarray(corr2d_multi_in_out(X, np.stack([K, K + 1, K + 2]))))
        [[[ 56  72]
          [104 120]]
        <BLANKLINE>
         [[ 76 100]
          [148 172]]
        <BLANKLINE>
         [[ 96 128]
          [192 224]]]
    """
    X, K = _image_and_kernel(
        X, K, "corr2d_multi_in_out", x_axes="(c_i, h, w)", k_axes="(c_o, c_i, k_h, k_w)"
    )
    x = ops.transpose(X, (1, 2, 0))[None]  # (1, h, w, c_i)
    kernel = ops.transpose(K, (2, 3, 1, 0))  # (k_h, k_w, c_i, c_o)
    return ops.transpose(_correlate_valid(x, kernel)[0], (2, 0, 1))


def corr2d_multi_in_out_1x1(X: Tensor, K: Tensor) -> Tensor:
    r"""Cross-correlate with 1x1 kernels: a dense layer at every pixel, one matrix product.

    $$Y_{d,i,j} = \sum_{c=0}^{c_i-1} K_{d,c}\, X_{c,i,j}$$

    Args:
        X: The image, an array or tensor.
        K: The kernels. No neighbour is looked at, so they are a matrix.

    Shapes:
        X `(c_i, h, w)`, K `(c_o, c_i, 1, 1)` -> `(c_o, h, w)`.

    Returns:
        A tensor of the back end. It may differ from `corr2d_multi_in_out` in the last bits, for
        the sum is taken in another order.

    Raises:
        ValueError: Wrong rank, a different number of channels, or kernels that are not 1x1.

    Source:
        Lin, Chen and Yan (2013), *Network in network*.

    Example:
        >>> import numpy as np
        >>> from cnn_tf import corr2d_multi_in_out_1x1
        >>> X = np.arange(8).reshape(2, 2, 2)
        >>> print(np.asarray(corr2d_multi_in_out_1x1(X, np.array([10, 1]).reshape(1, 2, 1, 1))))
        [[[ 4 15]
          [26 37]]]
    """
    X, K = _image_and_kernel(
        X, K, "corr2d_multi_in_out_1x1", x_axes="(c_i, h, w)", k_axes="(c_o, c_i, 1, 1)"
    )
    if tuple(K.shape[2:]) != (1, 1):
        raise ValueError(
            "corr2d_multi_in_out_1x1 expected kernels of shape (c_o, c_i, 1, 1). Received: "
            f"K.shape={tuple(K.shape)}. Use corr2d_multi_in_out for larger windows."
        )
    pixels = ops.reshape(X, (X.shape[0], -1))  # (c_i, h * w)
    Y = matmul(K[:, :, 0, 0], pixels)  # (c_o, h * w)
    return ops.reshape(Y, (K.shape[0], *X.shape[1:]))


def pool2d(X: Tensor, pool_size: Size, mode: str = "max") -> Tensor:
    r"""Pool one image: the maximum or the mean of each window, the window moving cell by cell.

    $$Y_{i,j} = \max_{0 \le a < k_h,\; 0 \le b < k_w} X_{i+a,\,j+b}$$

    with `pool_size` $(k_h, k_w)$, and the mean over the same cells for `mode="avg"`. Channels are
    pooled each by itself.

    Args:
        X: The image, an array or tensor.
        pool_size: Height and width of the window, an int or a pair.
        mode: `"max"` or `"avg"`.

    Shapes:
        X `(n_h, n_w)` -> `(n_h - k_h + 1, n_w - k_w + 1)`, or the same with channels in front.

    Returns:
        A tensor of the back end. Means of integers are floats.

    Raises:
        ValueError: Unknown mode, wrong rank, or a window larger than the image.

    Source:
        Riesenhuber and Poggio (1999), *Hierarchical models of object recognition in cortex*.

    Example:
        >>> import numpy as np
        >>> from cnn_tf import pool2d
        >>> X = np.arange(9.0).reshape(3, 3)
        >>> print(np.asarray(pool2d(X, 2)))
        [[4. 5.]
         [7. 8.]]
        >>> print(np.asarray(pool2d(X, (2, 2), mode="avg")))
        [[2. 3.]
         [5. 6.]]
    """
    pools: dict[str, Callable[..., Tensor]] = {"max": max_pool, "avg": average_pool}
    if mode not in pools:
        raise ValueError(f"pool2d expected mode 'max' or 'avg'. Received: mode={mode!r}.")
    X = ops.convert_to_tensor(X)
    if len(X.shape) not in (2, 3):
        raise ValueError(
            "pool2d expected one image of shape (h, w) or (c, h, w). Received: "
            f"X.shape={tuple(X.shape)}. For a batch use MaxPooling2D or AveragePooling2D."
        )
    x = X[None, ..., None] if len(X.shape) == 2 else X[..., None]  # channels as a batch
    Y = pools[mode](x, pool_size, strides=1)[..., 0]
    return Y[0] if len(X.shape) == 2 else Y


def comp_conv2d(layer: keras.layers.Layer, X: Tensor) -> Tensor:
    """Apply a Keras layer to one bare image: add the batch and channel axes, and strip them.

    Args:
        layer: A layer on channels-last batches that puts out one channel, such as
            `Conv2D(1, 3, padding=1)`.
        X: The image, an array or tensor of floats.

    Shapes:
        X `(h, w)` -> `(out_h, out_w)`.

    Returns:
        A tensor of the back end.

    Raises:
        ValueError: X is not of rank 2, or the layer's output has more than one channel.

    Example:
        >>> import numpy as np
        >>> from cnn_tf import Conv2D, comp_conv2d
        >>> X = np.random.default_rng(0).random((8, 8), dtype="float32")
        >>> tuple(comp_conv2d(Conv2D(1, (3, 5), padding=(0, 1), strides=(3, 4)), X).shape)
        (2, 2)
    """
    X = ops.convert_to_tensor(X)
    if len(X.shape) != 2:
        raise ValueError(
            "comp_conv2d expected one image of shape (h, w). Received: "
            f"X.shape={tuple(X.shape)}. Call the layer itself on a batch."
        )
    Y = layer(X[None, :, :, None])
    if len(Y.shape) != 4 or Y.shape[-1] != 1:
        raise ValueError(
            "comp_conv2d expected a layer whose output has shape (1, h, w, 1). Received: "
            f"{tuple(Y.shape)} from {layer.name!r}. Give the layer one filter and "
            "data_format='channels_last'."
        )
    return Y[0, :, :, 0]


@overload
def output_size(
    n: int, kernel_size: int, padding: Padding = 0, strides: int = 1, dilation_rate: int = 1
) -> int: ...
@overload
def output_size(
    n: None, kernel_size: int, padding: Padding = 0, strides: int = 1, dilation_rate: int = 1
) -> None: ...
@overload
def output_size(
    n: Sequence[int | None],
    kernel_size: Size,
    padding: Padding = 0,
    strides: Size = 1,
    dilation_rate: Size = 1,
) -> tuple[int | None, int | None]: ...
def output_size(
    n: Any, kernel_size: Any, padding: Any = 0, strides: Any = 1, dilation_rate: Any = 1
) -> Any:
    r"""How many places a window finds along an axis, or along both axes of an image.

    With $p$ rows of padding in total and a window that spans $d(k-1)+1$ rows:

    $$\left\lfloor \frac{n - d(k-1) - 1 + p}{s} \right\rfloor + 1
      \qquad\text{which for } d = 1 \text{ is}\qquad
      \left\lfloor \frac{n - k + p + s}{s} \right\rfloor$$

    The arguments mean what they mean in `Conv2D`: an int `padding` is added on each side, so that
    $p$ is twice that number.

    Args:
        n: Size of the axis, or a pair (height, width). `None` for a size not known yet.
        kernel_size: Size of the window. For an image, an int or a pair.
        padding: For one axis, an int or a pair (before, after). For an image an int, a pair
            (rows, columns) or a pair of pairs. For both also `"valid"` and `"same"`.
        strides: Steps between windows.
        dilation_rate: Distance between the cells of the window.

    Returns:
        An int for one axis, a pair for an image, `None` where n is `None`.

    Raises:
        ValueError: A size is not positive, a padding is negative, or the window does not fit.
        TypeError: A size is not an integer.

    Source:
        Dumoulin and Visin (2016), *A guide to convolution arithmetic for deep learning*.

    Example:
        >>> from cnn_tf import output_size
        >>> output_size(240, 5), output_size(8, 3, padding=1, strides=2)
        (236, 4)
        >>> output_size((8, 8), (3, 5), padding=(0, 1), strides=(3, 4))
        (2, 2)
    """
    if isinstance(n, (tuple, list)):
        if len(n) != 2:
            raise ValueError(
                f"output_size expected n to be an int or a pair (height, width). Received: n={n}."
            )
        axes = zip(
            n,
            standardize_pair(kernel_size, "kernel_size"),
            by_axis(standardize_padding(padding)),
            standardize_pair(strides, "strides"),
            standardize_pair(dilation_rate, "dilation_rate"),
            strict=True,
        )
        height, width = (output_size(*axis) for axis in axes)
        return height, width

    sizes = {"n": n, "kernel_size": kernel_size, "strides": strides, "dilation_rate": dilation_rate}
    for name, size in sizes.items():
        if not (name == "n" and size is None):
            check_int(size, name, minimum=1)
    if isinstance(padding, str):
        padding = standardize_padding(padding)
    else:
        padding = standardize_sides(padding, padding)
    if n is None:
        return None
    axis = find_axis(n, kernel_size, padding, strides, dilation_rate)
    return None if n is None else axis.outputs


# --- The arithmetic of the layers: a batch, channels last ----------------------------------------


def correlate(
    x: Tensor,
    kernel: Tensor,
    strides: Size = 1,
    padding: Padding = "valid",
    padding_mode: str = "zeros",
    dilation_rate: Size = 1,
    groups: int = 1,
    bias: Tensor | None = None,
    algorithm: str | None = None,
) -> Tensor:
    r"""Cross-correlate a batch of images with a stack of kernels: what `Conv2D` computes.

    With strides $s$, dilation rates $r$ and the padded images $x$, for one group:

    $$y_{n,i,j,d} = b_d + \sum_{u=0}^{k_h-1} \sum_{v=0}^{k_w-1} \sum_{c=0}^{c_i-1}
      K_{u,v,c,d}\, x_{n,\; s_h i + r_h u,\; s_w j + r_w v,\; c}$$

    Args:
        x: A batch of images, channels last. Integers are computed as integers, of 32 bits at least.
        kernel: The kernels, as Keras lays them out.
        strides: Steps between windows, an int or a pair.
        padding: `"valid"`, `"same"`, an int, a pair (rows, columns), or
            ((top, bottom), (left, right)). Numbers count the cells added on one side.
        padding_mode: What the added cells hold: `"zeros"`, `"reflect"`, `"symmetric"`,
            `"circular"` or `"replicate"`.
        dilation_rate: Distance between the cells of the window, an int or a pair.
        groups: Number of groups into which the channels are split.
        bias: One number for each output channel; `None` for zeros.
        algorithm: How it is computed: `"pointwise"`, `"depthwise"`, `"block_toeplitz"`,
            `"kn2row"`, `"winograd"`, `"im2col"`, `"shifted_gemm"` or `"definition"`. `None` for
            the one that costs least for these shapes, which `choose_algorithm` names.

    Shapes:
        x `(batch, h, w, c_i)`, kernel `(k_h, k_w, c_i // groups, c_o)`, bias `(c_o,)`
        -> `(batch, out_h, out_w, c_o)`.

    Returns:
        A tensor of the back end. A NaN or an infinity spoils the outputs whose windows hold it. It
        may also spoil others that are computed together with one of them: the rest of each strip of
        a row, mostly where the channels are few ("block_toeplitz"), its neighbour in a row
        ("shifted_gemm"), the rest of each tile of 4 x 4 outputs with a 3 x 3 kernel ("winograd").
        The other algorithms never do that.

    Raises:
        ValueError: Shapes that do not fit each other, an unknown padding, padding mode or
            algorithm, or an algorithm that does not apply to the shapes.
        TypeError: `x` or `kernel` holds no numbers, or a setting is not made of integers.

    Source:
        Dumoulin and Visin (2016), *A guide to convolution arithmetic for deep learning*.

    Example:
        >>> import numpy as np
        >>> from cnn_tf.functional import correlate
        >>> x = np.arange(9.0).reshape(1, 3, 3, 1)
        >>> kernel = np.array([[0.0, 1.0], [2.0, 3.0]]).reshape(2, 2, 1, 1)
        >>> print(np.asarray(correlate(x, kernel, padding=1))[0, :, :, 0])
        [[ 0.  3.  8.  4.]
         [ 9. 19. 25. 10.]
         [21. 37. 43. 16.]
         [ 6.  7.  8.  0.]]
    """
    kernel = _numbers(kernel, "kernel", "correlate")
    x, kernel = _of_one_type(_batch(x, "correlate"), kernel)
    settings = (strides, padding, dilation_rate, groups)
    dynamic_shape = (None, *sizes(x))
    geometry = _geometry(shape_of_batch(x), shape_of(kernel), x.dtype, *settings, dynamic_shape)
    if bias is not None:
        bias = ops.cast(ops.convert_to_tensor(bias), kernel.dtype)
        if tuple(bias.shape) != (geometry.filters,):
            raise ValueError(
                "correlate expected a bias with one number for each output channel, of shape "
                f"{(geometry.filters,)}. Received: bias.shape={tuple(bias.shape)} and "
                f"kernel.shape={tuple(kernel.shape)}."
            )
    if standardize_padding_mode(padding_mode) != "zeros":
        x, geometry = pad(x, geometry.pads, padding_mode), geometry.without_pads()
    if isinstance(x, keras.KerasTensor):  # only its shape and type are there
        algorithm = "definition"
    return choose(geometry, algorithm).run(x, kernel, bias, geometry)


def choose_algorithm(
    input_shape: Sequence[int | None],
    kernel_shape: Sequence[int],
    strides: Size = 1,
    padding: Padding = "valid",
    dilation_rate: Size = 1,
    groups: int = 1,
    dtype: str = "float32",
    algorithm: str | None = None,
) -> str:
    """Name the algorithm by which `correlate` computes images and kernels of such shapes.

    The answer holds for the back end and the device at hand. `cnn_tf._convolution` holds the list
    of algorithms, and a module for each, which explains it.

    Args:
        input_shape: `(batch, h, w, c_i)`, `None` where a size is not known.
        kernel_shape: `(k_h, k_w, c_i // groups, c_o)`.
        strides: Steps between windows, an int or a pair.
        padding: As in `correlate`.
        dilation_rate: Distance between the cells of the window, an int or a pair.
        groups: Number of groups into which the channels are split.
        dtype: Type of images and kernel.
        algorithm: A name, to ask whether the algorithm applies.

    Returns:
        A name that `correlate` and `Conv2D` take as `algorithm`.

    Raises:
        ValueError: Shapes that do not fit each other, or an algorithm that does not apply to them.

    Source:
        Vasudevan, Anderson and Gregg (2017), *Parallel multi channel convolution using general
        matrix multiplication*, compare such algorithms.

    Example:
        >>> from cnn_tf.functional import choose_algorithm
        >>> choose_algorithm((32, 28, 28, 1), (5, 5, 1, 6), padding="same")
        'block_toeplitz'
    """
    settings = (strides, padding, dilation_rate, groups)
    return choose(_geometry(input_shape, kernel_shape, dtype, *settings), algorithm).name


def algorithm_costs(
    input_shape: Sequence[int | None],
    kernel_shape: Sequence[int],
    strides: Size = 1,
    padding: Padding = "valid",
    dilation_rate: Size = 1,
    groups: int = 1,
    dtype: str = "float32",
) -> dict[str, float]:
    """Count what each algorithm would cost for images and kernels of such shapes.

    A cost counts the multiplications of an algorithm. To copy a number counts as 25 of them, and on
    PyTorch to call an operation as 1.5 million.
    `choose_algorithm` names the cheapest.

    Args:
        input_shape: `(batch, h, w, c_i)`, `batch` perhaps `None`.
        kernel_shape: `(k_h, k_w, c_i // groups, c_o)`.
        strides: Steps between windows, an int or a pair.
        padding: As in `correlate`.
        dilation_rate: Distance between the cells of the window, an int or a pair.
        groups: Number of groups into which the channels are split.
        dtype: Type of images and kernel.

    Returns:
        For each algorithm that applies, the cheapest first, its cost for the outputs of one image,
        in multiplications. The cost is infinite where an algorithm would not be accurate, and large
        where it would keep far more numbers for the gradient than the image and its outputs have.

    Raises:
        ValueError: Shapes that do not fit each other, or a height or width that is not known.

    Source:
        Vasudevan, Anderson and Gregg (2017), *Parallel multi channel convolution using general
        matrix multiplication*, compare such algorithms.

    Example:
        >>> from cnn_tf.functional import algorithm_costs
        >>> costs = algorithm_costs((32, 128, 128, 32), (5, 5, 32, 1))
        >>> next(iter(costs)), costs["definition"] > 5 * costs["kn2row"]
        ('kn2row', True)
    """
    settings = (strides, padding, dilation_rate, groups)
    geometry = _geometry(input_shape, kernel_shape, dtype, *settings)
    if not geometry.known:
        raise ValueError(
            "algorithm_costs expected images of known height and width. Received: "
            f"input_shape={tuple(input_shape)}. Give the size that you have in mind."
        )
    return costs(geometry)


def max_pool(
    x: Tensor, pool_size: Size, strides: Size | None = None, padding: Padding = "valid"
) -> Tensor:
    r"""Take the maximum of each window of each channel: what `MaxPooling2D` computes.

    With strides $s$ and the padded images $x$:

    $$y_{n,i,j,c} = \max_{0 \le u < k_h,\; 0 \le v < k_w} x_{n,\; s_h i + u,\; s_w j + v,\; c}$$

    Args:
        x: A batch of images, channels last.
        pool_size: Size of the window, an int or a pair.
        strides: Steps between windows, an int or a pair. `None` means `pool_size`.
        padding: As in `correlate`, but less than the window on each side. A padded cell never
            wins: it holds the lowest number of the type.

    Shapes:
        x `(batch, h, w, c)` -> `(batch, out_h, out_w, c)`.

    Returns:
        A tensor of the back end. Where several cells tie, the gradient goes to the first one. A
        window that holds a NaN gives a NaN. On TensorFlow, the gradient of an output that is
        itself infinite or NaN may be NaN at all cells of its window.

    Raises:
        ValueError: A window that does not fit, or a padding as wide as the window.

    Source:
        Riesenhuber and Poggio (1999), *Hierarchical models of object recognition in cortex*.

    Example:
        >>> import numpy as np
        >>> from cnn_tf.functional import max_pool
        >>> x = np.arange(16.0).reshape(1, 4, 4, 1)
        >>> print(np.asarray(max_pool(x, 3, strides=2, padding=1))[0, :, :, 0])
        [[ 5.  7.]
         [13. 15.]]
    """
    x = _batch(x, "max_pool")
    if keras.backend.standardize_dtype(x.dtype) == "bool":  # not every back end compares these
        return ops.cast(max_pool(ops.cast(x, "int8"), pool_size, strides, padding), "bool")
    rows, columns = _pooling_axes(x, pool_size, strides, padding)
    return pooling.largest(x, rows, columns)


def average_pool(
    x: Tensor,
    pool_size: Size,
    strides: Size | None = None,
    padding: Padding = "valid",
    count_include_pad: bool = False,
) -> Tensor:
    r"""Take the mean of each window of each channel: what `AveragePooling2D` computes.

    With strides $s$, images $x$ padded with zeros, and the number $N_{i,j}$ of cells that count:

    $$y_{n,i,j,c} = \frac{1}{N_{i,j}} \sum_{u=0}^{k_h-1} \sum_{v=0}^{k_w-1}
      x_{n,\; s_h i + u,\; s_w j + v,\; c}$$

    Args:
        x: A batch of images, channels last. Integers are turned into floats.
        pool_size: Size of the window, an int or a pair.
        strides: Steps between windows, an int or a pair. `None` means `pool_size`.
        padding: As in `correlate`, but less than the window on each side.
        count_include_pad: Whether padded cells count, as zeros. By default a mean is taken over
            the cells of the image only, as Keras does for `padding="same"` on TensorFlow and JAX;
            on PyTorch, Keras's own layer does so where both sides are padded alike, and otherwise
            repeats the border.

    Shapes:
        x `(batch, h, w, c)` -> `(batch, out_h, out_w, c)`.

    Returns:
        A tensor of the back end. Numbers of 16 bits are summed in 32, and are rounded once.

    Raises:
        ValueError: A window that does not fit, or a padding as wide as the window.

    Source:
        LeCun et al. (1989), *Backpropagation applied to handwritten zip code recognition*.

    Example:
        >>> import numpy as np
        >>> from cnn_tf.functional import average_pool
        >>> x = np.ones((1, 2, 2, 1))
        >>> print(np.asarray(average_pool(x, 2, strides=2, padding=1))[0, :, :, 0])
        [[1. 1.]
         [1. 1.]]
        >>> padded = average_pool(x, 2, strides=2, padding=1, count_include_pad=True)
        >>> print(np.asarray(padded)[0, :, :, 0])
        [[0.25 0.25]
         [0.25 0.25]]
    """
    x = _batch(x, "average_pool")
    if not keras.backend.is_float_dtype(x.dtype):
        x = ops.cast(x, keras.config.floatx())
    dtype = x.dtype
    if keras.backend.standardize_dtype(dtype) in ("float16", "bfloat16"):
        x = ops.cast(x, "float32")  # in which a sum neither overflows nor stops to grow
    rows, columns = _pooling_axes(x, pool_size, strides, padding)

    means = pooling.mean(x, rows, columns)
    if not count_include_pad and padding != "valid":
        # By the part of each window that lies in the image.
        means = means / pooling.mean(ops.ones_like(x[:1, :, :, :1]), rows, columns)
    return ops.cast(means, dtype)


def pad(x: Tensor, padding: Any, mode: str = "zeros", value: float = 0) -> Tensor:
    r"""Add rows and columns around a batch of images.

    With $t$ rows above and $l$ columns on the left, the image stands in the middle of the result,

    $$y_{n,\; t + i,\; l + j,\; c} = x_{n,i,j,c}$$

    and `mode` says what stands around it.

    Args:
        x: A batch of images, channels last.
        padding: An int, a pair (rows, columns), or ((top, bottom), (left, right)).
        mode: What the new cells hold. With the row `a b c d` and two cells on each side:
            `"zeros"` gives `0 0 a b c d 0 0`, `"reflect"` `c b a b c d c b`, `"symmetric"`
            `b a a b c d d c`, `"circular"` `c d a b c d a b`, `"replicate"` `a a a b c d d d`.
        value: The number used in place of zero by `"zeros"`.

    Shapes:
        x `(batch, h, w, c)` -> `(batch, top + h + bottom, left + w + right, c)`.

    Returns:
        A tensor of the back end.

    Raises:
        ValueError: Unknown mode, negative padding, or more cells than the image has to give.

    Source:
        The modes are those of `numpy.pad`, under the names that PyTorch's layers use.

    Example:
        >>> import numpy as np
        >>> from cnn_tf.functional import pad
        >>> x = np.array([1, 2, 3]).reshape(1, 1, 3, 1)
        >>> print(np.asarray(pad(x, (0, 2), "reflect")).ravel())
        [3 2 1 2 3 2 1]
    """
    x = _batch(x, "pad")
    if isinstance(padding, str):
        raise ValueError(
            f"pad expected numbers of cells. Received: padding={padding!r}, which depends on a "
            "window. Write an int, a pair (rows, columns) or ((top, bottom), (left, right))."
        )
    sides: Any = standardize_padding(padding)
    if standardize_padding_mode(mode) == "zeros":
        return pad_zeros(x, sides, value)
    rows, columns = sides
    return _pad_axis(_pad_axis(x, 1, rows, mode), 2, columns, mode)


# --- Helpers --------------------------------------------------------------------------------------


def _geometry(
    input_shape: Sequence[int | None],
    kernel_shape: Sequence[int],
    dtype: Any,
    strides: Size,
    padding: Padding,
    dilation_rate: Size,
    groups: int,
    dynamic_shape: Sequence[Any] = (None, None, None, None),
) -> Geometry:
    """Check all that `correlate` is given besides numbers, and find the sizes."""
    if len(kernel_shape) != 4 or 0 in kernel_shape:
        raise ValueError(
            "correlate expected a kernel of shape (k_h, k_w, channels, filters), none of them 0. "
            f"Received: kernel.shape={tuple(kernel_shape)}. Add missing axes by kernel[..., None]."
        )
    check_int(groups, "groups", minimum=1)
    channels, depth, filters = input_shape[-1], *kernel_shape[2:]
    if channels not in (depth * groups, None):
        raise ValueError(
            f"The kernel expects {depth * groups} input channels. Received: inputs of shape "
            f"{tuple(input_shape)}, which have {channels}, and a kernel of shape "
            f"{tuple(kernel_shape)} with groups={groups}. The last axis must hold the channels."
        )
    if filters % groups != 0:
        raise ValueError(
            "The number of output channels must be a multiple of groups. Received: a kernel of "
            f"shape {tuple(kernel_shape)}, whose last axis counts them, and groups={groups}."
        )
    rows, columns = find_axes(
        input_shape[1:3],
        kernel_shape[:2],
        standardize_padding(padding),
        standardize_pair(strides, "strides"),
        standardize_pair(dilation_rate, "dilation_rate"),
        dynamic_shape[1:3],
    )
    dtype = keras.backend.standardize_dtype(dtype)
    return Geometry(rows, columns, depth * groups, filters, groups, input_shape[0], dtype)


def _pooling_axes(
    x: Tensor, pool_size: Size, strides: Size | None, padding: Padding
) -> tuple[Axis, Axis]:
    pool_size = standardize_pair(pool_size, "pool_size")
    strides = pool_size if strides is None else standardize_pair(strides, "strides")
    padding = standardize_padding(padding)
    check_pooling_padding(pool_size, padding)
    dynamic_shape = sizes(x)[:2]
    return find_axes(
        shape_of_batch(x)[1:3], pool_size, padding, strides, dynamic_shape=dynamic_shape
    )


def _correlate_valid(x: Tensor, kernel: Tensor) -> Tensor:
    """The definition, for the book's functions."""
    geometry = _geometry(x.shape, kernel.shape, x.dtype, 1, "valid", 1, 1)
    return definition.run(x, kernel, None, geometry)


def _batch(x: Tensor, function: str) -> Tensor:
    """Turn x into a tensor of rank 4."""
    x = _numbers(x, "x", function)
    if len(x.shape) != 4:
        raise ValueError(
            f"{function} expected a batch of images of shape (batch, h, w, channels). Received: "
            f"x.shape={tuple(x.shape)}. Add the missing axes, for example by x[None, ..., None]."
        )
    return x


def _numbers(x: Tensor, name: str, function: str) -> Tensor:
    """Turn x into a tensor; refuse what holds no numbers."""
    kind = str(getattr(x, "dtype", None) or np.asarray(x).dtype)
    if not re.search("float|int|bool", kind):
        raise TypeError(
            f"{function} expected numbers in {name}. Received: an array or tensor of dtype {kind}. "
            "Convert it first, for example by np.asarray(..., dtype='float32')."
        )
    return ops.convert_to_tensor(x)


def _image_and_kernel(
    X: Tensor, K: Tensor, function: str, x_axes: str, k_axes: str
) -> tuple[Tensor, Tensor]:
    """X and K as tensors of one type, with the ranks and channels that the axes' names tell."""
    X, K = _numbers(X, "X", function), _numbers(K, "K", function)
    for name, tensor, axes in (("X", X, x_axes), ("K", K, k_axes)):
        if len(tensor.shape) != len(axes.split(",")):
            raise ValueError(
                f"{function} expected {name} of shape {axes}. Received: "
                f"{name}.shape={tuple(tensor.shape)}."
            )
    if "c_i" in x_axes and X.shape[0] != K.shape[-3]:
        raise ValueError(
            f"{function} expected as many channels in K as in X, shapes {x_axes} and {k_axes}. "
            f"Received: X.shape={tuple(X.shape)}, K.shape={tuple(K.shape)}."
        )
    if not all(1 <= k <= n for n, k in zip(X.shape[-2:], K.shape[-2:], strict=True)):
        raise ValueError(
            f"{function} expected a kernel of at least one cell, no larger than X. Received: "
            f"X.shape={tuple(X.shape)}, K.shape={tuple(K.shape)}. Pad X first."
        )
    return _of_one_type(X, K)


def _of_one_type(x: Tensor, kernel: Tensor) -> tuple[Tensor, Tensor]:
    """Both in the type of their product. Integers have 32 bits: the sums would not fit into 8."""
    one, other = (keras.backend.standardize_dtype(tensor.dtype) for tensor in (x, kernel))
    # Of two of 64 bits, Keras would make one of 32 on PyTorch.
    dtype = one if one == other else keras.backend.result_type(one, other)
    if not keras.backend.is_float_dtype(dtype):
        dtype = keras.backend.result_type(dtype, "int32")
    return ops.cast(x, dtype), ops.cast(kernel, dtype)


def _pad_axis(x: Tensor, axis: int, sides: Any, mode: str) -> Tensor:
    before, after = sides
    n = x.shape[axis]
    if not any(map(is_symbolic, sides)):
        if not any(sides):
            return x
        check_available(n, sides, mode)

    def cut(start: Any, stop: Any) -> Tensor:
        index = [slice(None)] * len(x.shape)
        index[axis] = slice(start, stop)
        return x[tuple(index)]

    size = ops.shape(x)[axis]
    if mode != "replicate":
        most = ops.maximum(*sides) if any(map(is_symbolic, sides)) else max(sides)
        message = f"padding_mode={mode!r} copies more cells than there are on an axis."
        advice = "Use less padding, or padding_mode='replicate' or 'zeros'."
        check_later(most + int(mode == "reflect"), size, f"{message} {advice}")
    if mode == "circular":
        head, tail = cut(size - before, size), cut(0, after)
    elif mode == "replicate":
        head = ops.repeat(cut(0, 1), before, axis=axis)
        tail = ops.repeat(cut(size - 1, size), after, axis=axis)
    else:
        skip = 1 if mode == "reflect" else 0  # reflect does not repeat the border itself
        head = ops.flip(cut(skip, skip + before), axis=axis)
        tail = ops.flip(cut(size - skip - after, size - skip), axis=axis)
    return ops.concatenate([head, x, tail], axis=axis)
