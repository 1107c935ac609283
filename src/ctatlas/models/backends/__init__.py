"""Engines that run a network, one a module; all keep the protocol `ctatlas.models.model.Backend`."""
