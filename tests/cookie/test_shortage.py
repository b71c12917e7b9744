"""How a lack of memory shows, and that what was halved is told once and kept."""

from __future__ import annotations

import pytest
import torch

from cookie.shortage import is_shortage, shortages, tell_halved


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB."),
        torch.OutOfMemoryError(),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`"),
        RuntimeError("alloc_cpu.cpp:117: DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes."),
    ],
)
def test_what_says_that_memory_lacks(error: Exception) -> None:
    assert is_shortage(error)


@pytest.mark.parametrize(
    "error",
    [RuntimeError("shape mismatch"), ValueError("out of memory"), KeyboardInterrupt(), OSError()],
)
def test_what_says_something_else(error: BaseException) -> None:
    assert not is_shortage(error)


def test_the_allocator_of_this_machine_is_understood() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60, dtype=torch.uint8)
    assert is_shortage(caught.value)


def test_every_halving_is_a_line_that_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    with shortages() as told:
        assert tell_halved(9, "pairs") == 4
        assert tell_halved(4, "pairs") == 2
    assert told == [
        "out of memory with 9 pairs at a time: going on with 4",
        "out of memory with 4 pairs at a time: going on with 2",
    ]
    assert capsys.readouterr().err.splitlines() == told
    with shortages() as later:
        pass
    assert later == []
