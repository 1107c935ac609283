"""DICOM SEG out and in.

`write` puts masks on the original images as frames, with codes and colours; `frames` finds what a file's frames are of
and where they lie, `read` brings them to a grid.
"""
