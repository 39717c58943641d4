from __future__ import annotations

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroling.core import lines
from neuroling.core.lines import read_lines, split_lines

NO_LINE_END = "\u2028\u2029\x85\x0b\x0c\x1c\x1d\x1e"
"""Characters at which ``str.splitlines`` cuts, besides carriage returns and line feeds."""


@pytest.mark.parametrize("character", NO_LINE_END)
def test_lines_are_cut_at_line_ends_alone(character: str) -> None:
    text = f"one{character}line\ntwo\r\nthree\r{character}\n"
    assert split_lines(text) == [f"one{character}line", "two", "three", character]
    assert [line.decode() for line in read_lines(BytesIO(text.encode()))] == split_lines(text)


def test_blank_lines_are_lines_and_the_last_end_is_none() -> None:
    assert split_lines("a\n\r\n\rb\n\n") == ["a", "", "", "b", ""]
    assert split_lines("") == []


@given(st.text(alphabet="ab\r\n\u2028\x0c", max_size=30), st.integers(1, 5))
def test_a_file_read_in_pieces_has_the_same_lines(text: str, at_once: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "BYTES_AT_ONCE", at_once)
        found = [line.decode() for line in read_lines(BytesIO(text.encode()))]
    assert found == split_lines(text)


def test_a_file_without_line_ends_is_refused_before_it_fills_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "LONGEST_LINE", 10)
    with pytest.raises(ValueError, match="more than 10 bytes"):
        list(read_lines(BytesIO(b"x" * 11)))
