# %% [markdown]
# # Lesson 16: Diffusion I: the mathematics
#
# > **Question.** Turning data into noise is easy. What exactly must a network learn, and what
# > must a sampler do, to run that film backwards?
#
# In the picture below a swiss roll dissolves. Each frame is the one before it, shrunk a little,
# with a little noise added. Then the film shows the way back, and nothing was trained for it: the
# formulas of this lesson and a list of the points are enough. At the end you can
#
# - jump to any frame in one step, and say how much of the data is left in it;
# - compute the exact law of one step back when the data point is known;
# - write the training loss as the bound of a hierarchical VAE, and check the bound against an
#   exact $\log p(x)$;
# - tell what a *perfect* network would still get wrong under a bad schedule or a bad sampler.
#
# Lesson 17 then trains the network.
#
# **You need** normal laws (mean, variance, sums of independent ones) and the ELBO of Lesson 6.
#
# **Time**: an hour and a half to read; the exercises half an hour more.
#
# **You may skip**, at a first reading, "How tight can it get?" in section 6 and all of section 7
# but its first equation. Lesson 17 needs (16.3), (16.11), (16.12), (16.17) and (16.22).

# %%
import matplotlib.pyplot as plt
import numpy as np

import tinygen as tg
from tinygen import data
from tinygen.lessons import check, figures
from tinygen.models import diffusion

figures.style()
rng = np.random.default_rng(0)
roll = data.toy("swiss_roll", 1500, tg.Generator().manual_seed(0)).numpy()
x, frames = (roll - roll.mean(0)) / roll.std(), {}
for t in range(1001):
    if t in (0, 60, 150, 300, 1000):
        frames[t] = x
    beta_next = 1e-4 + (0.02 - 1e-4) * t / 999  # a little more noise each time
    x = np.sqrt(1 - beta_next) * x + np.sqrt(beta_next) * rng.standard_normal(x.shape)


# %% tags=["figure"]
fig, axes = plt.subplots(1, 5, figsize=(9, 2.1), layout="constrained")
for ax, (t, points) in zip(axes, frames.items()):
    ax.scatter(*points.T, s=1, color="C0", linewidths=0)
    ax.set(xlim=(-3, 3), ylim=(-3, 3), title=f"t = {t}", xticks=[], yticks=[], aspect="equal")
fig.suptitle("known: data becomes noise, left to right. Wanted: right to left", fontsize=10)
figures.show(fig, "Five clouds of points: a swiss roll at t = 0, blurred at 60 and 150, hardly to "
             "be seen at 300, a round cloud of noise at 1000.")  # fmt: skip

# %% tags=["figure"]
roll_points = (roll - roll.mean(0)) / roll.std()
there_and_back = diffusion.linear_betas(1000)
knows = diffusion.Diffusion(
    there_and_back,
    diffusion.ExactDenoiser(there_and_back, tg.tensor(roll_points[:500], dtype=tg.float32), 0.04),
    "x0",
)
cloud = tg.tensor(roll_points[500:1100], dtype=tg.float32)
noise = tg.randn(600, 2, generator=tg.Generator().manual_seed(0))
away = [
    (t, float(there_and_back.a[t]) * cloud + float(there_and_back.s[t]) * noise)
    for t in (0, 15, 35, 60, 90, 130, 180, 240, 320, 420, 560, 750)
]
back = list(
    diffusion.chain(
        knows,
        (600, 2),
        "ancestral",
        80,
        start=tg.randn(600, 2, generator=tg.Generator().manual_seed(1)),
        generator=tg.Generator().manual_seed(2),
    )
)


def frame(t, points, title):
    fig, ax = plt.subplots(figsize=(3, 3.2), layout="constrained")
    ax.scatter(*points.numpy().T, s=2, color="C0" if title == "forwards" else "C1", linewidths=0)
    ax.set(xlim=(-3, 3), ylim=(-3, 3), xticks=[], yticks=[], aspect="equal")
    ax.set_title(f"{title}: t = {t}")
    return fig


figures.film(
    (frame(t, x, how) for how, path in (("forwards", away),
                                        ("backwards", diffusion.film(there_and_back, back, 34)))
     for t, x in path),
    alt="A swiss roll dissolves into a round cloud of noise; then other noise gathers, step by "
        "step, into a swiss roll.", fps=8, colors=16,
)  # fmt: skip

# %% [markdown]
# ## 1. A chain that forgets
#
# The decoder of Lesson 7 makes a picture out of a code in one leap. That is a lot to ask. A
# **hierarchical** VAE takes many small steps through codes $x_1, x_2, \dots, x_T$, and then the
# encoder is a chain too: data $x_0$ to $x_1$, to $x_2$, and so on to $x_T$.
#
# A diffusion model is a hierarchical VAE with three decisions made in advance:
#
# 1. every code has the size of the data;
# 2. the encoder is **fixed**: it adds noise and has no parameters;
# 3. there are many steps, so that each undoes only a little.
#
# One step of the encoder keeps a share $1 - \beta_t$ of the variance and replaces the rest by
# noise. The numbers $\beta_1, \dots, \beta_T$, each between 0 and 1, are the *noise schedule*.
#
# $$
# q(x_t \mid x_{t-1}) = \mathcal{N}\big(\sqrt{1 - \beta_t} x_{t-1},\ \beta_t\big)
# \tag{16.1}
# $$
#
# (In several dimensions each coordinate does this by itself; the variance is $\beta_t I$.)
#
# Why the square root in front? Without it the variance would grow in each step. With it, data of
# variance 1 keeps variance $(1 - \beta_t) \cdot 1 + \beta_t = 1$ for ever, which is kind to a
# network: its input always has the same size.
#
# > **Predict, then run.** The betas of Ho et al. (2020) rise from 0.0001 to 0.02 in 1000 steps. If
# > one left the square root out and only added the noise, what would data of variance 1 have as
# > variance at the end: 1, 2, 11 or 1000?

# %%
T = 1000
beta = np.concatenate([[0.0], np.linspace(1e-4, 0.02, T)])  # beta[t]; beta[0] is not used
alpha = 1 - beta
alpha_bar = np.cumprod(alpha)  # alpha_bar[0] = 1
ddpm = diffusion.linear_betas(T)  # the library's process with these betas

# %%
check.claim("variance after 1000 steps without the root", 1 + beta.sum(), "11.05")
for begin, said in ((1.0, "1.0000"), (4.0, "1.0001")):
    V = begin
    for t in range(1, T + 1):
        V = (1 - beta[t]) * V + beta[t]
    check.claim(f"variance after 1000 steps with it, begun at {begin:.0f}", V, said)

# %% [markdown]
# Now we draw from (16.1), with a coin of $\pm 1$ as $x_{t-1}$.
#
# > **Predict, then run.** One step takes place at $t = 700$. How much of the coin is left after it:
# > a hundredth, a half, or nearly all? And is the variance still 1? (The last two lines compare
# > with the library's own step.)

# %%
t = 700
coin = rng.choice([-1.0, 1.0], 100_000)
step = np.sqrt(1 - beta[t]) * coin + np.sqrt(beta[t]) * rng.standard_normal(coin.shape)
check.mean("16.1", np.stack([step * coin, step**2], 1), [np.sqrt(1 - beta[t]), 1.0])
check.claim("of the coin is left after step 700", np.sqrt(1 - beta[t]), "0.993")

points = tg.tensor(rng.standard_normal((5, 1)))
mean, variance = ddpm.forward(points, t, t - 1)
check.equal("16.1", np.sqrt(1 - beta[t]) * points.numpy(), mean)
check.equal("16.1", beta[t], variance)

# %% [markdown]
# ## 2. Any frame in one step
#
# To train on frame $t = 700$, must we add noise 700 times? No. A sum of independent Gaussians is
# a Gaussian, and two steps collapse into one. Suppose that we have reached
# $x_u = a x_0 + s \varepsilon$ with some signal $a$ and noise level $s$, and the next step
# multiplies by $r$ and adds noise of variance $v$. Then the signal is multiplied by $r$, the old
# noise variance by $r^2$, and variances add up:
#
# $$
# \int \mathcal{N}(x_t; r x_u, v) \ \mathcal{N}(x_u; a x_0, s^2) \ dx_u
# = \mathcal{N}(x_t; \ r a x_0, \ r^2 s^2 + v)
# \tag{16.2}
# $$
#
# The cell does the integral on a grid.


# %%
def normal(x, mean, variance):
    """The density of N(mean, variance) at x."""
    return np.exp(-0.5 * (x - mean) ** 2 / variance) / np.sqrt(2 * np.pi * variance)


a, s, r, v, x0 = 0.8, 0.5, 0.7, 0.3, 1.3
grid = np.linspace(-12, 12, 20_001)
xt = np.array([-1.0, 0.2, 0.9, 2.5])
inside = normal(xt[:, None], r * grid, v) * normal(grid, a * x0, s**2)
check.equal("16.2", inside.sum(1) * (grid[1] - grid[0]), normal(xt, r * a * x0, r**2 * s**2 + v))

# %% [markdown]
# Now apply the rule $t$ times with $r = \sqrt{1 - \beta}$ and $v = \beta$. Write
# $\alpha_t = 1 - \beta_t$ and $\bar\alpha_t = \alpha_1 \alpha_2 \cdots \alpha_t$ for the product.
# The signal is $\sqrt{\alpha_1} \cdots \sqrt{\alpha_t} = \sqrt{\bar\alpha_t}$. The noise follows
# from $s_t^2 = \alpha_t s_{t-1}^2 + 1 - \alpha_t$, which says
# $1 - s_t^2 = \alpha_t (1 - s_{t-1}^2)$: so $1 - s_t^2$ is the same product, and
#
# $$
# q(x_t \mid x_0) = \mathcal{N}\big(\sqrt{\bar\alpha_t} x_0, \ 1 - \bar\alpha_t\big)
# \tag{16.3}
# $$
#
# Two checks: the recursion through 1000 steps against the product, and 20,000 chains that were
# really run for 300 steps from $x_0 = 1.5$.

# %%
a_run, s2_run = [1.0], [0.0]
for t in range(1, T + 1):  # rule (16.2), step by step
    a_run.append(np.sqrt(alpha[t]) * a_run[-1])
    s2_run.append(alpha[t] * s2_run[-1] + beta[t])
check.equal("16.3", [a_run, s2_run], [np.sqrt(alpha_bar), 1 - alpha_bar])

x = np.full(20_000, 1.5)
for t in range(1, 301):
    x = np.sqrt(alpha[t]) * x + np.sqrt(beta[t]) * rng.standard_normal(x.shape)
m, s2 = np.sqrt(alpha_bar[300]) * 1.5, 1 - alpha_bar[300]
check.mean("16.3", np.stack([x, (x - m) ** 2], 1), [m, s2])

# %% [markdown]
# > **Predict, then run.** The film has 1000 steps. After which of them is half of the variance
# > noise: 26, 260, 500 or 740?

# %%
halfway = np.argmax(alpha_bar < 0.5)
check.claim("the first step after which less than half is left", halfway, "260")
check.claim("what is left at t = 700", alpha_bar[700], "0.0070")

# %% [markdown]
# Here is the whole film in one dimension. The data has two modes. The shade is the exact density
# of $x_t$, which (16.3) gives at once; the lines are a few chains. Past $t = 700$, where less than
# one percent of the data's variance is left, hardly anything happens.

# %%
modes, weights, width = np.array([-1.1, 0.9]), np.array([0.45, 0.55]), 0.15

# %% tags=["figure"]
y = np.linspace(-3, 3, 200)
every = np.arange(0, T + 1, 5)
density = sum(
    w * normal(y[:, None], np.sqrt(alpha_bar[every]) * mode,
               alpha_bar[every] * width**2 + 1 - alpha_bar[every])
    for w, mode in zip(weights, modes)
)  # fmt: skip
paths = [rng.choice(modes, 6, p=weights) + width * rng.standard_normal(6)]
for t in range(1, T + 1):
    noise = rng.standard_normal(6)
    paths.append(np.sqrt(alpha[t]) * paths[-1] + np.sqrt(beta[t]) * noise)

fig, ax = plt.subplots(figsize=(7, 2.6), layout="constrained")
ax.imshow(density**0.5, extent=(0, T, -3, 3), origin="lower", aspect="auto", cmap="Blues")
ax.plot(np.arange(0, T + 1, 4), np.array(paths)[::4], "-", linewidth=0.6, color="C1")
ax.axis([0, T, -3, 3])
ax.set(xlabel="t", ylabel="$x_t$", title="two modes melt into N(0, 1): its density, six chains")
figures.show(fig, "Density of x_t over t: two narrow bands at -1.1 and 0.9 widen and merge by "
             "t = 400; six chains start in the bands and end anywhere.")  # fmt: skip

# %% [markdown]
# ### How much is left at the end?
#
# The chain should end in something that we can draw without knowing the data, $\mathcal{N}(0, 1)$.
# So $\bar\alpha_T$ must be nearly 0. Since $1 - \beta \le e^{-\beta}$,
#
# $$
# \bar\alpha_T \le \exp\Big({-\sum_{t=1}^T \beta_t}\Big)
# \tag{16.4}
# $$
#
# and for small $\beta_t$ the two sides are close. What counts is the **sum** of the betas: 10.05
# for the 1000 betas of Ho et al. (2020), from $10^{-4}$ to $0.02$.
#
# > **Predict, then run.** Keep that range but take only 50 steps. What share of the data's variance
# > is still in the picture when the film stops: nothing, a twentieth, or more than a half?

# %%
for steps, said in ((50, ("0.503", "0.6030", "0.6050")), (1000, ("10.05", "0.00004", "0.00004"))):
    b = np.linspace(1e-4, 0.02, steps)
    left, right = np.prod(1 - b), np.exp(-b.sum())
    check.at_most("16.4", left, right, attained=(np.prod(1 - b / 1e6), np.exp(-b.sum() / 1e6)))
    check.claim(f"T = {steps}: sum of the betas", b.sum(), said[0])
    check.claim(f"T = {steps}: alpha-bar_T", left, said[1])
    check.claim(f"T = {steps}: its bound", right, said[2])

# %% [markdown]
# The sum of those 50 betas is 0.503, and 60 % of the data's variance, 0.603, never leaves the
# picture. Section 8 shows what that does to the samples.

# %% [markdown]
# ## Fix the slide: which $t$?
#
# The lecture notes introduce the chain like this:
#
# > "Repeatedly apply" `\mathbf{x} \mapsto \sqrt{t}\mathbf{x} + \sqrt{1-t} \cdot \epsilon, \quad
# > \epsilon \sim \mathcal{N}(0, I_d)`
#
# A few slides later $t$ is the number of the step, uniform on $1, \dots, T$. Then $\sqrt{1 - t}$
# is the root of a negative number from $t = 2$ on. Read $t$ as a time that runs from 0 to 1, and
# the first application (at $t \approx 0$) wipes out the data at once. What is meant is *either*
# one small step, $\sqrt{1 - \beta_t} x + \sqrt{\beta_t} \varepsilon$, applied repeatedly,
# *or* one jump, $\sqrt{\bar\alpha_t} x_0 + \sqrt{1 - \bar\alpha_t} \varepsilon$, applied
# once. What share of the data's variance is left after 2 and after all of 50 applications, as
# printed and with small betas?

# %%
as_time = np.cumprod(np.arange(1, 51) / 50)  # t = 1/50, 2/50, ..., each applied in turn
as_steps = np.cumprod(1 - np.linspace(0.001, 0.2, 50))  # small betas, applied in turn
check.claim("E26: as printed, applied once", as_time[0], "0.0200")
check.claim("E26: as printed, applied twice", as_time[1], "0.0008")
check.claim("E26: small betas, applied twice", as_steps[1], "0.994")
check.claim("E26: small betas, applied 50 times", as_steps[49], "0.005")

# %% [markdown]
# As printed, two applications leave 0.0008 of it, where 0.994 should be left: the film is over
# before it began.

# %% [markdown]
# ## 3. The other habit: let the variance explode
#
# One need not shrink. The **variance-exploding** (VE) chain leaves the data alone and piles noise
# on it; $\sigma_t$ is the standard deviation of all noise up to step $t$, with $\sigma_0 = 0$:
#
# $$
# x_t = x_{t-1} + \sqrt{\sigma_t^2 - \sigma_{t-1}^2} \ \varepsilon
# \quad \text{gives} \quad q(x_t \mid x_0) = \mathcal{N}(x_0, \sigma_t^2)
# \tag{16.5}
# $$
#
# This is rule (16.2) with $r = 1$: the variances of the steps add up to $\sigma_t^2$. (The first
# chain is called **variance-preserving**, VP.)
#
# > **Predict, then run.** Ten steps of the VE chain, run 100,000 times from 1.5, with $\sigma$ from
# > 0.01 to 10 by equal factors. What is the mean at the end, 0 or 1.5? And is the standard
# > deviation 10, or the sum of ten noises and more?

# %%
sigma = np.concatenate([[0.0], np.geomspace(0.01, 10.0, 10)])
x = np.full(100_000, 1.5)
for t in range(1, 11):
    x = x + np.sqrt(sigma[t] ** 2 - sigma[t - 1] ** 2) * rng.standard_normal(x.shape)
check.mean("16.5", np.stack([x, (x - 1.5) ** 2], 1), [1.5, sigma[10] ** 2])
check.claim("VE from 1.5: mean at the end", x.mean(), 1.5, tol=0.1)
check.claim("VE from 1.5: standard deviation at the end", x.std(), 10.0, tol=0.01)

# %% [markdown]
# ### VP and VE are the same chain
#
# Divide a VP chain by its signal level and the signal level is 1: that is a VE chain.
#
# $$
# \frac{x_t}{\sqrt{\bar\alpha_t}} = x_0 + \sigma_t \varepsilon
# \quad \text{with} \quad \sigma_t^2 = \frac{1 - \bar\alpha_t}{\bar\alpha_t}
# \tag{16.6}
# $$
#
# This holds for whole chains and not only frame by frame. A VP step divided by
# $\sqrt{\bar\alpha_t}$ adds noise of variance $\beta_t / \bar\alpha_t$, and that is the increment
# $\sigma_t^2 - \sigma_{t-1}^2$ of (16.5). A network that can undo one can undo the other: feed
# it a rescaled input.

# %%
sigma2 = (1 - alpha_bar) / alpha_bar
check.equal("16.6", sigma2[0], 0.0)
check.equal("16.6", beta[1:] / alpha_bar[1:], np.diff(sigma2))
x_vp = np.sqrt(alpha[8]) * 0.4 + np.sqrt(beta[8]) * 1.7  # one VP step from 0.4 with noise 1.7
x_ve = 0.4 / np.sqrt(alpha_bar[7]) + np.sqrt(sigma2[8] - sigma2[7]) * 1.7
check.equal("16.6", x_vp / np.sqrt(alpha_bar[8]), x_ve)

# %% [markdown]
# The one number that does not change when a frame is rescaled is the **signal-to-noise ratio**,
# signal variance over noise variance for data of variance 1:
#
# $$
# \mathrm{SNR}(t) = \frac{\bar\alpha_t}{1 - \bar\alpha_t} = \frac{1}{\sigma_t^2},
# \qquad \mathrm{Var}(x_0 \mid x_t) = \frac{1}{1 + \mathrm{SNR}(t)}
# \quad \text{for} \ x_0 \sim \mathcal{N}(0, 1)
# \tag{16.7}
# $$
#
# The second half says what the ratio means: how much one still does not know about $x_0$ after
# seeing $x_t$. The cell gets it by conditioning the joint Gaussian of $(x_0, x_t)$, for both
# chains, and compares the ratio itself with the library's.
#
# > **Predict, then run.** At $t = 300$ of the VP chain 40 % of the variance is still signal. How
# > much of the variance of $x_0$ is open to one who sees $x_{300}$: 0.4, 0.5 or 0.6? And to one who
# > sees the VE chain at the same ratio?

# %%
check.claim("signal at t = 300", alpha_bar[300], "0.40")
for t, said in ((10, "0.0019"), (300, "0.6036"), (900, "0.9997")):
    for signal, noise in ((np.sqrt(alpha_bar[t]), 1 - alpha_bar[t]), (1.0, sigma2[t])):
        joint = np.array([[1.0, signal], [signal, signal**2 + noise]])  # covariance
        left_over = joint[0, 0] - joint[0, 1] ** 2 / joint[1, 1]
        snr = alpha_bar[t] / (1 - alpha_bar[t])
        check.equal("16.7", left_over, 1 / (1 + snr))
        check.claim(f"open at t = {t}", left_over, said)
check.equal("16.7", 1 / sigma2[1:], ddpm.snr(np.arange(1, T + 1)))

# %% [markdown]
# ## Fix the slide: centred where?
#
# The lecture notes list what makes a hierarchical VAE a diffusion model:
#
# > `* Encodertransitions are known gaussians centered around their previous inputs`
#
# That is the VE chain. The chain of DDPM, whose formulas other notes print, is centred around the
# previous input **shrunk by** $\sqrt{1 - \beta_t}$. The factor is 0.99995 in the first step and
# 0.98995 in the last, easy to overlook. Start both chains at 2 and follow the mean:

# %%
two = tg.tensor([[2.0]], dtype=tg.float64)
mean = 2.0
for t in range(1, T + 1):
    mean = np.sqrt(1 - beta[t]) * mean  # the centre of each step
check.claim("E56: factor of the first step", np.sqrt(1 - beta[1]), "0.99995")
check.claim("E56: factor of the last step", np.sqrt(1 - beta[T]), "0.98995")
check.claim("E56: mean after 1000 steps of VP", mean, "0.0127")
check.claim("E56: the library's VP", ddpm.q(two, T).mean.item(), "0.0127")
check.claim("E56: the library's VE", diffusion.geometric(T).q(two, T).mean.item(), "2.0000")

# %% [markdown]
# Centred around its input, a chain never forgets where it began: at 2 after 1000 steps. Shrunk, it
# is at 0.0127.
#
# ## Fix the slide: variances add, and the chain ends where it ends
#
# The lecture notes aggregate two steps of noise into one. Their text layer is garbled, but the
# line can be read:
#
# > `Ao = O'% + O'%` (that is $\alpha_2 = \sigma_1^2 + \sigma_2^2$, "Aggregate into 1 sample!")
#
# Their $\alpha_t$ multiplies the noise, $x_t = x_0 + \alpha_t \varepsilon$, so it is a standard
# deviation and it is the **squares** that add: $\alpha_2^2 = \sigma_1^2 + \sigma_2^2$. With
# steps of 3 and 4 the noise has standard deviation 5, and not 25. (The scan may
# have lost a square root; the algorithm box has no such excuse.)
#
# > `1: & ~ N(0,1I)` (Algorithm 2, line 1: draw $x_T \sim \mathcal{N}(0, I)$)
#
# But the chain of those slides never shrinks $x$. It ends at
# $\mathcal{N}(0, s_d^2 + \sigma_T^2)$ for data of variance $s_d^2$, and the reverse chain must
# begin where the forward chain ended. The cell starts the *perfect* reverse chain (which we are
# going to derive in sections 5 and 8) from both, for data of variance 1 and three $\sigma_T$.


# %%
def reverse_variance(sigma, start, s2_data=1.0):
    """Variance of x_0 when the exact VE reverse chain begins at variance `start`."""
    V = start
    for t in range(len(sigma) - 1, 0, -1):
        now, before = sigma[t] ** 2, sigma[t - 1] ** 2
        gain = (s2_data + before) / (s2_data + now)  # of the mean of x_{t-1} given x_t
        V = gain**2 * V + (now - before) * gain  # its variance
    return V


two = 3 * rng.standard_normal(100_000) + 4 * rng.standard_normal(100_000)
check.claim("E8: noise of 3, then of 4", two.std(), 5.0, tol=0.01)
for last, said in ((10.0, "0.990"), (3.0, "0.910"), (1.0, "0.750")):
    sigma = np.concatenate([[0.0], np.geomspace(0.01, last, 1000)])
    right, slide = reverse_variance(sigma, 1 + last**2), reverse_variance(sigma, 1.0)
    check.claim(f"E8: begun at 1 + {last:.0f}^2, variance of the samples", right, "1.000000")
    check.claim(f"E8: begun at 1, sigma_T = {last:.0f}", slide, said)

# %% [markdown]
# With $\sigma_T = 10$ the slip costs one percent of the variance (0.990 is left): the reverse chain
# forgets its start almost wholly. The earlier the noise stops, the more it costs: 0.910 at
# $\sigma_T = 3$, 0.750 at 1. The worst line of that box comes in section 9.
#
# ## 4. Schedules
#
# A schedule is a choice of how fast the SNR falls. Four are common:
#
# - **linear** (Ho et al. 2020): $\beta_t$ rises in equal steps from $10^{-4}$ to $0.02$;
# - **cosine** (Nichol and Dhariwal 2021): $\bar\alpha_t$ falls like a squared cosine;
# - **geometric** (Song and Ermon 2019): $\sigma_t$ of a VE chain rises by equal factors;
# - **equal increments**: $\sigma_t^2 = \sigma_T^2 t / T$, equal noise in each VE step.
#
# The cosine one, with a small $\delta = 0.008$ that keeps the first steps from being too tiny:
#
# $$
# \bar\alpha_t = \frac{f(t)}{f(0)}, \qquad
# f(t) = \cos^2\Big(\frac{\pi}{2} \cdot \frac{t / T + \delta}{1 + \delta}\Big),
# \qquad \beta_t = 1 - \frac{\bar\alpha_t}{\bar\alpha_{t-1}}
# \tag{16.8}
# $$
#
# At $t = T$ the cosine is 0 and $\beta_T$ would be 1, so $\beta$ is cut at 0.999. We compare all
# other steps with the product of the library's betas.
#
# > **Predict, then run.** The largest beta of the linear schedule is 0.02. How large is the last
# > beta of the cosine schedule that is not cut: 0.02, 0.1 or 0.75? (Near its zero a squared cosine
# > is a parabola.)

# %%
f = np.cos(np.pi / 2 * (np.arange(T + 1) / T + 0.008) / 1.008) ** 2
cosine = diffusion.cosine(T)
check.equal("16.8", f[:-1] / f[0], np.cumprod(np.concatenate([[1.0], 1 - cosine.betas]))[:-1])
check.claim("the last beta of the cosine schedule that is not cut", cosine.betas[-2], "0.75")
check.claim("the last one, cut", cosine.betas[-1], "0.999")

# %% [markdown]
# > **Predict, then run.** At $t = 600$ of 1000, which of linear, cosine and equal increments (to
# > $\sigma_T = 10$) has most of the signal left, and which has least?

# %%
for name, process, said in (("linear", ddpm, "0.026"), ("cosine", cosine, "0.341"),
                            ("equal increments", diffusion.equal(T), "0.016")):  # fmt: skip
    left_at_600 = process.snr(600) / (1 + process.snr(600))
    check.claim(f"share of signal at t = 600, {name}", left_at_600, said)
first = diffusion.equal(T).snr(10)
check.claim("share of signal at t = 10, equal increments", first / (1 + first), "0.500")

# %% tags=["figure"]
chains = {
    "linear": ddpm,
    "cosine": cosine,
    "geometric": diffusion.geometric(T),
    "equal increments": diffusion.equal(T),
}
fig, (left, right) = plt.subplots(1, 2, figsize=(6.8, 2.8), layout="constrained")
for name, chain in chains.items():
    ts = np.arange(1, T + 1)
    left.semilogy(ts, chain.snr(ts), label=name)
    right.plot(ts, chain.snr(ts) / (1 + chain.snr(ts)), label=name)
left.set(xlabel="t", ylabel="SNR", ylim=(1e-5, 1e5), title="signal to noise")
right.set(xlabel="t", ylabel="SNR / (1 + SNR)", title="share of signal ($\\bar\\alpha_t$ if VP)")
fig.legend(*left.get_legend_handles_labels(), loc="outside upper center", ncol=4)
figures.show(fig, "Left, signal to noise over t on a logarithmic scale, all four falling; right, "
             "the share of signal: cosine falls evenly, linear is near 0 from t = 600, geometric "
             "drops late, equal increments at once.")  # fmt: skip

# %% [markdown]
# The cosine schedule spends its steps evenly between picture and noise (0.341 at $t = 600$); the
# linear one has 0.026 of signal left there and wastes most of the rest; equal increments have lost
# half of the signal after ten steps of a thousand.
#
# ## Fix the slide: which linear?
#
# The lecture notes write
#
# > `Linear Schedule (equal noise added at each timestep`
#
# That is the last schedule of our list, in which the VE increments are equal. The *linear
# schedule* of the diffusion papers is another one: the **betas** grow linearly.
#
# > **Predict, then run.** How many times as much noise variance does the last step add as the
# > first: with equal increments, with linear betas, and with linear betas in VE units (16.6)?

# %%
increments, in_ve = np.diff(diffusion.equal(T).s ** 2), np.diff(sigma2)
check.claim("E10: equal increments, last / first", increments[-1] / increments[0], "1.000000")
check.claim("E10: linear betas, last / first", beta[T] / beta[1], "200.00")
check.claim("E10: the same in VE units, millions", in_ve[-1] / in_ve[0] / 1e6, "4.96")

# %% [markdown]
# As much, 200 times as much, 4.96 million times as much: two schedules could hardly be less alike.
#
# ## 5. One step back, when the data point is known
#
# We want the law of $x_{t-1}$ given $x_t$. Alone it depends on all of the data: which of the many
# pictures that might have led here did? But if we are *told* $x_0$, the question has an answer in
# closed form. Bayes' rule, with everything conditioned on $x_0$ (and $q(x_t \mid x_{t-1}, x_0) =
# q(x_t \mid x_{t-1})$, because the chain has no memory):
#
# $$
# q(x_{t-1} \mid x_t, x_0) =
# \frac{q(x_t \mid x_{t-1}) \ q(x_{t-1} \mid x_0)}{q(x_t \mid x_0)}
# \tag{16.9}
# $$
#
# All three laws on the right are Gaussians that we know. For an independent left side we write
# down the **big joint Gaussian** of $(x_1, \dots, x_T)$ given $x_0$, for a chain of 6 steps, and
# condition it numerically, by linear algebra, on $x_4$.
#
# > **Predict, then run.** Suppose we are told all of $x_4, x_5, x_6$, and the last two are far off
# > track. By how much does what we know about $x_3$ change?

# %%
short = np.array([0.0, 0.1, 0.2, 0.4, 0.5, 0.7, 0.8])  # beta_1 .. beta_6: large, for a small T
keep = np.sqrt(1 - short)
short_bar = np.cumprod(1 - short)
x0, xt, t = 0.9, -0.4, 4


def big_joint(x0):
    """Mean and covariance of (x_1, .., x_6) given x_0: x = S x + shift + noise, solved for x."""
    S = np.diag(keep[2:], -1)  # x_t leans on x_{t-1}
    shift = np.zeros(6)
    shift[0] = keep[1] * x0
    solve = np.linalg.inv(np.eye(6) - S)
    return solve @ shift, solve @ np.diag(short[1:]) @ solve.T


def condition(mean, cov, want, given, values):
    """Mean and covariance of the entries `want` of a Gaussian, given others."""
    gain = cov[np.ix_(want, given)] @ np.linalg.inv(cov[np.ix_(given, given)])
    rest = cov[np.ix_(want, want)] - gain @ cov[np.ix_(given, want)]
    return mean[want] + gain @ (values - mean[given]), rest


mean, cov = big_joint(x0)
m, V = condition(mean, cov, [t - 2], [t - 1], np.array([xt]))  # x_t is entry t - 1
m2, V2 = condition(mean, cov, [t - 2], [3, 4, 5], np.array([xt, 2.0, -1.0]))
prev = np.linspace(-2, 2, 9)
bayes = (normal(xt, keep[t] * prev, short[t])
         * normal(prev, np.sqrt(short_bar[t - 1]) * x0, 1 - short_bar[t - 1])
         / normal(xt, np.sqrt(short_bar[t]) * x0, 1 - short_bar[t]))  # fmt: skip
check.equal("16.9", bayes, normal(prev, m[0], V[0, 0]))
check.equal("16.9", [m[0], V[0, 0]], [m2[0], V2[0, 0]])  # later frames add nothing
check.claim("mean of x_3, given x_0 = 0.9 and x_4 = -0.4", m[0], "0.172")
check.claim("the same, given x_5 = 2 and x_6 = -1 too", m2[0], "0.172")

# %% [markdown]
# ### Completing the square
#
# Which Gaussian is it? As a function of $x = x_{t-1}$, the logarithm of (16.9) is a constant
# minus half of
#
# $$
# \frac{(x_t - \sqrt{\alpha_t} x)^2}{\beta_t} +
# \frac{(x - \sqrt{\bar\alpha_{t-1}} x_0)^2}{1 - \bar\alpha_{t-1}}
# = \frac{(x - \tilde\mu_t)^2}{\tilde\beta_t} + C
# \tag{16.10}
# $$
#
# for some $\tilde\mu_t$ and $\tilde\beta_t$, where $C$ does not depend on $x$: a sum of two
# parabolas is a parabola. Collect the terms with $x^2$. They say what $\tilde\beta_t$ is:
#
# $$
# \frac{1}{\tilde\beta_t} = \frac{\alpha_t}{\beta_t} + \frac{1}{1 - \bar\alpha_{t-1}}
# \qquad \text{so} \qquad
# \tilde\beta_t = \frac{1 - \bar\alpha_{t-1}}{1 - \bar\alpha_t} \beta_t
# \tag{16.11}
# $$
#
# (put it over one denominator: $\alpha_t (1 - \bar\alpha_{t-1}) + \beta_t = 1 - \bar\alpha_t$).
# Collect the terms with $x$. They say that $\tilde\mu_t / \tilde\beta_t =
# \sqrt{\alpha_t} x_t / \beta_t + \sqrt{\bar\alpha_{t-1}} x_0 / (1 - \bar\alpha_{t-1})$, or
#
# $$
# \tilde\mu_t(x_t, x_0) =
# \frac{\sqrt{\alpha_t} (1 - \bar\alpha_{t-1})}{1 - \bar\alpha_t} x_t +
# \frac{\sqrt{\bar\alpha_{t-1}} \beta_t}{1 - \bar\alpha_t} x_0
# \tag{16.12}
# $$
#
# An average of where we are and where the data point is. The checks: the left side of (16.10) is
# differentiated by autograd (its slope must be $2 (x - \tilde\mu_t) / \tilde\beta_t$ everywhere);
# (16.11) and (16.12) are compared with the linear algebra above, and with the library.


# %%
def posterior(x0, xt, t, beta):
    """Mean and variance of q(x_{t-1} | x_t, x_0); beta[t] is beta_t, beta[0] = 0."""
    alpha, bar = 1 - beta, np.cumprod(1 - beta)
    of_xt = np.sqrt(alpha[t]) * (1 - bar[t - 1]) / (1 - bar[t])
    of_x0 = np.sqrt(bar[t - 1]) * beta[t] / (1 - bar[t])
    return of_xt * xt + of_x0 * x0, (1 - bar[t - 1]) / (1 - bar[t]) * beta[t]


mu, beta_tilde = posterior(x0, xt, t, short)
x = tg.tensor(prev, requires_grad=True)
from_xt = (xt - keep[t] * x) ** 2 / short[t]
from_x0 = (x - np.sqrt(short_bar[t - 1]) * x0) ** 2 / (1 - short_bar[t - 1])
(slope,) = tg.autograd.grad((from_xt + from_x0).sum(), [x])
check.equal("16.10", slope, 2 * (prev - mu) / beta_tilde)
check.equal("16.11", beta_tilde, V[0, 0])
check.equal("16.12", mu, m[0])
library = diffusion.VP(np.full(6, 0.5))  # a chain of the library's, and ours with the same betas
ours = posterior(1.2, 0.3, 5, np.array([0.0, *library.betas]))
at = [tg.tensor([[value]], dtype=tg.float64) for value in (1.2, 0.3)]
theirs = library.posterior(*at, 5, 4)
check.equal("16.12", ours[0], theirs.mean)
check.equal("16.11", ours[1], theirs.variance)

# %% [markdown]
# > **Predict, then run.** Look at the ends, with the 1000 betas of section 1. What are mean and
# > variance at $t = 1$? What is $\tilde\beta_t / \beta_t$ at $t = 2$ and at $t = 1000$: below 1, or
# > above?

# %%
at_one = posterior(0.7, -2.0, 1, beta)
check.claim("t = 1: mean, for x_0 = 0.7", at_one[0], "0.700000")
check.claim("t = 1: variance", at_one[1], "0.000000")
for t, said in ((2, "0.455"), (10, "0.853"), (1000, "1.000")):
    check.claim(f"beta-tilde / beta at t = {t}", posterior(0, 0, t, beta)[1] / beta[t], said)

# %% [markdown]
# At $t = 1$, $\bar\alpha_0 = 1$: the mean is $x_0$ and the variance 0. Of course: we were told
# $x_0$. And always $\tilde\beta_t \lt \beta_t$: seen from both sides, less is open than the step
# itself had added. At $t = 2$ it is 0.455 of it; where the data is all but forgotten it hardly
# matters to be told.
#
# ## 6. The bound: what the network must minimise
#
# The model runs the chain backwards. It begins with $p(x_T) = \mathcal{N}(0, 1)$ and takes steps
# $p_\theta(x_{t-1} \mid x_t)$, Gaussians whose means a network provides. The probability
# that it gives to a data point is an integral over all paths $x_1, \dots, x_T$, which we cannot
# do. Lesson 6 has the answer: put the encoder $q$ under the logarithm. The chain
# $x_{1:T} = (x_1, \dots, x_T)$ is the latent code, and
#
# $$
# \log p_\theta(x_0) =
# \underbrace{\mathbb{E}_{x_{1:T} \sim q(\cdot \mid x_0)}
# \big[\log p_\theta(x_{0:T}) - \log q(x_{1:T} \mid x_0)\big]}_{\mathrm{ELBO}} +
# \mathrm{KL}\big(q(x_{1:T} \mid x_0) \Vert p_\theta(x_{1:T} \mid x_0)\big)
# \tag{16.13}
# $$
#
# The KL is not negative, so the ELBO is a lower bound. To check this exactly we take a model
# whose every integral we can do: $p(x_{t-1} \mid x_t) = \mathcal{N}(k_t x_t + d_t, w_t)$ with
# random numbers $k_t, d_t, w_t$. Then $(x_0, \dots, x_6)$ is jointly Gaussian under $p$,
# $\log p(x_0)$ and the KL are exact, and the ELBO can be averaged over draws of the chain.

# %%
k, d = rng.uniform(0.5, 1.0, 7), rng.normal(0, 0.2, 7)  # k[t], d[t], w[t] of the step t -> t - 1
w = rng.uniform(0.2, 0.6, 7)
S = np.diag(k[1:], 1)  # x_{t-1} leans on x_t
solve = np.linalg.inv(np.eye(7) - S)
p_mean = solve @ np.append(d[1:], 0.0)
p_cov = solve @ np.diag(np.append(w[1:], 1.0)) @ solve.T
log_px = np.log(normal(x0, p_mean[0], p_cov[0, 0]))

q_mean, q_cov = big_joint(x0)
past, now = np.arange(1, 7), np.array([0])
r_mean, r_cov = condition(p_mean, p_cov, past, now, np.array([x0]))  # p(x_1, .., x_6 | x_0)
gap = r_mean - q_mean
kl = 0.5 * (np.trace(np.linalg.solve(r_cov, q_cov)) - 6 + gap @ np.linalg.solve(r_cov, gap)
            + np.linalg.slogdet(r_cov)[1] - np.linalg.slogdet(q_cov)[1])  # fmt: skip

n = 100_000
x = np.empty((7, n))
x[0] = x0
log_q = 0.0
for t in range(1, 7):  # the encoder: run the chain, collect log q
    x[t] = keep[t] * x[t - 1] + np.sqrt(short[t]) * rng.standard_normal(n)
    log_q = log_q + np.log(normal(x[t], keep[t] * x[t - 1], short[t]))
log_p = np.log(normal(x[6], 0, 1))
for t in range(1, 7):
    log_p = log_p + np.log(normal(x[t - 1], k[t] * x[t] + d[t], w[t]))
check.claim("log p(x_0), exactly", log_px, "-1.7011")
check.claim("the KL to the true posterior, exactly", kl, "0.8710")
check.mean("16.13", log_p - log_q, log_px - kl)

# %% [markdown]
# ### The bound in T + 1 pieces
#
# As it stands, the ELBO compares steps back ($p$) with steps forward ($q$): apples and pears. Turn
# each forward step round by Bayes' rule (16.9). In the product of all of them the factors
# $q(x_t \mid x_0)$ cancel one after the other, all but the last:
#
# $$
# q(x_{1:T} \mid x_0) = \prod_{t=1}^T q(x_t \mid x_{t-1})
# = q(x_T \mid x_0) \prod_{t=2}^T q(x_{t-1} \mid x_t, x_0)
# \tag{16.14}
# $$
#
# Both sides are densities of a whole path; we evaluate them at the paths just drawn.

# %%
turned = np.log(normal(x[6], np.sqrt(short_bar[6]) * x0, 1 - short_bar[6]))
for t in range(2, 7):
    m_t, v_t = posterior(x0, x[t], t, short)
    turned = turned + np.log(normal(x[t - 1], m_t, v_t))
check.equal("16.14", turned[:1000], log_q[:1000])

# %% [markdown]
# Now steps back stand against steps back. Pair them up and take expectations; each pair becomes
# a KL divergence:
#
# $$
# -\mathrm{ELBO} = L_T + \sum_{t=2}^T L_{t-1} + L_0
# \tag{16.15}
# $$
#
# - $L_T = \mathrm{KL}\big(q(x_T \mid x_0) \Vert p(x_T)\big)$: has the chain ended in the prior? No
#   parameters in it.
# - $L_{t-1} = \mathbb{E}_q \mathrm{KL}\big(q(x_{t-1} \mid x_t, x_0) \Vert p_\theta(x_{t-1} \mid
#   x_t)\big)$: is the model's step back the step that one would take knowing $x_0$?
# - $L_0 = \mathbb{E}_q[-\log p_\theta(x_0 \mid x_1)]$: the last step must hit the data, as the
#   decoder of a VAE.
#
# All laws here are Gaussian, so each KL has a closed form. In one dimension (sum over dimensions
# otherwise), with the means $m_1, m_2$ and variances $v_1, v_2$:
#
# $$
# \mathrm{KL}\big(\mathcal{N}(m_1, v_1) \Vert \mathcal{N}(m_2, v_2)\big) =
# \frac{1}{2} \Big( \frac{v_1}{v_2} - 1 - \log \frac{v_1}{v_2} + \frac{(m_1 - m_2)^2}{v_2} \Big)
# \tag{16.16}
# $$
#
# We check the KL by quadrature, then the sum of the pieces against $-\mathrm{ELBO} = \mathrm{KL} -
# \log p(x_0)$ of (16.13), where no piece was ever computed.
#
# > **Predict, then run.** Six steps, a model with random coefficients. Which piece is the largest,
# > which the smallest: the end of the chain $L_T$, the steps between, or the last step $L_0$?


# %%
def kl_normal(m1, v1, m2, v2):
    return 0.5 * (v1 / v2 - 1 - np.log(v1 / v2) + (m1 - m2) ** 2 / v2)


def moments(t, slope, shift):
    """Mean and variance of slope x_t + shift under q(x_t | x_0)."""
    return slope * np.sqrt(short_bar[t]) * x0 + shift, slope**2 * (1 - short_bar[t])


q_grid = normal(grid, 0.3, 0.5)
p_grid = normal(grid, -0.4, 0.8)
integral = (q_grid * np.log(np.maximum(q_grid, 1e-300) / np.maximum(p_grid, 1e-300))).sum()
check.equal("16.16", integral * (grid[1] - grid[0]), kl_normal(0.3, 0.5, -0.4, 0.8))

L_T = kl_normal(np.sqrt(short_bar[6]) * x0, 1 - short_bar[6], 0.0, 1.0)
L = []
for t in range(2, 7):
    at_zero, v_t = posterior(x0, 0.0, t, short)  # the posterior mean is at_zero + slope x_t
    slope = posterior(x0, 1.0, t, short)[0] - at_zero
    miss, spread = moments(t, slope - k[t], at_zero - d[t])  # of the difference of the means
    L.append(kl_normal(0, v_t, 0, w[t]) + 0.5 * (miss**2 + spread) / w[t])
miss, spread = moments(1, -k[1], x0 - d[1])
L_0 = 0.5 * (np.log(2 * np.pi * w[1]) + (miss**2 + spread) / w[1])
check.equal("16.15", L_T + sum(L) + L_0, kl - log_px)
check.claim("L_T", L_T, "0.0053")
check.claim("L_1 .. L_5 together", sum(L), "1.5202")
check.claim("L_0", L_0, "1.0466")

# %% [markdown]
# ### Where the squared error comes from
#
# The variance of $x_{t-1}$ can be fixed in advance. Take the posterior's own, $\tilde\beta_t$.
# Then everything in (16.16) but the last term vanishes. And let the network predict $x_0$: say
# $\hat x_0(x_t, t)$, put into (16.12) where $x_0$ stood. The two means then differ only by the
# coefficient of $x_0$ times $x_0 - \hat x_0$. Square that coefficient, divide by
# $2 \tilde\beta_t$, and something pretty is left:
#
# $$
# L_{t-1} = \frac{1}{2} \big(\mathrm{SNR}(t - 1) - \mathrm{SNR}(t)\big) \
# \mathbb{E}_q \big| x_0 - \hat x_0(x_t, t) \big|^2
# \tag{16.17}
# $$
#
# **The loss is a squared error of denoising**, weighted by how much signal the step loses.
# (Kingma et al. 2021 build on this form.) So the whole of training is: noise a data point,
# ask for the data point, square the error. For the check, take a denoiser that is far
# from linear, $\hat x_0 = \tanh x_t$, and do the expectation over $x_t$ on a grid; on the left
# stands the KL (16.16) between the two Gaussians.

# %%
snr = short_bar / np.maximum(1 - short_bar, 1e-300)
for t in (2, 4, 6):
    of_xt = normal(grid, np.sqrt(short_bar[t]) * x0, 1 - short_bar[t]) * (grid[1] - grid[0])
    guess = np.tanh(grid)
    m_true, v_t = posterior(x0, grid, t, short)
    m_model, _ = posterior(guess, grid, t, short)
    left = (of_xt * kl_normal(m_true, v_t, m_model, v_t)).sum()
    check.equal("16.17", left, 0.5 * (snr[t - 1] - snr[t]) * (of_xt * (x0 - guess) ** 2).sum())

# %% [markdown]
# ### How tight can it get?
#
# Averaged over data, the bound is the entropy of the data plus a divergence between two laws of
# whole paths. If each step back is the *true* reverse step $q(x_{t-1} \mid x_t)$, the paths can
# differ only in where they begin:
#
# $$
# \mathbb{E}_{x_0 \sim p_d}[-\mathrm{ELBO}] =
# H(p_d) + \mathrm{KL}\big(q(x_T) \Vert p(x_T)\big), \qquad H(p_d) = \mathbb{E}[-\log p_d(x_0)]
# \tag{16.18}
# $$
#
# where $q(x_T)$ is the law of $x_T$ averaged over the data. Nothing else is lost. For
# data $\mathcal{N}(0, s_d^2)$ the true reverse step is Gaussian: its mean is $\tilde\mu_t$ at the
# best guess $\mathbb{E}[x_0 \mid x_t]$, and its variance is $\tilde\beta_t$ plus what the guess
# leaves open. We add up the $T + 1$ terms of (16.15) for $s_d^2 = 4$.
#
# > **Predict, then run.** The entropy of the data is 2.1121 nats. With the six large steps of above
# > and the true reverse steps, is the bound above it by about 0.0004, 0.1 or 1 nat?

# %%
s2_data = 4.0
bar, b = short_bar, short
left_open = s2_data * (1 - bar) / (bar * s2_data + 1 - bar)  # Var(x_0 | x_t)


def from_guess(t):
    """Variance of x_{t-1} that comes from what x_t leaves open about x_0."""
    return bar[t - 1] * b[t] ** 2 / (1 - bar[t]) ** 2 * left_open[t]


def mean_term(t, w):
    """E over data of L_{t-1} (of L_0 for t = 1), the model's variance being w."""
    if t == 1:
        return 0.5 * (np.log(2 * np.pi * w) + left_open[1] / w)
    return kl_normal(0, posterior(0, 0, t, b)[1], 0, w) + 0.5 * from_guess(t) / w


def true_variance(t):
    return posterior(0, 0, t, b)[1] + from_guess(t)


# E over data of L_T = KL(N(sqrt(bar) x_0, 1 - bar) || N(0, 1)):
prior_term = 0.5 * (1 - bar[6] - 1 - np.log(1 - bar[6]) + bar[6] * s2_data)
total = prior_term + sum(mean_term(t, true_variance(t)) for t in range(1, 7))
entropy = 0.5 * np.log(2 * np.pi * np.e * s2_data)
ends = kl_normal(0, bar[6] * s2_data + 1 - bar[6], 0, 1)
check.equal("16.18", total, entropy + ends)
check.claim("entropy of the data", entropy, "2.1121")
check.claim("KL at the end of the chain", ends, "0.0004")

# %% [markdown]
# With the fixed variance $\tilde\beta_t$ the bound is looser, here (6 large steps, a decoder of
# variance $\tilde\beta_2$) by 1.196 nats. That is how the library computes it, one draw of $x_t$ a
# term (`diffusion.vlb`; its decoder takes $\tilde\beta_2$, as $\tilde\beta_1 = 0$). Its average
# over 4000 data points must be what our exact terms add up to. The network is the exact denoiser of
# Gaussian data. (The bound reaches the entropy for the true steps and a prior that is the law of
# $x_T$.)

# %%
process = diffusion.VP(short[1:])
exact = diffusion.Diffusion(
    process, diffusion.ExactDenoiser(process, tg.tensor([[0.0]], dtype=tg.float64), 2.0), "x0"
)
x_data = tg.tensor(2.0 * rng.standard_normal((4000, 1)))
bound = diffusion.vlb(exact, x_data, generator=tg.Generator().manual_seed(0))
small = [posterior(0, 0, max(t, 2), b)[1] for t in range(1, 7)]
ours = prior_term + sum(mean_term(t, small[t - 1]) for t in range(1, 7))
check.mean("16.15", bound.total.numpy(), ours)
c = bar[6] * s2_data + 1 - bar[6]  # variance of x_6; if it is the prior's, E over data of L_T is
right_prior = -0.5 * np.log((1 - bar[6]) / c)
best = right_prior + sum(mean_term(t, true_variance(t)) for t in range(1, 7))
check.at_most("16.18", entropy, ours, attained=(best, entropy))
check.claim("what the fixed variance costs, nats", ours - total, "1.196")

# %% [markdown]
# ## 7. Four ways to ask the same question
#
# Given $x_t = a x_0 + s \varepsilon$ (here $a = \sqrt{\bar\alpha_t}$ and
# $s = \sqrt{1 - \bar\alpha_t}$), whoever knows $x_0$ knows $\varepsilon = (x_t - a x_0) / s$, and
# the other way round. So a network may be asked for either, or for a mixture of both,
# $v = a \varepsilon - s x_0$ (Salimans and Ho 2022). From $x_t$ and $v$ one gets back
#
# $$
# x_0 = a x_t - s v, \qquad \varepsilon = s x_t + a v
# \tag{16.19}
# $$
#
# because $(x_t, v)$ is $(x_0, \varepsilon)$ turned by an angle whose cosine is $a$ and whose sine
# is $s$.
#
# If the answers differ only by such arithmetic, so do the errors. An error of
# $\hat x_0$ by 1 makes one of $\hat\varepsilon$ by $a / s$, and so on:
#
# $$
# |\varepsilon - \hat\varepsilon|^2 = \mathrm{SNR}(t) \ |x_0 - \hat x_0|^2, \qquad
# |v - \hat v|^2 = (1 + \mathrm{SNR}(t)) \ |x_0 - \hat x_0|^2
# \tag{16.20}
# $$
#
# So the plain squared losses of the four parameterisations are **one** loss under four weights of
# $t$. In terms of $\varepsilon$ the weight that the bound (16.17) asks for is
#
# $$
# L_{t-1} = \frac{\beta_t^2}{2 \tilde\beta_t \alpha_t (1 - \bar\alpha_t)} \
# \mathbb{E}_q |\varepsilon - \hat\varepsilon(x_t, t)|^2
# \tag{16.21}
# $$
#
# which is how Ho et al. (2020) print it (their $\sigma_t^2$, for which we take $\tilde\beta_t$).
#
# > **Predict, then run.** A network that predicts $x_0$ is off by 0.1. By how much is the noise
# > that it implies off, at $t = 10$ and at $t = 900$: more, or less?

# %%
t = np.arange(2, T + 1)
a, s = np.sqrt(alpha_bar[t]), np.sqrt(1 - alpha_bar[t])
x0_, eps = rng.standard_normal((2, len(t)))
xt_, v_ = a * x0_ + s * eps, a * eps - s * x0_
check.equal("16.19", [a * xt_ - s * v_, s * xt_ + a * v_], [x0_, eps])

guess = x0_ + rng.standard_normal(len(t))  # any answer of a network that predicts x_0
guess_eps = (xt_ - a * guess) / s
guess_v = a * guess_eps - s * guess
snr = alpha_bar[t] / (1 - alpha_bar[t])
check.equal("16.20", (eps - guess_eps) ** 2, snr * (x0_ - guess) ** 2)
check.equal("16.20", (v_ - guess_v) ** 2, (1 + snr) * (x0_ - guess) ** 2)

beta_tilde = (1 - alpha_bar[t - 1]) / (1 - alpha_bar[t]) * beta[t]
of_eps = beta[t] ** 2 / (2 * beta_tilde * alpha[t] * (1 - alpha_bar[t]))
of_x0 = 0.5 * (alpha_bar[t - 1] / (1 - alpha_bar[t - 1]) - snr)
check.equal("16.21", of_eps * (eps - guess_eps) ** 2, of_x0 * (x0_ - guess) ** 2)
check.equal("16.21", of_eps * T, diffusion.loss_weight("vlb", "eps", ddpm, t), tol=1e-8)
for step, said in ((10, "2.295"), (900, "0.0017")):
    check.claim(f"x_0 off by 0.1 at t = {step}: noise off by", 0.1 * np.sqrt(snr[step - 2]), said)

# %% [markdown]
# With little noise in the picture a small error of $x_0$ is a gross error of the noise (2.295, more
# than two standard deviations); with hardly any picture in the noise it is nothing. So a network
# that is asked for $\varepsilon$ works hard where there is little noise, and one that is asked for
# $x_0$ does not.
#
# ### The score
#
# The fourth way is the most physical. The *score* of a law is the gradient of its log density: an
# arrow towards more probable points. Given $x_0$, the law of $x_t$ is a Gaussian and its
# score is $-(x_t - a x_0) / s^2 = -\varepsilon / s$. We do not know $x_0$; but averaging over what
# it may have been gives the score of the noised data itself (Tweedie's formula):
#
# $$
# \nabla_{x_t} \log q(x_t) = -\frac{1}{s} \mathbb{E}[\varepsilon \mid x_t]
# \tag{16.22}
# $$
#
# A network trained to predict noise, with squared error, learns the mean of $\varepsilon$ given
# $x_t$, that is, the score up to a factor. For the check take the two-mode data from section 2:
# on the left autograd differentiates $\log q(x_t)$; on the right the posterior mean, component by
# component.
#
# > **Predict, then run.** At $t = 300$ stand at $x_t = 0$, between the two modes (at -1.1 with
# > share 0.45, at 0.9 with share 0.55). Which way does the arrow point?

# %%
t = 300
a, s2 = np.sqrt(alpha_bar[t]), 1 - alpha_bar[t]
y = np.linspace(-2.5, 2.5, 11)
c = a**2 * width**2 + s2  # variance of x_t within a mode
x = tg.tensor(y, requires_grad=True)
log_terms = tg.stack([
    np.log(weight) - 0.5 * (x - a * mode) ** 2 / c for weight, mode in zip(weights, modes)
])  # fmt: skip
(score,) = tg.autograd.grad(log_terms.logsumexp(0).sum(), [x])

share = weights[:, None] * normal(y, a * modes[:, None], c)
share = share / share.sum(0)  # which mode x_t came from
inside = modes[:, None] + a * width**2 / c * (y - a * modes[:, None])  # E[x_0 | x_t, mode]
mean_eps = (y - a * (share * inside).sum(0)) / np.sqrt(s2)
check.equal("16.22", score, -mean_eps / np.sqrt(s2))
check.claim("score at x_300 = 0", score[5], "0.065")
check.claim("best guess of x_0 there", (share * inside).sum(0)[5], "0.063")

# %% [markdown]
# To the right, but hardly: the guess of $x_0$ is 0.063, a point where there is no data at all. It
# is an average over both modes. Keep that in mind for section 9.
#
# The same in the plane, for eight Gaussians on a circle: the grey cloud is $x_t$, and each arrow
# goes from a point $x_t$ to the best guess $\mathbb{E}[x_0 \mid x_t]$. Move the slider: late, when
# all is noise, every guess is the data's mean; early, each point knows its mode.

# %% tags=["figure"]
angle = 2 * np.pi * np.arange(8) / 8
centers = 1.3 * np.stack([np.cos(angle), np.sin(angle)], 1)
guesser = diffusion.Diffusion(ddpm, diffusion.ExactDenoiser(ddpm, tg.tensor(centers), 0.12), "x0")
draws = np.random.default_rng(1)
picked = centers[draws.integers(8, size=500)] + 0.12 * draws.standard_normal((500, 2))
eps_plane = draws.standard_normal((500, 2))


def guesses_at(t):
    x = np.sqrt(alpha_bar[t]) * picked + np.sqrt(1 - alpha_bar[t]) * eps_plane
    to = guesser.predict(tg.tensor(x[:60]), t).x0.numpy() - x[:60]
    fig, ax = plt.subplots(figsize=(3.6, 3.8), layout="constrained")
    ax.scatter(*x.T, s=4, color="0.75", linewidths=0)
    ax.quiver(*x[:60].T, *to.T, angles="xy", scale_units="xy", scale=1, color="C0", width=0.004)
    ax.scatter(*(x[:60] + to).T, s=9, color="C1", linewidths=0, zorder=3)
    ax.set(xlim=(-3, 3), ylim=(-3, 3), aspect="equal", xlabel="first coordinate",
           ylabel="second", title=f"t = {t}: from $x_t$ to the best guess")  # fmt: skip
    return fig


times = (5, 50, 100, 150, 200, 300, 400, 600, 1000)
figures.slider([guesses_at(t) for t in times], times, "t", start=4, colors=32,
               alt="Points of a noised ring of eight Gaussians with arrows to the best guess of "
                   "x_0: short arrows to the own mode at small t, long arrows to the common mean "
                   "at t = 1000.")  # fmt: skip

# %% [markdown]
# ## 8. Sampling with a perfect network
#
# A sampler starts with $x_T \sim \mathcal{N}(0, 1)$ and draws $x_{t-1}$ from
# $\mathcal{N}(\tilde\mu_t(x_t, \hat x_0), w_t)$ for $t = T, \dots, 1$; at the last step it takes
# the mean. How good can that be? For data $\mathcal{N}(0, s_d^2)$ we can say exactly. The best
# guess is linear, $\hat x_0 = g_t x_t$, so the mean of $x_{t-1}$ is $k_t x_t$ for a number $k_t$
# and the variance $V_t$ of the sampler's $x_t$ obeys
#
# $$
# V_{t-1} = k_t^2 V_t + w_t, \qquad
# k_t = \frac{\sqrt{\alpha_t} (1 - \bar\alpha_{t-1}) + \sqrt{\bar\alpha_{t-1}} \beta_t g_t}
# {1 - \bar\alpha_t}, \qquad
# g_t = \frac{\sqrt{\bar\alpha_t} s_d^2}{\bar\alpha_t s_d^2 + 1 - \bar\alpha_t}
# \tag{16.23}
# $$
#
# No training luck is involved: this is the variance of infinitely many samples. For the check, 50
# steps and data of variance 4. The first look is by another road. Putting the best guess into
# $\tilde\mu_t$ makes it $\mathbb{E}[x_{t-1} \mid x_t]$, so $k_t$ must be the slope of a regression;
# and the whole chain is one big linear system, as in section 5. Then 40,000 samples that the
# library really draws.


# %%
def step_variances(betas, s2_data):
    """beta-tilde_t, beta_t and the true Var(x_{t-1} | x_t), each for t = 0 .. T."""
    beta = np.concatenate([[0.0], betas])
    before = np.cumprod(1 - beta)  # alpha-bar_t; of one step earlier:
    bar, earlier = before[1:], before[:-1]
    tilde = (1 - earlier) / (1 - bar) * betas
    open_ = s2_data * (1 - bar) / (bar * s2_data + 1 - bar)  # Var(x_0 | x_t)
    true = tilde + earlier * betas**2 / (1 - bar) ** 2 * open_
    return {name: np.append(0.0, w) for name, w in
            (("small", tilde), ("large", betas), ("true", true))}  # fmt: skip


def slope(t, bar, beta, s2_data):
    """k_t of (16.23): E[x_{t-1} | x_t] = k_t x_t."""
    g = np.sqrt(bar[t]) * s2_data / (bar[t] * s2_data + 1 - bar[t])
    return posterior(g, 1.0, t, beta)[0]


def output_variance(betas, s2_data=1.0, choice="large"):
    """Variance of x_0 by (16.23), w_t = beta_t ("large"), beta-tilde_t ("small") or "true"."""
    beta, w = np.concatenate([[0.0], betas]), step_variances(betas, s2_data)[choice]
    bar = np.cumprod(1 - beta)
    V = 1.0
    for t in range(len(betas), 0, -1):
        V = slope(t, bar, beta, s2_data) ** 2 * V + (w[t] if t > 1 else 0.0)
    return V


process = diffusion.linear_scaled(50)  # 50 steps, betas 20 times as large: alpha-bar_50 is tiny
left = np.cumprod(np.append(1.0, 1 - process.betas))  # alpha-bar_t
law = 4.0 * left + 1 - left  # the variance of x_t
slopes = np.sqrt(1 - process.betas) * law[:-1] / law[1:]  # Cov(x_{t-1}, x_t) / Var(x_t)
ours = [slope(t, left, np.append(0.0, process.betas), 4.0) for t in range(1, 51)]
check.equal("16.23", ours, slopes)
open_ = law[:-1] - slopes**2 * law[1:]  # Var(x_{t-1} | x_t), by regression too
check.equal("16.23", step_variances(process.betas, 4.0)["true"][1:], open_)
solve = np.linalg.inv(np.eye(51) - np.diag(slopes, 1))  # x_{t-1} leans on x_t
for choice in ("large", "small", "true"):
    w = step_variances(process.betas, 4.0)[choice]
    added = np.append(np.append(0.0, w[2:]), 1.0)  # nothing in the last step; x_T ~ N(0, 1)
    check.equal("16.23", output_variance(process.betas, 4.0, choice),
                (solve @ np.diag(added) @ solve.T)[0, 0])  # fmt: skip
exact = diffusion.Diffusion(
    process, diffusion.ExactDenoiser(process, tg.tensor([[0.0]], dtype=tg.float64), 2.0), "x0"
)
start = tg.tensor(rng.standard_normal((40_000, 1)))
for choice in ("large", "small"):
    drawn = diffusion.sample(
        exact, start.shape, variance=choice, start=start, generator=tg.Generator().manual_seed(1)
    ).numpy()[:, 0]
    check.mean("16.23", drawn**2, output_variance(process.betas, 4.0, choice))

# %% [markdown]
# Now the numbers for the original 1000 steps. Two choices of $w_t$ are common, and the true
# variance of a step back explains both. It is $\tilde\beta_t$ plus what is not known about $x_0$:
#
# $$
# \mathrm{Var}(x_{t-1} \mid x_t) = \tilde\beta_t +
# \Big(\frac{\sqrt{\bar\alpha_{t-1}} \beta_t}{1 - \bar\alpha_t}\Big)^2
# \mathrm{Var}(x_0 \mid x_t)
# \tag{16.24}
# $$
#
# That is $\tilde\beta_t$ for data that is a single point, and exactly $\beta_t$ for
# $\mathcal{N}(0, 1)$. The check takes the joint Gaussian of $(x_0, x_{t-1}, x_t)$ and
# conditions it on $x_t$.

# %%
for s2_data, t in ((0.0, 500), (1.0, 500), (4.0, 20)):
    a1, a2, r = np.sqrt(alpha_bar[t - 1]), np.sqrt(alpha_bar[t]), np.sqrt(alpha[t])
    before = a1**2 * s2_data + 1 - alpha_bar[t - 1]
    now = a2**2 * s2_data + 1 - alpha_bar[t]  # variance of x_t
    step_open = before - (r * before) ** 2 / now  # Var(x_{t-1} | x_t): the covariance is r before
    x0_open = s2_data - (a2 * s2_data) ** 2 / now  # Var(x_0 | x_t)
    tilde = posterior(0, 0, t, beta)[1]
    factor = alpha_bar[t - 1] * beta[t] ** 2 / (1 - alpha_bar[t]) ** 2
    check.equal("16.24", step_open, tilde + factor * x0_open)
    check.equal("16.24", step_open, step_variances(beta[1:], s2_data)["true"][t])
    if s2_data < 2:
        check.equal("16.24", step_open, beta[t] if s2_data == 1 else tilde)

# %% [markdown]
# > **Predict, then run.** With 1000 steps, how far is the variance of the samples from the data's,
# > for data of variance 1 and of variance 4: 1 %, 10 %, a half?

# %%
betas = np.linspace(1e-4, 0.02, 1000)
for s2_data, said in ((1.0, ("0.9999", "0.9911")), (4.0, ("3.9906", "3.9748"))):
    for choice, value in zip(("large", "small"), said):
        found = output_variance(betas, s2_data, choice)
        check.claim(f"T = 1000, data of variance {s2_data:.0f}, w {choice}", found, value)

# %% [markdown]
# With $T = 1000$ both choices are within 1 % of the truth.
#
# > **Predict, then run.** Now 50 steps *of the same betas* (from 0.0001 to 0.02), and data of
# > variance 4. The network is perfect. What comes out: 4, 3 or less than 2? And would the true
# > variance of each step (16.24) mend it?

# %%
betas = np.linspace(1e-4, 0.02, 50)
for choice, value in (("large", "1.783"), ("small", "1.746"), ("true", "1.788")):
    found = output_variance(betas, 4.0, choice)
    check.claim(f"T = 50, data of variance 4, w {choice}", found, value)
left = np.prod(1 - betas)
check.claim("T = 50: variance of x_50, where the chain should begin", 4 * left + 1 - left, "2.81")

# %% [markdown]
# 1.783, and the true variance of each step would make it 1.788. The network was perfect, and the
# steps nearly so. The chain was simply started in the wrong place: $x_{50}$ still holds 60 % of the
# data and has variance 2.81, and sampling began with pure noise. Nothing in the training loss would
# have told.
#
# ## 9. Fix the slide: the sampler that throws away half
#
# The lecture notes' Algorithm 2 has a VE chain and a network $T_\theta$ that predicts $x_0$. Its
# line 4 takes one step back:
#
# > `4: i1 = To(Xs,t) + s—_1€` (read: $x_{t-1} = T_\theta(x_t, t) + \alpha_{t-1} \varepsilon$)
#
# and the slide before it justifies it by `q(xe—1lxg) = N(xt—1‘xo;“?—11)`, that is, by
# $q(x_{t-1} \mid x_0)$: *predict the data point, then noise it again*. It sounds right. If the
# prediction were the true $x_0$, it would be right. But $\hat x_0 = \mathbb{E}[x_0 \mid x_t]$ is an
# **average**, and averages vary less than what they are averages of:
#
# $$
# \mathrm{Var}\big(\mathbb{E}[x_0 \mid x_t]\big) +
# \mathbb{E}\big[\mathrm{Var}(x_0 \mid x_t)\big] = \mathrm{Var}(x_0)
# \tag{16.25}
# $$
#
# Noising $\hat x_0$ afresh gives $x_{t-1}$ the variance $\mathrm{Var}(\hat x_0) + \sigma_{t-1}^2$,
# and the middle term of (16.25) is lost, in each step again. What was not yet decided about
# $x_0$ sat in $x_t$ itself. That is why the right step keeps a part of $x_t$. For VE chains,
# (16.12) and (16.11) read
#
# $$
# x_{t-1} = \hat x_0 + \frac{\sigma_{t-1}^2}{\sigma_t^2} (x_t - \hat x_0) +
# \sqrt{\tilde\beta_t} \ \varepsilon, \qquad
# \tilde\beta_t = \frac{\sigma_{t-1}^2}{\sigma_t^2} (\sigma_t^2 - \sigma_{t-1}^2)
# \tag{16.26}
# $$
#
# First both identities: (16.25) on two modes (of shares 0.3 and 0.7) by the posterior of section 7
# and a grid; (16.26)
# by conditioning $(x_{t-1}, x_t)$ given $x_0$, and against the library.

# %%
t, odds = 300, np.array([0.3, 0.7])
a, s2 = np.sqrt(alpha_bar[t]), 1 - alpha_bar[t]
c = a**2 * width**2 + s2
share = odds[:, None] * normal(grid, a * modes[:, None], c)
q_xt = share.sum(0) * (grid[1] - grid[0])
share = share / np.maximum(share.sum(0), 1e-300)
inside = modes[:, None] + a * width**2 / c * (grid - a * modes[:, None])
guess = (share * inside).sum(0)
rest = (share * (inside**2 + width**2 * s2 / c)).sum(0) - guess**2
mean_x0 = (odds * modes).sum()
total = (odds * (modes**2 + width**2)).sum() - mean_x0**2
of_guess = (q_xt * (guess - mean_x0) ** 2).sum()
check.equal("16.25", of_guess + (q_xt * rest).sum(), total)
check.claim("variance of the data", total, "0.863")
check.claim("variance of the guess at t = 300", of_guess, "0.346")

u2, t2 = 0.7**2, 1.6**2  # sigma_{t-1}^2 and sigma_t^2
m, V = condition(np.full(2, 0.9), np.array([[u2, u2], [u2, t2]]), [0], [1], np.array([-0.5]))
check.equal("16.26", 0.9 + u2 / t2 * (-0.5 - 0.9), m)
check.equal("16.26", u2 / t2 * (t2 - u2), V)
at = [tg.tensor([[value]], dtype=tg.float64) for value in (0.9, -0.5)]
ve = diffusion.VE([0.7, 1.6, 9.0]).posterior(*at, 2, 1)
check.equal("16.26", [m[0], V[0, 0]], [ve.mean.item(), ve.variance.item()])

# %% [markdown]
# How bad is it? Take data $\mathcal{N}(0, 1)$, the exact denoiser $\hat x_0 = x_t / (1 +
# \sigma_t^2)$, and $\sigma$ in equal factors from 0.01 to 10. The recursion of the variance for
# both steps is below.
#
# > **Predict, then run.** The slide's sampler loses variance with 50 steps. With 1000 steps, does
# > it lose next to nothing, a tenth, or half?


# %%
def ve_variances(T, sampler):
    """V_T, .., V_0 of data N(0, 1) with a perfect denoiser, geometric sigma from 0.01 to 10."""
    sigma2 = np.concatenate([[0.0], np.geomspace(0.01, 10.0, T) ** 2])
    V = [1 + sigma2[T]]
    for t in range(T, 0, -1):
        gain, part = 1 / (1 + sigma2[t]), sigma2[t - 1] / sigma2[t]
        if sampler == "slide":  # guess, then noise it again
            V.append(gain**2 * V[-1] + sigma2[t - 1])
        else:  # keep a part of x_t, (16.26)
            tilde = part * (sigma2[t] - sigma2[t - 1])
            V.append((gain + part * (1 - gain)) ** 2 * V[-1] + tilde)
    return np.sqrt(sigma2), np.array(V)


for steps, said in (
    (50, ("0.467", "0.871")),
    (200, ("0.491", "0.966")),
    (1000, ("0.498", "0.993")),
):
    for sampler, value in zip(("slide", "right"), said):
        left = ve_variances(steps, sampler)[1][-1]
        check.claim(f"E9: T = {steps}, the {sampler} step, of variance 1", left, value)
check.claim("E9: where the chain begins", ve_variances(50, "right")[1][0], "101.0")

# %% [markdown]
# With 1000 steps the slide's sampler is left with 0.498 of the variance, the right one with 0.993:
# half is lost, and more steps do not help. One can see where the half comes from. Let the steps be
# so fine that $\sigma_{t-1} \approx \sigma_t = \sigma$. Then the slide's step repeats
# $V \to V / (1 + \sigma^2)^2 + \sigma^2$, and settles at
#
# $$
# V^\ast = \frac{V^\ast}{(1 + \sigma^2)^2} + \sigma^2
# \quad \text{so} \quad V^\ast = \frac{(1 + \sigma^2)^2}{2 + \sigma^2}
# \quad \longrightarrow \quad \frac{1}{2} \ \text{as} \ \sigma \to 0,
# \tag{16.27}
# $$
#
# where it should be $1 + \sigma^2 \to 1$. We iterate the map to check it, and draw both recursions.

# %%
for s2 in (4.0, 1.0, 0.09):
    V = 7.0
    for _ in range(2000):
        V = V / (1 + s2) ** 2 + s2
    check.equal("16.27", V, (1 + s2) ** 2 / (2 + s2))
check.claim("E9: the limit at sigma = 0.01", (1 + 1e-4) ** 2 / (2 + 1e-4), "0.500075")

# %% tags=["figure"]
fig, ax = plt.subplots(figsize=(7, 2.8), layout="constrained")
for sampler, colour, dashes in (("slide", "C1", "--"), ("right", "C0", "-")):
    sigma, V = ve_variances(1000, sampler)
    ratio = V[::-1] / (1 + sigma**2)
    ax.semilogx(
        np.maximum(sigma, 0.008),
        ratio,
        color=colour,
        linestyle=dashes,
        label=f"{sampler} step, T = 1000",
    )
ax.semilogx(sigma[1:], (1 + sigma[1:] ** 2) / (2 + sigma[1:] ** 2), "k:", label="(16.27)")
ax.invert_xaxis()
ax.set(xlabel="noise level $\\sigma_t$, from noise (left) to data (right)", ylim=(0, 1.1),
       ylabel="variance / true variance", title="the slide's sampler ends with half")  # fmt: skip
ax.legend(loc="lower left")
figures.show(fig, "Variance over true variance against the noise level: the right step stays near "
             "1; the slide's falls from 1 to a half along the curve of (16.27).")  # fmt: skip

# %% [markdown]
# The same on the eight Gaussians in the plane, each of standard deviation 0.25, with the exact
# denoiser of that law. The library keeps the slide's step as a sampler called `renoise`, to be
# looked at.
#
# > **Predict, then run.** Half of the variance is lost. Will modes be missing, will the ring of
# > modes shrink, or will each mode be too narrow?

# %%
process = diffusion.geometric(200)
model = diffusion.Diffusion(
    process, diffusion.ExactDenoiser(process, tg.tensor(centers), 0.25), "x0"
)
truth = centers[rng.integers(8, size=1500)] + 0.25 * rng.standard_normal((1500, 2))
sets = {"data": truth}
for name in ("ancestral", "renoise"):
    start = tg.tensor(np.sqrt(10.0**2 + truth.var()) * rng.standard_normal((1500, 2)))
    sets[name] = diffusion.sample(
        model, (1500, 2), name, start=start, generator=tg.Generator().manual_seed(2)
    ).numpy()


def spread(points):
    """Standard deviation about the nearest centre, of one coordinate."""
    nearest = ((points[:, None] - centers) ** 2).sum(2).min(1)
    return np.sqrt(nearest.mean() / 2)


def found(points):
    """How many centres are the nearest of at least 50 points."""
    nearest = ((points[:, None] - centers) ** 2).sum(2).argmin(1)
    return (np.bincount(nearest, minlength=8) >= 50).sum()


for name, said, radius in (("data", "0.241", "1.305"), ("ancestral", "0.241", "1.303"),
                           ("renoise", "0.183", "1.289")):  # fmt: skip
    points = sets[name]
    check.claim(f"E9: spread of a mode, {name}", spread(points), said)
    check.claim(f"E9: modes found, {name}", found(points), "8")
    ring = np.sqrt((points**2).sum(1).mean() - 2 * spread(points) ** 2)
    check.claim(f"E9: radius of the ring, {name}", ring, radius)
ratio = spread(sets["renoise"]) ** 2 / spread(sets["data"]) ** 2
check.claim("E9: squared spread of a mode, renoise / data", ratio, "0.58")

# %% tags=["figure"]
fig, axes = plt.subplots(1, 3, figsize=(7.5, 2.8), layout="constrained")
for ax, (name, points) in zip(axes, sets.items()):
    ax.scatter(*points.T, s=1.5, color="C0", linewidths=0)
    ax.set(xlim=(-2.5, 2.5), ylim=(-2.5, 2.5), aspect="equal", xticks=[], yticks=[],
           title=f"{name}: spread {spread(points):.2f}")  # fmt: skip
figures.show(fig, "Three rings of eight blobs: data, ancestral sampler, renoise. All have eight "
             "modes; those of renoise are visibly narrower.")  # fmt: skip

# %% [markdown]
# All eight modes are found and the ring keeps its radius, because late in the chain the guess knows
# its mode. But each mode is too narrow: the squared spread is 0.58 of the data's.

# %% [markdown]
# ## A bug from the wild: a beta above 1
#
# lucidrains/imagen-pytorch issue #161 (2022, "NaN error with low number of timesteps"): to keep
# $\bar\alpha_T$ small with fewer steps, the linear schedule is rescaled by $1000 / T$. A user tried
# 10 steps and got NaN out of the noising function. The last beta was $0.02 \cdot 100 = 2$, and
# every beta from the sixth on was above 1. Their alphas were negative, so $\bar\alpha_6$,
# $\bar\alpha_8$ and $\bar\alpha_{10}$ were negative too, and the root of that is not a number. The
# same kind of report exists elsewhere for the end point of the cosine schedule. In our own words:


# %%
def scaled_linear(T):
    return np.linspace(1e-4, 0.02, T) * 1000 / T


for steps, last, bad in ((1000, "0.02", False), (100, "0.20", False), (10, "2.00", True)):
    b = scaled_linear(steps)
    with np.errstate(invalid="ignore"):
        signal = np.sqrt(np.cumprod(1 - b))
    check.claim(f"T = {steps}: last beta", b[-1], last)
    check.claim(f"T = {steps}: NaN in the signal level", np.isnan(signal).any(), bad)
b = scaled_linear(10)
check.claim("T = 10: betas above 1 begin at", np.argmax(b > 1) + 1, "6")
check.claim("T = 10: NaN at t = 6, 8, 10", np.isnan(signal).nonzero()[0] + 1 == [6, 8, 10])
check.claim("20 steps: the last beta", scaled_linear(20)[-1], "1.000")
check.claim("21 steps: the last beta", scaled_linear(21)[-1], "0.952")
check.claim("49 steps: the last beta", scaled_linear(49)[-1], "0.408")


# %% [markdown]
# With 21 to 49 steps there is no NaN, and it still is hardly a chain of *small* steps: the last
# beta is 0.408 at 49 steps and above it with fewer. The check to keep is a function that looks at a
# schedule before anybody trains on it: each $\beta$ strictly between 0 and 1, and the end of the
# chain reported. The library does both when a process is made; here is ours, and what the library
# says.


# %%
def inspect_schedule(betas):
    """Raise for a beta outside (0, 1); return what share of the data's variance is left at T."""
    betas = np.asarray(betas)
    if not ((betas > 0) & (betas < 1)).all():
        raise ValueError(f"each beta must lie in (0, 1); the largest is {betas.max():.3g}")
    return float(np.prod(1 - betas))


left = inspect_schedule(scaled_linear(1000))
check.claim("1000 steps: share of the variance left, in millionths", 1e6 * left, "40.4")
for make in (inspect_schedule, diffusion.VP):
    try:
        said = make(scaled_linear(10))
    except ValueError as error:
        said = str(error)
    check.claim(f"10 steps: {make.__name__} refuses", "beta must" in said)
    print(f"    {said}")

# %% [markdown]
# ## Exercises
#
# ### Exercise 16.1
#
# Write `alpha_bar(betas)`. `betas` is an array $(\beta_1, \dots, \beta_T)$; return the array
# $(\bar\alpha_0, \bar\alpha_1, \dots, \bar\alpha_T)$ of $T + 1$ numbers. What should stand at
# $t = 0$, where no noise has come yet?


# %%
def alpha_bar_of(betas): ...


check.exercise("16.1", alpha_bar_of)

# %% [markdown]
# ### Exercise 16.2
#
# Write `posterior_stride(x0, xt, bar_u, bar_t)`: mean and variance of $q(x_u \mid x_t, x_0)$ for
# *any* $u \lt t$, not only $u = t - 1$, given $\bar\alpha_u$ and $\bar\alpha_t$. (Samplers that
# skip steps need it.) From $u$ to $t$ the chain is one big step: what is its $\alpha$?


# %%
def posterior_stride(x0, xt, bar_u, bar_t): ...


check.exercise("16.2", posterior_stride)

# %% [markdown]
# ### Exercise 16.3
#
# Write `betas_from_snr(snr)`. Given the signal-to-noise ratios $\mathrm{SNR}(1), \dots,
# \mathrm{SNR}(T)$ that somebody wishes for (a falling array), return the betas of the VP chain that
# has them.


# %%
def betas_from_snr(snr): ...


check.exercise("16.3", betas_from_snr)

# %% [markdown]
# ### Exercise 16.4
#
# Write `score_from_v(v, xt, alpha_bar_t)`: the score $\nabla \log q(x_t)$ that a $v$-predicting
# network implies at $x_t$, in a VP chain. Two of the formulas of section 7, one after the other.


# %%
def score_from_v(v, xt, alpha_bar_t): ...


check.exercise("16.4", score_from_v)

# %% [markdown]
# ### Exercise 16.5
#
# Repair the slide. Write `step_back(xt, x0_hat, sigma_t, sigma_u, noise)`: one step of the VE chain
# from level `sigma_t` to the lower level `sigma_u`, where `noise` is a standard normal draw. What
# must it do when `sigma_u` is 0?


# %%
def step_back(xt, x0_hat, sigma_t, sigma_u, noise): ...


check.exercise("16.5", step_back)

# %% [markdown]
# ## What you can say now
#
# - A diffusion model is a hierarchical VAE whose encoder is fixed: it only adds noise.
# - Any frame is one draw: $x_t = \sqrt{\bar\alpha_t} x_0 + \sqrt{1 - \bar\alpha_t} \varepsilon$.
#   VP and VE are one chain in two units; the SNR is what they share.
# - Given $x_0$, a step back is a Gaussian that I can derive by completing the square.
# - The ELBO falls into $T + 1$ pieces, and each piece is a squared error of denoising, weighted by
#   the loss of SNR. Predicting $x_0$, $\varepsilon$, $v$ or the score is one loss, four weights.
# - What counts in a schedule is where it ends: $\bar\alpha_{50} = 0.603$ with DDPM's betas, and
#   data of variance 4 comes out with variance 1.783 from a perfect network.
# - A step back must draw from $q(x_{t-1} \mid x_t, \hat x_0)$. Drawing from
#   $q(x_{t-1} \mid \hat x_0)$ loses variance, however many steps one takes: half of it for Gaussian
#   data.
# - All of this is checked without training anything.
#
# ## The full-size run
#
# A trained network shows the same loss. In the plane (swiss roll, 50 steps, cosine schedule, 5000
# training steps, about a minute on one core):
#
# ```
# python examples/diffusion_2d.py                      # variance 0.936, of the data 0.979
# python examples/diffusion_2d.py --sampler renoise    # variance 0.783, of the data 0.979
# ```
#
# (seed 0, one run each, the same trained network; the script draws the samples, the paths and a
# film of the chain). `--schedule linear` is the schedule of 50 steps that stops too early: the
# library warns when it is made. More settings side by side:
# benchmarks/results/diffusion/diffusion-2d.md.
#
# ## Further reading
#
# - J. Sohl-Dickstein, E. Weiss, N. Maheswaranathan, S. Ganguli, *Deep unsupervised learning using
#   nonequilibrium thermodynamics*, 2015: the idea and the bound.
# - J. Ho, A. Jain, P. Abbeel, *Denoising diffusion probabilistic models*, 2020: sections 2 and 3
#   are our sections 1, 2, 5, 6 and 8.
# - Y. Song, S. Ermon, *Generative modeling by estimating gradients of the data distribution*, 2019:
#   the VE side, by way of the score.
# - Y. Song et al., *Score-based generative modeling through stochastic differential equations*,
#   2021: VP and VE in continuous time.
# - D. Kingma, T. Salimans, B. Poole, J. Ho, *Variational diffusion models*, 2021: the bound in SNR.
# - A. Nichol, P. Dhariwal, *Improved denoising diffusion probabilistic models*, 2021: the cosine
#   schedule.
# - T. Salimans, J. Ho, *Progressive distillation for fast sampling of diffusion models*, 2022: $v$.
