"""Train a denoising diffusion model on small images and draw new ones.

    python examples/ddpm.py                                  # digits, some minutes on a CPU
    python examples/ddpm.py --parameterisation eps --schedule linear_scaled
    python examples/ddpm.py --loss vlb                       # better bits/dim, worse pictures?
    python examples/ddpm.py --data fashion --width 32 --epochs 10 --device cuda
    python examples/ddpm.py --resume                         # go on where the last run stopped
    python examples/sample.py runs/ddpm/last.npz --sampler ddim --steps 20 --guidance 2

An image x_0 is noised in T small steps; after t of them it is

    x_t = a_t x_0 + s_t eps,      eps ~ N(0, I)       (variance-preserving: a_t^2 + s_t^2 = 1)

A U-Net sees x_t, t and the label and is asked for eps, x_0 or v = a_t eps - s_t x_0: it learns to
denoise, at every level of noise. Sampling begins with pure noise and takes the T steps back. Three
labels in ten are hidden from the network, so that it also knows the law of all images, and
`guidance` can exaggerate what a label adds. All is in the folder --out.
"""

import time
from pathlib import Path

import tinygen as tg
from tinygen import data, plot
from tinygen.models import diffusion
from tinygen.models.diffusion import ddpm
from tinygen.optim.lr_scheduler import CosineAnnealingLR
from tinygen.run import Run, count, device, fraction, options, positive, whole

parser = options(__doc__)
parser.add_argument("--data", default="digits", help="digits (bundled), fashion, mnist or kmnist")
parser.add_argument("--root", help="the folder that holds the files of --data")
parser.add_argument("--download", action="store_true", help="fetch the files of --data if missing")
parser.add_argument("--device", type=device, default="cpu", help="cpu or cuda")
parser.add_argument("--epochs", type=count, default=300, help="passes over the training images")
parser.add_argument("--batch", type=count, default=64, help="images a step")
parser.add_argument("--lr", type=positive, default=2e-3,
                    help="Adam's step size; falls to 0 (cosine)")  # fmt: skip
parser.add_argument("--width", type=count, default=16, help="channels at full size")
parser.add_argument("--depth", type=count, default=1, help="residual blocks at each size")
parser.add_argument("--T", type=count, default=200, help="steps of the chain")
parser.add_argument("--schedule", choices=sorted(diffusion.SCHEDULES), default="cosine")
parser.add_argument("--parameterisation", choices=diffusion.KINDS, default="v",
                    help="what the network is asked for")  # fmt: skip
parser.add_argument("--loss", choices=[*diffusion.WEIGHTS, "hybrid"], default="simple",
                    help="weight of the steps; hybrid also learns the variance")  # fmt: skip
parser.add_argument("--drop", type=fraction, default=0.3, help="share of labels that are hidden")
parser.add_argument("--ema", type=fraction, default=0.995, help="decay of the averaged weights")
parser.add_argument("--guidance", type=float, default=1.5, help="of the samples at the end")
parser.add_argument("--seed", type=whole, default=0)
parser.add_argument("--out", default="runs/ddpm", help="folder of this run")
parser.add_argument("--resume", action="store_true", help="go on with the run in --out")
args = parser.parse_args()

# --- data -------------------------------------------------------------------------------------
tg.manual_seed(args.seed)
train_set, test_set = (
    data.load(args.data, split, root=args.root, download=args.download)
    for split in ("train", "test")
)
train, test = train_set.to_symmetric(), test_set.to_symmetric()  # in [-1, 1]
levels, classes = train_set.maximum + 1, len(train_set.classes)
shape = train.shape[1:]
loader = data.DataLoader(
    data.TensorDataset(train, train_set.labels), args.batch, shuffle=True, drop_last=True
)

# --- model ------------------------------------------------------------------------------------
config = vars(args) | {"shape": shape, "classes": classes}  # what sample.py makes it from again
model = ddpm.image_model(config).to(args.device)  # a U-Net and what it is asked for
print(f"{model.process}; {sum(p.numel() for p in model.parameters()):,} parameters")

# --- optimizer --------------------------------------------------------------------------------
steps = args.epochs * len(loader)
opt = tg.optim.Adam(model.parameters(), lr=args.lr)
schedule = CosineAnnealingLR(opt, T_max=steps)
ema = tg.optim.EMA(model, args.ema)  # warms up: its first averages are short


def loss_of(x: tg.Tensor, y: tg.Tensor) -> tg.Tensor:
    if args.loss == "hybrid":
        return diffusion.hybrid_loss(model, x, y, levels)
    return model.loss(x, y, args.loss)


def draw(n: int, **options: object) -> tg.Tensor:
    """n images a class, one class a row, by 50 steps of DDIM."""
    labels = tg.tensor([k for k in range(classes) for _ in range(n)])
    options = {"sampler": "ddim", "steps": min(50, args.T)} | options
    return diffusion.sample(model, (len(labels), *shape), y=labels, **options)


# --- loop -------------------------------------------------------------------------------------
run = Run(args.out, config=config, resume=args.resume)
run.track(model=model, opt=opt, schedule=schedule, ema=ema, loader=loader)
began = time.perf_counter()
for _, (x, y) in zip(run.steps(steps), loader.forever()):
    loss = loss_of(x.to(args.device), y)
    opt.zero_grad()
    loss.backward()
    tg.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    opt.step()
    schedule.step()
    ema.update()
    run.log(loss=loss)
    if run.every(50 * len(loader)):
        with ema.swap():
            run.picture("samples", lambda: draw(8), clip=True, value_range=(-1, 1))
seconds = time.perf_counter() - began

# --- what it learned ----------------------------------------------------------------------------
out, look = Path(args.out), {"clip": True, "value_range": (-1, 1)}
print(f"{steps} steps in {seconds:.1f} s, seed {args.seed}; {args.data}")
with ema.swap():
    seen = test[:100].to(args.device)
    bound = diffusion.vlb(
        model, seen, test_set.labels[:100], levels, tg.Generator(args.device).manual_seed(1)
    )
    bits = diffusion.bits_per_dim(bound.total, seen[0].numel())
    print(f"bound on {len(seen)} test images: {bound.total.mean().item():.2f} nats"
          f"  =  prior {bound.prior.mean().item():.3f}"
          f"  +  steps {bound.steps.sum(1).mean().item():.2f}"
          f"  +  decoder {bound.decoder.mean().item():.2f}")  # fmt: skip
    print(f"                          {bits.mean().item():.3f} bits/dim, {levels} grey levels")
    fixed = lambda: tg.Generator(args.device).manual_seed(4)  # noqa: E731
    guided = draw(10, guidance=args.guidance, generator=fixed())
    ancestral = draw(10, sampler="ancestral", steps=None, generator=fixed())
    frames = diffusion.chain(
        model, (64, *shape), "ddim", min(50, args.T), generator=fixed(), y=classes
    )
    size = max(1, 48 // shape[2])  # of a pixel
    plot.gif((plot.grid_array(x, **look).repeat(size, 0).repeat(size, 1) for _, x in frames),
             out / "chain.gif", fps=15, pause=2)  # fmt: skip
raw = draw(10, generator=fixed())
title = f"{args.data}: a class a row"
for name, images, how in (
    ("guided", guided, f"guidance {args.guidance:g}"),
    ("ancestral", ancestral, "ancestral"),
    ("raw", raw, "without averaged weights"),
):
    path = out / f"{name}.png"
    plot.image_grid(images, nrow=10, title=f"{title}, {how}", path=path, **look)
plot.curves(out / "log.jsonl", keys=["loss"], path=out / "curves.png")
print(f"pictures in {out}/: guided.png, ancestral.png, raw.png, curves.png, chain.gif")
