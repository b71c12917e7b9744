"""Image files from bytes to pixels, with what is refused."""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING

from cookie.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif")
MAX_PIXELS = 64_000_000
"""Larger images are refused: no photograph of a data set has so many, a decompression bomb does."""
MAX_BYTES = 256 * 2**20
"""Larger files are refused for the same reason."""


def is_image(name: str) -> bool:
    """Return whether a file of this name should be an image."""
    return name.lower().endswith(IMAGE_SUFFIXES)


def decode(data: bytes, size: int | None, label: str) -> Image:
    """Return the image in ``data`` as RGB.

    Args:
        data: a file's bytes.
        size: pixels a side that it is squeezed to; None for its own shape.
        label: names it in errors.

    Raises:
        DataError: ``data`` is no whole image, or has more than ``MAX_PIXELS`` pixels.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        image = Image.open(io.BytesIO(data))
        if image.width * image.height > MAX_PIXELS:
            raise Image.DecompressionBombError
        if size is not None:
            image.draft("RGB", (size, size))  # lets a JPEG decoder skip detail that is not needed
        picture = image.convert("RGB")
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise DataError(f"Image {label} is absurdly large: remove or replace it.") from None
    except UnidentifiedImageError:
        raise DataError(f"Image {label} is no image of a known kind: get it again.") from None
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error) as error:
        raise DataError(f"Image {label} is broken ({error}): get it again.") from None
    if size is None or picture.size == (size, size):
        return picture
    return picture.resize((size, size), Image.Resampling.BICUBIC)
