"""The paper's claims, and the form in which a table says what it found on one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Outcome = Literal["holds", "does not hold", "undecided", "not measured yet"]
CERTAIN = "95 % interval"
MARGIN = 12.0
"""RSUM points that still count as competitive: two points on each of the six recalls."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim of the paper. Attributes: statement: in few words. table: that judges it."""

    statement: str
    table: str


CLAIMS: Mapping[str, Claim] = {
    "C1": Claim("COOKIE beats the plain dual-stream", "1"),
    "C2": Claim(
        f"COOKIE is competitive with the single-stream (at most {MARGIN:g} RSUM points behind)", "1"
    ),
    "C3": Claim("it needs 3/1000 of the one-stream inference time", "2"),
    "C4": Claim("image retrieval improves (by 5.7 %)", "3"),
    "C5": Claim("text matching improves (by 3.9 %)", "4"),
    "C6": Claim("sharing the transformer's weights is what aligns the streams", "5"),
}


@dataclass(frozen=True, slots=True)
class Effect:
    """The number that a verdict rests on.

    Attributes:
        value: in ``unit``. low, high: its bounds. bounds: what they are.
        p_value: two-sided, of no difference; None where none is tested.
        signed: whether it is a difference, written with its sign.
        seeds: trainings of each side, the fewer; None where no training matters.
    """

    value: float
    unit: str
    low: float
    high: float
    bounds: str = CERTAIN
    p_value: float | None = None
    signed: bool = True
    seeds: int | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a section says on one claim.

    Attributes:
        claim: its number, C1 to C6, and its statement in brackets.
        reason: the sentence's second half, with the numbers.
        effect: the number that decides, None where nothing was measured.
    """

    claim: str
    outcome: Outcome
    reason: str
    effect: Effect | None = None

    @property
    def number(self) -> str:
        """The claim's number, a key of :data:`CLAIMS`."""
        return self.claim.partition(" ")[0]

    @property
    def sentence(self) -> str:
        """The verdict in one sentence."""
        return f"{self.claim} {self.outcome}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a section shows besides the claims. Attributes: subject: of what. reason: the rest."""

    subject: str
    reason: str

    @property
    def sentence(self) -> str:
        """The finding in one sentence."""
        return f"{self.subject}: {self.reason}"


def unknown(claim: str, needed: str) -> Verdict:
    """Return the verdict of a section that lacks the records that a claim needs."""
    return Verdict(claim, "not measured yet", f"this section lacks {needed}.")


def over(seeds: int) -> str:
    """Return over what an interval is taken, for so many seeds that both sides have."""
    return f"over images and {seeds} seeds" if seeds > 1 else "over images"


def seeds_told(ours: int, theirs: int, rival: str) -> str:
    """Return the end of a sentence whose interval does not know how trainings differ.

    There are ``ours`` of COOKIE and ``theirs`` of the ``rival``.
    """
    unknown_spread = "so the spread between trainings is not in the interval"
    if ours == theirs == 1:
        return f"; one seed, {unknown_spread}"
    return f"; COOKIE's seeds are {ours} and those of {rival} {theirs}, {unknown_spread}"
