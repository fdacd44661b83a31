"""The explorer of training: the pictures that it learns from, and the recorded training runs."""

import gzip
import itertools
import json
import math

import numpy as np

from cnn_tf.data import FashionMNIST
from cnn_tf.explorers._network import Settings
from cnn_tf.explorers._settings import CHOICES, LIMITS, check_limits, check_number
from cnn_tf.plots import Figure, image_grid, line_plot
from cnn_tf.recipes import Recipe, Record

TRAIN, VALIDATION = 6_400, 2_000  # pictures at most: the archive stays below 4 MB
RECORDED = 50_000  # pictures in each epoch of the recorded training runs

# What each word changes of the arguments of LeNet, and of the recipe.
_ARGUMENTS: dict[str, dict[str, Settings]] = {
    "activation": {
        word: {} if word == "sigmoid" else {"activation": word}
        for word in CHOICES["words"]["activation"]
    },
    "weights": {
        "glorot": {},
        "times_four": {
            "kernel_initializer": {
                "class_name": "VarianceScaling",
                # Sixteen times the variance of Glorot's rule.
                "config": {"scale": 16.0, "mode": "fan_avg", "distribution": "uniform"},
            }
        },
        "he": {"kernel_initializer": "he_uniform"},
    },
    "pooling": {"avg": {}, "max": {"pooling": "max"}},
    "normalisation": {"none": {}, "batch": {"batch_normalization": True}},
}
_RECIPE: dict[str, dict[str, Settings]] = {
    "optimiser": {"sgd": {}, "momentum": {}, "adam": {"optimizer": "Adam"}},
    "schedule": {"constant": {}, "cosine": {"cosine": True}},
    "input": {"plain": {}, "standardised": {"standardize": True}},
}


def training(
    data: FashionMNIST | None = None,
    record: Record | None = None,
    activation: str = "sigmoid",
    weights: str = "glorot",
    pooling: str = "avg",
    normalisation: str = "none",
    optimiser: str = "sgd",
    schedule: str = "constant",
    input: str = "plain",
    rate: float = 0.1,
    batch: int = 32,
    seed: int = 0,
    field: str = "pool2",
) -> tuple[Settings, Figure, Settings, bytes]:
    """Make the explorer's settings, its static figure, its data and its pictures."""
    words = {"activation": activation, "weights": weights, "pooling": pooling}
    words |= {"normalisation": normalisation, "optimiser": optimiser}
    words |= {"schedule": schedule, "input": input}
    known_words = CHOICES["words"] | {"field": CHOICES["fields"]}
    for name, word in (words | {"field": field}).items():
        if word not in (known := known_words[name]):
            raise ValueError(
                f'explore("training") expected {name} to be one of '
                f"{', '.join(map(repr, known))}. Received: {name}={word!r}."
            )
    rate = check_number("rate", rate, *LIMITS["training"]["rate"])
    check_limits("training", "batch", batch)
    check_limits("training", "seed", seed)
    if not (record is None or isinstance(record, Record)):
        raise TypeError(
            'explore("training") expected a record of training runs, such as '
            f'cnn_tf.recipes.read_record("ladder"). Received: record={record!r}.'
        )
    data = data or FashionMNIST()
    recorded = _recorded(record) if record else []
    parts = _parts(data)
    archive = _archive(parts)
    about = {
        "class_names": list(data.class_names),
        "pictures": {name: len(labels) for name, (_, labels) in parts.items()},
        "bytes": len(archive),
        "recorded": recorded,
    }
    settings = words | {"rate": rate, "batch": int(batch), "seed": int(seed), "field": field}
    return settings, _figure(data, recorded), about, archive


def recipe_of(*, rate: float, batch: int, **words: str) -> Recipe:
    """Make the recipe by which the explorer trains; its words are those of `choices.js`."""
    arguments: Settings = {}
    for name, meanings in _ARGUMENTS.items():
        arguments |= meanings[words[name]]
    others: Settings = {}
    for name, meanings in _RECIPE.items():
        others |= meanings[words[name]]
    settings = {"learning_rate": rate}
    if words["optimiser"] == "momentum":
        settings["momentum"] = 0.9
    return Recipe(arguments=arguments, settings=settings, batch_size=batch, **others)


def choices_of(recipe: Recipe) -> Settings | None:
    """Find the settings by which the explorer trains by a recipe, if there are any."""
    numbers = {"rate": recipe.settings["learning_rate"], "batch": recipe.batch_size}
    names = CHOICES["words"]
    for words in itertools.product(*names.values()):
        choices: Settings = dict(zip(names, words, strict=True)) | numbers
        if recipe_of(**choices) == recipe:
            return choices
    return None


def _recorded(record: Record) -> list[Settings]:
    """The mean curves of the recipes that the explorer can train by, a number for each epoch."""
    return [
        {
            "choices": choices,
            "epoch": math.ceil(RECORDED / recipe.batch_size),  # steps
            "loss": _mean(record.curves(name, "loss")),
            "accuracy": _mean(record.curves(name, "val_accuracy")),
        }
        for name, recipe in record.recipes.items()
        if (choices := choices_of(recipe))
    ]


def _mean(curves: np.ndarray) -> list[float]:
    return [round(float(value), 4) for value in curves.mean(axis=0)]


def _parts(data: FashionMNIST) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The pictures that go along, and their labels: fewer where there are not so many."""
    parts = {"train": (data.train, TRAIN), "validation": (data.validation, VALIDATION)}
    return {name: (part.images[:most], part.labels[:most]) for name, (part, most) in parts.items()}


def _archive(parts: dict[str, tuple[np.ndarray, np.ndarray]]) -> bytes:
    """Pack pictures and labels: a line of JSON that counts them, then one byte each."""
    counts = json.dumps({name: len(labels) for name, (_, labels) in parts.items()})
    content = counts.encode() + b"\n"
    for images, labels in parts.values():
        content += np.round(255 * images).astype("uint8").tobytes()
        content += labels.astype("uint8").tobytes()
    return gzip.compress(content, mtime=0)  # no time: the same pictures make the same bytes


def _figure(data: FashionMNIST, recorded: list[Settings]) -> Figure:
    """Some of the recorded training runs; without a record, what there is to learn from."""
    by_choices = {_key(each["choices"]): each for each in recorded}
    shown = {
        name: found
        for name in ("classic", "weights × 4", "ReLU, He, max, norm, Adam, cosine")
        if (found := by_choices.get(_key(CHOICES["classic"] | CHOICES["presets"][name])))
    }
    if not shown:
        images, labels = data.train
        first = [int(np.flatnonzero(labels == k)[0]) for k in range(10)]
        return image_grid(
            images[first],
            list(data.class_names),
            columns=5,
            alt=f"Ten pictures, one of each class: {', '.join(data.class_names)}.",
        )
    epoch = next(iter(shown.values()))["epoch"]
    accuracy = {
        # The axis has room for few words.
        "the whole stack" if "," in name else name: [100 * value for value in each["accuracy"]]
        for name, each in shown.items()
    }
    ends = "; ".join(f"{name}: {values[-1]:.0f} %" for name, values in accuracy.items())
    return line_plot(
        {"right on validation pictures, %": accuracy},
        x=[epoch * (k + 1) for k in range(len(next(iter(accuracy.values()))))],
        x_label="step",
        alt=f"Means of recorded training runs of LeNet by different recipes. At the end, {ends}.",
    )


def _key(choices: Settings) -> str:
    return json.dumps(choices, sort_keys=True)
