"""ViLT's scores equal the library's own, along every way to them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
import torch
from transformers import BertTokenizer, ViltConfig, ViltForImageAndTextRetrieval

from baselines.pair_scoring import score_list, score_matrix
from baselines.pair_states import naive_scores
from baselines.pretrained.vilt import Vilt, build_vilt, random_vilt
from cookie.errors import UserError
from cookie.interfaces import ImageBatch, PairScorer, TextBatch
from tests.baselines.pretrained.material import captions, picture, pixels, save, shaken

SMALL: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "image_size": 32,
    "patch_size": 8,
    "vocab_size": 60,
    "max_position_embeddings": 12,
}
LENGTHS = [5, 3, 9, 12, 3, 7]


@pytest.fixture(scope="module")
def theirs() -> ViltForImageAndTextRetrieval:
    torch.manual_seed(0)
    model = ViltForImageAndTextRetrieval(ViltConfig(**SMALL))
    return cast(ViltForImageAndTextRetrieval, shaken(model, 0.3))


@torch.inference_mode()
def upstream(
    model: ViltForImageAndTextRetrieval, images: ImageBatch, texts: TextBatch
) -> torch.Tensor:
    """Return (I, C): the library's logit of each pair, one pair after the other."""
    rows = [
        model(
            input_ids=texts.ids[c : c + 1],
            attention_mask=texts.mask[c : c + 1].long(),
            pixel_values=(images.data[i : i + 1] - 0.5) / 0.5,
        ).logits
        for i in range(len(images))
        for c in range(len(texts))
    ]
    return torch.cat(rows).view(len(images), len(texts))


@torch.inference_mode()
def matrix(scorer: Vilt, images: ImageBatch, texts: TextBatch, **given: Any) -> torch.Tensor:  # noqa: ANN401
    states = scorer.prepare_images(images), scorer.prepare_texts(texts)
    return score_matrix(scorer, *states, precision="float32", **given)


@pytest.mark.parametrize("budget", [1, 50, 10_000])
def test_scores_equal_the_library(theirs: ViltForImageAndTextRetrieval, budget: int):
    images, texts = pixels(4, 32), captions(LENGTHS, 60)
    wanted = upstream(theirs, images, texts)
    found = matrix(Vilt(theirs), images, texts, token_budget=budget)
    assert float(wanted.std()) > 0.1  # or any scores would do
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=0)


def test_a_list_of_pairs_and_the_plain_loop_agree_too(theirs: ViltForImageAndTextRetrieval):
    images, texts, scorer = pixels(3, 32), captions(LENGTHS, 60), Vilt(theirs)
    wanted = upstream(theirs, images, texts)
    torch.testing.assert_close(naive_scores(scorer, images, texts), wanted, atol=1e-4, rtol=0)
    with torch.inference_mode():
        states = scorer.prepare_images(images), scorer.prepare_texts(texts)
    rows, columns = (torch.tensor(part).numpy() for part in ([2, 0, 1, 0], [3, 3, 0, 5]))
    found = score_list(scorer, *states, rows, columns, precision="float32")
    torch.testing.assert_close(found, wanted[rows, columns], atol=1e-4, rtol=0)


def test_an_image_of_another_size_stretches_the_positions(theirs: ViltForImageAndTextRetrieval):
    generator = torch.Generator().manual_seed(3)
    images = ImageBatch(torch.rand(2, 3, 40, 24, generator=generator))
    texts = captions([4, 6], 60)
    wanted = upstream(theirs, images, texts)
    torch.testing.assert_close(matrix(Vilt(theirs), images, texts), wanted, atol=1e-4, rtol=0)


def test_bytes_and_floats_are_the_same_image(theirs: ViltForImageAndTextRetrieval):
    data = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    scorer = Vilt(theirs)
    first, second = (
        scorer.prepare_images(ImageBatch(one)).tokens for one in (data, data.float() / 255)
    )
    torch.testing.assert_close(first, second)


def test_padding_does_not_matter_and_captions_do(theirs: ViltForImageAndTextRetrieval):
    scorer, images = Vilt(theirs), pixels(1, 32)
    alone = naive_scores(scorer, images, captions([3], 60))
    padded = captions([3, 12], 60)
    ids = padded.ids.clone()
    ids[0, :3] = captions([3], 60).ids
    ids[0, 3:] = 9  # under the mask
    with torch.inference_mode():
        texts = scorer.prepare_texts(TextBatch(ids, padded.mask))
        twice = scorer.prepare_images(ImageBatch(images.data.repeat(2, 1, 1, 1)))
        found = scorer.score_pairs(twice, texts)
    torch.testing.assert_close(found[:1], alone[0], atol=1e-4, rtol=0)
    assert abs(float(found[1] - found[0])) > 1e-3


def test_the_source_is_neither_changed_nor_shared(theirs: ViltForImageAndTextRetrieval):
    before = {name: tensor.clone() for name, tensor in theirs.state_dict().items()}
    scorer = Vilt(theirs)
    with torch.no_grad():
        for parameter in scorer.parameters():
            parameter.zero_()
    assert all(torch.equal(before[name], t) for name, t in theirs.state_dict().items())
    assert isinstance(scorer, PairScorer)
    assert not scorer.training


def test_parameters_are_as_many_as_the_library_has(theirs: ViltForImageAndTextRetrieval):
    counts = [sum(p.numel() for p in model.parameters()) for model in (theirs, Vilt(theirs))]
    assert counts[0] == counts[1]


def test_a_checkpoint_in_a_folder(tmp_path: Path, theirs: ViltForImageAndTextRetrieval):
    save(theirs, tmp_path, BertTokenizer)
    bundle = build_vilt(str(tmp_path))
    images, texts = bundle.images([picture()]), bundle.texts(["a red cube", "a cube"])
    assert images.data.shape == (1, 3, 32, 32)
    assert texts.ids.tolist() == [[2, 5, 6, 7, 3], [2, 5, 7, 3, 0]]
    found = matrix(bundle.model, images, texts)
    torch.testing.assert_close(found, upstream(theirs, images, texts), atol=1e-4, rtol=0)


def test_random_weights_by_default_are_vilt_b32():
    scorer = random_vilt(num_hidden_layers=1)
    assert (scorer.grid, scorer.width, scorer.max_tokens) == (12, 768, 40)


def test_long_captions_and_foreign_activations_are_refused(theirs: ViltForImageAndTextRetrieval):
    with pytest.raises(UserError, match="13 tokens, this ViLT reads 12"):
        Vilt(theirs).prepare_texts(captions([13], 60))
    with pytest.raises(UserError, match="'relu', not 'gelu'"):
        random_vilt(**SMALL, hidden_act="relu")


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(UserError, match=r"did you mean 'dandelin/vilt-b32-finetuned-coco'"):
        build_vilt("vilt-b32-finetuned-coco")


def test_an_unreachable_checkpoint_is_one_sentence(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="No ViLT checkpoint 'dandelin/vilt-b32'") as caught:
        build_vilt("dandelin/vilt-b32")
    assert "\n" not in str(caught.value)
    assert "Did you mean 'dandelin/vilt-b32-finetuned" in str(caught.value)


def test_a_folder_without_a_model_is_one_sentence(tmp_path: Path):
    with pytest.raises(UserError, match=f"No ViLT checkpoint '{tmp_path}'") as caught:
        build_vilt(str(tmp_path))
    assert "\n" not in str(caught.value)
