"""Which proxy a request takes, as httpx and the rest of the Python world decide it."""

from __future__ import annotations

from urllib.request import getproxies, proxy_bypass

import httpx


def find_environment_proxy(url: httpx.URL) -> httpx.Proxy | None:
    """Return the proxy that HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY name for `url`, if any."""
    if proxy_bypass(url.netloc.decode("ascii")):
        return None
    proxies = getproxies()
    address = proxies.get(url.scheme) or proxies.get("all")
    if not address:
        return None
    return httpx.Proxy(address if "://" in address else f"http://{address}")
