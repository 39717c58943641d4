"""Listening to Alice in Wonderland: word rate, position, frequency and MiniLM predict six language regions.

Data: Brennan et al. (2016), 27 participants, 362 volumes of 2 s, 6 regions, CC BY 4.0.
Claim: regions follow the rate of words. Expected: convolved word rate against the group mean r = 0.35 to 0.43 as
shipped; leave-one-subject-out correlation 0.17 to 0.40. A language model has to be read beside that, so the controls
stand in the same table, scored on the same stretches of time with the same null.
"""

from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer
import xarray as xr
from scipy.signal import detrend

from neuroling import (
    CircularShift,
    ContiguousFolds,
    LeaveOneOut,
    Result,
    RidgeCV,
    align,
    combine,
    convolve,
    evaluate,
    pearson,
)
from neuroling.data.at_hand import real_or_twin
from neuroling.data.loaders import alice2016
from neuroling.encoding.drift import remove_drift
from neuroling.features.story import embed_words_in_context, word_rate
from neuroling.features.text import concatenate
from neuroling.report.expected import compare_with_expected
from neuroling.report.regions import RegionStudy, region_table, write_region_report

ALPHAS = np.logspace(-2, 6, 17)  # every feature space has a total variance of one
GAP = 10  # volumes of 2 s: as long as the haemodynamic response
EXPECTED = Path(__file__).parent / "expected" / "alice2016.json"
FOLDS = ContiguousFolds(5, gap=GAP)
MODEL = RidgeCV(ALPHAS, folds=ContiguousFolds(4, gap=GAP))


def main(
    out: Annotated[Path, typer.Option(help="Folder for report and result.")] = Path("results/alice2016"),
    n_shifts: Annotated[int | None, typer.Option(help="Rotations of the null; all of them by default.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the twin and of the rotations.")] = 0,
) -> Result:
    """Predict regional time courses from features of the words and write the report."""
    out.mkdir(parents=True, exist_ok=True)
    story = real_or_twin("alice2016_fmri", alice2016.load, lambda: alice2016.twin(8, 240, rng=seed))
    recording = remove_drift(story.recording, story.recording.attrs["tr_s"])
    results = {}
    for name, features in feature_spaces(story, recording, out / "cache").items():
        results[name] = evaluate(
            MODEL,
            align(features, recording),
            splits=FOLDS,
            metric=pearson,
            ceiling=LeaveOneOut("subject"),
            inference=CircularShift(n_shifts),
            rng=seed,
        )
    result = combine(results, dim="model")
    result.save(out / "result.nc")
    study = RegionStudy(
        title="Listening to Alice in Wonderland",
        question=f"{recording.sizes['subject']} participants, {recording.sizes['sample']} volumes, "
        f"{recording.sizes['region']} language regions: what does a language model add to the rate of words?",
        result=result,
        group_mean=group_correlations(story, recording),
        methods=METHODS.format(gap=GAP, excluded=story.recording.attrs["excluded"] or "nobody"),
    )
    write_region_report(study, out)
    region_table(result).to_csv(out / "table.csv", index=False)
    if not result.provenance.synthetic:
        found = result.score.mean(["subject", "region"]).to_series().to_dict()
        ceiling = float(result.ceiling.sel(bound="lower").mean())
        compare_with_expected({**found, "ceiling": ceiling}, EXPECTED)
    return result


def feature_spaces(story: alice2016.AliceStory, recording: xr.DataArray, cache: Path) -> dict[str, xr.DataArray]:
    """Describe every volume in five ways, filtered like the recording, each scaled to a total variance of one."""
    samples = recording.sample.to_numpy()
    embedded = embed_words_in_context(story.words, cache=cache)
    content = embedded - embedded.mean("sample")  # what is common to all words is the word rate
    rate, minilm = (convolve(f, recording.onset, labels=samples) for f in (word_rate(story.words), content))
    frequency = story.controls.sel(feature=["frq"])
    position = frequency.copy(data=np.linspace(-1, 1, len(samples))[:, None]).assign_coords(feature=["position"])

    def space(*parts: xr.DataArray) -> xr.DataArray:
        tr_s = recording.attrs["tr_s"]
        return concatenate({str(part.feature[0].item()): remove_drift(part, tr_s) for part in parts}, train=samples)

    trend = concatenate({"position": position}, train=samples)  # a filter would leave nothing
    return {
        "position": trend,
        "word rate": space(rate),
        "word rate + frequency": space(rate, frequency),
        "MiniLM": space(minilm),
        "word rate + MiniLM": space(rate, minilm),
    }


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
time is the word rate. Recording and features were filtered alike (cosines slower than 128 s regressed out) and \
scaled. Left out by name: {excluded}.

Ridge regression, a penalty for each participant and region from four inner stretches. Five contiguous stretches of \
the story were held out in turn, with {gap} volumes (20 s) left out on either side, inside and outside. Score: \
Pearson correlation per stretch, averaged. Null: the recording is rotated in time against the features and \
everything is fitted again, for every rotation. Participants share each rotation, so their mean has a null of its \
own. Ceiling: each participant predicted by the mean of the others, never clipped.

Word rate correlates more with the group mean once slow drifts, which hide it, are taken out of both."""
