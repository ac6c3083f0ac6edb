# %% [markdown]
# # Lesson 17: Diffusion II: DDPM and DDIM
#
# > **Question.** Lesson 16 says what a network must learn to run noise backwards into data. How
# > does one train it, how do we know that it has learned, and how few steps back are enough?
#
# The film is noise that becomes clothes: 25 steps of a network that saw each of 60,000 pictures
# once. Below it, two samplers start from the same noise (the crosses mark six of the 300 starts)
# and use the same *perfect* network; for a law of nine blobs it can be written down. DDPM rolls
# dice in each step. DDIM rolls none, and its paths are smooth. Both end in the right law (grey). At
# the end of this lesson you can
#
# - derive the training loss from the bound, and say how low it can get and why not lower;
# - train a small network in the plane, by hand, and measure its distance from perfection;
# - sample from it by DDPM and DDIM, and say why DDIM may skip steps;
# - steer samples by guidance, and count the bits that a model needs for an image.
#
# **You need** Lesson 16: (16.3), (16.11), (16.12), (16.17) and the score (16.22).
#
# **Time**: an hour and a half to read; the exercises half an hour more.
#
# **You may skip**, at a first reading, section 6 (the flow behind DDIM) and section 9 (bits).

# %%
import math

import matplotlib.pyplot as plt
import numpy as np

import tinygen as tg
from tinygen import data, metrics, models, nn, plot
from tinygen.lessons import check, figures
from tinygen.models import diffusion, nets

figures.style()
T = 100
process = diffusion.linear_scaled(T)  # Ho et al.'s betas, ten times larger for a tenth of the steps
beta = np.concatenate([[0.0], process.betas])  # beta[t], t = 1 .. T
alpha = 1 - beta
bar = np.cumprod(alpha)  # alpha-bar_t; bar[0] = 1
a, s = np.sqrt(bar), np.sqrt(1 - bar)  # x_t = a_t x_0 + s_t eps

modes, width = np.array([-1.2, 0.0, 1.2]), 0.2  # of each coordinate: variance 0.96 + 0.04 = 1
centers = np.stack(np.meshgrid(modes, modes, indexing="ij"), -1).reshape(9, 2)
perfect = diffusion.Diffusion(
    process, diffusion.ExactDenoiser(process, tg.tensor(centers), width), "x0"
)
start = tg.randn(300, 2, generator=tg.Generator().manual_seed(3), dtype=tg.float64)

# %% tags=["figure"]
_, _, clothes = models.restore("ddpm-fashion")  # a U-Net on Fashion-MNIST: section 10
made = list(diffusion.chain(clothes, (60, *clothes.shape), "ddim", 25, labels=tg.arange(60) % 10,
                            guidance=2.0, generator=tg.Generator().manual_seed(12)))  # fmt: skip
figures.film(
    (255 - plot.grid_array(x[:18], nrow=6, value_range=(-1, 1), clip=True, pad_value=0)
     .repeat(3, 0).repeat(3, 1) for _, x in diffusion.film(clothes.process, made, 26)),
    alt="Eighteen squares of noise clear up, step by step, into T-shirts, trousers, bags, coats, "
        "shoes and dresses.", fps=8, pause=2, colors=12,
)  # fmt: skip
# %% tags=["figure"]
fig, axes = plt.subplots(1, 2, figsize=(7, 3.3), layout="constrained")
for ax, sampler in zip(axes, ("ancestral", "ddim")):
    chain = diffusion.chain(
        perfect, start.shape, sampler, start=start, generator=tg.Generator().manual_seed(4)
    )
    path = np.stack([x.numpy() for _, x in chain])  # (T + 1, 300, 2)
    ax.scatter(*path[-1].T, s=4, color="0.7")
    for k in range(6):
        ax.plot(path[:, k, 0], path[:, k, 1], "-", color=f"C{k}", linewidth=1)
        ax.plot(*path[0, k], "x", color=f"C{k}")
    ax.set(title={"ancestral": "DDPM: dice in each step", "ddim": "DDIM: no dice"}[sampler],
           xlim=(-3.5, 3.5), ylim=(-3.5, 3.5), aspect="equal", xlabel="first coordinate",
           ylabel="second coordinate")  # fmt: skip
figures.show(fig, "Six paths from noise to nine blobs, twice: jagged under DDPM, smooth curves "
             "under DDIM.")  # fmt: skip

# %% [markdown]
# ## 1. From the bound to a loss of one line
#
# Lesson 16 ended with a loss. To go from $x_t$ to $x_{t-1}$ the model needs a guess of the noise in
# $x_t = \sqrt{\bar\alpha_t} x_0 + \sqrt{1 - \bar\alpha_t} \varepsilon$. If the guess is
# $\varepsilon_\theta(x_t, t)$, the $t$-th term of the bound is
# $w_t \mathbb{E} |\varepsilon - \varepsilon_\theta(x_t, t)|^2$ with
#
# $$
# w_t = \frac{\beta_t^2}{2 \tilde\beta_t \alpha_t (1 - \bar\alpha_t)}
# = \frac{1}{2} \Big( \frac{\mathrm{SNR}(t - 1)}{\mathrm{SNR}(t)} - 1 \Big)
# \tag{17.1}
# $$
#
# (the reverse step having the variance $\tilde\beta_t$; $\mathrm{SNR}(t) = \bar\alpha_t / (1 -
# \bar\alpha_t)$). The first form is from Ho et al. (2020); the second says it in one breath: by
# what factor does this step lose signal? The cell evaluates both, for all $t \ge 2$, and compares
# with the library's weights (the library's carry a factor $T$: it draws one $t$ of $T$).
#
# > **Predict, then run.** The betas grow from 0.001 to 0.2 over our 100 steps. Which step weighs
# > most in the bound: the first, one in the middle, or the last?

# %%
t = np.arange(2, T + 1)
beta_tilde = (1 - bar[t - 1]) / (1 - bar[t]) * beta[t]
w = beta[t] ** 2 / (2 * beta_tilde * alpha[t] * (1 - bar[t]))
snr = np.concatenate([[np.inf], bar[1:] / (1 - bar[1:])])
check.equal("17.1", w, 0.5 * (snr[t - 1] / snr[t] - 1))
check.equal("17.1", w * T, diffusion.loss_weight("vlb", "eps", process, t))
for k, said in ((2, "1.510"), (5, "0.286"), (20, "0.066"), (100, "0.125")):
    check.claim(f"weight in the bound, t = {k}", w[k - 2], said)
check.claim("the step of the smallest weight", t[w.argmin()], "35")

# %% [markdown]
# The weight is large for the first few $t$, where hardly any noise is in the picture (1.510 at $t =
# 2$), and small in between. Ho et al. found that pictures look better if one **drops it**. That is
# the whole of their training loss, with $t$ uniform on $1, \dots, T$:
#
# $$
# L_\mathrm{simple}(\theta) = \mathbb{E}_{t, x_0, \varepsilon}
# \big| \varepsilon - \varepsilon_\theta(a_t x_0 + s_t \varepsilon, t) \big|^2,
# \qquad a_t = \sqrt{\bar\alpha_t}, \quad s_t = \sqrt{1 - \bar\alpha_t}
# \tag{17.2}
# $$
#
# Take a data point, a random $t$ and a draw of noise; mix; ask which noise it was; square the
# error. We try it where the value is known. For data $\mathcal{N}(0, 1)$ and the "network"
# $\varepsilon_\theta(x, t) = 0.6 x$ the square works out as $1 - 1.2 s_t + 0.36$. (From here on we
# print losses **per coordinate**: the sum over dimensions divided by their number, as the library
# does.)
#
# > **Predict, then run.** A network that always answers 0 has the loss 1. Has this one more or
# > less?

# %%
rng = np.random.default_rng(0)
n = 200_000
t_draw, x0, eps = rng.integers(1, T + 1, n), rng.standard_normal(n), rng.standard_normal(n)
xt = a[t_draw] * x0 + s[t_draw] * eps
squares = (eps - 0.6 * xt) ** 2
check.mean("17.2", squares, (1 - 1.2 * s[1:] + 0.36).mean())
check.claim("L_simple of 0.6 x", (1 - 1.2 * s[1:] + 0.36).mean(), "0.390")

linear_net = lambda x, time: 0.6 * x  # noqa: E731
theirs = diffusion.Diffusion(process, linear_net).errors(
    tg.tensor(x0[:, None]), tg.tensor(t_draw), tg.tensor(eps[:, None])
)
check.equal("17.2", squares, theirs)

# %% [markdown]
# ## 2. How low can the loss go?
#
# Not to zero. Two different pairs $(x_0, \varepsilon)$ can make the same $x_t$, and no network can
# tell which it was. The best answer under squared error is the average,
# $\varepsilon^\ast(x_t, t) = \mathbb{E}[\varepsilon \mid x_t]$, and every other answer pays
# for its distance from the best one on top:
#
# $$
# \mathbb{E} |\varepsilon - \varepsilon_\theta(x_t)|^2 =
# \mathbb{E} |\varepsilon - \varepsilon^\ast(x_t)|^2 +
# \mathbb{E} |\varepsilon^\ast(x_t) - \varepsilon_\theta(x_t)|^2
# \tag{17.3}
# $$
#
# (Expand the square: the mixed term is $2 \mathbb{E}[(\varepsilon - \varepsilon^\ast)
# (\varepsilon^\ast - \varepsilon_\theta)]$, and given $x_t$ its first factor averages to 0.) The
# first part is the **irreducible loss** $J_t$. The second is what training can remove.
#
# For most data nobody knows $\varepsilon^\ast$. For a mixture of Gaussians it has a closed form.
# Let one coordinate of the data be a mixture of $\mathcal{N}(m_k, \omega^2)$ with equal weights.
# Then $x_t$ given mode $k$ has mean $a_t m_k$ and variance $c_t = a_t^2 \omega^2 + s_t^2$, of
# which the noise accounts for the share $s_t^2 / c_t$. If $r_k(x_t)$ is the probability of mode
# $k$ given $x_t$,
#
# $$
# \varepsilon^\ast(x_t, t) = \frac{s_t}{c_t} \sum_k r_k(x_t) (x_t - a_t m_k), \qquad
# r_k(x_t) = \frac{\mathcal{N}(x_t; a_t m_k, c_t)}{\sum_j \mathcal{N}(x_t; a_t m_j, c_t)}
# \tag{17.4}
# $$
#
# The blobs of the first picture are a grid, so the two coordinates are independent, each with three
# modes, and the formula serves coordinate by coordinate. We check it against two integrals over
# $x_0$ (what the mean given $x_t$ *is*), and against the library's exact denoiser.


# %%
def normal(x, mean, variance):
    """The density of N(mean, variance) at x."""
    return np.exp(-0.5 * (x - mean) ** 2 / variance) / np.sqrt(2 * np.pi * variance)


def perfect_eps(x, t, modes=modes, width=width):
    """(17.4), coordinate by coordinate; t is a number or an array that broadcasts with x."""
    at, st = np.asarray(a[t])[..., None], np.asarray(s[t])[..., None]
    c = at**2 * width**2 + st**2
    away = x[..., None] - at * modes
    log_share = -0.5 * away**2 / c
    share = np.exp(log_share - log_share.max(-1, keepdims=True))
    share /= share.sum(-1, keepdims=True)
    return (st / c * share * away).sum(-1)


fine = np.linspace(-3, 3, 6001)  # a grid for x_0
prior = sum(normal(fine, m, width**2) for m in modes) / 3
check.claim("the mass of the prior", prior.sum() * (fine[1] - fine[0]), "1.000000")
y, t = np.linspace(-2, 2, 9), 30
joint = prior * normal(y[:, None], a[t] * fine, s[t] ** 2)  # of x_0 and x_t, for each x_t in y
by_integral = (joint * (y[:, None] - a[t] * fine) / s[t]).sum(1) / joint.sum(1)
check.equal("17.4", perfect_eps(y, t), by_integral)
points = tg.tensor(rng.standard_normal((6, 2)))
check.equal("17.4", perfect_eps(points.numpy(), t), perfect.predict(points, t).eps)

# %% [markdown]
# Now (17.3), with a network that is surely not perfect, $\varepsilon_\theta = \tanh x_t$. The left
# side is an average over $x_0$ and $\varepsilon$ on a square grid; the right side integrates over
# $x_t$ alone.
#
# > **Predict, then run.** At $t = 30$ the loss of $\tanh$ is 0.475. How much of it can training
# > remove: all, half, or less than a fifth?

# %%
grid = np.linspace(-7, 7, 4001)  # a grid for x_t
h = grid[1] - grid[0]


def density(t):
    """q(x_t) of one coordinate on the grid."""
    return sum(normal(grid, a[t] * m, a[t] ** 2 * width**2 + s[t] ** 2) for m in modes) / 3


e = np.linspace(-8, 8, 401)  # a grid for epsilon
weight = prior[::10, None] * 10 * (fine[1] - fine[0]) * normal(e, 0, 1) * (e[1] - e[0])
mixed = a[t] * fine[::10, None] + s[t] * e
loss = (weight * (e - np.tanh(mixed)) ** 2).sum()
best = (weight * (e - perfect_eps(mixed, t)) ** 2).sum()
extra = (density(t) * (perfect_eps(grid, t) - np.tanh(grid)) ** 2).sum() * h
check.equal("17.3", loss, best + extra)
for part, value, said in (("all", loss, "0.475"), ("irreducible", best, "0.390"),
                          ("avoidable", extra, "0.085")):  # fmt: skip
    check.claim(f"loss of tanh at t = 30: {part}", value, said)

# %% [markdown]
# The irreducible part alone follows from $\mathbb{E}|\varepsilon|^2 = 1$. Put $\varepsilon_\theta
# = 0$ into (17.3):
#
# $$
# J_t = 1 - \mathbb{E} \big| \varepsilon^\ast(x_t, t) \big|^2
# \qquad \text{per coordinate}
# \tag{17.5}
# $$
#
# One integral for each $t$, and we know the floor of the training loss before any training.
#
# > **Predict, then run.** Where is it hardest to tell the noise from the data: at $t = 1$, where
# > there is little noise, at $t = 30$, or at $t = 100$, where there is nothing else?

# %%
J = np.array([np.nan] + [1 - (density(t) * perfect_eps(grid, t) ** 2).sum() * h
                         for t in range(1, T + 1)])  # fmt: skip
check.equal("17.5", J[30], best)
x0 = modes[rng.integers(3, size=(100_000, 2))] + width * rng.standard_normal((100_000, 2))
eps = rng.standard_normal(x0.shape)
squares = ((eps - perfect_eps(a[10] * x0 + s[10] * eps, 10)) ** 2).mean(1)
check.equal("17.2", squares, perfect.errors(tg.tensor(x0), 10, tg.tensor(eps), weight="snr"))
check.mean("17.5", squares, J[10])
floor = J[1:].mean()
for k, said in ((1, "0.977"), (30, "0.390"), (100, "0.000")):
    check.claim(f"irreducible loss at t = {k}", J[k], said)
check.claim("no network can bring L_simple below", floor, "0.237")

# %% tags=["figure"]
fig, ax = plt.subplots(figsize=(6, 2.4), layout="constrained")
ax.fill_between(np.arange(1, T + 1), J[1:], color="C0", alpha=0.3)
ax.plot(np.arange(1, T + 1), J[1:])
ax.set(xlabel="t", ylabel="$J_t$", ylim=(0, 1), xlim=(1, T),
       title="irreducible loss: little noise is hard to see, pure noise is easy")  # fmt: skip
figures.show(fig, "Irreducible loss over t: near 1 at t = 1, falling to almost 0 at t = 100.")

# %% [markdown]
# ## Fix the slide: which target, which weights?
#
# The lecture notes train a function, "repeat until convergence", to
#
# > `minimize  $\|\mathbf{x}_0 - f(\sqrt{\bar{\alpha}_t} \mathbf{x}_0`
# > `+ \sqrt{1 - \bar{\alpha}_t} \epsilon; t)\|^2$`
#
# with $t$ uniform and no weight at all, and other notes say "learn to predict noise", as if it
# were the same. With unlimited capacity it would be: each $t$ has its own best answer. But a
# network shares its capacity among all $t$, and an error of $x_0$ is an error of $\varepsilon$
# times $1 / \mathrm{SNR}(t)$ (Lesson 16). Here is the perfect network's own loss, split at $t =
# 50$, where 7.4 % of the signal's variance is left:

# %%
ts = np.arange(2, T + 1)
weights = {"the bound": w, "epsilon, no weight": np.ones(T - 1), "x_0, no weight": 1 / snr[2:]}
check.claim("E29: share of signal at t = 50", bar[50], "0.074")
check.claim("E29: the slide's weight at t = 100", weights["x_0, no weight"][-1], "49042.4")
for (name, weight), late, rise in zip(
    weights.items(), ("0.009", "0.025", "0.684"), (0.083, 1.0, 12.2e6)
):
    share = (weight * J[2:])[ts > 50].sum() / (weight * J[2:]).sum()
    check.claim(f"E29: share of the loss from t > 50, {name}", share, late)
    check.claim(f"E29: last weight / first, {name}", weight[-1] / weight[0], rise, tol=0.005)

# %% [markdown]
# Two thirds of the slide's loss (0.684) come from where there is next to nothing to see, and 0.009
# of the bound. From $t = 2$ to $t = 100$ the slide's weight rises twelve-millionfold; the bound's
# falls to a twelfth (0.083). Neither loss is wrong, but they are different losses, and one should
# know which of them one trains. (Unweighted $\varepsilon$, our choice, is close to the bound here.)
#
# ## 3. The network
#
# It must know $t$: the same point means different things at different noise levels. A single
# number is a poor input for a network, so $t$ enters as a row of sines and cosines of many speeds,
# like the hands of many clocks. With $\tau = 1000 t / T$ and $\omega_i$ falling from 1 to about
# $10^{-4}$, the features are $\sin \omega_i \tau$ and $\cos \omega_i \tau$. One reason to like them
# is that a shift in time is a rotation of each pair, by an angle that does not depend on $\tau$:
#
# $$
# \sin \omega (\tau + \delta) = \cos \omega\delta \sin \omega \tau + \sin \omega\delta
# \cos \omega \tau, \qquad
# \cos \omega (\tau + \delta) = \cos \omega\delta \cos \omega \tau - \sin \omega\delta
# \sin \omega \tau
# \tag{17.6}
# $$
#
# > **Predict, then run.** The fastest of 64 clocks turns once in about six units of $\tau$. How far
# > does the sine of the slowest get, from 0, in all 1000: to 0.115, to 1, or around many times?


# %%
def clocks(time, width):
    """(B,) -> (B, width): sines, then cosines, of `width / 2` speeds from 1 down."""
    speed = np.exp(-np.log(10_000.0) * np.arange(width // 2) / (width // 2))
    angle = time[:, None] * tg.tensor(speed.astype(time.dtype))
    return tg.cat([angle.sin(), angle.cos()], 1)


tau = tg.tensor(np.array([3.0, 250.0, 911.0]))
sin, cos = (half.numpy() for half in clocks(tau, 16).chunk(2, dim=1))
turn = np.exp(-np.log(10_000.0) * np.arange(8) / 8) * 40.0  # delta = 40
later = np.concatenate([np.cos(turn) * sin + np.sin(turn) * cos,
                        np.cos(turn) * cos - np.sin(turn) * sin], 1)  # fmt: skip
check.equal("17.6", clocks(tau + 40.0, 16), later)
check.equal("17.6", clocks(tau, 16), nets.sinusoids(tau, 16))
slowest = clocks(tg.tensor([1000.0]), 128)[0, 63].item()  # the sine of the slowest of 64
check.claim("the slowest clock at tau = 1000", slowest, "0.115")


# %% [markdown]
# The rest is an MLP with shortcuts: each layer sees the point, and the time is added to what it
# sees. The last layer begins at zero, so that training starts from the answer 0, whose loss is 1.


# %%
class Denoiser(nn.Module):
    """(x (B, dims), time (B,)) -> the noise in x, (B, dims)."""

    def __init__(self, dims=2, hidden=128, layers=3):
        super().__init__()
        self.hidden = hidden
        self.time = nn.Sequential(nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, hidden))
        self.first = nn.Linear(dims, hidden)
        self.layers = nn.ModuleList([nn.Linear(hidden, hidden) for _ in range(layers)])
        self.last = nn.Linear(hidden, dims)
        for p in self.last.parameters():
            nn.init.zeros_(p)

    def forward(self, x, time):
        clock = self.time(clocks(time, self.hidden))
        h = self.first(x)
        for layer in self.layers:
            h = h + layer(nn.functional.silu(h + clock))
        return self.last(nn.functional.silu(h))


def tensor(x):
    return tg.tensor(np.asarray(x, np.float32))


def ask(net, x, t):
    """The network's guess of the noise, as an array; t (B,)."""
    with tg.no_grad():
        return net(tensor(x), tensor(t * (1000 / T))).numpy().astype(np.float64)


# %% [markdown]
# ### Averaged weights
#
# While a network trains, its weights jitter: each batch pulls them somewhere. An *exponential
# moving average* (EMA) of the weights is calmer. It is kept beside the training and does not
# disturb it, and diffusion models are usually sampled from it. With $d_n$ the decay of the $n$-th
# update and $\theta_n$ the weights after it,
#
# $$
# \bar\theta_n = d_n \bar\theta_{n-1} + (1 - d_n) \theta_n
# = \Big(\prod_{i=1}^n d_i\Big) \bar\theta_0 +
# \sum_{j=1}^n (1 - d_j) \Big(\prod_{i=j+1}^n d_i\Big) \theta_j
# \tag{17.7}
# $$
#
# The first term is the trap. (People fall into it: openai/improved-diffusion issue #59, the EMA
# model gives only noise early on.)
#
# > **Predict, then run.** With a constant $d = 0.999$, what share have the *random initial weights*
# > after a thousand updates: 0.001, 0.1 or more than a third?

# %%
check.claim("share of the initial weights, d = 0.999, 1000 updates", 0.999**1000, "0.368")
check.claim("the same, 20 updates", 0.999**20, "0.980")
values = rng.standard_normal(40)  # theta_0, theta_1, ..
count = np.arange(1, 40)
for decay in (np.full(39, 0.9), np.minimum(0.9, count / (count + 9))):  # constant; with a warm-up
    average = values[0]
    for d, value in zip(decay, values[1:]):
        average = d * average + (1 - d) * value
    later = np.cumprod(np.append(1.0, decay[::-1]))[::-1]  # later[j]: all decays after update j
    check.equal("17.7", average,
                later[0] * values[0] + ((1 - decay) * later[1:] * values[1:]).sum())  # fmt: skip
    check.equal("17.7", later[0] + ((1 - decay) * later[1:]).sum(), 1.0)  # shares add up to 1
theta = tg.tensor(values[:1].copy())
library = tg.optim.EMA([theta], decay=0.9)
for value in values[1:]:
    theta.fill_(value)  # in place, as an optimizer's step
    library.update()
check.equal("17.7", average, library.shadow["0"].item())  # the library has the warm-up

# %% [markdown]
# The remedy is a warm-up: with $d_n = \min(d, n / (n + 9))$
# the average is short at first, and as long as $n / (n + 9) \le d$ (8991 updates for $d = 0.999$),
# the share of the initial weights is
#
# $$
# \prod_{i=1}^n \frac{i}{i + 9} = \frac{n! \ 9!}{(n + 9)!}
# \tag{17.8}
# $$
#
# That is below one in ten million after 20 updates, where without the warm-up it is 0.980. (This is
# the library's rule; it counts updates from 0.)

# %%
for n, said in ((1, "1000000.000"), (5, "4995.005"), (20, "0.999")):
    left_over = np.prod([k / (k + 9) for k in range(1, n + 1)])
    check.equal("17.8", left_over, 1 / math.comb(n + 9, 9))  # n! 9! / (n + 9)!
    check.claim(f"initial weights after {n} updates, ten-millionths", 1e7 * left_over, said)
check.claim("the decay of update 8991 with the warm-up", 8991 / (8991 + 9), "0.999000")
beyond = 1e6 * (8992 / (8992 + 9) - 0.999)
check.claim("the decay of update 8992 would be above 0.999, by millionths", beyond, "0.111")

# %% [markdown]
# ### Training
#
# The loop is (17.2), nothing else. It keeps three sets of weights: the raw ones, an average with
# the warm-up and one without. We watch two numbers. One is the loss on
# 4000 fixed draws minus the perfect network's loss on the same draws. The other is the avoidable
# part of (17.3) directly: how far the network's answers are from the perfect ones. By (17.3) both
# are the same in the mean.


# %%
def draw_blobs(n):
    return modes[rng.integers(3, size=(n, 2))] + width * rng.standard_normal((n, 2))


def train(net, draw, steps, rate, batch=256, look=lambda step, kept: None):
    """Minimise L_simple; the averaged weights, with a warm-up, as a state dict."""
    optimizer = tg.optim.Adam(net.parameters(), lr=rate)
    now = {k: p.detach().numpy() for k, p in net.named_parameters()}  # shares their memory
    kept = {rule: {k: v.copy() for k, v in now.items()} for rule in ("warm-up", "no warm-up")}
    for n in range(steps + 1):
        look(n, {"raw": now, **kept})
        optimizer.param_groups[0]["lr"] = rate * 0.5 * (1 + np.cos(np.pi * n / (steps + 1)))
        x0 = draw(batch)
        t = rng.integers(1, T + 1, batch)
        eps = rng.standard_normal(x0.shape)
        xt = a[t][:, None] * x0 + s[t][:, None] * eps
        guess = net(tensor(xt), tensor(t * (1000 / T)))
        loss = (tensor(eps) - guess).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        for rule, shadow in kept.items():
            d = min(0.998, (n + 1) / (n + 10)) if rule == "warm-up" else 0.998
            for name, value in now.items():
                shadow[name] += (1 - d) * (value - shadow[name])
    return kept["warm-up"]


def with_weights(net, arrays):
    """Put numbers into a network."""
    net.load_state_dict({name: tg.tensor(value.copy()) for name, value in arrays.items()})
    return net


test_t = np.arange(4000) % T + 1  # each t forty times
test_x0, test_eps = draw_blobs(4000), rng.standard_normal((4000, 2))
test_xt = a[test_t][:, None] * test_x0 + s[test_t][:, None] * test_eps
test_best = perfect_eps(test_xt, test_t[:, None])
history, probe = [], Denoiser()


def watch(step, kept):
    if step % 250 and step != 100:
        return
    row = [step]
    for rule in ("raw", "warm-up", "no warm-up"):
        guess = ask(with_weights(probe, kept[rule]), test_xt, test_t)
        row.append(((guess - test_best) ** 2).mean())
        if rule == "warm-up":
            row.append(((guess - test_eps) ** 2 - (test_best - test_eps) ** 2).mean())
    history.append(row)


tg.manual_seed(0)
net = Denoiser()
net = with_weights(net, train(net, draw_blobs, 3000, 5e-3, look=watch))

# %% tolerance=0.3
history = np.array(history)
at = {int(row[0]): row[1:] for row in history}  # raw, averaged, loss - floor, without warm-up
check.claim("avoidable loss at the start", at[0][0], 0.755, tol=0.03)
check.claim("the same at step 100, averaged without a warm-up", at[100][3], 0.57, tol=0.1)
check.claim("the same at step 100, averaged with it", at[100][1], 0.026, tol=0.3)
for step in (100, 500, 1000):
    check.claim(
        f"step {step}: averaged is nearer to perfection than raw", at[step][1] < at[step][0]
    )
check.claim("at the end, averaged", at[3000][1], 0.002, tol=0.5)
check.claim("at the end, averaged / raw", at[3000][1] / at[3000][0], 1.0, tol=0.2)

# %% [markdown]
# The avoidable loss falls from 0.755 to 0.002. In the middle of training the averaged weights are
# nearer to perfection than the raw ones; at the end, with the step size near 0, it makes no
# difference. And at step 100 the average without a warm-up still has three quarters of the
# avoidable loss of the start (0.57). Now the check of (17.3) on a trained network: on
# 100,000 fresh draws, the network's loss minus the perfect network's on the same draws is the
# avoidable part, up to noise of sampling.

# %%
guess = ask(net, test_xt, test_t)
loss = ((guess - test_eps) ** 2).mean(1)
fresh, n = np.random.default_rng(2), 100_000
ft = fresh.integers(1, T + 1, n)
fx0 = modes[fresh.integers(3, size=(n, 2))] + width * fresh.standard_normal((n, 2))
fe = fresh.standard_normal((n, 2))
fx = a[ft][:, None] * fx0 + s[ft][:, None] * fe
ours, best = ask(net, fx, ft), perfect_eps(fx, ft[:, None])
check.mean("17.3", ((ours - fe) ** 2 - (best - fe) ** 2 - (ours - best) ** 2).mean(1), 0.0)
check.claim("loss of the trained network", loss.mean(), 0.25, tol=0.04)
check.claim("of which irreducible", ((best - fe) ** 2).mean(), 0.237, tol=0.02)
at_30 = 1 - (density(30) * perfect_eps(grid, 30) ** 2).sum() * h
check.equal("17.5", at_30, J[30])
check.at_most("17.5", floor, loss.mean(), attained=(at_30, J[30]))

# %% tags=["figure"]
fig, ax = plt.subplots(figsize=(6.5, 2.8), layout="constrained")
for column, label in ((1, "raw"), (2, "averaged"), (4, "averaged, no warm-up")):
    ax.semilogy(history[:, 0], history[:, column], marker="o", markersize=3, label=label)
ax.set(xlabel="training step", ylabel="avoidable loss",
       title="how far from the perfect network")  # fmt: skip
ax.legend()
figures.show(fig, "Avoidable loss over 3000 steps, falling from 0.75; averaged weights lie below "
             "the raw ones until step 2000, the average without a warm-up far above.")  # fmt: skip

# %% [markdown]
# ## 4. Sampling: DDPM
#
# From the guess of the noise we get a guess of the data point, and put it into the posterior mean
# $\tilde\mu_t$ of Lesson 16. Ho et al. (2020) print the same mean in another form. People ask
# which one is right; they are one:
#
# $$
# \tilde\mu_t(x_t, \hat x_0) =
# \frac{1}{\sqrt{\alpha_t}} \Big( x_t -
# \frac{\beta_t}{\sqrt{1 - \bar\alpha_t}} \hat\varepsilon \Big),
# \qquad \hat x_0 = \frac{x_t - s_t \hat\varepsilon}{a_t}
# \tag{17.9}
# $$
#
# The first goes by way of $\hat x_0$ and lets one clip it to the range of the data. The second is
# shorter.
#
# > **Predict, then run.** In the first form $\hat x_0$ has the error $s_t / a_t$ times that of
# > $\hat\varepsilon$. At $t = 100$, is that 0.2, 1 or more than 100? Is the first form then worse?


# %%
def posterior_mean(x0, xt, t):
    of_xt = np.sqrt(alpha[t]) * (1 - bar[t - 1]) / (1 - bar[t])
    return of_xt * xt + a[t - 1] * beta[t] / (1 - bar[t]) * x0


def short_mean(eps, xt, t):
    return (xt - beta[t] / s[t] * eps) / np.sqrt(alpha[t])


for t in (1, 2, 40, 100):
    xt, eps_hat = rng.standard_normal((2, 50))
    x0_hat = (xt - s[t] * eps_hat) / a[t]
    check.equal("17.9", posterior_mean(x0_hat, xt, t), short_mean(eps_hat, xt, t))
check.claim("error of the guess of x_0 for 1 of noise, t = 100", s[100] / a[100], "221.5")
for form, shift in (("first", posterior_mean(s[100] / a[100], 0.0, 100)),
                    ("second", -short_mean(1.0, 0.0, 100))):  # fmt: skip
    check.claim(f"error of the mean for 1 of noise, t = 100, {form} form", shift, "0.224")


# %% [markdown]
# The guess of the data point is off by 221.5, and the step by 0.224 in both forms: they are one.
#
# The sampler: start with noise, take $T$ steps, add noise of variance $\tilde\beta_t$ after each
# **but the last**. We draw from our network by our sampler and by the library's, with the same
# draws of noise. The two must agree up to rounding (float32, a hundred steps).
#
# > **Predict, then run.** Of true data 99 % lie within three widths of a blob's centre. What share
# > of our samples will: 90 %, 97.5 % or 99.9 %? And will their blobs be wider, or narrower?


# %%
def step_back(xt, eps_hat, t, noise):
    """One DDPM step; at t = 1 the mean is the answer."""
    beta_tilde = (1 - bar[t - 1]) / (1 - bar[t]) * beta[t]
    return short_mean(eps_hat, xt, t) + np.sqrt(beta_tilde) * noise  # beta-tilde_1 = 0


def ddpm(net, x, generator):
    for t in range(T, 0, -1):
        noise = tg.randn(*x.shape, generator=generator).numpy() if t > 1 else 0.0
        x = step_back(x, ask(net, x, np.full(len(x), t)), t, noise)
    return x


start = tg.randn(2000, 2, generator=tg.Generator().manual_seed(5))
samples = ddpm(net, start.numpy().astype(np.float64), tg.Generator().manual_seed(6))
model = diffusion.Diffusion(process, net)  # the library's, around our network
theirs = diffusion.sample(model, (2000, 2), start=start, generator=tg.Generator().manual_seed(6))
check.equal("17.9", samples, theirs, tol=2e-3)


def report(points):
    """Share of points within 3 widths of a centre, and the spread of those about it."""
    apart = points[:, None] - centers
    nearest = apart[np.arange(len(points)), (apart**2).sum(2).argmin(1)]
    close = np.sqrt((nearest**2).sum(1)) < 3 * width
    return close.mean(), nearest[close].std()


truth = draw_blobs(2000)
for name, points, inside, around in (("data", truth, 0.99, 0.194), ("DDPM", samples, 0.975, 0.213)):
    share, spread = report(points)
    check.claim(f"{name}: share within 3 widths of a blob", share, inside, tol=0.01)
    check.claim(f"{name}: width of the blobs", spread, around, tol=0.04)

# %% tags=["figure"]
fig, axes = plt.subplots(1, 2, figsize=(6, 3.1), layout="constrained")
for ax, points, title in zip(axes, (truth, samples), ("data", "DDPM, our network")):
    ax.scatter(*points.T, s=2, linewidths=0)
    ax.set(title=title, xlim=(-2.6, 2.6), ylim=(-2.6, 2.6), aspect="equal",
           xlabel="first coordinate", ylabel="second coordinate")  # fmt: skip
figures.show(fig, "Nine blobs of data, and nine blobs of samples with a few more points between.")

# %% [markdown]
# Nearly right: 97.5 %. The blobs are a little wider than the data's (0.213 for 0.194), and more
# points lie between them: that is what the avoidable loss that is left looks like. Longer training
# shrinks it further.
#
# ## Fix the slide: why not in one step?
#
# The lecture notes ask how to generate:
#
# > `ldea 1: sample point from N (0, 1), run decoder with t=T to generate X,`
# >
# > `Issue: Doesn’t work that well... that was the entire motivation for having`
# > `multiple steps`
#
# It does not work at all, and the reason is exact. The network answers $\mathbb{E}[x_0 \mid x_t]$,
# and pure noise $x_T$ says nothing about $x_0$: **one step gives the data's mean**, whatever the
# noise. Take data $\mathcal{N}(0, 1)$ and the VE chain of Lesson 16 with $\sigma_T = 10$: the
# perfect answer $x_T / (1 + \sigma_T^2)$ has the variance $1 / (1 + \sigma_T^2)$. For a coin of
# $\pm 1$ the answer is $\tanh(x_T / \sigma_T^2)$. And our own chain ends in purer noise still.

# %%
exact_ve = diffusion.geometric(50)  # sigma from 0.01 to 10
point = diffusion.ExactDenoiser(exact_ve, tg.tensor([[0.0]], dtype=tg.float64), 1.0)
gain = point(tg.ones(1, 1, dtype=tg.float64), tg.tensor([1000.0])).item()  # the answer to x_T = 1
check.claim("E57: data N(0, 1), one step: variance", gain**2 * (1 + 10.0**2), "0.0099")
check.claim("E57: the same by the formula", 1 / (1 + 10.0**2), "0.0099")
coin = rng.choice([-1.0, 1.0], 100_000) + 10 * rng.standard_normal(100_000)
check.claim("E57: a coin, one step: mean |x_0|", np.abs(np.tanh(coin / 10.0**2)).mean(), "0.08")
noise = start.numpy().astype(np.float64)
one_shot = (noise - s[T] * perfect_eps(noise, T)) / a[T]
theirs = perfect.predict(start, T).x0.numpy()
check.claim("E57: nine blobs, one step: the library's", np.abs(one_shot - theirs).max() < 1e-9)
check.claim("E57: nine blobs of variance 1, one step: variance", one_shot.var(), "0.0000")
check.claim("E57: the same, share in the middle blob", (np.abs(one_shot) < 0.1).mean(), "1.00")

# %% [markdown]
# A variance of 0.0099 where it should be 1; coins that show 0.08; and of nine blobs only the middle
# one is ever seen. Section 10 shows the same of a network of digits: one step paints the mean of
# the class. The other steps decide *which* point.
#
# ## A bug from the wild: noise on the last step
#
# The DDPM of labml's
# [annotated implementations](https://github.com/labmlai/annotated_deep_learning_paper_implementations)
# draws `mean + sqrt(var) * eps` in **every** step of `p_sample`, the last one too. (Elsewhere
# people ask why others do not: TeaPearce/Conditional_Diffusion_MNIST issue #10.) It is in good
# company. The published notebook azad-academy/denoising-diffusion-model, after one of
# acids-ircam/diffusion_models, returns `mean + sigma_t * z` for every $t$ (`p_sample` in its
# `utils.py`). And `superminddpm.py` of cloneofsimo/minDiffusion, "Extremely Minimalistic
# Implementation of DDPM", draws `z` in each pass of `for i in range(self.n_T - 1, 0, -1)`, a loop
# that also ends one frame early. (`mindiffusion/ddpm.py` of the same repository was mended later:
# `if i > 1 else 0`.)
#
# The last step gives $x_0$ itself. Its mean is the guess of the data point, and noise on top is
# just noise on the picture. To see the grain alone, let the data be a **single point**, 0, and the
# network perfect: $\varepsilon^\ast = x_t / s_t$. Whatever is not 0 at the end is the bug. The
# three loops in our own words, with their default betas:


# %%
def grain(betas, noisy_end, stop=0):
    """Standard deviation of the samples of a point at 0; the chain is linear, so it is exact."""
    bar, V = np.cumprod(1 - betas), 1.0
    for i in range(len(betas) - 1, stop - 1, -1):  # betas[0] is beta_1
        k = (1 - betas[i] / (1 - bar[i])) / np.sqrt(1 - betas[i])  # the mean is k x_t
        V = k**2 * V + betas[i] * (i > stop or noisy_end)
    return np.sqrt(V)


ho = np.linspace(1e-4, 0.02, 1000)
loops = {
    "as it should be": (grain(ho, False), "0.0000"),
    "labml": (grain(ho, True), "0.0100"),
    "the notebook": (grain(np.linspace(1e-5, 1e-2, 1000), True), "0.0032"),
    "superminddpm": (grain(np.linspace(1e-4, 0.02, 1001)[:1000], True, stop=1), "0.0136"),
}
for name, (found, said) in loops.items():
    check.claim(f"grain on a picture that is one point: {name}", found, said)
V = 1.0  # the same recursion by (17.9), on our betas, to x_1
for t in range(T, 1, -1):
    V = posterior_mean(0.0, 1.0, t) ** 2 * V + beta[t]
check.equal("17.9", grain(process.betas, True, stop=1) ** 2, V)
check.equal("17.9", grain(process.betas, False, stop=1) ** 2, V - beta[2])
check.claim("grain of labml in grey levels of 256", loops["labml"][0] / (2 / 255), "1.3")

# %% [markdown]
# A standard deviation of 0.0100 is 1.3 grey levels of 256 in $[-1, 1]$: a film of grain that no one
# notices, until the steps are fewer and $\beta_1$ larger. With our 100 steps, on nine blobs that
# are narrower than the grain:


# %%
def sample_perfect(width, noisy_end, n=4000):
    """DDPM with the perfect network for blobs of this width, variance beta_t as in that code."""
    x = rng.standard_normal((n, 2))
    for t in range(T, 0, -1):
        mean = short_mean(perfect_eps(x, t, width=width), x, t)
        noise = rng.standard_normal(x.shape) if t > 1 or noisy_end else 0.0
        x = mean + np.sqrt(beta[t]) * noise
    return x


def spread(points):
    nearest = ((points[:, None] - centers) ** 2).sum(2).min(1)
    return np.sqrt(nearest.mean() / 2)


for noisy, said in ((False, 0.0176), (True, 0.0360)):
    found = spread(sample_perfect(0.02, noisy))
    check.claim(
        f"blobs of width 0.02, noise on the last step {noisy}: width", found, said, tol=0.03
    )
check.claim("grain and width together", np.sqrt(0.02**2 + beta[1]), "0.0374")


# %% [markdown]
# (Without that noise the blobs come out a little too narrow. The last guess is an average, which
# loses variance, and the variances $\beta_t$ of the steps before are too large for data so narrow,
# which adds some; see Lesson 16. More steps mend both. Noise on the picture mends neither.)
#
# The check to keep needs no data: **the last step must not roll dice**. Call it twice with
# different noise and compare.


# %%
def assert_last_step_is_quiet(step):
    """step(xt, eps_hat, t, noise): at t = 1 the noise must not matter."""
    xt, eps_hat, first, second = np.random.default_rng(1).standard_normal((4, 8))
    if not np.allclose(step(xt, eps_hat, 1, first), step(xt, eps_hat, 1, second)):
        raise AssertionError("the last step adds noise to x_0")


def noisy_step(xt, eps_hat, t, noise):
    return short_mean(eps_hat, xt, t) + np.sqrt(beta[t]) * noise


for step in (step_back, noisy_step):
    try:
        assert_last_step_is_quiet(step)
        found = "quiet"
    except AssertionError as error:
        found = str(error)
    check.claim(f"{step.__name__}: caught", "adds noise" in found, step is noisy_step)
check.claim("noisy_step: what noise of 2 adds at t = 1", noisy_step(0.0, 0.0, 1, 2.0), "0.0632")
check.claim("noisy_step: what it makes of 1 without noise", noisy_step(1.0, 0.0, 1, 0.0), "1.0005")

# %% [markdown]
# ## 5. DDIM: other chains with the same frames
#
# A hundred calls of the network for one sample is a lot. Here is the thought that made sampling
# fast (Song, Meng and Ermon 2021). The loss (17.2) looks at **single frames** $q(x_t \mid x_0)$
# only. It never looks at how neighbouring frames hang together. So every process with the same
# frames has the same loss and the same trained network, and we may choose another process to run
# backwards.
#
# Keep a part of the old noise and add fresh noise, of a variance $\sigma^2$ that we choose:
#
# $$
# q_\sigma(x_{t-1} \mid x_t, x_0) = \mathcal{N}\Big( a_{t-1} x_0 +
# \sqrt{s_{t-1}^2 - \sigma^2} \cdot \frac{x_t - a_t x_0}{s_t}, \ \sigma^2 \Big),
# \qquad 0 \le \sigma \le s_{t-1}
# \tag{17.10}
# $$
#
# The fraction is the noise in $x_t$, of variance 1. What arrives has noise of variance
# $(s_{t-1}^2 - \sigma^2) + \sigma^2$, whatever $\sigma$ is. So if $x_t$ has the right law, so has
# $x_{t-1}$. If the chain starts from $q(x_T \mid x_0)$ of Lesson 16, then by induction from $T$
# down all frames are unchanged:
#
# $$
# q_\sigma(x_t \mid x_0) = \mathcal{N}(a_t x_0, s_t^2) \quad \text{for all} \ t
# \ \text{and every choice of} \ \sigma_1, \dots, \sigma_T
# \tag{17.11}
# $$
#
# First (17.10) against the library's step; then (17.11) twice, for $\sigma$ drawn at
# random: the recursion of mean and variance, and 20,000 chains that are really run.
#
# > **Predict, then run.** Every $\sigma_u$ is drawn between 0 and $s_u$, a new one for each step.
# > What is the variance of $x_{30}$ given $x_0$: more than $s_{30}^2$, which is 0.603, less, or
# > that?


# %%
def ddim_step(x0, eps, t, u, sigma, noise):
    """From x_t to x_u, u < t, with the noise eps in x_t and fresh noise of variance sigma^2."""
    return a[u] * x0 + np.sqrt(s[u] ** 2 - sigma**2) * eps + sigma * noise


x = tg.tensor(rng.standard_normal((5, 2)))
frames = diffusion.chain(perfect, x.shape, "ddim", eta=0.6, start=x,
                         generator=tg.Generator().manual_seed(7))  # fmt: skip
next(frames)
_, theirs = next(frames)  # x_{T-1}
eps_hat = perfect_eps(x.numpy(), T)
sigma_T = 0.6 * np.sqrt((1 - bar[T - 1]) / (1 - bar[T]) * beta[T])
noise = tg.randn(5, 2, generator=tg.Generator().manual_seed(7), dtype=tg.float64).numpy()
ours = ddim_step((x.numpy() - s[T] * eps_hat) / a[T], eps_hat, T, T - 1, sigma_T, noise)
check.equal("17.10", ours, theirs, tol=1e-8)

x0 = 1.3
sigmas = s * rng.uniform(0, 1, T + 1)  # sigmas[u] is used on the way to frame u
mean, variance, laws = a[T] * x0, s[T] ** 2, []
chains = mean + s[T] * rng.standard_normal(20_000)
for t in range(T, 1, -1):
    u = t - 1
    slope = np.sqrt(s[u] ** 2 - sigmas[u] ** 2) / s[t]
    mean = a[u] * x0 + slope * (mean - a[t] * x0)
    variance = slope**2 * variance + sigmas[u] ** 2
    laws.append([mean, variance])
    chains = ddim_step(x0, (chains - a[t] * x0) / s[t], t, u, sigmas[u],
                       rng.standard_normal(chains.shape))  # fmt: skip
    if u == 30:
        at_30 = chains
check.equal("17.11", laws, [[a[u] * x0, s[u] ** 2] for u in range(T - 1, 0, -1)])
deviation = at_30 - a[30] * x0
check.mean("17.11", np.stack([deviation, deviation**2], 1), [0.0, s[30] ** 2])
check.claim("variance of x_30 given x_0, by the recursion", laws[T - 31][1], "0.603")

# %% [markdown]
# Two members of the family matter. Write $\sigma^2 = \eta^2 \tilde\beta_t$. At $\eta = 1$ the mean
# is DDPM's:
#
# $$
# a_{t-1} x_0 + \sqrt{s_{t-1}^2 - \tilde\beta_t} \cdot \frac{x_t - a_t x_0}{s_t}
# = \tilde\mu_t(x_t, x_0)
# \tag{17.12}
# $$
#
# At $\eta = 0$ there are no dice: the step takes the guesses of data and noise and mixes them again
# for the lower level. Nothing ties $u$ to $t - 1$, because (17.11) only needs the two frames:
#
# $$
# x_u = a_u \hat x_0 + s_u \hat\varepsilon, \qquad u \lt t \ \text{any earlier frame}
# \tag{17.13}
# $$
#
# This is **DDIM**. It is also what one gets by solving $x_t = a_t x_0 + s_t \varepsilon$ for a new
# $t$ while holding on to $x_0$ *and* $\varepsilon$. (The slide's sampler of Lesson 16 kept $\hat
# x_0$ and threw $\hat\varepsilon$ away.) We check (17.12) for all $t$, and run (17.13) with 20
# steps on our trained network beside the library's (float32 again).
#
# > **Predict, then run.** DDPM with 100 steps had 97.5 % of its samples within three widths of a
# > blob. With DDIM and 20 steps, is it 60 %, 80 % or 97 %?

# %%
t = np.arange(2, T + 1)
x0_, xt_ = rng.standard_normal((2, T - 1))
tilde = (1 - bar[t - 1]) / (1 - bar[t]) * beta[t]
kept = np.sqrt(s[t - 1] ** 2 - tilde)
left = a[t - 1] * x0_ + kept * (xt_ - a[t] * x0_) / s[t]
check.equal("17.12", left, posterior_mean(x0_, xt_, t))


def ddim(net, x, steps):
    """Noise to data in `steps` steps of (17.13)."""
    times = np.rint(np.linspace(T, 0, steps + 1)).astype(int)
    for t, u in zip(times[:-1], times[1:]):
        eps_hat = ask(net, x, np.full(len(x), t))
        x = a[u] * (x - s[t] * eps_hat) / a[t] + s[u] * eps_hat
    return x


ours = ddim(net, start.numpy().astype(np.float64), 20)
check.equal("17.13", ours, diffusion.sample(model, (2000, 2), "ddim", 20, start=start), tol=1e-4)
check.claim("20 steps of DDIM: share within 3 widths of a blob", report(ours)[0], 0.97, tol=0.01)

# %% [markdown]
# ## Fix the slide: DDIM is not a way to train
#
# The lecture notes close the page "Training", on which $x_0$ is to be guessed at random $t$, with
#
# > `Note: There are many variants, e.g., DDPM, DDIM`
#
# As training, DDPM and DDIM are not two variants but one: same loss, same network, same weights. We
# trained once, and both samplers drew from it above. The loss cannot even tell which chain made a
# frame. The cell makes frames $x_{30}$ by 30 steps of DDPM's forward chain, and by DDIM's chain
# from $x_{100}$ down, and asks our network for the noise in them.

# %%
x0 = draw_blobs(10_000)
ddpm_frame = x0
for t in range(1, 31):
    ddpm_frame = np.sqrt(alpha[t]) * ddpm_frame + np.sqrt(beta[t]) * rng.standard_normal(x0.shape)
ddim_frame = a[T] * x0 + s[T] * rng.standard_normal(x0.shape)
for t in range(T, 30, -1):
    ddim_frame = ddim_step(x0, (ddim_frame - a[t] * x0) / s[t], t, t - 1, 0.0, 0.0)
for name, frame in (("DDPM", ddpm_frame), ("DDIM", ddim_frame)):
    inside = (frame - a[30] * x0) / s[30]  # the noise in the frame
    loss = ((ask(net, frame, np.full(10_000, 30)) - inside) ** 2).mean()
    check.claim(f"E60: loss at t = 30 on frames of {name}", loss, 0.39, tol=0.03)

# %% [markdown]
# 0.39 both times, which is $J_{30}$ and hardly more. DDIM is a sampler.
#
# ## Fix the slide, second look: the far end of the family
#
# Lesson 16 refuted the lecture notes' line
#
# > `4: i1 = To(Xs,t) + s—_1€` (read: $x_{t-1} = T_\theta(x_t, t) + \alpha_{t-1} \varepsilon$)
#
# by the variance that it loses. Now we can place it. In (17.10) it is the extreme choice $\sigma =
# s_{t-1}$: *all* noise is fresh, nothing of $x_t$ is kept. With the true $x_0$ that has the right
# frames, by (17.11), as every $\sigma$ has. What breaks is that $x_0$ is not known. A sampler puts
# $\hat x_0 = \mathbb{E}[x_0 \mid x_t]$ in its place, and the damage depends on $\sigma$. The exact
# output variance for data $\mathcal{N}(0, 1)$ and a perfect network, by recursion, for the three
# choices:


# %%
def output_variance(times, choice):
    """Variance of x_0 for data N(0, 1): then E[x_0 | x_t] = a_t x_t and eps* = s_t x_t."""
    V = 1.0
    for t, u in zip(times[:-1], times[1:]):
        tilde = (1 - bar[u]) / (1 - bar[t]) * (1 - bar[t] / bar[u])
        sigma2 = {"DDIM": 0.0, "DDPM": tilde, "slide": s[u] ** 2}[choice]
        V = (a[u] * a[t] + np.sqrt(s[u] ** 2 - sigma2) * s[t]) ** 2 * V + sigma2
    return V


for steps, row in ((10, ("0.686", "0.544", "0.364")), (100, ("0.963", "0.921", "0.470"))):
    times = np.rint(np.linspace(T, 0, steps + 1)).astype(int)
    for choice, said in zip(("DDIM", "DDPM", "slide"), row):
        check.claim(f"E9: {steps} steps, {choice}: variance", output_variance(times, choice), said)

# %% [markdown]
# It should be 1. With 100 steps DDIM has 0.963, DDPM 0.921 and the slide's sampler 0.470. The less
# fresh noise, the less depends on the guess, and the fewer steps are enough.
#
# ## 6. DDIM follows a flow
#
# What happens with ever smaller steps of DDIM? Divide (17.13) by $a_u$. With $y = x / a$ and the
# noise-to-signal ratio $\rho = s / a$ (this is the VE chain of Lesson 16, $\rho_t$ its $\sigma_t$):
#
# $$
# \frac{x_u}{a_u} = \frac{x_t}{a_t} + (\rho_u - \rho_t) \hat\varepsilon(x_t, t)
# \tag{17.14}
# $$
#
# That is one Euler step of the differential equation $dy / d\rho = \varepsilon^\ast(y, \rho)$:
# points *flow*, each with a velocity that depends on where it is. DDIM with few steps is that
# flow, coarsely integrated. Why does a flow without any dice transport the right law? A cloud of
# points with density $p_\rho(y)$ and velocity $\varepsilon^\ast$ changes by the continuity
# equation (what flows in minus what flows out):
#
# $$
# \frac{\partial p_\rho(y)}{\partial \rho} = -
# \frac{\partial}{\partial y} \big( p_\rho(y) \ \varepsilon^\ast(y, \rho) \big)
# \tag{17.15}
# $$
#
# and the density of *data plus noise of level $\rho$* obeys exactly this. The flow is called the
# **probability flow** (Song, Sohl-Dickstein et al. 2021). For the check, $p_\rho$ is our three
# modes plus noise of level $\rho$, both derivatives are taken by autograd, and $\varepsilon^\ast$
# is (17.4).
#
# > **Predict, then run.** Stand at $y = 0.6$, half way between two modes, at noise level $\rho =
# > 0.5$. As $\rho$ falls, which way does the flow carry you: to the middle mode at 0, to the right
# > one at 1.2, or nowhere?

# %%
t, u = 70, 45
xt = rng.standard_normal(6)
eps_hat = perfect_eps(xt, t)
direct = a[u] * (xt - s[t] * eps_hat) / a[t] + s[u] * eps_hat
check.equal("17.14", direct / a[u], xt / a[t] + (s[u] / a[u] - s[t] / a[t]) * eps_hat)


def noised(y, rho):
    """Density of the modes plus noise of level rho, and eps* there, as Tensors."""
    c = rho**2 + width**2
    bumps = [(-0.5 * (y - m) ** 2 / c).exp() / (2 * math.pi * c) ** 0.5 / 3 for m in modes]
    p = bumps[0] + bumps[1] + bumps[2]
    pull = sum(bump * (y - m) for bump, m in zip(bumps, modes))
    return p, rho / c * pull / p


y = tg.tensor(np.linspace(-2.5, 2.5, 13), requires_grad=True)
rho = tg.tensor(np.full(13, 0.5), requires_grad=True)
p, velocity = noised(y, rho)
(in_rho,) = tg.autograd.grad(p.sum(), [rho], retain_graph=True)
(in_y,) = tg.autograd.grad((p * velocity).sum(), [y])
check.equal("17.15", in_rho, -in_y)
spread_out = prior * normal(y.detach().numpy()[:, None], fine, 0.5**2)  # data plus noise
check.equal("17.15", p, spread_out.sum(1) * (fine[1] - fine[0]))
_, speed = noised(tg.tensor([0.6], dtype=tg.float64), 0.5)
check.claim("velocity dy / d rho at y = 0.6", speed.item(), "0.0108")

# %% [markdown]
# Almost nowhere: the two modes beside you balance, and the third, far to the left, decides. The
# velocity is 0.0108, so as $\rho$ falls you drift slowly to the left, to the middle mode.
#
# In one dimension the flow can be said in words. Points cannot overtake one another, so the point
# with a tenth of the cloud to its left keeps a tenth to its left all the way. With $F_t$ the
# distribution function of $x_t$,
#
# $$
# F_0(x_0) = F_T(x_T)
# \tag{17.16}
# $$
#
# The flow is the map from quantiles of the noise to quantiles of the data. We integrate it by 4000
# small Euler steps of (17.14), from 9 quantiles of the end of the chain, and compare. (Euler's
# error shrinks with the step; the tolerance allows for it.)
#
# > **Predict, then run.** Two more points start at $\rho = 40$, at $-18$ and $-16$: neighbours in
# > so wide a cloud. Where do they end: together, or in two modes?


# %%
def cdf(x, variance):
    half = [0.5 * (1 + math.erf((x - m) / math.sqrt(2 * variance))) for m in modes]
    return sum(half) / 3


rho_end = 40.0
ladder = np.concatenate([np.geomspace(rho_end, 1e-3, 4000), [0.0]])
y = np.append(np.linspace(-60.0, 60.0, 9), [-18.0, -16.0])
levels = [cdf(v, rho_end**2 + width**2) for v in y]
for now, then in zip(ladder[:-1], ladder[1:]):
    with tg.no_grad():
        y = y + (then - now) * noised(tg.tensor(y), now)[1].numpy()
check.equal("17.16", [cdf(v, width**2) for v in y], levels, tol=3e-3)
for k, share, end in ((9, "0.33", "-0.8"), (10, "0.34", "-0.4")):
    check.claim(f"share of the cloud to the left of point {k}, at the start", levels[k], share)
    check.claim(f"where point {k} ends", y[k], end)

# %% [markdown]
# ## 7. How few steps?
#
# Now both samplers with fewer and fewer steps. To see the sampler alone we first use the perfect
# network and measure, one coordinate at a time, the Wasserstein distance $W_1$ between 10,000
# samples and the data (sort both, average the gaps). Then the same with the network that we
# trained. The dotted line is the distance of as many points of true data.
#
# > **Predict, then run.** The perfect network first. With 5 steps, which sampler is nearer to the
# > data, and by how much? And does either get anywhere with two?


# %%
def w1(x):
    """W_1 between samples and the data's law, by quantiles; mean over coordinates."""
    at = np.cumsum(prior) * (fine[1] - fine[0])
    ranks = (np.arange(len(x)) + 0.5) / len(x)
    quantiles = np.interp(ranks, at, fine)[:, None]
    return np.abs(np.sort(x, 0) - quantiles).mean()


def sample_by(guess, steps, eta, n):
    """guess(x, t) -> eps; n points by `steps` steps of (17.10), sigma^2 = eta^2 beta-tilde."""
    times = np.rint(np.linspace(T, 0, steps + 1)).astype(int)
    x = rng.standard_normal((n, 2))
    for t, u in zip(times[:-1], times[1:]):
        eps_hat = guess(x, t)
        tilde = (1 - bar[u]) / (1 - bar[t]) * (1 - bar[t] / bar[u])
        sigma = eta * np.sqrt(tilde)
        x0_hat = (x - s[t] * eps_hat) / a[t]
        x = ddim_step(x0_hat, eps_hat, t, u, sigma, rng.standard_normal(x.shape))
    return x


counts = (2, 3, 5, 10, 20, 50, 100)


def distances(guess, size):
    return {
        name: np.array([w1(sample_by(guess, steps, eta, size)) for steps in counts])
        for name, eta in (("DDPM", 1.0), ("DDIM", 0.0))
    }


exact = distances(perfect_eps, 10_000)
for name, row in (("DDPM", (0.64, 0.43, 0.29, 0.165)), ("DDIM", (0.64, 0.42, 0.25, 0.11))):
    for steps, found, said in zip(counts, exact[name], row):
        check.claim(f"W_1, {steps} steps of {name}", found, said, tol=0.06)
check.claim("DDIM is nearer with 5, 10, 20 and 50 steps", (exact["DDIM"] < exact["DDPM"])[2:6])
check.claim("100 steps: both are near", [exact[name][6] < 0.04 for name in exact])

# %% [markdown]
# With two steps both are lost, at 0.64; with five DDIM has 0.25 and DDPM 0.29, with ten 0.11 and
# 0.165.
#
# > **Predict, then run.** Now the network that we trained. Does DDIM keep its lead with 5 and 10
# > steps? And which costs more there, the few steps or the imperfect network?

# %%
trained = distances(lambda x, t: ask(net, x, np.full(len(x), t)), 2_000)
check.claim("DDIM is nearer with 5 and 10 steps", (trained["DDIM"] < trained["DDPM"])[2:4])
check.claim("5 steps of DDIM, trained network", trained["DDIM"][2], 0.26, tol=0.1)
network = trained["DDIM"][2:4] - exact["DDIM"][2:4]  # beside exact["DDIM"], the cost of few steps
check.claim("the few steps cost more", np.abs(network) < 0.5 * exact["DDIM"][2:4])

# %% tags=["figure"]
fig, axes = plt.subplots(1, 2, figsize=(6.8, 2.8), sharey=True, layout="constrained")
for ax, (title, size, lines) in zip(axes, (("perfect network", 10_000, exact),
                                           ("trained network", 2_000, trained))):  # fmt: skip
    for (name, line), dashes in zip(lines.items(), ("o--", "o-")):
        ax.loglog(counts, line, dashes, markersize=3, label=name)
    ax.axhline(w1(draw_blobs(size)), color="k", linestyle=":", linewidth=1, label="true data")
    ax.set(xlabel="steps", title=title)
axes[0].set_ylabel("$W_1$ to the data")
axes[0].legend(loc="upper right")
figures.show(fig, "W_1 to the data over 2 to 100 steps, logarithmic axes: DDIM below DDPM; with "
             "the trained network both end at the distance of as many true points.")  # fmt: skip

# %% [markdown]
# With 5 and 10 steps DDIM keeps its lead, and 5 steps of it cost 0.26, hardly more than with the
# perfect network. With many steps both reach the error that the network and the number of samples
# allow. (With an imperfect network, dice can also help: fresh noise covers errors made earlier,
# Karras et al. 2022.)
#
# ## 8. Guidance
#
# With labels $y$ a network can be trained to predict the noise with the label, $\varepsilon(x_t
# \mid y)$, and, by hiding the label now and then, without it, $\varepsilon(x_t)$. *Classifier-free
# guidance* (Ho and Salimans 2022) exaggerates the difference by a factor $g$:
#
# $$
# \hat\varepsilon_g(x_t) = \varepsilon(x_t) +
# g \big( \varepsilon(x_t \mid y) - \varepsilon(x_t) \big)
# = -s_t \nabla_{x_t} \big[ \log q(x_t) + g \log q(y \mid x_t) \big]
# \tag{17.17}
# $$
#
# $g = 0$ ignores the label, $g = 1$ is the plain conditional model, $g \gt 1$ asks for points that
# are *more typical of the label than the label's own*. The right side holds for perfect networks;
# it follows from the score formula of Lesson 16 and Bayes' rule. On a mixture everything is in
# closed form: the label is the mode. We take broad modes that overlap and check the identity by
# autograd.
#
# > **Predict, then run.** The label says: the mode on the right. For a point far to the left, does
# > the label change the guess of the noise much, or little? And far to the right, beyond that mode?

# %%
broad, t = 0.6, 25
x = rng.standard_normal(7)
plain = perfect_eps(x, t, width=broad)
labelled = perfect_eps(x, t, modes=modes[2:], width=broad)  # y = the mode on the right
c = a[t] ** 2 * broad**2 + s[t] ** 2
z = tg.tensor(x, requires_grad=True)
logs = tg.stack([-0.5 * (z - a[t] * m) ** 2 / c for m in modes])
log_q, log_label = logs.logsumexp(0), logs[2] - logs.logsumexp(0)
(score,) = tg.autograd.grad((log_q + 3.0 * log_label).sum(), [z])
check.equal("17.17", plain + 3.0 * (labelled - plain), -s[t] * score)
far = np.array([-3.0, 3.0])
change = perfect_eps(far, t, modes=modes[2:], width=broad) - perfect_eps(far, t, width=broad)
check.claim("what the label changes at -3", change[0], "-1.78")
check.claim("what the label changes at 3", change[1], "-0.03")

# %% [markdown]
# What does one get? At *each level of noise* the guided score is that of $q(x_t) \ q(y \mid
# x_t)^g$. It is tempting to conclude that samples follow that law at $t = 0$. They do not, because
# these laws at different $t$ are not noised versions of one another. We sample by DDIM from a fine
# grid of starting points, weighted by the density of the noise, and compare with the tilted law
# by quadrature.
#
# > **Predict, then run.** The mode on the right is $\mathcal{N}(1.2, 0.6^2)$. Where do samples with
# > $g = 3$ gather: at 1.2, at the mean of the tilted law, 1.46, or farther out?

# %%
first = np.linspace(-3.5, 3.5, 4001)
mass = normal(first, 0, 1) / normal(first, 0, 1).sum()
q0 = sum(normal(fine, m, broad**2) for m in modes)
label_prob = normal(fine, modes[2], broad**2) / q0
for g, said in ((0.0, ("0.00", "1.13", "0.00", "1.15")), (1.0, ("1.20", "0.58", "1.20", "0.60")),
                (3.0, ("2.02", "0.34", "1.46", "0.47"))):  # fmt: skip
    x = first.copy()
    for t in range(T, 0, -1):
        plain = perfect_eps(x, t, width=broad)
        labelled = perfect_eps(x, t, modes=modes[2:], width=broad)
        eps_hat = plain + g * (labelled - plain)
        x = a[t - 1] * (x - s[t] * eps_hat) / a[t] + s[t - 1] * eps_hat
    m = (mass * x).sum()
    sd = np.sqrt((mass * (x - m) ** 2).sum())
    tilted = q0 * label_prob**g
    tilted /= tilted.sum()
    mean_t = (tilted * fine).sum()
    sd_t = np.sqrt((tilted * (fine - mean_t) ** 2).sum())
    names = ("samples, mean", "samples, sd", "tilted law, mean", "tilted law, sd")
    for what, value, digits in zip(names, (m, sd, mean_t, sd_t), said):
        check.claim(f"g = {g:.0f}: {what}", value, digits)

# %% [markdown]
# For $g = 0$ and $1$ the samples have the right law, up to the error of 100 steps. For $g = 3$ they
# move away from the other modes, to 2.02, and gather, within 0.34: more typical, less varied. And
# they are not the tilted law, which lies at 1.46 and within 0.47. Guidance is a way to steer, not a
# way to sample from a stated density.
#
# ## 9. Bits per dimension
#
# An image is a row of integers, and a density can be arbitrarily high at integers. So the last
# term of the bound, the decoder $p(x_0 \mid x_1)$, gives each of $K$ grey levels between $-1$ and
# $1$ the **mass** that a Gaussian $\mathcal{N}(\mu, \sigma^2)$ has in the level's cell; the
# outermost cells reach to infinity. With $\Phi$ the normal distribution function and $x_k^\pm$ the
# borders of cell $k$,
#
# $$
# P(k) = \Phi\Big(\frac{x_k^+ - \mu}{\sigma}\Big) - \Phi\Big(\frac{x_k^- - \mu}{\sigma}\Big),
# \qquad \sum_{k=1}^K P(k) = 1
# \tag{17.18}
# $$
#
# Now the bound is in nats for a whole image of $D$ numbers; in *bits per dimension* it is
#
# $$
# \text{bits/dim} = \frac{-\mathrm{ELBO}}{D \log 2}
# \tag{17.19}
# $$
#
# A model that knows nothing needs $\log_2 K$ bits for each number.
#
# > **Predict, then run.** A mean of 0.3, a deviation of 0.1, and 16 levels, 2/15 apart. How much
# > mass has the likeliest level: a tenth, a half, or nearly all? And if the mean lies outside, at
# > $-1.4$ with a deviation of 0.5, which level has most?

# %%
K = 16
values = np.linspace(-1, 1, K)
half = 1 / (K - 1)
above = [math.inf if k == K - 1 else values[k] + half for k in range(K)]
below = [-math.inf if k == 0 else values[k] - half for k in range(K)]
phi = lambda z: 0.5 * (1 + math.erf(z / math.sqrt(2)))  # noqa: E731
for mu, sigma, likeliest, said in ((0.3, 0.1, "10", "0.472"), (-1.4, 0.5, "0", "0.825")):
    ours = [phi((up - mu) / sigma) - phi((lo - mu) / sigma) for up, lo in zip(above, below)]
    check.equal("17.18", sum(ours), 1.0)
    theirs = diffusion.discretised_log_prob(
        tg.tensor(values[:, None]), tg.tensor([[mu]], dtype=tg.float64),
        tg.tensor([[2 * math.log(sigma)]], dtype=tg.float64), K,
    ).exp()  # fmt: skip
    check.equal("17.18", ours, theirs, tol=1e-8)
    check.claim(f"mean {mu}: the likeliest level", np.argmax(ours), likeliest)
    check.claim(f"mean {mu}: its mass", max(ours), said)
knows_nothing = -np.log(np.full((8, 8), 1 / K)).sum()  # nats of an 8x8 image, each level 1/16
check.equal("17.19", knows_nothing / (64 * math.log(2)), math.log2(K))
check.equal("17.19", knows_nothing / (64 * math.log(2)), metrics.bits_per_dim(knows_nothing, 64))

# %% [markdown]
# No model can need fewer bits than the entropy of the data. Shannon's theorem, applied to the
# bound:
#
# $$
# H(p_d) \le \mathbb{E}_{x_0 \sim p_d}[-\log p_\theta(x_0)]
# \le \mathbb{E}_{x_0 \sim p_d}[-\mathrm{ELBO}]
# \tag{17.20}
# $$
#
# A toy of which we know the entropy: pictures of **two pixels** with 8 grey levels, 64 of them,
# each with its own probability. The perfect network is again in closed form (blobs of width 0).
# The gap that is left is the price of taking $T$ Gaussian steps; with more steps it closes. We
# check the two ends, with exact weights over the 64 pictures; the middle is an integral that we
# cannot do. (The first inequality holds for any masses in the place of $p_\theta$, and the data's
# own attain it.)
#
# > **Predict, then run.** Knowing nothing costs 3 bits a number; the entropy is 2.303. The network
# > is perfect. Is the bound with 20 steps below 3?

# %%
levels = 8
line = np.linspace(-1, 1, levels)
atoms = np.stack(np.meshgrid(line, line, indexing="ij"), -1).reshape(-1, 2)
p_atoms = np.random.default_rng(0).dirichlet(np.full(64, 0.3))
entropy = -(p_atoms * np.log(np.maximum(p_atoms, 1e-300))).sum()
pictures = tg.tensor(np.tile(atoms, (20, 1)))  # each of the 64 pictures, 20 times
check.claim("entropy, bits/dim", entropy / (2 * math.log(2)), "2.303")
cross = lambda q: -(p_atoms * np.log(q)).sum()  # noqa: E731
check.at_most("17.20", entropy, cross(np.full(64, 1 / 64)), attained=(entropy, cross(p_atoms)))
for steps, said in ((20, "3.381"), (60, "2.933"), (200, "2.442")):
    chain = diffusion.cosine(steps)
    exact = diffusion.ExactDenoiser(chain, tg.tensor(atoms), 0.0, tg.tensor(p_atoms))
    bound = diffusion.vlb(diffusion.Diffusion(chain, exact, "x0", bounded=True), pictures,
                          levels=levels, generator=tg.Generator().manual_seed(8))  # fmt: skip
    mean_bound = (p_atoms * bound.total.numpy().reshape(20, 64).mean(0)).sum()
    check.at_most("17.20", entropy, mean_bound)
    bits = metrics.bits_per_dim(mean_bound, 2)
    check.claim(f"T = {steps}: bound, bits/dim", bits, said)

# %% [markdown]
# ## 10. Pictures: the U-Net
#
# The MLP of section 3 does not know which pixels are neighbours. For pictures one takes a
# **U-Net**. Convolutions look at the picture at three sizes, 28, 14 and 7 pixels wide. On the way
# back up, each block also sees what the block of its size made on the way down, so that detail need
# not squeeze through the middle. At the smallest size *attention* lets each place look at every
# other. The clocks of section 3 and the label become a vector that is added to the channels of
# every block.
#
# The library's is `models.nets.UNet`. `models.restore` brings one with weights: on
# Fashion-MNIST, each of the 60,000 pictures seen once, one label in ten hidden. Which pixels of
# $x_t$ does its answer at the centre depend on? The gradient says (of the answer's pixel (14, 14),
# by each pixel of the input, in absolute value, summed over 18 pictures).
#
# > **Predict, then run.** Of that, which share comes from the 7 x 7 pixels around the centre, a
# > sixteenth of the picture: with little noise ($t = 10$ of 200), and with much ($t = 150$)?

# %% tolerance=0.02
unet, kinds = clothes.net, tg.arange(18) % 10
check.claim("parameters of the U-Net", sum(p.numel() for p in unet.parameters()), "453937")
pictures = clothes.sample(18, tg.Generator().manual_seed(12), kinds, "ddim", 10, guidance=2.0)
hiss = tg.randn(*pictures.shape, generator=tg.Generator().manual_seed(13))
looks = {}
for t in (10, 50, 100, 150):
    at, st = (float(level[t]) for level in (clothes.process.a, clothes.process.s))
    x = (at * pictures + st * hiss).requires_grad_()
    answer = unet(x, tg.full((18,), 1000 * t / 200), kinds)
    (gradient,) = tg.autograd.grad(answer[:, 0, 14, 14].sum(), [x])
    looks[t] = np.abs(gradient.numpy()).sum((0, 1))
near = {t: look[11:18, 11:18].sum() / look.sum() for t, look in looks.items()}
for t, said in ((10, 0.78), (50, 0.68), (100, 0.55), (150, 0.34)):
    check.claim(f"share of the 7 x 7 pixels around the centre, t = {t}", near[t], said, tol=0.1)

# %% tags=["figure"]
fig, axes = plt.subplots(1, 4, figsize=(8, 2.3), layout="constrained")
for ax, (t, look) in zip(axes, looks.items()):
    ax.imshow((look / look.max()) ** 0.4, cmap="Blues")
    ax.set(title=f"t = {t}: {near[t]:.0%} within 7 x 7", xticks=[], yticks=[])
figures.show(fig, "Four maps of where the U-Net looks to answer at the centre: a spot at t = 10, "
             "a wide cloud at t = 150.")  # fmt: skip

# %% [markdown]
# With little noise it repairs a pixel from its neighbours: 78 % comes from the square. With much
# noise it must first find out what the picture shows, and looks at all of it: 34 %.
#
# ### One step, and more
#
# > **Predict, then run.** The same U-Net on digits of 8 x 8 pixels. It gets pure noise and the
# > label, and takes one step, straight to its guess of $x_0$. What will one see: noise, a digit, or
# > something else? And from other noise?

# %%
_, _, writer = models.restore("ddpm-digits")
digits = data.load("digits", "train")
pixels, shown = digits.to_symmetric().numpy(), digits.labels.numpy()  # in [-1, 1]
rows = {"mean of the class": np.stack([pixels[shown == k].mean(0) for k in range(10)])}
for steps in (1, 2, 5, 10, 50):
    for seed, name in ((0, f"{steps} steps"), (1, f"{steps} steps, other noise")):
        start = tg.randn(10, 1, 8, 8, generator=tg.Generator().manual_seed(seed))
        rows[name] = writer.sample(10, None, tg.arange(10), "ddim", steps, start=start).numpy()


def alike(one, other):
    """The correlation of all pixels of ten pictures with those of ten others."""
    return np.corrcoef(rows[one].ravel(), rows[other].ravel())[0, 1]


check.claim(
    "E57: one step and the mean of the class", alike("1 steps", "mean of the class"), "0.99"
)
check.claim("E57: one step, from other noise", alike("1 steps", "1 steps, other noise"), "0.98")
check.claim("50 steps, from other noise", alike("50 steps", "50 steps, other noise"), "0.77")
check.claim("10 steps and 50, from the same noise", alike("10 steps", "50 steps"), "0.998")

# %% tags=["figure"]
fig, axes = plt.subplots(6, 1, figsize=(6.4, 4.4), layout="constrained")
for ax, name in zip(axes, ("mean of the class", *(f"{k} steps" for k in (1, 2, 5, 10, 50)))):
    ax.imshow(rows[name].reshape(10, 8, 8).transpose(1, 0, 2).reshape(8, 80), cmap="gray_r",
              vmin=-1, vmax=1)  # fmt: skip
    ax.set_ylabel(name.replace("1 steps", "1 step"), rotation=0, ha="right", va="center")
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
figures.show(fig, "Six rows of the digits 0 to 9: the mean of each class; one step, blurred in the "
             "same way; two, five, ten and fifty steps, sharper and sharper.")  # fmt: skip

# %% [markdown]
# One step is the mean of the class (correlation 0.99), whatever the noise (0.98): what section 4
# said, painted by a network that was never told. With 50 steps other noise makes other digits
# (0.77), but 10 steps from the same noise make the same (0.998). Without dice, the noise *is* the
# picture's code, as the $z$ of a VAE or a GAN.
#
# ### Averaged weights, seen
#
# Let that network go on learning with a step size that is too large, 60 batches of 32, and keep an
# average of its weights beside it, in the library's three words: `tg.optim.EMA`, `update`, `swap`.
#
# > **Predict, then run.** Which weights are the better ones on test pictures? And can one see it?

# %% tolerance=0.1
_, _, student = models.restore("ddpm-digits")
optimizer, ema = tg.optim.Adam(student.parameters(), lr=5e-3), tg.optim.EMA(student, 0.98)
tg.manual_seed(0)
for _ in range(60):
    batch = rng.integers(len(pixels), size=32)
    loss = student.terms((tg.tensor(pixels[batch]), tg.tensor(shown[batch])))["loss"]
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    ema.update()

unseen = data.load("digits", "test")
hiss = tg.randn(200, 1, 8, 8, generator=tg.Generator().manual_seed(3))
few = (unseen.to_symmetric()[:200], tg.tensor(np.arange(200) + 1), hiss, unseen.labels[:200])


def examine():
    """The loss on test pictures, one at each t, and a row of digits."""
    with tg.no_grad():
        lost = student.errors(*few).mean().item()
        return lost, student.sample(10, None, tg.arange(10), "ddim", 20, start=start).numpy()


raw, raw_digits = examine()
with ema.swap():  # the averaged weights in, and out again at the end
    averaged, averaged_digits = examine()
check.claim("loss of the raw weights", raw, 0.30, tol=0.1)
check.claim("the averaged weights are better", averaged < raw)
check.claim("loss of the averaged weights / of the raw ones", averaged / raw, 0.95, tol=0.04)

# %% tags=["figure"]
fig, axes = plt.subplots(2, 1, figsize=(6.4, 1.7), layout="constrained")
for ax, (name, images) in zip(axes, (("raw", raw_digits), ("averaged", averaged_digits))):
    ax.imshow(images.reshape(10, 8, 8).transpose(1, 0, 2).reshape(8, 80), cmap="gray_r",
              vmin=-1, vmax=1)  # fmt: skip
    ax.set_ylabel(name, rotation=0, ha="right", va="center")
    ax.set(xticks=[], yticks=[])
figures.show(fig, "Two rows of digits from the same noise, by the raw and by the averaged weights: "
             "nearly the same.")  # fmt: skip

# %% [markdown]
# The averaged weights have the smaller loss. By eye the two rows can hardly be told apart: the loss
# sees more than ten digits show. Choose weights by the loss on test pictures, not by a few samples.
#
# ### Guidance, seen
#
# At last the 28-pixel pictures. Each column has a label (T-shirt, trousers, pullover, dress, coat,
# sandal, shirt, sneaker, bag, boot), each row its noise; 10 steps of DDIM; the slider moves $g$ of
# (17.17).
#
# > **Predict, then run.** What happens to the spread of the pictures *within* a column from $g = 0$
# > over $g = 1$ to $g = 6$?

# %% tolerance=0.02
scales = (0.0, 1.0, 2.0, 3.0, 6.0)
worn = {
    g: clothes.sample(20, tg.Generator().manual_seed(5), tg.arange(20) % 10, "ddim", 10, guidance=g)
    for g in scales
}
for g, spread_, ink in ((0.0, 0.22, 0.30), (1.0, 0.15, 0.31), (2.0, 0.13, 0.35), (6.0, 0.13, 0.39)):
    images = worn[g].numpy().reshape(2, 10, -1)
    check.claim(f"spread within a column, g = {g:.0f}", images.std(0).mean(), spread_, tol=0.05)
    check.claim(f"share of dark pixels, g = {g:.0f}", (images > 0).mean(), ink, tol=0.05)

# %% tags=["figure"]
grids = [
    255 - plot.grid_array(worn[g], nrow=10, value_range=(-1, 1), clip=True, pad_value=0)
    for g in scales
]
figures.slider(
    [grid.repeat(2, 0).repeat(2, 1) for grid in grids], scales, "g", start=1, colors=16,
    alt="Two rows of ten clothes: any garment in any column at g = 0, the label's at 1, darker "
        "and more alike at 6.",
)  # fmt: skip

# %% [markdown]
# Without the label ($g = 0$) any garment comes in any column. With it the columns sort themselves,
# and the spread within one falls from 0.22 to 0.15. Beyond $g = 2$ they only grow darker, from 0.31
# of the pixels at $g = 1$ to 0.39 at $g = 6$: more is not better.
#
# The library has all of this in a few lines: `diffusion.Diffusion(process, net, predicts, ...)`
# with `model.loss(x)`, `diffusion.sample(model, shape, "ddim", steps=20)` and `tg.optim.EMA`. It
# predicts $x_0$, $\varepsilon$, $v$ or the score, learns variances, takes labels, guides and
# inpaints. Its loss on our network must be ours (float32 again):

# %%
theirs = model.errors(tensor(test_x0), tg.tensor(test_t), tensor(test_eps))
check.equal("17.2", ((ask(net, test_xt, test_t) - test_eps) ** 2).mean(1), theirs, tol=1e-5)

# %% [markdown]
# And this is what the noise of the film has become, all of it: sixty pictures that nobody took.

# %% tags=["figure"]
fig, ax = plt.subplots(figsize=(8, 5), layout="constrained")
ax.imshow(plot.grid_array(made[-1][1], nrow=10, value_range=(-1, 1), clip=True, pad_value=0),
          cmap="gray_r")  # fmt: skip
ax.axis("off")
ax.set_title("Fashion-MNIST, a class a column, 25 steps of DDIM, guidance 2")
figures.show(fig, "Six rows of ten generated garments: T-shirts, trousers, pullovers, dresses, "
             "coats, sandals, shirts, sneakers, bags and boots.")  # fmt: skip

# %% [markdown]
# ## Exercises
#
# ### Exercise 17.1
#
# Write `ancestral_step(xt, eps_hat, t, betas, noise)`: one DDPM step from $x_t$ to $x_{t-1}$ with
# the variance $\tilde\beta_t$. `betas[0]` is $\beta_1$. Think of $t = 1$.


# %%
def ancestral_step(xt, eps_hat, t, betas, noise): ...


check.exercise("17.1", ancestral_step)

# %% [markdown]
# ### Exercise 17.2
#
# Write `ddim_jump(xt, eps_hat, bar_t, bar_u)`: DDIM with $\eta = 0$ from a frame with
# $\bar\alpha_t$ to one with $\bar\alpha_u$. Run it *forwards* too ($\bar\alpha_u \lt
# \bar\alpha_t$): that encodes a picture as noise.


# %%
def ddim_jump(xt, eps_hat, bar_t, bar_u): ...


check.exercise("17.2", ddim_jump)

# %% [markdown]
# ### Exercise 17.3
#
# Write `ema(values, decay)`: `values` is $(\theta_0, \theta_1, \dots, \theta_n)$, the average
# begins at $\theta_0$, and update $i$ uses $d_i = \min(d, i / (i + 9))$. Return the average at the
# end.


# %%
def ema(values, decay): ...


check.exercise("17.3", ema)

# %% [markdown]
# ### Exercise 17.4
#
# The training set is finite: points $p_1, \dots, p_n$, each with probability $1 / n$. Write
# `memory_eps(xt, points, alpha_bar_t)`, the *perfect* noise prediction for that law; `xt` is (B,
# d), `points` is (n, d). What would a sampler with this network make? (This is why a diffusion
# model that is too large for its data copies it.)


# %%
def memory_eps(xt, points, alpha_bar_t): ...


check.exercise("17.4", memory_eps)

# %% [markdown]
# ### Exercise 17.5
#
# A model of images has a *density*; its negative logarithm is `nats` for a whole image of `dims`
# numbers. Each takes `levels` grey levels: the first is $-1$, the last 1, all equally far apart.
# Write `bits(nats, dims, levels)`: bits per dimension of the integers, the mass of a cell being its
# width times the density. (People call the term that comes in "a hack": score_sde_pytorch, issue
# number 51. It is the width of a cell.)


# %%
def bits(nats, dims, levels): ...


check.exercise("17.5", bits)

# %% [markdown]
# ## What you can say now
#
# - The training loss of DDPM is the bound with its weights dropped: guess the noise, square the
#   error.
# - It cannot reach 0. Its floor is the noise that cannot be told from data, and on a mixture I can
#   compute it and watch a network approach it.
# - An average of the weights needs a warm-up, or it remembers the random start.
# - DDPM's two formulas for the mean are one, and the last step adds no noise. One step alone gives
#   the data's mean.
# - The loss sees single frames only, so a whole family of chains shares one network. $\eta = 1$ is
#   DDPM, $\eta = 0$ is DDIM, and DDIM may jump.
# - DDIM is Euler's method for a flow that carries noise to data; in one dimension it maps quantiles
#   to quantiles.
# - Guidance exaggerates what a label says. It makes samples more typical and less varied, and it
#   does not sample from the tilted law.
# - Bits per dimension count a mass, not a density, and no model goes below the entropy.
#
# ## The full-size run
#
# ```
# python examples/diffusion_2d.py --T 100 --parameterisation eps --schedule linear_scaled
# python examples/ddpm.py                                   # digits, a U-Net
# python examples/sample.py runs/ddpm/last.npz --sampler ddim --steps 20 --guidance 2
# ```
#
# The first (swiss roll, 5000 steps, seed 0) gave samples of variance 0.952, of the data 0.979, in
# about a minute. The second trains a U-Net of 453,937 parameters on the 8 x 8 digits with labels,
# three in ten hidden, predicting $v$: 6600 steps, 478 seconds on one thread of a busy machine, seed
# 0. That run's bound on 200 test images is 2.750 bits/dim (the script itself prints that of the
# first 100), where knowing nothing costs $\log_2 17 = 4.09$. The third draws 100 digits, a class a
# row. In benchmarks/results/diffusion/diffusion-images.md (one label in ten hidden, three seeds) 20
# steps of DDIM with guidance 2 take 5 ms an image and all 200 steps of DDPM 29. The same table sets
# the bound's weights against none: 2.69 against 2.76 bits/dim, Fréchet distance 0.18 ± 0.02 against
# 0.16 ± 0.01. At the end of training averaged and raw weights are alike (0.18 and 0.18, DDIM 50);
# at step 2670 of 6600 they are not (0.22 and 0.35, one seed, three labels in ten hidden). The
# scripts write the pictures, among them the raw weights beside the averaged ones.
#
# ## Further reading
#
# - J. Ho, A. Jain, P. Abbeel, *Denoising diffusion probabilistic models*, 2020.
# - J. Song, C. Meng, S. Ermon, *Denoising diffusion implicit models*, 2021: section 5 here.
# - Y. Song et al., *Score-based generative modeling through stochastic differential equations*,
#   2021: the probability flow.
# - A. Nichol, P. Dhariwal, *Improved denoising diffusion probabilistic models*, 2021: bits per
#   dimension, learned variances.
# - J. Ho, T. Salimans, *Classifier-free diffusion guidance*, 2022.
# - R. Rombach, A. Blattmann, D. Lorenz, P. Esser, B. Ommer, *High-resolution image synthesis with
#   latent diffusion models*, 2022: the same, in the latent space of an autoencoder.
# - T. Karras, M. Aittala, T. Aila, S. Laine, *Elucidating the design space of diffusion-based
#   generative models*, 2022: better integrators for the flow of section 6.
