"""What is trained. To add an experiment, declare it here and run `make experiments`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cnn_tf.recipes import Recipe, small_resnet_recipe
from experiments.atoms import Detector

SEEDS = (0, 1, 2, 3, 4)


@dataclass(frozen=True)
class Experiment:
    """A question, the recipes whose comparison answers it, and what is measured.

    Args:
        question: One sentence.
        recipes: Each recipe by the name that the pages give it.
        measures: Names of further measurements, keys of `measures.MEASURES`.
        seeds: Each recipe is trained once with each.
    """

    question: str
    recipes: Mapping[str, Recipe | Detector]
    measures: tuple[str, ...] = ()
    seeds: tuple[int, ...] = SEEDS


def _sgd(learning_rate: float, momentum: float = 0, **others: Any) -> Recipe:
    settings = {"learning_rate": learning_rate}
    return Recipe(settings=settings | ({"momentum": momentum} if momentum else {}), **others)


# Sixteen times the variance of Glorot's rule.
_TIMES_FOUR = {
    "class_name": "VarianceScaling",
    "config": {"scale": 16.0, "mode": "fan_avg", "distribution": "uniform"},
}
_ADAM: dict[str, Any] = {"optimizer": "Adam", "settings": {"learning_rate": 0.001}}
_RELU = {"activation": "relu"}
_HE = _RELU | {"kernel_initializer": "he_uniform"}
_MAX = _HE | {"pooling": "max"}
_NORM = _MAX | {"batch_normalization": True}
_HE_NORM = _HE | {"batch_normalization": True}

# The classic network as it is, its sigmoids and its means. Chosen on the validation set: the
# variance of the first weights (4, 8 and 16 times Glorot's), the learning rate (0.002 to 0.005)
# and the batch (16, 32 and 64).
_REPAIRED = Recipe(
    arguments={
        "kernel_initializer": {
            "class_name": "VarianceScaling",
            "config": {"scale": 8.0, "mode": "fan_avg", "distribution": "uniform"},
        }
    },
    optimizer="Adam",
    settings={"learning_rate": 0.005},
    warm_up=1,
    cosine=True,
    batch_size=16,
    standardize=True,
)


def _stack(*layers: tuple[str, dict[str, Any]], **others: Any) -> Recipe:
    """A network of these layers and an output of ten, by Adam at 0.001."""
    hidden = ("Dense", "Conv2D", "LocallyConnected2D")
    he = {"activation": "relu", "kernel_initializer": "he_uniform"}
    made = [(name, (he | given) if name in hidden else given) for name, given in layers]
    layers = [*made, ("Flatten", {}), ("Dense", {"units": 10})]
    return Recipe("stack", {"layers": layers}, **_ADAM, **others)


# Three layers with weights each, and 61,000 to 62,000 weights. Where there are windows, the first
# has 5 x 5 cells and steps by 3, the second 3 x 3.
_DEMANDS = {
    "dense": (("Flatten", {}), ("Dense", {"units": 72}), ("Dense", {"units": 62})),
    "local": (
        ("LocallyConnected2D", {"filters": 8, "kernel_size": 5, "strides": 3}),
        ("LocallyConnected2D", {"filters": 16, "kernel_size": 3}),
    ),
    "local and shared": (
        ("Conv2D", {"filters": 38, "kernel_size": 5, "strides": 3}),
        ("Conv2D", {"filters": 86, "kernel_size": 3}),
    ),
}

# Two convolutions, after each of which the map is halved in one of these ways, and 29,738 weights.
_HALVE_MEAN = (("AveragePooling2D", {"pool_size": 2}),)
_HALVE_MAX = (("MaxPooling2D", {"pool_size": 2}),)
# Two means of two cells, one after the other, weigh three cells by 1, 2 and 1.
_HALVE_BLUR = (
    ("MaxPooling2D", {"pool_size": 2, "strides": 1, "padding": "same"}),
    ("AveragePooling2D", {"pool_size": 2, "strides": 1, "padding": "same"}),
    ("AveragePooling2D", {"pool_size": 2}),
)


def _halving(halve: Sequence[tuple[str, dict[str, Any]]], strides: int = 1) -> Recipe:
    return _stack(
        ("Conv2D", {"filters": 8, "kernel_size": 5, "padding": "same", "strides": strides}),
        *halve,
        ("Conv2D", {"filters": 16, "kernel_size": 5, "strides": strides}),
        *halve,
        ("Flatten", {}),
        ("Dense", {"units": 64}),
    )


EXPERIMENTS = {
    "ladder": Experiment(
        "What does each change of LeNet's classic recipe gain, on all 50,000 pictures?",
        {
            "classic": Recipe(),
            # Each change alone.
            "rate 0.3": _sgd(0.3),
            "rate 0.5": _sgd(0.5),
            "rate 0.9": _sgd(0.9),
            "momentum": _sgd(0.1, momentum=0.9),
            "Adam": Recipe(**_ADAM),
            "cosine": Recipe(cosine=True),
            "standardised": Recipe(standardize=True),
            "weights × 4": Recipe(arguments={"kernel_initializer": _TIMES_FOUR}),
            "centred sigmoid": Recipe(arguments={"activation": "centred_sigmoid"}),
            "tanh": Recipe(arguments={"activation": "tanh"}),
            "ReLU": Recipe(arguments=_RELU),
            "max pooling": Recipe(arguments={"pooling": "max"}),
            "batch norm": Recipe(arguments={"batch_normalization": True}),
            # Stacked, from ReLU on.
            "ReLU, max": Recipe(arguments=_RELU | {"pooling": "max"}),
            "ReLU, He": Recipe(arguments=_HE),
            "ReLU, He, max": Recipe(arguments=_MAX),
            "ReLU, He, max, norm": Recipe(arguments=_NORM),
            "ReLU, He, max, norm, Adam": Recipe(arguments=_NORM, **_ADAM),
            "ReLU, He, max, norm, Adam, cosine": Recipe(arguments=_NORM, **_ADAM, cosine=True),
        },
        measures=("plateau",),
    ),
    "final": Experiment(
        "How good are the networks of the page on LeNet, on pictures that chose nothing?",
        {
            "softmax regression": Recipe("MLP", {"units": ()}),
            "MLP": Recipe("MLP"),
            "LeNet": Recipe(),
            "softmax regression, better recipe": Recipe("MLP", {"units": ()}, **_ADAM, cosine=True),
            "MLP, better recipe": Recipe("MLP", _HE_NORM, **_ADAM, cosine=True),
            "LeNet, better recipe": Recipe(arguments=_NORM, **_ADAM, cosine=True),
            "LeNet, repaired by training alone": _REPAIRED,
        },
        measures=("test",),
    ),
    "best": Experiment(
        "How good can a network of LeNet's size be, and how good are others by its recipe?",
        {
            "small ResNet": small_resnet_recipe(),
            "MLP": replace(small_resnet_recipe(), model="MLP", arguments=_HE_NORM),
            "softmax regression": replace(
                small_resnet_recipe(), model="MLP", arguments={"units": ()}
            ),
        },
        measures=("test", "mirrored"),
    ),
    "demands": Experiment(
        "What does locality gain, and what does sharing gain, with as many weights and layers?",
        {
            label + ", permuted" * permute: replace(recipe, permute=permute)
            for permute in (False, True)
            for label, recipe in (
                *((label, _stack(*layers)) for label, layers in _DEMANDS.items()),
                # As many weights, too, but five layers, small windows and pooling.
                ("LeNet", Recipe(arguments=_RELU | {"pooling": "max"}, **_ADAM)),
            )
        },
    ),
    "sizes": Experiment(
        "Which sizes of LeNet with ReLU make a difference?",
        {
            # As it is, it is the "ReLU, He" of the ladder.
            "window 3": Recipe(arguments=_HE | {"kernel_size": 3}),
            "three convolutions, window 3": Recipe(
                arguments=_HE | {"kernel_size": 3, "filters": (6, 16, 32)}
            ),
            "one convolution": Recipe(arguments=_HE | {"filters": (6,)}),
            "half the channels": Recipe(arguments=_HE | {"filters": (3, 8)}),
            "no hidden dense layer": Recipe(arguments=_HE | {"units": ()}),
        },
    ),
    "shift": Experiment(
        "How do networks bear it when a picture moves by some pixels, with different pooling?",
        {
            # As many weights as the others, to two in a hundred.
            "dense": _stack(("Flatten", {}), ("Dense", {"units": 37})),
            "stride": _halving((), strides=2),
            "mean": _halving(_HALVE_MEAN),
            "max": _halving(_HALVE_MAX),
            "blur": _halving(_HALVE_BLUR),
        },
        measures=("shift",),
    ),
    "atoms": Experiment(
        "How much do the detectors of the page on atoms depend on the draw?",
        {
            "one kernel": Detector("one_kernel"),
            "network": Detector("network"),
            "wary network": Detector("network", missing=0.25),
        },
    ),
}
