"""LiteLLM's configuration, and which keys its check accepts."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
from pydantic import SecretStr

from chat_platform.billing.keys import derive_key, derive_subkey
from chat_platform.launcher.failures import LaunchFailed
from chat_platform.launcher.litellm import peer as litellm
from chat_platform.launcher.litellm.configuration import configuration
from chat_platform.settings import Settings
from chat_platform.values.ids import AccountId

DEMO = "http://127.0.0.1:9999"
ACCOUNT = AccountId("0190aaaa-0000-7000-8000-000000000001")


def configured(settings: Settings, **changes: object) -> dict:
    return litellm.configuration(settings.model_copy(update=changes), DEMO)


def test_without_a_providers_key_both_models_are_the_demo_with_a_price(settings: Settings):
    models = configured(settings)["model_list"]

    assert [model["model_name"] for model in models] == ["demo-chat", "demo-embedding"]
    for model in models:
        assert model["litellm_params"]["api_base"] == f"{DEMO}/v1"
        assert model["litellm_params"]["input_cost_per_token"] > 0


def test_with_a_key_gemini_answers_and_the_demo_is_not_started(settings: Settings):
    settings = settings.model_copy(update={"gemini_api_key": SecretStr("AIza-secret")})

    told = litellm.configuration(settings, DEMO)

    params = [model["litellm_params"]["model"] for model in told["model_list"]]
    assert params == ["gemini/gemini-2.5-flash", "gemini/gemini-embedding-001"]
    assert not litellm.needs_demo_model(settings)
    assert "AIza-secret" not in json.dumps(told)


def test_a_chosen_model_without_a_providers_key_is_told(settings: Settings):
    with pytest.raises(LaunchFailed, match=r"gemini-2\.5-pro needs a provider"):
        configured(settings, chat_model="gemini-2.5-pro")


def test_nothing_is_tried_twice_and_streams_tell_their_cost(settings: Settings):
    told = configured(settings)

    assert told["router_settings"]["num_retries"] == 0
    assert told["litellm_settings"]["num_retries"] == 0
    assert all(m["litellm_params"]["max_retries"] == 0 for m in told["model_list"])
    assert told["litellm_settings"]["include_cost_in_streaming_usage"] is True
    assert told["general_settings"]["disable_budget_reservation"] is True


def test_with_a_database_it_checks_keys_itself_and_all_else_is_the_same(settings: Settings):
    embedded = configured(settings)

    told = configuration(
        ("demo-chat", "demo-embedding"), DEMO, has_provider=False, has_database=True
    )

    general = told.pop("general_settings")
    assert told == {name: embedded[name] for name in told}
    assert "custom_auth" not in general
    assert general["database_url"] == "os.environ/DATABASE_URL"
    assert general["disable_budget_reservation"] is True


@pytest.fixture
def key_check(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The hook as LiteLLM loads it, with a stand-in for the one type that it imports from there."""
    types = ModuleType("litellm.proxy._types")
    types.LitellmUserRoles = types.UserAPIKeyAuth = object  # pyright: ignore[reportAttributeAccessIssue]
    monkeypatch.setitem(sys.modules, "litellm.proxy._types", types)
    monkeypatch.setenv("BILLING_SUBKEY", derive_subkey("s" * 40).hex())
    monkeypatch.setenv("LITELLM_MASTER_KEY", "sk-master")
    file = Path(litellm.__file__).parent / "key_check.py"
    spec = importlib.util.spec_from_file_location("key_check", file)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_hook_knows_the_keys_that_we_derive(key_check: ModuleType):
    key = derive_key(derive_subkey("s" * 40), ACCOUNT, 3)

    assert key_check.account_of(key) == ACCOUNT


@pytest.mark.parametrize(
    "key",
    [
        "",
        "sk-acct",
        "sk-master",
        derive_key(derive_subkey("o" * 40), ACCOUNT, 1),
        derive_key(derive_subkey("s" * 40), ACCOUNT, 1).replace("-1-", "-2-"),
        "ключ-не-наш",
    ],
)
def test_the_hook_knows_no_other_keys(key_check: ModuleType, key: str):
    assert key_check.account_of(key) is None
