"""One forward pass: chosen layers in, states of those layers out, stopping after the highest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import torch

from neuroling.features.transformer.out_of_memory import is_full
from neuroling.features.transformer.packed_attention import ATTENTION, Layout, packed

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Batching = Literal["packed", "equal-length"]

PROBE_LENGTHS = (5, 9, 9, 3)
"""Tokens of the sequences of the self-check: two of them alike, all of them short."""

LONGEST_PROBE = 512
"""Sliding windows up to this many tokens are checked at load; sequences beyond a wider window are never packed."""

RELATIVE_ERROR = {torch.float64: 1e-10, torch.float32: 1e-5, torch.bfloat16: 0.05, torch.float16: 0.01}
"""Largest difference between packed and one at a time, as a share of the largest state. A model that lets sequences
see each other is off by 0.01 to 1 (measured in float32)."""

OTHERS_NOTICED = 1e-4
"""Largest change of a sequence's states when others of its pack are replaced, as a share of the largest state. The
arithmetic is the same, so that there is none where nothing is shared, in numbers of any precision."""


RUN_ERRORS = (TypeError, ValueError, RuntimeError, IndexError, NotImplementedError, KeyError, AttributeError)
"""What models raise on inputs that they cannot take."""


class _EnoughError(Exception):
    """Raised by a hook once the highest layer wanted has been computed."""


@dataclass(frozen=True)
class Passes:
    """How a model is to be run, as found out at load by comparing with one sequence at a time.

    Attributes
    ----------
    batching : {"packed", "equal-length"}
        ``"packed"`` where sequences can be laid end to end without any of them noticing; else batches of equal length.
    first_position : int
        Number of the first position; 2 in the family of RoBERTa.
    blocks : str or None
        Name of the list of layers inside the model; None where layers cannot be told apart, as in ALBERT.
    longest_packed : int or None
        Sequences of more tokens are not packed.
    final_norm : bool
        Whether something follows the last of the ``blocks``, so that the last layer is not what that one gives.
    """

    batching: Batching = "equal-length"
    first_position: int = 0
    blocks: str | None = None
    longest_packed: int | None = None
    final_norm: bool = False


def states_of(
    model: PreTrainedModel,
    passes: Passes,
    ids: torch.Tensor,
    layers: Sequence[int],
    *,
    use: Callable[[int, torch.Tensor], None] | None = None,
    **inputs: object,
) -> list[torch.Tensor]:
    """Run a model once and give the states of chosen layers.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        A body without a head.
    passes : Passes
        How to run it.
    ids : torch.Tensor of int, shape (row, token)
        Token ids.
    layers : sequence of int
        0 (embeddings) to the number of layers, in any order.
    use : callable, optional
        What is done with the number and the states of a layer, instead of giving them back: called as soon as the layer
        is done, so that its states make room for those of the next.
    **inputs : object
        Further arguments of the model.

    Returns
    -------
    list of torch.Tensor, shape (row, token, unit)
        One a layer asked for; none with ``use``. They equal transformers' ``hidden_states``: the last one is after the
        final norm where the model has one.
    """
    n_layers = int(model.config.num_hidden_layers)
    if passes.blocks is None:
        found = model(input_ids=ids, output_hidden_states=True, **inputs, **no_cache(model)).hidden_states
        return _used([found[layer] for layer in layers], layers, use)
    states: dict[int, torch.Tensor] = {}

    def take(layer: int, state: torch.Tensor) -> None:
        if use is None:
            states[layer] = state
        else:
            use(layer, state)
        if layer == max(layers) < n_layers:
            raise _EnoughError

    with _watching(model.get_submodule(passes.blocks), set(layers) - {n_layers}, take):
        try:
            output = model(input_ids=ids, **inputs, **no_cache(model))
            take(n_layers, output.last_hidden_state)
        except _EnoughError:
            pass
    return [states[layer] for layer in layers] if use is None else []


def _used(
    states: list[torch.Tensor], layers: Sequence[int], use: Callable[[int, torch.Tensor], None] | None
) -> list[torch.Tensor]:
    if use is None:
        return states
    for layer, state in zip(layers, states, strict=True):
        use(layer, state)
    return []


def no_cache(model: PreTrainedModel) -> dict[str, object]:
    """Give the argument that keeps a decoder from keeping keys and values, for models that have it.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        A body or a whole model.

    Returns
    -------
    dict of str
    """
    return {"use_cache": False} if getattr(model.config, "use_cache", None) else {}


@contextmanager
def _watching(
    blocks: torch.nn.Module, layers: set[int], keep_state: Callable[[int, torch.Tensor], None]
) -> Iterator[None]:
    """Hand over what goes into the first block and what comes out of the wanted ones."""

    def before(_module: torch.nn.Module, args: tuple[object, ...], kwargs: dict[str, object]) -> None:
        state = args[0] if args else kwargs["hidden_states"]
        assert isinstance(state, torch.Tensor)  # noqa: S101 - for the type checker
        keep_state(0, state)

    def after(layer: int, output: object) -> None:
        keep_state(layer, output if isinstance(output, torch.Tensor) else output[0])  # type: ignore[index]  # a tuple

    children = list(blocks.children())
    handles = [
        children[layer - 1].register_forward_hook(lambda _m, _i, output, layer=layer: after(layer, output))
        for layer in layers
        if layer > 0
    ]
    if 0 in layers:
        handles.append(children[0].register_forward_pre_hook(before, with_kwargs=True))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def pack_inputs(passes: Passes, lengths: Sequence[int], device: torch.device) -> torch.Tensor:
    """Count the positions of sequences laid end to end.

    Parameters
    ----------
    passes : Passes
        Says where positions start.
    lengths : sequence of int
        Tokens of each sequence.
    device : torch.device
        Where the numbers go.

    Returns
    -------
    torch.Tensor of int, shape (1, token)
    """
    positions = [torch.arange(passes.first_position, passes.first_position + length) for length in lengths]
    return torch.cat(positions)[None].to(device)


def find_passes(model: PreTrainedModel, ordinary_ids: Sequence[int], max_tokens: int) -> Passes:
    """Find out how a model may be run, by comparing each way with one sequence at a time.

    Some families of models ignore a registered attention function without a word, so that the sequences of a pack would
    read each other, or take no mask from it, so that tokens would see what comes behind them; only the states
    themselves tell. What they are held against is the model with the attention that transformers gave it, which it
    keeps unless packs are exact.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        In evaluation mode, on its device, as transformers loads it. Its attention is changed if it can be packed.
    ordinary_ids : sequence of int
        Token ids that are not special.
    max_tokens : int
        Longest input.

    Returns
    -------
    Passes

    Raises
    ------
    ValueError
        If the model does not run on token ids alone.
    """
    probes, longest = _probes(model, ordinary_ids, max_tokens)
    with torch.inference_mode():
        alone = _one_at_a_time(model, probes)
        usual_implementation: str = model.config._attn_implementation
        blocks = _find_blocks(model, probes[0], alone[0])
        plain = Passes(blocks=blocks, final_norm=blocks is not None and _goes_on(model, blocks, probes[0]))
        if take_attention(model, ATTENTION) and _reads_the_same(model, probes, alone):
            for first_position in _first_positions(model):
                passes = replace(plain, batching="packed", first_position=first_position, longest_packed=longest)
                if _packs_exactly(model, passes, probes, alone):
                    return passes
    model.set_attn_implementation(usual_implementation)
    return plain


def reads_ahead(model: PreTrainedModel, ordinary_ids: Sequence[int]) -> bool:
    """Whether the states of a token depend on tokens behind it.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        A body, on its device.
    ordinary_ids : sequence of int
        Token ids that are not special.

    Returns
    -------
    bool
    """
    n_layers = int(model.config.num_hidden_layers)
    probe = _probes(model, ordinary_ids, PROBE_LENGTHS[0])[0][0]
    changed = probe.clone()
    changed[-1] = next(number for number in ordinary_ids if number != int(probe[-1]))
    with torch.inference_mode():
        one, other = (states_of(model, Passes(), ids[None], [n_layers])[0][0, :-1] for ids in (probe, changed))
    return not _close(one, other, OTHERS_NOTICED)


def _one_at_a_time(model: PreTrainedModel, probes: list[torch.Tensor]) -> list[list[torch.Tensor]]:
    """Read probes with the model's own attention; with the one that is written out where that knows no other."""
    try:
        return _read_alone(model, probes)
    except RUN_ERRORS as error:
        if is_full(error):
            raise
        failed = error
    model.set_attn_implementation("eager")
    try:
        return _read_alone(model, probes)
    except RUN_ERRORS:
        raise ValueError(
            f"name: transformers' {type(model).__name__} does not run on token ids alone ({type(failed).__name__}: "
            f"{failed}); expected a model of texts."
        ) from failed


def _read_alone(model: PreTrainedModel, probes: list[torch.Tensor]) -> list[list[torch.Tensor]]:
    everything = list(range(int(model.config.num_hidden_layers) + 1))
    return [states_of(model, Passes(), probe[None], everything) for probe in probes]


def _goes_on(model: PreTrainedModel, blocks: str, probe: torch.Tensor) -> bool:
    """Whether the last layer is something else than what the last block gives, such as its norm."""
    outputs: list[torch.Tensor] = []

    def keep(_module: torch.nn.Module, _inputs: object, output: object) -> None:
        outputs.append(output if isinstance(output, torch.Tensor) else output[0])  # type: ignore[index]  # a tuple

    last = list(model.get_submodule(blocks).children())[-1]
    handle = last.register_forward_hook(keep)
    try:
        states = model(input_ids=probe[None], **no_cache(model)).last_hidden_state
    finally:
        handle.remove()
    return not torch.equal(states, outputs[0])


def take_attention(model: PreTrainedModel, name: str) -> bool:
    """Give a model another attention function, where its family has a place for one.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        A body, which is changed.
    name : str
        As transformers knows the function; ``"eager"`` is the one that is written out.

    Returns
    -------
    bool
        Whether the model uses it now.
    """
    try:
        model.set_attn_implementation(name)
    except ValueError:
        return False
    taken: str = model.config._attn_implementation
    return taken == name


def _reads_the_same(model: PreTrainedModel, probes: list[torch.Tensor], alone: list[list[torch.Tensor]]) -> bool:
    """Whether probes read one at a time have the states that they had before."""
    try:
        packed_states = _read_alone(model, probes)
    except RUN_ERRORS:
        return False
    return all(
        _close(a, b) for new, old in zip(packed_states, alone, strict=True) for a, b in zip(new, old, strict=True)
    )


def _probes(
    model: PreTrainedModel, ordinary_ids: Sequence[int], max_tokens: int
) -> tuple[list[torch.Tensor], int | None]:
    """Draw the sequences of the self-check; one of them is longer than a sliding window, where that is affordable."""
    lengths = [min(length, max_tokens) for length in PROBE_LENGTHS]
    windows = [getattr(model.config, name, None) for name in ("sliding_window", "local_attention")]
    window = min((int(width) for width in windows if width), default=None)
    longest = None
    if window is not None and window < max_tokens:
        if window + 8 <= min(LONGEST_PROBE, max_tokens):
            lengths.append(window + 8)
        else:
            longest = window
    generator = torch.Generator().manual_seed(0)
    pool = torch.as_tensor(list(ordinary_ids))
    draws = [pool[torch.randint(len(pool), (length,), generator=generator)] for length in lengths]
    mask = getattr(model.config, "mask_token_id", None)
    if mask is not None:  # ESM scales all states of a row by its share of masks
        draws[0][1::2] = int(mask)
    return [draw.to(model.device) for draw in draws], longest


def _find_blocks(model: PreTrainedModel, probe: torch.Tensor, expected: list[torch.Tensor]) -> str | None:
    """Find the list of layers whose hooks give the states that the model itself reports."""
    n_layers = int(model.config.num_hidden_layers)
    modules: dict[str, torch.nn.Module] = dict(model.named_modules())
    for name, module in modules.items():
        if not isinstance(module, torch.nn.ModuleList) or len(module) != n_layers:
            continue
        try:
            states = states_of(model, Passes(blocks=name), probe[None], list(range(n_layers + 1)))
        except (KeyError, AssertionError, TypeError):
            continue
        if all(_close(a, b) for a, b in zip(states, expected, strict=True)):
            return name
    return None


def _first_positions(model: PreTrainedModel) -> list[int]:
    padding = getattr(model.config, "pad_token_id", None)
    return [0] if padding is None else list(dict.fromkeys([0, int(padding) + 1]))


def _packs_exactly(
    model: PreTrainedModel, passes: Passes, probes: list[torch.Tensor], alone: list[list[torch.Tensor]]
) -> bool:
    lengths = [len(probe) for probe in probes]
    everything = list(range(int(model.config.num_hidden_layers) + 1))
    try:
        with packed(Layout.of(lengths, keep_heads=True)) as layout:
            positions = pack_inputs(passes, lengths, model.device)
            together = states_of(model, passes, torch.cat(probes)[None], everything, position_ids=positions)
    except RUN_ERRORS:
        return False
    if not layout.heads:
        return False
    pieces = [torch.split(state[0], lengths) for state in together]  # per layer, per sequence
    if not all(_close(pieces[layer][row], alone[row][layer][0]) for row in range(len(probes)) for layer in everything):
        return False
    changed = [probe[:1].expand_as(probe) if row % 2 else probe for row, probe in enumerate(probes)]
    with packed(Layout.of(lengths)):
        again = states_of(model, passes, torch.cat(changed)[None], everything, position_ids=positions)
    split_states = [torch.split(state[0], lengths)[::2] for state in again]
    return all(
        _close(new, old, OTHERS_NOTICED)
        for layer in everything
        for new, old in zip(split_states[layer], pieces[layer][::2], strict=True)
    )


def _close(a: torch.Tensor, b: torch.Tensor, share: float | None = None) -> bool:
    if a.shape != b.shape:
        return False
    scale = float(b.abs().max().clamp(min=1e-6))
    return float((a - b).abs().max()) <= (RELATIVE_ERROR[b.dtype] if share is None else share) * scale
