"""Train what is missing or out of date, several runs at a time, and keep each one at once."""

import datetime
import functools
import importlib.metadata
import json
import os
import platform
import subprocess
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import keras
import numpy as np
from joblib.externals.loky.process_executor import TerminatedWorkerError
from scipy import stats

from cnn_tf import FashionMNIST
from cnn_tf.data import locate
from cnn_tf.recipes import FORMAT, Recipe, read_content, train
from experiments.atoms import Detector
from experiments.declarations import EXPERIMENTS, Experiment
from experiments.measures import MEASURES, probe

RECORDS = Path(__file__).parent / "records"
# How far the numbers of a probe may lie from the recorded ones, relative: 25 times the largest
# difference seen between one thread without oneDNN and two with it.
TOLERANCE = 1e-3

Content = dict[str, Any]
Run = dict[str, Any]


@dataclass(frozen=True)
class Task:
    """One training that is to be done, with all that another process must know of it."""

    experiment: str
    label: str
    recipe: Recipe | Detector
    measures: tuple[str, ...]
    seed: int

    def __str__(self) -> str:
        return f"{self.experiment}: {self.label}, seed {self.seed}"


def declared(name: str) -> Experiment:
    """Find an experiment; refuse a name that is not declared."""
    if name not in EXPERIMENTS:
        raise ValueError(f"There is no experiment {name!r}. Declared: {', '.join(EXPERIMENTS)}.")
    return EXPERIMENTS[name]


def load(name: str, folder: Path = RECORDS) -> Content:
    """Read a record, or begin one; bring its declarations up to date.

    What was trained by a recipe stays as long as the recipe stays as it is.
    """
    experiment = declared(name)
    path = folder / f"{name}.json"
    kept = read_content(path)["arms"] if path.exists() else {}
    made = read_content(path)["made"] if path.exists() else []
    arms = {}
    for label, recipe in experiment.recipes.items():
        arm = {"recipe": recipe.declared(), "measures": list(experiment.measures), "runs": []}
        old = kept.get(label, {})
        if all(old.get(what) == arm[what] for what in ("recipe", "measures")):
            arm = old
        arm["runs"] = [run for run in arm["runs"] if run["seed"] in experiment.seeds]
        arms[label] = arm
    question = experiment.question
    return {"format": FORMAT, "name": name, "question": question, "made": made, "arms": arms}


def missing(content: Content) -> list[Task]:
    """List what is not in the record, seed by seed, so that each recipe is soon there once."""
    experiment = declared(content["name"])
    there = {(label, run["seed"]) for label, arm in content["arms"].items() for run in arm["runs"]}
    return [
        Task(content["name"], label, recipe, experiment.measures, seed)
        for seed in experiment.seeds
        for label, recipe in experiment.recipes.items()
        if (label, seed) not in there
    ]


def outdated(content: Content) -> list[str]:
    """Name the recipes whose training runs were made by code that computed something else."""
    changed = []
    for label, recipe in declared(content["name"]).recipes.items():
        arm = content["arms"][label]
        if arm["runs"]:
            now = probe(recipe)
            same = len(now) == len(arm["probe"]) and np.allclose(
                now, arm["probe"], rtol=TOLERANCE, atol=1e-7
            )
            if not same:
                changed.append(label)
    return changed


def write(content: Content, folder: Path = RECORDS) -> None:
    """Put a record in the place of the old one, whole or not at all."""
    path = folder / f"{content['name']}.json"
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with partial.open("w", encoding="utf-8") as file:
            file.write(_as_json(content))
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _as_json(content: Content) -> str:
    """JSON with one training in each line, so that a change of one is a change of one line."""
    lines = []
    for label, arm in content["arms"].items():
        runs = ",\n".join(f"    {json.dumps(run)}" for run in arm["runs"])
        rest = {name: value for name, value in arm.items() if name != "runs"}
        lines.append(f'  {json.dumps(label)}: {json.dumps(rest)[:-1]}, "runs": [\n{runs}\n  ]}}')
    head = {name: content[name] for name in ("format", "name", "question", "made")}
    return f'{json.dumps(head, indent=1)[:-2]},\n "arms": {{\n' + ",\n".join(lines) + "\n }\n}\n"


@functools.lru_cache(maxsize=1)
def _data() -> Any:
    return FashionMNIST()


def run(task: Task) -> Run:
    """Do one training and describe it.

    Raises:
        FloatingPointError: The loss is no longer a number.
    """
    keras.backend.clear_session()
    return carry_out(task.recipe, task) | {"probe": probe(task.recipe)}


@functools.singledispatch
def carry_out(recipe: Recipe, task: Task) -> Run:
    """Train by a recipe, and measure."""
    data = _data()
    measures = [MEASURES[name]() for name in task.measures]
    started = time.perf_counter()
    model, log = train(recipe, data, task.seed, verbose=False, callbacks=tuple(measures))
    seconds = time.perf_counter() - started
    history = {
        name: [float(f"{value:.5g}") for value in values] for name, values in log.history.items()
    }
    prepared = recipe.prepare(data)
    figures: Run = {}
    for measure in measures:
        figures |= measure.figures(model, prepared)
    return {
        "seed": task.seed,
        "history": history,
        "figures": figures,
        "seconds": round(seconds, 1),
        "device": log.device,
    }


@carry_out.register
def _(recipe: Detector, task: Task) -> Run:
    return recipe.run(task.seed)


def machine() -> dict[str, Any]:
    """Say by what the training runs of this call are made."""
    git = ["git", "-C", str(RECORDS), "describe", "--always", "--dirty", "--exclude", "*"]
    commit = subprocess.run(git, capture_output=True, text=True).stdout.strip() or None
    names = ("cnn_tf", "keras", "tensorflow-cpu", "tensorflow", "numpy")
    versions = {name: version for name in names if (version := _version(name))}
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": commit,
        "versions": {"python": platform.python_version(), **versions},
        "processor": processor(),
        "threads": int(os.environ.get("TF_NUM_INTRAOP_THREADS") or os.cpu_count() or 1),
        "onednn": os.environ.get("TF_ENABLE_ONEDNN_OPTS") != "0",
    }


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def processor() -> str:
    """Name the processor of this machine."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    found = dict(line.split(":", 1) for line in lines if ":" in line)
    told = {name.strip(): value.strip() for name, value in found.items()}
    return f"{told.get('model name')}, family {told.get('cpu family')} model {told.get('model')}"


@functools.cache
def _die_with_the_runner() -> None:
    """Have this process end when the runner is killed, which cannot tell it so itself."""
    runner = os.getppid()

    def watch() -> None:
        while os.getppid() == runner:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def attempt(task: Task) -> tuple[Task, Run | None, str]:
    """Do a training; hand an error on as a text, so that the others go on."""
    _die_with_the_runner()
    try:
        return task, run(task), ""
    except Exception as error:
        return task, None, f"{type(error).__name__}: {error}"


def add(content: Content, task: Task, result: Run, made: dict[str, Any]) -> None:
    """Put a training's result into the record."""
    arm = content["arms"][task.label]
    if made not in content["made"]:
        content["made"].append(made)
    arm["probe"] = result.pop("probe")
    result["made"] = content["made"].index(made)
    others = [run for run in arm["runs"] if run["seed"] != task.seed]
    arm["runs"] = sorted([*others, result], key=lambda run: run["seed"])


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Refuse a second runner on the same records; check that they can be written at all."""
    import fcntl

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        lock = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise OSError(
            f"The records cannot be written: {error}. Make {folder} writable; nothing was trained."
        ) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise RuntimeError(
            f"Another runner is at work on {folder}. Let it finish, or stop it."
        ) from None
    finally:
        os.close(lock)


def train_missing(names: list[str], jobs: int, folder: Path = RECORDS) -> list[str]:
    """Train all that is missing in some experiments.

    Args:
        names: The experiments.
        jobs: Trainings at a time, each on one thread.
        folder: Where the records lie.

    Returns:
        A line for each training that failed.
    """
    for name in names:
        declared(name)
    if locate().is_sample:
        raise ValueError(
            "The records are of all 70,000 pictures of Fashion-MNIST. Found: only the sample. "
            "Connect to the network, or set CNN_TF_DATA to a folder with the four files."
        )
    with alone(folder):
        contents = {name: load(name, folder) for name in names}
        for content in contents.values():
            for label in outdated(content):
                print(f"{content['name']}: {label} is out of date, and is trained again")
                content["arms"][label]["runs"] = []
        tasks = [task for content in contents.values() for task in missing(content)]
        print(f"{len(tasks)} training runs, {jobs} at a time")
        made = machine()
        failed, began = [], time.perf_counter()
        work = joblib.Parallel(n_jobs=jobs, return_as="generator_unordered", batch_size=1)
        results = work(joblib.delayed(attempt)(task) for task in tasks)
        for done, (task, result, error) in enumerate(_guarded(results), start=1):
            if result is None:
                failed.append(f"{task}: {error}")
                told = error
            else:
                told = f"{outcome(result):.3f} in {result['seconds']:.0f} s"
                add(contents[task.experiment], task, result, made)
                write(contents[task.experiment], folder)
            spent = time.perf_counter() - began
            left = spent / done * (len(tasks) - done)
            print(f"{done}/{len(tasks)}  {task}: {told}; about {_minutes(left)} left", flush=True)
        return failed


def _guarded(results: Iterable[Any]) -> Iterator[Any]:
    # A process whose memory has grown, as TensorFlow's does with each model, is replaced: good.
    warnings.filterwarnings("ignore", message="A worker stopped while some jobs were given")
    try:
        yield from results
    except TerminatedWorkerError as error:
        raise RuntimeError(
            "A training's process was ended from outside, perhaps for want of memory. What was "
            f"finished is kept. Try again, with --jobs 1 if it happens again. ({error})"
        ) from None


def _minutes(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"


def chance(values: np.ndarray, new: float) -> float:
    """Say how probable it is that one more draw lies so far from the mean of the others.

    By Student's t distribution: for n draws of mean m and standard deviation s, the distance of
    a further draw from m, divided by s·√(1 + 1/n), follows it with n - 1 degrees of freedom.
    """
    n, spread = len(values), np.std(values, ddof=1)
    distance = abs(new - np.mean(values)) / (spread * np.sqrt(1 + 1 / n))
    return float(2 * stats.t.sf(distance, n - 1))


def outcome(result: Run) -> float:
    """Give the one number that tells best how a training went: an accuracy, or a mean of F1."""
    if "val_accuracy" in result["history"]:
        return float(result["history"]["val_accuracy"][-1])
    return float(np.mean(result["figures"]["f1"]))


def recorded(wanted: Callable[[float], bool], folder: Path = RECORDS) -> list[Task]:
    """List the recorded training runs whose duration in seconds is wanted."""
    tasks = []
    for name, experiment in EXPERIMENTS.items():
        arms = load(name, folder)["arms"]
        for label, recipe in experiment.recipes.items():
            tasks += [
                Task(name, label, recipe, experiment.measures, run["seed"])
                for run in arms[label]["runs"]
                if wanted(run["seconds"])
            ]
    return tasks
