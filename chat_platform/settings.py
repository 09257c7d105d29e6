"""One frozen Settings object, read from the environment and `.env`. Nothing else reads either."""

import re
import secrets
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from chat_platform.unsafe_settings import (
    SHARED_SECRETS,
    origin_problems,
    proxy_port_problem,
    secret_key_problem,
    shared_secret_problem,
    traces_problem,
    trusted_proxy_problems,
)
from chat_platform.values import default_models
from chat_platform.values.database_url import with_our_driver
from chat_platform.values.money import to_nano_usd
from chat_platform.values.periods import is_period
from chat_platform.values.secret_files import read_secrets, write_secrets

GENERATED_SECRETS = (
    "SECRET_KEY",
    "LETTA_GLOBAL_API_KEY",
    "LETTA_API_TOKEN",
    "LETTA_ENCRYPTION_KEY",
    "LETTA_DATABASE_PASSWORD",
    "LITELLM_MASTER_KEY",
)
NEEDED_IN_PRODUCTION = (
    "DATABASE_URL",
    "LETTA_BASE_URL",
    "LITELLM_BASE_URL",
    "BACKEND_BASE_URL",
    "LETTA_API_TOKEN",
    "LETTA_GLOBAL_API_KEY",
    "LITELLM_MASTER_KEY",
)
SUPABASE_SET = ("SUPABASE_URL", "SUPABASE_ANON_KEY", "SUPABASE_SERVICE_KEY")


RegistrationPolicy = Literal["open", "first", "invite", "closed"]
"""`first`: the first person may register, and after that anyone with an invitation."""


class SettingsError(Exception):
    """The settings are not valid. `problems` has one clear line for each reason."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Settings(BaseSettings):
    """What an operator can set. Secrets are SecretStr, so that printing the object hides them."""

    model_config = SettingsConfigDict(
        env_file=".env", extra="ignore", frozen=True, env_ignore_empty=True
    )

    secret_key: SecretStr = SecretStr("")
    secret_key_previous: SecretStr = SecretStr("")
    environment: Literal["development", "test", "production"] = "development"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    host: str = "127.0.0.1"
    """Where the launcher's server listens; 0.0.0.0 lets other machines connect."""
    port: int = Field(default=8000, ge=1, le=65535)
    data_dir: Path = Path(".data")
    database_url: SecretStr = SecretStr("")
    database_connections: int = Field(default=20, ge=2, le=1000)
    """How many connections to Postgres one server process may open."""
    durability: Literal["full", "usual", "relaxed"] = "usual"
    """`full`: SQLite's commits survive a power cut; `relaxed`: Postgres's settlements may not."""
    redis_url: SecretStr = SecretStr("")
    backend_base_url: str = ""
    root_path: str = ""
    """The path under which a proxy serves the platform, such as `/myai`; built into the pages."""
    allowed_origins: str = ""
    railway_public_domain: str = ""
    """The service's public domain, which Railway sets: one more allowed origin."""
    trusted_proxies: str = ""
    metrics_token: SecretStr = SecretStr("")
    otel_exporter_otlp_endpoint: str = ""
    """The collector to which traces are sent; empty: there are none. OpenTelemetry defines this
    name and those below."""
    otel_exporter_otlp_headers: SecretStr = SecretStr("")
    otel_service_name: str = "chat-platform"
    otel_traces_sampler: str = ""
    otel_traces_sampler_arg: str = ""
    smtp_url: SecretStr = SecretStr("")

    supabase_url: str = ""
    supabase_anon_key: SecretStr = SecretStr("")
    supabase_service_key: SecretStr = SecretStr("")
    supabase_jwt_secret: SecretStr = SecretStr("")
    """For projects that still sign access tokens with a shared secret; otherwise JWKS is used."""

    registration: Literal["open", "invite", "closed"] | None = None
    """Unset: open in development; elsewhere the first person, then anyone invited."""
    registration_domains: str = ""
    """Only addresses from these domains may register; empty: any."""
    registrations_per_hour: int | None = Field(default=None, ge=1)
    registrations_per_hour_from_address: int | None = Field(default=None, ge=1)

    jwt_algorithm: Literal["HS256", "HS384", "HS512"] = "HS256"
    jwt_expire_minutes: int = Field(default=30, ge=1, le=1440)

    letta_base_url: str = ""
    letta_api_token: SecretStr = SecretStr("")
    letta_global_api_key: SecretStr = SecretStr("")
    litellm_base_url: str = ""
    litellm_master_key: SecretStr = SecretStr("")
    litellm_has_database: bool = True
    """False for the embedded LiteLLM: billing keys are derived, there are no spend logs."""

    letta_encryption_key: SecretStr = SecretStr("")
    letta_database_password: SecretStr = SecretStr("")
    """This and the one above are for the embedded Letta only."""
    chat_platform_env_dir: Path | None = None
    """Where the embedded peers' Python environments are kept, if not in DATA_DIR."""
    demo_faults: bool = False
    """For tests: the demo model obeys the special words of its faults.py."""

    gemini_api_key: SecretStr = SecretStr("")
    chat_model: str = ""
    embedding_model: str = ""
    max_reply_tokens: int = Field(default=32_768, ge=256)
    """The longest answer of one model call, about 100 kB of text; a smaller model needs less."""
    user_default_budget: str = "5.00"
    user_budget_duration: str = "30d"
    user_background_percent: int = Field(default=20, ge=0, le=100)
    """The share of a budget that background calls, outside any turn, may spend."""
    platform_budget: str = ""
    """What all accounts together may spend in total, in dollars; empty: no limit."""
    platform_daily_budget: str = ""
    """The same per day (UTC)."""
    proxy_port: int = Field(default=0, ge=0, le=65535)
    """A port of 127.0.0.1 for the agent server's model calls; 0: they come to the main port,
    unless the launcher chooses one for the embedded agent server."""
    proxy_allowed_networks: str = ""
    proxy_max_body_bytes: int = Field(default=16 * 1024 * 1024, ge=1024)
    proxy_max_answer_bytes: int = Field(default=8 * 1024 * 1024, ge=1024)
    """For answers without streaming; a stream is limited per event."""
    proxy_max_calls: int = Field(default=1024, ge=1)
    """Concurrent model calls in one process; further ones are refused."""
    proxy_max_calls_per_account: int = Field(default=32, ge=1)
    proxy_connect_timeout_seconds: float = Field(default=5, gt=0)
    proxy_first_byte_timeout_seconds: float = Field(default=300, gt=0)
    proxy_silence_timeout_seconds: float = Field(default=120, gt=0)
    """The longest pause between two chunks of a stream."""

    @field_validator("user_default_budget", "platform_budget", "platform_daily_budget")
    @classmethod
    def _budget_is_money(cls, value: str) -> str:
        if value and to_nano_usd(value) < 0:
            raise ValueError("must not be negative")
        return value

    @field_validator("user_budget_duration")
    @classmethod
    def _duration_is_known(cls, value: str) -> str:
        if not is_period(value):
            raise ValueError("must look like 30d, 12h or 1mo")
        return value

    @field_validator("root_path")
    @classmethod
    def _root_path_is_path(cls, value: str) -> str:
        path = f"/{value.strip('/')}" if value.strip("/") else ""
        if not re.fullmatch(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*", path):
            raise ValueError("must be a plain path such as /myai")
        return path

    @field_validator("proxy_allowed_networks", "trusted_proxies")
    @classmethod
    def _networks_are_networks(cls, value: str) -> str:
        for part in _words(value):
            ip_network(part, strict=False)
        return value

    @field_validator("otel_exporter_otlp_endpoint")
    @classmethod
    def _endpoint_is_url(cls, value: str) -> str:
        if value and not re.match(r"https?://[^/]", value):
            raise ValueError("must be a URL such as http://localhost:4318")
        return value

    @property
    def has_redis(self) -> bool:
        return bool(self.redis_url.get_secret_value())

    @property
    def registration_policy(self) -> RegistrationPolicy:
        return self.registration or ("open" if self.is_development else "first")

    @property
    def registration_limits(self) -> tuple[int, int]:
        """How many people may register in an hour: in total, and from one network address."""
        usual = (100, 10) if self.is_production else (5000, 200)
        return (
            self.registrations_per_hour or usual[0],
            self.registrations_per_hour_from_address or usual[1],
        )

    @property
    def secret_keys(self) -> tuple[str, str]:
        """The key and the previous one (or an empty string), newest first."""
        return self.secret_key.get_secret_value(), self.secret_key_previous.get_secret_value()

    def may_register_from(self, email: str) -> bool:
        """True if REGISTRATION_DOMAINS allows the address."""
        return not self.allowed_domains or email.rpartition("@")[2] in self.allowed_domains

    @property
    def is_development(self) -> bool:
        return self.environment == "development"

    @property
    def is_production(self) -> bool:
        return self.environment == "production"

    @property
    def is_demo(self) -> bool:
        """True if the demo model answers, because no provider's key is set."""
        return self.model_for_chat == default_models.DEMO_CHAT_MODEL

    @property
    def uses_supabase(self) -> bool:
        return bool(self.supabase_url)

    @property
    def model_for_chat(self) -> str:
        return default_models.chat_model(self.chat_model, has_provider=self._has_provider)

    @property
    def model_for_embeddings(self) -> str:
        return default_models.embedding_model(self.embedding_model, has_provider=self._has_provider)

    @property
    def _has_provider(self) -> bool:
        return bool(self.gemini_api_key.get_secret_value())

    @cached_property
    def is_on_sqlite(self) -> bool:
        return self.database.startswith("sqlite")

    @property
    def database(self) -> str:
        """The SQLAlchemy URL of the database, with the async driver."""
        url = self.database_url.get_secret_value()
        if not url:
            return f"sqlite+aiosqlite:///{self.data_dir.absolute() / 'platform.db'}"
        return with_our_driver(url)

    @property
    def base_url(self) -> str:
        """The URL at which the agent server reaches this server."""
        return (self.backend_base_url or f"http://127.0.0.1:{self.port}").rstrip("/")

    @property
    def proxy_url(self) -> str:
        """The URL at which the agent server reaches the LLM proxy."""
        return f"http://127.0.0.1:{self.proxy_port}" if self.proxy_port else self.base_url

    @property
    def public_url(self) -> str:
        """The pages' public URL, as far as the settings tell."""
        origin = next(iter(self._public_origins), self.base_url.removesuffix(self.root_path))
        return f"{origin}{self.root_path}"

    @property
    def default_budget_nano_usd(self) -> int:
        return to_nano_usd(self.user_default_budget)

    @cached_property
    def allowed_domains(self) -> frozenset[str]:
        return frozenset(d.lower().removeprefix("@") for d in _words(self.registration_domains))

    @cached_property
    def origins(self) -> frozenset[str]:
        return frozenset(self._public_origins)

    @property
    def _public_origins(self) -> list[str]:
        """The origins at which browsers reach the pages, the main one first."""
        hosted = f"https://{self.railway_public_domain}" if self.railway_public_domain else ""
        return [o.rstrip("/").lower() for o in _words(f"{self.allowed_origins} {hosted}")]

    @cached_property
    def proxy_networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        return tuple(ip_network(n, strict=False) for n in _words(self.proxy_allowed_networks))

    @cached_property
    def trusted_proxy_networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        return tuple(ip_network(n, strict=False) for n in _words(self.trusted_proxies))


def load_settings() -> Settings:
    """Read and check the settings; outside production, generate missing secrets once.

    Raises SettingsError with one line for each problem.
    """
    try:
        settings = Settings()
    except ValidationError as exc:
        raise SettingsError(_malformed(exc) + _problems(_without(exc))) from exc
    if not settings.is_production:
        settings = settings.model_copy(update=_generated_secrets(settings))
    problems = _problems(settings)
    if problems:
        raise SettingsError(problems)
    return settings


def _malformed(error: ValidationError) -> list[str]:
    return [_as_line(each["loc"], each["msg"]) for each in error.errors()]


def _without(error: ValidationError) -> Settings:
    """Return the settings with defaults for malformed values, to report other problems as well."""
    names = {str(each["loc"][0]).lower() for each in error.errors()}
    settings = Settings(**{name: Settings.model_fields[name].default for name in names})
    # A malformed ENVIRONMENT leaves open which one was meant.
    if "environment" in names or not settings.is_production:
        return settings.model_copy(update={"secret_key": SecretStr(secrets.token_urlsafe(36))})
    return settings


def _generated_secrets(settings: Settings) -> dict[str, SecretStr]:
    """Return values for unset secrets, generated once, kept in DATA_DIR/secrets.env (mode 600)."""
    file = settings.data_dir / "secrets.env"
    known = read_secrets(file)
    missing = [name for name in GENERATED_SECRETS if name not in known]
    if missing:
        known |= {name: f"sk-{secrets.token_urlsafe(36)}" for name in missing}
        write_secrets(file, known)
    return {
        name.lower(): SecretStr(known[name])
        for name in GENERATED_SECRETS
        if not getattr(settings, name.lower()).get_secret_value()
    }


def _problems(settings: Settings) -> list[str]:
    problems = [
        secret_key_problem(
            settings.secret_key.get_secret_value(), is_production=settings.is_production
        ),
        _supabase_problem(settings),
        proxy_port_problem(settings.proxy_port, settings.port, settings.letta_base_url),
        traces_problem(settings.otel_exporter_otlp_endpoint),
    ]
    if settings.is_production:
        problems += [
            f"{name} must be set when ENVIRONMENT=production"
            for name in NEEDED_IN_PRODUCTION
            if not _text_of(settings, name)
        ]
        problems += [
            shared_secret_problem(name, _text_of(settings, name)) for name in SHARED_SECRETS
        ]
        problems += origin_problems(settings.origins)
        problems += trusted_proxy_problems(settings.trusted_proxy_networks)
    return [problem for problem in problems if problem]


def _supabase_problem(settings: Settings) -> str:
    given = [bool(_text_of(settings, name)) for name in SUPABASE_SET]
    if all(given) or not any(given):
        return ""
    return f"{', '.join(SUPABASE_SET[:-1])} and {SUPABASE_SET[-1]} go together: set all or none"


def _text_of(settings: Settings, name: str) -> str:
    value = getattr(settings, name.lower())
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


def _as_line(loc: tuple[int | str, ...], message: str) -> str:
    name = "_".join(str(part) for part in loc).upper()
    words = message.removeprefix("Value error, ")
    return f"{name}: {words}" if name else words


def _words(value: str) -> list[str]:
    return [word for word in re.split(r"[\s,]+", value) if word]
