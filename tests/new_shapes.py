"""What new shapes cost: a program that prints seconds, megabytes and operations of a graph.

python tests/new_shapes.py cnn_tf|keras
"""

import gc
import json
import resource
import sys
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import cnn_tf


def network(layers, side, filters=6):
    return keras.Sequential(
        [
            keras.Input((side, side, 1)),
            layers.Conv2D(filters, 5, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(16, 3, activation="relu"),
            layers.AveragePooling2D(2),
            keras.layers.Flatten(),
            keras.layers.Dense(10),
        ]
    )


def seconds(call):
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def new_batch_sizes(layers):
    """A service that is sent one to twelve pictures at a time."""
    model = network(layers, 28)
    model.predict(np.zeros((32, 28, 28, 1), "float32"), verbose=0)
    pictures = np.zeros((12, 28, 28, 1), "float32")
    return sum(seconds(lambda n=n: model.predict(pictures[:n], verbose=0)) for n in range(1, 13))


def new_models(layers, sides):
    """Models of other image sizes, trained for a step each and thrown away."""
    total = 0.0
    for side in sides:
        total += first_step(layers, side)
        keras.backend.clear_session()
        gc.collect()
    return total


def first_step(layers, side):
    model = network(layers, side)
    model.compile("sgd", "mse")
    images, targets = np.zeros((8, side, side, 1), "float32"), np.zeros((8, 10), "float32")
    return seconds(lambda: model.train_on_batch(images, targets))


def megabytes():
    """The memory that this process holds now, on Linux."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def operations(layers, side=20):
    """How many operations a step of training has in TensorFlow's graph."""
    model = network(layers, side)

    def gradients(images, targets):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((model(images, training=True) - targets) ** 2)
        return tape.gradient(loss, model.trainable_variables)

    shapes = (8, side, side, 1), (8, 10)
    step = tf.function(gradients).get_concrete_function(*map(tf.TensorSpec, shapes))
    return len(step.graph.get_operations())


if __name__ == "__main__":
    layers = {"cnn_tf": cnn_tf, "keras": keras.layers}[sys.argv[1]]
    new_models(layers, range(14, 18))  # what the first ones take stays
    before = megabytes()
    models = new_models(layers, range(20, 28))
    left = megabytes() - before
    result = {"batches": new_batch_sizes(layers), "models": models, "megabytes": left}
    print(json.dumps({**result, "operations": operations(layers)}))
