"""Arrays on disk are mapped where they are whole, and named where they are not."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cookie.arrays import open_array

SHAPE = (5, 3)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "array.npy"
    np.save(file, np.arange(15, dtype=np.float16).reshape(SHAPE))
    return file


def test_a_whole_array_is_mapped_and_cannot_be_written(
    path: Path, caplog: pytest.LogCaptureFixture
):
    found = open_array(path, SHAPE, np.float16)
    assert isinstance(found, np.memmap)
    assert found[4].tolist() == [12, 13, 14]
    assert (found.flags.writeable, caplog.messages) == (False, [])


def test_an_array_without_rows_is_whole(tmp_path: Path):
    np.save(tmp_path / "none.npy", np.zeros((0, 3), np.float16))
    found = open_array(tmp_path / "none.npy", (0, 3), np.float16)
    assert found is not None
    assert found.shape == (0, 3)


def test_a_missing_file_is_no_damage(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    assert open_array(tmp_path / "array.npy", SHAPE, np.float16) is None
    assert caplog.messages == []


def zipped(_: bytes) -> bytes:
    file = io.BytesIO()
    np.savez(file, a=np.zeros(3))
    return file.getvalue()


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:4],
        lambda content: content[:60],
        lambda content: content[:-1],
        lambda content: bytes(len(content)),
        lambda content: content.replace(b"'shape': (", b"'shape': ["),
        lambda content: content.replace(b"'descr'", b"'descr "),
        lambda content: content.replace(b"<f2", b"<i2"),
        lambda content: content.replace(b"(5, 3)", b"(3, 5)"),
        lambda content: b"no array",
        zipped,
    ],
)
def test_a_harmed_file_is_named(
    path: Path, damage: Callable[[bytes], bytes], caplog: pytest.LogCaptureFixture
):
    path.write_bytes(damage(path.read_bytes()))
    assert open_array(path, SHAPE, np.float16) is None
    (told,) = caplog.messages
    assert told.startswith(f"'{path}' is damaged (")
    assert told.endswith("): it is made again.")
