"""The notebooks run with Colab's versions, and nothing else there, as they are."""

import os
import re
import subprocess
from pathlib import Path

import nbformat
import pytest

from cnn_tf.data import locate
from tests.chapter import CHAPTER, NUMBERS, said, says

ROOT = Path(__file__).parent.parent

pytestmark = [pytest.mark.slow, pytest.mark.published]


def freeze(python):
    command = [python, "-m", "pip", "list", "--format", "freeze", "--exclude", "cnn_tf"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def colab(wheel):
    """Run in an environment with Colab's versions, in which the package is missing at first."""
    subprocess.run(["make", "colab"], cwd=ROOT, check=True, capture_output=True)
    python = ROOT / ".venv" / "colab" / "bin" / "python"
    uninstall = [python, "-m", "pip", "uninstall", "--quiet", "--yes", "cnn_tf"]
    subprocess.run(uninstall, check=True, capture_output=True)
    before = freeze(python)
    # Nothing but the wheel can be installed: no other package may be missing, or too old.
    yield python, {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheel.parent)}
    assert freeze(python) == before


@pytest.mark.parametrize("page", CHAPTER)
def test_runs_as_it_is(page, site, colab, tmp_path):
    # With Colab's versions; with the locked ones, the site has run the very same cells.
    python, settings = colab
    work = tmp_path / "work"
    work.mkdir()
    home = tmp_path / "home"
    ours = (
        "PYTHON",
        "CNN_TF_",
        "TF_CPP",
        "TF_ENABLE",
        "JUPYTER",
        "IPYTHON",
        "KERAS_",
        "VIRTUAL_ENV",
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
    environment |= {"HOME": str(home), "CNN_TF_DATA": str(locate().folder), **settings}
    notebook = nbformat.read(site / "notebooks" / f"{page}.ipynb", nbformat.NO_CONVERT)
    if page == "lenet" and os.environ.get("CNN_TF_REPEAT") != "long":  # as the weekly run has it
        for epochs in ("data, epochs=10)", "[-1]], epochs=2)"):
            (training,) = (cell for cell in notebook.cells if epochs in cell.source)
            training.source = re.sub(r"epochs=\d+", "epochs=1", training.source)
    file = work / "notebook.ipynb"
    nbformat.write(notebook, file)
    execute = Path(python).parent / "jupyter-execute"
    done = subprocess.run(
        [execute, "--inplace", "--timeout=600", file],
        cwd=work,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    executed = nbformat.read(file, nbformat.NO_CONVERT)
    outputs = [output for cell in executed.cells for output in cell.get("outputs", ())]
    assert [output.text for output in outputs if output.get("name") == "stderr"] == []
    text = said(executed)
    for number in NUMBERS.get(page, ()):
        assert says(number, text), number
    assert list(work.iterdir()) == [file]
    assert not (home / ".keras" / "models").exists()
