"""Guest images on this computer: which one a start uses, where newer ones come from."""
