"""What a piece of work must cost at least: its FLOPs, its bytes, and this machine's limits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode, flop_registry

from bench.measure.peaks import MachinePeaks
from bench.measure.timer import Run


def count_flops(run: Run) -> int:
    """Return the floating point operations of one call of ``run``, run eagerly.

    Matrix products, convolutions and attention, 2 FLOPs a multiply-add; elementwise work is not
    counted, as is usual. Attention on the CPU is counted as on a GPU, backward recomputation
    included, and fused transformer layers, which would hide their products, are taken apart.
    """
    with _unfused(), FlopCounterMode(display=False, custom_mapping=_missing_formulas()) as counter:
        run()
    return int(counter.get_total_flops())


def count_moved_bytes(run: Run) -> int:
    """Return the bytes that all operators of one call read and write, as run eagerly.

    Every operator's inputs and outputs, views left out: the traffic without any fusion and
    without a cache, hence an upper bound where :func:`tensor_bytes` of weights, inputs and
    outputs is the lower one.
    """
    traffic = _TrafficMode()
    with _unfused(), traffic:
        run()
    return traffic.total


def tensor_bytes(*tensors: Tensor | None) -> int:
    """Return the bytes that ``tensors`` hold; None counts nothing."""
    return sum(one.numel() * one.element_size() for one in tensors if one is not None)


def parameter_count(module: nn.Module) -> int:
    """Return the number of parameters, shared ones counted once."""
    return sum(parameter.numel() for parameter in module.parameters())


def parameter_bytes(module: nn.Module) -> int:
    """Return the bytes of all parameters and buffers, shared ones counted once."""
    return tensor_bytes(*module.parameters(), *module.buffers())


def share_of_peak(amount: float, seconds: float, peak: float | None) -> float | None:
    """Return the share of ``peak`` (a second) that ``amount`` in ``seconds`` reaches.

    None where the peak is unknown.
    """
    return None if peak is None else amount / seconds / peak


@dataclass(frozen=True, slots=True)
class CostCard:
    """The cost of one call beside the time it took and the machine's limits.

    Attributes:
        flops: see :func:`count_flops`.
        least_bytes: weights, inputs and outputs, each moved once: no program moves less.
        moved_bytes: see :func:`count_moved_bytes`; None if not counted.
        parameters: of the model; parameter_bytes: with its buffers.
        seconds: measured time of the call; None if not measured.
        peaks: the machine's; precision: which of its matrix product peaks is meant.
    """

    flops: int
    least_bytes: int
    moved_bytes: int | None
    parameters: int
    parameter_bytes: int
    peaks: MachinePeaks
    precision: str
    seconds: float | None = None

    @property
    def least_seconds(self) -> float | None:
        """The roofline: the longer of computing at peak and moving the least bytes at peak."""
        compute, copy = self.peaks.matmul_flops.get(self.precision), self.peaks.copy_bytes
        if compute is None or copy is None:
            return None
        return max(self.flops / compute, self.least_bytes / copy)

    @property
    def share_of_limit(self) -> float | None:
        """How near to the roofline the measured time is, 1 at best."""
        least = self.least_seconds
        return None if least is None or self.seconds is None else least / self.seconds

    @property
    def share_of_compute(self) -> float | None:
        """Share of the measured matrix product peak."""
        peak = self.peaks.matmul_flops.get(self.precision)
        return None if self.seconds is None else share_of_peak(self.flops, self.seconds, peak)

    @property
    def share_of_bandwidth(self) -> float | None:
        """Share of the measured copy peak that the least bytes reach."""
        if self.seconds is None:
            return None
        return share_of_peak(self.least_bytes, self.seconds, self.peaks.copy_bytes)

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers, the derived ones with them."""
        return {
            "flops": self.flops,
            "least_bytes": self.least_bytes,
            "moved_bytes": self.moved_bytes,
            "parameters": self.parameters,
            "parameter_bytes": self.parameter_bytes,
            "precision": self.precision,
            "seconds": self.seconds,
            "least_seconds": self.least_seconds,
            "share_of_limit": self.share_of_limit,
            "share_of_compute": self.share_of_compute,
            "share_of_bandwidth": self.share_of_bandwidth,
            "peaks": self.peaks.to_dict(),
        }


def cost_card(
    run: Run,
    *,
    module: nn.Module | None,
    peaks: MachinePeaks,
    precision: str = "float32",
    seconds: float | None = None,
    in_and_out: tuple[Tensor, ...] = (),
) -> CostCard:
    """Return the cost of one call of ``run``.

    Args:
        run: the work; called twice.
        module: the model whose weights it reads; None for none.
        peaks: of the machine it is timed on.
        precision: of the matrix products, a key of ``peaks.matmul_flops``.
        seconds: measured time of one call.
        in_and_out: tensors that any program must read or write besides the weights.
    """
    weights = 0 if module is None else parameter_bytes(module)
    return CostCard(
        flops=count_flops(run),
        least_bytes=weights + tensor_bytes(*in_and_out),
        moved_bytes=count_moved_bytes(run),
        parameters=0 if module is None else parameter_count(module),
        parameter_bytes=weights,
        peaks=peaks,
        precision=precision,
        seconds=seconds,
    )


class _TrafficMode(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up the sizes of all operators' tensors."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total = 0

    def __torch_dispatch__(
        self,
        func: Any,  # noqa: ANN401 -- an operator overload
        types: Any,  # noqa: ANN401
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        result = func(*args, **(kwargs or {}))
        if not func.is_view and func is not torch.ops.aten._unsafe_view.default:
            leaves = tree_leaves((args, kwargs, result))
            self.total += sum(_stored_bytes(one) for one in leaves if isinstance(one, Tensor))
        return result


def _stored_bytes(tensor: Tensor) -> int:
    """Return the bytes that reading ``tensor`` touches: a broadcast one is small in memory."""
    return min(tensor_bytes(tensor), tensor.untyped_storage().nbytes())


@contextmanager
def _unfused() -> Iterator[None]:
    """Keep compiled functions and ``nn.TransformerEncoderLayer`` from hiding their operators."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.compiler.set_stance("force_eager"):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


def _missing_formulas() -> dict[Any, Any]:
    """Return formulas for attention on the CPU, which older releases of torch do not count."""
    aten = torch.ops.aten
    forward = aten._scaled_dot_product_flash_attention_for_cpu
    backward = aten._scaled_dot_product_flash_attention_for_cpu_backward
    formulas = {forward: _attention_flops, backward: _attention_backward_flops}
    return {op: formula for op, formula in formulas.items() if op not in flop_registry}


def _attention_flops(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:  # noqa: ANN401
    """Two products: scores (H, Lq, E) x (E, Lk), then (Lq, Lk) x (Lk, V); shapes are given."""
    batch, heads, queries, width = query
    keys, value_width = key[2], value[3]
    return int(2 * batch * heads * queries * keys * (width + value_width))


def _attention_backward_flops(
    _gradient: Any,  # noqa: ANN401
    query: Any,  # noqa: ANN401
    key: Any,  # noqa: ANN401
    value: Any,  # noqa: ANN401
    *_: Any,  # noqa: ANN401
    **__: Any,  # noqa: ANN401
) -> int:
    """Five products: the scores again, and the gradients of values, weights, queries and keys."""
    batch, heads, queries, width = query
    keys, value_width = key[2], value[3]
    return int(2 * batch * heads * queries * keys * (3 * width + 2 * value_width))
