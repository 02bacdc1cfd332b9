"""Principal components of features that come in batches, in memory that does not grow with the number of images.

As long as images are no more than dimensions, their features are held, and a singular value decomposition finds the
components. Once they are more, sums of products take less: of deviations from the mean of those that were held until
then, in double precision, so that nothing cancels. What an image does not show is taken to be as usual, that is, as the
mean of all images that do: so sums are held of what was seen alone, and the mean comes in at the end.

Letters: N images, C channels, P squares of the pooled map, D = C P, K components, R rows that are added at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch

if TYPE_CHECKING:
    from torch import Tensor

ROWS = 256  # images that are added to sums at a time


class Subspace(NamedTuple):
    """Principal components, in float64: mean (D,), components (D, K), and the spread along each (K,)."""

    mean_D: Tensor
    component_DK: Tensor
    spread_K: Tensor


def principal_components(x_ND: Tensor, level: float) -> Subspace:
    """Find the fewest principal components that hold at least a share ``level`` of the variance."""
    x_ND = x_ND.double()
    mean_D = x_ND.mean(dim=0)
    _, singular_N, axes_ND = torch.linalg.svd(x_ND - mean_D, full_matrices=False)
    count = _fewest(singular_N.square(), level)
    return Subspace(mean_D, axes_ND[:count].T, singular_N[:count] / len(x_ND) ** 0.5)


class Products:
    """Sums over images, in float64: all that principal components need.

    Args:
        first_RD: Features of some images, NaN where nothing is seen; deviations are taken from their mean. They are not
            added.
        squares: P.

    Attributes:
        count: Images that were added.
        centre_D: From which deviations are taken.
        product_DD: Sums of products of deviations; what is not seen deviates by nothing.
        beside_DP: Sums of deviations over the images that show a square.
        shown_PP: Images that show both of two squares.
    """

    def __init__(self, first_RD: Tensor, squares: int) -> None:
        size = first_RD.shape[1]
        self.count = 0
        self.centre_D: Tensor = first_RD.double().nanmean(dim=0).nan_to_num(0.0)
        self.product_DD = torch.zeros(size, size, dtype=torch.float64)
        self.beside_DP = torch.zeros(size, squares, dtype=torch.float64)
        self.shown_PP = torch.zeros(squares, squares, dtype=torch.float64)

    @classmethod
    def of(cls, state: dict[str, Any]) -> Products:
        """Return a copy of what ``state`` describes."""
        found = cls(state["centre_D"].cpu().unsqueeze(0), state["beside_DP"].shape[1])
        found.count = state["count"]
        found.product_DD += state["product_DD"].cpu()
        found.beside_DP += state["beside_DP"].cpu()
        found.shown_PP += state["shown_PP"].cpu()
        return found

    def state(self) -> dict[str, Any]:
        """Return all sums, not copied, in tensors and plain values."""
        return dict(vars(self))

    def add(self, x_ND: Tensor, sign: int = 1) -> None:
        """Add images, NaN where nothing is seen; with a ``sign`` of -1, take them out."""
        for x_RD in torch.split(x_ND, ROWS):
            seen_RD = ~x_RD.isnan()
            shown_RP = seen_RD[:, : self.shown_PP.shape[0]].double()  # alike in all channels
            apart_RD = (x_RD.double() - self.centre_D).where(seen_RD, 0.0)
            self.product_DD.addmm_(apart_RD.T, apart_RD, alpha=sign)
            self.beside_DP.addmm_(apart_RD.T, shown_RP, alpha=sign)
            self.shown_PP.addmm_(shown_RP.T, shown_RP, alpha=sign)
        self.count += sign * len(x_ND)

    def known(self) -> Tensor:
        """Tell what any image showed (D,)."""
        return (self.shown_PP.diagonal() > 0.5).repeat(len(self.centre_D) // len(self.shown_PP))

    def subspace(self, level: float) -> Subspace:
        """Find the components that ``principal_components`` finds of the images, but for rounding.

        Those that lie below the rounding of sums are none: with more images than dimensions, single precision of the
        features itself says no more.
        """
        shift_D = self._shift()
        square_D, axes_DD = torch.linalg.eigh(self._scatter(shift_D))
        square_D, axes_DD = square_D.flip(0).clamp_min(0), axes_DD.flip(1)
        rank = int((square_D > len(square_D) * torch.finfo(torch.float64).eps * square_D[0]).sum())
        count = min(_fewest(square_D, level), max(1, rank))
        mean_D = (self.centre_D + shift_D) * self.known()
        return Subspace(mean_D, axes_DD[:, :count], square_D[:count].sqrt() / self.count**0.5)

    def _shift(self) -> Tensor:
        """Return the means of deviations over the images that show them (D,)."""
        beside_CPP = self.beside_DP.view(-1, *self.shown_PP.shape)
        return (beside_CPP.diagonal(dim1=1, dim2=2) / self.shown_PP.diagonal().clamp_min(1)).flatten()

    def _scatter(self, shift_D: Tensor) -> Tensor:
        """Sum the products of deviations from the mean (D, D), channel by channel."""
        squares = len(self.shown_PP)
        scatter_DD = self.product_DD.clone()
        beside_CPP, shift_CP = self.beside_DP.view(-1, squares, squares), shift_D.view(-1, squares)
        across_PCP = beside_CPP.permute(2, 0, 1)
        for channel, row_PCP in enumerate(scatter_DD.view(-1, squares, len(shift_CP), squares)):
            own_P11 = shift_CP[channel].view(-1, 1, 1)
            row_PCP.sub_(beside_CPP[channel].unsqueeze(1) * shift_CP)
            row_PCP.sub_(own_P11 * (across_PCP - self.shown_PP.unsqueeze(1) * shift_CP))
        return scatter_DD


class Gathered:
    """Features of images; once these are more than dimensions, sums of products."""

    def __init__(self) -> None:
        self._parts: list[Tensor] = []
        self._rows = 0
        self._products: Products | None = None

    @classmethod
    def of(cls, state: dict[str, Any]) -> Gathered:
        """Go on from what ``state`` returned, which is not written to."""
        found = cls()
        if state["products"] is not None:
            found._products = Products.of(state["products"])
        if state["features"] is not None:
            found._parts, found._rows = [state["features"].cpu()], len(state["features"])
        return found

    def state(self) -> dict[str, Any]:
        """Return ``features`` (N, D) or the state of ``products``, and None for the other."""
        if self._products is not None:
            self._fold()
            return {"features": None, "products": self._products.state()}
        return {"features": torch.cat(self._parts) if self._parts else None, "products": None}

    @property
    def count(self) -> int:
        """Count the images."""
        return self._rows + (0 if self._products is None else self._products.count)

    def add(self, feature_NChw: Tensor) -> None:
        """Take the pooled maps of images, NaN where nothing is seen."""
        x_ND = feature_NChw.flatten(1)
        self._parts.append(x_ND)
        self._rows += len(x_ND)
        if self._products is not None and self._rows >= ROWS:
            self._fold()
        if self._products is None and self._rows > x_ND.shape[1]:
            self._parts = [torch.cat(self._parts)]
            self._products = Products(self._parts[0], feature_NChw[0, 0].numel())
            self._fold()

    def remove(self, feature_NChw: Tensor) -> None:
        """Take images out of the sums again.

        Raises:
            RuntimeError: Features are held, which need not be seen again.
        """
        if self._products is None:
            raise RuntimeError("Expected sums to take images out of, but found features; leave those out.")
        self._products.add(feature_NChw.flatten(1), -1)

    def known(self) -> Tensor:
        """Tell what any image showed (D,)."""
        if self._products is not None:
            self._fold()
            return self._products.known()
        return ~torch.cat(self._parts).isnan().all(dim=0)

    def subspace(self, level: float) -> Subspace:
        """Find the fewest principal components that hold at least a share ``level`` of the variance."""
        if self._products is not None:
            self._fold()
            return self._products.subspace(level)
        x_ND = torch.cat(self._parts)
        if x_ND.isnan().any():  # what an image does not show is taken to be as usual
            x_ND = x_ND.where(~x_ND.isnan(), x_ND.nanmean(dim=0).nan_to_num(0.0))
        return principal_components(x_ND, level)

    def _fold(self) -> None:
        """Add to the sums what waits for that."""
        parts, self._parts, self._rows = self._parts, [], 0
        if self._products is not None and parts:
            self._products.add(torch.cat(parts))


def _fewest(square_K: Tensor, level: float) -> int:
    """Count the components, the largest first, that hold at least a share ``level`` of what all hold."""
    share_K = square_K.cumsum(0) / square_K.sum()
    return min(int((share_K < level).sum()) + 1, len(share_K))
