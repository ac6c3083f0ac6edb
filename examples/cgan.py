"""Train a conditional GAN on labelled images: ask for a digit, get that digit.

    python examples/cgan.py                         # digits
    python examples/cgan.py --data fashion --width 16
    python examples/cgan.py --objective hinge --norm spectral
    python examples/cgan.py --resume

Expect: 2 min on 2 cores; 99 % of 1000 samples are what was asked for.

G gets the label beside the code z, D beside the picture, as ten planes of 0 and 1 (Mirza and
Osindero 2014, arXiv:1411.1784): D learns p(data | x, label) and lets no picture pass that is good
but of another class. The fake pair is (G(z, y), y), the real one (x, y), with labels y drawn from
the data in both.

At the end: a class a row and a code a column, walks between codes, and arithmetic: the mean code of
bold samples minus that of thin ones is a direction of the code that makes any class bolder.
"""

import tinygen as tg
from tinygen import data
from tinygen.models import gan, latent
from tinygen.models.gan import cgan
from tinygen.plot.report import Report
from tinygen.run import Run, count, fraction, options

ROWS = [name for name, row in gan.OBJECTIVES.items() if row.output != "energy"]  # that is began.py
BETAS = (0.5, 0.999)  # Adam's; with the usual 0.9 of the first the two players swing

parser = options(__doc__, "cgan", steps=4000, batch=64, lr=5e-4)
parser.add_argument("--objective", choices=ROWS, default="non_saturating", metavar="ROW",
                    help=", ".join(ROWS))  # fmt: skip
parser.add_argument("--d-steps", type=count, default=1, help="steps of D for each of G (1)")
parser.add_argument("--norm", choices=["batch", "layer", "spectral", "none"], default="layer",
                    help="D's norm")  # fmt: skip
parser.add_argument("--width", type=count, default=32, help="channels at full size (32)")
parser.add_argument("--latent", type=count, default=32, help="dimensions of z (32)")
parser.add_argument("--ema", type=fraction, default=0.99, help="decay of G's average (0.99)")
args = parser.parse_args()

# --- data -------------------------------------------------------------------------------------
tg.manual_seed(args.seed)
train_set = data.load(args.data, root=args.root, download=args.download)
train, classes = train_set.to_symmetric(), len(train_set.classes)  # in [-1, 1], as tanh makes them
pairs = data.TensorDataset(train, train_set.labels)
loader = data.DataLoader(pairs, args.batch, shuffle=True, drop_last=True)
batches = loader.forever()
seeded = lambda seed: tg.Generator(args.device).manual_seed(seed)
every = tg.arange(classes, device=args.device)  # one label of each class

# --- model and optimizers ---------------------------------------------------------------------
config = vars(args) | {"shape": train.shape[1:], "classes": classes}
model = cgan.build(config).to(args.device)  # models.restore builds it from the config again
opt_g = tg.optim.Adam(model.G.parameters(), lr=args.lr, betas=BETAS)
opt_d = tg.optim.Adam(model.D.parameters(), lr=args.lr, betas=BETAS)
ema = tg.optim.EMA(model.G, args.ema)


def every_class(each: int) -> tg.Tensor:
    """`each` samples of every class, one class a row; a column has one code."""
    codes = model.draw(each, seeded(2)).repeat(classes, 1)
    return model.decode(codes, every.repeat_interleave(each))


# --- loop -------------------------------------------------------------------------------------
run = Run(args.out, config=config, resume=args.resume, system="cgan")
run.track(model=model, opt_g=opt_g, opt_d=opt_d, ema=ema, loader=loader)
for step in run.steps(args.steps):
    for _ in range(args.d_steps):
        x, labels = (part.to(args.device) for part in next(batches))
        terms = model.discriminator_terms((x, labels))
        opt_d.zero_grad()
        terms["loss"].backward()
        opt_d.step()
        if model.objective.clip:  # wgan's critic: without a bound its gap is no distance
            tg.optim.clip_weights_(model.D.parameters(), model.objective.clip)
    with gan.frozen(model.D):
        loss = model.generator_terms(len(labels), labels)["loss"]
        opt_g.zero_grad()
        loss.backward()
    opt_g.step()
    ema.update()
    run.log(loss_d=terms["loss"], loss_g=loss, d_real=terms["real"], d_fake=terms["fake"])
    if run.every(200):
        warning = gan.collapse(every_class(8), train[:64])
        if warning:
            run.say(f"step {step}: {warning}")
    if run.every(1000, soon=30):
        run.picture("samples", lambda: every_class(8), value_range=(-1, 1))

# --- what it learned --------------------------------------------------------------------------
ema.copy_to()
print(f"{args.objective} on {args.data}: {args.steps} steps in {run.seconds:.1f} s, "
      f"seed {args.seed}")  # fmt: skip
report = Report(args.out, model)
report.grid("samples", every_class(10))
report.walks(model.draw(classes, seeded(3)), model.draw(classes, seeded(4)), every)
codes = model.draw(1000, seeded(5))
ink = model.decode(codes, tg.arange(1000, device=args.device) % classes).mean((1, 2, 3))
bolder = latent.attribute(codes, ink > ink.mean())
bolder = bolder / bolder.norm() * args.latent**0.5  # as long as a code is
report.moves("bolder", codes[:classes], bolder, 1, 9, every)
report.curves("loss_d", "loss_g")
if args.data == "digits":
    report.asked(train, train_set.labels, every_class(100), every.repeat_interleave(100))
report.close()
