"""Well-known networks and their layers, ours against Keras's: a step of training, a prediction."""

import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import keras
import tensorflow as tf

import cnn_tf
from benchmarks.measure import Comparison, Run, compare
from benchmarks.steps import COMPILED, Shape, prediction, training

TASKS = ("training", "prediction")


class Layer(NamedTuple):
    """A layer of a network, and the images that it meets there.

    Args:
        network: The network that it is from.
        name: What it is.
        shape: Shape of the images, the batch first.
        kind: The class, of the same name here and in Keras.
        arguments: What it is made with.
    """

    network: str
    name: str
    shape: Shape
    kind: str
    arguments: dict[str, Any]

    @property
    def title(self) -> str:
        """The layer, its network and the shape of its images in a line."""
        return f"{self.network}, {self.name} on {'x'.join(map(str, self.shape))}"


def _conv(network: str, name: str, shape: Shape, filters: int, size: Any, **more: Any) -> Layer:
    arguments = {"filters": filters, "kernel_size": size, "padding": "same", **more}
    return Layer(network, f"{name} to {filters}", shape, "Conv2D", arguments)


def _pool(
    word: str,
    kind: str,
    network: str,
    shape: Shape,
    size: int,
    strides: int,
    padding: str = "valid",
) -> Layer:
    arguments = {"pool_size": size, "strides": strides, "padding": padding}
    return Layer(network, f"{word} {size}x{size}/{strides}", shape, kind, arguments)


_max = functools.partial(_pool, "max", "MaxPooling2D")
_mean = functools.partial(_pool, "mean", "AveragePooling2D")


# Batches such that a layer takes some milliseconds.
LAYERS = [
    _conv("LeNet", "5x5", (128, 28, 28, 1), 6, 5),
    _mean("LeNet", (128, 28, 28, 6), 2, 2),
    _conv("LeNet", "5x5 valid", (128, 14, 14, 6), 16, 5, padding="valid"),
    _conv("CIFAR ResNet", "3x3", (32, 32, 32, 3), 16, 3, use_bias=False),
    _conv("CIFAR ResNet", "3x3", (32, 32, 32, 16), 16, 3, use_bias=False),
    _conv("CIFAR ResNet", "3x3/2", (32, 32, 32, 16), 32, 3, strides=2, use_bias=False),
    _conv("CIFAR ResNet", "1x1/2", (32, 32, 32, 16), 32, 1, strides=2, use_bias=False),
    _conv("CIFAR ResNet", "3x3", (32, 16, 16, 32), 32, 3, use_bias=False),
    _conv("CIFAR ResNet", "3x3", (32, 8, 8, 64), 64, 3, use_bias=False),
    _mean("CIFAR ResNet", (32, 8, 8, 64), 8, 1),
    _conv("ResNet-50", "7x7/2", (2, 224, 224, 3), 64, 7, strides=2),
    _max("ResNet-50", (4, 112, 112, 64), 3, 2, "same"),
    _conv("ResNet-50", "1x1", (4, 56, 56, 64), 256, 1),
    _conv("ResNet-50", "3x3", (4, 56, 56, 64), 64, 3),
    _conv("ResNet-50", "3x3/2", (4, 56, 56, 128), 128, 3, strides=2),
    _conv("ResNet-50", "3x3", (4, 7, 7, 512), 512, 3),
    _conv("VGG-16", "3x3", (1, 224, 224, 3), 64, 3),
    _conv("VGG-16", "3x3", (1, 112, 112, 128), 128, 3),
    _conv("VGG-16", "3x3", (1, 28, 28, 512), 512, 3),
    _max("VGG-16", (1, 224, 224, 64), 2, 2),
    _conv("AlexNet", "11x11/4", (4, 227, 227, 3), 96, 11, strides=4, padding="valid"),
    _conv("AlexNet", "5x5", (4, 27, 27, 96), 256, 5),
    _max("AlexNet", (4, 55, 55, 96), 3, 2),
    _conv("U-Net", "3x3", (2, 128, 128, 1), 16, 3),
    _conv("U-Net", "3x3", (2, 128, 128, 16), 16, 3),
    _conv("U-Net", "3x3", (2, 128, 128, 32), 16, 3),
    _conv("U-Net", "3x3", (2, 64, 64, 32), 32, 3),
    _conv("U-Net", "1x1", (2, 128, 128, 16), 2, 1),
    _max("U-Net", (2, 128, 128, 16), 2, 2),
    _conv("Inception", "3x3/2 valid", (4, 35, 35, 288), 384, 3, strides=2, padding="valid"),
    _conv("Inception", "5x5", (4, 35, 35, 48), 64, 5),
    _conv("Inception", "1x7", (4, 17, 17, 128), 128, (1, 7)),
    _conv("Inception", "7x1", (4, 17, 17, 128), 192, (7, 1)),
    _conv("Inception", "1x3", (4, 8, 8, 384), 384, (1, 3)),
    _mean("Inception", (4, 35, 35, 192), 3, 1, "same"),
    _max("GoogLeNet", (8, 28, 28, 192), 3, 1, "same"),
    _conv("DeepLab", "3x3 of rate 2", (1, 33, 33, 256), 256, 3, dilation_rate=2),
    _conv("DeepLab", "3x3 of rate 6", (1, 33, 33, 256), 256, 3, dilation_rate=6),
    _conv("ERFNet", "3x1 of rate 2", (2, 64, 64, 64), 64, (3, 1), dilation_rate=(2, 1)),
    _conv("ResNeXt", "3x3 of 32 groups", (4, 28, 28, 128), 128, 3, groups=32),
    _conv("ShuffleNet", "1x1 of 3 groups", (8, 28, 28, 60), 240, 1, groups=3),
    _conv("MobileNet", "3x3 of 32 groups", (4, 112, 112, 32), 32, 3, groups=32),
    _conv("MobileNet", "1x1", (4, 112, 112, 32), 64, 1),
    _conv("EfficientNet", "5x5/2 of 240 groups", (4, 28, 28, 240), 240, 5, strides=2, groups=240),
    _conv("ConvNeXt", "4x4/4", (4, 224, 224, 3), 96, 4, strides=4, padding="valid"),
    _conv("ConvNeXt", "7x7 of 96 groups", (2, 56, 56, 96), 96, 7, groups=96),
    _conv("ViT", "16x16/16", (4, 224, 224, 3), 192, 16, strides=16, padding="valid"),
    _conv("SRCNN", "9x9", (1, 128, 128, 1), 64, 9),
    _conv("SRCNN", "5x5", (1, 128, 128, 32), 1, 5),
    _conv("ESPCN", "3x3", (1, 128, 128, 32), 3, 3),
    _conv("DnCNN", "3x3", (1, 180, 180, 64), 64, 3),
    _conv("DnCNN", "3x3", (1, 180, 180, 64), 1, 3),
    _conv("DCGAN", "5x5/2", (32, 64, 64, 3), 64, 5, strides=2),
    _conv("DCGAN", "4x4/2", (32, 32, 32, 64), 128, 4, strides=2),
    _conv("DenseNet", "3x3", (4, 28, 28, 128), 32, 3, use_bias=False),
    _mean("DenseNet", (4, 56, 56, 128), 2, 2),
]


def run_layers(rounds: int, wanted: Callable[[str], bool]) -> Iterator[Comparison]:
    """Compare each wanted layer, trained and only applied, compiled by XLA and not."""
    for each in LAYERS:
        for task, make in zip(TASKS, (training, prediction), strict=True):
            title = f"Layer of {each.title}: {task}"
            if not wanted(title):
                continue
            rivals = {
                _label(package, jit): make(
                    getattr(layers, each.kind)(**each.arguments), each.shape, jit
                )
                for package, layers in (("cnn_tf", cnn_tf), ("keras", keras.layers))
                for jit in COMPILED
            }
            yield compare(title, rivals, rounds)


def _label(package: str, jit: bool) -> str:
    return f"{package}{', XLA' if jit else ''}"


# --- Whole networks -------------------------------------------------------------------------------


def cifar_resnet(depth: int = 20) -> keras.Model:
    """The residual network for pictures of 32x32 pixels, of Keras's layers.

    Source: He, Zhang, Ren and Sun (2016), *Deep residual learning for image recognition*.
    """
    layers = keras.layers

    def convolve(x: Any, filters: int, size: int, strides: int) -> Any:
        x = layers.Conv2D(filters, size, strides, "same", use_bias=False)(x)
        return layers.BatchNormalization()(x)

    inputs = keras.Input((32, 32, 3))
    x = layers.ReLU()(convolve(inputs, 16, 3, 1))
    for stage, filters in enumerate((16, 32, 64)):
        for block in range((depth - 2) // 6):
            strides = 2 if stage and not block else 1
            y = layers.ReLU()(convolve(x, filters, 3, strides))
            y = convolve(y, filters, 3, 1)
            if strides > 1:
                x = convolve(x, filters, 1, strides)
            x = layers.ReLU()(layers.Add()([x, y]))
    return keras.Model(inputs, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))


def unet(size: int = 64) -> keras.Model:
    """A small U-Net for pictures of one channel and two classes a pixel, of Keras's layers.

    Source: Ronneberger, Fischer and Brox (2015), *U-Net: convolutional networks for biomedical
    image segmentation*.
    """
    layers = keras.layers

    def convolve(x: Any, filters: int) -> Any:
        for _ in range(2):
            x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        return x

    inputs = keras.Input((size, size, 1))
    x, levels = inputs, []
    for filters in (16, 32):
        levels.append(convolve(x, filters))
        x = layers.MaxPooling2D(2)(levels[-1])
    x = convolve(x, 64)
    for filters, level in zip((32, 16), reversed(levels), strict=True):
        x = layers.Concatenate()([layers.UpSampling2D(2)(x), level])
        x = convolve(x, filters)
    return keras.Model(inputs, layers.Conv2D(2, 1)(x))


NETWORKS = {"CIFAR ResNet-20": (cifar_resnet, 32), "small U-Net": (unet, 16)}  # and their batches


def with_our_layers(model: keras.Model) -> keras.Model:
    """A copy with the layers of this package in place of Keras's, and with the same weights."""

    def ours(layer: keras.layers.Layer) -> keras.layers.Layer:
        kind = getattr(cnn_tf, type(layer).__name__, type(layer))
        return kind.from_config(layer.get_config())

    copy = keras.models.clone_model(model, clone_function=ours)
    copy.set_weights(model.get_weights())
    return copy


def network_step(model: keras.Model, batch: int, jit: bool) -> Run:
    """A function that does a step of training on fixed pictures."""
    x = tf.random.stateless_normal((batch, *model.input_shape[1:]), (0, 0))
    shape = (batch, *model.output_shape[1:-1])
    y = tf.random.stateless_uniform(shape, (0, 1), 0, model.output_shape[-1], "int32")
    loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = keras.optimizers.SGD(1e-3)
    optimizer.build(model.trainable_variables)

    @tf.function(jit_compile=jit)
    def train() -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = loss_of(y, model(x, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
        return loss

    return lambda: train().numpy()


def network_prediction(model: keras.Model, batch: int, jit: bool) -> Run:
    """A function that applies a network to fixed pictures."""
    x = tf.random.stateless_normal((batch, *model.input_shape[1:]), (0, 0))
    predict = tf.function(lambda: model(x, training=False), jit_compile=jit)
    return lambda: predict().numpy()


def run_networks(rounds: int, wanted: Callable[[str], bool]) -> Iterator[Comparison]:
    """Compare whole networks, trained and only applied, compiled by XLA and not."""
    for name, (build, batch) in NETWORKS.items():
        for task, make in zip(TASKS, (network_step, network_prediction), strict=True):
            title = f"Network {name}, {batch} pictures: {task}"
            if not wanted(title):
                continue
            model = build()
            models = {"cnn_tf": with_our_layers(model), "keras": model}
            rivals = {
                _label(package, jit): make(each, batch, jit)
                for package, each in models.items()
                for jit in COMPILED
            }
            yield compare(title, rivals, rounds)
