"""Train an SD-GAN: one code says which font, another which letter, and nobody named either.

    python examples/sdgan.py                     # A to Z of 55 fonts
    python examples/sdgan.py --mismatched        # real pairs of any two fonts: what it is beside
    python examples/sdgan.py --size 32 --characters 62     # larger, and a-z, 0-9
    python examples/sdgan.py --data people --size 32 --width 16    # in six skin tones; drawn
    python examples/sdgan.py --resume

Expect: 3 min on 2 cores; AUC 0.86, --mismatched 0.51 (the data's pairs 0.96, of new fonts 0.93).

D is shown pairs: two letters of one font, or two pictures that G made of one identity code and two
observation codes (Donahue et al. 2018, arXiv:1705.07904; their sizes: --identity 50 --observation
50 --width 64). To pass, a pair of G's must be of one font, whatever that means.

Its claim: samples that share the identity code are of one identity. The measure: a verifier, which
is trained on real pairs and knows nothing of G, scores pairs; the AUC says how often a pair of one
identity scores above a pair of two (0.5: chance). Beside it the data's own pairs, of fonts that the
verifier was trained on and of 8 new ones, and pairs that share the observation instead.
"""

import tinygen as tg
from tinygen import data, metrics
from tinygen.models import gan, latent
from tinygen.models.gan import sdgan
from tinygen.plot.report import Report
from tinygen.run import Run, count, fraction, options

ROWS = [name for name, row in gan.OBJECTIVES.items() if row.output != "energy"]
BETAS = (0.5, 0.999)  # Adam's; with the usual 0.9 of the first the two players swing

parser = options(__doc__, "sdgan", data=("letters", "people"), steps=4000, batch=64, lr=5e-4)
parser.add_argument("--objective", choices=ROWS, default="non_saturating", metavar="ROW",
                    help=", ".join(ROWS))  # fmt: skip
parser.add_argument("--norm", choices=["batch", "layer", "spectral", "none"],
                    help="D's norm: batch, but layer with a gradient penalty")  # fmt: skip
parser.add_argument("--characters", type=count, default=26, metavar="N",
                    help="letters: the first N of A-Z a-z 0-9 (26)")  # fmt: skip
parser.add_argument("--size", type=count, choices=[16, 32], default=16, help="pixels a side (16)")
parser.add_argument("--mismatched", action="store_true", help="real pairs of any two identities")
parser.add_argument("--width", type=count, default=32, help="channels at full size (32)")
parser.add_argument("--identity", type=count, default=16, help="numbers in the identity code (16)")
parser.add_argument("--observation", type=count, default=32, help="in the other code (32)")
parser.add_argument("--judge-steps", type=count, default=400, help="of the verifier (400)")
parser.add_argument("--ema", type=fraction, default=0.99, help="decay of G's average (0.99)")
args = parser.parse_args()

# --- data: pictures, and who each is of ---------------------------------------------------------
tg.manual_seed(args.seed)
shrink = lambda x: tg.nn.functional.avg_pool2d(x, 32 // args.size)
if args.data == "letters":
    sets = [data.load("letters", split, args.root, args.download) for split in ("train", "test")]
    kept = [s.labels < args.characters for s in sets]
    train, test = (shrink(s.to_symmetric()[k]) for s, k in zip(sets, kept))
    train_who, test_who = (s.details["font"][k] for s, k in zip(sets, kept))
else:
    people = data.fonts.emoji(args.size, variants=True)
    new = people.labels % 8 == 0  # every eighth person is kept for the verifier's test
    train, test = people.to_symmetric()[~new], people.to_symmetric()[new]
    train_who, test_who = people.labels[~new], people.labels[new]
order = data.RandomSampler(train) if args.mismatched else data.PairSampler(train_who)
loader = data.DataLoader(data.TensorDataset(train), args.batch, sampler=order, drop_last=True)
batches = loader.forever()
seeded = lambda seed: tg.Generator(args.device).manual_seed(seed)

# --- model, optimizers, and the verifier that will judge ------------------------------------------
config = vars(args) | {"shape": train.shape[1:]}  # models.restore builds it from this again
model = sdgan.build(config).to(args.device)
opt_g = tg.optim.Adam(model.G.parameters(), lr=args.lr, betas=BETAS)
opt_d = tg.optim.Adam(model.D.parameters(), lr=args.lr, betas=BETAS)
ema = tg.optim.EMA(model.G, args.ema)
verifier = metrics.Verifier(train.shape[1], train.shape[2])
metrics.fit_verifier(verifier, train, train_who, args.judge_steps)


def data_auc(x: tg.Tensor, who: tg.Tensor, n: int = 2000) -> float:
    """How well the verifier tells the data's pairs of one identity from those of two."""
    pairs = list(data.PairSampler(who, n, tg.Generator().manual_seed(1)))
    return verifier.auc(x[pairs], who[pairs])


def made(codes: tg.Tensor) -> tg.Tensor:
    """What G makes of codes (n, latent), some at a time."""
    return tg.cat([model.decode(part) for part in codes.split(500)]).cpu()


run = Run(args.out, config=config, resume=args.resume, system="sdgan")
run.track(model=model, opt_g=opt_g, opt_d=opt_d, ema=ema, loader=loader)
who, how = model.draw(20, seeded(3), 1).split([args.identity, args.observation], 1)

# --- loop -------------------------------------------------------------------------------------
for step in run.steps(args.steps):
    (x,) = next(batches)
    terms = model.discriminator_terms((x.to(args.device),))
    opt_d.zero_grad()
    terms["loss"].backward()
    opt_d.step()
    if model.objective.clip:  # wgan's critic: without a bound its gap is no distance
        tg.optim.clip_weights_(model.D.parameters(), model.objective.clip)
    with gan.frozen(model.D):
        loss = model.generator_terms(args.batch)["loss"]
        opt_g.zero_grad()
        loss.backward()
    opt_g.step()
    ema.update()
    run.log(loss_d=terms["loss"], loss_g=loss, d_real=terms["real"], d_fake=terms["fake"])
    if run.every(500) or run.last:
        samples = made(model.draw(400, seeded(2)))
        run.log(auc=verifier.auc(samples))
        if warning := gan.collapse(samples[::2], train[:200]):
            run.say(f"step {step}: {warning}")
    if run.every(1000, soon=30):
        run.picture("samples", lambda: model.grid(who[:10], how[:10]), nrow=10,
                    value_range=(-1, 1))  # fmt: skip

# --- what it learned --------------------------------------------------------------------------
ema.copy_to()
print(f"{args.objective} on {args.data}: {args.steps} steps in {run.seconds:.1f} s, "
      f"seed {args.seed}")  # fmt: skip
samples = made(model.draw(2000, seeded(2)))  # 2 i and 2 i + 1 share the identity
z = model.draw(2000, seeded(4), 1)
z[:, args.identity :] = z[::2, args.identity :].repeat_interleave(2, 0)
shared = made(z)  # 2 i and 2 i + 1 share the observation instead
known, unknown = data_auc(train, train_who), data_auc(test, test_who)
print(f"AUC of samples that share the identity: {verifier.auc(samples):.3f}, the observation "
      f"instead: {verifier.auc(shared):.3f}; of the data's pairs: {known:.3f}, of new identities: "
      f"{unknown:.3f} (chance: 0.5; the verifier's, 1000 pairs each)")  # fmt: skip
apart = lambda x: (x[::2] - x[1::2]).flatten(1).norm(dim=1).mean().item()
pairs = list(data.PairSampler(train_who, 2000, tg.Generator().manual_seed(5)))
print(f"the two of a pair lie {apart(samples):.1f} apart, the data's {apart(train[pairs]):.1f} "
      "(0: copies)")  # fmt: skip
report = Report(args.out, model)
report.grid("samples", model.grid(who[:10], how[:10]))  # a row: identity, a column: observation
between = latent.interpolate(who[:8], who[8:16], 10).transpose(0, 1).flatten(0, 1)
codes = tg.cat([between, how[:8].repeat_interleave(10, 0)], 1)
report.grid("walks", model.decode(codes))  # from one identity to another, observed alike
report.neighbours(samples[::2], train)
report.curves("auc")
report.close()
