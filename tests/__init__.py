"""Tests of ngmm; a package, as another distribution installs one of this name."""
