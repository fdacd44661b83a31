"""What `fit` keeps on disk so that a training can be killed at any moment and goes on later.

Each epoch follows from what the model and its optimizer hold at its start, and from random numbers
that follow from the seed and the number of the epoch. So a checkpoint is the state between two
epochs, in one file, which is there whole or not at all.
"""

import contextlib
import hashlib
import io
import json
import os
import re
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

_FORMAT = 1
_KEPT = 2  # the last one, and the one before in case that a disk damages the last
_NAME = re.compile(r"epoch-(\d+)\.npz")


def state_of(model: keras.Model) -> list[np.ndarray]:
    """What training changes in a model: weights, random states, the optimizer's variables."""
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in _variables(model)]


def set_state(model: keras.Model, state: Sequence[np.ndarray]) -> None:
    """Take a model back to a state."""
    for variable, numbers in zip(_variables(model), state, strict=True):
        variable.assign(numbers)


def build(model: keras.Model, images: np.ndarray) -> None:
    """See to it that a compiled model and its optimizer have all their variables."""
    if not model.built:
        model(images[:1])
    optimizer = model.optimizer
    if not optimizer.built:
        optimizer.build(model.trainable_variables)


class Checkpoint(NamedTuple):
    """The state of a training after some epochs."""

    epoch: int
    state: list[np.ndarray]
    log: dict[str, Any]  # the attributes of a TrainingLog
    callbacks: list[dict[str, Any]]  # what each callback has counted
    stopped: bool  # whether a callback has ended the training


class Checkpoints:
    """The checkpoints of one training in a folder.

    Args:
        folder: The folder; it is made if it is not there.
        training: What makes the training the one it is, by name: plain values.
        writes: Whether this process writes; of several that train together, one does.

    Raises:
        OSError: Nothing can be written there.
    """

    def __init__(
        self, folder: str | os.PathLike[str], training: dict[str, Any], writes: bool = True
    ) -> None:
        self.folder = Path(folder).expanduser()
        self._writes = writes
        self._training = json.loads(json.dumps(training))  # JSON has no tuples
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not writes:
                return
            for torn in self.folder.glob(".writing-*"):  # by a process that was killed
                torn.unlink()
            self._write(".writing-trial", b"")
            (self.folder / ".writing-trial").unlink()
        except OSError as error:
            raise type(error)(
                error.errno,
                f"fit cannot write into checkpoint_dir ({error.strerror}). Nothing was trained. "
                "Name a folder in which you may write",
                str(self.folder),
            ) from error

    def save(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint, whole or not at all, and remove the ones too old to be needed.

        Where this process does not write, nothing happens.

        Raises:
            OSError: It cannot be written. The ones before are still there.
        """
        if not self._writes:
            return
        arrays = {f"variable_{i}": array for i, array in enumerate(checkpoint.state)}
        for i, counted in enumerate(checkpoint.callbacks):
            for name, value in counted.items():
                if _is_arrays(value):
                    arrays |= {f"callback_{i}_{name}_{j}": it for j, it in enumerate(value)}
        # NumPy's files do not know bfloat16 and the like: their bytes are kept, and their names.
        others = {name: it.dtype.name for name, it in arrays.items() if it.dtype.kind == "V"}
        head = {
            "format": _FORMAT,
            "training": self._training,
            "log": checkpoint.log,
            "callbacks": [_plain(counted) for counted in checkpoint.callbacks],
            "dtypes": others,
            "variables": len(checkpoint.state),
            "stopped": checkpoint.stopped,
        }
        files: dict[str, Any] = {"head": np.frombuffer(json.dumps(head).encode(), "uint8")}
        files |= {
            name: array.view(f"V{array.itemsize}") if name in others else array
            for name, array in arrays.items()
        }
        content = io.BytesIO()
        np.savez(content, **files)
        name = f"epoch-{checkpoint.epoch:04d}.npz"
        try:
            self._write(name, content.getvalue())
        except OSError as error:
            raise type(error)(
                error.errno,
                f"The training stopped after epoch {checkpoint.epoch}, which could not be kept "
                f"({error.strerror}). The checkpoints before are whole, and the model has its "
                "weights. Make room, then the same call goes on",
                str(self.folder / name),
            ) from error
        for _, path in self._files()[:-_KEPT]:
            path.unlink(missing_ok=True)

    def last(self) -> Checkpoint | None:
        """Read the last whole checkpoint; `None` in a folder that has none yet.

        Raises:
            ValueError: All are damaged, or they are those of another training.
        """
        files, damaged = self._files(), []
        for epoch, path in reversed(files):
            try:
                head, content = self._read(path)
            except Exception:  # a damaged directory of a zip file can lead to any
                damaged.append(path.name)
                continue
            self._check(head, path)
            if damaged:
                warnings.warn(
                    f"{self.folder}: {', '.join(damaged)} is damaged. The training goes on from "
                    f"{path.name}.",
                    stacklevel=4,  # the caller of fit
                )
            for name, dtype in head["dtypes"].items():
                content[name] = content[name].view(dtype)
            callbacks: list[dict[str, Any]] = head["callbacks"]
            for i, counted in enumerate(callbacks):
                for name, value in counted.items():
                    if isinstance(value, dict) and "arrays" in value:
                        counted[name] = [
                            content[f"callback_{i}_{name}_{j}"] for j in range(value["arrays"])
                        ]
                    elif isinstance(value, dict):
                        counted[name] = getattr(keras.ops, value["operation"])
            state = [content[f"variable_{i}"] for i in range(head["variables"])]
            return Checkpoint(epoch, state, head["log"], callbacks, head["stopped"])
        if damaged:
            raise ValueError(
                f"No checkpoint in {self.folder} is whole: {', '.join(damaged)}. Delete the folder "
                "to train from the start."
            )
        return None

    @staticmethod
    def _read(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """The head and the arrays of a file that is whole, or any exception."""
        with path.open("rb") as file:
            content = dict(np.load(file))  # each array has its check sum in there
        head = json.loads(bytes(content.pop("head")))
        if head["format"] == _FORMAT:
            there = {name for name in content if name.startswith("variable_")}
            number = head.setdefault("variables", len(there))
            needed = {"training", "log", "callbacks", "dtypes", "stopped"}
            if there != {f"variable_{i}" for i in range(number)} or not needed <= set(head):
                raise ValueError("Some of it is missing.")
        return head, content

    def _files(self) -> list[tuple[int, Path]]:
        found = ((_NAME.fullmatch(path.name), path) for path in self.folder.iterdir())
        return sorted((int(match[1]), path) for match, path in found if match)

    def _write(self, name: str, content: bytes) -> None:
        partial = self.folder / f".writing-{os.getpid()}"
        try:
            with partial.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(self.folder / name)
        finally:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
        if os.name == "posix":  # the name too must outlive a power cut
            descriptor = os.open(self.folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def _check(self, head: dict[str, Any], path: Path) -> None:
        if head["format"] != _FORMAT:
            raise ValueError(
                f"{path} was written by another version of cnn_tf: its format is "
                f"{head['format']}, that of this version {_FORMAT}. Go on with that version, or "
                "name another checkpoint_dir."
            )
        there = head["training"]
        for name in {**self._training, **there}:
            old, new = there.get(name), self._training.get(name)
            if old == new:
                continue
            if isinstance(old, dict) and isinstance(new, dict):
                name += "'s " + next(k for k in {**old, **new} if old.get(k) != new.get(k))
                old, new = (it.get(name.rpartition("'s ")[2]) for it in (old, new))
            raise ValueError(
                f"{path} is of another training: its {name} is {_short(old)}, that of this call "
                f"{_short(new)}. Name another checkpoint_dir, or delete this one."
            )


def describe(
    model: keras.Model,
    seed: int,
    batch_size: int,
    training: tuple[np.ndarray, np.ndarray],
    validation: tuple[np.ndarray, np.ndarray],
) -> dict[str, Any]:
    """What makes a training the one it is: plain values by name."""
    layers = {f"layer {i + 1}": _settings(layer) for i, layer in enumerate(_leaves(model))}
    return {
        **layers,
        "weights": [[v.name, list(v.shape), str(v.dtype)] for v in model.weights],
        "optimizer": _settings(model.optimizer),
        "loss": _settings(model.loss),
        "seed": seed,
        "batch size": batch_size,
        **_contents(*training),
        **{f"validation's {name}": it for name, it in _contents(*validation).items()},
    }


def _contents(images: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """How many pictures there are, and what they and their labels come to."""
    # Of the pictures a part: all of them would take as long as an epoch of a small network.
    some = images[:: max(len(images) // 100, 1)]
    pictures, classes = (
        hashlib.sha256(np.ascontiguousarray(it).tobytes()).hexdigest()[:16] for it in (some, labels)
    )
    return {"number of pictures": len(images), "pictures": pictures, "labels": classes}


def _leaves(model: keras.Model) -> Iterator[keras.Layer]:
    for layer in model.layers:
        if getattr(layer, "layers", None):
            yield from _leaves(layer)
        else:
            yield layer


def _without_names(config: Any) -> Any:
    """Leave out the names of objects, which Keras numbers anew for each."""
    if isinstance(config, list):
        return [_without_names(it) for it in config]
    if not isinstance(config, dict):
        return config
    plain = {name: _without_names(value) for name, value in config.items()}
    # A DTypePolicy is its name.
    if isinstance(plain.get("config"), dict) and plain.get("class_name") != "DTypePolicy":
        plain["config"].pop("name", None)
    return plain


def _settings(thing: Any) -> Any:
    """The class and the settings of a layer, an optimizer or a loss."""
    try:
        config = _without_names(json.loads(json.dumps(keras.saving.serialize_keras_object(thing))))
        return {"kind": type(thing).__name__, **config["config"]}
    except (KeyError, NotImplementedError, TypeError, ValueError, AttributeError):
        return thing if isinstance(thing, str) else type(thing).__name__


class Keeper(keras.callbacks.Callback):
    """Begin where the last checkpoint is, and write one after each epoch: the last of callbacks.

    Args:
        checkpoints: Where they are.
        log: The log that records the training.
        callbacks: What may count over the epochs, such as early stopping.

    Attributes:
        epoch: How many epochs are kept.
        stopped: Whether a callback had ended the training after the last of them.
    """

    def __init__(
        self,
        checkpoints: Checkpoints,
        log: keras.callbacks.History,
        callbacks: Sequence[keras.callbacks.Callback],
    ) -> None:
        super().__init__()
        self._checkpoints, self._log, self._callbacks = checkpoints, log, callbacks
        self._fresh: list[dict[str, Any]] = []
        self._found = checkpoints.last()
        self.epoch = self._found.epoch if self._found else 0
        self.stopped = self._found is not None and self._found.stopped

    def restore(self, model: keras.Model) -> None:
        """Give a model the state of the checkpoint that was found."""
        if self._found:
            set_state(model, self._found.state)

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Keep the first weights too, or give the callbacks back what they had counted."""
        self._fresh = [dict(vars(callback)) for callback in self._callbacks]
        if self._found is None:
            self._save(0)
            return
        self._log.__dict__.update(self._found.log)
        for callback, counted in zip(self._callbacks, self._found.callbacks, strict=False):
            callback.__dict__.update(counted)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Keep the epoch."""
        self._save(epoch + 1)

    def _save(self, epoch: int) -> None:
        log = {name: getattr(self._log, name) for name in ("history", "epoch", "seconds")}
        counted = [
            {
                name: value
                for name, value in vars(callback).items()
                if _is_counted(value) and not _same(value, fresh.get(name))
            }
            for callback, fresh in zip(self._callbacks, self._fresh, strict=True)
        ]
        stopped = bool(self.model.stop_training)
        self._checkpoints.save(
            Checkpoint(epoch, state_of(self.model), _plain(log), counted, stopped)
        )
        self.epoch = epoch


def _variables(model: keras.Model) -> list[keras.Variable]:
    return [*model.variables, *model.optimizer.variables]


def _is_counted(value: Any) -> bool:
    """Whether an attribute of a callback is what it has gathered: numbers, arrays, an operation."""
    return _is_plain(value) or _is_arrays(value) or _is_operation(value)


def _same(value: Any, fresh: Any) -> bool:
    if _is_arrays(value):
        return value is fresh
    return isinstance(fresh, type(value)) and bool(value == fresh)


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float | str | np.number)


def _is_arrays(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(i, np.ndarray) for i in value)


def _is_operation(value: Any) -> bool:
    """Whether it is one of `keras.ops`, such as the one by which a callback compares."""
    return callable(value) and getattr(keras.ops, getattr(value, "__name__", ""), None) is value


def _plain(value: Any) -> Any:
    """The same as JSON has it: NumPy's numbers as Python's, arrays as how many there are."""
    if isinstance(value, dict):
        return {name: _plain(it) for name, it in value.items()}
    if _is_arrays(value):
        return {"arrays": len(value)}
    if _is_operation(value):
        return {"operation": value.__name__}
    if isinstance(value, list | tuple):
        return [_plain(it) for it in value]
    return value.item() if isinstance(value, np.generic) else value


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
