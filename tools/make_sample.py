"""Write book/sample: the first 600 training and 100 test images of each class of Fashion-MNIST.

    uv pip install zopfli && python tools/make_sample.py

The same bytes on every run. Takes half a minute: zopfli searches long for the smallest gzip file,
without which the sample would exceed the limit of 3,000,000 bytes.
"""

import gzip
import hashlib
import os
import struct
from pathlib import Path

import numpy as np

from cnn_tf.data import locate

FOLDER = Path(__file__).parent.parent / "book" / "sample"
LIMIT = 3_000_000


def main() -> None:
    """Write the four files and print their hashes, which cnn_tf/data.py keeps."""
    import zopfli.gzip  # type: ignore[import-untyped]  # here: the tests need only sample_of

    os.environ.pop("CNN_TF_SAMPLE", None)  # never a sample of the sample
    full = locate().folder
    sample = sample_of(full, "train", each=600) | sample_of(full, "t10k", each=100)
    for name, content in sample.items():
        (FOLDER / f"{name}.gz").write_bytes(zopfli.gzip.compress(content))
        print(f'    "{name}": "{hashlib.sha256(content).hexdigest()}",')
    size = sum(path.stat().st_size for path in FOLDER.iterdir())
    print(f"{size:,} bytes in {FOLDER}")
    if size >= LIMIT:
        raise SystemExit(f"expected less than {LIMIT:,} bytes: take fewer images of each class")


def sample_of(folder: Path, part: str, each: int) -> dict[str, bytes]:
    """The IDX files of ``part`` with the first ``each`` images of each class."""
    images_name, labels_name = f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte"
    images = read(folder / f"{images_name}.gz", header=16).reshape(-1, 28, 28)
    labels = read(folder / f"{labels_name}.gz", header=8)
    picked = np.concatenate([np.flatnonzero(labels == kind)[:each] for kind in range(10)])
    if part == "t10k":  # shown in file order; the training part, which FashionMNIST shuffles,
        picked.sort()  # stays sorted by class, which packs 1 % smaller
    return {
        images_name: struct.pack(">4I", 2051, len(picked), 28, 28) + images[picked].tobytes(),
        labels_name: struct.pack(">2I", 2049, len(picked)) + labels[picked].tobytes(),
    }


def read(path: Path, header: int) -> np.ndarray:
    """The bytes after the header."""
    return np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=header)


if __name__ == "__main__":
    main()
