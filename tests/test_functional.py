"""The functions: numbers worked out by hand, the naive loops, and what is refused."""

# ruff: noqa: E501 - in the table of bad input, one case is one line

import itertools
import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from cnn_tf import (
    Conv2D,
    comp_conv2d,
    conv2d,
    corr2d,
    corr2d_multi_in,
    corr2d_multi_in_out,
    corr2d_multi_in_out_1x1,
    functional,
    output_size,
    pool2d,
)
from cnn_tf.arguments import PADDING_MODES
from tests import reference
from tests.algorithms import EACH_ALGORITHM, depths, windows
from tests.back_end import BACK_END, assert_close, assert_equal, gradients, numbers, type_of

X = np.arange(9.0).reshape(3, 3)
K = np.array([[0.0, 1.0], [2.0, 3.0]])
X2 = np.stack([X, X + 1])  # two channels
K2 = np.stack([K, K + 1])
K3 = np.stack([K2, K2 + 1, K2 + 2])  # three filters
MULTI_IN_OUT = [[[56, 72], [104, 120]], [[76, 100], [148, 172]], [[96, 128], [192, 224]]]
EDGES = np.ones((6, 8))
EDGES[:, 2:6] = 0

BOOK_FUNCTIONS = {
    corr2d: (X, K),
    conv2d: (X, K),
    corr2d_multi_in: (X2, K2),
    corr2d_multi_in_out: (X2, K3),
    corr2d_multi_in_out_1x1: (X2, K3[:, :, :1, :1]),
}
EACH_FUNCTION = pytest.mark.parametrize(
    ("function", "arguments"),
    BOOK_FUNCTIONS.items(),
    ids=lambda value: getattr(value, "__name__", ""),
)


# --- Worked out by hand ---------------------------------------------------------------------------


def test_corr2d():
    assert_equal(corr2d(X, K), [[19, 25], [37, 43]])


def test_conv2d_flips_both_axes_of_the_kernel():
    # 0*3 + 1*2 + 3*1 + 4*0 = 5
    assert_equal(conv2d(X, K), [[5, 11], [23, 29]])


def test_corr2d_of_a_padded_image():
    expected = [[0, 3, 8, 4], [9, 19, 25, 10], [21, 37, 43, 16], [6, 7, 8, 0]]
    assert_equal(corr2d(np.pad(X, 1), K), expected)


def test_corr2d_with_a_kernel_that_is_not_square():
    # 0*1 + 1*2 + 2*4 = 10
    assert_equal(corr2d(X, [[1.0, 2.0, 4.0]]), [[10], [31], [52]])


def test_corr2d_finds_vertical_edges():
    expected = np.zeros((6, 7))
    expected[:, 1], expected[:, 5] = 1, -1
    assert_equal(corr2d(EDGES, [[1.0, -1.0]]), expected)


def test_corr2d_with_a_vertical_detector_sees_no_horizontal_edge():
    assert_equal(corr2d(EDGES.T, [[1.0, -1.0]]), np.zeros((8, 5)))


def test_corr2d_multi_in():
    assert_equal(corr2d_multi_in(X2, K2), [[56, 72], [104, 120]])


def test_corr2d_multi_in_out():
    assert_equal(corr2d_multi_in_out(X2, K3), MULTI_IN_OUT)


def test_1x1_is_a_dense_layer_at_every_pixel():
    kernels = np.array([[10.0, 1.0], [2.0, -1.0]]).reshape(2, 2, 1, 1)
    expected = [10 * X2[0] + X2[1], 2 * X2[0] - X2[1]]
    assert_equal(corr2d_multi_in_out_1x1(X2, kernels), expected)


def test_1x1_equals_the_general_function(rng):
    image, kernels = rng.normal(size=(3, 3, 3)), rng.normal(size=(2, 3, 1, 1))
    one, general = corr2d_multi_in_out_1x1(image, kernels), corr2d_multi_in_out(image, kernels)
    assert_close(one, general, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("mode", "expected"), [("max", [[4, 5], [7, 8]]), ("avg", [[2, 3], [5, 6]])]
)
def test_pool2d(mode, expected):
    assert_equal(pool2d(X, (2, 2), mode), expected)


def test_pool2d_with_a_window_that_is_not_square():
    assert_equal(pool2d(X, (1, 3)), [[2], [5], [8]])
    assert_equal(pool2d(X, (3, 1)), [[6, 7, 8]])


def test_pool2d_pools_each_channel_by_itself():
    image = np.stack([X, -X])
    assert_equal(pool2d(image, 2), [[[4, 5], [7, 8]], [[0, -1], [-3, -4]]])


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((240, 5), 236),
        ((8, 3, 1), 8),
        ((8, 3, 1, 2), 4),
        ((8, 3, (0, 1)), 7),
        ((7, 3, "same", 2), 4),
        ((7, 3, 0, 1, 3), 1),
        (((8, 8), (5, 3), (2, 1)), (8, 8)),
        (((8, 8), (3, 5), (0, 1), (3, 4)), (2, 2)),
        (((8, 8), (3, 5), "valid", (3, 4)), (2, 1)),
        (((3, 3), 2, ((1, 1), (1, 1)), (3, 2)), (2, 2)),
        (((None, 8), 3, 1), (None, 8)),
        ((None, 3), None),
    ],
)
def test_output_size(arguments, expected):
    assert output_size(*arguments) == expected


def test_output_size_after_ten_layers():
    n = 240
    for _ in range(10):
        n = output_size(n, 5)
    assert n == 200


def test_comp_conv2d_adds_and_strips_the_axes(rng):
    layer, image = Conv2D(1, 3, padding=1), rng.normal(size=(8, 8)).astype("float32")
    assert_equal(comp_conv2d(layer, image), layer(image[None, :, :, None])[0, :, :, 0])


# --- Types of numbers -----------------------------------------------------------------------------


@EACH_FUNCTION
@pytest.mark.parametrize(
    "dtype",
    [
        *("int32", "float16", "float32", "float64"),
        pytest.param("int64", marks=pytest.mark.tensorflow),  # for the others Keras has int32
    ],
)
def test_the_type_is_kept(function, arguments, dtype):
    Y = function(*(a.astype(dtype) for a in arguments))
    assert type_of(Y) == dtype


@EACH_FUNCTION
def test_lists_do_as_well(function, arguments):
    assert_equal(function(*(a.tolist() for a in arguments)), function(*arguments))


@EACH_FUNCTION
def test_integers_stay_integers(function, arguments):
    Y = function(*(a.astype(int).tolist() for a in arguments))
    assert type_of(Y) == "int32"
    assert_equal(Y, function(*arguments))


def test_8_bit_numbers_do_not_overflow():
    Y = corr2d(np.full((2, 2), 255, "uint8"), np.full((2, 2), 255, "uint8"))
    assert np.asarray(Y).item() == 4 * 255 * 255


@pytest.mark.tensorflow
def test_the_larger_type_wins():
    assert type_of(corr2d(X.astype("float32"), K)) == "float64"
    assert type_of(corr2d(X.astype("uint8"), K.astype("float32"))) == "float32"


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int16", "float16", "float64"])
def test_pool2d_keeps_the_type_of_a_maximum(dtype):
    image = np.array([[0, 0, 1], [0, 0, 0]], dtype)
    Y = pool2d(image, 2)
    assert type_of(Y) == dtype
    assert_equal(Y, np.array([[0, 1]], dtype))


def test_pool2d_gives_floats_for_means_of_integers():
    Y = pool2d(np.array([[255, 254]], "uint8"), (1, 2), "avg")
    assert type_of(Y) == "float32"
    assert np.asarray(Y).item() == 254.5


@EACH_FUNCTION
def test_a_gradient_reaches_both_arguments(function, arguments):
    total = np.sum(numbers(function(*arguments)))
    found = gradients(lambda *given: keras.ops.sum(function(*given)), arguments)
    # The functions are linear in each argument: <gradient, argument> is the sum of the outputs.
    for argument, gradient in zip(arguments, found, strict=True):
        assert_close(np.sum(gradient * argument), total)


@pytest.mark.tensorflow
@EACH_FUNCTION
@pytest.mark.parametrize("jit_compile", [False, True])
def test_under_tf_function(function, arguments, jit_compile):
    Y = tf.function(function, jit_compile=jit_compile)(*arguments)
    assert_close(Y, function(*arguments), rtol=1e-12)


# --- Against the naive loops ----------------------------------------------------------------------


@st.composite
def correlations(draw, algorithm):
    """Arguments of a correlation, and the padding spelt out."""
    window, strides, dilation, groups = draw(windows(algorithm))
    span = [d * (k - 1) + 1 for k, d in zip(window, dilation, strict=True)]
    size = [draw(st.integers(n, n + 5)) for n in span]
    depth, each = draw(st.tuples(depths(algorithm), st.integers(1, 3)))
    mode = draw(st.sampled_from(PADDING_MODES))
    padding = draw(st.sampled_from(["valid", "same", "numbers"]))
    most = min(*(n - 1 for n in size), 3)  # as many cells as each mode can add
    if padding == "same":
        sides = reference.same_padding(size, window, strides, dilation)
        if max(map(max, sides)) > most:
            mode = "zeros"
    elif padding == "valid":
        sides = ((0, 0), (0, 0))
    else:
        padding = sides = draw(st.tuples(*[st.tuples(*[st.integers(0, most)] * 2)] * 2))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    x = rng.normal(size=(draw(st.integers(1, 2)), *size, groups * depth))
    kernel = rng.normal(size=(*window, depth, groups * each))
    return x, kernel, strides, padding, mode, dilation, groups, sides


@EACH_ALGORITHM
@given(data=st.data())
def test_correlate_equals_the_loops(algorithm, data):
    x, kernel, *arguments, sides = data.draw(correlations(algorithm))
    strides, _, mode, dilation, groups = arguments
    expected = reference.correlate(reference.pad(x, sides, mode), kernel, strides, dilation, groups)
    y = functional.correlate(x, kernel, *arguments, algorithm=algorithm)
    assert_close(y, expected, rtol=1e-9, atol=1e-12)


@st.composite
def poolings(draw):
    window = draw(st.tuples(st.integers(1, 4), st.integers(1, 3)))
    strides = draw(st.none() | st.tuples(st.integers(1, 4), st.integers(1, 3)))
    size = [draw(st.integers(k, k + 5)) for k in window]
    padding = draw(st.sampled_from(["valid", "same", "numbers"]))
    if padding == "same":
        sides = reference.same_padding(size, window, strides or window)
    elif padding == "valid":
        sides = ((0, 0), (0, 0))
    else:
        padding = sides = tuple(
            (draw(st.integers(0, k - 1)), draw(st.integers(0, k - 1))) for k in window
        )
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    x = rng.normal(size=(draw(st.integers(1, 2)), *size, draw(st.integers(1, 3))))
    return x, window, strides, padding, sides


@given(case=poolings())
def test_max_pool_equals_the_loops(case):
    x, window, strides, padding, sides = case
    expected = reference.pool(x, window, strides or window, sides, max)
    assert_equal(functional.max_pool(x, window, strides, padding), expected)


@pytest.mark.parametrize("window", range(1, 9))
def test_max_pool_and_its_gradient_equal_the_loops_for_every_reach(window):
    """Along one axis: all sizes, strides and paddings, so that windows reach beyond both ends."""
    rng = np.random.default_rng(window)
    sizes, strides = range(1, 12), range(1, 6)
    if BACK_END == "jax":  # which compiles each of them
        sizes, strides = (5,), (2,)
    for size, stride in itertools.product(sizes, strides):
        before, after = rng.integers(0, window, (4, 2)).T
        same = max((-(-size // stride) - 1) * stride + window - size, 0)
        pads = {
            *zip(before.tolist(), after.tolist(), strict=True),
            (same // 2, same - same // 2),
            (0, 0),
        }
        for first, last in sorted(pads):
            if size + first + last < window or max(first, last) >= window:
                continue
            x = rng.permutation(size * 2).astype("float32").reshape(1, size, 1, 2)
            padded = np.pad(x[0, :, 0], ((first, last), (0, 0)), constant_values=-np.inf)
            starts = range(0, len(padded) - window + 1, stride)
            expected = np.array([padded[start : start + window].max(axis=0) for start in starts])
            upstream = rng.integers(1, 9, expected.shape).astype("float32")
            to_padded = np.zeros_like(padded)
            for start, of_window in zip(starts, upstream, strict=True):
                winners = padded[start : start + window].argmax(axis=0)
                to_padded[start + winners, [0, 1]] += of_window
            for axis in (1, 2):
                turned = x if axis == 1 else x.transpose(0, 2, 1, 3)
                shape = (window, 1) if axis == 1 else (1, window)
                steps = (stride, 1) if axis == 1 else (1, stride)
                padding = ((first, last), (0, 0)) if axis == 1 else ((0, 0), (first, last))

                def pool(x, shape=shape, steps=steps, padding=padding):
                    return functional.max_pool(x, shape, steps, padding)

                y = keras.ops.convert_to_numpy(pool(turned))
                case = f"{size=}, {window=}, {stride=}, pads {first}, {last}, {axis=}"
                assert np.array_equal(y.reshape(expected.shape), expected), case
                given = keras.ops.convert_to_tensor(upstream.reshape(y.shape))
                (found,) = gradients(lambda x: keras.ops.sum(pool(x) * given), [turned])  # noqa: B023
                wanted = to_padded[first : first + size]
                assert np.array_equal(found.reshape(wanted.shape), wanted), case


@given(case=poolings())
def test_average_pool_equals_the_loops(case):
    x, window, strides, padding, sides = case
    expected = reference.pool(x, window, strides or window, sides, np.mean)
    y = functional.average_pool(x, window, strides, padding)
    assert_close(y, expected, rtol=1e-9, atol=1e-12)


@given(case=poolings())
def test_average_pool_can_count_the_padding(case):
    x, window, strides, padding, sides = case
    padded = reference.pad(x, sides)
    expected = reference.pool(padded, window, strides or window, ((0, 0), (0, 0)), np.mean)
    y = functional.average_pool(x, window, strides, padding, count_include_pad=True)
    assert_close(y, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("mode", PADDING_MODES)
@pytest.mark.parametrize("padding", [((1, 0), (2, 3)), ((0, 2), (0, 0)), ((2, 2), (3, 1))])
def test_pad_equals_numpy(mode, padding, rng):
    x = rng.normal(size=(2, 3, 4, 2))
    assert_equal(functional.pad(x, padding, mode), reference.pad(x, padding, mode))


@pytest.mark.tensorflow
@pytest.mark.parametrize("mode", PADDING_MODES)
def test_pad_where_the_size_is_not_known(mode, rng):
    x = rng.normal(size=(2, 3, 4, 2))
    signature = [tf.TensorSpec([None, None, None, None], tf.float64)]
    pad = tf.function(lambda z: functional.pad(z, ((1, 0), (2, 2)), mode), signature)
    assert_equal(pad(x), functional.pad(x, ((1, 0), (2, 2)), mode))


# --- What is refused, and in which words ----------------------------------------------------------

IMAGES, KERNEL = np.zeros((1, 5, 6, 3)), np.zeros((3, 3, 3, 2))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: corr2d(X2, K), ValueError, "corr2d expected X of shape (h, w). Received: X.shape=(2, 3, 3)"),
        (lambda: corr2d(X, K[0]), ValueError, "expected K of shape (k_h, k_w). Received: K.shape=(2,)"),
        (lambda: corr2d(X, np.ones((2, 4))), ValueError, "no larger than X. Received: X.shape=(3, 3), K.shape=(2, 4). Pad X"),
        (lambda: corr2d(X, np.ones((0, 2))), ValueError, "at least one cell"),
        (lambda: conv2d(X, np.ones((4, 2))), ValueError, "conv2d expected a kernel of at least one cell, no larger"),
        (lambda: corr2d_multi_in(X2, K3[0, :1]), ValueError, "as many channels in K as in X"),
        (lambda: corr2d_multi_in(X2, K), ValueError, "expected K of shape (c_i, k_h, k_w)"),
        (lambda: corr2d_multi_in_out(X2, K3[:, :1]), ValueError, "Received: X.shape=(2, 3, 3), K.shape=(3, 1, 2, 2)"),
        (lambda: corr2d_multi_in_out_1x1(X2, K3), ValueError, "Use corr2d_multi_in_out for larger windows"),
        (lambda: pool2d(X, 2, "min"), ValueError, "expected mode 'max' or 'avg'. Received: mode='min'"),
        (lambda: pool2d(X[0], 2), ValueError, "(h, w) or (c, h, w). Received: X.shape=(3,)"),
        (lambda: pool2d(X, 4), ValueError, "spans 4, the padded input 3"),
        (lambda: pool2d(X, 0), ValueError, "`pool_size` must be at least 1. Received: 0"),
        (lambda: pool2d(X, 1.5), TypeError, "`pool_size` must be an integer. Received: pool_size=1.5 of type float"),
        (lambda: pool2d(X, (2, 2, 2)), ValueError, "`pool_size` must be an int or a pair of ints"),
        (lambda: output_size(8, 9), ValueError, "spans 9, the padded input 8. Received: size=8, kernel_size=9"),
        (lambda: output_size(8, 3, 1, 0), ValueError, "`strides` must be at least 1. Received: 0"),
        (lambda: output_size(8, 3, -1), ValueError, "and not negative. Received: padding=-1"),
        (lambda: output_size(8, 3, "full"), ValueError, "must be 'valid', 'same', an int, a pair"),
        (lambda: output_size(8, True), TypeError, "`kernel_size` must be an integer. Received: kernel_size=True of type bool"),
        (lambda: output_size("8", 3), TypeError, "`n` must be an integer. Received: n='8' of type str"),
        (lambda: output_size((8, 8, 3), 3), ValueError, "an int or a pair (height, width). Received: n=(8, 8, 3)"),
        (lambda: comp_conv2d(Conv2D(1, 3), IMAGES), ValueError, "one image of shape (h, w). Received: X.shape=(1, 5, 6, 3). Call the layer itself"),
        (lambda: comp_conv2d(Conv2D(2, 3, name='two'), X), ValueError, "Received: (1, 1, 1, 2) from 'two'. Give the layer one filter"),
        (lambda: comp_conv2d(Conv2D(1, 3), X.astype(int)), TypeError, "expected floats. Received: inputs of dtype int64. Convert them"),
        (lambda: functional.correlate(IMAGES[0], KERNEL), ValueError, "Received: x.shape=(5, 6, 3). Add the missing axes"),
        (lambda: functional.correlate(IMAGES, KERNEL[0]), ValueError, "(k_h, k_w, channels, filters), none of them 0. Received: kernel.shape=(3, "),
        (lambda: functional.correlate(IMAGES.astype(str), KERNEL), TypeError, "correlate expected numbers in x. Received: an array or tensor of dtype <U"),
        (lambda: corr2d([["a"]], [[1.0]]), TypeError, "corr2d expected numbers in X. Received: an array or tensor of dtype <U1. Convert it first"),
        (lambda: functional.correlate(IMAGES, KERNEL[..., :0]), ValueError, "none of them 0. Received: kernel.shape=(3, 3, 3, 0)"),
        (lambda: functional.correlate(IMAGES, KERNEL, groups=1.0), TypeError, "`groups` must be an integer. Received: groups=1.0 of type float"),
        (lambda: functional.correlate(IMAGES, KERNEL, groups=True), TypeError, "`groups` must be an integer. Received: groups=True of type bool"),
        (lambda: functional.correlate(IMAGES, KERNEL[:, :, :2]), ValueError, "expects 2 input channels. Received: inputs of shape (1, 5, 6, 3), which have 3"),
        (lambda: functional.correlate(IMAGES, KERNEL[:, :, :1], groups=3), ValueError, "must be a multiple of groups"),
        (lambda: functional.correlate(IMAGES, KERNEL, padding=6, padding_mode="circular"), ValueError, "at most 5 cells"),
        (lambda: functional.max_pool(IMAGES[0], 2), ValueError, "max_pool expected a batch of images"),
        (lambda: functional.max_pool(IMAGES, 2, padding=2), ValueError, "smaller than the pooling window"),
        (lambda: functional.average_pool(IMAGES, (3, 2), padding=((0, 0), (0, 2))), ValueError, "pool_size=(3, 2), padding=((0, 0), (0, 2))"),
        (lambda: functional.pad(IMAGES, 1, "mirror"), ValueError, "must be one of 'zeros', 'reflect', 'symmetric', 'circular', 'replicate'. Received: padding_mode='mirror'"),
        (lambda: functional.pad(IMAGES, 5, "reflect"), ValueError, "at most 4 cells on a side of an axis of size 5. Received: 5 before and 5 after. Use less"),
        (lambda: functional.pad(IMAGES, (0, 7), "symmetric"), ValueError, "at most 6 cells on a side of an axis of size 6"),
        (lambda: functional.pad(IMAGES, "same"), ValueError, "depends on a window. Write an int"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)  # fmt: skip
def test_bad_input(call, error, words):
    with pytest.raises(error, match=re.escape(words)):
        call()


# --- What is not a number -------------------------------------------------------------------------


@pytest.mark.parametrize("place", range(4))
def test_a_nan_makes_a_nan_of_its_own_maximum_wherever_it_stands(place):
    x = np.array([1.0, 2.0, 3.0, 4.0], "float32")
    x[place] = np.nan
    y = functional.max_pool(np.hstack([x.reshape(2, 2), np.ones((2, 2))])[None, ..., None], 2)
    assert_equal(y[0, 0, :, 0], [np.nan, 1])


@pytest.mark.parametrize("strides", [1, 2])
def test_an_infinity_stays_in_its_own_means(strides):
    x = np.ones((1, 4, 6, 2), "float32")
    x[0, 0, 0, 0] = np.inf
    y = np.array(functional.average_pool(x, 2, strides))
    assert y[0, 0, 0, 0] == np.inf
    y[0, 0, 0, 0] = 1
    assert_equal(y, 1)


def test_a_nan_stays_in_its_own_windows_of_corr2d():
    X = np.ones((4, 6), "float32")
    X[0, 0] = np.nan
    assert np.isnan(np.asarray(corr2d(X, np.ones((2, 2), "float32")))).sum() == 1


def test_a_bias_is_one_number_for_each_output_channel(rng):
    x, kernel = rng.normal(size=(2, 5, 6, 3)), rng.normal(size=(3, 3, 3, 4))
    bias = np.array([1.0, 2.0, 3.0, 4.0])
    difference = functional.correlate(x, kernel, bias=bias) - functional.correlate(x, kernel)
    assert_close(difference, np.broadcast_to(bias, difference.shape), rtol=1e-9)
    with pytest.raises(ValueError, match=r"of shape \(4,\)\. Received: bias\.shape=\(3,\)"):
        functional.correlate(x, kernel, bias=bias[:3])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize(("size", "number"), [(16, 1000.0), (260, 1.0)])
def test_a_mean_of_many_numbers_of_16_bits_is_right(size, number, dtype):
    x = keras.ops.full((1, size, size, 1), number, dtype)
    y = functional.average_pool(x, size)
    assert type_of(y) == dtype
    assert_equal(y, np.full((1, 1, 1, 1), number))
    assert_equal(functional.average_pool(x, size - 1, 1, "same"), numbers(x))


@pytest.mark.tensorflow
@pytest.mark.parametrize("strides", [1, 2])
def test_a_padded_cell_never_wins_under_a_vectorized_map(strides):
    """There, TensorFlow forgets the number with which tf.pad pads."""
    x = -np.ones((3, 7, 6, 2), "float32")
    for padding in ("same", 1, ((0, 2), (1, 0))):
        y = tf.vectorized_map(
            lambda x, p=padding: functional.max_pool(x[None], 3, strides, p)[0], x
        )
        assert_equal(y, functional.max_pool(x, 3, strides, padding))
    assert_equal(
        tf.vectorized_map(lambda x: functional.pad(x[None], (2, 1), value=-9)[0], x),
        functional.pad(x, (2, 1), value=-9),
    )


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("function", "enough"),
    [
        (lambda x: functional.correlate(x, tf.ones((5, 3, 2, 1)), dilation_rate=(2, 1)), 9),
        (lambda x: functional.correlate(x, tf.ones((5, 1, 2, 1)), padding=((1, 0), 0)), 4),
        (lambda x: functional.max_pool(x, (5, 2)), 5),
        (lambda x: functional.average_pool(x, (5, 1), padding=((1, 1), (0, 0))), 3),
        (lambda x: functional.pad(x, (3, 0), "reflect"), 4),
        (lambda x: functional.pad(x, (3, 0), "symmetric"), 3),
        (lambda x: functional.pad(x, ((0, 3), (0, 0)), "circular"), 3),
        (lambda x: functional.correlate(x, tf.ones((5, 1, 2, 1)), 2, "same", "reflect"), 3),
    ],
)
def test_what_does_not_fit_is_refused_where_no_size_is_known_before(function, enough):
    graph = tf.function(function, input_signature=[tf.TensorSpec([None, None, None, 2])])
    x = np.ones((1, enough, 4, 2), "float32")
    assert_equal(graph(x), function(x))
    too_few = x[:, 1:]
    with pytest.raises(ValueError, match=r"does not fit|can add at most"):
        function(too_few)
    refused = r"does not fit[\s\S]*Use a smaller|copies more cells[\s\S]*Use less"
    with pytest.raises(tf.errors.InvalidArgumentError, match=refused):
        graph(too_few)
