"""The experiments: their records are whole and of this code, and the runner loses nothing."""

import datetime
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from cnn_tf.data import locate
from cnn_tf.recipes import Recipe
from experiments import atoms, measures, runner
from experiments.atoms import FILLED, Detector, highest_recall
from experiments.declarations import EXPERIMENTS, Experiment
from experiments.measures import Mirrored, Plateau, Shift, _moved, probe

ROOT = Path(__file__).parent.parent
AGAIN = "run: make experiments"


@pytest.fixture
def all_pictures():
    """Skip where only the sample is there, or fail where the full data set is asked for."""
    if locate().is_sample:
        if os.environ.get("CNN_TF_CI"):
            pytest.fail("only the sample of Fashion-MNIST is here, and CNN_TF_CI is set")
        pytest.skip("only the sample of Fashion-MNIST is here")


# --- The records ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_record_holds_every_training_that_is_declared(name):
    content = runner.load(name)
    assert [str(task) for task in runner.missing(content)] == [], AGAIN
    # Nothing else is in the file, and a runner would write it as it is.
    path = runner.RECORDS / f"{name}.json"
    assert json.loads(path.read_text("utf-8")) == content, AGAIN


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_record_is_of_this_code(name):
    assert runner.outdated(runner.load(name)) == [], f"the code computes something else; {AGAIN}"


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_record_says_how_it_was_made(name):
    content = runner.load(name)
    for label, recipe in EXPERIMENTS[name].recipes.items():
        epochs = {recipe.epochs} if isinstance(recipe, Recipe) else set()
        for run in content["arms"][label]["runs"]:
            assert {len(curve) for curve in run["history"].values()} == epochs
            assert run["seconds"] > 0
            assert run["device"]
            made = content["made"][run["made"]]
            assert {"date", "commit", "versions", "processor", "threads"} <= set(made)
    assert (runner.RECORDS / f"{name}.json").stat().st_size < 250_000


# One of them is repeated in each run of the tests, by the date; in the weekly run a long one.
LONG = os.environ.get("CNN_TF_REPEAT") == "long"


@pytest.mark.slow
def test_one_training_repeated_lands_within_the_recorded_spread(all_pictures):
    """The new one is one more draw: by Student's t, it lies as far out once in 100,000 draws.

    On the processor of the record it is the very same training; on another one it is a new draw.
    """
    limit = 60
    tasks = runner.recorded(lambda seconds: (seconds >= limit) if LONG else (seconds < limit))
    today = datetime.datetime.now(datetime.UTC).date()
    task = random.Random(today.toordinal()).choice(tasks)
    arm = runner.load(task.experiment)["arms"][task.label]
    ends = np.array([runner.outcome(run) for run in arm["runs"]])
    new = runner.outcome(runner.run(task))
    print(f"{task}: {new}, recorded {ends}")
    assert runner.chance(ends, new) > 1e-5, (str(task), new, ends)


# --- The runner -----------------------------------------------------------------------------------

TINY = Recipe("MLP", {"units": ()}, epochs=1, batch_size=1000)
SET = {"tiny": Experiment("Does it run?", {"one": TINY, "two": TINY}, ("plateau", "test"), (0, 1))}


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setattr(runner, "EXPERIMENTS", SET)


def trained(folder, name="tiny"):
    """Label and seed of what a record holds, with what came of it."""
    arms = json.loads((folder / f"{name}.json").read_text("utf-8"))["arms"]
    return {
        (label, run["seed"]): run["history"] for label, arm in arms.items() for run in arm["runs"]
    }


@pytest.mark.slow
def test_trains_what_is_missing_and_nothing_else(all_pictures, tiny, tmp_path, monkeypatch, capsys):
    assert runner.train_missing(["tiny"], 1, tmp_path) == []
    first = trained(tmp_path)
    assert set(first) == {(label, seed) for label in ("one", "two") for seed in (0, 1)}
    assert first["one", 0] == first["two", 0] != first["one", 1]
    said = capsys.readouterr().out
    assert "4 training runs, 1 at a time" in said
    assert "4/4  tiny: two, seed 1: 0." in said
    assert "about 0 min left" in said
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.json"]  # nothing half-written

    # Another recipe for one, one seed more for both.
    recipes = {"one": TINY, "two": Recipe("MLP", {"units": ()}, epochs=1, batch_size=500)}
    changed = Experiment("Does it run?", recipes, ("plateau", "test"), (0, 1, 2))
    monkeypatch.setattr(runner, "EXPERIMENTS", {"tiny": changed})
    assert len(runner.missing(runner.load("tiny", tmp_path))) == 4
    assert runner.train_missing(["tiny"], 1, tmp_path) == []
    second = trained(tmp_path)
    assert all(second["one", seed] == first["one", seed] for seed in (0, 1))
    assert second["two", 0] != first["two", 0]

    # Other arithmetic, told by the probe.
    path = tmp_path / "tiny.json"
    content = json.loads(path.read_text("utf-8"))
    content["arms"]["one"]["probe"][0] *= 1.01
    path.write_text(json.dumps(content))
    assert runner.outdated(runner.load("tiny", tmp_path)) == ["one"]
    assert runner.train_missing(["tiny"], 1, tmp_path) == []
    assert "one is out of date" in capsys.readouterr().out
    assert runner.outdated(runner.load("tiny", tmp_path)) == []


@pytest.mark.slow
def test_a_training_without_numbers_stops_no_other(all_pictures, tmp_path, monkeypatch):
    wild = Recipe(settings={"learning_rate": 1e30}, arguments={"activation": "relu"}, epochs=1)
    both = Experiment("Does it run?", {"wild": wild, "tame": TINY}, seeds=(0,))
    monkeypatch.setattr(runner, "EXPERIMENTS", {"both": both})
    (told,) = runner.train_missing(["both"], 1, tmp_path)
    assert (
        "both: wild, seed 0: FloatingPointError: The loss became nan in step 2 of epoch 1" in told
    )
    assert "Try a smaller learning rate than 1e+30" in told
    assert set(trained(tmp_path, "both")) == {("tame", 0)}


KILLED = """
import sys
from pathlib import Path
from experiments import runner
from tests.test_experiments import SET

runner.EXPERIMENTS = SET
sys.exit(len(runner.train_missing(["tiny"], int(sys.argv[2]), Path(sys.argv[1]))))
"""


@pytest.mark.slow
def test_killed_again_and_again_it_loses_no_finished_training(all_pictures, tiny, tmp_path):
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    kept, path = {}, tmp_path / "tiny.json"
    for at_a_time in ("2", "1"):
        process = subprocess.Popen([*command, at_a_time], cwd=ROOT, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 120
        while not (path.exists() and len(trained(tmp_path)) > len(kept)):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
        now = trained(tmp_path)  # which is whole
        assert kept.items() <= now.items()
        kept = now
    assert runner.train_missing(["tiny"], 1, tmp_path) == []
    now = trained(tmp_path)
    assert kept.items() <= now.items()
    assert len(now) == 4


def test_an_unknown_name_is_refused_before_anything_else():
    command = [sys.executable, "-m", "experiments", "latter"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert f"There is no experiment 'latter'. Declared: {', '.join(EXPERIMENTS)}." in done.stderr


def test_a_folder_that_cannot_be_written_is_named_before_the_training(all_pictures, tiny, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match=r"records cannot be written: .*nothing was trained"):
        runner.train_missing(["tiny"], 1, tmp_path / "file" / "records")


def test_a_damaged_record_is_not_written_over(all_pictures, tiny, tmp_path):
    (tmp_path / "tiny.json").write_text('{"format": 1')
    with pytest.raises(ValueError, match="is damaged"):
        runner.train_missing(["tiny"], 1, tmp_path)
    assert (tmp_path / "tiny.json").read_text() == '{"format": 1'


def test_a_full_disk_leaves_the_old_record(tiny, tmp_path, monkeypatch):
    content = runner.load("tiny", tmp_path)
    runner.write(content, tmp_path)
    before = (tmp_path / "tiny.json").read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        runner.write(content | {"question": "Another?"}, tmp_path)
    assert (tmp_path / "tiny.json").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.json"]


def test_two_runners_do_not_write_the_same_records(tmp_path):
    with (
        runner.alone(tmp_path),
        pytest.raises(RuntimeError, match="Another runner is at work"),
        runner.alone(tmp_path),
    ):
        pass
    with runner.alone(tmp_path):  # and it is free again
        pass


# --- The measures ---------------------------------------------------------------------------------


def test_the_plateau_ends_with_the_first_mean_of_steps_below():
    plateau = Plateau()
    plateau.set_params({"steps": 50})
    means = [2.4, 2.3, 2.29, 2.27, 2.0, 1.0]  # of 20, 20 and 10 steps, in two epochs
    for epoch in (0, 1):
        plateau.on_epoch_begin(epoch)
        total = 0.0
        for mean, size, batch in zip(
            means[3 * epoch : 3 * epoch + 3], (20, 20, 10), (19, 39, 59), strict=True
        ):
            total += mean * size
            plateau.on_train_batch_end(batch, {"loss": total / min(batch + 1, 50)})
    assert plateau.figures(None, None) == {"plateau": 70}  # log 10 is 2.3026, less 1 % 2.2796


def test_pictures_are_moved_in_four_directions():
    picture = np.zeros((1, 5, 5, 1), "float32")
    picture[0, 2, 2] = 1
    places = [tuple(np.argwhere(moved[0, :, :, 0])[0]) for moved in _moved(picture, 2)]
    assert sorted(places) == [(0, 2), (2, 0), (2, 4), (4, 2)]
    assert all(not moved.any() for moved in _moved(picture, 3))  # it left


def test_the_shift_of_a_network_that_looks_at_one_pixel():
    # Class 1 if the pixel in the middle is bright, 0 otherwise.
    model = keras.Sequential(
        [keras.Input((5, 5, 1)), keras.layers.Flatten(), keras.layers.Dense(2)]
    )
    kernel = np.zeros((25, 2), "float32")
    kernel[12, 1] = 2
    model.set_weights([kernel, np.array([1, 0], "float32")])
    bright = np.zeros((2, 5, 5, 1), "float32")
    bright[0, 2, 2] = 1  # no move leaves the middle bright
    bright[1, 2, 2:] = 1  # moves to the left by one and by two do
    data = SimpleNamespace(validation=(bright, np.array([1, 0])))
    figures = Shift().figures(model, data)
    assert figures["shift_agreement"] == [1, 1 / 8, 1 / 8, 0, 0]
    # The second is named wrongly as it is, and rightly when it is moved elsewhere.
    assert figures["shift_accuracy"] == [0.5, 3 / 8, 3 / 8, 0.5, 0.5]


def test_a_picture_and_its_mirror_image_are_averaged():
    # The logit of class 1 is the left pixel, that of class 0 one half.
    model = keras.Sequential(
        [keras.Input((1, 2, 1)), keras.layers.Flatten(), keras.layers.Dense(2)]
    )
    model.set_weights([np.array([[0, 1], [0, 0]], "float32"), np.array([0.5, 0], "float32")])
    pictures = np.array([[0, 0], [9, 0], [0, 9], [0.6, 0]], "float32").reshape(4, 1, 2, 1)
    data = SimpleNamespace(test=(pictures, np.array([0, 1, 1, 0])))
    assert measures.Test().figures(model, data)["test_accuracy"] == 0.5
    assert Mirrored().figures(model, data) == {"mirrored_test_accuracy": 1}


def test_the_highest_recall_with_so_many_vacancies_filled():
    recalls, shares = np.array([0.2, 0.5, 0.9]), np.array([0.0, 0.1, 0.5])
    found = dict(zip(FILLED.round(2), highest_recall(recalls, shares), strict=True))
    assert [found[share] for share in (0, 0.08, 0.1, 0.48, 0.5, 1)] == [
        0.2,
        0.2,
        0.5,
        0.5,
        0.9,
        0.9,
    ]
    assert highest_recall(recalls, shares + 0.03)[:3] == [0, 0, 0.2]  # never so few


def test_a_change_of_the_page_makes_its_trainings_missing(tmp_path, monkeypatch):
    declared = Detector("network").declared()
    text = atoms.PAGE.read_text("utf-8")
    page = tmp_path / "atoms.md"
    monkeypatch.setattr(atoms, "PAGE", page)
    page.write_text(text.replace("Where are the atoms", "Where is an atom"), "utf-8")
    assert Detector("network").declared() == declared
    page.write_text(text.replace("CosineDecay(0.02, steps)", "CosineDecay(0.03, steps)"), "utf-8")
    assert Detector("network").declared() != declared


def test_a_probe_tells_other_arithmetic_from_the_same():
    def far(one, other):
        return not np.allclose(one, other, rtol=runner.TOLERANCE, atol=1e-7)

    classic = probe(Recipe())
    assert not far(classic, probe(Recipe()))
    for other in (
        Recipe(arguments={"pooling": "max"}),
        Recipe(arguments={"activation": "centred_sigmoid"}),
        Recipe(settings={"learning_rate": 0.101}),
        Recipe(standardize=True),
        Recipe(permute=True),
    ):
        assert far(classic, probe(other)), other


def test_chance_is_that_of_students_t():
    values = np.array([0.0, 1.0, 2.0])  # mean 1, deviation 1, two degrees of freedom
    distance = 2 / np.sqrt(4 / 3)
    expected = 1 - distance / np.sqrt(2 + distance**2)  # the distribution in closed form
    assert runner.chance(values, 3.0) == pytest.approx(expected)
    assert runner.chance(values, 1.0) == 1


def test_the_sample_is_no_data_for_records(tiny, tmp_path, monkeypatch):
    sample = SimpleNamespace(is_sample=True)
    monkeypatch.setattr(runner, "locate", lambda: sample)
    with pytest.raises(ValueError, match="Found: only the sample"):
        runner.train_missing(["tiny"], 1, tmp_path)
    assert list(tmp_path.iterdir()) == []
