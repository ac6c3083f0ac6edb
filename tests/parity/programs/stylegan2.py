"""StyleGAN2's blocks: a custom Function with a second derivative, modulated convolutions,
upfirdn, minibatch deviation, R1 and path-length penalties."""

import math
import random

import torch
from torch import autograd, nn
from torch.autograd import Function
from torch.nn import functional as F


class FusedLeakyReLUFunctionBackward(Function):
    @staticmethod
    def forward(ctx, grad_output, out, negative_slope, scale):
        ctx.save_for_backward(out)
        ctx.negative_slope, ctx.scale = negative_slope, scale
        grad_input = torch.where(out > 0, grad_output, grad_output * negative_slope) * scale
        dim = [0] + list(range(2, grad_input.ndim))
        return grad_input, grad_input.sum(dim).detach()

    @staticmethod
    def backward(ctx, gradgrad_input, gradgrad_bias):
        (out,) = ctx.saved_tensors
        bias = gradgrad_bias.view(1, -1, *[1] * (out.ndim - 2))
        total = gradgrad_input + bias
        return torch.where(out > 0, total, total * ctx.negative_slope) * ctx.scale, None, None, None


class FusedLeakyReLUFunction(Function):
    @staticmethod
    def forward(ctx, input, bias, negative_slope, scale):
        rest = [1] * (input.ndim - 2)
        out = F.leaky_relu(input + bias.view(1, -1, *rest), negative_slope) * scale
        ctx.save_for_backward(out)
        ctx.negative_slope, ctx.scale = negative_slope, scale
        return out

    @staticmethod
    def backward(ctx, grad_output):
        (out,) = ctx.saved_tensors
        grad_input, grad_bias = FusedLeakyReLUFunctionBackward.apply(
            grad_output, out, ctx.negative_slope, ctx.scale
        )
        return grad_input, grad_bias, None, None


class FusedLeakyReLU(nn.Module):
    def __init__(self, channel, negative_slope=0.2, scale=2**0.5):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channel))
        self.negative_slope, self.scale = negative_slope, scale

    def forward(self, input):
        return FusedLeakyReLUFunction.apply(input, self.bias, self.negative_slope, self.scale)


def make_kernel(k):
    k = torch.tensor(k, dtype=torch.get_default_dtype())
    if k.ndim == 1:
        k = k[None, :] * k[:, None]
    k /= k.sum()
    return k


def upfirdn2d(input, kernel, up=1, down=1, pad=(0, 0)):
    _, channel, in_h, in_w = input.shape
    input = input.reshape(-1, in_h, in_w, 1)
    _, in_h, in_w, minor = input.shape
    kernel_h, kernel_w = kernel.shape
    out = input.view(-1, in_h, 1, in_w, 1, minor)
    out = F.pad(out, [0, 0, 0, up - 1, 0, 0, 0, up - 1])
    out = out.view(-1, in_h * up, in_w * up, minor)
    out = F.pad(out, [0, 0, max(pad[0], 0), max(pad[1], 0), max(pad[0], 0), max(pad[1], 0)])
    out = out.permute(0, 3, 1, 2)
    h, w = in_h * up + pad[0] + pad[1], in_w * up + pad[0] + pad[1]
    out = out.reshape([-1, 1, h, w])
    out = F.conv2d(out, torch.flip(kernel, [0, 1]).view(1, 1, kernel_h, kernel_w))
    out = out[:, :, ::down, ::down]
    return out.view(-1, channel, out.shape[2], out.shape[3])


class Blur(nn.Module):
    def __init__(self, kernel, pad, upsample_factor=1):
        super().__init__()
        kernel = make_kernel(kernel)
        if upsample_factor > 1:
            kernel = kernel * (upsample_factor**2)
        self.register_buffer("kernel", kernel)
        self.pad = pad

    def forward(self, input):
        return upfirdn2d(input, self.kernel, pad=self.pad)


class PixelNorm(nn.Module):
    def forward(self, input):
        return input * torch.rsqrt(torch.mean(input**2, dim=1, keepdim=True) + 1e-8)


class EqualLinear(nn.Module):
    def __init__(self, in_dim, out_dim, bias_init=0, lr_mul=1, activation=None):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_dim, in_dim).div_(lr_mul))
        self.bias = nn.Parameter(torch.zeros(out_dim).fill_(bias_init))
        self.activation = activation
        self.scale, self.lr_mul = (1 / math.sqrt(in_dim)) * lr_mul, lr_mul

    def forward(self, input):
        if self.activation:
            out = F.linear(input, self.weight * self.scale)
            return FusedLeakyReLUFunction.apply(out, self.bias * self.lr_mul, 0.2, 2**0.5)
        return F.linear(input, self.weight * self.scale, bias=self.bias * self.lr_mul)


class ModulatedConv2d(nn.Module):
    def __init__(self, in_channel, out_channel, kernel_size, style_dim, demodulate=True, up=False):
        super().__init__()
        self.kernel_size, self.in_channel, self.out_channel = kernel_size, in_channel, out_channel
        self.upsample, self.demodulate, self.padding = up, demodulate, kernel_size // 2
        if up:
            p = (4 - 2) - (kernel_size - 1)
            pad0, pad1 = (p + 1) // 2 + 2 - 1, p // 2 + 1
            self.blur = Blur([1, 3, 3, 1], pad=(pad0, pad1), upsample_factor=2)
        self.scale = 1 / math.sqrt(in_channel * kernel_size**2)
        self.weight = nn.Parameter(
            torch.randn(1, out_channel, in_channel, kernel_size, kernel_size)
        )
        self.modulation = EqualLinear(style_dim, in_channel, bias_init=1)

    def forward(self, input, style):
        batch, in_channel, height, width = input.shape
        style = self.modulation(style).view(batch, 1, in_channel, 1, 1)
        weight = self.scale * self.weight * style
        if self.demodulate:
            demod = torch.rsqrt(weight.pow(2).sum([2, 3, 4]) + 1e-8)
            weight = weight * demod.view(batch, self.out_channel, 1, 1, 1)
        k = self.kernel_size
        input = input.reshape(1, batch * in_channel, height, width)
        if self.upsample:
            weight = weight.transpose(1, 2).reshape(batch * in_channel, self.out_channel, k, k)
            out = F.conv_transpose2d(input, weight, padding=0, stride=2, groups=batch)
            _, _, height, width = out.shape
            return self.blur(out.view(batch, self.out_channel, height, width))
        weight = weight.view(batch * self.out_channel, in_channel, k, k)
        out = F.conv2d(input, weight, padding=self.padding, groups=batch)
        return out.view(batch, self.out_channel, out.shape[2], out.shape[3])


class NoiseInjection(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, image, noise=None):
        if noise is None:
            batch, _, height, width = image.shape
            noise = image.new_empty(batch, 1, height, width).normal_()
        return image + self.weight * noise


class StyledConv(nn.Module):
    def __init__(self, in_channel, out_channel, style_dim, upsample=False):
        super().__init__()
        self.conv = ModulatedConv2d(in_channel, out_channel, 3, style_dim, up=upsample)
        self.noise, self.activate = NoiseInjection(), FusedLeakyReLU(out_channel)

    def forward(self, input, style):
        return self.activate(self.noise(self.conv(input, style)))


class Generator(nn.Module):
    def __init__(self, style_dim=6):
        super().__init__()
        layers = [PixelNorm()]
        for _ in range(2):
            layers.append(EqualLinear(style_dim, style_dim, lr_mul=0.1, activation="fused_lrelu"))
        self.style = nn.Sequential(*layers)
        self.input = nn.Parameter(torch.randn(1, 4, 4, 4))
        self.conv1 = StyledConv(4, 4, style_dim)
        self.conv2 = StyledConv(4, 3, style_dim, upsample=True)
        self.to_rgb = ModulatedConv2d(3, 1, 1, style_dim, demodulate=False)

    def forward(self, z, return_latents=False):
        w = self.style(z)
        latent = w.unsqueeze(1).repeat(1, 3, 1)
        out = self.input.repeat(z.shape[0], 1, 1, 1)
        out = self.conv2(self.conv1(out, latent[:, 0]), latent[:, 1])
        image = self.to_rgb(out, latent[:, 2])
        return (image, latent) if return_latents else (image, None)


class Discriminator(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1, bias=False), FusedLeakyReLU(4),
            Blur([1, 3, 3, 1], (2, 1)), nn.Conv2d(4, 6, 3, stride=2, padding=1, bias=False),
            FusedLeakyReLU(6),
        )  # fmt: skip
        self.final_linear = EqualLinear(7 * 4 * 4, 1)

    def forward(self, input):
        out = self.conv(input)
        batch, channel, height, width = out.shape
        group = min(batch, 4)
        stddev = out.view(group, -1, 1, channel, height, width)
        stddev = torch.sqrt(stddev.var(0, unbiased=False) + 1e-8)
        stddev = stddev.mean([2, 3, 4], keepdims=True).squeeze(2)
        stddev = stddev.repeat(group, 1, height, width)
        return self.final_linear(torch.cat([out, stddev], 1).view(batch, -1))


def d_r1_loss(real_pred, real_img):
    (grad_real,) = autograd.grad(outputs=real_pred.sum(), inputs=real_img, create_graph=True)
    return grad_real.pow(2).reshape(grad_real.shape[0], -1).sum(1).mean()


def g_path_regularize(fake_img, latents, mean_path_length, decay=0.01):
    noise = torch.randn_like(fake_img) / math.sqrt(fake_img.shape[2] * fake_img.shape[3])
    (grad,) = autograd.grad(outputs=(fake_img * noise).sum(), inputs=latents, create_graph=True)
    path_lengths = torch.sqrt(grad.pow(2).sum(2).mean(1))
    path_mean = mean_path_length + decay * (path_lengths.mean() - mean_path_length)
    return (path_lengths - path_mean).pow(2).mean(), path_mean.detach(), path_lengths


def build():
    return {"g": Generator(), "d": Discriminator()}


def train(models, data):
    g, d = models["g"], models["d"]
    random.seed(0)
    g_optim = torch.optim.Adam(g.parameters(), lr=2e-3, betas=(0.0, 0.99))
    d_optim = torch.optim.Adam(d.parameters(), lr=2e-3, betas=(0.0, 0.99))
    real, mean_path_length, losses = torch.tensor(data["unit"][:8]), 0, []
    real = real.type(torch.get_default_dtype())
    for i in range(4):
        fake_img, _ = g(torch.randn(8, 6))
        d_loss = F.softplus(-d(real)).mean() + F.softplus(d(fake_img.detach())).mean()
        d.zero_grad()
        d_loss.backward()
        d_optim.step()
        if i % 2 == 0:
            real.requires_grad = True
            real_pred = d(real)
            r1_loss = d_r1_loss(real_pred, real)
            d.zero_grad()
            (10 / 2 * r1_loss * 2 + 0 * real_pred[0]).backward()
            d_optim.step()
            real.requires_grad = False
            losses.append(r1_loss.item())
        g_loss = F.softplus(-d(g(torch.randn(8, 6))[0])).mean()
        g.zero_grad()
        g_loss.backward()
        g_optim.step()
        fake_img, latents = g(torch.randn(4, 6), return_latents=True)
        path_loss, mean_path_length, path_lengths = g_path_regularize(
            fake_img, latents, mean_path_length
        )
        g.zero_grad()
        weighted_path_loss = 2 * 4 * path_loss
        weighted_path_loss += 0 * fake_img[0, 0, 0, 0]
        weighted_path_loss.backward()
        g_optim.step()
        losses += [d_loss.item(), g_loss.item(), path_loss.item(), path_lengths.mean().item()]
    return losses
