from __future__ import annotations

import base64
import errno
import hashlib
import os
import re
from html.parser import HTMLParser
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from neuroling.report.html import STAMP, Callout, Figure, Section, Table, Text, write_page

HOSTILE = [
    "<script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "</style><img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "' onmouseover='alert(1)",
    "<iframe src=//example.org></iframe>",
    "{{ 7 * 7 }}{% raw %}",
    "javascript:alert(1)",
    "--><b>bold</b><!--",
    "\ud800 half a character",
]
TAGS = {
    *("html", "head", "meta", "title", "style", "body", "a", "p", "div", "header", "h1", "nav", "ul", "li", "main"),
    *("section", "h2", "span", "figure", "figcaption", "img", "table", "thead", "tr", "th", "tbody", "td"),
    *("details", "summary", "dl", "dt", "dd", "b"),
}
ATTRIBUTES = {
    *("lang", "charset", "http-equiv", "content", "name", "class", "href", "role", "aria-label", "aria-labelledby"),
    *("id", "src", "width", "height", "alt", "tabindex", "scope"),
}


class Page(HTMLParser):
    """Collects what a browser would see."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


def sections(png: bytes, word: str = "word") -> list[Section]:
    table = Table(pd.DataFrame({word: [word, "b"], "score": [0.12345, np.nan]}), caption=word)
    figure = Figure(png, caption=word, alt=word)
    return [
        Section(word, [Text(f"{word}\n\nsecond"), Callout("warning", word), table, figure]),
        Section("Second", [figure, table]),
    ]


def page(tmp_path: Path, png: bytes, *, word: str = "word", synthetic: bool = False) -> str:
    path = write_page(
        tmp_path / "report.html",
        title=word,
        subtitle=word,
        sections=sections(png, word),
        provenance={word: word, "versions": {"torch": "2.13", "list": ["one", "two"]}},
        synthetic=synthetic,
    )
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("payload", HOSTILE)
def test_hostile_strings_are_text_and_nothing_else(tmp_path: Path, png: bytes, payload: str) -> None:
    calm, hostile = Page(page(tmp_path, png)), Page(page(tmp_path, png, word=payload))
    assert [tag for tag, _ in hostile.tags] == [tag for tag, _ in calm.tags]
    assert {tag for tag, _ in hostile.tags} <= TAGS
    assert {name for _, attrs in hostile.tags for name in attrs} <= ATTRIBUTES


def test_nothing_is_loaded_from_elsewhere(tmp_path: Path, png: bytes) -> None:
    found = Page(page(tmp_path, png))
    assert all(str(image["src"]).startswith("data:image/png;base64,") for image in found.all("img"))
    assert all(str(link["href"]).startswith("#") for link in found.all("a"))
    assert "url(" not in page(tmp_path, png)
    assert "@import" not in page(tmp_path, png)


def test_the_policy_forbids_scripts_and_names_the_only_style(tmp_path: Path, png: bytes) -> None:
    text = page(tmp_path, png)
    policy = str(next(m["content"] for m in Page(text).all("meta") if m.get("http-equiv") == "Content-Security-Policy"))
    style = re.search(r"<style>(.*)</style>", text, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style.group(1).encode()).digest()).decode()
    assert "default-src 'none'" in policy
    assert f"'sha256-{digest}'" in policy
    assert "unsafe" not in policy
    assert "script-src" not in policy


def test_pictures_come_back_as_they_went_in_with_words_beside_them(tmp_path: Path, png: bytes) -> None:
    image = Page(page(tmp_path, png)).all("img")[0]
    assert base64.b64decode(str(image["src"]).split(",")[1]) == png
    assert (image["alt"], image["width"], image["height"]) == ("word", "150", "150")


def test_synthetic_data_are_marked_everywhere(tmp_path: Path, png: bytes) -> None:
    text = page(tmp_path, png, synthetic=True)
    found = Page(text)
    stamps = sum(piece.strip() == STAMP for piece in found.texts)
    assert stamps == 2 + 2 + 2  # section headings, tables, figures
    assert text.index('class="banner"') < text.index("<h1>")
    assert all(str(image["alt"]).startswith(STAMP) for image in found.all("img"))
    assert "<title>[synthetic data]" in text


def test_real_data_carry_no_such_mark(tmp_path: Path, png: bytes) -> None:
    body = page(tmp_path, png).split("</style>")[1]
    assert "synthetic" not in body.lower()


def test_synthetic_has_no_default(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="synthetic"):
        write_page(tmp_path / "x.html", title="A", sections=[])  # type: ignore[call-arg]


def test_tables_head_their_columns_and_rows(tmp_path: Path, png: bytes) -> None:
    scopes = [head["scope"] for head in Page(page(tmp_path, png)).all("th")]
    assert scopes == ["col", "col", "row", "row"] * 2


def test_every_reference_within_the_page_leads_somewhere(tmp_path: Path, png: bytes) -> None:
    found = Page(page(tmp_path, png))
    ids = [attrs["id"] for _, attrs in found.tags if "id" in attrs]
    goals = [str(link["href"])[1:] for link in found.all("a")]
    goals += [str(attrs["aria-labelledby"]) for _, attrs in found.tags if "aria-labelledby" in attrs]
    assert len(ids) == len(set(ids))
    assert set(goals) <= set(ids)


def test_language_and_width_are_stated(tmp_path: Path, png: bytes) -> None:
    found = Page(page(tmp_path, png))
    assert found.all("html") == [{"lang": "en"}]
    assert any(m.get("name") == "viewport" for m in found.all("meta"))


def test_provenance_is_folded_and_flat(tmp_path: Path, png: bytes) -> None:
    text = page(tmp_path, png)
    assert "<dt>versions.torch</dt><dd>2.13</dd>" in text
    assert "<dd>one\ntwo</dd>" in text
    assert "<details>" in text


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.12345, ">0.123<"),
        (-0.5, ">−0.500<"),
        (0.00001, ">1e−05<"),
        (14371, ">14,371<"),
        (1e6, ">1,000,000<"),
        (float("nan"), ">–<"),
        (None, ">–<"),
        (True, ">yes<"),
        ("1/3", ">1/3<"),
        (np.float32(0.25), ">0.250<"),
    ],
)
def test_cells_are_written_for_readers(tmp_path: Path, value: object, shown: str) -> None:
    section = Section("S", [Table([{"name": "a", "value": value}], caption="C")])
    assert shown in write_page(tmp_path / "r.html", title="T", sections=[section], synthetic=False).read_text("utf-8")


def _luminance(color: str) -> float:
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_every_text_stands_out_from_its_ground(scheme: int) -> None:
    import neuroling.report.html as module

    style = Path(module.__file__).with_name("page.css").read_text()
    colors = dict(re.findall(r"--([\w-]+): (#\w{6})", style.split(":root {")[1 + scheme].split("}")[0]))
    pairs = [*product(["ink", "soft", "accent"], ["ground"]), ("alarm", "alarm-ground"), ("alarm", "ground")]
    pairs += product(["ink", "note", "result", "warning"], ["raised"])
    for text, ground in pairs:
        high, low = sorted((_luminance(colors[text]), _luminance(colors[ground])), reverse=True)
        assert (high + 0.05) / (low + 0.05) >= 4.5, (text, ground)


def test_a_failed_write_leaves_the_old_report(tmp_path: Path, png: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    before = page(tmp_path, png)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        page(tmp_path, png, word="other")
    assert [path.read_text("utf-8") for path in tmp_path.iterdir()] == [before]


def test_a_report_can_be_read_by_others(tmp_path: Path, png: bytes) -> None:
    page(tmp_path, png)
    assert (tmp_path / "report.html").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda png: Figure(b"GIF89a", "c", "a"), "no PNG file"),
        (lambda png: Figure(png, " ", "a"), "caption: it is empty"),
        (lambda png: Figure(png, "c", ""), "alt: it is empty"),
        (lambda png: Callout("danger", "x"), "kind: got 'danger'"),  # type: ignore[arg-type]
    ],
)
def test_blocks_that_lack_something_are_refused(make: object, message: str, png: bytes) -> None:
    with pytest.raises(ValueError, match=message):
        make(png)  # type: ignore[operator]


def test_a_block_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="got str; expected Text"):
        write_page(tmp_path / "r.html", title="T", sections=[Section("S", ["x"])], synthetic=False)  # type: ignore[list-item]


def test_an_empty_title_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="title: it is empty"):
        write_page(tmp_path / "r.html", title=" ", sections=[], synthetic=False)


def test_a_table_without_columns_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has no columns"):
        write_page(tmp_path / "r.html", title="T", sections=[Section("S", [Table([], "C")])], synthetic=False)
