"""Convolutional networks from first principles, as Keras layers worth importing."""

try:
    import keras as _keras  # noqa: F401 - first, because it is Keras that needs a back end
except ModuleNotFoundError as error:
    raise ImportError(
        f"Keras cannot compute without a back end ({error}). Install one: "
        "pip install 'cnn_tf[tensorflow]'. For another one, pip install 'cnn_tf[jax]' or "
        "'cnn_tf[torch]', and set the environment variable KERAS_BACKEND to its name."
    ) from error

from cnn_tf.data import FashionMNIST
from cnn_tf.explorers import explore, save_network
from cnn_tf.functional import (
    comp_conv2d,
    conv2d,
    corr2d,
    corr2d_multi_in,
    corr2d_multi_in_out,
    corr2d_multi_in_out_1x1,
    output_size,
    pool2d,
)
from cnn_tf.layers import AveragePooling2D, AvgPool2D, Conv2D, MaxPool2D, MaxPooling2D
from cnn_tf.models import MLP, LeNet, SmallResNet, layer_summary
from cnn_tf.training import TrainingLog, fit

__all__ = [
    "MLP",
    "AveragePooling2D",
    "AvgPool2D",
    "Conv2D",
    "FashionMNIST",
    "LeNet",
    "MaxPool2D",
    "MaxPooling2D",
    "SmallResNet",
    "TrainingLog",
    "comp_conv2d",
    "conv2d",
    "corr2d",
    "corr2d_multi_in",
    "corr2d_multi_in_out",
    "corr2d_multi_in_out_1x1",
    "explore",
    "fit",
    "layer_summary",
    "output_size",
    "pool2d",
    "save_network",
]
