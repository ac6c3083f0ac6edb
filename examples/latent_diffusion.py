"""Train an autoencoder, then a diffusion model of its latents: pictures at a fraction of the cost.

    python examples/latent_diffusion.py                             # emoji: 4 x 8 x 8 latents
    python examples/latent_diffusion.py --space pixels --steps 260  # the same U-Net, equal time
    python examples/latent_diffusion.py --space vq                  # latents of a VQ-VAE
    python examples/latent_diffusion.py --data fashion --halvings 1
    python examples/sample.py runs/latent_diffusion/last.npz --guidance 2

Expect: 9 min on 2 cores; Frechet 1.99 (test pictures 2.75, reconstructed 2.61).

The first --first of the steps train the autoencoder; then its latents are measured and scaled, and
a U-Net learns to denoise those. Its claim, which --space pixels puts to the test: in the same time
pixels get a tenth of the steps, and worse pictures. Both say the seconds of a step and of a sample,
and the Frechet distance to training pictures in features of a classifier that no loss has seen
(emoji only).
"""

import time

import tinygen as tg
from tinygen import data, metrics
from tinygen.models import vq
from tinygen.models.vq import latent_diffusion
from tinygen.optim.lr_scheduler import CosineAnnealingLR
from tinygen.plot.report import Report
from tinygen.run import Run, count, fraction, non_negative, options

SETS = sorted(data.SOURCES, key=lambda name: name != "emoji")  # emoji first
parser = options(__doc__, "latent_diffusion", data=SETS, steps=2500, batch=32, lr=2e-3)
parser.add_argument("--space", choices=vq.SPACES, default="kl", help="what is diffused (kl)")
parser.add_argument("--first", type=fraction, default=0.4, help="of the steps: autoencoder (0.4)")
parser.add_argument("--dim", type=count, default=4, help="channels of the latents (4)")
parser.add_argument("--halvings", type=count, default=2, help="latents are 2^k times smaller (2)")
parser.add_argument("--kl", type=non_negative, default=1e-3, help="weight of the KL (1e-3)")
parser.add_argument("--size", type=count, default=128, help="vectors of --space vq (128)")
parser.add_argument("--ae-width", type=count, default=32, help="features of the autoencoder (32)")
parser.add_argument("--width", type=count, default=32, help="features of the U-Net (32)")
parser.add_argument("--T", type=count, default=200, help="steps of the chain (200)")
parser.add_argument("--ema", type=fraction, default=0.995, help="decay of the averaged weights")
parser.add_argument("--guidance", type=non_negative, default=1.5, help="of the samples (1.5)")
parser.add_argument("--n", type=count, default=500, help="samples that are judged (500)")
args = parser.parse_args()

# --- data -----------------------------------------------------------------------------------------
tg.manual_seed(args.seed)
train_set, test_set = (
    data.load(args.data, split, root=args.root, download=args.download)
    for split in ("train", "test")
)
train, test = train_set.to_symmetric(), test_set.to_symmetric()[:1000].to(args.device)
pairs = data.TensorDataset(train, train_set.labels)
loader = data.DataLoader(pairs, args.batch, shuffle=True, drop_last=True)
classes = len(train_set.classes)

# --- model and optimizers -------------------------------------------------------------------------
config = vars(args) | {"shape": train.shape[1:], "classes": classes}
model = latent_diffusion.build(config).to(args.device)  # models.restore builds it from the config
first = 0 if args.space == "pixels" else max(1, round(args.first * args.steps))
parts = (model.diffusion,) if first == 0 else (model.diffusion, model.autoencoder)
opts = [tg.optim.Adam(part.parameters(), lr=args.lr) for part in parts]
lengths = (max(1, args.steps - first), first)
schedules = [CosineAnnealingLR(opt, T_max=n) for opt, n in zip(opts, lengths)]
ema = tg.optim.EMA(model, args.ema)  # warms up: it soon forgets what it was before the diffusion
seeded = lambda seed: tg.Generator(args.device).manual_seed(seed)

# --- loop -----------------------------------------------------------------------------------------
run = Run(args.out, config=config, resume=args.resume, system="latent_diffusion")
run.track(model=model, ema=ema, loader=loader)
run.track(**{f"opt{i}": opt for i, opt in enumerate(opts)})
run.track(**{f"schedule{i}": schedule for i, schedule in enumerate(schedules)})
for step, batch in zip(run.steps(args.steps), loader.forever()):
    stage = int(step <= first)  # 1: the autoencoder
    batch = [part.to(args.device) for part in batch]
    terms = model.autoencoder_terms(batch) if stage else model.terms(batch)
    opts[stage].zero_grad()
    terms["loss"].backward()
    tg.nn.utils.clip_grad_norm_(parts[stage].parameters(), 1.0)
    opts[stage].step()
    schedules[stage].step()
    if stage:
        run.log(**{f"ae_{name}": value for name, value in terms.items()})
    else:
        ema.update()
        run.log(**terms)
    if step == first:
        model.measure(train[:10_000].to(args.device))
    if step > first and run.every(500, soon=60):
        with ema.swap():
            run.picture("samples", lambda: model.sample(40, sampler="ddim", steps=min(25, args.T),
                        labels=tg.arange(40) % classes), value_range=(-1, 1))  # fmt: skip

# --- what it learned ------------------------------------------------------------------------------
print(f"{args.steps} steps, {first} of them the autoencoder's, in {run.seconds:.1f} s, seed "
      f"{args.seed}; {args.data}, the diffusion is of {' x '.join(map(str, model.diffusion.shape))}"
      " numbers")  # fmt: skip
began = time.perf_counter()
for _ in range(3):
    model.terms(batch)["loss"].backward()
print(f"{(time.perf_counter() - began) / 3:.3f} s a step of diffusion, {args.batch} pictures each")
model.eval()
report, labels = Report(args.out, model), tg.arange(args.n) % classes
began = time.perf_counter()
with ema.swap():
    samples = tg.cat([
        model.sample(len(part), seeded(i), part, sampler="ddim", steps=min(25, args.T),
                     guidance=args.guidance)
        for i, part in enumerate(labels.split(100))
    ])  # fmt: skip
print(f"{(time.perf_counter() - began) / args.n:.3f} s a sample, 25 steps of DDIM")
with tg.no_grad():
    made = tg.cat([model.decode(model.encode(x)) for x in test.split(100)]).clamp(-1.0, 1.0)
if first:
    print(f"PSNR of reconstructed test pictures "
          f"{metrics.psnr(made, test, data_range=2.0).mean().item():.2f} dB; scale of the latents "
          f"{', '.join(f'{s:.2f}' for s in model.scale.flatten().tolist())}")  # fmt: skip
    report.pairs(test[:20], made[:20])
if args.data == "emoji":
    classifier = metrics.emoji_classifier()
    real = classifier.features(train)
    found = {
        name: classifier.features(x.cpu())
        for name, x in {"samples": samples, "test": test, "reconstructed": made}.items()
    }
    distance = {name: metrics.frechet_distance(real, x) for name, x in found.items()}
    near = metrics.precision_recall(real, found["samples"])
    print(f"Frechet distance of {args.n} samples to training pictures {distance['samples']:.2f} "
          f"(test pictures {distance['test']:.2f}, reconstructed {distance['reconstructed']:.2f}), "
          f"precision {near.precision:.2f}, recall {near.recall:.2f}")  # fmt: skip
report.grid("samples", samples[: 8 * classes], classes, title=f"guidance {args.guidance:g}")
report.neighbours(samples[:10], train)
report.curves("loss", *(["ae_error"] if first else []))
report.close()
