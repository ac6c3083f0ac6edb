"""Train a hierarchical VAE: a VAE of codes, on the codes of a VAE.

    python examples/hvae.py                          # digits, codes of 16 and 8 numbers
    python examples/hvae.py --sizes 32 16 8 4
    python examples/hvae.py --shared 4               # 4 levels of the picture's size, one network
    python examples/hvae.py --shared 8 --fixed       # the way up is fixed noise: nearly diffusion

    log p(x) >= E_q[ log p(x|z_1) - sum_k log q(z_k|z_{k-1}) / p(z_k|z_{k+1}) ]

in nats. Where levels have the picture's own size, pictures are grey in [-1, 1] and Gaussian;
otherwise binarised. All is in the folder --out.
"""

from pathlib import Path

import numpy as np

import tinygen as tg
from tinygen import data, plot
from tinygen.models import bounds, hierarchical, vae
from tinygen.run import Run, count, device, fraction, options, positive, whole

parser = options(__doc__)
parser.add_argument("--data", default="digits", help="digits (bundled), fashion, mnist or kmnist")
parser.add_argument("--root", help="the folder that holds the files of --data")
parser.add_argument("--device", type=device, default="cpu", help="cpu or cuda")
parser.add_argument("--sizes", type=count, nargs="+", default=[16, 8], help="code sizes, from x up")
parser.add_argument("--shared", type=whole, default=0, help="so many levels of the picture's size")
parser.add_argument("--fixed", action="store_true", help="with --shared: do not learn the way up")
parser.add_argument("--hidden", type=count, default=256)
parser.add_argument("--epochs", type=count, default=150)
parser.add_argument("--warmup", type=fraction, default=0.5,
                    help="part of the run over which the KL's weight rises from 0 to 1; with 0 "
                    "the codes of small images stay unused (posterior collapse)")  # fmt: skip
parser.add_argument("--batch", type=count, default=128)
parser.add_argument("--lr", type=positive, default=1e-3)
parser.add_argument("--importance", type=count, default=200, help="draws for log p(x) at the end")
parser.add_argument("--seed", type=whole, default=0)
parser.add_argument("--out", default="runs/hvae", help="folder of this run")
parser.add_argument("--resume", action="store_true", help="go on with the run in --out")
args = parser.parse_args()
if args.fixed and not args.shared:
    parser.error("--fixed goes with --shared: the levels need the picture's own size")

# --- data -------------------------------------------------------------------------------------
tg.manual_seed(args.seed)
train_set, test_set = (data.load(args.data, split, root=args.root) for split in ("train", "test"))
binary = not args.shared
train, test = ((s.to_unit() if binary else s.to_symmetric()) for s in (train_set, test_set))
test = (vae.binarise(test, tg.Generator().manual_seed(1)) if binary else test).to(args.device)
shape = train.shape[1:]
loader = data.DataLoader(data.TensorDataset(train), args.batch, shuffle=True, drop_last=True)

# --- model ------------------------------------------------------------------------------------
if args.shared:
    betas = list(np.geomspace(0.05, 0.9, args.shared)) if args.fixed else None
    likelihood = vae.Gaussian(0.05, learn=True)
    model = hierarchical.shared(shape, args.shared, likelihood, args.hidden, betas)
else:
    model = hierarchical.levels(shape, args.sizes, vae.Bernoulli(), args.hidden)
    vae.set_output_bias(model.decoders[0], train)
model = model.to(args.device)
opt = tg.optim.Adam(model.parameters(), lr=args.lr)

# --- loop -------------------------------------------------------------------------------------
steps = args.epochs * len(loader)
run = Run(args.out, config=args, resume=args.resume)
run.track(model=model, opt=opt, loader=loader)
for step, (x,) in zip(run.steps(steps), loader.forever()):
    x = x.to(args.device)
    beta = min(1.0, step / (args.warmup * steps)) if args.warmup else 1.0
    terms = model(vae.binarise(x) if binary else x, beta=beta)
    loss = -terms.elbo
    opt.zero_grad()
    loss.backward()
    opt.step()
    run.log(elbo=terms.log_likelihood - terms.kls.sum(), log_likelihood=terms.log_likelihood)
    if run.every(10 * len(loader)) or run.last:
        with tg.no_grad():
            run.log(test_elbo=model(test, generator=tg.Generator(args.device).manual_seed(2)).elbo)

# --- what it learned ----------------------------------------------------------------------------
with tg.no_grad():
    final = model(test, generator=tg.Generator(args.device).manual_seed(2))
found = bounds.importance(model, test, args.importance, tg.Generator(args.device).manual_seed(3))
log_p = bounds.average(found)
levels = ", ".join(f"{kl:.2f}" for kl in final.kls.tolist())
print(f"test ELBO    {final.elbo.item():8.2f} nats  =  log p(x|z_1) "
      f"{final.log_likelihood.item():.2f}  -  the levels' terms {levels}")  # fmt: skip
print(f"log p(x) >=  {log_p.mean:8.2f} nats, from {args.importance} importance samples (+- "
      f"{log_p.over_draws:.2f} for the draws, {log_p.over_images:.2f} for the images)")  # fmt: skip
out = Path(args.out)
look = {"clip": True} if binary else {"clip": True, "value_range": (-1, 1)}
pictures = model.sample(100, tg.Generator(args.device).manual_seed(4))
plot.image_grid(pictures, nrow=10, path=out / "samples.png", **look)
plot.reconstruction_pairs(
    test[:20], model.reconstruct(test[:20]), path=out / "reconstructions.png", **look
)
plot.curves(out / "log.jsonl", keys=["elbo", "test_elbo"], units="nats", path=out / "curves.png")
