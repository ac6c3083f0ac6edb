"""Fit a mixture of Bernoullis to binary digits by EM: a generative model without a network.

    python examples/mixture.py                        # 40 components, a few seconds
    python examples/mixture.py --components 1         # one coin for every pixel
    python examples/mixture.py --data fashion         # 28 x 28 (Debian: dataset-fashion-mnist)

A component is a picture of probabilities: x is drawn by choosing component j with probability w_j
and tossing a coin for every pixel, p(x) = sum_j w_j prod_i m_ji^x_i (1 - m_ji)^(1 - x_i). All three
things that a model may be asked for are exact here: the density, samples, and the posterior
p(j | x). The test set is that of examples/vae.py (one fixed binarisation), so their log p(x), in
nats, can be compared.
"""

from pathlib import Path

import tinygen as tg
from tinygen import data, plot
from tinygen.models import vae
from tinygen.run import count, options, positive, whole

parser = options(__doc__)
parser.add_argument("--data", default="digits", help="digits (bundled), fashion, mnist or kmnist")
parser.add_argument("--root", help="the folder that holds the files of --data")
parser.add_argument("--components", type=count, default=40)
parser.add_argument("--iterations", type=count, default=50, help="rounds of EM")
parser.add_argument("--prior", type=positive, default=1.0,
                    help="imagined heads and tails added to every coin")  # fmt: skip
parser.add_argument("--seed", type=whole, default=0)
parser.add_argument("--out", default="runs/mixture", help="folder of the pictures")
args = parser.parse_args()

# --- data: grey values are the pixels' probabilities, as in examples/vae.py ---------------------
tg.manual_seed(args.seed)
train, test = (data.load(args.data, s, root=args.root).to_unit() for s in ("train", "test"))
shape = train.shape[1:]
binary = vae.binarise(train).flatten(1)  # (n, pixels)
test_x = vae.binarise(test, tg.Generator().manual_seed(1)).flatten(1)

# --- model --------------------------------------------------------------------------------------
weights = tg.full((args.components,), 1 / args.components)
coins = 0.25 + 0.5 * tg.rand(args.components, binary.shape[1])  # (components, pixels)


def log_joint(x: tg.Tensor) -> tg.Tensor:
    """log w_j + log p(x | j) for every picture and component, (n, components)."""
    return weights.log() + x @ coins.log().T + (1 - x) @ (1 - coins).log().T


# --- EM: who explains which picture, then every coin from the pictures it explains ---------------
for iteration in range(args.iterations):
    joint = log_joint(binary)
    share = tg.softmax(joint, dim=1)  # p(j | x), (n, components)
    count = share.sum(0)  # pictures that each component explains
    weights = (count + 1) / (count + 1).sum()
    coins = (share.T @ binary + args.prior) / (count + 2 * args.prior).unsqueeze(1)
    if iteration % 10 == 0 or iteration == args.iterations - 1:
        bound = tg.logsumexp(joint, dim=1).mean().item()
        print(f"iteration {iteration:3}: log p(x) {bound:8.2f} nats on the training pictures")

# --- density, inference, samples -----------------------------------------------------------------
joint = log_joint(test_x)
density = tg.logsumexp(joint, dim=1)
error = density.std().item() / len(test_x) ** 0.5
print(f"test log p(x) {density.mean().item():.2f} ± {error:.2f} nats")
entropy = -(tg.softmax(joint, 1) * tg.log_softmax(joint, 1)).sum(1).mean().item()
print(f"a picture leaves {entropy:.2f} nats of doubt about its component")
which = tg.multinomial(weights, 100, replacement=True)
samples = tg.bernoulli(coins[which])
out = Path(args.out)
out.mkdir(parents=True, exist_ok=True)
plot.image_grid(samples.reshape(100, *shape), nrow=10, path=out / "samples.png")
plot.image_grid(coins.reshape(-1, *shape), nrow=10, path=out / "components.png")
print(f"pictures: {out / 'samples.png'}, {out / 'components.png'}")
