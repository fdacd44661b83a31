"""Recipes, and the records of what came of them."""

import json
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from cnn_tf.recipes import (
    Recipe,
    Record,
    centred_sigmoid,
    read_record,
    small_resnet_recipe,
    stack,
    train,
)
from tests.back_end import assert_close, assert_equal, numbers


@pytest.fixture
def data(rng):
    def part(n):
        return rng.random((n, 28, 28, 1), "float32"), np.arange(n) % 10

    return SimpleNamespace(train=part(40), validation=part(20), test=part(10))


# --- Recipes --------------------------------------------------------------------------------------


def test_the_default_is_the_classic_recipe():
    recipe = Recipe()
    assert recipe.declared() == {}
    assert recipe.build().count_params() == 61_706
    optimizer = recipe.build_optimizer(50_000)
    assert type(optimizer).__name__ == "SGD"
    assert float(optimizer.learning_rate) == pytest.approx(0.1)


def test_what_is_declared_is_read_back():
    recipe = Recipe(
        "MLP", {"units": (3,)}, "Adam", {"learning_rate": 0.5}, cosine=True, standardize=True
    )
    declared = json.loads(json.dumps(recipe.declared()))
    assert declared["arguments"] == {"units": [3]}
    again = Recipe.from_declared(declared)
    assert again.declared() == recipe.declared()
    assert again.build().count_params() == recipe.build().count_params() == 785 * 3 + 4 * 10


def rates(recipe, images, steps):
    schedule = recipe.build_optimizer(images)._learning_rate
    return [float(schedule(step)) for step in steps]


def test_a_cosine_falls_to_zero():
    recipe = Recipe(cosine=True, epochs=4, batch_size=10)  # 4 steps an epoch
    assert rates(recipe, 40, (0, 8, 16)) == pytest.approx([0.1, 0.05, 0], abs=1e-8)


def test_a_warm_up_rises_along_a_line():
    recipe = Recipe(warm_up=1, epochs=4, batch_size=10)
    assert rates(recipe, 40, (0, 1, 4, 9, 16)) == pytest.approx([0, 0.025, 0.1, 0.1, 0.1])
    both = Recipe(warm_up=2, cosine=True, epochs=4, batch_size=10)
    assert rates(both, 40, (4, 8, 12, 16)) == pytest.approx([0.05, 0.1, 0.05, 0], abs=1e-8)


def test_standardised_pictures_have_mean_0_and_variance_1(data):
    prepared = Recipe(standardize=True).prepare(data)
    images, labels = prepared.train
    assert abs(images.mean()) < 1e-5
    assert images.std() == pytest.approx(1, abs=1e-5)
    assert images.dtype == np.float32
    assert labels is data.train[1]
    # The other parts are changed as the training set is, and not each by its own mean.
    mean, deviation = data.train[0].mean(), data.train[0].std()
    assert_close(prepared.test[0], (data.test[0] - mean) / deviation, rtol=1e-5)


def test_one_permutation_is_applied_to_all_pictures(data):
    data.train[0][0] = np.arange(784).reshape(28, 28, 1)  # this picture tells where pixels go
    prepared = Recipe(permute=True).prepare(data)
    order = prepared.train[0][0].ravel().astype(int)
    assert not np.array_equal(order, np.arange(784))
    for name in ("train", "validation", "test"):
        new, old = (getattr(each, name)[0].reshape(-1, 784) for each in (prepared, data))
        assert_equal(new, old[:, order])


def test_a_seed_decides_a_training(data):
    recipe = Recipe("MLP", {"units": (4,)}, epochs=2, batch_size=8)
    first, again, other = (train(recipe, data, seed, verbose=False)[0] for seed in (3, 3, 4))
    for a, b in zip(first.get_weights(), again.get_weights(), strict=True):
        assert_equal(a, b)
    assert not np.array_equal(first.get_weights()[0], other.get_weights()[0])


def test_augmentation_changes_what_is_trained_on_and_nothing_else(data):
    # Every picture is moved out of its frame, so that only the biases can learn.
    move = {"height_factor": (1.0, 1.0), "width_factor": 0.0, "fill_mode": "constant"}
    out = ("RandomTranslation", move)
    plain = Recipe("MLP", {"units": ()}, epochs=2, batch_size=8)
    recipe = Recipe("MLP", {"units": ()}, epochs=2, batch_size=8, augment=[out])
    model, log = train(recipe, data, 0, verbose=False)
    assert [layer.name for layer in model.layers] == ["flatten", "logits"]
    kernel, bias = model.get_weights()
    keras.utils.set_random_seed(0)
    assert_equal(kernel, recipe.build().get_weights()[0])
    assert np.abs(bias).max() > 0
    # Validation saw the pictures as they are.
    images, labels = data.validation
    right = numbers(model(images)).argmax(axis=1) == labels
    assert log.history["val_accuracy"][-1] == pytest.approx(right.mean())
    assert not np.array_equal(kernel, train(plain, data, 0, verbose=False)[0].get_weights()[0])


def test_smoothed_labels_leave_a_share_to_every_class(rng):
    logits = rng.normal(size=(5, 10)).astype("float32")
    labels = np.array([0, 3, 3, 9, 1])
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    smoothed = 0.8 * np.eye(10)[labels] + 0.2 / 10
    expected = -(smoothed * log_p).sum(axis=1).mean()
    loss = Recipe(label_smoothing=0.2).build_loss()
    assert numbers(loss(labels, logits)).mean() == pytest.approx(expected, rel=1e-5)
    plain = float(Recipe().build_loss()(labels, logits))
    assert plain == pytest.approx(-log_p[np.arange(5), labels].mean(), rel=1e-5)


def test_the_best_recipe_moves_and_mirrors_pictures_and_keeps_their_pixels(data):
    recipe = small_resnet_recipe(epochs=2)
    assert recipe.epochs == 2
    assert recipe.build().name == "small_resnet"
    shift, mirror = (getattr(keras.layers, name)(**given) for name, given in recipe.augment)
    images = np.zeros((200, 28, 28, 1), "float32")
    images[:, 10, 12] = 1
    moved = np.asarray(mirror(shift(images, training=True), training=True))
    assert (np.sort(moved.reshape(200, -1)) == np.sort(images.reshape(200, -1))).all()
    rows, columns = np.unravel_index(moved.reshape(200, -1).argmax(axis=1), (28, 28))
    assert set(rows) == {9, 10, 11}
    assert set(columns) == {11, 12, 13, 14, 15, 16}  # 27 - 12 = 15 in the mirror


def test_the_centred_sigmoid_is_taken_by_its_name():
    layer = Recipe(arguments={"activation": "centred_sigmoid"}).build().get_layer("conv1")
    assert layer.activation is centred_sigmoid
    x = np.array([-3.0, 0.0, 2.0], "float32")
    assert_close(centred_sigmoid(x), np.tanh(x / 2) / 2, atol=1e-6)


def test_a_stack_takes_our_layers_before_those_of_keras():
    model = stack([("Conv2D", {"filters": 2, "kernel_size": 3}), ("Flatten", {})])
    assert [type(layer).__module__.split(".")[0] for layer in model.layers] == ["cnn_tf", "keras"]


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: Recipe("VGG"), ValueError, "MLP, SmallResNet, stack. Received: model='VGG'"),
        (lambda: Recipe(epochs=0), ValueError, "`epochs` must be at least 1. Received: 0"),
        (lambda: Recipe(batch_size=1.5), TypeError, "`batch_size` must be an integer"),
        (lambda: Recipe(warm_up=10), ValueError, "less than the 10 epochs. Received: warm_up=10"),
        (
            lambda: Recipe(warm_up="1"),
            TypeError,
            "`warm_up` must be a number. Received: warm_up='1'",
        ),
        (lambda: Recipe(label_smoothing=1), ValueError, "less than 1. Received: label_smoothing=1"),
        (lambda: Recipe.from_declared({"new": 1}), ValueError, "knows no recipe with new. Install"),
        (lambda: train(Recipe(), None, 1.5), TypeError, "`seed` must be an integer"),
        (lambda: train(Recipe(), None, "1"), TypeError, "`seed` must be an integer"),
        (lambda: train(Recipe(), None, -1), ValueError, "`seed` must be at least 0"),
        (lambda: stack([("Conv9D", {})]), ValueError, "has a layer 'Conv9D'"),
    ],
)
def test_refuses(make, error, words):
    with pytest.raises(error, match=words):
        make()


# --- Records --------------------------------------------------------------------------------------


def run(seed, ends, **figures):
    return {"seed": seed, "history": {"val_accuracy": [0.0, ends]}, "figures": figures}


@pytest.fixture
def content():
    old = [run(0, 0.5, plateau=7), run(1, 0.6, plateau=None), run(2, 0.9, plateau=8)]
    new = [run(2, 0.8), run(1, 0.7)]  # in any order; one seed less
    arms = {"old": {"recipe": {}, "runs": old}, "new": {"recipe": {"epochs": 2}, "runs": new}}
    return {"format": 1, "name": "mine", "question": "Which?", "made": [], "arms": arms}


def test_a_record_gives_curves_ends_and_gains_in_the_order_of_the_seeds(content):
    record = Record(content)
    assert record.recipes["new"] == Recipe(epochs=2)
    assert_equal(record.curves("new"), [[0, 0.7], [0, 0.8]])
    assert_equal(record.values("old"), [0.5, 0.6, 0.9])
    assert_equal(record.values("old", "plateau"), [7, np.nan, 8])
    assert_close(record.gains("new", "old"), [0.1, -0.1])  # seeds 1 and 2
    assert "old   66.7 % ± 20.8   3 runs from 50.0 to 90.0" in repr(record)


def test_a_record_gives_what_was_right_picture_by_picture(content):
    bits = np.array([1, 0, 0, 1, 1, 1, 0, 0] * 2, bool)
    for each in content["arms"]["new"]["runs"]:
        each["figures"]["right"] = np.packbits(bits).tobytes().hex()
    assert_equal(Record(content).right("new"), [bits, bits])


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda record: record.values("older"), "holds 'old', 'new'. Received: 'older'"),
        (lambda record: record.values("old", "x"), "'val_accuracy', 'plateau'. Received: 'x'"),
        (lambda record: record.curves("old", "loss"), "holds 'val_accuracy'. Received: 'loss'"),
        (lambda record: record.right("old"), "holds 'plateau'. Received: 'right'"),
    ],
)
def test_a_record_names_what_it_holds(content, ask, words):
    with pytest.raises(ValueError, match=words):
        ask(Record(content))


def test_a_record_is_found_where_the_environment_says(content, tmp_path, monkeypatch):
    (tmp_path / "mine.json").write_text(json.dumps(content))
    monkeypatch.setenv("CNN_TF_RECORDS", str(tmp_path))
    assert read_record("mine").question == "Which?"
    with pytest.raises(FileNotFoundError, match=r"no record 'yours'.*There: mine\. The folder"):
        read_record("yours")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is damaged .*git checkout"),
        ('{"format": 1, "arms": {', "is damaged"),
        ("[1]", "is damaged"),
        ('{"format": 1}', "is damaged: no arms, name, question"),
        ('{"format": 99}', "of format 99, and this version of cnn_tf reads format 1. Install"),
    ],
)
def test_a_damaged_or_foreign_record_is_refused(text, words, tmp_path):
    (tmp_path / "mine.json").write_text(text)
    with pytest.raises(ValueError, match=words):
        read_record("mine", tmp_path)
