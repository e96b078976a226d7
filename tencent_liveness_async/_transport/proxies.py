"""Which proxy a request takes, as httpx and the rest of the Python world decide it."""

from __future__ import annotations

from urllib.request import getproxies, proxy_bypass

import httpx

from .._errors import ConfigurationError


def find_environment_proxy(url: httpx.URL) -> httpx.Proxy | None:
    """Return the proxy that HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY name for `url`, if any.

    Raises:
        ConfigurationError: The variable does not name a proxy.
    """
    if proxy_bypass(url.netloc.decode("ascii")):
        return None
    proxies = getproxies()
    address = proxies.get(url.scheme) or proxies.get("all")
    if not address:
        return None
    return make_proxy(address if "://" in address else f"http://{address}")


def make_proxy(address: httpx.Proxy | str) -> httpx.Proxy:
    """Make a proxy of its address; the error for a wrong one does not show it, as it may hold a password.

    Raises:
        ConfigurationError: The address is not one of a proxy.
    """
    try:
        return httpx.Proxy(address) if isinstance(address, str) else address
    except (ValueError, httpx.InvalidURL) as exc:
        raise ConfigurationError(
            "the proxy, given as a setting or by HTTPS_PROXY, HTTP_PROXY or ALL_PROXY, is not a URL "
            f"that begins with http, https, socks5 or socks5h ({type(exc).__name__})"
        ) from None
