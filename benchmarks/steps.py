"""A layer as a function that is timed, on each back end: a step of training, and a prediction."""

import importlib
from typing import Any

import keras

from benchmarks.measure import Run

Shape = tuple[int, ...]
BACKEND = keras.backend.backend()
# Whether XLA compiles. In a graph of TensorFlow it may or may not; JAX always does here, and
# PyTorch, which has another compiler, never.
COMPILED = {"tensorflow": (False, True), "jax": (True,), "torch": (False,)}[BACKEND]
if BACKEND == "tensorflow":
    import tensorflow as tf
else:
    engine: Any = importlib.import_module(BACKEND)


def training(layer: keras.layers.Layer, shape: Shape, jit: bool) -> Run:
    """A function that runs a layer forward, and backward to all that goes in, on fixed inputs."""
    x, weights, upstream = _inputs(layer, shape)
    if BACKEND == "tensorflow":

        @tf.function(jit_compile=jit)
        def gradients() -> object:
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = layer(x)
            return y, tape.gradient(y, [x, *weights], upstream)

        # What is read waits for all that was started.
        return lambda: [gradient.numpy().ravel()[0] for gradient in gradients()[1]]
    if BACKEND == "jax":

        @engine.jit
        def compiled(x: Any, weights: Any) -> object:
            y, to_inputs = engine.vjp(lambda x, w: layer.stateless_call(w, [], x)[0], x, weights)
            return y, to_inputs(upstream)

        return lambda: engine.block_until_ready(compiled(x, weights))
    x.requires_grad_(True)
    return lambda: engine.autograd.grad(layer(x), [x, *weights], upstream)


def prediction(layer: keras.layers.Layer, shape: Shape, jit: bool) -> Run:
    """A function that runs a layer forward, on fixed inputs."""
    x, weights, _ = _inputs(layer, shape)
    if BACKEND == "tensorflow":
        graph = tf.function(lambda: layer(x), jit_compile=jit)
        return lambda: graph().numpy().ravel()[0]
    if BACKEND == "jax":
        compiled = engine.jit(lambda x, w: layer.stateless_call(w, [], x)[0])
        return lambda: engine.block_until_ready(compiled(x, weights))

    def run() -> object:
        with engine.no_grad():
            return layer(x)

    return run


def _inputs(layer: keras.layers.Layer, shape: Shape) -> tuple[Any, list[Any], Any]:
    """Images, the weights as tensors, and a gradient of the outputs."""
    layer.build(shape)
    x = keras.random.normal(shape, seed=0)
    upstream = keras.random.normal(layer.compute_output_shape(shape), seed=1)
    return x, [weight.value for weight in layer.trainable_weights], upstream
