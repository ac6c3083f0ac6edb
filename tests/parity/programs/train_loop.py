"""A training script in its usual shape: random_split, loaders, schedules, validation."""

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, OneCycleLR, SequentialLR
from torch.utils.data import DataLoader, Dataset, Subset, random_split


class Images(Dataset):
    def __init__(self, images, labels, transform=None):
        self.images, self.labels, self.transform = images, labels, transform

    def __len__(self):
        return len(self.images)

    def __getitem__(self, idx):
        image = torch.as_tensor(self.images[idx], dtype=torch.get_default_dtype())
        if self.transform:
            image = self.transform(image)
        return image, int(self.labels[idx])


def collate(batch):
    images, labels = zip(*batch, strict=True)
    return torch.stack(images, dim=0), torch.tensor(labels, dtype=torch.long)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 6, 3, 1, padding=1)
        self.bn = nn.BatchNorm2d(6)
        self.fc1 = nn.Linear(6 * 4 * 4, 16)
        self.fc2 = nn.Linear(16, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn(self.conv(x))), 2)
        x = F.relu(self.fc1(torch.flatten(x, 1)))
        return F.log_softmax(self.fc2(x), dim=1)


def train_epoch(model, device, train_loader, optimizer, scheduler):
    model.train()
    total = 0.0
    for _, (data, target) in enumerate(train_loader):
        data, target = data.to(device, non_blocking=True), target.to(device)
        optimizer.zero_grad()
        loss = F.nll_loss(model(data), target)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        total += loss.item() * data.size(0)
    return total / len(train_loader.dataset)


@torch.no_grad()
def test(model, device, loader):
    model.eval()
    test_loss, correct = 0, 0
    for data, target in loader:
        data, target = data.to(device), target.to(device)
        output = model(data)
        test_loss += F.nll_loss(output, target, reduction="sum").item()
        pred = output.argmax(dim=1, keepdim=True)
        correct += pred.eq(target.view_as(pred)).sum().item()
    return test_loss / len(loader.dataset), correct / len(loader.dataset)


def build():
    return {"model": Net()}


def train(models, data):
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model, history = models["model"].to(device), []
    dataset = Images(data["unit"], data["labels"], transform=lambda x: (x - 0.5) / 0.5)
    train_set, val_set, _ = random_split(dataset, [24, 6, 2], torch.Generator().manual_seed(42))
    assert isinstance(val_set, Subset) and len(train_set) == 24
    train_loader = DataLoader(
        train_set, batch_size=5, shuffle=True, num_workers=0, pin_memory=False, collate_fn=collate
    )
    val_loader = DataLoader(val_set, batch_size=4, shuffle=False)
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    warmup = LinearLR(optimizer, start_factor=0.1, total_iters=3)
    cosine = CosineAnnealingLR(optimizer, T_max=10)
    scheduler = SequentialLR(optimizer, [warmup, cosine], milestones=[3])
    plateau = optim.lr_scheduler.ReduceLROnPlateau(optimizer, mode="min", factor=0.5, patience=0)
    best = float("inf")
    for _epoch in range(3):
        loss = train_epoch(model, device, train_loader, optimizer, scheduler)
        val_loss, accuracy = test(model, device, val_loader)
        plateau.step(val_loss)
        if val_loss < best:
            best, checkpoint = val_loss, {k: v.clone() for k, v in model.state_dict().items()}
        history += [loss, val_loss, accuracy, optimizer.param_groups[0]["lr"]]
    model.load_state_dict(checkpoint)
    optimizer = optim.Adagrad([{"params": model.conv.parameters(), "lr": 0.01},
                               {"params": model.fc2.parameters()}], lr=0.02)  # fmt: skip
    optimizer = optim.AdamW(model.parameters(), lr=1e-3)
    scheduler = OneCycleLR(optimizer, max_lr=0.01, epochs=2, steps_per_epoch=len(train_loader))
    for _epoch in range(2):
        history.append(train_epoch(model, device, train_loader, optimizer, scheduler))
        history += scheduler.get_last_lr()
    return [*history, *test(model, device, val_loader)]
