from __future__ import annotations

import errno
import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pooch
import pytest

from neuroling.data import fetch as room
from neuroling.data.cards import Card, CardFile, cards
from neuroling.data.errors import CorruptData, DataNotFound
from neuroling.data.fetch import fetch, locate, verify

WORDS = b"celery\nairplane\n"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """Serve a folder on this machine."""
    folder = tmp_path / "served"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def a_card(url: str, content: bytes = WORDS, *, unpack: bool = False, access: str = "open") -> Card:
    file = CardFile("sub/words.txt", len(content), hashlib.sha256(content).hexdigest(), url, unpack=unpack)
    return Card("words", "Words", "", "", "CC0", access, "text", "2 words", (file,), "https://example.org")  # type: ignore[arg-type]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Send everything to a folder of the test, past any proxy."""
    monkeypatch.setenv("NEUROLING_DATA", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(room, "card", lambda name: a_card("http://127.0.0.1:9/words.txt"))
    return tmp_path / "home"


def use(monkeypatch: pytest.MonkeyPatch, card: Card) -> None:
    monkeypatch.setattr(room, "card", lambda name: card)


def test_what_is_fetched_is_found_and_verified(
    home: Path, served: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, address = served
    (folder / "words.txt").write_bytes(WORDS)
    use(monkeypatch, a_card(f"{address}/words.txt"))
    assert fetch("words") == locate("words") == home / "words"
    assert (home / "words" / "sub" / "words.txt").read_bytes() == WORDS
    assert verify("words") == []
    assert [entry.name for entry in home.iterdir()] == ["words"]


def test_what_is_there_already_is_not_fetched_again(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "words" / "sub").mkdir(parents=True)
    (home / "words" / "sub" / "words.txt").write_bytes(WORDS)
    assert fetch("words") == home / "words"  # the address of the card answers to nobody


def test_an_archive_is_unpacked(home: Path, served: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    folder, address = served
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        member = tarfile.TarInfo("nouns/list.txt")
        member.size = len(WORDS)
        archive.addfile(member, io.BytesIO(WORDS))
    (folder / "nouns.tar.gz").write_bytes(packed.getvalue())
    use(monkeypatch, a_card(f"{address}/nouns.tar.gz", packed.getvalue(), unpack=True))
    assert (fetch("words") / "nouns" / "list.txt").read_bytes() == WORDS


def test_a_web_page_in_place_of_data_is_called_one(
    home: Path, served: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, address = served
    (folder / "words.txt").write_bytes(b"<!DOCTYPE html><title>Please log in</title>")
    use(monkeypatch, a_card(f"{address}/words.txt"))
    with pytest.raises(CorruptData, match=r"43 bytes where the card says 16 \(it is a web page, not data\)"):
        fetch("words")
    assert not (home / "words").exists()


def test_other_content_of_the_same_size_fails_on_its_checksum(
    home: Path, served: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, address = served
    (folder / "words.txt").write_bytes(WORDS.upper())
    use(monkeypatch, a_card(f"{address}/words.txt"))
    with pytest.raises(CorruptData, match=r"sha256 .* where the card says") as caught:
        fetch("words")
    assert address in str(caught.value)


def test_a_missing_page_is_one_sentence(home: Path, served: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, a_card(f"{served[1]}/nothing.txt"))
    with pytest.raises(DataNotFound, match=r"nothing.txt cannot be had .*404"):
        fetch("words")


def test_no_network_is_one_sentence(home: Path) -> None:
    with pytest.raises(DataNotFound, match="cannot be had") as caught:
        fetch("words")
    assert "\n" not in str(caught.value)


def test_a_full_disk_names_the_folder(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", full)
    with pytest.raises(OSError, match=r"cannot be written \(No space left on device\)") as caught:
        fetch("words")
    assert caught.value.errno == errno.ENOSPC
    assert str(home) in str(caught.value)


def test_a_home_that_is_a_file_names_it(home: Path) -> None:
    home.write_text("not a folder")
    with pytest.raises(OSError, match="the folder cannot be written"):
        fetch("words")


def test_an_interrupted_download_leaves_nothing_half_written(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(self: object, url: str, target: str, _: object) -> None:
        Path(target).write_bytes(WORDS[:5])
        raise KeyboardInterrupt

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fetch("words")
    assert [path for path in home.rglob("*") if path.is_file()] == []


def test_a_download_goes_on_where_it_was_interrupted(home: Path) -> None:
    (home / ".words.partial" / "sub").mkdir(parents=True)
    (home / ".words.partial" / "sub" / "words.txt").write_bytes(WORDS)
    assert (fetch("words") / "sub" / "words.txt").read_bytes() == WORDS


def test_data_that_are_not_open_are_not_fetched(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, a_card("https://example.org/words.txt", access="form"))
    with pytest.raises(DataNotFound, match=r"Fill in the form at https://example\.org"):
        fetch("words")


def test_absent_data_are_one_sentence_that_says_how_to_get_them(home: Path) -> None:
    with pytest.raises(DataNotFound, match="Run `neuroling datasets fetch words`") as caught:
        locate("words")
    assert str(home / "words") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_changed_file_is_found_when_it_is_located(home: Path) -> None:
    (home / "words" / "sub").mkdir(parents=True)
    (home / "words" / "sub" / "words.txt").write_bytes(WORDS.upper())
    with pytest.raises(CorruptData, match=r"words.txt: sha256"):
        locate("words")
    assert "sha256" in verify("words")[0]


def test_a_truncated_file_is_found_when_it_is_located(home: Path) -> None:
    (home / "words" / "sub").mkdir(parents=True)
    (home / "words" / "sub" / "words.txt").write_bytes(WORDS[:4])
    with pytest.raises(CorruptData, match="4 bytes where the card says 16"):
        locate("words")


def test_a_folder_that_lacks_a_file_is_passed_over(home: Path, tmp_path: Path) -> None:
    (home / "words").mkdir(parents=True)
    in_cache = tmp_path / "cache" / "neuroling" / "words" / "sub"
    in_cache.mkdir(parents=True)
    (in_cache / "words.txt").write_bytes(WORDS)
    assert locate("words") == in_cache.parent


def test_a_file_that_no_card_lists_cannot_be_asked_for(home: Path) -> None:
    with pytest.raises(ValueError, match=r"\['verbs.txt'\] not on the card of words"):
        locate("words", ["verbs.txt"])


def test_verify_says_where_no_checksum_is_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data-science-P1.mat").write_bytes(b"anything")
    findings = verify("mitchell2008", tmp_path)
    assert len(findings) == 9
    assert "no published checksum exists" in findings[0]
    assert "no such file" in findings[1]


def test_verify_says_where_there_is_no_folder(home: Path) -> None:
    assert "no folder at" in verify("words")[0]


@pytest.mark.real_data
@pytest.mark.parametrize(
    "name",
    [name for name, entry in cards().items() if entry.access == "open"],
)
def test_the_data_at_hand_are_those_of_the_card(name: str, real: object) -> None:
    assert verify(name, real(name)) == []  # type: ignore[operator]
