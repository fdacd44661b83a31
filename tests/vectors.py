"""What the functions of the explorers' `arithmetic.js` must return, computed by Python.

Every expected number comes from the package, from Keras or from a gradient of TensorFlow. A tensor
is `{"shape": [...], "data": [...]}`, without a batch; matrices and vectors are lists. Arguments
that are left out have the defaults of the functions in JavaScript.
"""

import keras
import numpy as np
import tensorflow as tf

from cnn_tf import Conv2D, MaxPooling2D, corr2d, output_size
from cnn_tf.arguments import axis_padding, standardize_sides
from cnn_tf.functional import average_pool, correlate, max_pool, pad
from cnn_tf.receptive_field import receptive_field


def vectors():
    """Cases for each function: `{name: [{"arguments": [...], "result": ...}, ...]}`.

    The first argument of `activations` is the name of one.
    """
    rng = np.random.default_rng(20)

    def numbers(*shape):
        return rng.normal(size=shape).round(3)

    return {
        "axisPadding": _axis_padding(),
        "outputSize": _output_size(),
        "pad": _pad(numbers),
        "correlate": _correlate(numbers),
        "corr2d": _corr2d(numbers),
        "pool2d": _pool2d(numbers),
        "dense": _dense(numbers),
        "activations": _activations(numbers),
        "softmax": _softmax(numbers),
        "useCounts": _use_counts(),
        "receptiveField": _receptive_field(),
        "squaredError": _squared_error(numbers),
    }


def _case(result, *arguments):
    return {"arguments": list(arguments), "result": result}


def _tensor(array):
    array = np.asarray(array)
    return {"shape": list(array.shape), "data": array.ravel().tolist()}


def _axis_padding():
    axes = [
        (8, 3, "valid", 1, 1),
        (8, 3, "same", 1, 1),
        (8, 4, "same", 1, 1),
        (7, 2, "same", 3, 1),
        (9, 5, "same", 2, 1),
        (10, 3, "same", 4, 1),  # needs none
        (9, 3, "same", 1, 3),
        (5, 4, "same", 2, 3),
        (2, 5, "same", 1, 1),  # a window larger than the axis
        (8, 3, 2, 1, 1),
        (8, 3, [1, 3], 2, 2),
    ]
    return [
        _case(
            list(axis_padding(n, k, p if isinstance(p, str) else standardize_sides(p, p), s, d)),
            *(n, k, p, s, d),
        )
        for n, k, p, s, d in axes
    ]


def _output_size():
    axes = [
        (240, 5),
        (8, 3, [1, 1], 2),
        (8, 3, [0, 1]),
        (7, 7, [0, 0], 3),
        (10, 3, [2, 1], 4, 2),
        (5, 2, [3, 0], 1, 4),
        (28, 5, [2, 2], 1, 1),
        (11, 4, [0, 0], 5, 3),
    ]
    cases = [_case(output_size(*axis), *axis) for axis in axes]
    for axis in ((3, 4), (6, 3, [0, 1], 2, 4)):
        cases.append(_case(_places_or_none(*axis), *axis))
    return cases


def _places_or_none(*axis):
    """Zero where the package refuses a window that does not fit."""
    try:
        return output_size(*axis)
    except ValueError:
        return 0


def _pad(numbers):
    cases = []
    for shape, sides, value in (
        ((2, 3, 1), [[1, 1], [1, 1]], 0),
        ((3, 2, 2), [[0, 2], [1, 0]], 0),
        ((1, 4, 3), [[2, 0], [0, 3]], -1.5),
        ((4, 1, 1), [[0, 0], [0, 0]], 7),
        ((2, 2, 2), [[1, 2], [3, 4]], 0.25),
    ):
        X = numbers(*shape)
        padded = np.asarray(pad(X[None], sides, value=value))[0]
        cases.append(_case(_tensor(padded), _tensor(X), sides, value))
    return cases


def _correlate(numbers):
    cases = []
    for shape, kernel, options in (
        ((5, 6, 1), (2, 3, 1, 1), {}),
        ((6, 5, 3), (3, 2, 3, 2), {}),
        ((7, 6, 2), (3, 4, 2, 3), {"padding": "same"}),
        ((7, 8, 2), (3, 2, 2, 2), {"padding": "same", "strides": 2}),
        ((8, 7, 1), (4, 3, 1, 2), {"padding": "same", "strides": [3, 2]}),
        ((9, 8, 2), (3, 2, 2, 1), {"padding": "same", "dilation_rate": [2, 3]}),
        ((6, 7, 1), (3, 3, 1, 1), {"padding": 2, "strides": 3}),
        ((5, 4, 2), (2, 3, 2, 2), {"padding": [1, 0], "strides": [2, 1]}),
        ((4, 6, 3), (3, 3, 3, 2), {"padding": [[2, 0], [1, 3]], "strides": [1, 2]}),
        ((9, 10, 1), (2, 3, 1, 2), {"padding": [[0, 1], [2, 1]], "strides": 2, "dilation_rate": 3}),
        ((1, 1, 4), (1, 1, 4, 3), {"padding": "valid"}),
    ):
        X, K = numbers(*shape), numbers(*kernel)
        Y = np.asarray(correlate(X[None], K, **options))[0]
        cases.append(_case(_tensor(Y), _tensor(X), _tensor(K), options))
    for padding in ("valid", [[1, 2], [0, 1]]):
        X, K, bias = numbers(5, 6, 2), numbers(3, 2, 2, 3), numbers(3)
        layer = Conv2D(3, (3, 2), padding=padding, dtype="float64")
        layer.build((None, *X.shape))
        layer.set_weights([K, bias])
        options = {"padding": padding, "bias": bias.tolist()}
        cases.append(_case(_tensor(layer(X[None])[0]), _tensor(X), _tensor(K), options))
    return cases


def _corr2d(numbers):
    cases = []
    for shape, kernel in (
        ((3, 3), (2, 2)),
        ((6, 8), (1, 2)),
        ((6, 8), (2, 1)),
        ((4, 5), (3, 2)),
        ((3, 4), (3, 4)),
        ((1, 7), (1, 3)),
    ):
        X, K = numbers(*shape), numbers(*kernel)
        cases.append(_case(np.asarray(corr2d(X, K)).tolist(), X.tolist(), K.tolist()))
    return cases


def _pool2d(numbers):
    cases = []
    for shape, pool_size, options in (
        ((6, 8, 1), 2, {}),
        ((7, 5, 3), [3, 2], {}),
        ((7, 6, 2), [2, 3], {"strides": [1, 2]}),
        ((7, 8, 2), 3, {"strides": 2, "padding": "same"}),
        ((5, 6, 1), [4, 2], {"strides": 1, "padding": "same"}),
        ((6, 5, 2), 3, {"strides": [3, 2], "padding": [[0, 2], [1, 0]]}),
    ):
        X = numbers(*shape) - 1  # most are negative: no padded zero may win
        for mode, pool in (("max", max_pool), ("avg", average_pool)):
            Y = np.asarray(pool(X[None], pool_size, **options))[0]
            cases.append(_case(_tensor(Y), _tensor(X), pool_size, mode, options))
    return cases


def _dense(numbers):
    cases = []
    for n, m in ((1, 1), (3, 2), (2, 5), (7, 4), (16, 3)):
        x, W, b = numbers(n), numbers(n, m), numbers(m)
        x[n // 2] = 0 if n > 1 else x[0]
        layer = keras.layers.Dense(m, dtype="float64")
        layer.build((None, n))
        layer.set_weights([W, b])
        y = np.asarray(layer(x[None]))[0].tolist()
        cases.append(_case(y, x.tolist(), _tensor(W), b.tolist()))
    return cases


def _activations(numbers):
    return [
        _case(float(getattr(keras.activations, name)(np.float64(x))), name, float(x))
        for name in ("sigmoid", "relu", "tanh", "linear")
        for x in (-abs(numbers()), 5 * abs(numbers()), -40.0)
    ]


def _softmax(numbers):
    cases = []
    for logits in (
        numbers(2),
        10 * numbers(10),
        -numbers(3),
        np.zeros(4),
        1000 + numbers(5),  # exp would overflow
    ):
        result = np.asarray(keras.ops.softmax(logits)).tolist()
        cases.append(_case(result, logits.tolist()))
    return cases


def _use_counts():
    """The gradient of the sum of all outputs, for a kernel of ones, counts the uses of a pixel."""
    cases = []
    for n, k, padding, stride, dilation in (
        (8, 3, [0, 0], 1, 1),
        (8, 3, [1, 1], 1, 1),
        (7, 4, [2, 1], 1, 1),
        (9, 3, [0, 0], 2, 1),
        (8, 2, [0, 1], 3, 1),  # some are not used
        (10, 3, [2, 2], 1, 2),
        (9, 2, [3, 0], 2, 3),
        (1, 1, [0, 0], 1, 1),
    ):
        x = tf.zeros((1, 1, n, 1), "float64")
        with tf.GradientTape() as tape:
            tape.watch(x)
            total = keras.ops.sum(
                correlate(
                    x,
                    tf.ones((1, k, 1, 1), "float64"),
                    strides=(1, stride),
                    padding=((0, 0), padding),
                    dilation_rate=(1, dilation),
                )
            )
        counts = tape.gradient(total, x).numpy().ravel().astype(int).tolist()
        cases.append(_case(counts, n, k, padding, stride, dilation))
    return cases


def _receptive_field():
    """Windows without a dilation are half of them pooling: for the field it makes no difference."""
    cases = []
    for stack in (
        [{"k": 1, "s": 1}],
        [{"k": 2, "s": 1}, {"k": 2, "s": 1}],
        [{"k": 3, "s": 1, "d": 1}, {"k": 2, "s": 2, "d": 1}, {"k": 3, "s": 1, "d": 1}],
        [{"k": 5, "s": 1}, {"k": 2, "s": 2}, {"k": 5, "s": 1}, {"k": 2, "s": 2}],
        [{"k": 3, "s": 1, "d": 1}, {"k": 3, "s": 1, "d": 2}, {"k": 3, "s": 1, "d": 4}],
        [{"k": 7, "s": 2}, {"k": 3, "s": 1, "d": 3}, {"k": 1, "s": 3}, {"k": 4, "s": 1, "d": 2}],
    ):
        layers = [
            MaxPooling2D(layer["k"], strides=layer["s"])
            if number % 2 and layer.get("d", 1) == 1
            else Conv2D(1, layer["k"], strides=layer["s"], dilation_rate=layer.get("d", 1))
            for number, layer in enumerate(stack)
        ]
        fields = [receptive_field(layers[: number + 1]) for number in range(len(layers))]
        result = [{"size": field.size[0], "jump": field.strides[0]} for field in fields]
        cases.append(_case(result, stack))
    return cases


def _squared_error(numbers):
    cases = []
    for shape, kernel in (((3, 3), (2, 2)), ((6, 8), (1, 2)), ((5, 4), (3, 1)), ((2, 3), (2, 3))):
        X, K = numbers(*shape), tf.constant(numbers(*kernel))
        cases.append(_squared_error_case(X, K, numbers(*output_size(shape, kernel))))
    X, K = numbers(5, 6), tf.constant(numbers(2, 3))
    cases.append(_squared_error_case(X, K, np.asarray(corr2d(X, K))))  # the loss is zero
    return cases


def _squared_error_case(X, K, Y):
    with tf.GradientTape() as tape:
        tape.watch(K)
        loss = keras.ops.sum((corr2d(X, K) - Y) ** 2)
    result = {"loss": float(loss), "gradient": tape.gradient(loss, K).numpy().tolist()}
    return _case(result, X.tolist(), K.numpy().tolist(), Y.tolist())
