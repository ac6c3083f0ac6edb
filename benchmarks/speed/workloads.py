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


def _unet(torch: Any, width: int, depth: int) -> Any:
    """The U-Net of DDPM (Ho et al. 2020), without attention: `depth` residual blocks a level."""
    nn, F = torch.nn, torch.nn.functional
    time_width = 4 * width

    class Block(nn.Module):
        def __init__(self, a: int, b: int) -> None:
            super().__init__()
            self.norm1, self.conv1 = nn.GroupNorm(8, a), nn.Conv2d(a, b, 3, 1, 1)
            self.norm2, self.conv2 = nn.GroupNorm(8, b), nn.Conv2d(b, b, 3, 1, 1)
            self.time = nn.Linear(time_width, b)
            self.skip = nn.Conv2d(a, b, 1) if a != b else nn.Identity()

        def forward(self, x: Any, t: Any) -> Any:
            h = self.conv1(F.silu(self.norm1(x))) + self.time(t)[:, :, None, None]
            return self.skip(x) + self.conv2(F.silu(self.norm2(h)))

    class UNet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            levels = (width, 2 * width, 4 * width)
            self.time = nn.Sequential(
                nn.Linear(width, time_width), nn.SiLU(), nn.Linear(time_width, time_width)
            )
            self.first = nn.Conv2d(1, width, 3, 1, 1)
            self.down, self.shrink = nn.ModuleList(), nn.ModuleList()
            self.up, self.grow = nn.ModuleList(), nn.ModuleList()
            skips, c = [width], width
            for level, b in enumerate(levels):
                for _ in range(depth):
                    self.down.append(Block(c, b))
                    skips.append(b)
                    c = b
                if level < 2:
                    self.shrink.append(nn.Conv2d(c, c, 3, 2, 1))
            self.middle = Block(c, c)
            for level, b in reversed(list(enumerate(levels))):
                for _ in range(depth):
                    self.up.append(Block(c + skips.pop(), b))
                    c = b
                if level:
                    self.grow.append(nn.Conv2d(c, c, 3, 1, 1))
            self.norm, self.last = nn.GroupNorm(8, c), nn.Conv2d(c, 1, 3, 1, 1)

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


def _ddpm(torch: Any, device: str, size: int, batch: int, width: int, depth: int) -> Step:
    F = torch.nn.functional
    net = _unet(torch, width, depth).to(device)
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-4)
    x0 = torch.rand(batch, 1, size, size, device=device) * 2 - 1

    def step() -> Any:
        noise = torch.randn(batch, 1, size, size, device=device)
        t = torch.rand(batch, device=device)
        alpha = (1 - t)[:, None, None, None]
        x = alpha.sqrt() * x0 + (1 - alpha).sqrt() * noise
        loss = F.mse_loss(net(x, 1000 * t), noise)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return step


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
    net = _unet(torch, width, depth).to(device)
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


STEPS = {
    "1 MLP VAE": mlp_vae,
    "2 toy GAN": toy_gan,
    "3 DCGAN 28 px": dcgan,
    "4 WGAN-GP critic": wgan_gp,
    "5 DDPM U-Net 28 px": ddpm_28,
    "6 DDPM U-Net 8 px": ddpm_8,
    "7 DDIM sampling 8 px": ddim_8,
}
