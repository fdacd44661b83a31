"""What tests need to be the same for TensorFlow, JAX and PyTorch (make test KERAS_BACKEND=jax)."""

import hypothesis
import keras
import numpy as np

BACK_END = keras.backend.backend()


def numbers(tensor):
    """A NumPy array of a tensor, even of one that takes part in a gradient, or is of bfloat16."""
    if not keras.ops.is_tensor(tensor):
        return np.asarray(tensor)
    if type_of(tensor) == "bfloat16":  # NumPy has none
        tensor = keras.ops.cast(tensor, "float32")
    return keras.ops.convert_to_numpy(tensor)


def type_of(tensor):
    """The name of the type of its numbers."""
    return keras.backend.standardize_dtype(tensor.dtype)


def assert_close(actual, expected, rtol=1e-7, atol=0.0):
    # In 64 bits, or the difference of two numbers of 16 bits would be rounded itself.
    actual, expected = (numbers(it).astype("float64") for it in (actual, expected))
    np.testing.assert_allclose(actual, expected, rtol=rtol, atol=atol)


def assert_equal(actual, expected):
    np.testing.assert_array_equal(numbers(actual), numbers(expected))


def examples(count):
    """How many random settings are tried: no more than conftest.py allows on this back end."""
    return min(count, hypothesis.settings.default.max_examples)


def gradients(function, arrays):
    """The derivatives of a number with respect to several arrays."""
    tensors = [keras.ops.convert_to_tensor(array) for array in arrays]
    if BACK_END == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(tensors)
            result = function(*tensors)
        found = tape.gradient(result, tensors)
    elif BACK_END == "jax":
        import jax

        # In one: JAX would compile each operation for each shape.
        found = jax.jit(jax.grad(function, argnums=tuple(range(len(tensors)))))(*tensors)
    else:
        import torch

        tensors = [tensor.detach().requires_grad_() for tensor in tensors]
        found = torch.autograd.grad(function(*tensors), tensors)
    return [numbers(gradient) for gradient in found]
