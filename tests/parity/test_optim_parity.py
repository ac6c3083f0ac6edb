"""Optimizers and schedules step by step beside PyTorch's."""

import itertools

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the parity suite needs PyTorch")

from tinygen import optim  # noqa: E402
from tinygen.tensor import wrap  # noqa: E402

SHAPES = [(), (4,), (3, 5), (2, 3, 3, 3)]
OPTIMIZERS = [
    ("SGD", {"lr": 0.02}),
    ("SGD", {"lr": 0.02, "momentum": 0.9}),
    ("SGD", {"lr": 0.02, "momentum": 0.9, "dampening": 0.5, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.02, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.002, "momentum": 0.5, "maximize": True, "weight_decay": 0.1}),
    ("Adagrad", {}),
    ("Adagrad", {"lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.2}),
    ("Adagrad", {"eps": 1e-3, "maximize": True, "lr": 1e-3}),
    ("RMSprop", {}),
    ("RMSprop", {"alpha": 0.9, "eps": 1e-3, "weight_decay": 0.1}),
    ("RMSprop", {"centered": True, "momentum": 0.9, "lr": 1e-3}),
    ("RMSprop", {"lr": 1e-3, "maximize": True}),
    ("Adam", {}),
    ("Adam", {"lr": 0.02, "betas": (0.5, 0.9), "eps": 1e-3, "weight_decay": 0.1}),
    ("Adam", {"lr": 0.02, "amsgrad": True}),
    ("Adam", {"lr": 0.02, "betas": (0.0, 0.9)}),
    ("AdamW", {"lr": 0.02}),
    ("AdamW", {"lr": 0.02, "weight_decay": 0.3, "amsgrad": True, "maximize": True}),
]


def twins(dtype, seed=0):
    """The same parameters for both sides."""
    rng = np.random.default_rng(seed)
    arrays = [np.asarray(rng.normal(size=shape), dtype=dtype) for shape in SHAPES]
    ours = [wrap(a.copy()).requires_grad_() for a in arrays]
    return ours, [torch.from_numpy(a.copy()).requires_grad_() for a in arrays]


def feed(ours, theirs, rng):
    """The gradient of a bowl, with the same noise for both sides."""
    for p, q in zip(ours, theirs, strict=True):
        noise = np.asarray(rng.normal(size=p.shape), dtype=p.dtype)
        p.grad = wrap(np.asarray(p._array + noise))
        q.grad = q.detach() + torch.from_numpy(noise)


def assert_same(ours, theirs, dtype):
    rtol = 1e-11 if dtype is np.float64 else 2e-4
    for p, q in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(p._array, q.detach().numpy(), rtol=rtol, atol=rtol / 20)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name, options", OPTIMIZERS)
def test_200_steps(name, options, dtype):
    ours, theirs = twins(dtype)
    a, b = getattr(optim, name)(ours, **options), getattr(torch.optim, name)(theirs, **options)
    rng = np.random.default_rng(1)
    for _ in range(200):
        feed(ours, theirs, rng)
        a.step()
        b.step()
    assert_same(ours, theirs, dtype)


@pytest.mark.parametrize("name, options", OPTIMIZERS)
def test_state_dicts_load_both_ways(name, options):
    """20 steps, exchange the optimizers' states, 20 steps more."""
    ours, theirs = twins(np.float64)
    a, b = getattr(optim, name)(ours, **options), getattr(torch.optim, name)(theirs, **options)
    rng = np.random.default_rng(2)
    for _ in range(20):
        feed(ours, theirs, rng)
        a.step()
        b.step()
    from_a, from_b = a.state_dict(), b.state_dict()
    assert {i: set(s) for i, s in from_a["state"].items()} == {
        i: set(s) for i, s in from_b["state"].items()
    }
    for i, state in from_a["state"].items():
        for key, value in state.items():
            value = torch.from_numpy(value._array.copy()) if key != "step" else torch.tensor(value)
            from_b["state"][i][key] = value.double() if key != "step" else value.float()
    a2, b2 = getattr(optim, name)(ours, lr=9.0), getattr(torch.optim, name)(theirs, lr=9.0)
    a2.load_state_dict(b.state_dict())
    b2.load_state_dict(from_b)
    for _ in range(20):
        feed(ours, theirs, rng)
        a2.step()
        b2.step()
    assert_same(ours, theirs, np.float64)


@pytest.mark.parametrize("nesterov", [True, False])
@pytest.mark.parametrize("adjust", [None, "original", "match_rms_adamw"])
@pytest.mark.parametrize("shape", [(6, 6), (4, 9), (9, 4)])
def test_muon(shape, adjust, nesterov):
    """PyTorch's iterates in bfloat16, three digits: the way that was gone is compared."""
    rng = np.random.default_rng(0)
    start = rng.normal(size=shape).astype(np.float32)
    p = wrap(start.copy()).requires_grad_()
    q = torch.from_numpy(start.copy()).requires_grad_()
    options = {"lr": 0.01, "momentum": 0.9, "nesterov": nesterov, "adjust_lr_fn": adjust}
    a, b = optim.Muon([p], **options), torch.optim.Muon([q], **options)
    for _ in range(5):
        feed([p], [q], rng)
        a.step()
        b.step()
    ours, theirs = p._array - start, q.detach().numpy() - start
    assert np.abs(ours - theirs).max() < 0.03 * np.abs(theirs).max()


def test_defaults_are_pytorchs():
    ours, theirs = ([p for p in side if p.ndim == 2] for side in twins(np.float32))
    for name in ("SGD", "Adagrad", "RMSprop", "Adam", "AdamW", "Muon"):
        mine = getattr(optim, name)(ours).defaults
        torchs = getattr(torch.optim, name)(theirs).defaults
        assert mine == {key: torchs[key] for key in mine}


def schedules(module, o):
    """One schedule of each kind; `module` is tinygen's or torch's lr_scheduler."""
    s = module
    return {
        "lambda": lambda: s.LambdaLR(o, [lambda t: 0.9**t, lambda t: 1 / (1 + t)]),
        "step": lambda: s.StepLR(o, 3, gamma=0.3),
        "multistep": lambda: s.MultiStepLR(o, [4, 4, 11], gamma=0.3),
        "exponential": lambda: s.ExponentialLR(o, 0.93),
        "cosine": lambda: s.CosineAnnealingLR(o, 7, eta_min=0.01),
        "linear": lambda: s.LinearLR(o, 0.2, 0.9, 10),
        "warm-up": lambda: s.SequentialLR(
            o, [s.LinearLR(o, 0.1, total_iters=5), s.CosineAnnealingLR(o, 20)], [5]
        ),
        "three": lambda: s.SequentialLR(
            o, [s.LinearLR(o), s.ExponentialLR(o, 0.9), s.StepLR(o, 2)], [6, 13]
        ),
        "constant": lambda: s.ConstantLR(o, 0.3, 7),
        "restarts": lambda: s.CosineAnnealingWarmRestarts(o, 4, 2, eta_min=0.01),
        "cyclic": lambda: s.CyclicLR(o, 0.1, [0.5, 0.7], 5, 7),
        "cyclic halves": lambda: s.CyclicLR(o, 0.1, 0.5, 4, mode="triangular2", base_momentum=0.7),
        "cyclic range": lambda: s.CyclicLR(o, 0.1, 0.5, 4, mode="exp_range", gamma=0.9),
        "cyclic scaled": lambda: s.CyclicLR(
            o, 0.1, 0.5, 4, scale_fn=lambda x: 1 / x**2, cycle_momentum=False
        ),
        "one cycle": lambda: s.OneCycleLR(o, [0.5, 0.9], 45),
        "one line": lambda: s.OneCycleLR(
            o, 0.5, epochs=5, steps_per_epoch=9, anneal_strategy="linear", pct_start=0.25
        ),
        "three phases": lambda: s.OneCycleLR(o, 0.5, 46, three_phase=True, base_momentum=0.6),
        "overlapping": lambda: s.SequentialLR(
            o, [s.LinearLR(o, total_iters=9), s.MultiStepLR(o, [3, 8])], [4]
        ),
    }


NAMES = list(schedules(None, None))


def run(library, lr_scheduler, params, names, by_hand=None):
    opt = library.SGD([{"params": params[:2]}, {"params": params[2:], "lr": 0.3}], lr=0.5)
    made = [schedules(lr_scheduler, opt)[name]() for name in names]
    rows = [[g[key] for g in opt.param_groups for key in ("lr", "momentum")]]
    for t in range(45):
        opt.step()
        for schedule in made:
            schedule.step()
        if t == by_hand:
            opt.param_groups[0]["lr"] = 0.123
        rows.append([g[key] for g in opt.param_groups for key in ("lr", "momentum")])
    return rows


@pytest.mark.parametrize(
    "names",
    [[n] for n in NAMES] + [list(p) for p in itertools.combinations(NAMES[1:6], 2)],
    ids="+".join,
)
@pytest.mark.parametrize("by_hand", [None, 12])
def test_schedules(names, by_hand):
    ours, theirs = twins(np.float64)
    mine = run(optim, optim.lr_scheduler, ours, names, by_hand)
    torchs = run(torch.optim, torch.optim.lr_scheduler, theirs, names, by_hand)
    np.testing.assert_allclose(mine, torchs, rtol=1e-10, atol=1e-16)


def test_a_figure_that_stops_getting_better():
    rng = np.random.default_rng(0)
    losses = np.round(np.abs(rng.normal(size=60)) + np.linspace(2, 0, 60), 2)
    for options in (
        {"patience": 2}, {"mode": "max", "patience": 1, "factor": 0.5, "cooldown": 3},
        {"threshold_mode": "abs", "threshold": 0.3, "patience": 3, "min_lr": [0.01, 0.2]},
        {"mode": "max", "threshold_mode": "abs", "threshold": 0.1, "patience": 0, "eps": 1e-2},
    ):  # fmt: skip
        found = []
        for library, p in zip((optim, torch.optim), twins(np.float64), strict=True):
            o = library.SGD([{"params": p[:2]}, {"params": p[2:], "lr": 0.3}], lr=0.5)
            s = library.lr_scheduler.ReduceLROnPlateau(o, **options)
            rows = []
            for loss in [*losses, float("nan"), *losses]:
                s.step(loss)
                rows.append([*s.get_last_lr(), s.best, s.num_bad_epochs])
            found.append(rows)
        np.testing.assert_allclose(*found, rtol=1e-12)


def test_beta1_goes_against_the_rate_and_time_may_be_a_fraction():
    found = []
    for library, p in zip((optim, torch.optim), twins(np.float64), strict=True):
        o = library.Adam(p, lr=0.1)
        s, rows = library.lr_scheduler.OneCycleLR(o, 0.5, 20), []
        for _ in range(20):
            o.step()
            s.step()
            rows.append([o.param_groups[0]["lr"], *o.param_groups[0]["betas"]])
        o = library.SGD(p, lr=0.1)
        s = library.lr_scheduler.CosineAnnealingWarmRestarts(o, 3, 2)
        for time in (0.5, 2.75, 3.5, 9.25, 20.125, None, None):
            s.step(time)
            rows.append([s.get_last_lr()[0], s.last_epoch, 0])
        found.append(rows)
    np.testing.assert_allclose(*found, rtol=1e-10)


@pytest.mark.parametrize("name", ["SGD", "Adagrad", "RMSprop", "Adam"])
def test_a_parameter_that_is_listed_twice_is_warned_of_and_changed_twice(name):
    ours, theirs = twins(np.float64)
    found = []
    for library, (p, *rest) in ((optim, ours), (torch.optim, theirs)):
        with pytest.warns(UserWarning, match="duplicate parameters") as caught:
            found.append(getattr(library, name)([p, rest[0], p, p], lr=0.02))
        assert library is not optim or caught[0].filename == __file__
    rng = np.random.default_rng(3)
    for _ in range(3):
        feed(ours, theirs, rng)
        for o in found:
            o.step()
    assert_same(ours, theirs, np.float64)
    a, b = (o.state_dict()["param_groups"][0]["params"] for o in found)
    assert a == b
