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
#
# **You need** lesson 1 (the KL divergence, mixtures and EM) and, from linear algebra, covariance
# matrices. **Time:** about 90 minutes to read, an hour more for the exercises. **You may skip**
# section 2 if you believe that the integral is hard, and section 8 until you come to lesson 8.
#
# *Predict, then run* asks you for a guess before a cell is run. Make it, on paper: a guess that was
# wrong teaches more than a line that was read.

# %%
import matplotlib.pyplot as plt
import numpy as np

import tinygen as tg
from tinygen.lessons import check, figures

figures.style()
rng = np.random.default_rng(6)

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


means, variances = np.meshgrid(np.linspace(-0.6, 2.6, 161), np.geomspace(0.01, 2, 161))
surface = elbo_1d(means, variances)
check.claim("the ceiling, log p(x)", ceiling, "-1.950")
check.claim("no normal q gets through it", surface <= ceiling)
check.equal("one touches it", elbo_1d(post_mean, post_var), ceiling, tol=1e-12)

# %% tags=["figure"]
figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), gridspec_kw={"width_ratios": [1, 1.15]})
zs = np.linspace(-0.6, 2.6, 300)
choices = {"C1": (0.2, 0.05), "C2": (1.5, 0.8), "C0": (post_mean, post_var)}
bell = np.exp(-0.5 * (zs - post_mean) ** 2 / post_var) / np.sqrt(2 * np.pi * post_var)
axes[0].fill_between(zs, bell, color="0.85", label="posterior")
levels = ceiling - np.array([6, 4, 2.5, 1.5, 0.8, 0.3, 0.05])
shades = plt.cm.Blues(np.linspace(0.03, 0.5, 8))
axes[1].contourf(means, variances, surface, [-30, *levels, ceiling], colors=shades)
for (color, (mean, var)), line in zip(choices.items(), ("--", "-.", "-")):
    bound = elbo_1d(mean, var)
    bell = np.exp(-0.5 * (zs - mean) ** 2 / var) / np.sqrt(2 * np.pi * var)
    axes[0].plot(zs, bell, color=color, ls=line, label=f"ELBO {bound:.2f}")
    axes[1].plot(mean, var, "o", color=color, ms=7)
    axes[1].annotate(f"{bound:.2f}", (mean, var), (7, 5), textcoords="offset points")
axes[0].set(xlabel="$z$", ylabel="density", title="three guesses $q$ of the hidden $z$")
axes[0].set_ylim(0, 2.4)
axes[0].legend(frameon=False, loc="upper right")
axes[1].set(xlabel="mean of $q$", ylabel="variance of $q$", yscale="log")
axes[1].set_title(rf"the ELBO of every normal $q$; the summit: $\log p(x) = {ceiling:.2f}$")
figure.tight_layout()
figures.show(
    figure,
    alt="Left: a grey bell, the posterior, and three bells q; the one that covers it has the "
    "highest ELBO. Right: the ELBO over mean and variance of q is a hill with one summit, at the "
    "posterior.",
)

# %% [markdown]
# *A hidden number $z$ made what we saw. Each guess $q$ of its law gives an ELBO, and the landscape
# of all guesses has one summit, at the height $\log p(x)$: here -1.950 nats. Which guess stands on
# it, and why no peak is higher, is this lesson.*
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
#
# > **Predict, then run.** The average of 200,000 draws from the prior: how many digits of it will
# > agree with the grid?

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
check.claim("p(x) on the grid", on_grid, "0.024767")
some = rng.standard_normal((5, d))
same = [log_normal(x, W @ z + b, eta * np.eye(D)) for z in some]
check.equal("the decoder is a normal law", log_decoder(some), same, tol=1e-12)
same = log_normal(some, np.zeros(d), np.eye(d))
check.equal("so is the prior", log_prior(some), same, tol=1e-12)

# %% [markdown]
# Two or three: the average is still off by a part in 250 (the ± in the line above). Section 2 asks
# what becomes of that in more dimensions.
#
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
#
# > **Predict, then run.** Under the prior $z_1$ and $z_2$ are independent. Both push the first two
# > entries of $x$ upwards (look at $W$). Once $x$ is seen, will they be correlated, and with which
# > sign?

# %%
Lam = np.eye(d) + W.T @ W / eta
S = np.linalg.inv(Lam)
m_post = S @ W.T @ (x - b) / eta
z = 2 * rng.standard_normal((1000, d))
check.equal("6.3", log_decoder(z) + log_prior(z) - log_p, log_normal(z, m_post, S), tol=1e-12)
correlation = S[0, 1] / np.sqrt(S[0, 0] * S[1, 1])
print("posterior mean", m_post.round(2))
check.claim("log p(x)", log_p, "-3.698")
check.claim("correlation of z_1 and z_2, given x", correlation, "-0.76")

# %% [markdown]
# Negatively: if $z_1$ was large, it explains $x$ already, and $z_2$ need not have been. Two causes
# of one effect compete for it, a thing called *explaining away*.
#
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
# We check it on the grid.


# %%
def second_moment(log_p, x, W, b, eta):
    """E[p(x|z)^2] / p(x)^2 under the prior."""
    half = W @ W.T + eta / 2 * np.eye(len(x))
    return np.exp(log_normal(x, b, half) - len(x) / 2 * np.log(4 * np.pi * eta) - 2 * log_p)


n = 50
squares = (np.exp(2 * log_decoder(grid) + log_prior(grid))).sum() * cell
left = (squares - on_grid**2) / n / on_grid**2
check.equal("6.4", left, (second_moment(log_p, x, W, b, eta) - 1) / n, tol=1e-10)

# %% [markdown]
# Now $W = I$, noise of variance 0.1, and a typical $x$ (each $x_i^2$ equals its mean). How many
# draws bring the relative error down to a tenth?
#
# > **Predict, then run.** In one dimension, 286 draws do. How many in twenty: 20 times as many, 400
# > times as many, more?

# %%
dims = np.array([1, 2, 5, 10, 20])
needed, exact = [], []
for d_z in dims:
    eye, typical = np.eye(d_z), np.full(d_z, np.sqrt(1.1))
    exact.append(log_normal(typical, np.zeros(d_z), 1.1 * eye))
    needed.append(100 * (second_moment(exact[-1], typical, eye, np.zeros(d_z), 0.1) - 1))
print("dimensions ", *(f"{d_z:8}" for d_z in dims))
print("draws      ", *(f"{count:8.1e}" for count in needed))
check.claim("one dimension: draws for an error of a tenth", needed[0], "286", tol=0.01)
check.claim("twenty dimensions: draws, in powers of ten", np.log10(needed[-1]), "13.74")
check.claim("each dimension multiplies the draws by", (needed[-1] / needed[0]) ** (1 / 19), "3.9")

# %% [markdown]
# Each dimension multiplies the work by almost four. The reason: almost all $z$ of the prior
# explain this $x$ not at all, and the few that do are rarely drawn.
#
# > **Predict, then run.** We take 10,000 draws all the same, in twenty dimensions. The average of
# > $p_\theta(x \mid z_i)$ is right *on average*. Will this one come out too high, too low, or
# > either?

# %%
estimates = []
print("dimensions   log p, exact   from 10,000 draws")
for d_z, log_px in zip(dims, exact):
    typical, draws = np.full(d_z, np.sqrt(1.1)), rng.standard_normal((10_000, d_z))
    estimates.append(np.log(np.exp(log_normal(draws, typical, 0.1 * np.eye(d_z))).mean()))
    print(f"{d_z:10} {log_px:14.2f} {estimates[-1]:19.2f}")
check.claim("five dimensions: log p", exact[2], "-7.33")
check.claim("five dimensions: from 10,000 draws", estimates[2], "-7.06")
check.claim("twenty dimensions: log p", exact[4], "-29.33")
check.claim("twenty dimensions: from 10,000 draws", estimates[4], "-64.77")

# %% [markdown]
# Far too low: -64.77 for -29.33. The average is kept right by draws that almost never come, so that
# nearly every experiment ends below. The cure is forced: draw $z$ where it matters.
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
#
# > **Predict, then run.** As many draws as from the prior, from a rough guess $q$ now. Will the
# > error be larger, the same, smaller? By (6.4), the error squared goes with the variance of the
# > weights.

# %%
m, V = np.array([0.1, 1.3]), np.array([[0.40, -0.15], [-0.15, 0.35]])


def log_w(z, m, V):
    return log_decoder(z) + log_prior(z) - log_normal(z, m, V)


draws = m + rng.standard_normal((200_000, d)) @ np.linalg.cholesky(V).T
weights = np.exp(log_w(draws, m, V))
check.mean("6.5", weights, np.exp(log_p))
prior_scatter = second_moment(log_p, x, W, b, eta) - 1
check.claim("relative variance of a weight: prior", prior_scatter, "6.93")
check.claim("relative variance of a weight: q", weights.var() / np.exp(2 * log_p), 0.78, tol=0.03)

# %% [markdown]
# The weights of this $q$ scatter nine times less, 0.78 for 6.93, so it needs nine times fewer
# draws.
#
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
#
# > **Predict, then run.** A thousand random $q$ around the posterior. How near to $\log
# > p_\theta(x)$ does the best one come: to a tenth, a hundredth, a thousandth of a nat?

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
bounds = np.array([elbo(*q) for q in many])
check.at_most("6.6", bounds, [log_p], attained=(elbo(m_post, S), log_p))
check.claim("our rough guess", elbo(m, V), "-4.941")
check.claim("the best of a thousand lacks, in nats", log_p - bounds.max(), "0.237")

# %% [markdown]
# The best lacks 0.237 nats. It takes five numbers to say a normal law in the plane, and blind
# guesses do not hit five numbers at once: one has to climb (section 6). The posterior attains the
# bound.
#
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
check.claim("explains", explains, "-3.645")
check.claim("costs", costs, "1.296")

# %% [markdown]
# ## Fix the slide: does any q work?
#
# The lecture notes put $q$ into the integral as in (6.5) and write beside the *equality*:
#
# > $(\text{any } q_\phi \text{ works; take max})$
#
# It works for every $q$ that is positive wherever $p_\theta(x \mid z) p(z)$ is. A $q$ that is zero
# somewhere never draws there, and no weight corrects for what is never drawn. Take a model with one
# number, $z \sim \mathcal{N}(0, 1)$ and $x = z$ plus noise of variance 1, the data point $x = 0.5$,
# and $q$ uniform on $(0, 2)$. The mean of the weights is then the integral over $(0, 2)$ alone:
# $p(x)$ times the share of the posterior, $\mathcal{N}(0.25, 0.5)$, that lies there.
# (The "max" belongs one line further down: of equal numbers there is nothing to maximise.)

# %%
from math import erf

one = np.eye(1)
z = 2 * rng.random((200_000, 1))  # uniform on (0, 2): density 1/2
weights = np.exp(log_normal(z, 0.5, one) + log_normal(z, 0.0, one)) / (1 / 2)
share = 0.5 * (erf(1.75) + erf(0.25))  # from the mean 1.75 up and 0.25 down; 2 x variance is 1
truth = log_normal(np.array([0.5]), 0.0, np.array([[2.0]]))
error = weights.std() / weights.mean() / np.sqrt(len(z))

check.claim("E59: log p(x)", truth, "-1.328")
check.claim("E59: the posterior's share of (0, 2)", share, "0.63")
check.claim("E59: log of the mean weight, exact", truth + np.log(share), "-1.788")
check.mean("E59: the draws agree", weights, np.exp(truth) * share)
check.claim("E59: their standard error", error, "0.0014")

# %% [markdown]
# The draws aim at -1.788, with a standard error of 0.0014, where the truth is -1.328: only 0.63 of
# the posterior was ever visited, and nothing in the draws betrays it. As a *bound* such a $q$ is
# still allowed: its mean weight is below $p_\theta(x)$, and (6.6) only gets looser.
#
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
#
# > **Predict, then run.** The logarithm in (6.8), at three random $z$: how far apart are the three?

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
print("at three random z:", log_bayes(rng.standard_normal((3, d))))
check.claim("one number at every z", np.ptp(log_bayes(rng.standard_normal((100, d)))) < 1e-12)
check.claim("the gap of our guess", gap_on_grid, "1.242")

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
#
# > **Predict, then run.** We go from the rough guess to the posterior in five equal steps of mean
# > and covariance. Will the ELBO rise in equal steps, fastest at first, or fastest at last?

# %%
gaps = np.array([gap(*q) for q in many])
check.at_most("6.11", np.zeros(1000), gaps, attained=(np.exp(gap(m_post, S)), 1))
check.equal("6.11", elbo(m_post, S), log_p, tol=1e-12)
check.equal("bound + gap is one number for all", bounds + gaps, log_p, tol=1e-12)

blends = np.linspace(0, 1, 6)
path = np.array([elbo(m + t * (m_post - m), V + t * (S - V)) for t in blends])
print("ELBO on the way:", path.round(3))
check.claim("the first of five steps gains", path[1] - path[0], "0.395")
check.claim("the last one", path[5] - path[4], "0.072")

# %% tags=["figure"]
figure, ax = plt.subplots(figsize=(7, 2.8))
ax.bar(blends, path + 6, bottom=-6, width=0.13, label="ELBO")
ax.bar(blends, log_p - path, bottom=path, width=0.13, hatch="//", label="KL to the posterior")
ax.axhline(log_p, color="k", ls=":", label=r"$\log p(x)$")
ax.set(
    xlabel="from a rough guess (0) to the posterior (1)",
    ylabel="nats",
    ylim=(path.min() - 0.3, log_p + 0.15),
    title="bound + gap = the same number for every q",
)
ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
figures.show(
    figure,
    alt="Six bars from a rough q to the posterior: the ELBO grows from bar to bar, the KL on top "
    "of it shrinks, and their sum stays at log p(x).",
)

# %% [markdown]
# Fastest at first: 0.395 nats, and 0.072 in the last step. Near its summit a smooth hill is flat,
# so that a $q$ that is nearly right has an ELBO that is *very* nearly right.
#

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
# the E-step of lesson 1). Also, the ELBO bounds the *logarithm* of the likelihood: -3.698 here,
# where the likelihood itself is 0.0248.

# %%
p_post = np.exp(log_post_grid)
gap_there = (p_post * (log_post_grid - log_decoder(grid) - log_prior(grid))).sum() * cell + log_p
check.claim("E34: no gap at the posterior, by the grid", abs(gap_there) < 1e-10)
check.equal("E34: the ELBO there is log p", elbo(m_post, S), log_p, tol=1e-12)
check.claim("E34: the likelihood", np.exp(log_p), "0.0248")
check.claim("E34: what the ELBO bounds, its logarithm", log_p, "-3.698")

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
#
# > **Predict, then run.** Two guesses with mean 0, one half as wide as the prior, one twice as
# > wide. Which costs more nats?

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
ratios = -0.5 * (e**2 + np.log(var)) + 0.5 * zs**2  # log q - log p, of each draw
check.mean("6.14", ratios, kl)
check.claim("(6.14) from the draws", ratios.mean(), 0.497, tol=0.02)
by_library = likelihoods.kl_to_standard_normal(
    tg.tensor([[mu]], dtype=tg.float64), tg.tensor([[np.log(var)]], dtype=tg.float64)
)
check.equal("6.14", by_library, [kl], tol=1e-12)
check.claim("half as wide costs", 0.5 * (0.5**2 - 1 - np.log(0.5**2)), "0.318")
check.claim("twice as wide costs", 0.5 * (2**2 - 1 - np.log(2**2)), "0.807")

# %% [markdown]
# Twice as wide costs more, 0.807 against 0.318. Yet towards 0 the price has no upper end. How does
# it act on $\sigma$? Differentiate:
#
# $$
# \frac{\partial}{\partial \sigma} \mathrm{KL} = \sigma - \frac{1}{\sigma} \tag{6.15}
# $$
#
# Above $\sigma = 1$ it pulls $\sigma$ down. Below, it pushes up, and ever harder: near 0 the
# term $-\log \sigma^2$ is an infinite **barrier**.
#
# > **Predict, then run.** The engine differentiates (6.14) at $\sigma$ = 0.05, 0.3, 1 and 2.5.
# > Which slope is the largest in size, and which is zero?

# %%
sigma = tg.tensor(np.array([0.05, 0.3, 1.0, 2.5]), requires_grad=True)
(0.5 * (mu**2 + sigma**2 - 1 - (sigma**2).log())).sum().backward()
s = sigma.detach().numpy()
check.equal("6.15", sigma.grad, s - 1 / s)
print("slopes:", sigma.grad.numpy().round(2))

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
def fit_width(regulariser, steps=1000):
    """Gradient steps on log sigma, q's mean held at the posterior's: sigma after each step."""
    log_sigma, path = tg.tensor(0.0, dtype=tg.float64), []
    for _ in range(steps):
        log_sigma = log_sigma.detach().requires_grad_()
        var = (2 * log_sigma).exp()
        loss = 0.5 * slope**2 * var / noise + regulariser(var, log_sigma)
        (g,) = tg.autograd.grad(loss, log_sigma)
        log_sigma = log_sigma - 0.05 * g
        path.append(np.exp(log_sigma.item()))
    return np.array(path)


true = fit_width(lambda var, log_sigma: 0.5 * var - log_sigma)
squares = fit_width(lambda var, log_sigma: 0.5 * var)
print("steps   sigma, true KL   its ELBO   sigma, squares only   its ELBO")
for steps in (10, 100, 1000):
    a, c = true[steps - 1], squares[steps - 1]
    print(
        f"{steps:5} {a:16.4f} {elbo_1d(post_mean, a**2):10.3f} {c:21.4f} "
        f"{elbo_1d(post_mean, c**2):10.3f}"
    )
check.equal("E27: the KL ends at the posterior", true[-1], np.sqrt(post_var), tol=1e-6)
check.claim("E27: which has sigma", true[-1], "0.4264")
check.claim("E27: squares only, after 100 steps", squares[99], "0.1322")
check.claim("E27: squares only, after 1000 steps", squares[-1], "0.0425")
check.claim("E27: its ELBO by then", elbo_1d(post_mean, squares[-1] ** 2), "-3.760")

# %% tags=["figure"]
widths = np.linspace(0.02, 2, 300)
figure, axes = plt.subplots(1, 2, figsize=(9, 2.8))
axes[0].plot(widths, 0.5 * (widths**2 - 1 - np.log(widths**2)), label=r"KL, $\mu = 0$")
axes[0].plot(widths, 0.5 * widths**2, label="a squared regulariser")
axes[0].set(xlabel=r"$\sigma$", ylabel="nats", title=r"the KL forbids $\sigma = 0$")
steps = np.arange(1, 1001)
axes[1].loglog(steps, true, label="with the KL")
axes[1].loglog(steps, squares, label="with squares only")
axes[1].set(xlabel="gradient step", ylabel=r"$\sigma$ of $q$", title="where the climb leads")
axes[1].tick_params(axis="y", which="minor", labelleft=False)
for ax in axes:
    ax.legend(frameon=False)
figure.tight_layout()
figures.show(
    figure,
    alt="Left: over sigma, the KL rises steeply towards 0 while a squared regulariser falls to 0. "
    "Right: over the gradient steps, sigma settles with the KL and falls on with squares only.",
)

# %% [markdown]
# With squares only, $\sigma$ goes to 0 (0.0425 after 1000 steps, where the posterior has 0.4264):
# $q$ becomes a point, the model a plain autoencoder, and its true ELBO falls without limit.
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
# model, $\beta = 2$: what does it cost?

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


for beta in (1, 2, 50):
    mean, cov = best_q(beta)
    print(f"beta {beta:2}: mean {mean.round(2)}, variances {np.diag(cov).round(3)}")
check.claim("E28: the ELBO's own weight leaves no gap", abs(log_p - elbo(*best_q(1))) < 1e-12)
check.claim("E28: beta of the unweighted loss here", 1 / (2 * eta), "2")
check.claim("E28: its gap in nats", log_p - elbo(*best_q(2)), "0.263")
check.claim("E28: beta for eta = 0.01", 1 / (2 * 0.01), "50")
check.claim("E28: its gap in nats", log_p - elbo(*best_q(50)), "7.791")
check.claim("E28: KL, mu = 0, sigma = 0.3", 0.5 * (0.3**2 - 1 - np.log(0.3**2)), "0.749")
check.claim("E28: read as the variance", 0.5 * (0.3 - 1 - np.log(0.3)), "0.252")

# %% [markdown]
# To drop the weight costs 0.263 nats here and, where it amounts to $\beta = 50$, 7.791: $q$ is told
# to stay near the prior, and does. And to read a deviation of 0.3 as a variance is to charge
# 0.252 nats where 0.749 are due.
#
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
#
# > **Predict, then run.** Our posterior has the correlation -0.76. What gap will the mean-field $q$
# > keep, by hand from the last formula? And the other family?

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
    gaps, path = [], []
    for _ in range(steps):
        q = [part.detach().requires_grad_() for part in q]
        bound, L = elbo_tensor(*q, full)
        moving = q if full else q[:2]
        grads = tg.autograd.grad(bound, moving)
        L = L.detach().numpy()
        gaps.append(log_p - bound.item())
        path.append((q[0].detach().numpy(), L @ L.T))
        q[: len(moving)] = [part + rate * g for part, g in zip(moving, grads)]
    return np.array(gaps), path


gap_full, path_full = climb(full=True)
gap_field, path_field = climb(full=False)
(m_full, V_full), (m_field, V_field) = path_full[-1], path_field[-1]
check.equal("6.17", np.append(m_field, np.diag(V_field)), np.append(m_post, 1 / np.diag(Lam)))
least = 0.5 * (np.log(np.diag(Lam)).sum() - np.linalg.slogdet(Lam)[1])
check.equal("6.18", gap_field[-1], least)
check.equal("6.18", -0.5 * np.log(1 - correlation**2), least)
check.claim("mean-field keeps, in nats", gap_field[-1], "0.423")
check.claim("the other family keeps nothing", abs(gap_full[-1]) < 1e-9)
check.equal("and ends at the posterior", (*m_full, *V_full.flat), (*m_post, *S.flat), tol=1e-6)
print("gap after 1, 10, 100 and 400 steps:")
for name, gaps in {"any covariance": gap_full, "mean-field": gap_field}.items():
    print(f"{name:15}", "  ".join(f"{abs(gaps[i]):.3f}" for i in (0, 9, 99, 399)))
check.claim("after ten steps, any covariance", gap_full[9], "0.167")
check.claim("after ten steps, mean-field", gap_field[9], "0.620")

# %% [markdown]
# > **Predict, then run.** Both families end at the posterior's mean. Will the mean-field $q$ be
# > wider than the posterior, as wide, or narrower? (It must cover a slanted ellipse by an upright
# > one.)

# %%
field, own = np.diag(V_field), np.diag(S)
check.claim("variance of z_1: mean-field", field[0], "0.12")
check.claim("variance of z_1: posterior", own[0], "0.27")
check.equal("the ratio is 1 - rho^2", field / own, 1 - correlation**2, tol=1e-6)

# %% tags=["figure"]
angle = np.linspace(0, 2 * np.pi, 100)
circle = np.stack([np.cos(angle), np.sin(angle)], 1)


def frame(step):
    figure, axes = plt.subplots(1, 2, figsize=(7.2, 3.1))
    figure.subplots_adjust(left=0.08, right=0.99, bottom=0.15, top=0.9, wspace=0.25)
    for size in (1, 2, 3):
        axes[0].fill(*(m_post + size * circle @ np.linalg.cholesky(S).T).T, color="k", alpha=0.1)
    named = {"any covariance": (path_full, gap_full), "mean-field": (path_field, gap_field)}
    for (name, (path, gaps)), color, line in zip(named.items(), ("C0", "C1"), ("-", "--")):
        mean, cov = path[step]
        at = mean + 2 * circle @ np.linalg.cholesky(cov).T
        axes[0].plot(*at.T, color=color, ls=line, lw=2)
        axes[0].plot(*mean, "o", color=color, ms=4)
        axes[1].plot(log_p - gaps[: step + 1], color=color, ls=line, lw=2, label=name)
    axes[1].axhline(log_p, color="k", ls=":", lw=1.5)
    axes[1].text(40, log_p + 0.06, r"$\log p(x)$", ha="right")
    axes[0].set(xlim=(-2.3, 2.3), ylim=(-2.2, 3.0), xlabel="$z_1$", ylabel="$z_2$")
    axes[0].set_title("posterior (grey) and $q$")
    axes[1].set(xlim=(-1, 41), ylim=(log_p - 3, log_p + 0.4), xlabel="gradient step")
    axes[1].set(ylabel="ELBO, nats", title=f"the ELBO climbs: step {step}")
    axes[1].legend(frameon=False, loc="lower right")
    return figure


figures.film(
    (frame(step) for step in (*range(13), 14, 16, 18, 21, 24, 28, 32, 36, 40)),
    alt="Left: two ellipses wander from the prior to the posterior's ellipse; the one of any "
    "covariance tilts and fits it, the mean-field one stays upright and too small. Right: their "
    "ELBOs rise; the first reaches log p(x), the second stays below.",
    colors=48,
).display()

# %% [markdown]
# The mean-field $q$ is too narrow: its variance for $z_1$ is 0.12 where the posterior has 0.27.
# That is the reverse KL of lesson 1: $q$ must not put mass where the posterior has none.
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
kl_ours = 0.5 * (m_post @ m_post + (field - 1 - np.log(field)).sum())
check.equal("the library's KL is ours", terms.kl.item(), kl_ours, tol=1e-6)
check.claim("ELBO, ours", elbo(m_post, V_field), "-4.121")
check.claim("ELBO, library, 50,000 draws", terms.elbo.item(), "-4.12")
check.claim("log p(x), library, 50,000 weights", some.log_p.item(), "-3.683")
check.claim("which misses by", some.log_p.item() - log_p, "0.015")

# %% [markdown]
# The last number misses -3.698 by 0.015, after 50,000 draws. That is poor; the next section says
# why.
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
check.equal("far apart", log_mean_exp(np.array([0.0, -2000.0])), np.log(1 / 2))

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
# sets. The ceiling holds for the mean only.
#
# > **Predict, then run.** Single estimates, each from 8 draws: how many of a hundred will lie
# > *above* $\log p_\theta(x)$?

# %%
lw = draw_log_w((8, 1000), m, V)
left_out = [log_mean_exp(np.delete(lw, i, axis=0)) for i in range(8)]
equal = np.full(8, -3.0)  # equal weights: nothing is lost by leaving one out
check.at_most(
    "6.20",
    np.mean(left_out, axis=0),
    [log_mean_exp(lw)],
    attained=(log_mean_exp(equal[1:]), log_mean_exp(equal)),
)
ks = np.array([1, 2, 4, 8, 16, 32, 64, 128])
estimates = [log_mean_exp(draw_log_w((k, 40_000), m, V)) for k in ks]
curve = np.mean(estimates, axis=1)
exact_weights = draw_log_w((8, 5), m_post, S)  # at the posterior every weight is p(x)
check.at_most("6.20", curve, [log_p], attained=(log_mean_exp(exact_weights), log_p))
check.claim("the bounds rise with k", np.diff(curve) > 0)
check.claim("k = 1", curve[0], "-4.94", tol=0.005)
check.claim("k = 128", curve[-1], "-3.701", tol=0.0005)
check.claim("share of single estimates above log p, k = 8", (estimates[3] > log_p).mean(), "0.49")


# %% tags=["figure"]
def frame(k, values):
    figure, ax = plt.subplots(figsize=(6.5, 2.8))
    figure.subplots_adjust(left=0.09, right=0.99, bottom=0.17, top=0.9)
    ax.hist(values, np.linspace(-7, -2.5, 91), color="C5", density=True)
    ax.axvline(values.mean(), color="C1", lw=2, label=f"their mean, {values.mean():.3f}")
    ax.axvline(log_p, color="k", ls=":", lw=2, label=r"$\log p(x)$")
    ax.set(xlim=(-6.6, -2.6), ylim=(0, 5.4), xlabel="estimate, nats", ylabel="density")
    ax.set_title(f"40,000 estimates of log p(x), k = {k}")
    ax.legend(frameon=False, loc="upper left")
    return figure


figures.slider(
    (frame(*pair) for pair in zip(ks, estimates)),
    ks,
    "k",
    alt="Histogram of estimates of log p(x): broad, with a tail to the left, for one weight; with "
    "more weights it narrows and its mean moves up to log p(x).",
).display()

# %% [markdown]
# Move the slider: with more weights the estimates gather around $\log p_\theta(x)$, and the long
# tail on the left, which is what pulls their mean down, is eaten up. With $k = 8$ a share of 0.49
# lies above.
#
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
# So the gap of a poor $q$ closes too. This asks two things of the weights. Their *variance* must be
# finite. It is not if $q$ is much narrower than the posterior in some direction: then a rare draw
# carries nearly all the weight. For normal laws, $q w^2$ has a finite integral exactly when
# $2 \Lambda - V^{-1}$ is positive definite; the mean-field $q$ of section 6 fails that. And
# $\mathcal{L}_k$ must be *above* $-\infty$ for some $k$: too many weights near 0 may spoil the mean
# of the logarithm. (For normal laws $\log w$ is quadratic, and all is well. But take
# $w = e^{-e^{1/u}}$ with $u$ uniform on $(0, 1)$. It is bounded, and yet every $\mathcal{L}_k$ is
# $-\infty$: all $k$ logarithms lie below $-t$ with probability $(\log t)^{-k}$, whose integral over
# $t$ diverges. The cell adds it up to $t = e^{100}$ only.)
#
# > **Predict, then run.** By (6.21), what does twice the number of weights do to the gap? (To tame
# > the noise, the cell adds $\delta$ itself, whose mean is 0, to each draw of $-\log(1 + \delta)$.)

# %%
w_square = np.exp(2 * (log_decoder(grid) + log_prior(grid)) - log_normal(grid, m, V)).sum() * cell
relative = w_square / np.exp(2 * log_p) - 1
k = 1000
above = log_mean_exp(draw_log_w((k, 1500), m, V)) - log_p  # log(1 + delta)
delta = np.exp(above) - 1
tamed = k * (delta - above)
check.mean("6.21", tamed, relative / 2)
check.claim("k times the gap tends to", relative / 2, "0.392")
check.claim("one draw of it scatters by", tamed.std(), 0.56, tol=0.15)
check.claim("without delta by", np.std(k * above), 28, tol=0.1)
check.claim(
    "32 weights in place of 16: the gap is", (log_p - curve[5]) / (log_p - curve[4]), 0.5, 0.1
)

least_of = [np.linalg.eigvalsh(2 * Lam - np.linalg.inv(cov)).min() for cov in (V, V_field)]
check.claim("least eigenvalue of 2 Lambda - 1/V, this q", least_of[0], "2.44")
check.claim("least eigenvalue of 2 Lambda - 1/V, mean-field", least_of[1], "-4.54")
s = np.linspace(1, 100, 100_001)  # t = e^s
diverging = np.trapezoid(np.exp(s) / s**10, s)
check.claim("bounded weights, k = 10: in powers of ten", np.log10(diverging), "23.476")

# %% tags=["figure"]
figure, ax = plt.subplots(figsize=(7, 2.9))
errors = 2 * np.std(estimates, axis=1) / np.sqrt(40_000)
ax.errorbar(ks, curve, yerr=errors, fmt="o-", ms=4, label=r"$\mathcal{L}_k$")
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
figures.show(
    figure,
    alt="Over k, the bound L_k rises from the ELBO to log p(x); from k = 8 on it lies on the "
    "curve of (6.21).",
)

# %% [markdown]
# It halves it. The gradient of $\log \frac{1}{k} \sum_i w_i$ is $\sum_i v_i \nabla \log w_i$ with
# $v_i = w_i / \sum_j w_j$: each draw pulls in proportion to how well it explains $x$. One can
# therefore program the gradient in a second form, as $\sum_i v_i \log w_i$ with the $v_i$ *held
# constant*. That form is where the next bug lives.
#
# ## A bug from the wild: importance weights upside down
#
# `AntixK/PyTorch-VAE`, a collection of VAEs, forms for each draw a *loss*, the squared error plus a
# weighted KL, takes the softmax of these losses over the draws as weights, and minimises the
# weighted sum. ([Issue 34](https://github.com/AntixK/PyTorch-VAE/issues/34) asks why gradients go
# through the weights, [pull request 53](https://github.com/AntixK/PyTorch-VAE/pull/53) rewrites the
# function; both were open when we read them.) The loss stands for minus $\log w$, so the softmax is
# upside down: the draw that explains $x$ *worst* gets the largest weight. Nothing crashes, and
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
check.claim("upside down: falls with k", np.diff(table[:, 0]) < 0)
check.claim("upside down: k = 100", table[-1, 0], "-16.54")
check.claim("weighted sum: above the ceiling from k = 5 on", table[2:, 1] > log_p)
check.claim("weighted sum: k = 100", table[-1, 1], "-3.248")
check.claim("log of the mean: rises with k", np.diff(table[:, 2]) > 0)
check.claim("log of the mean: k = 100", table[-1, 2], "-3.702")

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
two = [fitted[name] for name in ("log of the mean", "v log w, v constant")]
check.equal("the first two are one", two[0][1], two[1][1], tol=1e-6)
check.claim("upside down: its bound", reached["upside down"], "-3.905")
check.claim("right way: its bound", reached["log of the mean"], "-3.737")
check.claim("the ELBO's q: its bound", reached["the ELBO's, (6.17)"], "-3.818")
check.claim("right way: variance of z_1", two[0][1][0, 0], "0.51")
check.claim("upside down: variance of z_1", fitted["upside down"][1][0, 0], "0.08")
check.equal("at the posterior all draws count", effective, 20)

# %% [markdown]
# The first two end at the same $q$, as the mathematics says: with 20 draws it pays to be *wider*
# than the posterior (variance 0.51 for $z_1$, where that has 0.27), so that nothing is missed. The
# third goes the other way. With 0.08 it is narrower than even the ELBO's $q$, because it looks
# after its worst draws and those are the outer ones; its $\mathcal{L}_{20}$ is the lowest, -3.905.
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
# > **Predict, then run.** Halve the noise $\eta$ of the decoder. Does $z$ then tell more of $x$ or
# > less, and will the change be as large as one nat?

# %%
ztrue = rng.standard_normal((50_000, d))
xs = ztrue @ W.T + b + np.sqrt(eta) * rng.standard_normal((50_000, D))
ms = (xs - b) @ (S @ W.T / eta).T
rates = 0.5 * ((ms**2).sum(1) + np.trace(S) - d - np.linalg.slogdet(S)[1])
check.mean("6.22", rates, 0.5 * np.linalg.slogdet(Lam)[1])
information = 0.5 * np.linalg.slogdet(C / eta)[1]  # H(x) - H(x given z)
check.equal("6.22", 0.5 * np.linalg.slogdet(Lam)[1], information)
check.claim("nats about z in x", information, "1.762")
half = 0.5 * np.linalg.slogdet(np.eye(d) + W.T @ W / (eta / 2))[1]
check.claim("with half the noise", half, "2.308")

# %% [markdown]
# More, 2.308 nats in place of 1.762: at most half a $\log 2$ for each dimension of $z$.
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
#
# > **Predict, then run.** Which is larger at $\beta = 10$ than at $\beta = 0.1$: the rate, the
# > distortion, or their sum?


# %%
def rate_distortion(beta):
    """Both terms at q_beta, averaged in closed form over x ~ N(b, C)."""
    cov = np.linalg.inv(np.eye(d) + W.T @ W / (beta * eta))
    A = cov @ W.T / (beta * eta)  # q's mean is A (x - b)
    rate = 0.5 * (np.trace(cov + A @ C @ A.T) - d - np.linalg.slogdet(cov)[1])
    miss = np.eye(D) - W @ A
    square = np.trace(miss @ C @ miss.T) + np.trace(W @ cov @ W.T)
    return rate, D / 2 * np.log(2 * np.pi * eta) + square / (2 * eta)


entropy = 0.5 * np.linalg.slogdet(2 * np.pi * np.e * C)[1]
betas = np.geomspace(0.05, 20, 81)
R, distortion = np.array([rate_distortion(beta) for beta in betas]).T
check.equal("6.22", rate_distortion(1)[0], information)
touch = sum(rate_distortion(1))
check.at_most("6.23", [entropy], R + distortion, attained=(entropy, touch))
check.mean("6.23", -log_normal(xs, b, C), entropy)

for beta in (0.3, 1.0, 4.0):
    (r0, d0), (r1, d1) = rate_distortion(beta * 0.999), rate_distortion(beta * 1.001)
    check.equal("6.24", (d1 - d0) / (r1 - r0), -beta, tol=1e-5)  # a difference quotient
print("  beta    rate  distortion")
for beta in (0.1, 1.0, 10.0):
    print("{:6.1f} {:7.2f} {:11.2f}".format(beta, *rate_distortion(beta)))
check.claim("beta = 0.1: distortion", rate_distortion(0.1)[1], "1.28")
check.claim("beta = 10: distortion", rate_distortion(10)[1], "6.83")
check.claim("beta = 0.1: sum", sum(rate_distortion(0.1)), "5.40")
check.claim("beta = 1: sum", sum(rate_distortion(1)), "3.94")
check.claim("beta = 10: sum", sum(rate_distortion(10)), "7.19")

# %% tags=["figure"]
figure, ax = plt.subplots(figsize=(7, 3))
ax.plot(R, distortion, label=r"the best $q$ for each $\beta$")
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
figures.show(
    figure,
    alt="Distortion over rate: a falling convex curve that touches the straight line of constant "
    "sum at beta = 1 and lies above it elsewhere.",
)

# %% [markdown]
# The distortion, 6.83 nats for 1.28; and, though the rate falls, their sum: 7.19 at $\beta = 10$
# and 5.40 at $\beta = 0.1$, with the least, 3.94, at $\beta = 1$.
#
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
# On the 8 x 8 digits, with two networks in place of two matrices (1375 steps, about 5 and 11
# seconds):
#
# ```
# python examples/vae.py --latent 8 --epochs 125 --importance 500 --objective elbo
# python examples/vae.py --latent 8 --epochs 125 --importance 500 --objective iwae --k 5
# ```
#
# The same networks over three seeds, trained for 1500 steps by `benchmarks/quality/vae.py` (test
# set, mean ± standard deviation; [its report](../benchmarks/results/vae/vae-family.md)):
#
# | trained with | test ELBO | $\log p(x)$, 500 weights |
# |---|---|---|
# | ELBO | -22.96 ± 0.01 | -22.62 ± 0.01 |
# | IWAE, k = 5 | -23.53 ± 0.06 | -22.40 ± 0.04 |
# | IWAE, k = 5, as $\sum_i v_i \log w_i$ | -23.49 ± 0.04 | -22.40 ± 0.03 |
#
# Read it with (6.10): IWAE has the *lower* ELBO and the *higher* likelihood. Its bound forgives a
# $q$ that misses the posterior, so the model is freer. A better ELBO is not always a better model
# (the argument is that of Burda et al. 2015).
#
# ## Further reading
#
# - M. Jordan, Z. Ghahramani, T. Jaakkola, L. Saul: [*An Introduction to Variational Methods for
#   Graphical Models*](https://doi.org/10.1023/A:1007665907178), 1999.
# - D. Kingma, M. Welling: *Auto-Encoding Variational Bayes*, 2013: the ELBO with an encoder.
# - D. Rezende, S. Mohamed, D. Wierstra: *Stochastic Backpropagation and Approximate Inference in
#   Deep Generative Models*, 2014.
# - Y. Burda, R. Grosse, R. Salakhutdinov: *Importance Weighted Autoencoders*, 2015: (6.19), (6.20).
# - A. Alemi, B. Poole, I. Fischer, J. Dillon, R. Saurous, K. Murphy: *Fixing a Broken ELBO*, 2018:
#   rate and distortion.
