# %% [markdown]
# # Lesson 2: Autograd from nothing
#
# > **Question.** A loss is one number that depends on millions of others. How does a program get
# > all its derivatives, exact to rounding, for about the price of computing the loss three times,
# > and then derivatives of those derivatives?
#
# At the end you have built the machine that every later lesson stands on: seventy-five lines of
# Python over NumPy that record a computation and run it backwards. You can derive the backward
# rule of an operation that nobody has given you, you know two ways to get it wrong, one proposed to
# a well-known library and one shipped in another, and you know the test that tells.
#
# - **You need:** Python and NumPy, derivatives, what a matrix does to a vector. Nothing of lesson
#   1.
# - **Time:** two hours, a third of them for the exercises. The cells run in twenty seconds.
# - **You may skip:** the end of section 1 (the best step), section 5 if you know softmax by heart,
#   and the slide boxes on a first reading. Sections 2 to 4 and 6 carry the course.

# %%
import matplotlib.pyplot as plt
import numpy as np

import tinygen as tg
from tinygen.lessons import check, figures

figures.style()


def bump(x):
    return np.sin(x * x)


def bump_slope(x):
    return 2 * x * np.cos(x * x)


at = 1.2
steps = 10.0 ** np.arange(-15, 0.01, 0.125)
forward = np.array([(bump(at + h) - bump(at)) / h for h in steps])
central = np.array([(bump(at + h) - bump(at - h)) / (2 * h) for h in steps])

# %% tags=["figure"]
point = tg.tensor(at, dtype=tg.float64, requires_grad=True)
(tg_slope,) = tg.autograd.grad(tg.sin(point * point), [point])
line = tg.linspace(-2.2, 2.2, 400, dtype=tg.float64).requires_grad_()
curves = [tg.sin(line * line)]
for _ in range(2):  # differentiate, and differentiate the derivative
    curves += tg.autograd.grad(curves[-1].sum(), [line], create_graph=True)

figure, axes = plt.subplots(1, 2, figsize=(9, 3.2))
axes[0].loglog(steps, abs(forward - bump_slope(at)) + 1e-17, label="forward difference")
axes[0].loglog(steps, abs(central - bump_slope(at)) + 1e-17, label="central difference")
exact = max(abs(tg_slope.item() - bump_slope(at)), 2.0**-53)  # at least what a float can tell
axes[0].axhline(exact, color="C2", ls="-.", label="autograd: no step")
axes[0].set(xlabel="step $h$", ylabel="error of the slope", ylim=(1e-17, 1e4))
axes[0].set_title("measured slopes: too large a step, or too small")
axes[0].legend(loc="lower left", bbox_to_anchor=(0.02, 0.08))
for order, curve in enumerate(curves):
    values = curve.detach().numpy()
    axes[1].plot(line.detach().numpy(), values / abs(values).max(), label=f"order {order}")
axes[1].set(xlabel="$x$", ylabel="value / largest value", ylim=(-1.15, 1.75))
axes[1].set_title("autograd: $\\sin(x^2)$, its slope, the slope's slope")
axes[1].legend(loc="upper center", ncols=3)
figure.tight_layout()
figures.show(
    figure,
    alt="Left: the error of a measured slope against the step, two V-shaped curves, and far below "
    "them a flat line for autograd. Right: sin of x squared with its first two derivatives.",
)

# %% [markdown]
# *Left: the error of a slope that is measured by taking a step. No step size is good. Right: a
# function and its first two derivatives, each scaled to a largest value of 1, computed by the
# method of this lesson. No step anywhere.*
#
# ## 1. Measuring a slope
#
# The slope of $f$ at $x$ is the limit of a quotient. The obvious program takes a small step $h$ to
# either side. How wrong is it? Write down Taylor's series of $f(x + h)$ and of $f(x - h)$ and
# subtract. Everything even in $h$ cancels, and
#
# $$
# \frac{f(x + h) - f(x - h)}{2h} = f'(x) + \frac{h^2}{6} f'''(x) + O(h^4) \tag{2.1}
# $$
#
# To see the middle term alone, take $f'(x)$ away and divide by $h^2$. Our function is
# $f(x) = \sin x^2$; its third derivative is $-12 x \sin x^2 - 8 x^3 \cos x^2$.
#
# > **Predict, then run.** Make the step ten times smaller. By which factor does the error of this
# > quotient fall? And that of the one-sided $(f(x + h) - f(x)) / h$?


# %%
def bump_third(x):
    return -12 * x * np.sin(x * x) - 8 * x**3 * np.cos(x * x)


h = 1e-3
quotient = (bump(at + h) - bump(at - h)) / (2 * h)
check.equal("2.1", (quotient - bump_slope(at)) / h**2, bump_third(at) / 6, tol=1e-4)


def errors(h):
    """Of the central and of the one-sided quotient."""
    sides = (bump(at + h) - bump(at - h)) / (2 * h), (bump(at + h) - bump(at)) / h
    return [abs(side - bump_slope(at)) for side in sides]


central_gain, one_sided_gain = np.divide(errors(1e-2), errors(1e-3))
check.claim("a tenth of the step: the central error, divided by", central_gain, 100, tol=0.02)
check.claim("a tenth of the step: the one-sided error, divided by", one_sided_gain, 10, tol=0.02)

# %% [markdown]
# By 100 and by 10: the one-sided quotient keeps a term with $h$ that symmetry cancels. So smaller
# steps are better, until they are not. The computer rounds: $f$ is only known to a relative
# $\epsilon = 2^{-52}$, and so is the point $x + h$ itself. With $F$ for the largest $|f| + |x f'|$
# nearby, each value of $f$ is off by at most $\epsilon F$, and the quotient divides that by $h$.
# With $M$ for the largest $|f'''|$ nearby, both errors together are
#
# $$
# \left| \frac{f(x + h) - f(x - h)}{2h} - f'(x) \right|
# \le \frac{h^2}{6} M + \frac{\epsilon}{h} F \tag{2.2}
# $$
#
# One term falls with $h$, the other rises. This is the V in the picture. The first term is exact
# for a cubic, which has no higher ones; the second is a worst case, all roundings at their largest
# and in the bad direction, and never quite reached.

# %%
epsilon = 2.0**-52
narrow = steps <= 0.1
near = np.linspace(at - 0.1, at + 0.1, 2001)
M = abs(bump_third(near)).max()
F = (abs(bump(near)) + abs(near * bump_slope(near))).max()


def both_errors(h, M, F):
    """The right side of (2.2)."""
    return h**2 / 6 * M + epsilon / h * F


error = abs(central - bump_slope(at))[narrow]
bound = both_errors(steps, M, F)[narrow]
cubic = abs((1.25**3 - 0.75**3) / (2 * 0.25) - 3)  # x^3 at 1, a step of 1/4: f''' is 6 everywhere
check.at_most("2.2", error, bound, slack=0, attained=(cubic, both_errors(0.25, 6, 0)))
check.claim("steps that it was tried with", narrow.sum(), "113")
check.claim("M", M, "16.37")
check.claim("F", F, "1.79")
tiny = steps < 1e-7  # only rounding is left
share = abs(central - bump_slope(at))[tiny] / both_errors(steps, 0, F)[tiny]
check.claim("of the rounding that is allowed, at most happens", share.max(), 0.17, tol=0.4)

# %% [markdown]
# The best step makes the bound's derivative zero: $h M / 3 = \epsilon F / h^2$, so
#
# $$
# h_* = \left( \frac{3 \epsilon F}{M} \right)^{1/3} \tag{2.3}
# $$
#
# The cell compares the formula with a plain search for the lowest point of the bound.

# %%
best = (3 * epsilon * F / M) ** (1 / 3)
fine = np.geomspace(1e-7, 1e-3, 200_001)
check.equal("2.3", fine[np.argmin(fine**2 / 6 * M + epsilon / fine * F)] / best, 1, tol=1e-3)
check.claim("the best step, in powers of ten", np.log10(best), "-5.4")
check.claim("its error, in powers of ten", np.log10(best**2 / 6 * M + epsilon / best * F), "-9.8")

# %% [markdown]
# > **Predict, then run.** Go the other way, to a step of $10^{-15}$. How many different floating
# > point numbers lie between $x - h$ and $x + h$, ends included, for $x = 1.2$? How will the curve
# > $\sin x^2$ look under that microscope? Then move the slider.

# %%
points = np.unique(np.linspace(at - 1e-15, at + 1e-15, 10_001))
check.claim("numbers between x - h and x + h", len(points), "11")
check.claim("different values of the function there, fewer than", len(np.unique(bump(points))) < 11)
check.claim("the slope measured with h = 1e-15 is off by more than 0.003", errors(1e-15)[0] > 0.003)


# %% tags=["figure"]
def microscope(h):
    figure, (ax, v) = plt.subplots(1, 2, figsize=(8, 2.7), width_ratios=(1.4, 1))
    move = np.linspace(-2 * h, 2 * h, 2001)
    rise = bump(at + move) - bump(at)
    ax.plot(move / h, rise / h, color="0.5", ls="-", label="$f$, as the computer has it")
    ends = np.array([-1.0, 1.0])
    ax.plot(ends, (bump(at + ends * h) - bump(at)) / h, "o-", color="C1", label="measured slope")
    ax.plot(2 * ends, 2 * ends * bump_slope(at), "k:", lw=1, label="true slope")
    ax.set(xlabel="move / $h$", ylabel="rise / $h$", ylim=(-1.3, 1.7))
    ax.legend(loc="upper left")
    v.loglog(steps, abs(central - bump_slope(at)) + 1e-17, color="C0")
    v.plot(
        h, abs((bump(at + h) - bump(at - h)) / (2 * h) - bump_slope(at)) + 1e-17, "o", color="C1"
    )
    v.set(xlabel="step $h$", ylabel="error of the slope", xticks=[1e-15, 1e-10, 1e-5, 1])
    figure.tight_layout()
    return figure


exponents = [0.5, 1, 2, 4, 6, 8, 10, 12, 14, 14.5, 15, 15.2, 15.4]
figures.slider(
    (microscope(10.0**-k) for k in exponents),
    [f"{10.0**-k:.0e}" for k in exponents],
    "step h",
    alt="A curve around one point, seen through a window of two steps to either side, with the "
    "slope that a step measures. Wide steps cut across the curve, steps below 1e-14 meet the "
    "staircase of floating point numbers; between them the two slopes agree.",
    start=4,
)

# %% [markdown]
# Eleven numbers, and the function has even fewer values on them: a staircase. Whoever measures a
# slope on a staircase measures the stairs.
#
# Remember two numbers: the best step is about $10^{-5}$, and about ten of the sixteen digits are
# right. That is good enough to **check** a gradient, and we will do so all the time. It is useless
# to **train** with, for another reason: a step has to be taken in each direction separately. A
# loss with a million parameters costs two million evaluations for one gradient.
#
# ## 2. The chain rule, read backwards
#
# A program is a chain of small functions. Take one link, $y = f(x)$, with vectors for $x$ and $y$.
# Its derivative is the **Jacobian** $J$, the matrix of all $\partial y_i / \partial x_j$. It tells
# what a small move of $x$ along $v$ does:
#
# $$
# f(x + t v) = f(x) + t J v + O(t^2) \tag{2.4}
# $$
#
# Here is a function from three numbers to two with its Jacobian written out by hand, and a random
# direction.

# %%
rng = np.random.default_rng(2)


def f(x):
    return np.array([x[0] * x[1], np.sin(x[2]) + x[0] ** 2])


def jacobian(x):
    return np.array([[x[1], x[0], 0.0], [2 * x[0], 0.0, np.cos(x[2])]])


x, v = rng.normal(size=3), rng.normal(size=3)
t = 1e-5
check.equal("2.4", (f(x + t * v) - f(x - t * v)) / (2 * t), jacobian(x) @ v, tol=1e-8)

# %% [markdown]
# Now let a single number $L$, the loss, depend on $y$. Suppose somebody already knows how $L$
# reacts to $y$: the vector $g$ with entries $\partial L / \partial y_i$. It is called the
# **cotangent** of $y$. How does $L$ react to $x$? Entry $j$ of $x$ moves every $y_i$ by $J_{ij}$,
# and each $y_i$ moves $L$ by $g_i$. Add up: $\sum_i g_i J_{ij}$. That is the transposed matrix,
# applied to $g$:
#
# $$
# \frac{\partial L}{\partial x} = J^\top g \tag{2.5}
# $$
#
# This is the whole of backpropagation. A rule that turns $g$ into $J^\top g$ is called a **vjp**
# (vector-Jacobian product). The cell takes $L = \frac{1}{2} y_1^2 + \frac{1}{2} y_2^2$, for which
# $g = y$, and measures the left side by steps.


# %%
def numeric(function, x, h=1e-5):
    """The gradient of a function with one number as its value, by central differences."""
    x = np.array(x, dtype=float)
    slopes = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[index] = h
        slopes[index] = (function(x + step) - function(x - step)) / (2 * h)
    return slopes


check.equal("2.5", numeric(lambda x: 0.5 * (f(x) ** 2).sum(), x), jacobian(x).T @ f(x), tol=1e-8)

# %% [markdown]
# > **Predict, then run.** $f$ takes three numbers to two. You want its whole Jacobian, and you may
# > either push moves $v$ forward, by (2.4), or pull cotangents $g$ back, by (2.5). How many runs
# > does each take? Which would you choose for a loss?

# %%
pushed = np.stack([jacobian(x) @ unit for unit in np.eye(3)], axis=1)  # a column each
pulled = np.stack([jacobian(x).T @ unit for unit in np.eye(2)])  # a row each
check.claim("runs forward", pushed.shape[1], "3")
check.claim("runs backward", pulled.shape[0], "2")
check.claim("the same Jacobian", pushed == pulled)

# %% [markdown]
# As many runs as inputs, or as many as outputs. A loss has one output, so **one** backward run has
# all its derivatives, however many inputs there are.
#
# For a chain of functions the Jacobians multiply, $J = J_3 J_2 J_1$, and transposing turns the
# order round:
#
# $$
# \frac{\partial L}{\partial x} = J_1^\top \left( J_2^\top \left( J_3^\top g \right) \right)
# \tag{2.6}
# $$
#
# The brackets are the point. From the loss backwards, every product is a matrix times a vector.
# From the input forwards, $J_3 J_2 J_1$, it is matrix times matrix. The cell checks the value for
# three layers $x \mapsto \tanh(W x)$ and counts multiplications for layers a thousand wide.
#
# > **Predict, then run.** Three layers, a thousand wide: how many times cheaper is backwards?

# %%
weights = [rng.normal(size=(5, 5)) / 2 for _ in range(3)]
x5, g5 = rng.normal(size=5), rng.normal(size=5)


def chain(x):
    for W in weights:
        x = np.tanh(W @ x)
    return g5 @ x  # a loss whose cotangent at the last layer is g5


jacobians, value = [], x5
for W in weights:
    value = np.tanh(W @ value)
    jacobians.append((1 - value**2)[:, None] * W)
J1, J2, J3 = jacobians
check.equal("2.6", numeric(chain, x5), J1.T @ (J2.T @ (J3.T @ g5)), tol=1e-8)

layers = [np.broadcast_to(0.0, (1000, 1000))] * 3


def multiplications(factors):
    """Of a product of matrices from left to right."""
    rows, columns = [len(a) for a in factors], [a.shape[1] for a in factors]
    return sum(rows[0] * inner * n for inner, n in zip(columns[:-1], columns[1:]))


backwards = multiplications([np.zeros((1, 1000)), *layers])
forwards = multiplications(layers) + 1000 * 1000  # and the cotangent times the result
check.claim("backwards, multiplications", backwards, "3000000")
check.claim("times cheaper than forwards", forwards / backwards, "667.0")

# %% [markdown]
# ## 3. Nobody writes a Jacobian down
#
# The Jacobian of `y = a * b` for two arrays of a million numbers has $10^{12}$ entries, almost all
# zero. We never need it. We need what $J^\top$ does to $g$. The definition of the transpose is all
# it takes. With $\langle a, b \rangle$ for the sum of the products of all entries,
#
# $$
# \langle g, J v \rangle = \langle J^\top g, v \rangle \quad \text{for all } g \text{ and } v
# \tag{2.7}
# $$
#
# So the recipe is: write down how $y$ moves when $x$ moves by $dx$, take the inner product with
# $g$, and shift everything off $dx$ to the other side. What ends up beside $dx$ is the vjp. In the
# cell the left side comes from taking a step, the right side from the matrix.

# %%
g = rng.normal(size=2)
moved = g @ (f(x + t * v) - f(x - t * v)) / (2 * t)
check.equal("2.7", moved, (jacobian(x).T @ g) @ v, tol=1e-8)

# %% [markdown]
# **A product.** If $y = a b$, entry by entry, then $dy = b \thinspace da + a \thinspace db$, so
# $\langle g, dy \rangle = \langle g b, da \rangle + \langle g a, db \rangle$. What stands beside
# $da$ is the cotangent of $a$; write it $g_a$:
#
# $$
# g_a = g b, \qquad g_b = g a \tag{2.8}
# $$


# %%
def flat(*arrays):
    return np.concatenate([np.ravel(a) for a in arrays])


a, b, g = rng.normal(size=(3, 4, 2))
check.equal(
    "2.8",
    flat(numeric(lambda a: (g * (a * b)).sum(), a), numeric(lambda b: (g * (a * b)).sum(), b)),
    flat(g * b, g * a),
    tol=1e-8,
)

# %% [markdown]
# **A matrix product.** If $Y = A B$, then $dY = dA \thinspace B + A \thinspace dB$. The inner
# product of two matrices is a trace, $\langle G, H \rangle = \mathrm{tr}(G^\top H)$, and factors
# may be rotated around inside a trace:
# $\mathrm{tr}(G^\top dA \thinspace B) = \mathrm{tr}(B G^\top dA) = \langle G B^\top, dA \rangle$.
# The same for $dB$. So
#
# $$
# G_A = G B^\top, \qquad G_B = A^\top G \tag{2.9}
# $$
#
# No need to remember it: when the three sizes differ, there is one way only to multiply $G$ with
# the other matrix so that the shape comes out right.
#
# > **Predict, then run.** The square $Y = A A$ uses $A$ on both sides. What is its vjp? (One term
# > or two?)

# %%
A, B, G = rng.normal(size=(3, 4)), rng.normal(size=(4, 2)), rng.normal(size=(3, 2))
check.equal(
    "2.9",
    flat(numeric(lambda A: (G * (A @ B)).sum(), A), numeric(lambda B: (G * (A @ B)).sum(), B)),
    flat(G @ B.T, A.T @ G),
    tol=1e-8,
)
S, G_S = rng.normal(size=(2, 3, 3))
slope = numeric(lambda S: (G_S * (S @ S)).sum(), S)
check.claim("of A A: G A^T + A^T G", abs(slope - (G_S @ S.T + S.T @ G_S)) < 1e-8)


# %% [markdown]
# **Broadcasting.** In `X + bias` NumPy repeats the bias for every row. Repeating is an operation
# like any other, and a linear one: each entry of $x$ goes to several places in $y$. In
# $\langle g, \mathrm{repeat}(x) \rangle$ the entry $x_j$ is therefore multiplied by every $g$ it
# met; collect them. The adjoint of repeating is summing:
#
# $$
# \langle g, \mathrm{repeat}(x) \rangle = \langle \mathrm{sum}(g), x \rangle \tag{2.10}
# $$
#
# Read from right to left the same line says that the adjoint of summing is repeating. So these two
# operations are each other's vjp, and no other vjp will ever have to think of broadcasting. Write
# `sum_to(g, shape)` for the sum over whatever had been repeated.
#
# > **Predict, then run.** A bias of 4 numbers is added to 5 rows, and the loss is the sum of
# > everything. What is the cotangent of the bias?


# %%
def np_sum_to(g, shape):
    """The sum over every dimension that broadcasting from `shape` to g.shape repeats."""
    new = g.ndim - len(shape)
    repeated = [new + i for i, n in enumerate(shape) if n == 1]
    return g.sum(axis=(*range(new), *repeated)).reshape(shape)


left, right = [], []
for small in [(), (3,), (1,), (4, 1), (1, 1), (2, 1, 3), (2, 4, 3)]:
    x, g = rng.normal(size=small), rng.normal(size=(2, 4, 3))
    left.append((g * np.broadcast_to(x, g.shape)).sum())
    right.append((np_sum_to(g, small) * x).sum())
check.equal("2.10", left, right)
check.claim("cotangent of the bias: four fives", np_sum_to(np.ones((5, 4)), (4,)) == np.full(4, 5))

# %% [markdown]
# **Using a thing twice.** When $x$ goes to two places, two cotangents come back, $g_1$ and $g_2$.
# Making a copy is repeating, so its adjoint is the sum again:
#
# $$
# g_x = g_1 + g_2 \tag{2.11}
# $$
#
# This innocent plus sign is where home-made autograds go wrong, as we will see. Here $x$ is used
# by $\langle u, \sin x \rangle$ and by $\langle v, x^2 \rangle$.

# %%
x, u, v = rng.normal(size=(3, 6))
both = numeric(lambda x: u @ np.sin(x) + v @ x**2, x)
check.equal("2.11", both, u * np.cos(x) + v * 2 * x, tol=1e-8)

# %% [markdown]
# ## 4. The tape
#
# Now the machine. A `Tensor` is an array that remembers how it was made: its parents, and for each
# parent the vjp that leads back to it. A vjp gets the cotangent `g` and the output `y`. There is
# one rule, and it is the reason why derivatives of derivatives will come for free: **a vjp is
# written with Tensor operations**, never with bare arrays.


# %%
class Tape:
    recording = True  # are operations recorded?


class Tensor:
    """An array and how it came about."""

    def __init__(self, data, parents=(), vjps=(), op="leaf"):
        self.data = np.asarray(data, dtype=np.float64)
        self.parents, self.vjps, self.op = (parents, vjps, op) if Tape.recording else ((), (), op)

    shape = property(lambda self: self.data.shape)
    __add__ = __radd__ = lambda self, other: add(self, other)
    __mul__ = __rmul__ = lambda self, other: mul(self, other)
    __neg__ = lambda self: mul(self, -1.0)
    __sub__ = lambda self, other: add(self, -lift(other))
    __rsub__ = lambda self, other: add(-self, other)
    __truediv__ = lambda self, other: mul(self, power(lift(other), -1.0))
    __matmul__ = lambda self, other: matmul(self, other)


def lift(x):
    return x if isinstance(x, Tensor) else Tensor(x)


def broadcast_to(x, shape):
    if x.shape == shape:
        return x
    vjp = lambda g, y: sum_to(g, x.shape)
    return Tensor(np.broadcast_to(x.data, shape), (x,), (vjp,), "broadcast_to")


def sum_to(x, shape):
    vjp = lambda g, y: broadcast_to(g, x.shape)
    return Tensor(np_sum_to(x.data, shape), (x,), (vjp,), "sum_to")


def together(a, b):
    """Both operands in their common shape."""
    a, b = lift(a), lift(b)
    shape = np.broadcast_shapes(a.shape, b.shape)
    return broadcast_to(a, shape), broadcast_to(b, shape)


def add(a, b):
    a, b = together(a, b)
    return Tensor(a.data + b.data, (a, b), (lambda g, y: g, lambda g, y: g), "add")


def mul(a, b):
    a, b = together(a, b)
    return Tensor(a.data * b.data, (a, b), (lambda g, y: g * b, lambda g, y: g * a), "mul")


# %% [markdown]
# Equations (2.8) and (2.10) stand there in code. The rest of our vocabulary is as short. Read each
# vjp as "the cotangent of the output, times the derivative": the output `y` is handed in, so that
# `exp` and `tanh` can use it again.


# %%
def power(x, n):
    return Tensor(x.data**n, (x,), (lambda g, y: g * (n * power(x, n - 1)),), "power")


def exp(x):
    return Tensor(np.exp(x.data), (x,), (lambda g, y: g * y,), "exp")


def log(x):
    return Tensor(np.log(x.data), (x,), (lambda g, y: g / x,), "log")


def tanh(x):
    return Tensor(np.tanh(x.data), (x,), (lambda g, y: g * (1 - y * y),), "tanh")


def transpose(x):
    return Tensor(x.data.T, (x,), (lambda g, y: transpose(g),), "transpose")


def matmul(a, b):
    vjps = (lambda g, y: g @ transpose(b), lambda g, y: transpose(a) @ g)
    return Tensor(a.data @ b.data, (a, b), vjps, "matmul")


def total(x):
    return sum_to(x, ())


# %% [markdown]
# Only the backward pass is missing. A tensor may be used many times, so its cotangent is a sum
# over all its users, by (2.11), each contribution pulled back by (2.5):
#
# $$
# g_x = \sum_{y \text{ made from } x} J_{y x}^\top g_y \tag{2.12}
# $$
#
# The sum must be **complete** before it is passed on to the parents of $x$. So nodes must be
# visited in an order in which every node comes after all nodes that were made from it. That is
# called a topological order. A depth-first walk that notes a node when it *leaves* it gives the
# reverse of such an order. Written with a list instead of recursion it survives deep graphs.


# %%
def backward_order(output):
    """Everything that `output` was made from, each tensor before its parents."""
    left, found, stack = [], set(), [(output, False)]
    while stack:
        node, parents_done = stack.pop()
        if parents_done:
            left.append(node)
        elif node not in found:
            found.add(node)
            stack.append((node, True))
            stack += [(parent, False) for parent in node.parents]
    return left[::-1]


def grad(output, inputs, g=None, create_graph=False):
    """<g, d output / d input> for each input; g is 1 unless given."""
    cotangents = {output: Tensor(np.ones(output.shape)) if g is None else g}
    nodes = backward_order(output)
    before, Tape.recording = Tape.recording, create_graph
    for node in nodes:
        for parent, vjp in zip(node.parents, node.vjps):
            pulled = vjp(cotangents[node], node)
            known = cotangents.get(parent)
            cotangents[parent] = pulled if known is None else known + pulled
    Tape.recording = before
    return [cotangents[x] for x in inputs]


# %% [markdown]
# That is all of it. Cotangents live in a dictionary, so nothing has to be reset between two calls.
# With `create_graph=True` the vjps' own operations are recorded as well.
#
# Here it is at work on a graph with four operations. Two values are used twice: $a$ by $b$ and by
# $L$, and $b$ by both sides of the product $c = b b$.
#
# > **Predict, then run.** Follow the cotangent of $a$ in the film. How many contributions must have
# > arrived before it may be passed on to $x$ and $w$? In which order are the nodes taken?

# %%
x_leaf, w_leaf = Tensor(0.8), Tensor(1.5)
a_node = x_leaf * w_leaf
b_node = tanh(a_node)
c_node = b_node * b_node
loss_node = c_node + a_node
names = {x_leaf: "x", w_leaf: "w", a_node: "a", b_node: "b", c_node: "c", loss_node: "L"}
taken = [names[node] for node in backward_order(loss_node)]
print("taken in the order", *taken)
check.claim("L, c, b and only then a", taken[:4] == ["L", "c", "b", "a"])
into_a = sum(parent is a_node for node in names for parent in node.parents)
check.claim("contributions to the cotangent of a", into_a, "2")
b_there = np.tanh(0.8 * 1.5)
by_hand = (1 + 2 * b_there * (1 - b_there**2)) * 1.5  # dL/da, times da/dx
check.claim("dL/dx", abs(grad(loss_node, [x_leaf])[0].data - by_hand) < 1e-12)

# %% tags=["figure"]
spots = {"x": (0, 1), "w": (0, -1), "a": (1.2, 0), "b": (2.4, 0.9), "c": (3.6, 0.9), "L": (4.8, 0)}
wires = [("x", "a"), ("w", "a"), ("a", "b"), ("b", "c"), ("c", "L"), ("a", "L")]
formulas = {"a": "$a = x w$", "b": "$b = \\tanh a$", "c": "$c = b b$", "L": "$L = c + a$"}


def graph_frame(values, cotangents, active, colour, title):
    """The graph with the values and the cotangents known so far; the active wires in colour."""
    figure, ax = plt.subplots(figsize=(7, 2.9))
    for u, v in wires:
        lit = (u, v) in active
        ax.annotate(
            "",
            spots[v] if colour != "C1" else spots[u],
            spots[u] if colour != "C1" else spots[v],
            arrowprops={
                "arrowstyle": "-|>" if lit else "-",
                "lw": 2.5 if lit else 1,
                "color": colour if lit else "0.75",
                "shrinkA": 17,
                "shrinkB": 17,
            },
        )
    for name, (x, y) in spots.items():
        face = "#cfe3f1" if name in values else "white"
        ax.plot(x, y, "o", ms=27, mfc=face, mec="0.4", zorder=3)
        ax.text(x, y, values.get(name, name), ha="center", va="center", fontsize=9, zorder=4)
        ax.text(x, y + 0.52, formulas.get(name, f"${name}$"), ha="center", fontsize=9)
        if name in cotangents:
            ax.text(x, y - 0.62, cotangents[name], ha="center", color="#D55E00", fontsize=9)
    ax.set(xlim=(-0.6, 5.5), ylim=(-1.8, 1.9), title=title)
    ax.axis("off")
    figure.tight_layout()
    return figure


def film_frames():
    values, cotangents, sums = {}, {}, {loss_node: 1.0}
    for node in backward_order(loss_node)[::-1]:  # forward
        values[names[node]] = f"{float(node.data):.2f}"
        active = {(names[p], names[node]) for p in node.parents}
        yield graph_frame(dict(values), {}, active, "C0", f"forward: {names[node]} is computed")
    cotangents["L"] = "1.00"
    yield graph_frame(values, dict(cotangents), set(), "C1", "backward: the loss moves itself by 1")
    for node in backward_order(loss_node):
        for parent, vjp in zip(node.parents, node.vjps):
            pulled = float(vjp(Tensor(sums[node]), node).data)
            sums[parent] = sums.get(parent, 0.0) + pulled
            cotangents[names[parent]] = f"{sums[parent]:.2f}"
            title = f"backward: {names[node]} gives {pulled:.2f} to {names[parent]}"
            active = {(names[parent], names[node])}
            yield graph_frame(values, dict(cotangents), active, "C1", title)


figures.film(
    film_frames(),
    alt="A graph of six nodes. First values appear from the leaves x and w to the loss L, in blue; "
    "then cotangents, in vermillion, from the loss back to the leaves. Node a receives two "
    "contributions, 1.00 from L first and one from b later, and passes their sum on.",
    fps=1,
    pause=2,
)

# %% [markdown]
# *Blue: values, forward. Vermillion: cotangents, backward. Node $a$ gets its first contribution
# early, and waits.*
#
# Two contributions, and $a$ is taken after $b$, although it already had a number before. A test
# with arrays now: a program with broadcasting, a matrix product and a value used several times,
# against central differences.


# %%
def program(X, W, bias):
    hidden = tanh(X @ W + bias)  # used several times below
    return total(hidden * hidden) + total(exp(hidden * 0.5) / (hidden * hidden + 1.0))


arrays = [rng.normal(size=shape) for shape in [(5, 3), (3, 4), (4,)]]
leaves = [Tensor(a) for a in arrays]

# %%
found = [g.data for g in grad(program(*leaves), leaves)]


def replaced(i, a):
    return program(*[Tensor(a if j == i else b) for j, b in enumerate(arrays)]).data


measured = [numeric(lambda a, i=i: replaced(i, a), arrays[i]) for i in range(3)]
check.equal("2.12", flat(*found), flat(*measured), tol=1e-8)

# %% [markdown]
# Why not simply walk down from the loss and pass on whatever arrives? Unfold (2.12): a cotangent
# is the sum, over all paths from the loss down to $x$, of the product of the derivatives along the
# path.
#
# $$
# \frac{\partial L}{\partial x} = \sum_{\text{paths } L \to \dots \to x} \quad
# \prod_{\text{steps } y \to u} \frac{\partial y}{\partial u} \tag{2.13}
# $$
#
# True, and a fine definition. But there may be very many paths. Take $x_{k+1} = x_k \cdot x_k$:
# two ways down at every step, so $2^n$ paths through a graph of $n$ operations. The cell
# enumerates them all and compares.
#
# > **Predict, then run.** Nine squarings in a row. How many nodes does the walk along all paths
# > visit, and how many does the topological order have?

# %%
visits = 0


def along_paths(node, g, leaf):
    """The sum over all paths from `node` to `leaf`, one by one."""
    global visits
    visits += 1
    if node is leaf:
        return g.data
    return sum(along_paths(p, vjp(g, node), leaf) for p, vjp in zip(node.parents, node.vjps))


leaf = Tensor(0.99)
power_of_two = leaf
for _ in range(9):
    power_of_two = power_of_two * power_of_two
(by_order,) = grad(power_of_two, [leaf])
check.equal("2.13", by_order.data, along_paths(power_of_two, Tensor(1.0), leaf))
check.claim("the derivative of x^512 at 0.99", by_order.data, "3.012")
check.claim("visits by paths", visits, "1023")
check.claim("nodes in topological order", len(backward_order(power_of_two)), "10")

# %% [markdown]
# ## A bug from the wild: the tidied-up backward pass
#
# micrograd is Andrej Karpathy's scalar autograd that many people learn from. Its pull request 64
# (2024) proposed to drop the topological sort: let every node pass its gradient to its parents,
# then do the same for each parent. Issues 21, 68, 91 and 96 ask the same question. It sounds
# right, it passes on every program shaped like a tree, and it is wrong. Here it is in our own
# words: gradients are accumulated in the nodes, and a node passes on *what it has so far*.


# %%
def tidied_grad(output, leaf):
    so_far = {output: 1.0}

    def visit(node):
        for parent, vjp in zip(node.parents, node.vjps):
            pulled = float(vjp(Tensor(so_far[node]), node).data)
            so_far[parent] = so_far.get(parent, 0.0) + pulled
        for parent in node.parents:
            visit(parent)

    visit(output)
    return so_far[leaf]


a = Tensor(1.0)
tree = exp(a) * 3.0
check.claim("on a tree, 3 e^a: tidied", tidied_grad(tree, a), "8.155")
check.claim("on a tree, 3 e^a: true", grad(tree, [a])[0].data, "8.155")

b = a + a
c = b + b  # c = 4 a
check.claim("b = a + a: tidied", tidied_grad(b, a), "2")
check.claim("c = b + b: tidied", tidied_grad(c, a), "8")
check.claim("c = b + b: true", grad(c, [a])[0].data, "4")

shared = Tensor(1.0)
depths, wrong = range(1, 9), []
for depth in depths:
    y = shared
    for _ in range(depth):
        y = y + y
    wrong.append(tidied_grad(y, shared))
check.claim("eight doublings: tidied, for the true 256", wrong[-1], "170154496")

# %% tags=["figure"]
figure, ax = plt.subplots(figsize=(6, 2.6))
ax.semilogy(depths, wrong, "o-", label="tidied")
ax.semilogy(depths, [2.0**n for n in depths], "o--", label="true: $2^n$")
ax.set(xlabel="doublings $x + x$ in a row", ylabel="derivative")
ax.set_title("every reuse of an inner node counts it again")
ax.legend()
figure.tight_layout()
figures.show(
    figure,
    alt="The derivative of n doublings, on a logarithmic axis: the true one is a straight line; "
    "the tidied one climbs away from it, ever steeper.",
)

# %% [markdown]
# The thread's own counter-example is `b = a + a; c = b + b`: the answer is 4, and the tidied pass
# says 8, because `b` is visited twice and passes on its full gradient each time. After eight
# doublings it says 170154496 for 256. Reviewing the
# pull request, Karpathy named the condition: it fails where a value that is not a leaf is used
# again. In a neural network that is every skip connection. The check to keep is one line, and no
# tree-shaped test can replace it:

# %%
check.claim("a shared inner node passes its cotangent on once", grad(c, [a])[0].data == 4.0)

deep = Tensor(0.0)
for _ in range(50_000):
    deep = deep + 1e-5
check.claim("a chain of 50,000 additions: nodes, no recursion", len(backward_order(deep)), "100001")


# %% [markdown]
# ## 5. Softmax, and a test that sees nothing
#
# Classifiers, attention and mixtures all turn scores $x_i$ into probabilities
# $p_i = e^{x_i} / \sum_j e^{x_j}$, the **softmax**. The logarithm of its denominator is called
# $\mathrm{lse}(x) = \log \sum_j e^{x_j}$. Differentiate: the logarithm gives one over the sum, the
# sum gives $e^{x_i}$. So the gradient of log-sum-exp is the softmax:
#
# $$
# \frac{\partial}{\partial x_i} \log \sum_j e^{x_j} = \frac{e^{x_i}}{\sum_j e^{x_j}} = p_i
# \tag{2.14}
# $$
#
# On the left our tape, on the right the formula. Below them, a graph with a softmax inside, drawn
# by tinygen.


# %%
def lse(x):
    return log(total(exp(x)))


def softmax(x):
    return exp(x) / total(exp(x))


scores = rng.normal(size=5)
p = np.exp(scores) / np.exp(scores).sum()
leaf = Tensor(scores)
check.equal("2.14", grad(lse(leaf), [leaf])[0].data, p)

# %% tags=["figure"]
theirs = tg.tensor(scores, requires_grad=True)
picture = tg.plot.draw_graph((theirs.exp() / theirs.exp().sum()).log().sum(), params={"x": theirs})
picture.set_dpi(75)
figures.show(
    picture,
    alt="A computation graph: from the leaf x two branches of exp, one summed, meet in a division, "
    "followed by a logarithm and a sum.",
)

# %% [markdown]
# *The graph of $\sum_i \log p_i$. The leaf is used twice; so its cotangent is a sum of two.*
#
# Next, the softmax itself. From $\log p_i = x_i - \mathrm{lse}(x)$ we get
# $\partial \log p_i / \partial x_j = \delta_{ij} - p_j$, where $\delta_{ij}$ is 1 for $i = j$ and
# 0 otherwise. Multiply by $p_i$:
#
# $$
# \frac{\partial p_i}{\partial x_j} = p_i (\delta_{ij} - p_j) \tag{2.15}
# $$

# %%
rows = [grad(softmax(leaf), [leaf], g=Tensor(np.eye(5)[i]))[0].data for i in range(5)]
check.equal("2.15", rows, np.diag(p) - np.outer(p, p))

# %% [markdown]
# The Jacobian is symmetric, so its transpose acts in the same way. Multiply by $g$ and sum over
# $i$: the vjp is cheap, no matrix needed.
#
# $$
# J^\top g = p \odot \left( g - \langle g, p \rangle \right) \tag{2.16}
# $$
#
# Here $\odot$ multiplies entry by entry. In words: take from $g$ its mean under $p$, then weight
# with $p$.

# %%
g = rng.normal(size=5)
check.equal("2.16", grad(softmax(leaf), [leaf], g=Tensor(g))[0].data, p * (g - g @ p))

# %% [markdown]
# Put $g = (1, \dots, 1)$ into (2.16). The mean of ones is one, and the result is **zero**,
# whatever $x$ is. Of course: the probabilities sum to one, and the sum does not move. But this
# means that the handiest way to test a gradient, `softmax(x).sum().backward()`, tests nothing.
#
# > **Predict, then run.** Here are four wrong vjps and the right one. How many pass a test with a
# > cotangent of ones? How many a test with a random one?

# %%
candidates = {
    "right:            p (g - <g, p>)": lambda g: p * (g - g @ p),
    "forgot p:             g - <g, p>": lambda g: g - g @ p,
    "plain mean:       p (g - mean g)": lambda g: p * (g - g.mean()),
    "wrong power:    p^2 (g - <g, p>)": lambda g: p * p * (g - g @ p),
    "not written yet:               0": lambda g: 0 * g,
}
random = rng.normal(size=5)
passed = np.zeros((5, 2), dtype=bool)
for row, (name, vjp) in enumerate(candidates.items()):
    for column, cotangent in enumerate((np.ones(5), random)):
        truth = numeric(lambda x, g=cotangent: g @ np.exp(x) / np.exp(x).sum(), scores)
        passed[row, column] = np.allclose(vjp(cotangent), truth, rtol=0, atol=1e-8)
    verdicts = ["passes" if good else "FAILS " for good in passed[row]]
    print(f"{name}   ones: {verdicts[0]}   random: {verdicts[1]}")
check.claim("with ones all five pass", passed[:, 0])
check.claim("with a random cotangent the right one alone", passed[:, 1] == (np.arange(5) == 0))

# %% [markdown]
# Everything that normalises its input (softmax, batch norm, layer norm) hides behind ones in this
# way. **Test a gradient with a random cotangent.** tinygen's `check_grads` does so; it takes a
# random direction as well, and repeats the test on the gradient.
#
# Why is softmax so often paired with the logarithm? If the true class is $k$, the loss is
# $-\log p_k = \mathrm{lse}(x) - x_k$. By (2.14) its gradient is the probability minus the truth,
# with $e_k$ for the vector that is 1 at $k$ and 0 elsewhere:
#
# $$
# \nabla_x \left( -\log p_k \right) = p - e_k \tag{2.17}
# $$
#
# Each entry lies between $-1$ and 1, and all go to zero only as the answer becomes right and sure.
#
# > **Predict, then run.** Five scores, all 0, and the true class is number 3. What are the five
# > entries of the gradient?

# %%
k = 3
surprise = log(softmax(leaf)) * Tensor(-np.eye(5)[k])
check.equal("2.17", grad(total(surprise), [leaf])[0].data, p - np.eye(5)[k])
even = Tensor(np.zeros(5))
(pull,) = grad(total(log(softmax(even)) * Tensor(-np.eye(5)[k])), [even])
check.claim(
    "0.2 four times, -0.8 at the truth", abs(pull.data - [0.2, 0.2, 0.2, -0.8, 0.2]) < 1e-12
)

# %% [markdown]
# ## 6. Derivatives of derivatives
#
# Our vjps are made of Tensor operations. So with `create_graph=True` a gradient is the end of a
# graph like any other value, and `grad` applies to it. The opening picture was made in this way.
# What is it good for? Two later lessons put a gradient *inside* the loss (gradient penalties for
# GANs; score functions). And the second derivatives of a loss, its **Hessian** matrix $H$ of
# $\partial^2 L / \partial x_i \partial x_j$, tell how sharply it curves.
#
# The Hessian of a million parameters is too large to store. But we rarely want more than what it
# does to one vector. Since $v$ is a constant, $\langle \nabla L, v \rangle$ is one number, and one
# more backward pass gives
#
# $$
# H v = \nabla_x \langle \nabla_x L, v \rangle \tag{2.18}
# $$
#
# The right side is two calls of `grad`. The left side is a full Hessian by finite differences.
#
# > **Predict, then run.** $L = \sum_i x_i^3$. What is $H v$, without building $H$?


# %%
def crooked(x):
    return lse(x * x) + total(tanh(x) * x)


x6, v6 = Tensor(rng.normal(size=6)), rng.normal(size=6)


# %%
def hvp(loss, x, v):
    (slope,) = grad(loss(x), [x], create_graph=True)
    return grad(total(slope * v), [x])[0].data


def slope_along(x, i):
    leaf = Tensor(x)
    return grad(crooked(leaf), [leaf])[0].data[i]


hessian = np.array([numeric(lambda x, i=i: slope_along(x, i), x6.data) for i in range(6)])
check.equal("2.18", hessian @ v6, hvp(crooked, x6, Tensor(v6)), tol=1e-7)

cubes = hvp(lambda x: total(power(x, 3)), x6, Tensor(v6))
check.claim("of a sum of cubes: 6 x v, entry by entry", abs(cubes - 6 * x6.data * v6) < 1e-12)

# %% [markdown]
# Back to log-sum-exp for a Hessian that one can see through. Its gradient is $p$, so its Hessian
# is the Jacobian (2.15). Sandwich it between two copies of $v$:
# $\sum_i p_i v_i^2 - (\sum_i p_i v_i)^2$. That is a variance!
#
# $$
# \langle v, H v \rangle = \mathrm{Var}_{i \sim p}(v_i) \quad \text{for } L = \mathrm{lse}
# \tag{2.19}
# $$
#
# A variance is never negative, so log-sum-exp curves upwards in every direction: it is convex. The
# cell compares two backward passes with a million draws of $i$.
#
# > **Predict, then run.** In one direction it does not curve at all. Which?

# %%
v5 = rng.normal(size=5)
curvature = v5 @ hvp(lse, leaf, Tensor(v5))
drawn = v5[rng.choice(5, size=1_000_000, p=p)]
check.mean("2.19", (drawn - v5 @ p) ** 2, curvature)
check.claim("along (1, ..., 1) it is straight", abs(hvp(lse, leaf, Tensor(np.ones(5)))) < 1e-12)
check.claim("along the first axis it is not", hvp(lse, leaf, Tensor(np.eye(5)[0]))[0] > 0.01)

# %% [markdown]
# Along $(1, \dots, 1)$: adding the same number to all scores adds it to the result.

# %% [markdown]
# ## A bug from the wild: half a second derivative
#
# Batch normalisation takes from each feature its mean over the batch and divides by its standard
# deviation: $\hat x = (x - m) / s$ for a column $x$ of $n$ numbers, where $m$ is its mean and
# $s^2$ the mean of $(x - m)^2$. Move $x$ by $dx$. The mean moves by the mean of $dx$, and $s$ by
# the mean of $\hat x \thinspace dx$. Shift it all over to $g$ (every step is linear) and
#
# $$
# J^\top g = \frac{1}{s} \left( g - \mathrm{mean}(g)
# - \hat x \thinspace \mathrm{mean}(g \hat x) \right)
# \tag{2.20}
# $$
#
# The cell compares with our tape, run through the definition of $\hat x$.

# %%
n = 8
column, g8 = rng.normal(size=n), rng.normal(size=n)


def normalised(x):
    centred = x - total(x) * (1 / n)
    return centred * power(total(centred * centred) * (1 / n), -0.5)


s = column.std()
x_hat = (column - column.mean()) / s
by_formula = (g8 - g8.mean() - x_hat * (g8 * x_hat).mean()) / s
leaf = Tensor(column)
check.claim("the tape's x hat", abs(normalised(leaf).data - x_hat) < 1e-12)
check.equal("2.20", grad(normalised(leaf), [leaf], g=Tensor(g8))[0].data, by_formula)

# %% [markdown]
# DeZero, the teaching framework of a well-known book, has exactly this formula in
# `BatchNorm.backward` (file `dezero/functions.py`). $x$ and $g$ are its recorded variables, so
# create-a-graph seems to be taken care of. But $1/s$ was saved in the forward pass as a bare
# array. To the second derivative it is a constant, and it is not one:
#
# $$
# \frac{\partial}{\partial x_j} \frac{1}{s} = -\frac{\hat x_j}{n s^2} \tag{2.21}
# $$

# %%
check.equal("2.21", numeric(lambda x: 1 / x.std(), column), -x_hat / (n * s**2), tol=1e-8)

# %% [markdown]
# Reproduce it: one batch norm whose vjp says (2.20) in Tensor operations throughout, and one whose
# vjp has the saved number. First derivatives agree to the last digit. Second derivatives do not.
#
# > **Predict, then run.** By how much is the second derivative off: one percent, ten, more?


# %%
def batch_norm(x, saved_constant):
    inverse = 1 / x.data.std()

    def vjp(g, y):
        centred = x - total(x) * (1 / n)
        one_over_s = power(total(centred * centred) * (1 / n), -0.5)
        if saved_constant:
            one_over_s = Tensor(inverse)  # the same number, cut off from x
        x_hat = centred * one_over_s
        return (g - total(g) * (1 / n) - x_hat * (total(g * x_hat) * (1 / n))) * one_over_s

    return Tensor((x.data - x.data.mean()) * inverse, (x,), (vjp,), "batch_norm")


def penalty(leaf, saved_constant):
    """A gradient penalty: the squared length of the gradient of a loss."""
    loss = total(tanh(batch_norm(leaf, saved_constant)) * Tensor(g8))
    (slope,) = grad(loss, [leaf], create_graph=True)
    return slope, total(slope * slope)


firsts, seconds = [], []
for saved_constant in (False, True):
    slope, size = penalty(leaf, saved_constant)
    firsts.append(slope.data)
    seconds.append(grad(size, [leaf])[0].data)
truth = numeric(lambda x: penalty(Tensor(x), False)[1].data, column)
by_steps = numeric(lambda x: total(tanh(normalised(Tensor(x))) * Tensor(g8)).data, column)


def relative(a, b):
    return np.linalg.norm(a - b) / np.linalg.norm(b)


check.claim("first derivative, Tensor vjp: right", relative(firsts[0], by_steps) < 1e-7)
check.claim("first derivative, saved constant: the same", relative(firsts[1], firsts[0]) < 1e-12)
check.claim("second derivative, Tensor vjp: right", relative(seconds[0], truth) < 1e-7)
check.claim("second derivative, saved constant: off by", relative(seconds[1], truth), "0.64")

# %% tags=["figure"]
figure, ax = plt.subplots(figsize=(7, 2.6))
places = np.arange(n)
ax.bar(places - 0.27, truth, 0.26, label="finite differences")
ax.bar(places, seconds[0], 0.26, label="vjp in Tensors")
ax.bar(places + 0.27, seconds[1], 0.26, label="vjp with a saved array")
ax.set(xlabel="entry of $x$", ylabel="slope of the penalty")
ax.set_title("the same first derivative, another second one")
ax.legend()
figure.tight_layout()
figures.show(
    figure,
    alt="Three bars for each of eight entries: finite differences and the vjp in Tensors agree; "
    "the vjp with a saved array has other heights, some of the other sign.",
)

# %% [markdown]
# Off by 0.64 of its length. No test of first derivatives can see this, and nothing crashes: a
# gradient penalty would train on a wrong gradient. (An error is better. PyTorch's issue 4422 of
# 2018 is one: batch norm in a WGAN-GP stopped with "the derivative for 'cudnn_batch_norm_backward
# save_mean' is not implemented".) The check to keep: **test the gradient of the gradient**, with
# the same random cotangents. In tinygen both are one call, and every operation has to pass it:

# %%
from tinygen.testing import check_grads

check_grads(lambda x: (x - x.mean()) / x.std(correction=0), tg.randn(8), order=2)
print("tinygen's operations: first and second order agree with finite differences")

# %% [markdown]
# ## 7. It trains
#
# What we have built is enough to train a network. Let us use the new power at once. The data are
# six points of $\sin 2x$. One network sees the values; the other sees the values **and the
# slopes** at the same points, so that its loss contains the derivative of the network with respect
# to its input (Czarnecki and others, 2017, call it Sobolev training). Its gradient with respect to
# the weights is a second derivative.
#
# > **Predict, then run.** Both come close to the six points. Between the points, by how much is
# > each off on average?

# %%
points = np.linspace(-2.4, 2.4, 6)[:, None]
values, slopes_there = np.sin(2 * points), 2 * np.cos(2 * points)


def start(seed):
    rng = np.random.default_rng(seed)
    shapes = [(1, 24), (24,), (24, 1), (1,)]
    scale = [1.5, 1.0, 0.2, 0.0]
    return [s * rng.normal(size=shape) for s, shape in zip(scale, shapes)]


def network(x, W1, b1, W2, b2):
    return tanh(x @ W1 + b1) @ W2 + b2


def loss_of(params, with_slopes):
    x = Tensor(points)
    y = network(x, *params)
    loss = total(power(y - values, 2)) * (1 / 6)
    if with_slopes:
        # Each y depends on its own x alone, so the slope of the sum is every point's slope.
        (dydx,) = grad(total(y), [x], create_graph=True)
        loss = loss + total(power(dydx - slopes_there, 2)) * (1 / 6)
    return loss


fits, curves = [], []
for with_slopes in (False, True):
    arrays, velocity, losses = start(0), [0.0, 0.0, 0.0, 0.0], []
    for _ in range(1500):
        params = [Tensor(a) for a in arrays]
        loss = loss_of(params, with_slopes)
        losses.append(float(loss.data))
        for i, g in enumerate(grad(loss, params)):
            velocity[i] = 0.9 * velocity[i] + g.data
            arrays[i] = arrays[i] - 0.004 * velocity[i]
    fits.append(arrays)
    curves.append(losses)

dense = np.linspace(-2.4, 2.4, 300)[:, None]
between = [network(Tensor(dense), *[Tensor(a) for a in arrays]).data for arrays in fits]
off = [np.sqrt(((fit - np.sin(2 * dense)) ** 2).mean()) for fit in between]
check.claim("loss at the start, values only", curves[0][0], "1.498")
check.claim("loss at the start, values and slopes", curves[1][0], "4.247")
check.claim("values only: off by, on average", off[0], 0.16, tol=0.1)
check.claim("values and slopes: off by, on average", off[1], 0.05, tol=0.1)

# %% tags=["figure"]
figure, axes = plt.subplots(1, 2, figsize=(9, 3))
axes[0].plot(dense, np.sin(2 * dense), color="0.7", lw=4, ls="-", label="$\\sin 2x$")
for fit, name, colour, dashes in zip(
    between, ("values only", "values and slopes"), ("C1", "C0"), ("--", "-")
):
    axes[0].plot(dense, fit, color=colour, ls=dashes, label=name)
axes[0].plot(points, values, "ko", ms=4)
axes[0].set(xlabel="$x$", ylabel="$y$", ylim=(-2, 2.6))
axes[0].set_title("six points, with and without their slopes")
axes[0].legend(ncols=3, loc="upper center")
for losses, name, colour, dashes in zip(
    curves, ("values only", "values and slopes"), ("C1", "C0"), ("--", "-")
):
    axes[1].semilogy(losses, color=colour, ls=dashes, label=name)
axes[1].legend()
axes[1].set(title="loss while training", xlabel="step", ylabel="loss")
figure.tight_layout()
figures.show(
    figure,
    alt="Left: a sine, six points on it, and two fits through all of them; the one that knows the "
    "slopes follows the sine, the other one cuts its waves. Right: both losses fall.",
)

# %% [markdown]
# *The network that was told the values only meets every point, and goes astray between them. The
# one that knows the slopes is still settling at the right end, and knows what to do between.* It is
# off by 0.05 on average, the other one by 0.16, three times as much.
#
# What did it cost? Count multiplications in matrix products. Forward, `A @ B` costs some number.
# Backward, (2.9) is two products of the same size. So
#
# $$
# \text{multiplications backward} = 2 \times \text{multiplications forward} \tag{2.22}
# $$
#
# and a loss with its gradient costs three losses, whether there are a hundred parameters or a
# hundred million. (That a gradient never costs more than a small multiple of the function is a
# theorem: Baur and Strassen, 1983.) The cell counts in a deeper network.
#
# > **Predict, then run.** This network has 3,780 parameters. How many of its forward passes would
# > central differences take for one gradient, and how many does (2.22) say?


# %%
class Counted(np.ndarray):
    """An array that counts the multiplications of its matrix products."""

    multiplications = 0

    def __matmul__(self, other):
        Counted.multiplications += self.shape[0] * self.shape[1] * other.shape[1]
        return np.asarray(self) @ np.asarray(other)


def counted_matmul(a, b):
    vjps = (lambda g, y: counted_matmul(g, transpose(b)),
            lambda g, y: counted_matmul(transpose(a), g))  # fmt: skip
    return Tensor(a.data.view(Counted) @ b.data, (a, b), vjps, "matmul")


# %%
value = first = Tensor(rng.normal(size=(16, 30)))
layers = [Tensor(rng.normal(size=shape) / 6) for shape in [(30, 50), (50, 40), (40, 7)]]
for W in layers:
    value = tanh(counted_matmul(value, W))
loss = total(value)
ahead = Counted.multiplications
grad(loss, [first, *layers])
back = Counted.multiplications - ahead
check.equal("2.22", back, 2 * ahead)
numbers = sum(W.data.size for W in layers)
check.claim("multiplications forward", ahead, "60480")
check.claim("parameters", numbers, "3780")
check.claim("forward passes by central differences", 2 * numbers, "7560")
check.claim("by the tape, counted in forward passes", (ahead + back) / ahead, "3")

# %% [markdown]
# 7560 against 3.
#
# ## 8. Let a program look for your mistake
#
# You have written an operation. Which shapes do you try? The ones you thought of while writing it,
# and your mistake is in those you did not think of. **Property testing** turns it round: you say
# what must hold for *every* input, and a program (here the library `hypothesis`) draws inputs until
# it finds one that breaks it. Then it makes that input smaller and smaller, and shows you the
# smallest one that still breaks it.
#
# For an operation we know what must hold for every input, cotangent and direction: equation (2.7).
# Here is a learner's mean over the last dimension. It passes the three tests that its author wrote.


# %%
def mean_last(x):
    vjp = lambda g, y: broadcast_to(g, x.shape) * (1 / x.shape[0])
    return Tensor(x.data.mean(-1, keepdims=True), (x,), (vjp,), "mean_last")


# %%
def both_sides(op, x, rng):
    """(2.7) at x, for a random g and v: <g, J v> by a step, <J^T g, v> by the tape."""
    leaf, v = Tensor(x), rng.normal(size=x.shape)
    y = op(leaf)
    g = rng.normal(size=y.shape)
    moved = (op(Tensor(x + 1e-5 * v)).data - op(Tensor(x - 1e-5 * v)).data) / 2e-5
    return (g * moved).sum(), (grad(y, [leaf], g=Tensor(g))[0].data * v).sum()


for x in (np.ones((3, 3)), np.arange(4.0).reshape(2, 2), np.array([[5.0]])):
    left, right = both_sides(mean_last, x, rng)
    check.claim(f"its author's test, shape {x.shape}: passes", abs(left - right) < 1e-8)

# %% [markdown]
# > **Predict, then run.** What is wrong? Which is the smallest matrix that shows it? (`hypothesis`
# > will report that one, whatever it found first.)

# %%
from hypothesis import given, settings
from hypothesis import strategies as st

tried = []
steady = settings(derandomize=True, database=None, deadline=None, max_examples=100)


def adjoint_holds(op):
    """A test of (2.7) for op, on matrices of any shape up to 4 x 4."""

    @steady
    @given(st.tuples(st.integers(1, 4), st.integers(1, 4)), st.integers(0, 1000))
    def test(shape, seed):
        tried.append(shape)
        rng = np.random.default_rng(seed)
        left, right = both_sides(op, rng.normal(size=shape), rng)
        assert abs(left - right) < 1e-7, f"{left:.3f} and {right:.3f}"

    return test


try:
    adjoint_holds(mean_last)()
except AssertionError as error:
    print("refuted:", str(error).splitlines()[0])
check.claim("the last one tried, after shrinking: one row, two columns", tried[-1] == (1, 2))

# %% [markdown]
# A mean over $n$ numbers divides by $n$, the length of the **last** dimension, and `x.shape[0]` is
# the first one. For square matrices they are the same. The repair is one character, and the test
# stays:


# %%
def mean_last_repaired(x):
    vjp = lambda g, y: broadcast_to(g, x.shape) * (1 / x.shape[-1])
    return Tensor(x.data.mean(-1, keepdims=True), (x,), (vjp,), "mean_last")


tried.clear()
adjoint_holds(mean_last_repaired)()
check.claim("shapes tried, and none refutes it", len(tried), "100")
check.claim("among them, not square: many", len([s for s in tried if s[0] != s[1]]) > 50)

# %% [markdown]
# For your own operation in tinygen there is less to write: `tinygen.testing` brings the strategies,
# and `check_grads` is (2.7) and the same once more for the gradient. Write `swish` (Ramachandran
# and others, 2017), $x \sigma(x)$, as an operation with its derivative by hand. We leave a sign
# wrong on purpose.
#
# > **Predict, then run.** Its derivative is $\sigma + x \sigma (1 - \sigma)$. With a minus for the
# > plus there is one $x$ at which nobody could tell. Which? Will a random search ever stop there?

# %%
from tinygen import testing
from tinygen.ops.op import elementwise


@elementwise
def swish(x):
    return x / (1 + np.exp(-x))


@elementwise
def swish_with_minus(x):
    return x / (1 + np.exp(-x))


def slope_of_swish(x, sign):
    s = tg.sigmoid(x)
    return s + sign * x * s * (1 - s)


swish.vjp(lambda g, x: g * slope_of_swish(x, 1))
swish_with_minus.vjp(lambda g, x: g * slope_of_swish(x, -1))


# %%
def gradients_hold(op):
    @steady
    @given(testing.tensors(max_dims=3, min_side=1, max_side=3))
    def test(x):
        testing.check_grads(op, x, order=2)

    return test


def refuted(op):
    try:
        gradients_hold(op)()
    except testing.GradientError:
        return True
    return False


for op in (swish_with_minus, swish):
    zero = tg.tensor(0.0, dtype=tg.float64, requires_grad=True)
    check.claim("slope at 0", tg.autograd.grad(op(zero), [zero])[0].item(), "0.5")
check.claim("with the minus: refuted", refuted(swish_with_minus) is True)
check.claim("with the plus: nothing found", refuted(swish) is False)

# %% [markdown]
# At 0 both slopes are $\sigma(0) = 1/2$. A test at 0, where so many tests begin, sees nothing; a
# random one has no such favourite place.
#
# ## The same in tinygen
#
# tinygen's engine is this one, with the same rule (a vjp speaks Tensor) and the same pair
# `broadcast_to` and `sum_to`. It differs in what makes it fast and safe: it keeps of each
# operation only what the vjps ask for, frees it on the way back, skips what needs no gradient, and
# notices when an array was changed in place. The same second-order training step, both ways:

# %%
theirs = [tg.tensor(a, requires_grad=True) for a in start(0)]
x = tg.tensor(points, requires_grad=True)
y = tg.tanh(x @ theirs[0] + theirs[1]) @ theirs[2] + theirs[3]
(dydx,) = tg.autograd.grad(y.sum(), [x], create_graph=True)
loss = ((y - tg.tensor(values)) ** 2).mean() + ((dydx - tg.tensor(slopes_there)) ** 2).mean()
loss.backward()

ours = [Tensor(a) for a in start(0)]
our_grads = grad(loss_of(ours, with_slopes=True), ours)
for name, a, b in zip(("W1", "b1", "W2", "b2"), our_grads, theirs):
    check.claim(f"{name}: agree to 12 digits", relative(a.data, b.grad.numpy()) < 1e-12)

# %% [markdown]
# ## Fix the slide: which gradient?
#
# The lecture notes, on making a critic 1-Lipschitz:
#
# > That means that maximum gradient has to be 1 [...] what if just clip the gradient
# >
# > If the gradient is larger than 1, just clip the value to be 1.
# >
# > `tf.clip_by_value(grads, -1, 1)`
#
# After this lesson we ask: the gradient of what, with respect to what? "1-Lipschitz" is about
# $\partial f / \partial x$, the slope of the critic along its **input**. What an optimizer holds
# in `grads` is $\partial L / \partial \theta$, the slope of the loss along the **parameters**.
# Clipping the second bounds how fast the parameters move, not where they go. (Clipping a computed
# slope along $x$ would not do either: it changes the number in hand, not the critic.) Watch: a
# small critic that is to be large on one set of points and small on another, trained with the
# notes' line.
#
# > **Predict, then run.** 400 such steps with a rate of 0.05. Will the slope along $x$ settle near
# > 1, near 10, or not at all?

# %%
real, fake = np.full((8, 1), 0.3), np.full((8, 1), -0.3)
rng2 = np.random.default_rng(5)
arrays = [0.3 * rng2.normal(size=s) for s in [(1, 8), (8,), (8, 1), (1,)]]
where = Tensor(np.linspace(-1, 1, 201)[:, None])
along, sizes = [], []
for step in range(401):
    params = [Tensor(a) for a in arrays]
    if step % 100 == 0:
        (along_x,) = grad(total(network(where, *params)), [where])
        along.append(abs(along_x.data).max())
        print(f"step {step:3}   largest slope along x {along[-1]:7.2f}")
    gap = total(network(Tensor(fake), *params)) - total(network(Tensor(real), *params))
    grads = [np.clip(g.data, -1, 1) for g in grad(gap * (1 / 8), params)]  # the notes' line
    sizes.append(np.concatenate([abs(g).ravel() for g in grads]))
    arrays = [a - 0.05 * g for a, g in zip(arrays, grads)]
check.claim("E2: the largest parameter gradient, clipped", np.max(sizes), "1")
check.claim("E2: slope along x at the start", along[0], 0.10, tol=0.05)
check.claim("E2: slope along x after 400 steps", along[-1], 1143, tol=0.05)
check.claim("E2: it grows from print to print", np.diff(along) > 0)

# %% [markdown]
# Every parameter gradient was within $[-1, 1]$ at every step, and the slope that was to stay at
# most 1 has passed 1100 and grows. The original WGAN clips the *weights*, and WGAN-GP penalises how
# far the length of $\partial f / \partial x$ is from 1, with the second-order machinery of section
# 6. Lessons 13 and 14 do so.
#
# ## Fix the slide: half a loss, half a learning rate
#
# The lecture notes in another place, on the factor 1/2 in front of a loss:
#
# > You can leave out the 1/2, you can simply multiply by the learning rate by 1/2 and then you end
# > with the same result.
#
# A gradient is linear in the loss, so twice the loss has twice the gradient. For a plain gradient
# step, that is indeed undone by half the learning rate. But the optimizers that GANs are trained
# with divide the gradient by a running estimate of its size. Adam's step does not change at all
# when the loss is doubled (up to a tiny constant in its denominator), so half the learning rate
# makes half the step: not the same result.
#
# > **Predict, then run.** After 50 steps from $w = 2$ down $w^4$ with Adam: which two of the three
# > runs (half the loss; the whole loss at half the rate; the whole loss at the same rate) agree?


# %%
def train(optimizer, factor, lr):
    w = tg.nn.Parameter(tg.tensor([2.0, -1.0], dtype=tg.float64))
    make = {"SGD": tg.optim.SGD, "Adam": tg.optim.Adam}[optimizer]
    opt = make([w], lr=lr)
    for _ in range(50):
        opt.zero_grad()
        (factor * (w**4).sum()).backward()
        opt.step()
    return w.detach().numpy()


for name, said in {"SGD": ("0.657", "0.657", "0.475"), "Adam": ("1.548", "1.762", "1.548")}.items():
    runs = train(name, 0.5, 0.01), train(name, 1.0, 0.01 / 2), train(name, 1.0, 0.01)
    for run, w, digits in zip(("half loss", "half rate", "same rate"), runs, said):
        check.claim(f"E42: {name}, {run}", w[0], digits)

# %% [markdown]
# With SGD the first two, as the notes say (0.657; the third 0.475). With Adam the first and the
# third (1.548), and half the rate is behind at 1.762.

# %% [markdown]
# ## Exercises
#
# Write the function, run the cell, read the hint. `check.exercise` tests properties of your answer
# on random inputs, so any right route will do. NumPy is all you need, except in 2.5.
#
# ### Exercise 2.1
#
# A layer is $Y = \tanh(X W + b)$ with $X$ of shape (n, i), $W$ (i, o) and $b$ (o,). Write
# `layer_vjp(G, X, W, b)` that takes the cotangent $G$ of $Y$ and returns the three cotangents
# $(G_X, G_W, G_b)$ as arrays. Go link by link: tanh, plus, product.


# %%
def layer_vjp(G, X, W, b): ...


check.exercise("2.1", layer_vjp)

# %% [markdown]
# ### Exercise 2.2
#
# `np.cumsum` turns $x$ into its running sums: $y_i = x_1 + \dots + x_i$. Write `cumsum_vjp(g)` for
# vectors. Use (2.7): which entries of $y$ does $x_j$ meet?


# %%
def cumsum_vjp(g): ...


check.exercise("2.2", cumsum_vjp)

# %% [markdown]
# ### Exercise 2.3
#
# `order_by_name(parents, output)`: a graph is given as a dictionary from each node's name to the
# list of its parents' names (a leaf has an empty list; a name may stand twice in a list). Return
# the list of all nodes that `output` was made from, `output` first, each once, every node before
# all its parents. A chain of 100,000 nodes must work.


# %%
def order_by_name(parents, output): ...


check.exercise("2.3", order_by_name)

# %% [markdown]
# ### Exercise 2.4
#
# The inverse of a square matrix, $Y = A^{-1}$. Write `inverse_vjp(G, A)`, the cotangent of $A$.
# Start from $A Y = I$: how does $Y$ have to move when $A$ moves by $dA$? Then use the trace.


# %%
def inverse_vjp(G, A): ...


check.exercise("2.4", inverse_vjp)

# %% [markdown]
# ### Exercise 2.5
#
# With tinygen: `curvature(f, x, v)` returns $\langle v, H v \rangle$, where $H$ is the Hessian of
# the scalar function `f` at `x` (both `x` and `v` are tinygen tensors of one shape, and `x`
# requires a gradient). You need `tg.autograd.grad` twice. Do not build $H$: `f` may be called once
# only.


# %%
def curvature(f, x, v): ...


check.exercise("2.5", curvature)

# %% [markdown]
# ## What you can say now
#
# - A measured slope has a best step, near $10^{-5}$, and about ten digits; it is for checking, not
#   for training.
# - A derivative of a program is a product of Jacobians, and multiplied from the loss backwards it
#   never needs more than a vector at a time.
# - The backward rule of an operation is the adjoint of how it moves: write
#   $\langle g, dy \rangle$ and shift everything off $dx$. The adjoint of repeating is summing, and
#   of summing, repeating.
# - Cotangents of a shared value add up, and the sum must be complete before it is passed on: that
#   is what the topological order is for.
# - A cotangent of ones tests nothing that normalises; a random one does.
# - If vjps speak Tensor, gradients can be differentiated again, and a Hessian times a vector costs
#   two backward passes. A loss with its whole gradient costs about three times the loss.
# - What must hold for every input can be tested on inputs that a program draws, and it shows you
#   the smallest that breaks it.
#
# ## The full-size run
#
# There is no long training to this lesson: the full-size version of it is the library. In reading
# order, `tinygen/tape.py`, `tensor.py`, `autograd.py` and `ops/op.py` are this lesson with memory
# and speed taken care of. `python -m pytest -q tests/engine/test_registry.py` checks the first and
# the second derivative of every operation there is, with random cotangents, and
# `python benchmarks/speed/overhead.py` measures what an operation costs beside PyTorch. The results
# are in `benchmarks/results/speed/cpu-overhead.json`: on the machine of record 1.3 to 1.6 times as
# much, in the geometric mean over all operations.

# %%
import json
from pathlib import Path

results = Path("../benchmarks/results/speed/cpu-overhead.json")
if results.is_file():  # it comes with the repository, not with an installed package
    ops = json.loads(results.read_text(encoding="utf-8"))["table"].values()
    for kind, said in (("no grad", "1.3"), ("recorded", "1.6"), ("backward", "1.3")):
        ratios = np.array([op[kind]["ratio"] for op in ops])
        check.claim(f"times PyTorch, {kind}", np.exp(np.log(ratios).mean()), said)

# %% [markdown]
#
# ## Further reading
#
# - S. Linnainmaa, *Taylor expansion of the accumulated rounding error*, 1976: reverse mode.
# - D. Rumelhart, G. Hinton, R. Williams, *Learning representations by back-propagating errors*,
#   1986.
# - W. Baur, V. Strassen, *The complexity of partial derivatives*, 1983: the cheap gradient.
# - B. Pearlmutter, *Fast exact multiplication by the Hessian*, 1994.
# - A. Griewank, A. Walther, *Evaluating Derivatives*, 2nd edition, 2008: the book.
# - D. Maclaurin, D. Duvenaud, R. Adams, *Autograd: effortless gradients in NumPy*, 2015.
# - W. Czarnecki and others, *Sobolev training for neural networks*, 2017.
# - D. MacIver, Z. Hatfield-Dodds, *Hypothesis: a new approach to property-based testing*, 2019.
# - P. Ramachandran, B. Zoph, Q. Le, *Searching for activation functions*, 2017: swish.
