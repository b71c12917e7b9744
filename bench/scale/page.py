"""The page on what lies beyond one machine, from its gallery_tables."""

from __future__ import annotations

from bench.layout import Footnotes, Grid, markdown_table
from bench.scale import gallery_tables, training_tables
from bench.scale.limits import limits
from bench.scale.plan import Plan


def page(plan: Plan) -> str:
    """Return the markdown of ``docs/scale.md``."""
    notes = Footnotes()
    parts = ["# Past one machine", _head(plan)]
    for heading, lead, grid in _sections(plan):
        parts += [f"## {heading}", lead, markdown_table(grid.columns, grid.rows, notes)]
    return "\n\n".join([*parts, "\n".join(notes.lines())]) + "\n"


def _head(plan: Plan) -> str:
    asked = plan.scenario
    return (
        f"What training on {asked.pairs:,} pairs and searching {asked.gallery:,} images would "
        "take. **Nothing on this page was run at that size**: `python -m bench.scale` counts the "
        "FLOPs of both architectures by running them on one image and one caption of "
        f"{asked.tokens} tokens, and divides by peaks that are measured or published, marked as "
        "such. Everything else is arithmetic.\n\n"
        "Assumed, and to be changed by flags:\n\n"
        f"- {asked.utilization:.0%} of the peak of matrix products is reached, and "
        f"{asked.bandwidth:.0%} of the memory's peak by a scan;\n"
        f"- a gallery may fill {asked.memory:.0%} of a machine's memory;\n"
        f"- a training step costs three times its forward pass;\n"
        f"- a JPEG has {asked.image_bytes:,} bytes (Flickr8k's mean at 224 pixels a side), a "
        f"caption {asked.caption_bytes}.\n\n"
        "Left out: decoding images, waiting for the network, starting kernels, restarts. So hours "
        "and seconds are the least that one should plan for. Bytes are decimal (1 GB = 10^9)."
    )


def _sections(plan: Plan) -> list[tuple[str, str, Grid]]:
    return [
        ("Machines", _MACHINES, training_tables.machines(plan)),
        ("Architectures", _WORK, training_tables.work(plan)),
        ("Hours of training", _training(plan), training_tables.training(plan)),
        ("The images on disk", _STORAGE, training_tables.storage(plan)),
        ("The contrastive batch", _BATCH, training_tables.batches(plan)),
        ("The gallery in memory", _GALLERY, gallery_tables.gallery(plan)),
        ("One query", _query(plan), gallery_tables.queries(plan)),
        ("Two stages", _two_stage(plan), gallery_tables.two_stage(plan)),
        ("By gallery size", _ratios(plan), gallery_tables.ratios(plan)),
        ("Ties", _TIES, gallery_tables.ties(plan)),
        ("What breaks first", _LIMITS, limits(plan)),
    ]


_MACHINES = (
    "Measured peaks are of this suite's own matrix product and copy (read and written bytes "
    "together); published ones are their makers' and were not measured here."
)
_WORK = (
    "The single-stream reads an image's tokens and the words together, so its joint layers run for "
    "every pair. In training COOKIE encodes two views of each image and caption; the single-stream "
    "sends each positive that it looks at, and its hard negatives, through the joint layers."
)
_STORAGE = (
    "Shards are streamed in order and shuffled within a buffer; the memory map is decoded once and "
    "read at random."
)
_BATCH = (
    "Each process holds the logits of the whole batch once the embeddings are gathered. The "
    "gradients take as much again, and `train.micro_batch` does not lower either: it bounds the "
    "activations of the encoders."
)
_GALLERY = (
    "How many machines hold it. float16 and int8 halve and quarter the exact gallery; a product "
    "quantizer keeps a code and a number of each row, and finds most neighbors, not all."
)
_TIES = (
    "How many other images are expected within one step of the number format around the tenth best "
    "score, for random unit vectors. A trained model's scores lie closer together at the top. "
    "From about one on, the order of rows decides a rank and no longer the scores; exact search "
    "here settles close scores in float64, whatever the gallery is stored in."
)
_LIMITS = "In the order in which they are met, with what is there today and what to turn to then."


def _training(plan: Plan) -> str:
    return (
        f"Hours of one machine for {plan.scenario.pairs:,} pairs an epoch; over N machines a share "
        "of them each, plus what the exchange of gradients takes."
    )


def _query(plan: Plan) -> str:
    return (
        "A single query of COOKIE reads the whole gallery and computes next to nothing, so memory "
        "is the limit; large batches share the reading, and products become the limit. The "
        f"single-stream scores {plan.scenario.gallery:,} pairs a query. Hours are of one machine."
    )


def _two_stage(plan: Plan) -> str:
    return (
        f"Machine seconds on {plan.reference.name}: COOKIE reads the float16 gallery of "
        f"{plan.scenario.gallery:,} images, the single-stream scores the shortlist."
    )


def _ratios(plan: Plan) -> str:
    return (
        f"Machine seconds of a text query on {plan.reference.name}, images encoded before; the "
        "gallery is read in float32. The full evaluation (five captions an image, all encoding "
        "included) compares FLOPs. The abstract claims 3 ‰ without saying for how many images: the "
        "ratio is no constant, and falls until reading a row is all that is left to COOKIE."
    )
