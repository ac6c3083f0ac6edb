"""Diffusion in the plane, where everything can be seen: the chain, the samples, the paths back.

    python examples/diffusion_2d.py                          # swiss roll
    python examples/diffusion_2d.py --data grid --T 100      # 25 modes
    python examples/diffusion_2d.py --schedule linear        # the paper's betas, 50 steps: too few
    python examples/diffusion_2d.py --sampler renoise        # a wrong turn: see what it loses

Expect: 30 s on 2 cores; variance of the samples 0.936, of the data 0.979.

A point x_0 is noised in T steps, x_t = a_t x_0 + s_t eps. A small network sees x_t and t and learns
to say eps (or x_0, or v). Then points of pure noise are taken back, step by step. The data is
scaled to variance 1 first, for which the schedules are made.
"""

import tinygen as tg
from tinygen import data, plot
from tinygen.models import diffusion
from tinygen.models.diffusion import diffusion_2d
from tinygen.plot.report import Report
from tinygen.run import Run, count, options

LAWS = ["swiss_roll", "grid", "two_moons", "ring"]
EXTENT = (-3.2, 3.2, -3.2, 3.2)  # of the pictures: three standard deviations

parser = options(__doc__, "diffusion_2d", data=LAWS, steps=5000, batch=256, lr=2e-3)
parser.add_argument("--hidden", type=count, default=128, help="units of a hidden layer (128)")
parser.add_argument("--T", type=count, default=50, help="steps of the chain (50)")
parser.add_argument("--schedule", choices=sorted(diffusion.SCHEDULES), default="cosine",
                    help="how a_t and s_t go from data to noise (cosine)")  # fmt: skip
parser.add_argument("--parameterisation", choices=diffusion.KINDS, default="v",
                    help="what the network is asked for (v)")  # fmt: skip
parser.add_argument("--sampler", choices=sorted(diffusion.SAMPLERS), default="ancestral",
                    help="the way back, for the samples (ancestral)")  # fmt: skip
args = parser.parse_args()

# --- data -------------------------------------------------------------------------------------
tg.manual_seed(args.seed)
many = data.toy(args.data, 100_000, tg.Generator().manual_seed(1))
mean, std = many.mean(0), many.std().item()


def draw(n: int, generator: tg.Generator | None = None) -> tg.Tensor:
    """n points of the law, at mean 0 and variance 1."""
    return (data.toy(args.data, n, generator) - mean) / std


# --- model and optimizer ----------------------------------------------------------------------
config = vars(args)  # models.restore builds the model from this again
model = diffusion_2d.build(config).to(args.device)
print(model.process)
opt = tg.optim.Adam(model.parameters(), lr=args.lr)
schedule = tg.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=args.steps)  # lr falls to 0
ema = tg.optim.EMA(model, 0.995)  # of the weights, over some 200 steps

# --- loop -------------------------------------------------------------------------------------
run = Run(args.out, config=config, resume=args.resume, system="diffusion_2d")
run.track(model=model, opt=opt, schedule=schedule, ema=ema)
for _ in run.steps(args.steps):
    terms = model.terms((draw(args.batch).to(args.device),))  # points are drawn anew: no epochs
    opt.zero_grad()
    terms["loss"].backward()
    opt.step()
    schedule.step()
    ema.update()
    run.log(**terms)
print(f"{args.steps} steps in {run.seconds:.1f} s, seed {args.seed}; {args.data}")

# --- the chain backwards ------------------------------------------------------------------------
seeded = tg.Generator(args.device).manual_seed(4)
with ema.swap():
    path = list(diffusion.chain(model, (2000, 2), args.sampler, generator=seeded))
    steps = min(20, args.T)
    ways = list(diffusion.chain(model, (300, 2), "heun", steps, generator=seeded))
samples, real = path[-1][1], draw(2000, tg.Generator().manual_seed(5))
spread, true = (x.var(0).mean().item() for x in (samples, real))
print(f"variance of the samples {spread:.3f}, of the data {true:.3f}")

report = Report(args.out, model)
out, title = report.folder, f"{args.data}, {args.sampler}, T = {args.T}"
plot.samples_2d(samples, real, extent=EXTENT, title=title, path=out / "samples.png")
frames = diffusion.film(model.process, path)  # by noise, not by t; ends with x_0
plot.gif((plot.samples_2d(x, extent=EXTENT, title=f"t = {t}") for t, x in frames),
         out / "chain.gif", fps=10, pause=2)  # fmt: skip
flow = tg.stack([x for _, x in ways])  # (steps + 1, 300, 2)
title = f"the flow from noise to {args.data}: Heun, {steps} steps"
plot.paths_2d(flow, extent=EXTENT, title=title, path=out / "paths.png")
report.close()
