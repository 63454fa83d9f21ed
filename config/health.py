"""Health: whether the site answers and its recurring runs keep their time, told to machines."""

from django.db import connection
from django.http import HttpRequest, JsonResponse
from django.utils import timezone

from monitoring import heartbeats


def healthz(request: HttpRequest) -> JsonResponse:
    """200 while the web process and its database answer; `late` lists recurring runs that are behind their time."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    beats = heartbeats.all_beats()
    return JsonResponse(
        {
            "status": "ok",
            "at": timezone.now().isoformat(timespec="seconds"),
            "late": [beat.name for beat in beats if beat.late],
            "heartbeats": {
                beat.name: {
                    "finished_at": beat.finished_at.isoformat(timespec="seconds") if beat.finished_at else None,
                    "behind": beat.behind,
                }
                for beat in beats
            },
        }
    )


def readyz(request: HttpRequest) -> JsonResponse:
    """503 when a recurring run is late: nobody would notice who becomes due."""
    late = [beat.name for beat in heartbeats.all_beats() if beat.late]
    return JsonResponse({"ready": not late, "late": late}, status=503 if late else 200)
