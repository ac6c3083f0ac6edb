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
# **You need** lesson 9: the value $V(D, G)$, the logit $a$ with $D = \sigma(a)$, and
# $D^* = p_d / (p_d + p_g)$. **Time**: two sittings of an hour. Part A (sections 1 and 2) is about
# the loss, part B (sections 3 to 5) about the steps; the exercises take half an hour more, the run
# half a minute. **You may skip** either part: B needs nothing of A but (10.2). On a first reading
# also the boxes "Fix the slide".

# %%
import matplotlib.pyplot as plt
import numpy as np

import tinygen as tg
from tinygen import data, nn
from tinygen.lessons import check, figures
from tinygen.models import gan

figures.style()
rng = np.random.default_rng(10)

# %% tags=["figure"]
a = np.linspace(-8, 4, 200)
figure, (left, right) = plt.subplots(1, 2, figsize=(6.8, 3.2), layout="constrained")
left.plot(a, -np.logaddexp(0, a), label="minimax  $\\log(1 - D)$")
left.plot(a, np.logaddexp(0, -a), label="non-saturating  $-\\log D$")
left.plot(a, -np.exp(a), label="maximum likelihood  $-D/(1 - D)$")
left.set(ylim=(-6, 11), xlabel="logit: surely made ... surely real")
left.set(title="Three losses: where is the slope?", ylabel="loss of G, in nats")
left.legend(loc="upper right")
w = np.array([1.0, 0.0])
turn = np.array([[1.0, -0.15], [0.15, 1.0]])  # both players step at once on V = theta phi
path = np.array([w := turn @ w for _ in range(90)])
X, Y = np.meshgrid(np.linspace(-2.7, 2.7, 13), np.linspace(-2.7, 2.7, 13))
right.quiver(X, Y, -Y, X, color="0.8")
right.plot(*path.T, color="C1", ls="-", marker=".", ms=3, lw=0.8)
right.plot(0, 0, "k+", ms=12)
right.set(xlabel=r"$\theta$, the generator", ylabel=r"$\phi$, the discriminator", aspect="equal")
right.set_title("Plain steps: away from +")
figures.show(
    figure,
    "Left, three losses of the generator against the logit: minimax is flat on the left, where D "
    "is sure that a sample is made, the non-saturating loss is steep there. Right, the path of two "
    "players in a field of arrows that turns about the solution: a spiral outwards.",
)

# %% [markdown]
# Two troubles, one in each picture. **Left**: the minimax loss is flat exactly where the samples
# are worst, on the far left. **Right**: even in the simplest game there is, two players who both
# follow their gradients walk away from the solution. The first is repaired by another loss, part A;
# the second by another step, part B.
#
# ## Part A: the loss
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

# %% [markdown]
# > **Predict, then run.** One sample has the logit $-10$, another one $2$. To which of them does
# > each loss listen more, and how many times?

# %%
leaf = tg.tensor([-10.0, 2.0], dtype=tg.float64, requires_grad=True)
bad, good = np.stack([tg.autograd.grad(loss(leaf).sum(), [leaf])[0].numpy() for loss in losses], 1)
check.claim("minimax at -10, times 1e5", bad[0] * 1e5, "-4.54")
check.claim("non-saturating at -10", bad[1], "-0.99995")
check.claim("maximum likelihood at -10, times 1e5", bad[2] * 1e5, "-4.54")
for name, ratio, said in zip(("minimax", "non-saturating", "maximum likelihood"), good / bad,
                             ("19402", "0.119", "162755")):  # fmt: skip
    check.claim(f"{name}: the slope at 2 over that at -10", ratio, said)

# %% [markdown]
# At the logit $-10$ the minimax slope is $-4.54 \cdot 10^{-5}$, the non-saturating one $-0.99995$.
# Minimax listens 19,402 times more to the good sample, maximum likelihood 162,755 times; the
# non-saturating loss listens 0.119 times as much to it, eight times more to the bad one.
#
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
logit = judge(G(tg.randn(1, 3, dtype=tg.float64))).sum()  # one sample
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
# under the minimax loss is that the gradient **vanishes**, like $-D$: from the logit $-9.2$ to
# $-20$ it falls from $-0.0001$ to $-0.000000002$, and the non-saturating one stays where it is.

# %%
for at, minimax, non_saturating in ((-2.0, "-0.1192", "-0.8808"), (-9.2, "-0.0001", "-0.9999"),
                                    (-20.0, "-0.000000002", "-1.0000")):  # fmt: skip
    d = 1 / (1 + np.exp(-at))
    check.claim(f"E4: logit {at}, minimax", -d, minimax)
    check.claim(f"E4: logit {at}, non-saturating", -(1 - d), non_saturating)

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
on_real = (-tg.softplus(-real)).mean()
check.claim("E15: the term on real images, times 1e5", on_real * 1e5, "-5.27")
with_real = on_real + (-tg.softplus(made)).mean()
g_both = flat(tg.autograd.grad(with_real, params, retain_graph=True))
g_made = flat(tg.autograd.grad((-tg.softplus(made)).mean(), params, retain_graph=True))
g_ns = flat(tg.autograd.grad(tg.softplus(-made).mean(), params))
check.claim(
    "E15: minimax with the term on real images, times 1e5", np.linalg.norm(g_both) * 1e5, "2.92"
)
check.claim("E15: minimax without it, times 1e5", np.linalg.norm(g_made) * 1e5, "2.92")
check.claim("E15: difference of the two", np.linalg.norm(g_both - g_made), "0.000000")
check.claim("E15: non-saturating", np.linalg.norm(g_ns), "0.567")

# %% [markdown]
# With the term and without it the gradient is $2.92 \cdot 10^{-5}$; the other loss has 0.567.
#
# ### The generator stands still, the discriminator learns
#
# Does that happen to networks? Fix a generator that knows nothing, train a fresh $D$ against
# it, and watch the gradient that $G$ *would* get at each moment (an experiment of Arjovsky and
# Bottou, 2017). The data are eight bells on a ring of radius 2; the samples of a fresh $G$ lie in
# its middle.
#
# > **Predict, then run.** In 600 steps of $D$, which of the three gradients fall, which rise, and
# > by how much?

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

# %%
fall = sizes["minimax"][0] / sizes["minimax"][-1]
rise = sizes["non_saturating"][-1] / sizes["non_saturating"][0]
check.claim("minimax falls by more than a factor of ten", fall > 10)
check.claim(
    "maximum likelihood over minimax at the end",
    sizes["maximum_likelihood"][-1] / sizes["minimax"][-1],
    1.0,
    tol=0.1,
)
check.claim("non-saturating rises by more than a factor of ten", rise > 10)

# %% tags=["figure"]
figure, axis = plt.subplots(figsize=(7, 3), layout="constrained")
for name, values in sizes.items():
    axis.semilogy(steps, values, label=name.replace("non_", "non-").replace("_", " "))
axis.set(xlabel="step of D, G fixed", ylabel="norm of G's gradient")
axis.set_title("The better D, the less the minimax generator hears")
axis.legend(loc="center right", bbox_to_anchor=(1, 0.62))
figures.show(
    figure,
    "Norms of three gradients while D learns, on a logarithmic axis: minimax and maximum "
    "likelihood fall together by more than ten, the non-saturating one rises by more than ten.",
)

# %% [markdown]
# The minimax gradient falls by more than a factor of ten and goes on falling, and maximum
# likelihood falls with it: where $D$ is small the two are the same. The non-saturating gradient
# does not fall, it grows, by more than ten. (It has its own trouble: with a nearly perfect $D$ it
# is large and noisy; the same authors prove that.)
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
check.equal("10.9", two_js, gan.two_jsd(p, q))  # the library's integrand
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
    return integral(p * (tg.log(p) - tg.log(q)))


def js(p, q):
    return 0.5 * kl(p, (p + q) / 2) + 0.5 * kl(q, (p + q) / 2)


def gradient(value):
    return tg.autograd.grad(value, [theta], retain_graph=True)[0]


q = p_g(theta)
frozen = (p_d / (p_d + q)).detach()
mm, ns, ml = (
    integral(q * tg.log(1 - frozen)),
    integral(-q * tg.log(frozen)),
    -integral(q * frozen / (1 - frozen)),
)
check.claim("the three losses: minimax", mm, "-0.647")
check.claim("non-saturating", ns, "1.035")
check.claim("maximum likelihood, whatever the laws", ml, "-1.000")
check.claim("the mean of p_g", integral(q * grid), "-0.39")
reverse, forward, twice = kl(q, p_d), kl(p_d, q), 2 * js(p_d, q)
check.claim("the divergences: KL(p_g || p_d)", reverse, "0.387")
check.claim("KL(p_d || p_g)", forward, "0.197")
check.claim("2 JS", twice, "0.110")
check.equal("10.11", gradient(mm), gradient(twice))
check.equal("10.12", gradient(ns), gradient(reverse - twice))
check.equal("10.13", gradient(ml), gradient(forward))

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
others = [p_d, *(bell(rng.uniform(-3, 3), rng.uniform(0.6, 2.5)) for _ in range(200))]
differences = [kl(one, p_d).item() - 2 * js(p_d, one).item() for one in others]
check.equal("10.14", differences, [2 * kl((p_d + one) / 2, p_d).item() for one in others])
check.at_most("10.14", 0.0, differences)  # the first is 0: there p_g = p_d
check.claim("the largest of the 201", np.max(differences), "10.5")

# %% [markdown]
# Does it matter which one? When $p_g$ can become $p_d$, all have the same minimum. When it cannot,
# they give up different things. Fit one bell to a law with two, by descending the three right sides
# exactly.
#
# > **Predict, then run.** The law has bells at $-2$ and 2, with the shares 0.35 and 0.65. Which of
# > the three losses puts its one bell over both, which onto one, and does it depend on where one
# > starts?

# %%
target = 0.35 * bell(-2.0, 0.5) + 0.65 * bell(2.0, 0.6)
divergences = {
    "minimax: 2 JS": lambda q: 2 * js(target, q),
    "non-saturating: KL(g|d) - 2 JS": lambda q: kl(q, target) - 2 * js(target, q),
    "maximum likelihood: KL(d|g)": lambda q: kl(target, q),
}
fits = {}
print("from a wide and from a narrow start: mean, spread, and the value reached")
for name, divergence in divergences.items():
    fits[name] = []
    for start in ([0.5, 0.3], [1.5, -0.5]):  # mean, log of the spread
        w = tg.tensor(start, dtype=tg.float64, requires_grad=True)
        optimizer = tg.optim.Adam([w], lr=0.03)
        for _ in range(300):
            optimizer.zero_grad()
            value = divergence(bell(w[0], tg.exp(w[1])))
            value.backward()
            optimizer.step()
        fits[name].append((value.item(), w[0].item(), np.exp(w[1].item())))
    print(f"{name:31s}" + "   ".join(f"{m:5.2f} {s:5.2f} ({v:.3f})" for v, m, s in fits[name]))

# %%
ends = {name.partition(":")[0]: np.array(fits[name]) for name in fits}  # (start, value mean spread)
for name, wide, narrow in (("minimax", "0.69", "2.00"), ("non-saturating", "2.00", "2.00"),
                           ("maximum likelihood", "0.60", "0.60")):  # fmt: skip
    check.claim(f"{name}: the mean, from wide", ends[name][0, 1], wide)
    check.claim(f"{name}: the mean, from narrow", ends[name][1, 1], narrow)
check.claim("2 JS from wide", ends["minimax"][0, 0], "0.343")
check.claim("2 JS from narrow", ends["minimax"][1, 0], "0.280")

# %% tags=["figure"]
figure, axis = plt.subplots(figsize=(7, 3.2), layout="constrained")
axis.fill_between(grid.numpy(), target.numpy(), color="black", alpha=0.2, lw=0, label="$p_d$")
for name, found in fits.items():
    _, mean, std = min(found)
    thick = 4 if "minimax" in name else 1.8  # the minimax curve lies under the next one
    axis.plot(grid.numpy(), bell(mean, std).numpy(), lw=thick, label=name)
axis.set(xlim=(-6, 6), xlabel="x", ylabel="density")
axis.set_title("The best single bell for two: who covers, who chooses")
axis.legend(loc="upper left")
figures.show(
    figure,
    "A law of two bells. The fit of maximum likelihood is one wide bell over both; those of "
    "minimax and of the non-saturating loss lie on the larger bell.",
)

# %% [markdown]
# Maximum likelihood covers both bells from either start, at the price of samples where there are no
# data. The non-saturating loss chooses one bell from either start. JS has a minimum of either kind:
# where one ends depends on where one began, and the choosing one is the better, with 0.280 against
# 0.343. So a part of a GAN's "mode collapse" is in the loss, but not most of it: Goodfellow's
# tutorial (2016) reports that GANs drop modes under the maximum likelihood loss as well.
#
# Then why not always use maximum likelihood? Because its weights $e^{a}$ are so unequal that an
# average over a batch is an average over very few samples. How many, is said by the effective
# sample size $(\sum w)^2 / \sum w^2$.
#
# > **Predict, then run.** Data $\mathcal{N}(2, 1)$, 256 samples of $\mathcal{N}(-1, 1)$. How many
# > of the 256 count, for each loss?

# %%
made = np.random.default_rng(0).normal(-1.0, 1.0, 256)
log_ratio = -0.5 * (made - 2) ** 2 + 0.5 * (made + 1) ** 2
D = 1 / (1 + np.exp(-log_ratio))
weights = {"minimax": D, "non-saturating": 1 - D, "maximum likelihood": np.exp(log_ratio)}
for (name, w), said in zip(weights.items(), ("55", "244", "3")):
    check.claim(f"{name}: of 256 samples count", w.sum() ** 2 / (w**2).sum(), said)

# %% [markdown]
# 244 for the non-saturating loss, 55 for minimax, 3 for maximum likelihood.
#
# ### Fix the slide: the same objective
#
# On the step from minimax to the non-saturating loss a deck says
#
# > Same objective of fooling discriminator, but now higher gradient signal for bad samples => works
# > much better! Standard in practice.
#
# A higher signal for bad samples, yes. The same objective, no: $2 \mathrm{JS}$ is not
# $\mathrm{KL}(p_g \Vert p_d) - 2 \mathrm{JS}$, by (10.11) and (10.12). Only where $p_g$ can become
# $p_d$ do they have the same best point. In the fit above, from the wide start, the one covers and
# the other chooses. And the two do not even agree which of two generators is better:

# %%
covering, choosing = bell(0.69, 1.94), bell(-2.0, 0.5)  # the wide fit; the smaller bell alone
for name, first, second in (("minimax: 2 JS", "0.343", "0.613"),
                            ("non-saturating: KL(g|d) - 2 JS", "1.141", "0.436")):  # fmt: skip
    check.claim(f"E61: {name} of the covering bell", divergences[name](covering), first)
    check.claim(f"E61: {name} of the smaller bell alone", divergences[name](choosing), second)

# %% [markdown]
# Minimax prefers the bell that covers, the non-saturating loss the one that has lost 65 % of the
# data.
#
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
x = np.random.default_rng(0).normal(0, 1.5, 20_000)
seen = {}
for step in range(301):
    if step in (0, 3, 10, 30, 300):
        seen[step] = js_of(x), len(np.unique(x.round(1)))
        print(f"{step:3d} steps of G against one D: JS to the data {seen[step][0]:.3f}, samples at "
              f"{seen[step][1]:3d} places")  # fmt: skip
    d = 1 / (1 + np.exp(-np.interp(x, line, log_ratio)))
    x = x + 0.1 * (1 - d) * np.interp(x, line, slope)  # down -log D

# %%
for step, said in ((0, "0.051"), (3, "0.015"), (300, "0.556")):
    check.claim(f"E18: JS after {step} steps of G against one D", seen[step][0], said)
check.claim("E18: places where the samples are then", seen[300][1], "2")

# %% [markdown]
# Three steps improve the samples, from 0.051 to 0.015. Then $D$ is out of date, and at the end all
# 20,000 samples sit on two points, with a JS of 0.556. So under JS neither player may run away: a
# $D$ that is too good gives $G$ nothing, a $G$ that runs alone collapses.
#
# In a Wasserstein game the critic *may* be trained to the end, because the distance that it
# estimates has a useful slope however far apart the laws are. For two point masses at distance
# $\theta$, $W_1 = \theta$ has the slope 1 everywhere, while JS is $\log 2$ with the slope 0. That
# is lesson 13. The advice depends on the distance.

# %% [markdown]
# ---
#
# ## Part B: the steps
#
# *A good place for a pause.* So far one player moved and the other was given. Now both move. From
# part A we need only that the generator may descend the minimax loss, and then the game is
# zero-sum, or the non-saturating one, (10.2), and then it is not.
#
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
def random_logit():
    """A line plus a wave."""
    c = rng.normal(0, 1, 4)
    return tg.tensor(c[0] + c[1] * grid.numpy() + c[2] * np.sin(3 * grid.numpy() + c[3]))


logits = [0 * grid, *(random_logit() for _ in range(200))]  # the first says 1/2 everywhere
means = rng.uniform(-2, 2, 200)


# %%
def value(logit, q):
    """V of p_d against the density q, from D's logit on the grid."""
    return integral(-p_d * tg.softplus(-logit) - q * tg.softplus(logit)).item()


against_perfect = [value(logit, p_d) for logit in logits]
check.equal("10.15", np.max(against_perfect), -np.log(4))  # never above, and reached
against_half = [value(logits[0], bell(m, 1.0)) for m in means]
check.equal("10.15", against_half, -np.log(4))
check.claim("the worst of these discriminators", np.min(against_perfect), "-3.6")

# %% [markdown]
# ### Fix the slide: "very easy at that point"
#
# A deck explains why the minimax game gets stuck:
#
# > We get a saddle point as the learning stops at some point. At that point we have have gradients
# > being zero in both directions
#
# and, two sentences on, that the training gets stuck
#
# > because the job of the discriminator is very easy at that point.
#
# Two different ends are mixed up. At the **saddle point** the job of the discriminator is
# *impossible*: it cannot do better than a coin. There the slope of $G$'s loss in the logit is
# $-1/2$, not 0; $G$'s gradient is 0 because $D$ is the same everywhere, so there is no better place
# to go to. The job is easy at the other end, **saturation**: the laws are far apart, $D$ is right
# on every example, and the slope itself is gone.
#
# > **Predict, then run.** Data $\mathcal{N}(0, 1)$, samples $\mathcal{N}(\mu, 1)$, the best $D$.
# > What share of the examples does it sort rightly, and what is the mean minimax slope in the
# > logit, at $\mu = 0$ and at $\mu = 8$?

# %%
places = np.linspace(-10, 18, 2801)
for mean, share_said, slope_said in ((0.0, "0.5000", "-0.5000"), (8.0, "0.99997", "-0.00005")):
    p, q = (np.exp(-0.5 * (places - m) ** 2) / np.sqrt(2 * np.pi) for m in (0.0, mean))
    d = p / (p + q)
    share = 0.5 * (np.where(d >= 0.5, p, q) * 0.01).sum()
    check.claim(f"E47: mean {mean:.0f}, D sorts rightly", share, share_said)
    check.claim(
        f"E47: mean {mean:.0f}, mean slope of G's loss in the logit",
        -(q * d * 0.01).sum(),
        slope_said,
    )

# %% [markdown]
# ### Fix the slide: what Nash means
#
# > A Nash Equilibrium is a solution concept for zero sum games
# >
# > Player A looks for a strategy such that no matter what player B chooses to do, player A will
# > do no worse
#
# Neither line is right. Nash's concept is for *any* game; that every one with finitely many choices
# has an equilibrium (of tossed coins) is his theorem. And the second line describes another thing:
# a **security strategy**, which makes the worst case as good as possible. Nash compares with *one*
# strategy of the other player, the one that is being played, and asks that nobody can improve
# alone. (In a zero-sum game with a saddle point the two agree: each player's part of it is a
# security strategy; $\min_G \max_D$ asks for $G$'s. They part where there is no saddle point, or
# where the losses do not add up to zero.) Tables show the difference. Player A chooses the row,
# player B the column; each entry is what A and what B get.
#
# > **Predict, then run.** The third table is the *prisoners' dilemma*: row and column 0 is keeping
# > silent, 1 is telling. Where is its equilibrium, and is it good for anybody?


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
check.claim("E5: pennies, both rows are secure", security(pennies) == [0, 1])
check.claim("E5: pennies, no Nash cell", nash(pennies, -pennies) == [])
both_a, both_b = np.array([[4, 0], [2, 1]]), np.array([[4, 1], [1, 0]])  # not zero-sum
check.claim("E5: another, row 1 is secure", security(both_a) == [1])
check.claim("E5: another, Nash in row 0", nash(both_a, both_b) == [(0, 0)])
years = np.array([[-1, -3], [0, -2]])  # of prison for A, negative; B's table is the transpose
check.claim("E53: not zero-sum, the sums differ by up to", np.ptp(years + years.T), "2")
check.claim("E53: it has a Nash cell, both tell", nash(years, years.T) == [(1, 1)])

# %% [markdown]
# In the first game both rows are security strategies, and there is no Nash equilibrium (without
# tossing coins, which networks do not do). In the second, A's security strategy is row 1, but the
# Nash equilibrium is in row 0. The dilemma is not zero-sum and has an equilibrium all the same:
# both tell, though both would be better off in silence. A GAN with the non-saturating loss is a
# game of the second kind: the losses do not add up to zero.
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
# $G$ descends in $\theta$, $D$ climbs in $\phi$. It is not made up: take data that are all 3,
# samples that are all $3 + \theta$, and a critic $f(x) = -\phi x$; then
# $\mathbb{E}[f(\text{data})] - \mathbb{E}[f(\text{samples})] = \phi \theta$, the value of a WGAN.
# The only saddle point is $(0, 0)$.

# %%
theta, phi = 0.8, -0.6
data_points = tg.full((8,), 3.0, dtype=tg.float64)
samples = data_points + theta
check.equal("10.16", -gan.critic_gap(-phi * data_points, -phi * samples), theta * phi)
check.claim("V", theta * phi, "-0.48")

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
    return np.array([-g[0].item(), g[1].item()])


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
check.equal("10.18", np.abs(np.linalg.eigvals(M)), np.sqrt(1 + eta**2))  # both eigenvalues

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
check.claim("what never changes", energy[0], "1.048")
distance = np.hypot(theta, phi)
check.claim("nearest to the solution in 1000 steps", np.min(distance), "0.999")
check.claim("farthest", np.max(distance), "1.050")
check.equal("10.19", np.abs(np.linalg.eigvals(M)), 1.0)  # both on the unit circle

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
# for $\eta \le 1/2$, below 1 again. The library has both, as optimizers; our extragradient is
# checked against the library's.
#
# > **Predict, then run.** With $\eta = 0.1$, from the distance 1: how far from the solution are
# > plain steps, extragradient and optimistic steps after 1000 steps? Take (10.18), (10.22) and
# > (10.23).


# %%
def extragradient(w, eta):
    return w + eta * field(w + eta * field(w))


A = np.array([[0.0, 1.0], [-1.0, 0.0]])
check.equal("10.21", extragradient(w, eta), ((1 - eta**2) * np.eye(2) - eta * A) @ w)
far = np.array([2.4, -1.8])
ratio = np.linalg.norm(extragradient(far, eta)) ** 2 / np.linalg.norm(far) ** 2
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
check.equal("10.21", play("extragradient", 50), ours)
for kind, said in (("plain", "145"), ("extragradient", "0.0069"), ("optimistic", "0.0063")):
    check.claim(f"{kind}: distance after 1000 steps", np.linalg.norm(play(kind, 1000)[-1]), said)

# %% [markdown]
# Plain steps are at 145, the two others at 0.0069 and 0.0063. The film shows all four at **one**
# step size, $\eta = 0.2$, from one start, the open dot, to where they are, the full one.


# %%
def tracks(eta, steps=60):
    """The points that the four visit."""
    around = [w]
    for _ in range(steps):
        around.append(alternating(around[-1], eta))
    found = {kind: play(kind, steps, eta) for kind in ("plain", "extragradient", "optimistic")}
    return {"simultaneous": found["plain"], "alternating": np.array(around),
            "extragradient": found["extragradient"], "optimistic": found["optimistic"]}  # fmt: skip


ends = {name: np.linalg.norm(track[-1]) for name, track in tracks(0.2).items()}
for name, said in zip(ends, ("3.24", "1.02", "0.31", "0.29")):
    check.claim(f"{name}: distance after 60 steps of 0.2", ends[name], said)


# %% tags=["figure"]
def portraits(shown, dpi):
    """For each (eta, step) a picture of the four paths up to that step."""
    figure, axes = plt.subplots(2, 2, figsize=(5, 5.3), sharex=True, sharey=True, dpi=dpi)
    figure.subplots_adjust(left=0.11, right=0.99, bottom=0.09, top=0.87, wspace=0.05, hspace=0.2)
    X, Y = np.meshgrid(np.linspace(-1.7, 1.7, 9), np.linspace(-1.7, 1.7, 9))
    for axis in axes.flat:
        axis.quiver(X, Y, -Y, X, color="0.85")
        axis.plot(0, 0, "k+", ms=10)
        axis.set(xlabel=r"$\theta$", ylabel=r"$\phi$", xlim=(-1.8, 1.8), ylim=(-1.8, 1.8))
        axis.set_aspect("equal")
        axis.label_outer()
    axes = list(axes.flat)
    paths = [axis.plot([], [], color="C1", ls="-", marker=".", ms=3, lw=0.8)[0] for axis in axes]
    for axis in axes:
        axis.plot(*w, "ko", mfc="white", ms=6)
    ends = [axis.plot([], [], "ko", ms=6)[0] for axis in axes]
    for eta, until in shown:
        for axis, path, end, (name, track) in zip(axes, paths, ends, tracks(eta).items()):
            path.set_data(*track[: until + 1].T)
            end.set_data(*track[until : until + 1].T)
            axis.set_title(f"{name}: {np.linalg.norm(track[until]):.2g}")
        figure.suptitle(f"step size {eta}, step {until}; the distance from + in the titles")
        figure.canvas.draw()
        yield np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()
    plt.close(figure)


figures.film(
    portraits([(0.2, until) for until in range(0, 61, 3)], dpi=80),
    "Film of four paths from one start at one step size. Simultaneous steps spiral out of the "
    "picture, alternating ones go around for ever, extragradient and optimistic ones come in.",
    colors=64,
)

# %% [markdown]
# And as a slider, 60 steps each, with the step size. Where do the two that come inwards cease to?

# %% tags=["figure"]
etas = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.55, 0.7, 1.0)
figures.slider(
    portraits([(eta, 60) for eta in etas], dpi=100),
    etas,
    "eta",
    "Four paths of 60 steps for growing step sizes. Simultaneous steps always move out; "
    "alternating ones stay on an ellipse that gets longer; extragradient comes in fastest near "
    "0.7 and not at all at 1; optimistic steps come in up to 0.55 and then fly out.",
    start=2,
    colors=64,
)

# %% [markdown]
# At $\eta = 1$ the factor (10.22) is 1 again, and beyond $\eta = 1/\sqrt{3}$ optimistic steps are
# thrown out:


# %%
def optimistic_factor(eta):
    """The largest modulus of an optimistic step."""
    block = np.block([[np.eye(2) - 2 * eta * A, eta * A], [np.eye(2), np.zeros((2, 2))]])
    return np.abs(np.linalg.eigvals(block)).max()


check.claim("optimistic, at 0.57", optimistic_factor(0.57), "0.981")
check.claim("at 1 / sqrt 3", optimistic_factor(1 / np.sqrt(3)), "1.000")
check.claim("at 0.6", optimistic_factor(0.6), "1.06")
check.claim("extragradient at 1", np.linalg.norm(extragradient(w, 1.0)), "1.000")

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
for eta_, steps, said in ((0.3, 222, "14.3"), (0.1, 2000, "21.0"), (0.03, 22222, "21.9")):
    many = np.linalg.matrix_power(
        np.array([[1, -eta_], [eta_, 1]]), steps
    )  # (10.17), again and again
    reached = np.linalg.norm(many @ [0.001, 0.0])
    check.claim(f"E17: eta {eta_}, from 0.001 in {steps} steps to", reached, said)

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
#
# > **Predict, then run.** Step size 0.2, start at the distance 1. How far from the solution is each
# > of the three after 1500 steps: 0, 1, or more?


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
walks = {}
for name, (loss, gamma) in cases.items():
    walks[name] = [np.array([1.0, 0.0])]
    for _ in range(1500):
        walks[name].append(dirac_step(walks[name][-1], 0.2, loss, gamma))
for name, at_20, at_1500 in (("minimax", "1.07", "3.62"), ("non-saturating", "0.91", "0.63"),
                             ("non-saturating + R1", "0.41", "0.00")):  # fmt: skip
    far = np.linalg.norm(walks[name], axis=1)
    check.claim(f"{name}: distance after 20 steps", far[20], at_20)
    check.claim(f"{name}: after 1500", far[1500], at_1500)
check.claim("phi after the first step", walks["minimax"][1][1], "-0.10")

# %% tags=["figure"]
figure, axes = plt.subplots(1, 3, figsize=(6.8, 2.8), sharey=True, layout="constrained")
for axis, (name, walk) in zip(axes, walks.items()):
    track = np.array(walk)
    axis.plot(*track.T, lw=0.8, color="C1", ls="-")
    axis.plot(*track[0], "o", color="C2", ms=5)
    axis.plot(0, 0, "k+", ms=10)
    axis.set(title=name, xlabel=r"$\theta$", xlim=(-4, 4), ylim=(-4, 4), aspect="equal")
    axis.set(xticks=(-3, 0, 3), yticks=(-3, 0, 3))
axes[0].set_ylabel(r"$\phi$")
figures.show(
    figure,
    "Three paths from the green start: minimax spirals outwards, the non-saturating loss ends on a "
    "circle about the solution, and with the penalty R1 the path spirals into it.",
)

# %% [markdown]
# Minimax is at 3.62 and still leaving, the non-saturating loss on a circle of radius 0.63, R1 has
# arrived.
#
# ### Momentum
#
# Momentum repeats a part $\beta$ of the last move: to a step of $\theta$ it adds
# $\beta (\theta_t - \theta_{t-1})$, and to one of $\phi$ likewise. For one player in a long valley
# that is a blessing. For two players who circle each other, the last move points where the circle
# *was*: it pushes outwards. With alternating steps on $V = \theta\phi$ the state is
# $s_t = (\theta_t, \phi_t, \theta_{t-1}, \phi_{t-1})$, and one round is a matrix:
#
# $$
# s_{t+1} = \begin{pmatrix} 1 + \beta & -\eta & -\beta & 0 \\
# \eta (1 + \beta) & 1 + \beta - \eta^2 & -\eta \beta & -\beta \\
# 1 & 0 & 0 & 0 \\ 0 & 1 & 0 & 0 \end{pmatrix} s_t \tag{10.24}
# $$
#
# Its largest eigenvalue tells the growth (Gidel et al. 2019). The check plays 60 rounds with the
# library's SGD, which knows nothing of matrices, and compares each with the matrix; and it compares
# the growth in a long game with the eigenvalue.


# %%
def round_of(beta, eta=0.3):
    """The matrix of (10.24)."""
    return np.array([[1 + beta, -eta, -beta, 0.0],
                     [eta * (1 + beta), 1 + beta - eta**2, -eta * beta, -beta],
                     [1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]])  # fmt: skip


def growth(beta):
    return np.abs(np.linalg.eigvals(round_of(beta))).max()


def played(beta, rounds, eta=0.3):
    """The points (theta, phi) of the library's SGD with momentum, G first, then D."""
    theta, phi = (tg.tensor(v, requires_grad=True) for v in w)
    opt_g, opt_d = (tg.optim.SGD([v], lr=eta, momentum=beta) for v in (theta, phi))
    points = [list(w)]
    for _ in range(rounds):
        theta.grad = phi.detach()  # G goes down V = theta phi
        opt_g.step()
        phi.grad = -theta.detach()  # D up, from where G is now
        opt_d.step()
        points.append([theta.item(), phi.item()])
    return points


for beta, said in ((0.9, "1.3986"), (0.5, "1.1533"), (0.0, "1.0000"), (0.3, "1.0619")):
    points = np.array(played(beta, 60))
    states = np.concatenate([points[1:], points[:-1]], 1)  # (theta, phi, theta before, phi before)
    check.equal("10.24", states[1:], states[:-1] @ round_of(beta).T)
    check.claim(f"beta {beta}: growth per round, by the eigenvalue", growth(beta), said)
check.claim(
    "beta 0.9: growth per round, in the game",
    (np.linalg.norm(played(0.9, 400)[-1]) / np.linalg.norm(played(0.9, 100)[-1])) ** (1 / 300),
    "1.40",
)
check.claim("beta -0.3: growth per round", growth(-0.3), "0.9876")

# %% tags=["figure"]
betas = np.linspace(-0.9, 0.9, 37)
figure, axis = plt.subplots(figsize=(7, 2.8), layout="constrained")
axis.plot(betas, [growth(b) for b in betas], color="C0", ls="-", marker="o", ms=3)
axis.axhline(1, color="gray", lw=0.7, ls="-")
axis.set(xlabel=r"momentum $\beta$", ylabel="growth per round")
axis.set_title("In a game, momentum pushes outwards; a moderate negative one pulls in")
figures.show(
    figure,
    "Growth per round against momentum: above 1 for every positive momentum, 1 at 0, a little "
    "below 1 for moderate negative ones.",
)

# %% [markdown]
# With $\beta = 0.9$ the distance grows by 40 % in every round, with 0.5 by 15 %; with $-0.3$ it
# shrinks. This is one reason why GANs are trained with Adam's $\beta_1 = 0.5$ or 0 where one player
# alone would take 0.9 (Radford et al. 2015 report it from experience). A real GAN is not a pure
# rotation: the players also have valleys of their own. So a little momentum is a compromise, not a
# theorem.

# %% [markdown]
# ## 5. Back to a GAN: a bad start, three losses
#
# Data: $\mathcal{N}(2, 0.5^2)$. The generator, $G(z) = \theta_0 + \theta_1 z$, starts at
# $\mathcal{N}(-2, 0.5^2)$, and $D$, a small network, has had a head start of 300 steps. Plain SGD
# for $G$, so that the size of the gradient shows.
#
# > **Predict, then run.** Which of the three losses has its mean at 2 first? And what will maximum
# > likelihood do, which listens to a few good samples and next to nobody else?


# %%
def noise(n):
    return tg.randn(n, 1, dtype=tg.float64)


means = {}  # of the samples, at each step
print("mean of the samples, step    0    150    300    450    600")
for name in ("minimax", "maximum_likelihood", "non_saturating"):
    tg.manual_seed(3)
    theta = tg.tensor([-2.0, 0.5], dtype=tg.float64, requires_grad=True)
    judge = network(1, 32, 32, 1).to(tg.float64)
    opt_d = tg.optim.Adam(judge.parameters(), lr=5e-3, betas=(0.5, 0.9))
    opt_g = tg.optim.SGD([theta], lr=0.05)
    means[name] = []
    for step in range(-300, 601):
        z = noise(128)
        loss_d = tg.softplus(-judge(2 + 0.5 * noise(128))).mean()
        loss_d = loss_d + tg.softplus(judge((theta[0] + theta[1] * z).detach())).mean()
        opt_d.zero_grad()
        loss_d.backward()
        opt_d.step()
        if step >= 0:
            means[name].append(theta[0].item())
            loss_g = gan.OBJECTIVES[name].generator(judge(theta[0] + theta[1] * z))
            opt_g.zero_grad()
            loss_g.backward()
            opt_g.step()
    print(f"{name:22s}" + "".join(f"{mean:7.2f}" for mean in means[name][::150]))

# %%
check.claim("non-saturating, step 150", means["non_saturating"][150], 2.0, tol=0.05)
check.claim("minimax, step 150", means["minimax"][150], -2.0, tol=0.05)
check.claim("minimax, step 600", means["minimax"][600], 0.85, tol=0.1)

# %% [markdown]
# The same networks, the same seeds, the same step sizes. The non-saturating loss has crossed over
# by step 150. Minimax has hardly left its place by then, $-2.0$, and is still on its way at the
# end.
#
# > **Predict, then run.** Maximum likelihood has left the picture. Did it go step by step, or at
# > once, and when?

# %%
away = np.array(means["maximum_likelihood"])
jump = int(np.argmax(np.abs(away) > 10))  # the first step at which the mean is beyond 10
check.claim("maximum likelihood creeps for so many steps", jump, 150, tol=0.3)
check.claim("its mean one step earlier", away[jump - 1], -1.9, tol=0.1)
check.claim("then, the nearest it comes back", np.min(np.abs(away[jump:])), 468, tol=0.1)

# %% [markdown]
# It creeps for 150 steps, to $-1.9$, until a few samples get a large logit: then the weights $e^a$
# explode, and one step throws the generator out of the data's sight, for good.
#
# ## A bug from the wild: a generator trained the wrong way
#
# In Zeleni9/pytorch-wgan the critic is trained to say *little* of data and *much* of samples (as in
# the WGAN authors' own code), so `g_loss.backward(one)`, which lowers $D(G(z))$, was right.
# Issue #51 (2024) read that line alone, and pull request #53 (2025) turned its sign; by its
# description nothing else changed. With the critic's lines as they were, $G$ then steps the wrong
# way, and nothing crashes. Here is such a slip in a non-saturating GAN.


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


right, wrong = train(1), train(-1)

# %%
check.claim("right: mean of the samples (data: 2)", right[0], 2.3, tol=0.1)
check.claim("right: D's loss", right[1], 1.3, tol=0.1)
check.claim("wrong: mean of the samples", wrong[0], -3.0, tol=0.1)
check.claim("wrong: D's loss is below 0.01", wrong[1] < 0.01)

# %% [markdown]
# Right, the mean is 2.3 after these few steps, on its way around 2. Wrong, it is $-3.0$, and the
# log shows a $D$ that does splendidly. Only the samples give it away. A check that takes a second,
# before any training: **one small step of $G$, against a frozen $D$, on the same noise, must raise
# what $D$ says of the samples** (for a $D$ that is trained to be high on data). It needs to know
# nothing about the loss.


# %%
def times_raised(generator_loss):
    """In how many of 5 trials does a small step of G raise the mean logit of the same samples?"""
    raised = 0
    for seed in range(5):
        tg.manual_seed(seed)
        G, judge, z = network(2, 16, 2), network(2, 16, 1), tg.randn(256, 2)
        before = judge(G(z)).mean()
        optimizer = tg.optim.SGD(G.parameters(), lr=1e-3)
        generator_loss(judge(G(z))).backward()
        optimizer.step()
        raised += (judge(G(z)).mean() > before).item()
    return raised


for name in ("minimax", "non_saturating", "maximum_likelihood", "wgan", "hinge"):
    check.claim(f"{name}: raised, of 5", times_raised(gan.OBJECTIVES[name].generator), "5")
slip = times_raised(lambda logits: -tg.softplus(-logits).mean())
check.claim("the slip: raised, of 5, caught", slip, "0")

# %% [markdown]
# ## Exercises
#
# ### Exercise 10.1
#
# Write `weights(a)`: for logits `a` (an array) the three slopes of section 1, as a tuple or an
# array of three rows: minimax, non-saturating, maximum likelihood. Logits may be $\pm 1000$ for
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
