"""Pictures into pictures: a drawing coloured, labels made a scene.

Every system has `translate(images, generator=None)` where others have `sample`, and `told`, the
shape of the pictures that it takes.
"""

from .pix2pix import Pix2Pix

__all__ = ["Pix2Pix"]
