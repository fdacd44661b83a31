"""How time and memory of a convolution grow with each of its sizes, against what theory says."""

import dataclasses
import math
import statistics
from collections.abc import Callable, Iterator, Sequence

import cnn_tf
from benchmarks import memory
from benchmarks.measure import compare
from benchmarks.steps import training

# A 3x3 convolution of 64 channels on 8 images of 64x64; one size at a time is changed.
BASE = {"size": 64, "kernel": 3, "channels": 64, "batch": 8}
SERIES: dict[str, Sequence[int]] = {
    "size": (32, 48, 64, 96, 128, 192),
    "kernel": (1, 3, 5, 7, 9, 11),
    "channels": (32, 64, 96, 128, 192, 256),
    "batch": (2, 4, 8, 16, 32, 64),
}
# The exponents of theory: multiplications for time; images, outputs and kernels for memory.
THEORY = {
    "size": {"time": 2, "memory": 2},
    "kernel": {"time": 2, "memory": 0},
    "channels": {"time": 2, "memory": 1},
    "batch": {"time": 1, "memory": 1},
}


@dataclasses.dataclass
class Growth:
    """Seconds and bytes, forward and backward, for each value of one size."""

    name: str
    values: Sequence[int]
    seconds: list[float]
    bytes: list[float]

    def slope(self, what: str) -> float:
        """The exponent of the power law that fits best, by least squares on logarithms."""
        return slope(self.values, self.seconds if what == "time" else self.bytes)

    def as_json(self) -> dict[str, object]:
        return dataclasses.asdict(self) | {
            "slopes": {what: self.slope(what) for what in ("time", "memory")},
            "theory": THEORY[self.name],
        }


def run_all(rounds: int, wanted: Callable[[str], bool]) -> Iterator[Growth]:
    """Measure each series: the values of one size are rivals of one another."""
    for name, values in SERIES.items():
        if not wanted(f"growth with {name}"):
            continue
        settings = [BASE | {name: value} for value in values]
        times = compare(
            name, {str(v): _step(**s) for v, s in zip(values, settings, strict=True)}, rounds
        )
        seconds = [times.median(str(value)) for value in values]
        peaks = [
            memory.in_a_fresh_process("cnn_tf", s["batch"], s["size"], s["channels"], s["kernel"])
            for s in settings
        ]
        yield Growth(name, values, seconds, peaks)


def _step(size: int, kernel: int, channels: int, batch: int) -> Callable[[], object]:
    layer = cnn_tf.Conv2D(channels, kernel, padding="same")
    return training(layer, (batch, size, size, channels), jit=False)


def slope(x: Sequence[float], y: Sequence[float]) -> float:
    u, v = ([math.log(value) for value in values] for values in (x, y))
    return statistics.linear_regression(u, v).slope
