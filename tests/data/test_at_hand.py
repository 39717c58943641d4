"""Real data come first, a twin stands in only where nothing is at hand, and that is said."""

import logging

import pytest

from neuroling.data import at_hand
from neuroling.data.errors import CorruptData, DataNotFound


def _raise(error):
    def raising(*_):
        raise error

    return raising


def test_real_data_are_preferred(monkeypatch, tmp_path):
    monkeypatch.setattr(at_hand, "locate_complete", lambda name, files: tmp_path)
    assert at_hand.real_or_twin("alice2016_fmri", lambda folder: folder, lambda: "twin") == tmp_path


def test_the_sample_comes_before_a_download(monkeypatch, tmp_path):
    monkeypatch.setattr(at_hand, "locate_complete", _raise(DataNotFound("nowhere")))
    monkeypatch.setattr(at_hand, "fetch", _raise(AssertionError("no download is due")))
    monkeypatch.setattr(at_hand, "sample", lambda name: tmp_path)
    assert at_hand.real_or_twin("alice2016_fmri", lambda folder: folder, lambda: "twin") == tmp_path


def test_what_is_absent_is_fetched(monkeypatch, tmp_path):
    monkeypatch.setattr(at_hand, "locate_complete", _raise(DataNotFound("nowhere")))
    monkeypatch.setattr(at_hand, "sample", lambda name: None)
    monkeypatch.setattr(at_hand, "fetch", lambda name, files: tmp_path)
    assert at_hand.real_or_twin("alice2016_fmri", lambda folder: folder, lambda: "twin") == tmp_path


def test_the_twin_stands_in_and_one_line_says_so(monkeypatch, caplog):
    monkeypatch.setattr(at_hand, "locate_complete", _raise(DataNotFound("nowhere")))
    monkeypatch.setattr(at_hand, "sample", lambda name: None)
    monkeypatch.setattr(at_hand, "fetch", _raise(DataNotFound("no network")))
    with caplog.at_level(logging.WARNING):
        assert at_hand.real_or_twin("alice2016_fmri", lambda folder: folder, lambda: "twin") == "twin"
    (record,) = caplog.records
    assert "SYNTHETIC" in record.getMessage()
    assert "\n" not in record.getMessage()


def test_damaged_data_are_not_replaced_by_a_twin(monkeypatch, tmp_path):
    monkeypatch.setattr(at_hand, "locate_complete", _raise(CorruptData(tmp_path, "1 byte", "2 bytes")))
    with pytest.raises(CorruptData):
        at_hand.real_or_twin("alice2016_fmri", lambda folder: folder, lambda: "twin")


def test_a_large_download_is_left_to_the_reader(monkeypatch):
    monkeypatch.setattr(at_hand, "locate_complete", _raise(DataNotFound("nowhere")))
    monkeypatch.setattr(at_hand, "fetch", _raise(AssertionError("no download is due")))
    assert at_hand.real_or_twin("lebel2023", lambda folder: folder, lambda: "twin") == "twin"
