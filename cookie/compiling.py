"""Models whose forward passes are compiled: the same work in fewer and larger kernels.

What is compiled gives the plain model's numbers up to rounding. Compiling takes from seconds to a
minute at the first call of each kind, and torch keeps the result on disk for later processes.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn

from cookie.batches import images_at_once, in_parts
from cookie.errors import UserError
from cookie.interfaces import (
    DualEncoder,
    ImageBatch,
    ImageState,
    PairScorer,
    TextBatch,
    TextState,
)

R = TypeVar("R")
IMAGES = {"cpu": 32, "cuda": 128}
"""Most images that are worked on at a time, and always as many: convolutions are compiled for one
shape, because for any shape that takes many times as long."""


def compiler_problem(device: torch.device) -> str | None:
    """Return why nothing can be compiled for ``device`` here, in a sentence; None if it can."""
    if device.type == "cuda":
        found = find_spec("triton")
        return None if found else "Compiling for a GPU needs the package triton: install it."
    names = (os.environ.get("CXX"), "g++", "clang++")
    if any(name and shutil.which(name) for name in names):
        return None
    return "Compiling for a CPU needs a C++ compiler: install g++, or name one in CXX."


def compiled(function: Callable[..., R], **settings: Any) -> Callable[..., R]:  # noqa: ANN401
    """Return ``function`` compiled; what the compiler cannot do is a :class:`UserError`.

    Args:
        function: of batches.
        settings: of ``torch.compile``.
    """
    program = torch.compile(function, **settings)

    def run(*given: object) -> R:
        try:
            return program(*given)
        except RuntimeError as error:
            if not isinstance(error, torch._dynamo.exc.TorchDynamoException):
                raise
            cause = str(error).strip().partition("\n")[0]
            raise UserError(f"torch could not compile '{function.__name__}': {cause}") from error

    return run


class CompiledEncoder(nn.Module):
    """A ``DualEncoder`` that is compiled; on a GPU a single caption is one replayed CUDA graph.

    A graph is recorded for each number of tokens, when the first caption of that length comes.

    Args:
        encoder: a module in evaluation mode; it is kept, and neither changed nor copied.

    Raises:
        UserError: nothing can be compiled here.
    """

    def __init__(self, encoder: DualEncoder) -> None:
        super().__init__()
        self.encoder = cast(nn.Module, encoder)
        device = _device(self.encoder)
        self._images = InFixedBatches(encoder.encode_images, device)
        self._texts = compiled(encoder.encode_texts, fullgraph=True, dynamic=True)
        self._one: Callable[[TextBatch], Tensor] | None = None
        if device.type == "cuda":
            self._one = compiled(
                encoder.encode_texts, fullgraph=True, dynamic=True, mode="reduce-overhead"
            )

    def encode_images(self, images: ImageBatch) -> Tensor:
        """Return (B, D) float32, L2-normalized."""
        return self._images(images)

    def encode_texts(self, texts: TextBatch) -> Tensor:
        """Return (B, D) float32, L2-normalized."""
        if self._one is None or len(texts) > 1:
            return self._texts(texts)
        torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
        return self._one(texts).clone()  # the graph writes into the same memory at every replay


class CompiledScorer(nn.Module):
    """A ``PairScorer`` that is compiled.

    Args:
        scorer: a module in evaluation mode; it is kept, and neither changed nor copied.

    Raises:
        UserError: nothing can be compiled here.
    """

    def __init__(self, scorer: PairScorer) -> None:
        super().__init__()
        self.scorer = cast(nn.Module, scorer)

        def tokens(images: ImageBatch) -> Tensor:
            return scorer.prepare_images(images).tokens

        self._images = InFixedBatches(tokens, _device(self.scorer))
        self._texts = compiled(scorer.prepare_texts, dynamic=True)
        self._pairs = compiled(scorer.score_pairs, dynamic=True)

    def prepare_images(self, images: ImageBatch) -> ImageState:
        """Return whatever may be cached once per image."""
        return ImageState(self._images(images))

    def prepare_texts(self, texts: TextBatch) -> TextState:
        """Return whatever may be cached once per caption."""
        return self._texts(texts)

    def score_pairs(self, images: ImageState, texts: TextState) -> Tensor:
        """Return (P,) float32: the score of image i with caption i."""
        if len(texts.mask) == 1:  # the compiler would make a program of its own for a lone pair
            return cast(PairScorer, self.scorer).score_pairs(images, texts)
        return self._pairs(images, texts)


class InFixedBatches:
    """A compiled function of images that meets one shape only: the last batch is filled up.

    Args:
        function: (B images) -> (B, ...), each row of its own image alone.
        device: that it computes on; decides the size.

    Raises:
        UserError: nothing can be compiled for the device here.
    """

    def __init__(self, function: Callable[[ImageBatch], Tensor], device: torch.device) -> None:
        problem = compiler_problem(device)
        if problem is not None:
            raise UserError(problem)
        # A build of torch for GPUs warns that there is none each time it compiles for the CPU.
        logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
        self._most = IMAGES[device.type]
        self._function = compiled(function, fullgraph=True, dynamic=False)

    def __call__(self, images: ImageBatch) -> Tensor:
        """Return (B, ...) for any number of images."""
        size = min(self._most, images_at_once(images) or self._most)
        parts = [self._function(_filled(part, size)) for part in in_parts(images, size)]
        return torch.cat(parts)[: len(images)]


def _filled(images: ImageBatch, size: int) -> ImageBatch:
    """Return ``images`` as a batch of ``size``, its last image repeated."""
    if len(images) == size:
        return images
    rows = torch.arange(size, device=images.data.device).clamp(max=len(images) - 1)
    return images.like(images.data[rows])


def _device(module: nn.Module) -> torch.device:
    return next(module.parameters(), torch.empty(0)).device
