"""A GAN with gradient penalty in its usual shape: two MLPs, Adam, a critic trained more often."""

import numpy as np
import torch
import torch.autograd as autograd
import torch.nn as nn

img_shape = (1, 8, 8)
latent_dim = 10


class Generator(nn.Module):
    def __init__(self):
        super(Generator, self).__init__()  # noqa: UP008

        def block(in_feat, out_feat, normalize=True):
            layers = [nn.Linear(in_feat, out_feat)]
            if normalize:
                layers.append(nn.BatchNorm1d(out_feat, 0.8))
            layers.append(nn.LeakyReLU(0.2, inplace=True))
            return layers

        self.model = nn.Sequential(
            *block(latent_dim, 16, normalize=False),
            *block(16, 32),
            nn.Linear(32, int(np.prod(img_shape))),
            nn.Tanh(),
        )

    def forward(self, z):
        img = self.model(z)
        return img.view(img.shape[0], *img_shape)


class Discriminator(nn.Module):
    def __init__(self):
        super(Discriminator, self).__init__()  # noqa: UP008
        self.model = nn.Sequential(
            nn.Linear(int(np.prod(img_shape)), 32),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Linear(32, 1),
        )

    def forward(self, img):
        return self.model(img.view(img.size(0), -1))


def compute_gradient_penalty(D, real_samples, fake_samples):
    alpha = torch.rand(real_samples.size(0), 1, 1, 1)
    interpolates = (alpha * real_samples + ((1 - alpha) * fake_samples)).requires_grad_(True)
    d_interpolates = D(interpolates)
    fake = real_samples.new_ones(real_samples.size(0), 1, requires_grad=False)
    gradients = autograd.grad(
        outputs=d_interpolates,
        inputs=interpolates,
        grad_outputs=fake,
        create_graph=True,
        retain_graph=True,
        only_inputs=True,
    )[0]
    gradients = gradients.view(gradients.size(0), -1)
    return ((gradients.norm(2, dim=1) - 1) ** 2).mean()


def build():
    return {"G": Generator(), "D": Discriminator()}


def train(models, data):
    G, D = models["G"], models["D"]
    optimizer_G = torch.optim.Adam(G.parameters(), lr=2e-3, betas=(0.5, 0.999))
    optimizer_D = torch.optim.Adam(D.parameters(), lr=2e-3, betas=(0.5, 0.999))
    losses = []
    for i in range(6):
        real_imgs = torch.from_numpy(data["images"]).type(torch.get_default_dtype())
        optimizer_D.zero_grad()
        z = torch.randn(real_imgs.shape[0], latent_dim)
        fake_imgs = G(z).detach()
        gradient_penalty = compute_gradient_penalty(D, real_imgs.data, fake_imgs.data)
        d_loss = -torch.mean(D(real_imgs)) + torch.mean(D(fake_imgs)) + 10 * gradient_penalty
        d_loss.backward()
        optimizer_D.step()
        losses.append(d_loss.item())
        if i % 2 == 0:
            optimizer_G.zero_grad()
            g_loss = -torch.mean(D(G(z)))
            g_loss.backward()
            optimizer_G.step()
            losses.append(g_loss.item())
    return losses
