"""Self-attention of a library's model in one product, as its own module should have done."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PackedAttention(nn.MultiheadAttention):
    """The same module and weights; of a sequence with itself, one product and no copies.

    ``nn.MultiheadAttention`` turns (B, L, C) into a transposed view before the linear maps.
    Outside of its fast path, which autocast switches off, PyTorch then multiplies the view batch
    by batch with as many copies of the weights: a CLIP ViT-B/32 in bfloat16 took about six times
    as long on a CPU.
    """

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Return (B, L, C), and None where no weights are wanted.

        Args:
            query: (B, L, C).
            key: the same tensor; any other goes the usual way.
            value: the same tensor; any other goes the usual way.
            key_padding_mask: goes the usual way.
            need_weights: whether the attention's weights are wanted, which goes the usual way.
            attn_mask: (L, L) bool (True is masked) or added to the logits; one of (B * H, L, L)
                goes the usual way.
            average_attn_weights: of the weights, where they are wanted.
            is_causal: a hint about ``attn_mask``, which has to be given as well.
        """
        alone = query is key and key is value and key_padding_mask is None
        dropped = self.training and self.dropout > 0
        if need_weights or not alone or dropped or (attn_mask is not None and attn_mask.dim() > 2):
            return super().forward(
                query,
                key,
                value,
                key_padding_mask,
                need_weights,
                attn_mask,
                average_attn_weights,
                is_causal,
            )
        packed = F.linear(query, self.in_proj_weight, self.in_proj_bias)  # (B, L, 3C)
        split = packed.view(*query.shape[:2], 3, self.num_heads, -1)
        queries, keys, values = split.permute(2, 0, 3, 1, 4)  # each (B, H, L, C / H)
        mixed = F.scaled_dot_product_attention(queries, keys, values, attn_mask=_seen(attn_mask))
        return self.out_proj(mixed.transpose(1, 2).flatten(2)), None


def pack_attention(model: nn.Module) -> None:
    """Let every self-attention of ``model`` that can be packed be so, in place."""
    for module in model.modules():
        if type(module) is nn.MultiheadAttention and _packs(module):
            module.__class__ = PackedAttention  # weights and their names stay


def _packs(attention: nn.MultiheadAttention) -> bool:
    plain = attention.bias_k is None and not attention.add_zero_attn
    return plain and attention.batch_first and attention._qkv_same_embed_dim


def _seen(mask: Tensor | None) -> Tensor | None:
    """Return the mask as SDPA wants it: True is seen."""
    return ~mask if mask is not None and mask.dtype == torch.bool else mask
