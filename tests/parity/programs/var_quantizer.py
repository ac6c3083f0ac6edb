"""Residual quantisation over scales, as VAR's tokenizer: the nearest codes, coarse to fine."""

import torch
from torch import nn
from torch.nn import functional as F


class Phi(nn.Conv2d):
    def __init__(self, embed_dim, quant_resi):
        super().__init__(embed_dim, embed_dim, kernel_size=3, stride=1, padding=1)
        self.resi_ratio = abs(quant_resi)

    def forward(self, h_BChw):
        return h_BChw.mul(1 - self.resi_ratio) + super().forward(h_BChw).mul_(self.resi_ratio)


class VectorQuantizer(nn.Module):
    def __init__(self, vocab_size=24, Cvae=6, beta=0.25, v_patch_nums=(1, 2, 3, 4)):
        super().__init__()
        self.vocab_size, self.Cvae, self.beta = vocab_size, Cvae, beta
        self.v_patch_nums = v_patch_nums
        self.quant_resi = nn.ModuleList([Phi(Cvae, 0.5) for _ in range(2)])
        self.register_buffer("ema_vocab_hit", torch.full((len(v_patch_nums), vocab_size), 0.0))
        self.embedding = nn.Embedding(vocab_size, Cvae)
        self.embedding.weight.data.uniform_(-1 / vocab_size, 1 / vocab_size)

    def forward(self, f_BChw):
        B, C, H, W = f_BChw.shape
        f_no_grad = f_BChw.detach()
        f_rest = f_no_grad.clone()
        f_hat = torch.zeros_like(f_rest)
        mean_vq_loss = 0.0
        SN = len(self.v_patch_nums)
        for si, pn in enumerate(self.v_patch_nums):
            rest_NC = (
                F.interpolate(f_rest, size=(pn, pn), mode="area").permute(0, 2, 3, 1).reshape(-1, C)
                if (si != SN - 1)
                else f_rest.permute(0, 2, 3, 1).reshape(-1, C)
            )
            d_no_grad = torch.sum(rest_NC.square(), dim=1, keepdim=True) + torch.sum(
                self.embedding.weight.data.square(), dim=1, keepdim=False
            )
            d_no_grad.addmm_(rest_NC, self.embedding.weight.data.T, alpha=-2, beta=1)
            idx_N = torch.argmin(d_no_grad, dim=1)
            hit_V = idx_N.bincount(minlength=self.vocab_size).float()
            idx_Bhw = idx_N.view(B, pn, pn)
            h_BChw = (
                F.interpolate(
                    self.embedding(idx_Bhw).permute(0, 3, 1, 2), size=(H, W), mode="bicubic"
                ).contiguous()
                if (si != SN - 1)
                else self.embedding(idx_Bhw).permute(0, 3, 1, 2).contiguous()
            )
            h_BChw = self.quant_resi[min(si, 1)](h_BChw)
            f_hat = f_hat + h_BChw
            f_rest -= h_BChw.detach()
            self.ema_vocab_hit[si].mul_(0.9).add_(hit_V.mul(0.1))
            mean_vq_loss += F.mse_loss(f_hat.data, f_BChw).mul_(self.beta) + F.mse_loss(
                f_hat, f_no_grad
            )
        mean_vq_loss *= 1.0 / SN
        f_hat = (f_hat.data - f_no_grad).add_(f_BChw)
        return f_hat, mean_vq_loss


def build():
    return {
        "enc": nn.Conv2d(1, 6, 3, stride=2, padding=1),
        "quant": VectorQuantizer(),
        "dec": nn.ConvTranspose2d(6, 1, 4, stride=2, padding=1),
    }


def train(models, data):
    enc, quant, dec = models["enc"], models["quant"], models["dec"]
    params = [*enc.parameters(), *quant.parameters(), *dec.parameters()]
    optimizer = torch.optim.AdamW(params, lr=3e-3, betas=(0.9, 0.95), weight_decay=0.05)
    x, losses = torch.tensor(data["unit"], dtype=torch.get_default_dtype()), []
    for _ in range(6):
        f_hat, vq_loss = quant(enc(x))
        loss = F.mse_loss(dec(f_hat), x) + vq_loss
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses + quant.ema_vocab_hit.sum(dim=1).tolist()
