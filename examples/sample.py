"""Draw images from a model that examples/ddpm.py trained.

    python examples/sample.py runs/ddpm/last.npz                              # all T steps
    python examples/sample.py runs/ddpm/last.npz --sampler ddim --steps 20 --guidance 2
    python examples/sample.py runs/ddpm/last.npz --label 3 --sampler heun --steps 10
    python examples/sample.py runs/ddpm/last.npz --inpaint   # the right half, given the left one

The settings of the model are read from config.json beside the checkpoint. The averaged weights are
used unless --raw. Without --label each row is a class.
"""

import time
from pathlib import Path

import tinygen as tg
from tinygen import data, plot
from tinygen.models import ddpm, diffusion
from tinygen.run import count, device, fraction, load_run, options, whole

parser = options(__doc__)
parser.add_argument("checkpoint", type=Path, help="last.npz of a run of ddpm.py")
parser.add_argument("--sampler", choices=sorted(diffusion.SAMPLERS), default="ancestral")
parser.add_argument("--steps", type=count, help="of the sampler, at most T")
parser.add_argument("--eta", type=fraction, default=0.0, help="fresh noise of ddim, 0 .. 1")
parser.add_argument("--variance", choices=("small", "large"),
                    help="of ancestral's noise, beta-tilde or beta; else the model's")  # fmt: skip
parser.add_argument("--guidance", type=float, default=1.0, help="1 is none, 2 a lot")
parser.add_argument("--label", type=whole, help="a class; every class unless given")
parser.add_argument("--threshold", type=fraction,
                    help="quantile of dynamic thresholding, e.g. 0.99")  # fmt: skip
parser.add_argument("--inpaint", action="store_true", help="complete test images from a half")
parser.add_argument("--resample", type=count, default=5, help="passes a step of --inpaint")
parser.add_argument("--raw", action="store_true", help="the weights without their average")
parser.add_argument("--n", type=count, default=100, help="images")
parser.add_argument("--seed", type=whole, default=0)
parser.add_argument("--device", type=device, default="cpu", help="cpu or cuda")
parser.add_argument("--root", help="the folder that holds the data's files (--inpaint)")
parser.add_argument("--out", type=Path, help="the picture; beside the checkpoint unless given")
args = parser.parse_args()

# --- model ------------------------------------------------------------------------------------
try:
    config, state = load_run(args.checkpoint)
except FileNotFoundError as error:
    raise SystemExit(f"{error}; train a model with examples/ddpm.py first") from None
model = ddpm.image_model(config)
model.load_state_dict(state["model"])
if not args.raw:
    model.load_state_dict(state["ema"]["shadow"], strict=False)  # parameters alone, no buffers
model.to(args.device)
shape, classes = config["shape"], config["classes"]

# --- samples ------------------------------------------------------------------------------------
generator = tg.Generator(args.device).manual_seed(args.seed)
labels = tg.arange(args.n) * classes // args.n if args.label is None else args.label
options = {
    "eta": args.eta, "variance": args.variance,
    "guidance": args.guidance, "threshold": args.threshold,
}  # fmt: skip
if args.inpaint:
    test = data.load(config["data"], "test", root=args.root)
    known, labels = test.to_symmetric()[: args.n].to(args.device), test.labels[: args.n]
    mask = tg.zeros(1, *shape, device=args.device)
    mask[..., : shape[2] // 2] = 1.0
    options |= {"known": (mask, known), "resample": args.resample}
began = time.perf_counter()
images = diffusion.sample(
    model, (args.n, *shape), args.sampler, args.steps,
    y=labels, generator=generator, **options,
)  # fmt: skip
seconds = time.perf_counter() - began

# --- pictures -----------------------------------------------------------------------------------
how = f"{args.sampler}-{args.steps or config['T']}" + ("-inpaint" if args.inpaint else "")
out = args.out or args.checkpoint.parent / f"sample-{how}.png"
look = {"value_range": (-1, 1), "clip": True, "path": out}
if args.inpaint:
    pair = ("original", "completed")
    plot.reconstruction_pairs(known[:20], images[:20], labels=pair, **look)
else:
    title = f"{config['data']}, {how} steps, guidance {args.guidance:g}"
    plot.image_grid(images, nrow=10, title=title, **look)
print(f"{args.n} images by {how} in {seconds:.1f} s: {out}")
