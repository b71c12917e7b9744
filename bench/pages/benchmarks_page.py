"""A markdown page of benchmarks: ``python -m bench.report --benchmarks FILE``.

One table a group, ratios in a table of their own, and the state that the machine was in.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from bench.layout import (
    Column,
    Footnotes,
    Marked,
    Missing,
    Row,
    Value,
    duration,
    fixed,
    markdown_table,
    significant,
)
from bench.measure.percentiles import SHOWN, SMALLEST_INTERVAL, name, required_samples
from bench.pages.benchmark_file import Benchmark, BenchmarkRun, Ratio, Span, read_benchmarks
from bench.pages.provenance import commit_name, software
from bench.records import write_text

TIMES = (
    Column("benchmark", "benchmark", align="left"),
    Column("device", "device", align="left"),
    Column("samples", "n"),
    Column("p50", "median", duration),
    Column("interval", "its 95 % interval"),
    *(Column(name(share), name(share), duration) for share in SHOWN[1:]),
    Column("kernel", "kernel median", duration),
    Column("first", "first call", duration),
    Column("rate", "items/s", significant),
    Column("share", "share of peak", lambda share: f"{100 * share:.0f} %"),
    Column("load", "load before, after"),
    Column("remarks", "noted", align="left"),
)
RATIOS = (
    Column("benchmark", "benchmark", align="left"),
    Column("rival", "in turns with", align="left"),
    Column("ratio", "times as long", fixed(2)),
    Column("interval", "95 % interval"),
    Column("rounds", "rounds"),
)
_GIBIBYTE = 2**30


def render_benchmarks(path: Path) -> Path:
    """Write the page of the benchmarks in ``path`` beside it; return where.

    Raises:
        DataError: ``path`` is not what ``pytest bench/ --benchmark-json`` writes.
    """
    run = read_benchmarks(path)
    target = path.with_suffix(".md")
    write_text(target, page(run, path.name))
    return target


def page(run: BenchmarkRun, source: str) -> str:
    """Return the markdown of a run whose file is called ``source``."""
    groups = defaultdict[str, list[Benchmark]](list)
    for benchmark in run.benchmarks:
        groups[benchmark.group].append(benchmark)
    notes = Footnotes()
    parts = [part for group, members in groups.items() for part in _group(group, members, notes)]
    footnotes = ["\n".join(notes.lines())] if notes.reasons else []
    return "\n\n".join([_head(source), _machine(run), *parts, *footnotes]) + "\n"


def _head(source: str) -> str:
    needed = ", ".join(f"{name(share)} {required_samples(share)}" for share in SHOWN[1:])
    return (
        f"# Benchmarks\n\nRendered from `{source}`. Times are of single calls, from an idle device "
        f"to an idle device, warmed up. A percentile needs samples: {needed}. *Times as long* is "
        "the median over rounds in which both were timed in turn: below 1 the benchmark is the "
        "faster one. *Share of peak*: useful FLOPs a second against the fastest matrix product "
        "measured here in the precision of the benchmark."
    )


def _machine(run: BenchmarkRun) -> str:
    machine = run.machine
    gpu = "" if machine["gpu"] is None else f"{machine['gpu']}, "
    memory = f"{machine['memory_bytes'] / _GIBIBYTE:.1f} GiB"
    lines = [
        f"- hardware: {gpu}{machine['cores']} cores of {machine['cpu']}, {memory}",
        f"- software: {software(machine)}",
        f"- commit: {commit_name(machine['commit'])}",
        f"- state: {_state(run.benchmarks)}",
    ]
    return "\n".join(["## Machine", "", *lines, *_warnings(run)])


def _state(benchmarks: Sequence[Benchmark]) -> str:
    """Say the range of each thing that changes, over all benchmarks, before and after."""
    free = min(_states(benchmarks, "available_bytes")) / _GIBIBYTE
    ranges = [
        _range("1-minute load", _states(benchmarks, "load"), "{:.1f}"),
        _range("CPU clock", _states(benchmarks, "cpu_mhz"), "{:.0f} MHz"),
        _range("GPU clock", _states(benchmarks, "gpu_mhz"), "{:.0f} MHz"),
        f"at least {free:.1f} GiB of memory free",
    ]
    return "; ".join(part for part in ranges if part)


def _states(benchmarks: Iterable[Benchmark], key: str) -> list[Any]:
    found = [state[key] for benchmark in benchmarks for state in benchmark.states]
    return [value for value in found if value is not None]


def _range(what: str, values: Sequence[float], form: str) -> str:
    if not values:
        return ""
    low, high = form.format(min(values)), form.format(max(values))
    return f"{what} {low}" if low == high else f"{what} {low} to {high}"


def _warnings(run: BenchmarkRun) -> list[str]:
    load, cores = max(_states(run.benchmarks, "load"), default=0.0), run.machine["cores"]
    if load <= cores:
        return []
    return [
        f"- **not a quiet machine**: the load reached {load:.1f} on {cores} cores, so times may be "
        "too long and rates too low; ratios, timed in turns, suffer less"
    ]


def _group(group: str, members: Sequence[Benchmark], notes: Footnotes) -> list[str]:
    rows = [_times(member) for member in members]
    ratios = [_ratio(member, ratio) for member in members for ratio in member.ratios]
    tables = [
        markdown_table(_shown(columns, part), part, notes)
        for columns, part in ((TIMES, rows), (RATIOS, ratios))
        if part
    ]
    return [f"## {group[:1].upper()}{group[1:]}", *tables]


def _shown(columns: Sequence[Column], rows: Sequence[Row]) -> list[Column]:
    """Return the columns in which a row has a value, and those that always say why not."""

    def empty(key: str) -> bool:
        return all(isinstance(row[key], Missing) or row[key] == "" for row in rows)

    return [column for column in columns if column.key == "interval" or not empty(column.key)]


def _times(benchmark: Benchmark) -> Row:
    return {
        "benchmark": _cell(benchmark.name),
        "device": benchmark.device,
        "samples": benchmark.samples,
        **{key: _percentile(key, value) for key, value in benchmark.percentiles.items()},
        "interval": _interval(benchmark.interval, "samples", duration),
        "kernel": _value(benchmark.kernel, "The CPU has no kernel times."),
        "first": benchmark.first,
        "rate": benchmark.rate,
        "share": _value(benchmark.share, "The useful FLOPs are not counted for this one."),
        "load": _load(benchmark),
        "remarks": _remarks(benchmark),
    }


def _percentile(key: str, value: float | None) -> Value:
    share = {name(share): share for share in SHOWN}[key]
    return _value(value, f"{key} needs {required_samples(share)} samples.")


def _value(value: float | None, reason: str) -> Value:
    return Missing(reason) if value is None else value


def _interval(span: Span | None, what: str, form: Any) -> Value:  # noqa: ANN401 -- a writer
    if span is None:
        return Missing(f"An interval needs {SMALLEST_INTERVAL} {what}.")
    return f"{form(span[0])} to {form(span[1])}"


def _load(benchmark: Benchmark) -> Value:
    loads = _states([benchmark], "load")
    shown = (
        Missing("This system tells no load.")
        if not loads
        else ", ".join(f"{load:.1f}" for load in loads)
    )
    throttled = sorted({reason for state in benchmark.states for reason in state["throttled"]})
    remark = f"The GPU's clock was held back: {', '.join(throttled)}."
    return Marked(shown, remark) if throttled else shown


def _remarks(benchmark: Benchmark) -> str:
    text = "; ".join(
        f"{key.replace('_', ' ')} {_plain(value)}" for key, value in benchmark.remarks.items()
    )
    return _cell(text)


def _plain(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(_plain(each) for each in value)
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _cell(text: str) -> str:
    """Return ``text`` so that it stays inside its cell."""
    return " ".join(text.replace("|", "\\|").split())


def _ratio(benchmark: Benchmark, ratio: Ratio) -> Row:
    return {
        "benchmark": _cell(benchmark.name),
        "rival": _cell(ratio.rival),
        "ratio": ratio.median,
        "interval": _interval(ratio.interval, "rounds", fixed(2)),
        "rounds": ratio.rounds,
    }
