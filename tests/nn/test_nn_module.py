"""Module: registration, walking, state_dict and its faults, conversion, repr, containers."""

import copy
from collections import OrderedDict

import numpy as np
import pytest

import tinygen as tg
from tinygen import nn


class Block(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.first = nn.Linear(3, width)
        self.norm = nn.BatchNorm1d(width)
        self.scale = nn.Parameter(tg.ones(width))
        self.register_buffer("steps", tg.arange(3))
        self.register_buffer("scratch", tg.zeros(2), persistent=False)
        self.note = "no state"

    def forward(self, x):
        return self.norm(self.first(x)) * self.scale


KEYS = [
    "scale", "steps", "first.weight", "first.bias", "norm.weight", "norm.bias",
    "norm.running_mean", "norm.running_var", "norm.num_batches_tracked",
]  # fmt: skip


def test_names_come_in_pytorchs_order():
    block = Block()
    assert list(block.state_dict()) == KEYS
    parameters = ["scale", "first.weight", "first.bias", "norm.weight", "norm.bias"]
    assert [name for name, _ in block.named_parameters()] == parameters
    assert [name for name, _ in block.named_modules()] == ["", "first", "norm"]
    assert [name for name, _ in block.named_children()] == ["first", "norm"]
    assert [name for name, _ in block.named_buffers()][:2] == ["steps", "scratch"]
    assert list(block.state_dict(prefix="net."))[0] == "net.scale"
    assert block.get_submodule("norm") is block.norm
    assert block.get_parameter("first.bias") is block.first.bias


def test_a_shared_parameter_is_listed_once_but_saved_under_both_names():
    a, b = nn.Linear(3, 3), nn.Linear(3, 3)
    b.weight = a.weight
    net = nn.Sequential(a, b, a)
    assert len(list(net.parameters())) == 3
    assert len(list(net.modules())) == 3
    assert set(net.state_dict()) == {f"{i}.{n}" for i in range(3) for n in ("weight", "bias")}


def test_state_dict_shares_memory_and_is_cut_from_the_tape():
    layer = nn.Linear(2, 3)
    state = layer.state_dict()
    assert not state["weight"].requires_grad
    layer.weight.detach()[0, 0] = 7.0
    assert state["weight"][0, 0].item() == 7.0


def test_load_copies_tensors_and_arrays_into_the_same_parameters():
    source, target = Block(), Block()
    source(tg.randn(5, 3))
    before = list(target.parameters())
    result = target.load_state_dict(source.state_dict())
    assert result == ([], [])
    for key, value in source.state_dict().items():
        np.testing.assert_array_equal(target.state_dict()[key].numpy(), value.numpy(), key)
    assert all(p is q for p, q in zip(before, target.parameters(), strict=True))
    arrays = {key: value.numpy().astype(np.float64) for key, value in source.state_dict().items()}
    target.load_state_dict(arrays)
    assert target.first.weight.dtype == tg.float32
    source.first.weight.detach()[0, 0] = 99.0
    assert target.first.weight[0, 0].item() != 99.0


def test_one_error_lists_every_fault_and_changes_nothing():
    block, state = Block(), Block().state_dict()
    kept = {key: value.numpy().copy() for key, value in block.state_dict().items()}
    del state["scale"], state["norm.bias"]
    state["extra"] = state["first.one_more"] = tg.zeros(1)
    state["first.weight"] = tg.zeros(4, 5)
    state["norm.weight"] = tg.zeros(3)
    with pytest.raises(RuntimeError) as caught:
        block.load_state_dict(state)
    text = str(caught.value)
    assert "loading state_dict for Block" in text
    assert 'Missing key(s) in state_dict: "scale", "norm.bias"' in text
    assert 'Unexpected key(s) in state_dict: "extra", "first.one_more"' in text
    assert "first.weight" in text and "(4, 5)" in text and "(4, 3)" in text
    assert "size mismatch for norm.weight" in text
    for key, value in block.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), kept[key])


def test_not_strict_lets_keys_pass_but_not_shapes():
    block, state = Block(), Block().state_dict()
    del state["scale"]
    state["extra"] = tg.zeros(1)
    result = block.load_state_dict(state, strict=False)
    assert result.missing_keys == ["scale"] and result.unexpected_keys == ["extra"]
    state["first.bias"] = tg.zeros(9)
    with pytest.raises(RuntimeError, match="size mismatch for first.bias"):
        block.load_state_dict(state, strict=False)


@pytest.mark.parametrize("bad", [np.array(["a"]), np.array([None] * 4)])
def test_a_state_that_is_no_numbers_is_refused(bad):
    state = Block().state_dict() | {"norm.weight": bad}
    with pytest.raises(RuntimeError, match="norm.weight: expected numbers"):
        Block().load_state_dict(state)
    with pytest.raises(TypeError, match="expected a dict"):
        Block().load_state_dict([1, 2])


def test_loading_into_a_saved_weight_is_noticed_by_backward():
    layer = nn.Linear(2, 3)
    loss = layer(tg.randn(4, 2).requires_grad_()).sum()
    layer.load_state_dict(nn.Linear(2, 3).state_dict())
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_attribute_errors_help():
    block = Block()
    with pytest.raises(AttributeError, match="'Block' object has no attribute 'frist'.*'first'"):
        block.frist  # noqa: B018
    with pytest.raises(TypeError, match="cannot assign Tensor as parameter 'scale'"):
        block.scale = tg.ones(4)
    with pytest.raises(TypeError, match="cannot assign str as child module 'norm'"):
        block.norm = "x"
    with pytest.raises(TypeError, match="cannot assign int as buffer 'steps'"):
        block.steps = 3
    with pytest.raises(KeyError, match="without '.'"):
        block.register_buffer("a.b", tg.zeros(1))
    with pytest.raises(ValueError, match="non-leaf"):
        parameter = nn.Parameter(tg.ones(2))
        parameter._node = (tg.ones(2, requires_grad=True) * 2)._node
        block.odd = parameter


def test_forgetting_super_init_is_said():
    class Bad(nn.Module):
        def __init__(self):
            self.layer = nn.Linear(1, 1)

    with pytest.raises(AttributeError, match=r"super\(\).__init__"):
        Bad()
    with pytest.raises(NotImplementedError, match='Hollow.*"forward"'):
        type("Hollow", (nn.Module,), {})()(1)


def test_reassigning_moves_between_the_registries():
    block = Block()
    block.scale = None
    assert "scale" not in block.state_dict() and block.scale is None
    del block.norm
    assert not any(key.startswith("norm") for key in block.state_dict())
    block.note = nn.Linear(1, 1)
    assert "note.weight" in block.state_dict()


@pytest.mark.parametrize("name", ["half", "training", "note", "scale", "steps", "first"])
def test_a_name_that_is_taken_is_not_registered_again(name):
    block, taken = Block(), f"attribute '{name}' already exists"
    for own, register, value in (
        ("scale", block.register_parameter, nn.Parameter(tg.ones(1))),
        ("steps", block.register_buffer, tg.ones(1)),
        ("first", block.register_module, nn.Linear(1, 1)),
    ):
        if name == own:
            continue
        with pytest.raises(KeyError, match=taken):
            register(name, value)
    assert list(block.state_dict()) == KEYS and block.half() is block


def test_registering_again_replaces_and_a_module_may_stand_over_a_method():
    block = Block()
    block.register_buffer("steps", tg.ones(1))
    assert block.steps.tolist() == [1.0] and list(block.state_dict()) == KEYS
    with pytest.raises(KeyError, match="attribute 'half' already exists"):
        block.half = nn.Parameter(tg.ones(1))
    block.half = nn.Linear(1, 1)  # PyTorch lets it be there, and the method be found
    assert "half.weight" in block.state_dict()


def test_train_eval_apply_zero_grad_requires_grad():
    block, seen = Block(), []
    assert block.eval() is block and not any(m.training for m in block.modules())
    assert block.train().norm.training
    block.apply(lambda module: seen.append(type(module).__name__))
    assert seen == ["Linear", "BatchNorm1d", "Block"]
    block(tg.randn(5, 3)).square().sum().backward()
    assert all(p.grad is not None for p in block.parameters())
    block.zero_grad(set_to_none=False)
    assert all((p.grad.numpy() == 0).all() for p in block.parameters())
    block.zero_grad()
    assert all(p.grad is None for p in block.parameters())
    assert not any(p.requires_grad for p in block.requires_grad_(False).parameters())
    with pytest.raises(ValueError, match="expected a bool"):
        block.train("yes")


def test_to_casts_floats_in_place_and_leaves_integers():
    block = Block()
    before = list(block.parameters())
    block(tg.randn(5, 3)).sum().backward()
    assert block.to(tg.float64) is block
    assert all(p is q for p, q in zip(before, block.parameters(), strict=True))
    assert {p.dtype for p in block.parameters()} == {tg.float64}
    assert {p.grad.dtype for p in block.parameters()} == {tg.float64}
    assert block.steps.dtype == tg.int64 and block.norm.num_batches_tracked.dtype == tg.int64
    assert block(tg.randn(5, 3).double()).dtype == tg.float64
    assert block.float().scale.dtype == tg.float32
    assert block.to("cpu", tg.float64).to(tg.zeros(1)).cpu().scale.dtype == tg.float32
    with pytest.raises(TypeError, match="floating-point"):
        block.to(tg.int64)


def test_deepcopy_is_independent():
    block = Block()
    twin = copy.deepcopy(block)
    twin.scale.detach()[:] = 5.0
    assert float(block.scale.detach().sum()) == 4.0
    assert isinstance(twin.scale, nn.Parameter) and list(twin.state_dict()) == KEYS


def test_hooks():
    layer = nn.Linear(2, 2)
    pre = layer.register_forward_pre_hook(lambda module, args: (args[0] * 0,))
    post = layer.register_forward_hook(lambda module, args, out: out + 1)
    x = tg.randn(3, 2)
    shifted = layer.bias.detach().numpy() + 1 + np.zeros((3, 1))
    np.testing.assert_allclose(layer(x).detach().numpy(), shifted, rtol=1e-6)
    pre.remove()
    post.remove()
    expected = x.numpy() @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()
    np.testing.assert_allclose(layer(x).detach().numpy(), expected, rtol=1e-6)


def test_parameter_shares_memory_and_prints():
    x = tg.zeros(2)
    p = nn.Parameter(x)
    x[0] = 1.0
    assert p.detach().tolist() == [1.0, 0.0] and p.requires_grad and p.is_leaf
    assert repr(p).startswith("Parameter containing:\ntensor(")
    assert nn.Parameter([1.0, 2.0]).dtype == tg.float32


# --- containers -----------------------------------------------------------------------------


def test_sequential():
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    assert len(net) == 3 and isinstance(net[-1], nn.Linear) and len(net[:2]) == 2
    assert list(net[1:].state_dict()) == ["2.weight", "2.bias"]
    net.append(nn.Tanh()).insert(1, nn.Identity())
    assert [type(m).__name__ for m in net] == ["Linear", "Identity", "ReLU", "Linear", "Tanh"]
    del net[1]
    net[1] = nn.Sigmoid()
    assert list(net.state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    named = nn.Sequential(OrderedDict(enc=nn.Linear(2, 3), dec=nn.Linear(3, 2)))
    assert list(named.state_dict())[0] == "enc.weight" and named(tg.ones(1, 2)).shape == (1, 2)
    with pytest.raises(IndexError, match="out of range for 4 modules"):
        net[4]
    with pytest.raises(TypeError, match="expected a Module"):
        nn.Sequential(nn.Linear(1, 1), "tanh")


def test_module_list_and_dict():
    layers = nn.ModuleList(nn.Linear(2, 2) for _ in range(3))
    layers.extend([nn.ReLU()])
    assert len(layers) == 4 and list(layers.state_dict())[2] == "1.weight"
    assert isinstance(layers[1:3], nn.ModuleList)
    heads = nn.ModuleDict({"mean": nn.Linear(2, 1)})
    heads["scale"] = nn.Linear(2, 1)
    heads.update({"more": nn.Identity()})
    assert list(heads) == ["mean", "scale", "more"] and "mean" in heads and len(heads) == 3
    assert list(heads.pop("scale").state_dict()) == ["weight", "bias"]
    assert [k for k, _ in heads.items()] == list(heads.keys()) == ["mean", "more"]
    del heads["more"]
    heads.clear()
    assert not list(heads.values())


def test_what_is_left_out_says_so():
    with pytest.raises(AttributeError, match=r"^tinygen.nn has no 'Conv3d': .*; use 2-D layers"):
        nn.Conv3d  # noqa: B018
    with pytest.raises(AttributeError, match=r"tinygen.nn.functional has no 'ctc_loss'"):
        nn.functional.ctc_loss  # noqa: B018
    assert all(hasattr(nn, name) for name in nn.__all__)
    assert all(hasattr(nn.functional, name) for name in nn.functional.__all__)
