"""Dark and bright bands that metal throws over a slice: what beam hardening and starved rays leave behind."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

N_VIEWS = 120
CHANCE = 0.35  # s.d. of what a starved ray lacks, against its mean
SIDE = 160  # pixels of the square on which bands are worked out; they are smooth


def streaks_hu(
    metal: np.ndarray, spacing_mm: tuple[float, float], strength_hu: float, rng: np.random.Generator
) -> np.ndarray:
    """Return what metal adds to one slice.

    Parameters
    ----------
    metal : (i, j) float
        Share of each pixel that is metal.
    spacing_mm : tuple of float
        Pixel size.
    strength_hu : float
        The strongest band outside the metal.
    rng : np.random.Generator
        Of what the starved rays count by chance.

    Returns
    -------
    (i, j) float32
        HU to add; zero everywhere when the slice shows no metal.

    Notes
    -----
    Parallel rays through P mm of metal lack attenuation that grows with P², because few soft quanta are left, and the
    fewer arrive the more chance decides how many; filtered back-projection of that error alone gives the bands.
    Source: usual polynomial model of beam hardening; the share of chance is an estimate.
    """
    if not metal.any():
        return np.zeros(metal.shape, np.float32)
    extent = [n * mm for n, mm in zip(metal.shape, spacing_mm, strict=True)]
    pixel_mm = max(extent) / SIDE
    places = np.meshgrid(*((np.arange(SIDE) - (SIDE - 1) / 2) * pixel_mm for _ in range(2)), indexing="ij")
    points = [at / mm + (n - 1) / 2 for at, mm, n in zip(places, spacing_mm, metal.shape, strict=True)]
    square = ndimage.map_coordinates(metal.astype(np.float32), points, order=1)
    bands = _bands(square, rng)
    outside = square < 0.02
    bands *= strength_hu / max(float(np.abs(bands[outside]).max()), 1e-9)
    bands[~outside] = 0
    back = np.meshgrid(
        *(
            (np.arange(n) - (n - 1) / 2) * mm / pixel_mm + (SIDE - 1) / 2
            for n, mm in zip(metal.shape, spacing_mm, strict=True)
        ),
        indexing="ij",
    )
    found: np.ndarray = ndimage.map_coordinates(bands, back, order=1, mode="nearest", output=np.float32)
    return found


def _bands(metal: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the filtered back-projection of what the rays through metal lack, in no unit."""
    bands = np.zeros(metal.shape, np.float32)
    ramp = np.abs(np.fft.fftfreq(2 * SIDE))
    window = 0.5 + 0.5 * np.cos(np.pi * np.fft.fftfreq(2 * SIDE) / 0.5)
    for angle in np.linspace(0, 180, N_VIEWS, endpoint=False):
        path = ndimage.rotate(metal, angle, reshape=False, order=1).sum(axis=0)
        lacking = path**2 * (1 + CHANCE * rng.normal(size=SIDE))
        filtered = np.fft.ifft(np.fft.fft(-lacking, 2 * SIDE) * ramp * window).real[:SIDE]
        smeared = np.repeat(filtered[None, :].astype(np.float32), SIDE, axis=0)
        bands += ndimage.rotate(smeared, -angle, reshape=False, order=1)
    return bands
