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
# You need lesson 9 (what a discriminator measures) and lesson 10 (why its gradient vanishes).

# %%
import itertools

import matplotlib.pyplot as plt
import numpy as np

import tinygen as tg
from tinygen import metrics, nn
from tinygen.lessons import check
from tinygen.models import gan

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


height = (np.arange(20) + 0.5) / 20
line = np.stack([np.zeros(20), height], 1)  # 20 points of the segment {0} x [0, 1]
thetas = np.linspace(-2, 2, 41)
moved = [line + [theta, 0] for theta in thetas]
js = [js_in_boxes(line, other) for other in moved]
w1 = [metrics.optimal_transport(distance(line, other)).cost for other in moved]
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 2.8), layout="constrained", dpi=90)
left.plot(*line.T, "k.", label="data")
left.plot(*(line + [1.3, 0]).T, "g.", label="samples")
left.annotate("", (1.3, 0.5), (0, 0.5), arrowprops={"arrowstyle": "<->"})
left.text(0.6, 0.55, r"$\theta$", fontsize=12)
left.set(title="Two parallel lines, never touching", xlim=(-0.5, 2))
left.legend(fontsize=8)
right.plot(thetas, js, "b.-", label="JS: log 2, or 0")
right.plot(thetas, w1, "r.-", label=r"$W_1$: the distance $|\theta|$")
right.set(xlabel=r"$\theta$", title="Which of them tells where to go?")
right.legend(fontsize=8)
plt.show()

# %% [markdown]
# The data lie on one line, the samples on a parallel one at distance $\theta$. For JS they are as
# different as can be at every $\theta$ except 0: the blue curve has no slope to follow. The red
# curve is the **least work of carrying the samples to the data**. It has a slope everywhere, and
# it points home.
#
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
plan = metrics.optimal_transport(cost)
check.equal("13.1", min(everyone), plan.cost)
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
# (draw the six orders in which the four can stand). So uncross all pairs: the smallest goes to the
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
check.at_most("13.2", abs(a - c) + abs(b - d), abs(a - d) + abs(b - c))

x, y = rng.normal(0, 1, 15), rng.normal(0.5, 2, 15)
check.equal("13.3", metrics.optimal_transport(abs(x[:, None] - y)).cost,
            abs(np.sort(x) - np.sort(y)).mean())  # fmt: skip

x, y = rng.normal(0, 1, 12), rng.normal(0.5, 2, 17)
points = np.sort(np.concatenate([x, y]))  # F_p and F_q are constant between these
F_p, F_q = ((v[:, None] <= points[:-1]).mean(0) for v in (x, y))
carried = (abs(F_p - F_q) * np.diff(points)).sum()
check.equal("13.4", metrics.optimal_transport(abs(x[:, None] - y)).cost, carried)
print(f"the library's wasserstein_1d: {metrics.wasserstein_1d(x, y):.6f}")

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
apart = thetas != 0
check.equal("13.5", np.array(js)[apart], np.log(2))
check.equal("13.6", w1, abs(thetas))
step = 0.01
both = [(metrics.optimal_transport(distance(line, line + [t, 0])).cost,
         js_in_boxes(line, line + [t, 0])) for t in (1 - step, 1 + step)]  # fmt: skip
check.equal("13.7", (np.array(both[1]) - both[0]) / (2 * step), [1.0, 0.0])

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

# %%
sample = rng.normal(0, 1, 2000)
for text, x, y in (
    ("one unit apart", sample, sample + 1),
    ("five units apart", sample, sample + 5),
    ("one unit apart, in hundredths", 100 * sample, 100 * sample + 100),
    ("two wide laws that overlap almost everywhere", 10 * sample, 10 * sample + 1),
):
    print(f"{text:45s} W1 = {metrics.wasserstein_1d(x, y):6.1f}")

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

# %%
x, y = rng.normal(0, 0.3, (2, 12))
y[0] = 6.0  # one sample far away
W2 = np.sqrt(metrics.optimal_transport((x[:, None] - y) ** 2).cost)
W1 = metrics.optimal_transport(abs(x[:, None] - y)).cost
check.equal("13.8", W2**2, ((np.sort(x) - np.sort(y)) ** 2).mean())
check.at_most("13.9", W1, W2)
backwards = np.sqrt(((np.sort(x) - np.sort(y)[::-1]) ** 2).mean())  # a map T that is not the best
f = lambda v: np.maximum(v, 0.0)  # noqa: E731  (a function of slope <= 1)
print(f"W1 = {W1:.3f}, W2 = {W2:.3f}, and with a map that is not the best {backwards:.3f}")
print(f"E f(y) - E f(x) for one f of slope 1: {f(y).mean() - f(x).mean():.3f}: near W1, not W2")

# %% [markdown]
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
# The check takes random masses, a random plan that fits them (the product plan mixed with the best
# one), and 100 random functions of slope at most 1.

# %%
n, m = 9, 12
x, y = rng.normal(0, 1, (n, 2)), rng.normal(0.7, 1.2, (m, 2))
p, q = rng.dirichlet(np.ones(n)), rng.dirichlet(np.ones(m))
cost = distance(x, y)
best = metrics.optimal_transport(cost, p, q)
gamma = 0.3 * best.plan + 0.7 * np.outer(p, q)  # a plan, not the best


def random_function():
    """A function on the plane of slope at most 1: a smallest of distances with offsets."""
    centres, offsets = rng.normal(0, 2, (6, 2)), rng.normal(0, 1, 6)
    sign = rng.choice([-1.0, 1.0])
    return lambda v: sign * (distance(v, centres) + offsets).min(1)


functions = [random_function() for _ in range(100)]
gaps = np.array([p @ f(x) - q @ f(y) for f in functions])
check.equal("13.10", gaps, [(gamma * (f(x)[:, None] - f(y))).sum() for f in functions])
check.at_most("13.11", gaps, (gamma * cost).sum())
print(f"best of 100 functions {gaps.max():.4f}, best plan {best.cost:.4f}, our plan "
      f"{(gamma * cost).sum():.4f}")  # fmt: skip

# %% [markdown]
# Is there an $f$ that reaches the top? The solver of the linear program returns, besides the
# plan, a certificate: numbers $u_i$, $v_j$ with $u_i + v_j \le \vert x_i - y_j \vert$ everywhere,
# and $\sum_i p_i u_i + \sum_j q_j v_j = W_1$ (that there always is one is the duality theorem of
# linear programs). Out of them we build a function on *all* of space,
#
# $$
# f^*(z) = \min_j \left( \vert z - y_j \vert - v_j \right) \tag{13.12}
# $$
#
# It is 1-Lipschitz, as a smallest of functions of slope 1. At a heap, $f^*(x_i) \ge u_i$, by the
# inequality on the certificate. At a hole, $f^*(y_j) \le -v_j$: take that $j$. Hence
# $\mathbb{E}_p f^* - \mathbb{E}_q f^* \ge \sum p_i u_i + \sum q_j v_j = W_1$. With weak duality it
# cannot be more. So
#
# $$
# W_1(p, q) = \max_{\Vert f \Vert_L \le 1}
# \left( \mathbb{E}_{x \sim p}[f(x)] - \mathbb{E}_{y \sim q}[f(y)] \right) \tag{13.13}
# $$
#
# where $\Vert f \Vert_L$ is the largest slope of $f$. This is the theorem of **Kantorovich and
# Rubinstein** (1958). A best $f$ is called a **critic**: high where the data are, low where the
# samples are, and nowhere steeper than 1.


# %%
def best_critic(z):
    """(13.12)"""
    return (distance(z, y) - best.v).min(1)


# (13.12) says three things: the slope, and what happens at heaps and at holes.
far = rng.normal(0, 3, (200, 2))
rise = abs(best_critic(far)[:, None] - best_critic(far))
check.at_most("13.12", rise, distance(far, far))
check.at_most("13.12", best.u, best_critic(x))
check.at_most("13.12", best_critic(y), -best.v)
check.equal("13.13", best.cost, p @ best_critic(x) - q @ best_critic(y))

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

t = np.linspace(-12, 12, 24_001)
dt = t[1] - t[0]


def bell(mean, std):
    return np.exp(-0.5 * ((t - mean) / std) ** 2) / (std * np.sqrt(2 * np.pi))


p_d = 0.4 * bell(-2, 0.4) + 0.6 * bell(1.5, 0.7)
figure, axes = plt.subplots(1, 2, figsize=(8, 2.8), sharey=True, layout="constrained", dpi=90)
for axis, p_g in zip(axes, (bell(4.5, 0.5), bell(-0.2, 0.6))):
    critic = np.cumsum(np.sign(np.cumsum(p_g) - np.cumsum(p_d))) * dt
    axis.fill_between(t, 3 * p_d, color="black", alpha=0.25, label="$p_d$ (times 3)")
    axis.fill_between(t, 3 * p_g, color="green", alpha=0.35, label="$p_g$ (times 3)")
    axis.plot(t, critic - critic[np.abs(t) < 5].mean(), "r", label="best critic")
    axis.plot(t, p_d / (p_d + p_g + 1e-300), "b", label="best discriminator $D^*$")
    axis.set(xlim=(-5, 6), ylim=(-5, 5), xlabel="x")
axes[0].legend(fontsize=7, loc="lower left")
axes[0].set_title("far apart: D* is flat at the samples")
axes[1].set_title("the critic: a zigzag of slopes 1 and -1")
plt.show()

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
print(f"{(slopes > 0).sum()} samples are told to move right, {(slopes < 0).sum()} to move left")

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


tg.manual_seed(0)
ratios, bounds, net_gaps, limits = [], [], [], []
for _ in range(20):
    net = network(2, 16, 16, 1).to(tg.float64)
    points = tg.randn(60, 2, dtype=tg.float64)
    ratios.append(slope_of(net, points[:30], points[30:]))
    bounds.append(np.prod([np.linalg.norm(w, 2) for w in matrices(net)]))
    d = distance(points[:30].numpy(), points[30:].numpy())
    net_gaps.append((net(points[:30]).mean() - net(points[30:]).mean()).item())
    limits.append(bounds[-1] * metrics.optimal_transport(d).cost)  # K times W1 of the two halves
check.at_most("13.16", np.abs(net_gaps), limits)
check.equal("13.16", p @ (3 * best_critic(x)) - q @ (3 * best_critic(y)), 3 * best.cost)
check.at_most("13.17", ratios, bounds)
print(f"20 nets, on average: steepest slope found {np.mean(ratios):.3f}, "
      f"bound {np.mean(bounds):.3f}")  # fmt: skip

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

# %%
W = rng.uniform(-0.01, 0.01, (30, 50))
check.at_most("13.18", np.linalg.norm(W, 2), np.linalg.norm(W))
check.at_most("13.18", np.linalg.norm(W), 0.01 * np.sqrt(30 * 50))


def bound(sizes, c):
    """The right side of (13.19)."""
    return np.prod([c * np.sqrt(m * n) for m, n in zip(sizes, sizes[1:])])


sizes = (2, 512, 512, 512, 1)
steepest = network(*sizes).to(tg.float64)
for w in steepest.parameters():  # weights and biases c: at x > 0 every ReLU is open
    w.data = tg.ones_like(w) * 0.01
point = tg.ones(1, 2, dtype=tg.float64, requires_grad=True)
(slope,) = tg.autograd.grad(steepest(point).sum(), [point])
check.equal("13.19", np.linalg.norm(slope.numpy()), bound(sizes, 0.01))
for name, s, c in (("this critic, c = 0.01", sizes, 0.01), ("this critic, c = 0.1", sizes, 0.1),
                   ("1-64-64-1, c = 0.01", (1, 64, 64, 1), 0.01),
                   ("1-64-64-1, c = 0.1", (1, 64, 64, 1), 0.1)):  # fmt: skip
    print(f"{name:22s} K <= {bound(s, c):.4g}")

# %% [markdown]
# The table is a warning: $K$ depends on $c$ to the power of the number of layers. Ten times the
# $c$ is ten thousand times the slope in four layers. The same $c$ that suits one network stifles
# another, and the gap of one critic cannot be compared with that of another.
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
print("steps of the critic            " + "".join(f"{s:10d}" for s in marks))
for clipped, bound_of_it in (("weights", 0.1), ("gradients", 1)):
    name = f"{clipped} clipped to {bound_of_it}"
    slopes = fitted_critic(clipped, 1000, marks)
    print(f"{name:24s} slope: " + "".join(f"{s:10.3g}" for s in slopes))
print(f"the bound (13.19) with c = 0.1: {bound((1, 32, 32, 1), 0.1):.3g}")

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
# exact distance between them:
#
# $$
# \frac{\mathbb{E}[f(x)] - \mathbb{E}[f(G(z))]}{K} \le W_1 \tag{13.20}
# $$

# %%
tg.manual_seed(0)
CLIP, STEPS = 0.1, 500


def real(n):
    left = rng.random(n) < 0.4
    values = np.where(left, rng.normal(-2, 0.4, n), rng.normal(1.5, 0.7, n))
    return tg.tensor(values[:, None], dtype=tg.float32)


G, f = network(1, 32, 32, 1), network(1, 32, 32, 1)
opt_f = tg.optim.RMSprop(f.parameters(), lr=1e-3)
opt_g = tg.optim.RMSprop(G.parameters(), lr=1e-3)


def critic_step():
    with tg.no_grad():
        made = G(tg.randn(128, 1))
    gap = f(real(128)).mean() - f(made).mean()
    opt_f.zero_grad()
    (-gap).backward()  # an optimizer goes down, the critic wants up
    opt_f.step()
    for w in f.parameters():  # the whole secret of this lesson, in two lines
        w.data = tg.clamp(w.detach(), -CLIP, CLIP)
    assert max(abs(w).max().item() for w in f.parameters()) <= CLIP + 1e-7


def generator_step():
    loss = -f(G(tg.randn(128, 1))).mean()
    opt_g.zero_grad()
    loss.backward()
    opt_g.step()


exact, believed, album = [], [], {}
for step in range(STEPS + 1):
    slower = max(0.1, 1 - step / STEPS)
    opt_f.param_groups[0]["lr"] = opt_g.param_groups[0]["lr"] = 1e-3 * slower
    for _ in range(30 if step < 10 else 5):  # many at the start: G should meet a good critic
        critic_step()
    if step % 10 == 0:
        with tg.no_grad():
            x, y = real(500), G(tg.randn(500, 1))
            gap = (f(x).mean() - f(y).mean()).item()
            K = slope_of(f, x, y)
        exact.append(metrics.wasserstein_1d(x, y))
        believed.append(gap / K)
        if step % 100 == 0:
            print(f"step {step:3d}   exact W1 {exact[-1]:.3f}   gap / K {believed[-1]:6.3f}   "
                  f"K {K:.3f}")  # fmt: skip
    if step in (0, 40, STEPS):
        with tg.no_grad():
            spots = tg.linspace(-5, 5, 200).unsqueeze(1)
            album[step] = G(tg.randn(4000, 1)).numpy().ravel(), f(spots).numpy().ravel() / K
    generator_step()
check.at_most("13.20", believed, exact, slack=1e-5)  # float32

# %%
figure, axes = plt.subplots(1, 3, figsize=(8, 2.6), sharey=True, layout="constrained", dpi=90)
spots = np.linspace(-5, 5, 200)
for axis, (step, (made, curve)) in zip(axes, album.items()):
    axis.hist(real(4000).numpy().ravel(), 50, range=(-5, 5), density=True, color="black", alpha=0.3)
    axis.hist(made, 50, range=(-5, 5), density=True, color="green", alpha=0.4)
    axis.plot(spots, 0.5 + 0.3 * (curve - curve.mean()), "r", lw=1.2)
    axis.set(title=f"step {step}", xlabel="x", ylim=(-0.7, 1.7))
axes[0].set_ylabel("density")
figure.suptitle("Data (gray), samples (green), the critic's shape (red)")
plt.show()

figure, (left, right) = plt.subplots(1, 2, figsize=(8, 2.6), layout="constrained", dpi=90)
left.plot(np.arange(len(exact)) * 10, exact, "k", label="exact $W_1$")
left.plot(np.arange(len(exact)) * 10, believed, "r", label="critic's gap / K")
left.set(xlabel="step of G", title="Below the exact distance, always", ylim=(-0.2, None))
left.legend(fontsize=8)
weights = np.concatenate([w.ravel() for w in matrices(f)])
right.hist(weights, 60, color="purple")
right.set(xlabel="weight of the critic", title="The weights pile up at -c and c")
plt.show()
share = (abs(weights) > 0.99 * CLIP).mean()
print(f"share of the critic's weights at the bound: {share:.2f}")

# %% [markdown]
# Three things to see.
#
# - **A lower bound, and a loose one.** The critic's number never exceeds $W_1$, as (13.20) says.
#   But after the first two hundred steps it stays near 0.15 while $W_1$ falls from 0.9 to 0.3, and
#   early on it is even negative. A gap follows $W_1$ only if the critic is nearly the best; a
#   clipped one with five steps is not.
# - **The weights pile up at $\pm c$.** A critic wants more slope than it is allowed, so it pushes
#   its weights to the walls. Gulrajani et al. (2017) made this picture famous.
# - **The critic is simple.** A network with so many weights at the walls has few shapes to choose
#   from. It is far from the zigzag of section 2.
#
# In the plane one sees the last point best. Points on a ring are the data, a blob in the middle
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
u = np.linspace(-2.2, 2.2, 60)
mesh = np.stack(np.meshgrid(u, u), -1).reshape(-1, 2)
with tg.no_grad():
    clipped = net(tg.tensor(mesh, dtype=tg.float32)).numpy().ravel() / K
surfaces = {"best critic (linear program)": (distance(mesh, blob) - best.v).min(1),
            "clipped network, divided by K": clipped}  # fmt: skip
figure, axes = plt.subplots(1, 2, figsize=(7.4, 3), layout="constrained", dpi=90)
for axis, (name, values) in zip(axes, surfaces.items()):
    axis.contourf(u, u, values.reshape(60, 60), 14, cmap="viridis")
    axis.plot(*ring.T, "w.", ms=4)
    axis.plot(*blob.T, "r.", ms=4)
    axis.set(title=name, aspect="equal")
plt.show()
print(f"exact W1 {best.cost:.3f};  clipped network: gap / K {gap.item() / K:.3f}")

# %% [markdown]
# ### A critic may be trained to the end
#
# Lesson 10 promised it. Two laws far apart, samples fixed, the opponent trained longer and longer:
# what does a sample hear? (The mean size of the gradient of $G$'s loss at the samples; for the
# critic divided by its slope.)

# %%
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
    print(f"{name:20s}" + "".join(f"{s:11.1e}" for s in sizes))

# %% [markdown]
# The discriminator's message dies out while it learns. The critic's stays, at 0.6 of its steepest
# slope (for the best critic it would be 1): it may be trained as long as one likes before each step
# of $G$.
#
# ## 5. The library's version
#
# The row `wgan` of `tinygen.models.gan`, with `optim.clip_weights_` after the step, is what we
# wrote by hand:

# %%
model = gan.GAN(network(1, 32, 32, 1), network(1, 32, 32, 1), "wgan", latent=1)
x = real(64)
tg.manual_seed(7)
loss = model.discriminator_terms(x)["loss"]
tg.manual_seed(7)
with tg.no_grad():
    by_hand = model.D(model.G(tg.randn(64, 1))).mean()
    by_hand = by_hand - model.D(x).mean()
print(f"critic's loss: library {loss.item():.6f}, by hand {by_hand.item():.6f}")
opt = tg.optim.RMSprop(model.D.parameters(), lr=0.1)
loss.backward()
opt.step()
tg.optim.clip_weights_(model.D.parameters(), CLIP)
largest = gan.max_weight(model.D.parameters())
print(f"largest weight after a step: {largest:.3g}")

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


for name, clip in (("clipped at 0.1", 0.1), ("clipping forgotten", None)):
    gaps, largest = gap_of(clip)
    caught = "" if largest <= 0.1 + 1e-6 else "   <- caught: max|w| > c"
    print(f"{name:19s} gap at 200, 400, 600: " + "  ".join(f"{g:8.3f}" for g in gaps)
          + f"   max|w| {largest:.3g}{caught}")  # fmt: skip

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
on_real, on_made = tg.randn(50), tg.randn(50) - 1
for name in ("wgan", "hinge", "minimax"):
    loss = gan.OBJECTIVES[name].discriminator
    change = (loss(on_real + 5, on_made + 5) - loss(on_real, on_made)).item()
    print(f"{name:8s} a constant added to the critic changes its loss by {change:7.4f}")

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
