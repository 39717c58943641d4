"""Samples of real data in the package: licensed, small, checked, and read by the loaders of the real files."""

import json
import tarfile

import numpy as np
import pytest

from neuroling.data import embedded, fetch
from neuroling.data.cards import card
from neuroling.data.errors import CorruptData, DataNotFound
from neuroling.data.loaders import alice2016, neurosynth, nieuwland2018, vanvliet2018, vanvliet_wordpairs

NAMES = embedded.sample_names()
LARGEST_IN_ALL = 4_000_000


@pytest.fixture
def alone(monkeypatch, tmp_path):
    """No complete data set anywhere, and an empty cache."""
    monkeypatch.delenv(fetch.VARIABLE, raising=False)
    monkeypatch.setattr(fetch, "_places", lambda name: [tmp_path / "nowhere" / name])
    monkeypatch.setattr(embedded, "_cache", lambda: tmp_path / "cache")
    return tmp_path


def test_all_samples_together_are_small():
    sizes = [path.stat().st_size for path in embedded.samples_folder().rglob("*") if path.is_file()]
    assert sum(sizes) <= LARGEST_IN_ALL


@pytest.mark.parametrize("name", NAMES)
def test_every_sample_has_a_licence_and_a_notice_with_its_doi(name):
    folder = embedded.samples_folder() / name
    assert (folder / "LICENSE.txt").stat().st_size > 100
    assert card(name).doi in (folder / "NOTICE.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_unchanged_files_have_the_checksum_of_the_card(name, alone):
    manifest = json.loads((embedded.samples_folder() / name / embedded.MANIFEST).read_text(encoding="utf-8"))
    published = {file.path: file.sha256 for file in card(name).files}
    assert set(manifest) <= set(published)
    unchanged = [path for path, entry in manifest.items() if entry["sha256"] == published[path]]
    assert unchanged or name in {"neurosynth_v7", "nieuwland2018_n400", "vanvliet_eeg_wordpairs"}


def test_loaders_fall_back_to_the_sample_and_say_so(alone, caplog):
    with caplog.at_level("INFO"):
        stimuli, recording = nieuwland2018.load()
    assert len(stimuli) == 25978
    assert recording.attrs["synthetic"] == 0
    assert "comes with neuroling" in caplog.text


def test_the_story_of_the_sample_has_its_known_size(alone):
    story = alice2016.load()
    assert story.recording.sizes == {"subject": 27, "sample": 362, "region": 6}
    assert len(story.words) == 2127


def test_the_nouns_of_the_sample_are_further_apart_between_categories(alone):
    stimuli, _ = vanvliet2018.load(ordered=False)
    assert len(stimuli) == 91


def test_related_pairs_of_the_sample_differ_as_published(alone):
    _, recording = vanvliet_wordpairs.load()
    window = recording.sel(time=slice(0.3, 0.5)).mean(("time", "channel"))
    related = window.condition == "related"
    assert float(window[related].mean()) > float(window[~related].mean())


def test_the_peaks_of_the_sample_are_those_of_the_complete_table(alone):
    stimuli, recording = neurosynth.load(max_articles=40)
    assert recording.attrs["n_peaks"] > 500
    assert np.isfinite(recording.values).all()
    assert len(stimuli) > 30


def test_a_sample_that_lacks_a_needed_file_does_not_stand_in(alone):
    with pytest.raises(DataNotFound, match="alice2016_fmri"):
        alice2016.load(radius_mm=10)


def test_a_changed_file_in_the_cache_is_unpacked_anew(alone):
    folder = embedded.sample("vanvliet2018_n400_distances")
    (folder / "data.csv").write_text("subject\n1\n")
    again = embedded.sample("vanvliet2018_n400_distances")
    assert (again / "data.csv").stat().st_size > 100_000


def test_a_cache_that_cannot_be_written_gives_way_to_a_temporary_folder(alone, monkeypatch):
    (alone / "file").write_text("")
    monkeypatch.setattr(embedded, "_cache", lambda: alone / "file")
    folder = embedded.sample("vanvliet2018_n400_distances")
    assert (folder / "data.csv").is_file()
    assert alone not in folder.parents


def test_an_archive_with_another_content_is_refused(alone, monkeypatch):
    source = alone / "source"
    source.mkdir()
    (source / "words.txt").write_text("one")
    embedded.pack_sample("words", source, ["words.txt"], alone / "samples")
    monkeypatch.setattr(embedded, "samples_folder", lambda: alone / "samples")
    manifest = alone / "samples" / "words" / embedded.MANIFEST
    manifest.write_text(manifest.read_text().replace('"sha256": "', '"sha256": "0'))
    with pytest.raises(CorruptData, match=r"words\.txt"):
        embedded.sample("words")


def test_nothing_but_what_the_manifest_names_is_written(alone, monkeypatch):
    source = alone / "source"
    source.mkdir()
    (source / "words.txt").write_text("one")
    embedded.pack_sample("words", source, ["words.txt"], alone / "samples")
    archive = alone / "samples" / "words" / embedded.ARCHIVE
    with tarfile.open(archive, "w:xz") as packed:
        packed.add(source / "words.txt", "words.txt")
        packed.add(source / "words.txt", "../outside.txt")
    monkeypatch.setattr(embedded, "samples_folder", lambda: alone / "samples")
    folder = embedded.sample("words")
    assert [path.name for path in folder.iterdir()] == ["words.txt"]
    assert not (folder.parent / "outside.txt").exists()
