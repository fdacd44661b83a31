"""The wheel, in an empty environment: what those get who import the layers."""

import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.published

ROOT = Path(__file__).parent.parent
SUPPORTED = ("3.11", "3.12", "3.13")

# Each public name is used as its docstring uses it. One module without an underscore holds helpers.
PROGRAM = """
import doctest
import importlib
import pkgutil

import cnn_tf

assert "site-packages" in cnn_tf.__file__
used, public = set(), {getattr(cnn_tf, name) for name in cnn_tf.__all__}
for info in pkgutil.iter_modules(cnn_tf.__path__, "cnn_tf."):
    if not info.name.endswith("__"):
        module = importlib.import_module(info.name)
        used |= {test.name for test in doctest.DocTestFinder().find(module) if test.examples}
        options = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
        assert doctest.testmod(module, optionflags=options).failed == 0, info.name
        if info.name != "cnn_tf.arguments" and not info.name.startswith("cnn_tf._"):
            public |= {
                thing
                for name, thing in vars(module).items()
                if getattr(thing, "__module__", "") == info.name and not name.startswith("_")
            }
for thing in public:
    assert f"{thing.__module__}.{thing.__qualname__}" in used, thing
print(len(used), "names used")
"""


def interpreter(version):
    """A Python of this version that starts: from PATH, or one of pyenv's."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    found = [shutil.which(f"python{version}"), *pyenv.glob(f"versions/{version}.*/bin/python")]
    for path in filter(None, found):
        if subprocess.run([path, "-c", "import venv"], capture_output=True).returncode == 0:
            return path
    return None


def test_holds_the_package_and_nothing_else(wheel):
    assert wheel.stat().st_size < 300_000
    names = zipfile.ZipFile(wheel).namelist()
    package = ROOT / "cnn_tf"
    modules = {path.relative_to(package).as_posix() for path in package.rglob("*.py")}
    for ending in ("js", "pyi"):
        modules |= {path.relative_to(package).as_posix() for path in package.rglob(f"*.{ending}")}
    packed = {name.removeprefix("cnn_tf/") for name in names if ".dist-info/" not in name}
    assert packed == modules | {"py.typed"}


def test_its_description_renders(wheel):
    # What PyPI shows, made by the program that PyPI uses.
    from readme_renderer import markdown

    archive = zipfile.ZipFile(wheel)
    (name,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
    head, text = archive.read(name).decode().split("\n\n", 1)
    assert "Description-Content-Type: text/markdown" in head
    html = markdown.render(text)
    assert html is not None
    assert "<h1" in html
    assert "<pre" in html


@pytest.mark.slow
@pytest.mark.parametrize("version", SUPPORTED)
def test_every_public_name_works_from_the_wheel(wheel, version, tmp_path):
    python = interpreter(version)
    if python is None:
        pytest.skip(f"Python {version} is not installed here")
    uv = ROOT / ".venv" / "bin" / "uv"
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("PYTHON")
    }

    def run(*command):
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    run(uv, "venv", "--python", python, "empty")
    # The locked versions, apart from that.
    locked = ("--constraint", ROOT / "requirements" / "cpu.txt", "--no-build")
    into = ("--python", "empty/bin/python", f"cnn_tf[cpu,notebooks] @ {wheel.as_uri()}")
    run(uv, "pip", "install", *locked, *into)
    assert "names used" in run("empty/bin/python", "-c", PROGRAM)


def test_the_changelog_begins_with_the_version(wheel):
    version = wheel.name.split("-")[1]
    lines = (ROOT / "CHANGELOG.md").read_text("utf-8").splitlines()
    first = next(line for line in lines if line.startswith("## "))
    assert first.startswith(f"## {version} (")
