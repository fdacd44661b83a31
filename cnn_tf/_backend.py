"""Keras's back end and its device, asked for in one place; and the few things only TensorFlow has.

Everything else in the package is written in `keras.ops`, which TensorFlow, JAX and PyTorch share.
"""

import contextlib
import functools
import importlib.util
import operator
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

NAME = keras.backend.backend()
if NAME == "tensorflow":
    import tensorflow as tf
elif NAME == "jax":
    import jax
elif NAME == "torch":
    import torch

Tensor = Any


def is_tensorflow(x: Tensor = None) -> bool:
    """Whether TensorFlow computes, and x is not only the shape and type of a tensor."""
    return NAME == "tensorflow" and not isinstance(x, keras.KerasTensor)


def is_torch(x: Tensor) -> bool:
    """Whether PyTorch computes, and x is not only the shape and type of a tensor."""
    return NAME == "torch" and not isinstance(x, keras.KerasTensor)


def shape_of(x: Tensor) -> Any:
    """The sizes, `None` where one is not known before the computation runs."""
    return tuple(map(_number, x.shape))


def shape_of_batch(x: Tensor) -> Any:
    """The sizes of images. PyTorch's compiler gets one graph for any number of them: `None`."""
    batch, *image = x.shape
    several = NAME == "torch" and torch.compiler.is_compiling()
    return None if several else _number(batch), *map(_number, image)


def _number(size: Any) -> int | None:
    if NAME == "torch" and (torch.compiler.is_dynamo_compiling() or torch.jit.is_tracing()):
        return operator.index(size)  # where there may be a symbol
    return size if isinstance(size, int) else None


def constant(numbers: np.ndarray, like: Tensor) -> Tensor:
    """Numbers as a tensor, of the type and on the device of another one."""
    if is_torch(like):  # its compiler cannot follow Keras's own
        return torch.as_tensor(numbers, dtype=like.dtype, device=like.device)
    return keras.ops.convert_to_tensor(numbers, dtype=like.dtype)


def cached(function: Callable[..., Any]) -> Callable[..., Any]:
    """Keep what a function of numbers gives: in eager mode it is called again and again."""
    kept = functools.lru_cache(maxsize=1024)(function)
    if NAME != "torch":
        return kept

    @functools.wraps(function)
    def call(*arguments: Any) -> Any:
        # PyTorch's compiler calls it once, and would warn that it does not use what is kept.
        return (function if torch.compiler.is_compiling() else kept)(*arguments)

    return call


def device_name() -> str:
    """Keras's name of the first accelerator, such as `"gpu:0"`, or else `"cpu:0"`."""
    if NAME == "torch":  # for which Keras lists no devices
        return "gpu:0" if torch.cuda.is_available() else "cpu:0"
    return str(keras.distribution.list_devices()[0])


def explain_device() -> str:
    """Why it is that device, and what to do if it should be another."""
    if NAME == "tensorflow":
        version, built = tf.__version__, tf.test.is_built_with_gpu_support()
        hint = "pip install 'cnn_tf[gpu]', or in a clone `make install GPU=1`"
        seen = [it.name for it in tf.config.list_logical_devices() if it.device_type != "CPU"]
    elif NAME == "jax":
        version, hint = jax.__version__, "pip install 'jax[cuda13]'"
        seen = [str(device) for device in jax.devices() if device.platform != "cpu"]
        if jax.config.jax_platforms == "cpu":
            return f"JAX {version} was told so: JAX_PLATFORMS is cpu."
        built = importlib.util.find_spec("jax_plugins") is not None
    elif NAME == "torch":
        version, built = torch.__version__, torch.backends.cuda.is_built()
        hint = "install the CUDA build as pytorch.org says"
        seen = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    else:
        return f"Keras's back end is {NAME}."
    name = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}[NAME]
    if seen:
        return f"{name} {version} sees {', '.join(seen)}."
    if not built:
        return f"{name} {version} was installed without CUDA. For an NVIDIA GPU: {hint}."
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    if hidden in ("", "-1"):
        return f"CUDA_VISIBLE_DEVICES={hidden} hides every GPU from {name} {version}."
    return (
        f"{name} {version} was installed with CUDA, but sees no GPU. Ask `nvidia-smi` whether "
        "there is one, with a driver that is new enough."
    )


def has_accelerator() -> bool:
    """Whether there is something better than a CPU to compute on."""
    return not device_name().startswith("cpu")


def sizes(x: Tensor) -> tuple[Any, ...]:
    """The sizes of all axes but the first, numbers where they are known: then nothing computes."""
    known = tuple(x.shape[1:])
    return tuple(keras.ops.shape(x)[1:]) if None in known else known


def check_later(at_least: Any, size: Any, message: str) -> None:
    """Let a TensorFlow graph stop, with a message, if a size turns out to be less than that.

    Elsewhere sizes are known when a function is called, and have been checked by then.
    """
    if NAME == "tensorflow" and tf.is_tensor(size):
        tf.debugging.assert_greater_equal(size, at_least, f"{message} The size stands here as x:")


def cut(x: Tensor, axis: int, start: int, stop: int) -> Tensor:
    """x[start:stop] along an axis of known size."""
    return cut_axes(x, {axis: (start, stop)})


def cut_axes(x: Tensor, ranges: Mapping[int, tuple[int, int]]) -> Tensor:
    """x[start:stop] along each of some axes of known size, all at once."""
    ranges = {axis: cells for axis, cells in ranges.items() if cells != (0, x.shape[axis])}
    if not ranges:
        return x
    if not is_tensorflow(x):
        return x[tuple(slice(*ranges.get(axis, (None,))) for axis in range(len(x.shape)))]
    # The gradient of this is a padding, and ten times as fast as that of x[...].
    begin, size = np.zeros(len(x.shape), int), np.full(len(x.shape), -1)
    for axis, (start, stop) in ranges.items():
        begin[axis], size[axis] = start, stop - start
    return tf.slice(x, begin, size)


def split(x: Tensor, parts: Sequence[int], axis: int) -> list[Tensor]:
    """Parts of an axis, of so many entries each: Keras's own adds operations to find where."""
    if len(parts) == 1:
        return [x]
    if is_tensorflow(x):
        return list(tf.split(x, parts, axis))
    return list(keras.ops.split(x, np.cumsum(parts[:-1]).tolist(), axis))


def take(x: Tensor, entries: np.ndarray, axis: int = 0) -> Tensor:
    """The entries of an axis with these numbers, none negative: Keras's own looks for such."""
    if is_tensorflow(x):
        return tf.gather(x, entries, axis=axis)
    if is_torch(x) and axis == 0:  # which its compiler can follow
        return x[torch.as_tensor(entries, device=x.device)]
    return keras.ops.take(x, entries, axis=axis)


def pad(x: Tensor, pads: Sequence[Any], value: float = 0) -> Tensor:
    """Cells before and after each axis, that hold one number.

    Keras's own makes an object with a new name at each call, so PyTorch's compiler, which looks
    whether anything has changed, would compile at each call.
    """
    if is_tensorflow(x):
        if value == 0:
            return tf.pad(x, pads)
        # tf.vectorized_map forgets the number that tf.pad is given, and pads with zeros.
        number = tf.cast(value, x.dtype)
        for axis, sides in enumerate(pads):
            if any(not isinstance(cells, int) or cells for cells in sides):
                shape = keras.ops.shape(x)
                before, after = (
                    tf.fill((*shape[:axis], cells, *shape[axis + 1 :]), number) for cells in sides
                )
                x = tf.concat([before, x, after], axis)
        return x
    if is_torch(x):  # from the last axis to the first
        flat = [int(cells) for sides in reversed(pads) for cells in sides]
        return torch.nn.functional.pad(x, flat, value=value)
    return keras.ops.pad(x, pads, constant_values=value)


def matmul(a: Tensor, b: Tensor, *, transpose: str = "") -> Tensor:
    """The product of matrices. With transpose, `"a"` or `"b"`, both are plain matrices."""
    if is_tensorflow(a) and len(a.shape) == len(b.shape) == 2:  # no transposed copy is made
        return tf.matmul(a, b, transpose_a=transpose == "a", transpose_b=transpose == "b")
    a, b = (a.T if transpose == "a" else a), (b.T if transpose == "b" else b)
    if not is_torch(a):
        return keras.ops.matmul(a, b)
    # Of numbers of 64 bits, Keras's own makes some of 32.
    if len(b.shape) > 2:
        return a @ b
    *places, inner = a.shape  # of a view, PyTorch would multiply small pieces
    return (a.reshape(-1, inner) @ b).reshape(*places, b.shape[1])


def materialize(x: Tensor) -> Tensor:
    """The same numbers. XLA writes them to memory, on JAX, before anything is made of them.

    Without it what follows may compute them again and again, each number several times.
    """
    return jax.lax.optimization_barrier(x) if NAME == "jax" else x


def gate(x: Tensor, by: Tensor) -> Tensor:
    """On TensorFlow, x where the other tensor is positive, and zero elsewhere: in one pass."""
    return tf.raw_ops.ReluGrad(gradients=x, features=by)


def reduce_max(x: Tensor, axis: int) -> Tensor:
    """On TensorFlow, the largest entries along an axis: Keras's own refuses an empty batch."""
    return tf.reduce_max(x, axis)


def custom_gradient(
    function: Callable[..., tuple[Any, Callable[..., Any]]],
    *tensors: Tensor,
    backends: Sequence[str] = ("tensorflow",),
) -> Tensor:
    """Apply a function that brings its own gradient.

    The gradient is made of ordinary operations, so it has a gradient itself.

    Args:
        function: A function of the tensors. It returns its value, and a second function, which
            turns the gradient of that value into those of the tensors. On PyTorch the value may
            be a tuple of tensors; the second function takes a gradient for each.
        tensors: What it is applied to, and differentiated with respect to.
        backends: Where its own gradient is faster, of TensorFlow and PyTorch. Elsewhere the
            operations of the function are differentiated; JAX would refuse forward mode else.
    """
    if NAME not in backends or isinstance(tensors[0], keras.KerasTensor):
        return function(*tensors)[0]
    if NAME == "torch":
        if _is_transformed(*tensors) or not torch.is_grad_enabled():
            return function(*tensors)[0]
        return _WithGradient.apply(function, *tensors)

    @tf.custom_gradient
    def with_gradient(*tensors: Tensor) -> tuple[Tensor, Callable[[Tensor], Any]]:
        y, gradients = function(*tensors)
        shape = y.shape  # y itself would be kept alive

        def of_known_shape(upstream: Tensor) -> Any:
            upstream = tf.convert_to_tensor(upstream)  # it may be sparse
            upstream.set_shape(shape)  # and may have lost its shape on the way back
            return gradients(upstream)

        return y, of_known_shape

    # In a branch of tf.cond, a custom gradient cannot read what comes from outside.
    return with_gradient(*(each if _is_here(each) else tf.identity(each) for each in tensors))


if NAME == "torch":

    class _WithGradient(torch.autograd.Function):
        """What a function of tensors gives, with its own gradient."""

        @staticmethod
        def forward(context: Any, function: Callable[..., Any], *tensors: Tensor) -> Any:
            y, context.gradients = function(*tensors)
            context.function = function
            context.save_for_backward(*tensors)
            return y

        @staticmethod
        def backward(context: Any, *upstreams: Tensor) -> Any:
            tensors = context.saved_tensors  # refused, if one has been changed in the meantime
            gradients = context.gradients
            again = torch.is_grad_enabled()  # to be differentiated itself, down to the tensors
            if any(map(_is_batched, upstreams)):  # then nothing may be done in place
                with torch.enable_grad():
                    tensors = [
                        it if it.requires_grad else it.clone().requires_grad_() for it in tensors
                    ]
                    y, _ = context.function(*tensors)
                return None, *torch.autograd.grad(y, tensors, upstreams, create_graph=again)
            if again:
                _, gradients = context.function(*tensors)
            return None, *gradients(*upstreams)


def _is_transformed(*tensors: Tensor) -> bool:
    """Whether PyTorch does anything with a function but to call it and to go back through it."""
    followed = torch.compiler.is_compiling() or torch.jit.is_tracing()
    if followed or torch._C._are_functorch_transforms_active():
        return True
    unpack = torch.autograd.forward_ad.unpack_dual
    return any(unpack(each).tangent is not None for each in tensors)


def _is_batched(upstream: Tensor) -> bool:
    """Whether PyTorch goes back for several gradients at once (`vmap`, `is_grads_batched`)."""
    kinds = torch._C._functorch.is_batchedtensor, torch._C._functorch.is_legacy_batchedtensor
    return any(kind(upstream) for kind in kinds)


def add_products(pairs: Iterable[tuple[Tensor, Tensor]]) -> Tensor:
    """The sum of the products of pairs of tensors, in place where PyTorch allows it."""
    in_place = NAME == "torch" and not _is_transformed()
    products = iter(pairs)
    total = operator.mul(*next(products))
    for a, b in products:
        total = total.addcmul_(a, b) if in_place else total + a * b
    return total


def gradient(function: Callable[[Tensor], Tensor], x: np.ndarray) -> np.ndarray:
    """The derivative of a number with respect to an array."""
    if is_tensorflow():
        variable = tf.convert_to_tensor(x)
        with tf.GradientTape() as tape:
            tape.watch(variable)
            value = function(variable)
        result = tape.gradient(value, variable, unconnected_gradients="zero")
    elif NAME == "jax":
        # In one: else each operation would be compiled on its own, for each shape.
        result = jax.jit(jax.grad(function))(keras.ops.convert_to_tensor(x))
    elif NAME == "torch":
        variable = keras.ops.convert_to_tensor(x).requires_grad_(True)
        (result,) = torch.autograd.grad(function(variable), variable, materialize_grads=True)
    else:
        raise NotImplementedError(
            "Expected a back end with gradients: TensorFlow, JAX or PyTorch. Received: "
            f"{NAME!r}. Set the environment variable KERAS_BACKEND."
        )
    return np.asarray(keras.ops.convert_to_numpy(result))


def after(tensors: Sequence[Tensor]) -> contextlib.AbstractContextManager[Any]:
    """On TensorFlow, a context in which nothing is computed before these tensors are there.

    Without it a graph would start all parts of a task at once, and memory would hold them all.
    """
    if NAME != "tensorflow" or tf.executing_eagerly():
        return contextlib.nullcontext()
    return tf.control_dependencies(list(filter(_is_here, tensors)))


def in_graph(tensor: Tensor) -> list[Tensor]:
    """A tensor of a TensorFlow graph, for `after`: an eager one would be kept alive."""
    return [] if NAME != "tensorflow" or tf.executing_eagerly() else [tensor]


def _is_here(tensor: Tensor) -> bool:
    """Whether a tensor belongs to the TensorFlow graph that is being made, if one is."""
    if tf.executing_eagerly():
        return True
    return getattr(tensor, "graph", None) is tf.compat.v1.get_default_graph()


@contextlib.contextmanager
def distribute(timeout: int) -> Iterator[tuple[int, int, int]]:
    """Several devices for what is done within: their number, that of the processes, and which.

    Processes that are named by Keras's environment variables are waited for.
    """
    address, total, own = _processes()
    if NAME == "jax":
        if total > 1:
            # As keras.distribution.initialize, which has no timeout; it would be 100 seconds.
            jax.distributed.initialize(address, total, own, heartbeat_timeout_seconds=timeout)
        before = keras.distribution.distribution()
        # Each process cuts its part out of the batches itself: Keras does so for tf.data alone.
        parallel = keras.distribution.DataParallel(auto_shard_dataset=False)
        keras.distribution.set_distribution(parallel)
        try:
            yield jax.device_count(), total, own
        finally:
            keras.distribution.set_distribution(before)  # with it, a single process could not save
    elif NAME == "tensorflow" and total == 1:
        # Those of one kind, and the GPUs if there are any.
        seen = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        if len(seen) == 1:
            yield 1, 1, 0
            return
        strategy = tf.distribute.MirroredStrategy([device.name for device in seen])
        with strategy.scope():
            yield len(seen), 1, 0
    else:
        raise NotImplementedError(
            f"Several devices train together on JAX, and on TensorFlow in one process. Received: "
            f"{NAME}, {total} process{'es' if total > 1 else ''}. Set KERAS_BACKEND to jax."
        )


def _processes() -> tuple[str, int, int]:
    """What Keras's environment variables say: the first's address, how many, and which this is."""
    names = [f"KERAS_DISTRIBUTION_{it}" for it in ("JOB_ADDRESSES", "NUM_PROCESSES", "PROCESS_ID")]
    address, *numbers = (os.environ.get(name, "") for name in names)
    if not any(numbers):
        return address, 1, 0
    try:
        total, own = map(int, numbers)
    except ValueError:
        total, own = 0, 0
    if not 0 <= own < total or (total > 1 and ":" not in address):
        raise ValueError(
            f"Expected {names[0]} to be an address with a port, {names[1]} a number from 1, and "
            f"{names[2]} one from 0 and less than that. Received: {address!r}, {numbers[0]!r} and "
            f"{numbers[1]!r}."
        )
    return address.split(",")[0], total, own


def group(strategy: Any = None) -> tuple[int, int, int]:
    """The devices that train together now, the processes, and the number of this one.

    Args:
        strategy: The strategy of a TensorFlow model.

    Raises:
        NotImplementedError: Devices have been named that would silently not be used.
    """
    parallel = keras.distribution.distribution()
    if NAME != "jax" and parallel is not None:
        raise NotImplementedError(
            f"keras.distribution works on JAX alone; on {NAME} Keras takes a "
            f"{type(parallel).__name__} and trains on one device as before. Set KERAS_BACKEND to "
            "jax, or use cnn_tf.distribution.distribute."
        )
    if NAME == "tensorflow":
        if "MultiWorker" in type(strategy).__name__ or "Parameter" in type(strategy).__name__:
            raise NotImplementedError(
                f"Keras's fit does not work under a {type(strategy).__name__}. Several hosts train "
                "together on JAX: see cnn_tf.distribution.distribute."
            )
        return getattr(strategy, "num_replicas_in_sync", 1), 1, 0
    if parallel is None:
        return 1, 1, 0
    if jax.process_count() > 1 and parallel.auto_shard_dataset:
        raise NotImplementedError(
            "fit gives each process its part of a batch itself. Received: a distribution with "
            "auto_shard_dataset=True. Set it to False, or use cnn_tf.distribution.distribute."
        )
    return parallel.device_mesh.devices.size, jax.process_count(), jax.process_index()


_MOVE_PICTURES = (
    keras.layers.RandomPerspective,
    keras.layers.RandomRotation,
    keras.layers.RandomShear,
    keras.layers.RandomTranslation,
    keras.layers.RandomZoom,
)


def let_compile(model: keras.Model) -> None:
    """Let XLA compile what moves pictures at random, on JAX, where it can.

    Keras forbids it, for TensorFlow's kernel is not made for XLA. On JAX a model with such a layer
    would then train uncompiled, one operation after the other: `SmallResNet` six times as long.
    """
    if NAME == "jax":
        for layer in model._flatten_layers():  # as Keras looks for what forbids it
            if isinstance(layer, _MOVE_PICTURES):
                layer.supports_jit = True


def set_seed(seed: int) -> None:
    """Set the state of PyTorch's own random numbers. The other back ends have none to set.

    Keras's layers draw by seed generators, which the model holds.
    """
    if NAME == "torch":
        torch.manual_seed(seed)


def batches(
    images: np.ndarray,
    labels: np.ndarray,
    batch_size: int,
    order: np.ndarray | None = None,
    group: tuple[int, int, int] = (1, 1, 0),
) -> Any:
    """Batches for Keras's `fit`, in an order that may be changed in place between epochs.

    The last batch is cut to a multiple of the number of devices in the group; a process gets its
    part of each.
    """
    if order is None:
        order = np.arange(len(images), dtype="int64")
    devices, processes, process = group
    order = order[: len(order) // devices * devices]  # a view, which changes with it
    if not is_tensorflow():
        return _Batches(images, labels, batch_size, order, processes, process)
    # As Keras makes them of arrays, but not tuned while they are read: TensorFlow's tuning sleeps
    # for 10, 20, 40, ... milliseconds, and at the end of an epoch Keras often waits until the last
    # sleep is over: for up to as long as the epoch took.
    with tf.device("cpu"):
        images, labels = tf.constant(images), tf.constant(labels)

    def epoch(_: Tensor) -> Any:
        now = tf.numpy_function(order.copy, (), tf.int64, stateful=True)
        now.set_shape((len(order),))

        def batch(start: Tensor) -> tuple[Tensor, Tensor]:
            part = now[start : start + batch_size]
            return tf.gather(images, part), tf.gather(labels, part)

        return tf.data.Dataset.range(0, len(order), batch_size).map(batch)

    read = tf.data.Dataset.range(1).flat_map(epoch)
    read = read.apply(tf.data.experimental.assert_cardinality(-(-len(order) // batch_size)))
    options = tf.data.Options()
    options.autotune.enabled = False
    return read.prefetch(1).with_options(options)


class _Batches(keras.utils.PyDataset):
    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        batch_size: int,
        order: np.ndarray,
        processes: int,
        process: int,
    ) -> None:
        super().__init__()
        self._images, self._labels = images, labels
        self._batch_size, self._order = batch_size, order
        self._processes, self._process = processes, process

    def __len__(self) -> int:
        return -(-len(self._order) // self._batch_size)

    def __getitem__(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        part = self._order[number * self._batch_size : (number + 1) * self._batch_size]
        part = np.split(part, self._processes)[self._process]
        return self._images[part], self._labels[part]
