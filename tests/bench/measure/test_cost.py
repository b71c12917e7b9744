"""FLOPs and bytes against counts by hand; shares of a known peak."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.measure import cost
from bench.measure.cost import (
    CostCard,
    cost_card,
    count_flops,
    count_moved_bytes,
    parameter_bytes,
    parameter_count,
    share_of_peak,
    tensor_bytes,
)
from bench.measure.peaks import MachinePeaks

PEAKS = MachinePeaks("cpu", {"float32": 1e9, "bfloat16": 4e9}, 1e8, 2)


def attention(**options: object) -> Callable[[], Tensor]:
    """Return attention of 2 sequences, 3 heads, 5 queries, 7 keys, width 11."""
    query, key, value = (torch.randn(2, 3, length, 11) for length in (5, 7, 7))
    return lambda: F.scaled_dot_product_attention(query, key, value, **options)  # type: ignore[arg-type]


def test_a_matrix_product_takes_two_flops_a_multiply_add() -> None:
    left, right = torch.randn(3, 5), torch.randn(5, 7)
    assert count_flops(lambda: left @ right) == 2 * 3 * 5 * 7


def test_what_is_compiled_is_counted_as_if_it_were_not() -> None:
    left, right = torch.randn(3, 5), torch.randn(5, 7)
    torch._dynamo.reset()
    product = torch.compile(torch.matmul, backend="aot_eager")
    product(left, right)
    assert count_flops(lambda: product(left, right)) == 2 * 3 * 5 * 7
    assert count_moved_bytes(lambda: product(left, right)) == 4 * (3 * 5 + 5 * 7 + 3 * 7)


def test_a_linear_layer_and_a_convolution() -> None:
    linear, images = nn.Linear(5, 7), torch.randn(2, 3, 8, 8)
    assert count_flops(lambda: linear(torch.randn(4, 5))) == 2 * 4 * 5 * 7
    convolution = nn.Conv2d(3, 6, 3, padding=1)
    assert count_flops(lambda: convolution(images)) == 2 * 2 * 6 * 8 * 8 * 3 * 9
    depthwise = nn.Conv2d(3, 3, 3, padding=1, groups=3)
    assert count_flops(lambda: depthwise(images)) == 2 * 2 * 3 * 8 * 8 * 9


@pytest.mark.parametrize("masked", [False, True])
def test_attention_on_the_cpu_is_counted(masked: bool) -> None:
    mask = torch.ones(5, 7, dtype=torch.bool) if masked else None
    assert count_flops(attention(attn_mask=mask)) == 2 * (2 * 2 * 3 * 5 * 7 * 11)


def test_attention_is_counted_where_torch_has_no_formula(monkeypatch: pytest.MonkeyPatch) -> None:
    """Older releases pass over attention on the CPU: forward 2, backward 5 products."""
    query, key, value = (torch.randn(2, 3, n, 11, requires_grad=True) for n in (5, 7, 7))

    def run() -> None:
        F.scaled_dot_product_attention(query, key, value).sum().backward()

    product = 2 * 2 * 3 * 5 * 7 * 11
    assert count_flops(run) == 7 * product
    monkeypatch.setattr(cost, "flop_registry", {})
    monkeypatch.setattr(
        torch.utils.flop_counter,
        "flop_registry",
        {
            operator: formula
            for operator, formula in torch.utils.flop_counter.flop_registry.items()
            if "for_cpu" not in str(operator)
        },
    )
    assert count_flops(run) == 7 * product


@pytest.mark.parametrize("training", [True, False])
def test_a_transformer_layer_is_counted_in_full(training: bool) -> None:
    """In evaluation torch runs the layer as one operator that no counter sees into."""
    batch, length, width, inner = 2, 6, 16, 32
    layer = nn.TransformerEncoderLayer(width, 4, inner, dropout=0.0, batch_first=True)
    layer.train(training)
    tokens = torch.randn(batch, length, width)
    with torch.no_grad():
        got = count_flops(lambda: layer(tokens))
    dense = 2 * batch * length * width * (4 * width + 2 * inner)
    assert got == dense + 2 * (2 * batch * length * length * width)
    assert torch.backends.mha.get_fastpath_enabled()


def test_backward_doubles_a_product_when_both_sides_want_gradients() -> None:
    left = torch.randn(3, 5, requires_grad=True)
    right = torch.randn(5, 7, requires_grad=True)
    assert count_flops(lambda: (left @ right).sum().backward()) == 3 * (2 * 3 * 5 * 7)


def test_the_fast_path_is_switched_back_on_after_a_failure() -> None:
    def fail() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        count_flops(fail)
    assert torch.backends.mha.get_fastpath_enabled()


def test_moved_bytes_are_inputs_and_outputs_of_every_operator() -> None:
    left, right = torch.randn(3, 5), torch.randn(5, 7)
    assert count_moved_bytes(lambda: left @ right) == 4 * (15 + 35 + 21)
    assert count_moved_bytes(lambda: (left + 1).relu()) == 4 * 4 * 15


def test_views_move_nothing_and_broadcasts_only_what_is_stored() -> None:
    tensor = torch.randn(3, 5)
    assert count_moved_bytes(lambda: tensor.t().reshape(5, 3)[1:].unsqueeze(0)) == 0
    broadcast = torch.randn(1).expand(1000)
    assert count_moved_bytes(lambda: broadcast + 1.0) == 4 * (1 + 1000)


def test_tensor_bytes_know_types_and_skip_none() -> None:
    assert tensor_bytes(torch.zeros(3, 4), None, torch.zeros(5, dtype=torch.bfloat16)) == 58
    assert tensor_bytes() == 0


def test_shared_parameters_count_once() -> None:
    layer = nn.Linear(4, 4)
    model = nn.ModuleDict({"first": layer, "second": layer, "norm": nn.BatchNorm1d(4)})
    assert parameter_count(model) == 20 + 8
    assert parameter_bytes(model) == 4 * (20 + 8) + 4 * 8 + 8  # two statistics and a counter


def test_a_share_of_an_unknown_peak_is_none() -> None:
    assert share_of_peak(50.0, 2.0, 100.0) == 0.25
    assert share_of_peak(50.0, 2.0, None) is None


def card(**changes: object) -> CostCard:
    values = {
        "flops": 2_000_000,
        "least_bytes": 100_000,
        "moved_bytes": None,
        "parameters": 10,
        "parameter_bytes": 40,
        "peaks": PEAKS,
        "precision": "float32",
        "seconds": 0.004,
    }
    return CostCard(**(values | changes))  # type: ignore[arg-type]


def test_the_limit_is_the_slower_of_computing_and_copying() -> None:
    assert card().least_seconds == pytest.approx(0.002)
    assert card(least_bytes=1_000_000).least_seconds == pytest.approx(0.01)
    assert card(precision="bfloat16").least_seconds == pytest.approx(0.001)
    assert card().share_of_limit == pytest.approx(0.5)
    assert card().share_of_compute == pytest.approx(0.5)
    assert card().share_of_bandwidth == pytest.approx(0.25)


@pytest.mark.parametrize(
    "changes",
    [{"seconds": None}, {"peaks": MachinePeaks("cpu")}, {"peaks": MachinePeaks("cpu", {}, 1.0)}],
)
def test_without_a_time_or_peaks_there_is_no_share(changes: dict[str, object]) -> None:
    assert card(**changes).share_of_limit is None
    assert card(**changes).share_of_compute is None


def test_a_card_of_a_model_is_counted_and_goes_to_json() -> None:
    model, batch = nn.Linear(8, 4), torch.randn(2, 8)
    got = cost_card(
        lambda: model(batch), module=model, peaks=PEAKS, seconds=1.0, in_and_out=(batch,)
    )
    stored = json.loads(json.dumps(got.to_dict()))
    assert stored["flops"] == 2 * 2 * 8 * 4
    assert stored["parameters"] == 36
    assert stored["least_bytes"] == 4 * (36 + 16)
    assert stored["moved_bytes"] == 4 * (36 + 16 + 8)
    assert stored["peaks"]["matmul_flops"]["bfloat16"] == 4e9
    assert 0 < stored["share_of_limit"] < 1


def test_a_card_without_a_model_counts_no_weights() -> None:
    left = torch.randn(4, 4)
    got = cost_card(lambda: left @ left, module=None, peaks=PEAKS)
    assert (got.parameters, got.least_bytes, got.flops) == (0, 0, 128)
