"""``scenes``: the embedded data set, generated from a seed with hard negatives in every split."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from cookie.data.dataset import RetrievalDataset, Split, build_split, datasets, growers
from cookie.data.draws import Draws
from cookie.data.scene_captions import describe
from cookie.data.scene_graph import Scene, draw_negative, draw_scene
from cookie.data.scene_pictures import render

VERSION = 1
"""To be raised whenever a change of the generator changes what it makes."""
CAPTION_STREAM = 1 << 48
SPLIT_STREAM = 1 << 40
SPLIT_NAMES = ("test", "val", "train", "more")
"""A split's pictures come from a range of draws of its own, by its place here."""


@dataclass(frozen=True, slots=True)
class SceneCounts:
    """How many images each split has."""

    train: int = 4000
    val: int = 300
    test: int = 300


SMOKE = SceneCounts(train=64, val=24, test=24)


class SceneImages:
    """The pictures of ``scenes``, drawn when asked for."""

    def __init__(self, scenes: tuple[Scene, ...]) -> None:
        self._scenes = scenes

    def __len__(self) -> int:
        return len(self._scenes)

    def load(self, index: int, size: int) -> Image.Image:
        """Return picture ``index``, drawn at ``size`` pixels a side."""
        return Image.fromarray(render(self._scenes[index], size))


def generate_scenes(counts: SceneCounts | None = None, seed: int = 0) -> RetrievalDataset:
    """Return the data set: the same bytes for the same arguments on every machine.

    No two images of any splits mean the same. A family of up to three images that differ in one
    binding, relation or count stays within a split. A larger split begins like a smaller one, and
    since training images are drawn last, more of them leave the other splits as they are.
    """
    counts = counts or SceneCounts()
    seen: set[object] = set()
    splits = {
        name: _make_split(name, getattr(counts, name), seed, seen) for name in SPLIT_NAMES[:3]
    }
    ordered = {name: splits[name] for name in ("train", "val", "test")}
    return RetrievalDataset("scenes", _digest(ordered), ordered)


def more_scenes(dataset: RetrievalDataset, count: int, seed: int = 0) -> RetrievalDataset:
    """Return a training split of ``count`` further pictures, to pre-train on.

    None of them means the same as any picture of ``dataset``, in whichever split.

    Args:
        dataset: of :func:`generate_scenes`.
        count: of pictures.
        seed: that ``dataset`` was generated with.
    """
    known: set[object] = {
        scene.key for split in dataset.splits.values() for scene in split.scenes or ()
    }
    splits = {"train": _make_split("more", count, seed, known)}
    return RetrievalDataset("scenes-more", _digest(splits), splits)


@datasets.register("scenes")
def load_scenes(data_root: Path, preset: str) -> RetrievalDataset:
    """Generate ``scenes`` in the size that suits ``preset``; ``data_root`` is not read."""
    return generate_scenes(_counts(preset))


@growers.register("scenes")
def grow_scenes(preset: str, factor: float) -> RetrievalDataset:
    """Generate ``scenes`` with ``factor`` times the training images, the others as ever."""
    counts = _counts(preset)
    return generate_scenes(replace(counts, train=round(factor * counts.train)))


def _counts(preset: str) -> SceneCounts:
    return SMOKE if preset == "smoke" else SceneCounts()


def _make_split(name: str, count: int, seed: int, seen: set[object]) -> Split:
    scenes: list[Scene] = []
    family, stream = 0, SPLIT_NAMES.index(name)
    while len(scenes) < count:
        draws = Draws(seed, stream * SPLIT_STREAM + family)
        scenes += _family(draws, family, seen)[: count - len(scenes)]
        family += 1
    captions = [
        describe(Draws(seed, CAPTION_STREAM + stream * SPLIT_STREAM + index), scene)
        for index, scene in enumerate(scenes)
    ]
    names = [f"scenes-{name}-{index:06d}" for index in range(count)]
    return build_split(SceneImages(tuple(scenes)), names, captions, scenes=tuple(scenes))


def _family(draws: Draws, family: int, seen: set[object]) -> list[Scene]:
    """Return a new scene and none, one or two hard negatives of it; note them as seen."""
    members: list[Scene] = []
    wanted = 1 + draws.below(3)
    base = draw_scene(draws, family)
    for _attempt in range(20):
        candidate = draw_negative(draws, base) if members else base
        if candidate is None or candidate.key in seen:
            base = base if members else draw_scene(draws, family)
            continue
        seen.add(candidate.key)
        members.append(candidate)
        if len(members) == wanted:
            break
    return members


def _digest(splits: dict[str, Split]) -> str:
    """Return the hash over generator version, scenes and captions, in order."""
    digest = hashlib.sha256(f"scenes {VERSION}".encode())
    for name, split in splits.items():
        scenes = [asdict(scene) for scene in split.scenes or ()]
        digest.update(json.dumps([name, scenes, split.captions], sort_keys=True).encode())
        digest.update(np.ascontiguousarray(split.caption_image).astype("<i8").tobytes())
    return digest.hexdigest()
