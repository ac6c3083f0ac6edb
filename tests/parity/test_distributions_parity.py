"""Distributions beside PyTorch's: log_prob, entropy, cdf, moments, divergences, their gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygen as tg
from tinygen.testing import check_grads

torch: Any = pytest.importorskip("torch", reason="parity needs PyTorch: pip install torch")
RNG = np.random.default_rng(0)


def normal(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape)


def positive(*shape: int) -> np.ndarray:
    return RNG.uniform(0.5, 3.0, shape)


def shares(*shape: int) -> np.ndarray:
    x = positive(*shape)
    return x / x.sum(-1, keepdims=True)


def spd(*batch: int) -> np.ndarray:
    a = RNG.standard_normal((*batch, 3, 3))
    return a @ np.swapaxes(a, -1, -2) + 3 * np.eye(3)


def tril(*batch: int) -> np.ndarray:
    return np.linalg.cholesky(spd(*batch))


def logistic(D: Any, loc: Any, scale: Any) -> Any:
    base = D.Uniform(loc * 0, loc * 0 + 1)
    return D.TransformedDistribution(
        base, [D.SigmoidTransform().inv, D.AffineTransform(loc, scale)]
    )


def squashed(D: Any, loc: Any, scale: Any) -> Any:
    base = D.Independent(D.Normal(loc, scale), 1)
    return D.TransformedDistribution(base, [D.TanhTransform(), D.AffineTransform(0.5, 2.0)])


def log_normal(D: Any, loc: Any, scale: Any) -> Any:
    return D.TransformedDistribution(D.Normal(loc, scale), D.ExpTransform())


def turned(D: Any, loc: Any, scale: Any) -> Any:
    parts = [D.AffineTransform(loc, -scale, event_dim=1), D.SigmoidTransform()]
    return D.TransformedDistribution(D.Normal(loc * 0, scale), D.ComposeTransform(parts))


def mixture(D: Any, logits: Any, loc: Any, scale: Any) -> Any:
    return D.MixtureSameFamily(D.Categorical(logits=logits), D.Normal(loc, scale))


def planar_mixture(D: Any, logits: Any, loc: Any, scale: Any) -> Any:
    parts = D.Independent(D.Normal(loc, scale), 1)
    return D.MixtureSameFamily(D.Categorical(logits=logits), parts)


# The distribution of its parameters, the parameters, values to ask about.
CASES: dict[str, tuple[Any, list[np.ndarray], np.ndarray]] = {
    "Normal": (lambda D, *p: D.Normal(*p), [normal(3), positive(3)], normal(4, 3)),
    "Normal of a number": (lambda D, p: D.Normal(p, 2.0), [normal(3)], normal(3)),
    "Laplace": (lambda D, *p: D.Laplace(*p), [normal(3), positive(3)], normal(4, 3)),
    "Uniform": (lambda D, *p: D.Uniform(*p), [-positive(3), positive(3)], normal(4, 3) * 0.2),
    "Bernoulli": (lambda D, p: D.Bernoulli(p), [shares(3)], np.array([[0, 1, 1], [1.0, 0, 1]])),
    "Bernoulli logits": (lambda D, p: D.Bernoulli(logits=p), [normal(3)], np.array([0, 1.0, 1])),
    "Categorical": (lambda D, p: D.Categorical(p), [positive(2, 4)], np.array([[0, 3], [2, 1]])),
    "Categorical logits": (
        lambda D, p: D.Categorical(logits=p), [normal(2, 4)], np.array([[[0], [3]]]),
    ),
    "Gamma": (lambda D, *p: D.Gamma(*p), [positive(3), positive(3)], positive(4, 3)),
    "Beta": (lambda D, *p: D.Beta(*p), [positive(3), positive(3)], shares(4, 3)),
    "Dirichlet": (lambda D, p: D.Dirichlet(p), [positive(2, 3)], shares(4, 2, 3)),
    "MVN": (lambda D, *p: D.MultivariateNormal(*p), [normal(3), spd()], normal(4, 3)),
    "MVN batch": (
        lambda D, p, s: D.MultivariateNormal(p, scale_tril=s), [normal(2, 3), tril(2)],
        normal(4, 2, 3),
    ),
    "MVN precision": (
        lambda D, p, s: D.MultivariateNormal(p, precision_matrix=s), [normal(2, 3), spd()],
        normal(2, 3),
    ),
    "Independent": (
        lambda D, *p: D.Independent(D.Normal(*p), 1), [normal(2, 3), positive(2, 3)], normal(2, 3),
    ),
    "Mixture": (mixture, [normal(4), normal(4), positive(4)], normal(5)),
    "Mixture batch": (mixture, [normal(2, 4), normal(2, 4), positive(2, 4)], normal(5, 2)),
    "Mixture of vectors": (
        planar_mixture, [normal(4), normal(4, 2), positive(4, 2)], normal(5, 2),
    ),
    "logistic": (logistic, [normal(3), positive(3)], normal(4, 3)),
    "squashed": (squashed, [normal(2, 3), positive(2, 3)], 0.5 + 1.8 * np.tanh(normal(2, 3))),
    "log-normal": (log_normal, [normal(3), positive(3)], positive(4, 3)),
    "turned": (turned, [normal(2, 3), positive(2, 3)], shares(2, 3)),
}  # fmt: skip
SCALARS = ["entropy", "mean", "variance", "stddev", "mode"]


def both(name: str) -> list[tuple[Any, Any, list[Any], Any]]:
    """(library, distribution, parameters, value), here and there."""
    make, arrays, value = CASES[name]
    found = []
    for library in (tg, torch):
        params = [library.tensor(a).requires_grad_() for a in arrays]
        made = make(library.distributions, *params)
        x = library.tensor(value)
        found.append((library, made, params, x.requires_grad_(x.is_floating_point())))
    return found


def agree(name: str, ask: Any, rtol: float = 1e-9) -> None:
    """ask(distribution, value): the same numbers and the same gradients, here and there."""
    found = []
    for library, made, params, value in both(name):
        out = ask(made, value)
        rows = [out.detach().numpy()]
        if out.requires_grad:
            u = library.tensor(np.random.default_rng(1).standard_normal(tuple(out.shape)))
            inputs = [*params, value] if value.requires_grad else params
            grads = library.autograd.grad((out * u).sum(), inputs, allow_unused=True)
            rows += [np.zeros(1) if g is None else g.numpy() for g in grads]
        found.append(rows)
    for ours, theirs in zip(*found, strict=True):
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=1e-10)


@pytest.mark.parametrize("name", CASES)
def test_shapes_and_log_prob(name: str) -> None:
    (_, ours, *_), (_, theirs, *_) = both(name)
    assert ours.batch_shape == tuple(theirs.batch_shape)
    assert ours.event_shape == tuple(theirs.event_shape)
    assert tuple(ours.sample((5, 2)).shape) == tuple(theirs.sample((5, 2)).shape)
    assert str(ours.sample().dtype) == str(theirs.sample().dtype).removeprefix("torch.")
    no_derivative = {"Gamma", "Beta", "Dirichlet"}
    assert ours.has_rsample == (theirs.has_rsample and name not in no_derivative)
    agree(name, lambda d, value: d.log_prob(value))


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("what", SCALARS)
def test_entropy_and_moments(name: str, what: str) -> None:
    def ask(d: Any, value: Any) -> Any:
        out = getattr(d, what)
        return out() if what == "entropy" else out

    try:
        _ = ask(both(name)[0][1], None)
    except NotImplementedError:  # and then PyTorch has none either, or it is not of the issue
        return
    agree(name, ask)


@pytest.mark.parametrize(
    "name", ["Normal", "Laplace", "Uniform", "logistic", "log-normal", "Mixture"]
)
def test_cdf_and_quantiles(name: str) -> None:
    agree(name, lambda d, value: d.cdf(value))
    if name != "Mixture":
        agree(name, lambda d, value: d.icdf(value.sigmoid()))


@pytest.mark.parametrize("name", CASES)
def test_log_prob_has_gradients_of_order_2(name: str) -> None:
    make, arrays, value = CASES[name]
    constraints_break = name.startswith("MVN") or "Dirichlet" in name  # finite steps leave them

    def f(*params: Any) -> Any:
        tg.distributions.Distribution.set_default_validate_args(not constraints_break)
        try:
            if name in ("MVN", "MVN precision"):  # a symmetric matrix
                params = (params[0], (params[1] + params[1].mT) / 2)
            x = tg.tensor(value)
            x = x.to(params[0].dtype) if x.is_floating_point() else x
            return make(tg.distributions, *params).log_prob(x)
        finally:
            tg.distributions.Distribution.set_default_validate_args(True)

    check_grads(f, *[tg.tensor(a) for a in arrays], order=2)


@pytest.mark.parametrize("name", [n for n in CASES if both(n)[0][1].has_rsample])
def test_a_draw_has_the_pathwise_gradient(name: str) -> None:
    """d/dp of F(x(p); p) = u, u fixed: by the draw's gradient, in the mean over draws E x."""
    _, made, params, _ = both(name)[0]
    tg.manual_seed(1)
    x = made.rsample((20000,))
    assert x.requires_grad and not made.sample().requires_grad
    grads = tg.autograd.grad(x.mean(0).sum(), params, allow_unused=True)
    try:
        expected = tg.autograd.grad(made.mean.sum(), params, allow_unused=True)
    except NotImplementedError:
        return
    for g, e in zip(grads, expected, strict=True):
        if e is not None:
            np.testing.assert_allclose(g.numpy(), e.numpy(), atol=0.05)


@pytest.mark.parametrize("name", CASES)
def test_draws_have_the_moments(name: str) -> None:
    _, made, _, _ = both(name)[0]
    tg.manual_seed(2)
    x = made.sample((40000,)).double()
    if name.startswith("Categorical"):
        counts = np.stack([(x == k).double().mean(0).numpy() for k in range(4)], -1)
        np.testing.assert_allclose(counts, made.probs.detach().numpy(), atol=0.012)
        return
    try:
        mean, std = made.mean.detach().numpy(), made.stddev.detach().numpy()
    except NotImplementedError:
        return
    np.testing.assert_allclose(x.mean(0).numpy(), mean, atol=5 * std.max() / 200)
    np.testing.assert_allclose(x.std(0).numpy(), std, rtol=0.04)


KL = ["Normal", "Laplace", "Bernoulli", "Bernoulli logits", "Categorical", "Categorical logits"]
KL += ["Gamma", "Beta", "Dirichlet", "MVN", "MVN batch", "MVN precision", "Independent"]


@pytest.mark.parametrize("name", KL)
def test_divergences(name: str) -> None:
    make, arrays, value = CASES[name]
    others = [a * 0.9 + 0.05 for a in arrays]
    if name.startswith("MVN"):
        others[1] = arrays[1] * 1.3
    others[0] = arrays[0][::-1].copy() * 0.9

    def ask(d: Any, value: Any) -> Any:
        library = tg if isinstance(value, tg.Tensor) else torch
        q = make(library.distributions, *map(library.tensor, others))
        kl = library.distributions.kl_divergence
        return kl(d, q) + 0.5 * kl(q, d)

    agree(name, ask)


def test_uniform_divergences_and_impossible_events() -> None:
    found = []
    for library in (tg, torch):
        D, t = library.distributions, library.tensor
        inside = D.kl_divergence(D.Uniform(0.0, 1.0), D.Uniform(t([-1.0, 0.5]), t([2.0, 3.0])))
        sure = D.kl_divergence(D.Bernoulli(t([0.0, 1.0, 0.3])), D.Bernoulli(t([0.5, 0.2, 0.0])))
        cats = D.kl_divergence(
            D.Categorical(t([[0.0, 1.0], [0.5, 0.5]])), D.Categorical(t([[0.5, 0.5], [1.0, 0.0]]))
        )
        found.append([inside.tolist(), sure.tolist(), cats.tolist()])
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)


def test_edges_of_the_support() -> None:
    found = []
    for library in (tg, torch):
        D, t = library.distributions, library.tensor
        rows = [
            D.Uniform(0.0, 2.0, validate_args=False).log_prob(t([-1.0, 0.0, 1.0, 2.0, 3.0])),
            D.Gamma(t([1.0, 2.0, 0.5]), 1.0, validate_args=False).log_prob(t([0.0, 0.0, 0.0])),
            D.Beta(t([1.0, 2.0]), t([1.0, 2.0])).log_prob(t([0.0, 1.0])),
            D.Dirichlet(t([1.0, 1.0, 1.0])).log_prob(t([0.0, 0.0, 1.0])),
            D.Bernoulli(t([0.0, 1.0])).log_prob(t([0.0, 1.0])),
            D.Bernoulli(t([0.0, 1.0, 0.4])).entropy(),
            D.Categorical(t([0.0, 1.0])).entropy(),
            D.Categorical(t([0.0, 1.0])).log_prob(t([1, 1])),
            D.Bernoulli(t([0.5, 0.3])).mode, D.Categorical(t([0.2, 0.8])).mean,
            D.Bernoulli(t([0.2, 0.3])).enumerate_support(),
            D.Categorical(t([[0.2, 0.3]])).enumerate_support(expand=False),
        ]  # fmt: skip
        found.append([row.tolist() for row in rows])
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_expanded_and_nested() -> None:
    for name, shape in (("Normal", (2, 3)), ("Categorical logits", (5, 2)), ("MVN", (4,)),
                        ("Mixture", (2,)), ("Independent", (6, 2)), ("logistic", (2, 3)),
                        ("Beta", (2, 3)), ("squashed", (4, 2))):  # fmt: skip
        (_, ours, *_), (_, theirs, *_) = both(name)
        a, b = ours.expand(shape), theirs.expand(shape)
        assert a.batch_shape == tuple(b.batch_shape) and a.event_shape == tuple(b.event_shape)
        assert tuple(a.sample().shape) == tuple(b.sample().shape)
        x = theirs.sample((7, *shape[: len(shape) - len(theirs.batch_shape)]))
        np.testing.assert_allclose(
            a.log_prob(tg.tensor(x.numpy())).detach().numpy(), b.log_prob(x).detach().numpy()
        )
        assert type(ours).__name__ in repr(ours)


@pytest.mark.parametrize(
    "name", ["ExpTransform", "SigmoidTransform", "SoftplusTransform", "TanhTransform"]
)
def test_transforms(name: str) -> None:
    x = normal(3, 4)
    found = []
    for library in (tg, torch):
        t, given = getattr(library.distributions, name)(), library.tensor(x, requires_grad=True)
        y = t(given)
        back = t.inv(y)
        rows = [y, back, t.log_abs_det_jacobian(given, y), t.inv.log_abs_det_jacobian(y, back)]
        rows += [library.autograd.grad(r.sum(), given, retain_graph=True)[0] for r in rows]
        found.append([row.detach().numpy() for row in rows])
        assert t.inv.inv is t
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)


def test_a_cached_transform_gives_back_what_it_was_given() -> None:
    x = tg.tensor([20.0, -30.0])  # tanh of which is 1 and -1
    t = tg.distributions.TanhTransform(cache_size=1)
    assert t.inv(t(x)) is x
    squashed = tg.distributions.TransformedDistribution(tg.distributions.Normal(x, 1.0), [t])
    assert bool(squashed.log_prob(squashed.rsample()).isfinite().all())


class Cube(tg.distributions.Transform):
    """A transform of one's own."""

    def _call(self, x: Any) -> Any:
        return x**3

    def _inverse(self, y: Any) -> Any:
        return y.sign() * y.abs() ** (1 / 3)

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        return (3 * x * x).log()


def test_a_transform_of_ones_own() -> None:
    cubed = tg.distributions.TransformedDistribution(tg.distributions.Normal(0.0, 1.0), Cube())
    y = np.array([-8.0, -0.3, 0.5, 27.0])
    x = np.cbrt(y)
    expected = -0.5 * x**2 - 0.5 * np.log(2 * np.pi) - np.log(3 * x**2)
    np.testing.assert_allclose(cubed.log_prob(tg.tensor(y)).numpy(), expected)


D = tg.distributions


@pytest.mark.parametrize(("call", "error", "says"), [
    (lambda: D.Normal(0.0, -1.0), ValueError, "Normal: expected scale to be > 0, got -1"),
    (lambda: D.Normal(tg.tensor([0.0, np.nan]), 1.0), ValueError, "expected loc to be a num"),
    (lambda: D.Normal(tg.zeros(2), tg.ones(3)), ValueError, "broadcast"),
    (lambda: D.Normal(0.0, 1.0).log_prob(3.0), ValueError, "a Tensor as value, got float"),
    (lambda: D.Normal(tg.zeros(2), 1.0).log_prob(tg.zeros(3)), ValueError, "does not broadcast"),
    (lambda: D.Uniform(1.0, 0.0), ValueError, "Uniform: expected low < high, got 1.0 and 0.0"),
    (lambda: D.Uniform(0.0, 1.0).log_prob(tg.tensor(2.0)), ValueError, r"in \[0, 1\], got 2"),
    (lambda: D.Bernoulli(), ValueError, "either probs or logits must be specified"),
    (lambda: D.Bernoulli(1.5), ValueError, r"expected probs to be in \[0, 1\], got 1.5"),
    (lambda: D.Bernoulli(0.5).log_prob(tg.tensor(0.5)), ValueError, "to be 0 or 1, got 0.5"),
    (lambda: D.Categorical(tg.ones(3)).log_prob(tg.tensor(3)), ValueError, "an integ"),
    (lambda: D.Categorical(0.3), ValueError, "Categorical: expected parameters"),
    (lambda: D.Gamma(1.0, 1.0).rsample(), NotImplementedError, "Gamma has no rsample: .*; use"),
    (lambda: D.Gamma(0.0, 1.0), ValueError, "expected concentration to be > 0, got 0"),
    (lambda: D.Dirichlet(tg.ones(2)).log_prob(tg.ones(2)), ValueError, "with the sum 1 over"),
    (lambda: D.MultivariateNormal(tg.zeros(2)), ValueError, "exactly one of covariance_matrix"),
    (lambda: D.MultivariateNormal(tg.zeros(2), tg.eye(3)), ValueError, r"\(2,\) and \(3, 3\)"),
    (lambda: D.MultivariateNormal(tg.zeros(2), -tg.eye(2)), RuntimeError, "positive"),
    (lambda: D.Independent(D.Normal(0.0, 1.0), 1), ValueError, "reinterpreted_batch_ndims <= 0"),
    (lambda: D.MixtureSameFamily(D.Normal(0.0, 1.0), D.Normal(0.0, 1.0)), ValueError, "a Categori"),
    (lambda: D.MixtureSameFamily(D.Categorical(tg.ones(2)), D.Normal(tg.zeros(3), 1.0)),
     ValueError, r"got \(3,\) and \(2,\)"),
    (lambda: D.kl_divergence(D.Normal(0.0, 1.0), D.Laplace(0.0, 1.0)), NotImplementedError,
     "no closed form here for Normal and Laplace; use the mean of"),
    (lambda: D.Normal(0.0, 1.0).enumerate_support(), NotImplementedError, "Normal has no enum"),
    (lambda: D.Poisson, AttributeError, "has no 'Poisson': distributions that no model here"),
    (lambda: D.Norml, AttributeError, "did you mean 'Normal'"),
])  # fmt: skip
def test_what_is_wrong_is_said(call: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_unchecked_where_it_is_not_wanted() -> None:
    assert D.Normal(0.0, -1.0, validate_args=False).scale.item() == -1.0
    D.Distribution.set_default_validate_args(False)
    try:
        assert D.Uniform(0.0, 1.0).log_prob(tg.tensor(2.0)).item() == -np.inf
    finally:
        D.Distribution.set_default_validate_args(True)
