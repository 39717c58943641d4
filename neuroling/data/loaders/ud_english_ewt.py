"""English Web Treebank in Universal Dependencies: words, their classes and their trees (Silveira et al. 2014)."""

from __future__ import annotations

import re
import tempfile
import unicodedata
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr

from neuroling.core.lines import split_lines
from neuroling.core.stimuli import Stimuli
from neuroling.data.errors import CorruptData, require_file
from neuroling.data.fetch import locate
from neuroling.data.synthetic import is_synthetic, mark_synthetic
from neuroling.data.tables import read_text

NAME = "ud_english_ewt"
FILES = {"dev": "en_ewt-ud-dev.conllu", "test": "en_ewt-ud-test.conllu"}
N_COLUMNS = 10
"""ID, FORM, LEMMA, UPOS, XPOS, FEATS, HEAD, DEPREL, DEPS, MISC."""

WORD, RANGE, EMPTY = (re.compile(pattern) for pattern in (r"[1-9]\d*", r"([1-9]\d*)-([1-9]\d*)", r"\d+\.[1-9]\d*"))
NO_SPACE = "SpaceAfter=No"


@dataclass(frozen=True)
class Treebank:
    """Sentences, their words, and the word that each word depends on.

    Attributes
    ----------
    sentences : Stimuli
        One row a sentence as it is written, labelled ``"dev/0001"``; ``sent_id`` is the label in the file.
    words : Stimuli
        One row a syntactic word, labelled ``"dev/0001/01"``; ``group`` is its sentence, ``position`` counts from 1,
        ``before`` and ``after`` hold the characters around it, ``upos``, ``xpos`` and ``deprel`` its annotation. The
        parts of a multiword token (``do`` and ``n't``) are words of their own that stand side by side. Where a token is
        not the sum of its words (French ``des``, which is ``de`` and ``les``), a column ``surface`` says what is
        written: ``des`` beside the first of them and nothing beside the others, which share its place in the text.
    heads : xarray.DataArray of int, dims (sample,)
        Position of the word that each word depends on, 0 for the root; coordinates ``group``, ``position``, ``upos``,
        ``deprel``. Attributes count what the trees leave out: multiword tokens and empty nodes.
    """

    sentences: Stimuli
    words: Stimuli
    heads: xr.DataArray


@dataclass(frozen=True)
class Sentence:
    """One sentence as it stands in a CoNLL-U file.

    Attributes
    ----------
    sent_id : str
        Its label in the file, or its number there.
    rows : list of tuple of str
        Form, universal and other part of speech, relation, and the characters before the word.
    surfaces : list of str
        What is written for each word: its form, but for tokens that are not the sum of their words. There it is the
        token for the first of them, and nothing for the others.
    stated : str or None
        The sentence as a comment of the file (``# text =``) has it.
    heads : list of int
        Position of each word's head, 0 for the root.
    n_multiword, n_empty : int
        Multiword tokens, and empty nodes, which have no place in a tree and are left out.
    """

    sent_id: str
    rows: list[tuple[str, str, str, str, str]] = field(default_factory=list)
    heads: list[int] = field(default_factory=list)
    n_multiword: int = 0
    n_empty: int = 0
    surfaces: list[str] = field(default_factory=list)
    stated: str | None = None

    @property
    def text(self) -> str:
        """The sentence as it is written."""
        return "".join(f"{row[4]}{surface}" for row, surface in zip(self.rows, self.surfaces, strict=True))


def load(folder: Path | str | None = None, split: Literal["dev", "test"] = "dev") -> Treebank:
    """Load one part of the treebank.

    Parameters
    ----------
    folder : path, optional
        Folder laid out as the card says; by default found by :func:`neuroling.data.fetch.locate`.
    split : {"dev", "test"}
        2,001 sentences with 25,147 words, or 2,077 with 25,094.

    Returns
    -------
    Treebank
        ``heads.attrs["synthetic"]`` is 1 for the twin.

    Raises
    ------
    DataNotFound, CorruptData
        If the file is absent, or not a treebank: the message names line and sentence.
    """
    if split not in FILES:
        raise ValueError(f"split: got {split!r}; expected 'dev' or 'test'.")
    folder = locate(NAME, [FILES[split]]) if folder is None else Path(folder)
    return read_treebank(
        require_file(folder / FILES[split], f"the {split} part of the treebank"), split, is_synthetic(folder)
    )


def read_treebank(path: Path | str, name: str, synthetic: bool = False) -> Treebank:
    """Read any treebank in CoNLL-U.

    Parameters
    ----------
    path : path
        The file.
    name : str
        Stands before the number of each sentence in its label.
    synthetic : bool
        Whether the file is made up.

    Returns
    -------
    Treebank

    Raises
    ------
    DataNotFound, CorruptData
        As for :func:`load`.

    Warns
    -----
    UserWarning
        If words and spaces give other sentences than the comments ``# text =`` do.
    """
    path = Path(path)
    sentences = read_conllu(path)
    _warn_of_other_texts(path, sentences)
    labels = [f"{name}/{number:04d}" for number in range(1, len(sentences) + 1)]
    words = pd.concat([_table(label, sentence) for label, sentence in zip(labels, sentences, strict=True)])
    if (words["surface"] == words["text"]).all():
        words = words.drop(columns="surface")
    stimuli = Stimuli(words.drop(columns="head"))
    heads = xr.DataArray(
        words["head"].to_numpy(),
        dims="sample",
        coords=dict(stimuli.coords("group", "position", "upos", "deprel")),
        name="head",
        attrs={
            "dataset": NAME,
            "split": name,
            "n_multiword_tokens": sum(sentence.n_multiword for sentence in sentences),
            "n_empty_nodes": sum(sentence.n_empty for sentence in sentences),
            "synthetic": int(synthetic),
        },
    )
    named = Stimuli.from_texts(
        [sentence.text for sentence in sentences], labels=labels, sent_id=[sentence.sent_id for sentence in sentences]
    )
    return Treebank(named, stimuli, heads)


def _warn_of_other_texts(path: Path, sentences: Sequence[Sentence]) -> None:
    other = [one for one in sentences if one.stated is not None and _composed(one.stated) != _composed(one.text)]
    if other:
        warnings.warn(
            f"{path}: {len(other)} of {len(sentences)} sentences read otherwise in their comment '# text' than in "
            f"their words, which are taken (first {other[0].sent_id!r}: {other[0].stated!r}, words {other[0].text!r}).",
            stacklevel=3,
        )


def _composed(text: str) -> list[str]:
    return unicodedata.normalize("NFC", text).split()


def join(*treebanks: Treebank, longest: int | None = None) -> Treebank:
    """Put treebanks together, perhaps without their long sentences.

    Parameters
    ----------
    *parts : Treebank
        With different labels, such as the parts of one treebank.
    longest : int, optional
        Words of the longest sentence that is kept; all are kept by default.

    Returns
    -------
    Treebank
        Attributes are those of the first; ``n_left_out`` counts sentences that were too long.
    """
    sentences = pd.concat([treebank.sentences.table for treebank in treebanks])
    words = pd.concat([treebank.words.table for treebank in treebanks])
    if "surface" in words:
        words = words.assign(surface=words["surface"].fillna(words["text"]))
    heads = xr.concat([treebank.heads for treebank in treebanks], "sample", combine_attrs="override")
    length = words.groupby("group", sort=False)["group"].transform("size").to_numpy()
    short = np.ones(len(words), bool) if longest is None else length <= longest
    is_retained = sentences.index.isin(words["group"][short].unique())
    if not is_retained.any():
        raise ValueError(f"longest: got {longest}; the shortest sentence has {length.min()} words.")
    heads = heads[short].assign_attrs(n_left_out=int((~is_retained).sum()))
    return Treebank(Stimuli(sentences[is_retained]), Stimuli(words[short]), heads)


def read_conllu(path: Path | str) -> list[Sentence]:
    """Read the sentences of a CoNLL-U file, and refuse what is no tree.

    Parameters
    ----------
    path : path
        UTF-8, perhaps ``.gz``. Blocks of comments alone, such as those in front of a document, are no sentences.

    Returns
    -------
    list of Sentence

    Raises
    ------
    CorruptData
        For a line without ten columns, words that do not count up from 1, heads outside the sentence, several roots
        or none, a cycle, or a label that occurs twice.
    """
    path = Path(path)
    blocks = [block for block in _blocks(read_text(path)) if not _is_comment(block)]
    parsed = [_parsed(path, number, block) for number, block in enumerate(blocks, start=1)]
    if not parsed:
        raise CorruptData(path, "no sentence", "CoNLL-U")
    # a number that stands in for a missing label may be the label of another sentence
    names = pd.Series([name for block in blocks if (name := _comment(block, "sent_id")) is not None], dtype=object)
    if names.duplicated().any():
        raise CorruptData(path, f"sent_id {names[names.duplicated()].iloc[0]!r} more than once", "each once")
    return parsed


def _blocks(text: str) -> Iterator[list[tuple[int, str]]]:
    """Give the numbered lines of each sentence; one blank line or several end it."""
    block: list[tuple[int, str]] = []
    for number, line in enumerate(split_lines(text), start=1):
        if line.strip():
            block.append((number, line))
        elif block:
            yield block
            block = []
    if block:
        yield block


def _is_comment(block: Sequence[tuple[int, str]]) -> bool:
    """Whether a block holds comments alone, and none that belongs to a sentence."""
    return all(line.startswith("#") for _, line in block) and not any(
        _comment(block, key) is not None for key in ("sent_id", "text")
    )


def _comment(block: Sequence[tuple[int, str]], key: str) -> str | None:
    """Give what a comment ``# key = …`` says, or None where there is none."""
    found = (re.match(rf"#\s*{key}\s*=(.*)", line, re.DOTALL) for _, line in block)
    return next((match[1].strip() for match in found if match), None)


def _parsed(path: Path, number: int, block: Sequence[tuple[int, str]]) -> Sentence:
    sent_id = _comment(block, "sent_id") or str(number)
    rows: list[tuple[str, str, str, str, str]] = []
    heads: list[int] = []
    tokens: list[tuple[int, int, str]] = []  # first word, the one behind the last, and what is written
    n_multiword = n_empty = covered = 0
    gap = inner_gap = ""
    for line_number, line in block:
        if line.startswith("#"):
            continue
        columns = line.split("\t")
        if len(columns) != N_COLUMNS:
            raise CorruptData(path, f"line {line_number} has {len(columns)} columns", f"{N_COLUMNS}, between tabs")
        identity, form, _, upos, xpos, _, head, deprel, _, misc = columns
        space = "" if NO_SPACE in misc.split("|") else " "
        if EMPTY.fullmatch(identity):
            n_empty += 1
        elif span := RANGE.fullmatch(identity):
            first, covered = int(span[1]), int(span[2])
            if first != len(rows) + 1 or covered < first:
                raise CorruptData(
                    path,
                    f"line {line_number}: multiword token {identity} in sentence {sent_id!r}",
                    f"one that begins at word {len(rows) + 1}",
                )
            if form.strip() in ("", "_"):
                raise CorruptData(
                    path,
                    f"line {line_number}: multiword token {identity} without a form in sentence {sent_id!r}",
                    "one",
                )
            n_multiword, inner_gap = n_multiword + 1, space
            tokens.append((first - 1, covered, form))
        elif WORD.fullmatch(identity) and int(identity) == len(rows) + 1 and form.strip():
            rows.append((form, upos, xpos, deprel, gap))
            heads.append(_head(path, line_number, head))
            place = len(rows)
            gap = "" if place < covered else inner_gap if place == covered else space
        else:
            raise CorruptData(
                path,
                f"line {line_number}: word {identity!r} with form {form!r} in sentence {sent_id!r}",
                f"word {len(rows) + 1} with a form",
            )
    if covered > len(rows):
        raise CorruptData(
            path,
            f"sentence {sent_id!r}: a multiword token reaches to word {covered}",
            f"at most {len(rows)}, the number of its words",
        )
    _check_tree(path, sent_id, heads)
    surfaces = _surfaces([row[0] for row in rows], tokens)
    return Sentence(sent_id, rows, heads, n_multiword, n_empty, surfaces, _comment(block, "text"))


def _surfaces(forms: list[str], tokens: Sequence[tuple[int, int, str]]) -> list[str]:
    """Give what is written for each word; words of a token that is not their sum share the place of the first."""
    written = list(forms)
    for start, stop, token in tokens:
        if "".join(forms[start:stop]) != token:
            written[start:stop] = [token, *[""] * (stop - start - 1)]
    return written


def _head(path: Path, line_number: int, head: str) -> int:
    if not head.isdecimal():
        raise CorruptData(path, f"line {line_number}: head {head!r}", "the number of a word, or 0 for the root")
    return int(head)


def _check_tree(path: Path, sent_id: str, heads: Sequence[int]) -> None:
    n = len(heads)
    where = f"sentence {sent_id!r}"
    if n == 0:
        raise CorruptData(path, f"{where} has no word", "at least one")
    outside = [head for head in heads if head > n]
    if outside:
        raise CorruptData(path, f"{where}: head {outside[0]} of {n} words", f"heads from 0 to {n}")
    roots = [position for position, head in enumerate(heads, start=1) if head == 0]
    if len(roots) != 1:
        raise CorruptData(path, f"{where} has {len(roots)} roots {roots[:5]}", "one word with head 0")
    reached = {roots[0]}
    for start in range(1, n + 1):
        trail: list[int] = []
        position = start
        while position not in reached:
            if position in trail:
                raise CorruptData(
                    path, f"{where}: words {trail[trail.index(position) :]} depend on one another in a cycle", "a tree"
                )
            trail.append(position)
            position = heads[position - 1]
        reached.update(trail)


def _table(label: str, sentence: Sentence) -> pd.DataFrame:
    n = len(sentence.rows)
    table = pd.DataFrame(sentence.rows, columns=["text", "upos", "xpos", "deprel", "before"])
    table["group"], table["position"], table["after"] = label, np.arange(1, n + 1), ""
    table["surface"] = sentence.surfaces
    table["head"] = sentence.heads
    table.index = pd.Index([f"{label}/{place:02d}" for place in range(1, n + 1)], name="sample")
    return table


# --- the synthetic twin ----------------------------------------------------------------------------------------------

DETERMINERS, ADJECTIVES = ("the", "a", "every"), ("old", "small", "green", "quiet")
NOUNS = ("cat", "dog", "ship", "teacher", "letter", "river", "garden", "child")
VERBS, PREPOSITIONS = ("saw", "found", "painted", "heard"), ("near", "with", "behind")
Node = tuple[str, str, str, int]


def write_twin(folder: Path | str, rng: int | np.random.Generator = 0, *, n_sentences: int = 60) -> None:
    """Write made-up sentences with their trees in the layout of the real files.

    A sentence is a noun phrase, a verb, a noun phrase and a full stop. A noun phrase has a determiner and a noun, an
    adjective in half of the cases, and a phrase with a preposition in a third of them, to a depth of two. One
    sentence in five is in the negative, where ``didn't`` is a multiword token; one in ten has an empty node.

    Parameters
    ----------
    folder : path
        Made if absent; marked as synthetic.
    rng : int or numpy.random.Generator
        Source of all randomness.
    n_sentences : int
        Sentences of either part, at least 2.
    """
    if n_sentences < 2:
        raise ValueError(f"n_sentences: got {n_sentences}; expected at least 2.")
    generator = np.random.default_rng(rng)
    Path(folder).mkdir(parents=True, exist_ok=True)
    for split, name in FILES.items():
        blocks = [_draw(f"twin-{split}-{number}", generator) for number in range(1, n_sentences + 1)]
        (Path(folder) / name).write_text("\n\n".join(blocks) + "\n\n", encoding="utf-8")
    mark_synthetic(Path(folder), {"grammar": "NP V NP; NP: determiner, adjective (1/2), noun, preposition + NP (1/3)"})


def twin(n_sentences: int = 60, rng: int | np.random.Generator = 0, split: Literal["dev", "test"] = "dev") -> Treebank:
    """Make a synthetic treebank, through files and the loader of the real ones.

    Parameters
    ----------
    n_sentences : int
        How many.
    rng : int or numpy.random.Generator
        Source of all randomness.
    split : {"dev", "test"}
        Which part.

    Returns
    -------
    Treebank
    """
    with tempfile.TemporaryDirectory() as folder:
        write_twin(folder, rng, n_sentences=n_sentences)
        return load(folder, split)


def _draw(sent_id: str, rng: np.random.Generator) -> str:
    subject = _noun_phrase(rng, 2)
    negative = rng.random() < 0.2
    auxiliaries = [("did", "AUX", "aux"), ("n't", "PART", "advmod")] if negative else []
    verb = len(subject) + len(auxiliaries) + 1
    nodes: list[Node] = [_attached(node, verb, "nsubj", 0) for node in subject]
    nodes += [(form, tag, relation, verb) for form, tag, relation in auxiliaries]
    nodes.append((str(rng.choice(VERBS)), "VERB", "root", 0))
    nodes += [_attached(node, verb, "obj", verb) for node in _noun_phrase(rng, 2)]
    nodes.append((".", "PUNCT", "punct", verb))
    lines = [f"# sent_id = {sent_id}"]
    for position, (form, tag, relation, head) in enumerate(nodes, start=1):
        misc = NO_SPACE if position == len(nodes) - 1 else "_"
        if form == "did":
            lines.append(f"{position}-{position + 1}\tdidn't" + "\t_" * 8)
        lines.append(f"{position}\t{form}\t{form}\t{tag}\t{tag}\t_\t{head}\t{relation}\t_\t{misc}")
    if rng.random() < 0.1:
        lines.append(f"{len(nodes)}.1\tthere\tthere\tADV\tRB\t_\t_\t_\t_\t_")
    return "\n".join(lines)


def _noun_phrase(rng: np.random.Generator, depth: int) -> list[Node]:
    """Draw a noun phrase; heads count within it, and 0 is what the noun itself depends on."""
    words = [(str(rng.choice(DETERMINERS)), "DET", "det")]
    if rng.random() < 0.5:
        words.append((str(rng.choice(ADJECTIVES)), "ADJ", "amod"))
    noun = len(words) + 1
    nodes: list[Node] = [(form, tag, relation, noun) for form, tag, relation in words]
    nodes.append((str(rng.choice(NOUNS)), "NOUN", "", 0))
    if depth and rng.random() < 1 / 3:
        inner = _noun_phrase(rng, depth - 1)
        preposition = (str(rng.choice(PREPOSITIONS)), "ADP", "case", 0)
        behind = next(place for place, node in enumerate(inner, start=1) if node[3] == 0)
        shifted = [_attached(node, noun, "nmod", noun + 1) for node in inner]
        nodes += [(*preposition[:3], noun + 1 + behind), *shifted]
    return nodes


def _attached(node: Node, head: int, relation: str, offset: int) -> Node:
    """Put a node of a phrase into the sentence: its place moves, and the noun gets its head."""
    form, tag, old, inner_head = node
    return (form, tag, old or relation, inner_head + offset) if inner_head else (form, tag, old or relation, head)
