"""DICOM series in.

The way of the data: `headers` (what each file says) → `series` (which belong together, which one is meant) → `stack`
(where each slice lies; anything irregular is refused) → `pixels` (stored numbers to HU) → `read`.
"""
