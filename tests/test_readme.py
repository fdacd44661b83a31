"""What the README says must be true: its code runs, its picture shows what the code gives."""

import re
from pathlib import Path

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
