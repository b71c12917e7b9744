"""The sentence pairs of table 4: where they lie, and how each is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cookie.data.sentence_pairs import (
    SentencePairs,
    crisscrossed,
    paraphrases,
    sick,
    sts_benchmark,
    sts_images,
)

Reader = Callable[[Path], SentencePairs]
COCO_CAPTIONS = "coco_val2017_captions.json.gz"
MRPC_TRAIN, MRPC_TEST = "text/mrpc/msr-para-train.tsv.gz", "text/mrpc/msr-para-test.tsv.gz"


@dataclass(frozen=True, slots=True)
class SentenceSet:
    """A rated set. label: in the table. path: below the data root. read: its reader."""

    label: str
    path: str
    read: Reader


def _crisscrossed(path: Path) -> SentencePairs:
    return crisscrossed(path, path.with_name(COCO_CAPTIONS))


SETS: Mapping[str, SentenceSet] = {
    "sick": SentenceSet("SICK", "text/sick/SICK_test_annotated.txt.gz", sick),
    "sts_b": SentenceSet("STS-B", "text/stsb/stsb-en-test.csv.gz", sts_benchmark),
    "sts_images_2014": SentenceSet(
        "STS images 2014", "text/sts_images/2014.images.test.tsv.gz", sts_images
    ),
    "sts_images_2015": SentenceSet(
        "STS images 2015", "text/sts_images/2015.images.test.tsv.gz", sts_images
    ),
    "cxc": SentenceSet("CxC", "cxc/sts_test.csv.gz", _crisscrossed),
}


def load(name: str, root: Path) -> SentencePairs | None:
    """Return a set's test pairs, None where the data root has no such file."""
    path = root / SETS[name].path
    return SETS[name].read(path) if path.is_file() else None


def load_paraphrases(root: Path) -> tuple[SentencePairs, SentencePairs] | None:
    """Return MRPC's training and test pairs, None where the data root lacks one of them."""
    paths = root / MRPC_TRAIN, root / MRPC_TEST
    if not all(path.is_file() for path in paths):
        return None
    return paraphrases(paths[0]), paraphrases(paths[1])
