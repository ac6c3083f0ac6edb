"""The autoencoder family on small images: bounds, log p(x), rate-distortion, pictures. CPU minutes.

    python benchmarks/quality/vae.py                  # all of it but Fashion-MNIST
    python benchmarks/quality/vae.py variants curve   # some parts: variants curve losses labels ais
    python benchmarks/quality/vae.py fashion          # the two-layer VAE, 30,000 iterations

Every part writes benchmarks/results/vae/vae-family.json anew with its own numbers in it, and from
that vae-family.md. Test ELBO and importance-sampled log p(x) are means over the test images in
nats; +- is the standard deviation over the seeds. Seconds are CPU time of this process.
"""

import argparse
import json
import platform
import time
from pathlib import Path

import numpy as np

import tinygen as tg
from tinygen import data, metrics, nn, plot
from tinygen.models import likelihoods, nets, vae
from tinygen.models.vae import annealing, bounds, hierarchical, reconstruction
from tinygen.models.vae import autoencoder as ae

OUT = Path(__file__).parents[1] / "results" / "vae"
PARTS = ["variants", "curve", "losses", "labels", "ais", "fashion"]
LATENT, HIDDEN, BATCH, LR = 8, 256, 128, 2e-3
DIGITS = (1, 8, 8)
PUBLISHED = {  # iteration: ELBO, log p(x) on MNIST
    "5000": ("-112.57", "-107.01"),
    "10000": ("-108.49", "-102.62"),
    "20000": ("-106.23", "-100.04"),
    "30000": ("-104.50", "-98.34"),
}


def train(model, loss, n: int, steps: int, seed: int, lr: float = LR, params=None) -> float:
    """Adam with a cosine schedule on loss(indices); CPU seconds."""
    rng, began = np.random.default_rng(seed), time.process_time()
    opt = tg.optim.Adam(list(params or model.parameters()), lr=lr)
    schedule = tg.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=steps)
    for _ in range(steps):
        opt.zero_grad()
        loss(rng.integers(0, n, BATCH)).backward()
        opt.step()
        schedule.step()
    return time.process_time() - began


def digits():
    return (data.load("digits", split) for split in ("train", "test"))


# --- the variants: name -> (model, training loss of (model, x, labels, progress in 0..1)) ---------


def plain(likelihood, objective):
    def make():
        pair = nets.mlp_autoencoder(DIGITS, LATENT, HIDDEN, outputs=likelihood().outputs)
        return vae.VAE(*pair, likelihood(), LATENT)

    return make, objective


def conditional():
    pair = nets.mlp_autoencoder(DIGITS, LATENT, HIDDEN, classes=10)
    return vae.ConditionalVAE(*pair, likelihoods.Bernoulli(), LATENT, 10)


def two_levels():
    return hierarchical.levels(DIGITS, [16, LATENT], likelihoods.Bernoulli(), HIDDEN)


def same_size(betas=None):
    return lambda: hierarchical.shared(
        DIGITS, 4, likelihoods.Gaussian(0.05, learn=True), HIDDEN, betas
    )


def elbo(beta):
    return lambda model, x, c, t: -model(x, beta=beta).elbo


def warmed_up(model, x, c, t):
    """The weight of the KL rises from 0 to 1 over the first half (Sonderby et al., 2016)."""
    return -model(x, beta=min(1.0, 2.0 * t)).elbo


BINARY = {
    "VAE": plain(likelihoods.Bernoulli, elbo(1.0)),
    "beta-VAE, beta = 4": plain(likelihoods.Bernoulli, elbo(4.0)),
    "VAE, score function (8 draws)": plain(
        likelihoods.Bernoulli, lambda model, x, c, t: -model.score_function(x, 8).elbo
    ),
    "IWAE, k = 5": plain(likelihoods.Bernoulli, lambda model, x, c, t: -model.iwae(x, 5)),
    "IWAE, k = 5, weights form": plain(
        likelihoods.Bernoulli, lambda model, x, c, t: -model.iwae(x, 5, "weights")
    ),
    "conditional VAE (log p(x given c))": (
        conditional,
        lambda model, x, c, t: -model(x, labels=c).elbo,
    ),
    "hierarchical, codes 16 and 8": (two_levels, elbo(1.0)),
    "hierarchical, KL warmed up": (two_levels, warmed_up),
}
GREY = {
    "Gaussian, variance 0.05 fixed": plain(lambda: likelihoods.Gaussian(0.05), elbo(1.0)),
    "Gaussian, one learned variance": plain(
        lambda: likelihoods.Gaussian(0.05, learn=True), elbo(1.0)
    ),
    "Gaussian, a variance a pixel (>= 0.001)": plain(likelihoods.GaussianPerPixel, elbo(1.0)),
    "4 same-size levels, shared networks": (same_size(), elbo(1.0)),
    "4 same-size levels, fixed noise": (same_size([0.05, 0.15, 0.4, 0.9]), elbo(1.0)),
}


def evaluate(model, x, c, samples, draws=20):
    """Test ELBO, log p(x) by importance sampling with its errors, active units."""
    given = {} if c is None else {"c": c}
    with tg.no_grad():
        terms = [model(x, generator=tg.Generator().manual_seed(s), **given) for s in range(draws)]
    found = bounds.importance(model, x, samples, tg.Generator().manual_seed(3), c)
    log_p, over_images, over_draws = bounds.average(found)
    kl = [float(np.sum((t.kl if hasattr(t, "kl") else t.kls).numpy())) for t in terms]
    result = {
        "elbo": float(np.mean([t.elbo.item() for t in terms])),
        "log_likelihood": float(np.mean([t.log_likelihood.item() for t in terms])),
        "kl": float(np.mean(kl)),
        "log_p": log_p, "error_images": over_images, "error_draws": over_draws, "k": samples,
        "median_ess": float(np.median(found.ess.numpy())),
    }  # fmt: skip
    if hasattr(model, "encode"):
        with tg.no_grad():
            result["active"] = metrics.active_units(model.encode(x, c)[0])
    return result


def fit(name, make, objective, seed, steps, samples, binary, scale=lambda x: x, log_scale=0.0):
    """Train one variant with one seed and evaluate it; log_scale: the log density of `scale`."""
    tg.manual_seed(seed)
    train_set, test_set = digits()
    x, test = ((d.to_unit() if binary else d.images) for d in (train_set, test_set))

    def pixels(x, generator=None):
        if binary:
            return likelihoods.binarise(x, generator)
        return scale(likelihoods.dequantise(x, train_set.maximum, generator))

    test, model = pixels(test, tg.Generator().manual_seed(1)), make()
    if binary:
        net = model.decoders[0] if hasattr(model, "decoders") else model.decoder
        nets.set_output_bias(net, x)

    done = iter(np.linspace(0.0, 1.0, steps))

    def loss(i):
        return objective(model, pixels(x[i]), train_set.labels[i], float(next(done)))

    seconds = train(model, loss, len(x), steps, seed)
    c = test_set.labels if isinstance(model, vae.ConditionalVAE) else None
    result = evaluate(model, test, c, samples)
    for key in ("elbo", "log_likelihood", "log_p"):
        result[key] += log_scale
    levels = None if binary else train_set.maximum + 1
    result["bits"] = metrics.bits_per_dim(result["log_p"], test[0].numel(), levels)
    print(f"{name:40s} seed {seed}  {seconds:5.1f} s  ELBO {result['elbo']:8.2f}  "
          f"log p {result['log_p']:8.2f}", flush=True)  # fmt: skip
    return model, {"seed": seed, "seconds": seconds, **result}


def variants(args):
    path = OUT / "vae-family.json"
    table = json.loads(path.read_text()).get("variants", {}) if args.match else {}
    for kind, group in (("binary", BINARY), ("grey", GREY)):
        binary = kind == "binary"
        for name, (make, objective) in group.items():
            if args.match not in name:
                continue
            centred = name.startswith("4 same")
            scale = {"scale": lambda x: 2 * x - 1, "log_scale": 64 * np.log(2)} if centred else {}
            runs = [
                fit(name, make, objective, seed, args.steps, args.samples, binary, **scale)[1]
                for seed in range(args.seeds)
            ]
            table[name] = {"pixels": kind, "runs": runs}
            write("variants", table)
    return table


def curve(args):
    table = {}
    for beta in (0.1, 0.3, 1.0, 3.0, 10.0):
        make, objective = plain(likelihoods.Bernoulli, elbo(beta))
        table[str(beta)] = [
            fit(f"beta {beta}", make, objective, s, args.steps, args.samples, True)[1]
            for s in range(args.seeds)
        ]
    draw_curve(table)
    return table


def draw_curve(table):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 3.6), layout="constrained")
    axes = figure.add_subplot()
    rate = [np.mean([r["kl"] for r in runs]) for runs in table.values()]
    distortion = [-np.mean([r["log_likelihood"] for r in runs]) for runs in table.values()]
    axes.plot(rate, distortion, "o-")
    for beta, x, y in zip(table, rate, distortion):
        axes.annotate(f"  $\\beta$ = {beta}", (x, y), fontsize=9)
    axes.set(xlabel="rate: KL(q || p), nats", ylabel="distortion: -E log p(x|z), nats")
    axes.set_title("digits, 8-D code, test set", fontsize=11)
    figure.savefig(OUT / "vae-family-curve.png", dpi=120)


def losses(args):
    """One autoencoder for each reconstruction loss; each is judged by all measures."""
    train_set, test_set = digits()
    x, test, table, rows = train_set.to_unit(), test_set.to_unit(), {}, [test_set.to_unit()[:16]]
    for name in [*reconstruction.LOSSES, "perceptual", "learned variance"]:
        runs = []
        for seed in range(args.seeds):
            tg.manual_seed(seed)
            encoder, decoder = nets.mlp_autoencoder(DIGITS, 4, HIDDEN, moments=1)
            model = ae.Autoencoder(encoder, nn.Sequential(decoder, nn.Sigmoid()))
            params, distance = list(model.parameters()), reconstruction.LOSSES.get(name)
            if name == "perceptual":
                distance = perceptual(x, train_set.labels, seed)
            if name == "learned variance":
                likelihood = likelihoods.Gaussian(0.05, learn=True)
                params += list(likelihood.parameters())
                distance = lambda y, x, lh=likelihood: -lh.log_prob(x, y)  # noqa: E731
            fun = lambda i, m=model, d=distance: m.loss(x[i], d)  # noqa: E731
            seconds = train(model, fun, len(x), args.steps, seed, params=params)
            with tg.no_grad():
                y = model(test)
                runs.append({
                    "seed": seed, "seconds": seconds,
                    "psnr": metrics.psnr(y, test).mean().item(),
                    "ssim": metrics.ssim(y, test).mean().item(),
                    "l1": reconstruction.absolute_error(y, test).mean().item(),
                })  # fmt: skip
        print(name, runs[-1], flush=True)
        table[name] = runs
        rows.append(y[:16])
    plot.save_image(tg.cat(rows), OUT / "vae-family-losses.png", scale=6, nrow=16, clip=True)
    return table


def perceptual(x, labels, seed):
    net, cross_entropy = nets.classifier(DIGITS, 10, 16), nn.CrossEntropyLoss()
    train(net, lambda i: cross_entropy(net(x[i]), labels[i]), len(x), 300, seed)
    return reconstruction.Perceptual(net)


def labels(args):
    """50 labelled digits: an encoder pre-trained on all images against one from scratch."""
    train_set, test_set = digits()
    x, y, cross_entropy, runs = train_set.to_unit(), train_set.labels, nn.CrossEntropyLoss(), []
    for seed in range(args.seeds):
        few, found = np.random.default_rng(seed).permutation(len(x))[:50], {}
        for how in ("scratch", "pretrained"):
            tg.manual_seed(seed)
            encoder, decoder = nets.mlp_autoencoder(DIGITS, 32, [256, 128], moments=1)
            seconds = 0.0
            if how == "pretrained":
                model = ae.DenoisingAutoencoder(encoder, decoder, ae.GaussianNoise(0.5))
                seconds = train(model, lambda i, m=model: m.loss(x[i]), len(x), args.steps, seed)
            classifier = ae.Classifier(encoder, 32, 10)
            fine = lambda i, c=classifier, few=few: cross_entropy(c(x[few]), y[few])  # noqa: E731
            seconds += train(classifier, fine, len(x), 300, seed, lr=5e-4)
            found[how] = classifier.accuracy(test_set.to_unit(), test_set.labels)
        runs.append({"seed": seed, "seconds": seconds, **found})
        print("50 labels", runs[-1], flush=True)
    return runs


def ais(args):
    """Annealed against importance sampling on 20 test digits, for one trained VAE."""
    make, objective = BINARY["VAE"]
    model, _ = fit("VAE", make, objective, 0, args.steps, 10, True)
    x = likelihoods.binarise(
        next(iter([list(digits())[1]])).to_unit(), tg.Generator().manual_seed(1)
    )[:20]
    rows = {}
    for name, found in {
        "importance, k = 5000": bounds.importance(model, x, 5000, tg.Generator().manual_seed(3)),
        "annealed, 16 chains, 200 steps": annealing.ais(model, x, 16, 200),
    }.items():
        mean, _, over_draws = bounds.average(found)
        rows[name] = {"log_p": mean, "error_draws": over_draws}
    print(rows, flush=True)
    return rows


def fashion(args):
    """The two-layer MLP VAE of github.com/jaanli/variational-autoencoder, on Fashion-MNIST."""
    fixed, table = tg.Generator().manual_seed(1), {}
    x, test = (
        likelihoods.binarise(data.load("fashion", s).to_unit(), fixed) for s in ("train", "test")
    )
    for seed in range(args.seeds):
        tg.manual_seed(seed)
        model = vae.VAE(*nets.mlp_autoencoder((1, 28, 28), 128, 256), likelihoods.Bernoulli(), 128)
        opt = tg.optim.RMSprop(model.parameters(), lr=1e-3, centered=True)
        rng, seconds = np.random.default_rng(seed), 0.0
        for step in range(1, args.iterations + 1):
            began = time.process_time()
            opt.zero_grad()
            (-model(x[rng.integers(0, len(x), BATCH)]).elbo).backward()
            opt.step()
            seconds += time.process_time() - began
            if step in (1000, 2000, 5000, 10_000, 20_000, 30_000):
                some = evaluate(model, test[:500], None, 200, draws=1)
                with tg.no_grad():
                    bound = model(test, generator=tg.Generator().manual_seed(2)).elbo.item()
                run = {"seed": seed, "seconds": seconds, **some, "elbo_500": some["elbo"]}
                table.setdefault(str(step), []).append({**run, "elbo": bound})
                print(step, table[str(step)][-1], flush=True)
                write("fashion", table)
        if seed == 0:
            pictures = model.sample(64, tg.Generator().manual_seed(4))
            plot.save_image(pictures, OUT / "vae-family-fashion.png", scale=3, clip=True)
    return table


# --- the report ---------------------------------------------------------------------------------


def write(part, content):
    """Put one part's numbers into the JSON, and make the table of the whole anew."""
    path = OUT / "vae-family.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    results["versions"] = {
        "tinygen": tg.__version__, "numpy": np.__version__, "python": platform.python_version(),
        "machine": f"{platform.machine()}, CPU, OPENBLAS_NUM_THREADS=1",
    }  # fmt: skip
    results[part] = content
    path.write_text(json.dumps(results, indent=1) + "\n")
    (OUT / "vae-family.md").write_text(report(results))


def over(runs, key, digits=2):
    values = [run[key] for run in runs if key in run]
    if not values:
        return "-"
    spread = f" ± {np.std(values, ddof=1):.{digits}f}" if len(values) > 1 else ""
    return f"{np.mean(values):.{digits}f}{spread}"


def table(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines) + "\n"


def report(r):
    parts = ["# The autoencoder family in numbers\n"]
    v, s = r["versions"], r.get("settings", {})
    parts.append(
        f"Made by `benchmarks/quality/vae.py`; tinygen {v['tinygen']}, NumPy {v['numpy']}, Python "
        f"{v['python']}, {v['machine']}. Digits (8 x 8, 1415 training, 382 test images): MLP "
        f"of two layers of {HIDDEN}, code {LATENT}, batch {BATCH}, Adam {LR} falling to 0 "
        f"(cosine), {s.get('steps')} steps, seeds 0..{s.get('seeds', 1) - 1}. All in nats, test "
        "set, mean ± standard deviation over seeds; log p(x) by importance sampling with k draws "
        "an image, its standard error first over the draws, then over the test images. The "
        "former is told by the spread of the weights it has: where few draws carry all the weight "
        "(ess, the median effective number of draws) it is too small. bits/dim: -log P(x) in bits "
        "a pixel, of 2 values where binarised, of 17 where grey (log p less 64 log 17). "
        "Seconds: CPU, one run.\n"
    )
    for kind, title in (
        ("binary", "binarised pixels, log-probabilities (training: anew a step; test: once)"),
        ("grey", "grey pixels dequantised to [0, 1), densities: another scale than above"),
    ):
        rows = [
            [name, over(t["runs"], "elbo"), over(t["runs"], "log_p"), over(t["runs"], "bits", 3),
             t["runs"][0]["k"],
             f"{np.mean([x['error_draws'] for x in t['runs']]):.2f}; "
             f"{np.mean([x['error_images'] for x in t['runs']]):.2f}",
             f"{np.mean([x['median_ess'] for x in t['runs']]):.0f}",
             over(t["runs"], "kl"), over(t["runs"], "active", 1), over(t["runs"], "seconds", 1)]
            for name, t in r.get("variants", {}).items() if t["pixels"] == kind
        ]  # fmt: skip
        if rows:
            parts.append(f"## Variants: {title}\n")
            head = ["model", "test ELBO", "log p(x)", "bits/dim", "k", "std. error", "ess", "KL"]
            head += ["active units", "s"]
            parts.append(table(head, rows))
    if "curve" in r:
        rows = [
            [beta, over(runs, "kl"), over([{"d": -x["log_likelihood"]} for x in runs], "d"),
             over(runs, "elbo"), over(runs, "log_p"), over(runs, "active", 1)]
            for beta, runs in r["curve"].items()
        ]  # fmt: skip
        parts.append("## Rate and distortion over beta\n\n![](vae-family-curve.png)\n")
        head = ["beta", "rate", "distortion", "ELBO (beta = 1)", "log p(x)", "active of 8"]
        parts.append(table(head, rows))
    if "losses" in r:
        rows = [
            [name, over(x, "psnr"), over(x, "ssim", 3), over(x, "l1"), over(x, "seconds", 1)]
            for name, x in r["losses"].items()
        ]
        parts.append(
            "## Reconstruction losses (autoencoder, code 4)\n\n![](vae-family-losses.png)\n\n"
            f"Rows of the picture: the original, then {', '.join(r['losses'])}.\n"
        )
        parts.append(table(["trained with", "PSNR, dB", "SSIM", "L1 a picture", "s"], rows))
    if "labels" in r:
        rows = [[over(r["labels"], "scratch", 3), over(r["labels"], "pretrained", 3)]]
        parts.append("## 50 labels: test accuracy\n")
        parts.append(table(["from scratch", "encoder of a denoising autoencoder"], rows))
    if "ais" in r:
        rows = [[k, f"{x['log_p']:.3f}", f"{x['error_draws']:.3f}"] for k, x in r["ais"].items()]
        parts.append("## Annealed importance sampling (one VAE, 20 test digits)\n")
        parts.append(table(["estimator", "log p(x)", "std. error over the draws"], rows))
    if "fashion" in r:
        rows = [
            [step, over(x, "elbo"), over(x, "elbo_500"), over(x, "log_p"),
             f"{np.mean([y['error_draws'] for y in x]):.2f}; "
             f"{np.mean([y['error_images'] for y in x]):.2f}",
             f"{np.mean([y['median_ess'] for y in x]):.1f}", over(x, "active", 1),
             over(x, "seconds", 0), *PUBLISHED.get(step, ("-", "-"))]
            for step, x in r["fashion"].items()
        ]  # fmt: skip
        seeds = max(len(x) for x in r["fashion"].values())
        parts.append(
            "## Fashion-MNIST, MLP 2 x 256, code 128, RMSprop(centered) 1e-3, batch 128, seeds 0.."
            f"{seeds - 1}\n\n"
            "Binarised once. log p(x): 200 draws for each of the first 500 test images; ELBO: all "
            "10,000. The last two columns are the published curve of the same networks on "
            "binarised **MNIST** (validation, one run; jaanli/variational-autoencoder): another "
            "data set, so to be compared in shape (the gap, the fall with iterations) and not in "
            "value. The effective draws (ess) of 200 are few: log p(x) is a lower bound that more "
            "draws would raise.\n\n![](vae-family-fashion.png)\n"
        )
        head = ["iteration", "ELBO", "ELBO of the 500", "log p(x)", "std. error", "ess"]
        head += ["active of 128", "CPU s", "MNIST ELBO", "MNIST log p"]
        parts.append(table(head, rows))
    return "\n".join(parts)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="which parts")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=1500, help="of one run on digits")
    parser.add_argument("--samples", type=int, default=500, help="draws an image for log p(x)")
    parser.add_argument("--iterations", type=int, default=30_000, help="of the Fashion-MNIST run")
    parser.add_argument("--match", default="", help="only the variants with this in the name")
    parser.add_argument("--out", type=Path, help="folder of the results")
    args = parser.parse_args()
    global OUT
    OUT = args.out or OUT
    OUT.mkdir(parents=True, exist_ok=True)
    for part in args.parts or PARTS[:-1]:
        if part != "fashion":
            write("settings", {"steps": args.steps, "seeds": args.seeds, "samples": args.samples})
        write(part, globals()[part](args))


if __name__ == "__main__":
    main()
