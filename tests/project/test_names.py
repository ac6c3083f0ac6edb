"""What is left out answers with its row of the table; what is misspelt, with what is near."""

from __future__ import annotations

import traceback

import pytest

import tinygen as tg
from tinygen import nn, optim
from tinygen.names import GROUPS, LEFT_OUT, find, missing

ASKED = [
    (tg, "softmxa", "tinygen has no 'softmxa'; did you mean 'softmax'?"),
    (tg, "sparse_coo_tensor", "has no 'sparse_coo_tensor': tensors are dense; use a dense tensor"),
    (tg, "LongTensor", "types of tensors are dtypes; use tensor(data, dtype=...)"),
    (tg, "zorp", "docs/pytorch.md lists what is left out"),
    (nn, "Liner", "tinygen.nn has no 'Liner'; did you mean 'Linear'?"),
    (nn, "Conv3d", "no system here works on volumes; use 2-D layers"),
    (nn.functional, "ctc_loss", "tinygen.nn.functional has no 'ctc_loss': losses of recognition"),
    (nn.functional, "cross_entrpy", "did you mean 'cross_entropy'?"),
    (optim, "LBFGS", "use SGD, Adagrad, RMSprop, Adam or AdamW instead"),
    (tg.linalg, "matrix_rank", "tinygen.linalg has no 'matrix_rank': what no generative model"),
    (tg.linalg, "sovle", "did you mean 'solve'?"),
    (tg.autograd, "gard", "tinygen.autograd has no 'gard'; did you mean 'grad'?"),
    (tg.utils.data, "IterableDataset", "use a Dataset with len() and [index] instead"),
    (optim.lr_scheduler, "CosineAnealingLR", "did you mean 'CosineAnnealingLR'?"),
]


@pytest.mark.parametrize(("module", "name", "says"), ASKED, ids=[name for _, name, _ in ASKED])
def test_a_name_that_is_not_there_is_answered(module, name, says) -> None:
    with pytest.raises(AttributeError) as caught:
        getattr(module, name)
    assert says in str(caught.value) and "\n" not in str(caught.value)
    shown = traceback.format_exception(caught.value)[-1]
    assert "Did you mean" not in shown, "Python adds a guess of its own"


def test_python_s_own_questions_are_answered_at_once() -> None:
    assert "did you mean" not in str(missing("tinygen", "__file_", ["__file__"]))


def test_a_name_stands_in_one_row() -> None:
    names = [name for group in GROUPS for name in group[0].split()]
    assert len(names) == len(set(names)) == len(LEFT_OUT)
    assert all(why and instead for _, why, instead in GROUPS)


def test_what_is_left_out_is_not_there() -> None:
    modules = (tg, nn, nn.functional, nn.init, nn.utils, optim, optim.lr_scheduler, tg.utils.data)
    modules += (tg.linalg, tg.autograd, tg.distributions)
    there = {name for module in modules for name in module.__all__} | {*vars(tg.Tensor)}
    wrong = sorted(name for name in there if find(name))
    assert not wrong, f"in tinygen/names.py although tinygen has it: {wrong}"
