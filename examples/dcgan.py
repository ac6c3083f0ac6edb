"""Train a DCGAN on small images, with any objective and the devices that keep it alive.

    python examples/dcgan.py                                  # digits, a few minutes on two cores
    python examples/dcgan.py --objective hinge --norm spectral
    python examples/dcgan.py --objective wgan_gp --norm layer --d-steps 3
    python examples/dcgan.py --data fashion --width 16 --steps 4000    # 28 x 28
    python examples/dcgan.py --data fashion --width 16 --objective began --code 16
    python examples/dcgan.py --resume

G grows a picture out of a code by transposed convolutions of stride 2, D shrinks it to one number
by convolutions of stride 2; batch norm in both, but not at G's output nor at D's input (Radford et
al. 2015, tinygen/models/gan_nets.py). --objective began takes an autoencoder as D instead.

At the end: samples, walks between codes, sums of codes (mean code of one class minus another's plus
a third's), nearest training pictures, and measures in our own classifier's features.
"""

import time
from pathlib import Path

import tinygen as tg
from tinygen import data, metrics, plot
from tinygen.models import gan, gan_devices, gan_nets, latent
from tinygen.run import Run, count, device, fraction, non_negative, options, positive, whole

parser = options(__doc__)
parser.add_argument("--data", default="digits", help="digits (bundled), fashion, mnist, cifar10")
parser.add_argument("--root", help="the folder that holds the files of --data")
parser.add_argument("--objective", default="non_saturating", help=", ".join(gan.OBJECTIVES))
parser.add_argument("--device", type=device, default="cpu", help="cpu or cuda")
parser.add_argument("--steps", type=count, default=4000, help="steps of the generator")
parser.add_argument("--d-steps", type=count, default=1, help="steps of D for each of G")
parser.add_argument("--batch", type=count, default=64, help="examples a step")
parser.add_argument("--lr", type=positive, default=5e-4, help="Adam's step size, for G and D")
parser.add_argument("--norm", choices=["batch", "layer", "spectral", "none"],
                    help="D's norm: batch, but layer with a gradient penalty")  # fmt: skip
parser.add_argument("--virtual", action="store_true", help="virtual batch norm in G")
parser.add_argument("--minibatch", type=whole, default=0,
                    help="kernels of minibatch discrimination in D")  # fmt: skip
parser.add_argument("--width", type=count, default=32, help="channels at full size")
parser.add_argument("--latent", type=count, default=32, help="dimensions of z")
parser.add_argument("--smoothing", type=fraction, default=0.0, help="one-sided label smoothing")
parser.add_argument("--noise", type=non_negative, default=0.0,
                    help="std of instance noise, falls to 0")  # fmt: skip
parser.add_argument("--pack", type=count, default=1, help="samples that D sees at once (PacGAN)")
parser.add_argument("--ema", type=fraction, default=0.99, help="decay of G's average")
parser.add_argument("--gamma", type=positive, default=0.9, help="BEGAN's ratio of the two energies")
parser.add_argument("--k-rate", type=non_negative, default=0.02, help="how fast BEGAN's k moves")
parser.add_argument("--code", type=count, default=4, help="numbers in BEGAN's codes: "
                    "few, or D copies whatever it is given and G collapses")  # fmt: skip
parser.add_argument("--seed", type=whole, default=0)
parser.add_argument("--out", default="runs/dcgan", help="folder of this run")
parser.add_argument("--resume", action="store_true", help="go on with the run in --out")
args = parser.parse_args()
row = gan.objective(args.objective)
args.norm = args.norm or ("layer" if row.penalty else "batch")

# --- data and model ---------------------------------------------------------------------------
tg.manual_seed(args.seed)
train_set = data.load(args.data, root=args.root)
train = train_set.to_symmetric()  # in [-1, 1], as tanh makes them
shape = train.shape[1:]
loader = data.DataLoader(data.TensorDataset(train), args.batch, shuffle=True, drop_last=True)
batches = loader.forever()
generator, judge = gan_nets.dcgan(
    shape, args.latent, args.width, norm=args.norm, packed=args.pack, minibatch=args.minibatch
)
if args.virtual:
    generator = gan_nets.referenced(generator, tg.randn(args.batch, args.latent))
if row.output == "energy":
    judge = gan_nets.dcgan_energy(shape, args.code, args.width)
model = gan.GAN(
    generator, judge, args.objective, args.latent,
    smoothing=args.smoothing, noise=args.noise, pack=args.pack,
).to(args.device)  # fmt: skip

# --- optimizers -------------------------------------------------------------------------------
opt_g = tg.optim.Adam(model.generator.parameters(), lr=args.lr, betas=(0.5, 0.999))
opt_d = tg.optim.Adam(model.discriminator.parameters(), lr=args.lr, betas=(0.5, 0.999))
if model.clip is not None:
    gan_devices.clip_after_step(opt_d, model.clip)
ema = tg.optim.EMA(model.generator, args.ema)


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
        run.log(convergence=model.balance(args.gamma, args.k_rate), k=model.k)
    with gan_devices.frozen(model.discriminator):
        loss = model.generator_loss(args.batch)
        opt_g.zero_grad()
        loss.backward()
    opt_g.step()
    ema.update()
    run.log(loss_d=terms.loss, loss_g=loss, d_real=terms.real, d_fake=terms.fake)
    if run.every(200):
        warning = gan_devices.collapse(samples(64), train[:64])
        if warning:
            run.say(f"step {step}: {warning}")
    if run.every(1000):
        run.picture("samples", lambda: samples(64), value_range=(-1, 1))
seconds = time.perf_counter() - began

# --- what it learned ----------------------------------------------------------------------------
ema.copy_to()
model.eval()
out = Path(args.out)
print(f"{args.objective} on {args.data}: {args.steps} steps in {seconds:.1f} s, seed {args.seed}")
codes = model.draw(1000, tg.Generator(args.device).manual_seed(3))
with tg.no_grad():
    pictures = tg.cat([model.generator(part) for part in codes.split(250)])
    between = latent.interpolate(codes[:8], codes[8:16], 10, spherical=True)
    walk = model.generator(between.transpose(0, 1).flatten(0, 1))
plot.image_grid(pictures[:100], nrow=10, value_range=(-1, 1), path=out / "samples.png")
plot.image_grid(walk, nrow=10, value_range=(-1, 1), path=out / "interpolation.png")
_, nearest = metrics.nearest_neighbours(pictures, train[:10_000])
beside = tg.cat([pictures[:10], train[nearest[:10, 0].tolist()]])
plot.image_grid(beside, nrow=10, value_range=(-1, 1), path=out / "neighbours.png")
# Vector arithmetic: a code's class is that of the training picture nearest to its sample.
labels = train_set.labels.numpy()[nearest[:, 0]]
sums = latent.class_sums(codes, labels, [(8, 3, 9), (0, 1, 7), (4, 9, 5), (6, 0, 3)])
if len(sums):
    with tg.no_grad():
        made = model.generator(sums)
    plot.image_grid(made, nrow=4, value_range=(-1, 1), title="a, b, c, a - b + c",
                    path=out / "arithmetic.png")  # fmt: skip
plot.curves(out / "log.jsonl", keys=["loss_d", "loss_g"], path=out / "curves.png")

if args.data == "digits":
    classifier = metrics.digits_classifier()
    x, y = classifier.features(train[:1000]), classifier.features(pictures)
    p = classifier.probabilities(pictures)
    kid, error = metrics.kernel_distance(x, y)
    near = metrics.precision_recall(x, y)
    frechet = metrics.frechet_distance(x, y)
    print(f"on 1000 of each, in our classifier's features: Frechet {frechet:.3f}, KID {kid:.4f} +- "
          f"{error:.4f}, precision {near.precision:.2f}, recall {near.recall:.2f}")  # fmt: skip
    print(f"classes {metrics.class_counts(p)}, score {metrics.inception_score(p):.2f} of 10")
names = sorted(path.name for path in out.glob("*.png") if "-" not in path.name)
print(f"pictures in {out}/: {', '.join(names)}")
