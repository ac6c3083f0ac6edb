"""The progressive GAN: nothing jumps where it grows, and a run knows where it stands."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import tinygen as tg
from tinygen import models
from tinygen.models import gan, nets
from tinygen.models.gan import Growth, ProGAN, progan
from tinygen.run import Run

CONFIG = {"shape": (2, 16, 16), "latent": 5, "width": 2, "most": 4, "group": 2}
PAPER = {"objective": "wgan_gp"}


def small(seed: int = 0, **config: object) -> ProGAN:
    tg.manual_seed(seed)
    return progan.build(CONFIG | config).double()


def pictures(n: int, side: int) -> tg.Tensor:
    return tg.randn(n, 2, side, side, dtype="float64")


def np_of(x: tg.Tensor) -> np.ndarray:
    return x.detach().numpy()


# --- fade-in ----------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", [1, 2])
def test_growing_begins_with_what_stood_before(stage: int) -> None:
    """At alpha = 0 the new stage is the old one, to rounding: samples, verdicts and data."""
    model = small()
    z, old, data = model.draw(4), pictures(4, 4 * 2 ** (stage - 1)), pictures(4, 16)
    model.grow(stage - 1)
    before = [model.G(z), model.D(old), model.shown(data), model.sample(3, seeded())]
    model.grow(stage, 0.0)
    after = [model.G(z), model.D(nets.grown(old)), model.shown(data), model.sample(3, seeded())]
    before[0], before[2] = nets.grown(before[0]), nets.grown(before[2])
    for a, b in zip(before, after):
        assert a.shape == b.shape and np.allclose(np_of(a), np_of(b), rtol=0, atol=1e-12)


def seeded() -> tg.Generator:
    return tg.Generator().manual_seed(3)


@pytest.mark.parametrize("stage", [1, 2])
def test_growing_ends_with_the_new_block_alone(stage: int) -> None:
    model, side = small(), 4 * 2**stage
    z, x, data = model.draw(4), pictures(4, side), pictures(4, 16)
    found = {}
    for alpha in (0.0, 1 - 1e-9, 1.0):
        model.grow(stage, alpha)
        found[alpha] = [np_of(y) for y in (model.G(z), model.D(x), model.shown(data))]
    for near, end, start in zip(found[1 - 1e-9], found[1.0], found[0.0]):
        assert np.allclose(near, end, rtol=0, atol=1e-7) and abs(end - start).max() > 1e-3
    with tg.no_grad():  # what was there before is not asked any more
        model.G.to_rgb[stage - 1].weight.fill_(np.inf)
        model.D.from_rgb[stage - 1][0].weight.fill_(np.inf)
    assert np.isfinite(np_of(model.G(z))).all() and np.isfinite(np_of(model.D(x))).all()


def test_alpha_is_the_share_of_the_new() -> None:
    model, z, data = small(), small().draw(4), pictures(4, 16)
    at = {}
    for alpha in (0.0, 0.25, 1.0):
        model.grow(2, alpha)
        at[alpha] = np_of(model.G(z)), np_of(model.shown(data))
    for old, some, new in zip(at[0.0], at[0.25], at[1.0]):
        assert np.allclose(some, 0.75 * old + 0.25 * new, rtol=0, atol=1e-12)


def test_the_rise_of_alpha() -> None:
    growth = Growth((1, 16, 16), 10)
    assert [growth.at(step) for step in (1, 10)] == [(0, 1.0)] * 2
    assert [growth.at(step) for step in range(11, 17)] == [
        (1, 0.2), (1, 0.4), (1, 0.6), (1, 0.8), (1, 1.0), (1, 1.0)
    ]  # fmt: skip
    assert growth.at(21) == (2, 0.2) and growth.at(10**6) == (2, 1.0)
    assert Growth((1, 16, 16), 10, grow=False).at(1) == (2, 1.0)


def test_what_is_in_play_learns_and_the_rest_waits() -> None:
    model = small()
    for stage, alpha in ((0, 1.0), (1, 0.5), (1, 1.0), (2, 0.5)):
        model.grow(stage, alpha)
        model.zero_grad()
        model.discriminator_terms((pictures(4, 16),))["loss"].backward()
        with gan.frozen(model.D):
            model.generator_terms(4)["loss"].backward()
        for net, colours in ((model.G, model.G.to_rgb), (model.D, model.D.from_rgb)):
            learns = [all(p.grad is not None for p in part.parameters()) for part in net.blocks]
            assert learns == [k < stage for k in range(2)]
            learns = [all(p.grad is not None for p in part.parameters()) for part in colours]
            faded = stage - 1 if alpha < 1 else stage
            assert learns == [k in (faded, stage) for k in range(3)]


# --- the losses ---------------------------------------------------------------------------------


def test_wgan_gp_with_drift() -> None:
    """The loss is the critic's gap, 10 times the penalty and 0.001 E[D(x)^2] of the data."""
    model, x = small(**PAPER), pictures(4, 16)
    model.grow(2, 0.5)
    tg.manual_seed(5)
    terms = model.discriminator_terms((x,))
    on_real = np_of(model.D(model.shown(x)))
    by_hand = terms["fake"] - terms["real"] + 10 * terms["penalty"] + 1e-3 * (on_real**2).mean()
    assert terms["loss"].item() == pytest.approx(by_hand.item(), rel=1e-12)
    assert model.weight == 10 and not model.apart
    r1 = small(gamma=0.3)
    assert (r1.penalty_name, r1.weight, r1.objective_name) == ("r1", 0.3, "non_saturating")


def test_the_penalty_at_order_two_through_a_fade() -> None:
    model, x = small(), pictures(4, 16)
    model.grow(2, 0.5)
    look = lambda: gan.zero_on_data(model.D, model.shown(x), x)  # noqa: E731
    look().backward()
    for weight, at in (
        (model.D.blocks[1][0].weight, (1, 0, 2, 2)), (model.D.from_rgb[1][0].weight, (0, 1, 0, 0))
    ):  # fmt: skip
        slope, w, moved = weight.grad[at].item(), weight._array, []
        for h in (1e-5, -2e-5):
            w[at] += h
            moved.append(look().item())
        w[at] += 1e-5
        assert slope == pytest.approx((moved[0] - moved[1]) / 2e-5, rel=1e-4) and slope != 0


# --- state --------------------------------------------------------------------------------------


def test_a_checkpoint_knows_the_stage_and_the_fade(tmp_path: Path) -> None:
    model, growth = small().float(), Growth(CONFIG["shape"], 4)
    run = Run(tmp_path, config=CONFIG, system="progan")
    run.track(growth=growth, model=model)
    for step in run.steps(5):
        model.grow(*growth.at(step))
    _, _, again = models.restore(tmp_path / "last.npz")
    assert (again.stage, again.alpha) == (1, 0.5) and again.D.now == (1, 0.5)
    a, b = (np_of(m.eval().sample(3, seeded())) for m in (model, again))
    assert np.array_equal(a, b) and a.shape == (3, 2, 16, 16)
    assert np.array_equal(a[:, :, ::2, ::2], a[:, :, 1::2, 1::2])  # 8 pixels, drawn as 16


@pytest.mark.parametrize("other", [{"stage_steps": 5}, {"grow": False}, {"shape": (2, 8, 8)}])
def test_a_run_is_not_resumed_with_other_stages(tmp_path: Path, other: dict[str, object]) -> None:
    plan = {"shape": (2, 16, 16), "stage_steps": 4}
    run = Run(tmp_path)
    run.track(growth=Growth(**plan))
    list(run.steps(2))
    del run
    Run(tmp_path, resume=True).track(growth=Growth(**plan))
    with pytest.raises(RuntimeError, match=r"does not fit 'growth': it was grown by other stages: "
                       r"4, 8, 16 pixels, 4 steps each; asked for are "):  # fmt: skip
        Run(tmp_path, resume=True).track(growth=Growth(**(plan | other)))


@pytest.mark.parametrize("shape", [(1, 28, 28), (1, 12, 12), (1, 2, 2), (1, 16, 8), (16, 16)])
def test_sides_that_cannot_be_grown(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"progan: expected pictures \(C, S, S\), S = 4 times a "):
        progan.build({"shape": shape})


def test_refusals() -> None:
    with pytest.raises(ValueError, match=r"grow: expected a stage in 0\.\.2, got 3"):
        small().grow(3)
    with pytest.raises(ValueError, match=r"grow: expected alpha in \[0, 1\], got 1.5"):
        small().grow(1, 1.5)
    with pytest.raises(ValueError, match="Growth: expected stage_steps >= 1, got 0"):
        Growth((1, 8, 8), 0)
    with pytest.raises(RuntimeError, match="G makes samples"):
        small().discriminator_terms((pictures(4, 32),))
