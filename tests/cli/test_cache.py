from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from neuroling.features.storage.cache import content_key, remember


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(3):
        parts = {"step": "extract", "encoder": "minilm", "number": number}
        remember(tmp_path, parts, lambda: np.zeros((2, 3), np.float32))
    return tmp_path


def first(folder: Path) -> Path:
    return folder / f"{content_key({'step': 'extract', 'encoder': 'minilm', 'number': 0})}.npz"


def test_entries_are_listed_with_what_they_hold(call, folder):
    answer = call("cache", "list", folder)
    assert answer.exit_code == 0
    assert answer.stdout.count("extract minilm") == 3
    assert "3 entries, 0.0 MB" in answer.stdout


def test_a_whole_cache_is_verified(call, folder):
    answer = call("cache", "verify", folder)
    assert (answer.exit_code, answer.stdout) == (0, "3 of 3 entries are whole\n")


def test_a_flipped_bit_is_found_and_the_status_says_so(call, folder):
    raw = bytearray(first(folder).read_bytes())
    raw[100] ^= 1
    first(folder).write_bytes(raw)
    answer = call("cache", "verify", folder)
    assert answer.exit_code == 1
    assert f"{first(folder).name}: its checksum differs" in answer.stdout
    assert "2 of 3 entries are whole" in answer.stdout


def test_pruning_says_what_would_go_before_it_does(call, folder):
    first(folder).write_bytes(b"broken")
    answer = call("cache", "prune", folder, "--damaged")
    assert "would remove" in answer.stdout
    assert first(folder).exists()
    assert "removed" in call("cache", "prune", folder, "--damaged", "--yes").stdout
    assert not first(folder).exists()
    assert len(list(folder.iterdir())) == 2


def test_an_entry_cut_in_half_is_listed_verified_and_pruned(call, folder):
    raw = first(folder).read_bytes()
    first(folder).write_bytes(raw[: len(raw) // 2])
    answer = call("cache", "list", folder)
    assert (answer.exit_code, answer.stdout.count("damaged: cannot be read")) == (0, 1)
    answer = call("cache", "verify", folder)
    assert (answer.exit_code, f"{first(folder).name}: its checksum differs" in answer.stdout) == (1, True)
    assert call("cache", "prune", folder, "--damaged", "--yes").exit_code == 0
    assert not first(folder).exists()
    assert call("cache", "verify", folder).stdout == "2 of 2 entries are whole\n"


def test_links_to_nothing_and_folders_do_not_stop_the_rest(call, folder):
    (folder / f"{'0' * 64}.npz").symlink_to(folder / "gone")
    (folder / f"{'1' * 64}.npz").mkdir()
    assert "5 entries" in call("cache", "list", folder).stdout
    answer = call("cache", "verify", folder)
    assert (answer.exit_code, "3 of 5 entries are whole" in answer.stdout) == (1, True)
    assert call("cache", "prune", folder, "--larger-than", "0", "--yes").exit_code == 0
    assert [path.name for path in folder.iterdir()] == [f"{'1' * 64}.npz"]


def test_pruning_needs_to_be_told_what(call, folder):
    answer = call("cache", "prune", folder)
    assert answer.exit_code == 2
    assert "say what shall go" in answer.stderr


def test_everything_may_go(call, folder):
    call("cache", "prune", folder, "--larger-than", "0", "--yes")
    assert not list(folder.iterdir())


def test_a_folder_that_is_not_there_fails_in_one_line(call, tmp_path):
    answer = call("--quiet", "cache", "list", tmp_path / "none")
    assert answer.exit_code == 1
    assert "there is no folder" in answer.stderr
