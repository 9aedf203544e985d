"""Measurements: load on a site while it is released, and the cost of an ``up`` that has nothing to do."""
