"""The interactive figures of the book, on its site and in notebooks.

An explorer is a custom element of the browser: an ES module in the folder `javascript`. Python
gives it its settings, and a static figure of the same thing for where no script runs. In a notebook
the modules travel within the output, since it can load nothing else; a site serves the same files.
"""

import base64
import inspect
import json
import os
import re
from html import escape
from pathlib import Path
from typing import Any

import keras

from cnn_tf.explorers._figures import EXPLORERS
from cnn_tf.explorers._network import Settings, network
from cnn_tf.explorers._reading import ADVICE, model_of
from cnn_tf.explorers._settings import MODULES
from cnn_tf.plots import Figure

# In a notebook: each module becomes an address of its own, after those that it names. A worker may
# be started at any time, and so its modules keep theirs. In a page without an origin, such as one
# that was opened from a file, a worker loads no blobs; there, its addresses hold the text itself.
_LOADER = """
const sources = {sources};
const kept = {kept};
const addresses = {{}};
const letters = (text) =>
  Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join("");
for (const [name, source] of Object.entries(sources)) {{
  const linked = source
    .replace(/from "\\.\\/(.+?)"/g, (_, it) => `from "${{addresses[it]}}"`)
    .replace(/new URL\\("\\.\\/(.+?)", import\\.meta\\.url\\)/g, (_, it) => `"${{addresses[it]}}"`);
  addresses[name] = origin === "null" && kept.includes(name)
    ? `data:text/javascript;base64,${{btoa(letters(linked))}}`
    : URL.createObjectURL(new Blob([linked], {{ type: "text/javascript" }}));
}}
await import(addresses["{last}"]);
for (const [name, address] of Object.entries(addresses)) {{
  if (!kept.includes(name)) URL.revokeObjectURL(address);
}}
"""
_IMPORT = re.compile(r'from "\./([\w-]+\.js)"')
_WORKER = re.compile(r'new URL\("\./([\w-]+\.js)", import\.meta\.url\)')


class Explorer:
    """An interactive figure, shown by a notebook and by the pages of the book.

    Args:
        name: The explorer's name, one of those of `explore`.
        settings: Its state at the start.
        figure: A static figure of the same thing.
        data: What is too large for a setting: pictures, weights.
        archive: What is too large to be fetched before the reader asks for it: a gzip file.

    Source:
        WHATWG, *HTML*, on custom elements.

    Example:
        >>> from cnn_tf import explore
        >>> explore("padding", size=8, kernel_size=3, padding=1).settings["padding"]
        [1, 1]
    """

    def __init__(
        self,
        name: str,
        settings: Settings,
        figure: Figure,
        data: Settings | None = None,
        archive: bytes | None = None,
    ) -> None:
        self.name, self.settings, self.figure, self.data = name, settings, figure, data or {}
        self.archive = archive

    def _repr_html_(self) -> str:
        last = f"{self.name}.js"
        modules = {path.name: path.read_text("utf-8") for path in _in_order(last)}
        workers = [name for source in modules.values() for name in _WORKER.findall(source)]
        kept = [path.name for worker in workers for path in _in_order(worker)]
        loader = _LOADER.format(sources=_script(modules), kept=json.dumps(kept), last=last)
        settings = escape(json.dumps(self.settings))
        data = ""
        if self.data:
            data = f'<script type="application/json">{_script(self.data)}</script>'
        if self.archive:
            content = base64.b64encode(self.archive).decode()
            data += f'<script type="application/gzip;base64">{content}</script>'
        return (
            f'<cnn-{self.name} settings="{settings}">{self.figure._repr_html_()}{data}'
            f'</cnn-{self.name}><script type="module">{loader}</script>'
        )

    def __repr__(self) -> str:
        return f"<Explorer {self.name}: {self.figure.alt}>"


def explore(name: str, **settings: Any) -> Explorer:
    r"""Make an interactive figure, which a notebook shows if it is the last line of a cell.

    What the reader moves is computed in the browser, by the formulas of this package: of
    `corr2d`, of `output_size`, $\lfloor (n - k + p + s) / s \rfloor$, and so on.

    Args:
        name: Which one.
        **settings: Its settings; all have a default, apart from `model`.
            `"sliding-window"`: the image `X` and the kernel `K`, matrices; `place`, the output
            whose sum is shown.
            `"padding"`: `size`, `kernel_size`, `strides` and `dilation_rate`, ints or pairs (rows,
            columns); `padding`, `"valid"`, `"same"`, an int or a pair, up to 3.
            `"channels"`: `X` of shape `(c_i, h, w)`, `K` of shape `(c_o, c_i, k_h, k_w)`; the
            output `channel` and the `place` whose sum is shown.
            `"kernels"`: a `picture` of shape `(h, w)` in [0, 1] and a `kernel` of 3x3 or 5x5.
            `"pooling"`: a `picture` of at most 32x32; `pool_size` and `strides`, ints up to 4;
            `shift`, a pair from -8 to 8: what comes in repeats the border.
            `"learning"`: the image `X`, the kernel `K` to be found, the first kernel `start` and
            the `learning_rate`, from 0.001 to 0.3.
            `"receptive-field"`: a `picture`; `layers`, a list of triples (kernel size, stride,
            dilation).
            `"lenet"`: a trained Keras `model`, a chain of convolutions, pooling and dense layers;
            `data`, a `FashionMNIST`; `each`, how many test pictures of each class go along.
            `"training"`: `data`, a `FashionMNIST`; `record`, recorded runs to be drawn behind
            the reader's, such as `read_record("ladder")`; `activation`, `"sigmoid"`,
            `"centred_sigmoid"`, `"tanh"` or `"relu"`; the rule of the first `weights`,
            `"glorot"`, `"times_four"` or `"he"`; `pooling`, `"avg"` or `"max"`; `normalisation`,
            `"none"` or `"batch"`; `optimiser`, `"sgd"`, `"momentum"` or `"adam"`; `schedule` of
            the learning rate, `"constant"` or `"cosine"`; `input`, `"plain"` or
            `"standardised"`; the learning `rate`, from 0.001 to 1; `batch`, up to 256; `seed`;
            `field`, the layer of which is shown what an output sees, `"conv1"`, `"pool1"`,
            `"conv2"` or `"pool2"`.

    Shapes:
        As above. Pictures have at most 256 rows and columns.

    Returns:
        An `Explorer`.

    Raises:
        ValueError: An unknown name, or a setting out of its range.
        TypeError: An unknown setting, or a number that is not an integer.

    Source:
        Dumoulin and Visin (2016), *A guide to convolution arithmetic for deep learning*.

    Example:
        >>> from cnn_tf import explore
        >>> explore("sliding-window", X=[[1, 2, 3]], K=[[1, -1]])
        <Explorer sliding-window: A 1×2 kernel on a 1×3 image: 1·1 + 2·-1 = -1.>
    """
    if name not in EXPLORERS:
        raise ValueError(
            f"explore expected one of {', '.join(map(repr, EXPLORERS))}. Received: {name!r}."
        )
    make = EXPLORERS[name]
    known = inspect.signature(make)
    try:
        known.bind(**settings)
    except TypeError as error:
        raise TypeError(
            f"explore({name!r}) takes {', '.join(known.parameters)}; {error}."
        ) from None
    return Explorer(name, *make(**settings))


def save_network(model: keras.Model, path: str | os.PathLike[str]) -> None:
    """Write a trained network to a file that the explorer `"lenet"` opens.

    Args:
        model: A chain of convolutions, pooling, activations, batch normalisation and dense layers,
            trained.
        path: The file, such as `my-lenet.json`. It is written whole, or not at all.

    Shapes:
        The model's input `(batch, 28, 28, 1)` and output `(batch, 10)`, for the site's explorer.

    Raises:
        ValueError: A layer that the explorer does not know.

    Source:
        The weights are little-endian 32-bit floats in base64 (RFC 4648).

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from cnn_tf import LeNet, save_network
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_network(LeNet(), Path(folder, "mine.json"))
        ...     Path(folder, "mine.json").stat().st_size // 1000
        330
    """
    text = json.dumps(network(model))
    path = Path(path)
    draft = path.with_name(f".{path.name}.part")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)


def load_network(path: str | os.PathLike[str]) -> keras.Sequential:
    """Read a network from a file that `save_network` or the explorer `"training"` has written.

    Args:
        path: The file.

    Shapes:
        The model takes `(batch, 28, 28, 1)` of numbers in [0, 1] and gives `(batch, classes)`,
        logits.

    Returns:
        A `keras.Sequential`, built, not compiled, of layers that have the names of the saved ones.
        Batch normalisation is part of the weights, as it computes after training; dropout and a
        softmax at the end are left out.

    Raises:
        ValueError: The file holds no network, or a damaged one; the message names the layer.
        FileNotFoundError: There is no such file.

    Source:
        The weights are little-endian 32-bit floats in base64 (RFC 4648).

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from cnn_tf import LeNet, load_network, save_network
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_network(LeNet(), Path(folder, "mine.json"))
        ...     model = load_network(Path(folder, "mine.json"))
        >>> tuple(model.get_layer("conv1").kernel.shape)
        (5, 5, 1, 6)
    """
    text = Path(path).read_bytes()
    try:
        file = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"load_network expected a JSON file. Received: {os.fspath(path)!r} ({error}). {ADVICE}"
        ) from None
    return model_of(file)


def _in_order(name: str) -> list[Path]:
    """The module of this name, after all that it imports or starts as a worker."""
    found: list[Path] = []

    def add(path: Path) -> None:
        source = path.read_text("utf-8")
        for named in _IMPORT.findall(source) + _WORKER.findall(source):
            add(MODULES / named)
        if path not in found:
            found.append(path)

    add(MODULES / name)
    return found


def _script(value: Any) -> str:
    """JSON that may stand in a script element: nothing in it ends the element."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")
