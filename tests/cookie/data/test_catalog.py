"""What is said of data sets that are not found."""

from __future__ import annotations

from pathlib import Path

import pytest

from cookie.data.catalog import load_dataset
from cookie.data.dataset import datasets
from cookie.errors import UserError


@pytest.mark.parametrize(
    ("root", "name", "sentence"),
    [
        ("absent", "mine", r"and '.*absent' is no folder: give --data-root or set COOKIE_DATA"),
        ("file", "mine", r"and '.*file' is no folder: give --data-root"),
        ("absent", "scene", r"did you mean 'scenes'\?$"),
        ("full", "photo", r"did you mean 'photos'\?$"),
        ("full", "mine", r"coco, flickr30k, flickr8k, scenes, or make a folder '.*mine'\.$"),
        ("full", "../full", r"coco, flickr30k, flickr8k, scenes\.$"),
        ("full", "", r"coco, flickr30k, flickr8k, scenes\.$"),
        ("file", "coco", r"The data root '.*file' is no folder, and 'coco' would be in it: give"),
        ("full", "coco", r"There is no folder '.*coco', where 'coco' would be: give --data-root"),
    ],
)
def test_what_is_not_found_is_told_with_its_place(
    root: str, name: str, sentence: str, tmp_path: Path
) -> None:
    (tmp_path / "full" / "photos").mkdir(parents=True)
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=sentence):
        load_dataset(name, tmp_path / root)


def test_modules_of_the_environment_register_data_sets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_data.py").write_text(
        "from cookie.data.dataset import RetrievalDataset, datasets\n"
        "load = lambda root, preset: RetrievalDataset('own', '1' * 64, {})\n"
        "datasets.register('own')(load)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(datasets, "_entries", dict(datasets._entries))
    monkeypatch.setenv("COOKIE_MODULES", "json, own_data,")
    assert load_dataset("own").sha256 == "1" * 64
    assert load_dataset("own").name == "own"  # a second time nothing is registered twice
