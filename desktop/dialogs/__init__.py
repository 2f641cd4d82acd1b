"""Questions with fields. Each opens without blocking and calls back when it is answered."""
