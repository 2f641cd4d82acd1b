"""An SFTP server for shared folders where virtiofsd is not available. Start at `server.py`."""
