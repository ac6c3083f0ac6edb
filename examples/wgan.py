"""Train a Wasserstein GAN with weight clipping on small images, or beside the exact W1 on a line.

    python examples/wgan.py                       # digits
    python examples/wgan.py --data fashion --net mlp --steps 4000
    python examples/wgan.py --line                # two lines: the critic's estimate beside W1
    python examples/wgan.py --clip 0              # refused: without a bound it is no distance
    python examples/wgan.py --resume

Expect: 2 min on 2 cores; Frechet 0.4 to 1.1, all ten classes: even the order of sums changes it.

A critic f (no sigmoid: any number) is trained to make E[f(x)] - E[f(G(z))] as large as it can. Were
f's slope at most 1, the best f would give W1(p_d, p_g), the least work of moving one law onto the
other (Kantorovich and Rubinstein). Clipping all weights to [-c, c] after each step bounds the slope
by some K that nobody knows, so the gap estimates K W1: only its way down means something. Digits
come out whole but soft: clipped weights make a critic too simple for fine strokes. A gradient
penalty bounds the slope alone and draws them sharper, `gan.py --data digits --objective wgan_gp`.

Arjovsky et al. 2017, "Wasserstein GAN" (arXiv:1701.07875): RMSprop, c = 0.01, 5 critic steps a
generator step and 100 at the start. --line is the paper's Example 1: data (0, u), samples
(theta, u), two parallel lines. W1 = |theta|, of slope 1, shows the way; the Jensen-Shannon
divergence is log 2 wherever they are apart, of slope 0. There K is measured and the critic's gap
divided by it.
"""

import tinygen as tg
from tinygen import data, metrics, plot
from tinygen.models import gan
from tinygen.models.gan import wgan
from tinygen.plot.report import Report
from tinygen.run import Run, count, fraction, options, positive, whole

parser = options(__doc__, "wgan", steps=1500, batch=64, lr=2e-4)
parser.add_argument("--line", action="store_true", help="instead: two parallel lines")
parser.add_argument("--critic-steps", type=count, default=5, help="critic steps for each of G (5)")
parser.add_argument("--warm", type=whole, default=10, help="first steps of G with 50 instead (10)")
parser.add_argument("--lr-critic", type=positive, default=2e-4, help="the critic's step size")
parser.add_argument("--clip", type=positive, default=0.01, help="c, bound of its weights (0.01)")
parser.add_argument("--net", choices=["dcgan", "mlp"], default="dcgan", help="the two networks")
parser.add_argument("--width", type=count, default=32, help="channels of the dcgan, at full size")
parser.add_argument("--latent", type=count, default=32, help="dimensions of z (32)")
parser.add_argument("--ema", type=fraction, default=0.99, help="decay of G's average (0.99)")
if parser.parse_known_args()[0].line:
    parser.set_defaults(steps=300, lr=5e-3, lr_critic=2e-3, clip=0.1, latent=1)
args = parser.parse_args()

# --- data -------------------------------------------------------------------------------------
tg.manual_seed(args.seed)
if args.line:
    train = tg.stack([tg.zeros(10_000), tg.randn(10_000)], 1)
else:
    train_set = data.load(args.data, root=args.root, download=args.download)
    train = train_set.to_symmetric()  # grey values in [-1, 1]
seeded = lambda seed: tg.Generator(args.device).manual_seed(seed)

# --- model and optimizers ---------------------------------------------------------------------
config = vars(args) | {"shape": train.shape[1:]}  # models.restore builds it from this again
model = wgan.build(config).to(args.device)
loader = data.DataLoader(data.TensorDataset(train), args.batch, shuffle=True, drop_last=True)
batches = loader.forever()
opt_g = tg.optim.RMSprop(model.G.parameters(), lr=args.lr)  # no momentum: the critic's loss moves
opt_d = tg.optim.RMSprop(model.D.parameters(), lr=args.lr_critic)
ema = tg.optim.EMA(model.G, args.ema)


def estimate(f: tg.nn.Module, x: tg.Tensor, y: tg.Tensor) -> tuple[float, float]:
    """The gap of the critic divided by the largest slope it has between these points; the slope."""
    with tg.no_grad():
        gap = (f(x).mean() - f(y).mean()).item()
        slope = metrics.critic_slope(f, x, y)
    return gap / max(slope, 1e-12), slope


def new_critic(theta: float, steps: int = 400) -> tuple[float, float]:
    """The estimate, and the slope, of a critic trained for one theta alone."""
    G, f = wgan.Line(theta), wgan.line_critic()
    draw = lambda n: G(tg.randn(n, 1)).detach()
    opt = tg.optim.RMSprop(f.parameters(), lr=5e-3)
    for step in range(steps):
        opt.param_groups[0]["lr"] = gan.ramp(step, 5e-3, 0.0, steps)
        loss = gan.critic_gap(f(train[step * 20 : step * 20 + 64]), f(draw(64)))
        opt.zero_grad()
        loss.backward()
        opt.step()
        tg.optim.clip_weights_(f.parameters(), args.clip)
    return estimate(f, train[:300], draw(300))


# --- loop -------------------------------------------------------------------------------------
run = Run(args.out, config=config, resume=args.resume, system="wgan")
run.track(model=model, opt_g=opt_g, opt_d=opt_d, ema=ema, loader=loader)
for step in run.steps(args.steps):
    for _ in range(gan.d_steps(step, args.critic_steps, args.warm, many=50)):
        (x,) = next(batches)
        terms = model.discriminator_terms((x.to(args.device),))
        opt_d.zero_grad()
        terms["loss"].backward()
        opt_d.step()
        tg.optim.clip_weights_(model.D.parameters(), args.clip)
    with gan.frozen(model.D):
        loss = model.generator_terms(args.batch)["loss"]
        opt_g.zero_grad()
        loss.backward()
    opt_g.step()
    ema.update()
    run.log(gap=-terms["loss"])
    if run.every(100):
        warning = gan.collapse(model.sample(64, seeded(2)), train[:64])
        if warning:
            run.say(f"step {step}: {warning}")
    if args.line and (run.every(10) or run.last):
        w1, _ = estimate(model.D, train[:300].to(args.device), model.sample(300, seeded(2)))
        run.log(w1=abs(model.G.theta.item()), w1_critic=w1)
    if run.every(500, soon=30) and not args.line:
        run.picture("samples", lambda: model.sample(64, seeded(2)), value_range=(-1, 1))

# --- what it learned --------------------------------------------------------------------------
ema.copy_to()
report = Report(args.out, model)
largest = gan.max_weight(model.D.parameters())
print(f"{args.steps} steps in {run.seconds:.1f} s, seed {args.seed}; "
      f"max |w| of the critic {largest:.4g}")  # fmt: skip
if args.line:
    w1, k = estimate(model.D, train[:300].to(args.device), model.sample(300, seeded(2)))
    theta = abs(model.G.theta.item())
    print(f"W1 = |theta| = {theta:.4f}; the critic's gap / K {w1:.4f}, K >= {k:.3g}")
    out = report.folder
    plot.curves(out / "log.jsonl", keys=["w1", "w1_critic"], path=out / "w1.png")
    print("critics trained for one theta each:  theta   W1   gap / K      K   JS / log 2")
    for theta in (-1.0, -0.3, 0.1, 0.3, 1.0, 2.0):
        w1, k = new_critic(theta)
        print(f"{theta:42.1f} {abs(theta):4.1f} {w1:9.3f} {k:6.3g} {1:9}")
else:
    report.grid("samples", model.sample(100, seeded(2)))
    codes = model.draw(16, seeded(3))
    report.walks(codes[:8], codes[8:])
    codes = model.draw(1000, seeded(4))
    pictures = model.decode(codes)
    nearest = report.neighbours(pictures, train)
    report.sums(codes, train_set.labels.numpy()[nearest])  # a code's class: that of the nearest
    if args.data == "digits":
        report.digits(train, pictures)
report.curves("gap")
report.close()
