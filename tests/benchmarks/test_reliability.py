"""The kept campaign is large enough, found nothing, and is shown as it is; a part of it runs here."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reliability.md"


@pytest.fixture
def campaign(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks" / "reliability"))
    yield importlib.import_module("campaign")
    for name in ("campaign", "damage", "interruptions", "canaries"):
        sys.modules.pop(name, None)


def test_the_kept_campaign_is_large_and_found_nothing(campaign):
    kept = json.loads(campaign.RESULTS.read_text(encoding="utf-8"))
    assert {name: campaign.total(part) >= campaign.LEAST[name] for name, part in kept.items()} == dict.fromkeys(
        campaign.LEAST, True
    )
    assert [failure for part in kept.values() for failure in part["failures"]] == []


def test_the_page_shows_the_kept_campaign(campaign):
    kept = json.loads(campaign.RESULTS.read_text(encoding="utf-8"))
    page = PAGE.read_text(encoding="utf-8")
    assert campaign.with_table(page, kept) == page


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # HDF5 closes damaged files noisily
def test_damaged_files_are_refused_or_read_the_same(campaign, tmp_path):
    damage = importlib.import_module("damage")
    for tried in (damage.flips(tmp_path / "flips", 1), damage.cuts(tmp_path / "cuts", 1)):
        assert damage.counted(tried)["failures"] == []


@pytest.mark.slow
@pytest.mark.parametrize("command", ["extract", "encode", "pretrain", "n400", "report"])
def test_killed_commands_go_on_to_the_same_end(campaign, tmp_path, command):
    interruptions = importlib.import_module("interruptions")
    tried = interruptions.kills(tmp_path, 1, command, share=0.1)
    assert importlib.import_module("damage").counted(tried)["failures"] == []
