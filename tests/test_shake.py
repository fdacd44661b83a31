"""The tool that executes the pages with changed first weights."""

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from tools import shake

ROOT = Path(__file__).parent.parent

PAGE = """---
file_format: mystnb
kernelspec:
  name: python3
---

# A page

```{code-cell}
import os

import keras

keras.utils.set_random_seed(0)
draw = float(keras.initializers.GlorotUniform()((1,))[0])
```

```{code-cell}
assert os.environ["TF_NUM_INTRAOP_THREADS"] == "2"
assert abs(draw) < 10, "never"
```

```{code-cell}
plain = PLAIN
assert draw == plain, f"not {plain}"
```
"""


@pytest.fixture
def page(tmp_path, monkeypatch):
    keras.utils.set_random_seed(0)
    plain = float(keras.initializers.GlorotUniform()((1,))[0])
    monkeypatch.setattr(shake, "BOOK", tmp_path)
    monkeypatch.setattr(shake, "RESULTS", tmp_path / "results")
    path = tmp_path / "page.md"
    path.write_text(PAGE.replace("PLAIN", repr(plain)), "utf-8")
    return path


@pytest.mark.slow
def test_a_check_that_holds_for_one_draw_only_is_listed(page, capsys, monkeypatch):
    arguments = ["shake", "page", "--times", "1", "--jobs", "1"]
    monkeypatch.setattr("sys.argv", arguments)
    assert shake.main() == 1
    said = capsys.readouterr().out
    assert "1/1  page, draw 1: 1 checks failed in" in said
    assert "cell 3, line 24: AssertionError: not " in said
    assert said.splitlines()[-1].split() == ["page", "1"]

    # What is done is not done again, until the page has changed.
    def never(*_, **__):
        raise RuntimeError("executed again")

    monkeypatch.setattr(shake, "ProcessPoolExecutor", never)
    assert shake.main() == 1
    assert "not " in capsys.readouterr().out
    page.write_text(page.read_text("utf-8") + "\n", "utf-8")
    with pytest.raises(RuntimeError, match="executed again"):
        shake.main()


def test_weights_change_by_a_millionth_and_otherwise_in_each_draw(monkeypatch):
    names = ("VarianceScaling", "RandomUniform", "RandomNormal", "TruncatedNormal", "Orthogonal")

    def drawn(draw):
        with monkeypatch.context() as patch:
            for kind in (getattr(keras.initializers, name) for name in names):
                patch.setattr(kind, "__call__", kind.__call__)  # brought back afterwards
            shake.perturb(draw)
            keras.utils.set_random_seed(0)
            layer = keras.layers.Dense(50)
            layer.build((None, 40))
            return np.asarray(layer.kernel)

    plain, one, again, two = (drawn(draw) for draw in (0, 1, 1, 2))
    np.testing.assert_array_equal(one, again)
    for changed in (one, two):
        assert 0.5e-6 < abs(changed / plain - 1).mean() < 1.5e-6
    assert not np.array_equal(one, two)


TF32 = """
import keras, numpy as np, tensorflow as tf
from cnn_tf.functional import correlate
from tools.shake import round_factors

def rounded(x):
    m, e = np.frexp(np.float64(x))
    return np.ldexp(np.rint(m * 2**11), e - 11).astype("float32")  # 1 + 10 bits

round_factors()
rng = np.random.default_rng(0)
a, b = (rng.normal(size=(50, 50)).astype("float32") for _ in range(2))
exact, coarse = (f(a).astype("float64") @ f(b).astype("float64") for f in (np.asarray, rounded))
for product in (tf.matmul, tf.function(tf.matmul), keras.ops.matmul,
                lambda a, b: keras.ops.einsum("ij,jk->ik", a, b),
                lambda a, b: keras.ops.conv(a[None, None], b[None, None])[0, 0],
                lambda a, b: correlate(a[None, None], b[None, None])[0, 0]):
    np.testing.assert_allclose(product(a, b), coarse, atol=1e-4)
assert abs(exact - coarse).max() > 2e-3
x = tf.Variable(a)
with tf.GradientTape() as tape:
    loss = tf.reduce_sum(tf.matmul(x, b) * exact.astype("float32"))
expected = rounded(exact).astype("float64") @ rounded(b).astype("float64").T
np.testing.assert_allclose(tape.gradient(loss, x), expected, atol=2e-3, rtol=1e-5)
# Infinities stay, and a number in the middle goes to the even side.
kept = np.array([[np.inf, np.nan, 1 + 2**-11, 1 + 3 * 2**-11]], "float32")
told = tf.matmul(tf.linalg.diag(kept[0, 2:]), np.eye(2, dtype="float32")).numpy().diagonal()
assert told.tolist() == [1, 1 + 2**-9], told
tf.config.experimental.enable_tensor_float_32_execution(False)
np.testing.assert_allclose(tf.matmul(a, b), exact, atol=1e-4)
tf.config.experimental.enable_tensor_float_32_execution(True)
assert np.isinf(tf.matmul(kept[:, :1], [[1.0]])) and np.isnan(tf.matmul(kept[:, 1:2], [[1.0]]))
"""


def test_products_are_rounded_as_newer_gpus_do():
    done = subprocess.run(
        [sys.executable, "-c", TF32], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_draws_take_turns_in_threads_and_libraries():
    kinds = {
        (each["TF_NUM_INTRAOP_THREADS"], each["TF_ENABLE_ONEDNN_OPTS"])
        for each in map(shake.settings, range(1, 5))
    }
    assert kinds == {("1", "0"), ("1", "1"), ("2", "0"), ("2", "1")}


@pytest.mark.parametrize("arguments", [["no-such-page"], ["--times", "0"], ["--jobs", "0"]])
def test_refuses(arguments, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["shake", *arguments])
    with pytest.raises(SystemExit):
        shake.main()
    assert "pages: " in capsys.readouterr().err
