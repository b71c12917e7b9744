"""What can be asked for: what is wrong is one sentence, what is left open is chosen."""

from __future__ import annotations

import pytest

from bench.running.options import Options, check, chosen_preset
from cookie.errors import UserError


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (Options(), "--table N, or --all"),
        (Options(table="2", all=True), "--table N, or --all"),
        (Options(table="2", sharing=True), "or --sharing"),
        (Options(all=True, sharing=True), "or --sharing"),
        (Options(table="22"), "Unknown table '22': did you mean '2'?"),
        (Options(table="x"), "choose one of: 1, 2"),
        (Options(table="2", systems=("cookie", "cooky")), "did you mean 'cookie'?"),
        (Options(table="2", preset="tinny"), "did you mean 'tiny'?"),
        (Options(table="2", seeds=()), "--seeds"),
        (Options(table="2", seeds=(1, 1)), "--seeds"),
        (Options(table="2", seeds=(-1,)), "The seed is -1"),
        (Options(table="2", limit=1), "--limit"),
        (Options(table="2", accuracy_seconds=0), "--accuracy-seconds"),
        (Options(table="2", accuracy_seconds=float("nan")), "--accuracy-seconds"),
        (Options(all=True, budget_minutes=0), "--budget-minutes needs a positive number"),
        (Options(all=True, budget_minutes=-3), "--budget-minutes needs a positive number"),
        (Options(all=True, budget_minutes=float("nan")), "--budget-minutes needs a positive"),
        (Options(all=True, budget_minutes=float("inf")), "--budget-minutes needs a positive"),
        (Options(all=True, budget_minutes=5, force=True), "give one of them"),
    ],
)
def test_wrong_options_are_one_sentence(options: Options, message: str) -> None:
    with pytest.raises(UserError) as caught:
        check(options)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_good_options_pass() -> None:
    check(Options(table="2"))
    check(Options(all=True, preset="smoke", seeds=(0, 1, 2), limit=2))
    check(Options(sharing=True))
    check(Options(table="1", systems=("cookie", "unshared")))


def test_the_preset_suits_the_data_set() -> None:
    assert chosen_preset(Options()) == "tiny"
    assert chosen_preset(Options(dataset="flickr8k")) == "small"
    assert chosen_preset(Options(dataset="flickr8k", preset="tiny")) == "tiny"
