"""Train a VQ-GAN: integers for a picture, and a decoder whose pictures have to look right.

    python examples/vqgan.py                               # emoji: 8 x 8 integers of 128 values
    python examples/vqgan.py --perceptual 0                # a judge of patches alone
    python examples/vqgan.py --plain                       # |x - y| alone, no judge: blurred
    python examples/vqgan.py --data fashion                # 28 x 28 (Debian: dataset-fashion-mnist)

Expect: 4 min on 2 cores; PSNR 21.0 dB, Frechet 0.22 (of examples/vqvae.py 21.2 dB, 0.33).

First --warm of the steps without the judge. Its claim: pictures that look right cost some squared
error. Hence two measures: PSNR, which --plain wins, and the Frechet distance between test pictures
and their reconstructions, in features of a classifier that no loss has seen (emoji only).
"""

import tinygen as tg
from tinygen import data, metrics
from tinygen.models import vq
from tinygen.models.vq import vqgan
from tinygen.optim.lr_scheduler import CosineAnnealingLR
from tinygen.plot.report import Report
from tinygen.run import Run, count, fraction, non_negative, options

SETS = sorted(data.SOURCES, key=lambda name: name != "emoji")  # emoji first
parser = options(__doc__, "vqgan", data=SETS, steps=1500, batch=16, lr=1e-3)
parser.add_argument("--plain", action="store_true", help="no judge and no distance in features")
parser.add_argument("--perceptual", type=non_negative, default=0.1, help="weight of P (0.1)")
parser.add_argument("--judge", type=non_negative, default=0.1, help="share of D's gradient (0.1)")
parser.add_argument("--warm", type=fraction, default=0.3, help="of the steps without D (0.3)")
parser.add_argument("--size", type=count, default=128, help="vectors in the codebook (128)")
parser.add_argument("--dim", type=count, default=16, help="numbers in a vector (16)")
parser.add_argument("--width", type=count, default=32, help="features at half size (32)")
parser.add_argument("--d-width", type=count, default=32, help="features of D (32)")
args = parser.parse_args()
if args.plain:
    args.perceptual = 0.0

# --- data -----------------------------------------------------------------------------------------
tg.manual_seed(args.seed)
train_set, test_set = (
    data.load(args.data, split, root=args.root, download=args.download)
    for split in ("train", "test")
)
train, test = train_set.to_symmetric(), test_set.to_symmetric().to(args.device)
loader = data.DataLoader(data.TensorDataset(train), args.batch, shuffle=True, drop_last=True)

# --- model and optimizers -------------------------------------------------------------------------
config = vars(args) | {"shape": train.shape[1:]}  # models.restore builds it from this again
model = vqgan.build(config).to(args.device)
opt_g = tg.optim.Adam(model.G.parameters(), lr=args.lr, betas=(0.5, 0.9))
opt_d = tg.optim.Adam(model.D.parameters(), lr=args.lr, betas=(0.5, 0.9))
schedules = [CosineAnnealingLR(opt, T_max=args.steps) for opt in (opt_g, opt_d)]
warm = args.steps if args.plain else int(args.warm * args.steps)
seeded = lambda seed: tg.Generator(args.device).manual_seed(seed)

# --- loop -----------------------------------------------------------------------------------------
run = Run(args.out, config=config, resume=args.resume, system="vqgan")
run.track(model=model, opt_g=opt_g, opt_d=opt_d, loader=loader,
          schedule_g=schedules[0], schedule_d=schedules[1])  # fmt: skip
for step, (x,) in zip(run.steps(args.steps), loader.forever()):
    x = x.to(args.device)
    terms = model.terms((x,), adversarial=step > warm)
    opt_g.zero_grad()
    terms["loss"].backward()
    opt_g.step()
    if step > warm:
        judged = model.discriminator_terms((x,))
        opt_d.zero_grad()
        judged["loss"].backward()
        opt_d.step()
        terms |= {f"d_{name}": value for name, value in judged.items()}
    for schedule in schedules:
        schedule.step()
    run.log(**terms)

# --- what it learned ------------------------------------------------------------------------------
model.eval()
model.G.measure(train.to(args.device))
run.save()
with tg.no_grad():
    tokens = tg.cat([model.G.encode(x) for x in test.split(100)])
    made = tg.cat([model.G.decode(part) for part in tokens.split(100)]).clamp(-1.0, 1.0)
print(f"{args.steps} steps in {run.seconds:.1f} s, seed {args.seed}; {len(test)} test pictures of "
      f"{args.data}: {model.G.tokens} integers of {args.size} values each, perplexity "
      f"{vq.perplexity(tokens, args.size):.1f}")  # fmt: skip
print(f"PSNR {metrics.psnr(made, test, data_range=2.0).mean().item():.2f} dB, "
      f"SSIM {metrics.ssim(made, test, data_range=2.0).mean().item():.3f}, distance P "
      f"{model.distance(made, test).mean().item():.3f}")  # fmt: skip
if args.data == "emoji":
    classifier = metrics.emoji_classifier()
    real, fake = (classifier.features(x.cpu()) for x in (test, made))
    print(f"Frechet of test pictures and reconstructions {metrics.frechet_distance(real, fake):.2f}"
          f", of test and training pictures "
          f"{metrics.frechet_distance(real, classifier.features(train)):.2f}")  # fmt: skip
report = Report(args.out, model)
report.pairs(test[:20], made[:20])
report.grid("independent", model.sample(60, seeded(4)), title="each integer drawn alone")
report.curves("error", *([] if args.plain else ["adversarial"]))
report.close()
