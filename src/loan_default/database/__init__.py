"""Documents and repositories behind one pymongo-shaped seam; a MongoDB server or an embedded file."""
