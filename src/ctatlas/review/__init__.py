"""The browser reviewer and the service that viewers talk to. To come."""
