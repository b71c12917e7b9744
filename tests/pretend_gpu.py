"""A GPU where there is none: tensors that say they are on one, computed on the CPU.

Code for GPUs fails in ways that no CPU shows: a tensor was made in the wrong place, an array is
read from the device's memory, or a program waits for the device in every step. Within
:class:`PretendGPU` these happen as they would on CUDA, mixed operands raise, and each crossing or
wait is written down. Numbers are the CPU's, and times mean nothing.
"""

# ruff: noqa: ANN401 -- torch's hooks take and give whatever its functions do

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any, Literal, NamedTuple

import pytest
import torch
from torch import Tensor
from torch.nn.utils import clip_grad
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_flatten, tree_map

GPU, CPU = torch.device("cuda", 0), torch.device("cpu")
MEMORY = 80 << 30
INDEXING = {"aten::index", "aten::index_put", "aten::index_put_"}
"""Indices may be on the CPU."""
DATA_DEPENDENT = {
    "aten::_local_scalar_dense",
    "aten::_unique2",
    "aten::equal",
    "aten::linalg_inv_ex",
    "aten::masked_select",
    "aten::nonzero",
    "aten::unique_consecutive",
    "aten::unique_dim",
}
"""Operations whose shapes, errors or results the host has to see."""

Keywords = Mapping[str, Any]


class MixedDevicesError(RuntimeError):
    """An operation has operands on the CPU and on the GPU."""


class Event(NamedTuple):
    """Something that a program does to a GPU beside giving it work."""

    kind: Literal["to the GPU", "to the host", "wait"]
    name: str
    shape: tuple[int, ...]


events: list[Event] = []
"""What has happened since a test cleared it."""


class OnGPU(Tensor):
    """A tensor of the CPU that passes for one of the GPU."""

    held: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls: type[OnGPU], held: Tensor) -> OnGPU:
        """Return ``held``, a plain tensor, as one on the GPU."""
        made = Tensor._make_wrapper_subclass(
            cls,
            held.shape,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=CPU,
        )
        made.held = held
        return made

    def __repr__(self, **_: Any) -> str:
        return f"OnGPU({self.held!r})"

    @classmethod
    def __torch_dispatch__(
        cls, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Compute on the CPU; the results are on the GPU."""
        name, tensors = func._schema.name, _tensors(args, kwargs or {})
        _check(name, tensors)
        masks = name in INDEXING and any(
            isinstance(index, Tensor) and index.dtype == torch.bool for index in args[1]
        )
        if masks or name in DATA_DEPENDENT:
            events.append(Event("wait", name, tuple(tensors[0].shape)))
        own = {id(tensor.held): tensor for tensor in tensors if isinstance(tensor, OnGPU)}

        def placed(value: Any) -> Any:
            """Return an operand that was written to as itself, a new tensor on the GPU."""
            if id(value) in own:
                return own[id(value)]
            return OnGPU(value) if isinstance(value, Tensor) else value

        return tree_map(placed, func(*tree_map(_held, args), **tree_map(_held, kwargs or {})))


class PretendGPU(TorchFunctionMode):
    """Within it, what names a CUDA device gets this one."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Keywords | None = None,
    ) -> Any:
        """Answer for the GPU where ``func`` asks about it or moves something there or back."""
        kwargs = dict(kwargs or {})
        first = args[0] if args else None
        there = isinstance(first, OnGPU)
        if func.__name__ == "__get__" and there:
            return _property(func, first)
        if func in (Tensor.numpy, Tensor.__array__) and there:
            raise TypeError("cannot convert a tensor on the GPU to numpy: use Tensor.cpu()")
        if func is Tensor.tolist and there:
            return _moved(first, there=False).tolist()
        if func is Tensor.cpu:
            return _moved(first, there=False)
        if func is Tensor.pin_memory:
            return first
        if func is Tensor.to:
            return _to(first, args[1:], kwargs)
        if func is Tensor.new_tensor and there:
            return _moved(func(first.held, *args[1:], **kwargs), there=True)
        if kwargs.get("device") is not None:
            return _made(func, args, kwargs)
        return func(*args, **kwargs)


class _Move(torch.autograd.Function):
    """Takes a tensor to the other side, and its gradient back."""

    @staticmethod
    def forward(context: Any, tensor: Tensor, there: bool) -> Tensor:
        context.there = there
        return OnGPU(tensor.detach().clone()) if there else _held(tensor).detach().clone()

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return _Move.apply(gradients[0], not context.there), None


class _Mark:
    """A :class:`torch.cuda.Event`."""

    def __init__(self, **_: Any) -> None:
        self.seconds = 0.0

    def record(self) -> None:
        self.seconds = time.perf_counter()

    def elapsed_time(self, end: _Mark) -> float:
        return 1e3 * (end.seconds - self.seconds)


@contextmanager
def pretend_gpu(patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let this process have a GPU; what it knows of CUDA is what the suite asks for."""
    facts = SimpleNamespace(name="Pretend GPU", total_memory=MEMORY, uuid="none", major=9, minor=0)
    answers: dict[str, Callable[..., Any]] = {
        "is_available": lambda: True,
        "is_bf16_supported": lambda **_: False,
        "device": lambda _place: nullcontext(),
        "device_count": lambda: 1,
        "current_device": lambda: 0,
        "get_device_name": lambda _place=None: facts.name,
        "get_device_properties": lambda _place=None: facts,
        "mem_get_info": lambda _place=None: (MEMORY, MEMORY),
        "synchronize": lambda _place=None: None,
        "empty_cache": lambda: None,
        "reset_peak_memory_stats": lambda _place: None,
        "memory_allocated": lambda _place: 1 << 20,
        "memory_reserved": lambda _place: 2 << 20,
        "max_memory_allocated": lambda _place: 3 << 20,
        "max_memory_reserved": lambda _place: 4 << 20,
        "get_rng_state": lambda _place=None: torch.get_rng_state(),
        "set_rng_state": lambda state, _place=None: torch.set_rng_state(state),
        "Event": _Mark,
    }
    for name, answer in answers.items():
        patch.setattr(torch.cuda, name, answer)
    _adapt(patch)
    events.clear()
    overwrites = torch.__future__.get_overwrite_module_params_on_conversion()
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    try:
        with PretendGPU():
            yield
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(overwrites)


def _adapt(patch: pytest.MonkeyPatch) -> None:
    """Replace what asks the driver itself, or what wrapped tensors cannot do."""
    for check in ("_accelerator_graph_capture_health_check", "_cuda_graph_capture_health_check"):
        patch.setattr(torch.optim.Optimizer, check, lambda _self: None, raising=False)
    entered = list[torch.no_grad]()

    def enter(_self: object) -> None:
        entered.append(torch.no_grad())
        entered[-1].__enter__()

    patch.setattr(torch.inference_mode, "__enter__", enter)
    patch.setattr(
        torch.inference_mode, "__exit__", lambda _self, *end: entered.pop().__exit__(*end)
    )
    group = clip_grad._group_tensors_by_device_and_dtype  # names the CPU, where they really are

    def grouped(lists: list[list[Tensor]]) -> dict[Any, Any]:
        gpu = isinstance(lists[0][0], OnGPU)
        return {(GPU if gpu else key[0], key[1]): found for key, found in group(lists).items()}

    patch.setattr(clip_grad, "_group_tensors_by_device_and_dtype", grouped)


def _check(name: str, tensors: Sequence[Tensor]) -> None:
    """Refuse operands of both places; numbers without dimensions may be of either."""
    for tensor in tensors:
        if isinstance(tensor, OnGPU) or tensor.dim() == 0:
            continue
        if name == "aten::copy_" or name in INDEXING:
            events.append(Event("to the GPU", name, tuple(tensor.shape)))
        else:
            shape = tuple(tensor.shape)
            raise MixedDevicesError(f"{name}: a tensor {shape} on the CPU beside others on the GPU")


def _property(func: Any, tensor: OnGPU) -> Any:
    answers = {Tensor.device: GPU, Tensor.is_cuda: True, Tensor.is_cpu: False}
    asked = func.__self__
    return answers[asked] if asked in answers else func(tensor)


def _to(tensor: Tensor, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    """``Tensor.to``, whose arguments may name a device, a dtype or another tensor."""
    target, dtype = kwargs.pop("device", None), kwargs.pop("dtype", None)
    kwargs.pop("non_blocking", None)
    for value in args:
        if isinstance(value, Tensor):
            target, dtype = GPU if isinstance(value, OnGPU) else CPU, value.dtype
        elif isinstance(value, torch.dtype):
            dtype = value
        elif isinstance(value, (str, torch.device)):
            target = value
    cast = tensor if dtype is None else tensor.to(dtype, **kwargs)
    return cast if target is None else _moved(cast, there=_is_gpu(target))


def _made(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Make a tensor on the device asked for; data of the host are copied there."""
    there = _is_gpu(kwargs["device"])
    if not there and not any(isinstance(value, OnGPU) for value in args):
        return func(*args, **kwargs)
    made = func(*args, **kwargs | {"device": CPU})
    if not there or isinstance(made, OnGPU):
        return made
    if func in (torch.tensor, torch.as_tensor):
        return _moved(made, there=True)
    return OnGPU(made.detach()).requires_grad_(made.requires_grad)


def _moved(tensor: Tensor, *, there: bool) -> Tensor:
    if isinstance(tensor, OnGPU) == there:
        return tensor
    kind: Literal["to the GPU", "to the host"] = "to the GPU" if there else "to the host"
    events.append(Event(kind, "copy", tuple(tensor.shape)))
    return _Move.apply(tensor, there)


def _is_gpu(place: str | torch.device) -> bool:
    return torch.device(place).type == "cuda"


def _tensors(args: tuple[Any, ...], kwargs: Keywords) -> list[Tensor]:
    return [value for value in tree_flatten((args, dict(kwargs)))[0] if isinstance(value, Tensor)]


def _held(value: Any) -> Any:
    return value.held if isinstance(value, OnGPU) else value
