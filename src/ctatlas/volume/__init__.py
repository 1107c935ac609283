"""Scans and segmentations on grids; `formats/` reads and writes files, one format a module."""
