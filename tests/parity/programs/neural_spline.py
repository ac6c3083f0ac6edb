"""Rational-quadratic splines with linear tails: masked assignment, in-place changes of slices."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import distributions as D
from torch import nn

MIN_BIN_WIDTH = MIN_BIN_HEIGHT = MIN_DERIVATIVE = 1e-3


def searchsorted(bin_locations, inputs, eps=1e-6):
    bin_locations[..., -1] += eps
    return torch.sum(inputs[..., None] >= bin_locations, dim=-1) - 1


def unconstrained_rqs(inputs, widths, heights, derivatives, inverse=False, tail_bound=3.0):
    inside = (inputs >= -tail_bound) & (inputs <= tail_bound)
    outside = ~inside
    outputs = torch.zeros_like(inputs)
    logabsdet = torch.zeros_like(inputs)
    derivatives = F.pad(derivatives, pad=(1, 1))
    constant = np.log(np.exp(1 - MIN_DERIVATIVE) - 1)
    derivatives[..., 0] = constant
    derivatives[..., -1] = constant
    outputs[outside] = inputs[outside]
    logabsdet[outside] = 0
    outputs[inside], logabsdet[inside] = rqs(
        inputs[inside], widths[inside, :], heights[inside, :], derivatives[inside, :], inverse,
        -tail_bound, tail_bound,
    )  # fmt: skip
    return outputs, logabsdet


def knots(unnormalized, low, high, least):
    num_bins = unnormalized.shape[-1]
    sizes = F.softmax(unnormalized, dim=-1)
    sizes = least + (1 - least * num_bins) * sizes
    at = torch.cumsum(sizes, dim=-1)
    at = F.pad(at, pad=(1, 0), mode="constant", value=0.0)
    at = (high - low) * at + low
    at[..., 0] = low
    at[..., -1] = high
    return at, at[..., 1:] - at[..., :-1]


def rqs(inputs, w, h, d, inverse, low, high):
    cumwidths, widths = knots(w, low, high, MIN_BIN_WIDTH)
    cumheights, heights = knots(h, low, high, MIN_BIN_HEIGHT)
    derivatives = MIN_DERIVATIVE + F.softplus(d)
    bin_idx = searchsorted((cumheights if inverse else cumwidths).detach().clone(), inputs)
    bin_idx = bin_idx[..., None]
    x0 = cumwidths.gather(-1, bin_idx)[..., 0]
    bin_w = widths.gather(-1, bin_idx)[..., 0]
    y0 = cumheights.gather(-1, bin_idx)[..., 0]
    delta = heights / widths
    s = delta.gather(-1, bin_idx)[..., 0]
    d0 = derivatives.gather(-1, bin_idx)[..., 0]
    d1 = derivatives[..., 1:].gather(-1, bin_idx)[..., 0]
    bin_h = heights.gather(-1, bin_idx)[..., 0]
    if inverse:
        a = (inputs - y0) * (d0 + d1 - 2 * s) + bin_h * (s - d0)
        b = bin_h * d0 - (inputs - y0) * (d0 + d1 - 2 * s)
        c = -s * (inputs - y0)
        discriminant = b.pow(2) - 4 * a * c
        assert (discriminant >= 0).all()
        theta = (2 * c) / (-b - torch.sqrt(discriminant))
        outputs = theta * bin_w + x0
    else:
        theta = (inputs - x0) / bin_w
    between = theta * (1 - theta)
    denominator = s + (d0 + d1 - 2 * s) * between
    if not inverse:
        outputs = y0 + bin_h * (s * theta.pow(2) + d0 * between) / denominator
    numerator = s.pow(2) * (d1 * theta.pow(2) + 2 * s * between + d0 * (1 - theta).pow(2))
    logabsdet = torch.log(numerator) - 2 * torch.log(denominator)
    return outputs, -logabsdet if inverse else logabsdet


class Coupling(nn.Module):
    def __init__(self, features, hidden=16, num_bins=5):
        super().__init__()
        self.num_bins = num_bins
        mask = torch.arange(features) % 2
        self.register_buffer("identity", torch.nonzero(mask == 0).squeeze(1))
        self.register_buffer("transformed", torch.nonzero(mask == 1).squeeze(1))
        n = len(self.transformed)
        self.net = nn.Sequential(
            nn.Linear(features - n, hidden), nn.ELU(), nn.Linear(hidden, n * (3 * num_bins - 1))
        )

    def forward(self, x, inverse=False):
        a, b = x[:, self.identity], x[:, self.transformed]
        params = self.net(a).reshape(*b.shape, -1)
        w, h, d = params.split([self.num_bins, self.num_bins, self.num_bins - 1], dim=-1)
        b, logabsdet = unconstrained_rqs(b, w, h, d, inverse)
        out = torch.empty_like(x)
        out[:, self.identity] = a
        out[:, self.transformed] = b
        return out, logabsdet.sum(dim=-1)


def build():
    return {"layers": nn.ModuleList([Coupling(4), Coupling(4)])}


def train(models, data):
    layers, losses = models["layers"], []
    x = torch.tensor(data["points"]).to(torch.get_default_dtype())
    base = D.Independent(D.Normal(torch.zeros(4), torch.ones(4)), 1)
    optimizer = torch.optim.Adam(layers.parameters(), lr=1e-2)
    for _ in range(6):
        z, total = x, x.new_zeros(x.size(0))
        for layer in layers:
            z, logabsdet = layer(z)
            z, total = z.flip(dims=(1,)), total + logabsdet
        loss = -(base.log_prob(z) + total).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    with torch.no_grad():
        z, logabsdet = layers[0](x)
        back, minus = layers[0](z, inverse=True)
        losses += [
            bool((back - x).abs().max() < 1e-6),
            bool((minus + logabsdet).abs().max() < 1e-5),
        ]
    return losses
