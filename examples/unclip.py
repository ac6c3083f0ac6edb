"""Pictures from captions by way of CLIP: a prior draws an embedding, a decoder draws the picture.

    python examples/unclip.py
    python examples/unclip.py --text "a red circle above a blue square" "a green cross"
    python examples/unclip.py --clip runs/clip/last.npz            # a CLIP that is trained already
    python examples/sample.py runs/unclip/last.npz --sampler ddim --steps 25

Expect: 12 min on 2 cores; 49 % of facts right with the prior, 37 % without it, 59 % with the best
of 4 by CLIP; of unseen pairs 53, 27 and 48 %. The true picture's embedding, all that the decoder
can be told, gives 50 and 49 %.

The data are those of examples/clip.py. First CLIP and an autoencoder are trained, side by side;
then the prior and the decoder. An oracle reads pictures of --n test captions, and of captions whose
pair of colour and shape no training picture shows: with the prior; without it, the caption's own
embedding given to the decoder; the best of --k by CLIP; and given the embedding of the true
picture, which is all that the decoder can do. samples.png: a row of pictures for each --text;
variations.png: test pictures, each beside what the decoder makes of its embedding.
"""

import numpy as np

import tinygen as tg
from tinygen import data, metrics, models, plot
from tinygen.data.scenes import shorten
from tinygen.models.text import best_of, unclip
from tinygen.optim.lr_scheduler import CosineAnnealingLR
from tinygen.plot.report import Report
from tinygen.run import Run, count, fraction, non_negative, options

TEXTS = ["a red circle above a blue square", "a large green triangle, at night",
         "a small yellow cross left of a large purple circle, by day", "a red square"]  # fmt: skip
parser = options(__doc__, "unclip", data=("scenes",), steps=4000, batch=64, lr=1.5e-3)
parser.add_argument("--text", nargs="+", default=TEXTS, metavar="CAPTION", help="what to draw")
parser.add_argument("--scenes", type=count, default=20_000, help="training pictures (20000)")
parser.add_argument("--muon", type=non_negative, default=4e-3, help="rate of the matrices (4e-3)")
parser.add_argument("--clip", help="a checkpoint of examples/clip.py instead of a new CLIP")
parser.add_argument("--first", type=fraction, default=0.4, help="of the steps: first stage (0.4)")
parser.add_argument("--dim", type=count, default=8, help="channels of the latents (8)")
parser.add_argument("--ae-width", type=count, default=16, help="features of the autoencoder (16)")
parser.add_argument("--width", type=count, default=32, help="features of the U-Net (32)")
parser.add_argument("--hidden", type=count, default=256, help="units of the prior (256)")
parser.add_argument("--drop", type=fraction, default=0.1, help="embeddings left out (0.1)")
parser.add_argument("--T", type=count, default=200, help="steps of the chains (200)")
parser.add_argument("--ema", type=fraction, default=0.998, help="decay of the averaged weights")
parser.add_argument("--guidance", type=non_negative, default=2.0, help="of the samples (2)")
parser.add_argument("--k", type=count, default=4, help="pictures that CLIP chooses among (4)")
parser.add_argument("--n", type=count, default=100, help="captions that the oracle reads (100)")
args = parser.parse_args()

# --- data -----------------------------------------------------------------------------------------
tg.manual_seed(args.seed)
rng = np.random.default_rng(args.seed)
train_set = data.scenes(args.scenes, seed=args.seed, most=2)
short = [text if i % 2 else shorten(text, rng) for i, text in enumerate(train_set.captions)]
tokenizer = data.WordTokenizer.fit(train_set.captions)
length = tokenizer(train_set.captions).shape[1]
train = train_set.to_symmetric()
asked = {"seen": "test", "unseen": "held_out"}
asked = {name: data.scenes(args.n, args.seed, split, most=2) for name, split in asked.items()}

# --- model and optimizers -------------------------------------------------------------------------
config = vars(args) | {"shape": (3, 32, 32), "words": tokenizer.words[4:]}
config["clip"] = {"length": length}
if args.clip:
    slug, config["clip"], trained = models.restore(args.clip)
    if slug != "clip":
        parser.error(f"--clip: {args.clip} holds a {slug}")
model = unclip.build(config).to(args.device)  # models.restore builds it from the config
if args.clip:
    model.clip.load_state_dict(trained.state_dict())
model.tokens(args.text)  # an error at once, for a word that it does not know
loader = data.DataLoader(
    data.TensorDataset(train, model.tokens(short).cpu()), args.batch, shuffle=True, drop_last=True
)
first = max(1, round(args.first * args.steps))
outer = ["clip.pictures.0.0", "clip.pictures.6", "clip.captions.t", "clip.captions.places"]
outer += ["clip.project", "autoencoder.encoder.0", "diffusion.net.first", "diffusion.net.last"]
outer += ["prior.net.first", "prior.net.last"]
early = ("autoencoder.",) if args.clip else ("autoencoder.", "clip.")
parts = [("diffusion.", "prior."), early]
parts = [[p for p in model.named_parameters() if p[0].startswith(names)] for names in parts]
opts = [tg.optim.muon.with_adam(part, args.muon, args.lr, outer) for part in parts]
lengths = (max(1, args.steps - first), first)
schedules = [CosineAnnealingLR(opt, T_max=n) for opt, n in zip(opts, lengths)]
ema = tg.optim.EMA(model, args.ema)
seeded = lambda seed: tg.Generator(args.device).manual_seed(seed)
quick = {"sampler": "ddim", "steps": min(25, args.T), "guidance": args.guidance}
eight = [text for text in args.text for _ in range(8)]


def draw(captions, seed, embeddings=None, **how):
    """A picture for each caption, or for each embedding in its place, in parts of 100."""
    made = []
    for i in range(0, len(captions), 100):
        part = slice(i, i + 100)
        told = {"captions": captions[part]} if embeddings is None else {"labels": embeddings[part]}
        made.append(model.sample(len(captions[part]), seeded(seed + i), **told, **how, **quick))
    return tg.cat(made)


# --- loop -----------------------------------------------------------------------------------------
run = Run(args.out, config=config, resume=args.resume, system="unclip")
run.track(model=model, ema=ema, loader=loader)
run.track(**{f"opt{i}": opt for i, opt in enumerate(opts)})
run.track(**{f"schedule{i}": schedule for i, schedule in enumerate(schedules)})
for step, batch in zip(run.steps(args.steps), loader.forever()):
    stage = int(step <= first)  # 1: CLIP and the autoencoder
    batch = [part.to(args.device) for part in batch]
    if stage:
        terms = model.autoencoder_terms(batch) if args.clip else model.first_terms(batch)
    else:
        terms = model.terms(batch)
    opts[stage].zero_grad()
    terms["loss"].backward()
    tg.nn.utils.clip_grad_norm_([p for _, p in parts[stage]], 1.0)
    opts[stage].step()
    schedules[stage].step()
    if stage:
        run.log(**{f"first_{name}": value for name, value in terms.items()})
    else:
        ema.update()
        run.log(**terms)
    if step == first:
        model.measure(train[:2000].to(args.device))
    if step > first and run.every(1000, soon=60):
        with ema.swap():
            run.picture("samples", lambda: draw(eight, 0), value_range=(-1, 1))

# --- what it learned ------------------------------------------------------------------------------
print(f"{args.steps} steps, {first} of them the first stage's, in {run.seconds:.1f} s, seed "
      f"{args.seed}; guidance {args.guidance:g}")  # fmt: skip
model.eval()
report = Report(args.out, model)
score = lambda x, captions: metrics.caption_score((0.5 * x + 0.5).clamp(0.0, 1.0).cpu(), captions)
with ema.swap():
    for name, scenes in asked.items():
        said, x = list(scenes.captions), scenes.to_symmetric().to(args.device)
        many = [text for text in said for _ in range(args.k)]
        drawn = {
            "with the prior": draw(said, 10),
            "without it, of the caption's own embedding": draw(said, 10, prior=False),
            f"with it, the best of {args.k} by CLIP": best_of(model.clip, draw(many, 10), said),
            "of the true picture's embedding": draw(said, 10, model.embed(x)),
        }
        for how, made in drawn.items():
            right = score(made, said)
            print(f"{name} pairs, {how}: facts right {right.facts:.1%}, all of them "
                  f"{right.exact:.1%}")  # fmt: skip
    look = {"value_range": (-1, 1), "clip": True}
    plot.captioned(draw(eight, 0), args.text, path=f"{args.out}/samples.png", **look)
    shown = asked["seen"].to_symmetric()[:6].to(args.device)
    many = model.embed(shown).repeat_interleave(7, 0)
    rows = draw([""] * len(many), 0, many).reshape(len(shown), 7, *model.shape)
report.grid("variations", tg.cat([shown[:, None], rows], 1).flatten(0, 1), nrow=8)
report.curves("loss", "first_loss")
report.close()
