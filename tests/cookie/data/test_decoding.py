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


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_gray_of_sixteen_bits_keeps_its_shades(form: str) -> None:
    shades = np.arange(0, 65536, 257, dtype=np.uint16).reshape(16, 16)
    file = io.BytesIO()
    Image.fromarray(shades).save(file, form)
    expected = np.arange(256).reshape(16, 16)
    pixels = np.asarray(decode(file.getvalue(), None, "'x'"))
    assert (pixels == expected[..., None]).all()
    assert (np.asarray(decode(file.getvalue(), 16, "'x'")) == pixels).all()


def test_gray_of_sixteen_bits_in_larger_numbers_keeps_its_shades() -> None:
    """A PGM, which Pillow reads into 32 bits."""
    shades = np.array([[0, 25700, 65535]], dtype=">u2")
    pixels = np.asarray(decode(b"P5 3 1 65535\n" + shades.tobytes(), None, "'x'"))
    assert pixels[0, :, 0].tolist() == [0, 100, 255]


@pytest.mark.parametrize("values", [[0.0, 1.0], [0, 65536], [-1, 9]])
def test_gray_without_a_defined_white_is_refused(values: list[float]) -> None:
    kind = np.float32 if isinstance(values[0], float) else np.int32
    file = io.BytesIO()
    Image.fromarray(np.array([values], kind)).save(file, "TIFF")
    with pytest.raises(DataError, match=r"Image 'x' is broken \(nothing says .* white\)"):
        decode(file.getvalue(), 8, "'x'")


def quarters(form: str, orientation: int | None) -> bytes:
    """Return a tall image of four gray quarters, stored as a camera turned so would."""
    pixels = np.repeat(np.repeat(np.array([[0, 80], [160, 240]], np.uint8), 48, 0), 32, 1)
    turned = {
        2: pixels[:, ::-1],
        3: pixels[::-1, ::-1],
        4: pixels[::-1],
        5: pixels.T,
        6: np.rot90(pixels),
        7: np.rot90(pixels.T, 2),
        8: np.rot90(pixels, -1),
    }.get(orientation or 1, pixels)
    file, exif = io.BytesIO(), Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    Image.fromarray(np.ascontiguousarray(turned)).convert("RGB").save(
        file, form, exif=exif, quality=95
    )
    return file.getvalue()


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", [None, *range(10)])
def test_photographs_are_upright(form: str, orientation: int | None) -> None:
    data = quarters(form, orientation)
    whole = decode(data, None, "'x'")
    assert whole.size == (64, 96)
    for image in (whole, decode(data, 16, "'x'")):
        wide, high = image.size
        found = [image.getpixel((x * wide // 4, y * high // 4)) for y in (1, 3) for x in (1, 3)]
        reds = [pixel[0] for pixel in found if isinstance(pixel, tuple)]
        assert reds == pytest.approx([0, 80, 160, 240], abs=4)


def test_a_harmed_tag_does_not_harm_the_image() -> None:
    data = quarters("JPEG", 6)
    place = data.index(b"Exif\0\0") + 6
    harmed = data[:place] + b"MM\0*\0\0\0\x08\0\x01\x01\x12" + b"\xff" * 8 + data[place + 20 :]
    assert decode(harmed, 16, "'x'").size == (16, 16)


def test_images_are_squeezed_whole() -> None:
    pixels = np.asarray(decode(jpeg(50, 300, 90), 32, "'x'")).astype(int)
    np.testing.assert_allclose(pixels[16, :, 0], (np.arange(32) + 0.5) * 8 - 0.5, atol=4)
    assert abs(pixels[..., 1] - 50).max() <= 2


def test_images_of_the_wanted_size_are_left_alone() -> None:
    data = jpeg(50, 32, 32, "PNG")
    expected = np.asarray(Image.open(io.BytesIO(data)))
    assert (np.asarray(decode(data, 32, "'x'")) == expected).all()
