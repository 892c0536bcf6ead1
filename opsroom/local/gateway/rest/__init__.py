"""The REST API: the part of PostgREST that the official clients use."""
