"""Train a DCGAN on small images, with any objective and the devices that keep it alive.

    python examples/dcgan.py                                  # digits
    python examples/dcgan.py --objective hinge --norm spectral
    python examples/dcgan.py --objective wgan_gp --d-steps 3
    python examples/dcgan.py --encoding 32                    # D sees an encoder's codes, no pixels
    python examples/dcgan.py --data fashion --width 16 --steps 4000    # 28 x 28
    python examples/dcgan.py --resume

Expect: 2 min on 2 cores; Frechet 0.18, score 8.7 of 10.

G grows a picture out of a code by transposed convolutions of stride 2, D shrinks it to one number
by convolutions of stride 2; batch norm in both, but not at G's output nor at D's input (Radford et
al. 2015, tinygen/models/nets/dcgan.py).

At the end: samples, walks between codes, sums of codes (mean code of one class minus another's plus
a third's), nearest training pictures, and measures in our own classifier's features.
"""

import tinygen as tg
from tinygen import data
from tinygen.models import gan, nets
from tinygen.models.gan import dcgan
from tinygen.plot.report import Report
from tinygen.run import Run, count, fraction, non_negative, options, whole

ROWS = [name for name, row in gan.OBJECTIVES.items() if row.output != "energy"]  # that is began.py
BETAS = (0.5, 0.999)  # Adam's; with the usual 0.9 of the first the two players swing

parser = options(__doc__, "dcgan", steps=4000, batch=64, lr=5e-4)
parser.add_argument("--objective", choices=ROWS, default="non_saturating", metavar="ROW",
                    help=", ".join(ROWS))  # fmt: skip
parser.add_argument("--d-steps", type=count, default=1, help="steps of D for each of G (1)")
parser.add_argument("--norm", choices=["batch", "layer", "spectral", "none"],
                    help="D's norm: batch, but layer with a gradient penalty")  # fmt: skip
parser.add_argument("--virtual", type=whole, default=0,
                    help="reference batch of virtual batch norm in G")  # fmt: skip
parser.add_argument("--minibatch", type=whole, default=0,
                    help="kernels of minibatch discrimination in D")  # fmt: skip
parser.add_argument("--width", type=count, default=32, help="channels at full size (32)")
parser.add_argument("--latent", type=count, default=32, help="dimensions of z (32)")
parser.add_argument("--smoothing", type=fraction, default=0.0, help="one-sided label smoothing")
parser.add_argument("--noise", type=non_negative, default=0.0,
                    help="std of instance noise; falls to 0")  # fmt: skip
parser.add_argument("--pack", type=count, default=1, help="samples that D sees at once (PacGAN)")
parser.add_argument("--entropy", type=non_negative, default=0.0,
                    help="weight of the samples' entropy in G's loss")  # fmt: skip
parser.add_argument("--encoding", type=whole, default=0, metavar="N",
                    help="D sees N numbers of an encoder that was trained before")  # fmt: skip
parser.add_argument("--encoding-steps", type=count, default=500, help="of it (500)")
parser.add_argument("--pictures", type=count, help="the first so many alone (all)")
parser.add_argument("--ema", type=fraction, default=0.99, help="decay of G's average (0.99)")
args = parser.parse_args()

# --- data -------------------------------------------------------------------------------------
tg.manual_seed(args.seed)
train_set = data.load(args.data, root=args.root, download=args.download)
train = train_set.to_symmetric()  # in [-1, 1], as tanh makes them
known = train[: args.pictures]  # what the nets are shown
loader = data.DataLoader(data.TensorDataset(known), args.batch, shuffle=True, drop_last=True)
batches = loader.forever()
seeded = lambda seed: tg.Generator(args.device).manual_seed(seed)

# --- model and optimizers ---------------------------------------------------------------------
config = vars(args) | {"shape": train.shape[1:]}  # models.restore builds it from this again
model = dcgan.build(config).to(args.device)
opt_g = tg.optim.Adam(model.G.parameters(), lr=args.lr, betas=BETAS)
learns = [p for p in model.D.parameters() if p.requires_grad]
opt_d = tg.optim.Adam(learns, lr=args.lr, betas=BETAS)
ema = tg.optim.EMA(model.G, args.ema)

if args.encoding:  # the encoder of an autoencoder; it stays as it is from here on
    encoder = model.D[0].requires_grad_(True)
    decoder, _ = nets.dcgan(train.shape[1:], args.encoding, args.width)
    decoder.to(args.device)
    opt = tg.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=1e-3)
    for _ in range(args.encoding_steps):  # not by the loader: a resumed run does this again
        x = known[tg.randint(len(known), (args.batch,))].to(args.device)
        opt.zero_grad()
        (decoder(encoder(x)) - x).square().flatten(1).sum(1).mean().backward()
        opt.step()
    encoder.requires_grad_(False)

# --- loop -------------------------------------------------------------------------------------
run = Run(args.out, config=config, resume=args.resume, system="dcgan")
run.track(model=model, opt_g=opt_g, opt_d=opt_d, ema=ema, loader=loader)
for step in run.steps(args.steps):
    model.noise = gan.ramp(step, args.noise, 0.0, args.steps)
    for _ in range(args.d_steps):
        (x,) = next(batches)
        terms = model.discriminator_terms((x.to(args.device),))
        opt_d.zero_grad()
        terms["loss"].backward()
        opt_d.step()
        if model.objective.clip:  # wgan's critic: without a bound its gap is no distance
            tg.optim.clip_weights_(learns, model.objective.clip)
    with gan.frozen(model.D):
        loss = model.generator_terms(args.batch)["loss"]
        opt_g.zero_grad()
        loss.backward()
    opt_g.step()
    ema.update()
    run.log(loss_d=terms["loss"], loss_g=loss, d_real=terms["real"], d_fake=terms["fake"])
    if run.every(200):
        warning = gan.collapse(model.sample(64, seeded(2)), train[:64])
        if warning:
            run.say(f"step {step}: {warning}")
    if run.every(1000, soon=30):
        run.picture("samples", lambda: model.sample(64, seeded(2)), value_range=(-1, 1))

# --- what it learned --------------------------------------------------------------------------
ema.copy_to()
print(f"{args.objective} on {args.data}: {args.steps} steps in {run.seconds:.1f} s, "
      f"seed {args.seed}")  # fmt: skip
report = Report(args.out, model)
codes = model.draw(1000, seeded(3))
pictures = tg.cat([model.decode(part) for part in codes.split(250)])
report.grid("samples", pictures[:100])
report.walks(codes[:8], codes[8:16])
nearest = report.neighbours(pictures, train)
report.sums(codes, train_set.labels.numpy()[nearest])  # a code's class: that of the nearest
report.curves("loss_d", "loss_g")
if args.data == "digits":
    report.digits(train, pictures)
report.close()
