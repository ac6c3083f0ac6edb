"""The primitive ops; methods.py gives them to Tensor as its operators and methods.

An op is declared once, in its own file: its name in `__all__` makes it a function of tinygen, in
METHODS a method of Tensor, in IN_PLACE also one that changes it, in OPERATORS an operator.

Read op.py first, then half, elementwise, kinks, trigonometry, special, shapes, indexing, in_place,
rearrange, reductions, order, softmaxes, products, linalg, decompositions, derived, creation,
convert; windows, pooling and images serve the layers of nn.
"""

from . import (
    compare,
    comparisons,
    creation,
    derived,
    elementwise,
    indexing,
    kinks,
    linalg,
    order,
    products,
    promotion,
    rearrange,
    reductions,
    shapes,
    softmaxes,
    special,
    trigonometry,
)
from . import methods as methods  # Tensor has its methods from here on
from .compare import *
from .comparisons import *
from .creation import *
from .derived import *
from .elementwise import *
from .indexing import *
from .kinks import *
from .linalg import *
from .order import *
from .products import *
from .promotion import *
from .rearrange import *
from .reductions import *
from .shapes import *
from .softmaxes import *
from .special import *
from .trigonometry import *

__all__ = [
    *compare.__all__,
    *comparisons.__all__,
    *creation.__all__,
    *derived.__all__,
    *elementwise.__all__,
    *indexing.__all__,
    *kinks.__all__,
    *linalg.__all__,
    *order.__all__,
    *products.__all__,
    *promotion.__all__,
    *rearrange.__all__,
    *reductions.__all__,
    *shapes.__all__,
    *softmaxes.__all__,
    *special.__all__,
    *trigonometry.__all__,
]
