"""Masks against masks → numbers.

The way of the data: `case` takes two segmentations or label maps, `pairing` lays them out (`layers`) and pairs their
structures in one pass → `Pair` → the families of metrics, each a module: `counts`, `surface` (surface elements),
`borders` (border voxels), `boundary`, `tubes` → `presets`, whose definitions and rules for `empty_masks` are followed →
`Measurement` (`records`). `metrics` is the table of all metrics, `tolerances` that of tolerances.
Beside it: `lesions` of masks → `matching` by a rule → `detection` over cases, `patients` by their `roc`; `agreement` of
volumes; `intervals` say how sure a number is; `statistics` are those of one scan.
"""
