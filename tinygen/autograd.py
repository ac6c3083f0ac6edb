"""The backward pass, grad() and backward(); PyTorch's `torch.autograd` by its names.

The pass walks Nodes from the youngest to the oldest. Gradients are Tensors and vjps are made of
Tensor ops, so gradients of any order come for free: with create_graph=True the same ops are
recorded. `gradcheck` and `gradgradcheck` are tinygen.testing's check_grads.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from . import function
from .backend import module_of
from .function import Function
from .tape import (
    Node,
    detect_anomaly,
    enable_grad,
    is_grad_enabled,
    no_grad,
    process,
    set_grad_enabled,
    thread,
)
from .tensor import Tensor, check_grad, same_device, wrap

if TYPE_CHECKING:  # they read this file: the front page answers for them, at first use
    from . import derivatives as functional
    from .testing.gradcheck import gradcheck as gradcheck
    from .testing.gradcheck import gradgradcheck as gradgradcheck

__all__ = [
    "Function",
    "Variable",
    "backward",
    "detect_anomaly",
    "enable_grad",
    "function",
    "functional",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "is_grad_enabled",
    "no_grad",
    "set_detect_anomaly",
    "set_grad_enabled",
]

Tensors: TypeAlias = Tensor | Sequence[Tensor]


def set_detect_anomaly(enabled: Any) -> None:
    """Hunt NaNs from now on (or no longer): the op that first makes one raises with its name."""
    process.anomaly = bool(enabled)


def backward(
    tensors: Tensors,
    grad_tensors: Tensors | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
) -> None:
    """Accumulate the sum of the gradients of `tensors` into the `.grad` of the leaves.

    grad_tensors are the cotangents, of the tensors' shapes; they may be left out for scalars.
    """
    outputs = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    run_backward(outputs, _cotangents(outputs, grad_tensors), None, retain_graph, create_graph)


def grad(
    outputs: Tensors,
    inputs: Tensors,
    grad_outputs: Tensors | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool = False,
    materialize_grads: bool = False,
) -> tuple[Tensor, ...]:
    """sum_k <grad_outputs_k, d outputs_k / d inputs>, one Tensor an input; no `.grad` is touched.

    create_graph=True records the gradients, so that they can be differentiated again. An input
    that the outputs do not depend on is an error, or None with allow_unused=True, or zeros with
    materialize_grads=True. only_inputs=False has no effect, as in PyTorch: it warns.

    >>> x = tg.tensor(2.0, requires_grad=True)
    >>> (slope,) = tg.autograd.grad(x**3, x, create_graph=True)  # 3 x^2
    >>> slope.item(), tg.autograd.grad(slope, x)  # 6 x
    (12.0, (tensor(12.),))
    """
    outs = [outputs] if isinstance(outputs, Tensor) else list(outputs)
    ins = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    if not only_inputs:
        warnings.warn("grad: only_inputs=False is ignored; use backward()", FutureWarning, 2)
    for i, x in enumerate(ins):
        if not x._requires_grad:
            raise RuntimeError(f"grad: input {i} (shape {x.shape}) does not require grad")
    grads = run_backward(outs, _cotangents(outs, grad_outputs), ins, retain_graph, create_graph)
    for i, g in enumerate(grads):
        if g is None and materialize_grads:
            grads[i] = wrap(module_of(ins[i]._array).zeros(ins[i].shape, ins[i].dtype))
        elif g is None and not allow_unused:
            raise RuntimeError(
                f"grad: input {i} (shape {ins[i].shape}) appears to not have been used in the "
                "graph. Pass allow_unused=True if this is what you want."
            )
    return tuple(grads)  # type: ignore[arg-type]


def Variable(data: Tensor, requires_grad: bool = False) -> Tensor:
    """A Tensor with `data`'s memory: the name in old programs, when Tensors had no gradients."""
    return data.detach().requires_grad_(requires_grad)


def _cotangents(outputs: list[Tensor], given: Tensors | None) -> list[Tensor | None]:
    if given is None:
        return [None] * len(outputs)
    cotangents = [given] if isinstance(given, Tensor) else list(given)
    if len(cotangents) != len(outputs):
        raise RuntimeError(f"grad: got {len(outputs)} outputs and {len(cotangents)} grad_outputs")
    return cotangents  # type: ignore[return-value]


def _backward_method(
    self: Tensor,
    gradient: Tensor | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
) -> None:
    """Accumulate d self / d leaf into `.grad` of every leaf that requires a gradient.

    `gradient` is the cotangent, of self's shape; it may be left out for a scalar. RuntimeError the
    second time, unless retain_graph=True: what was saved for it is freed as it is used.

    >>> x = tg.tensor([1.0, 2.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    tensor([2., 4.])
    """
    run_backward([self], [gradient], None, retain_graph, create_graph)


Tensor.backward = _backward_method  # type: ignore[assignment, method-assign]


# --- the pass -------------------------------------------------------------------------------


def run_backward(
    outputs: Sequence[Tensor],
    gradients: Sequence[Tensor | None],
    inputs: Sequence[Tensor] | None,
    retain_graph: bool | None,
    create_graph: bool,
) -> list[Tensor | None]:
    """The one backward pass. With `inputs`: return their gradients. Without: fill leaves' .grad.

    The idea is HIPS/autograd's pass, eight lines:

        def backward_pass(g, end_node):
            outgrads = {end_node: g}
            for node in toposort(end_node):             # children before their parents
                outgrad = outgrads.pop(node)            # complete: no child is left to add to it
                for parent, ingrad in zip(node.parents, node.vjp(outgrad)):
                    outgrads[parent] = add(outgrads.get(parent), ingrad)
            return outgrad

    Ours adds: several outputs, each with its cotangent; only the nodes that lead to `inputs`, so
    that nothing is computed for nobody; the order of birth for the sort (tape.py); vjps recorded
    under create_graph, for gradients of gradients; saved arrays freed as they are used, for memory;
    .grad of leaves, and after retain_grad(); checks of each gradient's shape and dtype, of arrays
    changed since (node.check) and, on demand, for NaNs, so that an error names the op.
    """
    retain = create_graph if retain_graph is None else retain_graph
    seeds = [_seed(output, gradient) for output, gradient in zip(outputs, gradients, strict=True)]
    keys = [output._node or output for output in outputs]
    wanted = {x._node or x for x in inputs or ()}
    nodes = _reachable(keys)
    useful = None if inputs is None else _leading_to(nodes, wanted)
    grads = _Gradients()
    before = thread.grad, thread.in_backward
    thread.grad, thread.in_backward = create_graph, True
    try:
        for key, seed in zip(keys, seeds, strict=True):
            grads.add(key, seed)
        for node in nodes:
            g = grads.get(node)
            if g is None or (useful is not None and node not in useful):
                continue
            if node not in wanted:
                del grads[node]
            if node.hooks is not None:  # as in PyTorch, what is returned for `inputs` is without
                g = _run_hooks(node.hooks, g)
            if node.retain is not None and inputs is None:
                _accumulate(node.retain(), g, create_graph, {id(g._array)})
            _pull_back(node, g, grads, useful)
            if node.saved and not retain:
                node.free()
        for leaf, g in grads.items():
            if hooks := getattr(leaf, "_hooks", None):
                grads[leaf] = _run_hooks(hooks, g)
        if inputs is None:
            held = {id(seed._array) for seed in seeds}
            for leaf, g in grads.items():
                _accumulate(leaf, g, create_graph, held)
    finally:
        thread.grad, thread.in_backward = before
    return [] if inputs is None else [grads.get(x._node or x) for x in inputs]


def _run_hooks(hooks: dict[int, Any], g: Tensor) -> Tensor:
    """What the hooks make of a gradient, one after the other."""
    for hook in tuple(hooks.values()):
        changed = hook(g)
        if changed is not None:
            check_grad(changed, g, "a hook of register_hook")
            g = changed
    return g


def _seed(output: Tensor, gradient: Tensor | None) -> Tensor:
    """The cotangent to start from: the one given, or 1 for a scalar."""
    if not isinstance(output, Tensor):
        raise TypeError(f"backward: expected a Tensor, got {type(output).__name__}")
    if not output._requires_grad:
        raise RuntimeError(
            "backward: element 0 of tensors does not require grad and does not have a grad_fn"
        )
    if gradient is None:
        if output.numel() != 1:
            raise RuntimeError(
                f"backward: grad can be implicitly created only for scalar outputs, got shape "
                f"{output.shape}; call .sum() or .mean() first, or pass the gradient"
            )
        return wrap(module_of(output._array).ones(output.shape, output.dtype))
    check_grad(gradient, output, "backward")
    same_device("backward", output, gradient)
    return gradient


def _reachable(roots: list[Any]) -> list[Node]:
    """All Nodes that the roots were computed from, youngest first. Iterative: graphs are deep."""
    seen = {root for root in roots if root.__class__ is Node}
    stack = list(seen)
    while stack:
        for parent in stack.pop().parents:
            if parent.__class__ is Node and parent not in seen:
                seen.add(parent)
                stack.append(parent)
    return sorted(seen, key=attrgetter("birth"), reverse=True)


def _leading_to(nodes: list[Node], wanted: set[Any]) -> set[Any]:
    """The wanted keys and every Node from which one of them can be reached."""
    useful = set(wanted)
    for node in reversed(nodes):  # oldest first, so that parents are decided before children
        if any(parent in useful for parent in node.parents):
            useful.add(node)
    return useful


class _Gradients(dict[Any, Tensor]):
    """The gradient so far of each Node and leaf that still waits for its turn."""

    def __init__(self) -> None:
        self.own: set[Any] = set()  # keys whose array was made for them: nobody else holds it

    def add(self, key: Any, g: Tensor) -> None:
        """A first gradient is kept as it came (it may be shared); the sum of two is added into."""
        if key not in self:
            self[key] = g
        elif key in self.own:
            np.add(self[key]._array, g._array, out=self[key]._array)
        else:
            self[key] = self[key] + g
            if not thread.grad:
                self.own.add(key)


def _pull_back(node: Node, g: Tensor, grads: _Gradients, useful: set[Any] | None) -> None:
    """Send the gradient `g` of `node` on to its parents."""
    node.check()
    saved = node.saved
    if "out" in saved:  # type: ignore[operator]
        # Bound to its Node for the length of this call only: the Node itself keeps the bare array.
        out = wrap(saved["out"])  # type: ignore[index]
        out._node, out._requires_grad = node, True
        saved = {**saved, "out": out}  # type: ignore[dict-item]
    if node.op.shares:
        saved = {**saved, "shared": {}}  # type: ignore[dict-item]
    for i, parent in enumerate(node.parents):
        if parent is None or (useful is not None and parent not in useful):
            continue
        if node.op.add_to and parent in grads.own and not process.anomaly:
            node.op.add_to(grads[parent]._array, g._array, **saved)  # type: ignore[arg-type]
            continue
        pulled = node.op.pull_back(i, g, saved, parent)
        if pulled._array.shape != parent.shape or pulled._array.dtype != parent.dtype:
            check_grad(pulled, parent, f"backward of {node.name()}, input {i}")
        if process.anomaly and bool(np.isnan(pulled._array).any()):
            raise RuntimeError(
                f"detect_anomaly: the gradient of {node.name()} for its input {i} is NaN; the op "
                f"was called at {node.place or 'a place not recorded (anomaly mode was off)'}"
            )
        if parent in grads:
            grads.add(parent, pulled)
        else:
            grads[parent] = pulled
            if node.op.add_to and not thread.grad:
                grads.own.add(parent)  # zeros but for this part: the others are added in place


def _accumulate(leaf: Tensor | None, g: Tensor, create_graph: bool, held: set[int]) -> None:
    """leaf.grad += g. The first gradient is taken over as it is if nobody else can hold it."""
    if leaf is None:
        return
    if leaf._grad is None and create_graph:
        leaf._grad = g.clone()
    elif leaf._grad is None:
        shared = g._array.base is not None or id(g._array) in held
        leaf._grad = wrap(g._array.copy(order="K") if shared else g._array)
        held.add(id(leaf._grad._array))
    elif create_graph or leaf._grad._requires_grad:
        leaf._grad = leaf._grad + g
    else:
        np.add(leaf._grad._array, g._array, out=leaf._grad._array)
        leaf._grad._version[0] += 1
