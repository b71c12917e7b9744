"""One text query against a gallery of images that is prepared, in each family."""

from __future__ import annotations

from typing import cast

import pytest
import torch

from bench.servers import DualServer, Queries
from bench.timed import PRECISIONS, PROFILE, Timed
from bench.trial import Trial
from cookie.interfaces import TopK
from cookie.training.precision import Precision, autocast

SYSTEMS = ("dual_stream", "cookie", "two_stage", "single_stream")
PRESETS = ("smoke", "tiny") if PROFILE.full else ("tiny",)
NEIGHBORS = 10


@pytest.mark.parametrize("precision", PRECISIONS if PROFILE.full else ("auto",))
@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("system", SYSTEMS)
def test_one_query(
    timed: Timed, trial: Trial, device: str, system: str, preset: str, precision: Precision
) -> None:
    """Also in turns with COOKIE's bare text encoder and with COOKIE as a whole."""
    server = trial.server(system, preset, device, precision)
    dual = cast(DualServer, trial.server("cookie", preset, device, precision))
    query = Queries(trial.corpus(preset, device)).one(0)

    @torch.inference_mode()
    def text_encoder() -> torch.Tensor:
        with autocast(torch.device(device), precision):
            return dual.encoder.encode_texts(query)

    rivals = {"cookie": lambda: dual.search(query, NEIGHBORS), "text encoder": text_encoder}
    if system == "cookie":
        del rivals["cookie"]
    notes = timed(lambda: server.search(query, NEIGHBORS), device=device, rivals=rivals)
    notes["gallery"] = trial.corpus(preset, device).image_count
    found = cast(TopK, timed.result)
    assert found.indices.shape == (1, NEIGHBORS)
    assert (found.scores.diff(dim=1) <= 0).all()
