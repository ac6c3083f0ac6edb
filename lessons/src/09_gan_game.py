# %% [markdown]
# # Lesson 9: The GAN as a game
#
# > **Question.** We have examples $x$ from an unknown law $p_d$ and a network $G$ that turns noise
# > into numbers. How can $G$ learn to draw from $p_d$ when nobody can write down a density, neither
# > that of the data nor that of $G$?
#
# At the end you can write the game of a generative adversarial network (GAN) from one line of
# binary cross-entropy, say which discriminator is the best and why, prove what the generator then
# minimises, train such a pair in forty lines, and use its discriminator to estimate a ratio of
# densities.
#
# **You need** densities and expectations, $\mathrm{KL}$ and $\mathrm{JS}$ from lesson 1, gradients
# by the tape from lesson 2. **Time**: an hour and a half, the exercises another half; to run,
# half a minute. **You may skip**, on a first reading, the boxes "Fix the slide" and section 5:
# lesson 10 needs only the value (9.2), the best discriminator (9.9) and the theorem (9.15).
#
# The idea in one picture. Mix real examples with made ones, half and half. Sort them into bins and
# count, bin by bin, **which fraction is real**. That fraction needs no density, only samples. It is
# high where the maker produces too little, low where it produces too much, and $1/2$ everywhere
# when the two laws are the same.

# %%
import matplotlib.pyplot as plt
import numpy as np

import tinygen as tg
from tinygen import nn
from tinygen.lessons import check, figures
from tinygen.models import gan

figures.style()
rng = np.random.default_rng(0)
WEIGHT, MEAN, STD = np.array([0.4, 0.6]), np.array([-1.5, 1.0]), np.array([0.5, 0.7])


def draw_data(n):
    """n examples of the data: a mixture of two bells."""
    k = rng.choice(2, n, p=WEIGHT)
    return rng.normal(MEAN[k], STD[k])


# %% tags=["figure"]
bins = np.linspace(-4, 4, 41)
middle = (bins[1:] + bins[:-1]) / 2
makers = {"far away": (2.2, 0.5), "nearer": (0.8, 0.8), "the best single bell": (0.0, 1.39)}
figure, axes = plt.subplots(1, 3, figsize=(6.8, 3), sharey=True, layout="constrained")
for axis, (name, (m, s)) in zip(axes, makers.items()):
    real, made = draw_data(20_000), rng.normal(m, s, 20_000)
    axis.hist(real, bins, density=True, alpha=0.3, color="black", label="real")
    axis.hist(made, bins, density=True, alpha=0.5, color="C2", label="made")
    counts = [np.histogram(v, bins)[0] for v in (real, made)]
    seen = counts[0] + counts[1] > 20
    fraction = counts[0][seen] / (counts[0] + counts[1])[seen]
    axis.plot(middle[seen], fraction, color="C0", ls="-", marker=".", label="fraction real")
    axis.axhline(0.5, color="gray", lw=0.7, ls="-")
    axis.set(title=name, xlabel="x", ylim=(0, 1.05))
axes[0].set_ylabel("density; fraction")
handles, labels = axes[0].get_legend_handles_labels()
figure.legend(handles, labels, loc="outside lower center", ncols=3)
figure.suptitle("The blue fraction tells the maker where it makes too much and too little")
figures.show(
    figure,
    "Histograms of real and of made numbers for three makers. The fraction that is real is 1 where "
    "only real ones lie, 0 where only made ones lie, and comes close to a half where both agree.",
)

# %% [markdown]
# Counting in bins works on a line. It cannot work for pictures: with 784 pixels almost every bin is
# empty. So we let a network do the counting. It looks at $x$ and says how likely it thinks "real"
# is. That network is the **discriminator** $D$, and $D(x)$ lies between 0 and 1. The maker is the
# **generator** $G$: it draws noise $z$ from a simple law $p(z)$ and returns $G(z)$. The law of
# $G(z)$ is called $p_g$. Nobody writes $p_g$ down. We only draw from it.
#
# The learning goes around: $D$ learns to tell the two apart, and $G$ learns to make $D$ fail.

# %% [markdown]
# ## 1. The game, from binary cross-entropy
#
# What should $D$ be trained to do? It is a classifier with two classes: $y = 1$ for real, $y = 0$
# for made. If it says "real with probability $D$", the probability that it gives to the true
# label is $D$ when $y = 1$ and $1 - D$ when $y = 0$. In one formula: $D^y (1 - D)^{1 - y}$.
# Maximum likelihood asks to make that large, so the loss of one example is minus its logarithm,
#
# $$
# \ell(y, D) = -y \log D - (1 - y) \log (1 - D) \tag{9.1}
# $$
#
# the **binary cross-entropy**.

# %%
y = rng.integers(0, 2, 1000).astype(float)
d = rng.uniform(0.01, 0.99, 1000)
loss = -y * np.log(d) - (1 - y) * np.log(1 - d)
check.equal("9.1", loss, -np.log(d**y * (1 - d) ** (1 - y)))
library = nn.functional.binary_cross_entropy(tg.tensor(d), tg.tensor(y))
check.claim("the library's binary_cross_entropy over its mean", library / loss.mean(), "1.00000")

# %% [markdown]
# Now two players. Average what $D$ achieves on real examples, and on made ones, and add:
#
# $$
# V(D, G) = \mathbb{E}_{x \sim p_d}[\log D(x)] + \mathbb{E}_{z \sim p(z)}[\log (1 - D(G(z)))]
# \tag{9.2}
# $$
#
# This is the **value** of the game (Goodfellow et al. 2014). $D$ wants $V$ large: it wants $D(x)$
# near 1 on data and $D(G(z))$ near 0 on samples. $G$ can only change the second term, and wants $V$
# small: it wants $D(G(z))$ near 1. One writes $\min_G \max_D V(D, G)$. What one player wins the
# other loses, so the game is **zero-sum**.
#
# Is (9.2) a new invention? No. It is the cross-entropy again, up to a factor. Toss a fair coin $y$;
# show $D$ a real example for heads and a made one for tails. Then
#
# $$
# V(D, G) = -2 \mathbb{E}_{y, x}[\ell(y, D(x))] \tag{9.3}
# $$
#
# because each side comes up half of the time. To check both, take a $D$ and a $G$ that are simple
# enough to integrate: $D(x) = \sigma(0.3 - 0.8 x)$, with $\sigma(a) = 1/(1 + e^{-a})$, and
# $G(z) = 0.5 + 0.9 z$ with $z \sim \mathcal{N}(0, 1)$. Expectations become sums on a fine grid.
# That is exact to about ten digits here, so we can see every sign: this pair has $V = -1.3967$.

# %%
grid = np.linspace(-15, 15, 5001)
dx = grid[1] - grid[0]


def integral(values):
    """The integral over x of values on the grid."""
    return (values * dx).sum(-1)


def normal(x, mean, std):
    return np.exp(-0.5 * ((x - mean) / std) ** 2) / (std * np.sqrt(2 * np.pi))


def p_d(x):
    return sum(w * normal(x, m, s) for w, m, s in zip(WEIGHT, MEAN, STD))


def D(x):
    return 1 / (1 + np.exp(-(0.3 - 0.8 * x)))


def G(z):
    return 0.5 + 0.9 * z


# (9.2): the integral over z, against an average over a million draws of x and of z.
value = integral(p_d(grid) * np.log(D(grid)))
value += integral(normal(grid, 0, 1) * np.log(1 - D(G(grid))))
n = 1_000_000
check.mean("9.2", np.log(D(draw_data(n))) + np.log(1 - D(G(rng.normal(size=n)))), value)
check.claim("V of this pair", value, "-1.3967")

# (9.3): toss the coin, show one example, take the loss.
y = rng.integers(0, 2, n)
x = np.where(y == 1, draw_data(n), G(rng.normal(size=n)))
check.mean("9.3", -2 * (-y * np.log(D(x)) - (1 - y) * np.log(1 - D(x))), value)

# %% [markdown]
# > **Predict, then run.** A discriminator that has learned nothing says $1/2$ to everything. What
# > is its $V$? And what is $V$ for one that gives the true label the probability 0.9, every time?

# %%
for name, d, said in (("nothing learned", 0.5, "-1.386"), ("nine tenths", 0.9, "-0.211")):
    loss = nn.functional.binary_cross_entropy(tg.tensor([d, 1 - d]), tg.tensor([1.0, 0.0]))
    check.claim(f"V, {name}", -2 * loss, said)  # one real example, one made, by (9.3)

# %% [markdown]
# Saying $1/2$ costs $\log 2$ per example, so $V = -2 \log 2 = -\log 4 \approx -1.386$. Remember
# this number. It comes back. A better $D$ brings $V$ nearer to 0, here to $-0.211$; above 0 it
# cannot come, since both terms are logarithms of probabilities.
#
# ### Fix the slide: the value
#
# The lecture notes print the value three times, and three times with the same slip. Read through
# the scan, `min max E,|log(D(x))| + E,[1 —log(G(2))]`, it is
#
# > min max E_x[log(D(x))] + E_z[1 − log(G(z))]
#
# Two things are wrong. The 1 stands outside the logarithm, and $D$ is missing: $\log G(z)$ is the
# logarithm of a *sample*. (The algorithm box of the same notes has it right.) Take the line at its
# word and let a cell do what it says.

# %%
samples = G(rng.normal(size=1_000_000))
check.claim("E1: share of samples without a logarithm", (samples < 0).mean(), "0.29")

# As printed, the second term does not contain D. So D maximises the first alone: D = 1 everywhere.
for step, as_printed, correct in ((0, "-0.691", "-1.397"), (4, "-0.022", "-3.948"),
                                  (8, "-0.0004", "-7.901")):  # fmt: skip
    d_biased = 1 / (1 + np.exp(-(0.3 - 0.8 * grid + step)))  # the logit moved up
    on_data = integral(p_d(grid) * np.log(d_biased))
    value_now = on_data + integral(normal(grid, 0.5, 0.9) * np.log(1 - d_biased))
    check.claim(f"E1: logit + {step}, D's part as printed", on_data, as_printed)
    check.claim(f"E1: logit + {step}, V", value_now, correct)

# %% [markdown]
# 29 % of these samples have no logarithm at all. As printed, the best discriminator says "real" to
# everything: its part climbs to its maximum 0. With $\log(1 - D(G(z)))$ in place that costs dearly:
# $V$ falls to $-7.901$.
#
# ### Fix the slide: what z is
#
# On the step from (9.2) to an integral over $x$, which we take in section 2, a deck comments:
#
# > X: is data
# >
# > z: is the generated data
#
# $z$ is **noise**. The generated data are $G(z)$. The second row of that slide does not rename $z$;
# it replaces the average over noise by one over what $G$ makes of it, with another law.
#
# > **Predict, then run.** Take the deck at its word and show $D$ the noise, $D(z)$ in place of
# > $D(G(z))$. Nothing crashes, here both are numbers. Does the value come out the same?

# %%
on_noise = integral(p_d(grid) * np.log(D(grid)) + normal(grid, 0, 1) * np.log(1 - D(grid)))
check.claim("E49: the value if z were the generated data", on_noise, "-1.6189")
check.claim("E49: the mean of the generated data", integral(normal(grid, 0, 1) * G(grid)), "0.50")

# %% [markdown]
# $-1.6189$ in place of $-1.3967$: a discriminator that is trained so learns to tell
# data from noise, and says nothing about $G$.
#
# ### Fix the slide: the prior of the noise
#
# The training algorithm is printed in two of the decks with
#
# > Sample minibatch of m noise samples $\lbrace z^{(1)}, \dots, z^{(m)} \rbrace$ from noise prior
# > $p_g(z)$.
#
# (The original paper writes it so as well.) But $p_g$ is the law of what *comes out* of the
# generator. The noise that *goes in* has its own law, $p(z)$. They are different functions,
# mostly on spaces of different dimension. Mixing them up changes what is sampled:

# %%
right = G(rng.normal(size=1_000_000))  # z from p(z): the samples are draws from p_g
wrong = G(right)  # z from p_g, as printed
for name, samples, mean, std in (("p(z)", right, "0.50", "0.90"), ("p_g", wrong, "0.95", "0.81")):
    check.claim(f"E22: z from {name}, mean", samples.mean(), mean)
    check.claim(f"E22: z from {name}, std", samples.std(), std)

picture_g, fits = nn.Linear(2, 784), True  # a generator of pictures: two numbers in, 784 out
try:
    picture_g(picture_g(tg.randn(5, 2)))
except RuntimeError:
    fits = False
check.claim("E22: a draw from p_g does not fit into a G of pictures", fits, False)

# %% [markdown]
# $p_g$ is $\mathcal{N}(0.5, 0.9^2)$; fed with its own samples, $G$ makes a law with mean 0.95 and
# spread 0.81. A generator of pictures cannot even be fed so.
#
# ### Never take the logarithm of a sigmoid
#
# A network ends in any number $a(x)$, the **logit**, and $D(x) = \sigma(a(x))$. For
# $a = -800$ the computer rounds $\sigma(a)$ to 0, and its logarithm is $-\infty$. There is no need
# for that. With $\mathrm{softplus}(a) = \log(1 + e^a)$,
#
# $$
# \log \sigma(a) = -\mathrm{softplus}(-a) \tag{9.4}
# $$
#
# and, since $1 - \sigma(a) = \sigma(-a)$,
#
# $$
# \log (1 - \sigma(a)) = -\mathrm{softplus}(a) \tag{9.5}
# $$
#
# Both follow by inserting $\sigma$. They hold for every $a$, and softplus can be computed as
# $\max(a, 0) + \log(1 + e^{-|a|})$, where nothing overflows.

# %%
a = tg.tensor(rng.normal(0, 5, 500))
check.equal("9.4", tg.log(tg.sigmoid(a)), -tg.softplus(-a))
check.equal("9.5", tg.log(1 - tg.sigmoid(a)), -tg.softplus(a))
sure = tg.tensor(-800.0)
with np.errstate(divide="ignore"):
    check.claim("log of the sigmoid of -800 is -inf", tg.log(tg.sigmoid(sure)).item() == -np.inf)
check.claim("-softplus(800)", -tg.softplus(-sure), "-800")

# %% [markdown]
# ## 2. The best discriminator
#
# Hold $G$ still and ask: which $D$, of all functions, makes $V$ largest?
#
# First write both expectations over the same variable. Averaging a function of $G(z)$ over $z$ is
# the same as averaging it over $x \sim p_g$; that is what $p_g$ means. So
#
# $$
# V(D, G) = \int \left( p_d(x) \log D(x) + p_g(x) \log (1 - D(x)) \right) dx \tag{9.6}
# $$
#
# On the left of the check below stands the integral over $z$ from above, on the right the integral
# over $x$ with $p_g = \mathcal{N}(0.5, 0.9^2)$.

# %%
near = np.abs(grid) < 9  # beyond, both densities are next to nothing
p_, q_, d = p_d(grid)[near], normal(grid, 0.5, 0.9)[near], D(grid)[near]
check.equal("9.6", value, integral(p_ * np.log(d) + q_ * np.log(1 - d)))

# %% [markdown]
# Now the decisive remark. The integrand at $x$ contains $D$ only at that same $x$. A function may
# choose its value at each point freely, so we maximise **point by point**. At a point where
# $p_d(x) = p$ and $p_g(x) = q$ we look for the number $t$ in $(0, 1)$ that maximises
# $h(t) = p \log t + q \log(1 - t)$. Its slope is
#
# $$
# h'(t) = \frac{p}{t} - \frac{q}{1 - t} \tag{9.7}
# $$
#
# and it bends downwards everywhere,
#
# $$
# h''(t) = -\frac{p}{t^2} - \frac{q}{(1 - t)^2} \lt 0 \tag{9.8}
# $$
#
# so there is one maximum, where the slope is zero: $p (1 - t) = q t$. Solve for $t$. (For
# $p, q \gt 0$. If one is 0, $h$ climbs to an end, $t = 1$ or 0, which (9.9) still names; where both
# are 0, any $D$ will do.)
#
# $$
# D^*(x) = \frac{p_d(x)}{p_d(x) + p_g(x)} \tag{9.9}
# $$
#
# That is the fraction of real examples among all at $x$: what the opening picture counted.

# %%
pp, qq = rng.uniform(0.1, 2, (2, 200))
t = tg.tensor(rng.uniform(0.05, 0.95, 200), requires_grad=True)
h = tg.tensor(pp) * tg.log(t) + tg.tensor(qq) * tg.log(1 - t)
(slope,) = tg.autograd.grad(h.sum(), [t], create_graph=True)  # the tape differentiates h ...
(bend,) = tg.autograd.grad(slope.sum(), [t])  # ... twice
tt = t.detach().numpy()
check.equal("9.7", slope, pp / tt - qq / (1 - tt))
check.equal("9.8", bend, -pp / tt**2 - qq / (1 - tt) ** 2)
check.claim("h bends down at all 200 points", bend < 0)

# (9.9) without the formula: Newton's method on the logit a, at each point. The slope of
# p log s(a) + q log s(-a) in a is p s(-a) - q s(a), its bend -(p + q) s(a) s(-a).
logit = np.zeros_like(p_)
for _ in range(100):
    s, t = 1 / (1 + np.exp(-logit)), 1 / (1 + np.exp(logit))
    logit += (p_ * t - q_ * s) / ((p_ + q_) * s * t)
check.equal("9.9", 1 / (1 + np.exp(-logit)), p_ / (p_ + q_))

# %% [markdown]
# > **Predict, then run.** Where data are three times as frequent as samples, what does the best $D$
# > say, and what is its logit? And where are both equally frequent?

# %%
best = 1 / (1 + np.exp(-logit))
for odds, d_said, a_said in ((3.0, "0.75", "1.1"), (1.0, "0.50", "0.0")):
    at = np.abs(p_ / q_ - odds).argmin()  # the point of the grid where p_d / p_g is nearest to it
    check.claim(f"p_d = {odds:.0f} p_g: D*", best[at], d_said)
    check.claim(f"p_d = {odds:.0f} p_g: its logit", logit[at], a_said)

# %% [markdown]
# On the scale of the logit the best discriminator is even simpler: divide (9.9) by $1 - D^*$ and
# take the logarithm.
#
# $$
# a^*(x) = \log p_d(x) - \log p_g(x) \tag{9.10}
# $$
#
# **The best logit is the log-ratio of the densities.** Two bells show that this is a function that
# one may guess: if $p_d = \mathcal{N}(\mu, \sigma^2)$ and $p_g = \mathcal{N}(0, 1)$, then $a^*$
# is a parabola. Its coefficients come from logistic regression on $1, x, x^2$, fitted by
# maximising $V$, which asks only for averages over the two laws (here integrals, so that the check
# is exact).

# %%
mu, sigma = 0.7, 0.6
features = np.stack([np.ones_like(grid), grid, grid**2])
real_, made_ = normal(grid, mu, sigma), normal(grid, 0.0, 1.0)
c = np.zeros(3)
for _ in range(9):  # Newton's method on V, which is concave in the coefficients
    s = 1 / (1 + np.exp(-c @ features))
    gradient = integral(features * (real_ * (1 - s) - made_ * s))
    hessian = integral(features[:, None] * features * (real_ + made_) * s * (1 - s))
    c += np.linalg.solve(hessian, gradient)
exact = [-np.log(sigma) - mu**2 / (2 * sigma**2), mu / sigma**2, 0.5 - 0.5 / sigma**2]
check.equal("9.10", c, exact)
for name, found, said in zip(("1", "x", "x^2"), c, ("-0.170", "1.944", "-0.889")):
    check.claim(f"the coefficient of {name}", found, said)

# %% [markdown]
# How much does a discriminator lose that is not the best? Subtract $V(D, G)$ from $V(D^*, G)$ in
# (9.6) and insert $p_d = (p_d + p_g) D^*$ and $p_g = (p_d + p_g)(1 - D^*)$. What remains under the
# integral is the KL divergence of two coins, one with probability $D^*(x)$, one with $D(x)$:
#
# $$
# V(D^*, G) - V(D, G) = \int (p_d(x) + p_g(x)) \mathrm{KL}(D^*(x) \Vert D(x)) dx \tag{9.11}
# $$
#
# with $\mathrm{KL}(s \Vert t) = s \log \frac{s}{t} + (1 - s) \log \frac{1 - s}{1 - t}$. A KL is
# never negative and is zero only when the coins are the same. That proves again that $D^*$ is the
# maximum, this time over all functions at once. It also says what training $D$ does: it shrinks
# this KL most where samples of either kind are frequent, and cares little elsewhere.


# %%
def value_of(p, q, d):
    """V by (9.6) for densities p, q and the discriminator d, all on the grid."""
    return integral(p * np.log(d) + q * np.log(1 - d))


def coin_kl(s, t):
    return s * np.log(s / t) + (1 - s) * np.log((1 - s) / (1 - t))


guess = D(grid[near])
left = value_of(p_, q_, best) - value_of(p_, q_, guess)
check.equal("9.11", left, integral((p_ + q_) * coin_kl(best, guess)))
check.claim("this D misses, in nats", left, "0.212")

# %% [markdown]
# ### Fix the slide: $D$ is no likelihood
#
# The lecture notes say
#
# > Discriminator outputs likelihood of being real
#
# A likelihood would be $p_d(x)$: how probable this $x$ is among the data. $D^*(x)$ is something
# else, the **probability of the class** "real" given $x$, when real and made are shown equally
# often. It compares two densities and does not know the size of either.
#
# > **Predict, then run.** At $x = -2.7$ data are rare, 19 times rarer than at $x = 1$. At which of
# > the two does $D^*$ say "real" with more confidence?

# %%
rare, common = (np.abs(grid[near] - at).argmin() for at in (-2.7, 1.0))
check.claim("E41: data are rarer at -2.7, times", p_[common] / p_[rare], "19")
check.claim("E41: D* at -2.7", best[rare], "0.957")
check.claim("E41: D* at 1", best[common], "0.474")
check.claim("E41: a density has the integral 1, D*", integral(best), "4.70")

# %% [markdown]
# This generator makes even fewer points at $-2.7$, so $D^*$ is nearly certain there, 0.957, and
# undecided at 1, where most of the data are, 0.474. The "likelihoods" add up to 4.70.
#
# And "equally often" matters. If a share $\pi$ of what $D$ sees is real, Bayes' rule gives
#
# $$
# D^*_\pi(x) = \frac{\pi p_d(x)}{\pi p_d(x) + (1 - \pi) p_g(x)} \tag{9.12}
# $$
#
# Same examples, same densities, another answer. The check draws two million examples with
# $\pi = 0.8$ and counts the share of real ones among those between 0.9 and 1.1.

# %%
share, n = 0.8, 2_000_000
is_real = rng.uniform(size=n) < share
shown = np.where(is_real, draw_data(n), rng.normal(0.5, 0.9, n))
cell = np.abs(grid[near] - 1.0) < 0.1
mass = share * integral(p_ * cell), (1 - share) * integral(q_ * cell)
check.mean("9.12", is_real[np.abs(shown - 1.0) < 0.1], mass[0] / (mass[0] + mass[1]), sigmas=5)
check.claim("real ones near x = 1, four in five real", mass[0] / sum(mass), "0.7822")
even = mass[0] / share, mass[1] / (1 - share)
check.claim("the same, one in two real", even[0] / sum(even), "0.473")

# %% [markdown]
# With one in two real it is 0.473, with four in five 0.782, at the same $x$.
#
# ## 3. What the generator then minimises
#
# Suppose $D$ is always the best. What does the generator face? Put $D^*$ into $V$:
#
# $$
# V(D^*, G) = \mathbb{E}_{x \sim p_d}\left[\log \frac{p_d(x)}{p_d(x) + p_g(x)}\right] +
# \mathbb{E}_{x \sim p_g}\left[\log \frac{p_g(x)}{p_d(x) + p_g(x)}\right] \tag{9.13}
# $$
#
# The left side of the check is the largest $V$ that a search finds (the logits that Newton's method
# found above), the right side the formula.

# %%
found = -integral(p_ * np.log1p(np.exp(-logit))) - integral(q_ * np.log1p(np.exp(logit)))
check.equal("9.13", found, integral(p_ * np.log(p_ / (p_ + q_)) + q_ * np.log(q_ / (p_ + q_))))

# %% [markdown]
# The two terms look like KL divergences, but a sum of two densities is not a density: it integrates
# to 2. Half of it is one: $m = (p_d + p_g)/2$, the law of what $D$ is shown. With it comes the
# Jensen-Shannon divergence,
#
# $$
# \mathrm{JS}(p_d, p_g) =
# \frac{1}{2} \mathrm{KL}(p_d \Vert m) + \frac{1}{2} \mathrm{KL}(p_g \Vert m) \tag{9.14}
# $$
#
# To give it a meaning: it is the **information that $x$ carries about the coin** $y$, that is, the
# entropy of $x$ minus what is left of it when the label is known,
# $H(m) - \frac{1}{2} H(p_d) - \frac{1}{2} H(p_g)$ with $H(p) = -\int p \log p$. If the laws are the
# same, $x$ says nothing about the label. If they do not overlap, $x$ tells the label, and one fair
# coin is $\log 2$ nats.


# %%
def log(p):
    """The logarithm, finite where a density rounds to 0: 0 log 0 = 0."""
    return np.log(np.maximum(p, 1e-300))


def kl(p, q):
    """KL(p || q) on the grid."""
    return integral(p * (log(p) - log(q)))


def entropy(p):
    return -integral(p * log(p))


def js(p, q):
    return 0.5 * kl(p, (p + q) / 2) + 0.5 * kl(q, (p + q) / 2)


p, q = p_d(grid), normal(grid, 0.5, 0.9)  # on the whole grid
check.equal("9.14", entropy((p + q) / 2) - 0.5 * entropy(p) - 0.5 * entropy(q), js(p, q))
check.claim("JS of this pair, in nats", js(p, q), "0.1009")

# %% [markdown]
# Now write $p_d + p_g = 2m$ in (9.13). Each logarithm gives off a $-\log 2$, and there are two:
#
# $$
# V(D^*, G) = -\log 4 + 2 \mathrm{JS}(p_d, p_g) \tag{9.15}
# $$
#
# This is the theorem of the GAN paper. Against the best discriminator the generator minimises the
# Jensen-Shannon divergence between data and samples. **It never computes it**, and no density was
# needed. The divergence lies between 0 and $\log 2$, so
#
# $$
# -\log 4 \le V(D^*, G) \le 0 \tag{9.16}
# $$
#
# with the left end for $p_g = p_d$, where $D^* = 1/2$, and the right end for laws that never
# overlap, where $D^*$ is always right.
#
# > **Predict, then run.** To see the whole range we move $p_g$, a copy of the data, by $\theta$,
# > from 0 to 9. Draw the curve of $V(D^*, G)$ before you look: where does it start, where does it
# > end, and where is it steepest?

# %%
shifts = np.linspace(0, 9, 46)  # in steps of 0.2
moved = np.array([p_d(grid - shift) for shift in shifts])  # p_g for each shift
check.claim("the mean of the last p_g", integral(moved[-1] * grid), "9.00")
total = p + moved
values = integral(p * (log(p) - log(total))) + integral(moved * (log(moved) - log(total)))
# The right side by the other route to JS: entropies.
divergence = entropy(total / 2) - 0.5 * entropy(p) - 0.5 * entropy(moved)
check.equal("9.15", values, -np.log(4) + 2 * divergence)
check.equal("9.16", np.min(values), -np.log(4))  # never below, and reached at shift 0
check.equal("9.16", 1 + np.max(values), 1.0, tol=1e-6)  # never above 0, nearly reached at shift 9
check.claim("steepest at the shift", shifts[np.gradient(values, shifts).argmax()], "0.8")
check.claim("half way up at the shift", shifts[np.abs(divergence - np.log(2) / 2).argmin()], "2.6")

# %% tags=["figure"]
figure, axis = plt.subplots(figsize=(7, 3), layout="constrained")
axis.plot(shifts, values, color="C1", ls="-", label="$V(D^*, G)$, the best D")
fixed = value_of(p, moved, 1 / (1 + np.exp(2 * (grid - 1.2))))
axis.plot(shifts, fixed, color="C0", ls=":", label="one fixed D, always below")
for level, name in ((-np.log(4), "-log 4"), (0, "0")):
    axis.axhline(level, color="gray", lw=0.7, ls="-")
    axis.text(8.3, level + 0.06, name, fontsize=8)
axis.set(
    xlabel=r"shift $\theta$ of $p_g$ against $p_d$", ylabel="value V, in nats", ylim=(-3.2, 0.4)
)
axis.set_title("The best value climbs from -log 4 to 0, and goes flat")
axis.legend(loc="lower right")
figures.show(
    figure,
    "The value against the best discriminator rises from minus log 4 at shift 0, is steepest near "
    "shift 1 and flat at 0 beyond shift 7; that of one fixed discriminator lies below it.",
)

# %% [markdown]
# The curve starts at $-\log 4$, is steepest at a shift of 0.8, has half of the way behind it at
# 2.6, about the distance of the two bells, and ends at 0. Here are pictures of the way to move
# through: data, the shifted law, and the $D^*$ between them.


# %% tags=["figure"]
def shifted(k):
    """Data, p_g and the best D at one shift."""
    figure, axis = plt.subplots(figsize=(6, 2.6), layout="constrained")
    axis.fill_between(grid, p, color="black", alpha=0.25, lw=0, label="$p_d$")
    axis.fill_between(grid, moved[k], color="C2", alpha=0.5, lw=0, label="$p_g$")
    seen = total[k] > 1e-4
    axis.plot(grid, np.where(seen, p / total[k], np.nan), color="C1", ls="--", label="$D^*$")
    axis.set(xlim=(-4, 9), ylim=(0, 1.05), xlabel="x", ylabel="density; D")
    axis.set_title(f"V = {values[k]:.3f}, JS = {divergence[k]:.3f} of at most 0.693")
    axis.legend(loc="center right")
    return figure


chosen = (0, 1, 3, 5, 8, 11, 15, 20, 25, 30)
figures.slider(
    [shifted(k) for k in chosen],
    [f"{shifts[k]:.1f}" for k in chosen],
    "shift",
    "Data, the same law shifted, and the best discriminator: at shift 0 it says a half everywhere; "
    "with the shift it turns into a step, and beyond 5 its value hardly changes any more.",
)

# %% [markdown]
# Look at the flat end on the right: there the generator is far from the data and is told almost
# nothing about where to go. Lesson 10 repairs that with another loss for $G$, lesson 13 with
# another distance.
#
# ### Fix the slide: the loss at the optimum
#
# > Rewriting we have that the loss is two times the Jensen-Shannon between the two probabilities
# > distributions. For the optimal loss -2log2.
#
# The two sentences contradict each other. If the loss were $2 \mathrm{JS}$, its best value would be
# 0. The first forgets the constant of (9.15); the second is right. (A cross-entropy *loss* that is
# to be minimised has the other sign: at the optimum each of its two terms is $\log 2$, the sum is
# $\log 4 = 1.386$. Both signs are found in logs of real runs.)

# %%
check.claim("E14: V(D*, G) at p_g = p_d", values[0], "-1.386")
check.claim("E14: JS at p_g = p_d", divergence[0], "0.000")
check.equal("9.15", values - 2 * divergence, -np.log(4))  # the constant, at every shift

# %% [markdown]
# ### Fix the slide: too good a generator
#
# Another deck draws a symmetry:
#
# > If discriminator works too well, generator cannot learn
# >
# > If generator works too well, discriminator cannot learn
#
# The first line is the flat end of the curve. The second is no failure: a generator that is so good
# that no discriminator can learn anything is **the goal**. At $p_g = p_d$ the slope of $V$ in the
# logit of $D = 1/2$ is $\frac{1}{2} p_d(x) - \frac{1}{2} p_g(x) = 0$ at every $x$; nothing is left
# to learn because nothing is left to tell apart.
#
# > **Predict, then run.** How large is that slope, at most, for a copy shifted by 0, 1 and 3?

# %%
for shift, slope_said, js_said in (
    (0, "0.000", "0.000"),
    (1, "0.142", "0.177"),
    (3, "0.160", "0.391"),
):
    slope = 0.5 * (p - moved[5 * shift])  # of V in the logit, where D = 1/2
    check.claim(f"E30: shift {shift}, the largest slope", slope.max(), slope_said)
    check.claim(f"E30: shift {shift}, JS", divergence[5 * shift], js_said)

# %% [markdown]
# ### Fix the slide: "it does not say: every output"
#
# On mode collapse, samples that are all alike, a deck says
#
# > Generator loss says: "generate an output that looks real"
# >
# > It does not say: "generate every output that looks real"
#
# True, as long as $D$ is held fixed: then the loss is an average of $\log(1 - D(x))$ over the
# samples, and it is smallest when all of them sit where $D$ is largest. Against the **best** $D$ it
# is false, by (9.15): JS is zero only if $p_g$ has everything that the data have, in the right
# shares. Take eight separate modes, equally frequent, and a generator that makes $k$ of them.
# Where it makes something, $D^* = \frac{1/8}{1/8 + 1/k}$; where it makes nothing, $D^* = 1$.

# %%
for k, said in ((1, "-0.39"), (4, "-0.95"), (7, "-1.30"), (8, "-1.386")):
    data, made = np.full(8, 1 / 8), np.where(np.arange(8) < k, 1 / k, 0.0)
    d = data / (data + made)
    against_best = (data * np.log(d)).sum() + (made[:k] * np.log(1 - d[:k])).sum()
    check.claim(f"E54: {k} of 8 modes against the best D, V", against_best, said)
fixed = np.array([0.5, 0.5, 0.5, 0.6, 0.5, 0.5, 0.5, 0.5])  # a D that likes one mode a little more
every, one = np.log(1 - fixed).mean(), np.log(1 - fixed).min()
check.claim("E54: against a fixed D, one mode is better than all eight by", every - one, "0.195")

# %% [markdown]
# Each mode that is missing costs: $-0.39$ for one of eight, $-1.30$ for seven, $-1.386$ for all. So
# collapse is not what the *value* asks for. It comes from the steps, from a $G$ that runs ahead of
# its $D$ (lesson 10 shows it).
#
# ### Why it is enough to let the two take turns
#
# $D^*$ depends on $G$. When $G$ moves, $D^*$ moves. Does the generator's gradient have to go
# through that dependence? It does not. At the best $D$ the slope of $V$ in every direction of $D$
# is zero already, so the change of $D^*$ contributes nothing to first order:
#
# $$
# \frac{d}{d\theta} V(D^*_\theta, G_\theta) =
# \left. \frac{\partial}{\partial\theta} V(D, G_\theta) \right|_{D = D^*_\theta} \tag{9.17}
# $$
#
# On the left the derivative of $2\mathrm{JS}$ (the constant has none), on the right that of the
# second term of $V$ with $D$ frozen (the first does not contain $\theta$). Here $\theta$ is the
# mean of $p_g = \mathcal{N}(\theta, 0.9^2)$, at 0.5, and the tape differentiates.

# %%
theta = tg.tensor(0.5, dtype=tg.float64, requires_grad=True)
x, real_p = tg.tensor(grid[near]), tg.tensor(p_)
q_t = tg.exp(-0.5 * ((x - theta) / 0.9) ** 2) / (0.9 * np.sqrt(2 * np.pi))
half = (real_p + q_t) / 2
js_t = 0.5 * dx * (real_p * tg.log(real_p / half) + q_t * tg.log(q_t / half)).sum()
check.claim("JS, by the tape's densities", js_t, "0.1009")
(total_slope,) = tg.autograd.grad(2 * js_t, [theta], retain_graph=True)

frozen_d = (real_p / (real_p + q_t)).detach()  # D*'s numbers at each x, cut off from theta
(partial_slope,) = tg.autograd.grad(dx * (q_t * tg.log(1 - frozen_d)).sum(), [theta])
check.equal("9.17", total_slope, partial_slope)
check.claim("the slope", total_slope, "0.0413")

# %% [markdown]
# That is why the algorithm may do the obvious: improve $D$ for a few steps, freeze it, move $G$ one
# step against it, repeat. It follows the slope of the Jensen-Shannon divergence as long as $D$
# keeps close to its best. (When it does not, other things happen: lesson 10.)

# %% [markdown]
# ## 4. A GAN by hand
#
# Two small networks, each from one number to one number. $G$ maps noise to samples, $D$ maps $x$ to
# its logit. All that is needed is the value in the form with logits, by (9.4) and (9.5):

# %%
tg.manual_seed(0)


def network():
    """One number in, one number out, two hidden layers of 32 tanh units."""
    net = nn.Sequential(nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 1))
    return net.to(tg.float64)  # so that the figures are the same on every machine


def V(logit_real, logit_made):
    """E log D(x) + E log(1 - D(G(z))), by (9.4) and (9.5), averaged over a batch."""
    return -tg.softplus(-logit_real).mean() - tg.softplus(logit_made).mean()


def batch(n=256):
    return tg.tensor(draw_data(n)[:, None])


def noise(n=256):
    return tg.randn(n, 1, dtype=tg.float64)


def discriminator_step(generator, judge, optimizer):
    """One step of D up the value. The samples are data for it: no gradient runs into G."""
    with tg.no_grad():
        made = generator(noise())
    loss = -V(judge(batch()), judge(made))  # an optimizer goes down, D wants up
    optimizer.zero_grad()  # before backward: G's last step left gradients in D (see below)
    loss.backward()
    optimizer.step()
    return -loss.item()


def generator_step(generator, judge, optimizer):
    """One step of G down the value. Only the second term depends on it."""
    made = generator(noise())
    loss = -tg.softplus(judge(made)).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


# %% [markdown]
# To watch it we want $p_g$ itself. On a line that is possible without random numbers: push a fine
# grid of noise through $G$, each point with its weight $p(z) dz$, and collect the weights in bins.
# The cell tries it on the generator of section 1, whose law we know.

# %%
fine = np.linspace(-5, 5, 20_001)
weights = normal(fine, 0, 1) / normal(fine, 0, 1).sum()
edges = np.linspace(-5, 5, 161)
centre = (edges[1:] + edges[:-1]) / 2
width = edges[1] - edges[0]


def density_of(generator):
    with tg.no_grad():
        out = generator(tg.tensor(fine[:, None])).numpy().ravel()
    return np.histogram(out, edges, weights=weights)[0] / width


def js_of(q):
    """JS between the data and the density q in the bins."""
    p = p_d(centre)
    m = (p + q) / 2
    return 0.5 * width * (p * (log(p) - log(m)) + q * (log(q) - log(m))).sum()


known = nn.Linear(1, 1).to(tg.float64)
known.weight.data, known.bias.data = (
    tg.tensor([[0.9]], dtype=tg.float64),
    tg.tensor([0.5], dtype=tg.float64),
)
height = density_of(known).max()
check.claim("the highest bin of N(0.5, 0.9^2)", height, "0.443")
check.claim("JS of this pair, from the bins", js_of(density_of(known)), "0.101")

# %% [markdown]
# > **Predict, then run.** What is the value $V$ of two fresh networks that have learned nothing?
# > And what is it at the end, if all goes well?

# %%
generator, judge = network(), network()
opt_g = tg.optim.Adam(generator.parameters(), lr=1e-3, betas=(0.5, 0.9))
opt_d = tg.optim.Adam(judge.parameters(), lr=5e-3, betas=(0.5, 0.9))
STEPS, ALBUM = 1000, (*range(0, 300, 15), *range(300, 1001, 50))
album, history = {}, []
for step in range(STEPS + 1):
    slower = max(0.05, 1 - step / STEPS)  # smaller and smaller steps: the two come to rest
    opt_g.param_groups[0]["lr"], opt_d.param_groups[0]["lr"] = 1e-3 * slower, 5e-3 * slower
    for _ in range(2):
        v = discriminator_step(generator, judge, opt_d)
    if step in ALBUM:
        with tg.no_grad():
            d_now = tg.sigmoid(judge(tg.tensor(centre[:, None])))
        album[step] = density_of(generator), d_now.numpy().ravel()
    if step % 20 == 0:
        history.append((step, v, js_of(density_of(generator))))
    if step % 200 == 0:
        print(f"step {step:4d}   V {v:.3f}   JS(p_d, p_g) {history[-1][2]:.4f}")
    generator_step(generator, judge, opt_g)

# %%
of_step, of_v, of_js = np.array(history).T
check.claim("V of two fresh networks", of_v[0], -1.386, tol=0.05)
check.claim("V at the end", of_v[-5:].mean(), -1.386, tol=0.01)
check.claim("JS of the fresh generator", of_js[0], 0.62, tol=0.05)
check.claim("JS at the end is below 0.01", of_js[-1] < 0.01)

# %% [markdown]
# Twice about $-1.386$! Two that have learned nothing and two that have learned everything have the
# same value. JS tells them apart: 0.62 nats at the start, of at most $\log 2$, and less than 0.01
# at the end. **The value of a GAN is not a loss curve**: it says how the two stand against each
# other.
#
# The film below is the figure of the GAN paper, from our own run: data in gray, the generator's law
# in green, the discriminator in blue, and, dashed, the best discriminator for that generator, by
# (9.9).


# %% tags=["figure"]
def moment(step):
    """Data, samples, D and D* at one step of the training."""
    q_now, d_now = album[step]
    p_now = p_d(centre)
    figure, axis = plt.subplots(figsize=(6, 3), layout="constrained")
    axis.fill_between(centre, p_now, color="black", alpha=0.25, lw=0, label="$p_d$")
    axis.plot(centre, np.minimum(q_now, 2), color="C2", ls="-", label="$p_g$")
    axis.plot(centre, d_now, color="C0", ls="-", label="$D$, learned")
    star = np.where(p_now + q_now > 1e-3, p_now / np.maximum(p_now + q_now, 1e-9), np.nan)
    axis.plot(centre, star, color="C1", ls="--", label="$D^*$")
    axis.set(xlim=(-4, 4), ylim=(0, 1.3), xlabel="x", ylabel="density; D")
    axis.set_title(f"step {step}: JS {js_of(q_now):.3f}")
    axis.legend(loc="upper right", ncols=2)
    return figure


figures.film(
    map(moment, album),
    "Film of the training: the green density of the samples starts as one narrow peak, is pushed "
    "about by the blue discriminator, splits in two and settles on the data, and the discriminator "
    "settles on a half.",
    colors=32,
)

# %% tags=["figure"]
figure, axis = plt.subplots(figsize=(7, 2.8), layout="constrained")
axis.plot(of_step, of_v, color="C0", ls="-", lw=1, label="V of the two players, one batch")
axis.plot(
    of_step, -np.log(4) + 2 * of_js, color="C1", label=r"$-\log 4 + 2$ JS, the value at $D^*$"
)
axis.axhline(-np.log(4), color="gray", lw=0.7, ls="-")
axis.set(xlabel="step of G", ylabel="value V, in nats", title="Both come to -log 4 = -1.386")
axis.legend()
figures.show(
    figure,
    "The value of the two players stays near minus 1.386 all the time; the value that the best "
    "discriminator would have starts near 0 and comes down to the same line.",
)

# %% [markdown]
# ### The trained D against D*
#
# Does a trained network reach $D^*$? Freeze a generator whose law we know,
# $\mathcal{N}(0.5, 0.9^2)$, and train only $D$. To take the luck of the batches out, let it see
# all of the line at once: (9.6) as a sum on a coarser grid.
#
# > **Predict, then run.** What has (9.11) to say of $V$ and the KL that is still missing, at every
# > step of this training? Which of the two does it raise, which does it lower?

# %%
line = np.linspace(-5, 5, 401)[:, None]
p_line, q_line = p_d(line), normal(line, 0.5, 0.9)
d_star = p_line / (p_line + q_line)
net = network()
optimizer = tg.optim.Adam(net.parameters(), lr=1e-2)
points, pw, qw = (tg.tensor(v * s) for v, s in ((line, 1), (p_line, 0.025), (q_line, 0.025)))
ceiling = 0.025 * (p_line * np.log(d_star) + q_line * np.log(1 - d_star)).sum()
told = []
for step in range(1201):
    a = net(points)
    v = -(pw * tg.softplus(-a) + qw * tg.softplus(a)).sum()
    optimizer.zero_grad()
    (-v).backward()
    if step % 300 == 0:
        d_now = tg.sigmoid(a).detach().numpy()
        missing = 0.025 * ((p_line + q_line) * coin_kl(d_star, d_now)).sum()
        worst = np.abs(d_now - d_star)[p_line > 0.02].max()  # where data are
        told.append((v.item(), missing, worst))
        print(f"step {step:4d}   V {v.item():.6f}   missing, by (9.11) {missing:.6f}   "
              f"max |D - D*| {worst:.3f}")  # fmt: skip
    optimizer.param_groups[0]["lr"] = 1e-2 * max(0.02, 1 - step / 1200)
    optimizer.step()

# %%
told = np.array(told)
check.claim("the value at D*, that is -log 4 + 2 JS", ceiling, "-1.1846")
check.equal("9.11", told[:, 0] + told[:, 1], ceiling)  # V and what is missing, five times
check.claim("missing at the start", told[0, 1], 0.19, tol=0.1)
check.claim("missing at the end: less than a thousandth of a nat", told[-1, 1] < 1e-3)
check.claim("D is then at most 0.02 away from D*", told[-1, 2] < 0.02)

# %% [markdown]
# In each line the value and the missing part add up to $-1.1846$, as (9.11) says. At the start 0.19
# nats are missing, at the end less than a thousandth, and $D$ is within 0.02 of $D^*$ wherever data
# are.
#
# ### The library's version
#
# In `tinygen.models.gan` a GAN is a row of a table: what $D$ and $G$ minimise, the best output of
# $D$, the integrand of the divergence. The row of this lesson is called `minimax`. It must give
# our numbers, and it does: same networks, same noise, same loss.

# %%
model = gan.GAN(network(), network(), "minimax", latent=1)
real = batch(64)
tg.manual_seed(5)
terms = model.discriminator_terms(real)
tg.manual_seed(5)
with tg.no_grad():
    by_hand = -V(model.D(real), model.D(model.G(noise(64))))
check.claim("D's loss: the library's over ours", terms["loss"] / by_hand, "1.00000")

row = gan.OBJECTIVES["minimax"]
check.equal("9.10", row.optimal(p_, q_), logit)
minimised = integral(row.divergence(p, q))
check.claim(f"what G minimises, {row.minimises}", minimised, "0.2017")
check.claim("over 2 JS", minimised / (2 * js(p, q)), "1.00000")

# %% [markdown]
# ## 5. What the discriminator is good for afterwards
#
# Turn (9.10) around. A trained discriminator *is* an estimate of how many times more probable $x$
# is among the data than among the samples:
#
# $$
# \frac{p_d(x)}{p_g(x)} = \frac{D^*(x)}{1 - D^*(x)} = e^{a^*(x)} \tag{9.18}
# $$
#
# Neither density alone can be had from it, only the ratio. That is enough for **importance
# weights**: give every *sample* the weight $e^{a^*(x)}$, and averages over samples become averages
# over data. For every function $h$
#
# $$
# \mathbb{E}_{x \sim p_g}\left[e^{a^*(x)} h(x)\right] = \mathbb{E}_{x \sim p_d}[h(x)] \tag{9.19}
# $$
#
# since $p_g \cdot p_d / p_g = p_d$. This needs $p_g \gt 0$ wherever $p_d h \neq 0$: data that the
# generator never makes get no weight. The left side of the first check uses the maximiser that
# Newton's method found; the second draws from $\mathcal{N}(0.5, 1.6^2)$, a generator broad enough
# to reach all of the data, and takes $h(x) = (x, x^2)$.

# %%
check.equal("9.18", np.exp(logit), p_ / q_, tol=1e-8)
moments = integral(p * np.stack([grid, grid**2]))
draws = rng.normal(0.5, 1.6, 400_000)
ratio = p_d(draws) / normal(draws, 0.5, 1.6)
check.mean("9.19", ratio[:, None] * np.stack([draws, draws**2], 1), moments)

# %% [markdown]
# > **Predict, then run.** The squares of the data have the mean 1.894, those of the samples of
# > $\mathcal{N}(0.5, 0.9^2)$ the mean 1.06. The network that we trained above never saw a density.
# > What does the mean of the *samples'* squares become with its weights $e^{a(x)}$?

# %%
draws = np.random.default_rng(1).normal(0.5, 0.9, 100_000)
with tg.no_grad():
    ratio = np.exp(net(tg.tensor(draws[:, None])).numpy().ravel())
check.claim("the mean of the weights", ratio.mean(), "1.0")
check.claim("of the data's squares", moments[1], "1.894")
check.claim("of the samples' squares", (draws**2).mean(), 1.06, tol=0.02)
check.claim("of these, weighted", (ratio * draws**2).mean(), 1.894, tol=0.02)

# %% [markdown]
# > **Predict, then run.** Now a narrow generator, $\mathcal{N}(0.5, 0.3^2)$. Its density is
# > positive everywhere, so (9.19) holds with the exact ratio. How near to 0 does a weighted average
# > of 100,000 samples come?

# %%
draws = np.random.default_rng(1).normal(0.5, 0.3, 100_000)
ratio = p_d(draws) / normal(draws, 0.5, 0.3)
weighted, count = (ratio * draws).mean() / ratio.mean(), ratio.sum() ** 2 / (ratio**2).sum()
check.claim("narrow: the weighted mean", weighted, "0.83")
check.claim("narrow: of 100,000 samples there count", count, "466")

# %% [markdown]
# Not near at all. Right on average and useless in practice: nearly all of the weight belongs to
# places that are reached once in a million draws. The effective number of samples,
# $(\sum w)^2 / \sum w^2$, is 466 of 100,000, and hardly one of these has seen the left bell: the
# weighted mean is 0.83. **A ratio repairs a generator that makes too much somewhere, not one that
# makes too little.**
#
# ## A bug from the wild: the generator's gradients stay in the discriminator
#
# PyTorch Lightning's GAN template, issue #557 (2019), and many home-made loops since: the
# discriminator's step does not begin with `zero_grad`. When $G$ takes its step, `backward` runs
# through $D$ and leaves gradients in $D$'s parameters as well. The next backward pass of $D$ *adds*
# to them.
#
# In the minimax game this is as bad as it can be. $G$'s loss is the second term of $V$, $D$'s
# loss is $-V$. The left-over therefore cancels the second term, up to noise: $D$ is trained on
# real examples alone, and learns to say "real" to everything. It is the slide from section 1, by
# accident.


# %%
def careless_step(generator, judge, optimizer):
    """The bug: like discriminator_step, but the gradients of before are not cleared."""
    with tg.no_grad():
        made = generator(noise())
    loss = -V(judge(batch()), judge(made))
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()  # clears its own, too early: the generator's backward comes after


def play(step_of_d, steps=150):
    """D against a generator that stands still; its mean output for data and for samples."""
    tg.manual_seed(1)
    g, d = network(), network()
    opt_g, opt_d = tg.optim.SGD(g.parameters(), lr=0.0), tg.optim.Adam(d.parameters(), lr=5e-3)
    for _ in range(steps):
        step_of_d(g, d, opt_d)
        generator_step(g, d, opt_g)
    with tg.no_grad():
        return [tg.sigmoid(d(x)).mean().item() for x in (batch(2000), g(noise(2000)))]


said = {}
for name, step_of_d in (("right", discriminator_step), ("careless", careless_step)):
    said[name] = play(step_of_d)
    print(f"{name:9s} mean D on data {said[name][0]:.2f}, on samples {said[name][1]:.2f}")
check.claim("right: D on data", said["right"][0], 0.94, tol=0.05)
check.claim("right: D on samples", said["right"][1], 0.06, tol=0.5)
check.claim("careless: D on data", said["careless"][0], "1.00")
check.claim("careless: D on samples", said["careless"][1], "1.00")

# %% [markdown]
# A check to keep: **the gradient with which $D$ steps is the gradient of $D$'s own loss**. Take one
# step of each player, then compare what stands in `.grad` with a fresh computation.


# %%
def leftover(clears):
    """How far D's gradient is from that of its own loss, after G has taken a step."""
    tg.manual_seed(2)
    g, d = network(), network()
    generator_step(g, d, tg.optim.SGD(g.parameters(), lr=1e-3))
    x, made = batch(), g(noise()).detach()
    if clears:
        d.zero_grad()
    (-V(d(x), d(made))).backward()
    fresh = tg.autograd.grad(-V(d(x), d(made)), list(d.parameters()))
    return max(abs(p.grad - f).max().item() for p, f in zip(d.parameters(), fresh))


check.claim("zero_grad first: the largest difference", leftover(True), "0.000")
check.claim("forgotten: the largest difference, caught", leftover(False), 0.56, tol=0.2)

# %% [markdown]
# ## Exercises
#
# ### Exercise 9.1
#
# Write `best(p, q, share)`: the best discriminator where the data have density `p` and the samples
# `q` (arrays), and a fraction `share` of what $D$ sees is real. What must it be where only one kind
# ever appears?


# %%
def best(p, q, share=0.5): ...


check.exercise("9.1", best)

# %% [markdown]
# ### Exercise 9.2
#
# Write `value(a_real, a_made)`: the value $V$ of a batch, from the *logits* of real examples and of
# samples (1-D arrays, perhaps of different lengths). It must survive logits of size 1000.


# %%
def value(a_real, a_made): ...


check.exercise("9.2", value)

# %% [markdown]
# ### Exercise 9.3
#
# A discriminator is at its best. You see only its outputs `d_real` on data and `d_made` on samples,
# probabilities. Write `divergence(d_real, d_made)`: the estimate of $\mathrm{JS}(p_d, p_g)$. Which
# number should come out when $D$ is at a loss everywhere, and which when it is always sure and
# right?


# %%
def divergence(d_real, d_made): ...


check.exercise("9.3", divergence)

# %% [markdown]
# ### Exercise 9.4
#
# Write `weigh(logits)`: weights for samples, from a trained discriminator's logits for them, that
# sum to 1 and make an average over samples estimate an average over data. Logits may be 1000:
# think about what may be subtracted from all logits without changing the weights.


# %%
def weigh(logits): ...


check.exercise("9.4", weigh)

# %% [markdown]
# ## What you can say now
#
# - A GAN trains a classifier of real against made; its value $V$ is minus twice the binary
#   cross-entropy.
# - $V$ is maximised point by point, by $D^* = p_d / (p_d + p_g)$: the fraction of real ones at $x$.
# - The best logit is the log-ratio of the densities, so a trained discriminator is an estimate of a
#   density ratio, and gives importance weights.
# - $V(D^*, G) = -\log 4 + 2\mathrm{JS}(p_d, p_g)$: against the best discriminator the generator
#   minimises the Jensen-Shannon divergence, without a density.
# - Against the best discriminator the value lies between $-\log 4$ (success) and 0 (no overlap),
#   where it is flat.
# - The gradient of the generator may treat $D$ as fixed, because $D^*$ is a maximum.
# - $V$ is no loss curve: $-1.386$ means that the two are level, nothing more.
# - $D(x)$ is the probability of a class under equal shares, not a likelihood and not a density.
#
# ## The full-size run
#
# First, without installing anything, play: [GAN Lab](https://poloclub.github.io/ganlab/) (Kahng et
# al. 2018) trains a GAN in the browser, on points that you draw, and shows $D$ as a heat map and
# the gradients that it sends to the samples.
#
# `python examples/gan.py --objective minimax` plays the same game in the plane (8 bells on a ring;
# samples, the discriminator's field and an animation are written into `runs/gan`). What such runs
# gave, five seeds each with a small budget, stands in `benchmarks/results/gan/gan-toys.md`: with
# the minimax loss all 8 modes of the ring in every seed (57 % of samples within three standard
# deviations), and 21.0 of the 25 modes of the grid, standard error 1.6 (2500 points of a single
# Gaussian touch 18).
#
# ## Further reading
#
# - I. Goodfellow, J. Pouget-Abadie, M. Mirza, B. Xu, D. Warde-Farley, S. Ozair, A. Courville,
#   Y. Bengio, *Generative Adversarial Nets*, 2014 (arXiv:1406.2661). Sections 2 to 4 of this
#   lesson.
# - I. Goodfellow, *NIPS 2016 Tutorial: Generative Adversarial Networks*, 2016 (arXiv:1701.00160).
# - J. Lin, *Divergence Measures Based on the Shannon Entropy*, IEEE Transactions on Information
#   Theory 37, 1991. The Jensen-Shannon divergence and its bounds.
# - S. Nowozin, B. Cseke, R. Tomioka, *f-GAN: Training Generative Neural Samplers using Variational
#   Divergence Minimization*, 2016 (arXiv:1606.00709). The same game for other divergences.
# - M. Kahng, N. Thorat, D. Chau, F. Viégas, M. Wattenberg, *GAN Lab: Understanding Complex Deep
#   Generative Models using Interactive Visual Experimentation*, 2018 (arXiv:1809.01587).
# - M. Sugiyama, T. Suzuki, T. Kanamori, *Density Ratio Estimation in Machine Learning*, 2012.
