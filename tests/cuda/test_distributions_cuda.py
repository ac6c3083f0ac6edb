"""Distributions on device="cuda", on the stand-in where there is no GPU: the same numbers."""

from __future__ import annotations

from typing import Any

import pytest
from test_device_cuda import _cuda as _cuda
from test_device_cuda import close
from test_device_cuda import pytestmark as pytestmark

import tinygen as tg
from tinygen import Tensor
from tinygen import distributions as D
from tinygen.testing import sample


def squashed(x: Tensor, s: Tensor) -> Any:
    parts = [D.TanhTransform(), D.AffineTransform(x, 2.0), D.SigmoidTransform().inv.inv]
    return D.TransformedDistribution(D.Normal(x, s), parts)


def gaussian(x: Tensor, s: Tensor) -> Any:
    return D.MultivariateNormal(x, s.unsqueeze(-1) * tg.eye(3, dtype=s.dtype, device=s.device))


CASES: dict[str, Any] = {
    "Normal": D.Normal,
    "Laplace": D.Laplace,
    "Uniform": lambda x, s: D.Uniform(x - s, x + s),
    "Bernoulli": lambda x, s: D.Bernoulli(logits=x),
    "Categorical": lambda x, s: D.Categorical(s),
    "Gamma": lambda x, s: D.Gamma(s, s + 1),
    "Beta": lambda x, s: D.Beta(s, s + 1),
    "Dirichlet": lambda x, s: D.Dirichlet(s),
    "MultivariateNormal": gaussian,
    "Independent": lambda x, s: D.Independent(D.Normal(x, s), 1),
    "MixtureSameFamily": lambda x, s: D.MixtureSameFamily(D.Categorical(s), D.Normal(x, s)),
    "TransformedDistribution": squashed,
}


@pytest.mark.parametrize("name", CASES)
def test_draws_and_densities(name: str) -> None:
    def run(device: str) -> list[Any]:
        tg.manual_seed(5)
        x = tg.tensor(sample((2, 3), 1)).to(device).requires_grad_()
        s = tg.tensor(sample((2, 3), 2, 0.5, 2.0)).to(device).requires_grad_()
        p = CASES[name](x, s)
        drawn = p.sample((4,))
        rows = [drawn, p.log_prob(drawn)]
        rows += [p.rsample()] if p.has_rsample else []
        if name not in ("MixtureSameFamily", "TransformedDistribution"):
            q = CASES[name](x * 0.5, s * 0.9) if name != "Uniform" else CASES[name](x, s * 2)
            rows += [p.entropy(), p.mean, p.variance, D.kl_divergence(p, q)]
        live = [row.sum() for row in rows if row.requires_grad]
        return [rows, list(tg.autograd.grad(live, [x, s], allow_unused=True))]

    with_nan = name == "Categorical"  # whose mean is none
    here, there = run("cuda"), run("cpu")
    if with_nan:
        here[0], there[0] = here[0][:3] + here[0][5:], there[0][:3] + there[0][5:]
    close(here, there)


def test_a_wrong_parameter_is_refused() -> None:
    with pytest.raises(ValueError, match="Normal: expected scale to be > 0, got -1"):
        D.Normal(tg.zeros(1, device="cuda"), -1.0).mean.item()
