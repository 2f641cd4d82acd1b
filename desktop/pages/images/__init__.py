"""The page of images. `page.py` is the list, `detail.py` the detail view, made of the others."""
