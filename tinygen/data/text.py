"""Captions as numbers: a tokenizer of words and one of bytes.

Both make rows of one length: `<bos>`, the text, `<eos>`, then `<pad>` to the end. Token 0 is the
padding, so that `tokens != 0` is the mask.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from ..checks import positive
from ..tensor import Tensor, wrap

__all__ = ["BOS", "ByteTokenizer", "EOS", "SPECIAL", "WordTokenizer"]

SPECIAL = ("<pad>", "<bos>", "<eos>", "<unk>")
PAD, BOS, EOS, UNK = range(4)
_WORDS = re.compile(r"\w+|[^\w\s]")


class WordTokenizer:
    """Words and punctuation marks, in lower case; words that are not known become `<unk>`.

    words: the vocabulary after SPECIAL, without repetition.

    >>> from tinygen.data import WordTokenizer
    >>> tokenizer = WordTokenizer.fit(["a red circle, by day"])
    >>> tokens = tokenizer(["A red square"], length=6)
    >>> tokens, tokenizer.decode(tokens)
    (tensor([[1, 5, 9, 3, 2, 0]]), ['a red <unk>'])
    """

    def __init__(self, words: Sequence[str]) -> None:
        self.words = (*SPECIAL, *words)
        if len(set(self.words)) < len(self.words):
            raise ValueError("WordTokenizer: a word stands twice in the vocabulary")
        self._number = {word: i for i, word in enumerate(self.words)}

    @classmethod
    def fit(cls, texts: Iterable[str], least: int = 1) -> WordTokenizer:
        """All words that occur at least `least` times, in alphabetical order."""
        counts = Counter(word for text in texts for word in _split(text))
        return cls(sorted(word for word, n in counts.items() if n >= least))

    def __len__(self) -> int:
        return len(self.words)

    def __call__(
        self, texts: Sequence[str], length: int | None = None, strict: bool = False
    ) -> Tensor:
        """Tokens (N, length) int64; without a length, that of the longest text.

        ValueError for a text that does not fit: nothing is cut off in silence; and where `strict`,
        for an empty text and a word that is not known.
        """
        if strict:
            self._check(texts)
        rows = [[self._number.get(word, UNK) for word in _split(text)] for text in texts]
        return _rows(texts, rows, length)

    def _check(self, texts: Sequence[str]) -> None:
        if not all(map(_split, texts)):
            raise ValueError("tokenizer: got an empty caption; write words, or give no captions")
        strange = [word for text in texts for word in _split(text) if word not in self._number]
        if strange:
            known = ", ".join(self.words[len(SPECIAL) :])
            raise ValueError(f"tokenizer: the word {strange[0]!r} is not known; there are {known}")

    def decode(self, tokens: Tensor) -> list[str]:
        """The texts of rows of tokens, words apart by one space, marks joined to what precedes."""
        texts = [" ".join(self.words[i] for i in row) for row in _contents(tokens, len(self))]
        return [re.sub(r" ([^\w\s<]+)", r"\1", text) for text in texts]


class ByteTokenizer:
    """The bytes of a text in UTF-8, each plus 4: any text, and back exactly.

    >>> from tinygen.data import ByteTokenizer
    >>> tokenizer = ByteTokenizer()
    >>> tokenizer.decode(tokenizer(["für dich", ""]))
    ['für dich', '']
    """

    def __len__(self) -> int:
        return len(SPECIAL) + 256

    def __call__(self, texts: Sequence[str], length: int | None = None) -> Tensor:
        """Tokens (N, length) int64; without a length, that of the longest text."""
        rows = [[byte + len(SPECIAL) for byte in text.encode()] for text in texts]
        return _rows(texts, rows, length)

    def decode(self, tokens: Tensor) -> list[str]:
        """The texts of rows of tokens; bytes that are no UTF-8 become the replacement character."""
        rows = _contents(tokens, len(self))
        bare = [bytes(i - len(SPECIAL) for i in row if i >= len(SPECIAL)) for row in rows]
        return [row.decode(errors="replace") for row in bare]


def _split(text: str) -> list[str]:
    return _WORDS.findall(text.lower())


def _rows(texts: Sequence[str], rows: list[list[int]], length: int | None) -> Tensor:
    """Between <bos> and <eos>, padded."""
    if isinstance(texts, str):
        raise TypeError("a tokenizer takes a list of texts, got one text; write [text]")
    longest = max((len(row) for row in rows), default=0) + 2
    length = longest if length is None else length
    positive("tokenizer", length=length)
    if longest > length:
        text = max(zip(rows, texts, strict=True), key=lambda pair: len(pair[0]))[1]
        raise ValueError(f"tokenizer: {text!r} needs length {longest}, got length={length}")
    out = np.full((len(rows), length), PAD)
    for i, row in enumerate(rows):
        out[i, : len(row) + 2] = [BOS, *row, EOS]
    return wrap(out)


def _contents(tokens: Tensor, size: int) -> list[list[int]]:
    """What stands before <eos> or <pad>, without <bos>; ValueError for a token that is none."""
    array = tokens.numpy()
    if array.ndim != 2 or array.size and not (array.min() >= 0 and array.max() < size):
        raise ValueError(f"tokenizer: expected tokens (N, L) in 0..{size - 1}, got {tokens.shape}")
    found = []
    for row in array.tolist():
        ends = [i for i, token in enumerate(row) if token in (EOS, PAD)]
        found.append([token for token in row[: ends[0] if ends else None] if token != BOS])
    return found
