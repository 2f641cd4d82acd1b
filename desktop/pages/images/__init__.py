"""The page of images. `page.py` is the list, `detail.py` the inside of one, made of the others."""
