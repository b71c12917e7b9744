"""How long cells will take: as long as last time, else a rough count of their arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from statistics import median
from typing import Literal, assert_never

from bench.effort import growth_effort_of, load_effort_of, turns_effort_of
from bench.measure.peaks import matmul_peak
from bench.plan import timed_in_turns
from bench.records import Cell, Record, read
from bench.running.choice import Estimate
from bench.running.runner import Runner
from bench.systems import Family, systems
from cookie.config import Config
from cookie.errors import DataError
from cookie.training.precision import computing_dtype

REACHED = 0.2
"""Share of the matrix product peak that training and scoring are taken to reach."""
CAPTION_TOKENS = 14
SENTENCES = 35_000
"""Of the rated pairs and paraphrases of text matching, about."""
VALUES_A_SECOND = 1e8
"""Normal variates that a core draws."""
START_SECONDS = 15.0
"""A fresh process for the memory, and what cannot be counted."""
COMPILE_SECONDS = 30.0
"""Of the first process; a second one finds most of it on disk."""
COST_SECONDS = 30.0
"""To build a model of real size and to find its rates."""
BACKBONE_FLOPS = {"tf_efficientnet_lite0": 0.8e9, "resnet101": 15.7e9}


def estimates(runner: Runner, cells: Sequence[Cell]) -> list[Estimate]:
    """Return an estimate for every cell, in order."""
    model = CostModel(runner)
    return [_estimate(runner, model, cell, cells) for cell in cells]


def _estimate(runner: Runner, model: CostModel, cell: Cell, cells: Sequence[Cell]) -> Estimate:
    finished = runner.finished(cell, cells)
    if finished and not runner.options.force:
        return Estimate(cell, finished=True, seconds=finished.seconds, source="")
    try:
        before = read(runner.store.path(cell))
    except (OSError, DataError):
        return Estimate(cell, finished=False, seconds=model.seconds(cell, cells), source="rough")
    seconds = model.as_before(before)
    return Estimate(cell, finished=False, seconds=seconds, source="as recorded")


class CostModel:
    """Seconds from floating point operations and this machine's matrix products."""

    def __init__(self, runner: Runner) -> None:
        self.runner = runner
        self.config, self.effort = runner.workshop.config, runner.workshop.effort

    @cached_property
    def rate(self) -> float:
        """FLOPs a second that are taken to be reached."""
        device = self.runner.workshop.device
        size = 8192 if device.type == "cuda" else 1024
        precision = computing_dtype(device, "auto")
        return REACHED * matmul_peak(device, precision, size)

    def seconds(self, cell: Cell, cells: Sequence[Cell]) -> float:
        """Return the expected seconds of a cell."""
        match cell.kind:
            case "train":
                return self._train(cell.system)
            case "accuracy":
                return self._accuracy(cell.system)
            case "images" | "texts":
                return self._unimodal(cell.kind)
            case "efficiency":
                return self._efficiency(cell.system)
            case "evaluations":
                return self._evaluations(timed_in_turns("evaluations", cells))
            case "latency":
                return self._latency(cells)
            case "load":
                return self._load()
            case "growth":
                return self._growth(cell.gallery)
            case "shortlists":
                return self._shortlists()
            case "shortlist_speed":
                return self._shortlist_speed()
            case "cost":
                return COST_SECONDS
        assert_never(cell.kind)

    def as_before(self, record: Record) -> float:
        """Return the seconds of a cell by those of its last record, for the time given now.

        A sample of the queries fills the time given for it, so it takes as much more or less;
        all of them take what they took, or as much as is given where that is less.
        """
        given = self.runner.options.accuracy_seconds
        before = record.stamp.protocol.get("seconds")
        if not isinstance(before, int | float) or before == given:
            return record.seconds
        times = 2 if record.cell.kind == "shortlists" else 1
        if record.values.get("sampled"):
            return max(0.0, record.seconds + times * (given - before))
        return min(record.seconds, self._encoding() + times * given)

    def _train(self, system: str) -> float:
        """As long for its arithmetic as its kind of training took here; else by the peak."""
        paces, work = self._paces.get(self._kind(system)), self._training(system)
        return work * median(paces) if paces else work / self.rate

    @cached_property
    def _paces(self) -> dict[tuple[str, str], list[float]]:
        """Seconds a FLOP of the trainings that this section has records of, by :meth:`_kind`."""
        paces: dict[tuple[str, str], list[float]] = {}
        for path in self.runner.store.folder.glob("*-train.json"):
            with suppress(OSError, DataError):
                record = read(path)
                if (name := record.cell.system) in systems:
                    pace = record.seconds / self._training(name)
                    paces.setdefault(self._kind(name), []).append(pace)
        return paces

    def _kind(self, system: str) -> tuple[str, str]:
        """Return family and regime: what decides which part of the arithmetic takes the time."""
        return systems[system].family, self.runner.workshop.settings(system).regime

    def _training(self, system: str) -> float:
        """FLOPs of a system's training, of both stages where it has two."""
        row, workshop = systems[system], self.runner.workshop
        before = [] if row.pretraining is None else [row.pretraining(workshop.config)]
        return sum(self._stage(row.family, one) for one in [workshop.settings(system), *before])

    def _stage(self, family: Family, config: Config) -> float:
        """Three times the forward pass; frozen encoders are read from their cache."""
        settings, joint, loss = config.train, config.joint, config.loss
        frozen = config.regime == "frozen"
        item = self._head(config) + (0.0 if frozen else self._image() + self._caption())
        if family == "pair":
            item += joint.matching_share * (1 + 2 * joint.negatives) * self._pair()
        elif loss.image_image or loss.text_text:
            item *= 2  # second views
        return 3 * settings.steps * settings.batch_size * item

    def _head(self, config: Config) -> float:
        """FLOPs of what stands on the encoders, for an image and a caption."""
        head, vision, text = config.head, config.vision, config.text
        tokens = vision.grid**2 + CAPTION_TOKENS
        entry = 2.0 * head.width * (vision.grid**2 * vision.width + CAPTION_TOKENS * text.width)
        layer = _layer(head.width, round(head.mlp_ratio * head.width))
        return entry + tokens * head.layers * layer

    def _accuracy(self, system: str) -> float:
        images, captions = self._counts()
        pairs = {"pair": images * captions, "two-stage": 16 * (images + captions)}
        scoring = pairs.get(systems[system].family, 0) * self._pair() / self.rate
        return self._encoding() + min(self.runner.options.accuracy_seconds, scoring)

    def _unimodal(self, kind: Literal["images", "texts"]) -> float:
        """One modality of the test split, scored against itself, and sentences beside captions."""
        images, captions = self._counts()
        if kind == "images":
            return START_SECONDS / 5 + (images * self._image() + self._scores(images)) / self.rate
        photographs = self.runner.workshop.dataset.split("test").scenes is None
        sentences = captions + (SENTENCES if photographs else 0)
        work = sentences * self._caption() + images * self._image() + self._scores(captions)
        return START_SECONDS / 5 + work / self.rate

    def _scores(self, items: int) -> float:
        """FLOPs of every item's cosine with every other."""
        return 2.0 * items**2 * self.config.head.embedding

    def _latency(self, cells: Sequence[Cell]) -> float:
        timed = sum(other.kind == "efficiency" for other in cells)
        return 2 * self.effort.latency + timed * self._encoding()

    def _efficiency(self, system: str) -> float:
        compiling = 2 * COMPILE_SECONDS if systems[system].compiled else 0.0
        return compiling + self._plain_efficiency(system)

    def _plain_efficiency(self, system: str) -> float:
        if systems[system].family == "dual":
            return START_SECONDS + max(self.effort.repeat, 2 * self._encoding()) + self._encoding()
        return START_SECONDS + 2 * self.effort.parts * self.effort.part + 2 * self._encoding()

    def _evaluations(self, timed: Sequence[str]) -> float:
        """The rounds, and one before them that compiles and finds the pairs of a part."""
        effort, rows = turns_effort_of(self.config.preset), [systems[name] for name in timed]
        parts = sum(row.family == "pair" for row in rows) * effort.part
        turn = len(rows) * self._encoding() + parts
        rounds = max(effort.least * turn, min(effort.most * turn, effort.seconds))
        compiling = sum(row.compiled for row in rows) * COMPILE_SECONDS
        return START_SECONDS + compiling + turn + rounds

    def _load(self) -> float:
        """Two closed loops, and the search for the highest rate."""
        effort = load_effort_of(self.config.preset)
        return 2 * effort.closed_s + effort.search_s + self._encoding()

    def _growth(self, gallery: int) -> float:
        """The rounds with a query before them, the long run, and two processes for the memory."""
        effort = growth_effort_of(self.config.preset)
        drawing = 3 * gallery * self.config.head.embedding / VALUES_A_SECOND
        query = min(effort.rounds_s / 2, gallery * self._pair() / self.rate)
        rounds = min(effort.rounds_s, effort.rounds * query) + query
        return 2 * START_SECONDS + drawing + 5 * self._encoding() + rounds + effort.long_s / 2

    def _shortlists(self) -> float:
        """Two times the time given to accuracy, or all pairs."""
        images, captions = self._counts()
        scoring = images * captions * self._pair() / self.rate
        return 2 * self._encoding() + min(2 * self.runner.options.accuracy_seconds, scoring)

    def _shortlist_speed(self) -> float:
        """Queries in turns, and at each length the parts of a full evaluation."""
        images, captions = self._counts()
        pair, total = self._pair() / self.rate, 0.0
        for power in range(max(1, images - 1).bit_length()):
            scoring = 2**power * (images + captions) * pair
            total += min(self.effort.parts * self.effort.part, scoring)
        return 2 * self.effort.latency + 4 * self._encoding() + total

    def _encoding(self) -> float:
        images, captions = self._counts()
        return (images * self._image() + captions * self._caption()) / self.rate

    def _counts(self) -> tuple[int, int]:
        """Return the images and captions of the test split, as far as they are used."""
        split, limit = self.runner.workshop.dataset.split("test"), self.runner.workshop.setup.limit
        images = len(split) if limit is None else min(limit, len(split))
        return images, round(len(split.captions) * images / len(split))

    def _image(self) -> float:
        """FLOPs of an image in its encoder."""
        vision = self.config.vision
        convolutions = 2 * 9 * vision.width**2 * vision.grid**2 * 3
        return float(BACKBONE_FLOPS.get(vision.name, convolutions))

    def _caption(self) -> float:
        text = self.config.text
        return CAPTION_TOKENS * text.layers * _layer(text.width, text.mlp_width)

    def _pair(self) -> float:
        """FLOPs of a pair in the joint layers."""
        text, joint = self.config.text, self.config.joint
        tokens = CAPTION_TOKENS + joint.grid**2
        return tokens * joint.layers * _layer(text.width, text.mlp_width)


def _layer(width: int, mlp_width: int) -> float:
    """FLOPs a token of a transformer layer: four projections and two of the perceptron."""
    return 2.0 * (4 * width**2 + 2 * width * mlp_width)
