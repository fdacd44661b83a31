"""What it costs that processes train together: LeNet's step by one, and by two on loopback.

python -m benchmarks.cluster     one of these processes: it takes its tasks from the standard input

Each process computes in one thread, so that two of them do not share what one would have alone.
"""

import contextlib
import dataclasses
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any

STEPS = 50  # of fit, in a round
REDUCTIONS = 100
WARM = 3  # before them
# Pictures in a batch of all processes together.
PICTURES = {1: (1, 8, 32, 128, 256), 2: (64, 128, 256)}
# How many float32 are summed over the processes. LeNet has so many weights; the others tell what
# a message costs whatever its length.
LENET = 61_706
NUMBERS = (1_000, 10_000, LENET, 250_000, 1_000_000)


@dataclasses.dataclass
class Series:
    """How long something took, for each of several sizes.

    Attributes:
        name: What was done.
        processes: How many did it.
        sizes: Pictures in a step, or numbers in an all-reduce.
        seconds: For each size the shortest time in each round: what else the machine does only
            adds to it.
    """

    name: str
    processes: int
    sizes: Sequence[int]
    seconds: list[list[float]]

    def as_json(self) -> dict[str, object]:
        quartiles = [_quartiles(each) for each in self.seconds]
        return {
            "name": self.name,
            "processes": self.processes,
            "rounds": len(self.seconds[0]),
            "sizes": list(self.sizes),
            "medians": [middle for _, middle, _ in quartiles],
            "quartiles": [[low, high] for low, _, high in quartiles],
        }

    def __str__(self) -> str:
        lines = [f"{self.name}, processes: {self.processes} ({len(self.seconds[0])} rounds)"]
        for size, seconds in zip(self.sizes, self.seconds, strict=True):
            low, middle, high = (1e3 * it for it in _quartiles(seconds))
            lines.append(f"  {size:>9,} {middle:9.3f} ms, quartiles {low:.3f} to {high:.3f}")
        return "\n".join(lines)


def _quartiles(values: list[float]) -> list[float]:
    return statistics.quantiles(values, n=4) if len(values) > 1 else values * 3


def run_all(rounds: int, wanted: Callable[[str], bool]) -> Iterator[Series]:
    """Measure everything in every round, in an order that is drawn anew."""
    series = [
        *(Series(f"step of LeNet by {n}", n, sizes, []) for n, sizes in PICTURES.items()),
        Series("all-reduce", 2, NUMBERS, []),
        Series("all-reduce, array by array", 2, (LENET,), []),
    ]
    series = [each for each in series if wanted(f"cluster: {each.name}")]
    with contextlib.ExitStack() as stack:
        groups = {n: stack.enter_context(_group(n)) for n in {each.processes for each in series}}
        tasks = [(each, place) for each in series for place in range(len(each.sizes))]
        for each in series:
            each.seconds = [[] for _ in each.sizes]
        for _ in range(rounds):
            for each, place in random.sample(tasks, len(tasks)):
                seconds = groups[each.processes](each.name, each.sizes[place])
                each.seconds[place].append(seconds)
    yield from series


@contextlib.contextmanager
def _group(number: int) -> Iterator[Callable[[str, int], float]]:
    """Start processes that do together what they are told; the first one's time is given back."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "NPROC": "1"}  # XLA's number of threads
    environment |= {
        "KERAS_BACKEND": "jax",
        "KERAS_DISTRIBUTION_JOB_ADDRESSES": address,
        "KERAS_DISTRIBUTION_NUM_PROCESSES": str(number),
    }
    command = [sys.executable, "-m", "benchmarks.cluster"]
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with contextlib.ExitStack() as stack:
        started = [
            stack.enter_context(
                subprocess.Popen(
                    command,
                    env=environment | {"KERAS_DISTRIBUTION_PROCESS_ID": str(process)},
                    **pipes,
                )
            )
            for process in range(number)
        ]

        def do(name: str, size: int) -> float:
            for each in started:
                print(json.dumps([name, size]), file=each.stdin, flush=True)
            answers = [_answers(each) for each in started]
            return answers[0]

        try:
            yield do
            for each in started:  # then they end
                each.stdin.close()
            for each in started:
                each.wait(60)
        finally:
            for each in started:
                each.kill()


def _answers(process: subprocess.Popen[str]) -> float:
    answer = process.stdout.readline()
    if not answer:
        raise RuntimeError("A process that was to be measured has ended: see its messages above.")
    return float(answer)


# --- One of the processes -------------------------------------------------------------------------


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the libraries print is no answer

    import keras

    from cnn_tf import LeNet
    from cnn_tf.distribution import distribute

    with distribute():
        keras.utils.set_random_seed(0)
        model = LeNet()
        shapes = [weight.shape for weight in model.trainable_weights]
        tasks: dict[str, Callable[[int], float]] = {
            "step of LeNet by 1": lambda pictures: step(model, pictures),
            "step of LeNet by 2": lambda pictures: step(model, pictures),
            "all-reduce": lambda numbers: all_reduce([(numbers,)]),
            "all-reduce, array by array": lambda _: all_reduce(shapes),
        }
        for line in sys.stdin:
            name, size = json.loads(line)
            print(tasks[name](size), file=answers, flush=True)


def step(model: Any, pictures: int) -> float:
    """Seconds of a step of `fit`, from the end of one batch to the end of the next."""
    import keras
    import numpy as np

    from cnn_tf import fit

    ends: list[float] = []
    clock = keras.callbacks.LambdaCallback(
        # Before this, `fit` has looked at the loss: the step is done.
        on_train_batch_end=lambda batch, logs: ends.append(time.perf_counter())
    )
    number = pictures * (WARM + STEPS)
    rng = np.random.default_rng(0)
    images, labels = rng.random((number, 28, 28, 1), "float32"), rng.integers(0, 10, number)
    data = SimpleNamespace(train=(images, labels), validation=(images[:2], labels[:2]))
    fit(model, data, 1, batch_size=pictures, callbacks=[clock], verbose=False)
    return float(min(np.diff(ends)[WARM - 1 :]))


def all_reduce(shapes: Sequence[tuple[int, ...]]) -> float:
    """Seconds of summing arrays of 32 bits over the processes."""
    import jax
    import numpy as np
    from jax.sharding import Mesh, NamedSharding, PartitionSpec

    mesh = Mesh(np.array(jax.devices()), ("processes",))
    own, same = (
        NamedSharding(mesh, PartitionSpec("processes")),
        NamedSharding(mesh, PartitionSpec()),
    )
    arrays = [
        jax.make_array_from_process_local_data(own, np.ones((1, *shape), "float32"))
        for shape in shapes
    ]
    total = jax.jit(lambda arrays: [it.sum(axis=0) for it in arrays], out_shardings=same)
    seconds = []
    for _ in range(WARM + REDUCTIONS):
        start = time.perf_counter()
        jax.block_until_ready(total(arrays))
        seconds.append(time.perf_counter() - start)
    return min(seconds[WARM:])


if __name__ == "__main__":
    main()
