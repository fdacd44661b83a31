"""The benchmarks: what they say of measurements, and that they run."""

import datetime
import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import cnn_tf
from benchmarks import against, costs, growth, ideas, layers, networks, steps
from benchmarks.__main__ import Record
from benchmarks.measure import Comparison, compare
from cnn_tf._convolution import NAMES
from cnn_tf.functional import choose_algorithm
from cnn_tf.recipes import Record as Recorded
from cnn_tf.recipes import read_content
from experiments import runner
from experiments.runner import RECORDS

ROOT = Path(__file__).parent.parent


def test_the_ratio_is_that_of_the_best_medians():
    measured = {
        "cnn_tf": [5.0, 1.0, 9.0],
        "cnn_tf, XLA": [3.0, 2.0, 4.0],
        "keras": [7.0, 8.0, 9.0],
        "keras, XLA": [6.0, 4.0, 8.0],
    }
    comparison = Comparison("", None, measured)
    assert comparison.best(ours=True) == "cnn_tf, XLA"
    assert comparison.best(ours=False) == "keras, XLA"
    assert comparison.ratio == 0.5
    assert comparison.quartiles == (0.5, 0.5)


def test_quartiles_are_of_rounds():
    measured = {"cnn_tf": [1.0, 2.0, 3.0], "keras": [1.0, 1.0, 1.0]}
    assert Comparison("", None, measured).quartiles == (1, 3)
    assert Comparison("", None, {"cnn_tf": [3.0], "keras": [2.0]}).quartiles == (1.5, 1.5)


def test_what_is_printed_and_what_is_kept():
    comparison = Comparison("Title", 1.25, {"cnn_tf": [3e6], "keras": [2e6]}, unit="MB")
    lines = str(comparison).splitlines()
    assert lines[0] == "Title (1 rounds)"
    assert lines[1].split() == ["cnn_tf", "3.000", "MB"]
    assert lines[3].strip() == "ratio 1.5, quartiles 1.5 to 1.5; to reach: 1.25"
    kept = comparison.as_json()
    assert kept["ratio"] == 1.5
    assert kept["medians"] == {"cnn_tf": 3e6, "keras": 2e6}
    assert kept["unit"] == "bytes"


def test_every_rival_runs_once_in_every_round():
    calls = []
    rivals = {name: lambda name=name: calls.append(name) for name in ("cnn_tf", "keras")}
    comparison = compare("", rivals, rounds=5)
    warm_up = 4
    assert [len(values) for values in comparison.measured.values()] == [5, 5]
    rounds = zip(calls[warm_up::2], calls[warm_up + 1 :: 2], strict=True)
    assert all({first, second} == {"cnn_tf", "keras"} for first, second in rounds)


@pytest.mark.parametrize("case", layers.CASES, ids=lambda case: f"{case.layer} {case.name}")
def test_rivals_do_the_same_work(case):
    """Outputs of one shape, and as many gradients."""
    shape = (1, *case.shape[1:])
    rivals = [getattr(package, case.layer)(**case.arguments) for package in (cnn_tf, keras.layers)]
    shapes = {layer.compute_output_shape(shape) for layer in rivals}
    counts = {len(steps.training(layer, shape, jit=False)()) for layer in rivals}
    assert len(shapes) == len(counts) == 1


@pytest.mark.parametrize("each", networks.LAYERS, ids=lambda each: each.title)
def test_the_layers_of_networks_have_rivals(each):
    """Of the same output shape, and as many weights."""
    ours, theirs = (getattr(p, each.kind)(**each.arguments) for p in (cnn_tf, keras.layers))
    assert ours.compute_output_shape(each.shape) == theirs.compute_output_shape(each.shape)
    for layer in (ours, theirs):
        layer.build(each.shape)
    assert ours.count_params() == theirs.count_params()


def test_the_layers_of_networks_are_of_every_kind():
    assert len({each.title for each in networks.LAYERS}) == len(networks.LAYERS) >= 40
    assert len({each.network for each in networks.LAYERS}) >= 15
    convolutions = [each for each in networks.LAYERS if each.kind == "Conv2D"]
    assert {each.kind for each in networks.LAYERS} == {
        *("Conv2D", "MaxPooling2D", "AveragePooling2D")
    }
    chosen = set()
    for each in convolutions:
        arguments = dict(each.arguments)
        filters, size = arguments.pop("filters"), arguments.pop("kernel_size")
        arguments.pop("use_bias", None)
        size = (size, size) if isinstance(size, int) else size
        depth = each.shape[-1] // arguments.get("groups", 1)
        chosen.add(choose_algorithm(each.shape, (*size, depth, filters), **arguments))
    assert chosen == set(NAMES)
    for name, values in {
        "strides": {1, 2, 4, 16},
        "groups": {1, 3, 32},
        "dilation_rate": {1, 2, 6},
    }.items():
        assert values <= {each.arguments.get(name, 1) for each in convolutions}
    assert {(1, 7), (7, 1)} <= {each.arguments["kernel_size"] for each in convolutions}
    assert {1, 512} <= {each.shape[-1] for each in convolutions}


@pytest.mark.parametrize("name", networks.NETWORKS)
def test_a_network_keeps_its_numbers_with_our_layers(name, rng):
    build, _ = networks.NETWORKS[name]
    theirs = build()
    ours = networks.with_our_layers(theirs)
    kinds = {type(layer).__module__.partition(".")[0] for layer in ours.layers if layer.weights}
    assert "cnn_tf" in kinds
    x = rng.normal(size=(2, *theirs.input_shape[1:])).astype("float32")
    expected = theirs(x).numpy()
    np.testing.assert_allclose(ours(x), expected, atol=1e-4 * np.abs(expected).max())
    assert all(np.isfinite(networks.network_step(ours, 2, jit=False)()) for _ in range(2))
    assert networks.network_prediction(ours, 2, jit=False)().shape == expected.shape


def test_what_became_slower_is_named(tmp_path):
    path = tmp_path / "onednn.json"
    kept = Comparison("a", None, {"cnn_tf": [1.0, 1.0], "keras": [1.0, 1.0]}).as_json()
    path.write_text(json.dumps({"comparisons": [kept], "layers": [kept | {"title": "b"}]}))
    assert against.read_ratios(tmp_path, "onednn") == {"a": 1, "b": 1}
    assert against.read_ratios(path, "eigen") == {"a": 1, "b": 1}

    def slower(*seconds):
        measured = {"cnn_tf": list(seconds), "keras": [1.0] * len(seconds)}
        return against.is_slower(Comparison("a", None, measured), 1)

    assert slower(1.1, 1.1, 1.1, 1.1)
    assert not slower(1.04, 1.04, 1.04, 1.04)
    assert not slower(0.8, 0.9, 1.4, 1.5)  # the machine, rather than the code


@pytest.mark.parametrize(
    "content", [None, "", "[]", '{"layers": [{"title": "a"}]}', '{"layers": 3}']
)
def test_a_record_that_is_none_is_refused(content, tmp_path):
    path = tmp_path / "onednn.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ValueError, match="Expected a record of benchmarks"):
        against.read_ratios(path, "onednn")


def test_each_idea_gives_the_same_numbers(monkeypatch):
    titles = []
    monkeypatch.setattr(ideas, "compare", lambda title, *_: titles.append(title))
    list(ideas.run_all(1, lambda title: "epoch" not in title))  # raises where one does not
    assert len(titles) == 7


def test_the_recorded_costs_are_of_these_sweeps():
    content = read_content(RECORDS / f"{costs.NAME}.json")
    assert content["question"]
    for axis, (fixed, sizes) in costs.SWEEPS.items():
        arm = content["arms"][axis]
        assert arm["recipe"] == fixed | {axis: list(sizes)}
        assert len(arm["runs"]) >= 20


def test_each_round_of_the_costs_is_kept(monkeypatch):
    monkeypatch.setattr(costs, "SWEEPS", {"k": ({"side": 8, "c": 2}, (1, 3, 5))})
    seconds = Recorded(costs.record(rounds=4)).values("k", "seconds")
    assert seconds.shape == (4, 3)
    assert (seconds > 0).all()


def test_the_slope_is_the_exponent_of_a_power_law():
    assert growth.slope([1, 2, 4], [3, 12, 48]) == pytest.approx(2)
    assert growth.slope([1, 10, 100], [7, 7, 7]) == pytest.approx(0)


def test_a_part_of_the_benchmarks_runs():
    words = ["256 to 64", "LeNet, mean"]
    command = [sys.executable, "-m", "benchmarks", "--rounds", "2", *words]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "1x1, 256 to 64 channels: Conv2D on 32x16x16x256 (2 rounds)" in result.stdout
    assert "LeNet, mean 2x2/2 on 128x28x28x6: prediction (2 rounds)" in result.stdout
    assert "Not kept" in result.stdout


def test_results_are_kept_one_by_one(tmp_path):
    path = tmp_path / "results" / "onednn.json"
    machine = {"cores": 2, "peak": 3.0}

    def kept():
        content = json.loads(path.read_text())
        for kind in ("comparisons", "growth"):
            for each in content[kind]:
                assert each.pop("processor") == runner.processor()
                assert datetime.date.fromisoformat(each.pop("date"))
        return content

    record = Record(path, machine)
    for title, ratio in (("a", 1), ("b", 2)):
        record.add("comparisons", "title", {"title": title, "ratio": ratio})
    Record(path, machine | {"peak": 4.0}).add("comparisons", "title", {"title": "a", "ratio": 5})
    assert kept()["machine"] == {"cores": 2, "peak": 4.0}
    assert [each["ratio"] for each in kept()["comparisons"]] == [5, 2]
    Record(path, {"cores": 8, "peak": 3.0}).add("growth", "name", {"name": "size"})
    assert kept() == {
        "machine": {"cores": 8, "peak": 3.0},
        "comparisons": [],
        "growth": [{"name": "size"}],
    }
