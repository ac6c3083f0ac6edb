"""More of workloads.py: a picture, or its small map of codes, token after token, and what makes and
what diffuses such maps. The networks are those of tinygen/models, the pictures coloured, 32 px."""

from typing import Any

from workloads import Step, noise_step, unet


def _token_step(torch: Any, device: str, batch: int, width: int, depth: int, sizes: Any) -> Step:
    """Next-token prediction by pre-norm blocks of 4 heads; sizes: how many tokens and values."""
    nn, F = torch.nn, torch.nn.functional
    (length, values), heads = sizes, 4

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.mlp = nn.Sequential(
                nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
            )

        def forward(self, x: Any) -> Any:
            split = self.qkv(self.norm1(x)).reshape(batch, length, 3, heads, width // heads)
            q, k, v = split.permute(2, 0, 3, 1, 4).unbind(0)
            mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.out(mixed.transpose(1, 2).reshape(batch, length, width))
            return x + self.mlp(self.norm2(x))

    net = nn.Sequential(
        *(Block() for _ in range(depth)), nn.LayerNorm(width), nn.Linear(width, values)
    ).to(device)
    embedding = nn.Embedding(values + 1, width).to(device)
    positions = nn.Parameter(0.02 * torch.randn(length, width, device=device))
    parameters = [*net.parameters(), *embedding.parameters(), positions]
    optimizer = torch.optim.Adam(parameters, lr=3e-4)
    tokens = torch.randint(0, values, (batch, length), device=device)
    before = torch.cat([torch.full((batch, 1), values, device=device), tokens[:, :-1]], 1)

    def step() -> Any:
        numbers = net(embedding(before) + positions)
        loss = F.cross_entropy(numbers.reshape(-1, values), tokens.reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return step


def image_gpt(torch: Any, device: str, batch: int = 32, width: int = 128, depth: int = 8) -> Step:
    """Image transformer (Chen et al. 2020): 196 tokens, 8 pre-norm blocks, 4 heads, 16 values."""
    return _token_step(torch, device, batch, width, depth, (196, 16))


def token_prior(torch: Any, device: str, batch: int = 32, width: int = 128, depth: int = 8) -> Step:
    """A prior over the 8 x 8 integers of a VQ-VAE: 64 tokens of 128 values, the same blocks."""
    return _token_step(torch, device, batch, width, depth, (64, 128))


def _residual(torch: Any, channels: int) -> Any:
    nn = torch.nn

    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(
                nn.GroupNorm(8, channels), nn.SiLU(), nn.Conv2d(channels, channels, 3, 1, 1),
                nn.GroupNorm(8, channels), nn.SiLU(), nn.Conv2d(channels, channels, 3, 1, 1),
            )  # fmt: skip

        def forward(self, x: Any) -> Any:
            return x + self.body(x)

    return Residual()


def _encoder(torch: Any, out: int, width: int, depth: int) -> Any:
    """32 x 32 pixels to `out` channels of 8 x 8, `depth` residual blocks a size."""
    nn, layers = torch.nn, []
    for a, b in ((3, width), (width, 2 * width)):
        layers += [nn.Conv2d(a, b, 4, 2, 1)]
        layers += [*(_residual(torch, b) for _ in range(depth)), nn.SiLU()]
    return nn.Sequential(*layers, nn.Conv2d(2 * width, out, 1))


def _decoder(torch: Any, channels: int, width: int, depth: int) -> Any:
    nn, layers = torch.nn, [torch.nn.Conv2d(channels, 2 * width, 3, 1, 1)]
    for b, a in ((2 * width, width), (width, 3)):
        layers += [*(_residual(torch, b) for _ in range(depth)), nn.SiLU()]
        layers += [nn.Upsample(scale_factor=2), nn.Conv2d(b, a, 3, 1, 1)]
    return nn.Sequential(*layers)


def _patches(torch: Any, width: int) -> Any:
    """A judge of patches of 34 pixels (Isola et al. 2016)."""
    nn = torch.nn
    layers = [nn.Conv2d(3, width, 4, 2, 1), nn.LeakyReLU(0.2)]
    for a, stride in ((width, 2), (2 * width, 1)):
        layers += [nn.Conv2d(a, 2 * a, 4, stride, 1), nn.GroupNorm(1, 2 * a), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Conv2d(4 * width, 1, 4, 1, 1))


def _distance(torch: Any, device: str, width: int = 24) -> Any:
    """How far pictures are in a fixed network's features, at length 1 across channels."""
    nn, blocks = torch.nn, torch.nn.ModuleList()
    for a, b, stride in ((3, width, 1), (width, 2 * width, 2), (2 * width, 4 * width, 2)):
        layers = [nn.Conv2d(a, b, 3, stride, 1), nn.GroupNorm(4, b), nn.ReLU()]
        layers += [nn.Conv2d(b, b, 3, 1, 1), nn.GroupNorm(4, b), nn.ReLU()]
        blocks.append(nn.Sequential(*layers))
    blocks.to(device).requires_grad_(False)

    def unit(x: Any) -> Any:
        return x / ((x**2).sum(1, keepdim=True) + 1e-8).sqrt()

    def distance(x: Any, y: Any) -> Any:
        apart: Any = 0.0
        for block in blocks:
            x, y = block(x), block(y)
            apart = apart + ((unit(x) - unit(y)) ** 2).sum(1).mean()
        return apart

    return distance


def _codebook(torch: Any, device: str, size: int = 128, dim: int = 16) -> Any:
    """z (B, dim, H, W) -> the nearest of `size` vectors, straight through, and a loss of its own.

    The vectors are moving averages of the z that chose them.
    """
    vectors = torch.randn(size, dim, device=device) / dim**0.5
    sums, counts = vectors.clone(), torch.ones(size, device=device)

    def quantise(z: Any) -> Any:
        rows = z.permute(0, 2, 3, 1).reshape(-1, dim)
        with torch.no_grad():
            nearest = ((vectors**2).sum(1) - 2 * rows @ vectors.T).argmin(1)
            chosen = vectors[nearest]
            hot = torch.nn.functional.one_hot(nearest, size).float()
            counts.mul_(0.99).add_(0.01 * hot.sum(0))
            sums.mul_(0.99).add_(0.01 * (hot.T @ rows))
            vectors.copy_(sums / counts[:, None])
        value = chosen.reshape(len(z), *z.shape[2:], dim).permute(0, 3, 1, 2)
        return z + (value - z).detach(), 0.25 * ((rows - chosen) ** 2).mean()

    return quantise


def vqgan(torch: Any, device: str, batch: int = 32, width: int = 32, depth: int = 1) -> Step:
    """VQ-GAN (Esser et al. 2020): a step of the autoencoder, D's weight adapted, then one of D."""
    nn, F = torch.nn, torch.nn.functional
    encoder, decoder = _encoder(torch, 16, width, depth), _decoder(torch, 16, width, depth)
    net, judge = nn.ModuleList([encoder, decoder]).to(device), _patches(torch, width).to(device)
    quantise, distance = _codebook(torch, device), _distance(torch, device)
    g_optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, betas=(0.5, 0.9))
    d_optimizer = torch.optim.Adam(judge.parameters(), lr=1e-3, betas=(0.5, 0.9))
    last = decoder[-1].weight
    x = torch.rand(batch, 3, 32, 32, device=device) * 2 - 1

    def length(loss: Any) -> Any:
        return torch.autograd.grad(loss, last, retain_graph=True)[0].norm()

    def step() -> Any:
        z, codes = quantise(encoder(x))
        made = decoder(z)
        close = (made - x).abs().mean() + 0.1 * distance(made, x)
        fooled = -judge(made).mean()
        weight = (length(close) / (length(fooled) + 1e-4)).clamp(0.0, 1e4).detach()
        loss = close + codes + 0.1 * weight * fooled
        g_optimizer.zero_grad()
        loss.backward()
        g_optimizer.step()
        d_loss = F.relu(1 - judge(x)).mean() + F.relu(1 + judge(made.detach())).mean()
        d_optimizer.zero_grad()
        d_loss.backward()
        d_optimizer.step()
        return loss

    return step


def latent_diffusion(
    torch: Any, device: str, batch: int = 32, width: int = 32, depth: int = 1
) -> Step:
    """Latent diffusion (Rombach et al. 2022): a fixed encoder's 8 x 8 latents, U-Net, attention."""
    encoder = _encoder(torch, 8, width, depth).to(device).requires_grad_(False)
    step = noise_step(torch, unet(torch, width, depth, 4, attention=True).to(device))
    x = torch.rand(batch, 3, 32, 32, device=device) * 2 - 1

    def encode() -> Any:
        with torch.no_grad():
            mean, log_var = encoder(x).chunk(2, 1)
            std = (0.5 * log_var.clamp(-30.0, 20.0)).exp()
            return mean + std * torch.randn(*mean.shape, device=device)

    return lambda: step(encode())


STEPS = {
    "9 image transformer": image_gpt,
    "11 token prior": token_prior,
    "12 VQ-GAN 32 px": vqgan,
    "13 latent diffusion 32 px": latent_diffusion,
}
