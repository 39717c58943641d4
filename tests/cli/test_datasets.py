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
    monkeypatch.setattr(fetching, "fetch", lambda name, files, n_parallel: tmp_path / name)
    answer = call("datasets", "fetch", "neurosynth_v7")
    assert answer.stdout.strip() == str(tmp_path / "neurosynth_v7")


def test_a_fetch_that_fails_is_one_line(call, monkeypatch):
    def fail(name: str, files: list[str], n_parallel: int) -> None:
        raise DataNotFound(f"{name}: cannot be had.")

    monkeypatch.setattr(fetching, "fetch", fail)
    answer = call("datasets", "fetch", "neurosynth_v7")
    assert answer.exit_code == 1
    assert answer.stderr.splitlines()[-1] == "neuroling: neurosynth_v7: cannot be had."


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
    monkeypatch.setattr(fetching, "count_present", lambda name: 0)
    assert datasets.at_hand("jsts_ja")[0] == state


def test_an_unknown_size_is_said_to_be_unknown():
    card = Card("x", "X", "", "", "", "manual", "fMRI", "", (CardFile("a"),), "https://example.org")
    assert datasets._size(card) == "unknown"


def test_licence_and_total_are_told_before_a_download(call, monkeypatch, tmp_path):
    monkeypatch.setenv("NEUROLING_DATA", str(tmp_path))
    answer = call("datasets", "fetch", "lebel2023", "--subject", "UTS03", "--story", "wheretheressmoke", "--dry-run")
    assert "licence: CC0" in answer.stderr
    assert "3 files to fetch, 2.4 GB" in answer.stderr
    assert "derivative/preprocessed_data/UTS03/wheretheressmoke.hf5" in answer.stdout
    assert "https://s3.amazonaws.com/openneuro.org/ds003020/derivative/TextGrids" in answer.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--subject", "UTS10"], "lebel2023 has no UTS10; it has UTS01"),
        (["--story", "nostory"], "lebel2023 has no nostory"),
        (["--subject", "UTS04", "--story", "life"], "UTS04 of lebel2023 has no recording of life; it has 26"),
        (["--part", "sounds"], "lebel2023 has no sounds; it has"),
    ],
)
def test_what_does_not_exist_cannot_be_fetched(call, options, sentence):
    answer = call("datasets", "fetch", "lebel2023", *options, "--dry-run")
    assert answer.exit_code == 1
    assert sentence in " ".join(answer.stderr.split())


def test_the_list_says_people_language_and_what_the_loader_was_tried_on(call):
    (line,) = (line for line in call("datasets", "list").stdout.splitlines() if line.startswith("lebel2023"))
    assert "9 people" in line
    assert "English" in line
    assert "loader tried on synthetic files" in line


def test_a_set_of_which_some_files_are_here_is_a_part(monkeypatch, tmp_path):
    monkeypatch.setenv("NEUROLING_DATA", str(tmp_path))
    (tmp_path / "lebel2023" / "derivative").mkdir(parents=True)
    (tmp_path / "lebel2023" / "derivative" / "respdict.json").write_text("{}")
    assert datasets.at_hand("lebel2023")[0] == "part"
