"""The only modules that access the host directly: directories, processes, locks, ports, log
files."""
