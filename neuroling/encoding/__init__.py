"""Estimators that predict recordings from features."""
