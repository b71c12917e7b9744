"""Self-attention of a library's model in one product, as its own module should have done."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PackedAttention(nn.Module):
    """What an ``nn.MultiheadAttention`` computes of a sequence with itself, by its weights.

    ``nn.MultiheadAttention`` turns (B, L, C) into a transposed view before the linear maps.
    Outside of its fast path, which autocast switches off, PyTorch then multiplies the view batch
    by batch with as many copies of the weights: a CLIP ViT-B/32 in bfloat16 took about six times
    as long on a CPU.

    Args:
        attention: of batches first; dropout is not applied, so this is for inference.
    """

    def __init__(self, attention: nn.MultiheadAttention) -> None:
        super().__init__()
        self.attention = attention

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        *,
        need_weights: bool = False,
        attn_mask: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Return (B, L, C), and None where no weights are wanted.

        Args:
            query: (B, L, C).
            key: the same tensor; any other goes the usual way.
            value: the same tensor; any other goes the usual way.
            need_weights: whether the attention's weights are wanted, which goes the usual way.
            attn_mask: (L, L) bool (True is masked) or added to the logits; one of (B * H, L, L)
                goes the usual way.
        """
        inner = self.attention
        if need_weights or query is not key or key is not value or _masks_by_head(attn_mask):
            found: tuple[Tensor, Tensor | None] = inner(
                query, key, value, need_weights=need_weights, attn_mask=attn_mask
            )
            return found
        packed = F.linear(query, inner.in_proj_weight, inner.in_proj_bias)  # (B, L, 3C)
        split = packed.view(*query.shape[:2], 3, inner.num_heads, -1)
        queries, keys, values = split.permute(2, 0, 3, 1, 4)  # each (B, H, L, C / H)
        mixed = F.scaled_dot_product_attention(queries, keys, values, attn_mask=_seen(attn_mask))
        return inner.out_proj(mixed.transpose(1, 2).flatten(2)), None


def pack_attention(model: nn.Module) -> None:
    """Replace every self-attention of ``model`` that can be packed, in place."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.MultiheadAttention and _packs(child):
                setattr(parent, name, PackedAttention(child))


def _packs(attention: nn.MultiheadAttention) -> bool:
    plain = attention.bias_k is None and not attention.add_zero_attn
    return plain and attention.batch_first and attention._qkv_same_embed_dim


def _masks_by_head(mask: Tensor | None) -> bool:
    return mask is not None and mask.dim() == 3


def _seen(mask: Tensor | None) -> Tensor | None:
    """Return the mask as SDPA wants it: True is seen."""
    return ~mask if mask is not None and mask.dtype == torch.bool else mask
