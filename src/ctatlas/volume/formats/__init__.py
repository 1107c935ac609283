"""Files of scans and masks, one format a module: bytes from outside become a `Volume`, or a line that refuses them."""
