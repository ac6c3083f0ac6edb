"""Train a StyleGAN2: a code becomes styles, coarse ones for what is there, fine ones for how.

    python examples/stylegan.py                       # the faces among the emoji, 32 x 32
    python examples/stylegan.py --path-weight 0       # without the penalty of path lengths
    python examples/stylegan.py --ada 0               # nothing is augmented: 112 faces are few
    python examples/stylegan.py --adain               # StyleGAN1's convolutions
    python examples/stylegan.py --data fashion --ada 0 --gamma 0.02
    python examples/stylegan.py --side 64 --most 128 --steps 8000
    python examples/stylegan.py --resume

Expect: 11 min on 2 cores; that is from the cost of a step, no whole run is recorded yet. A small
one (--width 8 --steps 600 --ada-images 10000) had Frechet 27.8, spread of path lengths 0.16.

R1 and the penalty of path lengths are lazy, each 16 and 4 steps (Karras et al. 2020,
arXiv:1912.04958; theirs, 1024 pixels: --width 32 --most 512 --latent 512 --layers 8 --gamma 10).
ADA (2006.06676) shows D turned, moved and recoloured pictures only, and more so as it grows sure of
the data: --ada is the target of that, 0 for none.

Its claim: a step in W changes the picture by about the same amount everywhere. Measured: the length
|J^T y| over many w, its spread over its mean, which is smaller than with --path-weight 0, and
the perceptual path length between two w, in features of the emoji classifier.

At the end: samples, the same codes drawn towards the mean style, and a grid of mixtures: a row has
the coarse styles of the face on its left, a column the fine ones of the face above.
"""

import tinygen as tg
from tinygen import data, metrics
from tinygen.models import gan
from tinygen.models.gan import stylegan
from tinygen.plot.report import Report
from tinygen.run import Run, count, fraction, non_negative, options

BETAS = (0.0, 0.99)  # the paper's: no memory of where the other player stood

parser = options(__doc__, "stylegan", data=data.SQUARES, steps=2500, batch=32, lr=2.5e-3)
parser.add_argument("--adain", action="store_true", help="AdaIN instead of modulated weights")
parser.add_argument("--side", type=count, default=32, help="pixels a side, 4 2^k (32)")
parser.add_argument("--width", type=count, default=16, help="channels at full size (16)")
parser.add_argument("--most", type=count, default=32, help="channels at most (32)")
parser.add_argument("--latent", type=count, default=64, help="numbers of a code, of a style (64)")
parser.add_argument("--layers", type=count, default=4, help="of the mapping network (4)")
parser.add_argument("--gamma", type=non_negative, default=0.1, help="weight of R1 (0.1)")
parser.add_argument("--r1-every", type=count, default=16, help="steps of D (16)")
parser.add_argument("--path-weight", type=non_negative, default=2.0, help="of its penalty (2)")
parser.add_argument("--path-every", type=count, default=4, help="steps of G (4)")
parser.add_argument("--mixing", type=fraction, default=0.9, help="samples of two codes (0.9)")
parser.add_argument("--ada", type=fraction, default=0.6, help="target of E sign D(x) (0.6)")
parser.add_argument("--ada-images", type=count, default=30_000, help="p from 0 to 1 (30,000)")
parser.add_argument("--truncation", type=non_negative, default=0.7, help="psi of samples (0.7)")
parser.add_argument("--ema", type=fraction, default=0.995, help="decay of G's average (0.995)")
args = parser.parse_args()

# --- data -------------------------------------------------------------------------------------
tg.manual_seed(args.seed)
pictures = data.squares(args.data, args.side, args.root, args.download)
train = tg.cat([pictures, pictures.flip(3)])  # and their mirror images
loader = data.DataLoader(data.TensorDataset(train), args.batch, shuffle=True, drop_last=True)
batches = loader.forever()
seeded = lambda seed: tg.Generator(args.device).manual_seed(seed)

# --- model and optimizers ---------------------------------------------------------------------
config = vars(args) | {"shape": train.shape[1:]}  # models.restore builds it from this again
model = stylegan.build(config).to(args.device)
opt_g = tg.optim.Adam(model.G.parameters(), lr=args.lr, betas=BETAS)
opt_d = tg.optim.Adam(model.D.parameters(), lr=args.lr, betas=BETAS)
ema = tg.optim.EMA(model.G, args.ema)
real = metrics.emoji_features(train[:2000])


def made(n: int, truncation: float) -> tg.Tensor:
    """n samples of G as it is."""
    return tg.cat([model.decode(z, None, truncation) for z in model.draw(n, seeded(2)).split(200)])


def frechet(n: int, truncation: float = 1.0) -> float:
    return metrics.frechet_distance(real, metrics.emoji_features(made(n, truncation)))


# --- loop -------------------------------------------------------------------------------------
run = Run(args.out, config=config, resume=args.resume, system="stylegan")
run.track(model=model, opt_g=opt_g, opt_d=opt_d, ema=ema, loader=loader)
for step in run.steps(args.steps):
    (x,) = next(batches)
    terms = model.discriminator_terms((x.to(args.device),), lazy=step % args.r1_every == 0)
    opt_d.zero_grad()
    terms["loss"].backward()
    opt_d.step()
    with gan.frozen(model.D):
        lazy = bool(args.path_weight) and step % args.path_every == 0
        of_g = model.generator_terms(args.batch, lazy=lazy)
        opt_g.zero_grad()
        of_g["loss"].backward()
    opt_g.step()
    ema.update()
    run.log(loss_d=terms["loss"], loss_g=of_g["loss"], d_real=terms["real"], d_fake=terms["fake"],
            p=model.augment.p if model.augment else 0.0)  # fmt: skip
    if lazy:
        run.log(path=of_g["path"], length=of_g["length"])
    if run.every(250) or run.last:
        with ema.swap():
            run.log(frechet=frechet(400))
    if run.every(500, soon=60):
        with ema.swap():
            run.picture("samples", lambda: model.sample(64, seeded(2)), value_range=(-1, 1),
                        clip=True)  # fmt: skip

# --- what it learned --------------------------------------------------------------------------
ema.copy_to()
print(f"{'AdaIN' if args.adain else 'StyleGAN2'} on {args.data}, ADA {args.ada:g}: {args.steps} "
      f"steps in {run.seconds:.1f} s, seed {args.seed}")  # fmt: skip
model.eval()
codes = model.draw(1000, seeded(5)).split(50)
lengths = tg.cat([model.path_lengths(model.G.styles(z).detach()).detach() for z in codes])
print(f"path length |J^T y| of 1000 w: {lengths.mean().item():.3f}, its spread "
      f"{(lengths.std() / lengths.mean()).item():.3f} of that; perceptual path length "
      f"{stylegan.perceptual_path_length(model, metrics.emoji_features):.1f}; path weight "
      f"{args.path_weight:g}")  # fmt: skip
halves = [metrics.emoji_features(pictures[:2000][k::2]) for k in range(2)]
print(f"Frechet distance of 2000 samples to training pictures {frechet(2000):.2f}, psi "
      f"{args.truncation:g}: {frechet(2000, args.truncation):.2f} (between halves of the training "
      f"pictures: {metrics.frechet_distance(*halves):.2f})")  # fmt: skip
report = Report(args.out, model)
report.grid("samples", made(100, args.truncation))
towards = [made(10, psi) for psi in (0.0, 0.5, 0.7, 1.0, 1.3)]
report.grid("truncation", tg.cat(towards), title="psi 0, 0.5, 0.7, 1, 1.3")
z = model.draw(15, seeded(6))
report.grid("mixing", model.mixing_grid(z[:6], z[6:], level=2 * (model.G.levels // 4)), nrow=10)
report.walks(z[:6], z[6:12])
report.neighbours(made(10, args.truncation), train)
report.curves("frechet", "d_real", "d_fake", "p")
report.close()
