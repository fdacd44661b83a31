"""LeNet as the explorer "training" trains it in the browser, held against Keras."""

import base64
import itertools
import json
import math
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from cnn_tf import FashionMNIST, LeNet, load_network, save_network
from cnn_tf.receptive_field import receptive_field
from cnn_tf.recipes import centred_sigmoid

TESTS = Path(__file__).parent
ACTIVATIONS = {
    "sigmoid": "sigmoid",
    "centred_sigmoid": centred_sigmoid,
    "tanh": "tanh",
    "relu": "relu",
}
NETWORKS = list(itertools.product(ACTIVATIONS, ("avg", "max"), ("none", "batch")))
LAYERS = ("conv1", "conv2", "dense1", "dense2", "logits")
TRACED = {  # each of the pooling and the normalisation, and input that is standardised
    "mean": {"activation": "tanh"},
    "maximum": {"pooling": "max"},
    "batch": {"activation": "relu", "normalisation": "batch"},
    "maximum, batch": {"activation": "tanh", "pooling": "max", "normalisation": "batch"},
    "standardised": {"activation": "centred_sigmoid", "pooling": "max", "input": "standardised"},
}
TRACES = [*((name, False) for name in TRACED), ("maximum, batch", True)]  # and once plain
WINDOWED = ("conv1", "pool1", "conv2", "pool2")
STEPS = 50
FEW = 8  # pictures whose gradients are compared
CLASSIC = {"activation": "sigmoid", "pooling": "avg", "normalisation": "none", "batch": 16}
TRAINED = {  # each optimiser, and each other choice, at least once
    "sgd": {"weights": "times_four", "rate": 0.1},
    "momentum": {"activation": "tanh", "optimiser": "momentum", "rate": 0.02},
    "adam": {"activation": "centred_sigmoid", "pooling": "max", "optimiser": "adam", "rate": 0.001},
    "standardised": {"activation": "tanh", "input": "standardised", "rate": 0.05},
    "batch": {"activation": "relu", "weights": "he", "normalisation": "batch", "rate": 0.02},
    "cosine": {"activation": "relu", "schedule": "cosine", "rate": 0.9},
}
FROM = {"cosine": 3800}  # near the end, where the rate is small


def run(driver, asked, folder):
    """What a driver in JavaScript answers."""
    path = folder / "asked.json"
    path.write_text(json.dumps(asked), encoding="utf-8")
    deno = Path(sys.executable).with_name("deno")
    command = [
        deno,
        "run",
        "--quiet",
        f"--allow-read={TESTS.parent},{folder}",
        TESTS / driver,
        path,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def packed(array):
    return base64.b64encode(np.asarray(array, "<f4").tobytes()).decode()


def unpacked(text):
    return np.frombuffer(base64.b64decode(text), "<f4")


@cache
def data():
    """Few pictures, as bytes: 320 to train on, whose last minibatch of 24 is a smaller one."""
    fashion = FashionMNIST()
    parts = {"train": (fashion.train, 320), "validation": (fashion.validation, 100)}
    return {
        name: (np.round(255 * part.images[:n]).astype("uint8"), part.labels[:n].astype("uint8"))
        for name, (part, n) in parts.items()
    }


def sent():
    return {
        name: {"pictures": base64.b64encode(pictures.tobytes()).decode(), "labels": labels.tolist()}
        for name, (pictures, labels) in data().items()
    }


def pictures(name="train", standardised=False):
    images = data()[name][0].astype("float32") / 255
    if standardised:
        every = data()["train"][0].astype("float64") / 255
        images = (images - np.float32(every.mean())) / np.float32(every.std())
    return images


def labels(name="train"):
    return data()[name][1].astype("int64")


def build(choices, seed=0):
    """The same network in Keras, with weights of its own."""
    keras.utils.set_random_seed(seed)
    wide = {
        "class_name": "VarianceScaling",
        "config": {"scale": 16.0, "mode": "fan_avg", "distribution": "uniform"},
    }
    rules = {"times_four": wide, "he": "he_uniform"}
    model = LeNet(
        activation=ACTIVATIONS[choices["activation"]],
        pooling=choices["pooling"],
        kernel_initializer=rules.get(choices.get("weights"), "glorot_uniform"),
        batch_normalization=choices["normalisation"] == "batch",
        dtype="float64",  # so that all rounding is the browser's
    )
    rng = np.random.default_rng(seed)
    for layer in model.layers:  # not zeros and ones, of which every arrangement is the same
        if "norm" in layer.name:
            for variable in layer.weights:
                variable.assign(rng.uniform(0.5, 1.5, variable.shape))
        elif getattr(layer, "bias", None) is not None:
            layer.bias.assign(rng.uniform(-0.1, 0.1, layer.bias.shape))
        layer.set_weights([it.astype("float32") for it in layer.get_weights()])
    return model


def named(model):
    return {f"{layer.name}/{it.name}": it for layer in model.layers for it in layer.weights}


@cache
def suitable(network):
    """A seed whose weights keep the first pictures away from the kinks.

    Where the sum of a ReLU is as small as rounding, or the largest number of a window as little
    ahead of the next, the rounding decides where a gradient goes.
    """
    least = 2e-6 if "relu" in network else 4e-7
    return next(seed for seed in range(100) if margin(network, seed) > least)


def margin(network, seed):
    """The least distance of a number from where its derivative jumps."""
    model, x = build(choices_of(network), seed), pictures()[:FEW]
    least = np.inf
    for layer in model.layers:
        function = getattr(layer, "activation", keras.activations.linear)
        if isinstance(layer, keras.layers.Activation):
            sums = x
        else:
            layer.activation = keras.activations.linear
            sums = layer(x, training=True) if "norm" in layer.name else layer(x)
        if function is keras.activations.relu:
            least = min(least, np.abs(sums).min())
        if network[1] == "max" and layer.name == "pool2":  # one of pool1's many counts for little
            n, h, w, c = x.shape
            windows = np.reshape(x, (n, h // 2, 2, w // 2, 2, c)).transpose(0, 1, 3, 5, 2, 4)
            second, first = np.sort(windows.reshape(-1, 4), axis=1)[:, 2:].T
            ahead = first - second
            least = min(least, ahead[ahead > 2e-7].min())  # equal windows are equal numbers
        x = np.asarray(function(sums))
    return least


def weights_of(model):
    return {name: packed(variable) for name, variable in named(model).items()}


cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def gradients_of(model, images, classes):
    with tf.GradientTape() as tape:
        loss = cross_entropy(classes, model(images, training=True))
    variables = {name: it for name, it in named(model).items() if it.trainable}
    found = tape.gradient(loss, [it.value for it in variables.values()])
    return float(loss), dict(zip(variables, map(np.asarray, found), strict=True))


@cache
def first_gradients(network):
    """Those of the first pictures, which are the only ones of some trainees."""
    model = build(choices_of(network), suitable(network))
    return gradients_of(model, pictures()[:FEW], labels()[:FEW])


def apart(found, expected):
    """How far numbers are from others, in proportion to those."""
    expected = np.asarray(expected, "float64").ravel()
    return np.linalg.norm(np.ravel(found) - expected) / np.linalg.norm(expected)


def choices_of(network):
    return {
        **CLASSIC,
        **dict(zip(("activation", "pooling", "normalisation"), network, strict=True)),
    }


HOSTILE = {
    "nothing": ({}, r"TypeError: Expected a network, \{\"layers\""),
    "of another kind": ({"layers": [{"kind": "lstm"}]}, "TypeError: Layer 1: expected kind"),
    "dense": (
        {
            "layers": [
                {"kind": "flatten", "name": "flatten"},
                {
                    "kind": "dense",
                    "name": "dense",
                    "kernel": {
                        "dtype": "float32",
                        "shape": [784, 10],
                        "base64": packed([0] * 7840),
                    },
                    "bias": {"dtype": "float32", "shape": [10], "base64": packed([0] * 10)},
                },
            ]
        },
        "TypeError: Expected the layers of LeNet: 7 with weights or windows. Received: 1",
    ),
}
REFUSED = {
    "activation": ({"activation": "gelu"}, "RangeError: Expected activation to be one of sigmoid,"),
    "no rate": ({"rate": None}, "TypeError: Expected rate to be a number from"),
    "rate of zero": ({"rate": 0}, "RangeError: Expected rate to be a number from .*Received: 0"),
    "batch": ({"batch": 2.5}, "RangeError: Expected batch to be an integer from 1 to 256"),
    "seed": ({"seed": "1"}, 'TypeError: Expected seed to be an integer.*Received: "1"'),
    "unknown": ({"epochs": 1}, "RangeError: Expected the choices activation,.*Received: epochs"),
}
SIZES = [(8, 8, 3), (7, 6, 25), (5, 10, 4), (1, 2, 1), (9, 4, 16), (4, 14, 2)]


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """All that is asked of one process, by name."""
    folder = tmp_path_factory.mktemp("trainee")
    cases = {}
    for network in NETWORKS:
        choices = choices_of(network)
        case = {"choices": choices, "weights": weights_of(build(choices, suitable(network)))}
        for plain in (False, True):
            found = {"action": "gradients", **case, "plain": plain, "few": FEW}
            cases["gradients", network, plain] = found
        cases["seen", network] = {"action": "seen", **case}
        standardised = {**choices, "input": "standardised", "optimiser": "adam", "rate": 0.001}
        cases["file", network] = {"action": "file", "choices": standardised, "steps": 5}
    for name, changes in TRAINED.items():
        choices = {**CLASSIC, "batch": 32, **changes}
        case = {"action": "losses", "choices": choices, "weights": weights_of(build(choices))}
        cases["losses", name] = {**case, "steps": STEPS, "from": FROM.get(name, 0)}
    for name, plain in TRACES:
        choices = {**CLASSIC, **TRACED[name]}
        case = {"choices": choices, "weights": weights_of(build(choices)), "plain": plain}
        cases["fields", name, plain] = {"action": "fields", "layers": WINDOWED, **case}
    cases["tracing"] = {"action": "tracing", "layer": "dense1"}
    large = {**choices_of(("relu", "max", "none")), "batch": 100}  # more than one slice
    large_weights = weights_of(build(large))
    cases["large"] = {"action": "gradients", "choices": large, "weights": large_weights}
    interrupted = {"choices": {"normalisation": "batch", "batch": 24, "optimiser": "adam"}}
    for yes in (False, True):
        case = {"action": "losses", **interrupted, "steps": 5, "interrupted": yes}
        cases["interrupted", yes] = case
    cases["epochs"] = {"action": "losses", "choices": {"batch": 24}, "steps": 28}
    for rule, seed in itertools.product(("glorot", "times_four", "he"), (0, 1)):
        choices = {"weights": rule, "seed": seed}
        cases["weights", rule, seed] = {"action": "weights", "choices": choices}
    cases["again"] = {"action": "weights", "choices": {"seed": 0}}
    cases["kernels"] = {"action": "kernels", "choices": {}}
    for name, (file, _) in HOSTILE.items():
        cases["opening", name] = {"action": "opening", "file": file}
    for name, (choices, _) in REFUSED.items():
        cases["choosing", name] = {"action": "choosing", "choices": choices}
    cases["giving"] = {"action": "giving", "train": {"pictures": [], "labels": []}}
    cases["setting"] = {"action": "setting", "weights": {"conv3/kernel": []}}
    cases["lost"] = {
        "action": "lost",
        "choices": {"activation": "relu", "input": "standardised", "rate": 1000, "batch": 8},
    }
    steps = [0, 1, 391, 1955, 3909, 3910, 5000]
    cases["schedule"] = {"action": "schedule", "name": "cosine", "steps": steps}
    for seed, stream in ((0, 1), (0, 1), (0, 2), (1, 1)):
        case = {"action": "permutation", "seed": seed, "stream": stream, "n": 1000}
        cases.setdefault(("permutation", seed, stream), case)
    rng = np.random.default_rng(0)
    for (m, n, k), transposed, plain in itertools.product(SIZES, (False, True), (False, True)):
        arrays = {
            name: packed(rng.normal(size=size))
            for name, size in (("A", m * k), ("B", k * n), ("C", m * n))
        }
        case = {"action": "product", "m": m, "n": n, "k": k, **arrays}
        cases["product", (m, n, k), transposed, plain] = case | {
            "transposed": transposed,
            "plain": plain,
        }
    model = build(choices_of(("tanh", "max", "batch")))
    save_network(model, folder / "mine.json")
    file = json.loads((folder / "mine.json").read_text("utf-8"))
    cases["open"] = {"action": "open", "file": file, "choices": {"batch": 16}}
    wrong = json.loads(json.dumps(file))
    wrong["layers"][1]["kind"] = "relu"  # behind conv1
    cases["opening", "mixed"] = {"action": "opening", "file": wrong}
    results = run("trainee.js", {**sent(), "cases": list(cases.values())}, folder)
    return {name: (cases[name], it) for name, it in zip(cases, results, strict=True)}


# --- Gradients and steps --------------------------------------------------------------------------


@pytest.mark.parametrize("plain", [False, True], ids=["WebAssembly", "JavaScript"])
@pytest.mark.parametrize("network", NETWORKS, ids="-".join)
def test_gradients_are_those_of_keras(answers, network, plain):
    _, found = answers["gradients", network, plain]
    loss, expected = first_gradients(network)
    assert math.isclose(found["loss"], loss, rel_tol=1e-5)
    assert list(found["gradients"]) == list(expected)
    for name, gradient in expected.items():
        assert apart(unpacked(found["gradients"][name]), gradient) < 1e-4, name


def test_a_large_minibatch_is_taken_in_slices(answers):
    case, found = answers["large"]
    assert len(set(found["batch"])) == 100
    loss, expected = gradients_of(
        build(case["choices"]), pictures()[found["batch"]], labels()[found["batch"]]
    )
    assert math.isclose(found["loss"], loss, rel_tol=1e-5)
    for name, gradient in expected.items():
        assert apart(unpacked(found["gradients"][name]), gradient) < 1e-4, name


@pytest.mark.parametrize("name", TRAINED)
def test_a_training_is_that_of_keras(answers, name):
    case, found = answers["losses", name]
    choices = case["choices"]
    model = build(choices)
    rate = choices["rate"]
    if "schedule" in choices:
        rate = keras.optimizers.schedules.CosineDecay(rate, 3910)
    settings = {"momentum": 0.9} if choices.get("optimiser") == "momentum" else {}
    make = keras.optimizers.Adam if choices.get("optimiser") == "adam" else keras.optimizers.SGD
    optimizer = make(rate, **settings)
    optimizer.build(model.trainable_variables)
    optimizer.iterations.assign(case["from"])
    images = pictures(standardised=choices.get("input") == "standardised")

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            loss = cross_entropy(y, model(x, training=True))
        variables = [it.value for it in model.trainable_variables]
        optimizer.apply(tape.gradient(loss, variables), model.trainable_variables)
        return loss

    losses = [float(step(images[it["batch"]], labels()[it["batch"]])) for it in found["steps"]]
    assert np.allclose([it["loss"] for it in found["steps"]], losses, rtol=1e-3, atol=0)
    for name, variable in named(model).items():  # running statistics, too
        end = unpacked(found["weights"][name])
        moved = np.linalg.norm(end - unpacked(case["weights"][name]))
        assert moved > 0
        assert np.linalg.norm(end - np.ravel(variable)) < 0.02 * moved, name


def test_each_epoch_takes_every_picture_once_and_in_another_order(answers):
    _, found = answers["epochs"]
    orders = [
        list(itertools.chain(*(it["batch"] for it in epoch)))
        for epoch in (found["steps"][:14], found["steps"][14:28])
    ]
    assert [len(it["batch"]) for it in found["steps"][:14]] == [24] * 13 + [8]
    assert [sorted(order) for order in orders] == [list(range(320))] * 2
    assert orders[0] != orders[1]


def test_looking_and_resting_change_nothing(answers):
    assert answers["interrupted", True][1] == answers["interrupted", False][1]


def test_the_cosine_is_that_of_keras(answers):
    case, found = answers["schedule"]
    decay = keras.optimizers.schedules.CosineDecay(1.0, 3910)
    assert np.allclose(found, [float(decay(step)) for step in case["steps"]], atol=1e-6)
    assert found[0] == 1
    assert found[-2:] == [0, 0]


# --- Looking --------------------------------------------------------------------------------------


@pytest.mark.parametrize("network", NETWORKS, ids="-".join)
def test_what_is_seen_is_what_keras_sees(answers, network):
    case, found = answers["seen", network]
    model = build(case["choices"], suitable(network))
    logits = np.asarray(model(pictures("validation"), training=False))
    truth = labels("validation")
    assert math.isclose(
        found["evaluated"]["loss"], float(cross_entropy(truth, logits)), rel_tol=1e-5
    )
    best = np.sort(logits, axis=1)
    close = int((best[:, -1] - best[:, -2] < 1e-5).sum())  # rounding may decide these
    assert abs(found["evaluated"]["right"] - int((logits.argmax(axis=1) == truth).sum())) <= close
    probabilities = np.asarray(keras.ops.softmax(logits[1]))
    assert np.allclose(found["probabilities"], probabilities, atol=1e-6)
    assert np.allclose(found["again"], probabilities, atol=1e-6)
    assert found["after"] == case["weights"]  # neither a look nor a rest has changed them


@pytest.mark.parametrize("network", NETWORKS, ids="-".join)
def test_the_three_measures_are_those_of_the_page(answers, network):
    case, found = answers["seen", network]
    measured = found["measured"]
    model = build(case["choices"], suitable(network))
    images, classes = pictures()[:300], labels()[:300]
    loss, gradients = gradients_of(model, images, classes)
    assert math.isclose(measured["loss"], loss, rel_tol=1e-5)
    lengths = [np.linalg.norm(gradients[f"{name}/kernel"]) for name in LAYERS]
    assert np.allclose(measured["length"], lengths, rtol=1e-3)
    after = "_activation" if case["choices"]["normalisation"] == "batch" else ""
    names = [*(f"{name}{after}" for name in LAYERS[:-1]), "logits"]
    inside = keras.Model(model.inputs[0], [model.get_layer(name).output for name in names])
    outputs = [np.asarray(it, "float64") for it in inside(images, training=True)]
    variation = [it.std(axis=0).mean() for it in outputs]
    assert np.allclose(measured["variation"], variation, rtol=1e-3)
    slopes = {
        "sigmoid": lambda y: y * (1 - y),
        "centred_sigmoid": lambda y: (0.5 + y) * (0.5 - y),
        "tanh": lambda y: 1 - y**2,
        "relu": lambda y: y > 0,
    }
    slope = [slopes[case["choices"]["activation"]](it).mean() for it in outputs[:-1]]
    assert np.allclose(measured["slope"], slope, rtol=1e-3)


@pytest.mark.parametrize(("name", "plain"), TRACES)
def test_what_an_output_sees_is_what_keras_sees(answers, name, plain):
    case, found = answers["fields", name, plain]
    choices = case["choices"]
    model = build(choices)
    standardised = choices.get("input") == "standardised"
    x = tf.constant(pictures("validation", standardised), "float64")
    deviation = (data()["train"][0].astype("float64") / 255).std() if standardised else 1
    for layer, traced in zip(WINDOWED, found["fields"], strict=True):
        behind = "_activation" if choices["normalisation"] == "batch" and "conv" in layer else ""
        layers = model.layers[: 1 + model.layers.index(model.get_layer(layer + behind))]
        gradients = seen_by_the_middle(layers, x, traced["place"])
        field = unpacked(traced["field"]).reshape(28, 28)
        assert apart(field, np.abs(gradients).mean(axis=(0, 1)) / deviation) < 1e-4, layer
        rows, columns = receptive_field(layers).window(traced["place"], traced["place"])
        assert (traced["from"], traced["side"]) == (rows.start, len(rows))
        assert rows == columns
        inside = np.zeros((28, 28), bool)
        inside[np.ix_(rows, columns)] = True
        assert not field[~inside].any()
        assert field[inside].all()
    assert found["again"] == found["fields"][-1]["field"]
    assert found["after"] == case["weights"]


def seen_by_the_middle(layers, x, place):
    """The derivatives of the output in the middle by each pixel, (channels, pictures, 28, 28)."""
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = x
        for layer in layers:
            y = layer(y)  # with the running statistics
        assert place == y.shape[1] // 2 == y.shape[2] // 2
        outputs = [tf.reduce_sum(y[:, place, place, c]) for c in range(y.shape[-1])]
    return np.stack([tape.gradient(output, x) for output in outputs])[..., 0]


def test_an_output_without_a_place_is_refused(answers):
    message = "RangeError: Expected a layer among conv1, pool1, conv2, pool2. Received: dense1."
    assert answers["tracing"][1] == message


# --- First weights and random numbers -------------------------------------------------------------


@pytest.mark.parametrize("rule", ["glorot", "times_four", "he"])
def test_first_weights_follow_their_rule(answers, rule):
    weights = answers["weights", rule, 0][1]
    for name, variable in named(LeNet()).items():
        found = unpacked(weights[name])
        if "bias" in name:
            assert not found.any()
            continue
        window = math.prod(variable.shape[:-2])
        n, m = (window * count for count in variable.shape[-2:])
        limit = math.sqrt(6 / n if rule == "he" else 6 / (n + m)) * (
            4 if rule == "times_four" else 1
        )
        assert abs(found).max() <= np.float32(limit)
        count = len(found)
        assert abs(found.mean()) < 5 * limit / math.sqrt(3 * count)
        # The variance of a uniform number's square is 4/45 of the fourth power of its limit.
        spread = 5 * math.sqrt(4 / 45 / count) * limit**2
        assert abs((found**2).mean() - limit**2 / 3) < spread


def test_a_seed_decides_the_first_weights(answers):
    zero, one = (answers["weights", "glorot", seed][1] for seed in (0, 1))
    assert answers["again"][1] == zero
    assert all(zero[f"{name}/kernel"] != one[f"{name}/kernel"] for name in LAYERS)
    assert answers["kernels"][1] == zero["conv1/kernel"]


def test_permutations_depend_on_the_seed_and_on_the_epoch(answers):
    orders = [answers["permutation", *which][1] for which in ((0, 1), (0, 2), (1, 1))]
    for order in orders:
        assert sorted(order) == list(range(1000))
    # Two random orders agree in one place on average.
    for one, other in itertools.combinations([*orders, list(range(1000))], 2):
        assert sum(a == b for a, b in zip(one, other, strict=True)) < 20


# --- Files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("network", NETWORKS, ids="-".join)
def test_a_trained_network_can_be_taken_away(answers, network, tmp_path):
    case, found = answers["file", network]
    (tmp_path / "mine.json").write_text(json.dumps(found["file"]), encoding="utf-8")
    model = load_network(tmp_path / "mine.json")
    assert model.layers[0].name == "rescaling"
    assert tuple(model.get_layer("conv1").kernel.shape) == (5, 5, 1, 6)
    logits = np.asarray(model(pictures("validation")))
    assert np.allclose(found["logits"], logits[0], atol=1e-5)
    loss = float(cross_entropy(labels("validation"), logits))
    assert math.isclose(found["evaluated"]["loss"], loss, rel_tol=1e-4)
    probabilities = np.asarray(keras.ops.softmax(logits[0]))
    assert np.allclose(found["probabilities"], probabilities, atol=1e-5)
    # Opened again it is the same, apart from the normalisation, which is in its weights.
    kept = {**case["choices"], "normalisation": "none"}
    assert kept.items() <= found["choices"].items()
    assert math.isclose(found["opened"]["loss"], found["evaluated"]["loss"], rel_tol=1e-4)


def test_a_network_of_keras_can_be_opened(answers):
    _, found = answers["open"]
    assert found["choices"] | {"activation": "tanh", "pooling": "max"} == found["choices"]
    assert found["choices"] | {"normalisation": "none", "input": "plain"} == found["choices"]
    model = build(choices_of(("tanh", "max", "batch")))
    logits = model(pictures("validation"), training=False)
    loss = float(cross_entropy(labels("validation"), logits))
    assert math.isclose(found["evaluated"]["loss"], loss, rel_tol=1e-4)
    assert math.isfinite(found["loss"])


@pytest.mark.parametrize("name", HOSTILE)
def test_other_files_are_refused(answers, name):
    assert re.search(HOSTILE[name][1], answers["opening", name][1])


def test_activations_that_differ_are_refused(answers):
    message = answers["opening", "mixed"][1]
    assert re.search("conv2 with the activation relu. Received: tanh. Open a file that", message)


# --- What is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", REFUSED)
def test_choices_that_do_not_exist_are_refused(answers, name):
    assert re.search(REFUSED[name][1], answers["choosing", name][1])


def test_other_data_are_refused(answers):
    assert answers["giving"][1].startswith("TypeError: Expected train pictures, 784 bytes each")
    assert re.search("Expected one of conv1/kernel,.*Received: conv3", answers["setting"][1])


def test_a_lost_training_keeps_its_last_weights(answers):
    _, found = answers["lost"]
    assert found["step"] > 0
    assert found["same"]


# --- The product ----------------------------------------------------------------------------------


@pytest.mark.parametrize("plain", [False, True], ids=["WebAssembly", "JavaScript"])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_product_is_that_of_numpy(answers, size, transposed, plain):
    (m, n, k) = size
    case, found = answers["product", size, transposed, plain]
    A = unpacked(case["A"]).reshape((k, m) if transposed else (m, k)).astype("float64")
    B, C = unpacked(case["B"]).reshape(k, n), unpacked(case["C"]).reshape(m, n)
    expected = C + (A.T if transposed else A) @ B
    assert np.allclose(unpacked(found["result"]).reshape(m, n), expected, atol=1e-5)
    assert found["used"] is not plain  # WebAssembly is what Deno has


# --- The worker -----------------------------------------------------------------------------------

CHOICES = {"activation": "relu", "batch": 8, "seed": 3}
START = [{"type": "watch", "picture": 2}, {"type": "start", "id": 1, "choices": CHOICES}]
RUN, STEP, PAUSE = {"type": "run", "id": 1}, {"type": "step", "id": 1}, {"type": "pause"}
PAUSED = {"wait": "paused"}
CONVERSATIONS = {
    "at once": [*START, RUN, {"wait": "progress", "step": 60}, PAUSE, PAUSED],
    "with pauses": [
        *START,
        *(STEP, PAUSED) * 3,
        *(RUN, {"wait": "progress", "step": 8}, PAUSE, PAUSED),
        {"type": "start", "id": 2, "choices": CHOICES},
        *({"type": "step", "id": 2}, PAUSED),
        *(RUN, {"wait": "progress", "step": 12}, {"type": "watch", "picture": 3}),
        *({"type": "start", "id": 3, "choices": CHOICES}, {"type": "file", "id": 1}),
        *({"wait": "progress", "step": 60}, PAUSE, PAUSED),
    ],
    "dropped": [
        *START,
        *(RUN, {"wait": "progress", "step": 1}, {"type": "drop", "id": 1}, PAUSED),
        *(RUN, {"wait": "error"}),
    ],
    "traced": [
        *(*START, {"type": "field", "id": 1, "layer": "conv2"}, {"wait": "field"}),
        *(STEP, PAUSED, {"wait": "field", "step": 1}),
        *(RUN, {"wait": "field", "step": 2}, {"type": "field", "id": 1, "layer": "pool1"}),
        *({"wait": "field", "step": 2}, PAUSE, PAUSED, {"wait": "field", "step": 2}),
        *({"type": "field", "id": 1, "layer": "dense1"}, {"wait": "error"}),
    ],
    "lost": [
        {
            "type": "start",
            "id": 1,
            "choices": {"activation": "relu", "input": "standardised", "rate": 1000, "batch": 8},
        },
        *(RUN, {"wait": "error"}, {"type": "file", "id": 1}, {"wait": "file"}),
    ],
    "refused": [
        *({"type": "start", "id": 1, "choices": {"optimiser": "sgdd"}}, {"wait": "error"}),
        *({"type": "open", "id": 2, "file": {}, "choices": {}}, {"wait": "error"}),
        *({"type": "step", "id": 3}, {"wait": "error"}),
        *({"type": "stop"}, {"wait": "error"}),
    ],
}


@pytest.fixture(scope="module")
def heard(tmp_path_factory):
    """What the worker says in each conversation."""
    asked = {**sent(), "conversations": list(CONVERSATIONS.values())}
    found = run("trainee-worker.js", asked, tmp_path_factory.mktemp("worker"))
    return dict(zip(CONVERSATIONS, found, strict=True))


def told(messages, run, key):
    """All that the messages of a run hold under a key."""
    return [it[key] for it in messages if it.get("id") == run and key in it]


def test_pauses_do_not_change_a_training(heard):
    one, other = (
        list(itertools.chain(*told(heard[name], 1, "losses")))
        for name in ("at once", "with pauses")
    )
    assert min(len(one), len(other)) >= 60
    assert one[:60] == other[:60]
    for key in ("measures", "validation"):
        one, other = (
            [it for it in told(heard[name], 1, key) if it["step"] <= 50]
            for name in ("at once", "with pauses")
        )
        assert one == other


def test_measures_and_validations_come_when_they_should(heard):
    for name in ("at once", "with pauses"):
        measured = [it["step"] for it in told(heard[name], 1, "measures")]
        assert measured[:4] == [0, 10, 20, 40]
        assert len(set(measured)) == len(measured)
        validated = told(heard[name], 1, "validation")
        assert [it["step"] for it in validated[:2]] == [0, 50]
        assert all(0 <= it["accuracy"] <= 1 and it["loss"] > 0 for it in validated)
    first = told(heard["at once"], 1, "measures")[0]
    assert [len(first[key]) for key in ("length", "variation", "slope")] == [5, 5, 4]


def test_the_worker_tells_of_a_run_at_once_and_after_each_step(heard):
    messages = heard["with pauses"]
    assert messages[0]["type"] == "progress"
    assert CHOICES.items() <= messages[0]["choices"].items()
    for position, message in enumerate(messages):
        if message["type"] != "paused":
            continue
        before = messages[position - 1]
        assert len(before["kernels"]) == 150
        assert math.isclose(sum(before["probabilities"]), 1, abs_tol=1e-5)
    (file,) = told(messages, 1, "file")
    assert [layer["name"] for layer in file["layers"]][:2] == ["conv1", "conv1"]
    first = [next(filter(len, told(messages, run, "losses"))) for run in (1, 2)]
    assert first[0][0] == first[1][0]


def test_the_worker_does_not_talk_too_much(heard):
    for messages in heard.values():
        brief = [it for it in messages if it["type"] == "progress" and "kernels" not in it]
        # Those with measures come as they are found; the others at most ten times a second.
        times = [it["at"] for it in brief if not {"measures", "validation"} & set(it)]
        assert all(later - earlier > 50 for earlier, later in itertools.pairwise(times))


def test_the_worker_tells_what_an_output_sees(heard):
    *messages, error = heard["traced"]
    fields = [it for it in messages if it["type"] == "field"]
    assert [it["layer"] for it in fields if it["step"] == 0] == [*WINDOWED, "conv2"]
    assert [it["layer"] for it in fields if it["step"] == 1] == ["conv2"]
    assert fields[2]["field"] == fields[4]["field"] != fields[5]["field"]
    later = [it["layer"] for it in fields[6:]]
    assert later == sorted(later)  # conv2 until pool1 was asked for
    assert set(later) == {"conv2", "pool1"}
    assert (fields[-1]["place"], fields[-1]["from"], fields[-1]["side"]) == (7, 12, 6)
    assert error["message"].startswith("Expected a layer among conv1, pool1, conv2, pool2.")


def test_a_dropped_run_is_gone(heard):
    *_, paused, error = heard["dropped"]
    assert paused["type"] == "paused"
    assert error["message"] == "There is no run 1. Start or open it first."


def test_a_lost_run_says_what_to_do(heard):
    *_, error, file = heard["lost"]
    assert re.fullmatch(
        r"The loss is no longer a number at step \d+\. The weights before it are kept\. "
        r"Start again with a smaller learning rate than 1000\.",
        error["message"],
    )
    kernel = unpacked(file["file"]["layers"][1]["kernel"]["base64"])
    assert np.isfinite(kernel).all()


def test_the_worker_says_what_it_does_not_understand(heard):
    messages = [it["message"] for it in heard["refused"]]
    assert re.search("optimiser to be one of sgd, momentum, adam. Received: sgdd", messages[0])
    assert re.search("Expected a network", messages[1])
    assert messages[2] == "There is no run 3. Start or open it first."
    assert re.search("a message of type data, start, .* Received: stop", messages[3])
