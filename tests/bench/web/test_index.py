"""The page needs nothing but itself, shows what the other pages show, and is always the same."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

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


def test_names_of_a_drawing_become_its_own() -> None:
    text = (
        '<?xml version="1.0"?>\n<svg width="1"><metadata>x</metadata><path id="p"/>'
        '<use xlink:href="#p"/><g clip-path="url(#p)"/></svg>\n'
    )
    found = inlined(text, "a")
    assert found.startswith('<svg role="img" aria-label="a" width="1">')
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
