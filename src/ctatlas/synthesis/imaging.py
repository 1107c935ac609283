"""Tissue labels and their brightness → CT numbers: texture, partial volume, point spread, noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ctatlas.synthesis.implants import METAL
from ctatlas.synthesis.intensities import Intensities
from ctatlas.synthesis.streaks import streaks_hu
from ctatlas.synthesis.tables import tissue_id

CUT_SHARE = 0.12  # of scans whose circle cuts the body


@dataclass(frozen=True, slots=True)
class Scanner:
    """What the scanner does to an ideal image."""

    psf_mm: float  # s.d. of the in-plane point spread
    noise_hu: float
    noise_peak_per_mm: float  # frequency at which the noise power spectrum peaks
    seed: int
    streak_hu: float = 400.0  # the strongest band that metal throws
    field_mm: float | None = None  # diameter of the circle that is reconstructed; None: the whole square
    padding_hu: int = -1024  # outside of that circle


def draw_scanner(rng: np.random.Generator) -> Scanner:
    """Draw kernel sharpness and noise: sharper kernels are noisier."""
    peak = float(np.exp(rng.uniform(np.log(0.12), np.log(0.6))))
    return Scanner(
        psf_mm=float(np.clip(0.9 - 0.8 * peak + rng.normal(0, 0.08), 0.4, 0.95)),
        noise_hu=float(np.exp(rng.uniform(np.log(5), np.log(22))) * (1 + peak)),
        noise_peak_per_mm=peak,
        seed=int(rng.integers(2**31)),
        streak_hu=float(rng.uniform(150, 700)),
        field_mm=float(rng.uniform(300, 420)) if rng.random() < CUT_SHARE else None,
        padding_hu=int(rng.choice((-1024, -2000))),
    )


def render(
    labels: np.ndarray,
    intensities: Intensities,
    scanner: Scanner,
    spacing_mm: tuple[float, float, float],
    *,
    thick: int = 1,
    texture: np.ndarray | None = None,
) -> np.ndarray:
    """Turn tissue labels into a CT.

    Parameters
    ----------
    labels : (i, j, k·thick) uint8
        Tissue ids; `thick` thin sub-slices make one slice (partial volume through the slice).
    intensities : Intensities
        HU and texture of each tissue.
    scanner : Scanner
        Point spread and noise.
    spacing_mm : tuple of float
        Voxel size of the result.
    thick : int
        Sub-slices per slice.
    texture : (i, j, k·thick) int16, optional
        HU beside each tissue's mean, instead of drawn texture; where it is 0 texture is drawn.

    Returns
    -------
    (i, j, k) int16
        HU, clipped to [-1024, 3071]; the padding outside of the scanner's field of view.
    """
    rng = np.random.default_rng(scanner.seed)
    hu_of, texture_of = (np.array(v, dtype=np.float32) for v in (intensities.hu, intensities.texture_hu))
    shape = (*labels.shape[:2], labels.shape[2] // thick)
    tile = _texture_tile(rng)
    noise = _noise_tile(rng, scanner, spacing_mm)
    image = np.empty(shape, dtype=np.int16, order="F")
    seen = field_of_view(scanner, shape, spacing_mm)
    metal = tissue_id(METAL)
    sigma = tuple(scanner.psf_mm / spacing for spacing in spacing_mm[:2])
    for k in range(shape[2]):
        sub = labels[:, :, k * thick : (k + 1) * thick]
        ideal = hu_of[sub] + texture_of[sub] * _tiled(tile, shape[:2], k)[:, :, None]
        if texture is not None:
            own = texture[:, :, k * thick : (k + 1) * thick]
            ideal = np.where(own == 0, ideal, hu_of[sub] + own)
        slice_hu = ndimage.gaussian_filter(ideal.mean(axis=2), sigma)
        slice_hu += scanner.noise_hu * _tiled(noise, shape[:2], k)
        chance = np.random.default_rng([scanner.seed, k])
        slice_hu += streaks_hu((sub == metal).mean(axis=2), spacing_mm[:2], scanner.streak_hu, chance)
        image[:, :, k] = np.where(seen, np.clip(np.rint(slice_hu), -1024, 3071), scanner.padding_hu)
    return image


def field_of_view(scanner: Scanner, shape: tuple[int, ...], spacing_mm: tuple[float, float, float]) -> np.ndarray:
    """Return (i, j) bool: which pixels of a slice are reconstructed."""
    if scanner.field_mm is None:
        return np.ones(shape[:2], dtype=bool)
    x, y = ((np.arange(n) - (n - 1) / 2) * mm for n, mm in zip(shape[:2], spacing_mm[:2], strict=True))
    inside: np.ndarray = np.hypot(x[:, None], y[None, :]) <= scanner.field_mm / 2
    return inside


def _texture_tile(rng: np.random.Generator, size: int = 192) -> np.ndarray:
    """Return a periodic tile of two octaves of smooth noise, unit s.d."""
    white = rng.normal(size=(size, size, 16)).astype(np.float32)
    fine = ndimage.gaussian_filter(white, (1.2, 1.2, 0.6), mode="wrap")
    coarse = ndimage.gaussian_filter(white[::-1], (3.0, 3.0, 1.2), mode="wrap")
    tile: np.ndarray = fine / fine.std() * 0.8 + coarse / coarse.std() * 0.6
    return tile


def _noise_tile(
    rng: np.random.Generator, scanner: Scanner, spacing_mm: tuple[float, float, float], size: int = 192
) -> np.ndarray:
    """Return a periodic tile of CT noise, unit s.d.: white noise shaped in-plane by NPS(f) = f·exp(−(f/f0)²).

    Source: usual form of filtered back-projection noise; its peak lies at f0/√2.
    """
    fx = np.fft.fftfreq(size, spacing_mm[0])[:, None]
    fy = np.fft.rfftfreq(size, spacing_mm[1])[None, :]
    f = np.hypot(fx, fy)
    amplitude = np.sqrt(f * np.exp(-((f / (scanner.noise_peak_per_mm * np.sqrt(2))) ** 2)))
    white = rng.normal(size=(size, size, 16)).astype(np.float32)
    shaped = np.fft.irfft2(np.fft.rfft2(white, axes=(0, 1)) * amplitude[:, :, None], s=(size, size), axes=(0, 1))
    shaped = ndimage.gaussian_filter1d(shaped, 0.4, axis=2, mode="wrap")
    tile: np.ndarray = (shaped / shaped.std()).astype(np.float32)
    return tile


def _tiled(tile: np.ndarray, shape: tuple[int, ...], k: int) -> np.ndarray:
    """Cover one slice with the tile, rolled so that no two slices repeat at the same place."""
    size, depth = tile.shape[0], tile.shape[2]
    turn = k // depth
    rows = (np.arange(shape[0]) + 61 * turn) % size
    cols = (np.arange(shape[1]) + 97 * turn) % size
    plane: np.ndarray = tile[:, :, k % depth][np.ix_(rows, cols)]
    return plane
