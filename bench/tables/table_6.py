"""Table 6: latency, throughput and memory as the gallery grows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

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
from bench.published import published_section
from bench.records import EVERY_SYSTEM, Cell
from bench.scaling import RATIOS, ratio_rows, ratio_sentence
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
    Column("exponent", "exponent", lambda value: f"{value:z.2f}"),
    Column("interval", "95 % interval"),
    Column("local", "between the last two", lambda value: f"{value:z.2f}"),
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
    ratios = ratio_rows(view, GALLERIES)
    parts = [
        markdown_table(GROWTH, rows, footnotes),
        f"The gallery: {_storage(records)}.",
        "#### Growth of the median: time = factor x gallery ^ exponent",
        markdown_table(EXPONENTS, [_law_row(*item) for item in laws.items()], footnotes),
        "#### Full evaluation by the number of images",
        markdown_table(RATIOS, ratios, footnotes) if ratios else _NO_RATIOS,
        "\n".join(footnotes.lines()),
    ]
    sentences = [_growth_sentence(laws), ratio_sentence(view)]
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
    points = [(size, p50) for size, p50, hollow in _medians(alike, name) if not hollow]
    return fit_power_law([size for size, _ in points], [p50 for _, p50 in points])


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
        "interval": few if law.low is None else f"{law.low:z.2f} to {law.high:z.2f}",
        "local": law.local,
    }


def _growth_sentence(laws: Mapping[str, PowerLaw | None]) -> str:
    parts = [f"{_label(name)} {_words(law)}" for name, law in laws.items() if law is not None]
    text = "; ".join(parts) if parts else "fewer than two gallery sizes were measured"
    return f"Growth of a query's median time with the gallery: {text}."


def _words(law: PowerLaw) -> str:
    interval = "" if law.low is None else f" (95 % interval {law.low:z.2f} to {law.high:z.2f})"
    return f"exponent {law.exponent:z.2f}{interval}, {law.local:z.2f} between the last two sizes"


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
