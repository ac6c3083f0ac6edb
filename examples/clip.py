"""Pictures and captions as vectors that can be compared: train CLIP on scenes, then search.

    python examples/clip.py
    python examples/clip.py --text "a green cross, at night" "a large circle"   # look for these

Expect: 6 min on 2 cores; 86 % of pictures find their caption among 200 (chance 1.5 %); it names
every colour, 84 % of the shapes (chance 25), and does not see which is which (54 %, chance 50).

The data are scenes of one or two shapes, drawn as the run begins, with captions as those of
examples/text_to_image.py. Three claims, each beside chance, on test scenes and on scenes that show
a pair of colour and shape of which training has none: a picture finds its caption among --n of them
and a caption its picture; the colour and the shape of a lone thing are named by 24 prompts, "a red
circle" ..; and a caption of two things is nearer to its picture than the same with the colours
exchanged, or with the sides. retrieved.png: for each --text, the test pictures that are nearest.
"""

import numpy as np

import tinygen as tg
from tinygen import data, plot
from tinygen.data.scenes import COLOURS, SHAPES, describe, shorten
from tinygen.models.text import clip
from tinygen.optim.lr_scheduler import CosineAnnealingLR
from tinygen.plot.report import Report
from tinygen.run import Run, count, non_negative, options

TEXTS = ["a red circle", "a small green triangle", "a large yellow cross, at night",
         "a blue square above a green circle"]  # fmt: skip
OPPOSITE = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}
parser = options(__doc__, "clip", data=("scenes",), steps=800, batch=128, lr=1e-3)
parser.add_argument("--text", nargs="+", default=TEXTS, metavar="CAPTION", help="what to look for")
parser.add_argument("--scenes", type=count, default=10_000, help="training pictures (10000)")
parser.add_argument("--muon", type=non_negative, default=4e-3, help="rate of the matrices (4e-3)")
parser.add_argument("--dim", type=count, default=64, help="of the vectors (64)")
parser.add_argument("--width", type=count, default=8, help="features of what sees (8)")
parser.add_argument("--text-width", type=count, default=64, help="of the vector of a word (64)")
parser.add_argument("--text-layers", type=count, default=2, help="of what reads (2)")
parser.add_argument("--n", type=count, default=200, help="pictures and captions compared (200)")
args = parser.parse_args()

# --- data -----------------------------------------------------------------------------------------
tg.manual_seed(args.seed)
rng = np.random.default_rng(args.seed)
train = data.scenes(args.scenes, seed=args.seed, most=2)
short = [text if i % 2 else shorten(text, rng) for i, text in enumerate(train.captions)]
tokenizer = data.WordTokenizer.fit(train.captions)
length = tokenizer(train.captions).shape[1]
loader = data.DataLoader(
    data.TensorDataset(train.to_symmetric(), tokenizer(short, length)), args.batch, shuffle=True,
    drop_last=True,
)  # fmt: skip
asked = {"seen": "test", "unseen": "held_out"}
asked = {name: data.scenes(args.n, args.seed, split, most=2) for name, split in asked.items()}

# --- model and optimizer --------------------------------------------------------------------------
config = vars(args) | {"shape": (3, 32, 32), "words": tokenizer.words[4:], "length": length}
model = clip.build(config).to(args.device)  # models.restore builds it from the config
model.tokens(args.text)  # an error at once, for a word that it does not know
outer = ["pictures.0.0", "pictures.6", "captions.tokens", "captions.places", "project"]
opt = tg.optim.muon.with_adam(
    model.named_parameters(), args.muon, args.lr, outer, weight_decay=0.01
)
schedule = CosineAnnealingLR(opt, T_max=args.steps)

# --- loop -----------------------------------------------------------------------------------------
run = Run(args.out, config=config, resume=args.resume, system="clip")
run.track(model=model, opt=opt, schedule=schedule, loader=loader)
for _, (x, tokens) in zip(run.steps(args.steps), loader.forever()):
    terms = model.terms((x.to(args.device), tokens.to(args.device)))
    opt.zero_grad()
    terms["loss"].backward()
    tg.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    opt.step()
    schedule.step()
    run.log(**terms)

# --- what it learned ------------------------------------------------------------------------------
scale = model.log_scale.exp().item()
print(f"{args.steps} steps in {run.seconds:.1f} s, seed {args.seed}; scale {scale:.1f}")
model.eval()


def found(table, true):
    """How often the best of each row is one of those that are true, and by chance."""
    rows = np.arange(len(table))
    return f"{true[rows, table.argmax(1)].mean():.1%} (chance {true.mean():.1%})"


def captions_of_two(scene):
    """Its caption without sizes and time, with the colours exchanged, and with the sides."""
    things, (side,), _ = describe(scene.caption)
    (a, b), (c, d) = [(thing.colour, thing.shape) for thing in things]
    return [f"a {a} {b} {side} a {c} {d}", f"a {c} {b} {side} a {a} {d}",
            f"a {a} {b} {OPPOSITE[side]} a {c} {d}"]  # fmt: skip


pairs = [(colour, shape) for colour in COLOURS for shape in SHAPES]
prompts = [f"a {colour} {shape}" for colour, shape in pairs]
for name, scenes in asked.items():
    x = scenes.to_symmetric().to(args.device)
    table = model.score(x, scenes.captions).cpu().numpy()
    words = np.array(scenes.captions)
    same = words[:, None] == words  # two scenes may have one caption
    print(f"{name} pairs, {len(x)} scenes: picture to caption {found(table, same)}, caption to "
          f"picture {found(table.T, same.T)}")  # fmt: skip
    made = scenes.details["scenes"]
    alone = [i for i, scene in enumerate(made) if len(scene.things) == 1]
    if alone:
        table = model.score(x[alone], prompts).cpu().numpy()
        things = [made[i].things[0] for i in alone]
        colour = np.array([[a.colour == c for c, _ in pairs] for a in things])
        shape = np.array([[a.shape == s for _, s in pairs] for a in things])
        print(f"  one thing of 24: {found(table, colour & shape)}, its colour "
              f"{found(table, colour)}, its shape {found(table, shape)}")  # fmt: skip
    two = [i for i, s in enumerate(made) if len(s.things) == 2
           and s.things[0].colour != s.things[1].colour
           and s.things[0].shape != s.things[1].shape]  # fmt: skip
    if two:
        rows = [model.score(x[i : i + 1], captions_of_two(made[i]))[0].tolist() for i in two]
        colours, sides = ([row[0] > row[k] for row in rows] for k in (1, 2))
        print(f"  two things: nearer than with the colours exchanged {np.mean(colours):.1%}, with "
              f"the sides {np.mean(sides):.1%} (chance 50 %)")  # fmt: skip

report = Report(args.out, model)
x = asked["seen"].to_symmetric().to(args.device)
order = (-model.score(x, args.text)).argsort(0).cpu().numpy()
nearest = [int(i) for column in order.T for i in column[:8]]
plot.captioned(x[nearest], args.text, value_range=(-1, 1), path=f"{args.out}/retrieved.png")
report.curves("loss")
report.close()
