"""Number formats and the rate's course."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cookie.training.precision import autocast, has_bfloat16, rate_share


def test_the_rate_by_hand():
    shares = [rate_share(step, 10, 0.2) for step in range(10)]
    assert shares[:3] == [0.5, 1.0, 1.0]
    assert shares[6] == pytest.approx(0.5)
    assert rate_share(10, 10, 0.2) == pytest.approx(0.0)
    assert rate_share(0, 1, 0.1) == 1.0
    assert rate_share(0, 1, 1.0) == 1.0


@given(st.integers(1, 500), st.floats(0, 1))
def test_the_rate_rises_then_falls_and_stays_within_bounds(steps: int, warmup: float):
    shares = [rate_share(step, steps, warmup) for step in range(steps)]
    assert all(0 < share <= 1 for share in shares)
    top = shares.index(max(shares))
    assert shares[: top + 1] == sorted(shares[: top + 1])
    assert shares[top:] == sorted(shares[top:], reverse=True)


def test_the_rate_agrees_with_torch():
    parameter = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=20)
    for step in range(20):
        assert rate_share(step, 20, 0.0) == pytest.approx(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()


@pytest.mark.parametrize("able", [True, False])
def test_auto_follows_the_hardware(monkeypatch: pytest.MonkeyPatch, able: bool):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": able})
    cpu = torch.device("cpu")
    assert has_bfloat16(cpu) == able
    for precision, wanted in (("auto", able), ("float32", False), ("bfloat16", True)):
        with autocast(cpu, precision):
            product = torch.ones(2, 2) @ torch.ones(2, 2)
        assert (product.dtype == torch.bfloat16) == wanted


def test_unknown_devices_have_none():
    assert not has_bfloat16(torch.device("meta"))
