"""DCGANs under five objectives on small images, measured in our own classifier's features.

    python benchmarks/quality/gan_images.py                                  # digits, 3 seeds
    python benchmarks/quality/gan_images.py --data fashion --width 16 --steps 400
    python benchmarks/quality/gan_images.py --report

Scaled-down budgets: the numbers compare the objectives at that budget, not with published ones.
Results go to benchmarks/results/gan/gan-images.json and .md, sample grids beside them; a run that
is there with the same settings is not done again.
"""

import argparse
import json
import platform
import time
from pathlib import Path

import numpy as np

import tinygen as tg
from tinygen import data, metrics, plot
from tinygen.models import gan, nets

RESULTS = Path(__file__).parents[1] / "results" / "gan"
SETTINGS = ("steps", "batch", "width", "latent", "n", "code", "gamma", "rate")
ROWS = {  # objective: D's norm, D steps, settings of the optimizers
    "non_saturating": ("batch", 1),
    "least_squares": ("batch", 1),
    "wgan": ("batch", 3),
    "wgan_gp": ("layer", 3),
    "began": ("none", 1),
}


def judge_of(name: str, train: data.ImageDataset) -> metrics.Classifier:
    if name == "digits":
        return metrics.digits_classifier()
    tg.manual_seed(0)
    some = slice(0, 20_000)
    model = metrics.Classifier(*train.images.shape[1:3])
    scaled = data.to_symmetric(train.images[some])
    return metrics.fit_classifier(model, scaled, train.labels[some], steps=600)


def train_one(objective: str, x: tg.Tensor, seed: int, args: argparse.Namespace) -> gan.GAN:
    tg.manual_seed(seed)
    norm, rounds = ROWS[objective]
    generator, judge = nets.dcgan(x.shape[1:], args.latent, args.width, norm=norm)
    if objective == "began":
        judge = nets.dcgan_energy(x.shape[1:], args.code, args.width)
        model = gan.BEGAN(generator, judge, args.latent, gamma=args.gamma, rate=args.rate)
    else:
        model = gan.GAN(generator, judge, objective, args.latent)
    if objective == "wgan":
        opts = [tg.optim.RMSprop(net.parameters(), lr=2e-4) for net in (generator, judge)]
    else:
        opts = [
            tg.optim.Adam(net.parameters(), lr=5e-4, betas=(0.5, 0.999))
            for net in (generator, judge)
        ]
    ema = tg.optim.EMA(generator, 0.99)
    rng = np.random.default_rng(seed)
    for _ in range(args.steps):
        for _ in range(rounds):
            loss = model.discriminator_terms(x[rng.integers(len(x), size=args.batch)])["loss"]
            opts[1].zero_grad()
            loss.backward()
            opts[1].step()
            if objective == "wgan":
                tg.optim.clip_weights_(judge.parameters(), model.objective.clip)
        if objective == "began":
            model.balance()
        with gan.frozen(model.D):
            loss = model.generator_terms(args.batch)["loss"]
            opts[0].zero_grad()
            loss.backward()
        opts[0].step()
        ema.update()
    ema.copy_to()
    return model


def measure(pictures: tg.Tensor, x: tg.Tensor, judge: metrics.Classifier) -> dict:
    real, fake = judge.features(x), judge.features(pictures)
    p = judge.probabilities(pictures)
    near = metrics.precision_recall(real, fake)
    return {
        "frechet": metrics.frechet_distance(real, fake),
        "kid": metrics.kernel_distance(real, fake)[0],
        "precision": near.precision,
        "recall": near.recall,
        "score": metrics.inception_score(p),
        "classes": metrics.class_counts(p).tolist(),
        "c2st": metrics.classifier_two_sample_test(real, fake).accuracy,
    }


def floor(x: tg.Tensor, judge: metrics.Classifier, n: int, seed: int = 0) -> dict:
    """The same measures between two disjoint halves of the data: what n alone does."""
    order = np.random.default_rng(seed).permutation(len(x))
    n = min(n, len(x) // 2)
    return {"n": n, **measure(x[order[:n].tolist()], x[order[n : 2 * n].tolist()], judge)}


def report(results: dict) -> str:
    lines = ["# DCGANs on small images\n"]
    for name, entry in results.items():
        s = entry["settings"]
        lines += [
            f"## {name}\n",
            f"{s['steps']} generator steps of batch {s['batch']}, width {s['width']}, latent "
            f"{s['latent']}; Adam 5e-4 (0.5, 0.999), wgan RMSprop 2e-4 and clip 0.01; wgan and "
            f"wgan_gp 3 D steps; G averaged (EMA 0.99); BEGAN a code of {s['code']}, gamma "
            f"{s['gamma']}, rate of k {s['rate']}. {s['n']} samples against {s['n']} training "
            "pictures, in features of our own classifier (32, each with standard deviation 1). "
            f"{entry['versions']}. Mean ± "
            "standard deviation over the seeds; CPU seconds of training, one BLAS thread.\n",
            "| objective | Fréchet | KID | precision | recall | score | least of a class | C2ST "
            "| CPU s | seeds |",
            "|---|---|---|---|---|---|---|---|---|---|",
        ]
        for objective in ROWS:
            rows = [r for r in entry["runs"] if r["objective"] == objective]
            if rows:
                keys = ("frechet", "kid", "precision", "recall", "score")
                cells = [
                    f"{np.mean([r[k] for r in rows]):.2f}"
                    + (f" ± {np.std([r[k] for r in rows], ddof=1):.2f}" if len(rows) > 1 else "")
                    for k in keys
                ]
                least = np.mean([min(r["classes"]) / sum(r["classes"]) for r in rows])
                c2st = np.mean([r["c2st"] for r in rows])
                seconds = np.mean([r["seconds"] for r in rows])
                lines.append(
                    f"| {objective} | {' | '.join(cells)} | {100 * least:.1f} % | {c2st:.2f} | "
                    f"{seconds:.0f} | {len(rows)} |"
                )
        f = entry["floor"]
        lines += [
            f"\nTwo disjoint parts of the data of {f['n']} each: Fréchet {f['frechet']:.2f}, KID "
            f"{f['kid']:.2f}, precision {f['precision']:.2f}, recall {f['recall']:.2f}, score "
            f"{f['score']:.2f}, C2ST {f['c2st']:.2f}: the distances' bias at that n.\n"
        ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="digits")
    parser.add_argument("--root")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--latent", type=int, default=32)
    parser.add_argument("--n", type=int, default=1000, help="pictures of each to compare")
    parser.add_argument("--code", type=int, default=4, help="of BEGAN's autoencoder")
    parser.add_argument("--gamma", type=float, default=0.9, help="BEGAN's")
    parser.add_argument("--rate", type=float, default=0.02, help="of BEGAN's k")
    parser.add_argument("--report", action="store_true")
    args = parser.parse_args()
    path = RESULTS / "gan-images.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    if not args.report:
        train_set = data.load(args.data, root=args.root)
        x = train_set.to_symmetric()
        judge = judge_of(args.data, train_set)
        versions = f"tinygen {tg.__version__}, numpy {np.__version__}, Python "
        entry = {
            "settings": {k: getattr(args, k) for k in SETTINGS},
            "versions": versions + platform.python_version(),
            "floor": floor(x[:20_000], judge, args.n),
            "runs": [],
        }
        old = results.get(args.data, {})
        if old.get("settings") == entry["settings"]:
            entry["runs"] = old["runs"]
        results[args.data] = entry
        done = {(row["objective"], row["seed"]) for row in entry["runs"]}
        for seed in range(args.seeds):
            for objective in ROWS:
                if (objective, seed) in done:
                    continue
                began = time.process_time()
                model = train_one(objective, x, seed, args)
                seconds = time.process_time() - began
                pictures = tg.cat([model.sample(250) for _ in range(args.n // 250)])
                row = {"objective": objective, "seed": seed, "seconds": round(seconds, 1)}
                row.update(measure(pictures, x[: args.n], judge))
                entry["runs"].append(row)
                print(row, flush=True)
                if seed == 0:
                    file = RESULTS / f"gan-{args.data}-{objective}.png"
                    plot.save_image(pictures[:64], file, value_range=(-1, 1), scale=3)
                path.write_text(json.dumps(results, indent=0) + "\n")
    text = report(results)
    (RESULTS / "gan-images.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
