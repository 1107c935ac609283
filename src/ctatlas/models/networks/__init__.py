"""Network architectures: torch modules only, no I/O, no device, no loss."""
