"""Draw digits by following a learned score through less and less noise: annealed Langevin (NCSN).

    python examples/ncsn.py                            # digits
    python examples/ncsn.py --objective sliced         # a second derivative in place of denoising
    python examples/ncsn.py --levels 4                 # levels too far apart: see what breaks
    python examples/ncsn.py --data fashion --epochs 3 --batch 128

Expect: 5 to 10 min on 2 cores; 1.96 ± 0.02 bits/dim by the flow (ddpm's bound 2.76), Frechet 0.31.

A U-Net learns s(x, sigma) = grad log q_sigma(x) for the pictures with every amount of noise. Drawn
are pictures by Langevin steps at falling levels, and by the probability flow, an ODE without noise
that ends in the same law. The flow has a density: log p(x) is exact but for the divergence, which a
random probe estimates without bias. Grey levels are dequantised (a uniform draw within the level),
so that bits a pixel are an upper bound of those of the levels. All is in the folder --out.
"""

import tinygen as tg
from tinygen import data, metrics, plot
from tinygen.models import likelihoods
from tinygen.models import score as scores
from tinygen.models.score import ncsn
from tinygen.optim.lr_scheduler import CosineAnnealingLR
from tinygen.plot.report import Report
from tinygen.run import Run, count, fraction, options, positive

parser = options(__doc__, "ncsn", epochs={"digits": 150, "others": 3}, batch=64, lr=2e-3)
parser.add_argument("--objective", choices=scores.OBJECTIVES, default="denoising",
                    help="how the score is learned (denoising)")  # fmt: skip
parser.add_argument("--width", type=count, default=16, help="channels at full size (16)")
parser.add_argument("--levels", type=count, default=20, help="levels of noise (20)")
parser.add_argument("--chain", type=count, default=6, help="steps of Langevin a level (6)")
parser.add_argument("--sigma-max", type=positive, default=8.0, help="noise at the top (8)")
parser.add_argument("--sigma-min", type=positive, default=0.02, help="noise at the bottom (0.02)")
parser.add_argument("--step", type=positive, default=0.3, help="of Langevin, in sigma^2 (0.3)")
parser.add_argument("--ema", type=fraction, default=0.995, help="decay of the averaged weights")
args = parser.parse_args()

# --- data: grey levels as cells of [-1, 1) --------------------------------------------------------
tg.manual_seed(args.seed)
train_set, test_set = (
    data.load(args.data, split, root=args.root, download=args.download)
    for split in ("train", "test")
)
levels, pixels = train_set.maximum + 1, test_set.images[0].numel()
loader = data.DataLoader(data.TensorDataset(train_set.images), args.batch, shuffle=True,
                         drop_last=True)  # fmt: skip
seeded = lambda seed, device="cpu": tg.Generator(device).manual_seed(seed)


def cells(images: tg.Tensor, generator: tg.Generator | None = None) -> tg.Tensor:
    """uint8 pictures as points of [-1, 1), uniform within their grey level."""
    return (2.0 * likelihoods.dequantise(images, levels - 1, generator) - 1.0).to(args.device)


def grey(x: tg.Tensor) -> tg.Tensor:
    """Points -> the middle of [-1, 1] that their grey level has in the data sets."""
    return (0.5 * (x + 1.0) * levels).floor().clamp(0, levels - 1) * (2.0 / (levels - 1)) - 1.0


# --- model and optimizer --------------------------------------------------------------------------
config = vars(args) | {"shape": test_set.images.shape[1:]}  # models.restore builds it from this
model = ncsn.build(config).to(args.device)
steps = args.epochs * len(loader)
opt = tg.optim.Adam(model.parameters(), lr=args.lr)
schedule = CosineAnnealingLR(opt, T_max=steps)  # lr falls to 0
ema = tg.optim.EMA(model, args.ema)

# --- loop -----------------------------------------------------------------------------------------
run = Run(args.out, config=config, resume=args.resume, system="ncsn")
run.track(model=model, opt=opt, schedule=schedule, ema=ema, loader=loader)
for _, (images,) in zip(run.steps(steps), loader.forever()):
    terms = model.terms((cells(images),))
    opt.zero_grad()
    terms["loss"].backward()
    tg.nn.utils.clip_grad_norm_(model.parameters(), 1.0)  # a rare steep batch does no harm
    opt.step()
    schedule.step()
    ema.update()
    run.log(**terms)
    if run.every(50 * len(loader), soon=30):
        with ema.swap():
            run.picture("samples", lambda: grey(model.sample(64, seeded(4, args.device))),
                        clip=True, value_range=(-1, 1))  # fmt: skip
print(f"{steps} steps in {run.seconds:.1f} s, seed {args.seed}; {args.data}, {args.objective}")

# --- what it learned ------------------------------------------------------------------------------
ema.copy_to()
seen = cells(test_set.images[:100], seeded(1))
log_p = model.log_prob(seen, steps=30, probes=1, generator=seeded(2, args.device))
log_p = log_p + pixels * tg.log(tg.tensor(2.0)).item()  # density on [0, 1), not [-1, 1)
nats, error = metrics.mean_and_error(log_p)
bits = [metrics.bits_per_dim(-v, pixels, levels) for v in (nats + error, nats, nats - error)]
print(f"{bits[1]:.3f} ± {bits[1] - bits[0]:.3f} bits/dim of {len(seen)} test images by the "
      f"probability flow, {levels} grey levels")  # fmt: skip
report, out = Report(args.out, model), run.folder
many = 1000 if args.data == "digits" else 100
drawn = {}
for sampler in ("annealed", "flow"):
    drawn[sampler] = grey(model.sample(many, seeded(4, args.device), sampler=sampler)).cpu()
if args.data == "digits":
    train = train_set.to_symmetric()
    report.digits(train, drawn["annealed"])
    features = metrics.digits_classifier().features
    distance = metrics.frechet_distance(features(train[:1000]), features(drawn["flow"]))
    print(f"Frechet of {many} samples by the probability flow: {distance:.3f}")

# --- pictures -------------------------------------------------------------------------------------
report.grid("samples", drawn["annealed"][:100], title=f"{args.data}, annealed Langevin")
report.grid("flow", drawn["flow"][:100], title=f"{args.data}, probability flow")
path = list(model.path(64, seeded(4, args.device)))
frames = [model.denoise(x, model.sigmas[i // args.chain]) for i, x in enumerate(path)]
size = max(1, 48 // model.shape[2])  # of a pixel
for name, pictures in (("chain", path), ("expected", frames)):
    pictures = [*pictures[:: max(1, len(path) // 60)], frames[-1]]
    plot.gif((plot.grid_array(x, value_range=(-1, 1), clip=True).repeat(size, 0).repeat(size, 1)
              for x in pictures), out / f"{name}.gif", fps=12, pause=2)  # fmt: skip
report.curves("loss")
report.close()
