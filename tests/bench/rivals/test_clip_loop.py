"""Both loops train the same CLIP in the same way: what is timed beside each other is equal work."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bench.rivals.clip_loop import ClipLoops, ClipTrainee, clip_groups
from bench.rivals.clip_pairs import small_clip
from cookie.config import TrainConfig
from cookie.interfaces import ContrastiveSystem

BATCH, STEPS = 6, 3


@pytest.fixture
def copies(monkeypatch: pytest.MonkeyPatch) -> list[nn.Module]:
    """Give the models that loops train, in the order in which the loops were made."""
    made: list[nn.Module] = []
    copy = ClipLoops._copy

    def noted(self: ClipLoops) -> nn.Module:
        made.append(copy(self))
        return made[-1]

    monkeypatch.setattr(ClipLoops, "_copy", noted)
    return made


def loops(total: int = 40) -> ClipLoops:
    return ClipLoops(small_clip(), "cpu", "float32", BATCH, STEPS, total)


def test_both_loops_end_with_the_same_weights(copies: list[nn.Module]) -> None:
    """Three epochs, through the warm-up and into the cosine: same losses, rates and updates."""
    both = loops(total=9)
    start = both.model.state_dict()
    runs = both.ours(), both.ours(cut=True), both.theirs()
    for _ in range(3):
        for run in runs:
            assert torch.isfinite(run())
    ours, cut, theirs = (model.state_dict() for model in copies)
    for name, weight in theirs.items():
        found = [_decided(name, values) for values in (ours[name], cut[name], weight)]
        torch.testing.assert_close(found[0], found[2], atol=1e-4, rtol=1e-4, msg=name)
        torch.testing.assert_close(found[1], found[2], atol=1e-4, rtol=1e-4, msg=name)
        assert not torch.allclose(start[name], weight, atol=4e-3), name


def _decided(name: str, weight: torch.Tensor) -> torch.Tensor:
    """Leave out the keys' biases: a softmax cancels them, so AdamW follows rounding errors."""
    if not name.endswith("in_proj_bias"):
        return weight
    queries, _, values = weight.chunk(3)
    return torch.cat([queries, values])


def test_an_epoch_is_a_loss_of_each_loop() -> None:
    """Ours is the mean over the steps; of one step it is what open_clip's loss says."""
    one = ClipLoops(small_clip(), "cpu", "float32", BATCH, 1)
    torch.testing.assert_close(one.ours()(), one.theirs()(), atol=1e-5, rtol=1e-5)
    both = loops()
    run = both.ours()
    assert float(run()) > float([run() for _ in range(8)][-1])


def test_a_trainee_is_what_the_trainer_takes() -> None:
    trainee = ClipTrainee(small_clip())
    assert isinstance(trainee, ContrastiveSystem)
    assert not trainee.clip.shortens
    assert ClipTrainee(small_clip(), cut=True).clip.shortens


def test_groups_name_every_parameter_once_and_only_matrices_decay() -> None:
    model = small_clip()
    settings = TrainConfig()
    still, decaying = clip_groups(model, settings)
    named = [id(value) for group in (still, decaying) for value in group["params"]]
    assert sorted(named) == sorted(id(value) for value in model.parameters())
    assert (still["weight_decay"], decaying["weight_decay"]) == (0.0, settings.weight_decay)
    assert all(value.ndim >= 2 for value in decaying["params"])
    assert any(value is model.logit_scale for value in still["params"])
