"""An epoch of LeNet on Fashion-MNIST, by our `fit`, by Keras's and by PyTorch."""

import importlib.util
from types import SimpleNamespace

import keras
import numpy as np

import cnn_tf
from benchmarks.measure import Comparison, Run, compare

BATCH = 128


def lenet_of_keras() -> keras.Model:
    """LeNet of Keras's own layers."""
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


def by_ours(images: np.ndarray, labels: np.ndarray, model: keras.Model, jit: bool = False) -> Run:
    """`cnn_tf.fit`; a single picture stands for the evaluation, which the others leave out."""
    data = SimpleNamespace(train=(images, labels), validation=(images[:1], labels[:1]))
    if jit:  # `fit` keeps what a model was compiled with
        _compile(model, jit_compile=True, steps_per_execution=20)
    return lambda: cnn_tf.fit(model, data, 1, batch_size=BATCH, verbose=False)


def by_keras(images: np.ndarray, labels: np.ndarray, jit: bool) -> Run:
    """Keras's `fit` as its guides write it."""
    model = lenet_of_keras()
    _compile(model, jit_compile=jit)
    return lambda: model.fit(images, labels, batch_size=BATCH, verbose=0)


def _compile(model: keras.Model, **arguments: object) -> None:
    model.compile(
        keras.optimizers.SGD(0.1),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        **arguments,
    )


def by_torch(images: np.ndarray, labels: np.ndarray) -> Run:
    """PyTorch's plainest loop, the pictures in memory and without a data loader."""
    import torch
    from torch import nn

    x = torch.from_numpy(np.moveaxis(images, -1, 1).copy())
    y = torch.from_numpy(labels.astype("int64"))
    model = nn.Sequential(
        *(nn.Conv2d(1, 6, 5, padding=2), nn.Sigmoid(), nn.AvgPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.Sigmoid(), nn.AvgPool2d(2), nn.Flatten()),
        *(nn.Linear(400, 120), nn.Sigmoid(), nn.Linear(120, 84), nn.Sigmoid(), nn.Linear(84, 10)),
    )
    optimizer = torch.optim.SGD(model.parameters(), 0.1)

    def epoch() -> None:
        for batch in torch.randperm(len(y)).split(BATCH):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[batch]), y[batch]).backward()
            optimizer.step()

    return epoch


def lenet_epoch(rounds: int) -> Comparison:
    """Compare ours with the same net of Keras's layers, fed by both, and with PyTorch's."""
    images, labels = cnn_tf.FashionMNIST().train
    rivals = {
        "cnn_tf.fit": by_ours(images, labels, cnn_tf.LeNet()),
        "keras, cnn_tf.fit": by_ours(images, labels, lenet_of_keras()),
        "keras, fit": by_keras(images, labels, jit=False),
        "keras, fit, XLA": by_keras(images, labels, jit=True),
    }
    if importlib.util.find_spec("torch"):
        rivals["torch"] = by_torch(images, labels)
    title = f"LeNet, an epoch of {len(labels):,} pictures in batches of {BATCH}"
    return compare(title, rivals, rounds, bound=0.5)
