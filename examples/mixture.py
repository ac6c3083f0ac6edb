"""Fit densities whose sums one can do to binary digits: by EM or by counting, without a network.

    python examples/mixture.py                              # 40 pictures of coins, by EM
    python examples/mixture.py --components 1               # one coin for every pixel
    python examples/mixture.py --model tree                 # each pixel given one other
    python examples/mixture.py --model hmm                  # rows given a hidden state
    python examples/mixture.py --model naive_bayes          # one component for each label
    python examples/mixture.py --model gaussian --components 5                   # grey values
    python examples/mixture.py --model gaussian --data pinwheel --components 20  # in the plane
    python examples/mixture.py --data fashion               # 28 x 28 pixels

Expect: 2 s on 2 cores; test log p(x) -23.30 ± 0.22 nats (of one component -26.65).

Three things may be asked of a model: how likely is x, draw x, and what does a part of x say of the
rest? All are exact here. The last is two calls: log p of the upper half alone, the sum over all
lower halves, and lower halves drawn given it (completions.png). The test set is that of
examples/vae.py (one fixed binarisation), so their log p(x), in nats, can be compared: a VAE with 2
numbers has at least -22.99, examples/made.py -22.44.
"""

import tinygen as tg
from tinygen import data, metrics, nn, plot
from tinygen.models import likelihoods
from tinygen.models.explicit import mixture
from tinygen.nn import functional as F
from tinygen.plot.report import Report
from tinygen.run import Run, count, options, positive

parser = options(__doc__, "mixture", data=(*data.SOURCES, *data.TOYS), steps=50)  # rounds of EM
parser.add_argument("--model", choices=mixture.MODELS, default="bernoulli", help="what kind")
parser.add_argument("--components", type=count, default=40, help="or hidden states (40)")
parser.add_argument("--prior", type=positive, default=0.3,
                    help="imagined heads, and tails, added to every coin (0.3)")  # fmt: skip
parser.add_argument("--floor", type=positive, default=1e-3, help="least variance, gaussian (0.001)")
args = parser.parse_args()
plane, gaussian = args.data in data.TOYS, args.model == "gaussian"
if plane and not gaussian:
    parser.error(f"--data {args.data} is of points in the plane: it needs --model gaussian")

# --- data: points of the plane; grey values, dequantised; or binary with these as probabilities ---
tg.manual_seed(args.seed)
fixed = tg.Generator().manual_seed(1)
if plane:
    x, test_x = data.toy(args.data, 2000), data.toy(args.data, 2000, generator=fixed)
else:
    train, test = (
        data.load(args.data, split, root=args.root, download=args.download)
        for split in ("train", "test")
    )
    if gaussian:
        x = likelihoods.dequantise(train.images, train.maximum)
        test_x = likelihoods.dequantise(test.images, test.maximum, fixed)
    else:
        x = likelihoods.binarise(train.to_unit())
        test_x = likelihoods.binarise(test.to_unit(), fixed)
    labels, test_labels = train.labels.to(args.device), test.labels.to(args.device)
x, test_x = x.to(args.device), test_x.to(args.device)

# --- model ----------------------------------------------------------------------------------------
config = vars(args) | {"shape": x.shape[1:]}  # models.restore builds it from this again
config |= {"classes": 0 if plane else len(train.classes)}
model = mixture.build(config).to(args.device)

# --- fit: rounds of EM from components that lie far apart, or one round of counting ---------------
counted = {"naive_bayes": lambda: model.count(x, labels), "tree": lambda: model.count(x)}
steps = 1 if args.model in counted else args.steps
if args.model not in counted:
    model.start(x)
run = Run(args.out, config=config, resume=args.resume, system="mixture")
run.track(model=model)
for step in run.steps(steps):
    if args.model in counted:
        counted[args.model]()
        run.log(log_p=model.log_prob(x).mean())
        continue
    run.log(log_p=model.em_step(x))  # of the training data, before the round: it rises
    if args.model != "hmm" and step % 10 == 0 and step < steps:
        run.log(dead=model.mend(x))  # those that explain nothing begin anew

# --- density, inference ---------------------------------------------------------------------------
density = model.log_prob(test_x)
error = density.std().item() / len(test_x) ** 0.5
print(f"{steps} rounds in {run.seconds:.1f} s, seed {args.seed}")
alone = {"components": 1, "model": "gaussian" if gaussian else "bernoulli"}
one = mixture.build(config | alone).to(args.device)
one.em_step(x)  # one Gaussian, or a coin a pixel, alike for all
print(f"test log p(x) {density.mean().item():.2f} ± {error:.2f} nats; "
      f"of one component {one.log_prob(test_x).mean().item():.2f}")  # fmt: skip
size = test_x[0].numel()
if gaussian and not plane:
    bits = metrics.bits_per_dim(-density.mean().item(), size, train.maximum + 1)
    print(f"{bits:.3f} bits a pixel of {train.maximum + 1} values")
seen = (tg.arange(size) < size // 2).reshape(x.shape[1:]).to(args.device)
half = model.log_prob(test_x, seen)
print(f"log p(upper half) {half.mean().item():.2f}, log p(lower half | upper half) "
      f"{(density - half).mean().item():.2f} nats")  # fmt: skip
if args.model in ("bernoulli", "gaussian"):
    dead = (model.posterior(x).sum(0) < 1).sum().item()
    print(f"{dead} of {args.components} components explain less than one example")
    posterior = model.posterior(test_x)
    entropy = -(posterior * posterior.clamp(min=1e-30).log()).sum(1).mean().item()
    print(f"an example leaves {entropy:.2f} nats of doubt about its component")


# --- naive Bayes beside logistic regression on the same few labels --------------------------------
def right(scores: tg.Tensor) -> float:
    return 100 * (scores.argmax(1) == test_labels).float().mean().item()


def logistic(x: tg.Tensor, y: tg.Tensor) -> nn.Linear:
    """p(y | x) of the form that naive Bayes has, fitted to y given x alone."""
    net = nn.Linear(size, config["classes"]).to(args.device)
    opt = tg.optim.Adam(net.parameters(), lr=0.03, weight_decay=1e-3)
    for _ in range(150):
        opt.zero_grad()
        F.cross_entropy(net(x), y).backward()
        opt.step()
    return net


if args.model == "naive_bayes":
    found: dict[str, list[float]] = {"log2 labels": [], "naive Bayes": [], "logistic": []}
    for power in range(4, 1 + int(len(x)).bit_length() - 1):
        scores = []
        for _ in range(5):
            some = tg.randperm(len(x))[: 2**power].to(args.device)
            few = mixture.build(config).to(args.device)
            few.count(x[some], labels[some])
            net = logistic(x[some].flatten(1), labels[some])
            scores.append((right(few.posterior(test_x)), right(net(test_x.flatten(1)))))
        naive, other = (sum(column) / 5 for column in zip(*scores))
        print(f"{2**power:5} labels: naive Bayes {naive:.1f} %, logistic regression {other:.1f} %")
        for name, value in zip(found, (power, naive, other)):
            found[name].append(value)
    plot.curves(found, units="% of test labels right", x="log2 labels", path=f"{args.out}/few.png")

# --- pictures -------------------------------------------------------------------------------------
report = Report(args.out, model)
seeded = lambda seed: tg.Generator(args.device).manual_seed(seed)
if plane:
    plot.samples_2d(model.sample(2000, seeded(4)), test_x, path=f"{args.out}/samples.png")
    reach = 1.1 * x.abs().max().item()
    plot.density_2d(model.log_prob, (-reach, reach, -reach, reach), path=f"{args.out}/density.png",
                    device=args.device)  # fmt: skip
else:
    rows = tg.arange(100).to(args.device) // 10 if model.classes else None
    report.grid("samples", model.sample(100, seeded(4), rows))
    report.grid("completions", model.fill(test_x[:10].repeat_interleave(10, 0), seen, seeded(5)))
if args.model in ("bernoulli", "naive_bayes") or (gaussian and not plane):
    centers = model.means if gaussian else model.coins
    report.grid("components", centers.reshape(-1, *model.shape))
if args.model == "hmm":
    path, _ = model.viterbi(test_x[:10])  # each row beside the coins of its likeliest state
    report.pairs(test_x[:10], model.coins[path].unsqueeze(1), ("test", "states"))
if args.model == "tree":
    at = lambda i: tg.stack([i % x.shape[-1], -(i // x.shape[-1])], 1).float()
    edges = tg.stack([at(model.parent), at(tg.arange(size))])  # from each pixel's parent to it
    plot.paths_2d(edges, path=f"{args.out}/tree.png")
report.curves("log_p", units="nats")
report.close()
