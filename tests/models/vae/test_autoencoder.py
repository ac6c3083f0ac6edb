"""Autoencoders against closed forms: PCA's eigenvalues, Tweedie's formula, exactly k units."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygen as tg
from tinygen import nn
from tinygen.models import latent, nets
from tinygen.models.vae import autoencoder as ae
from tinygen.models.vae import reconstruction
from tinygen.testing import check_grads


def normal(*shape: int, seed: int = 0) -> tg.Tensor:
    return tg.randn(*shape, generator=tg.Generator().manual_seed(seed), dtype=tg.float64)


def train(model: nn.Module, loss, steps: int, lr: float) -> None:
    opt = tg.optim.Adam(model.parameters(), lr=lr)
    for i in range(steps):
        opt.param_groups[0]["lr"] = lr * (1 - i / steps)
        opt.zero_grad()
        loss().backward()
        opt.step()


# --- linear = PCA -------------------------------------------------------------------------------


def test_linear_autoencoder_reaches_the_discarded_eigenvalues() -> None:
    x = normal(200, 5) * tg.tensor([3.0, 2.0, 1.0, 0.5, 0.2]).double() + 1.0
    x = x @ tg.tensor(np.linalg.qr(normal(5, 5, seed=1).numpy())[0])
    model, exact = ae.linear_autoencoder((5,), 2).double(), ae.pca(x)
    train(model, lambda: model.loss(x), 1500, 0.03)
    assert model.loss(x).item() == pytest.approx(exact.discarded(2), rel=1e-4)
    span, _ = np.linalg.qr(model.decoder[0].weight.detach().numpy())
    overlap = np.linalg.svd(span.T @ exact.components[:, :2])[1]
    assert np.allclose(overlap, 1.0, atol=1e-3)  # the same plane; the axes in it are free


@given(st.integers(1, 5), st.integers(0, 1000))
def test_no_linear_autoencoder_is_better_than_pca(size: int, seed: int) -> None:
    x = normal(40, 6, seed=seed)
    exact = ae.pca(x)
    model = ae.linear_autoencoder((6,), size).double()
    assert model.loss(x).item() >= exact.discarded(size) - 1e-12
    with tg.no_grad():  # and with the eigenvectors as weights it is as good
        v, mean = tg.tensor(exact.components[:, :size].copy()), tg.tensor(exact.mean)
        model.encoder[1].weight.copy_(v.t())
        model.encoder[1].bias.copy_(-(mean @ v))
        model.decoder[0].weight.copy_(v)
        model.decoder[0].bias.copy_(mean)
    assert model.loss(x).item() == pytest.approx(exact.discarded(size), rel=1e-9, abs=1e-12)


# --- denoising: the residual is the score -------------------------------------------------------

MEANS, WEIGHTS = np.array([[-1.0, 0.5], [1.5, 0.0], [0.0, -1.0]]), np.array([0.5, 0.3, 0.2])
WIDTH, SIGMA = 0.3, 0.6


def log_density(y: tg.Tensor, variance: float) -> tg.Tensor:
    """log of sum_j w_j N(y; m_j, variance I), (B,)."""
    squares = (y.unsqueeze(1) - tg.tensor(MEANS)).square().sum(2)
    logs = tg.tensor(np.log(WEIGHTS)) - squares / (2 * variance) - np.log(2 * np.pi * variance)
    return logs.logsumexp(1)


def posterior_mean(y: tg.Tensor) -> tg.Tensor:
    """E[x|y] of that mixture for y = x + SIGMA eps, by Bayes and not by Tweedie."""
    v = WIDTH**2 + SIGMA**2
    squares = (y.unsqueeze(1) - tg.tensor(MEANS)).square().sum(2)
    r = (tg.tensor(np.log(WEIGHTS)) - squares / (2 * v)).softmax(1).unsqueeze(2)
    each = tg.tensor(MEANS) + (WIDTH**2 / v) * (y.unsqueeze(1) - tg.tensor(MEANS))
    return (r * each).sum(1)


class BestDenoiser(nn.Module):
    def forward(self, y: tg.Tensor) -> tg.Tensor:
        return posterior_mean(y)


def score(y: tg.Tensor) -> tg.Tensor:
    y = y.detach().requires_grad_()
    total = log_density(y, WIDTH**2 + SIGMA**2).sum()
    return tg.autograd.grad(total, y)[0]


def test_tweedie_on_a_gaussian_mixture() -> None:
    y = 2.0 * normal(50, 2)
    best = ae.DenoisingAutoencoder(BestDenoiser(), nn.Identity(), ae.GaussianNoise(SIGMA))
    assert np.allclose(best.score(y).numpy(), score(y).numpy(), atol=1e-12)


def test_a_trained_denoiser_approaches_the_score() -> None:
    rng = np.random.default_rng(0)
    x = MEANS[rng.choice(3, 4000, p=WEIGHTS)] + WIDTH * rng.standard_normal((4000, 2))
    x = tg.tensor(x)
    net = nn.Sequential(nn.Linear(2, 48), nn.SiLU(), nn.Linear(48, 48), nn.SiLU())
    model = ae.DenoisingAutoencoder(net, nn.Linear(48, 2), ae.GaussianNoise(SIGMA)).double()
    start = model.score(x)
    train(model, lambda: model.loss(x[rng.integers(0, 4000, 400)]), 300, 0.01)
    y = model.corrupt(x)
    error = (model.score(y) - score(y)).square().sum(1).mean().item()
    scale = score(y).square().sum(1).mean().item()
    assert error < 0.05 * scale < (start - score(x)).square().sum(1).mean().item()


def test_corruptions_touch_the_input_and_as_much_as_they_say() -> None:
    x = tg.full((200, 100), 2.0)
    assert ae.GaussianNoise(0.5)(x).std().item() == pytest.approx(0.5, rel=0.05)
    masked = ae.Masking(0.3)(x)
    assert (masked == 0).float().mean().item() == pytest.approx(0.3, abs=0.02)
    assert set(np.unique(masked.numpy())) == {0.0, 2.0}
    seen = []
    model = ae.DenoisingAutoencoder(nn.Identity(), nn.Identity(), lambda x, g: x * 0.0)
    model.encoder.register_forward_hook(lambda module, args, out: seen.append(args[0]))
    assert model.loss(x).item() == pytest.approx(400.0)  # the target is the clean x
    assert seen[0].abs().max().item() == 0.0  # the encoder sees the corrupted one


def test_the_notes_network() -> None:
    encoder, decoder = nets.mlp_autoencoder((1, 28, 28), 30, [500, 300], moments=1)
    sizes = [m.weight.shape for m in [*encoder, *decoder] if isinstance(m, nn.Linear)]
    there = [(500, 784), (300, 500), (30, 300)]
    assert sizes == there + [(b, a) for a, b in reversed(there)]


# --- sparse -------------------------------------------------------------------------------------


@given(st.integers(1, 6), st.integers(1, 9), st.data())
def test_k_sparse_keeps_exactly_k(batch: int, size: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(1, size))
    values = st.lists(st.integers(1, 3), min_size=batch * size, max_size=batch * size)
    z = tg.tensor(data.draw(values)).reshape(batch, size).double()  # many ties, no zeros
    z.requires_grad_()
    out = ae.k_sparse(z, k)
    kept = out.detach().numpy() != 0
    assert (kept.sum(1) == k).all()
    assert np.array_equal(out.detach().numpy()[kept], z.detach().numpy()[kept])
    for row, z_row in zip(kept, z.detach().numpy(), strict=True):
        assert k == size or z_row[row].min() >= z_row[~row].max()
    cotangent = normal(batch, size)
    (g,) = tg.autograd.grad(out, z, cotangent)
    assert np.array_equal(g.numpy(), np.where(kept, cotangent.numpy(), 0.0))


def test_a_k_sparse_autoencoder_uses_k_units() -> None:
    model = ae.KSparseAutoencoder(nn.Linear(6, 12), nn.Linear(12, 6), 3)
    assert ((model.encode(tg.randn(20, 6)) != 0).numpy().sum(1) == 3).all()


def test_the_penalty_makes_codes_sparse() -> None:
    x, active = normal(100, 6), []
    for weight in (0.0, 1.0):
        tg.manual_seed(1)
        model = ae.SparseAutoencoder(nn.Linear(6, 12), nn.Linear(12, 6), weight).double()
        train(model, lambda model=model: model.loss(x), 300, 0.02)
        active.append((model.encode(x) > 1e-3).double().mean().item())
    assert active[1] < 0.7 * active[0]


# --- losses and gradients -----------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(reconstruction.LOSSES))
def test_losses_to_second_order(name: str) -> None:
    x, y = normal(2, 1, 6, 6), normal(2, 1, 6, 6, seed=1)
    check_grads(reconstruction.LOSSES[name], y, x)
    assert np.allclose(reconstruction.LOSSES[name](x, x).numpy(), 0.0)
    assert (reconstruction.LOSSES[name](y, x) > 0.1).all()


def test_perceptual_loss_to_second_order_and_with_a_frozen_classifier() -> None:
    loss = reconstruction.Perceptual(nets.classifier((1, 4, 4), 3, width=2)).double()
    x, y = normal(2, 1, 4, 4), normal(2, 1, 4, 4, seed=1)
    check_grads(loss, y, x, float32=False)
    assert not any(p.requires_grad for p in loss.parameters())
    assert loss(x, x).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("kind", ["plain", "denoising", "k", "penalty"])
def test_models_to_second_order(kind: str) -> None:
    encoder = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3))
    decoder = nn.Linear(3, 4)
    model = {
        "plain": lambda: ae.Autoencoder(encoder, decoder),
        "denoising": lambda: ae.DenoisingAutoencoder(encoder, decoder, ae.GaussianNoise(0.3)),
        "k": lambda: ae.KSparseAutoencoder(encoder, decoder, 2),
        "penalty": lambda: ae.SparseAutoencoder(encoder, decoder, 0.3),
    }[kind]()
    loss = lambda x: model.loss(x, generator=tg.Generator().manual_seed(1))  # noqa: E731
    check_grads(loss, normal(3, 4), params=list(model.double().parameters()), float32=False)


@pytest.mark.parametrize("net", sorted(nets.AUTOENCODERS))
def test_float32_stays_float32(net: str) -> None:
    model = ae.Autoencoder(*nets.AUTOENCODERS[net]((1, 8, 8), 3, moments=1))
    x = tg.rand(4, 1, 8, 8)
    loss = model.loss(x, reconstruction.dissimilarity)
    loss.backward()
    assert loss.dtype == tg.float32 and model(x).shape == x.shape
    assert all(p.grad.dtype == tg.float32 for p in model.parameters())


def test_pretraining_helps_with_few_labels() -> None:
    """Digits, 50 labels, three seeds: the mean accuracy rises (as in the example)."""
    train_set, test_set = (tg.data.load("digits", split) for split in ("train", "test"))
    x, labels, loss = train_set.to_unit(), train_set.labels, nn.CrossEntropyLoss()
    gain = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        few, found = rng.permutation(len(x))[:50], []
        for pretrain in (True, False):
            tg.manual_seed(seed)
            encoder, decoder = nets.mlp_autoencoder((1, 8, 8), 32, [128], moments=1)
            if pretrain:
                model = ae.DenoisingAutoencoder(encoder, decoder, ae.GaussianNoise(0.5))
                batch = lambda m=model, r=rng: m.loss(x[r.integers(0, len(x), 128)])  # noqa: E731
                train(model, batch, 600, 0.002)
            classifier = ae.Classifier(encoder, 32, 10)
            fit = lambda c=classifier, few=few: loss(c(x[few]), labels[few])  # noqa: E731
            train(classifier, fit, 150, 0.0005)
            found.append(classifier.accuracy(test_set.to_unit(), test_set.labels))
        gain.append(found[0] - found[1])
    assert np.mean(gain) > 0.01, gain


# --- in latent space ----------------------------------------------------------------------------


@given(st.integers(2, 8), st.integers(0, 1000), st.floats(0, 1))
def test_slerp_stays_on_the_sphere(size: int, seed: int, t: float) -> None:
    a, b = (
        c / c.norm(dim=1, keepdim=True)
        for c in (normal(3, size, seed=seed), normal(3, size, seed=seed + 1))
    )
    between = latent.slerp(a, b, t)
    assert np.allclose(between.norm(dim=1).numpy(), 1.0, atol=1e-6)
    assert np.allclose(latent.slerp(a, b, 0.0).numpy(), a.numpy(), atol=1e-7)
    assert np.allclose(latent.slerp(a, b, 1.0).numpy(), b.numpy(), atol=1e-7)


def test_slerp_where_there_is_no_arc_and_its_gradients() -> None:
    a = normal(2, 3)
    assert np.allclose(latent.slerp(a, a, 0.3).numpy(), a.numpy())
    assert np.isfinite(latent.slerp(a, -a, 0.5).numpy()).all()
    check_grads(lambda a, b: latent.slerp(a, b, 0.3), a, normal(2, 3, seed=1))
    check_grads(tg.acos, 0.5 * tg.tanh(normal(4)))


def test_interpolation_and_attributes() -> None:
    a, b = normal(2, 3), normal(2, 3, seed=1)
    path = latent.interpolate(a, b, 5)
    assert path.shape == (5, 2, 3)
    assert np.allclose(path[2].numpy(), (a + b).numpy() / 2)
    codes = tg.tensor([[0.0, 1.0], [2.0, 1.0], [10.0, 1.0], [12.0, 1.0]])
    assert latent.attribute(codes, [False, False, True, True]).tolist() == [10.0, 0.0]


# --- bad input ------------------------------------------------------------------------------------


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match=r"1 <= k <= d, got \(2, 3\), k=4"):
        ae.k_sparse(tg.ones(2, 3), 4)
    with pytest.raises(ValueError, match="k >= 1, got 0"):
        ae.KSparseAutoencoder(nn.Identity(), nn.Identity(), 0)
    with pytest.raises(ValueError, match="latent >= 1, got 0"):
        nets.mlp_autoencoder((1, 8, 8), 0)
    with pytest.raises(ValueError, match="latent >= 1, got 0"):
        ae.linear_autoencoder((4,), 0)
    with pytest.raises(ValueError, match="sigma > 0, got -1"):
        ae.GaussianNoise(-1)
    with pytest.raises(ValueError, match="0 <= p < 1, got 1"):
        ae.Masking(1.0)
    with pytest.raises(ValueError, match="weight >= 0, got -1"):
        ae.SparseAutoencoder(nn.Identity(), nn.Identity(), -1)
    with pytest.raises(ValueError, match="must be GaussianNoise"):
        ae.DenoisingAutoencoder(nn.Identity(), nn.Identity(), ae.Masking(0.5)).score(tg.ones(2, 3))
    with pytest.raises(ValueError, match=r"same shape, got \(2, 3\) and \(2, 4\)"):
        reconstruction.squared_error(tg.ones(2, 4), tg.ones(2, 3))
    with pytest.raises(ValueError, match=r"images \(B, C, H, W\), got \(2, 3\)"):
        nn.functional.ssim(tg.ones(2, 3), tg.ones(2, 3))
    with pytest.raises(ValueError, match=r"layers in 0..7, got \(8,\)"):
        reconstruction.Perceptual(nets.classifier((1, 4, 4), 3), layers=(8,))
    with pytest.raises(ValueError, match="steps >= 2"):
        latent.interpolate(tg.ones(1, 2), tg.ones(1, 2), 1)
    with pytest.raises(ValueError, match="some codes must have it"):
        latent.attribute(tg.ones(3, 2), [True, True, True])


def test_sums_of_classes() -> None:
    codes = tg.tensor([[2.0, 0.0], [4.0, 0.0], [0.0, 5.0], [0.0, -1.0]])
    rows = latent.class_sums(codes, [7, 7, 0, 1], [(7, 0, 1), (7, 0, 2)])  # there is no class 2
    expected = np.array([[3, 0], [0, 5], [0, -1], [3, -6]], np.float32)
    expected *= np.sqrt(2) / np.linalg.norm(expected, axis=1, keepdims=True)
    assert np.allclose(rows.numpy(), expected)
    assert latent.class_sums(codes, [7, 7, 0, 1], [(2, 3, 4)]).shape == (0, 2)
    with pytest.raises(ValueError, match=r"expected 4 labels, got shape \(3,\)"):
        latent.class_sums(codes, [0, 1, 2], [(0, 1, 2)])
