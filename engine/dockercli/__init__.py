"""Files of the docker CLI on this computer: contexts, config.json, the program itself."""
