# %% [markdown]
# # Lesson 6: The ELBO, three ways
#
# > **Question.** A model with a hidden cause has a likelihood that nobody can compute. How can one
# > still maximise it, and how far off is what one maximises instead?
#
# The answer is a **lower bound**, the ELBO (evidence lower bound). At the end you can derive it in
# three ways: from Jensen's inequality, from Bayes' rule, and from importance weights. Each way
# shows something that the others hide: that it *is* a bound, how *large* the gap is, and how to
# *shrink* it. Everything is tried on a model whose likelihood is known exactly, so that no claim
# has to be believed.

# %%
import matplotlib.pyplot as plt
import numpy as np

import tinygen as tg
from tinygen.lessons import check

rng = np.random.default_rng(6)
plt.rcParams.update({"figure.dpi": 90, "axes.spines.top": False, "axes.spines.right": False})

# One hidden number z ~ N(0, 1); we see x = 1.5 z + 0.3 + noise of variance 0.5. We saw x = 2.
slope, offset, noise, seen = 1.5, 0.3, 0.5, 2.0
post_var = 1 / (1 + slope**2 / noise)
post_mean = post_var * slope * (seen - offset) / noise
total = slope**2 + noise
ceiling = -0.5 * (np.log(2 * np.pi * total) + (seen - offset) ** 2 / total)


def elbo_1d(mean, var):
    error = (seen - offset - slope * mean) ** 2 + slope**2 * var
    explains = -0.5 * (np.log(2 * np.pi * noise) + error / noise)
    return explains - 0.5 * (mean**2 + var - 1 - np.log(var))


figure, axes = plt.subplots(1, 2, figsize=(9, 3.2), sharey=True)
means, variances = np.linspace(-0.4, 2.3, 200), np.geomspace(0.01, 2, 200)
for var, style in [(0.02, "C1--"), (post_var, "C0-"), (0.8, "C2-.")]:
    axes[0].plot(means, elbo_1d(means, var), style, label=f"variance {var:.2f}")
for mean, style in [(0.2, "C1--"), (post_mean, "C0-"), (1.5, "C2-.")]:
    axes[1].plot(variances, elbo_1d(mean, variances), style, label=f"mean {mean:.2f}")
axes[0].set(xlabel="mean of $q$", ylabel="nats", title="the ELBO over the mean of $q$")
axes[1].set(xlabel="variance of $q$", xscale="log", title="and over its variance")
for ax in axes:
    ax.axhline(ceiling, color="k", ls=":", lw=1.5, label=r"$\log p(x)$")
    ax.set_ylim(ceiling - 4, ceiling + 0.4)
    ax.legend(frameon=False, fontsize=8)
figure.tight_layout()
plt.show()

# %% [markdown]
# *The dotted line is $\log p(x)$: one number, a ceiling. Each choice of a normal law $q$ gives an
# ELBO below it. Exactly one choice touches. Which one, and why none gets through, is this lesson.*
#
# ## 1. A model with a hidden cause
#
# First a **latent** vector $z$ is drawn from a fixed law $p(z)$, the **prior**. Then $x$ is drawn
# from a law that depends on it, $p_\theta(x \mid z)$, the **decoder** ($\theta$ are its
# parameters). We see $x$ only. How probable was it? All the $z$ that may have made it count, each
# with its share:
#
# $$
# p_\theta(x) = \int p_\theta(x \mid z) p(z) dz = \mathbb{E}_{z \sim p(z)}[p_\theta(x \mid z)]
# \tag{6.1}
# $$
#
# This number is called the **evidence** for $x$. The mixture of lesson 1 is the case where $z$ has
# $K$ values and the integral is a sum of $K$ terms.
#
# Our test case has $z$ in two dimensions and $x$ in three, and both laws are normal:
# $z \sim \mathcal{N}(0, I)$ and $x = W z + b$ plus noise of variance $\eta$ in each dimension, that
# is $p_\theta(x \mid z) = \mathcal{N}(x; W z + b, \eta I)$ with $\theta = (W, b, \eta)$. The cell
# computes the integral on a fine grid of $z$, and the mean on the right by drawing from the prior.

# %%
W = np.array([[1.0, 0.9], [0.8, 1.1], [0.5, -0.2]])
b = np.array([0.2, -0.1, 0.4])
eta = 0.25
D, d = W.shape  # dimensions of x and of z
x = W @ np.array([0.8, -0.3]) + b + np.sqrt(eta) * rng.standard_normal(D)


def log_normal(y, mean, cov):
    """log N(y; mean, cov) of every row of y, any covariance matrix."""
    root = np.linalg.cholesky(cov)
    white = np.linalg.solve(root, np.moveaxis(y - mean, -1, 0).reshape(len(cov), -1))
    square = (white**2).sum(0).reshape(np.shape(y - mean)[:-1])
    return -0.5 * (square + len(cov) * np.log(2 * np.pi)) - np.log(np.diag(root)).sum()


def log_decoder(z):
    return -0.5 * (((x - b - z @ W.T) ** 2).sum(-1) / eta + D * np.log(2 * np.pi * eta))


def log_prior(z):
    return -0.5 * ((z**2).sum(-1) + d * np.log(2 * np.pi))


axis = np.linspace(-9, 9, 401)
grid = np.stack(np.meshgrid(axis, axis), axis=-1)
cell = (axis[1] - axis[0]) ** 2

on_grid = (np.exp(log_decoder(grid) + log_prior(grid))).sum() * cell
check.mean("6.1", np.exp(log_decoder(rng.standard_normal((200_000, d)))), on_grid)

# %% [markdown]
# A sum of normal variables is normal. The mean of $x$ is $b$; its covariance is that of $W z$ plus
# that of the noise, $C = W W^\top + \eta I$. So in this model, and in hardly any other, the
# evidence is a formula:
#
# $$
# \log p_\theta(x) = -\frac{1}{2}
# \left( (x - b)^\top C^{-1} (x - b) + \log \det C + D \log 2\pi \right)
# \tag{6.2}
# $$
#
# ($D = 3$ is the dimension of $x$.)

# %%
C = W @ W.T + eta * np.eye(D)
log_p = -0.5 * (
    (x - b) @ np.linalg.solve(C, x - b) + np.linalg.slogdet(C)[1] + D * np.log(2 * np.pi)
)
check.equal("6.2", log_p, np.log(on_grid), tol=1e-12)

# %% [markdown]
# The other question one asks a latent model: which $z$ made this $x$? Bayes' rule gives the
# **posterior** $p_\theta(z \mid x) = p_\theta(x \mid z) p(z) / p_\theta(x)$. Its logarithm is
# quadratic in $z$, so it is normal too. Collect the terms in $z$: the quadratic ones give the
# inverse covariance $\Lambda$ (the **precision**), the linear ones then give the mean:
#
# $$
# p_\theta(z \mid x) = \mathcal{N}(z; \Lambda^{-1} W^\top (x - b) / \eta, \Lambda^{-1}),
# \quad \Lambda = I + W^\top W / \eta \tag{6.3}
# $$
#
# The cell compares this formula with Bayes' rule at 1000 random $z$.

# %%
Lam = np.eye(d) + W.T @ W / eta
S = np.linalg.inv(Lam)
m_post = S @ W.T @ (x - b) / eta
z = 2 * rng.standard_normal((1000, d))
check.equal("6.3", log_decoder(z) + log_prior(z) - log_p, log_normal(z, m_post, S), tol=1e-12)
correlation = S[0, 1] / np.sqrt(S[0, 0] * S[1, 1])
print(f"log p(x) = {log_p:.4f}; posterior mean {m_post.round(2)}, correlation {correlation:.2f}")

# %% [markdown]
# ## 2. Why the integral is hard
#
# With a neural network as decoder there is no formula, and a grid of 400 points an axis has
# $400^d$ points. But (6.1) is a mean. So draw $z_1, \dots, z_n$ from the prior and take the
# average of $p_\theta(x \mid z_i)$; call it $\hat p$. It is right on average. How far does it
# scatter? The variance of an average is the variance of one term over $n$. The square of a normal
# density is, up to a factor, a normal density of half the variance, so here the second moment is
# again an integral of the form (6.1):
#
# $$
# \frac{\mathrm{Var}[\hat p]}{p_\theta(x)^2}
# = \frac{1}{n} \left( \frac{\mathcal{N}(x; b, W W^\top + \frac{\eta}{2} I)}
# {(4 \pi \eta)^{D/2} p_\theta(x)^2} - 1 \right)
# \tag{6.4}
# $$
#
# We check it on the grid. Then we ask, for $W = I$ and a typical $x$, how many draws bring the
# relative error down to 10 %.


# %%
def second_moment(log_p, x, W, b, eta):
    """E[p(x|z)^2] / p(x)^2 under the prior."""
    half = W @ W.T + eta / 2 * np.eye(len(x))
    return np.exp(log_normal(x, b, half) - len(x) / 2 * np.log(4 * np.pi * eta) - 2 * log_p)


n = 50
squares = (np.exp(2 * log_decoder(grid) + log_prior(grid))).sum() * cell
left = (squares - on_grid**2) / n / on_grid**2
check.equal("6.4", left, (second_moment(log_p, x, W, b, eta) - 1) / n, tol=1e-10)
print("dimensions   draws for an error of 10 %   log p, exact   from 10,000 draws")
for dims in (1, 2, 5, 10, 20):
    eye, typical = np.eye(dims), np.full(dims, np.sqrt(1.1))  # x_i^2 = its mean, 1 + 0.1
    exact = log_normal(typical, np.zeros(dims), 1.1 * eye)
    needed = 100 * (second_moment(exact, typical, eye, np.zeros(dims), 0.1) - 1)
    draws = log_normal(rng.standard_normal((10_000, dims)), typical, 0.1 * eye)
    estimate = np.logaddexp.reduce(draws) - np.log(10_000)
    print(f"{dims:10} {needed:28.1e} {exact:14.2f} {estimate:19.2f}")

# %% [markdown]
# Each dimension multiplies the work by almost four. The reason: almost all $z$ of the prior
# explain this $x$ not at all, and the few that do are rarely drawn. The cure is forced: draw $z$
# where it matters.
#
# ## 3. The first way: Jensen's inequality
#
# Take *any* density $q(z)$ that is positive everywhere, and multiply and divide (6.1) by it. The
# mean is now over draws of $q$, and each carries an **importance weight** $w(z)$ that corrects for
# having been drawn from the wrong law:
#
# $$
# p_\theta(x) = \mathbb{E}_{z \sim q}[w(z)], \quad w(z) = \frac{p_\theta(x \mid z) p(z)}{q(z)}
# \tag{6.5}
# $$
#
# Our $q$ will be normal, with mean $m$ and covariance $V$; any numbers will do for the moment.

# %%
m, V = np.array([0.1, 1.3]), np.array([[0.40, -0.15], [-0.15, 0.35]])


def log_w(z, m, V):
    return log_decoder(z) + log_prior(z) - log_normal(z, m, V)


draws = m + rng.standard_normal((200_000, d)) @ np.linalg.cholesky(V).T
check.mean("6.5", np.exp(log_w(draws, m, V)), np.exp(log_p))

# %% [markdown]
# We want $\log p_\theta(x)$, the logarithm of a mean. The logarithm is concave: it bends
# downwards, so the logarithm of a mean is at least the mean of the logarithms (**Jensen's
# inequality**). With the weights inside:
#
# $$
# \log p_\theta(x) = \log \mathbb{E}_{z \sim q}[w(z)]
# \geq \mathbb{E}_{z \sim q}[\log w(z)] = \mathrm{ELBO}(q)
# \tag{6.6}
# $$
#
# That is the bound, in one line. We try 1000 random $q$. Here $\log w(z)$ is quadratic in $z$, and
# for a polynomial of low degree, the mean under a normal law is a *finite* sum over a few well
# chosen points (Gauss-Hermite quadrature): no noise, no grid.

# %%
nodes, node_weights = np.polynomial.hermite_e.hermegauss(4)  # exact up to degree 7
points = np.stack(np.meshgrid(nodes, nodes), -1).reshape(-1, 2)
point_weights = np.outer(node_weights, node_weights).reshape(-1) / (2 * np.pi)


def mean_under(f, m, V):
    """E_{z ~ N(m, V)}[f(z)] for a polynomial f."""
    return point_weights @ f(m + points @ np.linalg.cholesky(V).T)


def elbo(m, V):
    return mean_under(lambda z: log_w(z, m, V), m, V)


def random_q():
    root = np.tril(rng.normal(size=(2, 2))) * 0.3 + 0.4 * np.eye(2)
    return m_post + 0.7 * rng.normal(size=2), root @ root.T + 0.02 * np.eye(2)


many = [random_q() for _ in range(1000)]
check.at_most("6.6", [elbo(*q) for q in many], np.full(1000, log_p))
print(f"the best of 1000 random q: {max(elbo(*q) for q in many):.3f} of {log_p:.3f}")

# %% [markdown]
# What have we gained? The mean is now *outside* the logarithm. A mean can be estimated without
# bias from a single draw, and a gradient of it too. The logarithm of the product
# $p_\theta(x \mid z) p(z)$ splits into a sum:
#
# $$
# \mathrm{ELBO}(q) = \mathbb{E}_{z \sim q}[\log p_\theta(x \mid z)] - \mathrm{KL}(q \Vert p(z))
# \tag{6.7}
# $$
#
# The first term says how well a $z$ from $q$ explains $x$; the second, what it costs to use a $q$
# that differs from the prior. The cell computes the left side by the finite sum, the right side on
# the grid.

# %%
q_grid = np.exp(log_normal(grid, m, V))
explains = (q_grid * log_decoder(grid)).sum() * cell
costs = (q_grid * (log_normal(grid, m, V) - log_prior(grid))).sum() * cell
check.equal("6.7", elbo(m, V), explains - costs, tol=1e-10)
print(f"explains {explains:.3f}, costs {costs:.3f}: ELBO {explains - costs:.3f}; log p {log_p:.3f}")

# %% [markdown]
# ## 4. The second way: Bayes' rule
#
# Jensen says that there is a gap, but not how large it is. Begin again, now without any
# inequality. Five lines. *One:* $\log p_\theta(x)$ does not depend on $z$, so it equals its own
# mean under $q$. *Two:* write $p_\theta(x)$ by Bayes' rule:
#
# $$
# \log p_\theta(x) = \mathbb{E}_{z \sim q}
# \left[ \log \frac{p_\theta(x \mid z) p(z)}{p_\theta(z \mid x)} \right]
# \tag{6.8}
# $$
#
# (The fraction is the same number at every $z$.) *Three:* multiply above and below by $q(z)$.
# *Four:* the logarithm of the product is a sum:
#
# $$
# \log p_\theta(x) = \mathbb{E}_{z \sim q} \left[ \log \frac{p_\theta(x \mid z) p(z)}{q(z)} \right]
# + \mathbb{E}_{z \sim q} \left[ \log \frac{q(z)}{p_\theta(z \mid x)} \right] \tag{6.9}
# $$
#
# *Five:* read it. The first mean is the ELBO, the second a divergence:
#
# $$
# \log p_\theta(x) = \mathrm{ELBO}(q) + \mathrm{KL}(q \Vert p_\theta(z \mid x)) \tag{6.10}
# $$
#
# It is (1.10) of lesson 1, with an integral for the sum.

# %%
log_post_grid = log_normal(grid, m_post, S)
gap_on_grid = (q_grid * (log_normal(grid, m, V) - log_post_grid)).sum() * cell


def log_bayes(z):
    return log_decoder(z) + log_prior(z) - log_normal(z, m_post, S)


def gap(m, V):
    return mean_under(lambda z: log_normal(z, m, V) - log_normal(z, m_post, S), m, V)


check.equal("6.8", mean_under(log_bayes, m, V), log_p, tol=1e-12)
check.equal("6.9", elbo(m, V) + gap(m, V), log_p, tol=1e-12)
check.equal("6.10", elbo(m, V) + gap_on_grid, log_p, tol=1e-10)
print(f"ELBO {elbo(m, V):.4f} + gap {gap_on_grid:.4f} = {elbo(m, V) + gap_on_grid:.4f}")

# %% [markdown]
# A divergence is not negative (lesson 1). So this is the bound again, and now the gap has a name:
#
# $$
# \mathrm{KL}(q \Vert p_\theta(z \mid x)) \geq 0,
# \quad \text{and } = 0 \text{ exactly when } q = p_\theta(z \mid x)
# \tag{6.11}
# $$
#
# Two consequences. For a fixed model, raising the ELBO over $q$ *is* bringing $q$ to the
# posterior, although the posterior never has to be computed. And raising it over $\theta$ pushes
# $\log p_\theta(x)$ up, or the gap down; one cannot tell which from the ELBO alone.

# %%
check.at_most("6.11", np.zeros(1000), [gap(*q) for q in many])
check.equal("6.11", elbo(m_post, S), log_p, tol=1e-12)

blends = np.linspace(0, 1, 6)  # from a poor q to the posterior
bounds = [elbo(m + t * (m_post - m), V + t * (S - V)) for t in blends]
figure, ax = plt.subplots(figsize=(7, 2.8))
ax.bar(blends, np.array(bounds) + 6, bottom=-6, width=0.13, label="ELBO")
ax.bar(blends, log_p - np.array(bounds), bottom=bounds, width=0.13, label=r"KL to the posterior")
ax.axhline(log_p, color="k", ls=":", label=r"$\log p(x)$")
ax.set(
    xlabel="from a rough guess (0) to the posterior (1)",
    ylabel="nats",
    ylim=(min(bounds) - 0.3, log_p + 0.15),
    title="bound + gap = the same number for every q",
)
ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5), fontsize=8)
plt.show()

# %% [markdown]
# ## Fix the slide: is the gap positive?
#
# The lecture notes arrive at the equation (6.9), with the first part split as in (6.7), and write
# below it:
#
# > ELBO, easy to optimize, lower bound on data likelihood
#
# and below the last term, $\mathrm{KL}(q_\theta(z \mid x_i) \Vert p_\phi(z \mid x_i))$ (their
# $\theta$ and $\phi$ are our $\phi$ and $\theta$):
#
# > $> 0$
#
# It is $\geq 0$. With "$>$" the bound could never be reached, and the most useful case would be
# missing: at $q = p_\theta(z \mid x)$ the gap is 0 and the ELBO *is* the log-likelihood (that is
# the E-step of lesson 1). Also, the ELBO bounds the *logarithm* of the likelihood.

# %%
p_post = np.exp(log_post_grid)
gap_there = (p_post * (log_post_grid - log_decoder(grid) - log_prior(grid))).sum() * cell + log_p
print(
    f"gap at the posterior, by Bayes' rule on the grid: {abs(gap_there):.6f}; "
    f"at the rough guess: {gap_on_grid:.3f}"
)
print(f"likelihood {np.exp(log_p):.4f}; its logarithm {log_p:.3f}; ELBO {elbo(m, V):.3f}")
assert abs(gap_there) < 1e-10 and abs(log_p - elbo(m_post, S)) < 1e-12

# %% [markdown]
# ## 5. The divergence of two Gaussians, line by line
#
# In practice the prior is $\mathcal{N}(0, I)$ and $q$ is normal with independent dimensions, so
# the KL in (6.7) is a sum of one-dimensional ones. Take one: $q = \mathcal{N}(\mu, \sigma^2)$. By
# definition the divergence is $\mathbb{E}_q[\log q] - \mathbb{E}_q[\log p]$. In the first,
# $(z - \mu)^2 / \sigma^2$ has mean 1:
#
# $$
# \mathbb{E}_q[\log q(z)] = -\frac{1}{2} \left( \log 2\pi + \log \sigma^2 + 1 \right) \tag{6.12}
# $$
#
# In the second, $z^2$ has mean $\mu^2 + \sigma^2$:
#
# $$
# \mathbb{E}_q[\log p(z)] = -\frac{1}{2} \left( \log 2\pi + \mu^2 + \sigma^2 \right) \tag{6.13}
# $$
#
# Subtract; $\log 2\pi$ cancels:
#
# $$
# \mathrm{KL}(\mathcal{N}(\mu, \sigma^2) \Vert \mathcal{N}(0, 1))
# = \frac{1}{2} \left( \mu^2 + \sigma^2 - 1 - \log \sigma^2 \right) \tag{6.14}
# $$
#
# Three routes for the last one: a grid, random draws, and the library.

# %%
from tinygen.models import likelihoods, vae
from tinygen.models.vae import bounds as lib_bounds

mu, var = 0.7, 0.3
line = np.linspace(-12, 12, 4001)
width = line[1] - line[0]
log_q_line = -0.5 * ((line - mu) ** 2 / var + np.log(2 * np.pi * var))
log_p_line = -0.5 * (line**2 + np.log(2 * np.pi))
q_line = np.exp(log_q_line)
kl = 0.5 * (mu**2 + var - 1 - np.log(var))

check.equal(
    "6.12",
    (q_line * log_q_line).sum() * width,
    -0.5 * (np.log(2 * np.pi) + np.log(var) + 1),
    tol=1e-12,
)
check.equal(
    "6.13", (q_line * log_p_line).sum() * width, -0.5 * (np.log(2 * np.pi) + mu**2 + var), tol=1e-12
)
check.equal("6.14", (q_line * (log_q_line - log_p_line)).sum() * width, kl, tol=1e-12)
e = rng.standard_normal(200_000)
zs = mu + np.sqrt(var) * e
check.mean("6.14", -0.5 * (e**2 + np.log(var)) + 0.5 * zs**2, kl)
by_library = likelihoods.kl_to_standard_normal(
    tg.tensor([[mu]], dtype=tg.float64), tg.tensor([[np.log(var)]], dtype=tg.float64)
)
check.equal("6.14", by_library, [kl], tol=1e-12)

# %% [markdown]
# How does it act on $\sigma$? Differentiate:
#
# $$
# \frac{\partial}{\partial \sigma} \mathrm{KL} = \sigma - \frac{1}{\sigma} \tag{6.15}
# $$
#
# Above $\sigma = 1$ it pulls $\sigma$ down. Below, it pushes up, and ever harder: near 0 the
# term $-\log \sigma^2$ is an infinite **barrier**.

# %%
sigma = tg.tensor(np.array([0.05, 0.3, 1.0, 2.5]), requires_grad=True)
(0.5 * (mu**2 + sigma**2 - 1 - (sigma**2).log())).sum().backward()
s = sigma.detach().numpy()
check.equal("6.15", sigma.grad, s - 1 / s)

# %% [markdown]
# ## Fix the slide: "squared regularizers"
#
# The lecture notes, on this very term:
#
# > If we use the Gaussian encoder
# > $q_{\phi} = \mathcal{N}(\mu_{\mathbf{x}_i}, \sigma_{\mathbf{x}_i} \cdot I_k)$,
# > then this is nothing but squared regularizers on $\mu, \sigma$ ! (check by yourself)
#
# We checked. For $\mu$ it is a square. For $\sigma$ it is not: a squared regulariser is smallest
# at $\sigma = 0$, the KL is infinite there. And it matters, because the other term of the ELBO
# *also* wants $\sigma = 0$ (noise in $z$ only hurts the reconstruction). Only the barrier holds
# against it. We climb both objectives by gradient steps, on the one-dimensional model of the first
# picture.


# %%
def fit_width(regulariser, steps):
    """Gradient steps on log sigma, q's mean held at the posterior's."""
    log_sigma = tg.tensor(0.0, dtype=tg.float64)
    for _ in range(steps):
        log_sigma = log_sigma.detach().requires_grad_()
        var = (2 * log_sigma).exp()
        loss = 0.5 * slope**2 * var / noise + regulariser(var, log_sigma)
        (g,) = tg.autograd.grad(loss, log_sigma)
        log_sigma = log_sigma - 0.05 * g
    return np.exp(log_sigma.item())


print("steps   sigma, true KL   its ELBO   sigma, squares only   its ELBO")
for steps in (10, 100, 1000, 10_000):
    true = fit_width(lambda var, log_sigma: 0.5 * var - log_sigma, steps)
    squares = fit_width(lambda var, log_sigma: 0.5 * var, steps)
    print(
        f"{steps:5} {true:16.4f} {elbo_1d(post_mean, true**2):10.3f} {squares:21.4f} "
        f"{elbo_1d(post_mean, squares**2):10.3f}"
    )
print(f"posterior: sigma {np.sqrt(post_var):.4f}, log p {ceiling:.3f}")
assert squares < 0.02 and abs(true - np.sqrt(post_var)) < 1e-6

widths = np.linspace(0.02, 2, 300)
figure, ax = plt.subplots(figsize=(7, 2.7))
ax.plot(widths, 0.5 * (widths**2 - 1 - np.log(widths**2)), label="KL, $\\mu = 0$")
ax.plot(widths, 0.5 * widths**2, "C1--", label="a squared regulariser")
ax.set(xlabel=r"$\sigma$", ylabel="nats", title=r"the KL forbids $\sigma = 0$, a square does not")
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# With squares only, $\sigma$ goes to 0: $q$ becomes a point, the model a plain autoencoder, and
# its true ELBO falls without limit.
#
# ## Fix the slide: variance or deviation, and the missing weight
#
# The same line has a second slip: $\mathcal{N}(\mu, \sigma I)$ has the *variance* $\sigma$ where
# $\sigma^2$ is meant. And a few slides later the same notes give the loss of the VAE:
#
# > $\text{loss} = \Vert x - \hat{x} \Vert^2 + \text{KL}[N(\mu_x, \sigma_x), N(0, I)]$
#
# What is the reconstruction term really? For the Gaussian decoder, with any mean $f(z)$ (here
# $W z + b$),
#
# $$
# \mathbb{E}_q[\log p_\theta(x \mid z)] = -\frac{1}{2\eta}
# \mathbb{E}_q \left[ \Vert x - f(z) \Vert^2 \right]
# - \frac{D}{2} \log 2\pi\eta \tag{6.16}
# $$
#
# The squared error carries the weight $\frac{1}{2\eta}$. To leave it out is to claim
# $\eta = \frac{1}{2}$; for a decoder with another $\eta$, it multiplies the KL by
# $\beta = \frac{1}{2\eta}$. (Such a loss is a **beta-VAE**, lesson 8: a choice one may make, but
# it is not the ELBO.) For images in $[0, 1]$ with $\eta = 0.01$ that is $\beta = 50$. For our
# model, $\beta = 2$:

# %%
square = ((x - b - W @ m) ** 2).sum() + np.trace(W @ V @ W.T)  # E|x - f(z)|^2
check.equal(
    "6.16",
    mean_under(log_decoder, m, V),
    -square / (2 * eta) - D / 2 * np.log(2 * np.pi * eta),
    tol=1e-12,
)


def best_q(beta):
    """Where E[log p(x|z)] - beta KL is largest: (6.3) with the noise beta * eta."""
    cov = np.linalg.inv(np.eye(d) + W.T @ W / (beta * eta))
    return cov @ W.T @ (x - b) / (beta * eta), cov


for name, beta in {"the ELBO": 1, "unweighted loss": 1 / (2 * eta), "far too much": 50}.items():
    mean, cov = best_q(beta)
    print(
        f"{name:16} beta {beta:4.0f}: variances {np.diag(cov).round(3)}, "
        f"gap {log_p - elbo(mean, cov):.3f} nats"
    )
print(
    "KL for sigma = 0.3, mu = 0:",
    f"as a deviation {0.5 * (0.09 - 1 - np.log(0.09)):.3f},",
    f"read as a variance {0.5 * (0.3 - 1 - np.log(0.3)):.3f}",
)
assert log_p - elbo(*best_q(1)) < 1e-12 < log_p - elbo(*best_q(2))

# %% [markdown]
# ## 6. Climbing: let gradients find q
#
# Forget that we know the posterior. We hold the model fixed and raise the ELBO by gradient steps
# on $q$. Two families: $V$ any covariance matrix (written $V = L L^\top$ with a triangular $L$),
# or $V$ diagonal. The second is called **mean-field**, and it is what most VAEs use.
#
# We can foresee where the second one ends. Repeat (6.12) to (6.14) with the posterior in place of
# the prior: the gap is
# $\frac{1}{2} ((m - m^\ast)^\top \Lambda (m - m^\ast) +
# \mathrm{tr}(\Lambda V) - d - \log \det (\Lambda V))$
# with $m^\ast$ the posterior's mean. So $m = m^\ast$ is best, and for a diagonal $V$ each variance
# enters through $\frac{1}{2}(\Lambda_{ii} V_{ii} - \log V_{ii})$ only; its derivative is zero at
# $V_{ii} = 1 / \Lambda_{ii}$:
#
# $$
# q^\ast = \mathcal{N} \left( \Lambda^{-1} W^\top (x - b) / \eta, \quad
# \mathrm{diag}(1 / \Lambda_{11}, \dots, 1 / \Lambda_{dd}) \right) \tag{6.17}
# $$
#
# Put it into the divergence: means and traces cancel, the determinants remain. What is left cannot
# be closed by any training, because no member of the family is closer:
#
# $$
# \min_{q \text{ mean-field}} \mathrm{KL}(q \Vert p_\theta(z \mid x))
# = \frac{1}{2} \left( \sum_i \log \Lambda_{ii} - \log \det \Lambda \right) \tag{6.18}
# $$
#
# In two dimensions this is $-\frac{1}{2} \log (1 - \rho^2)$, with $\rho$ the posterior's
# correlation: nothing without correlation, infinite at $\rho = \pm 1$.

# %%
tW, tr, eye = tg.tensor(W), tg.tensor(x - b), tg.tensor(np.eye(d))
lower = tg.tensor(np.tril(np.ones((d, d)), -1))


def elbo_tensor(mean, log_diag, below, full):
    """(6.7) with (6.16) and the KL of V = L L^T, on tensors."""
    L = eye * log_diag.exp() + (lower * below if full else 0.0)
    square = ((tr - tW @ mean) ** 2).sum() + ((tW @ L) ** 2).sum()
    explains = -square / (2 * eta) - D / 2 * np.log(2 * np.pi * eta)
    return explains - 0.5 * ((mean**2).sum() + (L**2).sum() - d - 2 * log_diag.sum()), L


def climb(full, steps=400, rate=0.05):
    q = [
        tg.zeros(2, dtype=tg.float64),
        tg.zeros(2, dtype=tg.float64),
        tg.zeros((2, 2), dtype=tg.float64),
    ]
    history = []
    for _ in range(steps):
        q = [part.detach().requires_grad_() for part in q]
        bound, L = elbo_tensor(*q, full)
        moving = q if full else q[:2]
        grads = tg.autograd.grad(bound, moving)
        q[: len(moving)] = [part + rate * g for part, g in zip(moving, grads)]
        history.append(log_p - bound.item())
    L = L.detach().numpy()
    return np.array(history), q[0].detach().numpy(), L @ L.T


gap_full, m_full, V_full = climb(full=True)
gap_field, m_field, V_field = climb(full=False)
check.equal("6.17", np.append(m_field, np.diag(V_field)), np.append(m_post, 1 / np.diag(Lam)))
least = 0.5 * (np.log(np.diag(Lam)).sum() - np.linalg.slogdet(Lam)[1])
check.equal("6.18", gap_field[-1], least)
check.equal("6.18", -0.5 * np.log(1 - correlation**2), least)
assert abs(gap_full[-1]) < 1e-9 and np.abs(V_full - S).max() < 1e-6
print("gap after 1, 10, 100 and 400 steps:")
for name, gaps in {"any covariance": gap_full, "mean-field": gap_field}.items():
    print(f"{name:15}", "  ".join(f"{abs(gaps[i]):.3f}" for i in (0, 9, 99, 399)))


# %%
def ellipse(mean, cov):
    angle = np.linspace(0, 2 * np.pi, 100)
    return (mean + 2 * np.stack([np.cos(angle), np.sin(angle)], 1) @ np.linalg.cholesky(cov).T).T


figure, axes = plt.subplots(1, 2, figsize=(9, 3.1))
axes[0].plot(gap_field[:60], "C1", label="mean-field")
axes[0].plot(gap_full[:60], "C0", label="any covariance")
axes[0].axhline(least, color="k", ls=":", label="(6.18)")
axes[0].set(
    xlabel="gradient step",
    ylabel="log p - ELBO, nats",
    ylim=(-0.1, 2.5),
    title="the gap closes, or stays",
)
axes[1].plot(*ellipse(m_post, S), "k", lw=3, alpha=0.3, label="posterior")
axes[1].plot(*ellipse(m_full, V_full), "C0--", label="any covariance")
axes[1].plot(*ellipse(m_field, V_field), "C1", label="mean-field")
axes[1].set(
    xlabel="$z_1$", ylabel="$z_2$", aspect="equal", title="mean-field: right mean, too sure"
)
axes[0].legend(frameon=False, fontsize=8)
axes[1].legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
figure.tight_layout()
plt.show()

# %% [markdown]
# The mean-field $q$ is too narrow: $1 / \Lambda_{ii}$ is less than the posterior's own variance
# $(\Lambda^{-1})_{ii}$. That is the reverse KL of lesson 1: $q$ must not put mass where the
# posterior has none.
#
# One more step leads to the VAE. Here we climbed for *one* $x$. But (6.3) gives the best mean as a
# *function* of $x$. So let a network with parameters $\phi$ give mean and variance,
# $q_\phi(z \mid x)$, the **encoder**, and train it for all $x$ at once. That is lesson 7. For this
# model the best mean-field encoder is one linear layer, so we can write it into the library's VAE
# by hand.


# %%
def linear(weight, bias):
    layer = tg.nn.Linear(weight.shape[1], weight.shape[0])
    layer.weight, layer.bias = (tg.nn.Parameter(tg.tensor(a)) for a in (weight, bias))
    return layer


A = S @ W.T / eta
encoder = linear(np.vstack([A, np.zeros((d, D))]), np.append(-A @ b, -np.log(np.diag(Lam))))
likelihood = likelihoods.Gaussian(eta)
likelihood.log_var = tg.tensor(np.log([eta]))  # in float64
model = vae.VAE(encoder, linear(W, b), likelihood, latent=d)

tg.manual_seed(0)
batch = tg.tensor(np.tile(x, (50_000, 1)))
with tg.no_grad():
    terms = model(batch)
    some = lib_bounds.importance(model, tg.tensor(x[None]), k=50_000)
print(f"ELBO: library, 50,000 draws {terms.elbo.item():.3f}; ours {elbo(m_post, V_field):.3f}")
kl_ours = 0.5 * (m_post @ m_post + (np.diag(V_field) - 1 - np.log(np.diag(V_field))).sum())
print(f"KL: library {terms.kl.item():.6f}; ours {kl_ours:.6f}")
print(f"log p(x): library, 50,000 weights {some.log_p.item():.3f}; exact {log_p:.3f}")

# %% [markdown]
# The third number is right to one digit behind the point, after 50,000 draws. That is poor; the
# next section says why.
#
# ## 7. The third way: more weights
#
# Go back to (6.5) and (6.6). Jensen's gap is there because $w(z)$ varies. The average of $k$
# independent weights has the same mean and varies less. So put the average inside the logarithm
# (the **importance-weighted** bound; a VAE trained with it is called an IWAE):
#
# $$
# \mathcal{L}_k = \mathbb{E}_{z_1, \dots, z_k \sim q}
# \left[ \log \frac{1}{k} \sum_{i=1}^k w(z_i) \right],
# \quad \mathcal{L}_1 = \mathrm{ELBO}(q) \tag{6.19}
# $$
#
# Weights of real models are like $e^{-1000}$, so one works with $\log w$ and takes the largest out
# of the sum first. We check $\mathcal{L}_1$ against section 3, and our function against the
# library's.


# %%
def log_mean_exp(log_weights):
    """log of the mean over axis 0, for log-weights of any size."""
    top = log_weights.max(0)
    return top + np.log(np.exp(log_weights - top).mean(0))


def draw_log_w(shape, m, V):
    z = m + rng.standard_normal((*shape, d)) @ np.linalg.cholesky(V).T
    return log_w(z, m, V)


check.mean("6.19", log_mean_exp(draw_log_w((1, 100_000), m, V)), elbo(m, V))
lw = draw_log_w((8, 1000), m, V) - 2000  # exp of this is 0
check.equal("6.19", lib_bounds.iwae(tg.tensor(lw)), log_mean_exp(lw), tol=1e-12)

# %% [markdown]
# More draws never hurt. The average of $k$ weights is the average, over which one is left out, of
# averages of $k - 1$ weights; by Jensen its logarithm is at least the average of *their*
# logarithms. Take the mean of both sides. The same Jensen as in (6.6) gives the ceiling:
#
# $$
# \mathcal{L}_{k-1} \leq \mathcal{L}_k \leq \log p_\theta(x) \tag{6.20}
# $$
#
# The leave-one-out argument holds for each set of draws, so the cell checks it for each of 1000
# sets. The ceiling holds for the mean only: a single estimate may well lie above
# $\log p_\theta(x)$.

# %%
lw = draw_log_w((8, 1000), m, V)
left_out = [log_mean_exp(np.delete(lw, i, axis=0)) for i in range(8)]
check.at_most("6.20", np.mean(left_out, axis=0), log_mean_exp(lw))

ks = [1, 2, 4, 8, 16, 32, 64, 128]
curve, errors = [], []
for k in ks:
    estimates = log_mean_exp(draw_log_w((k, 40_000), m, V))
    curve.append(estimates.mean())
    errors.append(estimates.std() / 200)
check.at_most("6.20", np.array(curve) - 4 * np.array(errors), np.full(len(ks), log_p))

# %% [markdown]
# How fast? For large $k$ the average is $p_\theta(x) (1 + \delta)$ with a small random $\delta$ of
# mean 0 and variance $\mathrm{Var}[w] / (k p_\theta(x)^2)$, and
# $\log(1 + \delta) \approx \delta - \frac{1}{2} \delta^2$. The mean of that:
#
# $$
# k \left( \log p_\theta(x) - \mathcal{L}_k \right)
# \longrightarrow \frac{\mathrm{Var}_q[w]}{2 p_\theta(x)^2}
# \quad \text{as } k \to \infty \tag{6.21}
# $$
#
# The gap of a poor $q$ closes too, if only its weights have a finite variance. They have not if
# $q$ is much narrower than the posterior in some direction: then a rare draw carries nearly all
# the weight. For normal laws, $q w^2$ has a finite integral exactly when $2 \Lambda - V^{-1}$ is
# positive definite; the mean-field $q$ of section 6 fails that. (To tame the noise, the cell adds
# $\delta$ itself, whose mean is 0, to each draw of $-\log(1 + \delta)$.)

# %%
w_square = np.exp(2 * (log_decoder(grid) + log_prior(grid)) - log_normal(grid, m, V)).sum() * cell
relative = w_square / np.exp(2 * log_p) - 1
k = 1000
delta = np.exp(log_mean_exp(draw_log_w((k, 1500), m, V)) - log_p) - 1
check.mean("6.21", k * (delta - np.log1p(delta)), relative / 2)

for name, cov in {"this q": V, "mean-field q": V_field}.items():
    least_eigenvalue = np.linalg.eigvalsh(2 * Lam - np.linalg.inv(cov)).min()
    print(f"{name:12} smallest eigenvalue of 2 Lambda - 1/V: {least_eigenvalue:6.2f}")

figure, ax = plt.subplots(figsize=(7, 2.9))
ax.errorbar(ks, curve, yerr=2 * np.array(errors), fmt="o-", ms=4, label=r"$\mathcal{L}_k$")
fine = np.geomspace(2, 128, 100)
ax.plot(fine, log_p - relative / 2 / fine, "C1--", label="(6.21)")
ax.axhline(log_p, color="k", ls=":", label=r"$\log p(x)$")
ax.axhline(elbo(m, V), color="C2", ls="-.", lw=1, label="ELBO")
ax.set(
    xscale="log",
    xlabel="k, weights inside the logarithm",
    ylabel="nats",
    ylim=(elbo(m, V) - 0.1, log_p + 0.08),
    title="the bounds rise with k towards log p(x)",
)
ax.legend(frameon=False, loc="center right")
plt.show()

# %% [markdown]
# The gradient of $\log \frac{1}{k} \sum_i w_i$ is $\sum_i v_i \nabla \log w_i$ with
# $v_i = w_i / \sum_j w_j$: each draw pulls in proportion to how well it explains $x$. One can
# therefore program the gradient in a second form, as $\sum_i v_i \log w_i$ with the $v_i$ *held
# constant*. That form is where the next bug lives.
#
# ## A bug from the wild: importance weights upside down
#
# `AntixK/PyTorch-VAE`, a collection of VAEs, forms for each draw a *loss*, the squared error plus
# a weighted KL, takes the softmax of these losses over the draws as weights, and minimises the
# weighted sum. (Issue 34 asks why gradients go through the weights, pull request 53 rewrites the
# function; both were open when we read them.) The loss stands for minus $\log w$, so the softmax
# is upside down: the draw that explains $x$ *worst* gets the largest weight. Nothing crashes, and
# there is a number that falls.
#
# In our words: `upside_down` is minus that loss, with $\log w$ in place of their terms.
# `right_way` has the sign repaired. We read both as if they were bounds.


# %%
def softmax(a):
    e = np.exp(a - a.max(0))
    return e / e.sum(0)


def upside_down(lw):
    return (softmax(-lw) * lw).sum(0)


def right_way(lw):
    return (softmax(lw) * lw).sum(0)


table = []
print("  k   upside down   weighted sum, right sign   log of the mean   log p(x)")
for k in (1, 2, 5, 20, 100):
    lw = draw_log_w((k, 20_000), m, V)
    row = [f(lw).mean() for f in (upside_down, right_way, log_mean_exp)]
    table.append(row)
    print(f"{k:3} {row[0]:13.3f} {row[1]:26.3f} {row[2]:17.3f} {log_p:10.3f}")
table = np.array(table)
assert (np.diff(table[:, 0]) < 0).all()  # falls with k: not an importance-weighted bound
assert table[-1, 1] > log_p + 0.05  # above the ceiling: not a bound at all
assert (np.diff(table[:, 2]) > 0).all()

# %% [markdown]
# **The check to keep has two halves: on a model whose $\log p$ is known, the bounds rise with $k$,
# and no bound lies above $\log p$** (both within the noise of the draws). The first half catches
# the upside-down weights: their "bound" falls as draws are added. The second half catches a
# subtler mistake. With the right sign the weighted sum has the right *gradient*, but its *value*
# is no bound: it passes through the ceiling. Report the logarithm of the mean.
#
# What does the bug do to training? We fit a mean-field $q$ for our $x$ with $k = 20$ draws
# a step, once for each form.


# %%
def train(form, steps=1500, k=20, rate=0.01):
    tg.manual_seed(1)
    mean = tg.zeros(d, dtype=tg.float64, requires_grad=True)
    log_var = tg.zeros(d, dtype=tg.float64, requires_grad=True)
    opt = tg.optim.Adam([mean, log_var], lr=rate)
    for _ in range(steps):
        e = tg.randn(k, d, dtype=tg.float64)
        z = mean + (0.5 * log_var).exp() * e
        explains = -0.5 * ((tr - z @ tW.T) ** 2).sum(1) / eta  # up to a constant
        log_weight = explains - 0.5 * (z**2).sum(1) + 0.5 * (e**2 + log_var).sum(1)
        loss = -form(log_weight)
        opt.zero_grad()
        loss.backward()
        opt.step()
    return mean.detach().numpy(), np.diag(log_var.exp().detach().numpy())


forms = {
    "log of the mean": lambda lw: tg.logsumexp(lw, dim=0),
    "v log w, v constant": lambda lw: (tg.softmax(lw.detach(), dim=0) * lw).sum(),
    "upside down": lambda lw: (tg.softmax(-lw, dim=0) * lw).sum(),
}
print("form                   variances of q     L_20    effective draws of 20")
fitted = {name: train(form) for name, form in forms.items()}
common = rng.standard_normal((20, 20_000, d))  # the same draws for all
reached = {}
for name, (mean, cov) in {
    **fitted,
    "the ELBO's, (6.17)": (m_post, V_field),
    "posterior": (m_post, S),
}.items():
    lw = log_w(mean + common @ np.linalg.cholesky(cov).T, mean, cov)
    effective = (1 / (softmax(lw) ** 2).sum(0)).mean()
    reached[name] = bound = log_mean_exp(lw).mean()
    print(f"{name:20}  {np.diag(cov).round(2)}   {bound:9.4f}   {effective:10.1f}")
assert min(reached, key=reached.get) == "upside down"

# %% [markdown]
# The first two end at the same $q$, as the mathematics says: with 20 draws it pays to be *wider*
# than the posterior, so that nothing is missed. The third goes the other way. It is narrower than
# even the ELBO's $q$, because it looks after its worst draws and those are the outer ones; its
# $\mathcal{L}_{20}$ is the lowest.
# (The last column is $(\sum_i w_i)^2 / \sum_i w_i^2$. It shows how far the draws agree, not how
# much they have missed: a narrow $q$ looks better there than it is.)
#
# ## 8. Rate and distortion
#
# The two terms of (6.7) have names in coding theory. The **distortion** is what describing $x$
# costs once $z$ is known, the **rate** what it costs to tell $z$:
# $-\mathrm{ELBO} = \mathrm{distortion} + \mathrm{rate}$, in nats, averaged over the data. Suppose
# the data come from the model and $q$ is the posterior. Then the mean rate is exactly the
# information that $x$ and $z$ share:
#
# $$
# \mathbb{E}_{x \sim p_\theta} \left[ \mathrm{KL}(p_\theta(z \mid x) \Vert p(z)) \right]
# = \frac{1}{2} \log \det \left( I + W^\top W / \eta \right) = I(x; z) \tag{6.22}
# $$
#
# By (6.6), their sum is never below the entropy $H(x) = -\mathbb{E}[\log p_\theta(x)]$ of the
# data, and for the posterior it is equal:
#
# $$
# \mathrm{distortion} + \mathrm{rate} \geq H(x) = \frac{1}{2} \log \det (2 \pi e C) \tag{6.23}
# $$
#
# How the sum is divided is another matter. Maximise
# $-\mathrm{distortion} - \beta \cdot \mathrm{rate}$ instead: large $\beta$ makes $z$ say little,
# small $\beta$ lets it say much. Along these best choices
#
# $$
# \frac{d (\mathrm{distortion})}{d (\mathrm{rate})} = -\beta \tag{6.24}
# $$
#
# because at a maximum, a small change of $q$ must leave
# $\mathrm{distortion} + \beta \cdot \mathrm{rate}$ where it is. At $\beta = 1$ the curve touches
# the line of (6.23), and only there.


# %%
def rate_distortion(beta):
    """Both terms at q_beta, averaged in closed form over x ~ N(b, C)."""
    cov = np.linalg.inv(np.eye(d) + W.T @ W / (beta * eta))
    A = cov @ W.T / (beta * eta)  # q's mean is A (x - b)
    rate = 0.5 * (np.trace(cov + A @ C @ A.T) - d - np.linalg.slogdet(cov)[1])
    miss = np.eye(D) - W @ A
    square = np.trace(miss @ C @ miss.T) + np.trace(W @ cov @ W.T)
    return rate, D / 2 * np.log(2 * np.pi * eta) + square / (2 * eta)


ztrue = rng.standard_normal((50_000, d))
xs = ztrue @ W.T + b + np.sqrt(eta) * rng.standard_normal((50_000, D))
ms = (xs - b) @ (S @ W.T / eta).T
rates = 0.5 * ((ms**2).sum(1) + np.trace(S) - d - np.linalg.slogdet(S)[1])
check.mean("6.22", rates, 0.5 * np.linalg.slogdet(Lam)[1])
information = 0.5 * np.linalg.slogdet(C / eta)[1]  # H(x) - H(x given z)
check.equal("6.22", rate_distortion(1)[0], information)

entropy = 0.5 * np.linalg.slogdet(2 * np.pi * np.e * C)[1]
betas = np.geomspace(0.05, 20, 81)
R, distortion = np.array([rate_distortion(beta) for beta in betas]).T
check.at_most("6.23", np.full(81, entropy), R + distortion)
check.equal("6.23", sum(rate_distortion(1)), entropy)
check.mean("6.23", -log_normal(xs, b, C), entropy)

for beta in (0.3, 1.0, 4.0):
    (r0, d0), (r1, d1) = rate_distortion(beta * 0.999), rate_distortion(beta * 1.001)
    check.equal("6.24", (d1 - d0) / (r1 - r0), -beta, tol=1e-5)  # a difference quotient

figure, ax = plt.subplots(figsize=(7, 3))
ax.plot(R, distortion, label="the best $q$ for each $\\beta$")
ax.plot(R, entropy - R, "k:", label="distortion + rate = $H(x)$")
for beta in (0.1, 1.0, 10.0):
    r, dist = rate_distortion(beta)
    ax.plot(r, dist, "C1o")
    ax.annotate(rf"$\beta$ = {beta:g}", (r, dist), (6, 6), textcoords="offset points")
ax.set(
    xlabel="rate, nats",
    ylabel="distortion, nats",
    ylim=(0, distortion.max() * 1.05),
    title=r"one model, many codes: the ELBO is best where the slope is $-1$",
)
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# ## Exercises
#
# Each cell below judges your answer by properties that a right answer has. "still open" means that
# the function returns nothing yet. Solutions: `lessons/solutions/lesson06.py`.
#
# ### Exercise 6.1
# `kl(mu, log_var, mean, prior_log_var)`: the divergence from
# $\mathcal{N}(\mu, \mathrm{diag}(e^s))$ with $s$ = `log_var` to a diagonal normal prior with the
# given mean and log-variance. All arguments have shape `(B, d)`; return `(B,)`. Repeat (6.12) to
# (6.14) with another prior.


# %%
def kl(mu, log_var, mean, prior_log_var): ...


check.exercise("6.1", kl)

# %% [markdown]
# ### Exercise 6.2
# `weighted_bound(log_w)`: from log-weights of shape `(k, B)`, $k$ draws for each of $B$ examples,
# the estimate of $\mathcal{L}_k$ for each example, `(B,)`. It must survive log-weights of -1000
# and of +1000.


# %%
def weighted_bound(log_w): ...


check.exercise("6.2", weighted_bound)

# %% [markdown]
# ### Exercise 6.3
# `log_evidence(x, W, b, eta)`: (6.2) for every row of `x`, shape `(n, D)`, with `W` of shape
# `(D, d)` for any `d`, larger or smaller than `D`. Return `(n,)`.


# %%
def log_evidence(x, W, b, eta): ...


check.exercise("6.3", log_evidence)

# %% [markdown]
# ### Exercise 6.4
# `best_encoder(x, W, b, eta)`: the mean-field $q$ with the highest ELBO, for every row of `x`.
# Return the means `(n, d)` and the variances `(d,)`, which do not depend on `x`. The judge looks
# for a direction in which the ELBO still rises.


# %%
def best_encoder(x, W, b, eta): ...


check.exercise("6.4", best_encoder)

# %% [markdown]
# ## What you can say now
#
# - The evidence of a latent-variable model is a mean over the prior; estimating it by draws from
#   the prior took almost four times as many draws for each further dimension of our example.
# - The ELBO is the mean of the log-weight under $q$. By Jensen it is at most $\log p_\theta(x)$.
# - By Bayes' rule, the gap is $\mathrm{KL}(q \Vert p_\theta(z \mid x))$: zero at the posterior and
#   only there.
# - With more weights inside the logarithm the bound rises to $\log p_\theta(x)$, with a gap of
#   order $1/k$ where the weights have a finite variance.
# - The KL to the prior is $\frac{1}{2}(\mu^2 + \sigma^2 - 1 - \log \sigma^2)$ a dimension; its
#   logarithm keeps $\sigma$ from falling to 0.
# - A Gaussian decoder weighs the squared error with $1/(2\eta)$; to drop the weight is to choose
#   another objective.
# - A mean-field $q$ for a correlated posterior is too narrow, and its gap stays.
# - The ELBO is minus (distortion + rate); $\beta$ moves along their trade-off.
#
# ## The full-size run
#
# On the 8 x 8 digits, with two networks in place of two matrices (1375 steps, seed 0, about 5 and
# 11 seconds),
#
# ```
# python examples/vae.py --latent 8 --epochs 125 --importance 500 --objective elbo
# python examples/vae.py --latent 8 --epochs 125 --importance 500 --objective iwae --k 5
# ```
#
# gave a test ELBO of -22.84 and -23.33 nats, and a test $\log p(x)$ of -22.68 and -22.40. The same
# networks over three seeds, trained for 1500 steps on batches drawn with replacement
# (`benchmarks/quality/vae.py`; test set; mean ± standard deviation over that script's seeds, and
# the single run above lies outside of it):
#
# | trained with | test ELBO | $\log p(x)$, 500 weights |
# |---|---|---|
# | ELBO | -22.96 ± 0.01 | -22.62 ± 0.01 |
# | IWAE, k = 5 | -23.53 ± 0.06 | -22.40 ± 0.04 |
# | IWAE, k = 5, as $\sum_i v_i \log w_i$ | -23.49 ± 0.04 | -22.40 ± 0.03 |
#
# Read it with (6.10): IWAE has the *lower* ELBO and the *higher* likelihood. Its bound forgives a
# $q$ that misses the posterior, so the model is freer. A better ELBO is not always a better model
# (the argument is that of Burda et al.).
#
# ## Further reading
#
# - M. Jordan, Z. Ghahramani, T. Jaakkola, L. Saul: *An Introduction to Variational Methods for
#   Graphical Models*, 1999.
# - D. Kingma, M. Welling: *Auto-Encoding Variational Bayes*, 2013: the ELBO with an encoder.
# - D. Rezende, S. Mohamed, D. Wierstra: *Stochastic Backpropagation and Approximate Inference in
#   Deep Generative Models*, 2014.
# - Y. Burda, R. Grosse, R. Salakhutdinov: *Importance Weighted Autoencoders*, 2015: (6.19), (6.20).
# - A. Alemi, B. Poole, I. Fischer, J. Dillon, R. Saurous, K. Murphy: *Fixing a Broken ELBO*, 2018:
#   rate and distortion.
