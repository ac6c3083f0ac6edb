"""Train an autoencoder on small images: plain, linear, denoising or sparse.

    python examples/autoencoder.py                              # a code of 16 numbers, digits
    python examples/autoencoder.py --kind linear --lr 0.02 --epochs 300   # = PCA: its eigenvalues
    python examples/autoencoder.py --kind denoising --sigma 0.5
    python examples/autoencoder.py --kind ksparse --latent 64 --k 8
    python examples/autoencoder.py --kind sparse --latent 64 --weight 0.05
    python examples/autoencoder.py --loss ssim                  # or l1, perceptual
    python examples/autoencoder.py --kind denoising --labels 50 # then a classifier with 50 labels
    python examples/autoencoder.py --data fashion --net notes --latent 30      # 784-500-300-30

Expect: 10 s on 2 cores; squared error 0.562 a picture, PSNR 21.23 dB on the test images.

Its objective is the reconstruction alone, min E distance(d(e(x)), x): no prior, so nothing says
where codes lie and a random one decodes to nothing in particular (compare samples.png with that of
examples/vae.py). With --labels n the encoder is fine-tuned as a classifier on n labelled images,
and once more from scratch.
"""

import numpy as np

import tinygen as tg
from tinygen import data, metrics, nn
from tinygen.models import nets
from tinygen.models.vae import autoencoder, reconstruction
from tinygen.plot.report import Report
from tinygen.run import Run, count, non_negative, options, positive, whole

KINDS = ["plain", "linear", "denoising", "ksparse", "sparse"]
LOSSES = ["mse", "l1", "ssim", "perceptual"]

parser = options(__doc__, "autoencoder", epochs={"digits": 100, "others": 20}, batch=128, lr=2e-3)
parser.add_argument("--kind", choices=KINDS, default="plain", help="what else is asked of the code")
parser.add_argument("--loss", choices=LOSSES, default="mse", help="distance of two pictures")
parser.add_argument("--net", choices=["mlp", "conv", "notes"], default="mlp",
                    help="two layers of 256; convolutions; or 500-300 as in the notes")  # fmt: skip
parser.add_argument("--latent", type=count, default=16, help="numbers in a code (16)")
parser.add_argument("--sigma", type=positive, default=0.3, help="noise on the input, denoising")
parser.add_argument("--k", type=count, default=8, help="units that may speak, ksparse (8)")
parser.add_argument("--weight", type=non_negative, default=0.05, help="price of a unit, sparse")
parser.add_argument("--labels", type=whole, default=0, help="then train a classifier on so many")
args = parser.parse_args()
if args.kind == "ksparse" and args.k > args.latent:
    parser.error(f"--k {args.k} is more than the code has, --latent {args.latent}")
if args.kind == "linear" and args.loss != "mse":
    parser.error(f"--kind linear is PCA with --loss mse alone, not {args.loss}")

# --- data -------------------------------------------------------------------------------------
tg.manual_seed(args.seed)
train_set, test_set = (
    data.load(args.data, split, root=args.root, download=args.download)
    for split in ("train", "test")
)
train, test = train_set.to_unit(), test_set.to_unit().to(args.device)  # grey values in [0, 1]
if args.labels > len(train):
    parser.error(f"--labels {args.labels}: there are {len(train)} training images")
loader = data.DataLoader(data.TensorDataset(train), args.batch, shuffle=True, drop_last=True)
seeded = lambda seed: tg.Generator(args.device).manual_seed(seed)

# --- model ------------------------------------------------------------------------------------
config = vars(args) | {"shape": train.shape[1:]}  # models.restore builds it from this again
model = autoencoder.build(config).to(args.device)
opt = tg.optim.Adam(model.parameters(), lr=args.lr)
steps = args.epochs * len(loader)
schedule = tg.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=steps)  # lr falls to 0


def fit_classifier(classifier, images, labels, lr):
    """300 steps of cross-entropy on the images given, batches of 128 at most."""
    rng, cross_entropy = np.random.default_rng(args.seed), nn.CrossEntropyLoss()
    opt = tg.optim.Adam(classifier.parameters(), lr=lr)
    for _ in range(300):
        i = rng.permutation(len(images))[:128]
        opt.zero_grad()
        cross_entropy(classifier(images[i].to(args.device)), labels[i].to(args.device)).backward()
        opt.step()


if args.loss == "perceptual":  # features of a classifier of our own, trained first
    features = nets.classifier(train.shape[1:], len(train_set.classes), 16).to(args.device)
    fit_classifier(features, train, train_set.labels, lr=2e-3)
    distance = reconstruction.Perceptual(features)
else:
    distance = reconstruction.LOSSES[args.loss]

# --- loop -------------------------------------------------------------------------------------
run = Run(args.out, config=config, resume=args.resume, system="autoencoder")
run.track(model=model, opt=opt, schedule=schedule, loader=loader)
for _, (x,) in zip(run.steps(steps), loader.forever()):
    terms = model.terms((x.to(args.device),), distance)
    opt.zero_grad()
    terms["loss"].backward()
    opt.step()
    schedule.step()
    run.log(**terms)
    if run.every(5 * len(loader)) or run.last:
        with tg.no_grad():
            run.log(test_loss=model.loss(test, distance, seeded(1)))
        model.measure_codes(train.to(args.device))  # where codes lie, for sample(): nothing says it

# --- what it learned --------------------------------------------------------------------------
with tg.no_grad():
    codes, pictures = model.encode(test), model(test)
squared = reconstruction.squared_error(pictures, test).mean().item()
print(f"{steps} steps in {run.seconds:.1f} s, seed {args.seed}")
print(f"{len(test)} test images: squared error {squared:.3f} a picture, "
      f"PSNR {metrics.psnr(pictures, test).mean().item():.2f} dB, "
      f"SSIM {metrics.ssim(pictures, test).mean().item():.3f}")  # fmt: skip
print(f"{(codes != 0).float().sum(1).mean().item():.1f} of {args.latent} units speak for a picture")
if args.kind == "linear":
    with tg.no_grad():
        got = model.loss(train.to(args.device)).item()
    print(f"training error {got:.4f}; PCA's is {autoencoder.pca(train).discarded(args.latent):.4f},"
          " the sum of the discarded eigenvalues")  # fmt: skip

report = Report(args.out, model)
seen, rows = test[:20], ("original", "reconstruction")
if args.kind == "denoising":
    seen, rows = model.corrupt(seen, seeded(2)), ("noisy", "cleaned")
with tg.no_grad():
    report.pairs(seen, model(seen), rows)
title = "random codes: there is no prior to draw them from"
report.grid("samples", model.sample(100, seeded(4)), title=title)
report.curves("loss", "test_loss")

# --- with few labels --------------------------------------------------------------------------
if args.labels:
    few = np.random.default_rng(args.seed).permutation(len(train))[: args.labels]
    scratch = autoencoder.build(config).to(args.device)
    for name, encoder in (("pre-trained", model.encoder), ("from scratch", scratch.encoder)):
        classifier = autoencoder.Classifier(encoder, args.latent, len(train_set.classes))
        fit_classifier(classifier.to(args.device), train[few], train_set.labels[few], lr=5e-4)
        right = classifier.accuracy(test, test_set.labels.to(args.device))
        print(f"{args.labels} labels, {name}: {100 * right:.1f} % of the test images right")
report.close()
