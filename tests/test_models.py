"""The networks of the package, and the table of a model's layers."""

import re

import keras
import numpy as np
import pytest

from cnn_tf import MLP, AveragePooling2D, Conv2D, LeNet, MaxPooling2D, SmallResNet, layer_summary
from tests.back_end import assert_close, assert_equal, numbers, type_of

SHAPES = [(28, 28, 6), (14, 14, 6), (10, 10, 16), (5, 5, 16), (400,), (120,), (84,), (10,)]
PARAMS = [156, 0, 2416, 0, 0, 48120, 10164, 850]  # 6 * (5*5 + 1), 16 * (5*5*6 + 1), ...


def small(pooling=AveragePooling2D):
    return keras.Sequential(
        [Conv2D(2, 3, name="conv"), pooling(2, name="pool"), keras.layers.Flatten(name="flatten")]
    )


# --- LeNet ----------------------------------------------------------------------------------------


def test_lenet_has_the_size_of_the_book():
    assert LeNet().count_params() == 61706


def test_lenet_is_made_of_our_layers():
    kinds = [type(layer) for layer in LeNet().layers]
    assert kinds[:4] == [Conv2D, AveragePooling2D, Conv2D, AveragePooling2D]


def test_lenet_has_sigmoids_and_puts_out_logits():
    activations = [getattr(layer, "activation", None) for layer in LeNet().layers]
    expected = ["sigmoid", None, "sigmoid", None, None, "sigmoid", "sigmoid", "linear"]
    assert [getattr(a, "__name__", None) for a in activations] == expected


def test_lenet_starts_from_xaviers_uniform():
    keras.utils.set_random_seed(0)
    dense = LeNet().get_layer("dense1")
    limit = np.sqrt(6 / (400 + 120))
    kernel, bias = dense.get_weights()
    assert limit * 0.99 < np.abs(kernel).max() <= limit
    assert not bias.any()


def test_lenet_takes_other_arguments():
    model = LeNet(
        3,
        input_shape=(20, 24, 2),
        filters=(4, 5, 6),
        kernel_size=(2, 3),
        units=(7,),
        activation="relu",
        pooling="max",
        kernel_initializer="zeros",
        name="mine",
    )
    assert model.name == "mine"
    assert model.output_shape == (None, 3)
    assert [type(layer) for layer in model.layers[:6]] == [Conv2D, MaxPooling2D] * 3
    assert model.layers[0].output.shape == (None, 20, 24, 4)  # padded to keep the size
    assert not any(weights.any() for weights in model.get_weights())


def test_lenet_accepts_numbers_of_numpy():
    assert LeNet(np.int64(3)).output_shape == (None, 3)


def test_lenet_learns_a_few_images_by_heart():
    keras.utils.set_random_seed(0)
    images = np.random.default_rng(0).random((8, 28, 28, 1), dtype="float32")
    labels = np.arange(8)
    model = LeNet(8, activation="relu")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(3e-3), loss, metrics=["accuracy"])
    model.fit(images, labels, epochs=60, verbose=0)
    assert model.evaluate(images, labels, verbose=0)[1] == 1


def test_lenet_takes_the_bytes_of_images_in_fit():
    # Keras turns what it is given into the type of the model's input.
    model = LeNet()
    model.compile("sgd", "mse")
    history = model.fit(np.full((2, 28, 28, 1), 255, "uint8"), np.zeros((2, 10)), verbose=0)
    assert np.isfinite(history.history["loss"][0])


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"num_classes": 0}, ValueError, "`num_classes` must be at least 1. Received: 0"),
        ({"num_classes": -3}, ValueError, "`num_classes` must be at least 1. Received: -3"),
        ({"num_classes": 2.5}, TypeError, "`num_classes` must be an integer. Received: num_cl"),
        ({"num_classes": True}, TypeError, "num_classes=True of type bool"),
        ({"input_shape": (28, 28)}, ValueError, "(height, width, channels), without the batch"),
        ({"input_shape": 28}, ValueError, "Received: input_shape=28"),
        ({"input_shape": (4, 4, 1)}, ValueError, "Use a smaller window, more padding or a larger"),
        ({"pooling": "mean"}, ValueError, "must be 'avg' or 'max'. Received: pooling='mean'"),
        ({"filters": 6}, TypeError, "Received: filters=6. For a single layer write (6,)"),
        ({"units": 84}, TypeError, "Received: units=84. For a single layer write (84,)"),
        ({"filters": (6, 0)}, ValueError, "`filters` must be at least 1"),
        ({"kernel_size": 2.5}, ValueError, "Received kernel_size=2.5"),
    ],
)
def test_lenet_refuses(arguments, error, words):
    with pytest.raises(error, match=re.escape(words)):
        LeNet(**arguments)


def test_batch_normalization_stands_between_a_layer_and_its_activation():
    model = LeNet(activation="relu", batch_normalization=True)
    names = [layer.name for layer in model.layers]
    assert names[:4] == ["conv1", "conv1_norm", "conv1_activation", "pool1"]
    assert names[-4:] == ["dense2", "dense2_norm", "dense2_activation", "logits"]
    for name in ("conv1", "conv2", "dense1", "dense2"):
        layer = model.get_layer(name)
        assert layer.activation is keras.activations.linear
        assert not layer.use_bias  # the normalisation would take it away
        assert model.get_layer(f"{name}_activation").activation is keras.activations.relu
    assert model.get_layer("logits").use_bias
    # In place of each bias a mean, a variance, a scale and a shift.
    assert model.count_params() == 61_706 + 3 * (6 + 16 + 120 + 84)


def test_mlp_has_as_many_parameters_as_lenet():
    assert abs(MLP().count_params() / LeNet().count_params() - 1) < 0.01
    kinds = [type(layer).__name__ for layer in MLP().layers]
    assert kinds == ["Flatten", "Dense", "Dense"]
    assert MLP(units=()).count_params() == 784 * 10 + 10
    assert MLP(3, units=(4, 5), batch_normalization=True).output_shape == (None, 3)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"num_classes": 0}, ValueError, "`num_classes` must be at least 1"),
        ({"units": 84}, TypeError, "Received: units=84. For a single layer write (84,)"),
    ],
)
def test_mlp_refuses(arguments, error, words):
    with pytest.raises(error, match=re.escape(words)):
        MLP(**arguments)


def test_small_resnet_is_no_larger_than_lenet_and_made_of_our_layers():
    model = SmallResNet()
    assert model.count_params() == 60_903 < LeNet().count_params()
    ours = [layer for layer in model.layers if type(layer).__module__.startswith("cnn_tf")]
    assert [type(layer) for layer in ours] == [
        *(Conv2D, MaxPooling2D, Conv2D, Conv2D, Conv2D, MaxPooling2D, Conv2D, Conv2D),
        *(AveragePooling2D, MaxPooling2D),
    ]
    assert not any(layer.use_bias for layer in ours if isinstance(layer, Conv2D))


def test_small_resnet_adds_what_its_last_convolutions_compute():
    model = SmallResNet()
    # Without what is added, a residual block passes on what it was given.
    for name in ("conv4_norm", "conv6_norm"):
        gamma, *others = model.get_layer(name).get_weights()
        model.get_layer(name).set_weights([np.zeros_like(gamma), *others])
    names = ("conv2_relu", "conv4_relu", "conv5_relu", "conv6_relu")
    seen = keras.Model(model.input, [model.get_layer(name).output for name in names])
    x = np.random.default_rng(0).normal(size=(2, 28, 28, 1)).astype("float32")
    before, after, before_last, after_last = map(numbers, seen(x))
    assert before.any()
    assert before_last.any()
    assert_equal(after, before)
    assert_equal(after_last, before_last)


def test_small_resnet_takes_other_arguments():
    model = SmallResNet(3, input_shape=(21, 32, 2), filters=(4, 5), name="mine")
    assert (model.name, model.output_shape) == ("mine", (None, 3))
    assert model.get_layer("conv6").output.shape == (None, 5, 8, 5)
    assert model.get_layer("mean").output.shape == (None, 1, 1, 5)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"num_classes": 0}, ValueError, "`num_classes` must be at least 1"),
        ({"input_shape": (28, 28)}, ValueError, "(height, width, channels), without the batch"),
        ({"input_shape": (3, 3, 1)}, ValueError, "The window does not fit"),
        ({"filters": 8}, TypeError, "Received: filters=8. For a single layer write (8,)"),
        ({"filters": (8, 8, 8)}, ValueError, "must be a pair of ints. Received: filters=(8, 8, 8)"),
        ({"filters": (8, 0)}, ValueError, "`filters` must be at least 1"),
    ],
)
def test_small_resnet_refuses(arguments, error, words):
    with pytest.raises(error, match=re.escape(words)):
        SmallResNet(**arguments)


# --- The summary ----------------------------------------------------------------------------------


def test_summary_of_lenet():
    rows = layer_summary(LeNet(), (28, 28, 1))
    assert [row.output_shape for row in rows] == SHAPES
    assert [row.params for row in rows] == PARAMS
    assert rows[0] == ("conv1", "Conv2D", (28, 28, 6), 156)


def test_summary_prints_as_a_table():
    assert str(layer_summary(small(), (8, 9, 1))) == (
        "layer    class             output shape  weights\n"
        "conv     Conv2D            6 × 7 × 2          20\n"
        "pool     AveragePooling2D  3 × 3 × 2           0\n"
        "flatten  Flatten           18                  0\n"
        "total                                         20"
    )


def test_summary_leaves_the_model_alone():
    model = small()
    layer_summary(model, (8, 9, 1))
    assert not model.built


def test_summary_of_a_model_that_ran_on_another_size():
    model = keras.Sequential([Conv2D(2, 3)])
    model(np.zeros((1, 5, 5, 1), "float32"))
    assert layer_summary(model, (8, 9, 1))[0].output_shape == (6, 7, 2)


def test_summary_of_a_functional_model():
    inputs = keras.Input((None, None, 1))
    model = keras.Model(inputs, MaxPooling2D(2)(Conv2D(2, 3)(inputs)))
    assert [row.output_shape for row in layer_summary(model, (8, 9, 1))] == [(6, 7, 2), (3, 3, 2)]


class Subclassed(keras.Model):
    def call(self, inputs):
        return inputs


def two_inputs():
    a, b = keras.Input((4,)), keras.Input((4,))
    return keras.Model([a, b], keras.layers.Add()([a, b]))


@pytest.mark.parametrize(
    ("model", "input_shape", "error", "words"),
    [
        (3, (28, 28, 1), TypeError, "Received: int, whose layers have no fixed order. Build the"),
        (Subclassed, (28, 28, 1), TypeError, "Received: Subclassed, whose layers have no fixed"),
        (two_inputs, (4,), ValueError, "a model of one input. Received: one of 2. Use model.summ"),
        (LeNet, 28, TypeError, "must be a tuple such as (28, 28, 1), without the batch. Received"),
        (LeNet, (28, 28), ValueError, "Received: inputs of shape (None, 28, 28). Add the missing"),
        (LeNet, (28, 28, 3), ValueError, "need 62,006. Received: a model built for inputs of sha"),
        (LeNet, (32, 32, 1), ValueError, "do not fit inputs of shape (32, 32, 1), which need 82"),
        (small, (2, 2, 1), ValueError, "spans 3, the padded input 2"),
    ],
)
def test_summary_refuses(model, input_shape, error, words):
    model = model() if callable(model) else model
    with pytest.raises(error, match=re.escape(words)):
        layer_summary(model, input_shape)


def test_lenet_is_channels_last_whatever_keras_is_set_to():
    keras.config.set_image_data_format("channels_first")
    try:
        assert LeNet().count_params() == 61_706
    finally:
        keras.config.set_image_data_format("channels_last")


@pytest.mark.parametrize("make", [LeNet, SmallResNet, MLP])
def test_a_model_computes_in_another_type_and_keeps_its_logits_exact(make):
    before = keras.config.dtype_policy()
    model = make(dtype="mixed_bfloat16")
    assert keras.config.dtype_policy() == before
    hidden = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    assert {layer.compute_dtype for layer in hidden[:-1]} == {"bfloat16"}
    assert {str(weights.dtype) for weights in model.weights} == {"float32"}
    images = np.random.default_rng(0).random((3, 28, 28, 1), "float32")
    outputs = model.predict(images, verbose=0)  # compiled, for JAX's sake
    assert type_of(outputs) == "float32"
    exact = make()
    exact.set_weights(model.get_weights())
    expected = exact.predict(images, verbose=0)
    assert_close(outputs, expected, atol=0.03 * np.abs(expected).max())  # 0.011 in 40 draws
    twice = make(dtype="float64")
    assert type_of(twice.predict(images, verbose=0)) == "float64"
    keras.config.set_dtype_policy("mixed_float16")
    try:
        assert type_of(make().predict(images, verbose=0)) == "float32"
    finally:
        keras.config.set_dtype_policy(before)
    with pytest.raises(ValueError, match="colour"):
        make(dtype="colour")
    assert keras.config.dtype_policy() == before
