"""Train a variational autoencoder on small images and look at what it learned.

    python examples/vae.py --demo                          # digits, 2-D latent space, 20 seconds
    python examples/vae.py --latent 16 --net conv          # sharper: more room in the code
    python examples/vae.py --data fashion                  # 28 x 28 (Debian: dataset-fashion-mnist)
    python examples/vae.py --likelihood gaussian --latent 16       # grey pixels; --beta 4: blurred
    python examples/vae.py --objective iwae --k 5          # the tighter bound of several draws
    python examples/vae.py --conditional                   # q(z|x,c), p(x|z,c): draw digits by name
    python examples/vae.py --resume                        # go on where the last run stopped

Expect: 10 s on 2 cores; test ELBO -23.54 nats, log p(x) >= -23.18 (--demo: -23.39, -22.99).

What it optimises, for each image x, is the evidence lower bound (ELBO), in nats:

    log p(x)  >=  E_q(z|x)[ log p(x|z) ]  -  KL( q(z|x) || p(z) )
                  how well z explains x      what z costs to say

Pixels are drawn as 0 or 1 with their grey value as probability, anew in every epoch, so that the
Bernoulli likelihood is one (binarise in tinygen/models/likelihoods.py). For a Gaussian they get
noise of one grey level (dequantise), so that its density bounds the probability of the grey values,
given in bits a pixel: 17 levels in digits, 256 in fashion. With --beta 4 its samples are soft and
grey, as they should: a nat of KL must be worth four of log p(x|z), so few are spent.

All is in the folder --out: log.jsonl, checkpoints, pictures: reconstructions, samples, and for
--latent 2 the latent space.
"""

import tinygen as tg
from tinygen import data, metrics, plot
from tinygen.models import latent, likelihoods, nets
from tinygen.models.vae import bounds, vae
from tinygen.optim.lr_scheduler import CosineAnnealingLR
from tinygen.plot.report import Report
from tinygen.run import Run, count, non_negative, options, through

parser = options(__doc__, "vae", epochs={"digits": 200, "others": 20}, batch=128, lr=2e-3)
parser.add_argument("--latent", type=count, default=2, help="dimensions of z; 2 can be drawn whole")
parser.add_argument("--hidden", type=count, default=256, help="units of a layer of --net mlp (256)")
parser.add_argument("--net", choices=sorted(nets.AUTOENCODERS), default="mlp", help="both networks")
parser.add_argument("--likelihood", choices=sorted(likelihoods.LIKELIHOODS), default="bernoulli",
                    help="p(x|z): binary pixels (bernoulli), or grey ones with one learned variance"
                    " (gaussian), with 0.05 (fixed), or with a variance each (pixel)")  # fmt: skip
parser.add_argument("--objective", choices=["elbo", "iwae", "score"], default="elbo",
                    help="the bound; importance-weighted, of k draws; or the bound from k draws "
                    "by the score-function estimator")  # fmt: skip
parser.add_argument("--k", type=count, default=5, help="draws of z for iwae and score (5)")
parser.add_argument("--conditional", action="store_true", help="give the label to both networks")
parser.add_argument("--beta", type=non_negative, default=1.0,
                    help="weight of the KL; 1 is the bound, more orders the codes")  # fmt: skip
parser.add_argument("--importance", type=count, default=200,
                    help="draws a test image for log p(x) at the end (200)")  # fmt: skip
parser.add_argument("--demo", action="store_true", help="the run of `make demo`, in runs/demo")
if parser.parse_known_args()[0].demo:
    parser.set_defaults(epochs=300, out="runs/demo")
args = parser.parse_args()
if args.objective == "iwae" and args.beta != 1.0:
    parser.error("--beta weighs the KL of the ELBO; the bound of --objective iwae has no such term")

# --- data -------------------------------------------------------------------------------------
tg.manual_seed(args.seed)
train_set, test_set = (
    data.load(args.data, split, root=args.root, download=args.download)
    for split in ("train", "test")
)
train, test = train_set.to_unit(), test_set.to_unit().to(args.device)  # grey values in [0, 1]
classes = len(train_set.classes)
binary, levels = args.likelihood == "bernoulli", train_set.maximum + 1
pairs = data.TensorDataset(train if binary else train_set.images, train_set.labels)
loader = data.DataLoader(pairs, args.batch, shuffle=True, drop_last=True)


def pixels(x, generator=None):
    """What the likelihood is of: pixels drawn as 0 or 1, or dequantised grey ones."""
    if binary:
        return likelihoods.binarise(x, generator)
    return likelihoods.dequantise(x, levels - 1, generator)


def given(labels):
    """The labels for a conditional model, None for one that has none."""
    return labels.to(args.device) if args.conditional else None


# --- model ------------------------------------------------------------------------------------
config = vars(args) | {"shape": train.shape[1:], "classes": classes if args.conditional else 0}
model = vae.build(config)  # models.restore builds it from the config again
if binary:
    nets.set_output_bias(model.decoder, train)
model.to(args.device)

# --- optimizer --------------------------------------------------------------------------------
steps = args.epochs * len(loader)
opt = tg.optim.Adam(model.parameters(), lr=args.lr)
schedule = CosineAnnealingLR(opt, T_max=steps)  # lr falls to 0

# One noise on the test set's pixels, and one set of draws of z, for every evaluation of this run.
seeded = lambda seed: tg.Generator(args.device).manual_seed(seed)
test_x = pixels(test if binary else test_set.images, tg.Generator().manual_seed(1)).to(args.device)
test_labels = given(test_set.labels)
rows = given(tg.arange(100) // 10 % classes)  # a row of samples for each of ten labels


@tg.no_grad()
def evaluate() -> vae.ELBO:
    return model(test_x, generator=seeded(2), labels=test_labels)


# --- loop -------------------------------------------------------------------------------------
run = Run(args.out, config=config, resume=args.resume, system="vae")
run.track(model=model, opt=opt, schedule=schedule, loader=loader)
for _, (x, labels) in zip(run.steps(steps), loader.forever()):
    x, labels = pixels(x.to(args.device)), given(labels)
    if args.objective == "iwae":
        bound = model.iwae(x, args.k, labels=labels)
        terms = {"loss": -bound, "iwae": bound}
    elif args.objective == "score":
        bound = model.score_function(x, args.k, args.beta, labels=labels)
        terms = {"loss": -bound.elbo} | bound._asdict()
    else:
        terms = model.terms((x, labels), args.beta)
    opt.zero_grad()
    terms["loss"].backward()
    opt.step()
    schedule.step()
    run.log(**terms)
    if run.every(5 * len(loader)) or run.last:
        run.log(test_elbo=evaluate().elbo)
    if run.every(50 * len(loader), soon=30):
        run.picture("samples", lambda: model.sample(100, labels=rows), nrow=10, clip=True)

# --- what it learned --------------------------------------------------------------------------
final = evaluate()
log_p = bounds.average(bounds.importance(model, test_x, args.importance, seeded(3), test_labels,
                                         progress=through))  # fmt: skip
with tg.no_grad():
    codes = model.encode(test, test_labels)[0]
print(f"{steps} steps in {run.seconds:.1f} s, seed {args.seed}; {len(test)} test images of "
      f"{args.data}")  # fmt: skip
print(f"test ELBO    {final.elbo.item():8.2f} nats  =  log p(x|z) {final.log_likelihood.item():.2f}"
      f"  -  KL {final.kl.item():.2f}")  # fmt: skip
print(f"log p(x) >=  {log_p.mean:8.2f} nats, from {args.importance} importance samples (+- "
      f"{log_p.over_draws:.2f} for the draws, {log_p.over_images:.2f} for the images)")  # fmt: skip
bits = metrics.bits_per_dim(-log_p.mean, test[0].numel(), None if binary else levels)
print(f"which is at most {bits:.3f} bits/dim, {2 if binary else levels} values a pixel")
print(f"active units {metrics.active_units(codes):5d} of {args.latent}")

report = Report(args.out, model)
report.pairs(test[:20], model.reconstruct(test[:20], given(test_set.labels[:20])))
title = f"samples: VAE on {args.data}, {args.latent}-D latent space"
report.grid("samples", model.sample(100, seeded(4), rows), title=title)
report.walks(codes[:5], codes[5:10], given(test_set.labels[:5]))  # between test images
ink = test.flatten(1).sum(1)  # an attribute that no label names; digits hardly differ in it
bold = latent.attribute(codes, ink > ink.mean())
report.moves("bolder", codes[:5], bold, 2, 5, given(test_set.labels[:5]))  # from thin to bold
report.curves("iwae" if args.objective == "iwae" else "elbo", "test_elbo", units="nats")
if args.latent == 2 and not args.conditional:
    out, where = report.folder, args.device
    plot.latent_manifold(model.decode, 20, clip=True, device=where, path=out / "manifold.png")
    plot.latent_scatter(codes, test_set.labels, names=test_set.classes, path=out / "latent.png")
report.close()
