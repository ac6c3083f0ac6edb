"""Train a Markov field on binary digits: an RBM or an Ising model, with its exact normaliser.

    python examples/markov_field.py                            # RBM, persistent chains
    python examples/markov_field.py --chains 0                 # contrastive divergence, CD-5
    python examples/markov_field.py --model ising --epochs 60  # exact likelihood, row by row
    python examples/markov_field.py --model ising --epochs 60 --learn pseudo

Expect: 20 s on 2 cores; test log p(x) -22.8 ± 0.2 nats (independent pixels -26.65).

p(x) = e^-E(x) / Z: any E will do, and Z, a sum over all pictures, is the price. It is paid exactly
here: an RBM of 16 hidden units sums over their 65536 states, an Ising model goes from row to row
over all pairs of rows. The table at the end shows what that costs as pictures grow, and that a
directed graph, a tree of the same pixels, pays next to nothing. Pictures are ends of Markov chains.
The test set is that of examples/mixture.py, whose 40 components have -23.30 nats; a tree -24.55.
"""

import time

import tinygen as tg
from tinygen import data, plot
from tinygen.models import explicit, likelihoods
from tinygen.models.explicit import markov_field
from tinygen.optim.lr_scheduler import CosineAnnealingLR
from tinygen.plot.report import Report
from tinygen.run import Run, count, options, whole

parser = options(__doc__, "markov_field", epochs=300, batch=100, lr=2e-2)
parser.add_argument("--model", choices=markov_field.FIELDS, default="rbm", help="what kind")
parser.add_argument("--hidden", type=count, default=16, help="hidden units of an rbm (16)")
parser.add_argument("--k", type=count, default=5, help="Gibbs sweeps a step, rbm (5)")
parser.add_argument("--chains", type=whole, default=200, help="persistent chains, rbm; 0: CD (200)")
parser.add_argument("--learn", choices=("exact", "pseudo"), default="exact", help="how, ising")
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
model = markov_field.build(config).to(args.device)
model.log_z()  # an error at once, where it cannot be had
model.start(likelihoods.binarise(train).to(args.device))  # at the pixels' means
steps = args.epochs * len(loader)
opt = tg.optim.Adam(model.parameters(), lr=args.lr)
schedule = CosineAnnealingLR(opt, T_max=steps)  # lr falls to 0


@tg.no_grad()
def evaluate() -> tg.Tensor:
    return model.log_prob(test_x)


# --- loop -----------------------------------------------------------------------------------------
run = Run(args.out, config=config, resume=args.resume, system="markov_field")
run.track(model=model, opt=opt, schedule=schedule, loader=loader)
for _, (x,) in zip(run.steps(steps), loader.forever()):
    terms = model.terms((likelihoods.binarise(x).to(args.device),))
    opt.zero_grad()
    terms["loss"].backward()
    opt.step()
    schedule.step()
    run.log(**terms)
    if run.every(20 * len(loader)) or run.last:
        run.log(test_log_prob=evaluate().mean())

# --- what it learned ------------------------------------------------------------------------------
density = evaluate()
error = density.std().item() / len(density) ** 0.5
print(f"{steps} steps in {run.seconds:.1f} s, seed {args.seed}; {len(test)} test images of "
      f"{args.data}")  # fmt: skip
print(f"test log p(x) {density.mean().item():.2f} ± {error:.2f} nats, log Z "
      f"{model.log_z().item():.2f}")  # fmt: skip

# --- what Z costs: a grid of neighbours, and a tree, of as many pixels ----------------------------
print("pixels  pictures  terms of Z, field  its seconds  terms, tree  its seconds")
for side in (2, 4, 6, 8, 10, 28):
    field = explicit.Ising((1, side, side), coupling=0.4)
    tree = explicit.ChowLiuTree((1, side, side))
    nothing, any_x = tg.zeros(1, side, side, dtype=tg.bool), tg.zeros(1, 1, side, side)
    began = time.perf_counter()
    if side <= 10:
        with tg.no_grad():
            field.log_z()
    middle = time.perf_counter()
    log_sum = tree.log_prob(any_x, nothing).item()  # of p(x) over all pictures, by messages
    ended = time.perf_counter()
    paid = f"{middle - began:11.4f}" if side <= 10 else "      never"
    print(f"{side**2:6}  2^{side**2:<6}  {(side - 1) * 4**side:17.3g}  {paid}  {4 * side**2:11}  "
          f"{ended - middle:11.4f}  log sum {abs(log_sum):.4f}")  # fmt: skip

# --- pictures: ends of Markov chains --------------------------------------------------------------
report = Report(args.out, model)
seeded = lambda seed: tg.Generator(args.device).manual_seed(seed)
report.grid("samples", model.sample(100, seeded(4)))
upper = (tg.arange(train[0].numel()) < train[0].numel() // 2).reshape(train.shape[1:])
tests = test_x[:10].repeat_interleave(10, 0)
report.grid("completions", model.fill(tests, upper.to(args.device), seeded(5)))
if args.model == "rbm":  # what each hidden unit looks for
    W = model.W.T.reshape(-1, *model.shape)
    plot.image_grid(W / W.abs().max(), 8, value_range=(-1, 1), path=f"{args.out}/weights.png")
else:  # at three temperatures, below, at and above the critical one, from one start
    magnets = [explicit.Ising((1, 96, 96), coupling=1 / T) for T in (1.8, 2.269, 4.0)]
    drawn = [magnet.sample(1, tg.Generator().manual_seed(6)) for magnet in magnets]
    report.grid("temperatures", tg.cat(drawn), 3, title="temperature 1.8, 2.27 (critical), 4")
report.curves("test_log_prob", units="nats")
report.close()
