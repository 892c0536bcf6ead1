"""The Supabase-compatible gateway of the embedded stack: REST, Auth, Storage, Realtime, Functions on one loopback port.

A compatible subset for one machine: see docs/embedded.md for what it covers.
"""
