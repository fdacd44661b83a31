"""Models as chains of layers, and as copies of which the gradient shows what is seen."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from cnn_tf.layers import AveragePooling2D
from cnn_tf.receptive_field._windows import POINTWISE

Layers = Any  # a model, a layer, or a list of layers in a row
Shape = tuple[int | None, ...]


def open_chain(model_or_layers: Layers, caller: str) -> list[keras.layers.Layer]:
    """The layers of a model without branches, in their order; models within it are opened."""
    if isinstance(model_or_layers, keras.Sequential) or not is_model(model_or_layers):
        members = list_members(model_or_layers)
        if len(members) == 1 and members[0] is model_or_layers:
            return members
        return [layer for member in members for layer in open_chain(member, caller)]

    check_functional(model_or_layers, caller)
    calls: list[tuple[Any, Any, Any]] = []

    def call_and_record(layer: Any, *args: Any, **kwargs: Any) -> Any:
        outputs = layer(*args, **kwargs)
        calls.append((layer, [*args, *kwargs.values()], outputs))
        return outputs

    # In a copy, because a layer's own record holds only the first of its calls, which may have been
    # in another model.
    copy = keras.models.clone_model(
        model_or_layers, clone_function=linear_copy, call_function=call_and_record
    )
    tensor, layers = copy.inputs[0], []
    for layer, inputs, outputs in calls:
        tensors = [x for x in inputs if isinstance(x, (keras.KerasTensor, list, tuple))]
        if len(tensors) != 1 or tensors[0] is not tensor:
            raise ValueError(
                f"{caller} can follow one chain of layers. Received: a model that branches at "
                f"{layer.name!r}. Measure it by receptive_field_by_gradient."
            )
        if not isinstance(layer, keras.layers.Layer):
            raise ValueError(
                f"{caller} can follow layers only. Received: a model with the operation "
                f"{layer.name!r}. Use a layer in its place, such as keras.layers.ReLU, or measure "
                "by receptive_field_by_gradient."
            )
        tensor = outputs
        layers += open_chain(layer, caller)
    return layers


def list_members(model_or_layers: Layers) -> list[keras.layers.Layer]:
    if isinstance(model_or_layers, keras.Sequential):
        return list(model_or_layers.layers)
    members = (
        list(model_or_layers) if isinstance(model_or_layers, (tuple, list)) else [model_or_layers]
    )
    for member in members:
        if not isinstance(member, keras.layers.Layer):
            raise TypeError(
                "Expected a Keras model, a layer or a list of layers. Received: "
                f"{type(member).__name__}. Write for example [Conv2D(1, 2), Conv2D(1, 2)]."
            )
    return members


def is_model(member: Any) -> bool:
    return isinstance(member, keras.Model) and not isinstance(member, keras.Sequential)


def check_functional(model: Any, caller: str) -> None:
    if getattr(model, "inputs", None) is None:
        raise TypeError(
            f"{caller} expected a Sequential or functional keras.Model. Received: "
            f"{type(model).__name__}, whose layers have no fixed order. Give its layers as a list."
        )
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ValueError(
            f"{caller} expected a model of one input and one output. Received: "
            f"{len(model.inputs)} and {len(model.outputs)}. Make one for the two of interest: "
            "keras.Model(model.inputs[0], model.outputs[0])."
        )


def find_input_shape(input_shape: tuple[int, ...] | None, model_or_layers: Layers) -> Shape | None:
    """The shape without the batch: as given, or the model's own."""
    if input_shape is None:
        inputs = getattr(model_or_layers, "inputs", None)
        return tuple(inputs[0].shape[1:]) if inputs else None
    if not isinstance(input_shape, (tuple, list)) or len(input_shape) != 3:
        raise ValueError(
            "`input_shape` must be (height, width, channels), without the batch. Received: "
            f"input_shape={input_shape}."
        )
    return tuple(input_shape)


def find_size(
    input_shape: tuple[int, ...] | None,
    model_or_layers: Layers,
    layers: Sequence[keras.layers.Layer],
) -> tuple[int | None, int | None]:
    """Height and width of the input, as far as they are known."""
    shape = find_input_shape(input_shape, model_or_layers)
    if shape is None or len(shape) != 3:
        return None, None
    return (
        (shape[0], shape[1])
        if find_data_format(layers) == "channels_last"
        else (shape[1], shape[2])
    )


def find_data_format(layers: Sequence[keras.layers.Layer]) -> str:
    for layer in layers:
        if getattr(layer, "layers", None):
            return find_data_format(layer.layers)
        if hasattr(layer, "data_format"):
            return str(layer.data_format)
    return str(keras.config.image_data_format())


def make_linear_copy(model_or_layers: Layers, shape: Shape, caller: str) -> keras.Model:
    inputs = keras.Input(tuple(shape), name="image")
    outputs = inputs
    for place, member in enumerate(list_members(model_or_layers)):
        if is_model(member):
            check_functional(member, caller)
        # Layers of several models may have the same name, or be the same.
        outputs = keras.Sequential([linear_copy(member)], name=f"copy_{place}")(outputs)
    return keras.Model(inputs, outputs, name="copy")


def linear_copy(layer: keras.layers.Layer) -> keras.layers.Layer:
    """A copy with the same windows, without activations, and with means in place of maxima."""
    if isinstance(layer, keras.Sequential):
        return keras.Sequential([linear_copy(member) for member in layer.layers], name=layer.name)
    if is_model(layer) and getattr(layer, "inputs", None) is not None:
        return keras.models.clone_model(layer, clone_function=linear_copy)
    if isinstance(layer, POINTWISE):
        return keras.layers.Identity(name=layer.name)
    if not isinstance(layer, keras.layers.Layer):  # an operation between layers, such as x + y
        return type(layer).from_config(layer.get_config())
    # Weights come later. Initializers that draw would move Python's random numbers on.
    zeros = {key: "zeros" for key in layer.get_config() if key.endswith("_initializer")}
    config = {**layer.get_config(), **zeros, "dtype": "float32"}
    if "activation" in config:
        config["activation"] = "linear"
    if "algorithm" in config:  # some leave a rounding error where an output sees nothing
        config["algorithm"] = "definition"
    kind = type(layer)
    if isinstance(layer, keras.layers.MaxPooling2D):
        kind = AveragePooling2D
    elif isinstance(layer, keras.layers.GlobalMaxPooling2D):
        kind = keras.layers.GlobalAveragePooling2D
    return kind.from_config(config)


def draw_positive(rng: np.random.Generator, weight: Any) -> np.ndarray:
    """Values for a weight of the copy: random, so that branches do not cancel each other."""
    values = rng.uniform(0.5, 1.5, weight.shape).astype("float32")
    if weight.name == "moving_mean":
        return 0 * values
    if values.ndim < 2:
        return values
    # Not too small at the rim of a deep stack, nor too large in its middle.
    channels = 1 if "depthwise" in weight.path else values.shape[-2]
    return values / (channels * np.sqrt(np.prod(values.shape[:-2])))
