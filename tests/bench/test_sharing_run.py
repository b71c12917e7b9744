"""When sharing pays, from end to end: plan, train, evaluate, render, and nothing twice."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from bench.ablation import sharing_points
from bench.ablation.sharing_points import DEPTHS, OWN, SHARES, STEPS
from bench.records import read
from bench.reproduce import Options, reproduce

PAGE = "when_sharing_pays.md"


def test_all_points_go_through_the_runner_onto_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of each axis what is too small, the preset's own and one beyond it, to save time."""
    tenth, four = SHARES[0], SHARES[4]
    monkeypatch.setenv("COOKIE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(sharing_points, "SHARES", (tenth, OWN, four))
    monkeypatch.setattr(sharing_points, "DEPTHS", (OWN, DEPTHS[-1]))
    monkeypatch.setattr(sharing_points, "STEPS", STEPS[:2])
    results = tmp_path / "results"
    asked = {"sharing": True, "preset": "smoke", "device": "cpu", "results_dir": results}

    reproduce(Options(**asked, dry_run=True))  # type: ignore[arg-type]
    planned = capsys.readouterr()
    assert "train cookie_4x seed 0" in planned.out
    assert "34 cells; about" in planned.out
    assert "6 training images do not fill a batch of 16" in planned.err
    assert not results.exists()

    reproduce(Options(**asked))  # type: ignore[arg-type]
    said = capsys.readouterr().out
    assert "34 cells run" in said
    assert f"on sharing: {results / PAGE}" in said
    assert "\n  Sharing by training pairs: COOKIE minus unshared" in said
    check_page((results / PAGE).read_text())
    larger, own = (
        read(next(results.rglob(f"{n}-seed0-train.json"))) for n in ("cookie_4x", "cookie")
    )
    assert (larger.values["training_pairs"], own.values["training_pairs"]) == (1280, 320)
    assert larger.stamp.dataset_sha256 == own.stamp.dataset_sha256
    assert larger.stamp.protocol["train_share"] == 4.0
    before = {path: path.read_bytes() for path in results.rglob("*") if path.is_file()}

    reproduce(Options(**asked, json=True))  # type: ignore[arg-type]
    outcome = json.loads(capsys.readouterr().out)
    assert (outcome["ran"], outcome["reports"]) == (0, [])
    assert len(outcome["sharing"][str(results / PAGE)]) == 9
    assert {path: path.read_bytes() for path in results.rglob("*") if path.is_file()} == before


def check_page(text: str) -> None:
    """All axes with their places, what is left out, and no decision from one seed."""
    plain = re.sub(" +", " ", text)
    for place in ("320", "1,280", "1", "4", "6", "12"):
        assert f"alone | {place} |" in plain, place
    assert "10% of the pairs (6 training images do not fill a batch of 16)" in text
    assert "nothing is decided, since with one seed" in text
    assert not re.search(r"\b(nan|inf|None)\b", text)
