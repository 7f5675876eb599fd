"""Tests; a package of ours, because pygeoapi's wheel installs another one named `tests`."""
