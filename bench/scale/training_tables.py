"""Tables on pre-training: machines, architectures, hours, images on disk, batches."""

from __future__ import annotations

from bench.layout import Column, Grid, Marked, Missing, Value, scaled, significant
from bench.scale import arithmetic as sums
from bench.scale.machines import Machine
from bench.scale.plan import Plan, flop, known, number, size, times
from cookie.presets import preset

BATCHES = (256, 1_024, 4_096, 16_384, 65_536)


def machines(plan: Plan) -> Grid:
    """The peaks that everything is divided by."""
    columns = (
        Column("name", "machine", align="left"),
        Column("flops", "bf16 products", lambda value: scaled(value, "FLOP/s")),
        Column("bandwidth", "memory", lambda value: scaled(value, "B/s")),
        Column("memory", "size", size),
        Column("source", "source", align="left"),
    )
    rows = [
        {
            "name": machine.name,
            "flops": _peak(machine),
            "bandwidth": machine.bytes_a_second,
            "memory": machine.memory,
            "source": machine.source,
        }
        for machine in plan.machines
    ]
    return Grid(columns, rows)


def _peak(machine: Machine) -> Value:
    if machine.precision == "bfloat16":
        return known(machine.flops)
    return Marked(machine.flops, f"In {machine.precision}: bfloat16 is emulated there.")


def work(plan: Plan) -> Grid:
    """What the two architectures compute and keep."""
    flops = {"image": "an image", "caption": "a caption", "pair": "a pair"}
    columns = (
        Column("name", "architecture", align="left"),
        Column("parameters", "parameters", lambda value: scaled(value, "").strip()),
        *(Column(key, f"FLOPs of {what}", flop) for key, what in flops.items()),
        Column("training", "FLOPs of a training pair", flop),
        Column("kept", "kept of an image", size),
    )
    named = {"COOKIE, preset `paper`": plan.cookie, "single-stream of that size": plan.single}
    rows = [
        {
            "name": name,
            "parameters": each.parameters,
            "image": each.image,
            "caption": each.caption or Missing("Word vectors alone are read, no product."),
            "pair": each.pair or Missing("Images and captions never meet in the network."),
            "training": each.training,
            "kept": each.kept,
        }
        for name, each in named.items()
    ]
    return Grid(columns, rows)


def training(plan: Plan) -> Grid:
    """Hours of one machine for some epochs."""
    epochs = plan.scenario.epochs
    systems = {"cookie": plan.cookie, "single": plan.single}
    heads = {"cookie": "COOKIE", "single": "single-stream"}
    columns = (
        Column("name", "machine", align="left"),
        *(
            Column(f"{key}{count}", f"{head}, {times(count)}", significant)
            for key, head in heads.items()
            for count in epochs
        ),
    )
    rows = [
        {"name": machine.name}
        | {
            f"{key}{count}": known(sums.training_hours(each, machine, count, plan.scenario))
            for key, each in systems.items()
            for count in epochs
        }
        for machine in plan.machines
        if machine.flops
    ]
    return Grid(columns, rows)


def storage(plan: Plan) -> Grid:
    """Bytes of the training images, and what feeding a GPU takes."""
    asked, reference = plan.scenario, plan.reference
    seconds = reference.computing(plan.cookie.training, asked)
    assert seconds is not None
    pixels = sums.pixel_bytes(preset("paper").vision.image_size)
    columns = (
        Column("name", "kept as", align="left"),
        Column("each", "a pair", size),
        Column("all", "all pairs", size),
        Column("rate", f"read for one {reference.name}", lambda value: scaled(value, "B/s")),
    )
    kept = {
        "WebDataset shards (JPEG and text)": sums.shard_bytes(asked) / asked.pairs,
        "uint8 memory map": pixels,
    }
    rows = [
        {"name": name, "each": each, "all": asked.pairs * each, "rate": each / seconds}
        for name, each in kept.items()
    ]
    return Grid(columns, rows)


def batches(plan: Plan) -> Grid:
    """What a larger contrastive batch takes."""
    columns = (
        Column("batch", "batch", number),
        Column("steps", "steps an epoch", number),
        Column("logits", "logits of the three losses", size),
        Column("share", "losses' share of the FLOPs", lambda value: f"{100 * value:.2g} %"),
    )
    rows = [
        {
            "batch": batch,
            "steps": plan.scenario.pairs // batch,
            "logits": sums.logit_bytes(batch),
            "share": sums.loss_share(plan.cookie, batch, plan.width),
        }
        for batch in BATCHES
    ]
    return Grid(columns, rows)
