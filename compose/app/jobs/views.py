"""`POST /jobs/` queues a job through the broker, `GET /jobs/<uuid>/` reads its row from the database."""

import json
from typing import Any
from uuid import UUID, uuid4

from django.core.exceptions import RequestDataTooBig
from django.db import DatabaseError
from django.http import HttpRequest, JsonResponse
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST, require_safe

from jobs.models import Job
from website.reasons import reason

TEXT_LIMIT = 10_000


class BadJobError(Exception):
    """The body of a request is not a job; the message says why, in one sentence."""


@csrf_exempt
@require_POST
def create(request: HttpRequest) -> JsonResponse:
    """Queue a job and answer 202 with its identifier, or 503 if the broker does not take it."""
    from jobs import queue  # noqa: PLC0415 - Celery is what takes longest to import, and no other page needs it

    try:
        text = _text(request)
    except BadJobError as error:
        return JsonResponse({"error": str(error)}, status=400)
    identifier = str(uuid4())
    try:
        queue.put(identifier, text)
    except queue.FAILURES as error:
        return JsonResponse({"error": f"broker: {reason(error)}"}, status=503)
    headers = {"Location": reverse("job", args=[identifier])}
    return JsonResponse({"id": identifier}, status=202, headers=headers)


@never_cache
@require_safe
def read(_request: HttpRequest, identifier: UUID) -> JsonResponse:
    """Answer 200 with a finished job, 404 if there is no row of it, 503 without the database."""
    try:
        job = Job.objects.filter(id=identifier).first()
    except DatabaseError as error:
        return JsonResponse({"error": f"database: {reason(error)}"}, status=503)
    if job is None:
        return JsonResponse({"id": str(identifier), "status": "unknown or not yet done"}, status=404)
    answer: dict[str, Any] = {
        "id": str(job.id),
        "status": "done",
        "result": job.result,
        "worker": job.worker,
        "created": job.created,
        "finished": job.finished,
    }
    return JsonResponse(answer)


def _text(request: HttpRequest) -> str:
    """Return the text that a request asks to be digested."""
    try:
        body = json.loads(request.body)
    except RequestDataTooBig:
        message = f"The body is too large: the text may have {TEXT_LIMIT} characters."
        raise BadJobError(message) from None
    except (ValueError, RecursionError):
        message = 'The body is not JSON: send {"text": "..."}.'
        raise BadJobError(message) from None
    text = body.get("text") if isinstance(body, dict) else None
    if not isinstance(text, str) or not text:
        message = 'The text is missing: send {"text": "..."} with at least one character.'
        raise BadJobError(message)
    if len(text) > TEXT_LIMIT:
        message = f"The text has {len(text)} characters: it may have {TEXT_LIMIT}."
        raise BadJobError(message)
    if any("\ud800" <= character <= "\udfff" for character in text):
        message = "The text has half a surrogate pair, which is no character."
        raise BadJobError(message)
    return text
