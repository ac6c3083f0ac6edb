"""Training steps written once and run by tinygen and by PyTorch: the argument `torch` is either
module.

Each function builds a model and returns one training step as a function of nothing."""

import time
from typing import Any

Step = Any


def mlp_vae(torch: Any, device: str) -> Step:
    """784-400-20 VAE with Adam at batch 128."""
    nn, F = torch.nn, torch.nn.functional
    encode = nn.Sequential(nn.Linear(784, 400), nn.ReLU(), nn.Linear(400, 40)).to(device)
    decode = nn.Sequential(nn.Linear(20, 400), nn.ReLU(), nn.Linear(400, 784)).to(device)
    optimizer = torch.optim.Adam([*encode.parameters(), *decode.parameters()], lr=1e-3)
    x = torch.rand(128, 784, device=device)

    def step() -> Any:
        mu, log_var = encode(x).chunk(2, 1)
        z = mu + (0.5 * log_var).exp() * torch.randn(128, 20, device=device)
        nll = F.binary_cross_entropy_with_logits(decode(z), x, reduction="sum")
        loss = (nll + 0.5 * (mu**2 + log_var.exp() - 1 - log_var).sum()) / 128
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return step


def dcgan(torch: Any, device: str) -> Step:
    """DCGAN at 28 x 28, batch 128: one step of the discriminator, one of the generator."""
    nn, F = torch.nn, torch.nn.functional
    generator = nn.Sequential(
        nn.ConvTranspose2d(64, 128, 7, 1, 0, bias=False),
        nn.BatchNorm2d(128),
        nn.ReLU(),
        nn.ConvTranspose2d(128, 64, 4, 2, 1, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.ConvTranspose2d(64, 1, 4, 2, 1),
        nn.Tanh(),
    ).to(device)
    critic = nn.Sequential(
        nn.Conv2d(1, 64, 4, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(64, 128, 4, 2, 1, bias=False),
        nn.BatchNorm2d(128),
        nn.LeakyReLU(0.2),
        nn.Conv2d(128, 1, 7, 1, 0),
    ).to(device)
    g_optimizer = torch.optim.Adam(generator.parameters(), lr=2e-4, betas=(0.5, 0.999))
    d_optimizer = torch.optim.Adam(critic.parameters(), lr=2e-4, betas=(0.5, 0.999))
    real = torch.rand(128, 1, 28, 28, device=device) * 2 - 1

    def step() -> Any:
        fake = generator(torch.randn(128, 64, 1, 1, device=device))
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


def ddpm_unet(torch: Any, device: str) -> Step:
    """A small U-Net that predicts noise at 28 x 28, batch 128."""
    nn, F = torch.nn, torch.nn.functional

    def block(a: int, b: int, stride: int = 1) -> Any:
        return nn.Sequential(nn.Conv2d(a, b, 3, stride, 1), nn.GroupNorm(8, b), nn.SiLU()).to(
            device
        )

    first, down1, down2, middle = block(1, 32), block(32, 64, 2), block(64, 128, 2), block(128, 128)
    up2 = nn.ConvTranspose2d(128, 64, 4, 2, 1).to(device)
    up1 = nn.ConvTranspose2d(64, 32, 4, 2, 1).to(device)
    join2, join1, last = block(128, 64), block(64, 32), nn.Conv2d(32, 1, 3, 1, 1).to(device)
    parts = [first, down1, down2, middle, up2, up1, join2, join1, last]
    optimizer = torch.optim.Adam([p for part in parts for p in part.parameters()], lr=2e-4)
    x0 = torch.rand(128, 1, 28, 28, device=device) * 2 - 1

    def step() -> Any:
        noise, alpha = (
            torch.randn(128, 1, 28, 28, device=device),
            torch.rand(128, 1, 1, 1, device=device),
        )
        a = first(alpha.sqrt() * x0 + (1 - alpha).sqrt() * noise)
        b = down1(a)
        h = join2(torch.cat([up2(middle(down2(b))), b], 1))
        loss = F.mse_loss(last(join1(torch.cat([up1(h), a], 1))), noise)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return step


STEPS = {"MLP VAE": mlp_vae, "DCGAN 28 px": dcgan, "DDPM U-Net 28 px": ddpm_unet}


def time_step_ms(step: Step, seconds: float = 3.0) -> float:
    """Mean milliseconds of a step; reading the loss at the end waits for the device."""
    for _ in range(3):
        step().item()
    n, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        for _ in range(5):
            loss = step()
        loss.item()
        n += 5
    return 1e3 * (time.perf_counter() - start) / n
