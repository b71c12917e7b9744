"""Bytes become RGB pixels, or one sentence says why not."""

from __future__ import annotations

import io
import struct
import zlib
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cookie.data.decoding import decode
from cookie.errors import DataError
from tests.cookie.data.photographs import jpeg


def png_of(width: int, height: int) -> bytes:
    """A PNG header that promises an image, with no data behind it."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    head = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    return head + b"\0\0\0\0IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))


@pytest.mark.parametrize("side", [8_001, 12_000, 60_000])
def test_decompression_bombs_are_refused(side: int) -> None:
    with pytest.raises(DataError, match="'x' is absurdly large"):
        decode(png_of(side, side), 16, "'x'")


@given(place=st.integers(0, 600), data=st.binary(min_size=1, max_size=30))
def test_damaged_images_decode_or_are_refused(place: int, data: bytes) -> None:
    damaged = bytearray(jpeg(7, 24, 24))
    damaged[place : place + len(data)] = data
    with suppress(DataError):  # and no other error
        assert decode(bytes(damaged), 8, "'x'").size == (8, 8)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "1", "I;16"])
def test_every_color_mode_becomes_rgb(mode: str) -> None:
    file = io.BytesIO()
    Image.new("RGB", (20, 10), (200, 200, 200)).convert("L" if mode == "I;16" else mode).convert(
        mode
    ).save(file, "TIFF")
    image = decode(file.getvalue(), 8, "'x'")
    assert (image.mode, image.size) == ("RGB", (8, 8))


def test_images_are_squeezed_whole() -> None:
    pixels = np.asarray(decode(jpeg(50, 300, 90), 32, "'x'")).astype(int)
    np.testing.assert_allclose(pixels[16, :, 0], (np.arange(32) + 0.5) * 8 - 0.5, atol=4)
    assert abs(pixels[..., 1] - 50).max() <= 2


def test_images_of_the_wanted_size_are_left_alone() -> None:
    data = jpeg(50, 32, 32, "PNG")
    expected = np.asarray(Image.open(io.BytesIO(data)))
    assert (np.asarray(decode(data, 32, "'x'")) == expected).all()
