"""Train a classifier from a few labels and many pictures without: the judge of a GAN.

    python examples/semi_gan.py                       # 100 labelled digits of 1415
    python examples/semi_gan.py --labelled 50
    python examples/semi_gan.py --labelled 200
    python examples/semi_gan.py --fool                # G fools D; it does not match features
    python examples/semi_gan.py --data fashion
    python examples/semi_gan.py --resume

Expect: 25 s on 2 cores; test error 10.5 %, without the unlabelled pictures 14.4 %.

D tells the ten classes apart, and an eleventh, "sample", whose logit is 0 (Salimans et al. 2016,
arXiv:1606.03498): Z = sum e^l_k, p(data) = Z / (Z + 1). Labelled pictures teach it the classes,
the others that they are of some class, samples that they are of none. G learns to match the mean of
D's last features. Beside it an equal network learns from the labelled pictures alone, with the
same batches: the difference is what unlabelled pictures are worth. At the end: a class a row, the
ten of 1000 samples that D is surest of.

Test digits are by other writers than the training digits: our frozen classifier, which had all 1415
labels, names 92 % of them rightly. benchmarks/results/gan/labels.md has other seeds and numbers of
labels, --fool, which does no worse here than feature matching, and the adversarial autoencoder.
"""

import tinygen as tg
from tinygen import data
from tinygen.models import gan
from tinygen.models.gan import semi_gan
from tinygen.optim.lr_scheduler import CosineAnnealingLR
from tinygen.plot.report import Report
from tinygen.run import Run, count, non_negative, options

BETAS = (0.5, 0.999)  # Adam's; with the usual 0.9 of the first the two players swing

parser = options(__doc__, "semi_gan", steps=1500, batch=64, lr=1e-3)
parser.add_argument("--labelled", type=count, default=100, help="pictures with a label (100)")
parser.add_argument("--fool", action="store_true", help="G's loss: fool D; no feature matching")
parser.add_argument("--weight", type=non_negative, default=1.0, help="of the unlabelled part (1)")
parser.add_argument("--noise", type=non_negative, default=0.5, help="std of the noise in D (0.5)")
parser.add_argument("--hidden", type=count, default=256, help="units of a layer (256)")
parser.add_argument("--latent", type=count, default=32, help="dimensions of z (32)")
args = parser.parse_args()

# --- data: as many labels of each class, and all pictures without -----------------------------
tg.manual_seed(args.seed)
train_set, test_set = (
    data.load(args.data, split, root=args.root, download=args.download)
    for split in ("train", "test")
)
train, classes = train_set.to_symmetric(), len(train_set.classes)  # in [-1, 1], as tanh makes them
test, labels = test_set.to_symmetric().to(args.device), train_set.labels
if args.labelled % classes:
    parser.error(f"--labelled: expected a multiple of the {classes} classes, got {args.labelled}")
order = tg.randperm(len(train), generator=tg.Generator().manual_seed(args.seed))
each = args.labelled // classes
known = tg.cat([order[labels[order] == k][:each] for k in range(classes)])
if len(known) < args.labelled:
    parser.error(f"--labelled: {args.data} has fewer than {each} pictures of some class")
few = data.TensorDataset(train[known], labels[known])
few_loader = data.DataLoader(few, min(args.batch, len(few)), shuffle=True, drop_last=True)
all_loader = data.DataLoader(data.TensorDataset(train), args.batch, shuffle=True, drop_last=True)
labelled, unlabelled = few_loader.forever(), all_loader.forever()
seeded = lambda seed: tg.Generator(args.device).manual_seed(seed)

# --- model and optimizers ---------------------------------------------------------------------
config = vars(args) | {"shape": train.shape[1:], "classes": classes}
model = semi_gan.build(config).to(args.device)  # models.restore builds it from the config again
alone = semi_gan.build(config).to(args.device)  # its D sees the labelled pictures only
opt_g = tg.optim.Adam(model.G.parameters(), lr=args.lr, betas=BETAS)
opt_d = tg.optim.Adam(model.D.parameters(), lr=args.lr, betas=BETAS)
opt_alone = tg.optim.Adam(alone.D.parameters(), lr=args.lr, betas=BETAS)
schedules = [CosineAnnealingLR(opt, T_max=args.steps) for opt in (opt_g, opt_d, opt_alone)]


def error(classifier: gan.SemiGAN) -> float:
    """Test error in per cent."""
    return 100 * (classifier.classify(test).cpu() != test_set.labels).float().mean().item()


# --- loop -------------------------------------------------------------------------------------
run = Run(args.out, config=config, resume=args.resume, system="semi_gan")
run.track(
    model=model, opt_g=opt_g, opt_d=opt_d, alone=alone, opt_alone=opt_alone, few=few_loader,
    every=all_loader, schedule_g=schedules[0], schedule_d=schedules[1], schedule_alone=schedules[2],
)  # fmt: skip
for step in run.steps(args.steps):
    x, y = (part.to(args.device) for part in next(labelled))
    (u,) = (part.to(args.device) for part in next(unlabelled))
    terms = model.discriminator_terms((x, y, u))
    opt_d.zero_grad()
    terms["loss"].backward()
    opt_d.step()
    with gan.frozen(model.D):
        loss = model.generator_terms(len(u), real=None if args.fool else u)["loss"]
        opt_g.zero_grad()
        loss.backward()
    opt_g.step()
    loss_alone = alone.supervised(x, y)
    opt_alone.zero_grad()
    loss_alone.backward()
    opt_alone.step()
    for schedule in schedules:
        schedule.step()
    run.log(loss_g=loss, supervised=terms["supervised"], unsupervised=terms["unsupervised"],
            d_real=terms["real"], d_fake=terms["fake"], alone=loss_alone)  # fmt: skip
    if run.every(100) or run.last:
        run.log(error=error(model), error_alone=error(alone))
    if run.every(500, soon=30):
        run.picture("samples", lambda: model.sample(64, seeded(2)), value_range=(-1, 1))

# --- what it learned --------------------------------------------------------------------------
print(f"{len(known)} labels of {len(train)} {args.data}: {args.steps} steps in "
      f"{run.seconds:.1f} s, seed {args.seed}")  # fmt: skip
print(f"test error {error(model):.1f} %; without the unlabelled pictures {error(alone):.1f} %")
report = Report(args.out, model)
made = model.sample(1000, seeded(2))
belief = model.probabilities(made)
surest = [belief[:, k].argsort(descending=True)[:10] for k in range(classes)]
report.grid("samples", made[tg.cat(surest)])  # a class a row
report.curves("error", "error_alone", units="%")
report.close()
