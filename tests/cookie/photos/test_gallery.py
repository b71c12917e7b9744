"""Photographs are encoded once, and again when one of them, or the weights, changed."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cookie.commands.options import Encode, Search
from cookie.commands.trained import run_encode, run_search
from cookie.config import Config
from cookie.data.tokenizer import Tokenizer
from cookie.encoding import Embeddings, load_embeddings
from cookie.errors import UserError
from cookie.model import Cookie
from cookie.photos.gallery import changed_photos, check_photos, encode_photos, kept_photos
from cookie.presets import preset
from cookie.runs import Run, describe_run, load_run
from cookie.training.checkpoint import save_weights
from cookie.training.trainer import BEST

CPU = torch.device("cpu")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "deeper").mkdir(parents=True)
    for index in range(4):
        draw(folder / ("deeper" if index == 3 else "") / f"{index}.png", index)
    return folder


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("COOKIE_HOME", str(tmp_path / "home"))
    return untrained(tmp_path / "run", seed=0)


def draw(path: Path, seed: int) -> None:
    """Write a photograph of noise."""
    pixels = np.random.default_rng(seed).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def untrained(folder: Path, seed: int) -> Run:
    """Return a run that could as well have been trained."""
    config: Config = preset("smoke")
    tokenizer = Tokenizer.from_captions(["a red cube", "a blue ball"])
    describe_run(folder, tokenizer, {"preset": "smoke"})
    torch.manual_seed(seed)
    model = Cookie(config, tokenizer.vocabulary_size)
    save_weights(folder, BEST, model, {"config": config.to_dict(), "score": 0.0})
    return load_run(folder, CPU)


class Encodings:
    """Counts the images that COOKIE encodes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.images = 0
        encode = Cookie.encode_images

        def counted(model: Cookie, images: object) -> torch.Tensor:
            self.images += len(images)  # type: ignore[arg-type]
            return encode(model, images)  # type: ignore[arg-type]

        monkeypatch.setattr(Cookie, "encode_images", counted)


def equal(first: Embeddings, second: Embeddings) -> bool:
    """Tell whether all values are the same."""
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_the_facts_hold_the_hashes_of_weights_and_photographs(run: Run, photos: Path):
    draw(photos / "broken.png", 9)
    (photos / "broken.png").write_bytes(b"\x89PNG and no more")
    embeddings, facts = encode_photos(run, photos)
    assert embeddings.images.shape == (4, run.config.head.embedding)
    assert facts["weights_sha256"] == run.digest
    assert (
        facts["weights_sha256"]
        == hashlib.sha256((run.folder / f"{BEST}.safetensors").read_bytes()).hexdigest()
    )
    everything = sorted(photos.rglob("*.png"))
    assert sorted(facts["files"]) == [str(path) for path in everything]
    for path in everything:
        size, _, found = facts["files"][str(path)]
        assert size == path.stat().st_size
        assert found == hashlib.sha256(path.read_bytes()).hexdigest()
    assert str(photos / "broken.png") not in facts["names"]


def test_a_folder_is_encoded_once(run: Run, photos: Path, monkeypatch: pytest.MonkeyPatch):
    counter = Encodings(monkeypatch)
    first, facts = kept_photos(run, photos)
    again, same = kept_photos(run, photos)
    assert counter.images == 4
    assert equal(first, again)
    assert {name: same[name] for name in facts} == facts
    assert equal(first, encode_photos(run, photos)[0])


def test_names_in_another_encoding_are_no_obstacle(run: Run, photos: Path):
    folder = photos.rename(photos.with_name(os.fsdecode(b"caf\xe9")))
    (folder / "0.png").rename(folder / os.fsdecode(b"\xe9.png"))
    embeddings, facts = kept_photos(run, folder)
    assert len(facts["names"]) == 4
    assert equal(kept_photos(run, folder)[0], embeddings)


def test_a_gallery_of_pixels_that_were_decoded_otherwise_is_not_used(
    run: Run, photos: Path, monkeypatch: pytest.MonkeyPatch
):
    kept_photos(run, photos)
    counter = Encodings(monkeypatch)
    monkeypatch.setattr("cookie.photos.gallery.VERSION", 10**6)
    kept_photos(run, photos)
    assert counter.images == 4


def test_other_weights_and_other_folders_have_galleries_of_their_own(
    run: Run, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    other = untrained(tmp_path / "other", seed=1)
    first, _ = kept_photos(run, photos)
    counter = Encodings(monkeypatch)
    second, facts = kept_photos(other, photos)
    assert counter.images == 4
    assert not equal(first, second)
    assert facts["weights_sha256"] == other.digest != run.digest
    assert len(kept_photos(run, photos / "deeper")[0].images) == 1
    assert len(kept_photos(run, photos)[0].images) == 4
    assert counter.images == 5


def change(folder: Path) -> Path:
    """Write other pixels into a photograph."""
    draw(folder / "1.png", 11)
    return folder / "1.png"


def add(folder: Path) -> Path:
    """Add a photograph."""
    draw(folder / "deeper" / "new.png", 12)
    return folder / "deeper" / "new.png"


def remove(folder: Path) -> Path:
    """Remove a photograph."""
    (folder / "2.png").unlink()
    return folder / "2.png"


@pytest.mark.parametrize("act", [change, add, remove])
def test_photographs_that_changed_are_named_and_encoded_again(
    act: object,
    run: Run,
    photos: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    _, facts = kept_photos(run, photos)
    assert changed_photos(facts) == []
    path = act(photos)  # type: ignore[operator]
    assert changed_photos(facts) == [path]
    with pytest.raises(UserError) as caught:
        check_photos(Path("gallery.safetensors"), facts)
    assert str(caught.value) == (
        "'gallery.safetensors' is out of date, since 1 photograph came, went or changed, such as "
        f"'{path}': encode it again."
    )
    capsys.readouterr()
    counter = Encodings(monkeypatch)
    found, now = kept_photos(run, photos)
    assert str(path) in capsys.readouterr().err
    assert counter.images == len(now["names"]) == len(list(photos.rglob("*.png")))
    assert equal(found, encode_photos(run, photos)[0])
    assert equal(kept_photos(run, photos)[0], found)
    assert capsys.readouterr().err.count("encode it again") == 0


def test_only_content_counts_and_only_what_looks_changed_is_read(
    run: Run, photos: Path, monkeypatch: pytest.MonkeyPatch
):
    _, facts = encode_photos(run, photos)
    os.utime(photos / "0.png", ns=(1, 1))
    read = list[Path]()
    monkeypatch.setattr(
        "cookie.photos.gallery.sha256",
        lambda path: read.append(path) or hashlib.sha256(path.read_bytes()).hexdigest(),
    )
    assert changed_photos(facts) == []
    assert read == [photos / "0.png"]


def test_a_damaged_gallery_of_a_folder_is_made_again(
    run: Run, photos: Path, capsys: pytest.CaptureFixture[str]
):
    wanted, _ = kept_photos(run, photos)
    (path,) = (Path(os.environ["COOKIE_HOME"]) / "galleries").iterdir()
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert equal(kept_photos(run, photos)[0], wanted)
    assert "damaged: encode again. This is done now." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("photos", "'.*photos' is a folder: name a file in it"),
        ("photos/0.png", "0.png' is there and is no file of embeddings"),
        ("run/best.safetensors", "best.safetensors' is there and is no file of embeddings"),
        ("photos/0.png/gallery", "gallery' cannot be written"),
    ],
)
def test_what_cannot_be_written_is_told_before_anything_is_encoded(
    run: Run,
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    sentence: str,
):
    counter = Encodings(monkeypatch)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(UserError, match=sentence):
        run_encode(Encode(photos, tmp_path / name, run.folder, device="cpu"))
    with pytest.raises(UserError, match="photos' is a folder"):
        run_search(Search("a red cube", photos, run.folder, sheet=photos, device="cpu"))
    assert counter.images == 0
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_search_refuses_a_file_whose_photographs_or_weights_changed(
    run: Run,
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    gallery = tmp_path / "gallery.safetensors"
    run_encode(Encode(photos, gallery, run.folder, device="cpu"))
    search = Search("a red cube", gallery, device="cpu")
    counter = Encodings(monkeypatch)
    capsys.readouterr()
    run_search(search)
    assert len(capsys.readouterr().out.splitlines()) == 4
    assert counter.images == 0
    path = change(photos)
    with pytest.raises(UserError, match=rf"is out of date.*'{path}': encode it again"):
        run_search(search)
    run_encode(Encode(photos, gallery, run.folder, device="cpu"))
    run_search(search)
    untrained(run.folder, seed=2)
    with pytest.raises(UserError, match="was encoded with other weights"):
        run_search(search)
    assert load_embeddings(gallery)[1]["weights_sha256"] == run.digest
