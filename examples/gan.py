"""Train a GAN with any objective on a toy law in the plane or on small images, and measure it.

    python examples/gan.py                                       # 8 Gaussians on a ring, a minute
    python examples/gan.py --data grid --objective wgan_gp --steps 5000
    python examples/gan.py --data grid --pack 2                  # PacGAN against collapse
    python examples/gan.py --data digits --objective hinge --spectral
    python examples/gan.py --resume                              # go on where the last run stopped

Two networks: G turns noise z into samples, D tells samples from data. --objective is a row of the
table in tinygen/models/gan.py; it says what D's output means, what both minimise, and what
divergence between the laws p_d of the data and p_g of the samples that amounts to.

All is in the folder --out: log.jsonl, checkpoints, and pictures. For the plane: D's field with G's
samples and the arrows along which D sends them, the lattice that G bends the codes into, and both
as an animation over training (lab.gif). For images: samples, walks between codes, sums of codes.
"""

import time
from pathlib import Path

import tinygen as tg
from tinygen import data, metrics, plot
from tinygen.models import gan, gan_devices, gan_nets, latent
from tinygen.plot import toy
from tinygen.run import Run, count, device, fraction, non_negative, options, positive, whole

CENTERS = {"ring": (data.ring_centers, 0.01), "grid": (data.grid_centers, 0.05)}

parser = options(__doc__)
parser.add_argument("--data", default="ring", help=f"{', '.join(data.TOYS)}; digits, fashion, ...")
parser.add_argument("--objective", default="non_saturating", help=", ".join(gan.OBJECTIVES))
parser.add_argument("--root", help="the folder that holds the files of --data")
parser.add_argument("--device", type=device, default="cpu", help="cpu or cuda")
parser.add_argument("--steps", type=count, default=3000, help="steps of the generator")
parser.add_argument("--d-steps", type=count, help="steps of D for each of G (default 1; WGANs 5)")
parser.add_argument("--batch", type=count, default=128, help="examples a step")
parser.add_argument("--lr", type=positive, default=1e-3, help="G's step size")
parser.add_argument("--lr-d", type=positive,
                    help="D's step size (two time scales); G's unless given")  # fmt: skip
parser.add_argument("--beta1", type=fraction, default=0.5, help="Adam's momentum")
parser.add_argument("--optimistic", action="store_true", help="optimistic Adam")
parser.add_argument("--latent", type=count, default=2, help="dimensions of z; 2 can be drawn")
parser.add_argument("--hidden", type=count, default=128, help="units of a hidden layer")
parser.add_argument("--batch-norm", action="store_true", help="batch norm in G")
parser.add_argument("--virtual", action="store_true", help="virtual batch norm in G instead")
parser.add_argument("--minibatch", type=whole, default=0,
                    help="kernels of minibatch discrimination in D")  # fmt: skip
parser.add_argument("--spectral", action="store_true", help="spectral norm in D")
parser.add_argument("--penalty", help=f"{', '.join(gan.PENALTIES)} or none; the row's own else")
parser.add_argument("--weight", type=non_negative, help="weight of the penalty; the row's own else")
parser.add_argument("--clip", type=positive, help="bound of D's weights (wgan; 0.01 unless given)")
parser.add_argument("--smoothing", type=fraction, default=0.0, help="one-sided label smoothing")
parser.add_argument("--noise", type=non_negative, default=0.0,
                    help="std of instance noise, falls to 0")  # fmt: skip
parser.add_argument("--pack", type=count, default=1, help="samples that D sees at once (PacGAN)")
parser.add_argument("--ema", type=fraction, default=0.0, help="decay of G's average, e.g. 0.999")
parser.add_argument("--gamma", type=positive, default=0.9, help="BEGAN's ratio of the two energies")
parser.add_argument("--seed", type=whole, default=0)
parser.add_argument("--out", default="runs/gan", help="folder of this run")
parser.add_argument("--resume", action="store_true", help="go on with the run in --out")
args = parser.parse_args()
row = gan.objective(args.objective)
if args.d_steps is None:
    args.d_steps = 5 if args.objective.startswith("wgan") else 1

# --- data -------------------------------------------------------------------------------------
tg.manual_seed(args.seed)
in_plane = args.data in data.TOYS
if in_plane:
    train = data.toy(args.data, 50_000)
    scale = float(train.std().item())  # networks see numbers of size 1
    train = train / scale
else:
    train_set = data.load(args.data, root=args.root)
    train, scale = train_set.to_symmetric(), 1.0
shape = train.shape[1:]
loader = data.DataLoader(data.TensorDataset(train), args.batch, shuffle=True, drop_last=True)
batches = loader.forever()

# --- model ------------------------------------------------------------------------------------
generator, judge = gan_nets.mlp(
    shape, args.latent, args.hidden, batch_norm=args.batch_norm or args.virtual, packed=args.pack,
    tanh=not in_plane, minibatch=args.minibatch,
)  # fmt: skip
if args.virtual:
    generator = gan_nets.referenced(generator, tg.randn(args.batch, args.latent))
if row.output == "energy":
    judge = gan_nets.mlp_energy(shape, 1 if in_plane else 8, args.hidden)  # a code of 2 copies 2-D
if args.spectral:
    judge = gan_nets.spectrally_normalised(judge)
model = gan.GAN(
    generator, judge, args.objective, args.latent, penalty=args.penalty, weight=args.weight,
    clip=args.clip, smoothing=args.smoothing, noise=args.noise, pack=args.pack,
).to(args.device)  # fmt: skip

# --- optimizers -------------------------------------------------------------------------------
Adam = gan_devices.OptimisticAdam if args.optimistic else tg.optim.Adam
betas = (args.beta1, 0.9)
opt_g = Adam(model.generator.parameters(), lr=args.lr, betas=betas)
opt_d = Adam(model.discriminator.parameters(), lr=args.lr_d or args.lr, betas=betas)
if model.clip is not None:
    gan_devices.clip_after_step(opt_d, model.clip)
ema = tg.optim.EMA(model.generator, args.ema)

# --- pictures ---------------------------------------------------------------------------------
codes = model.draw(256, tg.Generator(args.device).manual_seed(1))


def lab() -> object:
    """The plane as D sees it, and what G does to it."""
    return toy.lab(model, train[:1000], codes, title=f"{args.objective}, step {run.step}")


def samples(n: int, seed: int = 2) -> tg.Tensor:
    return model.sample(n, tg.Generator(args.device).manual_seed(seed))


# --- loop -------------------------------------------------------------------------------------
run = Run(args.out, config=args, resume=args.resume)
run.track(model=model, opt_g=opt_g, opt_d=opt_d, ema=ema, loader=loader)
began = time.perf_counter()
for step in run.steps(args.steps):
    model.noise = gan_devices.linear(step, args.noise, 0.0, args.steps)
    for _ in range(args.d_steps):
        (x,) = next(batches)
        terms = model.discriminator_loss(x.to(args.device))
        opt_d.zero_grad()
        terms.loss.backward()
        opt_d.step()
    if row.output == "energy":
        run.log(convergence=model.balance(args.gamma, rate=0.02), k=model.k)
    with gan_devices.frozen(model.discriminator):
        loss = model.generator_loss(args.batch)
        opt_g.zero_grad()
        loss.backward()
    opt_g.step()
    ema.update()
    run.log(loss_d=terms.loss, loss_g=loss, d_real=terms.real, d_fake=terms.fake)
    if run.every(max(1, args.steps // 40)):
        warning = gan_devices.collapse(samples(256), train[:256])
        if warning:
            run.say(f"step {step}: {warning}")
        if in_plane:
            run.picture("lab", lab)
    if run.every(max(1, args.steps // 4)) and not in_plane:
        run.picture("samples", lambda: samples(64), value_range=(-1, 1))
seconds = time.perf_counter() - began

# --- what it learned ----------------------------------------------------------------------------
if args.ema:
    ema.copy_to()
out = Path(args.out)
title = f"{args.objective} on {args.data}"
print(
    f"{title}: {args.steps} steps in {seconds:.1f} s, seed {args.seed}; minimises {row.minimises}"
)
if args.data in CENTERS:
    centers, std = CENTERS[args.data]
    report = metrics.mode_report(samples(2500) * scale, centers(), std)
    print(f"modes {report.modes}/{len(centers())}, high-quality {100 * report.high_quality:.1f} %, "
          f"reverse KL {report.reverse_kl:.2f} (2500 samples, PacGAN protocol)")  # fmt: skip
if in_plane:
    plot.samples_2d(samples(2500), train[:2500], path=out / "samples.png")
    toy.warp_grid(model.generator, train[:1000], path=out / "warp.png")
    if frames := run.pictures("lab"):
        plot.gif(frames, out / "lab.gif", fps=8, pause=2)
else:
    plot.image_grid(
        samples(100), nrow=10, value_range=(-1, 1), title=title, path=out / "samples.png"
    )
    walk = latent.interpolate(codes[:8], codes[8:16], 10, spherical=True)
    with tg.no_grad():
        between = model.generator.eval()(walk.transpose(0, 1).flatten(0, 1))
        made = model.generator(codes)
    plot.image_grid(between, nrow=10, value_range=(-1, 1), path=out / "interpolation.png")
    # A code's class is that of the training picture nearest to its sample.
    _, nearest = metrics.nearest_neighbours(made, train[:10_000])
    labels = train_set.labels.numpy()[nearest[:, 0]]
    sums = latent.class_sums(codes, labels, [(8, 3, 9), (0, 1, 7), (4, 9, 5), (6, 0, 3)])
    if len(sums):
        with tg.no_grad():
            made = model.generator(sums)
        plot.image_grid(made, nrow=4, value_range=(-1, 1), title="a, b, c, a - b + c",
                        path=out / "arithmetic.png")  # fmt: skip
plot.curves(out / "log.jsonl", keys=["loss_d", "loss_g"], path=out / "curves.png")
pictures = sorted(p.name for p in out.glob("*.[pg][ni][gf]") if "-" not in p.name)
print(f"pictures in {out}/: {', '.join(pictures)}")
