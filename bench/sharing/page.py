"""``results/when_sharing_pays.md``: one page over all data sets, made from records alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.ablation.sharing_points import Axis
from bench.findings.columns import p_value
from bench.findings.sections import View, views
from bench.layout import Column, Grid, Missing, Value, csv_text, fixed, markdown_grids, spread
from bench.pages.provenance import facts, remarks, title
from bench.plots.figures import save
from bench.plots.gaps import GapCurve, GapPanel, gap_figure
from bench.records import Section, read_all, write_text
from bench.sharing.findings import findings
from bench.sharing.gaps import AXES, QUESTIONS, Gap, absent, all_gaps

NAME = "when_sharing_pays"
TITLE = "When does sharing pay?"
INTRODUCTION = (
    "Two things that COOKIE adds to two encoders are followed here: the transformer that both "
    "paths share, against a transformer a path with as many parameters in all, and the two "
    "unimodal losses, against the image-text loss alone. Each gap is a difference in RSUM (the "
    "sum of R@1, R@5 and R@10 in both directions) on the same test images, against the number of "
    "training pairs, the number of layers and the number of training steps. Other numbers of pairs "
    "and layers are trained for as many steps as the preset says: fewer pairs are seen more often, "
    "and *passes* says how often. With the steps two more gaps are followed, to the linear "
    "dual-stream and to the single-stream: they show what is left of COOKIE's lead once all have "
    "learned for longer.",
    "Made by `python -m bench.reproduce --sharing` and rendered from the records in `*/records/` "
    f"by `python -m bench.report`; do not edit. Values: [{NAME}.csv]({NAME}.csv).",
)
READING = (
    "**interval**: of two 95 % intervals, a paired bootstrap over images of the hits averaged over "
    "seeds and Student's over the seeds' own differences, the one that reaches further each way. "
    "A difference is told where both leave out 0, and never from one seed.",
    "**p**: two-sided, the larger of both. **detectable**: the smallest true difference "
    "found about four times in five at the 5 % level (Bloom 1995), over images and seeds. *No "
    "difference can be told* bounds a difference by it, and does not say that it is 0.",
    "Every interval stands for one comparison: of twenty without any difference, one would be told "
    "by chance. A finding at a single point, with its neighbors not agreeing, is worth little.",
    "Sharing would be shown not to matter if, with several seeds, no point told a difference "
    "larger than what counts in practice and every *detectable* were below that; it would be shown "
    "to matter through scarce data if the gap shrank from the fewest pairs to the most by more "
    "than its interval. Other settings, the learning rate among them, are not covered by what is "
    "measured.",
)
LABELS: dict[Axis, str] = {
    "pairs": "training pairs",
    "depth": "layers above the encoders",
    "steps": "training steps",
}
_SAME = Missing("Both give the same answers, so nothing is known of what would have shown.")
_ONE_SEED = Missing("The spread between trainings takes two seeds.")


@dataclass(frozen=True, slots=True)
class Part:
    """One section of one data set, with its gaps by axis."""

    dataset: str
    view: View
    gaps: Mapping[Axis, Sequence[Gap]]


def render_sharing(sections: Mapping[str, Sequence[View]], results: Path) -> Path | None:
    """Write the page, its CSV and its plot; return its path, None where no record has a gap."""
    parts = [part for name, own in sections.items() for view in own if (part := _part(name, view))]
    if not parts:
        return None
    stem = results / NAME
    save(gap_figure([_panels(part) for part in parts], "COOKIE minus rival, RSUM"), stem)
    write_text(stem.with_suffix(".csv"), csv_text([row for part in parts for row in _rows(part)]))
    path = stem.with_suffix(".md")
    write_text(path, _page(parts))
    return path


def said(folder: Path, section: Section) -> list[str]:
    """Return what the records of a data set's ``folder`` say on one section."""
    own = [view for view in views(read_all(folder)) if view.section == section]
    return [item.sentence for view in own for item in findings(view, all_gaps(view))]


def _part(dataset: str, view: View) -> Part | None:
    found = all_gaps(view)
    return Part(dataset, view, found) if any(found.values()) else None


def _page(parts: Sequence[Part]) -> str:
    text = [f"# {TITLE}", *INTRODUCTION, f"![{TITLE}]({NAME}.svg)", _LEGEND]
    text += [block for part in parts for block in _section(part)]
    text += ["## How to read it, and what would prove it wrong"]
    text += ["\n".join(f"- {line}" for line in READING)]
    return "\n\n".join(text) + "\n"


_LEGEND = (
    "A marker each for the gaps; filled where a difference is told, empty where none can be. Bars "
    "are the intervals."
)


def _section(part: Part) -> list[str]:
    said = [f"- **{item.subject}:** {item.reason}" for item in findings(part.view, part.gaps)]
    grids = [_grid(part, axis) for axis in AXES if part.gaps[axis]]
    return [
        f"## {part.dataset}: {title(part.view)}",
        "\n".join(said),
        markdown_grids(grids),
        "\n".join(["#### Provenance", "", *facts(part.view), *remarks(part.view)]),
    ]


def _columns(axis: Axis) -> tuple[Column, ...]:
    return (
        Column("gap", "gap", align="left"),
        Column("place", LABELS[axis], "{:,}".format),
        Column("passes", "passes", fixed(1)),
        Column("first", "COOKIE", fixed(1)),
        Column("second", "rival", fixed(1)),
        Column("text", "gap in RSUM (interval)"),
        Column("seed_text", "over seeds alone"),
        Column("p", "p", p_value),
        Column("detectable", "detectable", fixed(1)),
        Column("seeds", "seeds"),
        Column("told", "told", align="left"),
    )


def _grid(part: Part, axis: Axis) -> Grid:
    missing = [
        f"{point.label} ({reason})" for point, reason in absent(part.view, axis, part.gaps[axis])
    ]
    lead = f"Not here: {'; '.join(missing)}." if missing else ""
    return Grid(_columns(axis), [_row(gap) for gap in part.gaps[axis]], f"By {AXES[axis]}", lead)


def _row(gap: Gap) -> dict[str, Value]:
    found, difference, seeds = gap.found, gap.found.difference, gap.found.by_seed
    low, high = found.bounds
    return {
        "gap": gap.question.gap,
        "place": gap.place,
        "passes": gap.passes,
        "first": difference.first,
        "second": difference.second,
        "difference": difference.value,
        "low": low,
        "high": high,
        "text": spread(difference.value, low, high, "+"),
        "seed_text": spread(seeds.estimate, seeds.low, seeds.high, "+") if seeds else _ONE_SEED,
        "p": found.p_value,
        "detectable": found.detectable or _SAME,
        "seeds": len(found.seeds),
        "told": ("no", "pays", "costs")[gap.sign],
    }


def _rows(part: Part) -> list[dict[str, Any]]:
    """Return plain values for the CSV; a key that ends in ``text`` is a value as printed."""
    section = part.view.section
    where = {
        "dataset": part.dataset,
        "preset": section.preset,
        "regime": section.regime,
        "hardware": section.hardware,
        "limit": section.limit,
    }
    return [
        where
        | {"axis": axis}
        | {key: value for key, value in _row(gap).items() if not key.endswith("text")}
        for axis in AXES
        for gap in part.gaps[axis]
    ]


def _panels(part: Part) -> list[GapPanel]:
    name = f"{part.dataset}: {part.view.section.name}"
    return [
        GapPanel(name, LABELS[axis], _curves(part.gaps[axis]), axis != "depth") for axis in AXES
    ]


def _curves(found: Sequence[Gap]) -> tuple[GapCurve, ...]:
    return tuple(
        GapCurve(
            question.gap,
            question.marker,
            tuple(gap.place for gap in own),
            tuple(gap.found.difference.value for gap in own),
            tuple(gap.found.bounds for gap in own),
            tuple(gap.sign != 0 for gap in own),
        )
        for question in QUESTIONS
        if (own := [gap for gap in found if gap.question is question])
    )
