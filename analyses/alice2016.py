"""Listening to Alice in Wonderland: what MiniLM adds to word rate and the other controls in six language regions.

Data: Brennan et al. (2016), 27 participants, 362 volumes of 2 s, 6 regions, CC BY 4.0.
Claim: regions follow the rate of words. Expected: convolved word rate against the group mean r = 0.35 to 0.43 as
shipped; leave-one-subject-out correlation 0.17 to 0.40. A language model has to be read beside that, so the controls
stand in the same table, scored on the same stretches of time with the same null.
"""

from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer
import xarray as xr
from scipy.signal import detrend

from neuroling import (
    BandedRidgeCV,
    CircularShift,
    ContiguousFolds,
    LeaveOneOutCeiling,
    Result,
    RidgeCV,
    align,
    combine,
    convolve,
    evaluate,
    load_encoder,
    partition_variance,
    pearson,
    surprisal,
)
from neuroling.data import alice2016, real_or_twin, ud_english_ewt
from neuroling.encoding import DirichletSearch, remove_drift, smoothed_identity
from neuroling.evaluation import Partition, columns_of, join_spaces, save_unit, stamp
from neuroling.features import concatenate, embed_words_in_context, fit_ngram, word_length, word_rate
from neuroling.report import ControlSet, RegionStudy, compare_with_expected, region_table, write_region_report

ALPHAS = np.logspace(-2, 6, 17)  # every feature space has a total variance of one
GAP = 10  # volumes of 2 s: as long as the haemodynamic response
EXPECTED = Path(__file__).parent / "expected" / "alice2016.json"
FOLDS = ContiguousFolds(5, gap=GAP)
INNER = ContiguousFolds(4, gap=GAP)
MODEL = RidgeCV(ALPHAS, folds=INNER)
BANDED = "word rate | MiniLM, banded"
CONTROLS = ("word rate", "position", "length", "frequency")
ALL_CONTROLS = {name: name for name in (*CONTROLS, "smoothed identity")} | {"untrained network": "MiniLM, untrained"}

Spaces = dict[str, xr.DataArray]


def main(
    out: Annotated[Path, typer.Option(help="Folder for report and result.")] = Path("results/alice2016"),
    n_shifts: Annotated[int | None, typer.Option(help="Rotations of the null; all of them by default.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the twin, the untrained weights and the rotations.")] = 0,
    subject: Annotated[str | None, typer.Option(help="One unit alone: this participant; --out is then a file.")] = None,
    layer: Annotated[int, typer.Option(help="Layer of MiniLM, for one unit.")] = -1,
    gap: Annotated[int, typer.Option(help="Volumes left out around what is held out, for one unit.")] = GAP,
    cache: Annotated[Path | None, typer.Option(help="Folder of earlier embeddings, for one unit.")] = None,
    twin: Annotated[bool, typer.Option("--twin", help="Take the synthetic twin even where people's data are.")] = False,
) -> Result:
    """Predict regional time courses from features of the words and write the report."""
    made = partial(alice2016.twin, 8, 160, rng=seed)
    story = made() if twin else real_or_twin("alice2016_fmri", alice2016.load, made)
    recording = remove_drift(story.recording, story.recording.attrs["tr_s"])
    if subject is not None:
        result = one_unit(
            story, recording, subject, layer, gap=gap, cache=cache, null=CircularShift(n_shifts), seed=seed
        )
        out.parent.mkdir(parents=True, exist_ok=True)
        save_unit(result, out)
        return result
    out.mkdir(parents=True, exist_ok=True)
    spaces = feature_spaces(story, recording, out / "cache", seed)
    result = score_models(spaces, recording, CircularShift(n_shifts), seed)
    result.save(out / "result.nc")
    partitions = part(spaces, recording)
    study = RegionStudy(
        title="Listening to Alice in Wonderland",
        question=f"{recording.sizes['subject']} participants, {recording.sizes['sample']} volumes, "
        f"{recording.sizes['region']} language regions: what does a language model add to the rate of words?",
        result=result,
        group_mean=group_correlations(story, recording),
        methods=METHODS.format(
            gap=GAP,
            excluded=story.recording.attrs["excluded"] or "nobody",
            surprisal=spaces["surprisal"].attrs["source"],
        ),
        controls=ControlSet(ALL_CONTROLS, partitions=partitions),
    )
    write_region_report(study, out)
    region_table(result).to_csv(out / "table.csv", index=False)
    if not result.provenance.synthetic:
        compare_with_expected(numbers(result, partitions), EXPECTED)
    return result


def feature_spaces(story: alice2016.AliceStory, recording: xr.DataArray, cache: Path, seed: int) -> Spaces:
    """Describe every volume in several ways, filtered like the recording, each scaled to a total variance of one."""
    samples, tr_s = recording.sample.to_numpy(), recording.attrs["tr_s"]
    embedded = embed_words_in_context(story.words, cache=cache)
    random = embed_words_in_context(story.words, load_encoder(untrained=seed), cache=cache)
    treebank = real_or_twin("ud_english_ewt", ud_english_ewt.load, lambda: ud_english_ewt.twin(rng=seed))
    unexpected = surprisal(story.words, fit_ngram(treebank.sentences, order=3))
    by_word = {
        "word rate": word_rate(story.words),
        "length": centred(word_length(story.words)),
        "surprisal": centred(unexpected).assign_attrs(unexpected.attrs, synthetic=treebank.heads.attrs["synthetic"]),
        "MiniLM": centred(embedded),
        "MiniLM, untrained": centred(random),
    }
    spread = {name: convolve(words, recording.onset, labels=samples) for name, words in by_word.items()}
    spread["frequency"] = story.controls.sel(feature=["frq"])
    filtered = {name: scaled(remove_drift(space, tr_s)) for name, space in spread.items()}
    position = story.controls.sel(feature=["frq"]).copy(data=np.linspace(-1, 1, len(samples))[:, None])
    filtered["position"] = scaled(position.assign_coords(feature=["position"]))  # a filter would leave nothing of it
    filtered["smoothed identity"] = scaled(smoothed_identity(recording))
    return filtered


def centred(words: xr.DataArray) -> xr.DataArray:
    """Take off what is common to all words, whose sum over time is the word rate."""
    return words - words.mean("sample")


def scaled(space: xr.DataArray) -> xr.DataArray:
    """Bring a space to a total variance of one."""
    joined = concatenate({"space": space}, train=space.sample.to_numpy())
    kept = {key: value for key, value in space.attrs.items() if key in ("source", "synthetic")}
    return joined.assign_attrs(kept)


def one_unit(
    story: alice2016.AliceStory,
    recording: xr.DataArray,
    subject: str,
    layer: int,
    *,
    gap: int,
    cache: Path | None,
    null: CircularShift,
    seed: int,
) -> Result:
    """Score one participant with one layer beside the rate of words; all units share the rotations of the null."""
    if subject not in recording.subject.to_numpy():
        raise ValueError(f"--subject: got {subject!r}; expected one of {', '.join(recording.subject.to_numpy())}.")
    words = {
        "word rate": word_rate(story.words),
        "MiniLM": centred(embed_words_in_context(story.words, layer=layer, cache=cache)),
    }
    samples, tr_s = recording.sample.to_numpy(), recording.attrs["tr_s"]
    spread = {name: convolve(each, recording.onset, labels=samples) for name, each in words.items()}
    features = join_spaces({name: scaled(remove_drift(each, tr_s)) for name, each in spread.items()})
    folds = {n: ContiguousFolds(n, gap=gap) for n in (4, 5)}
    result = evaluate(
        RidgeCV(ALPHAS, folds=folds[4]),
        align(features, recording.sel(subject=subject, drop=True)),
        splits=folds[5],
        metric=pearson,
        inference=null,
        rng=seed,
    )
    return stamp(
        result, {"subject": subject, "layer": str(layer)}, {"n_shifts": str(null.n_draws or "all"), "seed": str(seed)}
    )


def score_models(spaces: Spaces, recording: xr.DataArray, null: CircularShift, seed: int) -> Result:
    """Score every space alone and some together, and the two that matter with a penalty each."""
    joined = {name: join_spaces({part: spaces[part] for part in parts}) for name, parts in TOGETHER.items()}
    results = {}
    for name, features in {**spaces, **joined}.items():
        banded = {space: spaces[space] for space in TOGETHER[BANDED]}
        results[name] = evaluate(
            banded_model(columns_of(banded)) if name == BANDED else MODEL,
            align(features, recording),
            splits=FOLDS,
            metric=pearson,
            ceiling=LeaveOneOutCeiling("subject"),
            inference=null,
            rng=seed,
        )
    return combine(results, dim="model")


TOGETHER = {
    "word rate + frequency": ("word rate", "frequency"),
    "word rate + MiniLM": ("word rate", "MiniLM"),
    BANDED: ("word rate", "MiniLM"),
}


def banded_model(bands: dict[str, slice]) -> BandedRidgeCV:
    """Give every space a penalty of its own."""
    return BandedRidgeCV(bands, ALPHAS, search=DirichletSearch(10), folds=INNER)


def part(spaces: Spaces, recording: xr.DataArray) -> dict[str, Partition]:
    """Part held-out variance between the language model and what it has to beat."""
    controls = join_spaces({name: spaces[name] for name in CONTROLS})
    sets = {
        "MiniLM beside controls and surprisal": ("MiniLM", "surprisal"),
        "MiniLM beside controls and its untrained twin": ("MiniLM", "MiniLM, untrained"),
    }
    return {
        heading: partition_variance(
            {"controls": controls, **{name: spaces[name] for name in names}},
            recording,
            make_model=banded_model,
            splits=FOLDS,
        )
        for heading, names in sets.items()
    }


def numbers(result: Result, partitions: dict[str, Partition]) -> dict[str, float]:
    """Collect what is compared with the expected numbers."""
    found = result.score.mean(["subject", "region"]).to_series().to_dict()
    for heading, partition in partitions.items():
        found |= {f"unique {row.space}, {heading}": row.unique for row in partition.table()[:4].itertuples()}
    return {**found, "ceiling": float(result.ceiling.sel(bound="lower").mean())}


def group_correlations(story: alice2016.AliceStory, recording: xr.DataArray) -> pd.DataFrame:
    """Correlate convolved word rate, nothing fitted, with the mean time course of all participants."""
    rate = convolve(word_rate(story.words), recording.onset, labels=recording.sample.to_numpy())
    straightened = recording.copy(data=detrend(story.recording.transpose(*recording.dims), axis=1))
    sides = {
        "a straight line": (rate, straightened / straightened.std("sample")),
        "cosines slower than 128 s": (remove_drift(rate, recording.attrs["tr_s"]), recording),
    }
    rows = []
    for name, (words, volumes) in sides.items():
        everyone = volumes.mean("subject").transpose("region", "sample")
        found = [float(np.corrcoef(words[:, 0], course)[0, 1]) for course in everyone]
        rows.append({"taken out": name, **dict(zip(everyone.region.to_numpy().tolist(), found, strict=True))})
    return pd.DataFrame(rows)


METHODS = """\
Words were spread over volumes with SPM's canonical haemodynamic response at their onsets. MiniLM: final layer, each \
word read with at least 40 words before it and none after; the mean over words was taken off, since its sum over \
time is the word rate. Its untrained twin has the same architecture and random weights. Surprisal: {surprisal}. \
Smoothed identity: each volume's own column, smeared over its neighbours (standard deviation two volumes). Recording \
and features were filtered alike (cosines slower than 128 s regressed out) and scaled. Left out by name: {excluded}.

Ridge regression, a penalty for each participant and region from four inner stretches; banded: a penalty for each \
space too, from ten weightings of the spaces. Five contiguous stretches of the story were held out in turn, with {gap} \
volumes (20 s) left out on either side, inside and outside. Score: Pearson correlation per stretch, averaged. Null: \
the recording is rotated in time against the features and everything is fitted again, for every rotation. \
Participants share each rotation, so their mean has a null of its own. Ceiling: each participant predicted by the mean \
of the others, never clipped. Variance is parted by leaving each space out and fitting again; controls are word rate, \
position, length and frequency together.

Word rate correlates more with the group mean once slow drifts, which hide it, are taken out of both."""
