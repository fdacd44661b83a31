"""A network that `save_network` has written, as a Keras model: checked as the browser checks it."""

import base64
import binascii
import json
import math
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from cnn_tf.arguments import (
    FullPadding,
    check_pooling_padding,
    standardize_padding,
    standardize_pair,
)
from cnn_tf.explorers._network import ACTIVATIONS, Settings
from cnn_tf.layers import AveragePooling2D, Conv2D, MaxPooling2D

ADVICE = "Write the file with cnn_tf.save_network(model, path)."

SIDE = 28
MOST = 64  # cells of padding
LARGEST = 3e38  # of 32 bits
KINDS = ("rescaling", "conv", "dense", "pool", "flatten", "linear", *ACTIVATIONS)


class _Step:
    """A layer of a file, whose settings are read one by one, and each of them checked."""

    def __init__(self, number: int, content: Any) -> None:
        self.content: Settings = content if isinstance(content, dict) else {}
        self.name = self.content.get("name")
        self.kind: Any = self.content.get("kind")
        told = f" (“{self.name[:40]}”)" if isinstance(self.name, str) and self.name else ""
        self._place = f"Layer {number}{told}"
        self.expect(
            isinstance(self.kind, str) and self.kind in KINDS,
            f"kind to be one of {', '.join(KINDS)}",
            self.content.get("kind", content),
        )

    def expect(self, fits: bool, wanted: str, received: Any) -> None:
        if not fits:
            raise self.error(wanted, received)

    def error(self, wanted: str, received: Any) -> ValueError:
        return ValueError(
            f"{self._place}: expected {wanted}. Received: {_told(received)}. {ADVICE}"
        )

    def number(self, key: str) -> float:
        value: Any = self.content.get(key)
        if not isinstance(value, (int, float)) or not -LARGEST <= value <= LARGEST:
            raise self.error(f"a finite {key}", value)
        return float(value)

    def pair(self, key: str) -> tuple[int, int]:
        value: Any = self.content.get(key)
        try:
            return standardize_pair(value, key)
        except (TypeError, ValueError):
            raise self.error(f"{key} to be two positive integers", value) from None

    def padding(self) -> FullPadding:
        value: Any = self.content.get("padding")
        try:
            padding = standardize_padding(value)
        except (TypeError, ValueError):
            padding = None
        if padding is None or (not isinstance(padding, str) and np.max(padding) > MOST):
            raise self.error(
                'padding "valid", "same", a number of cells, one for rows and one for columns, or '
                f"[[top, bottom], [left, right]], up to {MOST}",
                value,
            )
        return padding

    def weights(self, key: str, *wanted: int | str) -> np.ndarray:
        """Unpack an array of a shape in which a word stands for any size."""
        what = f"a {key} of shape ({', '.join(map(str, wanted))}{',' * (len(wanted) == 1)})"
        packed = self.content.get(key)
        if not isinstance(packed, dict):
            raise self.error(what, packed)
        dtype: Any = packed.get("dtype")
        shape: Any = packed.get("shape")
        self.expect(dtype == "float32", f'a {key} of dtype "float32"', dtype)
        fits = isinstance(shape, list) and len(shape) == len(wanted)
        fits = fits and all(
            _is_count(n, 1) and (isinstance(size, str) or n == size)
            for n, size in zip(shape, wanted, strict=True)
        )
        self.expect(fits, what, shape)
        size = 4 * math.prod(shape)
        content = _decoded(packed.get("base64"))
        if content is None or len(content) != size:
            raise self.error(
                f"a {key} of {size} bytes in base64, 4 for each number of shape {shape}",
                packed.get("base64") if content is None else f"{len(content)} bytes",
            )
        array = np.frombuffer(content, "<f4").reshape(shape)
        wrong = array[~np.isfinite(array)]
        self.expect(not wrong.size, f"a {key} of finite numbers", str(wrong[:1]))
        return array


def model_of(file: Any) -> keras.Sequential:
    """Make the model that a file describes."""
    content = file.get("layers") if isinstance(file, dict) else None
    if not isinstance(content, list) or not content:
        raise ValueError(
            f'load_network expected a network, {{"layers": [...]}}. Received: {_told(file)}. '
            f"{ADVICE}"
        )
    shape: tuple[int | None, ...] = (None, SIDE, SIDE, 1)
    model = keras.Sequential([keras.Input(shape[1:])])
    steps = [_Step(number, step) for number, step in enumerate(content, start=1)]
    for number, (step, activation) in enumerate(_with_activations(steps)):
        _check_name(step, model)
        flat = len(shape) == 2
        maps = step.kind in ("conv", "pool")
        step.expect(not (flat and maps), "dense layers or activations behind flatten", step.kind)
        step.expect(flat or step.kind != "dense", "flatten before the first dense layer", step.kind)
        step.expect(
            step.kind != "rescaling" or number == 0, "rescaling as the first layer only", step.kind
        )
        layer, weights = _layer(step, shape, activation)
        try:
            model.add(layer)
        except ValueError as error:  # a window that does not fit, a name that Keras does not take
            step.expect(False, "a layer that fits what is before it", str(error))
        layer.set_weights(weights)
        shape = model.output_shape
    return model


def _with_activations(steps: list[_Step]) -> Iterator[tuple[_Step, str]]:
    """Each layer with its activation: in a file, the next step under the same name."""
    position = 0
    while position < len(steps):
        step, activation = steps[position], "linear"
        position += 1
        after = steps[position] if position < len(steps) else None
        together = step.kind in ("conv", "dense") and after and after.name == step.name
        if together and after and (after.kind in ACTIVATIONS or after.kind == "linear"):
            activation = after.kind
            position += 1
        yield step, activation


def _layer(
    step: _Step, shape: tuple[Any, ...], activation: str
) -> tuple[keras.layers.Layer, list[np.ndarray]]:
    """Make a layer for inputs of this shape, and the weights that it is to have."""
    name, kind = step.name, step.kind
    function = ACTIVATIONS.get(activation)
    if kind == "rescaling":
        scale, offset = step.number("scale"), step.number("offset")
        return keras.layers.Rescaling(scale, offset, name=name), []
    if kind == "flatten":
        return keras.layers.Flatten(data_format="channels_last", name=name), []
    if kind == "dense":
        kernel = step.weights("kernel", shape[-1], "units")
        units = kernel.shape[-1]
        dense = keras.layers.Dense(units, activation=function, name=name)
        return dense, [kernel, step.weights("bias", units)]
    last: Settings = {"data_format": "channels_last", "name": name}
    if kind == "conv":
        kernel = step.weights("kernel", "h", "w", shape[-1], "filters")
        last |= {"strides": step.pair("strides"), "padding": step.padding()}
        conv = Conv2D(kernel.shape[-1], kernel.shape[:2], activation=function, **last)
        return conv, [kernel, step.weights("bias", kernel.shape[-1])]
    if kind == "pool":
        mode = step.content.get("mode")
        step.expect(mode in ("max", "avg"), 'mode "max" or "avg"', mode)
        pool = MaxPooling2D if mode == "max" else AveragePooling2D
        size, padding = step.pair("pool_size"), step.padding()
        try:
            check_pooling_padding(size, padding)
        except ValueError:
            raise step.error(f"padding smaller than the window, {size}", padding) from None
        return pool(size, step.pair("strides"), padding, **last), []
    return keras.layers.Activation(ACTIVATIONS.get(str(kind), "linear"), name=name), []


def _check_name(step: _Step, model: keras.Sequential) -> None:
    name = step.name
    taken = {layer.name for layer in model.layers}
    fits = isinstance(name, str) and name != "" and "/" not in name and name not in taken
    step.expect(fits, "a name that no other layer has, without “/”", name)


def _is_count(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _decoded(text: Any) -> bytes | None:
    """The bytes that a text in base64 spells, `None` if it is no such text."""
    try:
        return base64.b64decode(text, validate=True)
    except (TypeError, ValueError, binascii.Error):
        return None


def _told(value: Any) -> str:
    """What came, for a message."""
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 200 else f"{text[:200]}…"
