"""A modality's own path: positions that survive dropping, frozen encoders, float32 embeddings."""

from __future__ import annotations

import dataclasses

import pytest
import torch
import torch.nn.functional as F

from cookie.config import Config, HeadConfig
from cookie.interfaces import ImageBatch, TextBatch
from cookie.nn.tower import EmbeddingHead, TokenProjection, Tokens, image_tower, text_tower
from cookie.presets import preset

HEAD = HeadConfig(width=16, embedding=10)


def projection(token_dropout: float = 0.0, head: HeadConfig = HEAD) -> TokenProjection:
    torch.manual_seed(0)
    return TokenProjection(6, 9, head, token_dropout)


def encoded(rows: int = 3, length: int = 9) -> torch.Tensor:
    return torch.randn(rows, length, 6, generator=torch.Generator().manual_seed(1))


def frozen(config: Config) -> Config:
    return dataclasses.replace(config, regime="frozen")


def test_projection_is_a_norm_of_a_linear_map_plus_position_and_modality():
    module, tokens = projection(), encoded(length=4)
    by_hand = F.layer_norm(tokens @ module.linear.weight.T + module.linear.bias, (16,))
    expected = by_hand + module.positions[:4] + module.modality
    torch.testing.assert_close(module(tokens), expected)


def test_positions_and_modality_start_small_but_not_at_zero():
    module = projection()
    assert 0.01 < module.positions.std() < 0.03
    assert 0.005 < module.modality.std() < 0.04


@pytest.mark.parametrize(("share", "kept"), [(0.33, 6), (0.5, 5), (0.9, 1), (0.999, 1)])
def test_tokens_that_stay_keep_their_own_positions(share: float, kept: int):
    module, tokens = projection(share), encoded(rows=4)
    everything = module.eval()(tokens)  # (4, 9, 16), all rows different
    some = module.train()(tokens)
    assert some.shape == (4, kept, 16)
    for row in range(4):
        distance = torch.cdist(some[row], everything[row])
        assert (distance.amin(dim=1) < 1e-5).all()
        assert distance.argmin(dim=1).unique().numel() == kept


def test_which_tokens_stay_is_drawn_anew_for_each_row_and_step():
    module, tokens = projection(0.5).train(), encoded(rows=1).expand(40, -1, -1)
    torch.manual_seed(0)
    first, second = module(tokens), module(tokens)
    rows = {tuple(row.flatten().tolist()) for row in (*first, *second)}
    assert len(rows) > 70  # nearly all of the 80 draws differ


def test_every_token_is_as_likely_to_stay():
    module = projection(1 / 3).train()
    torch.manual_seed(0)
    kept = module._choose(torch.zeros(6000, 9, 6))
    share = torch.bincount(kept.flatten(), minlength=9) / 6000
    torch.testing.assert_close(share, torch.full((9,), 2 / 3), atol=0.03, rtol=0)


def test_nothing_is_dropped_in_evaluation():
    module = projection(0.5, dataclasses.replace(HEAD, channel_dropout=0.5)).eval()
    assert torch.equal(module(encoded()), module(encoded()))
    assert module(encoded()).shape == (3, 9, 16)


def test_channels_are_dropped_in_training():
    module = projection(0.0, dataclasses.replace(HEAD, channel_dropout=0.5)).train()
    assert not torch.equal(module(encoded()), module(encoded()))


def test_embeddings_are_unit_rows_in_float32_even_under_autocast():
    torch.manual_seed(2)
    head = EmbeddingHead(HEAD)
    states = torch.randn(3, 5, 16)
    with torch.autocast("cpu", torch.bfloat16):
        found = head(Tokens(states))
    assert found.dtype == torch.float32
    assert torch.equal(found, head(Tokens(states)))
    torch.testing.assert_close(found.norm(dim=1), torch.ones(3))


def test_embedding_by_hand():
    head = EmbeddingHead(HEAD)
    states, mask = torch.randn(2, 3, 16), torch.tensor([[True] * 3, [True, False, False]])
    pooled = torch.stack([states[0].mean(0), states[1, 0]])
    expected = pooled @ head.linear.weight.T + head.linear.bias
    expected = expected / expected.norm(dim=1, keepdim=True)
    torch.testing.assert_close(head(Tokens(states, mask)), expected)


def test_a_frozen_encoder_neither_learns_nor_leaves_evaluation_mode():
    tower = text_tower(frozen(preset("smoke")), 30).train()
    assert not tower.encoder.training
    assert all(not layer.training for layer in tower.encoder.modules())
    assert tower.projection.training
    texts = TextBatch(torch.randint(0, 30, (2, 5)), torch.ones(2, 5, dtype=torch.bool))
    tower.embed(tower.read(texts)).sum().backward()
    assert all(p.grad is None and not p.requires_grad for p in tower.encoder.parameters())
    assert all(p.grad is not None for p in tower.projection.parameters())


def test_an_encoder_that_is_not_frozen_learns():
    tower = image_tower(preset("smoke")).train()
    assert tower.encoder.training
    tower.embed(tower.read(ImageBatch(pixels=torch.rand(2, 3, 32, 32)))).sum().backward()
    assert all(p.grad is not None for p in tower.encoder.parameters())


def test_the_image_path_drops_tokens_and_the_caption_path_does_not():
    head = dataclasses.replace(preset("smoke").head, token_dropout=0.5)
    config = dataclasses.replace(preset("smoke"), head=head)
    images, texts = image_tower(config).train(), text_tower(config, 30).train()
    batch = TextBatch(torch.randint(0, 30, (2, 5)), torch.ones(2, 5, dtype=torch.bool))
    assert images.read(ImageBatch(pixels=torch.rand(2, 3, 32, 32))).states.shape == (2, 8, 64)
    assert texts.read(batch).states.shape == (2, 5, 64)


def test_the_mask_goes_along_with_captions_alone():
    config = preset("smoke")
    mask = torch.tensor([[True, True, False]])
    texts = TextBatch(torch.tensor([[1, 2, 0]]), mask)
    assert text_tower(config, 30).read(texts).mask is mask
    images = ImageBatch(pixels=torch.rand(1, 3, 32, 32))
    assert image_tower(config).read(images).mask is None
