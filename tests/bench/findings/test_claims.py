"""Verdicts in worlds where the claim holds, does not hold, or cannot be decided."""

from __future__ import annotations

import pytest

from bench.findings import claims
from bench.findings.claims import beats_dual_stream, competitive_with_single_stream, verdicts
from bench.findings.differences import Difference
from bench.findings.sections import View, views
from bench.findings.seed_contrasts import Contrast
from bench.findings.verdicts import CLAIMS
from bench.records import Record
from tests.bench.hand_made import uniform, whole_section


def view(*records: Record) -> View:
    (only,) = views(records)
    return only


@pytest.mark.parametrize(
    ("ours", "theirs", "outcome"),
    [(30, 10, "holds"), (10, 30, "does not hold"), (20, 19, "undecided"), (20, 20, "undecided")],
)
def test_c1(ours: int, theirs: int, outcome: str) -> None:
    verdict = beats_dual_stream(view(uniform("cookie", ours), uniform("dual_stream", theirs)))
    assert verdict.outcome == outcome
    assert f"RSUM {600 * ours / 40:.1f} for COOKIE" in verdict.reason
    assert ("no difference" in verdict.reason) == (outcome == "undecided")


@pytest.mark.parametrize("rival", ["dual_stream", "single_stream"])
def test_more_steps_are_told_and_change_no_verdict(rival: str) -> None:
    judge = beats_dual_stream if rival == "dual_stream" else competitive_with_single_stream
    records = [uniform("cookie", 30), uniform(rival, 10)]
    usual = judge(view(*records))
    assert "times the steps" not in usual.reason
    records += [uniform("cookie_steps_2", 30), uniform(f"{rival}_steps_2", 36)]
    records += [uniform("cookie_steps_8", 40), uniform(f"{rival}_steps_4", 1)]
    longer = judge(view(*records))
    assert (longer.outcome, longer.effect) == (usual.outcome, usual.effect)
    assert "not judged: -90.0 (" in longer.reason
    assert longer.reason.endswith(") with 2 times the steps and 1 seed.")


@pytest.mark.parametrize(
    ("end", "how"),
    [
        ("finetuned", "fine-tuned encoders"),
        ("fresh_text", "a text encoder that starts at random"),
        ("glove_text", "a text encoder that starts from GloVe's words"),
    ],
)
def test_other_encoders_are_told_and_change_no_verdict(end: str, how: str) -> None:
    records = [uniform("cookie", 30), uniform("dual_stream", 10)]
    usual = beats_dual_stream(view(*records))
    records += [uniform(f"cookie_{end}", 30), uniform(f"dual_stream_{end}", 36)]
    told = beats_dual_stream(view(*records))
    assert (told.outcome, told.effect) == (usual.outcome, usual.effect)
    assert "not judged: -90.0 (" in told.reason
    assert told.reason.endswith(f") with {how} and 1 seed.")
    alone = beats_dual_stream(view(*records[2:]))
    assert alone.outcome == "not measured yet"
    assert "lacks records of cookie and dual_stream; not judged: -90.0 (" in alone.reason


@pytest.mark.parametrize(
    ("ours", "theirs", "outcome"),
    [(30, 10, "holds"), (20, 20, "holds"), (10, 30, "does not hold"), (20, 21, "undecided")],
)
def test_c2(ours: int, theirs: int, outcome: str) -> None:
    records = uniform("cookie", ours), uniform("single_stream", theirs)
    verdict = competitive_with_single_stream(view(*records))
    assert verdict.outcome == outcome
    assert "12 points" in verdict.reason


@pytest.mark.parametrize(
    ("low", "high", "beats", "competes"),
    [
        (0.5, 9.0, "holds", "holds"),
        (0.0, 9.0, "undecided", "holds"),
        (-9.0, -0.5, "does not hold", "holds"),
        (-11.5, 0.0, "undecided", "holds"),
        (-12.0, 0.5, "undecided", "undecided"),
        (-13.0, -12.0, "does not hold", "undecided"),
        (-13.0, -12.5, "does not hold", "does not hold"),
    ],
)
def test_an_interval_decides_at_0_and_at_the_margin(
    low: float, high: float, beats: str, competes: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    middle, asked = (low + high) / 2, {"i2t": 40, "t2i": 80}
    difference = Difference(300 + middle, 300, low, high, 0.5, 1.0, asked)
    found = Contrast(difference, (0,), None)
    monkeypatch.setattr(claims, "pooled_contrast", lambda *_: found)
    section = view(uniform("cookie", 20))
    assert beats_dual_stream(section).outcome == beats
    assert competitive_with_single_stream(section).outcome == competes


def test_what_is_not_known_is_not_called_undecided() -> None:
    found = verdicts(view(uniform("cookie", 3)))
    assert [verdict.outcome for verdict in found] == ["not measured yet"] * 3
    assert [verdict.effect for verdict in found] == [None] * 3
    assert all("lacks records" in verdict.reason for verdict in found)


def test_each_verdict_is_one_sentence() -> None:
    for verdict in verdicts(view(*whole_section())):
        assert verdict.sentence.endswith(".")
        assert ". " not in verdict.sentence
        assert verdict.sentence.startswith(verdict.claim)


def test_one_seed_is_mentioned_and_two_are_not() -> None:
    one = [uniform("cookie", 30), uniform("dual_stream", 10)]
    two = [*one, uniform("cookie", 30, seed=1), uniform("dual_stream", 10, seed=1)]
    assert "one seed" in beats_dual_stream(view(*one)).reason
    assert "one seed" not in beats_dual_stream(view(*two)).reason
    # With two the interval does know how trainings differ.
    assert "not in the interval" in beats_dual_stream(view(*one)).reason
    assert "not in the interval" not in beats_dual_stream(view(*two)).reason


def test_effects_are_the_numbers_of_the_sentence() -> None:
    for verdict in verdicts(view(*whole_section())):
        effect = verdict.effect
        assert effect is not None
        assert effect.low <= effect.value <= effect.high
        form = "+.1f" if effect.signed else ".4f"
        assert f"{effect.value:{form}}" in verdict.reason
        if effect.p_value is not None:
            assert f"p = {effect.p_value:.2g}" in verdict.reason


def test_every_verdict_belongs_to_a_known_claim() -> None:
    numbers = [verdict.number for verdict in verdicts(view(*whole_section()))]
    assert numbers == ["C1", "C2", "C3"]
    assert set(numbers) <= set(CLAIMS)


def test_several_seeds_are_in_the_interval_that_decides() -> None:
    """The images alone tell a difference; the trainings disagree on its size."""
    steady = [uniform("dual_stream", 10, seed=seed) for seed in (0, 1)]
    ours = [uniform("cookie", good, seed=seed) for seed, good in enumerate((14, 40))]
    found = beats_dual_stream(view(*steady, *ours))
    assert found.effect is not None
    assert (found.outcome, found.effect.seeds) == ("undecided", 2)
    assert "over images and 2 seeds" in found.reason
    assert ", too few seeds" in found.reason
    assert found.effect.low < 0 < found.effect.high
    agreed = [uniform("cookie", good, seed=seed) for seed, good in enumerate((30, 31))]
    assert beats_dual_stream(view(*steady, *agreed)).outcome == "holds"


def test_a_rival_with_one_seed_is_told_although_cookie_has_more() -> None:
    ours = [uniform("cookie", good, seed=seed) for seed, good in enumerate((30, 34))]
    found = competitive_with_single_stream(view(*ours, uniform("single_stream", 10)))
    assert found.effect is not None
    assert found.effect.seeds == 1
    assert found.effect.value == pytest.approx(600 * 22 / 40)
    told = "; COOKIE's seeds are 2 and those of the single-stream 1, so the spread"
    assert told in found.reason
    assert "over images, p" in found.reason


def test_seeds_that_are_not_shared_are_pooled_and_told() -> None:
    records = [uniform("cookie", 30, seed=seed) for seed in (0, 1)]
    records += [uniform("dual_stream", 10, seed=seed) for seed in (2, 3)]
    found = beats_dual_stream(view(*records))
    assert found.outcome == "holds"
    assert "; COOKIE's seeds are 2 and those of the dual-stream 2, so" in found.reason
