"""More of workloads.py: a step of StyleGAN2, whose weights differ from picture to picture."""

import math
from typing import Any

from workloads import Step


def _generator(torch: Any, dim: int, channels: list[int]) -> Any:
    """Styles (B, levels, dim) -> pictures (B, 3, 4 2^n, ..); its mapping network is `mapping`."""
    nn, F = torch.nn, torch.nn.functional

    class Modulated(nn.Module):
        """Its weights, scaled by the style: a grouped convolution, each picture a group."""

        def __init__(self, a: int, b: int, size: int, up: bool = False, norm: bool = True) -> None:
            super().__init__()
            self.weight, self.affine = (
                nn.Parameter(torch.randn(b, a, size, size)),
                nn.Linear(dim, a),
            )
            self.scale, self.size, self.up, self.norm = 1 / math.sqrt(a * size**2), size, up, norm
            self.register_buffer("taps", torch.tensor([1.0, 3.0, 3.0, 1.0]) / 4)

        def forward(self, x: Any, w: Any) -> Any:
            (n, a, height, width), (b, k) = x.shape, (self.weight.shape[0], self.size)
            style = 1 + self.affine(w)
            weight = self.scale * self.weight * style.reshape(n, 1, a, 1, 1)
            if self.norm:
                weight = weight * ((weight**2).sum((2, 3, 4), keepdim=True) + 1e-8).rsqrt()
            x = x.reshape(1, n * a, height, width)
            if not self.up:
                weight = weight.reshape(n * b, a, k, k)
                return F.conv2d(x, weight, padding=k // 2, groups=n).reshape(n, b, height, width)
            weight = weight.transpose(1, 2).reshape(n * a, b, k, k)
            y = F.conv_transpose2d(x, weight, stride=2, groups=n)
            planes = y.reshape(n * b, 1, 2 * height + 1, 2 * width + 1)
            kernel = (self.taps[:, None] * self.taps).reshape(1, 1, 4, 4)
            return F.conv2d(planes, kernel, padding=1).reshape(n, b, 2 * height, 2 * width)

    class Styled(nn.Module):
        def __init__(self, a: int, b: int, up: bool = False) -> None:
            super().__init__()
            self.conv, self.bias = Modulated(a, b, 3, up), nn.Parameter(torch.zeros(b, 1, 1))
            self.strength = nn.Parameter(torch.zeros(1))

        def forward(self, x: Any, w: Any) -> Any:
            x = self.conv(x, w)
            noise = torch.randn(len(x), 1, *x.shape[2:], device=x.device)
            return F.leaky_relu(x + self.strength * noise + self.bias, 0.2) * math.sqrt(2)

    class Generator(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            layers = [layer for _ in range(4) for layer in (nn.Linear(dim, dim), nn.LeakyReLU(0.2))]
            self.mapping = nn.Sequential(*layers)
            self.constant = nn.Parameter(torch.randn(1, channels[0], 4, 4))
            self.first = Styled(channels[0], channels[0])
            pairs = list(zip(channels, channels[1:]))
            self.ups = nn.ModuleList([Styled(a, b, up=True) for a, b in pairs])
            self.others = nn.ModuleList([Styled(b, b) for _, b in pairs])
            self.to_rgb = nn.ModuleList([Modulated(c, 3, 1, norm=False) for c in channels])

        def forward(self, w: Any) -> Any:
            x = self.first(self.constant.expand(len(w), -1, -1, -1), w[:, 0])
            picture = self.to_rgb[0](x, w[:, 1])
            for k, (up, other) in enumerate(zip(self.ups, self.others)):
                x = other(up(x, w[:, 2 * k + 1]), w[:, 2 * k + 2])
                picture = F.interpolate(picture, scale_factor=2, mode="bilinear")
                picture = picture + self.to_rgb[k + 1](x, w[:, 2 * k + 3])
            return picture

    return Generator()


def _discriminator(torch: Any, channels: list[int]) -> Any:
    """Residual blocks; how much a group of four differs, beside the features."""
    nn, F = torch.nn, torch.nn.functional

    class Halving(nn.Module):
        def __init__(self, a: int, b: int) -> None:
            super().__init__()
            self.first, self.second = nn.Conv2d(a, a, 3, 1, 1), nn.Conv2d(a, b, 3, 1, 1)
            self.skip = nn.Conv2d(a, b, 1, bias=False)

        def forward(self, x: Any) -> Any:
            y = F.leaky_relu(self.first(x), 0.2)
            y = F.leaky_relu(self.second(F.avg_pool2d(y, 2)), 0.2)
            return (y + self.skip(F.avg_pool2d(x, 2))) / math.sqrt(2)

    class Discriminator(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(
                nn.Conv2d(3, channels[-1], 1), nn.LeakyReLU(0.2),
                *[Halving(a, b) for a, b in zip(channels[::-1], channels[-2::-1])],
            )  # fmt: skip
            c = channels[0]
            self.head = nn.Sequential(
                nn.Conv2d(c + 1, c, 3, 1, 1), nn.LeakyReLU(0.2), nn.Flatten(),
                nn.Linear(16 * c, c), nn.LeakyReLU(0.2), nn.Linear(c, 1), nn.Flatten(0),
            )  # fmt: skip

        def forward(self, x: Any) -> Any:
            x = self.body(x)
            groups = x.reshape(4, -1, *x.shape[1:])
            variance = ((groups - groups.mean(0, keepdim=True)) ** 2).mean(0)
            spread = (variance + 1e-8).sqrt().mean((1, 2, 3))
            plane = spread.repeat(4).reshape(-1, 1, 1, 1).expand(-1, 1, 4, 4)
            return self.head(torch.cat([x, plane], 1))

    return Discriminator()


def stylegan2(torch: Any, device: str, batch: int = 32, width: int = 16, depth: int = 3) -> Step:
    """StyleGAN2 (Karras et al. 2020), 4 2^depth pixels: a step of D and one of G, mixed styles.

    Lazily: R1 each 16 steps, path lengths of half a batch each 4.
    """
    F, dim, levels = torch.nn.functional, 4 * width, 2 * depth + 2
    channels = [min(width * 2 ** (depth - k), 4 * width) for k in range(depth + 1)]
    net = _generator(torch, dim, channels).to(device)
    judge = _discriminator(torch, channels).to(device)
    g_optimizer = torch.optim.Adam(net.parameters(), lr=2e-3, betas=(0.0, 0.99))
    d_optimizer = torch.optim.Adam(judge.parameters(), lr=2e-3, betas=(0.0, 0.99))
    x = torch.rand(batch, 3, 4 * 2**depth, 4 * 2**depth, device=device) * 2 - 1
    done, mean_length = 0, torch.zeros(1, device=device)

    def styles(n: int) -> Any:
        a, b = (net.mapping(torch.randn(n, dim, device=device)) for _ in range(2))
        return torch.stack([a] * (levels // 2) + [b] * (levels - levels // 2), 1)

    def r1() -> Any:
        real = x.detach().requires_grad_()
        (slope,) = torch.autograd.grad(judge(real).sum(), real, create_graph=True)
        return 0.5 * (slope**2).sum((1, 2, 3)).mean()

    def path() -> Any:
        nonlocal mean_length
        w = styles(max(4, batch // 2))
        made = net(w)
        y = torch.randn(*made.shape, device=device) / math.sqrt(made.shape[2] * made.shape[3])
        (slope,) = torch.autograd.grad((made * y).sum(), w, create_graph=True)
        lengths = (slope**2).sum(2).mean(1).sqrt()
        mean_length = (mean_length + 0.01 * (lengths.mean() - mean_length)).detach()
        return ((lengths - mean_length) ** 2).mean()

    def step() -> Any:
        nonlocal done
        with torch.no_grad():
            made = net(styles(batch))
        d_loss = F.softplus(-judge(x)).mean() + F.softplus(judge(made)).mean()
        if done % 16 == 0:
            d_loss = d_loss + 16 * 0.1 * r1()
        d_optimizer.zero_grad()
        d_loss.backward()
        d_optimizer.step()
        judge.requires_grad_(False)
        loss = F.softplus(-judge(net(styles(batch)))).mean()
        if done % 4 == 0:
            loss = loss + 4 * 2.0 * path()
        g_optimizer.zero_grad()
        loss.backward()
        g_optimizer.step()
        judge.requires_grad_(True)
        done += 1
        return loss + d_loss

    return step


STEPS = {"15 StyleGAN2 32 px": stylegan2}
