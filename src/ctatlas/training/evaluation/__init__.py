"""How good a bundled model is: on anatomies that no training run draws, and on real scans that it never saw.

`store` keeps what takes long to draw → `cases` (phantoms, label-map CTs, labelled real CTs) and `torsos` (real CTs
without labels) → `scores` (Dice, NSD, volume error, what was invented; beside them a guess by `position`) → `figures`
(means by sort of data, and as tables) → `verdict` (usable, experimental, not usable). `disturbances` asks how much a
scan turned, cropped, thickened or noisier changes.
"""
