"""A trained model for programs that have neither this package nor Keras.

Keras's own exporters do the work, on the TensorFlow back end, which knows all of these formats.
"""

import importlib.util
import os
import shutil
import tempfile
import warnings
from pathlib import Path
from typing import NamedTuple

import keras

from cnn_tf import _backend


class Format(NamedTuple):
    """A kind of file that `export` writes.

    Args:
        keras_name: What Keras calls it.
        suffix: How the names of its files end; a SavedModel is a folder, of any name.
        packages: What has to be installed to write it, besides TensorFlow.

    Example:
        >>> from cnn_tf.exports import FORMATS
        >>> FORMATS["onnx"].suffix
        '.onnx'
    """

    keras_name: str
    suffix: str
    packages: tuple[str, ...] = ()


FORMATS = {
    "saved_model": Format("tf_saved_model", ""),
    "onnx": Format("onnx", ".onnx", ("onnx", "tf2onnx")),
    "litert": Format("litert", ".tflite"),
    "openvino": Format("openvino", ".xml", ("openvino",)),
}


# Another folder is not replaced, nor one that has anything else in it.
_OF_A_SAVED_MODEL = {"assets", "fingerprint.pb", "saved_model.pb", "variables"}


def export(model: keras.Model, path: str | os.PathLike[str], format: str | None = None) -> None:
    """Write a model for another runtime: SavedModel, ONNX, LiteRT or OpenVINO.

    All four take batches of any size, and images of any size where the model does. A file or
    a SavedModel of that name is replaced when the new one is complete; another folder, a link, and
    a file where a folder should be are left as they are, and refused.

    Args:
        model: A Sequential or functional model, built.
        path: Where it goes. A SavedModel is a folder; the others are a file, that of OpenVINO with
            its weights beside it in a file that ends in `.bin`.
        format: A key of `FORMATS`; `None` means that which the path's ending names, and a
            SavedModel where it has none.

    Shapes:
        Those of the model.

    Raises:
        ValueError: There is no such format, the path has another ending, or the model has not been
            built.
        FileExistsError: There is something of that name that is not to be replaced.
        ImportError: A package that the format needs is not installed; the message names it.
        NotImplementedError: Another back end than TensorFlow computes: save the model by
            `model.save`, and export it where KERAS_BACKEND is tensorflow.

    Source:
        `keras.Model.export`.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from cnn_tf import LeNet
        >>> from cnn_tf.exports import export
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     export(LeNet(), Path(folder, "lenet"))
        ...     sorted(path.name for path in Path(folder, "lenet").iterdir())[-2:]
        ['saved_model.pb', 'variables']
    """
    path = Path(os.path.abspath(Path(path).expanduser()))
    if format is None:
        named = [name for name, it in FORMATS.items() if it.suffix == path.suffix]
        format = named[0] if named else path.suffix
    if format not in FORMATS:
        raise ValueError(
            f"`format` must be one of {', '.join(map(repr, FORMATS))}. Received: {format!r} for "
            f"{path}."
        )
    kind = FORMATS[format]
    if kind.suffix and path.suffix != kind.suffix:
        raise ValueError(
            f"A file of the format {format!r} ends in {kind.suffix}. Received: path={str(path)!r}."
        )
    _check_place(path, folder=not kind.suffix)
    if not _backend.is_tensorflow():
        raise NotImplementedError(
            f"export computes on TensorFlow alone. Received: the back end {_backend.NAME!r}. Save "
            "the model by model.save('model.keras'), and export that file where KERAS_BACKEND is "
            "tensorflow: its outputs are the same there."
        )
    missing = [name for name in kind.packages if importlib.util.find_spec(name) is None]
    if missing:
        raise ImportError(
            f"The format {format!r} needs {' and '.join(missing)}: pip install 'cnn_tf[export]'"
        )
    if not model.built:
        raise ValueError(
            f"export expected a model that has been built. Received: {model.name}, which has not "
            "been called on any image yet."
        )
    if getattr(model, "inputs", None):
        model(model.inputs)  # some exporters want it to have been called, though it is built
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".exporting-", dir=path.parent) as folder:
        draft = Path(folder, path.name)
        with warnings.catch_warnings():
            # Of the exporters themselves, about the versions of what they import.
            warnings.simplefilter("ignore")
            model.export(str(draft), format=kind.keras_name, verbose=False)
        for made in sorted(Path(folder).iterdir()):
            place = path.parent / made.name
            if place.is_dir():
                shutil.rmtree(place)
            made.replace(place)


def _check_place(path: Path, folder: bool) -> None:
    """Refuse to replace what is not a model: a folder of other things, or a file for a folder."""
    if path.is_symlink():
        what = "a symbolic link"
    elif not path.exists() or (path.is_file() and not folder):
        return
    elif path.is_file():
        what = "a file"
    elif folder and {it.name for it in path.iterdir()} <= _OF_A_SAVED_MODEL:
        return
    else:
        what = "a folder with other things in it" if folder else "a folder"
    raise FileExistsError(
        f"export would have to replace {path}, which is {what}. Nothing was written. Choose a name "
        "that is free."
    )
