"""The choices that decide what a cell finds out besides configuration and data, by kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.cells import cost, images
from bench.effort import growth_effort_of, load_effort_of, process_of, turns_effort_of
from bench.material.pretraining import pretraining_facts
from bench.material.workshop import Workshop
from bench.pages.provenance import TIMED
from bench.plan import GROWING, timed_in_turns
from bench.records import EVERY_SYSTEM, Cell, Kind
from bench.systems import SHORTLIST, changes, systems
from cookie.errors import UserError
from cookie.training.checkpoint import read_facts
from cookie.training.trainer import BEST

NEIGHBORS = 10
"""Answers a query asks for."""


def protocol(
    workshop: Workshop, accuracy_seconds: float, cell: Cell, cells: Sequence[Cell]
) -> dict[str, Any]:
    """Return the protocol of a cell, JSON-able.

    Of accuracy the hash of the weights is part: after another training it is stale.

    Args:
        workshop: of the section.
        accuracy_seconds: for the scores of one system.
        cell: whose protocol it is.
        cells: of the plan; what is timed in turns is timed with the systems that are in it.
    """
    common = {"limit": workshop.setup.limit}
    effort = workshop.effort.to_dict()
    weights = _weights(workshop, _parts(cell.system), cell.seed)
    timing = {"neighbors": NEIGHBORS, "shortlist": SHORTLIST, "effort": effort}
    own: Mapping[Kind, Mapping[str, Any]] = {
        "train": {"weights": _weights(workshop, (cell.system,), cell.seed)}
        | _variant(workshop, cell),
        "accuracy": {
            "weights": weights,
            "seconds": accuracy_seconds,
            "sample_seed": 0,
            "shortlist": SHORTLIST,
        },
        "images": {"weights": weights, "k": images.K},
        "texts": {"weights": weights},
        "efficiency": timing,
        "evaluations": {
            "systems": timed_in_turns("evaluations", cells),
            "effort": turns_effort_of(workshop.setup.preset).to_dict(),
        },
        "latency": {**timing, "systems": timed_in_turns("latency", cells)},
        "load": {
            "neighbors": NEIGHBORS,
            "shortlist": SHORTLIST,
            "effort": load_effort_of(workshop.setup.preset).to_dict(),
        },
        "growth": {
            "gallery": cell.gallery,
            "neighbors": NEIGHBORS,
            "shortlist": SHORTLIST,
            "systems": list(GROWING),
            "effort": growth_effort_of(workshop.setup.preset).to_dict(),
        },
        "shortlists": {
            "weights": weights,
            "seconds": accuracy_seconds,
            "sample_seed": 0,
        },
        "shortlist_speed": {"neighbors": NEIGHBORS, "effort": effort},
        "cost": {
            "evaluation": [cost.IMAGES, cost.CAPTIONS],
            "batches": list(cost.BATCHES[workshop.device.type]),
            "effort": effort,
        },
    }
    process = {"process": process_of(workshop.setup.preset)} if cell.kind in TIMED else {}
    return {**common, **own[cell.kind], **process}


def _variant(workshop: Workshop, cell: Cell) -> dict[str, Any]:
    """Return what a system changes: its record stands beside those of the preset itself."""
    if cell.system not in systems:
        return {}
    changed = changes(workshop.config, workshop.settings(cell.system))
    if not systems[cell.system].variant:
        return {"changed": changed} if changed else {}
    share = {"train_share": systems[cell.system].train_share}
    before = pretraining_facts(workshop, cell.system) | _start(workshop, cell)
    return {"changed": changed, **share, **before}


def _start(workshop: Workshop, cell: Cell) -> dict[str, Any]:
    """Return the trained row that a training begins with; nothing where it begins with none."""
    row = systems[cell.system].start
    weights = _weights(workshop, (row,), cell.seed) if row else None
    return {"start": {"system": row, "weights": weights}} if row else {}


def _weights(workshop: Workshop, parts: Sequence[str], seed: int) -> list[str | None]:
    """Return the hash of each part's best weights, None where it is not trained here."""
    return [_weights_digest(workshop.run_dir(part, seed)) for part in parts]


def _parts(system: str) -> tuple[str, ...]:
    return () if system == EVERY_SYSTEM else systems[system].parts


def _weights_digest(folder: Path) -> str | None:
    try:
        facts = read_facts(folder, BEST)
    except UserError:
        return None
    return str(facts["sha256"])
