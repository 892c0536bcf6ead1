"""The Auth API: the part of Supabase Auth that the official clients use for passwords and sessions."""
