"""Tables 3 and 4 against the records they are made from."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from bench.findings.sections import View, views
from bench.layout import Missing
from bench.records import Record
from bench.tables import tables
from tests.bench.findings.test_unimodal import noise, texts
from tests.bench.hand_made import record, whole_section


def images(system: str, mean: float, truths: tuple[str, ...]) -> Record:
    samples = {}
    for truth in truths:
        columns = {"query": list(range(60)), "ndcg": noise(mean, 1), "chance": [5.0] * 60}
        if truth != "caption_agreement":
            columns["r_precision"] = noise(mean / 2, 2)
        samples[truth] = columns
    return record("images", system, {"images": 60, "truths": {}}, samples=samples)


def view(*records: Record) -> View:
    (only,) = views(records)
    return only


def test_table_3_shows_each_truth_with_its_rows_and_judges_by_no_proxy() -> None:
    truths = ("scene_graph", "caption_agreement")
    block = tables["3"].block(view(images("cookie", 60, truths), images("dual_stream", 50, truths)))
    assert [(row["system"], row["truth"]) for row in block.rows] == [
        ("dual-stream", "scene graph"),
        ("COOKIE", "scene graph"),
        ("dual-stream", "caption agreement (proxy)"),
        ("COOKIE", "caption agreement (proxy)"),
    ]
    assert block.rows[1]["improvement"] == pytest.approx(20, abs=1)
    assert block.rows[1]["chance"] == 5
    assert isinstance(block.rows[0]["improvement"], Missing)
    assert isinstance(block.rows[3]["r_precision"], Missing)
    assert block.sentences[0].startswith("C4 (image retrieval improves) holds: nDCG@10 by scene")
    assert "5.7 %" in block.sentences[0]


def test_what_other_people_say_stands_beside_the_verdict() -> None:
    """The crowd decides, since it judged more pairs; the experts are not left out."""
    crowd, expert = ("crowd",), ("expert",)
    ours = images("cookie", 60, (*crowd, *expert))
    theirs = images("dual_stream", 50, crowd)
    samples = {**theirs.samples, **images("dual_stream", 61, expert).samples}
    block = tables["3"].block(view(ours, replace(theirs, samples=samples)))
    assert "improves) holds: nDCG@10 by people (crowd) 59.8" in block.sentences[0]
    assert re.search(r"; by people \(experts\) -\d\.\d \(-", block.sentences[0])
    effect = block.verdicts[0].effect
    assert effect is not None
    assert re.search(r"by people \(crowd\), -\d\.\d by people \(experts\)$", effect.unit)


def test_the_proxy_alone_decides_nothing() -> None:
    truths = ("caption_agreement",)
    block = tables["3"].block(view(images("cookie", 60, truths), images("dual_stream", 9, truths)))
    assert block.sentences[0].startswith("C4 (image retrieval improves) not measured yet")
    assert block.verdicts[0].effect is None


def test_table_4_shows_captions_sentences_and_judgments() -> None:
    sets = ("sick", "sts_b", "sts_images_2014", "sts_images_2015", "cxc")
    known = {
        "sentences": {name: {"spearman": 61.0, "standard_error": 1.5, "pairs": 9} for name in sets},
        "mrpc": {"accuracy": 70.0, "f1": 80.0, "threshold": 0.5, "pairs": 9},
        "judgments": {"expert": 40.5, "crowd": 30.5},
    }
    block = tables["4"].block(
        view(texts("cookie", noise(60, 1), **known), texts("dual_stream", noise(40, 2)))
    )
    plain, cookie = block.rows
    assert cookie["map_r"] == pytest.approx(60, abs=2)
    assert cookie["sick"] == 61
    assert (cookie["mrpc_f1"], cookie["expert"], cookie["expert_published"]) == (80, 40.5, 51.2)
    assert isinstance(plain["sick"], Missing)
    assert isinstance(plain["crowd"], Missing)
    assert "61.0 ± 1.5" in block.markdown
    assert block.sentences[0].startswith("C5 (text matching improves) holds")


def test_a_grid_without_any_measurement_is_left_out() -> None:
    block = tables["4"].block(view(texts("cookie", noise(60, 1)), texts("dual_stream", [1.0] * 60)))
    (only,) = block.grids
    assert only.heading == "Captions of the same image among all test captions"
    assert "51.2" not in block.markdown  # a quoted figure does not stand alone


def test_the_tables_are_there_only_with_their_records() -> None:
    (accuracy,) = views(whole_section())
    both = view(texts("cookie", [1.0, 2.0]), images("cookie", 3, ("scene_graph",)))
    for number in ("3", "4"):
        assert not tables[number].has_rows(accuracy)
        assert tables[number].has_rows(both)
        assert tables[number].plot([both]) is None
        assert tables[number].tail().startswith("## ")


def test_cells_are_of_the_dual_family() -> None:
    for number, kind in (("3", "images"), ("4", "texts")):
        cells = tables[number].cells((0, 1), False)
        assert {cell.kind for cell in cells} == {"train", kind}
        assert {cell.system for cell in cells} == {"dual_stream", "dual_stream_triplet", "cookie"}
