"""The same numbers on TensorFlow, JAX and PyTorch, each in a process of its own.

python -m tests.test_backends writes the book's table of what a user can do on which.
"""

import csv
import io
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

PROGRAM = Path(__file__).with_name("backend_numbers.py")
ROOT = PROGRAM.parents[1]


def run(arguments, backend, cwd=ROOT, **more):
    environment = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": str(ROOT), **more}
    return subprocess.run(
        [sys.executable, *arguments], env=environment, cwd=cwd, capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def numbers(tmp_path_factory):
    """A function from the name of a back end to its numbers, computed once."""
    folder, known = tmp_path_factory.mktemp("numbers"), {}

    def compute(backend):
        if backend not in known:
            as_users_do = {"JAX_DISABLE_MOST_OPTIMIZATIONS": "0"}
            result = run([PROGRAM, folder / f"{backend}.npz"], backend, **as_users_do)
            assert result.returncode == 0, result.stderr
            known[backend] = dict(np.load(folder / f"{backend}.npz"))
        return known[backend]

    return compute


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_numbers_are_those_of_tensorflow(backend, numbers, need):
    need(backend)
    actual, expected = numbers(backend), numbers("tensorflow")
    assert actual.keys() == expected.keys()
    for name, number in expected.items():
        # Sums are taken in another order: some units in the last place, of 16 bits or of 32.
        tolerance = 5e-3 if "float16" in name else 1e-5
        assert actual[name].dtype == number.dtype, name
        np.testing.assert_allclose(
            actual[name], number, rtol=tolerance, atol=tolerance, err_msg=name
        )


BACK_ENDS = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}
TABLE = ROOT / "book" / "back-ends.csv"


def table(folder):
    """Do what a user does, on each back end, and write in a table what came of it."""
    seen = {}
    for backend in BACK_ENDS:  # TensorFlow saves a network; the two others load it
        result = run([PROGRAM.with_name("backend_use.py"), folder], backend)
        assert result.returncode == 0, result.stderr
        seen[backend] = json.loads((folder / f"{backend}.json").read_text("utf-8"))
    lines = io.StringIO()
    rows = csv.writer(lines, lineterminator="\n")
    rows.writerow(["", *BACK_ENDS.values(), "where not"])
    for words in seen["tensorflow"]:
        outcomes = [seen[backend][words] for backend in BACK_ENDS]
        # What stands in quotes is code.
        refused = [
            re.sub(r"(\w+\.\w+\()?'[^']*'(?(1)\))", r"`\g<0>`", it)
            for it in outcomes
            if it != "yes"
        ]
        cells = [it if it == "yes" else "no" for it in outcomes]
        rows.writerow([words, *cells, *refused[:1]] if refused else [words, *cells, ""])
    return lines.getvalue()


def test_what_a_user_does_is_what_the_book_says(need, tmp_path):
    for backend in BACK_ENDS:
        need(backend)
    remedy = "python -m tests.test_backends writes the table anew"
    assert table(tmp_path) == TABLE.read_text("utf-8"), remedy


HIDE_ALL_BACK_ENDS = """
import sys

class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("tensorflow", "jax", "torch", "openvino"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Hide())
from cnn_tf import LeNet
"""


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_without_a_back_end_the_import_says_what_to_type(backend, tmp_path):
    result = run(["-c", HIDE_ALL_BACK_ENDS], backend, cwd=tmp_path)
    assert result.returncode != 0
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError")
    assert "pip install 'cnn_tf[tensorflow]'" in last
    assert f"'cnn_tf[{backend}]'" in last


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        TABLE.write_text(table(Path(folder)), "utf-8")
