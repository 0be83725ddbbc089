"""Documents and repositories behind one pymongo-shaped seam."""
