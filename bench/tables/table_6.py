"""Table 6: latency, throughput and memory as the gallery grows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bench.claims import CLAIMED_PER_MILLE, gallery_for, per_mille_at
from bench.curves import Chart, Curve, growth_figure
from bench.layout import (
    Column,
    Footnotes,
    Marked,
    Missing,
    Value,
    duration,
    markdown_table,
    mebibytes,
    significant,
)
from bench.plan import GROWING, cells_of
from bench.published import published, published_section
from bench.records import EVERY_SYSTEM, Cell
from bench.systems import systems
from bench.tables import Block, Table, register
from bench.tables.table_2 import enough

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from bench.measure.exponent import PowerLaw
    from bench.records import Record
    from bench.sections import View

GALLERIES = (1_000, 10_000, 100_000, 1_000_000)
LARGE = (10_000_000,)
"""Measured with ``--variants``, in float16, in memory or on disk."""
SEARCH = "search"
SEARCH_LABEL = "search alone"
PUBLISHED_SIZES = {1_000: " 1K", 5_000: " 5K"}
"""Images -> how a published row names the data it was evaluated on."""

GROWTH = (
    Column("system", "system", align="left"),
    Column("gallery", "gallery", lambda value: f"{value:,}"),
    Column("p50_s", "p50", duration),
    Column("p95_s", "p95", duration),
    Column("p99_s", "p99", duration),
    Column("n", "n"),
    Column("per_mille", "‰ of single-stream", significant),
    Column("queries_per_second", "queries/s", significant),
    Column("batch_size", "at batch"),
    Column("gallery_bytes", "gallery, MiB", lambda value: significant(value / 2**20)),
    Column("peak_rss_bytes", "peak RSS, MiB", mebibytes),
    Column("allocated_bytes", "GPU allocated, MiB", mebibytes),
    Column("share_of_bandwidth", "share of bandwidth", lambda value: f"{100 * value:.3g} %"),
)
EXPONENTS = (
    Column("system", "system", align="left"),
    Column("points", "sizes"),
    Column("exponent", "exponent", lambda value: f"{value:.2f}"),
    Column("interval", "95 % interval"),
    Column("local", "between the last two", lambda value: f"{value:.2f}"),
)
RATIOS = (
    Column("images", "images", lambda value: f"{value:,}"),
    Column("cookie", "COOKIE", duration),
    Column("single_stream", "single-stream", duration),
    Column("per_mille", "‰, measured here", significant),
    Column("published", "‰, published", significant),
    Column("source", "published by", align="left"),
)


def cells(seeds: Sequence[int], variants: bool) -> list[Cell]:
    """Return the cells that the table needs; speed is measured for the first seed."""
    sizes = GALLERIES + (LARGE if variants else ())
    return [
        *cells_of(GROWING, seeds[:1], ("train",)),
        *cells_of(("cookie", "single_stream"), seeds, ("efficiency",)),
        *(Cell("growth", EVERY_SYSTEM, seeds[0], size) for size in sizes),
    ]


def grown(view: View) -> list[Record]:
    """Return the growth records of the first seed, the smallest gallery first."""
    found = [record for record in view.records if record.cell.kind == "growth"]
    first = min((record.cell.seed for record in found), default=0)
    return sorted(
        (r for r in found if r.cell.seed == first), key=lambda record: record.cell.gallery
    )


def has_rows(view: View) -> bool:
    """Whether any gallery size was measured."""
    return bool(grown(view))


def block(view: View) -> Block:
    """Lay out one section: queries by gallery size, exponents, full evaluations."""
    footnotes = Footnotes()
    records = grown(view)
    rows = [row for record in records for row in _rows(record)]
    laws = {name: _law(records, name) for name in (*GROWING, SEARCH)}
    ratios = ratio_rows(view)
    parts = [
        markdown_table(GROWTH, rows, footnotes),
        f"The gallery: {_storage(records)}.",
        "#### Growth of the median: time = factor x gallery ^ exponent",
        markdown_table(EXPONENTS, [_law_row(*item) for item in laws.items()], footnotes),
        "#### Full evaluation by the number of images",
        markdown_table(RATIOS, ratios, footnotes) if ratios else _NO_RATIOS,
        "\n".join(footnotes.lines()),
    ]
    sentences = [_growth_sentence(laws), _ratio_sentence(view)]
    return Block("\n\n".join(parts), rows, sentences)


_NO_RATIOS = "Not known: this section lacks the speed of cookie and single_stream."


def _rows(record: Record) -> list[dict[str, Value]]:
    values = record.values
    if "reason" in values:
        return [_unmeasured(name, record.cell.gallery, values["reason"]) for name in GROWING]
    found = [_row(name, values) for name in GROWING if name in values["systems"]]
    return [*found, _search_row(values)]


def _unmeasured(name: str, gallery: int, reason: str) -> dict[str, Value]:
    missing = dict.fromkeys((column.key for column in GROWTH), Missing(reason))
    return missing | {"system": _label(name), "gallery": gallery}


def _label(name: str) -> str:
    return SEARCH_LABEL if name == SEARCH else systems[name].label


def _row(name: str, values: Mapping[str, Any]) -> dict[str, Value]:
    found, rate = values["systems"][name], values["systems"][name]["throughput"]
    one = Missing("The ratio is to this row.")
    ratio = values["ratios"].get(name)
    return {
        "system": _label(name),
        "gallery": values["gallery"],
        **_times(found, extrapolated=found["extrapolated"]),
        "per_mille": one if ratio is None else _ratio(ratio, values),
        "queries_per_second": _rate(rate),
        "batch_size": Missing(rate["reason"]) if rate["batch_size"] is None else rate["batch_size"],
        "gallery_bytes": _gallery_bytes(name, found),
        **_memory(found["memory"]),
        "share_of_bandwidth": Missing("Known for the search alone."),
        "measured_images": found["measured_images"],
        **_storage_columns(values),
    }


def _storage_columns(values: Mapping[str, Any]) -> dict[str, Value]:
    return {"dtype": values["storage"]["dtype"], "place": values["storage"]["place"]}


def _times(found: Mapping[str, Any], *, extrapolated: bool) -> dict[str, Value]:
    times = {f"{key}_s": enough(found[key]) for key in ("p50", "p95", "p99")}
    return {key: _marked(time, extrapolated) for key, time in times.items()} | {"n": found["n"]}


def _marked(value: Value, extrapolated: bool) -> Value:
    if not extrapolated or isinstance(value, Missing):
        return value
    return Marked(
        value,
        "Extrapolated: measured on as many of the gallery's images as fit the time, in "
        "proportion (in a ratio: the single-stream is).",
    )


def _ratio(ratio: Mapping[str, Any], values: Mapping[str, Any]) -> Value:
    return _marked(1000 * ratio["median"], values["systems"]["single_stream"]["extrapolated"])


def _rate(rate: Mapping[str, Any]) -> Value:
    if rate["queries_per_second"] is None:
        return Missing(rate["reason"])
    return _marked(rate["queries_per_second"], rate["extrapolated"])


def _gallery_bytes(name: str, found: Mapping[str, Any]) -> Value:
    if systems[name].family == "dual":
        return found["gallery_bytes"]
    remark = "Computed: image states for a whole gallery; those of the test images are repeated."
    return Marked(found["gallery_bytes"], remark)


def _memory(memory: Mapping[str, Any]) -> dict[str, Value]:
    keys = {"peak_rss_bytes": "peak_rss", "allocated_bytes": "allocated"}
    return {key: _peak(memory[name]) for key, name in keys.items()}


def _peak(column: Mapping[str, Any]) -> Value:
    peak, reason = column["peak_bytes"], str(column["reason"]).rstrip(".")
    text = (reason[:1].upper() + reason[1:]).replace("Cpu", "CPU")
    return Missing(f"{text}.") if peak is None else peak


def _search_row(values: Mapping[str, Any]) -> dict[str, Value]:
    found = values["search"]
    missing = Missing(
        "The search alone, of a query that is encoded already, is timed as one query."
    )
    share = found["share_of_bandwidth"]
    unknown = Missing("The bandwidth of the disk, or the copy peak of the memory, is not known.")
    keys = ("per_mille", "queries_per_second", "batch_size", "peak_rss_bytes", "allocated_bytes")
    return {
        "system": SEARCH_LABEL,
        "gallery": values["gallery"],
        **_times(found, extrapolated=False),
        **dict.fromkeys(keys, missing),
        "gallery_bytes": found["gallery_bytes"],
        "share_of_bandwidth": unknown if share is None else share,
        "measured_images": values["gallery"],
        **_storage_columns(values),
    }


def _storage(records: Sequence[Record]) -> str:
    kept = [r.values for r in records if "storage" in r.values]
    if not kept:
        return "none fitted"
    texts = [
        f"{v['gallery']:,} rows of {v['width']} {v['storage']['dtype']} values "
        f"{'in memory' if v['storage']['place'] == 'memory' else 'on disk, memory-mapped'}"
        for v in kept
    ]
    return "random unit vectors, " + "; ".join(texts)


def _medians(records: Sequence[Record], name: str) -> list[tuple[int, float, bool]]:
    """Return gallery size, median seconds and whether it is extrapolated."""
    kept = [r.values for r in records if "storage" in r.values]
    found = [
        (v["gallery"], v["search"] if name == SEARCH else v["systems"].get(name)) for v in kept
    ]
    return [
        (size, values["p50"], bool(values.get("extrapolated"))) for size, values in found if values
    ]


def _law(records: Sequence[Record], name: str) -> PowerLaw | None:
    """Fit what was measured, in galleries that are kept as the smallest one is."""
    from bench.measure.exponent import fit_power_law  # scipy takes a second to import

    kept = [r for r in records if "storage" in r.values]
    alike = [r for r in kept if r.values["storage"] == kept[0].values["storage"]]
    points = [(size, p50) for size, p50, extrapolated in _medians(alike, name) if not extrapolated]
    return fit_power_law(*zip(*points, strict=True)) if points else None


def _law_row(name: str, law: PowerLaw | None) -> dict[str, Value]:
    keys = ("exponent", "interval", "local")
    if law is None:
        reason = "Fewer than two sizes were measured in full."
        return {"system": _label(name), "points": 0, **dict.fromkeys(keys, Missing(reason))}
    few = Missing("Two sizes leave nothing to judge the fit by.")
    return {
        "system": _label(name),
        "points": law.points,
        "exponent": law.exponent,
        "interval": few if law.low is None else f"{law.low:.2f} to {law.high:.2f}",
        "local": law.local,
    }


def ratio_rows(view: View) -> list[dict[str, Value]]:
    """Return the full evaluation of both systems by the number of images, beside published ones."""
    ours, theirs = view.one("efficiency", "cookie"), view.one("efficiency", "single_stream")
    if ours is None or theirs is None:
        return []
    full, reference = ours.values["full_evaluation"], theirs.values["full_evaluation"]
    sizes = sorted({full["images"], *PUBLISHED_SIZES, *GALLERIES})
    return [_ratio_row(size, full, reference) for size in sizes]


def _ratio_row(
    size: int, full: Mapping[str, Any], reference: Mapping[str, Any]
) -> dict[str, Value]:
    found = (
        evaluation_at(size, full),
        evaluation_at(size, reference),
        per_mille_at(size, full, reference),
    )
    modelled = size != full["images"] or reference["extrapolated"]
    ours, theirs, ratio = (_by_rates(value) if modelled else value for value in found)
    return {
        "images": size,
        "cookie": ours,
        "single_stream": theirs,
        "per_mille": ratio,
        **published_ratio(size),
    }


def _by_rates(value: float) -> Marked:
    return Marked(
        value,
        "By the measured rates: encoding grows with the images, ranking with their square; as "
        "many captions an image as in the test split.",
    )


def evaluation_at(images: int, evaluation: Mapping[str, Any]) -> float:
    """Return the seconds of a full evaluation of ``images`` by its linear and square parts."""
    factor, parts = images / evaluation["images"], evaluation["parts"]
    return float(factor * parts["encoding"] + factor**2 * parts["ranking"])


def published_ratio(images: int) -> dict[str, Value]:
    """Return what was published at this number of images, with its source."""
    unknown = Missing("Nothing is published at this number of images that we know of.")
    ending = PUBLISHED_SIZES.get(images)
    for row in published():
        timed = row["family"] == "dual-stream" and row["full_evaluation"]
        if ending and timed and row["dataset"].endswith(ending):
            return {
                "published": float(row["per_mille_of_single_stream"]),
                "source": f"{row['system']}: {row['full_evaluation']} of {_whole(row)} "
                f"({row['dataset']}, {row['setting']})",
            }
    return {"published": unknown, "source": "-"}


def _whole(row: Mapping[str, str]) -> str:
    """Return the published time of the same source's single-stream."""
    return next(
        other["full_evaluation"]
        for other in published()
        if other["source"] == row["source"] and other["family"] == "single-stream"
    )


def _growth_sentence(laws: Mapping[str, PowerLaw | None]) -> str:
    parts = [f"{_label(name)} {_words(law)}" for name, law in laws.items() if law is not None]
    text = "; ".join(parts) if parts else "fewer than two gallery sizes were measured"
    return f"Growth of a query's median time with the gallery: {text}."


def _words(law: PowerLaw) -> str:
    interval = "" if law.low is None else f" (95 % interval {law.low:.2f} to {law.high:.2f})"
    return f"exponent {law.exponent:.2f}{interval}, {law.local:.2f} between the last two sizes"


def _ratio_sentence(view: View) -> str:
    subject = "Full evaluation by gallery size (3/1000 of the one-stream inference time)"
    ours, theirs = view.one("efficiency", "cookie"), view.one("efficiency", "single_stream")
    if ours is None or theirs is None:
        return f"{subject}: this section lacks the speed of cookie and single_stream."
    full, reference = ours.values["full_evaluation"], theirs.values["full_evaluation"]
    ratios = [
        f"{significant(per_mille_at(size, full, reference))} per mille at {size:,} images"
        for size in PUBLISHED_SIZES
    ]
    size = gallery_for(CLAIMED_PER_MILLE, full, reference)
    passes = (
        f"it falls to {CLAIMED_PER_MILLE:g} per mille at no number of images"
        if size is None
        else f"it falls to {CLAIMED_PER_MILLE:g} per mille at about {significant(size)} images"
    )
    return (
        f"{subject}: by the measured rates COOKIE takes {' and '.join(ratios)} "
        f"of the single-stream's time; {passes}."
    )


def plot(views: Sequence[View]) -> Figure | None:
    """Return the median time of a query against the gallery size, one panel a section."""
    charts = [_chart(view) for view in views]
    drawn = [chart for chart in charts if chart.curves]
    if not drawn:
        return None
    return growth_figure(drawn, "images in the gallery", "median time of one text query, s")


def _chart(view: View) -> Chart:
    records, section = grown(view), view.section
    found = [(name, _medians(records, name)) for name in (*GROWING, SEARCH)]
    title = f"{section.preset}, {section.regime}, {section.hardware}"
    return Chart(title, tuple(_curve(name, points) for name, points in found if points))


def _curve(name: str, points: Sequence[tuple[int, float, bool]]) -> Curve:
    x, y, hollow = zip(*points, strict=True)
    label = f"{_label(name)}\n(hollow: extrapolated)" if any(hollow) else _label(name)
    return Curve(label, "x" if name == SEARCH else systems[name].marker, x, y, hollow)


register(
    Table(
        number="6",
        title="Growth of the gallery",
        cells=cells,
        has_rows=has_rows,
        block=block,
        plot=plot,
        tail=published_section,
        columns=(
            "**gallery**: images that one text query is asked against, from token ids to the best "
            "ten; random unit vectors for embeddings, repeated test images for a pair scorer.",
            "**search alone**: the exact search with the query's embedding at hand; **share of "
            "bandwidth**: of the time that copying the gallery's bytes at this machine's measured "
            "copy peak would take.",
            "**gallery, MiB**: what the gallery's embeddings or image states take; **peak RSS**: "
            "of a fresh process that draws the gallery and answers queries.",
            "**exponent**: of the power law through the medians that were measured in full "
            "(least squares of logarithms, Student's t interval).",
            "**‰, measured here** and **‰, published**: full evaluation relative to the "
            "single-stream's; other data and hardware in the published column.",
        ),
    )
)
