"""Image files from bytes to pixels, with what is refused."""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING

import numpy as np

from cookie.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif")
MAX_PIXELS = 64_000_000
"""Larger images are refused: no photograph of a data set has so many, a decompression bomb does."""
MAX_BYTES = 256 * 2**20
"""Larger files are refused for the same reason."""
_ORIENTATION = 0x0112
"""EXIF's tag for how the camera was held."""
_TURNS = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
"""What makes an image upright, by the tag's value; 1 is upright."""


def is_image(name: str) -> bool:
    """Return whether a file of this name should be an image; one that begins with a dot is none."""
    last = name.rpartition("/")[2]
    return last.lower().endswith(IMAGE_SUFFIXES) and not last.startswith(".")


def decode(data: bytes, size: int | None, label: str) -> Image:
    """Return the image in ``data`` as RGB, upright where its EXIF data tell how to turn it.

    Args:
        data: a file's bytes.
        size: pixels a side that it is squeezed to; None for its own shape.
        label: names it in errors.

    Raises:
        DataError: ``data`` is no whole image, has more than ``MAX_PIXELS`` pixels, or gray values
            without a defined white.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        image = Image.open(io.BytesIO(data))
        if image.width * image.height > MAX_PIXELS:
            raise Image.DecompressionBombError
        if size is not None:
            image.draft("RGB", (size, size))  # lets a JPEG decoder skip detail that is not needed
        picture = _upright(_rgb(image), image)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise DataError(f"Image {label} is absurdly large: remove or replace it.") from None
    except UnidentifiedImageError:
        raise DataError(f"Image {label} is no image of a known kind: get it again.") from None
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error) as error:
        raise DataError(f"Image {label} is broken ({error}): get it again.") from None
    if size is None or picture.size == (size, size):
        return picture
    return picture.resize((size, size), Image.Resampling.BICUBIC)


def _rgb(image: Image) -> Image:
    """Return ``image`` as RGB; Pillow by itself would cut gray values above 255 off."""
    if image.mode not in ("I", "F") and not image.mode.startswith("I;16"):
        return image.convert("RGB")
    from PIL.Image import fromarray

    gray = np.asarray(image)
    if image.mode == "F" or gray.min() < 0 or gray.max() > 0xFFFF:
        raise ValueError("nothing says which of its gray values is white")
    return fromarray(((gray.astype(np.uint32) + 128) // 257).astype(np.uint8)).convert("RGB")


def _upright(picture: Image, image: Image) -> Image:
    """Return ``picture`` turned as ``image``, the file that it was read from, says."""
    from PIL.Image import Transpose

    try:  # of the tag alone: Pillow's own function writes all others anew, which may be harmed
        turn = _TURNS.get(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # whatever a harmed tag raises: the pixels are whole
        return picture
    return picture if turn is None else picture.transpose(Transpose[turn])
