"""Whatever the content is, the elements around it stay as they were written."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.web.markup import Markup, escaped, join, prose, tag
from bench.web.markup import plain as words_of


class Reader(HTMLParser):
    """Collects what a browser would see: elements with attributes, and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        """Note text."""
        self.text += data


plain = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), max_size=30)


@given(plain, plain)
def test_content_and_attributes_come_back_as_they_went_in(content: str, told: str) -> None:
    found = Reader(tag("p", content, title=told))
    assert found.elements == [("p", {"title": told})]
    assert found.text == content


@given(plain)
def test_prose_adds_nothing_but_its_own_elements(text: str) -> None:
    allowed = {"code", "strong", "em", "a"}
    assert {name for name, _ in Reader(prose(text)).elements} <= allowed


def test_markup_is_not_escaped_twice() -> None:
    assert tag("p", tag("b", "1 < 2"), " & 3") == "<p><b>1 &lt; 2</b> &amp; 3</p>"
    assert join(["<", Markup("<br>")]) == "&lt;<br>"
    assert escaped(escaped("<")) == "&lt;"


def test_attributes() -> None:
    assert tag("th", scope="col", class_="left", data_sort=None) == (
        '<th scope="col" class="left"></th>'
    )
    assert tag("meta", name="a", content='"') == '<meta name="a" content="&quot;">'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("`a < b` and **bold**", "<code>a &lt; b</code> and <strong>bold</strong>"),
        ("*undecided* means", "<em>undecided</em> means"),
        ("all images x all: 2 * 3 * 4", "all images x all: 2 * 3 * 4"),
        ("[table 1](scenes/table_1.md)", '<a href="scenes/table_1.md">table 1</a>'),
        ("[x](javascript:alert)", "[x](javascript:alert)"),
        ("n/a [a] and [b]", "n/a [a] and [b]"),
    ],
)
def test_prose(text: str, expected: str) -> None:
    assert prose(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("`code` and **strong** and *some*", "code and strong and some"),
        ("a [page](table_1.md), x < y", "a page, x < y"),
        ("3 * 4 * 5", "3 * 4 * 5"),
    ],
)
def test_the_words_of_a_sentence(text: str, expected: str) -> None:
    assert words_of(text) == expected
    reader = Reader(prose(text))
    assert reader.text == expected
