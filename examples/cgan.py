"""Train a conditional GAN on labelled images: ask for a digit, get that digit.

    python examples/cgan.py                         # digits, a few minutes on two cores
    python examples/cgan.py --data fashion --width 16
    python examples/cgan.py --objective hinge --norm spectral
    python examples/cgan.py --resume

G gets the label beside the code z, D beside the picture, as ten planes of 0 and 1 (Mirza and
Osindero 2014, arXiv:1411.1784): D learns p(data | x, label) and lets no picture pass that is good
but of another class. The fake pair is (G(z, y), y), the real one (x, y), with labels y drawn from
the data in both.

At the end: a class a row and a code a column, walks between codes, and arithmetic: the mean code of
bold samples minus that of thin ones is a direction of the code that makes any class bolder.
"""

import time
from pathlib import Path

import tinygen as tg
from tinygen import data, metrics, plot
from tinygen.models import gan, gan_devices, gan_nets, latent
from tinygen.run import Run, count, device, fraction, options, positive, whole

ROWS = sorted(name for name, row in gan.OBJECTIVES.items() if row.output != "energy")

parser = options(__doc__)
parser.add_argument("--data", default="digits", help="digits (bundled), fashion, mnist or kmnist")
parser.add_argument("--root", help="the folder that holds the files of --data")
parser.add_argument("--objective", choices=ROWS, default="non_saturating", metavar="ROW",
                    help=", ".join(ROWS))  # fmt: skip
parser.add_argument("--device", type=device, default="cpu", help="cpu or cuda")
parser.add_argument("--steps", type=count, default=4000, help="steps of the generator")
parser.add_argument("--d-steps", type=count, default=1, help="steps of D for each of G")
parser.add_argument("--batch", type=count, default=64, help="examples a step")
parser.add_argument("--lr", type=positive, default=5e-4, help="Adam's step size, for G and D")
parser.add_argument("--norm", choices=["batch", "layer", "spectral", "none"], default="layer",
                    help="D's norm")  # fmt: skip
parser.add_argument("--width", type=count, default=32, help="channels at full size")
parser.add_argument("--latent", type=count, default=32, help="dimensions of z")
parser.add_argument("--ema", type=fraction, default=0.99, help="decay of G's average")
parser.add_argument("--seed", type=whole, default=0)
parser.add_argument("--out", default="runs/cgan", help="folder of this run")
parser.add_argument("--resume", action="store_true", help="go on with the run in --out")
args = parser.parse_args()

# --- data and model ---------------------------------------------------------------------------
tg.manual_seed(args.seed)
train_set = data.load(args.data, root=args.root)
train, classes = train_set.to_symmetric(), len(train_set.classes)
pairs = data.TensorDataset(train, train_set.labels)
loader = data.DataLoader(pairs, args.batch, shuffle=True, drop_last=True)
batches = loader.forever()
generator, judge = gan_nets.dcgan(
    train.shape[1:], args.latent, args.width, norm=args.norm, classes=classes
)
model = gan.GAN(
    gan.Conditional(generator, classes), gan.Conditional(judge, classes), args.objective,
    args.latent,
).to(args.device)  # fmt: skip

# --- optimizers -------------------------------------------------------------------------------
opt_g = tg.optim.Adam(model.generator.parameters(), lr=args.lr, betas=(0.5, 0.999))
opt_d = tg.optim.Adam(model.discriminator.parameters(), lr=args.lr, betas=(0.5, 0.999))
if model.clip is not None:
    gan_devices.clip_after_step(opt_d, model.clip)
ema = tg.optim.EMA(model.generator, args.ema)


def every_class(each: int, seed: int = 2) -> tg.Tensor:
    """`each` samples of every class, one class a row; a column has one code."""
    codes = model.draw(each, tg.Generator(args.device).manual_seed(seed)).repeat(classes, 1)
    labels = tg.arange(classes, device=args.device).repeat_interleave(each)
    model.eval()
    with tg.no_grad():
        made = model.generator(codes, labels)
    model.train()
    return made


# --- loop -------------------------------------------------------------------------------------
run = Run(args.out, config=args, resume=args.resume)
run.track(model=model, opt_g=opt_g, opt_d=opt_d, ema=ema, loader=loader)
began = time.perf_counter()
for step in run.steps(args.steps):
    for _ in range(args.d_steps):
        x, y = (t.to(args.device) for t in next(batches))
        terms = model.discriminator_loss(x, y)
        opt_d.zero_grad()
        terms.loss.backward()
        opt_d.step()
    with gan_devices.frozen(model.discriminator):
        loss = model.generator_loss(len(y), y)
        opt_g.zero_grad()
        loss.backward()
    opt_g.step()
    ema.update()
    run.log(loss_d=terms.loss, loss_g=loss, d_real=terms.real, d_fake=terms.fake)
    if run.every(200):
        warning = gan_devices.collapse(every_class(8), train[:64])
        if warning:
            run.say(f"step {step}: {warning}")
    if run.every(1000):
        run.picture("samples", lambda: every_class(8), value_range=(-1, 1))
seconds = time.perf_counter() - began

# --- what it learned ----------------------------------------------------------------------------
ema.copy_to()
out = Path(args.out)
print(f"{args.objective} on {args.data}: {args.steps} steps in {seconds:.1f} s, seed {args.seed}")
plot.image_grid(every_class(10), nrow=10, value_range=(-1, 1), path=out / "samples.png")
ends = [model.draw(classes, tg.Generator(args.device).manual_seed(s)) for s in (3, 4)]
with tg.no_grad():
    labels = tg.arange(classes, device=args.device).repeat_interleave(10)
    between = latent.interpolate(*ends, 10, spherical=True)
    walk = model.eval().generator(between.transpose(0, 1).flatten(0, 1), labels)
plot.image_grid(walk, nrow=10, value_range=(-1, 1), path=out / "interpolation.png")
codes = model.draw(1000, tg.Generator(args.device).manual_seed(5))
with tg.no_grad():
    ink = model.generator(codes, tg.arange(1000, device=args.device) % classes).mean((1, 2, 3))
bolder = latent.attribute(codes, ink > ink.mean())
bolder = bolder / bolder.norm() * args.latent**0.5
with tg.no_grad():
    steps = tg.linspace(-1.0, 1.0, 9, device=args.device).unsqueeze(1) * bolder
    moved = (codes[:classes].unsqueeze(1) + steps).flatten(0, 1)
    labels = tg.arange(classes, device=args.device).repeat_interleave(9)
    made = model.generator(moved, labels)
plot.image_grid(made, nrow=9, value_range=(-1, 1), title="minus bold ... plus bold",
                path=out / "arithmetic.png")  # fmt: skip
plot.curves(out / "log.jsonl", keys=["loss_d", "loss_g"], path=out / "curves.png")
if args.data == "digits":
    judged = metrics.digits_classifier().probabilities(every_class(100).cpu()).argmax(1)
    asked = tg.arange(classes).repeat_interleave(100).numpy()
    print(f"{100 * (judged == asked).mean():.1f} % of 1000 samples are what was asked for, "
          "says our classifier")  # fmt: skip
names = sorted(path.name for path in out.glob("*.png") if "-" not in path.name)
print(f"pictures in {out}/: {', '.join(names)}")
