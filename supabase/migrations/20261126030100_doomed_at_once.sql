-- What has to go is due at once, whatever a clock that is set back between two statements says; retry_at is a time only after a first try.
alter table private.doomed_objects alter column retry_at set default '-infinity';
