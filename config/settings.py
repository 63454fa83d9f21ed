"""Settings: every choice of a deployment comes from the environment; development needs none.

Without HIPWATCH_ENV=production the local services of `config.embedded` are meant, under DATA_DIR.
"""

import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import environ
from csp.constants import NONCE, NONE, SELF
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _

from config import logs, mail_settings, sentinel
from config.embedded import locations

env = environ.Env()
TESTING = "pytest" in sys.modules or os.environ.get("HIPWATCH_TESTING") == "1"
if TESTING:
    os.environ.setdefault("DATA_DIR", "var/test")
BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = locations.data_dir()
PRODUCTION = env("HIPWATCH_ENV", default="development") == "production"
DEBUG = env.bool("DEBUG", default=False)
VERSION = "0.1.0"

if PRODUCTION:
    missing = [
        name
        for name in ("SECRET_KEY", "DATABASE_URL", "REDIS_URL", "EMAIL_URL", "PUBLIC_URL")
        if not env(name, default="")
    ]
    if missing:
        raise ImproperlyConfigured(f"In production the environment must set {', '.join(missing)}.")
    if DEBUG:
        raise ImproperlyConfigured("DEBUG shows patients' data in error pages; production refuses it.")
    SECRET_KEY = env("SECRET_KEY")
    SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
    if any(len(key) < 50 or len(set(key)) < 10 for key in (SECRET_KEY, *SECRET_KEY_FALLBACKS)):
        raise ImproperlyConfigured(
            "SECRET_KEY is too weak; make one with `python -c 'import secrets; print(secrets.token_urlsafe(64))'`."
        )
else:
    SECRET_KEY = env("SECRET_KEY", default="") or locations.secret_key()
    SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])  # earlier keys: still read, never signed with

SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
# What encrypts secrets at rest; the first encrypts, each decrypts. Without it SECRET_KEY does, also a former one.
ENCRYPTION_KEYS = env.list("ENCRYPTION_KEYS", default=[]) or [SECRET_KEY, *SECRET_KEY_FALLBACKS]
if PRODUCTION and min(map(len, ENCRYPTION_KEYS)) < 32:
    raise ImproperlyConfigured("Each of ENCRYPTION_KEYS needs 32 signs or more.")
# What disguises people in research exports: with another key the same person has another pseudonym and other days.
RESEARCH_KEY = env("RESEARCH_KEY", default="") or SECRET_KEY

PUBLIC_URL = env("PUBLIC_URL", default=f"http://127.0.0.1:{env('PORT', default='8000')}").rstrip("/")
SECURE_SITE = PUBLIC_URL.startswith("https://")
if PRODUCTION and not SECURE_SITE:
    raise ImproperlyConfigured("PUBLIC_URL must begin with https:// in production.")
if PRODUCTION and "*" in env.list("ALLOWED_HOSTS", default=[]):
    raise ImproperlyConfigured("ALLOWED_HOSTS names hosts; with * a forged host could stand in the links of a mail.")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=[PUBLIC_URL.split("//")[1].split("/")[0].split(":")[0]])
if not PRODUCTION:
    ALLOWED_HOSTS += ["127.0.0.1", "localhost", "[::1]", "testserver"]
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]

INSTALLED_APPS = [
    "patients",
    "schedules",
    "monitoring",
    "config.admin_app.RegistryAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "django.contrib.humanize",
    "django.forms",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "axes",
    "django_htmx",
    "template_partials",
    "csp",
    "pgtrigger",
    "pghistory",
    "rest_framework",
    "drf_spectacular",
    "phonenumber_field",
]

MIDDLEWARE = [
    "config.middleware.RequestId",
    # What follows adds headers only, so it stands outside: a redirect, a refused host and a fault have them as well.
    "config.middleware.Headers",
    "csp.middleware.CSPMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "config.metrics.Measured",
    "django.middleware.security.SecurityMiddleware",
    "config.middleware.OnlyByTls",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "config.middleware.Compressed",
    "config.middleware.Sizes",
    "config.middleware.Addresses",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "config.sessions.SessionClock",
    "config.middleware.OwnClinics",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "config.second_step.RequireSecondStep",
    "axes.middleware.AxesMiddleware",
    "config.gate.Gate",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
FORM_RENDERER = "config.form_rendering.Renderer"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "config" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "csp.context_processors.nonce",
                "config.context.frame",
            ],
            "builtins": ["template_partials.templatetags.partials", "config.steady", "monitoring.web.actor_words"],
            "libraries": {"browsers": "config.browsers"},
        },
    }
]

# Two roles: the application's, which row-level security binds, and the owner's, which only migrates.
DATABASE_URL = env("DATABASE_URL", default="") or locations.database_url(DATA_DIR)
DATABASE_OWNER_URL = env("DATABASE_OWNER_URL", default="") or (
    DATABASE_URL if env("DATABASE_URL", default="") else locations.owner_database_url(DATA_DIR)
)
_CONNECTION = {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}
DATABASES = {
    "default": {**env.db_url_config(DATABASE_URL), **_CONNECTION},
    "owner": {**env.db_url_config(DATABASE_OWNER_URL), **_CONNECTION, "TEST": {"MIRROR": "default"}},
}
# A page that takes longer has lost its reader; a migration that waits for a lock makes everybody wait behind it.
# Workers have no limit but their tasks': a sweep's statement may take its time.
WEB_LIMITS = {"statement_timeout": "30s", "lock_timeout": "10s", "idle_in_transaction_session_timeout": "60s"}
# What pages ask again and again has its constants in it and keys of an index for the rest: one plan fits all keys.
WEB_PLANS = {"plan_cache_mode": "force_generic_plan"}
MIGRATION_LIMITS = {"lock_timeout": "5s"}
WEB_PROCESS = env("HIPWATCH_PROCESS", default="") == "web"
for _name, _database in DATABASES.items():
    _database.setdefault("OPTIONS", {}).setdefault("prepare_threshold", 0)  # for patients.prepared; others never are
    _database["ENGINE"] = "django.db.backends.postgresql"
    _limits = MIGRATION_LIMITS if _name == "owner" else WEB_LIMITS | WEB_PLANS if WEB_PROCESS else {}
    if _limits:
        _words = [_database["OPTIONS"].get("options", ""), *(f"-c {key}={value}" for key, value in _limits.items())]
        _database["OPTIONS"]["options"] = " ".join(_words).strip()
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
REDIS_URL = env("REDIS_URL", default="")
CACHES: dict[str, dict[str, Any]] = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL or locations.redis_url(DATA_DIR),
        "OPTIONS": {"socket_connect_timeout": 2, "socket_timeout": 2},  # a silent server is one that is away
    }
}
CELERY_BROKER_URL = env("CELERY_BROKER", default="") or REDIS_URL or locations.broker_url(DATA_DIR)
CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, Any] = {"visibility_timeout": 900}
if sentinel.is_sentinel(REDIS_URL):
    CACHES["default"]["LOCATION"] = [REDIS_URL]  # a list, or Django would take its commas for several servers
    CACHES["default"]["OPTIONS"]["pool_class"] = sentinel.SentinelPool
    CELERY_BROKER_URL = sentinel.read(REDIS_URL).broker
    CELERY_BROKER_TRANSPORT_OPTIONS["master_name"] = sentinel.read(REDIS_URL).master

AUTH_USER_MODEL = "patients.User"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "config.passwords.TooLongValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "config.passwords.GuessableValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator",
        "OPTIONS": {"user_attributes": ("email", "name")},
    },
]
PASSWORD_RESET_TIMEOUT = 3600
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_ADAPTER = "config.accounts.StaffAdapter"
ACCOUNT_EMAIL_VERIFICATION = "none"  # an invitation has shown that its reader holds the address
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False  # whoever has no account gets no mail
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_SESSION_REMEMBER = False
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_REAUTHENTICATION_TIMEOUT = 60 * env.int("CONFIRMED_FOR_MINUTES", default=15)
ACCOUNT_RATE_LIMITS = {
    "login_failed": "20/m/ip,10/5m/key",  # the key is the account as tried from one address
    "sign_in_anywhere": "100/h/key",  # of one account, from all browsers that were not let in before
}
ALLAUTH_TRUSTED_PROXY_COUNT = env.int("TRUSTED_PROXIES", default=0)
# A second step of clinicians and administrators; `make run` does not ask for one unless it is told to.
MFA_REQUIRED = env.bool("MFA_REQUIRED", default=PRODUCTION)
MFA_FREE_ROLES = env.list("MFA_FREE_ROLES", default=["coordinator"])  # empty: nobody does without
MFA_GRACE_DAYS = env.int("MFA_GRACE_DAYS", default=0)  # of a new account
MFA_ADAPTER = "config.accounts.SecondFactorAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not SECURE_SITE
MFA_ALLOW_UNVERIFIED_EMAIL = True
MFA_TOTP_TOLERANCE = 1  # telephones' clocks
MFA_FORMS = {"add_webauthn": "config.accounts.AddPasskeyForm", "login_webauthn": "config.accounts.PasskeySignInForm"}
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_FAILURE_LIMIT = 8
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False  # or whoever goes on guessing would lock it for ever
AXES_RESET_ON_SUCCESS = True
AXES_USERNAME_FORM_FIELD = "login"
AXES_USERNAME_CALLABLE = "config.accounts.typed_address"
AXES_CLIENT_IP_CALLABLE = "config.accounts.address_of"
AXES_LOCKOUT_CALLABLE = "config.accounts.locked_out"
AXES_DISABLE_ACCESS_LOG = True  # the audit has it
AXES_VERBOSE = False
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "worklist"
LOGOUT_REDIRECT_URL = "account_login"
SESSION_ENGINE = "config.session_store"
SESSION_IDLE = timedelta(minutes=env.int("SESSION_IDLE_MINUTES", default=30))
SESSION_LASTS = timedelta(hours=env.int("SESSION_HOURS", default=12))
SESSIONS_AT_ONCE = env.int("SESSIONS_AT_ONCE", default=5)  # of one person; the one least used ends
SESSION_COOKIE_AGE = int((SESSION_LASTS + timedelta(hours=24)).total_seconds())  # an ended one still tells whose it was
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_HTTPONLY = True  # pages carry the token in their forms
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"  # they name patients: no cookie holds them
SESSION_EXPIRE_AT_BROWSER_CLOSE = True
if not PRODUCTION:  # Two checkouts on one host share its cookies; each keeps its own session.
    SESSION_COOKIE_NAME = locations.socket_dir(DATA_DIR).name.replace("-", "_")

SECURE_SSL_REDIRECT = SECURE_SITE and env.bool("SSL_REDIRECT", default=True)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if ALLAUTH_TRUSTED_PROXY_COUNT else None
# What is asked from inside without TLS, and calls of the API, which are refused (`config.middleware.OnlyByTls`).
SECURE_REDIRECT_EXEMPT = [r"^(healthz|readyz|metrics)$", r"^api/v1/"]
SECURE_HSTS_SECONDS = 63_072_000 if SECURE_SITE else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_SITE
SECURE_HSTS_PRELOAD = SECURE_SITE
SESSION_COOKIE_SECURE = SECURE_SITE
CSRF_COOKIE_SECURE = SECURE_SITE
LANGUAGE_COOKIE_SECURE = SECURE_SITE
LANGUAGE_COOKIE_HTTPONLY = True
LANGUAGE_COOKIE_SAMESITE = "Lax"
if PRODUCTION:  # no other host of the domain can set these
    SESSION_COOKIE_NAME = "__Host-session"
    CSRF_COOKIE_NAME = "__Host-csrf"
    LANGUAGE_COOKIE_NAME = "__Host-language"
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF, NONCE],
        "style-src": [SELF, NONCE],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
        "manifest-src": [SELF],
    }
}

LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English")), ("de", _("German"))]
LOCALE_PATHS = [BASE_DIR / "config" / "locale"]
FORMAT_MODULE_PATH = ["config.formats"]
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"

STATIC_URL = "/static/"
STATIC_ROOT = env("STATIC_ROOT", default=str(BASE_DIR / "staticfiles"))
STATICFILES_DIRS = [BASE_DIR / "config" / "static"]
COLLECTED = PRODUCTION or "STATIC_ROOT" in os.environ  # whoever names the folder has filled it by collectstatic
WHITENOISE_USE_FINDERS = not COLLECTED
WHITENOISE_AUTOREFRESH = DEBUG
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if COLLECTED
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}
# What one request may measure. A file counts apart, and the view that takes it says how large it may be.
DATA_UPLOAD_MAX_MEMORY_SIZE = 5 * 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 1500  # the largest form is that of a bulk action: an id for each row of a page
DATA_UPLOAD_MAX_NUMBER_FILES = 5
FILE_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
IMPORT_MAX_BYTES = 50 * 1024 * 1024
LARGEST_REQUEST = IMPORT_MAX_BYTES + 2 * 1024 * 1024  # a file with its form

_mail = mail_settings.read(os.environ, default_url=locations.mailbox_smtp(DATA_DIR), production=PRODUCTION)
EMAIL_BACKEND = _mail["EMAIL_BACKEND"]
EMAIL_HOST = _mail.get("EMAIL_HOST", "")
EMAIL_PORT = _mail.get("EMAIL_PORT", 25)
EMAIL_HOST_USER = _mail.get("EMAIL_HOST_USER", "")
EMAIL_HOST_PASSWORD = _mail.get("EMAIL_HOST_PASSWORD", "")
EMAIL_USE_TLS = _mail.get("EMAIL_USE_TLS", False)
EMAIL_USE_SSL = _mail.get("EMAIL_USE_SSL", False)
MAIL_PROVIDER = _mail["MAIL_PROVIDER"]  # "" with a mail server of one's own
ANYMAIL = _mail["ANYMAIL"]
MAIL_WEBHOOKS = mail_settings.takes_webhooks(MAIL_PROVIDER, ANYMAIL)  # whether its posts can be told from forged ones
BOUNCE_ADDRESS = _mail["BOUNCE_ADDRESS"]  # mails return to this address, each with a mark of its own
BOUNCE_MAILBOX_URL = _mail["BOUNCE_MAILBOX_URL"]
EMAIL_TIMEOUT = env.int("EMAIL_TIMEOUT", default=30)
EMAIL_A_MINUTE = env.int("EMAIL_A_MINUTE", default=0)  # of all workers together; 0: as fast as the server takes them
EMAIL_A_MINUTE_PER_DOMAIN = env.int("EMAIL_A_MINUTE_PER_DOMAIN", default=0)
MAIL_REHEARSAL_TO = env("MAIL_REHEARSAL_TO", default="")  # every mail to patients goes there instead
DEFAULT_FROM_EMAIL = env("MAIL_FROM", default="appointments@clinic.example")
SERVER_EMAIL = DEFAULT_FROM_EMAIL

# ClamAV's daemon, as tcp://host:3310 or unix:/path/clamd.ctl: files are shown to it before they are read.
VIRUS_SCANNER = env("VIRUS_SCANNER", default="")
if VIRUS_SCANNER and not VIRUS_SCANNER.startswith(("tcp://", "unix:/")):
    raise ImproperlyConfigured("VIRUS_SCANNER is tcp://host:3310 or unix:/path of clamd's socket.")

AUDIT_SEAL_FILE = env("AUDIT_SEAL_FILE", default="")  # each seal of the audit is added there as well
AUDIT_SEAL_MAIL = env("AUDIT_SEAL_MAIL", default="")  # and the latest is mailed there

PHONENUMBER_DEFAULT_REGION = env("PHONE_REGION", default="GB")
PHONENUMBER_DB_FORMAT = "E164"

REST_FRAMEWORK = {
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_RENDERER_CLASSES": ["monitoring.api.rendering.QuickJSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["monitoring.api.parsing.KeepableJSONParser"],
    "DEFAULT_AUTHENTICATION_CLASSES": ["monitoring.api.tokens.TokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "EXCEPTION_HANDLER": "monitoring.api.problems.as_problem",
    "COERCE_DECIMAL_TO_STRING": False,
    "URL_FORMAT_OVERRIDE": None,
    "NUM_PROXIES": ALLAUTH_TRUSTED_PROXY_COUNT,
}
# Networks that may be called though they are private, such as 10.20.0.0/16; and a CA of one's own for them.
OUTGOING_ALLOWED = env.list("OUTGOING_ALLOWED", default=[])
OUTGOING_HOSTS = env.list("OUTGOING_HOSTS", default=[])
OUTGOING_CA = env("OUTGOING_CA", default="")

API_CALLS_A_MINUTE = env.int("API_CALLS_A_MINUTE", default=600)  # of one token
API_ANONYMOUS_CALLS_A_MINUTE = env.int("API_ANONYMOUS_CALLS_A_MINUTE", default=300)  # of one address
SPECTACULAR_SETTINGS = {
    "TITLE": "Hipwatch API",
    "DESCRIPTION": "Follow-up registry for osteonecrosis of the hip.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "monitoring.api.schema.add_shapes",
    ],
    "ENUM_NAME_OVERRIDES": {
        "FactKind": "monitoring.api.serializers.FACT_KIND_NAMES",
        "VisitKind": "patients.models.facts.Visit.Kind",
        "Language": "patients.models.clinic.PATIENT_LANGUAGES",
        "PlanState": "schedules.models.Plan.State",
        "ReminderState": "schedules.models.Reminder.State",
        "ReviewState": "monitoring.models.ReviewCase.State",
    },
}

SILENCED_SYSTEM_CHECKS = ["models.W040"]
LOGGING = logs.configuration(
    form=env("LOG_FORMAT", default="json" if PRODUCTION else "line"), level=env("LOG_LEVEL", default="INFO")
)
METRICS_TOKEN = env("METRICS_TOKEN", default="")  # who sends it may read /metrics; without one nobody may
DEAD_MAN_URL = env("DEAD_MAN_URL", default="")  # asked after each sweep that ended; its owner alarms when it is not
SENTRY_DSN = env("SENTRY_DSN", default="")  # where faults are reported to; nowhere by default
BACKUPS_EXPECTED = env.bool("BACKUPS_EXPECTED", default=PRODUCTION)
if PRODUCTION and METRICS_TOKEN and len(METRICS_TOKEN) < 20:
    raise ImproperlyConfigured("METRICS_TOKEN must have 20 signs or more.")
if TESTING:
    PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
