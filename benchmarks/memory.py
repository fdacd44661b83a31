"""Peak memory of a convolution forward and backward: a program, for it needs a fresh process.

python -m benchmarks.memory cnn_tf
"""

import subprocess
import sys
from pathlib import Path

from benchmarks.measure import Comparison

SHAPE = (1, 256, 256, 128)


def peak_bytes(package: str) -> float:
    """What images, outputs, gradients and all between them take at most, in this process."""
    import keras
    import tensorflow as tf

    import cnn_tf
    from benchmarks.layers import step

    layers = {"cnn_tf": cnn_tf, "keras.layers": keras.layers}[package]
    # A small image first: what TensorFlow allocates once is not the layer's.
    step(layers.Conv2D(128, 5, padding="same"), (1, 16, 16, 128), jit=False)()
    before = _resident("VmRSS")
    run = step(layers.Conv2D(128, 5, padding="same"), SHAPE, jit=False)
    for _ in range(3):
        run()
    assert tf.config.list_physical_devices("GPU") == []
    return _resident("VmHWM") - before


def compare_memory(rounds: int) -> Comparison:
    """The same in Keras, each run in a process of its own; the unit is bytes instead of seconds."""
    peaks: dict[str, list[float]] = {"cnn_tf": [], "keras.layers": []}
    for _ in range(rounds):
        for package, values in peaks.items():
            command = [sys.executable, "-m", "benchmarks.memory", package]
            result = subprocess.run(command, capture_output=True, text=True, check=True)
            values.append(float(result.stdout.split()[-1]))
    size = "x".join(map(str, SHAPE))
    return Comparison(f"Peak memory of Conv2D(128, 5) on {size}", 1.5, peaks, unit="MB")


def _resident(name: str) -> float:
    """Linux's count of this process's memory, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return 1024 * float(line.split()[1])
    raise OSError(f"This system does not tell {name} in /proc/self/status; Linux does.")


if __name__ == "__main__":
    print(peak_bytes(sys.argv[1]))
