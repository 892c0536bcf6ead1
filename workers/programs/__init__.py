"""Programs that steps run in processes of their own: `python -m workers.programs.NAME`."""
