"""The hierarchical VAE: K levels of codes, each the VAE of the one below.

    p(x, z_1..z_K) = p(z_K) p(z_{K-1}|z_K) ... p(z_1|z_2) p(x|z_1),     p(z_K) = N(0, I)
    q(z_1..z_K|x)  = q(z_1|x) q(z_2|z_1) ... q(z_K|z_{K-1})

    log p(x) >= E_q[ log p(x|z_1) - sum_k log q(z_k|z_{k-1}) / p(z_k|z_{k+1}) ],   z_0 = x.

Every arrow is a diagonal Gaussian whose network gives mean beside log_var. In `shared` all codes
have the same size and one network each way serves all of them, told the level; only between the
picture and its first code stand networks of their own. In `noised` the codes have the picture's
size too, and the way up is a fixed noise (`FixedNoise`): nothing but the way down is left to learn.
That is diffusion.

What goes wrong: the upper levels stay unused (their KL is 0) unless the KL's weight rises slowly
from 0; levels of noise need to be many, each step being small, and long training.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from ... import nn
from ...backend import Generator
from ...checks import positive
from ...ops import cat, full_like, randn, stack
from ...tape import no_grad
from ...tensor import Tensor
from ..likelihoods import (
    LIKELIHOODS,
    Likelihood,
    gaussian_log_prob,
    reparameterise,
    standard_normal_log_prob,
)
from ..nets.dense import mlp
from ..systems import NEEDED, settings, split
from .bounds import importance, iwae

__all__ = [
    "AtLevel", "FixedNoise", "HierarchicalELBO", "HierarchicalVAE", "OnItself", "build", "levels",
    "noised", "shared",
]  # fmt: skip


class HierarchicalELBO(NamedTuple):
    """The terms of the bound, in nats, each the mean over the batch (or (B,) with reduce=False)."""

    elbo: Tensor  # log_likelihood - beta (kls[0] + ... + kls[K-1])
    log_likelihood: Tensor  # log p(x|z_1)
    kls: Tensor  # (K,) or (K, B): log q(z_k|z_{k-1}) / p(z_k|z_{k+1}), one draw; on average a KL


class HierarchicalVAE(nn.Module):
    """encoders[k]: z_k -> mean beside log_var of z_{k+1}, from x = z_0 on, of sizes[k] dimensions.

    decoders[0]: z_1 -> what `likelihood` takes; decoders[k]: z_{k+1} -> mean beside log_var of z_k.
    Raises ValueError unless there are K >= 1 of each.

    >>> import tinygen as tg
    >>> config = {"shape": (1, 8, 8), "sizes": (4, 2), "hidden": 16}
    >>> model = tg.models.build("hierarchical", config)
    >>> for p in model.parameters():                   # q = p at both levels, 64 fair coins below
    ...     _ = tg.nn.init.zeros_(p)
    >>> bound = model(tg.zeros(5, 1, 8, 8))
    >>> round(bound.elbo.item(), 3), bound.kls.shape, model.sample(3).shape        # -64 log 2
    (-44.361, (2,), (3, 1, 8, 8))
    """

    classes = 0
    pixels = (0.0, 1.0)

    def __init__(
        self,
        encoders: Sequence[nn.Module],
        decoders: Sequence[nn.Module],
        likelihood: Likelihood,
        sizes: Sequence[int],
    ) -> None:
        super().__init__()
        if not len(encoders) == len(decoders) == len(sizes) >= 1:
            raise ValueError(
                "HierarchicalVAE: expected an encoder, a decoder and a size for each level; got "
                f"{len(encoders)}, {len(decoders)} and {len(sizes)}"
            )
        for size in sizes:
            positive("HierarchicalVAE", latent=size)
        self.encoders, self.decoders = nn.ModuleList(encoders), nn.ModuleList(decoders)
        self.likelihood, self.sizes = likelihood, tuple(sizes)

    def _moments(self, net: nn.Module, z: Tensor, size: int) -> tuple[Tensor, Tensor]:
        out = net(z)
        if out.ndim != 2 or out.shape[1] != 2 * size:
            raise RuntimeError(
                f"HierarchicalVAE: expected (B, {2 * size}), mean beside log_var of {size} "
                f"dimensions; the network returned {out.shape}"
            )
        mean, log_var = out.chunk(2, dim=1)
        return mean, log_var

    def up(
        self, x: Tensor, generator: Generator | None = None
    ) -> tuple[list[Tensor], list[Tensor]]:
        """A draw z_1..z_K of q, each (B, sizes[k]), and log q(z_k|z_{k-1}) of each, (B,) nats."""
        codes, log_q, z = [], [], x
        for encoder, size in zip(self.encoders, self.sizes, strict=True):
            mean, log_var = self._moments(encoder, z, size)
            z = reparameterise(mean, log_var, generator)
            codes.append(z)
            log_q.append(gaussian_log_prob(z, mean, log_var))
        return codes, log_q

    def log_prior(self, codes: list[Tensor]) -> list[Tensor]:
        """log p(z_k|z_{k+1}) for k = 1..K-1, then log p(z_K); each (B,) nats."""
        found = []
        for k, (below, above) in enumerate(zip(codes[:-1], codes[1:], strict=True)):
            moments = self._moments(self.decoders[k + 1], above, self.sizes[k])
            found.append(gaussian_log_prob(below, *moments))
        return [*found, standard_normal_log_prob(codes[-1])]

    def forward(
        self, x: Tensor, beta: float = 1.0, generator: Generator | None = None, reduce: bool = True
    ) -> HierarchicalELBO:
        """The ELBO of a batch x (B, ...) and its terms in nats, from one draw of all levels.

        beta weighs the KLs, 1 is the bound. reduce: means over the batch.
        """
        codes, log_q = self.up(x, generator)
        kls = stack([q - p for q, p in zip(log_q, self.log_prior(codes), strict=True)])
        log_likelihood = self.likelihood.log_prob(x, self.decoders[0](codes[0]))
        elbo = log_likelihood - beta * kls.sum(0)
        if not reduce:
            return HierarchicalELBO(elbo, log_likelihood, kls)
        return HierarchicalELBO(elbo.mean(), log_likelihood.mean(), kls.mean(1))

    def terms(self, batch: Tensor | Sequence[Tensor], beta: float = 1.0) -> dict[str, Tensor]:
        """loss = -(log_likelihood - beta kl) of a batch, its parts, and the ELBO (beta = 1)."""
        bound = self(split(batch)[0], beta)
        kl = bound.kls.sum()
        return {
            "loss": -bound.elbo,
            "elbo": bound.log_likelihood - kl,
            "log_likelihood": bound.log_likelihood,
            "kl": kl,
        }

    def log_weights(
        self,
        x: Tensor,
        k: int = 1,
        generator: Generator | None = None,
        labels: Tensor | None = None,
    ) -> Tensor:
        """log p(x, z_1..z_K) - log q(z_1..z_K|x) for k draws: (k, B)."""
        if labels is not None:
            raise ValueError("HierarchicalVAE: labels were given; this model has none")
        positive("HierarchicalVAE.log_weights", k=k)
        many = x.repeat(k, *[1] * (x.ndim - 1))
        return self(many, generator=generator, reduce=False).elbo.reshape(k, -1)

    def iwae(
        self, x: Tensor, k: int = 5, form: str = "bound", generator: Generator | None = None
    ) -> Tensor:
        """The importance-weighted bound of a batch, its mean in nats; `bounds.iwae` says more."""
        return iwae(self.log_weights(x, k, generator), form).mean()

    @no_grad()
    def log_prob(self, x: Tensor, samples: int = 100, generator: Generator | None = None) -> Tensor:
        """log p(x) of each example by importance sampling, (B,) nats; see bounds.importance."""
        return importance(self, x, samples, generator).log_p

    @no_grad()
    def reconstruct(self, x: Tensor) -> Tensor:
        """Decode the mean of q(z_1|x): (B, C, H, W) -> the same shape, no gradient."""
        mean, _ = self._moments(self.encoders[0], x, self.sizes[0])
        return self.likelihood.mean(self.decoders[0](mean))

    @no_grad()
    def sample(
        self,
        n: int,
        generator: Generator | None = None,
        labels: Tensor | None = None,
        noise: bool = False,
    ) -> Tensor:
        """n pictures: z_K from N(0, I), then down the chain; the mean of p(x|z_1), or with
        noise=True a draw from it. Where the picture is z_1 itself (`OnItself`) the mean is that of
        p(z_1|z_2): the noise of the last step is left out, as diffusion's samplers do.
        """
        if labels is not None:
            raise ValueError("HierarchicalVAE: labels were given; this model has none")
        like = next(chain(self.parameters(), self.buffers()))  # a level may have nothing to learn
        z = randn(n, self.sizes[-1], generator=generator, dtype=like.dtype, device=like.device)
        for k in range(len(self.sizes) - 1, 0, -1):
            moments = self._moments(self.decoders[k], z, self.sizes[k - 1])
            clean = k == 1 and not noise and isinstance(self.decoders[0], OnItself)
            z = moments[0] if clean else reparameterise(*moments, generator)
        out = self.decoders[0](z)
        return self.likelihood.sample(out, generator) if noise else self.likelihood.mean(out)


# --- reference networks -------------------------------------------------------------------------


def levels(
    shape: Sequence[int], sizes: Sequence[int], likelihood: Likelihood, hidden: int = 256
) -> HierarchicalVAE:
    """A model of K = len(sizes) levels with networks of their own, two hidden layers each.

    shape: that of x, (C, H, W). sizes: of z_1 .. z_K. ValueError for none.
    """
    if not sizes:
        raise ValueError("levels: expected at least one size")
    positive("levels", latent=min(sizes), hidden=hidden)
    first, last = _ends(shape, sizes[0], likelihood, hidden)
    pairs = list(zip(sizes[:-1], sizes[1:], strict=True))
    up = [mlp([below, hidden, hidden, 2 * above]) for below, above in pairs]
    down = [mlp([above, hidden, hidden, 2 * below]) for below, above in pairs]
    return HierarchicalVAE([first, *up], [last, *down], likelihood, sizes)


def _ends(
    shape: Sequence[int], size: int, likelihood: Likelihood, hidden: int
) -> tuple[nn.Module, nn.Module]:
    """The first encoder, x -> z_1 of `size` numbers, and the last decoder, z_1 -> x."""
    pixels = math.prod(shape)
    first = nn.Sequential(nn.Flatten(), *mlp([pixels, hidden, hidden, 2 * size]))
    last = mlp([size, hidden, hidden, likelihood.outputs * pixels])
    last.append(nn.Unflatten(1, (likelihood.outputs * shape[0], *shape[1:])))
    return first, last


class AtLevel(nn.Module):
    """One step of a network that all levels share: net([z, level]), mean beside log_var.

    The mean is z + net's mean: a small step from where it stands, as neighbouring levels of the
    same size are.
    """

    def __init__(self, net: nn.Module, level: float) -> None:
        super().__init__()
        self.net, self.level = net, level

    def forward(self, z: Tensor) -> Tensor:
        """z (B, ...) -> (B, 2 size), mean beside log_var."""
        z = z.flatten(1)
        at = full_like(z[:, :1].detach(), self.level)
        step, log_var = self.net(cat([z, at], 1)).chunk(2, dim=1)
        return cat([z + step, log_var], 1)


class FixedNoise(nn.Module):
    """q(z_k|z_{k-1}) = N(sqrt(1 - beta) z_{k-1}, beta I): an encoder with nothing to learn.

    >>> import tinygen as tg
    >>> mean, log_var = tg.models.vae.hierarchical.FixedNoise(0.36)(tg.ones(1, 1)).chunk(2, 1)
    >>> round(mean.item(), 6), round(log_var.exp().item(), 6)
    (0.8, 0.36)
    """

    def __init__(self, beta: float) -> None:
        super().__init__()
        if not 0.0 < beta < 1.0:
            raise ValueError(f"FixedNoise: expected 0 < beta < 1, got {beta}")
        self.beta = beta

    def forward(self, z: Tensor) -> Tensor:
        """z (B, ...) -> (B, 2 size), sqrt(1 - beta) z beside log beta."""
        z = z.flatten(1)
        return cat([math.sqrt(1.0 - self.beta) * z, full_like(z, math.log(self.beta))], 1)


class OnItself(nn.Module):
    """p(x|z_1) = N(z_1, variance): the picture is the first code, in the picture's shape."""

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__()
        self.shape = tuple(shape)

    def forward(self, z: Tensor) -> Tensor:
        """z (B, size) -> (B, *shape)."""
        return z.reshape(-1, *self.shape)


def shared(
    shape: Sequence[int], count: int, size: int, likelihood: Likelihood, hidden: int = 256
) -> HierarchicalVAE:
    """`count` codes of `size` numbers each, one network each way for all steps between them.

    The lecture notes' variant: a special first encoder, x -> z_1, and a special last decoder,
    z_1 -> x, go between the picture and the codes.
    """
    positive("shared", count=count, latent=size, hidden=hidden)
    first, last = _ends(shape, size, likelihood, hidden)
    up, down = (mlp([size + 1, hidden, hidden, 2 * size]) for _ in range(2))
    at = [float(t) for t in np.linspace(-1.0, 1.0, count)[1:]]
    return HierarchicalVAE(
        [first, *(AtLevel(up, t) for t in at)], [last, *(AtLevel(down, t) for t in at)],
        likelihood, [size] * count,
    )  # fmt: skip


def noised(
    shape: Sequence[int], betas: Sequence[float], likelihood: Likelihood, hidden: int = 256
) -> HierarchicalVAE:
    """Codes of the picture's own size, made by noise of these betas: the encoder is not learned.

    One network leads down from all of them. Takes a Gaussian likelihood, and pictures that are
    centred (data.to_symmetric).
    """
    positive("noised", count=len(betas), hidden=hidden)
    size = math.prod(shape)
    down = mlp([size + 1, hidden, hidden, 2 * size])
    at = np.linspace(-1.0, 1.0, len(betas) + 1)[1:-1]
    return HierarchicalVAE(
        [FixedNoise(beta) for beta in betas],
        [OnItself(shape), *(AtLevel(down, float(t)) for t in at)],
        likelihood, [size] * len(betas),
    )  # fmt: skip


def build(config: Mapping[str, Any]) -> HierarchicalVAE:
    """Levels of codes of these `sizes`; or `shared` levels of sizes[0] each, one network for all.

    fixed: the shared levels have the picture's own size, and the way up is noise, not learned;
    pictures in [-1, 1] and a Gaussian. Otherwise pictures are binary.
    """
    c = settings(
        "hierarchical", config, shape=NEEDED, sizes=(16, 8), shared=0, fixed=False, hidden=256
    )
    if c.fixed:
        betas = list(np.geomspace(0.05, 0.9, c.shared))
        model = noised(c.shape, betas, LIKELIHOODS["gaussian"](), c.hidden)
        model.pixels = (-1.0, 1.0)
        return model
    bernoulli = LIKELIHOODS["bernoulli"]()
    if c.shared:
        return shared(c.shape, c.shared, c.sizes[0], bernoulli, c.hidden)
    return levels(c.shape, c.sizes, bernoulli, c.hidden)
