"""How a convolution is computed: the algorithms, and which of them a shape gets.

No built-in convolution is called, and no loop runs over pixels; the loops run over the few cells
of the kernel, here called its taps. Each algorithm counts what it would cost, and the cheapest is
taken. To add an algorithm, write a module like the others and put it into `ALGORITHMS`.
"""

from collections.abc import Callable
from typing import NamedTuple

from cnn_tf import _backend
from cnn_tf._backend import Tensor, cached
from cnn_tf._convolution import (
    block_toeplitz,
    definition,
    depthwise,
    im2col,
    kn2row,
    pointwise,
    shifted_gemm,
    winograd,
)
from cnn_tf._convolution.geometry import Geometry


class Algorithm(NamedTuple):
    """One way to the numbers of the definition.

    Args:
        name: What it is called.
        applies: Whether it computes a geometry at all.
        cost: How much it takes for an image, where it applies; see `cost.py`.
        run: Computes the outputs, from images, kernel, bias or `None`, and the geometry.
    """

    name: str
    applies: Callable[[Geometry], bool]
    cost: Callable[[Geometry], float]
    run: Callable[[Tensor, Tensor, Tensor | None, Geometry], Tensor]


# The one that costs least is taken.
ALGORITHMS = tuple(
    Algorithm(name, module.applies, module.cost, module.run)
    for name, module in {
        "pointwise": pointwise,
        "depthwise": depthwise,
        "block_toeplitz": block_toeplitz,
        "kn2row": kn2row,
        "winograd": winograd,
        "im2col": im2col,
        "shifted_gemm": shifted_gemm,
        "definition": definition,
    }.items()
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
        if geometry.known:
            return _cheapest(geometry)
        return next(each for each in ALGORITHMS if each.applies(geometry))
    algorithm = next(each for each in ALGORITHMS if each.name == name)
    if not algorithm.applies(geometry):
        applies = [each.name for each in ALGORITHMS if each.applies(geometry)]
        raise ValueError(
            f"The algorithm {name!r} does not apply to these shapes, types and back end "
            f"({_backend.NAME}): see `help(cnn_tf._convolution)`. Received: {geometry}. "
            f"Use one of {', '.join(map(repr, applies))}, or None."
        )
    return algorithm


def costs(geometry: Geometry) -> dict[str, float]:
    """What each algorithm that applies would cost, the cheapest first, where sizes are known."""
    found = {each.name: each.cost(geometry) for each in ALGORITHMS if each.applies(geometry)}
    return dict(sorted(found.items(), key=lambda pair: pair[1]))


@cached
def _cheapest(geometry: Geometry) -> Algorithm:
    return choose(geometry, next(iter(costs(geometry))))
