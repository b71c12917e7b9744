"""A copy of the model that follows it slowly, so that what it embeds stays comparable."""

from __future__ import annotations

import copy
from typing import cast

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from cookie.interfaces import DualEncoder, ImageBatch, TextBatch


class MovingAverage(nn.Module):
    """The exponential moving average of a dual encoder's weights, which embeds keys.

    MoCo's momentum encoder (He et al., CVPR 2020). It never learns, and it is in evaluation mode:
    keys are what the weights make of the whole input, without dropout, so they draw no random
    numbers and a row's key depends on no other row. What of the model does not train is used by
    both and not copied.

    Args:
        model: a :class:`DualEncoder`, on its device.
        momentum: m, 0 to below 1; a step takes a weight to m times itself plus 1 - m times the
            model's.
    """

    def __init__(self, model: nn.Module, momentum: float) -> None:
        super().__init__()
        named = model.named_parameters(remove_duplicate=False)
        still = {name: value for name, value in named if not value.requires_grad}
        both = {id(value): value for value in still.values()}  # what deepcopy is not to copy
        self.model = copy.deepcopy(model, both).requires_grad_(requires_grad=False).eval()
        self._borrowed = frozenset(f"model.{name}" for name in still)
        self._average = get_ema_multi_avg_fn(momentum)  # type: ignore[no-untyped-call]

    @torch.no_grad()
    def follow(self, model: nn.Module) -> None:
        """Move a step towards ``model``, after each of its own; buffers are taken over as is."""
        both = zip(self.model.parameters(), model.parameters(), strict=True)
        ours, theirs = zip(*(pair for pair in both if pair[1].requires_grad), strict=True)
        self._average(list(ours), list(theirs), None)
        for mine, value in zip(self.model.buffers(), model.buffers(), strict=True):
            mine.copy_(value)

    @torch.no_grad()
    def embed(self, images: ImageBatch, texts: TextBatch) -> tuple[Tensor, Tensor]:
        """Return keys (B, D) of images and (B, D) of captions."""
        encoder = cast(DualEncoder, self.model)
        return encoder.encode_images(images), encoder.encode_texts(texts)

    def tensors(self) -> dict[str, Tensor]:
        """Return the state without what belongs to the model."""
        state = self.state_dict()
        return {name: tensor for name, tensor in state.items() if name not in self._borrowed}
