"""Codes of pictures in numbers: what they keep, and what is drawn in them at equal CPU time.

    python benchmarks/quality/codes.py                   # what is not there yet: 20 min of CPU
    python benchmarks/quality/codes.py --match draw      # only rows with this in the name
    python benchmarks/quality/codes.py --seeds 2         # a second seed of the rows that draw
    python benchmarks/quality/codes.py --report          # the page again, from the JSON

Budgets are CPU seconds of training, so that what else the machine does counts little (with
OPENBLAS_NUM_THREADS=1, so that no thread spins); lr falls to 0 with the seconds. Autoencoders of
the rows that draw stay in runs/codes and are trained once. The numbers and the page beside them go
to benchmarks/results/vq.
"""

import math
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from codes_page import report
from rows import RESULTS, ROOT, fill, load, options

import tinygen as tg
from tinygen import data, metrics, plot
from tinygen.models import nets, vq
from tinygen.models.vq import latent_diffusion, token_prior, vqvae

OUT = RESULTS / "vq"
KEPT = ROOT / "runs" / "codes"
KEEP_SECONDS, FIRST_SECONDS, DRAW_SECONDS = 15.0, 100.0, 60.0
KEEP = {
    f"keep {name} {kind}": (name, {"quantiser": kind} | more)
    for name in ("emoji", "fashion")
    for kind, more in (
        ("ema", {}), ("loss", {}), ("product", {}), ("residual", {}), ("scales", {}),
        ("fsq", {"dim": 3}),
    )
}  # fmt: skip
TRANSFORMER = {"width": 64, "layers": 4, "heads": 4}
DRAW: dict[str, dict[str, Any]] = {
    "draw each integer alone": {"codes": "ema"},
    "draw gpt": {"codes": "ema", "prior": "gpt"} | TRANSFORMER,
    "draw pixelcnn": {"codes": "ema", "prior": "pixelcnn", "width": 48, "layers": 6},
    "draw maskgit": {"codes": "ema", "prior": "maskgit"} | TRANSFORMER,
    "draw var": {"codes": "scales", "prior": "var"} | TRANSFORMER,
    "draw latent diffusion, kl": {"codes": "kl", "space": "kl"},
    "draw latent diffusion, vq": {"codes": "ema", "space": "vq"},
    "draw pixel diffusion": {"space": "pixels"},
}
GROUPS = 4
BUDGETS = {"keep": KEEP_SECONDS, "first": FIRST_SECONDS, "draw": DRAW_SECONDS, "groups": GROUPS}
NOISES = (0.0, 1.0, 2.0, 4.5, 9.0, 18.0)
MAPS = {"shape": (3, 32, 32), "dim": 8}  # of every autoencoder: 8 x 8 places, 8 numbers a place


@cache
def emoji() -> tuple[tg.Tensor, tg.Tensor, tg.Tensor]:
    """Pictures to learn, 100 that are held out of these, and test pictures."""
    train, test = (data.load("emoji", split).to_symmetric() for split in ("train", "test"))
    order = tg.randperm(len(train), generator=tg.Generator().manual_seed(0))
    return train[order[100:]], train[order[:100]], test


def learn(
    model: Any, part: Any, terms: Callable[[tg.Tensor], dict[str, tg.Tensor]], x: tg.Tensor,
    seconds: float, held: tg.Tensor | None = None, lr: float = 2e-3, decay: float = 0.0,
) -> dict[str, float]:  # fmt: skip
    """Train `part` for so many CPU seconds; with held: keep its average that is best on these."""
    params = [p for p in part.parameters() if p.requires_grad]
    opt = tg.optim.AdamW(params, lr=lr, weight_decay=decay)
    ema = tg.optim.EMA(params, 0.99)
    loader = data.DataLoader(data.TensorDataset(x), 32, shuffle=True, drop_last=True).forever()
    spent, steps, best, kept, looks = 0.0, 0, math.inf, None, 0

    @tg.no_grad()
    def loss_of_held() -> float:
        with ema.swap():
            model.eval()
            parts = [terms(held)["loss"].item() for _ in range(3)]  # where it is drawn: of three
            model.train()
        return statistics.mean(parts)

    model.train()
    best_at = 0
    while spent < seconds:
        began = time.process_time()
        opt.param_groups[0]["lr"] = lr * 0.5 * (1.0 + math.cos(math.pi * spent / seconds))
        loss = terms(next(loader)[0])["loss"]
        opt.zero_grad()
        loss.backward()
        tg.nn.utils.clip_grad_norm_(params, 1.0)
        opt.step()
        ema.update()
        steps += 1
        spent += time.process_time() - began
        if held is not None and (spent >= seconds or spent > (looks + 1) * seconds / 15):
            looks += 1
            if (now := loss_of_held()) < best:
                best, best_at = now, steps
                kept = [average.clone() for average in ema.shadow.values()]
    for p, value in zip(params, kept or []):
        p.data.copy_(value)
    model.eval()
    return {"steps": steps, "cpu": round(spent, 1)} | ({"best_at": best_at} if kept else {})


def autoencoder(kind: str, seed: int) -> tuple[Any, dict[str, float]]:
    """The first stage of rows that draw: a VQ-VAE, or a latent diffusion whose "kl" part is."""
    path = KEPT / f"{kind}-{seed}.npz"
    tg.manual_seed(seed)
    x = tg.cat(emoji()[:2])
    if kind == "kl":
        model = latent_diffusion.build(MAPS | {"space": kind})
        part, terms = model.autoencoder, lambda x: model.autoencoder_terms((x,))
    else:
        model = vqvae.build(MAPS | {"quantiser": kind})
        part, terms = model, lambda x: model.terms((x,))
    if path.exists():
        kept = tg.load(path)
        model.load_state_dict(kept["model"])
        return model.eval(), kept["row"]
    row = learn(model, part, terms, x, FIRST_SECONDS)
    model.measure(x)
    KEPT.mkdir(parents=True, exist_ok=True)
    tg.save({"model": model.state_dict(), "row": row}, path)
    return model, row


# --- rows -----------------------------------------------------------------------------------------


def keep(name: str, seed: int) -> dict[str, Any]:
    """What a VQ-VAE's integers keep of test pictures."""
    tg.manual_seed(seed)
    source, config = KEEP[name]
    train, test = data.load(source), data.load(source, "test")
    x, y = train.to_symmetric(), test.to_symmetric()[:1000]
    model = vqvae.build({"shape": x.shape[1:]} | config)
    row = learn(model, model, lambda x: model.terms((x,)), x, KEEP_SECONDS)
    model.measure(x[:5000])
    with tg.no_grad():
        tokens = tg.cat([model.encode(part) for part in y.split(100)])
        made = tg.cat([model.decode(part) for part in tokens.split(100)])
        bound = tg.cat([model.log_prob_bound(part) for part in y.split(100)])
        if source == "emoji":
            row["perceptual"] = nets.perceptual()(made, y).mean().item()
    return row | {
        "integers": model.tokens, "size": model.quantiser.size,
        "psnr": metrics.psnr(made, y, data_range=2.0).mean().item(),
        "ssim": metrics.ssim(made, y, data_range=2.0).mean().item(),
        "perplexity": vq.perplexity(tokens, model.quantiser.size),
        "bits": metrics.bits_per_dim(-bound.mean().item(), y[0].numel()),
    }  # fmt: skip


def judged(draws: tg.Tensor) -> dict[str, Any]:
    """Frechet distance to training pictures, precision, recall, of groups of the test set's
    size."""
    train, _, test = emoji()
    judge = metrics.emoji_classifier()
    real = judge.features(train)
    groups = [judge.features(part) for part in draws.clamp(-1.0, 1.0).split(len(test))]
    near = [metrics.precision_recall(real, group) for group in groups]
    return {
        "frechet": [metrics.frechet_distance(real, group) for group in groups],
        "precision": statistics.mean(one.precision for one in near),
        "recall": statistics.mean(one.recall for one in near),
    }


def draw(name: str, seed: int) -> dict[str, Any]:
    """A generator of emoji, trained and judged."""
    config, (x, held, test) = DRAW[name], emoji()
    first, before = autoencoder(config["codes"], seed) if "codes" in config else (None, None)
    tg.manual_seed(seed)
    row: dict[str, Any] = {}
    if "space" in config:
        model = first
        if config["space"] != "kl":
            model = latent_diffusion.build(MAPS | config)
        if config["space"] == "vq":
            model.autoencoder.vqvae.load_state_dict(first.state_dict())
            model.measure(x)
        seconds = DRAW_SECONDS + (0.0 if first else FIRST_SECONDS)
        row |= learn(model, model.diffusion, lambda x: model.terms((x,)), x, seconds, held)
        sample = lambda n, seed: model.sample(
            n, tg.Generator().manual_seed(seed), sampler="ddim", steps=25
        )
        row["passes"] = 25
    elif "prior" in config:
        codes = MAPS | {"quantiser": config["codes"]}
        model = token_prior.build(config | {"codes": codes})
        model.codes.load_state_dict(first.state_dict())
        tokens, of_held = model.tokens(x), model.tokens(held)
        row |= learn(model, model, lambda t: model.terms((t,)), tokens, DRAW_SECONDS, of_held,
                     decay=0.1)  # fmt: skip
        sample = lambda n, seed, **how: model.sample(n, tg.Generator().manual_seed(seed), **how)
        row |= {"passes": model.passes, "integers": model.length}
        if config["prior"] != "maskgit":
            with tg.no_grad():
                row["uncached"] = ms(lambda n: sample(n, 1, cache=False), 1)
                log_p = model.log_prob(model.tokens(test))
                bound = model.codes.log_prob_bound(test, log_p)
            row["log_p"] = log_p.mean().item()
            row["bits"] = metrics.bits_per_dim(-bound.mean().item(), test[0].numel())
        else:
            row["noise"] = {
                str(noise): judged(sample(len(test), 8, noise=noise))["frechet"][0]
                for noise in NOISES
            }
    else:
        sample = lambda n, seed: first.sample(n, tg.Generator().manual_seed(seed))
        row |= {"steps": 0, "cpu": 0.0, "passes": 0, "integers": first.tokens}
        row["log_p"] = first.log_usage(first.encode(test)).mean().item()
        bits = -first.log_prob_bound(test).mean().item()
        row["bits"] = metrics.bits_per_dim(bits, test[0].numel())
    draws = tg.cat([sample(len(test), 10 + i) for i in range(GROUPS)])
    KEPT.mkdir(parents=True, exist_ok=True)
    tg.save({"x": draws[:20]}, KEPT / f"{name}-{seed}.npz")
    if before:
        row["first"] = before
        row["reconstructed"] = judged(remade(first, test))["frechet"][0]
    row |= judged(draws) | {"one": ms(lambda n: sample(n, 1), 1), "many": ms(
        lambda n: sample(n, 1), 100
    )}  # fmt: skip
    return row


@tg.no_grad()
def remade(first: Any, x: tg.Tensor) -> tg.Tensor:
    """Pictures there and back again."""
    return first.decode(first.encode(x))


def ms(sample: Callable[[int], Any], n: int) -> float:
    """CPU milliseconds a sample of n at once, the least of three."""
    times = []
    for _ in range(3):
        began = time.process_time()
        sample(n)
        times.append(time.process_time() - began)
    return 1000.0 * min(times) / n


def picture(names: Sequence[str]) -> str | None:
    """Sixteen samples of each row that draws, seed 0, made anew where they are all still there."""
    files, path = [KEPT / f"{name}-0.npz" for name in names], OUT / "codes.png"
    if files and all(file.exists() for file in files):
        draws = tg.cat([tg.load(file)["x"][:16] for file in files]).clamp(-1.0, 1.0)
        plot.image_grid(draws, nrow=16, value_range=(-1, 1), path=path)
    return path.name if path.exists() else None


def main() -> None:
    args, path = options(__doc__, seeds=1), OUT / "figures.json"
    found = load(path)
    if found.setdefault("budgets", BUDGETS) != BUDGETS:
        sys.exit(f"{path} has rows of other budgets, {found['budgets']}: remove it first")
    if not args.report:
        found.setdefault("floor", judged(emoji()[2]))
    one = lambda name, seed: draw(name, seed) if name in DRAW else keep(name, seed)
    fill(path, found, DRAW | KEEP, one, args, lambda name, seed: seed == 0 or name in DRAW)
    drawn = picture([name for name in DRAW if name in found["rows"]])
    (OUT / "figures.md").write_text(report(found, drawn))


if __name__ == "__main__":
    main()
