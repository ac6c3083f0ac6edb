"""Learn the score of a law in the plane, three ways, and draw from it by annealed Langevin.

    python examples/score.py                           # denoising score matching
    python examples/score.py --objective exact         # tr(ds/dx): the engine differentiates twice
    python examples/score.py --objective sliced        # v^T (ds/dx) v for a random v
    python examples/score.py --data spiral             # or ring, moons
    python examples/score.py --levels 1                # one level of noise: what plain scores miss

Expect: 1 min on 2 cores; weight of the mode 0.8: annealed 0.795, plain Langevin 0.67 (the start's).

s(x, sigma) is to be grad log q_sigma(x), q_sigma the data with noise of standard deviation sigma.
The law is a mixture of Gaussians, of which everything is known: the true score at every sigma, the
true density of every sample. Two modes that are far apart have the same score whatever they weigh;
only with much noise do they meet, and annealed Langevin begins there. The probability flow has the
same marginals without noise, and a density. All is in the folder --out.
"""

import tinygen as tg
from tinygen import plot
from tinygen.models import score as scores
from tinygen.models.score import score
from tinygen.plot.fields import field_2d
from tinygen.plot.report import Report
from tinygen.run import Run, count, options, positive

EXTENT = (-10.0, 10.0, -10.0, 10.0)  # of the pictures

parser = options(__doc__, "score", data=list(scores.LAWS), steps=4000, batch=256, lr=2e-3)
parser.add_argument("--objective", choices=scores.OBJECTIVES, default="denoising",
                    help="how the score is learned (denoising)")  # fmt: skip
parser.add_argument("--hidden", type=count, default=64, help="units of a hidden layer (64)")
parser.add_argument("--levels", type=count, default=10, help="levels of noise (10)")
parser.add_argument("--sigma-max", type=positive, default=20.0, help="noise at the top (20)")
parser.add_argument("--sigma-min", type=positive, default=0.1, help="noise at the bottom (0.1)")
parser.add_argument("--chain", type=count, default=100, help="steps of Langevin a level (100)")
args = parser.parse_args()

# --- data: a law that is known; points are drawn anew, so there are no epochs ---------------------
tg.manual_seed(args.seed)
law = scores.LAWS[args.data]()
seeded = lambda seed: tg.Generator(args.device).manual_seed(seed)

# --- model and optimizer --------------------------------------------------------------------------
config = vars(args)  # models.restore builds the model from this again
model = score.build(config).to(args.device)
opt = tg.optim.Adam(model.parameters(), lr=args.lr)
schedule = tg.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=args.steps)  # lr falls to 0
ema = tg.optim.EMA(model, 0.995)  # of the weights, over some 200 steps

# --- loop -----------------------------------------------------------------------------------------
run = Run(args.out, config=config, resume=args.resume, system="score")
run.track(model=model, opt=opt, schedule=schedule, ema=ema)
for _ in run.steps(args.steps):
    terms = model.terms((law.sample(args.batch).to(args.device),))
    opt.zero_grad()
    terms["loss"].backward()
    opt.step()
    schedule.step()
    ema.update()
    run.log(**terms)
print(f"{args.steps} steps in {run.seconds:.1f} s, seed {args.seed}; {args.data}, {args.objective}")

# --- what it learned: score, samples, density, each beside the true one ---------------------------
ema.copy_to()
x, mean = law.sample(2000, tg.Generator().manual_seed(1)), lambda v: v.mean().item()
with tg.no_grad():
    for sigma in model.sigmas[:: max(1, len(model.sigmas) // 3)]:
        noised = x + sigma * tg.randn(x.shape, generator=tg.Generator().manual_seed(2))
        true, said = law.score(noised, sigma), model.score(noised.to(args.device), sigma).cpu()
        error = mean((said - true).square().sum(1)) / mean(true.square().sum(1))
        print(f"score at sigma {sigma:.2f}: E |s - true|^2 is {error:.4f} of E |true|^2")


def judge(name: str, points: tg.Tensor) -> None:
    """Print how points share the modes, and what the true density says of them."""
    shares = law.shares(points)
    apart = 0.5 * (shares - law.weights).abs().sum().item()
    print(
        f"{name}: weight of the first mode {shares[0].item():.3f} ({law.weights[0].item():.3f}), "
        f"of all off by {apart:.3f}; -log p of the law {-mean(law.log_prob(points)):.3f} nats"
    )


judge("data", x)
ways = scores.SAMPLERS if args.levels > 1 else ("langevin",)
paths = {name: list(model.path(2000, seeded(4), name)) for name in ways}
samples = {name: model.denoise(path[-1]).cpu() for name, path in paths.items()}
for name, points in samples.items():
    judge(name, points)
lowest = model.sigmas[-1]
if args.levels > 1:
    noised = x[:500] + lowest * tg.randn(500, 2, generator=tg.Generator().manual_seed(3))
    found = mean(model.log_prob(noised.to(args.device)))
    print(f"log p of 500 points with noise {lowest:g}: by the probability flow {found:.3f} nats, "
          f"of the law {mean(law.log_prob(noised, lowest)):.3f}")  # fmt: skip

# --- pictures -------------------------------------------------------------------------------------
report = Report(args.out, model)
out, some = report.folder, 400
for name, points in samples.items():
    drawn = "samples" if name == ways[0] else name
    plot.samples_2d(
        points, x, extent=EXTENT, title=f"{args.data}, {name}", path=out / f"{drawn}.png"
    )
for name, sigma in (("field", lowest), ("field_noised", max(lowest, model.sigmas[0] / 4))):
    field_2d(lambda x, sigma=sigma: model.score(x.to(args.device), sigma).cpu(), EXTENT,
             lambda x, sigma=sigma: law.log_prob(x, sigma),
             title=f"learned score, noise {sigma:.2g}", path=out / f"{name}.png")  # fmt: skip
for name in [name for name in ways if name != "flow"]:
    frames = paths[name][:: max(1, len(paths[name]) // 50)] + [samples[name]]
    plot.gif((plot.samples_2d(p[:some], extent=EXTENT, title=name) for p in frames),
             out / f"{name}.gif", fps=12, pause=2)  # fmt: skip
if "flow" in ways:
    flow = tg.stack([p[:some].cpu() for p in paths["flow"]])
    plot.paths_2d(flow, extent=EXTENT, title="probability flow", path=out / "paths.png")
report.curves("loss")
report.close()
