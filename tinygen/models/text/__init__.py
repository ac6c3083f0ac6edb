"""Pictures and their captions: what a caption makes, and what a picture is called.

These stand on all other families: an autoencoder of vq, a chain of diffusion.
"""

from .text_to_image import TextToImage

__all__ = ["TextToImage"]
