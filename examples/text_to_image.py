"""Pictures from captions: train an autoencoder, then a diffusion of its latents that reads.

    python examples/text_to_image.py
    python examples/text_to_image.py --text "a red circle above a blue square" "a green cross"
    python examples/text_to_image.py --space pixels             # no autoencoder
    python examples/text_to_image.py --net dit --width 96 --depth 4     # a transformer denoises
    python examples/text_to_image.py --turned --steps 12000     # shapes at any angle
    python examples/sample.py text_to_image --captions "a green triangle"     # trained already
    python examples/sample.py runs/text_to_image/last.npz --captions "a small red cross, at night"

Expect: 17 min on 2 cores; 82 % of facts right, 72 % of unseen pairs (guidance 2). The bundled
`text_to_image` is --steps 12000 --first 0.11, 67 min: 92 and 88 % (of 300 captions each).

The data are scenes of one or two upright shapes, drawn as the run begins; captions name number,
sizes, colours, shapes, sides and the time, or leave out sizes and time. An oracle reads the
pictures (metrics.caption_score): the share of facts that hold, and of pictures where all do,
against the guidance; "unseen" captions each name a pair of colour and shape that no training
picture shows. texts.png: a row of pictures for each --text; between.png: from one to the next.
"""

import time

import numpy as np

import tinygen as tg
from tinygen import data, metrics, plot
from tinygen.data.scenes import shorten
from tinygen.models import vq
from tinygen.models.text import text_to_image
from tinygen.optim.lr_scheduler import CosineAnnealingLR
from tinygen.plot.report import Report
from tinygen.run import Run, count, fraction, non_negative, options, positive

TEXTS = ["a red circle above a blue square", "a large green triangle, at night",
         "a small yellow cross left of a large purple circle, by day", "a red square"]  # fmt: skip
parser = options(__doc__, "text_to_image", data=("scenes",), steps=3000, batch=64, lr=1.5e-3)
parser.add_argument("--text", nargs="+", default=TEXTS, metavar="CAPTION", help="what to draw")
parser.add_argument("--scenes", type=count, default=40_000, help="training pictures (40000)")
parser.add_argument("--turned", action="store_true", help="shapes at any angle, not upright")
parser.add_argument("--muon", type=non_negative, default=4e-3, help="rate of the matrices (4e-3)")
parser.add_argument("--space", choices=vq.SPACES, default="kl", help="what is diffused (kl)")
parser.add_argument("--first", type=fraction, default=0.2, help="of the steps: autoencoder (0.2)")
parser.add_argument("--dim", type=count, default=8, help="channels of the latents (8)")
parser.add_argument("--kl", type=non_negative, default=1e-3, help="weight of the KL (1e-3)")
parser.add_argument("--ae-width", type=count, default=32, help="features of the autoencoder (32)")
parser.add_argument("--net", choices=["unet", "dit"], default="unet", help="what denoises (unet)")
parser.add_argument("--width", type=count, default=72, help="features of --net (72)")
parser.add_argument("--depth", type=count, default=1, help="blocks a size, or of dit (1)")
parser.add_argument("--text-width", type=count, default=64, help="of the vector of a word (64)")
parser.add_argument("--text-layers", type=count, default=2, help="of the encoder of words (2)")
parser.add_argument("--drop", type=fraction, default=0.1, help="captions left out (0.1)")
parser.add_argument("--T", type=count, default=200, help="steps of the chain (200)")
parser.add_argument("--shift", type=positive, default=0.5, help="of the schedule to noise (0.5)")
parser.add_argument("--ema", type=fraction, default=0.999, help="decay of the averaged weights")
parser.add_argument("--guidance", type=non_negative, default=2.0, help="of the samples (2)")
parser.add_argument("--n", type=count, default=200, help="samples that the oracle reads (200)")
args = parser.parse_args()

# --- data -----------------------------------------------------------------------------------------
tg.manual_seed(args.seed)
rng = np.random.default_rng(args.seed)
train_set = data.scenes(args.scenes, seed=args.seed, most=2, turned=args.turned)
short = [text if i % 2 else shorten(text, rng) for i, text in enumerate(train_set.captions)]
tokenizer = data.WordTokenizer.fit(train_set.captions)
length = tokenizer(train_set.captions).shape[1]
train = train_set.to_symmetric()
pairs = data.TensorDataset(train, tokenizer(short, length))
loader = data.DataLoader(pairs, args.batch, shuffle=True, drop_last=True)
asked = {name: data.scenes(args.n, args.seed, split, most=2, turned=args.turned)
         for name, split in {"seen": "test", "unseen": "held_out"}.items()}  # fmt: skip

# --- model and optimizers -------------------------------------------------------------------------
config = vars(args) | {"shape": (3, 32, 32), "words": tokenizer.words[4:], "length": length}
model = text_to_image.build(config).to(args.device)  # models.restore builds it from the config
model.tokens(args.text)  # an error at once, for a word that it does not know
first = 0 if args.space == "pixels" else max(1, round(args.first * args.steps))
parts = [model.diffusion] if first == 0 else [model.diffusion, model.autoencoder]
outer = ["net.first", "net.last", "encoder.0", "condition.encoder.t", "condition.encoder.places"]
names = [part.named_parameters() for part in parts]
opts = [tg.optim.muon.with_adam(each, args.muon, args.lr, outer) for each in names]
lengths = (max(1, args.steps - first), first)
schedules = [CosineAnnealingLR(opt, T_max=n) for opt, n in zip(opts, lengths)]
ema = tg.optim.EMA(model, args.ema)
seeded = lambda seed: tg.Generator(args.device).manual_seed(seed)
quick = {"sampler": "ddim", "steps": min(25, args.T)}
eight = [text for text in args.text for _ in range(8)]


def draw(captions, seed, guidance=args.guidance):
    """A picture for each caption, in parts of 100."""
    rows = enumerate(captions[i : i + 100] for i in range(0, len(captions), 100))
    how = quick | {"guidance": guidance}
    return tg.cat([model.sample(len(c), seeded(seed + i), captions=c, **how) for i, c in rows])


# --- loop -----------------------------------------------------------------------------------------
run = Run(args.out, config=config, resume=args.resume, system="text_to_image")
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
        model.measure(train[:2000].to(args.device))
    if step > first and run.every(1000, soon=60):
        with ema.swap():
            run.picture("samples", lambda: draw(eight, 0), value_range=(-1, 1))

# --- what it learned ------------------------------------------------------------------------------
print(
    f"{args.steps} steps, {first} of them the autoencoder's, in {run.seconds:.1f} s, seed "
    f"{args.seed}; {args.space} of {' x '.join(map(str, model.diffusion.shape))} numbers"
)
model.eval()
report = Report(args.out, model)
score = lambda x, captions: metrics.caption_score((0.5 * x + 0.5).clamp(0.0, 1.0).cpu(), captions)
if first:
    test = asked["seen"].to_symmetric().to(args.device)
    with tg.no_grad():
        made = tg.cat([model.decode(model.encode(x)) for x in test.split(100)]).clamp(-1.0, 1.0)
    psnr = metrics.psnr(made, test, data_range=2.0).mean().item()
    print(f"reconstructed test pictures: PSNR {psnr:.1f} dB, facts right "
          f"{score(made, asked['seen'].captions).facts:.1%}")  # fmt: skip
    report.pairs(test[:20], made[:20])
with ema.swap():
    began, levels, found = time.perf_counter(), sorted({1.0, 2.0, args.guidance, 5.0}), {}
    for name, scenes in asked.items():
        for g in levels:
            found[name, g] = right = score(draw(scenes.captions, 10, g), scenes.captions)
            shares = f"facts right {right.facts:.1%}, all of them {right.exact:.1%}"
            print(f"guidance {g:g}, {args.n} captions of {name} pairs: {shares}")
    each = (time.perf_counter() - began) / (args.n * len(found))
    print(f"{each:.3f} s a picture, {quick['steps']} steps of DDIM")
    look = {"value_range": (-1, 1), "clip": True}
    plot.captioned(draw(eight, 0), args.text, path=f"{args.out}/texts.png", **look)
    words, walk = model.read(args.text), []
    for i in range(len(words) - 1):  # one noise, the words on their way
        way = tg.linspace(0.0, 1.0, 8, device=args.device)[:, None, None]
        noise = tg.randn(1, *model.diffusion.shape, generator=seeded(i), device=args.device)
        mixed = (1.0 - way) * words[i] + way * words[i + 1]
        walk.append(model.sample(8, labels=mixed, start=noise.expand(8, *noise.shape[1:]),
                                 guidance=args.guidance, **quick))  # fmt: skip
if walk:
    ways = [f"{a}  ->  {b}" for a, b in zip(args.text, args.text[1:])]
    plot.captioned(tg.cat(walk), ways, path=f"{args.out}/between.png", **look)
report.curves("loss", *(["ae_error"] if first else []))
report.close()
