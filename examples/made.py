"""Train MADE on binary digits: one masked network, all conditionals in one pass, p(x) exactly.

    python examples/made.py                        # the raster order
    python examples/made.py --orders 8             # a mixture over eight orders of the pixels
    python examples/made.py --data fashion --hidden 500 --epochs 10

Expect: 20 s on 2 cores; test log p(x) -22.4 ± 0.2 nats (a mixture of 40 components -23.3).

log p(x) = sum_i log p(x_i | the pixels before i). Masks on the weights keep logit i from seeing
pixel i and those after it, so that one pass makes the whole sum; drawing takes a pass a pixel. The
test set is that of examples/vae.py and mixture.py (one fixed binarisation), so log p(x) in nats can
be compared. completions.png: the upper half is a test picture's, the lower half is drawn given it.
"""

import tinygen as tg
from tinygen import data
from tinygen.models import likelihoods
from tinygen.models.autoregressive import made
from tinygen.optim.lr_scheduler import CosineAnnealingLR
from tinygen.plot.report import Report
from tinygen.run import Run, count, options

parser = options(__doc__, "made", epochs=300, batch=100, lr=2e-3)
parser.add_argument("--hidden", type=count, default=300, help="units of a hidden layer (300)")
parser.add_argument("--layers", type=count, default=2, help="hidden layers (2)")
parser.add_argument("--orders", type=count, default=1, help="orders of the pixels (1: raster)")
args = parser.parse_args()

# --- data: grey values are the pixels' probabilities, drawn anew for every batch ------------------
tg.manual_seed(args.seed)
train, test = (
    data.load(args.data, split, root=args.root, download=args.download).to_unit()
    for split in ("train", "test")
)
loader = data.DataLoader(data.TensorDataset(train), args.batch, shuffle=True, drop_last=True)
test_x = likelihoods.binarise(test, tg.Generator().manual_seed(1)).to(args.device)

# --- model and optimizer --------------------------------------------------------------------------
config = vars(args) | {"shape": train.shape[1:]}  # models.restore builds it from this again
model = made.build(config).to(args.device)
steps = args.epochs * len(loader)
opt = tg.optim.AdamW(model.parameters(), lr=args.lr, weight_decay=0.01)
schedule = CosineAnnealingLR(opt, T_max=steps)  # lr falls to 0


@tg.no_grad()
def evaluate() -> tg.Tensor:
    return tg.cat([model.log_prob(part) for part in test_x.split(1000)])


# --- loop -----------------------------------------------------------------------------------------
run = Run(args.out, config=config, resume=args.resume, system="made")
run.track(model=model, opt=opt, schedule=schedule, loader=loader)
for _, (x,) in zip(run.steps(steps), loader.forever()):
    terms = model.terms((likelihoods.binarise(x).to(args.device),))
    opt.zero_grad()
    terms["loss"].backward()
    opt.step()
    schedule.step()
    run.log(**terms)
    if run.every(5 * len(loader)) or run.last:
        run.log(test_log_prob=evaluate().mean())
    if run.every(50 * len(loader), soon=30):
        run.picture("samples", lambda: model.sample(100, tg.Generator(args.device).manual_seed(4)))

# --- what it learned ------------------------------------------------------------------------------
density = evaluate()
error = density.std().item() / len(density) ** 0.5
print(f"{steps} steps in {run.seconds:.1f} s, seed {args.seed}; {len(test)} test images of "
      f"{args.data}")  # fmt: skip
print(f"test log p(x) {density.mean().item():.2f} ± {error:.2f} nats, {args.orders} orders")
report = Report(args.out, model)
seeded = lambda seed: tg.Generator(args.device).manual_seed(seed)
report.grid("samples", model.sample(100, seeded(4)))
half, whole = test_x[0].numel() // 2, test_x[:10].repeat_interleave(10, 0)
report.grid("completions", model.sample(100, seeded(5), given=whole, seen=half))
report.curves("log_prob", "test_log_prob", units="nats")
report.close()
