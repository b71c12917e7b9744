"""Sentences are encoded as captions are, each once, and come back in their order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from bench.cells.texts import cosines, encode_sentences, samples
from bench.material.workshop import Setup, Workshop
from cookie.data.sentence_pairs import SentencePairs
from cookie.retrieval.siblings import sibling_retrieval

SENTENCES = ("a red cube", "a small blue ball left of a cone", "a red cube", "rings")


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    monkeypatch.setenv("COOKIE_HOME", str(tmp_path))
    return Workshop(Setup("scenes", "smoke", "cpu"))


def test_sentences_come_back_in_their_order(workshop: Workshop) -> None:
    model = workshop.untrained("cookie", 0).eval()
    found = encode_sentences(workshop, model, SENTENCES)
    with torch.inference_mode():
        alone = [model.encode_texts(workshop.text_batch([text]))[0] for text in SENTENCES]
    np.testing.assert_allclose(found, torch.stack(alone).numpy(), atol=2e-2)
    assert np.array_equal(found[0], found[2])


def test_a_sentence_is_like_itself(workshop: Workshop) -> None:
    pairs = SentencePairs(SENTENCES, SENTENCES, np.zeros(4))
    found = cosines(workshop, workshop.untrained("cookie", 0).eval(), pairs)
    np.testing.assert_allclose(found, np.ones(4), atol=1e-5)


def test_samples_are_in_percent_and_name_their_image() -> None:
    owners = np.array([0, 0, 1, 2, 2])
    found = samples(sibling_retrieval(torch.eye(3)[owners], owners, (1, 2)), owners)
    assert found["query"] == [0, 1, 3, 4]
    assert found["image"] == [0, 0, 2, 2]
    assert found["r1"] == found["map_r"] == [100.0] * 4
