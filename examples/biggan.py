"""Train a BigGAN on labelled images: one model of all classes, and a knob from various to sure.

    python examples/biggan.py                           # digits
    python examples/biggan.py --data fashion --steps 1500
    python examples/biggan.py --orthogonal 0 --attention 0       # without these two
    python examples/biggan.py --objective non_saturating
    python examples/biggan.py --resume

Expect: 3 min on 2 cores; precision 0.99 and recall 0.07 with z within 0.5, 0.97 and 0.21 within
1, 0.88 and 0.61 with all of z, of which 99.5 % are what was asked for; Frechet 1.30, 0.61, 0.20.

G is told the label at every norm, beside a piece of z (skip-z); D says how real a picture is as one
of its label, by the projection of its features on the label's vector (Miyato and Koyama 2018,
arXiv:1802.05637). Both have a spectral norm at every layer and a block of self-attention. The
paper's own sizes: --width 96 --latent 120 --batch 2048 --d-steps 2 --lr 2e-4 --lr-g 5e-5 --ema
0.9999.

The claim is the truncation trick (Brock et al. 2019, arXiv:1809.11096): z drawn within +-t gives
better and less various pictures the smaller t is. The measure: precision (samples among the data)
and recall (data among the samples) in a classifier's features, for several t; and how many samples
are of the class asked for. truncation.png: a row for each t, four samples each of four classes.
"""

import tinygen as tg
from tinygen import data, metrics
from tinygen.models import gan
from tinygen.models.gan import biggan
from tinygen.plot.report import Report
from tinygen.run import Run, count, fraction, non_negative, options, positive, whole

ROWS = [name for name, row in gan.OBJECTIVES.items()  # those that need a loss and no more
        if row.output != "energy" and not row.penalty and not row.clip]  # fmt: skip
BETAS = (0.0, 0.999)  # Adam's, as in the paper
LEVELS = (0.25, 0.5, 1.0, 1.5, None)  # of the truncation; None: all of z

parser = options(__doc__, "biggan", steps=2000, batch=64, lr=1e-3)
parser.add_argument("--lr-g", type=positive, help="G's step size (half of --lr)")
parser.add_argument("--d-steps", type=count, default=1, help="steps of D for each of G (1)")
parser.add_argument("--objective", choices=ROWS, default="hinge", metavar="ROW",
                    help=", ".join(ROWS))  # fmt: skip
parser.add_argument("--orthogonal", type=non_negative, default=1e-4, help="its weight (1e-4)")
parser.add_argument("--attention", type=whole, help="at this side (half of the picture's); 0: none")
parser.add_argument("--width", type=count, default=16, help="channels at full size (16)")
parser.add_argument("--latent", type=count, default=48, help="dimensions of z (48)")
parser.add_argument("--shared", type=count, default=32, help="of a label's vector (32)")
parser.add_argument("--truncation", type=positive, default=1.5, help="of samples.png (1.5)")
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
model = biggan.build(config).to(args.device)  # models.restore builds it from the config again
opt_g = tg.optim.Adam(model.G.parameters(), lr=args.lr_g or args.lr / 2, betas=BETAS)
opt_d = tg.optim.Adam(model.D.parameters(), lr=args.lr, betas=BETAS)
ema = tg.optim.EMA(model.G, args.ema)


def every_class(each: int, truncation: float | None = None) -> tg.Tensor:
    """`each` samples of every class, one class a row; a column has one code."""
    codes = model.draw(each, seeded(2), truncation).repeat(classes, 1)
    return model.decode(codes, every.repeat_interleave(each))


# --- loop -------------------------------------------------------------------------------------
run = Run(args.out, config=config, resume=args.resume, system="biggan")
run.track(model=model, opt_g=opt_g, opt_d=opt_d, ema=ema, loader=loader)
for step in run.steps(args.steps):
    for _ in range(args.d_steps):
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
    run.log(loss_d=terms["loss"], loss_g=made["fooled"], orthogonal=made["orthogonal"],
            d_real=terms["real"], d_fake=terms["fake"])  # fmt: skip
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
if args.data == "digits":
    judge = metrics.digits_classifier()
else:
    judge = metrics.Classifier(train.shape[1], train.shape[2], classes=classes)
    metrics.fit_classifier(judge, train[:20_000], train_set.labels[:20_000], steps=600)
real, asked = judge.features(train[:1000]), tg.arange(1000, device=args.device) % classes
report, rows = Report(args.out, model), []
four = every[:: max(1, classes // 4)][:4].repeat_interleave(4)
for level in LEVELS:
    model.standing(level, generator=seeded(1))
    parts = zip(model.draw(1000, seeded(3), level).split(250), asked.split(250))
    made = tg.cat([model.decode(z, labels) for z, labels in parts]).cpu()
    features = judge.features(made)
    near = metrics.precision_recall(real, features)
    right = (judge.probabilities(made).argmax(1) == asked.cpu().numpy()).mean()
    rows.append(model.sample(len(four), seeded(2), four, level))
    print(f"z within {level or 'all of N(0, 1)'}: precision {near.precision:.3f}, recall "
          f"{near.recall:.3f}, Frechet {metrics.frechet_distance(real, features):.2f}, "
          f"{right:.1%} are what was asked for")  # fmt: skip
report.grid("truncation", tg.cat(rows), nrow=len(four))
model.standing(args.truncation, generator=seeded(1))
report.grid("samples", every_class(10, args.truncation))
report.walks(model.draw(classes, seeded(4), args.truncation),
             model.draw(classes, seeded(5), args.truncation), every)  # fmt: skip
report.curves("loss_d", "loss_g", "orthogonal")
report.close()
