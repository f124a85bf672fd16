//! Floor 1: the controller's pure machine and the metadata image.
