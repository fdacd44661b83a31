"""Print the benchmarks: medians of interleaved runs, in one process, order shuffled."""

import argparse
import os
import random
import statistics
import time
from collections.abc import Callable

# Before TensorFlow is imported: its start-up log is not a result.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

import cnn_tf


def compare(title: str, rivals: dict[str, Callable[[], object]], runs: int) -> None:
    """Time each rival `runs` times, all of them in each round, and print medians and ratios.

    The first rival is ours, the second the one it is compared with.
    """
    seconds: dict[str, list[float]] = {name: [] for name in rivals}
    for run in rivals.values():
        run()  # warm up: tracing, caches
    for _ in range(runs):
        for name, run in random.sample(list(rivals.items()), len(rivals)):
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    rounds = list(zip(*(seconds[name] for name in list(rivals)[:2]), strict=True))
    low, _, high = statistics.quantiles([ours / theirs for ours, theirs in rounds], n=4)
    ours, theirs = list(medians.values())[:2]
    print(f"\n{title} ({runs} runs)")
    for name, median in medians.items():
        print(f"  {name:<34} {1e3 * median:10.3f} ms")
    print(f"  ratio {ours / theirs:.4g}, quartiles {low:.4g} to {high:.4g}")


def lenet_epoch(runs: int) -> None:
    """An epoch of LeNet with our layers and with Keras's, through the same Keras `fit`."""
    images, labels = cnn_tf.FashionMNIST().train

    def trainer(model: keras.Model, jit: bool) -> Callable[[], object]:
        model.compile(
            keras.optimizers.SGD(0.1),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
            jit_compile=jit,
        )
        return lambda: model.fit(images, labels, batch_size=128, verbose=0)

    def lenet_of_keras() -> keras.Model:
        layers = keras.layers
        return keras.Sequential(
            [
                keras.Input((28, 28, 1)),
                layers.Conv2D(6, 5, padding="same", activation="sigmoid"),
                layers.AveragePooling2D(2),
                layers.Conv2D(16, 5, activation="sigmoid"),
                layers.AveragePooling2D(2),
                layers.Flatten(),
                layers.Dense(120, activation="sigmoid"),
                layers.Dense(84, activation="sigmoid"),
                layers.Dense(10),
            ]
        )

    compare(
        f"LeNet, one epoch of {len(labels):,} images in batches of 128",
        {
            "cnn_tf": trainer(cnn_tf.LeNet(), jit=False),
            "keras.layers": trainer(lenet_of_keras(), jit=False),
            "cnn_tf, jit_compile": trainer(cnn_tf.LeNet(), jit=True),
            "keras.layers, jit_compile": trainer(lenet_of_keras(), jit=True),
        },
        runs,
    )


def large_layer(runs: int) -> None:
    """Forward and backward through one layer of many channels."""
    x = tf.random.normal((32, 32, 32, 64))

    def step(layer: keras.layers.Layer, jit: bool) -> Callable[[], object]:
        layer.build(x.shape)
        weights = [weight.value for weight in layer.trainable_weights]

        @tf.function(jit_compile=jit)
        def gradients() -> object:
            with tf.GradientTape() as tape:
                tape.watch(x)
                loss = tf.reduce_sum(layer(x) ** 2)
            return tape.gradient(loss, [x, *weights])

        return lambda: [gradient.numpy() for gradient in gradients()]

    compare(
        "Conv2D 3x3, 64 to 64 channels, on 32 images of 32x32, forward and backward",
        {
            "cnn_tf": step(cnn_tf.Conv2D(64, 3, padding=1), jit=False),
            "keras.layers": step(keras.layers.Conv2D(64, 3, padding="same"), jit=False),
            "cnn_tf, jit_compile": step(cnn_tf.Conv2D(64, 3, padding=1), jit=True),
            "keras.layers, jit_compile": step(keras.layers.Conv2D(64, 3, padding="same"), jit=True),
        },
        runs,
    )


def corr2d_against_loop(runs: int) -> None:
    """`corr2d` against the double loop that assigns one output after the other."""
    rng = np.random.default_rng(0)
    X, K = rng.random((256, 256), "float32"), rng.random((5, 5), "float32")

    def with_tensors() -> object:
        x, k = tf.constant(X), tf.constant(K)
        Y = tf.Variable(tf.zeros((252, 252)))
        for i in range(252):
            for j in range(252):
                Y[i, j].assign(tf.reduce_sum(x[i : i + 5, j : j + 5] * k))
        return Y

    def with_arrays() -> object:
        Y = np.zeros((252, 252), "float32")
        for i in range(252):
            for j in range(252):
                Y[i, j] = (X[i : i + 5, j : j + 5] * K).sum()
        return Y

    for name, loop in (("NumPy", with_arrays), ("TensorFlow", with_tensors)):
        compare(
            f"corr2d, 256x256 with 5x5, against the double loop in {name}",
            {
                "cnn_tf.corr2d": lambda: np.asarray(cnn_tf.corr2d(X, K)),
                f"double loop, {name}": loop,
            },
            3 if name == "TensorFlow" else runs,  # that loop takes most of a minute
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--runs", type=int, default=7)
    arguments = parser.parse_args()
    print(f"{os.cpu_count()} cores, TensorFlow {tf.__version__}, Keras {keras.__version__}")
    lenet_epoch(arguments.runs)
    large_layer(arguments.runs)
    corr2d_against_loop(arguments.runs)
