"""The equations of the random effects against the covariance of the rows, held in memory as a whole."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import linalg

from neuroling.numerics.statistics.mixed_equations import MixedEquations, Order, choose_order
from neuroling.numerics.statistics.random_terms import RandomTerm


def rows(seed=0, n=240):
    rng = np.random.default_rng(seed)
    person, item = rng.permutation(n) % 6, rng.permutation(n) % 8
    _, cell = np.unique(8 * person + item, return_inverse=True)
    noun = 2 * item + rng.integers(0, 2, n)
    return rng, np.column_stack([np.ones(n), rng.standard_normal(n)]), person, item, noun, cell


def models():
    _, X, person, item, noun, cell = rows()
    one = X[:, :1]
    people, items = RandomTerm(person, X, correlated=True), RandomTerm(item, X)
    return {
        "one term": [people],
        "crossed": [people, items],
        "three": [people, items, RandomTerm(noun, one)],
        "cells": [people, RandomTerm(cell, one), items],
        "cells and nouns": [RandomTerm(noun, one), people, items, RandomTerm(cell, one)],
        "correlated slopes of cells": [RandomTerm(cell, X, correlated=True), people, items],
        "slopes of cells": [items, RandomTerm(cell, X), RandomTerm(person, one), RandomTerm(person, X[:, 1:])],
    }


MODELS = models()


def random_factors(terms, seed=1):
    rng = np.random.default_rng(seed)
    return [term.factor(rng.standard_normal(term.n_parameters)) for term in terms]


def dense(terms, factors):
    """Covariance of the rows, (row, row), and the design of every term."""
    designs = [term.design().toarray() for term in terms]
    V = np.eye(len(designs[0]))
    for Z, term, factor in zip(designs, terms, factors, strict=True):
        V += Z @ np.kron(np.eye(term.n_levels), factor @ factor.T) @ Z.T
    return V, designs


@pytest.mark.parametrize("name", MODELS)
def test_log_determinant_is_that_of_the_rows(name):
    terms = MODELS[name]
    factors = random_factors(terms)
    factored = MixedEquations(terms).factorise(factors)
    assert factored.log_determinant == pytest.approx(np.linalg.slogdet(dense(terms, factors)[0])[1], rel=1e-12)


@pytest.mark.parametrize("name", MODELS)
def test_what_the_solution_leaves_is_the_whitened_column(name):
    terms = MODELS[name]
    factors, columns = random_factors(terms), rows(2)[0].standard_normal((240, 3))
    equations = MixedEquations(terms)
    crossed = [factor.T @ c for factor, c in zip(factors, equations.crossed(columns), strict=True)]
    spherical = equations.factorise(factors).solve(crossed)
    left = columns - equations.fitted([factor @ u for factor, u in zip(factors, spherical, strict=True)])
    np.testing.assert_allclose(left, np.linalg.solve(dense(terms, factors)[0], columns), atol=1e-11)


@pytest.mark.parametrize("name", MODELS)
def test_traces_are_blocks_of_the_whitened_products(name):
    terms = MODELS[name]
    factors = random_factors(terms)
    V, designs = dense(terms, factors)
    traces = MixedEquations(terms).factorise(factors).traces()
    for trace, Z, term, factor in zip(traces, designs, terms, factors, strict=True):
        whole = (Z.T @ linalg.solve(V, Z)).reshape(term.n_levels, term.n_effects, term.n_levels, term.n_effects)
        np.testing.assert_allclose(trace, np.einsum("lalb->ab", whole) @ factor, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", ["cells", "cells and nouns", "correlated slopes of cells", "slopes of cells"])
def test_no_result_depends_on_the_order_of_elimination(name):
    terms = MODELS[name]
    factors, columns = random_factors(terms), rows(3)[0].standard_normal((240, 2))
    sizes = [term.n_levels * term.n_effects for term in terms]
    largest = int(np.argmax(sizes))
    densely = Order(None, largest, tuple(number for number in range(len(terms)) if number != largest))
    assert choose_order(terms).nested == largest
    one, other = (MixedEquations(terms, order) for order in (None, densely))
    first, second = one.factorise(factors), other.factorise(factors)
    assert first.log_determinant == pytest.approx(second.log_determinant, rel=1e-13)
    for a, b in zip(first.traces(), second.traces(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10)
    crossed = [factor.T @ c for factor, c in zip(factors, one.crossed(columns), strict=True)]
    for a, b in zip(first.solve(crossed), second.solve(crossed), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-11)


def test_effects_without_variance_leave_the_others_as_they_are():
    terms = MODELS["cells"]
    factors = random_factors(terms)
    factors[1] = np.zeros((1, 1))
    with_cells = MixedEquations(terms).factorise(factors)
    without = MixedEquations([terms[0], terms[2]]).factorise([factors[0], factors[2]])
    assert with_cells.log_determinant == pytest.approx(without.log_determinant, rel=1e-13)
    np.testing.assert_allclose(with_cells.traces()[2], without.traces()[1], rtol=1e-11)


def test_cells_of_participants_and_items_are_eliminated_first():
    _, X, person, item, _, cell = rows()
    terms = [RandomTerm(person, X), RandomTerm(item, X), RandomTerm(cell, X[:, :1])]
    assert choose_order(terms) == Order(nested=2, leading=1, rest=(0,))


def test_levels_that_cross_are_eliminated_level_by_level():
    _, X, person, item, _, _ = rows()
    assert choose_order([RandomTerm(person, X[:, :1]), RandomTerm(item, X)]) == Order(None, 1, (0,))


def test_a_nested_grouping_that_touches_most_columns_is_not_held_sparse():
    person = np.arange(400) % 40
    item = np.arange(400) // 40
    pair = item // 2  # items lie within pairs, and every item meets every person
    one = np.ones((400, 1))
    terms = [RandomTerm(item, np.column_stack([one] * 8)), RandomTerm(pair, one), RandomTerm(person, one)]
    assert choose_order(terms).nested is None
