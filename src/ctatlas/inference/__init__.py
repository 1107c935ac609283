"""A volume and a model → a segmentation: prepare → predict → restore → decide."""
