"""Train an adversarial autoencoder: codes that a judge cannot tell from a prior's.

    python examples/aae.py                                     # a Gaussian in the plane
    python examples/aae.py --prior mixture --labels 1415       # ten petals, a digit each
    python examples/aae.py --prior classes --labels 100        # digits sorted with 100 labels
    python examples/aae.py --encoder gaussian                  # q(z|x) = N(mu(x), s(x)^2)
    python examples/aae.py --encoder implicit                  # z = e(x, noise): any law
    python examples/aae.py --data fashion --latent 8           # 28 x 28

Expect: 25 s on 2 cores; neighbours are right about 53 % (without a judge 62 %).

Its claim: the codes of all pictures together are as the prior says. The measure: can neighbours
tell codes of test pictures from draws of the prior (50 %: no)? Beside it stands the same of an
autoencoder without a judge (--weight 0), whose codes get the prior's mean and spread first. Of
large data 1000 test pictures are asked. benchmarks/results/gan/aae-figures.md has all encoders and
priors, and what 100 labels are worth with and without the other pictures (--only-labelled).
"""

import tinygen as tg
from tinygen import data, metrics, plot
from tinygen.models.gan import aae
from tinygen.optim.lr_scheduler import CosineAnnealingLR
from tinygen.plot.report import Report
from tinygen.run import Run, count, non_negative, options, whole

parser = options(__doc__, "aae", epochs={"digits": 200, "others": 10}, batch=128, lr=1e-3)
parser.add_argument("--encoder", choices=aae.ENCODERS, default="deterministic", help="q(z|x)")
parser.add_argument("--prior", choices=sorted(aae.PRIORS), default="gaussian", help="law of codes")
parser.add_argument("--latent", type=count, default=2, help="numbers in a code (2)")
parser.add_argument("--hidden", type=count, default=256, help="units of a layer (256)")
parser.add_argument("--weight", type=non_negative, help="lambda of the judge (50; classes: 10)")
parser.add_argument("--labels", type=whole, default=0, help="pictures whose label is known (0)")
parser.add_argument("--only-labelled", action="store_true", help="train on these alone")
args = parser.parse_args()
if args.weight is None:
    args.weight = 10.0 if args.prior == "classes" else 50.0
if args.labels and args.prior == "gaussian":
    parser.error("--labels: a gaussian prior has no parts; take another --prior")
if not args.labels and (args.only_labelled or args.prior == "classes"):
    parser.error("--only-labelled and --prior classes need --labels")

# --- data: labels beyond the first --labels are unknown, -1 ---------------------------------------
tg.manual_seed(args.seed)
train_set, test_set = (
    data.load(args.data, split, root=args.root, download=args.download)
    for split in ("train", "test")
)
train, test = train_set.to_unit(), test_set.to_unit()[:1000].to(args.device)
known = tg.randperm(len(train), generator=tg.Generator().manual_seed(args.seed)) < args.labels
labels = tg.where(known, train_set.labels, tg.full((len(train),), -1, dtype=tg.int64))
steps = args.epochs * (len(train) // args.batch)
pairs = data.TensorDataset(train, labels)
if args.only_labelled:
    rows = known.nonzero()[:, 0]
    pairs, args.batch = data.TensorDataset(train[rows], labels[rows]), min(args.batch, len(rows))
loader = data.DataLoader(pairs, args.batch, shuffle=True, drop_last=True)
seeded = lambda seed: tg.Generator(args.device).manual_seed(seed)

# --- model and optimizers -------------------------------------------------------------------------
classes = len(train_set.classes) if args.labels else 0
config = vars(args) | {"shape": train.shape[1:], "classes": classes}
model = aae.build(config).to(args.device)  # models.restore builds it from the config again
both = [*model.encoder.parameters(), *model.decoder.parameters()]
opt = tg.optim.Adam(both, lr=args.lr, betas=(0.5, 0.999))
opt_d = tg.optim.Adam(model.D.parameters(), lr=args.lr, betas=(0.5, 0.999))
schedules = [CosineAnnealingLR(o, T_max=steps) for o in (opt, opt_d)]


@tg.no_grad()
def told_apart() -> float:
    """How often neighbours tell codes of test pictures from the prior's: 0.5 is never."""
    codes = model.encode(test, seeded(2))
    real = model.draw(len(codes), generator=seeded(3))
    if not args.weight:  # no judge: give the codes the prior's mean and spread at least
        codes = (codes - codes.mean(0)) / codes.std(0) * real.std(0) + real.mean(0)
    return metrics.classifier_two_sample_test(codes.cpu(), real.cpu()).accuracy


# --- loop -----------------------------------------------------------------------------------------
run = Run(args.out, config=config, resume=args.resume, system="aae")
run.track(model=model, opt=opt, opt_d=opt_d, loader=loader,
          schedule=schedules[0], schedule_d=schedules[1])  # fmt: skip
for _, (x, y) in zip(run.steps(steps), loader.forever()):
    batch = (x.to(args.device), y)
    judged = model.discriminator_terms(batch)
    opt_d.zero_grad()
    judged["loss"].backward()
    opt_d.step()
    terms = model.terms(batch)
    opt.zero_grad()
    terms["loss"].backward()
    opt.step()
    for schedule in schedules:
        schedule.step()
    run.log(loss_d=judged["loss"], **terms)
    if run.every(max(1, steps // 10)) or run.last:
        run.log(told_apart=told_apart())

# --- what it learned ------------------------------------------------------------------------------
with tg.no_grad():
    codes = model.encode(test, seeded(2))
    made = model.decode(codes)
error = (made - test).square().flatten(1).sum(1).mean().item()
print(f"{steps} steps in {run.seconds:.1f} s, seed {args.seed}; {len(test)} test pictures of "
      f"{args.data}, encoder {args.encoder}, prior {args.prior}")  # fmt: skip
print(f"neighbours tell codes from draws of the prior {100 * told_apart():.1f} % of the time "
      f"(50: they cannot); squared error {error:.2f} a picture")  # fmt: skip
truth = test_set.labels[: len(test)]
if args.prior == "classes":
    found = model.classify(test).cpu()
elif args.labels:
    parts = model.prior(2000, tg.arange(2000) % classes, seeded(5))
    _, nearest = metrics.nearest_neighbours(codes.cpu(), parts, k=15)
    found = tg.nn.functional.one_hot(tg.tensor(nearest % classes), classes).sum(1).argmax(1)
if args.labels:
    right = (found == truth).float().mean().item()
    print(f"{args.labels} labels: {100 * right:.1f} % of test pictures lie in their class's part")
report = Report(args.out, model)
rows = tg.arange(100) // 10 % classes if classes else None
report.pairs(test[:20], made[:20])
report.grid("samples", model.sample(100, seeded(4), rows))
report.curves("error", "adversarial", "loss_d")
if codes.shape[1] == 2:
    plot.latent_scatter(codes, truth, names=test_set.classes,
                        path=report.folder / "latent.png")  # fmt: skip
    plot.samples_2d(codes, model.draw(1000, generator=seeded(6)), labels=("codes", "prior"),
                    path=report.folder / "prior.png")  # fmt: skip
report.close()
