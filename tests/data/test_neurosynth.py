from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from neuroling.core.align import align
from neuroling.data.errors import CorruptData, DataNotFound
from neuroling.data.fmri import mni_grid
from neuroling.data.loaders.neurosynth import COORDINATES, METADATA, TOPICS, load, twin, write_twin
from neuroling.data.tables import read_table


def change(path: Path, old: str, new: str, count: int = 1) -> None:
    text = gzip.decompress(path.read_bytes()).decode()
    assert old in text
    path.write_bytes(gzip.compress(text.replace(old, new, count).encode()))


def test_the_twin_has_the_form_of_the_real_recording(neurosynth_folder: Path) -> None:
    stimuli, recording = load(neurosynth_folder)
    assert recording.dims == ("sample", "voxel")
    assert recording.dtype == np.float32
    assert list(recording.sample.values) == list(stimuli.labels)
    assert {"x", "y", "z", "year", "space"} <= set(recording.coords)
    assert recording.attrs["synthetic"] == 1


def test_a_recording_can_be_aligned_and_saved(neurosynth_folder: Path, tmp_path: Path) -> None:
    stimuli, recording = load(neurosynth_folder)
    brain = recording[:, (recording != recording[0]).any("sample").values]
    features = stimuli.features(np.random.default_rng(0).standard_normal((len(stimuli), 3)))
    assert align(features, brain).n_samples == len(stimuli)
    recording.to_netcdf(tmp_path / "r.nc", engine="h5netcdf")


def test_each_topic_is_active_where_it_was_planted() -> None:
    _, recording = twin(300, 0)
    contrast = recording.groupby("topic").mean("sample") - recording.mean("sample")
    for topic, (centre, _) in TOPICS.items():
        peak = recording.isel(voxel=int(contrast.sel(topic=topic).argmax("voxel")))
        distance = np.linalg.norm([float(peak[axis]) - at for axis, at in zip("xyz", centre, strict=True)])
        assert distance < 12, topic


def test_articles_are_left_out_by_name_and_with_a_reason(neurosynth_folder: Path) -> None:
    stimuli, recording = load(neurosynth_folder)
    assert recording.attrs["excluded"] == [
        "90000002: no peak inside the brain mask",
        "90000040: title already used by article 90000001",
    ]
    assert len(stimuli) == 38


def test_an_empty_title_is_left_out_by_name(neurosynth_folder: Path) -> None:
    stimuli, _ = load(neurosynth_folder)
    change(neurosynth_folder / METADATA, stimuli.texts[4], " ")
    _, recording = load(neurosynth_folder)
    assert f"{stimuli.labels[4]}: no title" in recording.attrs["excluded"]


def test_every_peak_in_the_brain_counts_once(neurosynth_folder: Path) -> None:
    _, recording = load(neurosynth_folder, sigma_voxels=0, talairach=None)
    peaks = read_table(neurosynth_folder / COORDINATES, ["id"], numbers=["x", "y", "z"])
    ours = peaks[peaks["id"].isin(recording.sample.values)]
    inside = mni_grid(8.0).locate(ours[["x", "y", "z"]]) >= 0
    assert float(recording.sum()) == inside.sum()


def test_talairach_peaks_are_converted_unless_they_are_to_be_kept(neurosynth_folder: Path) -> None:
    _, converted = load(neurosynth_folder)
    _, kept = load(neurosynth_folder, talairach=None)
    assert (converted.attrs["talairach"], kept.attrs["talairach"]) == ("tal_to_mni", "kept as they are")
    common = sorted(set(converted.sample.values) & set(kept.sample.values))
    differs = (converted.sel(sample=common) != kept.sel(sample=common)).any("voxel")
    assert np.array_equal(differs, converted.sel(sample=common).space == "TAL")


def test_a_wider_gaussian_spreads_the_same_peaks(neurosynth_folder: Path) -> None:
    narrow, wide = (load(neurosynth_folder, sigma_voxels=sigma)[1] for sigma in (0.5, 2.0))
    assert float(narrow.max()) > float(wide.max())
    assert int((wide > 1e-4).sum()) > int((narrow > 1e-4).sum())


def test_a_part_of_the_articles_spreads_over_the_years(neurosynth_folder: Path) -> None:
    stimuli, _ = load(neurosynth_folder, max_articles=10)
    assert len(stimuli) in (8, 9, 10)
    assert stimuli.table["year"].max() - stimuli.table["year"].min() > 15
    with pytest.raises(ValueError, match="max_articles: got 1"):
        load(neurosynth_folder, max_articles=1)


def test_equal_seeds_write_equal_files_and_different_ones_do_not(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_twin(tmp_path / name, seed, n_articles=12)
    a, b, c = ([(tmp_path / name / file).read_bytes() for file in (METADATA, COORDINATES)] for name in "abc")
    assert a == b
    assert a[0] != c[0]
    assert a[1] != c[1]


@pytest.mark.parametrize("n_articles", [3, 100_000])
def test_a_twin_of_impossible_size_is_refused(tmp_path: Path, n_articles: int) -> None:
    with pytest.raises(ValueError, match="n_articles: got"):
        write_twin(tmp_path, 0, n_articles=n_articles)


@pytest.mark.parametrize(
    ("file", "old", "new", "sentence"),
    [
        (METADATA, "MNI", "MNI305", r"spaces \['MNI305'\]; expected one of"),
        (METADATA, "90000003", "90000004", "id '90000004' stands in 2 rows"),
        (METADATA, "title", "headline", r"so \['title'\] are missing"),
        (METADATA, "1997", "later", r"'year' are not finite numbers, the first is 'later'"),
        (METADATA, "90000003", "90000999", r"1 articles, first '90000003', not in .*metadata"),
        (COORDINATES, "\t1.\t", "\t", r"cells in line 2; expected 7"),
        (COORDINATES, ".0\t", "e999\t", r"'[xyz]' are not finite numbers"),
    ],
)
def test_a_bad_file_is_refused_with_a_sentence(
    neurosynth_folder: Path, file: str, old: str, new: str, sentence: str
) -> None:
    change(neurosynth_folder / file, old, new)
    with pytest.raises(CorruptData, match=sentence) as caught:
        load(neurosynth_folder)
    assert "version-7" in str(caught.value)


@pytest.mark.parametrize("file", [METADATA, COORDINATES])
def test_a_truncated_file_is_refused_with_a_sentence(neurosynth_folder: Path, file: str) -> None:
    path = neurosynth_folder / file
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(CorruptData, match=r"bytes that do not unpack .*fetch it again"):
        load(neurosynth_folder)


def test_a_flipped_bit_is_found(neurosynth_folder: Path) -> None:
    path = neurosynth_folder / COORDINATES
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)
    with pytest.raises(CorruptData, match="do not unpack"):
        load(neurosynth_folder)


def test_an_empty_folder_is_refused_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataNotFound, match=r"metadata.tsv.gz: no such file; .* an empty folder"):
        load(tmp_path)


@pytest.mark.real_data
def test_the_real_maps_are_those_that_the_readme_describes(real: Callable[[str], Path]) -> None:
    stimuli, recording = load(real("neurosynth_v7"))
    assert recording.shape == (14_334, 4_509)
    assert recording.attrs["synthetic"] == 0
    assert len(recording.attrs["excluded"]) == 37
    assert recording.attrs["n_peaks_outside"] == 5_051
    titles = stimuli.table["text"].str.lower()
    places = {"language": (-44, 20, 20), "speech": (-60, -20, 4), "face": (44, -52, -20), "fear": (28, 4, -20)}
    mean = recording.values.mean(axis=0)
    for word, place in places.items():
        ours = titles.str.contains(rf"\b{word}").to_numpy()
        peak = int((recording.values[ours].mean(axis=0) - mean).argmax())
        assert tuple(mni_grid(8.0).centres[peak]) == place
