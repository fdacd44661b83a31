"""A photograph of a garment as the data set would have it: 28x28, grey, bright on black."""

import os
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

_SIZE = 28
_ENOUGH = 4 * _SIZE  # pixels along a side: from more of them, means are taken, free of noise
_CLOSE = 0.05  # of the range of grey: what is as near to the background belongs to it


def read_photograph(file: Any, *, invert: bool | Literal["auto"] = "auto") -> NDArray[np.float32]:
    """Read a picture of one garment, and prepare it as the pictures of Fashion-MNIST were.

    Those were catalogue photographs on white. Their margins were cut off, the longer side was
    scaled to 28 pixels, the picture put in the middle of a square, and the grey turned round. Here
    the background may also be of another grey, or dark; its level is the median of the picture's
    border, and becomes zero. What differs from it by no more than noise does is background too; how
    strong the noise is, the border says, of which the garment may take less than half.

    Args:
        file: A path, or an open file: any kind of picture that Pillow reads. Colours become grey,
            what is transparent becomes white, and a camera's note on which side is up is followed.
        invert: Whether the garment is darker than its background. `"auto"` says so where the
            background is brighter than half.

    Shapes:
        A picture of any size -> `(28, 28, 1)`, float32 in [0, 1].

    Returns:
        An image for a network that was trained on Fashion-MNIST.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is no picture, it is too large, or nothing stands out in it; `invert`
            is none of the three.

    Source:
        Xiao, Rasul and Vollgraf (2017), *Fashion-MNIST*, arXiv:1708.07747, on how the data set was
        made.

    Example:
        >>> import io
        >>> import numpy as np
        >>> from PIL import Image
        >>> from cnn_tf.photographs import read_photograph
        >>> photograph = np.full((90, 60), 255, "uint8")
        >>> photograph[20:76, 10:50] = 55  # something dark on white
        >>> file = io.BytesIO()
        >>> Image.fromarray(photograph).save(file, "png")
        >>> image = read_photograph(file)
        >>> image.shape, (image[:, :, 0] > 0.5).sum(axis=0).tolist()[3:6], float(image.max())
        ((28, 28, 1), [0, 28, 28], 0.7843137...)
    """
    if invert not in (True, False, "auto"):
        raise ValueError(f"`invert` must be True, False or 'auto'. Received: invert={invert!r}.")
    grey = _read(file)
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    background = float(np.median(border))
    if invert == "auto":
        invert = background > 0.5
    # From the background, which is zero, to black or white, which is one.
    room = background if invert else 1 - background
    standing_out = (background - grey if invert else grey - background) / (room or 1)
    noise = np.median(np.abs(border - background))
    shape = standing_out > max(_CLOSE, 6 * noise)  # four standard deviations, of normal noise
    rows, columns = np.flatnonzero(shape.any(axis=1)), np.flatnonzero(shape.any(axis=0))
    if not rows.size:
        raise ValueError(
            f"Expected a garment that is {'darker' if invert else 'brighter'} than its background "
            f"in {_name(file)}. Received: a picture in which nothing stands out from the grey "
            f"{background:.2f} of its border. Try invert={not invert}, or another photograph."
        )
    cut = standing_out[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return _square(np.clip(cut, 0, 1).astype(np.float32))


def _read(file: Any) -> NDArray[np.float64]:
    """The grey of a picture, in [0, 1]."""
    try:
        with Image.open(file) as opened:
            picture = ImageOps.exif_transpose(opened).convert("RGBA")
    except FileNotFoundError:
        raise
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError) as error:
        raise ValueError(f"Expected a picture in {_name(file)}. Received: {error}.") from None
    white = Image.new("RGBA", picture.size, "white")
    picture = Image.alpha_composite(white, picture).convert("L")
    return np.asarray(picture.reduce(max(1, max(picture.size) // _ENOUGH))) / 255


def _square(cut: NDArray[np.float32]) -> NDArray[np.float32]:
    """The picture with its longer side of 28 pixels, in the middle of a square."""
    height, width = (max(1, round(n * _SIZE / max(cut.shape))) for n in cut.shape)
    small = Image.fromarray(cut).resize((width, height), Image.Resampling.BOX)
    image = np.zeros((_SIZE, _SIZE, 1), np.float32)
    top, left = (_SIZE - height) // 2, (_SIZE - width) // 2
    image[top : top + height, left : left + width, 0] = np.clip(np.asarray(small), 0, 1)
    return image


def _name(file: Any) -> str:
    return str(file) if isinstance(file, str | os.PathLike) else "the file"
