"""pix2pix: which pairs D sees, patches by gradient, medians and means, noise that stays on."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import tinygen as tg
from tinygen import nn
from tinygen.autograd import grad
from tinygen.models import gan, nets
from tinygen.models.translation import Pix2Pix
from tinygen.models.translation.pix2pix import DISTANCES, build

SMALL = {"told": (1, 16, 16), "shape": (3, 16, 16), "width": 4, "d_width": 4}


def batch(n: int = 3, seed: int = 0) -> tuple[tg.Tensor, tg.Tensor]:
    g = tg.Generator().manual_seed(seed)
    return tg.randn(n, 1, 16, 16, generator=g), tg.randn(n, 3, 16, 16, generator=g)


class Constant(nn.Module):
    """A G that answers v, whatever it is asked."""

    def __init__(self, v: float) -> None:
        super().__init__()
        self.v = nn.Parameter(tg.tensor(v, dtype=tg.float64))

    def forward(self, x: tg.Tensor, generator: Any = None) -> tg.Tensor:
        return self.v.expand(*x.shape)


class Weighted(nn.Module):
    """A D whose verdict on each pixel is a sum of channels, weighed; it keeps what it was shown."""

    def __init__(self, *weights: float) -> None:
        super().__init__()
        self.w = nn.Parameter(tg.tensor(weights, dtype=tg.float64))
        self.seen: list[tg.Tensor] = []

    def forward(self, x: tg.Tensor) -> tg.Tensor:
        self.seen.append(x)
        return (x * self.w.reshape(1, -1, 1, 1)).sum(1, keepdim=True)


def toy(v: float = 0.3, **options: Any) -> Pix2Pix:
    weights = (0.7,) if options.get("blind") else (-0.4, 0.7)
    return Pix2Pix(Constant(v), Weighted(*weights), (1, 2, 2), "non_saturating", **options)


def pairs(n: int = 5) -> tuple[tg.Tensor, tg.Tensor]:
    return tuple(tg.randn(n, 1, 2, 2, dtype=tg.float64) for _ in range(2))


# --- pairs and losses ---------------------------------------------------------------------------


def test_d_is_shown_the_given_picture_beside_the_answer_and_beside_what_was_made() -> None:
    """The fake pair is (x, G(x, z)), with the x of the real pair (x, y)."""
    model, (x, y) = toy(), pairs()
    model.discriminator_terms((x, y))
    real, fake = model.D.seen
    assert np.array_equal(real.numpy(), np.concatenate([x.numpy(), y.numpy()], 1))
    assert np.array_equal(fake.numpy(), np.concatenate([x.numpy(), np.full(y.shape, 0.3)], 1))
    model.generator_terms((x, y))
    assert np.array_equal(model.D.seen[2].detach().numpy(), fake.numpy())


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("blind", [False, True])
def test_the_losses_are_those_of_the_docstring(distance: str, blind: bool) -> None:
    model, (x, y) = toy(weight=5.0, judge=2.0, distance=distance, blind=blind), pairs()
    a, b = x.numpy(), y.numpy()
    on = lambda y: 0.7 * y - (0.0 if blind else 0.4) * a  # noqa: E731
    sigmoid = lambda v: 1.0 / (1.0 + np.exp(-v))  # noqa: E731
    terms = model.discriminator_terms((x, y))
    expected = -np.log(sigmoid(on(b))).mean() - np.log(1.0 - sigmoid(on(0.3))).mean()
    if blind:
        expected = -np.log(sigmoid(on(b))).mean() - np.log(1.0 - sigmoid(0.7 * 0.3))
    assert terms["loss"].item() == pytest.approx(expected, rel=1e-12)
    assert terms["real"].item() == pytest.approx(on(b).mean(), rel=1e-12)
    made = model.generator_terms((x, y))
    away = np.abs(b - 0.3).mean() if distance == "l1" else ((b - 0.3) ** 2).mean()
    fooled = -np.log(sigmoid(on(np.full_like(b, 0.3)))).mean()
    assert made["distance"].item() == pytest.approx(away, rel=1e-12)
    assert made["loss"].item() == pytest.approx(2.0 * fooled + 5.0 * away, rel=1e-12)


def test_each_player_has_a_gradient_of_its_own() -> None:
    tg.manual_seed(0)
    model, (x, y) = build(SMALL), batch()
    made = model(x)
    model.discriminator_terms((x, y), made)["loss"].backward()
    assert all(p.grad is None for p in model.G.parameters()), "D's loss reached G"
    assert all(p.grad is not None for p in model.D.parameters())
    model.zero_grad()
    with gan.frozen(model.D):
        model.generator_terms((x, y), made)["loss"].backward()
    assert all(p.grad is not None for p in model.G.parameters())
    assert all(p.grad is None for p in model.D.parameters())


def test_without_a_judge_d_is_not_asked() -> None:
    model, (x, y) = toy(judge=0.0), pairs()
    terms = model.generator_terms((x, y))
    assert list(terms) == ["loss", "distance"] and not model.D.seen


@pytest.mark.parametrize("blind", [False, True])
def test_d_looks_at_what_was_given_unless_it_is_blind(blind: bool) -> None:
    tg.manual_seed(0)
    model, (x, y) = build(SMALL | {"blind": blind}), batch()
    same = np.array_equal(*(model.verdicts(v, y).detach().numpy() for v in (x, -x)))
    assert same == blind


def test_l1_gives_the_median_and_l2_the_mean() -> None:
    """Two answers to one question, a with probability 0.7: a, and 0.7 a + 0.3 b."""
    a, b, p = -0.5, 0.9, 0.7
    x = tg.zeros(10, 1, 1, 1, dtype=tg.float64)
    y = tg.tensor([a] * 7 + [b] * 3, dtype=tg.float64).reshape(10, 1, 1, 1)
    grid = np.linspace(-1.0, 1.0, 2001)
    closed = {
        "l1": (a, lambda v: p * abs(v - a) + (1 - p) * abs(v - b)),
        "l2": (p * a + (1 - p) * b, lambda v: p * (v - a) ** 2 + (1 - p) * (v - b) ** 2),
    }
    for name, (best, loss) in closed.items():
        model = toy(weight=1.0, judge=0.0, distance=name)
        found = []
        for v in grid[::10]:
            with tg.no_grad():
                model.G.v.fill_(float(v))
            found.append(model.generator_terms((x, y))["loss"].item())
        assert np.allclose(found, [loss(v) for v in grid[::10]], rtol=1e-12, atol=1e-15)
        assert grid[np.argmin([loss(v) for v in grid])] == pytest.approx(best, abs=1e-9)
        opt = tg.optim.SGD(model.parameters(), lr=0.2)  # and gradient descent goes there
        for step in range(150):
            opt.param_groups[0]["lr"] = 0.2 * 0.97**step
            opt.zero_grad()
            model.generator_terms((x, y))["loss"].backward()
            opt.step()
        assert model.G.v.item() == pytest.approx(best, abs=0.02), name


def test_the_best_judge_tells_the_mean_of_two_answers_and_lets_each_of_them_pass() -> None:
    """D*(y) = p(y) / (p(y) + g(y)): 0 for an answer that is never given, p / (p + 1) for a's."""
    model = toy(0.0, weight=0.0)
    x, y = tg.zeros(10, 1, 2, 2, dtype=tg.float64), tg.full((10, 1, 2, 2), -0.5, dtype=tg.float64)
    y[7:] = 0.9
    losses = {}
    for v in (-0.5, 0.7 * -0.5 + 0.3 * 0.9):
        ratio = 0.7 if v == -0.5 else 1e-9  # log D* / (1 - D*) = log p / g, g = 1
        model.verdicts = lambda x, y, ratio=ratio: tg.full(y.shape, math.log(ratio))
        losses[v] = model.generator_terms((x, y))["adversarial"].item()
    assert losses[-0.5] == pytest.approx(math.log(1.7 / 0.7), rel=1e-5)
    assert min(losses, key=losses.get) == -0.5


# --- networks -----------------------------------------------------------------------------------


def seen_by(D: nn.Module, shape: tuple[int, ...], i: int, j: int) -> np.ndarray:
    """Which pixels move the verdict at (i, j), (H, W)."""
    x = tg.randn(1, *shape, dtype=tg.float64, requires_grad=True)
    (slope,) = grad(D(x)[0, 0, i, j], [x])
    return (slope.numpy()[0] != 0).any(0)


@pytest.mark.parametrize("patch", [1, 16, 34, 70])
def test_a_verdict_sees_a_square_of_its_receptive_field(patch: int) -> None:
    tg.manual_seed(0)
    D = nets.PatchDiscriminator(2, 2, nets.patch_halvings(patch, 128)).double()
    D.norms = nn.ModuleList([nn.Identity() for _ in D.norms])  # these hear of the whole picture
    assert D.receptive_field == patch
    h, w = D(tg.zeros(1, 2, 128, 128, dtype=tg.float64)).shape[2:]
    first, then = (
        seen_by(D, (2, 128, 128), h // 2, w // 2),
        seen_by(D, (2, 128, 128), h // 2 + 1, w // 2),
    )
    for seen in (first, then):
        assert seen.any(1).sum() == seen.any(0).sum() == patch and seen.sum() == patch**2
    stride = np.flatnonzero(then.any(1))[0] - np.flatnonzero(first.any(1))[0]
    assert stride == 2 ** nets.patch_halvings(patch, 128)


@pytest.mark.parametrize("size", [8, 16, 28, 32])
def test_full_is_the_least_that_shows_each_verdict_all(size: int) -> None:
    tg.manual_seed(0)
    n = nets.patch_halvings("full", size)
    for halvings, every in ((n, True), (n - 1, False)):
        D = nets.PatchDiscriminator(1, 2, halvings).double()
        D.norms = nn.ModuleList([nn.Identity() for _ in D.norms])
        h, w = D(tg.zeros(1, 1, size, size, dtype=tg.float64)).shape[2:]
        views = [seen_by(D, (1, size, size), i, j) for i in (0, h - 1) for j in (0, w - 1)]
        assert all(view.all() for view in views) == every


@pytest.mark.parametrize("skips", [True, False])
def test_skips_carry_what_the_few_pixels_do_not(skips: bool) -> None:
    tg.manual_seed(0)
    G = nets.UNetGenerator(1, 2, width=4, halvings=2, skips=skips, dropout=0.0)
    x, y = tg.randn(2, 1, 1, 8, 8)
    assert not np.array_equal(G(x).detach().numpy(), G(y).detach().numpy())
    nn.init.zeros_(G.up[0].weight)  # nothing comes out of the innermost pixels
    assert np.array_equal(G(x).detach().numpy(), G(y).detach().numpy()) == (not skips)


def test_the_noise_stays_on_and_is_that_of_the_generator() -> None:
    tg.manual_seed(0)
    model, (x, _) = build(SMALL).eval(), batch()
    before = tg.get_rng_state()
    draw = lambda seed: model.translate(x, tg.Generator().manual_seed(seed)).numpy()  # noqa: E731
    assert np.array_equal(draw(1), draw(1)) and not np.array_equal(draw(1), draw(2))
    assert np.array_equal(before, tg.get_rng_state()), "the default generator was used"
    assert not np.array_equal(model.translate(x).numpy(), model.translate(x).numpy())
    still = build(SMALL | {"dropout": 0.0})
    assert np.array_equal(still.translate(x).numpy(), still.translate(x).numpy())


def test_a_picture_is_translated_by_itself_and_any_size_that_halves_will_do() -> None:
    tg.manual_seed(0)
    model, (x, _) = build(SMALL | {"dropout": 0.0}).double(), batch()
    x = x.double()
    whole, alone = model.translate(x).numpy(), model.translate(x[1:2]).numpy()
    assert np.allclose(whole[1:2], alone, atol=1e-12) and np.abs(whole).max() <= 1.0
    assert model.translate(tg.zeros(1, 1, 8, 24, dtype=tg.float64)).shape == (1, 3, 8, 24)


@pytest.mark.parametrize(("side", "halvings"), [(8, 1), (16, 2), (28, 2), (32, 3), (64, 4), (6, 1)])
def test_pictures_are_halved_down_to_4_pixels(side: int, halvings: int) -> None:
    config = {"told": (1, side, side), "shape": (1, side, side), "width": 2, "patch": 1}
    assert build(config).G.halvings == halvings


def test_bad_input_is_named() -> None:
    model, (x, y) = build(SMALL), batch()
    for wrong in (tg.zeros(1, 1, 18, 16), tg.zeros(1, 3, 16, 16), tg.zeros(1, 16, 16)):
        with pytest.raises(
            ValueError, match=r"expected pictures \(B, 1, H, W\), H and W divisible by 4"
        ):
            model.translate(wrong)
    with pytest.raises(ValueError, match="Pix2Pix: expected two of the same shape"):
        model.generator_terms((x, y[:, :, :8]))
    square = lambda side: {"told": (1, side, side), "shape": (3, side, side)}  # noqa: E731
    for change, says in (
        ({"shape": (3, 8, 8)}, "expected told and shape .* of one size"),
        (square(15), "15 x 15 pixels cannot be halved 1 times; resize them to multiples of 2"),
        (square(20) | {"halvings": 3}, "20 x 20 pixels cannot be halved 3 times"),
        ({"distance": "l3"}, "distance must be l1 or l2, got 'l3'"),
        ({"objective": "wgan_gp"}, "D of wgan_gp needs a penalty"),
        ({"objective": "began"}, "D of began needs a penalty, clipped weights or an energy"),
        ({"patch": 17}, "expected a patch of 1, 16, 34, 70, 142, .. pixels that fits into 16"),
        ({"patch": 70}, "fits into 16, or full, got 70"),
        ({"weight": -1.0}, "expected weight >= 0"),
        ({"dropout": 1.5}, "dropout"),
    ):
        with pytest.raises(ValueError, match=says):
            build(SMALL | change)
    with pytest.raises(ValueError, match="pix2pix: no told in the config"):
        build({"shape": (3, 16, 16)})
