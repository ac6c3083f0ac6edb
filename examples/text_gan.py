"""Pictures from captions by a GAN: D sees wrong captions too, G also what lies between two.

    python examples/text_gan.py
    python examples/text_gan.py --text "a red circle above a blue square" "a green cross"
    python examples/text_gan.py --unaware                       # D is shown no wrong captions
    python examples/text_gan.py --between 0                     # G is asked for captions only
    python examples/text_gan.py --data emoji                    # their names
    python examples/sample.py runs/text_gan/last.npz --captions "a small red cross, at night"

Expect: 15 min on 2 cores; its score is not measured yet. After 800 steps of --width 16 --scenes
3000 day and night follow the caption, shapes do not: of 400 pictures the oracle reads none.

GAN-INT-CLS (Reed et al. 2016, arXiv:1605.05396; their sizes, for 64 x 64 pixels: --width 64
--latent 100 --told 128 --lr 2e-4). A transformer reads the captions; it is a part of D and learns
by D's loss. The data are scenes of one or two shapes, drawn as the run begins, with captions that
may leave sizes and the time out, as in text_to_image.py, the diffusion model beside which it stands
(54 % of the facts right, 58 % of unseen pairs, after an hour).

The measure: an oracle reads the pictures (metrics.caption_score), and says which share of the facts
of their captions hold, and of those of another's captions, which is what chance gives; "unseen"
captions each name a pair of colour and shape that no training picture shows. Of emoji, a
classifier says whether the picture is of the group that its name belongs to. samples.png: a row
of pictures for each --text; between.png: from one to the next.
"""

import numpy as np

import tinygen as tg
from tinygen import data, metrics, plot
from tinygen.data.scenes import shorten
from tinygen.models import gan
from tinygen.models.gan import text_gan
from tinygen.plot.report import Report
from tinygen.run import Run, count, fraction, non_negative, options

TEXTS = {
    "scenes": ["a red circle above a blue square", "a large green triangle, at night",
               "a small yellow cross left of a large purple circle, by day", "a red square"],
    "emoji": ["grinning face", "red heart", "dog face", "red apple"],
}  # fmt: skip
ROWS = [name for name, row in gan.OBJECTIVES.items()  # those that need a loss and no more
        if row.output != "energy" and not row.penalty and not row.clip]  # fmt: skip
BETAS = (0.5, 0.999)  # Adam's; with the usual 0.9 of the first the two players swing

parser = options(__doc__, "text_gan", data=("scenes", "emoji"), steps=4000, batch=64, lr=5e-4)
parser.add_argument("--text", nargs="+", metavar="CAPTION", help="what to draw")
parser.add_argument("--scenes", type=count, default=20_000, help="training pictures (20000)")
parser.add_argument("--objective", choices=ROWS, default="non_saturating", metavar="ROW",
                    help=", ".join(ROWS))  # fmt: skip
parser.add_argument("--unaware", action="store_true", help="show D no wrong captions")
parser.add_argument("--between", type=non_negative, default=1.0, help="weight of w (1)")
parser.add_argument("--norm", choices=["batch", "layer", "spectral", "none"], default="layer",
                    help="D's norm")  # fmt: skip
parser.add_argument("--width", type=count, default=32, help="channels at full size (32)")
parser.add_argument("--latent", type=count, default=32, help="dimensions of z (32)")
parser.add_argument("--told", type=count, default=32, help="a caption's numbers in a player (32)")
parser.add_argument("--text-width", type=count, default=64, help="of the vector of a word (64)")
parser.add_argument("--text-layers", type=count, default=1, help="of the encoder of words (1)")
parser.add_argument("--ema", type=fraction, default=0.995, help="decay of G's average (0.995)")
parser.add_argument("--n", type=count, default=500, help="samples that are judged (500)")
args = parser.parse_args()

# --- data -------------------------------------------------------------------------------------
tg.manual_seed(args.seed)
rng = np.random.default_rng(args.seed)
if args.data == "scenes":
    train_set = data.scenes(args.scenes, seed=args.seed, most=2)
    captions = [text if i % 2 else shorten(text, rng) for i, text in enumerate(train_set.captions)]
else:
    train_set = data.load("emoji")
    captions = list(train_set.captions)
train, tokenizer = train_set.to_symmetric(), data.WordTokenizer.fit(train_set.captions)
tokens = tokenizer(train_set.captions)
length, texts = tokens.shape[1], args.text or TEXTS[args.data]
pairs = data.TensorDataset(train, tokenizer(captions, length))
loader = data.DataLoader(pairs, args.batch, shuffle=True, drop_last=True)
batches = loader.forever()
seeded = lambda seed: tg.Generator(args.device).manual_seed(seed)

# --- model and optimizers ---------------------------------------------------------------------
config = vars(args) | {"shape": train.shape[1:], "words": tokenizer.words[4:], "length": length,
                       "aware": not args.unaware}  # fmt: skip
model = text_gan.build(config).to(args.device)  # models.restore builds it from the config again
model.tokens(texts)  # an error at once, for a word that it does not know
opt_g = tg.optim.Adam(model.G.parameters(), lr=args.lr, betas=BETAS)
opt_d = tg.optim.Adam(model.D.parameters(), lr=args.lr, betas=BETAS)
ema = tg.optim.EMA(model.G, args.ema)


def draw(captions, seed=0):
    """A picture for each caption, in parts of 250."""
    rows = [captions[i : i + 250] for i in range(0, len(captions), 250)]
    return tg.cat([model.sample(len(row), seeded(seed + i), captions=row)
                   for i, row in enumerate(rows)])  # fmt: skip


# --- loop -------------------------------------------------------------------------------------
run = Run(args.out, config=config, resume=args.resume, system="text_gan")
run.track(model=model, opt_g=opt_g, opt_d=opt_d, ema=ema, loader=loader)
for step in run.steps(args.steps):
    x, told = (part.to(args.device) for part in next(batches))
    terms = model.discriminator_terms((x, told))
    opt_d.zero_grad()
    terms["loss"].backward()
    opt_d.step()
    with gan.frozen(model.D):
        made = model.generator_terms(len(x), told)
        opt_g.zero_grad()
        made["loss"].backward()
    opt_g.step()
    ema.update()
    wrong = {} if args.unaware else {"d_wrong": terms["wrong"]}
    run.log(loss_d=terms["loss"], loss_g=made["loss"], d_real=terms["real"], d_fake=terms["fake"],
            **wrong)  # fmt: skip
    if run.every(200):
        warning = gan.collapse(draw(captions[:64]), train[:64])
        if warning:
            run.say(f"step {step}: {warning}")
    if run.every(1000, soon=60):
        run.picture("samples", lambda: draw([text for text in texts for _ in range(8)]),
                    value_range=(-1, 1))  # fmt: skip

# --- what it learned --------------------------------------------------------------------------
ema.copy_to()
print(f"{args.objective} on {args.data}: {args.steps} steps in {run.seconds:.1f} s, "
      f"seed {args.seed}")  # fmt: skip
if args.data == "scenes":
    for name, split in (("seen", "test"), ("unseen", "held_out")):
        asked = data.scenes(args.n, args.seed, split, most=2).captions
        pictures = (0.5 * draw(asked, 10) + 0.5).cpu()
        right = metrics.caption_score(pictures, asked)
        others = metrics.caption_score(pictures, asked[1:] + asked[:1])
        print(f"{args.n} captions of {name} pairs: facts right {right.facts:.1%}, all of them "
              f"{right.exact:.1%}; of another's caption {others.facts:.1%}")  # fmt: skip
else:
    judge, chosen = metrics.emoji_classifier(), rng.integers(0, len(captions), args.n)
    groups = train_set.labels.numpy()[chosen]
    pictures = draw([captions[i] for i in chosen], 10).cpu()
    right = (judge.probabilities(pictures).argmax(1) == groups).mean()
    of_data = (judge.probabilities(train[chosen]).argmax(1) == groups).mean()
    chance = np.bincount(train_set.labels.numpy()).max() / len(captions)
    print(f"{args.n} names: {right:.1%} of the pictures are of their group, of the data "
          f"{of_data:.1%}, of the largest group {chance:.1%}")  # fmt: skip
look = {"value_range": (-1, 1), "clip": True}
plot.captioned(draw([text for text in texts for _ in range(8)]), texts,
               path=f"{args.out}/samples.png", **look)  # fmt: skip
vectors, way = model.read(texts), tg.linspace(0.0, 1.0, 8, device=args.device)[:, None]
walk = [model.decode(model.draw(1, seeded(i)).expand(8, args.latent), (1.0 - way) * a + way * b)
        for i, (a, b) in enumerate(zip(vectors, vectors[1:]))]  # fmt: skip
if walk:
    plot.captioned(tg.cat(walk), [f"{a}  ->  {b}" for a, b in zip(texts, texts[1:])],
                   path=f"{args.out}/between.png", **look)  # fmt: skip
report = Report(args.out, model)
report.neighbours(draw(captions[:10]), train)
report.curves("loss_d", "loss_g")
report.close()
