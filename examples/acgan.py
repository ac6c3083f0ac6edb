"""Train an ACGAN on labelled images: D is not told the label, it has to say it.

    python examples/acgan.py                        # digits
    python examples/acgan.py --class-weight 0.1     # less sure of the class, more various
    python examples/acgan.py --data fashion
    python examples/acgan.py --objective hinge --norm spectral
    python examples/acgan.py --resume

Expect: 30 s on 2 cores; 99.5 % of 1000 samples are what was asked for (a cGAN at equal
steps 99.4 %), two of a class lie 0.86 times as far apart as data (a cGAN's 0.90).

G gets the label beside the code z; D has two heads on one trunk, for the source and for the class
(Odena et al. 2016, arXiv:1610.09585). G is paid for pictures whose class D names rightly, weight w
(--class-weight, 1 in the paper). Its claim, that samples are of the class asked for, is measured by
our own classifier; its known weak spot is that a class loses its variety as w rises: how far apart
samples of a class lie, beside data, and the recall. benchmarks/results/gan/labels.md has several w
beside a cGAN at equal steps.

At the end: a class a row and a code a column, and walks between codes.
"""

import tinygen as tg
from tinygen import data
from tinygen.models import gan
from tinygen.models.gan import acgan
from tinygen.plot.report import Report
from tinygen.run import Run, count, fraction, non_negative, options

ROWS = [name for name, row in gan.OBJECTIVES.items()  # those that need a loss and no more
        if row.output != "energy" and not row.penalty and not row.clip]  # fmt: skip
BETAS = (0.5, 0.999)  # Adam's; with the usual 0.9 of the first the two players swing

parser = options(__doc__, "acgan", steps=3000, batch=64, lr=5e-4)
parser.add_argument("--objective", choices=ROWS, default="non_saturating", metavar="ROW",
                    help="of the source: " + ", ".join(ROWS))  # fmt: skip
parser.add_argument("--class-weight", type=non_negative, default=1.0, help="w of the class (1)")
parser.add_argument("--norm", choices=["batch", "layer", "spectral", "none"], default="layer",
                    help="D's norm")  # fmt: skip
parser.add_argument("--width", type=count, default=16, help="channels at full size (16)")
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
model = acgan.build(config).to(args.device)  # models.restore builds it from the config again
opt_g = tg.optim.Adam(model.G.parameters(), lr=args.lr, betas=BETAS)
opt_d = tg.optim.Adam(model.D.parameters(), lr=args.lr, betas=BETAS)
ema = tg.optim.EMA(model.G, args.ema)


def every_class(each: int) -> tg.Tensor:
    """`each` samples of every class, one class a row; a column has one code."""
    codes = model.draw(each, seeded(2)).repeat(classes, 1)
    return model.decode(codes, every.repeat_interleave(each))


# --- loop -------------------------------------------------------------------------------------
run = Run(args.out, config=config, resume=args.resume, system="acgan")
run.track(model=model, opt_g=opt_g, opt_d=opt_d, ema=ema, loader=loader)
for step in run.steps(args.steps):
    x, labels = (part.to(args.device) for part in next(batches))
    terms = model.discriminator_terms((x, labels))
    opt_d.zero_grad()
    terms["loss"].backward()
    opt_d.step()
    with gan.frozen(model.D):
        made = model.generator_terms(len(labels), labels)
        opt_g.zero_grad()
        made["loss"].backward()
    opt_g.step()
    ema.update()
    run.log(loss_d=terms["loss"], loss_g=made["loss"], d_real=terms["real"], d_fake=terms["fake"],
            class_real=terms["class_real"], class_fake=terms["class_fake"])  # fmt: skip
    if run.every(200):
        warning = gan.collapse(every_class(8), train[:64])
        if warning:
            run.say(f"step {step}: {warning}")
    if run.every(1000, soon=30):
        run.picture("samples", lambda: every_class(8), value_range=(-1, 1))

# --- what it learned --------------------------------------------------------------------------
ema.copy_to()
print(f"{args.objective} on {args.data}, class weight {args.class_weight:g}: {args.steps} steps in "
      f"{run.seconds:.1f} s, seed {args.seed}")  # fmt: skip
report = Report(args.out, model)
report.grid("samples", every_class(10))
report.walks(model.draw(classes, seeded(3)), model.draw(classes, seeded(4)), every)
report.curves("loss_d", "loss_g", "class_real", "class_fake")
if args.data == "digits":
    report.asked(train, train_set.labels, every_class(100), every.repeat_interleave(100))
report.close()
