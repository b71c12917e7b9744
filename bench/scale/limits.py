"""What breaks first on the way to large sizes, with its figure."""

from __future__ import annotations

from bench.layout import Column, Grid, duration, scaled, significant
from bench.scale import arithmetic as sums
from bench.scale.plan import Plan


def limits(plan: Plan) -> Grid:
    """Return what breaks first, and what is to be used then."""
    asked, machine = plan.scenario, plan.reference
    encoding = machine.computing(asked.gallery * plan.cookie.image, asked) or 0.0
    rows = [
        (
            "activations of a large batch",
            "encoders' memory grows with the pairs of a process",
            "`train.micro_batch` (gradient caching), `torchrun`",
            "accelerate or FSDP where the weights themselves no longer fit",
        ),
        (
            "decoded images on one disk",
            f"{scaled(asked.pairs * sums.pixel_bytes(224), 'B')} as a memory map",
            "WebDataset shards are written, read in place and streamed",
            "webdataset's own loader, for shards behind a network",
        ),
        (
            "ties in half precision",
            f"{significant(sums.rivals(1_000_000, plan.width, 'bfloat16'))} rivals in bfloat16 "
            "at a million images",
            "scores in float32, close ones settled in float64",
            "float16 for the shortlist alone, then exact scores",
        ),
        (
            "one machine's memory",
            f"{significant(asked.memory * machine.memory / (4 * plan.width) / 1e6)} million rows "
            f"in float32 on {machine.name}",
            "memory-mapped galleries, read block by block by one process",
            "faiss IVF-PQ in memory; DiskANN with the vectors on solid-state disks",
        ),
        (
            "reading the gallery for every query",
            f"{duration(machine.reading(plan.half_bytes, asked))} of one machine",
            "exact top-k in batches; faiss `hnsw` and `ivf`",
            "faiss IVF-PQ or HNSW over several machines, a share of the gallery each",
        ),
        (
            "new weights make every index void",
            f"{significant(encoding / sums.HOUR)} hours of one machine to encode again",
            "`torchrun -m cookie encode`, a share of the images each",
            "the same, and both indexes kept until the new one is whole",
        ),
        (
            "logits of the whole batch",
            f"{scaled(sums.logit_bytes(65_536), 'B')} in each process at a batch of 65,536",
            "none: every process holds all logits",
            "open_clip's local loss, or a sigmoid loss in blocks",
        ),
    ]
    keys = ("limit", "figure", "here", "beyond")
    heads = ("limit", "figure", "this suite today", "turn to")
    columns = [Column(*pair, align="left") for pair in zip(keys, heads, strict=True)]
    return Grid(columns, [dict(zip(keys, row, strict=True)) for row in rows])
