"""Layers of GANs: units that take a maximum, and layers that look at more than one example.

Against collapse (a discriminator that sees how alike the samples of a batch are) and against the
noise of batch norm (statistics of a fixed reference batch).
"""

from __future__ import annotations

from ... import nn
from ...checks import positive
from ...ops import abs, amax, cat, exp, mean, rsqrt, sqrt, square
from ...tensor import Tensor

__all__ = [
    "Maxout", "MinibatchDiscrimination", "MinibatchStdDev", "ReferenceBatchNorm", "WithReference",
    "referenced",
]  # fmt: skip


class Maxout(nn.Module):
    """The largest of `pieces` linear maps, for each unit: (B, in_features) -> (B, out_features).

    Goodfellow et al. 2013 (arXiv:1302.4389).

    >>> import tinygen as tg
    >>> tg.models.nets.Maxout(4, 3, pieces=2)(tg.zeros(5, 4)).shape
    (5, 3)
    """

    def __init__(self, in_features: int, out_features: int, pieces: int = 5) -> None:
        super().__init__()
        self.linear = nn.Linear(in_features, out_features * pieces)
        self.shape = (out_features, pieces)

    def forward(self, x: Tensor) -> Tensor:
        """max_p (W_p x + b_p): (B, in_features) -> (B, out_features)."""
        return amax(self.linear(x).unflatten(1, self.shape), 2)


class MinibatchDiscrimination(nn.Module):
    """Features x (B, A) -> (B, A + kernels): how close each example is to the rest of its batch.

    M_i = T x_i in `kernels` x `dims`; o_b(x_i) = sum over j != i of exp(-|M_ib - M_jb|_1). A batch
    of look-alikes gives itself away (Salimans et al. 2016, arXiv:1606.03498).

    >>> import tinygen as tg
    >>> alike = tg.zeros(5, 2)                     # each is as near as can be to the 4 others
    >>> tg.models.nets.MinibatchDiscrimination(2, kernels=1)(alike)[0]
    tensor([0., 0., 4.], grad_fn=<getitem>)
    """

    def __init__(self, features: int, kernels: int = 16, dims: int = 8) -> None:
        super().__init__()
        self.project = nn.Linear(features, kernels * dims, bias=False)
        self.shape = (kernels, dims)

    def forward(self, x: Tensor) -> Tensor:
        """Features (B, A) -> (B, A + kernels), the closeness beside them."""
        m = self.project(x).unflatten(1, self.shape)
        distance = abs(m.unsqueeze(0) - m.unsqueeze(1)).sum(3)  # (B, B, kernels)
        closeness = exp(-distance).sum(1) - 1.0  # without the example itself, exp(0)
        return cat([x, closeness], 1)


class MinibatchStdDev(nn.Module):
    """One more plane, how much the examples of a group differ: (B, C, H, W) -> (B, C + 1, H, W).

    The standard deviation of every number over `group` examples (of a batch of 2 groups: numbers 0,
    2, 4, .. and 1, 3, 5, ..), averaged to one number a group (Karras et al. 2018, arXiv:1710.10196;
    groups: their code). Where `group` does not divide the batch it is the next smaller size that
    does.

    >>> import tinygen as tg
    >>> alike = tg.models.nets.MinibatchStdDev()(tg.ones(8, 3, 2, 2))
    >>> alike.shape, round(alike[:, -1].max().item(), 3)
    ((8, 4, 2, 2), 0.0)
    """

    def __init__(self, group: int = 4) -> None:
        super().__init__()
        positive("MinibatchStdDev", group=group)
        self.group = group

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C + 1, H, W), the new plane last."""
        n = x.shape[0]
        if not n:
            return cat([x, x[:, :1]], 1)
        size = next(k for k in range(min(self.group, n), 0, -1) if n % k == 0)
        groups = x.unflatten(0, (size, n // size))
        variance = mean(square(groups - mean(groups, 0, keepdim=True)), 0)
        deviation = mean(sqrt(variance + 1e-8), (1, 2, 3), keepdim=True)  # (groups, 1, 1, 1)
        plane = deviation.repeat(size, 1, *x.shape[2:])
        return cat([x, plane], 1)


class ReferenceBatchNorm(nn.Module):
    """Batch norm whose statistics are those of a fixed reference batch: (B, C, ...) -> (B, C, ...).

    own=True, virtual batch norm: of the n reference examples and the example itself, as one of n +
    1. An example's output then does not depend on its batch-mates. Works inside `WithReference`,
    which sends the reference batch through first; RuntimeError elsewhere. Salimans et al. 2016
    (arXiv:1606.03498).
    """

    def __init__(self, features: int, own: bool = True, eps: float = 1e-5) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(_ones(features)), nn.Parameter(_ones(features) * 0.0)
        self.own, self.eps, self.collecting = own, eps, False
        self.moments: tuple[int, Tensor, Tensor] | None = None

    def forward(self, x: Tensor) -> Tensor:
        """weight (x - m) / sqrt(v + eps) + bias, shaped as x."""
        space = tuple(range(2, x.ndim))  # each example's own moments, (B, C, 1, ...), come first
        centre = mean(x, space, keepdim=True) if space else x
        within = mean(square(x - centre), space, keepdim=True) if space else x * 0.0
        if self.collecting:
            m = mean(centre, 0, keepdim=True)
            v = mean(within + square(centre - m), 0, keepdim=True)
            self.moments = (x.shape[0], m, v)
        if self.moments is None:
            raise RuntimeError(
                "ReferenceBatchNorm: no reference batch yet; call the net through WithReference"
            )
        n, m, v = self.moments
        if self.own and not self.collecting:
            of_all = (n * m + centre) / (n + 1)
            v = (n * (v + square(m - of_all)) + within + square(centre - of_all)) / (n + 1)
            m = of_all
        shape = (1, x.shape[1]) + (1,) * len(space)
        out: Tensor = (x - m) * rsqrt(v + self.eps)
        out = out * self.weight.reshape(shape) + self.bias.reshape(shape)
        return out


def _ones(n: int) -> Tensor:
    return Tensor([1.0] * n)


class WithReference(nn.Module):
    """A net with ReferenceBatchNorm layers, and the batch they refer to (kept as a buffer).

    Every call costs two: the reference batch goes through the present weights first.
    """

    reference: Tensor

    def __init__(self, net: nn.Module, reference: Tensor) -> None:
        super().__init__()
        self.net = net
        self.register_buffer("reference", reference)

    def forward(self, x: Tensor) -> Tensor:
        """net(x), after the reference batch went through to give the statistics."""
        layers = [m for m in self.net.modules() if isinstance(m, ReferenceBatchNorm)]
        for layer in layers:
            layer.collecting = True
        self.net(self.reference)
        for layer in layers:
            layer.collecting = False
        out: Tensor = self.net(x)
        for layer in layers:
            layer.moments = None  # let go of the graph
        return out


def referenced(net: nn.Module, reference: Tensor, own: bool = True) -> WithReference:
    """The net with every batch norm replaced by that of a reference batch; own: virtual.

    The net itself is changed. For G the batch is one of codes, for D one of data (packed, or with
    labels, as D sees them).

    >>> import tinygen as tg
    >>> net = tg.models.nets.mlp([2, 8, 1], batch_norm=True)
    >>> tg.models.nets.referenced(net, tg.randn(16, 2))(tg.zeros(1, 2)).shape      # a batch of one
    (1, 1)
    """
    for module in list(net.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.BatchNorm2d):  # BatchNorm1d is one too
                norm = ReferenceBatchNorm(child.num_features, own, child.eps)
                if child.weight is not None and child.bias is not None:
                    norm.weight, norm.bias = child.weight, child.bias
                setattr(module, name, norm)
    return WithReference(net, reference)
