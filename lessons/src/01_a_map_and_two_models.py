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
# Every numbered equation of these lessons is followed by a cell that computes its two sides by two
# routes and prints how far apart they are.

# %%
import matplotlib.pyplot as plt
import numpy as np

import tinygen as tg
from tinygen.lessons import check

rng = np.random.default_rng(0)
plt.rcParams.update({"figure.dpi": 90, "axes.spines.top": False, "axes.spines.right": False})

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

figure, axes = plt.subplots(1, 3, figsize=(9.5, 3.2), sharex=True, sharey=True)
axes[0].contourf(grid[..., 0], grid[..., 1], density, levels=12, cmap="Blues")
axes[0].set_title("density: how probable is $x$?")
axes[1].scatter(*draw(600, rng).T, s=3, color="C1")
axes[1].set_title("sampling: give me new $x$")
axes[2].imshow(hidden, origin="lower", extent=(-4, 4, -4, 4))
axes[2].set_title("inference: which blob made $x$?")
for ax in axes:
    ax.set_aspect("equal")
figure.tight_layout()
plt.show()

# %% [markdown]
# *One law in the plane, asked its three questions. The colour on the right is the probability of
# each blob (red, green, blue) given the point.*
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

# %%
x = (rng.random(40) < 0.3).astype(float)
theta = 0.37

product = 1.0
for toss in x:
    product *= theta if toss == 1 else 1 - theta
check.equal("1.1", product / np.prod(theta**x * (1 - theta) ** (1 - x)), 1.0)
print(f"{x.sum():.0f} ones in {len(x)} tosses; likelihood {product:.2e}")

# %% [markdown]
# A product of many small numbers leaves the range of floating point after about a thousand factors.
# Its logarithm does not, and it has the same maximum because $\log$ grows. Write
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
tried = np.linspace(0.0005, 0.9995, 1000)
values = mean * np.log(tried) + (1 - mean) * np.log(1 - tried)
check.equal("1.4", tried[values.argmax()], mean, tol=2e-3)  # the grid's step is 0.001

# %% [markdown]
# How good is it? $\hat\theta$ is a mean of $n$ independent draws, each with variance
# $\theta (1 - \theta)$, so
#
# $$
# \mathrm{Var}[\hat\theta] = \frac{\theta (1 - \theta)}{n} \tag{1.5}
# $$
#
# Four times the data halve the error. We draw 20,000 data sets and look at the squared errors.

# %%
estimates = (rng.random((20_000, 40)) < theta).mean(1)
check.mean("1.5", (estimates - theta) ** 2, theta * (1 - theta) / 40)

# %% [markdown]
# This is already a generative model, whole: fit and sample.

# %%
coins = (rng.random(1000) < 0.3).astype(float)  # 1. data
theta_hat = coins.mean()  # 2. fit
new = rng.random(8) < theta_hat  # 3. sample
print("new tosses:", new.astype(int))
print(f"log p(1) = {np.log(theta_hat):.2f} nats, log p(0) = {np.log(1 - theta_hat):.2f} nats")

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
# right side is at most $1 - 1 = 0$ (less if $q$ has mass where $p$ has none).

# %%
p, q = rng.dirichlet(np.ones(6), 1000), rng.dirichlet(np.ones(6), 1000)
kl = (p * np.log(p / q)).sum(1)
check.at_most("1.6", np.zeros(1000), kl)

# %% [markdown]
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

# %%
faces = rng.choice(6, size=500, p=p[0])  # a loaded die
share = np.bincount(faces, minlength=6) / 500
model = q[0]
entropy = -(share * np.log(share)).sum()
left = np.log(model[faces]).mean()
check.equal("1.7", left, -entropy - (share * np.log(share / model)).sum())

# %% [markdown]
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
# It is a density: it integrates to 1. We add it up on a fine grid.

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
check.equal("1.8", p_line.sum() * step, 1.0, tol=1e-9)

# %% [markdown]
# **Inference** is Bayes' rule. Given $x$, the probability that Gaussian $j$ made it (its
# *responsibility* for $x$) is its share of the sum:
#
# $$
# r_j(x) = p_\theta(j \mid x) = \frac{w_j \mathcal{N}(x; \mu_j, \sigma_j^2)}{p_\theta(x)} \tag{1.9}
# $$
#
# We check it the slow way: draw many pairs $(j, x)$, keep those that fall near a point, and count.

# %%
j = rng.choice(3, size=400_000, p=w)
draws = mu[j] + np.sqrt(var[j]) * rng.standard_normal(400_000)
at = 0.8
near = np.abs(draws - at) < 0.01
responsibility = np.exp(log_joint(np.array([at]), w, mu, var))[0]
responsibility /= responsibility.sum()
check.mean("1.9", np.eye(3)[j[near]], responsibility)
edges = np.array([-1.0, 0.0, 1.0, 2.0])  # and the draws have the density (1.8)
below = (p_line[:, None] * (line[:, None] <= edges)).sum(0) * step
check.mean("1.8", draws[:, None] <= edges, below)
print("responsibilities at 0.8:", responsibility.round(3))

# %% [markdown]
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
check.equal("1.10", np.log(np.exp(joint).sum()), bound + gap, tol=1e-12)
print(f"bound {bound:.3f} + gap {gap:.3f} = log p {bound + gap:.3f}")

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
# that the constraint is built in.)

# %%
xs = draws[:300]
rij = np.exp(log_joint(xs, w, mu, var))
rij /= rij.sum(1, keepdims=True)
n_j = rij.sum(0)
new_w, new_mu = n_j / len(xs), rij.T @ xs / n_j
new_var = (rij * (xs[:, None] - new_mu) ** 2).sum(0) / n_j

free, m, v = (tg.tensor(a, requires_grad=True) for a in (np.log(new_w), new_mu, new_var))
X, R = tg.tensor(xs).unsqueeze(1), tg.tensor(rij)
log_n = -0.5 * ((X - m) ** 2 / v + v.log() + np.log(2 * np.pi))
bound = (R * (tg.log_softmax(free, dim=0) + log_n)).sum()
g_w, g_mu, g_var = tg.autograd.grad(bound, [free, m, v])
check.equal("1.11", g_w, np.zeros(3), tol=1e-9)
check.equal("1.12", g_mu, np.zeros(3), tol=1e-9)
check.equal("1.13", g_var, np.zeros(3), tol=1e-9)

# %% [markdown]
# The E-step makes the bound equal to $\log p$ at the old parameters; the M-step raises the bound;
# and $\log p$ lies above the bound everywhere. Hence the log-likelihood $\ell$ **never falls**:
#
# $$
# \ell(\theta_{\mathrm{old}}) \leq \ell(\theta_{\mathrm{new}}) \tag{1.14}
# $$
#
# Here is the model in five lines, run from a bad start.


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
theta = np.ones(3) / 3, np.array([-0.1, 0.0, 0.1]), np.ones(3)
history = [log_likelihood(xs, *theta)]
for _ in range(300):
    theta = em_step(xs, *theta)
    history.append(log_likelihood(xs, *theta))
check.at_most("1.14", history[:-1], history[1:], slack=1e-12)
for name, values in zip(("weights", "means", "variances"), theta):
    print(f"{name:10}", values.round(2))
print(
    f"log-likelihood {history[0]:.3f} -> {history[-1]:.3f} nats a point; "
    f"the true parameters: {log_likelihood(xs, w, mu, var):.3f}"
)

# %%
figure, axes = plt.subplots(1, 2, figsize=(9, 3))
axes[0].plot(history)
axes[0].set(
    xlabel="EM step", ylabel="nats a point", xscale="symlog", title="the log-likelihood never falls"
)
axes[1].hist(xs, bins=80, density=True, color="0.85", label="data")
axes[1].plot(line, np.exp(log_joint(line, *theta)).sum(1), label="fitted")
axes[1].plot(line, p_line, "k:", label="truth")
axes[1].set(xlim=(-4, 5), xlabel="x", title="the fitted mixture")
axes[1].legend(frameon=False)
figure.tight_layout()
plt.show()

# %% [markdown]
# The fit is a little *more* likely on its own data than the truth is: it has also learned the
# noise of these 2,000 points. Only data that were not used for fitting judge a model.
#
# And the same maximum by the route of all later lessons: no trick, only the gradient. The loss is
# the negative mean log-likelihood; `logsumexp` adds up (1.8) without leaving the logarithm. From
# the same bad start it takes many more steps than EM, and a step size that must be chosen; on its
# way, like EM, it sits on a plateau (-1.68) that looks like an end. What it has for it: it
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
order, em_order = m.detach().numpy().argsort(), theta[1].argsort()
print("means by gradient:", m.detach().numpy()[order].round(2))
print("means by EM      :", theta[1][em_order].round(2))
print(f"log-likelihood by gradient {-loss.item():.4f}, by EM {history[-1]:.4f}")
assert abs(loss.item() + history[-1]) < 1e-4

# %% [markdown]
# ## 4. Which divergence? It decides what a model that is too small gives up
#
# Fit *one* Gaussian to a law $p$ with two humps. It cannot be right, so the question is how it is
# wrong. Maximum likelihood minimises the **forward** divergence $\mathrm{KL}(p \Vert q)$. Its
# minimum over all Gaussians is at the mean and the variance of $p$, because only
# $\mathbb{E}_p[(x - \mu)^2]$ enters:
#
# $$
# \mathop{\mathrm{argmin}}_{\mu, \sigma^2} \mathrm{KL}(p \Vert \mathcal{N}(\mu, \sigma^2))
# = (\mathbb{E}_p[x], \mathrm{Var}_p[x]) \tag{1.15}
# $$
#
# The **reverse** divergence $\mathrm{KL}(q \Vert p)$ takes its mean under the *model*, so it does
# not see what the model leaves out. We minimise both by gradient steps on a grid of points.

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
for name, (a, b, c) in {
    "forward": covers,
    "reverse, from -1": seeks_left,
    "reverse, from +1": seeks_right,
}.items():
    print(f"{name:17} mean {a:5.2f}, variance {b:4.2f}, divergence {c:.3f}")

# %%
figure, ax = plt.subplots(figsize=(7.5, 3))
ax.fill_between(line, p_two, color="0.85", label="$p$")
for (a, b, _), label, style in [
    (covers, "forward KL covers", "C0-"),
    (seeks_left, "reverse KL seeks", "C1-"),
    (seeks_right, "reverse KL, another start", "C1--"),
]:
    ax.plot(line, np.exp(log_normal(line, a, b)), style, label=label)
ax.set(xlim=(-6, 6), xlabel="x", title="one Gaussian for two humps: two ways to be wrong")
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# Forward: the model must put mass wherever the data are, even if that puts mass where they are
# not. Reverse: the model must not put mass where the data are not, even if that drops a hump.
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


print("              KL(p||q)   KL(q||p)")
for name, fitted in {"covers both": covers, "seeks one": seeks_left}.items():
    f, b = divergences(*fitted[:2])
    print(f"{name:12} {f:9.3f}  {b:9.3f}")
assert divergences(*covers[:2])[0] < divergences(*seeks_left[:2])[0]
assert divergences(*covers[:2])[1] > divergences(*seeks_left[:2])[1]

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


# %%
def H(p):
    return -(p * np.log(np.where(p > 0, p, 1))).sum(-1)


def KL(p, q):
    return (p * np.log(np.where(p > 0, p / np.where(q > 0, q, 1e-300), 1))).sum(-1)


def JS(p, q):
    m = (p + q) / 2
    return (KL(p, m) + KL(q, m)) / 2


p, q = rng.dirichlet(np.full(6, 0.3), 1000), rng.dirichlet(np.full(6, 0.3), 1000)
check.equal("1.16", JS(p, q), H((p + q) / 2) - H(p) / 2 - H(q) / 2)
check.at_most("1.17", np.zeros(1000), JS(p, q))
check.at_most("1.17", JS(p, q), np.full(1000, np.log(2)))

# %% [markdown]
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

# %%
p, q = np.zeros(10), np.zeros(10)
p[:4], q[6:] = rng.dirichlet(np.ones(4)), rng.dirichlet(np.ones(4))
check.equal("1.18", JS(p, q), np.log(2))

fine = np.linspace(-1, 5, 6001)
box = ((fine >= 0) & (fine < 1)).astype(float)
shifts = np.linspace(0, 3, 61)
js = [
    JS(box / box.sum(), (b := ((fine >= s) & (fine < s + 1)).astype(float)) / b.sum())
    for s in shifts
]
figure, ax = plt.subplots(figsize=(6.5, 2.6))
ax.plot(shifts, js)
ax.axhline(np.log(2), color="k", ls=":", lw=1)
ax.set(
    xlabel="shift of the second box",
    ylabel="JS, nats",
    title="after the boxes part: log 2, slope 0",
)
plt.show()

# %% [markdown]
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

# %%
z = tg.tensor(np.linspace(-1.5, 1.5, 7), requires_grad=True)
g_of_z = z.exp()
(slope,) = tg.autograd.grad(g_of_z.sum(), z)
density = np.exp(log_normal(z.detach().numpy(), 0, 1)) / slope.numpy()
samples, width = np.exp(rng.standard_normal(400_000)), 0.02
inside = np.abs(samples[:, None] - g_of_z.detach().numpy()) < width / 2
check.mean("1.19", inside / width, density, sigmas=4.5)

# %% [markdown]
# When $g$ is a neural network from 100 numbers to 1,000 pixels there is no way back: its samples
# lie on a thin sheet that has no density in pixel space at all. Such a model is called
# **implicit**. It cannot be fitted by likelihood, since there is none; that is what the GAN is for
# (lesson 9).
#
# ## 7. The map
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
pixels = rng.choice(4, size=1000, p=[0.4, 0.1, 0.2, 0.3]).astype(float)  # grey values 0 to 3
shares = np.bincount(pixels.astype(int)) / 1000
print(f"best possible: {-H(shares):.2f} nats a pixel (minus the entropy of the data)")
for sd in (0.3, 0.1, 0.01, 0.001):
    fitted = shares, np.arange(4.0), np.full(4, sd**2)
    mass = np.exp(log_joint(np.arange(4.0), *fitted)).sum()
    print(
        f"sd {sd:<6} 'log-likelihood' {log_likelihood(pixels, *fitted):5.2f};  "
        f"sum of p over the four grey values: {mass:7.2f}"
    )

# %% [markdown]
# A model that beats the entropy of its own data is impossible, so something is wrong, and the
# right column says what: these "probabilities" do not sum to 1. **The check to keep: the
# probabilities of all grey values sum to 1**, and no score beats minus the entropy of the data that
# it is computed on.
#
# The repair is *dequantisation*: the probability of the grey value $k$ is the mass that the
# density puts on the interval from $k$ to $k + 1$, and by Jensen's inequality (lesson 6) training
# on data with uniform noise $u$ added maximises a lower bound of it:
#
# $$
# \log P(k) = \log \int_0^1 p(k + u) du \geq \int_0^1 \log p(k + u) du \tag{1.20}
# $$

# %%
middle = (np.arange(2000) + 0.5) / 2000  # the midpoint rule on [0, 1]
theta = np.array([0.4, 0.1, 0.2, 0.3]), np.arange(4) + 0.5, np.full(4, 0.35**2)
values = np.array([log_joint(k + middle, *theta) for k in range(4)])
log_p = np.log(np.exp(values).sum(-1))  # (4, 2000)
mass = np.exp(log_p).mean(1)
check.at_most("1.20", log_p.mean(1), np.log(mass))
print(f"the four masses {mass.round(3)} sum to {mass.sum():.3f}: the rest lies below 0 and above 4")

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
#
# ## The full-size run
#
# `python examples/mixture.py` fits a mixture of 40 Bernoulli pictures to the 8 x 8 digits by EM,
# in a few seconds: test $\log p(x)$ of -23.32 nats (± 0.20; seed 0). Hold on to that number. The
# VAE of lesson 7 must beat it.
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
