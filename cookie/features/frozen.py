"""Runs a frozen module over a stream of batches as fast as the device lets.

On a CPU with OpenVINO installed the module becomes an optimized graph whose requests run side by
side, several times as fast as eager PyTorch; elsewhere it runs as it is.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Inputs: TypeAlias = tuple[Tensor, ...]
FloatArray: TypeAlias = NDArray[np.float32]

_LOG = logging.getLogger("cookie.features.frozen")


class Frozen:
    """A frozen module as a function of streams of batches.

    Args:
        module: takes tensors and gives one tensor; is put into eval mode, on ``device``.
        device: where to compute.
        example: inputs of the shape that all batches have.
        dynamic: the first two dimensions of all inputs may differ from the example's, which
            must be larger than 1 there.
    """

    def __init__(
        self, module: nn.Module, device: torch.device, example: Inputs, *, dynamic: bool = False
    ) -> None:
        self.device = device
        self._module = module.to(device).eval().requires_grad_(False)
        self._example, self._dynamic = example, dynamic
        self._compiled: Any = None

    def __call__(self, batches: Iterable[Inputs]) -> Iterator[FloatArray]:
        """Yield the module's result of every batch, in order, in float32 on the host.

        The graph is made on the first call, so that nothing is when nothing is to be computed.

        Args:
            batches: tensors on the host; prepared while earlier batches are computed.
        """
        if self.device.type == "cpu" and self._compiled is None:
            self._compiled = _compile(self._module, self._example, self._dynamic)
        if self._compiled is None:
            return _run_eager(self._module, batches, self.device)
        return _run_compiled(self._compiled, batches)


def _run_eager(
    module: nn.Module, batches: Iterable[Inputs], device: torch.device
) -> Iterator[FloatArray]:
    for batch in batches:
        with torch.inference_mode():
            result = module(*(tensor.to(device, non_blocking=True) for tensor in batch))
        yield result.float().cpu().numpy()


def _run_compiled(compiled: Any, batches: Iterable[Inputs]) -> Iterator[FloatArray]:  # noqa: ANN401
    """Keep as many requests under way as the graph has streams, and hand them on in order."""
    count = int(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
    idle = [compiled.create_infer_request() for _ in range(count)]
    busy: deque[Any] = deque()
    for batch in batches:
        if not idle:
            yield _collect(busy, idle)
        request = idle.pop()
        request.start_async([tensor.numpy() for tensor in batch])
        busy.append(request)
    while busy:
        yield _collect(busy, idle)


def _collect(busy: deque[Any], idle: list[Any]) -> FloatArray:
    request = busy.popleft()
    request.wait()
    result: FloatArray = request.get_output_tensor(0).data.copy()
    idle.append(request)
    return result


def _compile(module: nn.Module, example: Inputs, dynamic: bool) -> Any:  # noqa: ANN401
    """Return OpenVINO's graph of ``module``, or None where there is no OpenVINO or no way."""
    if importlib.util.find_spec("openvino") is None:
        return None
    any_size = {0: torch.export.Dim.AUTO, 1: torch.export.Dim.AUTO}
    shapes = tuple(any_size for _ in example) if dynamic else None
    # Without this module the converter would report its use to its makers.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    openvino = importlib.import_module("openvino")
    # Float32 throughout: the default would round to bfloat16 where the processor has it.
    settings = {"PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_PRECISION_HINT": "f32"}
    try:
        with _kept_logging():
            program = torch.export.export(module, example, dynamic_shapes=shapes)
            return openvino.Core().compile_model(openvino.convert_model(program), "CPU", settings)
    except Exception as error:  # whatever a model holds that one of the two cannot express
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        _LOG.warning("No optimized graph (%s): the frozen encoder runs as it is, slower.", reason)
        return None


@contextmanager
def _kept_logging() -> Iterator[None]:
    """Put the root logger back: OpenVINO silences it, and a conversion that fails leaves it so."""
    root = logging.getLogger()
    level, filters, handlers = root.level, root.filters.copy(), root.handlers.copy()
    try:
        yield
    finally:
        root.setLevel(level)
        root.filters, root.handlers = filters, handlers
