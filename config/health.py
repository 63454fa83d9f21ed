"""Health: whether the site answers and its recurring runs keep their time, told to machines."""

from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.utils import timezone

from monitoring import heartbeats

_migrated = False  # once seen by this process; a newer program is a newer process


def healthz(request: HttpRequest) -> JsonResponse:
    """200 while the web process and its database answer; `late` lists recurring runs that are behind their time."""
    try:
        beats = heartbeats.all_beats()
    except DatabaseError:
        return JsonResponse({"status": "the database does not answer"}, status=503)
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
    """503 when the database does not answer or is of an older version, or when a run is late that watches over
    patients: nobody would notice who becomes due. `because` says which."""
    try:
        late = [beat.name for beat in heartbeats.all_beats() if beat.late and beat.name in heartbeats.WATCHING]
        because = [] if _is_migrated() else ["migrations are missing"]
    except DatabaseError:
        return JsonResponse({"ready": False, "late": [], "because": ["the database does not answer"]}, status=503)
    because += [f"{name} is late" for name in late]
    return JsonResponse({"ready": not because, "late": late, "because": because}, status=503 if because else 200)


def _is_migrated() -> bool:
    global _migrated
    if not _migrated:
        executor = MigrationExecutor(connection)
        _migrated = not executor.migration_plan(executor.loader.graph.leaf_nodes())
    return _migrated
