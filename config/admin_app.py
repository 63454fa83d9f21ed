"""Django admin app: registers nothing by itself; `config.admin_site` says what superusers see there."""

from django.contrib.admin.apps import SimpleAdminConfig


class RegistryAdminConfig(SimpleAdminConfig):
    default_site = "config.admin_site.RegistryAdmin"

    def ready(self) -> None:
        super().ready()
        from config import admin_site, gate  # noqa: F401 the gate's check of the routes

        admin_site.register_all()
