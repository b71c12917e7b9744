"""The benchmarks' data and models: made once, complete, the same every time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from bench import trial as module
from bench.material.servers import DualServer, PairServer, Queries, TwoStageServer
from bench.trial import Trial, first
from cookie.data.scenes import SceneCounts
from cookie.presets import preset


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "COUNTS", SceneCounts(train=20, val=2, test=20))
        return Trial(tmp_path_factory.mktemp("trial"))


def test_corpora_have_the_presets_size_and_are_made_once(trial: Trial) -> None:
    corpus = trial.corpus("smoke", "cpu")
    images = corpus.images(first(4)).data
    assert images.shape == (4, 3, 32, 32)
    assert trial.corpus("smoke", "cpu") is corpus
    assert trial.corpus("smoke", "cpu", "train") is not corpus


def test_models_are_ready_for_evaluation_and_the_same_every_time(trial: Trial) -> None:
    model = trial.model("cookie", "smoke", "cpu")
    assert not model.training
    again = trial.new_model("cookie", preset("smoke"), "cpu")
    assert again is not model
    for one, other in zip(model.parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(one, other)


def test_a_system_without_a_model_of_its_own_is_refused(trial: Trial) -> None:
    with pytest.raises(ValueError, match="two_stage"):
        trial.new_model("two_stage", preset("smoke"), "cpu")


@pytest.mark.parametrize(
    ("system", "kind"),
    [("cookie", DualServer), ("single_stream", PairServer), ("two_stage", TwoStageServer)],
)
def test_servers_answer(trial: Trial, system: str, kind: type) -> None:
    server = trial.server(system, "smoke", "cpu", "float32")
    assert isinstance(server, kind)
    found = server.search(Queries(trial.corpus("smoke", "cpu")).batch(2), 5)
    assert found.indices.shape == (2, 5)


def test_a_two_stage_server_shares_its_parts_galleries(trial: Trial) -> None:
    both = trial.server("two_stage", "smoke", "cpu", "float32")
    assert isinstance(both, TwoStageServer)
    assert both.dual is trial.server("cookie", "smoke", "cpu", "float32")


def test_a_step_trains(trial: Trial, tmp_path: Path) -> None:
    stepper = trial.stepper("dual_stream", preset("smoke"), "cpu")
    before = [value.clone() for value in stepper.module.parameters()]
    captions = np.searchsorted(trial.dataset.split("train").caption_image, first(8))
    names, values = stepper.step(0, stepper.batch(0, captions))
    assert names[0] == "loss"
    assert torch.isfinite(values).all()
    after = stepper.module.parameters()
    assert any(not torch.equal(one, other) for one, other in zip(before, after, strict=True))
