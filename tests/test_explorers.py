"""The explorers in Python: what they accept, and what a browser gets from them."""

import base64
import gzip
import json
import re
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

import cnn_tf
from cnn_tf import LeNet, explore, load_network, save_network
from cnn_tf.explorers._figures import EXPLORERS
from cnn_tf.explorers._settings import CHOICES
from cnn_tf.explorers._training import choices_of, recipe_of
from cnn_tf.recipes import Recipe, centred_sigmoid, read_record
from experiments.declarations import EXPERIMENTS

FOLDER = Path(cnn_tf.__file__).parent / "explorers" / "javascript"
NAMES = sorted(set(EXPLORERS) - {"lenet"})


def unpack(packed):
    flat = np.frombuffer(base64.b64decode(packed["base64"]), packed["dtype"])
    return flat.reshape(packed["shape"])


@pytest.fixture(scope="module")
def modern():
    """A network with all kinds of layers, and normalisation that has seen something."""
    Norm, Activation = keras.layers.BatchNormalization, keras.layers.Activation
    net = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            cnn_tf.Conv2D(3, 5, padding="same", strides=2),
            Norm(),
            Activation("relu"),
            keras.layers.MaxPooling2D(2),
            cnn_tf.Conv2D(4, 3, padding=1, activation="tanh", use_bias=False),
            cnn_tf.AveragePooling2D(3, strides=2, padding="same"),
            keras.layers.Dropout(0.5),
            keras.layers.Flatten(),
            keras.layers.Dense(7),
            Norm(center=False, scale=False),
            Activation("sigmoid"),
            keras.layers.Dense(10),
        ]
    )
    rng = np.random.default_rng(0)
    for weight in net.weights:
        if "seed" not in weight.path:
            weight.assign(rng.uniform(0.2, 1.0, weight.shape) * rng.choice([1, 0.5], weight.shape))
    return net


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_gets_element_figure_and_modules(name):
    explorer = explore(name)
    html = explorer._repr_html_()
    settings = re.search(r'settings="([^"]*)"', html)[1].replace("&quot;", '"')
    assert json.loads(settings) == explorer.settings
    assert "<svg" in html.partition("<script")[0]
    assert len(explorer.figure.alt) > 20
    sources = json.loads(re.search(r"const sources = (\{.*\});", html)[1])
    assert list(sources)[-1] == f"{name}.js"
    # Each module comes after those that it imports, and all of them are there.
    for number, (module, source) in enumerate(sources.items()):
        assert source == (FOLDER / module).read_text("utf-8")
        assert set(re.findall(r'from "\./(.+?)"', source)) <= set(list(sources)[:number])
    # Nothing in a script ends it.
    assert html.count("</script>") == html.count("<script")
    assert explorer.figure.alt in repr(explorer)


def test_no_module_is_left_over():
    names = {f"{name}.js" for name in EXPLORERS}
    imported = {
        name
        for path in FOLDER.glob("*.js")
        for name in re.findall(r'(?:from |new URL\()"\./(.+?)"', path.read_text("utf-8"))
    }
    assert {path.name for path in FOLDER.iterdir()} == names | imported


def test_lenet_brings_its_network_and_test_pictures():
    model = LeNet()
    data = cnn_tf.FashionMNIST()
    explorer = explore("lenet", model=model, data=data, each=2)
    pictures = unpack(explorer.data["pictures"])
    labels = explorer.data["labels"]
    assert labels == [k for k in range(10) for _ in range(2)]
    first = [int(np.flatnonzero(data.test.labels == k)[0]) for k in range(10)]
    assert np.allclose(pictures[::2] / 255, data.test.images[first, ..., 0], atol=1e-6)
    layers = explorer.data["network"]["layers"]
    assert [layer["kind"] for layer in layers] == [
        *("conv", "sigmoid", "pool", "conv", "sigmoid", "pool", "flatten"),
        *("dense", "sigmoid", "dense", "sigmoid", "dense"),
    ]
    assert np.array_equal(unpack(layers[0]["kernel"]), model.get_layer("conv1").kernel)


def forward(layers, x):
    """What a file says, computed by Keras's own functions."""
    functions = {"sigmoid": keras.ops.sigmoid, "relu": keras.ops.relu, "tanh": keras.ops.tanh}
    for layer in layers:
        kind = layer["kind"]
        if kind in functions:
            x = functions[kind](x)
        elif kind == "flatten":
            x = keras.ops.reshape(x, (len(x), -1))
        elif kind == "dense":
            x = keras.ops.matmul(x, unpack(layer["kernel"])) + unpack(layer["bias"])
        elif kind == "pool":
            pool = {"max": keras.ops.max_pool, "avg": keras.ops.average_pool}[layer["mode"]]
            x = pool(x, layer["pool_size"], layer["strides"], layer["padding"])
        else:
            padding = layer["padding"]
            if not isinstance(padding, str):
                x, padding = keras.ops.pad(x, ((0, 0), *padding, (0, 0))), "valid"
            x = keras.ops.conv(x, unpack(layer["kernel"]), layer["strides"], padding)
            x = x + unpack(layer["bias"])
    return np.asarray(x)


def test_a_file_holds_what_the_network_computes(modern, tmp_path, rng):
    save_network(modern, tmp_path / "mine.json")
    layers = json.loads((tmp_path / "mine.json").read_text("utf-8"))["layers"]
    assert "conv" in {layer["kind"] for layer in layers}
    x = rng.random((5, 28, 28, 1)).astype("float32")
    expected = np.asarray(modern(x, training=False))
    assert np.ptp(expected) > 0.1
    assert np.allclose(forward(layers, x), expected, atol=1e-5)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.json"]


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (cnn_tf.Conv2D(2, 3, groups=1, dilation_rate=2), "without groups or dilation"),
        (cnn_tf.Conv2D(2, 3, padding=1, padding_mode="reflect"), "padded with zeros"),
        (keras.layers.GlobalAveragePooling2D(), "a GlobalAveragePooling2D"),
        (keras.layers.Activation("gelu"), "gelu in"),
        (keras.layers.BatchNormalization(), "to follow a convolution"),
    ],
)
def test_what_the_browser_cannot_compute_is_refused(layer, message, tmp_path):
    model = keras.Sequential([keras.Input((28, 28, 1)), layer])
    with pytest.raises(ValueError, match=message):
        save_network(model, tmp_path / "mine.json")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("stride", {}, "explore expected one of 'sliding-window'"),
        ("sliding-window", {"X": [1, 2]}, "X to be an array of rank 2"),
        ("sliding-window", {"X": [[float("nan")]]}, "finite"),
        ("sliding-window", {"X": np.ones((9, 9))}, "up to 8 along each axis of X"),
        ("sliding-window", {"place": (2, 0)}, "place in the output"),
        ("sliding-window", {"place": 1}, r"pair \(row, column\)"),
        ("sliding-window", {"X": [[1, 2], [3]]}, "X to be an array of rank 2"),
        ("pooling", {"picture": np.ones((3, 3)), "pool_size": 4}, "4 x 4 does not fit"),
        ("learning", {"learning_rate": "x"}, "from 0.001 to 0.3"),
        ("receptive-field", {"layers": 5}, "1 to 8 layers"),
        ("receptive-field", {"layers": [3, 1, 1]}, "kernel size, stride, dilation"),
        ("padding", {"size": 11}, "up to size=10"),
        ("padding", {"padding": ((1, 0), (0, 0))}, "as many cells before as after"),
        ("padding", {"size": 2, "kernel_size": 3, "padding": 0}, "does not fit|no larger|smaller"),
        ("padding", {"place": (8, 0)}, r"size \(8, 8\)"),
        ("channels", {"channel": 3}, "channel=3"),
        ("kernels", {"kernel": np.ones((4, 4))}, "3x3 or 5x5"),
        ("kernels", {"picture": np.ones((4, 4)) * 255}, "Divide 8-bit pixels by 255"),
        ("kernels", {"picture": np.ones((300, 4))}, "at most 256 x 256"),
        ("pooling", {"picture": np.ones((40, 40))}, "up to 32 x 32"),
        ("pooling", {"pool_size": 5}, "up to pool_size=4"),
        ("pooling", {"shift": (0, 9)}, "up to shift=8"),
        ("learning", {"start": [[1]]}, "K's shape"),
        ("learning", {"learning_rate": 0}, "from 0.001 to 0.3"),
        ("receptive-field", {"layers": []}, "1 to 8 layers"),
        ("receptive-field", {"layers": [(3, 1)]}, "kernel size, stride, dilation"),
        ("receptive-field", {"layers": [(3, 2, 2)]}, "Set one to 1"),
        ("receptive-field", {"layers": [(12, 1, 1)]}, "up to kernel size=11"),
        ("training", {"activation": "gelu"}, "one of 'sigmoid', .*'relu'.*activation='gelu'"),
        ("training", {"schedule": "step"}, "'constant', 'cosine'.*schedule='step'"),
        ("training", {"field": "dense1"}, "'conv1', 'pool1', 'conv2', 'pool2'.*field='dense1'"),
        ("training", {"rate": 2}, "rate must be from 0.001 to 1. Received: 2"),
        ("training", {"rate": float("nan")}, "rate must be from 0.001 to 1. Received: nan"),
        ("training", {"batch": 257}, "up to batch=256"),
        ("training", {"batch": 0}, "batch"),
        ("training", {"seed": -1}, "seed"),
    ],
)
def test_bad_settings_are_refused(name, settings, message):
    with pytest.raises(ValueError, match=message):
        explore(name, **settings)


def test_an_unknown_setting_is_named():
    with pytest.raises(
        TypeError, match=r"takes size, kernel_size, .*; got an unexpected .*'kernel'"
    ):
        explore("padding", kernel=3)


def test_a_missing_model_is_named():
    with pytest.raises(TypeError, match=r"takes model, data, each; missing .*'model'"):
        explore("lenet")


def test_numbers_of_numpy_are_taken():
    explorer = explore("channels", channel=np.int64(1), place=np.unravel_index(3, (2, 2)))
    assert '"place": [1, 1]'.replace('"', "&quot;") in explorer._repr_html_()
    assert explore("sliding-window", X=np.eye(3) > 0).settings["X"][0] == [1, 0, 0]


def test_a_softmax_at_the_end_is_left_to_the_browser(tmp_path):
    net = keras.Sequential(
        [keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(10, "softmax")]
    )
    save_network(net, tmp_path / "mine.json")
    layers = json.loads((tmp_path / "mine.json").read_text("utf-8"))["layers"]
    assert [layer["kind"] for layer in layers] == ["flatten", "dense"]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (LeNet(input_shape=(32, 32, 1)), r"for inputs of shape \(28, 28, 1\)"),
        (keras.Sequential([keras.layers.Dense(10)]), "built and trained"),
        (
            keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Dense(3)]),
            "dense layers behind Flatten",
        ),
    ],
)
def test_networks_that_do_not_fit_are_refused(model, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        save_network(model, tmp_path / "mine.json")


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        ({"padding": "SAME"}, "same"),
        ({"padding": (0, 1)}, [0, 1]),
        ({"padding": ((1, 1), (2, 2))}, [1, 2]),
    ],
)
def test_padding_is_kept_in_its_short_form(settings, kept):
    assert explore("padding", **settings).settings["padding"] == kept


# --- Networks from files --------------------------------------------------------------------------


def test_a_loaded_network_computes_what_was_saved(modern, tmp_path, rng):
    save_network(modern, tmp_path / "mine.json")
    loaded = load_network(tmp_path / "mine.json")
    x = rng.random((5, 28, 28, 1)).astype("float32")
    assert np.allclose(loaded(x), modern(x, training=False), atol=1e-5)
    kept = (keras.layers.BatchNormalization, keras.layers.Dropout)
    names = [layer.name for layer in modern.layers if not isinstance(layer, kept)]
    assert [layer.name for layer in loaded.layers] == names
    save_network(loaded, tmp_path / "again.json")
    first, again = ((tmp_path / name).read_text("utf-8") for name in ("mine.json", "again.json"))
    assert json.loads(first) == json.loads(again)


@pytest.mark.parametrize("normalisation", [False, True])
@pytest.mark.parametrize("pooling", ["avg", "max"])
@pytest.mark.parametrize("activation", ["sigmoid", centred_sigmoid, "tanh", "relu"])
def test_each_lenet_can_be_loaded(activation, pooling, normalisation, tmp_path, rng):
    model = LeNet(activation=activation, pooling=pooling, batch_normalization=normalisation)
    layers = [keras.layers.Rescaling(3.0, offset=-0.5), *model.layers]
    model = keras.Sequential([keras.Input((28, 28, 1)), *layers])
    save_network(model, tmp_path / "mine.json")
    loaded = load_network(tmp_path / "mine.json")
    x = rng.random((5, 28, 28, 1)).astype("float32")
    assert np.allclose(loaded(x), model(x, training=False), atol=1e-5)
    assert np.array_equal(loaded.get_layer("conv1").kernel, model.get_layer("conv1").kernel) == (
        not normalisation
    )


@pytest.mark.parametrize(
    "layers",
    [
        [keras.layers.Flatten(), keras.layers.Rescaling(2.0)],
        [keras.layers.Rescaling([1.0, 2.0]), keras.layers.Flatten()],
    ],
)
def test_a_rescaling_that_the_browser_does_not_know_is_refused(layers, tmp_path):
    model = keras.Sequential([keras.Input((28, 28, 1)), *layers])
    with pytest.raises(ValueError, match="Rescaling as the first layer, by one scale and one"):
        save_network(model, tmp_path / "mine.json")


def set_in(file, *path, value):
    """A copy of a file with one of its entries changed."""
    file = json.loads(json.dumps(file))
    part = file
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    return file


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ((), None, r'a network, \{"layers": \[...\]\}. Received: null'),
        (("layers",), [], "a network"),
        (("layers", 0), 5, "Layer 1: expected kind to be one of rescaling, conv.*Received: 5"),
        (("layers", 0, "kind"), ["conv"], "kind to be one of"),
        (("layers", 0, "kind"), "lstm", r"Layer 1 \(“conv1”\): expected kind.*Received: lstm"),
        (("layers", 0, "kernel"), None, r"a kernel of shape \(h, w, 1, filters\)"),
        (("layers", 0, "kernel", "dtype"), "float16", 'dtype "float32". Received: float16'),
        (("layers", 0, "kernel", "shape"), [5, 5, 2, 6], r"\(h, w, 1, filters\).*5, 5, 2, 6"),
        (("layers", 0, "kernel", "shape"), [5, 5, 1, -6], r"\(h, w, 1, filters\)"),
        (("layers", 0, "kernel", "shape"), [5, 5, 1, 7], "of 700 bytes.*Received: 600 bytes"),
        (("layers", 0, "kernel", "base64"), "?", "of 600 bytes in base64"),
        (("layers", 0, "bias", "base64"), "AADAfwAAwH8AAMB/AADAfwAAwH8AAMB/", "finite numbers"),
        (("layers", 0, "strides"), [0, 1], "strides to be two positive integers"),
        (("layers", 0, "padding"), 65, 'padding "valid", "same".*up to 64. Received: 65'),
        (("layers", 0, "padding"), "reflect", 'padding "valid"'),
        (("layers", 0, "name"), "a/b", "a name that no other layer has, without “/”"),
        (("layers", 2, "name"), "conv1", "a name that no other layer has"),
        (("layers", 2, "mode"), "median", 'mode "max" or "avg". Received: median'),
        (("layers", 2, "pool_size"), [64, 64], "a layer that fits what is before it"),
        (("layers", 2, "padding"), [2, 2], "padding smaller than the window"),
        (("layers", 6, "kind"), "sigmoid", "flatten before the first dense layer"),
        (("layers", 2), {"kind": "flatten", "name": "f"}, "behind flatten. Received: conv"),
        (("layers", 2), {"kind": "rescaling", "name": "r"}, "rescaling as the first layer only"),
        (("layers", 0), {"kind": "rescaling", "name": "r", "scale": 10**400}, "a finite scale"),
    ],
)
def test_damaged_files_are_refused(path, value, message, tmp_path):
    save_network(LeNet(), tmp_path / "mine.json")
    file = json.loads((tmp_path / "mine.json").read_text("utf-8"))
    file = set_in(file, *path, value=value) if path else value
    (tmp_path / "mine.json").write_text(json.dumps(file), encoding="utf-8")
    with pytest.raises(ValueError, match=message) as error:
        load_network(tmp_path / "mine.json")
    assert "Write the file with cnn_tf.save_network(model, path)." in str(error.value)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"PK\x03\x04", b"[" * 100_000])
def test_what_is_no_json_is_refused(content, tmp_path):
    (tmp_path / "mine.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"a JSON file.*mine\.json.*Write the file"):
        load_network(tmp_path / "mine.json")


# --- Training -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data():
    return cnn_tf.FashionMNIST()


@pytest.fixture(scope="module")
def training(data):
    return explore("training", data=data, record=read_record("ladder"), activation="relu", seed=3)


def test_training_brings_its_pictures_in_an_archive(training, data):
    head, _, content = gzip.decompress(training.archive).partition(b"\n")
    counts = json.loads(head)
    assert counts == training.data["pictures"]
    assert counts["train"] == min(6400, len(data.train.labels))
    assert counts["validation"] == min(2000, len(data.validation.labels))
    for name, count in counts.items():
        images, labels = getattr(data, name)
        pixels, content = content[: count * 784], content[count * 784 :]
        kept, content = content[:count], content[count:]
        sent = np.frombuffer(pixels, "uint8").reshape(count, 28, 28, 1)
        assert np.abs(sent / 255 - images[:count]).max() < 1e-6
        assert list(kept) == labels[:count].tolist()
    assert content == b""
    assert training.data["bytes"] == len(training.archive) < 4e6
    assert explore("training", data=data).archive == training.archive


def test_a_notebook_gets_the_archive_and_the_modules_of_the_worker(training):
    html = training._repr_html_()
    packed = re.search(r'<script type="application/gzip;base64">([^<]*)</script>', html)[1]
    assert base64.b64decode(packed) == training.archive
    assert html.count("</script>") == html.count("<script")
    sources = json.loads(re.search(r"const sources = (\{.*\});", html)[1])
    kept = json.loads(re.search(r"const kept = (\[.*\]);", html)[1])
    assert kept[-1] == "training-worker.js"
    for number, name in enumerate(kept):
        assert set(re.findall(r'from "\./(.+?)"', sources[name])) <= set(kept[:number])
    # Of an explorer without a worker nothing needs to be kept.
    assert "const kept = [];" in explore("padding")._repr_html_()


def test_presets_are_the_recipes_of_the_ladder():
    ladder = EXPERIMENTS["ladder"].recipes
    presets = dict(CHOICES["presets"])
    assert recipe_of(**CHOICES["classic"] | presets.pop("classic, batch 32")) == replace(
        ladder["classic"], batch_size=32
    )
    assert list(presets) == list(ladder)
    for name, changes in presets.items():
        choices = CHOICES["classic"] | changes
        assert recipe_of(**choices) == ladder[name], name
        assert choices_of(ladder[name]) == choices, name


def test_each_choice_makes_the_recipe_that_it_names():
    choices = {"activation": "tanh", "weights": "he", "pooling": "max", "normalisation": "batch"}
    choices |= {"optimiser": "momentum", "schedule": "cosine", "input": "standardised"}
    recipe = recipe_of(**choices, rate=0.02, batch=16)
    arguments = {"activation": "tanh", "kernel_initializer": "he_uniform", "pooling": "max"}
    assert recipe == Recipe(
        arguments=arguments | {"batch_normalization": True},
        settings={"learning_rate": 0.02, "momentum": 0.9},
        cosine=True,
        standardize=True,
        batch_size=16,
    )
    assert choices_of(recipe) == choices | {"rate": 0.02, "batch": 16}
    kernel_initializer = recipe.build().get_layer("conv1").kernel_initializer
    assert isinstance(kernel_initializer, keras.initializers.HeUniform)
    for other in (Recipe("MLP"), Recipe(warm_up=1), Recipe(epochs=2), Recipe(permute=True)):
        assert choices_of(other) is None


def test_the_recorded_curves_are_the_means_of_the_record(training):
    ladder = read_record("ladder")
    recorded = {json.dumps(it["choices"], sort_keys=True): it for it in training.data["recorded"]}
    assert len(recorded) == len(ladder.recipes)
    for name, recipe in ladder.recipes.items():
        found = recorded[json.dumps(choices_of(recipe), sort_keys=True)]
        assert found["epoch"] == 391
        for metric, curve in (("loss", "loss"), ("val_accuracy", "accuracy")):
            mean = ladder.curves(name, metric).mean(axis=0)
            assert np.allclose(found[curve], mean, atol=6e-5)


def test_the_figure_shows_recorded_trainings_or_else_pictures(training, data):
    classic = read_record("ladder").values("classic").mean()
    assert f"classic: {100 * classic:.0f} %" in training.figure.alt
    assert "Ten pictures, one of each class" in explore("training", data=data).figure.alt
    assert training.settings["activation"] == "relu"
    assert (training.settings["weights"], training.settings["seed"]) == ("glorot", 3)


def test_a_record_that_is_none_is_refused(data):
    with pytest.raises(TypeError, match=r'such as cnn_tf.recipes.read_record\("ladder"\)'):
        explore("training", data=data, record="ladder")
