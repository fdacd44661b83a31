"""Recipes: how a network is made and trained, as plain data; and records of what came of them.

A training depends on chance: on the first weights, on the order of the pictures, on the processor's
rounding. So one training says little. A record holds several of each recipe, made once at full
size; `read_record` reads it, and `train` repeats any of them.
"""

import functools
import json
import math
import numbers
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np

import cnn_tf.layers
from cnn_tf.arguments import check_int
from cnn_tf.models import MLP, LeNet, SmallResNet
from cnn_tf.training import TrainingLog, fit

FORMAT = 1  # of the files; another number is refused


def centred_sigmoid(x: Any) -> Any:
    r"""Compute the sigmoid less one half: the same slope, and zero in the middle.

    $$\sigma(x) - \tfrac{1}{2} = \tfrac{1}{2} \tanh(\tfrac{x}{2})$$

    Args:
        x: A tensor.

    Shapes:
        Any shape, which the result has too.

    Returns:
        Numbers between -1/2 and 1/2.

    Source:
        LeCun, Bottou, Orr and Müller (1998), *Efficient BackProp*, on centred activations.

    Example:
        >>> import numpy as np
        >>> from cnn_tf.recipes import centred_sigmoid
        >>> np.asarray(centred_sigmoid(np.zeros(2, "float32"))).tolist()
        [0.0, 0.0]
    """
    return keras.ops.sigmoid(x) - 0.5


def stack(layers: Sequence[tuple[str, Mapping[str, Any]]]) -> keras.Sequential:
    """Make a network for Fashion-MNIST of a list of layers, given as plain data.

    Args:
        layers: Pairs of a layer's name and its arguments. The name is looked for among the
            package's layers first, then among Keras's.

    Shapes:
        `(batch, 28, 28, 1)` -> what the last layer puts out.

    Returns:
        A `keras.Sequential`, built, not compiled.

    Raises:
        ValueError: There is no layer of that name.

    Example:
        >>> from cnn_tf.recipes import stack
        >>> stack([("Conv2D", {"filters": 4, "kernel_size": 3}), ("Flatten", {})]).output_shape
        (None, 2704)
    """
    return keras.Sequential([keras.Input((28, 28, 1)), *map(_layer, layers)])


def _layer(described: tuple[str, Mapping[str, Any]]) -> keras.layers.Layer:
    name, arguments = described
    kind = getattr(cnn_tf.layers, name, None) or getattr(keras.layers, name, None)
    if kind is None:
        raise ValueError(
            f"Neither cnn_tf.layers nor keras.layers has a layer {name!r}. Received: {name!r} "
            f"with {dict(arguments)}."
        )
    return kind(**arguments)


MODELS: dict[str, Callable[..., keras.Model]] = {
    "LeNet": LeNet,
    "MLP": MLP,
    "SmallResNet": SmallResNet,
    "stack": stack,
}
ACTIVATIONS = {"centred_sigmoid": centred_sigmoid}


@dataclass(frozen=True)
class Recipe:
    """How a network is made and trained; with its defaults, LeNet by the classic recipe.

    Args:
        model: Name of what makes the network, a key of `MODELS`.
        arguments: Its arguments.
        optimizer: Name of a Keras optimizer.
        settings: Its arguments; `learning_rate` among them.
        warm_up: Epochs in which the learning rate rises from zero, along a line.
        cosine: Whether the learning rate then falls to zero, along half a cosine.
        epochs: Passes over the training set.
        batch_size: Images in a step.
        standardize: Whether the mean of all pixels of the training set is taken away from each
            pixel, and the rest divided by their standard deviation.
        permute: Whether one fixed permutation is applied to the pixels of every image.
        augment: Layers that change the images in training, and in training only, such as Keras's
            `RandomFlip`; pairs of a name and arguments, as for `stack`.
        label_smoothing: The share of each label that is spread evenly over all classes.

    Raises:
        ValueError: There is no such model, or a number is out of its range. Of an optimizer that
            does not exist, Keras says so in `build_optimizer`.
        TypeError: `epochs` or `batch_size` is no integer, `warm_up` or `label_smoothing` no number.

    Source:
        The book's page on LeNet derives the classic recipe and what repairs it.

    Example:
        >>> from cnn_tf.recipes import Recipe
        >>> Recipe(arguments={"activation": "relu"}, epochs=2).declared()
        {'arguments': {'activation': 'relu'}, 'epochs': 2}
    """

    model: str = "LeNet"
    arguments: Mapping[str, Any] = field(default_factory=dict)
    optimizer: str = "SGD"
    settings: Mapping[str, Any] = field(default_factory=lambda: {"learning_rate": 0.1})
    warm_up: float = 0
    cosine: bool = False
    epochs: int = 10
    batch_size: int = 128
    standardize: bool = False
    permute: bool = False
    augment: Sequence[tuple[str, Mapping[str, Any]]] = ()
    label_smoothing: float = 0

    def __post_init__(self) -> None:
        if self.model not in MODELS:
            raise ValueError(
                f"`model` must be one of {', '.join(MODELS)}. Received: model={self.model!r}."
            )
        for name in ("epochs", "batch_size"):
            check_int(getattr(self, name), name, minimum=1)
        for name in ("warm_up", "label_smoothing"):
            if not isinstance(getattr(self, name), numbers.Real):
                raise TypeError(
                    f"`{name}` must be a number. Received: {name}={getattr(self, name)!r}."
                )
        if not 0 <= self.warm_up < self.epochs:
            raise ValueError(
                f"`warm_up` must be at least 0 and less than the {self.epochs} epochs. Received: "
                f"warm_up={self.warm_up!r}."
            )
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(
                "`label_smoothing` must be at least 0 and less than 1. Received: "
                f"label_smoothing={self.label_smoothing!r}."
            )

    @classmethod
    def from_declared(cls, declared: Mapping[str, Any]) -> "Recipe":
        """Make the recipe of which `declared` gave the settings.

        Raises:
            ValueError: A setting that this version of the package does not know.
        """
        unknown = set(declared) - {each.name for each in fields(cls)}
        if unknown:
            raise ValueError(
                f"This version of cnn_tf knows no recipe with {', '.join(sorted(unknown))}. "
                "Install the version that the record comes from, or make the record again: "
                "run `make experiments`."
            )
        return cls(**declared)

    def declared(self) -> dict[str, Any]:
        """List the settings that are not the defaults; `from_declared` reads them back.

        A setting that is added to the package later, with a default that changes nothing, leaves
        old declarations as they are.
        """
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        usual = json.loads(json.dumps(asdict(type(self)())))
        return {name: value for name, value in plain.items() if value != usual[name]}

    def build(self) -> keras.Model:
        """Make the network, with first weights drawn by Keras's random numbers."""
        arguments = dict(self.arguments)
        if arguments.get("activation") in ACTIVATIONS:
            arguments["activation"] = ACTIVATIONS[arguments["activation"]]
        return MODELS[self.model](**arguments)

    def build_loss(self) -> Callable[[Any, Any], Any]:
        """Make the loss of integer labels and logits: the cross-entropy."""
        if not self.label_smoothing:
            return keras.losses.SparseCategoricalCrossentropy(from_logits=True)

        def smoothed_crossentropy(labels: Any, logits: Any) -> Any:
            return keras.losses.categorical_crossentropy(
                keras.ops.one_hot(labels, logits.shape[-1], dtype=logits.dtype),
                logits,
                from_logits=True,
                label_smoothing=self.label_smoothing,
            )

        return smoothed_crossentropy

    def build_optimizer(self, images: int) -> keras.optimizers.Optimizer:
        """Make the optimizer for a training set of so many images."""
        settings = dict(self.settings)
        steps = math.ceil(images / self.batch_size)
        if self.cosine or self.warm_up:
            rate = settings["learning_rate"]
            rising = round(self.warm_up * steps)
            settings["learning_rate"] = keras.optimizers.schedules.CosineDecay(
                0.0 if rising else rate,
                decay_steps=self.epochs * steps - rising,
                alpha=0.0 if self.cosine else 1.0,
                warmup_target=rate if rising else None,
                warmup_steps=rising,
            )
        return keras.optimizers.get({"class_name": self.optimizer, "config": settings})

    def prepare(self, data: Any) -> Any:
        """Bring all parts of a data set into the form that the network is given.

        Args:
            data: An object with `train`, `validation` and perhaps `test`, such as `FashionMNIST()`.

        Returns:
            An object with the same parts, each a pair of images and labels.
        """
        images, _ = data.train
        if self.standardize:
            mean, deviation = np.float32(images.mean()), np.float32(images.std())
        if self.permute:
            order = np.random.default_rng(1).permutation(images[0].size)

        def prepared(images: np.ndarray) -> np.ndarray:
            if self.standardize:
                images = (images - mean) / deviation
            if self.permute:
                images = images.reshape(len(images), -1)[:, order].reshape(images.shape)
            return images

        parts = {
            name: (prepared(pair[0]), pair[1])
            for name in ("train", "validation", "test")
            if (pair := getattr(data, name, None)) is not None
        }
        return SimpleNamespace(**parts)


def small_resnet_recipe(epochs: int = 40) -> Recipe:
    """Make the recipe of the best network of the book, the small residual one.

    The record `best` holds five training runs by it.

    In training each picture is moved by up to one pixel along each axis, by whole pixels, and what
    enters is a copy of the nearest one; each picture is mirrored with a probability of one half.
    The steps are those of AdamW, in batches of 64, with a learning rate that rises for one and a
    half epochs and falls along a cosine; a twentieth of each label is spread over all classes.

    Args:
        epochs: Passes over the training set, at least two.

    Returns:
        A `Recipe` for `cnn_tf.models.SmallResNet`; `dataclasses.replace` makes others of it.

    Raises:
        ValueError: Fewer than two epochs.
        TypeError: `epochs` is no integer.

    Source:
        Loshchilov and Hutter (2019), *Decoupled weight decay regularization*; Szegedy et al.
        (2016), *Rethinking the Inception architecture for computer vision*, for the labels.

    Example:
        >>> from cnn_tf.recipes import small_resnet_recipe
        >>> small_resnet_recipe().build().count_params()
        60903
    """
    return Recipe(
        "SmallResNet",
        optimizer="AdamW",
        settings={"learning_rate": 0.005, "weight_decay": 0.02},
        warm_up=1.5,
        cosine=True,
        epochs=epochs,
        batch_size=64,
        standardize=True,
        augment=(
            (
                "RandomTranslation",
                {
                    "height_factor": 1 / 28,
                    "width_factor": 1 / 28,
                    "fill_mode": "nearest",
                    "interpolation": "nearest",  # another one would blur what is learned from
                },
            ),
            ("RandomFlip", {"mode": "horizontal"}),
        ),
        label_smoothing=0.05,
    )


def train(
    recipe: Recipe,
    data: Any,
    seed: int = 0,
    *,
    verbose: bool = True,
    callbacks: tuple[keras.callbacks.Callback, ...] = (),
    checkpoint_dir: str | os.PathLike[str] | None = None,
) -> tuple[keras.Model, TrainingLog]:
    """Make a network by a recipe and train it: one more draw of what a record holds.

    Args:
        recipe: The recipe.
        data: An object with `train` and `validation`, such as `FashionMNIST()`; the recipe
            prepares it.
        seed: Decides the first weights and the order of the pictures.
        verbose: Whether to show the progress.
        callbacks: Further Keras callbacks.
        checkpoint_dir: A folder from which a training that was killed goes on, as `fit` has it.

    Shapes:
        images `(n, 28, 28, 1)` of floats, labels `(n,)` of integers.

    Returns:
        The trained network, and its `TrainingLog`. On another processor the same seed gives
        another network: rounding differs, and a training is chaotic.

    Raises:
        TypeError: A seed that is no integer.
        ValueError: A negative seed.

    Source:
        Bouthillier et al. (2021), *Accounting for variance in machine learning benchmarks*.

    Example:
        >>> from types import SimpleNamespace
        >>> import numpy as np
        >>> from cnn_tf.recipes import Recipe, train
        >>> images, labels = np.zeros((8, 28, 28, 1), "float32"), np.arange(8)
        >>> data = SimpleNamespace(train=(images, labels), validation=(images, labels))
        >>> model, log = train(Recipe(epochs=1), data, seed=3, verbose=False)
        >>> model.count_params(), len(log.history["val_accuracy"])
        (61706, 1)
    """
    check_int(seed, "seed", minimum=0)
    prepared = recipe.prepare(data)
    keras.utils.set_random_seed(seed)
    model = recipe.build()
    trained = model
    if recipe.augment:
        layers = [keras.Input(model.input_shape[1:]), *map(_layer, recipe.augment), model]
        trained = keras.Sequential(layers)
    log = fit(
        trained,
        prepared,
        recipe.epochs,
        batch_size=recipe.batch_size,
        optimizer=recipe.build_optimizer(len(prepared.train[1])),
        loss=recipe.build_loss(),
        seed=seed,
        callbacks=callbacks,
        checkpoint_dir=checkpoint_dir,
        verbose=verbose,
    )
    return model, log


class Record:
    """What came of the recipes of an experiment: several training runs of each, made once.

    Args:
        content: What the file holds, as `read_record` finds it.

    Attributes:
        name: The experiment's name.
        question: What it is to answer.
        recipes: Each `Recipe` by its name, where the training runs are by recipes.

    Example:
        >>> from cnn_tf.recipes import Record
        >>> runs = [{"seed": s, "history": {"loss": [2, 1]}, "figures": {}} for s in (0, 1)]
        >>> arms = {"old": {"recipe": {}, "runs": runs}}
        >>> content = {"name": "mine", "question": "?", "arms": arms}
        >>> Record(content).curves("old", "loss").shape
        (2, 2)
    """

    def __init__(self, content: Mapping[str, Any]) -> None:
        self._arms = content["arms"]
        self.name: str = content["name"]
        self.question: str = content["question"]

    @functools.cached_property
    def recipes(self) -> dict[str, Recipe]:
        """Each recipe by its name."""
        return {name: Recipe.from_declared(arm["recipe"]) for name, arm in self._arms.items()}

    def curves(self, recipe: str, metric: str = "val_accuracy") -> np.ndarray:
        """Give a metric after each epoch.

        Args:
            recipe: The name of a recipe.
            metric: A name of Keras's history, such as `"loss"` or `"val_accuracy"`.

        Shapes:
            `(seeds, epochs)`

        Returns:
            One row for each training, in the order of the seeds.

        Raises:
            ValueError: There is no such recipe or metric.
        """
        return np.array([self._of(run["history"], metric) for run in self._runs(recipe)])

    def values(self, recipe: str, figure: str = "val_accuracy") -> np.ndarray:
        """Give what each training came to.

        Args:
            recipe: The name of a recipe.
            figure: What was measured at the end, such as `"test_accuracy"` or `"plateau"`, the
                number of steps until the loss was one per cent below that of guessing (`nan`
                where it never was); or a metric, of which the value after the last epoch is given.

        Shapes:
            `(seeds,)`, or `(seeds, ...)` where several numbers were measured.

        Returns:
            One value for each training, in the order of the seeds.

        Raises:
            ValueError: There is no such recipe or figure.
        """
        ends = [
            {name: curve[-1] for name, curve in run["history"].items()} | run["figures"]
            for run in self._runs(recipe)
        ]
        return np.array([self._of(end, figure) for end in ends], dtype=float)

    def right(self, recipe: str) -> np.ndarray:
        """Say which pictures of the test set each training's network classified correctly.

        Two networks that saw the same pictures are compared picture by picture, by McNemar's test:
        only the pictures count that one of the two classified correctly and the other did not.

        Shapes:
            `(seeds, pictures)` of bools.

        Raises:
            ValueError: There is no such recipe, or the experiment did not look at the test set.

        Source:
            McNemar (1947), *Note on the sampling error of the difference between correlated
            proportions or percentages*.
        """
        packed = [self._of(run["figures"], "right") for run in self._runs(recipe)]
        bits = [np.frombuffer(bytes.fromhex(text), np.uint8) for text in packed]
        return np.unpackbits(bits, axis=1).astype(bool)

    def gains(self, recipe: str, over: str, figure: str = "val_accuracy") -> np.ndarray:
        """Say by how much the figure of `recipe` exceeds that of `over`, seed by seed.

        Shapes:
            `(seeds,)`, of the seeds that both have.
        """
        seeds = [[run["seed"] for run in self._runs(name)] for name in (recipe, over)]
        both = sorted(set(seeds[0]) & set(seeds[1]))
        one, other = (
            self.values(name, figure)[[order.index(seed) for seed in both]]
            for name, order in zip((recipe, over), seeds, strict=True)
        )
        return one - other

    def _runs(self, recipe: str) -> list[Any]:
        runs: list[Any] = self._of(self._arms, recipe)["runs"]
        return sorted(runs, key=lambda run: run["seed"])

    def _of(self, kept: Mapping[str, Any], name: str) -> Any:
        if name not in kept:
            raise ValueError(
                f"The record {self.name!r} holds {', '.join(map(repr, kept))}. Received: {name!r}."
            )
        return kept[name]

    def __repr__(self) -> str:
        lines = [f"{self.name}: {self.question}"]
        width = max(map(len, self._arms))
        for name, arm in self._arms.items():
            told = f"{len(arm['runs'])} runs"
            if all("val_accuracy" in run["history"] for run in arm["runs"]):
                ends = 100 * self.values(name)
                told = (
                    f"{ends.mean():5.1f} % ± {ends.std(ddof=1):4.1f}"
                    f"   {told} from {ends.min():.1f} to {ends.max():.1f}"
                )
            lines.append(f"{name:{width}}  {told}")
        return "\n".join(lines)


def read_record(name: str, folder: str | os.PathLike[str] | None = None) -> Record:
    """Read the record of an experiment.

    Args:
        name: The experiment's name.
        folder: Where the records lie; by default the folder that the environment variable
            `CNN_TF_RECORDS` names, or else `experiments/records`.

    Returns:
        The `Record`.

    Raises:
        FileNotFoundError: There is no such record; the message lists those that are there.
        ValueError: The file is damaged, or from another version.

    Example:
        >>> import json, tempfile
        >>> from pathlib import Path
        >>> from cnn_tf.recipes import read_record
        >>> content = {"format": 1, "name": "mine", "question": "Why?", "arms": {}}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "mine.json").write_text(json.dumps(content))
        ...     read_record("mine", folder).question
        'Why?'
    """
    place = Path(folder or os.environ.get("CNN_TF_RECORDS") or "experiments/records")
    path = place / f"{name}.json"
    return Record(read_content(path))


def read_content(path: Path) -> dict[str, Any]:
    """Read a record's file, and refuse what is none of this version.

    Args:
        path: The file.

    Returns:
        What it holds, as a dict.

    Raises:
        FileNotFoundError: There is no such file; the message lists the other records.
        ValueError: The file is damaged, or from another version.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from cnn_tf.recipes import read_content
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "mine.json")
        ...     _ = path.write_text('{"format": 1, "name": "mine", "question": "?", "arms": {}}')
        ...     read_content(path)["name"]
        'mine'
    """
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        there = ", ".join(sorted(other.stem for other in path.parent.glob("*.json")))
        raise FileNotFoundError(
            f"There is no record {path.stem!r} in {path.parent}. "
            f"There: {there or 'none'}. The folder can be named by CNN_TF_RECORDS."
        ) from None
    remedy = f"Bring it back by `git checkout -- {path}`, or delete it and run `make experiments`."
    try:
        content = json.loads(text)
        found = content["format"]
        missing = {"name", "question", "arms"} - set(content)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged ({error!r}). {remedy}") from None
    if found != FORMAT:
        raise ValueError(
            f"{path} is of format {found!r}, and this version of cnn_tf reads format {FORMAT}. "
            "Install the version of the package that it belongs to, or delete it and run "
            "`make experiments`."
        )
    if missing:
        raise ValueError(f"{path} is damaged: no {', '.join(sorted(missing))}. {remedy}")
    return dict(content)
