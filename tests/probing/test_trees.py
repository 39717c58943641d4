from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.csgraph import shortest_path

from neuroling.probing.trees import check_heads, edges_of, random_heads, spanning_tree, tree_depths, tree_distances


def tree(seed: int, n: int) -> np.ndarray:
    return random_heads(n, np.random.default_rng(seed))


def adjacency(heads: np.ndarray) -> np.ndarray:
    square = np.zeros((len(heads), len(heads)))
    for word, head in enumerate(heads):
        if head:
            square[word, head - 1] = square[head - 1, word] = 1
    return square


def prim(square: np.ndarray) -> float:
    """Weight of the spanning tree, grown word by word."""
    inside, total = {0}, 0.0
    while len(inside) < len(square):
        weight, word = min((square[a, b], b) for a in inside for b in range(len(square)) if b not in inside)
        inside.add(word)
        total += weight
    return total


def test_distances_and_depths_of_a_tree_drawn_by_hand() -> None:
    heads = [2, 0, 5, 5, 2]  # 1 <- 2 -> 5 -> {3, 4}
    assert tree_depths(heads).tolist() == [1, 0, 2, 2, 1]
    assert tree_distances(heads)[0].tolist() == [0, 1, 3, 3, 2]
    assert edges_of(heads).tolist() == [[0, 1], [1, 4], [2, 4], [3, 4]]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 25))
def test_distances_are_shortest_paths(seed: int, n: int) -> None:
    heads = tree(seed, n)
    np.testing.assert_array_equal(tree_distances(heads), shortest_path(adjacency(heads), unweighted=True))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 25))
def test_the_spanning_tree_of_tree_distances_is_the_tree(seed: int, n: int) -> None:
    heads = tree(seed, n)
    assert spanning_tree(tree_distances(heads)).tolist() == edges_of(heads).tolist()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 12))
def test_the_spanning_tree_is_as_light_as_one_grown_word_by_word(seed: int, n: int) -> None:
    square = np.random.default_rng(seed).integers(0, 4, (n, n)).astype(float)  # zeros and ties on purpose
    square = np.triu(square, 1) + np.triu(square, 1).T
    edges = spanning_tree(square)
    assert len(edges) == n - 1
    assert square[edges[:, 0], edges[:, 1]].sum() == pytest.approx(prim(square))


def test_adding_to_all_distances_changes_no_edge() -> None:
    square = tree_distances(tree(0, 9)) ** 1.5
    np.testing.assert_array_equal(spanning_tree(square), spanning_tree(square + 5))


def test_one_word_has_no_edge() -> None:
    assert spanning_tree(np.zeros((1, 1))).shape == edges_of([0]).shape == (0, 2)


def test_every_labelled_tree_is_drawn_equally_often() -> None:
    rng = np.random.default_rng(0)
    drawn = [tuple(map(tuple, edges_of(random_heads(4, rng)))) for _ in range(3200)]
    counts = np.array([drawn.count(kind) for kind in set(drawn)])
    assert len(counts) == 16  # Cayley: n ** (n - 2)
    assert ((counts - 200) ** 2 / 200).sum() < 37.7  # chi square with 15 degrees of freedom, p = 0.001


def test_equal_seeds_draw_the_same_tree_and_others_do_not() -> None:
    assert tree(1, 12).tolist() == tree(1, 12).tolist() != tree(2, 12).tolist()


@pytest.mark.parametrize(
    ("heads", "message"),
    [
        ([2, 1, 0], "in a cycle"),
        ([0, 0], "2 words have head 0"),
        ([2, 1], "0 words have head 0"),
        ([0, 3], "values from 0 to 3"),
        ([], "shape"),
    ],
    ids=str,
)
def test_what_is_no_tree_is_refused(heads: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_heads(np.asarray(heads, dtype=int))


def test_fractional_heads_are_refused() -> None:
    with pytest.raises(TypeError, match="whole numbers"):
        check_heads([0.0, 1.0])


@pytest.mark.parametrize("distances", [[1.0, np.nan, 2.0], [[0.0, 1.0], [2.0, 0.0]]], ids=["nan", "one way"])
def test_distances_that_are_none_are_refused(distances: list[float]) -> None:
    with pytest.raises(ValueError, match="distances"):
        spanning_tree(distances)
