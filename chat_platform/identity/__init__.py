"""Who somebody is: embedded accounts, or Supabase."""
