"""Searches for settings: what was tried, for which system, and what validated best.

A comparison is as fair as the search behind its settings. What :mod:`bench.tune` tried is kept in
``results/<data set>/searches/``, a file a search, and ``results/searches.md`` is made from these
files alone. Nothing here needs torch.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from bench.layout import Column, Grid, Row, Value, markdown_grids
from bench.pages.provenance import commit_name
from bench.records import slug, write_text
from cookie.errors import DataError, UserError
from cookie.files import write_json

FOLDER, NAME = "searches", "searches"
TITLE = "What was searched for the settings"
INTRODUCTION = (
    "A comparison is only as fair as the search behind its settings, so every system gets the same "
    "values, steps and seed. A figure is the best validation score of one training, no test image "
    "is looked at; `*` marks the best of a row and **bold** is what the preset uses. Pair scorers "
    "validate on fewer queries than dual encoders do, though on more than their weights are chosen "
    "by, so compare within a row alone.",
    "Made by `python -m bench.tune` and rendered from the files in `*/searches/` by `python -m "
    "bench.report`; do not edit.",
)


@dataclass(frozen=True, slots=True)
class Tried:
    """One training of a search.

    Attributes:
        system: name. label: as tables print it. value: of the setting.
        score: the best one on the validation split. best_step: where it was reached.
        seconds: of the training, validation included.
        digest: of the settings that it was trained with. commit: that it was run from.
        queries: of either kind that gave the score at most, of a pair scorer; 0 for all there are.
    """

    system: str
    label: str
    value: float
    score: float
    best_step: int
    seconds: float
    digest: str
    commit: dict[str, Any]
    queries: int = 0


@dataclass(frozen=True, slots=True)
class Search:
    """All trainings that differ in one setting.

    Attributes:
        dataset: name. preset: name. regime: of the preset here. hardware: slug.
        setting: as ``part.field`` of the configuration. used: its value in the preset.
        seed: of all trainings. steps: of each.
        tried: the trainings so far.
        usual_steps: the preset's where these are others; None where they are its own.
        dataset_sha256: hash of the data; None in files of before it was kept.
    """

    dataset: str
    preset: str
    regime: str
    hardware: str
    setting: str
    used: float
    seed: int
    steps: int
    tried: tuple[Tried, ...] = ()
    usual_steps: int | None = None
    dataset_sha256: str | None = None

    def path(self, results: Path) -> Path:
        """Return where the search is kept."""
        where = f"{self.preset}-{self.regime}-{self.hardware}"
        name = f"{where}-{slug(self.setting)}-seed{self.seed}-steps{self.steps}.json"
        return results / self.dataset / FOLDER / name

    def by_system(self) -> dict[str, list[Tried]]:
        """Return the trainings of each system, in the order of the first of each."""
        names = dict.fromkeys(one.system for one in self.tried)
        return {name: [one for one in self.tried if one.system == name] for name in names}

    def write(self, results: Path) -> None:
        """Keep what was tried so far."""
        write_json(self.path(results), asdict(self))

    def as_kept(self, results: Path) -> Search:
        """Return the search with what its file holds by now: other processes add to it, too.

        Raises:
            UserError: the file is of other data.
        """
        path = self.path(results)
        kept = _read(path) if path.is_file() else self
        if not kept._is_like(self):
            return self
        if None not in (hashes := {kept.dataset_sha256, self.dataset_sha256}) and len(hashes) > 1:
            raise UserError(
                f"'{path}' is a search on other images or captions than these: delete it, or "
                "choose another --results-dir."
            )
        return kept

    def add(self, made: Tried, results: Path) -> Search:
        """Return the search as it is kept by now with one training more, and keep it so."""
        now = self.as_kept(results)
        added = replace(now, tried=(*now.tried, made))
        added.write(results)
        return added

    def _is_like(self, other: Search) -> bool:
        """Whether both are one search, at whatever point and of whatever data."""
        ours, theirs = (replace(each, tried=(), dataset_sha256=None) for each in (self, other))
        return ours == theirs


def read_searches(results: Path) -> list[Search]:
    """Return the searches below ``results``, in a fixed order.

    Raises:
        DataError: a file there is none.
    """
    return [_read(path) for path in sorted(results.glob(f"*/{FOLDER}/*.json"))]


def _read(path: Path) -> Search:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        tried = tuple(Tried(**one) for one in found.pop("tried"))
        return Search(**found, tried=tried)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path} tells of no search ({error}): delete it.") from None


def render_searches(results: Path) -> Path | None:
    """Write the page on all searches; return its path, None where there is no search."""
    found = [search for search in read_searches(results) if search.tried]
    if not found:
        return None
    path = results / f"{NAME}.md"
    write_text(path, "\n\n".join([f"# {TITLE}", *INTRODUCTION, *map(_section, found)]) + "\n")
    return path


def _section(search: Search) -> str:
    """Return a search as markdown: a row a system, a column a value."""
    values = sorted({one.value for one in search.tried})
    heading = f"{search.dataset}, `{search.preset}` ({search.regime}): `{search.setting}`"
    commits = sorted({commit_name(one.commit) for one in search.tried})
    preset = f" (the preset's are {search.usual_steps:,})" if search.usual_steps else ""
    lead = (
        f"{search.steps:,} steps{preset}, seed {search.seed}, on {search.hardware}; commit "
        f"{', '.join(commits)}."
    )
    columns = [
        Column("system", "system", align="left"),
        *(Column(f"{value:g}", _header(search, value)) for value in values),
        Column("best", "best value"),
    ]
    rows = [_row(own) for own in search.by_system().values()]
    return markdown_grids([Grid(columns, rows, heading, lead)])


def _header(search: Search, value: float) -> str:
    return f"**{value:g}**" if value == search.used else f"{value:g}"


def best_of(own: Sequence[Tried]) -> Tried:
    """Return the training that validated best, the first of equals."""
    return max(own, key=lambda one: one.score)


def _row(own: Sequence[Tried]) -> Row:
    best = best_of(own)
    scores: dict[str, Value] = {
        f"{one.value:g}": f"{one.score:.1f}{'*' if one is best else ''}" for one in own
    }
    return {"system": own[0].label, **scores, "best": f"{best.value:g}"}
