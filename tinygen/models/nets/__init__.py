"""Networks without an objective, shared by the families: what they are of, never what for.

In reading order: dense, condition (a label beside x), autoencoding (encoder and decoder), batch
(layers that look at more than one example), dcgan (generator and discriminator), time, unet,
masked (what comes later is not seen), coupling (what a flow asks), perceptual (features to compare
pictures by).
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
    halvings,
    mlp_energy,
    mlp_gan,
    spectrally_normalised,
)
from .dense import mlp
from .masked import GatedBlock, MaskedConv2d, MaskedMLP
from .perceptual import EmojiFeatures, Perceptual, perceptual
from .time import TimeMLP, sinusoids
from .unet import UNet

__all__ = [
    "AUTOENCODERS",
    "AutoencoderEnergy",
    "Conditional",
    "EmojiFeatures",
    "GatedBlock",
    "MaskedConv2d",
    "MaskedMLP",
    "Maxout",
    "MinibatchDiscrimination",
    "Perceptual",
    "ReferenceBatchNorm",
    "TimeMLP",
    "UNet",
    "WithReference",
    "check_labels",
    "classifier",
    "conv_autoencoder",
    "coupling_net",
    "dcgan",
    "dcgan_energy",
    "halvings",
    "mlp",
    "mlp_autoencoder",
    "mlp_energy",
    "mlp_gan",
    "perceptual",
    "referenced",
    "set_output_bias",
    "sinusoids",
    "spectrally_normalised",
]
