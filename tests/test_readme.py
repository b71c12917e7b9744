"""The README says what is true of the checkout it lies in."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from bench.pages.headline import BEGIN, END, headline

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def commands() -> list[str]:
    """Return the Python commands of all shell blocks, without comments."""
    blocks = re.findall(r"```bash\n(.*?)```", README, re.DOTALL)
    lines = [line.partition("  #")[0].strip() for block in blocks for line in block.splitlines()]
    parts = [part.strip() for line in lines for part in line.split("&&")]
    return [part for part in parts if part.startswith("python -m")]


def modules() -> list[tuple[str, ...]]:
    """Return module and subcommand of each command, once."""
    found = []
    for command in commands():
        words = shlex.split(command)[2:]
        named = [word for word in words[1:3] if re.fullmatch("[a-z]+", word)]
        found.append((words[0], *(named if words[0] == "cookie" else [])))
    return list(dict.fromkeys(found))


def test_commands_were_found() -> None:
    assert "python -m bench.reproduce --table 2" in commands()
    assert ("cookie", "data", "show") in modules()


@pytest.mark.parametrize("words", modules(), ids=" ".join)
def test_every_command_exists(words: tuple[str, ...]) -> None:
    command = [sys.executable, "-m", *words, "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", commands())
def test_every_option_is_one_that_help_lists(command: str) -> None:
    words = shlex.split(command)[2:]
    options = [word for word in words if word.startswith("--")]
    position = next((i for i, word in enumerate(words) if word.startswith("--")), len(words))
    named = [word for word in words[:position] if re.fullmatch(r"[a-z.]+", word)]
    asked = [sys.executable, "-m", *named, "--help"]
    shown = subprocess.run(asked, capture_output=True, text=True, check=False, cwd=ROOT).stdout
    assert [option for option in options if option not in shown] == []


def test_every_relative_link_leads_to_a_file() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README)
    missing = [link for link in links if "://" not in link and not (ROOT / link).exists()]
    assert missing == []


def test_the_layout_names_only_what_exists() -> None:
    layout = README.partition("## Layout")[2].partition("## ")[0]
    named = re.findall(r"[\w/]+\.(?:py|md)", layout)
    found = {path.name for path in ROOT.rglob("*.*") if ".tox" not in path.parts}
    assert [name for name in named if Path(name).name not in found] == []


def example(name: str) -> str:
    """Return the code of the example called ``name``."""
    shown = README.partition(f"<!-- example: {name} -->")[2].partition("<!-- /example -->")[0]
    return shown.partition("```python\n")[2].partition("```")[0]


def run(code: str, *, home: Path) -> None:
    """Run ``code`` in a process of its own, so that nothing stays registered."""
    environment = os.environ | {"COOKIE_HOME": str(home)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=ROOT, env=environment
    )
    assert done.returncode == 0, done.stderr


def test_the_arrays_of_the_example_are_searched_and_judged(tmp_path: Path) -> None:
    use = """
nearest = topk(captions, images, k=1).indices.numpy()[:, 0]
assert metrics.t2i.recall[1] == 100 * np.mean(nearest == caption_image)
"""
    run(example("arrays") + use, home=tmp_path)


def test_the_data_set_example_can_be_trained_on(tmp_path: Path) -> None:
    use = """
from bench.material.workshop import Setup, Workshop
workshop = Workshop(Setup("swatches", "smoke", "cpu"))
test = workshop.corpora()["test"]
assert test.image_count == 24 and test.captions[3] == "red at level 3"
assert test.images(test.caption_image[:2]).data.shape == (2, 3, 32, 32)
"""
    run(example("dataset") + use, home=tmp_path)


def test_the_data_set_example_is_found_by_the_commands(tmp_path: Path) -> None:
    (tmp_path / "swatches.py").write_text(example("dataset"))
    path = os.pathsep.join((str(ROOT), os.environ.get("PYTHONPATH", "")))
    own = {"COOKIE_MODULES": "swatches", "COOKIE_HOME": str(tmp_path / "home"), "PYTHONPATH": path}
    command = "-m cookie train --dataset swatches --preset smoke --train.steps 1 --device cpu"
    done = subprocess.run(
        [sys.executable, *command.split()],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=os.environ | own,
    )
    assert done.returncode == 0, done.stderr
    assert "best on the validation split" in done.stdout


def test_the_model_example_is_built_and_trains(tmp_path: Path) -> None:
    use = """
from bench.material.workshop import Setup, Workshop
from cookie.nn.pooling import MaxPool
from cookie.interfaces import TrainBatch
workshop = Workshop(Setup("scenes", "smoke", "cpu"))
model = workshop.untrained("max_pooling", 0)
assert any(isinstance(module, MaxPool) for module in model.modules())
train = workshop.corpora()["train"]
rows = train.caption_image[:40:5] * 5
batch = TrainBatch(train.images(train.caption_image[rows]), train.texts(rows))
assert model.training_loss(batch).total.isfinite()
"""
    run(example("model") + use, home=tmp_path)


def test_the_table_example_is_planned_and_rendered(tmp_path: Path) -> None:
    use = f"""
import shutil
from pathlib import Path
from bench.report import render_all
from bench.reproduce import Options, plan
assert "accuracy cookie seed 0" in [str(cell) for cell in plan(Options(table="9"))]
results = Path({str(tmp_path / "results")!r})
def others(folder, names):  # leaves the records of one system, which are rendered sooner
    return [name for name in names if name.endswith(".json") and not name.startswith("cookie-")]
shutil.copytree("results/scenes/records", results / "scenes" / "records", ignore=others)
assert "9" in [report.table for report in render_all(results)]
page = (results / "scenes" / "table_9.md").read_text()
assert "# Table 9: Mean reciprocal rank (scenes)" in page and "| cookie " in page
"""
    run(example("table") + use, home=tmp_path)


def test_result_table_is_the_one_that_the_records_give() -> None:
    shown = README.partition(BEGIN)[2].partition(END)[0]
    assert shown.strip() == headline(ROOT / "results").strip()
