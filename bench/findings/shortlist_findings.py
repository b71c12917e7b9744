"""From which shortlist length on re-ranking is as the single-stream, and betters COOKIE."""

from __future__ import annotations

from collections.abc import Sequence

from bench.findings.differences import Difference
from bench.findings.inference_time import per_mille
from bench.findings.shortlist_evidence import ALONE, WHOLE, Sweep
from bench.findings.verdicts import Finding
from bench.layout import duration, significant


def shortlist_findings(sweep: Sweep) -> list[Finding]:
    """Return where re-ranking is not told from the single-stream, and where it betters COOKIE."""
    return [_closeness(sweep), _gain(sweep)]


def _closeness(sweep: Sweep) -> Finding:
    subject = "Re-ranking against the single-stream"
    steps = sweep.names[1:-1]
    close = [name for name in steps if not _differs_later(sweep, name, steps)]
    if not close:
        last = sweep.against_whole[steps[-1]]
        return Finding(subject, f"at k = {steps[-1]} it can still be told from it; {_words(last)}.")
    first = close[0]
    found = _words(sweep.against_whole[first])
    return Finding(
        subject,
        f"no difference from the whole single-stream can be told from k = {first} on "
        f"({found}){_cost(sweep, first)}.",
    )


def _differs_later(sweep: Sweep, name: str, steps: Sequence[str]) -> bool:
    later = steps[steps.index(name) :]
    return any(sweep.against_whole[step].significant for step in later)


def _gain(sweep: Sweep) -> Finding:
    subject = "Re-ranking against COOKIE alone"
    steps = sweep.names[1:-1]
    better = [name for name in steps if _sign(sweep, name) > 0]
    worse = [name for name in steps if _sign(sweep, name) < 0]
    best = max(steps, key=lambda name: sweep.against_alone[name].value)
    tail = f"; worse at k = {', '.join(worse)}" if worse else ""
    if better:
        first = better[0]
        words = _words(sweep.against_alone[first])
        return Finding(
            subject,
            f"statistically better from k = {first} ({words}){_cost(sweep, first)}; largest gain "
            f"at k = {best} ({sweep.against_alone[best].value:+.1f}){tail}.",
        )
    words = _words(sweep.against_alone[best])
    return Finding(
        subject,
        f"statistically better at no k; best at k = {best} ({words}){_cost(sweep, best)}{tail}.",
    )


def _sign(sweep: Sweep, name: str) -> int:
    found = sweep.against_alone[name]
    return 0 if not found.significant else 1 if found.value > 0 else -1


def _cost(sweep: Sweep, name: str) -> str:
    """Return what a query and the full evaluation take, beside the end points."""
    parts = []
    if sweep.speed is not None:
        times = sweep.speed.values["systems"]
        here, alone, whole = (duration(times[key]["p50"]) for key in (name, ALONE, WHOLE))
        parts.append(
            f"a query takes {here} (COOKIE alone {alone}, the single-stream alone {whole})"
        )
    full, reference = sweep.full_evaluation(name), sweep.full_evaluation(WHOLE)
    if full is not None and reference is not None:
        ratio = per_mille(full, reference).value
        parts.append(
            f"the full evaluation {duration(full['seconds'])}, {significant(ratio)} per mille "
            "of the single-stream's"
        )
    return ", at a cost: " + " and ".join(parts) if parts else ""


def _words(found: Difference) -> str:
    return (
        f"RSUM {found.value:+.1f}, 95 % interval {found.low:+.1f} to {found.high:+.1f}, "
        f"the same {found.queries['i2t']:,} image and {found.queries['t2i']:,} text queries"
    )
