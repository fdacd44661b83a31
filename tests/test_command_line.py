"""The command line, as people and programs use it."""

import io
import json
import os
import re
import resource
import shlex
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import cnn_tf.data
from cnn_tf import FashionMNIST, LeNet
from cnn_tf.__main__ import EXPLORERS, RECIPES, main
from cnn_tf.explorers import EXPLORERS as MADE
from cnn_tf.photographs import read_photograph

ROOT = Path(__file__).parent.parent


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Run a command in an empty folder, on a data set of few pictures."""
    whole = FashionMNIST()

    class Few(FashionMNIST):
        def __init__(self, folder=None, *, download=True):
            assert folder is None or folder.name == "here"
            self.source = whole.source
            for name, number in (("train", 500), ("validation", 60), ("test", 80)):
                images, labels = getattr(whole, name)
                setattr(self, name, cnn_tf.data.Split(images[:number], labels[:number]))

    monkeypatch.setattr("cnn_tf.data.FashionMNIST", Few)
    monkeypatch.chdir(tmp_path)

    def run(command):
        return CliRunner().invoke(main, shlex.split(command))

    return run


def found(result):
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


# --- Help -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [[], *([name] for name in main.commands)])
def test_help_has_examples_that_can_be_typed(command):
    result = CliRunner().invoke(main, [*command, "--help"])
    assert result.exit_code == 0
    assert result.output == CliRunner().invoke(main, [*command, "-h"]).output
    lines = result.output.partition("Examples:\n")[2].splitlines()
    typed = [line.strip().partition("    ")[0] for line in lines if "cnn-tf" in line]
    assert typed
    for line in typed:
        if not line.startswith("eval"):
            understood(line)


def understood(line):
    """Parse a line as its command would, without running it."""
    words = [word for word in shlex.split(line) if "=" not in word or not word.isupper()]
    words = words[next(i for i, word in enumerate(words) if word == "cnn-tf") + 1 :]
    with main.make_context("cnn-tf", list(words)) as context:
        name, command, rest = main.resolve_command(context, words)
        command.make_context(name, rest, parent=context)


@pytest.mark.parametrize("file", ["README.md", "book/command-line.md", "book/cluster.md"])
def test_each_command_of_the_documentation_can_be_typed(file):
    text = (ROOT / file).read_text("utf-8")
    lines = re.findall(r"^\$ ((?:[A-Z_]+=\S+ )*cnn-tf .*?)(?:   +#.*)?$", text, re.MULTILINE)
    assert len(lines) >= 3
    for line in lines:
        understood(line)


NOTHING_STARTED = """
import sys
from cnn_tf.__main__ import main
main(["train", "--help"], standalone_mode=False)
started = {"keras", "tensorflow", "jax", "torch", "numpy", "PIL", "matplotlib"} & set(sys.modules)
assert not started, started
"""


def test_help_starts_no_back_end():
    done = subprocess.run([sys.executable, "-c", NOTHING_STARTED], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "command", [["-m", "cnn_tf"], [str(Path(sys.executable).parent / "cnn-tf")]]
)
def test_help_comes_at_once(command):
    whole = [sys.executable, *command, "--help"] if command[0] == "-m" else [*command, "--help"]
    seconds = []
    for _ in range(5):
        # Of the processor, whatever else it does: a clock on the wall would tell of other tests.
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(whole, capture_output=True, text=True, cwd=ROOT)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        assert done.returncode == 0, done.stderr
        assert "Usage: cnn-tf [OPTIONS]" in done.stdout
    assert min(seconds) < 0.5


def test_the_shell_completes():
    def complete(line, number):
        words = {"COMP_WORDS": line, "COMP_CWORD": str(number), "_CNN_TF_COMPLETE": "bash_complete"}
        script = Path(sys.executable).parent / "cnn-tf"
        done = subprocess.run([script], env=os.environ | words, capture_output=True, text=True)
        return done.stdout.split()

    assert complete("cnn-tf explo", 1) == ["plain,explore"]
    assert "plain,pooling" in complete("cnn-tf explore p", 2)
    assert "plain,--checkpoints" in complete("cnn-tf train --ch", 2)


def test_what_can_be_named_is_what_there_is():
    assert set(EXPLORERS) == set(MADE)
    assert CliRunner().invoke(main, ["--version"]).output.strip() == "0.1.0"


# --- Training -------------------------------------------------------------------------------------


def test_train_writes_a_model_for_the_others(run, tmp_path):
    history = found(run("train --epochs 2 --batch-size 50 --learning-rate 0.5 --json"))
    assert len(history["history"]["val_accuracy"]) == 2
    assert history["weights"] == 61706
    model = keras.models.load_model(tmp_path / "model.keras")
    images, labels = FashionMNIST().test
    right = (model.predict(images[:80], verbose=0).argmax(axis=1) == labels[:80]).mean()
    evaluated = found(run("evaluate --json"))
    assert evaluated["pictures"] == 80
    assert evaluated["accuracy"] == pytest.approx(right)
    assert evaluated["cross_entropy"] > 0
    told = run("evaluate --part validation")
    assert re.match(r"validation: 60 pictures, accuracy [\d.]+ ± [\d.]+ %, cross", told.stdout)
    assert found(run("summary model.keras --json"))["weights"] == 61706
    assert [path.name for path in tmp_path.iterdir()] == ["model.keras"]


def test_a_network_for_standardized_pixels_is_saved_for_pixels_as_they_are(run, tmp_path):
    recipe = {"standardize": True, "epochs": 1, "arguments": {"activation": "relu"}}
    Path("mine.json").write_text(json.dumps(recipe))
    told = run("train mine.json --batch-size 100 -o mine.keras")
    assert told.exit_code == 0, told.output
    assert "epoch 1 of 1  accuracy 0." in told.stderr
    assert "The model is in mine.keras." in told.stdout
    model = keras.models.load_model("mine.keras")
    images, _ = cnn_tf.data.FashionMNIST().train
    standardize = model.layers[0]
    prepared = np.asarray(standardize(images))
    assert abs(prepared.mean()) < 1e-3
    assert prepared.std() == pytest.approx(1, abs=1e-3)
    assert found(run("evaluate -m mine.keras --json"))["pictures"] == 80


def test_train_in_another_precision(run):
    found(run("train --epochs 1 --batch-size 100 --dtype mixed_bfloat16 --json"))
    model = keras.models.load_model("model.keras")
    assert [layer.compute_dtype for layer in model.layers] == ["bfloat16"] * 7 + ["float32"]
    assert found(run("evaluate --json"))["pictures"] == 80
    assert run("train --dtype colour").exit_code == 1


def test_train_goes_on_from_its_checkpoints(run):
    arguments = "--batch-size 100 --json --checkpoints kept"
    found(run(f"train --epochs 1 {arguments} -o one.keras"))
    two = found(run(f"train --epochs 2 {arguments} -o two.keras"))
    assert len(two["history"]["loss"]) == 2
    other = run(f"train --epochs 2 --seed 3 {arguments}")
    assert other.exit_code == 1
    assert "is of another training: its seed is 0" in other.stderr
    assert other.stdout == ""
    assert not Path("model.keras").exists()


def test_ctrl_c_has_its_exit_code_and_says_what_is_kept(run, monkeypatch):
    def interrupted(*_, **__):
        error = KeyboardInterrupt()
        error.add_note("3 of 10 epochs are kept in x.")
        raise error

    monkeypatch.setattr("cnn_tf.recipes.train", interrupted)
    result = run("train")
    assert result.exit_code == 130
    assert result.stderr == "\nInterrupted.\n3 of 10 epochs are kept in x.\n"
    assert not list(Path().iterdir())


def test_a_loss_that_is_not_finite_is_told(run):
    Path("wild.json").write_text(json.dumps({"arguments": {"activation": "relu"}}))
    result = run("train wild.json --learning-rate 1e30")
    assert result.exit_code == 1
    assert "Error: The loss became nan in step" in result.stderr
    assert not Path("model.keras").exists()


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        ("train nothing", 2, "'nothing' is neither one of lenet, small-resnet nor a file"),
        ("train --epochs 0", 2, "0 is not in the range x>=1"),
        ("train --learning-rate -1", 2, "-1.0 is not in the range x>0"),
        ("train --epochs two", 2, "'two' is not a valid integer range"),
        ("train -o model.h5", 2, "model.h5 does not end in .keras"),
        ("train -o no/model.keras", 2, "there is no folder"),
        ("train text.txt", 1, "text.txt: expected JSON"),
        ("train list.json", 1, "expected an object of settings. Received: [1]"),
        ("train unknown.json", 1, "knows no recipe with colour"),
        ("evaluate", 1, "There is no model model.keras. Train one first: cnn-tf train"),
        ("evaluate -m text.txt", 1, "text.txt"),
        ("evaluate -m other.keras", 1, "Expected a model of pictures (28, 28, 1) and ten classes"),
        ("predict", 2, "Missing argument 'IMAGE...'"),
        ("predict none.png", 1, "none.png"),
        ("predict text.txt", 1, "Expected a picture in text.txt"),
        ("predict blank.png", 1, "nothing stands out from the grey 0.50"),
        ("summary nothing", 2, "nor a file"),
        ("explore nothing", 2, "'nothing' is not one of 'sliding-window'"),
        ("explore padding --set size", 2, "'size' is no NAME=VALUE"),
        ("explore padding --set colour=3 -o p.html", 1, "takes size, kernel_size"),
        ("explore padding --set size=0 -o p.html", 1, "size"),
        ("sing", 2, "No such command 'sing'"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(command, code, words, run):
    Path("text.txt").write_text("no model, no picture, no recipe")
    Path("list.json").write_text("[1]")
    Path("unknown.json").write_text('{"colour": 1}')
    Image.new("L", (40, 40), 128).save("blank.png")
    keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten()]).save("other.keras")
    before = sorted(Path().iterdir())
    result = run(command)
    assert result.exit_code == code, result.output
    assert words in result.stderr
    assert "Traceback" not in result.output
    assert result.stdout == ""
    assert sorted(Path().iterdir()) == before


# --- The other commands ---------------------------------------------------------------------------


def test_summary_is_that_of_the_package(run):
    assert str(cnn_tf.layer_summary(LeNet(), (28, 28, 1))) in run("summary").stdout
    for name in RECIPES:
        rows = found(run(f"summary {name} --json"))
        assert sum(row["params"] for row in rows["layers"]) == rows["weights"]


def test_export_writes_what_its_ending_names(run):
    LeNet().save("model.keras")
    assert found(run("export -o there --json")) == {"output": "there"}
    assert Path("there", "saved_model.pb").is_file()
    told = run("export -o there.h5")
    assert told.exit_code == 1
    assert "must be one of 'saved_model'" in told.stderr


def test_what_cannot_be_saved_is_said_before_anything_is_trained(run):
    Path("permuted.json").write_text('{"permute": true}')
    told = run("train permuted.json -o m.keras")
    assert (told.exit_code, "cannot be saved for pictures" in told.stderr) == (1, True)
    assert "epoch 1" not in told.stderr
    told = run(f"train -o {300 * 'm'}.keras --epochs 1")  # too long a name
    assert (told.exit_code, "epoch 1" in told.stderr) == (1, False)


def test_a_model_that_finds_no_room_is_kept_elsewhere(run, monkeypatch):
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space")))
    told = run("train -o m.keras --epochs 1")
    rescued = Path(re.search(r"The model is in (\S+) instead of: 'm\.keras'", told.stderr)[1])
    assert told.exit_code == 1
    assert keras.models.load_model(rescued).count_params() == LeNet().count_params()
    assert [it.name for it in Path().glob("*m.keras")] == []


def test_a_damaged_model_is_named(run):
    LeNet().save("model.keras")
    content = bytearray(Path("model.keras").read_bytes())
    content[len(content) // 2] ^= 1
    Path("model.keras").write_bytes(content)
    told = run("evaluate")
    assert told.exit_code == 1
    assert "model.keras cannot be read: it is damaged, or no model" in told.stderr
    assert "Traceback" not in told.output


def test_data_says_where_it_lies(run):
    told = found(run("data --json"))
    assert (told["train"], told["validation"], told["test"]) == (500, 60, 80)
    assert Path(told["folder"]).is_dir()
    assert "train 500, validation 60, test 80" in run("data --data here --no-download").stdout


def test_explore_writes_a_page_of_its_own(run):
    told = run("explore padding --set size=8 --set strides=2 --set padding=same -o p.html")
    assert "The page is p.html." in told.stdout
    page = Path("p.html").read_text("utf-8")
    assert page.startswith("<!doctype html>")
    assert "<cnn-padding settings=" in page
    keras.utils.set_random_seed(0)
    LeNet().save("model.keras")
    assert found(run("explore lenet -o l.html --json")) == {"page": "l.html"}
    assert "cnn-lenet" in Path("l.html").read_text("utf-8")


def test_explore_opens_a_browser_if_no_page_is_asked_for(run, monkeypatch, tmp_path):
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setattr("click.get_app_dir", lambda name: str(tmp_path / name))
    assert run("explore pooling").exit_code == 0
    assert opened == [(tmp_path / "cnn_tf" / "pooling.html").as_uri()]


def test_device_says_why(run):
    told = found(run("device --json"))
    assert told["device"].partition(":")[0] in ("cpu", "gpu", "tpu")
    assert keras.backend.backend() in told["why"].lower()


# --- Photographs ----------------------------------------------------------------------------------


def photograph(image, background=250, noise=0.0, kind="png", mode="RGB", place=(60, 150)):
    """A picture of the data set as a camera would have it: large, on bright paper."""
    grey = Image.fromarray((255 - 255 * image[:, :, 0]).astype("uint8"))
    paper = Image.new("L", (400, 520), background)
    paper.paste(grey.resize((280, 280)).point(lambda v: v * background / 255), place)
    noisy = np.asarray(paper) + np.random.default_rng(0).normal(0, noise, (520, 400))
    file = io.BytesIO()
    Image.fromarray(np.clip(noisy, 0, 255).astype("uint8")).convert(mode).save(file, kind)
    file.seek(0)
    return file


@pytest.fixture(scope="module")
def pictures():
    """Pictures of the data set that fill their square: so a photograph of them must too."""
    images, _ = FashionMNIST().test
    shapes = images[..., 0] > 0.06
    return images[(shapes.any(axis=1).sum(axis=1) == 28) & shapes.any(axis=2).all(axis=1)][:40]


@pytest.mark.parametrize(
    "settings",
    [{}, {"background": 200}, {"noise": 3.0, "kind": "jpeg"}, {"mode": "P"}, {"place": (0, 0)}],
)
def test_a_photograph_becomes_the_picture_that_it_was_made_of(settings, pictures):
    for image in pictures:
        found = read_photograph(photograph(image, **settings))
        assert found.shape == (28, 28, 1)
        assert found.dtype == np.float32
        assert 0 <= found.min() <= found.max() <= 1
        assert np.corrcoef(found.ravel(), image.ravel())[0, 1] > 0.9


def test_a_bright_garment_on_a_dark_ground(pictures):
    (file, inverted) = (io.BytesIO(), io.BytesIO())
    bright = Image.fromarray((255 * pictures[0][:, :, 0]).astype("uint8")).resize((280, 280))
    bright.save(file, "png")
    found = read_photograph(file)
    assert np.corrcoef(found.ravel(), pictures[0].ravel())[0, 1] > 0.98
    Image.eval(bright, lambda v: 255 - v).save(inverted, "png")
    np.testing.assert_allclose(read_photograph(inverted), found, atol=0.01)


def test_it_keeps_the_shape_and_stands_in_the_middle():
    paper = np.full((300, 200), 255, "uint8")
    paper[30:230, 20:70] = 0
    file = io.BytesIO()
    Image.fromarray(paper).save(file, "png")
    dark = read_photograph(file)[:, :, 0] > 0.5
    assert dark.sum(axis=0).tolist() == [0] * 10 + [28] * 7 + [0] * 11 or dark.sum() == 28 * 7


def test_it_follows_the_camera_and_takes_what_is_transparent_for_white(pictures):
    upright = read_photograph(photograph(pictures[0]))
    turned, file = Image.open(photograph(pictures[0])).rotate(90, expand=True), io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6  # turn to the right to see it
    turned.save(file, "png", exif=exif)
    np.testing.assert_allclose(read_photograph(file), upright, atol=0.02)
    clear, file = Image.new("RGBA", (100, 100), (0, 0, 0, 0)), io.BytesIO()
    clear.paste((0, 0, 0, 255), (30, 10, 70, 90))
    clear.save(file, "png")
    assert read_photograph(file).max() == 1


@pytest.mark.parametrize(("grey", "invert"), [(0, True), (255, False)])
def test_black_has_nothing_darker_and_white_nothing_brighter(grey, invert):
    file = io.BytesIO()
    Image.new("L", (40, 40), grey).save(file, "png")
    with pytest.raises(ValueError, match=f"Try invert={not invert}"):
        read_photograph(file, invert=invert)


def test_bad_settings_and_files_are_named(tmp_path):
    with pytest.raises(ValueError, match="`invert` must be True, False or 'auto'"):
        read_photograph(tmp_path / "a.png", invert="maybe")
    with pytest.raises(FileNotFoundError, match=r"a\.png"):
        read_photograph(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(photograph(np.zeros((28, 28, 1))).getvalue()[:60])
    with pytest.raises(ValueError, match=r"Expected a picture in .*b\.png\. Received"):
        read_photograph(tmp_path / "b.png")
    with pytest.raises(ValueError, match=r"Expected a picture in"):
        read_photograph(tmp_path)


def test_predict_names_what_it_sees(run, pictures):
    keras.utils.set_random_seed(0)
    model = LeNet()
    model.save("model.keras")
    for i in range(2):
        Path(f"{i}.jpg").write_bytes(photograph(pictures[i], kind="jpeg").getvalue())
    told = found(run("predict 0.jpg 1.jpg --json --seen seen.png"))
    for i, each in enumerate(told["predictions"]):
        assert each["image"] == f"{i}.jpg"
        seen = read_photograph(f"{i}.jpg")
        logits = model.predict(seen[None], verbose=0)[0]
        expected = np.exp(logits) / np.exp(logits).sum()
        chances = [each["probabilities"][name] for name in FashionMNIST.class_names]
        np.testing.assert_allclose(chances, expected, atol=1e-5)
        assert each["class"] == FashionMNIST.class_names[expected.argmax()]
    strip = np.asarray(Image.open("seen.png"))
    assert strip.shape == (8 * 28, 8 * 56)
    np.testing.assert_allclose(strip[4::8, 4::8][:, 28:] / 255, seen[:, :, 0], atol=0.01)
    assert re.match(r"0\.jpg: \S.* \d+ %, .* \d+ %, .* \d+ %\n", run("predict 0.jpg").stdout)
    assert run("predict 0.jpg --seen seen.nothing").exit_code == 2


def test_a_softmax_at_the_end_is_not_applied_twice(run, pictures):
    LeNet().save("logits.keras")
    logits = keras.models.load_model("logits.keras")
    layers = [keras.Input((28, 28, 1)), *logits.layers, keras.layers.Softmax()]
    keras.Sequential(layers).save("model.keras")
    Path("0.png").write_bytes(photograph(pictures[0]).getvalue())
    one, other = (
        found(run(f"predict 0.png --json -m {name}.keras"))["predictions"][0]["probabilities"]
        for name in ("model", "logits")
    )
    assert one == pytest.approx(other, abs=1e-6)


def test_in_a_terminal_the_picture_is_drawn(monkeypatch):
    from cnn_tf.__main__ import _blocks

    rows = _blocks(np.eye(28)).splitlines()
    assert len(rows) == 14
    assert all(row.count("▀") == 28 for row in rows)
    assert rows[0].startswith(
        "\x1b[38;2;255;255;255;48;2;0;0;0m▀\x1b[38;2;0;0;0;48;2;255;255;255m▀"
    )
