"""unCLIP: embeddings and their length, what each part is told, guidance, what stays as it is."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import tinygen as tg
from tinygen import models
from tinygen.models.text import UnCLIP

CLIP = {"length": 7, "dim": 6, "width": 4, "text_width": 8, "text_layers": 1}
CONFIG = {"shape": (1, 8, 8), "words": ["a", "black", "cat", "red"], "width": 8, "ae_width": 4,
          "hidden": 8, "T": 4, "clip": CLIP}  # fmt: skip
CAPTIONS = ["a cat", "a red cat"]


def model(**more: Any) -> UnCLIP:
    """Float64, with no layer left at 0."""
    tg.manual_seed(0)
    made = models.build("unclip", CONFIG | more).double()
    assert isinstance(made, UnCLIP)
    for part in (made.diffusion, made.prior):
        for parameter in part.parameters():
            parameter.data.add_(0.3 * tg.randn(parameter.shape, dtype=tg.float64))
    return made


def pictures(n: int) -> tg.Tensor:
    generator = tg.Generator().manual_seed(1)
    return 2.0 * tg.rand(n, 1, 8, 8, generator=generator, dtype=tg.float64) - 1.0


def seeded(seed: int = 3) -> tg.Generator:
    return tg.Generator().manual_seed(seed)


def test_embeddings_are_clip_s_at_length_sqrt_d_and_so_are_the_prior_s_draws() -> None:
    made, x = model(), pictures(2)
    z, c, drawn = made.embed(x), made.read(CAPTIONS), made.imagine(CAPTIONS, seeded())
    for vectors in (z, c, drawn, made.imagine(None, n=3)):
        assert np.allclose(vectors.square().sum(1).numpy(), 6.0)
    scores = made.clip.score(x, CAPTIONS).numpy()
    assert np.allclose(z.numpy() @ c.numpy().T / 6.0, scores)


def test_each_stage_trains_its_own_and_leaves_the_other_as_it_is() -> None:
    made, x = model(), pictures(4)
    batch = (x, made.tokens(CAPTIONS * 2))
    early, late = [made.clip, made.autoencoder], [made.diffusion, made.prior]
    for terms, moved, still in (
        (made.first_terms, early, late), (made.terms, late, early)
    ):  # fmt: skip
        made.measure(x)
        made.zero_grad()
        terms(batch)["loss"].backward()
        assert all(p.grad is not None for part in moved for p in part.parameters())
        assert all(p.grad is None for part in still for p in part.parameters())


def test_the_losses_are_told_and_of_what_the_paper_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """The decoder: latents, told the picture's embedding; the prior: it, told the caption's."""
    made, x = model(), pictures(2)
    seen = {}
    for name in ("diffusion", "prior"):
        part = getattr(made, name)
        monkeypatch.setattr(
            part, "loss",
            lambda x0, told, weight, name=name: seen.update({name: (x0, told)}) or x0.mean(),
        )  # fmt: skip
    tokens = made.tokens(CAPTIONS)
    terms = made.terms((x, tokens))
    assert terms["loss"].item() == pytest.approx((terms["decoder"] + terms["prior"]).item())
    z, c = made.embed(x).numpy(), made.read(tokens).numpy()
    assert seen["diffusion"][0].shape == (2, *made.diffusion.shape)
    assert np.array_equal(seen["diffusion"][1].numpy(), z)
    assert np.array_equal(seen["prior"][0].numpy(), z)
    assert np.array_equal(seen["prior"][1].numpy(), c)


def test_guidance_1_is_the_conditional_prior() -> None:
    made = model().prior
    z, c = tg.randn(2, 6, dtype=tg.float64), tg.randn(2, 6, dtype=tg.float64)
    told, nothing = made.output(z, 2, c)[0], made.output(z, 2, None)[0]
    for g in (0.0, 1.0, 2.5):
        guided = made.output(z, 2, c, guidance=g)[0].detach().numpy()
        assert np.allclose(guided, (nothing + g * (told - nothing)).detach().numpy()), g
    assert np.abs((told - nothing).detach().numpy()).max() > 1e-3


def test_the_prior_draws_of_the_caption_with_guidance() -> None:
    made = model().eval()
    for g in (1.0, 2.5):
        drawn = made.prior.sample(2, seeded(), made.read(CAPTIONS), guidance=g).numpy()
        unit = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
        z = made.imagine(CAPTIONS, seeded(), guidance=g).numpy()
        assert np.allclose(z, math.sqrt(6) * unit), g
    assert not np.allclose(z, made.imagine(CAPTIONS, seeded()).numpy())
    assert not np.allclose(z, made.imagine(CAPTIONS[::-1], seeded(), guidance=2.5).numpy())


def test_a_caption_s_picture_is_that_of_the_embedding_that_the_prior_draws() -> None:
    made = model().eval()
    one = seeded()
    z = made.imagine(CAPTIONS, one, guidance=2.0)
    expected = made.sample(2, one, labels=z, guidance=2.0)
    given = made.sample(2, seeded(), captions=CAPTIONS, guidance=2.0)
    assert np.array_equal(given.numpy(), expected.numpy())
    bare = made.sample(2, seeded(), captions=CAPTIONS, prior=False)
    assert np.array_equal(bare.numpy(), made.sample(2, seeded(), made.read(CAPTIONS)).numpy())
    assert not np.allclose(bare.numpy(), given.numpy())
    assert made.sample(3, seeded(), captions="a cat").shape == (3, 1, 8, 8)
    assert made.sample(3, seeded(), captions=["a cat"]).shape == (3, 1, 8, 8)


def test_without_captions_pictures_of_any_kind() -> None:
    made = model().eval()
    one = seeded()
    z = made.imagine(None, one, n=2)
    expected = made.sample(2, one, labels=z)
    assert np.array_equal(made.sample(2, seeded()).numpy(), expected.numpy())


def test_a_trained_clip_fits_in() -> None:
    made = model()
    config = {"shape": CONFIG["shape"], "words": CONFIG["words"]} | CLIP
    tg.manual_seed(5)
    other = models.build("clip", config).double()
    made.clip.load_state_dict(other.state_dict())
    assert np.allclose(
        made.embed(pictures(2)).numpy(), math.sqrt(6) * other.see(pictures(2)).detach().numpy()
    )


@pytest.mark.parametrize(
    ("captions", "said"),
    [
        (["a dog"], "the word 'dog' is not known; there are a, black, cat, red"),
        ([""], "an empty caption"),
        (["a cat"] * 3, "2 samples of 3 captions; give 1 or 2"),
        ([], "2 samples of 0 captions"),
    ],
)
def test_bad_captions_are_named(captions: list[str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        model().sample(2, captions=captions)


def test_other_bad_input_is_named() -> None:
    made = model()
    with pytest.raises(ValueError, match=r"expected vectors \(2, 6\), got float64 of shape \(2, 5"):
        made.sample(2, labels=tg.zeros(2, 5, dtype=tg.float64))
    with pytest.raises(ValueError, match="UnCLIP: expected a batch of pictures and their captions"):
        made.terms((pictures(2),))
    with pytest.raises(ValueError, match=r"CLIP: expected pictures \(B, \(1, 8, 8\)\)"):
        made.embed(tg.zeros(2, 1, 4, 4, dtype=tg.float64))
    with pytest.raises(ValueError, match="unclip: no words in the config"):
        models.build("unclip", {"shape": (1, 8, 8)})
