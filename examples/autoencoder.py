"""Train an autoencoder on small images: plain, linear, denoising or sparse.

    python examples/autoencoder.py                              # a code of 16 numbers, digits
    python examples/autoencoder.py --kind linear --lr 0.02 --epochs 300   # = PCA: its eigenvalues
    python examples/autoencoder.py --kind denoising --sigma 0.5
    python examples/autoencoder.py --kind ksparse --latent 64 --k 8
    python examples/autoencoder.py --kind sparse --latent 64 --weight 0.05
    python examples/autoencoder.py --loss ssim                  # or l1, perceptual
    python examples/autoencoder.py --kind denoising --labels 50 # then a classifier with 50 labels
    python examples/autoencoder.py --data fashion --net notes --latent 30      # 784-500-300-30

Its objective is the reconstruction alone, min E distance(d(e(x)), x): no prior, so nothing says
where codes lie and a random one decodes to nothing in particular (compare samples.png with that of
examples/vae.py). With --labels n the encoder is fine-tuned as a classifier on n labelled images,
and once more from scratch.
"""

from pathlib import Path

import numpy as np

import tinygen as tg
from tinygen import data, metrics, nn, plot
from tinygen.models import autoencoder as ae
from tinygen.models import networks, reconstruction
from tinygen.run import Run, count, device, non_negative, options, positive, whole

parser = options(__doc__)
parser.add_argument("--kind", default="plain",
                    choices=["plain", "linear", "denoising", "ksparse", "sparse"])  # fmt: skip
parser.add_argument("--loss", default="mse", choices=["mse", "l1", "ssim", "perceptual"])
parser.add_argument("--data", default="digits", help="digits (bundled), fashion, mnist or kmnist")
parser.add_argument("--root", help="the folder that holds the files of --data")
parser.add_argument("--net", default="mlp", choices=["mlp", "conv", "notes"],
                    help="two layers of 256; convolutions; or 500-300 as in the notes")  # fmt: skip
parser.add_argument("--device", type=device, default="cpu", help="cpu or cuda")
parser.add_argument("--latent", type=count, default=16, help="numbers in a code")
parser.add_argument("--sigma", type=non_negative, default=0.3,
                    help="noise on the input (denoising)")  # fmt: skip
parser.add_argument("--k", type=count, default=8, help="units that may speak (ksparse)")
parser.add_argument("--weight", type=non_negative, default=0.05, help="price of a unit (sparse)")
parser.add_argument("--labels", type=whole, default=0, help="then train a classifier on so many")
parser.add_argument("--epochs", type=count, default=100)
parser.add_argument("--batch", type=count, default=128)
parser.add_argument("--lr", type=positive, default=2e-3)
parser.add_argument("--seed", type=whole, default=0)
parser.add_argument("--out", default="runs/autoencoder", help="folder of this run")
parser.add_argument("--resume", action="store_true", help="go on with the run in --out")
args = parser.parse_args()
if args.kind == "ksparse" and args.k > args.latent:
    parser.error(f"--k {args.k} is more than the code has, --latent {args.latent}")
if args.kind == "linear" and args.loss != "mse":
    parser.error(f"--kind linear is PCA with --loss mse alone, not {args.loss}")

# --- data -------------------------------------------------------------------------------------
tg.manual_seed(args.seed)
train_set, test_set = (data.load(args.data, split, root=args.root) for split in ("train", "test"))
train, test = train_set.to_unit(), test_set.to_unit().to(args.device)
shape, classes = train.shape[1:], len(train_set.classes)
if not 0 <= args.labels <= len(train):
    parser.error(f"--labels {args.labels}: there are {len(train)} training images")
loader = data.DataLoader(data.TensorDataset(train), args.batch, shuffle=True, drop_last=True)


# --- model ------------------------------------------------------------------------------------
def nets():
    if args.net == "conv":
        encoder, decoder = networks.conv(shape, args.latent, moments=1)
    else:
        hidden = [500, 300] if args.net == "notes" else 256
        encoder, decoder = networks.mlp(shape, args.latent, hidden, moments=1)
    if args.loss == "ssim":
        decoder.append(nn.Sigmoid())  # SSIM takes -x for x: pictures must not go below 0
    return encoder, decoder


def fresh():
    """A model of the kind that was asked for."""
    if args.kind == "linear":
        return ae.linear(shape, args.latent)
    if args.kind == "denoising":
        return ae.DenoisingAutoencoder(*nets(), ae.GaussianNoise(args.sigma))
    if args.kind == "ksparse":
        return ae.KSparseAutoencoder(*nets(), args.k)
    if args.kind == "sparse":
        return ae.SparseAutoencoder(*nets(), args.weight)
    return ae.Autoencoder(*nets())


model = fresh().to(args.device)


def fit_classifier(classifier, images, labels, steps, lr):
    """Cross-entropy on all the images given, batches of 128 at most."""
    rng, cross_entropy = np.random.default_rng(args.seed), nn.CrossEntropyLoss()
    opt = tg.optim.Adam(classifier.parameters(), lr=lr)
    for _ in range(steps):
        i = rng.permutation(len(images))[:128]
        opt.zero_grad()
        cross_entropy(classifier(images[i].to(args.device)), labels[i].to(args.device)).backward()
        opt.step()


if args.loss == "perceptual":  # features of a classifier of our own, trained first
    features = networks.classifier(shape, classes, 16).to(args.device)
    fit_classifier(features, train, train_set.labels, 300, 2e-3)
    distance = reconstruction.Perceptual(features)
else:
    distance = reconstruction.LOSSES[args.loss]

# --- loop -------------------------------------------------------------------------------------
opt = tg.optim.Adam(model.parameters(), lr=args.lr)
steps = args.epochs * len(loader)
schedule = tg.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=steps)
run = Run(args.out, config=args, resume=args.resume)
run.track(model=model, opt=opt, schedule=schedule, loader=loader)
for _, (x,) in zip(run.steps(steps), loader.forever()):
    loss = model.loss(x.to(args.device), distance)
    opt.zero_grad()
    loss.backward()
    opt.step()
    schedule.step()
    run.log(loss=loss)
    if run.every(5 * len(loader)) or run.last:
        with tg.no_grad():
            run.log(test_loss=model.loss(test, distance, tg.Generator(args.device).manual_seed(1)))

# --- what it learned ----------------------------------------------------------------------------
with tg.no_grad():
    codes, pictures = model.encode(test), model(test)
squared = reconstruction.squared_error(pictures, test).mean().item()
print(f"{len(test)} test images: squared error {squared:.3f} a picture, "
      f"PSNR {metrics.psnr(pictures, test).mean().item():.2f} dB, "
      f"SSIM {metrics.ssim(pictures, test).mean().item():.3f}")  # fmt: skip
print(f"{(codes != 0).float().sum(1).mean().item():.1f} of {args.latent} units speak for a picture")
if args.kind == "linear":
    with tg.no_grad():
        got = model.loss(train.to(args.device)).item()
    print(f"training error {got:.4f}; PCA's is {ae.pca(train).discarded(args.latent):.4f}, "
          "the sum of the discarded eigenvalues")  # fmt: skip

out, seen, rows = Path(args.out), test[:20], ("original", "reconstruction")
if args.kind == "denoising":
    seen, rows = model.corrupt(seen, tg.Generator(args.device).manual_seed(2)), ("noisy", "cleaned")
with tg.no_grad():
    plot.reconstruction_pairs(
        seen, model(seen), labels=rows, clip=True, path=out / "reconstructions.png"
    )
    spread = codes.std(0) * tg.randn(100, args.latent, device=args.device) + codes.mean(0)
    plot.image_grid(model.decode(spread), nrow=10, clip=True, path=out / "samples.png",
                    title="random codes: there is no prior to draw them from")  # fmt: skip
plot.curves(out / "log.jsonl", keys=["loss", "test_loss"], path=out / "curves.png")

# --- with few labels ------------------------------------------------------------------------------
if args.labels:
    few = np.random.default_rng(args.seed).permutation(len(train))[: args.labels]
    for name, encoder in (("pre-trained", model.encoder), ("from scratch", fresh().encoder)):
        classifier = ae.Classifier(encoder, args.latent, classes).to(args.device)
        fit_classifier(classifier, train[few], train_set.labels[few], 300, 5e-4)
        right = classifier.accuracy(test, test_set.labels.to(args.device))
        print(f"{args.labels} labels, {name}: {100 * right:.1f} % of the test images right")
