"""`fit` loses nothing: killed, on a full disk, and when the numbers are no longer finite."""

import json
import multiprocessing
import os
import resource
import shutil
import signal
import time
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from cnn_tf import Conv2D, LeNet, fit
from tests.back_end import BACK_END
from tests.stripes import stripes

EPOCHS = 6
KILLS = 20 if BACK_END == "tensorflow" else 6  # what is killed is the same; each takes seconds


def make_model():
    """With all that a training may change: random states, averages, momenta."""
    keras.utils.set_random_seed(1)
    layers = [
        keras.layers.RandomTranslation(0.1, 0.1),
        Conv2D(4, 5, strides=2, padding_mode="reflect", padding=2),
        keras.layers.BatchNormalization(),
        keras.layers.Flatten(),
        keras.layers.Dropout(0.3),
        keras.layers.Dense(4),
    ]
    return keras.Sequential([keras.Input((28, 28, 1)), *layers])


def train(folder, *callbacks, epochs=EPOCHS, batch_size=32, seed=0, data=None, model=None):
    model = make_model() if model is None else model
    watching = [
        keras.callbacks.ReduceLROnPlateau(patience=1, min_delta=0.3),
        keras.callbacks.EarlyStopping(patience=3, restore_best_weights=True),
    ]
    data = stripes() if data is None else data
    log = fit(
        *(model, data, epochs),
        batch_size=batch_size,
        optimizer=keras.optimizers.Adam(0.003),
        seed=seed,
        callbacks=[*callbacks, *watching],
        checkpoint_dir=folder,
        verbose=False,
    )
    state = [np.asarray(v) for v in (*model.variables, *model.optimizer.variables)]
    return state, log.history


def same(one, other):
    assert len(one[0]) == len(other[0])
    assert all(np.array_equal(a, b) for a, b in zip(one[0], other[0], strict=True))
    assert one[1] == other[1]


@pytest.fixture(scope="module")
def whole():
    return train(None)


@pytest.fixture(scope="module")
def four(tmp_path_factory):
    folder = tmp_path_factory.mktemp("four")
    train(folder, epochs=4)
    return folder


@pytest.fixture
def kept(four, tmp_path):
    """The checkpoints of four epochs."""
    return shutil.copytree(four, tmp_path / "kept")


class At(keras.callbacks.Callback):
    """Do something at the start of an epoch."""

    def __init__(self, epoch, act):
        super().__init__()
        self.number, self.act = epoch, act

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.number:
            self.act()


def interrupt():
    raise KeyboardInterrupt


# --- Killed ---------------------------------------------------------------------------------------


def train_and_keep(folder, result):
    state, history = train(folder)
    arrays = {f"{i:03d}": array for i, array in enumerate(state)}
    curves = {f"curve {name}": values for name, values in history.items()}
    np.savez(result, **arrays, **curves)


@pytest.mark.slow
def test_killed_at_many_moments_it_ends_as_if_nothing_had_happened(tmp_path):
    start = multiprocessing.get_context("forkserver")
    # Each back end's random layers import TensorFlow: this way once, not for each process.
    start.set_forkserver_preload([__name__, "tensorflow"])
    results = []

    def run(name, seconds=None):
        result = tmp_path / f"{name}.npz"
        process = start.Process(target=train_and_keep, args=(tmp_path / name, result))
        process.start()
        process.join(seconds)
        killed = process.is_alive()
        if killed:
            os.kill(process.pid, signal.SIGKILL)
            process.join()
        else:
            assert process.exitcode == 0
            results.append(dict(np.load(result)))
        return killed

    run("alone")
    began = time.perf_counter()
    run("alone again")
    seconds = time.perf_counter() - began
    rng, kills, attempt = np.random.default_rng(0), 0, 0
    while kills < KILLS:
        if run(f"killed {attempt}", rng.uniform(0, 1.1) * seconds):
            kills += 1
        else:
            attempt += 1
    run(f"killed {attempt}")  # to its end
    expected, *others = results
    assert len(others) >= 2
    for arrays in others:
        assert arrays.keys() == expected.keys()
        for name, array in expected.items():
            assert np.array_equal(arrays[name], array), name


@pytest.mark.parametrize("epoch", [0, 1, EPOCHS - 1])
def test_ctrl_c_says_what_is_kept_and_the_same_call_goes_on(epoch, whole, tmp_path):
    with pytest.raises(KeyboardInterrupt) as caught:
        train(tmp_path, At(epoch, interrupt))
    (note,) = caught.value.__notes__
    assert note.startswith(f"{epoch} of {EPOCHS} epochs are kept in {tmp_path}. The same call")
    same(train(tmp_path, At(-1, interrupt)), whole)


def test_it_begins_with_the_first_weights_of_the_run_that_was_killed(tmp_path):
    """Even if nobody set a seed before the model was made."""
    one = make_model()
    one.layers[-1].bias.assign([1, 2, 3, 4])
    expected = train(None, model=one)
    one = make_model()
    one.layers[-1].bias.assign([1, 2, 3, 4])
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, At(0, interrupt), model=one)
    same(train(tmp_path, At(-1, interrupt)), expected)


def test_when_all_is_done_nothing_is_trained_again(whole, tmp_path):
    train(tmp_path)
    trained = []
    model = make_model()
    spy = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: trained.append(epoch))
    log = fit(
        *(model, stripes(), 3),
        batch_size=32,
        optimizer=keras.optimizers.Adam(0.003),
        callbacks=[spy],
        checkpoint_dir=tmp_path,
        verbose=False,
    )
    assert trained == []
    assert log.epoch == list(range(len(log.history["loss"])))
    assert log.history == whole[1]


@pytest.mark.parametrize("patience", [0, 1])
def test_what_was_stopped_early_stays_stopped(patience, tmp_path):
    def run(folder):
        stop = keras.callbacks.EarlyStopping("loss", 9, patience, restore_best_weights=True)
        state, history = train(folder, stop)
        return state, history, stop.stopped_epoch

    expected = run(None)
    assert 1 <= expected[2] < EPOCHS - 1
    for _ in range(2):
        found = run(tmp_path)
        same(found, expected)
        assert found[2] == expected[2]


def test_more_epochs_add_the_missing_ones(whole, kept):
    same(train(kept), whole)


def test_only_the_last_two_are_kept(kept):
    names = sorted(path.name for path in kept.iterdir())
    assert names == ["epoch-0003.npz", "epoch-0004.npz"]


# --- Damaged, or of another training --------------------------------------------------------------


def cut(content):
    return content[: len(content) // 2]


def flip(content):
    return content[:-3000] + bytes([content[-3000] ^ 1]) + content[-2999:]


@pytest.mark.parametrize("damage", [cut, flip, lambda content: b""])
def test_a_damaged_checkpoint_is_not_read(damage, whole, kept):
    last = kept / "epoch-0004.npz"
    last.write_bytes(damage(last.read_bytes()))
    (kept / ".writing-1").write_bytes(b"half")
    with pytest.warns(UserWarning, match=r"epoch-0004.npz is damaged\. .* from epoch-0003\.npz"):
        same(train(kept), whole)
    assert not list(kept.glob(".writing-*"))


@pytest.mark.parametrize("offset", [10, 8, 46])
def test_nor_is_one_with_a_damaged_list_of_contents(offset, whole, kept):
    """Of the kind of compression, of a flag, of the name of an array."""
    last = kept / "epoch-0004.npz"
    content = bytearray(last.read_bytes())
    content[content.index(b"PK\x01\x02") + offset] ^= 1
    last.write_bytes(content)
    with pytest.warns(UserWarning, match=r"epoch-0004.npz is damaged\. .* from epoch-0003\.npz"):
        same(train(kept), whole)


def test_nor_is_one_that_lacks_an_array(whole, kept):
    last = kept / "epoch-0004.npz"
    content = dict(np.load(last))
    del content[max(content, key=lambda name: (name.startswith("variable_"), len(name), name))]
    np.savez(last, **content)
    with pytest.warns(UserWarning, match="epoch-0004.npz is damaged"):
        same(train(kept), whole)


def test_one_of_another_version_is_kept(kept):
    last = kept / "epoch-0004.npz"
    content = dict(np.load(last))
    head = json.loads(bytes(content["head"])) | {"format": 99}
    np.savez(last, **content | {"head": np.frombuffer(json.dumps(head).encode(), "uint8")})
    with pytest.raises(ValueError, match="another version of cnn_tf: its format is 99, that of"):
        train(kept)


def test_if_all_are_damaged_it_does_not_start_over_silently(kept):
    for path in kept.iterdir():
        path.write_bytes(cut(path.read_bytes()))
    with pytest.raises(ValueError, match=r"No checkpoint in .* is whole: .*Delete the folder"):
        train(kept)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seed": lambda: 3}, "its seed is 0, that of this call 3"),
        ({"batch_size": lambda: 64}, "its batch size is 32, that of this call 64"),
        ({"data": lambda: stripes(500)}, "its number of pictures is 512, that of this call 500"),
        (
            {"data": lambda: SimpleNamespace(train=stripes().train, validation=stripes().train)},
            "its validation's number of pictures is 128, that of this call 512",
        ),
        (
            {"model": lambda: LeNet(4)},
            'layer 1.s kind is "RandomTranslation", that of this call',
        ),
    ],
)
def test_another_training_is_refused(change, words, kept):
    before = {path.name: path.read_bytes() for path in kept.iterdir()}
    with pytest.raises(ValueError, match=words):
        train(kept, **{name: make() for name, make in change.items()})
    assert {path.name: path.read_bytes() for path in kept.iterdir()} == before


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: keras.optimizers.Adam(0.1), "optimizer's learning_rate is 0.00"),
        (lambda: "sgd", "optimizer's kind is"),
    ],
)
def test_another_optimizer_is_refused(make, words, kept):
    with pytest.raises(ValueError, match=words):
        fit(make_model(), stripes(), batch_size=32, optimizer=make(), checkpoint_dir=kept)


# --- The disk -------------------------------------------------------------------------------------


def test_a_full_disk_leaves_the_checkpoints_before(whole, tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))

    try:
        with pytest.raises(OSError, match=r"after epoch 3, which could not be kept \(File too"):
            train(tmp_path, At(2, fill))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["epoch-0001.npz", "epoch-0002.npz"]
    same(train(tmp_path, At(-1, fill)), whole)


def test_a_folder_that_cannot_be_written_is_named_before_the_training(tmp_path):
    file = tmp_path / "file"
    file.touch()
    folders = [file / "inside", Path("/proc/inside")]
    if os.getuid() != 0:  # whom nothing keeps from writing
        closed = tmp_path / "closed"
        closed.mkdir(mode=0o500)
        folders.append(closed)
    for folder in folders:
        with pytest.raises(OSError, match="cannot write into checkpoint_dir") as caught:
            train(folder, At(0, interrupt))
        assert caught.value.filename == str(folder)


def test_a_home_is_a_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    train("~/kept", epochs=1)
    assert (tmp_path / "kept" / "epoch-0001.npz").is_file()
    shutil.rmtree(tmp_path / "kept")


@pytest.mark.parametrize("dtype", ["bfloat16", "mixed_float16"])
def test_16_bits_are_kept(dtype, tmp_path):
    """With the optimizer's scale of the loss, where there is one."""

    def make():
        keras.utils.set_random_seed(1)
        return LeNet(4, filters=(4,), units=(8,), activation="relu", dtype=dtype)

    expected = train(None, model=make())
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, At(2, interrupt), model=make())
    same(train(tmp_path, At(-1, interrupt), model=make()), expected)


# --- Numbers that are not finite ------------------------------------------------------------------


def relu_net():
    keras.utils.set_random_seed(1)
    return LeNet(4, activation="relu", filters=(4, 8), units=(16,))


def broken_part(part, number=300):
    images, labels = part
    images = images.copy()
    images[number, 3, 3] = np.nan
    return images, labels


def test_a_picture_without_numbers_is_named():
    data, model = stripes(), relu_net()
    data.train = broken_part(data.train)
    with pytest.raises(FloatingPointError) as caught:
        fit(model, data, batch_size=32, verbose=False)
    told = str(caught.value)
    assert "The loss became nan in step " in told
    assert "of epoch 1. Picture 300 itself is not finite. The model has its weights from" in told
    assert "Leave such pictures out" in told
    # They are those of the steps before.
    step = int(told.partition("in step ")[2].partition(" ")[0])
    assert int(model.optimizer.iterations) == step - 1
    assert all(np.isfinite(weights).all() for weights in model.get_weights())
    # And it can be trained with better pictures.
    log = fit(model, stripes(), 1, batch_size=32, verbose=False)
    assert np.isfinite(log.history["loss"]).all()


def test_a_picture_of_the_validation_is_named():
    data, model = stripes(), relu_net()
    data.validation = broken_part(data.validation, 77)
    with pytest.raises(FloatingPointError, match=r"validation set became nan .* Picture 77"):
        fit(model, data, batch_size=32, verbose=False)


@pytest.mark.parametrize("compiled", [False, True])
def test_the_layer_whose_output_was_the_first_is_named(compiled):
    model, optimizer = relu_net(), keras.optimizers.SGD(1e25)
    if compiled:
        model.compile(optimizer, "sparse_categorical_crossentropy")
        optimizer = None
    with pytest.raises(FloatingPointError) as caught:
        fit(model, stripes(), batch_size=32, optimizer=optimizer, verbose=False)
    told = str(caught.value)
    assert "in step 2 of epoch 1. The first output that was not finite is that of layer" in told
    assert "(Conv2D)" in told or "(Dense)" in told
    assert "Try a smaller learning rate than 1e+25, or clipnorm=1" in told
    assert int(model.optimizer.iterations) == 1


class Spoiler(keras.layers.Layer):
    """Its output is infinite in the third step."""

    def build(self, shape):
        self.steps = self.add_weight(shape=(), initializer="zeros", trainable=False)

    def call(self, x, training=False):
        if training:
            self.steps.assign_add(1.0)
        return x / keras.ops.where(self.steps == 3, 0.0, 1.0)


def test_it_is_the_innermost_layer_that_is_named():
    inner = keras.Sequential([Spoiler(name="spoiler"), keras.layers.ReLU()], name="inner")
    layers = [inner, keras.layers.Flatten(), keras.layers.Dense(4)]
    model = keras.Sequential([keras.Input((28, 28, 1)), *layers])
    with pytest.raises(FloatingPointError, match=r"step 3 of epoch 1\. .* layer 'spoiler' \(Spoi"):
        fit(model, stripes(), batch_size=32, verbose=False)
    assert float(inner.layers[0].steps) == 2


def test_a_loss_of_ones_own_is_named():
    def loss(labels, outputs):
        return keras.ops.mean(outputs, axis=-1) / keras.ops.cast(labels != 9, "float32")

    model = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten()])
    model.add(keras.layers.Dense(4, activation="sigmoid"))
    data = stripes()
    data.train[1][40] = 9
    with pytest.raises(FloatingPointError, match="it is the loss function that is not"):
        fit(model, data, batch_size=32, loss=loss, verbose=False)


def test_a_gradient_that_is_not_finite_is_told_from_the_loss():
    """The square root has an infinite slope at zero."""

    def loss(labels, outputs):
        return keras.ops.mean(keras.ops.sqrt(outputs), axis=-1)

    model = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten()])
    model.add(keras.layers.Dense(4, kernel_initializer="zeros"))
    with pytest.raises(FloatingPointError, match=r"gradient was not finite, nor are '.*/kernel'"):
        fit(model, stripes(), batch_size=32, loss=loss, verbose=False)
    assert all(np.isfinite(weights).all() for weights in model.get_weights())


def test_what_is_kept_is_from_before(tmp_path):
    model, data = make_model(), stripes()
    with pytest.raises(FloatingPointError):
        train(tmp_path, At(2, lambda: model.optimizer.learning_rate.assign(1e38)), model=model)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["epoch-0001.npz", "epoch-0002.npz"]
    state, history = train(tmp_path, data=data)
    assert all(np.isfinite(array).all() for array in state)
    assert len(history["loss"]) == EPOCHS
