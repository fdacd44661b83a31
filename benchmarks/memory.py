"""Peak memory of a convolution forward and backward: a program, for it needs a fresh process.

python -m benchmarks.memory cnn_tf 1 256 128 5
"""

import subprocess
import sys
from pathlib import Path

from benchmarks.measure import Comparison


def peak_bytes(package: str, batch: int, size: int, channels: int, kernel: int) -> float:
    """What images, outputs, gradients and all between them take at most, in this process."""
    import keras

    import cnn_tf
    from benchmarks.steps import training

    layers = {"cnn_tf": cnn_tf, "keras.layers": keras.layers}[package]

    def run(*shape: int) -> None:
        gradients = training(layers.Conv2D(channels, kernel, padding="same"), shape, jit=False)
        for _ in range(3):
            gradients()

    # A small image first: what TensorFlow allocates once is not the layer's.
    run(1, 16, 16, channels)
    before = _resident("VmRSS")
    run(batch, size, size, channels)
    return _resident("VmHWM") - before


def in_a_fresh_process(package: str, *sizes: int) -> float:
    """`peak_bytes`, of a process that has done nothing else."""
    command = [sys.executable, "-m", "benchmarks.memory", package, *map(str, sizes)]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{result.stderr}")
    return float(result.stdout.split()[-1])


def compare_memory(rounds: int) -> Comparison:
    """Ours and Keras's, with bytes in place of seconds."""
    peaks: dict[str, list[float]] = {"cnn_tf": [], "keras.layers": []}
    for _ in range(rounds):
        for package, values in peaks.items():
            values.append(in_a_fresh_process(package, 1, 256, 128, 5))
    return Comparison("Peak memory of Conv2D(128, 5) on 1x256x256x128", 1.5, peaks, unit="MB")


def _resident(name: str) -> float:
    """Linux's count of this process's memory, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return 1024 * float(line.split()[1])
    raise OSError(f"This system does not tell {name} in /proc/self/status; Linux does.")


if __name__ == "__main__":
    print(peak_bytes(sys.argv[1], *map(int, sys.argv[2:])))
