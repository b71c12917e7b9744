"""The sentences: where it pays, where it costs, nothing, and what would prove them wrong."""

from __future__ import annotations

import re

from bench.records import Record
from bench.sharing.findings import findings
from bench.sharing.gaps import all_gaps
from tests.bench.hand_made import uniform
from tests.bench.sharing.test_gaps import both, section


def said(*records: Record) -> dict[str, str]:
    view = section(*records)
    return {item.subject: item.reason for item in findings(view, all_gaps(view))}


def test_it_pays_where_the_interval_says_so_and_shrinks() -> None:
    found = said(*both("tenth", 20, 8), *both("quarter", 22, 12), *both("", 30, 30))
    text = found["Sharing by training pairs"]
    assert "it pays at 8 pairs (+180.0, " in text
    assert ") and 20 pairs (+150.0, " in text
    assert "no difference can be told at 80 pairs (the same answers throughout)" in text
    assert "; 3 seeds, 5 are wanted." in text
    assert "from 8 pairs to 80 pairs the gap changes by -180.0 (" in text
    assert "so it shrinks" in text
    assert "wrong if further seeds bring an interval at 8 pairs and 20 pairs to 0, or if" in text
    assert text.endswith("to the same side of 0 at 80 pairs.")


def test_it_costs_where_it_is_behind() -> None:
    text = said(*both("", 10, 30))["Sharing by training pairs"]
    assert "it costs at 80 pairs" in text
    assert "pays" not in text
    assert "can be told" not in text
    assert text.endswith("wrong if further seeds bring an interval at 80 pairs to 0.")


def test_nothing_is_said_to_be_nothing_with_what_would_have_shown() -> None:
    text = said(*both("tenth", 20, 19), *both("", 30, 29))["Sharing by training pairs"]
    assert "nothing was found, it neither pays nor costs at any point" in text
    least = r"\(\d+\.\d\)"
    told = f"no difference can be told at 8 pairs {least} and 80 pairs {least}, in brackets the"
    assert re.search(f"{told} smallest difference that this could have shown", text)
    assert "no change that can be told" in text
    assert "an interval" not in text


def test_one_seed_decides_nothing() -> None:
    text = said(uniform("cookie", 30), uniform("unshared_equal", 5))["Sharing by training pairs"]
    assert "nothing is decided, since with one seed" in text
    assert "5 are wanted" in text
    assert "at 80 pairs (+375.0, " in text
    assert ", one seed). This is wrong if" in text
    near = said(uniform("cookie", 30), uniform("unshared_equal", 29))["Sharing by training pairs"]
    assert "if trainings did not vary" in near


def test_one_seed_tells_no_change_however_clear() -> None:
    records = [uniform("cookie_tenth", 20), uniform("unshared_equal_tenth", 20)]
    records += [uniform("cookie", 30), uniform("unshared_equal", 10)]
    text = said(*records)["Sharing by training pairs"]
    assert "from 8 pairs to 80 pairs the gap changes by +300.0 (" in text
    assert "from one seed no change is told" in text
    assert "no change that can be told" not in text


def test_what_one_seed_shows_is_not_bounded_by_what_it_could_have_shown() -> None:
    """The images tell +180 at 8 pairs: that nothing above 20 is there would be false."""
    lone = [uniform("cookie_tenth", 20), uniform("unshared_equal_tenth", 8)]
    text = said(*lone, *both("", 30, 30))["Sharing by training pairs"]
    assert "the images tell a difference, but not the seeds, at 8 pairs (+180.0, " in text
    assert ", one seed); no difference can be told at 80 pairs (the same answers" in text
    assert text.startswith("COOKIE minus unshared transformers of equal parameters: nothing was ")
    assert "nothing was told, it neither pays" in text
    assert text.endswith("to the same side of 0 at 8 pairs and 80 pairs.")


def test_growing_gaps_grow() -> None:
    text = said(*both("tenth", 20, 20), *both("", 30, 10))["Sharing by training pairs"]
    assert "it pays at 80 pairs (+300.0, " in text
    assert "so it grows" in text


def test_points_without_a_common_seed_are_not_compared() -> None:
    lone = [uniform(name, 9, seed=7) for name in ("cookie_tenth", "unshared_equal_tenth")]
    text = said(*both("", 30, 20), *lone)["Sharing by training pairs"]
    assert "8 pairs and 80 pairs share no seed" in text


def test_every_question_and_axis_with_records_has_its_sentence() -> None:
    records = [*both("", 30, 20), *both("", 30, 10, "cookie_image_text")[3:]]
    assert list(said(*records, *both("depth_4", 30, 28))) == [
        "Sharing by training pairs",
        "Sharing by depth",
        "The two unimodal losses by training pairs",
    ]
    assert said(uniform("cookie", 3)) == {}


def test_sentences_hold_no_stray_words() -> None:
    for text in said(*both("tenth", 20, 8), *both("4x", 30, 30), *both("", 9, 30)).values():
        assert not {"None", "nan", "inf"} & set(text.replace(",", " ").split())
        assert text.endswith(".")
        assert "  " not in text
