"""Our layers against Keras's of the same arguments: forward, and backward to all that goes in."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import keras

import cnn_tf
from benchmarks.measure import Comparison, compare
from benchmarks.steps import COMPILED, Shape, training


class Case(NamedTuple):
    """A layer, the images it works on, and the ratio to reach."""

    name: str
    shape: Shape
    layer: str
    arguments: dict[str, Any]
    bound: float


def _conv(name: str, shape: Shape, bound: float, filters: int, size: int, **more: Any) -> Case:
    return Case(name, shape, "Conv2D", {"filters": filters, "kernel_size": size, **more}, bound)


CASES = [
    _conv("LeNet's first layer", (128, 28, 28, 1), 1.0, 6, 5, padding="same"),
    _conv("LeNet's second layer", (128, 14, 14, 6), 1.0, 16, 5),
    _conv("3x3, 64 to 64 channels", (32, 32, 32, 64), 1.25, 64, 3, padding="same"),
    _conv("3x3, stride 2, 64 to 128", (32, 32, 32, 64), 1.25, 128, 3, padding="same", strides=2),
    _conv("5x5, 128 to 128, large", (1, 256, 256, 128), 1.25, 128, 5, padding="same"),
    _conv("1x1, 256 to 64 channels", (32, 16, 16, 256), 1.0, 64, 1),
] + [
    Case(
        f"{size}x{size}, stride 2, {shape[-1]} channels",
        shape,
        layer,
        {"pool_size": size, "strides": 2},
        bound,
    )
    for layer in ("MaxPooling2D", "AveragePooling2D")
    for size, bound in ((2, 1.0), (3, 1.25))
    for shape in ((128, 28, 28, 6), (32, 32, 32, 64))
]


def run_all(rounds: int, wanted: Callable[[str], bool]) -> Iterator[Comparison]:
    """Compare the layers of each wanted case, each compiled by XLA and not."""
    for case in CASES:
        size = "x".join(map(str, case.shape))
        title = f"{case.name}: {case.layer} on {size}"
        if not wanted(title):
            continue
        rivals = {
            f"{package}.{case.layer}{', XLA' if jit else ''}": training(
                getattr(layers, case.layer)(**case.arguments), case.shape, jit
            )
            for package, layers in (("cnn_tf", cnn_tf), ("keras", keras.layers))
            for jit in COMPILED
        }
        yield compare(title, rivals, rounds, case.bound)
