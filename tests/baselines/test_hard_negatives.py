"""Hard negatives: never a matching pair, drawn as the softmax says, laid out as documented."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from baselines.hard_negatives import candidates, sample_negatives, training_pairs


@settings(deadline=None, max_examples=30)
@given(size=st.integers(2, 9), data=st.data(), seed=st.integers(0, 99), scale=st.floats(0, 1e4))
def test_negatives_are_others_and_distinct(size: int, data: st.DataObject, seed: int, scale: float):
    count = data.draw(st.integers(1, size - 1))
    torch.manual_seed(seed)
    chosen = sample_negatives(scale * torch.randn(size, size), count)
    assert chosen.shape == (size, count)
    for row, columns in enumerate(chosen.tolist()):
        assert row not in columns
        assert len(set(columns)) == count


def test_negatives_follow_the_softmax_of_the_others():
    torch.manual_seed(0)
    similarity = torch.tensor([[9.0, 0.0, 1.0, 2.0]]).repeat(4, 1)
    draws = torch.stack([sample_negatives(similarity, 1)[0, 0] for _ in range(4000)])
    found = torch.bincount(draws, minlength=4) / 4000
    wanted = torch.tensor([0.0, *torch.tensor([0.0, 1.0, 2.0]).softmax(dim=0).tolist()])
    assert torch.allclose(found, wanted, atol=0.03)  # four standard errors


@pytest.mark.parametrize("count", [0, 3])
def test_impossible_numbers_of_negatives_are_refused(count: int):
    with pytest.raises(ValueError, match="negatives"):
        sample_negatives(torch.zeros(3, 3), count)


def test_sampling_keeps_no_graph():
    similarity = torch.zeros(3, 3, requires_grad=True)
    assert not sample_negatives(similarity, 1).requires_grad


def test_pairs_hold_each_positive_and_each_side_of_every_negative():
    torch.manual_seed(1)
    pairs = training_pairs(torch.randn(4, 4), 2)
    images, captions = pairs.images.tolist(), pairs.captions.tolist()
    assert images[:4] == captions[:4] == [0, 1, 2, 3]
    assert images[4:12] == [0, 0, 1, 1, 2, 2, 3, 3]
    assert captions[12:] == [0, 0, 1, 1, 2, 2, 3, 3]
    assert all(a != b for a, b in zip(images[4:], captions[4:], strict=True))


def test_captions_are_drawn_by_rows_and_images_by_columns():
    similarity = torch.full((3, 3), -1e6)
    similarity[0, 2] = similarity[1, 0] = similarity[2, 1] = 1e6
    pairs = training_pairs(similarity, 1)
    assert pairs.captions[3:6].tolist() == [2, 0, 1]  # of image 0, 1, 2
    assert pairs.images[6:].tolist() == [1, 2, 0]  # of caption 0, 1, 2


def test_some_rows_draw_from_the_whole_batch():
    similarity = torch.full((4, 4), -1e6)
    similarity[0, 3] = similarity[3, 1] = similarity[1, 2] = similarity[2, 0] = 1e6
    pairs = training_pairs(similarity, 1, rows=2)
    assert pairs.images.tolist() == [0, 1, 0, 1, 2, 3]
    assert pairs.captions.tolist() == [0, 1, 3, 2, 0, 1]


def test_a_small_batch_gives_as_many_negatives_as_there_are():
    assert training_pairs(torch.zeros(3, 3), 5).negatives == 2
    alone = training_pairs(torch.zeros(1, 1), 5)
    assert alone.negatives == 0
    assert alone.images.tolist() == alone.captions.tolist() == [0]


@pytest.mark.parametrize("negatives", [0, 1, 3])
def test_tables_put_the_positive_first_and_the_right_negatives_beside_it(negatives: int):
    torch.manual_seed(2)
    pairs = (
        training_pairs(torch.randn(4, 4), negatives)
        if negatives
        else training_pairs(torch.randn(1, 1), 1)
    )
    scores = 10.0 * pairs.images + pairs.captions  # says which pair it is
    by_image, by_caption = candidates(scores, pairs.negatives)
    for row in range(len(by_image)):
        assert by_image[row, 0] == by_caption[row, 0] == 11 * row
        assert all(int(score) // 10 == row for score in by_image[row])
        assert all(int(score) % 10 == row for score in by_caption[row])
        assert all(score != 11 * row for score in [*by_image[row, 1:], *by_caption[row, 1:]])
    assert by_image.shape == by_caption.shape == (len(by_image), 1 + pairs.negatives)
