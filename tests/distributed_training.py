"""A training that several processes share: a program, started once for each of them.

KERAS_BACKEND=jax python tests/distributed_training.py FOLDER [EPOCHS]
"""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np

from cnn_tf import LeNet, fit
from cnn_tf.distribution import distribute


def data():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, 300)
    images = rng.random((300, 8, 8, 1), "float32")
    return SimpleNamespace(train=(images, labels), validation=(images[:76], labels[:76]))


def train(epochs, checkpoints, seed=1):
    """The curves, and the weights at the end."""
    keras.utils.set_random_seed(seed)
    small = {"input_shape": (8, 8, 1), "filters": (4,), "units": (16,)}  # compiled soon
    model = LeNet(activation="relu", **small, batch_normalization=True)
    log = fit(model, data(), epochs, batch_size=30, checkpoint_dir=checkpoints, verbose=False)
    return model, log.history


if __name__ == "__main__":
    sys.modules["tensorflow"] = None  # as where JAX alone is installed; Keras would import it
    folder = Path(sys.argv[1])
    epochs = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    with distribute(timeout=10) as group:
        seed = group.process if "different" in sys.argv else 1
        model, history = train(epochs, folder / "kept", seed)
    if group.is_first:
        model.save(folder / "model.keras")
        (folder / "history.json").write_text(json.dumps({"group": group, "history": history}))
