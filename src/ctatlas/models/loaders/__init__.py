"""From a card and its folder to a model that runs, one kind of weights a module."""
