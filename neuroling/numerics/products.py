"""Products, Cholesky factors, inverses and eigenvectors of matrices, each by the library that is fastest at hand.

On a CPU every function here hands its matrices to torch, oneDNN, numpy or scipy, whichever
:mod:`neuroling.numerics.library_choice` names for an operation of that size. Arrays and tensors share their memory, so
that nothing is copied on the way. On a GPU all is torch's. Libraries differ in the last digits and in nothing else.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy
from numpy.typing import NDArray

from neuroling.numerics.deferred import deferred
from neuroling.numerics.library_choice import DEFAULT, SIZES, Measurement, Setup, Task, asked, choice_of
from neuroling.numerics.rounding_conditions import rounding_conditions

if TYPE_CHECKING:
    import torch

    Multiply = Callable[[torch.Tensor, torch.Tensor, torch.Tensor | None, bool], torch.Tensor]
    """Of both matrices, memory for the product, and whether it has to go there."""

    InPlace = Callable[[torch.Tensor], torch.Tensor]
    Solve = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    Decompose = Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
else:
    torch = deferred("torch")

DTYPES = ("float32", "float64")

LEAST_INNER, LEAST_ROWS = 24, 12
"""Smallest side of a product, and rows of a square matrix, below which torch does it, because choosing takes longer."""

PRODUCT_BOUNDS = (96, 192)
"""Smallest side from which a product is medium, and large. How many operations it takes matters less: where one side is
small, more time goes into the passage of what is multiplied and written than into multiplications."""

ROW_BOUNDS = (96, 384)
"""Rows from which a square matrix is medium, and large."""

PRODUCT_SHAPES = {"small": (64, 64, 512), "medium": (128, 512, 512), "large": (384, 800, 1024)}
ROWS = {"small": 48, "medium": 192, "large": 448}
"""What is measured: rows, inner size and columns of products, and rows of square matrices."""

LARGEST_DECOMPOSED = 256
"""Rows of the largest matrix whose eigenvectors are measured: they take ten times as long as an inverse."""

LEAST_ROUNDS, MOST_ROUNDS = 3, 8
LONGEST = 0.3
"""Seconds after which no further round of measurements begins, of those above the least."""

LEAST_SAMPLE = 3e-4
"""Seconds that one timing of a small task takes at least: short operations are repeated, so that the clock is fine
enough, and code and data are in the cache, as where many follow each other."""

EQUAL = {"float32": 1e-4, "float64": 1e-10}
"""Largest difference from torch's result, as a share of its largest value, of a library that may be used."""

ENVIRONMENT = ("OPENBLAS_CORETYPE", "MKL_ENABLE_INSTRUCTIONS", "MKL_CBWR", "ONEDNN_MAX_CPU_ISA")
"""Variables that change which kernels the libraries take."""


# --- what is done -----------------------------------------------------------------------------------------------------


def multiply(
    left: torch.Tensor, right: torch.Tensor, out: torch.Tensor | None = None, *, scratch: torch.Tensor | None = None
) -> torch.Tensor:
    """Multiply two matrices of one dtype.

    Parameters
    ----------
    left, right : Tensor, shapes (row, inner) and (inner, column)
    out : Tensor, shape (row, column), optional
        Where the product goes.
    scratch : Tensor, shape (row, column), optional
        Where the product may go, to spare new memory.

    Returns
    -------
    Tensor, shape (row, column)
        ``out`` if given; ``scratch`` or new memory otherwise.

    Examples
    --------
    >>> multiply(torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0], [4.0]])).tolist()
    [[11.0]]
    """
    smallest = min(*left.shape, right.shape[-1])
    if smallest < LEAST_INNER or left.dtype != right.dtype or not right.is_cpu:
        return torch.mm(left, right, out=scratch if out is None else out)  # which says what is wrong, if anything is
    function: Multiply = _fastest("multiply", left, smallest, PRODUCT_BOUNDS)
    return function(left, right, scratch, False) if out is None else function(left, right, out, True)


def add_product(target: torch.Tensor, left: torch.Tensor, right: torch.Tensor, *, alpha: float = 1.0) -> torch.Tensor:
    """Add a multiple of the product of two matrices to a third, in place.

    Parameters
    ----------
    target : Tensor, shape (row, column)
        Added to.
    left, right : Tensor, shapes (row, inner) and (inner, column)
    alpha : float
        Factor.

    Returns
    -------
    Tensor, shape (row, column)
        ``target``.

    Examples
    --------
    >>> add_product(torch.ones(1, 1), torch.tensor([[2.0]]), torch.tensor([[3.0]]), alpha=-1.0).tolist()
    [[-5.0]]
    """
    smallest = min(*left.shape, right.shape[-1])
    if smallest < LEAST_INNER or left.dtype != right.dtype or not right.is_cpu:
        return target.addmm_(left, right, alpha=alpha)
    function: Multiply = _fastest("multiply", left, smallest, PRODUCT_BOUNDS)
    if function is _torch_multiply:
        return target.addmm_(left, right, alpha=alpha)  # which needs no memory for the product
    return target.add_(function(left, right, None, False), alpha=alpha)


def cholesky(matrix: torch.Tensor) -> torch.Tensor:
    """Factor a symmetric, positive definite matrix, and write the factor over it.

    Parameters
    ----------
    matrix : Tensor, shape (row, row)
        Contiguous.

    Returns
    -------
    Tensor, shape (row, row)
        Lower triangular, by columns: the transpose of the same memory.

    Raises
    ------
    torch.linalg.LinAlgError
        If the matrix is not positive definite.

    Examples
    --------
    >>> cholesky(torch.tensor([[4.0, 2.0], [2.0, 5.0]])).tolist()
    [[2.0, 0.0], [1.0, 2.0]]
    """
    function: InPlace = _fastest("cholesky", matrix, matrix.shape[0], ROW_BOUNDS)
    return function(matrix)


def cholesky_solve(right: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """Solve for right-hand sides with a factor from :func:`cholesky`.

    Parameters
    ----------
    right : Tensor, shape (row, column)
    factor : Tensor, shape (row, row)
        Lower triangular.

    Returns
    -------
    Tensor, shape (row, column)

    Examples
    --------
    >>> cholesky_solve(torch.tensor([[8.0]]), torch.tensor([[2.0]])).tolist()
    [[2.0]]
    """
    if right.numel() == 0 or right.dtype != factor.dtype or not right.is_cpu:
        return torch.cholesky_solve(right, factor)
    function: Solve = _fastest("solve", factor, factor.shape[0], ROW_BOUNDS)
    return function(right, factor)


def invert(matrix: torch.Tensor) -> torch.Tensor:
    """Write the inverse of a symmetric, positive definite matrix over it, by its Cholesky factor and without a copy.

    Parameters
    ----------
    matrix : Tensor, shape (row, row)
        Contiguous.

    Returns
    -------
    Tensor, shape (row, row)
        The same memory.

    Raises
    ------
    torch.linalg.LinAlgError
        If the matrix is not positive definite.

    Examples
    --------
    >>> invert(torch.tensor([[4.0, 0.0], [0.0, 16.0]])).diagonal().tolist()
    [0.25, 0.0625]
    """
    function: InPlace = _fastest("inverse", matrix, matrix.shape[0], ROW_BOUNDS)
    return function(matrix)


def eigh(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Give eigenvalues, ascending, and eigenvectors of a symmetric matrix.

    Parameters
    ----------
    matrix : Tensor, shape (row, row)

    Returns
    -------
    spectrum : Tensor, shape (row,)
    vectors : Tensor, shape (row, row)
        In columns; their signs are arbitrary.

    Examples
    --------
    >>> eigh(torch.tensor([[2.0, 0.0], [0.0, 1.0]]))[0].tolist()
    [1.0, 2.0]
    """
    function: Decompose = _fastest("eigh", matrix, matrix.shape[0], ROW_BOUNDS)
    return function(matrix)


def _fastest(operation: str, matrix: torch.Tensor, size: int, bounds: tuple[int, int]) -> Callable[..., Any]:
    """Give the function for an operation on matrices like this one."""
    if not matrix.is_cpu or size < LEAST_ROWS or matrix.dtype not in (torch.float32, torch.float64):
        return FUNCTIONS[operation][DEFAULT]
    return _functions(asked(), torch.get_num_threads())[
        operation, matrix.dtype, (size >= bounds[0]) + (size >= bounds[1])
    ]


@functools.cache
def _functions(value: str, threads: int) -> dict[tuple[str, torch.dtype, int], Callable[..., Any]]:
    """Give the functions of the libraries that this process has chosen, by operation, dtype and size."""
    choice = choice_of(value, threads)
    return {
        (operation, getattr(torch, dtype), number): by_library[choice.get(Task(operation, dtype, size), DEFAULT)]
        for operation, by_library in FUNCTIONS.items()
        for dtype in DTYPES
        for number, size in enumerate(SIZES)
    }


# --- by whom ----------------------------------------------------------------------------------------------------------


def _torch_multiply(left: torch.Tensor, right: torch.Tensor, out: torch.Tensor | None, _must: bool) -> torch.Tensor:
    return torch.mm(left, right, out=out)


def _onednn_multiply(left: torch.Tensor, right: torch.Tensor, out: torch.Tensor | None, must: bool) -> torch.Tensor:
    if not (right.is_contiguous() or right.mT.is_contiguous()):  # for others it has only loops of reference
        right = right.contiguous()
    product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(left, right.mT, None, "none", [], "")
    return out.copy_(product) if must and out is not None else product


def _numpy_multiply(left: torch.Tensor, right: torch.Tensor, out: torch.Tensor | None, _must: bool) -> torch.Tensor:
    if out is None:
        return torch.from_numpy(np.matmul(_array(left), _array(right)))
    np.matmul(_array(left), _array(right), out=out.numpy())
    return out


def _scipy_multiply(left: torch.Tensor, right: torch.Tensor, out: torch.Tensor | None, _must: bool) -> torch.Tensor:
    """Multiply the transposes, the other way round: BLAS has matrices by columns."""
    (first, first_turned), (second, second_turned) = _by_columns(right.mT), _by_columns(left.mT)
    options = {"trans_a": first_turned, "trans_b": second_turned}
    gemm = getattr(scipy.linalg.blas, _letter(left) + "gemm")
    if out is None or not out.is_contiguous():
        product = torch.from_numpy(gemm(1.0, first, second, **options)).mT
        return product if out is None else out.copy_(product)
    gemm(1.0, first, second, beta=0.0, c=out.numpy().T, overwrite_c=1, **options)
    return out


def _torch_cholesky(matrix: torch.Tensor) -> torch.Tensor:
    lower = matrix.mT  # by columns, as LAPACK has it: given as its own output it is factored without a copy
    found: torch.Tensor = torch.linalg.cholesky(lower, out=lower)
    return found


def _scipy_cholesky(matrix: torch.Tensor) -> torch.Tensor:
    _factor(matrix, clean=1)
    return matrix.mT


def _factor(matrix: torch.Tensor, clean: int) -> None:
    """Write the lower factor over the transpose of a matrix."""
    potrf = getattr(scipy.linalg.lapack, _letter(matrix) + "potrf")
    _, info = potrf(matrix.numpy().T, lower=1, clean=clean, overwrite_a=1)
    if info > 0:
        raise torch.linalg.LinAlgError(  # type: ignore[attr-defined]  # public, though torch's stubs do not say so
            f"cholesky: the matrix is not positive definite (its leading minor of order {info} is not)."
        )


def _torch_solve(right: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    return torch.cholesky_solve(right, factor)


def _scipy_solve(right: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    potrs = getattr(scipy.linalg.lapack, _letter(factor) + "potrs")
    solved, _ = potrs(factor.numpy(), right.numpy(), lower=1)
    return torch.from_numpy(solved)


def _torch_inverse(matrix: torch.Tensor) -> torch.Tensor:
    lower = _torch_cholesky(matrix)
    torch.cholesky_inverse(lower, out=lower)
    return matrix


def _scipy_inverse(matrix: torch.Tensor) -> torch.Tensor:
    _factor(matrix, clean=0)
    potri = getattr(scipy.linalg.lapack, _letter(matrix) + "potri")
    potri(matrix.numpy().T, lower=1, overwrite_c=1)  # the transpose's lower triangle: the upper one of the matrix
    for start in range(0, len(matrix), MIRRORED_ROWS):
        stop = min(start + MIRRORED_ROWS, len(matrix))
        block = matrix[start:stop, start:stop]
        block.copy_(torch.triu(block) + torch.triu(block, 1).mT)
        matrix[stop:, start:stop] = matrix[start:stop, stop:].mT
    return matrix


MIRRORED_ROWS = 256
"""Rows whose upper triangle is copied to the lower one at a time, for the cache; a heuristic."""


def _torch_eigh(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    spectrum, vectors = torch.linalg.eigh(matrix)
    return spectrum, vectors


def _numpy_eigh(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    spectrum, vectors = np.linalg.eigh(matrix.numpy())
    return torch.from_numpy(spectrum), torch.from_numpy(vectors)


def _scipy_eigh(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    spectrum, vectors = scipy.linalg.eigh(matrix.numpy(), driver="evd", check_finite=False)
    return torch.from_numpy(spectrum), torch.from_numpy(vectors)


FUNCTIONS: dict[str, dict[str, Callable[..., Any]]] = {
    "multiply": {
        "torch": _torch_multiply,
        "onednn": _onednn_multiply,
        "numpy": _numpy_multiply,
        "scipy": _scipy_multiply,
    },
    "cholesky": {"torch": _torch_cholesky, "scipy": _scipy_cholesky},
    "solve": {"torch": _torch_solve, "scipy": _scipy_solve},
    "inverse": {"torch": _torch_inverse, "scipy": _scipy_inverse},
    "eigh": {"torch": _torch_eigh, "numpy": _numpy_eigh, "scipy": _scipy_eigh},
}
"""What each library can do: :data:`Multiply`, :data:`InPlace`, :data:`Solve` or :data:`Decompose`."""


def _letter(matrix: torch.Tensor) -> str:
    return "s" if matrix.dtype == torch.float32 else "d"


def _array(matrix: torch.Tensor) -> NDArray[np.floating]:
    """Give a matrix as BLAS can read it, rows or columns in one piece each: others go through slow loops of numpy."""
    rows, columns = matrix.stride()
    fits = (columns == 1 and rows >= matrix.shape[1]) or (rows == 1 and columns >= matrix.shape[0])
    array: NDArray[np.floating] = (matrix if fits else matrix.contiguous()).numpy()
    return array


def _by_columns(matrix: torch.Tensor) -> tuple[NDArray[np.floating], int]:
    """Give a matrix in one piece by columns, or its transpose and 1."""
    if matrix.mT.is_contiguous():
        return matrix.numpy(), 0
    return matrix.contiguous().numpy().T, 1


# --- how fast ---------------------------------------------------------------------------------------------------------

TASKS = tuple(
    Task(operation, dtype, size)
    for operation in FUNCTIONS
    for dtype in DTYPES
    for size in SIZES
    if (operation, dtype) != ("eigh", "float32")  # which nobody here decomposes
)


def can_do(task: Task) -> list[str]:
    """Name the libraries that can do a task, torch first; oneDNN's products are of float32 alone, and optional.

    Parameters
    ----------
    task : Task

    Examples
    --------
    >>> can_do(Task("inverse", "float64", "small"))
    ['torch', 'scipy']
    """
    return [
        name
        for name in FUNCTIONS[task.operation]
        if name != "onednn" or (task.dtype == "float32" and _onednn_is_there())
    ]


def present() -> list[str]:
    """Name the libraries that can do anything here, torch first."""
    return list(dict.fromkeys(name for task in TASKS for name in can_do(task)))


@functools.cache
def _onednn_is_there() -> bool:
    """Whether torch has oneDNN, and the function that its own compiler calls, and it multiplies right."""
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    values = torch.linspace(-1, 1, 64 * 64).reshape(64, 64)
    try:
        product = _onednn_multiply(values, values, None, False)
    except (AttributeError, NotImplementedError, RuntimeError):  # another torch, or another processor
        return False
    return bool(torch.allclose(product, values @ values, rtol=0, atol=EQUAL["float32"]))


@functools.cache
def _others_are_single_threaded() -> bool:
    """Whether the BLAS of numpy, and that of scipy, use one thread."""
    from threadpoolctl import threadpool_info

    return all(pool["num_threads"] == 1 for pool in threadpool_info() if pool["user_api"] == "blas")


def setup(threads: int) -> Setup:
    """Describe the processor and the libraries of this process.

    Parameters
    ----------
    threads : int
        Threads that torch uses.
    """
    versions = {"torch": torch.__version__, "numpy": np.__version__, "scipy": scipy.__version__}
    environment = {variable: os.environ[variable] for variable in ENVIRONMENT if variable in os.environ}
    more = {"measured as": "1", "other threads": "1" if _others_are_single_threaded() else "several"}
    return Setup(rounding_conditions()["processor"], threads, {**versions, **environment, **more})


def measure(threads: int) -> Measurement:
    """Time every library at every task.

    Libraries take turns, and the fastest of some rounds counts, on the clock of this thread where it is alone: work of
    others on the machine stretches some rounds and seldom all. With several threads numpy and scipy are left out: their
    threads and torch's would get in each other's way as soon as they take turns.

    Parameters
    ----------
    threads : int
        Threads that torch uses.

    Returns
    -------
    mapping of Task to mapping of str to float
        Seconds by library.
    """
    single = threads == 1 and _others_are_single_threaded()
    clock = time.thread_time if single and time.get_clock_info("thread_time").resolution < 1e-6 else time.perf_counter
    runs = {task: {name: run for name, run in _runs(task) if single or name in (DEFAULT, "onednn")} for task in TASKS}
    repeats = {task: _repeats(runs[task][DEFAULT], clock) if task.size == "small" else 1 for task in TASKS}
    seconds: dict[Task, dict[str, float]] = {task: {} for task in TASKS}
    deadline = time.perf_counter() + LONGEST
    for number in range(MOST_ROUNDS):
        if number >= LEAST_ROUNDS and time.perf_counter() > deadline:
            break
        for task, by_library in runs.items():
            for name, run in by_library.items():
                before = clock()
                for _ in range(repeats[task]):
                    run()
                spent = (clock() - before) / repeats[task]
                seconds[task][name] = min(spent, seconds[task].get(name, spent))
    return seconds


def _repeats(run: Callable[[], object], clock: Callable[[], float]) -> int:
    """How often an operation runs in one timing."""
    run()
    before = clock()
    run()
    return max(1, int(LEAST_SAMPLE / max(clock() - before, 1e-7)))


def _runs(task: Task) -> Iterator[tuple[str, Callable[[], object]]]:
    """Give the operation as each library does it, of those whose result is torch's."""
    cases = _product_cases(task) if task.operation == "multiply" else _square_cases(task)
    truth = _comparable(cases[DEFAULT]())
    yield DEFAULT, cases.pop(DEFAULT)
    for name, run in cases.items():
        try:
            difference = (_comparable(run()) - truth).abs().max()
        except (AttributeError, ImportError, NotImplementedError, RuntimeError):  # another version of it
            continue
        if bool(difference <= EQUAL[task.dtype] * truth.abs().max()):
            yield name, run


def _product_cases(task: Task) -> dict[str, Callable[[], object]]:
    n_rows, inner, n_columns = PRODUCT_SHAPES[task.size]
    left, right = _random(task, n_rows, inner), _random(task, inner, n_columns)
    out = torch.empty(n_rows, n_columns, dtype=left.dtype, device="cpu")
    return {name: functools.partial(FUNCTIONS["multiply"][name], left, right, out, False) for name in can_do(task)}


def _square_cases(task: Task) -> dict[str, Callable[[], object]]:
    rows = ROWS[task.size] if task.operation != "eigh" else min(ROWS[task.size], LARGEST_DECOMPOSED)
    values = _random(task, rows, rows)
    square = values @ values.mT + rows * torch.eye(rows, dtype=values.dtype, device="cpu")
    if task.operation == "eigh":
        return {name: functools.partial(function, square) for name, function in FUNCTIONS["eigh"].items()}
    memory = torch.empty_like(square)
    if task.operation == "solve":
        factor, right = _torch_cholesky(memory.copy_(square)), _random(task, rows, rows // 2)
        return {name: functools.partial(function, right, factor) for name, function in FUNCTIONS["solve"].items()}

    def in_place(function: InPlace) -> torch.Tensor:
        return function(memory.copy_(square))

    return {name: functools.partial(in_place, function) for name, function in FUNCTIONS[task.operation].items()}


def _random(task: Task, *shape: int) -> torch.Tensor:
    dtype = torch.float32 if task.dtype == "float32" else torch.float64
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=dtype, device="cpu")


def _comparable(result: object) -> torch.Tensor:
    """Give a matrix that does not depend on signs of eigenvectors, in memory of its own."""
    if isinstance(result, tuple):
        spectrum, vectors = result
        result = (vectors * spectrum) @ vectors.mT
    assert isinstance(result, torch.Tensor)  # noqa: S101 - by construction
    return result.clone()
