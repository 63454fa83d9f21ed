from django.apps import AppConfig


class MonitoringConfig(AppConfig):
    name = "monitoring"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from patients import changes

        from . import audit, mailing, pipeline

        changes.subscribe(audit.on_change)
        changes.subscribe(pipeline.on_change)
        mailing.connect()
