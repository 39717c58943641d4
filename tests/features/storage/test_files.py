"""A file of features belongs to its stimuli, labels and all, and to one job at a time."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import neuroling.features.extract as module
from neuroling.core.stimuli import Stimuli
from neuroling.features.extract import extract_text_features
from neuroling.features.storage.files import write_layers
from neuroling.features.transformer.encoder import Encoder

TEXTS = ["the cat saw a dog", "a ship", "the dog saw"]


def named(*labels: object, **columns: object) -> Stimuli:
    return Stimuli.from_texts(TEXTS, labels=labels, **columns)  # type: ignore[arg-type]


@pytest.fixture
def begun(tiny: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Interrupt the extraction of three texts behind the second: one a block."""
    monkeypatch.setattr(module, "write_layers", lambda *args, **kw: write_layers(*args, **{**kw, "block_bytes": 1}))
    embed, calls = module.embed, []

    def interrupted(*args: object, **kwargs: object) -> object:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return embed(*args, **kwargs)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(module, "embed", interrupted)
        with pytest.raises(KeyboardInterrupt):
            extract_text_features(named("a", "b", "c"), tiny, out=tmp_path / "f.nc")
    return tmp_path / "f.nc"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a file as another job would."""
    with path.open("rb") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


# --- labels -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("other", "differing"),
    [
        (named("a", "b", "d", onset=[0.0, 1.0, 2.0]), "sample"),
        (named("a", "b", "c", onset=[0.0, 1.0, 2.5]), "onset"),
        (named("a", "b", "c", condition=["x", "y", "x"], onset=[0.0, 1.0, 2.0]), "condition"),
        (named("a", "b", "c"), "onset"),
        (named(1, 2, 3, group=["x", "y", "z"]), "group, onset, sample"),
    ],
)
def test_a_file_of_the_same_texts_under_other_labels_is_refused(
    tiny: Encoder, tmp_path: Path, other: Stimuli, differing: str
) -> None:
    extract_text_features(named("a", "b", "c", onset=[0.0, 1.0, 2.0]), tiny, out=tmp_path / "f.nc")
    before = contents(tmp_path)
    with pytest.raises(ValueError, match=rf"^out: .*f\.nc holds features of the same texts .*\({differing}\); choose"):
        extract_text_features(other, tiny, out=tmp_path / "f.nc")
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    "condition",
    [
        ["x", "ü", ""],
        [True, False, True],
        [1, 2, 3],
        np.array([1, 2, 3], dtype=object),
        [0.1, 0.2, 1e300],
        np.array(["2020-01-01", "2020-01-02", "2020-01-03T04:05:06.123456"], dtype="datetime64[us]"),
    ],
    ids=["texts", "truths", "integers", "objects", "floats", "times"],
)
def test_labels_of_any_type_are_known_again(tiny: Encoder, tmp_path: Path, condition: list[object]) -> None:
    stimuli = named(1, 2, 3, condition=condition)
    extract_text_features(stimuli, tiny, out=tmp_path / "f.nc")
    np.testing.assert_array_equal(extract_text_features(stimuli, tiny, out=tmp_path / "f.nc").condition, condition)


def test_a_column_that_is_not_written_finds_the_file_and_is_said(tiny: Encoder, tmp_path: Path) -> None:
    extract_text_features(named("a", "b", "c"), tiny, out=tmp_path / "f.nc")
    rated = named("a", "b", "c", rating=[1, 2, 3])
    assert extract_text_features(rated, tiny, out=tmp_path / "f.nc").attrs["stimuli"] == rated.fingerprint


def test_a_beginning_under_other_labels_is_refused_and_kept(tiny: Encoder, begun: Path) -> None:
    before = contents(begun.parent)
    with pytest.raises(ValueError, match=r"^out: .*f\.nc\.partial holds features of the same texts .*\(sample\)"):
        extract_text_features(named("a", "b", "d"), tiny, out=begun)
    assert contents(begun.parent) == before


def test_a_beginning_is_gone_on_with_and_says_whose_it_is_in_the_end(tiny: Encoder, begun: Path) -> None:
    rated = named("a", "b", "c", rating=[1, 2, 3])
    found = extract_text_features(rated, tiny, out=begun)
    np.testing.assert_allclose(found, extract_text_features(rated, tiny), atol=1e-5)
    with xr.open_dataarray(begun) as there:
        assert there.attrs["stimuli"] == rated.fingerprint


def test_labels_of_mixed_types_are_named_before_anything_is_written(tiny: Encoder, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^stimuli: 'sample' mixes entries of the types int and str"):
        extract_text_features(named(1, "b", "c"), tiny, out=tmp_path / "f.nc")
    assert not list(tmp_path.iterdir())


# --- what is no file of features --------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"sample,text\n"])
def test_a_file_that_is_no_netcdf_is_named_and_kept(tiny: Encoder, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "f.nc").write_bytes(content)
    with pytest.raises(ValueError, match=r"^out: .*f\.nc does not read as features .* expected a NetCDF .* remove"):
        extract_text_features(named("a", "b", "c"), tiny, out=tmp_path / "f.nc")
    assert contents(tmp_path) == {"f.nc": content}


def test_a_netcdf_of_several_arrays_is_no_features(tiny: Encoder, tmp_path: Path) -> None:
    xr.Dataset({"one": 1, "two": 2}).to_netcdf(tmp_path / "f.nc", engine="h5netcdf")
    with pytest.raises(ValueError, match=r"^out: .*f\.nc does not read as features"):
        extract_text_features(named("a", "b", "c"), tiny, out=tmp_path / "f.nc")


def test_a_folder_is_told_from_a_file(tiny: Encoder, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^out: .* is a folder; expected the name of a NetCDF file, such as .*\.nc"):
        extract_text_features(named("a", "b", "c"), tiny, out=tmp_path)


# --- one job at a time ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("held", ["f.nc.partial", "f.nc.partial.blocks"])
def test_what_another_job_writes_is_refused_and_not_touched(tiny: Encoder, begun: Path, held: str) -> None:
    before = contents(begun.parent)
    with (
        locked(begun.with_name(held)),
        pytest.raises(BlockingIOError, match=r"^out: another job is at work on .*f\.nc; wait .* choose another name"),
    ):
        extract_text_features(named("a", "b", "c"), tiny, out=begun)
    assert contents(begun.parent) == before


def test_a_finished_file_that_is_being_changed_is_not_said_to_be_broken(tiny: Encoder, tmp_path: Path) -> None:
    extract_text_features(named("a", "b", "c"), tiny, out=tmp_path / "f.nc").close()
    with locked(tmp_path / "f.nc"), pytest.raises(BlockingIOError, match=r"^out: another job is at work"):
        extract_text_features(named("a", "b", "c"), tiny, out=tmp_path / "f.nc")


def test_a_file_is_held_while_it_is_written(tiny: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    embed, refused = module.embed, []

    def second(*args: object, **kwargs: object) -> object:
        monkeypatch.setattr(module, "embed", embed)
        with pytest.raises(BlockingIOError) as caught:
            extract_text_features(named("a", "b", "c"), tiny, out=tmp_path / "f.nc")
        refused.append(caught.value)
        return embed(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "embed", second)
    found = extract_text_features(named("a", "b", "c"), tiny, out=tmp_path / "f.nc")
    assert len(refused) == 1
    np.testing.assert_allclose(found, extract_text_features(named("a", "b", "c"), tiny), atol=1e-5)
    assert [path.name for path in tmp_path.iterdir()] == ["f.nc"]
