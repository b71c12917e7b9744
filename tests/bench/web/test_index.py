"""The page needs nothing but itself, shows what the other pages show, and is always the same."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

import bench.web
from bench.report import render_all
from bench.web.index import inlined
from tests.bench.hand_made import whole_section
from tests.bench.test_report import stored
from tests.bench.web.test_markup import Reader


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    other = [
        dataclasses.replace(made, hardware={"slug": "gpu", "description": "a <GPU> & more"})
        for made in whole_section()
    ]
    folder = stored(tmp_path_factory.mktemp("page") / "results", [*whole_section(), *other])
    render_all(folder)
    return folder


@pytest.fixture
def page(results: Path) -> str:
    return (results / "index.html").read_text()


def test_nothing_is_fetched(page: str) -> None:
    for name, attributes in Reader(page).elements:
        for key in ("src", "href", "xlink:href"):
            target = attributes.get(key) or "#"
            assert not re.match(r"(?:[a-z]+:)?//", target), (name, target)
        assert name not in ("link", "iframe", "object", "base", "form")
    assert "@import" not in page
    assert "default-src 'none'" in page


def test_every_anchor_is_there_once(page: str) -> None:
    elements = Reader(page).elements
    names = [attributes["id"] for _, attributes in elements if attributes.get("id")]
    assert len(names) == len(set(names))
    inside = [a["href"] for _, a in elements if (a.get("href") or "").startswith("#")]
    assert inside
    assert {str(link)[1:] for link in inside} <= set(names)


def test_it_says_what_the_markdown_pages_say(results: Path, page: str) -> None:
    words = " ".join(Reader(page).text.split())
    for number in ("1", "2"):
        markdown = (results / "scenes" / f"table_{number}.md").read_text()
        for line in markdown.splitlines():
            if line.startswith(("- ", "## ")):
                text = re.sub(r"[`*]|^- (\[\w+\] )?|^## ", "", line)
                assert text.strip() in re.sub(r"[`*]", "", words), line


def test_content_is_escaped(page: str) -> None:
    assert "a &lt;GPU&gt; &amp; more" in page
    assert "<GPU>" not in page


def test_plots_are_drawn_in_the_page(page: str) -> None:
    assert page.count("<svg ") == 2
    assert "<metadata>" not in page
    assert "<?xml" not in page


def test_what_cannot_be_seen_is_said(page: str) -> None:
    elements = Reader(page).elements
    pictures = [a for name, a in elements if name in ("svg", "img")]
    assert pictures
    for attributes in pictures:
        words = attributes.get("alt") or attributes.get("aria-label") or ""
        assert " " in words.strip(), attributes
    assert page.count("<figure>") == page.count("<figcaption>")
    assert all(a["role"] == "img" for name, a in elements if name == "svg")


def test_tables_have_captions_and_their_headings_a_side(page: str) -> None:
    tables = re.findall(r"<table\b.*?</table>", page, re.DOTALL)
    assert len(tables) > 4
    for table in tables:
        assert re.match(r"<table [^>]*><caption>[^<].*?</caption><thead>", table)
        scopes = [a.get("scope") for name, a in Reader(table).elements if name == "th"]
        rows = table.count("<tr>") - 1
        assert scopes.count("row") == rows > 0
        assert scopes.count("col") == len(scopes) - rows


def test_headings_go_down_a_step_at_a_time(page: str) -> None:
    levels = [int(name[1]) for name, _ in Reader(page).elements if re.fullmatch(r"h\d", name)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(later - earlier <= 1 for earlier, later in pairwise(levels))


def colors() -> list[dict[str, str]]:
    """Return the style's colors: by daylight, in the dark, on paper."""
    style = (Path(bench.web.__file__).parent / "style.css").read_text()
    found = [
        dict(re.findall(r"--(\w+): (#\w+)", part))
        for part in re.findall(r":root {(.*?)}", style, re.DOTALL)
    ]
    assert len(found) == 3
    return [found[0] | other for other in found]


def luminance(color: str) -> float:
    """Return the relative luminance of WCAG 2."""
    digits = color[1:] if len(color) == 7 else "".join(2 * digit for digit in color[1:])
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("ground", ["paper", "shade"])
def test_words_stand_out_by_daylight_in_the_dark_and_on_paper(ground: str) -> None:
    for found in colors():
        for words in ("ink", "faint", "link", "holds", "fails", "open"):
            low, high = sorted(luminance(found[name]) for name in (words, ground))
            assert (high + 0.05) / (low + 0.05) >= 4.5, (words, found)


def test_names_of_a_drawing_become_its_own() -> None:
    text = (
        '<?xml version="1.0"?>\n<svg width="1"><metadata>x</metadata><path id="p"/>'
        '<use xlink:href="#p"/><g clip-path="url(#p)"/></svg>\n'
    )
    found = inlined(text, "a", 'A "drawing" & more')
    assert found.startswith(
        '<svg role="img" aria-label="A &quot;drawing&quot; &amp; more" width="1">'
    )
    assert 'id="a-p"' in found
    assert 'href="#a-p"' in found
    assert "url(#a-p)" in found
    assert found.endswith("</svg>")


DRIVE = """
<script>
const table = document.querySelectorAll("#scenes-table-2 table.sortable")[0];
const column = [...table.tHead.rows[0].cells].findIndex((c) => c.innerText.includes("full eval"));
const heading = table.tHead.rows[0].cells[column];
const order = () => [...table.tBodies[0].rows].map((row) => row.cells[column].dataset.sort ?? "");
const found = [order()];
for (let press = 0; press < 2; press++) {
  heading.querySelector("button").click();
  found.push([heading.getAttribute("aria-sort"), ...order()]);
}
const wide = document.documentElement.scrollWidth > document.documentElement.clientWidth;
document.body.textContent = "<<" + JSON.stringify({ found, wide }) + ">>";
</script>
"""


@pytest.mark.skipif(not shutil.which("chromium"), reason="needs a browser")
def test_a_pressed_heading_sorts_and_the_page_fits_a_phone(page: str, tmp_path: Path) -> None:
    path = tmp_path / "driven.html"
    path.write_text(page + DRIVE)
    options = [
        *("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"),
        *("--disable-component-update", "--disable-sync", "--window-size=500,900"),
        *(f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", path.as_uri()),
    ]
    done = subprocess.run(
        ["chromium", *options], capture_output=True, text=True, check=True, timeout=120
    )
    found = re.search(r"&lt;&lt;(.*)&gt;&gt;", done.stdout)
    assert found, done.stdout[-500:]
    content = json.loads(found[1])
    before, ascending, descending = content["found"]
    numbers = sorted(float(key) for key in before if key)
    missing = [""] * (len(before) - len(numbers))
    assert missing
    assert ascending == ["ascending", *map(str, numbers), *missing]
    assert descending == ["descending", *map(str, numbers[::-1]), *missing]
    assert not content["wide"]
