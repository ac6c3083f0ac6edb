"""Train a hierarchical VAE: a VAE of codes, on the codes of a VAE.

    python examples/hierarchical.py                          # digits, codes of 16 and 8 numbers
    python examples/hierarchical.py --sizes 32 16 8 4
    python examples/hierarchical.py --shared 4               # 4 codes of 16, one network for all
    python examples/hierarchical.py --shared 8 --fixed       # the way up is noise: nearly diffusion

Expect: 20 s on 2 cores; test ELBO -23.09 nats, log p(x) >= -22.42.

    log p(x) >= E_q[ log p(x|z_1) - sum_k log q(z_k|z_{k-1}) / p(z_k|z_{k+1}) ]

in nats, of binarised pictures. With --shared all codes have the same size and one network each way
serves all steps between them; a first encoder and a last decoder of their own go between pictures
and codes. With --fixed the codes have the picture's size and the way up only adds noise; pictures
are grey in [-1, 1] and Gaussian then, and samples noisy: 8 levels are few, examples/ddpm.py has
200. All is in the folder --out.
"""

import tinygen as tg
from tinygen import data
from tinygen.models import likelihoods, nets
from tinygen.models.vae import bounds, hierarchical
from tinygen.plot.report import Report
from tinygen.run import Run, count, fraction, options, through, whole

parser = options(__doc__, "hierarchical", epochs={"digits": 150, "others": 20}, batch=128, lr=1e-3)
parser.add_argument("--sizes", type=count, nargs="+", default=[16, 8],
                    help="numbers in the codes, from x up (16 8)")  # fmt: skip
parser.add_argument("--shared", type=whole, default=0, help="so many codes of the first of --sizes")
parser.add_argument("--fixed", action="store_true", help="with --shared: the way up is noise")
parser.add_argument("--hidden", type=count, default=256, help="units of a hidden layer (256)")
parser.add_argument("--warmup", type=fraction, default=0.5,
                    help="part of the run over which the KL's weight rises from 0 to 1; with 0 "
                    "the codes of small images stay unused (posterior collapse)")  # fmt: skip
parser.add_argument("--importance", type=count, default=200, help="draws for log p(x) at the end")
args = parser.parse_args()
if args.fixed and not args.shared:
    parser.error("--fixed goes with --shared, which says how many levels of noise there are")

# --- data -------------------------------------------------------------------------------------
tg.manual_seed(args.seed)
train_set, test_set = (
    data.load(args.data, split, root=args.root, download=args.download)
    for split in ("train", "test")
)
binary = not args.fixed
train, test = ((s.to_unit() if binary else s.to_symmetric()) for s in (train_set, test_set))
test = likelihoods.binarise(test, tg.Generator().manual_seed(1)) if binary else test
test = test.to(args.device)
loader = data.DataLoader(data.TensorDataset(train), args.batch, shuffle=True, drop_last=True)
seeded = lambda seed: tg.Generator(args.device).manual_seed(seed)

# --- model and optimizer ----------------------------------------------------------------------
config = vars(args) | {"shape": train.shape[1:]}  # models.restore builds it from this again
model = hierarchical.build(config)
if binary:
    nets.set_output_bias(model.decoders[0], train)
model.to(args.device)
opt = tg.optim.Adam(model.parameters(), lr=args.lr)

# --- loop -------------------------------------------------------------------------------------
steps = args.epochs * len(loader)
run = Run(args.out, config=config, resume=args.resume, system="hierarchical")
run.track(model=model, opt=opt, loader=loader)
for step, (x,) in zip(run.steps(steps), loader.forever()):
    x = x.to(args.device)
    beta = min(1.0, step / (args.warmup * steps)) if args.warmup else 1.0
    terms = model.terms((likelihoods.binarise(x) if binary else x,), beta)
    opt.zero_grad()
    terms["loss"].backward()
    opt.step()
    run.log(**terms)
    if run.every(10 * len(loader)) or run.last:
        with tg.no_grad():
            run.log(test_elbo=model(test, generator=seeded(2)).elbo)
    if run.every(50 * len(loader), soon=30):
        run.picture("samples", lambda: model.sample(64), value_range=model.pixels, clip=True)

# --- what it learned --------------------------------------------------------------------------
with tg.no_grad():
    final = model(test, generator=seeded(2))
log_p = bounds.average(bounds.importance(model, test, args.importance, seeded(3),
                                         progress=through))  # fmt: skip
levels = ", ".join(f"{kl:.2f}" for kl in final.kls.tolist())
print(f"{steps} steps in {run.seconds:.1f} s, seed {args.seed}")
print(f"test ELBO    {final.elbo.item():8.2f} nats  =  log p(x|z_1) "
      f"{final.log_likelihood.item():.2f}  -  the levels' terms {levels}")  # fmt: skip
print(f"log p(x) >=  {log_p.mean:8.2f} nats, from {args.importance} importance samples (+- "
      f"{log_p.over_draws:.2f} for the draws, {log_p.over_images:.2f} for the images)")  # fmt: skip

report = Report(args.out, model)
report.grid("samples", model.sample(100, seeded(4)))
report.pairs(test[:20], model.reconstruct(test[:20]))
report.curves("elbo", "test_elbo", units="nats")
report.close()
