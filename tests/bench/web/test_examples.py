"""Examples show the pictures of the records, the right one framed, and stay small."""

from __future__ import annotations

import base64
import dataclasses
import io

import numpy as np
from PIL import Image

from bench.findings.sections import View, views
from bench.records import Record
from bench.web.examples import SIZE, data_uri, examples_markup
from cookie.data.scenes import SMOKE, generate_scenes
from tests.bench.hand_made import uniform
from tests.bench.web.test_markup import Reader

SCENES = generate_scenes(SMOKE)
FOUND = {"captions": [3, 40], "images": [0, 8], "found": [[0, 1, 2, 3, 4], [7, 9, 8, 10, 11]]}


def with_examples(system: str, **changes: str) -> Record:
    stamp = {"preset": "smoke", "dataset_sha256": SCENES.sha256, **changes}
    made = uniform(system, 5, **stamp)
    return dataclasses.replace(made, values={**made.values, "examples": FOUND})


def view(*records: Record) -> View:
    (only,) = views(records)
    return only


def pictures(text: str) -> list[dict[str, str | None]]:
    return [attributes for name, attributes in Reader(text).elements if name == "img"]


def test_every_system_shows_its_answers_in_order() -> None:
    text = examples_markup(view(with_examples("dual_stream"), with_examples("cookie")))
    names = [str(one["alt"]).split()[1].rstrip(",") for one in pictures(text)]
    assert names == [
        *("0", *list("01234") * 2),
        *("8", *["7", "9", "8", "10", "11"] * 2),
    ]
    assert all(SCENES.split("test").captions[c] in Reader(text).text for c in (3, 40))


def test_right_answers_are_framed_and_said() -> None:
    found = pictures(examples_markup(view(with_examples("cookie"))))
    framed = [i for i, one in enumerate(found) if one.get("class") == "right-answer"]
    assert framed == [0, 1, 6, 9]
    assert [i for i, one in enumerate(found) if "right answer" in str(one["alt"])] == framed


def test_a_picture_is_the_scene_in_few_bytes() -> None:
    uri = data_uri(SCENES.split("test"), 2)
    content = base64.b64decode(uri.removeprefix("data:image/png;base64,"))
    shown = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"), dtype=float)
    drawn = np.asarray(SCENES.split("test").images.load(2, SIZE), dtype=float)
    assert np.abs(shown - drawn).mean() < 6
    assert len(content) < 4000
    assert uri == data_uri(SCENES.split("test"), 2)


def test_nothing_is_shown_without_examples_or_with_other_data() -> None:
    assert examples_markup(view(uniform("cookie", 3))) == ""
    assert examples_markup(view(with_examples("cookie", dataset_sha256="ab" * 32))) == ""
    assert examples_markup(view(with_examples("cookie", dataset="flickr8k"))) == ""
