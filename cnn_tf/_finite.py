"""Stop a training whose numbers are no longer finite, and find out where that began."""

import contextlib
import math
from collections.abc import Iterable, Iterator
from typing import Any
from unittest import mock

import keras
import numpy as np

from cnn_tf._checkpoints import set_state, state_of

_BAD_LOSS = "All layers' outputs are finite: it is the loss function that is not, for these labels"


class NotFiniteError(Exception):
    """Raised out of Keras's `fit`, for ours to explain."""

    def __init__(self, name: str, value: float, epoch: int) -> None:
        super().__init__(name, value, epoch)
        self.name, self.value, self.epoch = name, value, epoch


class Watch(keras.callbacks.Callback):
    """Stop when a loss is NaN or infinite; remember the state at the start of the epoch.

    Attributes:
        start: The state of the model when the epoch began.
    """

    def __init__(self) -> None:
        super().__init__()
        self.start: list[np.ndarray] = []
        self._epoch = 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Remember where the epoch begins."""
        self.start, self._epoch = state_of(self.model), epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Look at the loss, which is the mean since the epoch began."""
        self._look(logs, "loss")

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Look at both losses, before anything is made of them."""
        self._look(logs, "loss")
        self._look(logs, "val_loss")

    def _look(self, logs: dict[str, float] | None, name: str) -> None:
        value = float((logs or {}).get(name, 0.0))
        if not math.isfinite(value):
            raise NotFiniteError(name, value, self._epoch)


def explain(
    model: keras.Model,
    found: NotFiniteError,
    start: list[np.ndarray],
    images: np.ndarray,
    labels: np.ndarray,
    batches: Iterable[np.ndarray],
) -> str:
    """Repeat the epoch step by step up to the one that went wrong, and say what it was.

    The model is left as it was before that step.

    Args:
        model: The model.
        found: What was seen.
        start: The state of the model at the start of the epoch.
        images: The pictures.
        labels: Their labels.
        batches: The numbers of the pictures in each batch of the epoch, in order.
    """
    advice = "Try a smaller learning rate" + _now(model)
    advice += ", or clipnorm=1 in the optimizer; see that the pictures are scaled to about 1."
    with _one_step_at_a_time(model):
        set_state(model, start)
        for step, part in enumerate(batches):
            before = state_of(model)
            logs = model.train_on_batch(images[part], labels[part], return_dict=True)
            loss = float(logs["loss"])
            broken = _broken_weights(model)
            if math.isfinite(loss) and not broken:
                continue
            set_state(model, before)
            where = f"in step {step + 1} of epoch {found.epoch + 1}"
            kept = "The model has its weights from before that step."
            if math.isfinite(loss):
                return (
                    f"The loss was {loss:.4g} {where}, but its gradient was not finite, nor are "
                    f"{', '.join(broken)} with it. {kept} {advice}"
                )
            picture = _bad_picture(images, part)
            if picture:
                advice = "Leave such pictures out, or clean them by np.nan_to_num."
            cause = picture or _bad_layer(model, images[part], training=True) or _BAD_LOSS
            set_state(model, before)  # a layer may have counted
            return f"The loss became {loss} {where}. {cause}. {kept} {advice}"
    set_state(model, start)
    return (
        f"The loss became {found.value} in epoch {found.epoch + 1}, but not again when the epoch "
        f"was repeated step by step. The model has its weights from before the epoch. {advice}"
    )


def explain_validation(
    model: keras.Model, found: NotFiniteError, images: np.ndarray, batch_size: int
) -> str:
    """Say what was not finite in a validation; the model keeps its weights."""
    numbers = np.arange(len(images))
    for part in np.split(numbers, range(batch_size, len(numbers), batch_size)):
        cause = _bad_picture(images, part) or _bad_layer(model, images[part], training=False)
        if cause:
            break
    else:
        cause = _BAD_LOSS
    return (
        f"The loss on the validation set became {found.value} in epoch {found.epoch + 1}. {cause}. "
        "The model has its weights from after that epoch. Look at `validation`, or try a smaller "
        "learning rate."
    )


def _bad_picture(images: np.ndarray, part: np.ndarray) -> str | None:
    """Name the first of some pictures that is not finite."""
    bad = part[~np.isfinite(images[part]).reshape(len(part), -1).all(axis=1)]
    return f"Picture {bad[0]} itself is not finite" if bad.size else None


def _bad_layer(model: keras.Model, images: np.ndarray, training: bool) -> str | None:
    """Name the first layer whose output is not finite."""
    called: list[tuple[keras.Layer, bool]] = []
    call = keras.Layer.__call__

    def listen(layer: keras.Layer, *inputs: Any, **options: Any) -> Any:
        outputs = call(layer, *inputs, **options)
        called.append((layer, all(map(_is_finite, keras.tree.flatten(outputs)))))
        return outputs

    with mock.patch.object(keras.Layer, "__call__", listen):
        model(images, training=training)
    for layer, finite in called:  # what is inside of another comes before it
        if not finite:
            kind = type(layer).__name__
            return f"The first output that was not finite is that of layer {layer.name!r} ({kind})"
    return None


def _broken_weights(model: keras.Model) -> list[str]:
    return [repr(v.path) for v in model.weights if not _is_finite(v)]


def _is_finite(numbers: Any) -> bool:
    return bool(np.isfinite(np.asarray(keras.ops.convert_to_numpy(numbers), "float64")).all())


def _now(model: keras.Model) -> str:
    with contextlib.suppress(AttributeError, TypeError, ValueError):
        return f" than {float(model.optimizer.learning_rate):.3g}"
    return ""


@contextlib.contextmanager
def _one_step_at_a_time(model: keras.Model) -> Iterator[None]:
    steps = model.steps_per_execution
    try:
        model.steps_per_execution = 1
        model.make_train_function(force=True)
        yield
    finally:
        model.steps_per_execution = steps
        model.train_function = None
