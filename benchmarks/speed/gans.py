"""More of workloads.py: larger GANs. The networks are those of tinygen/models."""

from typing import Any

from workloads import Step


def _normed(torch: Any, module: Any) -> Any:
    """The module under a spectral norm whose power iteration starts from one vector for all."""
    made = torch.nn.utils.spectral_norm(module)
    with torch.no_grad():
        made.weight_u.copy_(torch.ones(*made.weight_u.shape) / len(made.weight_u) ** 0.5)
    return made


def biggan(torch: Any, device: str, batch: int = 64, width: int = 32, depth: int = 1) -> Step:
    """BigGAN at 28 px (Brock et al. 2019), ten classes: a step of D by the hinge, then one of G.

    depth: additional residual blocks in D at 7 px.
    """
    nn, F = torch.nn, torch.nn.functional
    piece, shared = 16, 32

    def conv(a: int, b: int, size: int = 3, bias: bool = True) -> Any:
        return _normed(torch, nn.Conv2d(a, b, size, 1, size // 2, bias=bias))

    class Norm(nn.Module):
        def __init__(self, channels: int) -> None:
            super().__init__()
            self.norm = nn.BatchNorm2d(channels, affine=False)
            self.scale, self.shift = (
                _normed(torch, nn.Linear(shared + piece, channels, bias=False)) for _ in range(2)
            )

        def forward(self, x: Any, told: Any) -> Any:
            scale, shift = 1 + self.scale(told), self.shift(told)
            return self.norm(x) * scale[:, :, None, None] + shift[:, :, None, None]

    class Up(nn.Module):
        def __init__(self, a: int, b: int) -> None:
            super().__init__()
            self.norm1, self.norm2 = Norm(a), Norm(b)
            self.conv1, self.conv2, self.skip = conv(a, b), conv(b, b), conv(a, b, 1)
            self.up = nn.Upsample(scale_factor=2)

        def forward(self, x: Any, told: Any) -> Any:
            h = self.conv1(self.up(F.relu(self.norm1(x, told))))
            return self.conv2(F.relu(self.norm2(h, told))) + self.up(self.skip(x))

    class Down(nn.Module):
        def __init__(self, a: int, b: int, halve: bool) -> None:
            super().__init__()
            self.first, self.halve = a == 1, halve
            self.conv1, self.conv2 = conv(a, b), conv(b, b)
            self.skip = conv(a, b, 1) if halve else nn.Identity()

        def forward(self, x: Any) -> Any:
            h = self.conv2(F.relu(self.conv1(x if self.first else F.relu(x))))
            if self.halve:
                h, x = F.avg_pool2d(h, 2), F.avg_pool2d(x, 2)
            return h + self.skip(x)

    class Attention(nn.Module):
        def __init__(self, channels: int) -> None:
            super().__init__()
            sizes = (channels // 8, channels // 8, channels // 2)
            self.query, self.key, self.value = (conv(channels, n, 1, False) for n in sizes)
            self.out = conv(channels // 2, channels, 1, False)
            self.gamma = nn.Parameter(torch.zeros(()))

        def forward(self, x: Any) -> Any:
            keys, values = (F.max_pool2d(f(x), 2) for f in (self.key, self.value))
            q, k, v = (part.flatten(2).transpose(1, 2) for part in (self.query(x), keys, values))
            seen = F.scaled_dot_product_attention(q, k, v, scale=1.0).transpose(1, 2)
            return x + self.gamma * self.out(seen.unflatten(2, x.shape[2:]))

    class G(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(10, shared)
            self.first = _normed(torch, nn.Linear(piece, 2 * width * 49))
            self.up1, self.up2 = Up(2 * width, 2 * width), Up(2 * width, width)
            self.attention = Attention(2 * width)
            self.last = nn.Sequential(nn.BatchNorm2d(width), nn.ReLU(), conv(width, 1))

        def forward(self, z: Any, labels: Any) -> Any:
            label, (first, one, two) = self.embedding(labels), z.split(piece, 1)
            x = self.first(first).unflatten(1, (-1, 7, 7))
            x = self.attention(self.up1(x, torch.cat([label, one], 1)))
            return torch.tanh(self.last(self.up2(x, torch.cat([label, two], 1))))

    class D(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.trunk = nn.Sequential(
                Down(1, width, True), Attention(width), Down(width, 2 * width, True),
                *(Down(2 * width, 2 * width, False) for _ in range(depth)),
            )  # fmt: skip
            self.psi = _normed(torch, nn.Linear(2 * width, 1))
            self.embedding = _normed(torch, nn.Embedding(10, 2 * width))

        def forward(self, x: Any, labels: Any) -> Any:
            phi = F.relu(self.trunk(x)).sum((2, 3))
            return self.psi(phi).flatten(0) + (self.embedding(labels) * phi).sum(1)

    generator, judge = G().to(device), D().to(device)
    g_optimizer = torch.optim.Adam(generator.parameters(), lr=5e-4, betas=(0.0, 0.999))
    d_optimizer = torch.optim.Adam(judge.parameters(), lr=1e-3, betas=(0.0, 0.999))
    x = torch.rand(batch, 1, 28, 28, device=device) * 2 - 1
    labels = torch.randint(0, 10, (batch,), device=device)
    filters = [p for name, p in generator.named_parameters()
               if p.ndim > 1 and not name.startswith("embedding")]  # fmt: skip

    def overlap(weight: Any) -> Any:
        rows = weight.flatten(1)
        return (rows @ rows.T * (1 - torch.eye(len(rows), device=device))).square().sum()

    def step() -> Any:
        with torch.no_grad():
            made = generator(torch.randn(batch, 3 * piece, device=device), labels)
        d_loss = F.relu(1 - judge(x, labels)).mean() + F.relu(1 + judge(made, labels)).mean()
        d_optimizer.zero_grad()
        d_loss.backward()
        d_optimizer.step()
        judge.requires_grad_(False)
        made = generator(torch.randn(batch, 3 * piece, device=device), labels)
        loss = -judge(made, labels).mean() + 1e-4 * sum(overlap(p) for p in filters)
        g_optimizer.zero_grad()
        loss.backward()
        g_optimizer.step()
        judge.requires_grad_(True)
        return loss

    return step


STEPS = {"14 BigGAN 28 px": biggan}
