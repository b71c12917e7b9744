"""Table 5 against the records it is made from."""

from __future__ import annotations

import pytest

from bench.findings.sections import View, views
from bench.layout import Marked, Missing
from bench.records import Record
from bench.tables import tables
from tests.bench.hand_made import record, train, uniform, whole_section


def trained(system: str, above: int | None, seed: int = 0) -> Record:
    values = dict(train(system).values)
    if above is not None:
        values["parameters_above_encoders"] = above
    return record("train", system, values, seed=seed)


def section() -> View:
    good = {"dual_stream": 10, "cookie_image_text": 20, "cookie": 30, "unshared": 29}
    records = [uniform(name, count, seed=s) for name, count in good.items() for s in (0, 1)]
    records += [trained("cookie", None), trained("cookie", 500, 1)]  # the first: not counted yet
    records += [trained("unshared", None)]
    (only,) = views(records)
    return only


def rows() -> dict[str, dict[str, object]]:
    found = tables["5"].block(section()).rows
    return {
        str(row["system"].value if isinstance(row["system"], Marked) else row["system"]): dict(row)
        for row in found
    }


def test_rows_are_the_variants_that_are_known_in_their_order() -> None:
    assert list(rows()) == [
        "linear dual-stream",
        "shared, image-text loss",
        "COOKIE: shared, all three",
        "unshared, equal depth",
    ]


def test_each_row_is_compared_with_cookie_and_with_its_control() -> None:
    found = rows()
    shared = found["shared, image-text loss"]
    assert shared["cookie_difference"] == pytest.approx(-150.0)
    assert shared["control_difference"] == pytest.approx(150.0)
    assert shared["control"] == "linear dual-stream"
    assert found["unshared, equal depth"]["cookie_difference"] == pytest.approx(-15.0)
    cookie = found["COOKIE: shared, all three"]
    assert isinstance(cookie["cookie_difference"], Missing)
    assert cookie["control_difference"] == pytest.approx(150.0)
    assert isinstance(found["linear dual-stream"]["control_p"], Missing)


def test_sizes_come_from_training() -> None:
    found = rows()
    cookie = found["COOKIE: shared, all three"]
    assert cookie["above_encoders"] == 500
    assert cookie["seeds"] == 2
    assert isinstance(found["unshared, equal depth"]["above_encoders"], Missing)
    assert isinstance(found["linear dual-stream"]["trainable"], Missing)


def test_page_has_a_verdict_and_no_numbers_of_other_rows() -> None:
    block = tables["5"].block(section())
    assert [sentence[:2] for sentence in block.sentences] == ["C6"]
    assert "n/a" in block.markdown
    assert "None" not in block.markdown


def test_variants_are_rows_of_this_table_alone() -> None:
    records = [*whole_section(), uniform("unshared", 20), trained("unshared", 7)]
    (view,) = views(records)
    for number in ("1", "2"):
        assert "unshared" not in tables[number].block(view).markdown
    assert tables["5"].has_rows(view)
    (without,) = views(whole_section())
    assert not tables["5"].has_rows(without)


def test_the_plot_has_a_bar_for_every_row_but_cookie() -> None:
    figure = tables["5"].plot([section()])
    assert figure is not None
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == ["linear dual-stream", "shared, image-text loss", "unshared, equal depth"]
    (without,) = views(whole_section()[:1])
    assert tables["5"].plot([without]) is None
