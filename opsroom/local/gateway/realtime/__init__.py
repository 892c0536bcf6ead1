"""The Realtime API: broadcast channels over one websocket, authorised by row level security on realtime.messages."""
