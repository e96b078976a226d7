"""The whole client in virtual time over the sandbox in memory: scenarios as data, and what always holds."""
