"""Train an image transformer on digits: pixels as words, each drawn given all before.

    python examples/image_gpt.py                             # zeros and ones
    python examples/image_gpt.py --conditional               # told the digit: a class a row
    python examples/image_gpt.py --likelihood softmax        # a table of 17 grey values
    python examples/image_gpt.py --top-k 4 --likelihood softmax

Expect: 1 min on 2 cores; test log p(x) -22.7 ± 0.2 nats (a mixture of 40 components -23.3).

log p(x) = sum_i log p(x_i | the pixels before i) in one pass; drawing takes a token a pixel, with
the keys and values of those before kept. Zeros and ones: the test set of examples/vae.py,
mixture.py, made.py and pixelcnn.py, in nats. Grey values: exact probabilities of the 17 values, in
bits a pixel. completions.png: the upper half is a test picture's. attention.png: a test picture up
to a pixel, and where each head of each block (a row) looks for the law of that pixel.
"""

import tinygen as tg
from tinygen import data, metrics
from tinygen.models import likelihoods
from tinygen.models.autoregressive import image_gpt
from tinygen.optim.lr_scheduler import CosineAnnealingLR
from tinygen.plot.report import Report
from tinygen.run import Run, count, options

parser = options(__doc__, "image_gpt", epochs=40, batch=64, lr=1e-2)
parser.add_argument("--likelihood", choices=["bernoulli", "softmax"], default="bernoulli")
parser.add_argument("--conditional", action="store_true", help="tell it the labels")
parser.add_argument("--width", type=count, default=32, help="numbers of a token (32)")
parser.add_argument("--layers", type=count, default=2, help="blocks (2)")
parser.add_argument("--heads", type=count, default=4, help="heads of attention (4)")
parser.add_argument("--top-k", type=count, help="draw from the likeliest values only")
args = parser.parse_args()

# --- data: zeros and ones drawn anew for every batch, or the grey values as they are --------------
tg.manual_seed(args.seed)
train_set, test_set = (
    data.load(args.data, split, root=args.root, download=args.download)
    for split in ("train", "test")
)
binary = args.likelihood == "bernoulli"
levels, classes = 2 if binary else train_set.maximum + 1, len(train_set.classes)
pairs = data.TensorDataset(train_set.to_unit(), train_set.labels)
loader = data.DataLoader(pairs, args.batch, shuffle=True, drop_last=True)
test = test_set.to_unit()
test_x = likelihoods.binarise(test, tg.Generator().manual_seed(1)) if binary else test
test_x = test_x.to(args.device)
given = lambda labels: labels.to(args.device) if args.conditional else None

# --- model and optimizer --------------------------------------------------------------------------
config = vars(args) | {"shape": test.shape[1:], "levels": levels}
config |= {"classes": classes if args.conditional else 0}  # models.restore builds it from this
model = image_gpt.build(config).to(args.device)
steps = args.epochs * len(loader)
opt = tg.optim.AdamW(model.parameters(), lr=args.lr, weight_decay=0.01)
schedule = CosineAnnealingLR(opt, T_max=steps)  # lr falls to 0
ema = tg.optim.EMA(model, 0.99)
rows = given(tg.arange(100) // 10 % classes)
seeded = lambda seed: tg.Generator(args.device).manual_seed(seed)


@tg.no_grad()
def evaluate() -> tg.Tensor:
    labels = [given(part) for part in test_set.labels.split(500)]
    return tg.cat([model.log_prob(x, y) for x, y in zip(test_x.split(500), labels)])


# --- loop -----------------------------------------------------------------------------------------
run = Run(args.out, config=config, resume=args.resume, system="image_gpt")
run.track(model=model, opt=opt, schedule=schedule, ema=ema, loader=loader)
for _, (x, labels) in zip(run.steps(steps), loader.forever()):
    x = (likelihoods.binarise(x) if binary else x).to(args.device)
    terms = model.terms((x, given(labels)) if args.conditional else (x,))
    opt.zero_grad()
    terms["loss"].backward()
    opt.step()
    schedule.step()
    ema.update()
    run.log(**terms)
    if run.every(5 * len(loader)) or run.last:
        run.log(test_log_prob=evaluate().mean())
    if run.every(30 * len(loader), soon=30):
        run.picture("samples", lambda: model.sample(100, seeded(4), rows, top_k=args.top_k))

# --- what it learned ------------------------------------------------------------------------------
ema.copy_to()
density = evaluate()
error = density.std().item() / len(density) ** 0.5
nats = density.mean().item()
print(f"{steps} steps in {run.seconds:.1f} s, seed {args.seed}; {len(test)} test images of "
      f"{args.data}")  # fmt: skip
bits = metrics.bits_per_dim(-nats, test[0].numel())
print(f"test log p(x) {nats:.2f} ± {error:.2f} nats, {bits:.3f} bits a pixel of {levels} values")
report = Report(args.out, model)
draw = lambda seed, labels, **options: model.sample(
    100, seeded(seed), labels, top_k=args.top_k, **options
)
report.grid("samples", draw(4, rows))
half, whole = test_x[0].numel() // 2, test_x[:10].repeat_interleave(10, 0)
same = given(test_set.labels[:10].repeat_interleave(10, 0))
report.grid("completions", draw(5, same, given=whole, seen=half))
place = half + test.shape[-1] // 2  # the middle of the row below the half; token j is pixel j - 1
looks = model.net.attention(model.tokens(test_x[:1], given(test_set.labels[:1])))[
    :, 0, :, place, 1:
]
looks = tg.nn.functional.pad(looks, (0, 1)) / looks.max(2, keepdim=True).values
before = (test_x[0].flatten() * (tg.arange(2 * half) < place).to(args.device)).expand(
    args.layers, 1, -1
)
cells = tg.cat([before, looks], 1).reshape(-1, *test_x.shape[1:])
report.grid("attention", cells, nrow=args.heads + 1)
report.curves("log_prob", "test_log_prob", units="nats")
report.close()
