"""Train an energy in the plane by Langevin dynamics: the data push it down, the model's draws up.

    python examples/energy.py                          # a replay buffer, MALA
    python examples/energy.py --sampler langevin       # uncorrected chains: E learns their error
    python examples/energy.py --start data             # contrastive divergence: from the data
    python examples/energy.py --data spiral            # or ring, two_modes

Expect: 1 min on 2 cores; -log p of test points 3.87 nats (the law's own 3.79, one Gaussian 4.68).

p(x) = e^(-E(x)) / Z. No sampler is needed to say which of two points is likelier, but Z is unknown,
and its slope needs draws from the model: Langevin chains, kept in a buffer from batch to batch. In
the plane Z is a sum over a grid, so that the density can be checked; the law of the data is a
mixture of Gaussians, which is known. All is in the folder --out.
"""

import tinygen as tg
from tinygen import metrics, plot
from tinygen.models import score as scores
from tinygen.models.score import energy
from tinygen.plot.fields import field_2d
from tinygen.plot.report import Report
from tinygen.run import Run, count, fraction, options, positive

REACH = 10.0
EXTENT = (-REACH, REACH, -REACH, REACH)  # of the pictures
LAWS = ["moons", *(name for name in scores.LAWS if name != "moons")]

parser = options(__doc__, "energy", data=LAWS, steps=2000, batch=256, lr=5e-3)
parser.add_argument("--hidden", type=count, default=64, help="units of a hidden layer (64)")
parser.add_argument("--sampler", choices=energy.SAMPLERS, default="mala", help="of x- (mala)")
parser.add_argument("--start", choices=energy.STARTS, default="buffer",
                    help="where its chains begin (buffer)")  # fmt: skip
parser.add_argument("--chain", type=count, default=20, help="steps of a chain a batch (20)")
parser.add_argument("--step", type=positive, default=0.1, help="size of a step (0.1)")
parser.add_argument("--size", type=count, default=5000, help="points in the buffer (5000)")
parser.add_argument("--fresh", type=fraction, default=0.05, help="share that begins anew (0.05)")
parser.add_argument("--walk", type=count, default=500, help="steps of the last chains (500)")
args = parser.parse_args()

# --- data: a law that is known; points are drawn anew, so there are no epochs ---------------------
tg.manual_seed(args.seed)
law = scores.LAWS[args.data]()
seeded = lambda seed: tg.Generator(args.device).manual_seed(seed)
test = law.sample(2000, tg.Generator().manual_seed(1))

# --- model and optimizer --------------------------------------------------------------------------
config = vars(args)  # models.restore builds the model from this again
model = energy.build(config).to(args.device)
opt = tg.optim.Adam(model.parameters(), lr=args.lr, betas=(0.5, 0.99))
schedule = tg.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=args.steps)  # lr falls to 0
ema = tg.optim.EMA(model, 0.99)

# --- the normaliser: a sum over a grid twice as wide as the pictures --------------------------
axis = tg.linspace(-2 * REACH, 2 * REACH, 401, device=args.device)
cells = tg.stack([a.flatten() for a in tg.meshgrid(axis, axis, indexing="ij")], 1)


@tg.no_grad()
def weigh() -> tuple[tg.Tensor, tg.Tensor]:
    """E at the grid's points, and log Z."""
    at = tg.cat([model(part) for part in cells.split(20_000)])
    return at, tg.logsumexp(-at, 0) + 2 * tg.log(axis[1] - axis[0])


@tg.no_grad()
def nll(log_z: tg.Tensor) -> float:
    """-log p of the test points under the model, in nats."""
    return (model(test.to(args.device)).mean() + log_z).item()


# --- loop -----------------------------------------------------------------------------------------
run = Run(args.out, config=config, resume=args.resume, system="energy")
run.track(model=model, opt=opt, schedule=schedule, ema=ema)
for _ in run.steps(args.steps):
    terms = model.terms((law.sample(args.batch).to(args.device),))
    opt.zero_grad()
    terms["loss"].backward()
    opt.step()
    schedule.step()
    ema.update()
    run.log(**terms)
    if run.every(250) or run.last:
        run.log(test_nll=nll(weigh()[1]))
print(f"{args.steps} steps in {run.seconds:.1f} s, seed {args.seed}; {args.data}, {args.sampler} "
      f"from {args.start}")  # fmt: skip

# --- what it learned ------------------------------------------------------------------------------
ema.copy_to()
at, log_z = weigh()
many = law.sample(20_000, tg.Generator().manual_seed(2))
away = many - many.mean(0)
gaussian = tg.distributions.MultivariateNormal(many.mean(0), away.T @ away / len(away))
print(f"-log p of {len(test)} test points: model {nll(log_z):.3f} nats, the law itself "
      f"{-law.log_prob(test).mean().item():.3f}, one Gaussian "
      f"{-gaussian.log_prob(test).mean().item():.3f}")  # fmt: skip
true = ((log_z - 2 * tg.log(axis[1] - axis[0]) + at).neg().exp() * at).sum().item()
start = 2 * model.std * tg.randn(2000, 2, generator=seeded(3), device=args.device)
drawn = {}
for sampler in energy.SAMPLERS:
    drawn[sampler] = list(model.path(start, args.walk, seeded(4), sampler))
    with tg.no_grad():
        mean, error = metrics.mean_and_error(model(drawn[sampler][-1]))
    print(f"E of 2000 chains by {sampler}: {mean:.3f} ± {error:.3f}; on the grid {true:.3f}")

# --- pictures -------------------------------------------------------------------------------------
report = Report(args.out, model)
out = report.folder
samples, name = drawn[args.sampler], f"{args.data}, {args.sampler}"
plot.samples_2d(samples[-1], test, extent=EXTENT, title=name, path=out / "samples.png")
log_density = lambda x: -model(x.to(args.device)) - log_z
plot.density_2d(log_density, EXTENT, title="learned density", path=out / "density.png")
plot.density_2d(lambda x: log_density(x).clamp(min=-14.0), EXTENT, kind="critic",
                title="log density", path=out / "landscape.png")  # fmt: skip
field_2d(lambda x: model.score(x.to(args.device)), EXTENT, log_density, title="score",
         path=out / "field.png")  # fmt: skip
early = [start, *samples[:40:2], *samples[40::25]]
plot.gif((plot.samples_2d(x[:400], extent=EXTENT, title=name) for x in early), out / "chain.gif",
         fps=12, pause=2)  # fmt: skip
report.curves("test_nll", units="nats")
report.close()
