"""Networks without an objective, shared by the families: what they are of, never what for.

In reading order: dense, condition (a label beside x), autoencoding (encoder and decoder), batch
(layers that look at more than one example), dcgan (generator and discriminator), siamese (a
discriminator of pairs), heads (what features say of the class), time, unet, masked (what comes
later is not seen), recurrent (LSTMs over pictures), pixelwise (both, pixel by pixel), transformer
(attention that does not look ahead), coupling (what a flow asks), unet_generator (a picture of
another), patches (a judge of patches), perceptual (features to compare pictures by), spatial
(pictures to a map of features and back), text (captions), dit (a transformer in the U-Net's place).
"""

from .autoencoding import (
    AUTOENCODERS,
    classifier,
    conv_autoencoder,
    mlp_autoencoder,
    set_output_bias,
)
from .batch import (
    Maxout,
    MinibatchDiscrimination,
    ReferenceBatchNorm,
    WithReference,
    referenced,
)
from .condition import Conditional, check_labels
from .coupling import coupling_net
from .dcgan import (
    AutoencoderEnergy,
    dcgan,
    dcgan_energy,
    dcgan_trunk,
    halvings,
    mlp_energy,
    mlp_gan,
    spectrally_normalised,
)
from .dense import mlp
from .dit import DiT, DiTBlock
from .heads import ClassHead, Noise, SourceAndClass, noisy_trunk
from .masked import GatedBlock, MaskedConv2d, MaskedMLP
from .patches import PatchDiscriminator, patch_halvings
from .perceptual import EmojiFeatures, Perceptual, perceptual
from .pixelwise import DiagonalPixels, GatedPixels, MaskedPixels, RowPixels
from .recurrent import DiagonalBiLSTM, RowLSTM
from .siamese import Siamese, siamese_dcgan
from .spatial import ResidualBlock, map_autoencoder
from .text import TextEncoder, is_word
from .time import TimeMLP, sinusoids
from .transformer import Cache, Transformer, TransformerBlock
from .unet import UNet
from .unet_generator import UNetGenerator

__all__ = [
    "AUTOENCODERS",
    "AutoencoderEnergy",
    "Cache",
    "ClassHead",
    "Conditional",
    "DiT",
    "DiTBlock",
    "DiagonalBiLSTM",
    "DiagonalPixels",
    "EmojiFeatures",
    "GatedBlock",
    "GatedPixels",
    "MaskedConv2d",
    "MaskedMLP",
    "MaskedPixels",
    "Maxout",
    "MinibatchDiscrimination",
    "PatchDiscriminator",
    "Noise",
    "Perceptual",
    "ReferenceBatchNorm",
    "RowLSTM",
    "RowPixels",
    "ResidualBlock",
    "Siamese",
    "SourceAndClass",
    "TextEncoder",
    "TimeMLP",
    "Transformer",
    "TransformerBlock",
    "UNet",
    "UNetGenerator",
    "WithReference",
    "check_labels",
    "classifier",
    "conv_autoencoder",
    "coupling_net",
    "dcgan",
    "dcgan_energy",
    "dcgan_trunk",
    "halvings",
    "is_word",
    "map_autoencoder",
    "mlp",
    "mlp_autoencoder",
    "mlp_energy",
    "mlp_gan",
    "noisy_trunk",
    "patch_halvings",
    "perceptual",
    "referenced",
    "set_output_bias",
    "siamese_dcgan",
    "sinusoids",
    "spectrally_normalised",
]
