"""What TensorFlow compiles within a graph, against what it computes at once."""

import numpy as np
import pytest
import tensorflow as tf

from cnn_tf import functional, on_tensorflow

POOLS = [functional.max_pool, functional.average_pool]
EACH_POOL = pytest.mark.parametrize("pool", POOLS, ids=lambda pool: pool.__name__)


@pytest.fixture
def programs():
    """What is compiled in a test: its counts."""
    on_tensorflow._program.cache_clear()
    return on_tensorflow._program.cache_info


def outputs_and_gradient(pool, x, *arguments, **more):
    x = tf.convert_to_tensor(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = pool(x, *arguments, **more)
        weights = tf.cast(tf.cos(tf.range(tf.size(y), dtype=tf.float32)), y.dtype)
        loss = tf.reduce_sum(tf.reshape(weights, tf.shape(y)) * y)
    return y, tape.gradient(loss, x)


@EACH_POOL
@pytest.mark.parametrize("size", [2, 3, (3, 2), (1, 4)])
@pytest.mark.parametrize("strides", [1, 2, (3, 2), (2, 5)])
@pytest.mark.parametrize("padding", ["valid", "same", ((0, 1), (1, 0))])
def test_a_compiled_pooling_is_the_definition(pool, size, strides, padding, programs, rng):
    if size == (1, 4) and padding != "same":
        padding = "valid"  # a padding must be smaller than the window
    x = np.round(2 * rng.normal(size=(2, 9, 8, 3)))  # with ties
    expected = outputs_and_gradient(pool, x, size, strides, padding)
    assert programs().misses == 0
    actual = tf.function(outputs_and_gradient)(pool, x, size, strides, padding)
    assert programs().misses >= 2  # forward and backward
    for ours, exact in zip(actual, expected, strict=True):
        np.testing.assert_allclose(ours, exact, rtol=1e-12, atol=1e-12)


@EACH_POOL
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_each_type_of_float(pool, dtype, rng):
    x = tf.cast(rng.normal(size=(2, 6, 6, 2)), dtype)
    actual = tf.function(outputs_and_gradient)(pool, x, 3, 2)
    for ours, exact in zip(actual, outputs_and_gradient(pool, x, 3, 2), strict=True):
        assert ours.dtype == dtype
        np.testing.assert_allclose(tf.cast(ours, "float32"), tf.cast(exact, "float32"), atol=0.02)


@EACH_POOL
@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_batch_of_unknown_size_is_pooled(pool, jit_compile, programs, rng):
    x = rng.normal(size=(3, 9, 8, 2))
    signature = [tf.TensorSpec([None, 9, 8, 2], "float64")]

    @tf.function(input_signature=signature, jit_compile=jit_compile)
    def run(images):
        return outputs_and_gradient(pool, images, 3, 2)

    for images in (x, x[:1]):
        for ours, exact in zip(run(images), outputs_and_gradient(pool, images, 3, 2), strict=True):
            np.testing.assert_allclose(ours, exact, rtol=1e-12)
    assert programs().misses == 2  # for both batches


@EACH_POOL
def test_images_of_unknown_size_take_the_definition(pool, programs, rng):
    x = rng.normal(size=(3, 9, 8, 2))
    signature = [tf.TensorSpec([None, None, 8, 2], "float64")]
    run = tf.function(lambda x: outputs_and_gradient(pool, x, 3, 2), input_signature=signature)
    for ours, exact in zip(run(x), outputs_and_gradient(pool, x, 3, 2), strict=True):
        np.testing.assert_allclose(ours, exact, rtol=1e-12)
    assert programs().misses == 0


@EACH_POOL
def test_a_large_window_takes_the_definition(pool, programs, rng):
    x = rng.normal(size=(2, 16, 16, 1))
    actual = tf.function(outputs_and_gradient)(pool, x, 16)
    for ours, exact in zip(actual, outputs_and_gradient(pool, x, 16), strict=True):
        np.testing.assert_allclose(ours, exact, rtol=1e-12)
    assert programs().misses == 0


@EACH_POOL
def test_pooling_in_a_branch(pool, rng):
    x = tf.constant(rng.normal(size=(2, 8, 8, 2)))

    @tf.function
    def branch(x):
        return tf.cond(x[0, 0, 0, 0] < 9, lambda: pool(2 * x, 2), lambda: x[:, ::2, ::2])

    actual = outputs_and_gradient(lambda x: branch(x), x)
    for ours, exact in zip(actual, outputs_and_gradient(pool, 2 * x, 2), strict=True):
        np.testing.assert_allclose(ours * (1 if ours is actual[0] else 0.5), exact, rtol=1e-12)


@EACH_POOL
def test_a_gradient_of_pooling_that_does_not_know_its_shape(pool, rng):
    x = rng.normal(size=(2, 9, 8, 2))

    @tf.custom_gradient
    def forget(y):
        return y, lambda upstream: tf.compat.v1.placeholder_with_default(upstream, None)

    run = tf.function(lambda x: outputs_and_gradient(lambda x: forget(pool(x, 3, 2)), x))
    for ours, exact in zip(run(x), outputs_and_gradient(pool, x, 3, 2), strict=True):
        np.testing.assert_allclose(ours, exact, rtol=1e-12)


@EACH_POOL
def test_second_derivatives_of_pooling(pool, rng):
    x = tf.constant(rng.normal(size=(2, 7, 6, 2)))

    def penalty_gradient(x):
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                loss = tf.reduce_sum(tf.sin(pool(x, 3, 2)))
            penalty = tf.reduce_sum(inner.gradient(loss, x) ** 2)
        return outer.gradient(penalty, x)

    np.testing.assert_allclose(tf.function(penalty_gradient)(x), penalty_gradient(x), rtol=1e-9)


def test_a_nan_shows_in_a_compiled_maximum():
    x = np.zeros((1, 2, 6, 1), "float32")
    x[0, 0, 1] = x[0, 1, 2] = np.nan
    y = tf.function(functional.max_pool)(x, 2)
    assert np.isnan(y).ravel().tolist() == [True, True, False]


def test_integers_are_pooled(programs):
    x = np.arange(16, dtype="int32").reshape(1, 4, 4, 1)
    y = tf.function(functional.max_pool)(x, 2)
    assert np.ravel(y).tolist() == [5, 7, 13, 15]
    assert programs().misses == 0


def test_what_one_model_has_compiled_another_one_need_not(programs, rng):
    """A program belongs to a shape, and not to the function in which it is called."""
    x, kernel, bias = (rng.normal(size=s) for s in ((2, 9, 8, 2), (3, 2, 2, 4), (4,)))

    def gradients(x, kernel, bias):
        with tf.GradientTape() as tape:
            tape.watch([x, kernel, bias])
            y = functional.correlate(x, kernel, bias=bias)
        return tape.gradient(y, [x, kernel, bias])

    for _ in range(2):
        tf.function(gradients)(*map(tf.constant, (x, kernel, bias)))
    # What the strips see, the matrix, and the gradients of both.
    assert (programs().misses, programs().hits) == (4, 4)
