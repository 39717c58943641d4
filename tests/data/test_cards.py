from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from neuroling.data import cards as room
from neuroling.data.cards import as_table, card, cards, read_card, root

GOOD = """
name = "{name}"
title = "A data set"
doi = ""
citation = "Somebody (2020)"
licence = "CC0"
access = "open"
modality = "text"
shape = "3 words"
source = "https://example.org/data"

[[files]]
path = "words.tsv"
bytes = 3
sha256 = "{digest}"
"""
DIGEST = "0" * 64


def write(folder: Path, text: str) -> Path:
    (folder / "some_set").mkdir(exist_ok=True)
    path = folder / "some_set" / "card.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_cards_of_a_working_tree_lie_beside_the_package() -> None:
    assert root().name == "datasets"


def test_the_cards_of_an_installed_package_lie_inside_it(tmp_path: Path) -> None:
    (tmp_path / "neuroling" / "_cards").mkdir(parents=True)
    (tmp_path / "datasets").mkdir()
    assert room._root_of(tmp_path / "neuroling") == tmp_path / "neuroling" / "_cards"


def test_missing_cards_are_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no cards at"):
        room._root_of(tmp_path / "neuroling")


@pytest.mark.parametrize("name", list(cards()))
def test_every_loader_on_a_card_can_be_imported_and_has_a_twin(name: str) -> None:
    if card(name).loader is None:
        return
    module_name, _, function = str(card(name).loader).partition(":")
    module = importlib.import_module(module_name)
    assert all(callable(getattr(module, part)) for part in (function, "twin", "write_twin"))
    assert name == module.NAME


@pytest.mark.parametrize("name", list(cards()))
def test_every_card_has_a_readme_that_states_a_licence_or_access(name: str) -> None:
    text = (root() / name / "README.md").read_text(encoding="utf-8")
    assert "**Licence**" in text or "**Access**" in text


def test_the_table_in_the_readme_is_made_from_the_cards() -> None:
    assert (root() / "README.md").read_text(encoding="utf-8").endswith(as_table(cards()))


def test_no_code_lies_beside_the_cards() -> None:
    assert not list(root().rglob("*.py"))


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'alice'; expected one of alice2016_fmri"):
        card("alice")


def test_a_good_card_is_read(tmp_path: Path) -> None:
    read = read_card(write(tmp_path, GOOD.format(name="some_set", digest=DIGEST)))
    assert read.files[0].url == "https://example.org/data/words.tsv"
    assert read.n_bytes == 3
    assert read.loader is None


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('title = "A data set"\n', "", r"missing \['title'\]"),
        ('doi = ""', 'doi = ""\ncolour = "red"', r"unknown \['colour'\]"),
        ('doi = ""', "doi = 3", "'doi' is 3; expected str"),
        ('access = "open"', 'access = "free"', "access 'free'; expected one of"),
        ('name = "some_set"', 'name = "other"', "expected that of its folder"),
        ('path = "words.tsv"', 'path = "../words.tsv"', "expected one inside the folder"),
        ('path = "words.tsv"', 'path = "/etc/words.tsv"', "expected one inside the folder"),
        (f'sha256 = "{DIGEST}"', 'sha256 = "ABC"', "64 hexadecimal digits"),
        (f'sha256 = "{DIGEST}"', "", "no bytes or sha256 for"),
        ("bytes = 3", 'bytes = "3"', "expected int"),
        ("bytes = 3", 'bytes = 3\nurl = "ftp://example.org"', "starts with https"),
        (
            'shape = "3 words"',
            'shape = "3 words"\nloader = "os:system"',
            "expected 'neuroling.data.loaders.MODULE:load'",
        ),
        ("[[files]]", "[files]", "expected list"),
        ("[[files]]", "[[files", "not TOML"),
    ],
)
def test_a_bad_card_is_refused_with_a_sentence(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    text = GOOD.format(name="some_set", digest=DIGEST)
    assert old in text
    with pytest.raises(ValueError, match=sentence) as caught:
        read_card(write(tmp_path, text.replace(old, new)))
    assert "card.toml" in str(caught.value)


def test_a_file_listed_twice_is_refused(tmp_path: Path) -> None:
    text = GOOD.format(name="some_set", digest=DIGEST)
    with pytest.raises(ValueError, match="more than once"):
        read_card(write(tmp_path, text + text[text.index("[[files]]") :]))
