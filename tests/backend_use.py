"""What a user does with the package, on whichever back end: a program that fails if it fails.

KERAS_BACKEND=torch python tests/backend_use.py FOLDER

The first run in a folder leaves a trained model there, the next ones load it. What was done, and
what was refused in which words, lies there afterwards, in a file that has the back end's name.
"""

import base64
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest

import cnn_tf
from cnn_tf import _backend
from cnn_tf._convolution import NAMES
from cnn_tf.distribution import distribute
from cnn_tf.exports import export
from cnn_tf.functional import average_pool, choose_algorithm, correlate, max_pool
from cnn_tf.receptive_field import receptive_field, receptive_field_by_gradient
from tests.backend_numbers import compiled

rng = np.random.default_rng(int(os.environ.get("CNN_TF_SEED", 0)))


def garments(number=64):
    part = rng.random((number, 28, 28, 1), "float32"), rng.integers(0, 10, number)
    return SimpleNamespace(train=part, validation=part)


def train():
    for model in (cnn_tf.LeNet(), cnn_tf.SmallResNet(filters=(4, 6)), cnn_tf.MLP()):
        log = cnn_tf.fit(model, garments(), epochs=2, verbose=False)
        assert len(log.history["val_loss"]) == 2
        assert log.device.partition(":")[0] in ("cpu", "gpu", "tpu")


def train_in_mixed_precision():
    model = cnn_tf.LeNet(dtype="mixed_bfloat16")
    log = cnn_tf.fit(model, garments(), epochs=1, verbose=False)
    assert np.isfinite(log.history["loss"]).all()
    conv = model.get_layer("conv1")
    assert (conv.compute_dtype, conv.variable_dtype) == ("bfloat16", "float32")


def train_on_several_devices():
    # Here there is one; test_distribution.py has more.
    with distribute() as group:
        log = cnn_tf.fit(cnn_tf.LeNet(), garments(), epochs=1, verbose=False)
    assert group.devices >= 1
    assert np.isfinite(log.history["loss"]).all()


def exchange(folder):
    """A model that was saved on one back end puts out the same on another."""
    images = rng.random((4, 28, 28, 1), "float32")
    if not (folder / "model.keras").exists():
        model = cnn_tf.LeNet()
        cnn_tf.fit(model, garments(), epochs=1, verbose=False)
        model.save(folder / "model.keras")
        np.savez(
            folder / "model.npz", images=images, outputs=keras.ops.convert_to_numpy(model(images))
        )
    kept = np.load(folder / "model.npz")
    loaded = keras.models.load_model(folder / "model.keras")
    outputs = keras.ops.convert_to_numpy(loaded(kept["images"]))
    np.testing.assert_allclose(outputs, kept["outputs"], rtol=1e-5, atol=1e-5)


def empty_batches():
    empty = np.zeros((0, 8, 9, 40), "float32")
    for layer in (
        cnn_tf.Conv2D(3, 3),
        cnn_tf.Conv2D(3, 3, strides=2, padding=1),
        cnn_tf.MaxPooling2D(2),
        cnn_tf.AveragePooling2D(3, strides=2, padding="same"),
    ):
        y = layer(empty)
        assert tuple(y.shape) == tuple(layer.compute_output_shape(empty.shape))


def properties():
    """Of each algorithm, in random settings: linear, the same everywhere, with its adjoint."""
    times = 1 if _backend.NAME == "jax" else 4  # JAX compiles for each shape
    for algorithm in NAMES:
        tried = 0
        for _ in range(400):  # one in nine suits the pickiest algorithm
            k_h, k_w, strides, dilation = rng.integers(1, 4, 4).tolist()
            channels, filters = rng.integers(1, 6, 2).tolist()
            before, after = rng.integers(0, 3, 2).tolist()
            settings = {"strides": strides, "dilation_rate": dilation if strides == 1 else 1}
            settings |= {"padding": ((before, after), (after, before))}
            if algorithm in ("pointwise", "winograd"):
                k_h = k_w = 1 if algorithm == "pointwise" else rng.integers(2, 4)
            kernel = _normal(k_h, k_w, channels, filters)
            if algorithm == "depthwise":
                kernel = _normal(k_h, k_w, 1, channels * filters)
                settings["groups"] = channels
            try:
                _check_properties(kernel, algorithm, **settings)
            except ValueError as error:
                if f"{algorithm!r} does not apply" not in str(error):
                    raise
            else:
                tried += 1
                if tried == times:
                    break
        assert tried == (0 if algorithm == "im2col" and _backend.NAME != "tensorflow" else times)


def receptive_fields():
    assert receptive_field_by_gradient([cnn_tf.Conv2D(1, 2)], 0, 0, (3, 3, 1)).sum() == 4
    assert receptive_field([cnn_tf.Conv2D(1, 5), cnn_tf.MaxPooling2D(2)]).size == (6, 6)


def explorers(folder):
    model = cnn_tf.LeNet()
    cnn_tf.save_network(model, folder / "network.json")
    layers = json.loads((folder / "network.json").read_text("utf-8"))["layers"]
    kernel = np.frombuffer(base64.b64decode(layers[0]["kernel"]["base64"]), "float32")
    conv = model.get_layer("conv1").kernel
    assert np.array_equal(kernel, keras.ops.convert_to_numpy(conv).ravel())


def exporting(folder):
    export(cnn_tf.LeNet(), folder / "exported")
    assert (folder / "exported" / "saved_model.pb").exists()


def algorithms():
    """The cheapest of those that the back end has."""
    if _backend.NAME == "tensorflow":
        assert choose_algorithm((32, 30, 30, 64), (3, 3, 64, 64)) in NAMES
    else:
        assert choose_algorithm((32, 30, 30, 64), (3, 3, 64, 64)) == "winograd"
        assert choose_algorithm((32, 30, 30, 64), (3, 3, 32, 64), groups=2) == "definition"
    if _backend.NAME == "torch":  # of few pictures, the number of calls counts
        of_lenet = (14, 14, 6), (5, 5, 6, 16)
        assert choose_algorithm((1, *of_lenet[0]), of_lenet[1]) == "definition"
        assert choose_algorithm((128, *of_lenet[0]), of_lenet[1]) == "block_toeplitz"
        for side, name in ((3, "depthwise"), (11, "definition")):
            assert choose_algorithm((1, 12, 12, 2), (side, side, 1, 2), groups=2) == name


def _normal(*shape):
    return rng.normal(size=shape).astype("float32")


def _check_properties(kernel, algorithm, strides, **settings):
    def run(x, algorithm=algorithm, settings=settings):
        def correlate_it(x):
            return correlate(x, kernel, strides=strides, algorithm=algorithm, **settings)

        return compiled(correlate_it)(x)

    def numbers(x, **how):
        return keras.ops.convert_to_numpy(run(x, **how))

    def close(one, other):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4, err_msg=f"{algorithm}")

    channels = kernel.shape[2] * settings.get("groups", 1)
    x, other = _normal(2, 11, 13, channels), _normal(2, 11, 13, channels)
    y = numbers(x)
    close(numbers(2 * x - other), 2 * y - numbers(other))
    close(y, numbers(x, algorithm="definition"))
    inside = {"settings": settings | {"padding": 0}}  # at the border, zeros come in
    moved = np.roll(x, (-strides, -2 * strides), axis=(1, 2))
    close(numbers(moved, **inside)[:, :-1, :-2], numbers(x, **inside)[:, 1:, 2:])
    upstream = _normal(*y.shape)
    weights = keras.ops.convert_to_tensor(upstream)
    to_x = _backend.gradient(lambda x: keras.ops.sum(run(x) * weights), other)
    one, other = (np.vdot(u.astype(float), v) for u, v in ((to_x, x), (upstream, y)))
    # Rounding is in proportion to what is summed, not to the sum, in which much may cancel.
    assert abs(one - other) < 1e-5 * np.linalg.norm(upstream) * np.linalg.norm(y), algorithm


def types():
    """The type that a symbolic call promises is that of the numbers."""
    for dtype in ("float32", "bfloat16"):
        x, kernel = keras.ops.ones((1, 5, 6, 2), dtype), keras.ops.ones((3, 3, 2, 4), dtype)
        symbolic = keras.KerasTensor(x.shape, dtype)
        for y, promised in (
            (correlate(x, kernel), correlate(symbolic, kernel)),
            (max_pool(x, 2), max_pool(symbolic, 2)),
            (average_pool(x, 2), average_pool(symbolic, 2)),
        ):
            assert keras.backend.standardize_dtype(y.dtype) == promised.dtype == dtype
            assert tuple(y.shape) == promised.shape


def numbers_of_64_bits():
    import torch

    x = torch.randn(2, 5, 6, 2, dtype=torch.float64, requires_grad=True)
    kernel = torch.randn(2, 3, 2, 3, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(3, dtype=torch.float64, requires_grad=True)
    for function, inputs in (
        (lambda x, k, b: correlate(x, k, padding="same", bias=b), (x, kernel, bias)),
        (lambda x, k: correlate(x, k, strides=2, padding=(0, 1)), (x, kernel)),
        (lambda x, k: correlate(x, k, groups=2), (x, kernel[:, :, :1, :2])),
        (lambda x: max_pool(x, 2, padding=1), (x,)),
        (lambda x: average_pool(x, (2, 3), strides=1), (x,)),
    ):
        assert function(*inputs).dtype == torch.float64
        assert torch.autograd.gradcheck(function, inputs)
    layer = cnn_tf.Conv2D(3, 2, dtype="float64")
    assert layer(x.detach()).dtype == torch.float64


def gradients_of_its_own():
    """A depthwise convolution brings its gradient: PyTorch does with it what it does elsewhere."""
    for settings in ({}, {"strides": 2, "padding": "same"}, {"dilation_rate": 2, "padding": 1}):
        _check_own_gradient(**settings)


def _check_own_gradient(**settings):
    import torch
    from torch import func

    def run(x, kernel, algorithm="depthwise"):
        return correlate(x, kernel, groups=3, algorithm=algorithm, **settings)

    def loss(x, kernel, algorithm="depthwise"):
        return torch.sum(run(x, kernel, algorithm) ** 3)

    x, kernel = (torch.randn(*shape).double() for shape in ((2, 6, 7, 3), (2, 3, 1, 6)))
    inputs = tuple(each.clone().requires_grad_() for each in (x, kernel))
    assert torch.autograd.gradcheck(run, inputs)
    assert torch.autograd.gradgradcheck(run, inputs)
    expected = torch.autograd.grad(loss(*inputs, "definition"), inputs)
    for one, other in zip(func.grad(loss, (0, 1))(x, kernel), expected, strict=True):
        torch.testing.assert_close(one, other)
    of_each = func.vmap(lambda x: func.grad(loss, 1)(x[None], kernel))(x)
    torch.testing.assert_close(of_each.sum(0), expected[1])
    _, along = func.jvp(lambda x: loss(x, kernel), (x,), (torch.ones_like(x),))
    torch.testing.assert_close(along, expected[0].sum())
    jacobian = torch.autograd.functional.jacobian  # which goes back for several at once
    one, other = (jacobian(run, (x, kernel), vectorize=at_once) for at_once in (True, False))
    torch.testing.assert_close(one, other)
    y = loss(*inputs)
    with torch.no_grad():
        inputs[1].add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()


def symbolic_sizes():
    """JAX makes one program of a layer for batches of all sizes, and images of all sizes."""
    import jax

    x, more = _normal(2, 9, 10, 4), _normal(3, 11, 12, 4)
    layers = [
        cnn_tf.Conv2D(8, 3),
        cnn_tf.Conv2D(8, 3, strides=2, padding="same"),
        cnn_tf.Conv2D(8, 1, strides=2),
        cnn_tf.Conv2D(8, 3, groups=4),
        cnn_tf.Conv2D(16, 3, padding=1, padding_mode="reflect"),
        cnn_tf.MaxPooling2D(3, 2, "same"),
        cnn_tf.AveragePooling2D(2),
    ]
    for layer in layers:
        layer(x)
        for sizes, images, least in (
            ("b, 9, 10, 4", _normal(3, 9, 10, 4), ()),
            ("b, h, w, 4", more, ("h >= 5", "w >= 5")),
        ):
            if "h" in sizes and getattr(layer, "groups", 1) > 1:
                continue  # JAX does not see that a product of such sizes is not negative
            shape = jax.export.symbolic_shape(sizes, constraints=least)
            program = jax.export.export(jax.jit(lambda x, layer=layer: layer(x)))
            called = program(jax.ShapeDtypeStruct(shape, "float32")).call(images)
            np.testing.assert_allclose(called, layer(images), rtol=1e-4, atol=1e-5)


def in_one_graph():
    """PyTorch's compiler makes one graph of a layer, and a second one for batches of all sizes.

    What torch.export makes of a model is for batches of all sizes, too.
    """
    sizes = {name: 1 if name == "pointwise" else 3 for name in NAMES if name != "im2col"}
    settings = {name: {"padding": "same", "algorithm": name} for name in sizes}
    settings["depthwise"]["groups"] = 5
    for layer in (
        *(cnn_tf.Conv2D(5, sizes[name], **settings[name]) for name in sizes),
        cnn_tf.Conv2D(6, 3, padding=1, padding_mode="reflect", activation="relu"),
        cnn_tf.Conv2D(6, (3, 2), strides=2, padding=((0, 1), (2, 0)), use_bias=False),
        cnn_tf.MaxPooling2D(3, 2, 1),
        cnn_tf.AveragePooling2D(3, 2, "same"),
    ):
        _check_one_graph(layer)


def _check_one_graph(layer):
    import torch

    x, graphs = torch.randn(2, 9, 10, 5), []

    def count(graph, _):
        graphs.append(graph)
        return graph

    expected = layer(x)  # which also builds it
    torch.compiler.reset()
    compiled = torch.compile(layer, backend=count, fullgraph=True)
    for batch in (x, x, torch.cat([x, x]), torch.cat([x, x, x]), x):
        images = batch.clone().requires_grad_()
        y = compiled(images)
        torch.testing.assert_close(y[: len(x)], expected, rtol=1e-4, atol=1e-4)
        y.sum().backward()
        assert torch.any(images.grad != 0)
    assert len(graphs) == 2

    model, any_number = keras.Sequential([keras.Input(x.shape[1:]), layer]), torch.export.Dim.AUTO
    exported = torch.export.export(model, (x,), dynamic_shapes=(({0: any_number},),))
    y = exported.module()(torch.cat([x, x, x]))
    torch.testing.assert_close(y[-len(x) :], expected, rtol=1e-4, atol=1e-4)
    traced = torch.jit.trace(layer, x, check_trace=False)
    torch.testing.assert_close(traced(x), expected, rtol=1e-4, atol=1e-4)


def images_of_all_sizes():
    """What torch.export makes is for images of all sizes, too, unless "same" meets a stride."""
    import torch

    x, larger = torch.randn(2, 9, 10, 4), torch.randn(3, 12, 15, 4)
    sizes = {axis: torch.export.Dim(f"size_{axis}", min=5, max=100) for axis in (1, 2)}
    for layer in (
        cnn_tf.Conv2D(8, 3),
        cnn_tf.Conv2D(8, 3, padding="same", groups=4),
        cnn_tf.Conv2D(8, 3, padding=1, padding_mode="reflect"),
        cnn_tf.MaxPooling2D(2),
        cnn_tf.AveragePooling2D(2),
    ):
        layer(x)
        model = keras.Sequential([keras.Input((None, None, 4)), layer])
        dynamic = {0: torch.export.Dim.AUTO, **sizes}
        exported = torch.export.export(model, (x,), dynamic_shapes=((dynamic,),))
        torch.testing.assert_close(exported.module()(larger), layer(larger), rtol=1e-4, atol=1e-4)


def labels():
    """JAX would train on labels beyond the outputs, without a word."""
    images = rng.random((8, 28, 28, 1)).astype("float32")
    part = images, np.arange(8)
    data = SimpleNamespace(train=part, validation=part)
    with pytest.raises(ValueError, match=r"model has 5 outputs\. Received: labels from 0 to 7"):
        cnn_tf.fit(cnn_tf.LeNet(5), data, verbose=False)


class Interrupt(keras.callbacks.Callback):
    """As Ctrl-C in the second epoch."""

    def on_train_batch_end(self, batch, logs=None):
        if int(self.model.optimizer.iterations) > 2:
            raise KeyboardInterrupt


def resuming(folder):
    """Interrupted and called again, a training ends with the same numbers, bit for bit."""
    part = rng.random((64, 6, 6, 1), "float32"), rng.integers(0, 3, 64)
    data = SimpleNamespace(train=part, validation=part)

    def run(folder, *callbacks):
        keras.utils.set_random_seed(1)
        layers = [cnn_tf.Conv2D(2, 3), keras.layers.Dropout(0.5), keras.layers.Flatten()]
        model = keras.Sequential([keras.Input((6, 6, 1)), *layers, keras.layers.Dense(3)])
        options = {"batch_size": 32, "optimizer": "adam", "callbacks": callbacks, "verbose": False}
        log = cnn_tf.fit(model, data, 4, checkpoint_dir=folder, **options)
        return model.get_weights(), log.history

    expected = run(None)
    with pytest.raises(KeyboardInterrupt):
        run(folder, Interrupt())
    assert sorted(path.name for path in folder.iterdir()) == ["epoch-0000.npz", "epoch-0001.npz"]
    weights, history = run(folder)
    assert history == expected[1]
    assert all(map(np.array_equal, weights, expected[0]))


def not_finite():
    """The step is found, the layer is named, and the weights from before are there."""
    part = rng.random((64, 6, 6, 1), "float32"), rng.integers(0, 3, 64)
    data = SimpleNamespace(train=part, validation=part)
    model = keras.Sequential([keras.Input((6, 6, 1)), cnn_tf.Conv2D(2, 3), keras.layers.Flatten()])
    model.add(keras.layers.Dense(3))
    with pytest.raises(FloatingPointError, match=r"step 2 of epoch 1\. The first output .* layer"):
        cnn_tf.fit(model, data, batch_size=32, optimizer=keras.optimizers.SGD(1e25), verbose=False)
    assert all(np.isfinite(weights).all() for weights in model.get_weights())
    assert int(model.optimizer.iterations) == 1


def uses(folder: Path) -> dict[str, Callable[[], None]]:
    """What is done, in the words of the book's table."""
    own = folder / f"kept by {_backend.NAME}"
    return {
        "every algorithm: linear, the same everywhere, with its adjoint": properties,
        "the cheapest algorithm is taken": algorithms,
        "empty batches": empty_batches,
        "the type that a symbolic call promises": types,
        "receptive fields, by the rule and by the gradient": receptive_fields,
        "`fit`: LeNet, `SmallResNet`, `MLP`": train,
        "`fit` in mixed precision": train_in_mixed_precision,
        "`fit` refuses labels that the model cannot have": labels,
        "`fit` stops at a loss that is no number, and names the layer": not_finite,
        "`fit` goes on from a checkpoint, bit for bit": lambda: resuming(own),
        "`distribute`: several devices of one host": train_on_several_devices,
        "a model saved by another back end": lambda: exchange(folder),
        "`save_network`, for the explorers": lambda: explorers(folder),
        "`export`": lambda: exporting(folder),
    }


def outcome(use: Callable[[], None]) -> str:
    """What the table says: that it was done, or the words with which it was refused."""
    try:
        use()
    except NotImplementedError as refusal:
        return str(refusal)
    return "yes"


if __name__ == "__main__":
    place = Path(sys.argv[1])
    if _backend.NAME != "tensorflow":  # as where it is not installed; Keras would import it
        sys.modules["tensorflow"] = None
    seen = {words: outcome(use) for words, use in uses(place).items()}
    if keras.backend.backend() == "torch":
        numbers_of_64_bits()
        gradients_of_its_own()
        in_one_graph()
        images_of_all_sizes()
    elif keras.backend.backend() == "jax":
        symbolic_sizes()
    (place / f"{_backend.NAME}.json").write_text(json.dumps(seen), "utf-8")
