"""MLPerf's load generator (package ``mlcommons-loadgen``): a second opinion on our timer."""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.measure.timer import Run

SHARES = (0.5, 0.9, 0.95, 0.99)


@dataclass(frozen=True, slots=True)
class LoadgenResult:
    """What the generator reports of one run, in seconds.

    Attributes:
        queries: how many it issued.
        percentiles: share -> latency.
    """

    queries: int
    least: float
    most: float
    mean: float
    percentiles: dict[float, float]


def single_stream(run: Run, queries: int, folder: Path) -> LoadgenResult:
    """Let the generator issue ``queries`` calls of ``run``, each when the last has ended.

    Its scenario SingleStream, and like our closed loop with one client. ``run`` must not return
    before its work is done.

    Args:
        run: the work.
        queries: how many.
        folder: where the generator writes its logs.

    Raises:
        ImportError: the package is not installed.
    """
    generator = importlib.import_module("mlperf_loadgen")
    issued = 0

    def issue(samples: list[Any]) -> None:
        nonlocal issued
        for sample in samples:
            run()
            issued += 1
            generator.QuerySamplesComplete([generator.QuerySampleResponse(sample.id, 0, 0)])

    system = generator.ConstructSUT(issue, lambda: None)
    library = generator.ConstructQSL(1, 1, lambda _: None, lambda _: None)
    try:
        settings, log = _settings(generator, queries), _log(generator, folder)
        generator.StartTestWithLogSettings(system, library, settings, log)
    finally:
        generator.DestroyQSL(library)
        generator.DestroySUT(system)
    return _parse((folder / "mlperf_log_summary.txt").read_text(), issued)


def _settings(generator: Any, queries: int) -> Any:  # noqa: ANN401 -- an untyped library
    settings = generator.TestSettings()
    settings.scenario = generator.TestScenario.SingleStream
    settings.mode = generator.TestMode.PerformanceOnly
    settings.min_query_count = settings.max_query_count = queries
    settings.min_duration_ms = 0
    return settings


def _log(generator: Any, folder: Path) -> Any:  # noqa: ANN401 -- an untyped library
    log, output = generator.LogSettings(), generator.LogOutputSettings()
    output.outdir, output.copy_summary_to_stdout = str(folder), False
    log.log_output, log.enable_trace = output, False
    return log


def _parse(text: str, queries: int) -> LoadgenResult:
    """Read the summary's lines, nanoseconds behind a colon."""

    def seconds(label: str) -> float:
        found = re.search(rf"^{re.escape(label)}\s*:\s*(\d+)$", text, flags=re.MULTILINE)
        if found is None:
            raise ValueError(f"the load generator's summary has no '{label}'")
        return int(found.group(1)) * 1e-9

    return LoadgenResult(
        queries,
        least=seconds("Min latency (ns)"),
        most=seconds("Max latency (ns)"),
        mean=seconds("Mean latency (ns)"),
        percentiles={
            share: seconds(f"{share * 100:.2f} percentile latency (ns)") for share in SHARES
        },
    )
