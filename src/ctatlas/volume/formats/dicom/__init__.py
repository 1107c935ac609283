"""DICOM series in.

The way of the data: `files` → `headers` (the CT `frames` of a place, and what else there is) → `grouping` (what belongs
together) → `stack` (where each slice lies, and what is irregular) → `choice` (which one is meant) → `repair` (only when
asked) → `decoding` (`pixels`, `codestreams` and `rescaling` give HU) → `read`. `walk` finds the elements of ordinary
headers, pydicom those of all others; `elements` takes their values, `pixel_format` says how numbers are packed,
`slices` finds back from voxels to images.
"""
