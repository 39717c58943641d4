from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import loadmat, savemat
from scipy.ndimage import label

from neuroling.core.align import align
from neuroling.data.errors import CorruptData, DataNotFound
from neuroling.data.fmri import to_image
from neuroling.data.loaders.mitchell2008 import FEATURES, NOUNS, VERBS, load, twin, verb_features, write_twin

Contents = dict[str, Any]


@pytest.fixture(scope="module")
def one() -> Any:
    """One synthetic participant with a strong signal."""
    return twin("P3", 0, n_voxels=300, signal=1.0)


def test_there_are_sixty_nouns_and_twenty_five_verbs() -> None:
    assert len({noun for nouns in NOUNS.values() for noun in nouns}) == 60
    assert len(set(VERBS)) == 25


def test_the_twin_has_the_form_of_the_documentation(one: Any) -> None:
    stimuli, recording, features = one
    assert recording.dims == ("sample", "repeat", "voxel")
    assert recording.shape == (60, 6, 300)
    assert features.shape == (60, 25)
    assert stimuli.table["condition"].value_counts().tolist() == [5] * 12
    assert recording.attrs["grid_shape"] == [51, 61, 23]
    assert recording.attrs["synthetic"] == features.attrs["synthetic"] == 1


def test_the_variables_of_the_file_are_laid_out_as_documented(mitchell_folder: Path) -> None:
    contents = loadmat(mitchell_folder / "data-science-P1.mat")
    assert contents["info"].shape == (1, 360)
    assert contents["info"].dtype.names == ("cond", "cond_number", "word", "word_number", "epoch")
    assert contents["data"].shape == (360, 1)
    assert contents["data"][0, 0].shape == (1, 60)
    meta = contents["meta"][0, 0]
    assert meta["colToCoord"].shape == (60, 3)
    assert meta["coordToCol"].shape == (8, 9, 5)
    x, y, z = meta["colToCoord"][7].astype(int) - 1
    assert meta["coordToCol"][x, y, z] == 8


def test_each_image_stands_at_its_word_repeat_and_voxel(mitchell_folder: Path) -> None:
    contents = loadmat(mitchell_folder / "data-science-P1.mat")
    _, recording = load("P1", mitchell_folder)
    for trial in (0, 77, 359):
        info = contents["info"][0, trial]
        ours = recording.sel(sample=info["word"].item(), repeat=info["epoch"].item())
        assert np.array_equal(ours, contents["data"][trial, 0][0])
        assert str(ours.condition.values) == info["cond"].item()
    assert np.array_equal(
        np.stack([recording.x, recording.y, recording.z], axis=1), contents["meta"][0, 0]["colToCoord"]
    )


def test_features_have_unit_length_and_align_with_the_images(one: Any) -> None:
    _, recording, features = one
    assert np.linalg.norm(features, axis=1) == pytest.approx(np.ones(60))
    assert align(features, recording).y_mean.shape == (60, 300)


def test_driven_voxels_follow_the_features_and_others_do_not(one: Any) -> None:
    _, recording, features = one
    design = np.column_stack([np.ones(60), features])
    image = recording.mean("repeat").values
    residual = image - design @ np.linalg.lstsq(design, image, rcond=None)[0]
    explained = 1 - residual.var(axis=0) / image.var(axis=0)
    assert explained[recording.driven].mean() > 0.85
    assert explained[~recording.driven].mean() == pytest.approx(25 / 59, abs=0.05)  # 25 of 59 degrees of freedom


def test_driven_voxels_lie_in_contiguous_clusters(one: Any) -> None:
    _, recording, _ = one
    driven = np.zeros(recording.attrs["grid_shape"])
    driven.ravel()[recording.voxel.values[recording.driven]] = 1
    _, n_clusters = label(driven, np.ones((3, 3, 3)))
    assert 1 <= n_clusters <= 4


def test_a_map_can_be_written_back_as_an_image(one: Any) -> None:
    _, recording, _ = one
    image = to_image(recording.mean(["sample", "repeat"]), like=recording)
    assert image.shape == (51, 61, 23)
    assert np.count_nonzero(np.asarray(image.dataobj)) == 300


def test_participants_of_one_twin_differ_but_share_their_nouns(tmp_path: Path) -> None:
    write_twin(tmp_path, 0, participants=["P1", "P2"], n_voxels=60, grid_shape=(8, 9, 5))
    (nouns, first), (others, second) = load("P1", tmp_path), load("P2", tmp_path)
    assert nouns.fingerprint == others.fingerprint
    assert not np.array_equal(first, second)


def test_equal_seeds_make_equal_twins_and_different_ones_do_not() -> None:
    a, b, c = (twin("P1", seed, n_voxels=50) for seed in (1, 1, 2))
    assert a[1].identical(b[1])
    assert a[2].identical(b[2])
    assert not np.array_equal(a[1], c[1])
    assert not np.array_equal(a[2], c[2])


def test_a_voxel_that_never_varies_is_left_out_by_name(mitchell_folder: Path) -> None:
    edit(mitchell_folder, lambda contents: set_voxel(contents, 4, 7.0))
    _, recording = load("P1", mitchell_folder)
    assert recording.sizes["voxel"] == 59
    assert len(recording.attrs["excluded"]) == 1
    assert "the same value in every image" in recording.attrs["excluded"][0]


# --- bad input -------------------------------------------------------------------------------------------------------


def edit(folder: Path, change: Callable[[Contents], object], participant: str = "P1") -> None:
    """Change the variables of a participant's file."""
    path = folder / f"data-science-{participant}.mat"
    contents = {name: value for name, value in loadmat(path).items() if not name.startswith("__")}
    change(contents)
    savemat(path, contents)


def set_voxel(contents: Contents, voxel: int, value: float) -> None:
    for trial in range(360):
        contents["data"][trial, 0][0, voxel] = value


def set_meta(contents: Contents, field: str, value: object) -> None:
    contents["meta"][0, 0][field] = value


def set_info(contents: Contents, trial: int, field: str, value: object) -> None:
    contents["info"][0, trial][field] = value


def without(contents: Contents, variable: str, field: str) -> None:
    kept = [name for name in contents[variable].dtype.names if name != field]
    smaller = np.zeros(contents[variable].shape, dtype=[(name, object) for name in kept])
    for name in kept:
        smaller[name] = contents[variable][name]
    contents[variable] = smaller


def swap_coordinates(contents: Contents) -> None:
    coords = contents["meta"][0, 0]["colToCoord"]
    coords[[0, 1]] = coords[[1, 0]]


def repeat_coordinate(contents: Contents) -> None:
    contents["meta"][0, 0]["colToCoord"][1] = contents["meta"][0, 0]["colToCoord"][0]


def rename_word(contents: Contents) -> None:
    contents["info"][0, 0]["word"] = np.array(["unicorn"])


def recategorise(contents: Contents) -> None:
    contents["info"][0, 0]["cond"] = np.array(["unknown"])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda c: c.pop("meta"), "no variable meta; expected the variables info, data, meta"),
        (lambda c: without(c, "info", "epoch"), "no field info.epoch"),
        (lambda c: without(c, "meta", "colToCoord"), "no field meta.colToCoord"),
        (lambda c: c.update(data=c["data"][:359]), r"data of shape \(359, 1, 60\).*expected 360 cells of 1 × 60"),
        (
            lambda c: c["data"].__setitem__((3, 0), np.ones((1, 59))),
            r"data has 360 cells of shapes \[\(1, 59\), \(1, 60\)\]",
        ),
        (lambda c: c.update(info=c["info"][:, :359]), "info.word has 359 entries; expected 360, one a trial"),
        (lambda c: set_voxel(c, 4, np.nan), "360 values of data are NaN or infinite, first trial 1 voxel 5"),
        (lambda c: set_voxel(c, 4, np.inf), "360 values of data are NaN or infinite"),
        (rename_word, "is presented [15] times; expected 6 times"),
        (recategorise, "has several values of info.cond"),
        (lambda c: set_meta(c, "nvoxels", 61.0), r"expected 360 cells of 1 × 61"),
        (lambda c: set_meta(c, "dimx", 0.0), "meta.dimx is .*expected one positive whole number"),
        (lambda c: set_meta(c, "dimx", 2.0), r"meta.colToCoord from .* expected whole numbers in 1 to \(2, 9, 5\)"),
        (
            lambda c: set_meta(c, "colToCoord", np.ones((60, 2))),
            r"meta.colToCoord of shape \(60, 2\); expected \(60, 3\)",
        ),
        (lambda c: set_meta(c, "subject", np.array(["P2"])), "meta.subject is 'P2'; expected 'P1'"),
        (swap_coordinates, "meta.coordToCol is not the inverse"),
        (repeat_coordinate, "meta.colToCoord names 59 places; expected 60 different ones"),
    ],
)
def test_a_file_of_another_layout_is_refused_with_a_sentence(
    mitchell_folder: Path, change: Callable[[Contents], object], sentence: str
) -> None:
    edit(mitchell_folder, change)
    with pytest.raises(CorruptData, match=sentence) as caught:
        load("P1", mitchell_folder)
    assert "data-science-P1.mat" in str(caught.value)


def test_a_truncated_file_is_refused_with_a_sentence(mitchell_folder: Path) -> None:
    path = mitchell_folder / "data-science-P1.mat"
    path.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(CorruptData, match="it cannot be read"):
        load("P1", mitchell_folder)


def test_an_absent_participant_is_named(mitchell_folder: Path) -> None:
    with pytest.raises(DataNotFound, match=r"data-science-P2.mat: no such file"):
        load("P2", mitchell_folder)


def test_an_unknown_participant_is_refused() -> None:
    with pytest.raises(ValueError, match="participant: got 'P10'; expected one of P1"):
        load("P10")


def test_without_files_the_sentence_says_where_to_get_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEUROLING_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(DataNotFound, match=r"Download it by hand from http://www\.cs\.cmu\.edu"):
        load("P1")


@pytest.mark.parametrize(("participants", "n_voxels"), [(["P1"], 10), (["P1"], 10**6), (["P12"], 100)])
def test_an_impossible_twin_is_refused(tmp_path: Path, participants: list[str], n_voxels: int) -> None:
    with pytest.raises(ValueError, match=r"(n_voxels|participants): got"):
        write_twin(tmp_path, 0, participants=participants, n_voxels=n_voxels)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda text: text.replace("word\t", "noun\t"), r"so \['word'\] are missing"),
        (
            lambda text: "\n".join(line.rpartition("\t")[0] for line in text.splitlines()),
            "24 feature columns; expected 25",
        ),
        (lambda text: text.replace("\t0.", "\tx0.", 1), "are not finite numbers"),
        (lambda text: text.splitlines()[0] + "\nbear" + "\t0" * 25, "all features of 'bear' are 0"),
    ],
)
def test_a_bad_table_of_features_is_refused(mitchell_folder: Path, change: Callable[[str], str], sentence: str) -> None:
    path = mitchell_folder / FEATURES
    path.write_text(change(path.read_text()))
    with pytest.raises(CorruptData, match=sentence):
        verb_features(path)


def test_a_noun_that_stands_in_the_table_twice_is_refused(mitchell_folder: Path) -> None:
    path = mitchell_folder / FEATURES
    path.write_text(path.read_text() + path.read_text().splitlines()[1] + "\n")
    with pytest.raises(ValueError, match="occur more than once"):
        verb_features(path)


def test_a_noun_that_is_not_in_the_table_is_named(mitchell_folder: Path) -> None:
    stimuli, _ = load("P1", mitchell_folder)
    path = mitchell_folder / FEATURES
    path.write_text("\n".join(line for line in path.read_text().splitlines() if not line.startswith("celery")))
    with pytest.raises(ValueError, match=r"1 nouns are not in .* first \['celery'\]"):
        verb_features(path, stimuli)
