"""Taking images apart into what the taps of a window see, and adding it up again."""

from collections.abc import Callable, Sequence
from typing import Any

from keras import ops

from cnn_tf._backend import (
    Tensor,
    custom_gradient,
    cut,
    cut_axes,
    is_torch,
    pad,
    sizes,
    split,
)
from cnn_tf._convolution.geometry import Axis
from cnn_tf.arguments import is_symbolic


def pad_zeros(x: Tensor, pads: Sequence[Sequence[Any]], value: float = 0) -> Tensor:
    """Add cells around images, ((top, bottom), (left, right)): zeros, or another number."""
    rows, columns = pads
    if not any(is_symbolic(cells) or cells for cells in (*rows, *columns)):
        return x
    rest = [(0, 0)] * (len(x.shape) - 3)
    return pad(x, ((0, 0), rows, columns, *rest), value)


def taps(x: Tensor, number: int, axis: Axis) -> list[Tensor]:
    """For each tap of a window, what it sees of x as the window moves along an axis.

    x[first::stride] would do, and does where the size of x is not known, and on PyTorch. But its
    gradient is slow, on TensorFlow above all. So where the size is known the axis is divided into
    blocks of `stride` entries: the first entries of all blocks are one phase, the second entries
    the next, and so on.

    Args:
        x: Images, padded.
        number: The number of the axis.
        axis: The axis, without pads.
    """
    offsets = range(0, axis.span, axis.dilation)
    stride, n = axis.stride, x.shape[number]
    if not isinstance(n, int):  # the end is counted from the back
        ends = [(offset - offsets[-1]) or None for offset in offsets]
        before = (slice(None),) * number
        return [
            x[(*before, slice(offset, end, stride))]
            for offset, end in zip(offsets, ends, strict=True)
        ]
    if is_torch(x):
        places = [(*(slice(None),) * number, axis.places(tap)) for tap in range(axis.window)]

        def add(total: Tensor, upstreams: Sequence[Tensor]) -> None:
            for place, upstream in zip(places, upstreams, strict=True):
                total[place].add_(upstream)

        return _views(x, lambda x: [x[place] for place in places], add)
    count = (n - axis.span) // stride + 1
    if stride == 1:
        return [cut(x, number, offset, offset + count) for offset in offsets]
    blocks = count + offsets[-1] // stride
    x = segment(x, number, 0, blocks * stride)
    shape = (-1, *sizes(x))
    x = ops.reshape(x, (*shape[:number], blocks, stride, *shape[number + 1 :]))
    phases = ops.unstack(x, axis=number + 1)
    starts = [(offset % stride, offset // stride) for offset in offsets]
    return [cut(phases[phase], number, start, start + count) for phase, start in starts]


def untaps(parts: Sequence[Tensor], number: int, axis: Axis) -> Tensor:
    """Add up, for each cell of an axis, what the taps that saw it hold: the adjoint of `taps`.

    Args:
        parts: For each tap, a tensor as `taps` gives it.
        number: The number of the axis.
        axis: The axis, without pads, its size known.
    """
    stride, count = axis.stride, parts[0].shape[number]
    blocks = count + (axis.span - 1) // stride
    phases: list[Any] = [None] * stride
    for offset, part in zip(range(0, axis.span, axis.dilation), parts, strict=True):
        before = offset // stride
        part = shifted(part, number, before, blocks - count - before)
        phase = phases[offset % stride]
        phases[offset % stride] = part if phase is None else phase + part
    return segment(interleaved(phases, number), number, 0, axis.cells)


def interleaved(phases: Sequence[Tensor | None], number: int) -> Tensor:
    """One entry of each phase after the other along an axis; `None` stands for zeros."""
    if len(phases) == 1:
        return phases[0]
    x = stacked(phases, number)
    shape = (-1, *sizes(x))
    return ops.reshape(x, (*shape[:number], shape[number] * len(phases), *shape[number + 2 :]))


def stacked(phases: Sequence[Tensor | None], number: int) -> Tensor:
    """The phases of an axis along another one behind it: in memory they are interleaved."""
    if any(phase is None for phase in phases):
        empty = ops.zeros_like(next(phase for phase in phases if phase is not None))
        phases = [empty if phase is None else phase for phase in phases]
    return ops.stack(phases, axis=number + 1)


def windows_of_rows(x: Tensor, rows: Axis, columns: Axis) -> list[Tensor]:
    """For each row of a kernel, what it sees at each place, its taps side by side.

    Args:
        x: Images, padded, `(..., h, w, c)`.
        rows: The rows, without pads.
        columns: The columns, without pads.

    Returns:
        Tensors `(..., out_h, out_w, k_w * c)`.
    """
    axis, c = len(x.shape) - 3, x.shape[-1]
    if not is_torch(x) or columns.dilation > 1 or not (rows.known and columns.known):
        return taps(ops.concatenate(taps(x, axis + 1, columns), axis=-1), axis, rows)

    places = list(map(rows.places, range(rows.window)))

    def look(x: Tensor) -> list[Tensor]:
        numbers = ops.reshape(x, (*x.shape[:-2], x.shape[-2] * c))  # of each row
        windows = numbers.unfold(axis + 1, columns.window * c, columns.stride * c)
        return [windows[..., row, :, :] for row in places]

    def add(total: Tensor, upstreams: Sequence[Tensor]) -> None:
        for row, upstream in zip(places, upstreams, strict=True):
            for v in range(columns.window):
                seen = total[..., row, columns.places(v), :]
                seen.add_(upstream[..., v * c : (v + 1) * c])

    return _views(x, look, add)


def _views(
    x: Tensor,
    look: Callable[[Tensor], list[Tensor]],
    add: Callable[[Tensor, Sequence[Tensor]], None],
) -> list[Tensor]:
    """What a PyTorch tensor shows in several places; the gradients are added up in place.

    Automatic differentiation would fill for each view a tensor as large as x with zeros.

    Args:
        x: The tensor.
        look: Gives the views.
        add: Adds to a tensor of the shape of x, where each view looks, the gradient of the view.
    """
    shape = x.shape

    def with_gradient(x: Tensor) -> tuple[tuple[Tensor, ...], Callable[..., list[Tensor]]]:
        def gradient(*upstreams: Tensor) -> list[Tensor]:
            total = upstreams[0].new_zeros(shape)
            add(total, upstreams)
            return [total]

        return tuple(look(x)), gradient

    return list(custom_gradient(with_gradient, x, backends=["torch"]))


def wide_windows(x: Tensor, width: int, step: int, count: int) -> Tensor:
    """What windows see of each row of numbers as they move along it.

    The rows are taken apart into blocks of step numbers. A window begins with a block, and may
    reach into the following ones: so all that it sees of a block is copied at once.

    Args:
        x: Rows of numbers `(batch, h, w)`, with `w` the numbers in the blocks that are met.
        width: Numbers in a window.
        step: Numbers from one window to the next.
        count: Windows in a row.

    Returns:
        `(batch, h, count, width)`.
    """
    axis = axis_of_blocks(width, step, count)
    x = ops.reshape(x, (-1, x.shape[1], axis.cells, step))
    sizes = [min(step, width - i * step) for i in range(axis.window)]
    parts = [cut_axes(x, {2: (i, i + count), 3: (0, size)}) for i, size in enumerate(sizes)]
    return ops.concatenate(parts, axis=-1) if len(parts) > 1 else parts[0]


def add_wide_windows(windows: Tensor, step: int) -> Tensor:
    """Add up, for each number, what the windows that saw it hold: the adjoint of `wide_windows`."""
    _, h, count, width = windows.shape
    axis = axis_of_blocks(width, step, count)
    parts = [step] * (axis.window - 1)
    total = None
    for i, part in enumerate(split(windows, [*parts, width - sum(parts)], axis=3)):
        pads = (i, axis.cells - count - i), (0, step - part.shape[3])
        part = part if pads == ((0, 0), (0, 0)) else pad(part, ((0, 0), (0, 0), *pads))
        total = part if total is None else total + part
    return ops.reshape(total, (-1, h, axis.cells * step))


def axis_of_blocks(width: int, step: int, count: int) -> Axis:
    """The blocks of a row, as an axis on which a window has a tap for each that it touches."""
    reach = -(-width // step)
    return Axis(count + reach - 1, reach)


def segment(x: Tensor, number: int, start: int, stop: int) -> Tensor:
    """Entries of an axis of known size, from start to stop, with zeros where there are none."""
    n = x.shape[number]
    first, last = min(max(start, 0), n), min(max(stop, 0), n)
    before = min(max(-start, 0), stop - start)
    after = stop - start - before - (last - first)
    return shifted(cut(x, number, first, last), number, before, after)


def shifted(x: Tensor, number: int, before: int, after: int, value: float = 0) -> Tensor:
    """Zeros before and after an axis, or another number."""
    if not before and not after:
        return x
    pads = [(before, after) if a == number else (0, 0) for a in range(len(x.shape))]
    return pad(x, pads, value)


def region(x: Tensor, rows: tuple[int, int], columns: tuple[int, int]) -> Tensor:
    """Some rows and columns of images, with zeros where they reach beyond the image.

    Args:
        x: Images `(batch, h, w, c)` or rows of numbers `(batch, h, w)`, their sizes known.
        rows: The first one, perhaps negative, and the one after the last.
        columns: As the rows.
    """
    pads, inside = [], {}
    for number, (start, stop) in ((1, rows), (2, columns)):
        n = x.shape[number]
        first, last = min(max(start, 0), n), min(max(stop, 0), n)
        before = min(max(-start, 0), stop - start)
        pads.append((before, stop - start - before - (last - first)))
        inside[number] = first, last
    return pad_zeros(cut_axes(x, inside), pads)
