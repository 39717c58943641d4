"""BIDS derivatives: runs are found by what their names say, and maps are written so that they can be found again."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest

from neuroling import Provenance
from neuroling.data.bids import BidsFile, file_name, find_files, volume_table, write_derivative
from neuroling.data.sources import open_nifti

ASKED = {"suffix": "bold", "sub": "01", "task": "story", "space": "MNI", "desc": "preproc"}
RUNS = (1, 2, 10)


@pytest.fixture
def root(tmp_path):
    """A derivative with three runs in two spaces, masks, and another participant."""
    for sub in ("01", "02"):
        folder = tmp_path / f"sub-{sub}" / "func"
        folder.mkdir(parents=True)
        for run in RUNS:
            for space in ("MNI", "T1w"):
                stem = f"sub-{sub}_task-story_run-{run}_space-{space}_desc-"
                save(folder / f"{stem}preproc_bold.nii.gz", (3, 3, 3, 4), seed=run)
                save(folder / f"{stem}brain_mask.nii.gz", (3, 3, 3), ones=True)
                (folder / f"{stem}preproc_bold.json").write_text(json.dumps({"RepetitionTime": 1.5}))
    return tmp_path


def save(path, shape, seed=0, ones=False):
    values = np.ones(shape, np.uint8) if ones else np.random.default_rng(seed).random(shape).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), path)


def test_runs_come_in_the_order_of_their_numbers(root):
    assert [file.entities["run"] for file in find_files(root, **ASKED)] == ["1", "2", "10"]


def test_the_mask_of_a_run_is_named_by_its_neighbour(root):
    assert find_files(root, **ASKED)[0].beside(desc="brain", suffix="mask").is_file()


def test_the_repetition_time_is_read(root):
    assert find_files(root, **ASKED)[0].repetition_time_s == 1.5


def test_runs_become_a_labelled_recording(root):
    files = find_files(root, **ASKED)
    samples = volume_table(files, [4, 4, 4])
    mask = files[0].beside(desc="brain", suffix="mask")
    read = open_nifti([file.path for file in files], samples, mask=mask).read(slice(0, 5))
    assert (read.sample.to_numpy()[5], float(read.onset[5])) == ("task-story_run-2:1", 1.5)


def image(kind="nifti"):
    if kind == "nifti":
        return nibabel.Nifti1Image(np.arange(8, dtype=np.float32).reshape(2, 2, 2), np.eye(4))
    return nibabel.gifti.GiftiImage(darrays=[nibabel.gifti.GiftiDataArray(np.arange(3, dtype=np.float32))])


ENTITIES = {"sub": "01", "task": "story", "space": "MNI", "model": "minilm", "stat": "pearson"}
RECORD = Provenance(options={"model": "RidgeCV()"}, versions={"neuroling": "0.1.0"}, seed="3")


@pytest.mark.parametrize("kind", ["nifti", "gifti"])
def test_a_map_that_was_written_is_found_again(tmp_path, kind):
    path = write_derivative(image(kind), tmp_path, entities=ENTITIES, provenance=RECORD)
    (found,) = find_files(tmp_path, suffix="statmap", extension=(".nii.gz", ".func.gii"), sub="01", stat="pearson")
    assert (found.path, nibabel.load(path).__class__) == (path, image(kind).__class__)


def test_a_map_keeps_its_values(tmp_path):
    path = write_derivative(image(), tmp_path, entities=ENTITIES, provenance=RECORD)
    np.testing.assert_array_equal(nibabel.load(path).get_fdata(), image().get_fdata())


def test_equal_maps_are_equal_bytes(tmp_path):
    paths = [write_derivative(image(), tmp_path / x, entities=ENTITIES, provenance=RECORD) for x in "ab"]
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_the_record_lies_beside_the_map(tmp_path):
    path = write_derivative(image(), tmp_path, entities=ENTITIES, provenance=RECORD)
    assert BidsFile.parse(path).metadata()["Provenance"]["seed"] == "3"


def test_the_derivative_describes_itself(tmp_path):
    write_derivative(image(), tmp_path, entities=ENTITIES, provenance=RECORD)
    described = json.loads((tmp_path / "dataset_description.json").read_text())
    assert (described["DatasetType"], described["GeneratedBy"][0]["Name"]) == ("derivative", "neuroling")


def test_entities_are_put_in_order():
    assert file_name(dict(reversed(ENTITIES.items())), "statmap", ".nii.gz") == (
        "sub-01_task-story_space-MNI_model-minilm_stat-pearson_statmap.nii.gz"
    )


def without_time(root):
    file = find_files(root, **ASKED)[0]
    file.beside(extension=".json").write_text("{}")
    return file.repetition_time_s


def broken_sidecar(root):
    file = find_files(root, **ASKED)[0]
    file.beside(extension=".json").write_text("{")
    return file.metadata()


BAD = {
    "no such space": (
        lambda r: find_files(r, **{**ASKED, "space": "fsaverage"}),
        "those that are there have .*space: MNI, T1w",
    ),
    "two spaces": (
        lambda r: find_files(r, **{k: v for k, v in ASKED.items() if k != "space"}),
        "say which by space: MNI or T1w",
    ),
    "empty": (lambda r: find_files(r / "sub-01", suffix="bold", sub="09"), "none at all"),
    "no time": (without_time, "RepetitionTime is None; expected seconds above 0"),
    "broken sidecar": (broken_sidecar, "no JSON"),
    "name": (lambda _: BidsFile.parse(Path("bold.nii.gz")), "no BIDS name"),
    "key twice": (lambda _: BidsFile.parse(Path("sub-1_sub-2_bold.nii")), "each key once"),
    "label": (lambda _: file_name({"sub": "0_1"}, "bold", ".nii"), "letters and digits alone"),
    "no participant": (
        lambda r: write_derivative(image(), r, entities={"task": "x"}, provenance=RECORD),
        "expected 'sub' among",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_a_sentence(case, root):
    make, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        make(root)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(NotADirectoryError, match="is not a folder"):
        find_files(tmp_path / "absent", suffix="bold")


def test_something_else_is_no_image(tmp_path):
    with pytest.raises(TypeError, match="expected a NIfTI, GIFTI or CIFTI image"):
        write_derivative(np.ones(3), tmp_path, entities=ENTITIES, provenance=RECORD)
