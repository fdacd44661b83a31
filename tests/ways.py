"""The ways to compute a correlation, each to be forced whatever the shape would choose."""

import contextlib
from unittest import mock

import pytest

from cnn_tf import correlation, on_tensorflow

# What a way is forced by: its share of the table in `correlation`.
_SHIFTS = {
    "_MOST_NUMBERS_IN_A_STRIP": 0,
    "_MOST_BYTES_IN_TILES": 0,
    "_MOST_PIXELS_AN_OUTPUT": float("inf"),
}
WAYS = {
    "strips": {"_MOST_NUMBERS_IN_A_STRIP": float("inf")},
    "tiles": {
        "_MOST_NUMBERS_IN_A_STRIP": 0,
        "_FEWEST_CHANNELS_IN_TILES": 1,
        "_MOST_PRODUCTS_IN_TILES": float("inf"),
    },
    "shifts": _SHIFTS,
    "shifts in pieces": _SHIFTS,
    "gathers": _SHIFTS,
    "windows": _SHIFTS | {"_MOST_PIXELS_AN_OUTPUT": 0},
}
STRIDES = dict.fromkeys(WAYS, 1) | {"gathers": 2}  # what the way is there for
EACH_WAY = pytest.mark.parametrize("way", WAYS)


@contextlib.contextmanager
def forced(way):
    """Compute this way, where groups, strides and, for tiles, the kernel allow it."""
    with mock.patch.multiple(correlation, **WAYS[way]):
        at_a_time = 1 if "pieces" in way else on_tensorflow._BYTES_AT_A_TIME
        with mock.patch.object(on_tensorflow, "_BYTES_AT_A_TIME", at_a_time):
            yield
