"""What the README says must be true: its code runs, its picture shows what the code gives."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from cnn_tf.recipes import read_record

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


def test_layers_example():
    exec(BLOCKS[0], {})  # it holds an assertion of its own


def test_lenet_example(monkeypatch):
    monkeypatch.setenv("CNN_TF_SAMPLE", str(ROOT / "book" / "sample"))
    names = {}
    exec(BLOCKS[1].replace("epochs=10", "epochs=1"), names)
    assert len(names["log"].history["val_accuracy"]) == 1
    assert 0 < names["accuracy"] < 1


def test_the_best_network_is_as_good_as_promised(monkeypatch):
    monkeypatch.setenv("CNN_TF_RECORDS", str(ROOT / "experiments" / "records"))
    best, final = read_record("best"), read_record("final")
    reached = [
        best.values("small ResNet", "test_accuracy").mean(),
        best.values("small ResNet", "mirrored_test_accuracy").mean(),
        max(final.values(name, "test_accuracy").mean() for name in final.recipes),
    ]
    once, twice, lenet = (f"{100 * share:.2f}" for share in reached)
    assert f"right on {once} of a hundred test pictures, and on {twice} if" in README
    assert f"by its best recipe on {lenet}." in README


def test_no_example_is_left_out():
    assert len(BLOCKS) == 2


def test_picture_is_the_one_that_the_package_draws(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "tools")
    import make_readme_picture

    def texts(svg):
        return re.findall(r"<text[^>]*>([^<]*)</text>", svg)

    assert texts(make_readme_picture.PICTURE.read_text("utf-8")) == texts(
        make_readme_picture.drawing()
    )


@pytest.mark.parametrize("target", ["book", "test", "help"])
def test_make_targets_exist(target):
    assert f"make {target}" in README
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)


def test_files_and_links_exist():
    for link in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / link).exists(), link
    for path in re.findall(r"^- `([\w./]+\.py)`", README, re.MULTILINE):
        assert (ROOT / path).exists(), path


def test_the_ratios_are_those_of_the_record():
    """What the README says of speed, word by word, made from the record."""
    content = json.loads((ROOT / "benchmarks" / "results" / "onednn.json").read_text("utf-8"))

    def over_keras(each):
        ours, theirs = sorted(name for name in each["medians"] if "XLA" not in name)
        return each["medians"][ours] / each["medians"][theirs]

    rows = {
        each["title"]: f"{over_keras(each):.1f}"
        for each in content["comparisons"]
        if "2D on" in each["title"]
    }

    def of(*words):
        [*found] = (ratio for title, ratio in rows.items() if all(w in title for w in words))
        return found

    def from_to(kind):
        return f"{min(of(kind), key=float)} to {max(of(kind), key=float)} times"

    networks = []
    for task in ("training", "prediction"):
        ratios = [over_keras(each) for each in content["layers"] if each["title"].endswith(task)]
        networks.append((np.exp(np.mean(np.log(ratios))), max(ratios)))
    (training, slowest_training), (prediction, slowest_prediction) = networks
    first, second = of("LeNet's")
    said = (
        f"a step forward and backward through our convolution takes {first} and {second} times as "
        "long as one through Keras's built-in for LeNet's two layers, "
        f"{of('1x1')[0]} times with 1×1 windows, "
        f"{of('3x3, 64 to 64')[0]} times with 3×3 windows of 64 channels, "
        f"{of('stride 2, 64 to 128')[0]} times where the stride is 2, and "
        f"{of('5x5, 128')[0]} times with 5×5 windows of 128 channels on a large image; "
        f"max pooling takes {from_to('MaxPooling2D')} as long, "
        f"average pooling {from_to('AveragePooling2D')}.\n"
        f"Over {len(ratios)} layers of well-known networks, the geometric mean is {training:.2f} "
        f"in training and {prediction:.2f} in prediction; the slowest take "
        f"{slowest_training:.1f} and {slowest_prediction:.1f} times as long.\n"
    )
    assert said in README
