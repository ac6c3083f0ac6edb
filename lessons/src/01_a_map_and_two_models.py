# %% [markdown]
# # Lesson 1: A map, and two five-line models
#
# > **Question.** What does it mean to learn a distribution from samples, and what can one do with
# > it once it is learned?
#
# At the end you have two complete generative models, five lines each: a coin and a mixture of
# Gaussians. Both are fitted by the principle that half of this course rests on (maximum
# likelihood), and both can do all three things one may ask of a model: tell how probable a point
# is (**density**), make new points (**sampling**), and say what is hidden given what is seen
# (**inference**). Every later model gives up one of the three to get better at another. The map at
# the end says which.
#
# - **You need:** Python and NumPy, the logarithm, a derivative, what a mean and a variance are.
# - **Time:** an hour and a half, a third of it for the exercises. The cells run in ten seconds.
# - **You may skip:** section 6 and "Three kinds of queries" on a first reading; no later lesson
#   stops without them.
#
# Every numbered equation of these lessons is followed by a cell that computes its two sides by two
# routes and prints how far apart they are. What the text says besides, a number or a statement,
# stands in a `check.claim` beside the text: it stops the lesson where it is not true. And where you
# read "Predict, then run", say your answer aloud before you look at the cell's output. You will
# remember what you got wrong.

# %%
import matplotlib.pyplot as plt
import numpy as np

import tinygen as tg
from tinygen.lessons import check, figures

figures.style()
rng = np.random.default_rng(0)

# %% tags=["figure"]
centers = np.array([[-2.0, 0.0], [1.0, 1.5], [1.5, -1.5]])
spreads = np.array([0.5, 0.7, 0.35])
shares = np.array([0.5, 0.3, 0.2])


def draw(n, rng):
    """n points of three blobs: choose a blob, then a point of it."""
    j = rng.choice(3, size=n, p=shares)
    return centers[j] + spreads[j, None] * rng.standard_normal((n, 2))


data = draw(600, rng)
grid = np.stack(np.meshgrid(np.linspace(-4, 4, 161), np.linspace(-4, 4, 161)), axis=-1)


def blob_density(x, j):
    square = ((x - centers[j]) ** 2).sum(-1) / spreads[j] ** 2
    return np.exp(-square / 2) / (2 * np.pi * spreads[j] ** 2)


density = sum(shares[j] * blob_density(grid, j) for j in range(3))
hidden = np.stack([shares[j] * blob_density(grid, j) / density for j in range(3)], axis=-1)

colours = np.array([[0, 114, 178], [213, 94, 0], [240, 228, 66]]) / 255  # blue, vermillion, yellow
figure, axes = plt.subplots(1, 3, figsize=(9.5, 3.3), sharex=True, sharey=True)
axes[0].contourf(grid[..., 0], grid[..., 1], density, levels=12, cmap="Blues")
axes[0].set_title("density: how probable is $x$?")
axes[1].scatter(*draw(600, rng).T, s=3, color="C1")
axes[1].set_title("sampling: give me new $x$")
axes[2].imshow(hidden @ colours, origin="lower", extent=(-4, 4, -4, 4))
axes[2].set_title("inference: which blob made $x$?")
for ax in axes:
    ax.set(aspect="equal", xlabel="$x_1$")
axes[0].set_ylabel("$x_2$")
figure.tight_layout()
figures.show(
    figure,
    alt="Three panels of the same plane: contours of a density with three blobs, 600 points drawn "
    "from it, and the plane coloured by which blob a point probably belongs to.",
)

# %% [markdown]
# *One law in the plane, asked its three questions. The colour on the right mixes blue, vermillion
# and yellow in the proportions of the three blobs' probabilities given the point. Where two blobs
# may have made the point, it is in between.*
#
# ## 1. The smallest model: a coin
#
# The data are $n$ zeros and ones, $x_1, \dots, x_n$. The model has one number $\theta$, the
# probability of a one. The draws are independent, so the probability of the whole data set is a
# product. It is called the **likelihood** when we look at it as a function of $\theta$:
#
# $$
# p_\theta(x_1, \dots, x_n) = \prod_{i=1}^n \theta^{x_i} (1 - \theta)^{1 - x_i} \tag{1.1}
# $$
#
# The exponents are a switch: $x_i = 1$ leaves $\theta$, $x_i = 0$ leaves $1 - \theta$. The cell
# compares the formula with the plain product of the two probabilities.
#
# > **Predict, then run.** Forty tosses, and a coin that comes up heads a bit more than once in
# > three. How probable is exactly what came: one in a thousand, one in a million, or less?

# %%
x = (rng.random(40) < 0.3).astype(float)
theta = 0.37

product = 1.0
for toss in x:
    product *= theta if toss == 1 else 1 - theta
check.equal("1.1", product, np.prod(theta**x * (1 - theta) ** (1 - x)))
check.claim("ones in 40 tosses", x.sum(), "15")
check.claim("their likelihood, in powers of ten", np.log10(product), "-11.5")

# %% [markdown]
# Less than one in a hundred thousand million, and these are likely tosses: there are just very many
# others. A product of many small numbers leaves the range of floating point after about a thousand
# factors. Its logarithm does not, and it has the same maximum because $\log$ grows. Write
# $\bar x = \frac{1}{n} \sum_i x_i$ for the share of ones:
#
# $$
# \log p_\theta(x_1, \dots, x_n)
# = n \left( \bar x \log \theta + (1 - \bar x) \log (1 - \theta) \right) \tag{1.2}
# $$
#
# The data enter through $\bar x$ alone: the order of the tosses says nothing about the coin.

# %%
mean = x.mean()
log_likelihood = len(x) * (mean * np.log(theta) + (1 - mean) * np.log(1 - theta))
check.equal("1.2", np.log(product), log_likelihood)

# %% [markdown]
# To find the best $\theta$, differentiate. The derivative of $\log \theta$ is $1/\theta$, that of
# $\log(1 - \theta)$ is $-1/(1 - \theta)$; on a common denominator
#
# $$
# \frac{d}{d\theta} \log p_\theta(x_1, \dots, x_n)
# = n \frac{\bar x - \theta}{\theta (1 - \theta)} \tag{1.3}
# $$
#
# We let tinygen differentiate (1.2) instead and compare. Its tensors remember how they were
# computed; lesson 2 builds that from nothing.

# %%
t = tg.tensor(theta, dtype=tg.float64, requires_grad=True)
ll = len(x) * (mean * t.log() + (1 - mean) * (1 - t).log())
ll.backward()
check.equal("1.3", t.grad, len(x) * (mean - theta) / (theta * (1 - theta)))

# %% [markdown]
# The derivative is positive below $\bar x$ and negative above it. So there is one maximum, the
# **maximum likelihood estimate**, and it is what everyone would have guessed:
#
# $$
# \hat\theta = \bar x \tag{1.4}
# $$
#
# The cell looks for the maximum by trying a fine grid.

# %%
tried = np.linspace(0.001, 0.999, 999)
values = mean * np.log(tried) + (1 - mean) * np.log(1 - tried)
check.equal("1.4", tried[values.argmax()], mean)
check.claim("the share of ones, and the best theta", mean, "0.375")

# %% [markdown]
# How good is it? $\hat\theta$ is a mean of $n$ independent draws, each with variance
# $\theta (1 - \theta)$, so
#
# $$
# \mathrm{Var}[\hat\theta] = \frac{\theta (1 - \theta)}{n} \tag{1.5}
# $$
#
# We draw 20,000 data sets and look at the squared errors.
#
# > **Predict, then run.** You want one more decimal of $\theta$: errors ten times smaller. How many
# > times as many tosses do you need?

# %%
estimates = (rng.random((20_000, 40)) < theta).mean(1)
check.mean("1.5", (estimates - theta) ** 2, theta * (1 - theta) / 40)
more = rng.binomial(4000, theta, 20_000)  # ones in a hundred times as many tosses
check.claim("error divided by", estimates.std() / (more.std() / 4000), 10, 0.02)

# %% [markdown]
# A hundred times as many. The error falls with the root of $n$, here and wherever one averages.
#
# This is already a generative model, whole: fit and sample.

# %%
coins = (rng.random(1000) < 0.3).astype(float)  # 1. data
theta_hat = coins.mean()  # 2. fit
new = rng.random(1000) < theta_hat  # 3. sample
print("new tosses:", new[:20].astype(int))
print(f"log p(1) = {np.log(theta_hat):.2f} nats, log p(0) = {np.log(1 - theta_hat):.2f} nats")
check.claim("the fit; the truth is 0.3", theta_hat, "0.293")
check.claim("ones among the new tosses", new.mean(), "0.295")

# %% [markdown]
# ## 2. What maximum likelihood looks for
#
# Which distance does it make small? For laws over finitely many outcomes, the **Kullback-Leibler
# divergence** from $p$ to $q$ is the mean of $\log p - \log q$ under the first:
#
# $$
# \mathrm{KL}(p \Vert q) = \sum_x p(x) \log \frac{p(x)}{q(x)} \geq 0 \tag{1.6}
# $$
#
# It is never negative. The reason is that $\log u \leq u - 1$ (the logarithm lies below its
# tangent at 1):
# $-\mathrm{KL} = \sum_x p \log \frac{q}{p} \leq \sum_x p \left( \frac{q}{p} - 1 \right)$, and the
# right side is at most $1 - 1 = 0$ (less if $q$ has mass where $p$ has none). It is 0 for $q = p$.

# %%
p, q = rng.dirichlet(np.ones(6), 1000), rng.dirichlet(np.ones(6), 1000)


def divergence_of(p, q):
    return (p * np.log(p / q)).sum(-1)


check.at_most("1.6", np.zeros(1000), divergence_of(p, q), attained=(divergence_of(p, p), 0))

# %% [markdown]
# It is called a divergence, not a distance, because its two sides play different parts.
#
# > **Predict, then run.** A fair coin $p = (0.5, 0.5)$ and a loaded one $q = (0.9, 0.1)$. Which is
# > larger, $\mathrm{KL}(p \Vert q)$ or $\mathrm{KL}(q \Vert p)$?

# %%
fair, loaded = np.array([0.5, 0.5]), np.array([0.9, 0.1])
check.claim("KL(fair || loaded)", divergence_of(fair, loaded), "0.511")
check.claim("KL(loaded || fair)", divergence_of(loaded, fair), "0.368")

# %% [markdown]
# To believe in the loaded coin while the fair one is tossed is the dearer error: half the time
# something happens that was thought to be rare.
#
# Let $\hat p$ be the data's own law: the share of each outcome. The mean log-likelihood splits
# into a part that no model can change and a divergence. With the entropy
# $H(\hat p) = -\sum_x \hat p(x) \log \hat p(x)$,
#
# $$
# \frac{1}{n} \sum_{i=1}^n \log p_\theta(x_i)
# = -H(\hat p) - \mathrm{KL}(\hat p \Vert p_\theta) \tag{1.7}
# $$
#
# So **maximising the likelihood is minimising** $\mathrm{KL}(\hat p \Vert p_\theta)$, and the best
# mean log-likelihood that any model can reach is $-H(\hat p)$.
#
# > **Predict, then run.** A die is loaded, thrown 500 times, and a friend reports a model of it
# > with a mean log-likelihood of $-1.2$ nats on these throws. Can that be? (A fair die has $-\log 6
# > = -1.79$.)

# %%
faces = rng.choice(6, size=500, p=[0.4, 0.2, 0.1, 0.1, 0.1, 0.1])  # a loaded die
share = np.bincount(faces, minlength=6) / 500
model = q[0]
entropy = -(share * np.log(share)).sum()
left = np.log(model[faces]).mean()
check.equal("1.7", left, -entropy - (share * np.log(share / model)).sum())
check.claim("the most that any model reaches, nats a throw", -entropy, "-1.62")
check.claim("a fair die's, nats a throw", np.log(np.full(6, 1 / 6)[faces]).mean(), "-1.79")

# %% [markdown]
# It cannot: these throws have an entropy of 1.62 nats, and $-1.62$ is the best there is. Whoever
# reports more has made an error; the bug box of this lesson shows a famous one.
#

# ## 3. The second model: a mixture of Gaussians
#
# A coin chooses between two outcomes; now a loaded die chooses between $K$ Gaussians, and the
# chosen Gaussian makes the point. The die's face $j$ is **latent**: it was there, we do not see
# it. Summing it out gives the density. In one dimension, with weights $w_j$ that sum to 1,
#
# $$
# p_\theta(x) = \sum_{j=1}^K w_j \mathcal{N}(x; \mu_j, \sigma_j^2) \tag{1.8}
# $$
#
# It is a density: it integrates to 1. We add it up on a fine grid. (And its mean is
# $0.5 \cdot (-1) + 0.2 \cdot 0.5 + 0.3 \cdot 2 = 0.2$.)

# %%
w = np.array([0.5, 0.2, 0.3])
mu = np.array([-1.0, 0.5, 2.0])
var = np.array([0.3, 0.1, 0.8])


def log_normal(x, mu, var):
    return -0.5 * ((x - mu) ** 2 / var + np.log(2 * np.pi * var))


def log_joint(x, w, mu, var):
    """log w_j + log N(x_i; mu_j, var_j): one row for each point, one column for each j."""
    return np.log(w) + log_normal(x[:, None], mu, var)


line = np.linspace(-12, 12, 24_001)
step = line[1] - line[0]
p_line = np.exp(log_joint(line, w, mu, var)).sum(1)
check.equal("1.8", p_line.sum() * step, 1.0)
check.claim("mean of the mixture", (line * p_line).sum() * step, "0.2000")
check.claim("variance of the mixture", ((line - 0.2) ** 2 * p_line).sum() * step, "2.1200")

# %% [markdown]
# **Inference** is Bayes' rule. Given $x$, the probability that Gaussian $j$ made it (its
# *responsibility* for $x$) is its share of the sum:
#
# $$
# r_j(x) = p_\theta(j \mid x) = \frac{w_j \mathcal{N}(x; \mu_j, \sigma_j^2)}{p_\theta(x)} \tag{1.9}
# $$
#
# We check it the slow way: draw many pairs $(j, x)$, keep those that fall near a point, and count.
#
# > **Predict, then run.** At $x = 0.8$: the narrow Gaussian at 0.5 has the smallest weight, the
# > wide one at 2 has more. Who made the point, and how sure can one be?

# %%
j = rng.choice(3, size=400_000, p=w)
draws = mu[j] + np.sqrt(var[j]) * rng.standard_normal(400_000)
at = 0.8
near = np.abs(draws - at) < 0.01
responsibility = np.exp(log_joint(np.array([at]), w, mu, var))[0]
responsibility /= responsibility.sum()
check.mean("1.9", np.eye(3)[j[near]], responsibility)
for k, said in enumerate(("0.008", "0.742", "0.251")):
    check.claim(f"responsibility of Gaussian {k} for 0.8", responsibility[k], said)
edges = np.array([-1.0, 0.0, 1.0, 2.0])  # and the draws have the density (1.8)
below = (p_line[:, None] * (line[:, None] <= edges)).sum(0) * step
check.mean("1.8", draws[:, None] <= edges, below)

# %% [markdown]
# The narrow one, at three to one: near its centre it is the highest of the three.
#
# ### Why the coin's trick fails, and what replaces it
#
# For the coin, the derivative was zero at one point that we could write down. Here the logarithm
# stands before a *sum*, and setting derivatives to zero gives equations in which everything
# depends on everything. Two ways out: gradients (lessons 2 and on), and **EM**, which we derive
# now because its bound comes back as the ELBO in lesson 6.
#
# Take any guess $r_j$ of who made $x$: positive numbers that sum to 1. Then
#
# $$
# \log p_\theta(x) = \sum_j r_j \log \frac{w_j \mathcal{N}(x; \mu_j, \sigma_j^2)}{r_j}
# + \mathrm{KL}(r \Vert p_\theta(\cdot \mid x)) \tag{1.10}
# $$
#
# because $w_j \mathcal{N}_j = p_\theta(x) p_\theta(j \mid x)$: put this into the first sum, and
# what is left over is exactly minus the divergence. The divergence is not negative, so the first
# sum is a **lower bound** of $\log p_\theta(x)$, and it touches when the guess is the posterior
# (1.9).

# %%
point = np.array([at])
r = rng.dirichlet(np.ones(3))
joint = log_joint(point, w, mu, var)[0]
bound = (r * (joint - np.log(r))).sum()
gap = (r * np.log(r / responsibility)).sum()
check.equal("1.10", np.log(np.exp(joint).sum()), bound + gap)
check.claim("log p at 0.8", bound + gap, "-1.528")
touching = (responsibility * (joint - np.log(responsibility))).sum()
check.claim("the bound with the posterior for r: it touches", touching, "-1.528")

# %% [markdown]
# EM climbs that bound in two half-steps. **E**: make it touch, $r_{ij} = p_\theta(j \mid x_i)$.
# **M**: hold the $r_{ij}$ and maximise over the parameters, which is easy because the sum has left
# the logarithm. Let $n_j = \sum_i r_{ij}$ be the number of points that Gaussian $j$ answers for.
# The maximum is at *weighted* shares, means and variances:
#
# $$
# w_j = \frac{n_j}{n} \tag{1.11}
# $$
#
# $$
# \mu_j = \frac{1}{n_j} \sum_i r_{ij} x_i \tag{1.12}
# $$
#
# $$
# \sigma_j^2 = \frac{1}{n_j} \sum_i r_{ij} (x_i - \mu_j)^2 \tag{1.13}
# $$
#
# At a maximum the gradient vanishes. So we compute the bound with tinygen, at these values, and
# ask for its gradient. (The weights must sum to 1; we write them as a softmax of free numbers, so
# that the constraint is built in.) The formulas hold for any $r_{ij}$, so the cell takes random
# ones. That the flat place is a top: a small step away from it in a random direction lowers the
# bound.

# %%
xs = draws[:300]
rij = rng.dirichlet(np.ones(3), len(xs))
n_j = rij.sum(0)
new_w, new_mu = n_j / len(xs), rij.T @ xs / n_j
new_var = (rij * (xs[:, None] - new_mu) ** 2).sum(0) / n_j

free, m, v = (tg.tensor(a, requires_grad=True) for a in (np.log(new_w), new_mu, new_var))
X, R = tg.tensor(xs).unsqueeze(1), tg.tensor(rij)


def bound_at(free, m, v):
    log_n = -0.5 * ((X - m) ** 2 / v + v.log())  # but for a constant
    return (R * (tg.log_softmax(free, dim=0) + log_n)).sum()


top = bound_at(free, m, v)
g_w, g_mu, g_var = tg.autograd.grad(top, [free, m, v])
check.equal("1.11", g_w, np.zeros(3))
check.equal("1.12", g_mu, np.zeros(3))
check.equal("1.13", g_var, np.zeros(3))
flat_place = np.log(new_w), new_mu, new_var
beside = [bound_at(*(tg.tensor(rng.normal(a, 0.1)) for a in flat_place)).item() for _ in range(20)]
check.claim("beside the flat place the bound is lower", np.array(beside) < top.item())
check.claim("the new weights sum to", new_w.sum(), "1")

# %% [markdown]
# The E-step makes the bound equal to $\log p$ at the old parameters; the M-step raises the bound;
# and $\log p$ lies above the bound everywhere. Hence the log-likelihood $\ell$ **never falls**:
#
# $$
# \ell(\theta_{\mathrm{old}}) \leq \ell(\theta_{\mathrm{new}}) \tag{1.14}
# $$
#
# Here is the model in five lines, run from a bad start. When nothing moves any more, the two sides
# are equal.


# %%
def em_step(x, w, mu, var):
    r = np.exp(log_joint(x, w, mu, var))  # 1. who made each point?
    r /= r.sum(1, keepdims=True)
    n = r.sum(0)  # 2. points of each
    mu = r.T @ x / n  # 3. weighted means
    var = (r * (x[:, None] - mu) ** 2).sum(0) / n  # 4. weighted variances
    return n / len(x), mu, var  # 5. shares


def log_likelihood(x, *theta):
    return np.log(np.exp(log_joint(x, *theta)).sum(1)).mean()


xs = draws[:2000]
start = np.ones(3) / 3, np.array([-0.1, 0.0, 0.1]), np.ones(3)
theta = start
history = [log_likelihood(xs, *theta)]
for _ in range(300):
    theta = em_step(xs, *theta)
    history.append(log_likelihood(xs, *theta))
check.at_most("1.14", history[:-1], history[1:], slack=1e-12, attained=history[-2:])
for name, values, truth in zip(("weights", "means", "variances"), theta, (w, mu, var)):
    print(f"{name:10}", values.round(2))
    check.claim(f"{name} within 0.1 of the truth", abs(values - truth) < 0.1)
check.claim("log-likelihood at the start, nats a point", history[0], "-1.982")
check.claim("log-likelihood after 300 steps", history[-1], "-1.6795")
check.claim("log-likelihood of the true parameters", log_likelihood(xs, w, mu, var), "-1.6813")


# %% tags=["figure"]
def em_frame(k):
    figure, axes = plt.subplots(1, 2, figsize=(8, 2.8))
    shown = snapshots[k]
    axes[0].plot(history, color="0.8")
    axes[0].plot(history[: k + 1])
    axes[0].plot(k, history[k], "o", color="C1")
    axes[0].set(xlabel="EM step", ylabel="nats a point", xscale="symlog")
    axes[0].set_title("the log-likelihood never falls")
    axes[1].hist(xs, bins=80, density=True, color="0.88")
    axes[1].plot(line, np.exp(log_joint(line, *shown)), color="C2", ls="-", lw=1)
    axes[1].plot(line, np.exp(log_joint(line, *shown)).sum(1), color="C0", label="fitted")
    axes[1].plot(line, p_line, "k:", label="truth")
    axes[1].set(xlim=(-4, 5), ylim=(0, 0.6), xlabel="$x$", ylabel="density")
    axes[1].set_title(f"after {k} steps")
    axes[1].legend(frameon=False, loc="upper right")
    figure.tight_layout()
    return figure


snapshots = [start]
for _ in range(300):
    snapshots.append(em_step(xs, *snapshots[-1]))
steps = [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 30, 50, 80, 120, 200, 300]
figures.film(
    (em_frame(k) for k in steps),
    alt="EM at work: on the left the log-likelihood climbs step by step to a plateau and on from "
    "it, on the right three Gaussians that began on one place part and settle on the humps of the "
    "data.",
    fps=3,
)

# %% [markdown]
# The fit is a little *more* likely on its own data than the truth is ($-1.6795$ against $-1.6813$):
# it has also learned the noise of these 2,000 points. Only data that were not used for fitting
# judge a model.
#
# > **Predict, then run.** The start above had its three means at $-0.1$, 0 and 0.1. Put all three
# > at exactly 0 instead. What does EM find?

# %%
alike = start[0], np.zeros(3), start[2]
for _ in range(300):
    alike = em_step(xs, *alike)
check.claim("the three stay alike", np.ptp(np.array(alike), axis=1) < 1e-12)
check.claim("all at the data's mean", abs(alike[1] - xs.mean()) < 1e-12)
check.claim("all with the data's variance", abs(alike[2] - xs.var()) < 1e-12)
check.claim("log-likelihood, nats a point", log_likelihood(xs, *alike), "-1.789")

# %% [markdown]
# Three copies of one Gaussian, for ever. Components that begin alike get the same responsibilities,
# hence the same update. The derivative is zero there, and it is no maximum. Whatever is to become
# different has to *begin* different: the same is true of the units of a neural network.
#
# And the same maximum by the route of all later lessons: no trick, only the gradient. The loss is
# the negative mean log-likelihood; `logsumexp` adds up (1.8) without leaving the logarithm. From
# the same bad start it takes many more steps than EM, and a step size that must be chosen; on its
# way, like EM, it sits on a plateau ($-1.70$) that looks like an end. What it has for it: it
# works for every model that can be differentiated.

# %%
tg.manual_seed(0)
free_w = tg.zeros(3, dtype=tg.float64, requires_grad=True)
m = tg.tensor([-0.1, 0.0, 0.1], dtype=tg.float64, requires_grad=True)
log_var = tg.zeros(3, dtype=tg.float64, requires_grad=True)
opt = tg.optim.Adam([free_w, m, log_var], lr=0.02)
X = tg.tensor(xs).unsqueeze(1)
for k in range(3001):
    log_n = -0.5 * ((X - m) ** 2 / log_var.exp() + log_var + np.log(2 * np.pi))
    loss = -tg.logsumexp(tg.log_softmax(free_w, 0) + log_n, dim=1).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    if k % 600 == 0:
        print(f"step {k:4}: log-likelihood {-loss.item():.4f}")
    if k == 600:
        check.claim("on the plateau, nats a point", -loss.item(), "-1.70")
check.claim("log-likelihood by gradient", -loss.item(), "-1.6795")
check.claim("means as by EM", abs(np.sort(m.detach().numpy()) - np.sort(theta[1])) < 0.01)

# %% [markdown]
# ## 4. Which divergence? It decides what a model that is too small gives up
#
# Fit *one* Gaussian to a law $p$ with two humps. It cannot be right, so the question is how it is
# wrong. Maximum likelihood minimises the **forward** divergence $\mathrm{KL}(p \Vert q)$. Its
# minimum over all Gaussians is at the mean and the variance of $p$, because only
# $\mathbb{E}_p[(x - \mu)^2]$ enters:
#
# $$
# \mathop{\mathrm{argmin}}_{\mu, \sigma^2} \thinspace
# \mathrm{KL}(p \Vert \mathcal{N}(\mu, \sigma^2))
# = (\mathbb{E}_p[x], \mathrm{Var}_p[x]) \tag{1.15}
# $$
#
# The **reverse** divergence $\mathrm{KL}(q \Vert p)$ takes its mean under the *model*, so it does
# not see what the model leaves out. We minimise both by gradient steps on a grid of points.
#
# > **Predict, then run.** $p$ has 60 % of its mass in a hump at $-2$ and 40 % in one at 2, each
# > with a standard deviation near 0.5. Where does the forward fit put its mean, and about how wide
# > is it? And the reverse fit, started at $-1$?

# %%
p_two = 0.6 * np.exp(log_normal(line, -2, 0.25)) + 0.4 * np.exp(log_normal(line, 2, 0.36))
L, P = tg.tensor(line), tg.tensor(p_two)
log_P = tg.tensor(
    np.logaddexp(np.log(0.6) + log_normal(line, -2, 0.25), np.log(0.4) + log_normal(line, 2, 0.36))
)


def fit(divergence, start, steps=800):
    mean = tg.tensor(start, dtype=tg.float64, requires_grad=True)
    log_var = tg.tensor(0.0, dtype=tg.float64, requires_grad=True)
    opt = tg.optim.Adam([mean, log_var], lr=0.03)
    for _ in range(steps):
        log_q = -0.5 * ((L - mean) ** 2 / log_var.exp() + log_var + np.log(2 * np.pi))
        loss = divergence(log_q)
        opt.zero_grad()
        loss.backward()
        opt.step()
    return mean.item(), log_var.exp().item(), loss.item()


def forward(log_q):
    return (P * (log_P - log_q)).sum() * step


def reverse(log_q):
    return (log_q.exp() * (log_q - log_P)).sum() * step


covers = fit(forward, 0.5)
seeks_left, seeks_right = fit(reverse, -1.0), fit(reverse, 1.0)
mean_p = (line * p_two).sum() * step
var_p = ((line - mean_p) ** 2 * p_two).sum() * step
check.equal("1.15", covers[:2], [mean_p, var_p], tol=1e-4)  # as far as Adam got
for name, fitted, said in [
    ("forward", covers, ("-0.40", "4.13", "0.657")),
    ("reverse, from -1", seeks_left, ("-2.00", "0.25", "0.511")),
    ("reverse, from +1", seeks_right, ("2.00", "0.36", "0.916")),
]:
    for what, number, digits in zip(("mean", "variance", "divergence"), fitted, said):
        check.claim(f"{name}: {what}", number, digits)

# %% tags=["figure"]
figure, ax = plt.subplots(figsize=(7.5, 3))
ax.fill_between(line, p_two, color="0.85", label="$p$")
for (a, b, _), label, colour, dashes in [
    (covers, "forward KL covers", "C0", "-"),
    (seeks_left, "reverse KL seeks", "C1", "-"),
    (seeks_right, "reverse KL, another start", "C1", "--"),
]:
    ax.plot(line, np.exp(log_normal(line, a, b)), color=colour, ls=dashes, label=label)
ax.set(xlim=(-6, 6), ylim=(-0.03, 1.1), xlabel="$x$", ylabel="density")
ax.set_title("one Gaussian for two humps: two ways to be wrong")
ax.legend(frameon=False, loc="upper right", ncol=2)
figures.show(
    figure,
    alt="Two humps in grey. The forward fit is one low, wide bell over both; the reverse fits are "
    "two high, narrow bells, each on one hump.",
)

# %% [markdown]
# Forward: the model must put mass wherever the data are, even if that puts mass where they are
# not. Reverse: the model must not put mass where the data are not, even if that drops a hump.
#
# > **Predict, then run.** Move two equal humps together. At what distance, in standard deviations
# > of one, will the reverse fit give up choosing and sit in the middle? Then move the slider.

# %%
wide_line = np.linspace(-12, 12, 801)
tried_mean, tried_sd = np.meshgrid(np.arange(0, 4.01, 0.05), np.arange(0.6, 3.01, 0.05))
log_fits = log_normal(wide_line, tried_mean[..., None], tried_sd[..., None] ** 2)
fits = np.exp(log_fits) * 24 / 800
apart = np.arange(0, 8.1, 0.5)
reverse_fits, values = [], []
for gap in apart:
    log_p = np.logaddexp(log_normal(wide_line, -gap / 2, 1), log_normal(wide_line, gap / 2, 1))
    divergence = (fits * log_fits).sum(-1) - fits @ (log_p - np.log(2))
    best = divergence.argmin()
    values.append(divergence.min())
    reverse_fits.append((tried_mean.flat[best], tried_sd.flat[best]))
middle = [gap for gap, (mean, _) in zip(apart, reverse_fits) if mean == 0]
check.claim("the largest distance with the fit in the middle", max(middle), "5.5")
check.claim("at a distance of 5.5: its standard deviation", reverse_fits[11][1], "2.55")
check.claim("at a distance of 6: its mean", reverse_fits[12][0], "3.0")
check.claim("at a distance of 8: the divergence, log 2", values[-1], "0.693")


# %% tags=["figure"]
def humps_frame(gap, fitted):
    figure, ax = plt.subplots(figsize=(6.5, 2.5))
    p = sum(np.exp(log_normal(wide_line, side * gap / 2, 1)) for side in (-1, 1)) / 2
    ax.fill_between(wide_line, p, color="0.85", label="$p$")
    ax.plot(wide_line, np.exp(log_normal(wide_line, 0, 1 + gap**2 / 4)), label="forward KL")
    mean, sd = fitted
    ax.plot(wide_line, np.exp(log_normal(wide_line, mean, sd**2)), label="reverse KL")
    ax.set(xlim=(-8, 8), ylim=(0, 0.45), xlabel="$x$", ylabel="density")
    ax.set_title(f"humps {gap:.1f} apart")
    ax.legend(frameon=False, loc="upper right")
    figure.tight_layout()
    return figure


figures.slider(
    (humps_frame(*frame) for frame in zip(apart, reverse_fits)),
    [f"{gap:.1f}" for gap in apart],
    "distance",
    alt="Two humps and the best single Gaussian by forward and by reverse KL. Close together the "
    "two fits agree; far apart the reverse fit sits on one hump and the forward fit spans both.",
    start=6,
)

# %% [markdown]
# Up to a distance of 5.5 it covers as well, far longer than most expect; then it jumps onto a hump
# at the price of $\log 2$. The two divergences part ways only where $p$ has a valley that is worth
# avoiding: a model with enough room never has to choose.
#
# ## Fix the slide: which one covers?
#
# The lecture notes say, comparing KL and JS:
#
# > You will either capture something that is in between two modes of the data which means the
# > samples you will get will not be realistic or only rarely. Or the other option is that you
# > capture one mode i.e with the reversed KL, except that in our case is the other way around
# > which means the KL wil give you the mode capturing
#
# The first half is right; "in our case is the other way around" is not. With the data first,
# $\mathrm{KL}(p_d \Vert p_g)$ covers, whoever writes it; with the model first,
# $\mathrm{KL}(p_g \Vert p_d)$ seeks a mode. The figure above is an example, and this cell is its
# arithmetic: each divergence, evaluated at the covering and at the seeking Gaussian, prefers its
# own.


# %%
def divergences(mean, var):
    log_q = tg.tensor(log_normal(line, mean, var))
    return forward(log_q).item(), reverse(log_q).item()


for name, fitted, said in [
    ("covers both", covers, ("0.657", "1.755")),
    ("seeks one", seeks_left, ("12.083", "0.511")),
]:
    for order, number, digits in zip(("KL(p||q)", "KL(q||p)"), divergences(*fitted[:2]), said):
        check.claim(f"E21: {order} of the Gaussian that {name}", number, digits)

# %% [markdown]
# ## 5. A divergence that cannot explode
#
# $\mathrm{KL}(p \Vert q)$ is infinite as soon as $q$ is 0 somewhere that $p$ is not. Mixing the
# two laws first, $m = \frac{1}{2}(p + q)$, cures it. This is the **Jensen-Shannon divergence**:
#
# $$
# \mathrm{JS}(p, q) = \frac{1}{2} \mathrm{KL}(p \Vert m) + \frac{1}{2} \mathrm{KL}(q \Vert m)
# = H(m) - \frac{1}{2} H(p) - \frac{1}{2} H(q) \tag{1.16}
# $$
#
# The second form follows by collecting the logarithms of $m$. Since $m \geq \frac{1}{2} p$, no
# ratio inside the logarithm exceeds 2, and so
#
# $$
# 0 \leq \mathrm{JS}(p, q) \leq \log 2 \tag{1.17}
# $$
#
# Left, equality holds for $p = q$, right for laws that share no outcome.
#
# > **Predict, then run.** $p$ always says heads, $q$ is a fair coin. One of
# > $\mathrm{KL}(p \Vert q)$, $\mathrm{KL}(q \Vert p)$ and $\mathrm{JS}(p, q)$ is infinite. Which,
# > and which of the other two is larger?


# %%
def H(p):
    with np.errstate(divide="ignore", invalid="ignore"):
        return -np.where(p > 0, p * np.log(p), 0).sum(-1)  # 0 log 0 counts as 0


def KL(p, q):
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(p > 0, p * (np.log(p) - np.log(q)), 0).sum(-1)


def JS(p, q):
    m = (p + q) / 2
    return (KL(p, m) + KL(q, m)) / 2


p, q = rng.dirichlet(np.full(6, 0.3), 1000), rng.dirichlet(np.full(6, 0.3), 1000)
heads, tails = np.array([1.0, 0.0]), np.array([0.0, 1.0])
check.equal("1.16", JS(p, q), H((p + q) / 2) - H(p) / 2 - H(q) / 2)
most = np.full(1000, np.log(2))
ends = [0, JS(heads, tails)], [JS(heads, heads), np.log(2)]
check.at_most("1.17", [np.zeros(1000), JS(p, q)], [JS(p, q), most], attained=ends)
check.claim("H of a sure thing", H(heads), "0")
check.claim("KL(heads || fair)", KL(heads, fair), "0.693")
check.claim("KL(fair || heads) is infinite", np.isposinf(KL(fair, heads)))
check.claim("JS(heads, fair)", JS(heads, fair), "0.216")

# %% [markdown]
# > **Predict, then run.** $q$ is $p$ but for one percent of its mass, which lies where $p$ has
# > none. How large is $\mathrm{KL}(q \Vert p)$? And $\mathrm{JS}(p, q)$, of at most 0.693?

# %%
nearly = np.array([0.99, 0.01])
check.claim("KL(nearly heads || heads) is infinite", np.isposinf(KL(nearly, heads)))
check.claim("JS(heads, nearly heads)", JS(heads, nearly), "0.0035")

# %% [markdown]
# One percent turns KL from 0 to infinity; JS moves to 0.0035.
#
# ## Fix the slide: disjoint laws
#
# > it is extremelly easy for these models to discriminate this because the Jensen divergence gives
# > you extremelly low value if they do not have an overlap.
#
# It gives its *highest* value. If $p$ and $q$ share no point, then $m = p/2$ on the one and $q/2$
# on the other, every ratio is 2, and $\mathrm{JS} = \log 2$, however far apart they are:
#
# $$
# p(x) q(x) = 0 \text{ for all } x \quad \Longrightarrow \quad \mathrm{JS}(p, q) = \log 2
# \tag{1.18}
# $$
#
# What *is* extremely low is its slope. Slide a box of width 1 away from another one: as long as
# they overlap, JS grows; after that it is flat, and a model that follows its gradient does not
# move. That flat stretch is where GANs have trouble (lessons 10 and 13).
#
# > **Predict, then run.** When half of each box still overlaps, is JS below, at or above half of
# > its maximum?

# %%
p, q = np.zeros(10), np.zeros(10)
p[:4], q[6:] = rng.dirichlet(np.ones(4)), rng.dirichlet(np.ones(4))
check.equal("1.18", JS(p, q), np.log(2))


def box(left):
    """The law that is uniform over 1,000 places from `left` on."""
    return ((np.arange(4000) >= left) & (np.arange(4000) < left + 1000)) / 1000


shifts = np.arange(0, 3001, 50)
js = np.array([JS(box(0), box(s)) for s in shifts])
check.claim("E13: JS at half a shift", js[10], "0.347")
check.claim("E13: from one box width on it is log 2", abs(js[shifts >= 1000] - np.log(2)) < 1e-12)
check.claim("E13: before that it rises", np.diff(js)[shifts[:-1] < 1000] > 0.03)

# %% tags=["figure"]
figure, ax = plt.subplots(figsize=(6.5, 2.6))
ax.plot(shifts / 1000, js)
ax.axhline(np.log(2), color="k", ls=":", lw=1)
ax.set(xlabel="shift of the second box, in widths", ylabel="JS, nats")
ax.set_title("after the boxes part: log 2, slope 0")
figures.show(
    figure,
    alt="JS against the shift of a box: a straight line up to log 2 at a shift of one width, flat "
    "from there on.",
)

# %% [markdown]
# At exactly half: 0.347 of 0.693. Where the boxes overlap both laws say the same, and the rest
# counts $\log 2$; so for boxes the rise is a straight line, and then nothing.
#
# ## 6. Models without a density
#
# A model may also be nothing but a recipe: draw $z$ from a simple law, return $x = g(z)$. It
# samples in one line. Where it has a density, computing it takes running the recipe backwards. In
# one dimension, with a growing $g$,
#
# $$
# p_x(g(z)) = \frac{p_z(z)}{g'(z)} \tag{1.19}
# $$
#
# (the same mass is spread over an interval that is $g'(z)$ times as wide). With $g = \exp$ and a
# standard normal $z$ we get the log-normal law. We compare with counts of samples.
#
# > **Predict, then run.** The most probable $z$ is 0. Is $e^0 = 1$ the most probable $x$?

# %%
z = tg.tensor(np.linspace(-1.5, 1.5, 7), requires_grad=True)
g_of_z = z.exp()
(slope,) = tg.autograd.grad(g_of_z.sum(), z)
density = np.exp(log_normal(z.detach().numpy(), 0, 1)) / slope.numpy()
samples, width = np.exp(rng.standard_normal(400_000)), 0.02
inside = np.abs(samples[:, None] - g_of_z.detach().numpy()) < width / 2
check.mean("1.19", inside / width, density, sigmas=4.5)
every_z = np.linspace(-3, 3, 6001)
p_x = np.exp(log_normal(every_z, 0, 1)) / np.exp(every_z)
check.claim("the most probable x", np.exp(every_z[p_x.argmax()]), "0.368")

# %% [markdown]
# It is not: $e^{-1} = 0.368$ is. Below 1 the map $\exp$ crowds its points together. A density is
# not carried along by its top; remember it when someone calls an image "the most probable one".
#
# When $g$ is a neural network from 100 numbers to 1,000 pixels there is no way back: its samples
# lie on a thin sheet that has no density in pixel space at all. One can see it by counting. Cut the
# plane into cells and count those that samples fall into.
#
# > **Predict, then run.** A law with a density in the plane, and a curve $x = g(z)$ with one number
# > $z$. Make the cells half as wide. How many times as many cells are hit in each case?

# %%
z = rng.standard_normal(400_000)
curve = np.stack([np.cos(z), np.sin(z)], axis=1)
square = rng.uniform(-1, 1, (400_000, 2))
hit = [[len(np.unique(np.floor(points / width), axis=0)) for width in (0.02, 0.04)]
       for points in (square, curve)]  # fmt: skip
check.claim("a density: half the width, times as many hit", hit[0][0] / hit[0][1], 4, tol=0.05)
check.claim("a curve: half the width, times as many hit", hit[1][0] / hit[1][1], 2, tol=0.1)

# %% [markdown]
# Four times as many for the density, twice as many for the curve: the finer one looks, the smaller
# the share of the plane that the model can reach at all. Such a model is called **implicit**. It
# cannot be fitted by likelihood, since there is none; that is what the GAN is for (lesson 9).
#
# ## 7. What one may ask, and at what price
#
# ### Generative beside discriminative
#
# Give every point a label $y$: did Gaussian 0 make it, or Gaussian 1? A **discriminative** model
# learns the answer to this one question, $p(y \mid x)$. A **generative** model learns the law of
# everything, $p(x, y)$, and answers by Bayes' rule (1.9). If the two Gaussians have one variance
# $\sigma^2$, the squares of $x$ cancel in the ratio, and with the sigmoid
# $\sigma(u) = 1 / (1 + e^{-u})$
#
# $$
# p(y = 1 \mid x) = \sigma(a x + b), \qquad a = \frac{\mu_1 - \mu_0}{\sigma^2}, \quad
# b = \frac{\mu_0^2 - \mu_1^2}{2 \sigma^2} + \log \frac{w_1}{w_0} \tag{1.20}
# $$
#
# This is **logistic regression**. So here are two ways to fit the very same curve: the means, the
# variance and the shares by counting, or $a$ and $b$ directly.

# %%
two = np.array([0.3, 0.7]), np.array([-1.0, 2.0]), np.full(2, 1.7)
xs_two = rng.uniform(-5, 5, 50)
by_bayes = np.exp(log_joint(xs_two, *two))
by_bayes = by_bayes[:, 1] / by_bayes.sum(1)
(w0, w1), (mu0, mu1), (square, _) = two
a = (mu1 - mu0) / square
b = (mu0**2 - mu1**2) / (2 * square) + np.log(w1 / w0)
check.equal("1.20", by_bayes, 1 / (1 + np.exp(-(a * xs_two + b))))

# %% [markdown]
# > **Predict, then run.** Two hundred labelled points, a quarter of them of class 1, three hundred
# > times over, and each time both ways to find the boundary between the classes. Which comes closer
# > to the true boundary (a) if both classes are Gaussian as assumed, (b) if a fifth of class 1 lies
# > far out, at 8?


# %%
def labelled(n, far, trials=300):
    """Class 0 is N(-1.25, 1), class 1 N(1.25, 1); a share `far` of class 1 is N(8, 1)."""
    y = (rng.random((trials, n)) < 0.25).astype(float)
    center = np.where(rng.random((trials, n)) < far, 8.0, 1.25)
    return np.where(y == 1, center, -1.25) + rng.standard_normal((trials, n)), y


def boundary_by_counting(x, y):
    """Where a x + b = 0 by (1.20), from the classes' means, common variance and shares."""
    n1, n0 = y.sum(1), (1 - y).sum(1)
    mu1, mu0 = (x * y).sum(1) / n1, (x * (1 - y)).sum(1) / n0
    variance = ((x - np.where(y == 1, mu1[:, None], mu0[:, None])) ** 2).mean(1)
    return (mu0 + mu1) / 2 - variance * np.log(n1 / n0) / (mu1 - mu0)


def boundary_by_regression(x, y):
    """Newton's steps up the log-likelihood of a and b, then where a x + b = 0."""
    features = np.stack([x, np.ones_like(x)], axis=-1)  # (trials, n, 2)
    ab = np.zeros((len(x), 2))
    for _ in range(12):
        p = 1 / (1 + np.exp(-np.einsum("tnk,tk->tn", features, ab)))
        slope = np.einsum("tn,tnk->tk", y - p, features)
        curvature = np.einsum("tn,tnk,tnl->tkl", p * (1 - p), features, features)
        ab = ab + np.linalg.solve(curvature, slope[..., None])[..., 0]
    check.claim("Newton's steps are at the top", abs(slope) < 1e-6)
    return -ab[:, 1] / ab[:, 0]


for far, said in ((0.0, ("0.10", "0.12")), (0.2, ("0.95", "0.12"))):
    true = np.log(0.75 / (0.25 * (1 - far))) / 2.5  # where w_0 p_0 = w_1 p_1
    x, y = labelled(200, far)
    for name, boundary, digits in zip(
        ("generative", "discriminative"),
        (boundary_by_counting(x, y), boundary_by_regression(x, y)),
        said,
    ):
        off = np.sqrt(((boundary - true) ** 2).mean())
        check.claim(f"{far:.0%} far out: the {name} boundary is off by", off, digits)

# %% [markdown]
# If the assumption holds, the generative fit is the better one (0.10 against 0.12): it uses that
# the classes are Gaussian, and needs fewer points for it (Efron 1975; Ng and Jordan 2002). If it
# does not hold, the generative fit is thrown off (0.95), because it tries to explain the far points
# too; the discriminative one never asks where the points of a class lie, only which side they are
# on (0.12). And it cannot do anything else: draw no point, notice no point that is unlike all
# others, and fill in nothing that is missing.
#
# ### Three kinds of queries
#
# What does "inference" ask for? Take a model of $d$ binary pixels: a mixture of coins, the model of
# exercise 1.4, where component $j$ has a picture of probabilities $m_{j1}, \dots, m_{jd}$. The
# **likelihood** of a picture that is fully seen:
#
# $$
# p(x) = \sum_j w_j \prod_{i=1}^d m_{ji}^{x_i} (1 - m_{ji})^{1 - x_i} \tag{1.21}
# $$
#
# The **marginal** of some of the pixels, a set $S$, whatever the others are. One has to sum over
# all values of the others. In general these are $2^{d - |S|}$ terms. Here the sum goes into the
# product, and each coin's two probabilities sum to 1:
#
# $$
# p(x_S) = \sum_{x_i, \thinspace i \notin S} p(x) = \sum_j w_j \prod_{i \in S}
# m_{ji}^{x_i} (1 - m_{ji})^{1 - x_i} \tag{1.22}
# $$
#
# The **conditional** of some pixels $A$ given others $B$ is a ratio of two marginals; it is also
# the components' answer, weighted by who probably made what was seen:
#
# $$
# p(x_A \mid x_B) = \frac{p(x_A, x_B)}{p(x_B)} = \sum_j p(j \mid x_B) \prod_{i \in A}
# m_{ji}^{x_i} (1 - m_{ji})^{1 - x_i} \tag{1.23}
# $$
#
# The cell has nine pixels, so that all 512 pictures can be written down, and answers each query a
# second time by plain summing over the table.

# %%
d, A, B = 9, [0, 4, 5], [2, 3, 8]
w_coins, m_coins = rng.dirichlet(np.ones(3)), rng.random((3, d))


def queried(x, S):
    """p(x_S) by (1.22); S = all pixels is (1.21)."""
    factors = m_coins[:, S] ** x[S] * (1 - m_coins[:, S]) ** (1 - x[S])
    return (w_coins * factors.prod(1)).sum()


pictures = (np.arange(2**d)[:, None] >> np.arange(d)) & 1
table = np.zeros(2**d)
for j in range(3):  # the table by the recipe: a component, then coin after coin
    probability = w_coins[j]
    for i in range(d):
        probability = probability * np.where(pictures[:, i] == 1, m_coins[j, i], 1 - m_coins[j, i])
    table += probability
check.equal("1.21", [queried(x, list(range(d))) for x in pictures], table)

seen = pictures[77]
agree = {S: (pictures[:, S] == seen[list(S)]).all(1) for S in map(tuple, (A, B, A + B))}
check.equal("1.22", queried(seen, A), table[agree[tuple(A)]].sum())
by_j = [np.prod([m_coins[j, i] if seen[i] else 1 - m_coins[j, i] for i in B]) for j in range(3)]
posterior = w_coins * by_j / (w_coins * by_j).sum()
factors = m_coins[:, A] ** seen[A] * (1 - m_coins[:, A]) ** (1 - seen[A])
ratio = queried(seen, A + B) / queried(seen, B)
answer = (posterior * factors.prod(1)).sum()
counted = table[agree[tuple(A + B)]].sum() / table[agree[tuple(B)]].sum()
check.equal("1.23", [ratio, answer], [counted, counted])

# %% [markdown]
# Now the same three queries to a model that has learned something: 40 pictures of coins, fitted to
# small handwritten digits by EM (`examples/mixture.py`). It takes less than a second.
#
# > **Predict, then run.** A fair coin for each of the 64 pixels gives every picture
# > $-64 \log 2 = -44.4$ nats. What does the model give new digits on average, and what pictures of
# > random pixels?

# %%
tg.manual_seed(0)
digits = tg.data.load("digits", "train").to_unit(), tg.data.load("digits", "test").to_unit()
binarise = tg.models.likelihoods.binarise
binary, test_x = binarise(digits[0]), binarise(digits[1], tg.Generator().manual_seed(1))
coins = tg.models.build("mixture", {"shape": binary.shape[1:], "components": 40})
coins.start(binary)
for _ in range(50):
    coins.em_step(binary)
log_p = coins.log_prob(test_x).numpy()
check.claim("test log p(x), nats a picture", log_p.mean(), "-23.30")
check.claim("its standard error", log_p.std(ddof=1) / len(log_p) ** 0.5, "0.22")
noise = tg.tensor(rng.integers(0, 2, (1000, *binary.shape[1:])), dtype=tg.float32)
check.claim("log p of random pixels", coins.log_prob(noise).mean(), "-81.7")

x_test, m, log_w = test_x.flatten(1).numpy(), coins.coins.numpy(), np.log(coins.weights.numpy())


def log_parts(S):
    """log w_j + log p(x_S | j) of the pixels S of every test picture: (pictures, components)."""
    return log_w + x_test[:, S] @ np.log(m[:, S]).T + (1 - x_test[:, S]) @ np.log(1 - m[:, S]).T


upper, lower = slice(0, 32), slice(32, 64)  # four rows of eight pixels each
log_upper, log_lower = (np.logaddexp.reduce(log_parts(S), axis=1) for S in (upper, lower))
check.claim("log p(lower half), nats", log_lower.mean(), "-12.0")
check.claim("log p(lower half | upper half), nats", (log_p - log_upper).mean(), "-11.4")
filled = np.exp(log_parts(upper) - log_upper[:, None]) @ m[:, lower]  # its mean, by (1.23)

# %% tags=["figure"]
figure, axes = plt.subplots(3, 10, figsize=(9, 2.9))
for column, k in enumerate(range(10)):
    whole = test_x[k].numpy().reshape(8, 8)
    half = np.where(np.arange(8)[:, None] < 4, whole, np.nan)
    guess = np.concatenate([whole[:4], filled[k].reshape(4, 8)])
    for row, picture in enumerate((half, guess, whole)):
        axes[row, column].imshow(picture, cmap="gray_r", vmin=0, vmax=1)
        axes[row, column].set(xticks=[], yticks=[])
        axes[row, column].set_facecolor("#f2e6d0")
for ax, label in zip(axes[:, 0], ("seen", "filled in", "truth")):
    ax.set_ylabel(label)
figure.tight_layout(pad=0.4)
figures.show(
    figure,
    alt="Ten handwritten digits of 8 by 8 pixels. Top row: the upper halves. Middle row: the lower "
    "halves filled in with grey probabilities. Bottom row: the true digits.",
)

# %% [markdown]
# *A conditional query. The model sees the upper half of a digit that it was not fitted to, and says
# with which probability each pixel below is black. No network was trained for this task.*
#
# A picture of random pixels has a $\log p$ of $-81.7$ nats where a digit has $-23.30$: that is the
# likelihood query at work. The lower half alone has $-12.0$ nats, a marginal; once the upper half
# is seen, $-11.4$, a conditional. The difference is what the halves know of each other.
#
# ## Fix the slide: who may not be asked
#
# The lecture notes sort models with arrows (DAGs, where each variable is drawn given its parents)
# and without (MRFs, Markov random fields, where an energy scores a whole picture):
#
# > For DAGs: [...] Exact likelihood calculation for a fully observed data point is easy. General
# > marginalization / conditional inference is in general hard.
# >
# > For MRFs: [...] Exact inference is #P-complete, generally intractable
#
# As if the second were a class harder. Both are: inference in a DAG is #P-complete, too (Roth
# 1996). Here is why. Let $v_1, \dots, v_n$ be fair coins, each clause a gate that looks at three of
# them, and $s$ one more gate: are all clauses true? That is a DAG, one can sample it in one pass,
# and its marginal counts the solutions of a puzzle:
#
# $$
# p(s = 1) = \frac{\text{number of solutions}}{2^n} \tag{1.24}
# $$
#
# If marginals were cheap, so would be every such count. What the MRF does have for itself is
# another price. With spins $s_i = \pm 1$ on a square grid (the **Ising model**), neighbours liking
# to agree,
#
# $$
# p(s) = \frac{1}{Z} \exp \left( J \sum_{i \sim j} s_i s_j \right), \qquad
# Z = \sum_{s} \exp \left( J \sum_{i \sim j} s_i s_j \right) \tag{1.25}
# $$
#
# even the likelihood of a picture that is **fully seen** needs $Z$, a sum over all pictures. That,
# which is easy for DAGs, is the difference.
#
# > **Predict, then run.** How many terms has $Z$ for 4 x 4 spins? And for 28 x 28?

# %%
n = 12
puzzle = np.random.default_rng(62)
clauses = [(puzzle.choice(n, 3, replace=False), puzzle.integers(0, 2, 3)) for _ in range(40)]


def solutions(known):
    """How many ways there are to go on from the first few values: a search, no probabilities."""
    for where, wanted in clauses:
        if max(where) < len(known) and all(known[i] != v for i, v in zip(where, wanted)):
            return 0  # a clause asks for one of three values, and has none
    return 1 if len(known) == n else solutions([*known, 0]) + solutions([*known, 1])


values = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
all_true = np.all([(values[:, i] == v).any(1) for i, v in clauses], axis=0)
marginal = (0.5**n * all_true).sum()  # every row of coins has probability 1 / 2^n
check.equal("1.24", marginal, solutions([]) / 2**n)
check.claim("solutions of the puzzle", solutions([]), "23")

# %%
J = 0.4
bits = (np.arange(2**16)[:, None] >> np.arange(16)) & 1
spins = np.where(bits == 1, 1, -1).reshape(-1, 4, 4)
down = np.einsum("nij,nij->n", spins[:, 1:], spins[:, :-1])  # neighbours that agree, less others
across = np.einsum("nij,nij->n", spins[:, :, 1:], spins[:, :, :-1])
score = np.exp(J * (down + across))
Z = score.sum()
row = spins[:16, 0]  # all sixteen
inside_row = np.exp(J * np.einsum("ri,ri->r", row[:, 1:], row[:, :-1]))
to_next = np.exp(J * (row @ row.T)) * inside_row  # 16 x 16: from one row of spins to the next
by_rows = inside_row @ to_next @ to_next @ to_next @ np.ones(16)
check.equal("1.25", by_rows, Z)
check.claim("E62: terms of Z", len(score), "65536")
check.claim("E62: log Z", np.log(Z), "13.187")
check.claim("E62: terms for 28 x 28, in powers of ten", 28 * 28 * np.log10(2), "236.0")

# %% [markdown]
# 65536 terms, and $\log Z$ is 13.187. For 28 x 28 there are some $10^{236}$. The check of (1.25)
# uses the other half of the story: row by row the same $Z$ takes three products with a matrix of 16
# x 16. "Intractable" is said of the worst case. What helps is structure (chains, trees, narrow
# grids), arrows or not.
#
# ### The map
#
# | family | density $p_\theta(x)$ | sampling | inference $p(z \mid x)$ | lessons |
# |---|---|---|---|---|
# | coin, mixture | exact | one step | exact | 1 |
# | autoregressive | exact | one step a dimension | no $z$ | 4 |
# | VAE | lower bound | one step | approximate, learned | 6 to 8 |
# | GAN, WGAN | none | one step | none | 9 to 15 |
# | diffusion | lower bound | many steps | fixed by design | 16, 17 |
#
# Explicit models (a density or a bound of it) are fitted by likelihood, that is by
# $\mathrm{KL}(p_d \Vert p_\theta)$: they cover. Implicit models are fitted by a game, whose
# divergences are others, and what they drop you will see.
#
# ## A bug from the wild: likelihoods that can be made as high as you like
#
# "Bits per dimension" of images is a classic source of confusion: in `yang-song/score_sde_pytorch`
# (issue 51, on a line whose comment calls it "a hack") and `zalandoresearch/fashion-mnist` (issue
# 144) people ask how a log-density becomes bits per dimension. The trap behind the question: pixels
# are *integers*, and a *density* fitted to integers has no upper limit. A Gaussian that sits on one
# value gains without end as it gets narrower, while nothing is learned.

# %%
grey = np.random.default_rng(51)
pixels = grey.choice(4, size=1000, p=[0.4, 0.1, 0.2, 0.3]).astype(float)  # values 0 to 3
shares = np.bincount(pixels.astype(int)) / 1000
print(f"best possible: {-H(shares):.2f} nats a pixel (minus the entropy of the data)")
scores, masses = [], []
for sd in (0.3, 0.1, 0.01, 0.001):
    fitted = shares, np.arange(4.0), np.full(4, sd**2)
    scores.append(log_likelihood(pixels, *fitted))
    masses.append(np.exp(log_joint(np.arange(4.0), *fitted)).sum())
    print(
        f"sd {sd:<6} 'log-likelihood' {scores[-1]:5.2f};  "
        f"sum of p over the four grey values: {masses[-1]:7.2f}"
    )
check.claim("the best possible score, nats a pixel", -H(shares), "-1.26")
check.claim("the score of the narrowest Gaussians", scores[-1], "4.73")
check.claim("and what its 'probabilities' sum to", masses[-1], "398.94")
check.claim("ten times narrower: log 10 = 2.30 more", scores[-1] - scores[-2], "2.30")

# %% [markdown]
# A model that beats the entropy of its own data ($-1.26$ nats a pixel) is impossible, so something
# is wrong, and the right column says what: these "probabilities" do not sum to 1 but to 398.94.
# Each time ten times narrower is 2.30 nats more. **The check to keep: the probabilities of all grey
# values sum to 1**, and no score beats minus the entropy of the data that it is computed on.
#
# The repair is *dequantisation*: the probability of the grey value $k$ is the mass that the
# density puts on the interval from $k$ to $k + 1$, and by Jensen's inequality (lesson 6) training
# on data with uniform noise $u$ added maximises a lower bound of it:
#
# $$
# \log P(k) = \log \int_0^1 p(k + u) du \geq \int_0^1 \log p(k + u) du \tag{1.26}
# $$
#
# The two sides are equal where $p$ is flat on the interval.

# %%
middle = np.linspace(0.5 / 2000, 1999.5 / 2000, 2000)  # the midpoint rule on [0, 1]
theta = np.array([0.4, 0.1, 0.2, 0.3]), np.arange(4) + 0.5, np.full(4, 0.35**2)
values = np.array([log_joint(k + middle, *theta) for k in range(4)])
log_p = np.log(np.exp(values).sum(-1))  # (4, 2000)
mass = np.exp(log_p).mean(1)
flat = np.full(2000, 0.25)  # as high as the mass over 0 to 4, spread evenly


def both_sides(p):
    return np.log(p.mean(-1)), np.log(p).mean(-1)


(larger, smaller), (top, same) = both_sides(np.exp(log_p)), both_sides(flat)
check.at_most("1.26", smaller, larger, attained=(same, top))
check.claim("the four masses sum to", mass.sum(), "0.946")

# %% [markdown]
# The four masses sum to 0.946; the rest of the law lies below 0 and above 4, where no pixel is.

# %% [markdown]
# ## Exercises
#
# Each cell below judges your answer by properties that a right answer has. "still open" means that
# the function returns nothing yet. Solutions: `lessons/solutions/lesson01.py`.
#
# ### Exercise 1.1
# Waiting times have the density $\lambda e^{-\lambda x}$. Write `fit_rate(x)`: the maximum
# likelihood estimate of $\lambda$ from an array of times.


# %%
def fit_rate(x): ...


check.exercise("1.1", fit_rate)

# %% [markdown]
# ### Exercise 1.2
# `log_density(x, w, mu, var)`: the log-density (1.8) of every entry of `x` (shape `(n,)`; the
# others `(K,)`). It must also be right at `x = 1000`, where every `exp` is 0.


# %%
def log_density(x, w, mu, var): ...


check.exercise("1.2", log_density)

# %% [markdown]
# ### Exercise 1.3
# `kl(p, q)` for two discrete laws (arrays that sum to 1), with the two conventions that make it a
# divergence: where $p = 0$ the term is 0, and where only $q = 0$ the divergence is infinite. No
# warnings.


# %%
def kl(p, q): ...


check.exercise("1.3", kl)

# %% [markdown]
# ### Exercise 1.4
# One EM step for a mixture of *coins*: `em_coins(x, w, m)` with `x` an array of zeros and ones of
# shape `(n, d)`, weights `w` `(K,)` and probabilities `m` `(K, d)`. Return the new `(w, m)`. Which
# of (1.11) to (1.13) change?


# %%
def em_coins(x, w, m): ...


check.exercise("1.4", em_coins)

# %% [markdown]
# ### Exercise 1.5
# `sample(n, w, mu, var, rng)`: `n` independent draws from a mixture of Gaussians.


# %%
def sample(n, w, mu, var, rng): ...


check.exercise("1.5", sample)

# %% [markdown]
# ## What you can say now
#
# - A generative model is a law that is fitted to data; it may offer a density, samples and
#   inference.
# - The likelihood is the probability of the data as a function of the parameters; its logarithm is
#   measured in nats.
# - Maximum likelihood minimises $\mathrm{KL}(\hat p \Vert p_\theta)$, and no model beats minus the
#   entropy of the data.
# - With a latent variable the logarithm stands before a sum; a guess of the posterior turns it
#   into a lower bound that touches when the guess is right, and EM climbs it without ever falling.
# - Forward KL covers, reverse KL seeks; JS lies between 0 and $\log 2$ and is flat, at $\log 2$,
#   for laws that do not overlap.
# - A density of integers can be made arbitrarily high; probabilities that sum to 1 cannot.
# - A discriminative model answers one conditional query. Marginals are what is hard in general,
#   with arrows or without; without arrows the likelihood has its own price, $Z$.
#
# ## The full-size run
#
# `python examples/mixture.py` is section 7's mixture of 40 Bernoulli pictures for the 8 x 8 digits,
# with its samples and its components drawn: two seconds, test $\log p(x)$ of $-23.30$ nats (± 0.22;
# seed 0). Hold on to that number. The VAE of lesson 7 must beat it.
#
# ## Further reading
#
# - A. Dempster, N. Laird, D. Rubin: *Maximum Likelihood from Incomplete Data via the EM
#   Algorithm*, 1977.
# - R. Neal, G. Hinton: *A View of the EM Algorithm that Justifies Incremental, Sparse, and other
#   Variants*, 1998: EM as climbing (1.10).
# - L. Theis, A. van den Oord, M. Bethge: *A note on the evaluation of generative models*, 2016:
#   why good likelihood and good samples are different things, and dequantisation.
# - I. Goodfellow: *NIPS 2016 Tutorial: Generative Adversarial Networks*, 2016: the map of explicit
#   and implicit models.
# - B. Efron: *The Efficiency of Logistic Regression Compared to Normal Discriminant Analysis*,
#   1975; A. Ng, M. Jordan: *On Discriminative vs. Generative Classifiers*, 2002.
# - D. Roth: *On the Hardness of Approximate Reasoning*, 1996: counting inside a Bayes net.
