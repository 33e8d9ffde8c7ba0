"""What every request and every answer goes through."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.request import split_domain_port, validate_host

if TYPE_CHECKING:
    from collections.abc import Callable

    type View = Callable[[HttpRequest], HttpResponse]


def bodiless_head(get_response: View) -> View:
    """Answer HEAD as GET would be answered, without the body."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response["Content-Length"] = str(len(response.content))
        if request.method == "HEAD":
            response.content = b""
        return response

    return middleware


def known_host(get_response: View) -> View:
    """Refuse a request that was sent to a name which is not ours.

    A page elsewhere can have its own name resolve to 127.0.0.1 and so reach a port published there;
    it cannot have a browser send an address as Host. Addresses are therefore taken as they come,
    and neither a tunnel nor a moved network has to be listed.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        host = request.META.get("HTTP_HOST", "")
        name, _port = split_domain_port(host)
        if not host or _is_address(name) or validate_host(name, settings.ALLOWED_HOSTS):
            return get_response(request)
        return JsonResponse({"error": "this host name is not in DJANGO_ALLOWED_HOSTS"}, status=400)

    return middleware


def _is_address(name: str) -> bool:
    try:
        ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True
