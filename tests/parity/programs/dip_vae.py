"""DIP-VAE: a convolutional VAE whose posterior means should have a diagonal covariance."""

import torch
from torch import nn, optim
from torch.nn import functional as F


class Encoder(nn.Module):
    def __init__(self, latent_dim):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 4, 2, 1)
        self.conv2 = nn.Conv2d(8, 16, 4, 2, 1)
        self.fc_mu = nn.Linear(16 * 2 * 2, latent_dim)
        self.fc_var = nn.Linear(16 * 2 * 2, latent_dim)

    def forward(self, x):
        h = F.relu(self.conv1(x))
        h = F.relu(self.conv2(h)).flatten(start_dim=1)
        return self.fc_mu(h), self.fc_var(h)


class Decoder(nn.Module):
    def __init__(self, latent_dim):
        super().__init__()
        self.fc = nn.Linear(latent_dim, 16 * 2 * 2)
        self.net = nn.Sequential(
            nn.ConvTranspose2d(16, 8, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(8, 1, 4, stride=2, padding=1),
        )

    def forward(self, z):
        return self.net(self.fc(z).reshape(-1, 16, 2, 2))


class DIPVAE(nn.Module):
    def __init__(self, latent_dim=4, lambda_od=10.0, lambda_d=5.0):
        super().__init__()
        self.encoder, self.decoder = Encoder(latent_dim), Decoder(latent_dim)
        self.lambda_od, self.lambda_d = lambda_od, lambda_d

    def reparameterize(self, mu, logvar):
        std = torch.exp(0.5 * logvar)
        eps = torch.randn_like(std)
        return eps.mul(std).add_(mu)

    def forward(self, x):
        mu, logvar = self.encoder(x)
        return self.decoder(self.reparameterize(mu, logvar)), mu, logvar

    def dip_regularizer(self, mu):
        centered = mu - mu.mean(dim=0, keepdim=True)
        cov = centered.t().matmul(centered) / mu.size(0)
        cov_diag = torch.diagonal(cov)
        cov_offdiag = cov - torch.diag(cov_diag)
        return self.lambda_od * torch.sum(cov_offdiag**2) + self.lambda_d * torch.sum(
            (cov_diag - 1) ** 2
        )

    def loss_function(self, x, recon, mu, logvar):
        recon_loss = F.binary_cross_entropy_with_logits(recon, x, reduction="sum") / x.shape[0]
        kld = torch.mean(-0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp(), dim=1), dim=0)
        return {"loss": recon_loss + kld + self.dip_regularizer(mu), "kld": kld.detach()}


def build():
    return {"model": DIPVAE()}


def train(models, data):
    model, losses = models["model"], []
    x = torch.as_tensor(data["unit"], dtype=torch.get_default_dtype())
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    scheduler = optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.95)
    model.train()
    for _ in range(6):
        recon, mu, logvar = model(x)
        out = model.loss_function(x, recon, mu, logvar)
        optimizer.zero_grad()
        out["loss"].backward()
        nn.utils.clip_grad_norm_(model.parameters(), max_norm=20.0)
        optimizer.step()
        scheduler.step()
        losses += [out["loss"].item(), float(out["kld"])]
    return losses
