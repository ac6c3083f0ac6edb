"""Text to image: padding says nothing, guidance 1 is the model, captions are checked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygen as tg
from tinygen import models
from tinygen.models.diffusion import Captions, Diffusion, Labels, Vectors, cosine
from tinygen.models.nets import TextEncoder, UNet, is_word
from tinygen.models.text import TextToImage

WORDS = ["a", "black", "cat", "red"]
CONFIG = {
    "shape": (1, 8, 8), "words": WORDS, "length": 7, "width": 8, "text_width": 8, "ae_width": 4,
    "T": 4,
}  # fmt: skip


def stirred(module: Any) -> Any:
    """Float64, with no layer left at 0."""
    for parameter in module.double().parameters():
        parameter.data.add_(0.3 * tg.randn(parameter.shape, dtype=tg.float64))
    return module


def model(**more: Any) -> TextToImage:
    tg.manual_seed(0)
    made = models.build("text_to_image", CONFIG | more)
    assert isinstance(made, TextToImage)
    return stirred(made)


def encoder() -> TextEncoder:
    tg.manual_seed(1)
    return stirred(TextEncoder(size=9, length=6, width=8))


def test_the_encoder_s_words_do_not_depend_on_the_padding() -> None:
    net, tokens = encoder(), tg.tensor([[1, 5, 7, 2], [1, 8, 2, 0]])
    longer = tg.cat([tokens, tg.zeros(2, 2, dtype=tg.int64)], 1)
    short, long = net(tokens), net(longer)
    assert np.allclose(short.detach().numpy(), long[:, :4].detach().numpy(), atol=1e-12)
    assert (long[:, 4:] == 0.0).all() and (long[1, 3] == 0.0).all()
    assert is_word(long).tolist() == (longer != 0).tolist()
    alone = net(tokens[1:, :3])  # nor on the other captions of the batch
    assert np.allclose(alone.detach().numpy(), short[1:, :3].detach().numpy(), atol=1e-12)


def test_every_word_sees_every_other() -> None:
    net, tokens = encoder(), tg.tensor([[1, 5, 7, 8, 2]])
    words = net(tokens).detach().numpy()
    for place in range(5):
        other = tokens.clone()
        other[0, place] = 6
        moved = np.abs(net(other).detach().numpy() - words).max(axis=2)[0]
        assert (moved > 1e-6).all(), f"place {place} is not seen by {moved.argmin()}"


def test_the_u_net_does_not_look_at_padding_and_sees_every_word() -> None:
    tg.manual_seed(2)
    net = stirred(UNet(2, 8, (1, 2), attention=(0, 1), words=8))
    x, time = tg.randn(3, 2, 4, 4, dtype=tg.float64), tg.full((3,), 300.0, dtype=tg.float64)
    words = tg.randn(3, 4, 8, dtype=tg.float64)
    out = net(x, time, words).detach().numpy()
    longer = tg.cat([words, tg.zeros(3, 5, 8, dtype=tg.float64)], 1)
    assert np.allclose(net(x, time, longer).detach().numpy(), out, atol=1e-12)
    for place in range(4):  # the first by the time's way too, the others by attention alone
        other = words.clone()
        other[:, place] += 1.0
        assert np.abs(net(x, time, other).detach().numpy() - out).max() > 1e-4, place


def test_every_parameter_learns() -> None:
    made = model()
    x, tokens = tg.rand(6, 1, 8, 8, dtype=tg.float64), made.tokens(["a cat", "a red cat"] * 3)
    made.measure(x)
    made.terms((x, tokens))["loss"].backward()
    silent = [name for name, p in made.diffusion.named_parameters() if p.grad is None]
    assert not silent
    assert made.diffusion.condition.encoder.tokens.weight.grad[6].abs().sum().item() > 0.0
    assert all(p.grad is None for p in made.autoencoder.parameters())


def test_guidance_1_is_the_conditional_model_and_0_the_one_that_is_told_nothing() -> None:
    made = model().diffusion
    x, tokens = tg.randn(2, *made.shape, dtype=tg.float64), tg.tensor([[1, 4, 6, 2, 0, 0, 0]] * 2)
    told, nothing = made.output(x, 2, tokens)[0], made.output(x, 2, None)[0]
    for g in (0.0, 1.0, 2.5):
        guided = made.output(x, 2, tokens, guidance=g)[0]
        expected = nothing + g * (told - nothing)
        assert np.allclose(guided.detach().numpy(), expected.detach().numpy(), atol=1e-10), g
    assert np.abs((told - nothing).detach().numpy()).max() > 1e-3


def test_a_dropped_caption_is_the_one_without_words() -> None:
    made = model(drop=0.5).diffusion
    tokens = tg.tensor([[1, 4, 6, 2, 0, 0, 0]] * 400)
    told = made.told(tokens, tokens)
    kept = made.drop_labels(told, tg.Generator().manual_seed(0))
    empty = made.told(None, tokens)
    is_empty = (kept == empty).flatten(1).all(1).numpy()
    assert ((kept == told).flatten(1).all(1).numpy() ^ is_empty).all()
    assert 0.4 < is_empty.mean() < 0.6
    assert np.allclose(empty[0].detach().numpy(), made.condition.encoder(
        tg.tensor([[1, 2, 0, 0, 0, 0, 0]]))[0].detach().numpy())  # fmt: skip


def test_captions_their_tokens_and_their_words_draw_the_same() -> None:
    made = model().eval()
    seeded = lambda: tg.Generator().manual_seed(3)
    a = made.sample(2, seeded(), captions=["a red cat"], guidance=2.0)
    b = made.sample(2, seeded(), made.tokens(["a red cat"] * 2), guidance=2.0)
    c = made.sample(2, seeded(), made.read(["a red cat"] * 2), guidance=2.0)
    assert np.array_equal(a.numpy(), b.numpy()) and np.array_equal(a.numpy(), c.numpy())
    other = made.sample(2, seeded(), captions=["a black cat", "a red cat"], guidance=2.0)
    assert np.allclose(other[1].numpy(), a[1].numpy()) and not np.allclose(other[0], a[0])


def test_what_can_be_told() -> None:
    x = tg.zeros(2, 3)
    assert Labels(4)(1, x).tolist() == [1, 1] and Labels(4)(None, x).tolist() == [4, 4]
    assert Vectors(2)(None, x).tolist() == [[0.0, 0.0]] * 2
    tg.manual_seed(0)
    net = UNet(1, 8, (1, 2), vectors=3, attention=())
    made = stirred(Diffusion(cosine(4), net, condition=Vectors(3)))
    pictures, vectors = tg.randn(2, 1, 4, 4, dtype=tg.float64), tg.randn(2, 3, dtype=tg.float64)
    made.loss(pictures, vectors).backward()
    assert net.label.weight.grad.abs().sum().item() > 0.0
    told, nothing = made.output(pictures, 2, vectors)[0], made.output(pictures, 2)[0]
    assert np.abs((told - nothing).detach().numpy()).max() > 1e-3


@pytest.mark.parametrize(
    ("captions", "said"),
    [
        (["a dog"], "the word 'dog' is not known; there are a, black, cat, red"),
        ([""], "an empty caption"),
        ([], "2 samples of 0 captions; give 1 or 2"),
        (["a cat a cat a cat"], "needs length 8, got length=7"),
        (["a cat"] * 3, "2 samples of 3 captions; give 1 or 2"),
    ],
)
def test_bad_captions_are_named(captions: list[str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        model().sample(2, captions=captions)


def test_other_bad_input_is_named() -> None:
    net, x = encoder(), tg.zeros(2, 1, 8, 8)
    with pytest.raises(ValueError, match=r"\(B, L\) with L <= 6, got int64 of shape \(1, 7\)"):
        net(tg.ones(1, 7, dtype=tg.int64))
    with pytest.raises(ValueError, match=r"expected tokens in 0..8, got 1..9"):
        net(tg.tensor([[1, 9]]))
    with pytest.raises(ValueError, match=r"captions must be tokens \(2, 6\), got int64 \(2, 5\)"):
        Captions(net, [1, 2])(tg.ones(2, 5, dtype=tg.int64), x)
    with pytest.raises(ValueError, match=r"expected vectors \(2, 3\), got float32 of shape \(2,\)"):
        Vectors(3)(tg.zeros(2), x)
    with pytest.raises(ValueError, match="no words in the config"):
        models.build("text_to_image", {"shape": (1, 8, 8)})
