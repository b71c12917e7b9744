"""The ridge floor against NumPy's least squares and scikit-learn, and its feature definitions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from baselines.ridge import RidgeFloor, bag_of_words, caption_means, raw_image_features


def example(seed: int = 0, images: int = 12) -> tuple[Tensor, Tensor, np.ndarray]:
    generator = torch.Generator().manual_seed(seed)
    caption_image = np.repeat(np.arange(images), [1 + index % 3 for index in range(images)])
    features = torch.randn(images, 5, generator=generator) * 3 + 1
    embeddings = torch.randn(len(caption_image), 4, generator=generator)
    return features, embeddings, caption_image


def means_by_hand(embeddings: Tensor, caption_image: np.ndarray, images: int) -> np.ndarray:
    rows = embeddings.double().numpy()
    return np.stack([rows[caption_image == image].mean(axis=0) for image in range(images)])


def predict(floor: RidgeFloor, features: Tensor) -> np.ndarray:
    """What the map gives before normalization."""
    standard = (features.double() - floor.feature_mean) / floor.feature_scale
    found: np.ndarray = (standard @ floor.weights + floor.target_mean).numpy()
    return found


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), penalty=st.floats(0.01, 5000))
def test_is_the_least_squares_solution_of_the_enlarged_system(seed: int, penalty: float):
    """Ridge is ordinary least squares with sqrt(penalty) * identity below the features."""
    features, embeddings, caption_image = example(seed)
    floor = RidgeFloor.fit(features, embeddings, caption_image, penalty)
    x = features.double().numpy()
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    y = means_by_hand(embeddings, caption_image, len(x))
    below = np.sqrt(penalty) * np.eye(5)
    weights, *_ = np.linalg.lstsq(
        np.vstack([x, below]), np.vstack([y - y.mean(axis=0), np.zeros((5, 4))]), rcond=None
    )
    np.testing.assert_allclose(floor.weights.numpy(), weights, atol=1e-8)
    np.testing.assert_allclose(predict(floor, features), x @ weights + y.mean(axis=0), atol=1e-8)


def test_equals_scikit_learn():
    linear_model = pytest.importorskip("sklearn.linear_model")
    features, embeddings, caption_image = example()
    floor = RidgeFloor.fit(features, embeddings, caption_image, 7.0)
    x = features.double().numpy()
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    other = linear_model.Ridge(alpha=7.0).fit(x, means_by_hand(embeddings, caption_image, len(x)))
    np.testing.assert_allclose(floor.weights.numpy(), other.coef_.T, atol=1e-8)
    np.testing.assert_allclose(predict(floor, features), other.predict(x), atol=1e-8)


def test_embeddings_are_unit_differences_from_the_mean_target():
    features, embeddings, caption_image = example()
    floor = RidgeFloor.fit(features, embeddings, caption_image)
    target_mean = means_by_hand(embeddings, caption_image, 12).mean(axis=0)
    images, captions = (
        rows / np.linalg.norm(rows, axis=1, keepdims=True)
        for rows in (
            predict(floor, features) - target_mean,
            embeddings.double().numpy() - target_mean,
        )
    )
    np.testing.assert_allclose(floor.encode_images(features).numpy(), images, atol=1e-6)
    np.testing.assert_allclose(floor.encode_texts(embeddings).numpy(), captions, atol=1e-6)


def test_what_all_captions_have_in_common_changes_nothing():
    features, embeddings, caption_image = example()
    common = torch.tensor([100.0, -50.0, 3.0, 8.0], dtype=torch.float64)
    plain = RidgeFloor.fit(features, embeddings, caption_image)
    moved = RidgeFloor.fit(features, embeddings.double() + common, caption_image)
    torch.testing.assert_close(moved.encode_images(features), plain.encode_images(features))
    found = moved.encode_texts(embeddings.double() + common)
    torch.testing.assert_close(found, plain.encode_texts(embeddings))


def test_a_linear_world_is_solved():
    generator = torch.Generator().manual_seed(3)
    features = torch.randn(60, 8, generator=generator)
    embeddings = features @ torch.randn(8, 6, generator=generator) + 0.1
    caption_image = np.arange(60)
    floor = RidgeFloor.fit(features[:40], embeddings[:40], caption_image[:40], 1e-6)
    scores = floor.encode_images(features[40:]) @ floor.encode_texts(embeddings[40:]).T
    assert scores.argmax(dim=1).tolist() == list(range(20))
    torch.testing.assert_close(scores.diagonal(), torch.ones(20), atol=1e-4, rtol=0)


def test_shuffled_captions_leave_chance():
    """The map must not find what is not there."""
    generator = torch.Generator().manual_seed(4)
    features = torch.randn(500, 8, generator=generator)
    embeddings = (features @ torch.randn(8, 6, generator=generator))[
        torch.randperm(500, generator=generator)
    ]
    floor = RidgeFloor.fit(features[:400], embeddings[:400], np.arange(400), 10.0)
    scores = floor.encode_images(features[400:]) @ floor.encode_texts(embeddings[400:]).T
    hits = (scores.argmax(dim=1) == torch.arange(100)).sum().item()
    assert hits <= 6


def test_embeddings_are_unit_rows_in_float32():
    features, embeddings, caption_image = example()
    floor = RidgeFloor.fit(features, embeddings, caption_image)
    for embedded in (floor.encode_images(features), floor.encode_texts(embeddings)):
        assert embedded.dtype == torch.float32
        torch.testing.assert_close(embedded.norm(dim=1), torch.ones(len(embedded)))


def test_a_feature_that_never_changes_is_harmless():
    features, embeddings, caption_image = example()
    constant = torch.cat([features, torch.full((12, 1), 3.0)], dim=1)
    floor = RidgeFloor.fit(constant, embeddings, caption_image, 1.0)
    plain = RidgeFloor.fit(features, embeddings, caption_image, 1.0)
    assert not floor.weights[-1].any()
    torch.testing.assert_close(floor.encode_images(constant), plain.encode_images(features))


def test_the_scale_of_a_feature_does_not_matter():
    features, embeddings, caption_image = example()
    scaled = features * torch.tensor([1.0, 100.0, 1e-3, 5.0, 7.0])
    floors = [RidgeFloor.fit(x, embeddings, caption_image) for x in (features, scaled)]
    torch.testing.assert_close(floors[0].encode_images(features), floors[1].encode_images(scaled))


def test_images_without_captions_are_left_out():
    features, embeddings, caption_image = example()
    more = torch.cat([features, torch.full((3, 5), 1e3)])
    floor = RidgeFloor.fit(more, embeddings, caption_image)
    plain = RidgeFloor.fit(features, embeddings, caption_image)
    torch.testing.assert_close(floor.weights, plain.weights)


def test_captions_may_be_ragged_and_in_any_order():
    _, embeddings, caption_image = example()
    order = np.random.default_rng(5).permutation(len(caption_image))
    means, used = caption_means(embeddings[order], caption_image[order], 14)
    expected = means_by_hand(embeddings, caption_image, 12)
    np.testing.assert_allclose(means[:12].numpy(), expected, atol=1e-12)
    assert not means[12:].any()
    assert used.tolist() == [True] * 12 + [False] * 2


def test_raw_features_are_local_means():
    pixels = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8)
    found = raw_image_features(pixels, side=2)
    by_hand = [
        float(image[channel, 4 * y : 4 * y + 4, 4 * x : 4 * x + 4].float().mean()) / 255
        for image in pixels
        for channel in range(3)
        for y in range(2)
        for x in range(2)
    ]
    assert found.shape == (2, 12)
    torch.testing.assert_close(found.flatten(), torch.tensor(by_hand))
    torch.testing.assert_close(raw_image_features(pixels.float() / 255, side=2), found)


@settings(max_examples=20, deadline=None)
@given(lengths=st.lists(st.integers(1, 6), min_size=1, max_size=5), seed=st.integers(0, 1000))
def test_bags_count_real_tokens(lengths: list[int], seed: int):
    ids = torch.randint(0, 7, (len(lengths), 6), generator=torch.Generator().manual_seed(seed))
    mask = torch.arange(6) < torch.tensor(lengths)[:, None]
    found = bag_of_words(ids, mask, 7)
    rows = [row[:length].tolist() for row, length in zip(ids, lengths, strict=True)]
    assert found.tolist() == [[row.count(word) for word in range(7)] for row in rows]
