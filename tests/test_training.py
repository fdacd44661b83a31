"""`fit` and its log."""

import re
import subprocess
import sys
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from cnn_tf import LeNet, TrainingLog, fit
from cnn_tf.training import NotebookProgress
from tests.back_end import BACK_END
from tests.stripes import stripes


@pytest.fixture(name="stripes")
def few_pictures():
    return stripes()


@pytest.fixture
def model():
    keras.utils.set_random_seed(1)
    return LeNet(4, activation="relu", filters=(4, 8), units=(16,))


def test_learns(model, stripes):
    log = fit(model, stripes, epochs=6, batch_size=32, verbose=False)
    assert log.history["loss"][0] > log.history["loss"][-1]
    assert log.history["val_accuracy"][-1] > 0.9


def test_log_counts_epochs_and_seconds(model, stripes):
    log = fit(model, stripes, epochs=2, verbose=False)
    assert log.epoch == [0, 1]
    assert len(log.seconds) == 2
    assert min(log.seconds) > 0
    assert re.match(r"<TrainingLog: 2 epochs in [\d.]+ s on (cpu|gpu):0; accuracy", repr(log))


def weights_after(seed, stripes):
    keras.utils.set_random_seed(1)
    model = LeNet(4)
    fit(model, stripes, epochs=1, seed=seed, verbose=False)
    return np.concatenate([weight.ravel() for weight in model.get_weights()])


def test_numpys_integers_will_do(stripes, tmp_path):
    one = np.int64(1)
    numbers = {"epochs": one, "batch_size": np.int32(32), "seed": one}
    log = fit(LeNet(), stripes, **numbers, checkpoint_dir=tmp_path, verbose=False)
    assert len(log.history["loss"]) == 1


def test_same_seed_same_weights(stripes):
    assert np.array_equal(weights_after(3, stripes), weights_after(3, stripes))


def test_another_seed_another_order(stripes):
    assert not np.array_equal(weights_after(3, stripes), weights_after(4, stripes))


class Seen(keras.layers.Layer):
    """Passes on what it gets, and keeps the first pixel of each picture in training."""

    def __init__(self):
        super().__init__()
        self.pixels, self.sizes = [], []

    def call(self, x, training=False):
        if training:
            self.pixels += np.asarray(x)[:, 0, 0, 0].tolist()
            self.sizes.append(len(x))
        return x


def test_an_epoch_shows_each_picture_once_with_its_label_in_a_new_order():
    numbers = np.arange(10, dtype="float32")
    part = numbers[:, None, None, None], numbers
    seen = Seen()
    layers = [seen, keras.layers.Flatten(), keras.layers.Dense(1, kernel_initializer="ones")]
    model = keras.Sequential([keras.Input((1, 1, 1)), *layers])
    model.compile("sgd", "mse", run_eagerly=True)
    log = fit(model, SimpleNamespace(train=part, validation=part), 2, batch_size=4, verbose=False)
    assert seen.sizes == [4, 4, 2] * 2
    first, second = seen.pixels[:10], seen.pixels[10:]
    assert sorted(first) == sorted(second) == numbers.tolist()
    assert first != second != numbers.tolist() != first
    # The model gives the number that the picture shows, so the loss sees the labels.
    assert log.history["loss"] == log.history["val_loss"] == [0, 0]


@pytest.mark.tensorflow
def test_reading_is_not_tuned_at_run_time(model, stripes, monkeypatch):
    # TensorFlow's tuning thread would be waited for at the end of each epoch.
    given = {}
    model.build((None, 28, 28, 1))
    model.compile("sgd", "sparse_categorical_crossentropy")
    monkeypatch.setattr(model, "fit", lambda **arguments: given.update(arguments))
    fit(model, stripes, 1, verbose=False)
    for name in ("x", "validation_data"):
        assert given[name].options().autotune.enabled is False


def test_the_recipe_is_the_classic_one(model, stripes):
    fit(model, stripes, epochs=1, verbose=False)
    assert type(model.optimizer).__name__ == "SGD"
    assert float(model.optimizer.learning_rate) == pytest.approx(0.1)
    assert model.loss.get_config()["from_logits"] is True


MOVE_PICTURES = {
    "RandomPerspective": (),
    "RandomRotation": (0.1,),
    "RandomShear": (0.1,),
    "RandomTranslation": (0.1, 0.1),
    "RandomZoom": (0.1,),
}


@pytest.mark.parametrize("name", MOVE_PICTURES)
def test_on_jax_what_moves_pictures_is_compiled_with_the_rest(name, stripes):
    """Keras would compile nothing of the step."""
    moved = keras.Sequential([getattr(keras.layers, name)(*MOVE_PICTURES[name])])
    layers = [moved, keras.layers.Flatten(), keras.layers.Dense(4)]
    model = keras.Sequential([keras.Input((28, 28, 1)), *layers])
    log = fit(model, stripes, epochs=1, verbose=False)
    assert model.jit_compile is (BACK_END == "jax")
    assert np.isfinite(log.history["loss"]).all()


ENDS = {
    "activation": lambda: [keras.layers.Dense(4, activation="softmax")],
    "layer": lambda: [keras.layers.Dense(4), keras.layers.Softmax()],
    "nested": lambda: [keras.Sequential([keras.layers.Dense(4, activation="softmax")])],
}


@pytest.mark.parametrize("end", ENDS)
def test_a_softmax_at_the_end_is_noticed(end, stripes):
    layers = [keras.layers.Flatten(), *ENDS[end]()]
    model = keras.Sequential([keras.Input((28, 28, 1)), *layers])
    fit(model, stripes, epochs=1, verbose=False)
    assert model.loss.get_config()["from_logits"] is False


def test_a_compiled_model_keeps_its_own(model, stripes):
    model.compile("adam", "sparse_categorical_crossentropy", metrics=[])
    log = fit(model, stripes, epochs=1, verbose=False)
    assert type(model.optimizer).__name__ == "Adam"
    assert sorted(log.history) == ["loss", "val_loss"]


def test_an_optimizer_given_here_wins(model, stripes):
    model.compile("adam", "sparse_categorical_crossentropy")
    fit(model, stripes, epochs=1, optimizer=keras.optimizers.SGD(0.5), verbose=False)
    assert float(model.optimizer.learning_rate) == pytest.approx(0.5)


def test_a_second_call_goes_on(model, stripes):
    fit(model, stripes, epochs=2, batch_size=128, verbose=False)
    fit(model, stripes, epochs=1, batch_size=128, verbose=False)
    assert int(model.optimizer.iterations) == 3 * 512 // 128


def test_callbacks_are_called(model, stripes):
    seen = []
    spy = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(epoch))
    for callbacks in ([spy], spy, None):
        fit(model, stripes, epochs=2, callbacks=callbacks, verbose=False)
    assert seen == [0, 1, 0, 1]


@pytest.mark.parametrize("name", ["epochs", "batch_size"])
@pytest.mark.parametrize(
    ("number", "error", "words"),
    [
        (0, ValueError, "at least 1"),
        (-1, ValueError, "at least 1"),
        (2.5, TypeError, "an integer"),
        (True, TypeError, "an integer"),
        ("3", TypeError, "an integer"),
    ],
)
def test_refuses_bad_numbers(name, number, error, words, model, stripes):
    with pytest.raises(error, match=f"`{name}` must be {words}. Received: "):
        fit(model, stripes, **{name: number})


def test_refuses_other_data(model):
    with pytest.raises(TypeError, match=r"such as FashionMNIST\(\). Received: list, whose `train`"):
        fit(model, [1, 2])


def test_refuses_integer_images(model, stripes):
    images, labels = stripes.train
    stripes.train = (images > 0.5).astype("uint8"), labels
    with pytest.raises(TypeError, match=r"Received: dtype uint8 in `train`\. Convert them"):
        fit(model, stripes)


def test_takes_lists(model, stripes):
    stripes.train = tuple(part.tolist() for part in stripes.validation)
    log = fit(model, stripes, epochs=1, verbose=False)
    assert np.isfinite(log.history["loss"][0])


def test_refuses_missing_labels(model, stripes):
    images, labels = stripes.validation
    stripes.validation = images, labels[:-1]
    with pytest.raises(ValueError, match="128 images and 127 labels in `validation`"):
        fit(model, stripes)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (
            lambda y: y + 1,
            ValueError,
            "from 0 to 3, for the model has 4 outputs. Received: labels ",
        ),
        (lambda y: y - 1, ValueError, "Received: labels from -1 to 2 in `train`"),
        (lambda y: np.eye(4)[y], ValueError, "numbers by np.argmax(labels, axis=-1)"),
        (lambda y: np.eye(4, dtype=int)[y], ValueError, "labels of shape (512, 4) in `train`"),
        (lambda y: y + 0.5, ValueError, ".5 in `train`"),
        (lambda y: np.where(y == 1, np.nan, y), ValueError, "Received: nan in `train`"),
        (lambda y: np.array(["coat", "bag", "shirt", "boot"])[y], TypeError, "return_inverse=True"),
    ],
)
@pytest.mark.parametrize("built", [True, False])
def test_refuses_labels_that_are_no_classes(change, error, words, built, model, stripes):
    if not built:
        layers = [keras.layers.Flatten(), keras.layers.Dense(4)]
        model = keras.Sequential(layers)
    images, labels = stripes.train
    stripes.train = images, change(labels)
    with pytest.raises(error, match=re.escape(words)):
        fit(model, stripes, epochs=1, verbose=False)


def test_refuses_wrong_labels_of_the_validation(model, stripes):
    images, labels = stripes.validation
    stripes.validation = images, labels + 3
    with pytest.raises(ValueError, match="in `validation`"):
        fit(model, stripes, epochs=1, verbose=False)


def test_takes_labels_as_keras_does(stripes):
    """In a column, as whole floats, as booleans; and one-hot ones for a loss that wants them."""
    images, labels = stripes.train
    for numbers in (labels[:, None], labels.astype("float32"), labels > 1):
        stripes.train = images, numbers
        assert fit(LeNet(4), stripes, epochs=1, verbose=False).epoch == [0]
    for part in ("train", "validation"):
        images, labels = getattr(stripes, part)
        setattr(stripes, part, (images, np.eye(4)[np.ravel(labels).astype(int)]))
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    assert fit(LeNet(4), stripes, epochs=1, loss=loss, verbose=False).epoch == [0]


def test_takes_the_label_that_the_loss_ignores(model, stripes):
    images, labels = stripes.train
    stripes.train = images, np.where(labels == 1, -1, labels)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)
    assert fit(model, stripes, epochs=1, loss=loss, verbose=False).epoch == [0]


def test_plot_draws_each_metric_with_its_validation(model, stripes):
    figure = fit(model, stripes, epochs=2, verbose=False).plot()
    words = re.findall(r">([a-z_]+)</text>", figure.svg)
    assert {"loss", "accuracy", "training", "validation", "epoch"} <= set(words)
    assert "over 2 epochs" in figure.alt


def test_plot_without_training():
    with pytest.raises(ValueError, match="nothing to plot yet"):
        TrainingLog().plot()


@pytest.mark.tensorflow  # which hears of 20 steps at a time, the others of each
def test_notebook_table(model, stripes, monkeypatch):
    shown = []
    handle = SimpleNamespace(update=lambda table: shown.append(table._repr_html_()))
    monkeypatch.setattr("cnn_tf.training._in_notebook", lambda: True)
    monkeypatch.setattr(NotebookProgress, "_SECONDS_BETWEEN_UPDATES", 0)
    monkeypatch.setattr("IPython.display.display", lambda table, display_id: handle)
    log = fit(model, stripes, epochs=2, batch_size=16)  # 32 steps an epoch, run 20 by 20
    shares = re.findall(r"<progress max='2' value='([\d.]+)'", "".join(shown))
    assert shares == ["0.62", "1.00", "1.00", "1.62"]
    assert "<progress" not in shown[-1]
    assert shown[-1].count("<tr>") == 3  # the head and two epochs
    assert f"<td>{log.history['val_loss'][1]:.3f}</td>" in shown[-1]


def test_terminal_shows_keras_bar_and_verbose_false_nothing(model, stripes, capsys):
    fit(model, stripes, epochs=1, verbose=False)
    assert capsys.readouterr().out == ""
    fit(model, stripes, epochs=2)
    assert "Epoch 2/2" in capsys.readouterr().out


def test_the_package_is_imported_without_matplotlib_and_ipython():
    hide = "import sys; sys.modules.update(matplotlib=None, IPython=None); from cnn_tf import *"
    done = subprocess.run([sys.executable, "-c", hide], stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stderr
