"""Products, factors and eigenvectors: every library gives the same, whatever the layout in memory."""

import numpy as np
import pytest
import torch

from neuroling.numerics import products
from neuroling.numerics.products import add_product, cholesky, cholesky_solve, eigh, invert, multiply

pytestmark = pytest.mark.usefixtures("product_library")

RNG = np.random.default_rng
DTYPES = [torch.float32, torch.float64]
CLOSE = {torch.float32: 1e-5, torch.float64: 1e-13}


def _random(*shape, dtype=torch.float64, seed=0):
    return torch.from_numpy(RNG(seed).standard_normal(shape)).to(dtype)


def _definite(n, dtype, seed=0):
    values = _random(n, 2 * n, seed=seed)
    return (values @ values.T / n + torch.eye(n)).to(dtype)


LAYOUTS = {
    "rows": lambda matrix: matrix.contiguous(),
    "columns": lambda matrix: matrix.mT.contiguous().mT,
    "slice of columns": lambda matrix: torch.cat([matrix, matrix], 1)[:, : matrix.shape[1]],
    "slice of rows by columns": lambda matrix: torch.cat([matrix, matrix]).mT.contiguous().mT[: len(matrix)],
    "every other": lambda matrix: matrix.repeat_interleave(2, 1)[:, ::2],
    "one row for all": lambda matrix: matrix[:1].expand(matrix.shape),
}


@pytest.mark.parametrize("right", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("left", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_product_does_not_depend_on_the_layout(dtype, left, right):
    first, second = left(_random(47, 35, dtype=dtype)), right(_random(35, 56, dtype=dtype, seed=1))
    truth = (first.double() @ second.double()).to(dtype)
    torch.testing.assert_close(multiply(first, second), truth, rtol=0, atol=100 * CLOSE[dtype])


@pytest.mark.parametrize("out", [name for name in LAYOUTS if name != "one row for all"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_product_goes_where_it_is_told_and_nowhere_else(dtype, out):
    left, right = _random(47, 35, dtype=dtype), _random(35, 56, dtype=dtype, seed=1)
    target = LAYOUTS[out](torch.full((47, 56), torch.nan, dtype=dtype))
    whole = target._base if target._base is not None else target
    before = int(whole.isnan().sum())
    assert multiply(left, right, target) is target or out == "rows"
    torch.testing.assert_close(target, (left.double() @ right.double()).to(dtype), rtol=0, atol=100 * CLOSE[dtype])
    assert int(whole.isnan().sum()) == before - target.numel()


@pytest.mark.parametrize(
    "shape", [(0, 3, 2), (2, 0, 3), (2, 3, 0), (1, 1, 1), (1, 5, 1), (5, 1, 4), (1, 40_000, 1), (300, 1, 300)]
)
def test_products_of_any_shape(shape):
    rows, inner, columns = shape
    left, right = _random(rows, inner), _random(inner, columns)
    torch.testing.assert_close(multiply(left, right), left @ right)


def test_two_dtypes_are_refused_and_not_promoted():
    with pytest.raises(RuntimeError, match="dtype"):
        multiply(_random(2, 2, dtype=torch.float32), _random(2, 2))


@pytest.mark.parametrize("size", [(40, 60, 50), (150, 400, 130), (600, 700, 400)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_products_of_all_three_sizes(dtype, size):
    rows, inner, columns = size
    left, right = _random(rows, inner, dtype=dtype), _random(inner, columns, dtype=dtype, seed=1)
    truth = left.double() @ right.double()
    assert float((multiply(left, right) - truth).abs().max()) < CLOSE[dtype] * inner


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name != "one row for all"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_multiple_of_a_product_is_added_in_place(dtype, layout):
    left, right, start = (
        _random(47, 35, dtype=dtype),
        _random(35, 56, dtype=dtype, seed=1),
        _random(47, 56, dtype=dtype),
    )
    target = LAYOUTS[layout](start.clone())
    add_product(target, left, right, alpha=-2.0)
    truth = (start.double() - 2 * left.double() @ right.double()).to(dtype)
    torch.testing.assert_close(target, truth, rtol=0, atol=100 * CLOSE[dtype])


@pytest.mark.parametrize("n", [1, 2, 30, 130, 400])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_factor_is_lower_triangular_and_its_square_is_the_matrix(dtype, n):
    matrix = _definite(n, dtype)
    memory = matrix.clone()
    factor = cholesky(memory)
    assert factor.data_ptr() == memory.data_ptr()
    torch.testing.assert_close(factor, torch.tril(factor))
    torch.testing.assert_close(factor @ factor.mT, matrix, rtol=0, atol=100 * CLOSE[dtype])


@pytest.mark.parametrize("by_columns", [True, False])
@pytest.mark.parametrize("n", [1, 30, 130, 400])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_factor_solves(dtype, n, by_columns):
    matrix, right = _definite(n, dtype), _random(n, 3, dtype=dtype)
    right = right.mT.contiguous().mT if by_columns else right
    before = right.clone()
    solved = cholesky_solve(right, cholesky(matrix.clone()))
    torch.testing.assert_close(matrix @ solved, right, rtol=0, atol=100 * CLOSE[dtype])
    torch.testing.assert_close(right, before, rtol=0, atol=0)


@pytest.mark.parametrize("n", [1, 2, 30, 130, 400, 600])
@pytest.mark.parametrize("dtype", DTYPES)
def test_an_inverse_is_written_over_the_matrix_and_symmetric(dtype, n):
    matrix = _definite(n, dtype)
    memory = matrix.clone()
    assert invert(memory) is memory
    torch.testing.assert_close(memory, memory.mT, rtol=0, atol=0)
    torch.testing.assert_close(memory @ matrix, torch.eye(n, dtype=dtype), rtol=0, atol=100 * CLOSE[dtype])


@pytest.mark.parametrize("n", [30, 400])
@pytest.mark.parametrize("function", [cholesky, invert])
def test_a_matrix_that_is_not_positive_definite_is_an_error(function, n):
    with pytest.raises(torch.linalg.LinAlgError, match="positive"):
        function(-torch.eye(n))


@pytest.mark.parametrize("n", [1, 30, 130, 400])
def test_eigenvectors_rebuild_the_matrix(n):
    matrix = _definite(n, torch.float64)
    before = matrix.clone()
    spectrum, vectors = eigh(matrix)
    assert bool((spectrum.diff() >= 0).all())
    torch.testing.assert_close((vectors * spectrum) @ vectors.mT, matrix, rtol=0, atol=1e-11)
    torch.testing.assert_close(matrix, before, rtol=0, atol=0)


def test_the_library_that_is_named_does_what_it_can(product_library):
    able = {task for task in products.TASKS if product_library in products.can_do(task)}
    assert able
    for task in able:
        matrix = torch.ones(2, 2, dtype=torch.float32 if task.dtype == "float32" else torch.float64)
        size = {"small": 20, "medium": 30, "large": 40}[task.size]
        function = products._fastest(task.operation, matrix, size, (30, 40))
        assert function is products.FUNCTIONS[task.operation][product_library]
