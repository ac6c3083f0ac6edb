"""The primitive ops; methods.py gives them to Tensor as its operators and methods.

An op is declared once, in its own file: its name in `__all__` makes it a function of tinygen, in
METHODS a method of Tensor, in IN_PLACE also one that changes it, in OPERATORS an operator.

Read op.py first, then half, elementwise, activations, kinks, trigonometry, special, shapes,
diagonals, indexing, in_place, scattering, rearrange, derived_shapes, reductions, order, counting,
softmaxes, products, linalg, decompositions, derived, creation, convert; windows, pooling and images
serve nn's layers.
"""

from . import (
    activations,
    compare,
    comparisons,
    counting,
    creation,
    derived,
    derived_shapes,
    diagonals,
    elementwise,
    indexing,
    kinks,
    linalg,
    order,
    products,
    promotion,
    rearrange,
    reductions,
    scattering,
    shapes,
    softmaxes,
    special,
    trigonometry,
)
from . import methods as methods  # Tensor has its methods from here on
from .activations import *
from .compare import *
from .comparisons import *
from .counting import *
from .creation import *
from .derived import *
from .derived_shapes import *
from .diagonals import *
from .elementwise import *
from .indexing import *
from .kinks import *
from .linalg import *
from .order import *
from .products import *
from .promotion import *
from .rearrange import *
from .reductions import *
from .scattering import *
from .shapes import *
from .softmaxes import *
from .special import *
from .trigonometry import *

__all__ = [
    *activations.__all__,
    *compare.__all__,
    *comparisons.__all__,
    *counting.__all__,
    *creation.__all__,
    *derived.__all__,
    *derived_shapes.__all__,
    *diagonals.__all__,
    *elementwise.__all__,
    *indexing.__all__,
    *kinks.__all__,
    *linalg.__all__,
    *order.__all__,
    *products.__all__,
    *promotion.__all__,
    *rearrange.__all__,
    *reductions.__all__,
    *scattering.__all__,
    *shapes.__all__,
    *softmaxes.__all__,
    *special.__all__,
    *trigonometry.__all__,
]
