"""Latent diffusion: what is scaled is scaled back, and the second stage leaves the first alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygen as tg
from tinygen.models.vq import SPACES, LatentDiffusion
from tinygen.models.vq.latent_diffusion import ERRORS, build

CONFIG = {"shape": (1, 8, 8), "width": 4, "ae_width": 4, "dim": 3, "T": 4, "size": 8}
each = pytest.mark.parametrize("space", SPACES)


def model_and_data(**more: Any) -> tuple[LatentDiffusion, tg.Tensor]:
    tg.manual_seed(0)
    model = build(CONFIG | more).double()
    return model, 2.0 * tg.rand(40, 1, 8, 8, dtype=tg.float64) - 1.0


def test_measured_latents_have_mean_0_and_variance_1() -> None:
    model, x = model_and_data()
    model.autoencoder.encoder[-1].weight.data.mul_(5.0)
    model.autoencoder.encoder[-1].bias.data.add_(3.0)
    model.measure(x, batch=7)
    assert model.scale.min().item() > 3.0 and model.shift.min().item() > 2.0, "nothing to scale"
    z = tg.cat([model.encode(x) for _ in range(300)]).numpy()  # with the noise of the posterior
    assert np.allclose(z.mean((0, 2, 3)), 0.0, atol=0.05)
    assert np.allclose(z.var((0, 2, 3)), 1.0, atol=0.05)


@each
def test_the_exact_scale_is_that_of_all_batches(space: str) -> None:
    model, x = model_and_data(space=space)
    model.autoencoder.eval()
    mean, std = (part.detach().numpy() for part in model.autoencoder.moments(x))
    model.measure(x, batch=7)
    assert np.allclose(model.shift.numpy()[:, 0, 0], mean.mean((0, 2, 3)), rtol=1e-12)
    variance = mean.var((0, 2, 3)) + np.square(std).mean((0, 2, 3))
    assert np.allclose(model.scale.numpy()[:, 0, 0], np.sqrt(variance), rtol=1e-12)
    assert (std == 0.0).all() == (space != "kl")


def test_the_decoder_gets_latents_as_the_encoder_made_them() -> None:
    model, x = model_and_data()
    model.autoencoder.encoder[-1].weight.data.mul_(5.0)
    model.measure(x)
    seen: list[tg.Tensor] = []
    model.autoencoder.decode = lambda z: seen.append(z) or tg.zeros(len(z), 1, 8, 8)
    model.decode(model.encode(x, tg.Generator().manual_seed(3)))
    mean, std = model.autoencoder.moments(x)
    noise = tg.randn(mean.shape, generator=tg.Generator().manual_seed(3), dtype=tg.float64)
    assert np.allclose(seen[0].numpy(), (mean + std * noise).detach().numpy(), atol=1e-12)
    z = model.diffusion.sample(5, tg.Generator().manual_seed(1))
    model.sample(5, tg.Generator().manual_seed(1))
    assert np.allclose(seen[1].numpy(), (z * model.scale + model.shift).numpy(), atol=1e-12)


@each
def test_the_diffusion_s_loss_does_not_reach_the_autoencoder(space: str) -> None:
    model, x = model_and_data(space=space)
    for _ in range(2):
        if space != "pixels":
            model.autoencoder_terms((x,))
    before = {name: value.numpy().copy() for name, value in model.autoencoder.state_dict().items()}
    model.train()
    model.terms((x,))["loss"].backward()
    model.train()
    model.sample(4)
    assert all(p.grad is None for p in model.autoencoder.parameters())
    assert all(p.grad is not None for p in model.diffusion.parameters())
    after = model.autoencoder.state_dict()
    assert all(np.array_equal(value, after[name].numpy()) for name, value in before.items())


def test_the_diffusion_is_of_scaled_latents() -> None:
    model, x = model_and_data(classes=3)
    model.measure(x)
    seen: list[Any] = []
    model.diffusion.terms = lambda batch: seen.append(batch) or {"loss": tg.zeros(())}
    labels = tg.arange(40) % 3
    model.terms((x, labels))
    (z, given), = seen  # fmt: skip
    assert abs(z.var().item() - 1.0) < 0.15 and (given == labels).all()


def test_the_loss_is_the_error_and_a_little_kl() -> None:
    model, x = model_and_data(kl=0.3)
    tg.manual_seed(5)
    terms = model.autoencoder_terms((x,))
    tg.manual_seed(5)
    mean, std = (part.detach() for part in model.autoencoder.moments(x))
    z = mean + std * tg.randn(*mean.shape, dtype=tg.float64)
    error = np.abs((model.autoencoder.decode(z) - x).detach().numpy()).mean()
    mean, std = mean.numpy(), std.numpy()
    kl = 0.5 * (np.square(mean) + np.square(std) - 1.0 - 2.0 * np.log(std)).sum((1, 2, 3)).mean()
    assert terms["error"].item() == pytest.approx(error, rel=1e-9)
    assert terms["kl"].item() == pytest.approx(kl / 64, rel=1e-9)
    assert terms["loss"].item() == pytest.approx(error + 0.3 * kl / 64, rel=1e-9)
    terms["loss"].backward()
    assert all(p.grad is not None for p in model.autoencoder.parameters())
    assert all(p.grad is None for p in model.diffusion.parameters())


def test_pixels_are_a_ddpm_of_pixels() -> None:
    model, x = model_and_data(space="pixels")
    assert np.allclose(model.encode(x).numpy(), x.numpy(), atol=1e-15)
    made = model.diffusion.sample(3, tg.Generator().manual_seed(2))
    assert (model.sample(3, tg.Generator().manual_seed(2)) == made.clamp(-1.0, 1.0)).all()
    assert model.diffusion.bounded and not model_and_data()[0].diffusion.bounded


def test_a_vq_vae_rounds_in_its_decoder() -> None:
    model, x = model_and_data(space="vq")
    model.autoencoder_terms((x,))
    inner = model.autoencoder.vqvae.eval()
    z = inner.encoder(x)
    apart = model.autoencoder.decode(z) - inner.decode(inner.encode(x))
    assert apart.abs().max().item() < 1e-12


@pytest.mark.parametrize("side", [4, 8, 12, 28])
def test_the_u_net_has_the_sizes_that_the_map_has(side: int) -> None:
    model = build(CONFIG | {"shape": (1, side, side), "T": 2})
    assert model.sample(2).shape == (2, 1, side, side)


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match="space 'latent'; there are kl, vq, pixels"):
        build(CONFIG | {"space": "latent"})
    with pytest.raises(ValueError, match="9 x 9 pixels cannot be halved 2 times"):
        build(CONFIG | {"shape": (1, 9, 9)})
    with pytest.raises(ValueError, match="KLAutoencoder: expected weight >= 0"):
        build(CONFIG | {"kl": -1.0})
    model, x = model_and_data()
    with pytest.raises(ValueError, match=r"expected pictures .*got \(2, 1, 4, 4\)"):
        model.terms((tg.zeros(2, 1, 4, 4),))
    with pytest.raises(ValueError, match=r"expected pictures .*got \(2, 3, 8, 8\)"):
        model.autoencoder_terms((tg.zeros(2, 3, 8, 8),))
    with pytest.raises(
        ValueError, match=r"expected latents \(B, \(3, 2, 2\)\), got \(2, 3, 4, 4\)"
    ):
        model.decode(tg.zeros(2, 3, 4, 4))
    with pytest.raises(ValueError, match="a channel that is the same everywhere"):
        build(CONFIG | {"space": "pixels"}).measure(tg.zeros(4, 1, 8, 8))
    with pytest.raises(ValueError, match="there is no autoencoder to train"):
        build(CONFIG | {"space": "pixels"}).autoencoder_terms((x,))
    with pytest.raises(ValueError, match="the model is not conditional"):
        model.sample(2, labels=[0, 1])


def test_errors_are_what_they_say_and_others_are_named() -> None:
    made, x = tg.zeros(2, 1, 1, 4), tg.tensor([[1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 4.0]])
    found = {name: error(made, x.reshape(2, 1, 1, 4)).item() for name, error in ERRORS.items()}
    assert found["l1"] == 1.0 and found["l2"] == 2.5 and abs(found["rms"] - 1.5) < 1e-6
    with pytest.raises(ValueError, match="error 'l3'; there are l1, l2, rms"):
        build(CONFIG | {"error": "l3"})
    losses = {name: build(CONFIG | {"error": name}).autoencoder.error for name in ERRORS}
    assert losses == ERRORS
