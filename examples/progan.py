"""Train a GAN that grows: 4 x 4 pixels first, then 8, 16 and 32, each new block faded in.

    python examples/progan.py                            # the faces among the emoji, 32 x 32
    python examples/progan.py --grow off --steps 1400    # the same net at full size at once
    python examples/progan.py --objective wgan_gp        # the paper's
    python examples/progan.py --data fashion --gamma 0.02
    python examples/progan.py --side 64 --width 16 --most 128 --steps 6000
    python examples/progan.py --resume

Expect: 7 min on 2 cores; that is from the cost of a step, no whole run is recorded yet. A small one
(--width 8 --most 32 --steps 500 --stage-steps 100) had Frechet 24.6 after its 16 pixels, step 300.

Form comes first, where a step costs a twentieth, and detail when there is something to add it to
(Karras et al. 2018, arXiv:1710.10196; theirs: --side 1024 --latent 512 --most 512). A stage takes
--stage-steps steps, over the first half of which alpha fades its block in; the last stage has the
rest of --steps. A checkpoint holds stage and alpha; a run goes on with its own stages only.

Its claim: less time to a given Frechet distance (--target) than the same net trained at full size
from the start, which is --grow off. The distance is in features of our emoji classifier, between
samples of G's average and the training pictures with their mirror images.
"""

import json

import tinygen as tg
from tinygen import data, metrics
from tinygen.models import gan
from tinygen.models.gan import progan
from tinygen.plot.report import Report
from tinygen.run import Run, count, fraction, non_negative, options, positive

ROWS = [name for name, row in gan.OBJECTIVES.items() if row.output != "energy" and not row.clip]
BETAS = (0.0, 0.99)  # the paper's: no memory of where the other player stood

parser = options(__doc__, "progan", data=data.SQUARES, steps=2500, batch=32, lr=1e-3)
parser.add_argument("--grow", choices=["on", "off"], default="on", help="off: full size at once")
parser.add_argument("--stage-steps", type=count, default=500, help="of a stage but the last (500)")
parser.add_argument("--objective", choices=ROWS, default="non_saturating", metavar="ROW",
                    help=", ".join(ROWS))  # fmt: skip
parser.add_argument("--gamma", type=non_negative, default=0.1,
                    help="weight of R1, for objectives without a penalty (0.1)")  # fmt: skip
parser.add_argument("--side", type=count, default=32, help="pixels a side, 4 2^k (32)")
parser.add_argument("--width", type=count, default=16, help="channels at full size (16)")
parser.add_argument("--most", type=count, default=64, help="channels at most (64)")
parser.add_argument("--latent", type=count, default=64, help="dimensions of z (64)")
parser.add_argument("--target", type=positive, default=4.0, help="Frechet distance to reach (4)")
parser.add_argument("--ema", type=fraction, default=0.99, help="decay of G's average (0.99)")
args = parser.parse_args()

# --- data -------------------------------------------------------------------------------------
tg.manual_seed(args.seed)
pictures = data.squares(args.data, args.side, args.root, args.download)
train = tg.cat([pictures, pictures.flip(3)])  # and their mirror images
loader = data.DataLoader(data.TensorDataset(train), args.batch, shuffle=True, drop_last=True)
batches = loader.forever()
seeded = lambda seed: tg.Generator(args.device).manual_seed(seed)

# --- model and optimizers ---------------------------------------------------------------------
config = vars(args) | {"shape": train.shape[1:]}  # models.restore builds it from this again
growth = progan.Growth(config["shape"], args.stage_steps, args.grow == "on")
model = progan.build(config).to(args.device)
opt_g = tg.optim.Adam(model.G.parameters(), lr=args.lr, betas=BETAS)
opt_d = tg.optim.Adam(model.D.parameters(), lr=args.lr, betas=BETAS)
ema = tg.optim.EMA(model.G, args.ema)
real = metrics.emoji_features(train[:2000])


def frechet(n: int) -> float:
    """Of n samples of G as it is."""
    samples = tg.cat([model.decode(z) for z in model.draw(n, seeded(2)).split(200)])
    return metrics.frechet_distance(real, metrics.emoji_features(samples))


# --- loop -------------------------------------------------------------------------------------
run = Run(args.out, config=config, resume=args.resume, system="progan")
run.track(growth=growth, model=model, opt_g=opt_g, opt_d=opt_d, ema=ema, loader=loader)
for step in run.steps(args.steps):
    model.grow(*growth.at(step))
    (x,) = next(batches)
    terms = model.discriminator_terms((x.to(args.device),))
    opt_d.zero_grad()
    terms["loss"].backward()
    opt_d.step()
    with gan.frozen(model.D):
        loss = model.generator_terms(args.batch)["loss"]
        opt_g.zero_grad()
        loss.backward()
    opt_g.step()
    ema.update()
    run.log(loss_d=terms["loss"], loss_g=loss, d_real=terms["real"], d_fake=terms["fake"],
            stage=model.stage, alpha=model.alpha)  # fmt: skip
    if run.every(100) or run.last:
        with ema.swap():
            run.log(frechet=frechet(400))
    if run.every(500, soon=60):
        with ema.swap():
            run.picture("samples", lambda: model.sample(64, seeded(2)), value_range=(-1, 1),
                        clip=True)  # fmt: skip

# --- what it learned --------------------------------------------------------------------------
ema.copy_to()
print(f"{args.objective} on {args.data}, {growth}: {args.steps} steps in {run.seconds:.1f} s, "
      f"seed {args.seed}")  # fmt: skip
rows = [json.loads(line) for line in (run.folder / "log.jsonl").read_text().splitlines()]
reached = [row for row in rows if row.get("frechet", args.target) < args.target]
print(f"Frechet {args.target:g} " + (f"first reached after {reached[0]['seconds']:.0f} s, at step "
      f"{reached[0]['step']}" if reached else "not reached"))  # fmt: skip
halves = [metrics.emoji_features(pictures[:2000][k::2]) for k in range(2)]
print(f"Frechet distance of 2000 samples to training pictures {frechet(2000):.2f} "
      f"(between halves of them: {metrics.frechet_distance(*halves):.2f})")  # fmt: skip
report = Report(args.out, model)
codes = model.draw(100, seeded(3))
report.grid("samples", model.decode(codes))
report.walks(codes[:8], codes[8:16])
report.neighbours(model.decode(codes[:10]), train)
report.curves("frechet", "stage", "alpha")
report.close()
