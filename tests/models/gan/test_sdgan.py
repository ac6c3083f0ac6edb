"""The SD-GAN: which pictures make a pair, what D sees of it, and the two faults of the notes."""

from __future__ import annotations

import numpy as np
import pytest

import tinygen as tg
from tinygen import data, nn
from tinygen.models import gan, nets
from tinygen.models.gan import SDGAN, sdgan

CONFIG = {"shape": (1, 8, 8), "width": 2, "identity": 3, "observation": 2, "norm": "layer"}


class Telling(nn.Module):
    """A generator whose picture (1, 8, 8) shows its code: first the identity's three numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(tg.ones(1, dtype="float64"))

    def forward(self, z: tg.Tensor) -> tg.Tensor:
        blank = tg.zeros(len(z), 64 - z.shape[1], dtype="float64")
        return tg.cat([self.scale * z, blank], 1).reshape(-1, 1, 8, 8)


class Noting(nn.Module):
    """A discriminator that keeps what it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.seen = nn.Parameter(tg.ones(1, dtype="float64")), []

    def forward(self, x: tg.Tensor) -> tg.Tensor:
        self.seen.append(x.detach().numpy())
        return (self.weight * x).flatten(1).mean(1)


def telling() -> SDGAN:
    return SDGAN(Telling(), Noting(), "non_saturating", 3, 2)


def small(seed: int = 0, **config: object) -> SDGAN:
    tg.manual_seed(seed)
    return sdgan.build(CONFIG | config).double()


# --- codes and pairs --------------------------------------------------------------------------


def test_a_pair_of_codes_shares_the_identity_and_nothing_else() -> None:
    z = small().draw(400).numpy()
    who, how = z[:, :3], z[:, 3:]
    assert z.shape == (400, 5) and (who[::2] == who[1::2]).all()
    assert len(np.unique(who, axis=0)) == 200 and len(np.unique(how, axis=0)) == 400
    alone = small().draw(400, each=1).numpy()
    assert len(np.unique(alone[:, :3], axis=0)) == 400
    for codes in (who, how):  # U(-1, 1): mean 0, variance 1/3
        assert -1 <= codes.min() < -0.95 and 0.95 < codes.max() <= 1
        assert abs(codes.mean()) < 0.1 and abs(codes.var() - 1 / 3) < 0.05
    assert small().draw(5).shape == (5, 5)  # an odd number: the last is alone


def test_d_is_shown_pairs_of_one_identity_of_data_and_of_samples() -> None:
    """What the loader puts in a row, and what G makes of one code, are what D sees at once."""
    model, identities = telling(), tg.arange(40) % 5
    pictures = Telling()(identities.double().reshape(-1, 1).expand(-1, 3)).detach()
    pairs = data.PairSampler(identities)
    loader = data.DataLoader(data.TensorDataset(pictures), 8, sampler=pairs)
    batch = next(iter(loader))
    model.discriminator_terms(batch)
    model.generator_terms(8)
    assert [x.shape for x in model.D.seen] == [(4, 2, 8, 8)] * 3
    for x in model.D.seen:  # data, samples for D, samples for G
        codes = x.reshape(4, 2, 64)[:, :, :5]
        assert (codes[:, 0, :3] == codes[:, 1, :3]).all(), "a pair of two identities"
    for x in model.D.seen[1:]:
        codes = x.reshape(4, 2, 64)[:, :, :5]
        assert (codes[:, 0, 3:] != codes[:, 1, 3:]).all(), "a pair of one picture twice"
        assert len(np.unique(codes[:, 0, 0])) == 4


def test_samples_and_the_grid_are_of_the_codes_that_they_say() -> None:
    model = telling()
    z = model.sample(6, tg.Generator().manual_seed(0)).numpy().reshape(6, 64)
    assert len(np.unique(z[:, 0])) == 6  # each of its own identity
    z = model.sample(6, tg.Generator().manual_seed(0), each=3).numpy().reshape(6, 64)
    assert (z[:3, :3] == z[0, :3]).all() and (z[3:, :3] == z[3, :3]).all() and z[0, 0] != z[3, 0]
    who, how = model.draw(4).split([3, 2], 1)
    cells = model.grid(who, how[:3]).numpy().reshape(4, 3, 64)
    assert (cells[:, :, :3] == who.numpy()[:, None]).all()  # a row: an identity
    assert (cells[:, :, 3:5] == how.numpy()[None, :3]).all()  # a column: an observation


# --- the Siamese discriminator ----------------------------------------------------------------


def test_both_pictures_are_seen_with_the_same_weights_and_apart() -> None:
    D, x = small().D, tg.rand(5, 2, 8, 8, dtype="float64")
    one, other = D.encoder(x[:, :1]), D.encoder(x[:, 1:])
    by_hand = D.judge(tg.cat([one, other], 1)).detach().numpy()
    assert np.allclose(D(x).detach().numpy(), by_hand, rtol=0, atol=1e-14)
    again = D(x.flip(0)).detach().numpy()[::-1]  # and no example knows of another
    assert np.allclose(again, by_hand, rtol=0, atol=1e-14)
    assert D(x.flip(1)).shape == (5,)


@pytest.mark.parametrize("side", [8, 12, 28, 32])
@pytest.mark.parametrize("norm", ["layer", "batch", "none", "spectral"])
def test_sides_and_norms(side: int, norm: str) -> None:
    G, D = nets.siamese_dcgan((3, side, side), 4, 2, norm=norm)
    assert G(tg.zeros(4, 4)).shape == (4, 3, side, side)
    assert D(tg.rand(2, 6, side, side)).shape == (2,)


def relation_seen(real: str) -> float:
    """The AUC by which D tells light or dark pairs from mixed ones, after some real pairs."""
    tg.manual_seed(0)
    rng = np.random.default_rng(0)
    _, D = nets.siamese_dcgan((1, 8, 8), 1, 4, norm="none")

    def law(n: int, name: str) -> tuple[tg.Tensor, np.ndarray]:
        level = rng.choice([-1.0, 1.0], (n, 2))
        if name == "matched":
            level[:, 1] = level[:, 0]
        x = level[:, :, None, None] + 0.3 * rng.standard_normal((n, 2, 8, 8))
        return tg.tensor(x.astype(np.float32)), level[:, 0] == level[:, 1]

    opt = tg.optim.Adam(D.parameters(), lr=5e-3, betas=(0.5, 0.999))
    for _ in range(60):
        loss = gan.cross_entropy(D(law(32, real)[0]), D(law(32, "any")[0]))
        opt.zero_grad()
        loss.backward()
        opt.step()
    x, one = law(600, "any")
    out = D(x).detach().numpy()
    return tg.metrics.roc_auc(out[one], out[~one])


def test_d_learns_what_the_two_of_a_pair_have_in_common() -> None:
    """Each picture of the samples is as the data's: only the pair gives them away."""
    assert relation_seen("matched") > 0.95
    assert 0.35 < relation_seen("any") < 0.65  # real pairs of any two: nothing to learn


# --- the two faults of the notes' pseudo-code ---------------------------------------------------


def values(eta: float, steps: int = 25) -> list[float]:
    """V before each of D's steps theta <- theta + eta grad V, and after the last one."""
    model = small(width=4)
    x, found = tg.rand(8, 1, 8, 8, dtype="float64"), []
    opt = tg.optim.SGD(model.D.parameters(), lr=eta)
    for _ in range(steps + 1):
        tg.manual_seed(7)  # the same samples each time: V is one function of theta
        loss = model.discriminator_terms((x,))["loss"]
        found.append(-loss.item())
        opt.zero_grad()
        loss.backward()
        opt.step()
    return found


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_fault_one_a_step_without_a_learning_rate_does_not_climb() -> None:
    with_eta, without = values(0.02), values(1.0)
    assert with_eta[0] == without[0] == pytest.approx(-np.log(4), abs=0.05)
    assert with_eta[-1] > with_eta[0] + 0.01
    assert not without[-1] > without[0]  # NaN: it has run away


def test_fault_two_g_does_not_descend_v_itself() -> None:
    """Where D is sure, log(1 - D) has no slope; the default is -log D, which has."""
    slopes = {}
    for name in ("default", "minimax"):
        model = small(**({} if name == "default" else {"objective": name}))
        model.D.judge[-2].bias._array[...] = -10.0  # D(G(z)) = 5e-5, as at the start of training
        with gan.frozen(model.D):
            model.generator_terms(8)["loss"].backward()
        slopes[name] = max(float(abs(p.grad.numpy()).max()) for p in model.G.parameters())
    assert slopes["default"] == pytest.approx(slopes["minimax"] * np.exp(10), rel=0.05)
    assert small().objective_name == "non_saturating"


# --- what cannot be -----------------------------------------------------------------------------


def test_refusals() -> None:
    with pytest.raises(ValueError, match="batch of 5 cannot be packed by 2"):
        small().discriminator_terms((tg.zeros(5, 1, 8, 8, dtype="float64"),))
    with pytest.raises(ValueError, match=r"SDGAN.*identity"):
        small(identity=0)
    with pytest.raises(ValueError, match="all 6 items are of one identity; two or more are needed"):
        data.PairSampler(tg.zeros(6, dtype="int64"))
    with pytest.raises(ValueError, match="3 channels are not those of 2 pictures"):
        small().D(tg.zeros(5, 3, 8, 8, dtype="float64"))


def test_a_penalty_is_about_pairs() -> None:
    """R1 of a pair is by both its pictures; its own gradient, order 2, against differences."""
    plain, x = small(width=4), tg.rand(6, 1, 8, 8, dtype="float64")
    model = SDGAN(plain.G, plain.D, "non_saturating", 3, 2, penalty="r1")
    penalty = model.discriminator_terms((x,))["penalty"]
    pairs = gan.pack(x, 2)
    slopes = [gan.input_gradients(model.D, pairs[i : i + 1]).square().sum() for i in range(3)]
    assert penalty.item() == pytest.approx(np.mean([s.item() for s in slopes]) / 2, rel=1e-12)
    penalty.backward()
    weight = model.D.encoder[0].weight
    slope, w = weight.grad[1, 0, 2, 2].item(), weight._array
    moved = []
    for h in (1e-5, -2e-5):
        w[1, 0, 2, 2] += h
        moved.append(model.discriminator_terms((x,))["penalty"].item())
    assert slope == pytest.approx((moved[0] - moved[1]) / 2e-5, rel=1e-4) and slope != 0
