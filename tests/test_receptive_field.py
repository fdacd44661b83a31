"""The receptive field, by formula, by gradient and drawn."""

import random
import re

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import layers

from cnn_tf import AveragePooling2D, Conv2D, LeNet, MaxPooling2D, _backend
from cnn_tf.receptive_field import (
    ReceptiveField,
    receptive_field,
    receptive_field_by_gradient,
    receptive_field_plot,
)


def box(field, row, column, size):
    """The pixels of the image in the field of one cell."""
    seen = np.zeros(size, bool)
    rows, columns = field.window(row, column)
    for i in rows:
        for j in columns:
            if 0 <= i < size[0] and 0 <= j < size[1]:
                seen[i, j] = True
    return seen


def functional(function, shape=(9, 9, 1)):
    inputs = keras.Input(shape)
    return keras.Model(inputs, function(inputs))


# --- By formula -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("chain", "expected"),
    [
        ([Conv2D(1, 2), Conv2D(1, 2)], ((3, 3), (1, 1), (0, 0))),
        ([layers.Conv2D(1, 3)] * 3, ((7, 7), (1, 1), (0, 0))),
        # rows: 1 + 2 + 2·2 = 7; columns: 1 + 4 + 3·1 = 8
        (
            [Conv2D(4, (3, 5), strides=(2, 3), padding=(1, 2)), MaxPooling2D((3, 2))],
            ((7, 8), (6, 6), (-1, -2)),
        ),
        ([Conv2D(1, (2, 3), dilation_rate=(3, 2))], ((4, 5), (1, 1), (0, 0))),
        ([Conv2D(1, 3, padding="same"), Conv2D(1, 4, padding="same")], ((6, 6), (1, 1), (-2, -2))),
        ([Conv2D(1, 3, padding=((2, 0), (1, 1)))], ((3, 3), (1, 1), (-2, -1))),
        (
            [layers.MaxPooling2D(2), layers.ZeroPadding2D(((1, 0), (2, 5))), Conv2D(1, 3)],
            ((6, 6), (2, 2), (-2, -4)),
        ),
        ([layers.MaxPooling2D(2), layers.Cropping2D(((1, 0), (2, 0)))], ((2, 2), (2, 2), (2, 4))),
        ([layers.DepthwiseConv2D((2, 3), strides=2)], ((2, 3), (2, 2), (0, 0))),
        ([layers.SeparableConv2D(4, 3, dilation_rate=2)], ((5, 5), (1, 1), (0, 0))),
        (
            [Conv2D(1, 3), layers.BatchNormalization(), layers.ReLU(), layers.Dropout(0.5)],
            ((3, 3), (1, 1), (0, 0)),
        ),
        ([], ((1, 1), (1, 1), (0, 0))),
    ],
)
def test_field_of_a_list(chain, expected):
    assert receptive_field(chain) == expected


def test_field_of_a_single_layer():
    assert receptive_field(AveragePooling2D((2, 3))) == ((2, 3), (2, 3), (0, 0))


def test_field_of_lenets_convolutions_and_pools():
    # 5, +1·1, +2·4, +2·1 = 16; jumps 2·2; two cells of padding
    assert receptive_field(LeNet().layers[:4]) == ((16, 16), (4, 4), (-2, -2))


def test_same_padding_with_strides_depends_on_the_size():
    chain = [layers.Conv2D(1, 3, strides=2, padding="same")]
    assert receptive_field(chain, (7, 8, 1)).offset == (-1, 0)  # 2 cells in all, and 1
    assert receptive_field(keras.Sequential([keras.Input((8, 7, 1)), *chain])).offset == (0, -1)


def test_channels_first_takes_the_size_from_behind_the_channels():
    chain = [Conv2D(1, 3, strides=2, padding="same", data_format="channels_first")]
    assert receptive_field(chain, (1, 7, 8)).offset == (-1, 0)


def test_models_within_models_are_opened():
    inner = functional(lambda x: Conv2D(1, 3)(layers.ReLU()(x)))
    pool = keras.Sequential([MaxPooling2D(2)])
    outer = functional(lambda x: pool(inner(Conv2D(1, 3)(x))), (11, 11, 1))
    assert receptive_field(outer) == ((6, 6), (2, 2), (0, 0))
    assert receptive_field([inner, outer]) == ((8, 8), (2, 2), (0, 0))


def test_a_layer_called_twice_in_a_row_counts_twice():
    layer = Conv2D(1, 3)
    assert receptive_field(functional(lambda x: layer(layer(x)))).size == (5, 5)


def test_a_model_made_of_another_models_layers():
    layer = Conv2D(1, 3)
    functional(layer)
    assert receptive_field(functional(lambda x: layers.MaxPooling2D(2)(layer(x)))).size == (4, 4)


def test_window_of_a_cell():
    field = ReceptiveField(size=(3, 5), strides=(2, 1), offset=(-1, 4))
    assert field.window(2, 3) == (range(3, 6), range(7, 12))


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (
            lambda: receptive_field(LeNet()),
            ValueError,
            "cannot follow layer 'flatten' of class Fla",
        ),
        (lambda: receptive_field([layers.Dense(3)]), ValueError, "of class Dense"),
        (lambda: receptive_field([layers.Conv2DTranspose(1, 2)]), ValueError, "Conv2DTranspose"),
        (lambda: receptive_field([layers.UpSampling2D()]), ValueError, "model.layers[:4], or meas"),
        (
            lambda: receptive_field(functional(lambda x: layers.add([x, layers.ReLU()(x)]))),
            ValueError,
            "Received: a model that branches at 'add",
        ),
        (
            lambda: receptive_field(functional(lambda x: keras.ops.relu(Conv2D(1, 2)(x)))),
            ValueError,
            "a model with the operation 'relu",
        ),
        (
            lambda: receptive_field(functional(lambda x: x + Conv2D(1, 1)(x))),
            ValueError,
            "branches at 'add",
        ),
        (
            lambda: receptive_field(functional(lambda x: [x, Conv2D(1, 1)(x)])),
            ValueError,
            "one input and one output. Received: 1 and 2",
        ),
        (
            lambda: receptive_field([Conv2D(1, 3, strides=2, padding="same", name="c")]),
            ValueError,
            "The padding of layer 'c', padding='same' with strides, depends on the size",
        ),
        (
            lambda: receptive_field([Conv2D(1, 3)], (8, 8)),
            ValueError,
            "(height, width, channels), without the batch. Received: input_shape=(8, 8)",
        ),
        (lambda: receptive_field([Conv2D(1, 3)], (2, 8, 1)), ValueError, "does not fit into its"),
        (
            lambda: receptive_field([3]),
            TypeError,
            "Expected a Keras model, a layer or a list of la",
        ),
        (lambda: receptive_field("conv"), TypeError, "Received: str"),
        (lambda: receptive_field(keras.Model()), TypeError, "Received: Model, whose layers have"),
        (lambda: receptive_field([Conv2D(1, 3)]).window(-1, 0), ValueError, "`row` must be at lea"),
        (
            lambda: receptive_field([Conv2D(1, 3)]).window(0, 0.5),
            TypeError,
            "`column` must be an i",
        ),
    ],
)
def test_formula_refuses(make, error, words):
    with pytest.raises(error, match=re.escape(words)):
        make()


def test_says_that_a_back_end_has_no_gradients(monkeypatch):
    monkeypatch.setattr(_backend, "NAME", "numpy")
    with pytest.raises(
        NotImplementedError, match=r"TensorFlow, JAX or PyTorch\. Received: 'numpy'"
    ):
        receptive_field_by_gradient([Conv2D(1, 2)], 0, 0, (3, 3, 1))


# --- By gradient ----------------------------------------------------------------------------------


def test_two_small_windows_see_nine_pixels():
    seen = receptive_field_by_gradient([Conv2D(1, 2), Conv2D(1, 2)], 1, 0, (4, 5, 1))
    np.testing.assert_array_equal(
        seen, [[0, 0, 0, 0, 0], [1, 1, 1, 0, 0], [1, 1, 1, 0, 0], [1, 1, 1, 0, 0]]
    )


def test_dilation_leaves_holes():
    seen = receptive_field_by_gradient([Conv2D(1, (2, 3), dilation_rate=(1, 2))], 0, 0, (2, 5, 1))
    np.testing.assert_array_equal(seen, [[1, 0, 1, 0, 1], [1, 0, 1, 0, 1]])


def test_a_loser_of_a_maximum_and_a_dead_unit_could_have_been_seen():
    chain = [
        Conv2D(3, 2, activation="relu", kernel_initializer="zeros"),
        layers.ReLU(threshold=1e9),
        MaxPooling2D(2),
        layers.Rescaling(100),
        layers.Conv2D(1, 1, activation="relu6"),
    ]
    assert receptive_field_by_gradient(chain, 0, 0, (3, 3, 2)).all()


def test_branches_that_take_each_other_off_are_seen():
    model = functional(lambda x: Conv2D(1, 3)(x) - Conv2D(1, 3)(x), (3, 3, 1))
    assert receptive_field_by_gradient(model, 0, 0).all()


def test_a_residual_connection():
    model = functional(lambda x: keras.ops.relu(x + Conv2D(1, 3, padding=1)(x)), (5, 5, 1))
    seen = receptive_field_by_gradient(model, 0, 2)
    np.testing.assert_array_equal(seen, np.pad(np.ones((2, 3)), ((0, 3), (1, 1))))


def test_a_transposed_convolution():
    seen = receptive_field_by_gradient([layers.Conv2DTranspose(1, 3, strides=2)], 2, 1, (3, 3, 1))
    np.testing.assert_array_equal(seen, [[1, 0, 0], [1, 0, 0], [0, 0, 0]])


def test_copied_cells_lead_elsewhere():
    seen = receptive_field_by_gradient(
        [Conv2D(1, 3, padding=(0, 1), padding_mode="circular")], 0, 0, (3, 5, 1)
    )
    np.testing.assert_array_equal(seen, [[1, 1, 0, 0, 1]] * 3)


def test_channels_first():
    chain = [Conv2D(2, (1, 2), data_format="channels_first")]
    seen = receptive_field_by_gradient(chain, 1, 2, (3, 2, 4))
    np.testing.assert_array_equal(seen, [[0, 0, 0, 0], [0, 0, 1, 1]])


def test_a_back_end_without_gradients_is_named(monkeypatch):
    monkeypatch.setattr(_backend, "NAME", "numpy")
    with pytest.raises(NotImplementedError, match=r"Received: 'numpy'\. Set"):
        receptive_field_by_gradient([layers.ReLU()], 0, 0, (3, 3, 1))


def test_half_precision_is_left_aside():
    chain = [Conv2D(4, 3, dtype="mixed_float16") for _ in range(20)]
    assert receptive_field_by_gradient(chain, 0, 0, (41, 41, 1)).all()


def test_deep_stacks_are_seen_to_the_rim():
    chain = [layers.Conv2D(2, 3) for _ in range(40)]
    assert receptive_field_by_gradient(chain, 0, 0, (81, 81, 1)).all()


def test_the_model_and_the_random_numbers_are_left_alone():
    model = LeNet()
    model.compile("sgd", "mse")
    part = keras.Sequential([keras.Input((28, 28, 1)), *model.layers[:4], layers.Dropout(0.5)])
    lazy = [Conv2D(1, 3)]
    before = model.get_weights()
    random.seed(0)
    np.random.seed(0)
    expected = random.random(), np.random.random()
    random.seed(0)
    np.random.seed(0)
    receptive_field(part)
    receptive_field_by_gradient(part, 2, 2)
    receptive_field_by_gradient(lazy, 2, 2, (9, 9, 1))
    assert (random.random(), np.random.random()) == expected
    for weights, old in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weights, old)
    assert not lazy[0].built


def test_the_same_layer_twice():
    layer = Conv2D(1, 2)
    assert receptive_field_by_gradient([layer, layer], 0, 0, (3, 3, 1)).all()


def test_a_cell_that_sees_only_padding():
    seen = receptive_field_by_gradient([Conv2D(1, 2, padding=2)], 0, 0, (3, 3, 1))
    assert seen.dtype == bool
    assert not seen.any()


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (
            lambda: receptive_field_by_gradient([Conv2D(1, 3)], 0, 0),
            ValueError,
            "input shape is None. Give it, for example input_shape=(28, 28, 1)",
        ),
        (
            lambda: receptive_field_by_gradient(functional(Conv2D(1, 3), (None, 4, 1)), 0, 0),
            ValueError,
            "input shape is (None, 4, 1)",
        ),
        (
            lambda: receptive_field_by_gradient(LeNet(), 0, 0),
            ValueError,
            "Received: (None, 10). End before Flatten",
        ),
        (
            lambda: receptive_field_by_gradient([Conv2D(1, 3)], 2, 0, (4, 4, 1)),
            ValueError,
            "output of 2 × 2 cells. Received: row=2, column=0",
        ),
        (
            lambda: receptive_field_by_gradient([Conv2D(1, 3)], 0, -1, (4, 4, 1)),
            ValueError,
            "`column` must be at least 0",
        ),
        (
            lambda: receptive_field_by_gradient(keras.Model(), 0, 0, (4, 4, 1)),
            TypeError,
            "Give its layers as a list",
        ),
        (
            lambda: receptive_field_by_gradient([layers.Rescaling(1e30)] * 2, 0, 0, (4, 4, 1)),
            ValueError,
            "gradients too large for 32 bits",
        ),
    ],
)
def test_gradient_refuses(make, error, words):
    with pytest.raises(error, match=re.escape(words)):
        make()


# --- Formula and gradient -------------------------------------------------------------------------

sizes = st.integers(1, 3)
pairs = st.tuples(sizes, sizes)
names = st.sampled_from(["same", "valid"])
paddings = st.one_of(names, st.tuples(st.integers(0, 2), st.integers(0, 2)))
steps = st.tuples(st.integers(1, 2), st.integers(1, 2))
makers = st.lists(
    st.one_of(
        st.builds(lambda *a: lambda: Conv2D(2, *a, activation="relu"), pairs, steps, paddings),
        st.builds(lambda *a: lambda: layers.Conv2D(2, *a), pairs, steps, names),
        st.builds(lambda *a: lambda: MaxPooling2D(*a), pairs, steps, names),
        st.builds(lambda *a: lambda: layers.AveragePooling2D(*a), pairs, steps, names),
        st.just(layers.BatchNormalization),
    ),
    min_size=1,
    max_size=4,
)


def test_tiles_do_not_widen_the_field():
    """Winograd's algorithm computes 4 x 4 outputs from all the pixels that any of them sees."""
    seen = receptive_field_by_gradient([Conv2D(64, 3), Conv2D(64, 3)], 0, 0, (20, 20, 32))
    assert seen.sum() == 25
    assert seen[:5, :5].all()


@given(makers, st.integers(29, 34), st.data())
@pytest.mark.slow
def test_formula_and_gradient_agree(makers, height, data):
    chain, shape = [make() for make in makers], (height, 31, 1)
    out_h, out_w = keras.Sequential([keras.Input(shape), *chain]).output_shape[1:3]
    row, column = data.draw(st.integers(0, out_h - 1)), data.draw(st.integers(0, out_w - 1))
    seen = receptive_field_by_gradient(chain, row, column, shape)
    field = receptive_field(chain, shape)
    # With steps larger than the window before it, a field has holes; its rim is seen all the same.
    expected = box(field, row, column, shape[:2])
    assert not (seen & ~expected).any()
    if _has_no_holes(chain):
        np.testing.assert_array_equal(seen, expected)


def _has_no_holes(chain):
    for layer in chain:
        window = getattr(layer, "kernel_size", getattr(layer, "pool_size", (1, 1)))
        strides = getattr(layer, "strides", (1, 1))
        if any(s > k for k, s in zip(window, strides, strict=True)):
            return False
    return True


def test_by_the_gradient_as_worked_out_by_hand():
    chain = [Conv2D(3, (3, 2), padding=1, activation="relu"), MaxPooling2D(2), Conv2D(1, (1, 2))]
    expected = np.zeros((9, 8))
    expected[1:5, 0:4] = 1  # rows 1·2 - 1 + (0..3), columns 0 - 1 + (0..4)
    np.testing.assert_array_equal(receptive_field_by_gradient(chain, 1, 0, (9, 8, 2)), expected)


# --- The drawing ----------------------------------------------------------------------------------


def test_drawing_says_what_is_seen_in_each_map():
    chain = [
        Conv2D(1, 3, strides=2, padding=1, name="a"),
        layers.ReLU(),
        MaxPooling2D(2, name="b"),
    ]
    drawing = receptive_field_plot(chain, 0, 1, (9, 10, 1))
    assert (
        drawing.alt == "Cell (0, 1) of b (2 × 2) sees 2 × 2 of a (5 × 5), 4 × 5 of input (9 × 10)."
    )
    assert drawing.svg.count("opacity: 0.45") == 3  # one filled rectangle in each map
    assert 'aria-label="Mine."' in receptive_field_plot(chain, 0, 0, (9, 9, 1), alt="Mine.").svg


def test_drawing_leaves_out_what_dilation_skips():
    drawing = receptive_field_plot([Conv2D(1, 2, dilation_rate=3, name="d")], 0, 0, (5, 6, 1))
    assert "sees 2 × 2 of input" in drawing.alt
    assert drawing.svg.count("opacity: 0.45") == 1 + 4


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (([Conv2D(1, 3)], 0, 0), "needs the size of the input"),
        (([Conv2D(1, 3)], 0, 2, (4, 4, 1)), "2 × 2 cells. Received: row=0, column=2"),
        (([Conv2D(1, 3)], -1, 0, (4, 4, 1)), "`row` must be at least 0"),
    ],
)
def test_drawing_refuses(arguments, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        receptive_field_plot(*arguments)
