"""A tiny run for tests/run/test_run.py to kill: python training_script.py FOLDER STEPS [...].

Everything that has a state takes part: shuffled data, dropout, Adam, a schedule, EMA, a generator
of its own. `--every 1` checkpoints as fast as it can.
"""

import argparse
import sys

import tinygen as tg
from tinygen import nn, optim
from tinygen.data import DataLoader, TensorDataset
from tinygen.run import Run

parser = argparse.ArgumentParser()
parser.add_argument("folder")
parser.add_argument("steps", type=int)
parser.add_argument("--resume", action="store_true")
parser.add_argument("--every", type=int)
parser.add_argument("--width", type=int, default=16)
args = parser.parse_args()

tg.manual_seed(5)
x = tg.randn(50, 3)
data = DataLoader(TensorDataset(x, x.sum(1, keepdim=True)), batch_size=8, shuffle=True)
model = nn.Sequential(
    nn.Linear(3, args.width), nn.Tanh(), nn.Dropout(0.2), nn.Linear(args.width, 1)
)
opt = optim.Adam(model.parameters(), lr=1e-2)
schedule = optim.lr_scheduler.SequentialLR(
    opt,
    [optim.lr_scheduler.LinearLR(opt, 0.1), optim.lr_scheduler.ExponentialLR(opt, 0.99)],
    milestones=[5],
)
ema = optim.EMA(model)
noise = tg.Generator().manual_seed(9)

run = Run(args.folder, args, args.resume, save_every=args.every, save_seconds=None, best="loss")
run.track(model=model, opt=opt, schedule=schedule, ema=ema, data=data, noise=noise)
for step, (inputs, targets) in zip(run.steps(args.steps), data.forever(), strict=False):
    jitter = 0.1 * tg.randn(*targets.shape, generator=noise)
    loss = ((model(inputs) - targets - jitter) ** 2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    schedule.step()
    ema.update()
    run.log(loss=loss, lr=schedule.get_last_lr()[0])
    if step % 100 == 0 or step == 1 or args.every:
        print(step, flush=True)
sys.stdout.close()
