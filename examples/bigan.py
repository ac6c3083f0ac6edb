"""Train a BiGAN: beside the generator an encoder, and a discriminator of pairs (picture, code).

    python examples/bigan.py                        # digits
    python examples/bigan.py --unary --objective hinge          # BigBiGAN's terms
    python examples/bigan.py --stochastic           # ALI: E gives a law of codes
    python examples/bigan.py --data fashion --width 16 --latent 32
    python examples/bigan.py --resume

Expect: 2 min on 2 cores; codes name 79.8 % of the test digits (an autoencoder's 87.7 %, untrained
nets' 77.5 %: the claim does not hold here; after 1500 steps 85.6 %); E(G(z)) lies 0.80 from z
(1: knowing nothing), G(E(x)) leaves 52 % of the variance; Frechet 0.15.

D is shown (x, E(x)) and (G(z), z) and says which is which (Donahue et al. 2017, arXiv:1605.09782);
E and G do what they can against it. Where they win, E and G are inverse to each other.

Its claims, all on test pictures. A linear classifier of the codes E(x) names the class: its
accuracy, beside the same on the codes of an autoencoder and of a network that learned nothing. All
three have the same nets, the autoencoder the same batches. And E undoes G: how far E(G(z)) lies
from z, and G(E(x)) from x.
"""

import tinygen as tg
from tinygen import data, metrics, nn
from tinygen.models import gan
from tinygen.models.gan import bigan
from tinygen.plot.report import Report
from tinygen.run import Run, count, fraction, options

BETAS = (0.5, 0.999)  # Adam's; with the usual 0.9 of the first the players swing

parser = options(__doc__, "bigan", steps=4000, batch=64, lr=5e-4)
parser.add_argument("--objective", choices=bigan.ROWS, default="non_saturating", metavar="ROW",
                    help=", ".join(bigan.ROWS))  # fmt: skip
parser.add_argument("--unary", action="store_true", help="BigBiGAN: D judges x and z alone too")
parser.add_argument("--stochastic", action="store_true", help="E gives mu and log var of a code")
parser.add_argument("--norm", choices=["batch", "layer", "spectral", "none"], default="batch",
                    help="of D, and but for spectral of E (batch)")  # fmt: skip
parser.add_argument("--width", type=count, default=32, help="channels at full size (32)")
parser.add_argument("--latent", type=count, default=16, help="dimensions of z (16)")
parser.add_argument("--hidden", type=count, default=256, help="units of D's layers on codes (256)")
parser.add_argument("--ema", type=fraction, default=0.99, help="decay of the averages (0.99)")
args = parser.parse_args()

# --- data -------------------------------------------------------------------------------------
tg.manual_seed(args.seed)
train_set, test_set = (
    data.load(args.data, split, root=args.root, download=args.download)
    for split in ("train", "test")
)
train, test = train_set.to_symmetric(), test_set.to_symmetric()  # in [-1, 1], as tanh makes them
loader = data.DataLoader(data.TensorDataset(train), args.batch, shuffle=True, drop_last=True)
batches = loader.forever()
seeded = lambda seed: tg.Generator(args.device).manual_seed(seed)

# --- models: BiGAN, an autoencoder of equal nets, and nets that learn nothing --------------------
config = vars(args) | {"shape": train.shape[1:]}  # models.restore builds it from this again
model, plain, untrained = (bigan.build(config).to(args.device) for _ in range(3))
opt_d = tg.optim.Adam(model.D.parameters(), lr=args.lr, betas=BETAS)
opt, opt_plain = (
    tg.optim.Adam([*m.G.parameters(), *m.E.parameters()], lr=args.lr, betas=BETAS)
    for m in (model, plain)
)
ema, ema_plain = (
    tg.optim.EMA(nn.ModuleDict({"G": m.G, "E": m.E}), args.ema) for m in (model, plain)
)


def named(m: gan.BiGAN) -> float:
    """The share of test pictures whose class a linear classifier of E's codes names, in per cent.

    It is fitted to the codes of 10,000 training pictures at most.
    """
    codes = [tg.cat([m.encode(x.to(args.device)).cpu() for x in part.split(500)])
             for part in (train[:10_000], test)]  # fmt: skip
    known, asked = train_set.labels[:10_000], test_set.labels
    return 100 * metrics.linear_probe(codes[0], known, codes[1], asked)


# --- loop -------------------------------------------------------------------------------------
run = Run(args.out, config=config, resume=args.resume, system="bigan")
run.track(model=model, opt=opt, opt_d=opt_d, ema=ema, loader=loader,
          plain=plain, opt_plain=opt_plain, ema_plain=ema_plain, untrained=untrained)  # fmt: skip
for step in run.steps(args.steps):
    (x,) = next(batches)
    x = x.to(args.device)
    d = model.discriminator_terms((x,))
    opt_d.zero_grad()
    d["loss"].backward()
    opt_d.step()
    with gan.frozen(model.D):
        terms = model.generator_terms(len(x), real=x)
        opt.zero_grad()
        terms["loss"].backward()
    opt.step()
    ema.update()
    code = plain.E(x)[:, : args.latent]  # the mean of a stochastic one
    error = (plain.G(code) - x).square().flatten(1).sum(1).mean()
    opt_plain.zero_grad()
    error.backward()
    opt_plain.step()
    ema_plain.update()
    run.log(loss_d=d["loss"], loss_g=terms["generator"], loss_e=terms["encoder"],
            d_real=d["real"], d_fake=d["fake"], autoencoder=error)  # fmt: skip
    if run.every(1000) or run.last:
        with ema.swap(), ema_plain.swap():
            run.log(named=named(model), named_autoencoder=named(plain))
            if warning := gan.collapse(model.sample(64, seeded(2)), train[:64]):
                run.say(f"step {step}: {warning}")
    if run.every(1000, soon=30):
        run.picture("samples", lambda: model.sample(64, seeded(2)), value_range=(-1, 1))

# --- what it learned --------------------------------------------------------------------------
ema.copy_to()
ema_plain.copy_to()
print(f"{args.objective} on {args.data}: {args.steps} steps in {run.seconds:.1f} s, "
      f"seed {args.seed}")  # fmt: skip
print(f"a linear classifier of codes names {named(model):.1f} % of {len(test)} test pictures; of "
      f"the autoencoder's {named(plain):.1f} %, of untrained nets' {named(untrained):.1f} %"
      )  # fmt: skip
z, some = model.draw(1000, seeded(3)), test[:1000].to(args.device)
made = model.decode(z)
squared = lambda a, b: (a - b).square().flatten(1).sum(1).mean().item()
apart = squared(some, train.mean(0).to(args.device))  # what the mean picture would leave
print(f"E(G(z)) lies {squared(model.encode(made), z) / args.latent:.2f} from z, squared, a number "
      "(1: knowing nothing); G(E(x)) leaves "
      f"{100 * squared(model.reconstruct(some), some) / apart:.0f} % of the variance of x, the "
      f"autoencoder {100 * squared(plain.reconstruct(some), some) / apart:.0f} %")  # fmt: skip
report = Report(args.out, model)
report.grid("samples", made[:100])
report.pairs(some[:20], model.reconstruct(some[:20]), ("x", "G(E(x))"))
report.walks(model.encode(some[:8]), model.encode(some[8:16]))  # from one test picture to another
report.neighbours(made, train)
report.curves("named", "named_autoencoder", units="%")
if args.data == "digits":
    report.digits(train, made)
report.close()
