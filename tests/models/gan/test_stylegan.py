"""StyleGAN2: penalties by differences, laziness, mixing, truncation, what D gets to see."""

from __future__ import annotations

import numpy as np
import pytest

import tinygen as tg
from tinygen.models import gan
from tinygen.models.gan import StyleGAN, stylegan

CONFIG = {"shape": (3, 8, 8), "latent": 3, "width": 2, "most": 2, "layers": 2, "group": 2}


def small(seed: int = 0, **config: object) -> StyleGAN:
    tg.manual_seed(seed)
    return stylegan.build(CONFIG | config).double()


def np_of(x: tg.Tensor) -> np.ndarray:
    return x.detach().numpy()


def data(n: int = 4) -> tg.Tensor:
    return tg.rand(n, 3, 8, 8, dtype="float64") * 2 - 1


# --- path length --------------------------------------------------------------------------------


@pytest.mark.parametrize("adain", [False, True])
def test_path_lengths_are_those_of_differences(adain: bool) -> None:
    """|J^T y| of each picture, by moving every number of every level's style."""
    model = small(adain=adain)
    model.eval()  # the same noise each time
    w = model.training_styles(2).detach()
    tg.manual_seed(9)
    lengths = np_of(model.path_lengths(w))
    tg.manual_seed(9)
    y = np_of(tg.randn(2, 3, 8, 8, dtype="float64")) / 8
    slope, h = np.zeros((2, 4, 3)), 1e-5
    for level, k in np.ndindex(4, 3):
        made = []
        for step in (h, -h):
            moved = w.clone()
            moved[:, level, k] += step
            made.append((np_of(model.G.synthesis(moved)) * y).sum((1, 2, 3)))
        slope[:, level, k] = (made[0] - made[1]) / (2 * h)
    assert np.allclose(lengths, np.sqrt((slope**2).sum(2).mean(1)), rtol=1e-6)


def value(model: StyleGAN, name: str) -> tg.Tensor:
    """A penalty of the same draws each time."""
    tg.manual_seed(9)
    if name == "path":
        model.path_mean.fill_(0.3)
        w = model.G.styles(model.draw(3))
        return (model.path_lengths(w) - 0.3).square().mean()
    return model.discriminator_terms((data(),), lazy=True)["penalty"]


@pytest.mark.parametrize("name", ["path", "r1"])
def test_the_penalties_slopes_are_those_of_differences(name: str) -> None:
    """Order 2: the slope of a slope, in weights far from the output."""
    model = small(ada=0.6)
    model.eval()
    model.augment.p.fill_(0.0 if name == "path" else 0.7)
    value(model, name).backward()
    places = (
        [(model.G.mapping[1].weight, (1, 2)), (model.G.convs[1].conv.weight, (1, 0, 2, 1)),
         (model.G.convs[0].conv.affine.weight, (1, 1)), (model.G.constant, (0, 1, 2, 3))]
        if name == "path"
        else [(model.D[0].weight, (1, 2, 0, 0)), (model.D[2].second.weight, (1, 0, 1, 1))]
    )  # fmt: skip
    for p, at in places:
        slope, array, found, h = p.grad[at].item(), p._array, [], 1e-5 * max(1, abs(p[at].item()))
        for move in (h, -2 * h):
            array[at] += move
            found.append(value(model, name).item())
        array[at] += h
        assert slope == pytest.approx((found[0] - found[1]) / (2 * h), rel=2e-4, abs=1e-9)
        assert slope != 0


def test_the_running_mean_of_the_lengths() -> None:
    model = small()
    model.path_mean.fill_(2.0)
    w = model.training_styles(4)
    tg.manual_seed(9)
    lengths = np_of(model.path_lengths(w))
    tg.manual_seed(9)
    penalty, again = model.path_penalty(w)
    a = 2.0 + 0.01 * (lengths.mean() - 2.0)
    assert np.allclose(np_of(again), lengths) and model.path_mean.item() == pytest.approx(a)
    assert penalty.item() == pytest.approx(((lengths - a) ** 2).mean(), rel=1e-9)


def test_lazy_penalties_are_as_many_times_as_strong() -> None:
    """So their mean over the steps is that of a penalty in each step."""
    model, x = small(gamma=0.7, r1_every=16, path_weight=2.0, path_every=4), data()
    found = {}
    for lazy in (False, True):
        tg.manual_seed(5)
        found["d", lazy] = model.discriminator_terms((x,), lazy=lazy)
        tg.manual_seed(5)
        found["g", lazy] = model.generator_terms(4, lazy=lazy)
    for part, name, factor in (("d", "penalty", 16 * 0.7), ("g", "path", 4 * 2.0)):
        added = found[part, True]["loss"] - found[part, False]["loss"]
        assert added.item() == pytest.approx(factor * found[part, True][name].item(), rel=1e-9)
        assert found[part, True][name].item() > 0 and name not in found[part, False]


# --- styles -------------------------------------------------------------------------------------


def test_mixed_styles_are_of_one_code_below_a_level_and_of_the_other_above() -> None:
    model = small()
    z, other = model.draw(5), model.draw(5)
    a, b = np_of(model.G.styles(z)), np_of(model.G.styles(other))
    w = np_of(model.mixed(z, other, 1))
    assert (w[:, :1] == a[:, :1]).all() and (w[:, 1:] == b[:, 1:]).all()
    w = np_of(model.mixed(z, other, tg.tensor([0, 1, 2, 3, 4])))
    for i in range(5):
        assert (w[i, :i] == a[i, :i]).all() and (w[i, i:] == b[i, i:]).all()


def test_a_share_of_the_training_samples_is_mixed() -> None:
    model = small(mixing=0.9)
    w = np_of(model.training_styles(2000))
    two = (w[:, 0] != w[:, -1]).any(1)
    assert two.mean() == pytest.approx(0.9, abs=0.03)
    changes = (w[:, 1:] != w[:, :-1]).any(2)
    assert (changes.sum(1) == two).all() and changes.any(0).all()  # once, anywhere
    w = np_of(small(mixing=0.0).training_styles(20))
    assert (w == w[:, :1]).all()


def test_truncation_draws_styles_towards_their_mean() -> None:
    model = small()
    z = model.draw(6)
    w = np_of(model.G.mapping(z))
    m = np_of(model.mean_style())[0, 0]
    assert np.allclose(m, np_of(model.G.mapping(model.draw(20000))).mean(0), atol=0.05)
    half = tg.tensor(m + 0.5 * (w - m))
    by_hand = model.render(tg.stack([half] * model.G.levels, 1), truncation=1.0)
    assert np.allclose(np_of(model.decode(z, truncation=0.5)), np_of(by_hand), atol=1e-9)
    none = np_of(model.decode(z, truncation=0.0))
    assert np.allclose(none, none[:1], atol=1e-12)
    assert np.array_equal(np_of(model.decode(z)), np_of(model.decode(z, truncation=1.0)))
    seeded = lambda: tg.Generator().manual_seed(1)  # noqa: E731
    assert np.array_equal(
        np_of(small(truncation=0.5).sample(3, seeded())),
        np_of(small().sample(3, seeded(), truncation=0.5)),
    )


def test_the_grid_of_mixtures() -> None:
    model = small()
    coarse, fine = model.draw(2), model.draw(3)
    grid = np_of(model.mixing_grid(coarse, fine, 2)).reshape(3, 4, 3, 8, 8)
    assert (grid[0, 0] == 1).all()
    assert np.allclose(grid[0, 1:], np_of(model.decode(fine)), atol=1e-12)
    assert np.allclose(grid[1:, 0], np_of(model.decode(coarse)), atol=1e-12)
    w = model.mixed(coarse[1:], fine[2:], 2)
    assert np.allclose(grid[2, 3], np_of(model.render(w))[0], atol=1e-12)


def test_the_perceptual_path_length_of_a_line() -> None:
    """Where pictures are linear in w it is the mean square distance of two ends."""
    model = small()
    model.render = lambda w, psi: w[:, 0]  # type: ignore[method-assign]
    found = stylegan.perceptual_path_length(model, np_of, n=200, eps=0.1)
    seeded = tg.Generator().manual_seed(0)
    a, b = (np_of(model.G.mapping(model.draw(100, seeded))) for _ in range(2))
    assert found == pytest.approx(((a - b) ** 2).sum(1).mean(), rel=0.3)


# --- augmentation -------------------------------------------------------------------------------


class Seeing(tg.nn.Module):
    """A discriminator that keeps what it was shown."""

    def __init__(self, sure: float = 1.0) -> None:
        super().__init__()
        self.weight, self.seen = tg.nn.Parameter(tg.ones(1, dtype="float64")), []
        self.sure = sure

    def forward(self, x: tg.Tensor) -> tg.Tensor:
        self.seen.append(np_of(x))
        return (self.weight * x).flatten(1).mean(1) * 0.0 + self.sure


def seeing(p: float, sure: float = 1.0) -> StyleGAN:
    model = small(ada=0.6, ada_images=160)
    model.augment.p.fill_(p)
    model.D = Seeing(sure)
    return model


def test_real_and_fake_are_both_augmented() -> None:
    """Data, samples for D, data for R1 and samples for G; at p = 0 none of them."""
    x = tg.ones(4, 3, 8, 8, dtype="float64") * 0.5
    for p in (0.0, 1.0):
        model = seeing(p)
        with tg.no_grad():  # G: one grey picture, whatever the code
            for part in model.G.to_rgb:
                part.weight.fill_(0.0)
        model.discriminator_terms((x,), lazy=True)
        model.generator_terms(4)
        real, fake, again, for_g = model.D.seen
        for seen, plain in ((real, 0.5), (fake, 0.0), (again, 0.5), (for_g, 0.0)):
            assert seen.shape == (4, 3, 8, 8) and (seen == plain).all() == (p == 0)
            assert (len(np.unique(seen[:, 0, 0, 0])) == 4) == (p > 0)


def test_p_rises_while_d_is_sure_and_falls_while_it_is_not() -> None:
    for sure, p in ((3.0, 0.4), (-1.0, 0.2)):
        model = seeing(0.3, sure)
        for _ in range(4):
            model.discriminator_terms((data(),))
        assert model.augment.p.item() == pytest.approx(p, abs=1e-6)
        model.generator_terms(4)
        assert model.augment.signs.sum().item() == 0  # G's samples are not counted
    assert small().augment is None


# --- what cannot be -----------------------------------------------------------------------------


def test_refusals() -> None:
    with pytest.raises(ValueError, match=r"stylegan: expected pictures .*, got \(1, 28, 28\)"):
        stylegan.build({"shape": (1, 28, 28)})
    with pytest.raises(ValueError, match=r"StyleGAN: expected mixing in \[0, 1\], got 2"):
        small(mixing=2)
    with pytest.raises(ValueError, match="StyleGAN: expected r1_every >= 1, got 0"):
        small(r1_every=0)
    with pytest.raises(RuntimeError, match="StyleGAN: G makes samples"):
        small().discriminator_terms((tg.zeros(2, 3, 16, 16, dtype="float64"),))


def test_both_players_learn_from_their_terms() -> None:
    model = small(ada=0.6)
    model.discriminator_terms((data(),), lazy=True)["loss"].backward()
    assert all(p.grad is not None for p in model.D.parameters())
    with gan.frozen(model.D):
        model.generator_terms(4, lazy=True)["loss"].backward()
    assert all(p.grad is not None for p in model.G.parameters())
