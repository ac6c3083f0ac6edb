"""Every constructor refuses what it cannot mean, at once and by name."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import tinygen as tg
from tinygen import data, nn, optim
from tinygen.checks import integers, numbers, positive, sizes
from tinygen.optim import lr_scheduler

# What each class is made with when all is well; those that are not here need nothing.
GOOD: dict[str, dict[str, Any]] = {
    "AdaptiveAvgPool1d": {"output_size": 2},
    "AdaptiveAvgPool2d": {"output_size": 2},
    "AdaptiveMaxPool1d": {"output_size": 2},
    "AdaptiveMaxPool2d": {"output_size": 2},
    "AvgPool1d": {"kernel_size": 2},
    "AvgPool2d": {"kernel_size": 2},
    "BatchNorm1d": {"num_features": 3},
    "BatchNorm2d": {"num_features": 3},
    "ChannelShuffle": {"groups": 2},
    "CircularPad2d": {"padding": 1},
    "Conv1d": {"in_channels": 4, "out_channels": 6, "kernel_size": 3},
    "Conv2d": {"in_channels": 4, "out_channels": 6, "kernel_size": 3},
    "ConvTranspose1d": {"in_channels": 4, "out_channels": 6, "kernel_size": 3},
    "ConvTranspose2d": {"in_channels": 4, "out_channels": 6, "kernel_size": 3},
    "Embedding": {"num_embeddings": 5, "embedding_dim": 2},
    "Fold": {"output_size": 4, "kernel_size": 2},
    "GRU": {"input_size": 3, "hidden_size": 2},
    "GroupNorm": {"num_groups": 2, "num_channels": 4},
    "InstanceNorm2d": {"num_features": 3},
    "LSTM": {"input_size": 3, "hidden_size": 2},
    "LayerNorm": {"normalized_shape": 3},
    "Linear": {"in_features": 3, "out_features": 2},
    "LogSoftmax": {"dim": 1},
    "MaxPool1d": {"kernel_size": 2},
    "MaxPool2d": {"kernel_size": 2},
    "MultiheadAttention": {"embed_dim": 4, "num_heads": 2},
    "PixelShuffle": {"upscale_factor": 2},
    "PixelUnshuffle": {"downscale_factor": 2},
    "RMSNorm": {"normalized_shape": 3},
    "RNN": {"input_size": 3, "hidden_size": 2},
    "ReflectionPad2d": {"padding": 1},
    "ReplicationPad2d": {"padding": 1},
    "Softmax": {"dim": 1},
    "Softmin": {"dim": 1},
    "Threshold": {"threshold": 0.0, "value": 0.0},
    "TransformerDecoder": {"decoder_layer": nn.Identity(), "num_layers": 1},
    "TransformerDecoderLayer": {"d_model": 4, "nhead": 2, "dim_feedforward": 3},
    "TransformerEncoder": {"encoder_layer": nn.Identity(), "num_layers": 1},
    "TransformerEncoderLayer": {"d_model": 4, "nhead": 2, "dim_feedforward": 3},
    "Unfold": {"kernel_size": 2},
    "Unflatten": {"dim": 1, "unflattened_size": (2, 2)},
    "Upsample": {"scale_factor": 2},
    "ZeroPad2d": {"padding": 1},
    "ExponentialLR": {"gamma": 0.9},
    "CosineAnnealingLR": {"T_max": 5},
    "StepLR": {"step_size": 2},
    "MultiStepLR": {"milestones": [2, 4]},
    "LambdaLR": {"lr_lambda": lambda time: 1.0},
    "CosineAnnealingWarmRestarts": {"T_0": 5},
    "CyclicLR": {"base_lr": 0.1, "max_lr": 1.0},
    "OneCycleLR": {"max_lr": 1.0, "total_steps": 10},
}
WITHOUT_NUMBERS = {
    "Module",
    "ModuleDict",
    "ModuleList",
    "Sequential",
    "Identity",
    "Parameter",
    "ParameterList",
}
BASES = {"Optimizer", "LRScheduler", "SequentialLR", "Together"}
# Indices, and what may well be negative.
SIGNED = {"dim", "start_dim", "end_dim", "ignore_index", "padding_idx", "alpha", "beta", "value"}
SIGNED |= {"threshold", "negative_slope", "min_val", "max_val", "init", "gamma", "eta_min"}
SIGNED |= {"last_epoch", "margin", "p", "norm_type"}


def classes() -> Iterator[tuple[str, Callable[..., Any]]]:
    for module in (nn, optim, lr_scheduler):
        for name, made in sorted(vars(module).items()):
            if inspect.isclass(made) and name not in WITHOUT_NUMBERS | BASES:
                if issubclass(made, lr_scheduler.LRScheduler):
                    yield name, lambda made=made, **kw: made(sgd(), **kw)
                elif made.__module__.startswith("tinygen.optim"):
                    yield name, lambda made=made, **kw: made([tg.ones(2, 2)], **kw)
                elif made.__module__.startswith("tinygen.nn"):
                    yield name, made


def sgd() -> optim.SGD:
    return optim.SGD([tg.ones(2)], lr=0.1)


def parameters(name: str) -> Iterator[tuple[str, str]]:
    """(parameter, annotation) of a class's constructor."""
    module = next(m for m in (nn, optim, lr_scheduler) if hasattr(m, name))
    for key, parameter in inspect.signature(getattr(module, name)).parameters.items():
        yield key, str(parameter.annotation)


def calls() -> Iterator[tuple[str, Callable[..., Any], str, Any]]:
    for name, make in classes():
        for key, kind in parameters(name):
            bad: list[Any] = []
            if kind in ("int", "int | None", "Size", "Size | None", "int | Sequence[int]"):
                bad = ["3", 1.5, math.nan, {}] + [-1] * (key not in SIGNED)
            elif kind in ("float", "float | None"):
                bad = ["0.1", math.nan, [1.0]] + [-1.0] * (key not in SIGNED)
            if bad and "None" not in kind:
                bad.append(None)
            if key in ("device", "dtype"):
                bad = ["floaty", "gpu", 3]
            if name == "ZeroPad2d":  # it may crop
                bad = [value for value in bad if value != -1]
            if name == "InstanceNorm2d" and key == "momentum":  # None is the default's
                bad.remove(None)
            for value in bad:
                yield name, make, key, value


CALLS = list(calls())


def test_the_sweep_is_of_everything() -> None:
    names = {name for name, *_ in CALLS}
    assert {"Linear", "Conv2d", "LSTM", "Adam", "EMA", "StepLR", "Dropout", "Upsample"} <= names
    assert len(CALLS) > 400


@pytest.mark.parametrize("name", sorted({name for name, *_ in CALLS}))
def test_good_arguments_are_taken(name: str) -> None:
    dict(classes())[name](**GOOD.get(name, {}))


@pytest.mark.parametrize(
    ("name", "make", "key", "value"), CALLS, ids=[f"{n}-{k}-{v!r}" for n, _, k, v in CALLS]
)
def test_a_wrong_argument_is_one_clear_error(
    name: str, make: Callable[..., Any], key: str, value: Any
) -> None:
    arguments = {**GOOD.get(name, {}), key: value}
    if name == "Upsample" and key == "size":
        del arguments["scale_factor"]
    with pytest.raises((TypeError, ValueError, RuntimeError)) as caught:
        make(**arguments)
    text = str(caught.value)
    if key not in ("device", "dtype"):
        assert text.startswith(name), text
    word = "dtype" if key == "dtype" else key.removesuffix("s")
    assert word in text and str(value)[:10] in text and "\n" not in text, text


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nn.Linear(-3, 2), ValueError, "Linear: expected in_features >= 0, got -3"),
        (lambda: nn.Linear("3", 2), TypeError, "Linear: expected an integer in_features, got '3'"),
        (lambda: nn.Linear(3, 2, dtype="floaty"), TypeError, "a dtype, one of .* got 'floaty'"),
        (lambda: tg.zeros(2, dtype="floaty"), TypeError, "a dtype, one of .* got 'floaty'"),
        (lambda: tg.tensor([1.0], dtype="complex64"), TypeError, "a dtype, .* got 'complex64'"),
        (lambda: tg.rand(2, dtype="floaty"), TypeError, "a dtype, one of .* got 'floaty'"),
        (lambda: tg.full(2, 1, dtype="floaty"), TypeError, "a dtype, one of .* got 'floaty'"),
        (lambda: tg.zeros(2).to("gpu"), TypeError, "got 'gpu' .a device is 'cpu' or 'cuda'."),
        (lambda: nn.Linear(3, 2).to("gpu"), TypeError, "got 'gpu' .a device is 'cpu' or 'cuda'."),
        (lambda: tg.set_default_dtype("floaty"), TypeError, "a dtype, one of .* got 'floaty'"),
        (lambda: tg.zeros("3"), TypeError, "expected integers as sizes, got"),
        (lambda: tg.zeros(2.5), TypeError, "expected integers as sizes, got"),
        (lambda: optim.Adam([tg.ones(2)], lr="0.1"), TypeError, "Adam: expected a number lr, got"),
        (lambda: optim.Adam([tg.ones(2)], betas=0.9), TypeError, "Adam: expected two betas, got"),
        (lambda: optim.Adam([tg.ones(2)], betas=(0.9,)), TypeError, "Adam: expected two betas"),
        (lambda: optim.Adam([tg.ones(2)], betas=("a", 0.9)), TypeError, "Adam: expected a number"),
        (lambda: tg.manual_seed("a"), TypeError, "manual_seed: expected an integer seed, got 'a'"),
        (lambda: tg.manual_seed(1.5), TypeError, "manual_seed: expected an integer seed, got 1.5"),
        (lambda: tg.manual_seed(None), TypeError, "manual_seed: expected an integer seed"),
        (lambda: tg.Generator().manual_seed(-1), ValueError, "expected seed >= 0, got -1"),
        (lambda: lr_scheduler.MultiStepLR(sgd(), 5), TypeError, "a list of milestones, got 5"),
        (lambda: lr_scheduler.MultiStepLR(sgd(), ["5"]), TypeError, "an integer milestone"),
        (lambda: lr_scheduler.LambdaLR(sgd(), [0.5]), TypeError, "LambdaLR: expected functions"),
        (lambda: nn.Conv2d(1, 1, (3, 3, 3)), ValueError, "one kernel_size or 2 of them, got"),
        (lambda: nn.Conv2d(1, 1, 3, padding="some"), TypeError, "an integer padding, got 'some'"),
        (lambda: nn.Upsample(), ValueError, "Upsample: expected size or scale_factor"),
        (lambda: nn.Upsample(2, mode="cubic"), ValueError, "Upsample: expected mode to be one of"),
        (lambda: data.toy("ring", -1), ValueError, "gaussian_ring: expected n >= 0, got -1"),
        (lambda: data.toy("ring", "5"), TypeError, "gaussian_ring: expected an integer n, got"),
        (lambda: data.toy("ring", 5, std=-1), ValueError, "gaussian_ring: expected std >= 0"),
        (lambda: data.toy("ring", 5, modes=0), ValueError, "ring_centers: expected modes >= 1"),
        (lambda: data.toy("grid", 5, side=0), ValueError, "grid_centers: expected side >= 1"),
        (lambda: data.toy("swiss_roll", 5, noise=math.nan), ValueError, "swiss_roll: expected a f"),
        (lambda: data.toy("two_moons", 1.5), TypeError, "two_moons: expected an integer n"),
        (lambda: data.toy("pinwheel", 5, arms=0), ValueError, "pinwheel: expected arms >= 1"),
        (lambda: data.toy("checkerboard", 5, squares=0), ValueError, "expected squares >= 1"),
        (lambda: data.to_unit(np.zeros(2, np.uint8), 0), ValueError, "to_unit: expected maximum"),
        (lambda: data.to_uint8(tg.ones(2), 1, 1), ValueError, "to_uint8: expected low < high"),
    ],
)
def test_what_was_answered_badly(
    call: Callable[[], Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_what_is_right_stays_right() -> None:
    integers("f", a=np.int64(3), b=tg.tensor(2), c=True)
    numbers("f", 0, a=np.float32(3), b=tg.tensor(2.0), c=0)
    numbers("f", finite=False, a=math.inf)
    positive("f", a=1)
    assert sizes("f", "a", 3, 2) == (3, 3) and sizes("f", "a", [1, 2]) == (1, 2)
    assert nn.Linear(0, 2)(tg.ones(1, 0)).shape == (1, 2)  # as in PyTorch
    assert nn.Hardtanh(0.0, math.inf)(tg.tensor([-1.0, 9.0])).tolist() == [0.0, 9.0]
    assert tg.manual_seed(np.int64(7)).initial_seed() == 7
    assert tg.zeros(2, dtype=float).dtype == tg.float64
