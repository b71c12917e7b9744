"""The makings of cells: devices, regimes, limited corpora, equal starts."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from bench.material.workshop import Setup, Workshop, resolve_config, resolve_device
from cookie.errors import UserError


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    monkeypatch.setenv("COOKIE_HOME", str(tmp_path))
    return Workshop(Setup("scenes", "smoke", "cpu", limit=5))


def test_devices() -> None:
    assert resolve_device("cpu") == "cpu"
    assert resolve_device("auto") == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(UserError, match="Unknown device"):
        resolve_device("gpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_named() -> None:
    with pytest.raises(UserError, match="no CUDA device"):
        resolve_device("cuda")


def test_a_gpu_fine_tunes_what_a_cpu_keeps_frozen() -> None:
    assert resolve_config("small", "cpu").regime == "frozen"
    assert resolve_config("small", "cuda").regime == "finetune"
    assert resolve_config("tiny", "cuda").regime == "scratch"
    assert resolve_config("small", "cpu").digest() != resolve_config("small", "cuda").digest()


def test_the_test_split_is_limited_and_the_others_are_not(workshop: Workshop) -> None:
    corpora = workshop.corpora()
    assert corpora["test"].image_count == 5
    assert corpora["train"].image_count == len(workshop.dataset.split("train"))
    assert workshop.test_pixels.image_count == 5
    assert workshop.section.limit == 5


def test_a_seed_gives_the_same_start_and_leaves_the_generator_alone(workshop: Workshop) -> None:
    before = torch.get_rng_state()
    one, two, other = (workshop.untrained("cookie", seed) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    weights = [
        torch.cat([p.flatten() for p in module.parameters()]) for module in (one, two, other)
    ]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_a_composed_system_has_no_weights(workshop: Workshop) -> None:
    with pytest.raises(ValueError, match="no weights of its own"):
        workshop.untrained("two_stage", 0)


def test_what_is_not_trained_is_named(workshop: Workshop) -> None:
    with pytest.raises(UserError, match="cookie-seed7"):
        workshop.trained("cookie", 7)


def test_runs_of_different_makings_have_different_folders(workshop: Workshop) -> None:
    folders = {
        workshop.run_dir(name, seed) for name in ("cookie", "dual_stream") for seed in (0, 1)
    }
    assert len(folders) == 4
    assert workshop.config.digest() in str(workshop.run_dir("cookie", 0))
