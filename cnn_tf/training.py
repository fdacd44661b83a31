"""Training: one `fit` around Keras's own, with a seed, a progress display and a log to plot."""

import os
import random
import sys
import time
from collections.abc import Sequence
from html import escape
from typing import Any

import keras
import numpy as np

from cnn_tf import _backend
from cnn_tf._checkpoints import Checkpoints, Keeper, build, describe
from cnn_tf._finite import NotFiniteError, Watch, explain, explain_validation
from cnn_tf.arguments import check_int
from cnn_tf.plots import Figure, line_plot

_Pair = tuple[np.ndarray, np.ndarray]  # images and labels


def fit(
    model: keras.Model,
    data: Any,
    epochs: int = 10,
    *,
    batch_size: int = 128,
    optimizer: Any = None,
    loss: Any = None,
    seed: int = 0,
    callbacks: keras.callbacks.Callback | Sequence[keras.callbacks.Callback] | None = (),
    checkpoint_dir: str | os.PathLike[str] | None = None,
    verbose: bool = True,
) -> "TrainingLog":
    r"""Train a classifier with Keras's `compile` and `fit`, by the recipe of the book.

    The recipe is minibatch stochastic gradient descent on the cross-entropy, with the learning
    rate $\eta = 0.1$. For the weights $w$, a batch of $n$ images $x_i$ of the classes $y_i$, and
    the model's probabilities $p$, a step is

    $$w \leftarrow w + \frac{\eta}{n} \sum_{i=1}^{n} \nabla_w \log p_w(y_i \mid x_i)$$

    A model that is compiled already keeps its own loss, optimizer and metrics, so a second call
    goes on where the first one stopped. But if an optimizer or a loss is given here, the model is
    compiled anew: with the default for the one not given, and the accuracy as its metric. A GPU is
    used when there is one. The test set is never looked at.

    With `checkpoint_dir` the training can be killed at any moment: the same call, in a new process
    with a model made in the same way, goes on after the last epoch that was finished, and ends with
    the same weights as if nothing had happened, bit for bit on one machine. Once all epochs are
    done, it returns what came of them; with more `epochs` it adds the missing ones. The folder has
    the last two epochs; a damaged file is left out, with a warning.

    Within `cnn_tf.distribution.distribute`, several devices train together. A batch is then a
    multiple of their number, so the pictures left out of an epoch are fewer than the devices.

    A loss that becomes NaN or infinite stops the training: the epoch is repeated up to the step
    that failed, and the model keeps its weights from before it.

    Args:
        model: A Keras model. Its output is taken for logits, or for probabilities when its last
            layer is a softmax.
        data: An object with `train` and `validation`, each a pair of images and labels, such as
            `FashionMNIST()`.
        epochs: Passes over the training set.
        batch_size: Images in a step.
        optimizer: A Keras optimizer or its name; `None` means `keras.optimizers.SGD(0.1)`.
        loss: A Keras loss of labels and outputs, or its name; `None` means the cross-entropy.
        seed: Seed of Python, NumPy and the back end, set before training: the order of the
            pictures in each epoch follows from it. The model's first weights were drawn before; set
            `keras.utils.set_random_seed` before you make the model to repeat them too.
        callbacks: One or several Keras callbacks. Those for batches are called every 20 batches
            when the model was compiled here and TensorFlow computes, since it runs so many without
            Python. With `checkpoint_dir`, numbers and lists of arrays among their attributes are
            kept too, such as what early stopping has counted.
        checkpoint_dir: A folder of this training alone; `None` keeps nothing.
        verbose: Whether to show the progress: a live table in a notebook, Keras's bar in a
            terminal.

    Shapes:
        images `(n, h, w, c)` of floats, labels `(n,)` of integers.

    Returns:
        A `TrainingLog`: Keras's History with the device, the seconds, and the curves.

    Raises:
        ValueError: `epochs` or `batch_size` is not positive, there are no images, there are not as
            many labels as images, with the cross-entropy a label is not the number of an output,
            or `checkpoint_dir` has another training or nothing but damaged files.
        TypeError: `data` has no such sets, the images are integers, the labels are no numbers, or
            `epochs`, `batch_size` or `seed` is not an integer.
        FloatingPointError: The loss became NaN or infinite; the message names the step, the layer
            whose output was the first to be so, and what to try.
        OSError: `checkpoint_dir` cannot be written.

    Source:
        LeCun et al. (1998), *Gradient-based learning applied to document recognition*.

    Example:
        >>> from types import SimpleNamespace
        >>> import keras, numpy as np
        >>> from cnn_tf import LeNet, fit
        >>> images, labels = np.zeros((8, 28, 28, 1), "float32"), np.arange(8)
        >>> data = SimpleNamespace(train=(images, labels), validation=(images, labels))
        >>> log = fit(LeNet(), data, epochs=2, verbose=False)
        >>> sorted(log.history)
        ['accuracy', 'loss', 'val_accuracy', 'val_loss']
    """
    for name, number in (("epochs", epochs), ("batch_size", batch_size)):
        check_int(number, name, minimum=1)
    check_int(seed, "seed", minimum=0)
    epochs, batch_size, seed = int(epochs), int(batch_size), int(seed)  # they may be NumPy's
    images, labels = _images_and_labels(data, "train")
    validation = _images_and_labels(data, "validation")
    group = _backend.group(getattr(model, "distribute_strategy", None))
    devices, processes, process = group

    if optimizer is not None or loss is not None or not model.compiled:
        if loss is None:
            logits = not ends_in_softmax(model)
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=logits)
        _backend.let_compile(model)
        model.compile(
            optimizer=keras.optimizers.SGD(0.1) if optimizer is None else optimizer,
            loss=loss,
            metrics=["accuracy"],
            # With JAX it gains nothing; PyTorch refuses it, and TensorFlow on several devices.
            steps_per_execution=20 if _backend.is_tensorflow() and devices == 1 else 1,
        )
    keras.utils.set_random_seed(seed)
    if _takes_class_numbers(model.loss):
        shape = _output_shape(model, images)
        for name, numbers in (("train", labels), ("validation", validation[1])):
            _check_labels(numbers, shape, name, getattr(model.loss, "ignore_class", None))
    build(model, images)
    if batch_size % devices or len(validation[1]) < devices:
        raise ValueError(
            f"`batch_size` must be a multiple of the {devices} devices that train together, and "
            f"each of them needs a picture of `validation`. Received: batch_size={batch_size}, "
            f"{len(validation[1])} pictures."
        )
    callbacks = keras.tree.flatten(callbacks) if callbacks else []  # as Keras takes them
    log, watch, order = TrainingLog(), Watch(), _Order(seed, len(images))
    shown = [NotebookProgress(log)] if _in_notebook() else []
    keeper, first = None, 0
    if checkpoint_dir is not None:
        training = describe(model, seed, batch_size, (images, labels), validation)
        keeper = Keeper(Checkpoints(checkpoint_dir, training, process == 0), log, callbacks)
        keeper.restore(model)
        first = epochs if keeper.stopped else keeper.epoch
    try:
        model.fit(
            x=_backend.batches(images, labels, batch_size, order.numbers, group),
            shuffle=False,  # it has an order
            validation_data=_backend.batches(*validation, batch_size, group=group),
            epochs=epochs,
            initial_epoch=first,
            callbacks=[
                *(order, watch, log),
                *(shown if verbose else ()),
                *callbacks,
                *([keeper] if keeper else ()),
            ],
            verbose=0 if shown or not verbose else "auto",
        )
    except NotFiniteError as found:
        if processes > 1:
            why = f"The {found.name} became {found.value} in epoch {found.epoch + 1}. Train that "
            why += "epoch in one process to learn in which step, and in which layer."
        elif found.name == "val_loss":
            why = explain_validation(model, found, validation[0], batch_size)
        else:
            why = explain(model, found, watch.start, images, labels, order.cut(batch_size))
        raise FloatingPointError(why) from None
    except BaseException as error:
        if processes > 1 and isinstance(error, Exception):
            error.add_note(
                f"Of {processes} processes that train together, one has probably gone: its own "
                "messages say why. Start all of them again."
            )
        if keeper:
            error.add_note(
                f"{keeper.epoch} of {epochs} epochs are kept in {checkpoint_dir}. The same call "
                "goes on from there."
            )
        raise
    return log


class _Order(keras.callbacks.Callback):
    """A new order of the pictures for each epoch, which follows from the seed and its number.

    So do the random numbers of Python, of NumPy and of PyTorch in that epoch: whoever begins with
    it draws the same.
    """

    def __init__(self, seed: int, size: int) -> None:
        super().__init__()
        self.numbers = np.arange(size, dtype="int64")  # changed in place
        self._seed = seed

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Draw."""
        rng = np.random.default_rng((self._seed, epoch))
        self.numbers[:] = rng.permutation(len(self.numbers))
        number = int(rng.integers(2**32))
        random.seed(number)
        np.random.seed(number)
        _backend.set_seed(number)

    def cut(self, batch_size: int) -> list[np.ndarray]:
        """The numbers of the pictures in each batch of the epoch."""
        return np.split(self.numbers, range(batch_size, len(self.numbers), batch_size))


def device_name() -> str:
    """Name the device on which Keras computes.

    Returns:
        Keras's name of the first accelerator, such as `"gpu:0"`, or else `"cpu:0"`.

    Source:
        `keras.distribution.list_devices`.

    Example:
        >>> from cnn_tf.training import device_name
        >>> device_name().split(":")[0] in ("cpu", "gpu", "tpu")
        True
    """
    return _backend.device_name()


def explain_device() -> str:
    """Say in a sentence why Keras computes on the device that `device_name` names.

    Returns:
        Such as `"PyTorch 2.13.0 was installed without CUDA. ..."`, with what to do about it.

    Example:
        >>> from cnn_tf.training import explain_device
        >>> explain_device().endswith(".")
        True
    """
    return _backend.explain_device()


def ends_in_softmax(model: Any) -> bool:
    """Say whether a model puts out probabilities: whether its last layer is a softmax.

    Args:
        model: A Keras model or layer.

    Returns:
        `False` for a model of logits, such as those of this package.

    Example:
        >>> from cnn_tf import LeNet
        >>> from cnn_tf.training import ends_in_softmax
        >>> ends_in_softmax(LeNet())
        False
    """
    while getattr(model, "layers", None):
        model = model.layers[-1]
    activation = getattr(model, "activation", None)
    return isinstance(model, keras.layers.Softmax) or activation is keras.activations.softmax


class TrainingLog(keras.callbacks.History):
    """What happened in a training: Keras's History, and where and how long it ran.

    Attributes:
        history: Dict of lists, a number for each epoch, under Keras's names (`loss`,
            `val_accuracy`, ...).
        epoch: The numbers of the epochs.
        device: Name of the device that ran.
        seconds: Duration of each epoch, its evaluation on the validation set included.

    Source:
        `keras.callbacks.History`.

    Example:
        >>> from cnn_tf import TrainingLog
        >>> TrainingLog()
        <TrainingLog: nothing trained yet>
    """

    def __init__(self) -> None:
        super().__init__()
        self.device = device_name()
        self.seconds: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Start the clock."""
        self._started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Record the epoch."""
        super().on_epoch_end(epoch, logs)
        self.seconds.append(time.perf_counter() - self._started)

    def plot(self) -> Figure:
        """Draw each metric over the epochs, training and validation side by side.

        Returns:
            A figure, which a notebook shows.

        Raises:
            ValueError: Nothing has been trained yet.
        """
        if not self.seconds:
            raise ValueError("There is nothing to plot yet: train with this log first.")
        metrics = [name for name in self.history if not name.startswith("val_")]
        panels = {
            name: {
                label: self.history[key]
                for label, key in (("training", name), ("validation", f"val_{name}"))
                if key in self.history
            }
            for name in metrics
        }
        last = ", ".join(f"{name} {values[-1]:.3f}" for name, values in self.history.items())
        return line_plot(
            panels,
            x=[epoch + 1 for epoch in self.epoch],
            x_label="epoch",
            alt=f"{' and '.join(metrics)} over {len(self.epoch)} epochs; at the end {last}.",
        )

    def __repr__(self) -> str:
        if not self.seconds:
            return "<TrainingLog: nothing trained yet>"
        last = ", ".join(f"{name} {values[-1]:.3f}" for name, values in self.history.items())
        return (
            f"<TrainingLog: {len(self.seconds)} epochs in {sum(self.seconds):.1f} s "
            f"on {self.device}; {last}>"
        )


class NotebookProgress(keras.callbacks.Callback):
    """A table in the notebook that grows while the model trains, with a bar for the epoch.

    It is one output that changes in place, so that an executed page keeps just the final table.
    `fit` shows it by itself; this is for a training by Keras's own `fit`.

    Args:
        log: The log that records the same training.

    Example:
        >>> from cnn_tf.training import NotebookProgress, TrainingLog
        >>> log = TrainingLog()
        >>> callbacks = [log, NotebookProgress(log)]  # for model.fit, in this order
        >>> callbacks[1]
        <TrainingLog: nothing trained yet>
    """

    _SECONDS_BETWEEN_UPDATES = 0.2

    def __init__(self, log: TrainingLog) -> None:
        super().__init__()
        self._log = log
        self._done = 0.0

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Put the table there."""
        from IPython.display import display

        self._shown = time.perf_counter()
        self._handle = display(self, display_id=True)

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Move the bar, but not at every step: each move is a message to the browser."""
        if time.perf_counter() - self._shown > self._SECONDS_BETWEEN_UPDATES:
            # Keras counts whole executions of several steps, past the end of the epoch.
            share = min((batch + 1) / (self.params["steps"] or batch + 1), 1)
            self._show(len(self._log.seconds) + share)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Add a row."""
        self._show(len(self._log.seconds))

    def _show(self, done: float) -> None:
        self._done = done
        self._shown = time.perf_counter()
        self._handle.update(self)

    def _repr_html_(self) -> str:
        log, epochs = self._log, self.params["epochs"]
        names = list(log.history)
        head = "".join(f"<th scope='col'>{escape(name)}</th>" for name in ("epoch", *names, "s"))
        rows = "".join(
            f"<tr><th scope='row'>{epoch + 1}</th>"
            + "".join(f"<td>{log.history[name][i]:.3f}</td>" for name in names)
            + f"<td>{log.seconds[i]:.1f}</td></tr>"
            for i, epoch in enumerate(log.epoch)
        )
        state = f"{len(log.seconds)} of {epochs} epochs on {log.device}, {sum(log.seconds):.0f} s"
        bar = (
            f"<progress max='{epochs}' value='{self._done:.2f}' aria-label='{state}'></progress>"
            if self._done < epochs
            else ""
        )
        return (
            f"<table class='training-log'><caption>{state} {bar}</caption>"
            f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        )

    def __repr__(self) -> str:
        return repr(self._log)


def _images_and_labels(data: Any, name: str) -> _Pair:
    try:
        images, labels = getattr(data, name)
    except (AttributeError, TypeError, ValueError):
        raise TypeError(
            "fit expected data with `train` and `validation`, each a pair of images and labels, "
            f"such as FashionMNIST(). Received: {type(data).__name__}, whose `{name}` is no "
            "such pair."
        ) from None
    images, labels = np.asarray(images), np.asarray(labels)
    if len(images) == 0 or len(images) != len(labels):
        raise ValueError(
            f"fit expected at least one image and a label for each. Received: {len(images)} images "
            f"and {len(labels)} labels in `{name}`."
        )
    if "float" not in keras.backend.standardize_dtype(images.dtype):
        raise TypeError(
            f"fit expected images of floats. Received: dtype {images.dtype} in `{name}`. Convert "
            "them first, for example by images.astype('float32') / 255."
        )
    return images, labels


def _takes_class_numbers(loss: Any) -> bool:
    """Whether a loss that a model was compiled with wants the number of the class as a label."""
    name = loss if isinstance(loss, str) else getattr(loss, "name", getattr(loss, "__name__", ""))
    return name == "sparse_categorical_crossentropy"


def _output_shape(model: keras.Model, images: np.ndarray) -> tuple[int | None, ...] | None:
    """The shape of the model's only output for these images, `None` if it cannot be told."""
    try:
        shape = model.compute_output_shape((None, *images.shape[1:]))
    except Exception:  # images that do not fit: Keras says so in a moment
        return None
    one = isinstance(shape, tuple) and all(n is None or isinstance(n, int) for n in shape)
    return shape if one else None


def _check_labels(
    labels: np.ndarray, shape: tuple[int | None, ...] | None, name: str, ignored: int | None
) -> None:
    """Refuse labels that are not the numbers of the model's outputs: not every back end does."""
    classes = shape[-1] if shape else None
    expected = "fit expected labels that are numbers of classes, from 0"
    if classes is not None:
        expected += f" to {classes - 1}, for the model has {classes} outputs"
    if labels.dtype.kind not in "biuf":
        raise TypeError(
            f"{expected}. Received: dtype {labels.dtype} in `{name}`, such as {labels.flat[0]!r}. "
            "Number the classes first, for example by np.unique(labels, return_inverse=True)[1]."
        )
    if shape and labels.ndim == len(shape) and 1 < labels.shape[-1] == classes:
        raise ValueError(
            f"{expected}. Received: labels of shape {labels.shape} in `{name}`. Turn one-hot "
            "labels into numbers by np.argmax(labels, axis=-1)."
        )
    numbers = labels[labels != ignored].astype("float64")
    if not numbers.size:
        return
    broken = numbers[numbers != np.floor(numbers)]
    if broken.size:
        raise ValueError(
            f"{expected}. Received: {broken[0]} in `{name}`. Give each class a whole number."
        )
    least, most = numbers.min(), numbers.max()
    if least < 0 or (classes is not None and most >= classes):
        raise ValueError(
            f"{expected}. Received: labels from {least:.0f} to {most:.0f} in `{name}`. Number the "
            "classes from 0, and give the model an output for each."
        )


def _in_notebook() -> bool:
    """Whether this program runs in a Jupyter kernel, where a display can change in place."""
    ipython = sys.modules.get("IPython")
    shell = ipython and ipython.get_ipython()
    return shell is not None and hasattr(shell, "kernel")
