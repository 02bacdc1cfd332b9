"""What is known of a kind of fiber before anyone looks at an image."""

from __future__ import annotations

from dataclasses import dataclass

from datamodules.errors import DataError

CLADDING_UM = 125.0  # of nearly every fiber (IEC 60793-2); where nobody says otherwise


@dataclass(frozen=True)
class Prior:
    """Sizes of a kind of fiber.

    Args:
        core_um: Diameter of the core in micrometres; null: unknown, and a core that is not lit stays unknown.
        cladding_um: Diameter of the outermost circle in micrometres; null: 125.
        aspect: Of a circle in the images' pixels, its radius along x over that along y; null: measured.
    """

    core_um: float | None = None
    cladding_um: float | None = None
    aspect: float | None = None

    def __post_init__(self) -> None:
        for name in ("core_um", "cladding_um", "aspect"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise DataError(f"Expected {name} to be above 0 or null, but found {value}.")
        if self.core_um is not None and self.core_um >= self.outer_um:
            raise DataError(
                f"Expected core_um below cladding_um, but found a core of {self.core_um:g} um in a cladding of "
                f"{self.outer_um:g} um; set cladding_um to the diameter of the outermost circle."
            )

    @property
    def outer_um(self) -> float:
        """Diameter of the cladding in micrometres."""
        return CLADDING_UM if self.cladding_um is None else self.cladding_um

    @property
    def core_ratio(self) -> float | None:
        """Radius of the core over that of the cladding, where known."""
        return None if self.core_um is None else self.core_um / self.outer_um
