"""The Storage API: buckets and objects, authorised by row level security on storage.objects."""
