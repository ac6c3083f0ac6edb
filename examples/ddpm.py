"""Train a denoising diffusion model on small images and draw new ones.

    python examples/ddpm.py                                  # digits
    python examples/ddpm.py --parameterisation eps --schedule linear_scaled
    python examples/ddpm.py --loss vlb                       # better bits/dim, worse pictures?
    python examples/ddpm.py --data fashion                   # a first sketch, in a quarter hour
    python examples/ddpm.py --data fashion --width 32 --epochs 30 --device cuda
    python examples/ddpm.py --resume                         # go on where the last run stopped
    python examples/sample.py runs/ddpm/last.npz --sampler ddim --steps 20 --guidance 2

Expect: 5 to 8 min on 2 cores; 2.8 bits/dim on test images of 17 grey levels.

An image x_0 is noised in T small steps; after t of them it is

    x_t = a_t x_0 + s_t eps,      eps ~ N(0, I)       (variance-preserving: a_t^2 + s_t^2 = 1)

A U-Net sees x_t, t and the label and is asked for eps, x_0 or v = a_t eps - s_t x_0: it learns to
denoise, at every level of noise. Sampling begins with pure noise and takes the T steps back. Three
labels in ten are hidden from the network, so that it also knows the law of all images, and
`guidance` can exaggerate what a label adds. All is in the folder --out.
"""

import tinygen as tg
from tinygen import data, metrics, plot
from tinygen.models import diffusion
from tinygen.models.diffusion import ddpm
from tinygen.optim.lr_scheduler import CosineAnnealingLR
from tinygen.plot.report import Report
from tinygen.run import Run, count, fraction, non_negative, options, through

parser = options(__doc__, "ddpm", epochs={"digits": 300, "others": 3}, batch=64, lr=2e-3)
parser.add_argument("--width", type=count, default=16, help="channels at full size (16)")
parser.add_argument("--depth", type=count, default=1, help="residual blocks at each size (1)")
parser.add_argument("--T", type=count, default=200, help="steps of the chain (200)")
parser.add_argument("--schedule", choices=sorted(diffusion.SCHEDULES), default="cosine",
                    help="how a_t and s_t go from data to noise (cosine)")  # fmt: skip
parser.add_argument("--parameterisation", choices=diffusion.KINDS, default="v",
                    help="what the network is asked for (v)")  # fmt: skip
parser.add_argument("--loss", choices=[*diffusion.WEIGHTS, "hybrid"], default="simple",
                    help="weight of the steps; hybrid also learns the variance")  # fmt: skip
parser.add_argument("--drop", type=fraction, default=0.3, help="share of labels that are hidden")
parser.add_argument("--ema", type=fraction, default=0.995, help="decay of the averaged weights")
parser.add_argument("--guidance", type=non_negative, default=1.5, help="of the samples at the end")
args = parser.parse_args()

# --- data -------------------------------------------------------------------------------------
tg.manual_seed(args.seed)
train_set, test_set = (
    data.load(args.data, split, root=args.root, download=args.download)
    for split in ("train", "test")
)
train, test = train_set.to_symmetric(), test_set.to_symmetric()  # in [-1, 1]
levels, classes = train_set.maximum + 1, len(train_set.classes)
pairs = data.TensorDataset(train, train_set.labels)
loader = data.DataLoader(pairs, args.batch, shuffle=True, drop_last=True)
seeded = lambda seed: tg.Generator(args.device).manual_seed(seed)

# --- model ------------------------------------------------------------------------------------
config = vars(args) | {"shape": train.shape[1:], "classes": classes, "levels": levels}
model = ddpm.build(config).to(args.device)  # models.restore builds it from the config again
print(f"{model.process}; {sum(p.numel() for p in model.parameters()):,} parameters")

# --- optimizer --------------------------------------------------------------------------------
steps = args.epochs * len(loader)
opt = tg.optim.Adam(model.parameters(), lr=args.lr)
schedule = CosineAnnealingLR(opt, T_max=steps)  # lr falls to 0
ema = tg.optim.EMA(model, args.ema)  # warms up: its first averages are short


def draw(each: int, **options: object) -> tg.Tensor:
    """`each` images a class, one class a row, by 50 steps of DDIM."""
    labels = tg.arange(classes).repeat_interleave(each)
    how = {"sampler": "ddim", "steps": min(50, args.T)} | options
    return model.sample(len(labels), labels=labels, **how)


# --- loop -------------------------------------------------------------------------------------
run = Run(args.out, config=config, resume=args.resume, system="ddpm")
run.track(model=model, opt=opt, schedule=schedule, ema=ema, loader=loader)
for _, (x, labels) in zip(run.steps(steps), loader.forever()):
    terms = model.terms((x.to(args.device), labels))
    opt.zero_grad()
    terms["loss"].backward()
    tg.nn.utils.clip_grad_norm_(model.parameters(), 1.0)  # a rare steep batch does no harm
    opt.step()
    schedule.step()
    ema.update()
    run.log(**terms)
    if run.every(50 * len(loader), soon=30):
        with ema.swap():
            run.picture("samples", lambda: draw(8), clip=True, value_range=(-1, 1))

# --- what it learned --------------------------------------------------------------------------
print(f"{steps} steps in {run.seconds:.1f} s, seed {args.seed}; {args.data}")
report, out = Report(args.out, model), run.folder
with ema.swap():
    seen = test[:100].to(args.device)
    bound = diffusion.vlb(model, seen, test_set.labels[:100], levels, seeded(1),
                          progress=through)  # fmt: skip
    bits = metrics.bits_per_dim(bound.total.mean().item(), seen[0].numel())
    print(f"bound on {len(seen)} test images: {bound.total.mean().item():.2f} nats"
          f"  =  prior {bound.prior.mean().item():.3f}"
          f"  +  steps {bound.steps.sum(1).mean().item():.2f}"
          f"  +  decoder {bound.decoder.mean().item():.2f}")  # fmt: skip
    print(f"                          {bits:.3f} bits/dim, {levels} grey levels")
    title = f"{args.data}: a class a row,"
    guided = draw(10, guidance=args.guidance, generator=seeded(4))
    report.grid("guided", guided, title=f"{title} guidance {args.guidance:g}")
    ancestral = draw(10, sampler="ancestral", steps=None, generator=seeded(4))
    report.grid("ancestral", ancestral, title=f"{title} ancestral")
    start, steps = (64, *model.shape), min(50, args.T)
    path = list(diffusion.chain(model, start, "ddim", steps, generator=seeded(4), labels=classes))
    size = max(1, 48 // model.shape[2])  # of a pixel
    frames = diffusion.film(model.process, path)
    plot.gif((plot.grid_array(x, value_range=(-1, 1), clip=True).repeat(size, 0).repeat(size, 1)
              for _, x in frames), out / "chain.gif", fps=15, pause=2)  # fmt: skip
raw = draw(10, generator=seeded(4))
report.grid("raw", raw, title=f"{title} without averaged weights")
report.curves("loss")
report.close()
