"""Networks that read show a smaller N400 on repetition with the alpha function on all excitatory units, hardly without.

Model after Laszlo and Armstrong (2014), Brain and Language 132:22-27, and Laszlo and Plaut (2012); their method
sections were not at hand, so everything inferred is named in ``docs/n400.md``. Published: second over first
presentation 0.79 (words), 0.81 (acronyms), 0.82 (pseudowords), 0.85 (illegal strings) with the alpha function, no
effect without. Here 0.88, 0.89, 0.93 and 0.94, words 2 % smaller without alpha; with alpha, few repeated targets are
recognised at any one tick. ``--threshold 0.07 --blank 5`` gives more of the former and less of the latter.
Expected numbers, 24 participants of one lexicon: ``expected/``; further lexicons, seeds and what trades off:
``benchmarks/n400_sweep.py``.
"""

from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from neuroling.n400 import (
    BLANKS,
    LAYERS,
    PHENOMENA,
    SWEEP,
    Alpha,
    Hypothesis,
    Letters,
    Network,
    Timing,
    against_published,
    as_text,
    band_table,
    diagnose,
    effect_table,
    first_window,
    fit_to_published,
    item_orders,
    pool_lexicons,
    reading_of_lexicons,
    reading_warning,
    repetition,
    semantic_activation,
    shape_table,
    simulate,
    simulate_units,
    train_networks,
    window_caption,
)
from neuroling.n400 import sensitivity as swept
from neuroling.report import (
    Exhibit,
    axes_to_png,
    compare_with_expected,
    figure_to_png,
    film_of_units,
    plot_against_published,
    plot_four_panels,
    plot_reading,
    plot_sensitivity,
    plot_sweep,
    plot_units,
    write_exhibits,
)

EXPECTED = Path(__file__).parent / "expected" / "laszlo_armstrong2014.json"
EFFECTS = "Crossed mixed models over items, participants and lexicons; relative to the mean amplitude, 95 % intervals."
SHOWN = ["hypothesis", "phenomenon", "relative", "relative_low", "relative_high", "t", "participants", "recognised"]
SHAPE = ["model", "peaks", "peak", "latency", "final", "rebound", "rebound low", "rebound high", "single-peaked"]
BESIDE = ["kind", "first", "second", "ratio", "published ratio", "people, first (µV)", "people, repetition (µV)"]
ROWS = [one for one in PHENOMENA if one.experiment == "repetition"]


def main(
    out: Annotated[Path, typer.Option(help="Folder for tables and figures.")] = Path("results/laszlo_armstrong2014"),
    participants: Annotated[int, typer.Option(help="Simulated participants of each lexicon.")] = 24,
    lexicons: Annotated[int, typer.Option(help="Number of lexicons.")] = 1,
    time_constant: Annotated[float, typer.Option(help="T of the alpha function in ticks.")] = 7.5,
    threshold: Annotated[
        float, typer.Option(help="Activation above which the clock of the alpha function runs.")
    ] = 0.1,
    blank: Annotated[int, typer.Option(help="Ticks between prime and target. Default: 4.")] = 4,
    layers: Annotated[list[str], typer.Option(help="Layer on which alpha acts; repeat. Default: all.")] = list(LAYERS),  # noqa: B006 - typer's
    letters: Annotated[Letters, typer.Option(help="Letter code: 15 or 30 input units.")] = "two-of-five",
    epochs: Annotated[int | None, typer.Option(help="Epochs of training, all stages together.")] = None,
    cache: Annotated[Path | None, typer.Option(help="Folder of trained networks. Default: OUT/networks.")] = None,
    sensitivity: Annotated[bool, typer.Option(help="Sweep all parameters and lexicons, and print the maps.")] = False,
    allow_unlearned: Annotated[bool, typer.Option(help="Continue although participants do not read.")] = False,
    seed: Annotated[int, typer.Option(help="Seed of lexicons, weights and orders.")] = 0,
) -> pd.DataFrame:
    """Train, simulate with and without the alpha function, and write what became of the published claims."""
    alpha = Alpha(time_constant, threshold=threshold, layers=tuple(layers))
    options = {"lexicons": lexicons, "participants": participants, "letters": letters, "epochs": epochs}
    networks = train_networks(**options, rng=seed, cache=cache or out / "networks")
    effects, numbers = report(networks, alpha, Timing(blank=blank), out, seed, allow_unlearned)
    if sensitivity:
        sweep = diagnose(networks, alpha=alpha, rng=seed)
        sweep.to_csv(out / "sweep.csv", index=False)
        for effect in ("repetition", "neighbourhood"):
            (out / f"sweep_{effect}.png").write_bytes(figure_to_png(plot_sweep(sweep, effect)))
            print(as_text(sweep, effect))
    if (participants, lexicons, letters, epochs, alpha, blank) == (24, 1, "two-of-five", None, Alpha(7.5), 4):
        compare_with_expected(numbers, EXPECTED)
    return effects


def report(
    networks: list[Network], alpha: Alpha, timing: Timing, out: Path, seed: int, allow_unlearned: bool
) -> tuple[pd.DataFrame, dict[str, float]]:
    """Simulate trained networks, write tables and figures; give the effects, and the numbers that are expected."""
    out.mkdir(parents=True, exist_ok=True)
    models = {"alpha model": alpha, "control": None}
    asked = [Hypothesis(name, dynamics, semantic_activation) for name, dynamics in models.items()]
    parts = {str(place): [network] for place, network in enumerate(networks)} if len(networks) > 1 else {}
    settings = {"timing": timing, "allow_unlearned": allow_unlearned}
    options = {"phenomena": ROWS, "rng": seed, **settings}
    of_parts = {**parts, "all": networks}
    effects = pd.concat([effect_table(part, asked, **options).assign(lexicon=name) for name, part in of_parts.items()])
    trials = [repetition(network.lexicon, rng=seed) for network in networks]
    pairs = list(zip(networks, trials, strict=True))
    fatigued, control = (
        pool_lexicons([simulate(*pair, alpha=dynamics, **settings) for pair in pairs]) for dynamics in models.values()
    )
    read = pd.concat([reading_of_lexicons(networks, dynamics, seed, name, timing) for name, dynamics in models.items()])
    summary, warning = reading_warning(read, control_model="control")
    window, shape = first_window(fatigued), pd.concat([shape_table(fatigued), shape_table(control)])
    sweep = swept(networks[0], alpha=alpha, rng=seed, time_constants=SWEEP["time_constants"], blanks=BLANKS)
    units = simulate_units(
        networks[0],
        trials[0].subset(list(trials[0].table.query("kind == 'word'").index[:2])),
        alpha=alpha,
        timing=timing,
    )
    beside, fit = against_published(fatigued, window), fit_to_published(fatigued)
    everyone = effects[effects["lexicon"] == "all"].dropna(subset="estimate")
    panels = figure_to_png(plot_four_panels(fatigued, control, window=window))
    overlay = figure_to_png(plot_against_published(fatigued))
    sections: dict[str, list[Exhibit | str]] = {
        "Reading": [
            warning,
            Exhibit(
                "reading", summary, "Known targets recognised: at the last tick, and at the best one of the group."
            ),
            Exhibit("reading_by_tick", axes_to_png(plot_reading(read)), f"Means over participants. {warning}"),
        ],
        "Responses": [
            Exhibit("four_panels", panels, f"{window_caption(shape)} {warning}"),
            Exhibit("shape", shape, f"Peaks, latency (s), rebound as a share of the peak. {warning}", shown=SHAPE),
        ],
        "Effects": [
            Exhibit("effects_of_all", everyone.drop(columns=["lexicon"]), EFFECTS, shown=[*SHOWN, "verdict"]),
            f"All {len(effects)} rows are in effects.csv.",
        ],
        "Beside people and the published model": [
            Exhibit("published", overlay, f"Digitised curves, moved by whole ticks and not scaled. {warning}"),
            Exhibit("fit", fit, "Fit to the digitised curves; R² below 0: their mean would fit better."),
            Exhibit("against_published", beside.reset_index(), "Beside digitised curves.", shown=BESIDE),
            Exhibit("item_orders", item_orders(beside).reset_index(), "Orders of item types, rank correlations."),
            Exhibit("bands", pd.concat([band_table(fatigued), band_table(control)]), "Relative power by band."),
        ],
        "Single units": [Exhibit("units", axes_to_png(plot_units(units)), "Semantic units that read one new word.")],
        "Where the effects hold": [
            Exhibit(f"sensitivity_{effect}", axes_to_png(plot_sensitivity(sweep, effect)), f"{effect}. {warning}")
            for effect in ("repetition", "neighbourhood")
        ],
    }
    for name, table in {"effects": effects, "sensitivity": sweep, "accuracy": read}.items():
        table.to_csv(out / f"{name}.csv", index=False)
    subtitle = f"Lexicons: {len(networks)}; simulated participants of each: {networks[0].n_participants}. {warning}"
    title, provenance = "Repetition and the alpha function", {"alpha": alpha, "timing": timing, "seed": seed}
    write_exhibits(out, sections, title=title, subtitle=subtitle, provenance=provenance, synthetic=False)
    film = film_of_units({label: units.sel(sample=label).isel(repeat=0) for label in units["sample"].to_numpy()})
    (out / "semantic_layer.gif").write_bytes(film)
    numbers = dict(zip(everyone["hypothesis"] + ": " + everyone["phenomenon"], everyone["relative"], strict=True))
    of_alpha = shape.iloc[0]
    numbers |= {f"alpha model: {name}": float(of_alpha[name]) for name in ("peak", "final", "rebound")}
    numbers |= {"recognised": float(everyone["recognised"].min())}
    numbers |= {f"published, mean R2, {name}": float(part["R2"].mean()) for name, part in fit.groupby("domain")}
    return effects, numbers
