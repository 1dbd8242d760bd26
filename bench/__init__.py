"""fliswarm beside sdss-fliswarm 0.7, on the same simulated cameras and engines."""
