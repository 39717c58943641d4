from __future__ import annotations

import json

import pytest

from neuroling.cli import datasets
from neuroling.data import fetch as fetching
from neuroling.data.cards import Card, CardFile
from neuroling.data.cards import cards as read_cards
from neuroling.data.errors import CorruptData, DataNotFound


def test_every_card_is_listed(call):
    listing = call("datasets", "list").stdout
    assert [line.split()[0] for line in listing.splitlines()] == list(read_cards())


def test_the_list_is_there_for_programs_too(call):
    entries = json.loads(call("datasets", "list", "--json").stdout)
    assert [entry["name"] for entry in entries] == list(read_cards())
    assert {"modality", "licence", "bytes", "at hand", "loader"} <= entries[0].keys()


def test_the_list_says_modality_and_licence(call):
    (line,) = (line for line in call("datasets", "list").stdout.splitlines() if line.startswith("alice2016_fmri"))
    assert "fMRI" in line
    assert "CC" in line


def test_a_card_is_shown_with_its_notes(call):
    text = call("datasets", "show", "neurosynth_v7").stdout
    assert "ODbL" in text
    assert "507,891 peaks" in text


def test_an_unknown_data_set_is_a_wrong_call_that_lists_the_known(call):
    answer = call("datasets", "show", "nowhere")
    assert answer.exit_code == 2
    assert "neurosynth_v7" in answer.stderr


def test_fetch_says_where_the_data_lie(call, monkeypatch, tmp_path):
    monkeypatch.setattr(fetching, "fetch", lambda name: tmp_path / name)
    answer = call("datasets", "fetch", "neurosynth_v7")
    assert answer.stdout.strip() == str(tmp_path / "neurosynth_v7")


def test_a_fetch_that_fails_is_one_line(call, monkeypatch):
    def fail(name: str) -> None:
        raise DataNotFound(f"{name}: cannot be had.")

    monkeypatch.setattr(fetching, "fetch", fail)
    answer = call("datasets", "fetch", "neurosynth_v7")
    assert (answer.exit_code, answer.stderr) == (1, "neuroling: neurosynth_v7: cannot be had.\n")


def test_verify_fails_where_a_file_is_wrong(call, monkeypatch):
    monkeypatch.setattr(fetching, "verify", lambda name: ["peaks.tsv: no such file"])
    answer = call("datasets", "verify", "neurosynth_v7")
    assert answer.exit_code == 1
    assert "no such file" in answer.stdout


def test_verify_succeeds_where_all_is_well(call, monkeypatch):
    monkeypatch.setattr(fetching, "verify", lambda name: [])
    assert call("datasets", "verify", "neurosynth_v7").exit_code == 0


@pytest.mark.parametrize(
    ("outcome", "state"),
    [(DataNotFound("none"), "absent"), (CorruptData("x", "short", "long"), "damaged")],
)
def test_absent_and_damaged_data_are_told_apart(monkeypatch, outcome, state):
    def locate(name: str) -> None:
        raise outcome

    monkeypatch.setattr(fetching, "locate_complete", locate)
    assert datasets.at_hand("jsts_ja")[0] == state


def test_an_unknown_size_is_said_to_be_unknown():
    card = Card("x", "X", "", "", "", "manual", "fMRI", "", (CardFile("a"),), "https://example.org")
    assert datasets._size(card) == "unknown"
