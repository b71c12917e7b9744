"""Table 6: latency, throughput and memory as the gallery grows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bench.findings.columns import PERCENTILES, SYSTEM, peak, percentile_columns, reached, share
from bench.findings.growth_laws import (
    EXPONENTS,
    SEARCH,
    grown,
    growth_finding,
    label,
    law,
    law_row,
    medians,
)
from bench.findings.scaling import RATIOS, ratio_finding, ratio_rows
from bench.layout import Column, Grid, Marked, Missing, Value, mebibytes, significant
from bench.plan import GROWING, cells_of
from bench.plots.curves import Chart, Curve, growth_figure
from bench.published import published_grid
from bench.records import EVERY_SYSTEM, Cell
from bench.systems import systems
from bench.tables import Block, Table, lay_out, register

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from bench.findings.sections import View
    from bench.records import Record

GALLERIES = (1_000, 10_000, 100_000, 1_000_000)
LARGE = (10_000_000,)
"""Measured with ``--variants``, in float16, in memory or on disk."""

GROWTH = (
    SYSTEM,
    Column("gallery", "gallery", lambda value: f"{value:,}"),
    *PERCENTILES,
    Column("per_mille", "‰ of single-stream", significant),
    Column("queries_per_second", "queries/s", significant),
    Column("batch_size", "at batch"),
    Column("gallery_bytes", "gallery, MiB", lambda value: significant(value / 2**20)),
    Column("peak_rss_bytes", "peak RSS, MiB", mebibytes),
    Column("allocated_bytes", "GPU allocated, MiB", mebibytes),
    Column("share_of_bandwidth", "share of bandwidth", share),
)


def cells(seeds: Sequence[int], variants: bool) -> list[Cell]:
    """Return the cells that the table needs; speed is measured for the first seed."""
    sizes = GALLERIES + (LARGE if variants else ())
    return [
        *cells_of(GROWING, seeds[:1], ("train",)),
        *cells_of(("cookie", "single_stream"), seeds, ("efficiency",)),
        *(Cell("growth", EVERY_SYSTEM, seeds[0], size) for size in sizes),
    ]


def has_rows(view: View) -> bool:
    """Whether any gallery size was measured."""
    return bool(grown(view))


def block(view: View) -> Block:
    """Lay out one section: queries by gallery size, exponents, full evaluations."""
    records = grown(view)
    rows = [row for record in records for row in _rows(record)]
    laws = {name: law(records, name) for name in (*GROWING, SEARCH)}
    grids = [
        Grid(GROWTH, rows, lead=f"The gallery: {_storage(records)}."),
        Grid(
            EXPONENTS,
            [law_row(*item) for item in laws.items()],
            "Growth of the median: time = factor x gallery ^ exponent",
        ),
    ]
    if ratios := ratio_rows(view, GALLERIES):
        grids.append(Grid(RATIOS, ratios, "Full evaluation by the number of images"))
    return lay_out(grids, rows, [growth_finding(laws), ratio_finding(view)])


def _rows(record: Record) -> list[dict[str, Value]]:
    values = record.values
    if "reason" in values:
        return [_unmeasured(name, record.cell.gallery, values["reason"]) for name in GROWING]
    found = [_row(name, values) for name in GROWING if name in values["systems"]]
    return [*found, _search_row(values)]


def _unmeasured(name: str, gallery: int, reason: str) -> dict[str, Value]:
    missing = dict.fromkeys((column.key for column in GROWTH), Missing(reason))
    return missing | {"system": label(name), "gallery": gallery}


def _row(name: str, values: Mapping[str, Any]) -> dict[str, Value]:
    found, rate = values["systems"][name], values["systems"][name]["throughput"]
    one = Missing("The ratio is to this row.")
    ratio = values["ratios"].get(name)
    return {
        "system": label(name),
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
    times = percentile_columns(found)
    return {key: _marked(time, extrapolated and key != "n") for key, time in times.items()}


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
    return {key: peak(memory[name]) for key, name in keys.items()}


def _search_row(values: Mapping[str, Any]) -> dict[str, Value]:
    found = values["search"]
    missing = Missing(
        "The search alone, of a query that is encoded already, is timed as one query."
    )
    part = found["share_of_bandwidth"]
    unknown = Missing("The bandwidth of the disk, or the copy peak of the memory, is not known.")
    keys = ("per_mille", "queries_per_second", "batch_size", "peak_rss_bytes", "allocated_bytes")
    return {
        "system": label(SEARCH),
        "gallery": values["gallery"],
        **_times(found, extrapolated=False),
        **dict.fromkeys(keys, missing),
        "gallery_bytes": found["gallery_bytes"],
        "share_of_bandwidth": unknown if part is None else reached(part),
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


def plot(views: Sequence[View]) -> Figure | None:
    """Return the median time of a query against the gallery size, one panel a section."""
    charts = [_chart(view) for view in views]
    drawn = [chart for chart in charts if chart.curves]
    if not drawn:
        return None
    return growth_figure(drawn, "images in the gallery", "median time of one text query, s")


def _chart(view: View) -> Chart:
    records = grown(view)
    found = [(name, medians(records, name)) for name in (*GROWING, SEARCH)]
    return Chart(view.section.name, tuple(_curve(name, points) for name, points in found if points))


def _curve(name: str, points: Sequence[tuple[int, float, bool]]) -> Curve:
    x, y, hollow = zip(*points, strict=True)
    title = f"{label(name)}\n(hollow: extrapolated)" if any(hollow) else label(name)
    return Curve(title, "x" if name == SEARCH else systems[name].marker, x, y, hollow)


register(
    Table(
        number="6",
        title="Growth of the gallery",
        cells=cells,
        has_rows=has_rows,
        block=block,
        plot=plot,
        appendix=lambda: [published_grid()],
        columns=(
            "**gallery**: images that one text query is asked against, from token ids to the best "
            "ten; random unit vectors for embeddings, repeated test images for a pair scorer.",
            "**search alone**: the exact search with the query's embedding at hand; **share of "
            "bandwidth**: of the time that copying the gallery's bytes at this machine's measured "
            "copy peak would take.",
            "**gallery, MiB**: what the gallery's embeddings or image states take; **peak RSS**: "
            "of a fresh process that draws the gallery and answers queries.",
            "**‰ of single-stream** by the gallery: the median over rounds of the ratio within a "
            "round, in which the systems answer in turn; so it is not the ratio of the two p50.",
            "**exponent**: of the power law through the medians that were measured in full "
            "(least squares of logarithms, Student's t interval).",
            "**‰, measured here** and **‰, published**: full evaluation relative to the "
            "single-stream's; other data and hardware in the published column.",
        ),
    )
)
