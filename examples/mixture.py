"""Fit a mixture of Bernoullis to binary digits by EM: a generative model without a network.

    python examples/mixture.py                        # 40 components
    python examples/mixture.py --components 1         # one coin for every pixel
    python examples/mixture.py --data fashion         # 28 x 28 (Debian: dataset-fashion-mnist)

Expect: 2 s on 2 cores; test log p(x) -23.30 ± 0.22 nats (of one component -26.65).

A component is a picture of probabilities: x is drawn by choosing component j with probability w_j
and tossing a coin for every pixel, p(x) = sum_j w_j prod_i m_ji^x_i (1 - m_ji)^(1 - x_i). All three
things that a model may be asked for are exact here: the density, samples, and the posterior
p(j | x). The test set is that of examples/vae.py (one fixed binarisation), so their log p(x), in
nats, can be compared: a VAE with 2 numbers has at least -22.99, examples/made.py -22.44.
"""

import tinygen as tg
from tinygen import data
from tinygen.models import likelihoods
from tinygen.models.explicit import mixture
from tinygen.plot.report import Report
from tinygen.run import Run, count, options, positive

parser = options(__doc__, "mixture", steps=50)  # rounds of EM
parser.add_argument("--components", type=count, default=40, help="pictures of coins (40)")
parser.add_argument("--prior", type=positive, default=0.3,
                    help="imagined heads, and tails, added to every coin (0.3)")  # fmt: skip
args = parser.parse_args()

# --- data: grey values are the pixels' probabilities, as in examples/vae.py -----------------------
tg.manual_seed(args.seed)
train, test = (
    data.load(args.data, split, root=args.root, download=args.download).to_unit()
    for split in ("train", "test")
)
binary = likelihoods.binarise(train).to(args.device)
test_x = likelihoods.binarise(test, tg.Generator().manual_seed(1)).to(args.device)

# --- model ----------------------------------------------------------------------------------------
config = vars(args) | {"shape": train.shape[1:]}  # models.restore builds it from this again
model = mixture.build(config).to(args.device)
model.start(binary)  # near pictures that lie far apart; from chance alone half of them would die

# --- EM: who explains which picture, then every coin from the pictures it explains ----------------
run = Run(args.out, config=config, resume=args.resume, system="mixture")
run.track(model=model)
for _ in run.steps(args.steps):
    run.log(log_p=model.em_step(binary))  # of the training pictures, before the round: it rises

# --- density, inference, samples ------------------------------------------------------------------
density, posterior = model.log_prob(test_x), model.posterior(test_x)
error = density.std().item() / len(test_x) ** 0.5
print(f"{args.steps} rounds in {run.seconds:.1f} s, seed {args.seed}")
one = mixture.build(config | {"components": 1}).to(args.device)  # a coin a pixel, alike for all
one.em_step(binary)
print(f"test log p(x) {density.mean().item():.2f} ± {error:.2f} nats; "
      f"of one component {one.log_prob(test_x).mean().item():.2f}")  # fmt: skip
dead = (model.weights * (len(binary) + args.components) < 2).sum().item()
print(f"{dead} of {args.components} components explain less than one picture")
entropy = -(posterior * posterior.clamp(min=1e-30).log()).sum(1).mean().item()
print(f"a picture leaves {entropy:.2f} nats of doubt about its component")

report = Report(args.out, model)
report.grid("samples", model.sample(100, tg.Generator(args.device).manual_seed(4)))
report.grid("components", model.coins.reshape(-1, *model.shape))
report.curves("log_p", units="nats")
report.close()
