"""LeNet, the best network of its size, a dense one, and a table of what flows through a network."""

import contextlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import keras

from cnn_tf.arguments import Size, check_int
from cnn_tf.layers import AveragePooling2D, Conv2D, MaxPooling2D

POOLING = {"avg": AveragePooling2D, "max": MaxPooling2D}


def LeNet(  # noqa: N802 - Keras names the functions that make its models like this: VGG16, ResNet50
    num_classes: int = 10,
    *,
    input_shape: tuple[int, int, int] = (28, 28, 1),
    filters: tuple[int, ...] = (6, 16),
    kernel_size: Size = 5,
    units: tuple[int, ...] = (120, 84),
    activation: Any = "sigmoid",
    pooling: str = "avg",
    kernel_initializer: Any = "glorot_uniform",
    batch_normalization: bool = False,
    dtype: Any = None,
    name: str = "lenet",
) -> keras.Sequential:
    """Build LeNet: two blocks of convolution and pooling, then three dense layers.

    With its defaults it is the network of the book, of 61,706 parameters: 5x5 convolutions to 6
    and to 16 channels, the first with two cells of padding, each followed by a sigmoid and by
    2x2 average pooling; dense layers of 120, 84 and 10. The other arguments are what one changes
    in experiments.

    Args:
        num_classes: Number of classes, the size of the output.
        input_shape: Height, width and channels of an image.
        filters: Output channels of each convolution. The first is padded to keep the size.
        kernel_size: Height and width of each convolution's window, an int or a pair.
        units: Sizes of the hidden dense layers.
        activation: Non-linearity after each hidden layer, by name or as a function.
        pooling: `"avg"` or `"max"`.
        kernel_initializer: How the weights start; Xavier's (Glorot's) uniform by default.
        batch_normalization: Whether the sums of each hidden layer are normalised over the batch
            before the activation.
        dtype: What it computes in: a dtype or a policy of Keras, such as `"mixed_bfloat16"`; `None`
            means Keras's own, `keras.config.dtype_policy()`. Logits are of the weights' type.
        name: Name of the model.

    Shapes:
        `(batch, 28, 28, 1)` -> `(batch, num_classes)`. The output holds logits: the softmax is
        left to the loss, `SparseCategoricalCrossentropy(from_logits=True)`.

    Returns:
        A `keras.Sequential`, built, not compiled. `fit` compiles and trains it.

    Raises:
        ValueError: An argument out of its range, or an image too small for the layers.
        TypeError: A number that is not an integer, `filters` or `units` that are not a tuple.

    Source:
        LeCun et al. (1998), *Gradient-based learning applied to document recognition*. The book's
        section on LeNet says where this network differs from the original.

    Example:
        >>> from cnn_tf import LeNet
        >>> LeNet().count_params()
        61706
    """
    check_int(num_classes, "num_classes", minimum=1)
    if pooling not in POOLING:
        raise ValueError(f"`pooling` must be 'avg' or 'max'. Received: pooling={pooling!r}.")
    _check_input_shape(input_shape)
    _check_sizes("filters", filters)
    _check_sizes("units", units)

    with _policy(dtype):
        model = keras.Sequential([keras.Input(input_shape)], name=name)
        for block, channels in enumerate(filters):
            conv = partial(
                Conv2D,
                channels,
                kernel_size,
                padding="same" if block == 0 else "valid",
                kernel_initializer=kernel_initializer,
                data_format="channels_last",
                name=f"conv{block + 1}",
            )
            _add_hidden(model, conv, activation, batch_normalization)
            model.add(POOLING[pooling](2, data_format="channels_last", name=f"pool{block + 1}"))
        model.add(keras.layers.Flatten(data_format="channels_last", name="flatten"))
        _add_dense(model, units, num_classes, activation, kernel_initializer, batch_normalization)
        return model


def SmallResNet(  # noqa: N802 - see LeNet
    num_classes: int = 10,
    *,
    input_shape: tuple[int, int, int] = (28, 28, 1),
    filters: tuple[int, int] = (32, 45),
    dtype: Any = None,
    name: str = "small_resnet",
) -> keras.Model:
    r"""Build a small residual network: the best one of the book, no larger than LeNet.

    With its defaults it has 60,903 parameters, running means and variances included. Six
    convolutions with 3x3 windows take the place of two with 5x5. What some of them compute is
    added to what they were given,

    $$Y = \mathrm{ReLU}(X + F(X))$$

    Each convolution is followed by batch normalisation. Maxima halve the map twice, and at the end
    the mean and the maximum of each map take the place of LeNet's dense layers, which hold nineteen
    of twenty of its parameters.

    Args:
        num_classes: Number of classes, the size of the output.
        input_shape: Height, width and channels of an image.
        filters: Channels before and after the map is halved for the second time.
        dtype: What it computes in: a dtype or a policy of Keras, such as `"mixed_bfloat16"`; `None`
            means Keras's own, `keras.config.dtype_policy()`. Logits are of the weights' type.
        name: Name of the model.

    Shapes:
        `(batch, 28, 28, 1)` -> `(batch, num_classes)`. The output holds logits, as LeNet's does.

    Returns:
        A functional `keras.Model`, built, not compiled. `cnn_tf.recipes.small_resnet_recipe`
        gives a recipe to train it by.

    Raises:
        ValueError: An argument out of its range, or an image too small for the layers.
        TypeError: A number that is not an integer, `filters` that are not a tuple.

    Source:
        He et al. (2016), *Deep residual learning for image recognition*.

    Example:
        >>> from cnn_tf import SmallResNet
        >>> SmallResNet().count_params()
        60903
    """
    check_int(num_classes, "num_classes", minimum=1)
    _check_input_shape(input_shape)
    _check_sizes("filters", filters)
    if len(filters) != 2:
        raise ValueError(f"`filters` must be a pair of ints. Received: filters={filters}.")

    def normed(x: Any, channels: int, name: str, *, pool: bool = False) -> Any:
        """A convolution and its normalisation, with or without maxima in between."""
        conv = Conv2D(
            channels,
            3,
            padding="same",
            use_bias=False,  # the normalisation takes the mean away, and adds its own
            kernel_initializer="he_normal",
            data_format="channels_last",
            name=name,
        )
        x = conv(x)
        if pool:  # before the normalisation, which then has a quarter to do
            x = MaxPooling2D(2, data_format="channels_last", name=f"{name}_pool")(x)
        return keras.layers.BatchNormalization(momentum=0.9, name=f"{name}_norm")(x)

    def rectified(x: Any, name: str) -> Any:
        return keras.layers.Activation("relu", name=f"{name}_relu")(x)

    def added(x: Any, change: Any, name: str) -> Any:
        return rectified(keras.layers.Add(name=f"{name}_sum")([x, change]), name)

    with _policy(dtype):
        few, many = map(int, filters)
        inputs = keras.Input(input_shape)
        x = rectified(normed(inputs, few, "conv1", pool=True), "conv1")
        x = rectified(normed(x, few, "conv2"), "conv2")
        change = rectified(normed(x, few, "conv3"), "conv3")
        x = added(x, normed(change, few, "conv4"), "conv4")
        x = MaxPooling2D(2, data_format="channels_last", name="conv4_pool")(x)
        x = rectified(normed(x, many, "conv5"), "conv5")
        x = added(x, normed(x, many, "conv6"), "conv6")
        mean, largest = (
            pool(tuple(x.shape[1:3]), data_format="channels_last", name=name)(x)
            for name, pool in (("mean", AveragePooling2D), ("max", MaxPooling2D))
        )
        x = keras.layers.Concatenate(name="mean_and_max")([mean, largest])
        x = keras.layers.Flatten(data_format="channels_last", name="flatten")(x)
        return keras.Model(inputs, _logits(num_classes)(x), name=name)


def MLP(  # noqa: N802 - see LeNet
    num_classes: int = 10,
    *,
    input_shape: tuple[int, ...] = (28, 28, 1),
    units: tuple[int, ...] = (77,),
    activation: Any = "sigmoid",
    kernel_initializer: Any = "glorot_uniform",
    batch_normalization: bool = False,
    dtype: Any = None,
    name: str = "mlp",
) -> keras.Sequential:
    """Build a multilayer perceptron: dense layers only, the yardstick for LeNet.

    With its defaults it has about as many parameters as `LeNet()`. Without hidden layers,
    `units=()`, it is softmax regression.

    Args:
        num_classes: Number of classes, the size of the output.
        input_shape: Shape of an image, of which all numbers are put into one row.
        units: Sizes of the hidden layers.
        activation: Non-linearity after each hidden layer, by name or as a function.
        kernel_initializer: How the weights start; Xavier's (Glorot's) uniform by default.
        batch_normalization: Whether the sums of each hidden layer are normalised over the batch
            before the activation.
        dtype: What it computes in: a dtype or a policy of Keras, such as `"mixed_bfloat16"`; `None`
            means Keras's own, `keras.config.dtype_policy()`. Logits are of the weights' type.
        name: Name of the model.

    Shapes:
        `(batch, 28, 28, 1)` -> `(batch, num_classes)`. The output holds logits, as LeNet's does.

    Returns:
        A `keras.Sequential`, built, not compiled. `fit` compiles and trains it.

    Raises:
        ValueError: A number out of its range.
        TypeError: A number that is not an integer, `units` that are not a tuple.

    Source:
        Rumelhart, Hinton and Williams (1986), *Learning representations by back-propagating
        errors*.

    Example:
        >>> from cnn_tf import MLP
        >>> MLP().count_params(), MLP(units=()).count_params()
        (61225, 7850)
    """
    check_int(num_classes, "num_classes", minimum=1)
    _check_sizes("units", units)
    with _policy(dtype):
        model = keras.Sequential([keras.Input(input_shape)], name=name)
        model.add(keras.layers.Flatten(name="flatten"))
        _add_dense(model, units, num_classes, activation, kernel_initializer, batch_normalization)
        return model


@contextlib.contextmanager
def _policy(dtype: Any) -> Iterator[None]:
    """Make layers of this dtype or policy within the context."""
    before = keras.config.dtype_policy()
    if dtype is not None:
        keras.config.set_dtype_policy(dtype)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _logits(num_classes: int, **settings: Any) -> keras.layers.Dense:
    """The last layer, as exact as the weights are: the loss is computed of its outputs."""
    dtype = keras.config.dtype_policy().variable_dtype
    return keras.layers.Dense(int(num_classes), dtype=dtype, name="logits", **settings)


def _check_input_shape(input_shape: Any) -> None:
    if not isinstance(input_shape, (tuple, list)) or len(input_shape) != 3:
        raise ValueError(
            "`input_shape` must be (height, width, channels), without the batch. Received: "
            f"input_shape={input_shape}."
        )


def _check_sizes(argument: str, sizes: Any) -> None:
    if not isinstance(sizes, (tuple, list)):
        raise TypeError(
            f"`{argument}` must be a tuple of ints, one for each layer. Received: "
            f"{argument}={sizes!r}. For a single layer write ({sizes!r},)."
        )


def _add_dense(
    model: keras.Sequential,
    units: tuple[int, ...],
    num_classes: int,
    activation: Any,
    kernel_initializer: Any,
    batch_normalization: bool,
) -> None:
    """Add the hidden dense layers and the logits."""
    for block, size in enumerate(units):
        name = f"dense{block + 1}"
        dense = partial(keras.layers.Dense, size, kernel_initializer=kernel_initializer, name=name)
        _add_hidden(model, dense, activation, batch_normalization)
    model.add(_logits(num_classes, kernel_initializer=kernel_initializer))


def _add_hidden(
    model: keras.Sequential,
    make: Callable[..., keras.layers.Layer],
    activation: Any,
    batch_normalization: bool,
) -> None:
    """Add a layer with its activation; in between, if wanted, the normalisation."""
    if not batch_normalization:
        model.add(make(activation=activation))
    else:
        layer = make(use_bias=False)  # the normalisation takes the mean away, and adds its own
        model.add(layer)
        # Half of what the running means hold is from the last seven batches: an epoch is enough.
        model.add(keras.layers.BatchNormalization(momentum=0.9, name=f"{layer.name}_norm"))
        model.add(keras.layers.Activation(activation, name=f"{layer.name}_activation"))


class LayerRow(NamedTuple):
    """One layer of a model: its name, its class, its output's shape, its number of weights.

    Example:
        >>> from cnn_tf import LeNet, layer_summary
        >>> layer_summary(LeNet(), (28, 28, 1))[0]
        LayerRow(name='conv1', layer='Conv2D', output_shape=(28, 28, 6), params=156)
    """

    name: str
    layer: str
    output_shape: tuple[int | None, ...]
    params: int


class LayerSummary(tuple[LayerRow, ...]):
    """The rows of `layer_summary`; printed, they are a table.

    Example:
        >>> from cnn_tf import LeNet, layer_summary
        >>> sum(row.params for row in layer_summary(LeNet(), (28, 28, 1)))
        61706
    """

    def __str__(self) -> str:
        lines = [("layer", "class", "output shape", "weights")]
        lines += [
            (row.name, row.layer, " × ".join(map(str, row.output_shape)), f"{row.params:,}")
            for row in self
        ]
        lines.append(("total", "", "", f"{sum(row.params for row in self):,}"))
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join(
            f"{name:<{widths[0]}}  {kind:<{widths[1]}}  {shape:<{widths[2]}}  {params:>{widths[3]}}"
            for name, kind, shape, params in lines
        )

    __repr__ = __str__


def layer_summary(model: keras.Model, input_shape: tuple[int, ...]) -> LayerSummary:
    """List what each layer of a model makes of one input: shapes and numbers of weights.

    Args:
        model: A Sequential or functional model. It is not changed, and need not be built.
        input_shape: Shape of one input, without the batch.

    Shapes:
        `input_shape` such as `(28, 28, 1)`; each row's `output_shape` is without the batch too.

    Returns:
        A tuple of rows `(name, layer, output_shape, params)`, which prints as a table.

    Raises:
        ValueError: The input does not fit the model.
        TypeError: The model is a subclass of `keras.Model`, whose layers have no fixed order.

    Source:
        The shapes follow from `output_size`, layer by layer.

    Example:
        >>> from cnn_tf import LeNet, layer_summary
        >>> print(layer_summary(LeNet(), (28, 28, 1)))
        layer    class             output shape  weights
        conv1    Conv2D            28 × 28 × 6       156
        pool1    AveragePooling2D  14 × 14 × 6         0
        conv2    Conv2D            10 × 10 × 16    2,416
        pool2    AveragePooling2D  5 × 5 × 16          0
        flatten  Flatten           400                 0
        dense1   Dense             120            48,120
        dense2   Dense             84             10,164
        logits   Dense             10                850
        total                                     61,706
    """
    if not isinstance(model, keras.Sequential) and getattr(model, "inputs", None) is None:
        raise TypeError(
            "layer_summary expected a Sequential or functional keras.Model. Received: "
            f"{type(model).__name__}, whose layers have no fixed order. Build the model by "
            "keras.Sequential([...]) or keras.Model(inputs, outputs)."
        )
    if not isinstance(input_shape, (tuple, list)):
        raise TypeError(
            "`input_shape` must be a tuple such as (28, 28, 1), without the batch. Received: "
            f"input_shape={input_shape!r}."
        )
    if model.built and len(model.inputs) != 1:
        raise ValueError(
            "layer_summary expected a model of one input. Received: one of "
            f"{len(model.inputs)}. Use model.summary()."
        )
    # A copy, because a model's own shapes are those of the input it was first called on.
    copy = keras.models.clone_model(model, input_tensors=keras.Input(tuple(input_shape)))
    if model.built and copy.count_params() != model.count_params():
        raise ValueError(
            f"The model's {model.count_params():,} weights do not fit inputs of shape "
            f"{tuple(input_shape)}, which need {copy.count_params():,}. Received: a model built "
            f"for inputs of shape {tuple(model.input_shape[1:])}. Give that shape as "
            "`input_shape`, or build a model for the other."
        )
    return LayerSummary(
        LayerRow(
            layer.name,
            type(layer).__name__,
            tuple(layer.output.shape[1:]),
            layer.count_params(),
        )
        for layer in copy.layers
        if not isinstance(layer, keras.layers.InputLayer)
    )
