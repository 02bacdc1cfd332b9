"""A change of basis that makes feature channels uncorrelated and draws their variances together.

Why: the squared error of a network's raw features is ruled by a few directions of large variance. With variances drawn
together a student learns the quiet directions too, where small defects show. Full whitening (Kessy et al., The American
Statistician 2018) overdoes it, since the quietest directions are mostly noise. Distances are another matter: what has
been learnt is best compared with the teacher's own variances, which ``restoring`` gives back.

The basis may have fewer directions than there are channels, then those of largest variance; or more, then all of them
are spread evenly over more numbers, which changes no distance.

Maps of several networks, one upon the other, are first brought to one scale, so that the loudest does not rule.

Shape letters: B batch, H and W height and width, C channels of one map, D of the result, N number of feature vectors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from scipy.fft import dct
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Sequence


class Decorrelation(nn.Module):
    """A change of basis for the channels of one map: y = (x - mean) @ matrix.

    Args:
        channels: C.
        out_channels: D; None: as many as C.

    Attributes:
        gain: What every channel is multiplied by before anything else: 1, unless several networks gave them.
    """

    mean: Tensor
    matrix: Tensor
    gain: Tensor

    def __init__(self, channels: int, out_channels: int | None = None) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("matrix", torch.eye(channels, out_channels or channels))
        self.register_buffer("gain", torch.ones(channels))

    @torch.no_grad()
    def fit(self, x_NC: Tensor, whitening: float, networks: Sequence[int] = ()) -> None:
        """Turn to the principal axes of ``x_NC``, largest variance first, and draw variances together.

        A variance v becomes v ** (1 - whitening), then all are scaled to a mean of 1. Variances below a thousandth of
        the largest count as that, so that directions of mere rounding are not blown up.

        Args:
            x_NC: Features.
            whitening: From 0 to 1.
            networks: How many of the C channels each network gave, in order, where there are several: each one's
                channels together are brought to a variance of 1.
        """
        x_NC = x_NC.double()
        self.mean.copy_(x_NC.mean(dim=0))
        centred = x_NC - x_NC.mean(dim=0)
        if networks:
            parts = torch.split(centred.square().mean(dim=0), list(networks))
            self.gain.copy_(torch.cat([part.sum().clamp_min(1e-12).rsqrt().expand(len(part)) for part in parts]))
            centred = centred * self.gain.double()
        variance, axes = torch.linalg.eigh(centred.T @ centred / len(centred))
        variance, axes = variance.flip(0), axes.flip(1)
        matrix = axes * variance.clamp_min(1e-3 * variance[0]).pow(-whitening / 2)
        if (wider := self.matrix.shape[1]) > len(variance):
            matrix = matrix @ _orthonormal(wider)[: len(variance)].to(matrix)
        matrix = matrix[:, :wider]
        self.matrix.copy_(self.gain.double()[:, None] * matrix / (centred @ matrix).square().mean().sqrt())

    @torch.no_grad()
    def restoring(self) -> Tensor:
        """Find the matrix R (D, D) that undoes the scaling and keeps the axes.

        Distances between vectors y @ R are those between the features that the y came from (several networks' at one
        scale), as far as the basis has directions for them.
        """
        turned_CD = self.matrix.double() / self.gain.double()[:, None]
        _, scale, axes = torch.linalg.svd(turned_CD, full_matrices=False)
        restoring_DD: Tensor = (axes.T / scale) @ axes
        return restoring_DD.to(self.matrix)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Map features (B, C, H, W) to the new basis (B, D, H, W)."""
        return torch.einsum("bchw,cd->bdhw", x_BCHW - self.mean[:, None, None], self.matrix)


def _orthonormal(size: int) -> Tensor:
    """Return an orthonormal matrix (size, size) in whose rows no number stands out: the discrete cosine transform."""
    return torch.from_numpy(dct(torch.eye(size, dtype=torch.float64).numpy(), axis=0, norm="ortho"))
