"""Train pix2pix on pairs of pictures: what is given, and the answer that lies on it.

    python examples/pix2pix.py                           # line drawings to emoji in colour
    python examples/pix2pix.py --judge 0                 # |y - G| alone: blurred and pale
    python examples/pix2pix.py --weight 0                # the judge alone
    python examples/pix2pix.py --judge 0 --distance l2
    python examples/pix2pix.py --blind                   # D is not shown what was given
    python examples/pix2pix.py --no-skips
    python examples/pix2pix.py --patch 1                 # patches of 1, 16, 34 pixels, or full
    python examples/pix2pix.py --data labels             # what stands where to a scene
    python examples/pix2pix.py --data grey               # grey emoji to colour
    python examples/pix2pix.py --resume --input sketch.png    # after training: your picture

Expect: about 5 min on 2 cores; that is by the cost of a step, not by a run. With --steps 900: PSNR
14.7 dB, Frechet 8.7 (of training pictures 2.8), inner lines still washed out.

The U-Net G is given x and paid for being near the answer y and for what D, which judges patches of
16 pixels together with x, takes for data (Isola et al. 2016, arXiv:1611.07004). Its claim: with the
distance alone pictures are near the answer, and blurred; with D they look like data. Hence two
kinds of measures on held-out pairs. Near: PSNR, and P, a distance in features of a network that no
loss has seen. Like data: the Frechet distance of the translations and the answers in features of a
classifier, and how much colour there is, beside the answers'; of scenes the share in which an
oracle reads the right shapes. Diversity: P between two translations of one picture; its noise is
dropout, and little comes of it.

--folders A B: pairs of your own, files of one name in two folders, at --size pixels. --input writes
NAME-translated.png beside each NAME.png; for lines, dark on white. `tinygen sample` does it too.
"""

from pathlib import Path

import tinygen as tg
from tinygen import data, metrics
from tinygen.data.scenes import read
from tinygen.models import gan, nets
from tinygen.models.translation import pix2pix
from tinygen.optim.lr_scheduler import LambdaLR
from tinygen.plot.report import Report
from tinygen.run import Run, count, fraction, non_negative, options

ROWS = [name for name, row in gan.OBJECTIVES.items()  # those that need a loss and no more
        if row.output != "energy" and not row.penalty and not row.clip]  # fmt: skip
BETAS = (0.5, 0.999)  # Adam's; with the usual 0.9 of the first the two players swing

parser = options(__doc__, "pix2pix", data=data.ALIGNED, steps=3000, batch=16, lr=1e-3)
parser.add_argument("--folders", nargs=2, metavar=("A", "B"), help="pairs of your own, A to B")
parser.add_argument("--size", type=count, default=32, help="pixels of --folders (32)")
parser.add_argument("--objective", choices=ROWS, default="non_saturating", metavar="ROW",
                    help="of the game: " + ", ".join(ROWS))  # fmt: skip
parser.add_argument("--weight", type=non_negative, default=100.0, help="of the distance (100)")
parser.add_argument("--judge", type=non_negative, default=1.0, help="weight of the game (1)")
parser.add_argument("--distance", choices=["l1", "l2"], default="l1", help="to the answer (l1)")
parser.add_argument("--blind", action="store_true", help="D is not shown what was given")
parser.add_argument("--patch", type=lambda text: text if text == "full" else count(text),
                    default=16, help="pixels that D judges at once, or full (16)")  # fmt: skip
parser.add_argument("--no-skips", dest="skips", action="store_false", help="G without its skips")
parser.add_argument("--dropout", type=fraction, default=0.5, help="G's noise (0.5)")
parser.add_argument("--width", type=count, default=24, help="features of G at full size (24)")
parser.add_argument("--d-width", type=count, default=24, help="features of D (24)")
parser.add_argument("--ema", type=fraction, default=0.995, help="decay of G's average (0.995)")
parser.add_argument("--input", nargs="+", type=Path, default=[], metavar="FILE",
                    help="translate these pictures in the end")  # fmt: skip
args = parser.parse_args()
if not (args.judge or args.weight):
    parser.error("--judge 0 --weight 0: nothing is left to train G by")
if missing := [str(file) for file in args.input if not file.is_file()]:
    parser.error(f"--input: there is no file {', '.join(missing)}")

# --- data -----------------------------------------------------------------------------------------
tg.manual_seed(args.seed)
if args.folders:
    truth = data.pairs(*args.folders, args.size)
    x, y = data.to_symmetric(truth.details["other"]), truth.to_symmetric()
    held = max(1, len(x) // 10)  # every tenth is for testing
    train, test = (x[held:], y[held:]), (x[:held], y[:held])
else:
    *train, _ = data.aligned(args.data)
    *test, truth = data.aligned(args.data, "test")
told, real = (part.to(args.device) for part in test)
loader = data.DataLoader(data.TensorDataset(*train), args.batch, shuffle=True, drop_last=True)
colours = [part.shape[1] for part in train]
seeded = lambda seed: tg.Generator(args.device).manual_seed(seed)

# --- model and optimizers -------------------------------------------------------------------------
config = {key: value for key, value in vars(args).items() if key not in ("input", "folders")}
config |= {"told": train[0].shape[1:], "shape": train[1].shape[1:]}
model = pix2pix.build(config).to(args.device)  # models.restore builds it from the config again
opt_g = tg.optim.Adam(model.G.parameters(), lr=args.lr, betas=BETAS)
opt_d = tg.optim.Adam(model.D.parameters(), lr=args.lr, betas=BETAS)
falling = lambda step: min(1.0, 2.0 * (1.0 - step / args.steps))  # constant, then in a line to 0
schedules = [LambdaLR(opt, falling) for opt in (opt_g, opt_d)]
ema = tg.optim.EMA(model.G, args.ema)
shown = lambda: tg.cat([p[:: len(told) // 10 or 1][:10].expand(-1, 3, -1, -1) for p in
                        (told, model.translate(told, seeded(1)), real)])  # fmt: skip

# --- loop -----------------------------------------------------------------------------------------
run = Run(args.out, config=config, resume=args.resume, system="pix2pix")
run.track(model=model, opt_g=opt_g, opt_d=opt_d, ema=ema, loader=loader,
          schedule_g=schedules[0], schedule_d=schedules[1])  # fmt: skip
for _, batch in zip(run.steps(args.steps), loader.forever()):
    both = data.transforms.random_flip(tg.cat(batch, 1))  # x and y of a pair turn together
    x, y = both.to(args.device).split(colours, 1)
    made = model(x)
    judged = {}
    if args.judge:
        judged = model.discriminator_terms((x, y), made)
        opt_d.zero_grad()
        judged["loss"].backward()
        opt_d.step()
    with gan.frozen(model.D):
        terms = model.generator_terms((x, y), made)
        opt_g.zero_grad()
        terms["loss"].backward()
    opt_g.step()
    ema.update()
    for schedule in schedules:
        schedule.step()
    run.log(**terms, **{f"d_{name}": value for name, value in judged.items()})
    if run.every(500, soon=30):
        run.picture("translated", shown, value_range=(-1, 1), nrow=10)

# --- what it learned ------------------------------------------------------------------------------
ema.copy_to()
made, again = (tg.cat([model.translate(part, seeded(seed)) for part in told.split(100)])
               for seed in (1, 2))  # fmt: skip
look = nets.perceptual().to(args.device)
apart = lambda a, b: look(*(p.expand(-1, 3, -1, -1) for p in (a, b))).mean().item()
print(f"{' to '.join(args.folders or [args.data])}: {args.steps} steps in {run.seconds:.1f} s, "
      f"seed {args.seed}; {len(told)} held-out pairs")  # fmt: skip
psnr = metrics.psnr(made, real, data_range=2.0).mean().item()
print(
    f"near: PSNR {psnr:.2f} dB, P to the answer {apart(made, real):.3f}; diversity: P of two "
    f"translations {apart(made, again):.3f}, of two answers {apart(real, real.roll(1, 0)):.3f}"
)
if made.shape[1:] == (3, 32, 32):
    features = [metrics.emoji_classifier().features(p.cpu()) for p in (made, real, train[1])]
    colour = [p.std(1).mean().item() for p in (made, real)]
    print(f"like data: Frechet {metrics.frechet_distance(*features[:2]):.2f} (of training pictures "
          f"{metrics.frechet_distance(*features[1:]):.2f}), {colour[0] / colour[1]:.2f} times the "
          "colour of the answers")  # fmt: skip
if args.data == "labels" and not args.folders:
    scenes = [read(picture) for picture in (made.cpu() + 1.0) / 2.0]
    right = [found is not None and sorted(thing.shape for thing in found.things)
             == sorted(thing.shape for thing in asked.things)
             for found, asked in zip(scenes, truth.details["scenes"])]  # fmt: skip
    print(f"an oracle reads the right shapes in {100 * sum(right) / len(right):.1f} % of them")
report = Report(args.out, model)
rows = {"given, translated, answer": (told, made, real)}
if args.data == "lines" and not args.folders:
    sketches = data.to_symmetric(truth.details["symbola"]).to(args.device)
    rows["drawings by another hand"] = (sketches, model.translate(sketches, seeded(3)))
for name, title, parts in zip(("samples", "sketches"), rows, rows.values()):
    some = [p[:: len(p) // 20 or 1][:20].expand(-1, 3, -1, -1) for p in parts]
    bands = [p[i : i + 10] for i in (0, 10) for p in some]  # rows of ten, one kind below another
    report.grid(name, tg.cat(bands), title=title)
report.curves("distance", *["adversarial", "d_loss"] * bool(args.judge))
report.close()
report.translated(args.input, seeded(args.seed))
