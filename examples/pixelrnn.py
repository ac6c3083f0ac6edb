"""Train a PixelRNN on binary digits: LSTMs that walk over the picture, by rows or by diagonals.

    python examples/pixelrnn.py                              # Row LSTM: sees a triangle above
    python examples/pixelrnn.py --model diagonal             # Diagonal BiLSTM: sees all before

Expect: 1 min on 2 cores; test log p(x) -22.5 ± 0.2 nats (a mixture of 40 components -23.3).

log p(x) = sum_i log p(x_i | the pixels before i). The part of an LSTM's gates that comes from the
input is one masked convolution for all pixels; the part from its state goes row after row, or, the
picture skewed, diagonal after diagonal. The test set is that of examples/vae.py, mixture.py,
made.py and pixelcnn.py, in nats. completions.png: the upper half is a test picture's. context.png:
what 64 of the pixels look at, the bright ones: the size of their logit's gradient by each pixel.
"""

import tinygen as tg
from tinygen import data
from tinygen.models import likelihoods
from tinygen.models.autoregressive import pixelrnn
from tinygen.optim.lr_scheduler import CosineAnnealingLR
from tinygen.plot.report import Report
from tinygen.run import Run, count, options

parser = options(__doc__, "pixelrnn", epochs=60, batch=64, lr=4e-3)
parser.add_argument("--model", choices=list(pixelrnn.LSTMS), default="row", help="the LSTM's way")
parser.add_argument("--width", type=count, default=16, help="features of an LSTM (16)")
parser.add_argument("--layers", type=count, default=3, help="layers of LSTMs (3)")
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
model = pixelrnn.build(config).to(args.device)
steps = args.epochs * len(loader)
opt = tg.optim.AdamW(model.parameters(), lr=args.lr, weight_decay=0.01)
schedule = CosineAnnealingLR(opt, T_max=steps)  # lr falls to 0
ema = tg.optim.EMA(model, 0.99)
seeded = lambda seed: tg.Generator(args.device).manual_seed(seed)


@tg.no_grad()
def evaluate() -> tg.Tensor:
    return tg.cat([model.log_prob(part) for part in test_x.split(500)])


def context() -> tg.Tensor:
    """How much each of 64 pixels' logits hangs on all pixels, (64, 1, H, W), 1 at the pixel."""
    height, width = test.shape[2:]
    rows, columns = (range(size // 16, size - size % 8, size // 8) for size in (height, width))
    places = [(i, j) for i in rows for j in columns]
    marks = tg.zeros(len(places), 1, height, width)
    for mark, (i, j) in zip(marks, places):
        mark[0, i, j] = 1.0
    x = test_x[:8].repeat(len(places), 1, 1, 1).requires_grad_()  # 8 pictures for each of them
    chosen = model(x) * marks.repeat_interleave(8, 0).to(args.device)
    size = tg.autograd.grad(chosen.sum(), x)[0].abs().reshape(-1, 8, height, width).mean(1, True)
    return marks + 0.7 * (size / tg.clamp(size.amax((2, 3), True), min=1e-12)).sqrt().to("cpu")


# --- loop -----------------------------------------------------------------------------------------
run = Run(args.out, config=config, resume=args.resume, system="pixelrnn")
run.track(model=model, opt=opt, schedule=schedule, ema=ema, loader=loader)
for _, (x,) in zip(run.steps(steps), loader.forever()):
    terms = model.terms((likelihoods.binarise(x).to(args.device),))
    opt.zero_grad()
    terms["loss"].backward()
    tg.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
    opt.step()
    schedule.step()
    ema.update()
    run.log(**terms)
    if run.every(5 * len(loader)) or run.last:
        run.log(test_log_prob=evaluate().mean())
    if run.every(50 * len(loader), soon=30):
        run.picture("samples", lambda: model.sample(100, seeded(4)))

# --- what it learned ------------------------------------------------------------------------------
ema.copy_to()
density = evaluate()
error = density.std().item() / len(density) ** 0.5
print(f"{steps} steps in {run.seconds:.1f} s, seed {args.seed}; {len(test)} test images of "
      f"{args.data}")  # fmt: skip
print(f"test log p(x) {density.mean().item():.2f} ± {error:.2f} nats, {args.model}")
report = Report(args.out, model)
report.grid("samples", model.sample(100, seeded(4)))
half, whole = test_x[0].numel() // 2, test_x[:10].repeat_interleave(10, 0)
report.grid("completions", model.sample(100, seeded(5), given=whole, seen=half))
report.grid("context", context(), nrow=8)
report.curves("log_prob", "test_log_prob", units="nats")
report.close()
