"""Train a Wasserstein GAN with weight clipping on small images, or beside the exact W1 on a line.

    python examples/wgan.py                       # digits, two minutes
    python examples/wgan.py --data fashion --net mlp --steps 4000
    python examples/wgan.py --line                # two lines: the critic's estimate beside W1
    python examples/wgan.py --clip 0              # refused: without a bound it is no distance
    python examples/wgan.py --resume

A critic f (no sigmoid: any number) is trained to make E[f(x)] - E[f(G(z))] as large as it can. Were
f's slope at most 1, the best f would give W1(p_d, p_g), the least work of moving one law onto the
other (Kantorovich and Rubinstein). Clipping all weights to [-c, c] after each step bounds the slope
by some K that nobody knows, so the gap estimates K W1: only its way down means something.

Arjovsky et al. 2017, "Wasserstein GAN" (arXiv:1701.07875): RMSprop, c = 0.01, 5 critic steps a
generator step and 100 at the start. --line is the paper's Example 1: data (0, u), samples
(theta, u), two parallel lines. W1 = |theta|, of slope 1, shows the way; the Jensen-Shannon
divergence is log 2 wherever they are apart, of slope 0. There K is measured and the critic's gap
divided by it.
"""

import time
from pathlib import Path

import tinygen as tg
from tinygen import data, metrics, plot
from tinygen.models import gan, gan_devices, gan_nets, latent
from tinygen.run import Run, count, device, fraction, options, positive, whole

parser = options(__doc__)
parser.add_argument("--data", default="digits", help="digits (bundled), fashion, mnist or kmnist")
parser.add_argument("--root", help="the folder that holds the files of --data")
parser.add_argument("--line", action="store_true", help="instead: two parallel lines")
parser.add_argument("--device", type=device, default="cpu", help="cpu or cuda")
parser.add_argument("--steps", type=count, help="steps of the generator: 1500, 300 for --line")
parser.add_argument("--critic-steps", type=count, default=5, help="critic steps for each of those")
parser.add_argument("--warm", type=whole, default=10, help="first generator steps with 50 instead")
parser.add_argument("--batch", type=count, default=64, help="examples a step")
parser.add_argument("--lr", type=positive,
                    help="G's step size (RMSprop): 2e-4, 5e-3 for --line")  # fmt: skip
parser.add_argument("--lr-critic", type=positive, help="the critic's: 2e-4, 2e-3 for --line")
parser.add_argument("--clip", type=positive,
                    help="c, the bound of the critic's weights: 0.01, 0.1 for --line")  # fmt: skip
parser.add_argument("--net", choices=["dcgan", "mlp"], default="dcgan", help="the two networks")
parser.add_argument("--width", type=count, default=32, help="channels of the dcgan, at full size")
parser.add_argument("--latent", type=count, default=32, help="dimensions of z")
parser.add_argument("--ema", type=fraction, default=0.99, help="decay of G's average")
parser.add_argument("--seed", type=whole, default=0)
parser.add_argument("--out", default="runs/wgan", help="folder of this run")
parser.add_argument("--resume", action="store_true", help="go on with the run in --out")
args = parser.parse_args()
own = {"steps": 300, "lr": 5e-3, "lr_critic": 2e-3, "clip": 0.1} if args.line else {
    "steps": 1500, "lr": 2e-4, "lr_critic": 2e-4, "clip": 0.01,
}  # fmt: skip
for name, value in own.items():
    if getattr(args, name) is None:
        setattr(args, name, value)

# --- data and networks ------------------------------------------------------------------------
tg.manual_seed(args.seed)


class Line(tg.nn.Module):
    """Samples (theta, z): all that there is to learn is theta."""

    def __init__(self, theta: float) -> None:
        super().__init__()
        self.theta = tg.nn.Parameter(tg.tensor([theta]))

    def forward(self, z: tg.Tensor) -> tg.Tensor:
        return tg.stack([self.theta.expand(len(z)), z[:, 0]], 1)


if args.line:
    train = tg.stack([tg.zeros(10_000), tg.randn(10_000)], 1)
    generator, critic, args.latent = Line(2.0), gan_nets.mlp((2,), 1, 64, 2)[1], 1
else:
    train_set = data.load(args.data, root=args.root)
    train = train_set.to_symmetric()  # grey values in [-1, 1]
    make = gan_nets.dcgan if args.net == "dcgan" else gan_nets.mlp
    width = {"width": args.width} if args.net == "dcgan" else {"hidden": 256, "tanh": True}
    generator, critic = make(train.shape[1:], args.latent, **width)
loader = data.DataLoader(data.TensorDataset(train), args.batch, shuffle=True, drop_last=True)
batches = loader.forever()
model = gan.GAN(generator, critic, "wgan", args.latent, clip=args.clip).to(args.device)

# --- optimizers -------------------------------------------------------------------------------
opt_g = tg.optim.RMSprop(model.generator.parameters(), lr=args.lr)
opt_c = tg.optim.RMSprop(model.discriminator.parameters(), lr=args.lr_critic)
gan_devices.clip_after_step(opt_c, args.clip)
ema = tg.optim.EMA(model.generator, args.ema)


def samples(n: int, seed: int = 2) -> tg.Tensor:
    return model.sample(n, tg.Generator(args.device).manual_seed(seed))


def estimate(f: tg.nn.Module, x: tg.Tensor, y: tg.Tensor) -> tuple[float, float]:
    """The gap of the critic divided by the largest slope it has between these points; the slope."""
    with tg.no_grad():
        gap = (f(x).mean() - f(y).mean()).item()
        slope = metrics.critic_slope(f, x, y)
    return gap / max(slope, 1e-12), slope


def line_report() -> dict[str, float]:
    found, slope = estimate(model.discriminator, train[:300], samples(300))
    return {"w1": abs(model.generator.theta.item()), "w1_critic": found, "k": slope}


def new_critic(theta: float, steps: int = 400) -> tuple[float, float]:
    """The estimate, and the slope, of a critic trained for one theta alone."""
    generator, f = Line(theta), gan_nets.mlp((2,), 1, 64, 2)[1]
    draw = lambda n: generator(tg.randn(n, 1)).detach()  # noqa: E731
    opt = gan_devices.clip_after_step(tg.optim.RMSprop(f.parameters(), lr=5e-3), args.clip)
    for step in range(steps):
        opt.param_groups[0]["lr"] = gan_devices.linear(step, 5e-3, 0.0, steps)
        some = train[step * 20 : step * 20 + 64]
        loss = gan.critic_gap(f(some), f(draw(64)))
        opt.zero_grad()
        loss.backward()
        opt.step()
    return estimate(f, train[:300], draw(300))


# --- loop -------------------------------------------------------------------------------------
run = Run(args.out, config=args, resume=args.resume)
run.track(model=model, opt_g=opt_g, opt_c=opt_c, ema=ema, loader=loader)
began = time.perf_counter()
for step in run.steps(args.steps):
    for _ in range(gan_devices.d_steps(step, args.critic_steps, args.warm, many=50)):
        (x,) = next(batches)
        terms = model.discriminator_loss(x.to(args.device))
        opt_c.zero_grad()
        terms.loss.backward()
        opt_c.step()
    with gan_devices.frozen(model.discriminator):
        loss = model.generator_loss(args.batch)
        opt_g.zero_grad()
        loss.backward()
    opt_g.step()
    ema.update()
    run.log(gap=-terms.loss)
    if run.every(100):
        warning = gan_devices.collapse(samples(64), train[:64])
        if warning:
            run.say(f"step {step}: {warning}")
    if args.line and (run.every(10) or run.last):
        run.log(**line_report())
    if run.every(500) and not args.line:
        run.picture("samples", lambda: samples(64), value_range=(-1, 1))
seconds = time.perf_counter() - began

# --- what it learned ----------------------------------------------------------------------------
ema.copy_to()
out = Path(args.out)
largest = gan_devices.max_weight(model.discriminator.parameters())
print(
    f"{args.steps} steps in {seconds:.1f} s, seed {args.seed}; max |w| of the critic {largest:.4g}"
)
if args.line:
    found = line_report()
    print(f"W1 = |theta| = {found['w1']:.4f}; the critic's gap / K {found['w1_critic']:.4f}, "
          f"K >= {found['k']:.3g}")  # fmt: skip
    plot.curves(out / "log.jsonl", keys=["w1", "w1_critic"], path=out / "w1.png")
    print("critics trained for one theta each:  theta   W1   gap / K      K   JS / log 2")
    for theta in (-1.0, -0.3, 0.1, 0.3, 1.0, 2.0):
        found, slope = new_critic(theta)
        print(f"{theta:42.1f} {abs(theta):4.1f} {found:9.3f} {slope:6.3g} {1:9}")
else:
    plot.image_grid(samples(100), nrow=10, value_range=(-1, 1), path=out / "samples.png")
    codes = model.draw(16, tg.Generator(args.device).manual_seed(3))
    between = latent.interpolate(codes[:8], codes[8:], 10, spherical=True)
    with tg.no_grad():
        walk = model.generator.eval()(between.transpose(0, 1).flatten(0, 1))
    plot.image_grid(walk, nrow=10, value_range=(-1, 1), path=out / "interpolation.png")
    codes = model.draw(1000, tg.Generator(args.device).manual_seed(4))
    with tg.no_grad():
        pictures = model.generator(codes)
    if args.data == "digits":
        judge = metrics.digits_classifier()
        x, y = judge.features(train[:1000]), judge.features(pictures)
        counts = metrics.class_counts(judge.probabilities(pictures))
        print(f"Frechet distance {metrics.frechet_distance(x, y):.3f} in our classifier's features "
              f"(1000 of each), samples by class {counts}")  # fmt: skip
    _, nearest = metrics.nearest_neighbours(pictures, train[:10_000])
    beside = tg.cat([pictures[:10], train[nearest[:10, 0].tolist()]])
    plot.image_grid(beside, nrow=10, value_range=(-1, 1), path=out / "neighbours.png")
    # Vector arithmetic: a code's class is that of the training picture nearest to its sample.
    labels = train_set.labels.numpy()[nearest[:, 0]]
    sums = latent.class_sums(codes, labels, [(8, 3, 9), (0, 1, 7), (4, 9, 5), (6, 0, 3)])
    if len(sums):
        with tg.no_grad():
            made = model.generator(sums)
        plot.image_grid(made, nrow=4, value_range=(-1, 1), title="a, b, c, a - b + c",
                        path=out / "arithmetic.png")  # fmt: skip
plot.curves(out / "log.jsonl", keys=["gap"], path=out / "curves.png")
names = sorted(path.name for path in out.glob("*.png") if "-" not in path.name)
print(f"pictures in {out}/: {', '.join(names)}")
