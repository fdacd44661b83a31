"""Images as one long matrix, a pixel in each row: a shifted image is the matrix begun later.

So what the taps of a window see, as it moves with a stride of 1, are parts of one matrix, of which
TensorFlow makes no copies if they begin and end at certain places. What reaches from one line or
image into the next has to be thrown away in the end.
"""

from typing import NamedTuple

from keras import ops

from cnn_tf._backend import Tensor, cut_axes, pad
from cnn_tf._convolution.geometry import Axis

# TensorFlow makes no copy of a part that begins and ends at a multiple of so many numbers, of 32
# bits or more.
ALIGNMENT = 16


class Layout(NamedTuple):
    """Where the pixels lie.

    Args:
        pads: Cells of padding: images after the last one, above and below each, left and right of
            each line.
        lines: Lines from one image to the next.
        pitch: Pixels from one line to the next.
        beyond: Pixels after the last image's.
    """

    pads: tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
    lines: int
    pitch: int
    beyond: int


def lay_out(rows: Axis, columns: Axis, images: int | None, pitch: int, reach: int) -> Layout:
    """Lay out images for windows with strides of 1. The first one begins with the first pixel.

    The padding that follows upon a line or an image also precedes the next one. So the larger of
    two sides is enough for both.

    Args:
        rows: The rows, their padding smaller than the window's span.
        columns: The columns, likewise.
        images: How many there are, `None` if not known.
        pitch: Pixels from one line to the next, at least the cells and the larger padding.
        reach: Pixels that the last window of a line sees, beside its first.
    """
    sides = columns.before, pitch - columns.before - columns.cells
    if images == 1:  # nothing follows, and no line is thrown away
        lines, more, below = rows.outputs, 0, rows.after + -(-reach // pitch)
        beyond = (rows.before + rows.cells + below - lines) * pitch
    else:
        lines, below = rows.cells + max(rows.pads), max(rows.after - rows.before, 0)
        more = -(-((rows.span - 1) * pitch + reach) // (lines * pitch))
        beyond = more * lines * pitch
    return Layout(((0, more), (rows.before, below), sides), lines, pitch, beyond)


def in_one_matrix(x: Tensor, channels: int, layout: Layout) -> Tensor:
    """The pixels of images `(batch, h, w, c)`, zeros around: (all pixels, c)."""
    _, h, w, _ = x.shape  # in a graph, it may not know the number of its channels
    images, lines, sides = layout.pads
    # With the channels in the lines, TensorFlow pads whole lines at once, and not pixel by pixel.
    x = ops.reshape(x, (-1, h, w * channels))
    if any((*images, *lines, *sides)):
        x = pad(x, (images, lines, tuple(pixels * channels for pixels in sides)))
    return ops.reshape(x, (-1, channels))


def part_of(matrix: Tensor, before: int, behind: int) -> Tensor:
    """A matrix without some rows at its beginning and its end."""
    width = matrix.shape[1]
    if width % ALIGNMENT == 0:  # it begins and ends there in any case
        return matrix[before : -behind or None]
    # Of a matrix TensorFlow asks for that; of a vector it looks where the part begins and ends.
    numbers = ops.reshape(matrix, (-1,))[before * width : -behind * width or None]
    return ops.reshape(numbers, (-1, width))


def images_of(matrix: Tensor, layout: Layout, rows: int, columns: int) -> Tensor:
    """Images again, of a matrix `(images * lines * pitch, c)`: their first rows and columns."""
    x = ops.reshape(matrix, (-1, layout.lines, layout.pitch, matrix.shape[1]))
    return cut_axes(x, {1: (0, rows), 2: (0, columns)})
