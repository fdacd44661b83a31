"""What holds the project together: its metadata, its locked versions, what goes into the wheel."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def name_of(requirement):
    return re.match(r"[\w-]+", requirement)[0]


def test_hard_dependencies_are_keras_numpy_and_what_makes_the_import_lazy():
    hard = ["keras", "lazy-loader", "numpy", "wrapt"]
    assert sorted(map(name_of, PYPROJECT["dependencies"])) == hard


def test_back_ends_come_by_extra():
    assert {"tensorflow", "gpu", "jax", "torch", "book", "test"} <= set(
        PYPROJECT["optional-dependencies"]
    )


def test_environment_yml_installs_this_package_and_repeats_no_version():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))
    *conda, pip = environment["dependencies"]
    assert [re.split("=", package)[0] for package in conda] == ["python", "pip"]
    (install,) = pip["pip"]
    extras = re.fullmatch(r"-e \.\[(.+)\]", install)[1].split(",")
    assert {"tensorflow", "book", "test"} <= set(extras)
    assert set(extras) <= set(PYPROJECT["optional-dependencies"])


@pytest.mark.parametrize("name", ["cpu", "gpu", "uv", "colab"])
def test_locked_versions_are_exact_and_hashed(name):
    text = (ROOT / "requirements" / f"{name}.txt").read_text("utf-8")
    blocks = re.split(r"\n(?=[a-z])", re.sub(r"^ *#.*\n", "", text, flags=re.MULTILINE).strip())
    assert blocks
    for block in blocks:
        assert re.match(r"[\w.\[\],-]+==[\w.+]+( ;.*)? \\\n", block), block[:80]
        assert "--hash=sha256:" in block, block[:80]
    assert "://" not in text  # no index is written down


def test_what_all_may_install_is_locked():
    locked = (ROOT / "requirements" / "cpu.txt").read_text("utf-8")
    wanted = {name_of(requirement) for requirement in PYPROJECT["dependencies"]}
    for extra in ("cpu", "cli", "book", "notebooks", "test", "dev"):
        wanted |= set(map(name_of, PYPROJECT["optional-dependencies"][extra]))
    for name in wanted - {"cnn_tf"}:  # in an extra that holds others
        assert re.search(rf"^{name}==", locked, re.MULTILINE), name


@pytest.mark.parametrize("file", [".ci/run", ".github/workflows/site.yml"])
def test_what_is_published_refuses_the_sample(file):
    text = (ROOT / file).read_text("utf-8")
    assert re.search(r'export CNN_TF_SAMPLE= |CNN_TF_SAMPLE: ""', text)
