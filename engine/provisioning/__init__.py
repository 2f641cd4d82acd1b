"""What dockerd and the guest are configured with: daemon.json, certificates, proxies, names. Start
at `provisioning.py`.
"""
