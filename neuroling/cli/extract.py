"""``neuroling extract``: features of a table of stimuli, from the shell or a job array."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from neuroling.cli.command import say

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from neuroling.core.stimuli import Stimuli
    from neuroling.features.words.context import Context

ROLLING = re.compile(r"rolling:(?P<words>\d+)(,stride=(?P<stride>\d+))?")
OVERLAPPING = re.compile(r"overlapping:(?P<left>\d+)(,right=(?P<right>\d+))?(,tokens=(?P<tokens>\d+))?")


def extract(
    ctx: typer.Context,
    table: Annotated[
        Path,
        typer.Argument(metavar="STIMULI.csv", help="Table of stimuli, one text or word per row, with a column `text`."),
    ],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="NetCDF file to write.")] = None,
    cache: Annotated[Path | None, typer.Option(help="Folder of a feature cache, in place of --out.")] = None,
    model: Annotated[
        str,
        typer.Option("--model", "-m", help="Language model: `minilm`, a folder, or a name on the Hugging Face hub."),
    ] = "minilm",
    revision: Annotated[str | None, typer.Option(help="Commit hash of a model on the hub.")] = None,
    layer: Annotated[
        list[int] | None,
        typer.Option("--layer", "-l", help="Layer to extract; repeat for several. Default: all layers."),
    ] = None,
    pool: Annotated[
        str, typer.Option(help="Pooling of tokens: mean, first, last or max; for texts also weighted, cls, model.")
    ] = "mean",
    unit: Annotated[
        str, typer.Option(help="What a row is: sentence, word, or split (a text to split into words).")
    ] = "sentence",
    segment: Annotated[str, typer.Option(help="How --unit split finds words: blanks, or japanese (MeCab).")] = "blanks",
    context: Annotated[
        str | None,
        typer.Option(
            help="Context of words: whole, rolling:WORDS[,stride=N], overlapping:TOKENS[,right=N][,tokens=N]."
        ),
    ] = None,
    missing: Annotated[str, typer.Option(help="Words without a token: error, or nan for missing values.")] = "error",
    shared: Annotated[str, typer.Option(help="Tokens that cover several words: error, both or first.")] = "error",
    normalise: Annotated[
        bool, typer.Option("--normalise/--no-normalise", help="Scale every vector to unit length.")
    ] = False,
    dtype: Annotated[str, typer.Option(help="Precision: float32, bfloat16, float16 or float64.")] = "float32",
    untrained: Annotated[
        int | None, typer.Option(min=0, help="Random seed of an untrained copy of the model, a control.")
    ] = None,
    long: Annotated[str, typer.Option(help="Texts longer than the model reads: error or truncate.")] = "error",
    batch_tokens: Annotated[
        int | None, typer.Option(min=1, help="Tokens per batch; changes speed and memory only.")
    ] = None,
    device: Annotated[
        str, typer.Option(help="Device: auto, cpu, cuda, cuda:1 …; several separated by commas.")
    ] = "auto",
    compiled: Annotated[bool, typer.Option("--compiled", help="Compile the layers with torch.compile.")] = False,
    shard: Annotated[
        str | None, typer.Option(help="Part I of N to extract, as I/N, counted from 1; one job per part.")
    ] = None,
    progress: Annotated[bool, typer.Option("--progress/--no-progress", help="Show a progress bar.")] = True,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Measure small parts, and print the time and memory needed.")
    ] = False,
) -> None:
    """Extract features from a table of stimuli; an interrupted run continues where it stopped.

    Parameters
    ----------
    ctx : typer.Context
        The call itself, which ``--dry-run`` makes again.
    table : pathlib.Path
        CSV or TSV in UTF-8. A column ``sample`` holds labels; other columns as in ``Stimuli``.
    out : pathlib.Path, optional
        NetCDF file.
    cache : pathlib.Path, optional
        Folder of earlier features, where Python finds them again; in place of ``out``.
    model, revision, layer, pool, unit, context, missing, shared, normalise, dtype, untrained, long, batch_tokens
        As in ``neuroling.features.extract``.
    device, compiled
        As in ``neuroling.features.transformer.encoder.load_encoder``; several devices with commas.
    segment : str
        Where ``--unit split`` divides words.
    shard : str, optional
        ``I/N``; groups are never divided.
    progress : bool
        Show a progress bar.
    dry_run : bool
        Print memory in MiB and seconds as JSON instead.
    """
    from neuroling.cli.unit_options import check_place
    from neuroling.features.extract import extract_text_features, extract_word_features
    from neuroling.features.transformer.devices import on_devices
    from neuroling.features.transformer.encoder import load_encoder
    from neuroling.features.words.words import japanese_segmenter, split_words

    output = cache or out
    if output is None or (cache and out):
        raise typer.BadParameter("expected one of -o FILE and --cache FOLDER.", param_hint="--out")
    stimuli = read_stimuli(table)
    if unit not in ("sentence", "word", "split"):
        raise typer.BadParameter(f"got {unit!r}; expected sentence, word or split.", param_hint="--unit")
    if segment not in ("blanks", "japanese"):
        raise typer.BadParameter(f"got {segment!r}; expected blanks or japanese.", param_hint="--segment")
    _check_options_of_unit(unit, context=context, missing=missing, shared=shared, long=long)
    how = None if context is None else _context(context)
    if unit == "split":
        stimuli = split_words(stimuli, segmenter=japanese_segmenter() if segment == "japanese" else None)
    if dry_run:
        _say_needs(ctx, stimuli, shard)
        return
    check_place(output if cache else output.parent)
    stimuli = _shard(stimuli, shard)
    first, *more_devices = device.split(",")
    options = {"revision": revision, "device": first, "untrained": untrained, "compiled": compiled}
    with _unkept_is_failed():
        encoder = load_encoder(model, dtype=dtype, **options)  # type: ignore[arg-type]  # checked there
        readers = on_devices(encoder, [first, *more_devices]) if more_devices else encoder
        extract_features: Callable[..., xr.DataArray]
        if unit == "sentence":
            extract_features = partial(extract_text_features, long=long)  # type: ignore[arg-type]  # checked there
        else:
            extract_features = partial(extract_word_features, context=how, missing=missing, shared=shared)  # type: ignore[arg-type]
        features = extract_features(
            stimuli,
            readers,
            layers=layer,
            pool=pool,
            normalise=normalise,
            batch_tokens=batch_tokens,
            progress=progress,
            cache=cache,
            out=out,
        )
    say(f"{output}: " + " × ".join(f"{dim} {size}" for dim, size in features.sizes.items()))
    for key in ("encoder", "revision", "weights_sha256", "device", "dtype", "batching", "torch", "transformers"):
        say(f"  {key}: {features.attrs[key]}")
    if "deviation_from_float32" in features.attrs:
        say(f"  deviation from float32: {features.attrs['deviation_from_float32']}")
    features.close()


def _check_options_of_unit(unit: str, *, context: str | None, missing: str, shared: str, long: str) -> None:
    """Refuse options of words for texts, and of texts for words."""
    if unit == "sentence":
        if context is not None:
            raise ValueError("--context: is for words; with --unit sentence each text is read by itself.")
        for option, value in {"--missing": missing, "--shared": shared}.items():
            if value != "error":
                raise ValueError(f"{option}: got {value!r}, which is for words; with --unit sentence leave it out.")
    elif long != "error":
        raise ValueError(
            f"--long: is for texts; with --unit {unit} choose --context rolling:WORDS or overlapping:TOKENS instead."
        )


def _say_needs(ctx: typer.Context, stimuli: Stimuli, shard: str | None) -> None:
    """Measure a quarter and a half of a shard, or all of one that is too small to be divided."""
    from tempfile import TemporaryDirectory

    from neuroling.cli.resource_estimate import SHARES, extrapolate, measure
    from neuroling.cli.unit_options import arguments_again

    _shard(stimuli, shard)
    n_shards = int((shard or "1/1").partition("/")[2])
    largest_share = max(SHARES)
    try:
        for share in SHARES:
            _shard(stimuli, f"1/{n_shards * share}")
        is_divisible = True
    except ValueError:
        is_divisible = False
    with TemporaryDirectory() as folder:

        def run_on(some: str | None, name: str) -> list[str]:
            kept = "out" if ctx.params["cache"] is None else "cache"
            return arguments_again(ctx, progress=False, shard=some, dry_run=False, **{kept: Path(folder) / name})

        def on_share(n: int) -> list[str]:
            return run_on(f"1/{n_shards * largest_share // n}", f"{n}.nc")

        needs = extrapolate(on_share, largest_share) if is_divisible else measure(run_on(shard, "all.nc"))
    say(needs.to_json())


@contextmanager
def _unkept_is_failed() -> Iterator[None]:
    """Fail where Python only warns: features that a cache could not take are nowhere once the command ends."""
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="cache: .* could not be written", category=UserWarning)
        try:
            yield
        except UserWarning as warning:
            raise OSError(str(warning).rpartition(";")[0]) from warning


def read_stimuli(path: Path) -> Stimuli:
    """Read stimuli from a table; words such as ``NA`` or ``null`` stay words.

    Parameters
    ----------
    path : pathlib.Path
        CSV, or TSV by its name.

    Returns
    -------
    Stimuli

    Raises
    ------
    ValueError
        If the file is no UTF-8 (the message names the byte), a line is blank, cannot be read or has not a cell a column
        (the message names the line), or there is no column ``text``.
    """
    import pandas as pd

    from neuroling.core.stimuli import Stimuli

    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there; expected a table with one row per text or word.")
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: byte {error.start} is no UTF-8 ({error.reason}); save the file as UTF-8.") from error
    header, *rows = _rows(path, text, "\t" if path.suffix.lower() in (".tsv", ".txt") else ",")
    twice = sorted({name for name in header if name and header.count(name) > 1})
    if twice:
        raise ValueError(f"{path}: columns {twice} stand more than once; expected each once.")
    if "text" not in header:
        raise ValueError(f"{path}: has no column 'text' but {header}.")
    table = pd.DataFrame(rows, columns=[name or f"column {place}" for place, name in enumerate(header, 1)], dtype=str)
    return Stimuli(_typed(path, table.set_index("sample") if "sample" in table else table))


def _rows(path: Path, text: str, separator: str) -> list[list[str]]:
    """Give the cells of every row, the header first, and refuse what would shift or drop any."""
    from neuroling.core.cells import rows_of_cells

    try:
        rows = dict(rows_of_cells(text, separator))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    if not rows:
        raise ValueError(f"{path}: no table, since the file is empty; expected a header and one row per text or word.")
    width = len(next(iter(rows.values())))
    mark = "tab" if separator == "\t" else "comma"
    for line, row in rows.items():
        if not row:
            raise ValueError(f"{path}: line {line} is blank; remove it, or write the text that is missing.")
        if len(row) != width:
            advice = f"put quotes around a text that holds a {mark}" if len(row) > width else "write what is missing"
            raise ValueError(f"{path}: line {line} has {len(row)} cells where the header has {width}; {advice}.")
    return list(rows.values())


def _typed(path: Path, table: pd.DataFrame) -> pd.DataFrame:
    """Turn columns of numbers into numbers."""
    import pandas as pd

    for name in ("onset", "offset", "position"):
        if name in table:
            numbers = pd.to_numeric(table[name], errors="coerce")
            if numbers.isna().any():
                bad = table.index[numbers.isna()].tolist()
                raise ValueError(f"{path}: {name}: {len(bad)} entries are no numbers, first labels {bad[:5]}.")
            table = table.assign(**{name: numbers})
    return table


def _context(text: str) -> Context:
    from neuroling.features.words.context import Overlapping, Rolling, Whole

    if text == "whole":
        return Whole()
    rolling, overlapping = ROLLING.fullmatch(text), OVERLAPPING.fullmatch(text)
    try:
        if rolling:
            return Rolling(**_numbers(rolling))
        if overlapping:
            return Overlapping(**_numbers(overlapping))
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--context") from error
    raise typer.BadParameter(
        f"got {text!r}; expected whole, rolling:WORDS[,stride=N] or overlapping:TOKENS[,right=N][,tokens=N].",
        param_hint="--context",
    )


def _numbers(found: re.Match[str]) -> dict[str, int]:
    """Give what was typed; what was not keeps its default."""
    return {name: int(number) for name, number in found.groupdict().items() if number is not None}


def _shard(stimuli: Stimuli, shard: str | None) -> Stimuli:
    """Take one of N parts of about equal numbers of characters; groups stay whole."""
    if shard is None:
        return stimuli
    import numpy as np
    import pandas as pd

    first, _, n_parts = shard.partition("/")
    if not (first.isdigit() and n_parts.isdigit() and 1 <= int(first) <= int(n_parts)):
        raise typer.BadParameter(f"got {shard!r}; expected I/N with I from 1 to N.", param_hint="--shard")
    names = stimuli.table["group"] if "group" in stimuli.table else np.arange(len(stimuli))
    group, _ = pd.factorize(np.asarray(names, dtype=str))  # numbered as they appear, so that parts follow the table
    sizes = np.bincount(group, weights=[len(text) for text in stimuli.texts])
    middle = np.cumsum(sizes) - sizes / 2
    part = np.minimum((middle / sizes.sum() * int(n_parts)).astype(int), int(n_parts) - 1)[group] + 1
    shard_labels = stimuli.labels[np.flatnonzero(part == int(first))]
    if len(shard_labels) == 0:
        raise ValueError(f"shard: part {shard} is empty; there are fewer groups than parts.")
    return stimuli.subset(shard_labels.tolist())
