"""Lesson 2: right answers, by more than one route, and wrong ones that the judge must refuse."""

import numpy as np

import tinygen as tg


def layer_vjp(G, X, W, b):
    """Back through tanh, then through the plus (a sum for b), then through the product."""
    Z = G * (1 - np.tanh(X @ W + b) ** 2)
    return Z @ W.T, X.T @ Z, Z.sum(0)


def layer_vjp_by_tape(G, X, W, b):
    """Let tinygen do it."""
    leaves = [tg.tensor(a, requires_grad=True) for a in (X, W, b)]
    y = tg.tanh(leaves[0] @ leaves[1] + leaves[2])
    return [g.numpy() for g in tg.autograd.grad(y, leaves, tg.tensor(G))]


def layer_without_tanh(G, X, W, b):
    """Forgets the derivative of tanh."""
    return G @ W.T, X.T @ G, G.sum(0)


def layer_bias_not_summed(G, X, W, b):
    """Leaves the bias repeated."""
    Z = G * (1 - np.tanh(X @ W + b) ** 2)
    return Z @ W.T, X.T @ Z, Z


def layer_mean(G, X, W, b):
    """A mean where a sum is right."""
    Z = G * (1 - np.tanh(X @ W + b) ** 2)
    return Z @ W.T, X.T @ Z / len(X), Z.mean(0)


def cumsum_vjp(g):
    """x_j is in y_j and in every later y: running sums from the end."""
    return np.cumsum(g[::-1])[::-1]


def cumsum_vjp_by_matrix(g):
    """The transpose of a lower triangle of ones."""
    return np.tri(len(g)).T @ g


def cumsum_forward_again(g):
    """Not transposed."""
    return np.cumsum(g)


def cumsum_all(g):
    """As if every x were in every y."""
    return np.full(len(g), g.sum())


def backward_order(parents, output):
    """Depth first; a node is noted when it is left; turned round."""
    left, found, stack = [], set(), [(output, False)]
    while stack:
        node, done = stack.pop()
        if done:
            left.append(node)
        elif node not in found:
            found.add(node)
            stack.append((node, True))
            stack += [(p, False) for p in parents[node]]
    return left[::-1]


def backward_order_by_counting(parents, output):
    """Kahn (1962): take a node when all nodes made from it have been taken."""
    waiting, stack = {output: 0}, [output]
    while stack:
        for p in parents[stack.pop()]:
            if p not in waiting:
                waiting[p] = 0
                stack.append(p)
            waiting[p] += 1
    order, ready = [], [output]
    while ready:
        node = ready.pop()
        order.append(node)
        for p in parents[node]:
            waiting[p] -= 1
            if waiting[p] == 0:
                ready.append(p)
    return order


def order_as_found(parents, output):
    """Breadth first: a parent can come before another node made from it."""
    order = [output]
    for node in order:
        order += [p for p in parents[node] if p not in order]
    return order


def order_when_entered(parents, output):
    """Depth first, noted when it is entered."""
    order, stack = [], [output]
    while stack:
        node = stack.pop()
        if node not in order:
            order.append(node)
            stack += reversed(parents[node])
    return order


def order_recursive(parents, output):
    """Right, but recursion ends at a depth of about 1000."""
    left = []

    def visit(node):
        if node not in left:
            for p in parents[node]:
                visit(p)
            left.append(node)

    visit(output)
    return left[::-1]


def order_of_everything(parents, output):
    """Takes in nodes that the output does not depend on."""
    left = []
    for root in parents:
        left += [n for n in backward_order(parents, root)[::-1] if n not in left]
    return left[::-1]


def inverse_vjp(G, A):
    """dY = -Y dA Y, so the cotangent is -Y^T G Y^T."""
    Y = np.linalg.inv(A)
    return -Y.T @ G @ Y.T


def inverse_vjp_by_solving(G, A):
    """The same without an inverse."""
    return -np.linalg.solve(A.T, np.linalg.solve(A, G.T).T)


def inverse_not_transposed(G, A):
    """Forgets that the adjoint of a matrix is its transpose."""
    Y = np.linalg.inv(A)
    return -Y @ G @ Y


def inverse_sign(G, A):
    """Forgets the sign."""
    Y = np.linalg.inv(A)
    return Y.T @ G @ Y.T


def curvature(f, x, v):
    """<v, grad of <grad f, v>>."""
    (slope,) = tg.autograd.grad(f(x), [x], create_graph=True)
    (hv,) = tg.autograd.grad((slope * v).sum(), [x])
    return (hv * v).sum()


def curvature_along_a_line(f, x, v):
    """The second derivative of t -> f(x + t v)."""
    t = tg.tensor(0.0, dtype=tg.float64, requires_grad=True)
    (first,) = tg.autograd.grad(f(x + t * v), [t], create_graph=True)
    (second,) = tg.autograd.grad(first, [t])
    return second


def curvature_of_sum(f, x, v):
    """Sums the gradient instead of taking it along v: right only if H is diagonal."""
    (slope,) = tg.autograd.grad(f(x), [x], create_graph=True)
    (rows,) = tg.autograd.grad(slope.sum(), [x])
    return (rows * v * v).sum()


def curvature_not_squared(f, x, v):
    """H v, summed: the second v is missing."""
    (slope,) = tg.autograd.grad(f(x), [x], create_graph=True)
    (hv,) = tg.autograd.grad((slope * v).sum(), [x])
    return hv.sum()


def curvature_vector(f, x, v):
    """H v itself."""
    (slope,) = tg.autograd.grad(f(x), [x], create_graph=True)
    return tg.autograd.grad((slope * v).sum(), [x])[0]


RIGHT = {
    "2.1": [layer_vjp, layer_vjp_by_tape],
    "2.2": [cumsum_vjp, cumsum_vjp_by_matrix],
    "2.3": [backward_order, backward_order_by_counting],
    "2.4": [inverse_vjp, inverse_vjp_by_solving],
    "2.5": [curvature, curvature_along_a_line],
}
WRONG = {
    "2.1": [layer_without_tanh, layer_bias_not_summed, layer_mean],
    "2.2": [cumsum_forward_again, cumsum_all],
    "2.3": [order_as_found, order_when_entered, order_recursive, order_of_everything],
    "2.4": [inverse_not_transposed, inverse_sign],
    "2.5": [curvature_of_sum, curvature_not_squared, curvature_vector],
}
