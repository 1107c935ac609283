"""DICOM RTSTRUCT out and in.

`contours` draws closed lines around a mask so that nothing of it is lost, `write` puts them on the original images;
`fill` is the way back from lines to a mask, `drawings` what a file says, `read` brings it to a scan's grid.
"""
