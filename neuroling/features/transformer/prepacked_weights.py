"""Linear maps whose weights are laid out once, in the order in which a CPU's products read them.

A product of matrices first copies both into the order of its inner loops. For weights that is the same work in every
pack, a twelfth of the time at BERT-base's shape. Two libraries in torch can do it beforehand. MKL, the fastest on
Intel's processors, does it for a given number of rows, to which packs are then filled. oneDNN does it for any number,
and has loops for other makers' processors too, where those of MKL, which plain products use, are slow: 85 GFLOP/s
against 107 on one core of an AMD EPYC. The functions are those that torch's own compiler uses, and not public: where
they are missing, or give other numbers, the plain products stay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import torch
from transformers.pytorch_utils import Conv1D

from neuroling.numerics.memory import free_bytes

Map = torch.nn.Linear | Conv1D
"""A linear map, or GPT-2's, which is one with its weight turned over."""

Seen = tuple[int, torch.Tensor]
"""The sum of a weight's bits, and its products with a fixed vector."""

LEAST_JOB = 256
"""Tokens of a job that repay looking at all weights for changes, where packs need not be full."""

SHARE = 0.1
"""Share of the free memory that a second copy of the weights may take."""

NEARLY = 0.95
"""How full a pack must be to be filled up with tokens that nobody asked for; below, plain products are as fast."""

EQUAL = 1e-5
"""Largest difference from a plain product, as a share of its largest value, in float32."""


@dataclass(frozen=True)
class Library:
    """What lays weights out, and multiplies by them.

    Attributes
    ----------
    name : str
        As records name it.
    lay_out : callable
        Of a weight, shape (output, input), and the number of rows of the products to come.
    multiply : callable
        Of values, shape (..., input), the weight laid out, the weight, the bias or None, and the number of rows.
    least_tokens : int
        Tokens that repay laying the weights out, most of which is the first touch of new memory. An encoder that has
        read as many will read more, as a rule. Measured on one core, a heuristic.
    any_rows : bool
        Whether products of any number of rows may use what was laid out for one.
    """

    name: str
    lay_out: Callable[[torch.Tensor, int], torch.Tensor]
    multiply: Callable[[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor | None, int], torch.Tensor]
    least_tokens: int
    any_rows: bool


def fitting_library() -> Library | None:
    """Give the library whose products are the fastest on this machine's processor, None where torch has neither."""
    if torch.backends.mkl.is_available() and "Intel" in _processor():  # type: ignore[no-untyped-call]
        return MKL
    return ONEDNN if torch.backends.mkldnn.is_available() else None  # type: ignore[no-untyped-call]


class ProductRoute(NamedTuple):
    """How the products of a job are made, from its first pack to its last.

    Attributes
    ----------
    library : str
        Name of the library that lays weights out; ``"plain"`` where none does.
    rows : int
        Rows that weights are laid out for; 0 where they are not.
    """

    library: str = "plain"
    rows: int = 0


@dataclass
class Prepacked:
    """The weights of one model, laid out once it has read enough, and kept.

    Attributes
    ----------
    library : Library or None
        What lays them out; None: nothing does.
    tokens : int
        Rows of the products that they are laid out for; 0 before.
    read : int
        Tokens of all jobs so far that could have used them.
    """

    library: Library | None = field(default_factory=fitting_library)
    tokens: int = 0
    read: int = 0
    _laid_out: dict[int, tuple[torch.Tensor, Seen, torch.Tensor]] = field(default_factory=dict, repr=False)
    _laid_out_by: str = field(default="", repr=False)

    def __reduce__(self) -> tuple[type[Prepacked], tuple[()]]:
        """Make a copy without weights: those laid out belong to one model, and torch cannot copy them."""
        return Prepacked, ()

    def plan_route(self, model: torch.nn.Module, lengths: Sequence[int], tokens: int) -> ProductRoute:
        """Choose how a job that may be interrupted makes its products, whatever was read before it.

        Parameters
        ----------
        model : torch.nn.Module
            Its linear maps are looked through.
        lengths : sequence of int
            Tokens of all sequences of the job.
        tokens : int
            As for :meth:`serving`.
        """
        library = self.library
        if library is None:
            return ProductRoute()
        rows, useful, worth = _demand(library, lengths, tokens)
        ready = worth and useful >= library.least_tokens and self._lay_out(model, library, rows)
        return ProductRoute(library.name, rows) if ready else ProductRoute()

    @contextmanager
    def serving(
        self, model: torch.nn.Module, lengths: Sequence[int], tokens: int, route: ProductRoute | None = None
    ) -> Iterator[int]:
        """Let a model use such weights for the time of a job, if they pay.

        Parameters
        ----------
        model : torch.nn.Module
            Its linear maps are looked through.
        lengths : sequence of int
            Tokens of the sequences of the job.
        tokens : int
            Tokens of a full pack, 0 where packs cannot be filled. Counts only if products need a given number of rows.
        route : ProductRoute, optional
            What was chosen at the start of a longer job; by default the tokens read so far choose.

        Yields
        ------
        int
            Tokens to which packs are to be filled; 0 where they may have any number.

        Raises
        ------
        ValueError
            If a route was chosen that this machine cannot take.
        """
        library = self.library if route is None else self._library_of(route)
        if library is None:
            yield 0
            return
        rows, useful, worth = _demand(library, lengths, tokens)
        self.read += useful
        if route is None:
            enough = self.tokens == rows or self.read >= library.least_tokens
            ready = worth and enough and self._lay_out(model, library, rows)
        else:
            rows, ready = route.rows, self._lay_out(model, library, route.rows, whatever_is_free=True)
            if not ready:
                raise ValueError(
                    f"out: was begun with weights laid out by {route.library} for products of {route.rows} rows, which "
                    "cannot be done here, so that the last bits would differ. Go on where it was begun, or remove the "
                    "partial file and begin again."
                )
        patched = _maps(model, library) if ready else []
        for linear in patched:
            linear.forward = partial(self._product, linear, library)  # type: ignore[method-assign]
        try:
            yield 0 if library.any_rows or not ready else rows
        finally:
            for linear in patched:
                vars(linear).pop("forward", None)

    def _library_of(self, route: ProductRoute) -> Library | None:
        """Give the library of a route; None for plain products."""
        libraries = [MKL, ONEDNN] if self.library is None else [self.library, MKL, ONEDNN]
        return next((library for library in libraries if library.name == route.library), None)

    def _lay_out(
        self, model: torch.nn.Module, library: Library, tokens: int, *, whatever_is_free: bool = False
    ) -> bool:
        """Lay out all weights anew that are not as they were; False where that cannot be."""
        maps = _maps(model, library)
        if tokens != self.tokens or library.name != self._laid_out_by:
            self._laid_out.clear()
        if not maps or not all(
            linear.weight.device.type == "cpu" and linear.weight.dtype == torch.float32 for linear in maps
        ):
            return False
        new = [linear for linear in maps if id(linear) not in self._laid_out]
        if new and not _can(library, new, tokens, whatever_is_free):
            return False
        self.tokens, self._laid_out_by = tokens, library.name
        for linear in maps:
            weight = linear.weight.detach()
            known, seen = self._laid_out.get(id(linear)), _seen(weight)
            if known is None or known[0].data_ptr() != weight.data_ptr() or not _the_same(known[1], seen):
                self._laid_out[id(linear)] = (weight, seen, library.lay_out(_outputs_first(linear), tokens))
        return True

    def _product(self, linear: Map, library: Library, values: torch.Tensor) -> torch.Tensor:
        """Multiply as the linear map does, by weights laid out where the rows fit and no gradient is wanted."""
        fits = library.any_rows or values.numel() == self.tokens * values.shape[-1]
        laid_out = self._laid_out.get(id(linear))  # None in a copy that was made during a job
        if (
            laid_out is None
            or torch.is_grad_enabled()
            or values.dtype != torch.float32
            or not values.numel()
            or not fits
        ):
            return _plain(linear, values)
        return library.multiply(values, laid_out[2], linear.weight, linear.bias, self.tokens)


def _maps(model: torch.nn.Module, library: Library) -> list[Map]:
    """Give the plain linear maps of a model: nobody else has replaced their ``forward`` or makes their weight anew."""
    linears = [
        module
        for module in model.modules()
        if isinstance(module, Map)
        and not ("forward" in vars(module) or module._forward_pre_hooks)
        and isinstance(module._parameters.get("weight"), torch.Tensor)
        and module.weight.numel()
    ]
    return [
        module for module in linears if type(module) is torch.nn.Linear or (type(module) is Conv1D and library.any_rows)
    ]


def _outputs_first(linear: Map) -> torch.Tensor:
    """Give the weight of a map, shape (output, input)."""
    weight = linear.weight.detach()
    return weight.t().contiguous() if isinstance(linear, Conv1D) else weight


def _demand(library: Library, lengths: Sequence[int], tokens: int) -> tuple[int, int, bool]:
    """Give the rows that weights are laid out for, the tokens that may use them, and whether they pay."""
    if library.any_rows:
        useful = sum(lengths)
        return ROWS, useful, useful >= LEAST_JOB
    useful = sum(length for length in lengths if length <= tokens) // max(tokens, 1) * tokens
    return tokens, useful, useful > 0


def _can(library: Library, maps: Sequence[Map], tokens: int, whatever_is_free: bool) -> bool:
    """Whether there is memory, and torch has the functions and they give the numbers of a plain product."""
    needed = sum(linear.weight.nbytes for linear in maps)
    if not whatever_is_free and needed > SHARE * free_bytes(torch.device("cpu")):
        return False
    linear = maps[0]
    weight = _outputs_first(linear)
    values = torch.linspace(-1, 1, tokens * weight.shape[1], dtype=torch.float32, device="cpu").reshape(tokens, -1)
    with torch.inference_mode():
        plain = _plain(linear, values)
        try:
            product = library.multiply(values, library.lay_out(weight, tokens), linear.weight, linear.bias, tokens)
        except (AttributeError, NotImplementedError, RuntimeError):  # another torch, or another processor
            return False
    return bool((product - plain).abs().max() <= EQUAL * plain.abs().max())


def _plain(one: Map, values: torch.Tensor) -> torch.Tensor:
    """Multiply as the map does by itself, without anybody's hooks."""
    found: torch.Tensor = type(one).forward(one, values)  # type: ignore[arg-type]  # one of its own kind
    return found


def _seen(weight: torch.Tensor) -> Seen:
    """Describe a weight so that any change in place is noticed: of a single bit, and of where values stand."""
    flat = weight.reshape(-1)
    in_pairs = len(flat) % 2 == 0 and flat.storage_offset() % 2 == 0
    generator = torch.Generator().manual_seed(0)
    vector = torch.randn(weight.shape[1], generator=generator, dtype=weight.dtype)
    return int(flat.view(torch.int64 if in_pairs else torch.int32).sum()), torch.mv(weight, vector)


def _the_same(one: Seen, other: Seen) -> bool:
    return one[0] == other[0] and torch.equal(one[1], other[1])


def _processor() -> str:
    """Name the processor; as Intel's where this torch cannot say, since MKL's layout is the older of the two here."""
    try:
        return str(torch.cpu.get_capabilities()["cpu_name"])
    except (AttributeError, KeyError, RuntimeError):
        return "Intel"


def _mkl_lay_out(weight: torch.Tensor, tokens: int) -> torch.Tensor:
    found: torch.Tensor = torch.ops.mkl._mkl_reorder_linear_weight(weight, tokens)
    return found


def _mkl_multiply(
    values: torch.Tensor, laid_out: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, tokens: int
) -> torch.Tensor:
    found: torch.Tensor = torch.ops.mkl._mkl_linear(values, laid_out, weight, bias, tokens)
    return found


def _onednn_lay_out(weight: torch.Tensor, tokens: int) -> torch.Tensor:
    found: torch.Tensor = torch.ops.mkldnn._reorder_linear_weight(weight, tokens)
    return found


def _onednn_multiply(
    values: torch.Tensor, laid_out: torch.Tensor, _weight: torch.Tensor, bias: torch.Tensor | None, _tokens: int
) -> torch.Tensor:
    found: torch.Tensor = torch.ops.mkldnn._linear_pointwise(values, laid_out, bias, "none", [], "")
    return found


MKL = Library("mkl", _mkl_lay_out, _mkl_multiply, least_tokens=13_000, any_rows=False)
"""BERT-base's weights are laid out in 0.8 seconds, and its packs then take 0.06 seconds less a thousand tokens."""

ONEDNN = Library("onednn", _onednn_lay_out, _onednn_multiply, least_tokens=3_000, any_rows=True)
"""On one core of an AMD EPYC: 1.3 seconds, and 0.45 seconds less a thousand tokens."""

ROWS = 1024
"""Rows that weights are laid out for where any number may use them; from 64 to 2,048 the speed is the same."""
