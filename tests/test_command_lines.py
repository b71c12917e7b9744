"""Whatever is typed, a command answers, or says in a sentence what is wrong: never a traceback.

The commands' own mains run in this process on arguments that are random or nearly right. What
would take long, because the arguments happen to be right, is cut off where the work begins.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import sys
import typing
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench import compare, pretrained, report, reproduce, validate
from cookie import __main__ as cookie_main
from cookie.commands import options as cookie_options
from cookie.config import Config
from cookie.data.catalog import load_dataset
from cookie.data.dataset import RetrievalDataset
from cookie.errors import UserError, run_main
from tests.bench.hand_made import whole_section
from tests.bench.test_report import stored

FULL = os.environ.get("COOKIE_BENCH") == "full"
NAMES = (
    *("scenes", "flickr8k", "coco-1k", "smoke", "tiny", "paper", "cookie", "vilt", "open_clip"),
    *("test", "tset", "train", "cpu", "cuda:99", "auto", "flat", "hnsw", "1", "2", "5", "9"),
    *(
        "bfloat16",
        "nothing",
        "",
        " ",
        "-",
        "--",
        ".",
        "..",
        "/",
        "~",
        "*",
        "a b",
        "ü",
        "日本",
        "\n",
    ),
    *("\udcff", "a\u0000b".replace("\u0000", "\t"), "x" * 300, "%s", "{}", "$HOME", "'", '"'),
)
NUMBERS = ("0", "-1", "2", "1.5", "1e9", "nan", "inf", "-inf", "9" * 30, "0x1", "1_000", "1e-300")
FILES = (
    *("folder", "empty.json", "words.json", "binary", "missing", "words.json/below", "results"),
    *("results/scenes", "run", "gallery.safetensors", "picture.png", "loop", "binary/", "x" * 300),
)


WORK = (
    *("cookie.commands.trained.build_corpora", "cookie.commands.train.build_corpora"),
    *("bench.checkpoints.load", "bench.running.runner.Runner.run"),
    *("bench.report.render", "bench.checks.pages.render_all"),
)
"""Where long work begins."""
LOADING = (
    *(
        "cookie.data.catalog",
        "cookie.commands.trained",
        "cookie.commands.data",
        "cookie.commands.train",
    ),
    "bench.material.workshop",
)
"""Modules that load data sets."""


class CutError(UserError):
    """The work would begin here."""


def _cut(*arguments: object, **named: object) -> None:
    del arguments, named
    raise CutError("The arguments are right, and the work is left out.")


@cache
def _dataset(name: str, data_root: Path | None = None, preset: str = "tiny") -> RetrievalDataset:
    """Load a data set; those that are drawn are drawn once, in the smallest size."""
    return load_dataset(name, data_root, "smoke" if name == "scenes" else preset)


@pytest.fixture(scope="module", autouse=True)
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Work in a folder that holds :data:`FILES`, without data, runs, network or long work."""
    folder = tmp_path_factory.mktemp("place")
    for name in ("folder", "run", "home"):
        (folder / name).mkdir()
    (folder / "empty.json").touch()
    (folder / "words.json").write_text('{"schema": 1, "words": ["no record"]}')
    for name in ("binary", "gallery.safetensors", "picture.png", "run/best.safetensors"):
        (folder / name).write_bytes(b"\x80\xff\x00 neither text nor tensors")
    (folder / "run/best.json").write_text("[]")
    (folder / "run/setup.json").write_text("{}")
    (folder / "loop").symlink_to("loop")
    stored(folder / "results", whole_section())
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("COOKIE_HOME", str(folder / "home"))
        patch.setenv("COLUMNS", "200")
        patch.delenv("COOKIE_DATA", raising=False)
        patch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        for work in WORK:
            patch.setattr(work, _cut)
        for place in LOADING:
            patch.setattr(f"{place}.load_dataset", _dataset)
        yield folder


def answer(main: Callable[[], None], arguments: Sequence[str]) -> tuple[int, str, str]:
    """Return a command's exit code and what it printed; any other error passes."""
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.object(sys, "argv", ["command", *arguments]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            run_main(main)
            code = 0
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    return code, out.getvalue(), err.getvalue()


def check(main: Callable[[], None], arguments: Sequence[str], codes: Sequence[int] = (0, 2)) -> int:
    """Run a command: it exits with one of ``codes``, and says why where that is 2."""
    code, out, err = answer(main, arguments)
    assert code in codes, (arguments, code, err)
    assert "Traceback" not in out + err
    if code == 2:
        assert len(err.split()) > 2, (arguments, err)
        last = err.strip().splitlines()[-1]
        assert last.startswith("error: ") or last.rstrip().endswith("--help"), (arguments, err)
    return code


def flags_of(options: type[Any], prefix: str = "--") -> list[tuple[str, bool]]:
    """Return a command's flags, those of nested settings too, and whether they take a value."""
    hints = typing.get_type_hints(options)
    found = []
    for field in dataclasses.fields(options):
        kind = hints[field.name]
        name = f"{prefix}{field.name.replace('_', '-')}"
        if dataclasses.is_dataclass(kind):
            nested = "--" if kind is Config else f"{name}."
            found += flags_of(typing.cast(type[Any], kind), nested)
        else:
            found.append((name, kind is not bool))
    return found


words = st.one_of(
    st.sampled_from(NAMES),
    st.sampled_from(NUMBERS),
    st.sampled_from(FILES),
    st.text(st.characters(exclude_characters="\x00"), max_size=8),
)


@st.composite
def arguments(draw: st.DrawFn, options: type[Any], positional: int = 0) -> list[str]:
    """Return a few flags with values of all sorts between some words."""
    flags = flags_of(options)
    given = draw(
        st.lists(words, min_size=positional, max_size=positional + draw(st.integers(0, 1)))
    )
    for name, takes_value in draw(st.lists(st.sampled_from(flags), max_size=4)):
        given += [name, draw(words)] if takes_value else [name]
    return given


COMMANDS: dict[str, tuple[Callable[[], None], type[Any], tuple[str, ...], int]] = {
    "reproduce": (reproduce.main, reproduce.Options, ("--dry-run",), 0),
    "report": (report.main, report.ReportOptions, (), 0),
    "compare": (compare.main, compare.CompareOptions, (), 2),
    "validate": (validate.main, validate.ValidateOptions, (), 0),
    "pretrained": (pretrained.main, pretrained.PretrainedOptions, (), 1),
    **{
        name: (cookie_main.main, options, (name,), positional)
        for name, options, positional in (
            ("train", cookie_options.Train, 0),
            ("evaluate", cookie_options.Evaluate, 0),
            ("encode", cookie_options.Encode, 1),
            ("search", cookie_options.Search, 1),
        )
    },
    **{
        f"data {name}": (cookie_main.main, options, ("data", name), 1)
        for name, options in (
            ("show", cookie_options.DataShow),
            ("facts", cookie_options.DataFacts),
            ("shards", cookie_options.DataShards),
        )
    },
}
"""Main, options, the words that begin the command, and how many positional words it takes."""


@pytest.mark.parametrize("name", COMMANDS)
def test_no_arguments_give_a_traceback(name: str) -> None:
    main, options, begin, positional = COMMANDS[name]
    codes = (0, 1, 2) if name == "validate" else (0, 2)

    @settings(
        max_examples=1000 if FULL else 12,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        derandomize=not FULL,
        database=None,
    )
    @given(arguments(options, positional))
    def run(found: list[str]) -> None:
        check(main, [*begin, *found], codes)

    run()


@pytest.mark.parametrize("word", sorted({*NAMES, *FILES} - {"/"}))  # a whole disk takes its time
def test_results_of_any_sort_are_read_or_refused(word: str) -> None:
    check(report.main, [word])
    check(report.main, [f"--benchmarks={word}"])
    check(compare.main, [word, "results"])
    check(compare.main, ["results", word])
    check(validate.main, [word], (0, 1, 2))


@pytest.mark.parametrize("word", FILES)
def test_a_file_of_any_sort_is_searched_or_refused(word: str) -> None:
    check(cookie_main.main, ["search", "a cube", f"--gallery={word}", "--run=run"])
    check(cookie_main.main, ["evaluate", f"--run={word}"])
    check(cookie_main.main, ["encode", word, "--run=run"])
    check(cookie_main.main, ["data", "facts", "flickr8k", f"--data-root={word}"])
    check(pretrained.main, ["vilt", "--dataset=flickr8k", f"--data-root={word}"])


def test_right_arguments_are_taken() -> None:
    """The fuzz above would pass if everything were refused."""
    assert check(reproduce.main, ["--table", "1", "--preset", "smoke", "--dry-run"]) == 0
    assert check(reproduce.main, ["--list"]) == 0
    assert check(compare.main, ["results", "results"]) == 0
    for name in COMMANDS:
        main, _, begin, _ = COMMANDS[name]
        words = [word for word in begin if not word.startswith("--")]
        assert check(main, [*words, "--help"]) == 0
    for arguments in (["report", "results"], ["train"], ["pretrained", "vilt"]):
        main, _, begin, _ = COMMANDS[arguments[0]]
        _, _, err = answer(main, [*begin, *arguments[1:]])
        assert "the work is left out" in err
