"""Convolutional autoencoder: a pixel is anomalous where the image's reconstruction is poor.

The default is the network of the 3D-print system: convolutions of 32, 32 and 16 filters (5 x 5, ReLU), each with 2 x 2
max pooling; mirrored, with nearest-neighbour upsampling; a last convolution with a sigmoid. An image of 256 x 256 x 1
has a bottleneck of 32 x 32 x 16. Its score is the Euclidean distance on the scale of 0 to 255.

Letters: B batch, C channels the network sees (1 or 3), Z bottleneck filters, H and W pixels, h and w the bottleneck's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import torch
from anomalib.data import InferenceBatch
from torch import nn

from .base import InspectionModel
from .components.padding import SeesPadding, mean_inside
from .components.pooling import check_share, top_mean
from .components.reconstruction import distance_map, error_over_scales, ssim_map, to_grey
from .features.in_parts import in_parts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from datamodules.samples.batch import InspectionBatch

Upsampling = Literal["nearest", "transposed"]
Error = Literal["distance", "ssim"]
TINY = 1e-6
ERRORS: dict[Error, Callable[[Tensor, Tensor], Tensor]] = {"distance": distance_map, "ssim": ssim_map}


def encoder(channels: int, widths: Sequence[int], kernel_size: int) -> nn.Sequential:
    """Stack convolution, ReLU and 2 x 2 max pooling once per width; odd sizes are rounded up, as Keras does."""
    layers: list[nn.Module] = []
    for before, after in zip([channels, *widths], widths, strict=False):
        layers += [nn.Conv2d(before, after, kernel_size, padding="same"), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True)]
    return nn.Sequential(*layers)


def decoder(channels: int, widths: Sequence[int], kernel_size: int, upsampling: Upsampling) -> nn.Sequential:
    """Mirror ``encoder`` to values in (0, 1).

    ``nearest``: convolution, ReLU and doubling once per width, then a convolution. ``transposed``: a transposed
    convolution of 2 x 2 with a stride of 2 per width, ReLU between them.
    """
    layers: list[nn.Module] = []
    mirrored = list(reversed(widths))
    if upsampling == "nearest":
        for before, after in zip([mirrored[0], *mirrored], mirrored, strict=False):
            layers += [nn.Conv2d(before, after, kernel_size, padding="same"), nn.ReLU(), nn.Upsample(scale_factor=2)]
        layers.append(nn.Conv2d(mirrored[-1], channels, kernel_size, padding="same"))
    else:
        for before, after in zip(mirrored, [*mirrored[1:], channels], strict=True):
            layers += [nn.ConvTranspose2d(before, after, 2, stride=2), nn.ReLU()]
        layers.pop()
    return nn.Sequential(*layers, nn.Sigmoid())


def distance(map_BHW: Tensor, inside_BHW: Tensor | None) -> Tensor:
    """Return the Euclidean norm of each map (B,); of an image with padding, what it would be if all were image."""
    if inside_BHW is None:
        norm_B: Tensor = map_BHW.flatten(1).norm(dim=1)
        return norm_B
    share_B = inside_BHW.float().mean(dim=(1, 2))
    inner_B: Tensor = (map_BHW * inside_BHW).flatten(1).norm(dim=1)
    return inner_B / share_B.sqrt().clamp_min(TINY)


class ConvAutoencoderModel(SeesPadding):
    """The network and its score.

    Args:
        widths: Filters of the encoder's convolutions; the last is Z.
        kernel_size: Of the convolutions, odd.
        upsampling: How the decoder doubles sizes.
        channels: 1: the image in grey; 3: as it is.
        error: How image and reconstruction are compared.
        scales: Copies that are compared, each half as large as the one before.
        top_share: Share of the pixels whose mean is the score; None: the Euclidean norm of the whole map.
        dropout: Share of the bottleneck's filters that a training step drops.
    """

    views: ClassVar[tuple[str, ...]] = ("reconstruction", "bottleneck")

    def __init__(
        self,
        widths: Sequence[int],
        kernel_size: int,
        upsampling: Upsampling,
        channels: Literal[1, 3],
        error: Error,
        scales: int,
        top_share: float | None,
        dropout: float,
    ) -> None:
        super().__init__()
        self.encoder = encoder(channels, widths, kernel_size)
        self.dropout = nn.Dropout2d(dropout)
        self.decoder = decoder(channels, widths, kernel_size, upsampling)
        self.channels = channels
        self.widest = max(widths)
        self.error = error
        self.scales = scales
        self.top_share = top_share
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):  # as Keras, whose networks these are
                nn.init.xavier_uniform_(layer.weight)
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]  # every layer here has a bias

    def seen(self, image_B3HW: Tensor) -> Tensor:
        """Return what the network sees of images: (B, C, H, W)."""
        return to_grey(image_B3HW) if self.channels == 1 else image_B3HW

    def reconstruct(self, seen_BCHW: Tensor) -> Tensor:
        """Encode and decode; what rounding up added at the far borders is cut off: (B, C, H, W) in (0, 1)."""
        return self.decode(self.encode(seen_BCHW), seen_BCHW.shape[-2], seen_BCHW.shape[-1])

    def encode(self, seen_BCHW: Tensor) -> Tensor:
        """Return the bottleneck (B, Z, h, w) of what is seen of images; on a processor a few of them at a time."""
        return in_parts(self.encoder, seen_BCHW, self.widest * seen_BCHW.shape[-2] * seen_BCHW.shape[-1])

    def decode(self, bottleneck_BZhw: Tensor, height: int, width: int) -> Tensor:
        """Decode to images of a size: (B, C, H, W) in (0, 1)."""
        decoded = in_parts(self.decoder, self.dropout(bottleneck_BZhw), self.widest * height * width)
        return decoded[..., :height, :width]

    def forward(self, image_B3HW: Tensor) -> InferenceBatch:
        """Score images: raw ``pred_score`` (B,) and ``anomaly_map`` (B, H, W).

        With ``error=distance`` both are in grey levels of 0 to 255, with ``ssim`` between 0 and 2 per pixel.
        """
        return self.explain(image_B3HW)[0]

    def explain(self, image_B3HW: Tensor) -> tuple[InferenceBatch, dict[str, Tensor]]:
        """Score images, and show their ``reconstruction`` (B, C, H, W) and ``bottleneck`` (B, Z, h, w)."""
        image_B3HW, inside_BHW = self.open(image_B3HW)
        seen_BCHW = self.seen(image_B3HW)
        bottleneck_BZhw = self.encode(seen_BCHW)
        given_back_BCHW = self.decode(bottleneck_BZhw, seen_BCHW.shape[-2], seen_BCHW.shape[-1])
        map_BHW = error_over_scales(ERRORS[self.error], seen_BCHW, given_back_BCHW, self.scales)
        share = self.top_share
        score_B = distance(map_BHW, inside_BHW) if share is None else top_mean(map_BHW, share, inside_BHW)
        prediction = InferenceBatch(pred_score=score_B, anomaly_map=map_BHW)
        return prediction, {"reconstruction": given_back_BCHW, "bottleneck": bottleneck_BZhw}


class ConvAutoencoder(InspectionModel):
    """Convolutional autoencoder, trained on good images to give back what it sees (Adam, mean squared error).

    Args:
        widths: Filters of the encoder's convolutions, each followed by 2 x 2 pooling; the last is the bottleneck's.
        kernel_size: Of the convolutions; odd.
        upsampling: ``nearest`` (doubling and a convolution) or ``transposed`` (transposed convolutions of 2 x 2).
        channels: 1: images in grey; 3: as they are, such as neighbouring layers side by side.
        error: ``distance``: grey levels of 0 to 255; ``ssim``: 1 - structural similarity.
        scales: Copies of the images that are compared, each half as large as the one before; 1: the images alone.
        top_share: Share of the pixels, the worst ones, whose mean is the score, so that small defects count; None: the
            Euclidean norm of the whole map.
        dropout: Share of the bottleneck's filters that a training step drops, in [0, 1).
        noise: Standard deviation of Gaussian noise that training adds and asks to be removed, in [0, 1] units; 0: none.
        learning_rate: Of Adam.
        weight_decay: Of Adam.

    Raises:
        ValueError: An argument is out of range.
    """

    sees_ground: ClassVar[bool] = True
    supervision: ClassVar = "good"

    def __init__(
        self,
        widths: Sequence[int] = (32, 32, 16),
        kernel_size: int = 5,
        upsampling: Upsampling = "nearest",
        channels: Literal[1, 3] = 1,
        error: Error = "distance",
        scales: int = 1,
        top_share: float | None = None,
        dropout: float = 0.0,
        noise: float = 0.0,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__()
        if not widths or min(widths) < 1:
            raise ValueError(f"Expected model.widths to list at least one positive number, but found {list(widths)}.")
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise ValueError(f"Expected model.kernel_size to be odd, but found {kernel_size}.")
        if scales < 1:
            raise ValueError(f"Expected model.scales to be at least 1, but found {scales}.")
        if not 0 <= dropout < 1 or noise < 0:
            raise ValueError(
                "Expected model.dropout to be at least 0 and below 1, and model.noise at least 0, but found "
                f"{dropout} and {noise}."
            )
        check_share(top_share, "model.top_share")
        self.model: ConvAutoencoderModel = ConvAutoencoderModel(
            widths, kernel_size, upsampling, channels, error, scales, top_share, dropout
        )
        self.noise = noise
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay

    def bottleneck(self, image_B3HW: Tensor) -> Tensor:
        """Return what is left of images (B, 3, H, W) in the middle of the network: (B, Z, h, w), at least 0."""
        return self.model.encode(self.model.seen(image_B3HW))

    def embedding(self, image_B3HW: Tensor) -> Tensor:
        """Describe images (B, Z) by the mean of each bottleneck filter."""
        return self.bottleneck(image_B3HW).mean(dim=(2, 3))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return Adam over all parameters."""
        return torch.optim.Adam(self.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay)

    def training_step(self, batch: InspectionBatch, batch_idx: int) -> Tensor:
        """Reconstruct a batch from its noisy copy; return the mean squared error."""
        del batch_idx
        image_B3HW, inside_BHW = self.model.open(self.images_of(batch))
        seen_BCHW = self.model.seen(image_B3HW)
        noisy_BCHW = seen_BCHW + self.noise * torch.randn_like(seen_BCHW) if self.noise else seen_BCHW
        loss = mean_inside((self.model.reconstruct(noisy_BCHW) - seen_BCHW).square(), inside_BHW)
        self.log_loss(loss, batch)
        return loss
