"""Keras's own layer tests, which its wheel carries, run on our layers in place of Keras's."""

from unittest import mock

import pytest
from keras.src import layers as keras_layers

import cnn_tf

REPLACED = {name: getattr(cnn_tf, name) for name in ("Conv2D", "MaxPooling2D", "AveragePooling2D")}

with mock.patch.multiple(keras_layers, **REPLACED):
    # The tables of test cases name the classes when these modules are imported.
    from keras.src.layers.convolutional.conv_test import ConvBasicTest, ConvCorrectnessTest
    from keras.src.layers.pooling.average_pooling_test import (
        AveragePoolingBasicTest,
        AveragePoolingCorrectnessTest,
    )
    from keras.src.layers.pooling.max_pooling_test import (
        MaxPoolingBasicTest,
        MaxPoolingCorrectnessTest,
    )


# Keras's own tests cause warnings of Keras, which are not about the layers.
pytestmark = [
    pytest.mark.filterwarnings(f"ignore:{message}:UserWarning")
    for message in (
        "`shuffle=True` was passed, but will be ignored",  # its harness feeds a generator
        "Skipping variable loading for optimizer",  # it saves before the first step
        "The model does not have any trainable weights",  # as a pooling layer alone has none
    )
]


@pytest.fixture(autouse=True)
def our_layers():
    with mock.patch.multiple(keras_layers, **REPLACED):
        yield


def test_the_suite_sees_our_layers():
    assert keras_layers.Conv2D is cnn_tf.Conv2D


__all__ = [
    "AveragePoolingBasicTest",
    "AveragePoolingCorrectnessTest",
    "ConvBasicTest",
    "ConvCorrectnessTest",
    "MaxPoolingBasicTest",
    "MaxPoolingCorrectnessTest",
]
