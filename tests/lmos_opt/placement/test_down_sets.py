from lmos_opt.placement.down_sets import WORD, down_sets, n_words, number, words
from tests.lmos_opt.placement.graphs import random_blocks, subsets


def numbers(found):
    return [number(found[:, k]) for k in range(found.shape[1])]


def test_every_down_set_is_listed_once():
    for seed in range(40):
        needs = random_blocks(seed, 8).needs
        assert sorted(numbers(down_sets(needs, 300))) == subsets(needs)


def test_more_than_asked_for_are_none():
    assert down_sets([0] * 5, 31) is None
    assert down_sets([0] * 5, 32).shape == (1, 32)


def test_blocks_beyond_a_word_have_bits_of_their_own():
    chain = [0, *(1 << k for k in range(2 * WORD))]
    found = numbers(down_sets(chain, 1000))
    assert found == [(1 << k) - 1 for k in range(2 * WORD + 2)]
    assert numbers(words(found, n_words(2) * WORD * 3)) == found


def test_a_width_keeps_to_the_order():
    assert numbers(down_sets([0] * 4, 100, 0)) == [0, 1, 3, 7, 15]
    near = numbers(down_sets([0] * 4, 100, 1))
    assert sorted(near) == [0, 0b1, 0b10, 0b11, 0b101, 0b111, 0b1011, 0b1111]
