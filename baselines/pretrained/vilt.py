"""ViLT (Kim et al., ICML 2021) as a ``PairScorer``: the same scores from less work.

A caption's word embeddings and an image's patch embeddings are made once; the joint transformer
runs per pair, with fused projections and attention, and its last layer only for [CLS], which is
all that a score reads. Equal to ``transformers.ViltForImageAndTextRetrieval`` up to rounding.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.pretrained.bundle import Bundle, square, tokenizer_texts
from baselines.pretrained.hub import from_hub, whole
from cookie.errors import UserError
from cookie.interfaces import ImageBatch, ImageState, TextBatch, TextState
from cookie.nn.attention import FeedForward, SelfAttention

if TYPE_CHECKING:
    from transformers import ViltForImageAndTextRetrieval

CHECKPOINTS = ("dandelin/vilt-b32-finetuned-coco", "dandelin/vilt-b32-finetuned-flickr30k")


class JointLayer(nn.Module):
    """A pre-norm transformer layer that can be asked for some rows alone.

    Args:
        theirs: a ``ViltLayer``, whose weights are copied.
        config: its ``ViltConfig``.
    """

    def __init__(self, theirs: Any, config: Any) -> None:  # noqa: ANN401 -- untyped library
        super().__init__()
        width, mlp_width, eps = config.hidden_size, config.intermediate_size, config.layer_norm_eps
        self.attention_norm = nn.LayerNorm(width, eps=eps)
        self.attention = SelfAttention(width, config.num_attention_heads, dropout=0.0)
        self.mlp_norm = nn.LayerNorm(width, eps=eps)
        self.mlp = FeedForward(width, mlp_width)
        attention = theirs.attention.attention
        _copy(self.attention.qkv, attention.query, attention.key, attention.value)
        _copy(self.attention.output, theirs.attention.output.dense)
        _copy(self.mlp[0], theirs.intermediate.dense)
        _copy(self.mlp[2], theirs.output.dense)
        self.attention_norm.load_state_dict(theirs.layernorm_before.state_dict())
        self.mlp_norm.load_state_dict(theirs.layernorm_after.state_dict())

    def forward(self, hidden: Tensor, mask: Tensor | None, wanted: int | None = None) -> Tensor:
        """Return (P, L, C), or the first ``wanted`` rows of it alone.

        Args:
            hidden: (P, L, C).
            mask: (P, L) bool, True at real tokens; None where all are.
            wanted: K; None for all rows.
        """
        normed = self.attention_norm(hidden)
        queries = None if wanted is None else normed[:, :wanted]
        hidden = hidden[:, :wanted] + self.attention(normed, mask, queries)
        result: Tensor = hidden + self.mlp(self.mlp_norm(hidden))
        return result


class Vilt(nn.Module):
    """A ``PairScorer``.

    Args:
        model: whose weights are copied; it is not changed and not kept.

    Raises:
        UserError: the model has an activation other than GELU.
    """

    def __init__(self, model: ViltForImageAndTextRetrieval) -> None:
        super().__init__()
        config: Any = model.config  # images and patches are squares, which the types leave open
        vilt: Any = model.vilt
        if config.hidden_act != "gelu":
            raise UserError(f"This ViLT has the activation '{config.hidden_act}', not 'gelu'.")
        embeddings = vilt.embeddings
        self.max_tokens = int(config.max_position_embeddings)
        self.image_size = int(config.image_size)
        self.grid, self.width = config.image_size // config.patch_size, config.hidden_size
        self.words = _own(embeddings.text_embeddings)
        self.patches = _own(embeddings.patch_embeddings.projection)
        self.modality = _own(embeddings.token_type_embeddings)
        self.image_cls = nn.Parameter(embeddings.cls_token.detach().clone())
        self.positions = nn.Parameter(embeddings.position_embeddings.detach().clone())
        self.layers = nn.ModuleList(JointLayer(layer, config) for layer in vilt.encoder.layer)
        self.norm, self.pooler = _own(vilt.layernorm), _own(vilt.pooler.dense)
        self.rank = _own(model.rank_output)
        self.eval()

    def prepare_images(self, images: ImageBatch) -> ImageState:
        """Return (B, 1 + N, C): patch embeddings with positions, N of them."""
        pixels = images.data
        if pixels.dtype == torch.uint8:
            pixels = pixels.float() / 255
        patches = self.patches((pixels - 0.5) / 0.5)  # (B, C, G, G)
        tokens = patches.flatten(2).transpose(1, 2) + self._places(*patches.shape[2:])
        first = (self.image_cls + self.positions[:, :1]).expand(len(tokens), -1, -1)
        return ImageState(torch.cat([first.to(tokens.dtype), tokens], 1) + self.modality.weight[1])

    def _places(self, height: int, width: int) -> Tensor:
        """Return (1, N, C): positions stretched to the grid of an image of another size."""
        places = self.positions[:, 1:]
        if (height, width) == (self.grid, self.grid):
            return places
        square = places.transpose(1, 2).reshape(1, -1, self.grid, self.grid)
        stretched = F.interpolate(square, (height, width), mode="bilinear", align_corners=True)
        return stretched.flatten(2).transpose(1, 2)

    def prepare_texts(self, texts: TextBatch) -> TextState:
        """Return (B, L, C): word embeddings with positions.

        Raises:
            UserError: a caption is longer than the positions.
        """
        if texts.ids.shape[1] > self.max_tokens:
            raise UserError(
                f"A caption has {texts.ids.shape[1]} tokens, this ViLT reads {self.max_tokens}:"
                " cut captions to that."
            )
        return TextState(self.words(input_ids=texts.ids) + self.modality.weight[0], texts.mask)

    def score_pairs(self, images: ImageState, texts: TextState) -> Tensor:
        """Return (P,) float32: the matching logit of image i with caption i."""
        hidden = torch.cat([texts.tokens, images.tokens.to(texts.tokens.dtype)], dim=1)
        mask = None  # attention is faster without, and captions in the order of length need none
        if texts.mask.is_cuda or not bool(texts.mask.all()):  # a GPU would have to be waited for
            mask = torch.cat([texts.mask, texts.mask.new_ones(images.tokens.shape[:2])], dim=1)
        *layers, last = self.layers
        for layer in layers:
            hidden = layer(hidden, mask)
        first = self.norm(last(hidden, mask, wanted=1)[:, 0])  # (P, C)
        scores: Tensor = self.rank(torch.tanh(self.pooler(first)))[:, 0]
        return scores.float()


def random_vilt(**settings: Any) -> Vilt:  # noqa: ANN401
    """Return ViLT-B/32 with random weights: good for its cost, not for accuracy.

    Args:
        settings: of ``ViltConfig``.
    """
    from transformers import ViltConfig, ViltForImageAndTextRetrieval

    return Vilt(ViltForImageAndTextRetrieval(ViltConfig(**settings)))


def build_vilt(name: str) -> Bundle[Vilt]:
    """Return ViLT with the weights and the tokenizer of a checkpoint.

    ViLT was trained on images that keep their shape; here all are squares of its image size, so
    that they can be kept and batched together.

    Args:
        name: on the hub, or a folder.

    Raises:
        UserError: there is no such checkpoint, or it cannot be reached.
    """
    return from_hub("ViLT checkpoint", name, CHECKPOINTS, _load)


def _load(name: str) -> Bundle[Vilt]:
    from transformers import AutoTokenizer, ViltForImageAndTextRetrieval

    model = Vilt(whole(ViltForImageAndTextRetrieval, name))
    texts = tokenizer_texts(AutoTokenizer.from_pretrained(name), model.max_tokens)
    return Bundle(model, square(model.image_size), texts, model.image_size, name)


def _own(module: nn.Module) -> Any:  # noqa: ANN401 -- whatever kind it is
    """Return a copy of ``module``."""
    return copy.deepcopy(module)


@torch.no_grad()
def _copy(ours: Any, *theirs: nn.Linear) -> None:  # noqa: ANN401 -- a linear layer
    """Set a linear layer to ``theirs``, one above the other."""
    ours.weight.copy_(torch.cat([one.weight.data for one in theirs]))
    biases = [torch.zeros(len(t.weight)) if t.bias is None else t.bias.data for t in theirs]
    ours.bias.copy_(torch.cat(biases))
