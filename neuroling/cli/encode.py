"""``neuroling encode``: an encoding model of a recording on disk, one tile of its targets after another."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from neuroling.cli.command import say

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from neuroling.core.protocols import Inference, Splitter
    from neuroling.core.result import Result
    from neuroling.core.row_streams import TargetSource
    from neuroling.evaluation.tiles import Tile

GIGABYTE = 2.0**30
FLOAT_BYTES = 4.0


def encode(
    ctx: typer.Context,
    targets: Annotated[
        list[Path],
        typer.Argument(metavar="TARGETS...", help="Recording: NIfTI runs, one .npy file, or one .zarr array."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results, one file per tile.")],
    features: Annotated[
        Path | None, typer.Option("--features", "-x", help="Features: NetCDF file written by `extract`.")
    ] = None,
    samples: Annotated[
        Path | None, typer.Option(help="Table of samples, CSV or TSV: `sample`, optionally `group`, `time_index`.")
    ] = None,
    words: Annotated[
        list[Path] | None,
        typer.Option(
            help="Instead of --features and --samples: words with onsets (events.tsv, CSV or TextGrid); "
            "repeat, one per run."
        ),
    ] = None,
    text_column: Annotated[
        str | None, typer.Option(help="With --words: column, or tier of TextGrids, that holds the words.")
    ] = None,
    model: Annotated[str, typer.Option(help="With --words: language model, minilm or a folder.")] = "minilm",
    context: Annotated[int, typer.Option(min=1, help="With --words: words of context that the model reads.")] = 40,
    delays: Annotated[
        str | None, typer.Option(help="With --words: delays in volumes as FROM-TO, or spm or glover. Default: 1-4.")
    ] = None,
    controls: Annotated[
        str, typer.Option(help="With --words: default (rate, length, position, untrained network) or none.")
    ] = "default",
    frequency: Annotated[
        str | None, typer.Option(help="With --words: language code, such as en, whose word frequencies are a control.")
    ] = None,
    ceiling: Annotated[str, typer.Option(help="With --words: auto (where repeats allow one) or none.")] = "auto",
    confounds: Annotated[
        str | None, typer.Option(help="With --words: strategy of nilearn for fMRIPrep: simple, scrubbing, compcor.")
    ] = None,
    high_pass: Annotated[
        float, typer.Option(min=0, help="With --words: longest period kept, in seconds; 0 for none.")
    ] = 128.0,
    report: Annotated[bool, typer.Option("--report", help="With --words: also write report.html and maps.")] = False,
    mask: Annotated[Path | None, typer.Option(help="Brain mask for NIfTI recordings.")] = None,
    layer: Annotated[
        str | None, typer.Option(help="Layer of the features, if there are several; of the model with --words.")
    ] = None,
    tile: Annotated[
        str | None, typer.Option(help="Tile I of N to compute, as I/N, counted from 1; one job per tile.")
    ] = None,
    tiles: Annotated[
        int | None, typer.Option(min=1, help="Number of tiles; all are computed, one after another.")
    ] = None,
    folds: Annotated[
        str, typer.Option(help="Number of contiguous folds, or `group` to hold out each group in turn.")
    ] = "5",
    gap: Annotated[
        int, typer.Option(min=0, help="Samples excluded from training on either side of each test fold.")
    ] = 0,
    penalties: Annotated[str, typer.Option(help="Grid of alphas as FROM:TO:N, exponents of ten.")] = "-1:8:19",
    null: Annotated[
        str, typer.Option(help="Permutations: none, shift, block:LENGTH, or exchange (independent samples).")
    ] = "none",
    draws: Annotated[int, typer.Option(min=1, help="Number of permutations.")] = 1000,
    keep_draws: Annotated[
        bool, typer.Option("--keep-draws", help="Save the scores of all permutations, needed for cluster tests.")
    ] = False,
    unusable: Annotated[
        str, typer.Option(help="Constant or NaN targets: refuse, or nan to give them NaN as score.")
    ] = "refuse",
    memory_gb: Annotated[
        float | None, typer.Option(help="Memory limit in GB; larger tiles are computed in pieces.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Random seed of the permutations.")] = 0,
    device: Annotated[str, typer.Option(help="Device to compute on: auto, cpu, cuda, cuda:1 …")] = "auto",
    unit: Annotated[
        list[str] | None,
        typer.Option("--unit", help="Label of the unit in its study, as NAME=LABEL; repeat for several."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Measure parts of a tile, and print the time and memory needed.")
    ] = False,
) -> None:
    """Fit ridge regression to every target and score held-out predictions; finished tiles are not repeated.

    Parameters
    ----------
    ctx : typer.Context
        The call itself, which ``--dry-run`` makes again.
    targets : list of pathlib.Path
        Runs as NIfTI images, or one matrix (sample, target) as ``.npy`` or ``.zarr``.
    out : pathlib.Path
        Folder; ``neuroling gather`` joins its files.
    features : pathlib.Path, optional
        NetCDF file with features (sample, feature), or (layer, sample, feature).
    samples : pathlib.Path, optional
        Table that labels the rows of the targets.
    words, text_column, model, context, delays, controls, frequency, ceiling, confounds, high_pass, report
        Words instead of features: see :mod:`neuroling.cli.encode_words`.
    mask : pathlib.Path, optional
        Image whose voxels above zero are taken.
    layer : str, optional
        Label of a layer.
    tile, tiles
        One tile of a job array, or all of them; one by default.
    folds, gap, penalties, null, draws, keep_draws, unusable, seed, device
        The model and its evaluation.
    memory_gb : float, optional
        What the values of a tile may need while it is evaluated.
    unit : list of str, optional
        Labels of the unit that the tiles belong to, such as ``subject=s18``.
    dry_run : bool
        Print memory in MiB and seconds of a tile as JSON instead.
    """
    from neuroling.cli.encode_words import WordOptions, encode_words
    from neuroling.cli.unit_options import check_place, labels_of
    from neuroling.core.align import align
    from neuroling.encoding.ridge import RidgeCV
    from neuroling.evaluation.evaluate import evaluate
    from neuroling.evaluation.metrics import pearson
    from neuroling.evaluation.tiles import Tiles

    if words:
        given = {
            "--features": features,
            "--samples": samples,
            "--tile": tile,
            "--tiles": tiles,
            "--memory-gb": memory_gb,
        }
        _refuse_beside_words([name for name, value in given.items() if value is not None])
        asked = WordOptions(
            words, model, layer, text_column, context, delays, controls, ceiling, confounds, high_pass, frequency
        )
        asked.check()
        if dry_run:
            _say_needs_of_words(ctx)
            return
        check_place(out)
        result, names = encode_words(
            targets,
            asked,
            mask=mask,
            alphas=_penalties(penalties),
            splitter=_splitter(folds, gap),
            inference=_inference(null, draws, True),
            seed=seed,
            device=device,
        )
        _keep(result, out, labels_of(unit), model, names, report=report)
        return
    if features is None or samples is None:
        raise typer.BadParameter("give --features and --samples, or --words.", param_hint="--features")
    if report:
        raise typer.BadParameter("is for --words; `neuroling report` writes pages of results.", param_hint="--report")
    table = read_samples(samples)
    source = _source(targets, table, mask)
    if dry_run:
        _say_needs(ctx, _tiles(tile, tiles)[0], source)
        return
    check_place(out)
    splitter = _splitter(folds, gap)
    model_of_all = RidgeCV(_penalties(penalties), folds=splitter, device=device)
    data = align(read_features(features, layer), source)
    for each in _tiles(tile, tiles):  # one at a time, so that no more than the draws of one tile are in memory
        division = Tiles(
            each.of,
            only=each.number,
            folder=out,
            labels=labels_of(unit),
            unusable=_unusable(unusable),  # type: ignore[arg-type]  # checked there
            memory_bytes=None if memory_gb is None else memory_gb * GIGABYTE,
        )
        evaluate(
            model_of_all,
            data,
            splits=splitter,
            metric=pearson,
            inference=_inference(null, draws, keep_draws),
            tiles=division,
            rng=seed,
        )
        say(str(out / each.file_name))


def _refuse_beside_words(options: list[str]) -> None:
    if options:
        raise typer.BadParameter("cannot be used with --words.", param_hint=options[0])


def _say_needs_of_words(ctx: typer.Context) -> None:
    """Make the call once, its results thrown away."""
    from tempfile import TemporaryDirectory

    from neuroling.cli.resource_estimate import measure
    from neuroling.cli.unit_options import arguments_again

    with TemporaryDirectory() as folder:
        needs = measure(arguments_again(ctx, out=Path(folder) / "words", dry_run=False))
    say(needs.to_json())


def _keep(result: Result, out: Path, unit: dict[str, str], model: str, controls: list[str], *, report: bool) -> None:
    """Save a result, and its page and maps where they are wanted."""
    from neuroling.core.units import save_unit, stamp
    from neuroling.report.study import write_report

    out.mkdir(parents=True, exist_ok=True)
    save_unit(stamp(result, unit, {"model": model}), out / "result.nc")
    say(f"{out / 'result.nc'}\n{result.summary()}")
    if report:
        title = f"{model} and the recording of {' '.join(unit.values()) or 'a participant'}"
        question = f"Whether {model} predicts held-out volumes beyond its controls."
        say(str(write_report(result, out, title=title, question=question, model=model, controls=controls)))


def read_samples(path: Path) -> pd.DataFrame:
    """Read a table that labels samples.

    Parameters
    ----------
    path : pathlib.Path
        CSV, or TSV by its name, with a column ``sample``.

    Returns
    -------
    pandas.DataFrame
        ``time_index`` as whole numbers, where there is one; ``sample`` and ``group`` as text.
    """
    import pandas as pd

    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there; expected a table with one row per sample.")
    separator = "\t" if path.suffix.lower() in (".tsv", ".txt") else ","
    try:
        text = io.StringIO(path.read_bytes().decode("utf-8-sig").rstrip("\r\n") + "\n")
        table = pd.read_csv(text, sep=separator, dtype=str, keep_default_na=False, skip_blank_lines=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: no table ({error}).") from error
    if "sample" not in table:
        raise ValueError(f"{path}: has no column 'sample' but {list(table.columns)}.")
    blank = (table["sample"].str.strip() == "").to_numpy().nonzero()[0]
    if len(blank):
        raise ValueError(
            f"{path}: {len(blank)} samples have no label, first in row {blank[0] + 1}; expected one a row."
        )
    if "time_index" in table:
        numbers = pd.to_numeric(table["time_index"], errors="coerce")
        if numbers.isna().any() or (numbers % 1 != 0).any():
            raise ValueError(f"{path}: time_index has entries that are no whole numbers.")
        table = table.assign(time_index=numbers.astype(int))
    return table


def read_features(path: Path, layer: str | None) -> xr.DataArray:
    """Read features from a NetCDF file, one layer of them.

    Parameters
    ----------
    path : pathlib.Path
        As ``neuroling extract`` writes it.
    layer : str or None
        Which layer, where there are several.

    Returns
    -------
    xarray.DataArray, dims (sample, feature)
    """
    from neuroling.data.errors import reading
    from neuroling.features.storage.seal import open_sealed

    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there; expected features, as `neuroling extract` writes them.")
    with reading(path, "features, as `neuroling extract` writes them"), open_sealed(path) as opened:
        loaded = opened.load()
    if "layer" not in loaded.dims:
        return loaded
    labels = [str(label) for label in loaded.layer.to_numpy()]
    if layer not in labels:
        raise typer.BadParameter(f"got {layer!r}; {path} has the layers {', '.join(labels)}.", param_hint="--layer")
    return loaded.isel(layer=labels.index(layer), drop=True).transpose("sample", "feature")


def _source(targets: list[Path], table: pd.DataFrame, mask: Path | None) -> TargetSource:
    from neuroling.data.sources import open_nifti, open_npy, open_zarr

    absent = [str(path) for path in [*targets, *([] if mask is None else [mask])] if not path.exists()]
    if absent:
        raise FileNotFoundError(f"{', '.join(absent)}: not there.")
    if all(path.name.endswith((".nii", ".nii.gz")) for path in targets):
        if mask is None:
            raise typer.BadParameter("NIfTI images need a mask that says which voxels to take.", param_hint="--mask")
        try:
            return open_nifti(targets, table, mask=mask)
        except ValueError as error:
            named = str(mask) in str(error) or "mask" not in str(error)
            raise ValueError(f"{error}" if named else f"{error} The mask: {mask}.") from error
    if len(targets) == 1 and targets[0].suffix in (".npy", ".zarr"):
        return (open_npy if targets[0].suffix == ".npy" else open_zarr)(targets[0], table)
    raise typer.BadParameter(
        f"got {', '.join(path.name for path in targets)}; expected NIfTI images, one .npy or one .zarr.",
        param_hint="TARGETS",
    )


def _tiles(tile: str | None, tiles: int | None) -> list[Tile]:
    from neuroling.evaluation.tiles import Tile

    if tile is not None and tiles is not None:
        raise typer.BadParameter("--tile does one, --tiles all of them; expected one of the two.", param_hint="--tile")
    return Tile.all(1 if tiles is None else tiles) if tile is None else [Tile.parse(tile)]


def _say_needs(ctx: typer.Context, tile: Tile, source: TargetSource) -> None:
    """Measure tiles of which a recording would have many times more."""
    from tempfile import TemporaryDirectory

    from neuroling.cli.resource_estimate import extrapolate
    from neuroling.cli.unit_options import arguments_again

    n_targets = source.n_targets
    where = tile.targets(n_targets)
    whole = where.stop - where.start
    with TemporaryDirectory() as folder:

        def part(n: int) -> list[str]:
            changes = {"tiles": None, "tile": f"1/{n_targets // n}", "out": Path(folder) / str(n), "dry_run": False}
            return arguments_again(ctx, **changes)

        needs = extrapolate(part, whole, bytes_each=source.n_samples * FLOAT_BYTES)
    say(needs.to_json())


def _splitter(folds: str, gap: int) -> Splitter:
    if folds == "group":
        from sklearn.model_selection import LeaveOneGroupOut

        if gap:
            raise typer.BadParameter("groups are held out whole, so there is no gap to leave.", param_hint="--gap")
        splitter: Splitter = LeaveOneGroupOut()
        return splitter
    if not folds.isdecimal():
        raise typer.BadParameter(f"got {folds!r}; expected a number, or `group`.", param_hint="--folds")
    from neuroling.evaluation.splits import ContiguousFolds

    return ContiguousFolds(int(folds), gap)


def _penalties(text: str) -> list[float]:
    import numpy as np

    try:
        low, high, count = text.split(":")
        alphas: list[float] = np.logspace(float(low), float(high), int(count)).tolist()
    except ValueError as error:
        raise typer.BadParameter(
            f"got {text!r}; expected FROM:TO:HOW MANY, such as -1:8:19.", param_hint="--penalties"
        ) from error
    return alphas


def _unusable(text: str) -> str:
    meaning_of_choice = {"refuse": "refuse", "nan": "score as NaN"}
    if text not in meaning_of_choice:
        raise typer.BadParameter(f"got {text!r}; expected refuse or nan.", param_hint="--unusable")
    return meaning_of_choice[text]


def _inference(text: str, draws: int, keep: bool) -> Inference | None:
    from neuroling.evaluation.inference.samples import Permutation
    from neuroling.evaluation.inference.time_series import BlockPermutation, CircularShift

    kind, _, length = text.partition(":")
    options: dict[str, Any] = {"n_draws": draws, "keep_draws": keep}
    if text == "none":
        return None
    if text == "shift":
        return CircularShift(**options)
    if text == "exchange":
        return Permutation(**options)
    if kind == "block" and length.isdecimal():
        return BlockPermutation(int(length), **options)
    raise typer.BadParameter(f"got {text!r}; expected none, shift, block:LENGTH or exchange.", param_hint="--null")
