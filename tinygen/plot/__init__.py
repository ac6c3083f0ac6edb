"""Pictures: grids, reconstructions, latent maps, curves, densities, computation graphs, GIFs.

Everything takes Tensors (on any device, requiring a gradient or not) or arrays, and returns a
matplotlib Figure that a notebook shows and `path=` saves. Needs: pip install 'tinygen[plot]'.
"""

from .captions import captioned
from .curves import curves, ema, read_log
from .graph import draw_graph, to_dot
from .images import gif, grid_array, image_grid, reconstruction_pairs, save_image
from .plane import density_2d, latent_manifold, latent_scatter, manifold_codes, paths_2d, samples_2d

__all__ = [
    "captioned",
    "curves",
    "density_2d",
    "draw_graph",
    "ema",
    "gif",
    "grid_array",
    "image_grid",
    "latent_manifold",
    "latent_scatter",
    "manifold_codes",
    "paths_2d",
    "read_log",
    "reconstruction_pairs",
    "samples_2d",
    "save_image",
    "to_dot",
]
