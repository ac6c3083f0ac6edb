"""Modes that a GAN finds: every objective, and every device, on 25 and on 8 Gaussians.

    python benchmarks/quality/gan_toys.py                        # objectives on both, 5 seeds
    python benchmarks/quality/gan_toys.py --ablation             # devices on the grid
    python benchmarks/quality/gan_toys.py --longer --seeds 3     # on the grid, 4 times the steps
    python benchmarks/quality/gan_toys.py --report               # only the tables, from the JSON

Measured by PacGAN's protocol (tinygen/metrics/samples.py) on 2500 samples; the training budget is
scaled down from PacGAN's 400,000 steps to --steps, so absolute numbers are not comparable with the
printed ones, ranks may be. Results are appended to benchmarks/results/gan/gan-toys.json run by run;
a run that is there with the same settings is not done again.
"""

import argparse
import json
import platform
import time
from pathlib import Path

import numpy as np

import tinygen as tg
from tinygen import data, metrics
from tinygen.models import gan, nets

RESULTS = Path(__file__).parents[1] / "results" / "gan"
LAWS = {
    "grid": (data.gaussian_grid, data.grid_centers(), 0.05),
    "ring": (data.gaussian_ring, data.ring_centers(), 0.01),
}
ABLATION = {  # one change each from the non-saturating GAN
    "none": {},
    "PacGAN 2": {"pack": 2},
    "PacGAN 4": {"pack": 4},
    "spectral norm": {"spectral": True},
    "gradient penalty (weight 1)": {"penalty": "interpolates", "weight": 1.0},
    "R1 (weight 0.1)": {"penalty": "zero_on_data", "weight": 0.1},
    "label smoothing 0.1": {"smoothing": 0.1},
    "instance noise 0.3 to 0": {"noise": 0.3},
    "batch norm in G": {"batch_norm": True},
    "reference batch norm in G": {"batch_norm": True, "own": False},
    "virtual batch norm in G": {"batch_norm": True, "own": True},
    "minibatch discrimination": {"minibatch": 4},
    "3 D steps": {"d_steps": 3},
    "two time scales: D 4 times as fast": {"lr_d": 4e-3},
    "two time scales: G 4 times as slow": {"lr_g": 2.5e-4},
    "optimistic Adam": {"optimistic": True},
    "extragradient (Adam, both at once)": {"extra": True},
    "EMA 0.99 of G": {"ema": 0.99},
}
GANS = {"pack", "penalty", "weight", "smoothing", "noise"}  # the model's own; others are used here
SETTINGS = ("steps", "batch", "hidden", "lr", "clip", "weight", "gamma", "rate")
PUBLISHED = """\
| printed, 8-ring / 25-grid | modes | high-quality | reverse KL |
|---|---|---|---|
| GAN, PacGAN Table 1 (400 epochs of 100,000 points, 10 trials) | 6.3 / 8; 17.3 / 25 | 98.2 %; 94.8 % | 0.45; 0.70 |
| GAN, VEEGAN's table (its own nets and budget) | 1 / 8; 3.3 / 25 | -; 0.5 % | - |
| PacGAN2, PacGAN Table 1 | 7.9 / 8; 23.8 / 25 | 95.6 %; 91.3 % | 0.07; 0.13 |
"""  # noqa: E501


def networks(objective: str, hidden: int, extra: dict) -> tuple:
    devices = {key: extra[key] for key in ("batch_norm", "minibatch") if key in extra}
    generator, judge = nets.mlp_gan((2,), 2, hidden, packed=extra.get("pack", 1), **devices)
    if gan.OBJECTIVES[objective].output == "energy":
        judge = nets.mlp_energy((2,), 1, hidden)  # a code of 2 could copy every point
    if "own" in extra:
        generator = nets.referenced(generator, tg.randn(128, 2), extra["own"])
    if extra.get("spectral"):
        judge = nets.spectrally_normalised(judge)
    return generator, judge


def optimizers(model: gan.GAN, args: argparse.Namespace, extra: dict) -> list:
    """Of D and of G."""
    kind = gan.OptimisticAdam if extra.get("optimistic") else tg.optim.Adam
    opts = [
        kind(net.parameters(), lr=extra.get(key, args.lr), betas=(0.5, 0.9))
        for net, key in ((model.D, "lr_d"), (model.G, "lr_g"))
    ]
    return opts


def train(law: str, objective: str, seed: int, args: argparse.Namespace, extra: dict) -> dict:
    """One run; what PacGAN's protocol says of it."""
    tg.manual_seed(seed)
    draw, centers, std = LAWS[law]
    points = draw(50_000)
    scale = float(points.std().item())
    points = points / scale
    row = gan.OBJECTIVES[objective]
    options = {key: value for key, value in extra.items() if key in GANS}
    options |= {"weight": args.weight} if row.penalty else {}
    pair = networks(objective, args.hidden, extra)
    if row.output == "energy":
        model = gan.BEGAN(*pair, 2, gamma=args.gamma, rate=args.rate)
    else:
        model = gan.GAN(*pair, objective, 2, **options)
    opt_d, opt_g = opts = optimizers(model, args, extra)
    lookahead = gan.Extragradient(*opts)
    ema = tg.optim.EMA(model.G, extra.get("ema", 0.0))
    rounds = extra.get("d_steps", 5 if objective.startswith("wgan") else 1)
    rng = np.random.default_rng(seed)

    def gradients_d() -> None:
        loss = model.discriminator_terms(points[rng.integers(len(points), size=args.batch)])["loss"]
        opt_d.zero_grad()
        loss.backward()

    def gradients_g() -> None:
        with gan.frozen(model.D):
            loss = model.generator_terms(args.batch)["loss"]
            opt_g.zero_grad()
            loss.backward()

    def alternate() -> None:
        for _ in range(rounds):
            gradients_d()
            opt_d.step()
            if row.clip:
                tg.optim.clip_weights_(model.D.parameters(), args.clip)
        if objective == "began":
            model.balance()
        gradients_g()
        opt_g.step()

    def extragradient() -> None:
        for move in (lookahead.look_ahead, lookahead.step):
            gradients_d()
            gradients_g()
            move()
            if row.clip:
                tg.optim.clip_weights_(model.D.parameters(), args.clip)

    turn = extragradient if extra.get("extra") else alternate
    noise, rates = model.noise, [opt.param_groups[0]["lr"] for opt in opts]
    began = time.process_time()
    for step in range(args.steps):
        model.noise = gan.ramp(step, noise, 0.0, args.steps)
        for opt, lr in zip(opts, rates):
            falling = gan.ramp(2 * step - args.steps, lr, 0.0, args.steps)
            opt.param_groups[0]["lr"] = falling
        turn()
        ema.update()
    seconds = round(time.process_time() - began, 2)
    if extra.get("ema"):
        ema.copy_to()
    samples = model.sample(2500, tg.Generator().manual_seed(1000 + seed)).numpy() * scale
    if not np.isfinite(samples).all():
        return {"modes": 0, "hq": 0.0, "rkl": float(np.log(len(centers))), "seconds": seconds}
    found = metrics.mode_report(samples, centers, std)
    return {
        "modes": found.modes, "hq": found.high_quality, "rkl": found.reverse_kl, "seconds": seconds
    }  # fmt: skip


def scatter(law: str) -> str:
    """What no GAN at all would get: 2500 points of the Gaussian with the law's covariance."""
    draw, centers, std = LAWS[law]
    rng = np.random.default_rng(0)
    x = rng.multivariate_normal(np.zeros(2), np.cov(draw(50_000).numpy().T), 2500)
    found = metrics.mode_report(x, centers, std)
    return (
        f"Beside it, 2500 points of one Gaussian with the law's covariance: {found.modes} modes, "
        f"{100 * found.high_quality:.1f} % high-quality, reverse KL {found.reverse_kl:.2f}."
    )


def spread(values: list[float], digits: int) -> str:
    """Mean and standard error; of a single run the number alone."""
    text = f"{np.mean(values):.{digits}f}"
    if len(values) < 2:
        return text
    return f"{text} ± {np.std(values, ddof=1) / len(values) ** 0.5:.{digits}f}"


def table(rows: list[dict], names: list[str], law: str, kind: str) -> str:
    total = len(LAWS[law][1])
    lines = [f"| {kind} | modes of {total} | high-quality % | reverse KL | CPU s | seeds |"]
    lines += ["|---|---|---|---|---|---|"]
    for name in names:
        found = [r for r in rows if (r["name"], r["law"], r["kind"]) == (name, law, kind)]
        if found:
            cells = [
                spread([r["modes"] for r in found], 1),
                spread([100 * r["hq"] for r in found], 1),
                spread([r["rkl"] for r in found], 2),
            ]
            seconds = [r["seconds"] for r in found if "seconds" in r]
            cells += [f"{min(seconds):.0f}" if seconds else "-", str(len(found))]
            lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def report(results: dict) -> str:
    rows, settings = results["runs"], results["settings"]
    parts = [
        "# GANs on toy laws: modes found\n",
        "PacGAN's protocol on 2500 samples: mean ± standard error over the seeds. Scaled-down "
        f"budget: {settings['steps']} generator steps of batch {settings['batch']}, networks of 3 "
        f"hidden layers of {settings['hidden']} units, Adam lr {settings['lr']}, falling "
        "to 0 in the second half, betas (0.5, 0.9), data divided by their standard deviation; "
        "WGANs 5 critic steps; clip "
        f"{settings['clip']}, penalty weight {settings['weight']}, BEGAN gamma "
        f"{settings['gamma']}, rate of k {settings['rate']}, a code of 1 number. "
        f"One process, one BLAS thread, {results['versions']}.\n",
    ]
    for law in LAWS:
        parts += [f"## {law}\n", table(rows, list(gan.OBJECTIVES), law, "objective")]
        parts += ["", scatter(law), ""]
    parts += ["## Devices, on the grid, from the non-saturating GAN\n"]
    parts += [table(rows, list(ABLATION), "grid", "device"), ""]
    parts += ["## The grid again, with 4 times the steps\n"]
    parts += [table(rows, list(gan.OBJECTIVES), "grid", "longer"), ""]
    parts += ["## Printed elsewhere, with other budgets\n", PUBLISHED]
    parts += ["The two printed baselines of the plain GAN conflict: nets and budgets differ.\n"]
    return "\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--clip", type=float, default=0.1)
    parser.add_argument("--weight", type=float, default=0.1, help="of the rows' own penalties")
    parser.add_argument("--gamma", type=float, default=0.7, help="BEGAN's")
    parser.add_argument("--rate", type=float, default=0.05, help="of BEGAN's k")
    parser.add_argument("--ablation", action="store_true")
    parser.add_argument("--longer", action="store_true")
    parser.add_argument("--report", action="store_true")
    args = parser.parse_args()
    path = RESULTS / "gan-toys.json"
    settings = {k: getattr(args, k) for k in SETTINGS}
    old = json.loads(path.read_text()) if path.exists() else {}
    same = old.get("settings") == settings
    runs = old["runs"] if same else []
    versions = (
        f"tinygen {tg.__version__}, numpy {np.__version__}, Python {platform.python_version()}"
    )
    results = {"settings": settings, "versions": versions, "runs": runs}
    done = {(r["kind"], r["name"], r["law"], r["seed"]) for r in runs}
    kind = "device" if args.ablation else "longer" if args.longer else "objective"
    todo = []
    if not args.report:
        names = ABLATION if args.ablation else gan.OBJECTIVES
        laws = list(LAWS) if kind == "objective" else ["grid"]
        todo = [(n, w, s) for s in range(args.seeds) for w in laws for n in names]
    if args.longer:
        args.steps *= 4
    for name, law, seed in todo:
        if (kind, name, law, seed) in done:
            continue
        objective, extra = ("non_saturating", ABLATION[name]) if args.ablation else (name, {})
        row = {"kind": kind, "name": name, "law": law, "seed": seed}
        row.update(train(law, objective, seed, args, extra))
        runs.append(row)
        print(row, flush=True)
        path.write_text(json.dumps(results, indent=0) + "\n")
    if args.report and not same:
        results = old
    text = report(results)
    (RESULTS / "gan-toys.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
