"""Networks as torch modules: one architecture a file, no input or output."""
