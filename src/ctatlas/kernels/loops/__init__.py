"""Loops for numba; imported by their users in `kernels` once they are needed, never at start-up."""
