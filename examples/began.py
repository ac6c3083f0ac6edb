"""Train a BEGAN on small images: the discriminator is an autoencoder, kept in balance with G.

    python examples/began.py                                  # digits
    python examples/began.py --data fashion --width 16 --code 16
    python examples/began.py --resume

Expect: 2 min on 2 cores; Frechet 1.5 to 1.8 (one Gaussian 1.9), score 8 of 10: clear digits, but
few 5s and 8s.

D rebuilds what it is given, and its output is the error L(x), an energy: low for data. D minimises
L(x) - k L(G(z)), G minimises L(G(z)), and after each step k moves so that E L(G(z)) stays at gamma
E L(x): neither player gets far ahead (Berthelot et al. 2017, arXiv:1703.10717). The `convergence`
M = L(x) + |gamma L(x) - L(G(z))| falls as training goes on: a GAN whose curve says something.
"""

import tinygen as tg
from tinygen import data
from tinygen.models import gan
from tinygen.models.gan import began
from tinygen.plot.report import Report
from tinygen.run import Run, count, fraction, options, positive

BETAS = (0.5, 0.999)  # Adam's; with the usual 0.9 of the first the two players swing

parser = options(__doc__, "began", steps=4000, batch=64, lr=2e-4)
parser.add_argument("--gamma", type=fraction, default=1.0, help="ratio of the two energies (1)")
parser.add_argument("--k-rate", type=positive, default=0.1, help="how fast k moves (0.1)")
parser.add_argument("--code", type=count, default=4, help="numbers in D's codes (4): few, or D "
                    "copies whatever it is given and G collapses")  # fmt: skip
parser.add_argument("--width", type=count, default=32, help="channels at full size (32)")
parser.add_argument("--latent", type=count, default=32, help="dimensions of z (32)")
parser.add_argument("--ema", type=fraction, default=0.999, help="decay of G's average (0.999)")
args = parser.parse_args()

# --- data -------------------------------------------------------------------------------------
tg.manual_seed(args.seed)
train_set = data.load(args.data, root=args.root, download=args.download)
train = train_set.to_symmetric()  # in [-1, 1], as tanh makes them
loader = data.DataLoader(data.TensorDataset(train), args.batch, shuffle=True, drop_last=True)
batches = loader.forever()
seeded = lambda seed: tg.Generator(args.device).manual_seed(seed)

# --- model and optimizers ---------------------------------------------------------------------
config = vars(args) | {"shape": train.shape[1:]}  # models.restore builds it from this again
model = began.build(config).to(args.device)
opt_g = tg.optim.Adam(model.G.parameters(), lr=args.lr, betas=BETAS)
opt_d = tg.optim.Adam(model.D.parameters(), lr=args.lr, betas=BETAS)
ema = tg.optim.EMA(model.G, args.ema)

# --- loop -------------------------------------------------------------------------------------
run = Run(args.out, config=config, resume=args.resume, system="began")
run.track(model=model, opt_g=opt_g, opt_d=opt_d, ema=ema, loader=loader)
for step in run.steps(args.steps):
    (x,) = next(batches)
    terms = model.discriminator_terms((x.to(args.device),))
    opt_d.zero_grad()
    terms["loss"].backward()
    opt_d.step()
    run.log(convergence=model.balance(), k=model.k)  # moves k
    with gan.frozen(model.D):
        loss = model.generator_terms(args.batch)["loss"]
        opt_g.zero_grad()
        loss.backward()
    opt_g.step()
    ema.update()
    run.log(loss_d=terms["loss"], loss_g=loss, l_real=terms["real"], l_fake=terms["fake"])
    if run.every(200):
        warning = gan.collapse(model.sample(64, seeded(2)), train[:64])
        if warning:
            run.say(f"step {step}: {warning}")
    if run.every(1000, soon=30):
        run.picture("samples", lambda: model.sample(64, seeded(2)), value_range=(-1, 1))

# --- what it learned --------------------------------------------------------------------------
ema.copy_to()
print(f"{args.data}: {args.steps} steps in {run.seconds:.1f} s, seed {args.seed}")
report = Report(args.out, model)
codes = model.draw(1000, seeded(3))
pictures = tg.cat([model.decode(part) for part in codes.split(250)])
report.grid("samples", pictures[:100])
with tg.no_grad():
    report.pairs(train[:10], model.D.decoder(model.D.encoder(train[:10].to(args.device))))
report.walks(codes[:8], codes[8:16])
nearest = report.neighbours(pictures, train)
report.sums(codes, train_set.labels.numpy()[nearest])  # a code's class: that of the nearest
report.curves("convergence", "k")
if args.data == "digits":
    report.digits(train, pictures)
report.close()
