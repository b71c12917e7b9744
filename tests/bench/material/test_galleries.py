"""Random galleries: unit vectors, nested, the same in memory and on disk, gone afterwards."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from bench.material import galleries
from bench.material.galleries import CHOICES, Storage, choose_storage, random_gallery
from cookie.retrieval.matrices import as_tensor

CPU = torch.device("cpu")
EXACT, HALF, DISK = CHOICES


def drawn(rows: int, storage: Storage, folder: Path) -> torch.Tensor:
    with random_gallery(rows, 16, storage, device=CPU, folder=folder) as gallery:
        return as_tensor(np.array(gallery) if storage.place == "disk" else gallery).clone()


@pytest.mark.parametrize("storage", CHOICES)
def test_rows_are_unit_vectors_in_every_direction(storage: Storage, tmp_path: Path) -> None:
    found = drawn(2000, storage, tmp_path)
    assert found.dtype == getattr(torch, storage.dtype)
    tolerance = 1e-6 if storage.dtype == "float32" else 2e-3
    assert torch.allclose(found.float().norm(dim=1), torch.ones(2000), atol=tolerance)
    assert found.float().mean(dim=0).abs().max() < 5 / (16 * 2000) ** 0.5
    assert len(torch.unique(found, dim=0)) == 2000


def test_a_smaller_gallery_begins_a_larger_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(galleries, "BLOCK", 100)
    small, large = drawn(200, EXACT, tmp_path), drawn(450, EXACT, tmp_path)
    assert torch.equal(small, large[:200])
    assert not torch.equal(large[:100], large[100:200])


def test_disk_holds_what_memory_would_and_nothing_is_left(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    assert torch.equal(drawn(300, DISK, folder), drawn(300, HALF, folder))
    assert list(folder.iterdir()) == []


def test_a_gallery_on_disk_is_one_file_and_gone_when_its_user_fails(tmp_path: Path) -> None:
    seen: list[int] = []

    def use() -> None:
        with random_gallery(10, 16, DISK, device=CPU, folder=tmp_path) as gallery:
            assert isinstance(gallery, np.memmap)
            seen.append(len(list(tmp_path.iterdir())))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        use()
    assert seen == [1]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("memory", "disk", "expected"),
    [(600, 0, EXACT), (571, 0, HALF), (286, 0, HALF), (285, 286, DISK), (285, 285, None)],
)
def test_the_first_storage_that_leaves_room_is_taken(
    memory: int, disk: int, expected: Storage | None
) -> None:
    """Ten rows of ten values: 400 bytes in float32, 200 in float16, of 70 % of what is free."""
    assert choose_storage(10, 10, memory=memory, disk=disk) == expected


def test_free_space_is_read(tmp_path: Path) -> None:
    assert galleries.free_memory(CPU) > 2**20
    assert galleries.free_disk(tmp_path / "new") > 0
