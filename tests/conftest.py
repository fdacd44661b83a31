"""Settings that all tests share."""

import fcntl
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

# Before TensorFlow is imported: its start-up log is not about us.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
# Of several processes, one for each core: with more threads they would wait for one another.
os.environ.update(
    {"TF_NUM_INTRAOP_THREADS": "1", "OMP_NUM_THREADS": "1"}
    if "PYTEST_XDIST_WORKER" in os.environ
    else {}
)
# XLA takes seconds over what then runs for milliseconds; for such programs JAX has this option.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")

import hypothesis
import numpy as np
import pytest

from tests.browser import serve
from tools.chromium import find as find_chromium

# The same examples on every machine and in every run, however long one takes; others where a seed
# is given, as the weekly run gives one.
SEED = os.environ.get("CNN_TF_SEED")
BACK_END = os.environ.get("KERAS_BACKEND") or "tensorflow"  # without Keras, which takes seconds
if BACK_END == "jax":  # else it computes in 32 bits what tests ask for in 64
    os.environ.setdefault("JAX_ENABLE_X64", "1")
hypothesis.settings.register_profile(
    "cnn_tf",
    derandomize=SEED is None,
    deadline=None,
    max_examples=3 if BACK_END == "jax" else 100,  # it compiles anew for each shape
    print_blob=bool(SEED),
)
hypothesis.settings.load_profile("cnn_tf")


ROOT = Path(__file__).parent.parent
# Flags for a machine with no screen and no way out, where Chromium must not try to call home. The
# last three keep its processes few: starting one for each page took a tenth of the tests' time.
FLAGS = [
    f"--{flag}"
    for flag in (
        *("no-sandbox", "disable-gpu", "disable-quic", "no-first-run"),
        *("disable-background-networking", "disable-component-update", "disable-sync"),
        *("renderer-process-limit=1", "disable-site-isolation-trials", "in-process-gpu"),
    )
]


@pytest.fixture
def rng():
    return np.random.default_rng(int(SEED or 0))


@pytest.fixture(scope="session")
def site(tmp_path_factory, worker_id):
    """The site, built once by the command of the README, however many processes run the tests."""
    shared = tmp_path_factory.getbasetemp()
    if worker_id != "master":
        shared = shared.parent  # of all processes of this run
    built = shared / "site-is-built"
    with (shared / "site-lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not built.exists():
            done = subprocess.run(
                ["make", "book"],
                cwd=ROOT,
                env={name: it for name, it in os.environ.items() if "_NUM_" not in name},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            assert done.returncode == 0, done.stdout
            built.touch()
    return ROOT / "_build" / "html"


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    """The package as it is published."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="session")
def need():
    """Skip a test for want of a back end, or fail it where all of them are asked for."""

    def check(backend):
        if importlib.util.find_spec(backend) is None:
            if os.environ.get("CNN_TF_CI"):
                pytest.fail(f"{backend} is not installed, and CNN_TF_CI asks for all back ends")
            pytest.skip(f"{backend} is not installed: pip install 'cnn_tf[{backend}]'")

    return check


@pytest.fixture(scope="session")
def address(site):
    """The site served under a sub-path, as GitHub Pages does it."""
    with serve(site, "book/") as address:
        yield address


@pytest.fixture(scope="session")
def chromium():
    path = find_chromium()
    if path is None:
        if os.environ.get("CNN_TF_CI"):
            pytest.fail("No Chromium was found, and CNN_TF_CI is set: install it.")
        pytest.skip("no Chromium on PATH (Debian: apt-get install chromium-headless-shell)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


def pytest_configure(config):
    # Keras marks its own layer tests, which test_keras_suite.py runs, with these.
    for marker in ("requires_trainable_backend", "multi_device"):
        config.addinivalue_line("markers", f"{marker}: a mark of Keras's own test suite")


# Files that take half a minute or more, the longest first, so that no process is left alone with
# one of them at the end; and one that needs no site by the side of one for which it is built.
LONGEST = [
    f"test_{name}"
    for name in (
        *("colab", "wheel", "site_explorers", "experiments", "site", "backends", "checkpoints"),
        *("distribution", "trainee", "paper", "slides", "cluster", "exports", "command_line"),
        *("new_shapes", "build", "convolution", "layers", "site_links", "benchmarks"),
    )
]


# Files whose tests are for each back end; the others start the back ends that they need, or read
# the site, which TensorFlow has made.
EACH_BACK_END = {
    f"test_{name}"
    for name in (
        *("functional", "layers", "keras_suite", "receptive_field", "models", "training"),
        *("recipes", "checkpoints"),
    )
}


def pytest_collection_modifyitems(config, items):
    # Keras's suite tests layers of one, two and three dimensions; ours have two.
    others = [item for item in items if "test_keras_suite" in item.nodeid and _is_not_2d(item.name)]
    if BACK_END != "tensorflow":
        others += [
            item
            for item in items
            if item.path.stem not in EACH_BACK_END or item.get_closest_marker("tensorflow")
        ]
    config.hook.pytest_deselected(items=others)
    left_out = set(others)
    items[:] = [item for item in items if item not in left_out]
    place = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.stem, len(place)))


def _is_not_2d(name):
    return "1d" in name or "3d" in name
