"""A training cell that goes on from another row: its weights, then encoders that learn."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from bench.ablation import makings
from bench.ablation.variants import VARIANTS
from bench.cells import accuracy
from bench.cells import train as cell
from bench.material.workshop import Setup, Workshop
from bench.plan import cells_of, needed
from bench.records import Cell
from bench.running.runner import Runner, RunOptions
from bench.systems import changes, suits, systems
from cookie.data.corpus import PixelCorpus
from cookie.errors import UserError
from cookie.presets import preset
from cookie.training.checkpoint import load_tensors, read_facts

NAME, START = "cookie_finetuned", "cookie"


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COOKIE_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setattr(makings, "FINE_TUNING_BATCH", 16)
        config = dataclasses.replace(preset("smoke"), regime="frozen")
        yield Workshop(Setup("scenes", "smoke", "cpu", config=config))


@pytest.fixture(scope="module")
def folders(workshop: Workshop) -> tuple[Path, Path]:
    """Return the folders of the row it begins with and of its own training."""
    for name in (START, NAME):
        cell.run(workshop, name, 0, {})
    return workshop.run_dir(START, 0), workshop.run_dir(NAME, 0)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_tensors(folder / "best.safetensors")


def test_it_begins_with_the_weights_of_the_other_row(folders: tuple[Path, Path]) -> None:
    before, after = (read_facts(folder, "best") for folder in folders)
    assert (after["stage"], after["start"]) == ("finetune", before["sha256"])


def test_encoders_stay_in_the_first_training_and_learn_in_the_second(
    folders: tuple[Path, Path], workshop: Workshop
) -> None:
    start, (before, after) = workshop.untrained(START, 0).state_dict(), map(weights, folders)
    kernels = [name for name in start if ".encoder." in name and start[name].ndim > 1]
    assert kernels
    assert all(torch.equal(start[name], before[name]) for name in kernels)
    moved = [name for name in kernels if not torch.equal(before[name], after[name])]
    assert len(moved) > 0.8 * len(kernels)


def test_one_loss_and_the_rates_of_its_own(folders: tuple[Path, Path], workshop: Workshop) -> None:
    config = workshop.settings(NAME)
    assert (config.regime, config.loss.image_image, config.loss.text_text) == ("finetune", 0, 0)
    groups = workshop.untrained(NAME, 0).parameter_groups(config.train)
    rates = {group["name"].split("_")[0]: group["lr"] for group in groups}
    assert rates == {
        "encoder": makings.FINE_TUNING_ENCODER_RATE,
        "head": makings.FINE_TUNING_RATE,
    }


def test_it_reads_photographs_and_not_what_frozen_encoders_made(workshop: Workshop) -> None:
    module = workshop.untrained(NAME, 0)
    corpora = workshop.corpora_of(NAME, module)
    assert all(isinstance(corpus, PixelCorpus) for corpus in corpora.values())
    assert corpora["train"] is workshop.training_split(NAME, module)


def test_its_accuracy_is_that_of_its_own_encoders(
    folders: tuple[Path, Path], workshop: Workshop, tmp_path: Path
) -> None:
    runner = Runner(workshop, tmp_path, RunOptions())
    protocol = runner.protocol(Cell("accuracy", NAME, 0), [])
    values, _ = accuracy.run(workshop, NAME, 0, protocol)
    assert values["metrics"]["rsum"] > 0
    assert protocol["weights"] == [read_facts(folders[1], "best")["sha256"]]


def test_a_record_says_what_it_begins_with(
    folders: tuple[Path, Path], workshop: Workshop, tmp_path: Path
) -> None:
    protocol = Runner(workshop, tmp_path, RunOptions()).protocol(Cell("train", NAME, 0), [])
    digest = read_facts(folders[0], "best")["sha256"]
    assert protocol["start"] == {"system": START, "weights": [digest]}
    assert protocol["changed"]["regime"] == "finetune"
    assert protocol["changed"]["train.encoder_rate"] == makings.FINE_TUNING_ENCODER_RATE


def test_the_row_it_begins_with_is_trained_before_it() -> None:
    cells = cells_of([NAME], [0, 1], ("train", "accuracy"))
    assert cells[:2] == [Cell("train", START, 0), Cell("train", NAME, 0)]
    assert needed(cells[1], [NAME]) == [Cell("train", START, 0)]
    assert needed(cells[0], [START]) == []
    assert Cell("accuracy", START, 0) not in cells


def test_without_the_row_it_begins_with_it_says_so(workshop: Workshop) -> None:
    with pytest.raises(UserError, match="to start from"):
        cell.run(workshop, NAME, 7, {})


@pytest.mark.parametrize("name", ["cookie_finetuned", "dual_stream_finetuned"])
def test_it_exists_where_the_encoders_are_frozen_alone(name: str) -> None:
    assert suits(name, preset("small"))
    assert not suits(name, preset("tiny"))
    assert not suits(name, dataclasses.replace(preset("small"), regime="finetune"))


def test_both_rows_have_one_recipe_and_each_its_own_start() -> None:
    config = preset("small")
    rows = {variant.name: variant for variant in VARIANTS if "_finetuned" in variant.name}
    assert {name: systems[name].start for name in rows} == {
        "dual_stream_finetuned": "dual_stream",
        "cookie_finetuned": "cookie",
    }
    found = [changes(config, systems[name].settings(config)) for name in rows]
    assert found[0] == found[1]
    assert rows["cookie_finetuned"].control == "dual_stream_finetuned"
