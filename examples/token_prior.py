"""Train a prior over the integers of a VQ-VAE, which is trained first.

    python examples/token_prior.py                           # a transformer, integer by integer
    python examples/token_prior.py --conditional             # told the digit: a class a row
    python examples/token_prior.py --quantiser scales        # 1 + 4 + 16 integers, coarse to fine
    python examples/token_prior.py --prior var               # ... and a whole scale in a pass
    python examples/token_prior.py --prior pixelcnn          # convolutions over the map
    python examples/token_prior.py --prior maskgit --epochs 100      # hide and guess, 8 passes
    python examples/token_prior.py --data emoji              # 8 x 8 integers of 128 values
    python examples/token_prior.py --codes runs/vqvae/last.npz --data emoji

Expect: 30 s on 2 cores; test log P(tokens) -40.9 nats (each integer alone -47.0).

log P is of the test pictures' integers. Baseline: VQVAE.sample, which draws each integer alone, as
often as it occurs at its place. Frechet: of 1000 samples and half of the training pictures, in the
features of our classifier of the data; the VQ-VAE's reconstructions of the other half are as near
as a prior can be asked to come. Nats of two kinds of integers (--quantiser) are not to be compared;
with the decoder's they are: bits a number bound -log2 P(x) of the grey values. A VQ-GAN has none,
whose decoder is no density, nor maskgit, which is slow: Frechet 2.7 after 30 epochs, 0.8 after 100.
"""

import time

import tinygen as tg
from tinygen import data, metrics, models
from tinygen.models import vq
from tinygen.models.vq import token_prior, vqvae
from tinygen.optim.lr_scheduler import CosineAnnealingLR
from tinygen.plot.report import Report
from tinygen.run import Run, count, fraction, options, positive

SETS = sorted(data.SOURCES, key=lambda name: name != "digits")  # digits first
parser = options(__doc__, "token_prior", data=SETS, lr=3e-3, batch=64,
                 epochs={"digits": 30, "emoji": 40, "others": 20})  # fmt: skip
parser.add_argument("--prior", choices=vq.PRIORS, default="gpt", help="what draws the integers")
parser.add_argument("--conditional", action="store_true", help="tell it the labels")
parser.add_argument("--width", type=count, default=32, help="numbers of a token (32)")
parser.add_argument("--layers", type=count, default=2, help="blocks (2)")
parser.add_argument("--heads", type=count, default=4, help="heads of attention (4)")
parser.add_argument("--temperature", type=positive, default=1.0, help="of the draws (1)")
parser.add_argument("--top-k", type=count, help="draw from the k likeliest values only")
parser.add_argument("--top-p", type=fraction, help="draw from the likeliest that have together p")
parser.add_argument("--passes", type=count, default=8, help="of a sample of maskgit (8)")
parser.add_argument("--codes", help="a checkpoint of examples/vqvae.py instead of a new VQ-VAE")
parser.add_argument("--codes-epochs", type=count, default={"digits": 30, "emoji": 40, "others": 20},
                    help="of the VQ-VAE (digits 30, emoji 40, others 20)")  # fmt: skip
parser.add_argument("--codes-width", type=count, default=32, help="its features (32)")
parser.add_argument("--quantiser", choices=vq.QUANTISERS, help="its integers (ema; var: scales)")
parser.add_argument("--size", type=count, default={"digits": 32, "others": 128},
                    help="vectors in its codebook (digits 32, others 128)")  # fmt: skip
parser.add_argument("--dim", type=count, default=8, help="numbers in a vector (8)")
args = parser.parse_args()

# --- data -----------------------------------------------------------------------------------------
tg.manual_seed(args.seed)
where = {"root": args.root, "download": args.download}
train_set, test_set = (data.load(args.data, split, **where) for split in ("train", "test"))
train, test = (part.to_symmetric().to(args.device) for part in (train_set, test_set))
classes = len(train_set.classes) if args.conditional else 0
given = lambda labels: labels.to(args.device) if classes else None

# --- the VQ-VAE: given, or trained in a run of its own --------------------------------------------
if args.codes:
    slug, codes_config, codes = models.restore(args.codes)
    if slug != "vqvae" or codes.shape != train.shape[1:]:
        parser.error(f"--codes {args.codes}: expected a vqvae of pictures {train.shape[1:]}, got "
                     f"{slug} of {getattr(codes, 'shape', None)}")  # fmt: skip
    codes = codes.to(args.device)
else:
    kind = args.quantiser or ("scales" if args.prior == "var" else "ema")
    codes_config = {"shape": train.shape[1:], "width": args.codes_width, "size": args.size,
                    "dim": args.dim, "halvings": 1 if train.shape[-1] < 16 else 2,
                    "quantiser": kind, "levels": train_set.maximum + 1}  # fmt: skip
    codes = vqvae.build(codes_config).to(args.device)
    loader = data.DataLoader(data.TensorDataset(train), args.batch, shuffle=True, drop_last=True)
    steps = args.codes_epochs * len(loader)
    opt = tg.optim.Adam(codes.parameters(), lr=3e-3)
    schedule = CosineAnnealingLR(opt, T_max=steps)
    run = Run(f"{args.out}/codes", config=codes_config, resume=args.resume, system="vqvae")
    run.track(model=codes, opt=opt, schedule=schedule, loader=loader)
    for _, (x,) in zip(run.steps(steps), loader.forever()):
        terms = codes.terms((x,))
        opt.zero_grad()
        terms["loss"].backward()
        opt.step()
        schedule.step()
        run.log(**terms)
    codes.eval().measure(train)
    run.save()

# --- model and optimizer --------------------------------------------------------------------------
config = vars(args) | {"codes": codes_config, "classes": classes}  # models.restore builds it again
model = token_prior.build(config).to(args.device)
model.codes.load_state_dict(codes.state_dict())
once = lambda pictures: tg.cat([model.tokens(x) for x in pictures.split(200)])
tokens, test_tokens = once(train), once(test)
pairs = data.TensorDataset(tokens, train_set.labels)
loader = data.DataLoader(pairs, args.batch, shuffle=True, drop_last=True)
steps = args.epochs * len(loader)
opt = tg.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=args.lr,
                     weight_decay=0.1)  # fmt: skip
schedule = CosineAnnealingLR(opt, T_max=steps)  # lr falls to 0
ema = tg.optim.EMA(model, 0.99)
seeded = lambda seed: tg.Generator(args.device).manual_seed(seed)
how = {"temperature": args.temperature, "top_k": args.top_k, "top_p": args.top_p}
rows = lambda n: given(tg.arange(n) // 10 % max(1, classes))


@tg.no_grad()
def evaluate() -> float:
    labels = given(test_set.labels)
    return model.terms((test_tokens, labels) if classes else (test_tokens,))["loss"].item()


# --- loop -----------------------------------------------------------------------------------------
run = Run(args.out, config=config, resume=args.resume, system="token_prior")
run.track(model=model, opt=opt, schedule=schedule, ema=ema, loader=loader)
for _, (x, labels) in zip(run.steps(steps), loader.forever()):
    terms = model.terms((x, given(labels)) if classes else (x,))
    opt.zero_grad()
    terms["loss"].backward()
    opt.step()
    schedule.step()
    ema.update()
    run.log(**terms)
    if run.every(5 * len(loader)) or run.last:
        run.log(test_loss=evaluate())

# --- what it learned ------------------------------------------------------------------------------
ema.copy_to()
print(f"{steps} steps in {run.seconds:.1f} s, seed {args.seed}; {len(test)} test pictures of "
      f"{args.data}: {model.length} integers of {model.size} values each")  # fmt: skip
alone = model.codes.log_usage(test_tokens).mean().item()
if args.prior == "maskgit":
    print(f"test log P(integer | those that are not hidden) {-evaluate():.2f} nats; no bits")
else:
    none = tg.zeros(len(test), device=args.device)  # nats of the integers: these are added below
    rest = tg.cat([*map(codes.log_prob_bound, test.split(200), none.split(200))]).mean().item()
    bits = [metrics.bits_per_dim(nats, test[0].numel()) for nats in (evaluate(), -rest)]
    print(f"test log P(tokens) {-evaluate():.2f} nats, each integer alone {alone:.2f}")
    print(f"at most {sum(bits):.3f} bits a number of {codes.levels} values: {bits[0]:.3f} for the "
          f"integers, {bits[1]:.3f} for the grey values given them")  # fmt: skip
start = time.perf_counter()
samples = model.sample(1000, seeded(4), rows(1000), **how)
spent = time.perf_counter() - start
print(f"{model.passes} passes of the transformer a sample, {spent:.2f} ms (1000 at once)")
by_itself = model.codes.sample(1000, seeded(5))
if args.data in ("digits", "emoji"):
    judge = metrics.digits_classifier() if args.data == "digits" else metrics.emoji_classifier()
    half = len(train) // 2  # every other picture: they may stand in order
    real, made = judge.features(train[: 2 * half : 2].cpu()), model.codes.decode(tokens[1::2])
    for name, x in (("samples", samples), ("each integer alone", by_itself),
                    ("reconstructions of others", made)):  # fmt: skip
        distance = metrics.frechet_distance(real, judge.features(x.cpu()))
        print(f"Frechet of {len(x)} and {half} training pictures, {name}: {distance:.2f}")
report = Report(args.out, model)
report.grid("samples", samples[:100])
report.grid("alone", by_itself[:100], title="each integer drawn alone")
report.curves("loss", "test_loss", units="nats")
report.close()
