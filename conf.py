"""Sphinx's configuration of the book."""

import hashlib
import importlib.metadata
import importlib.util
import os
import platform
import sys
import tomllib
from pathlib import Path

from jupyter_cache import get_cache
from jupyter_client import KernelManager
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.errors import ConfigError

from cnn_tf.data import locate

ROOT = Path(__file__).parent
sys.path.insert(0, str(ROOT / "book" / "_extensions"))

_project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
project = _project["name"]
release = version = _project["version"]
author = ", ".join(person["name"] for person in _project["authors"])
copyright = f"{author}. Text CC BY 4.0, code MIT"

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinxcontrib.bibtex",
    "mathml",
    "solutions",
    "api",
    "questions",
    "notebooks",
    "explorers",
    "previews",
    "search",
    "finish",
    "description",
]
exclude_patterns = ["_extensions", "sample"]

# --- The data: found or fetched before any page runs ----------------------------------------------

try:
    _source = locate()
except (FileNotFoundError, ValueError) as error:
    raise ConfigError(str(error)) from None
print(f"Fashion-MNIST: {_source.origin}, {_source.folder}")

# --- Execution ------------------------------------------------------------------------------------

# For the kernels, which inherit them: TensorFlow's log is not part of a page.
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
os.environ["NVIDIA_TF32_OVERRIDE"] = "0"  # newer GPUs multiply in full precision, as checks expect
# What a page and its kernel tell each other is encrypted: each kernel warns where it is not.
KernelManager.transport_encryption.default_value = "auto"
# Two pages at a time share the cores: with more threads they would wait for one another.
for _name in ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(_name, str(max(1, (os.cpu_count() or 1) // 2)))
# Where cnn_tf.recipes.read_record finds what `make experiments` has kept.
os.environ["CNN_TF_RECORDS"] = str(ROOT / "experiments" / "records")


def _execution_key() -> str:
    """Name what the outputs of the pages depend on, apart from the pages themselves."""
    digest = hashlib.sha256()
    read = [
        *(ROOT / "cnn_tf").rglob("*.py"),
        *(ROOT / "book").glob("*.npz"),
        *(ROOT / "benchmarks" / "results").glob("*.json"),
        *(ROOT / "experiments" / "records").glob("*.json"),
    ]
    for path in sorted(read):
        digest.update(path.relative_to(ROOT).as_posix().encode() + path.read_bytes())
    packages = {
        f"{package.name}=={package.version}" for package in importlib.metadata.distributions()
    }
    digest.update("\n".join(sorted(packages)).encode())
    backend = os.environ.get("KERAS_BACKEND")
    digest.update(f"{platform.python_version()} {backend} {_source.origin}".encode())
    return digest.hexdigest()[:16]


nb_execution_mode = "cache"
nb_execution_cache_path = str(ROOT / "_build" / "executed" / _execution_key())
nb_execution_raise_on_error = True
nb_execution_timeout = 600
nb_merge_streams = True
# A notebook takes its outputs as they are, but MyST-NB wants to know an order for each builder.
nb_mime_priority_overrides = [("notebooks", "text/html", 1), ("notebooks", "text/plain", 2)]
# A page writes to stderr only if something is wrong with it; CUDA's libraries, though, always do.
_has_cuda = importlib.util.find_spec("nvidia") is not None
nb_output_stderr = "remove" if _has_cuda else "remove-warn"

myst_enable_extensions = ["amsmath", "attrs_inline", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
numfig = True
bibtex_bibfiles = ["book/references.bib"]
bibtex_default_style = "plain"
bibtex_reference_style = "author_year"

# The docstrings of the package: Google's style, and `code` in backticks as in Markdown.
default_role = "code"
# "Returns" among them: Napoleon would take what stands before a colon for a type.
napoleon_custom_sections = ["Shapes", "Returns", "Source"]
napoleon_attr_annotations = False
autodoc_typehints = "none"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
add_function_parentheses = False
python_maximum_signature_line_length = 60

# Copied code is code that runs: without the prompts of the examples.
copybutton_prompt_text = r">>> |\.\.\. "
copybutton_prompt_is_regexp = True

# --- The site -------------------------------------------------------------------------------------

html_theme = "furo"
pygments_dark_style = "a11y-high-contrast-dark"
html_title = "Convolutional networks"
html_static_path = ["book/_static"]
html_css_files = ["book.css"]
html_favicon = "book/_static/favicon.svg"
html_theme_options = {"navigation_with_keys": True}
html_copy_source = False
html_show_sphinx = False

if _source.is_sample:
    html_theme_options["announcement"] = (
        "These pages were made from a sample of Fashion-MNIST, 7,000 of its 70,000 pictures, "
        "because the full set could not be reached. Their numbers are not "
        "those that the text speaks of."
    )

# GitHub sets these in its workflows, so the site of a fork points at the fork.
if "GITHUB_REPOSITORY" in os.environ:
    notebooks_repository = os.environ["GITHUB_REPOSITORY"]
    _owner, _name = notebooks_repository.split("/")
    _site = f"{_owner.lower()}.github.io"
    html_baseurl = f"https://{_site}/" if _name.lower() == _site else f"https://{_site}/{_name}/"
    _address = f"{os.environ['GITHUB_SERVER_URL']}/{notebooks_repository}"
    _branch = os.environ.get("GITHUB_REF_NAME", "main")
    html_theme_options |= {
        "source_view_link": f"{_address}/blob/{_branch}/book/{{filename}}",
        "source_edit_link": f"{_address}/edit/{_branch}/book/{{filename}}",
    }
    # A notebook installs the package of the same commit.
    notebooks_requirement = f"git+{_address}@{os.environ['GITHUB_SHA']}"

# --- Two pages at a time --------------------------------------------------------------------------

# `sphinx -j 2` gives each process half of the list. These come last: what takes no time, and the
# three pages that take as long as all the others.
_LAST = ["notation", "speed", "api", "bibliography", "glossary", "foreign-models", "index", "lenet"]


def _share_out(app: Sphinx, env: BuildEnvironment, docnames: list[str]) -> None:
    # Made here, for two processes that find no cache would both make it.
    get_cache(app.config.nb_execution_cache_path).db.dispose()

    def place(name: str) -> tuple[int, str]:
        folder = name.partition("/")[0]
        return (_LAST.index(folder) if folder in _LAST else -1), name

    docnames.sort(key=place)


def setup(app: Sphinx) -> None:
    app.connect("env-before-read-docs", _share_out)
