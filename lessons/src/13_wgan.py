# %% [markdown]
# # Lesson 13: WGAN with weight clipping
#
# > **Question.** Two laws that do not overlap are all equally far apart for the Jensen-Shannon
# > divergence. Is there a distance that knows *how* far, and can a network be made to measure it?
#
# At the end you can compute the Wasserstein distance $W_1$ in three ways, prove that a function
# with slope at most 1 can measure it, bound the slope of a network by its weights, train a
# generator with such a network, and say what weight clipping costs.
#
# **You need** lesson 9 (what a discriminator measures) and lesson 10 (why its gradient vanishes).
# **Time**: an hour and a half, the exercises another half; to run, half a minute.
# **You may skip**, on a first reading, the proofs of section 2: what is used later is what (13.13),
# (13.17) and (13.19) say. Lesson 14 replaces the clipping by a penalty.
#
# The data lie on one line, the samples on a parallel one at distance $\theta$. JS, blue, calls them
# as different as can be at every $\theta$ except 0: it has no slope to follow. The other curve is
# the **least work of carrying the samples to the data**. It has a slope everywhere, and it points
# home.

# %%
import itertools
from statistics import NormalDist

import matplotlib.pyplot as plt
import numpy as np

import tinygen as tg
from tinygen import metrics, nn
from tinygen.lessons import check, figures
from tinygen.models import gan

figures.style()
rng = np.random.default_rng(13)


def js_in_boxes(x, y, side=0.1):
    """JS between two clouds of points (n, 2): counts in little boxes."""
    low = np.floor(np.concatenate([x, y]).min(0) / side - 1) * side
    edges = [low[k] + side * np.arange(200) for k in range(2)]
    p, q = (np.histogramdd(v, edges)[0] / len(v) for v in (x, y))
    m = (p + q) / 2
    return 0.5 * sum((r[r > 0] * np.log(r[r > 0] / m[r > 0])).sum() for r in (p, q))


def distance(x, y):
    """|x_i - y_j| for all pairs."""
    return np.sqrt(((x[:, None] - y) ** 2).sum(2))


line = np.stack([np.zeros(20), (np.arange(20) + 0.5) / 20], 1)  # 20 points of {0} x [0, 1]


def both(theta):
    """W1 and JS between the data and the samples at theta."""
    samples = line + [theta, 0]
    return metrics.optimal_transport(distance(line, samples)).cost, js_in_boxes(line, samples)


# %% tags=["figure"]
thetas = np.linspace(-2, 2, 41)
figure, (left, right) = plt.subplots(1, 2, figsize=(6.8, 3), layout="constrained")
left.plot(*line.T, "k.", label="data")
left.plot(*(line + [1.3, 0]).T, ".", color="C2", label="samples")
left.annotate("", (1.3, 0.5), (0, 0.5), arrowprops={"arrowstyle": "<->"})
left.text(0.6, 0.55, r"$\theta$", fontsize=12)
left.set(title="Two parallel lines, never touching", xlim=(-0.5, 2.4), xlabel="x", ylabel="y")
left.legend(loc="center right")
w1, js = np.array([both(theta) for theta in thetas]).T
right.plot(thetas, js, color="C0", ls="-", marker=".", label="JS: log 2, or 0")
right.plot(
    thetas, w1, color="C1", ls="-", marker="x", ms=4, label=r"$W_1$: the distance $|\theta|$"
)
right.set(xlabel=r"$\theta$", ylabel="nats; units of x", title="Which of them tells where to go?")
right.legend(loc="upper center")
figures.show(
    figure,
    "Left, data and samples on two parallel lines. Right, JS is flat at log 2 except for a single "
    "point at 0, while W1 is a V with its tip at 0.",
)

# %% [markdown]
# Images are like this. They fill thin sheets in a space of very many dimensions, and two thin
# sheets hardly ever overlap (Arjovsky and Bottou 2017). So a GAN starts on the flat part.
#
# ## 1. Work: the primal problem
#
# Think of $p$ as heaps of earth at points $x_i$, with masses $p_i$, and of $q$ as holes at points
# $y_j$, with sizes $q_j$. A **plan** says how much goes from where to where: $\gamma_{ij} \ge 0$
# from $x_i$ to $y_j$. Every heap must go, $\sum_j \gamma_{ij} = p_i$, and every hole be filled,
# $\sum_i \gamma_{ij} = q_j$. The work is mass times distance. The **Wasserstein distance**, also
# called earth mover's distance, is the least work:
#
# $$
# W_1(p, q) = \min_{\gamma} \sum_{i,j} \gamma_{ij} \vert x_i - y_j \vert \tag{13.1}
# $$
#
# The work and the rules are linear in $\gamma$, so this is a *linear program*, and the library
# has a solver for small ones. For an independent check take $n$ heaps and $n$ holes of equal
# mass: then some best plan carries each heap as a whole to one hole (Birkhoff 1946), and one can
# try all $n!$ ways.

# %%
x, y = rng.normal(0, 1, (7, 2)), rng.normal(1, 1, (7, 2))
cost = distance(x, y)
everyone = [cost[range(7), order].mean() for order in itertools.permutations(range(7))]
check.equal("13.1", min(everyone), metrics.optimal_transport(cost).cost)
print(f"{len(everyone)} ways: best {min(everyone):.4f}, average {np.mean(everyone):.4f}, "
      f"worst {max(everyone):.4f}")  # fmt: skip

# %% [markdown]
# ### On a line: sort
#
# On a line nobody needs a solver. Take two heaps $a \le b$ and two holes $c \le d$. Paths that
# cross are never shorter than paths that do not:
#
# $$
# \vert a - c \vert + \vert b - d \vert \le \vert a - d \vert + \vert b - c \vert \tag{13.2}
# $$
#
# (draw the six orders in which the four can stand; where both holes lie beyond both heaps, the two
# sides are equal). So uncross all pairs: the smallest goes to the
# smallest, the second to the second, and so on. With $x_{(i)}$ for the $i$-th smallest,
#
# $$
# W_1 = \frac{1}{n} \sum_{i=1}^n \vert x_{(i)} - y_{(i)} \vert \tag{13.3}
# $$
#
# There is another way to see it. Stand at a point $t$ of the line. To the left of $t$ there is
# $F_p(t)$ of earth, and there is room for $F_q(t)$; the difference has to be carried past $t$. Sum
# over all $t$:
#
# $$
# W_1(p, q) = \int \vert F_p(t) - F_q(t) \vert dt \tag{13.4}
# $$
#
# with $F$ the cumulative distribution function. This holds for unequal numbers of points as well.

# %%
ab, cd = np.sort(rng.normal(size=(2, 1000, 2)), axis=2)
(a, b), (c, d) = ab.T, cd.T
straight, crossed, beyond = abs(a - c) + abs(b - d), abs(a - d) + abs(b - c), b <= c
check.at_most("13.2", straight, crossed, attained=(straight[beyond], crossed[beyond]))
check.claim("crossing costs up to, at these 1000", (crossed - straight).max(), "6.71")

x, y = rng.normal(0, 1, 15), rng.normal(0.5, 2, 15)
check.equal("13.3", metrics.optimal_transport(abs(x[:, None] - y)).cost,
            abs(np.sort(x) - np.sort(y)).mean())  # fmt: skip

x, y = rng.normal(0, 1, 12), rng.normal(0.5, 2, 17)
points = np.sort(np.concatenate([x, y]))  # F_p and F_q are constant between these
F_p, F_q = ((v[:, None] <= points[:-1]).mean(0) for v in (x, y))
carried = (abs(F_p - F_q) * np.diff(points)).sum()
check.equal("13.4", metrics.optimal_transport(abs(x[:, None] - y)).cost, carried)
check.claim("the library's wasserstein_1d", metrics.wasserstein_1d(x, y), "1.522")

# %% [markdown]
# ### The two lines, exactly
#
# Now the opening picture. Take the samples on the line at $\theta \ne 0$. No point belongs to
# both, so $m = (p + q)/2$ is $p/2$ on the data and $q/2$ on the samples, every ratio is 2, and
#
# $$
# \mathrm{JS}(p_d, p_\theta) = \log 2 \tag{13.5}
# $$
#
# For $W_1$: every point must move by at least $\vert\theta\vert$, since that is the distance of the
# lines, and moving straight across does it with no more:
#
# $$
# W_1(p_d, p_\theta) = \vert \theta \vert \tag{13.6}
# $$
#
# So the slopes, which are all that a generator ever gets, are for $\theta \gt 0$
#
# $$
# \frac{d W_1}{d \theta} = 1 \quad \text{and} \quad \frac{d \mathrm{JS}}{d \theta} = 0 \tag{13.7}
# $$

# %%
thetas = np.array([-2.0, -0.7, -0.1, 0.0, 0.1, 0.7, 2.0])
w1, js = np.array([both(theta) for theta in thetas]).T
check.equal("13.5", js, np.where(thetas == 0, 0.0, np.log(2)))
check.equal("13.6", w1, abs(thetas))
check.equal("13.7", (np.array(both(1.01)) - both(0.99)) / 0.02, [1.0, 0.0])

# %% [markdown]
# ### Fix the slide: a value of 1
#
# On this example the notes comment:
#
# > You can get gradients even if this two distributions do no match. Here we would have a 1 W value
# > indicating the distributions do not match at all.
#
# 1 is not the end of a scale. $W_1$ is a distance **in the units of the data** and has no upper
# bound. The 1 belongs to a picture with two lines one unit apart. JS is the one that has a
# maximum.
#
# > **Predict, then run.** What is $W_1$ of a sample and the same sample moved by 5? By 1, with
# > everything written in hundredths of the unit? And of two *wide* laws, of standard deviation 10,
# > that are 1 apart and overlap almost everywhere?

# %%
sample = rng.normal(0, 1, 2000)
for text, std, shift in (("one unit apart", 1, "1.0"), ("five units apart", 1, "5.0"),
                         ("one unit apart, in hundredths", 100, "100.0"),
                         ("two wide laws", 10, "1.0")):  # fmt: skip
    x = std * sample
    y = x + float(shift)
    check.claim(f"E16: {text}, W1", metrics.wasserstein_1d(x, y), shift)
    check.claim(f"E16: {text}, difference of the means", y.mean() - x.mean(), shift)
    check.claim(f"E16: {text}, std", x.std(), std, tol=0.05)

# %% [markdown]
# ### Fix the slide: which Wasserstein distance
#
# The notes define
#
# > W(p,q)² = ∫ ‖x − T_{p→q}(x)‖² p(x) dx
#
# (read through the scan of `W(p,q)* = / dx||x — Tp—q(x)||*p(x)`) and, on the next slide,
# "simplify" it by the Kantorovich-Rubinstein duality that we are about to prove. But this is
# another distance, $W_2$ (and only if $T$ is the *best* map; no other map gives less). With
# squared distances as costs,
#
# $$
# W_2(p, q)^2 = \min_{\gamma} \sum_{i,j} \gamma_{ij} \vert x_i - y_j \vert^2 \tag{13.8}
# $$
#
# It is never smaller: the mean of distances is at most the root of the mean of their squares, for
# the plan that is best for the squares, and $W_1$ may choose a better plan still.
#
# $$
# W_1(p, q) \le W_2(p, q) \tag{13.9}
# $$
#
# The two agree only when everything moves equally far. The duality below belongs to $W_1$ alone.
# On a line sorting is the best for the squares too, so (13.8) has a check by hand.
#
# > **Predict, then run.** Twelve samples lie on the data, up to a little noise; then one of them is
# > put at 6. About how large are $W_1$ and $W_2$, and which of them can a function of slope 1 see?


# %%
def wasserstein(x, y, order):
    """W1 or W2 of two samples on a line, by the linear program."""
    return metrics.optimal_transport(abs(x[:, None] - y) ** order).cost ** (1 / order)


x, y = rng.normal(0, 0.3, (2, 12))
y[0] = 6.0  # one sample far away
W1, W2 = wasserstein(x, y, 1), wasserstein(x, y, 2)
check.equal("13.8", W2**2, ((np.sort(x) - np.sort(y)) ** 2).mean())
everything_moves = wasserstein(x, x + 3, 1), wasserstein(x, x + 3, 2)
check.at_most("13.9", W1, W2, attained=everything_moves)
check.claim("E3: W1", W1, "0.561")
check.claim("E3: W2", W2, "1.608")
backwards = ((np.sort(x) - np.sort(y)[::-1]) ** 2).mean() ** 0.5
check.claim("E3: with a map T that is not the best", backwards, "2.001")
above = np.maximum(y, 0.0).mean() - np.maximum(x, 0.0).mean()  # f(v) = max(v, 0), of slope 1
check.claim("E3: what f sees", above, "0.510")

# %% [markdown]
# $W_1 = 0.561$ is about 6/12: one sample in twelve has to go 6 far. $W_2 = 1.608$ is about
# $6 / \sqrt{12}$, and a map that is not the best gives 2.001. The function of slope 1 sees 0.510,
# nearly $W_1$ and nowhere near $W_2$.
#
# ## 2. Prices: the dual problem
#
# A linear program has a twin. Suppose a haulier takes a load away at $x$ for a fee $f(x)$ and pays
# $f(y)$ back on setting it down at $y$. In all the haulier earns
# $\mathbb{E}_p[f] - \mathbb{E}_q[f]$, and there is no plan in it. If no trip costs more than its
# distance, hiring never costs more than carrying. For *any* plan $\gamma$, rows sum to $p$ and
# columns to $q$, so
#
# $$
# \mathbb{E}_{x \sim p}[f(x)] - \mathbb{E}_{y \sim q}[f(y)] =
# \sum_{i,j} \gamma_{ij} (f(x_i) - f(y_j)) \tag{13.10}
# $$
#
# Now let $f$ be **1-Lipschitz**: its slope between any two points is at most 1,
# $\vert f(x) - f(y) \vert \le \vert x - y \vert$. Then every bracket is at most the distance:
#
# $$
# \mathbb{E}_{x \sim p}[f(x)] - \mathbb{E}_{y \sim q}[f(y)] \le
# \sum_{i,j} \gamma_{ij} \vert x_i - y_j \vert \tag{13.11}
# $$
#
# The left side knows no plan, the right side knows no $f$. **Whatever $f$ you take and whatever
# plan I take, yours is not above mine.** So the best $f$ is not above the best plan, which is
# $W_1$. That is *weak duality*, and the proof was two lines.
#
# The check takes random masses, two plans that fit them (the best one, and that mixed with the
# product plan) and 100 random functions of slope at most 1, to which we add one that is made from
# the solution of the linear program; how, is said below.
#
# > **Predict, then run.** How near to $W_1$ does the best of 100 random functions come?

# %%
n, m = 9, 12
x, y = rng.normal(0, 1, (n, 2)), rng.normal(0.7, 1.2, (m, 2))
p, q = rng.dirichlet(np.ones(n)), rng.dirichlet(np.ones(m))
cost = distance(x, y)
best = metrics.optimal_transport(cost, p, q)


def random_function():
    """A function on the plane of slope at most 1: a smallest of distances with offsets."""
    centres, offsets = rng.normal(0, 2, (6, 2)), rng.normal(0, 1, 6)
    sign = rng.choice([-1.0, 1.0])
    return lambda v: sign * (distance(v, centres) + offsets).min(1)


def best_critic(z):
    """The one from the linear program, (13.12)."""
    return (distance(z, y) - best.v).min(1)


functions = [best_critic, *(random_function() for _ in range(100))]

# %%
gaps = np.array([p @ f(x) - q @ f(y) for f in functions])
gamma = 0.3 * best.plan + 0.7 * np.outer(p, q)  # a plan, not the best
check.equal("13.10", gaps, [(gamma * (f(x)[:, None] - f(y))).sum() for f in functions])
works = np.array([(best.plan * cost).sum(), (gamma * cost).sum()])
share = gaps / works[:, None]  # of every function under every plan
check.equal("13.11", share.max(), 1.0)  # never above 1, and reached by the best of both
check.claim("best of 100 random functions", gaps[1:].max(), "0.794")
check.claim("best plan", works[0], "0.976")
check.claim("the other plan", works[1], "1.434")

# %% [markdown]
# The best of 100 random functions reaches 0.794 of 0.976. Is there an $f$ that reaches the top? The
# solver of the linear program returns, besides the plan, a certificate: numbers $u_i$, $v_j$ with
# $u_i + v_j \le \vert x_i - y_j \vert$ everywhere, and $\sum_i p_i u_i + \sum_j q_j v_j = W_1$
# (that there always is one is the duality theorem of linear programs). Out of them we build a
# function on *all* of space,
#
# $$
# f^*(z) = \min_j \left( \vert z - y_j \vert - v_j \right) \tag{13.12}
# $$
#
# It is 1-Lipschitz, as a smallest of functions of slope 1. At a heap, $f^*(x_i) \ge u_i$, by the
# inequality on the certificate. At a hole, $f^*(y_j) \le -v_j$: take that $j$. Hence
# $\mathbb{E}_p f^* - \mathbb{E}_q f^* \ge \sum p_i u_i + \sum q_j v_j = W_1$. With weak duality it
# cannot be more (so both inequalities are equalities, wherever there is mass). We have proved, for
# any heaps and holes,
#
# $$
# W_1(p, q) = \max_{\Vert f \Vert_L \le 1}
# \left( \mathbb{E}_{x \sim p}[f(x)] - \mathbb{E}_{y \sim q}[f(y)] \right) \tag{13.13}
# $$
#
# where $\Vert f \Vert_L$ is the largest slope of $f$. A best $f$ is called a **critic**: high where
# the data are, low where the samples are, and nowhere steeper than 1.
#
# **And for laws that are no finite heaps?** Let $p$ and $q$ be any laws with a finite
# $\mathbb{E}\vert x \vert$, and $W_1$ the least $\mathbb{E}\vert x - y \vert$ of all pairs $(x, y)$
# with these laws. The two lines of (13.10) and (13.11) hold with integrals in place of sums: no $f$
# is above any plan. Now replace $p$ (and $q$ likewise) by finitely many points $p_n$, by moving
# each $x$ to the nearest one of a finite grid. That costs as little work as we like: near the
# origin because the grid is fine, far out because $\mathbb{E}\vert x \vert$ is finite. Both sides
# of (13.13) then change by at most that work: the left by the triangle inequality for distances,
# the right since, by weak duality, no $\mathbb{E}_p f - \mathbb{E}_{p_n} f$ exceeds $W_1(p, p_n)$.
# The two sides agree for points, so they differ by less than any number for laws. (The right side
# is then a supremum; that it is reached, too, takes one more argument.) This is the theorem of
# **Kantorovich and Rubinstein** (1958). The last check of the cell does this to two bells: 400
# points each, at their quantiles.

# %%
# (13.12) says three things: the slope, and what happens at heaps and at holes.
spots = np.concatenate([rng.normal(0, 3, (200, 2)), y])
rise, apart = abs(best_critic(spots)[:, None] - best_critic(spots)), distance(spots, spots)
check.equal("13.12", (rise[apart > 0] / apart[apart > 0]).max(), 1.0)  # never more, and reached
check.equal("13.12", best_critic(x), best.u)
check.equal("13.12", best_critic(y), -best.v)
reached = p @ best_critic(x) - q @ best_critic(y)
check.equal("13.13", best.cost, reached)


def quantiles(law):
    """400 points of equal mass."""
    return np.array([law.inv_cdf((k + 0.5) / 400) for k in range(400)])


p_law, q_law = NormalDist(0, 1), NormalDist(1, 2)
t = np.linspace(-12, 12, 24_001)
F_p, F_q = (np.array([law.cdf(v) for v in t]) for law in (p_law, q_law))
of_laws = abs(F_p - F_q).sum() * 0.001  # (13.4)
of_points = metrics.wasserstein_1d(quantiles(p_law), quantiles(q_law))
check.claim("W1 of two bells", of_laws, "1.167")
check.claim("of 400 points each", of_points, "1.166")

# %% [markdown]
# ### Fix the slide: how likely
#
# A deck introduces the critic as
#
# > We want a function that can tell us how likely it is an image came from the real distribution,
# > but not have vanishing gradients
#
# and goes on, rightly, that a critic returns a score and no probability. But the score does not
# tell how likely an image is, either. Only *differences* of a critic count: $f + c$ has the same
# gap and the same slope.
#
# > **Predict, then run.** Data $\mathcal{N}(0, 1)$, samples $\mathcal{N}(3, 1)$. Everything has to
# > move by 3 to the left, and the best critic is $f(x) = -x$. Which image does it find better, 0 or
# > $-10$, and how much likelier is the one than the other among the data?

# %%
normal = NormalDist(0, 1)
data, samples = quantiles(normal), quantiles(NormalDist(3, 1))
for constant in (0.0, 1000.0):
    f = lambda v, constant=constant: constant - v  # noqa: E731
    check.claim(f"E55: gap of {constant:.0f} - x", f(data).mean() - f(samples).mean(), "3.00")
check.claim("E55: W1", metrics.wasserstein_1d(data, samples), "3.00")
check.claim("E55: the critic at -10 and at 0 differ by", f(-10.0) - f(0.0), "10")
check.claim(
    "E55: density at -10 over that at 0, power of ten",
    np.log10(normal.pdf(-10.0) / normal.pdf(0.0)),
    "-21.7",
)

# %% [markdown]
# The critic prefers $-10$ by ten units, and there the data are $10^{21.7}$ times
# rarer. A critic says in which direction the data lie, seen from the samples. It is no density.

# %% [markdown]
# ### On a line the best critic is easy to draw
#
# Integrate by parts: $\int f dF_p - \int f dF_q$ becomes
#
# $$
# \mathbb{E}_{x \sim p}[f(x)] - \mathbb{E}_{y \sim q}[f(y)] =
# \int f'(t) \left( F_q(t) - F_p(t) \right) dt \tag{13.14}
# $$
#
# To make that large with $\vert f' \vert \le 1$, take $f' = 1$ where $F_q \gt F_p$ and $-1$ where
# it is smaller. The value is then $\int \vert F_q - F_p \vert dt$: (13.4) again. So on a line we
# have proved the whole duality by hand, and we see what an ideal critic looks like: **a zigzag of
# slope one, not a step**. The discriminator's $D^*$ in comparison saturates.

# %%
x_, y_ = rng.normal(0, 1, 12), rng.normal(1, 2, 17)
points = np.sort(np.concatenate([x_, y_]))
F_p, F_q = ((v[:, None] <= points[:-1]).mean(0) for v in (x_, y_))
nodes, weights = np.polynomial.legendre.leggauss(20)  # Gauss's rule, on each interval
inside = points[:-1, None] + np.diff(points)[:, None] * (nodes + 1) / 2
slope = 1.3 * np.cos(1.3 * inside) + 0.4 * inside  # f' of the f below
per_interval = (slope * weights).sum(1) * np.diff(points) / 2
f = lambda v: np.sin(1.3 * v) + 0.2 * v**2  # noqa: E731
check.equal("13.14", f(x_).mean() - f(y_).mean(), (per_interval * (F_q - F_p)).sum())


# %%
def bell(mean, std):
    return np.exp(-0.5 * ((t - mean) / std) ** 2) / (std * np.sqrt(2 * np.pi))


def zigzag(p_g):
    """The best critic of p_d against p_g, on the grid t."""
    return np.cumsum(np.sign(np.cumsum(p_g) - np.cumsum(p_d))) * 0.001


p_d = 0.4 * bell(-2, 0.4) + 0.6 * bell(1.5, 0.7)
check.claim("the integral of p_d", p_d.sum() * 0.001, "1.000")
for mean, std, said in ((4.5, 0.5, "4.40"), (-0.2, 0.6, "1.28")):
    p_g = bell(mean, std)
    gap = (zigzag(p_g) * (p_d - p_g)).sum() * 0.001
    check.claim(f"samples at {mean}: the zigzag's gap", gap, said)
    check.claim(f"samples at {mean}: W1, by (13.4)", abs(np.cumsum(p_d - p_g)).sum() * 1e-6, said)
D_star = p_d / (p_d + bell(4.5, 0.5))
among = abs(t - 4.5) < 1.0  # where nearly all of the far samples are
flat, steep = (np.gradient(v, t)[among].mean() for v in (D_star, zigzag(bell(4.5, 0.5))))
check.claim("mean slope of D* at the far samples", flat, "-0.025")
check.claim("of the best critic there", steep, "-1.00")

# %% tags=["figure"]
figure, axes = plt.subplots(1, 2, figsize=(6.8, 3.2), sharey=True, layout="constrained")
for axis, p_g in zip(axes, (bell(4.5, 0.5), bell(-0.2, 0.6))):
    critic = zigzag(p_g)
    axis.fill_between(t, 3 * p_d, color="black", alpha=0.25, lw=0, label="$p_d$ (times 3)")
    axis.fill_between(t, 3 * p_g, color="C2", alpha=0.5, lw=0, label="$p_g$ (times 3)")
    centred = critic - critic[np.abs(t) < 5].mean()
    axis.plot(t, centred, color="C1", ls="-", label="best critic")
    d = p_d / (p_d + p_g + 1e-300)
    axis.plot(t, d, color="C0", ls="--", label="best discriminator $D^*$")
    axis.set(xlim=(-5, 6), ylim=(-5, 5), xlabel="x")
axes[0].set_ylabel("score; D; density")
axes[0].set_title("D* is flat at far samples")
axes[1].set_title("a zigzag of slopes 1 and -1")
handles, labels = axes[0].get_legend_handles_labels()
figure.legend(handles, labels, loc="outside lower center", ncols=4)
figures.show(
    figure,
    "Two bells of data, the samples right of both or between them. The best discriminator is "
    "a step that is flat at the samples; the best critic falls or rises with slope 1 everywhere.",
)

# %% [markdown]
# ### What the generator gets
#
# Let $G_\theta(z)$ make the samples. The best critic depends on $\theta$, but as in lesson 9 it
# is a maximum, so to first order its change does not count. The generator may treat it as fixed:
#
# $$
# \nabla_\theta W_1(p_d, p_\theta) =
# -\nabla_\theta \mathbb{E}_{z}\left[f^*(G_\theta(z))\right] \tag{13.15}
# $$
#
# with $f^*$ held still on the right. (For any best critic $f^*$, wherever both sides exist. $W_1$
# has a kink for instance where a sample sits exactly on a data point.) In the check
# $G_\theta(z) = \theta_0 + \theta_1 z$; on the left the tape differentiates the sorted formula
# (13.3), on the right it pushes the slopes of the best critic through $G$.

# %%
z = rng.normal(size=40)
data = np.sort(rng.normal(-0.6, 1.5, 40))
theta = tg.tensor([-1.0, 0.8], dtype=tg.float64, requires_grad=True)
made = theta[0] + theta[1] * tg.tensor(np.sort(z))  # already sorted, as theta_1 > 0
distance_now = tg.abs(made - tg.tensor(data)).mean()
(left,) = tg.autograd.grad(distance_now, [theta], retain_graph=True)

samples = made.detach().numpy()
# At a jump f* may bend; its slope in the middle of the jump is the one that counts.
F_g = (np.arange(40) + 0.5) / 40  # at the sorted samples, in the middle of each jump
F_d = (data[:, None] < samples).mean(0)
slopes = np.sign(F_g - F_d)  # the best critic's f' at each sample, by (13.14)
(right,) = tg.autograd.grad(-(tg.tensor(slopes) * made).mean(), [theta])
check.equal("13.15", left, right)
check.claim("W1 now", distance_now, "0.779")
check.claim("samples that are told to move right", (slopes > 0).sum(), "33")
check.claim("samples that are told to move left", (slopes < 0).sum(), "7")

# %% [markdown]
# ## 3. How steep is a network?
#
# We want a network for $f$. It can be any function, so we must keep its slope in bounds. If we only
# manage a bound $K$ instead of 1, then $f/K$ has slope at most 1, and
#
# $$
# \mathbb{E}_{x \sim p}[f(x)] - \mathbb{E}_{y \sim q}[f(y)] \le K W_1(p, q) \tag{13.16}
# $$
#
# for every $f$ with $\Vert f \Vert_L \le K$, and the best such $f$ reaches it. So the critic's gap
# estimates $K W_1$, **in units that we do not know unless we know $K$**.
#
# What is the slope of a network? A linear layer $x \mapsto W x$ stretches a vector by at most its
# largest singular value $\Vert W \Vert_2$. ReLU and tanh have slopes at most 1. Slopes of a chain
# multiply:
#
# $$
# K \le \prod_l \Vert W_l \Vert_2 \tag{13.17}
# $$


# %%
def network(*sizes, activation=nn.ReLU):
    """Linear layers of these sizes with an activation between."""
    layers = []
    for n_in, n_out in zip(sizes, sizes[1:]):
        layers += [nn.Linear(n_in, n_out), activation()]
    return nn.Sequential(*layers[:-1])


def matrices(net):
    return [w.detach().numpy() for w in net.parameters() if w.ndim == 2]


def slope_of(net, x, y):
    """The steepest slope of a network between any two of the points: K is at least this."""
    with tg.no_grad():
        return metrics.critic_slope(net, x, y)


# %%
tg.manual_seed(0)
# Both are reached: (13.16) by a multiple of the best critic, (13.17) by one linear layer along its
# row. They come first in the lists.
layer = nn.Linear(2, 1).to(tg.float64)
row = layer.weight.detach()
ratios, bounds = [slope_of(layer, tg.zeros_like(row), row)], [np.linalg.norm(row.numpy())]
net_gaps, limits = [3 * reached], [3 * best.cost]
for _ in range(20):
    net = network(2, 16, 16, 1).to(tg.float64)
    a, b = tg.randn(2, 30, 2, dtype=tg.float64)
    ratios.append(slope_of(net, a, b))
    bounds.append(np.prod([np.linalg.norm(w, 2) for w in matrices(net)]))
    net_gaps.append(((net(a) + 100).mean() - (net(b) + 100).mean()).item())  # constants cancel
    w1 = metrics.optimal_transport(distance(a.numpy(), b.numpy())).cost
    limits.append(bounds[-1] * w1)
check.equal("13.16", np.max(np.abs(net_gaps) / limits), 1.0)  # never above 1
check.equal("13.17", np.min(np.array(bounds) / ratios), 1.0)  # never below 1
check.claim("20 nets, on average: steepest slope found", np.mean(ratios[1:]), "0.148")
check.claim("20 nets, on average: bound", np.mean(bounds[1:]), "1.045")
check.claim("20 nets, on average: K W1", np.mean(limits[1:]), "0.645")

# %% [markdown]
# ### Weight clipping
#
# Arjovsky, Chintala and Bottou (2017) took the simplest way to bound the slope: after every step,
# cut every weight back into $[-c, c]$. Then a matrix with $m$ rows and $n$ columns has
#
# $$
# \Vert W \Vert_2 \le \Vert W \Vert_F \le c \sqrt{m n} \tag{13.18}
# $$
#
# because the sum of all squared singular values is the sum of all squared entries, $mn$ of them,
# each at most $c^2$. Layer by layer, with sizes $n_0, n_1, \dots, n_L$:
#
# $$
# K \le \prod_{l=1}^L c \sqrt{n_{l-1} n_l} \tag{13.19}
# $$
#
# For the critic of a well-known toy experiment (sizes 2, 512, 512, 512, 1 and $c = 0.01$;
# Gulrajani et al. 2017) that is $0.32 \cdot 5.12 \cdot 5.12 \cdot 0.226 = 1.898$. And the bound
# is **reached**: set every weight and bias to $+c$ and take an $x \gt 0$, so that all ReLUs are
# open. Then each matrix is $c$ times a matrix of ones, whose only singular value is $c\sqrt{mn}$,
# and the network is near this $x$ a linear function of exactly that slope.
#
# > **Predict, then run.** How does the bound of this critic change when $c$ is ten times as large?
# > And what is it for the sizes 1, 64, 64, 1 with $c = 0.01$, more or less than 1?


# %%
def bound(sizes, c):
    """The right side of (13.19)."""
    return np.prod([c * np.sqrt(m * n) for m, n in zip(sizes, sizes[1:])])


# A random matrix keeps well below both bounds of (13.18), one with all entries c reaches them.
norms = []
for W in (rng.uniform(-0.01, 0.01, (30, 50)), np.full((30, 50), 0.01)):
    norms.append((np.linalg.norm(W, 2), np.linalg.norm(W), bound(W.shape, 0.01)))
smaller, larger = np.array(norms)[:, :2], np.array(norms)[:, 1:]
check.equal("13.18", (larger / smaller).min(0), [1.0, 1.0])  # neither is ever below 1
check.claim("largest singular value of the random one", norms[0][0], "0.066")
check.claim("root of the sum of its squares", norms[0][1], "0.222")
check.claim("the bound", norms[0][2], "0.387")

sizes = (2, 512, 512, 512, 1)
steepest = network(*sizes).to(tg.float64)
for w in steepest.parameters():  # weights and biases c: at x > 0 every ReLU is open
    w.data = tg.ones_like(w) * 0.01
point = tg.ones(1, 2, dtype=tg.float64, requires_grad=True)
(slope,) = tg.autograd.grad(steepest(point).sum(), [point])
check.equal("13.19", np.linalg.norm(slope.numpy()), bound(sizes, 0.01))
check.claim("this critic, c = 0.01: K <=", bound(sizes, 0.01), "1.898")
check.claim("this critic, c = 0.1: K <=", bound(sizes, 0.1), "18981")
check.claim("1-64-64-1, c = 0.01: K <=", bound((1, 64, 64, 1), 0.01), "0.0041")
check.claim("1-64-64-1, c = 0.1: K <=", bound((1, 64, 64, 1), 0.1), "4.096")

# %% [markdown]
# The table is a warning: $K$ depends on $c$ to the power of the number of layers. Ten
# times the $c$ is ten thousand times the slope in four layers; and 0.0041 is next to nothing. The
# same $c$ that suits one network stifles another, and the gap of one critic cannot be compared with
# that of another.
#
# ### Fix the slide: what is clipped
#
# > There are fancy ways to do this (i.e., spectral normalization), but what if just clip the
# > gradient
# >
# > If the gradient is larger than 1, just clip the value to be 1.
# >
# > tf.clip_by_value(grads, -1, 1)
#
# Two gradients are mixed up. The slope in question is that of $f$ in its *input*, $\nabla_x f$. The
# line of code clips the gradient in the *parameters*. That makes each step of training shorter and
# bounds nothing: enough short steps go anywhere. WGAN clips the **weights**, after each step. The
# cell trains the same critic between the same two laws both ways and measures its slope.
#
# > **Predict, then run.** How steep is each of the two after 1000 steps?


# %%
def fitted_critic(clipped, steps, report):
    """A critic between N(0, 1) and N(3, 1); its slope at the steps in `report`."""
    tg.manual_seed(1)
    f = network(1, 32, 32, 1)
    optimizer = tg.optim.RMSprop(f.parameters(), lr=1e-3)
    x, y = tg.randn(300, 1), tg.randn(300, 1) + 3.0
    slopes = []
    for step in range(1, steps + 1):
        gap = f(x).mean() - f(y).mean()
        optimizer.zero_grad()
        (-gap).backward()
        if clipped == "gradients":
            tg.nn.utils.clip_grad_value_(f.parameters(), 1.0)
        optimizer.step()
        if clipped == "weights":
            tg.optim.clip_weights_(f.parameters(), 0.1)
        if step in report:
            slopes.append(slope_of(f, x, y))
    return slopes


marks = (10, 100, 300, 1000)
slopes = {name: fitted_critic(name, 1000, marks) for name in ("weights", "gradients")}
print("steps of the critic    " + "".join(f"{s:10d}" for s in marks))
for name, found in slopes.items():
    print(f"{name + ' clipped':18s} K >=" + "".join(f"{s:10.3g}" for s in found))

# %%
check.claim("E2: weights clipped at 0.1, the bound (13.19)", bound((1, 32, 32, 1), 0.1), "1.02")
check.claim("E2: the slope that is reached", slopes["weights"][3], 0.67, tol=0.05)
check.claim(
    "E2: in 700 steps it grows by the factor", slopes["weights"][3] / slopes["weights"][2], "1.00"
)
check.claim("E2: gradients clipped at 1, the slope", slopes["gradients"][3], 1400, tol=0.1)
check.claim("E2: it grows by", slopes["gradients"][3] / slopes["gradients"][2], 11, tol=0.1)

# %% [markdown]
# With clipped weights the slope comes to rest at 0.67, below the bound 1.02. With clipped gradients
# it is 1400, eleven times what it was at step 300, and grows on.

# %% [markdown]
# ## 4. The algorithm
#
# Everything is in place:
#
# 1. A few times: a step of the critic *up* the gap
#    $\mathbb{E}[f(x)] - \mathbb{E}[f(G(z))]$, then clip its weights.
# 2. Once: a step of the generator down $-\mathbb{E}[f(G(z))]$.
#
# No logarithm, no sigmoid. Data: the two bells of section 2. We clip at $c = 0.1$, since the
# table above says that 0.01 would leave this small critic next to no slope. The optimizer is
# RMSprop, as in the paper, which found momentum harmful here (lesson 10 says why). Both laws are
# on a line, so we can print the exact $W_1$ beside what the critic believes: its gap divided by
# the steepest slope that it has on these points. By (13.16) that quotient can never exceed the
# exact distance between them, and the best critic reaches it:
#
# $$
# \frac{\mathbb{E}[f(x)] - \mathbb{E}[f(G(z))]}{K} \le W_1 \tag{13.20}
# $$
#
# > **Predict, then run.** The critic gets five steps for each step of $G$, and its weights are
# > clipped. Will the number that it believes follow $W_1$ down?

# %%
tg.manual_seed(0)
CLIP, STEPS = 0.1, 500


def real(n):
    left = rng.random(n) < 0.4
    values = np.where(left, rng.normal(-2, 0.4, n), rng.normal(1.5, 0.7, n))
    return tg.tensor(values[:, None])


def noise(n):
    return tg.randn(n, 1, dtype=tg.float64)


# In float64: a game in float32 amplifies its rounding and ends elsewhere on each machine.
G, f = (network(1, 32, 32, 1).to(tg.float64) for _ in range(2))
opt_f = tg.optim.RMSprop(f.parameters(), lr=1e-3)
opt_g = tg.optim.RMSprop(G.parameters(), lr=1e-3)


def critic_step():
    with tg.no_grad():
        made = G(noise(128))
    gap = f(real(128)).mean() - f(made).mean()
    opt_f.zero_grad()
    (-gap).backward()  # an optimizer goes down, the critic wants up
    opt_f.step()
    for w in f.parameters():  # the whole secret of this lesson, in two lines
        w.data = tg.clamp(w.detach(), -CLIP, CLIP)
    assert gan.max_weight(f.parameters()) <= CLIP


def generator_step():
    loss = -f(G(noise(128))).mean()
    opt_g.zero_grad()
    loss.backward()
    opt_g.step()


# Try the critic before the game: 30 steps against the fresh generator.
x, y = real(20_000), G(noise(20_000)).detach()
gap_before = f(x).mean() - f(y).mean()
for _ in range(30):
    critic_step()
check.claim("the mean of the data", x.mean(), "0.1")
check.claim("the gap before", gap_before, "-0.026")
check.claim("the gap after 30 steps of the critic", f(x).mean() - f(y).mean(), "0.183")
check.claim("its least weight", min(w.min().item() for w in f.parameters()), "-0.100")

# %%
exact, believed, album = [], [], {}
spots = tg.linspace(-5, 5, 200, dtype=tg.float64).unsqueeze(1)
for step in range(STEPS + 1):
    slower = max(0.1, 1 - step / STEPS)
    opt_f.param_groups[0]["lr"] = opt_g.param_groups[0]["lr"] = 1e-3 * slower
    for _ in range(30 if 0 < step < 10 else 5):  # many at the start: G should meet a good critic
        critic_step()
    if step % 10 == 0:
        with tg.no_grad():
            x, y = real(500), G(noise(500))
            gap = (f(x).mean() - f(y).mean()).item()
            K = slope_of(f, x, y)
        exact.append(metrics.wasserstein_1d(x, y))
        believed.append(gap / K)
        weights = np.concatenate([w.ravel() for w in matrices(f)])
        with tg.no_grad():
            shape = f(spots).numpy().ravel() / K
            album[step] = G(noise(4000)).numpy().ravel(), shape, weights
        if step % 100 == 0:
            print(f"step {step:3d}   exact W1 {exact[-1]:.3f}   gap / K {believed[-1]:6.3f}   "
                  f"K {K:.3f}")  # fmt: skip
    generator_step()

# %%
# (13.20): the best critic of section 2, which has the slope 1, first; then those of the training.
share = np.append(reached, believed) / np.append(best.cost, exact)
check.equal("13.20", share.max(), 1.0)  # never above 1
check.claim("W1 at the start", exact[0], 1.6, tol=0.05)
check.claim("W1 at step 100", exact[10], 0.6, tol=0.1)
check.claim("W1 at the end", exact[-1], 0.4, tol=0.1)
check.claim(
    "what the critic believes from step 100 on, on average", np.mean(believed[10:]), 0.1, tol=0.2
)
piled = (abs(weights) > 0.99 * CLIP).mean()
check.claim("share of the critic's weights at the bound", piled, 0.34, tol=0.1)

# %% tags=["figure"]
shown = real(4000).numpy().ravel()


def moment(step):
    """Data, samples and critic on the left, the critic's weights on the right."""
    made, shape, weights = album[step]
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(7.2, 2.7), layout="constrained", width_ratios=(2, 1)
    )
    for values, color, label in ((shown, "0.7", "data"), (made, "C2", "samples")):
        heights, edges = np.histogram(values, 50, (-5, 5), density=True)
        left.stairs(heights, edges, fill=True, color=color, alpha=0.7, label=label)
    left.plot(spots.numpy(), 0.5 + 0.3 * (shape - shape.mean()), color="C1", ls="-",
              label="critic / K, its height scaled")  # fmt: skip
    left.set(xlim=(-5, 5), ylim=(-0.7, 1.9), xlabel="x", ylabel="density")
    left.set_title(f"step {step}: W1 {exact[step // 10]:.2f}, believed {believed[step // 10]:.2f}")
    left.legend(loc="upper left", ncols=3, fontsize=7)
    right.stairs(*np.histogram(weights, 40, (-CLIP, CLIP)), fill=True, color="C4")
    right.set(xlabel="weight of the critic", ylabel="how many", ylim=(0, 320))
    right.set_title("from -c to c")
    return figure


figures.film(
    map(moment, [*range(0, 100, 10), *range(100, STEPS + 1, 40)]),
    "Film of the training. Left, the samples spread from one heap to both bells of the data, while "
    "the critic, a curve with one or two bends, tilts from side to side. Right, its weights start "
    "all over the range and gather at both ends of it.",
    colors=32,
)

# %% tags=["figure"]
figure, axis = plt.subplots(figsize=(7, 2.8), layout="constrained")
axis.plot(np.arange(len(exact)) * 10, exact, color="black", ls="-", label="exact $W_1$")
axis.plot(np.arange(len(exact)) * 10, believed, color="C1", ls="--", label="critic's gap / K")
axis.set(xlabel="step of G", ylabel="units of x", ylim=(-0.2, None))
axis.set_title("Below the exact distance, always")
axis.legend()
figures.show(
    figure,
    "The exact distance falls in the course of the training; what the critic believes drops at "
    "once, stays below it and hardly follows.",
)

# %% [markdown]
# Three things to see.
#
# - **A lower bound, and a loose one.** The critic's number never exceeds $W_1$, as (13.20) says.
#   But from step 100 on it stays near 0.1 while $W_1$ goes up and down on its way from 0.6 to 0.4.
#   A gap follows $W_1$ only if the critic is nearly the best; a clipped one with five steps is not.
# - **The weights pile up at $\pm c$**, 34 % of them. A critic wants more slope than it is allowed,
#   so it pushes its weights to the walls. Gulrajani et al. (2017) made this picture famous.
# - **The critic is simple.** A network with so many weights at the walls has few shapes to choose
#   from.
#
# How should $c$ be chosen, then? Train critics of the same sizes, each with its own $c$, between
# data at $-3$, 0, 3 and samples at $-1.5$ and 1.5, for 200 steps.
#
# > **Predict, then run.** The best critic here is a W with slopes 1 and $-1$. What changes with
# > $c$: the shape of the clipped critic, its slope $K$, or both?

# %%
where = np.linspace(-5, 5, 401)
three, two = (
    sum(np.exp(-0.5 * ((where - m) / 0.4) ** 2) for m in means)
    for means in ((-3, 0, 3), (-1.5, 1.5))
)
three, two = three / three.sum(), two / two.sum()  # the share of each of the 401 places
W = np.abs(np.cumsum(three - two)).sum() * 0.025  # (13.4)


def clipped_critic(c):
    """The values of a critic with this c, its slope, its gap."""
    tg.manual_seed(1)
    net = network(1, 32, 32, 1).to(tg.float64)
    optimizer = tg.optim.RMSprop(net.parameters(), lr=1e-3)
    places, shares = tg.tensor(where[:, None]), tg.tensor((three - two)[:, None])
    for _ in range(200):
        gap = (shares * net(places)).sum()
        optimizer.zero_grad()
        (-gap).backward()
        optimizer.step()
        tg.optim.clip_weights_(net.parameters(), c)
    with tg.no_grad():
        values = net(places).numpy().ravel()
    return values, np.abs(np.diff(values)).max() / 0.025, (three - two) @ values


by_c = {c: clipped_critic(c) for c in (0.01, 0.03, 0.1, 0.2, 0.5, 1.0)}

# %%
check.claim("W1", W, "1.103")
for c, slope_said, share_said in ((0.01, 0.0003, 0.73), (0.1, 0.25, 0.76), (1.0, 43, 0.66)):
    _, K, gap = by_c[c]
    check.claim(f"c = {c}: K", K, slope_said, tol=0.05)
    check.claim(f"c = {c}: gap / K", gap / K, share_said, tol=0.02)


# %% tags=["figure"]
def picture(c):
    """Data, samples, the best critic and the clipped one."""
    values, K, gap = by_c[c]
    figure, axis = plt.subplots(figsize=(6.4, 3), layout="constrained")
    axis.fill_between(where, 60 * three, color="black", alpha=0.25, lw=0, label="data")
    axis.fill_between(where, 60 * two, color="C2", alpha=0.5, lw=0, label="samples")
    ideal = np.cumsum(np.sign(np.cumsum(two - three))) * 0.025
    axis.plot(where, ideal - ideal.mean(), color="C1", ls="--", label="best critic")
    axis.plot(where, (values - values.mean()) / K, color="C0", ls="-", label="clipped critic / K")
    axis.set(xlim=(-5, 5), ylim=(-2.6, 2.6), xlabel="x", ylabel="score; density")
    axis.set_title(f"c = {c}: K = {K:.2g}, gap {gap:.2g}, gap / K {gap / K:.2f} of 1.10")
    axis.legend(loc="lower center", ncols=4, fontsize=7)
    return figure


figures.slider(
    map(picture, by_c),
    by_c,
    "c",
    "Clipped critics, divided by their slope, beside the best critic, which is a W. Whatever the "
    "clip, they are hardly more than a V.",
    start=2,
)

# %% [markdown]
# The shape hardly changes: a V, where a W is needed. It reaches about 0.7 of 1.103. The slope $K$
# changes by five powers of ten, from 0.0003 to 43, and the gap with it. No $c$ makes the critic
# better; it sets the size of the gradient that $G$ gets, and does so blindly.
#
# In the plane one sees the lack of shapes best. Points on a ring are the data, a blob in the middle
# is the samples. On the left the best critic, from the linear program and (13.12); on the right a
# clipped network after 800 steps.

# %%
angle = 2 * np.pi * np.arange(24) / 24
ring = np.stack([np.cos(angle), np.sin(angle)], 1) * 1.5
blob = rng.normal(0, 0.25, (24, 2)) + [0.3, 0.0]
best = metrics.optimal_transport(distance(ring, blob))
tg.manual_seed(2)
net = network(2, 64, 64, 1)
optimizer = tg.optim.RMSprop(net.parameters(), lr=1e-3)
ring_t, blob_t = (tg.tensor(v, dtype=tg.float32) for v in (ring, blob))
for _ in range(800):
    gap = net(ring_t).mean() - net(blob_t).mean()
    optimizer.zero_grad()
    (-gap).backward()
    optimizer.step()
    tg.optim.clip_weights_(net.parameters(), 0.05)
K = slope_of(net, ring_t, blob_t)

# %%
check.claim("exact W1", best.cost, "1.222")
check.claim("clipped network: gap / K", gap.item() / K, 0.8, tol=0.05)

# %% tags=["figure"]
u = np.linspace(-2.2, 2.2, 60)
mesh = np.stack(np.meshgrid(u, u), -1).reshape(-1, 2)
with tg.no_grad():
    clipped = net(tg.tensor(mesh, dtype=tg.float32)).numpy().ravel() / K
surfaces = {"best critic (linear program)": (distance(mesh, blob) - best.v).min(1),
            "clipped network, divided by K": clipped}  # fmt: skip
figure, axes = plt.subplots(1, 2, figsize=(8, 3.4), layout="constrained", sharey=True)
for axis, (name, values) in zip(axes, surfaces.items()):
    values = (values - values.mean()).reshape(60, 60)
    filled = axis.contourf(u, u, values, np.linspace(-1.4, 1.4, 15), cmap="viridis",
                           extend="both")  # fmt: skip
    axis.plot(*ring.T, "w.", ms=4)
    axis.plot(*blob.T, ".", color="C1", ms=4)
    axis.set(title=name, aspect="equal", xlabel="$x_1$")
axes[0].set_ylabel("$x_2$")
figure.colorbar(filled, ax=axes, label="score, mean 0")
figures.show(
    figure,
    "Two maps of a critic: white data on a ring, orange samples in the middle. The best critic "
    "is a funnel with creases between the samples; the clipped network is a bowl of few pieces.",
)

# %% [markdown]
# The clipped network's gap / K is 0.8, two thirds of the 1.222 that are possible.
#
# ### A critic may be trained to the end
#
# Lesson 10 promised it. Two laws far apart, samples fixed, the opponent trained longer and longer:
# what does a sample hear? (The mean size of the gradient of $G$'s loss at the samples; for the
# critic divided by its slope.)
#
# > **Predict, then run.** What becomes of the two messages between step 50 and step 800?

# %%
heard = {}
print("steps of the opponent        50        200        800")
for name in ("minimax", "wgan"):
    tg.manual_seed(5)
    opponent, row = network(1, 32, 32, 1), gan.OBJECTIVES[name]
    optimizer = tg.optim.RMSprop(opponent.parameters(), lr=1e-3)
    x, y = tg.randn(256, 1) * 0.5 - 3, tg.randn(256, 1) * 0.5 + 3
    sizes = []
    for step in range(1, 801):
        loss = row.discriminator(opponent(x), opponent(y))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if row.clip:
            tg.optim.clip_weights_(opponent.parameters(), 0.1)
        if step in (50, 200, 800):
            leaf = y.detach().requires_grad_()
            (g,) = tg.autograd.grad(row.generator(opponent(leaf)) * 256, [leaf])
            K = slope_of(opponent, x, y) if row.clip else 1.0
            sizes.append(abs(g).mean().item() / K)
    heard[name] = sizes
    print(f"{name:20s}" + "".join(f"{s:11.1e}" for s in sizes))

# %%
check.claim("the critic's message at the end", heard["wgan"][2], 0.6, tol=0.1)
check.claim("as at step 200", heard["wgan"][2] / heard["wgan"][1], 1.0, tol=0.1)
shrunk = heard["minimax"][0] / heard["minimax"][2]
check.claim("the discriminator's has shrunk by the factor", shrunk, 250, tol=0.2)

# %% [markdown]
# The discriminator's message dies out while it learns, by a factor of 250. The
# critic's stays, at 0.6 of its steepest slope (for the best critic it would be 1): it may be
# trained as long as one likes before each step of $G$.
#
# ### The library's version
#
# The row `wgan` of `tinygen.models.gan`, with `optim.clip_weights_` after the step, is what we
# wrote by hand:

# %%
model = gan.GAN(network(1, 32, 32, 1), network(1, 32, 32, 1), "wgan", latent=1)
x = real(64).to(tg.float32)
tg.manual_seed(7)
loss = model.discriminator_terms(x)["loss"]
tg.manual_seed(7)
with tg.no_grad():
    by_hand = model.D(model.G(tg.randn(64, 1))).mean()
    by_hand = by_hand - model.D(x).mean()
check.claim("critic's loss: library over ours", loss / by_hand, "1.00000")
opt = tg.optim.RMSprop(model.D.parameters(), lr=0.1)
loss.backward()
opt.step()
tg.optim.clip_weights_(model.D.parameters(), CLIP)
check.claim("largest weight after a step", gan.max_weight(model.D.parameters()), "0.1000")

# %% [markdown]
# ## A bug from the wild: a WGAN without clipping
#
# Nothing crashes when the clipping is forgotten, and it has been, again and again: torchgan's
# Wasserstein loss did not clip until pull request #42 (2018), archsyscall/GANs-TensorFlow2 issue #2
# and charlesyou999648/GAN-CIRCLE issue #2 ask where it is. Without the bound $K$ grows for ever,
# the gap with it, and the number in the log measures the patience of whoever trains.


# %%
def gap_of(clip, steps=600):
    """The critic's gap between two fixed laws, W1 = 1, after so many steps; its largest weight."""
    tg.manual_seed(3)
    f = network(1, 32, 1)
    optimizer = tg.optim.RMSprop(f.parameters(), lr=5e-3)
    x = tg.randn(256, 1)
    found = []
    for step in range(1, steps + 1):
        gap = f(x).mean() - f(x + 1.0).mean()
        optimizer.zero_grad()
        (-gap).backward()
        optimizer.step()
        if clip:
            tg.optim.clip_weights_(f.parameters(), clip)
        if step % 200 == 0:
            found.append(gap.item())
    return found, gan.max_weight(f.parameters())


gaps, largest = {}, {}
for name, clip in (("clipped at 0.1", 0.1), ("clipping forgotten", None)):
    gaps[name], largest[name] = gap_of(clip)
    print(f"{name:19s} gap at 200, 400, 600: " + "  ".join(f"{g:8.3f}" for g in gaps[name])
          + f"   max|w| {largest[name]:.3g}")  # fmt: skip

# %%
clipped, forgotten = gaps["clipped at 0.1"], gaps["clipping forgotten"]
check.claim("clipped: the gap", clipped[0], 0.183, tol=0.1)
check.claim("clipped: it rests", clipped[2] / clipped[0], 1.0, tol=0.1)
check.claim("clipped: max|w|", largest["clipped at 0.1"], "0.1000")
check.claim("forgotten: the gap at step 600", forgotten[2], 537, tol=0.05)
check.claim("forgotten: it grows by", forgotten[2] / forgotten[0], 4.3, tol=0.05)
check.claim("forgotten: max|w|, caught", largest["clipping forgotten"], 5.6, tol=0.05)

# %% [markdown]
# The check to keep is one line in the loop: `assert max|w| <= c` after each step of the critic,
# as in `critic_step` above.
#
# A second one catches a cousin. In labml's annotated implementations the text under "Wasserstein
# GAN" derives $\mathbb{E} f(x) - \mathbb{E} f(G(z))$, and the code returns $\max(0, 1 - f(x))$
# and $\max(0, 1 + f(G(z)))$: the *hinge* loss, another row of our table, which measures total
# variation and saturates like JS. The test: **a Wasserstein loss does not change when a constant
# is added to the critic.**

# %%
on_real, on_made = tg.ones(50), tg.zeros(50) - 1
for name, said in (("wgan", "0.000"), ("hinge", "5.000"), ("minimax", "3.394")):
    loss = gan.OBJECTIVES[name].discriminator
    change = loss(on_real + 5, on_made + 5) - loss(on_real, on_made)
    check.claim(f"{name}: a constant changes the critic's loss by", change, said)

# %% [markdown]
# ## Exercises
#
# ### Exercise 13.1
#
# Write `w1(x, y)`: the Wasserstein distance between two samples on a line (1-D arrays of the same
# length), exactly.


# %%
def w1(x, y): ...


check.exercise("13.1", w1)

# %% [markdown]
# ### Exercise 13.2
#
# Write `slope_bound(weights)`: a bound for the Lipschitz constant of a ReLU network from the list
# of its weight matrices, as in (13.17). It should be as sharp as that: a rotation has the bound
# 1.


# %%
def slope_bound(weights): ...


check.exercise("13.2", slope_bound)

# %% [markdown]
# ### Exercise 13.3
#
# Write `critic_step(weights, gradients, lr, c)`: lists of arrays in, the list of new weights out.
# The gradients are those of the *gap*; a plain gradient step, then the clipping of this lesson.


# %%
def critic_step(weights, gradients, lr, c): ...


check.exercise("13.3", critic_step)

# %% [markdown]
# ### Exercise 13.4
#
# Write `critic_on_line(x, y)`: for two samples on a line (1-D arrays) return the values of a best
# critic at the points `x` and at the points `y`, as a pair of arrays. Its slope between any two
# points must be at most 1, and its gap must be $W_1$. Use (13.14), or (13.12).


# %%
def critic_on_line(x, y): ...


check.exercise("13.4", critic_on_line)

# %% [markdown]
# ## What you can say now
#
# - $W_1$ is the least work of moving one law onto the other: a linear program; on a line, sorting.
# - For two parallel lines $W_1 = |\theta|$ with slope 1, JS $= \log 2$ with slope 0.
# - $W_1$ has the units of the data and no upper bound. $W_2$ is another distance.
# - By duality $W_1$ is the largest gap $\mathbb{E}_p f - \mathbb{E}_q f$ of functions of slope at
#   most 1, and both halves of the proof are short.
# - A network's slope is at most the product of its matrices' norms; clipped weights bound it by
#   $\prod c\sqrt{n_{l-1} n_l}$, which is reached. The gap estimates $K W_1$, with an unknown $K$.
# - Clipping the gradients of the parameters bounds nothing.
# - Clipped critics push their weights to the walls and become too simple. Lesson 14 replaces the
#   clip by a penalty.
# - Two checks to keep: `max|w| <= c` after each step, and a loss that ignores a constant in $f$.
#
# ## The full-size run
#
# `python examples/wgan.py` trains a clipped DCGAN pair on the bundled 8 x 8 digits ($c = 0.01$, 5
# critic steps, 1500 generator steps; samples, walks between codes, sums of codes and nearest
# neighbours go to `runs/wgan`). One run, seed 0: 48 CPU seconds, three minutes on a busy machine,
# largest weight 0.01, Fréchet distance 0.44 in the features of our own classifier (1000 samples
# against 1000 training pictures; two disjoint parts of the data have 0.24 at 707 each), samples by
# class 114, 89, 110, 95, 122, 66, 93, 86, 107, 118. With `--steps 600` the distance is 1.84, with
# `--steps 3000` 0.31.
#
# `python examples/wgan.py --line` learns the offset $\theta$ of two parallel lines and prints the
# critic's gap / K beside $W_1 = |\theta|$. Seed 0, step 100: $W_1$ 0.966, gap 3.36, K 3.45, gap / K
# 0.963; the same with `--clip 0.05`: 0.946, 0.449, 0.470, 0.945. The raw gaps of the two differ by
# a factor of 7 at nearly the same distance: a gap without its $K$ says nothing.
#
# ## Further reading
#
# - M. Arjovsky, S. Chintala, L. Bottou, *Wasserstein GAN*, 2017 (arXiv:1701.07875): the parallel
#   lines, the algorithm; "weight clipping is a clearly terrible way" is their own remark.
# - M. Arjovsky, L. Bottou, *Towards Principled Methods for Training Generative Adversarial
#   Networks*, 2017 (arXiv:1701.04862).
# - I. Gulrajani, F. Ahmed, M. Arjovsky, V. Dumoulin, A. Courville, *Improved Training of
#   Wasserstein GANs*, 2017 (arXiv:1704.00028): the pile at $\pm c$, and the gradient penalty.
# - G. Peyré, M. Cuturi, *Computational Optimal Transport*, 2019 (arXiv:1803.00567).
# - C. Villani, *Optimal Transport: Old and New*, 2009.
