"""Numbers that every back end must reproduce. Run as a program, it saves them in a file.

KERAS_BACKEND=jax python tests/backend_numbers.py numbers.npz
"""

import functools
import sys

import keras
import numpy as np

import cnn_tf
from cnn_tf.arguments import PADDING_MODES

# Not random at first, which JAX compiles for each shape: all weights are set below.
conv = functools.partial(cnn_tf.Conv2D, kernel_initializer="zeros")
LAYERS = {
    "conv": lambda: conv(4, (2, 3), activation="tanh"),
    "conv strides": lambda: conv(4, 3, strides=(2, 1), padding="same"),
    "conv dilation": lambda: conv(4, (3, 2), dilation_rate=2, padding=(1, 2)),
    "conv groups": lambda: conv(6, 3, groups=3, padding=1),
    "conv first": lambda: conv(4, 3, data_format="channels_first"),
    "conv float16": lambda: conv(4, 3, dtype="mixed_float16"),
    "max": lambda: cnn_tf.MaxPooling2D(3, strides=2, padding=((1, 0), (2, 1))),
    "max same": lambda: cnn_tf.MaxPooling2D((2, 3), padding="same"),
    "average": lambda: cnn_tf.AveragePooling2D(3, strides=2, padding=1),
    "average padded": lambda: cnn_tf.AveragePooling2D(3, padding=1, count_include_pad=True),
} | {
    f"conv {mode}": lambda mode=mode: conv(4, 3, padding=(1, 2), padding_mode=mode)
    for mode in PADDING_MODES
}
LONG_ROWS = ("conv", "conv strides", "conv dilation", "average")


def compiled(function):
    """On JAX, compile a function once, in place of each of its operations for each shape."""
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(function)
    return function


def compute():
    rng = np.random.default_rng(0)
    numbers = {}

    image = rng.normal(size=(3, 6, 7)).astype("float32")
    kernels = rng.normal(size=(2, 3, 3, 2)).astype("float32")
    numbers["corr2d"] = cnn_tf.corr2d(image[0], kernels[0, 0])
    numbers["corr2d integers"] = cnn_tf.corr2d(
        np.arange(12, dtype="uint8").reshape(3, 4), [[1, -2]]
    )
    numbers["conv2d"] = cnn_tf.conv2d(image[0], kernels[0, 0])
    numbers["multi_in"] = cnn_tf.corr2d_multi_in(image, kernels[0])
    numbers["multi_in_out"] = cnn_tf.corr2d_multi_in_out(image, kernels)
    numbers["1x1"] = cnn_tf.corr2d_multi_in_out_1x1(image, kernels[:, :, :1, :1])
    for mode in ("max", "avg"):
        numbers[f"pool2d {mode}"] = cnn_tf.pool2d(image, (2, 3), mode)

    for width, names in ((7, LAYERS), (80, LONG_ROWS)):
        images = rng.normal(size=(2, 6, width, 3)).astype("float32")
        for name in names:
            layer = LAYERS[name]()
            batch = np.moveaxis(images, -1, 1) if "first" in name else images
            layer.build(batch.shape)
            layer.set_weights(
                [rng.normal(size=w.shape).astype(w.dtype) for w in layer.get_weights()]
            )
            numbers[f"{name} {width}"] = keras.ops.cast(compiled(layer)(batch), "float32")

    for name, model in (("lenet", lenet()), ("ties", ties())):
        weights = [0.3 * rng.normal(size=w.shape) for w in model.get_weights()]
        if name == "ties":  # all outputs of the convolution are equal
            weights[0] = np.zeros_like(weights[0])
        model.set_weights(weights)
        model.compile(keras.optimizers.SGD(0.1), "mse")
        images = rng.normal(size=(4, *model.input_shape[1:])).astype("float32")
        targets = rng.normal(size=(4, *model.output_shape[1:])).astype("float32")
        numbers[f"{name} loss"] = model.train_on_batch(images, targets)
        numbers |= {f"{name} weight {i}": w for i, w in enumerate(model.get_weights())}

    return {name: keras.ops.convert_to_numpy(number) for name, number in numbers.items()}


def lenet():
    return cnn_tf.LeNet(5, input_shape=(12, 12, 2), filters=(3, 4), kernel_size=3, units=(8,))


def ties():
    """Where every window ties, the step depends on which of its cells gets the gradient."""
    layers = [conv(2, 2), cnn_tf.MaxPooling2D(2), keras.layers.Flatten()]
    return keras.Sequential([keras.Input((7, 7, 1)), *layers, keras.layers.Dense(3)])


if __name__ == "__main__":
    np.savez(sys.argv[1], **compute())
