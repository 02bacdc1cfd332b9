"""Where a reconstruction differs from its image: error maps, higher is worse.

Letters: B batch, C channels, H and W pixels. Images are in [0, 1].
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

WHITE = 255.0  # distances are in grey levels of 8 bits
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
SSIM_SIGMA, SSIM_RADIUS = 1.5, 5  # pixels: the 11 x 11 window of Wang et al.
SSIM_C1, SSIM_C2 = 0.01**2, 0.03**2


def to_grey(image_B3HW: Tensor) -> Tensor:
    """Turn RGB images into their luma, (B, 1, H, W); grey ones stay what they are."""
    weight = image_B3HW.new_tensor(LUMA).view(1, 3, 1, 1)
    return (image_B3HW * weight).sum(dim=1, keepdim=True)


def distance_map(image_BCHW: Tensor, reconstruction_BCHW: Tensor) -> Tensor:
    """Euclidean distance of every pixel over its channels, in grey levels of 0 to 255: (B, H, W).

    The norm of the whole map is the Euclidean distance of the two images.
    """
    distance_BHW: Tensor = (image_BCHW - reconstruction_BCHW).norm(dim=1)
    return WHITE * distance_BHW


def ssim_map(image_BCHW: Tensor, reconstruction_BCHW: Tensor) -> Tensor:
    """Structural dissimilarity ``1 - SSIM`` of every pixel, the mean over channels, in [0, 2]: (B, H, W).

    Gaussian window of sigma 1.5 on 11 x 11 pixels, borders repeated, constants for a range of 1.

    Source: Wang, Bovik, Sheikh and Simoncelli, "Image quality assessment: from error visibility to structural
    similarity", IEEE Trans. Image Processing 13(4), 2004.
    """
    mean_x, mean_y = _blur(image_BCHW), _blur(reconstruction_BCHW)
    variance_x = _blur(image_BCHW.square()) - mean_x.square()
    variance_y = _blur(reconstruction_BCHW.square()) - mean_y.square()
    covariance = _blur(image_BCHW * reconstruction_BCHW) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + SSIM_C1) / (mean_x.square() + mean_y.square() + SSIM_C1)
    structure = (2 * covariance + SSIM_C2) / (variance_x + variance_y + SSIM_C2)
    return 1 - (luminance * structure).mean(dim=1)


def error_over_scales(
    error: Callable[[Tensor, Tensor], Tensor], image_BCHW: Tensor, reconstruction_BCHW: Tensor, scales: int
) -> Tensor:
    """Root mean square of an error map over copies of the images, each half as large as the one before: (B, H, W).

    A faint stain that drowns in the noise of single pixels stands out where pixels are averaged.

    Args:
        error: Makes a map of two images.
        image_BCHW: What should be there.
        reconstruction_BCHW: What is there instead.
        scales: How many copies; 1 is the error itself. Stops where a side is one pixel.
    """
    height, width = image_BCHW.shape[-2:]
    first_BHW = error(image_BCHW, reconstruction_BCHW)
    squares = [first_BHW.square()]
    for _ in range(1, scales):
        if min(image_BCHW.shape[-2:]) < 2:
            break
        image_BCHW, reconstruction_BCHW = F.avg_pool2d(image_BCHW, 2), F.avg_pool2d(reconstruction_BCHW, 2)
        small_B1hw = error(image_BCHW, reconstruction_BCHW).unsqueeze(1)
        squares.append(F.interpolate(small_B1hw, size=(height, width), mode="nearest").squeeze(1).square())
    return first_BHW if len(squares) == 1 else torch.stack(squares).mean(dim=0).sqrt()


def _blur(values_BCHW: Tensor) -> Tensor:
    """Convolve with the window of SSIM, one axis after the other."""
    offset = torch.arange(-SSIM_RADIUS, SSIM_RADIUS + 1, dtype=values_BCHW.dtype, device=values_BCHW.device)
    kernel = torch.exp(-offset.square() / (2 * SSIM_SIGMA**2))
    kernel = kernel / kernel.sum()
    channels = values_BCHW.shape[1]
    padded = F.pad(values_BCHW, (SSIM_RADIUS,) * 4, mode="replicate")
    rows = F.conv2d(padded, kernel.view(1, 1, -1, 1).repeat(channels, 1, 1, 1), groups=channels)
    return F.conv2d(rows, kernel.view(1, 1, 1, -1).repeat(channels, 1, 1, 1), groups=channels)
