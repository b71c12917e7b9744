"""The controls of the ablation differ from COOKIE in what they say, and in nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from baselines.dual_stream import DualStream
from baselines.equal_parameters import above_encoders, matched, two_transformers
from baselines.fresh_text import with_fresh_text
from baselines.token_mlp import PerceptronLayer, TokenMLP, TokenStream
from baselines.two_views import TwoViews
from baselines.unshared import OwnNorms, Unshared
from cookie.config import Config
from cookie.interfaces import DualEncoder, Outside, TextBatch, TrainableSystem, TrainBatch
from cookie.model import Cookie
from cookie.nn.losses import info_nce
from cookie.nn.momentum import MovingAverage
from cookie.nn.shared_transformer import SharedTransformer
from cookie.presets import preset
from tests.baselines.material import VOCABULARY, make_images, make_texts, small_config

CONTROLS: tuple[type[Cookie], ...] = (Unshared, OwnNorms, TokenStream, TwoViews)
every_control = pytest.mark.parametrize("control", CONTROLS)


def build(kind: Callable[[Config, int], nn.Module], config: Config | None = None) -> nn.Module:
    torch.manual_seed(0)
    return kind(config or small_config(), VOCABULARY).eval()


def batch(rows: int = 5) -> TrainBatch:
    lengths = [4 + row % 3 for row in range(rows)]
    return TrainBatch(
        make_images(rows, 0), make_texts(lengths, 1), make_images(rows, 2), make_texts(lengths, 3)
    )


def disturb(module: nn.Module) -> None:
    """Move all weights, so that layers that begin as the identity do something."""
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for value in module.parameters():
            value.add_(0.1 * torch.randn(value.shape, generator=generator))


@every_control
def test_a_control_is_what_the_interfaces_ask_for(control: type[Cookie]):
    model = build(control)
    assert isinstance(model, DualEncoder)
    assert isinstance(model, TrainableSystem)
    embedded = model.encode_images(make_images(3)), model.encode_texts(make_texts([3, 5]))
    for vectors in embedded:
        torch.testing.assert_close(vectors.norm(dim=1), torch.ones(len(vectors)))


@every_control
def test_a_control_starts_out_as_cookie_does(control: type[Cookie]):
    """Same seed, same encoders, and a bridge that is at first the identity."""
    ours, theirs = build(control), build(Cookie)
    torch.testing.assert_close(
        ours.encode_images(make_images(3)), theirs.encode_images(make_images(3))
    )
    torch.testing.assert_close(
        ours.encode_texts(make_texts([3, 5])), theirs.encode_texts(make_texts([3, 5]))
    )


@every_control
def test_every_parameter_learns_once(control: type[Cookie]):
    model = build(control)
    groups = model.parameter_groups(preset("smoke").train)
    named = [id(value) for group in groups for value in group["params"]]
    assert sorted(named) == sorted(id(value) for value in model.parameters())


def gradients(model: nn.Module, loss: Tensor) -> dict[str, float]:
    model.zero_grad()
    loss.backward()
    return {
        name: 0.0 if value.grad is None else float(value.grad.abs().sum())
        for name, value in model.named_parameters()
    }


def test_cookie_sends_both_paths_through_one_object():
    model = build(Cookie)
    disturb(model)
    for path in (model.encode_images(make_images(3)), model.encode_texts(make_texts([3, 5]))):
        found = gradients(model, path[:, 0].sum())
        assert all(found[name] > 0 for name in found if name.startswith("shared.layers.0.mlp.0"))


def test_the_unshared_transformers_belong_to_one_path_each():
    model = build(Unshared)
    disturb(model)
    by_images = gradients(model, model.encode_images(make_images(3))[:, 0].sum())
    by_texts = gradients(model, model.encode_texts(make_texts([3, 5]))[:, 0].sum())
    for name in by_images:
        if name.startswith("image_transformer.layers"):
            assert by_texts[name] == 0
        if name.startswith("text_transformer.layers"):
            assert by_images[name] == 0
    assert by_images["image_transformer.layers.0.mlp.0.weight"] > 0
    assert by_texts["text_transformer.layers.0.mlp.0.weight"] > 0


def test_the_unshared_transformers_start_alike_and_are_two():
    model = build(Unshared)
    pairs = zip(
        model.image_transformer.parameters(), model.text_transformer.parameters(), strict=True
    )
    for image, text in pairs:
        assert torch.equal(image, text)
        assert image.data_ptr() != text.data_ptr()
    assert not hasattr(model, "shared")


def test_own_norms_share_every_matrix_and_no_norm():
    config = small_config()
    model = build(OwnNorms, replace(config, head=replace(config.head, layers=2)))
    image, text = model.image_transformer, model.text_transformer
    for ours, theirs in zip(image.layers, text.layers, strict=True):
        assert ours.attention is theirs.attention
        assert ours.mlp is theirs.mlp
        assert ours.attention_norm is not theirs.attention_norm
        assert ours.mlp_norm is not theirs.mlp_norm
    assert image.norm is not text.norm
    extra = above_encoders(model) - above_encoders(
        build(Cookie, replace(config, head=replace(config.head, layers=2)))
    )
    assert extra == (2 * 2 + 1) * 2 * config.head.width  # two norms a layer and the last one


def test_the_token_mlp_looks_at_each_token_alone():
    head = small_config().head
    torch.manual_seed(0)
    module = TokenMLP(head).eval()
    disturb(module)
    tokens = torch.randn(2, 5, head.width)
    changed = tokens.clone()
    changed[:, 3] = torch.randn(2, head.width)
    before, after = module(tokens), module(changed, torch.ones(2, 5, dtype=torch.bool))
    same = [0, 1, 2, 4]
    torch.testing.assert_close(before[:, same], after[:, same])
    assert not torch.allclose(before[:, 3], after[:, 3])


def test_a_perceptron_layer_is_its_formula():
    torch.manual_seed(0)
    layer = PerceptronLayer(8, 12, 0.0).eval()
    disturb(layer)
    x = torch.randn(2, 3, 8)
    first, _, last = layer.mlp
    normed = nn.functional.layer_norm(x, (8,), *layer.mlp_norm.parameters())
    inside = nn.functional.gelu(first(normed))
    torch.testing.assert_close(layer(x), x + last(inside))


@pytest.mark.parametrize("name", ["smoke", "tiny", "small", "paper"])
@pytest.mark.parametrize("between", [two_transformers, TokenMLP])
def test_matched_controls_have_cookies_size(name: str, between: Callable[..., nn.Module]):
    config = preset(name)
    with torch.device("meta"):
        ours = sum(p.numel() for p in between(matched(config, between).head).parameters())
        theirs = sum(p.numel() for p in SharedTransformer(config.head).parameters())
    assert ours == pytest.approx(theirs, rel=0.02)


@pytest.mark.parametrize(
    ("control", "between"), [(Unshared, two_transformers), (TokenStream, TokenMLP)]
)
def test_the_totals_above_the_encoders_match_within_two_percent(
    control: type[Cookie], between: Callable[..., nn.Module]
):
    config = preset("smoke")
    found = above_encoders(build(control, matched(config, between)))
    assert found == pytest.approx(above_encoders(build(Cookie, config)), rel=0.02)


def test_a_control_that_cannot_be_small_enough_is_as_narrow_as_can_be():
    config = preset("smoke")
    thin = replace(config, head=replace(config.head, mlp_ratio=0.1))
    assert matched(thin, two_transformers).head.mlp_ratio == 1 / thin.head.width


def test_parameters_above_the_encoders_are_the_rest():
    model = build(Cookie)
    encoders = [model.image_tower.encoder, model.text_tower.encoder]
    inside = sum(p.numel() for encoder in encoders for p in encoder.parameters())
    assert above_encoders(model) == sum(p.numel() for p in model.parameters()) - inside
    assert above_encoders(nn.Linear(2, 2)) is None


def test_two_views_average_the_losses_of_both_pairs():
    model = build(TwoViews)
    data = batch()
    found = model.training_loss(data)
    scale = model.temperature()
    pairs = [(data.images, data.texts), (data.images_second, data.texts_second)]
    expected = [
        info_nce(model.encode_images(images), model.encode_texts(texts), scale)
        for images, texts in pairs
    ]
    torch.testing.assert_close(found.total, (expected[0] + expected[1]) / 2)
    assert found.parts.keys() == {"image_text"}


def test_both_views_are_compared_with_what_is_outside_the_batch():
    model = build(TwoViews)
    embeddings, scale = model.embed(batch()), model.temperature()
    generator = torch.Generator().manual_seed(4)
    queued = torch.randn(2, 6, embeddings[0].shape[1], generator=generator)
    images, texts = nn.functional.normalize(queued, dim=-1)
    outside = Outside(images, texts, torch.rand(5, 6, generator=generator) < 0.3)
    pairs = [(embeddings[0], embeddings[2]), (embeddings[1], embeddings[3])]
    expected = sum(info_nce(*pair, scale, outside) for pair in pairs) / 2
    torch.testing.assert_close(model.contrast(embeddings, outside).total, expected)


@pytest.mark.parametrize("control", [*CONTROLS, DualStream])
def test_a_moving_average_of_a_control_is_a_control(control: type[Cookie]):
    """Ties and exchanged parts included: a copy of what is there, not of what a class makes."""
    model = build(control)
    disturb(model)
    average = MovingAverage(model, 0.5)
    found = average.embed(make_images(3), make_texts([3, 5, 4]))
    expected = model.encode_images(make_images(3)), model.encode_texts(make_texts([3, 5, 4]))
    assert all(torch.equal(*pair) for pair in zip(found, expected, strict=True))
    counts = [len(list(module.parameters())) for module in (average.model, model)]
    assert counts[0] == counts[1]


def test_two_views_cost_what_cookie_costs():
    costs = {}
    for kind in (Cookie, TwoViews, DualStream):
        model = build(kind).train()
        with FlopCounterMode(display=False) as counter:
            model.training_loss(batch()).total.backward()
        costs[kind] = counter.get_total_flops()
    assert costs[TwoViews] == pytest.approx(costs[Cookie], rel=0.01)
    assert costs[DualStream] < 0.7 * costs[Cookie]


@pytest.mark.parametrize("kind", [Cookie, DualStream])
def test_a_fresh_text_encoder_reads_ids_and_learns(kind: type[Cookie]):
    config = replace(small_config(), regime="frozen")
    model = with_fresh_text(build(kind, config), config, VOCABULARY)
    texts = make_texts([3, 5])
    states = TextBatch(texts.ids, texts.mask, torch.full((2, 5, 32), torch.nan))
    model.eval()
    assert torch.equal(model.encode_texts(states), model.encode_texts(texts))
    assert all(value.requires_grad for value in model.text_tower.parameters())
    assert not any(value.requires_grad for value in model.image_tower.encoder.parameters())
