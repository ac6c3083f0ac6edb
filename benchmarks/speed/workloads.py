"""Training steps written once and run by tinygen and by PyTorch: the argument `torch` is either
module.

Each function builds a model and returns one training step (the last: one sampling run) as a
function of nothing. `batch`, `width` (channels) and `depth` are what `steps.py --scale` varies."""

import math
from typing import Any

Step = Any


def mlp_vae(torch: Any, device: str, batch: int = 128, width: int = 512, depth: int = 1) -> Step:
    """784-512-20 VAE with Adam."""
    nn, F = torch.nn, torch.nn.functional

    def mlp(*sizes: int) -> Any:
        layers: list[Any] = []
        for a, b in zip(sizes, sizes[1:], strict=False):
            layers += [nn.Linear(a, b), nn.ReLU()]
        return nn.Sequential(*layers[:-1]).to(device)

    encode, decode = mlp(784, *[width] * depth, 40), mlp(20, *[width] * depth, 784)
    optimizer = torch.optim.Adam([*encode.parameters(), *decode.parameters()], lr=1e-3)
    x = torch.rand(batch, 784, device=device)

    def step() -> Any:
        mu, log_var = encode(x).chunk(2, 1)
        z = mu + (0.5 * log_var).exp() * torch.randn(batch, 20, device=device)
        nll = F.binary_cross_entropy_with_logits(decode(z), x, reduction="sum")
        loss = (nll + 0.5 * (mu**2 + log_var.exp() - 1 - log_var).sum()) / batch
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return step


def toy_gan(torch: Any, device: str, batch: int = 256, width: int = 128, depth: int = 2) -> Step:
    """2-128-128 networks on points in the plane: one step of each, non-saturating loss."""
    nn = torch.nn

    def mlp(outputs: int) -> Any:
        layers: list[Any] = [nn.Linear(2, width), nn.ReLU()]
        for _ in range(depth - 1):
            layers += [nn.Linear(width, width), nn.ReLU()]
        return nn.Sequential(*layers, nn.Linear(width, outputs)).to(device)

    generator, critic = mlp(2), mlp(1)
    step = _gan_step(torch, generator, critic)
    real = torch.randn(batch, 2, device=device)
    return lambda: step(real, torch.randn(batch, 2, device=device))


def _gan_step(torch: Any, generator: Any, critic: Any) -> Any:
    """One step of the discriminator, then one of the generator (Goodfellow et al. 2014)."""
    F = torch.nn.functional
    g_optimizer = torch.optim.Adam(generator.parameters(), lr=2e-4, betas=(0.5, 0.999))
    d_optimizer = torch.optim.Adam(critic.parameters(), lr=2e-4, betas=(0.5, 0.999))

    def step(real: Any, noise: Any) -> Any:
        fake = generator(noise)
        d_loss = F.softplus(-critic(real)).mean() + F.softplus(critic(fake.detach())).mean()
        d_optimizer.zero_grad()
        d_loss.backward()
        d_optimizer.step()
        g_loss = F.softplus(-critic(fake)).mean()
        g_optimizer.zero_grad()
        g_loss.backward()
        g_optimizer.step()
        return g_loss

    return step


def dcgan(torch: Any, device: str, batch: int = 128, width: int = 64, depth: int = 2) -> Step:
    """DCGAN at 28 px, 100 -> 7x7x128 -> 64 -> 1, batch norm: one step of D and one of G."""
    nn = torch.nn
    first = 28 >> depth
    sizes = [width << k for k in reversed(range(depth))]  # 128, 64
    up: list[Any] = [
        nn.ConvTranspose2d(100, sizes[0], first, 1, 0, bias=False),
        nn.BatchNorm2d(sizes[0]),
        nn.ReLU(),
    ]
    for a, b in zip(sizes, sizes[1:], strict=False):
        up += [nn.ConvTranspose2d(a, b, 4, 2, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU()]
    up += [nn.ConvTranspose2d(width, 1, 4, 2, 1), nn.Tanh()]
    down: list[Any] = [nn.Conv2d(1, width, 4, 2, 1), nn.LeakyReLU(0.2)]
    for b, a in reversed(list(zip(sizes, sizes[1:], strict=False))):
        down += [nn.Conv2d(a, b, 4, 2, 1, bias=False), nn.BatchNorm2d(b), nn.LeakyReLU(0.2)]
    down += [nn.Conv2d(sizes[0], 1, first, 1, 0)]
    step = _gan_step(torch, nn.Sequential(*up).to(device), nn.Sequential(*down).to(device))
    real = torch.rand(batch, 1, 28, 28, device=device) * 2 - 1
    return lambda: step(real, torch.randn(batch, 100, 1, 1, device=device))


def wgan_gp(torch: Any, device: str, batch: int = 64, width: int = 64, depth: int = 2) -> Step:
    """A step of WGAN-GP's critic (Gulrajani et al. 2017) at 28 px: a double backward."""
    nn = torch.nn
    layers: list[Any] = [nn.Conv2d(1, width, 4, 2, 1), nn.LeakyReLU(0.2)]
    for k in range(depth - 1):
        layers += [nn.Conv2d(width << k, width << k + 1, 4, 2, 1), nn.LeakyReLU(0.2)]
    critic = nn.Sequential(*layers, nn.Conv2d(width << depth - 1, 1, 28 >> depth)).to(device)
    optimizer = torch.optim.Adam(critic.parameters(), lr=1e-4, betas=(0.0, 0.9))
    real = torch.rand(batch, 1, 28, 28, device=device) * 2 - 1
    fake = torch.rand(batch, 1, 28, 28, device=device) * 2 - 1

    def step() -> Any:
        t = torch.rand(batch, 1, 1, 1, device=device)
        between = (t * real + (1 - t) * fake).requires_grad_()
        (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
        penalty = ((slope.flatten(1).norm(2, dim=1) - 1) ** 2).mean()
        loss = critic(fake).mean() - critic(real).mean() + 10 * penalty
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return step


def unet(torch: Any, width: int, depth: int, channels: int = 1, attention: bool = False) -> Any:
    """The U-Net of DDPM (Ho et al. 2020), `depth` residual blocks a level.

    attention: of all pixels, 4 heads, behind each block of the smallest size; or none.
    """
    nn, F = torch.nn, torch.nn.functional
    time_width = 4 * width

    class Attention(nn.Module):
        def __init__(self, a: int) -> None:
            super().__init__()
            self.norm = nn.GroupNorm(8, a)
            self.attention = nn.MultiheadAttention(a, 4, batch_first=True)

        def forward(self, x: Any) -> Any:
            pixels = self.norm(x).flatten(2).transpose(1, 2)
            seen, _ = self.attention(pixels, pixels, pixels, need_weights=False)
            return x + seen.transpose(1, 2).reshape(*x.shape)

    class Block(nn.Module):
        def __init__(self, a: int, b: int, smallest: bool) -> None:
            super().__init__()
            self.look = Attention(b) if attention and smallest else nn.Identity()
            self.norm1, self.conv1 = nn.GroupNorm(8, a), nn.Conv2d(a, b, 3, 1, 1)
            self.norm2, self.conv2 = nn.GroupNorm(8, b), nn.Conv2d(b, b, 3, 1, 1)
            self.time = nn.Linear(time_width, b)
            self.skip = nn.Conv2d(a, b, 1) if a != b else nn.Identity()

        def forward(self, x: Any, t: Any) -> Any:
            h = self.conv1(F.silu(self.norm1(x))) + self.time(t)[:, :, None, None]
            return self.look(self.skip(x) + self.conv2(F.silu(self.norm2(h))))

    class UNet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            levels = (width, 2 * width, 4 * width)
            self.time = nn.Sequential(
                nn.Linear(width, time_width), nn.SiLU(), nn.Linear(time_width, time_width)
            )
            self.first = nn.Conv2d(channels, width, 3, 1, 1)
            self.down, self.shrink = nn.ModuleList(), nn.ModuleList()
            self.up, self.grow = nn.ModuleList(), nn.ModuleList()
            skips, c = [width], width
            for level, b in enumerate(levels):
                for _ in range(depth):
                    self.down.append(Block(c, b, level == 2))
                    skips.append(b)
                    c = b
                if level < 2:
                    self.shrink.append(nn.Conv2d(c, c, 3, 2, 1))
            self.middle = Block(c, c, True)
            for level, b in reversed(list(enumerate(levels))):
                for _ in range(depth):
                    self.up.append(Block(c + skips.pop(), b, level == 2))
                    c = b
                if level:
                    self.grow.append(nn.Conv2d(c, c, 3, 1, 1))
            self.norm, self.last = nn.GroupNorm(8, c), nn.Conv2d(c, channels, 3, 1, 1)

        def forward(self, x: Any, t: Any) -> Any:
            t = F.silu(self.time(_embed(torch, t, width)))
            h, skips = self.first(x), []
            for i, block in enumerate(self.down):
                h = block(h, t)
                skips.append(h)
                if (i + 1) % depth == 0 and i + 1 < len(self.down):
                    h = self.shrink[i // depth](h)
            h = self.middle(h, t)
            for i, block in enumerate(self.up):
                h = block(torch.cat([h, skips.pop()], 1), t)
                if (i + 1) % depth == 0 and i + 1 < len(self.up):
                    h = self.grow[i // depth](F.interpolate(h, scale_factor=2.0, mode="nearest"))
            return self.last(F.silu(self.norm(h)))

    return UNet()


def _embed(torch: Any, t: Any, width: int) -> Any:
    """Sinusoids of the time, (N,) -> (N, width)."""
    rate = torch.exp(torch.arange(width // 2, device=t.device) * (-2 * math.log(1e4) / width))
    angle = t[:, None] * rate[None, :]
    return torch.cat([angle.sin(), angle.cos()], 1)


def noise_step(torch: Any, net: Any) -> Any:
    """A step of Adam on how well `net` tells the noise in x0, a picture or latents."""
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-4)

    def step(x0: Any) -> Any:
        noise = torch.randn(*x0.shape, device=x0.device)
        t = torch.rand(len(x0), device=x0.device)
        alpha = (1 - t)[:, None, None, None]
        x = alpha.sqrt() * x0 + (1 - alpha).sqrt() * noise
        loss = torch.nn.functional.mse_loss(net(x, 1000 * t), noise)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return step


def _ddpm(torch: Any, device: str, size: int, batch: int, width: int, depth: int) -> Step:
    step = noise_step(torch, unet(torch, width, depth).to(device))
    x0 = torch.rand(batch, 1, size, size, device=device) * 2 - 1
    return lambda: step(x0)


def ddpm_28(torch: Any, device: str, batch: int = 64, width: int = 32, depth: int = 1) -> Step:
    """DDPM U-Net at 28 px, 32 channels x1, x2, x4, GroupNorm, SiLU."""
    return _ddpm(torch, device, 28, batch, width, depth)


def ddpm_8(torch: Any, device: str, batch: int = 64, width: int = 32, depth: int = 1) -> Step:
    """The same U-Net at 8 px."""
    return _ddpm(torch, device, 8, batch, width, depth)


def ddim_8(
    torch: Any, device: str, batch: int = 64, width: int = 32, depth: int = 1, steps: int = 20
) -> Step:
    """DDIM (Song et al. 2021): 64 images at 8 px in 20 steps, no gradient."""
    net = unet(torch, width, depth).to(device)
    levels = [1 - (k + 0.5) / (steps + 1) for k in range(steps + 1)]  # t, falling
    start = torch.randn(batch, 1, 8, 8, device=device)

    def sample() -> Any:
        x = start
        with torch.no_grad():
            for t, after in zip(levels, levels[1:], strict=False):
                eps = net(x, torch.full((batch,), 1000 * t, device=device))
                x0 = (x - t**0.5 * eps) / (1 - t) ** 0.5
                x = (1 - after) ** 0.5 * x0 + after**0.5 * eps
        return x.mean()

    return sample


def pixelcnn(torch: Any, device: str, batch: int = 64, width: int = 64, depth: int = 8) -> Step:
    """Gated PixelCNN at 28 px (van den Oord et al. 2016): two stacks, 64 channels, 8 layers."""
    nn, F = torch.nn, torch.nn.functional

    def gate(x: Any) -> Any:
        a, b = x.chunk(2, 1)
        return a.tanh() * b.sigmoid()

    class Block(nn.Module):
        def __init__(self, a: int, kernel: int, first: bool) -> None:
            super().__init__()
            self.reach, self.first = kernel // 2, first
            self.vertical = nn.Conv2d(a, 2 * width, (self.reach + 1, kernel))
            self.across = nn.Conv2d(2 * width, 2 * width, 1)
            self.horizontal = nn.Conv2d(a, 2 * width, (1, self.reach + (not first)))
            self.out = nn.Conv2d(width, width, 1)

        def forward(self, v: Any, h: Any) -> Any:
            reach, before = self.reach, h
            v = self.vertical(F.pad(v, (reach, reach, reach, 0)))
            left = F.pad(h, (reach, 0, 0, 0))
            left = left[..., :-1] if self.first else left
            h = self.horizontal(left) + self.across(F.pad(v, (0, 0, 1, 0))[:, :, :-1])
            v, h = gate(v), self.out(gate(h))
            return v, h if self.first else h + before

    blocks = [Block(width if i else 1, 3 if i else 7, i == 0) for i in range(depth)]
    body = nn.ModuleList(blocks).to(device)
    head = nn.Sequential(
        nn.ReLU(), nn.Conv2d(width, 2 * width, 1), nn.ReLU(), nn.Conv2d(2 * width, 1, 1)
    ).to(device)
    optimizer = torch.optim.Adam([*body.parameters(), *head.parameters()], lr=1e-3)
    x = torch.rand(batch, 1, 28, 28, device=device).round()

    def step() -> Any:
        v = h = x - 0.5
        for block in body:
            v, h = block(v, h)
        loss = F.binary_cross_entropy_with_logits(head(h), x, reduction="sum") / batch
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return step


def realnvp(torch: Any, device: str, batch: int = 64, width: int = 32, depth: int = 4) -> Step:
    """RealNVP at 28 px (Dinh et al. 2017): checkerboard couplings, a squeeze, channel couplings."""
    nn = torch.nn
    row = torch.arange(28, device=device)
    board = ((row[:, None] + row[None, :]) % 2).float()

    def net(channels: int, out: int) -> Any:
        return nn.Sequential(
            nn.Conv2d(channels, width, 3, 1, 1), nn.ReLU(), nn.Conv2d(width, width, 3, 1, 1),
            nn.ReLU(), nn.Conv2d(width, out, 3, 1, 1),
        )  # fmt: skip

    checkers = nn.ModuleList([net(1, 2) for _ in range(depth)]).to(device)
    halves = nn.ModuleList([net(2, 4) for _ in range(depth)]).to(device)
    optimizer = torch.optim.Adam([*checkers.parameters(), *halves.parameters()], lr=1e-3)
    x = torch.rand(batch, 1, 28, 28, device=device)

    def step() -> Any:
        z, log_det = x, 0.0
        for i, coupling in enumerate(checkers):  # what the mask shows changes the rest
            mask = board if i % 2 else 1 - board
            log_s, t = coupling(z * mask).chunk(2, 1)
            log_s, t = log_s.tanh() * (1 - mask), t * (1 - mask)
            z, log_det = z * log_s.exp() + t, log_det + log_s.sum((1, 2, 3))
        z = z.reshape(batch, 1, 14, 2, 14, 2).permute(0, 1, 3, 5, 2, 4).reshape(batch, 4, 14, 14)
        a, b = z.chunk(2, 1)
        for coupling in halves:
            log_s, t = coupling(a).chunk(2, 1)
            log_s = log_s.tanh()
            a, b, log_det = b * log_s.exp() + t, a, log_det + log_s.sum((1, 2, 3))
        log_p = -0.5 * ((a**2).sum((1, 2, 3)) + (b**2).sum((1, 2, 3)))
        loss = -(log_p + log_det).mean() + 392 * math.log(2 * math.pi)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return step


STEPS = {
    "1 MLP VAE": mlp_vae,
    "2 toy GAN": toy_gan,
    "3 DCGAN 28 px": dcgan,
    "4 WGAN-GP critic": wgan_gp,
    "5 DDPM U-Net 28 px": ddpm_28,
    "6 DDPM U-Net 8 px": ddpm_8,
    "7 DDIM sampling 8 px": ddim_8,
    "8 gated PixelCNN": pixelcnn,
    "10 RealNVP 28 px": realnvp,
}
