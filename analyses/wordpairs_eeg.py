"""Word pairs of van Vliet and Salmelin (2020): relatedness and association strength in one person's EEG.

Paper: NeuroImage 204, 116221. Claim: 300 to 500 ms after an unrelated word the centro-parietal EEG is more negative.
Expected: +1.64 against -1.26 uV, t(198) = 3.45; amplitude against association strength r = 0.24; trial-level RSA of
relatedness about 0.05 at 300 to 400 ms only. Every pair was shown once, so no distance is unbiased: the correlation
distance says so on its result, and trials being alike in number, its bias favours no model. MiniLM read English; the
words are Dutch, so its similarities are a weak guess, and are reported as such.
"""

from pathlib import Path
from typing import Annotated

import typer
import xarray as xr
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import KFold

from neuroling import Permutation, Result, Stimuli, align, confound_rdms, estimate, evaluate, pairwise, pearson
from neuroling.data import real_or_twin, vanvliet_wordpairs
from neuroling.evaluation import Regression, in_window, rho_a
from neuroling.features import sentence_similarity, standardized
from neuroling.report import Exhibit, plot_curve, write_analysis
from neuroling.rsa import FixedRDM

EXPECTED = Path(__file__).parent / "expected" / "wordpairs_eeg.json"
CENTRO_PARIETAL = ("Cz", "CP1", "CP2", "Pz", "P3", "P4", "C3", "C4")
N400, PEAK, BEFORE = (0.3, 0.5), (0.3, 0.4), (-0.16, 0.25)  # s
WINDOW = 5  # samples of 20 ms
RSA = "Trial-level RSA; grey: mean and central 95 % of exchanged item labels; bar: p < 0.05, family-wise."
TRIALS = (
    "Held-out r over trials, centro-parietal mean, ten folds; grey: mean and central 95 % of exchanged trials (below 0 "
    "where a useless regressor is pooled over folds); bars: p < 0.05, family-wise."
)


def main(
    out: Annotated[Path, typer.Option(help="Folder for figures, page and result.")] = Path("results/wordpairs_eeg"),
    n_draws: Annotated[int, typer.Option(help="Draws of every null.")] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
) -> Result:
    """Test the N400, compare trials with models over time, and regress single trials on similarity."""
    stimuli, recording = real_or_twin(
        vanvliet_wordpairs.NAME, vanvliet_wordpairs.load, lambda: vanvliet_wordpairs.twin(rng=seed)
    )
    where = [name for name in CENTRO_PARIETAL if name in recording.channel.to_numpy()]
    eeg = recording.sel(channel=where).mean("channel", keep_attrs=True).drop_vars("association_strength")
    t, strength, n400 = amplitudes(stimuli, eeg)
    over_time = compare_trials(stimuli, recording, n_draws, seed)
    related = over_time.select(model="condition")
    late, early = (float(in_window(related.score, window).mean()) for window in (PEAK, BEFORE))
    clear = over_time.p_values("max").sel(model="condition") < 0.05
    rsa = (
        f"trial-level RSA of relatedness, {over_time.metric}: {late:.3f} at 300 to 400 ms, {early:.3f} before 250 ms, "
        f"{int(clear.sum())} windows beyond the null of item labels (family-wise over both models)"
    )
    curve = plot_curve(related.score, null=related.null.draws, significant=clear, label="RSA of relatedness, rho-a")
    single, trials = regress_trials(stimuli, eeg, n_draws, seed)
    drawn = Exhibit("rsa", curve, RSA)
    sections = {"N400": n400, "Similarity over time": [rsa, drawn], "Single trials": trials}
    numbers = {"t": t, "r with strength": strength, "RSA late": late, "RSA early": early}
    compared = {"options": {"n_draws": n_draws, "seed": seed}, "numbers": numbers, "expected": EXPECTED}
    results = {"result": over_time, "single_trials": single}
    write_analysis(out, sections, results, title="Word pairs in the EEG of one person", **compared)
    print(*n400, rsa, over_time, *(line for line in trials if isinstance(line, str)), sep="\n")
    return over_time


def amplitudes(stimuli: Stimuli, eeg: xr.DataArray) -> tuple[float, float, list[str]]:
    """Compare amplitudes of related and unrelated pairs, and correlate them with association strength."""
    amplitude = in_window(eeg, N400).mean("time", keep_attrs=True)
    related = stimuli.features((eeg.condition == "related").to_numpy()[:, None], ["related"])
    means = estimate(Regression(), align(related, amplitude)).estimates
    t = float(means.t.sel(feature="related"))
    unrelated, more = (float(means.estimate.sel(feature=name)) for name in ("1", "related"))
    z = amplitude.copy(data=(amplitude - amplitude.mean()) / amplitude.std(ddof=1))
    association = stimuli.features(standardized(stimuli.table[["association_strength"]]), ["strength"])
    strength = float(estimate(Regression(), align(association, z)).score.sel(feature="strength"))
    return (
        t,
        strength,
        [
            f"N400: related {unrelated + more:.2f}, unrelated {unrelated:.2f} uV, t = {t:.2f}",
            f"amplitude against association strength: r = {strength:.3f}",
        ],
    )


def compare_trials(stimuli: Stimuli, recording: xr.DataArray, n_draws: int, seed: int) -> Result:
    """Compare dissimilarities of trials with relatedness and association, and test both by item labels."""
    models = confound_rdms(stimuli.table, {"condition": "class", "association_strength": "number"})
    pairs = pairwise(models, recording, distance="correlation", window=WINDOW)
    return evaluate(FixedRDM(), pairs, metric=rho_a, inference=Permutation(n_draws), rng=seed)


def regress_trials(stimuli: Stimuli, eeg: xr.DataArray, n_draws: int, seed: int) -> tuple[Result, list[Exhibit | str]]:
    """Predict each trial's centro-parietal time course from one number a pair, held out in ten folds."""
    words = {name: Stimuli.from_texts(stimuli.table[name].tolist(), labels=stimuli.labels) for name in ("cue", "text")}
    spaces = {
        "association strength": stimuli.features(stimuli.table[["association_strength"]]),
        "MiniLM similarity": sentence_similarity(words["cue"], words["text"]),
    }
    splits, null = KFold(10, shuffle=True, random_state=seed), Permutation(min(n_draws, 500))
    options = {"splits": splits, "metric": pearson.pooled(), "inference": null, "rng": seed}
    result = evaluate(LinearRegression(), align(spaces, eeg), **options)
    shown: list[Exhibit | str] = []
    for name in spaces:
        one = result.select(model=name)
        peak, p = in_window(one.score, N400).max(), in_window(result.p_values("max").sel(model=name), N400).min()
        shown.append(f"single trials on {name}: held-out r up to {float(peak):.3f} in the N400, p {float(p):.3f}")
        clear, label = result.p_values("max").sel(model=name) < 0.05, f"held-out r, {name}"
        axes = plot_curve(one.score, null=one.null.draws, significant=clear, label=label)
        shown.append(Exhibit(name.replace(" ", "_"), axes, TRIALS))
    return result, shown
