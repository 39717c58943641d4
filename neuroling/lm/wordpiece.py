"""WordPiece tokenizers (Wu et al. 2016), trained on one's own text by the package tokenizers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from neuroling.core.characters import TURKIC, primary_language, readable_texts, with_blanks

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
"""Special tokens of BERT, in the order of its numbers here."""


def train_wordpiece(
    sentences: Sequence[str],
    *,
    size: int,
    lowercase: bool = True,
    max_length: int = 512,
    min_count: int = 2,
    language: str | None = None,
) -> PreTrainedTokenizerFast:
    """Learn pieces of words.

    Parameters
    ----------
    sentences : sequence of str
        Text; none of it empty.
    size : int
        Pieces, special tokens included. Fewer are found in a small text.
    lowercase : bool
        Fold case and strip accents, as BERT's uncased models do; leave it off for Japanese, where it would strip the
        marks of voiced kana.
    max_length : int
        Longest sequence that the model will read.
    min_count : int
        A pair of pieces is joined if it is seen so often.
    language : str, optional
        Code of the language whose small letters ``lowercase`` makes: in Turkish (``"tr"``), Azeri and their relatives
        the small letter of I is ı, and that of İ is i.

    Returns
    -------
    transformers.PreTrainedTokenizerFast
        Puts ``[CLS]`` before and ``[SEP]`` behind a text. The same text gives the same pieces under the same numbers
        in every process.

    Raises
    ------
    ValueError
        If the vocabulary is too small for its special tokens and the characters of the text, there is no text, or it
        holds control characters or words of more than 1,000 characters.
    TypeError
        If a sentence is no ``str``.

    Examples
    --------
    >>> tokenizer = train_wordpiece(["a cat sat", "a cat ran"], size=40)
    >>> tokenizer.tokenize("A cat")
    ['a', 'cat']
    """
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    sentences = [with_blanks(sentence) for sentence in readable_texts("sentences", sentences, stacklevel=3)]
    empty = [row for row, sentence in enumerate(sentences) if not sentence.strip()]
    if 0 < len(empty) < len(sentences):
        raise ValueError(f"sentences: {len(empty)} of {len(sentences)} are empty, first at {empty[:5]}; remove them.")
    if not any(sentence.strip() for sentence in sentences):
        raise ValueError("sentences: hold no text; expected some to learn pieces from.")
    normalizer: normalizers.Normalizer = normalizers.BertNormalizer(lowercase=lowercase, strip_accents=lowercase)
    if primary_language(language) in TURKIC and lowercase:
        dotless = [normalizers.Replace("İ", "i"), normalizers.Replace("I", "ı")]
        normalizer = normalizers.Sequence([normalizers.NFC(), *dotless, normalizer])
    splitter = pre_tokenizers.BertPreTokenizer()
    learner = Tokenizer(models.WordPiece(unk_token=SPECIAL[1]))
    learner.normalizer, learner.pre_tokenizer = normalizer, splitter
    # the trainer numbers letters inside words in an order that differs between processes, and ties follow numbers;
    # naming them first, sorted, fixes both
    words = {word for one in sentences for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(one))}
    inside = sorted({f"##{letter}" for word in words for letter in word[1:]})
    trainer = trainers.WordPieceTrainer(
        vocab_size=size, min_frequency=min_count, special_tokens=[*SPECIAL, *inside], show_progress=False
    )
    learner.train_from_iterator(sentences, trainer)
    vocabulary = learner.get_vocab()
    if len(vocabulary) > size:  # the trainer never drops a special token or a character
        raise ValueError(
            f"size: got {size}; the {len(SPECIAL)} special tokens and the characters of the text alone need "
            f"{len(vocabulary)}."
        )
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token=SPECIAL[1]))
    tokenizer.normalizer, tokenizer.pre_tokenizer, tokenizer.decoder = normalizer, splitter, decoders.WordPiece()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", SPECIAL.index("[CLS]")), ("[SEP]", SPECIAL.index("[SEP]"))],
    )
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]  # transformers leaves it untyped
        tokenizer_object=tokenizer,
        model_max_length=max_length,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        pad_token="[PAD]",  # noqa: S106 - a token, no password
        unk_token="[UNK]",  # noqa: S106
        cls_token="[CLS]",  # noqa: S106
        sep_token="[SEP]",  # noqa: S106
        mask_token="[MASK]",  # noqa: S106
    )
