"""Compare speed and memory with rivals: print medians and ratios, and keep them in results/.

python -m benchmarks [WORD ...]             only the comparisons whose title holds a word
python -m benchmarks --against RECORD       name what is slower than in an earlier record

Keras's convolutions call oneDNN where TensorFlow has it, and Eigen where TF_ENABLE_ONEDNN_OPTS=0
is set. `make bench` measures the layers with both, and all the rest with the first; then the layers
of networks on JAX and, if it is installed, on PyTorch, and on JAX what two processes cost.
"""

import argparse
import datetime
import importlib
import importlib.util
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Before TensorFlow is imported: its start-up log is not a result.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

import cnn_tf
from benchmarks import against, cluster, costs, growth, ideas, layers, memory, networks, training
from benchmarks.measure import Comparison, Run, compare
from benchmarks.steps import BACKEND
from experiments import runner

tf.get_logger().setLevel("ERROR")  # it warns of many functions; each rival is one of its own

LIBRARY = "eigen" if os.environ.get("TF_ENABLE_ONEDNN_OPTS") == "0" else "onednn"
if BACKEND != "tensorflow":
    LIBRARY = BACKEND
FEWEST_ROUNDS = 20  # results of fewer are printed, and not kept
RESULTS = Path(__file__).parent / "results" / f"{LIBRARY}.json"


def imports(rounds: int) -> Comparison:
    """Importing the package, each time in a fresh process."""

    def fresh(module: str) -> Run:
        command = [sys.executable, "-c", f"import {module}"]
        return lambda: subprocess.run(command, check=True, capture_output=True)

    rivals = {"cnn_tf": fresh("cnn_tf"), "keras": fresh("keras")}
    return compare("import", rivals, rounds, bound=1.05)


def corr2d_against_loop(rounds: int) -> Iterator[Comparison]:
    """`corr2d` against the double loop that assigns one output after the other."""
    rng = np.random.default_rng(0)
    X, K = rng.random((256, 256), "float32"), rng.random((5, 5), "float32")

    def with_tensors() -> object:
        x, k = tf.constant(X), tf.constant(K)
        Y = tf.Variable(tf.zeros((252, 252)))
        for i in range(252):
            for j in range(252):
                Y[i, j].assign(tf.reduce_sum(x[i : i + 5, j : j + 5] * k))
        return Y

    def with_arrays() -> object:
        Y = np.zeros((252, 252), "float32")
        for i in range(252):
            for j in range(252):
                Y[i, j] = (X[i : i + 5, j : j + 5] * K).sum()
        return Y

    def ours() -> object:
        return np.asarray(cnn_tf.corr2d(X, K))

    title = "corr2d, 256x256 with 5x5, against a double loop in"
    yield compare(f"{title} NumPy", {"cnn_tf.corr2d": ours, "loop": with_arrays}, rounds)
    # As in the older versions of the package.
    rivals = {"cnn_tf.corr2d": ours, "loop": with_tensors}
    yield compare(f"{title} TensorFlow", rivals, rounds, bound=1e-3)


def peak(rounds: int) -> float:
    """Operations a second in a product of square matrices, the best run."""
    n = 2048
    a = tf.random.stateless_normal((n, n), (0, 0))
    times = compare("peak", {"product": lambda: (a @ a).numpy()}, rounds).measured["product"]
    return 2 * n**3 / min(times)


def machine(rounds: int) -> dict[str, Any]:
    """What the figures depend on besides the code."""
    return {
        "cores": os.cpu_count(),
        "processor": platform.processor() or platform.machine(),
        "peak": peak(rounds),
        "library": LIBRARY,
        "versions": {
            "python": platform.python_version(),
            **{
                name: _version(name)
                for name in dict.fromkeys(("tensorflow", "keras", "torch", BACKEND))
            },
        },
    }


def _version(package: str) -> str | None:
    installed = importlib.util.find_spec(package)
    return importlib.import_module(package).__version__ if installed else None


class Record:
    """The results in a file, each written as soon as it is there, with processor and date.

    What was measured before stays, until it is measured again: an hour that breaks off is not lost.
    With another number of cores, or other versions, all begins anew.
    """

    def __init__(self, path: Path, machine: dict[str, Any]) -> None:
        self._path = path
        self._made = {
            "processor": runner.processor(),
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        }
        self._content: dict[str, Any] = {"machine": machine, "comparisons": [], "growth": []}
        if path.exists():
            kept = json.loads(path.read_text("utf-8"))
            if kept["machine"] | {"peak": machine["peak"]} == machine:
                self._content = kept
                self._content["machine"]["peak"] = max(machine["peak"], kept["machine"]["peak"])

    def add(self, kind: str, key: str, result: dict[str, Any]) -> None:
        """Put a result in the place of the one of the same title or name, or at the end."""
        results = self._content.setdefault(kind, [])
        places = [i for i, other in enumerate(results) if other[key] == result[key]]
        first = places[0] if places else len(results)
        results[first : first + 1] = [result | self._made]
        self._path.parent.mkdir(exist_ok=True)
        partial = self._path.with_suffix(".partial")
        partial.write_text(json.dumps(self._content, indent=2) + "\n", "utf-8")
        partial.replace(self._path)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=20, help="in each, every rival runs once")
    parser.add_argument("--against", type=Path, metavar="RECORD", help="a file or a folder")
    parser.add_argument("words", nargs="*", help="only comparisons whose title holds one of them")
    arguments = parser.parse_args()
    rounds = arguments.rounds
    try:  # now, for it may be the file that is written
        before = against.read_ratios(arguments.against, LIBRARY) if arguments.against else {}
    except ValueError as error:
        parser.error(str(error))
    slower: list[str] = []

    def wanted(title: str) -> bool:
        words = arguments.words
        return not words or any(word.lower() in title.lower() for word in words)

    described = machine(rounds)
    print(json.dumps(described, indent=2))
    record = Record(RESULTS, described) if rounds >= FEWEST_ROUNDS else None

    def keep(comparison: Comparison, kind: str = "comparisons") -> None:
        print(f"\n{comparison}", flush=True)
        ratio = before.get(comparison.title)
        if ratio is not None:
            print(f"  before: {ratio:.3g}", flush=True)
            if against.is_slower(comparison, ratio):
                slower.append(f"{comparison.title}: {ratio:.3g} -> {comparison.ratio:.3g}")
        if record:
            record.add(kind, "title", comparison.as_json())

    for comparison in networks.run_layers(rounds, wanted):
        keep(comparison, "layers")
    if BACKEND == "tensorflow":
        for comparison in networks.run_networks(rounds, wanted):
            keep(comparison, "networks")
        for comparison in layers.run_all(rounds, wanted):
            keep(comparison)
    if LIBRARY == "jax":
        for series in cluster.run_all(rounds, wanted):
            print(f"\n{series}", flush=True)
            if record:
                record.add("cluster", "name", series.as_json())
    if LIBRARY == "onednn":
        if wanted("LeNet epoch"):
            keep(training.lenet_epoch(rounds))
        if wanted("memory"):
            keep(memory.compare_memory(rounds))
        if wanted("import"):
            keep(imports(rounds))
        if wanted("corr2d"):
            for comparison in corr2d_against_loop(rounds):
                keep(comparison)
        for comparison in ideas.run_all(rounds, wanted):
            keep(comparison)
        if wanted("cost of a layer"):
            content = costs.record(rounds)
            print(f"\n{costs.NAME}: {content['question']}")
            if record:
                runner.write(content)
        for series in growth.run_all(rounds, wanted):
            print(f"\nGrowth with {series.name}: {list(series.values)}")
            for what, exponent in growth.THEORY[series.name].items():
                slope = series.slope(what)
                print(f"  {what:6} slope {slope:5.2f}, in theory {exponent}", flush=True)
            if record:
                record.add("growth", "name", series.as_json())
    print(f"\nKept in {RESULTS}" if record else f"\nNot kept: fewer than {FEWEST_ROUNDS} rounds")
    if arguments.against:
        print(f"\nSlower than in {arguments.against}: {len(slower)}")
    if slower:
        sys.exit("\n".join(slower))


if __name__ == "__main__":
    main()
