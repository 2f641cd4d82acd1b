"""What dockerd and the guest are given: daemon.json, certificates, proxies, names. Start at
`provisioning.py`.
"""
