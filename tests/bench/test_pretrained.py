"""Checkpoints of others from the command line: small saved models, a slow oracle, no network."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import (
    BertTokenizer,
    CLIPImageProcessor,
    ViltConfig,
    ViltForImageAndTextRetrieval,
    ViltModel,
)

from baselines.pair_states import naive_scores
from baselines.pretrained.transformers_clip import build_transformers_clip
from baselines.pretrained.vilt import build_vilt, random_vilt
from bench import checkpoints
from bench.material.architectures import Architecture
from bench.pretrained import PretrainedOptions, check, main
from cookie.data.catalog import load_dataset
from cookie.data.dataset import Photographs, Split
from cookie.data.karpathy import EXPECTED
from cookie.errors import UserError, run_main
from tests.baselines.pretrained.material import save, shaken
from tests.baselines.pretrained.test_transformers_clip import build as small_clip
from tests.baselines.pretrained.test_vilt import SMALL
from tests.cookie.data.photographs import entry, jpeg, write_annotations, write_images

CAPTIONS = [
    ["a red cube", "a cube a cube"],
    ["red", "cube cube red a", "red red"],
    ["cube a red cube cube"],
    ["red a a a", "cube"],
    ["a a red red cube a", "a"],
    ["cube red"],
]
"""Of six photographs, as few words as the saved tokenizer knows."""
COUNT = sum(map(len, CAPTIONS))
Command = Callable[..., str]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a data root with one set, all test."""
    folder = tmp_path_factory.mktemp("data") / "mine"
    entries = [
        entry(f"{number}.jpg", "test", sentences=[{"raw": text} for text in texts])
        for number, texts in enumerate(CAPTIONS)
    ]
    write_annotations(folder, entries)
    write_images(folder, {f"{n}.jpg": jpeg(40 * n, 40 + 9 * n, 50) for n in range(len(CAPTIONS))})
    return folder.parent


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a small CLIP."""
    folder = tmp_path_factory.mktemp("clip")
    save(small_clip("clip"), folder, BertTokenizer)
    size = {"height": 32, "width": 32}
    CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=size).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def vilt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a small ViLT."""
    folder = tmp_path_factory.mktemp("vilt")
    torch.manual_seed(0)
    model = ViltForImageAndTextRetrieval(ViltConfig(**SMALL))
    save(shaken(model, 0.3), folder, BertTokenizer)
    return folder


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], root: Path
) -> Command:
    """Return a function that gives what the command prints on the set."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)

    def run(*arguments: str) -> str:
        usual = {"--dataset": "mine", "--data-root": str(root), "--device": "cpu"}
        given = [word for flag in usual.items() if flag[0] not in arguments for word in flag]
        monkeypatch.setattr(sys, "argv", ["pretrained", *arguments, *given])
        run_main(main)
        return capsys.readouterr().out

    return run


@pytest.fixture
def refused(command: Command, capsys: pytest.CaptureFixture[str]) -> Command:
    """Return a function that gives the one sentence that the command ends with."""

    def run(*arguments: str) -> str:
        with pytest.raises(SystemExit) as caught:
            command(*arguments)
        found = capsys.readouterr()
        assert (caught.value.code, found.out) == (2, "")
        sentence = found.err.splitlines()[-1]
        assert sentence.startswith("error: ")
        return sentence

    return run


def recalls(scores: Tensor, owners: list[int]) -> dict[str, dict[str, float]]:
    """Return R@K of (I, C) scores the slow way; queries of both directions one by one."""
    table: dict[str, dict[str, float]] = {"i2t": {}, "t2i": {}}
    images, captions = scores.shape
    for k in (1, 5, 10):
        found = [
            any(owners[c] == i for c in sorted(range(captions), key=lambda c: -scores[i, c])[:k])
            for i in range(images)
        ]
        table["i2t"][str(k)] = 100 * sum(found) / images
        found = [
            owners[c] in sorted(range(images), key=lambda i: -scores[i, c])[:k]
            for c in range(captions)
        ]
        table["t2i"][str(k)] = 100 * sum(found) / captions
    return table


def material(
    bundle: Any,  # noqa: ANN401 -- of any model
    root: Path,
    name: str = "mine",
) -> tuple[Any, Any, list[int]]:
    """Return all pictures and captions as ``bundle`` reads them, and whose the captions are."""
    split: Split = load_dataset(name, root).split("test")
    assert isinstance(split.images, Photographs)
    pictures = [split.images.original(index) for index in range(len(split))]
    return bundle.images(pictures), bundle.texts(split.captions), split.caption_image.tolist()


def check_recalls(printed: str, scores: Tensor, owners: list[int]) -> None:
    found = json.loads(printed)["accuracy"]
    expected = recalls(scores, owners)
    assert 0 < expected["i2t"]["1"] + expected["t2i"]["1"] < 200, "any metric would do"
    for name, rates in expected.items():
        assert found[name]["recall"] == pytest.approx(rates)
        for k, rate in rates.items():
            interval = found["intervals"][name][k]
            assert interval["low"] <= rate <= interval["high"]
    assert not found["sampled"]


@torch.inference_mode()
def test_a_dual_encoder_has_the_recalls_of_a_slow_oracle(
    command: Command, clip: Path, root: Path
) -> None:
    printed = command("transformers_clip", "--weights", str(clip), "--json")
    bundle = build_transformers_clip(str(clip))
    images, texts, owners = material(bundle, root)
    scores = bundle.model.encode_images(images) @ bundle.model.encode_texts(texts).T
    check_recalls(printed, scores, owners)
    facts = json.loads(printed)
    assert (facts["model"], facts["weights"]) == ("transformers_clip", str(clip))
    assert (facts["dataset"], facts["split"], facts["limit"]) == ("mine", "test", None)


def test_a_pair_scorer_has_the_recalls_of_a_slow_oracle(
    command: Command, vilt: Path, root: Path
) -> None:
    printed = command("vilt", "--weights", str(vilt), "--json")
    bundle = build_vilt(str(vilt))
    images, texts, owners = material(bundle, root)
    check_recalls(printed, naive_scores(bundle.model, images, texts), owners)


def test_what_does_not_fit_into_the_time_is_sampled(command: Command, vilt: Path) -> None:
    printed = command("vilt", "--weights", str(vilt), "--seconds", "1e-9")
    assert "Sampled: 2 images and 2 captions asked the full gallery." in printed
    assert f"on mine test: 6 images, {COUNT} captions" in printed


def test_time_that_is_too_short_for_the_fewest_queries_is_told(
    command: Command, vilt: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[float, float]] = []
    monkeypatch.setattr(checkpoints, "rate_within", lambda *_, **__: 0.5)
    monkeypatch.setattr(checkpoints, "_warn_of_least", lambda *times: told.append(times))
    command("vilt", "--weights", str(vilt), "--seconds", "20")
    assert told == [(2 * (6 + COUNT) / 0.5, 20.0)]


@pytest.mark.parametrize(("seconds", "lines"), [(20.0, 1), (60.0, 0)])
def test_the_warning_names_both_times_and_the_mend(
    seconds: float, lines: int, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoints._warn_of_least(45.2, seconds)
    said = capsys.readouterr().err
    assert said.count("\n") == lines
    assert ("take about 45 s instead of 20: --limit makes" in said) == bool(lines)


FOLDED = 10
"""Photographs of the made-up MSCOCO: five folds of two."""


@pytest.fixture
def coco(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a data root with a made-up MSCOCO whose images have one to three captions."""
    monkeypatch.setitem(EXPECTED, "coco", {"test": (FOLDED,)})
    entries = [
        entry(f"{n}.jpg", "test", sentences=[{"raw": text} for text in CAPTIONS[n % len(CAPTIONS)]])
        for n in range(FOLDED)
    ]
    write_annotations(tmp_path / "coco", entries)
    pictures = {f"{n}.jpg": jpeg(25 * n, 40 + 7 * n, 50) for n in range(FOLDED)}
    write_images(tmp_path / "coco", pictures)
    return tmp_path


def mean_of_recalls(scores: Tensor, owners: list[int]) -> dict[str, dict[str, float]]:
    """Return the mean over five folds of the recalls within each, the slow way."""
    tables = []
    for first in range(0, FOLDED, 2):
        own = [c for c, image in enumerate(owners) if first <= image < first + 2]
        tables.append(recalls(scores[first : first + 2, own], [owners[c] - first for c in own]))
    return {
        name: {k: sum(table[name][k] for table in tables) / 5 for k in ("1", "5", "10")}
        for name in ("i2t", "t2i")
    }


def check_folds(command: Command, root: Path, scores: Tensor, owners: list[int], *how: str) -> None:
    place = ("--data-root", str(root))
    found = json.loads(command(*how, *place, "--dataset", "coco-1k", "--json"))
    whole = json.loads(command(*how, *place, "--dataset", "coco-5k", "--json"))
    plain = json.loads(command(*how, *place, "--dataset", "coco", "--json"))
    expected = mean_of_recalls(scores, owners)
    assert expected != recalls(scores, owners), "the folds would not show"
    for name in ("i2t", "t2i"):
        assert found["accuracy"][name]["recall"] == pytest.approx(expected[name])
        assert whole["accuracy"][name]["recall"] == pytest.approx(recalls(scores, owners)[name])
        assert plain["accuracy"][name] == whole["accuracy"][name]
        assert len(found["accuracy"]["clusters"][name]) == len(plain["accuracy"]["clusters"][name])
    assert (found["folds"], whole["folds"], plain["folds"]) == (5, 1, 1)
    assert found["accuracy"]["protocol"] == "coco-1k"
    assert whole["accuracy"]["protocol"] == "coco-5k"
    assert found["dataset"] == whole["dataset"] == "coco"
    printed = command(*how, *place, "--dataset", "coco-1k")
    assert "2 images" in printed
    assert "in the first of 5 folds; what follows is their mean" in printed


@torch.inference_mode()
def test_coco_1k_is_the_mean_of_five_folds_for_a_dual_encoder(
    command: Command, clip: Path, coco: Path
) -> None:
    bundle = build_transformers_clip(str(clip))
    images, texts, owners = material(bundle, coco, "coco")
    scores = bundle.model.encode_images(images) @ bundle.model.encode_texts(texts).T
    check_folds(command, coco, scores, owners, "transformers_clip", "--weights", str(clip))


def test_coco_1k_is_the_mean_of_five_folds_for_a_pair_scorer(
    command: Command, vilt: Path, coco: Path
) -> None:
    bundle = build_vilt(str(vilt))
    images, texts, owners = material(bundle, coco, "coco")
    scores = naive_scores(bundle.model, images, texts)
    check_folds(command, coco, scores, owners, "vilt", "--weights", str(vilt))


def test_the_page_says_whose_weights_on_what_and_how_sure(command: Command, clip: Path) -> None:
    printed = command("transformers_clip", "--weights", str(clip))
    first, second, head, images, captions, total, *_ = printed.splitlines()
    assert first == f"transformers_clip ({clip})"
    assert second == f"on mine test: 6 images, {COUNT} captions"
    assert head.split() == ["R@1", "R@5", "R@10"]
    assert images.startswith("image to text ")
    assert captions.startswith("text to image ")
    assert captions.count("[") == captions.count("]") == 3
    assert captions.endswith("100.0 [100.0, 100.0]"), "there are but six images"
    assert total.startswith("RSUM ")
    assert "chance" not in printed


def test_a_limit_takes_the_first_images(command: Command, clip: Path) -> None:
    printed = command("transformers_clip", "--weights", str(clip), "--limit", "2")
    assert "on mine test: 2 images, 5 captions" in printed


def test_random_weights_are_refused_unless_asked_for(
    refused: Command, monkeypatch: pytest.MonkeyPatch, clip: Path
) -> None:
    """An architecture of open_clip has no weights, however it is spelled."""
    loaded = build_transformers_clip(str(clip))
    monkeypatch.setattr(
        "baselines.pretrained.open_clip._bundle",
        lambda name, pretrained, weights: dataclasses.replace(loaded, weights=weights),
    )
    sentence = refused("open_clip", "--weights", "ViT-B-32")
    assert "'ViT-B-32' has random weights" in sentence
    assert "--random" in sentence


def test_random_weights_that_are_asked_for_are_marked(
    command: Command, refused: Command, monkeypatch: pytest.MonkeyPatch, vilt: Path
) -> None:
    texts = build_vilt(str(vilt)).texts
    small = Architecture("vilt", 32, lambda: random_vilt(**SMALL), lambda: texts)
    monkeypatch.setattr(checkpoints, "architectures", {"vilt": small})
    assert "RANDOM WEIGHTS: what follows is chance" in command("vilt", "--random")
    first, second = (json.loads(command("vilt", "--random", "--json")) for _ in range(2))
    assert first["weights"] is None
    assert first == second
    sentence = refused("vilt", "--random", "--weights", str(vilt))
    assert "--random takes no --weights" in sentence


def test_a_checkpoint_without_its_head_is_refused(refused: Command, tmp_path: Path) -> None:
    """The library would fill it with random weights."""
    save(ViltModel(ViltConfig(**SMALL)), tmp_path, BertTokenizer)
    sentence = refused("vilt", "--weights", str(tmp_path))
    assert "lacks 2 of the weights of ViltForImageAndTextRetrieval" in sentence
    assert "'rank_output.bias'" in sentence


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["vilt_"], "Unknown model 'vilt_': did you mean 'vilt'?"),
        (["vilt"], "No ViLT checkpoint 'dandelin/vilt-b32-finetuned-coco' to be had"),
        (["blip_itm"], "No BLIP checkpoint 'Salesforce/blip-itm-base-coco' to be had"),
        (["transformers_clip"], "No CLIP or SigLIP model 'openai/clip-vit-base-patch32'"),
        (["open_clip"], "No checkpoint of 'ViT-B-32' 'ViT-B-32/laion2b_s34b_b79k' to be had"),
        (["open_clip", "--weights", "ViT-B-33"], "did you mean 'ViT-B-32'?"),
        (["open_clip", "--weights", "hf-hub:no/thing"], "No open_clip model 'hf-hub:no/thing'"),
        (["vilt", "--split", "tset"], "did you mean 'test'?"),
        (["vilt", "--dataset", "flikr8k"], "did you mean 'flickr8k'?"),
        (["vilt", "--device", "tpu9"], "Unknown device 'tpu9'"),
        (["vilt", "--limit", "1"], "--limit needs at least 2 images."),
        (["vilt", "--dataset", "coco-1k", "--limit", "9"], "the whole test split of MSCOCO"),
        (["vilt", "--dataset", "coco-5k", "--split", "val"], "the whole test split of MSCOCO"),
        (["vilt", "--dataset", "coco-1k"], "coco', where 'coco' would be"),
        (["vilt", "--seconds", "0"], "--seconds needs a positive number"),
    ],
)
def test_mistakes_are_one_sentence(refused: Command, arguments: list[str], words: str) -> None:
    assert words in refused(*arguments)


def test_seconds_that_are_no_number_are_refused() -> None:
    with pytest.raises(UserError, match="--seconds"):
        check(PretrainedOptions("vilt", seconds=float("nan")))


def test_ties_are_told(command: Command, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A collapsed model finds by chance, and the page says why."""
    monkeypatch.setattr(
        "baselines.pretrained.transformers_clip.TransformersClip.encode_images",
        lambda self, images: torch.nn.functional.normalize(torch.ones(len(images), 512)),
    )
    printed = command("transformers_clip", "--weights", str(clip))
    assert "text to image: 100 % of the queries are ties." in printed


def test_every_model_has_an_architecture_and_a_name_in_the_help() -> None:
    assert set(checkpoints.checkpoints) <= set(checkpoints.architectures)
    assert PretrainedOptions.__doc__ is not None
    for name in checkpoints.checkpoints:
        assert name in PretrainedOptions.__doc__


def test_help_needs_no_torch() -> None:
    script = "import sys, bench.pretrained; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
