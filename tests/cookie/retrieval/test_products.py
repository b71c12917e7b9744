"""Products: never in reduced precision, exactly rounded when asked, within the stated slack."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cookie.retrieval import products
from cookie.retrieval.products import (
    exact_products,
    inner_products,
    pair_products,
    rounding_slack,
)


def pair_of_matrices(seed: int, width: int = 96) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.randn(33, width, generator=generator),
        torch.randn(70, width, generator=generator),
    )


def reference(left: torch.Tensor, right: torch.Tensor) -> np.ndarray:
    """Inner products in extended precision."""
    return left.numpy().astype(np.longdouble) @ right.numpy().astype(np.longdouble).T


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 1000), width=st.integers(1, 300))
def test_products_stay_within_their_slack(seed: int, width: int) -> None:
    left, right = pair_of_matrices(seed, width)
    slack = rounding_slack(left, right.norm(dim=1).amax())
    error = np.abs(inner_products(left, right).numpy() - reference(left, right))
    assert (error <= slack.numpy()[:, None]).all()


def test_exact_products_are_the_nearest_float32() -> None:
    left, right = pair_of_matrices(0)
    expected = reference(left, right).astype(np.float32)
    np.testing.assert_array_equal(exact_products(left, right).numpy(), expected)
    rows, columns = torch.arange(33).repeat_interleave(70), torch.arange(70).repeat(33)
    pairs = pair_products(left, right, rows, columns)
    np.testing.assert_array_equal(pairs.view(33, 70).numpy(), expected)


def test_no_pairs_have_no_products() -> None:
    none = torch.empty(0, dtype=torch.int64)
    assert pair_products(torch.ones(2, 3), torch.ones(2, 3), none, none).shape == (0,)


@pytest.mark.parametrize("rows", [0, 1, 7, 8, 33])
@pytest.mark.parametrize("onednn", [True, False])
def test_both_libraries_agree(rows: int, onednn: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if onednn and not products._ONEDNN:
        pytest.skip("this build of torch has no oneDNN")
    monkeypatch.setattr(products, "_ONEDNN", onednn)
    left, right = pair_of_matrices(1)
    found = inner_products(left[:rows], right)
    assert found.shape == (rows, 70)
    np.testing.assert_allclose(found, reference(left[:rows], right), atol=1e-4)


def test_reduced_precision_settings_have_no_effect_and_are_restored() -> None:
    left, right = pair_of_matrices(2, 512)
    expected = inner_products(left, right)
    before = torch.backends.mkldnn.matmul.fp32_precision
    torch.backends.mkldnn.matmul.fp32_precision = "bf16"
    try:
        with torch.autocast("cpu", torch.bfloat16):
            found = inner_products(left, right)
            exact = exact_products(left, right)
        assert torch.backends.mkldnn.matmul.fp32_precision == "bf16"
    finally:
        torch.backends.mkldnn.matmul.fp32_precision = before
    assert found.dtype == exact.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-4)
    np.testing.assert_array_equal(exact, reference(left, right).astype(np.float32))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_half_precision_on_a_gpu_is_summed_in_float32() -> None:
    left, right = (matrix.half().cuda() for matrix in pair_of_matrices(3))
    found = inner_products(left, right)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.cpu(), exact_products(left, right).cpu(), atol=1e-4, rtol=0)
