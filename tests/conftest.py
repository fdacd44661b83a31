"""Settings that all tests share."""

import os
import subprocess
from pathlib import Path

# Before TensorFlow is imported: its start-up log is not about us.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import hypothesis
import numpy as np
import pytest

# The same examples on every machine and in every run, however long one takes.
hypothesis.settings.register_profile(
    "cnn_tf", derandomize=True, deadline=None, max_examples=100, print_blob=False
)
hypothesis.settings.load_profile("cnn_tf")


ROOT = Path(__file__).parent.parent


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def site():
    """The site, built by the command of the README: a moment's work when nothing has changed."""
    done = subprocess.run(
        ["make", "book"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert done.returncode == 0, done.stdout
    return ROOT / "_build" / "html"


def pytest_configure(config):
    # Keras marks its own layer tests, which test_keras_suite.py runs, with these.
    for marker in ("requires_trainable_backend", "multi_device"):
        config.addinivalue_line("markers", f"{marker}: a mark of Keras's own test suite")


def pytest_collection_modifyitems(config, items):
    # Keras's suite tests layers of one, two and three dimensions; ours have two.
    others = [item for item in items if "test_keras_suite" in item.nodeid and _is_not_2d(item.name)]
    config.hook.pytest_deselected(items=others)
    items[:] = [item for item in items if item not in others]


def _is_not_2d(name):
    return "1d" in name or "3d" in name
