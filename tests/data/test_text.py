"""Tokenizers: padding, the unknown word, and the way back."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygen as tg
from tinygen.data import ByteTokenizer, WordTokenizer, scenes

SETTINGS = settings(deadline=None, max_examples=80)


@SETTINGS
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=12), max_size=4))
def test_bytes_come_back(texts):
    tokenizer = ByteTokenizer()
    tokens = tokenizer(texts)
    assert tokenizer.decode(tokens) == texts and tokens.dtype == tg.int64
    assert all(0 <= t < len(tokenizer) for row in tokens.tolist() for t in row)


def test_captions_of_scenes_come_back():
    captions = scenes(40).captions
    tokenizer = WordTokenizer.fit(captions)
    tokens = tokenizer(captions)
    assert tuple(tokenizer.decode(tokens)) == captions
    assert tokens.shape[1] == 2 + max(len(c.replace(",", " ,").split()) for c in captions)
    assert tokenizer.words[:4] == ("<pad>", "<bos>", "<eos>", "<unk>")
    longer = tokenizer(captions, tokens.shape[1] + 3)
    assert (longer[:, -3:] == 0).all() and (longer[:, :-3] == tokens).all()


def test_unknown_words_and_rare_ones():
    tokenizer = WordTokenizer.fit(["a red cat", "a red dog"], least=2)
    assert tokenizer.words[4:] == ("a", "red")
    assert tokenizer.decode(tokenizer(["A RED fish!"])) == ["a red <unk> <unk>"]


def test_strictly_every_word_is_known():
    tokenizer = WordTokenizer(["a", "cat", "red"])
    assert (tokenizer(["A cat"], strict=True) == tokenizer(["a cat"])).all()
    with pytest.raises(ValueError, match="the word 'dog' is not known; there are a, cat, red"):
        tokenizer(["a cat", "a red dog"], strict=True)


def test_bad_input_is_named():
    tokenizer = ByteTokenizer()
    with pytest.raises(TypeError, match=r"a list of texts, got one text; write \[text\]"):
        tokenizer("red")
    with pytest.raises(ValueError, match="'longer' needs length 8, got length=5"):
        tokenizer(["a", "longer"], 5)
    with pytest.raises(ValueError, match=r"expected tokens \(N, L\) in 0..259"):
        tokenizer.decode(tg.tensor([[999]]))
    with pytest.raises(ValueError, match="a word stands twice"):
        WordTokenizer(["red", "red"])


@pytest.mark.parametrize("text", ["", "  "])
def test_strictly_a_text_has_words(text):
    tokenizer = WordTokenizer(["a", "cat"])
    assert tokenizer([text]).tolist() == [[1, 2]]
    with pytest.raises(ValueError, match="an empty caption"):
        tokenizer(["a cat", text], strict=True)
