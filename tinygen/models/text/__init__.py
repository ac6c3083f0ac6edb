"""Pictures and their captions: what a caption makes, and what a picture is called.

These stand on all other families: an autoencoder of vq, a chain of diffusion.
"""

from .clip import CLIP, best_of, contrastive_loss
from .text_to_image import TextToImage
from .unclip import UnCLIP

__all__ = ["CLIP", "TextToImage", "UnCLIP", "best_of", "contrastive_loss"]
