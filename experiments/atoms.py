"""The training runs of the page on atoms, repeated with other seeds by the page's own code."""

import contextlib
import functools
import hashlib
import io
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from myst_nb.core.read import read_myst_markdown_notebook

from cnn_tf.training import device_name

PAGE = Path(__file__).parent.parent / "book" / "atoms.md"
# Shares of filled vacancies at which the recall is recorded.
FILLED = np.linspace(0, 1, 51)


@dataclass(frozen=True)
class Detector:
    """A network of the page on atoms, and the crystals that it is trained on.

    Args:
        layers: Name of the page's function that lists the layers.
        missing: The share of sites that are empty in its training set.
    """

    layers: str
    missing: float = 0.03

    def declared(self) -> dict[str, Any]:
        """List what decides a training, besides the seed and the package."""
        # Not of the figures and the checks, which have tags.
        code = "\n".join(cell.source for cell in _cells() if not cell.metadata.get("tags"))
        digest = hashlib.sha256(code.encode()).hexdigest()[:16]
        return {"page": PAGE.stem, "code": digest, "layers": self.layers, "missing": self.missing}

    def probe(self) -> list[float]:
        """Give the lengths of the weights after three steps on one batch, whatever its order."""
        page = _page()
        model = page["train"](page[self.layers], self.missing, number=16, epochs=3)
        weights = map(keras.ops.convert_to_numpy, model.trainable_variables)
        return [float(f"{np.linalg.norm(each):.5g}") for each in weights]

    def run(self, seed: int) -> dict[str, Any]:
        """Train it, and measure it on the page's test images.

        Returns:
            For each dose of the page: `f1`, the mean over the test sets, at the threshold that is
            best on the validation images; `filled`, the share of vacancies that are filled at the
            threshold that finds nine atoms of ten, None if there is none; and `recall`, the
            greatest recall with which at most 0, 2, 4, ... 100 per cent of the vacancies are
            filled.
        """
        page = _page()
        started = time.perf_counter()
        model = page["train"](page[self.layers], self.missing, seed)
        seconds = time.perf_counter() - started
        page["measured"]["repeated"] = page["measure"](page["of_model"](model))
        f1, filled, recall = [], [], []
        for n, (threshold, sets) in enumerate(page["measured"]["repeated"]):
            f1.append(float(np.mean([page["rates"](each, threshold)[2] for each in sets])))
            share = float(page["filled_at"]("repeated", n, 0.9))
            filled.append(share if np.isfinite(share) else None)
            recall.append(highest_recall(*page["trade"]("repeated", n)))
        return {
            "seed": seed,
            "history": {},
            "figures": {"f1": f1, "filled": filled, "recall": recall},
            "seconds": round(seconds, 1),
            "device": device_name(),
        }


def highest_recall(recalls: np.ndarray, shares: np.ndarray) -> list[float]:
    """Give the greatest recall whose share of filled vacancies is at most each of `FILLED`."""
    allowed = [recalls[shares <= share + 1e-9].max(initial=0) for share in FILLED]
    return [round(float(recall), 4) for recall in allowed]


def _cells() -> list[Any]:
    """The page's cells of code, up to the last that is needed."""
    notebook = read_myst_markdown_notebook(PAGE.read_text("utf-8"))
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    [last] = [number for number, cell in enumerate(cells) if "def filled_at(" in cell.source]
    return cells[: last + 1]


@functools.lru_cache(maxsize=1)
def _page() -> dict[str, Any]:
    """What the page has defined when its cells have run, with its own training runs cut short."""
    page: dict[str, Any] = {}
    with contextlib.redirect_stdout(io.StringIO()):  # its tables are for its readers
        for cell in _cells():
            if "remove-cell" not in cell.metadata.get("tags", ()):
                exec(cell.source, page)
            if "def train(" in cell.source:
                train = page["train"]
                page["train"] = functools.partial(train, number=16, epochs=1)
    return page | {"train": train}
