"""Word pairs of van Vliet and Salmelin (2020): relatedness and association strength in one person's EEG.

Paper: NeuroImage 204, 116221. Claim: 300 to 500 ms after an unrelated word the centro-parietal EEG is more negative.
Expected: +1.64 against -1.26 uV, t(198) = 3.45; amplitude against association strength r = 0.24; trial-level RSA of
relatedness about 0.05 at 300 to 400 ms only. Every pair was shown once, so no distance is unbiased: the correlation
distance says so on its result, and trials being alike in number, its bias favours no model. MiniLM read English; the
words are Dutch, so its similarities are a weak guess, and are reported as such.
"""

from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer
import xarray as xr
from scipy.stats import pearsonr, ttest_ind
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import KFold

from neuroling import Permutation, Result, Stimuli, align, confound_rdms, embed_sentences, evaluate, pairwise, pearson
from neuroling.data import real_or_twin, vanvliet_wordpairs
from neuroling.evaluation import in_window, rho_a
from neuroling.report import Exhibit, axes_to_png, compare_with_expected, plot_curve, write_exhibits
from neuroling.rsa import FixedRDM

EXPECTED = Path(__file__).parent / "expected" / "wordpairs_eeg.json"
CENTRO_PARIETAL = ("Cz", "CP1", "CP2", "Pz", "P3", "P4", "C3", "C4")
N400, PEAK, BEFORE = (0.3, 0.5), (0.3, 0.4), (-0.16, 0.25)  # s
WINDOW = 5  # samples of 20 ms


def main(
    out: Annotated[Path, typer.Option(help="Folder for figures, summary and result.")] = Path("results/wordpairs_eeg"),
    n_draws: Annotated[int, typer.Option(help="Draws of every null.")] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
) -> Result:
    """Test the N400, compare trials with models over time, and regress single trials on similarity."""
    out.mkdir(parents=True, exist_ok=True)
    stimuli, recording = real_or_twin(
        vanvliet_wordpairs.NAME, vanvliet_wordpairs.load, lambda: vanvliet_wordpairs.twin(rng=seed)
    )
    synthetic = bool(recording.attrs["synthetic"])
    where = [name for name in CENTRO_PARIETAL if name in recording.channel.to_numpy()]
    amplitude = in_window(recording.sel(channel=where), N400).mean(["channel", "time"])
    related = (recording.condition == "related").to_numpy()
    sides = [amplitude.to_numpy()[related], amplitude.to_numpy()[~related]]
    strength = float(pearsonr(amplitude.to_numpy(), recording.association_strength.to_numpy())[0])
    t = float(ttest_ind(*sides).statistic)
    lines = [
        f"N400: related {sides[0].mean():.2f}, unrelated {sides[1].mean():.2f} uV, t = {t:.2f}",
        f"amplitude against association strength: r = {strength:.3f}",
    ]
    models = confound_rdms(stimuli.table, {"condition": "class", "association_strength": "number"})
    pairs = pairwise(models, recording, distance="correlation", window=WINDOW)
    over_time = evaluate(FixedRDM(), pairs, metric=rho_a)
    null = evaluate(
        FixedRDM(),
        pairwise(models.sel(model=["condition"]), recording, distance="correlation", window=WINDOW),
        metric=pearson,  # of a two-valued model: pairs within against pairs across conditions
        inference=Permutation(n_draws, keep_draws=False),
        rng=seed,
    )
    clear = null.p_values("max") < 0.05
    related_score = over_time.score.sel(model="condition")
    late, early = (float(in_window(related_score, window).mean()) for window in (PEAK, BEFORE))
    lines += [
        f"trial-level RSA of relatedness, {over_time.metric}: {late:.3f} at 300 to 400 ms, {early:.3f} before 250 ms, "
        f"{int(clear.sum())} windows beyond the null of item labels (family-wise)"
    ]
    single = regress_trials(stimuli, recording.sel(channel=where).mean("channel"), n_draws, seed)
    for name, result in single.items():
        peak = in_window(result.score, N400)
        p = in_window(result.p_values("max"), N400)
        lines.append(
            f"single trials on {name}: held-out r up to {float(peak.max()):.3f} in the N400, p {float(p.min()):.3f}"
        )
    (out / "summary.txt").write_text("\n".join([*lines, str(over_time)]), encoding="utf-8")
    print("\n".join([*lines, str(over_time)]))
    curve = plot_curve(null.score, significant=clear, label="RSA of relatedness, Pearson")
    caption = "Held-out r over trials, centro-parietal mean, ten folds; bars: max-statistic below 0.05."
    trials = []
    for name, result in single.items():
        axes = plot_curve(result.score, significant=result.p_values("max") < 0.05, label=f"held-out r, {name}")
        trials.append(Exhibit(name.replace(" ", "_"), axes_to_png(axes, synthetic=synthetic), caption))
    rsa = Exhibit("rsa", axes_to_png(curve, synthetic=synthetic), "Trial-level RSA; bar: item labels, family-wise.")
    write_exhibits(
        out,
        {"N400": lines[:2], "Similarity over time": [lines[2], rsa], "Single trials": [*lines[3:], *trials]},
        title="Word pairs in the EEG of one person",
        provenance={"n_draws": n_draws, "seed": seed, "channels": ", ".join(where)},
        synthetic=synthetic,
    )
    over_time.save(out / "result.nc")
    if not synthetic:
        compare_with_expected({"t": t, "r with strength": strength, "RSA late": late, "RSA early": early}, EXPECTED)
    return over_time


def regress_trials(stimuli: Stimuli, eeg: xr.DataArray, n_draws: int, seed: int) -> dict[str, Result]:
    """Predict each trial's centro-parietal time course from one number a pair, held out in ten folds."""
    words = pd.unique(pd.concat([stimuli.table["cue"], stimuli.table["text"]]))
    vectors = embed_sentences(Stimuli.from_texts([str(word) for word in words]))
    cue, text = (vectors.sel(sample=list(stimuli.table[name])).to_numpy() for name in ("cue", "text"))
    columns = {
        "association strength": stimuli.table["association_strength"].to_numpy()[:, None],
        "MiniLM similarity": np.sum(cue * text, axis=1, keepdims=True),
    }
    splits = KFold(10, shuffle=True, random_state=seed)
    return {
        name: evaluate(
            LinearRegression(),
            align(stimuli.features(values), eeg.drop_vars("association_strength")),
            splits=splits,
            metric=pearson.pooled(),
            inference=Permutation(min(n_draws, 500), keep_draws=False),
            rng=seed,
        )
        for name, values in columns.items()
    }
