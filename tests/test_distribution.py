"""Several devices, in one process and in two, train as one does."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from cnn_tf import LeNet, _backend, fit
from cnn_tf.distribution import distribute

ROOT = Path(__file__).parent.parent
PROGRAM = ROOT / "tests" / "distributed_training.py"

pytestmark = pytest.mark.slow


def start(folder, *arguments, backend="jax", devices=1, process=None, address=None, processes=2):
    environment = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": str(ROOT)}
    environment["JAX_PLATFORMS"] = "cpu"
    if devices > 1:  # with this flag and two processes, they wait for ever
        environment["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={devices}"
    if process is not None:
        environment |= {
            "KERAS_DISTRIBUTION_JOB_ADDRESSES": address,
            "KERAS_DISTRIBUTION_NUM_PROCESSES": str(processes),
            "KERAS_DISTRIBUTION_PROCESS_ID": str(process),
        }
    return subprocess.Popen(
        [sys.executable, PROGRAM, folder, *arguments],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def end(process, seconds=120):
    try:
        _, told = process.communicate(timeout=seconds)
    finally:
        process.kill()
    return process.returncode, told


def free_address():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def two(folder, *arguments):
    address = free_address()
    return [start(folder, *arguments, process=i, address=address) for i in (0, 1)]


def outcome(folder):
    return json.loads((folder / "history.json").read_text())


@pytest.fixture(scope="module")
def alone(tmp_path_factory, need):
    need("jax")
    folder = tmp_path_factory.mktemp("alone")
    code, told = end(start(folder))
    assert code == 0, told
    assert outcome(folder)["group"] == [1, 1, 0]
    return folder


def same(folder, alone):
    compare(outcome(folder)["history"], outcome(alone)["history"])


def compare(found, expected):
    """The same curves but for the order in which sums are taken.

    By their rounding, a picture with two classes as good as equally likely may get the other one:
    of the 300 and the 76 pictures, two may.
    """
    for name, values in expected.items():
        pictures = 76 if name.startswith("val_") else 300
        off = {"atol": 2.01 / pictures} if "accuracy" in name else {"rtol": 2e-3, "atol": 2e-3}
        np.testing.assert_allclose(found[name][: len(values)], values, err_msg=name, **off)


def test_two_devices_of_one_process_train_as_one(alone, tmp_path):
    code, told = end(start(tmp_path, devices=2))
    assert code == 0, told
    assert outcome(tmp_path)["group"] == [2, 1, 0]
    same(tmp_path, alone)


def test_two_processes_train_as_one(alone, tmp_path):
    for code, told in [end(process) for process in two(tmp_path)]:
        assert code == 0, told
    assert outcome(tmp_path)["group"] == [2, 2, 0]
    same(tmp_path, alone)


def test_when_one_process_is_killed_the_other_ends_and_both_resume(alone, tmp_path):
    killed = tmp_path
    first, second = two(killed, "4000")
    until = time.monotonic() + 90
    while not (killed / "kept" / "epoch-0002.npz").exists():
        assert time.monotonic() < until
        assert first.poll() is None
        time.sleep(0.02)
    second.send_signal(signal.SIGKILL)
    began = time.monotonic()
    code, told = end(first, 60)
    assert time.monotonic() - began < 60
    assert code != 0
    assert "Of 2 processes that train together, one has probably gone" in told
    assert "epochs are kept in" in told
    end(second)
    done = max(int(path.stem[6:]) for path in (killed / "kept").glob("epoch-*.npz"))
    assert done >= 2

    for code, told in [end(process) for process in two(killed, str(done + 1))]:
        assert code == 0, told
    history = outcome(killed)["history"]
    assert len(history["loss"]) == done + 1
    first_two = {name: values[:2] for name, values in outcome(alone)["history"].items()}
    compare(history, first_two)


def test_processes_that_begin_differently_are_refused(tmp_path, need):
    need("jax")
    ended = [end(process) for process in two(tmp_path, "1", "different")]
    assert all(code != 0 for code, _ in ended)
    # The first to see it may end the other before it can say so.
    words = "is not the same on each process"
    assert any(words in told for _, told in ended), ended
    assert not (tmp_path / "model.keras").exists()


# --- TensorFlow -----------------------------------------------------------------------------------

MIRRORED = """
import sys
from pathlib import Path
import numpy as np
import tensorflow as tf
(cpu,) = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from cnn_tf.distribution import distribute
from tests.distributed_training import train
model, expected = train(2, None)
with distribute() as group:
    assert (group.devices, group.processes) == (2, 1)
    mirrored, history = train(2, Path(sys.argv[1]))
# In training, batch normalisation takes the mean over a device's own part of the batch.
np.testing.assert_allclose(history["loss"], expected["loss"], rtol=0.05)
with distribute():
    again, same = train(2, Path(sys.argv[1]))
assert same == history
for one, other in zip(mirrored.get_weights(), again.get_weights(), strict=True):
    assert np.array_equal(one, other)
"""


def test_devices_of_one_host_on_tensorflow(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", MIRRORED, tmp_path],
        env={**os.environ, "KERAS_BACKEND": "tensorflow", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


# --- What would silently not happen ---------------------------------------------------------------


@pytest.fixture
def data():
    images, labels = np.zeros((8, 28, 28, 1), "float32"), np.arange(8)
    return SimpleNamespace(train=(images, labels), validation=(images, labels))


def test_a_distribution_that_keras_ignores_is_refused(data):
    keras.distribution.set_distribution(keras.distribution.DataParallel(devices=["cpu:0"]))
    try:
        with pytest.raises(NotImplementedError, match="works on JAX alone; on tensorflow Keras"):
            fit(LeNet(), data, verbose=False)
    finally:
        keras.distribution.set_distribution(None)


def test_a_strategy_for_several_hosts_is_refused():
    # A real one has to be made before TensorFlow does anything else.
    strategy = type("MultiWorkerMirroredStrategy", (), {})()
    with pytest.raises(NotImplementedError, match="not work under a MultiWorkerMirroredStrategy"):
        _backend.group(strategy)


def test_batches_that_would_be_cut_twice_are_refused(monkeypatch):
    parallel = SimpleNamespace(auto_shard_dataset=True)
    monkeypatch.setattr(_backend, "NAME", "jax")
    monkeypatch.setattr(_backend, "jax", SimpleNamespace(process_count=lambda: 2), raising=False)
    monkeypatch.setattr(keras.distribution, "distribution", lambda: parallel)
    with pytest.raises(NotImplementedError, match=r"auto_shard_dataset=True\. Set it to False"):
        _backend.group()


def test_several_processes_are_refused_on_tensorflow(monkeypatch):
    for name, value in (("NUM_PROCESSES", "2"), ("PROCESS_ID", "1"), ("JOB_ADDRESSES", "a:1")):
        monkeypatch.setenv(f"KERAS_DISTRIBUTION_{name}", value)
    with (
        pytest.raises(NotImplementedError, match=r"tensorflow, 2 processes\. Set KERAS_BACKEND"),
        distribute(),
    ):
        pass


@pytest.mark.parametrize(
    ("address", "number", "own"),
    [("a:1", "2", "2"), ("a", "2", "1"), ("a:1", "two", "0"), ("a:1", "2", ""), ("", "2", "0")],
)
def test_an_environment_that_says_half_is_refused(address, number, own, monkeypatch):
    for name, value in (("JOB_ADDRESSES", address), ("NUM_PROCESSES", number), ("PROCESS_ID", own)):
        monkeypatch.setenv(f"KERAS_DISTRIBUTION_{name}", value)
    with (
        pytest.raises(ValueError, match=f"Received: '{address}', '{number}' and '{own}'"),
        distribute(),
    ):
        pass


def test_on_one_device_nothing_changes(data):
    with distribute() as group:
        assert group == (1, 1, 0)
        assert fit(LeNet(), data, epochs=1, verbose=False).epoch == [0]
    with pytest.raises(TypeError, match="`timeout` must be an integer"), distribute("soon"):
        pass
