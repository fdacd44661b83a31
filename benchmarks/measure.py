"""Interleaved measurements of rivals, and what is said of them."""

import dataclasses
import random
import statistics
import time
from collections.abc import Callable

Run = Callable[[], object]


UNITS = {"ms": 1e-3, "MB": 1e6}


@dataclasses.dataclass
class Comparison:
    """How long rivals took for the same work, each once in every round, or how much memory.

    Attributes:
        title: What was done.
        bound: The ratio to be reached, or None.
        measured: For each rival, its seconds (or bytes) in each round. Ours are those whose name
            starts with `cnn_tf`.
        unit: In what they are shown, `"ms"` or `"MB"`.
    """

    title: str
    bound: float | None
    measured: dict[str, list[float]]
    unit: str = "ms"

    @property
    def rounds(self) -> int:
        return len(next(iter(self.measured.values())))

    def median(self, name: str) -> float:
        return statistics.median(self.measured[name])

    def best(self, ours: bool) -> str:
        """The one of ours, or of the others, that needs least."""
        names = [name for name in self.measured if name.startswith("cnn_tf") == ours]
        return min(names, key=self.median)

    @property
    def ratio(self) -> float:
        """Our best median to the best of the others."""
        return self.median(self.best(ours=True)) / self.median(self.best(ours=False))

    @property
    def quartiles(self) -> tuple[float, float]:
        """Of the ratios within single rounds, whose two runs saw the same machine."""
        ours, theirs = (self.measured[self.best(ours=ours)] for ours in (True, False))
        ratios = [x / y for x, y in zip(ours, theirs, strict=True)]
        if len(ratios) == 1:
            return ratios[0], ratios[0]
        low, _, high = statistics.quantiles(ratios, n=4)
        return low, high

    def __str__(self) -> str:
        lines = [f"{self.title} ({self.rounds} rounds)"]
        for name in self.measured:
            lines.append(f"  {name:<34} {self.median(name) / UNITS[self.unit]:12.3f} {self.unit}")
        low, high = self.quartiles
        bound = "" if self.bound is None else f"; to reach: {self.bound:g}"
        lines.append(f"  ratio {self.ratio:.3g}, quartiles {low:.3g} to {high:.3g}{bound}")
        return "\n".join(lines)

    def as_json(self) -> dict[str, object]:
        return {
            "title": self.title,
            "bound": self.bound,
            "ratio": self.ratio,
            "quartiles": self.quartiles,
            "rounds": self.rounds,
            "unit": {"ms": "s", "MB": "bytes"}[self.unit],
            "medians": {name: self.median(name) for name in self.measured},
        }


def compare(
    title: str, rivals: dict[str, Run], rounds: int, bound: float | None = None
) -> Comparison:
    """Run all rivals in every round, in an order that is drawn anew."""
    for run in rivals.values():
        run()  # tracing, compiling, caches
        run()
    seconds: dict[str, list[float]] = {name: [] for name in rivals}
    for _ in range(rounds):
        for name in random.sample(list(rivals), len(rivals)):
            start = time.perf_counter()
            rivals[name]()
            seconds[name].append(time.perf_counter() - start)
    return Comparison(title, bound, seconds)
