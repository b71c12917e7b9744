"""What the systems find for a few captions of ``scenes``, as pictures drawn again from its seed."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.systems import systems
from bench.web.markup import Markup, prose, tag

if TYPE_CHECKING:
    from bench.findings.sections import View
    from cookie.data.dataset import RetrievalDataset, Split

SIZE = 64
"""Pixels a side of a picture."""


def examples_markup(view: View) -> Markup:
    """Return a section's examples, nothing where its records hold none or the data are others."""
    found = {
        name: record.values["examples"]
        for name in view.rows
        for record in view.of("accuracy", name)[:1]
        if "examples" in record.values
    }
    if not found or view.newest.stamp.dataset != "scenes":
        return Markup("")
    dataset = _scenes(view.section.preset)
    if dataset.sha256 != view.newest.stamp.dataset_sha256:
        return Markup("")  # the generator has changed: its pictures are not those of the records
    shown = next(iter(found.values()))
    rows = [_example(dataset.split("test"), i, found) for i in range(len(shown["captions"]))]
    lead = "A few captions drawn at random, and the first images that each system finds for them."
    heading = tag("h3", f"Examples, preset {view.section.preset}")
    legend = tag("p", prose(f"{lead} A right answer is framed."))
    return tag("section", heading, legend, *rows)


@lru_cache(maxsize=4)
def _scenes(preset: str) -> RetrievalDataset:
    """Return the data set in the size of ``preset``; making it takes a second or two."""
    from cookie.data.scenes import load_scenes

    return load_scenes(Path(), preset)


def _example(split: Split, row: int, found: Mapping[str, Mapping[str, Any]]) -> Markup:
    """Return one caption and what every system finds for it."""
    first = next(iter(found.values()))
    caption, right = first["captions"][row], first["images"][row]
    lines = [
        tag(
            "div",
            tag("b", systems[name].label),
            *(_picture(split, image, right) for image in told["found"][row]),
            class_="found",
        )
        for name, told in found.items()
    ]
    words = tag("p", tag("q", split.captions[caption]))
    answer = tag("div", tag("b", "right answer"), _picture(split, right, right), class_="found")
    return tag("div", words, answer, *lines, class_="example")


def _picture(split: Split, image: int, right: int) -> Markup:
    answer = image == right
    return tag(
        "img",
        src=data_uri(split, image),
        alt=f"image {image}{', the right answer' if answer else ''}",
        class_="right-answer" if answer else None,
    )


def data_uri(split: Split, image: int) -> str:
    """Return a picture as a PNG that is part of the page."""
    file = io.BytesIO()
    split.images.load(image, SIZE).quantize(32).save(file, format="PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
