"""Networks without an objective, shared by the families: what they are of, never what for.

In reading order: dense, condition (a label beside x), autoencoding (encoder and decoder), batch
(layers that look at more than one example), dcgan (generator and discriminator), siamese (a
discriminator of pairs), equalised (weights scaled where they are used), growing (networks that grow
while they are trained), style (weights that a style scales), heads (what features say of the
class), joint (a discriminator of pictures with their codes), attention (among the places of a map),
biggan (both players, told the class throughout), time, unet, masked (what comes later is not seen),
recurrent (LSTMs over pictures), pixelwise (both, pixel by pixel), transformer (attention that does
not look ahead), coupling (what a flow asks), unet_generator (a picture of another), patches (a
judge of patches), perceptual (features to compare pictures by), spatial (pictures to a map of
features and back), text (captions), text_gan (both players, told a caption), dit (a transformer in
the U-Net's place).
"""

from .attention import SelfAttention2d
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
    MinibatchStdDev,
    ReferenceBatchNorm,
    WithReference,
    referenced,
)
from .biggan import BigGANGenerator, biggan
from .condition import Conditional, ConditionalBatchNorm2d, check_labels
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
from .equalised import EqualConv2d, EqualLinear, PixelNorm
from .growing import Growing, GrowingD, GrowingG, faded, growing, grown, shrunk, sides
from .heads import ClassHead, Noise, Projection, SourceAndClass, noisy_trunk
from .joint import JointDiscriminator
from .masked import GatedBlock, MaskedConv2d, MaskedMLP
from .patches import PatchDiscriminator, patch_halvings
from .perceptual import EmojiFeatures, Perceptual, perceptual
from .pixelwise import DiagonalPixels, GatedPixels, MaskedPixels, RowPixels
from .recurrent import DiagonalBiLSTM, RowLSTM
from .siamese import Siamese, siamese_dcgan
from .spatial import ResidualBlock, map_autoencoder
from .style import AdaIN, ModulatedConv2d, NoiseInjection, StyleD, StyleG, style_networks
from .text import TextEncoder, is_word, one_each
from .text_gan import Captioned, Matching, text_gan
from .time import TimeMLP, sinusoids
from .transformer import Cache, Transformer, TransformerBlock
from .unet import UNet
from .unet_generator import UNetGenerator

__all__ = [
    "AUTOENCODERS",
    "AdaIN",
    "AutoencoderEnergy",
    "BigGANGenerator",
    "Cache",
    "Captioned",
    "ClassHead",
    "Conditional",
    "ConditionalBatchNorm2d",
    "DiT",
    "DiTBlock",
    "DiagonalBiLSTM",
    "DiagonalPixels",
    "EmojiFeatures",
    "EqualConv2d",
    "EqualLinear",
    "GatedBlock",
    "GatedPixels",
    "Growing",
    "GrowingD",
    "GrowingG",
    "JointDiscriminator",
    "MaskedConv2d",
    "MaskedMLP",
    "MaskedPixels",
    "Matching",
    "Maxout",
    "MinibatchDiscrimination",
    "MinibatchStdDev",
    "ModulatedConv2d",
    "Noise",
    "NoiseInjection",
    "PatchDiscriminator",
    "Perceptual",
    "PixelNorm",
    "Projection",
    "ReferenceBatchNorm",
    "ResidualBlock",
    "RowLSTM",
    "RowPixels",
    "SelfAttention2d",
    "Siamese",
    "SourceAndClass",
    "StyleD",
    "StyleG",
    "TextEncoder",
    "TimeMLP",
    "Transformer",
    "TransformerBlock",
    "UNet",
    "UNetGenerator",
    "WithReference",
    "biggan",
    "check_labels",
    "classifier",
    "conv_autoencoder",
    "coupling_net",
    "dcgan",
    "dcgan_energy",
    "dcgan_trunk",
    "faded",
    "growing",
    "grown",
    "halvings",
    "is_word",
    "map_autoencoder",
    "mlp",
    "mlp_autoencoder",
    "mlp_energy",
    "mlp_gan",
    "noisy_trunk",
    "one_each",
    "patch_halvings",
    "perceptual",
    "referenced",
    "set_output_bias",
    "shrunk",
    "siamese_dcgan",
    "sides",
    "sinusoids",
    "spectrally_normalised",
    "style_networks",
    "text_gan",
]
