"""Which records are compared, which are refused, and what is said to differ."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.findings.matching import changes, flatten, match, require_comparable
from bench.records import Record
from cookie.errors import UserError
from tests.bench.hand_made import efficiency, growth, record, train, uniform, whole_section
from tests.bench.test_report import stored


def file_of(folder: Path, made: Record) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / made.cell.filename
    path.write_text(made.to_json())
    return path


def elsewhere(made: Record) -> Record:
    return dataclasses.replace(made, hardware={"slug": "gpu", "description": "a GPU"})


def test_two_files_of_different_systems_match(tmp_path: Path) -> None:
    paths = [file_of(tmp_path, uniform(name, 3)) for name in ("dual_stream", "cookie")]
    (found,) = match(*paths)
    assert found.name == "accuracy dual_stream and cookie"
    assert [side[0].cell.system for side in (found.first, found.second)] == [
        "dual_stream",
        "cookie",
    ]


def test_folders_match_by_question_and_seed(tmp_path: Path) -> None:
    first = stored(tmp_path / "a", [*whole_section(), uniform("cookie", 3, seed=1)])
    second = stored(tmp_path / "b", [uniform("cookie", 4, seed=1), uniform("cookie", 5, seed=2)])
    (found,) = match(first, second)
    assert found.name == "scenes tiny: accuracy cookie"
    assert [side[0].cell.seed for side in (found.first, found.second)] == [1, 1]


def test_folders_of_different_machines_match(tmp_path: Path) -> None:
    first = stored(tmp_path / "a", [uniform("cookie", 3)])
    second = stored(tmp_path / "b", [elsewhere(uniform("cookie", 3))])
    assert len(match(first, second)) == 1


def test_the_same_machine_goes_before_others(tmp_path: Path) -> None:
    first = stored(tmp_path / "a", [uniform("cookie", 3)])
    second = stored(tmp_path / "b", [uniform("cookie", 4), elsewhere(uniform("cookie", 5))])
    ((only,),) = (found.second for found in match(first, second))
    assert only.hardware["slug"] == "two-core-test"


def test_cells_of_other_gallery_sizes_are_other_cells(tmp_path: Path) -> None:
    sizes = [growth(size, {"cookie": 0.01, "single_stream": 1.0}) for size in (1_000, 10_000)]
    sides = [stored(tmp_path / name, sizes) for name in "ab"]
    found = match(*sides)
    assert [one.name.partition(": ")[2] for one in found] == [
        "growth all at 1,000",
        "growth all at 10,000",
    ]
    assert all(one.first[0].cell == one.second[0].cell for one in found)


def test_two_machines_against_a_third_are_refused(tmp_path: Path) -> None:
    first = stored(tmp_path / "a", [uniform("cookie", 3), elsewhere(uniform("cookie", 4))])
    third = dataclasses.replace(uniform("cookie", 3), hardware={"slug": "x", "description": "x"})
    with pytest.raises(UserError, match="several machines"):
        match(first, stored(tmp_path / "b", [third]))


def test_what_cannot_be_matched_is_refused(tmp_path: Path) -> None:
    accuracy, training = file_of(tmp_path, uniform("cookie", 3)), file_of(tmp_path, train("cookie"))
    one, two = (
        stored(tmp_path / name, [made])
        for name, made in (("a", train("cookie")), ("b", train("dual_stream")))
    )
    empty = tmp_path / "empty"
    empty.mkdir()
    for sides, words in (
        ((accuracy, training), "A holds accuracy and B train"),
        ((accuracy, one), "with a folder"),
        ((accuracy, tmp_path / "gone"), "There is no"),
        ((one, two), "share no"),
        ((one, empty), "holds no records"),
    ):
        with pytest.raises(UserError, match=words):
            match(*sides)


def test_different_work_is_not_comparable() -> None:
    made = uniform("cookie", 3)
    for other, words in (
        (uniform("cookie", 3, dataset="flickr8k"), "scenes and B about flickr8k"),
        (uniform("cookie", 3, dataset_sha256="cd" * 32), "different versions"),
        (uniform("cookie", 3, protocol={"limit": 50}), "limit is None in A and 50 in B"),
    ):
        with pytest.raises(UserError, match=words):
            require_comparable(made, other)
    require_comparable(made, uniform("dual_stream", 3, protocol={"limit": None, "seconds": 1.0}))


def test_changes_name_what_differs_and_nothing_momentary() -> None:
    one = train("cookie")
    config = {**one.config, "train": {**one.config["train"], "steps": 7}}
    environment = {**one.environment, "threads": {"torch": 4}, "before": {"cpu_mhz": 1}}
    two = dataclasses.replace(train("cookie", seed=1), config=config, environment=environment)
    found = {change.key: (change.first, change.second) for change in changes(one, two)}
    assert found == {
        "seed": (0, 1),
        "config.train.steps": (one.config["train"]["steps"], 7),
        "environment.threads.torch": (2, 4),
    }
    assert changes(one, one) == []


def test_hashes_are_shortened_and_new_keys_shown() -> None:
    one = efficiency("cookie", 1.0)
    two = record("efficiency", "cookie", one.values, protocol={"limit": None, "w": ["f" * 64]})
    (change,) = changes(one, two)
    assert str(change) == "protocol.w: None -> [ffffffffffff...]"


names = st.text(alphabet="abc", min_size=1, max_size=3)
trees = st.dictionaries(
    names,
    st.recursive(
        st.integers(), lambda inner: st.dictionaries(names, inner, min_size=1), max_leaves=8
    ),
)


@given(trees)
def test_flattened_leaves_are_where_their_keys_say(tree: dict[str, object]) -> None:
    for key, leaf in flatten(tree):
        found: object = tree
        for name in key.split("."):
            assert isinstance(found, dict)
            found = found[name]
        assert found == leaf
