"""The objectives of GANs in one table: what D and G minimise, and what follows for the densities.

A generator G turns noise z into samples; a discriminator D is trained to tell them from data; G is
trained on what D says. What D's output means is the first column of the table:

    logit   belief that x is data is sigmoid(output); at best log p_d(x)/p_g(x)
    score   a critic: the higher the more like data, no bound, no sigmoid
    energy  the lower the more like data (BEGAN's autoencoder error)

Networks end in this raw output, never in a sigmoid: losses are stable functions of it. All losses
are to be minimised, each is a mean over the batch. `OBJECTIVES[name]` is one row; a new objective
is one more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...backend import Array
from ...ops import exp, mean, relu, softplus, square
from ...tensor import Tensor

__all__ = [
    "Densities", "OBJECTIVES", "Objective", "critic_gap", "cross_entropy", "energy_gap",
    "hinge_d", "kl", "least_squares_d", "least_squares_divergence", "log_ratio", "loss_alone",
    "objective", "probability_real", "reverse_kl_minus_two_jsd", "two_jsd",
]  # fmt: skip

Densities = Callable[[Array, Array], Array]  # p_d(x), p_g(x) -> a number at each x

# --- losses of the discriminator, from its outputs for data and for samples -------------------


def cross_entropy(real: Tensor, fake: Tensor, target: float = 1.0) -> Tensor:
    """-E[t log D(x) + (1 - t) log(1 - D(x))] - E[log(1 - D(G(z)))]; t < 1 smooths one side.

    Its minimum over all D is at D = t p_d / (p_d + p_g) where t is 1 or smoothed, and with t = 1
    it is log 4 - 2 JSD(p_d, p_g) (Goodfellow et al. 2014, arXiv:1406.2661).

    >>> import tinygen as tg
    >>> undecided = tg.zeros(8)                        # D = 1/2 everywhere: log 4
    >>> tg.models.gan.cross_entropy(undecided, undecided)
    tensor(1.3863)
    """
    on_real = target * softplus(-real) + (1.0 - target) * softplus(real)
    return mean(on_real) + mean(softplus(fake))


def least_squares_d(real: Tensor, fake: Tensor, target: float = 1.0) -> Tensor:
    """1/2 E[(D(x) - t)^2] + 1/2 E[D(G(z))^2], t the target (Mao et al. 2016, arXiv:1611.04076).

    >>> import tinygen as tg
    >>> tg.models.gan.least_squares_d(real=tg.zeros(8), fake=tg.zeros(8))
    tensor(0.5)
    """
    return 0.5 * (mean(square(real - target)) + mean(square(fake)))


def critic_gap(real: Tensor, fake: Tensor) -> Tensor:
    """E[f(G(z))] - E[f(x)]: minus what a critic estimates W1 (times its Lipschitz constant) by.

    Arjovsky et al. 2017 (arXiv:1701.07875).

    >>> import tinygen as tg
    >>> tg.models.gan.critic_gap(real=tg.zeros(8) + 3, fake=tg.zeros(8))
    tensor(-3.)
    """
    return mean(fake) - mean(real)


def hinge_d(real: Tensor, fake: Tensor) -> Tensor:
    """E[max(0, 1 - D(x))] + E[max(0, 1 + D(G(z)))] (Lim and Ye 2017, arXiv:1705.02894).

    >>> import tinygen as tg
    >>> tg.models.gan.hinge_d(real=tg.zeros(8), fake=tg.zeros(8))
    tensor(2.)
    """
    return mean(relu(1.0 - real)) + mean(relu(1.0 + fake))


def energy_gap(real: Tensor, fake: Tensor) -> Tensor:
    """E[L(x)] - E[L(G(z))]; the model hands over k L(G(z)) (Berthelot et al., arXiv:1703.10717).

    >>> import tinygen as tg
    >>> tg.models.gan.energy_gap(real=tg.zeros(8), fake=tg.ones(8))
    tensor(-1.)
    """
    return mean(real) - mean(fake)


# --- densities on a grid: the best D, and what G then descends --------------------------------


def log_ratio(p: Array, q: Array) -> Array:
    """log(p / q), entry by entry, of positive densities: the best D's logit where p are the data.

    >>> import numpy as np, tinygen as tg
    >>> tg.models.gan.log_ratio(np.array([0.5, 0.5]), np.array([0.5, 0.25])).round(4).tolist()
    [0.0, 0.6931]
    """
    return np.log(p) - np.log(q)


def probability_real(p: Array, q: Array) -> Array:
    """p / (p + q), entry by entry: the best D of data p and samples q."""
    return p / (p + q)


def kl(p: Array, q: Array) -> Array:
    """The integrand p log(p / q) of KL(p || q), 0 where p is 0."""
    where = p > 0
    return np.where(where, p * np.log(np.where(where, p, 1.0) / np.where(where, q, 1.0)), 0.0)


def two_jsd(p: Array, q: Array) -> Array:
    """The integrand of 2 JSD = KL(p || m) + KL(q || m), m = (p + q) / 2, in nats.

    >>> import numpy as np, tinygen as tg
    >>> apart = tg.models.gan.two_jsd(np.array([1.0, 0.0]), np.array([0.0, 1.0]))
    >>> round(float(apart.sum()), 4)                   # its maximum, 2 log 2
    1.3863
    """
    return kl(p, (p + q) / 2) + kl(q, (p + q) / 2)


def reverse_kl_minus_two_jsd(p: Array, q: Array) -> Array:
    """The integrand of KL(q || p) - 2 JSD(p, q): what G's loss -log D descends.

    Arjovsky and Bottou 2017 (arXiv:1701.04862).
    """
    return kl(q, p) - two_jsd(p, q)


def least_squares_divergence(p: Array, q: Array) -> Array:
    """p f(q/p), f(u) = u/2 - log((1 + u)/2) - 1/(2 (1 + u)) - 1/4: convex, 0 at u = 1.

    Its slope f'(u) = (1 - D*)^2 / 2 is what G gets from the best D. (The Pearson chi^2 of the paper
    belongs to the codes -1, 1, 0 for fake, real and G's aim, not to the usual 0, 1, 1.)
    """
    u = q / p
    return p * (u / 2 - np.log((1 + u) / 2) - 1 / (2 * (1 + u)) - 0.25)


# --- the table --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Objective:
    """A row. `optimal` and `divergence` are functions of the densities p_d and p_g at x.

    discriminator: (real, fake), D's outputs (B,) each -> a scalar; generator: (fake,) -> a scalar.
    optimal: the best D's output. divergence: the integrand of what G descends against that D, that
    is d/dp_g of its integral is E_g's integrand of G's loss, D held fixed; None where neither is a
    function of the two densities at one point (`minimises` says what it is).

    >>> import tinygen as tg
    >>> row = tg.models.gan.OBJECTIVES["non_saturating"]
    >>> row.output, row.generator(tg.zeros(8)), row.minimises          # -log 1/2
    ('logit', tensor(0.6931), 'KL(p_g || p_d) - 2 JSD(p_d, p_g)')
    """

    output: str
    discriminator: Callable[..., Tensor]  # (real, fake), some with a target for the real ones
    generator: Callable[[Tensor], Tensor]  # of D's outputs for samples
    minimises: str
    optimal: Densities | None = None
    divergence: Densities | None = None
    penalty: str | None = None  # a key of PENALTIES
    weight: float = 0.0
    clip: float | None = None  # of D's weights after its step

    def belief(self, out: Tensor) -> Tensor:
        """The mean of what rises when D takes the samples for data."""
        return -mean(out) if self.output == "energy" else mean(out)


OBJECTIVES: dict[str, Objective] = {
    "minimax": Objective(
        "logit", cross_entropy, lambda fake: -mean(softplus(fake)),  # E log(1 - D)
        "2 JSD(p_d, p_g)", log_ratio, two_jsd,
    ),
    "non_saturating": Objective(
        "logit", cross_entropy, lambda fake: mean(softplus(-fake)),  # -E log D
        "KL(p_g || p_d) - 2 JSD(p_d, p_g)", log_ratio, reverse_kl_minus_two_jsd,
    ),
    "maximum_likelihood": Objective(
        "logit", cross_entropy, lambda fake: -mean(exp(fake)),  # -E D / (1 - D)
        "KL(p_d || p_g)", log_ratio, kl,
    ),
    "least_squares": Objective(
        "score", least_squares_d, lambda fake: 0.5 * mean(square(fake - 1.0)),
        "an f-divergence, see least_squares_divergence", probability_real, least_squares_divergence,
    ),
    "wgan": Objective(
        "score", critic_gap, lambda fake: -mean(fake),
        "K W1(p_d, p_g), K the (unknown) Lipschitz constant that clipping leaves", clip=0.01,
    ),
    "wgan_gp": Objective(
        "score", critic_gap, lambda fake: -mean(fake),
        "about W1(p_d, p_g)", penalty="interpolates", weight=10.0,
    ),
    "dragan": Objective(
        "logit", cross_entropy, lambda fake: mean(softplus(-fake)),
        "as non_saturating, D flat about the data", penalty="perturbed", weight=10.0,
    ),
    "began": Objective(
        "energy", energy_gap, lambda fake: mean(fake),
        "a lower bound of W1 between the laws of L(x) and L(G(z))",
    ),
    "hinge": Objective(
        "score", hinge_d, lambda fake: -mean(fake),
        "2 TV(p_d, p_g) = int |p_d - p_g|",
        lambda p, q: np.sign(p - q), lambda p, q: np.abs(p - q),
    ),
}  # fmt: skip


def objective(name: str) -> Objective:
    """The row called `name`; ValueError lists the names."""
    if name not in OBJECTIVES:
        raise ValueError(f"no GAN objective is called {name!r}; there are {', '.join(OBJECTIVES)}")
    return OBJECTIVES[name]


def loss_alone(model: str, name: str) -> Objective:
    """The row called `name`, for a model whose D is asked for nothing but its loss.

    ValueError for a row that needs a penalty, clipped weights or an energy.

    >>> import tinygen as tg
    >>> tg.models.gan.objectives.loss_alone("me", "hinge").output
    'score'
    """
    row = objective(name)
    if row.penalty or row.clip or row.output == "energy":
        raise ValueError(
            f"{model}: D of {name} needs a penalty, clipped weights or an energy; take a row "
            "without, as non_saturating, least_squares or hinge"
        )
    return row
