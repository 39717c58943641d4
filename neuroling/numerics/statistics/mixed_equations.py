r"""The equations of the random effects: factored for one value of the variance parameters, then solved at will.

With :math:`\Lambda` the factor of the relative covariance of the random effects and :math:`U = Z\Lambda`, the
covariance of the rows over that of the residual is :math:`V = UU' + I`, and whatever a linear mixed model needs of it
follows from :math:`U'U + I`, the size of which does not depend on the number of rows (Henderson 1950; Bates, Maechler,
Bolker and Walker 2015, J Stat Softw 67:1, section 3). Its blocks are eliminated in an order that keeps them small:

1. A *nested* term, such as an intercept of each participant and item beside terms of participants and of items: a level
   touches few columns of the others, and what its elimination takes from their cross-products is a linear function of
   one small block for each level, held as one sparse matrix.
2. The *leading* term, the largest of those that remain block-diagonal: level by level, in one batch.
3. The rest: one dense Cholesky factor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, sparse

from neuroling.numerics.statistics.random_terms import RandomTerm

Array = NDArray[np.float64]

SPARSE = 10
"""An entry of a sparse matrix costs about as much as so many multiplications of a dense product."""


@dataclass(frozen=True)
class Order:
    """The order of elimination: numbers of terms.

    Attributes
    ----------
    nested : int or None
        Term that is eliminated first, through a sparse matrix; its levels lie within those of ``leading``.
    leading : int
        Term that is eliminated level by level.
    rest : tuple of int
        Terms that are factored densely.
    """

    nested: int | None
    leading: int
    rest: tuple[int, ...]


def choose_order(terms: Sequence[RandomTerm]) -> Order:
    """Choose the order of elimination that needs the fewest operations.

    Parameters
    ----------
    terms : sequence of RandomTerm
        Random effects of the model.

    Returns
    -------
    Order
    """
    sizes = [term.n_levels * term.n_effects for term in terms]
    largest = int(np.argmax(sizes))
    other_terms = [number for number in range(len(terms)) if number != largest]
    hosts = [number for number in other_terms if _is_nested(terms[largest].group, terms[number].group)]
    dense = float(sizes[largest]) * sum(sizes[number] for number in other_terms) ** 2
    if hosts and SPARSE * _touched_pairs(terms, largest, other_terms) < dense:
        leading = max(hosts, key=lambda number: sizes[number])
        return Order(largest, leading, tuple(number for number in other_terms if number != leading))
    return Order(None, largest, tuple(other_terms))


def _is_nested(inner: NDArray[np.intp], outer: NDArray[np.intp]) -> bool:
    """Whether all rows of a level of one grouping belong to one level of another."""
    host = np.empty(int(inner.max()) + 1, dtype=np.intp)
    host[inner] = outer
    return bool((host[inner] == outer).all())


def _touched_pairs(terms: Sequence[RandomTerm], nested: int, others: Sequence[int]) -> float:
    """Count the entries of the sparse matrix that eliminating a nested term needs."""
    term = terms[nested]
    touched = np.zeros(term.n_levels)  # columns of the other terms that rows of a level belong to
    for number in others:
        other = terms[number]
        pairs = np.unique(term.group * np.intp(other.n_levels) + other.group)
        touched += other.n_effects * np.bincount(pairs // other.n_levels, minlength=term.n_levels)
    return term.n_effects**2 * float((touched**2).sum())


class MixedEquations:
    """Cross-products of the random effects' design, which do not depend on the variances.

    Parameters
    ----------
    terms : sequence of RandomTerm
        Random effects.
    order : Order, optional
        Order of elimination; that of :func:`choose_order` without it. Results do not depend on it.

    Examples
    --------
    >>> person, item = np.divmod(np.arange(12), 4)
    >>> ones = np.ones((12, 1))
    >>> equations = MixedEquations([RandomTerm(person, ones), RandomTerm(item, ones)])
    >>> factored = equations.factorise([np.array([[0.5]]), np.array([[0.0]])])
    >>> V = np.eye(12) + 0.25 * (person[:, None] == person)
    >>> bool(np.isclose(factored.log_determinant, np.linalg.slogdet(V)[1]))
    True
    """

    def __init__(self, terms: Sequence[RandomTerm], order: Order | None = None) -> None:
        self.terms = tuple(terms)
        self.order = choose_order(terms) if order is None else order
        self.designs = [term.design() for term in terms]
        self.transposed = [Z.T.tocsr() for Z in self.designs]
        sizes = [self.designs[number].shape[1] for number in self.order.rest]
        self.cuts = np.cumsum([0, *sizes])  # columns of the rest, term by term
        Z1, leading = self.designs[self.order.leading], terms[self.order.leading]
        empty = sparse.csr_matrix((Z1.shape[0], 0))
        Z2 = sparse.hstack([empty, *(self.designs[number] for number in self.order.rest)], format="csr")
        beside = (
            (Z1.T @ Z2).toarray().reshape(leading.n_levels, leading.n_effects, Z2.shape[1])
        )  # (level, effect, rest)
        self.products = _Products(_blocks(Z1, leading.n_effects), beside, (Z2.T @ Z2).toarray())
        self.nested = None
        if self.order.nested is not None:
            self.nested = _Nested.of(self.order.nested, self, sparse.hstack([Z1, Z2], format="csr"))

    def factorise(self, factors: Sequence[Array]) -> FactoredEquations:
        r"""Eliminate the random effects for one value of the relative covariance factors.

        Parameters
        ----------
        factors : sequence of ndarray, shape (effect, effect)
            Factor of each term's covariance over the residual variance.

        Returns
        -------
        FactoredEquations

        Raises
        ------
        numpy.linalg.LinAlgError
            If a factor is so large that the equations lose their digits.
        """
        products, nested = self.products, None
        if self.nested is not None:
            nested = _eliminate(self.nested.gram, factors[self.nested.number])
            products = products.minus(self.nested.spread @ nested.absorbed.ravel())
        leading = _eliminate(products.gram, factors[self.order.leading])
        rest = [factors[number] for number in self.order.rest]
        halves = leading.root @ products.beside  # (level, effect, rest)
        schur = products.rest - np.tensordot(halves, halves, ((0, 1), (0, 1)))
        L = np.asarray(np.linalg.cholesky(self.scaled(self.scaled(schur, rest).T, rest) + np.eye(len(schur))))
        return FactoredEquations(self, tuple(factors), rest, products, nested, leading, schur, L)

    def scaled(self, columns: Array, factors: Sequence[Array]) -> Array:
        """Multiply the columns of the rest by their factors from the right, shape (…, rest) as given."""
        out = np.empty_like(columns)
        for start, stop, factor in zip(self.cuts[:-1], self.cuts[1:], factors, strict=True):
            part = columns[..., start:stop]
            out[..., start:stop] = (part.reshape(*part.shape[:-1], -1, len(factor)) @ factor).reshape(part.shape)
        return out

    def crossed(self, rows: Array) -> list[Array]:
        """Sum columns over the levels of each term, times what varies: Z'W of W (row, column).

        Returns
        -------
        list of ndarray, shape (level, effect, column)
        """
        return [
            np.asarray(Zt @ rows).reshape(-1, term.n_effects, rows.shape[1])
            for Zt, term in zip(self.transposed, self.terms, strict=True)
        ]

    def fitted(self, effects: Sequence[Array]) -> Array:
        """Add the random effects (level, effect, column) of all terms up by rows, shape (row, column)."""
        parts = [Z @ effect.reshape(Z.shape[1], -1) for Z, effect in zip(self.designs, effects, strict=True)]
        return np.asarray(sum(parts[1:], parts[0]))


@dataclass(frozen=True)
class _Products:
    """Cross-products of the leading term, of it with the rest, and of the rest."""

    gram: Array  # (level, effect, effect)
    beside: Array  # (level, effect, rest)
    rest: Array  # (rest, rest)

    def minus(self, flat: Array) -> _Products:
        """Subtract what stands one after the other in a vector."""
        first = self.gram.size
        second = first + self.beside.size
        return _Products(
            self.gram - flat[:first].reshape(self.gram.shape),
            self.beside - flat[first:second].reshape(self.beside.shape),
            self.rest - flat[second:].reshape(self.rest.shape),
        )


@dataclass(frozen=True)
class _Nested:
    """Cross-products of a nested term."""

    number: int  # of the term
    gram: Array  # (level, effect, effect)
    beside: sparse.csr_matrix  # (level × effect, columns of leading and rest)
    spread: sparse.csr_matrix  # (entry of the products, level × effect × effect)

    @classmethod
    def of(cls, number: int, equations: MixedEquations, others: sparse.csr_matrix) -> _Nested:
        Z, n_effects = equations.designs[number], equations.terms[number].n_effects
        beside = (Z.T @ others).tocsr()
        return cls(number, _blocks(Z, n_effects), beside, _spread(beside, n_effects, equations.products))


@dataclass(frozen=True)
class _Eliminated:
    """One term eliminated: G its cross-products, F its factor, S = F F', D = F' G F + I = L L'."""

    factor: Array  # (effect, effect), F
    inverse: Array  # (level, effect, effect), D^-1
    root: Array  # (level, effect, effect), L^-1 F'
    remaining: Array  # (level, effect, effect), (I + G S)^-1
    log_determinant: float

    @cached_property
    def absorbed(self) -> Array:
        """S (I + G S)^-1, shape (level, effect, effect)."""
        return np.asarray(self.root.transpose(0, 2, 1) @ self.root)


def _eliminate(gram: Array, factor: Array) -> _Eliminated:
    identity = np.eye(len(factor))
    if len(factor) == 1:
        D = 1 + factor[0, 0] ** 2 * gram
        return _Eliminated(factor, 1 / D, factor[0, 0] / np.sqrt(D), 1 / D, float(np.log(D).sum()))
    L = np.linalg.cholesky(factor.T @ gram @ factor + identity)
    half = np.asarray(np.linalg.solve(L, np.broadcast_to(identity, L.shape)))
    remaining = np.asarray(np.linalg.solve(identity + gram @ (factor @ factor.T), np.broadcast_to(identity, L.shape)))
    logs = np.log(np.diagonal(L, axis1=1, axis2=2))
    return _Eliminated(factor, half.transpose(0, 2, 1) @ half, half @ factor.T, remaining, 2 * float(logs.sum()))


@dataclass(frozen=True)
class FactoredEquations:
    """The equations at one value of the variance parameters."""

    equations: MixedEquations
    factors: tuple[Array, ...]
    rest: list[Array]  # factors of the rest
    products: _Products
    nested: _Eliminated | None
    leading: _Eliminated
    schur: Array  # (rest, rest), cross-products of the rest without the other terms
    L: Array  # (rest, rest), lower Cholesky factor of the scaled ones

    @cached_property
    def log_determinant(self) -> float:
        """Give log |V|."""
        nested = 0.0 if self.nested is None else self.nested.log_determinant
        return nested + self.leading.log_determinant + 2 * float(np.log(np.diag(self.L)).sum())

    def solve(self, scaled: Sequence[Array]) -> list[Array]:
        r"""Solve :math:`(U'U + I)u = U'W`.

        Parameters
        ----------
        scaled : sequence of ndarray, shape (level, effect, column)
            U'W of each term.

        Returns
        -------
        list of ndarray, shape (level, effect, column)
            Random effects before they are multiplied by the factors of their covariances.
        """
        equations, order = self.equations, self.equations.order
        solved, n_columns = list(scaled), scaled[0].shape[2]
        first = scaled[order.leading]
        rest = np.concatenate([np.empty((0, n_columns)), *(scaled[t].reshape(-1, n_columns) for t in order.rest)])
        if self.nested is not None and equations.nested is not None:
            effects = self.nested.factor @ (self.nested.inverse @ scaled[equations.nested.number])
            taken = equations.nested.beside.T @ effects.reshape(-1, n_columns)  # (leading and rest, column)
            n_leading = first.shape[0] * first.shape[1]
            first = first - self.leading.factor.T @ taken[:n_leading].reshape(first.shape)
            rest = rest - self._scaled_rows(taken[n_leading:])
        effects = self.leading.factor @ (self.leading.inverse @ first)  # (level, effect, column)
        taken = np.tensordot(self.products.beside, effects, ((0, 1), (0, 1)))  # (rest, column)
        u2 = linalg.cho_solve((self.L, True), rest - self._scaled_rows(taken), check_finite=False)
        for start, stop, number in zip(equations.cuts[:-1], equations.cuts[1:], order.rest, strict=True):
            solved[number] = u2[start:stop].reshape(scaled[number].shape)
        b2 = equations.scaled(u2.T, [factor.T for factor in self.rest]).T
        solved[order.leading] = self.leading.inverse @ (first - self.leading.factor.T @ (self.products.beside @ b2))
        if self.nested is not None and equations.nested is not None:
            b1 = self.leading.factor @ solved[order.leading]
            taken = equations.nested.beside @ np.concatenate([b1.reshape(-1, n_columns), b2])
            number = equations.nested.number
            taken = self.nested.factor.T @ taken.reshape(scaled[number].shape)
            solved[number] = self.nested.inverse @ (scaled[number] - taken)
        return solved

    def _scaled_rows(self, rows: Array) -> Array:
        return self.equations.scaled(rows.T, self.rest).T

    def traces(self) -> list[Array]:
        r"""Sum the blocks of :math:`Z'V^{-1}U` over the levels of each term.

        Twice these are the derivatives of log |V| by the factors, since :math:`V` moves by
        :math:`Z(dF F' + F dF')Z'`.

        Returns
        -------
        list of ndarray, shape (effect, effect)
        """
        equations, order = self.equations, self.equations.order
        root = linalg.solve_triangular(self.L, np.eye(len(self.L)), lower=True, check_finite=False)
        K = root.T @ root  # derivative of log |V| by the scaled products of the rest
        traces: list[Array] = [np.empty(0)] * len(equations.terms)
        rest = equations.scaled(self.schur, self.rest) @ K  # keeps the digits that a difference from schur would lose
        for start, stop, number in zip(equations.cuts[:-1], equations.cuts[1:], order.rest, strict=True):
            n_effects = equations.terms[number].n_effects
            shape = ((stop - start) // n_effects, n_effects)
            traces[number] = np.einsum("lalb->ab", rest[start:stop, start:stop].reshape(*shape, *shape))
        E = self.leading.remaining
        beside = E @ equations.scaled(self.products.beside, self.rest)  # (level, effect, rest)
        beside_K = np.tensordot(beside, K, 1)
        leading = (E @ self.products.gram).sum(axis=0) - np.tensordot(beside_K, beside, ((0, 2), (0, 2)))
        traces[order.leading] = leading @ self.leading.factor
        if self.nested is not None and equations.nested is not None:
            nested = self._nested_trace(equations.nested, self.nested, K, beside_K)
            traces[equations.nested.number] = (nested + nested.T) @ self.nested.factor / 2
        return traces

    def _nested_trace(self, nested: _Nested, eliminated: _Eliminated, K: Array, beside_K: Array) -> Array:
        """Sum the blocks of Z'V^-1 Z: carry the derivatives by the products that the term has left back to its own."""
        transposed, scaled = [factor.T for factor in self.rest], self.equations.scaled
        covariance = self.leading.factor @ self.leading.factor.T
        by_rest = scaled(scaled(K, transposed).T, transposed)
        by_beside = -2 * scaled(covariance @ beside_K, transposed)
        absorbed_beside = self.leading.absorbed @ self.products.beside
        by_gram = self.leading.absorbed - by_beside @ absorbed_beside.transpose(0, 2, 1) / 2
        by_products = np.concatenate([by_gram.ravel(), by_beside.ravel(), by_rest.ravel()])
        by_absorbed = -(nested.spread.T @ by_products).reshape(nested.gram.shape)
        E = eliminated.remaining
        return np.asarray((E @ nested.gram + E @ by_absorbed @ E.transpose(0, 2, 1)).sum(axis=0))


def _blocks(Z: sparse.csr_matrix, n_effects: int) -> Array:
    """Give the blocks on the diagonal of Z'Z, shape (level, effect, effect)."""
    gram = (Z.T @ Z).tobsr(blocksize=(n_effects, n_effects))
    gram.sort_indices()
    return np.asarray(gram.data)


def _spread(beside: sparse.csr_matrix, n_effects: int, products: _Products) -> sparse.csr_matrix:
    """Arrange the map from what the levels of a nested term absorb to what they take from the products of the others.

    A level's block w (effect, effect) takes b_i' w b_j from the product of columns i and j, of which b_i (effect,) are
    the cross-products with the level.
    """
    blocks = beside.tobsr(blocksize=(n_effects, 1))
    blocks.sort_indices()
    counts = np.diff(blocks.indptr)  # columns that a level touches
    level = np.repeat(np.arange(len(counts)), counts**2)
    within = np.arange(len(level)) - np.repeat(np.cumsum(counts**2) - counts**2, counts**2)
    start, count = blocks.indptr[level], counts[level]
    left, right = start + within // count, start + within % count  # entries of the level, in pairs
    entry = _entries(blocks.indices[left], blocks.indices[right], products)
    used = entry >= 0
    left, right, entry, level = left[used], right[used], entry[used], level[used]
    values = blocks.data[left][:, :, 0][:, :, None] * blocks.data[right][:, :, 0][:, None, :]  # (pair, effect, effect)
    size = n_effects**2
    columns = level[:, None] * size + np.arange(size)
    shape = (products.gram.size + products.beside.size + products.rest.size, len(counts) * size)
    return sparse.csr_matrix((values.ravel(), (np.repeat(entry, size), columns.ravel())), shape=shape)


def _entries(i: NDArray[np.intp], j: NDArray[np.intp], products: _Products) -> NDArray[np.intp]:
    """Find where the product of two columns stands in the flat products; -1 where only its mirror image does."""
    k, n_rest = products.gram.shape[1], products.rest.shape[0]
    n_leading = products.gram.shape[0] * k
    entry = np.full(len(i), -1, dtype=np.intp)
    both = (i < n_leading) & (j < n_leading)  # of one level, since the other grouping is nested in it
    entry[both] = (i // k * k * k + i % k * k + j % k)[both]
    mixed = (i < n_leading) & (j >= n_leading)
    entry[mixed] = (products.gram.size + i * n_rest + j - n_leading)[mixed]
    rest = (i >= n_leading) & (j >= n_leading)
    at = products.gram.size + products.beside.size
    entry[rest] = (at + (i - n_leading) * n_rest + j - n_leading)[rest]
    return entry
