"""Training on several devices at once, of one host or of several: each takes a part of each batch.

What does the work is Keras's on JAX (`keras.distribution`), and TensorFlow's on TensorFlow
(`tf.distribute`); here is what has to be done around it.
"""

import contextlib
from collections.abc import Iterator
from typing import NamedTuple

from cnn_tf import _backend
from cnn_tf.arguments import check_int


class Group(NamedTuple):
    """The devices and the processes that train together.

    Args:
        devices: How many devices, on all hosts.
        processes: How many processes.
        process: The number of this one.

    Example:
        >>> from cnn_tf.distribution import Group
        >>> Group(devices=16, processes=2, process=0).is_first
        True
    """

    devices: int
    processes: int
    process: int

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that writes files and speaks."""
        return self.process == 0


@contextlib.contextmanager
def distribute(timeout: int = 30) -> Iterator[Group]:
    """Let several devices train together what is made and trained within this context.

    A step is the same as on one device: each device computes the gradient of its part of the batch,
    and all take the mean. With JAX the devices are those of this host, or, if the environment names
    other processes, those of all. With TensorFlow they are the GPUs of this host. PyTorch trains on
    one device.

    Several processes are started by you, one on each host, with the same program. Each has the
    environment variables `KERAS_DISTRIBUTION_JOB_ADDRESSES`, the address and port of process 0,
    `KERAS_DISTRIBUTION_NUM_PROCESSES`, and `KERAS_DISTRIBUTION_PROCESS_ID`. Make the model from the
    same seed in each of them; JAX refuses
    weights that differ. Only process 0 writes checkpoints, into a
    folder that all of them can read; let it alone save the model, after the context.

    Args:
        timeout: Seconds after which a process that is no longer heard of ends the others.

    Returns:
        A context manager that gives a `Group`. It is to be entered once in a program, before
        anything is computed, where there are several processes.

    Raises:
        NotImplementedError: The back end is neither JAX nor TensorFlow, or TensorFlow is asked for
            several processes.
        ValueError: The environment names a number of processes without an address or a number of
            this one, or numbers that are none.
        TypeError: `timeout` is no integer.

    Source:
        `keras.distribution.DataParallel`; `tf.distribute.MirroredStrategy`; Goyal et al. (2017),
        *Accurate, large minibatch SGD*, on what becomes of the learning rate.

    Example:
        >>> from types import SimpleNamespace
        >>> import numpy as np
        >>> from cnn_tf import LeNet, fit
        >>> from cnn_tf.distribution import distribute
        >>> images, labels = np.zeros((8, 28, 28, 1), "float32"), np.arange(8)
        >>> data = SimpleNamespace(train=(images, labels), validation=(images, labels))
        >>> with distribute() as group:
        ...     model = LeNet()
        ...     log = fit(model, data, epochs=1, verbose=False)
        >>> group.is_first, group.processes
        (True, 1)
    """
    check_int(timeout, "timeout", minimum=1)
    with _backend.distribute(timeout) as (devices, processes, process):
        yield Group(devices, processes, process)
