"""Fashion-MNIST: find or fetch its four files, verify each of them, split once."""

from __future__ import annotations

import gzip
import hashlib
import math
import os
import shutil
import struct
import subprocess
import tempfile
import urllib.request
import zlib
from collections.abc import Callable
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from cnn_tf.plots import Figure

_URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
_TIMEOUT = 20  # seconds without a byte
_PACKAGE = "dataset-fashion-mnist"
_PACKAGE_FOLDER = Path("/usr/share/datasets/fashion-mnist")
_UNPACK = f"""
apt() {{
    apt-get -qq -oDir::State::Lists=./lists -oDir::Cache=./cache -oAcquire::Languages=none \\
        -oAcquire::Retries=0 -oAcquire::http::Timeout={_TIMEOUT} "$@"
}}
mkdir -p lists/partial cache/archives/partial
apt update  # one dead repository fails it, and need not matter here
apt download {_PACKAGE} && dpkg-deb -x {_PACKAGE}_*.deb .
"""

# SHA-256 of the decompressed content: Debian's .gz files differ from upstream's in the header.
_FILES = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
_SAMPLE_FILES = {  # as tools/make_sample.py prints them
    "train-images-idx3-ubyte": "87c3e113eadaebc9c1f3b8a88551b5a6f8743ffb0176f8401982fae249adb9c1",
    "train-labels-idx1-ubyte": "36239b2fdf241d5dbff63c32905176de3a83d346a9293dab6a16c19a74424030",
    "t10k-images-idx3-ubyte": "7cee33c3c6414b1b86c25e665a6c4f41584269de3b7cc9768b1d351922845eef",
    "t10k-labels-idx1-ubyte": "3128d790775889812b73c4f13923559c8b9e281d112c6ea7862acf60a206a909",
}

_Arrays = list[NDArray[np.uint8]]  # in the order of _FILES


class Split(NamedTuple):
    """Images, float32 `(n, 28, 28, 1)` in [0, 1], and their labels, int64 `(n,)` in 0..9.

    Example:
        >>> from cnn_tf import FashionMNIST
        >>> images, labels = FashionMNIST().test
        >>> images.shape[1:], labels.dtype.name
        ((28, 28, 1), 'int64')
    """

    images: NDArray[np.float32]
    labels: NDArray[np.int64]


class Source(NamedTuple):
    """Where the four files lie, how they came there, and whether they are only the sample.

    Example:
        >>> from cnn_tf.data import locate
        >>> source = locate()
        >>> sorted(path.name for path in source.folder.glob("train-*"))
        ['train-images-idx3-ubyte.gz', 'train-labels-idx1-ubyte.gz']
    """

    folder: Path
    origin: str
    is_sample: bool


class FashionMNIST:
    """Fashion-MNIST, 28x28 grey pictures of ten kinds of clothing, in three parts.

    The official training images are shuffled and cut into `validation` and `train` once, by
    `seed`: the same seed gives the same parts on every machine. `test` is the official test
    set in its own order. Choose by `validation`; look at `test` once, at the end.

    Args:
        folder: Folder with the four `.gz` files, the first place to look; see `locate`.
        validation_split: Share of the official training images held out, between 0 and 1.
        seed: Seed of the shuffle.
        download: Whether the files may be fetched when no folder has them.

    Shapes:
        Each part is a `Split`: images `(n, 28, 28, 1)` and labels `(n,)`, n by default 50,000
        in `train`, 10,000 in `validation` and 10,000 in `test`.

    Returns:
        An object with `train`, `validation`, `test`, `class_names` and `source`.

    Raises:
        TypeError: `validation_split` is not a number.
        ValueError: `validation_split` leaves a part empty; the named folder has a corrupt file.
        FileNotFoundError: The data is nowhere to be had; the message lists what was tried.

    Source:
        Xiao, Rasul and Vollgraf (2017), *Fashion-MNIST*, arXiv:1708.07747.

    Example:
        >>> from cnn_tf import FashionMNIST
        >>> data = FashionMNIST()
        >>> images, labels = data.train
        >>> images.shape[1:], images.dtype, labels.dtype
        ((28, 28, 1), dtype('float32'), dtype('int64'))
        >>> data.class_names[9]
        'Ankle boot'
    """

    class_names = (
        *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    )

    def __init__(
        self,
        folder: str | os.PathLike[str] | None = None,
        *,
        validation_split: float = 1 / 6,
        seed: int = 0,
        download: bool = True,
    ) -> None:
        wrong = f"Expected validation_split between 0 and 1, such as 1/6; got {validation_split!r}"
        try:
            inside = 0 < validation_split < 1
        except TypeError as error:
            raise TypeError(f"{wrong}, which is not a number.") from error
        if not inside:
            raise ValueError(f"{wrong}.")
        rng = np.random.default_rng(seed)

        self.source, (images, labels, test_images, test_labels) = _load(folder, download)
        cut = round(len(labels) * validation_split)
        if not 0 < cut < len(labels):
            raise ValueError(f"{wrong}, which holds out {cut} of the {len(labels)} images.")
        held_out, kept = np.split(rng.permutation(len(labels)), [cut])
        self.train = _split(images[kept], labels[kept])
        self.validation = _split(images[held_out], labels[held_out])
        self.test = _split(test_images, test_labels)

    def grid(self, each: int = 2, *, columns: int = 5) -> Figure:
        """Draw the first pictures of each class in `train`, with the names of the classes.

        Args:
            each: Pictures of each class.
            columns: Pictures in a row.

        Returns:
            A figure, which a notebook shows.
        """
        # Here and not above: to find or read the data, no other module is needed.
        from cnn_tf.plots import image_grid

        images, labels = self.train
        chosen = [k for label in range(10) for k in np.flatnonzero(labels == label)[:each]]
        names = [self.class_names[label] for label in labels[chosen]]
        return image_grid(images[chosen], names, columns=columns)

    def __repr__(self) -> str:
        parts = ("train", "validation", "test")
        sizes = ", ".join(f"{part}={len(getattr(self, part).labels)}" for part in parts)
        return f"FashionMNIST({sizes}, from {self.source.origin})"


def locate(folder: str | os.PathLike[str] | None = None, *, download: bool = True) -> Source:
    """Find Fashion-MNIST, or fetch it, and say where it lies.

    The first place with four sound files wins: `folder` (if None, the environment variable
    `CNN_TF_DATA`), Keras's cache, the Debian package's folder, a download, the Debian package
    fetched without root, and, only if `CNN_TF_SAMPLE` is set, the sample in that folder. What is
    fetched goes to the named folder, or else to Keras's cache.

    Args:
        folder: Folder that has the four `.gz` files, or shall get them.
        download: Whether the files may be fetched when no folder has them.

    Returns:
        The `Source`.

    Raises:
        ValueError: The named folder has a corrupt file.
        FileNotFoundError: The data is nowhere to be had; the message lists what was tried.

    Source:
        Xiao, Rasul and Vollgraf (2017), *Fashion-MNIST*, arXiv:1708.07747.

    Example:
        >>> from cnn_tf.data import locate
        >>> locate().folder.is_dir()
        True
    """
    return _load(folder, download)[0]


def _load(folder: str | os.PathLike[str] | None, download: bool) -> tuple[Source, _Arrays]:
    """Go through the places in order; return the first that has the data, with the data."""
    read, package = partial(_read, hashes=_FILES), f"Debian package {_PACKAGE}"
    target = keras_home() / "datasets" / "fashion-mnist"  # as keras.datasets.fashion_mnist
    routes: list[tuple[Source, Callable[[Path], _Arrays]]] = [
        (Source(target, "Keras cache", False), read),
        (Source(_PACKAGE_FOLDER, package, False), read),
    ]
    named = None
    if path := os.environ.get("CNN_TF_DATA") if folder is None else folder:
        target = Path(path).expanduser()
        named = Source(target, "CNN_TF_DATA" if folder is None else "folder argument", False)
        routes.insert(0, (named, read))
    if download:
        routes.append((Source(target, "download", False), partial(_fetch, fill=_download)))
        routes.append((Source(target, package, False), partial(_fetch, fill=_unpack_package)))
    if sample := os.environ.get("CNN_TF_SAMPLE"):
        source = Source(Path(sample), "sample in the repository", True)
        routes.append((source, partial(_read, hashes=_SAMPLE_FILES)))

    tried = ["Fashion-MNIST was not found. Tried, in this order:"]
    for source, route in routes:
        try:
            return source, route(source.folder)
        except (OSError, ValueError, HTTPException, subprocess.SubprocessError) as error:
            if source is named and isinstance(error, ValueError):
                raise ValueError(f"{error}. Delete the file, then it is fetched again.") from error
            tried.append(f"- {source.origin}, {source.folder}: {error}")
    if not download:
        tried.append("- download: not allowed (download=False)")
    if not sample:
        tried.append("- sample in the repository: not allowed (CNN_TF_SAMPLE is not set)")
    tried.append(
        f"Connect to the network and try again; or install the Debian package {_PACKAGE}; or set "
        f"CNN_TF_DATA to a folder with {', '.join(f'{name}.gz' for name in _FILES)} "
        "from https://github.com/zalandoresearch/fashion-mnist."
    )
    raise FileNotFoundError("\n".join(tried))


def keras_home() -> Path:
    """Name the folder in which Keras keeps what it downloads, by Keras's own rule.

    Returns:
        What the environment variable `KERAS_HOME` names, or else `.keras` in the user's folder.

    Source:
        Keras's documentation of `keras.utils.get_file`.

    Example:
        >>> import os
        >>> from cnn_tf.data import keras_home
        >>> keras_home().name if "KERAS_HOME" not in os.environ else ".keras"
        '.keras'
    """
    home = os.path.expanduser("~")
    if not os.access(home, os.W_OK):
        home = "/tmp"
    return Path(os.environ.get("KERAS_HOME") or f"{home}/.keras")


def _read(folder: Path, hashes: dict[str, str]) -> _Arrays:
    """The arrays of the four files; all are looked at, so that a corrupt one is always named."""
    arrays, missing = [], []
    for name, sha256 in hashes.items():
        path = folder / f"{name}.gz"
        try:
            arrays.append(_verify(path.read_bytes(), sha256, path))
        except (FileNotFoundError, NotADirectoryError):
            missing.append(path.name)
    if missing:
        raise FileNotFoundError(f"no {', '.join(missing)}")
    return arrays


def _fetch(folder: Path, fill: Callable[[Path], Path]) -> _Arrays:
    """Have the files put under a name of our own, verify them, then move them into place."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetching-", dir=folder) as temporary:
        fetched = fill(Path(temporary).resolve())
        arrays = _read(fetched, _FILES)
        for name in _FILES:
            os.replace(fetched / f"{name}.gz", folder / f"{name}.gz")
    return arrays


def _download(folder: Path) -> Path:
    for name in _FILES:
        with urllib.request.urlopen(f"{_URL}{name}.gz", timeout=_TIMEOUT) as response:
            (folder / f"{name}.gz").write_bytes(response.read())
    return folder


def _unpack_package(folder: Path) -> Path:
    """Debian's package by apt-get, with package lists of its own: no root, no system's lists."""
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise OSError("apt-get and dpkg-deb are not both on PATH")
    done = subprocess.run(
        ["sh", "-c", _UNPACK], cwd=folder, capture_output=True, text=True, timeout=600
    )
    unpacked = folder / _PACKAGE_FOLDER.relative_to("/")
    if not unpacked.is_dir():
        raise OSError("; ".join(done.stderr.splitlines()[:2]))
    return unpacked


def _verify(packed: bytes, sha256: str, path: Path) -> NDArray[np.uint8]:
    try:
        content = gzip.decompress(packed)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path}: expected a whole gzip file, got: {error}") from error
    got = hashlib.sha256(content).hexdigest()
    if got != sha256:
        raise ValueError(f"{path}: expected SHA-256 {sha256}, got {got} ({len(content)} bytes)")
    return _parse_idx(content, path)


def _parse_idx(content: bytes, path: Path) -> NDArray[np.uint8]:
    """Images (n, 28, 28) or labels (n,): magic number and sizes, big-endian, then the bytes."""
    sides = (28, 28) if "images" in path.name else ()
    expected = (2049 + len(sides), *sides)  # 8 for unsigned bytes, then the number of axes
    words = 2 + len(sides)
    magic, count, *rest = struct.unpack_from(f">{words}I", content.ljust(4 * words, b"\0"))
    if (magic, *rest) != expected:
        raise ValueError(f"{path}: expected magic number and sides {expected}, got {magic, *rest}")
    array = np.frombuffer(content, np.uint8, offset=4 * words)
    if array.size != count * math.prod(sides):
        raise ValueError(f"{path}: expected {count} items of {sides}, got {array.size} bytes")
    if not sides and array.max(initial=0) > 9:
        raise ValueError(f"{path}: expected labels from 0 to 9, got {array.max()}")
    return array.reshape(count, *sides)


def _split(images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> Split:
    scaled = np.divide(images[..., np.newaxis], np.float32(255), dtype=np.float32)
    return Split(scaled, labels.astype(np.int64))
