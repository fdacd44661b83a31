"""What is measured in a training besides Keras's metrics."""

import functools
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
from scipy.special import softmax

from cnn_tf.recipes import Recipe
from experiments.atoms import Detector

Figures = dict[str, Any]


class Plateau(keras.callbacks.Callback):
    """When does the loss leave what guessing gives, log 10, for one per cent less?

    `fit` runs 20 steps at a time, and the loss that it reports is the mean since the epoch began.
    From two reports the mean of the steps between them follows.
    """

    def __init__(self) -> None:
        super().__init__()
        self.left_after: int | None = None
        self._epoch = 0

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Begin a new mean."""
        self._epoch, self._done, self._sum = epoch, 0, 0.0

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Look at the steps since the last call."""
        steps = self.params["steps"] or batch + 1
        done = min(batch + 1, steps)  # Keras counts whole executions of several steps
        total = float((logs or {})["loss"]) * done
        mean = (total - self._sum) / (done - self._done)
        self._done, self._sum = done, total
        if self.left_after is None and mean < 0.99 * np.log(10):
            self.left_after = self._epoch * steps + done

    def figures(self, model: keras.Model, data: Any) -> Figures:
        """Give the number of steps, or None if it is not over at the end."""
        return {"plateau": self.left_after}


class Test(keras.callbacks.Callback):
    """What share of the test set is named rightly, at the end, and which pictures?"""

    def figures(self, model: keras.Model, data: Any) -> Figures:
        """Give the accuracy, and for each picture a bit, 1 where it is right, in hexadecimal."""
        images, labels = data.test
        right = _answers(model, images) == labels
        return {"test_accuracy": float(right.mean()), "right": np.packbits(right).tobytes().hex()}


class Mirrored(keras.callbacks.Callback):
    """What share of the test set is named rightly if a picture's mirror image has a say too?

    The probabilities of both are averaged.
    """

    def figures(self, model: keras.Model, data: Any) -> Figures:
        """Give the accuracy."""
        images, labels = data.test
        seen = (_logits(model, each) for each in (images, images[:, :, ::-1]))
        both = sum(softmax(logits, axis=1) for logits in seen)
        return {"mirrored_test_accuracy": float((both.argmax(axis=1) == labels).mean())}


class Shift(keras.callbacks.Callback):
    """What becomes of the answers when the validation pictures are moved by some pixels?

    They are moved right, left, down and up. What enters is black, as the border of nearly all
    pictures is.
    """

    PIXELS = (0, 1, 2, 3, 4)

    def figures(self, model: keras.Model, data: Any) -> Figures:
        """Give, for each distance, two shares, each the mean over the four directions.

        `shift_accuracy` is the share of moved pictures that are named rightly, `shift_agreement`
        the share that are named as the picture was before it moved.
        """
        images, labels = data.validation
        before = _answers(model, images)
        accuracy, agreement = [], []
        for pixels in self.PIXELS:
            moved = [_answers(model, each) for each in _moved(images, pixels)]
            accuracy.append(float(np.mean([answers == labels for answers in moved])))
            agreement.append(float(np.mean([answers == before for answers in moved])))
        return {"shift_accuracy": accuracy, "shift_agreement": agreement}


def _moved(images: np.ndarray, pixels: int) -> list[np.ndarray]:
    """Move images right, left, down and up."""
    height, width = images.shape[1:3]
    wide = np.pad(images, ((0, 0), (pixels, pixels), (pixels, pixels), (0, 0)))
    corners = [(pixels, 0), (pixels, 2 * pixels), (0, pixels), (2 * pixels, pixels)]
    return [wide[:, top : top + height, left : left + width] for top, left in corners]


def _answers(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """Name each image."""
    answers: np.ndarray = _logits(model, images).argmax(axis=1)
    return answers


def _logits(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """What `predict` gives, which would make a graph for every network."""
    parts = np.array_split(images, max(len(images) // 1000, 1))
    logits = [keras.ops.convert_to_numpy(model(part, training=False)) for part in parts]
    return np.concatenate(logits)


Measure = Mirrored | Plateau | Shift | Test
MEASURES: dict[str, Callable[[], Measure]] = {
    "mirrored": Mirrored,
    "plateau": Plateau,
    "shift": Shift,
    "test": Test,
}


@functools.singledispatch
def probe(recipe: Recipe) -> list[float]:
    """Describe what a recipe computes by some numbers that rounding and chance do not change.

    Three steps are made on made-up pictures, from weights that follow from a seed; so few that
    the rounding of another processor does not show. If the network, the optimizer or a layer's
    arithmetic changes, the numbers do.

    Returns:
        For each trainable variable its length at the start, and that of its change.
    """
    images = np.random.default_rng(0).random((96, 28, 28, 1), "float32")
    labels = np.arange(96) % 10
    data = recipe.prepare(SimpleNamespace(train=(images, labels)))
    keras.utils.set_random_seed(0)
    model = recipe.build()
    # As if there were 5,000 pictures, so that a schedule has begun after three steps.
    model.compile(
        recipe.build_optimizer(5000),
        recipe.build_loss(),
        run_eagerly=True,
    )
    before = [keras.ops.convert_to_numpy(v) for v in model.trainable_variables]
    for step in range(3):
        part = slice(32 * step, 32 * (step + 1))
        model.train_on_batch(data.train[0][part], data.train[1][part])
    after = [keras.ops.convert_to_numpy(v) for v in model.trainable_variables]
    lengths = [
        [np.linalg.norm(a), np.linalg.norm(b - a)] for a, b in zip(before, after, strict=True)
    ]
    return [float(f"{length:.5g}") for length in np.ravel(lengths)]


@probe.register
def _(recipe: Detector) -> list[float]:
    return recipe.probe()
