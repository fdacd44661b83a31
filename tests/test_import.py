"""What an import of the package starts, and that Keras knows the layers after any of them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import cnn_tf

ROOT = Path(__file__).parent.parent


def run(program):
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"KERAS_BACKEND": "jax"},  # the one that is imported soonest
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("module", ["cnn_tf", "cnn_tf.data", "cnn_tf.photographs"])
def test_what_needs_no_back_end_starts_none(module):
    assert run(f"import sys, {module}; print('keras' in sys.modules)") == "False\n"


# In each case a program that may load a model has to find the layers.
KNOWN = "import keras; assert keras.saving.get_registered_object('cnn_tf>Conv2D')"


@pytest.mark.slow
@pytest.mark.parametrize(
    "first",
    [
        "import cnn_tf",
        "import keras, cnn_tf",
        "import cnn_tf, keras",
        "from cnn_tf import corr2d",
        "import cnn_tf; cnn_tf.functional.pad",
        *(f"import cnn_tf.{name}" for name in ("functional", "plots", "training")),
    ],
)
def test_keras_knows_the_layers(first):
    run(f"{first}\n{KNOWN}")


def test_a_name_that_is_not_there_is_named():
    with pytest.raises(AttributeError, match="module 'cnn_tf' has no attribute 'Conv9D'"):
        cnn_tf.Conv9D  # noqa: B018
    assert set(cnn_tf.__all__) <= set(dir(cnn_tf))
    assert all(hasattr(cnn_tf, name) for name in cnn_tf.__all__)
