"""Draw samples from a checkpoint of any example: it knows its system and how it was built.

    python examples/sample.py vae-fashion                    # pretrained: no run is needed
    python examples/sample.py runs/vae/last.npz
    python examples/sample.py runs/cgan/last.npz --n 100 --labels 3 --seed 1 --out threes.png
    python examples/sample.py runs/ddpm/last.npz --sampler ddim --steps 20 --guidance 2
    python examples/sample.py runs/ddpm/last.npz --inpaint   # the right half, given the left one
    python examples/sample.py text_to_image --captions "a green triangle" "a red cross, at night"
    python examples/sample.py runs/pix2pix/last.npz --input sketch.png   # sketch-translated.png

`tinygen sample ...` is the same. Averaged weights are used where the run kept them, unless --raw. A
model that knows labels draws a class a row unless --labels are given, one that reads captions
draws --n pictures of each. A pretrained diffusion model takes 20 steps of DDIM unless told, so that
it is quick. A VAE of two codes also draws its plane.
"""

import time
from pathlib import Path

import tinygen as tg
from tinygen import data, plot
from tinygen.models import diffusion, gan, pretrained, restore, text, vq
from tinygen.plot.report import Report
from tinygen.run import count, device, fraction, non_negative, options, whole

parser = options(__doc__)
parser.add_argument("checkpoint", type=Path, help="last.npz of a run of one of the examples, or "
                    f"one of {', '.join(pretrained())}")  # fmt: skip
parser.add_argument("--n", type=count, help="samples (100), or of each of --captions (8)")
parser.add_argument("--labels", type=whole, nargs="+", metavar="K", help="classes, in equal parts")
parser.add_argument("--captions", nargs="+", metavar="TEXT", help="what to draw, in words")
parser.add_argument("--input", type=Path, nargs="+", metavar="FILE", help="what to translate")
parser.add_argument("--seed", type=whole, default=0, help="of the samples (0)")
parser.add_argument("--raw", action="store_true", help="the weights without their average")
parser.add_argument("--device", type=device, default="cpu", help="cpu or cuda")
parser.add_argument("--out", type=Path, help="the picture; beside the checkpoint unless given")
chain = parser.add_argument_group("for diffusion models").add_argument
ways = [
    chain("--sampler", choices=sorted(diffusion.SAMPLERS), help="the way back (ancestral)"),
    chain("--steps", type=count, help="of the sampler, at most T (all)"),
    chain("--eta", type=fraction, help="fresh noise of ddim, 0 .. 1 (0)"),
    chain("--variance", choices=["small", "large"], help="of ancestral's noise, else the model's"),
    chain("--guidance", type=non_negative, help="what a label adds: 1 is as it is, 2 a lot (1)"),
    chain("--threshold", type=fraction, help="quantile of dynamic thresholding, e.g. 0.99"),
    chain("--inpaint", action="store_true", default=None, help="complete halves of test images"),
    chain("--resample", type=count, help="passes a step of --inpaint (5)"),
]
chain("--root", help="the folder that holds the data's files, for --inpaint")
args = parser.parse_args()

# --- model ------------------------------------------------------------------------------------
slug, config, model = restore(args.checkpoint, averaged=not args.raw)
model.to(args.device)
if args.input and not hasattr(model, "translate"):
    parser.error(f"--input: the {slug} of {args.checkpoint} does not translate pictures")
if hasattr(model, "translate"):
    if not args.input:
        parser.error(f"{args.checkpoint} holds a {slug}, which translates: give it --input FILE")
    generator = tg.Generator(args.device).manual_seed(args.seed)
    raise SystemExit(Report(args.checkpoint.parent, model).translated(args.input, generator))
if not hasattr(model, "sample"):
    parser.error(f"{args.checkpoint} holds a {slug}, which does not draw: see examples/{slug}.py")
given = {way.dest: getattr(args, way.dest) for way in ways if getattr(args, way.dest) is not None}
if given and not isinstance(model, (diffusion.DDPM, vq.LatentDiffusion)):
    names = ", ".join(f"--{name}" for name in given)
    parser.error(f"{names}: for diffusion models, but {args.checkpoint} holds a {slug}")
if args.inpaint and (len(model.shape) != 3 or isinstance(model, vq.LatentDiffusion)):
    parser.error(f"--inpaint: for diffusion of pixels, but {args.checkpoint} holds a {slug}")
if args.labels and not model.classes:
    parser.error(f"--labels: the {slug} of {args.checkpoint} was trained without labels")
if args.labels and max(args.labels) >= model.classes:
    parser.error(f"--labels: expected 0..{model.classes - 1}, got {max(args.labels)}")

if args.captions and not isinstance(model, (text.TextToImage, text.UnCLIP, gan.TextGAN)):
    parser.error(f"--captions: the {slug} of {args.checkpoint} does not read")

args.n = args.n or (8 if args.captions else 100)
named = str(args.checkpoint) in pretrained()
if named and slug in ("ddpm", "text_to_image") and not {"sampler", "steps"} & set(given):
    given |= {"sampler": "ddim", "steps": 20}
if args.captions:
    given = {name: config[name] for name in ("guidance",) if name in config} | given
    given["captions"] = [said for said in args.captions for _ in range(args.n)]
    args.n = len(given["captions"])

# --- samples ----------------------------------------------------------------------------------
labels = None
if model.classes:
    chosen = tg.tensor(args.labels or list(range(model.classes)))
    labels = chosen[tg.arange(args.n) * len(chosen) // args.n].to(args.device)
if given.pop("inpaint", False):
    test = data.load(config["data"], "test", root=args.root)
    known, labels = test.to_symmetric()[: args.n].to(args.device), test.labels[: args.n]
    mask = tg.zeros(1, *model.shape, device=args.device)
    mask[..., : model.shape[2] // 2] = 1.0
    given = {"resample": 5} | given | {"known": (mask, known)}
    args.n = len(known)
began = time.perf_counter()
with tg.no_grad():
    generator = tg.Generator(args.device).manual_seed(args.seed)
    samples = model.sample(args.n, generator, labels, **given)
seconds = time.perf_counter() - began

# --- picture ----------------------------------------------------------------------------------
how = [str(given[name]) for name in ("sampler", "steps") if name in given]
kind = str(args.checkpoint) if named else "sample"
name = "-".join([kind, *how, *["inpaint"] * bool(args.inpaint)])
out = args.out or args.checkpoint.parent / f"{name}.png"
look = {"value_range": model.pixels, "clip": True, "path": out}
if args.inpaint:
    plot.reconstruction_pairs(known[:20], samples[:20], labels=("original", "completed"), **look)
elif args.captions:
    plot.captioned(samples, args.captions, **look)
elif samples.ndim == 2:
    plot.samples_2d(samples, path=out)
else:
    plot.image_grid(samples, nrow=10, **look)
print(f"{args.n} samples of a {slug} in {seconds:.1f} s: {out}")
if slug == "vae" and model.latent == 2 and not model.classes:
    plane = out.with_name(f"{out.stem}-plane.png")
    plot.latent_manifold(model.decode, 20, clip=True, device=args.device, path=plane)
    print(f"what its plane of codes decodes to: {plane}")
