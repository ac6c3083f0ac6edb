"""Diffusion in the plane, where everything can be seen: the chain, the samples, the paths back.

    python examples/diffusion_2d.py                          # swiss roll, about a minute
    python examples/diffusion_2d.py --data grid --T 100      # 25 modes
    python examples/diffusion_2d.py --schedule linear        # the paper's betas, 50 steps: too few
    python examples/diffusion_2d.py --sampler renoise        # a wrong turn: see what it loses

A point x_0 is noised in T steps, x_t = a_t x_0 + s_t eps. A small network sees x_t and t and learns
to say eps (or x_0, or v). Then points of pure noise are taken back, step by step. The data is
scaled to variance 1 first, for which the schedules are made.
"""

import time
from pathlib import Path

import tinygen as tg
from tinygen import data, plot
from tinygen.models import diffusion, nets
from tinygen.optim.lr_scheduler import CosineAnnealingLR
from tinygen.run import Run, count, device, options, positive, whole

LAWS = {"swiss_roll": "swiss_roll", "grid": "grid", "moons": "two_moons", "ring": "ring"}
parser = options(__doc__)
parser.add_argument("--data", choices=sorted(LAWS), default="swiss_roll")
parser.add_argument("--device", type=device, default="cpu", help="cpu or cuda")
parser.add_argument("--steps", type=count, default=5000, help="of training")
parser.add_argument("--batch", type=count, default=256, help="points a step, drawn anew")
parser.add_argument("--lr", type=positive, default=2e-3,
                    help="Adam's step size; falls to 0 (cosine)")  # fmt: skip
parser.add_argument("--hidden", type=count, default=128, help="units of a hidden layer")
parser.add_argument("--T", type=count, default=50, help="steps of the chain")
parser.add_argument("--schedule", choices=sorted(diffusion.SCHEDULES), default="cosine")
parser.add_argument("--parameterisation", choices=diffusion.KINDS, default="v")
parser.add_argument("--sampler", choices=sorted(diffusion.SAMPLERS), default="ancestral")
parser.add_argument("--seed", type=whole, default=0)
parser.add_argument("--out", default="runs/diffusion_2d", help="folder of this run")
parser.add_argument("--resume", action="store_true", help="go on with the run in --out")
args = parser.parse_args()

# --- data -------------------------------------------------------------------------------------
tg.manual_seed(args.seed)
many = data.toy(LAWS[args.data], 100_000, tg.Generator().manual_seed(1))
mean, std = many.mean(0), many.std().item()


def draw(n: int, generator: tg.Generator | None = None) -> tg.Tensor:
    """n points of the law, at mean 0 and variance 1."""
    return (data.toy(LAWS[args.data], n, generator) - mean) / std


# --- model ------------------------------------------------------------------------------------
process = diffusion.schedule(args.schedule, args.T)
net = nets.TimeMLP(2, args.hidden)
model = diffusion.Diffusion(process, net, args.parameterisation).to(args.device)
print(process)

# --- optimizer --------------------------------------------------------------------------------
opt = tg.optim.Adam(model.parameters(), lr=args.lr)
schedule = CosineAnnealingLR(opt, T_max=args.steps)
ema = tg.optim.EMA(model, 0.995)

# --- loop -------------------------------------------------------------------------------------
run = Run(args.out, config=args, resume=args.resume)
run.track(model=model, opt=opt, schedule=schedule, ema=ema)
began = time.perf_counter()
for _ in run.steps(args.steps):
    loss = model.loss(draw(args.batch).to(args.device))
    opt.zero_grad()
    loss.backward()
    opt.step()
    schedule.step()
    ema.update()
    run.log(loss=loss)
print(f"{args.steps} steps in {time.perf_counter() - began:.1f} s, seed {args.seed}; {args.data}")

# --- the chain backwards ------------------------------------------------------------------------
out, extent = Path(args.out), (-3.2, 3.2, -3.2, 3.2)
fixed = tg.Generator(args.device).manual_seed(4)
with ema.swap():
    path = list(diffusion.chain(model, (2000, 2), args.sampler, generator=fixed))
    steps = min(20, args.T)
    ways = list(diffusion.chain(model, (300, 2), "heun", steps, generator=fixed))
samples, real = path[-1][1], draw(2000, tg.Generator().manual_seed(5))
spread, true = (x.var(0).mean().item() for x in (samples, real))
print(f"variance of the samples {spread:.3f}, of the data {true:.3f}")

title = f"{args.data}, {args.sampler}, T = {args.T}"
plot.samples_2d(samples, real, extent=extent, title=title, path=out / "samples.png")
every = max(1, len(path) // 50)
frames = path[::-1][::every][::-1]  # ends with x_0
plot.gif(
    (plot.samples_2d(x, extent=extent, title=f"t = {t}") for t, x in frames),
    out / "chain.gif", fps=12, pause=2,
)  # fmt: skip
flow = tg.stack([x for _, x in ways])  # (steps + 1, 300, 2)
how = f"the flow from noise to {args.data}: Heun, {steps} steps"
plot.paths_2d(flow, extent=extent, title=how, path=out / "paths.png")
print(f"pictures in {out}/: samples.png, paths.png, chain.gif")
