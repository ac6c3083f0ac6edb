"""BigGAN: what each block is told, the penalty, truncated codes and the statistics with them."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tinygen as tg
from tinygen import nn
from tinygen.models import gan, nets
from tinygen.models.gan import BigGAN, orthogonal_penalty
from tinygen.models.gan.biggan import build
from tinygen.models.nets.biggan import DownBlock, UpBlock

CONFIG = {"shape": (1, 8, 8), "classes": 3, "latent": 6, "width": 4, "shared": 5}
LABELS = tg.tensor([2, 0, 1, 1, 2, 0])


def small(seed: int = 0, **config: object) -> BigGAN:
    tg.manual_seed(seed)
    return build(CONFIG | config).double()


# --- networks -----------------------------------------------------------------------------------


def test_each_block_is_told_the_label_and_its_own_piece_of_z() -> None:
    model = small(latent=9)
    z, told = model.draw(6), []
    for block in model.G.blocks:
        block.register_forward_pre_hook(lambda module, args: told.append(args[1].detach().numpy()))
    first = []
    model.G.first.register_forward_pre_hook(lambda module, args: first.append(args[0].numpy()))
    model.decode(z, LABELS)
    vectors = model.G.embedding.weight.detach().numpy()[LABELS.numpy()]
    assert np.array_equal(first[0], z.numpy()[:, :3]) and len(told) == 2
    for i, part in enumerate(told, 1):
        assert np.array_equal(part[:, :5], vectors), "not the label's vector"
        assert np.array_equal(part[:, 5:], z.numpy()[:, 3 * i : 3 * i + 3]), "not its piece"


def test_the_cheap_blocks_are_the_papers() -> None:
    """A 1 x 1 convolution and repeating or averaging pixels may change places."""
    tg.manual_seed(0)
    up, x, told = UpBlock(4, 2, 3).double(), tg.randn(2, 4, 3, 3).double(), tg.randn(2, 3).double()
    h = up.conv1(up.up(nn.functional.relu(up.norm1(x, told))))
    h = up.conv2(nn.functional.relu(up.norm2(h, told)))
    assert tg.allclose(up(x, told), h + up.skip(up.up(x)), atol=1e-12)
    x = tg.randn(2, 4, 6, 6).double()
    for first in (True, False):
        down = DownBlock(4, 3, first=first).double()
        h = down.conv2(nn.functional.relu(down.conv1(x if first else nn.functional.relu(x))))
        expected = nn.functional.avg_pool2d(h + down.skip(x), 2)
        assert tg.allclose(down(x), expected, atol=1e-12)
    assert DownBlock(4, 4, half=False).double()(x).shape == x.shape


def test_weights_start_orthogonal_and_stay_below_a_singular_value_of_1() -> None:
    model = small(width=8)
    normed = plain = 0
    for net in (model.G, model.D):
        for name, module in net.named_modules():
            if not isinstance(module, (nn.Conv2d, nn.Linear, nn.Embedding)):
                continue
            spectral = "weight_orig" in module._parameters
            weight = (module.weight_orig if spectral else module.weight).detach()
            matrix = weight.flatten(1).numpy()
            few = matrix @ matrix.T if len(matrix) <= matrix.shape[1] else matrix.T @ matrix
            assert np.allclose(few, np.eye(len(few)), atol=1e-6), name
            if spectral:
                weight._array[...] *= 5.0
            normed, plain = normed + spectral, plain + (not spectral)
    assert plain == 1 and "weight" in model.G.embedding._parameters  # G's alone
    for _ in range(3):
        model.discriminator_terms((tg.rand(6, 1, 8, 8).double(), LABELS))
    for net in (model.G, model.D):
        for module in net.modules():
            if "weight_orig" in module._parameters:
                matrix = module.weight.detach().flatten(1).numpy()
                assert np.linalg.svd(matrix, compute_uv=False)[0] == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize(("side", "latent"), [(8, 6), (28, 6), (32, 8)])
def test_sides_and_channels(side: int, latent: int) -> None:
    for attention in (None, 0, side // 2):
        G, D = nets.biggan((3, side, side), latent, 2, classes=2, attention=attention)
        x = G(tg.randn(2, latent), tg.tensor([0, 1]))
        assert x.shape == (2, 3, side, side) and D(x, tg.tensor([0, 1])).shape == (2,)
        found = [sum(isinstance(m, nets.SelfAttention2d) for m in net.modules()) for net in (G, D)]
        assert found == [0, 0] if attention == 0 else found == [1, 1]


def test_d_judges_a_picture_as_one_of_its_label_and_examples_stay_apart() -> None:
    model = small()
    assert model.apart
    x = tg.rand(6, 1, 8, 8).double()
    model.eval()
    out = model.D(x, LABELS).detach().numpy()
    assert np.allclose(model.D(x[3:4], LABELS[3:4]).detach().numpy(), out[3:4], atol=1e-12)
    assert (abs(model.D(x, (LABELS + 1) % 3).detach().numpy() - out) > 1e-6).all()


# --- losses -------------------------------------------------------------------------------------


def test_the_penalty_is_its_formula_and_so_is_its_slope() -> None:
    rng = np.random.default_rng(0)
    weights = [rng.standard_normal(shape) for shape in ((3, 5), (4, 2, 3, 3), (6, 2))]
    total = 0.0
    for weight in weights:
        rows = weight.reshape(len(weight), -1)
        total += sum((a @ b) ** 2 for i, a in enumerate(rows) for j, b in enumerate(rows) if i != j)
    parameters = [tg.tensor(weight).requires_grad_() for weight in weights]
    penalty = orthogonal_penalty(parameters)
    assert penalty.item() == pytest.approx(total, rel=1e-12)
    penalty.backward()
    for weight, parameter in zip(weights, parameters):
        rows = weight.reshape(len(weight), -1)
        slope = 4 * (rows @ rows.T * (1 - np.eye(len(rows)))) @ rows
        assert np.allclose(parameter.grad.numpy().reshape(slope.shape), slope, rtol=1e-10)
    lengths = [tg.diag(tg.tensor([1.0, 7.0, 0.5]))]  # of one filter: any
    assert orthogonal_penalty(lengths).item() == 0.0 == orthogonal_penalty([]).item()


def test_the_penalty_is_of_gs_filters_and_not_of_the_labels_vectors() -> None:
    model, without = small(orthogonal=0.3), small(orthogonal=0.0)
    model.load_state_dict(without.state_dict())
    found = []
    for one in (model, without):
        tg.manual_seed(5)
        found.append(one.generator_terms(6, LABELS))
    a, b = found
    filters = [m.weight_orig for m in model.G.modules() if "weight_orig" in m._parameters]
    assert a["orthogonal"].item() == pytest.approx(orthogonal_penalty(filters).item(), rel=1e-12)
    assert a["fooled"].item() == pytest.approx(b["loss"].item(), rel=1e-12)
    assert a["loss"].item() == pytest.approx(b["loss"].item() + 0.3 * a["orthogonal"].item())
    with tg.no_grad():
        model.G.embedding.weight.fill_(3.0)  # all alike
    again = model.generator_terms(6, LABELS)["orthogonal"].item()
    assert again == pytest.approx(a["orthogonal"].item(), rel=1e-12)
    model.discriminator_terms((tg.rand(6, 1, 8, 8).double(), LABELS))["loss"].backward()
    assert all(p.grad is None for p in model.G.parameters())


class Named(nn.Module):
    """A G whose picture is its label."""

    def __init__(self) -> None:
        super().__init__()
        self.size = nn.Parameter(tg.tensor(1.0))

    def forward(self, z: tg.Tensor, labels: tg.Tensor) -> tg.Tensor:
        return self.size * nn.functional.one_hot(labels, 3).float()


def test_pictures_and_samples_are_judged_with_their_own_labels() -> None:
    D = nets.Projection(nn.Identity(), 3, 3)
    with tg.no_grad():  # high where the picture is of its label
        D.embedding.weight.copy_(tg.eye(3))
        D.psi.weight.zero_()
        D.psi.bias.zero_()
    model = BigGAN(Named(), D, "hinge", 2)
    x = nn.functional.one_hot(LABELS, 3).float()
    terms = model.discriminator_terms((x, LABELS))
    assert terms["real"].item() == terms["fake"].item() == 1.0
    assert terms["loss"].item() == 2.0  # max(0, 1 - 1) + max(0, 1 + 1)
    assert model.generator_terms(6, LABELS)["fooled"].item() == -1.0
    other = model.discriminator_terms((x, (LABELS + 1) % 3))
    assert other["real"].item() == 0.0 and other["fake"].item() == 1.0


# --- samples ------------------------------------------------------------------------------------


@pytest.mark.parametrize("t", [0.25, 1.0, 2.0])
def test_codes_are_of_the_truncated_normal(t: float) -> None:
    z = np.sort(small().draw(2000, tg.Generator().manual_seed(0), t).numpy().ravel())
    assert abs(z).max() <= t and abs(z).max() > 0.99 * t
    cdf = np.vectorize(lambda v: 0.5 * (1 + math.erf(v / math.sqrt(2))))
    law = (cdf(z) - cdf(-t)) / (cdf(t) - cdf(-t))
    n = len(z)
    distance = max(abs(law - np.arange(n) / n).max(), abs(law - np.arange(1, n + 1) / n).max())
    assert distance < 1.63 / math.sqrt(n)  # Kolmogorov and Smirnov, 1 %
    density = math.exp(-t * t / 2) / math.sqrt(2 * math.pi)
    assert z.var() == pytest.approx(1 - 2 * t * density / (cdf(t) - cdf(-t)), rel=0.05)


def test_without_truncation_codes_are_the_normal_ones_and_of_the_generator() -> None:
    model = small()
    seeded = lambda: tg.Generator().manual_seed(3)
    assert np.array_equal(model.draw(4, seeded()).numpy(), gan.GAN.draw(model, 4, seeded()).numpy())
    for t in (None, 0.5):
        a, b = (model.sample(6, seeded(), LABELS, t).numpy() for _ in range(2))
        assert np.array_equal(a, b)
    assert not np.array_equal(a, model.sample(6, seeded(), LABELS).numpy())


@pytest.mark.parametrize("t", [None, 0.3])
def test_standing_statistics_are_those_of_the_samples(t: float | None) -> None:
    """The first norm of all: mean and variance of what G.first makes of the codes."""
    model = small()
    norm = model.G.blocks[0].norm1.norm
    norm.running_mean._array[...] = 7.0  # of other weights
    state = {k: v.numpy().copy() for k, v in model.state_dict().items() if "running" not in k}
    seen, hook = [], lambda module, args: seen.append(args[0].detach().numpy())
    handle = norm.register_forward_pre_hook(hook)
    codes = []
    model.G.first.register_forward_pre_hook(lambda module, args: codes.append(abs(args[0]).max()))
    model.standing(t, batches=4, batch=25, generator=tg.Generator().manual_seed(0))
    handle.remove()
    assert all(largest <= t if t else largest > 1.0 for largest in codes)
    means = [x.mean((0, 2, 3)) for x in seen]
    variances = [x.var((0, 2, 3)) * (x[:, 0].size / (x[:, 0].size - 1)) for x in seen]
    assert len(seen) == 4 and np.allclose(norm.running_mean.numpy(), np.mean(means, 0))
    assert np.allclose(norm.running_var.numpy(), np.mean(variances, 0))
    assert model.G.training and all(m.momentum == 0.1 for m in model.G.modules()
                                    if isinstance(m, nn.BatchNorm2d))  # fmt: skip
    for name, value in model.state_dict().items():
        if "running" not in name and "num_batches" not in name:
            assert np.array_equal(value.numpy(), state[name]), name


def test_restored_samples_do_not_depend_on_their_batch() -> None:
    model = small()
    z = model.draw(6)
    alone = model.decode(z[:1], LABELS[:1]).numpy()
    assert np.allclose(model.decode(z, LABELS).numpy()[:1], alone, rtol=0, atol=1e-12)


# --- what cannot be -----------------------------------------------------------------------------


def test_bad_input_is_named() -> None:
    model, x = small(), tg.rand(4, 1, 8, 8).double()
    for call in (lambda: model.discriminator_terms((x,)), lambda: model.generator_terms(4),
                 lambda: model.sample(4)):  # fmt: skip
        with pytest.raises(ValueError, match="BigGAN: needs the labels"):
            call()
    for call in (lambda: model.discriminator_terms((x, tg.arange(4))),
                 lambda: model.sample(4, labels=tg.arange(4))):  # fmt: skip
        with pytest.raises(ValueError, match=r"BigGAN: expected labels in 0..2, got 0..3"):
            call()
    with pytest.raises(ValueError, match="BigGAN: expected 4 integer labels, got float32"):
        model.generator_terms(4, tg.zeros(4))
    for t in (0.0, -1.0, math.nan):
        with pytest.raises(ValueError, match="BigGAN: expected truncation > 0, or None, got"):
            model.draw(3, truncation=t)
    with pytest.raises(ValueError, match="cut into 3 pieces; 7 numbers cannot be, take 9"):
        build(CONFIG | {"latent": 7})
    with pytest.raises(ValueError, match=r"attention at 5 pixels; there are \[4\], or 0"):
        build(CONFIG | {"attention": 5})
    with pytest.raises(ValueError, match="biggan: expected a square picture"):
        build(CONFIG | {"shape": (1, 8, 12)})
    for row in ("wgan", "wgan_gp"):
        with pytest.raises(ValueError, match=f"BigGAN: D of {row} needs a penalty, clipped"):
            build(CONFIG | {"objective": row})
    with pytest.raises(ValueError, match="expected orthogonal >= 0"):
        build(CONFIG | {"orthogonal": -1.0})
    with pytest.raises(ValueError, match="biggan: no classes in the config"):
        build({"shape": (1, 8, 8)})
