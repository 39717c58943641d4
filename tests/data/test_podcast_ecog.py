from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import mne
import numpy as np
import pandas as pd
import pytest

from neuroling import CircularShift, ContiguousFolds, Ridge, align, evaluate, pearson
from neuroling.data.cards import card
from neuroling.data.errors import CorruptData, DataNotFound
from neuroling.data.loaders import podcast_ecog
from neuroling.data.loaders.podcast_ecog import load, load_features, read_tokens, read_words, write_twin
from neuroling.data.selection import names_of, select_files

POWER = "derivatives/ecogprep/sub-02/ieeg/sub-02_task-podcast_desc-highgamma_ieeg.fif"
GOOD = {"sub-01": 99, "sub-02": 90, "sub-03": 235, "sub-04": 143, "sub-05": 159, "sub-06": 166}
GOOD |= {"sub-07": 116, "sub-08": 72, "sub-09": 188}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("podcast")
    write_twin(path, 0, n_channels=2, duration_s=100)
    return path


def test_the_card_is_the_published_listing(tree: Callable[[str], dict]) -> None:
    listing = tree("podcast_ecog")
    assert all(listing[file.path] == (file.bytes, file.checksum[1]) for file in card("podcast_ecog").files)


def test_every_published_recording_has_the_samples_of_its_good_channels(layout: Callable[[str], Path]) -> None:
    for file in card("podcast_ecog").files:
        if file.path.endswith("highgamma_ieeg.fif"):
            tables = layout("podcast_ecog") / str(file.subject) / "ieeg"
            channels = pd.read_csv(tables / f"{file.subject}_task-podcast_channels.tsv", sep="\t", encoding="utf-8-sig")
            is_good = (channels["type"] == "ECOG") & (channels["status"] == "good")
            n_values, rest = divmod(file.bytes, 4 * 1800 * 512)
            assert (n_values, rest < 200_000) == (is_good.sum(), True)
            assert GOOD[str(file.subject)] == n_values


def test_every_good_channel_has_a_position(layout: Callable[[str], Path]) -> None:
    for subject in names_of(card("podcast_ecog"), "subject"):
        tables = layout("podcast_ecog") / subject / "ieeg"
        channels = pd.read_csv(tables / f"{subject}_task-podcast_channels.tsv", sep="\t", encoding="utf-8-sig")
        names = channels.loc[(channels["type"] == "ECOG") & (channels["status"] == "good"), "name"].tolist()
        places = podcast_ecog._positions(layout("podcast_ecog"), subject, names, None)
        assert len(places["channel"]) == GOOD[subject]
        assert np.isfinite(places["x"]).all()


def test_gpt2_predicts_the_published_share_of_real_tokens(layout: Callable[[str], Path]) -> None:
    tokens = read_tokens(layout("podcast_ecog"))
    assert len(tokens) == 5491
    assert (tokens["rank"] == 0).mean() == 0.30941540702968495
    assert -np.log(tokens["true_prob"]).mean() == pytest.approx(4.0204, abs=5e-5)


def test_real_words_are_in_the_order_of_time_and_keep_their_number(layout: Callable[[str], Path]) -> None:
    words = read_words(layout("podcast_ecog")).table
    assert len(words) == 5136
    assert words["onset"].is_monotonic_increasing
    assert (np.diff(words.sort_values("word_idx")["onset"]) < 0).sum() == 19
    assert words.sort_values("word_idx")["text"].iloc[115] == "Oh"
    assert words["offset"].max() == pytest.approx(1799.367)
    assert words["surprisal"].sum() == pytest.approx(4.0204 * 5491, rel=1e-4)


def test_six_real_words_are_too_close_to_the_end(layout: Callable[[str], Path]) -> None:
    words, _, excluded = podcast_ecog._epochs(read_words(layout("podcast_ecog")), 1800 * 512, -1024, 2048)
    assert len(words) == 5130
    assert excluded == ("6 words: their epoch leaves the recording",)


@pytest.mark.parametrize(("name", "n_without"), [("phonetic", 108), ("whisper-medium", 2), ("en_core_web_lg", 0)])
def test_real_words_without_features_are_counted(
    layout: Callable[[str], Path], tmp_path: Path, name: str, n_without: int
) -> None:
    text = (layout("podcast_ecog") / "stimuli" / name / "transcript.tsv").read_text(encoding="utf-8")
    (tmp_path / "stimuli" / name).mkdir(parents=True)
    (tmp_path / "stimuli" / name / "transcript.tsv").write_text(text, encoding="utf-8")
    rows = pd.read_csv(layout("podcast_ecog") / "stimuli" / name / "transcript.tsv", sep="\t", keep_default_na=False)
    with h5py.File(tmp_path / "stimuli" / name / "features.hdf5", "w") as file:
        file["vectors"] = rows["word_idx"].to_numpy(float)[:, None]
    words = read_words(layout("podcast_ecog"))
    features = load_features(tmp_path, words, name)
    assert features.attrs["n_words_without"] == n_without
    assert (features.to_numpy()[:, 0] == words.table.loc[features.sample.to_numpy(), "word_idx"]).all()


def test_a_full_twin_has_as_many_samples_words_and_tokens(tmp_path: Path) -> None:
    write_twin(tmp_path, 0, n_channels=1, duration_s=1800)
    tokens = read_tokens(tmp_path)
    assert (len(tokens), tokens["word_idx"].nunique()) == (5491, 5136)
    assert (np.diff(tokens.drop_duplicates("word_idx")["start"]) < 0).sum() == 19
    size = (tmp_path / POWER).stat().st_size
    assert 0 <= size - 4 * 921_600 < 200_000
    with h5py.File(tmp_path / "stimuli/gpt2-xl/features.hdf5") as file:
        assert sorted(file) == sorted(f"layer-{layer}" for layer in range(49))
        assert (file["layer-24"].dtype, file["layer-24"].shape[0]) == (np.float32, 5491)
    assert 49 * 5491 * 1600 * 4 < 1_721_998_080 < 49 * 5491 * 1600 * 4 + 50_000  # float32, by the published size


def test_bins_are_the_means_of_mnes_epochs(folder: Path) -> None:
    story = load(folder, subject="sub-02", window_s=(-0.5, 0.5))
    binned = story.recording.read(slice(1, 2)).isel(channel=0).to_numpy()
    raw = mne.io.read_raw_fif(folder / POWER, preload=True, verbose="error")
    samples = (story.words.table["onset"] * 512).astype(int).to_numpy()
    events = np.column_stack([samples, np.zeros_like(samples), np.ones_like(samples)])
    options = {"tmin": -0.5, "tmax": 0.5 - 1 / 512, "baseline": None, "preload": True, "verbose": "error"}
    epochs = mne.Epochs(raw, events, picks="LGA2", **options)
    expected = epochs.get_data()[:, 0].reshape(len(events), -1, 16).mean(axis=2)
    np.testing.assert_allclose(binned, expected, rtol=1e-5)


def test_electrodes_are_joined_to_channels_by_name(folder: Path) -> None:
    recording = load(folder, subject="sub-02").recording.read(slice(0, 2))
    assert recording.channel.to_numpy().tolist() == ["LGA1", "LGA2"]
    assert recording.x.to_numpy().tolist() == [-50.0, -51.0]


def test_electrodes_are_chosen_by_the_beginning_of_their_names(folder: Path) -> None:
    assert load(folder, subject="sub-02", electrodes="LGA2").recording.n_targets == 1
    with pytest.raises(ValueError, match="electrodes: got 'XX'; no channel begins so: LGA1"):
        load(folder, subject="sub-02", electrodes="XX")


def test_features_of_several_tokens_are_averaged_over_their_word(folder: Path) -> None:
    words = read_words(folder)
    tokens = read_tokens(folder)
    word = tokens["word_idx"][tokens["word_idx"].duplicated()].iloc[0]
    with h5py.File(folder / "stimuli/gpt2-xl/features.hdf5") as file:
        expected = file["layer-24"][np.flatnonzero(tokens["word_idx"] == word).tolist()].mean(axis=0)
    features = load_features(folder, words)
    np.testing.assert_allclose(
        features.to_numpy()[(words.table["word_idx"] == word).to_numpy()][0], expected, rtol=1e-6
    )


def test_words_that_have_no_features_are_missing_and_counted(folder: Path) -> None:
    words = read_words(folder)
    features = load_features(folder, words, "phonetic")
    assert features.sizes["sample"] + features.attrs["n_words_without"] == len(words)
    assert features.attrs["n_words_without"] > 0


def copied(folder: Path, tmp_path: Path) -> Path:
    import shutil

    return Path(shutil.copytree(folder, tmp_path / "copy"))


def test_features_of_another_length_than_their_transcript_are_refused(folder: Path, tmp_path: Path) -> None:
    damaged = copied(folder, tmp_path)
    path = damaged / "stimuli/gpt2-xl/transcript.tsv"
    path.write_text("\n".join(path.read_text(encoding="utf-8").splitlines()[:-3]) + "\n", encoding="utf-8")
    with pytest.raises(CorruptData, match=r"expected 302 rows, as transcript.tsv"):
        load_features(damaged, read_words(damaged))


def test_a_file_with_several_unknown_data_sets_is_refused(folder: Path, tmp_path: Path) -> None:
    damaged = copied(folder, tmp_path)
    with h5py.File(damaged / "stimuli/phonetic/features.hdf5", "r+") as file:
        file["more"] = np.zeros(3)
    with pytest.raises(CorruptData, match=r"data sets \['more', 'vectors'\]; expected one"):
        load_features(damaged, read_words(damaged), "phonetic")


def test_a_truncated_recording_is_refused(folder: Path, tmp_path: Path) -> None:
    damaged = copied(folder, tmp_path)
    (damaged / POWER).write_bytes((damaged / POWER).read_bytes()[:3000])
    with pytest.raises(CorruptData, match=r"highgamma_ieeg.fif: 1.0 s; expected a complete recording"):
        load(damaged, subject="sub-02").recording.read(slice(0, 1))


def test_an_electrode_without_a_position_is_refused(folder: Path, tmp_path: Path) -> None:
    damaged = copied(folder, tmp_path)
    path = damaged / "sub-02/ieeg/sub-02_space-MNI152NLin2009aSym_electrodes.tsv"
    path.write_text(path.read_text(encoding="utf-8-sig").replace("LGA2", "LGA02"))
    with pytest.raises(CorruptData, match="no rows for LGA2"):
        load(damaged, subject="sub-02")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"subject": "sub-10"}, "subject: podcast_ecog has no 'sub-10'"),
        ({"subject": "sub-02", "window_s": (0.0, 0.0)}, "window_s: got"),
        ({"subject": "sub-02", "window_s": (-90.0, 90.0)}, "none of .* words has an epoch inside 100 s"),
    ],
)
def test_what_does_not_exist_is_refused(folder: Path, options: dict, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        load(folder, **options)


def test_a_layer_is_asked_of_gpt2_alone(folder: Path) -> None:
    with pytest.raises(ValueError, match="only gpt2-xl has layers"):
        load_features(folder, read_words(folder), "phonetic", layer=3)
    with pytest.raises(CorruptData, match="layer-60"):
        load_features(folder, read_words(folder), layer=60)


def test_absent_features_are_named(folder: Path) -> None:
    with pytest.raises(DataNotFound, match="spectral"):
        load_features(folder, read_words(folder), "spectral")


def test_features_of_gpt2_are_fetched_on_request_only() -> None:
    entry = card("podcast_ecog")
    assert not any(file.path.endswith("hdf5") for file in select_files(entry, subjects=["sub-02"]))
    with_features = select_files(entry, subjects=["sub-02"], optional_parts=["gpt2-xl"])
    assert "stimuli/gpt2-xl/features.hdf5" in [file.path for file in with_features]


def scores(effect: float):
    story, features = podcast_ecog.twin(rng=0, duration_s=150, effect=effect)
    binned = story.recording.sel(time=slice(-0.3, 0.6)).assign_attrs(story.recording.attrs)
    model, splits = Ridge(1.0), ContiguousFolds(4, gap=10)
    return evaluate(model, align(features, binned), splits=splits, metric=pearson, inference=CircularShift(100), rng=0)


def test_the_planted_response_is_found_in_its_channel_and_time() -> None:
    result = scores(1.5)
    curve = result.score.mean("split") if "split" in result.score.dims else result.score
    peak = curve.sel(channel="LGA1").idxmax("time").item()
    assert 0.1 <= peak <= 0.3
    assert curve.sel(channel="LGA1").max() > 0.3
    late = result.p_values("max").sel(channel="LGA1", time=slice(0.12, 0.28))
    assert (late < 0.02).all()
    assert (result.p_values("max").sel(channel=["LGA2", "LGA3"]) > 0.05).all()


def test_nothing_is_found_where_nothing_was_planted() -> None:
    assert (scores(0.0).p_values("max") > 0.05).all()


def test_equal_seeds_make_equal_recordings_and_different_ones_do_not() -> None:
    one, same, other = (podcast_ecog.twin(rng=seed, duration_s=60)[0].recording for seed in (1, 1, 2))
    assert one.equals(same)
    assert not np.array_equal(one.to_numpy()[:5], other.to_numpy()[:5])
