"""The adversarial autoencoder: priors and their parts, encoders, and who is asked for what."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tinygen as tg
from tinygen.models.gan import AAE, drawn
from tinygen.models.gan.aae import ENCODERS, PRIORS, build

PICTURE = {"shape": (1, 4, 4), "hidden": 16}


def model_and_data(**config: object) -> tuple[AAE, tg.Tensor]:
    tg.manual_seed(0)
    return build(PICTURE | config), tg.rand(6, 1, 4, 4)


@pytest.mark.parametrize("name", ["mixture", "swiss_roll"])
def test_the_parts_together_are_the_prior_and_lie_apart(name: str) -> None:
    prior, seeded = PRIORS[name](2, 5), lambda k: tg.Generator().manual_seed(k)
    part = tg.arange(4000) % 5
    parts, whole = prior(4000, part, seeded(0)).numpy(), prior(4000, None, seeded(1)).numpy()
    assert tg.metrics.classifier_two_sample_test(parts, whole).accuracy < 0.53
    centers = np.stack([parts[part.numpy() == k].mean(0) for k in range(5)])
    apart = np.linalg.norm(centers[:, None] - centers, axis=2)[np.triu_indices(5, 1)]
    assert apart.min() > 0.3, "two parts are at one place"
    if name == "mixture":
        angles = np.arctan2(*centers.T[::-1]) % (2 * math.pi)
        assert np.allclose(angles, 2 * math.pi * np.arange(5) / 5, atol=0.03) or (
            abs(angles[0] - 2 * math.pi) < 0.03
        )
    else:  # a piece further out has the larger radius
        radius = [np.linalg.norm(parts[part.numpy() == k], axis=1).mean() for k in range(5)]
        assert (np.diff(radius) > 0.2).all()
        assert np.linalg.norm(whole, axis=1).max() < 0.2 * 4.5 * math.pi + 0.25


def test_the_encoders_are_different_models() -> None:
    x = tg.rand(6, 1, 4, 4)
    for kind in ENCODERS:
        model, _ = model_and_data(encoder=kind)
        one, two = (model.encode(x, tg.Generator().manual_seed(k)) for k in (1, 2))
        assert one.shape == (6, 2)
        assert bool((one == two).all()) == (kind == "deterministic")
    # An implicit encoder's noise is no Gaussian added to a mean: it is an input.
    model, _ = model_and_data(encoder="implicit")
    z = model.encode(x[:1].expand(4000, -1, -1, -1), tg.Generator().manual_seed(0)).detach()
    assert z.std(0).min().item() > 0.0
    gaussian, _ = model_and_data(encoder="gaussian")
    mu, log_var = gaussian.encoder(x[:1]).chunk(2, 1)
    z = gaussian.encode(x[:1].expand(20_000, -1, -1, -1), tg.Generator().manual_seed(0))
    assert np.allclose(z.detach().mean(0).numpy(), mu.detach().numpy()[0], atol=0.04)
    assert np.allclose(
        z.detach().std(0).numpy(), (0.5 * log_var).exp().detach().numpy()[0], atol=0.04
    )


def test_the_losses_are_those_of_the_docstring() -> None:
    model, x = model_and_data(weight=0.7)
    z = model.encode(x)
    error = (model.decoder(z) - x).square().sum().item() / 6 / (2 * 0.05)
    fooled = tg.nn.functional.softplus(-model.D(z)).mean().item()
    terms = model.terms((x,))
    assert terms["error"].item() == pytest.approx(error, rel=1e-6)
    assert terms["adversarial"].item() == pytest.approx(fooled, rel=1e-6)
    assert terms["loss"].item() == pytest.approx(error + 0.7 * fooled, rel=1e-6)
    model.prior = lambda n, part, generator: tg.ones(n, 2)
    on_real, on_fake = model.D(tg.ones(6, 2)), model.D(z)
    loss = tg.nn.functional.softplus(-on_real).mean() + tg.nn.functional.softplus(on_fake).mean()
    judged = model.discriminator_terms((x,))["loss"]
    assert judged.item() == pytest.approx(loss.item(), rel=1e-6)
    judged.backward()
    assert all(p.grad is None for p in model.encoder.parameters())
    assert all(p.grad is not None for p in model.D.parameters())


def test_a_label_asks_for_its_part_and_unknown_for_any() -> None:
    model, x = model_and_data(prior="mixture", classes=5)
    seen = []
    model.D.register_forward_hook(lambda _, inputs, out: seen.append(inputs[0]))
    labels = tg.tensor([3, -1, 0, 4, -1, 2])
    model.discriminator_terms((x, labels))
    real, fake = seen
    told = tg.nn.functional.one_hot(tg.tensor([3, 5, 0, 4, 5, 2]), 6).float()
    assert (real[:, 2:] == told).all() and (fake[:, 2:] == told).all()
    angle = np.arctan2(real[:, 1].numpy(), real[:, 0].numpy()) % (2 * math.pi)
    wanted = 2 * math.pi * labels.numpy() / 5
    off = np.abs((angle - wanted + math.pi) % (2 * math.pi) - math.pi)[labels.numpy() >= 0]
    assert off.max() < 0.5, "a label's draws are of another part"


def test_a_code_that_says_a_class() -> None:
    model, x = model_and_data(prior="classes", classes=3, latent=2, weight=0.7)
    labels = tg.tensor([2, -1, 0, -1, -1, 1])
    z = model.encode(x)
    assert z.shape == (6, 5) and np.allclose(z[:, 2:].sum(1).detach().numpy(), 1.0)
    assert (model.classify(x) == z[:, 2:].argmax(1)).all()
    wrong = -sum(math.log(z[i, 2 + k].item()) for i, k in ((0, 2), (2, 0), (5, 1))) / 3
    terms, plain = model.terms((x, labels)), model.terms((x,))
    assert terms["wrong"].item() == pytest.approx(wrong, rel=1e-5) and "wrong" not in plain
    whole = plain["loss"].item() + 0.7 * wrong
    assert terms["loss"].item() == pytest.approx(whole, rel=1e-6)
    unknown = tg.full((6,), -1)
    assert model.terms((x, unknown))["loss"].item() == pytest.approx(plain["loss"].item())
    prior = model.draw(900, generator=tg.Generator().manual_seed(0)).numpy()
    assert set(np.unique(prior[:, 2:])) == {0.0, 1.0} and (prior[:, 2:].sum(1) == 1.0).all()
    assert np.abs(prior[:, 2:].mean(0) - 1 / 3).max() < 0.06
    assert np.abs(np.corrcoef(prior.T)[:2, 2:]).max() < 0.1, "looks and class are not independent"
    asked = model.draw(6, tg.tensor([0, 1, 2, 0, 1, 2]))
    assert asked[:, 2:].argmax(1).tolist() == [0, 1, 2, 0, 1, 2]


def test_unlabelled_pictures_help_to_classify() -> None:
    """Four labels, one a class; two classes on a line that only the others show as two lumps."""
    tg.manual_seed(0)
    k = tg.arange(120) % 2
    x = (0.3 + 0.4 * k.float()).reshape(-1, 1, 1, 1) + 0.05 * tg.randn(120, 1, 4, 4)
    labels = tg.where(tg.arange(120) < 4, k, tg.full((120,), -1, dtype=np.int64))
    model, _ = model_and_data(prior="classes", classes=2, latent=2, weight=5.0)
    both = [*model.encoder.parameters(), *model.decoder.parameters()]
    opts = [tg.optim.Adam(both, 3e-3), tg.optim.Adam(model.D.parameters(), 3e-3)]
    for _ in range(80):
        for opt, terms in zip(opts, (model.terms, model.discriminator_terms)):
            opt.zero_grad()
            terms((x, labels))["loss"].backward()
            opt.step()
    assert (model.classify(x) == k).float().mean().item() > 0.98


def test_training_brings_the_codes_to_a_prior_drawn_by_hand() -> None:
    model, _ = model_and_data(weight=100.0, hidden=32)
    model.prior = drawn(tg.tensor([[3.0, -1.0]]), 0.5)
    x = tg.rand(256, 1, 4, 4)
    start = model.encode(x).detach()
    opt = tg.optim.Adam(
        [*model.encoder.parameters(), *model.decoder.parameters()], 5e-3, (0.5, 0.999)
    )
    opt_d = tg.optim.Adam(model.D.parameters(), 5e-3, (0.5, 0.999))
    for _ in range(200):
        for optimizer, terms in ((opt_d, model.discriminator_terms), (opt, model.terms)):
            optimizer.zero_grad()
            terms((x,))["loss"].backward()
            optimizer.step()
    codes = model.encode(x).detach()
    before, after = ((z.mean(0) - tg.tensor([3.0, -1.0])).norm().item() for z in (start, codes))
    assert after < 0.5 * before, "the judge did not move the codes"


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match="prior swiss_roll lies in the plane, but latent is 3"):
        build(PICTURE | {"prior": "swiss_roll", "latent": 3})
    with pytest.raises(ValueError, match="a gaussian prior has no parts for classes"):
        build(PICTURE | {"classes": 3})
    with pytest.raises(ValueError, match="encoder 'x', prior 'gaussian'; there are deterministic"):
        build(PICTURE | {"encoder": "x"})
    with pytest.raises(ValueError, match="labels were given; this model has none"):
        model_and_data()[0].sample(2, labels=tg.tensor([0, 1]))
    for more in ({}, {"classes": 3, "encoder": "gaussian"}):
        with pytest.raises(ValueError, match="classes needs labels, and a deterministic encoder"):
            build(PICTURE | {"prior": "classes"} | more)
    model, x = model_and_data(prior="mixture", classes=3)
    with pytest.raises(ValueError, match="3"):
        model.sample(2, labels=tg.tensor([0, 3]))
    for labels in (tg.full((len(x),), 3), tg.zeros(len(x)), tg.zeros(len(x), 1).long()):
        for terms in (model.terms, model.discriminator_terms):  # 3 is no class, nor "unknown"
            with pytest.raises(ValueError, match="AAE: expected"):
                terms((x, labels))
    for wrong in ({"variance": 0.0}, {"variance": -1.0}):
        with pytest.raises(ValueError, match="AAE: expected .*variance"):
            build(PICTURE | wrong)
    with pytest.raises(ValueError, match="AAE: expected a kind of deterministic, .* got 'normal'"):
        AAE(model.encoder, model.decoder, model.D, model.prior, kind="normal")
