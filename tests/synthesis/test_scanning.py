"""From tissues to CT numbers."""

import numpy as np
import pytest

from ctatlas.synthesis.imaging import Scanner, draw_scanner, render
from ctatlas.synthesis.intensities import draw_intensities
from ctatlas.synthesis.tables import PHASES, materials, tissue_id


def drawn(phase, n=60, **options):
    rng = np.random.default_rng(0)
    return [draw_intensities(rng, phase=phase, randomise=False, **options) for _ in range(n)]


@pytest.mark.parametrize(("phase", "tissue"), [("native", "spleen"), ("portal", "spleen"), ("arterial", "aorta")])
def test_drawn_brightness_centres_on_the_table(phase, tissue):
    column = PHASES.index(phase)
    material = materials()[tissue]
    values = [each.hu[tissue_id(tissue)] for each in drawn(phase, spread=1.0)]
    assert np.mean(values) == pytest.approx(material.mean_hu[column], abs=0.12 * abs(material.mean_hu[column]) + 8)


def test_the_aorta_outshines_the_liver_only_with_contrast():
    native = [each.hu[tissue_id("aorta")] - each.hu[tissue_id("spleen")] for each in drawn("native")]
    arterial = [each.hu[tissue_id("aorta")] - each.hu[tissue_id("spleen")] for each in drawn("arterial")]
    assert abs(np.mean(native)) < 20 < 100 < np.mean(arterial)


def test_randomised_scans_leave_fat_bone_and_air_alone():
    rng = np.random.default_rng(1)
    scans = [draw_intensities(rng) for _ in range(100)]
    fat = [scan.materials_hu["subcutaneous_fat"] for scan in scans]
    assert -150 < min(fat) < max(fat) < -55


def test_a_flat_tissue_keeps_its_mean_and_gets_the_drawn_noise():
    intensities = drawn("portal", n=1)[0]
    scanner = Scanner(psf_mm=0.6, noise_hu=12.0, noise_peak_per_mm=0.3, seed=4)
    labels = np.full((64, 60, 24), tissue_id("urinary_bladder_urine"), dtype=np.uint8)
    image = render(labels, intensities, scanner, (0.8, 0.8, 2.5)).astype(float)
    assert image.mean() == pytest.approx(intensities.hu[tissue_id("urinary_bladder_urine")], abs=1.5)
    assert image.std() == pytest.approx(12.0, rel=0.15)


def test_noise_power_peaks_where_drawn():
    intensities = drawn("native", n=1)[0]
    scanner = Scanner(psf_mm=0.4, noise_hu=20.0, noise_peak_per_mm=0.25, seed=2)
    labels = np.full((192, 192, 32), tissue_id("urinary_bladder_urine"), dtype=np.uint8)
    image = render(labels, intensities, scanner, (0.8, 0.8, 2.5)).astype(float)
    power = (np.abs(np.fft.fft2(image - image.mean(), axes=(0, 1))) ** 2).mean(axis=2)
    f = np.hypot(*np.meshgrid(np.fft.fftfreq(192, 0.8), np.fft.fftfreq(192, 0.8), indexing="ij"))
    rings = [power[(f >= lo) & (f < lo + 0.03)].mean() for lo in np.arange(0.01, 0.55, 0.03)]
    assert np.arange(0.01, 0.55, 0.03)[int(np.argmax(rings))] + 0.015 == pytest.approx(0.25, abs=0.06)


def test_a_border_inside_a_slice_gives_partial_volume():
    intensities = drawn("native", n=1)[0]
    scanner = Scanner(psf_mm=0.01, noise_hu=0.0, noise_peak_per_mm=0.3, seed=1)
    labels = np.full((16, 16, 8), tissue_id("air"), dtype=np.uint8)
    labels[:, :, 3:] = tissue_id("urinary_bladder_urine")
    image = render(labels, intensities, scanner, (1.0, 1.0, 4.0), thick=2)
    low, high = intensities.hu[tissue_id("air")], intensities.hu[tissue_id("urinary_bladder_urine")]
    assert image[:, :, 1].mean() == pytest.approx((low + high) / 2, abs=3)


def test_sharper_kernels_are_noisier():
    rng = np.random.default_rng(3)
    scanners = [draw_scanner(rng) for _ in range(300)]
    sharp = [s.noise_hu for s in scanners if s.noise_peak_per_mm > 0.4]
    soft = [s.noise_hu for s in scanners if s.noise_peak_per_mm < 0.2]
    assert np.median(sharp) > np.median(soft)
