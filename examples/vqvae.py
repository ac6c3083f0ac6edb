"""Train a VQ-VAE: pictures as small maps of integers, and pictures from integers again.

    python examples/vqvae.py                               # emoji: 8 x 8 integers of 128 values
    python examples/vqvae.py --quantiser loss              # a codebook that learns by its loss
    python examples/vqvae.py --quantiser residual          # a second one for what is left
    python examples/vqvae.py --quantiser scales            # coarse to fine: 1 + 4 + 16 + 64
    python examples/vqvae.py --quantiser product           # one for each half of the channels
    python examples/vqvae.py --quantiser fsq --dim 3       # rounding to 5 x 5 x 5, no codebook
    python examples/vqvae.py --data fashion                # 28 x 28 (Debian: dataset-fashion-mnist)

Expect: 2 min on 2 cores; PSNR 21.2 dB on the test pictures.

Perplexity says how many of the values are used, as if all were used alike. Bits: the integers by
their frequencies at each place, and the grey values given the decoder's picture, a bound on
-log2 P(x) a number. independent.png draws each integer alone: a prior over them is still to be
learned (examples/token_prior.py).
"""

import tinygen as tg
from tinygen import data, metrics
from tinygen.models import vq
from tinygen.models.vq import vqvae
from tinygen.optim.lr_scheduler import CosineAnnealingLR
from tinygen.plot.report import Report
from tinygen.run import Run, count, non_negative, options

SETS = sorted(data.SOURCES, key=lambda name: name != "emoji")  # emoji first
parser = options(__doc__, "vqvae", data=SETS, epochs={"emoji": 40, "digits": 60, "others": 3},
                 batch=32, lr=2e-3)  # fmt: skip
parser.add_argument("--quantiser", choices=vq.QUANTISERS, default="ema", help="vectors to integers")
parser.add_argument("--size", type=count, default=128, help="vectors in a codebook (128)")
parser.add_argument("--dim", type=count, default=16, help="numbers in a vector (16)")
parser.add_argument("--width", type=count, default=32, help="features at half size (32)")
parser.add_argument("--beta", type=non_negative, default=0.25, help="weight of |z - stop(e)|^2")
args = parser.parse_args()

# --- data -----------------------------------------------------------------------------------------
tg.manual_seed(args.seed)
train_set, test_set = (
    data.load(args.data, split, root=args.root, download=args.download)
    for split in ("train", "test")
)
train, test = train_set.to_symmetric(), test_set.to_symmetric().to(args.device)
loader = data.DataLoader(data.TensorDataset(train), args.batch, shuffle=True, drop_last=True)

# --- model and optimizer --------------------------------------------------------------------------
config = vars(args) | {"shape": train.shape[1:], "levels": test_set.maximum + 1}
model = vqvae.build(config).to(args.device)  # as models.restore will
steps = args.epochs * len(loader)
opt = tg.optim.Adam(model.parameters(), lr=args.lr)
schedule = CosineAnnealingLR(opt, T_max=steps)  # lr falls to 0
seeded = lambda seed: tg.Generator(args.device).manual_seed(seed)


@tg.no_grad()
def evaluate() -> dict[str, float]:
    model.eval()
    tokens = tg.cat([model.encode(x) for x in test.split(100)])
    made = tg.cat([model.decode(part) for part in tokens.split(100)])
    used = vq.perplexity(tokens, model.quantiser.size)
    model.train()
    psnr = metrics.psnr(made, test, data_range=2.0).mean().item()
    return {"psnr": psnr, "ssim": metrics.ssim(made, test, data_range=2.0).mean().item(),
            "perplexity": used}  # fmt: skip


# --- loop -----------------------------------------------------------------------------------------
run = Run(args.out, config=config, resume=args.resume, system="vqvae")
run.track(model=model, opt=opt, schedule=schedule, loader=loader)
for _, (x,) in zip(run.steps(steps), loader.forever()):
    terms = model.terms((x.to(args.device),))
    opt.zero_grad()
    terms["loss"].backward()
    opt.step()
    schedule.step()
    run.log(**terms)
    if run.every(5 * len(loader)) or run.last:
        run.log(**{f"test_{name}": value for name, value in evaluate().items()})

# --- what it learned ------------------------------------------------------------------------------
found = evaluate()
model.eval().measure(train.to(args.device))
run.save()
size = model.quantiser.size
print(f"{steps} steps in {run.seconds:.1f} s, seed {args.seed}; {len(test)} test pictures of "
      f"{args.data}: {model.tokens} integers of {size} values each")  # fmt: skip
print(f"PSNR {found['psnr']:.2f} dB, SSIM {found['ssim']:.3f}, perplexity {found['perplexity']:.1f}"
      f" of {size}")  # fmt: skip
bound = tg.cat([model.log_prob_bound(x) for x in test.split(100)])
bits = metrics.bits_per_dim(-bound.mean().item(), test[0].numel())
print(f"at most {bits:.3f} bits a number of {model.levels} values")
report = Report(args.out, model)
with tg.no_grad():
    report.pairs(test[:20], model(test[:20])[0])
report.grid("independent", model.sample(60, seeded(4)), title="each integer drawn alone")
report.curves("error", "test_psnr")
report.close()
