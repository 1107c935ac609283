"""Training and continual tuning of networks."""
