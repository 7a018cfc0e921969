"""A client for people: talks to an OpenAI HTTP API from the terminal."""
