"""What a body allows: pure functions on masks, decided in world space."""
