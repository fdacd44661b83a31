"""What the explorers accept: numbers that a reader can see, and that an address can hold."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from cnn_tf.arguments import check_int

MODULES = Path(__file__).parent / "javascript"


def _table(module: str) -> Any:
    """The JSON that a module of the browser holds."""
    return json.loads((MODULES / module).read_text("utf-8").split("`")[1])


LIMITS = _table("limits.js")  # the least and the most of each setting
CHOICES = _table("choices.js")  # of the explorer of training: its words, and its presets


def check_limits(explorer: str, name: str, *values: Any) -> None:
    """Check integers that one setting holds."""
    least, most = LIMITS[explorer][name]
    for value in values:
        check_int(value, name, minimum=least)
        if value > most:
            raise ValueError(
                f'explore("{explorer}") draws up to {name}={most}. Received: {name}={value}.'
            )


def check_number(name: str, value: Any, least: float, most: float) -> float:
    """Check a number that need not be whole."""
    number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    if not (number and least <= value <= most):
        raise ValueError(f"{name} must be from {least} to {most}. Received: {value!r}.")
    return float(value)


def check_array(explorer: str, name: str, values: Any, rank: int) -> np.ndarray:
    """Check numbers that stand in an address: few enough to be drawn, and finite."""
    _, most = LIMITS[explorer][name]
    wanted = f"explore expected {name} to be an array of rank {rank}, with finite numbers."
    try:
        array = np.asarray(values)
        array = array.astype("int64" if array.dtype.kind in "biu" else "float64")
    except (TypeError, ValueError) as error:
        raise ValueError(f"{wanted} Received: {values!r}.") from error
    if array.ndim != rank or not array.size or not np.isfinite(array).all():
        raise ValueError(f"{wanted} Received: shape {array.shape}.")
    if max(array.shape) > most:
        raise ValueError(
            f"explore draws up to {most} along each axis of {name}. Received: shape {array.shape}."
        )
    return array


def check_pair(value: Any, name: str, least: int = 0) -> tuple[int, int]:
    """Check a place or a shift; NumPy's integers become Python's, for JSON."""
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise ValueError(f"`{name}` must be a pair (row, column). Received: {name}={value!r}.")
    for number in value:
        check_int(number, name, minimum=least)
    return int(value[0]), int(value[1])


def check_picture(picture: Any) -> np.ndarray:
    """Check a grey picture; by default, draw one with edges, corners and a soft shade."""
    if picture is None:
        rows, columns = np.mgrid[:64, :64] / 63
        picture = 0.6 * columns
        picture[(rows - 0.4) ** 2 + (columns - 0.35) ** 2 < 0.06] = 1
        picture[(abs(rows - 0.7) < 0.15) & (abs(columns - 0.7) < 0.2)] = 0
    picture = np.asarray(picture, float)
    if picture.ndim != 2 or not picture.size or max(picture.shape) > 256:
        raise ValueError(
            "explore expected a grey picture of shape (h, w), at most 256 x 256. Received: shape "
            f"{picture.shape}."
        )
    if not (picture.min() >= 0 and picture.max() <= 1):
        raise ValueError(
            "explore expected a picture with numbers from 0 to 1. Received: from "
            f"{picture.min():g} to {picture.max():g}. Divide 8-bit pixels by 255."
        )
    return picture
