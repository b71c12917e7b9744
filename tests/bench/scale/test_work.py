"""FLOPs that are counted by running the architectures agree with those counted on paper."""

from __future__ import annotations

import dataclasses

import pytest

from bench.scale.work import Work, cookie_work, embedding_width, pairs_trained, single_stream_work
from cookie.presets import preset

TOKENS = 16
WIDTH, PERCEPTRON, EMBEDDING = 768, 3072, 1024


@pytest.fixture(scope="module")
def cookie() -> Work:
    return cookie_work(TOKENS)


@pytest.fixture(scope="module")
def single() -> Work:
    return single_stream_work(TOKENS)


def layer(queries: int, tokens: int) -> int:
    """A transformer layer on paper: ``queries`` rows are wanted of ``tokens``; 2 FLOPs a step."""
    keys_and_values = 2 * tokens * 2 * WIDTH**2
    asking_and_joining = 2 * queries * 2 * WIDTH**2
    perceptron = queries * 2 * 2 * WIDTH * PERCEPTRON
    attention = 2 * 2 * queries * tokens * WIDTH
    return keys_and_values + asking_and_joining + perceptron + attention


def mean(tokens: int) -> int:
    """The mean over tokens, which is done as a product."""
    return 2 * tokens * WIDTH


def test_a_caption_of_cookie(cookie: Work) -> None:
    encoder, shared = 12 * layer(TOKENS, TOKENS), 2 * layer(TOKENS, TOKENS)
    projection, embedding = TOKENS * 2 * WIDTH**2, 2 * WIDTH * EMBEDDING
    assert cookie.caption == encoder + projection + shared + mean(TOKENS) + embedding


def test_an_image_of_cookie(cookie: Work, single: Work) -> None:
    """The backbone's published 7.8 billion multiply-adds, and 49 tokens through the head."""
    head = 49 * 2 * 2048 * WIDTH + 2 * layer(49, 49) + mean(49) + 2 * WIDTH * EMBEDDING
    assert cookie.image - head == pytest.approx(2 * 7.8e9, rel=0.01)
    assert single.image == pytest.approx(cookie.image - head, rel=0.02)


def test_a_pair_of_the_single_stream(single: Work) -> None:
    """A summary token and 49 others beside the caption; two rows are read of the last layer."""
    tokens = TOKENS + 50
    joint = 11 * layer(tokens, tokens) + layer(2, tokens)
    cosines = 4 * 2 * WIDTH * EMBEDDING + mean(TOKENS)
    assert single.pair == joint + cosines
    assert single.caption == 0  # words enter the joint layers as they are


def test_what_is_kept_of_an_image(cookie: Work, single: Work) -> None:
    assert cookie.kept == 4 * embedding_width() == 4 * EMBEDDING
    assert single.kept == 2 * 50 * WIDTH


def test_training_is_three_times_forward(cookie: Work, single: Work) -> None:
    assert cookie.training == 6 * (cookie.image + cookie.caption)
    config = preset("paper")
    joint = dataclasses.replace(config.joint, matching_share=0.5, negatives=3, masked_share=0.25)
    assert pairs_trained(dataclasses.replace(config, joint=joint)) == 3.75
    joint = dataclasses.replace(joint, masked_words=0.0)
    assert pairs_trained(dataclasses.replace(config, joint=joint)) == 3.5
    assert single.training == 3 * (single.image + pairs_trained(config) * single.pair)


def test_longer_captions_take_more(cookie: Work) -> None:
    assert cookie_work(2 * TOKENS).caption > 2 * cookie.caption * 0.99
    assert cookie_work(2 * TOKENS).image == cookie.image


def test_parameters(cookie: Work, single: Work) -> None:
    """BERT-base has 110 million, ResNet-101 without its classifier 42.5."""
    layers = 2 * (12 * WIDTH**2)
    assert cookie.parameters == pytest.approx(109e6 + 42.5e6 + layers, rel=0.03)
    assert single.parameters == pytest.approx(109e6 + 42.5e6, rel=0.04)
