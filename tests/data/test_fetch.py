from __future__ import annotations

import errno
import hashlib
import io
import shutil
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pooch
import pytest

from neuroling.data import fetch as room
from neuroling.data.cards import Card, CardFile, cards
from neuroling.data.checksums import wrong_with
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


def interrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    """End every download after five bytes."""

    def interrupted(self: object, url: str, stream: io.BufferedWriter, _: object) -> None:
        stream.write(WORDS[:5])
        raise KeyboardInterrupt

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", interrupted)


def test_an_interrupted_download_leaves_nothing_half_written(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        fetch("words")
    assert not (home / "words").exists()
    assert [path.name for path in home.rglob("*") if path.is_file()] == ["words.txt.part"]


def test_a_download_goes_on_where_it_was_interrupted(home: Path) -> None:
    (home / ".words.partial" / "sub").mkdir(parents=True)
    (home / ".words.partial" / "sub" / "words.txt").write_bytes(WORDS)
    assert (fetch("words") / "sub" / "words.txt").read_bytes() == WORDS


class Ranges(Quiet):
    """A server that sends the end of a file when asked to, and remembers what it was asked for."""

    asked: ClassVar[list[str | None]] = []

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.asked.append(asked)
        content = Path(self.translate_path(self.path)).read_bytes()
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start:])


@pytest.fixture
def ranges(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    folder = tmp_path / "ranges"
    folder.mkdir()
    Ranges.asked.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Ranges, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def begun(home: Path, content: bytes) -> None:
    (home / ".words.partial" / "sub").mkdir(parents=True)
    (home / ".words.partial" / "sub" / "words.txt.part").write_bytes(content)


def test_only_the_rest_of_a_file_is_fetched(
    home: Path, ranges: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (ranges[0] / "words.txt").write_bytes(WORDS)
    use(monkeypatch, a_card(f"{ranges[1]}/words.txt"))
    begun(home, WORDS[:5])
    assert (fetch("words") / "sub" / "words.txt").read_bytes() == WORDS
    assert Ranges.asked == ["bytes=5-"]
    assert not (home / ".words.partial").exists()


@pytest.mark.parametrize("beginning", [b"<html", WORDS[:5]])
def test_a_file_that_cannot_be_resumed_is_fetched_anew(
    home: Path, served: tuple[Path, str], monkeypatch: pytest.MonkeyPatch, beginning: bytes
) -> None:
    (served[0] / "words.txt").write_bytes(WORDS)
    use(monkeypatch, a_card(f"{served[1]}/words.txt"))  # this server sends all of it, whatever it is asked for
    begun(home, beginning)
    assert (fetch("words") / "sub" / "words.txt").read_bytes() == WORDS


def test_a_partial_file_that_somebody_writes_to_is_left_alone(
    home: Path, ranges: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (ranges[0] / "words.txt").write_bytes(WORDS)
    use(monkeypatch, a_card(f"{ranges[1]}/words.txt"))
    begun(home, WORDS[:5])
    partial_file = home / ".words.partial" / "sub" / "words.txt.part"
    partial_file.rename(partial_file.with_name("words.txt.1.part"))  # of another process, a moment ago
    fetch("words")
    assert Ranges.asked == [None]
    assert (home / ".words.partial" / "sub" / "words.txt.1.part").read_bytes() == WORDS[:5]


def several_files(address: str, n: int) -> Card:
    contents = {f"{number}.txt": f"word {number}\n".encode() for number in range(n)}
    files = tuple(
        CardFile(
            name, len(content), md5=hashlib.md5(content, usedforsecurity=False).hexdigest(), url=f"{address}/{name}"
        )
        for name, content in contents.items()
    )
    return Card("words", "Words", "", "", "CC0", "open", "text", "words", files, "https://example.org")


def test_no_more_downloads_run_at_a_time_than_asked_for(
    home: Path, served: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    card = several_files(served[1], 6)
    for number in range(6):
        (served[0] / f"{number}.txt").write_text(f"word {number}\n")
    use(monkeypatch, card)
    running, most, lock = set(), [], threading.Lock()
    download = pooch.HTTPDownloader.__call__

    def counted(self: object, url: str, stream: io.BufferedWriter, _: object) -> None:
        with lock:
            running.add(url)
            most.append(len(running))
        download(self, url, stream, None)
        with lock:
            running.remove(url)

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", counted)
    fetch("words", n_parallel=2)
    assert max(most) <= 2
    assert verify("words") == []


def test_only_the_files_asked_for_are_fetched(
    home: Path, served: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (served[0] / "1.txt").write_text("word 1\n")
    use(monkeypatch, several_files(served[1], 3))
    fetch("words", ["1.txt"])
    assert [path.name for path in (home / "words").iterdir()] == ["1.txt"]


def test_too_little_space_is_said_before_anything_is_fetched(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 0, 15))
    with pytest.raises(OSError, match=r"1 files need 0.0 MB, and 0.0 MB are free; nothing was fetched") as caught:
        fetch("words")
    assert caught.value.errno == errno.ENOSPC
    assert not home.exists()


def clone_of(home: Path) -> Path:
    """Make a clone in which git-annex has fetched nothing."""
    (home / "words" / "sub").mkdir(parents=True)
    link = home / "words" / "sub" / "words.txt"
    link.symlink_to("../.git/annex/objects/aa/bb/MD5E-s16--0/MD5E-s16--0")
    return link


def test_a_link_whose_content_was_not_fetched_is_called_one(home: Path) -> None:
    clone_of(home)
    with pytest.raises(
        DataNotFound, match=r"1 git-annex links were not fetched, first sub/words.txt; run `datalad get`"
    ):
        locate("words")


def test_a_clone_is_not_written_into(home: Path) -> None:
    link = clone_of(home)
    with pytest.raises(CorruptData, match=r"a git-annex link whose content was not fetched"):
        fetch("words")
    assert link.is_symlink()


def test_a_pointer_of_git_annex_is_called_one(home: Path) -> None:
    (home / "words" / "sub").mkdir(parents=True)
    (home / "words" / "sub" / "words.txt").write_text("/annex/objects/MD5E-s16--0\n")
    with pytest.raises(CorruptData, match="git-annex link whose content was not fetched"):
        locate("words")


def test_a_clone_is_found_by_its_accession(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, replace(a_card("https://example.org/words.txt"), accession="ds000001"))
    (home / "ds000001" / "sub").mkdir(parents=True)
    (home / "ds000001" / "sub" / "words.txt").write_bytes(WORDS)
    assert locate("words") == home / "ds000001"


def test_content_is_compared_with_the_checksum_of_git(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_bytes(b"hello\n")
    blob = "ce013625030ba8dba906f756967f9e9ca394464a"  # git hash-object
    assert wrong_with(tmp_path / "words.txt", CardFile("words.txt", 6, git_blob=blob), None) is None
    assert "git_blob" in str(wrong_with(tmp_path / "words.txt", CardFile("words.txt", 6, git_blob="0" * 40), None))


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
