"""The systems a table can have as rows, how each is built, and what each needs.

Adding a system is one :func:`register` call. Building imports models, so builders import late.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from bench.records import Kind
from cookie.registry import Registry

if TYPE_CHECKING:
    from torch import nn

    from cookie.config import Config

Family = Literal["floor", "dual", "pair", "two-stage"]
Builder = Callable[["Config", int], "nn.Module"]
Settings = Callable[["Config"], "Config"]
UNIMODAL: tuple[Kind, ...] = ("images", "texts")
"""Cells that only exist for two encoders: what one of them finds without the other."""
SHORTLIST = 16
"""Candidates that the two-stage system re-ranks, as in the published re-ranker LoopITR."""

COMPILED = (
    "The same weights as {} and so the same accuracy; forward passes are compiled (torch.compile),"
    " and what compiling takes is in none of the times. Its ‰ is of the compiled single-stream's."
)


def unchanged(config: Config) -> Config:
    """Return the preset's settings as they are."""
    return config


def all_hinges(config: Config) -> Config:
    """Return settings whose triplet loss takes all negatives of a batch."""
    return replace(config, loss=replace(config.loss, triplet_negatives="all"))


@dataclass(frozen=True, slots=True)
class System:
    """One row.

    Attributes:
        name: in records and on the command line. label: in reports.
        family: how it scores; decides how it is evaluated and timed.
        marker: matplotlib marker; together with the label it identifies a point without color.
        build: returns the untrained module, or None when nothing is trained for this row.
        parts: the trained systems that it is made of; itself alone for most.
        kinds: the kinds of cells that exist for it.
        cached: whether what depends on one modality is computed once; the naive loop does not.
        compiled: whether its forward passes are compiled; the same model and numbers otherwise.
        note: footnote for its rows, or "".
        settings: the preset's settings to this system's.
        variant: whether it only exists to be compared, in the ablation or at another budget.
        train_share: of the training images, the first ones, that it is trained on; above 1, where
            the data set can be made larger, all of them and more.
        pretraining: the preset's settings to those of a stage before, with a corpus of its own;
            None for one stage.
        pretrained_text: whether it only exists where the preset's text encoder is pretrained.
        start: the row whose best weights of the same seed its training begins with; it only
            exists where that row keeps its encoders frozen. "" for none.
    """

    name: str
    label: str
    family: Family
    marker: str = ""
    build: Builder | None = None
    parts: tuple[str, ...] = ()
    kinds: tuple[Kind, ...] = ("train", "accuracy", "efficiency", "latency", "load")
    cached: bool = True
    compiled: bool = False
    note: str = ""
    settings: Settings = unchanged
    variant: bool = False
    train_share: float = 1.0
    pretraining: Settings | None = None
    pretrained_text: bool = False
    start: str = ""

    def suits(self, config: Config) -> bool:
        """Whether the system exists under a preset's settings."""
        if self.compiled and config.preset == "smoke":
            return False  # compiling would take most of its time, and it measures nothing
        if self.train_share < 0.25 and config.preset == "smoke":
            return False  # its few images would not fill a batch
        if self.start and config.regime != "frozen":
            return False
        return config.text.weights != "none" or not self.pretrained_text


def changes(preset: Config, config: Config) -> dict[str, Any]:
    """Return ``part.field`` -> value of every setting in which ``config`` is not ``preset``."""
    before, after = preset.to_dict(), config.to_dict()
    parts = {name: value for name, value in after.items() if isinstance(value, dict)}
    regime = {} if config.regime == preset.regime else {"regime": config.regime}
    return regime | {
        f"{part}.{name}": value
        for part, fields in parts.items()
        for name, value in fields.items()
        if value != before[part][name]
    }


systems: Registry[System] = Registry("system")


def suits(name: str, config: Config) -> bool:
    """Whether cells of the system, or of all systems, exist under a preset's settings."""
    return name not in systems or systems[name].suits(config)


def register(system: System) -> System:
    """Make ``system`` available under its name."""
    return systems.register(system.name)(system)


def compiled_name(name: str) -> str:
    """Return the name of the row that is the system ``name``, compiled."""
    return f"{name}_compiled"


def _register_compiled(name: str, marker: str, *, called: str) -> None:
    """Register the compiled row of a system; ``called`` is what a sentence calls the system."""
    plain = systems[name]
    register(
        replace(
            plain,
            name=compiled_name(name),
            label=f"{plain.label}, compiled",
            marker=marker,
            build=None,
            kinds=("efficiency", "evaluations", "latency", "load"),
            compiled=True,
            note=COMPILED.format(called),
        )
    )


def _cookie(config: Config, vocabulary_size: int) -> nn.Module:
    from cookie.model import Cookie

    return Cookie(config, vocabulary_size)


def _dual_stream(config: Config, vocabulary_size: int) -> nn.Module:
    from baselines.dual_stream import DualStream

    return DualStream(config, vocabulary_size, loss="infonce")


def _dual_stream_triplet(config: Config, vocabulary_size: int) -> nn.Module:
    from baselines.dual_stream import DualStream

    return DualStream(config, vocabulary_size, loss="triplet")


def _single_stream(config: Config, vocabulary_size: int) -> nn.Module:
    from baselines.single_stream import SingleStream

    return SingleStream(config, vocabulary_size)


register(
    System(
        name="ridge_floor",
        label="ridge floor",
        family="floor",
        marker="x",
        kinds=("accuracy",),
        note="The floor is a closed-form regression between frozen features; it is there to be "
        "cleared, and its speed is not measured.",
    )
)
register(
    System(
        name="dual_stream",
        label="dual-stream",
        family="dual",
        marker="o",
        build=_dual_stream,
        parts=("dual_stream",),
        kinds=("train", "accuracy", *UNIMODAL, "efficiency", "latency", "load"),
    )
)
register(
    System(
        name="dual_stream_triplet",
        label="dual-stream, triplet loss",
        family="dual",
        marker="v",
        build=_dual_stream_triplet,
        parts=("dual_stream_triplet",),
        settings=all_hinges,
        kinds=("train", "accuracy", *UNIMODAL),
        note="Same architecture as the dual-stream, so the same speed; not measured twice. The "
        "hinge is on all negatives of the batch: on the hardest alone, from the start or after a "
        "quarter or a half of the steps, validation was worse at this budget.",
    )
)
register(
    System(
        name="cookie",
        label="COOKIE",
        family="dual",
        marker="*",
        build=_cookie,
        parts=("cookie",),
        kinds=("train", "accuracy", *UNIMODAL, "efficiency", "evaluations", "latency", "load"),
    )
)
_register_compiled("cookie", ">", called="COOKIE")
register(
    System(
        name="single_stream",
        label="single-stream",
        family="pair",
        marker="s",
        build=_single_stream,
        parts=("single_stream",),
        kinds=("train", "accuracy", "efficiency", "evaluations", "latency", "load"),
        note="A pair's score is the logit of the joint layers plus a multiple (of the "
        "preset) of the logit of the contrastive loss on their inputs, which also finds the hard "
        "negatives of training.",
    )
)
_register_compiled("single_stream", "<", called="the single-stream")
register(
    System(
        name="single_stream_naive",
        label="single-stream, naive loop",
        family="pair",
        marker="D",
        parts=("single_stream",),
        kinds=("efficiency",),
        cached=False,
        note="The same weights as the single-stream and so the same accuracy; nothing is cached "
        "and each pair is scored alone, as a first implementation would.",
    )
)
register(
    System(
        name="two_stage",
        label=f"COOKIE, top {SHORTLIST} re-ranked",
        family="two-stage",
        marker="^",
        parts=("cookie", "single_stream"),
        kinds=("accuracy", "efficiency", "latency", "load"),
        note=f"COOKIE makes a shortlist of {SHORTLIST}; the single-stream re-ranks it.",
    )
)

RANDOM = "Random weights: its cost is measured, its accuracy means nothing."
_REAL_SIZE: tuple[tuple[str, str, Family, str], ...] = (
    ("open_clip", "CLIP ViT-B/32 (open_clip)", "dual", "P"),
    ("transformers_clip", "CLIP ViT-B/32 (transformers)", "dual", "p"),
    ("cookie_paper", "COOKIE, preset paper", "dual", "X"),
    ("vilt", "ViLT-B/32", "pair", "h"),
    ("blip_itm", "BLIP-ITM base", "pair", "H"),
    ("single_stream_paper", "single-stream of UNITER-base size, preset paper", "pair", "d"),
)
for _name, _label, _family, _marker in _REAL_SIZE:
    register(System(_name, _label, _family, _marker, kinds=("cost",), note=RANDOM))
