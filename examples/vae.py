"""Train a variational autoencoder on small images and look at what it learned.

    python examples/vae.py --demo                          # digits, 2-D latent space, ten seconds
    python examples/vae.py --latent 16 --net conv          # sharper: more room in the code
    python examples/vae.py --data fashion --epochs 20      # 28 x 28 (Debian: dataset-fashion-mnist)
    python examples/vae.py --likelihood gaussian --beta 4
    python examples/vae.py --objective iwae --k 5          # the tighter bound of several draws
    python examples/vae.py --conditional                   # q(z|x,c), p(x|z,c): draw digits by name
    python examples/vae.py --resume                        # go on where the last run stopped

What it optimises, for each image x, is the evidence lower bound (ELBO), in nats:

    log p(x)  >=  E_q(z|x)[ log p(x|z) ]  -  KL( q(z|x) || p(z) )
                  how well z explains x      what z costs to say

Pixels are drawn as 0 or 1 with their grey value as probability, anew in every epoch, so that the
Bernoulli likelihood is one (binarise in tinygen/models/likelihoods.py). For a Gaussian they get
noise of one grey level (dequantise), so that its density bounds the probability of the grey values,
given in bits a pixel: 17 levels in digits, 256 in fashion. All is in the folder --out:
log.jsonl, checkpoints, pictures: reconstructions, samples, and for --latent 2 the latent space.
"""

import time
from pathlib import Path

import tinygen as tg
from tinygen import data, metrics, plot
from tinygen.models import bounds, latent, vae
from tinygen.optim.lr_scheduler import CosineAnnealingLR
from tinygen.run import Run, count, device, non_negative, options, positive, whole

parser = options(__doc__)
parser.add_argument("--data", default="digits", help="digits (bundled), fashion, mnist or kmnist")
parser.add_argument("--root", help="the folder that holds the files of --data")
parser.add_argument("--download", action="store_true", help="fetch the files of --data if missing")
parser.add_argument("--device", type=device, default="cpu", help="cpu or cuda")
parser.add_argument("--epochs", type=count, default=200, help="passes over the training images")
parser.add_argument("--batch", type=count, default=128, help="images a step")
parser.add_argument("--lr", type=positive, default=2e-3,
                    help="Adam's step size; falls to 0 (cosine)")  # fmt: skip
parser.add_argument("--latent", type=count, default=2, help="dimensions of z; 2 can be drawn whole")
parser.add_argument("--hidden", type=count, default=256, help="units of a hidden layer (--net mlp)")
parser.add_argument("--net", choices=sorted(vae.NETS), default="mlp", help="the two networks")
parser.add_argument("--likelihood", choices=["bernoulli", "gaussian", "fixed", "pixel"],
                    default="bernoulli", help="p(x|z): binary pixels, or grey ones with one "
                    "learned variance, with 0.05, or with a variance for each pixel")  # fmt: skip
parser.add_argument("--objective", choices=["elbo", "iwae", "score"], default="elbo",
                    help="the bound; importance-weighted, of k draws; or the bound from k draws "
                    "by the score-function estimator")  # fmt: skip
parser.add_argument("--k", type=count, default=5, help="draws of z for iwae and score")
parser.add_argument("--conditional", action="store_true", help="give the label to both networks")
parser.add_argument("--beta", type=non_negative, default=1.0,
                    help="weight of the KL; 1 is the bound, more orders the codes")  # fmt: skip
parser.add_argument("--importance", type=count, default=200,
                    help="draws a test image for the estimate of log p(x) at the end")  # fmt: skip
parser.add_argument("--seed", type=whole, default=0)
parser.add_argument("--out", default="runs/vae", help="folder of this run")
parser.add_argument("--resume", action="store_true", help="go on with the run in --out")
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
shape = train.shape[1:]
binary, levels = args.likelihood == "bernoulli", train_set.maximum + 1


def pixels(x, generator=None):
    """What the likelihood is of: pixels drawn as 0 or 1, or dequantised grey ones."""
    return vae.binarise(x, generator) if binary else vae.dequantise(x, levels - 1, generator)


pairs = data.TensorDataset(train if binary else train_set.images, train_set.labels)
loader = data.DataLoader(pairs, args.batch, shuffle=True, drop_last=True)

# --- model ------------------------------------------------------------------------------------
likelihood = {
    "bernoulli": vae.Bernoulli,
    "gaussian": lambda: vae.Gaussian(0.05, learn=True),
    "fixed": lambda: vae.Gaussian(0.05),
    "pixel": vae.GaussianPerPixel,
}[args.likelihood]()
width = {"mlp": args.hidden, "conv": 32}[args.net]
condition = classes if args.conditional else 0
encoder, decoder = vae.NETS[args.net](
    shape, args.latent, width, outputs=likelihood.outputs, condition=condition
)
if binary:
    vae.set_output_bias(decoder, train)
if args.conditional:
    model = vae.ConditionalVAE(encoder, decoder, likelihood, args.latent, classes)
else:
    model = vae.VAE(encoder, decoder, likelihood, args.latent)
model = model.to(args.device)

# --- optimizer --------------------------------------------------------------------------------
steps = args.epochs * len(loader)
opt = tg.optim.Adam(model.parameters(), lr=args.lr)
schedule = CosineAnnealingLR(opt, T_max=steps)


def given(c):
    """The labels for a conditional model, None for one that has none."""
    return c.to(args.device) if args.conditional else None


# One noise on the test set's pixels, and one set of draws of z, for every evaluation of this run.
test_x = pixels(test if binary else test_set.images, tg.Generator().manual_seed(1)).to(args.device)
test_c = given(test_set.labels)
shown_c = given(tg.arange(100) // 10 % classes)  # a row of samples for each of ten labels


@tg.no_grad()
def evaluate() -> vae.ELBO:
    return model(test_x, generator=tg.Generator(args.device).manual_seed(2), c=test_c)


# --- loop -------------------------------------------------------------------------------------
run = Run(args.out, config=args, resume=args.resume)
run.track(model=model, opt=opt, schedule=schedule, loader=loader)
began = time.perf_counter()
for _, (x, c) in zip(run.steps(steps), loader.forever()):
    x, c = pixels(x.to(args.device)), given(c)
    if args.objective == "iwae":
        bound = model.iwae(x, args.k, c=c)
        run.log(iwae=bound)
    else:
        estimate = model.score_function if args.objective == "score" else model
        draws = {"k": args.k} if args.objective == "score" else {}
        terms = estimate(x, beta=args.beta, c=c, **draws)
        bound = terms.elbo
        run.log(elbo=terms.elbo, kl=terms.kl)
    loss = -bound
    opt.zero_grad()
    loss.backward()
    opt.step()
    schedule.step()
    if run.every(5 * len(loader)) or run.last:
        run.log(test_elbo=evaluate().elbo)
    if run.every(50 * len(loader)):
        run.picture("samples", lambda: model.sample(100, c=shown_c), nrow=10, clip=True)
seconds = time.perf_counter() - began

# --- what it learned ----------------------------------------------------------------------------
final = evaluate()
log_p = bounds.average(bounds.importance(
    model, test_x, args.importance, tg.Generator(args.device).manual_seed(3), test_c
))  # fmt: skip
with tg.no_grad():
    codes = model.encode(test, test_c)[0]
print(f"{steps} steps in {seconds:.1f} s, seed {args.seed}; {len(test)} test images of {args.data}")
print(f"test ELBO    {final.elbo.item():8.2f} nats  =  log p(x|z) {final.log_likelihood.item():.2f}"
      f"  -  KL {final.kl.item():.2f}")  # fmt: skip
print(f"log p(x) >=  {log_p.mean:8.2f} nats, from {args.importance} importance samples (+- "
      f"{log_p.over_draws:.2f} for the draws, {log_p.over_images:.2f} for the images)")  # fmt: skip
bits = metrics.bits_per_dim(log_p.mean, test[0].numel(), None if binary else levels)
print(f"which is at most {bits:.3f} bits/dim, {2 if binary else levels} values a pixel")
print(f"active units {metrics.active_units(codes):5d} of {args.latent}")

out = Path(args.out)
some = test[:20]
title = f"VAE on {args.data}, {args.latent}-D latent space"
again = model.reconstruct(some, given(test_set.labels[:20]))
plot.reconstruction_pairs(some, again, clip=True, path=out / "reconstructions.png")
samples = model.sample(100, tg.Generator(args.device).manual_seed(4), c=shown_c)
plot.image_grid(samples, nrow=10, clip=True, title=f"samples: {title}", path=out / "samples.png")
keys = ["iwae" if args.objective == "iwae" else "elbo", "test_elbo"]
plot.curves(out / "log.jsonl", keys=keys, units="nats", path=out / "curves.png")
with tg.no_grad():  # five walks between test images, along the arc between their codes
    walk = latent.interpolate(codes[:5], codes[5:10], 10, spherical=True)
    walk = walk.transpose(0, 1).reshape(50, args.latent)
    walk_c = None if test_c is None else test_c[:5].repeat_interleave(10)
    plot.image_grid(model.decode(walk, walk_c), nrow=10, clip=True, path=out / "walks.png")
ink = test.flatten(1).sum(1)  # an attribute that no label names; digits hardly differ in it
bold = latent.attribute(codes, (ink > ink.mean()).tolist())
with tg.no_grad():  # five images, from thinner than they are to bolder
    moved = tg.stack([codes[:5] + float(t) * bold for t in (-2, -1, 0, 1, 2)], 1)
    moved_c = None if test_c is None else test_c[:5].repeat_interleave(5)
    bolder = model.decode(moved.reshape(25, args.latent), moved_c)
    plot.image_grid(bolder, nrow=5, clip=True, path=out / "bolder.png")
if args.latent == 2 and not args.conditional:
    plot.latent_manifold(model.decode, 20, clip=True, device=args.device, path=out / "manifold.png")
    plot.latent_scatter(codes, test_set.labels, names=test_set.classes, path=out / "latent.png")
pictures = sorted(p.name for p in out.glob("*.png") if "-" not in p.name)
print(f"pictures in {out}/: {', '.join(pictures)}")
