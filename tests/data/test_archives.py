from __future__ import annotations

import contextlib
import io
import shutil
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from neuroling.data import archives
from neuroling.data.archives import unpack
from neuroling.data.errors import CorruptData


def a_tar(path: Path, *members: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for member in members:
            archive.addfile(member, io.BytesIO(b"x" * member.size))
    return path


def plain(name: str, size: int = 4) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size = size
    return member


def link(name: str, target: str, kind: bytes) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_tar_is_unpacked(tmp_path: Path) -> None:
    unpack(a_tar(tmp_path / "a.tar.gz", plain("one.txt"), plain("sub/two.txt")), tmp_path / "out")
    assert files_in(tmp_path / "out") == ["one.txt", "sub/two.txt"]


def test_a_zip_is_unpacked(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("sub/two.txt", "2")
    unpack(tmp_path / "a.zip", tmp_path / "out")
    assert files_in(tmp_path / "out") == ["sub/two.txt"]


@pytest.mark.parametrize(
    "member",
    [
        plain("../outside.txt"),
        plain("/outside.txt"),
        plain("sub/../../outside.txt"),
        link("a", "/etc/passwd", tarfile.SYMTYPE),
        link("a", "one.txt", tarfile.LNKTYPE),
        link("a", "", tarfile.FIFOTYPE),
    ],
)
def test_a_tar_member_that_reaches_out_is_refused_and_nothing_is_written(
    tmp_path: Path, member: tarfile.TarInfo
) -> None:
    archive = a_tar(tmp_path / "a.tar.gz", plain("one.txt"), member)
    with pytest.raises(CorruptData, match="is a link, a device, or points outside"):
        unpack(archive, tmp_path / "out")
    assert files_in(tmp_path / "out") == []


@pytest.mark.parametrize("name", ["../outside.txt", "/outside.txt", "..\\outside.txt", "C:\\outside.txt"])
def test_a_zip_member_that_reaches_out_is_refused(tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(name, "2")
    with pytest.raises(CorruptData, match="points outside"):
        unpack(tmp_path / "a.zip", tmp_path / "out")


def test_too_large_an_archive_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MOST_BYTES", 100)
    with pytest.raises(CorruptData, match="1 members, 101 bytes"):
        unpack(a_tar(tmp_path / "a.tar.gz", plain("one.txt", 101)), tmp_path / "out")


def test_a_truncated_archive_is_refused(tmp_path: Path) -> None:
    archive = a_tar(tmp_path / "a.tar.gz", plain("one.txt", 5000))
    archive.write_bytes(archive.read_bytes()[:40])
    with pytest.raises(CorruptData, match=r"a.tar.gz: cannot be unpacked"):
        unpack(archive, tmp_path / "out")


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.tar.gz").write_text("<html>not an archive</html>")
    with pytest.raises(CorruptData, match="expected a whole tar or zip archive"):
        unpack(tmp_path / "a.tar.gz", tmp_path / "out")


@pytest.mark.parametrize("name", ["set.zip", "set.tar", "set.tar.gz", "set.tar.xz", "set.tar.bz2"])
def test_a_flipped_bit_in_an_archive_is_found_or_changes_nothing(tmp_path, name):
    """gzip, bzip2 and xz compare a checksum at the end, zip one per member; a plain tar has none of its contents."""
    content = np.random.default_rng(0).bytes(3000) + b"word,onset\n" * 100
    (tmp_path / "words.csv").write_bytes(content)
    path = tmp_path / name
    if name.endswith("zip"):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(tmp_path / "words.csv", "words.csv")
    else:
        with tarfile.open(path, f"w:{name.split('.')[2]}" if name != "set.tar" else "w") as archive:
            archive.add(tmp_path / "words.csv", "words.csv")
    whole, rng = path.read_bytes(), np.random.default_rng(1)
    for place in rng.integers(len(whole), size=40 if name != "set.tar" else 0).tolist():
        flipped = bytearray(whole)
        flipped[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(flipped)
        target = tmp_path / "out"
        with contextlib.suppress(CorruptData):
            unpack(path, target)
        assert [file.read_bytes() for file in target.iterdir()] in ([], [content])
        shutil.rmtree(target, ignore_errors=True)
    path.write_bytes(whole)
    unpack(path, tmp_path / "out")
    assert (tmp_path / "out" / "words.csv").read_bytes() == content
