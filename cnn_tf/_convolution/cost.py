"""What an algorithm costs: counted from the sizes, before it runs.

The unit is a multiplication within a large product of matrices. All else that takes time is put as
so many of them. What counts is the way to the outputs; the gradients take about twice as much of
everything.
"""

from cnn_tf._backend import NAME
from cnn_tf._convolution.geometry import Geometry

# To read a number and to write it somewhere else takes as long as so many multiplications. Found by
# timing the layers of `benchmarks/networks.py`. Of their 94 choices, two are others with 20, and
# two with 40.
_COPY = 25
# A product and a copy work on so many numbers at a time, or waste a part of the time.
_AT_A_TIME = 16
_FEWEST = 24  # a product of fewer columns takes as long
# PyTorch has neither a graph nor a compiler: to call an operation from Python takes as long.
_CALL = 1_500_000
# Where the number of images is not known.
_USUAL_BATCH = 32
# What is kept for the gradient may be so many bytes, or so many times the images and outputs.
_MOST_BYTES = 64_000_000
_MOST_TIMES = 3


def product(rows: float, inner: int, columns: int) -> float:
    """The cost of a product of matrices, `rows` by `inner` times `inner` by `columns`."""
    at_a_time = -(-columns // _AT_A_TIME) * _AT_A_TIME
    return rows * inner * max(at_a_time, _FEWEST)


def copy(numbers: float, piece: int = _AT_A_TIME) -> float:
    """The cost of copying numbers, of which so many at a time lie side by side in memory."""
    return _COPY * numbers * max(1, _AT_A_TIME / piece)


def calls(operations: int, batch: int | None) -> float:
    """For each image, the cost of calling about so many operations for a batch, on PyTorch."""
    return once(_CALL * operations, batch) if NAME == "torch" else 0


def once(cost: float, batch: int | None) -> float:
    """For each image, the cost of what is done once for a batch, to the kernel."""
    return cost / max(1, _USUAL_BATCH if batch is None else batch)


def memory(kept: float, geometry: Geometry) -> float:
    """Forbidding, if an algorithm keeps too many numbers of an image for the gradient; else 0."""
    images = _USUAL_BATCH if geometry.batch is None else geometry.batch
    few = images * kept * geometry.bytes_of_a_number <= _MOST_BYTES
    given = geometry.rows.cells * geometry.columns.cells * geometry.channels
    given += geometry.places * geometry.filters
    return 0 if few or kept <= _MOST_TIMES * given else 100 * copy(kept)
