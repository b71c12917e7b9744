"""Where a section's numbers come from, and what one must know before trusting them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bench.effort import OWN_PROCESS

if TYPE_CHECKING:
    from bench.findings.sections import View
    from bench.records import Record

REGIMES = {
    "scratch": "everything is trained from random weights",
    "frozen": "the pretrained encoders stay as they are, what stands on them is trained from "
    "cached features; speed is measured from pixels and token ids, encoders included",
    "finetune": "everything is trained, the pretrained encoders included",
}
MINILM = (
    "MiniLM-L6 was trained as a sentence encoder on Flickr30k and MSCOCO captions among others, "
    "so it is not neutral on captions of that kind."
)
FLICKR8K = (
    "929 of the 1,000 Flickr8k test photographs are also in Flickr30k: their captions (not the "
    "photographs) may have been seen by MiniLM-L6."
)
SCENES = (
    "`scenes` is generated: a test bed for the pipeline and for attribute binding, not a stand-in "
    "for photographs. Its pictures come in families that differ in one binding, and intervals draw "
    "pictures, not families: that of a single RSUM is about a sixth too narrow, those of "
    "differences are not (docs/data.md)."
)

TIMED = frozenset(
    {"efficiency", "evaluations", "latency", "load", "growth", "shortlist_speed", "cost"}
)
"""Kinds of cells whose results are times."""
SHARED = "while other processes were at work on the GPU and may be too long"


def title(view: View) -> str:
    """Return the heading of a section."""
    limit = "" if view.section.limit is None else f", first {view.section.limit} test images"
    return (
        f"Preset `{view.section.preset}` ({view.section.regime}) on "
        f"{view.newest.hardware['description']}{limit}"
    )


def facts(view: View) -> list[str]:
    """Return markdown list items that say what was run, on what, where."""
    newest = view.newest
    return [
        f"- data: {_data(newest)}",
        f"- preset: `{view.section.preset}`, regime `{view.section.regime}` "
        f"({REGIMES[view.section.regime]}); configuration `{newest.stamp.config_digest}`",
        f"- seeds: {', '.join(str(seed) for seed in seeds(view))} (speed: the first)",
        f"- hardware: {newest.hardware['description']}{_computed(view)}; "
        f"{_versions(newest.environment)}, {_threads(view.records)}",
        f"- commit: {_commits(view.records)}",
        f"- protocol: {_protocol(view)}",
    ]


def _computed(view: View) -> str:
    """Say what encoders compute in, where a record of the section tells."""
    parts = [p for record in view.records for p in (record.values, record.values.get("cost") or {})]
    found = sorted({part["precision"] for part in parts if "precision" in part})
    return f", encoders in {' and '.join(found)}" if found else ""


def seeds(view: View) -> list[int]:
    """Return the seeds of the section's records."""
    return sorted({record.cell.seed for record in view.records})


def _data(record: Record) -> str:
    counts = [
        f"{name} {split['images']:,} images and {split['captions']:,} captions"
        for name, split in record.dataset_facts["splits"].items()
    ]
    return f"{record.stamp.dataset}, {', '.join(counts)}; sha256 `{record.stamp.dataset_sha256}`"


def software(environment: Mapping[str, Any]) -> str:
    """Return the versions and threads of an environment in words."""
    return f"{_versions(environment)}, {_torch_threads(environment)} torch threads"


def _versions(environment: Mapping[str, Any]) -> str:
    torch = environment.get("packages", {}).get("torch")
    return f"Python {environment.get('python')}, torch {torch}"


def _torch_threads(environment: Mapping[str, Any]) -> str:
    return str(environment.get("threads", {}).get("torch", "unknown"))


def _threads(records: Sequence[Record]) -> str:
    """Say with how many threads times were taken, and the rest where that is another number."""
    timed, rest = (
        " or ".join(
            sorted({_torch_threads(r.environment) for r in records if (r.cell.kind in TIMED) is at})
        )
        for at in (True, False)
    )
    if not timed or not rest or timed == rest:
        return f"{timed or rest} torch threads"
    return f"{timed} torch threads where times were taken and {rest} elsewhere"


def _commits(records: Sequence[Record]) -> str:
    found = {commit_name(record.environment.get("commit") or {}) for record in records}
    return ", ".join(sorted(found))


def commit_name(commit: Mapping[str, Any]) -> str:
    """Return the short hash of a commit, and whether files differed from it."""
    if commit.get("sha") is None:
        return "unknown (not a git checkout)"
    return f"`{commit['sha'][:12]}`{' with local changes' if commit['dirty'] else ''}"


def _protocol(view: View) -> str:
    limit = view.section.limit
    images = "the whole test split" if limit is None else f"the first {limit:,} test images"
    return (
        f"{images} with all their captions; R@K is the share of queries with a right answer "
        f"among the first K; scores in float32; equal scores by gallery order{_processes(view)}"
    )


def _processes(view: View) -> str:
    """Say whose process cells were timed in; nothing where none was."""
    timed = [record for record in view.records if record.cell.kind in TIMED]
    alone = sum(record.stamp.protocol.get("process") == OWN_PROCESS for record in timed)
    if not timed:
        return ""
    share = "every cell" if alone == len(timed) else f"{alone} of {len(timed)} cells"
    return f"; {share} timed in a process of its own"


def remarks(view: View) -> list[str]:
    """Return contamination and other warnings that hold for the section."""
    newest = view.newest
    minilm = "minilm" in str(newest.config["text"]["weights"]).lower()
    known = [
        (newest.stamp.dataset == "scenes", SCENES),
        (minilm, MINILM),
        (minilm and newest.stamp.dataset == "flickr8k", FLICKR8K),
        ("efficientnet" in str(newest.config["vision"]["weights"]), _EFFICIENTNET),
        (view.stale > 0, f"{view.stale} older records with other settings or data are left out."),
        (view.section.preset == "smoke", _SMOKE),
        (_shared(view) > 0, f"Timings taken {SHARED}: {_shared(view)}."),
    ]
    failed = [f"- '{failure.cell}' could not be run: {failure.reason}" for failure in view.failures]
    return [f"- {text}" for holds, text in known if holds] + failed


def shares_gpu(record: Record) -> bool:
    """Return whether other processes were seen at work on the GPU before or after a cell."""
    states = [record.environment.get(when) or {} for when in ("before", "after")]
    return any((state.get("gpu_processes") or 0) > 1 for state in states)


def _shared(view: View) -> int:
    return sum(shares_gpu(record) for record in view.records if record.cell.kind in TIMED)


_EFFICIENTNET = "EfficientNet-lite0 was trained on ImageNet alone."
_SMOKE = "The `smoke` preset proves that the pipeline runs; its accuracy and verdicts say nothing."
