"""Characters as symbols of a small encoder-decoder."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

PAD, START, END = 0, 1, 2
"""Numbers of the three special symbols: filler, start of a target, end of a target."""

SPECIAL = ("<pad>", "<start>", "<end>")


@dataclass(frozen=True)
class Characters:
    """A closed list of characters.

    Attributes
    ----------
    symbols : tuple of str
        The three special symbols, then characters; the place of a symbol is its number.

    Examples
    --------
    >>> characters = Characters.of(["ab", "ca"])
    >>> characters.numbers(["cab"]).tolist()
    [[5, 3, 4]]
    >>> characters.text([5, 3, 4, 2, 0])
    'cab'
    """

    symbols: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.symbols[: len(SPECIAL)] != SPECIAL or len(self.symbols) <= len(SPECIAL):
            raise ValueError(
                f"symbols: got {len(self.symbols)}, beginning with {list(self.symbols[:3])}; expected the special ones "
                f"{list(SPECIAL)} and at least one character after them."
            )
        if len(set(self.symbols)) != len(self.symbols):
            raise ValueError("symbols: some stand there twice; expected each once.")

    @classmethod
    def of(cls, texts: Iterable[str]) -> Characters:
        """Collect the characters of texts, in code order.

        Parameters
        ----------
        texts : iterable of str
            Texts.

        Returns
        -------
        Characters
        """
        return cls((*SPECIAL, *sorted({letter for text in texts for letter in text})))

    def __len__(self) -> int:
        return len(self.symbols)

    def numbers(
        self, texts: Sequence[str], *, ended: bool = False, width: int | None = None
    ) -> Int[Tensor, "n length"]:
        """Turn texts into a table of numbers, filled up with :data:`PAD`.

        Parameters
        ----------
        texts : sequence of str
            None of them empty.
        ended : bool
            Put :data:`END` behind every text.
        width : int, optional
            Columns; by default as many as the longest text needs.

        Returns
        -------
        torch.Tensor, (text, place)

        Raises
        ------
        ValueError
            For an empty text, an unknown character, or a text longer than ``width``.
        """
        empty = [place for place, text in enumerate(texts) if not text]
        if empty or not texts:
            raise ValueError(f"texts: {len(empty) or 'all'} are empty, first at {empty[:5]}; expected characters.")
        number_of_symbol = {symbol: number for number, symbol in enumerate(self.symbols)}
        unknown = sorted({letter for text in texts for letter in text} - set(self.symbols[len(SPECIAL) :]))
        if unknown:
            raise ValueError(f"texts: the characters {unknown[:5]} are not among the {len(self)} symbols.")
        rows = [[number_of_symbol[letter] for letter in text] + [END] * ended for text in texts]
        longest = max(map(len, rows))
        width = longest if width is None else width
        if longest > width:
            raise ValueError(f"texts: the longest needs {longest} places, and there are {width}.")
        return torch.tensor([row + [PAD] * (width - len(row)) for row in rows])  # (text, place)

    def text(self, numbers: Sequence[int]) -> str:
        """Turn numbers back into a text, up to the first :data:`END`.

        Parameters
        ----------
        numbers : sequence of int
            One row.

        Returns
        -------
        str
            Without the special symbols.
        """
        row = list(numbers)
        row = row[: row.index(END)] if END in row else row
        return "".join(self.symbols[number] for number in row if number >= len(SPECIAL))
