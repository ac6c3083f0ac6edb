"""Train a normalizing flow: a map that runs both ways, so that the likelihood is exact.

    python examples/flow.py                                  # two moons, affine couplings
    python examples/flow.py --flow spline                    # rational-quadratic splines
    python examples/flow.py --flow glow --data swiss_roll
    python examples/flow.py --flow maf                       # masks of MADE; iaf: the other way
    python examples/flow.py --flow ffjord                    # an ODE: Hutchinson's trace
    python examples/flow.py --flow matching                  # the ODE learned as a regression
    python examples/flow.py --data digits                    # 8 x 8, dequantised: bits a pixel
    python examples/flow.py --data digits --flow glow
    python examples/flow.py --data fashion

Expect: 35 s on 2 cores; -log p(x) 1.065 ± 0.008 nats of test points (the law itself 1.007).

log p(x) = log N(f(x); 0, I) + log |det df/dx|: f turns the data into noise, its inverse makes
samples. In the plane the entropy of the data's own law is known, which no model gets below.
samples.png: the density beside samples; film.gif: the same over training; grid.png: where a grid of
noise goes; paths.png: on which ways, of an ODE. Pictures are x in [0, 1), with uniform noise of a
grey value's width, in bits a pixel beside one Gaussian with a full covariance.
"""

import math

import tinygen as tg
from tinygen import data, metrics, plot
from tinygen.models import likelihoods
from tinygen.models.flow import FLOWS, flow
from tinygen.optim.lr_scheduler import CosineAnnealingLR
from tinygen.plot.flow import density_and_samples
from tinygen.plot.gan import extent_of, warp_grid
from tinygen.plot.report import Report
from tinygen.run import Run, count, options

LAWS = ["two_moons", "swiss_roll", "ring", "grid"]
SETTINGS = {  # found by trying; options given win
    "plane": {"hidden": 64, "layers": 8},
    "plane glow": {"steps": 2000},
    "plane spline": {"steps": 1500, "layers": 4},
    "plane ffjord": {"steps": 1000, "ode_steps": 4},
    "plane matching": {"steps": 5000},
    "digits": {"steps": 1000, "hidden": 32, "layers": 4, "batch": 64},
    "digits glow": {"layers": 8},
    "fashion": {"steps": 1000, "hidden": 32, "layers": 2, "batch": 32, "lr": 1e-3},
}

parser = options(__doc__, "flow", data=[*LAWS, "digits", "fashion"], steps=3000, batch=256, lr=2e-3)
parser.add_argument("--flow", choices=list(FLOWS), default="realnvp", help=", ".join(FLOWS))
parser.add_argument("--hidden", type=count, help="units of the networks (points 64, pictures 32)")
parser.add_argument("--layers", type=count, help="maps in a row, at each scale (points 8)")
parser.add_argument("--scales", type=count, default=2, help="how often pictures are squeezed (2)")
parser.add_argument("--bins", type=count, default=8, help="pieces of a spline (8)")
parser.add_argument("--ode-steps", type=count, default=8, help="Runge-Kutta steps of an ODE (8)")
parser.add_argument("--points", type=count, default=10_000, help="test points (10,000)")
given = parser.parse_known_args()[0]
in_plane = given.data in LAWS
kind = "plane" if in_plane else given.data
for key in (kind, f"{kind} {given.flow}"):
    parser.set_defaults(**SETTINGS.get(key, {}))
args = parser.parse_args()

# --- data: points of a law, or pixels with uniform noise of one grey value's width ----------------
tg.manual_seed(args.seed)
seeded = lambda seed: tg.Generator(args.device).manual_seed(seed)
if in_plane:
    train, test = (
        data.toy(args.data, n, tg.Generator().manual_seed(n)) for n in (20_000, args.points)
    )
    config = {"shape": (2,), "mean": train.mean(0).tolist(), "std": train.std().item()}
    draw = lambda n: data.toy(args.data, n)  # anew each time: nothing to overfit
else:
    train_set, test_set = (
        data.load(args.data, split, root=args.root, download=args.download)
        for split in ("train", "test")
    )
    levels = train_set.maximum + 1
    test = likelihoods.dequantise(test_set.images, levels - 1, tg.Generator().manual_seed(1))
    config = {"shape": test.shape[1:]}
    draw = lambda n: likelihoods.dequantise(
        train_set.images[tg.randint(len(train_set), (n,))], levels - 1
    )

# --- model and optimizer --------------------------------------------------------------------------
config = vars(args) | config  # models.restore builds it from this again
model = flow.build(config).to(args.device)
opt = tg.optim.Adam(model.parameters(), lr=args.lr)
schedule = CosineAnnealingLR(opt, T_max=args.steps)  # lr falls to 0
extent = extent_of(test, margin=0.1) if in_plane else None


@tg.no_grad()
def evaluate(x: tg.Tensor) -> tg.Tensor:
    """log p(x) of every example."""
    model.eval()
    log_p = tg.cat(
        [model.log_prob(part.to(args.device)) for part in x.split(4000 if in_plane else 500)]
    )
    model.train()
    return log_p


def picture(resolution: int = 64, **options: object) -> object:
    """The density beside samples, or 100 pictures."""
    if not in_plane:
        return model.sample(100, seeded(4), temperature=0.8)
    title = f"{args.flow} on {args.data.replace('_', ' ')}, step {run.step}"
    return density_and_samples(evaluate, model.sample(1000, seeded(4)), test[:1000], extent,
                               resolution, title, device=args.device, **options)  # fmt: skip


# --- loop -----------------------------------------------------------------------------------------
run = Run(args.out, config=config, resume=args.resume, system="flow")
run.track(model=model, opt=opt, schedule=schedule)
for _ in run.steps(args.steps):
    terms = model.terms((draw(args.batch).to(args.device),))
    opt.zero_grad()
    terms["loss"].backward()
    tg.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
    opt.step()
    schedule.step()
    run.log(**terms)
    if run.every(max(1, args.steps // 10)) or run.last:
        run.log(test_log_prob=evaluate(test[:500]).mean())
    if run.every(max(50, args.steps // 10), soon=30):
        run.picture("look", picture)

# --- what it learned ------------------------------------------------------------------------------
nats, error = metrics.mean_and_error(-evaluate(test))
fit = draw(20_000).flatten(1).double()
spread = (fit - fit.mean(0)).T @ (fit - fit.mean(0)) / len(fit)
gaussian = tg.distributions.MultivariateNormal(fit.mean(0), spread)
other = -gaussian.log_prob(test.flatten(1).double()).mean().item()
print(f"{args.flow} on {args.data}: {args.steps} steps in {run.seconds:.1f} s, seed {args.seed}")
if in_plane:
    print(f"-log p(x) {nats:.3f} ± {error:.3f} nats of {len(test)} test points, the law itself "
          f"{-data.toy_log_prob(args.data, test).mean().item():.3f} (its entropy "
          f"{data.toy_entropy(args.data):.3f}), one Gaussian {other:.3f}")  # fmt: skip
else:
    dims = test[0].numel()
    own, one = (metrics.bits_per_dim(v, dims, levels) for v in (nats, other))
    print(f"{own:.3f} ± {error / dims / math.log(2):.3f} bits a pixel of {len(test)} test images, "
          f"one Gaussian {one:.3f}")  # fmt: skip

report = Report(args.out, model.eval())
if in_plane:
    if looks := run.pictures("look"):
        plot.gif(looks, report.folder / "film.gif", fps=3, pause=2)
    picture(120, path=report.folder / "samples.png")
    warp_grid(model.chain.decode, test[:1000], path=report.folder / "grid.png")
    if hasattr(model.chain.layers[-1], "path"):
        ways = tg.stack(model.chain.layers[-1].path(tg.randn(300, 2, generator=seeded(5)), 40))
        plot.paths_2d(ways.detach(), path=report.folder / "paths.png")
else:
    report.grid("samples", picture())
report.curves("log_prob" if "log_prob" in terms else "loss", "test_log_prob", units="nats")
report.close()
