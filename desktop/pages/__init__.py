"""What the window shows, one folder or file for each page. `page.py` is what they share."""
