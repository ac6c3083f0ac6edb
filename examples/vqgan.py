"""Train a VQ-GAN: integers for a picture, and a decoder whose pictures have to look right.

    python examples/vqgan.py                               # emoji: 8 x 8 integers of 128 values
    python examples/vqgan.py --plain                       # |x - y| alone, no judge: blurred
    python examples/vqgan.py --data fashion                # 28 x 28 (Debian: dataset-fashion-mnist)
    python examples/vqgan.py --condition lines             # and a prior that colours drawings
    python examples/vqgan.py --data scenes --beyond 64 96  # pictures larger than in training

Expect: 4 min on 2 cores; PSNR 21.0 dB, Frechet 0.22 (of examples/vqvae.py 21.2 dB, 0.33).

First --warm of the steps without the judge. Its claim: pictures that look right cost some squared
error. Hence two measures: PSNR, which --plain wins, and the Frechet distance between test pictures
and their reconstructions, in features of a classifier that no loss has seen (emoji only). With
--condition, --beyond a transformer then learns which integers follow which. Told the drawings of
test pictures, its claim is to be nearer to these than when it is told nothing, or another's. For
--beyond scenes are pieces of a plane that is tiled with them, and a window slides over the map.
"""

import tinygen as tg
from tinygen import data, metrics
from tinygen.models import vq
from tinygen.models.vq import token_prior, vqgan
from tinygen.optim.lr_scheduler import CosineAnnealingLR
from tinygen.plot.report import Report
from tinygen.run import Run, count, fraction, non_negative, options

SETS = [*sorted(data.SOURCES, key=lambda name: name != "emoji"), "scenes"]  # emoji first
parser = options(__doc__, "vqgan", data=SETS, steps=1500, batch=16, lr=1e-3)
parser.add_argument("--plain", action="store_true", help="no judge and no distance in features")
parser.add_argument("--perceptual", type=non_negative, default=0.1, help="weight of P (0.1)")
parser.add_argument("--judge", type=non_negative, default=0.1, help="share of D's gradient (0.1)")
parser.add_argument("--warm", type=fraction, default=0.3, help="of the steps without D (0.3)")
parser.add_argument("--size", type=count, default=128, help="vectors in the codebook (128)")
parser.add_argument("--dim", type=count, default=16, help="numbers in a vector (16)")
parser.add_argument("--width", type=count, default=32, help="features at half size (32)")
parser.add_argument("--d-width", type=count, default=32, help="features of D (32)")
parser.add_argument("--condition", choices=["lines"], help="colour drawings (emoji only)")
parser.add_argument("--beyond", type=count, nargs=2, metavar=("H", "W"), help="pixels to draw")
parser.add_argument("--prior-steps", type=count, default=1000, help="of the transformer (1000)")
args = parser.parse_args()
args.perceptual *= not args.plain
if args.condition and args.data != "emoji":
    parser.error(f"--condition lines: only emoji come with drawings, got --data {args.data}")

# --- data -----------------------------------------------------------------------------------------
tg.manual_seed(args.seed)
if args.data == "scenes":
    sets = data.scenes(3000), data.scenes(300, split="test")
    move = lambda x: x.roll(tg.randint(32, (2,)).tolist(), (1, 2))
    train, test = (tg.stack([move(x) for x in part.to_symmetric()]) for part in sets)
else:
    where = {"root": args.root, "download": args.download}
    sets = [data.load(args.data, split, **where) for split in ("train", "test")]
    train, test = (part.to_symmetric() for part in sets)
test = test.to(args.device)
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
if not (args.condition or args.beyond):
    raise SystemExit(report.close())

# --- a prior over the integers, of the pictures and their mirror images ---------------------------
lines = [data.to_symmetric(part.details["line"]) if args.condition else None for part in sets]
both = lambda x: tg.cat([x, x.flip(3)])
pairs = [tg.cat([model.G.encode(x.to(args.device)) for x in both(train).split(100)])]
pairs += [both(lines[0])] if args.condition else []
loader = data.DataLoader(data.TensorDataset(*pairs), args.batch, shuffle=True, drop_last=True)
config = {"codes": config, "layers": 3}
config["condition"] = lines[0].shape[1:] if args.condition else None
prior = token_prior.build(config).to(args.device)
prior.codes.load_state_dict(model.G.state_dict())
opt = tg.optim.AdamW([p for p in prior.parameters() if p.requires_grad], lr=3e-3, weight_decay=0.1)
schedule = CosineAnnealingLR(opt, T_max=args.prior_steps)
ema = tg.optim.EMA(prior, 0.99)
run = Run(f"{args.out}/prior", config=config, resume=args.resume, system="token_prior")
run.track(model=prior, opt=opt, schedule=schedule, ema=ema, loader=loader)
told = None if lines[1] is None else lines[1].to(args.device)
for _, batch in zip(run.steps(args.prior_steps), loader.forever()):
    terms = prior.terms([x.to(args.device) for x in batch])
    opt.zero_grad()
    terms["loss"].backward()
    opt.step()
    schedule.step()
    ema.update()
    run.log(**terms)
ema.copy_to()
with tg.no_grad():
    nats = -prior.eval().log_prob(tokens, told).mean().item()
alone = -model.G.log_usage(tokens).mean().item()
print(
    f"prior: {args.prior_steps} steps in {run.seconds:.1f} s; test -log P(integers"
    f"{' | lines' if args.condition else ''}) {nats:.1f} nats, each alone {alone:.1f}"
)
if args.condition:
    draw = lambda x, seed: prior.sample(len(test), seeded(seed), x).clamp(-1.0, 1.0)
    drawn = {"its lines": draw(told, 5), "another's lines": draw(told.roll(1, 0), 6),
             "nothing": draw(None, 7)}  # fmt: skip
    for name, x in ({"reconstructions": made} | drawn).items():
        away = metrics.frechet_distance(real, classifier.features(x.cpu()))
        print(f"{name if x is made else 'told ' + name}: distance P to the truth "
              f"{model.distance(x, test).mean().item():.3f}, Frechet {away:.2f}")  # fmt: skip
    rows = [told.expand(-1, 3, -1, -1), drawn["its lines"], draw(told, 8), test]
    some = [x[:: len(test) // 10][:10] for x in rows]
    report.grid("coloured", tg.cat(some), title="lines, two draws, truth")
if args.beyond:
    places = [side * part // whole for side, part, whole in
              zip(args.beyond, model.G.map, train.shape[2:])]  # fmt: skip
    report.grid("beyond", vq.slide(prior, 6, *places, seeded(9)), nrow=2)
report.close()
