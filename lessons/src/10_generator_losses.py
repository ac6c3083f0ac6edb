# %% [markdown]
# # Lesson 10: Generator losses and game dynamics
#
# > **Question.** Against a good discriminator the generator of lesson 9 learns almost nothing. What
# > should it descend instead, what does it minimise then, and does descending against an opponent
# > that moves as well lead anywhere?
#
# At the end you can say why the loss $\log(1 - D)$ saturates and what replaces it, which divergence
# each generator loss stands for, why plain gradient steps of two players spiral away from the
# solution, and which three changes stop that.
#
# You need lesson 9: the value $V(D, G)$, the logit $a$ with $D = \sigma(a)$, and
# $D^* = p_d / (p_d + p_g)$.

# %%
import matplotlib.pyplot as plt
import numpy as np

import tinygen as tg
from tinygen import data, nn
from tinygen.lessons import check
from tinygen.models import gan

rng = np.random.default_rng(10)
a = np.linspace(-8, 4, 200)
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3), layout="constrained", dpi=90)
left.plot(a, -np.logaddexp(0, a), label="minimax  $\\log(1 - D)$")
left.plot(a, np.logaddexp(0, -a), label="non-saturating  $-\\log D$")
left.plot(a, -np.exp(a), label="maximum likelihood  $-D/(1 - D)$")
left.set(ylim=(-6, 9), xlabel="logit of a sample: D is sure that it is made ... real")
left.set(title="Three losses: where is the slope?", ylabel="loss of G")
left.legend(fontsize=8)
w = np.array([1.0, 0.0])
turn = np.array([[1.0, -0.15], [0.15, 1.0]])  # both players step at once on V = theta phi
path = np.array([w := turn @ w for _ in range(90)])
right.plot(*path.T, ".-", ms=3, lw=0.7, color="purple")
right.plot(0, 0, "k+", ms=12)
right.set(xlabel=r"$\theta$, the generator", ylabel=r"$\phi$, the discriminator", aspect="equal")
right.set_title("Two players, plain steps: away from +")
plt.show()

# %% [markdown]
# Two troubles, one in each picture. **Left**: the blue loss is flat exactly where the samples are
# worst, on the far left. **Right**: even in the simplest game there is, two players who both follow
# their gradients walk away from the solution. The first is repaired by another loss, the second by
# another step. We take them in turn.
#
# ## 1. Three losses of one logit
#
# A sample $G(z)$ enters its loss only through the logit $a$ that $D$ gives it. The generator of
# lesson 9 descends the second term of the value,
#
# $$
# L_{\mathrm{MM}}(a) = \log(1 - D) = -\mathrm{softplus}(a) \tag{10.1}
# $$
#
# (MM for **minimax**). Goodfellow et al. (2014) noticed at once that it learns slowly at the start
# and proposed to turn the question around: do not make $D$'s success small, make its error
# large. This is the **non-saturating** loss,
#
# $$
# L_{\mathrm{NS}}(a) = -\log D = \mathrm{softplus}(-a) \tag{10.2}
# $$
#
# A third one we shall recognise as **maximum likelihood** (Goodfellow 2014, arXiv:1412.6515):
#
# $$
# L_{\mathrm{ML}}(a) = -\frac{D}{1 - D} = -e^a \tag{10.3}
# $$
#
# All three want the same: a larger $a$. In the cell $D$ goes through the sigmoid on the left, and
# through the library's rows of the same names on the right.

# %%
logits = rng.normal(0, 3, 300)
D = 1 / (1 + np.exp(-logits))
batch = tg.tensor(logits)
check.equal("10.1", np.log(1 - D).mean(), gan.OBJECTIVES["minimax"].generator(batch))
check.equal("10.2", -np.log(D).mean(), gan.OBJECTIVES["non_saturating"].generator(batch))
check.equal("10.3", -(D / (1 - D)).mean(), gan.OBJECTIVES["maximum_likelihood"].generator(batch))

# %% [markdown]
# What counts is the slope. With $\sigma' = \sigma (1 - \sigma)$:
#
# $$
# \frac{d L_{\mathrm{MM}}}{da} = -D \tag{10.4}
# $$
#
# $$
# \frac{d L_{\mathrm{NS}}}{da} = -(1 - D) \tag{10.5}
# $$
#
# $$
# \frac{d L_{\mathrm{ML}}}{da} = -\frac{D}{1 - D} \tag{10.6}
# $$
#
# Read them as **weights**: how much does a sample count that $D$ gives the probability $D$ of being
# real? Minimax listens to the samples that are good already ($D$ near 1). Non-saturating listens to
# the bad ones. Maximum likelihood listens to a few very good ones and next to nobody else.

# %%
leaf = tg.tensor(logits, requires_grad=True)
losses = lambda a: -tg.softplus(a), lambda a: tg.softplus(-a), lambda a: -tg.exp(a)
slopes = [tg.autograd.grad(loss(leaf).sum(), [leaf])[0] for loss in losses]
check.equal("10.4", slopes[0], -D)
check.equal("10.5", slopes[1], -(1 - D))
check.equal("10.6", slopes[2], -D / (1 - D))

print("\nslopes        minimax   non-saturating   maximum likelihood")
for at in (-10.0, -2.0, 0.0, 2.0):
    leaf = tg.tensor(at, dtype=tg.float64, requires_grad=True)
    row = [tg.autograd.grad(loss(leaf), [leaf])[0].item() for loss in losses]
    print(f"a = {at:5.1f}   {row[0]:11.2e}   {row[1]:14.5f}   {row[2]:16.2e}")

# %% [markdown]
# At the logit $-10$ the minimax slope is $-4.5 \cdot 10^{-5}$, the non-saturating one $-0.99995$.
# Both gradients of $G$'s parameters point in the *same direction* for one sample, because both go
# through the same chain: the slope in $a$, times the slope of $a$ in $x$, times the Jacobian of
# $G$. Only the first factor differs, and the quotient of (10.5) and (10.4) is
#
# $$
# \nabla_\theta L_{\mathrm{NS}}(a(G_\theta(z))) =
# e^{-a} \nabla_\theta L_{\mathrm{MM}}(a(G_\theta(z)))
# \tag{10.7}
# $$
#
# Averaged over a batch the directions do differ: each loss weighs the samples in its own way.

# %%
tg.manual_seed(0)


def network(*sizes, activation=nn.Tanh):
    """Linear layers of these sizes with an activation between."""
    layers = []
    for n_in, n_out in zip(sizes, sizes[1:]):
        layers += [nn.Linear(n_in, n_out), activation()]
    return nn.Sequential(*layers[:-1])


G, judge = network(3, 16, 2).to(tg.float64), network(2, 16, 1).to(tg.float64)
logit = 4 * judge(G(tg.randn(1, 3, dtype=tg.float64))).sum() - 3  # one sample
params = list(G.parameters())
mm = tg.autograd.grad(-tg.softplus(logit), params, retain_graph=True)
ns = tg.autograd.grad(tg.softplus(-logit), params)
flat = lambda grads: np.concatenate([g.numpy().ravel() for g in grads])  # noqa: E731
check.equal("10.7", flat(ns), np.exp(-logit.item()) * flat(mm))

# %% [markdown]
# ### Fix the slide: a perfect discriminator
#
# > Discriminator always returns p=0
# >
# > Since D always returns a constant, the gradient is constant
# >
# > The generator stops training
#
# The conclusion is right, the reason is not. A constant gradient that is not zero would move the
# generator very well: the non-saturating slope (10.5) goes to the constant $-1$ there! What happens
# under the minimax loss is that the gradient **vanishes**, like $-D$.

# %%
print("      D on samples     minimax slope   non-saturating slope")
for at in (-2.0, -5.0, -10.0, -20.0):
    d = 1 / (1 + np.exp(-at))
    print(f"{d:18.1e}   {-d:15.1e}   {-(1 - d):18.5f}")

# %% [markdown]
# ### Fix the slide: why the non-saturating loss helps
#
# > This is because previously the generator loss is also this mixture of how good the
# > discriminator is on real images and how good it is in fake iamges and now the generator loss
# > only depend on the generator ouputs
#
# The generator's parameters do not occur in $\mathbb{E}_{x \sim p_d}[\log D(x)]$. Its gradient is
# zero, whether one writes the term down or not. Add it, and nothing changes:

# %%
z, x = tg.randn(64, 3, dtype=tg.float64), tg.randn(64, 2, dtype=tg.float64) + 3.0
made, real = judge(G(z)) - 10.0, judge(x) + 10.0  # a discriminator that is sure of both
with_real = (-tg.softplus(-real)).mean() + (-tg.softplus(made)).mean()
g_both = flat(tg.autograd.grad(with_real, params, retain_graph=True))
g_made = flat(tg.autograd.grad((-tg.softplus(made)).mean(), params, retain_graph=True))
g_ns = flat(tg.autograd.grad(tg.softplus(-made).mean(), params))
print(f"minimax with the term on real images   {np.linalg.norm(g_both):.2e}")
print(f"minimax without it                     {np.linalg.norm(g_made):.2e}")
print(f"largest difference of the two          {np.abs(g_both - g_made).max():.1e}")
print(f"non-saturating                         {np.linalg.norm(g_ns):.2e}")

# %% [markdown]
# ### The generator stands still, the discriminator learns
#
# Does that happen to networks? Fix a generator that knows nothing, train a fresh $D$ against
# it, and watch the gradient that $G$ *would* get at each moment (an experiment of Arjovsky and
# Bottou, 2017). The data are eight bells on a ring of radius 2; the samples of a fresh $G$ lie in
# its middle.

# %%
tg.manual_seed(1)
G, D_net = network(2, 32, 2, activation=nn.ReLU), network(2, 64, 64, 1)
optimizer = tg.optim.Adam(D_net.parameters(), lr=2e-3)
steps, sizes = [], {"minimax": [], "non_saturating": [], "maximum_likelihood": []}
for step in range(601):
    real, z = data.gaussian_ring(128, radius=2.0), tg.randn(128, 2)
    if step % 20 == 0:
        steps.append(step)
        for name, values in sizes.items():
            loss = gan.OBJECTIVES[name].generator(D_net(G(z)))
            grads = tg.autograd.grad(loss, list(G.parameters()))
            values.append(np.linalg.norm(flat(grads)))
        if step % 200 == 0:
            print(f"D's step {step:3d}:  gradient of G   " + "   ".join(
                f"{name} {values[-1]:.1e}" for name, values in sizes.items()))  # fmt: skip
    loss = tg.softplus(-D_net(real)).mean() + tg.softplus(D_net(G(z).detach())).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

figure, axis = plt.subplots(figsize=(7, 2.8), layout="constrained", dpi=90)
for name, values in sizes.items():
    axis.semilogy(steps, values, label=name.replace("_", " "))
axis.set(xlabel="step of D, G fixed", ylabel="norm of G's gradient")
axis.set_title("The better D, the less the minimax generator hears")
axis.legend(fontsize=8)
plt.show()

# %% [markdown]
# The minimax gradient falls by more than an order of magnitude and goes on falling, and maximum
# likelihood falls with it: where $D$ is small the two are the same. The non-saturating gradient
# does not fall, it grows. (It has its own trouble: with a nearly perfect $D$ it is large and
# noisy; the same authors prove that.)
#
# ## 2. What each loss minimises
#
# Lesson 9 proved that against the best $D$ the minimax generator descends
# $2 \mathrm{JS}(p_d, p_g)$. What do the two others descend? The tool is one line of calculus. Let
# $F(p_g) = \int f(p_d(x), p_g(x)) dx$ be a divergence. Change $\theta$ a little: $p_g(x)$ changes,
# and $F$ changes by $\int \frac{\partial f}{\partial q} \frac{\partial p_g}{\partial\theta} dx$
# with $q = p_g(x)$. On the other side, a generator that descends
# $\mathbb{E}_{x \sim p_g}[L(a(x))]$ with $D$ held fixed feels
# $\int L(a(x)) \frac{\partial p_g}{\partial\theta} dx$. The two agree if
# $L(a^*(x)) = \frac{\partial f}{\partial q}$ at every $x$, up to a constant: a constant does not
# matter, since $\int p_g = 1$ for every $\theta$ makes
# $\int \frac{\partial p_g}{\partial\theta} dx$ zero.
#
# So compute $\partial f / \partial q$ for the three divergences that we know. First the integrand
# of $\mathrm{KL}(p_g \Vert p_d)$:
#
# $$
# \frac{\partial}{\partial q} \left( q \log \frac{q}{p} \right) = \log \frac{q}{p} + 1 \tag{10.8}
# $$
#
# then that of $2 \mathrm{JS}(p_d, p_g)$, where three of the four terms cancel,
#
# $$
# \frac{\partial}{\partial q} \left( p \log \frac{2p}{p + q} + q \log \frac{2q}{p + q} \right) =
# \log \frac{q}{p + q} + \log 2 \tag{10.9}
# $$
#
# and that of $\mathrm{KL}(p_d \Vert p_g)$:
#
# $$
# \frac{\partial}{\partial q} \left( p \log \frac{p}{q} \right) = -\frac{p}{q} \tag{10.10}
# $$

# %%
p, q = rng.uniform(0.1, 2, (2, 100))
qt, pt = tg.tensor(q, requires_grad=True), tg.tensor(p)


def slope_in_q(integrand):
    return tg.autograd.grad(integrand.sum(), [qt])[0]


check.equal("10.8", slope_in_q(qt * tg.log(qt / pt)), np.log(q / p) + 1)
two_js = pt * tg.log(2 * pt / (pt + qt)) + qt * tg.log(2 * qt / (pt + qt))
check.equal("10.9", slope_in_q(two_js), np.log(q / (p + q)) + np.log(2))
check.equal("10.10", slope_in_q(pt * tg.log(pt / qt)), -p / q)

# %% [markdown]
# Now read off the generator losses at $D^* = p/(p + q)$.
#
# - (10.9) is $\log(1 - D^*) + \log 2$: the **minimax** loss. That is lesson 9 again.
# - (10.10) is $-D^* / (1 - D^*)$: the **maximum likelihood** loss, and this is where it has its
#   name from. $\mathrm{KL}(p_d \Vert p_g)$ is what maximum likelihood minimises.
# - The **non-saturating** loss is
#   $-\log D^* = \log \frac{p + q}{p} = \log \frac{q}{p} - \log \frac{q}{p + q}$, which is (10.8)
#   minus (10.9), up to a constant.
#
# Hence three identities, all with $D^*$ held fixed on the left:
#
# $$
# \nabla_\theta \mathbb{E}_{x \sim p_g}[\log(1 - D^*(x))] =
# \nabla_\theta 2 \mathrm{JS}(p_d, p_g) \tag{10.11}
# $$
#
# $$
# \nabla_\theta \mathbb{E}_{x \sim p_g}[-\log D^*(x)] =
# \nabla_\theta \left( \mathrm{KL}(p_g \Vert p_d) - 2 \mathrm{JS}(p_d, p_g) \right) \tag{10.12}
# $$
#
# $$
# \nabla_\theta \mathbb{E}_{x \sim p_g}\left[-\frac{D^*(x)}{1 - D^*(x)}\right] =
# \nabla_\theta \mathrm{KL}(p_d \Vert p_g) \tag{10.13}
# $$
#
# The check takes a generator's law with three parameters, a mixture of two bells with a mean, a
# spread and a weight. On the left the tape differentiates an expectation with $D^*$ frozen, on the
# right the divergence itself; integrals are sums on a grid.

# %%
grid = tg.linspace(-9, 9, 3001, dtype=tg.float64)
dx = grid[1] - grid[0]


def bell(mean, std):
    return tg.exp(-0.5 * ((grid - mean) / std) ** 2) / (std * np.sqrt(2 * np.pi))


p_d = 0.4 * bell(-1.5, 0.5) + 0.6 * bell(1.0, 0.7)
theta = tg.tensor([0.3, 1.1, 0.7], dtype=tg.float64, requires_grad=True)


def p_g(theta):
    mean, std, weight = theta[0], theta[1], theta[2]
    return weight * bell(mean, std) + (1 - weight) * bell(-2.0, 0.9)


def integral(values):
    return dx * values.sum()


def kl(p, q):
    tiny = 1e-200  # the logarithm of a density that underflowed
    return integral(p * (tg.log(p + tiny) - tg.log(q + tiny)))


def js(p, q):
    return 0.5 * kl(p, (p + q) / 2) + 0.5 * kl(q, (p + q) / 2)


def gradient(value):
    return tg.autograd.grad(value, [theta], retain_graph=True)[0]


q = p_g(theta)
frozen = (p_d / (p_d + q)).detach()
check.equal("10.11", gradient(integral(q * tg.log(1 - frozen))), gradient(2 * js(p_d, q)))
check.equal("10.12", gradient(integral(-q * tg.log(frozen))),
            gradient(kl(q, p_d) - 2 * js(p_d, q)))  # fmt: skip
check.equal("10.13", gradient(integral(-q * frozen / (1 - frozen))), gradient(kl(p_d, q)))

# %% [markdown]
# The identity (10.12) looks alarming: minus a divergence? Does the generator want to be *different*
# from the data in the sense of JS? No. The difference as a whole is a divergence again. With
# $m = (p_d + p_g) / 2$,
#
# $$
# \mathrm{KL}(p_g \Vert p_d) - 2 \mathrm{JS}(p_d, p_g) =
# 2 \mathrm{KL}(m \Vert p_d) \ge 0 \tag{10.14}
# $$
#
# with equality only for $p_g = p_d$. To see it, write the right side as
# $\int (p_d + p_g) \log \frac{m}{p_d} dx$. The part with $p_d$ is $-\mathrm{KL}(p_d \Vert m)$; in
# the part with $p_g$, $\log \frac{m}{p_d} = \log \frac{p_g}{p_d} - \log \frac{p_g}{m}$ gives
# $\mathrm{KL}(p_g \Vert p_d) - \mathrm{KL}(p_g \Vert m)$.

# %%
values, twice = [], []
for _ in range(200):
    m, s, w = rng.uniform(-3, 3), rng.uniform(0.6, 2.5), rng.uniform(0, 1)
    other = w * bell(m, s) + (1 - w) * bell(0.5 * m, 1.0)
    values.append(kl(other, p_d).item() - 2 * js(p_d, other).item())
    twice.append(2 * kl((p_d + other) / 2, p_d).item())
check.equal("10.14", values, twice)
check.at_most("10.14", 0.0, values)
print(f"at p_g = p_d: {kl(p_d, p_d).item() - 2 * js(p_d, p_d).item():.1e}")

# %% [markdown]
# Does it matter which one? When $p_g$ can become $p_d$, all have the same minimum. When it cannot,
# they give up different things. Fit one bell to a law with two, by descending the three right sides
# exactly:

# %%
target = 0.35 * bell(-2.0, 0.5) + 0.65 * bell(2.0, 0.6)
divergences = {
    "minimax: 2 JS": lambda q: 2 * js(target, q),
    "non-saturating: KL(g|d) - 2 JS": lambda q: kl(q, target) - 2 * js(target, q),
    "maximum likelihood: KL(d|g)": lambda q: kl(target, q),
}
figure, axis = plt.subplots(figsize=(7, 2.8), layout="constrained", dpi=90)
axis.fill_between(grid.numpy(), target.numpy(), color="black", alpha=0.2, label="$p_d$")
print("from a wide and from a narrow start: mean, spread, and the value reached")
for name, divergence in divergences.items():
    ends = []
    for start in ([0.5, 0.3], [1.5, -0.5]):  # mean, log of the spread
        w = tg.tensor(start, dtype=tg.float64, requires_grad=True)
        optimizer = tg.optim.Adam([w], lr=0.03)
        for _ in range(300):
            optimizer.zero_grad()
            value = divergence(bell(w[0], tg.exp(w[1])))
            value.backward()
            optimizer.step()
        ends.append((value.item(), w[0].item(), np.exp(w[1].item())))
    print(f"{name:31s}" + "   ".join(f"{m:5.2f} {s:5.2f} ({v:.3f})" for v, m, s in ends))
    _, mean, std = min(ends)
    thick = 4 if "minimax" in name else 1.5  # the minimax curve lies under the next one
    axis.plot(grid.numpy(), bell(mean, std).numpy(), lw=thick, alpha=0.8, label=name)
axis.set(xlim=(-6, 6), xlabel="x", ylabel="density")
axis.set_title("The best single bell for two: who covers, who chooses")
axis.legend(fontsize=8, loc="upper left")
plt.show()

# %% [markdown]
# Maximum likelihood covers both bells from either start, at the price of samples where there are no
# data. The non-saturating loss chooses one bell from either start. JS has a minimum of either kind:
# where one ends depends on where one began, and the choosing one is the better. So a part of a
# GAN's "mode collapse" is in the loss, but not most of it: Goodfellow's tutorial (2016) reports
# that GANs drop modes under the maximum likelihood loss as well.
#
# Then why not always use maximum likelihood? Because its weights $e^{a}$ are so unequal that an
# average over a batch is an average over very few samples. How many, is said by the effective
# sample size $(\sum w)^2 / \sum w^2$:

# %%
made = rng.normal(-1.0, 1.0, 256)  # samples of N(-1, 1) while the data are N(2, 1)
log_ratio = -0.5 * (made - 2) ** 2 + 0.5 * (made + 1) ** 2
D = 1 / (1 + np.exp(-log_ratio))
weights = {"minimax": D, "non-saturating": 1 - D, "maximum likelihood": np.exp(log_ratio)}
for name, w in weights.items():
    print(f"{name:20s} {w.sum() ** 2 / (w**2).sum():6.1f} of 256 samples count")

# %% [markdown]
# ### Fix the slide: more iterations for the generator
#
# On vanishing gradients the notes advise:
#
# > The discriminator will have an easier time because it can still recognize these weird patches
# > and rare edges, so some solutions is that you give to the generator more iterations.
#
# Another deck wants the opposite ("What if we could train the discriminator to
# convergence and still be able to train our generator?", the Wasserstein GAN). Both cannot be right
# for the same game. More steps for $G$ do not bring back a gradient that is gone. And many steps
# against *one* $D$ are harmful, because a fixed $D$ has highest points, and every sample runs to
# one. The cell takes the most obedient generator there is: every sample is a parameter of its
# own. It starts at $\mathcal{N}(0, 1.5^2)$, which is already close to the data, against the exact
# $D^*$ for that start, which is then never updated.

# %%
line = grid.numpy()
edges, weight = np.linspace(-5, 5, 81), p_d.numpy() * dx.item()
data_share = np.histogram(line, edges, weights=weight)[0]


def js_of(samples):
    """JS between the data and samples, both in bins."""
    share = np.histogram(samples, edges)[0] / len(samples)
    m = (share + data_share) / 2
    terms = [np.where(r > 0, r * np.log(np.where(r > 0, r, 1) / m), 0) for r in (share, data_share)]
    return 0.5 * (terms[0].sum() + terms[1].sum())


log_ratio = np.log(p_d.numpy() + 1e-300) - np.log(bell(0.0, 1.5).numpy() + 1e-300)  # D*'s logit
slope = np.gradient(log_ratio, line)
x = rng.normal(0, 1.5, 20_000)
for step in range(301):
    if step in (0, 3, 10, 30, 300):
        print(f"{step:3d} steps of G against one D: JS to the data {js_of(x):.3f}, samples at "
              f"{len(np.unique(x.round(1))):3d} places")  # fmt: skip
    d = 1 / (1 + np.exp(-np.interp(x, line, log_ratio)))
    x = x + 0.1 * (1 - d) * np.interp(x, line, slope)  # down -log D

# %% [markdown]
# Three steps improve the samples. Then $D$ is out of date, and at the end all 20,000 samples sit on
# two points. So under JS neither player may run away: a $D$ that is too good gives $G$ nothing, a
# $G$ that runs alone collapses.
#
# In a Wasserstein game the critic *may* be trained to the end, because the distance that it
# estimates has a useful slope however far apart the laws are. For two point masses at distance
# $\theta$, $W_1 = \theta$ has the slope 1 everywhere, while JS is $\log 2$ with the slope 0. That
# is lesson 13. The advice depends on the distance.

# %% [markdown]
# ## 3. What is a solution of a game?
#
# A minimum has one player. In a game the best that one can hope for is a point where **no player
# can gain by moving alone**. That is a Nash equilibrium. For a zero-sum game with value $V$, $D$
# maximising and $G$ minimising, it says
#
# $$
# V(D, G^*) \le V(D^*, G^*) \le V(D^*, G) \tag{10.15}
# $$
#
# for all $D$ and all $G$ (here $D^*$ belongs to the equilibrium): a **saddle point** of $V$, a
# maximum along $D$ and a minimum along $G$. For GANs it is $p_g = p_d$ with $D = 1/2$. The left
# inequality says that $D$ cannot do better than $-\log 4$ against perfect samples. The right one
# holds with equality: against $D = 1/2$ all generators do equally well. The check tries 200
# discriminators and 200 generators.

# %%
at_saddle = -np.log(4)
others = []
for _ in range(200):
    c = rng.normal(0, 1, 4)
    logit = tg.tensor(c[0] + c[1] * grid.numpy() + c[2] * np.sin(3 * grid.numpy() + c[3]))
    others.append(integral(-p_d * tg.softplus(-logit) - p_d * tg.softplus(logit)).item())
check.at_most("10.15", others, at_saddle)
half = [integral(p_d * np.log(0.5) + bell(m, 1.0) * np.log(0.5)).item()
        for m in rng.uniform(-2, 2, 200)]  # fmt: skip
check.at_most("10.15", at_saddle, half)

# %% [markdown]
# ### Fix the slide: what Nash means
#
# > Player A looks for a strategy such that no matter what player B chooses to do, player A will
# > do no worse
#
# That is another thing: a **security strategy**, which makes the worst case as good as possible.
# Nash compares with *one* strategy of the other player, the one that is being played, and asks that
# nobody can improve alone. (In a zero-sum game with a saddle point the two agree: each player's
# part of it is a security strategy; $\min_G \max_D$ asks for $G$'s. They part where there is no
# saddle point, or where the losses do not add up to zero.) A table shows the difference. Player A
# chooses the row, player B the column; each entry is what A and what B get.


# %%
def security(payoff_a):
    """Rows whose worst case is best."""
    worst = payoff_a.min(1)
    return [i for i in range(len(worst)) if worst[i] == worst.max()]


def nash(payoff_a, payoff_b):
    """Cells where A cannot gain by another row, nor B by another column."""
    best_a, best_b = payoff_a == payoff_a.max(0), payoff_b == payoff_b.max(1, keepdims=True)
    return [(int(i), int(j)) for i, j in np.argwhere(best_a & best_b)]


pennies = np.array([[1, -1], [-1, 1]])  # A wins if the coins agree: zero-sum
print("pennies: security rows", security(pennies), " Nash cells", nash(pennies, -pennies))
both_a, both_b = np.array([[4, 0], [2, 1]]), np.array([[4, 1], [1, 0]])  # not zero-sum
print("another: security rows", security(both_a), " Nash cells", nash(both_a, both_b))

# %% [markdown]
# In the first game both rows are security strategies, and there is no Nash equilibrium (without
# tossing coins, which networks do not do). In the second, A's security strategy is row 1, but
# the Nash equilibrium is in row 0. A GAN with the non-saturating loss is a game of the second kind:
# the losses do not add up to zero.
#
# ## 4. The simplest game, and how to walk in it
#
# Near a solution a game looks like its simplest example. Let the generator be one number $\theta$,
# the discriminator one number $\phi$, and
#
# $$
# V(\theta, \phi) = \theta \phi \tag{10.16}
# $$
#
# $G$ descends in $\theta$, $D$ climbs in $\phi$. It is not made up: take data that are all 0,
# samples that are all $\theta$, and a critic $f(x) = -\phi x$; then
# $\mathbb{E}[f(\text{data})] - \mathbb{E}[f(\text{samples})] = \phi \theta$, the value of a WGAN.
# The only saddle point is $(0, 0)$.


# %%
def critic_gap(theta, phi):
    """E f(data) - E f(samples) for f(x) = -phi x, in the library's words."""
    real, made = tg.zeros(8, dtype=tg.float64), theta * tg.ones(8, dtype=tg.float64)
    return -gan.critic_gap(-phi * real, -phi * made)


theta, phi = (tg.tensor(v, dtype=tg.float64, requires_grad=True) for v in (0.8, -0.6))
check.equal("10.16", critic_gap(theta, phi), theta * phi)

# %% [markdown]
# **Simultaneous steps.** Both look at the same point, then both move by $\eta$ times their slope:
# $\theta \leftarrow \theta - \eta \phi$ and $\phi \leftarrow \phi + \eta \theta$. As a matrix on
# $w = (\theta, \phi)$:
#
# $$
# w_{t+1} = \begin{pmatrix} 1 & -\eta \\ \eta & 1 \end{pmatrix} w_t \tag{10.17}
# $$
#
# Its columns are orthogonal and both have the length $\sqrt{1 + \eta^2}$: it is a rotation times
# that factor. So the distance to the solution grows **in every step, by exactly**
#
# $$
# \frac{\Vert w_{t+1} \Vert}{\Vert w_t \Vert} = \sqrt{1 + \eta^2} \tag{10.18}
# $$
#
# Smaller steps spiral more slowly, but outwards too.


# %%
def field(w):
    """The direction in which each player wants to move, from the tape: -dV/dtheta, +dV/dphi."""
    leaf = tg.tensor(w, requires_grad=True)
    (g,) = tg.autograd.grad(leaf[0] * leaf[1], [leaf])
    return g.numpy() * np.array([-1.0, 1.0])


def simultaneous(w, eta):
    return w + eta * field(w)


eta, w = 0.1, np.array([0.8, -0.6])
M = np.array([[1, -eta], [eta, 1]])
check.equal("10.17", simultaneous(w, eta), M @ w)
norms, v = [], w
for _ in range(100):
    norms.append(np.linalg.norm(v))
    v = simultaneous(v, eta)
norms = np.array(norms)
check.equal("10.18", norms[1:] / norms[:-1], np.sqrt(1 + eta**2))
print(f"eigenvalues {np.linalg.eigvals(M)}, modulus {abs(np.linalg.eigvals(M)[0]):.6f}")

# %% [markdown]
# **Alternating steps.** $G$ moves, then $D$ moves from where $G$ is now:
#
# $$
# w_{t+1} = \begin{pmatrix} 1 & -\eta \\ \eta & 1 - \eta^2 \end{pmatrix} w_t \tag{10.19}
# $$
#
# The determinant is $1 - \eta^2 + \eta^2 = 1$, and for $\eta \lt 2$ both eigenvalues lie on the
# unit circle. Nothing grows and nothing shrinks; there is even a quantity that never changes, an
# ellipse on which the players go around for ever:
#
# $$
# \theta_{t+1}^2 + \phi_{t+1}^2 - \eta \theta_{t+1} \phi_{t+1} =
# \theta_t^2 + \phi_t^2 - \eta \theta_t \phi_t \tag{10.20}
# $$


# %%
def alternating(w, eta):
    theta = w[0] + eta * field(w)[0]
    return np.array([theta, w[1] + eta * field(np.array([theta, w[1]]))[1]])


M = np.array([[1, -eta], [eta, 1 - eta**2]])
check.equal("10.19", alternating(w, eta), M @ w)
path = [w]
for _ in range(1000):
    path.append(alternating(path[-1], eta))
theta, phi = np.array(path).T
energy = theta**2 + phi**2 - eta * theta * phi
check.equal("10.20", energy[1:], energy[:-1])
distance, moduli = np.hypot(theta, phi), np.abs(np.linalg.eigvals(M))
print(f"distance to the solution in 1000 steps: {distance.min():.3f} to {distance.max():.3f}; "
      f"largest modulus {moduli.max():.12f}")  # fmt: skip

# %% [markdown]
# **Extragradient** (Korpelevich 1976). Look ahead: make the step, see which gradient one would have
# *there*, go back and use that one. Write one simultaneous step as $w - \eta A w$ with
# $A = \begin{pmatrix} 0 & 1 \\ -1 & 0 \end{pmatrix}$, so $A^2 = -I$. Then
# $w_{t+1} = w_t - \eta A (w_t - \eta A w_t)$, and this is
#
# $$
# w_{t+1} = \left( (1 - \eta^2) I - \eta A \right) w_t \tag{10.21}
# $$
#
# a rotation again, but with the factor
#
# $$
# \frac{\Vert w_{t+1} \Vert^2}{\Vert w_t \Vert^2} = 1 - \eta^2 + \eta^4 \tag{10.22}
# $$
#
# below 1 for every $\eta$ between 0 and 1: it spirals **inwards**.
#
# **Optimistic steps** (Daskalakis et al. 2018) save the second gradient: guess that the gradient
# will change by as much as it just did, and step by $2 g_t - g_{t-1}$. The state is now
# $(w_t, w_{t-1})$. With $A$'s eigenvalue $i$ the factor $\lambda$ solves
# $\lambda^2 - (1 - 2 i \eta) \lambda - i \eta = 0$, whose discriminant is $1 - 4 \eta^2$, and the
# larger root has
#
# $$
# \vert \lambda \vert^2 = \frac{1 + \sqrt{1 - 4 \eta^2}}{2} \tag{10.23}
# $$
#
# for $\eta \le 1/2$, below 1 again. The library has both, as optimizers. We check our extragradient
# against the library's, and print how far both come: by (10.23) optimistic steps with $\eta = 0.1$
# shrink by a factor of about 0.006 in 1000 steps.


# %%
def extragradient(w, eta):
    return w + eta * field(w + eta * field(w))


A = np.array([[0.0, 1.0], [-1.0, 0.0]])
check.equal("10.21", extragradient(w, eta), ((1 - eta**2) * np.eye(2) - eta * A) @ w)
ratio = np.linalg.norm(extragradient(w, eta)) ** 2 / np.linalg.norm(w) ** 2
check.equal("10.22", ratio, 1 - eta**2 + eta**4)

# (10.23): the largest modulus among the eigenvalues of the 4 x 4 matrix on (w_t, w_(t-1)).
for eta_ in (0.05, 0.2, 0.45):
    block = np.block([[np.eye(2) - 2 * eta_ * A, eta_ * A], [np.eye(2), np.zeros((2, 2))]])
    largest = np.abs(np.linalg.eigvals(block)).max()
    check.equal("10.23", largest**2, (1 + np.sqrt(1 - 4 * eta_**2)) / 2)


def play(kind, steps, eta=0.1):
    """The library's optimizers on V = theta phi; the points visited."""
    leaf = tg.tensor(w, requires_grad=True)
    make = gan.OptimisticSGD if kind == "optimistic" else tg.optim.SGD
    optimizer = make([leaf], lr=eta)
    extra = gan.Extragradient(optimizer)
    points = [w]
    for _ in range(steps):
        leaf.grad = tg.tensor(-field(leaf.detach().numpy()))
        if kind == "extragradient":
            extra.look_ahead()
            leaf.grad = tg.tensor(-field(leaf.detach().numpy()))
            extra.step()
        else:
            optimizer.step()
        points.append(leaf.detach().numpy().copy())
    return np.array(points)


ours = [w]
for _ in range(50):
    ours.append(extragradient(ours[-1], eta))
print(f"library's extragradient, 50 steps: largest difference "
      f"{np.abs(play('extragradient', 50) - ours).max():.0e}")  # fmt: skip
for kind in ("plain", "extragradient", "optimistic"):
    print(f"{kind:14s} distance after 1000 steps: {np.linalg.norm(play(kind, 1000)[-1]):.2e}")

# %%
figure, axes = plt.subplots(1, 4, figsize=(9, 2.6), layout="constrained", dpi=90)
points = {"simultaneous": play("plain", 130)}
ring = [w]
for _ in range(130):
    ring.append(alternating(ring[-1], eta))
points |= {"alternating": np.array(ring), "extragradient": play("extragradient", 130, 0.3)}
points["optimistic"] = play("optimistic", 130, 0.3)
u = np.linspace(-1.7, 1.7, 11)
X, Y = np.meshgrid(u, u)
for axis, (name, track) in zip(axes, points.items()):
    axis.quiver(X, Y, -Y, X, color="lightgray")
    axis.plot(*track.T, ".-", ms=2, lw=0.7, color="purple")
    axis.plot(*w, "go", ms=4)
    axis.plot(0, 0, "k+", ms=10)
    axis.set(title=name, xlabel=r"$\theta$", xlim=(-1.8, 1.8), ylim=(-1.8, 1.8), aspect="equal")
axes[0].set_ylabel(r"$\phi$")
figure.suptitle("One game, one start (green), four ways to step: out, around, in, in")
plt.show()

# %% [markdown]
# ### Fix the slide: a saddle point is not stable
#
# > convergence to a saddle point is the desired outcome of the training process. This is because
# > saddle points represent a stable equilibrium point in the game between the generator and the
# > discriminator
#
# An equilibrium, yes: whoever *is* there has no reason to move. Stable would mean that those who
# start near it come closer, or at least stay near. That depends on the *steps*, not on the point.
# With simultaneous gradient steps the same saddle point pushes away whatever comes near, however
# close it starts and however small the steps:

# %%
for eta_ in (0.3, 0.1, 0.03):
    v = np.array([1e-3, 0.0])
    for _ in range(round(20 / eta_**2)):  # time enough for each
        v = v + eta_ * np.array([-v[1], v[0]])
    print(f"eta = {eta_:.2f}: started at 0.001, after {round(20 / eta_**2):5d} steps at "
          f"{np.linalg.norm(v):.1f};  eigenvalues' modulus {np.hypot(1, eta_):.5f}")  # fmt: skip

# %% [markdown]
# ### A game with the real losses
#
# The bilinear game has no sigmoid. Put the losses of section 1 in: data at 0, samples at $\theta$,
# $D(x) = \sigma(\phi x)$ (the "Dirac GAN" of Mescheder et al. 2018). The value is
# $\log \sigma(0) + \log(1 - \sigma(\phi \theta))$. Simultaneous steps with the minimax loss spiral
# outwards, as in the bilinear game. With the non-saturating loss there is a pull inwards, but it is
# of third order in the distance: near the solution the outward drift of the steps wins, and the
# players circle for ever. A penalty on $D$'s slope at the data, $\frac{\gamma}{2} \phi^2$ (called
# R1), turns the circle into a spiral that ends.


# %%
def dirac_step(w, eta, generator_loss, gamma=0.0):
    """One simultaneous step; D descends its cross-entropy + gamma/2 phi^2, G its own loss."""
    theta, phi = (tg.tensor(v, requires_grad=True) for v in w)
    logit = phi * theta  # D's logit for the sample; for the data point 0 it is 0
    loss_d = tg.softplus(logit) + 0.5 * gamma * phi**2
    (g_d,) = tg.autograd.grad(loss_d, [phi], retain_graph=True)
    (g_g,) = tg.autograd.grad(generator_loss(logit), [theta])
    return w - eta * np.array([g_g.item(), g_d.item()])


cases = {
    "minimax": (lambda a: -tg.softplus(a), 0.0),
    "non-saturating": (lambda a: tg.softplus(-a), 0.0),
    "non-saturating + R1": (lambda a: tg.softplus(-a), 0.5),
}
figure, axes = plt.subplots(1, 3, figsize=(8, 2.8), layout="constrained", dpi=90)
for axis, (name, (loss, gamma)) in zip(axes, cases.items()):
    track = [np.array([1.0, 0.0])]
    for _ in range(1500):
        track.append(dirac_step(track[-1], 0.2, loss, gamma))
    track = np.array(track)
    far = np.linalg.norm(track, axis=1)
    axis.plot(*track[:500].T, lw=0.8, color="purple")
    axis.plot(*track[0], "go", ms=4)
    axis.plot(0, 0, "k+", ms=10)
    axis.set(title=name, xlabel=r"$\theta$", xlim=(-3.3, 3.3), ylim=(-3.3, 3.3), aspect="equal")
    print(f"{name:20s} distance from the solution: start 1, after 500 steps {far[500]:.4f}, "
          f"after 1500 {far[1500]:.4f}")  # fmt: skip
axes[0].set_ylabel(r"$\phi$")
plt.show()

# %% [markdown]
# ### Momentum
#
# Momentum repeats a part $\beta$ of the last move. For one player in a long valley that is a
# blessing. For two players who circle each other, the last move points where the circle *was*: it
# pushes outwards. With alternating steps on $V = \theta\phi$ the state is
# $(\theta_t, \phi_t, \theta_{t-1}, \phi_{t-1})$ and one round is a matrix; its largest eigenvalue
# tells the growth (Gidel et al. 2019).


# %%
def growth(beta, eta=0.3):
    """Largest eigenvalue modulus of alternating steps with momentum beta."""
    # theta' = theta - eta phi + beta (theta - theta_old), then phi' likewise with theta'
    g = np.array([1 + beta, -eta, -beta, 0.0])
    d = np.array([0.0, 1 + beta, 0.0, -beta]) + eta * g
    M = np.stack([g, d, [1, 0, 0, 0], [0, 1, 0, 0]])
    return np.abs(np.linalg.eigvals(M)).max()


betas = np.linspace(-0.9, 0.9, 37)
figure, axis = plt.subplots(figsize=(7, 2.5), layout="constrained", dpi=90)
axis.plot(betas, [growth(b) for b in betas], "o-", ms=3)
axis.axhline(1, color="gray", lw=0.7)
axis.set(xlabel=r"momentum $\beta$", ylabel="growth per step")
axis.set_title("In a game, momentum pushes outwards; a moderate negative one pulls in")
plt.show()
for b in (0.9, 0.5, 0.0, -0.3):
    print(f"beta {b:4.1f}: growth per step {growth(b):.4f}, in 100 steps {growth(b) ** 100:.1e}")

# %% [markdown]
# This is one reason why GANs are trained with Adam's $\beta_1 = 0.5$ or 0 where one player alone
# would take 0.9 (Radford et al. 2015 report it from experience). A real GAN is not a pure
# rotation: the players also have valleys of their own. So a little momentum is a compromise, not
# a theorem.

# %% [markdown]
# ## 5. Back to a GAN: a bad start, three losses
#
# Data: $\mathcal{N}(2, 0.5^2)$. The generator, $G(z) = \theta_0 + \theta_1 z$, starts at
# $\mathcal{N}(-2, 0.5^2)$, and $D$, a small network, has had a head start of 300 steps. Plain SGD
# for $G$, so that the size of the gradient shows.

# %%
for name in ("minimax", "maximum_likelihood", "non_saturating"):
    tg.manual_seed(3)
    theta = tg.tensor([-2.0, 0.5], requires_grad=True)
    judge = network(1, 32, 32, 1)
    opt_d = tg.optim.Adam(judge.parameters(), lr=5e-3, betas=(0.5, 0.9))
    opt_g = tg.optim.SGD([theta], lr=0.05)
    told = []
    for step in range(-300, 601):
        z = tg.randn(128, 1)
        loss_d = tg.softplus(-judge(2 + 0.5 * tg.randn(128, 1))).mean()
        loss_d = loss_d + tg.softplus(judge((theta[0] + theta[1] * z).detach())).mean()
        opt_d.zero_grad()
        loss_d.backward()
        opt_d.step()
        if step >= 0:
            if step % 150 == 0:
                told.append(f"{theta[0].item():5.2f}")
            loss_g = gan.OBJECTIVES[name].generator(judge(theta[0] + theta[1] * z))
            opt_g.zero_grad()
            loss_g.backward()
            opt_g.step()
    print(f"{name:20s} mean of the samples at steps 0, 150, ..., 600: {'  '.join(told)}")

# %% [markdown]
# The same networks, the same seeds, the same step sizes. The non-saturating loss crosses over in
# the first 150 steps. Minimax hardly leaves the place at first, and is still on its way at the
# end. Maximum likelihood creeps for some twenty steps, until a few samples get a large logit: then
# the weights $e^a$ explode, and one step throws the generator out of the data's sight, for good.
#
# ## A bug from the wild: a generator trained the wrong way
#
# In Zeleni9/pytorch-wgan the critic is trained to say *little* of data and *much* of samples (as in
# the WGAN authors' own code), so `g_loss.backward(one)`, which lowers $D(G(z))$, was right. Issue
# #51 (2024) read that line alone, and pull request #53 (2025) turned its sign; by its description
# nothing else changed. With the critic's lines as they were, $G$ then steps the wrong way, and
# nothing crashes. Here is such a slip in a non-saturating GAN.


# %%
def train(sign, steps=300):
    """A small GAN on N(2, 0.5^2); sign = +1 descends -log D, sign = -1 is the bug."""
    tg.manual_seed(4)
    theta, judge = tg.tensor([0.0, 1.0], requires_grad=True), network(1, 32, 1)
    opt_d, opt_g = tg.optim.Adam(judge.parameters(), lr=5e-3), tg.optim.Adam([theta], lr=1e-2)
    for _ in range(steps):
        z = tg.randn(128, 1)
        loss_d = tg.softplus(-judge(2 + 0.5 * tg.randn(128, 1))).mean()
        loss_d = loss_d + tg.softplus(judge((theta[0] + theta[1] * z).detach())).mean()
        opt_d.zero_grad()
        loss_d.backward()
        opt_d.step()
        loss_g = sign * tg.softplus(-judge(theta[0] + theta[1] * z)).mean()
        opt_g.zero_grad()
        loss_g.backward()
        opt_g.step()
    return theta[0].item(), loss_d.item()


for sign, name in ((1, "right"), (-1, "wrong")):
    mean, loss_d = train(sign)
    print(f"{name}: mean of the samples {mean:5.2f} (data 2.00), D's loss {loss_d:.3f}")

# %% [markdown]
# Only the samples give it away. A check that takes a second, before any training: **one small
# step of $G$, against a frozen $D$, on the same noise, must raise what $D$ says of the samples**
# (for a $D$ that is trained to be high on data). It needs to know nothing about the loss.


# %%
def one_step_raises_belief(generator_loss, trials=5):
    """Does a small step of G down its loss raise the mean logit of the same samples?"""
    raised = []
    for seed in range(trials):
        tg.manual_seed(seed)
        G, judge, z = network(2, 16, 2), network(2, 16, 1), tg.randn(256, 2)
        before = judge(G(z)).mean()
        optimizer = tg.optim.SGD(G.parameters(), lr=1e-3)
        generator_loss(judge(G(z))).backward()
        optimizer.step()
        raised.append((judge(G(z)).mean() > before).item())
    return all(raised)


for name in ("minimax", "non_saturating", "maximum_likelihood", "wgan", "hinge"):
    print(f"{name:20s} {one_step_raises_belief(gan.OBJECTIVES[name].generator)}")
wrong = lambda logits: -tg.softplus(-logits).mean()  # noqa: E731
print(f"{'the slip':20s} {one_step_raises_belief(wrong)}   <- caught")

# %% [markdown]
# ## Exercises
#
# ### Exercise 10.1
#
# Write `weights(a)`: for logits `a` (an array) the three slopes of section 1, as a tuple or an
# array of three rows: minimax, non-saturating, maximum likelihood. Logits may be $\pm 500$ for
# the first two.


# %%
def weights(a): ...


check.exercise("10.1", weights)

# %% [markdown]
# ### Exercise 10.2
#
# Write `look_ahead(field, w, eta)`: one extragradient step for any game. `field(w)` returns the
# direction in which the players want to move (descent already built in), `w` is an array. How often
# is `field` called?


# %%
def look_ahead(field, w, eta): ...


check.exercise("10.2", look_ahead)

# %% [markdown]
# ### Exercise 10.3
#
# Write `saddles(V)`: for a table `V[i, j]` the list of all saddle points `(i, j)`, where the row
# $i$ is chosen by the player who wants $V$ *small* and the column $j$ by the one who wants it
# *large*.


# %%
def saddles(V): ...


check.exercise("10.3", saddles)

# %% [markdown]
# ### Exercise 10.4
#
# Write `good_loss(loss)`: `loss` maps a Tensor of logits to a scalar Tensor. Return `True` if
# descending it makes *every* logit grow, whatever the logits are. Differentiate it at logits of
# your choice; choose them well (a loss may be right for small logits and wrong for large ones).


# %%
def good_loss(loss): ...


check.exercise("10.4", good_loss)

# %% [markdown]
# ## What you can say now
#
# - The minimax loss weighs a sample by $D$, the non-saturating one by $1 - D$, maximum likelihood
#   by $D/(1 - D)$. At the logit $-10$ the first two are $4.5 \cdot 10^{-5}$ and $0.99995$.
# - The gradient of the minimax generator vanishes against a good $D$; it is not "constant", and the
#   term on real images has nothing to do with it.
# - Against $D^*$ the three losses descend $2\mathrm{JS}$,
#   $\mathrm{KL}(p_g \Vert p_d) - 2\mathrm{JS}$ and $\mathrm{KL}(p_d \Vert p_g)$.
# - A Nash equilibrium is a point where nobody gains by moving *alone*; in a zero-sum game that is a
#   saddle point of the value. In other games a security strategy may be something else.
# - Simultaneous gradient steps on $V = \theta\phi$ move away by $\sqrt{1 + \eta^2}$ a step;
#   alternating steps keep an ellipse; extragradient and optimistic steps contract.
# - Momentum pushes outwards in a game, so GANs use less of it.
# - Before training, test that one step of $G$ raises what $D$ says.
#
# ## The full-size run
#
# `python examples/gan.py --objective non_saturating` (or `minimax`, `maximum_likelihood`) trains on
# eight bells on a ring; add `--optimistic` for optimistic Adam, `--beta1 0.9` for momentum,
# `--data grid` for 25 modes. Five seeds each, 1500 steps (`benchmarks/results/gan/gan-toys.md`):
# all three losses find the 8 modes of the ring; on the grid minimax finds 21.0 of 25 (standard
# error 1.6), non-saturating 10.2 (3.1), maximum likelihood 22.2 (0.5); one Gaussian with the law's
# covariance touches 18. At this small budget, with Adam and $\beta_1 = 0.5$, the non-saturating
# loss is *not* ahead: saturation hurts when $D$ is far ahead, and here it seems not to be.
#
# ## Further reading
#
# - I. Goodfellow et al., *Generative Adversarial Nets*, 2014 (arXiv:1406.2661).
# - I. Goodfellow, *On Distinguishability Criteria for Estimating Generative Models*, 2014
#   (arXiv:1412.6515); *NIPS 2016 Tutorial*, 2016 (arXiv:1701.00160): the three losses.
# - A. Radford, L. Metz, S. Chintala, *Unsupervised Representation Learning with Deep Convolutional
#   Generative Adversarial Networks*, 2015 (arXiv:1511.06434): $\beta_1 = 0.5$.
# - M. Arjovsky, L. Bottou, *Towards Principled Methods for Training Generative Adversarial
#   Networks*, 2017 (arXiv:1701.04862): identity (10.12) and the retraining experiment.
# - L. Mescheder, A. Geiger, S. Nowozin, *Which Training Methods for GANs do actually Converge?*,
#   2018 (arXiv:1801.04406): the Dirac GAN and R1.
# - C. Daskalakis, A. Ilyas, V. Syrgkanis, H. Zeng, *Training GANs with Optimism*, 2018
#   (arXiv:1711.00141).
# - G. Gidel et al., *Negative Momentum for Improved Game Dynamics*, 2019 (arXiv:1807.04740).
# - G. Korpelevich, *The extragradient method for finding saddle points and other problems*, 1976.
