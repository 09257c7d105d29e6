"""Clients of the peers: Letta, LiteLLM, Supabase, mail. Only this code uses vendor SDKs."""
