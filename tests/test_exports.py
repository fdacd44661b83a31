"""Each exported file, run by its own runtime, puts out what the model does."""

import importlib.util
from pathlib import Path

import keras
import numpy as np
import pytest

from cnn_tf import AveragePooling2D, Conv2D, LeNet, MaxPooling2D, SmallResNet
from cnn_tf.exports import FORMATS, export

pytestmark = pytest.mark.slow


def any_size():
    """Each layer, in settings that Keras has not, for images of unknown height and width."""
    layers = [
        Conv2D(8, 5, padding=2, padding_mode="reflect", activation="relu"),
        MaxPooling2D(3, strides=2, padding=1),
        Conv2D(16, 3, padding=((1, 1), (0, 2)), padding_mode="circular"),
        AveragePooling2D(2),
        Conv2D(4, 3, strides=2, groups=4, padding="same"),
        Conv2D(6, (1, 3), dilation_rate=(1, 2), padding_mode="replicate", padding=(0, 2)),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(5),
    ]
    return keras.Sequential([keras.Input((None, None, 3)), *layers])


SHAPES = {
    "LeNet": (LeNet, [(1, 28, 28, 1), (7, 28, 28, 1)]),
    "SmallResNet": (SmallResNet, [(1, 28, 28, 1), (7, 28, 28, 1)]),
    "any size": (any_size, [(2, 32, 40, 3), (3, 24, 24, 3)]),
}
NAMES = {"saved_model": "net", "onnx": "net.onnx", "litert": "net.tflite", "openvino": "net.xml"}


def saved_model(path):
    import tensorflow as tf

    loaded = tf.saved_model.load(path)
    return lambda x: loaded.serve(x)  # which must stay alive


def onnx(path):
    import onnxruntime

    session = onnxruntime.InferenceSession(path)
    (image,) = session.get_inputs()
    return lambda x: session.run(None, {image.name: x})[0]


def litert(path):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=1)
    (image,), (output,) = interpreter.get_input_details(), interpreter.get_output_details()

    def run(x):
        interpreter.resize_tensor_input(image["index"], x.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(image["index"], x)
        interpreter.invoke()
        return interpreter.get_tensor(output["index"])

    return run


def openvino(path):
    import openvino

    # By default it computes in 16 bits where the processor can.
    model = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda x: model(x)[0]


RUNTIMES = {"saved_model": saved_model, "onnx": onnx, "litert": litert, "openvino": openvino}


# Of the runtimes, about the versions of what they import.
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("format", FORMATS)
def test_it_computes_the_same_elsewhere(format, name, need, tmp_path, rng):
    for package in (*FORMATS[format].packages, {"onnx": "onnxruntime"}.get(format, "numpy")):
        need(package)
    keras.utils.set_random_seed(0)
    make, shapes = SHAPES[name]
    model, path = make(), tmp_path / "made" / NAMES[format]
    export(model, path)
    run = RUNTIMES[format](str(path))
    for shape in shapes:
        x = rng.random(shape, "float32")
        found, expected = np.asarray(run(x)), np.asarray(model(x))
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    before = {it.name for it in path.parent.iterdir()}
    export(model, path)  # over itself
    assert {it.name for it in path.parent.iterdir()} == before


def test_what_is_no_model_is_not_replaced(tmp_path, monkeypatch):
    model, thesis = LeNet(), tmp_path / "project" / "thesis.txt"
    thesis.parent.mkdir()
    thesis.write_text("All my work.")
    (tmp_path / "folder.onnx").mkdir()
    (tmp_path / "link").symlink_to(thesis.parent)
    monkeypatch.chdir(thesis.parent)
    for path, what in {
        thesis.parent: "a folder with other things in it",
        thesis: "a file",
        tmp_path / "link": "a symbolic link",
        "..": "a folder with other things in it",
        tmp_path / "folder.onnx": "a folder",
    }.items():
        format = None if str(path).endswith(".onnx") else "saved_model"
        with pytest.raises(FileExistsError, match=rf"which is {what}\. Nothing was written"):
            export(model, path, format)
    assert thesis.read_text() == "All my work."
    assert [it.name for it in thesis.parent.iterdir()] == ["thesis.txt"]
    export(model, "new")
    Path("new", "notes.txt").write_text("Beside a model.")
    with pytest.raises(FileExistsError, match="a folder with other things in it"):
        export(model, "new")


def test_what_is_wrong_is_said_before_anything_is_written(tmp_path, monkeypatch):
    model = LeNet()
    with pytest.raises(
        ValueError, match=r"must be one of 'saved_model', 'onnx'.* Received: '\.h5'"
    ):
        export(model, tmp_path / "a.h5")
    with pytest.raises(ValueError, match=r"ends in \.onnx\. Received: path="):
        export(model, tmp_path / "a.pb", "onnx")
    with pytest.raises(ValueError, match="has not been called on any image yet"):
        export(keras.Sequential([keras.layers.Flatten()]), tmp_path / "a")
    with monkeypatch.context() as patch:
        patch.setattr("cnn_tf.exports._backend.NAME", "jax")
        with pytest.raises(NotImplementedError, match="export that file where KERAS_BACKEND is"):
            export(model, tmp_path / "a")
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda it: None if it == "onnx" else find(it))
    with pytest.raises(ImportError, match=r"needs onnx: pip install 'cnn_tf\[export\]'"):
        export(model, tmp_path / "a.onnx")
    assert not list(tmp_path.iterdir())
