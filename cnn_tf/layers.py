"""Convolution and pooling layers: Keras's contract around the arithmetic of `functional`.

Each class but `LocallyConnected2D` inherits from the Keras layer of the same name and replaces its
arithmetic, so that everything a Keras user knows (policies, groups, LoRA, saving, export) is there.
It adds what that layer cannot do: padding given as numbers, and padding other than with zeros.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from cnn_tf._convolution import standardize_algorithm
from cnn_tf.arguments import (
    Padding,
    Size,
    check_int,
    check_padding_fits,
    check_pooling_padding,
    standardize_padding,
    standardize_padding_mode,
    standardize_pair,
)
from cnn_tf.functional import Tensor, average_pool, correlate, max_pool, output_size

Shape = tuple[int | None, ...]


class _ImageLayer(keras.layers.Layer):
    """What the layers of this file have in common: batches of images, padded by number."""

    def __call__(self, inputs: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        # Before Keras's own check, whose message names no remedy.
        self._check_inputs(inputs)
        return super().__call__(inputs, *args, **kwargs)

    def _check_inputs(self, inputs: Tensor) -> None:
        if not hasattr(inputs, "shape"):
            raise TypeError(
                f"Layer {self.name!r} expected a tensor or an array. Received: inputs of type "
                f"{type(inputs).__name__}. Convert them first, for example by "
                "np.asarray(inputs, dtype='float32')."
            )
        self._check_rank(tuple(inputs.shape))

    def _check_rank(self, shape: Shape) -> None:
        axes = "h, w, channels" if self.data_format == "channels_last" else "channels, h, w"
        if len(shape) != 4:
            raise ValueError(
                f"Layer {self.name!r} expected a batch of images of shape (batch, {axes}). "
                f"Received: inputs of shape {shape}. Add the missing axis, for example by "
                "x[None, ...] for the batch or x[..., None] for the channels."
            )

    def _check_float(self, inputs: Tensor) -> None:
        dtype = str(getattr(inputs.dtype, "name", inputs.dtype)).removeprefix("torch.")
        if "float" not in dtype:
            raise TypeError(
                f"Layer {self.name!r} expected floats. Received: inputs of dtype {dtype}. "
                "Convert them first, for example by x.astype('float32') / 255 for 8-bit images, "
                "or put a keras.layers.Rescaling(1 / 255) before this layer."
            )

    def _channels_last(self, function: Callable[[Tensor], Tensor], inputs: Tensor) -> Tensor:
        """Apply a channels-last function to inputs of this layer's data format."""
        if self.data_format == "channels_last":
            return function(inputs)
        return ops.transpose(function(ops.transpose(inputs, (0, 2, 3, 1))), (0, 3, 1, 2))

    def _size(self, input_shape: Shape) -> Shape:
        self._check_rank(input_shape)
        return tuple(input_shape[1:3] if self.data_format == "channels_last" else input_shape[2:4])

    def _output_shape(
        self,
        input_shape: Shape,
        window: Size,
        channels: int | None = None,
        dilation_rate: Size = (1, 1),
    ) -> Shape:
        spatial = self._size(input_shape)
        size = output_size(spatial, window, self.padding, self.strides, dilation_rate)
        last = self.data_format == "channels_last"
        channels = channels or input_shape[3 if last else 1]
        return (input_shape[0], *size, channels) if last else (input_shape[0], channels, *size)


@keras.saving.register_keras_serializable(package="cnn_tf")
class Conv2D(_ImageLayer, keras.layers.Conv2D):
    r"""2-D convolution layer with padding given as numbers, its arithmetic written out.

    $$Y_{n,i,j,d} = b_d + \sum_{a,b,c} K_{a,b,c,d}\, X_{n,\,s_h i + a,\,s_w j + b,\,c}$$

    for the padded input $X$, without dilation and groups. A drop-in for `keras.layers.Conv2D`:
    the arguments that are not explained here mean what they mean there, and the weights have the
    same names and shapes.

    Args:
        filters: Number of output channels.
        kernel_size: Height and width of the window, an int or a pair.
        strides: Steps between windows, an int or a pair.
        padding: `"valid"` (none), `"same"`, an int for the cells added on each side, a pair
            (rows, columns), or ((top, bottom), (left, right)).
        padding_mode: What the added cells hold: `"zeros"`, `"reflect"`, `"symmetric"`,
            `"circular"` or `"replicate"`. It goes with `"same"` too.
        algorithm: How it is computed, one of the names in `cnn_tf.functional.correlate`. `None`
            for the one that suits the shapes.

    Shapes:
        `(batch, h, w, c_i)` -> `(batch, out_h, out_w, filters)`; kernel
        `(k_h, k_w, c_i // groups, filters)`, bias `(filters,)`. With
        `data_format="channels_first"` the channels come after the batch. `output_size` gives
        `out_h` and `out_w`.

    Returns:
        The layer; called on a batch, a tensor of its compute type. A NaN or an infinity may reach
        outputs beside those that see it, but never with `algorithm="definition"`: see
        `cnn_tf.functional.correlate`.

    Raises:
        ValueError: An argument out of its range, an input of another rank or number of channels,
            a window larger than the padded input, or more cells to copy than the input has.
        TypeError: Integer inputs; `filters`, a size or a padding that is not made of integers.

    Source:
        LeCun et al. (1998), *Gradient-based learning applied to document recognition*.

    Example:
        >>> import numpy as np
        >>> from cnn_tf import Conv2D
        >>> layer = Conv2D(1, (3, 5), padding=(0, 1), strides=(3, 4))
        >>> tuple(layer(np.zeros((1, 8, 8, 1), "float32")).shape)
        (1, 2, 2, 1)
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Size,
        strides: Size = (1, 1),
        padding: Padding = "valid",
        data_format: str | None = None,
        dilation_rate: Size = (1, 1),
        groups: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        padding_mode: str = "zeros",
        algorithm: str | None = None,
        **kwargs: Any,
    ) -> None:
        check_int(filters, "filters", minimum=1)
        check_int(groups, "groups")  # its range, and all else, is checked by Keras
        try:
            super().__init__(
                filters,
                kernel_size,
                strides=strides,
                padding="valid",
                data_format=data_format,
                dilation_rate=dilation_rate,
                groups=groups,
                activation=activation,
                use_bias=use_bias,
                kernel_initializer=kernel_initializer,
                bias_initializer=bias_initializer,
                kernel_regularizer=kernel_regularizer,
                bias_regularizer=bias_regularizer,
                activity_regularizer=activity_regularizer,
                kernel_constraint=kernel_constraint,
                bias_constraint=bias_constraint,
                **kwargs,
            )
        except ValueError as error:
            if "not supported in conjunction" in str(error):  # Keras names no remedy
                raise ValueError(f"{error}. Set one of the two to 1.") from None
            raise
        # Keras lets True and (2.5, 2.5) pass here.
        for name in ("kernel_size", "strides", "dilation_rate"):
            setattr(self, name, standardize_pair(getattr(self, name), name))
        self.padding = standardize_padding(padding)
        self.padding_mode = standardize_padding_mode(padding_mode)
        self.algorithm = standardize_algorithm(algorithm)

    def call(self, inputs: Tensor) -> Tensor:
        """Cross-correlate a batch, add the bias, apply the activation."""
        if type(self).convolution_op is not Conv2D.convolution_op:
            return super().call(inputs)  # a subclass has arithmetic of its own
        outputs = self._correlate(inputs, self.kernel, self.bias if self.use_bias else None)
        return outputs if self.activation is None else self.activation(outputs)

    def convolution_op(self, inputs: Tensor, kernel: Tensor) -> Tensor:
        """Cross-correlate the inputs with the kernel: for subclasses that change the kernel."""
        return self._correlate(inputs, kernel, bias=None)

    def _correlate(self, inputs: Tensor, kernel: Tensor, bias: Tensor | None) -> Tensor:
        def correlate_batch(x: Tensor) -> Tensor:
            return correlate(
                x,
                kernel,
                strides=self.strides,
                padding=self.padding,
                padding_mode=self.padding_mode,
                dilation_rate=self.dilation_rate,
                groups=self.groups,
                bias=bias,
                algorithm=self.algorithm,
            )

        return self._channels_last(correlate_batch, inputs)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Shape of the output; `None` stays where a size is not known."""
        window = (self.kernel_size, self.padding, self.strides, self.dilation_rate)
        check_padding_fits(self._size(input_shape), *window, self.padding_mode)
        return self._output_shape(input_shape, self.kernel_size, self.filters, self.dilation_rate)

    def get_config(self) -> dict[str, Any]:
        """Arguments that make such a layer again."""
        more = {"padding_mode": self.padding_mode, "algorithm": self.algorithm}
        return {**super().get_config(), **more}

    def _check_inputs(self, inputs: Tensor) -> None:
        super()._check_inputs(inputs)
        self._check_float(inputs)
        shape, axis = tuple(inputs.shape), -1 if self.data_format == "channels_last" else 1
        if not self.built and shape[axis] is None:
            raise ValueError(
                f"Layer {self.name!r} expected a known number of channels, which the kernel's "
                f"shape depends on. Received: inputs of shape {shape}. Give it in keras.Input."
            )
        if self.built:
            expected = self.input_spec.axes[axis]
            if shape[axis] not in (expected, None):
                raise ValueError(
                    f"Layer {self.name!r} was built for {expected} input channels. Received: "
                    f"inputs of shape {shape}, which have {shape[axis]} "
                    f"(data_format={self.data_format!r}). Use a new layer for them."
                )


class _PoolingLayer(_ImageLayer):
    def _set_padding(self, padding: Padding) -> None:
        # Keras lets True, (2.5, 2.5) and strides of 0 pass here.
        for name in ("pool_size", "strides"):
            setattr(self, name, standardize_pair(getattr(self, name), name))
        self.padding = standardize_padding(padding)
        check_pooling_padding(self.pool_size, self.padding)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Shape of the output; `None` stays where a size is not known."""
        return self._output_shape(input_shape, self.pool_size)


@keras.saving.register_keras_serializable(package="cnn_tf")
class MaxPooling2D(_PoolingLayer, keras.layers.MaxPooling2D):
    r"""Max pooling layer with padding given as numbers, its arithmetic written out.

    $$Y_{n,i,j,c} = \max_{0 \le a < k_h,\; 0 \le b < k_w} X_{n,\,s_h i + a,\,s_w j + b,\,c}$$

    for the padded input $X$ and `pool_size` $(k_h, k_w)$. A drop-in for
    `keras.layers.MaxPooling2D`, also called `MaxPool2D`.

    Args:
        pool_size: Height and width of the window, an int or a pair.
        strides: Steps between windows, an int or a pair. `None` means `pool_size`.
        padding: `"valid"` (none), `"same"`, an int for the cells added on each side, a pair
            (rows, columns), or ((top, bottom), (left, right)); less than the window. A padded
            cell never wins.
        data_format: `"channels_last"` or `"channels_first"`. `None` means Keras's setting.

    Shapes:
        `(batch, h, w, c)` -> `(batch, out_h, out_w, c)`.

    Returns:
        The layer; called on a batch, a tensor. Where cells tie, the first gets the gradient.

    Raises:
        ValueError: An argument out of its range, an input of another rank, a window larger than
            the padded input, or a padding as wide as the window.
        TypeError: A padding that is not made of integers.

    Source:
        Riesenhuber and Poggio (1999), *Hierarchical models of object recognition in cortex*.

    Example:
        >>> import numpy as np
        >>> from cnn_tf import MaxPooling2D
        >>> x = np.arange(16, dtype="float32").reshape(1, 4, 4, 1)
        >>> print(np.asarray(MaxPooling2D(3, strides=2, padding=1)(x))[0, :, :, 0])
        [[ 5.  7.]
         [13. 15.]]
    """

    def __init__(
        self,
        pool_size: Size = (2, 2),
        strides: Size | None = None,
        padding: Padding = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(pool_size, strides, data_format=data_format, name=name, **kwargs)
        self._set_padding(padding)

    def call(self, inputs: Tensor) -> Tensor:
        """Pool a batch."""

        def pool(x: Tensor) -> Tensor:
            return max_pool(x, self.pool_size, self.strides, self.padding)

        return self._channels_last(pool, inputs)


@keras.saving.register_keras_serializable(package="cnn_tf")
class AveragePooling2D(_PoolingLayer, keras.layers.AveragePooling2D):
    r"""Average pooling layer with padding given as numbers, its arithmetic written out.

    $$Y_{n,i,j,c} = \frac{1}{k_h k_w} \sum_{a=0}^{k_h-1} \sum_{b=0}^{k_w-1}
      X_{n,\,s_h i + a,\,s_w j + b,\,c}$$

    for `pool_size` $(k_h, k_w)$; a window that reaches into the padding is divided by the number
    of its cells that lie in the input, unless `count_include_pad`. A drop-in for
    `keras.layers.AveragePooling2D`, also called `AvgPool2D`.

    Args:
        pool_size: Height and width of the window, an int or a pair.
        strides: Steps between windows, an int or a pair. `None` means `pool_size`.
        padding: `"valid"` (none), `"same"`, an int for the cells added on each side, a pair
            (rows, columns), or ((top, bottom), (left, right)); less than the window.
        data_format: `"channels_last"` or `"channels_first"`. `None` means Keras's setting.
        count_include_pad: Whether padded cells count in a mean, as zeros. By default they do not,
            as in Keras's layer on TensorFlow and JAX; on PyTorch that layer agrees
            where both sides are padded alike, and otherwise repeats the border.

    Shapes:
        `(batch, h, w, c)` -> `(batch, out_h, out_w, c)`.

    Returns:
        The layer; called on a batch, a tensor of its compute type.

    Raises:
        ValueError: An argument out of its range, an input of another rank, a window larger than
            the padded input, or a padding as wide as the window.
        TypeError: Integer inputs, or a padding that is not made of integers.

    Source:
        LeCun et al. (1998), *Gradient-based learning applied to document recognition*.

    Example:
        >>> import numpy as np
        >>> from cnn_tf import AveragePooling2D
        >>> x = np.arange(16, dtype="float32").reshape(1, 4, 4, 1)
        >>> print(np.asarray(AveragePooling2D(2)(x))[0, :, :, 0])
        [[ 2.5  4.5]
         [10.5 12.5]]
    """

    def __init__(
        self,
        pool_size: Size = (2, 2),
        strides: Size | None = None,
        padding: Padding = "valid",
        data_format: str | None = None,
        name: str | None = None,
        count_include_pad: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(pool_size, strides, data_format=data_format, name=name, **kwargs)
        self._set_padding(padding)
        self.count_include_pad = bool(count_include_pad)

    def call(self, inputs: Tensor) -> Tensor:
        """Pool a batch."""

        def pool(x: Tensor) -> Tensor:
            return average_pool(
                x, self.pool_size, self.strides, self.padding, self.count_include_pad
            )

        return self._channels_last(pool, inputs)

    def get_config(self) -> dict[str, Any]:
        """Arguments that make such a layer again."""
        return {**super().get_config(), "count_include_pad": self.count_include_pad}

    def _check_inputs(self, inputs: Tensor) -> None:
        super()._check_inputs(inputs)
        self._check_float(inputs)


MaxPool2D = MaxPooling2D
AvgPool2D = AveragePooling2D


@keras.saving.register_keras_serializable(package="cnn_tf")
class LocallyConnected2D(keras.layers.Layer):
    r"""Convolution layer without weight sharing, and so without equivariance to translation.

    $$Y_{n,i,j,d} = u_{i,j,d} + \sum_{a,b,c} V_{i,j,a,b,c,d}\, X_{n,\,s_h i + a,\,s_w j + b,\,c}$$

    Each place $(i, j)$ has a kernel and a bias of its own. It serves to measure what sharing
    gains; Keras had a layer of this name until version 2.

    Args:
        filters: Output channels.
        kernel_size: Height and width of the window, an int or a pair.
        strides: Steps between windows, an int or a pair.
        activation: Non-linearity after it, by name or as a function.
        kernel_initializer: How the weights start. A rule that counts inputs, such as He's, counts
            those of one window.

    Shapes:
        `(batch, h, w, c)` -> `(batch, out_h, out_w, filters)`; the kernel
        `(k_h * k_w * c, out_h * out_w * filters)`. The size of the image must be known.

    Returns:
        The layer; called on a batch, a tensor.

    Raises:
        ValueError: An argument out of its range, an image of unknown size, or smaller than the
            window.
        TypeError: `filters` that are no integer.

    Source:
        LeCun (1989), *Generalization and network design strategies*, compares such a layer with
        shared weights.

    Example:
        >>> import numpy as np
        >>> from cnn_tf.layers import LocallyConnected2D
        >>> layer = LocallyConnected2D(2, 3)
        >>> tuple(layer(np.ones((1, 5, 4, 1), "float32")).shape), layer.count_params()
        ((1, 3, 2, 2), 120)
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Size,
        strides: Size = 1,
        activation: Any = None,
        kernel_initializer: Any = "glorot_uniform",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_int(filters, "filters", minimum=1)
        self.filters = int(filters)
        self.kernel_size = standardize_pair(kernel_size, "kernel_size")
        self.strides = standardize_pair(strides, "strides")
        self.activation = keras.activations.get(activation)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def build(self, input_shape: Any) -> None:
        """Make a kernel for each place."""
        if None in input_shape[1:]:
            raise ValueError(
                f"Layer {self.name!r} needs to know the size of its images: it has a kernel "
                f"for each place. Received: inputs of shape {tuple(input_shape)}. Give the size, "
                "for example by keras.Input((28, 28, 1))."
            )
        out_h, out_w = self._places(input_shape)
        (k_h, k_w), channels = self.kernel_size, input_shape[-1]
        self.input_spec = keras.layers.InputSpec(shape=(None, *input_shape[1:]))
        self.kernel = self.add_weight(
            name="kernel",
            shape=(k_h * k_w * channels, out_h * out_w * self.filters),
            initializer=self.kernel_initializer,
        )
        self.bias = self.add_weight(
            name="bias", shape=(out_h, out_w, self.filters), initializer="zeros"
        )

    def call(self, inputs: Tensor) -> Tensor:
        """Multiply each window of a batch by its own kernel."""
        (out_h, out_w), filters = self._places(inputs.shape), self.filters
        (k_h, k_w), (s_h, s_w) = self.kernel_size, self.strides
        rows = s_h * np.arange(out_h)[:, None] + np.arange(k_h)
        columns = s_w * np.arange(out_w)[:, None] + np.arange(k_w)
        x = ops.take(ops.take(inputs, columns, axis=2), rows, axis=1)
        x = ops.transpose(x, (1, 3, 0, 2, 4, 5))  # (out_h, out_w, batch, k_h, k_w, c)
        depth = self.kernel.shape[0]
        x = ops.reshape(x, (out_h * out_w, -1, depth))
        kernel = ops.reshape(self.kernel, (depth, out_h * out_w, filters))
        y = ops.matmul(x, ops.transpose(kernel, (1, 0, 2)))  # (places, batch, filters)
        y = ops.reshape(ops.transpose(y, (1, 0, 2)), (-1, out_h, out_w, filters))
        return self.activation(y + self.bias)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Shape of the output."""
        return (input_shape[0], *self._places(input_shape), self.filters)

    def _places(self, input_shape: Any) -> Any:
        """Rows and columns of windows."""
        return output_size(tuple(input_shape[1:3]), self.kernel_size, strides=self.strides)

    def get_config(self) -> dict[str, Any]:
        """Arguments that make such a layer again."""
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "activation": keras.activations.serialize(self.activation),
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }
