"""Two systems compared over all seeds that both have, and what could have been seen at all."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bench.findings.differences import Difference, compare, compare_gaps
from bench.findings.evidence import gather
from bench.layout import spread

if TYPE_CHECKING:
    from bench.findings.sections import View
    from bench.measure.statistics import SeedSpread
    from bench.records import Record

POWER = 2.8
"""Standard errors that a true difference needs to be found significant at 5 % (two-sided) four
times in five: the normal quantiles of 0.975 and 0.8, 1.96 + 0.84 (Bloom, "Minimum Detectable
Effects", Evaluation Review 19(5), 1995)."""
WANTED_SEEDS = 5


@dataclass(frozen=True, slots=True)
class Contrast:
    """RSUM of one system minus another's.

    Attributes:
        difference: of the hits averaged over seeds, with its bootstrap over images.
        seeds: that both have.
        by_seed: mean of the seeds' differences with Student's interval; None for one seed.
    """

    difference: Difference
    seeds: tuple[int, ...]
    by_seed: SeedSpread | None

    @property
    def sign(self) -> int:
        """1 or -1 where both intervals, over images and over seeds, leave out 0; else 0.

        One seed has no interval over seeds: what its images tell may be its training's chance.
        """
        found = self.difference
        if not found.significant or self.by_seed is None or not self.by_seed.excludes(0.0):
            return 0
        return 1 if found.value > 0 else -1

    @property
    def doubt(self) -> str:
        """Why there is no :attr:`sign`, in words; "" where there is one."""
        if self.sign:
            return ""
        if not self.difference.significant:
            return "no difference"
        return "one seed" if self.by_seed is None else "too few seeds"

    @property
    def bounds(self) -> tuple[float, float]:
        """Whichever of the 95 % intervals, over images or over seeds, reaches further each way.

        They leave out 0 where :attr:`sign` is not 0.
        """
        return wider(self.difference.low, self.difference.high, self.by_seed)

    def __str__(self) -> str:
        tail = f", {self.doubt}" if self.doubt else ""
        return f"{spread(self.difference.value, *self.bounds, '+')}{tail}"

    @property
    def p_value(self) -> float:
        """The larger of both p-values, of no difference over images and over seeds."""
        return larger(self.difference.p_value, self.by_seed)

    @property
    def detectable(self) -> float:
        """Smallest true difference that this many images and seeds would have shown.

        It has to show over the images, :data:`POWER` standard errors, and over the seeds, whose
        standard error comes from few of them: Student's quantiles take the normal ones' place,
        5.4 in all for three seeds. Both count together; with one seed only the images do, and
        the truth is larger.
        """
        images = POWER * self.difference.standard_error
        return float((images**2 + self._over_seeds() ** 2) ** 0.5)

    def _over_seeds(self) -> float:
        """Return the smallest true difference that the seeds alone would have shown."""
        if self.by_seed is None:
            return 0.0
        from scipy import stats

        told, in_four_of_five = (
            float(stats.t.ppf(share, len(self.seeds) - 1)) for share in (0.975, 0.8)
        )
        half = self.by_seed.high - self.by_seed.estimate  # of the interval: told standard errors
        return half * (1 + in_four_of_five / told)


def wider(low: float, high: float, by_seed: SeedSpread | None) -> tuple[float, float]:
    """Return the outer bounds of an interval over images and that over seeds, if there is one."""
    if by_seed is None:
        return low, high
    return min(low, by_seed.low), max(high, by_seed.high)


def larger(p_of_images: float, by_seed: SeedSpread | None) -> float:
    """Return the larger of a p-value over images and that over seeds, if there is one."""
    return p_of_images if by_seed is None else max(p_of_images, by_seed.p_value)


def contrast(view: View, first: str, second: str) -> Contrast | None:
    """Return how ``first`` differs from ``second``; None where they share no seed."""
    ones, twos = _by_seed(view, first), _by_seed(view, second)
    seeds = tuple(sorted(ones.keys() & twos.keys()))
    if not seeds:
        return None
    pooled = compare(gather([ones[s] for s in seeds]), gather([twos[s] for s in seeds]))
    return Contrast(pooled, seeds, _spread([_gap(ones[s], twos[s]) for s in seeds]))


def pooled_contrast(view: View, first: str, second: str) -> Contrast | None:
    """Return :func:`contrast` over the seeds of both; over all seeds where they share too few.

    The spread between trainings is known in the first case alone.
    """
    paired = contrast(view, first, second)
    if paired is not None and paired.by_seed is not None:
        return paired
    one, two = view.evidence(first), view.evidence(second)
    if one is None or two is None:
        return None
    pooled = compare(one, two)
    return Contrast(pooled, (), None) if paired is None else replace(paired, difference=pooled)


def change(view: View, later: tuple[str, str], earlier: tuple[str, str]) -> Contrast | None:
    """Return how the gap of two systems ``later`` differs from that of two others ``earlier``.

    None where the four share no seed.
    """
    four = [_by_seed(view, name) for name in (*later, *earlier)]
    seeds = tuple(sorted(set.intersection(*(set(records) for records in four))))
    if not seeds:
        return None
    a, b, c, d = (gather([records[seed] for seed in seeds]) for records in four)
    by_seed = [
        _gap(four[0][seed], four[1][seed]) - _gap(four[2][seed], four[3][seed]) for seed in seeds
    ]
    return Contrast(compare_gaps((a, b), (c, d)), seeds, _spread(by_seed))


def _by_seed(view: View, system: str) -> dict[int, Record]:
    return {record.cell.seed: record for record in view.of("accuracy", system)}


def _gap(one: Record, two: Record) -> float:
    return gather([one]).rsum - gather([two]).rsum


def _spread(differences: list[float]) -> SeedSpread | None:
    from bench.measure.statistics import seed_spread  # scipy takes a second to import

    return seed_spread(differences) if len(differences) > 1 else None
