"""``/v1/realtime``: transcription sessions of OpenAI's Realtime API."""
