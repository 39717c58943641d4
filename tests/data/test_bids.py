"""BIDS derivatives: runs are found by what their names say, and maps are written so that they can be found again."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
import xarray as xr

from neuroling import align
from neuroling.data.bids import BidsFile, file_name, find_files, volume_table, write_derivative
from neuroling.data.sources import open_nifti
from neuroling.encoding import run_by_run, to_volumes
from neuroling.evaluation import Provenance

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


def stated(root, content):
    file = find_files(root, **ASKED)[0]
    file.beside(extension=".json").write_text(content)
    return volume_table([file], [4])


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
    "a list for an object": (lambda r: stated(r, "[2.0]"), "holds a JSON list"),
    "key twice in the sidecar": (
        lambda r: stated(r, '{"RepetitionTime": 2, "RepetitionTime": 3}'),
        "'RepetitionTime'. stand in it twice",
    ),
    "row 74: none": (lambda r: stated(r, "{}"), "RepetitionTime is None.*Pass repetition_time_s= if you know it"),
    "row 74: zero": (lambda r: stated(r, '{"RepetitionTime": 0}'), "RepetitionTime is 0; expected seconds above 0"),
    "row 74: negative": (lambda r: stated(r, '{"RepetitionTime": -2}'), "RepetitionTime is -2; expected"),
    "row 74: NaN": (lambda r: stated(r, '{"RepetitionTime": NaN}'), "RepetitionTime is nan; expected"),
    "row 74: infinite": (lambda r: stated(r, '{"RepetitionTime": Infinity}'), "RepetitionTime is inf; expected"),
    "row 74: text": (lambda r: stated(r, '{"RepetitionTime": "2"}'), "RepetitionTime is '2'; expected"),
    "row 74: true": (lambda r: stated(r, '{"RepetitionTime": true}'), "RepetitionTime is True; expected"),
    "row 76: milliseconds": (
        lambda r: stated(r, '{"RepetitionTime": 2000}'),
        "looks like milliseconds: divide by 1000",
    ),
    "row 76: by hand": (
        lambda r: volume_table(find_files(r, **ASKED)[:1], [4], repetition_time_s=1500),
        "looks like milliseconds",
    ),
    "row 73: two times": (
        lambda r: volume_table(find_files(r, **ASKED)[:1], [4], repetition_time_s=2),
        "got 2, and the JSON files of .* say 1.5",
    ),
    "row 77: a run missing": (lambda r: volume_table(find_files(r, **ASKED), [4, 4]), "got 2 for 3 files"),
    "row 77: no volume": (lambda r: volume_table(find_files(r, **ASKED), [4, 4, 0]), "whole numbers of volumes"),
    "timing of other length": (lambda r: stated(r, '{"VolumeTiming": [0, 2, 5]}'), "VolumeTiming has 3 entries"),
    "timing that goes back": (lambda r: stated(r, '{"VolumeTiming": [0, 5, 2, 9]}'), "expected increasing seconds"),
    "one run twice": (
        lambda r: volume_table([f for sub in ("01", "02") for f in find_files(r, **{**ASKED, "sub": sub})], [4] * 6),
        "are both run 'task-story_run-1'",
    ),
    "empty": (lambda r: find_files(r / "sub-01", suffix="bold", sub="09"), "none at all"),
    "no time": (without_time, "RepetitionTime is None; expected seconds above 0"),
    "broken sidecar": (broken_sidecar, "no JSON"),
    "name": (lambda _: BidsFile.parse(Path("bold.nii.gz")), "no BIDS name"),
    "key twice": (lambda _: BidsFile.parse(Path("sub-1_sub-2_bold.nii")), "each key once"),
    "label": (lambda _: file_name({"sub": "0_1"}, "bold", ".nii"), "letters and digits alone"),
    "label that ends a line": (lambda _: file_name({"sub": "01\n"}, "bold", ".nii"), "letters and digits alone"),
    "empty label": (lambda _: file_name({"sub": ""}, "bold", ".nii"), "letters and digits alone"),
    "key": (lambda _: file_name({"sub": "1", "../x": "2"}, "bold", ".nii"), "keys and a suffix"),
    "suffix": (lambda _: file_name({"sub": "1"}, "a/bold", ".nii"), "keys and a suffix"),
    "extension": (lambda _: file_name({"sub": "1"}, "bold", "nii"), "an extension such as"),
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


# --- names ------------------------------------------------------------------------------------------------------------

NAMES = [
    "sub-01_ses-2_task-x_acq-mb_ce-gd_rec-norm_dir-AP_run-1_echo-2_part-mag_bold.nii.gz",
    "sub-01_task-x_run-1_part-mag_space-T1w_desc-preproc_bold.nii.gz",
    "sub-01_task-x_run-1_space-MNIPediatricAsym_cohort-2_res-2_desc-preproc_bold.nii.gz",
    "sub-01_task-x_hemi-L_space-fsaverage5_bold.func.gii",
    "sub-01_task-x_space-fsLR_den-91k_bold.dtseries.nii",
    "sub-01_acq-a_run-1_from-T1w_to-MNI152NLin2009cAsym_mode-image_xfm.h5",
    "sub-01_sample-A_stain-LFB_chunk-01_TEM.png",
    "sub-01_task-x_tracksys-imu_acq-a_run-1_motion.tsv",
    "sub-01_acq-a_nuc-1H_voi-acc_rec-b_svs.nii.gz",
    "sub-01_task-rest_trc-FDG_rec-ac_run-1_pet.nii.gz",
    "sub-01_acq-b_run-1_echo-1_flip-2_inv-1_mt-on_part-mag_MPM.nii.gz",
    "sub-01_task-x_split-1_recording-eye_physio.tsv.gz",
    "sub-01_space-T1w_atlas-A_seg-B_scale-2_res-1_den-3_label-GM_desc-x_probseg.nii.gz",
    "tpl-MNIPediatricAsym_cohort-2_res-1_T1w.nii.gz",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_in_the_order_of_the_specification_is_built_again(name):
    file = BidsFile.parse(Path(name))
    assert file_name(dict(sorted(file.entities.items())), file.suffix, file.extension) == name


def test_a_neighbour_is_found_under_a_name_in_another_order(tmp_path):
    path = tmp_path / "sub-01_run-1_task-x_weird-2_bold.nii.gz"
    mask = tmp_path / "sub-01_run-1_task-x_weird-2_mask.nii.gz"
    mask.touch()
    assert BidsFile.parse(path).beside(suffix="mask") == mask


def test_indices_are_numbers(tmp_path):
    folder = tmp_path / "sub-01" / "func"
    folder.mkdir(parents=True)
    (folder / "sub-01_task-x_run-01_bold.nii.gz").touch()
    assert len(find_files(tmp_path, suffix="bold", sub="01", run="1")) == 1
    with pytest.raises(ValueError, match="task: x"):
        find_files(tmp_path, suffix="bold", sub="01", task="X")


def test_data_sets_within_a_data_set_are_not_entered(root):
    nested = root / "derivatives" / "other" / "sub-03" / "func"
    nested.mkdir(parents=True)
    save(nested / "sub-03_task-story_run-1_space-MNI_desc-preproc_bold.nii.gz", (3, 3, 3, 4))
    with pytest.raises(ValueError, match="those that are there have sub: 01, 02"):
        find_files(root, suffix="bold", sub=None)


# --- inheritance ------------------------------------------------------------------------------------------------------


@pytest.fixture
def write(tmp_path):
    def write(**files):
        for name, content in files.items():
            path = tmp_path / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.with_suffix(".json").write_text(json.dumps(content))
        folder = tmp_path / "sub-01" / "ses-1" / "func"
        folder.mkdir(parents=True, exist_ok=True)
        return BidsFile.parse(folder / "sub-01_ses-1_task-x_acq-a_run-2_bold.nii.gz")

    return write


def test_nearer_files_override_those_above_key_by_key(write):
    file = write(
        **{
            "bold": {"RepetitionTime": 1.0, "EchoTime": 0.04, "Manufacturer": "A"},
            "task-x_bold": {"Manufacturer": "A"},
            "sub-01__sub-01_task-x_bold": {"RepetitionTime": 2.0},
            "sub-01__ses-1__func__sub-01_ses-1_task-x_acq-a_run-02_bold": {"RepetitionTime": 3.0},
        }
    )
    assert file.metadata() == {"RepetitionTime": 3.0, "EchoTime": 0.04, "Manufacturer": "A"}
    assert volume_table([file], [2])["onset"].tolist() == [0.0, 3.0]


@pytest.mark.parametrize(
    "other",
    [
        "task-y_bold",  # another label
        "task-x_run-1_bold",
        "task-x_echo-1_bold",  # an entity that the file has not
        "task-x_sbref",  # another suffix
        "sub-02__sub-02_task-x_bold",  # not above the file
        "sub-01__ses-1__task-x_acq-a_run-2_extra-1_bold",
        "sub-01__ses-1__anat__task-x_bold",
        "sub-01__ses-1__func__task_bold",  # no entity at all
    ],
)
def test_files_that_do_not_apply_are_left_alone(write, other):
    assert write(**{other: {"RepetitionTime": 9.0}}).metadata() == {}


def test_two_files_of_a_folder_that_disagree_are_refused(write):
    file = write(
        **{
            "sub-01__ses-1__func__sub-01_ses-1_task-x_bold": {"RepetitionTime": 1.0},
            "sub-01__ses-1__func__sub-01_ses-1_task-x_run-2_bold": {"RepetitionTime": 2.0},
        }
    )
    with pytest.raises(ValueError, match="BIDS allows one JSON file per folder"):
        file.metadata()


def test_inheritance_ends_at_the_root_of_the_data_set(write, tmp_path):
    file = write(**{"task-x_bold": {"RepetitionTime": 9.0}, "sub-01__sub-01_bold": {"EchoTime": 0.04}})
    (tmp_path / "sub-01" / "dataset_description.json").write_text("{}")
    assert file.metadata() == {"EchoTime": 0.04}


def test_a_lone_file_has_no_data_set_above_it(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "task-x_bold.json").write_text('{"RepetitionTime": 9.0}')
    assert BidsFile.parse(tmp_path / "a" / "sub-01_task-x_bold.nii.gz").metadata() == {}


def test_a_sidecar_with_a_byte_order_mark_is_read(write):
    file = write(**{"task-x_bold": {}})
    (file.path.parents[3] / "task-x_bold.json").write_text('\ufeff{"RepetitionTime": 2}', encoding="utf-8")
    assert file.repetition_time_s == 2.0


def test_row_73_every_run_has_its_own_repetition_time(root):
    files = find_files(root, **ASKED)
    files[1].beside(extension=".json").write_text('{"RepetitionTime": 2.5}')
    onsets = volume_table(files, [3, 3, 3]).groupby("group", sort=False)["onset"].apply(list).tolist()
    assert onsets == [[0, 1.5, 3], [0, 2.5, 5], [0, 1.5, 3]]


def test_times_of_sparse_acquisition_are_read(root):
    assert stated(root, '{"VolumeTiming": [0, 2, 5, 9]}')["onset"].tolist() == [0, 2, 5, 9]


def test_runs_that_differ_by_direction_are_two_runs(tmp_path):
    files = [BidsFile.parse(tmp_path / f"sub-1_task-x_dir-{way}_run-1_bold.nii.gz") for way in ("AP", "PA")]
    table = volume_table(files, [2, 2], repetition_time_s=1.0)
    assert table["group"].unique().tolist() == ["task-x_dir-AP_run-1", "task-x_dir-PA_run-1"]


def test_volumes_of_features_and_recording_are_labelled_alike(root):
    files = find_files(root, **ASKED)
    table = volume_table(files, [4, 4, 4])
    mask = files[0].beside(desc="brain", suffix="mask")
    recording = open_nifti([file.path for file in files], table, mask=mask).read(slice(0, 3))
    frame_times = {run: rows["onset"].to_numpy() for run, rows in table.groupby("group", sort=False)}
    words = xr.DataArray(
        np.arange(3.0)[:, np.newaxis],
        dims=("sample", "feature"),
        coords={"sample": list("abc"), "onset": ("sample", [0.1, 1.6, 2.0]), "group": ("sample", list(frame_times))},
    )
    data = align(run_by_run(lambda run, times: to_volumes(run, times, by="sum"), words, frame_times), recording)
    assert data.unit == "time"
    assert data.x.to_numpy().ravel()[[5, 9]].tolist() == [1.0, 2.0]
