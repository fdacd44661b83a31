"""The sizes of a convolution or a pooling: found once, and handed down."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from cnn_tf._backend import check_later
from cnn_tf.arguments import FullPadding, Sides, axis_padding, by_axis, is_symbolic


class Axis(NamedTuple):
    """What a window meets along the rows or along the columns of an image.

    Args:
        size: Cells of the image, `None` if not known.
        window: Taps of the window.
        stride: Cells from one window to the next.
        before: Cells of padding in front, a number or a tensor.
        after: Cells of padding behind.
        dilation: Cells from one tap to the next.
    """

    size: int | None
    window: int
    stride: int = 1
    before: Any = 0
    after: Any = 0
    dilation: int = 1

    @property
    def known(self) -> bool:
        """Whether all is known before the computation runs."""
        return self.size is not None and not any(map(is_symbolic, self.pads))

    @property
    def pads(self) -> tuple[Any, Any]:
        """Cells of padding in front and behind."""
        return self.before, self.after

    @property
    def span(self) -> int:
        """Cells from the first tap of a window to its last."""
        return (self.window - 1) * self.dilation + 1

    @property
    def cells(self) -> int:
        """The size, known."""
        assert self.size is not None
        return self.size

    @property
    def padded(self) -> int:
        """Cells of the padded image, its size known."""
        padded: int = self.cells + self.before + self.after
        return padded

    @property
    def outputs(self) -> int:
        """Places that a window finds, the size known."""
        return (self.padded - self.span) // self.stride + 1

    def places(self, tap: int, first: int = 0, last: int | None = None) -> slice:
        """The cells of a padded axis that a tap sees, from one output on to before another."""
        last = (self.padded - self.span) // self.stride + 1 if last is None else last
        start = tap * self.dilation
        return slice(start + first * self.stride, start + (last - 1) * self.stride + 1, self.stride)

    def adjoint(self) -> "Axis":
        """The way back from the outputs to the cells, with strides of 1, by the window mirrored."""
        before, after = (self.span - 1 - cells for cells in self.pads)
        return self._replace(size=self.outputs, before=before, after=after)

    def without_pads(self) -> "Axis":
        """This axis after the padding."""
        size = self.padded if self.known else None
        return self._replace(size=size, before=0, after=0)


def find_axis(
    size: int | None,
    window: int,
    padding: str | Sides,
    stride: int,
    dilation: int,
    dynamic_size: Any = None,
) -> Axis:
    """Find the padding of an axis, and refuse a window that does not fit.

    Args:
        size: Cells of the image, `None` if not known.
        window: Taps of the window.
        padding: `"valid"`, `"same"`, or the cells before and after.
        stride: Cells from one window to the next.
        dilation: Cells from one tap to the next.
        dynamic_size: A tensor that holds the size, where it is not known.

    Raises:
        ValueError: The window does not fit. Where a TensorFlow graph learns the size only as it
            runs, it stops then, with an InvalidArgumentError.
    """
    cells = dynamic_size if size is None else size
    before, after = (0, 0)
    if cells is not None:
        before, after = axis_padding(cells, window, padding, stride, dilation)
    axis = Axis(size, window, stride, before, after, dilation)
    advice = "Use a smaller window, more padding or a larger input."
    received = f"kernel_size={window}, padding={padding!r}, dilation_rate={dilation}"
    if axis.known and axis.span > axis.padded:
        raise ValueError(
            f"The window does not fit: it spans {axis.span}, the padded input {axis.padded}. "
            f"Received: size={size}, {received}. {advice}"
        )
    if cells is not None and padding != "same":  # which makes each window fit
        message = f"The window does not fit: it spans {axis.span}, and the padded input is smaller."
        check_later(axis.span, cells + before + after, f"{message} Received: {received}. {advice}")
    return axis


class Geometry(NamedTuple):
    """What a convolution is applied to, channels last.

    Args:
        rows: The axis of the rows.
        columns: The axis of the columns.
        channels: Channels of the images.
        filters: Channels of the outputs.
        groups: Groups into which the channels are split.
        batch: Number of images, `None` if not known.
        dtype: Keras's name of the type.
    """

    rows: Axis
    columns: Axis
    channels: int
    filters: int
    groups: int
    batch: int | None
    dtype: str

    @property
    def known(self) -> bool:
        """Whether all sizes but that of the batch are known before the computation runs."""
        return self.rows.known and self.columns.known

    @property
    def kernel(self) -> tuple[int, int]:
        """Rows and columns of the kernel."""
        return self.rows.window, self.columns.window

    @property
    def strides(self) -> tuple[int, int]:
        """Steps between windows."""
        return self.rows.stride, self.columns.stride

    @property
    def dilation(self) -> tuple[int, int]:
        """Distances between taps."""
        return self.rows.dilation, self.columns.dilation

    @property
    def pads(self) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
        """Cells of padding, ((top, bottom), (left, right))."""
        return self.rows.pads, self.columns.pads

    @property
    def places(self) -> int:
        """Outputs of a filter for an image, the sizes known."""
        return self.rows.outputs * self.columns.outputs

    @property
    def pixels(self) -> int:
        """Pixels of a padded image, the sizes known."""
        return self.rows.padded * self.columns.padded

    @property
    def padding_copies(self) -> int:
        """Numbers that are copied when an image is padded, the sizes known."""
        return self.pixels * self.channels if any((*self.rows.pads, *self.columns.pads)) else 0

    @property
    def bytes_of_a_number(self) -> int:
        """Bytes that a number of this type takes."""
        return int("".join(filter(str.isdigit, self.dtype))) // 8

    def without_pads(self) -> "Geometry":
        """This geometry after the padding."""
        return self._replace(rows=self.rows.without_pads(), columns=self.columns.without_pads())


def find_axes(
    shape: Sequence[int | None],
    window: Sequence[int],
    padding: FullPadding,
    strides: Sequence[int],
    dilation: Sequence[int] = (1, 1),
    dynamic_shape: Sequence[Any] = (None, None),
) -> tuple[Axis, Axis]:
    """Find the rows and the columns of images; the arguments are pairs in their full form.

    Raises:
        ValueError: A window that does not fit.
    """
    paddings = by_axis(padding)
    settings = zip(shape, window, paddings, strides, dilation, dynamic_shape, strict=True)
    rows, columns = (find_axis(*each) for each in settings)
    return rows, columns
