"""The network of the architecture `convnet`."""

from typing import TYPE_CHECKING, cast

from torch import Tensor, nn

from cnn_ablation.errors import ParameterError
from cnn_ablation.parts.layers import ConvLayer, ImageClassifier, SeededDropout

if TYPE_CHECKING:
    from cnn_ablation.base_parameters import ImageShape
    from cnn_ablation.parts.architectures import ConvNet


class ConvNetwork(ImageClassifier):
    """Convolutional layers, then fully connected ones.

    A convolutional layer is a `ConvLayer`. A hidden fully connected layer is Linear, ReLU and dropout.

    Args:
        settings: Settings of the architecture.
        image_shape: Channels, height and width of the input images.
        num_classes: Number of logits.

    Raises:
        ParameterError: Pooling would shrink the image to nothing; the message names the layer.
    """

    def __init__(self, settings: "ConvNet", image_shape: "ImageShape", num_classes: int) -> None:
        super().__init__(settings.test_time_augmentation)
        channels, height, width = image_shape
        # The name of a module names the random stream of its initial weights, so a layer must have the
        # same name in every network.
        self.conv = nn.ModuleList()
        layers = zip(settings.conv_channels, settings.pools, strict=True)
        for index, (out_channels, pools) in enumerate(layers, start=1):
            if pools:
                if min(height, width) < 2:
                    before = sum(settings.pools[: index - 1])
                    raise ParameterError(
                        "model.conv_channels",
                        f"layer {index} of {len(settings.conv_channels)} cannot pool an image of "
                        f"{height}x{width} pixels: pooling would shrink it to nothing. Images of "
                        f"{image_shape[1]}x{image_shape[2]} pixels allow {before} pooled layers; "
                        "name fewer, or set use_pooling to false, or to a list",
                    )
                height, width = height // 2, width // 2
            self.conv.append(
                ConvLayer(
                    channels,
                    out_channels,
                    settings.kernel_size,
                    use_batch_norm=settings.use_batch_norm,
                    use_pooling=pools,
                )
            )
            channels = out_channels
        features = channels * height * width
        self.hidden = nn.ModuleList()
        for units in settings.fc_units:
            layer = nn.Sequential()
            layer.add_module("linear", nn.Linear(features, units))
            layer.add_module("relu", nn.ReLU())
            layer.add_module("dropout", SeededDropout(settings.dropout_rate))
            self.hidden.append(layer)
            features = units
        self.output = nn.Linear(features, num_classes)

    def logits(self, images: Tensor) -> Tensor:
        """See base class."""
        activations = images
        for layer in self.conv:
            activations = layer(activations)
        # Flatten with channels last, as in memory: any other order would need a copy.
        activations = activations.permute(0, 2, 3, 1).flatten(1)
        for layer in self.hidden:
            activations = layer(activations)
        return cast(Tensor, self.output(activations))
