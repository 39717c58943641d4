"""One evaluation call for every model: splits, metrics, ceilings, inference."""
