"""The losses against hand-enumerated values, a slow oracle, and three other libraries."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cookie.nn.losses import Temperature, hardest_triplet, info_nce, nt_xent, sum_triplet

Loss = Callable[[Tensor, Tensor], Tensor]
LOSSES: dict[str, Loss] = {
    "info_nce": lambda first, second: info_nce(first, second, 5.0),
    "nt_xent": lambda first, second: nt_xent(first, second, 5.0),
    "hardest_triplet": lambda first, second: hardest_triplet(first, second, 0.2),
    "sum_triplet": lambda first, second: sum_triplet(first, second, 0.2),
}
every_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES.keys())


def unit_rows(
    seed: int, rows: int = 6, width: int = 5, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    pair = torch.randn(2, rows, width, generator=generator, dtype=dtype)
    first, second = F.normalize(pair, dim=-1)
    return first, second


def cross_entropy_by_hand(scores: list[float], target: int) -> float:
    return math.log(sum(math.exp(score) for score in scores)) - scores[target]


def info_nce_by_hand(first: Tensor, second: Tensor, scale: float) -> float:
    rows = range(len(first))
    cosine = [[float(first[i] @ second[j]) * scale for j in rows] for i in rows]
    there = [cross_entropy_by_hand(cosine[i], i) for i in rows]
    back = [cross_entropy_by_hand([cosine[i][j] for i in rows], j) for j in rows]
    return (sum(there) + sum(back)) / (2 * len(first))


def nt_xent_by_hand(first: Tensor, second: Tensor, scale: float) -> float:
    both, count = [*first, *second], len(first)
    losses = []
    for i, row in enumerate(both):
        others = [j for j in range(2 * count) if j != i]
        scores = [float(row @ both[j]) * scale for j in others]
        losses.append(cross_entropy_by_hand(scores, others.index((i + count) % (2 * count))))
    return sum(losses) / len(losses)


def triplet_by_hand(
    first: Tensor, second: Tensor, margin: float, joined: Callable[[list[float]], float]
) -> float:
    total, count = 0.0, len(first)
    for i in range(count):
        positive = float(first[i] @ second[i])
        others = [j for j in range(count) if j != i]
        captions = [margin + float(first[i] @ second[j]) - positive for j in others]
        images = [margin + float(first[j] @ second[i]) - positive for j in others]
        total += sum(joined([max(0.0, hinge) for hinge in side]) for side in (captions, images))
    return total / count


def test_info_nce_of_two_pairs_of_which_one_is_swapped_in_part():
    first = torch.eye(2)
    second = torch.tensor([[1.0, 0.0], [0.6, 0.8]])
    # Cosines: [[1, .6], [0, .8]]; rows find columns, columns find rows.
    rows = math.log(1 + math.exp(-0.4)) + math.log(1 + math.exp(-0.8))
    columns = math.log(1 + math.exp(-1.0)) + math.log(1 + math.exp(-0.2))
    assert info_nce(first, second, 1.0).item() == pytest.approx((rows + columns) / 4)


def test_triplet_of_two_pairs():
    first = torch.eye(2)
    second = torch.tensor([[1.0, 0.0], [0.6, 0.8]])
    # Hinges at margin .5 -- rows: .5+.6-1=.1, .5+0-.8<0; columns: .5+0-1<0, .5+.6-.8=.3.
    assert sum_triplet(first, second, 0.5).item() == pytest.approx((0.1 + 0.3) / 2)
    assert hardest_triplet(first, second, 0.5).item() == pytest.approx((0.1 + 0.3) / 2)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), rows=st.integers(1, 7), scale=st.floats(0.5, 30))
def test_contrastive_losses_equal_loops(seed: int, rows: int, scale: float):
    first, second = unit_rows(seed, rows, dtype=torch.float64)
    found = info_nce(first, second, scale).item()
    assert found == pytest.approx(info_nce_by_hand(first, second, scale))
    found = nt_xent(first, second, scale).item()
    assert found == pytest.approx(nt_xent_by_hand(first, second, scale))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), rows=st.integers(2, 7), margin=st.floats(0, 1))
def test_triplet_equals_loops(seed: int, rows: int, margin: float):
    first, second = unit_rows(seed, rows, dtype=torch.float64)
    by_hand = triplet_by_hand(first, second, margin, max)
    assert hardest_triplet(first, second, margin).item() == pytest.approx(by_hand)
    by_hand = triplet_by_hand(first, second, margin, sum)
    assert sum_triplet(first, second, margin).item() == pytest.approx(by_hand)


@pytest.mark.parametrize("scale", [1.0, 14.3, 100.0])
def test_info_nce_is_open_clips_loss(scale: float):
    other = pytest.importorskip("open_clip.loss").ClipLoss()
    first, second = unit_rows(0, rows=9)
    expected = other(first, second, torch.tensor(scale))
    torch.testing.assert_close(info_nce(first, second, scale), expected)


def test_info_nce_is_the_mean_of_metric_learnings_two_directions():
    other = pytest.importorskip("pytorch_metric_learning.losses").NTXentLoss(temperature=0.07)
    first, second = unit_rows(1, rows=9)
    labels = torch.arange(9)
    there = other(first, labels, ref_emb=second, ref_labels=labels.clone())
    back = other(second, labels, ref_emb=first, ref_labels=labels.clone())
    found = info_nce(first, second, 1 / 0.07)
    torch.testing.assert_close(found, (there + back) / 2, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("temperature", [0.07, 0.5])
def test_nt_xent_is_lightlys(temperature: float):
    other = pytest.importorskip("lightly.loss").NTXentLoss(temperature=temperature)
    first, second = unit_rows(2, rows=9)
    found = nt_xent(first, second, 1 / temperature)
    torch.testing.assert_close(found, other(first, second), rtol=1e-5, atol=1e-6)


def test_nt_xent_is_metric_learnings():
    other = pytest.importorskip("pytorch_metric_learning.losses").NTXentLoss(temperature=0.2)
    first, second = unit_rows(3, rows=9)
    expected = other(torch.cat([first, second]), torch.arange(9).repeat(2))
    torch.testing.assert_close(nt_xent(first, second, 5.0), expected, rtol=1e-5, atol=1e-6)


def test_triplet_is_metric_learnings_on_the_hardest():
    package = "pytorch_metric_learning"
    losses = pytest.importorskip(f"{package}.losses")
    miner = pytest.importorskip(f"{package}.miners").BatchHardMiner
    cosine = pytest.importorskip(f"{package}.distances").CosineSimilarity()
    mean = pytest.importorskip(f"{package}.reducers").MeanReducer()
    other = losses.TripletMarginLoss(margin=0.2, distance=cosine, reducer=mean)
    first, second = unit_rows(4, rows=9)
    labels, expected = torch.arange(9), torch.zeros(())
    for query, gallery in ((first, second), (second, first)):
        references = {"ref_emb": gallery, "ref_labels": labels.clone()}
        hardest = miner(distance=cosine)(query, labels, **references)
        expected = expected + other(query, labels, hardest, **references)
    torch.testing.assert_close(hardest_triplet(first, second, 0.2), expected)


@every_loss
def test_gradients_are_right(loss: Loss):
    first, second = unit_rows(5, rows=4, width=3, dtype=torch.float64)
    inputs = (first.requires_grad_(), second.requires_grad_())
    assert torch.autograd.gradcheck(loss, inputs)


@pytest.mark.parametrize("loss", [info_nce, nt_xent], ids=["info_nce", "nt_xent"])
def test_the_gradient_of_the_scale_is_right(loss: Callable[..., Tensor]):
    first, second = unit_rows(6, rows=4, width=3, dtype=torch.float64)
    scale = torch.tensor(3.0, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: loss(first, second, x), (scale,))


@every_loss
def test_autocast_changes_nothing(loss: Loss):
    first, second = unit_rows(7)
    with torch.autocast("cpu", torch.bfloat16):
        found = loss(first, second)
    assert found.dtype == torch.float32
    assert torch.equal(found, loss(first, second))


@every_loss
def test_half_precision_input_is_computed_in_float32(loss: Loss):
    first, second = (x.bfloat16() for x in unit_rows(8))
    assert torch.equal(loss(first, second), loss(first.float(), second.float()))


@every_loss
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_neither_order_nor_sides_matter(loss: Loss, seed: int):
    first, second = unit_rows(seed, dtype=torch.float64)
    expected = loss(first, second)
    order = torch.randperm(len(first), generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(loss(first[order], second[order]), expected)
    torch.testing.assert_close(loss(second, first), expected)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), rows=st.integers(2, 8))
def test_negatives_of_both_views_make_it_harder(seed: int, rows: int):
    first, second = unit_rows(seed, rows)
    assert nt_xent(first, second, 4.0) > info_nce(first, second, 4.0)


@pytest.mark.parametrize("rows", [2, 5])
def test_a_collapsed_model_scores_chance(rows: int):
    same = torch.ones(rows, 3) / math.sqrt(3)
    assert info_nce(same, same, 10.0).item() == pytest.approx(math.log(rows))
    assert nt_xent(same, same, 10.0).item() == pytest.approx(math.log(2 * rows - 1))
    assert hardest_triplet(same, same, 0.2).item() == pytest.approx(0.4)


def test_one_pair_has_no_negatives_and_no_gradient():
    first, second = (x.requires_grad_() for x in unit_rows(9, rows=1))
    for loss in LOSSES.values():
        value = loss(first, second)
        (gradient,) = torch.autograd.grad(value, first)
        assert value.item() == pytest.approx(0, abs=1e-6)
        torch.testing.assert_close(gradient, torch.zeros_like(gradient))


def test_a_kept_margin_costs_nothing():
    first = torch.eye(3).requires_grad_()
    loss = hardest_triplet(first, torch.eye(3), 0.2)
    loss.backward()
    assert loss.item() == 0
    assert first.grad is not None
    assert not first.grad.any()


def test_starts_where_it_is_told():
    temperature = Temperature(0.07, 0.01)
    assert temperature().item() == pytest.approx(1 / 0.07)
    assert temperature.value == pytest.approx(0.07)


def test_starts_no_lower_than_the_minimum():
    assert Temperature(0.001, 0.01)().item() == pytest.approx(100)


def test_never_falls_below_the_minimum_and_comes_back():
    temperature = Temperature(0.02, 0.01)
    optimizer = torch.optim.SGD(temperature.parameters(), lr=1.0)
    for _ in range(5):  # pull the temperature down, far past its limit
        optimizer.zero_grad()
        (-temperature()).backward()
        optimizer.step()
    assert temperature().item() == pytest.approx(100)
    assert temperature.value == pytest.approx(0.01)
    optimizer.zero_grad()
    (temperature() / 100).backward()  # and up: one step must show
    optimizer.step()
    assert temperature.value == pytest.approx(0.01 * math.e, rel=1e-4)


def test_is_one_parameter_and_nothing_else():
    state = Temperature(0.07, 0.01).state_dict()
    assert {name: tensor.shape for name, tensor in state.items()} == {"log_scale": ()}
