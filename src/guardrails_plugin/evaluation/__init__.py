"""Datasets in; metrics, curves and thresholds out."""
