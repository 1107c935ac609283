"""Masks against masks → numbers."""
