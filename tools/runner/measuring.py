"""The defects of judged images, measured as the test of the run measured them: in pixels of the file."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from callbacks.defects.from_instances import find_instances
from callbacks.defects.image_scale import ImageScale
from callbacks.defects.measured import MEASURES, Defect, DefectRules, find_defects
from callbacks.defects.naming import name_defects

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .result import Result

ABOUT = ("image_path", "kind")
COLUMNS = (*ABOUT, *MEASURES)


@dataclass(frozen=True)
class Measuring:
    """Lists what is defective on a judged image.

    Attributes:
        rules: What is merged to one defect, what is too small, and how severe it is.
        good_peaks: The highest map value of each good calibration image, ascending.
        um_per_pixel: Micrometres per pixel of the files; None where nobody said.
    """

    rules: DefectRules
    good_peaks: Sequence[float] = ()
    um_per_pixel: float | None = None

    @classmethod
    def read(cls, values: dict[str, Any]) -> Measuring:
        """Take what ``to_dict`` gave."""
        return cls(DefectRules(**values["rules"]), values["good_peaks"], values["um_per_pixel"])

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "rules": asdict(self.rules),
            "good_peaks": [float(peak) for peak in self.good_peaks],
            "um_per_pixel": self.um_per_pixel,
        }

    def scale_of(self, result: Result) -> float | None:
        """Return the micrometres per pixel of a file: as given, or else from its own zones or its kind."""
        return result.um_per_pixel if self.um_per_pixel is None else self.um_per_pixel

    def __call__(self, result: Result) -> list[Defect]:
        """List the defects of an image, decided, from the top; none where it is called good: see ``Result.marks``."""
        return self.measure(result) if result.marks else []

    def measure(self, result: Result) -> list[Defect]:
        """Measure all that reaches the threshold for pixels, whatever the verdict; none where it could not be read."""
        if result.mask is None or result.anomaly_map is None:
            return []
        scale = ImageScale.of(result.placed, self.scale_of(result))
        about = (scale, result.zones_HW, result.kind, self.good_peaks)
        if result.searched:
            found = find_instances(result.counted, result.anomaly_map, self.rules, *about)
        else:
            found = find_defects(result.mask, result.anomaly_map, self.rules, *about)
        return name_defects(found, list(result.detections), result.classes).defects
