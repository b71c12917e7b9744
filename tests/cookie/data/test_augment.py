"""Augmented views: right by oracles, reproducible through the generator alone."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cookie.config import AugmentConfig
from cookie.data.augment import (
    ImageAugment,
    chosen_words,
    crop_boxes,
    delete_words,
    jitter_color,
    mask_words,
    other_captions,
)

CLS, SEP, PAD, MASK = 2, 3, 0, 4


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(count: int = 6, side: int = 16) -> Tensor:
    return torch.randint(0, 256, (count, 3, side, side), generator=generator(9)).to(torch.uint8)


def test_nothing_to_do_scales_pixels_alone() -> None:
    config = AugmentConfig(crop_scale=1, color=0, flip=0)
    pixels = noise()
    views = ImageAugment(config)(pixels, generator())
    assert views.dtype == torch.float32
    assert views.equal(pixels.float() / 255)


@pytest.mark.parametrize("config", [AugmentConfig(), AugmentConfig(color=0.4, flip=0.5)])
def test_views_depend_on_the_generator_and_nothing_else(config: AugmentConfig) -> None:
    augment, pixels = ImageAugment(config), noise()
    torch.manual_seed(1)
    first = augment(pixels, generator(5))
    torch.manual_seed(2)
    state = torch.get_rng_state()
    second = augment(pixels, generator(5))
    assert first.equal(second)
    assert torch.get_rng_state().equal(state)
    assert not first.equal(augment(pixels, generator(6)))
    shared = generator(5)
    assert not augment(pixels, shared).equal(augment(pixels, shared))


def test_views_are_in_range_and_keep_their_shape() -> None:
    views = ImageAugment(AugmentConfig(color=1.0, flip=0.5, crop_scale=0.1))(noise(40), generator())
    assert views.shape == (40, 3, 16, 16)
    assert views.min() >= 0
    assert views.max() <= 1
    assert views.isfinite().all()


def test_images_of_a_batch_get_views_of_their_own() -> None:
    pixels = noise(1).expand(5, -1, -1, -1)
    views = ImageAugment(AugmentConfig())(pixels, generator())
    assert len({tuple(view.flatten()[:50].tolist()) for view in views}) == 5


def test_a_sure_flip_without_a_crop_mirrors() -> None:
    pixels = noise()
    views = ImageAugment(AugmentConfig(crop_scale=1, flip=1))(pixels, generator())
    torch.testing.assert_close(views, pixels.flip(-1).float() / 255, atol=1e-4, rtol=0)


def test_about_half_are_flipped() -> None:
    ramp = torch.linspace(0, 255, 16).to(torch.uint8).expand(400, 3, 16, 16)
    views = ImageAugment(AugmentConfig(crop_scale=0.9, flip=0.5))(ramp, generator())
    flipped = views[:, 0, 8, 0] > views[:, 0, 8, 15]
    assert 160 < flipped.sum() < 240


@pytest.mark.parametrize("flip", [0.0, 1.0])
def test_a_crop_shows_what_its_box_holds(flip: float) -> None:
    """A picture that stores its own coordinates tells where every pixel of a view comes from."""
    side, count = 32, 50
    middles = (torch.arange(side) + 0.5) / side
    pixels = torch.zeros(count, 3, side, side)
    pixels[:, 0], pixels[:, 1] = middles, middles[:, None]
    config = AugmentConfig(crop_scale=0.3, flip=flip)
    draws = torch.rand(count, 9, generator=generator(3))
    views = ImageAugment(config)((pixels * 255).round().to(torch.uint8), generator(3))
    left, top, width, height = crop_boxes(draws[:, :4], 0.3)[:, :, None].unbind(dim=1)
    across = middles.flip(0) if flip else middles
    inside = slice(2, -2)  # at the rim there is nothing beyond the border to mix in
    expected_x, expected_y = left + width * across, top + height * middles
    torch.testing.assert_close(views[:, 0, 16, inside], expected_x[:, inside], atol=0.006, rtol=0)
    torch.testing.assert_close(views[:, 1, inside, 16], expected_y[:, inside], atol=0.006, rtol=0)


def test_a_crop_is_that_of_torchvision() -> None:
    transforms = pytest.importorskip("torchvision.transforms.v2.functional")
    smooth = torch.nn.functional.interpolate(noise(1, 4).float(), size=32, mode="bicubic")
    pixels = smooth.clamp(0, 255).round().to(torch.uint8)
    augment = ImageAugment(AugmentConfig(crop_scale=0.5))
    images = pixels.float() / 255
    # area 9/16 and aspect 1 give 24 of 32 pixels; corner at half of the 8 that are left
    draws = torch.tensor([[(9 / 16 - 0.5) / 0.5, 0.5, 0.5, 0.5, 1, 0, 0, 0, 0]])
    expected = transforms.resized_crop(images, 4, 4, 24, 24, [32, 32], antialias=False)
    ours = augment._move(images, draws)
    torch.testing.assert_close(ours[..., 2:-2, 2:-2], expected[..., 2:-2, 2:-2], atol=1e-4, rtol=0)


@given(st.lists(st.floats(0, 1, exclude_max=True), min_size=4, max_size=4), st.floats(0.05, 1))
def test_boxes_lie_inside_and_have_their_area(values: list[float], smallest: float) -> None:
    left, top, width, height = crop_boxes(torch.tensor([values]), smallest)[0].tolist()
    assert left >= 0
    assert top >= 0
    assert left + width <= 1 + 1e-6
    assert top + height <= 1 + 1e-6
    assert width * height == pytest.approx(smallest + (1 - smallest) * values[0], rel=1e-4)
    assert 3 / 4 - 1e-4 <= width / height <= 4 / 3 + 1e-4


def colors() -> Tensor:
    return 0.3 + 0.4 * torch.rand(8, 3, 5, 5, generator=generator(4))


def test_no_jitter_is_the_identity() -> None:
    images = colors()
    torch.testing.assert_close(jitter_color(images, torch.ones(8, 3), torch.zeros(8)), images)


@pytest.mark.parametrize(
    ("position", "name"),
    [
        (0, "adjust_brightness_accumulative"),
        (1, "adjust_contrast_with_mean_subtraction"),
        (2, "adjust_saturation_with_gray_subtraction"),
    ],
)
def test_factors_are_those_of_kornia(position: int, name: str) -> None:
    enhance = pytest.importorskip("kornia.enhance")
    images, factor = colors(), torch.linspace(0.7, 1.3, 8)
    factors = torch.ones(8, 3)
    factors[:, position] = factor
    ours = jitter_color(images, factors, torch.zeros(8))
    torch.testing.assert_close(ours, getattr(enhance, name)(images, factor), atol=2e-3, rtol=0)


def test_factors_follow_one_another() -> None:
    images = colors()
    factors = torch.tensor([[1.1, 0.9, 0.8]]).expand(8, 3)
    turns = torch.linspace(-0.1, 0.1, 8)
    expected = images
    for position in range(3):
        alone = torch.ones(8, 3)
        alone[:, position] = factors[:, position]
        expected = jitter_color(expected, alone, torch.zeros(8))
    expected = jitter_color(expected, torch.ones(8, 3), turns)
    torch.testing.assert_close(jitter_color(images, factors, turns), expected)


def test_the_hue_turns_in_yiq() -> None:
    color = pytest.importorskip("kornia.color")
    images, turns = colors(), torch.linspace(-0.2, 0.2, 8)
    before = color.rgb_to_yuv(images)  # U and V are I and Q turned by 33 degrees
    after = color.rgb_to_yuv(jitter_color(images, torch.ones(8, 3), turns))
    torch.testing.assert_close(after[:, 0], before[:, 0], atol=2e-3, rtol=0)
    angle = torch.atan2(after[:, 2], after[:, 1]) - torch.atan2(before[:, 2], before[:, 1])
    expected = (-2 * math.pi * turns)[:, None, None].expand_as(angle)
    wrapped = torch.remainder(angle - expected + math.pi, 2 * math.pi) - math.pi
    assert wrapped.abs().mean() < 0.08  # the television norms differ in scale of U and V
    gray = torch.full((8, 3, 2, 2), 0.4)
    torch.testing.assert_close(jitter_color(gray, torch.ones(8, 3), turns), gray, atol=1e-3, rtol=0)


def test_the_strength_bounds_the_jitter() -> None:
    gray = torch.full((500, 3, 4, 4), 128, dtype=torch.uint8)
    views = ImageAugment(AugmentConfig(crop_scale=1, color=0.4))(gray, generator())
    share = views.mean(dim=(1, 2, 3)) / (128 / 255)
    assert 0.59 < share.min() < 0.65
    assert 1.35 < share.max() < 1.41


def test_the_strength_bounds_the_turn_of_the_hue() -> None:
    """A color that no jitter drives out of range: its chroma turns by color / 4 at most."""
    calm = torch.tensor([100, 80, 90], dtype=torch.uint8)[None, :, None, None]
    augment = ImageAugment(AugmentConfig(crop_scale=1, color=0.4))
    views = augment(calm.expand(500, 3, 4, 4), generator()).mean(dim=(2, 3))
    chroma = torch.tensor([[0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
    across, along = (views @ chroma.T).flip(1).unbind(dim=1)
    start = chroma @ calm.flatten().float()
    turns = (torch.atan2(across, along) - torch.atan2(start[1], start[0])) / (2 * math.pi)
    assert 0.09 < turns.max() < 0.102
    assert -0.102 < turns.min() < -0.09


rows = st.lists(st.integers(0, 9), min_size=1, max_size=8)


def batch(lengths: list[int], spare: int = 0) -> tuple[Tensor, Tensor]:
    """Captions of ``lengths`` words, each word different from all others."""
    width = max(lengths) + 2 + spare
    ids = torch.full((len(lengths), width), PAD)
    for row, length in enumerate(lengths):
        words = [100 + 20 * row + word for word in range(length)]
        ids[row, : length + 2] = torch.tensor([CLS, *words, SEP])
    return ids, ids != PAD


@given(lengths=rows, spare=st.integers(0, 3), rate=st.floats(0, 1), seed=st.integers(0, 2**31))
@settings(max_examples=200)
def test_masking_spares_special_tokens_and_a_word(
    lengths: list[int], spare: int, rate: float, seed: int
) -> None:
    ids, mask = batch(lengths, spare)
    masked = mask_words(ids, mask, rate, MASK, generator(seed))
    changed = masked != ids
    assert set(masked[changed].tolist()) <= {MASK}
    assert (ids[changed] >= 100).all()
    words = (ids >= 100).sum(dim=1)
    assert (changed.sum(dim=1) <= (words - 1).clamp(min=0)).all()
    assert chosen_words(mask, rate, generator(seed)).equal(changed)


@given(lengths=rows, spare=st.integers(0, 3), rate=st.floats(0, 1), seed=st.integers(0, 2**31))
@settings(max_examples=200)
def test_deleting_is_masking_with_the_masks_left_out(
    lengths: list[int], spare: int, rate: float, seed: int
) -> None:
    ids, mask = batch(lengths, spare)
    masked = mask_words(ids, mask, rate, MASK, generator(seed))
    shorter, left = delete_words(ids, mask, rate, PAD, generator(seed))
    for row in range(len(ids)):
        expected = [token for token in masked[row].tolist() if token not in (MASK, PAD)]
        padding = ids.shape[1] - len(expected)
        assert shorter[row].tolist() == expected + [PAD] * padding
        assert left[row].tolist() == [True] * len(expected) + [False] * padding


@pytest.mark.parametrize("rate", [0.0, 0.15, 0.5])
def test_the_rate_is_kept(rate: float) -> None:
    _, mask = batch([20] * 400)
    share = chosen_words(mask, rate, generator()).sum() / (400 * 20)
    assert abs(share - rate) < 0.02


def test_a_sure_choice_leaves_exactly_one_word() -> None:
    ids, mask = batch([1, 2, 9, 0])
    masked = mask_words(ids, mask, 1.0, MASK, generator())
    assert (masked >= 100).sum(dim=1).tolist() == [1, 1, 1, 0]


def test_every_word_is_chosen_and_spared_at_times() -> None:
    _, mask = batch([4] * 300)
    chosen = chosen_words(mask, 0.9, generator()).float().mean(dim=0)
    assert chosen[0] == chosen[-1] == 0
    assert ((chosen[1:5] > 0.6) & (chosen[1:5] < 0.9)).all()


def test_the_arguments_are_left_alone() -> None:
    ids, mask = batch([3, 5])
    before = ids.clone(), mask.clone()
    mask_words(ids, mask, 0.5, MASK, generator())
    delete_words(ids, mask, 0.5, PAD, generator())
    assert ids.equal(before[0])
    assert mask.equal(before[1])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_gives_the_same_views() -> None:
    config = AugmentConfig(color=0.4, flip=0.5)
    pixels = noise(20, 32)
    here = ImageAugment(config)(pixels, generator())
    there = ImageAugment(config)(pixels.cuda(), generator())
    torch.testing.assert_close(there.cpu(), here, atol=2e-3, rtol=0)
    ids, mask = batch([3, 9, 1])
    masked = mask_words(ids.cuda(), mask.cuda(), 0.5, MASK, generator())
    assert masked.cpu().equal(mask_words(ids, mask, 0.5, MASK, generator()))


def test_another_caption_is_of_the_same_image_and_another_one():
    caption_image = np.repeat(np.arange(5), [1, 2, 5, 1, 3])
    indices = np.arange(len(caption_image))
    counts = np.bincount(caption_image)[caption_image]
    seen: list[set[int]] = [set() for _ in indices]
    for seed in range(80):
        generator = torch.Generator().manual_seed(seed)
        found = other_captions(indices, caption_image, generator)
        assert (caption_image[found] == caption_image).all()
        assert ((found == indices) == (counts == 1)).all()
        for known, caption in zip(seen, found.tolist(), strict=True):
            known.add(caption)
    assert [len(known) for known in seen] == np.maximum(counts - 1, 1).tolist()
