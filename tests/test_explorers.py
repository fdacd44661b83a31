"""The explorers in Python: what they accept, and what a browser gets from them."""

import base64
import json
import re
from pathlib import Path

import keras
import numpy as np
import pytest

import cnn_tf
from cnn_tf import LeNet, explore, save_network
from cnn_tf.explorers._figures import EXPLORERS

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
        for name in re.findall(r'from "\./(.+?)"', path.read_text("utf-8"))
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
