"""Models that draw one number after the other: log p(x) = sum_i log p(x_i | x_1 .. x_{i-1})."""

from .image_gpt import ImageGPT
from .made import MADE
from .pixelcnn import PixelCNN
from .pixelrnn import PixelRNN
from .pixels import LAWS, Logistics, Table
from .raster import Raster

__all__ = ["LAWS", "ImageGPT", "MADE", "Logistics", "PixelCNN", "PixelRNN", "Raster", "Table"]
