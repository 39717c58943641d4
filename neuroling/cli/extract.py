"""``neuroling extract``: features of a table of stimuli, from the shell or a job array."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import pandas as pd

    from neuroling.core.stimuli import Stimuli
    from neuroling.features.context import Context


def extract(
    ctx: typer.Context,
    table: Annotated[Path, typer.Argument(metavar="STIMULI.csv", help="A row a text or word; column `text`.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="NetCDF file to be written.")],
    model: Annotated[str, typer.Option("--model", "-m", help="`minilm`, a folder, or a name on the hub.")] = "minilm",
    revision: Annotated[str | None, typer.Option(help="Commit hash, for a name on the hub.")] = None,
    layer: Annotated[list[int] | None, typer.Option("--layer", "-l", help="0 to the last, or -1; repeat. All.")] = None,
    pool: Annotated[str, typer.Option(help="mean, first, last, max; for texts also weighted, cls, model.")] = "mean",
    unit: Annotated[str, typer.Option(help="sentence, word (rows are words), or split (rows are split).")] = "sentence",
    segment: Annotated[str, typer.Option(help="With --unit split: at blanks, or japanese (MeCab).")] = "blanks",
    context: Annotated[str, typer.Option(help="For words: whole, rolling:WORDS, or overlapping:TOKENS.")] = "whole",
    dtype: Annotated[str, typer.Option(help="float32, bfloat16, float16 or float64.")] = "float32",
    untrained: Annotated[int | None, typer.Option(help="Seed of random weights: an untrained twin.")] = None,
    long: Annotated[str, typer.Option(help="Texts too long: error or truncate.")] = "error",
    batch_tokens: Annotated[int | None, typer.Option(help="Tokens in a pack.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 …; several with commas.")] = "auto",
    compiled: Annotated[bool, typer.Option("--compiled", help="Compile the layers first, with torch.compile.")] = False,
    shard: Annotated[str | None, typer.Option(help="I/N: the I-th of N parts, from 1; one a GPU or job.")] = None,
    progress: Annotated[bool, typer.Option("--progress/--no-progress", help="Show a progress bar.")] = True,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Measure parts of it and say what it will need.")] = False,
) -> None:
    """Extract features from a table of stimuli; a run that was interrupted goes on where it stopped.

    Parameters
    ----------
    ctx : typer.Context
        The call itself, which ``--dry-run`` makes again.
    table : pathlib.Path
        CSV or TSV in UTF-8. A column ``sample`` holds labels; other columns as in ``Stimuli``.
    out : pathlib.Path
        NetCDF file.
    model, revision, layer, pool, unit, context, dtype, untrained, long, batch_tokens, device, compiled
        As in ``neuroling.features.extract``.
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
    from neuroling.features.encoder import load_encoder
    from neuroling.features.extract import extract as run
    from neuroling.features.sharing import on_devices
    from neuroling.features.words import japanese_segmenter, split_words

    stimuli = read_stimuli(table)
    if unit not in ("sentence", "word", "split"):
        raise typer.BadParameter(f"got {unit!r}; expected sentence, word or split.", param_hint="--unit")
    if segment not in ("blanks", "japanese"):
        raise typer.BadParameter(f"got {segment!r}; expected blanks or japanese.", param_hint="--segment")
    how = None if unit == "sentence" else _context(context)
    if unit == "split":
        stimuli = split_words(stimuli, segmenter=japanese_segmenter() if segment == "japanese" else None)
    if dry_run:
        _say_needs(ctx, shard)
        return
    check_place(out.parent)
    stimuli = _shard(stimuli, shard)
    first, *others = device.split(",")
    options = {"revision": revision, "device": first, "untrained": untrained, "compiled": compiled}
    encoder = load_encoder(model, dtype=dtype, **options)  # type: ignore[arg-type]  # checked there
    features = run(
        stimuli,
        on_devices(encoder, [first, *others]) if others else encoder,
        layers=layer,
        pool=pool,  # type: ignore[arg-type]  # checked there
        unit="sentence" if unit == "sentence" else "word",
        context=how,
        long=long,  # type: ignore[arg-type]  # checked there
        batch_tokens=batch_tokens,
        progress=progress,
        out=out,
    )
    typer.echo(f"{out}: " + " × ".join(f"{dim} {size}" for dim, size in features.sizes.items()))
    for key in ("encoder", "revision", "weights_sha256", "device", "dtype", "batching", "torch", "transformers"):
        typer.echo(f"  {key}: {features.attrs[key]}")
    if "deviation_from_float32" in features.attrs:
        typer.echo(f"  deviation from float32: {features.attrs['deviation_from_float32']}")
    features.close()


def _say_needs(ctx: typer.Context, shard: str | None) -> None:
    """Measure a quarter and a half of a shard."""
    from tempfile import TemporaryDirectory

    from neuroling.cli.estimate import SHARES, extrapolate
    from neuroling.cli.unit_options import arguments_again

    n_shards = int((shard or "1/1").partition("/")[2])
    whole = max(SHARES)
    with TemporaryDirectory() as folder:

        def part(n: int) -> list[str]:
            changes = {"shard": f"1/{n_shards * whole // n}", "out": Path(folder) / f"{n}.nc", "dry_run": False}
            return arguments_again(ctx, progress=False, **changes)

        needs = extrapolate(part, whole)
    typer.echo(needs.to_json())


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
        If the file is no UTF-8 (the message names the byte), or no table with a column ``text``.
    """
    import pandas as pd

    from neuroling.core.stimuli import Stimuli

    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there; expected a table with a row a text or word.")
    raw = path.read_bytes()
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: byte {error.start} is no UTF-8 ({error.reason}); save the file as UTF-8.") from error
    separator = "\t" if path.suffix.lower() in (".tsv", ".txt") else ","
    try:
        table = pd.read_csv(
            path, sep=separator, dtype=str, keep_default_na=False, na_filter=False, encoding="utf-8-sig"
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise ValueError(f"{path}: no table ({error}).") from error
    if "text" not in table:
        raise ValueError(f"{path}: has no column 'text' but {list(table.columns)}.")
    return Stimuli(_typed(path, table.set_index("sample") if "sample" in table else table))


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


def _context(given: str) -> Context:
    from neuroling.features.context import Overlapping, Rolling, Whole

    kind, _, number = given.partition(":")
    if given == "whole":
        return Whole()
    if kind in ("rolling", "overlapping") and number.isdigit():
        return Rolling(int(number)) if kind == "rolling" else Overlapping(int(number))
    raise typer.BadParameter(
        f"got {given!r}; expected whole, rolling:WORDS or overlapping:TOKENS.", param_hint="--context"
    )


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
    chosen = stimuli.labels[np.flatnonzero(part == int(first))]
    if len(chosen) == 0:
        raise ValueError(f"shard: part {shard} is empty; there are fewer groups than parts.")
    return stimuli.subset(chosen.tolist())
