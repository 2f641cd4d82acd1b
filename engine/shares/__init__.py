"""Folders of this computer in the machine, and which binds may use them. Start at
`shared_folders.py`.
"""
