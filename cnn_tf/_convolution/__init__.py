"""How a convolution is computed: the algorithms, and which of them a shape gets.

No built-in convolution is called, and no loop runs over pixels; the loops run over the few cells
of the kernel, here called its taps. To add an algorithm, write a module like the others and put it
into `ALGORITHMS`.
"""

from collections.abc import Callable
from typing import NamedTuple

from cnn_tf import _backend
from cnn_tf._backend import Tensor
from cnn_tf._convolution import (
    block_toeplitz,
    definition,
    pointwise,
    shifted_gemm,
    strided,
    winograd,
)
from cnn_tf._convolution.geometry import Geometry


class Algorithm(NamedTuple):
    """One way to the numbers of the definition.

    Args:
        name: What it is called.
        applies: Whether it computes a geometry at all.
        pays: Whether it is the one to take, provided that none before it is.
        run: Computes the outputs, from images, kernel, bias or `None`, and the geometry.
    """

    name: str
    applies: Callable[[Geometry], bool]
    pays: Callable[[Geometry], bool]
    run: Callable[[Tensor, Tensor, Tensor | None, Geometry], Tensor]


# The first that applies and pays is taken.
ALGORITHMS = (
    Algorithm("pointwise", pointwise.applies, pointwise.applies, pointwise.run),
    Algorithm("block_toeplitz", block_toeplitz.applies, block_toeplitz.pays, block_toeplitz.run),
    Algorithm("winograd", winograd.applies, winograd.pays, winograd.run),
    Algorithm("strided_im2col", strided.applies, strided.pays, strided.run),
    Algorithm("shifted_gemm", shifted_gemm.applies, shifted_gemm.pays, shifted_gemm.run),
    Algorithm("definition", definition.applies, definition.applies, definition.run),
)
NAMES = tuple(algorithm.name for algorithm in ALGORITHMS)


def standardize_algorithm(name: str | None) -> str | None:
    """Refuse what is neither the name of an algorithm nor `None`.

    Raises:
        ValueError: An unknown name.
    """
    if name is not None and name not in NAMES:
        raise ValueError(
            f"`algorithm` must be one of {', '.join(map(repr, NAMES))}, or None for the one that "
            f"suits the shapes. Received: algorithm={name!r}."
        )
    return name


def choose(geometry: Geometry, name: str | None = None) -> Algorithm:
    """Find the algorithm for a geometry, or check that the one of that name applies.

    Raises:
        ValueError: There is no algorithm of that name, or it does not apply.
    """
    if standardize_algorithm(name) is None:
        return next(each for each in ALGORITHMS if each.applies(geometry) and each.pays(geometry))
    algorithm = next(each for each in ALGORITHMS if each.name == name)
    if not algorithm.applies(geometry):
        applies = [each.name for each in ALGORITHMS if each.applies(geometry)]
        raise ValueError(
            f"The algorithm {name!r} does not apply to these shapes, types and back end "
            f"({_backend.NAME}): see `help(cnn_tf._convolution)`. Received: {geometry}. "
            f"Use one of {', '.join(map(repr, applies))}, or None."
        )
    return algorithm
