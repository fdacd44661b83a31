"""A trained network as the browser computes it."""

import base64
from typing import Any

import keras
import numpy as np
from keras.ops import convert_to_numpy

from cnn_tf.layers import AveragePooling2D, MaxPooling2D
from cnn_tf.recipes import centred_sigmoid

Settings = dict[str, Any]

ACTIVATIONS = {
    "sigmoid": keras.activations.sigmoid,
    "relu": keras.activations.relu,
    "tanh": keras.activations.tanh,
    "centred_sigmoid": centred_sigmoid,
}

POOLING = (
    keras.layers.MaxPooling2D,
    keras.layers.AveragePooling2D,
    MaxPooling2D,
    AveragePooling2D,
)


def network(model: keras.Model) -> Settings:
    """List the layers of a chain, with their weights; batch normalisation goes into the weights."""
    if not getattr(model, "built", False) or tuple(model.input_shape[1:]) != (28, 28, 1):
        raise ValueError(
            "save_network expected a Keras model for inputs of shape (28, 28, 1), built and "
            f"trained. Received: {model!r}."
        )
    steps: list[Settings] = []
    for layer in model.layers:
        name = type(layer).__name__
        step: Settings = {"name": layer.name}
        if isinstance(layer, (keras.layers.InputLayer, keras.layers.Dropout)):
            continue
        if isinstance(layer, keras.layers.BatchNormalization):
            if not steps or "kernel" not in steps[-1]:
                raise ValueError(
                    "save_network expected batch normalisation to follow a convolution or a dense "
                    f"layer, before the activation. Received: {layer.name!r}."
                )
            _fold(layer, steps[-1])
            continue
        if isinstance(layer, keras.layers.Rescaling):
            step |= {"kind": "rescaling"} | _rescaling(layer, first=not steps)
        elif isinstance(layer, (keras.layers.Conv2D, keras.layers.Dense)):
            _check_simple(layer)
            kernel = convert_to_numpy(layer.kernel)
            bias = convert_to_numpy(layer.bias) if layer.use_bias else np.zeros(kernel.shape[-1])
            step |= {"kernel": kernel, "bias": bias, "kind": "dense"}
            if kernel.ndim == 2 and len(layer.input.shape) != 2:
                raise ValueError(
                    "save_network expected dense layers behind Flatten. Received: "
                    f"{layer.name!r} on an input of shape {tuple(layer.input.shape)}."
                )
            if kernel.ndim == 4:
                step |= {"kind": "conv", "strides": list(layer.strides), "padding": layer.padding}
        elif isinstance(layer, POOLING):
            _check_simple(layer)
            mode = "max" if "Max" in name else "avg"
            step |= {"kind": "pool", "mode": mode, "pool_size": list(layer.pool_size)}
            step |= {"strides": list(layer.strides), "padding": layer.padding}
        elif isinstance(layer, keras.layers.Flatten):
            _check_simple(layer)
            step["kind"] = "flatten"
        elif not isinstance(layer, keras.layers.Activation):
            raise ValueError(
                "save_network expected Rescaling, Conv2D, pooling, Flatten, Dense, Activation and "
                f"BatchNormalization. Received: {layer.name!r}, a {name}."
            )
        if "kind" in step:
            steps.append(step)
        activation = getattr(layer, "activation", None)
        if activation is keras.activations.softmax and layer is model.layers[-1]:
            continue  # the browser turns the last numbers into probabilities anyway
        if activation not in (None, keras.activations.linear):
            if activation not in ACTIVATIONS.values():
                raise ValueError(
                    f"save_network expected one of {', '.join(ACTIVATIONS)}. Received: "
                    f"{getattr(activation, '__name__', activation)} in {layer.name!r}."
                )
            steps.append({"kind": activation.__name__, "name": layer.name})
    for step in steps:
        for key in {"kernel", "bias"} & set(step):
            step[key] = pack(step[key].astype("float32"))
    return {"layers": steps}


def _rescaling(layer: keras.layers.Rescaling, first: bool) -> Settings:
    """The two numbers of a layer that brings pixels into another range."""
    numbers = {"scale": layer.scale, "offset": layer.offset}
    if not first or any(np.ndim(number) for number in numbers.values()):
        raise ValueError(
            "save_network expected Rescaling as the first layer, by one scale and one offset. "
            f"Received: {layer.name!r} with {numbers}."
        )
    return {name: float(number) for name, number in numbers.items()}


def _check_simple(layer: Any) -> None:
    """Refuse what the browser does not compute."""
    plain = getattr(layer, "groups", 1) == 1 and max(getattr(layer, "dilation_rate", (1,))) == 1
    zeros = getattr(layer, "padding_mode", "zeros") == "zeros"
    last = getattr(layer, "data_format", "channels_last") == "channels_last"
    inside = not getattr(layer, "count_include_pad", False)
    if not (plain and zeros and last and inside):
        raise ValueError(
            "save_network expected layers with channels last, without groups or dilation, "
            "padded with zeros, which a mean does not count. Received: "
            f"{layer.name!r}."
        )


def _fold(normalise: keras.layers.BatchNormalization, step: Settings) -> None:
    """Multiply and shift the weights before it as batch normalisation does after training."""
    mean = convert_to_numpy(normalise.moving_mean)
    variance = convert_to_numpy(normalise.moving_variance)
    scale = 1 / np.sqrt(variance.astype("float64") + normalise.epsilon)
    if normalise.scale:
        scale = scale * convert_to_numpy(normalise.gamma)
    shift = convert_to_numpy(normalise.beta) if normalise.center else 0
    step["kernel"] = step["kernel"] * scale
    step["bias"] = (step["bias"] - mean) * scale + shift


def pack(array: Any) -> Settings:
    """An array for JSON, where the browser finds its bytes."""
    array = np.asarray(array)
    array = array.astype(array.dtype.newbyteorder("<"))
    data = base64.b64encode(array.tobytes()).decode()
    return {"dtype": array.dtype.name, "shape": list(array.shape), "base64": data}
