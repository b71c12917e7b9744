"""One pass over the scores: independent of tiles, threads and order, exact where it is close."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cookie.retrieval import evaluate, sweep
from cookie.retrieval.sweep import TileShape
from cookie.training.distributed import Processes
from tests.cookie.training.peers import run_peers


def embeddings(images: int, captions: int, seed: int) -> tuple:
    """Random unit embeddings with a signal; captions in any order, some images without."""
    rng = np.random.default_rng(seed)
    caption_image = rng.integers(0, images, captions)
    left = rng.standard_normal((images, 16), dtype=np.float32)
    right = left[caption_image] + rng.standard_normal((captions, 16), dtype=np.float32)
    unit = torch.nn.functional.normalize
    return unit(torch.from_numpy(left)), unit(torch.from_numpy(right)), caption_image


@pytest.fixture
def threads() -> Iterator[None]:
    """Restore the number of threads."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 99), images=st.integers(1, 60), captions=st.integers(1, 90))
def test_tiles_do_not_matter(seed: int, images: int, captions: int) -> None:
    case = embeddings(30, 80, seed)
    whole = evaluate(*case, tile=TileShape(30, 80)).to_dict(ranks=True)
    assert evaluate(*case, tile=TileShape(images, captions)).to_dict(ranks=True) == whole


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("images", [1, 2, 40])
@pytest.mark.parametrize("count", [2, 5])
def test_threads_do_not_matter_and_are_left_as_they_were(count: int, images: int) -> None:
    case = embeddings(images, 70, 3)
    torch.set_num_threads(1)
    alone = evaluate(*case).to_dict(ranks=True)
    torch.set_num_threads(count)
    assert evaluate(*case).to_dict(ranks=True) == alone
    assert torch.get_num_threads() == count


@pytest.mark.usefixtures("threads")
def test_an_error_in_a_thread_is_raised_and_threads_are_restored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no products today")

    torch.set_num_threads(2)
    monkeypatch.setattr(sweep, "inner_products", fail)
    with pytest.raises(RuntimeError, match="no products"):
        evaluate(*embeddings(10, 20, 0))
    assert torch.get_num_threads() == 2


def hard_cases() -> dict[str, tuple]:
    """Embeddings that shares of the work could get wrong: ties, images without captions, few."""
    images, captions, caption_image = embeddings(40, 120, 4)
    twice = captions[torch.arange(120) // 2 * 2]
    alike = torch.nn.functional.normalize(images[:1] + 1e-7 * images)
    return {
        "random": (images, captions, caption_image),
        "exact ties": (images, twice, caption_image),
        "nearly collapsed": (alike, captions, caption_image),
        "collapsed": (images[:1].expand(40, -1), captions[:1].expand(120, -1), caption_image),
        "fewer images than processes": embeddings(2, 7, 0),
    }


def evaluate_cases(processes: Processes, folder: Path) -> dict[str, torch.Tensor]:
    """Return every case's metrics and ranks, as the bytes of their JSON, in two tilings."""
    found = {}
    for name, case in hard_cases().items():
        for tile in (None, TileShape(7, 30)):
            metrics = evaluate(*case, tile=tile, processes=processes).to_dict(ranks=True)
            text = json.dumps(metrics, sort_keys=True).encode()
            found[f"{name} {tile}"] = torch.frombuffer(bytearray(text), dtype=torch.uint8)
    return found


def test_processes_find_what_one_finds(tmp_path: Path) -> None:
    alone = evaluate_cases(Processes(), tmp_path)
    for peer in run_peers(3, evaluate_cases, tmp_path):
        assert peer.keys() == alone.keys()
        for name, text in alone.items():
            assert torch.equal(peer[name], text), name


def noisy_products(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Products as wrong as their slack allows, each time differently."""
    exact = (left.double() @ right.double().T).float()
    slack = sweep.rounding_slack(left, right.norm(dim=1).amax())[:, None]
    return exact + 0.9 * slack * (2 * torch.rand_like(exact) - 1)


@pytest.mark.parametrize("share", [0.0, 1 / 256, 1.0])
def test_close_scores_are_settled_exactly(share: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """However the float32 products err, pair by pair or by the tile, the ranks are the same."""
    images, captions, caption_image = embeddings(40, 120, 4)
    captions = captions[torch.arange(120) // 2 * 2]  # duplicates: exact ties with negatives
    expected = evaluate(images, captions, caption_image).to_dict(ranks=True)
    monkeypatch.setattr(sweep, "inner_products", noisy_products)
    monkeypatch.setattr(sweep, "_CLOSE_SHARE", share)
    for tile in (TileShape(7, 50), TileShape(40, 120)):
        assert evaluate(images, captions, caption_image, tile=tile).to_dict(ranks=True) == expected
    assert expected["i2t"]["tied"] > 0


def test_close_but_different_scores_are_told_apart() -> None:
    """Two captions one float32 step apart: nearer than any product can tell."""
    step = np.float32(1) + np.finfo(np.float32).eps
    images = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    captions = torch.tensor([[1.0, 0.0], [float(step), 0.0], [0.0, 1.0]])
    found = evaluate(images, captions, np.array([0, 1, 1]), (1,))
    assert found.i2t.ranks.tolist() == [1, 0]
    assert found.i2t.tied == 0.0
