"""Arguments, checked and brought to their full form once, where they enter.

`functional` and `layers` take sizes and paddings in several forms; after these functions have seen
them there is one form. Each error says what came, what was expected and what to write.
"""

import numbers
from collections.abc import Sequence
from typing import Any

from keras import ops

Size = int | Sequence[int]  # both axes alike, or (rows, columns)
Sides = tuple[int, int]  # cells before and after
Padding = str | int | Sequence[int] | Sequence[Sequence[int]]  # as the user writes it
FullPadding = str | tuple[Sides, Sides]  # "valid", "same", or ((top, bottom), (left, right))

PADDING_MODES = ("zeros", "reflect", "symmetric", "circular", "replicate")

_PADDING_FORMS = (
    "`padding` must be 'valid', 'same', an int, a pair (rows, columns) or ((top, bottom), "
    "(left, right)), and not negative. Received: padding={!r}."
)


def standardize_pair(value: Size, name: str) -> tuple[int, int]:
    """Turn an int or a pair of ints into a pair; what is not positive is an error.

    Args:
        value: An int, or a tuple or list of two.
        name: The argument's name, for the message.

    Returns:
        A tuple of two ints.

    Raises:
        ValueError: A tuple or list of another length than two, or a number below 1.
        TypeError: A number is not an integer.

    Example:
        >>> from cnn_tf.arguments import standardize_pair
        >>> standardize_pair(3, "kernel_size")
        (3, 3)
    """
    pair: Any = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if len(pair) != 2:
        raise ValueError(f"`{name}` must be an int or a pair of ints. Received: {name}={value}.")
    for size in pair:
        check_int(size, name, minimum=1)
    return int(pair[0]), int(pair[1])  # NumPy's integers cannot be written into a configuration


def standardize_padding(padding: Padding) -> FullPadding:
    """Turn any form of `padding` into a name or ((top, bottom), (left, right)).

    Args:
        padding: `"valid"` or `"same"` in any case, an int, a pair (rows, columns), or
            ((top, bottom), (left, right)).

    Returns:
        `"valid"`, `"same"`, or two pairs of ints.

    Raises:
        ValueError: An unknown name, a negative number, or another number of entries.
        TypeError: An entry is not an integer.

    Example:
        >>> from cnn_tf.arguments import standardize_padding
        >>> standardize_padding((0, 1))
        ((0, 0), (1, 1))
    """
    if isinstance(padding, str):
        if padding.lower() not in ("valid", "same"):
            raise ValueError(_PADDING_FORMS.format(padding))
        return padding.lower()
    rows, columns = _two(padding, padding)
    return standardize_sides(rows, padding), standardize_sides(columns, padding)


def standardize_padding_mode(padding_mode: str) -> str:
    """Refuse what is not one of `PADDING_MODES`.

    Args:
        padding_mode: What padded cells hold.

    Returns:
        The same.

    Raises:
        ValueError: An unknown name.

    Example:
        >>> from cnn_tf.arguments import standardize_padding_mode
        >>> standardize_padding_mode("reflect")
        'reflect'
    """
    if padding_mode not in PADDING_MODES:
        raise ValueError(
            f"`padding_mode` must be one of {', '.join(map(repr, PADDING_MODES))}. "
            f"Received: padding_mode={padding_mode!r}."
        )
    return padding_mode


def check_int(
    value: Any, name: str, minimum: int | None = None, message: str | None = None
) -> None:
    """Refuse what is not an integer, bools included, or is too small.

    Args:
        value: What the user gave.
        name: The argument's name, for the message.
        minimum: The smallest number allowed, if there is one.
        message: A message in place of the usual one.

    Raises:
        ValueError: A number below `minimum`.
        TypeError: Not an integer.

    Example:
        >>> from cnn_tf.arguments import check_int
        >>> check_int(3, "filters", minimum=1)
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(
            message
            or f"`{name}` must be an integer. Received: {name}={value!r} "
            f"of type {type(value).__name__}."
        )
    if minimum is not None and value < minimum:
        raise ValueError(message or f"`{name}` must be at least {minimum}. Received: {value}.")


def check_pooling_padding(pool_size: Sequence[int], padding: FullPadding) -> None:
    """Refuse a padding as wide as the window: a window of nothing but padding has no value.

    Args:
        pool_size: A pair of ints.
        padding: What `standardize_padding` returned.

    Raises:
        ValueError: A padding that is not smaller than the window.

    Example:
        >>> from cnn_tf.arguments import check_pooling_padding
        >>> check_pooling_padding((2, 2), ((1, 1), (0, 1)))
    """
    if isinstance(padding, str):
        return
    for size, sides in zip(pool_size, padding, strict=True):
        if max(sides) >= size:
            raise ValueError(
                "Padding must be smaller than the pooling window, or a window could hold nothing "
                f"but padding. Received: pool_size={pool_size}, padding={padding}."
            )


def check_padding_fits(
    size: Sequence[int | None],
    kernel_size: Sequence[int],
    padding: FullPadding,
    strides: Sequence[int],
    dilation_rate: Sequence[int],
    padding_mode: str,
) -> None:
    """Refuse a padding that copies more cells than an image of this size has.

    Args:
        size: Height and width of the image, `None` where not known.
        kernel_size: A pair of ints.
        padding: What `standardize_padding` returned.
        strides: A pair of ints.
        dilation_rate: A pair of ints.
        padding_mode: One of `PADDING_MODES`.

    Raises:
        ValueError: Too few cells, for example three to reflect in an image of three rows.

    Example:
        >>> from cnn_tf.arguments import check_padding_fits
        >>> check_padding_fits((3, None), (5, 5), ((2, 2), (2, 2)), (1, 1), (1, 1), "reflect")
    """
    axes: Any = zip(size, kernel_size, by_axis(padding), strides, dilation_rate, strict=True)
    for n, *window in axes:
        if n is not None:
            check_available(n, axis_padding(n, *window), padding_mode)


def standardize_sides(sides: Any, padding: Any) -> Sides:
    """(before, after) along one axis; `padding` is the whole argument, for the message."""
    sides = _two(sides, padding)
    for cells in sides:
        # A symbolic size has been computed by us, from a stride and an image of unknown size.
        if not is_symbolic(cells):
            check_int(cells, "padding", minimum=0, message=_PADDING_FORMS.format(padding))
    before, after = (cells if is_symbolic(cells) else int(cells) for cells in sides)
    return before, after


def _two(value: Any, padding: Any) -> Any:
    pair = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if len(pair) != 2:
        raise ValueError(_PADDING_FORMS.format(padding))
    return pair


def by_axis(padding: FullPadding) -> tuple[str | Sides, str | Sides]:
    """The paddings of the rows and of the columns; a name holds for both."""
    return (padding, padding) if isinstance(padding, str) else padding


def axis_padding(
    n: Any, kernel_size: int, padding: str | Sides, strides: int, dilation_rate: int
) -> Any:
    """The cells before and after one axis. For "same", what Keras and TensorFlow add."""
    if padding == "valid":
        return 0, 0
    if padding != "same":
        return padding
    span = dilation_rate * (kernel_size - 1) + 1
    if strides == 1:
        total = span - 1  # whatever n is: this works where n is not known yet
    else:
        covered = ((n + strides - 1) // strides - 1) * strides + span
        total = ops.maximum(covered - n, 0) if is_symbolic(n) else max(covered - n, 0)
    return total // 2, total - total // 2  # the odd cell comes last


def check_available(n: int | None, sides: Sides, mode: str) -> None:
    """Refuse to copy more cells than there are on an axis of size n."""
    if n is None or mode in ("zeros", "replicate"):
        return
    available = n - 1 if mode == "reflect" else n
    if max(sides) > available:
        raise ValueError(
            f"padding_mode={mode!r} can add at most {available} cells on a side of an axis of "
            f"size {n}. Received: {sides[0]} before and {sides[1]} after. Use less padding, or "
            "padding_mode='replicate' or 'zeros'."
        )


def is_symbolic(size: Any) -> bool:
    """Whether a size is known only when a compiled graph runs, and is a tensor until then."""
    return bool(ops.is_tensor(size))
