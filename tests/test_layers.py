"""The layers: equal to Keras's where Keras has them, and good citizens of Keras everywhere."""

# ruff: noqa: E501 - in the table of bad input, one case is one line

import contextlib
import inspect
import json
import re
import subprocess
import sys
from unittest import mock

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

import cnn_tf
from cnn_tf import AveragePooling2D, AvgPool2D, Conv2D, MaxPool2D, MaxPooling2D
from cnn_tf.arguments import PADDING_MODES
from cnn_tf.layers import LocallyConnected2D
from tests import reference
from tests.algorithms import EACH_ALGORITHM, SUITED, depths, windows
from tests.back_end import BACK_END, assert_close, assert_equal, examples, gradients, numbers

EACH_POOLING = pytest.mark.parametrize("pooling", ["MaxPooling2D", "AveragePooling2D"])
EACH_LAYER = pytest.mark.parametrize(
    "make",
    [
        lambda layers: layers.Conv2D(4, (2, 3), padding="same", strides=2),
        lambda layers: layers.MaxPooling2D((2, 3), strides=2, padding="same"),
        # On PyTorch Keras's own counts the padding in a mean.
        lambda layers: layers.AveragePooling2D(
            (2, 3), strides=2, padding="valid" if BACK_END == "torch" else "same"
        ),
    ],
    ids=["Conv2D", "MaxPooling2D", "AveragePooling2D"],
)
EACH_OF_OURS = pytest.mark.parametrize(
    "layer",
    [
        Conv2D(4, (2, 3), padding=((0, 1), (2, 1)), padding_mode="reflect", strides=(2, 1)),
        Conv2D(6, 3, padding="same", padding_mode="circular", groups=3),
        MaxPooling2D((2, 3), strides=(1, 2), padding=(1, 2)),
        AveragePooling2D((2, 3), strides=(1, 2), padding=(1, 2), count_include_pad=True),
    ],
    ids=lambda layer: type(layer).__name__,
)


@pytest.fixture(autouse=True)
def seed():
    keras.utils.set_random_seed(0)


@pytest.fixture
def images(rng):
    return rng.normal(size=(2, 7, 8, 3)).astype("float32")


def square(values, padding=0):
    """A square image 0, 1, 2, ... as a batch."""
    n = int(len(values) ** 0.5)
    return np.pad(np.array(values, "float32").reshape(n, n), padding)[None, :, :, None]


def fresh(layer):
    """Another layer with the same arguments."""
    return type(layer).from_config(layer.get_config())


def twins(ours, theirs, shape):
    """Build two layers for inputs of one shape and give them the same random weights."""
    ours.build(shape)
    theirs.build(shape)
    rng = np.random.default_rng(1)
    weights = [rng.normal(size=w.shape) for w in ours.get_weights()]
    ours.set_weights(weights)
    theirs.set_weights(weights)
    return ours, theirs


def values_and_gradients(layer, x):
    """The output, and the gradients of a function of it in the input and in all weights."""
    x = np.asarray(x, EXACT)
    y = numbers(layer(x))
    # Each output weighs differently, so that no two of them can be mixed up.
    upstream = (np.arange(y.size) % 7 - 2).reshape(y.shape).astype(y.dtype)
    upstream = keras.ops.convert_to_tensor(upstream)
    others = [variable.value for variable in layer.non_trainable_variables]

    def loss(x, *weights):
        y, _ = layer.stateless_call(weights, others, x)
        return keras.ops.sum(y * upstream)

    weights = [variable.value for variable in layer.trainable_variables]
    return [y, *gradients(loss, [x, *weights])]


# Of 64 bits, where Keras's layers compute in so many.
EXACT = "float64" if BACK_END == "tensorflow" else "float32"


def assert_same(actual, expected):
    tolerance = (
        {"rtol": 1e-9, "atol": 1e-11} if EXACT == "float64" else {"rtol": 1e-4, "atol": 1e-4}
    )
    for a, b in zip(actual, expected, strict=True):
        assert_close(a, b, **tolerance)


# --- Worked out by hand ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kernel_size", "padding", "strides", "expected"),
    [
        (3, 1, 1, (8, 8)),
        ((5, 3), (2, 1), 1, (8, 8)),
        (3, 1, 2, (4, 4)),
        ((3, 5), (0, 1), (3, 4), (2, 2)),
    ],
)
def test_the_sizes_of_the_book(kernel_size, padding, strides, expected):
    layer = Conv2D(1, kernel_size, padding=padding, strides=strides)
    assert layer(np.zeros((1, 8, 8, 1), "float32")).shape == (1, *expected, 1)


def test_the_size_that_keras_cannot_reach():
    theirs = keras.layers.Conv2D(1, (3, 5), padding="valid", strides=(3, 4))
    assert theirs(np.zeros((1, 8, 8, 1), "float32")).shape == (1, 2, 1, 1)


def test_strides_of_3_and_2():
    layer = Conv2D(1, 2, padding=1, strides=(3, 2))
    layer.build((1, 3, 3, 1))
    layer.kernel.assign(np.arange(4.0).reshape(2, 2, 1, 1))
    assert_equal(layer(square(range(9)))[0, :, :, 0], [[0, 8], [6, 8]])


def test_bias_and_activation():
    layer = Conv2D(1, 2, activation="relu")
    layer.build((1, 3, 3, 1))
    layer.set_weights([np.arange(4.0).reshape(2, 2, 1, 1), np.array([-30.0])])
    assert_equal(layer(square(range(9)))[0, :, :, 0], [[0, 0], [7, 13]])


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"pool_size": 3}, [[10]]),
        ({"pool_size": 3, "padding": 1, "strides": 2}, [[5, 7], [13, 15]]),
        ({"pool_size": (2, 3), "padding": (0, 1), "strides": (2, 3)}, [[5, 7], [13, 15]]),
        # rows [-1 0], [1 2], [3 4]; columns [-2 -1 0], [1 2 3]
        ({"pool_size": (2, 3), "padding": (1, 2), "strides": (2, 3)}, [[0, 3], [8, 11], [12, 15]]),
    ],
)
def test_max_pooling(arguments, expected):
    y = MaxPooling2D(**arguments)(square(range(16)))
    assert_equal(y[0, :, :, 0], expected)


def test_max_pooling_pools_each_channel_by_itself():
    x = square(range(16))
    y = MaxPooling2D(3, strides=2, padding=1)(np.concatenate([x, x + 1], axis=-1))
    assert_equal(y[0, :, :, 0], [[5, 7], [13, 15]])
    assert_equal(y[0, :, :, 1], [[6, 8], [14, 16]])


def test_a_padded_cell_never_wins():
    y = MaxPooling2D(2, padding=1)(square([-1, -2, -3, -4]))
    assert_equal(y[0, :, :, 0], [[-1, -2], [-3, -4]])


@pytest.mark.parametrize(
    ("count_include_pad", "expected"), [(False, [[4, 8], [12, 16]]), (True, [[1, 2], [3, 4]])]
)
def test_whether_padded_cells_count_in_a_mean(count_include_pad, expected):
    layer = AveragePooling2D(2, padding=1, count_include_pad=count_include_pad)
    assert_equal(layer(square([4, 8, 12, 16]))[0, :, :, 0], expected)


# --- Against keras.layers -------------------------------------------------------------------------


@st.composite
def convolutions(draw, algorithm):
    """Arguments that Keras's layer takes too, and a batch."""
    window, strides, dilation, groups = draw(windows(algorithm))
    # Keras takes no strides and dilation at once.
    steps = draw(st.sampled_from([{}, {"strides": strides}, {"dilation_rate": dilation}]))
    arguments = {
        "filters": groups * draw(st.integers(1, 2)),
        "kernel_size": window,
        "padding": draw(st.sampled_from(["valid", "same", "SAME"])),
        "groups": groups,
        "use_bias": draw(st.booleans()),
        "activation": draw(st.sampled_from([None, "tanh"])),
        **steps,
    }
    span = [
        d * (k - 1) + 1 for k, d in zip(window, steps.get("dilation_rate", (1, 1)), strict=True)
    ]
    size = [draw(st.integers(n, n + 4)) for n in span]
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return arguments, rng.normal(size=(2, *size, groups * draw(depths(algorithm))))


@EACH_ALGORITHM
@settings(max_examples=examples(25))  # each grouped one is compiled by XLA, in Keras's layer
@given(data=st.data())
def test_conv2d_equals_keras(algorithm, data):
    arguments, x = data.draw(convolutions(algorithm))
    ours, theirs = twins(
        Conv2D(**arguments, algorithm=algorithm, dtype=EXACT),
        keras.layers.Conv2D(**arguments, dtype=EXACT),
        x.shape,
    )
    assert_same(values_and_gradients(ours, x), values_and_gradients(theirs, x))


@st.composite
def poolings(draw):
    """Arguments that Keras's layers take too, and a batch of few different numbers: many ties."""
    window = draw(st.tuples(st.integers(1, 4), st.integers(1, 3)))
    arguments = {
        "pool_size": window,
        "strides": draw(st.none() | st.tuples(st.integers(1, 4), st.integers(1, 3))),
        "padding": draw(st.sampled_from(["valid", "same"])),
    }
    size = [draw(st.integers(k, k + 4)) for k in window]
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = (2, *size, draw(st.integers(1, 3)))
    return arguments, rng.integers(0, 3, size=shape).astype("float64")


@EACH_POOLING
@settings(max_examples=examples(60))
@given(case=poolings())
def test_pooling_equals_keras_where_cells_tie(pooling, case):
    arguments, x = case
    if BACK_END == "torch" and pooling == "AveragePooling2D":
        arguments["padding"] = "valid"  # as in EACH_LAYER
    ours = getattr(cnn_tf, pooling)(**arguments, dtype=EXACT)
    theirs = getattr(keras.layers, pooling)(**arguments, dtype=EXACT)
    assert_same(values_and_gradients(ours, x), values_and_gradients(theirs, x))


@settings(max_examples=examples(30))
@given(
    sides=st.tuples(*[st.tuples(*[st.integers(0, 3)] * 2)] * 2),
    strides=st.tuples(*[st.integers(1, 3)] * 2),
)
def test_numeric_padding_equals_a_padding_layer(sides, strides):
    x = np.random.default_rng(2).normal(size=(2, 5, 6, 3))
    arguments = {"filters": 3, "kernel_size": (2, 3), "strides": strides, "dtype": EXACT}
    ours = Conv2D(**arguments, padding=sides)
    pad = keras.layers.ZeroPadding2D(sides, dtype=EXACT)
    theirs = keras.Sequential([pad, keras.layers.Conv2D(**arguments)])
    ours, theirs = twins(ours, theirs, x.shape)
    assert_same(values_and_gradients(ours, x), values_and_gradients(theirs, x))


@pytest.mark.parametrize("mode", PADDING_MODES)
@pytest.mark.parametrize("groups", [1, 3])
def test_padding_modes_equal_padding_by_numpy(mode, groups, images):
    sides = ((1, 2), (3, 0))
    arguments = {"filters": 3, "kernel_size": (2, 3), "groups": groups, "strides": 2}
    ours, theirs = twins(
        Conv2D(**arguments, padding=sides, padding_mode=mode),
        keras.layers.Conv2D(**arguments),
        images.shape,
    )
    expected = theirs(reference.pad(images, sides, mode))
    assert_close(ours(images), expected, rtol=1e-5, atol=1e-5)


def test_a_mode_goes_with_same_too(images):
    ours, theirs = twins(
        Conv2D(2, (4, 3), padding="same", padding_mode="reflect"),
        keras.layers.Conv2D(2, (4, 3)),
        images.shape,
    )
    expected = theirs(reference.pad(images, ((1, 2), (1, 1)), "reflect"))
    assert_close(ours(images), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.tensorflow
@EACH_LAYER
def test_the_second_derivative_is_that_of_keras(make, images):
    def second(layer):
        x = tf.constant(images)
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                y = tf.reduce_sum(layer(x) ** 3)
            slope = inner.gradient(y, x)
        return outer.gradient(slope, x)

    ours, theirs = twins(make(cnn_tf), make(keras.layers), images.shape)
    assert_close(second(ours), second(theirs), rtol=1e-4, atol=1e-3)


# --- The contract of a Keras layer ----------------------------------------------------------------


@pytest.mark.parametrize("name", ["Conv2D", "MaxPooling2D", "AveragePooling2D"])
def test_arguments_come_in_the_order_of_keras(name):
    def arguments(module):
        parameters = inspect.signature(getattr(module, name)).parameters.values()
        return [p for p in parameters if p.kind is not p.VAR_KEYWORD]

    for ours, theirs in zip(arguments(cnn_tf), arguments(keras.layers), strict=False):
        assert ours.name == theirs.name
        assert theirs.default in (ours.default, theirs.empty)


def test_short_names():
    assert MaxPool2D is MaxPooling2D
    assert AvgPool2D is AveragePooling2D


@EACH_OF_OURS
def test_channels_first_is_the_same_layer_transposed(layer, images):
    config = {**layer.get_config(), "data_format": "channels_first"}
    first, last = type(layer).from_config(config), fresh(layer)
    transposed = np.transpose(images, (0, 3, 1, 2))
    first.build(transposed.shape)
    last.build(images.shape)
    first.set_weights(last.get_weights())
    y = first(transposed)
    assert y.shape == first.compute_output_shape(transposed.shape)
    assert_close(np.transpose(numbers(y), (0, 2, 3, 1)), last(images), rtol=1e-5, atol=1e-6)


def test_channels_first_adds_a_bias_to_each_channel(rng):
    """Where rows, columns and filters are as many; Keras 3.15 adds it along the columns there."""
    layer = Conv2D(4, 3, data_format="channels_first")
    x = rng.normal(size=(2, 3, 6, 6)).astype("float32")
    layer.build(x.shape)
    kernel, bias = rng.normal(size=(3, 3, 3, 4)), np.array([0, 10, 20, 30])
    layer.set_weights([kernel, bias])
    expected = reference.correlate(np.moveaxis(x, 1, -1), kernel) + bias
    assert_close(np.moveaxis(numbers(layer(x)), 1, -1), expected, rtol=1e-4, atol=1e-4)


@EACH_OF_OURS
@pytest.mark.parametrize("known", [(None, 7, 8, 3), (None, None, None, 3), (2, None, 8, 3)])
def test_symbolic_shapes_agree_with_real_ones(layer, known, images):
    layer = fresh(layer)
    symbolic = layer(keras.Input(batch_shape=known)).shape
    assert symbolic == layer.compute_output_shape(known)
    for size, real in zip(symbolic, layer(images).shape, strict=True):
        assert size in (None, real)


@pytest.mark.tensorflow
@EACH_OF_OURS
@pytest.mark.parametrize("known", [(None, 7, 8, 3), (None, None, None, 3), (None,) * 4])
def test_under_tf_function_with_unknown_sizes(layer, known, images):
    layer = fresh(layer)
    expected = layer(images)
    function = tf.function(layer, input_signature=[tf.TensorSpec(known)])
    assert_close(function(images), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.tensorflow
@pytest.mark.parametrize("mode", PADDING_MODES)
@pytest.mark.parametrize("strides", [1, 2])
def test_same_padding_of_a_size_unknown_while_tracing(mode, strides, images):
    layer = Conv2D(4, (4, 3), strides=strides, padding="same", padding_mode=mode)
    expected = layer(images)
    function = tf.function(layer, input_signature=[tf.TensorSpec((None, None, None, 3))])
    assert_close(function(images), expected, rtol=1e-5, atol=1e-6)


@EACH_OF_OURS
def test_an_empty_batch(layer, images):
    layer = fresh(layer)
    assert layer(images[:0]).shape == (0, *layer(images).shape[1:])


@EACH_LAYER
@pytest.mark.parametrize(
    ("policy", "tolerance"),
    [("float64", 1e-12), ("float16", 1e-2), ("mixed_float16", 1e-2), ("mixed_bfloat16", 1e-1)],
)
def test_dtype_policies(make, policy, tolerance, images):
    ours, theirs = make(cnn_tf), make(keras.layers)
    ours, theirs = (
        type(layer).from_config({**layer.get_config(), "dtype": policy}) for layer in (ours, theirs)
    )
    ours, theirs = twins(ours, theirs, images.shape)
    actual, expected = ours(images), theirs(images)
    assert actual.dtype == expected.dtype
    assert [w.dtype for w in ours.weights] == [w.dtype for w in theirs.weights]
    assert_close(actual, expected, rtol=tolerance, atol=tolerance)


@EACH_OF_OURS
def test_config_survives_json(layer, images):
    text = json.dumps(keras.saving.serialize_keras_object(layer))
    again = keras.saving.deserialize_keras_object(json.loads(text))
    assert again.get_config() == layer.get_config()
    expected = layer(images)
    again.build(images.shape)
    again.set_weights(layer.get_weights())
    assert_equal(again(images), expected)


def test_config_holds_the_arguments_of_ours():
    config = Conv2D(2, 3, padding=(1, 0), padding_mode="reflect").get_config()
    assert config["padding"] == ((1, 1), (0, 0))
    assert config["padding_mode"] == "reflect"
    assert AveragePooling2D(count_include_pad=True).get_config()["count_include_pad"] is True


def all_layers():
    """A functional model that holds each layer of ours, with arguments that Keras has not."""
    x = inputs = keras.Input((7, 8, 3))
    x = Conv2D(4, 3, padding=((0, 1), (2, 1)), padding_mode="reflect", activation="relu")(x)
    a = MaxPooling2D((2, 3), strides=2, padding=1)(x)
    b = AveragePooling2D((2, 3), strides=2, padding=1, count_include_pad=True)(x)
    x = keras.layers.Concatenate()([a, b])
    x = Conv2D(2, 2, groups=2, data_format="channels_last")(x)
    return keras.Model(inputs, keras.layers.Flatten()(x))


def test_a_sequential_model_trains(images):
    model = keras.Sequential(
        [
            Conv2D(4, 3, padding=1),
            MaxPooling2D(2),
            Conv2D(4, 2),
            AveragePooling2D(2),
            keras.layers.Flatten(),
        ]
    )
    model.compile("adam", "mse")
    losses = model.fit(images, np.ones((2, 4)), epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("jit_compile", [False, pytest.param(True, marks=pytest.mark.tensorflow)])
def test_a_functional_model_trains(jit_compile, images):
    model = all_layers()
    model.compile("adam", "mse", jit_compile=jit_compile)
    targets = np.ones((2, *model.output_shape[1:]))
    losses = model.fit(images, targets, epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


def test_a_model_is_cloned(images):
    model = all_layers()
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    assert_equal(clone(images), model(images))


def test_a_saved_model_loads_in_another_process(tmp_path, images):
    model = all_layers()
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "images.npy", images)
    program = (
        "import sys, numpy as np, keras, cnn_tf\n"
        "model = keras.models.load_model('model.keras')\n"
        "outputs = model.predict(np.load('images.npy'), verbose=0)\n"
        "np.save('outputs.npy', outputs)\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)
    assert_close(np.load(tmp_path / "outputs.npy"), model(images), rtol=1e-6, atol=1e-6)


@pytest.mark.tensorflow
def test_an_exported_model_gives_the_same_numbers(tmp_path, images):
    model = all_layers()
    model.export(tmp_path / "model", verbose=False)
    loaded = tf.saved_model.load(tmp_path / "model")
    assert_close(loaded.serve(images), model(images), rtol=1e-5, atol=1e-6)


def test_a_subclass_may_change_the_kernel(images):
    """As in the docstring of Keras's `convolution_op`, with the bias that it knows nothing of."""

    def standardized(parent):
        class Standardized(parent):
            def convolution_op(self, inputs, kernel):
                kernel = keras.ops.convert_to_tensor(kernel)  # JAX takes no variable here
                mean, variance = keras.ops.moments(kernel, axes=[0, 1, 2], keepdims=True)
                kernel = (kernel - mean) / keras.ops.sqrt(variance + 1e-10)
                return super().convolution_op(inputs, kernel)

        layer = Standardized(4, 3, padding="same", activation="relu", bias_initializer="ones")
        layer.build(images.shape)
        return layer

    ours, theirs = standardized(Conv2D), standardized(keras.layers.Conv2D)
    theirs.set_weights(ours.get_weights())
    assert_close(ours(images), theirs(images), rtol=1e-5, atol=1e-5)


def test_weights_files_are_exchanged_with_keras(tmp_path, images):
    def model(layers):
        return keras.Sequential(
            [
                keras.Input((7, 8, 3)),
                layers.Conv2D(4, 3),
                layers.MaxPooling2D(),
                layers.Conv2D(2, 2),
            ]
        )

    ours, theirs = model(cnn_tf), model(keras.layers)
    theirs.save_weights(tmp_path / "keras.weights.h5")
    ours.load_weights(tmp_path / "keras.weights.h5")
    assert_close(ours(images), theirs(images), rtol=1e-5, atol=1e-5)


def test_lora_with_numeric_padding(images):
    ours = Conv2D(4, 3, padding=(0, 2), padding_mode="circular")
    theirs = keras.layers.Conv2D(4, 3)
    for layer in (ours, theirs):
        layer.build(images.shape)
        layer.enable_lora(2)
    assert len(ours.trainable_weights) == 3  # two of LoRA, and the bias
    rng = np.random.default_rng(3)
    weights = [rng.normal(size=w.shape) for w in ours.get_weights()]
    ours.set_weights(weights)
    theirs.set_weights(weights)
    expected = theirs(reference.pad(images, ((0, 0), (2, 2)), "circular"))
    assert_close(ours(images), expected, rtol=1e-4, atol=1e-4)


def test_initialisers_regularisers_and_the_activity_regulariser(images):
    arguments = {
        "filters": 4, "kernel_size": 3, "kernel_initializer": "he_normal",
        "bias_initializer": keras.initializers.Constant(0.5), "kernel_regularizer": "l2",
        "bias_regularizer": "l1", "activity_regularizer": "l2",
    }  # fmt: skip
    losses = []
    for layers in (cnn_tf, keras.layers):
        keras.utils.set_random_seed(1)
        layer = layers.Conv2D(**arguments)
        layer(images)
        losses.append([numbers(loss) for loss in layer.losses])
    assert len(losses[0]) == 3
    assert_close(*losses, rtol=1e-5)


def test_constraints_hold_after_a_step(images):
    model = keras.Sequential([Conv2D(4, 3, kernel_constraint="non_neg", bias_constraint="non_neg")])
    model.compile(keras.optimizers.SGD(1.0), "mse")
    model.train_on_batch(images, -np.ones((2, 5, 6, 4)))
    kernel, bias = model.layers[0].get_weights()
    assert kernel.min() >= 0
    assert bias.min() >= 0


@EACH_LAYER
def test_masks_are_treated_as_by_keras(make, images):
    ours, theirs = twins(make(cnn_tf), make(keras.layers), images.shape)
    assert ours.supports_masking == theirs.supports_masking
    results = []
    for layer in (ours, theirs):
        masked = keras.layers.Masking()(images)
        with pytest.warns(UserWarning, match="does not support masking"):
            results.append(layer(masked))
    assert_close(*results, rtol=1e-5, atol=1e-5)
    assert getattr(results[0], "_keras_mask", None) is getattr(results[1], "_keras_mask", None)


# --- No built-in convolution ----------------------------------------------------------------------

BUILT_IN = {
    "Conv2D",
    "DepthwiseConv2dNative",
    "MaxPool",
    "MaxPoolV2",
    "AvgPool",
    "ExtractImagePatches",
}


@contextlib.contextmanager
def no_built_in():
    """Let each built-in convolution or pooling raise, at each level at which one could call it."""
    from keras.src import backend

    names = {
        keras.ops: ["conv", "depthwise_conv", "separable_conv", "max_pool", "average_pool"],
        keras.ops.image: ["extract_patches"],
        backend.nn: ["conv", "depthwise_conv", "max_pool", "average_pool"],
        tf.nn: ["conv2d", "convolution", "depthwise_conv2d", "max_pool", "avg_pool", "pool"],
        tf.image: ["extract_patches"],
    }
    with contextlib.ExitStack() as stack:
        for module, functions in names.items():
            stack.enter_context(mock.patch.multiple(module, **dict.fromkeys(functions, _refuse)))
        yield


def _refuse(*args, **kwargs):
    raise RuntimeError("a built-in operation was called")


@EACH_OF_OURS
def test_no_built_in_convolution_or_pooling_is_called(layer, images):
    with no_built_in():
        fresh(layer)(images)


@EACH_LAYER
def test_a_call_of_one_would_be_seen(make, images):
    with no_built_in(), pytest.raises(RuntimeError, match="a built-in operation was called"):
        make(keras.layers)(images)


def operations(layer, shape):
    """The types of all operations in the graph of a layer and of its gradient."""

    def step(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x)
        return tape.gradient(y, x)

    graph = tf.function(step).get_concrete_function(tf.TensorSpec(shape)).graph.as_graph_def()
    inside = [node for function in graph.library.function for node in function.node_def]
    return {node.op for node in [*graph.node, *inside]}


@pytest.mark.tensorflow
@EACH_OF_OURS
@pytest.mark.parametrize("width", [8, None])
def test_no_built_in_operation_is_in_the_graph(layer, width):
    assert not BUILT_IN & operations(fresh(layer), (2, 7, width, 3))


@pytest.mark.tensorflow
@EACH_ALGORITHM
def test_no_algorithm_calls_a_built_in_operation(algorithm):
    (k_h, k_w, _, filters), arguments = SUITED[algorithm]
    layer = Conv2D(filters, (k_h, k_w), algorithm=algorithm, **arguments)
    assert not BUILT_IN & operations(layer, (2, 7, 8, 2))
    with no_built_in():
        layer(np.zeros((2, 7, 8, 2), "float32"))


@pytest.mark.tensorflow
@pytest.mark.parametrize("jit_compile", [False, True])
def test_one_that_is_smuggled_in_would_be_seen(jit_compile):
    hidden = tf.function(lambda x: tf.nn.max_pool2d(x, 2, 2, "VALID"), jit_compile=jit_compile)
    assert BUILT_IN & operations(lambda x: hidden(x) + 1, (2, 7, 8, 3))


@pytest.mark.tensorflow
@EACH_LAYER
def test_the_graphs_of_keras_layers_do_hold_them(make):
    assert BUILT_IN & operations(make(keras.layers), (2, 7, 8, 3))


# --- What is refused, and in which words ----------------------------------------------------------

IMAGES = np.zeros((2, 7, 8, 3), "float32")


def built():
    layer = Conv2D(2, 3, name="built")
    layer(IMAGES)
    return layer


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: Conv2D(2, 3, algorithm="fft"), ValueError, "or None for the one that suits the shapes. Received: algorithm='fft'"),
        (lambda: Conv2D(0, 3), ValueError, "`filters` must be at least 1. Received: 0"),
        (lambda: Conv2D(-2, 3), ValueError, "`filters` must be at least 1. Received: -2"),
        (lambda: Conv2D("8", 3), TypeError, "`filters` must be an integer. Received: filters='8' of type str"),
        (lambda: Conv2D(True, 3), TypeError, "`filters` must be an integer. Received: filters=True of type bool"),
        (lambda: Conv2D(2, 0), ValueError, "`kernel_size` argument must be a tuple of 2 integers. Received kernel_size=0"),
        (lambda: Conv2D(2, 2.5), ValueError, "must be a tuple of 2 integers. Received kernel_size=2.5"),
        (lambda: Conv2D(2, (3.0, 3.0)), TypeError, "`kernel_size` must be an integer. Received: kernel_size=3.0 of type float"),
        (lambda: Conv2D(2, True), TypeError, "`kernel_size` must be an integer. Received: kernel_size=True of type bool"),
        (lambda: Conv2D(2, "3"), ValueError, "must be a tuple of 2 integers. Received kernel_size=3"),
        (lambda: Conv2D(2, 3, strides=True), TypeError, "`strides` must be an integer. Received: strides=True"),
        (lambda: Conv2D(2, 3, strides=2, dilation_rate=2), ValueError, "not supported in conjunction with `dilation_rate > 1`. Received: strides=(2, 2) and dilation_rate=(2, 2). Set one of the two to 1."),
        (lambda: Conv2D(2, 3, groups=1.0), TypeError, "`groups` must be an integer. Received: groups=1.0"),
        (lambda: Conv2D(3, 3, groups=2), ValueError, "evenly divisible by the number of groups. Received: groups=2, filters=3"),
        (lambda: Conv2D(2, 3, padding=-1), ValueError, "and not negative. Received: padding=-1"),
        (lambda: Conv2D(2, 3, padding=(0, -1)), ValueError, "and not negative. Received: padding=(0, -1)"),
        (lambda: Conv2D(2, 3, padding=1.5), TypeError, "`padding` must be 'valid', 'same', an int"),
        (lambda: Conv2D(2, 3, padding=(1, 2, 3)), ValueError, "a pair (rows, columns) or ((top, bottom), (left, right))"),
        (lambda: Conv2D(2, 3, padding="causal"), ValueError, "Received: padding='causal'"),
        (lambda: Conv2D(2, 3, padding_mode="mirror"), ValueError, "must be one of 'zeros', 'reflect', 'symmetric', 'circular', 'replicate'. Received: padding_mode='mirror'"),
        (lambda: Conv2D(2, 8)(IMAGES), ValueError, "spans 8, the padded input 7. Received: size=7, kernel_size=8"),
        (lambda: Conv2D(2, 4, dilation_rate=3)(IMAGES), ValueError, "Use a smaller window, more padding or a larger input"),
        (lambda: Conv2D(2, 3, padding=7, padding_mode="reflect")(IMAGES), ValueError, "at most 6 cells on a side of an axis of size 7. Received: 7 before and 7 after. Use less padding"),
        (lambda: Conv2D(2, 3, padding=7, padding_mode="reflect")(keras.Input((7, 8, 3))), ValueError, "at most 6 cells"),
        (lambda: Conv2D(2, 3)(IMAGES[0]), ValueError, "expected a batch of images of shape (batch, h, w, channels). Received: inputs of shape (7, 8, 3). Add the missing axis"),
        (lambda: Conv2D(2, 3, data_format="channels_first")(IMAGES[0]), ValueError, "(batch, channels, h, w)"),
        (lambda: Conv2D(2, 3, groups=2)(IMAGES), ValueError, "evenly divisible by the number of groups. Received groups=2, but the input has 3 channels"),
        (lambda: Conv2D(2, 3)(keras.Input((7, 8, None))), ValueError, "expected a known number of channels"),
        (lambda: built()(IMAGES[..., :2]), ValueError, "Layer 'built' was built for 3 input channels. Received: inputs of shape (2, 7, 8, 2), which have 2 (data_format='channels_last'). Use a new"),
        (lambda: Conv2D(2, 3)(IMAGES.tolist()), TypeError, "expected a tensor or an array. Received: inputs of type list. Convert them first"),
        (lambda: MaxPooling2D(2)("picture.png"), TypeError, "Received: inputs of type str"),
        (lambda: Conv2D(2, 3)(IMAGES.astype(str)), TypeError, "expected floats. Received: inputs of dtype str"),
        (lambda: Conv2D(2, 3)(IMAGES.astype("uint8")), TypeError, "expected floats. Received: inputs of dtype uint8. Convert them first, for example by x.astype('float32') / 255"),
        (lambda: Conv2D(2, 3)(keras.Input((7, 8, 3), dtype="int32")), TypeError, "Received: inputs of dtype int32"),
        (lambda: AveragePooling2D()(IMAGES.astype("int64")), TypeError, "Received: inputs of dtype int64"),
        (lambda: MaxPooling2D(0), ValueError, "`pool_size` argument must be a tuple of 2 integers. Received pool_size=0"),
        (lambda: MaxPooling2D(True), TypeError, "`pool_size` must be an integer. Received: pool_size=True of type bool"),
        (lambda: MaxPooling2D(2, strides=0), ValueError, "`strides` must be at least 1. Received: 0"),
        (lambda: MaxPooling2D(2, padding=2), ValueError, "Padding must be smaller than the pooling window, or a window could hold nothing but padding. Received: pool_size=(2, 2), padding=((2, 2), (2, 2))"),
        (lambda: AveragePooling2D((3, 2), padding=(0, 2)), ValueError, "pool_size=(3, 2), padding=((0, 0), (2, 2))"),
        (lambda: MaxPooling2D(2, padding="full"), ValueError, "Received: padding='full'"),
        (lambda: MaxPooling2D(8)(IMAGES), ValueError, "spans 8, the padded input 7"),
        (lambda: MaxPooling2D(2)(IMAGES[0]), ValueError, "Received: inputs of shape (7, 8, 3)"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)  # fmt: skip
def test_bad_input(call, error, words):
    with pytest.raises(error, match=re.escape(words)):
        call()


def test_an_input_of_unknown_rank_is_refused():
    with pytest.raises(ValueError, match="unknown rank"):
        tf.function(Conv2D(2, 3)).get_concrete_function(tf.TensorSpec(None))


@EACH_LAYER
def test_compute_output_shape_wants_a_batch(make):
    with pytest.raises(ValueError, match=r"Received: inputs of shape \(8, 8, 3\)"):
        make(cnn_tf).compute_output_shape((8, 8, 3))


# --- Windows without sharing ----------------------------------------------------------------------


def test_each_place_has_a_kernel_of_its_own():
    # One row of three cells, windows of two: 1·1 + 2·10, then 2·100 + 3·1000; and the biases.
    layer = LocallyConnected2D(1, (1, 2))
    layer.build((None, 1, 3, 1))
    layer.set_weights([np.array([[1, 100], [10, 1000]]), np.array([[[0.5], [0.25]]])])
    y = layer(np.array([1, 2, 3], "float32").reshape(1, 1, 3, 1))
    assert numbers(y).ravel().tolist() == [21.5, 3200.25]


def test_with_equal_kernels_it_is_a_convolution(images):
    shared = Conv2D(4, (2, 3), strides=(1, 2), activation="tanh")
    expected = numbers(shared(images))
    layer = LocallyConnected2D(4, (2, 3), strides=(1, 2), activation="tanh")
    layer.build(images.shape)
    kernel, _ = shared.get_weights()
    places = expected.shape[1] * expected.shape[2]
    kernels = np.repeat(kernel.reshape(-1, 1, 4), places, axis=1).reshape(-1, places * 4)
    layer.set_weights([kernels, np.zeros((*expected.shape[1:3], 4))])
    assert_close(layer(images), expected, atol=1e-5)
    assert layer.compute_output_shape(images.shape) == expected.shape


def test_without_sharing_it_is_saved_and_loaded(images, tmp_path):
    layer = LocallyConnected2D(2, 3, strides=2, activation="relu", kernel_initializer="he_uniform")
    model = keras.Sequential([keras.Input(images.shape[1:]), layer])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert_equal(loaded(images), model(images))
    assert loaded.layers[0].get_config() == layer.get_config()


def test_he_counts_the_inputs_of_one_window():
    layer = LocallyConnected2D(50, 3, kernel_initializer="he_uniform")
    layer.build((None, 8, 8, 4))
    limit = np.sqrt(6 / (3 * 3 * 4))
    assert 0.99 * limit < abs(np.asarray(layer.kernel)).max() <= limit


@pytest.mark.parametrize("shape", [(1, 8, 3, 1), (1, 3, 8, 2), (2, 4, 8, 1)])
def test_locally_connected_refuses_images_of_another_size(shape):
    layer = LocallyConnected2D(2, 3)
    layer(np.ones((1, 3, 8, 1), "float32"))
    assert layer(np.ones((5, 3, 8, 1), "float32")).shape == (5, 1, 6, 2)
    with pytest.raises(ValueError, match="is incompatible with the layer"):
        layer(np.ones(shape, "float32"))


@pytest.mark.parametrize(
    ("arguments", "shape", "error", "words"),
    [
        ((0, 3), (1, 8, 8, 1), ValueError, "`filters` must be at least 1"),
        ((2.5, 3), (1, 8, 8, 1), TypeError, "`filters` must be an integer"),
        ((2, 3, 0), (1, 8, 8, 1), ValueError, "strides"),
        ((2, 3), (None, None, 8, 1), ValueError, "needs to know the size of its images"),
        ((2, 9), (1, 8, 8, 1), ValueError, "smaller window"),
    ],
)
def test_without_sharing_refuses(arguments, shape, error, words):
    with pytest.raises(error, match=words):
        LocallyConnected2D(*arguments).build(shape)
