"""Every row of the ablation differs from its control in one thing, and trains."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bench.ablation import makings
from bench.ablation.variant import Variant
from bench.ablation.variants import VARIANTS
from bench.cells.train import parameters
from bench.material.first_images import FirstImages
from bench.material.workshop import Setup, Workshop
from bench.plan import cells_of
from bench.records import Cell
from bench.reproduce import Options, plan
from bench.running.runner import Runner, RunOptions
from bench.systems import changes, suits, systems
from cookie.presets import preset
from cookie.training.distributed import Processes
from cookie.training.order import pair_batches
from cookie.training.step import Stepper

TRAINED = [variant for variant in VARIANTS if systems[variant.name].suits(preset("tiny"))]
NAMES = {variant.name: variant for variant in VARIANTS}


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COOKIE_HOME", str(tmp_path_factory.mktemp("home")))
        made = Workshop(Setup("scenes", "smoke", "cpu"))
        made.corpora()
        return made


@pytest.mark.parametrize("variant", TRAINED, ids=lambda variant: variant.name)
def test_every_variant_trains(variant: Variant, workshop: Workshop) -> None:
    """Two steps: every loss is finite and what learns has moved."""
    module = workshop.untrained(variant.name, 0)
    before = [value.detach().clone() for value in module.parameters()]
    corpus = workshop.training_split(variant.name, module)
    settings = workshop.settings(variant.name)
    stepper = Stepper(module, corpus, settings, 0, Processes(), torch.device("cpu"))
    size = min(settings.train.batch_size, corpus.image_count)  # of 64 images a tenth is six
    batches = pair_batches(corpus.caption_image, size, 0)
    for step in range(2):
        _, losses = stepper.step(step, stepper.batch(step, next(batches)))
        assert torch.isfinite(losses).all()
    moved = [not torch.equal(*pair) for pair in zip(before, module.parameters(), strict=True)]
    assert sum(moved) > 0.8 * len(moved)


def test_all_rows_start_from_the_same_encoders(workshop: Workshop) -> None:
    reference = workshop.untrained("cookie", 3).state_dict()
    for variant in TRAINED:
        ours = workshop.untrained(variant.name, 3).state_dict()
        towers = [name for name in ours if "_tower." in name]
        assert towers
        assert all(torch.equal(ours[name], reference[name]) for name in towers), variant.name


def test_controls_are_rows_above_and_what_the_claim_needs_is_closed() -> None:
    seen: dict[str, Variant] = {}
    for variant in VARIANTS:
        assert variant.control == "" or variant.control in seen or variant.control == "cookie"
        assert not variant.core or variant.control == "" or NAMES[variant.control].core
        seen[variant.name] = variant
    assert len(seen) == len(VARIANTS)


def test_variants_are_systems_with_settings_of_their_own() -> None:
    config = preset("tiny")
    found = {
        name: changes(config, systems[name].settings(config))
        for name in NAMES
        if name not in ("unshared_equal", "token_mlp", "token_mlp_image_text")
    }
    off = {"loss.image_image": 0.0, "loss.text_text": 0.0}
    assert found["cookie"] == found["unshared"] == found["two_views"] == found["cookie_half"] == {}
    assert found["cookie_image_text"] == found["unshared_image_text"] == off
    assert found["cookie_image_image"] == {"loss.text_text": 0.0}
    assert found["cookie_text_text"] == {"loss.image_image": 0.0}
    assert found["cookie_depth_4"] == {"head.layers": 4}
    assert found["cookie_delete"] == {"augment.text": "delete"}
    assert found["cookie_caption"] == {"augment.text": "caption"}
    assert found["cookie_queue"] == {"loss.negatives": "queue"}
    assert found["cookie_momentum"] == {"loss.negatives": "momentum"}


@pytest.mark.parametrize("name", ["unshared_equal", "token_mlp"])
def test_equal_parameters_change_the_perceptron_alone(name: str, workshop: Workshop) -> None:
    assert changes(workshop.config, workshop.settings(name)).keys() == {"head.mlp_ratio"}
    ours = parameters(workshop.untrained(name, 0))["parameters_above_encoders"]
    theirs = parameters(workshop.untrained("cookie", 0))["parameters_above_encoders"]
    assert ours == pytest.approx(theirs, rel=0.02)


@pytest.mark.parametrize("name", ["cookie_queue", "cookie_momentum"])
def test_negatives_from_outside_the_batch_are_no_parameters(name: str, workshop: Workshop) -> None:
    """Counted as a training record counts: after steps, when the copy has been made."""
    module = workshop.untrained(name, 0)
    settings = workshop.settings(name)
    corpus = workshop.training_split(name, module)
    stepper = Stepper(module, corpus, settings, 0, Processes(), torch.device("cpu"))
    stepper.step(0, stepper.batch(0, next(pair_batches(corpus.caption_image, 16, 0))))
    assert parameters(module) == parameters(workshop.untrained("cookie", 0))
    assert NAMES[name].control == "cookie"
    assert not NAMES[name].core


def test_runs_of_other_settings_lie_elsewhere_and_the_presets_stay(workshop: Workshop) -> None:
    recipe = f"smoke-{workshop.config.digest()}"
    assert workshop.run_dir("cookie", 0).parent.parent.name == recipe
    assert workshop.run_dir("unshared", 0).parent.parent.name == recipe
    assert workshop.run_dir("cookie_depth_2", 0).parent.parent.name != recipe


def test_a_record_of_a_variant_says_what_it_changes(workshop: Workshop, tmp_path: Path) -> None:
    runner = Runner(workshop, tmp_path, RunOptions())
    protocol = runner.protocol(Cell("train", "cookie_depth_2", 0), [])
    assert protocol["changed"] == {"head.layers": 2}
    assert runner.protocol(Cell("train", "unshared_half", 0), [])["train_share"] == 0.5
    assert "changed" not in runner.protocol(Cell("train", "cookie", 0), [])
    triplet = runner.protocol(Cell("train", "dual_stream_triplet", 0), [])
    assert triplet["changed"] == {"loss.triplet_negatives": "all"}


def test_a_share_of_the_pairs_is_the_first_images(workshop: Workshop) -> None:
    module = workshop.untrained("cookie_quarter", 0)
    quarter = workshop.training_split("cookie_quarter", module)
    assert isinstance(quarter, FirstImages)
    assert quarter.image_count == 16
    assert set(quarter.caption_image) == set(range(16))
    whole = workshop.training_split("cookie", module)
    assert whole is workshop.corpora()["train"]


def test_fresh_text_is_for_pretrained_text_alone() -> None:
    assert not suits("cookie_fresh_text", preset("tiny"))
    assert suits("cookie_fresh_text", preset("small"))
    assert suits("cookie", preset("tiny"))
    rows = {cell.system for cell in plan(Options(table="5", variants=True))}
    assert "cookie_quarter" in rows
    assert "cookie_fresh_text" not in rows
    photographs = plan(Options(table="5", variants=True, dataset="flickr8k"))
    assert "cookie_fresh_text" in {cell.system for cell in photographs}


def test_words_from_glove_are_settings_of_their_own() -> None:
    fresh = changes(preset("small"), systems["cookie_fresh_text"].settings(preset("small")))
    found = changes(preset("small"), systems["cookie_glove_text"].settings(preset("small")))
    assert fresh == {"text.weights": "none", "text.layers": makings.FRESH_TEXT_LAYERS}
    assert found == fresh | {"text.weights": makings.GLOVE}
    assert not suits("dual_stream_glove_text", preset("tiny"))


def test_a_tenth_is_not_asked_of_a_preset_whose_batches_it_would_not_fill() -> None:
    assert suits("cookie_tenth", preset("tiny"))
    assert not suits("cookie_tenth", preset("smoke"))
    assert suits("cookie_quarter", preset("smoke"))


def test_the_core_is_small() -> None:
    core = {cell.system for cell in plan(Options(table="5"))}
    assert core == {variant.name for variant in VARIANTS if variant.core}
    assert len(core) <= 8
    assert cells_of(["token_mlp"], [0], ("train", "accuracy")) == [
        Cell("train", "token_mlp", 0),
        Cell("accuracy", "token_mlp", 0),
    ]


def test_changes_name_part_and_field() -> None:
    config = preset("tiny")
    other = replace(config, head=replace(config.head, width=7))
    assert changes(config, other) == {"head.width": 7}
    assert changes(config, config) == {}
