# %% [markdown]
# # Lesson 3: Convolution, its transpose, and a CUDA kernel
#
# > **Question.** Which linear map is a convolution, what is its transpose good for, and how do ten
# > thousand threads compute it at once without stepping on each other's numbers?
#
# At the end you can write a convolution down as a matrix and read off its transpose, its output
# sizes and its gradients. You know why all its derivatives, of any order, are three functions. And
# you have met a CUDA kernel, run it, broken it in five ways, seen each break reported by line
# number, repaired it, and written one of your own. No GPU is needed: the kernels run in tinygen's
# emulator.
#
# - **You need:** lesson 2 (a vjp is the transpose; a random cotangent tests it), NumPy's indexing.
#   Sections 4 and 5 read C, and need a C++ compiler if they are to run.
# - **Time:** two hours, half of them for sections 4 and 5. The cells run in half a minute.
# - **You may skip:** sections 4 and 5 if you will never write a kernel; the end of section 2 (from
#   "fractionally-strided" on) if you will never look at one.

# %%
import tempfile
import textwrap
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import tinygen as tg
from tinygen.conv import conv2d_weight
from tinygen.lessons import check, figures
from tinygen.nn import functional as F

figures.style()
rng = np.random.default_rng(3)


def matrix(w, H, W, s=1, p=0, d=1):
    """The matrix of a convolution: rows are output pixels, columns are input pixels."""
    KH, KW = w.shape
    OH, OW = ((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k in ((H, KH), (W, KW)))
    A = np.zeros((OH, OW, H, W))
    for i, j, a, b in np.ndindex(OH, OW, KH, KW):
        row, column = s * i + d * a - p, s * j + d * b - p
        if 0 <= row < H and 0 <= column < W:
            A[i, j, row, column] = w[a, b]
    return A.reshape(OH * OW, H * W)


# %% tags=["figure"]
nine = np.arange(1.0, 10.0).reshape(3, 3)  # nine different weights, to tell them apart
pictures = {
    "the kernel $w$": nine,
    "stride 1: $A$ is 16 x 36": matrix(nine, 6, 6),
    "stride 2, padding 1: $A$ is 9 x 36": matrix(nine, 6, 6, s=2, p=1),
}
figure, axes = plt.subplots(1, 3, figsize=(9.5, 2.6), width_ratios=(1, 4, 4))
for ax, (title, picture) in zip(axes, pictures.items(), strict=True):
    shown = np.where(picture == 0, np.nan, picture)
    ax.imshow(shown, cmap="viridis", vmin=1, vmax=9)
    ax.set(title=title, xticks=[], yticks=[])
axes[0].set(xlabel="column", ylabel="row")
axes[1].set(xlabel="input pixels", ylabel="output pixels")
axes[2].set(xlabel="input pixels")
figure.tight_layout()
figures.show(
    figure,
    alt="A kernel of nine coloured squares, and two large matrices that are white but for slanted "
    "stripes in the same nine colours: three short stripes in each row, moving to the right.",
)

# %% [markdown]
# *A convolution is a matrix, almost all of it zero (white), with the same nine numbers in every
# row. Its transpose is the same picture, mirrored on the diagonal.*
#
# ## 1. A convolution is a matrix
#
# Start in one dimension. The input $x$ has $n$ numbers, the kernel $w$ has $k$. Lay the kernel on
# the input, multiply what lies on top of each other, add up: that is one output. Then move the
# kernel on. Three numbers say how it moves. The **stride** $s$ is how far it moves between two
# outputs; the **padding** $p$ is how far it starts before the input (where the input counts as 0);
# the **dilation** $d$ is how far apart its taps are. Output $i$ therefore meets, with tap $a$, the
# input at $s i + d a - p$:
#
# $$
# y_i = \sum_{a=0}^{k-1} w_a \thinspace x_{s i + d a - p} \tag{3.1}
# $$
#
# (A mathematician's convolution runs through the kernel backwards. In deep learning nobody does:
# the kernel is learned, so it may as well be stored the other way round.)


# %%
def conv_by_loops(x, w, s, p, d):
    """Equation (3.1), literally."""
    n, k = len(x), len(w)
    y = []
    for start in range(-p, n + p - d * (k - 1), s):
        places = [start + d * a for a in range(k)]
        y.append(sum(w[a] * x[at] for a, at in enumerate(places) if 0 <= at < n))
    return np.array(y)


left, right = [], []
for n, k, s, p, d in [(11, 3, 1, 0, 1), (12, 4, 2, 1, 1), (13, 3, 2, 2, 3), (9, 5, 3, 4, 2)]:
    x, w = rng.normal(size=n), rng.normal(size=k)
    left.append(conv_by_loops(x, w, s, p, d))
    theirs = F.conv1d(tg.tensor(x[None, None]), tg.tensor(w[None, None]), None, s, p, d)
    right.append(theirs.numpy().ravel())
check.equal("3.1", np.concatenate(left), np.concatenate(right))

# %% [markdown]
# Pictures have rows and columns, and several channels $c$ (colours at first, learned features
# later). The kernel gets an index for each, and one kernel for each output channel $o$. Everything
# is summed, and there is a bias $b_o$:
#
# $$
# y_{n o i j} = b_o + \sum_{c, u, v} w_{o c u v} \thinspace x_{n, c, s i + d u - p, s j + d v - p}
# \tag{3.2}
# $$
#
# Here $n$ counts the pictures of a batch. The cell writes the sum over $u$ and $v$ as a loop, and
# leaves the sum over $c$ to a matrix product.


# %%
def conv2d_by_loops(x, w, b, s, p, d):
    N, C, H, W = x.shape
    O, _, KH, KW = w.shape
    padded = np.zeros((N, C, H + 2 * p, W + 2 * p))
    padded[:, :, p : p + H, p : p + W] = x
    OH, OW = ((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k in ((H, KH), (W, KW)))
    y = np.zeros((N, O, OH, OW)) + b[:, None, None]
    for u, v in np.ndindex(KH, KW):
        seen = padded[:, :, d * u :, d * v :][:, :, : s * OH : s, : s * OW : s]
        y += np.einsum("oc,ncij->noij", w[:, :, u, v], seen[:, :, :OH, :OW])
    return y


x, w, b = rng.normal(size=(2, 3, 9, 8)), rng.normal(size=(4, 3, 3, 2)), rng.normal(size=4)
ours = conv2d_by_loops(x, w, b, 2, 3, 2)
theirs = F.conv2d(tg.tensor(x), tg.tensor(w), tg.tensor(b), stride=2, padding=3, dilation=2)
check.equal("3.2", ours, theirs)

# %% [markdown]
# How many outputs are there? With padding the input has $n + 2p$ places. The kernel covers
# $d (k - 1) + 1$ of them. What is left over is how far it can move, in steps of $s$; and it also
# has its first position. With $\lfloor \cdot \rfloor$ for rounding down,
#
# $$
# n_{\text{out}} = \left\lfloor \frac{n + 2p - d (k - 1) - 1}{s} \right\rfloor + 1 \tag{3.3}
# $$
#
# The cell moves a kernel along by hand and counts, for 500 random settings.
#
# > **Predict, then run.** Kernel 4, stride 2, padding 1 (DCGAN's numbers). How many outputs do 28
# > inputs have, and how many do 29?

# %%
counted, formula = [], []
for _ in range(500):
    k, s, p, d = rng.integers(1, [6, 5, 4, 4])
    n = int(rng.integers(d * (k - 1) + 1, 30))
    position, positions = -p, 0
    while position + d * (k - 1) <= n - 1 + p:  # the last tap is still on the padded input
        position, positions = position + s, positions + 1
    counted.append(positions)
    formula.append((n + 2 * p - d * (k - 1) - 1) // s + 1)
check.equal("3.3", counted, formula)
for n in (28, 29):
    check.claim(f"outputs of {n} inputs", len(conv_by_loops(np.ones(n), np.ones(4), 2, 1, 1)), "14")

# %% [markdown]
# 14, and 14 again: half the size, rounded down. Two sizes lead to one; remember it.
#
# Everything in (3.1) is a fixed number times an input, added up. So a convolution is a matrix $A$
# times $x$, and (3.1) says which:
#
# $$
# y = A x, \qquad A_{i j} = \begin{cases} w_a & \text{if } j = s i + d a - p \\
# 0 & \text{if there is no such } a \end{cases} \tag{3.4}
# $$
#
# The opening picture showed it for images. Nobody stores $A$: for a 28 x 28 picture with 64
# channels on both sides it would have $2.5 \cdot 10^9$ entries, made from 36,864 different
# numbers. But it is the right thing to think with.

# %%
kernel, image = rng.normal(size=(3, 3)), rng.normal(size=(6, 7))
A = matrix(kernel, 6, 7, s=2, p=1)
by_library = F.conv2d(
    tg.tensor(image[None, None]), tg.tensor(kernel[None, None]), stride=2, padding=1
)
check.equal("3.4", A @ image.ravel(), by_library.numpy().ravel())
print(f"A is {A.shape[0]} x {A.shape[1]}")
check.claim("of it is not zero", np.mean(A != 0), "0.16")
check.claim("the layer's matrix, in thousand million entries", (64 * 28 * 28) ** 2 / 1e9, "2.5")
check.claim("made from", np.prod(tg.nn.Conv2d(64, 64, 3).weight.shape), "36864")

# %% [markdown]
# Why this matrix and not any other? Because of what the same numbers in every row mean: the
# picture is treated alike everywhere. Let $S$ shift a signal by one place. Shifting the input by
# $s$ shifts the output by one, away from the edges:
#
# $$
# \mathrm{conv}(S^s x) = S \thinspace \mathrm{conv}(x) \tag{3.5}
# $$
#
# A digit that moves to the right moves its features to the right. A dense layer would have to
# learn that from examples. Mark the exponent $s$.
#
# > **Predict, then run.** With stride 2, shift the input by **one** pixel. How many of the outputs
# > are old ones, in their place or moved?

# %%
left, right = [], []
for s in (1, 2, 3):
    x, w = rng.normal(size=40), rng.normal(size=5)
    y, y_of_shifted = conv_by_loops(x, w, s, 0, 1), conv_by_loops(np.roll(x, s), w, s, 0, 1)
    left.append(y_of_shifted[2:])  # the first ones see what np.roll brought round
    right.append(y[1:-1])
check.equal("3.5", np.concatenate(left), np.concatenate(right))
x, w = rng.normal(size=40), rng.normal(size=5)
y = conv_by_loops(x, w, 2, 0, 1)
for shift, old in ((1, "0"), (2, "17")):
    nearest = abs(conv_by_loops(np.roll(x, shift), w, 2, 0, 1)[:, None] - y).min(axis=1)
    check.claim(f"of 18 outputs old, after a shift by {shift}", (nearest < 1e-12).sum(), old)

# %% [markdown]
# None. A stride treats only every second place alike. We come back to this.
#
# ## 2. The transpose
#
# In lesson 2 the backward rule of a linear map was its transpose, defined by the inner product:
#
# $$
# \langle A x, g \rangle = \langle x, A^\top g \rangle \quad \text{for all } x \text{ and } g
# \tag{3.6}
# $$
#
# So the gradient of a convolution with respect to its input is $A^\top g$. It is so useful that it
# is a layer of its own: the **transposed convolution**. A convolution of stride 2 makes a picture
# half as large; its transpose makes one twice as large, which is what generators need. The cell
# draws 200 random settings and compares the two inner products of tinygen's two functions.

# %%
left, right = [], []
for _ in range(200):
    k, s, p, d, C, O = (int(v) for v in rng.integers(1, [5, 4, 3, 3, 4, 4]))
    p = int(rng.integers(k))
    H, W = (int(v) for v in rng.integers(d * (k - 1) + 1, 14, size=2))
    x, w = tg.tensor(rng.normal(size=(2, C, H, W))), tg.tensor(rng.normal(size=(O, C, k, k)))
    y = F.conv2d(x, w, None, s, p, d)
    g = tg.tensor(rng.normal(size=y.shape))
    more = [n - ((m - 1) * s - 2 * p + d * (k - 1) + 1) for n, m in zip((H, W), y.shape[2:])]
    back = F.conv_transpose2d(g, w, None, s, p, tuple(more), 1, d)
    left.append((y * g).sum().item())
    right.append((x * back).sum().item())
check.equal("3.6", left, right)

# %% [markdown]
# Read the matrix by columns and the formula appears. Row $i$ of $A$ says what output $i$ takes
# from where; column $j$ says where input $j$ goes. Transposed: $g_i$ is handed out to all places
# that output $i$ had looked at, with the same weights.
#
# $$
# x = A^\top g, \qquad x_j = \sum_{i, a: \thinspace s i + d a - p = j} w_a \thinspace g_i \tag{3.7}
# $$
#
# A convolution **gathers**; written like this, its transpose **scatters**.


# %%
def transpose_by_loops(g, w, n, s, p, d):
    x = np.zeros(n)
    for i, a in np.ndindex(len(g), len(w)):
        j = s * i + d * a - p
        if 0 <= j < n:
            x[j] += w[a] * g[i]  # several i and a may meet at one j: add
    return x


def line_matrix(w, n, s, p, d):
    """The matrix of a convolution on a line: column j is what it makes of the j-th unit vector."""
    return np.stack([conv_by_loops(unit, w, s, p, d) for unit in np.eye(n)], axis=1)


left, right = [], []
for n, k, s, p, d in [(11, 3, 1, 0, 1), (12, 4, 2, 1, 1), (13, 3, 2, 2, 3), (9, 5, 3, 4, 2)]:
    w = rng.normal(size=k)
    A = line_matrix(w, n, s, p, d)
    g = rng.normal(size=len(A))
    left.append(A.T @ g)
    right.append(transpose_by_loops(g, w, n, s, p, d))
check.equal("3.7", np.concatenate(left), np.concatenate(right))


# %% tags=["figure"]
def stroke(ax, mask, colour):
    """Frame the marked pixels."""
    for i, j in zip(*np.nonzero(mask)):
        box = plt.Rectangle((j - 0.5, i - 0.5), 1, 1, fill=False, ec=colour, lw=1.5)
        ax.add_patch(box)


def gather_or_scatter(i, forward, x, g, A):
    figure, axes = plt.subplots(1, 3, figsize=(8, 2.6), width_ratios=(1.2, 3.6, 0.7))
    touched = (A[i] != 0).reshape(6, 6)
    top = abs(A.T @ np.ones(9)).max() if not forward else 1
    axes[0].imshow(x, cmap="Blues", vmin=0, vmax=max(1, top))
    stroke(axes[0], touched, "#D55E00")
    axes[1].imshow(np.where(A == 0, np.nan, A), cmap="viridis", vmin=0, vmax=1)
    axes[1].axhspan(i - 0.5, i + 0.5, color="#D55E00", alpha=0.25)
    axes[2].imshow(g, cmap="Blues", vmin=0, vmax=np.nanmax(np.abs(A).sum(1)) if forward else 1)
    stroke(axes[2], np.arange(9).reshape(3, 3) == i, "#D55E00")
    for ax, title in zip(axes, ("input $x$", "matrix $A$", "output $y$") if forward
                         else ("result $x$", "matrix $A$, by its rows", "given $g$")):  # fmt: skip
        ax.set(title=title, xticks=[], yticks=[])
    way = "gather: output %d collects" if forward else "scatter: $g_{%d}$ is handed out"
    figure.suptitle(way % (i + 1), fontsize=10)
    figure.tight_layout()
    return figure


def both_ways():
    own = np.random.default_rng(5)
    A = matrix(own.uniform(0.2, 1, (3, 3)), 6, 6, s=2, p=1)
    x, ones = own.random((6, 6)), np.ones(9)
    for i in range(9):
        y = np.where(np.arange(9) <= i, A @ x.ravel(), np.nan)
        yield gather_or_scatter(i, True, x, y.reshape(3, 3), A)
    for i in range(9):
        so_far = A.T @ (ones * (np.arange(9) <= i))
        yield gather_or_scatter(i, False, so_far.reshape(6, 6), ones.reshape(3, 3), A)


figures.film(
    both_ways(),
    alt="First the convolution of stride 2: a window of nine framed pixels moves over the input, a "
    "row of the matrix is lit, one output pixel after the other is filled. Then the transpose: one "
    "given pixel after the other adds its window of nine to a picture of twice the size.",
    fps=1.5,
    still=4,
)

# %% [markdown]
# *The same matrix, read twice. Forward, each of its rows collects one output. Backward, each row
# hands one number out again, and where windows overlap the contributions add up.*
#
# How large is the picture that comes out? Solve (3.3) for $n$. Because of the rounding there are
# $s$ answers: $s$ different input sizes lead to the same output size $m$, and going back one has
# to say which is meant. That is all that the argument `output_padding`, here $e$, is for:
#
# $$
# n = (m - 1) s - 2p + d (k - 1) + 1 + e, \qquad e = 0, \dots, s - 1 \tag{3.8}
# $$
#
# The cell tries all sizes up to 100 and keeps those that (3.3) sends to $m$.
#
# > **Predict, then run.** A convolution with stride 3 and without padding, kernel 3, dilation 2,
# > gave 6 numbers. How many may have gone in?

# %%
left, right = [], []
for k, s, p, d, m in [(3, 1, 1, 1, 5), (4, 2, 1, 1, 7), (3, 2, 1, 1, 7), (3, 3, 0, 2, 6)]:
    tried = [n for n in range(1, 101) if (n + 2 * p - d * (k - 1) - 1) // s + 1 == m]
    left += tried
    right += [(m - 1) * s - 2 * p + d * (k - 1) + 1 + e for e in range(s)]
    print(f"kernel {k}, stride {s}, padding {p}, dilation {d}: {m} numbers come from {tried}")
check.equal("3.8", left, right)
check.claim("of 6 numbers with stride 3: 20, 21 or 22", tried == [20, 21, 22])

# %% [markdown]
# The lecture notes call the layer a "fractionally-strided convolution". That name is a third way
# to see it. Put $s - 1$ zeros between the numbers of $g$; call the result $Z g$. Now run an
# ordinary convolution of stride 1 over it, with the kernel turned round. The kernel moves one
# place where $g$ moves by $1/s$ (for $e = 0$ and $p \le d (k - 1)$; for $e > 0$ append $e$ zeros to
# $Z g$):
#
# $$
# A^\top g = \mathrm{conv}(Z g, \mathrm{flip}(w)), \quad \text{stride } 1, \text{ padding }
# d (k - 1) - p, \text{ dilation } d \tag{3.9}
# $$
#
# True, and good to know; but do not compute it like this. For $s = 2$ in two dimensions three of
# four multiplications are by a zero that we just put there.

# %%
left, right = [], []
for k, s, p, d, m in [(3, 1, 1, 1, 5), (4, 2, 1, 1, 7), (3, 2, 1, 1, 7), (3, 3, 0, 2, 6)]:
    w, g = rng.normal(size=k), rng.normal(size=m)
    stuffed = np.zeros((m - 1) * s + 1)
    stuffed[::s] = g
    left.append(conv_by_loops(stuffed, w[::-1], 1, d * (k - 1) - p, d))
    theirs = F.conv_transpose2d(
        tg.tensor(g[None, None, None]), tg.tensor(w[None, None, None]),
        stride=(1, s), padding=(0, p), dilation=(1, d),
    )  # fmt: skip
    right.append(theirs.numpy().ravel())
check.equal("3.9", np.concatenate(left), np.concatenate(right))

# %% [markdown]
# ### The checkerboard
#
# Generators made of transposed convolutions are known for a fine pattern of squares in their
# pictures (Odena and others, 2016). Equation (3.7) explains it. How many terms has the sum, that
# is, how many pairs $(i, a)$ meet at pixel $j$? Take $d = 1$. The taps that can reach $j$ are
# those with $a \equiv j + p$ modulo $s$. Away from the edges, divide $k$ by $s$: if
# $k = q s + r$, then $r$ of every $s$ pixels are met by $q + 1$ taps, and the others by $q$:
#
# $$
# \text{taps at pixel } j = \begin{cases} q + 1 & \text{if } (j + p) \bmod s \lt r \\
# q & \text{otherwise} \end{cases} \qquad (k = q s + r, 0 \le r \lt s) \tag{3.10}
# $$
#
# They are equally many everywhere but at the edges exactly when **the stride divides the kernel
# size**. To count taps, feed ones through a kernel of ones.
#
# > **Predict, then run.** Among the kernel sizes from 2 to 9, which make no checkerboard with
# > stride 2? Which with stride 3? Then move the slider.


# %%
def taps_at(m, k, s, p):
    """How many taps meet at each pixel: ones through a kernel of ones."""
    ones, kernel = (tg.ones(1, 1, 1, n, dtype=tg.float64) for n in (m, k))
    return F.conv_transpose2d(ones, kernel, stride=(1, s), padding=(0, p)).numpy().ravel()


left, right = [], []
for k, s, p in [(3, 2, 0), (4, 2, 1), (5, 2, 1), (5, 3, 2), (6, 3, 1), (7, 4, 3)]:
    m = 12
    taps = taps_at(m, k, s, p)
    inner = np.arange(k, len(taps) - k)  # the edges are met by fewer
    q, r = divmod(k, s)
    left.append(taps[inner])
    right.append(np.where((inner + p) % s < r, q + 1, q))
check.equal("3.10", np.concatenate(left), np.concatenate(right))


def even(k, s):
    """Do as many taps meet at every inner pixel?"""
    return np.ptp(taps_at(12, k, s, 0)[k:-k]) == 0


check.claim("stride 2: the even ones", [k for k in range(2, 10) if even(k, 2)] == [2, 4, 6, 8])
check.claim("stride 3: 3, 6 and 9", [k for k in range(2, 10) if even(k, 3)] == [3, 6, 9])

# %% tags=["figure"]
smooth = np.add.outer(np.sin(np.linspace(0, 3, 12)), np.cos(np.linspace(0, 4, 12)))
signal = tg.tensor(smooth[None, None] + 2)


def checkerboards(k):
    figure, axes = plt.subplots(1, 3, figsize=(7.5, 2.7))
    axes[0].imshow(smooth, cmap="gray")
    axes[0].set(title="the input", xlabel="column", ylabel="row")
    for ax, s in zip(axes[1:], (2, 3)):
        ones = tg.ones(1, 1, k, k, dtype=tg.float64)
        y = F.conv_transpose2d(signal, ones, stride=s).numpy()[0, 0]
        edge = max(k - s, 0)
        ax.imshow(y[edge : len(y) - edge, edge : len(y) - edge], cmap="gray")
        ax.set(title=f"kernel {k}, stride {s}", xlabel="column")
    for ax in axes:
        ax.set(xticks=[], yticks=[])
    figure.tight_layout()
    return figure


figures.slider(
    (checkerboards(k) for k in range(2, 10)),
    list(range(2, 10)),
    "kernel size",
    alt="A smooth picture enlarged by transposed convolutions with kernels of ones, strides 2 and "
    "3. The result is smooth where the stride divides the kernel size, else it is covered by a "
    "checkerboard or a grid.",
    start=1,
)

# %% [markdown]
# *A smooth input through kernels of ones. Kernel 3 with stride 2: 1, 2 or 4 taps a pixel, a
# checkerboard. Kernel 4 with stride 2: four taps everywhere. This is why the generators of lesson
# 12 have kernels of size 4. (A kernel as small as its stride is the extreme case: no overlap at
# all.)*
#
# ## Fix the slide: not a deconvolution, and not smooth by itself
#
# The lecture notes, on a generator:
#
# > In the image on the right you see de-convolutions happening to create a new image. With
# > transpose convolutions you also have the bias that neighboring pixels are similar and that
# > operations are shared across the spatial dimensions
#
# Three claims, and each needs mending.
#
# **De-convolution** means undoing a convolution: given $y = A x$, find $x$. The transposed
# convolution does not do it, since $A^\top A$ is not the identity. It is only one *step* of doing
# it. Gradient descent on $\frac{1}{2} \Vert A x - y \Vert^2$ has the gradient $A^\top (A x - y)$,
# and its steps
#
# $$
# x_{t+1} = x_t + \eta A^\top (y - A x_t) \quad \longrightarrow \quad x_\infty = A^{+} y \tag{3.11}
# $$
#
# do converge (for $\eta$ below $2 / \Vert A \Vert^2$, from $x_0 = 0$) to the solution $A^+ y$,
# where $A^+$ is the pseudo-inverse. Blur a digit, apply $A^\top$ once, and then apply (3.11).

# %%
digit = tg.data.load("digits").to_unit()[3, 0].numpy().astype(float)
blur = np.array([[1.0, 1.0, 1.0], [1.0, 5.0, 1.0], [1.0, 1.0, 1.0]]) / 13
A = matrix(blur, 8, 8, p=1)
blurred = A @ digit.ravel()
found = np.zeros(64)
for _ in range(4000):
    found = found + A.T @ (blurred - A @ found)  # eta is 1: this A has the norm 1
own = np.random.default_rng(11)  # and a matrix that is neither symmetric nor invertible, 9 x 36
B, z = matrix(own.normal(size=(3, 3)), 6, 6, s=2, p=1), own.normal(size=9)
found_b, eta = np.zeros(36), 1 / np.linalg.norm(B, 2) ** 2
for _ in range(4000):
    found_b = found_b + eta * B.T @ (z - B @ found_b)
exact = np.concatenate([np.linalg.pinv(A) @ blurred, np.linalg.pinv(B) @ z])
check.equal("3.11", np.concatenate([found, found_b]), exact)
once = A.T @ blurred
check.claim("E43: distance to the digit, blurred", np.linalg.norm(blurred - digit.ravel()), "1.21")
check.claim("E43: distance, transposed", np.linalg.norm(once - digit.ravel()), "1.71")
check.claim("E43: deconvolved, it is the digit", np.linalg.norm(found - digit.ravel()) < 1e-9)

# %% tags=["figure"]
figure, axes = plt.subplots(1, 4, figsize=(8.5, 2.4))
names = ("digit $x$", "blurred $y = Ax$", "transposed $A^T y$", "deconvolved")
for ax, name, picture in zip(axes, names, (digit, blurred, once, found), strict=True):
    ax.imshow(picture.reshape(8, 8), cmap="gray_r")
    ax.set(title=name, xticks=[], yticks=[], xlabel="column")
axes[0].set_ylabel("row")
figure.tight_layout()
figures.show(
    figure,
    alt="A digit of 8 by 8 pixels; the same blurred; blurred further by the transposed "
    "convolution; and, deconvolved, the first picture again.",
)

# %% [markdown]
# *This blur is symmetric, so its transpose blurs a second time: from 1.21 away from the digit to
# 1.71. Deconvolving takes thousands of transposed convolutions, and gets there.*
#
# **"Neighboring pixels are similar"** is not built in. In (3.7) with stride 2, an even pixel and
# the odd one beside it look at nearly the same inputs, but share no tap: they are sums over
# *different* weights. With weights and inputs drawn at random they are uncorrelated. What does
# have the bias is enlarging first, each pixel doubled, and an ordinary convolution afterwards.
# **"Shared across the spatial dimensions"**: only every second pixel shares. By (3.5) turned
# round, shifting the input by one shifts the output by $s$; nothing makes its $s$ phases alike.
# The cell measures the correlation of neighbouring output pixels over random weights and inputs.
#
# > **Predict, then run.** Enlarged pixels come in equal pairs; half of all neighbours are such
# > pairs. After a random kernel of three taps, what is the mean correlation of neighbours?

# %%
transposed, enlarged = [], []
for _ in range(4000):
    g, w4, w3 = rng.normal(size=16), rng.normal(size=4), rng.normal(size=3)
    transposed.append(transpose_by_loops(g, w4, 32, 2, 1, 1)[4:-4])
    enlarged.append(np.convolve(np.repeat(g, 2), w3, mode="same")[4:-4])


def neighbours(rows):
    rows = np.array(rows)
    return (rows[:, 1:] * rows[:, :-1]).mean() / (rows**2).mean()


check.claim("E43: neighbours, transposed convolution: none", abs(neighbours(transposed)) < 0.01)
check.claim("E43: neighbours, enlarge and convolve", neighbours(enlarged), 0.5, tol=0.05)

# %% [markdown]
# None for the transposed convolution, a half for the other: the bias is in the enlarging.
#
# ## 3. Three functions, and no fourth
#
# The convolution is linear in $x$. It is also linear in $w$. So the number
# $\langle g, \mathrm{conv}(x, w) \rangle$ is linear in each of three things. One table of zeros
# and ones says who meets whom, $E_{i a j} = 1$ if $j = s i + d a - p$:
#
# $$
# \langle g, \mathrm{conv}(x, w) \rangle = \sum_{i, a, j} E_{i a j} \thinspace g_i \thinspace w_a
# \thinspace x_j \tag{3.12}
# $$
#
# A form like this is called **trilinear**. Stare at it: there is no preferred letter in it.


# %%
def meetings(n, k, s, p, d):
    """E[i, a, j]: does output i meet input j with tap a?"""
    m = (n + 2 * p - d * (k - 1) - 1) // s + 1
    i, a, j = np.ogrid[:m, :k, :n]
    return j == s * i + d * a - p


n, k, s, p, d = 14, 3, 2, 2, 3
E = meetings(n, k, s, p, d)
x, w, g = rng.normal(size=n), rng.normal(size=k), rng.normal(size=len(E))
form = np.einsum("iaj,i,a,j->", E, g, w, x)
check.equal("3.12", g @ conv_by_loops(x, w, s, p, d), form)

# %% [markdown]
# Now leave out one letter at a time. Without $g$, what remains is a vector with index $i$: the
# convolution. Without $x$: the transposed convolution. Without $w$: something with index $a$, the
# **weight gradient**. The same number is reached from each of the three:
#
# $$
# \langle g, \mathrm{conv}(x, w) \rangle = \langle x, \mathrm{conv}^\top (g, w) \rangle
# = \langle w, \mathrm{grad}_w(x, g) \rangle \tag{3.13}
# $$
#
# The cell checks it for tinygen's three functions, with channels, in two dimensions.

# %%
x = tg.tensor(rng.normal(size=(2, 3, 9, 8)))
w = tg.tensor(rng.normal(size=(4, 3, 3, 2)))
y = F.conv2d(x, w, None, 2, 1)
g = tg.tensor(rng.normal(size=y.shape))
extra = tuple(n - ((m - 1) * 2 - 2 + k) for n, m, k in zip((9, 8), y.shape[2:], (3, 2)))
to_x = F.conv_transpose2d(g, w, None, 2, 1, extra)
to_w = conv2d_weight(x, g, (3, 2), 2, 1)
form = (g * y).sum().item()
check.equal("3.13", [form, form], [(x * to_x).sum().item(), (w * to_w).sum().item()])

# %% [markdown]
# The weight gradient looks like a convolution itself. Write out what multiplies $w_a$ in (3.12):
#
# $$
# \frac{\partial}{\partial w_a} \langle g, \mathrm{conv}(x, w) \rangle
# = \sum_i g_i \thinspace x_{d a + s i - p} \tag{3.14}
# $$
#
# Compare with (3.1): $g$ plays the kernel, $a$ counts the outputs, and so **stride and dilation
# have changed places**. It is the one line of this lesson that is easiest to get wrong, and where
# $s = d = 1$, as in most tests, nobody notices. (candle, a library in Rust, had the two swapped in
# the backward pass of its transposed convolution until pull request 2337 of 2024. All tests of the
# time passed, with the bug and without.)
#
# > **Predict, then run.** 14 inputs, kernel 3, stride 2, padding 2, dilation 3. If one forgets to
# > swap, how many numbers come out for the three weights?

# %%
n, k, s, p, d = 14, 3, 2, 2, 3
x, w, g = rng.normal(size=n), rng.normal(size=k), rng.normal(size=len(E))
by_table = np.einsum("iaj,i,j->a", E, g, x)
# The first k only: where (3.3) rounded down, g fits in a few places more.
check.equal("3.14", by_table, conv_by_loops(x, g, d, p, s)[:k])
not_swapped = conv_by_loops(x, g, s, p, d)
check.claim("numbers for 3 weights, not swapped", len(not_swapped), "2")


# %% [markdown]
# Here is the family as three operations of tinygen, written by us. Each operation is a forward on
# arrays and one vjp for each input (lesson 2). Look at the vjps: **each one's derivatives are the
# other two**. The family is closed. Whatever is differentiated, however often, no fourth function
# ever comes up.

# %%
from tinygen.ops.op import op
from tinygen.testing import check_grads


@op
def line_conv(x, w, *, E):
    return np.einsum("iaj,a,j->i", E, w, x)


@op
def line_transpose(y, w, *, E):
    return np.einsum("iaj,i,a->j", E, y, w)


@op
def line_weight(x, y, *, E):
    return np.einsum("iaj,j,i->a", E, x, y)


line_conv.vjp(lambda g, w, E: line_transpose(g, w, E=E), lambda g, x, E: line_weight(x, g, E=E))
line_transpose.vjp(lambda g, w, E: line_conv(g, w, E=E), lambda g, y, E: line_weight(g, y, E=E))
line_weight.vjp(lambda g, y, E: line_transpose(y, g, E=E), lambda g, x, E: line_conv(x, g, E=E))

x, w, g = tg.tensor(x), tg.tensor(w), tg.tensor(g)
check_grads(lambda x, w: line_conv(x, w, E=E).tanh(), x, w, order=3)
print("first, second and third derivatives agree with finite differences")

# %% [markdown]
# So a second derivative can be written down without any new work. The gradient of
# $\langle g, \mathrm{conv}(x, w) \rangle$ along $x$ is $\mathrm{conv}^\top(g, w)$. Take its inner
# product with any vector $u$ of the shape of $x$, and differentiate along $w$. By (3.13) with $u$
# in the place of $x$,
#
# $$
# \nabla_w \langle u, \mathrm{conv}^\top(g, w) \rangle = \mathrm{grad}_w(u, g) \tag{3.15}
# $$
#
# Left: the form at each unit kernel (it is linear in $w$), and two backward passes of tinygen.
# Right: one call.
#
# > **Predict, then run.** And twice along $x$? What is the second derivative of
# > $\langle g, \mathrm{conv}(x, w) \rangle$ there?

# %%
x = tg.tensor(rng.normal(size=(2, 3, 9, 8)), requires_grad=True)
w = tg.tensor(rng.normal(size=(4, 3, 3, 2)), requires_grad=True)
y = F.conv2d(x, w, None, 2, 1)
g, u = tg.tensor(rng.normal(size=y.shape)), tg.tensor(rng.normal(size=x.shape))
(along_x,) = tg.autograd.grad(y, [x], g, create_graph=True)
(second,) = tg.autograd.grad((u * along_x).sum(), [w])
units = np.eye(72).reshape(72, 4, 3, 3, 2)
each = [(u * F.conv_transpose2d(g, tg.tensor(e), None, 2, 1)).sum().item() for e in units]
right = conv2d_weight(u, g, (3, 2), 2, 1).detach().numpy().ravel()
check.equal("3.15", [each, second.detach().numpy().ravel()], [right, right])
along = tg.autograd.grad(y, [x], g, create_graph=True)
(none,) = tg.autograd.grad(along[0].sum(), [x], allow_unused=True)
check.claim("twice along x: x is not even in the graph", none is None)

# %% [markdown]
# None at all: the form is linear in $x$, so its gradient along $x$ does not contain $x$.
#
# ## A bug from the wild: the derivative that looks at itself
#
# DeZero, which we met in lesson 2, has the same three functions (`dezero/functions_conv.py`). The
# backward rule of its `Conv2DGradW` receives the cotangent `gys`, and never uses it. It takes the
# operation's own **output** instead. (There the output is held by a weak reference, so a second
# derivative through it stops with an error.) Reproduced with the output itself, it becomes a wrong
# number, and it hides from the first test that comes to mind: a penalty
# $\frac{1}{2} \Vert \nabla_w \Vert^2$. The cotangent of $\nabla_w$ in that penalty is $\nabla_w$
# itself. The output *is* the cotangent, by accident.
#
# > **Predict, then run.** Three tests of its second derivative: that penalty, a random cotangent,
# > and a sum of exponentials. Which does the hasty rule pass?


# %%
@op
def hasty_weight(x, y, *, E):
    return np.einsum("iaj,j,i->a", E, x, y)


hasty_weight.vjp(
    lambda g, out, y, E: line_transpose(y, out, E=E),  # should be g, not out
    lambda g, out, x, E: line_conv(x, out, E=E),
)
x, y = (tg.tensor(rng.normal(size=size), requires_grad=True) for size in (n, len(E)))
tests = {
    "half the squared length": lambda dw: 0.5 * (dw * dw).sum(),
    "a random cotangent": lambda dw: dw @ tg.tensor(np.array([0.3, -1.2, 0.7])),
    "the sum of exponentials": lambda dw: dw.exp().sum(),
}
agrees = []
for name, test in tests.items():
    right = tg.autograd.grad(test(line_weight(x, y, E=E)), [x, y])
    hasty = tg.autograd.grad(test(hasty_weight(x, y, E=E)), [x, y])
    agrees.append(all(np.allclose(a.numpy(), b.numpy()) for a, b in zip(right, hasty, strict=True)))
    print(f"{name:24} {'agrees' if agrees[-1] else 'WRONG'}")
check.claim("it passes the first test only", agrees == [True, False, False])

# %% [markdown]
# The check to keep is the one of lesson 2, a random cotangent, and for **every** operation: the
# weight gradient is one too, though at first order nobody ever asks it for a derivative.

# %%
from tinygen.testing.gradients import GradientError

try:
    check_grads(lambda x, y: hasty_weight(x, y, E=E), x.detach(), y.detach())
    caught = False
except GradientError as error:
    caught = True
    print("GradientError:", str(error).splitlines()[0][:60], "...")
check.claim("a random cotangent catches it", caught)

# %% [markdown]
# ## 4. One thread, one output
#
# A GPU runs tens of thousands of **threads** at a time. A **kernel** is the program of one thread;
# all threads run the same one, and tell themselves apart by their number. Threads come in
# **blocks**. The threads of one block can share a small fast memory (`__shared__`) and wait for
# each other (`__syncthreads()`, a **barrier**). Threads of different blocks cannot: blocks run in
# any order.
#
# The plan for a convolution with $C$ input channels on a line, and one output channel: thread $i$
# computes $y_i$. Here are two kernels in CUDA C. The first one, `naive`, is (3.1) with a sum over
# channels. Every thread reads its $k$ numbers from the big, slow, **global** memory; its neighbour
# reads nearly the same ones again. The second, `tiled`, has the block fetch its stretch of $x$
# into shared memory first. It needs a bit more than its own 64 numbers: the last outputs reach
# $k - 1$ places beyond. That rim is called the **halo**.

# %%
SOURCE = r"""
#define TILE 64  // threads a block, and outputs a block
#define MOST 16  // the longest kernel

extern "C" __global__ void naive(float* y, const float* x, const float* w, int C, int n, int k) {
    int i = blockIdx.x * TILE + threadIdx.x;
    if (i + k > n) return;  // the last block has threads to spare
    float sum = 0;
    for (int c = 0; c < C; ++c)
        for (int a = 0; a < k; ++a) sum += w[c * k + a] * x[c * n + i + a];
    y[i] = sum;
}

extern "C" __global__ void tiled(float* y, const float* x, const float* w, int C, int n, int k) {
    __shared__ float xs[TILE + MOST - 1];
    int t = threadIdx.x, i = blockIdx.x * TILE + t;
    float sum = 0;
    for (int c = 0; c < C; ++c) {
        xs[t] = i < n ? x[c * n + i] : 0;
        if (t == TILE - 1)  // the last thread fetches the halo
            for (int a = 1; a < k; ++a) xs[t + a] = i + a < n ? x[c * n + i + a] : 0;
        __syncthreads();  // full: the whole tile has arrived
        for (int a = 0; a < k; ++a) sum += w[c * k + a] * xs[t + a];
        __syncthreads();  // free: nobody reads this tile any more
    }
    if (i + k <= n) y[i] = sum;
}
"""
CAN_RUN = tg.cuda.emulator_available()
if not CAN_RUN:
    print("No C++ compiler (or not Linux): the kernels of this lesson are shown, not run.")
folder = tempfile.TemporaryDirectory()


def kernels(name, text, **options):
    """Write the text into a .cu file and load it into the emulator."""
    path = Path(folder.name) / f"{name}.cu"
    path.write_text(f"{text.strip()}\n")
    return tg.cuda.emulate(str(path), **options)


C, n, k = 3, 200, 5
blocks = 4  # of 64 threads: enough for 196 outputs
x = rng.normal(size=(C, n)).astype(np.float32)
w = rng.normal(size=(C, k)).astype(np.float32)
exact = sum(np.correlate(x[c].astype(float), w[c].astype(float), "valid") for c in range(C))


def run(kernel):
    y = np.zeros(n - k + 1, np.float32)
    kernel(blocks, 64, y, x, w, C, n, k)  # grid, block, then the kernel's arguments
    return y


if CAN_RUN:
    loaded = kernels("conv1d", SOURCE)
    for name in ("naive", "tiled"):
        check.claim(f"{name}: right to 5 digits", abs(run(loaded[name]) - exact) < 1e-5)

# %% [markdown]
# The file is real CUDA. On a GPU, NVRTC would compile it; here tinygen compiles the unedited text
# with the C++ compiler and runs every thread on the CPU, while watching every access to memory.
#
# Is an error of that size right? A float32 has a relative precision of $\epsilon = 2^{-24}$. One
# output is a sum of $K = C k$ products. Each product is rounded once and takes part in at most
# $K - 1$ additions that round (the first, to 0, is exact), so (Higham, 2002)
#
# $$
# \left| \hat y_i - y_i \right| \le \frac{K \epsilon}{1 - K \epsilon}
# \sum_{c, a} \left| w_{c a} \thinspace x_{c, i + a} \right| \tag{3.16}
# $$
#
# where $\hat y$ is what the kernel computed. An error above this bound is not rounding; it is a
# bug. For $K = 1$ there are numbers that reach it: one product that lies halfway between two
# floats.

# %%
epsilon = 2.0**-24


def allowed(K):
    """What an error may be, for each unit of the sum of absolute values."""
    return K * epsilon / (1 - K * epsilon)


if CAN_RUN:
    sizes = sum(np.correlate(abs(x[c]).astype(float), abs(w[c]), "valid") for c in range(C))
    error, bound = abs(run(loaded.tiled) - exact), allowed(C * k) * sizes
    above, below = (np.nextafter(np.float32(1), np.float32(to)) for to in (2, 0))
    halfway = float(above) * float(below) - float(above * below)  # just above 1, rounded to 1
    check.at_most("3.16", error, bound, slack=0, attained=(halfway, allowed(1)))
    check.claim("of the rounding that is allowed, happens", np.max(error / bound), "0.17")

# %% [markdown]
# ### Was it worth it? Count the reads
#
# Let $B$ blocks of $T$ threads compute $B T$ outputs. `naive` reads $x$ once for each output, tap
# and channel. `tiled` reads each tile and its halo once for each block and channel:
#
# $$
# R_{\text{naive}} = C B T k, \qquad R_{\text{tiled}} = C B (T + k - 1) \tag{3.17}
# $$
#
# To measure it, we let the kernels count: in the text, every read of the array `x` first adds one
# to a counter.
#
# > **Predict, then run.** For $T = 64$ and $k = 5$, how many times fewer reads has `tiled`: about
# > 2, about 5, or about 64?

# %%
COUNTING = (
    "__device__ const float* seen(int* reads, const float* x) {\n"
    "    atomicAdd(reads, 1);  // a sum that all threads may add to\n"
    "    return x;\n}\n"
    + SOURCE.replace("(float* y,", "(int* reads, float* y,").replace(
        "x[c * n", "seen(reads, x)[c * n"
    )
)
if CAN_RUN:
    counting = kernels("counting", COUNTING)
    whole = 196  # three full blocks and what the last one reaches beyond: 3 * 64 + k - 1
    long = np.ascontiguousarray(x[:, :whole])
    counted = []
    for name in ("naive", "tiled"):
        reads, y = np.zeros(1, np.int32), np.zeros(3 * 64, np.float32)
        counting[name](3, 64, reads, y, long, w, C, whole, k)
        counted.append(int(reads[0]))
    check.equal("3.17", counted, [C * 3 * 64 * k, C * 3 * (64 + k - 1)])
    check.claim("times fewer reads", counted[0] / counted[1], "4.7")

# %% [markdown]
# 4.7, nearly the five taps that share a number; the halo costs the rest.
#
# ### Break it
#
# Now take the second barrier out. What may go wrong? A fast thread runs ahead into the next
# channel and overwrites a number of the tile that a slow thread has not read yet. On a GPU that
# depends on timing.
#
# > **Predict, then run.** In the emulator without checks: are the values wrong when the threads are
# > taken in order? When they are shuffled?

# %%
BROKEN = SOURCE.replace("        __syncthreads();  // free: nobody reads this tile any more\n", "")
if CAN_RUN:
    right = []
    for seed in (None, 1, 2, 3):
        values = run(kernels("no_barrier", BROKEN, check=False, seed=seed).tiled)
        right.append(np.allclose(values, exact, atol=1e-5))
        order = "in order" if seed is None else f"shuffle {seed}"
        print(f"{order:10} {'right' if right[-1] else 'WRONG'}")
    check.claim("right in order, wrong in each shuffle", right == [True, False, False, False])

# %% [markdown]
# In order the answer is even right. A test that compares values can miss this bug for years. A
# **race** is a property of the program, not of the values: two threads touch one place, at least
# one of them writes, and no barrier lies between. The emulator's check mode remembers for every
# number who touched it last and since which barrier, and stops *before* the bad access:


# %%
def report(name, text, kernel="tiled"):
    """Run it in check mode; print the complaint and return it."""
    try:
        run(kernels(name, text)[kernel])
    except tg.cuda.KernelError as error:
        message, _, line = str(error).partition("\n")
        print(textwrap.fill(message, 96))
        print(line)
        return message
    print(f"{name}: no complaint")
    return ""


if CAN_RUN:
    check.claim("a race is reported", "data race" in report("no_barrier", BROKEN))
    check.claim("and nothing without the bug", report("conv1d", SOURCE) == "")

# %% [markdown]
# Read it like a sentence: which file and line, which thread writes, which other thread read the
# same four bytes at which line, and why nothing keeps the two apart. The repair is the barrier at
# the place that the report points to.
#
# > **Predict, then run.** Here are four more ways to break a kernel. There are four kinds of
# > complaint: a data race, an uninitialised read, an access out of bounds, a divergent barrier.
# > Which does each of the four get?

# %%
edits = {
    "no_first_barrier": ("        __syncthreads();  // full: the whole tile has arrived\n", ""),
    "no_halo": ("i + a < n ? x[c * n + i + a] : 0", "x[c * n + i + a]"),
    "short_halo": ("for (int a = 1; a < k; ++a) xs", "for (int a = 1; a < k - 1; ++a) xs"),
    "early_return": ("    float sum = 0;\n    for (int c = 0; c < C; ++c) {\n",
                     "    if (i + k > n) return;\n    float sum = 0;\n"
                     "    for (int c = 0; c < C; ++c) {\n"),
}  # fmt: skip
kinds = ("uninitialised read", "out of bounds", "uninitialised read", "divergent barrier")
for (name, (old, new)), kind in zip(edits.items(), kinds, strict=True):
    check.claim(f"{name}: the text to replace is there once", SOURCE.count(old) == 1)
    if CAN_RUN:
        check.claim(f"{name}: {kind}", kind in report(name, SOURCE.replace(old, new)))
        print()

# %% [markdown]
# 1. Without the first barrier a thread reads a number that nobody has put there yet.
# 2. Without its guard, the halo of the last block lies behind the end of $x$. A GPU might return
#    what happens to lie there, or stop the whole program.
# 3. A halo that is one too short: the same symptom as the first. No block ever writes that place,
#    so on a GPU the last output of each block is computed from whatever an earlier kernel left
#    there.
# 4. Threads that have nothing to compute left early, without fetching the numbers of $x$ that their
#    neighbours need, and a barrier is reached by a part of the block only. Older GPUs may hang
#    there; since Volta the barrier waits only for threads that have not exited, and the last
#    outputs are simply wrong. This is why `tiled` has its guard at the end.
#
# And the repaired kernel (the original text) passes, in a hundred different orders of threads and
# blocks. It also gives the **same bits** every time:

# %%
if CAN_RUN:
    answers = {run(kernels("conv1d", SOURCE, seed=seed).tiled).tobytes() for seed in range(100)}
    check.claim("tiled, 100 orders: different answers", len(answers), "1")

SCATTER = r"""
extern "C" __global__ void weight(float* dw, const float* x, const float* g, int m, int k) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;  // one thread, one input of g
    if (i >= m) return;
    for (int a = 0; a < k; ++a) atomicAdd(&dw[a], g[i] * x[i + a]);
}
"""
if CAN_RUN:
    answers, g = set(), rng.normal(size=n - k + 1).astype(np.float32)
    by_numpy = np.correlate(x[0].astype(float), g.astype(float), "valid")
    for seed in range(100):
        dw = np.zeros(k, np.float32)
        kernels("scatter", SCATTER, seed=seed).weight(blocks, 64, dw, x[0], g, n - k + 1, k)
        answers.add(dw.tobytes())
        if not np.allclose(dw, by_numpy, atol=1e-4):
            raise ValueError(f"order {seed}: {dw} for {by_numpy}")
    check.claim("scatter, 100 orders: several answers", len(answers) > 1)

# %% [markdown]
# The first kernel **gathers**: one thread owns one output and adds in a fixed order. The second
# one computes the weight gradient (3.14) the lazy way: thread $i$ **scatters** its products into
# all $k$ sums with `atomicAdd`, which is safe. But the sums are formed in whatever order the
# threads come, and in floating point $(a + b) + c \ne a + (b + c)$. The results differ in the last
# bits from run to run, and a training run cannot be repeated. tinygen's kernels all gather; where
# the sum is too long for one thread, partial sums are added up in a fixed order.
#
# ## 5. A ladder of kernels
#
# `kernels/conv2d.cu` in tinygen has the two-dimensional convolution in rising difficulty. All but
# the first kernel rest on one more rewriting. Put the patch under each output pixel into a row of
# a matrix $P$ (one row for each of the $M = N H_{\text{out}} W_{\text{out}}$ output pixels, with
# $K = C k^2$ numbers in it), and the kernels into the columns of a $K$ x $O$ matrix $W$. Then
# (3.2) is one matrix product:
#
# $$
# Y = P W, \qquad Y: M \times O \tag{3.18}
# $$

# %%
x, w = rng.normal(size=(2, 3, 8, 7)), rng.normal(size=(5, 3, 3, 3))
windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(2, 3))  # n c i j u v
P = windows.transpose(0, 2, 3, 1, 4, 5).reshape(2 * 6 * 5, 3 * 9)
Y = P @ w.reshape(5, 27).T
by_library = F.conv2d(tg.tensor(x), tg.tensor(w)).numpy()
check.equal("3.18", Y, by_library.transpose(0, 2, 3, 1).reshape(60, 5))

# %% [markdown]
# At stride 1, $P$ is about $k^2$ times as large as $x$, so no good kernel stores it ("implicit"
# matrix product: each thread works out where in $x$ an entry of $P$ lies). The work is $M K O$
# multiply-adds, whatever
# we do. What we can change is how often numbers are fetched. Let a block compute a tile of
# $B_M \times B_O$ outputs. It walks along $K$; for each step it fetches $B_M$ numbers of $P$ and
# $B_O$ numbers of $W$ into shared memory, and all $B_M B_O$ outputs use them. So there are
# $\frac{M}{B_M} \frac{O}{B_O}$ blocks, each reading $K (B_M + B_O)$ numbers:
#
# $$
# R = M K O \left( \frac{1}{B_M} + \frac{1}{B_O} \right) \tag{3.19}
# $$
#
# Without tiles ($B_M = B_O = 1$) that is two reads for each multiply-add. The kernel below is a
# template: the same text for tiles of $T \times T$ with $T = 1, 2, 4, 8, 16$. It counts again.
#
# > **Predict, then run.** From tiles of side 1 to tiles of side 16: how many times fewer reads? And
# > how much more shared memory does a block take?

# %%
TILES = r"""
template <int T>
__global__ void product(float* y, const float* p, const float* w, int M, int K, int O, int* reads) {
    __shared__ float ps[T][T], ws[T][T];
    int r = threadIdx.y, q = threadIdx.x, m = blockIdx.y * T + r, o = blockIdx.x * T + q;
    float sum = 0;
    for (int k0 = 0; k0 < K; k0 += T) {  // M, K and O are multiples of T here: no guards
        ps[r][q] = p[m * K + k0 + q];
        ws[r][q] = w[(k0 + r) * O + o];
        atomicAdd(reads, 2);
        __syncthreads();
        for (int k = 0; k < T; ++k) sum += ps[r][k] * ws[k][q];
        __syncthreads();
    }
    y[m * O + o] = sum;
}
"""
sides = (1, 2, 4, 8, 16)
M, K, O = 32, 48, 16
if CAN_RUN:
    ladder = kernels("tiles", TILES, instances=tuple(f"product<{T}>" for T in sides))
    p, w = rng.normal(size=(M, K)).astype(np.float32), rng.normal(size=(K, O)).astype(np.float32)
    counted = []
    for T in sides:
        y, reads = np.zeros((M, O), np.float32), np.zeros(1, np.int32)
        ladder[f"product<{T}>"]((O // T, M // T), (T, T), y, p, w, M, K, O, reads)
        check.claim(f"tile {T} x {T}: the product is right", abs(y - p @ w) < 1e-4)
        counted.append(int(reads[0]))
        print(f"{counted[-1]:6,} reads for {M * K * O:,} multiply-adds")
    check.equal("3.19", counted, [M * K * O * (1 / T + 1 / T) for T in sides])
    check.claim("times fewer reads with tiles of side 16", counted[0] / counted[-1], "16")

# %% [markdown]
# Sixteen times fewer, for 256 times as much shared memory: the reads go with the side of a tile,
# the memory with its area.

# %% [markdown]
# The ratio of work to traffic is called **arithmetic intensity**, in operations (FLOP: one
# multiplication or one addition) for each byte fetched. A multiply-add is two FLOP, a float four
# bytes, and (3.19) gives
#
# $$
# I = \frac{2 M K O}{4 R} = \frac{B_M B_O}{2 (B_M + B_O)} \tag{3.20}
# $$
#
# Only the tile enters. For squares it is a quarter of the side.

# %%
if CAN_RUN:
    measured = [2 * M * K * O / (4 * reads) for reads in counted]
    check.equal("3.20", measured, [T * T / (2 * (T + T)) for T in sides])
    check.claim("operations a byte at side 16: a quarter of it", measured[-1], "4")

# %% [markdown]
# Why does it matter? A machine has a peak rate of arithmetic $\pi$ and a memory bandwidth $\beta$.
# A kernel that does $F$ operations and moves $Q$ bytes takes at least the longer of the two times,
# so its rate is at most the smaller of two lines. This is the **roofline** (Williams and others,
# 2009):
#
# $$
# \frac{F}{\max(F / \pi, Q / \beta)} = \min(\pi, I \beta), \qquad I = F / Q \tag{3.21}
# $$
#
# Take a layer in the middle of a small GAN: 3 x 3, from 64 to 128 channels, 14 x 14 pixels, 128
# pictures; and an NVIDIA H200, with 67 TFLOP/s in float32, 495 TFLOP/s in its tensor cores (in the
# short format TF32) and 4.8 TB/s of bandwidth by its datasheet.
#
# > **Predict, then run.** How many operations a byte does a float32 kernel need to leave the
# > slanted part of the roof, and which is the smallest square tile of side 1, 2, 4, ... that has
# > them?

# %%
M, K, O = 128 * 14 * 14, 64 * 9, 128
work = 2 * M * K * O
once = 4 * (128 * 64 * 14**2 + M * O + K * O)  # bytes if every number moved once: x, y and w
beta, peaks = 4.8 * 1e12, {"fp32": 67e12, "TF32": 495e12}


def intensity(rows, columns):
    return rows * columns / (2 * (rows + columns))


rungs = [
    ("conv2d_naive", "fp32", intensity(1, 1)),
    ("conv2d_tile 16 x 16", "fp32", intensity(16, 16)),
    ("conv2d_gemm 64 x 64", "fp32", intensity(64, 64)),
    ("conv2d_gemm 128 x 128", "fp32", intensity(128, 128)),
    ("conv2d_tf32 128 x 64", "TF32", intensity(128, 64)),
    ("every number once", "TF32", work / once),
]
left = [work / max(work / peaks[unit], work / I / beta) for _, unit, I in rungs]
check.equal("3.21", left, [min(peaks[unit], I * beta) for _, unit, I in rungs])
check.claim("the layer's work, GFLOP", work / 1e9, "3.70")
check.claim("its numbers, each once, MB", once / 1e6, "19.6")
check.claim("operations a byte where the roof turns flat", peaks["fp32"] / beta, "13.96")
reach = next(T for T in (1, 2, 4, 8, 16, 32, 64) if intensity(T, T) >= peaks["fp32"] / beta)
check.claim("the side of the first tile that gets there", reach, "64")
at_most = {name: rate / 1e12 for (name, _, _), rate in zip(rungs, left, strict=True)}
check.claim("operations a byte if all numbers moved once", rungs[-1][2], "189.1")
check.claim("conv2d_naive, TFLOP/s at most", at_most["conv2d_naive"], "1.2")
check.claim("conv2d_gemm 64 x 64, TFLOP/s at most", at_most["conv2d_gemm 64 x 64"], "67")
print("kernel                 GB fetched   FLOP/byte   TFLOP/s at most   us at least")
for (name, _, I), rate in zip(rungs, left, strict=True):
    numbers = f"{work / I / 1e9:10.2f} {I:11.2f} {rate / 1e12:17.1f} {1e6 * work / rate:13.1f}"
    print(f"{name:22} {numbers}")

# %% tags=["figure"]
grid = np.geomspace(0.1, 400, 200)
figure, ax = plt.subplots(figsize=(7.5, 3.4))
for (unit, peak), colour in zip(peaks.items(), ("C0", "C1"), strict=True):
    ax.loglog(grid, np.minimum(peak, grid * beta) / 1e12, color=colour, label=f"roof, {unit}")
for (name, unit, I), rate in zip(rungs, left, strict=True):
    ax.plot(I, rate / 1e12, "o", color="C0" if unit == "fp32" else "C1")
    shift, side = {
        "conv2d_gemm 64 x 64": ((2, -26), "left"), "conv2d_tf32 128 x 64": ((-6, 6), "right")
    }.get(name, ((6, -12), "left"))  # fmt: skip
    label = name.replace("conv2d_", "")
    ax.annotate(label, (I, rate / 1e12), shift, textcoords="offset points", fontsize=8, ha=side)
ax.set(xlabel="FLOP for each byte fetched", ylabel="TFLOP/s, at most", xlim=(0.1, 2000))
ax.set_title("computed bounds, not measurements: larger tiles climb to the roof")
ax.legend(loc="upper left")
figure.tight_layout()
figures.show(
    figure,
    alt="Two rooflines on logarithmic axes, for float32 and TF32. Dots for the kernels climb the "
    "slope from conv2d_naive on the left; from tiles of 64 by 64 on they lie under the flat roof.",
)

# %% [markdown]
# The roof turns flat at 13.96 operations a byte, and side 64 is the first to get there (side 32 has
# eight). **These are bounds that we computed, not measured speeds.** No GPU has run these kernels
# for this lesson; `benchmarks/speed/kernels.py` measures them where there is one. The bounds also
# charge every read to the memory. In truth caches answer many of them, so the lower rungs can do
# better than their dot; and a kernel has other bills to pay (shared memory, address arithmetic,
# waiting), so the upper rungs do worse. What the picture does show is the order in which to work:
#
# 1. `conv2d_naive`: two reads for each multiply-add. Any shape, any type: the yardstick.
# 2. `conv2d_tile`: 16 x 16 tiles in shared memory, the kernel of (3.19) with guards and addresses.
# 3. `conv2d_gemm`: tiles of 64 x 64 and more. A thread owns 8 x 8 outputs in **registers**,
#    because by now the shared memory is what it waits for; the next slab travels while this one is
#    used.
# 4. `conv2d_tf32`: the same product on **tensor cores**, which multiply small matrices in one
#    instruction, with inputs rounded to 10 bits of mantissa.
#
# What does that rounding cost? To round to 10 bits after the leading one moves a number by at most
# $\delta = 2^{-11}$ of itself. A product of two rounded numbers is then off by at most
# $2 \delta + \delta^2$ of itself; the sum stays in float32. We allow it $2 K \epsilon$, twice
# (3.16) to first order: this covers the factor $(1 + \delta)^2$, and tensor cores that cut off
# instead of
# rounding. (The emulator rounds, so the cell does not test that part.)
#
# $$
# \left| \hat y_i - y_i \right| \le \left( 2 \delta + \delta^2 + 2 K \epsilon \right)
# \sum_{c, u, v} \left| w \thinspace x \right|, \qquad \delta = 2^{-11} \tag{3.22}
# $$
#
# The cell runs four rungs of tinygen's own ladder, in check mode, on one small layer, and compares
# each with float64.

# %%
delta = 2.0**-11


def allowed_tf32(K, sizes):
    return (2 * delta + delta**2 + 2 * K * epsilon) * sizes


def ladder_error(version, x, w):
    """The error of one rung of tinygen's ladder, padding 1, and the sum of absolute values."""
    exact = conv2d_by_loops(x, w, np.zeros(len(w)), 1, 1, 1)
    with tg.cuda.emulated():
        y = tg.cuda.convolution.conv2d(x, w, (1, 1), (1, 1), (1, 1), 1, version=version)
    return abs(y - exact), conv2d_by_loops(abs(x), abs(w), np.zeros(len(w)), 1, 1, 1)


if CAN_RUN:
    x = rng.normal(size=(1, 8, 6, 6)).astype(np.float32)
    w = rng.normal(size=(16, 8, 3, 3)).astype(np.float32)
    for version in ("naive", "tile", "gemm_64x64"):
        error, sizes = ladder_error(version, x, w)
        check.claim(f"conv2d_{version}: right to 4 digits", error < 1e-4)
    error, sizes = ladder_error("tf32_64x64", x, w)
    check.claim("conv2d_tf32_64x64: its largest error", error.max(), "0.008")
    check.at_most("3.22", error, allowed_tf32(72, sizes), slack=0)  # 8 channels, 9 taps
    # Two numbers just below the middle between two of TF32: rounded, each loses delta.
    x, w = np.zeros_like(x), np.zeros_like(w)
    x[:, 0], w[:, 0, 1, 1] = 1 + delta - 2.0**-23, 1 + delta - 2.0**-23  # one product an output
    error, sizes = ladder_error("tf32_64x64", x, w)
    used = error / allowed_tf32(72, sizes)  # all alike
    check.claim("an unlucky product uses of its bound", used.flat[0], "0.9901")
folder.cleanup()

# %% [markdown]
# ## Exercises
#
# ### Exercise 3.1
#
# `receptive_field(layers)`: `layers` is a list of `(kernel, stride, dilation)`, first layer first.
# How wide a stretch of the input does one number of the last output depend on? Think backwards: an
# output that depends on $r$ neighbouring numbers of the layer before.


# %%
def receptive_field(layers): ...


check.exercise("3.1", receptive_field)

# %% [markdown]
# ### Exercise 3.2
#
# "Enlarge": every pixel of an (H, W) picture becomes a 2 x 2 block of equal pixels. Write
# `enlarge_vjp(g)` for a cotangent $g$ of shape (2H, 2W). No loops are needed.


# %%
def enlarge_vjp(g): ...


check.exercise("3.2", enlarge_vjp)

# %% [markdown]
# ### Exercise 3.3
#
# The transposed convolution of kernel 4, stride 2, padding 1 on a line, without a single
# multiplication by zero: `transposed_4_2_1(g, w)` takes $g$ of length $m$ and $w$ of length 4 and
# returns $2m$ numbers. Write down from (3.7) which two taps the even outputs see, and which two
# the odd ones.


# %%
def transposed_4_2_1(g, w): ...


check.exercise("3.3", transposed_4_2_1)

# %% [markdown]
# ### Exercise 3.4
#
# Write a CUDA kernel. The transposed convolution of stride 1, $x_j = \sum_a w_a g_{j - a}$ for
# $j = 0, \dots, m + k - 2$ (where $g$ counts as 0 outside). The text must define
#
# `extern "C" __global__ void transposed(float* x, const float* g, const float* w, int m, int k)`
#
# It is launched with 32 threads a block and just enough blocks for one thread for each $x_j$. It
# is run in check mode, in several orders of threads, and must give the same bits in all of them:
# gather, do not scatter.

# %%
my_kernel = ...  # a string: r""" extern "C" __global__ void transposed(...) { ... } """

check.exercise("3.4", my_kernel)

# %% [markdown]
# ### Exercise 3.5
#
# `least_time(N, C, O, H, W, k, peak, bandwidth)`: the seconds below which no machine with this
# peak (FLOP/s) and bandwidth (bytes/s) can compute a float32 convolution of stride 1 that keeps
# the picture's size ($k$ odd, padding $(k - 1)/2$; count taps on the padding as work). Every
# number of $x$, $w$ and $y$ has to move once.


# %%
def least_time(N, C, O, H, W, k, peak, bandwidth): ...


check.exercise("3.5", least_time)

# %% [markdown]
# ## What you can say now
#
# - A convolution is a sparse matrix with the same few numbers in every row, so it treats every
#   place alike.
# - Its transpose hands out what it had collected: a layer that enlarges, one step of a
#   deconvolution, and the gradient with respect to the input.
# - $s$ sizes lead to one, so going back needs to be told which. A stride that does not divide the
#   kernel makes a checkerboard.
# - Convolution, transposed convolution and weight gradient are the three sides of one trilinear
#   form; each one's derivatives are the other two, so derivatives of any order need no new code.
#   In the weight gradient stride and dilation change places.
# - A kernel is the program of one thread; shared memory needs two barriers, one for "full" and one
#   for "free", and a missing one is a race even when the values are right.
# - Who gathers gets the same bits every time.
# - Speed is a matter of how often a number that was fetched gets used: for tiles of side $T$, $T/4$
#   operations a byte.
#
# ## The full-size run
#
# `python benchmarks/speed/kernels.py` times the kernels that tinygen chooses for ten layer shapes,
# forward and both gradients, beside computed floors and beside PyTorch. It needs an NVIDIA GPU and
# CuPy, and this page has no result of it. Without a GPU,
# `python -m pytest -q tests/cuda/test_kernels.py` runs tinygen's kernels in check mode over random
# shapes. The kernels are in `kernels/`, the emulator in `kernels/emulator/`.
#
# ## Further reading
#
# - V. Dumoulin, F. Visin, *A guide to convolution arithmetic for deep learning*, 2016: all the
#   sizes.
# - A. Odena, V. Dumoulin, C. Olah, *Deconvolution and checkerboard artifacts*, 2016.
# - M. Zeiler, D. Krishnan, G. Taylor, R. Fergus, *Deconvolutional networks*, 2010: where the name
#   comes from, and there it does mean undoing.
# - A. Radford, L. Metz, S. Chintala, *Unsupervised representation learning with deep convolutional
#   generative adversarial networks*, 2016: "fractionally-strided".
# - L. Landweber, *An iteration formula for Fredholm integral equations of the first kind*, 1951:
#   equation (3.11).
# - N. Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd edition, 2002: equation
#   (3.16).
# - S. Williams, A. Waterman, D. Patterson, *Roofline: an insightful visual performance model*,
#   2009.
