"""Optimizers, learning-rate schedules and weight averages, under PyTorch's names."""

from typing import TYPE_CHECKING, NoReturn

from ..names import missing
from . import lr_scheduler as lr_scheduler
from . import muon as muon
from .algorithms import SGD as SGD
from .algorithms import Adagrad as Adagrad
from .algorithms import Adam as Adam
from .algorithms import AdamW as AdamW
from .algorithms import RMSprop as RMSprop
from .ema import EMA as EMA
from .muon import Muon as Muon
from .optimizer import Optimizer as Optimizer
from .optimizer import clip_weights_ as clip_weights_
from .together import Together as Together

__all__ = [
    "Adagrad", "Adam", "AdamW", "EMA", "Muon", "Optimizer", "RMSprop", "SGD", "Together",
    "clip_weights_", "lr_scheduler",
]  # fmt: skip

if not TYPE_CHECKING:  # for a type checker, a name that is not there is an error of its own

    def __getattr__(name: str) -> NoReturn:
        raise missing(__name__, name, __all__)
