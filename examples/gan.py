"""Train a GAN with any objective on a toy law in the plane, or on small images, and measure it.

    python examples/gan.py                                       # 8 Gaussians on a ring
    python examples/gan.py --data grid --objective least_squares # 25 of them
    python examples/gan.py --data grid --pack 2                  # PacGAN against collapse
    python examples/gan.py --data digits --objective hinge --spectral
    python examples/gan.py --resume                              # go on where the last run stopped

Expect: 1 min on 2 cores; modes 8/8, high-quality 91 % (one Gaussian 7/8, 0.5 %).

Two networks: G turns noise z into samples, D tells samples from data. --objective is a row of the
table in tinygen/models/gan/objectives.py; it says what D's output means, what both minimise, and
what divergence between the laws p_d of the data and p_g of the samples that amounts to.

All is in the folder --out: log.jsonl, checkpoints, and pictures. For the plane: D's field with G's
samples and the arrows along which D sends them, the lattice that G bends the codes into, and both
as an animation over training (lab.gif). For images: samples, walks between codes, sums of codes.
"""

from argparse import BooleanOptionalAction

import tinygen as tg
from tinygen import data, plot
from tinygen.models import gan
from tinygen.optim.lr_scheduler import LambdaLR
from tinygen.plot import gan as gan_plot
from tinygen.plot.report import Report
from tinygen.run import Run, count, fraction, non_negative, options, positive, whole

# What a law wants, found by trying (benchmarks/results/gan/gan-notes.md); options given win.
SETTINGS = {
    "plane": {"latent": 2, "hidden": 128, "weight": 0.1},  # slopes must be steep between modes
    "images": {"latent": 16, "hidden": 256, "batch_norm": True},
    "grid": {"hidden": 64, "steps": 15_000},  # small and long: 25 modes take many steps
    "grid wgan_gp": {"steps": 6000},  # of G; five times as many of D
}
CENTERS = {"ring": (data.ring_centers, 0.01), "grid": (data.grid_centers, 0.05)}  # and their std
ROWS = [name for name, row in gan.OBJECTIVES.items() if row.output != "energy"]  # that is began.py

parser = options(__doc__, "gan", data=[*data.TOYS, *data.SOURCES], steps=3000, batch=128, lr=1e-3)
parser.add_argument("--objective", choices=ROWS, default="non_saturating", metavar="ROW",
                    help=", ".join(ROWS))  # fmt: skip
parser.add_argument("--d-steps", type=count, help="steps of D for each of G (1; WGANs 5)")
parser.add_argument("--lr-d", type=positive, help="D's step size (two time scales); else --lr")
parser.add_argument("--beta1", type=fraction, default=0.5, help="Adam's momentum (0.5)")
parser.add_argument("--optimistic", action="store_true", help="optimistic Adam")
parser.add_argument("--latent", type=count, help="dimensions of z (points 2: drawn; images 16)")
parser.add_argument("--hidden", type=count, help="units of a hidden layer (points 128; images 256)")
parser.add_argument("--batch-norm", action=BooleanOptionalAction, default=False,
                    help="batch norm in G (images)")  # fmt: skip
parser.add_argument("--virtual", type=whole, default=0,
                    help="reference batch of virtual batch norm in G instead")  # fmt: skip
parser.add_argument("--minibatch", type=whole, default=0, help="kernels by which D compares")
parser.add_argument("--spectral", action="store_true", help="spectral norm in D")
parser.add_argument("--penalty", choices=[*gan.PENALTIES, "none"], help="instead of the row's own")
parser.add_argument("--weight", type=non_negative, help="of the penalty (points 0.1)")
parser.add_argument("--smoothing", type=fraction, default=0.0, help="one-sided label smoothing")
parser.add_argument("--noise", type=non_negative, default=0.0, help="std of instance noise, to 0")
parser.add_argument("--pack", type=count, default=1, help="samples that D sees at once (PacGAN)")
parser.add_argument("--ema", type=fraction, default=0.995, help="decay of G's average (0.995)")
given = parser.parse_known_args()[0]
in_plane = given.data in data.TOYS
for key in ("plane" if in_plane else "images", given.data, f"{given.data} {given.objective}"):
    parser.set_defaults(**SETTINGS.get(key, {}))
args = parser.parse_args()
row = gan.objective(args.objective)
d_steps = args.d_steps or (5 if args.objective.startswith("wgan") else 1)

# --- data -------------------------------------------------------------------------------------
tg.manual_seed(args.seed)
if in_plane:
    train = data.toy(args.data, 50_000)
    scale = train.std().item()  # networks see numbers of size 1
    train = train / scale
else:
    train_set = data.load(args.data, root=args.root, download=args.download)
    train = train_set.to_symmetric()  # in [-1, 1], as tanh makes them
loader = data.DataLoader(data.TensorDataset(train), args.batch, shuffle=True, drop_last=True)
batches = loader.forever()
seeded = lambda seed: tg.Generator(args.device).manual_seed(seed)

# --- model and optimizers ---------------------------------------------------------------------
config = vars(args) | {"shape": train.shape[1:]}  # models.restore builds it from this again
model = gan.gan.build(config).to(args.device)
Adam = gan.OptimisticAdam if args.optimistic else tg.optim.Adam
opt_g = Adam(model.G.parameters(), lr=args.lr, betas=(args.beta1, 0.9))
opt_d = Adam(model.D.parameters(), lr=args.lr_d or args.lr, betas=(args.beta1, 0.9))
fall = lambda step: gan.ramp(2 * step - args.steps, 1.0, 0.0, args.steps)  # from half way on
schedule_g, schedule_d = LambdaLR(opt_g, fall), LambdaLR(opt_d, fall)
ema = tg.optim.EMA(model.G, args.ema)

# --- pictures ---------------------------------------------------------------------------------
frames = []
codes = model.draw(256, seeded(1))


def picture() -> object:
    """The plane as D sees it and what G does to it; or 64 images."""
    if not in_plane:
        return plot.image_grid(model.sample(64, seeded(2)), value_range=(-1, 1))
    return gan_plot.lab(model, train[:1000], codes, title=f"{args.objective}, step {run.step}")


# --- loop -------------------------------------------------------------------------------------
run = Run(args.out, config=config, resume=args.resume, system="gan")
run.track(model=model, opt_g=opt_g, opt_d=opt_d, schedule_g=schedule_g, schedule_d=schedule_d,
          ema=ema, loader=loader)  # fmt: skip
for step in run.steps(args.steps):
    model.noise = gan.ramp(step, args.noise, 0.0, args.steps)
    for _ in range(d_steps):
        (x,) = next(batches)
        terms = model.discriminator_terms((x.to(args.device),))
        opt_d.zero_grad()
        terms["loss"].backward()
        opt_d.step()
        if row.clip:  # wgan's critic: without a bound its gap is no distance
            tg.optim.clip_weights_(model.D.parameters(), row.clip)
    with gan.frozen(model.D):
        loss = model.generator_terms(args.batch)["loss"]
        opt_g.zero_grad()
        loss.backward()
    opt_g.step()
    schedule_d.step()
    schedule_g.step()
    ema.update()
    run.log(loss_d=terms["loss"], loss_g=loss, d_real=terms["real"], d_fake=terms["fake"])
    if run.every(max(1, args.steps // 40)):
        warning = gan.collapse(model.sample(256, seeded(2)), train[:256])
        if warning and step > args.steps // 10:  # at first they swing
            run.say(f"step {step}: {warning}")
        if in_plane:
            frames.append(picture())
    if run.every(max(1, args.steps // 4), soon=20):
        run.picture("look", picture)

# --- what it learned --------------------------------------------------------------------------
ema.copy_to()
title = f"{args.objective} on {args.data}"
print(f"{title}: {args.steps} steps in {run.seconds:.1f} s, seed {args.seed}; "
      f"minimises {row.minimises}")  # fmt: skip
report = Report(args.out, model)
if args.data in CENTERS:
    centers, std = CENTERS[args.data]
    report.modes(train * scale, model.sample(2500, seeded(2)) * scale, centers(), std)
if in_plane:
    out = report.folder
    plot.samples_2d(model.sample(2500, seeded(2)), train[:2500], path=out / "samples.png")
    if args.latent == 2:
        gan_plot.warp_grid(model.decode, train[:1000], device=args.device, path=out / "warp.png")
    if frames:
        plot.gif(frames, out / "lab.gif", fps=8, pause=2)
else:
    report.grid("samples", model.sample(100, seeded(2)), title=title)
    report.walks(codes[:8], codes[8:16])
    nearest = report.neighbours(model.decode(codes), train)  # their classes are the codes', too
    report.sums(codes, train_set.labels.numpy()[nearest])
    if args.data == "digits":
        report.digits(train, model.sample(1000, seeded(4)))
report.curves("loss_d", "loss_g")
report.close()
