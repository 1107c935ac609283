"""From a card and its folder to a model that runs, one kind of weights a module: `onnx`, `universal`, `monai`.

The last two read torch checkpoints: `weights` finds the file, `checkpoint` reads it without running anything in it,
`layouts` recognises the network, `matching` gives it its weights by name and shape, `networks` does these in turn.
"""
