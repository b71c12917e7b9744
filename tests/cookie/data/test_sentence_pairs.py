"""Readers of sentence pairs: small files by hand, and the real ones where they are at hand."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from cookie.data.sentence_pairs import (
    SentencePairs,
    crisscrossed,
    paraphrases,
    sick,
    sts_benchmark,
    sts_images,
)
from cookie.errors import DataError

Reader = Callable[[Path], SentencePairs]
FILES: dict[str, tuple[Reader, str]] = {
    "sick": (sick, "id\ta\tb\tscore\tjudgment\n6\tone\ttwo, three\t3.5\tNEUTRAL\n"),
    "stsb": (sts_benchmark, 'one,"two, three",3.5\n'),
    "images": (sts_images, "3.5\tone\ttwo, three\n\tleft\tout\n"),
    "mrpc": (paraphrases, "\ufeffQuality\ti\tj\ta\tb\n3.5\t1\t2\tone\ttwo, three\n"),
}


def write(path: Path, text: str) -> Path:
    path.write_bytes(gzip.compress(text.encode()))
    return path


@pytest.mark.parametrize("name", FILES)
def test_each_form_is_read(name: str, tmp_path: Path):
    read, text = FILES[name]
    found = read(write(tmp_path / "x.gz", text))
    assert (found.first, found.second) == (("one",), ("two, three",))
    assert found.ratings.tolist() == [3.5]
    assert len(found) == 1


def test_crisscrossed_keeps_pairs_whose_captions_are_known(tmp_path: Path):
    rows = "caption1,caption2,agg_score,sampling_method\nC:sentid:1,C:sentid:2,1.5,x\n"
    pairs = write(tmp_path / "p.gz", rows + "C:sentid:1,C:sentid:9,4,x\n")
    captions = write(tmp_path / "c.gz", '{"1": "one", "2": "two"}')
    found = crisscrossed(pairs, captions)
    assert (found.first, found.second, found.ratings.tolist()) == (("one",), ("two",), [1.5])


@pytest.mark.parametrize(
    "text", ["", "only one line\n", "h\nno\ttabs\n", "a\tb\tc\td\te\n1\t2\t3\tx\ty\n"]
)
def test_what_is_no_such_file_is_named(text: str, tmp_path: Path):
    with pytest.raises(DataError, match=r"x\.gz"):
        sick(write(tmp_path / "x.gz", text))
    with pytest.raises(DataError, match="cannot be read"):
        sick(tmp_path / "none.gz")


ROOT = Path(os.environ.get("COOKIE_DATA", "data"))


@pytest.mark.data
@pytest.mark.skipif(not (ROOT / "text").is_dir(), reason="no sentence sets under COOKIE_DATA")
def test_the_real_sets_have_their_official_counts():
    assert len(sick(ROOT / "text/sick/SICK_test_annotated.txt.gz")) == 4927
    assert len(sts_benchmark(ROOT / "text/stsb/stsb-en-test.csv.gz")) == 1379
    for year in (2014, 2015):
        assert len(sts_images(ROOT / f"text/sts_images/{year}.images.test.tsv.gz")) == 750
    counts = [len(paraphrases(ROOT / f"text/mrpc/msr-para-{s}.tsv.gz")) for s in ("train", "test")]
    assert counts[1] == 1725
    assert 0.6 < paraphrases(ROOT / "text/mrpc/msr-para-test.tsv.gz").ratings.mean() < 0.7
