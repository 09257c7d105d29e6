"""The address under which a client's attempts are counted everywhere. Trusts no header."""

from ipaddress import IPv6Address, ip_address, ip_network

_PREFIX_OF_ONE_HOUSE = 64


def counted_as(host: str) -> str:
    """Return the address itself; for IPv6, the network of one household or server.

    Anything that is not an address is returned unchanged.
    """
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if not isinstance(address, IPv6Address):
        return host
    house = ip_network((int(address), _PREFIX_OF_ONE_HOUSE), strict=False)
    return str(address.ipv4_mapped or house)
