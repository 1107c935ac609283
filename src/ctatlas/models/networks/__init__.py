"""Network architectures: torch modules only, no I/O, no device, no loss.

Those of published checkpoints, whose attribute names are the keys in those files: `genesis_unet`, `swin_unetr` (its
transformer in `swin`), `unetr`, `segresnet`, and over the first two the heads `text_driven` and `class_heads`
(`dynamic_head` is what both apply). `residual` holds the convolution blocks of the UNETR family. Our own: `unet`.
"""
