"""The closed outline of every pillar, to a fraction of a pixel: its area, roundness, curvature and radial profile.

A ray goes out from the pillar's middle in every direction; the outline lies where the light changes most along it, to a
fraction of a pixel by a parabola, and is kept to its lower harmonics. It is closed by construction.

Letters: N cells, S side of a cell in pixels, T directions, K places along a ray, B bins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from .alignment import peak

if TYPE_CHECKING:
    from .measures import Gauge

Floats = npt.NDArray[np.floating]
Plane = npt.NDArray[np.float32]

DIRECTIONS = 64
PLACES = 48
HARMONICS = 5  # of the outline that are kept: what is finer is noise
NEAR = 0.25  # of the radius: standard deviation of the weight with which an outline is sought around the usual one
OUTER = 1.6  # of the radius: how far rays reach
BINS = 8  # of the radial profile


def polar(cell_NSS: Plane, radius: float) -> Plane:
    """Unwrap cells about their middle: (N, T, K), directions by places from the middle to 1.6 radii."""
    side = cell_NSS.shape[1]
    angle_T = np.arange(DIRECTIONS) * (2 * np.pi / DIRECTIONS)
    reach_K = np.linspace(0, OUTER * radius, PLACES)
    x = (np.cos(angle_T)[:, None] * reach_K + (side - 1) / 2).astype(np.float32)
    y = (np.sin(angle_T)[:, None] * reach_K + (side - 1) / 2).astype(np.float32)
    rays = [cv2.remap(cell, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101) for cell in cell_NSS]
    return np.stack(rays).astype(np.float32)


def outlines(polar_NTK: Plane, reference_TK: Plane, radius: float) -> Floats:
    """Return the radius of every outline in every direction, (N, T), in pixels.

    The outline is sought around the reference's own in that direction: what lies farther is a neighbour or a shadow.

    Args:
        polar_NTK: Cells about their middle.
        reference_TK: The typical cell likewise.
        radius: Of the typical pillar in pixels.
    """
    step = OUTER * radius / (PLACES - 1)
    reach_K = np.arange(PLACES) * step
    usual_T = smoothed(
        _steepest(_slopes(reference_TK[None]), _near(np.full(DIRECTIONS, radius), reach_K, radius)) * step
    )
    weight_TK = _near(usual_T[0], reach_K, radius)
    return smoothed(_steepest(_slopes(polar_NTK), weight_TK) * step)


def smoothed(radius_NT: Floats) -> Floats:
    """Keep the lower harmonics of outlines."""
    spectrum = np.fft.rfft(radius_NT, axis=1)
    spectrum[:, HARMONICS + 1 :] = 0
    return np.asarray(np.maximum(np.fft.irfft(spectrum, DIRECTIONS, axis=1), 0.1))


def _slopes(polar_NTK: Plane) -> Floats:
    smooth = cv2.GaussianBlur(polar_NTK.reshape(-1, PLACES), (0, 0), 1.5, sigmaY=0.01).reshape(polar_NTK.shape)
    return np.asarray(np.abs(np.gradient(smooth, axis=2)))


def _near(middle_T: Floats, reach_K: Floats, radius: float) -> Floats:
    return np.asarray(np.exp(-0.5 * ((reach_K - middle_T[:, None]) / (NEAR * radius)) ** 2))


def _steepest(slope_NTK: Floats, weight_TK: Floats) -> Floats:
    """Return the place of the steepest slope along every ray, to a fraction of a place."""
    window = slope_NTK * weight_TK
    place = np.clip(window.argmax(axis=2), 1, PLACES - 2)
    low, middle, high = (np.take_along_axis(window, (place + shift)[..., None], axis=2)[..., 0] for shift in (-1, 0, 1))
    bend = low - 2 * middle + high
    vertex = np.where(bend < 0, np.clip(0.5 * (low - high) / np.where(bend < 0, bend, 1), -0.5, 0.5), 0)
    return np.asarray(place + vertex)


def outline_features(radius_NT: Floats) -> dict[str, Floats]:
    """Describe closed outlines: area in square pixels, circularity (4 pi area / perimeter squared), and curvature.

    Curvature is that of the closed curve by its Fourier derivatives, times the mean radius: 1 everywhere on a circle.
    """
    angle_T = np.arange(DIRECTIONS) * (2 * np.pi / DIRECTIONS)
    curve = radius_NT * np.exp(1j * angle_T)
    frequency = 1j * np.fft.fftfreq(DIRECTIONS, 1 / DIRECTIONS)
    spectrum = np.fft.fft(curve, axis=1)
    first, second = (np.fft.ifft(spectrum * frequency**order, axis=1) for order in (1, 2))
    speed = np.maximum(np.abs(first), 1e-9)
    curvature = (np.conj(first) * second).imag / speed**3 * radius_NT.mean(axis=1, keepdims=True)
    area = 0.5 * (np.conj(curve) * first).imag.mean(axis=1) * 2 * np.pi
    perimeter = speed.mean(axis=1) * 2 * np.pi
    centred = curvature - curvature.mean(axis=1, keepdims=True)
    variance = np.maximum((centred**2).mean(axis=1), 1e-12)
    crossings = (np.diff(np.signbit(curvature), axis=1, append=np.signbit(curvature[:, :1])) != 0).mean(axis=1)
    return {
        "area": area,
        "circularity": 4 * np.pi * area / perimeter**2,
        "curvature_least": curvature.min(axis=1),
        "curvature_max": np.abs(curvature).max(axis=1),
        "curvature_p95": np.percentile(np.abs(curvature), 95, axis=1),
        "curvature_variance": variance,
        "curvature_kurtosis": (centred**4).mean(axis=1) / variance**2 - 3,
        "curvature_zero_crossings": crossings,
        "lobes": np.abs(np.fft.rfft(radius_NT, axis=1))[:, 2:6].sum(axis=1) * 2 / DIRECTIONS / radius_NT.mean(axis=1),
    }


def radial_profiles(polar_NTK: Plane) -> Floats:
    """Return the mean relief of cells in 8 rings around the middle, (N, B)."""
    bins = np.array_split(np.arange(PLACES), BINS)
    return np.stack([polar_NTK[:, :, part].mean(axis=(1, 2)) for part in bins], axis=1)


def radial_features(profile_NB: Floats) -> dict[str, Floats]:
    """Compare every radial profile with the array's median profile: norm, largest, inner and outer half."""
    away_NB = np.abs(profile_NB - np.median(profile_NB, axis=0))
    return {
        "radial_deviation": np.sqrt((away_NB**2).sum(axis=1)),
        "radial_max": away_NB.max(axis=1),
        "radial_inner": away_NB[:, : BINS // 2].mean(axis=1),
        "radial_outer": away_NB[:, BINS // 2 :].mean(axis=1),
    }


def half_shift(cell_NSS: Plane, gauge: Gauge) -> Floats:
    """Return how far the two halves of every pillar are moved against each other, in pixels: the larger of two cuts.

    Each half is sought for itself along the reference, and where it is found is compared with the other half.
    """
    side = cell_NSS.shape[1]
    reach = max(round(0.3 * gauge.radius), 2)
    half, rim = round(1.3 * gauge.radius), 1
    middle = side // 2
    low, high = max(middle - half, reach), min(middle + half, side - reach)
    parts = [
        (slice(low, high), slice(low, middle - rim)),
        (slice(low, high), slice(middle + rim, high)),
        (slice(low, middle - rim), slice(low, high)),
        (slice(middle + rim, high), slice(low, high)),
    ]
    place_N42 = np.zeros((len(cell_NSS), 4, 2))
    for index, (rows, columns) in enumerate(parts):
        template = np.ascontiguousarray(gauge.reference_SS[rows, columns])
        for number, cell in enumerate(cell_NSS):
            area = cell[rows.start - reach : rows.stop + reach, columns.start - reach : columns.stop + reach]
            x, y, _ = peak(
                -np.asarray(cv2.matchTemplate(np.ascontiguousarray(area), template, cv2.TM_SQDIFF), np.float64)
            )
            place_N42[number, index] = x - reach, y - reach
    apart = np.hypot(*(place_N42[:, [0, 2]] - place_N42[:, [1, 3]]).transpose(2, 0, 1))
    return np.asarray(apart.max(axis=1))
