"""The only places that touch this computer: directories, processes, locks, ports, log files."""
