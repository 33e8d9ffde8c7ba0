"""The pages, and what is answered where there is none."""

from django.http import HttpRequest, JsonResponse
from django.urls import path

from jobs.views import create, read
from website.health import health

urlpatterns = [
    path("health/", health),
    path("jobs/", create),
    path("jobs/<uuid:identifier>/", read, name="job"),
]


def bad_request(_request: HttpRequest, exception: Exception) -> JsonResponse:  # noqa: ARG001 - Django names it
    """Answer a request that Django could not read."""
    return JsonResponse({"error": "the request cannot be read"}, status=400)


def not_found(_request: HttpRequest, exception: Exception) -> JsonResponse:  # noqa: ARG001 - Django names it
    """Answer a request for a page that does not exist."""
    return JsonResponse({"error": "no such page: there are /health/, /jobs/ and /jobs/<uuid>/"}, status=404)


def server_error(_request: HttpRequest) -> JsonResponse:
    """Answer a request that this application failed to handle."""
    return JsonResponse({"error": "internal error: see the log"}, status=500)


handler400 = bad_request
handler404 = not_found
handler500 = server_error
