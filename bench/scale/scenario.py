"""The sizes that are asked about, and what is assumed where nothing was measured."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Scenario:
    """Write the page on pre-training and search beyond one machine.

    Examples:
        python -m bench.scale

        python -m bench.scale --gallery 1000000000 --output /tmp/billion.md

    Attributes:
        pairs: images with one caption each to train on.
        epochs: passes over them.
        gallery: images to search.
        tokens: of a caption, [CLS] and [SEP] included; assumed.
        utilization: share of the peak of matrix products that is reached; assumed.
        bandwidth: share of the peak of the memory that a scan reaches; assumed.
        memory: share of a machine's memory that a gallery may fill; assumed.
        image_bytes: of a JPEG of 224 pixels a side; the mean of Flickr8k's 7,999.
        caption_bytes: of a caption; assumed.
        code_bytes: of a row's product-quantizer code; assumed.
        results: folder with the records that hold this machine's measured peaks.
        output: file to write.
    """

    pairs: int = 6_000_000
    epochs: tuple[int, ...] = (1, 10, 40)
    gallery: int = 100_000_000
    tokens: int = 16
    utilization: float = 0.4
    bandwidth: float = 0.8
    memory: float = 0.8
    image_bytes: int = 14_000
    caption_bytes: int = 60
    code_bytes: int = 64
    results: Path = Path("results")
    output: Path = Path("docs/scale.md")
