"""BiGAN: the best D on discrete laws, who is paid for what, and E and G inverse at the optimum."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

import tinygen as tg
from tinygen import nn
from tinygen.autograd import grad
from tinygen.models import gan, nets
from tinygen.models.gan import BiGAN, bigan
from tinygen.run import Run

PICTURE = {"shape": (1, 8, 8), "width": 2, "latent": 3, "hidden": 8}
LOG_4 = np.log(4.0)


def eye(n: int) -> tg.Tensor:
    return tg.eye(n, dtype=tg.float64)


class Fixed(nn.Module):
    """The same outputs whatever comes in: a law of pairs, row by row."""

    def __init__(self, rows: tg.Tensor) -> None:
        super().__init__()
        self.rows = nn.Parameter(rows)

    def forward(self, x: tg.Tensor) -> tg.Tensor:
        return self.rows


class Table(nn.Module):
    """D of points (B, m) and codes (B, n): a number for each pair, and with unary each alone."""

    def __init__(self, both: np.ndarray, x: np.ndarray | None = None, z: np.ndarray | None = None):
        super().__init__()
        tables = {"both": both, "x": x, "z": z}
        for name, value in tables.items():
            setattr(self, name, None if value is None else nn.Parameter(tg.tensor(value)))

    def forward(self, x: tg.Tensor, z: tg.Tensor) -> tg.Tensor:
        scores = [((x @ self.both) * z).sum(1)]
        scores += [v @ table for v, table in ((x, self.x), (z, self.z)) if table is not None]
        return tg.stack(scores, 1)


def toy(E: nn.Module, G: nn.Module, D: nn.Module, codes: tg.Tensor, row: str) -> BiGAN:
    """A model whose draws are `codes`."""
    model = BiGAN(G, E, D, row, codes.shape[1])
    model.draw = lambda n, generator=None: codes[:n]  # type: ignore[method-assign]
    return model


def small(**config: object) -> BiGAN:
    tg.manual_seed(0)
    return bigan.build(PICTURE | config).double()


# --- the best D -----------------------------------------------------------------------------------

# 16 pairs (x, E(x)), a row a point and a column a code; and 16 (G(z), z).
P = np.array([[3, 1, 1], [1, 2, 2], [1, 1, 4]])
Q = np.array([[1, 2, 1], [4, 1, 3], [2, 1, 1]])


def laws(D: nn.Module, row: str = "non_saturating") -> tuple[BiGAN, tg.Tensor]:
    cells = [np.divmod(np.repeat(np.arange(9), counts.ravel()), 3) for counts in (P, Q)]
    (x, code), (made, z) = [[eye(3)[index] for index in pair] for pair in cells]
    return toy(Fixed(code), Fixed(made), D, z, row), x


def ratio(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    return np.log(p / q)


@pytest.mark.parametrize("unary", [False, True])
def test_the_best_d_is_the_log_ratio_of_the_two_laws_of_pairs(unary: bool) -> None:
    """There D's loss is stationary, and is log 4 - 2 JSD, of each score's own laws."""
    pairs = [(P, Q), (P.sum(1), Q.sum(1)), (P.sum(0), Q.sum(0))][: 3 if unary else 1]
    model, x = laws(Table(*[ratio(p, q) for p, q in pairs]))
    loss = model.discriminator_terms((x,))["loss"]
    expected = sum(LOG_4 - gan.two_jsd(p / 16, q / 16).sum() for p, q in pairs)
    assert loss.item() == pytest.approx(expected, rel=1e-12)
    loss.backward()
    assert all(np.abs(p.grad.numpy()).max() < 1e-15 for p in model.D.parameters())
    wrong, x = laws(Table(-ratio(P, Q)))  # the sides the other way round
    wrong.discriminator_terms((x,))["loss"].backward()
    assert np.abs(wrong.D.both.grad.numpy()).max() > 0.02


def test_hinge_has_the_sign_of_the_difference() -> None:
    model, x = laws(Table(np.sign(P - Q).astype(float)), "hinge")
    loss = model.discriminator_terms((x,))["loss"].item()
    assert loss == pytest.approx(2.0 - np.abs(P - Q).sum() / 16, rel=1e-12)


def function(images: tuple[int, ...]) -> nn.Linear:
    """The function i -> images[i] of points that are one-hot."""
    net = nn.Linear(len(images), len(images), bias=False).double()
    with tg.no_grad():
        net.weight.copy_(eye(len(images))[list(images)].T)
    return net


@pytest.mark.parametrize(("masses", "best"), [((2, 2, 2), 6), ((3, 2, 1), 1)])
def test_at_the_optimum_e_and_g_are_inverse(masses: tuple[int, ...], best: int) -> None:
    """All 27 x 27 pairs of functions of three points: 2 JSD = 0 where, and only where, they are."""
    points, n = np.repeat(np.arange(3), masses), sum(masses)
    x, found = eye(3)[points], []
    for E, G in itertools.product(itertools.product(range(3), repeat=3), repeat=2):
        p, q = np.zeros((3, 3)), np.zeros((3, 3))
        np.add.at(p, (points, np.array(E)[points]), 1 / n)
        np.add.at(q, (np.array(G)[points], points), 1 / n)
        divergence = gan.two_jsd(p, q).sum()
        inverse = all(G[E[i]] == i for i in range(3)) and all(E[G[i]] == i for i in range(3))
        carried = all(masses[E[i]] == masses[i] for i in range(3))  # the law of codes is p(z)
        assert (divergence < 1e-12) == (inverse and carried), (E, G)
        if divergence < 1e-12 or (E, G) in (((0, 0, 0), (1, 2, 0)), ((1, 2, 0), (1, 2, 0))):
            table = np.clip(np.log(p + 1e-300) - np.log(q + 1e-300), -40.0, 40.0)
            model = toy(function(E), function(G), Table(table), x, "minimax")
            loss = model.discriminator_terms((x,))["loss"].item()
            assert loss == pytest.approx(LOG_4 - divergence, abs=1e-12)
            found.append(divergence)
    assert sum(d < 1e-12 for d in found) == best and len(found) == best + 2


# --- who is paid for what -------------------------------------------------------------------------


def with_seed(seed: int, call: object, *args: object, **more: object) -> dict[str, tg.Tensor]:
    tg.manual_seed(seed)
    return call(*args, **more)  # type: ignore[operator,no-any-return]


@pytest.mark.parametrize("config", [{}, {"unary": True}, {"unary": True, "stochastic": True}])
def test_e_and_g_want_what_d_does_not(config: dict[str, object]) -> None:
    """Under minimax, a game of sum 0, their loss is minus D's on the same draws: every score."""
    model = small(objective="minimax", **config)
    x = tg.rand(6, 1, 8, 8, dtype="float64")
    if config.get("stochastic"):
        model.draw = lambda n, generator=None: tg.ones(n, 3, dtype="float64")  # type: ignore[method-assign]
    d = with_seed(1, model.discriminator_terms, (x,))["loss"]
    both = with_seed(1, model.generator_terms, 6, real=x)
    assert both["loss"].item() == pytest.approx(-d.item(), rel=1e-12)
    assert both["loss"].item() == pytest.approx((both["generator"] + both["encoder"]).item())


@pytest.mark.parametrize("row", bigan.ROWS)
def test_e_is_paid_where_g_is_punished(row: str) -> None:
    """D likes points with their own code: E must leave there, G come, each by its own loss."""
    E, G = (function((0, 1, 2)) for _ in range(2))
    model = toy(E, G, Table(0.5 * np.eye(3)), eye(3), row)
    terms = model.generator_terms(3, real=eye(3))
    (of_e,) = grad(terms["encoder"], [E.weight], retain_graph=True)
    (of_g,) = grad(terms["generator"], [G.weight], retain_graph=True)
    assert (of_e * E.weight).sum().item() > 0.1  # descending makes x E(x) smaller
    assert (of_g * G.weight).sum().item() < -0.1
    assert grad(terms["encoder"], [G.weight], allow_unused=True, retain_graph=True) == (None,)
    assert grad(terms["generator"], [E.weight], allow_unused=True) == (None,)
    expected = model.objective.generator(tg.tensor([-0.5])).item()
    assert terms["encoder"].item() == pytest.approx(expected, rel=1e-6)


def test_the_unary_term_of_codes_teaches_e_and_that_of_pictures_g() -> None:
    E, G = (function((0, 1, 2)) for _ in range(2))
    on_x, on_z = np.array([1.0, 0.0, -1.0]), np.array([0.0, 2.0, 0.0])
    model = toy(E, G, Table(np.zeros((3, 3)), on_x, on_z), eye(3), "hinge")
    model.generator_terms(3, real=eye(3))["loss"].backward()
    of_e = np.outer(on_z, np.ones(3)) / 3  # s_z(E(x)) = on_z . E x, less is better
    of_g = -np.outer(on_x, np.ones(3)) / 3
    assert np.allclose(E.weight.grad.numpy(), of_e) and np.allclose(G.weight.grad.numpy(), of_g)


def test_a_picture_goes_with_its_own_code() -> None:
    """D sees 1 for a pair whose two belong together, 0 for one whose rows are mixed up."""
    E, G = (function((0, 1, 2, 3, 4)) for _ in range(2))
    model = toy(E, G, Table(np.eye(5)), eye(5), "hinge")
    terms = model.discriminator_terms((eye(5),))
    assert (terms["real"].item(), terms["fake"].item()) == (1.0, 1.0)
    terms = model.generator_terms(5, real=eye(5))
    assert (terms["generator"].item(), terms["encoder"].item()) == (-1.0, 1.0)


def test_d_teaches_itself_alone_and_e_and_g_learn_all() -> None:
    model, x = small(unary=True, stochastic=True), tg.rand(6, 1, 8, 8, dtype="float64")
    model.discriminator_terms((x,))["loss"].backward()
    assert all(p.grad is not None for p in model.D.parameters())
    players = [*model.G.parameters(), *model.E.parameters()]
    assert all(p.grad is None for p in players)
    with gan.frozen(model.D):
        model.generator_terms(6, real=x)["loss"].backward()
    assert all(p.grad is not None for p in players)


def test_without_a_batch_it_is_the_game_of_g() -> None:
    model, x = small(unary=True), tg.rand(6, 1, 8, 8, dtype="float64")
    alone = with_seed(1, model.generator_terms, 6)
    both = with_seed(1, model.generator_terms, 6, real=x)
    assert list(alone) == ["loss"] and alone["loss"].item() == both["generator"].item()


# --- codes ----------------------------------------------------------------------------------------


def test_a_stochastic_code_is_a_draw_about_the_one_that_encode_gives() -> None:
    model = small(stochastic=True, norm="layer")
    x = tg.rand(1, 1, 8, 8, dtype="float64").expand(4000, 1, 8, 8)
    with tg.no_grad():
        out = model.E(x[:1])[0].numpy()
        draws = model.code(x, tg.Generator().manual_seed(0)).numpy()
    mu, std = out[:3], np.exp(out[3:] / 2)
    assert np.allclose(model.encode(x[:2]).numpy(), mu) and draws.shape == (4000, 3)
    assert np.allclose(draws.mean(0), mu, atol=5 * std.max() / 60)
    assert np.allclose(draws.std(0), std, rtol=0.06)


def test_codes_and_reconstructions_are_of_evaluation_mode() -> None:
    model, x = small(norm="batch"), tg.rand(6, 1, 8, 8, dtype="float64")
    one = model.encode(x[:1]).numpy()
    assert np.allclose(model.encode(x)[:1].numpy(), one) and model.E.training
    assert np.allclose(model.reconstruct(x).numpy(), model.decode(model.encode(x)).numpy())
    assert not model.encode(x).requires_grad and model.reconstruct(x).shape == x.shape


def test_a_checkpoint_averages_e_as_well_as_g(tmp_path: Path) -> None:
    model = bigan.build(PICTURE)
    ema = tg.optim.EMA(nn.ModuleDict({"G": model.G, "E": model.E}), 0.9)
    for p in model.parameters():
        p._array[...] += 1.0
    ema.update()
    run = Run(tmp_path, config=PICTURE, system="bigan")
    run.track(model=model, ema=ema)
    run.save()
    _, _, again = tg.models.restore(tmp_path / "last.npz")
    own, found = model.state_dict(), again.state_dict()
    for name in ("G.0.weight", "E.1.weight"):
        assert np.allclose(found[name].numpy(), ema.shadow[name].numpy())
        assert not np.allclose(found[name].numpy(), own[name].numpy())
    assert np.array_equal(found["D.of_both.0.weight"].numpy(), own["D.of_both.0.weight"].numpy())


# --- D of pairs, and what cannot be ---------------------------------------------------------------


@pytest.mark.parametrize("norm", ["layer", "batch", "none", "spectral"])
def test_d_looks_at_both_and_at_each_alone(norm: str) -> None:
    D = small(norm=norm, unary=True).D.eval()
    x, z = tg.rand(4, 1, 8, 8, dtype="float64"), tg.randn(4, 3, dtype="float64")
    with tg.no_grad():
        first, other_x, other_z = (v.numpy() for v in (D(x, z), D(x + 1.0, z), D(x, z + 1.0)))
    assert first.shape == (4, 3)
    assert (first[:, 2] == other_x[:, 2]).all() and (first[:, :2] != other_x[:, :2]).all()
    assert (first[:, 1] == other_z[:, 1]).all() and (first[:, ::2] != other_z[:, ::2]).all()


def test_bad_input_is_named() -> None:
    for row in ("wgan_gp", "least_squares", "began"):
        with pytest.raises(ValueError, match=f"BiGAN: expected an objective of.*'{row}'"):
            small(objective=row)
    model, x = small(), tg.rand(4, 1, 8, 8, dtype="float64")
    with pytest.raises(ValueError, match="BiGAN: G is told no label"):
        model.generator_terms(4, labels=tg.arange(4))
    with pytest.raises(RuntimeError, match=r"BiGAN: G makes samples \(4, 1, 8, 8\)"):
        BiGAN(model.G, nn.Sequential(nn.Flatten(), nn.Linear(64, 2)).double(), model.D,
              "hinge", 3).discriminator_terms((x,))  # fmt: skip
    with pytest.raises(ValueError, match="JointDiscriminator: expected latent >= 1"):
        nets.JointDiscriminator(nn.Flatten(), 64, 0)
    with pytest.raises(ValueError, match="norm must be batch"):
        small(norm="group")
