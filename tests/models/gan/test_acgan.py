"""ACGAN: both heads' losses by hand, the asked labels and no others, and which way G is pulled."""

from __future__ import annotations

import numpy as np
import pytest

import tinygen as tg
from tinygen import nn
from tinygen.autograd import grad
from tinygen.models import gan, nets
from tinygen.models.gan import ACGAN
from tinygen.models.gan.acgan import build

PICTURE = {"shape": (1, 8, 8), "classes": 3, "latent": 4, "width": 2}
LABELS = tg.tensor([2, 0, 1, 1, 2, 0, 0])


class Named(nn.Module):
    """A G whose picture is its label: s e_y + b, so that whoever mixes labels up is found out."""

    def __init__(self, size: float) -> None:
        super().__init__()
        self.size, self.bias = (nn.Parameter(tg.tensor(v, dtype=tg.float64)) for v in (size, 0.1))

    def forward(self, z: tg.Tensor, labels: tg.Tensor) -> tg.Tensor:
        return self.size * nn.functional.one_hot(labels, 3).double() + self.bias


def toy(weight: float = 1.0, size: float = 6.0, row: str = "non_saturating") -> ACGAN:
    """D reads the class off the picture, and the source off its sum."""
    D = nets.SourceAndClass(nn.Identity(), 3, 3).double()
    with tg.no_grad():
        D.head.weight.copy_(tg.eye(3))
        D.head.bias.copy_(tg.tensor([0.0, 0.1, -0.2]))
        D.source.weight.copy_(tg.tensor([[0.3, 0.3, 0.3]]))
    return ACGAN(Named(size), D, row, 2, class_weight=weight)


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> float:
    return float(np.mean([np.log(np.exp(l - l[y]).sum()) for l, y in zip(logits, labels)]))


@pytest.mark.parametrize("row", ["non_saturating", "hinge", "least_squares"])
def test_the_losses_are_those_of_the_docstring(row: str) -> None:
    model, y = toy(0.7, row=row), LABELS.numpy()
    x = tg.randn(7, 3, dtype=tg.float64)
    fake = 6.0 * np.eye(3)[y] + 0.1
    D = model.D
    to = lambda v, head: v @ head.weight.detach().numpy().T + head.bias.detach().numpy()
    with tg.no_grad():
        source = [tg.tensor(to(v, D.source)[:, 0]) for v in (x.numpy(), fake)]
    classes = [cross_entropy(to(v, D.head), y) for v in (x.numpy(), fake)]
    terms = model.discriminator_terms((x, LABELS))
    assert terms["class_real"].item() == pytest.approx(classes[0], rel=1e-12)
    assert terms["class_fake"].item() == pytest.approx(classes[1], rel=1e-12)
    judged = model.objective.discriminator(*source).item()
    assert terms["loss"].item() == pytest.approx(judged + 0.7 * sum(classes), rel=1e-12)
    made = model.generator_terms(7, LABELS)
    assert made["source"].item() == pytest.approx(model.objective.generator(source[1]).item())
    assert made["loss"].item() == pytest.approx(made["source"].item() + 0.7 * classes[1], rel=1e-12)


def test_the_labels_of_a_batch_are_told_to_g_and_asked_of_d() -> None:
    model = toy(size=40.0)  # pictures that say their label: a cross-entropy of 0, or of 40
    x = 40.0 * nn.functional.one_hot(LABELS, 3).double()
    terms = model.discriminator_terms((x, LABELS))
    assert terms["class_real"].item() < 1e-12 and terms["class_fake"].item() < 1e-12
    assert model.generator_terms(7, LABELS)["class"].item() < 1e-12
    other = model.discriminator_terms((x, (LABELS + 1) % 3))
    assert other["class_real"].item() > 30.0 and other["class_fake"].item() < 1e-12


@pytest.mark.parametrize("weight", [0.0, 1.0, 10.0])
def test_both_players_want_the_class_to_be_named(weight: float) -> None:
    """G's gradient and D's go towards surer classes, w times as fast."""
    model = toy(weight, size=1.0)
    made = model.generator_terms(7, LABELS)
    (of_source,) = grad(made["source"], [model.G.size], retain_graph=True)
    (of_class,) = grad(made["class"], [model.G.size], retain_graph=True)
    (whole,) = grad(made["loss"], [model.G.size])
    assert of_class.item() < -0.1  # a larger size is a surer class
    assert whole.item() == pytest.approx(of_source.item() + weight * of_class.item(), rel=1e-12)
    x = nn.functional.one_hot(LABELS, 3).double()
    model.discriminator_terms((x, LABELS))["loss"].backward()
    step = (model.D.head.weight.grad * tg.eye(3, dtype=tg.float64)).sum().item()
    assert step < -0.1 * weight or weight == step == 0.0
    assert model.G.size.grad is None, "D's loss reached G"


def test_without_the_class_it_is_the_game_of_its_row() -> None:
    tg.manual_seed(0)
    model = build(PICTURE | {"class_weight": 0.0})
    x, labels = tg.rand(6, 1, 8, 8), tg.arange(6) % 3

    class Source(nn.Module):
        def forward(self, x: tg.Tensor, labels: tg.Tensor) -> tg.Tensor:
            return model.D(x)[0]

    plain = gan.GAN(model.G, Source(), "non_saturating", 4)
    losses = []
    for one in (model, plain):
        tg.manual_seed(1)
        losses.append((one.discriminator_terms((x, labels))["loss"].item(),
                       one.generator_terms(6, labels)["loss"].item()))  # fmt: skip
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


def test_spectral_norm_is_on_both_heads() -> None:
    model = build(PICTURE | {"norm": "spectral"})
    model.discriminator_terms((tg.rand(3, 1, 8, 8), tg.arange(3)))  # a power iteration
    heads = (model.D.source, model.D.head)
    assert all("spectral" in type(h).__name__.lower() or hasattr(h, "parametrizations")
               or hasattr(h, "weight_u") or hasattr(h, "weight_orig") for h in heads)  # fmt: skip


def test_bad_input_is_named() -> None:
    model, x = build(PICTURE), tg.rand(4, 1, 8, 8)
    for call in (lambda: model.discriminator_terms((x,)), lambda: model.generator_terms(4)):
        with pytest.raises(ValueError, match="ACGAN: needs the labels"):
            call()
    with pytest.raises(ValueError, match=r"ACGAN: expected labels in 0..2, got 0..3"):
        model.discriminator_terms((x, tg.arange(4)))
    with pytest.raises(ValueError, match="ACGAN: expected 4 integer labels, got float32"):
        model.generator_terms(4, tg.zeros(4))
    for row in ("wgan", "wgan_gp"):
        with pytest.raises(ValueError, match=f"ACGAN: D of {row} needs a penalty, clipped"):
            build(PICTURE | {"objective": row})
    with pytest.raises(ValueError, match="expected class_weight >= 0"):
        build(PICTURE | {"class_weight": -1.0})
    with pytest.raises(ValueError, match="acgan: no classes in the config"):
        build({"shape": (1, 8, 8)})
