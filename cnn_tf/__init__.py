"""Convolutional networks from first principles, as Keras layers worth importing.

A name is looked for when it is used first, in the module that `__init__.pyi` says. So what needs no
back end starts none: the data set, the command line and its help.
"""

import contextlib
import importlib
import importlib.util
import pkgutil
import sys
from types import ModuleType
from typing import Any

import lazy_loader
import wrapt

_find, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> Any:
    try:
        if name in __all__:
            return _find(name)
        if not name.startswith("_") and importlib.util.find_spec(f"{__name__}.{name}"):
            return importlib.import_module(f"{__name__}.{name}")
    except ModuleNotFoundError as error:
        if error.name not in ("tensorflow", "jax", "torch", "openvino"):
            raise
        raise ImportError(
            f"Keras cannot compute without a back end ({error}). Install one: "
            "pip install 'cnn_tf[tensorflow]'. For another one, pip install 'cnn_tf[jax]' or "
            "'cnn_tf[torch]', and set the environment variable KERAS_BACKEND to its name."
        ) from error
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _register(_: ModuleType) -> None:
    """Make the layers known to Keras, which looks for them when it loads a saved model."""
    if "keras" in sys.modules:
        # From within the first import of a module that the layers need, it fails. It is tried again
        # when that module is complete.
        with contextlib.suppress(ImportError):
            importlib.import_module("cnn_tf.layers")


for _name in ("keras", *(f"{__name__}.{module.name}" for module in pkgutil.iter_modules(__path__))):
    wrapt.register_post_import_hook(_register, _name)  # at once, if it has been imported before
