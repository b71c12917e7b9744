"""C6: whether sharing the transformer's weights is what aligns the streams."""

from __future__ import annotations

from collections.abc import Mapping

from bench.findings.sections import View
from bench.findings.seed_contrasts import WANTED_SEEDS, Contrast, contrast
from bench.findings.verdicts import Effect, Outcome, Verdict, over, unknown
from bench.layout import counted

CLAIM = "C6 (sharing the transformer's weights is what aligns the streams)"
LEVEL = 0.05
"""Share of worlds without any difference in which one is told, of all comparisons together."""
DECIDING = {
    "unshared": "a transformer a path at equal depth",
    "unshared_equal": "a transformer a path at equal parameters",
    "token_mlp": "a shared token MLP at equal parameters",
}
"""The rows that COOKIE has to beat, all of them, for the claim to hold."""
BESIDE = {
    "cookie_image_text": "the shared transformer without the unimodal losses",
    "two_views": "the same second views under the image-text loss",
}
"""What the unimodal losses contribute; the sentence says it, the verdict does not depend on it."""


def sharing_aligns(view: View) -> Verdict:
    """Judge C6: COOKIE against the rows that lack its sharing, or its attention.

    It holds where COOKIE is ahead of every row of :data:`DECIDING` beyond images and seeds, does
    not hold where it is behind one of them, and is undecided otherwise, and with a single seed.
    To be ahead of all is harder than of one and needs no correction; to be behind any of three is
    easier, so that the three p-values are taken together (:func:`_outcome`).
    """
    found = {name: contrast(view, "cookie", name) for name in DECIDING}
    known = {name: item for name, item in found.items() if item is not None}
    if len(known) < len(DECIDING):
        missing = ", ".join(name for name in DECIDING if name not in known)
        return unknown(CLAIM, f"records of {missing} or cookie")
    beside = {name: contrast(view, "cookie", name) for name in BESIDE}
    fewest = min(len(item.seeds) for item in known.values())
    told = [(DECIDING[name], item) for name, item in known.items()]
    told += [(BESIDE[name], item) for name, item in beside.items() if item is not None]
    parts = "; against ".join(_against(rival, item, fewest) for rival, item in told)
    reason = f"COOKIE's RSUM against {parts}{_seeds(fewest)}{_behind(list(known.values()))}."
    return Verdict(CLAIM, _outcome(list(known.values())), reason, _effect(known))


def _effect(known: Mapping[str, Contrast]) -> Effect:
    """Return the difference that the claim stands or falls with: the least clear lead."""
    name = min(known, key=lambda name: (known[name].sign, known[name].difference.value))
    item, found = known[name], known[name].difference
    unit = f"RSUM points against {DECIDING[name]}"
    return Effect(found.value, unit, *item.bounds, p_value=item.p_value, seeds=len(item.seeds))


def _outcome(contrasts: list[Contrast]) -> Outcome:
    """Return what all comparisons say together.

    COOKIE is behind one where that is still told at 5 % for the whole of them.
    """
    if all(item.sign > 0 for item in contrasts):
        return "holds"
    if any(item.sign < 0 and p_value <= LEVEL for item, p_value in _together(contrasts)):
        return "does not hold"
    return "undecided"


def _together(contrasts: list[Contrast]) -> list[tuple[Contrast, float]]:
    """Return each comparison with its p-value for the whole of them, lowest first.

    Of Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
    Statistics 6, 1979; 1 where the interval tells no difference.
    """
    found, highest = list[tuple[Contrast, float]](), 0.0
    for rank, item in enumerate(sorted(contrasts, key=lambda item: item.p_value)):
        p_value = min(1.0, item.p_value * (len(contrasts) - rank)) if item.sign else 1.0
        highest = max(highest, p_value)
        found.append((item, highest))
    return found


def _behind(contrasts: list[Contrast]) -> str:
    """Say why a rival that is ahead, taken alone, does not decide."""
    behind = [p_value for item, p_value in _together(contrasts) if item.sign < 0]
    if not behind or min(behind) <= LEVEL:
        return ""
    return (
        f"; behind one of {len(contrasts)} taken alone, but not among {len(contrasts)} comparisons "
        f"at once (Holm's p = {min(behind):.2g})"
    )


def _against(rival: str, item: Contrast, usual: int) -> str:
    """Return one comparison in words; its seeds where they are not the ``usual`` number."""
    found, (low, high) = item.difference, item.bounds
    seen = f"; {item.detectable:.1f} would have shown" if item.detectable else ", the same answers"
    clear = f", {item.doubt}{seen}" if item.doubt else ""
    count = len(item.seeds)
    seeds = "" if count == usual else f", {counted(count, 'seed')}"
    return (
        f"{rival} {found.value:+.1f} ({low:+.1f} to {high:+.1f}, "
        f"p = {item.p_value:.2g}{clear}{seeds})"
    )


def _seeds(fewest: int) -> str:
    if fewest == 1:
        return (
            f"; one seed, so the spread between trainings is not known and nothing is decided "
            f"({WANTED_SEEDS} are wanted)"
        )
    wanted = "" if fewest >= WANTED_SEEDS else f", {WANTED_SEEDS} are wanted"
    return f"; 95 % intervals {over(fewest)}{wanted}"
