"""The work whose memory is measured: the gallery is drawn inside it, and asked."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.material import grown_worker
from bench.material.galleries import CHOICES, Storage
from bench.material.servers import DualServer
from bench.material.workshop import Setup, Workshop
from cookie.interfaces import TopK
from tests.bench.toy import WIDTH, ToyCorpus, ToyEncoder


@pytest.mark.parametrize("storage", CHOICES)
def test_the_work_draws_the_gallery_and_answers(
    storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COOKIE_HOME", str(tmp_path))

    def workshop(setup: Setup) -> Workshop:
        made = Workshop(setup)
        head = dataclasses.replace(made.config.head, embedding=WIDTH)
        made.config = dataclasses.replace(made.config, head=head)
        made.__dict__["test_pixels"] = ToyCorpus(images=9)
        return made

    def server(*_: Any) -> DualServer:  # noqa: ANN401
        return DualServer(ToyEncoder(), "float32")

    monkeypatch.setattr(grown_worker, "Workshop", workshop)
    monkeypatch.setattr(grown_worker, "make_server", server)
    protocol = {"gallery": 700, "neighbors": 3, "shortlist": 4}
    setup, threads = Setup("scenes", "smoke", "cpu"), torch.get_num_threads()
    serve = grown_worker.build_grown(setup, "cookie", 0, protocol, storage, threads)
    found = serve()
    assert isinstance(found, TopK)
    assert found.indices.shape == (grown_worker.QUERIES, 3)
    assert found.indices.max() > 9
    assert not list((tmp_path / "cache").glob("gallery-*"))
