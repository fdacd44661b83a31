"""The algorithms of a convolution and of pooling: which is taken, what each can do, how exact."""

import functools
import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from cnn_tf import _backend, functional
from cnn_tf._convolution import ALGORITHMS, NAMES, _cheapest, shifted_gemm, winograd
from cnn_tf.functional import (
    algorithm_costs,
    average_pool,
    choose_algorithm,
    correlate,
    max_pool,
)
from tests.algorithms import EACH_ALGORITHM, SUITED

# --- Which one is taken ---------------------------------------------------------------------------


SAME = {"padding": "same"}


@pytest.mark.parametrize(
    ("size", "kernel", "arguments", "name"),
    [
        ((28, 28, 1), (5, 5, 1, 6), SAME, "block_toeplitz"),
        ((14, 14, 6), (5, 5, 6, 16), {}, "block_toeplitz"),
        ((224, 224, 3), (7, 7, 3, 64), SAME | {"strides": 2}, "block_toeplitz"),
        ((56, 56, 16), (3, 3, 16, 16), SAME, "shifted_gemm"),
        ((40, 40, 32), (3, 3, 32, 2), {}, "kn2row"),
        ((56, 56, 256), (1, 1, 256, 64), {}, "pointwise"),
        ((12, 65, 3), (1, 1, 3, 2), {}, "pointwise"),
        ((12, 65, 80), (1, 1, 80, 2), {"strides": 2}, "im2col"),
        ((32, 32, 64), (3, 3, 64, 128), SAME | {"strides": 2}, "im2col"),
        ((7, 7, 384), (1, 3, 384, 384), SAME, "im2col"),
        ((56, 56, 64), (3, 3, 64, 64), SAME, "winograd"),
        ((56, 56, 64), (3, 3, 64, 64), SAME | {"dilation_rate": 2}, "shifted_gemm"),
        ((256, 256, 128), (5, 5, 128, 128), SAME, "shifted_gemm"),
        ((12, 65, 4), (3, 2, 2, 2), {"groups": 2}, "definition"),
        ((None, 65, 1), (3, 3, 1, 2), {}, "definition"),
        ((None, 65, 1), (1, 1, 1, 2), {}, "pointwise"),
        ((12, 65, 80), (3, 3, 80, 2), {"dtype": "int32"}, "kn2row"),
    ],
)
def test_the_shape_chooses_the_algorithm(size, kernel, arguments, name):
    assert choose_algorithm((32, *size), kernel, **arguments) == name
    assert choose_algorithm((None, *size), kernel, **arguments) == name


CHOSEN = [
    ((28, 28, 1), (5, 5, 1, 6), SAME),
    ((12, 9, 32), (3, 3, 32, 32), {"dilation_rate": 2}),
    ((9, 40, 17), (3, 2, 17, 2), {"strides": 2}),
    ((11, 12, 64), (3, 3, 64, 64), SAME),
    ((12, 65, 4), (3, 2, 2, 2), {"groups": 2}),
    ((12, 15, 6), (3, 2, 1, 12), {"groups": 6, "strides": 2}),
]


@pytest.mark.parametrize(("size", "kernel", "arguments"), CHOSEN)
def test_the_algorithm_that_is_chosen_runs(size, kernel, arguments, rng):
    x, kernel = rng.normal(size=(2, *size)), rng.normal(size=kernel)
    y = correlate(x, kernel, **arguments)
    name = choose_algorithm(x.shape, kernel.shape, **arguments)
    np.testing.assert_array_equal(y, correlate(x, kernel, **arguments, algorithm=name))


def test_what_is_kept_for_the_gradient_stays_in_proportion():
    shape, kernel = (27, 27, 96), (5, 5, 96, 256)
    # Windows hold 25 times as many numbers as the image.
    assert choose_algorithm((4, *shape), kernel, **SAME) == "im2col"
    assert choose_algorithm((64, *shape), kernel, **SAME) == "shifted_gemm"


@EACH_ALGORITHM
def test_the_costs_follow_the_sizes(algorithm):
    """More filters and rows cost more, and in proportion at most; more images, no more for one."""
    (*window, _, _), arguments = SUITED[algorithm]
    channels = 16 if algorithm == "winograd" else 2

    def cost(batch=4, rows=16, filters=16):
        shape = batch, rows, 20, channels
        kernel = (*window, channels // arguments.get("groups", 1), filters)
        return algorithm_costs(shape, kernel, **arguments)[algorithm]

    assert 0 < cost() < cost(filters=64) < 5 * cost()
    assert cost() < cost(rows=32) < 3 * cost()
    assert cost(batch=8) <= cost()


def test_the_cheapest_is_chosen():
    for size, kernel, arguments in CHOSEN:
        costs = algorithm_costs((32, *size), kernel, **arguments)
        assert list(costs.values()) == sorted(costs.values())
        assert choose_algorithm((32, *size), kernel, **arguments) == next(iter(costs))


@pytest.mark.parametrize("size", [(15, 15), (64, 64)])
@pytest.mark.parametrize("channels", [1, 2, 3, 8])
def test_whole_numbers_stay_whole_where_channels_are_few(size, channels, rng):
    x = rng.integers(-8, 9, (1, *size, channels)).astype("float32")
    kernel = rng.integers(-3, 4, (3, 3, channels, channels)).astype("float32")
    y = np.asarray(correlate(x, kernel, padding="same"))
    np.testing.assert_array_equal(y, np.round(y))


def test_costs_need_a_size():
    with pytest.raises(
        ValueError, match=r"known height and width. Received: input_shape=\(1, None"
    ):
        algorithm_costs((1, None, 8, 1), (3, 3, 1, 1))


def test_an_accelerator_gets_no_winograd(monkeypatch):
    shapes = (None, 56, 56, 64), (3, 3, 64, 64)
    assert choose_algorithm(*shapes) == "winograd"
    _cheapest.cache_clear()
    monkeypatch.setattr(_backend, "device_name", lambda: "gpu:0")
    assert choose_algorithm(*shapes) == "shifted_gemm"
    _cheapest.cache_clear()


@EACH_ALGORITHM
def test_the_algorithm_that_is_named_runs(algorithm, monkeypatch, rng):
    ran = []
    watched = [
        each._replace(run=lambda *a, each=each: (ran.append(each.name), each.run(*a))[1])
        for each in ALGORITHMS
    ]
    monkeypatch.setattr("cnn_tf._convolution.ALGORITHMS", watched)
    kernel, arguments = SUITED[algorithm]
    correlate(
        rng.normal(size=(1, 9, 8, 2)), rng.normal(size=kernel), algorithm=algorithm, **arguments
    )
    assert ran == [algorithm]


@pytest.mark.parametrize(
    ("algorithm", "arguments", "words"),
    [
        ("fft", {}, "`algorithm` must be one of 'pointwise', 'depthwise', 'block_toeplitz', "),
        ("pointwise", {}, "'pointwise' does not apply to these shapes, types and back end"),
        ("winograd", {"strides": 2}, "'winograd' does not apply"),
        ("shifted_gemm", {"strides": 2}, "Use one of 'block_toeplitz', 'im2col', 'defini"),
    ],
)
def test_an_algorithm_that_does_not_apply_is_refused(algorithm, arguments, words, rng):
    with pytest.raises(ValueError, match=re.escape(words)):
        correlate(np.ones((1, 6, 6, 1)), np.ones((3, 3, 1, 1)), algorithm=algorithm, **arguments)


def test_a_symbolic_tensor_gets_the_shape():
    y = correlate(keras.KerasTensor((None, 40, 40, 8)), np.zeros((3, 3, 8, 4)))
    assert tuple(y.shape) == (None, 38, 38, 4)
    for pool in (max_pool, average_pool):
        assert tuple(pool(keras.KerasTensor((None, 8, 9, 2)), 2).shape) == (None, 4, 4, 2)


@pytest.mark.parametrize("strides", [1, 2])
@pytest.mark.parametrize("pool", [max_pool, average_pool])
def test_pooling_takes_channels_of_unknown_number(pool, strides, rng):
    x = rng.normal(size=(2, 8, 9, 3)).astype("float32")
    unknown = tf.TensorSpec((None, 8, 9, None))
    graph = tf.function(lambda x: pool(x, 3, strides, padding="same"), [unknown])
    np.testing.assert_allclose(graph(x), pool(x, 3, strides, padding="same"), rtol=1e-6)


# --- What each one can do, in eager mode and in a graph -------------------------------------------


def weighted(y):
    """A sum of outputs with weights that differ, the same in each type of number.

    Those of one channel, whose sum is the bias's gradient, do not cancel each other.
    """
    weights = tf.cast(1 + tf.cos(tf.range(tf.size(y), dtype=tf.float32)), y.dtype)
    return tf.reduce_sum(tf.reshape(weights, tf.shape(y)) * y)


def gradients(function, *inputs):
    """Outputs, and the gradients of all that goes in."""
    inputs = [tf.convert_to_tensor(each) for each in inputs]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        y = function(*inputs)
        loss = weighted(y)
    return [y, *tape.gradient(loss, inputs)]


def assert_close(actual, expected, tolerance=1e-9):
    for ours, exact in zip(actual, expected, strict=True):
        np.testing.assert_allclose(ours, exact, rtol=tolerance, atol=tolerance)


def _convolution(name):
    kernel, arguments = SUITED[name]

    def run(x, algorithm=name):
        weights = np.random.default_rng(1).normal(size=kernel)
        return correlate(x, weights, bias=weights[0, 0, 0], algorithm=algorithm, **arguments)

    return run, lambda x: run(x, "definition")


def _pooling(pool, *arguments):
    def by_definition(x):
        """Each window by itself, as a tensor of TensorFlow."""
        size, strides = arguments
        reduce = tf.reduce_max if pool is max_pool else tf.reduce_mean
        h, w = ((n - size) // strides + 1 for n in x.shape[1:3])
        cells = [
            reduce(x[:, i * strides : i * strides + size, j * strides : j * strides + size], (1, 2))
            for i in range(h)
            for j in range(w)
        ]
        return tf.reshape(tf.stack(cells, axis=1), (-1, h, w, x.shape[3]))

    return lambda x: pool(x, *arguments), by_definition


# Each function of images of two channels, and one to the same numbers.
FUNCTIONS = {name: _convolution(name) for name in NAMES} | {
    "max": _pooling(max_pool, 3, 2),
    "max 2x2": _pooling(max_pool, 2, 2),
    "average": _pooling(average_pool, 3, 2),
    "average 2x2": _pooling(average_pool, 2, 2),
    "average, each place": _pooling(average_pool, 3, 1),
}
EACH_FUNCTION = pytest.mark.parametrize("name", FUNCTIONS)
IN_A_GRAPH = pytest.mark.parametrize("graph", [False, True], ids=["eager", "graph"])


@pytest.fixture
def x(rng):
    return tf.constant(rng.normal(size=(3, 9, 8, 2)))


@EACH_ALGORITHM
def test_channels_of_unknown_number_are_those_of_the_kernel(algorithm, x):
    function, _ = FUNCTIONS[algorithm]
    graph = tf.function(
        functools.partial(gradients, function), [tf.TensorSpec((None, 9, 8, None), "float64")]
    )
    assert_close(graph(x), gradients(function, x))


@IN_A_GRAPH
@EACH_FUNCTION
def test_values_and_gradients(name, graph, x):
    function, by_definition = FUNCTIONS[name]
    run = tf.function(gradients) if graph else gradients
    assert_close(run(function, x), gradients(by_definition, x))


@IN_A_GRAPH
@EACH_FUNCTION
def test_second_derivatives(name, graph, x):
    """A penalty on the length of the gradient, as gradient penalties and meta-learning need it."""

    def penalty_gradient(function, x):
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                loss = tf.reduce_sum(tf.sin(function(x)))
            penalty = tf.reduce_sum(inner.gradient(loss, x) ** 2)
        return outer.gradient(penalty, x)

    function, by_definition = FUNCTIONS[name]
    run = tf.function(penalty_gradient) if graph else penalty_gradient
    assert_close([run(function, x)], [penalty_gradient(by_definition, x)])


@IN_A_GRAPH
@EACH_FUNCTION
def test_forward_mode(name, graph, x, rng):
    direction = tf.constant(rng.normal(size=x.shape))

    def derivative(function, x):
        with tf.autodiff.ForwardAccumulator(x, direction) as accumulator:
            y = function(x)
        return accumulator.jvp(y)

    function, by_definition = FUNCTIONS[name]
    run = tf.function(derivative) if graph else derivative
    assert_close([run(function, x)], [derivative(by_definition, x)])


@IN_A_GRAPH
@EACH_FUNCTION
def test_an_empty_batch_gives_an_empty_output(name, graph, x):
    function, _ = FUNCTIONS[name]
    expected = function(x)
    run = tf.function(gradients) if graph else gradients
    y, to_x = run(function, x[:0])
    assert y.shape == (0, *expected.shape[1:])
    assert to_x.shape == (0, *x.shape[1:])


@EACH_ALGORITHM
def test_an_empty_batch_moves_no_weight(algorithm, x, rng):
    shape, arguments = SUITED[algorithm]
    kernel, bias = rng.normal(size=shape), rng.normal(size=shape[3:])

    def run(x, kernel, bias):
        return correlate(x, kernel, bias=bias, algorithm=algorithm, **arguments)

    signature = [tf.TensorSpec((None, *x.shape[1:]), x.dtype)]
    in_a_graph = tf.function(lambda x: gradients(run, x, kernel, bias), input_signature=signature)
    for _, *to_weights in (gradients(run, x[:0], kernel, bias)[1:], in_a_graph(x[:0])[1:]):
        assert_close(to_weights, [np.zeros(shape), np.zeros(shape[3:])])
    assert_close(in_a_graph(x), gradients(run, x, kernel, bias))


@EACH_FUNCTION
@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_batch_of_unknown_size(name, jit_compile, x):
    function, by_definition = FUNCTIONS[name]

    @tf.function(
        input_signature=[tf.TensorSpec([None, *x.shape[1:]], x.dtype)], jit_compile=jit_compile
    )
    def run(images):
        return gradients(function, images)

    for images in (x, x[:1]):
        assert_close(run(images), gradients(by_definition, images))


@EACH_FUNCTION
@pytest.mark.parametrize("inside", ["function", "branch", "loop"])
def test_a_gradient_from_outside(name, inside, x):
    """The gradient belongs to another graph than the outputs, or to none."""
    function, by_definition = FUNCTIONS[name]

    def total(x, function=function):
        return tf.reduce_sum(function(x) ** 2)

    run = {
        "function": tf.function(total),
        "branch": tf.function(
            lambda x: tf.cond(x[0, 0, 0, 0] < 9, lambda: total(x), lambda: 0.0 * x[0, 0, 0, 0])
        ),
        "loop": tf.function(
            lambda x: tf.foldl(lambda s, one: s + total(one[None]), x, tf.zeros((), x.dtype))
        ),
    }[inside]
    results = []
    for compute in (run, lambda x: total(x, by_definition)):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = compute(x)
        results.append(tape.gradient(loss, x))
    assert_close(results[:1], results[1:])


@EACH_FUNCTION
def test_a_gradient_that_does_not_know_its_shape(name, x):
    @tf.custom_gradient
    def forget(y):
        return y, lambda upstream: tf.compat.v1.placeholder_with_default(upstream, None)

    function, by_definition = FUNCTIONS[name]
    actual = tf.function(lambda x: gradients(lambda x: forget(function(x)), x))(x)
    assert_close(actual, gradients(by_definition, x))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
@EACH_FUNCTION
def test_each_type_of_float(name, dtype, x):
    """Half-precision numbers are computed as such, and to their precision."""
    if name == "winograd":
        dtype = "float32"  # it applies to no others
    pool, _ = FUNCTIONS[name]

    def run(x):
        if name not in NAMES:
            return pool(x)
        shape, arguments = SUITED[name]
        kernel = tf.cast(np.random.default_rng(1).normal(size=shape) / shape[0] ** 2, x.dtype)
        return correlate(x, kernel, algorithm=name, **arguments)

    x = tf.cast(x, dtype)
    actual, exact = gradients(run, x), gradients(run, tf.cast(x, "float64"))
    for ours, true in zip(actual, exact, strict=True):
        assert ours.dtype == dtype
        np.testing.assert_allclose(tf.cast(ours, "float64"), true, rtol=0.05, atol=0.05)


# --- Properties -----------------------------------------------------------------------------------


@EACH_ALGORITHM
def test_the_gradient_is_the_adjoint(algorithm, rng):
    """<A x, y> = <x, A' y>: in the images, and in the kernel."""
    shape, arguments = SUITED[algorithm]
    arguments = arguments | {"padding": ((2, 1), (0, 3))}
    x, kernel = tf.constant(rng.normal(size=(2, 9, 8, 2))), tf.constant(rng.normal(size=shape))
    with tf.GradientTape() as tape:
        tape.watch([x, kernel])
        y = correlate(x, kernel, algorithm=algorithm, **arguments)
    upstream = tf.constant(rng.normal(size=y.shape))
    to_x, to_kernel = tape.gradient(y, [x, kernel], upstream)
    product = float(tf.reduce_sum(y * upstream))
    assert float(tf.reduce_sum(x * to_x)) == pytest.approx(product, rel=1e-9)
    assert float(tf.reduce_sum(kernel * to_kernel)) == pytest.approx(product, rel=1e-9)


@EACH_ALGORITHM
def test_a_shifted_image_gives_shifted_outputs(algorithm, rng):
    shape, arguments = SUITED[algorithm]
    step = arguments.get("strides", 1)
    x, kernel = rng.normal(size=(1, 12, 14, 2)), rng.normal(size=shape)
    y = np.asarray(correlate(x, kernel, algorithm=algorithm, **arguments))
    moved = np.asarray(correlate(x[:, step:, 2 * step :], kernel, algorithm=algorithm, **arguments))
    np.testing.assert_allclose(moved, y[:, 1:, 2:], rtol=1e-9, atol=1e-9)


# How far a NaN may reach beyond the windows that hold it: rows and columns of outputs.
REACH = {"block_toeplitz": (0, 3), "shifted_gemm": (0, 1), "winograd": (3, 3)}


@EACH_ALGORITHM
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_a_nan_spoils(algorithm, bad, rng):
    """The outputs that see it; beside them only those that the documentation names."""
    shape, arguments = SUITED[algorithm]
    x, kernel = rng.normal(size=(3, 13, 17, 2)), rng.normal(size=shape)
    seen = np.zeros_like(x)
    x[1, 6, 8, 0] = bad
    seen[1, 6, 8, 0] = 1
    finite = np.isfinite(correlate(x, kernel, algorithm=algorithm, **arguments)).all(axis=-1)
    sees = (
        np.asarray(correlate(seen, np.ones(shape), **arguments, algorithm="definition"))[..., 0] > 0
    )
    assert not finite[sees].any()
    spoilt = ~finite & ~sees
    rows, columns = REACH.get(algorithm, (0, 0))
    near = np.zeros_like(sees)
    for image, i, j in np.argwhere(sees):
        near[image, max(i - rows, 0) : i + rows + 1, max(j - columns, 0) : j + columns + 1] = True
    assert not spoilt[~near].any()
    assert spoilt.any() == (algorithm in REACH)


# --- Accuracy -------------------------------------------------------------------------------------

SHAPES = {
    "few channels": ((8, 28, 28, 1), (5, 5, 1, 6), {"padding": "same"}),
    "LeNet's second": ((8, 14, 14, 6), (5, 5, 6, 16), {}),
    "3x3": ((4, 32, 32, 64), (3, 3, 64, 64), {"padding": "same"}),
    "stride 2": ((4, 32, 32, 64), (3, 3, 64, 128), {"padding": "same", "strides": 2}),
    "1x1": ((4, 16, 16, 256), (1, 1, 256, 64), {}),
    "depthwise": ((4, 32, 32, 64), (5, 5, 1, 64), {"padding": "same", "groups": 64}),
    "5x5": ((1, 40, 40, 128), (5, 5, 128, 128), {"padding": "same"}),
}


@pytest.fixture(scope="module")
def exact():
    """Inputs in 32 bits, and outputs and gradients in 64: computed once for each shape."""
    known = {}

    def compute(shape):
        if shape not in known:
            images, kernel, arguments = SHAPES[shape]
            rng = np.random.default_rng(0)
            inputs = [rng.normal(size=s).astype("float32") for s in (images, kernel, kernel[3:])]
            wide = [each.astype("float64") for each in inputs]
            known[shape] = inputs, gradients(_correlation("definition", arguments), *wide)
        return known[shape]

    return compute


def _correlation(algorithm, arguments):
    def run(x, kernel, bias):
        return correlate(x, kernel, bias=bias, algorithm=algorithm, **arguments)

    return run


def _applying():
    """Each shape with each algorithm that applies to it."""
    for shape, (images, kernel, arguments) in SHAPES.items():
        for algorithm in NAMES:
            try:
                choose_algorithm(images, kernel, **arguments, algorithm=algorithm)
            except ValueError:
                continue
            yield algorithm, shape


@pytest.mark.parametrize(("algorithm", "shape"), list(_applying()))
def test_no_algorithm_costs_accuracy(algorithm, shape, exact):
    inputs, truth = exact(shape)
    _, _, arguments = SHAPES[shape]
    actual = gradients(_correlation(algorithm, arguments), *inputs)
    for ours, true in zip(actual, truth, strict=True):
        assert ours.dtype == "float32"
        ours, true = np.asarray(ours), np.asarray(true)
        assert np.abs(ours - true).max() < 2e-5 * np.abs(true).max()


def test_each_algorithm_is_tried_at_full_size():
    assert {algorithm for algorithm, _ in _applying()} == set(NAMES)


@pytest.mark.parametrize(
    ("batch", "images", "rows"),
    [(1, 1, 4), (2, 2, 4), (7, 7, 4), (14, 14, 3), (40, 20, 1)],
    ids=["rows", "rows of each image", "most pieces", "fewer rows", "images"],
)
def test_large_images_are_computed_in_pieces(batch, images, rows, rng, monkeypatch):
    monkeypatch.setattr(shifted_gemm, "_BYTES_AT_A_TIME", 6_667)
    x, kernel = (rng.normal(size=s).astype("float32") for s in ((batch, 11, 30, 8), (3, 3, 8, 2)))
    arguments = {"padding": ((3, 1), (0, 2))}
    made = []

    def pieces(geometry, cut=shifted_gemm._pieces):
        made.append(cut(geometry))
        return made[-1]

    monkeypatch.setattr(shifted_gemm, "_pieces", pieces)
    actual, expected = (
        gradients(lambda x, k, name=name: correlate(x, k, algorithm=name, **arguments), x, kernel)
        for name in ("shifted_gemm", "definition")
    )
    for ours, true in zip(actual, expected, strict=True):
        assert np.abs(ours - true).max() < 2e-5 * np.abs(true).max()
    assert tuple(map(len, made[0])) == (images, rows)


@pytest.mark.parametrize("padding", ["valid", "same", ((3, 0), (1, 2)), ((0, 2), (2, 0))], ids=str)
@pytest.mark.parametrize(("batch", "width"), [(1, 12), (3, 11)])
@pytest.mark.parametrize(
    ("filters", "together"), [(8, 2), (16, 2), (24, 2), (32, 1), (40, 1), (48, 1)]
)
def test_outputs_are_computed_in_pairs(filters, together, batch, width, padding, rng, monkeypatch):
    """Where the numbers of one do not fill the processor's vectors, or are few."""
    chosen = []

    def watched(geometry, choose=shifted_gemm.outputs_at_once):
        chosen.append(choose(geometry))
        return chosen[-1]

    monkeypatch.setattr(shifted_gemm, "outputs_at_once", watched)
    x, kernel = rng.normal(size=(batch, 9, width, 24)), rng.normal(size=(4, 3, 24, filters))
    bias = rng.normal(size=filters)
    actual, expected = (
        gradients(
            lambda x, k, b, name=name: correlate(x, k, padding=padding, bias=b, algorithm=name),
            *(x, kernel, bias),
        )
        for name in ("shifted_gemm", "definition")
    )
    assert chosen[0] == together
    for ours, true in zip(actual, expected, strict=True):
        np.testing.assert_allclose(ours, true, rtol=1e-9, atol=1e-9)


def test_the_gradients_of_a_large_image_wait_for_its_outputs():
    """Memory would hold the pieces of both, where the outputs' gradient does not wait itself."""

    @tf.function
    def gradient(x, kernel, upstream):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = correlate(x, kernel, padding="same", algorithm="shifted_gemm")
        return y, tape.gradient(y, x, upstream)

    large, small = tf.TensorSpec((1, 70, 1000, 32)), tf.TensorSpec((3, 3, 32, 32))
    graph = gradient.get_concrete_function(large, small, large).graph
    waited, found = [graph.structured_outputs[1].op], set()
    while waited:
        operation = waited.pop()
        if operation not in found:
            found.add(operation)
            waited += [tensor.op for tensor in operation.inputs] + list(operation.control_inputs)
    joined = [each for each in found if each.type == "ConcatV2"]
    whole = [each for each in joined if each.outputs[0].shape == large.shape]
    assert len(whole) == 2  # the pieces of the gradient, and those of the outputs


def test_the_points_of_winograd_keep_the_error_small(monkeypatch, rng):
    x, kernel = rng.normal(size=(4, 18, 18, 256)), rng.normal(size=(3, 3, 256, 64))
    exact = np.asarray(correlate(x, kernel, algorithm="definition"))

    def error():
        y = correlate(x.astype("float32"), kernel.astype("float32"), algorithm="winograd")
        return np.abs(y - exact).max() / np.abs(exact).max()

    ours = error()
    monkeypatch.setattr(winograd, "_POINTS", (1, -1, 2, -2, 0))
    monkeypatch.setattr(winograd, "_OF_TILES", {3: winograd._of_tiles(3)})
    assert ours < 5e-6 < 2 * ours < error()


# --- Pooling --------------------------------------------------------------------------------------


@pytest.mark.parametrize("pool", [max_pool, average_pool], ids=["max", "average"])
@pytest.mark.parametrize("size", [2, 3, (3, 2), (1, 4)])
@pytest.mark.parametrize(
    ("strides", "shape"),
    [(1, (2, 9, 8, 3)), (1, (1, 9, 8, 3)), (1, (3, 5, 7, 16))]
    + [(strides, (2, 9, 8, 3)) for strides in (2, (3, 2), (2, 5))],
    ids=str,
)
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_pooling_shares_its_gradient_as_keras_does(pool, size, strides, shape, padding, rng):
    """With ties. Keras gives the first of them all, row by row."""
    x = np.round(2 * rng.normal(size=shape)).astype("float32")
    theirs = keras.ops.max_pool if pool is max_pool else keras.ops.average_pool
    assert_close(
        gradients(lambda x: pool(x, size, strides, padding), x),
        gradients(lambda x: theirs(x, size, strides, padding), x),
        1e-5,
    )


@IN_A_GRAPH
def test_a_nan_shows_in_a_maximum(graph):
    x = np.zeros((1, 2, 6, 1), "float32")
    x[0, 0, 1] = x[0, 1, 2] = np.nan
    y = (tf.function(max_pool) if graph else max_pool)(x, 2)
    assert np.isnan(y).ravel().tolist() == [True, True, False]


def test_integers_are_pooled():
    x = np.arange(16, dtype="int32").reshape(1, 4, 4, 1)
    assert np.ravel(tf.function(max_pool)(x, 2)).tolist() == [5, 7, 13, 15]
    assert functional.max_pool(x > 9, 2).dtype == "bool"


def test_images_of_unknown_size_are_pooled(rng):
    x = rng.normal(size=(3, 9, 8, 2))
    for pool in (max_pool, average_pool):
        run = tf.function(
            lambda x, pool=pool: gradients(lambda x: pool(x, 3, 2), x),
            input_signature=[tf.TensorSpec([None, None, 8, 2], "float64")],
        )
        assert_close(run(x), gradients(lambda x, pool=pool: pool(x, 3, 2), x))
