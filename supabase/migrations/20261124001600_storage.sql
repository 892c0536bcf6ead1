-- Artifacts live in one private bucket, at <run id>/<sha256>. Workers write with service_role; members read; nobody else does either.

insert into storage.buckets (id, name, public) values ('artifacts', 'artifacts', false) on conflict (id) do nothing;

create policy opsroom_members_read_artifacts on storage.objects for select to authenticated
  using (bucket_id = 'artifacts' and (select private.is_member()));
