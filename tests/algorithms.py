"""The algorithms of a convolution, and for each what it applies to."""

import pytest
from hypothesis import strategies as st

from cnn_tf._convolution import NAMES

# One is for TensorFlow only.
EACH_ALGORITHM = pytest.mark.parametrize(
    "algorithm",
    [
        pytest.param(name, marks=pytest.mark.tensorflow) if name == "im2col" else name
        for name in NAMES
    ],
)

# A kernel for images of two channels, and settings.
SUITED = {
    "pointwise": ((1, 1, 2, 4), {}),
    "depthwise": ((3, 2, 1, 4), {"groups": 2}),
    "block_toeplitz": ((3, 2, 2, 4), {}),
    "kn2row": ((3, 2, 2, 4), {}),
    "winograd": ((3, 3, 2, 4), {}),
    "im2col": ((3, 2, 2, 4), {"strides": 2}),
    "shifted_gemm": ((3, 2, 2, 4), {}),
    "definition": ((3, 2, 2, 4), {}),
}
assert list(SUITED) == list(NAMES)


@st.composite
def windows(draw, algorithm):
    """Rows and columns of a window, steps and dilations to which an algorithm applies; groups."""
    window = draw(st.tuples(st.integers(1, 4), st.integers(1, 3)))
    strides = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    dilation = draw(st.tuples(st.integers(1, 2), st.integers(1, 3)))
    groups = {"definition": st.integers(1, 3), "depthwise": st.integers(2, 3)}
    groups = draw(groups.get(algorithm, st.just(1)))
    if algorithm == "pointwise":
        window = (1, 1)
    if algorithm == "winograd":
        window = draw(st.sampled_from([(2, 2), (3, 3)]))
    if algorithm in ("pointwise", "kn2row", "winograd", "shifted_gemm"):
        strides = (1, 1)
    if algorithm in ("winograd", "im2col"):
        dilation = (1, 1)
    return window, strides, dilation, groups


def depths(algorithm):
    """How many channels a group has."""
    return st.just(1) if algorithm == "depthwise" else st.integers(1, 3)
