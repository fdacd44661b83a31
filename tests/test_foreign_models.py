"""What the page on foreign models relies on: PyTorch's numbers, and other libraries' names."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import cnn_tf

ROOT = Path(__file__).parent.parent


def test_pytorch_gives_the_numbers_in_the_file(tmp_path, need):
    need("torch")
    program = (
        "import sys; import numpy as np; from tools.make_torch_network import numbers; "
        "np.savez(sys.argv[1], **numbers())"
    )
    subprocess.run([sys.executable, "-c", program, tmp_path / "now.npz"], cwd=ROOT, check=True)
    now, kept = np.load(tmp_path / "now.npz"), np.load(ROOT / "book" / "torch-network.npz")
    assert now.files == kept.files
    for name in now.files:
        np.testing.assert_allclose(now[name], kept[name], atol=1e-6, err_msg=name)


# --- The tables of names --------------------------------------------------------------------------


def column(table, library):
    """The first words in backticks of a column, in the table of convolution or of pooling."""
    text = (ROOT / "book" / "api" / "layers.md").read_text("utf-8")
    (rows,) = re.findall(rf"^\| {table} \|(?:.*\n)(?:^\|.*\n)+", text, re.MULTILINE)
    head, _, *rows = ([cell.strip() for cell in row.split("|")] for row in rows.splitlines())
    cells = (row[head.index(library)] for row in rows)
    return [found[1] for cell in cells if (found := re.match(r"`(\w+)", cell))]


@pytest.mark.parametrize(("library", "module"), [("cnn_tf", cnn_tf), ("Keras", keras.layers)])
@pytest.mark.parametrize(
    ("table", "layers"),
    [("Convolution", ["Conv2D"]), ("Pooling", ["MaxPooling2D", "AveragePooling2D"])],
)
def test_the_names_are_those_of_the_layers(table, layers, library, module):
    names = set(column(table, library))
    assert set(layers) <= names
    arguments = {
        name
        for layer in layers
        for name in inspect.signature(getattr(module, layer).__init__).parameters
    }
    assert len(names & arguments) >= 3
    assert all(name in arguments or hasattr(module, name) for name in names)
    # None is left out of those that say how a window moves.
    moves = {"kernel_size", "pool_size", "strides", "padding", "padding_mode", "groups"}
    assert arguments & (moves | {"filters", "dilation_rate", "count_include_pad"}) <= names


def test_the_names_of_pytorch_are_right(need):
    need("torch")
    program = """
import inspect, sys
from torch import nn
for layers, words in ((("Conv2d",), sys.argv[1]), (("MaxPool2d", "AvgPool2d"), sys.argv[2])):
    for word in words.split():
        signatures = [inspect.signature(getattr(nn, layer)) for layer in layers]
        arguments = {name for found in signatures for name in found.parameters}
        assert word in arguments or hasattr(nn, word), word
"""
    words = [" ".join(column(table, "PyTorch")) for table in ("Convolution", "Pooling")]
    subprocess.run([sys.executable, "-c", program, *words], check=True)
