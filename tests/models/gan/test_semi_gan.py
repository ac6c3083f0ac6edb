"""The semi-supervised GAN: K logits for K + 1 classes, what each batch says, features matched."""

from __future__ import annotations

import numpy as np
import pytest

import tinygen as tg
from tinygen import nn
from tinygen.autograd import grad
from tinygen.models import gan, nets
from tinygen.models.gan import SemiGAN
from tinygen.models.gan.semi_gan import build
from tinygen.nn import functional as F

PICTURE = {"shape": (1, 4, 4), "classes": 3, "latent": 4, "hidden": 8}
LABELS = tg.tensor([2, 0, 1, 1, 2])


def model_and_data(**config: object) -> tuple[SemiGAN, tg.Tensor, tg.Tensor]:
    """float64, without noise; 5 labelled pictures and 9 others."""
    tg.manual_seed(0)
    model = build(PICTURE | {"noise": 0.0} | config).double()
    with tg.no_grad():
        model.D.head.weight.copy_(3.0 * tg.randn(3, 8))
    x, unlabelled = (tg.randn(n, 1, 4, 4, dtype=tg.float64) for n in (5, 9))
    return model, x, unlabelled


def with_seed(seed: int, call: object, *args: object, **more: object) -> dict[str, tg.Tensor]:
    tg.manual_seed(seed)
    return call(*args, **more)  # type: ignore[operator,no-any-return]


def drawn(model: SemiGAN, n: int, seed: int) -> tg.Tensor:
    tg.manual_seed(seed)
    with tg.no_grad():
        return model.G(model.draw(n))


@pytest.mark.parametrize("eleventh", [-2.0, 0.0, 1.5])
def test_k_logits_say_what_k_plus_1_do(eleventh: float) -> None:
    """The losses by an explicit softmax over K + 1 logits, the last of them anything."""
    model, x, unlabelled = model_and_data(weight=0.6)
    fake = drawn(model, 9, 1)
    with tg.no_grad():
        logits = [model.D(v).numpy() + eleventh for v in (x, unlabelled, fake)]
    p = [np.exp(np.concatenate([v, np.full((len(v), 1), eleventh)], 1)) for v in logits]
    p = [v / v.sum(1, keepdims=True) for v in p]
    Z = np.exp(logits[1] - eleventh).sum(1)
    assert np.allclose(1 - p[1][:, 3], Z / (Z + 1), rtol=1e-13)
    assert np.allclose(model.probabilities(unlabelled).numpy(), p[1], rtol=1e-12)
    assert np.allclose(model.judge(unlabelled).sigmoid().detach().numpy(), Z / (Z + 1), rtol=1e-12)
    of_class = p[0][np.arange(5), LABELS.numpy()] / (1 - p[0][:, 3])
    supervised = -np.log(of_class).mean()
    unsupervised = -np.log(1 - p[1][:, 3]).mean() - np.log(p[2][:, 3]).mean()
    terms = with_seed(1, model.discriminator_terms, (x, LABELS, unlabelled))
    assert terms["supervised"].item() == pytest.approx(supervised, rel=1e-12)
    assert terms["unsupervised"].item() == pytest.approx(unsupervised, rel=1e-12)
    assert terms["loss"].item() == pytest.approx(supervised + 0.6 * unsupervised, rel=1e-12)
    fooled = with_seed(1, model.generator_terms, 9)["loss"].item()
    assert fooled == pytest.approx(-np.log(1 - p[2][:, 3]).mean(), rel=1e-12)


def test_the_best_d_knows_the_class_and_the_source() -> None:
    """On three points with laws p(x, y) and q(x), both parts are stationary at l_k = log p / q."""
    p = np.array([[3, 1, 1], [1, 2, 2], [1, 1, 4]])  # rows: points, columns: labels, of 16
    q = np.array([5, 8, 3])
    points, labels = (np.repeat(v, p.ravel()) for v in np.divmod(np.arange(9), 3))
    eye = tg.eye(3, dtype=tg.float64)

    class Source(nn.Module):
        def forward(self, z: tg.Tensor) -> tg.Tensor:
            return eye[np.repeat(np.arange(3), q)]

    D = nets.ClassHead(nn.Identity(), 3, 3).double()
    model = SemiGAN(Source(), D, 1)
    model.draw = lambda n, generator=None: tg.zeros(n, 1)  # type: ignore[method-assign]
    with tg.no_grad():
        D.head.weight.copy_(tg.tensor(np.log(p / q[:, None]).T))
        D.head.bias.zero_()
    model.discriminator_terms((eye[points], tg.tensor(labels)))["loss"].backward()
    assert np.abs(D.head.weight.grad.numpy()).max() < 1e-15
    D.zero_grad()
    model.supervised(eye[points], tg.tensor((labels + 1) % 3)).backward()
    assert np.abs(D.head.weight.grad.numpy()).max() > 1e-2


def test_large_logits_do_not_overflow() -> None:
    model, x, unlabelled = model_and_data()
    with tg.no_grad():
        model.D.head.weight.mul_(1e5)
    terms = model.discriminator_terms((x, LABELS, unlabelled))
    terms["loss"].backward()
    assert all(np.isfinite(p.grad.numpy()).all() for p in model.D.parameters())
    assert np.isfinite(terms["loss"].item())


def test_each_batch_says_what_it_may() -> None:
    model, x, unlabelled = model_and_data()
    one = with_seed(1, model.discriminator_terms, (x, LABELS, unlabelled))
    other = with_seed(1, model.discriminator_terms, (x, (LABELS + 1) % 3, unlabelled))
    moved = with_seed(1, model.discriminator_terms, (x + 1.0, LABELS, unlabelled))
    for terms in (other, moved):  # labels, and pictures with labels, are not of the second part
        assert terms["unsupervised"].item() == one["unsupervised"].item()
        assert terms["supervised"].item() != one["supervised"].item()
    beyond = with_seed(1, model.discriminator_terms, (x, LABELS, unlabelled + 1.0))
    assert beyond["supervised"].item() == one["supervised"].item()
    # A label is about the classes alone: it says nothing of the source, log Z.
    logits = model.D(x).detach().requires_grad_()
    model.D.forward = lambda _: logits  # type: ignore[method-assign]
    model.supervised(x, LABELS).backward()
    assert np.abs(logits.grad.sum(1).numpy()).max() < 1e-15 < logits.grad.abs().max().item()


def test_without_labels_it_is_an_ordinary_gan() -> None:
    model, x, _ = model_and_data()

    class LogZ(nn.Module):
        def forward(self, x: tg.Tensor) -> tg.Tensor:
            return tg.logsumexp(model.D(x), 1)

    plain = gan.GAN(model.G, LogZ(), "non_saturating", 4)
    a, b = (with_seed(1, m.discriminator_terms, (x,)) for m in (model, plain))
    assert all(a[key].item() == pytest.approx(b[key].item(), rel=1e-14)
               for key in ("loss", "real", "fake"))  # fmt: skip
    assert a["supervised"].item() == 0.0


def test_features_are_what_the_last_layer_sees() -> None:
    model, x, _ = model_and_data()
    seen: list[tg.Tensor] = []
    model.D.head.register_forward_hook(lambda _, inputs, out: seen.append(inputs[0]))
    model.D(x)
    assert np.array_equal(seen[0].detach().numpy(), model.D.features(x).detach().numpy())


def test_g_matches_mean_features_and_data_get_no_gradient() -> None:
    model, _, real = model_and_data()
    real.requires_grad_()
    fake = drawn(model, 6, 1)
    with tg.no_grad():
        gap = model.D.features(fake).mean(0) - model.D.features(real).mean(0)
    loss = with_seed(1, model.generator_terms, 6, real=real)["loss"]
    assert loss.item() == pytest.approx((gap.numpy() ** 2).sum(), rel=1e-12)
    loss.backward()
    assert real.grad is None, "the features of the data are a constant of G's loss"
    assert all(np.abs(p.grad.numpy()).max() > 0 for p in list(model.G.parameters())[-2:])
    # D's own gradient, were it not frozen, is that of the samples' side alone.
    made = model.D.features(fake).mean(0)
    wanted = grad((2.0 * gap * made).sum(), list(model.D.trunk.parameters()))
    for p, g in zip(model.D.trunk.parameters(), wanted):
        assert np.allclose(p.grad.numpy(), g.numpy(), rtol=1e-10, atol=1e-14)


def test_features_are_matched_in_the_mean_and_not_in_pairs() -> None:
    model, _, real = model_and_data()

    class Shuffled(nn.Module):
        def forward(self, z: tg.Tensor) -> tg.Tensor:
            return real[[3, 1, 0, 2, 8, 7, 6, 5, 4]]

    model.G, kept = Shuffled(), model.draw
    model.draw = lambda n, generator=None: tg.zeros(n, 4)  # type: ignore[method-assign]
    assert model.generator_terms(9, real=real)["loss"].item() < 1e-25
    model.draw = kept  # type: ignore[method-assign]


def test_it_classifies_without_noise_and_learns_with_it() -> None:
    model, x, _ = model_and_data(noise=0.5)
    model.train()
    assert (model.D(x) != model.D(x)).any().item()
    first = model.classify(x)
    assert model.D.training and (model.classify(x) == first).all().item()
    model.eval()
    assert (first == model.D(x).argmax(1)).all().item()
    noise = nets.Noise(0.3)(tg.ones(20_000))
    assert noise.std().item() == pytest.approx(0.3, rel=0.03)
    assert noise.mean().item() == pytest.approx(1.0, abs=0.01)
    stds = [m.std for m in model.D.modules() if isinstance(m, nets.Noise)]
    assert stds == [0.3, 0.5, 0.5, 0.5]


def test_bad_input_is_named() -> None:
    model, x, unlabelled = model_and_data()
    with pytest.raises(ValueError, match=r"SemiGAN: expected labels in 0..2, got 0..3"):
        model.discriminator_terms((x, tg.tensor([0, 1, 2, 3, 0]), unlabelled))
    with pytest.raises(ValueError, match="SemiGAN: expected 5 integer labels, got int64 of shape"):
        model.supervised(x, LABELS[:4])
    with pytest.raises(ValueError, match="SemiGAN: G is told no label"):
        model.generator_terms(5, LABELS)
    with pytest.raises(ValueError, match="expected weight >= 0"):
        build(PICTURE | {"weight": -1.0})
    with pytest.raises(ValueError, match="Noise: expected std >= 0"):
        build(PICTURE | {"noise": -0.5})
    with pytest.raises(ValueError, match="ClassHead: expected classes >= 1, got 0"):
        build(PICTURE | {"classes": 0})
    with pytest.raises(RuntimeError, match=r"G makes samples"):
        model.discriminator_terms((x, LABELS, F.pad(unlabelled, (1, 1))))
