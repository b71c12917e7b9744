"""The shared transformer: identity at first, PyTorch's pre-norm layer on copied weights."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from cookie.config import HeadConfig
from cookie.nn.shared_transformer import PreNormLayer, SharedTransformer

HEAD = HeadConfig(width=16, layers=2, heads=4, mlp_ratio=2.0, dropout=0.1)


def build(head: HeadConfig = HEAD, *, trained: bool = True) -> SharedTransformer:
    torch.manual_seed(0)
    shared = SharedTransformer(head).eval()
    if trained:
        for parameter in shared.parameters():
            nn.init.normal_(parameter, std=0.3)
    return shared


def example() -> tuple[Tensor, Tensor]:
    tokens = torch.randn(2, 5, 16, generator=torch.Generator().manual_seed(1))
    mask = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    return tokens, mask


def as_torch_layer(layer: PreNormLayer) -> nn.TransformerEncoderLayer:
    other = nn.TransformerEncoderLayer(
        16, 4, 32, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    )
    names = {
        "attention_norm.": "norm1.",
        "mlp_norm.": "norm2.",
        "attention.qkv.": "self_attn.in_proj_",
        "attention.output.": "self_attn.out_proj.",
        "mlp.0.": "linear1.",
        "mlp.2.": "linear2.",
    }
    state = layer.state_dict()
    for ours, theirs in names.items():
        state = {name.replace(ours, theirs): tensor for name, tensor in state.items()}
    other.load_state_dict(state)
    return other.eval()


def test_a_layer_equals_torchs_own():
    layer, (tokens, mask) = build().layers[0], example()
    assert isinstance(layer, PreNormLayer)
    other = as_torch_layer(layer)
    expected = other(tokens, src_key_padding_mask=~mask)
    torch.testing.assert_close(layer(tokens, mask)[mask], expected[mask])


def test_is_its_layers_in_order_and_a_norm():
    shared, (tokens, mask) = build(), example()
    expected = shared.norm(shared.layers[1](shared.layers[0](tokens, mask), mask))
    torch.testing.assert_close(shared(tokens, mask), expected)


def test_fresh_layers_hand_on_their_input():
    shared, (tokens, mask) = build(trained=False), example()
    for layer in shared.layers:
        assert torch.equal(layer(tokens, mask), tokens)
    torch.testing.assert_close(shared(tokens), nn.functional.layer_norm(tokens, (16,)))


def test_fresh_layers_can_learn():
    shared, (tokens, mask) = build(trained=False), example()
    shared(tokens, mask)[..., 0].sum().backward()
    for layer in shared.layers:
        assert isinstance(layer, PreNormLayer)
        for last in (layer.attention.output, layer.mlp[-1]):
            gradient = last.weight.grad
            assert isinstance(gradient, Tensor)
            assert gradient.any()


def test_padding_does_not_reach_real_tokens():
    shared, (tokens, mask) = build(), example()
    changed = tokens.masked_fill(~mask[..., None], 50.0)
    torch.testing.assert_close(shared(changed, mask)[mask], shared(tokens, mask)[mask])
    alone = shared(tokens[1:, :3])
    torch.testing.assert_close(shared(tokens, mask)[1:, :3], alone)


def test_tokens_see_each_other():
    shared, (tokens, _) = build(), example()
    changed = tokens.clone()
    changed[:, 4, :3] += 1
    assert not torch.allclose(shared(changed)[:, 0], shared(tokens)[:, 0])


@pytest.mark.parametrize("layers", [0, 1, 3])
def test_depth_and_width_come_from_the_config(layers: int):
    shared = SharedTransformer(HeadConfig(width=16, layers=layers, heads=2, mlp_ratio=4.0))
    assert len(shared.layers) == layers
    per_layer = 4 * 16 * 16 + 2 * 4 * 16 * 16 + 16 * (4 + 4 + 1) + 2 * 2 * 16
    count = sum(parameter.numel() for parameter in shared.parameters())
    assert count == layers * per_layer + 2 * 16


def test_dropout_is_for_training():
    shared, (tokens, _) = build(), example()
    assert torch.equal(shared(tokens), shared(tokens))
    shared.train()
    assert not torch.equal(shared(tokens), shared(tokens))
