"""Identity providers: embedded accounts, or Supabase."""
