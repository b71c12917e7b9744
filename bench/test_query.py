"""One text query against a gallery of images that is prepared, in each family."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import cast

import pytest
import torch
from torch import Tensor, nn

from bench.material.galleries import Storage, random_gallery
from bench.material.grown_servers import GrownDual
from bench.material.servers import DualServer, Queries
from bench.measure.timer import timer_for
from bench.timed import PRECISIONS, PROFILE, Timed
from bench.trial import Trial
from cookie.compiling import CompiledEncoder, compiler_problem
from cookie.config import Config
from cookie.interfaces import DualEncoder, TextBatch, TopK
from cookie.presets import preset as preset_of
from cookie.retrieval.search import FlatIndex
from cookie.training.precision import Precision, autocast

SYSTEMS = ("dual_stream", "cookie", "two_stage", "single_stream")
PRESETS = ("smoke", "tiny") if PROFILE.full else ("tiny",)
NEIGHBORS = 10
ENCODERS = ("tiny", "small")
"""Sizes of the text encoder; the weights are random, which changes no time."""
GALLERIES = (1_000, 100_000)


@pytest.mark.parametrize("precision", PRECISIONS if PROFILE.full else ("auto",))
@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("system", SYSTEMS)
def test_one_query(
    timed: Timed, trial: Trial, device: str, system: str, preset: str, precision: Precision
) -> None:
    """Also in turns with COOKIE's path from ids to embedding and with COOKIE as a whole."""
    server = trial.server(system, preset, device, precision)
    dual = cast(DualServer, trial.server("cookie", preset, device, precision))
    query = Queries(trial.corpus(preset, device)).one(0)

    path = forward(lambda: dual.reader.encode_texts(query), device, precision)
    rivals = {"cookie": lambda: dual.search(query, NEIGHBORS), "cookie's text path": path}
    if system == "cookie":
        del rivals["cookie"]
    notes = timed(lambda: server.search(query, NEIGHBORS), device=device, rivals=rivals)
    notes["gallery"] = trial.corpus(preset, device).image_count
    found = cast(TopK, timed.result)
    assert found.indices.shape == (1, NEIGHBORS)
    assert (found.scores.diff(dim=1) <= 0).all()


@pytest.mark.parametrize("gallery", GALLERIES)
@pytest.mark.parametrize("size", ENCODERS)
@pytest.mark.parametrize("system", ["dual_stream", "cookie"])
@pytest.mark.parametrize("way", ["plain", "compiled"])
def test_one_query_against_its_text_encoder(
    timed: Timed, trial: Trial, device: str, way: str, system: str, size: str, gallery: int
) -> None:
    """In turns with the bare text encoder, ids to word tokens, and with the path to an embedding.

    The query's path is as written, or compiled (on a GPU a CUDA graph); the bare encoder is as
    written in both cases.

    The encoder is the system's own: once as it was trained, once with its weights converted
    beforehand, as the system reads queries. What a query takes beyond the latter are the head,
    COOKIE's shared transformer, and the search of a random gallery.
    """
    problem = compiler_problem(torch.device(device))
    if way == "compiled" and problem is not None:
        pytest.skip(problem)
    model = trial.new_model(system, without_weights(preset_of(size)), device).eval()
    encoder, query = cast(DualEncoder, model), Queries(trial.corpus("tiny", device)).one(0)
    width = preset_of(size).head.embedding
    storage = Storage("float32", "memory")
    place = torch.device(device)
    with random_gallery(gallery, width, storage, device=place, folder=trial.folder) as rows:
        index = FlatIndex()
        index.index(rows)
        dual = DualServer(encoder, "auto", compiled=way == "compiled")
        server, reader = GrownDual(dual, index), dual.reader
        plain = reader.encoder if isinstance(reader, CompiledEncoder) else reader
        bare, ready = text_encoder(model), text_encoder(cast(nn.Module, plain))
        rivals = {
            "text encoder": forward(lambda: bare(query), device, "auto"),
            "text encoder, converted": forward(lambda: ready(query), device, "auto"),
            "text path": forward(lambda: reader.encode_texts(query), device, "auto"),
        }
        first = timer_for(device).seconds(lambda: server.search(query, NEIGHBORS))
        notes = timed(lambda: server.search(query, NEIGHBORS), device=device, rivals=rivals)
        notes |= {"gallery": gallery, "weights": "random"}
        notes |= {"compile_seconds": first} if way == "compiled" else {}
        embedding = dual.encode(query)
        expected = (embedding.double() @ torch.as_tensor(rows).double().T).topk(NEIGHBORS)
    assert torch.equal(cast(TopK, timed.result).indices, expected.indices)


def text_encoder(model: nn.Module) -> Callable[[TextBatch], Tensor]:
    """Return the text encoder of a dual encoder, without what stands on it."""
    return cast(Callable[[TextBatch], Tensor], model.get_submodule("text_tower.encoder"))


def without_weights(config: Config) -> Config:
    """Return ``config`` with random encoders of the same size."""
    return replace(
        config,
        vision=replace(config.vision, weights="none"),
        text=replace(config.text, weights="none"),
    )


def forward(run: Callable[[], Tensor], device: str, precision: Precision) -> Callable[[], Tensor]:
    """Return ``run`` as a server runs it: without gradients, in ``precision``."""

    @torch.inference_mode()
    def forwarded() -> Tensor:
        with autocast(torch.device(device), precision):
            return run()

    return forwarded
