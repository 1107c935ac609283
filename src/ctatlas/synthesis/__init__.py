"""Phantoms, label maps → CT: draw, then apply."""
