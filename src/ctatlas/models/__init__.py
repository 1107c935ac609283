"""Model cards, registry, loaders, backends; `networks/` holds the torch modules."""
